//! P2 and P5: TCP between a stack behind a tap and the kernel.

use std::io;

use super::gigabits;
use crate::content::Text;
use crate::row::{Bar, Contestant, Head, Row};
use crate::{fake, kernel, near, ours_tap, smol_tap, veth};

type Transfer = fn(bool, u64, Text) -> io::Result<f64>;

/// Octets of a timed run.
fn total(offload: bool) -> u64 {
    if offload { 2 << 30 } else { 256 << 20 }
}

fn rate(offload: bool) -> impl Fn(f64) -> f64 {
    move |seconds| total(offload) as f64 * 8.0 / seconds / 1e9
}

fn bulk(
    offload: bool,
    stacks: [(&'static str, Transfer); 2],
    limit: fn(bool, u64) -> io::Result<f64>,
) -> Vec<Contestant> {
    let proved = |name, run: Transfer| {
        let turn =
            move || near::alike(|| run(offload, total(offload), Text::Plain).map(rate(offload)));
        let proof = move || run(offload, total(offload) / 16, Text::Checked).map(drop);
        Contestant::new(name, turn).proved(proof)
    };
    let mut all: Vec<_> = stacks.map(|(name, run)| proved(name, run)).into();
    let turn = move || near::alike(|| limit(offload, total(offload)).map(rate(offload)));
    all.push(Contestant::new("limit", turn));
    // For comparison: no tap, and no user space, but where the application is.
    all.push(match offload || veth::has("ethtool") {
        true => proved("kernel over veth", veth::bulk),
        false => Contestant::absent("kernel over veth", "no ethtool"),
    });
    if offload {
        let turn = move || near::alike(|| veth::iperf3(offload, total(offload)).map(rate(offload)));
        all.push(match veth::has("iperf3") {
            true => Contestant::new("iperf3 over veth", turn),
            false => Contestant::absent("iperf3 over veth", "not installed"),
        });
    }
    all
}

fn out(offload: bool) -> io::Result<Vec<Contestant>> {
    let stacks: [(_, Transfer); 2] = [("netstrata", ours_tap::out), ("smoltcp", smol_tap::out)];
    Ok(bulk(offload, stacks, fake::out))
}

fn into(offload: bool) -> io::Result<Vec<Contestant>> {
    let stacks: [(_, Transfer); 2] = [("netstrata", ours_tap::into), ("smoltcp", smol_tap::into)];
    Ok(bulk(offload, stacks, fake::into))
}

/// Round trips of one octet, this process and the kernel's echo on one core.
fn round_trips(share: f64) -> io::Result<Vec<Contestant>> {
    const COUNT: usize = 20_000;
    let contestant = |name, run: fn(usize) -> io::Result<Vec<f64>>| {
        Contestant::new(name, move || {
            let mut times = kernel::on_one_core(|| run(COUNT))??;
            times.sort_by(f64::total_cmp);
            Ok(times[(COUNT as f64 * share) as usize])
        })
    };
    Ok(vec![
        contestant("netstrata", ours_tap::round_trips),
        contestant("smoltcp", smol_tap::round_trips),
        contestant("kernel over veth", veth::round_trips),
    ])
}

fn microseconds(id: &'static str, what: &'static str) -> Head {
    Head {
        id,
        what,
        unit: "µs",
        more: false,
        bars: &[Bar::Of("smoltcp", 1.0)],
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            head: gigabits(
                "P2 out",
                "bulk TCP to the kernel, tap with offload",
                &[Bar::Of("limit", 0.85), Bar::Of("smoltcp", 1.0)],
            ),
            make: || out(true),
        },
        Row {
            head: gigabits(
                "P2 in",
                "bulk TCP from the kernel, tap with offload",
                &[Bar::Of("limit", 0.9), Bar::Of("smoltcp", 1.0)],
            ),
            make: || into(true),
        },
        Row {
            head: gigabits(
                "P2b out",
                "bulk TCP to the kernel, tap without offload",
                &[Bar::Of("limit", 0.95)],
            ),
            make: || out(false),
        },
        Row {
            head: gigabits(
                "P2b in",
                "bulk TCP from the kernel, tap without offload",
                &[Bar::Of("limit", 0.9)],
            ),
            make: || into(false),
        },
        Row {
            head: microseconds("P5 p50", "round trip of an octet over a tap, median"),
            make: || round_trips(0.5),
        },
        Row {
            head: microseconds("P5 p99", "round trip of an octet over a tap, 99th of 100"),
            make: || round_trips(0.99),
        },
    ]
}
