//! What a sender keeps for a controller that asks for it: pacing, and stamps of what is in
//! flight for delivery rate samples. It lives in the controller, so that connections under
//! others pay nothing.
//!
//! Invariant: entries are in order of sequence numbers, cover what is in flight without gaps as
//! far back as they go, and are at most `PLACES`; octets that would need another join the last
//! one, whose samples then are of a longer interval. Called by [`Tcb`](crate::tcp::Tcb).

use super::Lost;
use super::delivery::{Delivery, News, RateSample, Stamp};
use super::pacer::Pacer;
use crate::tcp::SeqNum;
use core::time::Duration;
use phy::Instant;

/// Entries kept.
#[cfg(feature = "alloc")]
const PLACES: usize = 16;
#[cfg(not(feature = "alloc"))]
const PLACES: usize = 4;
/// A round trip is to take about so many entries.
const SHARE: u32 = PLACES as u32 / 4 * 3;

/// Octets up to `end`, from where the entry before ended.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    end: SeqNum,
    stamp: Stamp,
}

#[cfg(feature = "alloc")]
type Places = Option<alloc::boxed::Box<[Entry; PLACES]>>;
#[cfg(not(feature = "alloc"))]
type Places = Option<[Entry; PLACES]>;

/// Pacing and delivery of one connection.
#[derive(Debug, Clone, Default)]
pub struct Gauge {
    pub(in crate::tcp) pacer: Pacer,
    /// Something waits for the pacer.
    pub(in crate::tcp) waiting: bool,
    len: u8,
    /// Where the last entry begins.
    last: SeqNum,
    delivery: Delivery,
    /// What the acknowledgment at hand delivered.
    news: News,
    /// The last rate measured, octets per second.
    rate: u64,
    places: Places,
}

impl Gauge {
    /// The last delivery rate measured, octets per second; 0 before the first.
    pub fn delivery_rate(&self) -> u64 {
        self.rate
    }

    fn entries(&self) -> &[Entry] {
        let all = self.places.as_ref().map_or(&[][..], |places| &places[..]);
        all.get(..usize::from(self.len)).unwrap_or(all)
    }

    fn last_mut(&mut self) -> Option<&mut Entry> {
        let at = usize::from(self.len).checked_sub(1)?;
        self.places.as_mut()?.get_mut(at)
    }

    /// The stamp of the octet at `seq`.
    fn stamp(&self, seq: SeqNum) -> Option<Stamp> {
        let found = self.entries().iter().find(|entry| entry.end.gt(seq));
        found.map(|entry| entry.stamp)
    }

    /// `seq..end` is sent for the first time, with `pipe` octets in flight before it, and
    /// nothing at all unacknowledged if `first`.
    pub(in crate::tcp) fn sent(
        &mut self,
        now: Instant,
        (seq, end): (SeqNum, SeqNum),
        (pipe, first): (u32, bool),
    ) {
        let stamp = self.delivery.on_sent(now, end.since(seq), pipe);
        if first {
            self.len = 0;
        }
        let full = usize::from(self.len) >= PLACES;
        let small = end.since(self.last) <= pipe / SHARE;
        if self.len > 0 && (full || small) {
            if let Some(last) = self.last_mut() {
                last.end = end;
            }
            return;
        }
        let places = self.places.get_or_insert_default();
        if let Some(place) = places.get_mut(usize::from(self.len)) {
            *place = Entry { end, stamp };
            self.len = self.len.saturating_add(1);
            self.last = seq;
        }
    }

    /// `seq..end` is sent again: what was sent with it counts as sent again, too.
    pub(in crate::tcp) fn repeated(
        &mut self,
        now: Instant,
        (seq, end): (SeqNum, SeqNum),
        pipe: u32,
    ) {
        let stamp = self.delivery.on_sent(now, end.since(seq), pipe);
        let at = self.entries().iter().position(|entry| entry.end.gt(seq));
        let places = self.places.as_mut();
        if let Some(entry) = at.and_then(|at| places?.get_mut(at)) {
            entry.stamp = stamp;
        }
    }

    /// The application had no more, while the window had room and the pace allowed it.
    pub(in crate::tcp) fn starved(&mut self, pipe: u32) {
        self.delivery.mark_app_limited(pipe);
    }

    /// `octets` arrived, the one at `seq` among them and none that was sent later.
    pub(in crate::tcp) fn delivered(&mut self, now: Instant, seq: SeqNum, octets: u32) {
        match self.stamp(seq) {
            Some(stamp) => {
                self.delivery
                    .on_delivered(now, octets, &stamp, &mut self.news);
            }
            None => self.delivery.count(now, octets),
        }
    }

    /// All before `una` is acknowledged.
    pub(in crate::tcp) fn advance(&mut self, una: SeqNum) {
        let gone = self.entries().iter().take_while(|e| e.end.le(una)).count();
        if gone > 0
            && let Some(places) = &mut self.places
        {
            places.rotate_left(gone);
            self.len = self.len.saturating_sub(gone as u8);
        }
    }

    /// `octets` from `seq` on are held to be lost.
    pub(in crate::tcp) fn lost(&mut self, now: Instant, seq: SeqNum, octets: u32) -> Lost {
        let stamp = self.stamp(seq).unwrap_or_default();
        self.delivery.on_lost(now, octets, &stamp)
    }

    /// The sample of the acknowledgment at hand.
    pub(in crate::tcp) fn sample(&mut self, min_rtt: Option<Duration>) -> Option<RateSample> {
        let news = core::mem::take(&mut self.news);
        let sample = self.delivery.sample(&news, min_rtt.unwrap_or_default())?;
        if sample.rate > 0 {
            self.rate = sample.rate;
        }
        Some(sample)
    }

    /// Gives memory back; nothing is in flight.
    pub(in crate::tcp) fn trim(&mut self) {
        (self.places, self.len) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// A segment each millisecond, acknowledged 100 ms later: a rate of 1000 octets a
    /// millisecond, however few entries there are.
    #[test]
    fn few_stamps_do_for_many_segments() {
        let start = SeqNum(u32::MAX - 5000);
        let mut gauge = Gauge::default();
        let mut sampled = 0;
        for n in 0..1000_u32 {
            if n >= 100 {
                let una = start + (n - 100) * 1000;
                gauge.delivered(at(n.into()), una, 1000);
                gauge.advance(una + 1000);
                let sample = gauge.sample(Some(Duration::from_millis(100)));
                sampled += u32::from(sample.is_some_and(|sample| sample.rate > 0));
            }
            let seq = start + n * 1000;
            let pipe = n.min(100) * 1000;
            gauge.sent(at(n.into()), (seq, seq + 1000), (pipe, n == 0));
            assert!(usize::from(gauge.len) <= PLACES);
        }
        assert!(sampled > 800, "{sampled}");
        // Four entries lie a quarter of a round trip apart, and a sample may miss as much.
        let least = if PLACES >= 16 { 950_000 } else { 750_000 };
        assert!((least..=1_050_000).contains(&gauge.rate), "{}", gauge.rate);
        // What was sent again is measured from then on; what is unknown is only counted.
        gauge.repeated(at(1000), (start + 900_000, start + 901_000), 99_000);
        let stamp = gauge.stamp(start + 900_000).expect("in flight");
        assert_ne!(Some(stamp), gauge.stamp(start + 999_000));
        gauge.trim();
        let before = gauge.delivery.delivered();
        gauge.delivered(at(1100), start + 900_000, 1000);
        assert_eq!(gauge.delivery.delivered(), before + 1000);
        assert_eq!(gauge.sample(None), None);
    }
}
