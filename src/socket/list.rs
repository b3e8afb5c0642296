//! Doubly linked lists whose links are slot numbers inside the slots themselves.
//!
//! Invariant: a slot is on at most one list by each of its links; lists are circular, so a list
//! is the number of its first slot and nothing else. A link that is on no list points nowhere.
//! Every operation touches at most four slots. Used by the slab and its timer wheel.

/// No slot.
pub const NIL: u32 = u32::MAX;

/// One slot's place in one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    prev: u32,
    next: u32,
}

impl Link {
    /// On no list.
    pub const LOOSE: Self = Self {
        prev: NIL,
        next: NIL,
    };
    /// Is it on a list?
    pub const fn is_linked(self) -> bool {
        self.next != NIL
    }
    /// The slot after this one, [`NIL`] if it is on no list.
    pub const fn next_slot(self) -> u32 {
        self.next
    }
}

/// Slots with a link of kind `LINK`.
pub trait Links<const LINK: u8> {
    /// The link in `slot`.
    fn link(&mut self, slot: u32) -> Option<&mut Link>;
    /// The slot after `slot`, [`NIL`] if it is on no list.
    fn next(&self, slot: u32) -> u32;
}

/// A list of slots by their links of kind `LINK`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List<const LINK: u8> {
    head: u32,
}

impl<const LINK: u8> List<LINK> {
    /// A list of no slots.
    pub const EMPTY: Self = Self { head: NIL };

    /// Is there no slot on it?
    pub const fn is_empty(self) -> bool {
        self.head == NIL
    }

    /// The first slot.
    pub fn first(self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    /// Appends `slot`, which must be on no list by this link.
    pub fn push_back(&mut self, slots: &mut impl Links<LINK>, slot: u32) {
        if self.head == NIL {
            if let Some(link) = slots.link(slot) {
                *link = Link {
                    prev: slot,
                    next: slot,
                };
                self.head = slot;
            }
            return;
        }
        let Some(head) = slots.link(self.head) else {
            return;
        };
        let tail = core::mem::replace(&mut head.prev, slot);
        if let Some(tail) = slots.link(tail) {
            tail.next = slot;
        }
        if let Some(link) = slots.link(slot) {
            *link = Link {
                prev: tail,
                next: self.head,
            };
        }
    }

    /// Takes `slot` off; it must be on this list, or on none.
    pub fn unlink(&mut self, slots: &mut impl Links<LINK>, slot: u32) {
        let Some(link) = slots.link(slot) else { return };
        let Link { prev, next } = core::mem::replace(link, Link::LOOSE);
        if next == NIL {
            return;
        }
        if next == slot {
            self.head = NIL;
            return;
        }
        if let Some(link) = slots.link(prev) {
            link.next = next;
        }
        if let Some(link) = slots.link(next) {
            link.prev = prev;
        }
        if self.head == slot {
            self.head = next;
        }
    }

    /// Takes the first slot off.
    pub fn pop_front(&mut self, slots: &mut impl Links<LINK>) -> Option<u32> {
        let slot = self.first()?;
        self.unlink(slots, slot);
        Some(slot)
    }

    /// Appends all slots of `other`, in their order, and empties it.
    pub fn append(&mut self, slots: &mut impl Links<LINK>, other: &mut Self) {
        let first = core::mem::replace(&mut other.head, NIL);
        if first == NIL {
            return;
        }
        if self.head == NIL {
            self.head = first;
            return;
        }
        let Some(head) = slots.link(self.head).copied() else {
            return;
        };
        let Some(link) = slots.link(first) else {
            return;
        };
        let last = core::mem::replace(&mut link.prev, head.prev);
        if let Some(link) = slots.link(head.prev) {
            link.next = first;
        }
        if let Some(link) = slots.link(last) {
            link.next = self.head;
        }
        if let Some(link) = slots.link(self.head) {
            link.prev = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    impl Links<0> for Vec<Link> {
        fn link(&mut self, slot: u32) -> Option<&mut Link> {
            self.get_mut(slot as usize)
        }
        fn next(&self, slot: u32) -> u32 {
            self.get(slot as usize).map_or(NIL, |l| l.next)
        }
    }

    fn walk(list: List<0>, slots: &Vec<Link>) -> Vec<u32> {
        let mut seen = Vec::new();
        let mut at = list.first();
        while let Some(slot) = at {
            seen.push(slot);
            at = Some(slots.next(slot)).filter(|s| Some(*s) != list.first());
        }
        seen
    }

    proptest! {
        #[test]
        fn two_lists_hold_what_two_queues_hold(
            ops in proptest::collection::vec((0u8..5, any::<bool>(), 0u32..12), 0..300)
        ) {
            let mut slots = std::vec![Link::LOOSE; 12];
            let mut lists = [List::EMPTY; 2];
            let mut model = [VecDeque::new(), VecDeque::new()];
            for (op, which, slot) in ops {
                let which = usize::from(which);
                match op {
                    0 | 1 if !model.iter().any(|m: &VecDeque<u32>| m.contains(&slot)) => {
                        lists[which].push_back(&mut slots, slot);
                        model[which].push_back(slot);
                    }
                    2 if !model[1 - which].contains(&slot) => {
                        lists[which].unlink(&mut slots, slot);
                        model[which].retain(|s| *s != slot);
                    }
                    3 => prop_assert_eq!(lists[which].pop_front(&mut slots), model[which].pop_front()),
                    4 => {
                        let [a, b] = &mut lists;
                        a.append(&mut slots, b);
                        let moved: Vec<_> = model[1].drain(..).collect();
                        model[0].extend(moved);
                    }
                    _ => {}
                }
                for (list, model) in lists.iter().zip(&model) {
                    prop_assert_eq!(&walk(*list, &slots), &model.iter().copied().collect::<Vec<_>>());
                }
                for (slot, link) in slots.iter().enumerate() {
                    let on = model.iter().any(|m| m.contains(&(slot as u32)));
                    prop_assert_eq!(link.is_linked(), on);
                }
            }
        }
    }
}
