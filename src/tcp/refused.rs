//! Segments that the layers below refused to take: local congestion, not the network's.
//!
//! Invariant: what was refused counts as never sent, except what the peer asks for again anyway
//! (SYN, pure ACK); it is tried again after [`Config::refused_retry`], which counts as a probe
//! and backs nothing off.

use super::config::Config;
use super::congestion::Congestion;
use super::recovery::CaState;
use super::segment::Plan;
use super::tcb::Tcb;
use super::timers::Timer;
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// `plan`, of which nothing left, was dropped by the layer below. To be called instead of
    /// `on_sent`; look at `deadline` afterwards.
    pub fn on_refused(&mut self, cfg: &Config, now: Instant, plan: &Plan) {
        let len = plan.seq_len();
        let again = now + cfg.refused_retry;
        if len == 0 {
            let probe = plan.seq != self.snd_nxt;
            if !probe {
                return self.on_sent(cfg, now, plan);
            }
            self.probe_due = false;
            if self.timers.is_set(Timer::Persist) {
                // It was backed off for a probe that was not made.
                self.persist_shift = self.persist_shift.saturating_sub(1);
                self.timers.set(Timer::Persist, again);
            }
        } else if plan.flags.syn() {
            self.on_sent(cfg, now, plan);
        } else if (plan.seq + len).gt(self.snd_nxt) {
            if self.in_flight() > 0 {
                // What is in flight will be acknowledged, or time out: then again.
                return;
            }
            if self.timers.is_set(Timer::Persist) {
                return;
            }
            if self.push_due {
                self.probes = self.probes.saturating_add(1);
                self.timers.set(Timer::Persist, again);
            } else {
                self.stalled_at = now;
                self.arm_persist(cfg, now);
            }
        } else if self.flight.state == CaState::Loss
            && plan.seq == self.snd_una
            && self
                .timers
                .get(Timer::Retransmit)
                .is_some_and(|at| at > again)
        {
            self.rtt.back_on();
            self.timers
                .set(Timer::Retransmit, self.within_user_timeout(again));
        }
    }
}
