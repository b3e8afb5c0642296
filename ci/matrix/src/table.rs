//! Results as a table of Markdown.

use crate::Run;
use crate::cell::Cell;
use crate::lab::Kernel;

/// What came of a cell.
#[derive(Debug)]
pub struct Row {
    pub cell: Cell,
    pub octets: u64,
    pub linux: Run,
    pub out: Run,
    pub into: Run,
    /// What our end says of its connections.
    pub lines: Vec<String>,
}

/// What is measured, and the titles.
pub fn head(kernel: &Kernel, cc: &str, repeat: usize) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!(
        "Linux {}, cubic, tcp_rmem {}, tcp_wmem {}; ours {cc}; median of {repeat}; \
         megabits of text per second; * not all arrived in time.\n",
        release.trim(),
        kernel.number("tcp_rmem"),
        kernel.number("tcp_wmem"),
    );
    println!("| path | MB | limit | linux | out | in | out/linux | in/linux |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
}

fn shown(run: Run) -> String {
    let star = if run.whole { "" } else { "*" };
    format!("{}{star}", rate(run.rate))
}

fn rate(octets: f64) -> String {
    let megabits = octets * 8.0 / 1e6;
    if megabits < 10.0 {
        format!("{megabits:.3}")
    } else {
        format!("{megabits:.1}")
    }
}

fn ratio(run: Run, linux: Run) -> f64 {
    run.rate / linux.rate.max(1.0)
}

/// A row.
pub fn line(row: &Row, verbose: bool) {
    println!(
        "| {} | {:.1} | {} | {} | {} | {} | {:.2} | {:.2} |",
        row.cell.name(),
        row.octets as f64 / 1e6,
        rate(row.cell.limit()),
        shown(row.linux),
        shown(row.out),
        shown(row.into),
        ratio(row.out, row.linux),
        ratio(row.into, row.linux),
    );
    if verbose {
        for line in &row.lines {
            eprintln!("  {line}");
        }
    }
}

/// The means.
pub fn foot(rows: &[Row]) {
    let both: [(&str, fn(&Row) -> f64); 2] = [
        ("out", |row| ratio(row.out, row.linux)),
        ("in", |row| ratio(row.into, row.linux)),
    ];
    println!();
    for (name, of) in both {
        let logs: f64 = rows.iter().map(|row| of(row).max(1e-3).ln()).sum();
        let mean = (logs / rows.len().max(1) as f64).exp();
        let least = rows.iter().min_by(|a, b| of(a).total_cmp(&of(b)));
        if let Some(least) = least {
            println!(
                "{name}: geometric mean {mean:.2}, least {:.2} ({})",
                of(least),
                least.cell.name()
            );
        }
    }
}
