//! P1: bulk TCP in memory, both ends in one thread.

use std::io;

use crate::row::{Bar, Contestant, Head, Row};
use crate::work::Access;
use crate::{content::Text, limits, lwip, ours, smol};

/// Octets of a timed run, and of one that compares contents.
const TOTAL: usize = 512 << 20;
const CHECKED: usize = 64 << 20;

const TWICE: &[Bar] = &[Bar::Of("smoltcp", 2.0)];

fn head(id: &'static str, what: &'static str, bars: &'static [Bar]) -> Head {
    Head {
        id,
        what,
        unit: "Gbit/s",
        more: true,
        bars,
    }
}

fn rate(seconds: f64) -> f64 {
    TOTAL as f64 * 8.0 / seconds / 1e9
}

fn bulk(mtu: usize, access: Access) -> io::Result<Vec<Contestant>> {
    let (mut a, mut b) = (ours::Pair::new(mtu), smol::Pair::new(mtu));
    let ours = Contestant::new("netstrata", move || {
        a.bulk(TOTAL, access, Text::Plain).map(rate)
    });
    let smol = Contestant::new("smoltcp", move || {
        b.bulk(TOTAL, access, Text::Plain).map(rate)
    });
    let limit = Contestant::new("limit", || Ok(rate(limits::four_passes(TOTAL))));
    Ok(vec![
        ours.proved(move || {
            let mut pair = ours::Pair::new(mtu);
            pair.bulk(CHECKED, access, Text::Checked).map(drop)
        }),
        smol.proved(move || {
            let mut pair = smol::Pair::new(mtu);
            pair.bulk(CHECKED, access, Text::Checked).map(drop)
        }),
        lwip_bulk(mtu, access)?,
        limit,
    ])
}

fn lwip_bulk(mtu: usize, access: Access) -> io::Result<Contestant> {
    if mtu > 1500 {
        return Ok(Contestant::absent("lwIP", "compiled for 1500"));
    }
    if !lwip::installed() {
        return Ok(Contestant::absent("lwIP", "not installed"));
    }
    let mut pair = lwip::Pair::new()?;
    // Its namespaces are few: the same two hosts show that they carry what they were given.
    pair.bulk(CHECKED, access, Text::Checked)?;
    let turn = move || pair.bulk(TOTAL, access, Text::Plain).map(rate);
    Ok(Contestant::new("lwIP", turn).proved(|| Ok(())))
}

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            head: head(
                "P1",
                "bulk TCP in memory, MTU 1500",
                &[Bar::Of("smoltcp", 1.7), Bar::Of("limit", 0.5)],
            ),
            make: || bulk(1500, Access::Copy),
        },
        Row {
            head: head(
                "P1b",
                "bulk TCP in memory, read and written in place",
                TWICE,
            ),
            make: || bulk(1500, Access::InPlace),
        },
        Row {
            head: head("P1c", "bulk TCP in memory, MTU 65535", TWICE),
            make: || bulk(65_535, Access::Copy),
        },
    ]
}
