//! Connections that are no sockets: entries found by flow, kept in order of time.
//!
//! Invariant: every operation takes constant time (but for an occasional doubling of the hash
//! index, paid for by the insertions before it), and there are never more entries than the
//! limit. Used by the SYN table ([`listen`](super::listen)) and the TIME-WAIT table
//! ([`timewait`](super::timewait)) only.
//!
//! Within one list entries stand in the order they were appended, so a list whose entries all
//! wait equally long is a queue of deadlines. With an allocator the table grows as needed up
//! to its limit; without one it holds [`INLINE`] entries in place.

use core::hash::Hasher;

use crate::secret::{IndexHasher, Purpose, Secret, write_addr};
use crate::transport::Endpoint;

/// Entries a table holds where there is no allocator.
pub const INLINE: usize = 16;

/// "No slot".
const NIL: u32 = u32::MAX;

/// What stands in a table.
pub(super) trait Entry: Copy {
    /// In which of the table's lists it stands.
    fn list(&self) -> usize {
        0
    }
}

/// Names an entry until it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

#[derive(Debug, Clone, Copy)]
struct Slot<E> {
    entry: E,
    /// Low half of the flow's hash.
    tag: u32,
    /// Next slot of the same bucket.
    chain: u32,
    prev: u32,
    /// Next slot of the same list, or of the free list.
    next: u32,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    head: u32,
    tail: u32,
}

/// Entries by flow, in `LISTS` queues.
#[derive(Debug)]
pub(super) struct Table<E, const LISTS: usize> {
    slots: Store<Slot<E>>,
    buckets: Store<u32>,
    lists: [Ends; LISTS],
    free: u32,
    len: usize,
    limit: usize,
}

impl<E: Entry, const LISTS: usize> Table<E, LISTS> {
    /// An empty table of at most `limit` entries; one at least.
    pub fn new(limit: usize) -> Self {
        Self {
            slots: Store::new(),
            buckets: Store::new(),
            lists: [Ends {
                head: NIL,
                tail: NIL,
            }; LISTS],
            free: NIL,
            len: 0,
            limit: limit.clamp(1, Store::<E>::MOST),
        }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No room for another?
    pub fn is_full(&self) -> bool {
        self.len >= self.limit
    }

    /// The entry whose flow hashes to `hash` and that `is` the right one.
    pub fn find(&self, hash: u64, is: impl Fn(&E) -> bool) -> Option<Id> {
        let mut at = *self.buckets.get(self.bucket(hash as u32)?)?;
        while let Some(slot) = self.slot(at) {
            if slot.tag == hash as u32 && is(&slot.entry) {
                return Some(Id(at));
            }
            at = slot.chain;
        }
        None
    }

    /// Looks at an entry.
    pub fn get(&self, id: Id) -> Option<&E> {
        self.slot(id.0).map(|slot| &slot.entry)
    }

    /// Gives access to an entry. What [`Entry::list`] says must not change.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut E> {
        self.slots
            .get_mut(id.0 as usize)
            .map(|slot| &mut slot.entry)
    }

    /// The entry that stands longest in a list.
    pub fn oldest(&self, list: usize) -> Option<Id> {
        let head = self.lists.get(list)?.head;
        (head != NIL).then_some(Id(head))
    }

    /// Appends an entry to its list; `None` if the table is full.
    pub fn insert(&mut self, hash: u64, entry: E) -> Option<Id> {
        if self.is_full() {
            return None;
        }
        let tag = hash as u32;
        let fresh = Slot {
            entry,
            tag,
            chain: NIL,
            prev: NIL,
            next: NIL,
        };
        let at = match self.slot(self.free).map(|slot| slot.next) {
            Some(next) => core::mem::replace(&mut self.free, next),
            None => {
                let at = u32::try_from(self.slots.len()).ok()?;
                if !self.slots.push(fresh) {
                    return None;
                }
                at
            }
        };
        if let Some(slot) = self.slots.get_mut(at as usize) {
            *slot = fresh;
        }
        self.len = self.len.saturating_add(1);
        if self.len > self.buckets.len() {
            self.grow();
        }
        self.chain(at);
        self.append(at);
        Some(Id(at))
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: Id) -> Option<E> {
        let entry = self.get(id).copied()?;
        self.unchain(id.0);
        self.unlink(id.0);
        let free = core::mem::replace(&mut self.free, id.0);
        let slot = self.slots.get_mut(id.0 as usize)?;
        slot.next = free;
        self.len = self.len.saturating_sub(1);
        Some(entry)
    }

    /// Changes an entry, perhaps its list, and appends it to the list it now belongs to.
    pub fn requeue(&mut self, id: Id, change: impl FnOnce(&mut E)) {
        self.unlink(id.0);
        if let Some(entry) = self.get_mut(id) {
            change(entry);
        }
        self.append(id.0);
    }

    fn slot(&self, at: u32) -> Option<&Slot<E>> {
        self.slots.get(at as usize)
    }

    fn bucket(&self, tag: u32) -> Option<usize> {
        // A power of two, or none at all.
        Some(tag as usize & self.buckets.len().checked_sub(1)?)
    }

    /// Doubles the index and files every entry anew.
    fn grow(&mut self) {
        let wanted = self.buckets.len().saturating_mul(2).max(INLINE);
        while self.buckets.len() < wanted {
            if !self.buckets.push(NIL) {
                break;
            }
        }
        for at in 0..self.buckets.len() {
            if let Some(bucket) = self.buckets.get_mut(at) {
                *bucket = NIL;
            }
        }
        for list in 0..LISTS {
            let mut at = self.lists.get(list).map_or(NIL, |ends| ends.head);
            while let Some(slot) = self.slot(at) {
                let next = slot.next;
                self.chain(at);
                at = next;
            }
        }
    }

    fn chain(&mut self, at: u32) {
        let Some(bucket) = self.slot(at).and_then(|slot| self.bucket(slot.tag)) else {
            return;
        };
        let Some(head) = self.buckets.get_mut(bucket) else {
            return;
        };
        let next = core::mem::replace(head, at);
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.chain = next;
        }
    }

    fn unchain(&mut self, at: u32) {
        let Some((bucket, after)) = self
            .slot(at)
            .and_then(|slot| Some((self.bucket(slot.tag)?, slot.chain)))
        else {
            return;
        };
        let Some(head) = self.buckets.get_mut(bucket) else {
            return;
        };
        if *head == at {
            *head = after;
            return;
        }
        let mut before = *head;
        while let Some(slot) = self.slots.get_mut(before as usize) {
            if slot.chain == at {
                slot.chain = after;
                return;
            }
            before = slot.chain;
        }
    }

    fn append(&mut self, at: u32) {
        let Some(ends) = self
            .slots
            .get(at as usize)
            .and_then(|slot| self.lists.get_mut(slot.entry.list()))
        else {
            return;
        };
        let tail = core::mem::replace(&mut ends.tail, at);
        if tail == NIL {
            ends.head = at;
        }
        if let Some(slot) = self.slots.get_mut(tail as usize) {
            slot.next = at;
        }
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.prev = tail;
            slot.next = NIL;
        }
    }

    fn unlink(&mut self, at: u32) {
        let Some(&Slot {
            entry, prev, next, ..
        }) = self.slot(at)
        else {
            return;
        };
        if let Some(slot) = self.slots.get_mut(prev as usize) {
            slot.next = next;
        }
        if let Some(slot) = self.slots.get_mut(next as usize) {
            slot.prev = prev;
        }
        if let Some(ends) = self.lists.get_mut(entry.list()) {
            if ends.head == at {
                ends.head = next;
            }
            if ends.tail == at {
                ends.tail = prev;
            }
        }
    }
}

/// The keyed hash a flow is found by: a peer must not be able to choose what collides.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FlowKey([u64; 2]);

impl FlowKey {
    /// Draws the key.
    pub fn new(secret: &Secret) -> Self {
        Self(secret.key(Purpose::Index))
    }

    /// Hash of a flow; 64 bits that differ for different flows for all practical purposes.
    pub fn hash(&self, flow: &Endpoint) -> u64 {
        let Self([a, b]) = *self;
        let mut h = IndexHasher::new_with_keys(a, b);
        if let Some(ip) = flow.ip {
            write_addr(&mut h, (ip, flow.port).into());
        }
        if let Some(peer) = flow.peer {
            write_addr(&mut h, peer);
        }
        h.finish()
    }
}

#[cfg(feature = "alloc")]
use heap::Store;
#[cfg(not(feature = "alloc"))]
use inline::Store;

#[cfg(feature = "alloc")]
mod heap {
    use alloc::vec::Vec;

    /// A vector.
    #[derive(Debug)]
    pub(super) struct Store<T>(Vec<T>);

    impl<T> Store<T> {
        pub const MOST: usize = 1 << 30;
        pub const fn new() -> Self {
            Self(Vec::new())
        }
        pub fn len(&self) -> usize {
            self.0.len()
        }
        pub fn get(&self, at: usize) -> Option<&T> {
            self.0.get(at)
        }
        pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
            self.0.get_mut(at)
        }
        pub fn push(&mut self, value: T) -> bool {
            self.0.push(value);
            true
        }
    }
}

#[cfg(not(feature = "alloc"))]
mod inline {
    use super::INLINE;

    /// A vector of [`INLINE`] places.
    #[derive(Debug)]
    pub(super) struct Store<T> {
        places: [Option<T>; INLINE],
        len: usize,
    }

    impl<T> Store<T> {
        pub const MOST: usize = INLINE;
        pub const fn new() -> Self {
            Self {
                places: [const { None }; INLINE],
                len: 0,
            }
        }
        pub fn len(&self) -> usize {
            self.len
        }
        pub fn get(&self, at: usize) -> Option<&T> {
            self.places.get(at)?.as_ref()
        }
        pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
            self.places.get_mut(at)?.as_mut()
        }
        pub fn push(&mut self, value: T) -> bool {
            let Some(place) = self.places.get_mut(self.len) else {
                return false;
            };
            *place = Some(value);
            self.len = self.len.saturating_add(1);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::VecDeque;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Item {
        name: u64,
        list: usize,
    }

    impl Entry for Item {
        fn list(&self) -> usize {
            self.list
        }
    }

    /// Three buckets' worth of hashes, so that chains are long.
    fn hash(name: u64) -> u64 {
        name % 3
    }

    #[test]
    fn agrees_with_queues_searched_from_end_to_end() {
        let mut table = Table::<Item, 2>::new(INLINE);
        let mut model: [VecDeque<u64>; 2] = Default::default();
        let mut dice = 7u64;
        for step in 0..20_000u64 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (name, list) = ((dice >> 33) % 24, (dice >> 60) as usize & 1);
            let found = table.find(hash(name), |item| item.name == name);
            let lives = model.iter().position(|queue| queue.contains(&name));
            assert_eq!(found.is_some(), lives.is_some(), "step {step}");
            match (found, (dice >> 40) % 3) {
                (None, _) => {
                    let full = model[0].len() + model[1].len() == INLINE;
                    let id = table.insert(hash(name), Item { name, list });
                    assert_eq!(id.is_none(), full);
                    if !full {
                        model[list].push_back(name);
                    }
                }
                (Some(id), 0) => {
                    model[lives.unwrap()].retain(|other| *other != name);
                    assert_eq!(table.remove(id).map(|item| item.name), Some(name));
                }
                (Some(id), _) => {
                    model[lives.unwrap()].retain(|other| *other != name);
                    model[list].push_back(name);
                    table.requeue(id, |item| item.list = list);
                }
            }
            for (list, queue) in model.iter().enumerate() {
                let oldest = table.oldest(list).and_then(|id| table.get(id));
                assert_eq!(oldest.map(|item| item.name), queue.front().copied());
            }
            assert_eq!(table.len(), model[0].len() + model[1].len());
        }
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn grows_to_its_limit_and_no_further() {
        let mut table = Table::<Item, 1>::new(1000);
        for name in 0..1000 {
            assert!(table.insert(name, Item { name, list: 0 }).is_some());
        }
        assert!(table.is_full());
        assert_eq!(
            table.insert(
                5000,
                Item {
                    name: 5000,
                    list: 0
                }
            ),
            None
        );
        for name in 0..1000 {
            let id = table.find(name, |item| item.name == name).unwrap();
            assert_eq!(table.remove(id).map(|item| item.name), Some(name));
        }
        assert_eq!((table.len(), table.oldest(0)), (0, None));
    }
}
