//! The rate at which text leaves: the congestion control's own, or, where the stack's
//! configuration or the application wants text paced under any other, a window in a round trip.
//!
//! Invariant: a rate is never above what the application allows (`SO_MAX_PACING_RATE`).

use super::config::Config;
use super::congestion::Congestion;
use super::tcb::Tcb;

impl<C: Congestion> Tcb<C> {
    /// Octets per second that text is sent at now; `None` sends in bursts, as acknowledgments
    /// come.
    #[inline]
    pub(super) fn pace(&self, cfg: &Config) -> Option<u64> {
        let own = self.cc.pacing_rate().is_some();
        if !own && !cfg.pacing && self.options.max_pacing_rate().is_none() {
            return None;
        }
        let first = self.counts.data_segs_out < u32::from(cfg.unpaced_segments);
        if !own && first {
            return None;
        }
        self.pacing_rate(cfg).or(self.options.max_pacing_rate())
    }

    /// The rate text is paced at, or would be: the window in a round trip, and more so that
    /// pacing does not keep the window from growing.
    pub(super) fn pacing_rate(&self, cfg: &Config) -> Option<u64> {
        let bound = self.options.max_pacing_rate().unwrap_or(u64::MAX);
        if let Some(rate) = self.cc.pacing_rate() {
            return Some(rate.min(bound));
        }
        let rtt = u64::try_from(self.rtt.smoothed()?.as_micros()).unwrap_or(u64::MAX);
        let window = self.window().max(self.pipe());
        let slow_start = self.cc.threshold().is_some_and(|t| window / 2 < t / 2);
        let percent = if slow_start {
            cfg.pacing_slow_start
        } else {
            cfg.pacing_avoidance
        };
        let second = u64::from(window).saturating_mul(1_000_000) / rtt.max(1);
        Some((second.saturating_mul(percent.into()) / 100).min(bound))
    }
}
