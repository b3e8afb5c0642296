//! P7: UDP in memory, and between a stack behind a tap and the kernel.

use std::io;

use super::gigabits;
use crate::content::Text;
use crate::datagram_tap::{self, How};
use crate::near;
use crate::row::{Bar, Contestant, Head, Row};
use crate::{lwip, ours, smol};

/// Datagrams of a timed run, and of one that compares contents.
const COUNT: usize = 1_000_000;
const CHECKED: usize = 100_000;

fn rate(seconds: f64) -> f64 {
    COUNT as f64 / seconds / 1e6
}

fn datagrams(len: usize) -> io::Result<Vec<Contestant>> {
    let (mut a, mut b) = (ours::Pair::new(1500), smol::Pair::new(1500));
    let ours = Contestant::new("netstrata", move || {
        a.datagrams(COUNT, len, Text::Plain).map(rate)
    });
    let smol = Contestant::new("smoltcp", move || {
        b.datagrams(COUNT, len, Text::Plain).map(rate)
    });
    let mut all = vec![
        ours.proved(move || {
            let mut pair = ours::Pair::new(1500);
            pair.datagrams(CHECKED, len, Text::Checked).map(drop)
        }),
        smol.proved(move || {
            let mut pair = smol::Pair::new(1500);
            pair.datagrams(CHECKED, len, Text::Checked).map(drop)
        }),
    ];
    all.push(match lwip::installed() {
        false => Contestant::absent("lwIP", "not installed"),
        true => {
            let mut pair = lwip::Pair::new()?;
            pair.datagrams(CHECKED, len, Text::Checked)?;
            let turn = move || pair.datagrams(COUNT, len, Text::Plain).map(rate);
            Contestant::new("lwIP", turn).proved(|| Ok(()))
        }
    });
    Ok(all)
}

/// Octets sent through a tap in a timed run, and in one that compares contents.
const SENT: u64 = 1 << 30;
const COMPARED: u64 = 32 << 20;

fn out() -> io::Result<Vec<Contestant>> {
    let by = |name, how| {
        let turn = move || near::alike(|| datagram_tap::out(how, SENT, Text::Plain));
        let proof = move || datagram_tap::out(how, COMPARED, Text::Checked).map(drop);
        Contestant::new(name, turn).proved(proof)
    };
    Ok(vec![
        by("netstrata", How::Together),
        by("one by one", How::Single),
        Contestant::new("limit", || near::alike(|| datagram_tap::limit(SENT))),
    ])
}

fn into() -> io::Result<Vec<Contestant>> {
    let by = |name, how| Contestant::new(name, move || datagram_tap::into(how));
    Ok(vec![
        by("netstrata", How::Together),
        by("one by one", How::Single),
    ])
}

fn head(id: &'static str, what: &'static str) -> Head {
    Head {
        id,
        what,
        unit: "million/s",
        more: true,
        bars: &[Bar::Of("smoltcp", 1.5)],
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            head: head("P7 64", "datagrams of 64 octets in memory"),
            make: || datagrams(64),
        },
        Row {
            head: head("P7 1472", "datagrams of 1,472 octets in memory"),
            make: || datagrams(1472),
        },
        Row {
            head: gigabits(
                "P7u out",
                "datagrams of 1,472 octets to the kernel, 44 a frame",
                &[Bar::Of("limit", 0.85)],
            ),
            make: out,
        },
        Row {
            head: gigabits(
                "P7u in",
                "datagrams of 1,472 octets from the kernel",
                &[Bar::Of("one by one", 1.0)],
            ),
            make: into,
        },
    ]
}
