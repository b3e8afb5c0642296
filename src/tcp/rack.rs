//! RACK (RFC 8985 §6): octets are lost when others that were sent later arrived, and the time in
//! which the path may reorder them is over.
//!
//! Invariant: only octets that are out are held to be lost, and none sent after the newest that
//! arrived; of the records not more are looked at than were sent before it. It takes a peer that
//! reports (RFC 2018); without, duplicate acknowledgments are counted (`newreno`).

use super::config::Config;
use super::congestion::Congestion;
use super::flight::At;
use super::rare::Rare;
use super::records::{AMBIGUOUS, REPEATED, Record};
use super::recovery::CaState;
use super::seq::SeqNum;
use super::tcb::Tcb;
use phy::Instant;

/// What RACK knows of a path.
#[derive(Debug, Clone, Copy)]
pub struct Rack {
    /// When the newest of the octets that arrived was sent (RACK.xmit_ts): microseconds.
    sent_at: u32,
    /// Where those end (RACK.end_seq).
    end: SeqNum,
    /// How long the last to arrive took (RACK.rtt): microseconds.
    rtt: u32,
    /// Something arrived.
    any: bool,
    /// Something arrived that `detect` did not judge by.
    advanced: bool,
    /// When octets sent before others that arrived are to be looked at again.
    pub(super) timer: Instant,

    /// Quarters of the least round trip in the reordering window (RACK.reo_wnd_mult).
    steps: u8,
    /// Recoveries for which that holds (RACK.reo_wnd_persist).
    persist: u8,
    /// The peer got something twice that was repeated for its lateness.
    twice: bool,
    /// Octets delivered when `steps` last changed.
    changed_at: u32,
    /// Segments by which others overtook one, at most; 0 before that was seen.
    degree: u16,
    /// How often reordering was seen.
    pub(super) seen: u32,
    /// Segments that the peer said came twice.
    pub(super) duplicates: u32,
}

impl Rack {
    pub(super) const fn new() -> Self {
        Self {
            sent_at: 0,
            end: SeqNum(0),
            rtt: 0,
            any: false,
            advanced: false,
            timer: Instant::MAX,
            steps: 1,
            persist: 0,
            twice: false,
            changed_at: 0,
            degree: 0,
            seen: 0,
            duplicates: 0,
        }
    }

    /// What is told of it when all is over.
    pub(super) const fn learned(&self) -> Self {
        Self {
            degree: self.degree,
            seen: self.seen,
            duplicates: self.duplicates,
            ..Self::new()
        }
    }

    /// Nothing was learned of the path.
    pub(super) const fn knows_nothing(&self) -> bool {
        self.seen == 0 && self.duplicates == 0
    }

    /// Segments that may overtake one without its being held to be lost.
    pub(super) fn degree(&self, cfg: &Config) -> u32 {
        u32::from(self.degree.max(u16::from(cfg.dup_threshold.max(1))))
    }

    /// RACK_sent_after: was the newest that arrived sent after that?
    #[inline]
    fn newer_than(&self, sent_at: u32, end: SeqNum) -> bool {
        if self.sent_at == sent_at {
            return self.end.gt(end);
        }
        (self.sent_at.wrapping_sub(sent_at) as i32) > 0
    }

    /// Octets of `record` up to `end` arrived (§6.2 step 2).
    #[inline]
    pub(super) fn delivered(&mut self, at: &At, record: &Record, end: SeqNum) {
        let sent_at = record.stamp.sent_at();
        let rtt = (at.now.micros() as u32).wrapping_sub(sent_at);
        if record.is(AMBIGUOUS) {
            // An echo from before the retransmission, or an answer sooner than the path allows,
            // is one to the first transmission.
            let age = at.echo_age.map_or(0, |ms| ms.saturating_mul(1000));
            if age > rtt.saturating_add(999) || rtt < at.min_rtt {
                return;
            }
        }
        self.rtt = rtt;
        self.advanced = true;
        if !self.any || !self.newer_than(sent_at, end) {
            self.any = true;
            self.sent_at = sent_at;
            self.end = end;
        }
    }

    /// Octets arrived after `overtaken` later segments' had (§6.2 step 3).
    pub(super) fn reordered(&mut self, segments: u32, most: u16) {
        self.seen = self.seen.saturating_add(1);
        let segments = u16::try_from(segments).unwrap_or(u16::MAX);
        self.degree = self.degree.max(segments.min(most));
    }

    /// So much reordering as was assumed would have hidden what the timer had to find.
    pub(super) fn expect_less(&mut self) {
        self.degree = 0;
    }

    /// The peer got octets twice (§6.2 step 4); `held` if we know why.
    pub(super) fn duplicate(&mut self, segments: u32, known: bool) {
        self.duplicates = self.duplicates.saturating_add(segments);
        self.twice |= !known;
    }

    /// Once a round trip: the window widens by a quarter after duplicates, for 16 recoveries.
    /// `prior` octets had been delivered when the newest that arrived were sent, `delivered`
    /// are now.
    pub(super) fn adapt(&mut self, prior: u32, delivered: u32) {
        if !self.twice {
            return;
        }
        self.twice = false;
        if self.steps > 1 && (prior.wrapping_sub(self.changed_at) as i32) < 0 {
            return;
        }
        self.steps = self.steps.saturating_add(1);
        self.persist = 16;
        self.changed_at = delivered;
    }

    /// A recovery ended.
    pub(super) fn recovered(&mut self) {
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.steps = 1;
        }
    }

    /// What was held to be lost before has to be judged again.
    pub(super) fn again(&mut self) {
        self.advanced = true;
    }
}

impl<C: Congestion> Tcb<C> {
    /// The reordering window, microseconds (§6.2 step 4): none before reordering was seen where
    /// enough was reported already, or recovery is under way.
    fn reordering_window(&self, cfg: &Config) -> u32 {
        let (flight, rack) = (&*self.flight, &self.flight.rack);
        if rack.seen == 0 {
            let repairing = matches!(flight.state, CaState::Recovery | CaState::Loss);
            if repairing || flight.sacked.segments >= rack.degree(cfg) {
                return 0;
            }
        }
        let quarter = self.rtt.least_us() / 4;
        let window = quarter.saturating_mul(u32::from(rack.steps));
        window.min(self.rtt.smoothed_us())
    }

    /// RACK_detect_loss (§6.2 step 5), if anything arrived since the last time.
    pub(super) fn detect_lost(&mut self, cfg: &Config, now: Instant) -> Found {
        if !core::mem::take(&mut self.flight.rack.advanced) || !self.sack {
            return Found::default();
        }
        self.find_lost(cfg, now)
    }

    /// The same, whether or not anything arrived.
    pub(super) fn find_lost(&mut self, cfg: &Config, now: Instant) -> Found {
        let window = self.reordering_window(cfg);
        let flight = &mut *self.flight;
        let rack = flight.rack;
        let patience = i64::from(rack.rtt).saturating_add(i64::from(window));
        let (mut found, mut wait, mut n) = (Found::default(), 0_i64, 0_usize);
        while let Some(&record) = flight.records.get(n) {
            let sent_at = record.stamp.sent_at();
            let candidate = record.is_out();
            if candidate && !rack.newer_than(sent_at, record.end) {
                if !record.is(AMBIGUOUS) {
                    // All behind it was sent later still, for the first time or again.
                    break;
                }
            } else if candidate {
                let age = (now.micros() as u32).wrapping_sub(sent_at);
                let left = patience.saturating_sub(i64::from(age));
                if left <= 0 {
                    found.any = true;
                    found.again |= record.is(REPEATED);
                    let lost = flight.lose(now, n);
                    let probe = |rare: &Rare| rare.path.is_probe(record.end);
                    if !self.rare.get().is_some_and(probe) {
                        self.cc.on_lost(&lost);
                    }
                } else {
                    wait = wait.max(left);
                }
            }
            n = n.wrapping_add(1);
        }
        flight.rack.timer = match u64::try_from(wait) {
            Ok(us) if us > 0 => Instant::from_micros(now.micros().saturating_add(us)),
            _ => Instant::MAX,
        };
        found
    }

    /// Would `record` be held to be lost by its age alone?
    pub(super) fn is_overdue(&self, cfg: &Config, now: Instant, record: &Record) -> bool {
        let rack = &self.flight.rack;
        let age = (now.micros() as u32).wrapping_sub(record.stamp.sent_at());
        let window = self.reordering_window(cfg);
        !self.sack || !rack.any || age >= rack.rtt.saturating_add(window)
    }

    /// Octets from `oldest` on arrived after others that were sent later.
    pub(super) fn note_reordering(&mut self, cfg: &Config, oldest: SeqNum) {
        let mss = u32::from(self.mss.max(1));
        let segments = self.flight.fack.saturating_since(oldest).div_ceil(mss);
        self.flight.rack.reordered(segments, cfg.reordering_max);
    }

    /// The time for which octets that others overtook may be late is over (§6.3).
    pub(super) fn reordering_due(&mut self, cfg: &Config, now: Instant) {
        self.flight.rack.timer = Instant::MAX;
        let pipe = self.pipe();
        if !self.find_lost(cfg, now).any {
            return;
        }
        if self.flight.state != CaState::Recovery {
            self.enter_recovery(now, pipe);
        }
        // As if one more octet had arrived: the first of them leaves at once.
        self.reduce(1, false);
        self.arm_retransmit(cfg, now);
    }
}

/// What is newly held to be lost.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) any: bool,
    /// A retransmission among it.
    pub(super) again: bool,
}
