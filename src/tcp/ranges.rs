//! Sorted ranges of sequence numbers: what the peer reported.
//!
//! Invariant: ranges are disjoint, not adjacent, sorted, at most [`Ranges::CAPACITY`] many and
//! all within 2^31 octets; memory is taken with the first range and kept until
//! [`trim`](Ranges::trim).

use super::seq::SeqNum;

/// First octet, and the one past the last.
pub type Range = (SeqNum, SeqNum);

#[cfg(feature = "alloc")]
const CAPACITY: usize = 128;
#[cfg(not(feature = "alloc"))]
const CAPACITY: usize = 8;

#[cfg(feature = "alloc")]
type Slots = Option<alloc::boxed::Box<[Range; CAPACITY]>>;
#[cfg(not(feature = "alloc"))]
type Slots = [Range; CAPACITY];

/// A sorted set of ranges.
#[derive(Debug, Clone, Default)]
pub struct Ranges {
    slots: Slots,
    /// Octets in all ranges.
    octets: u32,
    len: u8,
}

impl Ranges {
    /// Ranges held at most.
    pub const CAPACITY: usize = CAPACITY;

    #[cfg(feature = "alloc")]
    fn slots(&self) -> &[Range] {
        self.slots.as_ref().map_or(&[], |slots| slots.as_slice())
    }
    #[cfg(not(feature = "alloc"))]
    fn slots(&self) -> &[Range] {
        &self.slots
    }
    #[cfg(feature = "alloc")]
    fn slots_mut(&mut self) -> &mut [Range] {
        self.slots
            .get_or_insert_with(|| alloc::boxed::Box::new([Range::default(); CAPACITY]))
            .as_mut_slice()
    }
    #[cfg(not(feature = "alloc"))]
    fn slots_mut(&mut self) -> &mut [Range] {
        &mut self.slots
    }

    /// The ranges, nearest first.
    #[inline]
    pub fn as_slice(&self) -> &[Range] {
        if self.len == 0 {
            return &[];
        }
        self.slots().get(..self.len()).unwrap_or(&[])
    }

    /// How many ranges.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Is there none?
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets in all ranges.
    #[inline]
    pub const fn octets(&self) -> u32 {
        self.octets
    }

    fn count(&mut self) {
        let ranges = self.as_slice().iter();
        self.octets = ranges.fold(0, |sum: u32, (lo, hi)| sum.wrapping_add(hi.since(*lo)));
    }

    /// Adds `lo..hi` and returns the range it is part of now. With `limit` ranges there
    /// already, the farthest is forgotten; `None` if that is the new one.
    pub fn insert(&mut self, lo: SeqNum, hi: SeqNum, limit: usize) -> Option<Range> {
        if hi.le(lo) {
            return None;
        }
        let ranges = self.as_slice();
        // Those that touch lo..hi are from..to.
        let from = ranges.iter().take_while(|r| r.1.lt(lo)).count();
        let touching = ranges.iter().skip(from).take_while(|r| r.0.le(hi));
        let (mut new, mut count) = ((lo, hi), 0_usize);
        for r in touching {
            new = (new.0.min(r.0), new.1.max(r.1));
            count = count.saturating_add(1);
        }
        let len = self.len();
        if count == 0 {
            let limit = limit.clamp(1, CAPACITY);
            if from >= limit {
                return None;
            }
            let len = len.saturating_add(1).min(limit);
            let tail = self.slots_mut().get_mut(from..len)?;
            tail.rotate_right(1);
            *tail.first_mut()? = new;
            self.len = len as u8;
        } else {
            let tail = self.slots_mut().get_mut(from..len)?;
            *tail.first_mut()? = new;
            let gone = count.saturating_sub(1);
            let rest = tail.get_mut(1..)?;
            if gone > 0 && gone <= rest.len() {
                rest.rotate_left(gone);
                self.len = len.saturating_sub(gone) as u8;
            }
        }
        self.count();
        Some(new)
    }

    /// Forgets everything before `seq`.
    pub fn remove_before(&mut self, seq: SeqNum) {
        let gone = self.as_slice().iter().take_while(|r| r.1.le(seq)).count();
        self.remove_first(gone);
        if self.as_slice().first().is_some_and(|r| r.0.lt(seq))
            && let Some(first) = self.slots_mut().first_mut()
        {
            first.0 = seq;
        }
        self.count();
    }

    fn remove_first(&mut self, count: usize) {
        let len = self.len();
        if count == 0 || count > len {
            return;
        }
        if let Some(all) = self.slots_mut().get_mut(..len) {
            all.rotate_left(count);
        }
        self.len = len.saturating_sub(count) as u8;
    }

    /// The first gap in `from..to`, and where it ends.
    pub fn gap(&self, from: SeqNum, to: SeqNum) -> Option<Range> {
        let mut at = from;
        for &(lo, hi) in self.as_slice() {
            if lo.gt(at) {
                break;
            }
            at = at.max(hi);
        }
        let next = self.as_slice().iter().map(|r| r.0).find(|lo| lo.gt(at));
        at.lt(to)
            .then(|| (at, next.map_or(to, |next| next.min(to))))
    }

    /// Octets of `lo..hi` that are in ranges.
    pub fn octets_in(&self, lo: SeqNum, hi: SeqNum) -> u32 {
        self.as_slice().iter().fold(0, |sum: u32, r| {
            let part = r.1.min(hi).saturating_since(r.0.max(lo));
            sum.wrapping_add(part)
        })
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
        self.octets = 0;
    }

    /// Octets of memory they take besides itself.
    #[inline]
    pub fn memory(&self) -> usize {
        #[cfg(feature = "alloc")]
        return self
            .slots
            .as_ref()
            .map_or(0, |_| size_of::<[Range; CAPACITY]>());
        #[cfg(not(feature = "alloc"))]
        0
    }

    /// Gives the memory back while there is no range.
    pub fn trim(&mut self) {
        #[cfg(feature = "alloc")]
        if self.len == 0 {
            self.slots = None;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    const BASE: SeqNum = SeqNum(u32::MAX - 40);

    fn set(ranges: &Ranges) -> BTreeSet<u32> {
        ranges
            .as_slice()
            .iter()
            .flat_map(|(lo, hi)| lo.since(BASE)..hi.since(BASE))
            .collect()
    }

    proptest! {
        /// Against a set of octets: inserting, cutting, finding gaps.
        #[test]
        fn is_a_set_of_octets(steps in prop::collection::vec((0u32..200, 1u32..20, 0u32..8), 1..40)) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (at, len, what) in steps {
                let (lo, hi) = (BASE + at, BASE + at + len);
                if what == 0 {
                    ranges.remove_before(lo);
                    model.retain(|x| *x >= at);
                } else if ranges.len() < Ranges::CAPACITY - 1 {
                    let joined = ranges.insert(lo, hi, Ranges::CAPACITY).unwrap();
                    prop_assert!(joined.0.le(lo) && joined.1.ge(hi));
                    model.extend(at..at + len);
                }
                prop_assert_eq!(set(&ranges), model.clone());
                prop_assert_eq!(ranges.octets() as usize, model.len());
                let ordered: Vec<_> = ranges.as_slice().windows(2).collect();
                prop_assert!(ordered.iter().all(|w| w[0].1.lt(w[1].0)));
                let gap = (at..220).find(|x| !model.contains(x)).unwrap();
                let end = (gap..220).find(|x| model.contains(x)).unwrap_or(220);
                prop_assert_eq!(ranges.gap(lo, BASE + 220), Some((BASE + gap, BASE + end)));
                prop_assert_eq!(ranges.octets_in(lo, hi) as usize, model.range(at..at + len).count());
            }
        }
    }

    #[test]
    fn the_farthest_goes_first() {
        let mut ranges = Ranges::default();
        for n in [2, 6, 4] {
            assert!(ranges.insert(BASE + n * 10, BASE + n * 10 + 5, 3).is_some());
        }
        assert_eq!(ranges.insert(BASE + 80, BASE + 85, 3), None);
        assert!(ranges.insert(BASE, BASE + 5, 3).is_some());
        let kept: Vec<_> = ranges.as_slice().iter().map(|r| r.0.since(BASE)).collect();
        assert_eq!(kept, [0, 20, 40]);
    }
}
