//! Tail loss probes (RFC 8985 §7): when acknowledgments stop, the last segment, or a new one, is
//! sent long before the retransmission timer, to learn what is missing.
//!
//! Invariant: at most one probe is out; none is sent in recovery, without SACK, or while the
//! peer reports something missing. The probe timer shares the slot of the retransmission timer,
//! which it replaces once.

use super::config::Config;
use super::congestion::{Congestion, Loss};
use super::event::Event;
use super::recovery::Mode;
use super::rtt::micros;
use super::segment::Segment;
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

/// What a multi-segment flight waits beyond two round trips, for timers that are late.
const SLACK: u64 = 2_000;

impl<C: Congestion> Tcb<C> {
    /// May a probe be waited for (RFC 8985 §7.2)?
    fn may_probe(&self, cfg: &Config) -> bool {
        cfg.tail_probes
            && self.sack
            && self.loss.mode == Mode::Open
            && matches!(self.loss.tail, Tail::No | Tail::Armed)
            && self.retries == 0
            && self.scoreboard.ranges.is_empty()
            && self.state.is_synchronized()
            && self.rtt.smoothed().is_some()
    }

    /// Time from the last segment sent to the probe: two round trips, and what the peer may
    /// delay the acknowledgment of a single segment; never more than the RTO.
    fn probe_wait(&self, cfg: &Config) -> Duration {
        let rtt = self.rtt.smoothed().unwrap_or(cfg.rto_initial);
        let single = self.in_flight() <= u32::from(self.mss);
        let slack = if single {
            micros(cfg.ack_delay_max)
        } else {
            SLACK
        };
        let wait = micros(rtt).saturating_mul(2).saturating_add(slack);
        Duration::from_micros(wait).min(self.rtt.rto(cfg))
    }

    /// Sets the probe's time in place of the RTO's. False if there is to be none; a time set
    /// before stays and stays the probe's.
    pub(super) fn arm_probe(&mut self, cfg: &Config, now: Instant) -> bool {
        let may = self.may_probe(cfg);
        if may {
            self.loss.tail = Tail::Armed;
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
        self.loss.tail = if may { Tail::Due } else { Tail::No };
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
        self.loss.tail = if again { Tail::Again } else { Tail::New };
        self.loss.sent_before = self.snd_nxt;
    }

    /// What an acknowledgment says about the probe (RFC 8985 §7.4.2). One that repaired a loss
    /// on its own is a loss all the same.
    pub(super) fn probe_answered(&mut self, now: Instant, segment: &Segment<'_>, duplicate: bool) {
        let (ack, end) = (segment.ack, self.loss.sent_before);
        if ack.lt(end) {
            return;
        }
        // The first block reports a duplicate when it lies before the acknowledgment
        // (RFC 2883 §4.1).
        let twice = segment.options.sack.iter().next();
        let twice = twice.is_some_and(|(lo, hi)| SeqNum(hi).le(ack) && SeqNum(lo).lt(SeqNum(hi)));
        match self.loss.tail {
            Tail::New => self.loss.tail = Tail::No,
            Tail::Again if twice || duplicate => self.loss.tail = Tail::No,
            Tail::Again if ack.gt(end) => {
                self.loss.tail = Tail::No;
                self.cc.on_loss(now, Loss::Detected, self.max_flight);
                self.ecn.reduced();
            }
            _ => {}
        }
    }

    /// Is the probe reported to have arrived? All before it was sent much earlier.
    pub(super) fn probe_reported(&self) -> bool {
        let out = matches!(self.loss.tail, Tail::New | Tail::Again);
        let last = self.scoreboard.ranges.as_slice().last();
        out && last.is_some_and(|(_, hi)| hi.ge(self.loss.sent_before))
    }
}
