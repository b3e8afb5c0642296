//! Keeping to a rate (`-b`): when the next block may be sent.
//!
//! Invariant: after any time no more than rate times time, and one burst, was allowed.

use std::time::Duration;

use netstrata::phy::Instant;

/// The rate of one stream.
#[derive(Debug)]
pub struct Pace {
    /// Bits per second, above 0.
    rate: u64,
    /// Octets of a burst, above 0.
    burst: u64,
    since: Instant,
    /// Octets of the bursts begun since.
    begun: u64,
    /// Octets of those that were not sent yet.
    owed: u64,
}

impl Pace {
    /// Least time between two bursts: what is due until then is sent at once.
    pub const QUANTUM: Duration = Duration::from_micros(250);

    /// `rate` bits per second in bursts of so many octets, from `now` on; `None` for no limit.
    pub fn new(rate: u64, burst: u64, now: Instant) -> Option<Self> {
        (rate > 0).then_some(Self {
            rate,
            burst: burst.max(1),
            since: now,
            begun: 0,
            owed: 0,
        })
    }

    /// Octets that may be sent now, to be told by [`sent`](Self::sent) as they are.
    pub fn allowed(&mut self, now: Instant) -> u64 {
        if self.owed == 0 && self.due() <= now {
            self.begun = self.begun.saturating_add(self.burst);
            self.owed = self.burst;
        }
        self.owed
    }

    /// So many octets were sent.
    pub fn sent(&mut self, octets: u64) {
        self.owed = self.owed.saturating_sub(octets);
    }

    /// When the next burst may begin.
    pub fn due(&self) -> Instant {
        let micros = u128::from(self.begun) * 8_000_000 / u128::from(self.rate);
        // Three million years are as good as never.
        let micros = u64::try_from(micros).unwrap_or(u64::MAX).min(1 << 56);
        self.since + Duration::from_micros(micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_blocks_a_second() {
        // As iperf3 -b 10M does with blocks of 128 KiB.
        let mut pace = Pace::new(10_000_000, 131_072, Instant::ZERO).unwrap();
        let mut blocks = Vec::new();
        for ms in 0..1000 {
            let now = Instant::from_millis(ms);
            while pace.allowed(now) > 0 {
                pace.sent(131_072);
                blocks.push(ms);
            }
        }
        assert_eq!(blocks, [0, 105, 210, 315, 420, 525, 630, 735, 839, 944]);
        assert!(Pace::new(0, 1, Instant::ZERO).is_none());
    }

    #[test]
    fn a_block_may_go_in_pieces() {
        let mut pace = Pace::new(8, 100, Instant::ZERO).unwrap();
        assert_eq!(pace.allowed(Instant::ZERO), 100);
        pace.sent(40);
        assert_eq!(pace.allowed(Instant::ZERO), 60);
        pace.sent(60);
        assert_eq!(pace.allowed(Instant::from_millis(99_999)), 0);
        assert_eq!(pace.allowed(Instant::from_millis(100_000)), 100);
        let mut never = Pace::new(1, u64::MAX, Instant::ZERO).unwrap();
        assert_eq!(never.allowed(Instant::ZERO), u64::MAX);
        never.sent(u64::MAX);
        assert_eq!(never.allowed(Instant::from_micros(1 << 55)), 0);
    }
}
