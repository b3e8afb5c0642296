//! What is measured.

use crate::stats::Samples;
use crate::work::{Access, BUFFER};
use crate::{limits, ours, smol};

/// A contestant's turn at a row: makes one figure.
type Turn = Box<dyn FnMut() -> f64>;

/// One line of the table.
pub struct Row {
    pub id: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    /// More is better.
    pub more: bool,
    pub bar: &'static str,
    turns: Vec<(&'static str, Turn)>,
}

/// A row that was measured.
pub struct Measured {
    pub id: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub more: bool,
    pub bar: &'static str,
    pub columns: Vec<(&'static str, Samples)>,
}

impl Row {
    /// Every contestant in turn, `rounds` times, after one round that does not count.
    pub fn measure(mut self, rounds: usize) -> Measured {
        let mut columns: Vec<_> = self
            .turns
            .iter()
            .map(|(name, _)| (*name, Samples::default()))
            .collect();
        for round in 0..=rounds {
            for ((_, turn), (_, samples)) in self.turns.iter_mut().zip(&mut columns) {
                let figure = turn();
                if round > 0 {
                    samples.push(figure);
                }
            }
        }
        Measured {
            id: self.id,
            what: self.what,
            unit: self.unit,
            more: self.more,
            bar: self.bar,
            columns,
        }
    }
}

fn turn(f: impl FnMut() -> f64 + 'static) -> Turn {
    Box::new(f)
}

const GIGA: f64 = 1e9;

fn bulk(
    id: &'static str,
    what: &'static str,
    bar: &'static str,
    mtu: usize,
    access: Access,
) -> Row {
    const TOTAL: usize = 512 << 20;
    let rate = |seconds: f64| TOTAL as f64 * 8.0 / seconds / GIGA;
    let (mut a, mut b) = (ours::Pair::new(mtu), smol::Pair::new(mtu));
    Row {
        id,
        what,
        unit: "Gbit/s",
        more: true,
        bar,
        turns: vec![
            ("netstrata", turn(move || rate(a.bulk(TOTAL, access)))),
            ("smoltcp", turn(move || rate(b.bulk(TOTAL, access)))),
            ("limit", turn(move || rate(limits::four_passes(TOTAL)))),
        ],
    }
}

/// Nanoseconds a segment beside `idle` connections; smoltcp looks at each of them.
fn beside(id: &'static str, idle: usize, peer: bool) -> Row {
    const MSS: f64 = 1448.0;
    let mut a = ours::Pair::new(1500);
    a.establish(idle + 1, None);
    let ours = turn(move || {
        const TOTAL: usize = 64 << 20;
        a.bulk(TOTAL, Access::Copy) / (TOTAL as f64 / MSS) * GIGA
    });
    let mut turns = vec![("netstrata", ours)];
    if peer {
        let mut b = smol::Pair::new(1500);
        b.establish(1, BUFFER);
        b.establish(idle + 1, 64);
        let total = if idle > 1000 { 1 << 20 } else { 32 << 20 };
        turns.push((
            "smoltcp",
            turn(move || b.bulk(total, Access::Copy) / (total as f64 / MSS) * GIGA),
        ));
    }
    Row {
        id,
        what: "a segment of a bulk connection beside idle ones",
        unit: "ns",
        more: false,
        bar: "at 100,000 at most 1.25 x the figure at 0",
        turns,
    }
}

fn idle_poll() -> Row {
    let mut a = ours::Pair::new(1500);
    a.establish(100_000, None);
    Row {
        id: "P3 poll",
        what: "a poll of 100,000 idle connections",
        unit: "ns",
        more: false,
        bar: "under 50",
        turns: vec![("netstrata", turn(move || a.idle_poll() * GIGA))],
    }
}

fn churn(id: &'static str, what: &'static str, at_once: usize) -> Row {
    let count = 20_000;
    let rate = move |seconds: f64| count as f64 / seconds / 1000.0;
    let rounds = count / at_once;
    Row {
        id,
        what,
        unit: "thousand/s",
        more: true,
        bar: "ahead; 1,000 at once at least 0.8 of one at a time",
        turns: vec![
            (
                "netstrata",
                turn(move || rate(ours::Pair::new(1500).churn(rounds, at_once))),
            ),
            (
                "smoltcp",
                turn(move || rate(smol::Pair::new(1500).churn(rounds, at_once))),
            ),
        ],
    }
}

fn datagrams(id: &'static str, what: &'static str, len: usize) -> Row {
    const COUNT: usize = 1_000_000;
    let rate = |seconds: f64| COUNT as f64 / seconds / 1e6;
    let (mut a, mut b) = (ours::Pair::new(1500), smol::Pair::new(1500));
    Row {
        id,
        what,
        unit: "million/s",
        more: true,
        bar: "at least 1.5 x smoltcp",
        turns: vec![
            ("netstrata", turn(move || rate(a.datagrams(COUNT, len)))),
            ("smoltcp", turn(move || rate(b.datagrams(COUNT, len)))),
        ],
    }
}

/// All rows, by name; making one takes the memory it needs.
pub const ALL: [(&str, fn() -> Row); 12] = [
    ("P1", || {
        let what = "bulk TCP in memory, MTU 1500, the application copies";
        let bar = "at least 1.7 x smoltcp, 0.5 x the limit";
        bulk("P1", what, bar, 1500, Access::Copy)
    }),
    ("P1b", || {
        let what = "the same, read and written in place";
        bulk("P1b", what, TWICE, 1500, Access::InPlace)
    }),
    ("P1c", || {
        let what = "the same as P1, MTU 65535";
        bulk("P1c", what, TWICE, 65_535, Access::Copy)
    }),
    ("P3 0", || beside("P3 0", 0, true)),
    ("P3 100", || beside("P3 100", 100, true)),
    ("P3 10000", || beside("P3 10000", 10_000, true)),
    ("P3 100000", || beside("P3 100000", 100_000, false)),
    ("P3 poll", idle_poll),
    ("P4 one", || churn("P4 one", "connections one at a time", 1)),
    ("P4 many", || {
        churn("P4 many", "connections 1,000 at once", 1000)
    }),
    ("P7 64", || datagrams("P7 64", "datagrams of 64 octets", 64)),
    ("P7 1472", || {
        datagrams("P7 1472", "datagrams of 1,472 octets", 1472)
    }),
];

const TWICE: &str = "at least 2.0 x smoltcp";
