//! Datagrams of a socket, oldest first, of which several may lie in one record.
//!
//! Invariant: a record whose tag is not 0 holds datagrams of that many octets each, the last one
//! perhaps shorter but not empty, all to or from the same ends; one whose tag is 0 holds one.
//! `at` is below the length of the oldest record, or 0, and a multiple of its tag; `more` counts
//! the datagrams that are left beyond one for each record. Used by [`UdpSocket`](super::UdpSocket)
//! both ways.

use core::ops::DerefMut;

use crate::socket::mailbox::{Label, Mailbox, Meta, PushError};

/// What is left of the oldest record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Front<'a> {
    pub meta: Meta,
    pub data: &'a [u8],
    /// Octets of each datagram but the last; all of `data` when there is one.
    pub each: usize,
}

impl Front<'_> {
    /// How many datagrams it is.
    pub fn count(&self) -> usize {
        count(self.data.len(), self.each)
    }
}

/// Datagrams that `len` octets are, `each` of so many.
pub(super) fn count(len: usize, each: usize) -> usize {
    len.div_ceil(each.max(1)).max(1)
}

#[derive(Debug)]
pub(super) struct Queue<B> {
    mail: Mailbox<B>,
    /// Octets of the oldest record that were taken out.
    at: usize,
    /// Datagrams beyond one for each record.
    more: usize,
}

impl<B: DerefMut<Target = [u8]>> Queue<B> {
    pub const fn new(bytes: B) -> Self {
        Self {
            mail: Mailbox::new(bytes),
            at: 0,
            more: 0,
        }
    }

    /// Number of datagrams.
    pub const fn len(&self) -> usize {
        self.mail.len().saturating_add(self.more)
    }

    pub const fn is_empty(&self) -> bool {
        self.mail.is_empty()
    }

    /// As [`Mailbox::free`].
    pub fn free(&self) -> Option<usize> {
        self.mail.free()
    }

    /// As [`Mailbox::push_with`], for one datagram, whatever tag `meta` has.
    #[inline]
    pub fn push_with(
        &mut self,
        meta: &Meta,
        max: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), PushError> {
        let meta = Meta { tag: 0, ..*meta };
        self.mail.push_with(&meta, max, fill).map(|_| ())
    }

    /// Appends datagrams of `each` octets, the last one perhaps shorter, that `fill` writes into
    /// the `max` octets it is given; it returns how many octets that is. Returns how many
    /// datagrams.
    pub fn push_run(
        &mut self,
        meta: &Meta,
        each: usize,
        max: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, PushError> {
        let meta = Meta {
            tag: u32::try_from(each).unwrap_or(0),
            ..*meta
        };
        let used = self.mail.push_with(&meta, max, fill)?;
        // One that has no more than one is left as it is: it reads the same.
        let count = count(used, each);
        self.more = self.more.saturating_add(count.saturating_sub(1));
        Ok(count)
    }

    /// As [`Mailbox::push_like`].
    #[inline]
    pub fn push_like(
        &mut self,
        label: &Label,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> bool,
    ) -> bool {
        self.mail.push_like(label, len, fill)
    }

    /// The oldest datagram.
    #[inline]
    pub fn front(&self) -> Option<(Meta, &[u8])> {
        if self.is_plain() {
            // The tag of a record of one may say how long it might have been.
            return self.mail.front();
        }
        let front = self.front_run()?;
        Some((
            front.meta,
            front.data.get(..front.each).unwrap_or(front.data),
        ))
    }

    /// Is every record one datagram, none of which was begun?
    #[inline]
    const fn is_plain(&self) -> bool {
        self.more == 0 && self.at == 0
    }

    /// What is left of the oldest record.
    pub fn front_run(&self) -> Option<Front<'_>> {
        let (meta, data) = self.mail.front()?;
        let data = data.get(self.at..).unwrap_or_default();
        let each = match meta.tag {
            0 => data.len(),
            tag => data.len().min(tag as usize),
        };
        Some(Front { meta, data, each })
    }

    /// Makes one record of the oldest datagrams, of `most` octets together, that differ in
    /// nothing but what is in them: see [`Mailbox::join`].
    pub fn join(&mut self, most: usize) {
        if self.at == 0 {
            let joined = self.mail.join(most);
            self.more = self.more.saturating_add(joined.saturating_sub(1));
        }
    }

    /// Forgets the oldest datagram. True if there was one.
    #[inline]
    pub fn pop(&mut self) -> bool {
        if self.more == 0 {
            self.at = 0;
            return self.mail.pop();
        }
        self.pop_some(1)
    }

    /// Forgets the oldest `n` datagrams of the oldest record. True if there was one.
    pub fn pop_some(&mut self, n: usize) -> bool {
        let Some(front) = self.front_run() else {
            return false;
        };
        let (count, each) = (front.count(), front.each);
        if n >= count {
            self.at = 0;
            self.more = self.more.saturating_sub(count.saturating_sub(1));
            return self.mail.pop();
        }
        self.at = self.at.saturating_add(n.saturating_mul(each));
        self.more = self.more.saturating_sub(n);
        true
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.mail.clear();
        (self.at, self.more) = (0, 0);
    }

    /// Where the oldest one goes: see [`Mailbox::label`].
    #[inline]
    pub fn label(&self) -> Option<Label> {
        self.mail.label()
    }

    /// Takes the oldest one out, if it is alone in its record, its label is `label`, and `f` says
    /// so.
    #[inline]
    pub fn pop_of(&mut self, label: &Label, f: impl FnOnce(&[u8]) -> bool) -> bool {
        self.is_plain() && self.mail.pop_of(label, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    fn meta(port: u16) -> Meta {
        Meta::new(([192, 0, 2, 1], port).into())
    }

    proptest! {
        #[test]
        fn holds_what_a_queue_of_single_datagrams_holds(
            ops in proptest::collection::vec((0u8..5, 0usize..90, 1usize..20, 0u16..2), 0..120),
        ) {
            let mut queue = Queue::new(std::vec![0; 600]);
            let mut model: VecDeque<(u16, Vec<u8>)> = VecDeque::new();
            let mut next = 0u8;
            for (op, len, each, port) in ops {
                next = next.wrapping_add(1);
                let data: Vec<u8> = (0..len).map(|n| next.wrapping_add(n as u8)).collect();
                let write = |room: &mut [u8]| {
                    room.copy_from_slice(&data);
                    data.len()
                };
                match op {
                    0 => {
                        if queue.push_with(&meta(port), len, write).is_ok() {
                            model.push_back((port, data));
                        }
                    }
                    1 | 2 => {
                        if let Ok(count) = queue.push_run(&meta(port), each, len, write) {
                            let before = model.len();
                            model.extend(data.chunks(each).map(|d| (port, d.to_vec())));
                            if data.is_empty() {
                                model.push_back((port, data));
                            }
                            prop_assert_eq!(count, model.len() - before);
                        }
                    }
                    3 => prop_assert_eq!(queue.pop(), model.pop_front().is_some()),
                    _ => {
                        let count = queue.front_run().map_or(0, |front| front.count());
                        let n = each.min(count);
                        prop_assert_eq!(queue.pop_some(n.max(1)), !model.is_empty());
                        model.drain(..n);
                    }
                }
                prop_assert_eq!(queue.len(), model.len());
                let front = queue.front().map(|(m, d)| (m.peer.port(), d.to_vec()));
                prop_assert_eq!(front.as_ref(), model.front());
                if let Some(front) = queue.front_run() {
                    let of_model: Vec<u8> =
                        model.iter().take(front.count()).flat_map(|(_, d)| d.clone()).collect();
                    prop_assert_eq!(front.data, &of_model[..]);
                }
            }
        }
    }
}
