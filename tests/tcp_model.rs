//! Two whole stacks against a model: random applications over a randomly bad path, in virtual
//! time. What is written is what is read, octet by octet; states follow each other as RFC 9293
//! allows; an observer between the hosts holds every segment against the windows, acknowledgments
//! and options that had passed; and every connection comes to an end.
//!
//! A run is a number. `STRATA_SEED=0x2a cargo test --test tcp_model replay -- --nocapture` runs
//! one again and prints all of it; `ci/model.sh MINUTES` runs new ones on all processors.
#![cfg(feature = "alloc")]

#[path = "tcp_model/mod.rs"]
mod model;
mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::run::{Outcome, run};
use support::Seed;

/// Seeds that once failed, or that show something rare.
const KEPT: [u64; 1] = [
    // A cookie without timestamps agreed to window scaling.
    0xc761_aada_b423_daf5,
];

/// New seeds of an ordinary run of the tests.
const FRESH: u64 = 200;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

#[test]
fn replay() {
    let asked = number("STRATA_SEED");
    for seed in asked.map_or(KEPT.to_vec(), |seed| vec![seed]) {
        match run(seed, asked.is_some()) {
            Ok(outcome) => println!("seed {seed:#x}: {outcome:?}"),
            Err(why) => panic!("{why}"),
        }
    }
}

#[test]
fn fresh_seeds() {
    let minutes = number("STRATA_MINUTES");
    let threads = number("STRATA_THREADS").unwrap_or(1).max(1);
    let start = Instant::now();
    // A long run starts anywhere, an ordinary one always at the same place.
    let begin = match (number("STRATA_BEGIN"), minutes) {
        (Some(begin), _) => begin,
        (None, Some(_)) => {
            let time = std::time::UNIX_EPOCH
                .elapsed()
                .expect("a clock that is set");
            Seed(time.as_nanos() as u64).draw()
        }
        (None, None) => 0,
    };
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new(Outcome::default());
    let first = Mutex::new(None);
    let over = |n: u64| match minutes {
        Some(minutes) => start.elapsed() > Duration::from_secs(60 * minutes),
        None => n >= FRESH,
    };
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if over(n) {
                return;
            }
            let seed = Seed(begin.wrapping_add(n)).draw();
            match run(seed, false) {
                Ok(outcome) => {
                    let mut total = total.lock().unwrap();
                    total.octets += outcome.octets;
                    total.packets += outcome.packets;
                    total.time += outcome.time;
                    total.clean += outcome.clean;
                    total.ends += outcome.ends;
                }
                Err(why) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("{why}");
                    first.lock().unwrap().get_or_insert(seed);
                }
            }
            if minutes.is_some() && n.is_multiple_of(1000) {
                let total = total.lock().unwrap();
                eprintln!(
                    "{:6} s: {n} seeds, {} failed, {} MB in {} packets, {} virtual hours, \
                     {} of {} ends orderly",
                    start.elapsed().as_secs(),
                    failed.load(Ordering::Relaxed),
                    total.octets / 1_000_000,
                    total.packets,
                    total.time.as_secs() / 3600,
                    total.clean,
                    total.ends,
                );
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    println!("{:?} in {:?}", total.lock().unwrap(), start.elapsed());
    assert_eq!(
        *first.lock().unwrap(),
        None,
        "{} seeds failed",
        failed.load(Ordering::Relaxed)
    );
}
