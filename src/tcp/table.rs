//! Connections that are no sockets: entries found by flow, kept in order of time.
//!
//! Invariant: every operation takes constant time, growth included: entries stay where they are,
//! and what finds them moves a few at a time. There are never more entries than the limit. Used by
//! the SYN table ([`listen`](super::listen)), the TIME-WAIT table ([`timewait`](super::timewait))
//! and the memory of peers that lose offers of ECN ([`ecn`](super::ecn)).
//!
//! Within one list entries stand in the order they were appended, so a list whose entries all
//! wait equally long is a queue of deadlines. With an allocator the table grows as needed up
//! to its limit; without one it holds `INLINE` entries in place.

use core::cell::Cell;
use core::hash::{Hash, Hasher};

use crate::secret::{IndexHasher, Purpose, Secret};
use crate::transport::Endpoint;

/// Entries a table holds where there is no allocator.
#[cfg(any(test, not(feature = "alloc")))]
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
    index: Index,
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
            index: Index::default(),
            lists: [Ends {
                head: NIL,
                tail: NIL,
            }; LISTS],
            free: NIL,
            len: 0,
            limit: limit.clamp(1, MOST),
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
        let is = |at| self.slot(at).is_some_and(|slot| is(&slot.entry));
        self.index.find(hash as u32, is).map(Id)
    }

    /// Looks at an entry.
    pub fn get(&self, id: Id) -> Option<&E> {
        self.slot(id.0).map(|slot| &slot.entry)
    }

    /// Gives access to an entry. What [`Entry::list`] says must not change.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut E> {
        self.slots.get_mut(id.0).map(|slot| &mut slot.entry)
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
            prev: NIL,
            next: NIL,
        };
        let at = match self.slot(self.free).map(|slot| slot.next) {
            Some(next) => core::mem::replace(&mut self.free, next),
            None => self.slots.push(fresh)?,
        };
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = fresh;
        }
        self.len = self.len.saturating_add(1);
        self.index.insert(tag, at);
        self.append(at);
        Some(Id(at))
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: Id) -> Option<E> {
        let (tag, entry) = self.slot(id.0).map(|slot| (slot.tag, slot.entry))?;
        self.index.remove(tag, id.0);
        self.unlink(id.0);
        let free = core::mem::replace(&mut self.free, id.0);
        let slot = self.slots.get_mut(id.0)?;
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
        self.slots.get(at)
    }

    fn append(&mut self, at: u32) {
        let Some(ends) = self
            .slots
            .get(at)
            .and_then(|slot| self.lists.get_mut(slot.entry.list()))
        else {
            return;
        };
        let tail = core::mem::replace(&mut ends.tail, at);
        if tail == NIL {
            ends.head = at;
        }
        if let Some(slot) = self.slots.get_mut(tail) {
            slot.next = at;
        }
        if let Some(slot) = self.slots.get_mut(at) {
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
        if let Some(slot) = self.slots.get_mut(prev) {
            slot.next = next;
        }
        if let Some(slot) = self.slots.get_mut(next) {
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

/// The keyed hash a flow is found by: a peer must not be able to choose what collides. The flow
/// hashed last is remembered, for a handshake asks several tables.
#[derive(Debug, Default)]
pub(super) struct FlowKey {
    key: [u64; 2],
    last: Cell<Option<(Endpoint, u64)>>,
}

impl FlowKey {
    /// Draws the key.
    pub fn new(secret: &Secret) -> Self {
        Self {
            key: secret.key(Purpose::Index),
            last: Cell::new(None),
        }
    }

    /// Hash of a flow; 64 bits that differ for different flows for all practical purposes.
    pub fn hash(&self, flow: &Endpoint) -> u64 {
        if let Some((last, hash)) = self.last.get()
            && last == *flow
        {
            return hash;
        }
        let [a, b] = self.key;
        let mut h = IndexHasher::new_with_keys(a, b);
        flow.hash(&mut h);
        let hash = h.finish();
        self.last.set(Some((*flow, hash)));
        hash
    }
}

#[cfg(feature = "alloc")]
use crate::socket::{index::Index, slots::Slots as Store};
#[cfg(feature = "alloc")]
const MOST: usize = 1 << 30;

#[cfg(not(feature = "alloc"))]
use inline::{Index, Store};
#[cfg(not(feature = "alloc"))]
const MOST: usize = INLINE;

#[cfg(not(feature = "alloc"))]
mod inline {
    use super::{INLINE, NIL};

    /// A vector of [`INLINE`] places.
    #[derive(Debug)]
    pub(super) struct Store<T> {
        places: [Option<T>; INLINE],
        len: u32,
    }

    impl<T> Store<T> {
        pub const fn new() -> Self {
            Self {
                places: [const { None }; INLINE],
                len: 0,
            }
        }
        pub fn get(&self, at: u32) -> Option<&T> {
            self.places.get(at as usize)?.as_ref()
        }
        pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
            self.places.get_mut(at as usize)?.as_mut()
        }
        pub fn push(&mut self, value: T) -> Option<u32> {
            let at = self.len;
            *self.places.get_mut(at as usize)? = Some(value);
            self.len = at.saturating_add(1);
            Some(at)
        }
    }

    /// Tags with the places they stand for.
    #[derive(Debug)]
    pub(super) struct Index([(u32, u32); INLINE]);

    impl Default for Index {
        fn default() -> Self {
            Self([(0, NIL); INLINE])
        }
    }

    impl Index {
        pub fn find(&self, tag: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
            let mut known = self.0.iter().filter(|(_, at)| *at != NIL);
            known
                .find(|(own, at)| *own == tag && is(*at))
                .map(|(_, at)| *at)
        }
        pub fn insert(&mut self, tag: u32, at: u32) {
            if let Some(free) = self.0.iter_mut().find(|(_, at)| *at == NIL) {
                *free = (tag, at);
            }
        }
        pub fn remove(&mut self, tag: u32, at: u32) {
            if let Some(known) = self.0.iter_mut().find(|known| **known == (tag, at)) {
                *known = (0, NIL);
            }
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

    /// Three hashes, so that searches are long.
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

    /// Each costs what the first did, whatever had to grow.
    #[cfg(all(feature = "alloc", debug_assertions))]
    #[test]
    fn no_entry_pays_for_the_growth_of_all() {
        let mut table = Table::<Item, 1>::new(100_000);
        let mut most = 0;
        for name in 0..100_000u64 {
            let before = table.slots.touched().unwrap_or(0);
            // As a keyed hash would spread them.
            let hash = name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            assert!(table.insert(hash, Item { name, list: 0 }).is_some());
            most = most.max(table.slots.touched().unwrap_or(0) - before);
        }
        assert!((1..=8).contains(&most), "{most} slots looked at");
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
