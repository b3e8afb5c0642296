//! Delivery rate samples (draft-ietf-ccwg-bbr-06 §4.1): how fast octets arrive, and what was in
//! flight and lost meanwhile.
//!
//! The sender keeps one [`Delivery`] for a connection, and a [`Stamp`] beside each segment or
//! train in flight (or every so many of them: a few in a round trip do). An acknowledgment gives
//! the stamps of what it delivered to a [`News`], and that becomes a [`RateSample`].
//!
//! Invariant: counts and times in stamps wrap, and are only compared with ones less than 2^31
//! octets or 35 minutes away; a sender with nothing in flight begins anew.

use super::{Ack, Lost, Round};
use core::time::Duration;
use phy::Instant;

/// What was so when octets were sent (the draft's per-packet state). 28 octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    delivered: u32,
    lost: u32,
    tx_in_flight: u32,
    /// Microseconds.
    delivered_at: u32,
    first_sent_at: u32,
    sent_at: u32,
    app_limited: bool,
}

impl Stamp {
    /// Of nothing.
    pub(in crate::tcp) const NONE: Self = Self {
        delivered: 0,
        lost: 0,
        tx_in_flight: 0,
        delivered_at: 0,
        first_sent_at: 0,
        sent_at: 0,
        app_limited: false,
    };

    /// When the octets were sent, microseconds modulo 2^32.
    #[inline]
    pub(in crate::tcp) const fn sent_at(&self) -> u32 {
        self.sent_at
    }

    /// Was this sent after `other`?
    #[inline]
    pub(in crate::tcp) fn is_later_than(&self, other: &Self) -> bool {
        self.sent_at != other.sent_at && reached(self.sent_at, other.sent_at)
    }

    /// `octets` more were sent at the same moment.
    #[inline]
    pub(in crate::tcp) fn join(&mut self, octets: u32) {
        self.tx_in_flight = self.tx_in_flight.saturating_add(octets);
    }
}

/// The rate at which octets were delivered between the sending of some and their arrival.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateSample {
    /// Octets per second; 0 where the interval is too short to tell.
    pub rate: u64,
    /// Octets delivered in the interval.
    pub delivered: u32,
    /// Octets delivered on the connection before the interval, modulo 2^32. The newest octets
    /// that arrived were sent then.
    pub prior_delivered: u32,
    /// The interval.
    pub interval: Duration,
    /// Octets in flight when the newest that arrived were sent, themselves included.
    pub tx_in_flight: u32,
    /// Octets held to be lost in the interval.
    pub lost: u32,
    /// The application did not send as much as it was allowed to.
    pub app_limited: bool,
    /// They took no longer to arrive than they had taken to leave: no queue grew on the way.
    pub send_limited: bool,
}

/// What a connection has delivered so far (the draft's per-connection state).
#[derive(Debug, Clone, Copy, Default)]
pub struct Delivery {
    delivered: u64,
    lost: u64,
    /// `delivered` must pass this before samples show the network again.
    limited_to: Option<u32>,
    delivered_at: u32,
    first_sent_at: u32,
}

/// What one acknowledgment delivered.
#[derive(Debug, Clone, Copy, Default)]
pub struct News {
    newest: Option<Stamp>,
    octets: u32,
}

fn micros(now: Instant) -> u32 {
    now.micros() as u32
}

/// Is `a` at or after `b`, times or counts that wrap?
pub(super) fn reached(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) < 1 << 31
}

/// Octets per second.
fn rate(octets: u32, us: u32) -> u64 {
    let scaled = u64::from(octets).saturating_mul(1_000_000);
    scaled.checked_div(u64::from(us)).unwrap_or(0)
}

impl Delivery {
    /// A connection that delivered `delivered` octets so far, modulo 2^32; `idle` if the
    /// application then had no more.
    pub(in crate::tcp) const fn new(delivered: u32, idle: bool) -> Self {
        Self {
            delivered: delivered as u64,
            lost: 0,
            limited_to: if idle { Some(delivered) } else { None },
            delivered_at: 0,
            first_sent_at: 0,
        }
    }

    /// Octets delivered on the connection.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Octets held to be lost on the connection, each time they were.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Is the next sample one of the application's rate?
    pub fn app_limited(&self) -> bool {
        self.limited_to.is_some()
    }

    /// `octets` are sent at `now` with `pipe` others in flight.
    #[inline]
    pub fn on_sent(&mut self, now: Instant, octets: u32, pipe: u32) -> Stamp {
        let now = micros(now);
        if pipe == 0 {
            self.first_sent_at = now;
            self.delivered_at = now;
        }
        Stamp {
            delivered: self.delivered as u32,
            lost: self.lost as u32,
            tx_in_flight: pipe.saturating_add(octets),
            delivered_at: self.delivered_at,
            first_sent_at: self.first_sent_at,
            sent_at: now,
            app_limited: self.limited_to.is_some(),
        }
    }

    /// There was room in the window, and at the pace, for more than the application had to
    /// send: samples say little until what is in flight, `pipe` octets, has arrived.
    pub fn mark_app_limited(&mut self, pipe: u32) {
        self.limited_to = Some((self.delivered as u32).wrapping_add(pipe));
    }

    /// `octets` that were sent under `stamp` arrived at `now`.
    #[inline]
    pub fn on_delivered(&mut self, now: Instant, octets: u32, stamp: &Stamp, news: &mut News) {
        self.delivered = self.delivered.wrapping_add(u64::from(octets));
        self.delivered_at = micros(now);
        news.octets = news.octets.saturating_add(octets);
        if news.newest.is_none() || reached(stamp.sent_at, self.first_sent_at) {
            news.newest = Some(*stamp);
            self.first_sent_at = stamp.sent_at;
        }
    }

    /// `octets` of which no stamp is left arrived at `now`.
    pub fn count(&mut self, now: Instant, octets: u32) {
        self.delivered = self.delivered.wrapping_add(u64::from(octets));
        self.delivered_at = micros(now);
    }

    /// `octets` that were sent under `stamp` are held to be lost.
    pub fn on_lost(&mut self, now: Instant, octets: u32, stamp: &Stamp) -> Lost {
        self.lost = self.lost.wrapping_add(u64::from(octets));
        Lost {
            now,
            octets,
            tx_in_flight: stamp.tx_in_flight,
            since_sent: (self.lost as u32).wrapping_sub(stamp.lost),
            app_limited: stamp.app_limited,
        }
    }

    /// The sample that an acknowledgment gives, once all it delivered is in `news`; the rate is
    /// left out where it took less than `min_rtt`, which retransmissions can feign.
    #[inline]
    pub fn sample(&mut self, news: &News, min_rtt: Duration) -> Option<RateSample> {
        let delivered = self.delivered as u32;
        if let Some(to) = self.limited_to
            && delivered != to
            && reached(delivered, to)
        {
            self.limited_to = None;
        }
        let newest = news.newest?;
        let send = newest.sent_at.wrapping_sub(newest.first_sent_at);
        let ack = self.delivered_at.wrapping_sub(newest.delivered_at);
        let us = send.max(ack);
        let octets = delivered.wrapping_sub(newest.delivered);
        let reliable = u128::from(us) >= min_rtt.as_micros();
        Some(RateSample {
            rate: if reliable { rate(octets, us) } else { 0 },
            delivered: octets,
            prior_delivered: newest.delivered,
            interval: Duration::from_micros(u64::from(us)),
            tx_in_flight: newest.tx_in_flight,
            lost: (self.lost as u32).wrapping_sub(newest.lost),
            app_limited: newest.app_limited,
            send_limited: send >= ack,
        })
    }
}

/// A sample for each round trip from nothing but acknowledgments, for senders that keep no
/// stamps.
#[derive(Debug, Clone, Default)]
pub(super) struct RoundMeter {
    round: Round,
    /// Microseconds.
    began: u32,
    delivered: u32,
    lost: u32,
}

impl RoundMeter {
    /// Octets were held to be lost.
    pub(super) fn lose(&mut self, octets: u32) {
        self.lost = self.lost.saturating_add(octets);
    }

    /// `delivered` octets arrived on the connection before `ack`. A sample at a round's end.
    pub(super) fn take(&mut self, ack: &Ack, delivered: u32) -> Option<RateSample> {
        let now = micros(ack.now);
        let first = self.began == 0;
        if !self.round.begins(ack.delivered, ack.pipe) {
            return None;
        }
        let total = delivered.wrapping_add(ack.delivered);
        let us = now.wrapping_sub(core::mem::replace(&mut self.began, now));
        let prior = core::mem::replace(&mut self.delivered, total);
        let lost = core::mem::take(&mut self.lost);
        let octets = total.wrapping_sub(prior);
        (!first).then(|| RateSample {
            rate: rate(octets, us),
            delivered: octets,
            prior_delivered: prior,
            interval: Duration::from_micros(u64::from(us)),
            tx_in_flight: octets.saturating_add(lost),
            lost,
            send_limited: false,
            app_limited: ack.app_limited,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Ten segments, one each 10 ms, arrive 100 ms later in two bunches: the rate is the
    /// sender's 100 segments a second, not that of the bunches (draft §4.1.1.2.2).
    #[test]
    fn bunched_acknowledgments_show_the_rate_of_sending() {
        let mut delivery = Delivery::default();
        let stamps: [Stamp; 10] =
            core::array::from_fn(|i| delivery.on_sent(at(10 * i as u64), 1000, 1000 * i as u32));
        let mut news = News::default();
        for stamp in &stamps[..5] {
            delivery.on_delivered(at(150), 1000, stamp, &mut news);
        }
        let sample = delivery.sample(&news, Duration::ZERO).expect("news");
        assert_eq!(
            (sample.rate, sample.delivered, sample.tx_in_flight),
            (33_333, 5000, 5000)
        );
        let mut news = News::default();
        for stamp in &stamps[5..] {
            delivery.on_delivered(at(151), 1000, stamp, &mut news);
        }
        let sample = delivery.sample(&news, Duration::ZERO).expect("news");
        // 10 segments since the first was sent, 151 ms; 2 MB/s would be the bunch's rate.
        assert_eq!((sample.rate, sample.prior_delivered), (66_225, 0));
        assert_eq!(delivery.delivered(), 10_000);
        // Not for a connection whose round trip takes longer than that.
        let sample = delivery.sample(&news, Duration::from_secs(1));
        assert_eq!(sample.map(|s| s.rate), Some(0));
        assert_eq!(delivery.sample(&News::default(), Duration::ZERO), None);
    }

    #[test]
    fn losses_and_bubbles_are_told() {
        let mut delivery = Delivery::default();
        let a = delivery.on_sent(at(0), 1000, 0);
        delivery.mark_app_limited(1000);
        let b = delivery.on_sent(at(1), 1000, 1000);
        let lost = delivery.on_lost(at(100), 1000, &a);
        assert_eq!((lost.since_sent, lost.tx_in_flight), (1000, 1000));
        let mut news = News::default();
        delivery.on_delivered(at(101), 1000, &b, &mut news);
        let sample = delivery.sample(&news, Duration::ZERO).expect("news");
        assert_eq!((sample.app_limited, sample.lost), (true, 1000));
        assert!(delivery.app_limited());
        let c = delivery.on_sent(at(102), 1000, 0);
        let mut news = News::default();
        delivery.on_delivered(at(200), 1000, &c, &mut news);
        delivery.sample(&news, Duration::ZERO);
        assert!(!delivery.app_limited());
    }
}
