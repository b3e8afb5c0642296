//! Reno (RFC 5681) with an initial window of ten segments (RFC 6928) and byte counting.
//!
//! Invariant: `window` and `threshold` stay in 1 to 2^30 octets and at or above one segment.

use super::{Ack, Congestion, INITIAL, LARGEST, Loss, UNLIMITED, rescaled};
use phy::Instant;

/// Slow start, congestion avoidance, and half the flight after a loss.
#[derive(Debug, Clone)]
pub struct Reno {
    window: u32,
    threshold: u32,
    /// Octets acknowledged towards the next segment of growth in congestion avoidance.
    credit: u32,
    /// Window and threshold before the last reduction; a window of 0 if there is none to undo.
    prior: (u32, u32),
    mss: u16,
}

impl Reno {
    fn mss(&self) -> u32 {
        u32::from(self.mss)
    }

    pub(super) fn segment(&self) -> u16 {
        self.mss
    }

    /// Goes on with another algorithm's window.
    pub(super) fn resume(&mut self, window: u32, threshold: Option<u32>) {
        self.window = window;
        self.threshold = threshold.unwrap_or(self.threshold);
    }
}

impl Congestion for Reno {
    fn new(_: Instant, mss: u16) -> Self {
        let mss = mss.max(1);
        Self {
            window: INITIAL.saturating_mul(u32::from(mss)),
            threshold: UNLIMITED,
            credit: 0,
            prior: (0, 0),
            mss,
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
        Some(self.threshold)
    }

    fn name(&self) -> &'static str {
        "reno"
    }

    fn on_ack(&mut self, ack: &Ack) {
        if self.window < self.threshold {
            // Slow start grows by what was acknowledged (RFC 5681 §3.1 with L unlimited, as
            // RFC 3465 allows a sender that counts octets), but only a window that is used:
            // less than twice the flight (RFC 7661 §4.3 draws the line at half the window).
            if !ack.app_limited || self.window < ack.in_flight.saturating_mul(2) {
                let grown = self.window.saturating_add(ack.acked);
                // Without a loss so far the threshold is out of reach.
                self.window = grown.min(self.threshold).min(LARGEST);
            }
            return;
        }
        if ack.app_limited {
            return;
        }
        // Congestion avoidance: one segment for each window of acknowledged octets
        // (RFC 5681 §3.1, byte counting of equation 3's recommended form).
        self.credit = self.credit.saturating_add(ack.acked);
        if self.credit >= self.window {
            self.credit = self.credit.saturating_sub(self.window).min(self.window);
            self.window = self.window.saturating_add(self.mss()).min(LARGEST);
        }
    }

    fn on_loss(&mut self, _: Instant, loss: Loss, in_flight: u32) {
        if loss != Loss::Repeated {
            self.prior = (self.window, self.threshold);
            // RFC 5681 §3.1 equation 4.
            let half = (in_flight / 2).min(LARGEST);
            self.threshold = half.max(self.mss().saturating_mul(2));
        }
        self.credit = 0;
        self.window = match loss {
            Loss::Detected => self.threshold,
            // A mark never widens it, as the least threshold might (RFC 3168 §6.1.2).
            Loss::Ecn => self.threshold.min(self.window),
            // The loss window (RFC 5681 §3.1).
            Loss::Timeout | Loss::Repeated => self.mss(),
        };
    }

    fn on_unused(&mut self, window: u32) {
        self.threshold = self.threshold.max(self.window / 4 * 3);
        self.window = window.max(self.mss()).min(self.window);
        self.credit = 0;
    }

    /// RFC 4015 §3.2, with what was before instead of what is in flight.
    fn on_undo(&mut self) {
        let (window, threshold) = core::mem::take(&mut self.prior);
        if window > 0 {
            self.window = self.window.max(window);
            self.threshold = self.threshold.max(threshold);
        }
    }

    fn on_mtu(&mut self, mss: u16) {
        self.window = rescaled(self.window, self.mss, mss);
        self.prior = (0, 0);
        self.mss = mss.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(acked: u32, in_flight: u32, app_limited: bool) -> Ack {
        Ack {
            now: Instant::ZERO,
            acked,
            in_flight,
            app_limited,
            ..Ack::default()
        }
    }

    /// Packets sent at once, each acknowledged on its own: the window afterwards, in segments.
    fn after(sent: u32) -> u32 {
        let mut reno = Reno::new(Instant::ZERO, 1000);
        for _ in 0..sent {
            reno.on_ack(&ack(1000, sent * 1000, sent < 10));
        }
        reno.window() / 1000
    }

    #[test]
    fn slow_start_grows_only_a_used_window() {
        assert_eq!([5, 6, 9, 10].map(after), [10, 12, 18, 20]);
    }

    #[test]
    fn half_the_flight_after_a_loss_then_a_segment_per_window() {
        let mut reno = Reno::new(Instant::ZERO, 1000);
        assert_eq!(reno.threshold(), Some(0x7fff_ffff));
        reno.on_loss(Instant::ZERO, Loss::Detected, 10_000);
        assert_eq!((reno.window(), reno.threshold()), (5000, Some(5000)));
        for _ in 0..5 {
            assert_eq!(reno.window(), 5000);
            reno.on_ack(&ack(1000, 5000, false));
        }
        assert_eq!(reno.window(), 6000);
        reno.on_ack(&ack(6000, 3000, true));
        assert_eq!(reno.window(), 6000);
    }

    #[test]
    fn timeout_leaves_one_segment_and_holds_the_threshold() {
        let mut reno = Reno::new(Instant::ZERO, 1000);
        reno.on_loss(Instant::ZERO, Loss::Timeout, 10_000);
        assert_eq!((reno.window(), reno.threshold()), (1000, Some(5000)));
        reno.on_loss(Instant::ZERO, Loss::Repeated, 1000);
        assert_eq!((reno.window(), reno.threshold()), (1000, Some(5000)));
        reno.on_loss(Instant::ZERO, Loss::Timeout, 0);
        assert_eq!(reno.threshold(), Some(2000));
    }

    #[test]
    fn a_reduction_is_undone_once() {
        let mut reno = Reno::new(Instant::ZERO, 1000);
        reno.on_loss(Instant::ZERO, Loss::Timeout, 10_000);
        reno.on_loss(Instant::ZERO, Loss::Repeated, 1000);
        reno.on_undo();
        assert_eq!((reno.window(), reno.threshold()), (10_000, Some(UNLIMITED)));
        reno.on_loss(Instant::ZERO, Loss::Detected, 10_000);
        reno.on_mtu(1000);
        reno.on_undo();
        assert_eq!((reno.window(), reno.threshold()), (5000, Some(5000)));
    }

    #[test]
    fn extremes_stay_in_range() {
        let mut reno = Reno::new(Instant::ZERO, 0);
        reno.on_mtu(0);
        for _ in 0..100 {
            reno.on_ack(&ack(u32::MAX, u32::MAX, false));
        }
        assert_eq!(reno.window(), LARGEST);
        reno.on_loss(Instant::ZERO, Loss::Detected, u32::MAX);
        reno.on_mtu(u16::MAX);
        assert!(reno.window() <= LARGEST);
    }
}
