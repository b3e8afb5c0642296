//! What few connections ever count: losses, limits, records and urgent text.
//!
//! Invariant: all of it starts at zero, so that a connection to which none of it happened has
//! none of it ([`Seldom`](super::seldom::Seldom)).

use super::pmtu::Pmtu;
use super::push::Ends;
use super::rtt::Repeated;
use super::sack::Range;
use super::seq::SeqNum;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Rare {
    /// Octets of text retransmitted.
    pub bytes_retrans: u64,
    /// Segments retransmitted.
    pub retransmits: u32,
    /// What was retransmitted last.
    pub repeated: Repeated,
    /// Where the peer's FIN is, if it came before all of its text.
    pub fin_at: Option<SeqNum>,
    /// Text that came twice, to be reported once (RFC 2883 §4); empty if none did.
    pub duplicate: Range,
    /// Challenge ACKs sent since `challenge_at`.
    pub challenges: u8,
    /// Replies to text outside the window since `invalid_at`.
    pub replies: u8,
    /// When the period of `challenges` began, milliseconds modulo 2^32.
    pub challenge_at: u32,
    /// When the interval of `replies` began, milliseconds modulo 2^32.
    pub invalid_at: u32,
    /// Expirations of the retransmission timer.
    pub total_rto: u16,
    /// Runs of them that ended in an acknowledgment.
    pub total_rto_recoveries: u16,
    /// Milliseconds those took.
    pub total_rto_time: u32,
    /// When the run under way began, milliseconds modulo 2^32.
    pub rto_since: u32,
    /// Segments received out of order.
    pub rcv_ooopack: u32,
    /// Milliseconds that the peer's window held us up.
    pub window_limited: u32,
    /// Milliseconds that the send buffer held the application up.
    pub buffer_limited: u32,
    /// When the congestion window was last used or reduced, milliseconds modulo 2^32.
    pub window_used_at: u32,
    /// Ends of records.
    pub records: Ends,
    /// The octet after the last urgent one that we send; counts while `Tcb::urgent` says so.
    pub snd_up: SeqNum,
    /// The octet after the last urgent one that the peer sends.
    pub rcv_up: Option<SeqNum>,
    /// What the path carries, where there is doubt.
    pub path: Pmtu,
    /// User timeout that both sides agreed on, seconds; 0 for none (RFC 5482).
    pub agreed_timeout: u32,
    /// User timeout that the next segment tells the peer, seconds.
    pub told_timeout: u32,
    /// Octets that the application wants the receive buffer to hold, where it holds more for
    /// what was offered.
    pub receive_capacity: u32,
    /// Segments of ours that arrived with a congestion mark, as far as the peer told.
    pub delivered_ce: u32,
}
