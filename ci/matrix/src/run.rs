//! One transfer over one path, by two kernels or by a kernel and us.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netstrata::tcp::Algorithm;
use phy::Tracer;

use crate::cell::Cell;
use crate::kernel::{self, Transfer};
use crate::lab::{FAR, Kernel, NEAR};
use crate::notes::Notes;
use crate::ours::{self, Part};
use crate::wire;

/// What a transfer is asked to be.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    pub cell: &'a Cell,
    pub octets: u64,
    pub limit: Duration,
    pub seed: u64,
    pub cc: Algorithm,
    /// Where segments are noted down, of runs that took longer than so many seconds.
    pub notes: Option<(&'a str, f64)>,
}

impl Task<'_> {
    /// Saves the notes of a run, if it is one to look at.
    fn save(&self, notes: &Notes, kind: &str, seconds: f64) {
        if let Some((folder, least)) = self.notes
            && seconds >= least
        {
            let name = self.cell.name().trim().replace([' ', '/'], "_");
            let path = format!("{folder}/{name}.{}.{kind}", self.seed);
            notes.save(path.as_ref());
        }
    }
}

/// One run over a path.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Octets that arrived.
    pub octets: u64,
    /// In how many seconds.
    pub seconds: f64,
    /// Did all arrive?
    pub whole: bool,
    /// What ends say of it.
    pub said: String,
}

impl Run {
    fn of(transfer: &Transfer, said: String) -> Self {
        let whole = transfer.is_whole();
        let seconds = if whole {
            transfer.took.load(Ordering::Relaxed) as f64 / 1e6
        } else {
            transfer.start.elapsed().as_secs_f64()
        };
        Self {
            octets: transfer.got.load(Ordering::Relaxed),
            seconds,
            whole,
            said,
        }
    }

    /// Octets per second.
    pub fn rate(&self) -> f64 {
        self.octets as f64 / self.seconds.max(1e-6)
    }
}

/// What came of a transfer whose ends said so.
fn outcome(transfer: &Transfer, ends: [io::Result<()>; 2], said: String) -> io::Result<Run> {
    for end in ends {
        match end {
            // Late is told by the run.
            Err(e) if !transfer.is_late() => return Err(e),
            _ => {}
        }
    }
    Ok(Run::of(transfer, said))
}

/// A kernel against a kernel.
pub fn linux(task: &Task<'_>) -> io::Result<Run> {
    let cell = task.cell;
    let (near, near_tap) = Kernel::new(NEAR, FAR)?;
    let (far, far_tap) = Kernel::new(FAR, NEAR)?;
    let listener = kernel::listen(&far, cell.buffer)?;
    let transfer = Transfer::new(task.octets, task.limit, cell.buffer);
    let stop = AtomicBool::new(false);
    let fault = cell.fault(task.seed);
    std::thread::scope(|scope| {
        let notes = Notes::new(task.notes.is_some());
        let [a, b] = notes.clone();
        let near_tap = Tracer::with_observer(near_tap, a);
        let far_tap = Tracer::with_observer(far_tap, b);
        let stop = &stop;
        let wire = scope.spawn(move || wire::carry(near_tap, far_tap, fault, stop));
        let receives = scope.spawn(|| kernel::receive(&listener, &transfer));
        let sent = kernel::send(&near, far.ip, &transfer);
        let received = receives.join().expect("no panic");
        stop.store(true, Ordering::Relaxed);
        wire.join().expect("no panic")?;
        let said = format!("sends {}; receives {}", near.counters(), far.counters());
        let run = outcome(&transfer, [sent, received], said)?;
        task.save(&notes[0], "linux", run.seconds);
        Ok(run)
    })
}

/// Our stack against a kernel.
pub fn mixed(task: &Task<'_>, part: Part) -> io::Result<Run> {
    let cell = task.cell;
    let (near, tap) = Kernel::new(NEAR, FAR)?;
    let listener = kernel::listen(&near, cell.buffer)?;
    let transfer = Transfer::new(task.octets, task.limit, cell.buffer);
    let stop = AtomicBool::new(false);
    let fault = cell.fault(task.seed);
    std::thread::scope(|scope| {
        let notes = Notes::new(task.notes.is_some());
        let (ends, transfer, stop, ip) = (notes.clone(), &transfer, &stop, near.ip);
        let play = move || ours::play(tap, (fault, ends), part, ip, task.cc, transfer, stop);
        let we = scope.spawn(play);
        let it = match part {
            Part::Sends => kernel::receive(&listener, transfer),
            Part::Receives => kernel::send(&near, FAR.0, transfer),
        };
        stop.store(true, Ordering::Relaxed);
        let (we, line) = match we.join().expect("no panic") {
            Ok(line) => (Ok(()), line),
            Err(e) => (Err(e), String::new()),
        };
        let said = format!("kernel {}; we {line}", near.counters());
        let run = outcome(transfer, [we, it], said)?;
        let kind = match part {
            Part::Sends => "out",
            Part::Receives => "in",
        };
        task.save(&notes[0], kind, run.seconds);
        Ok(run)
    })
}
