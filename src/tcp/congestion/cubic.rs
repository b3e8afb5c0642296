//! CUBIC (RFC 9438), with the choices Linux makes where the RFC leaves any.
//!
//! The window follows `W(t) = C (t - K)^3 + W_max` through the time since congestion avoidance
//! began, or a Reno-like estimate where that is more. Where this differs from the RFC's text:
//! the target is taken one *least* round trip ahead (§4.2 says smoothed); it is computed anew
//! when the window changed or 31 ms passed, not for every acknowledgment; before the first loss,
//! and after a timeout, the window grows by at least a twentieth of what is acknowledged.
//!
//! Invariant: window and threshold stay in 1 to 2^30 octets; the window at or above one
//! segment, and two but after a timeout. Times are milliseconds that wrap after 49 days.

use super::curve::{rise, span};
use super::hystart::{Flow, HyStart, SlowStart, sample};
use super::{Ack, Congestion, INITIAL, LARGEST, Loss, Round, UNLIMITED, rescaled};
use crate::tcp::config::Config;
use crate::tcp::seldom::Seldom;
use phy::Instant;

/// Percent of the window that a loss leaves, if nobody wants another part.
const BETA: u8 = 70;
/// Milliseconds for which a computed growth holds while the window stays.
const FRESH: u32 = 31;
/// Milliseconds of an epoch beyond which the curve no longer matters.
const LONGEST: u32 = 1 << 20;
/// Octets acknowledged for one of growth where W_max is not known.
const UNKNOWN: u64 = 20;

/// CUBIC; `S` says when slow start ends.
///
/// With an allocator it is 24 octets, and the curve takes memory from the first loss on, or once
/// the window is worth judging slow start by.
#[derive(Debug, Clone)]
pub struct Cubic<S = HyStart> {
    window: u32,
    /// The least round-trip time, microseconds; 0 before the first sample.
    min_rtt: u32,
    /// Of slow start.
    round: Round,
    mss: u16,
    /// The application leaves the window unused.
    paused: bool,
    /// Nothing was in flight after the last acknowledgment.
    empty: bool,
    /// Absent in a connection that never filled its window: zero is what all of it begins with.
    curve: Seldom<Curve<S>>,
}

/// What congestion avoidance knows, and the rule that ends slow start.
#[derive(Debug, Clone, Default)]
struct Curve<S> {
    /// Octets by which the threshold is below [`UNLIMITED`].
    below: u32,
    /// W_max, octets; 0 where unknown.
    w_max: u32,
    /// cwnd_prior: the window before the last reduction, octets (RFC 9438 §4.3).
    prior: u32,
    /// t_epoch: when congestion avoidance began, milliseconds, idle time left out.
    epoch: u32,
    /// t - K at the epoch's begin, milliseconds: above zero only after an undo.
    offset: i32,
    /// What the curve's plateau is in this epoch, octets.
    origin: u32,
    /// W_est, octets, and what was acknowledged since it was last computed.
    estimate: u32,
    uncounted: u32,
    /// Octets acknowledged towards the next segment of growth, and how many it takes.
    credit: u32,
    need: u32,
    /// When `need` was computed, and for which window.
    counted_at: u32,
    counted_for: u32,
    /// Since when time does not count, if `paused`; else when the last flight had arrived whole.
    idle: u32,
    undo: Undo,
    in_epoch: bool,
    /// Percent of the window that a loss leaves beyond [`BETA`].
    more: i8,
    /// The next epoch goes on with the curve around `origin`.
    resumed: bool,
    slow_start: S,
}

/// What the last loss took (RFC 9438 §4.9); a window of 0 means nothing to restore.
#[derive(Debug, Clone, Copy, Default)]
struct Undo {
    window: u32,
    threshold: u32,
    w_max: u32,
    prior: u32,
    /// Of the epoch, if there was one.
    origin: u32,
    estimate: u32,
}

/// Milliseconds since the epoch of time, wrapping.
fn millis(now: Instant) -> u32 {
    now.millis() as u32
}

/// What the curve is told of the connection.
#[derive(Debug, Clone, Copy)]
struct Path {
    window: u32,
    mss: u16,
    /// Microseconds.
    min_rtt: u32,
}

impl Path {
    /// The least window of a sender that lost nothing just now (RFC 9438 §4.6).
    fn least(self) -> u32 {
        u32::from(self.mss).saturating_mul(2)
    }

    /// Octets to be acknowledged for one more segment of window, so that `target` is reached
    /// within one round trip.
    fn octets_for(self, target: u32) -> u64 {
        let window = u64::from(self.window);
        let gap = u64::from(target.saturating_sub(self.window));
        // On the plateau hardly any growth: a hundredth segment a round trip.
        let most = window.saturating_mul(100);
        let octets = window.saturating_mul(u64::from(self.mss)).checked_div(gap);
        octets.map_or(most, |octets| octets.min(most))
    }
}

impl<S> Curve<S> {
    /// Time from the last acknowledgment in a row that left the window unused, or nothing in
    /// flight, does not count for the curve (RFC 9438 §4.2, §5.8).
    fn skip_idle(&mut self, now: u32) {
        let idle = now.wrapping_sub(self.idle);
        if self.in_epoch && idle <= now.wrapping_sub(self.epoch) {
            self.epoch = self.epoch.wrapping_add(idle);
        }
    }

    /// Congestion avoidance begins, or goes on after what was no loss.
    fn begin_epoch(&mut self, now: u32, path: Path) {
        self.in_epoch = true;
        self.epoch = now;
        self.uncounted = 0;
        self.credit = 0;
        let resumed = core::mem::take(&mut self.resumed);
        if !resumed {
            self.estimate = path.window;
        }
        self.offset = if resumed && self.origin > 0 && self.origin < path.window {
            // Beyond the plateau already.
            let above = path.window.saturating_sub(self.origin);
            0_i32.saturating_add_unsigned(span(above, path.mss))
        } else {
            self.origin = self.w_max.max(path.window);
            let below = self.origin.saturating_sub(path.window);
            0_i32.saturating_sub_unsigned(span(below, path.mss))
        };
    }

    /// W_cubic one round trip ahead, octets. The way from the plateau is taken in whole segments
    /// begun towards it, so that a window of few segments does not wait for a fraction of one.
    fn target(&self, now: u32, path: Path) -> u32 {
        let time = now
            .wrapping_sub(self.epoch)
            .saturating_add(path.min_rtt / 1000);
        let place = i64::from(self.offset).saturating_add(i64::from(time));
        let octets = u32::try_from(rise(place.unsigned_abs(), path.mss)).unwrap_or(u32::MAX);
        let part = octets.checked_rem(u32::from(path.mss)).unwrap_or(0);
        let octets = octets.saturating_sub(part);
        if place < 0 {
            self.origin.saturating_sub(octets)
        } else {
            self.origin.saturating_add(octets)
        }
    }

    /// Beta, percent: 1 to 99.
    fn beta(&self) -> u64 {
        BETA.wrapping_add_signed(self.more).into()
    }

    /// W_est grows by alpha segments a window (RFC 9438 §4.3 figure 4): 3 (1 - b) / (1 + b) is
    /// 9/17 with b = 0.7, and 1 once the window before the loss is reached again.
    fn advance_estimate(&mut self, path: Path) {
        let beta = self.beta();
        let (more, of) = if self.estimate < self.prior {
            (3 * 100_u64.saturating_sub(beta), 100 + beta)
        } else {
            (1, 1)
        };
        let acked = u64::from(self.uncounted).saturating_mul(u64::from(path.mss));
        let window = u64::from(path.window.max(1)).saturating_mul(of);
        let grown = acked.saturating_mul(more) / window;
        if grown > 0 {
            let grown = u32::try_from(grown).unwrap_or(u32::MAX);
            self.estimate = self.estimate.saturating_add(grown).min(LARGEST);
            self.uncounted = 0;
        }
    }

    fn compute_need(&mut self, now: u32, path: Path) {
        self.counted_at = now;
        self.counted_for = path.window;
        if now.wrapping_sub(self.epoch) > LONGEST {
            self.epoch = now.wrapping_sub(LONGEST);
        }
        self.advance_estimate(path);
        let mut need = path.octets_for(self.target(now, path));
        if self.w_max == 0 {
            need = need.min(UNKNOWN.saturating_mul(u64::from(path.mss)));
        }
        if self.estimate > path.window {
            need = need.min(path.octets_for(self.estimate));
        }
        // The target is at most 1.5 windows (RFC 9438 §4.4): a segment for two acknowledged.
        let need = need.max(u64::from(path.least()));
        self.need = u32::try_from(need).unwrap_or(u32::MAX).max(1);
    }

    /// Segments that the window grows by for `acked` octets.
    fn avoid(&mut self, now: u32, acked: u32, path: Path) -> u32 {
        let old = now.wrapping_sub(self.counted_at) > FRESH;
        let stale = old || self.counted_for != path.window;
        // What was computed a moment ago for this window holds beyond a loss that left it.
        if stale && !self.in_epoch {
            self.begin_epoch(now, path);
        }
        self.uncounted = self.uncounted.saturating_add(acked);
        if stale {
            self.compute_need(now, path);
        }
        // What was acknowledged while more was needed counts for one segment at most.
        let need = self.need.max(1);
        self.credit = self.credit.min(need).saturating_add(acked);
        let segments = self.credit / need;
        self.credit = self.credit.saturating_sub(segments.saturating_mul(need));
        segments
    }

    /// The window before a reduction is remembered (RFC 9438 §4.6, §4.7).
    fn reduce(&mut self, window: u32, threshold: u32) {
        self.undo = Undo {
            window,
            threshold,
            w_max: self.w_max,
            prior: self.prior,
            origin: if self.in_epoch { self.origin } else { 0 },
            estimate: if self.in_epoch { self.estimate } else { window },
        };
        self.resumed = false;
        // Fast convergence: a flow that did not get as far as before leaves room for others.
        self.w_max = if window < self.w_max {
            // By half of what the reduction takes (RFC 9438 §4.7).
            (u64::from(window).saturating_mul(100 + self.beta()) / 200) as u32
        } else {
            window
        };
        self.prior = window;
    }
}

impl<S: SlowStart> Cubic<S> {
    fn mss(&self) -> u32 {
        u32::from(self.mss)
    }

    pub(super) fn segment(&self) -> u16 {
        self.mss
    }

    /// Goes on with another algorithm's window.
    pub(super) fn resume(&mut self, window: u32, threshold: Option<u32>) {
        self.window = window;
        if let Some(threshold) = threshold {
            self.set_threshold(threshold);
        }
    }

    /// Time does not count for the curve from here on.
    fn pause(&mut self, now: u32) {
        if let Some(curve) = self.curve.get_mut() {
            curve.idle = now;
        }
    }

    #[inline]
    fn ssthresh(&self) -> u32 {
        let below = self.curve.get().map_or(0, |curve| curve.below);
        UNLIMITED.saturating_sub(below)
    }

    fn set_threshold(&mut self, threshold: u32) {
        let below = UNLIMITED.saturating_sub(threshold);
        if below > 0 || self.curve.get().is_some() {
            self.curve.make().below = below;
        }
    }

    fn path(&self) -> Path {
        Path {
            window: self.window,
            mss: self.mss,
            min_rtt: self.min_rtt,
        }
    }

    fn avoid(&mut self, now: u32, acked: u32) {
        let path = self.path();
        let segments = self.curve.make().avoid(now, acked, path);
        let grown = segments.saturating_mul(self.mss());
        if grown > 0 {
            self.window = self.window.saturating_add(grown).min(LARGEST);
        }
    }

    /// What the rule for slow start lets the window grow by; it is not asked where a window that
    /// it never judges is not even filled.
    fn allowed(&mut self, ack: &Ack) -> Option<u32> {
        let small = self.window < S::least(ack).saturating_mul(self.mss());
        // Nor do rounds count: the first one begins when the window is large enough (Linux).
        let begins = !small && self.round.begins(ack.acked, ack.pipe);
        if small && ack.app_limited && self.curve.get().is_none() {
            return Some(ack.acked);
        }
        let flow = Flow {
            begins,
            window: self.window,
            mss: self.mss,
            min_rtt: self.min_rtt,
        };
        self.curve.make().slow_start.on_ack(ack, flow)
    }

    /// Slow start, below the threshold; gives what was acknowledged beyond it.
    fn slow_start(&mut self, ack: &Ack) -> u32 {
        let Some(octets) = self.allowed(ack) else {
            self.set_threshold(self.window);
            return ack.acked;
        };
        // Only a window that is used grows: less than twice the flight (RFC 7661 §4.3).
        if ack.app_limited && self.window >= ack.in_flight.saturating_mul(2) {
            return 0;
        }
        let room = self.ssthresh().saturating_sub(self.window);
        self.window = self
            .window
            .saturating_add(octets.min(room))
            .min(LARGEST.max(self.mss()));
        octets.saturating_sub(room)
    }

    fn reduce(&mut self) {
        let threshold = self.ssthresh();
        let curve = self.curve.make();
        curve.reduce(self.window, threshold);
        let reduced = u64::from(self.window).saturating_mul(curve.beta()) / 100;
        let least = self.path().least();
        self.set_threshold((reduced as u32).max(least));
    }
}

impl<S: SlowStart> Congestion for Cubic<S> {
    fn new(_: Instant, mss: u16) -> Self {
        let mss = mss.max(1);
        Self {
            window: INITIAL.saturating_mul(u32::from(mss)),
            min_rtt: 0,
            round: Round::default(),
            mss,
            paused: false,
            empty: true,
            curve: Seldom::default(),
        }
    }

    fn on_config(&mut self, config: &Config) {
        let more = config.cubic_beta.clamp(1, 99).wrapping_sub(BETA) as i8;
        if more != 0 || self.curve.get().is_some() {
            self.curve.make().more = more;
        }
    }

    fn on_initial_window(&mut self, segments: u8) {
        self.window = u32::from(segments.max(1)).saturating_mul(u32::from(self.mss));
    }

    #[inline]
    fn window(&self) -> u32 {
        self.window
    }

    fn threshold(&self) -> Option<u32> {
        Some(self.ssthresh())
    }

    fn name(&self) -> &'static str {
        "cubic"
    }

    fn on_sent(&mut self, now: Instant, bytes: u32, in_flight: u32) {
        if self.empty
            && !self.paused
            && in_flight <= bytes
            && let Some(curve) = self.curve.get_mut()
        {
            curve.skip_idle(millis(now));
        }
        self.empty = false;
    }

    fn on_ack(&mut self, ack: &Ack) {
        let now = millis(ack.now);
        if let Some(rtt) = sample(ack)
            && (self.min_rtt == 0 || rtt < self.min_rtt)
        {
            self.min_rtt = rtt;
        }
        let mut acked = ack.acked;
        if self.window < self.ssthresh() {
            acked = self.slow_start(ack);
        }
        if self.window >= self.ssthresh() {
            if ack.app_limited {
                if !self.paused {
                    self.paused = true;
                    self.pause(now);
                }
            } else {
                if self.paused {
                    self.paused = false;
                    if let Some(curve) = self.curve.get_mut() {
                        curve.skip_idle(now);
                    }
                }
                if acked > 0 {
                    self.avoid(now, acked);
                }
            }
        }
        self.empty = ack.pipe == 0;
        if self.empty && !self.paused {
            self.pause(now);
        }
    }

    fn on_loss(&mut self, _: Instant, loss: Loss, _: u32) {
        if loss != Loss::Repeated {
            self.reduce();
        }
        self.paused = false;
        if let Some(curve) = self.curve.get_mut() {
            curve.in_epoch = false;
            curve.credit = 0;
        }
        match loss {
            Loss::Detected => self.window = self.ssthresh(),
            // A mark never widens it, as the least threshold might (RFC 3168 §6.1.2).
            Loss::Ecn => self.window = self.window.min(self.ssthresh()),
            Loss::Timeout | Loss::Repeated => {
                // RFC 9438 §4.8: the curve begins at its plateau where slow start ends.
                self.window = self.mss();
                self.min_rtt = 0;
                self.round = Round::default();
                let curve = self.curve.make();
                curve.w_max = 0;
                curve.slow_start.restart();
            }
        }
    }

    fn on_undo(&mut self) {
        let Some(curve) = self.curve.get_mut() else {
            return;
        };
        let undo = core::mem::take(&mut curve.undo);
        if undo.window == 0 {
            return;
        }
        self.window = self.window.max(undo.window).min(LARGEST);
        curve.below = UNLIMITED.saturating_sub(undo.threshold);
        curve.w_max = undo.w_max;
        curve.prior = undo.prior;
        // The next epoch begins where on the curve this window is.
        curve.origin = undo.origin;
        curve.estimate = undo.estimate;
        curve.resumed = true;
        curve.in_epoch = false;
    }

    fn on_unused(&mut self, window: u32) {
        self.set_threshold(self.ssthresh().max(self.window / 4 * 3));
        self.window = window.max(self.mss()).min(self.window);
        if let Some(curve) = self.curve.get_mut() {
            curve.resumed = false;
            curve.in_epoch = false;
        }
    }

    fn on_mtu(&mut self, mss: u16) {
        let (old, new) = (self.mss, mss.max(1));
        self.window = rescaled(self.window, old, new);
        let threshold = self.ssthresh();
        if threshold < UNLIMITED {
            self.set_threshold(rescaled(threshold, old, new));
        }
        self.mss = new;
        if let Some(curve) = self.curve.get_mut() {
            if curve.w_max > 0 {
                curve.w_max = rescaled(curve.w_max, old, new);
            }
            curve.prior = rescaled(curve.prior, old, new);
            curve.undo = Undo::default();
            curve.resumed = false;
            curve.in_epoch = false;
        }
    }
}
