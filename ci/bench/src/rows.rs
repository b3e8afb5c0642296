//! What is measured.

use crate::stats::Samples;
use crate::work::{Access, BUFFER};
use crate::{cores, fake, limits, ours, ours_tap, smol, smol_tap};
use std::io;

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
    const POLLS: usize = 100_000;
    let mut a = ours::Pair::new(1500);
    a.establish(100_000, None);
    Row {
        id: "P3 poll",
        what: "a poll of 100,000 idle connections",
        unit: "ns",
        more: false,
        bar: "under 50",
        turns: vec![("netstrata", turn(move || a.idle_polls(POLLS) / POLLS as f64 * GIGA))],
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

type Transfer = fn(bool, u64) -> io::Result<f64>;

/// A bulk transfer between a stack behind a tap and the kernel.
fn tap(
    id: &'static str,
    what: &'static str,
    bar: &'static str,
    offload: bool,
    contestants: [(&'static str, Transfer); 3],
) -> Row {
    let total: u64 = if offload { 2 << 30 } else { 256 << 20 };
    let rate = move |run: Transfer| match run(offload, total) {
        Ok(seconds) => total as f64 * 8.0 / seconds / GIGA,
        Err(error) => {
            eprintln!("{id}: {error}");
            f64::NAN
        }
    };
    let turns = contestants.map(|(name, run)| (name, turn(move || rate(run))));
    Row {
        id,
        what,
        unit: "Gbit/s",
        more: true,
        bar,
        turns: turns.into(),
    }
}

const OUT: [(&str, Transfer); 3] = [
    ("netstrata", ours_tap::out),
    ("smoltcp", smol_tap::out),
    ("limit", fake::out),
];
const IN: [(&str, Transfer); 3] = [
    ("netstrata", ours_tap::into),
    ("smoltcp", smol_tap::into),
    ("limit", fake::into),
];

/// Round trips of one octet, this process and the kernel's echo on one core.
fn round_trips(id: &'static str, what: &'static str, share: f64) -> Row {
    const COUNT: usize = 20_000;
    let at = move |run: fn(usize) -> io::Result<Vec<f64>>| match run(COUNT) {
        Ok(mut times) => {
            times.sort_by(f64::total_cmp);
            times[(COUNT as f64 * share) as usize]
        }
        Err(error) => {
            eprintln!("{id}: {error}");
            f64::NAN
        }
    };
    Row {
        id,
        what,
        unit: "us",
        more: false,
        bar: "not slower than smoltcp",
        turns: vec![
            ("netstrata", turn(move || at(ours_tap::round_trips))),
            ("smoltcp", turn(move || at(smol_tap::round_trips))),
        ],
    }
}

/// All rows, by name; making one takes the memory it needs.
pub const ALL: [(&str, fn() -> Row); 21] = [
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
    ("P2 out", || {
        let what = "bulk TCP to the kernel over a tap with offload, MTU 1500";
        let bar = "at least 0.85 x the limit, ahead of smoltcp";
        tap("P2 out", what, bar, true, OUT)
    }),
    ("P2 in", || {
        let what = "the same from the kernel";
        let bar = "at least 0.90 x the limit, ahead of smoltcp";
        tap("P2 in", what, bar, true, IN)
    }),
    ("P2b out", || {
        let what = "as P2 without offload";
        tap("P2b out", what, "at least 0.95 x the limit", false, OUT)
    }),
    ("P2b in", || {
        let what = "the same from the kernel";
        tap("P2b in", what, "at least 0.90 x the limit", false, IN)
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
    ("P5 p50", || {
        round_trips("P5 p50", "a round trip over a tap, median", 0.5)
    }),
    ("P5 p99", || {
        round_trips("P5 p99", "the same, 99th of 100", 0.99)
    }),
    ("P7 64", || datagrams("P7 64", "datagrams of 64 octets", 64)),
    ("P7 1472", || {
        datagrams("P7 1472", "datagrams of 1,472 octets", 1472)
    }),
    ("cores bulk", || {
        let what = "bulk TCP in memory, MTU 1500, on two cables by two threads";
        let amount = cores::IN_MEMORY as f64 * 8.0 / GIGA;
        let run = |stacks| Ok(cores::bulk(stacks));
        two_stacks("cores bulk", what, "Gbit/s", amount, run)
    }),
    ("cores connections", || {
        let what = "connections 1,000 at once, on two cables by two threads";
        let amount = cores::CHURN as f64 / 1000.0;
        let run = |stacks| Ok(cores::churn(stacks));
        two_stacks("cores connections", what, "thousand/s", amount, run)
    }),
    ("cores tap", || {
        let what = "8 connections of the kernel over a tap of two queues with offload";
        let amount = cores::FROM_KERNEL as f64 * 8.0 / GIGA;
        let run = cores::from_kernel;
        two_stacks("cores tap", what, "Gbit/s", amount, run)
    }),
];

/// Work shared out over two stacks on two threads, beside one that does all of it.
fn two_stacks(
    id: &'static str,
    what: &'static str,
    unit: &'static str,
    amount: f64,
    run: fn(usize) -> io::Result<f64>,
) -> Row {
    let at = move |stacks: usize| match run(stacks) {
        Ok(seconds) => amount / seconds,
        Err(error) => {
            eprintln!("{id}: {error}");
            f64::NAN
        }
    };
    Row {
        id,
        what,
        unit,
        more: true,
        bar: "none: two stacks beside one",
        turns: vec![
            ("netstrata", turn(move || at(2))),
            ("one stack", turn(move || at(1))),
        ],
    }
}

const TWICE: &str = "at least 2.0 x smoltcp";
