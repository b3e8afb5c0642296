//! What came out of order: ranges of octets held past the first missing one, few and bounded.
//!
//! Offsets count from the first octet missing (RCV.NXT of RFC 9293). Invariant: the ranges are
//! not empty, do not touch each other, and stand with the latest changed first, which is the
//! order of SACK blocks (RFC 2018 §4). A peer cannot make them more than [`Gaps::CAPACITY`]:
//! then the farthest is forgotten, which costs the least to send again and which RFC 2018 §8
//! allows. All operations cost at most as much as there are ranges. Used by TCP reassembly.

#[cfg(feature = "alloc")]
use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    const fn range(self) -> Range<u32> {
        self.start..self.end
    }
}

/// What became of octets that came out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// The range that holds them now, for the first SACK block; `None` if they were not taken
    /// because too many ranges before them are held.
    pub block: Option<Range<u32>>,
    /// The first part of them that was held before (RFC 2883 §4).
    pub duplicate: Option<Range<u32>>,
}

/// Ranges held past the first missing octet. Takes no memory while there are none (with an
/// allocator; without one, room for four is in place).
#[derive(Debug, Default)]
pub struct Gaps {
    spans: Spans,
}

impl Gaps {
    /// Ranges held at most.
    pub const CAPACITY: usize = Spans::CAPACITY;

    /// No ranges.
    pub const fn new() -> Self {
        Self { spans: Spans::NEW }
    }

    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.spans.get().len()
    }

    /// Is nothing held out of order?
    pub fn is_empty(&self) -> bool {
        self.spans.get().is_empty()
    }

    /// The ranges, the latest changed first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Range<u32>> + '_ {
        self.spans.get().iter().map(|s| s.range())
    }

    /// Octets held.
    pub fn octets(&self) -> u32 {
        let lengths = self
            .spans
            .get()
            .iter()
            .map(|s| s.end.saturating_sub(s.start));
        lengths.fold(0, u32::saturating_add)
    }

    /// Forgets what begins at `offset` or later, and the part behind it of a range that reaches
    /// over it: the farthest octets, which cost the least to send again (RFC 2018 §8). Returns
    /// how many octets those were.
    pub fn cut(&mut self, offset: u32) -> u32 {
        let before = self.octets();
        self.spans.retain(|s| {
            s.end = s.end.min(offset);
            s.start < s.end
        });
        before.saturating_sub(self.octets())
    }

    /// Where the farthest range ends; 0 if there is none.
    pub fn end(&self) -> u32 {
        self.spans.get().iter().map(|s| s.end).max().unwrap_or(0)
    }

    /// The first part of `range` that is held.
    pub fn held(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.spans
            .get()
            .iter()
            .map(|s| s.start.max(range.start)..s.end.min(range.end))
            .filter(|part| part.start < part.end)
            .min_by_key(|part| part.start)
    }

    /// Octets of `range` came, and are in the buffer.
    pub fn insert(&mut self, range: Range<u32>) -> Insertion {
        let duplicate = self.held(range.clone());
        if range.is_empty() {
            return Insertion {
                block: None,
                duplicate,
            };
        }
        let mut block = Span {
            start: range.start,
            end: range.end,
        };
        // The ranges are apart, so joining one brings the block to no other that `range` does
        // not reach itself.
        self.spans.retain(|s| {
            let apart = s.end < range.start || range.end < s.start;
            if !apart {
                block.start = block.start.min(s.start);
                block.end = block.end.max(s.end);
            }
            apart
        });
        if self.len() >= Self::CAPACITY {
            let farthest = self.spans.get().iter().map(|s| s.start).max();
            if farthest.is_none_or(|start| start < block.start) {
                return Insertion {
                    block: None,
                    duplicate,
                };
            }
            self.spans.retain(|s| Some(s.start) != farthest);
        }
        let kept = self.spans.push_front(block);
        Insertion {
            block: kept.then(|| block.range()),
            duplicate,
        }
    }

    /// The first `n` octets missing came. Returns how many come in order now, these and what was
    /// held right behind them; all offsets count from their end from now on.
    pub fn advance(&mut self, n: u32) -> u32 {
        if self.is_empty() {
            return n;
        }
        let reached = self.spans.get().iter().filter(|s| s.start <= n);
        let total = reached.map(|s| s.end).max().unwrap_or(n).max(n);
        self.spans.retain(|s| {
            s.start = s.start.saturating_sub(total);
            s.end = s.end.saturating_sub(total);
            s.end > 0
        });
        total
    }

    /// Forgets all ranges.
    pub fn clear(&mut self) {
        self.spans.retain(|_| false);
    }

    /// Octets of memory the ranges take besides itself.
    pub fn memory(&self) -> usize {
        self.spans.memory()
    }

    /// Gives memory back while there are no ranges.
    pub fn trim(&mut self) {
        self.spans.trim();
    }
}

#[cfg(feature = "alloc")]
#[derive(Debug)]
struct Heap {
    spans: Vec<Span>,
}

/// A short list, in one pointer: most connections never need it.
#[cfg(feature = "alloc")]
#[derive(Debug, Default)]
struct Spans(Option<Box<Heap>>);

#[cfg(feature = "alloc")]
impl Spans {
    const NEW: Self = Self(None);
    const CAPACITY: usize = 128;

    fn get(&self) -> &[Span] {
        self.0.as_ref().map_or(&[], |heap| &heap.spans)
    }

    fn retain(&mut self, keep: impl FnMut(&mut Span) -> bool) {
        if let Some(heap) = &mut self.0 {
            heap.spans.retain_mut(keep);
        }
    }

    /// False if there is no memory for it.
    fn push_front(&mut self, span: Span) -> bool {
        let heap = self
            .0
            .get_or_insert_with(|| Box::new(Heap { spans: Vec::new() }));
        if heap.spans.try_reserve(1).is_err() {
            return false;
        }
        heap.spans.insert(0, span);
        true
    }

    #[inline]
    fn memory(&self) -> usize {
        let heap = self.0.as_ref();
        heap.map_or(0, |heap| {
            heap.spans.capacity().saturating_mul(size_of::<Span>())
        })
    }

    fn trim(&mut self) {
        self.0.take_if(|heap| heap.spans.is_empty());
    }
}

/// A short list in place.
#[cfg(not(feature = "alloc"))]
#[derive(Debug)]
struct Spans {
    spans: [Span; Self::CAPACITY],
    len: usize,
}

#[cfg(not(feature = "alloc"))]
impl Default for Spans {
    fn default() -> Self {
        Self::NEW
    }
}

#[cfg(not(feature = "alloc"))]
impl Spans {
    const NEW: Self = Self {
        spans: [Span { start: 0, end: 0 }; Self::CAPACITY],
        len: 0,
    };
    const CAPACITY: usize = 4;

    fn get(&self) -> &[Span] {
        self.spans.get(..self.len).unwrap_or(&[])
    }

    fn retain(&mut self, mut keep: impl FnMut(&mut Span) -> bool) {
        let mut kept = 0;
        for i in 0..self.len {
            let Some(mut span) = self.spans.get(i).copied() else {
                break;
            };
            if keep(&mut span)
                && let Some(to) = self.spans.get_mut(kept)
            {
                *to = span;
                kept = kept.saturating_add(1);
            }
        }
        self.len = kept;
    }

    /// False if there is no room for it.
    fn push_front(&mut self, span: Span) -> bool {
        let len = self.len.saturating_add(1);
        let Some(used) = self.spans.get_mut(..len) else {
            return false;
        };
        used.rotate_right(1);
        if let Some(first) = used.first_mut() {
            *first = span;
        }
        self.len = len;
        true
    }

    fn memory(&self) -> usize {
        0
    }

    fn trim(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const SEA: usize = 700;

    fn runs(there: &[bool]) -> Vec<Range<u32>> {
        let mut runs = Vec::new();
        for (i, _) in there.iter().enumerate().filter(|(_, t)| **t) {
            let i = i as u32;
            match runs.last_mut() {
                Some(Range { end, .. }) if *end == i => *end += 1,
                _ => runs.push(i..i + 1),
            }
        }
        runs
    }

    proptest! {
        #[test]
        fn holds_what_a_bitmap_holds(
            crowded in any::<bool>(),
            ops in proptest::collection::vec((0u8..8, 1usize..600, 0usize..40), 0..120),
        ) {
            let mut gaps = Gaps::new();
            let mut there = vec![false; SEA];
            if crowded {
                for i in 1..=Gaps::CAPACITY {
                    let at = 3 * i as u32;
                    gaps.insert(at..at + 1);
                    there[at as usize] = true;
                }
            }
            let mut recent: Vec<u32> = Vec::new();
            for (op, at, len) in ops {
                if op == 0 {
                    // In order: `len` octets, and what follows them.
                    there[..len].fill(true);
                    let total = there.iter().take_while(|t| **t).count();
                    prop_assert_eq!(gaps.advance(len as u32), total as u32);
                    there.rotate_left(total);
                    there[SEA - total..].fill(false);
                    recent.clear();
                } else {
                    let range = at as u32..(at + len) as u32;
                    let before = runs(&there).iter()
                        .map(|r| r.start.max(range.start)..r.end.min(range.end))
                        .find(|r| r.start < r.end);
                    there[at..at + len].fill(true);
                    if runs(&there).len() > Gaps::CAPACITY {
                        let far = runs(&there).pop().unwrap();
                        there[far.start as usize..far.end as usize].fill(false);
                    }
                    let block = runs(&there).into_iter()
                        .find(|r| len > 0 && r.contains(&range.start));
                    let got = gaps.insert(range.clone());
                    prop_assert_eq!(got, Insertion { block: block.clone(), duplicate: before });
                    if let Some(block) = block {
                        prop_assert_eq!(gaps.iter().next(), Some(block));
                        recent.retain(|p| *p != range.start);
                        recent.insert(0, range.start);
                    }
                }
                let mut all: Vec<_> = gaps.iter().collect();
                // The order is that of the latest insertion into each range.
                let ages: Vec<_> = all.iter()
                    .filter_map(|r| recent.iter().position(|p| r.contains(p)))
                    .collect();
                prop_assert!(ages.is_sorted());
                all.sort_by_key(|r| r.start);
                prop_assert_eq!(all, runs(&there));
                prop_assert_eq!(gaps.end(), runs(&there).last().map_or(0, |r| r.end));
            }
        }
    }

    #[test]
    fn the_farthest_goes_first() {
        let mut gaps = Gaps::new();
        let cap = Gaps::CAPACITY as u32;
        for i in 1..=cap {
            assert_eq!(
                gaps.insert(10 * i..10 * i + 1).block,
                Some(10 * i..10 * i + 1)
            );
        }
        let far = 10 * cap + 10;
        assert_eq!(gaps.insert(far..far + 1).block, None);
        assert_eq!(gaps.insert(5..6).block, Some(5..6));
        assert_eq!(gaps.len(), Gaps::CAPACITY);
        assert_eq!(gaps.held(10 * cap..far), None);
        assert_eq!(gaps.held(0..far), Some(5..6));
        assert_eq!(gaps.advance(5), 6);
        gaps.clear();
        gaps.trim();
        assert!(gaps.is_empty());
        assert_eq!(gaps.advance(3), 3);
    }
}
