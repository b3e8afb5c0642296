//! Tables for people.

use std::fmt::Write;

use crate::rows::Measured;
use crate::stats::Samples;

fn figure(samples: &Samples) -> String {
    let digits = |value: f64| match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    };
    let (least, most) = (digits(samples.min()), digits(samples.max()));
    format!("{} ({least} to {most})", digits(samples.median()))
}

/// One row in one line.
pub fn line(row: &Measured) -> String {
    let mut text = format!("{:<11}", row.id);
    for (name, samples) in &row.columns {
        let _ = write!(text, "  {name} {}", figure(samples));
    }
    for (name, ratio) in ratios(row) {
        let _ = write!(text, "  {ratio:.2} x {name}");
    }
    text + " " + row.unit
}

/// What our figure is of each other's.
fn ratios(row: &Measured) -> Vec<(&'static str, f64)> {
    let Some(((_, ours), others)) = row.columns.split_first() else {
        return Vec::new();
    };
    let each = others.iter();
    each.map(|(name, samples)| (*name, ours.ratio(samples)))
        .collect()
}

/// The rows as a Markdown table.
pub fn table(rows: &[Measured]) -> String {
    let mut text = String::from(
        "| row | work | unit | netstrata | others | netstrata / other | bar |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let mut columns = row.columns.iter();
        let ours = columns.next().map_or(String::new(), |(_, s)| figure(s));
        let others: Vec<_> = columns.map(|(n, s)| format!("{n} {}", figure(s))).collect();
        let all = ratios(row);
        let all: Vec<_> = all.iter().map(|(n, r)| format!("{r:.2} x {n}")).collect();
        let better = if row.more {
            "more is better"
        } else {
            "less is better"
        };
        let _ = writeln!(
            text,
            "| {} | {} | {}, {better} | {ours} | {} | {} | {} |",
            row.id,
            row.what,
            row.unit,
            others.join("; "),
            all.join("; "),
            row.bar,
        );
    }
    text
}
