//! Ctrl-C for programs that serve until then: a flag that loops look at.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use netstrata::phy::Bell;

use crate::support::Trouble;

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C wakes whoever sleeps at one of `bells`, to end in order; a second
/// one ends the process.
pub fn listen(bells: Vec<Bell>) -> Result<(), Trouble> {
    ctrlc::set_handler(move || {
        if STOP.swap(true, Relaxed) {
            std::process::exit(130);
        }
        bells.iter().for_each(|bell| bell.ring());
    })?;
    Ok(())
}

/// Was it pressed?
pub fn asked() -> bool {
    STOP.load(Relaxed)
}
