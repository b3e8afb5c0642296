//! The deadlines of one connection in one place, and what happens when they come.
//!
//! Invariant: a deadline that is not set is [`Instant::MAX`]; a timer only changes state, what it
//! wants sent comes out of [`Tcb::next_segment`].

use super::ack::Owed;
use super::config::Config;
use super::congestion::{Congestion, Pacer};
use super::error::TcpError;
use super::event::Event;
use super::probe::Tail;
use super::segment::Effects;
use super::tcb::{State, Tcb};
use crate::socket::{RecvBuf, SendBuf};
use phy::Instant;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Timer {
    /// Retransmission (RFC 6298 §5), also of SYN and FIN.
    Retransmit,
    /// Zero-window probes (RFC 9293 §3.8.6.1), and what silly-window avoidance or a cork held
    /// back.
    Persist,
    /// A delayed acknowledgment (RFC 1122 §4.2.3.2).
    Ack,
    /// Keep-alive probes (RFC 9293 §3.8.4); without an application, the end of FIN-WAIT-2.
    Idle,
    /// Giving back the memory of idle buffers.
    Trim,
}

/// The deadlines.
#[derive(Debug, Clone)]
pub struct Timers([Instant; 5]);

impl Default for Timers {
    fn default() -> Self {
        Self([Instant::MAX; 5])
    }
}

impl Timers {
    /// Sets a deadline.
    #[inline]
    pub fn set(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.0.get_mut(timer as usize) {
            *slot = at;
        }
    }

    /// Forgets a deadline.
    #[inline]
    pub fn clear(&mut self, timer: Timer) {
        self.set(timer, Instant::MAX);
    }

    /// Forgets all.
    pub fn clear_all(&mut self) {
        *self = Self::default();
    }

    /// A deadline, if set.
    #[inline]
    pub fn get(&self, timer: Timer) -> Option<Instant> {
        self.0
            .get(timer as usize)
            .copied()
            .filter(|at| *at != Instant::MAX)
    }

    /// Is it set?
    #[inline]
    pub fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// Has it come? Then it is forgotten.
    pub fn expired(&mut self, timer: Timer, now: Instant) -> bool {
        let due = self.get(timer).is_some_and(|at| at <= now);
        if due {
            self.clear(timer);
        }
        due
    }

    /// The nearest of all.
    #[inline]
    pub fn nearest(&self) -> Option<Instant> {
        self.0
            .iter()
            .copied()
            .min()
            .filter(|at| *at != Instant::MAX)
    }
}

impl<C: Congestion> Tcb<C> {
    /// Runs what is due; only changes state.
    pub fn on_timer(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Effects {
        let before = self.seen();
        let mut alive = Ok(());
        if self.timers.expired(Timer::Retransmit, now) {
            alive = if self.flight.tail == Tail::Armed && !self.user_timed_out(now) {
                self.probe_time(cfg, now);
                Ok(())
            } else {
                self.retransmit_due(cfg, now)
            };
        }
        if alive.is_ok() && self.timers.expired(Timer::Persist, now) {
            alive = self.persist_due(cfg, now, tx);
        }
        if alive.is_ok() && self.timers.expired(Timer::Idle, now) {
            if self.orphan {
                return self.orphan_due(cfg, now);
            }
            if let Err(error) = self.keep_alive_due(cfg, now) {
                // If it lives after all, it should know.
                self.error = Some(self.soft_error.unwrap_or(error));
                return Effects {
                    abort: true,
                    ready: true,
                    ..Effects::default()
                };
            }
        }
        if let Err(error) = alive {
            return self.give_up(now, error);
        }
        if self.timers.expired(Timer::Ack, now) {
            self.ack_due(cfg);
        }
        if self.flight.rack.timer <= now {
            self.reordering_due(cfg, now);
        }
        if self.flight.waiting && self.flight.pacer.ready(now) {
            self.flight.waiting = false;
        }
        if self.timers.expired(Timer::Trim, now) {
            self.trim(cfg, now, rx, tx);
        }
        self.tell_since(cfg, now, before);
        Effects {
            ready: self.wants_to_send(tx),
            ..Effects::default()
        }
    }

    /// Nothing was acknowledged for an RTO (RFC 6298 §5.4 to §5.6).
    fn retransmit_due(&mut self, cfg: &Config, now: Instant) -> Result<(), TcpError> {
        if self.in_flight() == 0 && !self.early.is_pending() {
            return Ok(());
        }
        let retries = match self.state {
            State::SynSent => self.options.syn_retries(cfg),
            State::SynReceived => cfg.synack_retries,
            _ if self.orphan => cfg.orphan_retries,
            _ => cfg.retries,
        };
        // A peer that took its window back but answers is not given up (RFC 9293 §3.8.6.1), unless
        // nobody is left who could do so later.
        let closed = self.snd_wnd == 0 && self.state.is_synchronized() && !self.orphan;
        // The last repetition, up to `rto_max` ago, was answered a round trip later.
        let silent = now.saturating_since(self.heard_at);
        let answers = closed && silent < cfg.rto_max.saturating_mul(2);
        let counts = self.patience().is_none() && !answers;
        let outlived = counts && self.retries >= retries;
        if outlived || self.user_timed_out(now) {
            return Err(TcpError::TimedOut);
        }
        self.count_rto(now);
        let before = self.retries;
        // What goes again now waited long enough, however slowly text is to leave.
        self.flight.pacer = Pacer::new();
        // What a closed window refused is not held against the peer that answers.
        self.retries = if answers {
            before.min(1)
        } else {
            before.saturating_add(1)
        };
        self.rtt.back_off();
        let backoff = self.retries;
        self.tell(now, Event::Rto { backoff });
        if self.state.is_synchronized() {
            self.doubt_path(cfg, now, before);
            self.enter_timeout(cfg, now, before);
        } else {
            self.syn_due = true;
        }
        self.arm_retransmit(cfg, now);
        Ok(())
    }

    /// Has the application's patience ended (RFC 9293 §3.8.3, RFC 5482)?
    fn user_timed_out(&self, now: Instant) -> bool {
        let waited = now.saturating_since(self.stalled_at);
        self.patience().is_some_and(|limit| waited >= limit)
    }

    /// The window has been zero, or something was held back, for an RTO and more
    /// (RFC 9293 §3.8.6.1).
    fn persist_due(
        &mut self,
        cfg: &Config,
        now: Instant,
        tx: &impl SendBuf,
    ) -> Result<(), TcpError> {
        if self.in_flight() > 0 || self.unsent(tx) == 0 || !self.text_flows() {
            return Ok(());
        }
        // A peer that answers probes may keep its window closed as long as the user timeout
        // allows (RFC 6429); one that does not answer is gone.
        let most = if self.orphan {
            cfg.orphan_retries
        } else {
            cfg.retries
        };
        // An orphan's peer could answer for ever, and nobody end it (RFC 6429 §4): it has until
        // probes are as rare as they get, as in Linux.
        let worn = self.orphan
            && self.patience().is_none()
            && self.persist_shift >= most
            && self.persist_wait(cfg) >= cfg.rto_max;
        if self.probes >= most || worn || self.user_timed_out(now) {
            return Err(TcpError::TimedOut);
        }
        if self.snd_wnd > 0 {
            self.push_due = true;
            return Ok(());
        }
        self.probes = self.probes.saturating_add(1);
        self.persist_shift = self.persist_shift.saturating_add(1);
        self.probe_due = true;
        let probes = self.probes;
        self.tell(now, Event::Persist { probes });
        self.arm_persist(cfg, now);
        Ok(())
    }

    /// The peer may have been silent for long (RFC 9293 §3.8.4).
    fn keep_alive_due(&mut self, cfg: &Config, now: Instant) -> Result<(), TcpError> {
        let Some(mut keep) = self.options.probes(cfg) else {
            return Ok(());
        };
        keep.time = self.idle_before_probes(keep.time);
        if !self.state.is_synchronized() || self.state == State::TimeWait {
            return Ok(());
        }
        let due = self.heard_at + keep.time;
        let busy = self.in_flight() > 0 || self.timers.is_set(Timer::Persist);
        if busy || due > now {
            // Other timers watch a busy connection.
            let next = if due > now { due } else { now + keep.time };
            self.timers.set(Timer::Idle, next);
            return Ok(());
        }
        let silent = now.saturating_since(self.heard_at);
        let impatient = self.patience().is_some_and(|limit| silent >= limit);
        if self.probes > 0 && (self.probes >= keep.retries || impatient) {
            return Err(TcpError::TimedOut);
        }
        self.probes = self.probes.saturating_add(1);
        self.probe_due = true;
        let probes = self.probes;
        self.tell(now, Event::KeepAlive { probes });
        self.timers.set(Timer::Idle, now + keep.interval);
        Ok(())
    }

    /// Gives memory back if nothing happened for a while.
    fn trim(&mut self, cfg: &Config, now: Instant, rx: &mut impl RecvBuf, tx: &mut impl SendBuf) {
        let due = self.heard_at + cfg.trim_after;
        if due > now {
            self.timers.set(Timer::Trim, due);
            return;
        }
        self.reassembly.gaps.trim();
        if self.reassembly.gaps.is_empty() {
            rx.trim();
        }
        if self.in_flight() == 0 {
            self.flight.trim();
        }
        tx.trim();
        self.tune_idle(cfg, tx);
    }

    /// The application read, or changed what the buffer holds, which may let the buffer grow:
    /// should the peer be told of the wider window? Then the socket belongs on the ready list.
    pub fn on_read(&mut self, cfg: &Config, now: Instant, rx: &mut impl RecvBuf) -> bool {
        let over = matches!(self.state, State::Closed | State::TimeWait);
        if !over && !self.timers.is_set(Timer::Trim) {
            self.timers.set(Timer::Trim, now + cfg.trim_after);
        }
        self.tune_read(cfg, now, rx);
        self.forget_urgent(rx);
        let due = self.state.receives() && self.update_due(rx);
        if due {
            self.ack.owed = Owed::Now;
        }
        self.read_acknowledges(rx) || due
    }

    /// The connection is beyond hope.
    fn give_up(&mut self, now: Instant, error: TcpError) -> Effects {
        // What the network said explains it better (RFC 1122 §4.2.3.9).
        self.error = Some(self.soft_error.unwrap_or(error));
        self.finish(now);
        Effects::closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_of_those_set() {
        let mut timers = Timers::default();
        assert_eq!(timers.nearest(), None);
        timers.set(Timer::Trim, Instant::from_secs(9));
        timers.set(Timer::Ack, Instant::from_secs(3));
        assert_eq!(timers.nearest(), Some(Instant::from_secs(3)));
        assert!(!timers.expired(Timer::Ack, Instant::from_secs(2)));
        assert!(timers.expired(Timer::Ack, Instant::from_secs(3)));
        assert!(!timers.is_set(Timer::Ack));
        assert_eq!(timers.nearest(), Some(Instant::from_secs(9)));
        timers.clear_all();
        assert_eq!(timers.nearest(), None);
    }
}
