//! Congestion control: how much may be in flight.
//!
//! Invariant: implementations count octets in integers, know no sequence numbers and cannot
//! panic. [`Tcb`](super::Tcb) calls them; which octets are lost is decided in `recovery`.

pub mod reno;

pub use reno::Reno;

use core::fmt::Debug;
use core::time::Duration;
use phy::Instant;

/// News of octets that reached the peer.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// When the acknowledgment came.
    pub now: Instant,
    /// Octets newly acknowledged, cumulatively.
    pub acked: u32,
    /// Most octets that were in flight at once since about one round trip ago.
    pub in_flight: u32,
    /// The round-trip time measured by it, if any.
    pub rtt: Option<Duration>,
    /// Octets per second delivered, if measured.
    pub delivery_rate: Option<u64>,
    /// The window was not what held the sender back (RFC 7661 §4).
    pub app_limited: bool,
}

/// How a loss was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// By duplicate or selective acknowledgments; once for each window of data.
    Detected,
    /// The peer echoed a congestion mark (RFC 3168 §6.1.2).
    Ecn,
    /// By the retransmission timer.
    Timeout,
    /// By the retransmission timer again, before the octets then lost were acknowledged; the
    /// slow start threshold stays (RFC 5681 §3.1).
    Repeated,
}

/// A congestion control algorithm, and its state for one connection.
pub trait Congestion: Debug + Clone {
    /// For a connection established at `now` that sends segments of up to `mss` octets.
    fn new(now: Instant, mss: u16) -> Self;
    /// The congestion window in octets, at least one segment.
    fn window(&self) -> u32;
    /// The slow start threshold in octets, where there is one.
    fn threshold(&self) -> Option<u32> {
        None
    }
    /// Octets per second it wants to be sent at most.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
    /// `bytes` octets were sent, `in_flight` are now in flight.
    fn on_sent(&mut self, now: Instant, bytes: u32, in_flight: u32) {
        let _ = (now, bytes, in_flight);
    }
    /// New octets were acknowledged outside fast recovery.
    fn on_ack(&mut self, ack: &Ack);
    /// Octets were lost; `in_flight` were in flight when that was noticed.
    fn on_loss(&mut self, now: Instant, loss: Loss, in_flight: u32);
    /// The last loss turned out to be none.
    fn on_undo(&mut self) {}
    /// Segments are of up to `mss` octets from now on.
    fn on_mtu(&mut self, mss: u16);
}
