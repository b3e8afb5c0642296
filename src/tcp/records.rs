//! Send records: what is known of each run of octets that was sent together.
//!
//! A record is what one plan sent, a super-segment or a train included. What is sent at the same
//! moment joins it; reports and retransmissions of a part split it at segment boundaries.
//!
//! Invariant: records lie in sequence order and touch: each begins where the one before it ends,
//! the first at [`Records::start`], so that together they cover what is in flight without a gap.
//! There are at most as many as the limit given says; octets that would need one more join a
//! neighbour, so that none is ever forgotten. Finding a record takes O(log n) steps, adding at
//! the end and removing at the front amortised O(1), in the middle O(n) moves of few octets.
//! Called by `flight`.

use super::congestion::Stamp;
use super::seq::SeqNum;

/// The peer reported these octets (RFC 2018).
pub(super) const SACKED: u8 = 1;
/// They are held to be lost.
pub(super) const LOST: u8 = 2;
/// They were sent again, and that transmission is neither acknowledged nor held to be lost.
pub(super) const REPEATED: u8 = 4;
/// They were sent more than once: an acknowledgment is ambiguous (RFC 6298 §3).
pub(super) const AMBIGUOUS: u8 = 8;

/// Octets up to `end`, from where the record before ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) end: SeqNum,
    /// When they were last sent, and what was so then.
    pub(super) stamp: Stamp,
    /// Octets of each segment, but perhaps the last.
    pub(super) mss: u16,
    /// Segments.
    pub(super) segments: u16,
    pub(super) flags: u8,
}

impl Record {
    const NONE: Self = Self {
        end: SeqNum(0),
        stamp: Stamp::NONE,
        mss: 1,
        segments: 0,
        flags: 0,
    };

    #[inline]
    pub(super) const fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// To be sent again: lost, and not sent since.
    #[inline]
    pub(super) const fn is_due(&self) -> bool {
        self.flags & (LOST | REPEATED | SACKED) == LOST
    }

    /// In flight, as far as is known: neither reported nor lost.
    #[inline]
    pub(super) const fn is_out(&self) -> bool {
        self.flags & SACKED == 0 && self.flags & (LOST | REPEATED) != LOST
    }

    /// Segments in the first `octets` of it, where it has `len`.
    pub(super) fn segments_in(&self, octets: u32, len: u32) -> u16 {
        if octets >= len {
            return self.segments;
        }
        let whole = octets / u32::from(self.mss.max(1));
        let most = self.segments.saturating_sub(1);
        u16::try_from(whole).unwrap_or(most).min(most)
    }
}

/// Records that need no memory of their own.
#[cfg(feature = "alloc")]
const FEW: usize = 4;
#[cfg(not(feature = "alloc"))]
const FEW: usize = 16;

/// Records there can be at most.
#[cfg(feature = "alloc")]
pub(super) const MOST: u16 = 1 << 15;
#[cfg(not(feature = "alloc"))]
pub(super) const MOST: u16 = FEW as u16;

/// The records of one connection, oldest first.
#[derive(Debug)]
pub(super) struct Records {
    few: [Record; FEW],
    #[cfg(feature = "alloc")]
    many: Option<alloc::boxed::Box<[Record]>>,
    start: SeqNum,
    /// Where the first is, and how many there are.
    head: u16,
    len: u16,
    /// How many were looked at.
    #[cfg(test)]
    pub(super) steps: core::sync::atomic::AtomicU32,
}

impl Records {
    pub(super) const fn new() -> Self {
        Self {
            few: [Record::NONE; FEW],
            #[cfg(feature = "alloc")]
            many: None,
            start: SeqNum(0),
            head: 0,
            len: 0,
            #[cfg(test)]
            steps: core::sync::atomic::AtomicU32::new(0),
        }
    }

    #[inline]
    fn places(&self) -> &[Record] {
        #[cfg(feature = "alloc")]
        if let Some(many) = &self.many {
            return many;
        }
        &self.few
    }

    #[inline]
    fn places_mut(&mut self) -> &mut [Record] {
        #[cfg(feature = "alloc")]
        if let Some(many) = &mut self.many {
            return many;
        }
        &mut self.few
    }

    /// Octets of memory they take besides themselves.
    #[cfg(feature = "alloc")]
    pub(super) fn memory(&self) -> usize {
        self.many.as_ref().map_or(0, |many| size_of_val(&**many))
    }

    /// The place of the `n`th record; the number of places is a power of two.
    #[inline]
    fn place(&self, n: usize) -> usize {
        let mask = self.places().len().wrapping_sub(1);
        usize::from(self.head).wrapping_add(n) & mask
    }

    /// Sequence number of the oldest octet.
    #[inline]
    pub(super) const fn start(&self) -> SeqNum {
        self.start
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn get(&self, n: usize) -> Option<&Record> {
        #[cfg(test)]
        self.steps
            .fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        let place = self.place(n);
        self.places().get(place).filter(|_| n < self.len())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, n: usize) -> Option<&mut Record> {
        let (place, there) = (self.place(n), n < self.len());
        self.places_mut().get_mut(place).filter(|_| there)
    }

    /// Where the `n`th begins.
    #[inline]
    pub(super) fn start_of(&self, n: usize) -> SeqNum {
        let before = n.checked_sub(1).and_then(|n| self.get(n));
        before.map_or(self.start, |record| record.end)
    }

    /// The record that octet `seq` belongs to: the first that ends after it. There is none if
    /// `seq` was not sent.
    #[inline]
    pub(super) fn find(&self, seq: SeqNum) -> usize {
        if self.get(0).is_none_or(|first| first.end.gt(seq)) {
            return 0;
        }
        let (mut low, mut high) = (1, self.len());
        while low < high {
            let middle = low.wrapping_add(high) / 2;
            match self.get(middle) {
                Some(record) if record.end.le(seq) => low = middle.wrapping_add(1),
                _ => high = middle,
            }
        }
        low
    }

    /// Begins anew at `start`, with nothing in flight.
    pub(super) fn reset(&mut self, start: SeqNum) {
        (self.start, self.head, self.len) = (start, 0, 0);
    }

    /// Octets before `seq` are no longer of interest; the caller saw to those of whole records.
    #[inline]
    pub(super) fn advance(&mut self, seq: SeqNum) {
        self.start = seq;
    }

    /// Takes the first.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Record> {
        let first = *self.get(0)?;
        self.start = first.end;
        self.head = self.place(1) as u16;
        self.len = self.len.saturating_sub(1);
        Some(first)
    }

    /// Adds one at the end; false if there is no room within `limit` records.
    #[inline]
    pub(super) fn push(&mut self, record: Record, limit: usize) -> bool {
        if self.len() >= limit.max(FEW) || self.len() >= self.places().len() && !self.grow(limit) {
            return false;
        }
        let place = self.place(self.len());
        if let Some(slot) = self.places_mut().get_mut(place) {
            *slot = record;
            self.len = self.len.saturating_add(1);
        }
        true
    }

    #[cfg(feature = "alloc")]
    fn grow(&mut self, limit: usize) -> bool {
        // 2^15 at most, for `head` and `len` to count them.
        let places = self.places().len().saturating_mul(4);
        let most = limit.checked_next_power_of_two().unwrap_or(1 << 15);
        let places = places.min(most.min(1 << 15));
        if places <= self.places().len() {
            return false;
        }
        let mut many = alloc::vec![Record::NONE; places].into_boxed_slice();
        for (n, slot) in many.iter_mut().enumerate().take(self.len()) {
            if let Some(record) = self.get(n) {
                *slot = *record;
            }
        }
        self.many = Some(many);
        self.head = 0;
        true
    }

    #[cfg(not(feature = "alloc"))]
    fn grow(&mut self, _: usize) -> bool {
        false
    }

    /// Puts one in as the `n`th; false if there is no room within `limit` records.
    pub(super) fn insert(&mut self, n: usize, record: Record, limit: usize) -> bool {
        let len = self.len();
        if n > len || !self.push(record, limit) {
            return false;
        }
        if n < len / 2 {
            // Fewer to move before it: the new one's place at the end becomes the first's.
            self.len = len as u16;
            let mask = self.places().len().wrapping_sub(1);
            self.head = (usize::from(self.head).wrapping_sub(1) & mask) as u16;
            self.len = self.len.saturating_add(1);
            for at in 0..n {
                self.copy(at.wrapping_add(1), at);
            }
        } else {
            for at in (n..len).rev() {
                self.copy(at, at.wrapping_add(1));
            }
        }
        if let Some(slot) = self.get_mut(n) {
            *slot = record;
        }
        true
    }

    /// Makes one of neighbours among the records `from..to` that have `flag`.
    pub(super) fn join(&mut self, from: usize, to: usize, flag: u8) {
        let to = to.min(self.len());
        let mut kept = from;
        for n in from.wrapping_add(1)..to {
            let (Some(&last), Some(&next)) = (self.get(kept), self.get(n)) else {
                return;
            };
            let segments = last.segments.checked_add(next.segments);
            let joined = match segments.filter(|_| last.is(flag) && next.is(flag)) {
                Some(segments) => Record {
                    end: next.end,
                    segments,
                    ..last
                },
                None => {
                    kept = kept.wrapping_add(1);
                    next
                }
            };
            if let Some(slot) = self.get_mut(kept) {
                *slot = joined;
            }
        }
        self.cut_out(kept.wrapping_add(1), to);
    }

    /// Takes out `from..to`.
    fn cut_out(&mut self, from: usize, to: usize) {
        let (len, gone) = (self.len(), to.saturating_sub(from));
        if gone == 0 || to > len {
            return;
        }
        if from < len.saturating_sub(to) {
            for at in (0..from).rev() {
                self.copy(at, at.wrapping_add(gone));
            }
            self.head = self.place(gone) as u16;
        } else {
            for at in to..len {
                self.copy(at, at.wrapping_sub(gone));
            }
        }
        self.len = (len.saturating_sub(gone)) as u16;
    }

    fn copy(&mut self, from: usize, to: usize) {
        let record = self.get(from).copied();
        if let (Some(record), Some(slot)) = (record, self.get_mut(to)) {
            *slot = record;
        }
    }

    /// Cuts the `n`th in two at `seq`, which lies inside it; false if there is no room.
    pub(super) fn split(&mut self, n: usize, seq: SeqNum, limit: usize) -> bool {
        let start = self.start_of(n);
        let Some(&whole) = self.get(n) else {
            return false;
        };
        let mut first = whole;
        first.end = seq;
        first.segments = whole
            .segments_in(seq.since(start), whole.end.since(start))
            .max(1);
        let rest = Record {
            segments: whole.segments.saturating_sub(first.segments).max(1),
            ..whole
        };
        if !self.insert(n, first, limit) {
            return false;
        }
        if let Some(slot) = self.get_mut(n.wrapping_add(1)) {
            *slot = rest;
        }
        true
    }

    /// Joins neighbours of like state, to make room. What is out counts as sent with the later
    /// of the two, so that nothing is held to be lost too early.
    pub(super) fn coarsen(&mut self) {
        let mut kept = 0_usize;
        for n in 1..self.len() {
            let (Some(&last), Some(&next)) = (self.get(kept), self.get(n)) else {
                return;
            };
            let most = last.segments.checked_add(next.segments);
            let joined = if last.flags == next.flags
                && let Some(segments) = most
            {
                let later = next.stamp.is_later_than(&last.stamp);
                Record {
                    end: next.end,
                    stamp: if later { next.stamp } else { last.stamp },
                    mss: last.mss.max(next.mss),
                    segments,
                    flags: last.flags,
                }
            } else {
                kept = kept.wrapping_add(1);
                next
            };
            if let Some(slot) = self.get_mut(kept) {
                *slot = joined;
            }
        }
        self.len = (kept.wrapping_add(1) as u16).min(self.len);
    }

    /// Changes the flags of all.
    pub(super) fn clear(&mut self, flags: u8) {
        for n in 0..self.len() {
            if let Some(record) = self.get_mut(n) {
                record.flags &= !flags;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn record(end: u32) -> Record {
        Record {
            end: SeqNum(end),
            segments: 1,
            ..Record::NONE
        }
    }

    fn ends(records: &Records) -> Vec<u32> {
        (0..records.len())
            .filter_map(|n| Some(records.get(n)?.end.0))
            .collect()
    }

    proptest! {
        /// The same operations on a vector.
        #[test]
        fn is_a_sequence(steps in proptest::collection::vec((0u8..5, any::<u16>()), 0..400)) {
            let (mut records, mut model) = (Records::new(), Vec::new());
            let (mut sent, limit) = (0, 64);
            for (step, at) in steps {
                let at = usize::from(at);
                match step {
                    0 | 1 => {
                        let end = sent + 10;
                        let most = if cfg!(feature = "alloc") { limit } else { FEW };
                        prop_assert_eq!(records.push(record(end), limit), model.len() < most);
                        if model.len() < most {
                            model.push(end);
                            sent = end;
                        }
                    }
                    2 => {
                        let first = records.pop().map(|record| record.end.0);
                        prop_assert_eq!(first, (!model.is_empty()).then(|| model.remove(0)));
                    }
                    3 if !model.is_empty() => {
                        let n = at % model.len();
                        records.cut_out(n, n + 1);
                        model.remove(n);
                    }
                    4 if !model.is_empty() => {
                        let n = at % model.len();
                        let end = records.get(n).unwrap().end.0;
                        let seq = records.start_of(n).0 + (end - records.start_of(n).0) / 2;
                        if seq > records.start_of(n).0 && records.split(n, SeqNum(seq), limit) {
                            model.insert(n, seq);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(&ends(&records), &model);
                for (n, end) in model.iter().enumerate() {
                    prop_assert_eq!(records.find(SeqNum(end - 1)), n);
                }
                prop_assert_eq!(records.find(SeqNum(sent)), model.len());
            }
        }
    }

    #[test]
    fn segments_go_with_their_octets() {
        let mut records = Records::new();
        records.reset(SeqNum(0));
        let train = Record {
            mss: 1000,
            segments: 4,
            ..record(3500)
        };
        assert!(records.push(train, 8));
        assert!(records.split(0, SeqNum(3000), 8) && records.split(0, SeqNum(1000), 8));
        let counts: Vec<_> = (0..3).map(|n| records.get(n).unwrap().segments).collect();
        assert_eq!(
            (ends(&records), counts),
            ([1000, 3000, 3500].into(), [1, 2, 1].into())
        );
        records.coarsen();
        assert_eq!((records.len(), records.get(0).unwrap().segments), (1, 4));
    }
}
