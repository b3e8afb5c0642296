//! The deadlines of one connection, in one place.
//!
//! Invariant: a deadline that is not set is [`Instant::MAX`]; nothing here acts.

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
    /// Keep-alive probes (RFC 9293 §3.8.4).
    KeepAlive,
    /// The end of FIN-WAIT-2 without an application.
    FinWait2,
    /// Giving back the memory of idle buffers.
    Trim,
}

/// The deadlines.
#[derive(Debug, Clone)]
pub struct Timers([Instant; 6]);

impl Default for Timers {
    fn default() -> Self {
        Self([Instant::MAX; 6])
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
