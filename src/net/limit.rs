//! Bounds on the ICMP errors a host sends (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)).
//!
//! Invariant: over any time, errors sent are at most the burst plus the rate times that time,
//! for all destinations together and for each group of them. How much credit is left must not
//! tell an outsider whether somebody else provoked errors (the side channel of "SAD DNS"), so
//! each error costs a little more than its share, by an amount that nobody can predict.

use core::hash::Hasher;
use core::net::IpAddr;
use core::time::Duration;
use phy::Instant;

use crate::secret::{Purpose, Secret, write_ip};

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Sustained, at least 1 a second.
    pub per_second: u32,
    /// At once after a silence, at least 1.
    pub burst: u32,
}

impl Rate {
    /// Time one event earns.
    fn interval(self) -> Duration {
        Duration::from_micros(1_000_000 / u64::from(self.per_second.clamp(1, 1_000_000)))
    }
    /// How far events may run ahead of the time they earned.
    fn ahead(self) -> Duration {
        self.interval().saturating_mul(self.burst.max(1) - 1)
    }
}

/// A token bucket, as the time at which it would be full again.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket(Instant);

impl Bucket {
    fn allows(self, now: Instant, rate: Rate) -> bool {
        self.0 <= now + rate.ahead()
    }
    fn take(&mut self, now: Instant, cost: Duration) {
        self.0 = self.0.max(now) + cost;
    }
}

const GROUPS: usize = 64;

/// A token bucket for all errors, and a smaller one for each group of destinations.
#[derive(Debug)]
pub struct IcmpLimit {
    secret: Secret,
    rate: Rate,
    each: Rate,
    all: Bucket,
    groups: [Bucket; GROUPS],
    draws: u64,
}

impl IcmpLimit {
    /// For all destinations together unless set otherwise.
    pub const RATE: Rate = Rate {
        per_second: 1000,
        burst: 50,
    };
    /// For one destination unless set otherwise.
    pub const RATE_EACH: Rate = Rate {
        per_second: 10,
        burst: 6,
    };

    /// Full buckets.
    pub fn new(secret: &Secret) -> Self {
        Self {
            secret: secret.clone(),
            rate: Self::RATE,
            each: Self::RATE_EACH,
            all: Bucket::default(),
            groups: [Bucket::default(); GROUPS],
            draws: 0,
        }
    }

    /// Sets the rates: for all destinations together, and for each group of them.
    pub fn set_rates(&mut self, all: Rate, each: Rate) {
        (self.rate, self.each) = (all, each);
    }

    /// May an error go to `dst` now? Takes a token if so.
    pub fn allow(&mut self, now: Instant, dst: IpAddr) -> bool {
        // Asked first, so that a flood costs one comparison each.
        if !self.all.allows(now, self.rate) {
            return false;
        }
        self.draws = self.draws.wrapping_add(1);
        let mut h = self.secret.hasher(Purpose::Jitter);
        write_ip(&mut h, dst);
        let group = h.finish() as usize % GROUPS;
        let Some(group) = self.groups.get_mut(group) else {
            return false;
        };
        if !group.allows(now, self.each) {
            return false;
        }
        let cost = |rate: Rate, what: u64| {
            let share = rate.interval();
            share + self.secret.jitter(share / 4, what)
        };
        group.take(now, cost(self.each, self.draws << 1));
        self.all.take(now, cost(self.rate, self.draws << 1 | 1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(limit: &mut IcmpLimit, from: Instant, ms: u64, dst: impl Fn(u64) -> u32) -> u64 {
        let asked = (0..ms * 100).filter(|n| {
            let now = from + Duration::from_micros(n * 10);
            limit.allow(now, IpAddr::V4(dst(*n).into()))
        });
        asked.count() as u64
    }

    #[test]
    fn one_destination_gets_its_burst_and_then_its_rate() {
        let mut limit = IcmpLimit::new(&Secret::fixed());
        let n = allowed(&mut limit, Instant::ZERO, 0, |_| 1);
        assert_eq!(n, 0);
        let n = allowed(&mut limit, Instant::ZERO, 2000, |_| 1);
        assert!((6 + 15..=6 + 20).contains(&n), "{n}");
    }

    #[test]
    fn all_destinations_together_get_a_thousand_a_second() {
        let mut limit = IcmpLimit::new(&Secret::fixed());
        let each = Rate {
            per_second: 1_000_000,
            burst: 1000,
        };
        limit.set_rates(IcmpLimit::RATE, each);
        let n = allowed(&mut limit, Instant::from_secs(9), 1000, |n| n as u32);
        assert!((50 + 800..=50 + 1000).contains(&n), "{n}");
    }

    #[test]
    fn a_silence_earns_the_burst_and_no_more() {
        let mut limit = IcmpLimit::new(&Secret::fixed());
        for round in 1..4 {
            let now = Instant::from_secs(round * 3600);
            let sent = (0..100).filter(|_| limit.allow(now, IpAddr::V4([1, 1, 1, 1].into())));
            assert!((5..=6).contains(&sent.count()));
        }
    }
}
