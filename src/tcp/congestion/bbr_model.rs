//! BBR's model of the path (draft-ietf-ccwg-bbr-06 §5.5): bandwidth, round trip, aggregation, and
//! the bounds that losses set.
//!
//! Invariant: as of `bbr`, whose events call this in the draft's order.

use super::Lost;
use super::bbr::{Bbr, Event, MARGIN};
use super::bbr_cycle::{State, UndoState};
use super::delivery::reached;
use phy::Instant;

/// No bound, or no sample.
pub(super) const INFINITE: u32 = u32::MAX;
/// MinRTTFilterLen.
const MIN_RTT_FILTER: u32 = 10_000;
/// ProbeRTTInterval.
const PROBE_RTT_INTERVAL: u32 = 5_000;
/// A round-trip time within one part in so many of the least is one without queues.
const EMPTY: u32 = 64;
/// LossThresh, one in so many octets: 2 %.
const LOSS_THRESH: u64 = 50;
/// BBRStartupFullLossCnt.
const FULL_LOSS_RUNS: u8 = 6;
/// No queue stands where a round trip is within one part in so many of the least.
const SHORT: u32 = 8;
/// A share of everything.
const WHOLE: u64 = 1024;
/// Rounds that one of the two slots of extra_acked_filter lasts: ExtraAckedFilterLen in all.
const EXTRA_ROUNDS: u8 = 5;

/// BBR.Beta.
fn beta(value: u64) -> u64 {
    value.saturating_mul(7) / 10
}

fn beta32(value: u32) -> u32 {
    beta(u64::from(value)) as u32
}

/// IsInflightTooHigh of a connection with SACK.
fn too_high(lost: u32, tx_in_flight: u32) -> bool {
    u64::from(lost).saturating_mul(LOSS_THRESH) > u64::from(tx_in_flight)
}

/// InflightAtLoss: what was in flight when losses crossed the threshold.
fn inflight_at_loss(lost: &Lost) -> u32 {
    let before = lost.tx_in_flight.saturating_sub(lost.octets);
    let lost_before = u64::from(lost.since_sent.saturating_sub(lost.octets));
    let allowed = u64::from(before).saturating_mul(2);
    let prefix = allowed.saturating_sub(lost_before.saturating_mul(100)) / 98;
    before.saturating_add(u32::try_from(prefix).unwrap_or(u32::MAX))
}

impl Bbr {
    /// BBR.max_bw.
    pub(super) fn max_bw(&self) -> u64 {
        self.bw_before.max(self.bw_now)
    }

    /// TargetInflight.
    pub(super) fn target_inflight(&self) -> u32 {
        self.bdp(self.bandwidth(), 100).min(self.window)
    }

    /// InflightWithHeadroom: 15 % less than the long-term bound.
    pub(super) fn with_headroom(&self) -> u32 {
        if self.inflight_longterm == INFINITE {
            return INFINITE;
        }
        let share = u64::from(self.inflight_longterm).saturating_mul(15) / 100;
        let headroom = (share as u32).max(self.mss());
        let left = self.inflight_longterm.saturating_sub(headroom);
        left.max(self.least())
    }

    /// What is sent from now on leaves at `gain` hundredths of the bandwidth.
    pub(super) fn restrain(&mut self, gain: u64) {
        self.restraint = gain.min(100) as u8;
        self.restrained_to = self.delivered.wrapping_add(self.pipe);
    }

    /// Ends the restraint with the first sample of what was sent after it. In ProbeRTT this is
    /// MarkConnectionAppLimited.
    pub(super) fn note_restraint(&mut self, event: &mut Event<'_>) {
        if event.sampled && !reached(self.restrained_to, event.rs.prior_delivered) {
            self.restraint = 100;
        }
        event.rs.app_limited |= u64::from(self.restraint) < State::Down.pacing_gain();
    }

    /// What `latest` would have been without our own restraint, and the pacing margin: as much
    /// of the bandwidth as of what was sent. (The draft takes `latest` itself, so that each loss
    /// costs a flow the margin, and its own deceleration, besides what the path did not deliver.)
    fn unrestrained(&self, latest: u64) -> u64 {
        let gain = u64::from(self.restraint.max(1)).saturating_mul(MARGIN);
        latest.saturating_mul(10_000) / gain
    }

    /// The share of what was sent that arrived, 1024ths, where the path took it as fast as it came
    /// and no queue stands: then what is slow is the sender, whose timers may be late, and only
    /// what was lost tells of the path. Zero elsewhere.
    fn share_arrived(&self, event: &Event<'_>) -> u16 {
        let (rs, arrived) = (&event.rs, u64::from(event.rs.delivered));
        let short = self.min_rtt.saturating_add(self.min_rtt / SHORT);
        let queued = event
            .ack
            .rtt
            .is_none_or(|rtt| rtt.as_micros() > u128::from(short));
        if queued || !event.stamped || !rs.send_limited || rs.app_limited {
            return 0;
        }
        let sent = arrived.saturating_add(u64::from(rs.lost)).max(1);
        u16::try_from(arrived.saturating_mul(WHOLE) / sent).unwrap_or(0)
    }

    /// StartRound (draft §5.5.1).
    pub(super) fn start_round(&mut self) {
        self.next_round = self.delivered;
    }

    fn update_round(&mut self, event: &mut Event<'_>) {
        event.round_start = event.sampled && reached(event.rs.prior_delivered, self.next_round);
        if event.round_start {
            self.start_round();
            self.rounds_since_up = self.rounds_since_up.saturating_add(1);
            self.extra_rounds = self.extra_rounds.saturating_add(1);
        }
    }

    /// UpdateLatestDeliverySignals (draft §5.5.10.3).
    pub(super) fn update_latest(&mut self, event: &mut Event<'_>) {
        self.bw_latest = self.bw_latest.max(event.rs.rate);
        self.inflight_latest = self.inflight_latest.max(event.rs.delivered);
        self.arrived = self.arrived.max(self.share_arrived(event));
        if event.sampled && reached(event.rs.prior_delivered, self.loss_round) {
            self.loss_round = self.delivered;
            event.loss_round_start = true;
        }
    }

    /// AdvanceLatestDeliverySignals.
    pub(super) fn advance_latest(&mut self, event: &Event<'_>) {
        if event.loss_round_start {
            self.bw_latest = event.rs.rate;
            self.inflight_latest = event.rs.delivered;
            self.arrived = self.share_arrived(event);
        }
    }

    /// ResetCongestionSignals.
    pub(super) fn reset_congestion(&mut self) {
        self.loss_in_round = false;
        self.bw_latest = 0;
        self.inflight_latest = 0;
        self.arrived = 0;
    }

    /// ResetShortTermModel.
    pub(super) fn reset_shortterm(&mut self) {
        self.bw_shortterm = u64::MAX;
        self.inflight_shortterm = INFINITE;
    }

    /// UpdateMaxBw (draft §5.5.5).
    fn update_max_bw(&mut self, event: &mut Event<'_>) {
        self.update_round(event);
        let rate = event.rs.rate;
        if rate > 0 && (rate >= self.max_bw() || !event.rs.app_limited) {
            self.bw_now = self.bw_now.max(rate);
        }
    }

    /// AdvanceMaxBwFilter (draft §5.5.6).
    pub(super) fn advance_max_bw(&mut self) {
        if self.bw_now > 0 {
            self.bw_before = self.bw_now;
            self.bw_now = 0;
        }
    }

    /// UpdateCongestionSignals.
    pub(super) fn update_congestion(&mut self, event: &mut Event<'_>) {
        self.update_max_bw(event);
        if !event.loss_round_start {
            return;
        }
        self.check_startup_loss(event);
        if self.loss_in_round && !self.state.is_probing() {
            // InitLowerBounds, LossLowerBounds.
            if self.bw_shortterm == u64::MAX {
                self.bw_shortterm = self.max_bw();
            }
            if self.inflight_shortterm == INFINITE {
                self.inflight_shortterm = self.window;
            }
            let (bw, inflight) = (self.bw_shortterm, u64::from(self.inflight_shortterm));
            let arrived = |of: u64| of.saturating_mul(u64::from(self.arrived)) / WHOLE;
            let latest = self.unrestrained(self.bw_latest).max(arrived(bw));
            let latest_inflight = u64::from(self.inflight_latest);
            let latest_inflight = self.unrestrained(latest_inflight).max(arrived(inflight));
            self.bw_shortterm = latest.max(beta(bw)).min(bw).max(1);
            let latest = latest_inflight.max(beta(inflight));
            self.inflight_shortterm = latest.min(inflight) as u32;
        }
        self.loss_in_round = false;
    }

    /// UpdateACKAggregation (draft §5.5.9).
    pub(super) fn update_aggregation(&mut self, event: &Event<'_>) {
        let length = if self.full_bw_reached {
            EXTRA_ROUNDS
        } else {
            1
        };
        if event.round_start && self.extra_rounds >= length {
            self.extra_rounds = 0;
            self.extra_before = self.extra_now;
            self.extra_now = 0;
        }
        let bw = self.bandwidth();
        if bw == 0 {
            return;
        }
        let now = event.ack.now.micros() as u32;
        let interval = u64::from(now.wrapping_sub(self.extra_at));
        let expected = bw.saturating_mul(interval) / 1_000_000;
        let mut expected = u32::try_from(expected).unwrap_or(u32::MAX);
        if self.extra_delivered <= expected {
            self.extra_delivered = 0;
            self.extra_at = now;
            expected = 0;
        }
        self.extra_delivered = self.extra_delivered.saturating_add(event.ack.delivered);
        let extra = self.extra_delivered.saturating_sub(expected);
        self.extra_now = self.extra_now.max(extra.min(self.window));
    }

    /// UpdateMinRTT (draft §5.3.4.3).
    pub(super) fn update_min_rtt(&mut self, event: &mut Event<'_>) {
        let now = event.now;
        event.probe_rtt_expired = now.wrapping_sub(self.probe_rtt_min_at) > PROBE_RTT_INTERVAL;
        if let Some(rtt) = event.ack.rtt {
            let rtt = u32::try_from(rtt.as_micros()).unwrap_or(INFINITE).max(1);
            if self.min_rtt == INFINITE {
                self.pace_initially(u64::from(rtt));
            }
            if rtt < self.probe_rtt_min || event.probe_rtt_expired {
                self.probe_rtt_min = rtt;
                self.probe_rtt_min_at = now;
            } else if rtt
                <= self
                    .probe_rtt_min
                    .saturating_add(self.probe_rtt_min / EMPTY)
            {
                // Not in the draft: queues are empty already, with no need to drain them.
                self.probe_rtt_min_at = now;
            }
        }
        let expired = now.wrapping_sub(self.min_rtt_at) > MIN_RTT_FILTER;
        if self.probe_rtt_min < self.min_rtt || expired {
            self.min_rtt = self.probe_rtt_min;
            self.min_rtt_at = self.probe_rtt_min_at;
        }
    }

    /// CheckStartupHighLoss (draft §5.3.1.3), at the end of a loss round: by then recovery has
    /// lasted a round trip.
    fn check_startup_loss(&mut self, event: &Event<'_>) {
        let lossy = self.loss_in_round
            && self.loss_runs >= FULL_LOSS_RUNS
            && too_high(event.rs.lost, event.rs.tx_in_flight);
        if self.state == State::Startup && lossy {
            self.leave_startup_by_loss();
        }
    }

    fn leave_startup_by_loss(&mut self) {
        self.undo_state = UndoState::Startup;
        self.full_bw_reached = true;
        let bdp = self.bdp(self.bandwidth(), 100);
        self.inflight_longterm = bdp.max(self.inflight_latest).max(self.least());
    }

    /// HandleLostPacket after NoteLoss (draft §5.5.10.2).
    pub(super) fn handle_lost(&mut self, lost: &Lost) {
        if self.probe_sample && too_high(lost.since_sent, lost.tx_in_flight) {
            let inflight = inflight_at_loss(lost);
            self.handle_too_high(lost.now, inflight, lost.app_limited);
        }
    }

    /// A loss of which no more is known: the rules of the draft for connections without SACK.
    pub(super) fn handle_lone_loss(&mut self, now: Instant, in_flight: u32) {
        if self.state == State::Startup && self.max_bw() > 0 {
            self.leave_startup_by_loss();
            self.enter_drain();
        } else if self.probe_sample {
            self.handle_too_high(now, in_flight, false);
        }
    }

    /// The check of the upper bound by a sample of our own meter, which no `on_lost` precedes.
    pub(super) fn sample_too_high(&mut self, event: &Event<'_>) -> bool {
        let high = event.sampled && too_high(event.rs.lost, event.rs.tx_in_flight);
        if high && self.probe_sample && !event.stamped {
            self.handle_too_high(event.ack.now, event.rs.tx_in_flight, event.rs.app_limited);
        }
        high
    }

    /// HandleInflightTooHigh.
    fn handle_too_high(&mut self, now: Instant, inflight: u32, app_limited: bool) {
        self.prev_too_high = true;
        self.probe_sample = false;
        if !app_limited {
            let target = beta32(self.target_inflight());
            self.inflight_longterm = inflight.max(target);
        }
        if self.state == State::Up {
            self.undo_state = UndoState::Up;
            self.start_down(now);
        }
    }

    /// SaveStateUponLoss (draft §5.5.11.1).
    pub(super) fn save_before_loss(&mut self) {
        self.save_window();
        self.undo_state = UndoState::None;
        self.undo_bw_shortterm = self.bw_shortterm;
        self.undo_inflight_shortterm = self.inflight_shortterm;
        self.undo_inflight_longterm = self.inflight_longterm;
    }

    /// HandleSpuriousLossDetection (draft §5.5.11.2).
    pub(super) fn undo_loss(&mut self) {
        self.restore_window();
        self.loss_in_round = false;
        self.reset_full_bw(0);
        self.bw_shortterm = self.bw_shortterm.max(self.undo_bw_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(self.undo_inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(self.undo_inflight_longterm);
        let undo = core::mem::take(&mut self.undo_state);
        if undo == UndoState::Startup && self.state != State::Startup {
            self.full_bw_reached = false;
            if self.state != State::ProbeRtt {
                self.state = State::Startup;
            }
        } else if undo == UndoState::Up && self.state != State::Up && self.state != State::ProbeRtt
        {
            self.start_refill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// draft §5.5.10.2: 2 % of the prefix in flight may be lost.
    #[test]
    fn losses_cross_the_threshold_within_a_burst() {
        let lost = Lost {
            octets: 10_000,
            tx_in_flight: 110_000,
            since_sent: 11_000,
            ..Lost::default()
        };
        // (2000 - 1000) / 0.98 of the burst would have been safe.
        assert_eq!(inflight_at_loss(&lost), 101_020);
        assert!(too_high(2_001, 100_000) && !too_high(2_000, 100_000));
    }
}
