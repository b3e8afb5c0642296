//! Ctrl-C, and the polite form of kill: a flag that loops look at.
//!
//! Invariant: the first signal sets the flag and wakes the loop, and the command ends in order,
//! with its summary; whoever cannot wait sends a second, which ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use netstrata::phy::Bell;

static STOP: AtomicBool = AtomicBool::new(false);
static BELLS: Mutex<Vec<Bell>> = Mutex::new(Vec::new());

/// Begins to listen for SIGINT, SIGTERM and SIGHUP, and to ring `bell` when one comes. To be
/// called once for each loop of commands that run until stopped.
pub fn listen(bell: impl Into<Option<Bell>>) {
    if let Some(bell) = bell.into() {
        bells().push(bell);
    }
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        bells().iter().for_each(Bell::ring);
    };
    // It fails when a handler is there already, which then sets the flag as well.
    let _ = ctrlc::set_handler(handler);
}

/// Whether a signal came.
pub fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

fn bells() -> MutexGuard<'static, Vec<Bell>> {
    BELLS.lock().unwrap_or_else(PoisonError::into_inner)
}
