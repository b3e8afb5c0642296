//! How many connections of unproved peers a listener keeps (RFC 7413 §4.2.2, §5.1).
//!
//! Invariant: connections before the end of their handshake and those that were reset before it
//! are never more than the application allows. A reset one counts for a minute at least: who
//! spoofs addresses has their owners reset what they did not open, and must not have the place
//! back at once.

use core::time::Duration;
use phy::Instant;

/// How long a reset counts at least.
const RESET: Duration = Duration::from_secs(60);

/// See the head of this file.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::tcp) struct Queue {
    pending: u16,
    /// Those that were reset in the minute that began at `since`, and in the one before.
    resets: [u16; 2],
    since: Instant,
    /// No connection pending now will be after this.
    until: Instant,
}

impl Queue {
    /// Is there room for one more, of `most`?
    pub fn has_room(&mut self, now: Instant, most: u16) -> bool {
        if now > self.until {
            // None is left, also if some were removed without our hearing of it.
            self.pending = 0;
        }
        let [recent, _] = self.resets;
        match now.saturating_since(self.since) {
            age if age < RESET => {}
            age if age < RESET * 2 => (self.resets, self.since) = ([0, recent], now),
            _ => self.resets = [0, 0],
        }
        let [recent, older] = self.resets;
        let kept = self.pending.saturating_add(recent).saturating_add(older);
        kept < most
    }

    /// One more, pending for `most` at most.
    pub fn enter(&mut self, now: Instant, most: Duration) {
        self.pending = self.pending.saturating_add(1);
        self.until = now + most;
    }

    /// One less: its handshake ended, or it did, by a reset or otherwise.
    pub fn leave(&mut self, now: Instant, reset: bool) {
        self.pending = self.pending.saturating_sub(1);
        if reset {
            if self.resets == [0, 0] {
                self.since = now;
            }
            let [recent, _] = &mut self.resets;
            *recent = recent.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_secs(1000 + secs)
    }

    const SPAN: Duration = Duration::from_secs(128);

    #[test]
    fn what_is_pending_takes_a_place_and_gives_it_back() {
        let mut queue = Queue::default();
        assert!(!queue.has_room(at(0), 0));
        assert!(queue.has_room(at(0), 2));
        queue.enter(at(0), SPAN);
        assert!(queue.has_room(at(0), 2));
        queue.enter(at(1), SPAN);
        assert!(!queue.has_room(at(2), 2));
        queue.leave(at(2), false);
        assert!(queue.has_room(at(2), 2));
        queue.enter(at(2), SPAN);
        assert!(!queue.has_room(at(130), 2));
        // Whatever became of them.
        assert!(queue.has_room(at(131), 2));
    }

    /// RFC 7413 §5.1: a reset keeps its place for a minute.
    #[test]
    fn a_reset_keeps_its_place_for_a_minute() {
        for begin in [0, 30, 59] {
            let mut queue = Queue::default();
            queue.enter(at(0), SPAN);
            queue.leave(at(0), true);
            queue.enter(at(begin), SPAN);
            queue.leave(at(begin), true);
            assert!(!queue.has_room(at(begin), 2));
            assert!(!queue.has_room(at(begin + 59), 2), "{begin}");
            assert!(queue.has_room(at(begin + 120), 2), "{begin}");
        }
    }
}
