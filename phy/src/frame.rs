//! Queues of frames whose buffers go round: the common part of devices that live in memory.
//! Invariant: `queue` never holds more than `limit` frames and `free` never more than
//! `limit` buffers, so memory is bounded by twice the limit.

use alloc::{collections::VecDeque, vec::Vec};

use crate::{Abort, RxMeta, RxToken, TxMeta, assemble};

/// A frame with what its receiver will learn about it.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pub(crate) octets: Vec<u8>,
    pub(crate) meta: RxMeta,
}

/// A bounded queue of frames and a free list of their buffers.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) queue: VecDeque<Frame>,
    pub(crate) free: Vec<Vec<u8>>,
    pub(crate) limit: usize,
    /// Rung when a frame comes into the empty queue.
    #[cfg(all(feature = "std", target_os = "linux"))]
    pub(crate) bell: Option<crate::Bell>,
}

impl Lane {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            free: Vec::new(),
            limit,
            #[cfg(all(feature = "std", target_os = "linux"))]
            bell: None,
        }
    }

    /// Adds a frame and rings if the receiver may be asleep.
    #[inline]
    pub(crate) fn push(&mut self, frame: Frame) {
        #[cfg(all(feature = "std", target_os = "linux"))]
        if let Some(bell) = self.bell.as_ref().filter(|_| self.queue.is_empty()) {
            bell.ring();
        }
        self.queue.push_back(frame);
    }

    /// Adds frames, and rings as [`push`](Self::push) does; there is room for them. The queues are
    /// swapped where that is all.
    pub(crate) fn append(&mut self, frames: &mut VecDeque<Frame>) {
        if frames.is_empty() {
            return;
        }
        if !self.queue.is_empty() {
            self.queue.append(frames);
            return;
        }
        core::mem::swap(&mut self.queue, frames);
        #[cfg(all(feature = "std", target_os = "linux"))]
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }

    /// How many more frames fit.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.queue.len())
    }

    /// Takes spent buffers back, as many as it keeps.
    pub(crate) fn take_back(&mut self, spent: &mut Vec<Vec<u8>>) {
        let room = self.limit.saturating_sub(self.free.len());
        spent.truncate(room);
        self.free.append(spent);
    }

    /// Takes a spent buffer back.
    pub(crate) fn recycle(&mut self, octets: Vec<u8>) {
        if self.free.len() < self.limit {
            self.free.push(octets);
        }
    }
}

/// The receive token of a queued frame; the owner takes the buffer back afterwards.
pub(crate) struct Received<'a>(pub(crate) &'a mut Frame);

impl RxToken for Received<'_> {
    fn frame(&mut self) -> &mut [u8] {
        &mut self.0.octets
    }
    fn meta(&self) -> RxMeta {
        self.0.meta
    }
}

/// Length of a gathered frame in octets, `None` beyond the address space.
pub(crate) fn gathered_len(head: usize, payload: [&[u8]; 2]) -> Option<usize> {
    let [a, b] = payload;
    head.checked_add(a.len())?.checked_add(b.len())
}

/// Writes a gathered frame into `octets`, whose former content does not matter.
pub(crate) fn gather<F>(
    octets: &mut Vec<u8>,
    head: usize,
    payload: [&[u8]; 2],
    limit: usize,
    fill: F,
) -> Result<(), Abort>
where
    F: FnOnce(&mut [u8]) -> Result<(), Abort>,
{
    let len = gathered_len(head, payload).ok_or(Abort)?;
    if len > limit {
        return Err(Abort);
    }
    // Shrinking keeps the old octets, growing zeroes the new ones only: in steady state
    // nothing is written twice.
    octets.resize(len, 0);
    assemble(octets, payload, fill)
}

/// What the other side learns: the offloads asked for if `carried`, else nothing.
pub(crate) fn learned(meta: TxMeta, carried: bool) -> RxMeta {
    if carried {
        RxMeta::handed_over(meta)
    } else {
        RxMeta::new()
    }
}
