//! The bad wire between two kernels, in a thread of its own.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use phy::{
    Clock, Device, Fault, FaultConfig, Instant, Monotonic, RxMeta, Tap, Tracer, TxMeta, TxToken,
    Waiter, Watch,
};

use crate::notes::Notes;

/// A tap that is watched.
pub type Noted = Tracer<Tap, Notes>;
/// Frames moved at a time.
const BATCH: usize = 64;

/// Carries frames between two taps through `fault`, the same each way, until `stop`.
pub fn carry(near: Noted, far: Noted, fault: FaultConfig, stop: &AtomicBool) -> io::Result<()> {
    let fds = [near.get_ref().as_fd(), far.get_ref().as_fd()].map(|fd| fd.try_clone_to_owned());
    let [a, b] = fds;
    let (a, b) = (a?, b?);
    let (mut near, mut far) = (near, Fault::new(far, fault));
    let waiter = Waiter::new()?;
    let clock = Monotonic::new();
    while !stop.load(Ordering::Relaxed) {
        let now = clock.now();
        let there = pass(&mut near, &mut far, now);
        let back = pass(&mut far, &mut near, now);
        far.flush(now);
        if there + back > 0 {
            continue;
        }
        let soon = now + core::time::Duration::from_millis(200);
        let due = far.deadline().map_or(soon, |due| due.min(soon));
        waiter.until(
            &[Watch::readable(&a), Watch::readable(&b)],
            &clock,
            Some(due),
        )?;
    }
    Ok(())
}

fn pass(from: &mut impl Device, to: &mut impl Device, now: Instant) -> usize {
    let taken = from.receive(now, BATCH, &mut |frame: &mut [u8], _: RxMeta| {
        if let Some(token) = to.transmit(now) {
            let len = frame.len();
            let _ = token.send(len, TxMeta::NONE, |room| {
                room.copy_from_slice(frame);
                Ok(())
            });
        }
    });
    to.flush(now);
    taken
}
