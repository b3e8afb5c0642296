//! Loss: noticing it and repeating what was lost (RFC 5681 §3.2, RFC 6582, RFC 6675, RFC 6298
//! §5.4 to §5.7).
//!
//! Invariant: `high_rxt` and `lost_to` lie in SND.UNA..=SND.NXT; an octet is retransmitted at
//! most once for each loss event, and never after the peer reported it received.

use super::seq::SeqNum;

/// What the sender is doing about losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Nothing is known to be lost.
    #[default]
    Open,
    /// Fast recovery up to `recover`.
    Fast,
    /// The retransmission timer expired; slow start up to `recover`.
    Timeout,
}

/// State of loss recovery.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// What is being done.
    pub(super) mode: Mode,
    /// Duplicate acknowledgments in a row.
    pub(super) dup_acks: u8,
    /// Octets those say have left the network; without SACK only.
    pub(super) dup_octets: u32,
    /// SND.NXT when the loss was noticed: recovery ends when this is acknowledged.
    pub(super) recover: SeqNum,
    /// Octets before this that were not reported received are held to be lost.
    pub(super) lost_to: SeqNum,
    /// Octets before this were retransmitted, or need not be, in this loss event.
    pub(super) high_rxt: SeqNum,
    /// Octets that may be sent in fast recovery: as many as left the network.
    pub(super) credit: u32,
}
