//! What happens to a connection, for people who look: a stream of small values.
//!
//! Invariant: events tell of changes and cause none; a connection whose congestion control does
//! not [watch](Congestion::watches) computes nothing for them. `Tcb::tell` is the one way the
//! core reports; who wants to hear is an [`Observer`] in an
//! [`Observed`](super::congestion::Observed), or a congestion control of one's own.
//!
//! `watches` is `false`, a constant, for every algorithm of this crate. `tell` and its callers
//! ask it first and are inlined, so that with such an algorithm the question, the event and the
//! numbers in it are code that cannot be reached, and none of it is in the program; nor has the
//! control block a field for them.

use core::fmt::Debug;
use core::net::SocketAddr;
use core::time::Duration;

use super::config::Config;
use super::congestion::{Congestion, Loss};
use super::error::TcpError;
use super::recovery::CaState;
use super::segment::{Plan, Segment};
use super::seq::SeqNum;
use super::socket::{Role, TcpSocket};
use super::tcb::{State, Tcb};
use crate::wire::TcpFlags;
use phy::Instant;

/// Something that happened to one connection.
///
/// Places in a stream are counted in octets of text from its beginning, in 64 bits: the first
/// octet is 0, on either side; SYNs count nothing, a FIN one. The order is that of causes: a
/// segment is `Received`, then comes what followed from it, last the [`Event::Cwnd`] that
/// results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The first event: the connection has its two ends. `state` is SYN-SENT where we began it,
    /// ESTABLISHED where a listener's handshake completed.
    Opened {
        /// Our end.
        local: SocketAddr,
        /// The peer's.
        peer: SocketAddr,
        /// The state it begins in.
        state: State,
    },
    /// The state changed (RFC 9293 §3.3.2).
    State {
        /// What it was.
        from: State,
        /// What it is.
        to: State,
    },
    /// The connection ended with an error; its state changes next.
    Failed {
        /// What the application is told.
        error: TcpError,
    },
    /// A segment, or a train of segments, left.
    Sent {
        /// Place of its first octet in our stream.
        seq: u64,
        /// Octets of text.
        len: u32,
        /// Segments of the train, at least 1.
        segments: u16,
        /// Some of it was sent before.
        repeated: bool,
        /// Its control bits.
        flags: TcpFlags,
        /// Place in the peer's stream up to which it acknowledges.
        ack: u64,
        /// Octets of window it offers beyond `ack`.
        window: u32,
    },
    /// An acceptable segment arrived; nothing was done about it yet.
    Received {
        /// Place of its first octet in the peer's stream.
        seq: u64,
        /// Octets of text.
        len: u32,
        /// Its control bits.
        flags: TcpFlags,
        /// Place in our stream up to which it acknowledges.
        ack: u64,
        /// Octets of window it offers beyond `ack`.
        window: u32,
    },
    /// The segment just received reports octets as arrived, out of order or, below its
    /// acknowledgment, twice (RFC 2018, RFC 2883); once for each block.
    Sack {
        /// Place of the first in our stream.
        from: u64,
        /// Place after the last.
        to: u64,
    },
    /// A round-trip time was measured: by the text that was sent last of what arrived, for
    /// congestion control. The smoothed one goes by what was sent first of it, as Linux's does,
    /// and holds what the peer waited with its acknowledgment.
    Rtt {
        /// The sample.
        sample: Duration,
    },
    /// Loss recovery went from one phase to another.
    CaState {
        /// What it was.
        from: CaState,
        /// What it is.
        to: CaState,
    },
    /// Octets are held to be lost.
    Lost {
        /// How many.
        octets: u32,
    },
    /// Congestion control was told of a loss, and may have reduced its window.
    Loss {
        /// How the loss was noticed.
        kind: Loss,
        /// Octets in flight when it was.
        in_flight: u32,
    },
    /// The last reduction was for nothing and is taken back.
    Undo,
    /// The retransmission timer expired (RFC 6298 §5.4).
    Rto {
        /// Expirations in a row, at least 1.
        backoff: u8,
    },
    /// A tail loss probe is to be sent (RFC 8985 §7.3).
    Tlp,
    /// The peer closed its window, or opened it again (RFC 9293 §3.8.6.1).
    ZeroWindow {
        /// It is closed now.
        closed: bool,
    },
    /// A closed window is to be probed (RFC 9293 §3.8.6.1).
    Persist {
        /// Probes since the peer was last heard, at least 1.
        probes: u8,
    },
    /// An idle peer is to be probed (RFC 9293 §3.8.4).
    KeepAlive {
        /// Probes since the peer was last heard, at least 1.
        probes: u8,
    },
    /// Text follows a time in which none was sent, with a congestion window that was reduced for
    /// it (RFC 5681 §4.1).
    IdleRestart {
        /// Milliseconds since text was last sent.
        idle: u32,
    },
    /// The path carries less, or more, than was known: by what a router reported, by a link's
    /// MTU, or by probing (RFC 1191, RFC 4821).
    PathMtu {
        /// Octets of text in a full segment from now on.
        mss: u16,
    },
    /// Where sending stands, after something that changed it.
    Cwnd {
        /// Congestion window, octets.
        cwnd: u32,
        /// Slow start threshold, octets, where there is one and it was reached.
        ssthresh: Option<u32>,
        /// Octets in flight, those delivered or held to be lost left out.
        in_flight: u32,
        /// Smoothed round-trip time, once there is one.
        srtt: Option<Duration>,
        /// Retransmission timeout, back-off included.
        rto: Duration,
        /// Octets per second that text is sent at, where it is paced.
        pacing: Option<u64>,
    },
}

impl Event {
    /// One word for its kind, in lower case.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::State { .. } => "state",
            Self::Failed { .. } => "failed",
            Self::Sent { .. } => "sent",
            Self::Received { .. } => "received",
            Self::Sack { .. } => "sack",
            Self::Rtt { .. } => "rtt",
            Self::CaState { .. } => "ca_state",
            Self::Lost { .. } => "lost",
            Self::Loss { .. } => "loss",
            Self::Undo => "undo",
            Self::Rto { .. } => "rto",
            Self::Tlp => "tlp",
            Self::ZeroWindow { .. } => "zero_window",
            Self::Persist { .. } => "persist",
            Self::KeepAlive { .. } => "keep_alive",
            Self::IdleRestart { .. } => "idle_restart",
            Self::PathMtu { .. } => "path_mtu",
            Self::Cwnd { .. } => "cwnd",
        }
    }
}

/// Somebody who looks at one connection. A fresh one is made for each; which connection it is
/// says the first event, [`Event::Opened`]. Its state lives in the control block, so it is best
/// small: a place in a shared log, a few counters.
///
/// ```
/// use netstrata::tcp::congestion::{Cubic, Observed};
/// use netstrata::tcp::{Event, Observer, Tcp};
/// use phy::Instant;
///
/// /// Prints what changes.
/// #[derive(Debug, Clone, Default)]
/// struct Print;
///
/// impl Observer for Print {
///     fn on_event(&mut self, now: Instant, event: &Event) {
///         if let Event::State { .. } | Event::Loss { .. } = event {
///             println!("{now} {event:?}");
///         }
///     }
/// }
///
/// let tcp = Tcp::<Observed<Cubic, Print>>::default();
/// # let _ = tcp;
/// ```
pub trait Observer: Debug + Clone + Default {
    /// Is anything wanted at all? Asked before an event is made.
    #[inline]
    fn watches(&self) -> bool {
        true
    }
    /// `event` happened at `now`.
    fn on_event(&mut self, now: Instant, event: &Event);
}

/// Nobody.
impl Observer for () {
    #[inline]
    fn watches(&self) -> bool {
        false
    }
    fn on_event(&mut self, _: Instant, _: &Event) {}
}

/// Where sending stood before something happened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    una: SeqNum,
    window: u32,
    threshold: Option<u32>,
    pipe: u32,
    phase: CaState,
    /// The peer's window is closed.
    closed: bool,
}

impl<C: Congestion> Tcb<C> {
    /// Tells whoever watches of `event`.
    #[inline]
    pub(super) fn tell(&mut self, now: Instant, event: Event) {
        if self.cc.watches() {
            self.cc.on_event(now, &event);
        }
    }

    /// The connection has its ends; the first event.
    #[inline]
    pub(super) fn tell_opened(&mut self, now: Instant, local: SocketAddr, peer: SocketAddr) {
        let state = self.state;
        self.tell(now, Event::Opened { local, peer, state });
    }

    /// Enters `state`.
    #[inline]
    pub(super) fn enter(&mut self, now: Instant, state: State) {
        let from = core::mem::replace(&mut self.state, state);
        // A control block begins as CLOSED before it is anybody's connection.
        if from != state && from != State::Closed {
            self.tell(now, Event::State { from, to: state });
        }
    }

    /// Where sending stands, if somebody wants to know what becomes of it.
    #[inline]
    pub(super) fn seen(&self) -> Option<Seen> {
        self.cc.watches().then(|| Seen {
            una: self.snd_una,
            window: self.window(),
            threshold: self.cc.threshold(),
            pipe: self.pipe(),
            phase: self.ca_state(),
            closed: self.snd_wnd == 0 && self.state.is_synchronized(),
        })
    }

    /// Tells what became of it since `before`.
    #[inline]
    pub(super) fn tell_since(&mut self, cfg: &Config, now: Instant, before: Option<Seen>) {
        let Some(before) = before else { return };
        let after = self.seen();
        let Some(after) = after.filter(|_| self.state.is_synchronized()) else {
            return;
        };
        if before.closed != after.closed {
            let closed = after.closed;
            self.tell(now, Event::ZeroWindow { closed });
        }
        let (from, to) = (before.phase, after.phase);
        if from != to {
            self.tell(now, Event::CaState { from, to });
        }
        let same = (before.una, before.window, before.threshold, before.pipe)
            == (after.una, after.window, after.threshold, after.pipe);
        if !same {
            let told = Event::Cwnd {
                cwnd: after.window,
                ssthresh: after.threshold.filter(|octets| *octets < 0x7fff_ffff),
                in_flight: after.pipe,
                srtt: self.rtt.smoothed(),
                rto: self.rtt.rto(cfg),
                pacing: self.pace(cfg),
            };
            self.tell(now, told);
        }
    }

    /// `plan` leaves; SND.NXT did not move yet.
    #[inline]
    pub(super) fn tell_sent(&mut self, now: Instant, plan: &Plan, segments: u32) {
        if !self.cc.watches() {
            return;
        }
        let scale = if plan.flags.syn() { 0 } else { self.rcv_scale };
        let told = Event::Sent {
            seq: self.place_sent(plan.seq + u32::from(plan.flags.syn())),
            len: plan.len as u32,
            segments: u16::try_from(segments).unwrap_or(u16::MAX),
            repeated: plan.seq_len() > 0 && plan.seq.lt(self.snd_nxt),
            flags: plan.flags,
            ack: if plan.flags.ack() {
                self.place_received(plan.ack)
            } else {
                0
            },
            window: u32::from(plan.window) << (scale & 15),
        };
        self.tell(now, told);
    }

    /// `segment` was found acceptable; it has ACK, and the state is synchronized.
    #[inline]
    pub(super) fn tell_received(&mut self, now: Instant, segment: &Segment<'_>) {
        if !self.cc.watches() {
            return;
        }
        let scale = if segment.flags.syn() {
            0
        } else {
            self.snd_scale
        };
        let told = Event::Received {
            seq: self.place_received(segment.seq + u32::from(segment.flags.syn())),
            len: segment.payload.len() as u32,
            flags: segment.flags,
            ack: self.place_sent(segment.ack),
            window: u32::from(segment.window) << (scale & 15),
        };
        self.tell(now, told);
        for (from, to) in segment.options.sack.iter() {
            let (from, to) = (SeqNum(from), SeqNum(to));
            if from.lt(to) && to.le(self.snd_nxt) {
                let (from, to) = (self.place_sent(from), self.place_sent(to));
                self.tell(now, Event::Sack { from, to });
            }
        }
    }

    /// Place of `seq` in our stream.
    fn place_sent(&self, seq: SeqNum) -> u64 {
        // Before our SYN is acknowledged SND.UNA is its number, not that of an octet.
        let past = self.state.is_synchronized() || self.early.is_pending();
        let syn = u32::from(!past);
        let fin = u64::from(self.fin_acknowledged());
        let octets = self.counts.acked.saturating_add(fin);
        place(octets, self.snd_una + syn, seq)
    }

    /// Place of `seq` in the peer's stream.
    fn place_received(&self, seq: SeqNum) -> u64 {
        let fin = u64::from(self.peer_closed());
        place(self.counts.received.saturating_add(fin), self.rcv_nxt, seq)
    }
}

/// Place of `seq` in a stream whose octet `octets` has number `at`; 0 if before the first.
fn place(octets: u64, at: SeqNum, seq: SeqNum) -> u64 {
    if seq.ge(at) {
        octets.saturating_add(u64::from(seq.since(at)))
    } else {
        octets.saturating_sub(u64::from(at.since(seq)))
    }
}

impl<R, T, C> TcpSocket<R, T, C> {
    /// The congestion control of a connection, to be looked at: a type of one's own, or
    /// [`Observed`](super::congestion::Observed), has more to say than
    /// [`info`](Self::info) tells. `None` if it is no connection.
    pub fn control(&self) -> Option<&C> {
        match &self.role {
            Role::Connection(tcb) => Some(&tcb.cc),
            _ => None,
        }
    }

    /// The same, to be changed. What it says then holds from the next segment on.
    pub fn control_mut(&mut self) -> Option<&mut C> {
        match &mut self.role {
            Role::Connection(tcb) => Some(&mut tcb.cc),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_the_wrap_of_sequence_numbers() {
        let at = SeqNum(10);
        assert_eq!(place(5_000_000_000, at, at + 90), 5_000_000_090);
        assert_eq!(place(5_000_000_000, at, at - 20), 4_999_999_980);
        assert_eq!(place(7, at, at - 20), 0);
    }

    #[test]
    fn small() {
        assert!(size_of::<Event>() <= 72, "{}", size_of::<Event>());
    }
}
