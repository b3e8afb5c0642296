//! What a device of the operating system did so far, in system calls and frames.

/// Counters of a device of the operating system, since it was opened. How many frames a system
/// call moves tells whether batching works; what was lost, and where, tells which buffer is too
/// small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IoStats {
    /// System calls that were to receive, those that found nothing included; frames in memory
    /// that is shared with the kernel need none.
    pub reads: u64,
    /// Frames received.
    pub frames_in: u64,
    /// System calls that were to send, those that found no room included.
    pub writes: u64,
    /// Frames the kernel took.
    pub frames_out: u64,
    /// Frames lost in either direction, `overruns` included.
    pub lost: u64,
    /// Frames for us that the kernel had no room to keep, because we read too late: as far as it
    /// says so, which taps do not (`ip -s link` shows theirs as dropped).
    pub overruns: u64,
}

impl IoStats {
    /// Nothing was done yet.
    pub(crate) const NONE: Self = Self {
        reads: 0,
        frames_in: 0,
        writes: 0,
        frames_out: 0,
        lost: 0,
        overruns: 0,
    };
}
