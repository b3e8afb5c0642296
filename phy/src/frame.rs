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
}

impl Lane {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            free: Vec::new(),
            limit,
        }
    }

    /// Adds a frame.
    #[inline]
    pub(crate) fn push(&mut self, frame: Frame) {
        self.queue.push_back(frame);
    }

    /// How many more frames fit.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.queue.len())
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
