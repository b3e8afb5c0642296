//! Work for a counter of instructions: `count KIND THOUSANDS`. Time is virtual and secrets are
//! fixed, so that a run is the same instructions every time.

use crate::content::Text;
use crate::ours;
use crate::work::Access;

/// Does that many thousand pieces of one kind of work of ours.
pub fn run(mut words: impl Iterator<Item = String>) {
    let kind = words.next();
    let n: usize = words.next().and_then(|n| n.parse().ok()).unwrap_or(1) * 1000;
    let mut pair = ours::Pair::replayed(1500);
    let done = match kind.as_deref() {
        Some("segments") => pair.bulk(n * 1448, Access::Copy, Text::Plain),
        Some("datagrams") => pair.datagrams(n, 64, Text::Plain),
        Some("connections") => Ok(pair.churn(n / 1000, 1000)),
        Some("connection") => Ok(pair.churn(n, 1)),
        Some("polls") => Ok(pair.idle_polls(n)),
        _ => {
            eprintln!("count segments|datagrams|connections|connection|polls THOUSANDS");
            std::process::exit(2);
        }
    };
    done.expect("all of it arrived");
}
