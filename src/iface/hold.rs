//! Packets that wait for their next hop's link address.
//!
//! Invariant: memory is bounded whatever is sent. With an allocator every unfinished entry
//! holds at most `DEPTH` packets of `OCTETS` together, the newest, so that all fragments of the
//! longest datagram find room; without, the interface holds one packet of at most
//! `LONGEST` octets in all, the newest (RFC 1122 §2.3.2.2 asks for at least one). They are
//! charged to the entry and not to the socket, which may go on with other destinations.

use phy::{Abort, TxMeta};

use crate::error::TxError;

#[cfg(feature = "alloc")]
pub(super) use hosted::Hold;
#[cfg(not(feature = "alloc"))]
pub(super) use single::Hold;

/// Packets an unfinished entry holds where there is an allocator.
#[cfg(feature = "alloc")]
pub(super) const DEPTH: usize = 128;

/// Octets of all these packets together: 65,515 of a datagram and, at the smallest MTU that
/// hosts must take (576, RFC 791 §3.2), the headers of its 119 fragments.
#[cfg(feature = "alloc")]
pub(super) const OCTETS: usize = 68 << 10;

/// Octets of the longest packet held where there is no allocator.
#[cfg(not(feature = "alloc"))]
pub(super) const LONGEST: usize = 1500;

#[cfg(feature = "alloc")]
mod hosted {
    use super::*;
    use alloc::{collections::VecDeque, vec, vec::Vec};

    /// The packets of up to `N` unfinished entries, by number.
    #[derive(Debug)]
    pub(in super::super) struct Hold<const N: usize>(crate::iface::table::Slots<Queue, N>);

    /// The packets of one entry, and how long they are together.
    #[derive(Debug)]
    struct Queue {
        packets: VecDeque<(Vec<u8>, TxMeta)>,
        octets: usize,
    }

    impl Queue {
        const EMPTY: Self = Self {
            packets: VecDeque::new(),
            octets: 0,
        };

        fn pop(&mut self) -> bool {
            let Some((packet, _)) = self.packets.pop_front() else {
                return false;
            };
            self.octets = self.octets.saturating_sub(packet.len());
            true
        }
    }

    impl<const N: usize> Hold<N> {
        pub(in super::super) fn new() -> Self {
            Self(crate::iface::table::Slots::new(|| Queue::EMPTY))
        }

        /// Keeps a packet of `len` octets that `write` writes. Returns how many others had to
        /// go.
        pub(in super::super) fn push(
            &mut self,
            id: usize,
            len: usize,
            meta: TxMeta,
            write: impl FnOnce(&mut [u8]) -> Result<(), Abort>,
        ) -> Result<u32, TxError> {
            let queue = self.0.get_mut(id).ok_or(TxError::Dropped)?;
            let mut octets = vec![0; len];
            write(&mut octets)?;
            let full = |queue: &Queue| {
                queue.packets.len() >= DEPTH || queue.octets.saturating_add(len) > OCTETS
            };
            let mut gone = 0;
            while full(queue) && queue.pop() {
                gone += 1;
            }
            queue.octets = queue.octets.saturating_add(len);
            queue.packets.push_back((octets, meta));
            Ok(gone)
        }

        /// The oldest packet of entry `id`.
        pub(in super::super) fn front(&mut self, id: usize) -> Option<(&mut [u8], TxMeta)> {
            let (octets, meta) = self.0.get_mut(id)?.packets.front_mut()?;
            Some((octets, *meta))
        }

        /// Lets the oldest packet of entry `id` go.
        pub(in super::super) fn pop(&mut self, id: usize) {
            if let Some(queue) = self.0.get_mut(id) {
                queue.pop();
            }
        }

        /// Lets all packets of entry `id` go and says how many they were.
        pub(in super::super) fn clear(&mut self, id: usize) -> u32 {
            self.0.get_mut(id).map_or(0, |queue| {
                let n = queue.packets.len();
                // The queue's own memory goes too: entries are many, and seldom unfinished.
                *queue = Queue::EMPTY;
                n as u32
            })
        }
    }
}

#[cfg(not(feature = "alloc"))]
mod single {
    use super::*;

    /// The one packet that waits, and for which entry.
    #[derive(Debug)]
    pub(in super::super) struct Hold<const N: usize> {
        of: Option<(usize, usize, TxMeta)>,
        octets: [u8; LONGEST],
    }

    impl<const N: usize> Hold<N> {
        pub(in super::super) fn new() -> Self {
            Self {
                of: None,
                octets: [0; LONGEST],
            }
        }

        /// Keeps a packet of `len` octets that `write` writes. Returns how many others had to
        /// go.
        pub(in super::super) fn push(
            &mut self,
            id: usize,
            len: usize,
            meta: TxMeta,
            write: impl FnOnce(&mut [u8]) -> Result<(), Abort>,
        ) -> Result<u32, TxError> {
            let octets = self.octets.get_mut(..len).ok_or(TxError::Dropped)?;
            let old = self.of.take();
            write(octets)?;
            self.of = Some((id, len, meta));
            Ok(old.is_some().into())
        }

        /// The packet, if it is of entry `id`.
        pub(in super::super) fn front(&mut self, id: usize) -> Option<(&mut [u8], TxMeta)> {
            let (_, len, meta) = self.of.filter(|(of, ..)| *of == id)?;
            Some((self.octets.get_mut(..len)?, meta))
        }

        /// Lets the packet go, if it is of entry `id`.
        pub(in super::super) fn pop(&mut self, id: usize) {
            self.of = self.of.filter(|(of, ..)| *of != id);
        }

        /// Lets the packet go, if it is of entry `id`, and says how many that were.
        pub(in super::super) fn clear(&mut self, id: usize) -> u32 {
            let was = self.front(id).is_some();
            self.pop(id);
            was.into()
        }
    }
}
