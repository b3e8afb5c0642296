//! Selective acknowledgments (RFC 2018, RFC 2883): the blocks we report, and the scoreboard of
//! those the peer reports (RFC 6675 §4).
//!
//! Invariant: reassembly ranges lie after RCV.NXT, scoreboard ranges in SND.UNA..SND.NXT; both
//! are bounded, and forgetting a range costs retransmissions and nothing else.

use super::ranges::{Range, Ranges};
use super::seq::SeqNum;

/// What came out of order, and what to report of it.
#[derive(Debug, Clone, Default)]
pub struct Reassembly {
    /// Received ranges after RCV.NXT.
    pub(super) ranges: Ranges,
    /// An octet of each of the ranges reported last, the latest first.
    pub(super) recent: [SeqNum; 3],
    /// Text that came twice, to be reported once (RFC 2883 §4).
    pub(super) duplicate: Option<Range>,
}

/// What the peer reported out of order.
#[derive(Debug, Clone, Default)]
pub struct Scoreboard {
    /// Reported ranges after SND.UNA.
    pub(super) ranges: Ranges,
    /// Octets in them.
    pub(super) octets: u32,
}
