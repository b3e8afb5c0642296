//! BBR's state machine (draft-ietf-ccwg-bbr-06 §5.3): Startup, Drain, ProbeBW and ProbeRTT.
//!
//! Invariant: as of `bbr`, whose events call this in the draft's order.

use super::bbr::{Bbr, Event, millis};
use super::bbr_model::INFINITE;
use phy::Instant;

/// ProbeRTTDuration, milliseconds.
const PROBE_RTT_DURATION: u32 = 200;
/// Rounds with less than a quarter of growth that mean a full pipe.
const FULL_ROUNDS: u8 = 3;
/// Rounds after which Drain ends in any case.
const DRAIN_ROUNDS: u8 = 3;
/// Most rounds between probes, to leave Reno its share (draft §5.3.3.8.2).
const RENO_ROUNDS: u32 = 63;

/// BBR.state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Startup,
    Drain,
    Down,
    Cruise,
    Refill,
    Up,
    ProbeRtt,
}

/// BBR.ack_phase: what acknowledgments tell of a probe for bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckPhase {
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

/// BBR.undo_state: the state that a loss ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UndoState {
    #[default]
    None,
    Startup,
    Up,
}

impl State {
    /// Hundredths (draft §5.6.1).
    pub fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => 277,
            Self::Drain => 50,
            Self::Down => 90,
            Self::Up => 125,
            Self::Cruise | Self::Refill | Self::ProbeRtt => 100,
        }
    }

    /// Hundredths (draft §5.6.1).
    pub fn cwnd_gain(self) -> u64 {
        match self {
            Self::Up => 225,
            Self::ProbeRtt => 50,
            _ => 200,
        }
    }

    /// IsInAProbeBWState.
    pub fn is_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// IsProbingBW.
    pub fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Drain => "Drain",
            Self::Down => "ProbeBW_DOWN",
            Self::Cruise => "ProbeBW_CRUISE",
            Self::Refill => "ProbeBW_REFILL",
            Self::Up => "ProbeBW_UP",
            Self::ProbeRtt => "ProbeRTT",
        }
    }
}

impl Event<'_> {
    /// C.is_cwnd_limited.
    fn cwnd_limited(&self) -> bool {
        !self.ack.app_limited
    }
}

impl Bbr {
    /// ResetFullBW, with a new baseline.
    pub(super) fn reset_full_bw(&mut self, baseline: u64) {
        self.full_bw = baseline;
        self.full_bw_count = 0;
        self.full_bw_now = false;
    }

    /// CheckFullBWReached (draft §5.3.1.2).
    pub(super) fn check_full_bw(&mut self, event: &Event<'_>) {
        if self.full_bw_now || !event.round_start || event.rs.app_limited {
            return;
        }
        let rate = event.rs.rate;
        if rate.saturating_mul(4) >= self.full_bw.saturating_mul(5) {
            self.reset_full_bw(rate);
            return;
        }
        self.full_bw_count = self.full_bw_count.saturating_add(1);
        self.full_bw_now = self.full_bw_count >= FULL_ROUNDS;
        self.full_bw_reached |= self.full_bw_now;
    }

    /// CheckStartupDone; losses were looked at before.
    pub(super) fn check_startup(&mut self) {
        if self.state == State::Startup && self.full_bw_reached {
            self.enter_drain();
        }
    }

    /// EnterDrain (draft §5.3.2).
    pub(super) fn enter_drain(&mut self) {
        self.state = State::Drain;
        self.rounds_since_up = 0;
    }

    /// CheckDrainDone.
    pub(super) fn check_drain(&mut self, event: &Event<'_>) {
        let drained = self.pipe <= self.inflight(self.bandwidth(), 100);
        if self.state == State::Drain && (drained || self.rounds_since_up > DRAIN_ROUNDS) {
            self.start_down(event.ack.now);
        }
    }

    /// StartProbeBW_DOWN (draft §5.3.3.9).
    pub(super) fn start_down(&mut self, now: Instant) {
        self.reset_congestion();
        self.up_acked_per_inc = INFINITE;
        self.pick_wait(now);
        self.cycle_at = millis(now);
        self.ack_phase = AckPhase::Stopping;
        self.start_round();
        self.state = State::Down;
    }

    /// PickProbeWait: 2 to 3 s. No randomness reaches here; two connections that behave the same
    /// to the microsecond and octet would choose the same, and others do not.
    fn pick_wait(&mut self, now: Instant) {
        let seed = now.micros() ^ u64::from(self.delivered).rotate_left(32);
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.rounds_since_up = (mixed & 1) as u8;
        self.probe_wait = 2_000_u16.saturating_add(((mixed >> 1) % 1_000) as u16);
    }

    /// StartProbeBW_REFILL.
    pub(super) fn start_refill(&mut self) {
        self.reset_shortterm();
        self.up_rounds = 0;
        self.up_acked = 0;
        self.prev_precautionary = false;
        self.ack_phase = AckPhase::Refilling;
        self.start_round();
        self.state = State::Refill;
    }

    /// StartProbeBW_UP.
    fn start_up(&mut self, rate: u64) {
        self.ack_phase = AckPhase::Starting;
        self.start_round();
        self.reset_full_bw(rate);
        self.state = State::Up;
        self.raise_slope();
    }

    /// RaiseInflightLongtermSlope.
    fn raise_slope(&mut self) {
        let steps = 1_u32 << self.up_rounds.min(30);
        self.up_rounds = self.up_rounds.saturating_add(1).min(30);
        self.up_acked_per_inc = (self.window / steps).max(self.mss());
    }

    /// UpdateProbeBWCyclePhase.
    pub(super) fn update_cycle(&mut self, event: &Event<'_>) {
        if !self.full_bw_reached || self.adapt_longterm(event) {
            return;
        }
        match self.state {
            State::Down => {
                self.restrain(self.state.pacing_gain());
                if !self.probe_if_time(event.now) && self.is_time_to_cruise() {
                    self.state = State::Cruise;
                }
            }
            State::Cruise => {
                self.probe_if_time(event.now);
            }
            State::Refill => {
                if event.round_start {
                    self.probe_sample = true;
                    self.start_up(event.rs.rate);
                }
            }
            State::Up => {
                if self.is_time_to_go_down(event) {
                    self.prev_too_high = false;
                    self.start_down(event.ack.now);
                }
            }
            State::Startup | State::Drain | State::ProbeRtt => {}
        }
    }

    /// IsTimeToProbeBW.
    fn probe_if_time(&mut self, now: u32) -> bool {
        let elapsed = now.wrapping_sub(self.cycle_at) > u32::from(self.probe_wait);
        let reno = (self.target_inflight() / self.mss().max(1)).min(RENO_ROUNDS);
        let due = elapsed || u32::from(self.rounds_since_up) >= reno;
        if due {
            self.start_refill();
        }
        due
    }

    /// IsTimeToCruise.
    fn is_time_to_cruise(&self) -> bool {
        self.pipe <= self.with_headroom() && self.pipe <= self.inflight(self.max_bw(), 100)
    }

    /// IsTimeToGoDown.
    fn is_time_to_go_down(&mut self, event: &Event<'_>) -> bool {
        // The flight before this acknowledgment was one of whole segments: no other fitted under
        // the bound.
        let flight = self.pipe.saturating_add(event.ack.delivered);
        let next = flight.saturating_add(self.mss());
        if self.prev_too_high && next > self.inflight_longterm {
            self.prev_precautionary = true;
            return true;
        }
        if event.cwnd_limited() && self.window >= self.inflight_longterm {
            self.reset_full_bw(event.rs.rate);
            return false;
        }
        self.full_bw_now
    }

    /// AdaptLongTermModel: true if it decided on a state.
    fn adapt_longterm(&mut self, event: &Event<'_>) -> bool {
        if self.ack_phase == AckPhase::Starting && event.round_start {
            self.ack_phase = AckPhase::Feedback;
        }
        if self.ack_phase == AckPhase::Stopping && event.round_start {
            self.probe_sample = false;
            self.ack_phase = AckPhase::Init;
            if self.state.is_probe_bw() {
                if !event.rs.app_limited {
                    self.advance_max_bw();
                }
                if self.prev_precautionary && !self.prev_too_high {
                    self.start_refill();
                    return true;
                }
            }
        }
        if !self.sample_too_high(event) && self.inflight_longterm != INFINITE {
            let seen = event.rs.tx_in_flight;
            self.inflight_longterm = self.inflight_longterm.max(seen);
            if self.state == State::Up {
                self.probe_upward(event);
            }
        }
        false
    }

    /// ProbeInflightLongtermUpward.
    fn probe_upward(&mut self, event: &Event<'_>) {
        if !event.cwnd_limited() || self.window < self.inflight_longterm {
            return;
        }
        self.up_acked = self.up_acked.saturating_add(event.ack.delivered);
        let steps = self.up_acked / self.up_acked_per_inc.max(1);
        let spent = steps.saturating_mul(self.up_acked_per_inc);
        self.up_acked = self.up_acked.saturating_sub(spent);
        let more = steps.saturating_mul(self.mss());
        let most = INFINITE.saturating_sub(1);
        self.inflight_longterm = self.inflight_longterm.saturating_add(more).min(most);
        if event.round_start {
            self.raise_slope();
        }
    }

    /// CheckProbeRTT (draft §5.3.4.3).
    pub(super) fn check_probe_rtt(&mut self, event: &Event<'_>) {
        if self.state != State::ProbeRtt && event.probe_rtt_expired && !self.idle_restart {
            self.save_window();
            self.state = State::ProbeRtt;
            self.probe_rtt_low = false;
            self.ack_phase = AckPhase::Stopping;
            self.start_round();
        }
        if self.state == State::ProbeRtt {
            self.handle_probe_rtt(event);
        }
        if event.ack.delivered > 0 {
            self.idle_restart = false;
        }
    }

    /// HandleProbeRTT.
    fn handle_probe_rtt(&mut self, event: &Event<'_>) {
        self.restrain(State::ProbeRtt.cwnd_gain());
        if !self.probe_rtt_low {
            if self.pipe <= self.probe_rtt_window() {
                self.probe_rtt_low = true;
                self.probe_rtt_done_at = event.now.wrapping_add(PROBE_RTT_DURATION);
                self.probe_rtt_round_done = false;
                self.start_round();
            }
            return;
        }
        self.probe_rtt_round_done |= event.round_start;
        if self.probe_rtt_round_done {
            self.check_probe_rtt_done(event.ack.now);
        }
    }

    /// CheckProbeRTTDone, ExitProbeRTT (draft §5.3.4.4).
    pub(super) fn check_probe_rtt_done(&mut self, at: Instant) {
        let now = millis(at);
        let over = now.wrapping_sub(self.probe_rtt_done_at);
        if !self.probe_rtt_low || over == 0 || over >= 1 << 31 {
            return;
        }
        self.probe_rtt_min_at = now;
        self.restore_window();
        self.reset_shortterm();
        if self.full_bw_reached {
            self.start_down(at);
            self.state = State::Cruise;
        } else {
            self.state = State::Startup;
        }
    }
}
