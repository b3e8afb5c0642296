//! Loss: noticing it and deciding what to repeat (RFC 5681 §3.2, RFC 6582, RFC 6675, RFC 6298
//! §5.4 to §5.7).
//!
//! Invariant: outside [`Mode::Open`], `high_rxt` and `lost_to` lie in SND.UNA..=SND.NXT; an octet
//! is retransmitted at most once for each loss event, and never while the peer reports it
//! received. Octets are counted as in flight when sent, and no more once they were acknowledged,
//! reported, or held to be lost ("pipe", RFC 6675 §4).

use super::config::Config;
use super::congestion::{Congestion, Loss};
use super::rack::Tail;
use super::seq::SeqNum;
use super::tcb::Tcb;
use phy::Instant;

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

/// Phases of congestion avoidance and loss recovery, as Linux names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CaState {
    /// Nothing is amiss.
    #[default]
    Open,
    /// The peer reported something missing, not enough yet to hold it for lost.
    Disorder,
    /// The window is being reduced because of a congestion mark (RFC 3168 §6.1.2).
    Cwr,
    /// Fast recovery (RFC 6675 §5).
    Recovery,
    /// Recovery after the retransmission timer expired (RFC 6298 §5.4).
    Loss,
}

impl CaState {
    /// Its name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Disorder => "disorder",
            Self::Cwr => "cwr",
            Self::Recovery => "recovery",
            Self::Loss => "loss",
        }
    }
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
    /// SND.NXT when the loss was noticed: recovery ends when this is acknowledged. Before that,
    /// SND.NXT at the first duplicate: what limited transmit sends is beyond.
    pub(super) recover: SeqNum,
    /// Octets before this that were not reported received are held to be lost.
    pub(super) lost_to: SeqNum,
    /// Octets before this were retransmitted in this loss event, or need not be.
    pub(super) high_rxt: SeqNum,
    /// SND.NXT at the last retransmission, outside recovery at the tail loss probe: what is
    /// beyond was sent after it.
    pub(super) sent_before: SeqNum,
    /// The tail loss probe.
    pub(super) tail: Tail,
    /// Octets that may be sent in fast recovery: as many as left the network (the conservation
    /// bound of RFC 6937 §3), so that no acknowledgment causes a burst.
    pub(super) credit: u32,
}

impl<C: Congestion> Tcb<C> {
    /// The phase of loss recovery.
    pub fn ca_state(&self) -> CaState {
        match self.loss.mode {
            Mode::Fast => CaState::Recovery,
            Mode::Timeout => CaState::Loss,
            Mode::Open if self.loss.dup_acks > 0 || self.scoreboard.octets() > 0 => {
                CaState::Disorder
            }
            Mode::Open => CaState::Open,
        }
    }

    /// Octets in flight: RFC 6675 §4 SetPipe. Without SACK each duplicate acknowledgment stands
    /// for one segment that left, which is what RFC 5681 §3.2 does by inflating the window, and
    /// RFC 3042 (limited transmit) by looking away.
    #[inline]
    pub(super) fn pipe(&self) -> u32 {
        let left = self.scoreboard.octets().max(self.loss.dup_octets);
        let held = self.in_flight().saturating_sub(left);
        if self.loss.mode == Mode::Open {
            return held;
        }
        let lost = self.unreported_before(self.loss.lost_to);
        let repeated = self.unreported_before(self.loss.high_rxt);
        held.saturating_sub(lost).saturating_add(repeated)
    }

    /// Octets retransmitted in this loss event that may be in flight.
    pub(super) fn repeated_octets(&self) -> u32 {
        match self.loss.mode {
            Mode::Open => 0,
            Mode::Fast | Mode::Timeout => self.unreported_before(self.loss.high_rxt),
        }
    }

    /// Octets from SND.UNA to `to` that the peer has not reported.
    fn unreported_before(&self, to: SeqNum) -> u32 {
        let all = to.saturating_since(self.snd_una);
        all.saturating_sub(self.scoreboard.ranges.octets_in(self.snd_una, to))
    }

    /// SND.UNA moved by `acked` octets.
    #[inline]
    pub(super) fn recovery_advance(&mut self, acked: u32) {
        if !self.scoreboard.ranges.is_empty() {
            self.scoreboard.advance(self.snd_una);
        }
        self.loss.dup_acks = 0;
        if self.loss.mode == Mode::Open {
            self.loss.dup_octets = 0;
            return;
        }
        if self.recovered() {
            self.leave_recovery();
            return;
        }
        self.loss.high_rxt = self.loss.high_rxt.max(self.snd_una);
        self.loss.lost_to = self.loss.lost_to.max(self.snd_una);
        if self.snd_una == self.loss.recover {
            // Nothing is lost as far as is known; see `recovered`.
            self.loss.dup_octets = 0;
        } else if self.loss.mode == Mode::Fast && self.sack {
            // The segment after a partial acknowledgment was sent before the retransmission that
            // caused it; if it was not repeated yet, and more is missing, it is lost too.
            if self.loss.high_rxt == self.snd_una && !self.scoreboard.ranges.is_empty() {
                let head = (self.snd_una + u32::from(self.mss)).min(self.loss.recover);
                self.loss.lost_to = self.loss.lost_to.max(head);
            }
        } else if self.loss.mode == Mode::Fast {
            // A partial acknowledgment: the segment after it is lost too (RFC 6582 §3.2 step 3).
            // What else it covers arrived, and caused duplicates counted before.
            let mss = u32::from(self.mss);
            let counted = acked.saturating_sub(mss);
            self.loss.dup_octets = self.loss.dup_octets.saturating_sub(counted);
            self.loss.high_rxt = self.snd_una;
            self.loss.lost_to = (self.snd_una + mss).min(self.snd_nxt);
            self.loss.credit = self.loss.credit.max(mss);
        }
    }

    /// Is everything acknowledged that was out when the loss was noticed? Without SACK something
    /// beyond it must be, or duplicates of our own retransmissions would look like another loss
    /// (RFC 6582 §4.1).
    fn recovered(&self) -> bool {
        self.snd_una.gt(self.loss.recover)
            || self.snd_una == self.loss.recover && (self.sack || self.in_flight() == 0)
    }

    fn leave_recovery(&mut self) {
        self.loss = Recovery {
            recover: self.loss.recover,
            lost_to: self.snd_una,
            high_rxt: self.snd_una,
            ..Recovery::default()
        };
    }

    /// Duplicates that mean a loss: three, or fewer where so few segments are out, and none can
    /// follow, that three would never come (early retransmit, RFC 5827 §2).
    pub(super) fn dup_threshold(&self, cfg: &Config, more: bool) -> u32 {
        let usual = u32::from(cfg.dup_threshold.max(1));
        let segments = self.in_flight().div_ceil(u32::from(self.mss.max(1)));
        if more || segments > usual {
            usual
        } else {
            usual.min(segments.saturating_sub(1)).max(1)
        }
    }

    /// A duplicate acknowledgment; it says that `delivered` octets arrived, where it can.
    /// Returns how many it stands for.
    pub(super) fn on_duplicate(&mut self, threshold: u32, now: Instant, delivered: u32) -> u32 {
        let mss = u32::from(self.mss);
        if self.loss.dup_acks == 0 && self.loss.mode == Mode::Open {
            self.loss.recover = self.snd_nxt;
        }
        self.loss.dup_acks = self.loss.dup_acks.saturating_add(1);
        let mut delivered = delivered;
        if !self.sack && self.loss.mode != Mode::Timeout {
            // At most all but the lost segment; a peer may send any number of duplicates.
            let most = self.in_flight().saturating_sub(mss);
            let octets = self.loss.dup_octets.saturating_add(mss).min(most);
            delivered = octets.saturating_sub(self.loss.dup_octets);
            self.loss.dup_octets = octets;
        }
        // RFC 5681 §3.2: the third duplicate.
        if self.loss.mode == Mode::Open && u32::from(self.loss.dup_acks) >= threshold {
            self.enter_fast(threshold, now, delivered);
        } else {
            self.on_report(threshold, now, delivered);
        }
        delivered
    }

    /// `delivered` octets are known to have arrived, some of them perhaps by SACK.
    pub(super) fn on_report(&mut self, threshold: u32, now: Instant, delivered: u32) {
        let edge = self.lost_edge(threshold);
        match self.loss.mode {
            // RFC 6675 §5 step 4: IsLost (HighACK + 1).
            Mode::Open if edge.gt(self.snd_una) => self.enter_fast(threshold, now, delivered),
            Mode::Fast => {
                // What was sent since is the next loss event's: retransmitted now, it would
                // be again then.
                let edge = edge.min(self.loss.recover);
                if edge.gt(self.loss.lost_to) {
                    self.tell_lost(now, self.loss.lost_to, edge);
                    self.loss.lost_to = edge;
                }
                self.loss.credit = self.loss.credit.saturating_add(delivered);
                self.repeat_again(threshold, now);
            }
            Mode::Timeout => self.repeat_again(threshold, now),
            _ => {}
        }
    }

    /// Octets before this are lost by what the peer reported (RFC 6675 §4 IsLost): three ranges,
    /// or more than two segments' octets, or a tail loss probe, were reported behind them.
    fn lost_edge(&self, threshold: u32) -> SeqNum {
        let enough = u32::from(self.mss).saturating_mul(threshold.saturating_sub(1));
        let reported = self.probe_reported();
        let (mut octets, mut count) = (0_u32, 0_u32);
        for (lo, hi) in self.scoreboard.ranges.as_slice().iter().rev() {
            octets = octets.saturating_add(hi.since(*lo));
            count = count.saturating_add(1);
            if octets > enough || count >= threshold || reported {
                return *lo;
            }
        }
        self.snd_una
    }

    /// If a retransmission was lost: another loss event, and all of it once more.
    fn repeat_again(&mut self, threshold: u32, now: Instant) {
        if !self.retransmission_lost(threshold) {
            return;
        }
        let edge = self.lost_edge(threshold).max(self.loss.lost_to);
        self.tell_lost(now, self.snd_una, edge);
        self.cc.on_loss(now, Loss::Detected, self.pipe());
        self.ecn.reduced();
        self.loss.mode = Mode::Fast;
        self.loss.recover = self.snd_nxt;
        self.loss.high_rxt = self.snd_una;
        self.loss.lost_to = edge;
        self.loss.credit = u32::from(self.mss);
    }

    /// Was so much reported that was sent after the last retransmission that this one, and all
    /// before it, should have arrived?
    fn retransmission_lost(&self, threshold: u32) -> bool {
        let Some(&(_, highest)) = self.scoreboard.ranges.as_slice().last() else {
            return false;
        };
        let since = self.loss.sent_before;
        let repeated = self.loss.high_rxt.gt(self.snd_una) && highest.gt(since);
        let enough = u32::from(self.mss).saturating_mul(threshold.saturating_sub(1));
        repeated && self.scoreboard.ranges.octets_in(since, highest) > enough
    }

    /// A loss was noticed by what the peer said (RFC 5681 §3.2 steps 2 and 3, RFC 6675 §5 step
    /// 4): the window is halved, the first segment goes out at once, and as much as `delivered`
    /// says has left the network.
    fn enter_fast(&mut self, threshold: u32, now: Instant, delivered: u32) {
        let mss = u32::from(self.mss);
        let edge = self.lost_edge(threshold);
        // Without what limited transmit added (RFC 5681 §3.2 step 2).
        let flight = if self.loss.dup_acks > 0 {
            self.loss.recover.saturating_since(self.snd_una)
        } else {
            self.in_flight()
        };
        let first = (self.snd_una + mss).min(self.snd_nxt);
        let edge = edge.max(first);
        self.tell_lost(now, self.snd_una, edge);
        self.cc.on_loss(now, Loss::Detected, flight);
        self.ecn.reduced();
        self.loss.mode = Mode::Fast;
        if self.loss.tail != Tail::Armed {
            self.loss.tail = Tail::No;
        }
        self.loss.recover = self.snd_nxt;
        self.loss.high_rxt = self.snd_una;
        self.loss.lost_to = edge;
        self.loss.credit = delivered.max(mss);
    }

    /// The retransmission timer expired (RFC 6298 §5.4, RFC 5681 §3.1): all that was not reported
    /// is held to be lost, and sent again from the oldest on in slow start.
    pub(super) fn enter_timeout(&mut self, now: Instant) {
        // A second expiration for the same octets, or during fast recovery, halves nothing more.
        let loss = match self.loss.mode {
            Mode::Open => Loss::Timeout,
            Mode::Fast | Mode::Timeout => Loss::Repeated,
        };
        let from = match self.loss.mode {
            Mode::Open => self.snd_una,
            Mode::Fast | Mode::Timeout => self.loss.lost_to.max(self.snd_una),
        };
        self.tell_lost(now, from, self.snd_nxt);
        self.cc.on_loss(now, loss, self.in_flight());
        self.ecn.reduced();
        self.resend_all();
    }

    /// Everything in flight is to be sent again, within the congestion window: after a timeout,
    /// or because the path does not carry segments of that size (RFC 1191 §6.5).
    pub(super) fn resend_all(&mut self) {
        self.loss = Recovery {
            mode: Mode::Timeout,
            recover: self.snd_nxt,
            lost_to: self.snd_nxt,
            high_rxt: self.snd_una,
            ..Recovery::default()
        };
    }

    /// The next octets to retransmit, first and one past the last: lost ones that were not
    /// retransmitted yet (RFC 6675 §4 NextSeg rule 1).
    #[inline]
    pub(super) fn next_lost(&self) -> Option<(SeqNum, SeqNum)> {
        if self.loss.mode == Mode::Open {
            return None;
        }
        let from = self.loss.high_rxt.max(self.snd_una);
        self.scoreboard.ranges.gap(from, self.loss.lost_to)
    }

    /// Octets that may be lost: before reported ones, but not so far that they are held to be
    /// (NextSeg rule 3). Sent when there is nothing new to send.
    pub(super) fn next_doubtful(&self) -> Option<(SeqNum, SeqNum)> {
        if self.loss.mode != Mode::Fast {
            return None;
        }
        let (_, highest) = *self.scoreboard.ranges.as_slice().last()?;
        let from = self.loss.high_rxt.max(self.snd_una);
        let to = highest.min(self.loss.recover);
        self.scoreboard.ranges.gap(from, to)
    }
}
