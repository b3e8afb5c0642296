//! Ctrl-C, and the polite form of kill: a flag that loops look at.
//!
//! Invariant: the first signal sets the flag and wakes the loop, and the command ends in order,
//! with its summary; whoever cannot wait sends a second, which ends the process at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use netstrata::phy::Bell;

static STOP: AtomicBool = AtomicBool::new(false);
static BELL: OnceLock<Bell> = OnceLock::new();

/// Begins to listen for SIGINT, SIGTERM and SIGHUP, and to ring `bell` when one comes. To be
/// called once, by commands that run until stopped.
pub fn listen(bell: impl Into<Option<Bell>>) {
    if let Some(bell) = bell.into() {
        let _ = BELL.set(bell); // a second one is not needed
    }
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        if let Some(bell) = BELL.get() {
            bell.ring();
        }
    };
    // It fails when a handler is there already, which then sets the flag as well.
    let _ = ctrlc::set_handler(handler);
}

/// Whether a signal came.
pub fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}
