//! Pacing (draft-ietf-ccwg-bbr-06 §5.6.2, §5.6.3): when the next segment or train may leave.
//!
//! Invariant: over any time T at most `rate * (T + 5 ms)` octets and one train leave.

use phy::Instant;

/// Lateness of a timer that is made up for, nanoseconds: what a busy machine lets it wait.
const LATE: u64 = 5_000_000;
/// What a sender that did not wait for it at all may send at once, nanoseconds.
const SLACK: u64 = 1_000_000;
/// Octets of the longest train.
const LONGEST: u64 = 65_536;

/// Octets that may leave at once at `rate` octets per second: what takes one millisecond, at
/// least two segments, at most 64 KiB.
pub fn quantum(rate: u64, mss: u16) -> u32 {
    let least = u32::from(mss.max(1)).saturating_mul(2);
    ((rate / 1000).min(LONGEST) as u32).max(least)
}

/// Spaces trains out so that they keep to a rate.
#[derive(Debug, Clone, Default)]
pub struct Pacer {
    /// When the next may leave, nanoseconds since the epoch.
    next: u64,
}

impl Pacer {
    /// One that has sent nothing yet.
    pub const fn new() -> Self {
        Self { next: 0 }
    }

    /// May a train leave at `now`?
    #[inline]
    pub fn ready(&self, now: Instant) -> bool {
        self.next <= now.micros().saturating_mul(1000)
    }

    /// When the next train may leave.
    pub fn deadline(&self) -> Instant {
        Instant::from_micros(self.next.div_ceil(1000))
    }

    /// A train of `octets` left at `now`, for a rate of `rate` octets per second.
    #[inline]
    pub fn on_sent(&mut self, now: Instant, octets: u32, rate: u64) {
        let now = now.micros().saturating_mul(1000);
        let late = now.saturating_sub(self.next) <= LATE;
        let from = if late {
            self.next
        } else {
            now.saturating_sub(SLACK)
        };
        let takes = u64::from(octets)
            .saturating_mul(1_000_000_000)
            .checked_div(rate)
            .unwrap_or(0);
        self.next = from.saturating_add(takes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trains_keep_to_the_rate_though_timers_are_late() {
        let mut pacer = Pacer::default();
        let mut now = Instant::from_secs(1);
        let mut sent = 0_u64;
        while now < Instant::from_secs(2) {
            assert!(pacer.ready(now));
            pacer.on_sent(now, 3000, 1_250_000);
            sent += 3000;
            assert!(!pacer.ready(now) || sent == 3000);
            // 10 Mbit/s: 2.4 ms each. Late by up to 1 ms.
            now = pacer.deadline() + core::time::Duration::from_micros(sent % 1000);
        }
        assert!((1_245_000..=1_257_000).contains(&sent), "{sent}");
    }

    /// A machine that is busy wakes us late, by more than a train takes: the rate is kept.
    #[test]
    fn late_timers_cost_nothing_and_pauses_give_little() {
        let mut pacer = Pacer::default();
        let mut now = Instant::from_secs(1);
        let mut sent = 0_u64;
        while now < Instant::from_secs(2) {
            // 20 Mbit/s: 1.2 ms each.
            while pacer.ready(now) {
                pacer.on_sent(now, 3000, 2_500_000);
                sent += 3000;
            }
            now = pacer.deadline() + core::time::Duration::from_micros(sent % 4_900);
        }
        assert!((2_487_000..=2_503_000).contains(&sent), "{sent}");
        // After a pause as much as takes a millisecond goes at once, and a train.
        now += core::time::Duration::from_secs(1);
        let mut burst = 0;
        while pacer.ready(now) {
            pacer.on_sent(now, 1000, 2_500_000);
            burst += 1000;
        }
        assert_eq!(burst, 3000);
    }

    #[test]
    fn quanta_are_a_millisecond_within_bounds() {
        let quanta = [0, 1_250_000, 12_500_000, 1_250_000_000].map(|rate| quantum(rate, 1460));
        assert_eq!(quanta, [2920, 2920, 12_500, 65_536]);
    }
}
