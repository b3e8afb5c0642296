//! How far apart the machine's first two processors are. Those of a virtual machine are threads of
//! its host, which moves them: in one second they share a cache, in the next they are on different
//! chips, and what one of them wrote takes the other five times as long to see. Work that two of
//! them share is then another work.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant as Clock};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Round trips of a sample, and samples of which the least counts.
const TRIPS: u32 = 200;
const SAMPLES: u32 = 8;
/// Farther than this many hundredths of the nearest they ever were is far.
const FAR: u32 = 150;
/// How long a turn may be put off, and how long they are looked at before the first.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST: Duration = Duration::from_secs(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// A word in cache lines of its own.
#[repr(align(128))]
struct Word(AtomicU32);

/// Takes a turn while the processors are about as near as they have ever been, and once more if they
/// were not any more at its end. Whoever takes turns so finds them alike, unless they stay far for
/// long.
pub fn alike<R>(mut turn: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    wait(PATIENCE)?;
    let result = turn()?;
    if are()? {
        return Ok(result);
    }
    wait(PATIENCE)?;
    turn()
}

/// The least that [`apart`] ever said.
static NEAREST: AtomicU32 = AtomicU32::new(u32::MAX);

/// Waits until they are near, for so long at most.
fn wait(most: Duration) -> io::Result<()> {
    let begun = Clock::now();
    if NEAREST.load(Ordering::Relaxed) == u32::MAX {
        // What near means here.
        while begun.elapsed() < FIRST {
            are()?;
            thread::sleep(PAUSE);
        }
    }
    while !are()? && begun.elapsed() < most {
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Are they near now?
fn are() -> io::Result<bool> {
    let Some(now) = apart()? else { return Ok(true) };
    let nearest = NEAREST.fetch_min(now, Ordering::Relaxed).min(now);
    Ok(now <= nearest.saturating_mul(FAR) / 100)
}

/// Nanoseconds for a word to go to the second processor and back; `None` without a second one.
fn apart() -> io::Result<Option<u32>> {
    let me = Pid::from_raw(0);
    let all = sched_getaffinity(me)?;
    let mut each = (0..CpuSet::count()).filter(|n| all.is_set(*n) == Ok(true));
    let (Some(first), Some(second)) = (each.next(), each.next()) else {
        return Ok(None);
    };
    let only = move |n| {
        let mut one = CpuSet::new();
        one.set(n)?;
        sched_setaffinity(me, &one)
    };
    let word = Arc::new(Word(AtomicU32::new(0)));
    let theirs = Arc::clone(&word);
    let other = thread::spawn(move || {
        let placed = only(second);
        for n in 0..TRIPS * SAMPLES {
            while theirs.0.load(Ordering::Acquire) != 2 * n + 1 {}
            theirs.0.store(2 * n + 2, Ordering::Release);
        }
        placed
    });
    let placed = only(first);
    let mut least = Duration::MAX;
    for sample in 0..SAMPLES {
        let start = Clock::now();
        for n in sample * TRIPS..(sample + 1) * TRIPS {
            word.0.store(2 * n + 1, Ordering::Release);
            while word.0.load(Ordering::Acquire) != 2 * n + 2 {}
        }
        least = least.min(start.elapsed());
    }
    let theirs = other.join().map_err(|_| io::Error::other("a thread"))?;
    sched_setaffinity(me, &all)?;
    placed.and(theirs)?;
    let each = least.as_nanos() / u128::from(TRIPS);
    Ok(u32::try_from(each).ok())
}
