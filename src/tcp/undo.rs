//! Losses that were none: how they are recognized, and what is done about it.
//!
//! Three ways: an acknowledgment echoes a timestamp from before the first retransmission (Eifel,
//! RFC 3522); the peer reports every octet sent again as received twice (RFC 3708); after a
//! timeout octets arrive that were sent only once (F-RTO, RFC 5682). The window and the
//! threshold become what they were before (RFC 4015), and nothing counts as lost any more.
//!
//! Invariant: a reduction is undone at most once. Called by `recovery`.

use super::congestion::Congestion;
use super::event::Event;
use super::flight::Heard;
use super::recovery::{Ack, CaState};
use super::seq::SeqNum;
use super::tcb::Tcb;
use phy::Instant;

/// Forward RTO recovery: what is sent after a timeout (RFC 5682 §2.1, §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frto {
    /// What is lost, as always.
    #[default]
    Off,
    /// The first segment again (step 1).
    Head,
    /// New octets, for the acknowledgment moved SND.UNA (step 2 b).
    New,
    /// They are out; the next acknowledgment decides (step 3).
    Sent,
}

/// What of a loss event can be undone.
#[derive(Debug, Clone, Copy)]
pub struct Undo {
    /// There is something to undo.
    armed: bool,
    /// Something was sent again since.
    any: bool,
    /// SND.UNA when the loss was noticed.
    marker: SeqNum,
    /// Octets sent again since, less those the peer got twice.
    octets: u32,
    /// Our timestamp of the first retransmission.
    first: Option<u32>,
    pub(super) frto: Frto,
}

impl Undo {
    pub(super) const fn new() -> Self {
        Self {
            armed: false,
            any: false,
            marker: SeqNum(0),
            octets: 0,
            first: None,
            frto: Frto::Off,
        }
    }

    /// A loss is noticed, with `repeated` octets of retransmissions in flight.
    pub(super) fn begin(&mut self, una: SeqNum, repeated: u32) {
        *self = Self {
            armed: true,
            any: repeated > 0,
            marker: una,
            octets: repeated,
            // That of a probe that goes on to be the first retransmission.
            first: self.first.filter(|_| repeated > 0),
            frto: Frto::Off,
        };
    }

    /// Octets were sent again, with our timestamp `ts`.
    pub(super) fn repeated(&mut self, octets: u32, ts: u32) {
        self.any = true;
        self.octets = self.octets.saturating_add(octets);
        self.first = self.first.or(Some(ts));
    }

    /// Octets went out, for the first time if `new`.
    #[inline]
    pub(super) fn went(&mut self, new: bool) {
        if new && self.frto == Frto::New {
            self.frto = Frto::Sent;
        }
    }

    /// Nothing that was sent again is in flight, and nothing is to be undone.
    pub(super) fn settle(&mut self) {
        if !self.armed {
            *self = Self::new();
        }
    }

    /// The peer got octets twice (RFC 3708 §2).
    pub(super) fn twice(&mut self, (lo, hi): (SeqNum, SeqNum)) {
        if self.armed && hi.gt(self.marker) {
            let octets = hi.since(lo.max(self.marker));
            self.octets = self.octets.saturating_sub(octets);
        }
    }

    /// Was every retransmission needless?
    fn all_twice(&self) -> bool {
        self.armed && self.any && self.octets == 0
    }

    /// Does an acknowledgment with this echo answer what was sent before the first
    /// retransmission (RFC 3522 §3.2 step 4)?
    fn is_late(&self, echo: Option<u32>) -> bool {
        let (Some(echo), Some(first)) = (echo, self.first) else {
            return false;
        };
        self.armed && (echo.wrapping_sub(first) as i32) < 0
    }

    /// May the loss be undone upon an acknowledgment that moved SND.UNA?
    pub(super) fn may(&self, echo: Option<u32>) -> bool {
        self.all_twice() || self.is_late(echo)
    }
}

impl<C: Congestion> Tcb<C> {
    /// The loss was none (RFC 4015 §3): the window is what it was before.
    fn undo(&mut self, now: Instant) {
        self.tell(now, Event::Undo);
        self.cc.on_undo();
        let flight = &mut *self.flight;
        flight.unlose();
        flight.undo = Undo::new();
        flight.dup_octets = 0;
        flight.dup_acks = 0;
        flight.rack.again();
    }

    /// An acknowledgment in fast recovery shows that the first hole was filled by what was late,
    /// not by the retransmission. True if recovery waits for what else it sent again.
    pub(super) fn try_undo_partial(&mut self, now: Instant, ack: &Ack) -> bool {
        if !self.flight.undo.is_late(ack.echo) {
            return false;
        }
        if self.flight.repeated.octets == 0 {
            self.undo(now);
            self.keep_open();
        }
        true
    }

    /// The peer got everything twice that was sent again.
    pub(super) fn try_undo_twice(&mut self, now: Instant) -> bool {
        let all = self.flight.undo.all_twice();
        if all {
            self.undo(now);
            self.keep_open();
        }
        all
    }

    /// Recovery ends: was it needless?
    pub(super) fn try_undo_at_end(&mut self, now: Instant, ack: &Ack) {
        if self.flight.undo.may(ack.echo) {
            self.undo(now);
        }
    }

    /// An acknowledgment after a timeout. True if the timeout was spurious, which it undid.
    pub(super) fn try_undo_timeout(&mut self, now: Instant, ack: &Ack, heard: &Heard) -> bool {
        let late = ack.advance > 0 && self.flight.undo.may(ack.echo);
        let frto = self.flight.undo.frto != Frto::Off && self.is_original(heard);
        if late || frto && self.flight.undo.armed {
            self.undo(now);
            self.retries = 0;
            self.keep_open();
            return true;
        }
        false
    }

    /// Did octets arrive that were sent once, before the timeout? Without SACK an acknowledgment
    /// of retransmissions also covers what may have been here since long ago (RFC 5682 §2.1).
    fn is_original(&self, heard: &Heard) -> bool {
        heard.original && (self.sack || !heard.ambiguous)
    }

    /// The next step of F-RTO, where the timeout was not found spurious.
    pub(super) fn step_frto(&mut self, ack: &Ack, heard: &Heard) {
        let next = match self.flight.undo.frto {
            // What is newer than the retransmission arrived first: the loss was real
            // (step 3 a).
            Frto::Sent if heard.reported > 0 || heard.duplicate => Frto::Off,
            Frto::Head | Frto::New | Frto::Sent if ack.advance > 0 => {
                self.flight.recover = self.snd_nxt;
                Frto::New
            }
            other => other,
        };
        self.flight.undo.frto = next;
    }

    /// Are only new octets to be sent (step 2 b)?
    pub(super) fn is_forward(&self) -> bool {
        let forward = matches!(self.flight.undo.frto, Frto::New | Frto::Sent);
        forward && self.flight.state == CaState::Loss
    }

    /// There are no new octets to send, or no room for them: on with what is lost.
    pub(super) fn not_forward(&mut self) -> bool {
        let new = self.flight.undo.frto == Frto::New;
        if new {
            self.flight.undo.frto = Frto::Off;
        }
        new
    }
}
