//! Sockets in borrowed slots, found by scanning: for about 16 sockets at most, and no allocator.
//!
//! Invariant: `ready`, `parked` and `news` order is the order of stamps, drawn from one counter
//! of 64 bits that never wraps; so the table behaves exactly like
//! [`SlabSet`](crate::socket::slab::SlabSet), only its cost is proportional to its slots.

use core::fmt;
use core::marker::PhantomData;
use managed::ManagedSlice;
use phy::Instant;

use crate::error::OpenError;
use crate::socket::{Handle, Ring, Socket, SocketSet, Storage, Stores};

/// Storage of sockets in memory that the application lends.
///
/// ```
/// use netstrata::socket::{Storage, FixedSockets};
/// assert!(FixedSockets::stream(4096, 4096).is_none()); // only the application has buffers
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub struct FixedSockets<'a>(PhantomData<&'a mut [u8]>);

impl FixedSockets<'_> {
    /// Names the storage.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'a> Storage for FixedSockets<'a> {
    type Bytes = &'a mut [u8];
    type Rx = Ring<&'a mut [u8]>;
    type Tx = Ring<&'a mut [u8]>;

    fn stream(_rx: usize, _tx: usize) -> Option<(Self::Rx, Self::Tx)> {
        None
    }
}

impl<'a, K: Socket + 'a> Stores<K> for FixedSockets<'a> {
    type Set = FixedSet<'a, K>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Idle,
    /// On the ready list since the stamp.
    Ready(u64),
    /// Parked since the stamp.
    Parked(u64),
}

struct Entry<K: Socket> {
    socket: K,
    /// What it is found by; set by `insert` and `rekey` only.
    key: Option<K::Key>,
    run: Run,
    /// Stamp of the news for the application.
    news: Option<u64>,
    deadline: Option<Instant>,
}

/// Room for one socket in a [`FixedSet`].
pub struct Slot<K: Socket> {
    generation: u32,
    entry: Option<Entry<K>>,
}

impl<K: Socket> Slot<K> {
    /// Room not yet used: `[const { Slot::EMPTY }; 4]` is room for four.
    pub const EMPTY: Self = Self {
        generation: 0,
        entry: None,
    };
}

/// As [`Slot::EMPTY`]: arrays of slots are made by `Default` too.
impl<K: Socket> Default for Slot<K> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<K: Socket> fmt::Debug for Slot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.entry.as_ref().map(|e| e.key);
        write!(f, "Slot({key:?})")
    }
}

/// Sockets of one kind in the slots of a managed slice: borrowed, or owned where there is an
/// allocator. Never grows.
pub struct FixedSet<'a, K: Socket + 'a> {
    slots: ManagedSlice<'a, Slot<K>>,
    /// The next stamp.
    clock: u64,
    /// Octets that the sockets are charged for.
    memory: usize,
}

impl<K: Socket> fmt::Debug for FixedSet<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FixedSet({} of {})", self.len(), self.slots.len())
    }
}

impl<'a, K: Socket + 'a> FixedSet<'a, K> {
    /// A table with room for as many sockets as there are `slots`.
    pub fn new(slots: impl Into<ManagedSlice<'a, Slot<K>>>) -> Self {
        Self {
            slots: slots.into(),
            clock: 0,
            memory: 0,
        }
    }

    /// Sockets it has room for.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn stamp(&mut self) -> u64 {
        self.clock = self.clock.wrapping_add(1);
        self.clock
    }

    fn entry(&self, h: Handle<K>) -> Option<&Entry<K>> {
        let slot = self.slots.get(h.slot() as usize)?;
        slot.entry
            .as_ref()
            .filter(|_| slot.generation == h.generation())
    }

    fn entry_mut(&mut self, h: Handle<K>) -> Option<&mut Entry<K>> {
        let slot = self.slots.get_mut(h.slot() as usize)?;
        slot.entry
            .as_mut()
            .filter(|_| slot.generation == h.generation())
    }

    fn entries(&self) -> impl Iterator<Item = (Handle<K>, &Entry<K>)> {
        self.slots.iter().enumerate().filter_map(|(i, slot)| {
            let entry = slot.entry.as_ref()?;
            Some((Handle::new(u32::try_from(i).ok()?, slot.generation), entry))
        })
    }

    /// The entry for which `stamp` gives the least.
    fn first<T: Ord>(&self, stamp: impl Fn(&Entry<K>) -> Option<T>) -> Option<Handle<K>> {
        self.entries()
            .filter_map(|(h, entry)| Some((stamp(entry)?, h)))
            .min_by(|(a, _), (b, _)| a.cmp(b))
            .map(|(_, h)| h)
    }
}

impl<'a, K: Socket + 'a> SocketSet<K> for FixedSet<'a, K> {
    fn insert(&mut self, socket: K) -> Result<Handle<K>, OpenError> {
        let key = socket.key();
        if key.is_some_and(|key| self.lookup(&key).is_some()) {
            return Err(OpenError::InUse);
        }
        // A slot whose generations are used up is used no more: handles stay unique.
        let (i, slot) = self
            .slots
            .iter_mut()
            .enumerate()
            .find(|(_, s)| s.entry.is_none() && s.generation < u32::MAX)
            .ok_or(OpenError::Full)?;
        let number = u32::try_from(i).map_err(|_| OpenError::Full)?;
        self.memory = self.memory.saturating_add(socket.charged() as usize);
        slot.generation = slot.generation.saturating_add(1);
        slot.entry = Some(Entry {
            socket,
            key,
            run: Run::Idle,
            news: None,
            deadline: None,
        });
        Ok(Handle::new(number, slot.generation))
    }

    fn remove(&mut self, h: Handle<K>) -> Option<K> {
        self.entry(h)?;
        let slot = self.slots.get_mut(h.slot() as usize)?;
        let socket = slot.entry.take().map(|e| e.socket)?;
        self.memory = self.memory.saturating_sub(socket.charged() as usize);
        Some(socket)
    }

    fn get(&self, h: Handle<K>) -> Option<&K> {
        self.entry(h).map(|e| &e.socket)
    }

    fn get_mut(&mut self, h: Handle<K>) -> Option<&mut K> {
        self.entry_mut(h).map(|e| &mut e.socket)
    }

    fn lookup(&self, key: &K::Key) -> Option<Handle<K>> {
        self.entries()
            .find(|(_, e)| e.key.as_ref() == Some(key))
            .map(|(h, _)| h)
    }

    fn rekey(&mut self, h: Handle<K>) -> Result<(), OpenError> {
        let Some(entry) = self.entry_mut(h) else {
            return Ok(());
        };
        let key = entry.socket.key();
        entry.key = None;
        if key.is_some_and(|key| self.lookup(&key).is_some()) {
            return Err(OpenError::InUse);
        }
        if let Some(entry) = self.entry_mut(h) {
            entry.key = key;
        }
        Ok(())
    }

    fn len(&self) -> usize {
        self.entries().count()
    }

    fn wake(&mut self, h: Handle<K>) {
        let stamp = self.stamp();
        if let Some(e) = self.entry_mut(h)
            && !matches!(e.run, Run::Ready(_))
        {
            e.run = Run::Ready(stamp);
        }
    }

    fn next_ready(&mut self) -> Option<Handle<K>> {
        let h = self.first(|e| match e.run {
            Run::Ready(stamp) => Some(stamp),
            _ => None,
        })?;
        self.entry_mut(h)?.run = Run::Idle;
        Some(h)
    }

    fn any_ready(&self) -> bool {
        self.entries().any(|(_, e)| matches!(e.run, Run::Ready(_)))
    }

    fn park(&mut self, h: Handle<K>) {
        let stamp = self.stamp();
        if let Some(e) = self.entry_mut(h)
            && !matches!(e.run, Run::Parked(_))
        {
            e.run = Run::Parked(stamp);
        }
    }

    fn unpark(&mut self) {
        while let Some(h) = self.first(|e| match e.run {
            Run::Parked(stamp) => Some(stamp),
            _ => None,
        }) {
            self.wake(h);
        }
    }

    fn arm(&mut self, h: Handle<K>, at: Option<Instant>) {
        if let Some(e) = self.entry_mut(h) {
            e.deadline = at.filter(|at| *at < Instant::MAX);
        }
    }

    fn next_expired(&mut self, now: Instant) -> Option<Handle<K>> {
        let h = self.first(|e| e.deadline.filter(|at| *at <= now))?;
        self.entry_mut(h)?.deadline = None;
        Some(h)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.entries().filter_map(|(_, e)| e.deadline).min()
    }

    fn memory(&self) -> usize {
        self.memory
    }

    fn account(&mut self, h: Handle<K>) -> (u32, u32) {
        let Some(socket) = self.get_mut(h) else {
            return (0, 0);
        };
        let (before, after) = (socket.charged(), socket.charge());
        let others = self.memory.saturating_sub(before as usize);
        self.memory = others.saturating_add(after as usize);
        (before, after)
    }

    fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    fn at(&self, slot: u32) -> Option<Handle<K>> {
        let entry = self.slots.get(slot as usize)?;
        entry.entry.as_ref()?;
        Some(Handle::new(slot, entry.generation))
    }

    fn notify(&mut self, h: Handle<K>) {
        let stamp = self.stamp();
        if let Some(e) = self.entry_mut(h) {
            e.news.get_or_insert(stamp);
        }
    }

    fn next_news(&mut self) -> Option<Handle<K>> {
        let h = self.first(|e| e.news)?;
        self.entry_mut(h)?.news = None;
        Some(h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Keyless;
    impl Socket for Keyless {
        type Key = ();
        fn key(&self) -> Option<()> {
            None
        }
    }

    #[test]
    fn a_slot_ends_with_its_last_generation() {
        let mut slots = [const { Slot::<Keyless>::EMPTY }; 1];
        slots[0].generation = u32::MAX - 1;
        let mut set = FixedSet::new(&mut slots[..]);
        let last = set.insert(Keyless).unwrap();
        assert_eq!(last.generation(), u32::MAX);
        assert!(matches!(set.insert(Keyless), Err(OpenError::Full)));
        set.remove(last).unwrap();
        assert!(matches!(set.insert(Keyless), Err(OpenError::Full)));
    }
}
