//! Round-trip times and the retransmission timeout (RFC 6298), in integers.
//!
//! Invariant: the RTO lies in `rto_min..=rto_max` of the configuration (a longer `rto_initial`
//! is cut as well), whatever samples come.

use core::time::Duration;

use super::config::Config;
use super::seq::SeqNum;
use phy::Instant;

/// Longest sample that is believed, microseconds.
const LONGEST: u32 = 120_000_000;

/// Estimator of one connection; times in microseconds.
#[derive(Debug, Clone, Default)]
pub struct Rtt {
    /// Smoothed round trip times 8; 0 before the first sample.
    srtt8: u32,
    /// Mean deviation times 4.
    var4: u32,
    /// Least sample; 0 before the first.
    min: u32,
    /// Timer expirations since the last progress that counts.
    backoff: u8,
    /// A SYN was repeated, and nothing was measured.
    fallback: bool,
    /// Is a segment being timed?
    timing: bool,
    /// End of the timed segment.
    timed: SeqNum,
    /// When the timed segment was sent, microseconds modulo 2^32.
    timed_at: u32,
    /// Octets before `repeated_to` may have been sent more than once.
    repeated: bool,
    /// See `repeated`.
    repeated_to: SeqNum,
    /// Timestamp of the last retransmission among them.
    repeated_ts: u32,
}

impl Rtt {
    /// An estimator, with a first sample where the handshake gave one.
    pub fn new(sample: Option<Duration>) -> Self {
        let mut rtt = Self::default();
        if let Some(sample) = sample {
            rtt.sample(sample, 0);
        }
        rtt
    }

    /// An estimator that knows only that the SYN's timer was too short: three seconds
    /// (RFC 6298 §5.7).
    pub fn pessimist() -> Self {
        Self {
            fallback: true,
            ..Self::default()
        }
    }

    /// Takes a sample. `spread` is the binary logarithm of how many samples a round trip gives:
    /// each then counts for less (RFC 7323 appendix G).
    pub fn sample(&mut self, sample: Duration, spread: u32) {
        let us = u32::try_from(sample.as_micros()).unwrap_or(LONGEST);
        let us = us.clamp(1, LONGEST);
        // What was backed off collapses with the first measurement (RFC 6298 §5).
        self.backoff = 0;
        self.min = if self.min == 0 { us } else { self.min.min(us) };
        if self.srtt8 == 0 {
            // RFC 6298 §2.2.
            self.srtt8 = us.saturating_mul(8);
            self.var4 = us.saturating_mul(2);
            return;
        }
        // RFC 6298 §2.3 with alpha 1/8 and beta 1/4, the deviation first.
        let spread = spread.min(8);
        let error = i64::from(us) - i64::from(self.srtt8 / 8);
        let mut deviation = error.abs() - i64::from(self.var4 / 4);
        if error < 0 && deviation > 0 {
            // A path that became much faster is no reason to wait longer: an eighth of it.
            deviation >>= 3;
        }
        self.var4 = add(self.var4, deviation >> spread);
        self.srtt8 = add(self.srtt8, error >> spread).max(1);
    }

    /// The timeout, doubled for each expiration since the last progress (RFC 6298 §5.5).
    pub fn rto(&self, cfg: &Config) -> Duration {
        Duration::from_micros(self.rto_us(cfg))
    }

    /// The same, added to `now`.
    #[inline]
    pub fn rto_after(&self, cfg: &Config, now: Instant) -> Instant {
        Instant::from_micros(now.micros().saturating_add(self.rto_us(cfg)))
    }

    /// The timeout without back-off: srtt + max(4 rttvar, floor), as RFC 6298 §2.3 has it with a
    /// granularity that is the floor.
    pub fn base(&self, cfg: &Config) -> Duration {
        Duration::from_micros(self.base_us(cfg))
    }

    #[inline]
    fn rto_us(&self, cfg: &Config) -> u64 {
        let base = self.base_us(cfg);
        if self.backoff == 0 {
            return base;
        }
        let doubled = base.saturating_mul(1 << self.backoff.min(16));
        doubled.min(micros(cfg.rto_max))
    }

    #[inline]
    fn base_us(&self, cfg: &Config) -> u64 {
        let least = micros(cfg.rto_min);
        let rto = if self.srtt8 != 0 {
            u64::from(self.srtt8 / 8).saturating_add(u64::from(self.var4).max(least))
        } else if self.fallback {
            micros(cfg.rto_fallback)
        } else {
            micros(cfg.rto_initial)
        };
        rto.max(least).min(micros(cfg.rto_max))
    }

    /// The timer expired.
    pub fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    /// The last expiration was for nothing: the segment that followed could not be sent.
    pub fn back_on(&mut self) {
        self.backoff = self.backoff.saturating_sub(1);
    }

    /// A segment of new octets up to `end` was sent; times it if none is timed.
    #[inline]
    pub fn sent(&mut self, now: Instant, end: SeqNum) {
        if !self.timing {
            self.timing = true;
            self.timed = end;
            self.timed_at = now.micros() as u32;
        }
    }

    /// Something before `end` was retransmitted with timestamp `ts`: what its acknowledgment
    /// answers is ambiguous (Karn's algorithm, RFC 6298 §3).
    #[inline]
    pub fn retransmitted(&mut self, end: SeqNum, ts: u32) {
        self.timing = false;
        self.repeated = true;
        self.repeated_to = end;
        self.repeated_ts = ts;
    }

    /// At `ts`, does an acknowledgment come too soon to answer the last retransmission? Then the
    /// timer was too short.
    #[inline]
    pub const fn answers_the_first(&self, ts: u32) -> bool {
        self.repeated && ts.wrapping_sub(self.repeated_ts).saturating_mul(1000) < self.min
    }

    /// Does an echo of timestamp `echo`, arriving at `ts`, leave open which transmission it
    /// answers? It does when it is older than the last retransmission and could answer that:
    /// the peer's acknowledgment of the first transmission may have been lost, and a repeated
    /// one echoes what it did (RFC 7323 §4.3).
    #[inline]
    pub const fn is_ambiguous(&self, echo: u32, ts: u32) -> bool {
        let older = (echo.wrapping_sub(self.repeated_ts) as i32) < 0;
        self.repeated && older && !self.answers_the_first(ts)
    }

    /// New octets were acknowledged, with nothing to measure.
    #[inline]
    pub fn progress(&mut self) {
        self.backoff = 0;
    }

    /// Octets before `ack` were acknowledged: the time it took, if a timed segment was among
    /// them.
    #[inline]
    pub fn acknowledged(&mut self, now: Instant, ack: SeqNum) -> Option<Duration> {
        self.repeated &= ack.lt(self.repeated_to);
        if !self.timing || self.timed.gt(ack) {
            return None;
        }
        self.timing = false;
        let us = (now.micros() as u32).wrapping_sub(self.timed_at);
        Some(Duration::from_micros(u64::from(us)))
    }

    /// Smoothed round-trip time, `None` before the first sample.
    pub fn smoothed(&self) -> Option<Duration> {
        (self.srtt8 != 0).then(|| Duration::from_micros(u64::from(self.srtt8 / 8)))
    }

    /// Mean deviation.
    pub fn deviation(&self) -> Duration {
        Duration::from_micros(u64::from(self.var4 / 4))
    }

    /// Least sample, `None` before the first.
    pub fn least(&self) -> Option<Duration> {
        (self.min != 0).then(|| Duration::from_micros(u64::from(self.min)))
    }
}

/// Whole microseconds, at most `u64::MAX`.
#[inline]
pub(super) const fn micros(d: Duration) -> u64 {
    let seconds = d.as_secs().saturating_mul(1_000_000);
    seconds.saturating_add(d.subsec_micros() as u64)
}

/// `value + change`, kept in the range of a sample times 8.
fn add(value: u32, change: i64) -> u32 {
    let sum = i64::from(value).saturating_add(change);
    sum.clamp(0, i64::from(LONGEST) * 8) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn first_sample_and_floor() {
        let cfg = Config::default();
        let mut rtt = Rtt::default();
        assert_eq!(rtt.rto(&cfg), ms(1000));
        rtt.sample(ms(100), 0);
        assert_eq!((rtt.smoothed(), rtt.deviation()), (Some(ms(100)), ms(50)));
        assert_eq!(rtt.rto(&cfg), ms(300));
        for _ in 0..50 {
            rtt.sample(ms(100), 0);
        }
        // The deviation has died away, the floor of 200 ms stays.
        assert!(rtt.deviation() < ms(1));
        assert_eq!(rtt.rto(&cfg), ms(300));
    }

    #[test]
    fn backoff_doubles_and_stops_at_the_maximum() {
        let cfg = Config::default();
        let mut rtt = Rtt::new(Some(ms(100)));
        rtt.back_off();
        rtt.back_off();
        assert_eq!(rtt.rto(&cfg), ms(1200));
        for _ in 0..300 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(&cfg), ms(120_000));
        rtt.sample(ms(100), 0);
        assert_eq!(rtt.rto(&cfg), ms(300));
    }

    #[test]
    fn follows_a_change_and_weighs_many_samples_less() {
        let mut quick = Rtt::new(Some(ms(10)));
        let mut slow = quick.clone();
        for _ in 0..8 {
            quick.sample(ms(50), 0);
            slow.sample(ms(50), 3);
        }
        assert!(quick.smoothed() > Some(ms(35)) && slow.smoothed() < Some(ms(20)));
        assert_eq!(slow.least(), Some(ms(10)));
    }

    #[test]
    fn extremes_are_cut() {
        let cfg = Config::default();
        let mut rtt = Rtt::new(Some(Duration::MAX));
        rtt.sample(Duration::ZERO, 99);
        rtt.sample(Duration::MAX, 0);
        assert!(rtt.rto(&cfg) <= cfg.rto_max);
        assert_eq!(rtt.least(), Some(Duration::from_micros(1)));
    }

    #[test]
    fn times_one_segment_at_a_time_and_none_that_was_repeated() {
        let (t, end) = (Instant::from_millis(5), SeqNum(100));
        let mut rtt = Rtt::default();
        rtt.sent(t, end);
        rtt.sent(t + ms(1), end + 100);
        assert_eq!(rtt.acknowledged(t + ms(7), end - 1), None);
        assert_eq!(rtt.acknowledged(t + ms(7), end), Some(ms(7)));
        assert_eq!(rtt.acknowledged(t + ms(9), end + 100), None);
        rtt.sent(t, end);
        rtt.retransmitted(end, 50);
        assert!(rtt.is_ambiguous(49, 60) && !rtt.is_ambiguous(50, 60));
        assert_eq!(rtt.acknowledged(t + ms(7), end), None);
        assert!(!rtt.is_ambiguous(49, 60));
        // Sooner than the path allows, it cannot answer the retransmission.
        rtt.sample(ms(7), 0);
        rtt.retransmitted(end, 50);
        assert!(rtt.answers_the_first(56) && !rtt.is_ambiguous(49, 56));
        assert!(!rtt.answers_the_first(57) && rtt.is_ambiguous(49, 57));
    }
}
