//! BBR version 3 (draft-ietf-ccwg-bbr-06): sends at the rate the path was seen to deliver, with
//! about as much in flight as the path holds.
//!
//! This file has the state, the events (draft §5.2) and the control parameters (§5.6); the path
//! model is in `bbr_model`, the state machine in `bbr_cycle`.
//!
//! It needs [`Ack::delivery_rate`](super::Ack) for every acknowledgment, [`Ack::pipe`](super::Ack)
//! and a sender that paces. Without samples it measures one for each round trip by itself; without
//! [`Congestion::on_lost`] it takes every loss for the only one of its round trip.
//! Where the draft asks for random numbers, time and octet counts are mixed. Congestion marks
//! are taken for losses, which draft §3.7 leaves open. The answer in proportion to the part of
//! packets marked that implementations of BBR have (an `alpha`, and a threshold of it) is for
//! routers that mark early, to which a sender says so by ECT(1) (RFC 9331); we send ECT(0), and
//! where that is marked RFC 3168 §5 has us do as if the packet had been lost.
//!
//! It departs from the draft in two places, so that single losses at random cost less than a
//! twentieth of the rate: short-term bounds are set by what arrived of what was *sent*, not by
//! what arrived while it held itself back (`unrestrained`) or its timers were late (`arrived`);
//! and a round-trip time within 1/64 of the least counts as having seen the least, which spares
//! ProbeRTT where queues are empty.
//!
//! Invariant: windows are at least four segments (one after a timeout) and at most 2^30 octets.
//! Times are milliseconds, where not said otherwise, and counts octets; both wrap.

use super::bbr_cycle::{AckPhase, State, UndoState};
use super::bbr_model::INFINITE;
use super::delivery::{RateSample, RoundMeter};
use super::pacer::quantum;
use super::{Ack, Congestion, INITIAL, LARGEST, Loss, Lost, PathModel, rescaled};
use crate::tcp::config::Config;
use core::time::Duration;
use phy::Instant;

/// PacingMarginPercent: paced at 1 % below the bandwidth.
pub(super) const MARGIN: u64 = 99;
/// MinPipeCwnd, segments.
const LEAST: u32 = 4;
/// RTT taken before the first sample for the initial rate, microseconds.
const FIRST_RTT: u64 = 1_000;

/// BBR; see the module.
#[derive(Debug, Clone)]
pub struct Bbr {
    // The path: rates in octets per second, `u64::MAX` is infinity.
    /// The two slots of max_bw_filter: the cycle before, and this one.
    pub(super) bw_before: u64,
    pub(super) bw_now: u64,
    pub(super) bw_latest: u64,
    pub(super) bw_shortterm: u64,
    pub(super) full_bw: u64,
    pub(super) undo_bw_shortterm: u64,
    /// C.pacing_rate.
    pub(super) pacing_rate: u64,

    /// min_rtt and probe_rtt_min_delay, microseconds; `u32::MAX` is infinity.
    pub(super) min_rtt: u32,
    pub(super) probe_rtt_min: u32,
    pub(super) min_rtt_at: u32,
    pub(super) probe_rtt_min_at: u32,
    /// probe_rtt_done_stamp, if `probe_rtt_low`.
    pub(super) probe_rtt_done_at: u32,
    pub(super) cycle_at: u32,

    // Octets.
    pub(super) delivered: u32,
    pub(super) next_round: u32,
    pub(super) loss_round: u32,
    /// Samples of octets sent before this was delivered show our own restraint.
    pub(super) restrained_to: u32,
    pub(super) window: u32,
    pub(super) prior_window: u32,
    /// C.inflight.
    pub(super) pipe: u32,
    pub(super) inflight_latest: u32,
    pub(super) inflight_shortterm: u32,
    pub(super) inflight_longterm: u32,
    pub(super) undo_inflight_shortterm: u32,
    pub(super) undo_inflight_longterm: u32,
    /// The two slots of extra_acked_filter, five rounds each.
    pub(super) extra_before: u32,
    pub(super) extra_now: u32,
    pub(super) extra_delivered: u32,
    /// extra_acked_interval_start, microseconds.
    pub(super) extra_at: u32,
    pub(super) up_acked: u32,
    pub(super) up_acked_per_inc: u32,

    pub(super) meter: RoundMeter,
    pub(super) probe_wait: u16,
    /// The largest share of what was sent that arrived in this loss round, 1024ths, by samples of
    /// which no queue grew on the way.
    pub(super) arrived: u16,
    mss: u16,
    /// Segments of the initial window.
    initial: u8,
    pub(super) full_bw_count: u8,
    /// rounds_since_probe_up; in Drain, rounds since drain_start_round.
    pub(super) rounds_since_up: u8,
    pub(super) up_rounds: u8,
    pub(super) extra_rounds: u8,
    /// Share of the bandwidth at which that was sent, hundredths.
    pub(super) restraint: u8,
    /// Runs of octets lost in this loss round.
    pub(super) loss_runs: u8,
    pub(super) state: State,
    pub(super) ack_phase: AckPhase,
    pub(super) undo_state: UndoState,

    pub(super) full_bw_now: bool,
    pub(super) full_bw_reached: bool,
    pub(super) loss_in_round: bool,
    pub(super) probe_sample: bool,
    pub(super) prev_too_high: bool,
    pub(super) prev_precautionary: bool,
    pub(super) probe_rtt_low: bool,
    pub(super) probe_rtt_round_done: bool,
    pub(super) idle_restart: bool,
    app_limited: bool,
    recovering: bool,
}

/// One acknowledgment and what it measured.
pub(super) struct Event<'a> {
    pub ack: &'a Ack,
    /// Zeroes without a sample.
    pub rs: RateSample,
    /// There is a sample.
    pub sampled: bool,
    /// The sample is of the sender's stamps, not our own meter's.
    pub stamped: bool,
    /// Milliseconds.
    pub now: u32,
    /// A round trip, and one of those in which losses are counted, ended.
    pub round_start: bool,
    pub loss_round_start: bool,
    pub probe_rtt_expired: bool,
}

/// Milliseconds since the epoch of time, wrapping.
pub(super) fn millis(now: Instant) -> u32 {
    now.millis() as u32
}

impl Bbr {
    /// C.SMSS.
    pub(super) fn mss(&self) -> u32 {
        u32::from(self.mss)
    }

    pub(super) fn segment(&self) -> u16 {
        self.mss
    }

    /// Goes on with another algorithm's window.
    pub(super) fn resume(&mut self, window: u32, _: Option<u32>) {
        self.window = window;
    }

    /// MinPipeCwnd.
    pub(super) fn least(&self) -> u32 {
        self.mss().saturating_mul(LEAST)
    }

    /// The bandwidth of the path as far as it is modelled, octets per second; 0 before the first
    /// sample.
    pub fn bandwidth(&self) -> u64 {
        self.max_bw().min(self.bw_shortterm)
    }

    /// The state's name in the draft.
    pub fn state(&self) -> &'static str {
        self.state.name()
    }

    /// InitialCwnd of the draft, octets.
    fn initial(&self) -> u32 {
        u32::from(self.initial).saturating_mul(self.mss())
    }

    /// BDPMultiple of `bw`, with a gain in hundredths (draft §5.6.4.2).
    pub(super) fn bdp(&self, bw: u64, gain: u64) -> u32 {
        if self.min_rtt == INFINITE || bw == 0 {
            return self.initial();
        }
        let bdp = bw.saturating_mul(u64::from(self.min_rtt)) / 1_000_000;
        (bdp.saturating_mul(gain) / 100).min(u64::from(LARGEST)) as u32
    }

    /// QuantizationBudget.
    fn with_budget(&self, inflight: u32) -> u32 {
        let budget = quantum(self.pacing_rate, self.mss).saturating_mul(3);
        let inflight = inflight.max(budget).max(self.least());
        if self.state == State::Up {
            return inflight.saturating_add(self.mss().saturating_mul(2));
        }
        inflight
    }

    /// Inflight(bw, gain) of the draft.
    pub(super) fn inflight(&self, bw: u64, gain: u64) -> u32 {
        self.with_budget(self.bdp(bw, gain))
    }

    /// ProbeRTTCwnd (draft §5.6.4.5).
    pub(super) fn probe_rtt_window(&self) -> u32 {
        let gain = State::ProbeRtt.cwnd_gain();
        self.bdp(self.bandwidth(), gain).max(self.least())
    }

    /// SetPacingRateWithGain, hundredths (draft §5.6.2).
    pub(super) fn pace(&mut self, gain: u64) {
        let bw = self.bandwidth();
        if bw == 0 {
            return;
        }
        let rate = bw.saturating_mul(gain).saturating_mul(MARGIN) / 10_000;
        if self.full_bw_reached || rate > self.pacing_rate {
            self.pacing_rate = rate.max(1);
        }
    }

    /// InitPacingRate, `rtt` in microseconds.
    pub(super) fn pace_initially(&mut self, rtt: u64) {
        let octets = u64::from(self.initial());
        let rate = octets.saturating_mul(1_000_000) / rtt.max(1);
        self.pacing_rate = rate.saturating_mul(State::Startup.pacing_gain()) / 100;
    }

    /// SetCwnd (draft §5.6.4.6, §5.6.4.7).
    fn set_window(&mut self, newly_acked: u32) {
        let extra = self.extra_before.max(self.extra_now);
        let wanted = self.bdp(self.bandwidth(), self.state.cwnd_gain());
        let most = self.with_budget(wanted.saturating_add(extra));
        let grown = self.window.saturating_add(newly_acked);
        let initial = self.initial();
        if self.full_bw_reached {
            self.window = grown.min(most);
        } else if self.window < most || self.delivered < initial {
            self.window = grown;
        }
        let cap = match self.state {
            State::Down | State::Refill | State::Up => self.inflight_longterm,
            State::ProbeRtt => self.with_headroom().min(self.probe_rtt_window()),
            State::Cruise => self.with_headroom(),
            State::Startup | State::Drain => INFINITE,
        };
        let cap = cap.min(self.inflight_shortterm).max(self.least());
        let window = self.window.max(self.least()).min(cap);
        self.window = window.min(LARGEST);
    }

    /// SaveCwnd (draft §5.6.4.4).
    pub(super) fn save_window(&mut self) {
        self.prior_window = if self.recovering || self.state == State::ProbeRtt {
            self.prior_window.max(self.window)
        } else {
            self.window
        };
    }

    /// RestoreCwnd.
    pub(super) fn restore_window(&mut self) {
        self.window = self.window.max(self.prior_window);
    }

    /// UpdateOnACK (draft §5.2.3).
    fn update(&mut self, ack: &Ack) {
        let measured = self.meter.take(ack, self.delivered);
        let sample = ack.delivery_rate.or(measured);
        let rs = sample.unwrap_or_default();
        self.delivered = match ack.delivery_rate {
            Some(rs) => rs.prior_delivered.wrapping_add(rs.delivered),
            None => self.delivered.wrapping_add(ack.delivered),
        };
        self.pipe = ack.pipe;
        let mut event = Event {
            ack,
            rs,
            sampled: sample.is_some(),
            stamped: ack.delivery_rate.is_some(),
            now: millis(ack.now),
            round_start: false,
            loss_round_start: false,
            probe_rtt_expired: false,
        };
        self.note_restraint(&mut event);
        self.app_limited = ack.app_limited || event.rs.app_limited;

        self.update_latest(&mut event);
        self.update_congestion(&mut event);
        self.update_aggregation(&event);
        self.check_full_bw(&event);
        self.check_startup();
        self.check_drain(&event);
        self.update_cycle(&event);
        self.update_min_rtt(&mut event);
        self.check_probe_rtt(&event);
        self.advance_latest(&event);

        self.pace(self.state.pacing_gain());
        self.set_window(ack.delivered);
    }

    /// NoteLoss, for `runs` runs of octets.
    fn note_loss(&mut self, runs: u8) {
        if !self.loss_in_round {
            self.loss_round = self.delivered;
            self.loss_runs = 0;
            self.save_before_loss();
        }
        self.loss_in_round = true;
        self.loss_runs = self.loss_runs.saturating_add(runs);
    }
}

impl Congestion for Bbr {
    fn new(now: Instant, mss: u16) -> Self {
        let mss = mss.max(1);
        let mut bbr = Self {
            bw_before: 0,
            bw_now: 0,
            bw_latest: 0,
            bw_shortterm: u64::MAX,
            full_bw: 0,
            undo_bw_shortterm: 0,
            pacing_rate: 0,
            min_rtt: INFINITE,
            probe_rtt_min: INFINITE,
            min_rtt_at: millis(now),
            probe_rtt_min_at: millis(now),
            probe_rtt_done_at: 0,
            cycle_at: 0,
            delivered: 0,
            next_round: 0,
            loss_round: 0,
            restrained_to: 0,
            window: INITIAL.saturating_mul(u32::from(mss)),
            prior_window: 0,
            pipe: 0,
            inflight_latest: 0,
            inflight_shortterm: INFINITE,
            inflight_longterm: INFINITE,
            undo_inflight_shortterm: 0,
            undo_inflight_longterm: 0,
            extra_before: 0,
            extra_now: 0,
            extra_delivered: 0,
            extra_at: now.micros() as u32,
            up_acked: 0,
            up_acked_per_inc: INFINITE,
            meter: RoundMeter::default(),
            probe_wait: 0,
            arrived: 0,
            mss,
            initial: INITIAL as u8,
            full_bw_count: 0,
            rounds_since_up: 0,
            up_rounds: 0,
            extra_rounds: 0,
            restraint: 100,
            loss_runs: 0,
            state: State::Startup,
            ack_phase: AckPhase::Init,
            undo_state: UndoState::None,
            full_bw_now: false,
            full_bw_reached: false,
            loss_in_round: false,
            probe_sample: false,
            prev_too_high: false,
            prev_precautionary: false,
            probe_rtt_low: false,
            probe_rtt_round_done: false,
            idle_restart: false,
            app_limited: false,
            recovering: false,
        };
        bbr.pace_initially(FIRST_RTT);
        bbr
    }

    fn on_config(&mut self, config: &Config) {
        self.initial = config.initial_window.max(1);
    }

    fn on_initial_window(&mut self, segments: u8) {
        self.initial = segments.max(1);
        self.window = self.initial();
        self.pace_initially(FIRST_RTT);
    }

    #[inline]
    fn window(&self) -> u32 {
        self.window
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate)
    }

    fn owns_recovery(&self) -> bool {
        true
    }

    fn name(&self) -> &'static str {
        "bbr"
    }

    fn path_model(&self) -> Option<PathModel> {
        let min_rtt = match self.min_rtt {
            INFINITE => Duration::ZERO,
            us => Duration::from_micros(us.into()),
        };
        let gain = |hundredths| u16::try_from(hundredths).unwrap_or(u16::MAX);
        Some(PathModel {
            bandwidth: self.bandwidth(),
            min_rtt,
            pacing_gain: gain(self.state.pacing_gain()),
            cwnd_gain: gain(self.state.cwnd_gain()),
        })
    }

    /// HandleRestartFromIdle (draft §5.4.1).
    fn on_sent(&mut self, now: Instant, bytes: u32, in_flight: u32) {
        self.pipe = in_flight;
        if in_flight <= bytes && self.app_limited && !self.recovering {
            self.idle_restart = true;
            self.extra_at = now.micros() as u32;
            if self.state.is_probe_bw() {
                self.pace(100);
            } else if self.state == State::ProbeRtt {
                self.check_probe_rtt_done(now);
            }
        }
    }

    fn on_ack(&mut self, ack: &Ack) {
        self.update(ack);
    }

    fn on_recovery(&mut self, ack: &Ack) {
        self.update(ack);
    }

    /// HandleLostPacket (draft §5.5.10.2).
    fn on_lost(&mut self, lost: &Lost) {
        self.meter.lose(lost.octets);
        self.note_loss(1);
        self.handle_lost(lost);
    }

    fn on_loss(&mut self, now: Instant, loss: Loss, in_flight: u32) {
        // Not told of by `on_lost`: one run, and all that can be known of this round.
        let alone = !self.loss_in_round;
        match loss {
            // The draft says nothing of marks; RFC 3168 §6.1.2 wants them answered as losses.
            Loss::Detected | Loss::Ecn => {
                self.save_window();
                self.note_loss(1);
                if alone {
                    self.handle_lone_loss(now, in_flight);
                }
                self.recovering |= loss == Loss::Detected;
            }
            Loss::Timeout | Loss::Repeated => {
                self.save_window();
                self.note_loss(1);
                self.recovering = true;
                // One segment beside what is in flight, which is nothing.
                self.window = self.mss();
            }
        }
    }

    fn on_recovered(&mut self, _: Instant) {
        if self.recovering {
            self.recovering = false;
            self.restore_window();
        }
    }

    /// HandleSpuriousLossDetection (draft §5.5.11.2).
    fn on_undo(&mut self) {
        self.recovering = false;
        self.undo_loss();
    }

    fn on_mtu(&mut self, mss: u16) {
        self.window = rescaled(self.window, self.mss, mss);
        self.mss = mss.max(1);
    }
}
