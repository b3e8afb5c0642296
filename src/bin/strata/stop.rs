//! Ctrl-C, and the polite form of kill: a flag that loops look at.
//!
//! Invariant: the first signal sets the flag and the command ends in order, with its summary;
//! whoever cannot wait sends a second, which ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Begins to listen for SIGINT, SIGTERM and SIGHUP. To be called once, by commands that run
/// until stopped.
pub fn listen() {
    let handler = || {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    // It fails when a handler is there already, which then sets the flag as well.
    let _ = ctrlc::set_handler(handler);
}

/// Whether a signal came.
pub fn asked() -> bool {
    STOP.load(Ordering::Relaxed)
}
