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
///
/// Every acknowledgment gives a sample (RFC 7323 §4.1). So that the many of one round trip do
/// not make the timer forget the rare late one (appendix G), the timeout follows the largest
/// mean deviation of a round trip: up at once, down by a quarter of the difference for each.
#[derive(Debug, Clone, Default)]
pub struct Rtt {
    /// Smoothed round trip times 8; 0 before the first sample.
    srtt8: u32,
    /// Mean deviation times 4.
    var4: u32,
    /// The largest `var4` of the round trip that ends when `round` is acknowledged, and what the
    /// timeout takes.
    var4_max: u32,
    var4_kept: u32,
    round: SeqNum,
    /// Least sample since `least_at`, and of as long before; 0 if there was none.
    least: u32,
    least_before: u32,
    /// Seconds, modulo 2^16.
    least_at: u16,
    /// Timer expirations since the last progress that counts.
    backoff: u8,
    /// A SYN was repeated, and nothing was measured.
    fallback: bool,
}

impl Rtt {
    /// An estimator, with a first sample where the handshake gave one.
    pub fn new(cfg: &Config, now: Instant, sample: Option<Duration>) -> Self {
        let mut rtt = Self::default();
        if let Some(sample) = sample {
            let us = u32::try_from(sample.as_micros()).unwrap_or(LONGEST);
            rtt.sample(cfg, now, (us, us), Default::default());
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

    /// Takes a sample of `us` microseconds, that of the newest octets being `least`, when `una`
    /// is the oldest octet in flight and `nxt` the next to be sent.
    #[inline]
    pub fn sample(
        &mut self,
        cfg: &Config,
        now: Instant,
        (us, least): (u32, u32),
        (una, nxt): (SeqNum, SeqNum),
    ) {
        let us = us.clamp(1, LONGEST);
        // What was backed off collapses with the first measurement (RFC 6298 §5).
        self.backoff = 0;
        self.note_least(cfg, now, least.clamp(1, LONGEST));
        if self.srtt8 == 0 {
            // RFC 6298 §2.2.
            self.srtt8 = us.saturating_mul(8);
            self.var4 = us.saturating_mul(2);
            self.var4_kept = self.var4;
            self.var4_max = self.var4;
            self.round = nxt;
            return;
        }
        // RFC 6298 §2.3 with alpha 1/8 and beta 1/4, the deviation first.
        let error = i64::from(us) - i64::from(self.srtt8 / 8);
        let mut deviation = error.abs() - i64::from(self.var4 / 4);
        if error < 0 && deviation > 0 {
            // A path that became much faster is no reason to wait longer: an eighth of it.
            deviation >>= 3;
        }
        self.var4 = add(self.var4, deviation);
        self.srtt8 = add(self.srtt8, error).max(1);
        self.var4_max = self.var4_max.max(self.var4);
        self.var4_kept = self.var4_kept.max(self.var4_max);
        if una.gt(self.round) {
            self.round = nxt;
            let excess = self.var4_kept.saturating_sub(self.var4_max);
            self.var4_kept = self.var4_kept.saturating_sub(excess / 4);
            self.var4_max = 0;
        }
    }

    /// The least of the window, in two halves: the older is forgotten as a whole.
    #[inline]
    fn note_least(&mut self, cfg: &Config, now: Instant, us: u32) {
        let now = now.secs() as u16;
        let age = u64::from(now.wrapping_sub(self.least_at));
        let half = cfg.min_rtt_window.as_secs() / 2;
        if self.least == 0 || age > half {
            self.least_before = if age > half.saturating_mul(2) {
                0
            } else {
                self.least
            };
            self.least = us;
            self.least_at = now;
        } else if us < self.least {
            self.least = us;
        }
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
            u64::from(self.srtt8 / 8).saturating_add(u64::from(self.var4_kept).max(least))
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

    /// New octets were acknowledged, with nothing to measure.
    #[inline]
    pub fn progress(&mut self) {
        self.backoff = 0;
    }

    /// Expirations of the timer since the last progress, by which the timeout is doubled.
    pub const fn backoff(&self) -> u8 {
        self.backoff
    }

    /// Smoothed round-trip time, microseconds; 0 before the first sample.
    #[inline]
    pub(super) const fn smoothed_us(&self) -> u32 {
        self.srtt8 / 8
    }

    /// Least sample of the last minutes, microseconds; 0 before the first.
    #[inline]
    pub(super) const fn least_us(&self) -> u32 {
        if self.least_before != 0 && self.least_before < self.least {
            self.least_before
        } else {
            self.least
        }
    }

    /// Smoothed round-trip time, `None` before the first sample.
    pub fn smoothed(&self) -> Option<Duration> {
        (self.srtt8 != 0).then(|| Duration::from_micros(u64::from(self.srtt8 / 8)))
    }

    /// Mean deviation.
    pub fn deviation(&self) -> Duration {
        Duration::from_micros(u64::from(self.var4 / 4))
    }

    /// Least sample of the last minutes ([`Config::min_rtt_window`]), `None` before the first.
    pub fn least(&self) -> Option<Duration> {
        let least = self.least_us();
        (least != 0).then(|| Duration::from_micros(u64::from(least)))
    }
}

/// What was sent more than once: what comes now may answer either.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Repeated {
    /// Octets before `to` may have been.
    some: bool,
    to: SeqNum,
    /// When the last of them left, microseconds modulo 2^32, and its timestamp.
    at: u32,
    ts: u32,
}

impl Repeated {
    /// Something before `end` was retransmitted `now` with timestamp `ts`.
    pub const fn new(now: Instant, end: SeqNum, ts: u32) -> Self {
        Self {
            some: true,
            to: end,
            at: now.micros() as u32,
            ts,
        }
    }

    /// Does an acknowledgment that comes `now` come too soon to answer the last retransmission,
    /// where no round trip takes less than `least` microseconds?
    #[inline]
    pub const fn is_too_soon(&self, now: Instant, least: u32) -> bool {
        let us = (now.micros() as u32).wrapping_sub(self.at);
        self.some && us < least / 2
    }

    /// Octets last sent at `sent_at`, microseconds, are reported `now`: may that answer another
    /// transmission, their own having been answered by what was lost on the way? It may if
    /// others were sent again since (Karn's algorithm, RFC 6298 §3, goes no further than to
    /// octets that were repeated themselves).
    #[inline]
    pub const fn is_ambiguous(&self, now: Instant, least: u32, sent_at: u32) -> bool {
        let older = (sent_at.wrapping_sub(self.at) as i32) <= 0;
        self.some && older && !self.is_too_soon(now, least)
    }

    /// The same of an echo of our timestamp `echo`: it answers a retransmission, or something
    /// later, if it is of that time. An older one may be repeated by a peer whose acknowledgment
    /// was lost (RFC 7323 §4.3).
    #[inline]
    pub const fn is_ambiguous_echo(&self, now: Instant, least: u32, echo: u32) -> bool {
        let older = (echo.wrapping_sub(self.ts) as i32) < 0;
        self.some && older && !self.is_too_soon(now, least)
    }

    /// Octets before `una` were acknowledged.
    #[inline]
    pub fn passed(&mut self, una: SeqNum) {
        self.some &= una.lt(self.to);
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

    fn of(us: u32) -> Rtt {
        Rtt::new(
            &Config::default(),
            Instant::ZERO,
            Some(Duration::from_micros(us.into())),
        )
    }

    /// A sample; each is of a round trip of its own where `apart`.
    fn take(rtt: &mut Rtt, us: u32, apart: bool) {
        let next = rtt.round + u32::from(apart);
        let cfg = Config::default();
        rtt.sample(&cfg, Instant::ZERO, (us, us), (next, next));
    }

    #[test]
    fn first_sample_and_floor() {
        let cfg = Config::default();
        assert_eq!(Rtt::default().rto(&cfg), ms(1000));
        let mut rtt = of(100_000);
        assert_eq!((rtt.smoothed(), rtt.deviation()), (Some(ms(100)), ms(50)));
        assert_eq!(rtt.rto(&cfg), ms(300));
        for _ in 0..50 {
            take(&mut rtt, 100_000, true);
        }
        // The deviation has died away, the floor of 200 ms stays.
        assert!(rtt.deviation() < ms(1));
        assert_eq!(rtt.rto(&cfg), ms(300));
    }

    #[test]
    fn backoff_doubles_and_stops_at_the_maximum() {
        let cfg = Config::default();
        let mut rtt = of(100_000);
        rtt.back_off();
        rtt.back_off();
        assert_eq!((rtt.rto(&cfg), rtt.backoff()), (ms(1200), 2));
        for _ in 0..300 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(&cfg), ms(120_000));
        take(&mut rtt, 100_000, true);
        assert_eq!(rtt.rto(&cfg), ms(300));
    }

    /// RFC 7323 appendix G: many samples of a round trip, of which one is late.
    #[test]
    fn a_late_one_of_many_is_remembered() {
        let cfg = Config::default();
        let mut rtt = of(1_000_000);
        for n in 0..400 {
            take(
                &mut rtt,
                if n % 100 == 50 { 2_000_000 } else { 1_000_000 },
                n % 100 == 99,
            );
        }
        // A hundred samples later the mean deviation is gone, but the timeout is not.
        assert!(rtt.deviation() < ms(1), "{:?}", rtt.deviation());
        assert!(rtt.rto(&cfg) > ms(1900), "{:?}", rtt.rto(&cfg));
        for _ in 0..20 {
            take(&mut rtt, 1_000_000, true);
        }
        assert!(rtt.rto(&cfg) < ms(1210), "{:?}", rtt.rto(&cfg));
    }

    #[test]
    fn the_least_is_of_the_last_minutes() {
        let cfg = Config::default();
        let mut rtt = of(10_000);
        let mut at = |secs, us| {
            let now = Instant::from_secs(secs);
            rtt.sample(&cfg, now, (us, us), Default::default());
            rtt.least_us()
        };
        let least = [
            at(100, 50_000),
            at(200, 40_000),
            at(299, 60_000),
            at(351, 70_000),
        ];
        assert_eq!(least, [10_000, 10_000, 10_000, 40_000]);
        assert_eq!(at(1000, 90_000), 90_000);
    }

    #[test]
    fn extremes_are_cut() {
        let cfg = Config::default();
        let mut rtt = Rtt::new(&cfg, Instant::ZERO, Some(Duration::MAX));
        take(&mut rtt, 0, true);
        take(&mut rtt, u32::MAX, true);
        assert!(rtt.rto(&cfg) <= cfg.rto_max);
        assert_eq!(rtt.least(), Some(Duration::from_micros(1)));
    }

    #[test]
    fn what_may_answer_a_retransmission_is_ambiguous() {
        let (end, at) = (SeqNum(100), Instant::from_millis);
        let mut again = Repeated::new(at(50), end, 50);
        let echoed = |again: &Repeated, ms, echo| again.is_ambiguous_echo(at(ms), 7000, echo);
        let left = |again: &Repeated, ms, us| again.is_ambiguous(at(ms), 7000, us);
        assert!(echoed(&again, 60, 49) && !echoed(&again, 60, 50));
        assert!(left(&again, 60, 50_000) && !left(&again, 60, 50_001));
        // Sooner than the path allows, it cannot answer the retransmission.
        assert!(!left(&again, 53, 1000) && !echoed(&again, 53, 1));
        again.passed(end);
        assert!(!left(&again, 60, 50_000) && !echoed(&again, 60, 49));
    }
}
