//! Which of several stacks has a connection that a peer began, where the queue that its frames
//! come to may change meanwhile: over a veth pair that is the queue the other end's kernel sent
//! from, and it picks another after a timeout. The stack that gets the SYN has the connection;
//! the others pass on to it what they get of it.
//!
//! Invariant: a table of words that all stacks read and write, each by one atomic operation and
//! none relying on another. A word is a connection's tag and its stack; connections that share a
//! place displace each other, and one that was displaced is where the interface puts it, as if
//! there were no table. Tags are hashes by a key that peers do not know.

use core::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use siphasher::sip::SipHasher13;

/// Places: a power of two. Half a mebioctet, for all stacks together.
const PLACES: usize = 1 << 16;

/// A word that is nobody's.
const NONE: u64 = 0;

/// Addresses and ports as they stand in a packet.
pub(super) type Flow = [u8; 12];

/// What one stack's device knows of everybody's connections.
#[derive(Debug, Clone)]
pub(super) struct Claims {
    key: [u64; 2],
    table: Arc<[AtomicU64]>,
}

impl Claims {
    /// A table without connections; clones share it.
    #[cfg(any(feature = "xdp", test))]
    pub(super) fn new() -> Self {
        use rand_core::Rng as _;
        let mut rng = crate::host::os_rng();
        let table: std::boxed::Box<[AtomicU64]> =
            (0..PLACES).map(|_| AtomicU64::new(NONE)).collect();
        Self {
            key: [rng.next_u64(), rng.next_u64()],
            table: table.into(),
        }
    }

    /// The stack that has the connection of `flow`, if it is known; a SYN (`begins`) of one that
    /// is not makes it that of stack `us`.
    pub(super) fn holder(&self, flow: &Flow, begins: bool, us: u16) -> Option<u16> {
        let [a, b] = self.key;
        let mut hasher = SipHasher13::new_with_keys(a, b);
        hasher.write(flow);
        let hash = hasher.finish();
        let place = self.table.get((hash as usize) % PLACES)?;
        // The low 16 bits chose the place and need not be kept.
        let (tag, word) = (hash >> 16, place.load(Relaxed));
        if word != NONE && word >> 16 == tag {
            return Some((word as u16).wrapping_sub(1));
        }
        if begins {
            place.store(tag << 16 | u64::from(us.wrapping_add(1)), Relaxed);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_stays_with_the_stack_that_got_its_syn() {
        let (a, flow, other) = (Claims::new(), [7; 12], [8; 12]);
        let b = a.clone();
        assert_eq!(a.holder(&flow, false, 0), None, "nobody knows it");
        assert_eq!(b.holder(&flow, true, 1), None, "it is new");
        assert_eq!(a.holder(&flow, false, 0), Some(1));
        assert_eq!(a.holder(&flow, true, 0), Some(1), "a SYN sent again");
        assert_eq!(b.holder(&flow, false, 1), Some(1));
        assert_eq!(a.holder(&other, false, 0), None);
    }

    #[test]
    fn a_full_table_forgets_and_never_confuses() {
        let claims = Claims::new();
        let flow = |n: u32| {
            let [a, b, c, d] = n.to_ne_bytes();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
        };
        let count = 4 * PLACES as u32;
        for n in 0..count {
            assert_eq!(claims.holder(&flow(n), true, (n % 3) as u16), None);
        }
        let known = (0..count).filter(|n| {
            let holder = claims.holder(&flow(*n), false, 9);
            assert!(holder.is_none_or(|holder| u32::from(holder) == n % 3));
            holder.is_some()
        });
        let known = known.count();
        assert!(known > PLACES * 9 / 10 && known <= PLACES, "{known}");
    }
}
