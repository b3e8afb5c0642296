//! Deadlines of sockets in a hierarchical timer wheel, exact to the microsecond of
//! [`Instant`](phy::Instant).
//!
//! Eleven levels of 64 buckets cover all of time: a deadline stands on the level of the highest
//! base-64 digit in which it differs from the wheel's present, in the bucket of its own digit
//! there. So buckets of lower levels come before those of higher ones, and, within a level, in
//! the order of their numbers; the next one is found in bitmaps, whatever time was skipped.
//!
//! Invariants:
//! - a slot is in one bucket at most, and that bucket does not begin after its deadline;
//! - a bucket that begins at or before the present is empty, but for the one being emptied;
//! - `next` is not after any deadline.
//!
//! Moving a deadline later, or giving it up, touches only the slot: its bucket finds out when
//! its turn comes (an RTO re-armed by every ACK costs one store). One call looks at
//! [`BUDGET`] slots at most; a slot is looked at once per level on its way down, that is three
//! times for a second, six for two hours. Used by the slab.

use crate::socket::list::{Links, List};

/// Slots looked at in one call of [`Wheel::next_expired`].
pub const BUDGET: usize = 64;
/// No deadline.
pub const NEVER: u64 = u64::MAX;
/// The wheel's kind of link.
pub const TIMER: u8 = 2;

const LEVELS: usize = 11;
/// In no bucket.
pub const LOOSE: u16 = u16::MAX;
/// How far the present may lag behind without being looked after, in microseconds.
const LAG: u64 = 1 << 18;
/// Slots looked at to tell the next deadline exactly.
const LOOK: usize = 8;

/// A slot's place in the wheel, kept in its parts so that the slot packs tightly: a deadline, a
/// bucket, and a link of kind [`TIMER`].
#[derive(Debug)]
pub struct Timer<'s> {
    /// Microseconds, or [`NEVER`].
    pub deadline: &'s mut u64,
    /// Number of a bucket, or [`LOOSE`].
    pub bucket: &'s mut u16,
}

impl Timer<'_> {
    /// What [`Wheel::arm`] does, if that is to move the deadline later.
    pub const fn postpone(self, deadline: u64) -> bool {
        // Without a deadline the present one is `NEVER`, and nothing is later.
        let later = deadline >= *self.deadline && deadline != NEVER;
        if later {
            *self.deadline = deadline;
        }
        later
    }
}

/// Slots with a [`Timer`], initially [`NEVER`] and [`LOOSE`].
pub trait Timers: Links<TIMER> {
    /// The timer of `slot`.
    fn timer(&mut self, slot: u32) -> Option<Timer<'_>>;
    /// The deadline of `slot`.
    fn deadline(&self, slot: u32) -> u64;
}

/// The bits of a time below `level`.
const fn below(level: usize) -> u64 {
    match 1u64.checked_shl(6 * level as u32) {
        Some(bit) => bit.wrapping_sub(1),
        None => u64::MAX,
    }
}

/// The digit of a time on `level`.
const fn digit(time: u64, level: usize) -> usize {
    match time.checked_shr(6 * level as u32) {
        Some(rest) => (rest & 63) as usize,
        None => 0,
    }
}

/// Slots by deadline.
#[derive(Debug)]
pub struct Wheel {
    /// The present: never after the `now` last told.
    present: u64,
    /// No deadline is before this.
    next: u64,
    /// Slots with a deadline.
    armed: usize,
    /// The bucket being emptied.
    open: Option<u16>,
    /// Which buckets have slots, a word for each level.
    occupied: [u64; LEVELS],
    buckets: [[List<TIMER>; 64]; LEVELS],
}

impl Wheel {
    /// A wheel at time 0 with no deadlines.
    pub const fn new() -> Self {
        Self {
            present: 0,
            next: NEVER,
            armed: 0,
            open: None,
            occupied: [0; LEVELS],
            buckets: [[List::EMPTY; 64]; LEVELS],
        }
    }

    /// No slot expires before this; [`NEVER`] if none has a deadline.
    pub const fn next_deadline(&self) -> u64 {
        self.next
    }

    /// Sets the deadline of `slot`; [`NEVER`] takes it away.
    pub fn arm(&mut self, timers: &mut impl Timers, slot: u32, deadline: u64) {
        let Some(timer) = timers.timer(slot) else {
            return;
        };
        let before = core::mem::replace(timer.deadline, deadline);
        let bucket = *timer.bucket;
        if before != NEVER {
            self.disarmed();
        }
        if deadline == NEVER {
            return;
        }
        self.armed = self.armed.saturating_add(1);
        self.next = self.next.min(deadline);
        if bucket != LOOSE {
            if deadline >= self.begin(bucket) {
                return;
            }
            self.unlink(timers, slot, bucket);
        }
        self.link(timers, slot, deadline);
    }

    /// Forgets `slot`, which is about to be used for something else.
    pub fn forget(&mut self, timers: &mut impl Timers, slot: u32) {
        let Some(timer) = timers.timer(slot) else {
            return;
        };
        let before = core::mem::replace(timer.deadline, NEVER);
        let bucket = *timer.bucket;
        if before != NEVER {
            self.disarmed();
        }
        if bucket != LOOSE {
            self.unlink(timers, slot, bucket);
        }
    }

    /// Takes a slot whose deadline is not after `now` (nor after any `now` told before). `None` if
    /// there is none, or if looking for one takes longer than one call should: then
    /// [`Wheel::next_deadline`] is not after `now`.
    pub fn next_expired(&mut self, timers: &mut impl Timers, now: u64) -> Option<u32> {
        if now < self.next && now.saturating_sub(self.present) < LAG {
            return None;
        }
        let now = now.max(self.present); // time does not go back
        for _ in 0..BUDGET {
            let Some(bucket) = self.open.or_else(|| self.first()) else {
                self.present = self.present.max(now);
                return None;
            };
            if self.open.is_none() {
                let begin = self.begin(bucket);
                if begin > now {
                    self.present = self.present.max(now);
                    self.next = self.soonest(timers, bucket);
                    return None;
                }
                // As late as can be, so that what is put back goes down as far as can be.
                let end = begin | below(level_of(bucket));
                self.present = self.present.max(now.min(end));
                self.open = Some(bucket);
            }
            let Some(slot) = self.list(bucket).and_then(|list| list.first()) else {
                self.open = None;
                continue;
            };
            self.unlink(timers, slot, bucket);
            let deadline = timers.deadline(slot);
            if deadline == NEVER {
                continue;
            }
            if deadline <= now {
                self.forget(timers, slot);
                return Some(slot);
            }
            self.link(timers, slot, deadline);
        }
        if self.armed > 0 {
            self.next = self.next.min(now);
        }
        None
    }

    fn disarmed(&mut self) {
        self.armed = self.armed.saturating_sub(1);
        if self.armed == 0 {
            self.next = NEVER;
        }
    }

    fn list(&mut self, bucket: u16) -> Option<&mut List<TIMER>> {
        self.buckets
            .get_mut(level_of(bucket))?
            .get_mut(digit_of(bucket))
    }

    /// When the time of `bucket` begins.
    const fn begin(&self, bucket: u16) -> u64 {
        let level = level_of(bucket);
        let above = self.present & !below(level + 1);
        above | (digit_of(bucket) as u64) << (6 * level as u32)
    }

    fn link(&mut self, timers: &mut impl Timers, slot: u32, deadline: u64) {
        let at = deadline.max(self.present);
        let level = (at ^ self.present).checked_ilog2().unwrap_or(0) as usize / 6;
        let digit = digit(at, level);
        let bucket = (level * 64 + digit) as u16;
        if let Some(timer) = timers.timer(slot) {
            *timer.bucket = bucket;
        }
        if let Some(list) = self.list(bucket) {
            list.push_back(timers, slot);
        }
        if let Some(occupied) = self.occupied.get_mut(level) {
            *occupied |= 1 << digit;
        }
    }

    fn unlink(&mut self, timers: &mut impl Timers, slot: u32, bucket: u16) {
        if let Some(timer) = timers.timer(slot) {
            *timer.bucket = LOOSE;
        }
        let Some(list) = self.list(bucket) else {
            return;
        };
        list.unlink(timers, slot);
        if list.is_empty()
            && let Some(occupied) = self.occupied.get_mut(level_of(bucket))
        {
            *occupied &= !(1 << digit_of(bucket));
        }
    }

    /// The first bucket with slots.
    fn first(&self) -> Option<u16> {
        self.occupied
            .iter()
            .enumerate()
            .find_map(|(level, &occupied)| {
                let ahead = occupied & (u64::MAX << digit(self.present, level));
                (ahead != 0).then(|| (level * 64) as u16 + ahead.trailing_zeros() as u16)
            })
    }

    /// When to look again, `bucket` being the first with slots.
    fn soonest(&mut self, timers: &impl Timers, bucket: u16) -> u64 {
        if self.armed == 0 {
            return NEVER;
        }
        let begin = self.begin(bucket);
        // What was moved later may be due after what other buckets hold.
        let mut soonest = begin
            .saturating_add(below(level_of(bucket)))
            .saturating_add(1);
        let Some(first) = self.list(bucket).and_then(|list| list.first()) else {
            return begin;
        };
        let mut slot = first;
        for _ in 0..LOOK {
            soonest = soonest.min(timers.deadline(slot));
            slot = timers.next(slot);
            if slot == first {
                return soonest;
            }
        }
        begin
    }
}

const fn level_of(bucket: u16) -> usize {
    bucket as usize / 64
}

const fn digit_of(bucket: u16) -> usize {
    bucket as usize % 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::list::{Link, NIL};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};
    use std::vec::Vec;

    struct Slot {
        deadline: u64,
        link: Link,
        bucket: u16,
    }

    fn slots(n: u32) -> Vec<Slot> {
        let idle = |_| Slot {
            deadline: NEVER,
            link: Link::LOOSE,
            bucket: LOOSE,
        };
        (0..n).map(idle).collect()
    }

    impl Links<TIMER> for Vec<Slot> {
        fn link(&mut self, slot: u32) -> Option<&mut Link> {
            self.get_mut(slot as usize).map(|s| &mut s.link)
        }
        fn next(&self, slot: u32) -> u32 {
            self.get(slot as usize).map_or(NIL, |s| s.link.next_slot())
        }
    }
    impl Timers for Vec<Slot> {
        fn timer(&mut self, slot: u32) -> Option<Timer<'_>> {
            self.get_mut(slot as usize).map(|s| Timer {
                deadline: &mut s.deadline,
                bucket: &mut s.bucket,
            })
        }
        fn deadline(&self, slot: u32) -> u64 {
            self.get(slot as usize).map_or(NEVER, |s| s.deadline)
        }
    }

    /// Times near powers of 64, where digits roll over, and all over the place.
    fn span() -> impl Strategy<Value = u64> {
        prop_oneof![
            0u64..200,
            (0u32..11, 0u64..5)
                .prop_map(|(l, d)| (1u64 << (6 * l).min(63)).saturating_add(d) - 2 * d.min(1)),
            0u64..10_000_000,
            0u64..1 << 44,
            Just(NEVER - 1),
        ]
    }

    /// All that expire by `now`, and the number of calls it took.
    fn drain(wheel: &mut Wheel, timers: &mut Vec<Slot>, now: u64) -> (BTreeSet<u32>, usize) {
        let mut seen = BTreeSet::new();
        for calls in 1.. {
            match wheel.next_expired(timers, now) {
                Some(slot) => assert!(seen.insert(slot)),
                None if wheel.next_deadline() > now => return (seen, calls),
                None => assert!(calls < 100_000, "no end"),
            }
        }
        unreachable!()
    }

    proptest! {
        #[test]
        fn expires_what_a_map_expires(
            start in prop_oneof![Just(0u64), any::<u32>().prop_map(u64::from), 1u64 << 50..1 << 55],
            ops in proptest::collection::vec((0u8..6, 0u32..150, span()), 0..400),
        ) {
            let mut timers = slots(150);
            let mut wheel = Wheel::new();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now = start;
            for (op, slot, span) in ops {
                match op {
                    0..=2 => {
                        let at = now.saturating_add(span).saturating_sub(100).min(NEVER - 1);
                        wheel.arm(&mut timers, slot, at);
                        model.insert(slot, at);
                    }
                    3 => {
                        wheel.arm(&mut timers, slot, NEVER);
                        model.remove(&slot);
                    }
                    4 => {
                        wheel.forget(&mut timers, slot);
                        model.remove(&slot);
                        prop_assert!(!timers[slot as usize].link.is_linked());
                    }
                    _ => {
                        // Mostly small steps, or jumps to just before, at or after a deadline.
                        now = match (span % 4, model.values().min()) {
                            (1, Some(&at)) => now.max(at),
                            (2, Some(&at)) => now.max(at.saturating_sub(1)),
                            _ => now.saturating_add(span).min(1 << 62).max(now),
                        };
                        let due: BTreeSet<u32> =
                            model.iter().filter(|(_, at)| **at <= now).map(|(s, _)| *s).collect();
                        prop_assert_eq!(drain(&mut wheel, &mut timers, now).0, due);
                        model.retain(|_, at| *at > now);
                    }
                }
                let soonest = model.values().min().copied();
                prop_assert_eq!(wheel.next_deadline() == NEVER, soonest.is_none());
                prop_assert!(wheel.next_deadline() <= soonest.unwrap_or(NEVER));
                prop_assert_eq!(wheel.armed, model.len());
            }
        }
    }

    #[test]
    fn one_timer_wakes_nobody_early() {
        let mut timers = slots(2);
        let mut wheel = Wheel::new();
        let mut now = 1_700_000_000_000_000;
        wheel.arm(&mut timers, 0, now + 7_200_000_000);
        wheel.arm(&mut timers, 1, now + 200_000);
        for _ in 0..1000 {
            assert_eq!(wheel.next_expired(&mut timers, now), None);
            now += 1_000;
            wheel.arm(&mut timers, 1, now + 200_000); // as by ACKs
        }
        let mut wakes = 0;
        while wheel.next_deadline() < now + 7_300_000_000 {
            now = wheel.next_deadline();
            wakes += 1;
            while wheel.next_expired(&mut timers, now).is_some() {}
        }
        assert!(wakes <= 6, "{wakes} wake-ups for two deadlines");
    }

    #[test]
    fn a_crowd_is_moved_piece_by_piece_and_in_time() {
        let n = 20_000u32;
        let mut timers = slots(n);
        let mut wheel = Wheel::new();
        let hour = 3_600_000_000;
        for slot in 0..n {
            wheel.arm(&mut timers, slot, 2 * hour + u64::from(slot));
        }
        // A jump into the hour before: nobody expires, calls are bounded, work ends.
        let (none, calls) = drain(&mut wheel, &mut timers, 2 * hour - 1);
        assert!(none.is_empty());
        assert!(calls <= n as usize * 8 / BUDGET, "{calls}");
        let (half, _) = drain(&mut wheel, &mut timers, 2 * hour + u64::from(n) / 2 - 1);
        assert_eq!(half, (0..n / 2).collect());
        assert_eq!(
            drain(&mut wheel, &mut timers, NEVER - 1).0.len(),
            n as usize / 2
        );
        assert_eq!(wheel.next_deadline(), NEVER);
    }
}
