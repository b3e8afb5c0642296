//! Results as a table of Markdown.

use crate::cell::Cell;
use crate::lab::Kernel;
use crate::run::Run;

/// What came of a cell.
#[derive(Debug)]
pub struct Row {
    pub cell: Cell,
    pub octets: u64,
    pub linux: Vec<Run>,
    pub out: Vec<Run>,
    pub into: Vec<Run>,
}

impl Row {
    pub fn new(cell: &Cell, octets: u64) -> Self {
        Self {
            cell: *cell,
            octets,
            linux: Vec::new(),
            out: Vec::new(),
            into: Vec::new(),
        }
    }
}

/// Octets per second of all runs together.
pub fn rate_of(runs: &[Run]) -> f64 {
    let octets: u64 = runs.iter().map(|run| run.octets).sum();
    let seconds: f64 = runs.iter().map(|run| run.seconds).sum();
    octets as f64 / seconds.max(1e-6)
}

/// The middle one of their rates.
fn median(runs: &[Run]) -> f64 {
    let mut rates: Vec<f64> = runs.iter().map(Run::rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}

/// What is measured, and the titles.
pub fn head(kernel: &Kernel, cc: &str, repeat: usize) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!(
        "Linux {}, cubic, tcp_rmem {}, tcp_wmem {}; ours {cc}; {repeat} runs each, their octets \
         by their time; megabits of text per second; * not all arrived in time.\n",
        release.trim(),
        kernel.number("tcp_rmem"),
        kernel.number("tcp_wmem"),
    );
    println!("| path | MB | limit | linux | out | in | out/linux | in/linux |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
}

fn shown(runs: &[Run]) -> String {
    let whole = runs.iter().all(|run| run.whole);
    let star = if whole { "" } else { "*" };
    format!("{}{star}", rate(rate_of(runs)))
}

fn rate(octets: f64) -> String {
    let megabits = octets * 8.0 / 1e6;
    if megabits < 10.0 {
        format!("{megabits:.3}")
    } else {
        format!("{megabits:.1}")
    }
}

fn ratio(runs: &[Run], linux: &[Run]) -> f64 {
    rate_of(runs) / rate_of(linux).max(1.0)
}

/// A row.
pub fn line(row: &Row, verbose: bool) {
    println!(
        "| {} | {:.1} | {} | {} | {} | {} | {:.2} | {:.2} |",
        row.cell.name(),
        row.octets as f64 / 1e6,
        rate(row.cell.limit()),
        shown(&row.linux),
        shown(&row.out),
        shown(&row.into),
        ratio(&row.out, &row.linux),
        ratio(&row.into, &row.linux),
    );
    if verbose {
        for (name, runs) in [("linux", &row.linux), ("out", &row.out), ("in", &row.into)] {
            eprintln!("{} {name} median {}", row.cell.name(), rate(median(runs)));
            for run in runs {
                eprintln!("  {name} {:.3} s {}", run.seconds, run.said);
            }
        }
    }
}

/// The means.
pub fn foot(rows: &[Row]) {
    type Of = fn(&Row) -> f64;
    let both: [(&str, Of); 2] = [
        ("out", |row| ratio(&row.out, &row.linux)),
        ("in", |row| ratio(&row.into, &row.linux)),
    ];
    println!();
    for (name, of) in both {
        let logs: f64 = rows.iter().map(|row| of(row).max(1e-3).ln()).sum();
        let mean = (logs / rows.len().max(1) as f64).exp();
        let least = rows.iter().min_by(|a, b| of(a).total_cmp(&of(b)));
        if let Some(least) = least {
            println!(
                "{name}: geometric mean {mean:.2} of {} cells, least {:.2} ({})",
                rows.len(),
                of(least),
                least.cell.name()
            );
        }
    }
}
