//! One of the four rings between user space and the kernel (AF_XDP in the kernel's documentation):
//! a power of two of entries, and two numbers that only grow, one written by each side.
//!
//! Invariant: an entry is written before the producer's number says so, and read before the
//! consumer's does. What the kernel writes is not believed: no number of its makes us read or
//! write more than a ring's entries, or outside of them.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::map::Map;

/// Where the parts of a ring are, in octets from the start of its mapping.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) producer: usize,
    pub(super) consumer: usize,
    pub(super) flags: usize,
    pub(super) entries: usize,
}

/// One side of a ring.
#[derive(Debug)]
pub(super) struct Ring {
    map: Map,
    layout: Layout,
    /// A power of two.
    size: u32,
    /// 64-bit words of an entry: one for an address, two for a frame.
    words: usize,
    /// Our number: the next entry that we write or read.
    own: u32,
    /// The last known number of the other side.
    other: u32,
}

/// A frame in a ring: its address in the kernel's terms, and its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) address: u64,
    pub(super) len: u32,
}

/// The ring's other side wants a system call (`XDP_RING_NEED_WAKEUP`).
const NEED_WAKEUP: u32 = 1;

impl Ring {
    pub(super) const fn new(map: Map, layout: Layout, size: u32, words: usize) -> Self {
        Self {
            map,
            layout,
            size,
            words,
            own: 0,
            other: 0,
        }
    }

    /// Octets of a mapping for `size` entries.
    pub(super) const fn len(layout: Layout, size: u32, words: usize) -> usize {
        layout.entries + size as usize * words * 8
    }

    /// Does the kernel wait for a system call before it goes on?
    pub(super) fn needs_wakeup(&self) -> bool {
        let flags = self.map.u32(self.layout.flags);
        flags.is_none_or(|flags| flags.load(Relaxed) & NEED_WAKEUP != 0)
    }

    /// As a producer: how many entries may be written.
    pub(super) fn room(&mut self) -> u32 {
        let used = self.own.wrapping_sub(self.other).min(self.size);
        if used < self.size {
            return self.size - used;
        }
        self.other = self.number(self.layout.consumer, self.other);
        // A consumer ahead of us, or further behind than the ring is long, does not exist.
        self.size - self.own.wrapping_sub(self.other).min(self.size)
    }

    /// As a producer: writes the next entry, which [`publish`](Self::publish) shows to the other
    /// side. False if there is no room.
    pub(super) fn push(&mut self, entry: Descriptor) -> bool {
        if self.room() == 0 {
            return false;
        }
        let Some(address) = self.word(self.own, 0) else {
            return false;
        };
        address.store(entry.address, Relaxed);
        if self.words > 1
            && let Some(rest) = self.word(self.own, 1)
        {
            rest.store(pack(entry.len), Relaxed);
        }
        self.own = self.own.wrapping_add(1);
        true
    }

    /// As a producer: what was written is the other side's.
    pub(super) fn publish(&mut self) {
        if let Some(number) = self.map.u32(self.layout.producer) {
            number.store(self.own, Release);
        }
    }

    /// As a producer: entries that the other side has not read, as of its last number.
    pub(super) fn unread(&mut self) -> u32 {
        self.other = self.number(self.layout.consumer, self.other);
        self.own.wrapping_sub(self.other).min(self.size)
    }

    /// As a consumer: the next entry, which [`release`](Self::release) gives back.
    pub(super) fn pop(&mut self) -> Option<Descriptor> {
        if self.other == self.own {
            self.other = self.number(self.layout.producer, self.other);
            let waiting = self.other.wrapping_sub(self.own);
            if waiting == 0 || waiting > self.size {
                self.other = self.own;
                return None;
            }
        }
        let address = self.word(self.own, 0)?.load(Relaxed);
        let len = match self.words {
            1 => 0,
            _ => unpack(self.word(self.own, 1)?.load(Relaxed)),
        };
        self.own = self.own.wrapping_add(1);
        Some(Descriptor { address, len })
    }

    /// As a consumer: what was read may be written again.
    pub(super) fn release(&mut self) {
        if let Some(number) = self.map.u32(self.layout.consumer) {
            number.store(self.own, Release);
        }
    }

    /// The number of the other side; as it was if there is none.
    fn number(&self, at: usize, before: u32) -> u32 {
        self.map.u32(at).map_or(before, |n| n.load(Acquire))
    }

    fn word(&self, entry: u32, word: usize) -> Option<&core::sync::atomic::AtomicU64> {
        let index = (entry & self.size.wrapping_sub(1)) as usize;
        self.map
            .u64(self.layout.entries + (index * self.words + word) * 8)
    }
}

/// Length and options, as they lie beside each other in memory.
const fn pack(len: u32) -> u64 {
    let [a, b, c, d] = len.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0])
}

const fn unpack(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        producer: 0,
        consumer: 64,
        flags: 128,
        entries: 192,
    };

    fn ring() -> Ring {
        let map = Map::anonymous(Ring::len(LAYOUT, 4, 2)).unwrap();
        Ring::new(map, LAYOUT, 4, 2)
    }

    fn entry(n: u64) -> Descriptor {
        Descriptor {
            address: n << 12,
            len: n as u32 + 60,
        }
    }

    /// What the kernel would do.
    fn set(ring: &Ring, at: usize, n: u32) {
        ring.map.u32(at).unwrap().store(n, Release);
    }

    fn get(ring: &Ring, at: usize) -> u32 {
        ring.map.u32(at).unwrap().load(Acquire)
    }

    #[test]
    fn a_producer_fills_the_ring_and_goes_on_where_the_kernel_has_read() {
        let mut ring = ring();
        // Many times around, and over the end of the numbers.
        (ring.own, ring.other) = (u32::MAX - 5, u32::MAX - 5);
        let start = ring.own;
        set(&ring, LAYOUT.consumer, start);
        for round in 0..10_u32 {
            for n in 0..4 {
                assert_eq!(ring.room(), 4 - n);
                assert!(ring.push(entry(u64::from(round * 4 + n))));
            }
            assert!(!ring.push(entry(9)));
            assert_eq!(
                get(&ring, LAYOUT.producer),
                if round == 0 {
                    0
                } else {
                    start.wrapping_add(round * 4)
                }
            );
            ring.publish();
            let at = start.wrapping_add(round * 4 + 4);
            assert_eq!(get(&ring, LAYOUT.producer), at);
            assert_eq!(ring.unread(), 4);
            set(&ring, LAYOUT.consumer, at.wrapping_sub(1));
            assert_eq!((ring.unread(), ring.room()), (1, 3));
            set(&ring, LAYOUT.consumer, at);
            assert_eq!(ring.unread(), 0);
        }
    }

    #[test]
    fn a_consumer_reads_what_was_written_in_order() {
        let mut producer = ring();
        for n in 0..3 {
            producer.push(entry(n));
        }
        producer.publish();
        // The same memory from the other side.
        let (map, produced) = (producer.map, 3);
        let mut ring = Ring::new(map, LAYOUT, 4, 2);
        for n in 0..3 {
            assert_eq!(ring.pop(), Some(entry(n)));
        }
        assert_eq!(ring.pop(), None);
        assert_eq!(get(&ring, LAYOUT.consumer), 0, "not given back yet");
        ring.release();
        assert_eq!(get(&ring, LAYOUT.consumer), produced);
    }

    #[test]
    fn numbers_that_cannot_be_are_not_believed() {
        let mut ring = ring();
        set(&ring, LAYOUT.producer, 5);
        assert_eq!(ring.pop(), None, "more than the ring holds");
        set(&ring, LAYOUT.producer, u32::MAX);
        assert_eq!(ring.pop(), None, "backwards");
        set(&ring, LAYOUT.producer, 1);
        assert!(ring.pop().is_some(), "it goes on when the kernel does");
        let mut ring = self::ring();
        set(&ring, LAYOUT.consumer, 7);
        for _ in 0..4 {
            ring.push(entry(0));
        }
        assert_eq!(ring.room(), 0, "the consumer is ahead");
        assert!(!ring.push(entry(0)));
    }

    #[test]
    fn a_flag_asks_for_a_call() {
        let ring = ring();
        assert!(!ring.needs_wakeup());
        set(&ring, LAYOUT.flags, NEED_WAKEUP);
        assert!(ring.needs_wakeup());
    }
}
