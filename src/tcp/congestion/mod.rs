//! Congestion control: how much may be in flight, and how fast it goes there.
//!
//! Invariant: implementations count octets in integers, know no sequence numbers and cannot
//! panic. [`Tcb`](super::Tcb) calls them; which octets are lost is decided in `recovery`.
//!
//! | file | concern |
//! | --- | --- |
//! | `reno` | RFC 5681 |
//! | `cubic`, `curve` | RFC 9438 and its arithmetic |
//! | `hystart`, `hystart_plus` | when slow start ends: HyStart, HyStart++ (RFC 9406) |
//! | `bbr`, `bbr_model`, `bbr_cycle` | BBR (draft-ietf-ccwg-bbr-06): control, path model, states |
//! | `any` | one of these, chosen while the program runs |
//! | `observed` | one of these, and somebody who looks |
//! | `delivery`, `pacer` | what a sender needs for them: delivery rate samples, pacing |

pub mod any;
pub mod bbr;
mod bbr_cycle;
mod bbr_model;
pub mod cubic;
mod curve;
pub mod delivery;
pub mod hystart;
pub mod hystart_plus;
pub mod observed;
pub mod pacer;
pub mod reno;

#[cfg(test)]
mod tests;

pub use any::{Algorithm, Any, UnknownAlgorithm};
pub use bbr::Bbr;
pub use cubic::Cubic;
pub use delivery::{Delivery, RateSample, Stamp};
pub use hystart::{HyStart, HyStartConfig, SlowStart, Standard};
pub use hystart_plus::HyStartPlus;
pub use observed::Observed;
pub use pacer::Pacer;
pub use reno::Reno;

use super::config::Config;
use super::event::Event;
use core::fmt::Debug;
use core::time::Duration;
use phy::Instant;

/// Segments of the initial window (RFC 6928 §2).
pub(super) const INITIAL: u32 = 10;
/// The initial threshold: "arbitrarily high" (RFC 5681 §3.1).
const UNLIMITED: u32 = 0x7fff_ffff;
/// No window outgrows what sequence numbers can tell apart (RFC 7323 §2.2).
const LARGEST: u32 = 1 << 30;

/// News of octets that reached the peer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ack {
    /// When the acknowledgment came.
    pub now: Instant,
    /// Octets newly acknowledged, cumulatively.
    pub acked: u32,
    /// Octets newly known to have arrived, cumulatively acknowledged or reported by SACK.
    pub delivered: u32,
    /// Most octets that were in flight at once since about one round trip ago.
    pub in_flight: u32,
    /// Octets in flight now, those delivered or held to be lost left out.
    pub pipe: u32,
    /// The round-trip time measured by it, if any.
    pub rtt: Option<Duration>,
    /// The rate at which octets were delivered, if measured.
    pub delivery_rate: Option<RateSample>,
    /// The window was not what held the sender back (RFC 7661 §4).
    pub app_limited: bool,
    /// Segments leave one by one at a rate, not in bursts.
    pub paced: bool,
    /// When slow start is to end.
    pub hystart: HyStartConfig,
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

/// Octets sent together that are now held to be lost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lost {
    /// When that was concluded.
    pub now: Instant,
    /// How many they are.
    pub octets: u32,
    /// Octets in flight, themselves included, when they were sent.
    pub tx_in_flight: u32,
    /// Octets held to be lost since they were sent, themselves included.
    pub since_sent: u32,
    /// They were sent while the application, not the network, limited the rate.
    pub app_limited: bool,
}

/// What an algorithm that models the path holds it to be, as Linux's `TCP_CC_INFO` tells of BBR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathModel {
    /// Octets per second that the path delivers.
    pub bandwidth: u64,
    /// Its round-trip time without a queue; zero before any was seen.
    pub min_rtt: Duration,
    /// What is sent a second, in hundredths of the bandwidth.
    pub pacing_gain: u16,
    /// What may be in flight, in hundredths of what the path itself holds.
    pub cwnd_gain: u16,
}

/// A congestion control algorithm, and its state for one connection.
///
/// Only `on_ack` and `on_loss` have to be answered by every algorithm. What the sender does in
/// fast recovery is its own affair (RFC 6937) unless [`Congestion::owns_recovery`] says otherwise.
///
/// ```
/// use netstrata::tcp::{Congestion, Tcp, congestion::{Ack, Loss}};
///
/// /// As many segments whatever happens: for links that are one's own.
/// #[derive(Debug, Clone)]
/// struct Fixed(u32);
///
/// impl Congestion for Fixed {
///     fn new(_: phy::Instant, mss: u16) -> Self {
///         Self(20 * u32::from(mss))
///     }
///     fn window(&self) -> u32 {
///         self.0
///     }
///     fn on_ack(&mut self, _: &Ack) {}
///     fn on_loss(&mut self, _: phy::Instant, _: Loss, _: u32) {}
///     fn on_mtu(&mut self, mss: u16) {
///         self.0 = 20 * u32::from(mss);
///     }
/// }
///
/// let tcp = Tcp::<Fixed>::default();
/// # let _ = tcp;
/// ```
pub trait Congestion: Debug + Clone {
    /// For a connection established at `now` that sends segments of up to `mss` octets.
    fn new(now: Instant, mss: u16) -> Self;
    /// The handshake is over: as [`Congestion::new`], with what is to outlive it kept.
    fn restart(&mut self, now: Instant, mss: u16) {
        *self = Self::new(now, mss);
    }
    /// The numbers of the stack: called before [`on_initial_window`](Self::on_initial_window), and
    /// after [`select`](Self::select). The window stays.
    fn on_config(&mut self, config: &Config) {
        let _ = config;
    }
    /// So many segments, one at least, are the initial window (RFC 6928 §2): called when the
    /// handshake is over and nothing is known of the path yet
    /// ([`Config::initial_window`](crate::tcp::Config::initial_window)).
    fn on_initial_window(&mut self, segments: u8) {
        let _ = segments;
    }
    /// The congestion window in octets, at least one segment.
    fn window(&self) -> u32;
    /// The slow start threshold in octets, where there is one.
    fn threshold(&self) -> Option<u32> {
        None
    }
    /// Octets per second it wants to be sent at most; `None` sends in bursts, as acknowledgments
    /// come.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
    /// Does [`Congestion::window`] hold in fast recovery as well? Otherwise the sender reduces
    /// what is in flight in proportion to what arrives (RFC 6937).
    fn owns_recovery(&self) -> bool {
        false
    }
    /// Its name, as `ss` prints it.
    fn name(&self) -> &'static str {
        "custom"
    }
    /// What it takes the path for, where it has a model of it.
    fn path_model(&self) -> Option<PathModel> {
        None
    }
    /// Goes on as another algorithm. False where the algorithm is fixed by the type.
    fn select(&mut self, now: Instant, algorithm: Algorithm) -> bool {
        let _ = (now, algorithm);
        false
    }
    /// `bytes` octets were sent, `in_flight` are now in flight.
    fn on_sent(&mut self, now: Instant, bytes: u32, in_flight: u32) {
        let _ = (now, bytes, in_flight);
    }
    /// New octets were acknowledged outside fast recovery.
    fn on_ack(&mut self, ack: &Ack);
    /// New octets arrived during fast recovery, or during recovery from a timeout without being
    /// acknowledged cumulatively.
    fn on_recovery(&mut self, ack: &Ack) {
        let _ = ack;
    }
    /// Octets were lost; `in_flight` were in flight when that was noticed.
    fn on_loss(&mut self, now: Instant, loss: Loss, in_flight: u32);
    /// Octets are held to be lost; called for each run of them, before the `on_loss` they cause.
    fn on_lost(&mut self, lost: &Lost) {
        let _ = lost;
    }
    /// Recovery from the last loss ended: all that was then in flight arrived.
    fn on_recovered(&mut self, now: Instant) {
        let _ = now;
    }
    /// The last loss turned out to be none.
    fn on_undo(&mut self) {}
    /// The window was not used for so long that it says nothing of the path any more: it is to
    /// be `window` octets, and slow start to go up to three quarters of what it was (RFC 7661
    /// §4.4). Only where the stack's configuration asks for it.
    fn on_unused(&mut self, window: u32) {
        let _ = window;
    }
    /// Segments are of up to `mss` octets from now on.
    fn on_mtu(&mut self, mss: u16);
    /// Is [`Congestion::on_event`] to be called? Events are not even made where the answer is a
    /// constant `false`, as it is here.
    #[inline]
    fn watches(&self) -> bool {
        false
    }
    /// Something happened to the connection, for diagnostics. What the other methods are told is
    /// not repeated ([`Event::Rtt`], [`Event::Lost`] and [`Event::Loss`]); an [`Observed`] makes one
    /// stream of it all.
    fn on_event(&mut self, now: Instant, event: &Event) {
        let _ = (now, event);
    }
}

/// A window of as many segments as `window` was, when segments of `old` octets become ones of
/// `new`: RFC 5681 counts in segments.
fn rescaled(window: u32, old: u16, new: u16) -> u32 {
    let (old, new) = (u64::from(old.max(1)), u64::from(new.max(1)));
    let scaled = u64::from(window).saturating_mul(new) / old;
    (scaled.min(u64::from(LARGEST)) as u32).max(new as u32)
}

/// Counts round trips in octets: when as much was acknowledged as was in flight when one began,
/// the next acknowledgment begins another.
#[derive(Debug, Clone, Default)]
struct Round {
    left: u32,
}

impl Round {
    /// `acked` more octets were acknowledged, `pipe` are in flight now: does a round begin?
    fn begins(&mut self, acked: u32, pipe: u32) -> bool {
        let begins = acked > self.left;
        self.left = if begins {
            pipe
        } else {
            self.left.saturating_sub(acked)
        };
        begins
    }
}
