//! TCP of this stack against the Linux kernel, and the kernel against itself, over the same bad
//! wire: goodput of each, and their ratio.
//!
//! A cell is a path. For each, octets that both ends can compute go from our stack to a kernel
//! (`out`), from a kernel to our stack (`in`), and from a kernel to a kernel (`linux`), and every
//! octet is compared. The wire is [`phy::Fault`] in user space in all three; both ends run CUBIC
//! unless told otherwise, chosen before they connect. See `ci/matrix.sh` for the words.

mod cell;
mod kernel;
mod lab;
mod ours;
mod table;
mod wire;

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use netstrata::tcp::Algorithm;

use cell::Cell;
use kernel::Transfer;
use lab::{FAR, Kernel, NEAR};
use ours::Part;
use table::Row;

/// What was asked for.
#[derive(Debug)]
struct Asked {
    quick: bool,
    full: bool,
    verbose: bool,
    jobs: usize,
    repeat: usize,
    seconds: f64,
    only: Option<String>,
    cc: Algorithm,
}

/// One run over a path: octets per second, and whether all arrived.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    pub rate: f64,
    pub whole: bool,
}

fn run_of(transfer: &Transfer) -> Run {
    let got = transfer.got.load(Ordering::Relaxed);
    let whole = transfer.is_whole();
    let seconds = if whole {
        transfer.took.load(Ordering::Relaxed) as f64 / 1e6
    } else {
        transfer.start.elapsed().as_secs_f64()
    };
    Run {
        rate: got as f64 / seconds.max(1e-6),
        whole,
    }
}

/// A kernel against a kernel.
fn linux(cell: &Cell, octets: u64, limit: Duration, seed: u64) -> io::Result<Run> {
    let (near, near_tap) = Kernel::new(NEAR, FAR)?;
    let (far, far_tap) = Kernel::new(FAR, NEAR)?;
    let listener = kernel::listen(&far, cell.buffer)?;
    let transfer = Transfer::new(octets, limit, cell.buffer);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let wire = scope.spawn(|| wire::carry(near_tap, far_tap, cell.fault(seed), &stop));
        let receives = scope.spawn(|| kernel::receive(&listener, &transfer));
        let sent = kernel::send(&near, far.ip, &transfer);
        let received = receives.join().expect("no panic");
        stop.store(true, Ordering::Relaxed);
        wire.join().expect("no panic")?;
        outcome(&transfer, [sent, received])
    })
}

/// What came of a transfer whose ends said so.
fn outcome(transfer: &Transfer, ends: [io::Result<()>; 2]) -> io::Result<Run> {
    for end in ends {
        match end {
            // Late is told by the run.
            Err(e) if !transfer.is_late() => return Err(e),
            _ => {}
        }
    }
    Ok(run_of(transfer))
}

/// Our stack against a kernel.
fn mixed(
    cell: &Cell,
    part: Part,
    cc: Algorithm,
    octets: u64,
    limit: Duration,
    seed: u64,
) -> io::Result<(Run, String)> {
    let (near, tap) = Kernel::new(NEAR, FAR)?;
    let listener = kernel::listen(&near, cell.buffer)?;
    let transfer = Transfer::new(octets, limit, cell.buffer);
    let stop = AtomicBool::new(false);
    let fault = cell.fault(seed);
    std::thread::scope(|scope| {
        let play = || ours::play(tap, fault, part, near.ip, cc, &transfer, &stop);
        let we = scope.spawn(play);
        let it = match part {
            Part::Sends => kernel::receive(&listener, &transfer),
            Part::Receives => kernel::send(&near, FAR.0, &transfer),
        };
        stop.store(true, Ordering::Relaxed);
        let (we, line) = match we.join().expect("no panic") {
            Ok(line) => (Ok(()), line),
            Err(e) => (Err(e), String::new()),
        };
        Ok((outcome(&transfer, [we, it])?, line))
    })
}

/// The middle one of some runs.
fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let whole = runs.iter().all(|run| run.whole);
    let rate = runs.get(runs.len() / 2).map_or(0.0, |run| run.rate);
    Run { rate, whole }
}

fn measure(cell: &Cell, asked: &Asked) -> io::Result<Row> {
    let (seconds, limit) = if asked.full {
        (1e9, Duration::from_secs(7200))
    } else {
        (
            asked.seconds,
            Duration::from_secs_f64(asked.seconds * 6.0 + 10.0),
        )
    };
    let octets = cell.octets(seconds, 50_000_000);
    let (mut l, mut o, mut i) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = Vec::new();
    for n in 0..asked.repeat as u64 {
        let seed = 7 + n;
        l.push(linux(cell, octets, limit, seed)?);
        let (run, line) = mixed(cell, Part::Sends, asked.cc, octets, limit, seed)?;
        o.push(run);
        lines.push(line);
        let (run, line) = mixed(cell, Part::Receives, asked.cc, octets, limit, seed)?;
        i.push(run);
        lines.push(line);
    }
    Ok(Row {
        cell: *cell,
        octets,
        linux: median(l),
        out: median(o),
        into: median(i),
        lines,
    })
}

fn asked() -> Result<Asked, String> {
    let mut asked = Asked {
        quick: false,
        full: false,
        verbose: false,
        jobs: 1,
        repeat: 1,
        seconds: 8.0,
        only: None,
        cc: Algorithm::Cubic,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} what?"));
        let bad = |e: &dyn std::fmt::Display| format!("{word}: {e}");
        match word.as_str() {
            "--quick" => asked.quick = true,
            "--full" => asked.full = true,
            "--verbose" => asked.verbose = true,
            "--jobs" => asked.jobs = value()?.parse().map_err(|e| bad(&e))?,
            "--repeat" => asked.repeat = value()?.parse().map_err(|e| bad(&e))?,
            "--seconds" => asked.seconds = value()?.parse().map_err(|e| bad(&e))?,
            "--only" => asked.only = Some(value()?),
            "--cc" => asked.cc = value()?.parse().map_err(|e| bad(&e))?,
            _ => return Err(format!("what is {word}?")),
        }
    }
    Ok(asked)
}

fn main() {
    let asked = asked().unwrap_or_else(|why| {
        eprintln!("matrix: {why}");
        std::process::exit(2);
    });
    if !nix::unistd::geteuid().is_root() {
        eprintln!("matrix: needs root for network namespaces");
        std::process::exit(2);
    }
    let mut cells = if asked.quick {
        Cell::quick()
    } else {
        Cell::all()
    };
    if let Some(only) = &asked.only {
        cells.retain(|cell| only.split(',').any(|word| cell.name().contains(word)));
    }
    match Kernel::new(NEAR, FAR) {
        Ok((kernel, _)) => table::head(&kernel, &asked.cc.to_string(), asked.repeat),
        Err(e) => {
            eprintln!("matrix: no network namespaces: {e}");
            std::process::exit(2);
        }
    }
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    let work = |fast: bool| {
        while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Fast paths want the processor for themselves.
            if (cell.rate > 100) != fast {
                if !fast {
                    next.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
                continue;
            }
            match measure(cell, &asked) {
                Ok(row) => {
                    let mut rows = rows.lock().expect("no panic");
                    table::line(&row, asked.verbose);
                    rows.push(row);
                }
                Err(e) => eprintln!("{}: {e}", cell.name()),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..asked.jobs.max(1) {
            scope.spawn(|| work(false));
        }
    });
    next.store(0, Ordering::Relaxed);
    work(true);
    let rows = rows.into_inner().expect("no panic");
    table::foot(&rows);
    if rows.len() < cells.len() {
        std::process::exit(1);
    }
}
