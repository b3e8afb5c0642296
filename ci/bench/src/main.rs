//! The same work on netstrata, on its peers and on the machine's own limit, in turn, in one run.
//!
//! `[--write] [ROUNDS] [ROW ...]` prints a table. With `--write` the figures are kept in
//! `ci/bench/results.tsv`, and BENCHMARKS.md and its chart are made from all that are kept there.
//! Each row is a process of its own, so that none finds the heap that another left behind.

mod chart;
mod content;
mod cores;
mod count;
mod datagram_tap;
mod fake;
mod heap;
mod kernel;
mod limits;
mod lwip;
mod machine;
mod million;
mod near;
mod ours;
mod ours_tap;
mod report;
mod results;
mod row;
mod rows;
mod smol;
mod smol_cable;
mod smol_tap;
mod stats;
mod tap_fd;
mod veth;
mod wires;
mod work;

use std::process::{Command, ExitCode, Stdio};
use std::{fs, io};

use results::Results;
use row::{Head, Row};

const HOME: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == "count").is_some() {
        count::run(words);
        return ExitCode::SUCCESS;
    }
    if words.next_if(|word| word == "million").is_some() {
        let n = words.next().and_then(|n| n.parse().ok());
        million::run(n.unwrap_or(1_000_000));
        return ExitCode::SUCCESS;
    }
    let alone = words.next_if(|word| word == "alone").is_some();
    let write = words.next_if(|word| word == "--write").is_some();
    let rounds = words.next_if(|word| word.parse::<usize>().is_ok());
    let rounds: usize = rounds.and_then(|word| word.parse().ok()).unwrap_or(5);
    let wanted: Vec<String> = words.collect();
    let asked = |row: &Row| {
        let id = row.head.id;
        let is = |word: &String| id == word || id.starts_with(&format!("{word} "));
        wanted.is_empty() || wanted.iter().any(is)
    };
    let all = rows::all();
    let heads: Vec<Head> = all.iter().map(|row| row.head).collect();
    let done = match alone {
        true => all.iter().filter(|row| asked(row)).try_for_each(|row| {
            let figures = row.measure(rounds)?;
            print!("{}", results::lines(row.head.id, &figures));
            Ok(())
        }),
        false => {
            let ids = all.iter().filter(|row| asked(row)).map(|row| row.head);
            measure(&heads, ids, rounds, write)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures rows one after the other, and says what came out; fails where one of them did.
fn measure(
    heads: &[Head],
    asked: impl Iterator<Item = Head>,
    rounds: usize,
    write: bool,
) -> io::Result<()> {
    if let Err(error) = kernel::leave() {
        eprintln!("without root and namespaces there are no rows with taps: {error}");
    }
    let mut measured = Results::default();
    let mut failed = Vec::new();
    for head in asked {
        let rounds = rounds.to_string();
        let row = Command::new(std::env::current_exe()?)
            .args(["alone", &rounds, head.id])
            .stderr(Stdio::inherit())
            .output()?;
        let figures = Results::read(&String::from_utf8_lossy(&row.stdout));
        match figures.row(head.id) {
            Some(all) => eprintln!("{}", report::line(&head, all)),
            None => failed.push(head.id),
        }
        measured.update(&figures);
        if write {
            keep(heads, &measured, &rounds)?;
        }
    }
    println!("{}, {rounds} rounds.\n", machine::describe());
    print!("{}", report::table(heads, &measured));
    match failed.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(format!("failed: {}", failed.join(", ")))),
    }
}

/// Keeps what was measured so far, and writes the table and the chart anew.
fn keep(heads: &[Head], measured: &Results, rounds: &str) -> io::Result<()> {
    let path = format!("{HOME}/ci/bench/results.tsv");
    let mut all = Results::read(&fs::read_to_string(&path).unwrap_or_default());
    all.update(measured);
    fs::write(&path, all.text())?;
    let chart = chart::svg(heads, &all).map_err(|error| io::Error::other(error.to_string()))?;
    fs::write(format!("{HOME}/ci/bench/chart.svg"), chart)?;
    let path = format!("{HOME}/BENCHMARKS.md");
    let text = fs::read_to_string(&path)?;
    let new = format!(
        "{}; {rounds} rounds.\n\n{}",
        machine::describe(),
        report::table(heads, &all)
    );
    let text = report::splice(&text, "figures", &new)
        .ok_or_else(|| io::Error::other("BENCHMARKS.md has lost its marks"))?;
    fs::write(path, text)
}
