//! A device that receives what it sends. Frames wait in a bounded queue until the next
//! `receive`; an answer given while receiving is delivered by a later one, so a single call
//! always ends. Buffers are recycled.

use crate::cable::SUPER_FRAME;
use crate::frame::{Frame, Lane, Received, gather, learned};
use crate::{Abort, Capabilities, Device, FrameSink, Instant, TxMeta, TxToken};
use alloc::vec::Vec;

/// A device that receives what it sends.
///
/// Nothing leaves the host, so offloads need not be finished: unless made by
/// [`Loopback::plain`], frames come back with [`RxCsum::Valid`](crate::RxCsum) where their
/// checksum was left to the device, and super-segments stay whole.
///
/// ```
/// use phy::{Device, Instant, Loopback, RxMeta, TxMeta, TxToken};
///
/// let mut lo = Loopback::new(65_550);
/// let token = lo.transmit(Instant::ZERO).unwrap();
/// token.send(1, TxMeta::NONE, |frame| Ok(frame.fill(7))).unwrap();
/// let mut seen = 0;
/// lo.receive(Instant::ZERO, 64, &mut |frame: &mut [u8], _: RxMeta| seen = frame[0]);
/// assert_eq!(seen, 7);
/// ```
#[derive(Debug)]
pub struct Loopback {
    lane: Lane,
    caps: Capabilities,
}

impl Loopback {
    /// Frames a loopback queues unless told otherwise.
    pub const QUEUE: usize = 1024;

    /// A loopback for frames of up to `max_frame` octets, with offloads, queueing
    /// [`Loopback::QUEUE`] frames.
    #[must_use]
    pub fn new(max_frame: usize) -> Self {
        Self::with_queue(max_frame, Self::QUEUE)
    }

    /// A loopback that queues up to `queue` frames, at least one.
    #[must_use]
    pub fn with_queue(max_frame: usize, queue: usize) -> Self {
        let caps = Capabilities::new(max_frame)
            .with_tx_csum(true)
            .with_rx_csum(true)
            .with_gso(Some(SUPER_FRAME))
            .with_uso(Some(SUPER_FRAME));
        Self::over(caps, queue)
    }

    /// A loopback without offloads: every checksum is computed and verified.
    #[must_use]
    pub fn plain(max_frame: usize) -> Self {
        Self::over(Capabilities::new(max_frame), Self::QUEUE)
    }

    fn over(caps: Capabilities, queue: usize) -> Self {
        let queue = queue.max(1);
        Self {
            lane: Lane::new(queue),
            caps: caps.with_burst(queue).with_copies(true),
        }
    }

    /// Copies of the frames not yet received, oldest first.
    #[must_use]
    pub fn in_flight(&self) -> Vec<Vec<u8>> {
        self.lane.queue.iter().map(|f| f.octets.clone()).collect()
    }

    fn room(&mut self) -> Option<Tx<'_>> {
        (self.lane.room() > 0).then_some(Tx {
            lane: &mut self.lane,
            caps: &self.caps,
        })
    }
}

struct Tx<'a> {
    lane: &'a mut Lane,
    caps: &'a Capabilities,
}

impl TxToken for Tx<'_> {
    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        let limit = self.caps.frame_limit(meta.gso.is_some());
        let mut octets = self.lane.free.pop().unwrap_or_default();
        if let Err(abort) = gather(&mut octets, head, payload, limit, fill) {
            self.lane.recycle(octets);
            return Err(abort);
        }
        let meta = learned(meta, self.caps.tx_csum);
        self.lane.push(Frame { octets, meta });
        Ok(())
    }
}

impl Device for Loopback {
    fn capabilities(&self) -> Capabilities {
        self.caps
    }

    fn receive(&mut self, _now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let budget = budget.min(self.lane.queue.len());
        for taken in 0..budget {
            let Some(mut frame) = self.lane.queue.pop_front() else {
                return taken;
            };
            sink.frame(Received(&mut frame), self.room());
            self.lane.recycle(frame.octets);
        }
        budget
    }

    fn transmit(&mut self, _now: Instant) -> Option<impl TxToken> {
        self.room()
    }

    /// Frames that wait here are due at once: nobody outside announces them.
    fn deadline(&self) -> Option<Instant> {
        (!self.lane.queue.is_empty()).then_some(Instant::ZERO)
    }
}
