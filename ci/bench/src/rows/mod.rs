//! All rows: one file for each family. Another row is another entry of its family's list, and
//! another family another file and a line below.

mod cores;
mod datagrams;
mod instructions;
mod many;
mod memory;
mod tap;
mod wires;

use crate::row::{Bar, Head, Row};

/// Every row, in the order of the table.
pub fn all() -> Vec<Row> {
    let mut all = memory::rows();
    all.extend(tap::rows());
    all.extend(many::rows());
    all.extend(datagrams::rows());
    all.extend(instructions::rows());
    all.extend(cores::rows());
    all.extend(wires::rows());
    all.sort_by_key(|row| row.head.id.split(' ').next().unwrap_or_default());
    all
}

/// A row that tells how many bits of text a second.
fn gigabits(id: &'static str, what: &'static str, bars: &'static [Bar]) -> Head {
    Head {
        id,
        what,
        unit: "Gbit/s",
        more: true,
        bars,
    }
}
