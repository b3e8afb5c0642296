//! P8: instructions a segment, outside copies and sums, as ci/instructions.sh keeps them.

use std::io;

use crate::row::{Bar, Contestant, Head, Row};

/// The figure called `name` in ci/instructions.txt.
fn kept(name: &str) -> io::Result<f64> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../instructions.txt");
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let figure = lines
        .filter(|(key, _)| *key == name)
        .find_map(|(_, figure)| figure.parse().ok());
    figure.ok_or_else(|| io::Error::other(format!("no {name} in {path}")))
}

fn counted(name: &'static str) -> io::Result<Vec<Contestant>> {
    let figure = kept(name)?;
    Ok(vec![Contestant::new("netstrata", move || Ok(figure))])
}

fn head(id: &'static str, what: &'static str) -> Head {
    Head {
        id,
        what,
        unit: "instructions",
        more: false,
        bars: &[Bar::Value(400.0)],
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            head: head("P8 send", "to send a segment, but for copies and sums"),
            make: || counted("send"),
        },
        Row {
            head: head(
                "P8 receive",
                "to receive a segment, but for copies and sums",
            ),
            make: || counted("receive"),
        },
    ]
}
