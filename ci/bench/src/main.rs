//! The same work on netstrata, on its peers and on the machine's own limit, in turn, in one run.
//!
//! `cargo run --release -- [ROUNDS] [ROW ...]` prints a table; ci/bench writes BENCHMARKS.md.

mod cores;
mod fake;
mod kernel;
mod limits;
mod ours;
mod ours_tap;
mod report;
mod rows;
mod smol;
mod smol_cable;
mod smol_tap;
mod stats;
mod tap_fd;
mod work;

fn main() {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == "count").is_some() {
        return count(words.next(), words.next());
    }
    let rounds = words.next_if(|word| word.parse::<usize>().is_ok());
    let rounds = rounds.and_then(|word| word.parse().ok()).unwrap_or(5);
    let wanted: Vec<String> = words.collect();
    if let Err(error) = kernel::leave() {
        eprintln!("without root and namespaces there are no rows with taps: {error}");
    }
    let mut table = Vec::new();
    for (id, make) in rows::ALL {
        let asked = |word: &String| id == word || id.starts_with(&format!("{word} "));
        if wanted.is_empty() || wanted.iter().any(asked) {
            let measured = make().measure(rounds);
            eprintln!("{}", report::line(&measured));
            table.push(measured);
        }
    }
    print!("{}", report::table(&table));
}

/// Does `n` thousand pieces of one kind of work of ours, for a counter of instructions.
fn count(kind: Option<String>, n: Option<String>) {
    let n: usize = n.and_then(|n| n.parse().ok()).unwrap_or(1) * 1000;
    let mut pair = ours::Pair::new(1500);
    let _ = match kind.as_deref() {
        Some("segments") => pair.bulk(n * 1448, work::Access::Copy),
        Some("datagrams") => pair.datagrams(n, 64),
        Some("connections") => pair.churn(n / 1000, 1000),
        Some("polls") => pair.idle_polls(n),
        Some("connection") => pair.churn(n, 1),
        _ => {
            eprintln!("count segments|datagrams|connections|connection|polls THOUSANDS");
            std::process::exit(2);
        }
    };
}
