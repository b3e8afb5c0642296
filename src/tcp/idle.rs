//! Congestion windows that say nothing of the path any more (RFC 5681 §4.1, RFC 7661), where
//! [`Config::slow_start_after_idle`] wants that heeded.
//!
//! Invariant: a window is only ever reduced here, never below the initial one or itself. After
//! an idle time it is halved for each RTO of it; while less than all of it is used, it comes half
//! way down to what is used for each RTO.

use super::config::Config;
use super::congestion::Congestion;
use super::event::Event;
use super::rtt::micros;
use super::tcb::Tcb;
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// Octets of the initial window.
    fn initial_window(&self, cfg: &Config) -> u32 {
        u32::from(cfg.initial_window.max(1)).saturating_mul(u32::from(self.mss))
    }

    /// New text is to be sent, and nothing is in flight.
    pub(super) fn restart_after_idle(&mut self, cfg: &Config, now: Instant) {
        let now_ms = now.millis() as u32;
        let rto = (micros(self.rtt.rto(cfg)) / 1000).max(1);
        let idle = u64::from(now_ms.wrapping_sub(self.sent_at));
        if idle <= rto {
            return;
        }
        let halvings = u32::try_from(idle / rto).unwrap_or(31).min(31);
        let window = self.cc.window();
        let restart = window.min(self.initial_window(cfg));
        self.cc.on_unused((window >> halvings).max(restart));
        if self.cc.window() < window {
            let idle = now_ms.wrapping_sub(self.sent_at);
            self.tell(now, Event::IdleRestart { idle });
        }
        // Once for each idle time.
        self.sent_at = now_ms;
        self.rare.make().window_used_at = now_ms;
    }

    /// Something was sent: was the window used within the last RTO?
    pub(super) fn validate_window(&mut self, cfg: &Config, now: Instant) {
        let now_ms = now.millis() as u32;
        let rto = micros(self.rtt.rto(cfg)) / 1000;
        let (limited, window) = (self.cwnd_limited, self.cc.window());
        let used = self.max_flight.max(self.initial_window(cfg));
        let rare = self.rare.make();
        if limited || rare.window_used_at == 0 {
            rare.window_used_at = now_ms;
        } else if u64::from(now_ms.wrapping_sub(rare.window_used_at)) >= rto {
            rare.window_used_at = now_ms;
            if used < window {
                self.cc.on_unused(window / 2 + used / 2);
            }
        }
    }
}
