//! P3, P4 and P6: many connections.

use std::io;

use crate::content::Text;
use crate::row::{Bar, Contestant, Head, Row};
use crate::work::{Access, BUFFER};
use crate::{heap, lwip, ours, smol};

/// Octets of text in a segment: the others send no timestamps, which are twelve more.
const MSS: f64 = 1448.0;

/// Nanoseconds a segment of `total` octets that took `seconds`.
fn each(total: usize, seconds: f64) -> f64 {
    seconds / (total as f64 / MSS) * 1e9
}

/// A bulk connection of ours beside `idle` ones.
fn ours_beside(idle: usize) -> impl FnMut() -> io::Result<f64> + 'static {
    const TOTAL: usize = 64 << 20;
    let mut pair = ours::Pair::new(1500);
    pair.establish(1, Some(BUFFER));
    pair.establish(idle + 1, None);
    move || Ok(each(TOTAL, pair.bulk(TOTAL, Access::Copy, Text::Plain)?))
}

fn smol_beside(idle: usize) -> impl FnMut() -> io::Result<f64> + 'static {
    let mut pair = smol::Pair::new(1500);
    pair.establish(1, BUFFER);
    pair.establish(idle + 1, 64);
    // It looks at every connection for every segment.
    let total = if idle > 1000 { 1 << 20 } else { 32 << 20 };
    move || Ok(each(total, pair.bulk(total, Access::Copy, Text::Plain)?))
}

fn lwip_beside(idle: usize) -> io::Result<Contestant> {
    if !lwip::installed() {
        return Ok(Contestant::absent("lwIP", "not installed"));
    }
    let mut pair = lwip::Pair::new()?;
    pair.establish(idle + 1)?;
    const TOTAL: usize = 32 << 20;
    Ok(Contestant::new("lwIP", move || {
        Ok(each(TOTAL, pair.bulk(TOTAL, Access::Copy, Text::Plain)?))
    }))
}

fn beside(idle: usize) -> io::Result<Vec<Contestant>> {
    let mut all = vec![
        Contestant::new("netstrata", ours_beside(idle)),
        Contestant::new("alone", ours_beside(0)),
    ];
    all.push(match idle {
        0..=10_000 => Contestant::new("smoltcp", smol_beside(idle)),
        _ => Contestant::absent("smoltcp", "minutes a run"),
    });
    all.push(match idle {
        0..=10_000 => lwip_beside(idle)?,
        _ => Contestant::absent("lwIP", "out of ports"),
    });
    Ok(all)
}

fn idle_poll() -> io::Result<Vec<Contestant>> {
    const POLLS: usize = 100_000;
    let mut pair = ours::Pair::new(1500);
    pair.establish(100_000, None);
    let turn = move || Ok(pair.idle_polls(POLLS) / POLLS as f64 * 1e9);
    Ok(vec![Contestant::new("netstrata", turn)])
}

/// Connections of a timed run.
const COUNT: usize = 20_000;

fn ours_churn(at_once: usize) -> impl FnMut() -> io::Result<f64> {
    move || {
        let seconds = ours::Pair::new(1500).churn(COUNT / at_once, at_once);
        Ok(COUNT as f64 / seconds / 1000.0)
    }
}

fn churn(at_once: usize) -> io::Result<Vec<Contestant>> {
    let smol = move || {
        let seconds = smol::Pair::new(1500).churn(COUNT / at_once, at_once);
        Ok(COUNT as f64 / seconds / 1000.0)
    };
    let mut all = vec![
        Contestant::new("netstrata", ours_churn(at_once)),
        Contestant::new("smoltcp", smol),
    ];
    all.push(match lwip::installed() {
        false => Contestant::absent("lwIP", "not installed"),
        true => {
            let mut pair = lwip::Pair::new()?;
            Contestant::new("lwIP", move || {
                let seconds = pair.churn(COUNT / at_once, at_once)?;
                Ok(COUNT as f64 / seconds / 1000.0)
            })
        }
    });
    if at_once > 1 {
        all.push(Contestant::new("one at a time", ours_churn(1)));
    }
    Ok(all)
}

/// Octets of heap for an end of an idle connection: whatever the tables have to spare included.
fn size() -> io::Result<Vec<Contestant>> {
    let ours = || {
        const N: usize = 100_000;
        let mut pair = ours::Pair::with(1500, None);
        pair.expect(N); // the application's own list
        let before = heap::used();
        pair.establish(N, None);
        Ok((heap::used() - before) as f64 / (2 * N) as f64)
    };
    let smol = || {
        // A power of two, so that its list of sockets has no room to spare.
        const N: usize = 4096;
        let mut pair = smol::Pair::new(1500);
        pair.expect(N);
        let before = heap::used();
        pair.establish(N, 1);
        Ok((heap::used() - before) as f64 / (2 * N) as f64)
    };
    let lwip = || {
        const N: usize = 10_000;
        let mut pair = lwip::Pair::new()?;
        pair.establish(1)?;
        let before = pair.heap();
        pair.establish(1 + N)?;
        Ok((pair.heap() - before) as f64 / (2 * N) as f64)
    };
    Ok(vec![
        Contestant::new("netstrata", once(ours)),
        Contestant::new("smoltcp", once(smol)),
        match lwip::installed() {
            true => Contestant::new("lwIP", once(lwip)),
            false => Contestant::absent("lwIP", "not installed"),
        },
    ])
}

/// The size of things is the same every time.
fn once(mut f: impl FnMut() -> io::Result<f64>) -> impl FnMut() -> io::Result<f64> {
    let mut known = None;
    move || match known {
        Some(known) => Ok(known),
        None => {
            let figure = f()?;
            known = Some(figure);
            Ok(figure)
        }
    }
}

fn segment(id: &'static str, what: &'static str) -> Head {
    Head {
        id,
        what,
        unit: "ns",
        more: false,
        bars: &[Bar::Of("alone", 1.25)],
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            head: segment("P3 100", "a bulk segment beside 100 idle connections"),
            make: || beside(100),
        },
        Row {
            head: segment("P3 10000", "a bulk segment beside 10,000 idle connections"),
            make: || beside(10_000),
        },
        Row {
            head: segment(
                "P3 100000",
                "a bulk segment beside 100,000 idle connections",
            ),
            make: || beside(100_000),
        },
        Row {
            head: Head {
                id: "P3 poll",
                what: "a poll of 100,000 idle connections",
                unit: "ns",
                more: false,
                bars: &[Bar::Value(50.0)],
            },
            make: idle_poll,
        },
        Row {
            head: Head {
                id: "P4 one",
                what: "connections, an octet each way, one at a time",
                unit: "thousand/s",
                more: true,
                bars: &[Bar::Of("smoltcp", 1.0), Bar::Of("lwIP", 1.0)],
            },
            make: || churn(1),
        },
        Row {
            head: Head {
                id: "P4 many",
                what: "connections, an octet each way, 1,000 at once",
                unit: "thousand/s",
                more: true,
                bars: &[
                    Bar::Of("smoltcp", 1.0),
                    Bar::Of("lwIP", 1.0),
                    Bar::Of("one at a time", 0.8),
                ],
            },
            make: || churn(1000),
        },
        Row {
            head: Head {
                id: "P6",
                what: "heap of one end of an idle connection, CUBIC",
                unit: "octets",
                more: false,
                bars: &[Bar::Value(512.0)],
            },
            make: size,
        },
    ]
}
