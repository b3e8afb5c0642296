//! A table from neighbour addresses to values, of fixed size and constant work per call.
//!
//! Invariant: an address lies in one of the two sets of [`WAYS`] slots that a keyed hash picks
//! for it, so no call looks at more than `2 * WAYS` slots, whoever chose the addresses. The
//! emptier set takes a new address; if both are full, the neighbour cache says which value is
//! worth least, and if none may go the address is refused. Called by the cache only.

use core::net::IpAddr;
use core::ops::{Deref, DerefMut};

use crate::secret::{Purpose, Secret};

/// Slots in a set. With two sets to choose from, the first address that finds both full comes
/// when a table of a thousand is about two thirds full.
pub(super) const WAYS: usize = 4;

/// `N` values that do not move: on the heap where there is one, because a stack is built by
/// moving it, else in place.
#[derive(Debug)]
pub(super) struct Slots<T, const N: usize>(
    #[cfg(feature = "alloc")] alloc::boxed::Box<[T]>,
    #[cfg(not(feature = "alloc"))] [T; N],
);

impl<T, const N: usize> Slots<T, N> {
    /// `N` times what `each` makes.
    pub(super) fn new(mut each: impl FnMut() -> T) -> Self {
        #[cfg(feature = "alloc")]
        return Self((0..N).map(|_| each()).collect());
        #[cfg(not(feature = "alloc"))]
        return Self(core::array::from_fn(|_| each()));
    }
}

impl<T, const N: usize> Deref for Slots<T, N> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const N: usize> DerefMut for Slots<T, N> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

/// At most `N` addresses with a value each.
#[derive(Debug)]
pub(super) struct Table<T, const N: usize> {
    slots: Slots<Option<(IpAddr, T)>, N>,
    key: [u64; 2],
}

/// The table has no room for another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl<T, const N: usize> Table<T, N> {
    const SETS: usize = N.div_ceil(WAYS);

    /// An empty table. Until [`Table::rekey`] its hash is known to everybody.
    pub(super) fn new() -> Self {
        Self {
            slots: Slots::new(|| None),
            // Any odd constants would do; these are the fractions of pi and e.
            key: [0x243f_6a88_85a3_08d3, 0xb7e1_5162_8aed_2a6b],
        }
    }

    /// Hashes with keys of `secret` from now on.
    pub(super) fn rekey(&mut self, secret: &Secret) {
        self.key = secret.key(Purpose::Index);
        let old = core::mem::replace(&mut self.slots, Slots::new(|| None));
        self.refill(old);
    }

    /// Puts `old` back. What no longer finds room is forgotten, as if evicted.
    fn refill(&mut self, mut old: Slots<Option<(IpAddr, T)>, N>) {
        for (ip, value) in old.iter_mut().filter_map(Option::take) {
            let _ = self.insert(ip, value, |_| None::<u8>);
        }
    }

    /// A universal hash: one multiplication of the keyed halves, folded, and once more to
    /// spread what the halves have in common.
    fn hash(&self, ip: IpAddr) -> u64 {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a).wrapping_mul(u128::from(b));
            (product >> 64) as u64 ^ product as u64
        };
        let [a, b] = match ip {
            IpAddr::V4(ip) => [u64::from(ip.to_bits()), 4],
            IpAddr::V6(ip) => [(ip.to_bits() >> 64) as u64, ip.to_bits() as u64],
        };
        let [k, l] = self.key;
        fold(fold(a ^ k, b ^ l), 0x9e37_79b9_7f4a_7c15)
    }

    /// The first slots of the two sets `ip` may lie in.
    fn sets(&self, ip: IpAddr) -> [usize; 2] {
        let hash = self.hash(ip);
        let pick = |part: u64| {
            let set = (part & u64::from(u32::MAX)).wrapping_mul(Self::SETS as u64) >> 32;
            (set as usize).wrapping_mul(WAYS)
        };
        [pick(hash >> 32), pick(hash)]
    }

    /// All slots `ip` may lie in. Where both sets are one, its slots come twice.
    fn candidates(&self, ip: IpAddr) -> impl Iterator<Item = usize> + use<T, N> {
        let sets = self.sets(ip);
        sets.into_iter()
            .flat_map(|first| first..first.saturating_add(WAYS).min(N))
    }

    fn find(&self, ip: IpAddr) -> Option<usize> {
        self.candidates(ip)
            .find(|&at| matches!(self.slots.get(at), Some(Some((there, _))) if *there == ip))
    }

    /// The value of `ip`.
    pub(super) fn get(&self, ip: IpAddr) -> Option<&T> {
        let at = self.find(ip)?;
        self.slots.get(at)?.as_ref().map(|(_, value)| value)
    }

    /// The value of `ip`, to be changed.
    pub(super) fn get_mut(&mut self, ip: IpAddr) -> Option<&mut T> {
        let at = self.find(ip)?;
        self.slots.get_mut(at)?.as_mut().map(|(_, value)| value)
    }

    /// Gives `ip` the value, in place of what it had. If there is no room, the value whose
    /// `worth` is least goes; those without a worth stay. What went is returned.
    pub(super) fn insert<W: Ord>(
        &mut self,
        ip: IpAddr,
        value: T,
        worth: impl Fn(&T) -> Option<W>,
    ) -> Result<Option<(IpAddr, T)>, Full> {
        let at = match self.find(ip).or_else(|| self.free(ip)) {
            Some(at) => at,
            None => self
                .candidates(ip)
                .filter_map(|at| {
                    let (_, value) = self.slots.get(at)?.as_ref()?;
                    Some((worth(value)?, at))
                })
                .min()
                .map(|(_, at)| at)
                .ok_or(Full)?,
        };
        let slot = self.slots.get_mut(at).ok_or(Full)?;
        let old = slot.replace((ip, value));
        Ok(old.filter(|(there, _)| *there != ip))
    }

    /// A free slot for `ip`, in the emptier of its sets.
    fn free(&self, ip: IpAddr) -> Option<usize> {
        let room = |first: &usize| {
            let set = self.slots.iter().skip(*first).take(WAYS);
            set.filter(|slot| slot.is_none()).count()
        };
        let [a, b] = self.sets(ip);
        let first = if room(&a) >= room(&b) { a } else { b };
        (first..first.saturating_add(WAYS)).find(|&at| matches!(self.slots.get(at), Some(None)))
    }

    /// Takes `ip` out.
    pub(super) fn remove(&mut self, ip: IpAddr) -> Option<T> {
        let at = self.find(ip)?;
        self.slots.get_mut(at)?.take().map(|(_, value)| value)
    }

    /// Keeps what `keep` says; looks at every slot.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for slot in self.slots.iter_mut() {
            if slot.as_ref().is_some_and(|(_, value)| !keep(value)) {
                *slot = None;
            }
        }
    }

    /// Every address with its value, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &T)> {
        self.slots.iter().flatten().map(|(ip, value)| (*ip, value))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn ip(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | n))
    }

    proptest! {
        /// Of few addresses in a roomy table none is refused: it is a map.
        #[test]
        fn is_a_map(ops in prop::collection::vec((0u8..3, 0u32..24, any::<u16>()), 0..200)) {
            let mut table = Table::<u16, 256>::new();
            let mut map = BTreeMap::new();
            for (op, n, value) in ops {
                match op {
                    0 => {
                        prop_assert_eq!(table.insert(ip(n), value, |_| None::<u8>), Ok(None));
                        map.insert(n, value);
                    }
                    1 => prop_assert_eq!(table.remove(ip(n)), map.remove(&n)),
                    _ => prop_assert_eq!(table.get(ip(n)), map.get(&n)),
                }
                prop_assert_eq!(table.iter().count(), map.len());
            }
        }

        /// In a small table what was put in last is there, and what went was worth least of
        /// what could go.
        #[test]
        fn evicts_the_least(ops in prop::collection::vec((0u32..1000, 1u16..9), 0..300)) {
            let mut table = Table::<u16, 8>::new();
            for (n, value) in ops {
                // 8 stands for values that must stay.
                let worth = |v: &u16| (*v < 8).then_some(*v);
                let before: BTreeMap<_, _> = table.iter().map(|(i, v)| (i, *v)).collect();
                match table.insert(ip(n), value, worth) {
                    Ok(gone) => {
                        prop_assert_eq!(table.get(ip(n)), Some(&value));
                        if let Some((ip, value)) = gone {
                            prop_assert!(value < 8 && before.get(&ip) == Some(&value));
                            prop_assert_eq!(table.get(ip), None);
                        }
                    }
                    Err(Full) => prop_assert!(before.values().filter(|v| **v == 8).count() >= WAYS),
                }
                prop_assert!(table.iter().count() <= 8);
            }
        }
    }

    #[test]
    fn fills_over_half_before_it_refuses() {
        let mut table = Table::<(), 1024>::new();
        let first = (0..1024).find(|n| table.insert(ip(n * 77), (), |()| None::<u8>).is_err());
        assert!(first.is_none_or(|n| n > 600), "{first:?}");
    }

    #[test]
    fn tables_of_odd_sizes_work() {
        let mut none = Table::<u8, 0>::new();
        assert_eq!(none.insert(ip(1), 1, |_| Some(0)), Err(Full));
        assert_eq!(none.get(ip(1)), None);
        let mut one = Table::<u8, 1>::new();
        assert_eq!(one.insert(ip(1), 1, |_| Some(0)), Ok(None));
        assert_eq!(one.insert(ip(2), 2, |_| Some(0)), Ok(Some((ip(1), 1))));
        assert_eq!(one.get(ip(2)), Some(&2));
    }
}
