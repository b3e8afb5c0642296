//! A stream buffer that takes memory only while it holds something.
//!
//! It is a ring that starts without memory, grows by doubling as octets come, up to its
//! capacity, and gives all memory back by `trim`. What it offers (a window, room to write) is
//! told by its capacity, not by what it has allocated.
//!
//! Invariants: octets held lie in at most two pieces, so that a device gathers them as they
//! are; the first `bytes.len()` octets of the ring, among them all that are held or written out
//! of order, were touched once, and memory beyond is not (nor zeroed) before octets come;
//! `len <= reach <= size`. Growing copies what is held, together less than the final size. If
//! there is no memory to grow, fewer octets fit. Nor do octets fit that are so far past a gap
//! that they would take much more memory than octets came so far: a peer pays for what it makes
//! us hold.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::socket::{ReadBuf, RecvBuf, SendBuf, WriteBuf};
use crate::wire::Sum;
use crate::wire::checksum::copy_and_sum_many;

/// Octets of the first allocation, but for a first segment that is larger: few connections are for
/// a line or two, and allocators are quick with pieces of such a size.
const FIRST: usize = 512;
/// Octets that writing in place makes room for at once, and those past a gap without more: an
/// initial window of ten segments (RFC 6928 §2).
const PIECE: usize = 16_384;
/// How far past a gap octets may be, in octets that came: more than a sender in slow start has
/// in flight, which is twice what arrived (RFC 5681 §3.1).
const LEAP: usize = 4;

/// A byte ring of at most its capacity, and of no more memory than it needs: the stream buffer
/// of [`SlabSockets`](crate::socket::SlabSockets). Without memory it is 16 octets.
#[derive(Debug, Default)]
pub struct Elastic {
    ring: Option<Box<Memory>>,
    /// Octets it may hold.
    limit: u32,
    /// Octets that came so far, as far as counted.
    came: u32,
}

/// The ring while there is one.
#[derive(Debug, Default)]
struct Memory {
    /// The ring is `bytes.capacity()` octets.
    bytes: Vec<u8>,
    /// Where the oldest octet is.
    head: u32,
    /// Octets held, without those written out of order.
    len: u32,
    /// Octets from the oldest to the last one written, in order or not.
    reach: u32,
}

impl Memory {
    const fn size(&self) -> usize {
        self.bytes.capacity()
    }

    /// Index of the octet at `offset` past the oldest; `offset` is at most the ring's size.
    fn at(&self, offset: usize) -> usize {
        let at = (self.head as usize).saturating_add(offset);
        at.checked_sub(self.size()).unwrap_or(at)
    }

    /// Has, or gets, room for `octets` from the oldest on, of which there may be `limit`; returns
    /// for how many there is.
    fn reserve(&mut self, octets: usize, limit: usize) -> usize {
        if octets <= self.size() {
            return octets;
        }
        let wish = octets.checked_next_power_of_two().unwrap_or(octets);
        let wish = wish.max(FIRST).min(limit.max(octets));
        let mut grown = Vec::new();
        if grown.try_reserve_exact(wish).is_err() {
            return self.size();
        }
        let [a, b] = self.span(0, self.reach as usize);
        grown.extend_from_slice(a);
        grown.extend_from_slice(b);
        self.bytes = grown;
        self.head = 0;
        octets
    }

    /// `len` octets at `offset` past the oldest, whatever they are.
    fn span(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        if len == 0 {
            return [&[]; 2];
        }
        let at = self.at(offset);
        let first = len.min(self.size().saturating_sub(at));
        [
            self.bytes.get(at..at.saturating_add(first)).unwrap_or(&[]),
            self.bytes.get(..len.saturating_sub(first)).unwrap_or(&[]),
        ]
    }

    /// Writes `data` at index `at` of the ring; it ends within the ring.
    fn put(&mut self, at: usize, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if at > self.bytes.len() {
            self.bytes.resize(at, 0);
        }
        let over = data.len().min(self.bytes.len().saturating_sub(at));
        let Some((old, new)) = data.split_at_checked(over) else {
            return;
        };
        if let Some(to) = self.bytes.get_mut(at..at.saturating_add(over)) {
            to.copy_from_slice(old);
        }
        self.bytes.extend_from_slice(new);
    }

    /// Writes `data`, for which there is room, at `start` past the oldest octet.
    fn write(&mut self, start: usize, data: &[u8]) {
        let at = self.at(start);
        if at < self.head as usize && self.bytes.len() < self.size() {
            // Past the end, with a gap before it that reaches the end.
            self.bytes.resize(self.size(), 0);
        }
        let first = data.len().min(self.size().saturating_sub(at));
        let Some((upper, lower)) = data.split_at_checked(first) else {
            return;
        };
        self.put(at, upper);
        self.put(0, lower);
        self.reach = self.reach.max(clamp(start.saturating_add(data.len())));
    }

    /// Writes `data` behind the newest octet, if that is in one piece over octets touched before
    /// and within `limit`; the usual case, in few steps.
    #[inline]
    fn append(&mut self, data: &[u8], limit: usize) -> bool {
        let Some(to) = self.behind(data.len(), limit) else {
            return false;
        };
        to.copy_from_slice(data);
        true
    }

    /// As [`append`](Self::append); the sum of `data` if it was written.
    #[inline]
    fn append_summed(&mut self, data: &[u8], limit: usize) -> Option<Sum> {
        copy_and_sum_many(self.behind(data.len(), limit)?, data)
    }

    /// The `len` octets behind the newest one, which are about to be written.
    #[inline]
    fn behind(&mut self, len: usize, limit: usize) -> Option<&mut [u8]> {
        let start = self.len as usize;
        let end = start.saturating_add(len);
        let at = self.at(start);
        if end > limit.min(self.size()) {
            return None;
        }
        let room = self.bytes.get_mut(at..at.saturating_add(len))?;
        self.reach = self.reach.max(clamp(end));
        Some(room)
    }

    /// Up to `len` octets of free memory in one piece at `start` past the oldest octet.
    fn free(&mut self, start: usize, len: usize) -> &mut [u8] {
        let at = self.at(start);
        let len = len
            .min(self.size().saturating_sub(start))
            .min(self.size().saturating_sub(at));
        let stop = at.saturating_add(len);
        if self.bytes.len() < stop {
            self.bytes.resize(stop, 0);
        }
        self.bytes.get_mut(at..stop).unwrap_or_default()
    }

    /// Lets go of memory if what it has is four times what it needs, and more than the first.
    fn shrink(&mut self) {
        let wish = (self.reach as usize).next_power_of_two().max(FIRST);
        if wish > self.size() / 4 {
            return;
        }
        let mut smaller = Vec::new();
        if smaller.try_reserve_exact(wish).is_err() {
            return;
        }
        let [a, b] = self.span(0, self.reach as usize);
        smaller.extend_from_slice(a);
        smaller.extend_from_slice(b);
        self.bytes = smaller;
        self.head = 0;
    }

    /// Counts `n` more octets, written before, as held.
    fn extend(&mut self, n: usize) {
        self.len = self.len.saturating_add(clamp(n)).min(self.reach);
    }

    /// Forgets the `n` oldest octets.
    fn forget(&mut self, n: usize) {
        let n = n.min(self.len as usize);
        self.head = clamp(self.at(n));
        self.len = self.len.saturating_sub(clamp(n));
        self.reach = self.reach.saturating_sub(clamp(n));
        if self.reach == 0 {
            // Back to memory that was used before, in one piece.
            self.head = 0;
        }
    }
}

impl Elastic {
    /// An empty buffer of at most `capacity` octets (and at most 4 GiB); allocates nothing.
    pub const fn new(capacity: usize) -> Self {
        Self {
            ring: None,
            limit: clamp(capacity),
            came: 0,
        }
    }

    /// Octets of memory it has allocated for what it holds.
    pub fn allocated(&self) -> usize {
        self.ring.as_ref().map_or(0, |ring| ring.size())
    }

    fn held(&self) -> usize {
        self.ring.as_ref().map_or(0, |ring| ring.len as usize)
    }

    /// Octets that may still be taken in.
    fn room(&self) -> usize {
        (self.limit as usize).saturating_sub(self.held())
    }

    /// Up to `len` octets held, at `offset` past the oldest.
    fn pieces(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        match &self.ring {
            Some(ring) => {
                let held = (ring.len as usize).saturating_sub(offset);
                ring.span(offset, len.min(held))
            }
            None => [&[]; 2],
        }
    }

    /// Copies what fits of `data` to `offset` past the newest octet.
    #[inline]
    fn copy_in(&mut self, offset: usize, data: &[u8]) -> usize {
        if offset == 0
            && let Some(ring) = &mut self.ring
            && ring.append(data, self.limit as usize)
        {
            self.came = self.came.saturating_add(clamp(data.len()));
            return data.len();
        }
        self.copy_piecewise(offset, data)
    }

    /// `copy_in` wherever `data` comes to lie.
    fn copy_piecewise(&mut self, offset: usize, data: &[u8]) -> usize {
        let mut fits = data.len().min(self.room().saturating_sub(offset));
        let start = self.held().saturating_add(offset);
        if offset > 0 {
            let end = PIECE.saturating_add((self.came as usize).saturating_mul(LEAP));
            fits = fits.min(end.saturating_sub(start));
        }
        if fits == 0 {
            return 0;
        }
        let ring = self.ring.get_or_insert_default();
        let end = ring.reserve(start.saturating_add(fits), self.limit as usize);
        let fits = fits.min(end.saturating_sub(start));
        let Some(data) = data.get(..fits).filter(|data| !data.is_empty()) else {
            return 0;
        };
        ring.write(start, data);
        self.came = self.came.saturating_add(clamp(fits));
        fits
    }

    fn extend(&mut self, n: usize) {
        if let Some(ring) = &mut self.ring {
            ring.extend(n);
        }
    }

    fn forget(&mut self, n: usize) {
        if let Some(ring) = &mut self.ring {
            ring.forget(n);
        }
    }

    fn limit_to(&mut self, octets: usize) -> usize {
        self.limit = clamp(octets);
        self.limit as usize
    }

    fn give_back(&mut self) {
        self.ring.take_if(|ring| ring.reach == 0);
        if let Some(ring) = &mut self.ring {
            ring.shrink();
        }
    }
}

/// As much of `octets` as is counted.
const fn clamp(octets: usize) -> u32 {
    if octets > u32::MAX as usize {
        u32::MAX
    } else {
        octets as u32
    }
}

impl RecvBuf for Elastic {
    fn window(&self) -> usize {
        self.room()
    }
    fn capacity(&self) -> usize {
        self.limit as usize
    }
    /// Grows the ring if need be; without memory for that, or too far past a gap, less fits.
    fn write(&mut self, offset: usize, data: &[u8]) -> usize {
        self.copy_in(offset, data)
    }
    fn write_summed(&mut self, data: &[u8]) -> (usize, Sum) {
        if let Some(ring) = &mut self.ring
            && let Some(sum) = ring.append_summed(data, self.limit as usize)
        {
            self.came = self.came.saturating_add(clamp(data.len()));
            return (data.len(), sum);
        }
        let fitted = self.copy_piecewise(0, data).min(data.len());
        (fitted, Sum::of(data.get(..fitted).unwrap_or(data)))
    }
    fn commit(&mut self, n: usize) {
        self.extend(n);
    }
    /// Any number of octets, up to 4 GiB.
    fn set_capacity(&mut self, octets: usize) -> usize {
        self.limit_to(octets)
    }
    fn memory(&self) -> usize {
        self.allocated()
    }
    fn forget_after(&mut self, offset: usize) {
        if let Some(ring) = &mut self.ring {
            let keep = (ring.len as usize).saturating_add(offset);
            ring.reach = ring.reach.min(clamp(keep));
        }
    }
    /// Nor do they count among those that came.
    fn retract(&mut self, n: usize) {
        self.came = self.came.saturating_sub(clamp(n));
        self.forget_after(0);
    }
    /// Also octets written out of order count as held.
    fn trim(&mut self) {
        self.give_back();
    }
}

impl ReadBuf for Elastic {
    fn readable(&self) -> usize {
        self.held()
    }
    fn peek(&self) -> [&[u8]; 2] {
        self.pieces(0, self.held())
    }
    fn consume(&mut self, n: usize) {
        self.forget(n);
    }
}

impl SendBuf for Elastic {
    fn queued(&self) -> usize {
        self.held()
    }
    fn peek(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        self.pieces(offset, len)
    }
    fn release(&mut self, n: usize) {
        self.forget(n);
    }
    fn capacity(&self) -> usize {
        self.limit as usize
    }
    /// Any number of octets, up to 4 GiB.
    fn set_capacity(&mut self, octets: usize) -> usize {
        self.limit_to(octets)
    }
    fn memory(&self) -> usize {
        self.allocated()
    }
    fn trim(&mut self) {
        self.give_back();
    }
}

impl WriteBuf for Elastic {
    fn writable(&self) -> usize {
        self.room()
    }
    fn write(&mut self, data: &[u8]) -> usize {
        let n = self.copy_in(0, data);
        self.extend(n);
        n
    }
    fn write_with(&mut self, max: usize, f: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let start = self.held();
        let wish = self.room().min(max);
        if wish == 0 {
            return 0;
        }
        let ring = self.ring.get_or_insert_default();
        // A large wish alone is no reason to allocate much.
        ring.reserve(start.saturating_add(wish.min(PIECE)), self.limit as usize);
        let room = ring.free(start, wish);
        if room.is_empty() {
            return 0;
        }
        let n = room.len();
        let used = f(room).min(n);
        ring.reach = ring.reach.max(clamp(start.saturating_add(used)));
        ring.extend(used);
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_what_it_holds_and_gives_it_back() {
        let mut buf = Elastic::new(100_000);
        assert_eq!((buf.allocated(), RecvBuf::window(&buf)), (0, 100_000));
        assert_eq!(WriteBuf::write(&mut buf, &[1; 1460]), 1460);
        assert_eq!(buf.allocated(), 2048);
        assert_eq!(WriteBuf::write(&mut buf, &[2; 3000]), 3000);
        assert_eq!(buf.allocated(), 8192);
        assert_eq!(WriteBuf::write(&mut buf, &[3; 100_000]), 95_540);
        assert_eq!(buf.allocated(), 100_000);
        RecvBuf::trim(&mut buf);
        assert_eq!(buf.allocated(), 100_000);
        buf.consume(99_999);
        RecvBuf::trim(&mut buf);
        assert_eq!(ReadBuf::peek(&buf), [&[3][..], &[]]);
        buf.consume(1);
        RecvBuf::trim(&mut buf);
        assert_eq!(buf.allocated(), 0);
    }

    #[test]
    fn what_was_spoiled_pays_for_nothing() {
        let mut buf = Elastic::new(1 << 20);
        assert_eq!(RecvBuf::write(&mut buf, 0, &[1; 1000]), 1000);
        buf.commit(1000);
        for _ in 0..100 {
            assert_eq!(buf.write_summed(&[9; 1000]).0, 1000);
            buf.retract(1000);
        }
        let most = PIECE + LEAP * 1000;
        assert_eq!(RecvBuf::write(&mut buf, most - 1000, &[2; 1000]), 0);
        assert_eq!(RecvBuf::write(&mut buf, most - 2000, &[2; 1000]), 1000);
        assert_eq!(buf.readable(), 1000);
    }

    #[test]
    fn memory_follows_what_is_left() {
        let mut buf = Elastic::new(1 << 20);
        assert_eq!(WriteBuf::write(&mut buf, &[1; 60_000]), 60_000);
        assert_eq!(RecvBuf::write(&mut buf, 70_000, &[2; 100]), 100);
        assert_eq!(buf.allocated(), 1 << 17);
        buf.consume(55_000);
        // The octets far ahead are what holds the memory.
        RecvBuf::trim(&mut buf);
        assert_eq!(RecvBuf::memory(&buf), 1 << 17);
        buf.forget_after(1000);
        RecvBuf::trim(&mut buf);
        assert_eq!(RecvBuf::memory(&buf), 8192);
        assert_eq!(ReadBuf::peek(&buf).concat(), [1; 5000]);
        // It goes on as before.
        assert_eq!(RecvBuf::write(&mut buf, 0, &[3; 10_000]), 10_000);
        buf.commit(10_000);
        assert_eq!(buf.readable(), 15_000);
    }

    #[test]
    fn a_large_wish_allocates_little() {
        let mut buf = Elastic::new(8 << 20);
        let used = buf.write_with(8 << 20, |room| {
            assert!(!room.is_empty());
            room[0] = 7;
            1
        });
        assert_eq!((used, buf.readable()), (1, 1));
        assert!(buf.allocated() <= 2 * PIECE);
    }

    #[test]
    fn octets_behind_a_gap_take_memory_as_others_came() {
        let mut buf = Elastic::new(1 << 20);
        // One octet at the end of the window is no reason for a mebibyte.
        assert_eq!(RecvBuf::write(&mut buf, (1 << 20) - 1, b"x"), 0);
        assert_eq!(buf.allocated(), 0);
        // An initial window (RFC 6928) whose first segment is missing is kept.
        assert_eq!(RecvBuf::write(&mut buf, 9 * 1460, &[1; 1460]), 1460);
        assert!(buf.allocated() <= PIECE);
        // A sender in slow start, whose flight is at most twice what arrived.
        let mut came = 10 * 1460;
        assert_eq!(RecvBuf::write(&mut buf, 0, &std::vec![1; came]), came);
        buf.commit(came);
        while 2 * came < 1 << 20 {
            buf.consume(came);
            assert_eq!(RecvBuf::write(&mut buf, 2 * came - 1460, &[1; 1460]), 1460);
            assert_eq!(
                RecvBuf::write(&mut buf, 0, &std::vec![1; 2 * came]),
                2 * came
            );
            came *= 2;
            buf.commit(came);
        }
        assert!(came > 1 << 19);
    }

    #[test]
    fn out_of_order_octets_are_kept() {
        let mut buf = Elastic::new(10_000);
        assert_eq!(RecvBuf::write(&mut buf, 5_000, b"tail"), 4);
        RecvBuf::trim(&mut buf);
        assert_eq!(RecvBuf::write(&mut buf, 0, &[1; 5_000]), 5_000);
        assert_eq!(buf.readable(), 0);
        buf.commit(5_004);
        buf.consume(5_000);
        assert_eq!(ReadBuf::peek(&buf), [&b"tail"[..], &[]]);
        // What was never written cannot be committed.
        buf.commit(1);
        assert_eq!(buf.readable(), 4);
    }
}
