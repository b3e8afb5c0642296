//! Where sockets are found by key: an open-addressing table of 8-octet entries.
//!
//! Invariant: an entry is 32 bits of a keyed hash, the tag, and a slot number; the tag alone says
//! where the entry belongs, so tables grow without looking at sockets or keys. Entries stand in
//! Robin Hood order and are taken out by shifting back, so there are no tombstones, and a search
//! ends where its entry would have had precedence. At most 7/8 of a table is used.
//!
//! A full table is replaced by one of twice the size, and every insertion then moves at most
//! [`STEPS`] buckets of the old one: no insertion costs more than that and its own search, and
//! the move ends long before the new table is full. The new table is allocated as zeroes, which
//! allocators give without writing them.
//!
//! Peers choose keys but do not know the hash key, so they cannot choose which entries collide.
//! Used by the slab, and by TCP's tables of connections that are no sockets.

use alloc::boxed::Box;
use alloc::vec;
use core::hash::{Hash, Hasher};

use crate::secret::IndexHasher;

/// Buckets of an outgrown table that one insertion moves at most.
pub const STEPS: usize = 8;

/// An entry is its tag and its slot number plus one; this is an empty bucket.
const NONE: u64 = 0;

fn entry(tag: u32, slot: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(slot.wrapping_add(1))
}

const fn tag_of(entry: u64) -> u32 {
    (entry >> 32) as u32
}

const fn slot_of(entry: u64) -> u32 {
    (entry as u32).wrapping_sub(1)
}

#[derive(Debug, Default)]
struct Table {
    /// A power of two of them, or none.
    buckets: Box<[u64]>,
    len: usize,
}

impl Table {
    fn with_buckets(n: usize) -> Self {
        Self {
            buckets: vec![NONE; n].into_boxed_slice(),
            len: 0,
        }
    }

    fn mask(&self) -> usize {
        self.buckets.len().wrapping_sub(1)
    }

    fn at(&self, i: usize) -> u64 {
        self.buckets.get(i).copied().unwrap_or(NONE)
    }

    fn put(&mut self, i: usize, entry: u64) {
        if let Some(bucket) = self.buckets.get_mut(i) {
            *bucket = entry;
        }
    }

    /// How far the entry in bucket `i` is from where it belongs.
    fn distance(&self, i: usize, entry: u64) -> usize {
        i.wrapping_sub(tag_of(entry) as usize) & self.mask()
    }

    /// The bucket of the entry with `tag` for which `is` holds.
    fn find(&self, tag: u32, mut is: impl FnMut(u64) -> bool) -> Option<usize> {
        let mut i = tag as usize & self.mask();
        for distance in 0..self.buckets.len() {
            let entry = self.at(i);
            if entry == NONE {
                return None;
            }
            if tag_of(entry) == tag {
                if is(entry) {
                    return Some(i);
                }
            } else if self.distance(i, entry) < distance {
                return None;
            }
            i = i.wrapping_add(1) & self.mask();
        }
        None
    }

    /// Takes an entry in; there must be an empty bucket.
    fn insert(&mut self, entry: u64) {
        let mut entry = entry;
        let mut i = tag_of(entry) as usize & self.mask();
        let mut distance = 0;
        for _ in 0..self.buckets.len() {
            let resident = self.at(i);
            if resident == NONE {
                self.put(i, entry);
                self.len = self.len.saturating_add(1);
                return;
            }
            let theirs = self.distance(i, resident);
            if theirs < distance {
                self.put(i, entry);
                entry = resident;
                distance = theirs;
            }
            i = i.wrapping_add(1) & self.mask();
            distance = distance.wrapping_add(1);
        }
    }

    /// Empties bucket `i`, closing the gap.
    fn remove(&mut self, i: usize) {
        let mut i = i;
        for _ in 0..self.buckets.len() {
            let next = i.wrapping_add(1) & self.mask();
            let entry = self.at(next);
            if entry == NONE || self.distance(next, entry) == 0 {
                break;
            }
            self.put(i, entry);
            i = next;
        }
        self.put(i, NONE);
        self.len = self.len.saturating_sub(1);
    }
}

/// A keyed hash index of slot numbers.
#[derive(Debug, Default)]
pub struct Index {
    key: [u64; 2],
    table: Table,
    /// What is left of the table before the last growth.
    old: Table,
    /// Buckets of `old` before this one are empty.
    cursor: usize,
}

impl Index {
    /// Sets the key of the hash; only while the index is empty.
    pub fn set_key(&mut self, key: [u64; 2]) {
        if self.len() == 0 {
            self.key = key;
        }
    }

    /// Number of entries.
    pub const fn len(&self) -> usize {
        self.table.len.saturating_add(self.old.len)
    }

    /// The tag of `key`.
    pub fn tag(&self, key: &impl Hash) -> u32 {
        let [k0, k1] = self.key;
        let mut hasher = IndexHasher::new_with_keys(k0, k1);
        key.hash(&mut hasher);
        hasher.finish() as u32
    }

    /// The slot with `tag` for which `is` holds; `is` is asked about slots with this tag only.
    pub fn find(&self, tag: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut is = |entry| is(slot_of(entry));
        if let Some(i) = self.table.find(tag, &mut is) {
            return Some(slot_of(self.table.at(i)));
        }
        if self.old.len == 0 {
            return None;
        }
        let i = self.old.find(tag, &mut is)?;
        Some(slot_of(self.old.at(i)))
    }

    /// Takes in `slot` under `tag`, once.
    pub fn insert(&mut self, tag: u32, slot: u32) {
        self.step();
        let room = self.table.buckets.len();
        if self.len() >= room / 8 * 7 {
            while self.old.len > 0 {
                self.step(); // not reached: see the module head
            }
            let grown = Table::with_buckets(room.saturating_mul(2).max(16));
            self.old = core::mem::replace(&mut self.table, grown);
            self.cursor = 0;
        }
        self.table.insert(entry(tag, slot));
    }

    /// Takes out `slot`, which is in under `tag`.
    pub fn remove(&mut self, tag: u32, slot: u32) {
        let wanted = entry(tag, slot);
        if let Some(i) = self.table.find(tag, |e| e == wanted) {
            self.table.remove(i);
        } else if let Some(i) = self.old.find(tag, |e| e == wanted) {
            self.old.remove(i);
        }
    }

    /// Moves what up to [`STEPS`] buckets of the old table hold.
    fn step(&mut self) {
        if self.old.buckets.is_empty() {
            return;
        }
        for _ in 0..STEPS {
            if self.old.len == 0 {
                self.old = Table::default();
                return;
            }
            let entry = self.old.at(self.cursor);
            if entry == NONE {
                self.cursor = self.cursor.wrapping_add(1) & self.old.mask();
            } else {
                self.old.remove(self.cursor);
                self.table.insert(entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Entries stand where a search finds them, in Robin Hood order.
    fn check(table: &Table) {
        let mut used = 0;
        for (i, &entry) in table.buckets.iter().enumerate() {
            if entry == NONE {
                continue;
            }
            used += 1;
            let before = i.wrapping_sub(1) & table.mask();
            let limit = match table.at(before) {
                NONE => 0,
                e => table.distance(before, e) + 1,
            };
            assert!(table.distance(i, entry) <= limit, "bucket {i}");
        }
        assert_eq!(used, table.len);
        assert!(table.len <= table.buckets.len() / 8 * 7);
    }

    proptest! {
        #[test]
        fn finds_what_a_map_finds(
            // Few tags, some at the end of the table: long runs, collisions and wrap-around.
            ops in proptest::collection::vec((any::<bool>(), prop_oneof![0u32..8, 0xffff_fff0u32.., any::<u32>()], 0u32..200), 0..400)
        ) {
            let mut index = Index::default();
            let mut model: HashMap<u32, u32> = HashMap::new();
            for (insert, tag, slot) in ops {
                if insert {
                    if let std::collections::hash_map::Entry::Vacant(v) = model.entry(slot) {
                        v.insert(tag);
                        index.insert(tag, slot);
                    }
                } else if let Some(tag) = model.remove(&slot) {
                    index.remove(tag, slot);
                }
                check(&index.table);
                check(&index.old);
                prop_assert_eq!(index.len(), model.len());
                prop_assert_eq!(index.find(tag, |s| s == slot), model.get(&slot).filter(|t| **t == tag).map(|_| slot));
            }
            for (slot, tag) in model {
                prop_assert_eq!(index.find(tag, |s| s == slot), Some(slot));
            }
        }
    }

    #[test]
    fn growth_is_spread_and_searches_stay_short() {
        let mut index = Index::default();
        index.set_key([1, 2]);
        for slot in 0..100_000u32 {
            index.insert(index.tag(&slot), slot);
            if index.table.len == 1 {
                assert_eq!(
                    index.old.len, slot as usize,
                    "growing moved too much at once"
                );
            }
        }
        let mut worst = 0;
        for slot in 0..100_000 {
            let tag = index.tag(&slot);
            let mut asked = 0;
            assert_eq!(
                index.find(tag, |s| {
                    asked += 1;
                    s == slot
                }),
                Some(slot)
            );
            assert!(asked <= 2, "the slab would be touched {asked} times");
            worst = worst.max(
                index
                    .table
                    .find(tag, |e| slot_of(e) == slot)
                    .map_or(0, |i| index.table.distance(i, entry(tag, slot))),
            );
        }
        assert!(worst < 64, "distance {worst}");
        assert_eq!(index.find(index.tag(&100_000u32), |_| false), None);
    }
}
