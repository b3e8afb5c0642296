//! Packet sockets beside AF_XDP over a veth pair, and taps with `IFF_NAPI` beside those without.
//! No bar: they tell which to take.

use std::io;

use crate::content::Text;
use crate::row::{Contestant, Head, Row};
use crate::wires::{Took, Wire, bulk};

const TOTAL: u64 = 256 << 20;

fn rate(took: Took) -> f64 {
    TOTAL as f64 * 8.0 / took.clock / 1e9
}

/// Nanoseconds of our thread's processor time for 1,448 octets.
fn cost(took: Took) -> f64 {
    took.processor / (TOTAL as f64 / 1448.0) * 1e9
}

fn each<const N: usize>(
    wires: [(&'static str, Wire); N],
    out: bool,
    figure: fn(Took) -> f64,
) -> io::Result<Vec<Contestant>> {
    let contestant = |(name, wire)| {
        let turn = move || bulk(wire, out, TOTAL, Text::Plain).map(figure);
        let proof = move || bulk(wire, out, TOTAL / 16, Text::Checked).map(drop);
        Contestant::new(name, turn).proved(proof)
    };
    Ok(wires.map(contestant).into())
}

const OFFLOAD: [(&str, Wire); 2] = [
    ("netstrata", Wire::Raw { ring: true }),
    ("no ring", Wire::Raw { ring: false }),
];

const PLAIN: [(&str, Wire); 3] = [
    ("netstrata", Wire::RawPlain { ring: true }),
    ("no ring", Wire::RawPlain { ring: false }),
    ("AF_XDP", Wire::Xdp),
];

const TAPS: [(&str, Wire); 3] = [
    (
        "netstrata",
        Wire::Tap {
            napi: false,
            threaded: false,
        },
    ),
    (
        "IFF_NAPI",
        Wire::Tap {
            napi: true,
            threaded: false,
        },
    ),
    (
        "IFF_NAPI in a thread",
        Wire::Tap {
            napi: true,
            threaded: true,
        },
    ),
];

fn speed(id: &'static str, what: &'static str) -> Head {
    Head {
        id,
        what,
        unit: "Gbit/s",
        more: true,
        bars: &[],
    }
}

fn price(id: &'static str, what: &'static str) -> Head {
    Head {
        unit: "ns",
        more: false,
        ..speed(id, what)
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            head: speed(
                "wire in",
                "bulk TCP from the kernel over veth, packet socket",
            ),
            make: || each(OFFLOAD, false, rate),
        },
        Row {
            head: price("wire in cost", "our processor time for 1,448 octets of it"),
            make: || each(OFFLOAD, false, cost),
        },
        Row {
            head: speed("wire plain in", "the same in segments of 1,448 octets"),
            make: || each(PLAIN, false, rate),
        },
        Row {
            head: price("wire plain in cost", "our processor time for one"),
            make: || each(PLAIN, false, cost),
        },
        Row {
            head: speed(
                "wire plain out",
                "bulk TCP to the kernel, segment by segment",
            ),
            make: || each(PLAIN, true, rate),
        },
        Row {
            head: price("wire plain out cost", "our processor time for one"),
            make: || each(PLAIN, true, cost),
        },
        Row {
            head: speed(
                "tap plain out",
                "bulk TCP to the kernel over a tap without offload",
            ),
            make: || each(TAPS, true, rate),
        },
        Row {
            head: price("tap plain out cost", "our processor time for a segment"),
            make: || each(TAPS, true, cost),
        },
    ]
}
