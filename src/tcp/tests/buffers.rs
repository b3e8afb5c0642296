//! Buffers that know what is right: received octets follow from their position.

extern crate std;

use std::vec::Vec;

use crate::socket::{RecvBuf, SendBuf};

/// The octet at a position of a stream.
pub fn octet(position: u64) -> u8 {
    (position ^ position >> 8 ^ position >> 16) as u8
}

/// A strict receive buffer: it knows which octets were written, and refuses to give others.
#[derive(Debug, Clone)]
pub struct Rx {
    octets: Vec<Option<u8>>,
    committed: usize,
    capacity: usize,
    pub taken: u64,
}

impl Rx {
    pub fn new(capacity: usize) -> Self {
        Self {
            octets: Vec::new(),
            committed: 0,
            capacity,
            taken: 0,
        }
    }
    pub fn readable(&self) -> usize {
        self.committed
    }
    /// Reads and checks up to `most` octets.
    pub fn read(&mut self, most: usize) -> usize {
        let n = most.min(self.committed);
        for octet_read in self.octets.drain(..n) {
            assert_eq!(octet_read, Some(octet(self.taken)), "octet {}", self.taken);
            self.taken += 1;
        }
        self.committed -= n;
        n
    }
}

impl RecvBuf for Rx {
    fn window(&self) -> usize {
        self.capacity.saturating_sub(self.committed)
    }
    fn capacity(&self) -> usize {
        self.capacity
    }
    fn write(&mut self, offset: usize, data: &[u8]) -> usize {
        let fitting = data.len().min(self.window().saturating_sub(offset));
        let at = self.committed + offset;
        if self.octets.len() < at + fitting {
            self.octets.resize(at + fitting, None);
        }
        for (slot, new) in self.octets[at..].iter_mut().zip(&data[..fitting]) {
            *slot = Some(*new);
        }
        fitting
    }
    fn commit(&mut self, n: usize) {
        self.committed += n;
        let held = self
            .octets
            .get(..self.committed)
            .expect("committed what was never written");
        assert!(held.iter().all(Option::is_some), "committed a gap");
    }
    fn set_capacity(&mut self, octets: usize) -> usize {
        self.capacity = octets;
        octets
    }
    fn memory(&self) -> usize {
        self.octets.len()
    }
    fn forget_after(&mut self, offset: usize) {
        self.octets.truncate(self.committed + offset);
    }
}

/// A strict send buffer: it holds octets by position.
#[derive(Debug, Clone, Default)]
pub struct Tx {
    pub written: u64,
    pub released: u64,
}

impl Tx {
    pub fn text(&self, offset: usize, len: usize) -> Vec<u8> {
        assert!(offset + len <= self.queued(), "sent what is not there");
        let from = self.released + offset as u64;
        (from..from + len as u64).map(octet).collect()
    }
}

impl SendBuf for Tx {
    fn queued(&self) -> usize {
        (self.written - self.released) as usize
    }
    fn peek(&self, _: usize, _: usize) -> [&[u8]; 2] {
        [&[], &[]]
    }
    fn release(&mut self, n: usize) {
        assert!(n <= self.queued(), "released what is not there");
        self.released += n as u64;
    }
    fn capacity(&self) -> usize {
        usize::MAX
    }
    fn set_capacity(&mut self, octets: usize) -> usize {
        octets
    }
}
