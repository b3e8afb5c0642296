//! Devices that tell their host whether anything moved, or is still on its way out, and may carry
//! less than they could.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use phy::{Capabilities, Device, Fault, FrameSink, Instant, LinkState, TxToken};

/// Counts what moves through one or more devices: whoever polls several hosts on one cable can
/// tell whether a round was quiet.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    frames: AtomicU64,
    gone: AtomicBool,
    /// Frames that a bad link delays on their way out.
    leaving: AtomicUsize,
}

impl Activity {
    /// Changes whenever a frame moves.
    pub(super) fn count(&self) -> u64 {
        self.0.frames.load(Relaxed)
    }
    /// Does the interface under the device exist no more?
    pub(super) fn is_gone(&self) -> bool {
        self.0.gone.load(Relaxed)
    }
    /// Frames sent that have not left the process yet, as of the last turn.
    pub(super) fn leaving(&self) -> usize {
        self.0.leaving.load(Relaxed)
    }
    fn add(&self, frames: u64) {
        self.0.frames.fetch_add(frames, Relaxed);
    }
}

/// The device, counted and clamped.
#[derive(Debug)]
pub(super) struct Meter<D> {
    inner: D,
    activity: Activity,
    /// Largest frame to be used, in octets, at most the device's own.
    max_frame: usize,
}

impl<D: Device> Meter<D> {
    pub(super) fn new(inner: D, activity: &Activity, max_frame: Option<usize>) -> Self {
        let max_frame = max_frame.unwrap_or(usize::MAX);
        Self {
            inner,
            activity: activity.clone(),
            max_frame,
        }
    }
}

impl<D: Device> Device for Meter<D> {
    fn capabilities(&self) -> Capabilities {
        let mut caps = self.inner.capabilities();
        caps.max_frame = caps.max_frame.min(self.max_frame);
        caps
    }
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let frames = self.inner.receive(now, budget, sink);
        if frames > 0 {
            self.activity.add(frames as u64);
        } else if self.inner.capabilities().link == LinkState::Gone {
            self.activity.0.gone.store(true, Relaxed);
        }
        frames
    }
    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        let token = self.inner.transmit(now)?;
        self.activity.add(1);
        Some(token)
    }
    fn flush(&mut self, now: Instant) {
        self.inner.flush(now);
    }
    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }
}

/// A bad link that tells how many frames it holds on their way out.
#[derive(Debug)]
pub(super) struct Delayed<D> {
    inner: Fault<D>,
    activity: Activity,
}

impl<D> Delayed<D> {
    pub(super) fn new(inner: Fault<D>, activity: &Activity) -> Self {
        let activity = activity.clone();
        Self { inner, activity }
    }
}

impl<D: Device> Device for Delayed<D> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        self.inner.receive(now, budget, sink)
    }
    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        self.inner.transmit(now)
    }
    /// Every turn ends here.
    fn flush(&mut self, now: Instant) {
        self.inner.flush(now);
        self.activity.0.leaving.store(self.inner.leaving(), Relaxed);
    }
    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }
}
