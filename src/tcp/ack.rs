//! Acknowledgments: what an incoming one moves (RFC 9293 §3.10.7.4, fifth), and when ours go
//! out (RFC 9293 §3.8.6.3, RFC 5681 §4.2).
//!
//! Invariant: SND.UNA moves forward only and never past SND.NXT; the send buffer is released by
//! exactly the octets of text acknowledged.

use super::seq::SeqNum;

/// Whether an acknowledgment of ours is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owed {
    /// No.
    #[default]
    No,
    /// Yes, when the timer says so or with the next segment.
    Delayed,
    /// Yes, now.
    Now,
}

/// State of sending acknowledgments.
#[derive(Debug, Clone, Default)]
pub struct Acking {
    /// Is one owed?
    pub(super) owed: Owed,
    /// Segments still to be acknowledged at once.
    pub(super) quick: u8,
    /// Delay of the next delayed one, milliseconds; 0 before any text came.
    pub(super) delay_ms: u8,
    /// We answer what we receive: acknowledgments ride on the answers.
    pub(super) interactive: bool,
    /// Challenge ACKs sent since `challenge_at`.
    pub(super) challenges: u8,
    /// Replies to text outside the window since `invalid_at`.
    pub(super) replies: u8,
    /// Octets of text of a full segment of the peer, as seen.
    pub(super) rcv_mss: u16,
    /// Last.ACK.sent (RFC 7323 §4.3).
    pub(super) last_sent: SeqNum,
    /// When text last came, milliseconds modulo 2^32.
    pub(super) text_at: u32,
    /// When the period of `challenges` began, milliseconds modulo 2^32.
    pub(super) challenge_at: u32,
    /// When the interval of `replies` began, milliseconds modulo 2^32.
    pub(super) invalid_at: u32,
}
