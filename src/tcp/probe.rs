//! Tail loss probes (RFC 8985 §7): when acknowledgments stop, the last segment, or a new one, is
//! sent long before the retransmission timer, to learn what is missing.
//!
//! Invariant: at most one probe is out; none is sent in recovery, without SACK, or while the
//! peer reports something missing. The probe timer shares the slot of the retransmission timer,
//! which it replaces once.

use super::config::Config;
use super::congestion::{Congestion, Loss};
use super::event::Event;
use super::flight::Heard;
use super::recovery::CaState;
use super::rtt::micros;
use super::seq::SeqNum;
use super::tcb::Tcb;
use super::timers::Timer;
use core::time::Duration;
use phy::Instant;

/// Where a tail loss probe stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tail {
    /// There is none.
    #[default]
    No,
    /// [`Timer::Retransmit`] is the probe's.
    Armed,
    /// It is to be sent.
    Due,
    /// New octets are out as a probe.
    New,
    /// The last octets are out again.
    Again,
}

impl Tail {
    /// A probe is out, or about to be.
    #[inline]
    pub(super) const fn is_out(self) -> bool {
        !matches!(self, Self::No | Self::Armed)
    }
}

impl<C: Congestion> Tcb<C> {
    /// May a probe be waited for (RFC 8985 §7.2)?
    fn may_probe(&self, cfg: &Config) -> bool {
        let flight = &*self.flight;
        cfg.tail_probes
            && self.sack
            && matches!(flight.state, CaState::Open | CaState::Cwr)
            && !flight.tail.is_out()
            && flight.sacked.octets == 0
            && self.retries == 0
            && self.state.is_synchronized()
            && self.rtt.smoothed().is_some()
    }

    /// Time from the last segment sent to the probe (§7.2): two round trips, and what the peer
    /// may delay the acknowledgment of a single segment; never more than the RTO.
    fn probe_wait(&self, cfg: &Config) -> Duration {
        let rtt = self.rtt.smoothed().unwrap_or(cfg.rto_initial);
        let single = self.in_flight() <= u32::from(self.mss);
        let slack = if single {
            micros(cfg.probe_ack_delay)
        } else {
            micros(cfg.probe_slack)
        };
        let wait = micros(rtt).saturating_mul(2).saturating_add(slack);
        Duration::from_micros(wait).min(self.rtt.rto(cfg))
    }

    /// Sets the probe's time in place of the RTO's. False if there is to be none; a time set
    /// before stays and stays the probe's.
    pub(super) fn arm_probe(&mut self, cfg: &Config, now: Instant) -> bool {
        let may = self.may_probe(cfg);
        if may {
            self.flight.tail = Tail::Armed;
            let at = now + self.probe_wait(cfg);
            self.timers
                .set(Timer::Retransmit, self.within_user_timeout(at));
        }
        may
    }

    /// The probe's time has come: the RTO follows, counted from now, or if there is to be no
    /// probe any more, from when the probe's time was set.
    pub(super) fn probe_time(&mut self, cfg: &Config, now: Instant) {
        let may = self.may_probe(cfg);
        self.flight.tail = if may { Tail::Due } else { Tail::No };
        if may {
            self.tell(now, Event::Tlp);
        }
        let mut at = self.rtt.rto_after(cfg, now);
        if !may {
            at -= self.probe_wait(cfg);
        }
        self.timers
            .set(Timer::Retransmit, self.within_user_timeout(at));
    }

    /// The last octets out, a segment of them: what to send if there is nothing new.
    pub(super) fn tail(&self, len: u32) -> (SeqNum, SeqNum) {
        let text_to = self.snd_nxt - u32::from(self.fin_sent);
        ((text_to - len).max(self.snd_una), self.snd_nxt)
    }

    /// A probe left; `again` if it repeats octets.
    pub(super) fn probe_sent(&mut self, again: bool) {
        self.flight.tail = if again { Tail::Again } else { Tail::New };
        self.flight.tail_end = self.snd_nxt;
    }

    /// What an acknowledgment says about the probe (§7.4.2). One that repaired a loss on its own
    /// is a loss all the same. `duplicate` if it is bare and says nothing new.
    pub(super) fn probe_answered(&mut self, now: Instant, heard: &Heard, duplicate: bool) {
        let (una, end) = (self.snd_una, self.flight.tail_end);
        if una.lt(end) || !matches!(self.flight.tail, Tail::New | Tail::Again) {
            return;
        }
        let new = self.flight.tail == Tail::New;
        // What came twice must be the probe: the network may have made two of anything else.
        let twice = heard.twice.is_some_and(|(_, hi)| hi == end);
        if new || twice || duplicate {
            self.flight.tail = Tail::No;
        } else if una.gt(end) {
            self.flight.tail = Tail::No;
            let flight = self.flight_size();
            self.cc.on_loss(now, Loss::Detected, flight);
            self.ecn.reduced();
            self.cc.on_recovered(now);
        }
    }
}
