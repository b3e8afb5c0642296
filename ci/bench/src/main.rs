//! The same work on netstrata, on its peers and on the machine's own limit, in turn, in one run.
//!
//! `cargo run --release -- [ROUNDS] [ROW ...]` prints a table; ci/bench writes BENCHMARKS.md.

mod limits;
mod ours;
mod report;
mod rows;
mod smol;
mod smol_cable;
mod stats;
mod work;

fn main() {
    let mut words = std::env::args().skip(1).peekable();
    let rounds = words.next_if(|word| word.parse::<usize>().is_ok());
    let rounds = rounds.and_then(|word| word.parse().ok()).unwrap_or(5);
    let wanted: Vec<String> = words.collect();
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
