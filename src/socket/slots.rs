//! A growing array whose elements never move.
//!
//! Invariant: chunk sizes are 8, 16, 32, 64, 128, 256 and then 512 for ever; each is
//! allocated once, whole, and never again. Growing moves only the chunks' headers: 24 octets for
//! every 512 elements, 5 KB at 100,000 elements, and that once for each doubling. Used by the slab,
//! and by TCP's tables of connections that are no sockets.

use alloc::vec::Vec;

/// Elements of all chunks but the first few.
const CHUNK: u32 = 512;

/// Elements of the first chunk, a power of two.
const FIRST: u64 = 8;

/// Chunk and place in it of element `i`.
#[inline]
const fn place(i: u32) -> (usize, usize) {
    // Counted as if a chunk as large as the first were before it, chunks that double begin at
    // powers of two.
    let i = i as u64 + FIRST;
    if i < CHUNK as u64 {
        let level = i.ilog2();
        (
            (level - FIRST.ilog2()) as usize,
            (i - (1 << level)) as usize,
        )
    } else {
        let whole = i / CHUNK as u64 + (CHUNK.ilog2() - FIRST.ilog2() - 1) as u64;
        (whole as usize, (i % CHUNK as u64) as usize)
    }
}

/// Elements that chunk `n` has room for.
const fn size(n: usize) -> usize {
    match n {
        0..6 => (FIRST as usize) << n,
        _ => CHUNK as usize,
    }
}

/// Elements numbered from 0, which stay where they are.
#[derive(Debug)]
pub struct Slots<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
    /// How many elements were looked at, for the tests of `tests/scale.rs`.
    #[cfg(debug_assertions)]
    touched: core::cell::Cell<u64>,
}

impl<T> Slots<T> {
    /// No elements; allocates nothing.
    pub const fn new() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
            #[cfg(debug_assertions)]
            touched: core::cell::Cell::new(0),
        }
    }

    /// Number of elements.
    pub const fn len(&self) -> u32 {
        self.len
    }

    fn touch(&self) {
        #[cfg(debug_assertions)]
        self.touched.set(self.touched.get().wrapping_add(1));
    }

    /// How many elements were looked at so far; `None` where that is not counted (release).
    #[allow(clippy::unnecessary_wraps, reason = "in a release build it is not")]
    pub fn touched(&self) -> Option<u64> {
        #[cfg(debug_assertions)]
        return Some(self.touched.get());
        #[cfg(not(debug_assertions))]
        None
    }

    /// Element `i`.
    pub fn get(&self, i: u32) -> Option<&T> {
        self.touch();
        let (chunk, at) = place(i);
        self.chunks.get(chunk)?.get(at)
    }

    /// Element `i`.
    pub fn get_mut(&mut self, i: u32) -> Option<&mut T> {
        self.touch();
        let (chunk, at) = place(i);
        self.chunks.get_mut(chunk)?.get_mut(at)
    }

    /// Appends an element; returns its number, `None` if numbers have run out.
    pub fn push(&mut self, element: T) -> Option<u32> {
        self.touch();
        let i = self.len;
        let next = i.checked_add(1)?;
        let (chunk, _) = place(i);
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(size(chunk)));
        }
        self.chunks.get_mut(chunk)?.push(element);
        self.len = next;
        Some(i)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_dense_and_nothing_moves() {
        let mut slots = Slots::new();
        let mut addresses = Vec::new();
        for i in 0..5_000u32 {
            assert_eq!(slots.push(i), Some(i));
            let (chunk, at) = place(i);
            assert!(at < size(chunk));
            addresses.push(core::ptr::from_ref(slots.get(i).unwrap()));
        }
        for (i, address) in addresses.iter().enumerate() {
            assert_eq!(slots.get(i as u32), Some(&(i as u32)));
            assert_eq!(core::ptr::from_ref(slots.get(i as u32).unwrap()), *address);
        }
        assert_eq!(slots.get(5_000), None);
        for (n, chunk) in slots.chunks.iter().enumerate() {
            assert_eq!(chunk.capacity(), size(n));
        }
    }
}
