//! A ring of octets in one buffer of fixed size, borrowed or owned.
//!
//! Invariant: `head < bytes.len()` unless both are 0, and `len <= bytes.len()`. Serves as the
//! receive and as the send buffer of a stream; which one, decides the trait it is used by.

use core::ops::DerefMut;

use crate::socket::{ReadBuf, RecvBuf, SendBuf, WriteBuf};

/// A byte ring in `B`, e.g. `&mut [u8]`. One without octets holds nothing.
#[derive(Debug)]
pub struct Ring<B> {
    bytes: B,
    /// Where the oldest octet is.
    head: usize,
    /// Octets held, without those written out of order.
    len: usize,
    /// Octets it may hold; at most `bytes.len()`.
    limit: usize,
}

impl<B: DerefMut<Target = [u8]>> Ring<B> {
    /// An empty ring that holds as many octets as `bytes`.
    pub fn new(bytes: B) -> Self {
        let limit = bytes.len();
        Self {
            bytes,
            head: 0,
            len: 0,
            limit,
        }
    }

    /// Gives the buffer back.
    pub fn into_inner(self) -> B {
        self.bytes
    }

    /// Index of the octet at `offset` past the oldest; `offset` is at most the buffer's size.
    fn at(&self, offset: usize) -> usize {
        let at = self.head.saturating_add(offset);
        at.checked_sub(self.bytes.len()).unwrap_or(at)
    }

    /// Octets that may still be taken in.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.len)
    }

    /// Up to `len` octets at `offset` past the oldest.
    fn pieces(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        let len = len.min(self.len.saturating_sub(offset));
        if len == 0 {
            return [&[]; 2];
        }
        let at = self.at(offset);
        let first = len.min(self.bytes.len().saturating_sub(at));
        [
            self.bytes.get(at..at.saturating_add(first)).unwrap_or(&[]),
            self.bytes.get(..len.saturating_sub(first)).unwrap_or(&[]),
        ]
    }

    /// Copies what fits of `data` to `offset` past the newest octet.
    fn copy_in(&mut self, offset: usize, data: &[u8]) -> usize {
        let n = data.len().min(self.room().saturating_sub(offset));
        let Some((data, _)) = data.split_at_checked(n) else {
            return 0;
        };
        if n == 0 {
            return 0;
        }
        let at = self.at(self.len.saturating_add(offset));
        let first = n.min(self.bytes.len().saturating_sub(at));
        let Some((upper, lower)) = data.split_at_checked(first) else {
            return 0;
        };
        if let Some(to) = self.bytes.get_mut(at..at.saturating_add(first)) {
            to.copy_from_slice(upper);
        }
        if let Some(to) = self.bytes.get_mut(..lower.len()) {
            to.copy_from_slice(lower);
        }
        n
    }

    /// Counts `n` more octets as held.
    fn extend(&mut self, n: usize) {
        let free = self.bytes.len().saturating_sub(self.len);
        self.len = self.len.saturating_add(n.min(free));
    }

    /// Forgets the `n` oldest octets.
    fn forget(&mut self, n: usize) {
        let n = n.min(self.len);
        self.head = self.at(n);
        self.len = self.len.saturating_sub(n);
    }

    fn limit_to(&mut self, octets: usize) -> usize {
        self.limit = octets.min(self.bytes.len());
        self.limit
    }
}

impl<B: DerefMut<Target = [u8]>> RecvBuf for Ring<B> {
    fn window(&self) -> usize {
        self.room()
    }
    fn capacity(&self) -> usize {
        self.limit
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> usize {
        self.copy_in(offset, data)
    }
    fn commit(&mut self, n: usize) {
        self.extend(n);
    }
    /// At most the size of the buffer.
    fn set_capacity(&mut self, octets: usize) -> usize {
        self.limit_to(octets)
    }
    /// The buffer, whatever is in it.
    fn memory(&self) -> usize {
        self.bytes.len()
    }
}

impl<B: DerefMut<Target = [u8]>> ReadBuf for Ring<B> {
    fn readable(&self) -> usize {
        self.len
    }
    fn peek(&self) -> [&[u8]; 2] {
        self.pieces(0, self.len)
    }
    fn consume(&mut self, n: usize) {
        self.forget(n);
    }
}

impl<B: DerefMut<Target = [u8]>> SendBuf for Ring<B> {
    fn queued(&self) -> usize {
        self.len
    }
    fn peek(&self, offset: usize, len: usize) -> [&[u8]; 2] {
        self.pieces(offset, len)
    }
    fn release(&mut self, n: usize) {
        self.forget(n);
        if self.len == 0 {
            self.head = 0; // the next octets in one piece
        }
    }
    fn capacity(&self) -> usize {
        self.limit
    }
    /// At most the size of the buffer.
    fn set_capacity(&mut self, octets: usize) -> usize {
        self.limit_to(octets)
    }
    /// The buffer, whatever is in it.
    fn memory(&self) -> usize {
        self.bytes.len()
    }
}

impl<B: DerefMut<Target = [u8]>> WriteBuf for Ring<B> {
    fn writable(&self) -> usize {
        self.room()
    }
    fn write(&mut self, data: &[u8]) -> usize {
        let n = self.copy_in(0, data);
        self.extend(n);
        n
    }
    fn write_with(&mut self, max: usize, f: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let at = self.at(self.len);
        let n = self.room().min(max);
        let n = n.min(self.bytes.len().saturating_sub(at));
        let Some(room) = self.bytes.get_mut(at..at.saturating_add(n)) else {
            return 0;
        };
        if room.is_empty() {
            return 0;
        }
        let used = f(room).min(n);
        self.extend(used);
        used
    }
}
