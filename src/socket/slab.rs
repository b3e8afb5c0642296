//! Sockets in a slab: any number of them, and no operation that depends on how many there are.
//!
//! Invariants:
//! - a socket never moves between `insert` and `remove`; a handle's generation is its slot's,
//!   and a slot whose generations are used up is never used again, so no handle ever names
//!   another socket than the one it was given for;
//! - by its `run` link a socket is on the ready list, or the parked list, or neither; by its
//!   `news` link on the news list or not; by its timer in one bucket of the wheel at most;
//! - a socket is in the index under the tag of its key when `indexed`.
//!
//! Lists, wheel and index hold slot numbers only. Called by the protocols through
//! [`SocketSet`].

use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;
use phy::Instant;

use crate::error::OpenError;
use crate::secret::{Purpose, Secret};
use crate::socket::elastic::Elastic;
use crate::socket::index::Index;
use crate::socket::list::{Link, Links, List, NIL};
use crate::socket::slots::Slots;
use crate::socket::wheel::{LOOSE, NEVER, TIMER, Timer, Timers, Wheel};
use crate::socket::{Handle, Socket, SocketSet, Storage, Stores};

/// Storage of any number of sockets; stream buffers take memory while they hold something.
#[derive(Debug, Default, Clone, Copy)]
pub struct SlabSockets;

impl Storage for SlabSockets {
    type Bytes = Box<[u8]>;
    type Rx = Elastic;
    type Tx = Elastic;

    fn stream(rx: usize, tx: usize) -> Option<(Elastic, Elastic)> {
        Some((Elastic::new(rx), Elastic::new(tx)))
    }
}

impl<K: Socket> Stores<K> for SlabSockets {
    type Set = SlabSet<K>;
}

/// Link of the ready and parked lists.
const RUN: u8 = 0;
/// Link of the news list.
const NEWS: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Idle,
    Ready,
    /// On the parked list, if the slot's epoch is the table's; else it was unparked since, and
    /// is on the ready list.
    Parked,
}

struct Slot<K> {
    deadline: u64,
    timer: Link,
    run: Link,
    news: Link,
    bucket: u16,
    generation: u32,
    /// Tag of its key while `indexed`; the next free slot while it has no socket.
    tag: u32,
    epoch: u32,
    state: Run,
    indexed: bool,
    socket: Option<K>,
}

impl<K> Slot<K> {
    const fn new() -> Self {
        Self {
            deadline: NEVER,
            timer: Link::LOOSE,
            run: Link::LOOSE,
            news: Link::LOOSE,
            bucket: LOOSE,
            generation: 0,
            tag: NIL,
            epoch: 0,
            state: Run::Idle,
            indexed: false,
            socket: None,
        }
    }

    const fn timer(&mut self) -> Timer<'_> {
        Timer {
            deadline: &mut self.deadline,
            bucket: &mut self.bucket,
        }
    }
}

impl<K> Links<RUN> for Slots<Slot<K>> {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.get_mut(slot).map(|s| &mut s.run)
    }
    fn next(&self, slot: u32) -> u32 {
        self.get(slot).map_or(NIL, |s| s.run.next_slot())
    }
}

impl<K> Links<NEWS> for Slots<Slot<K>> {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.get_mut(slot).map(|s| &mut s.news)
    }
    fn next(&self, slot: u32) -> u32 {
        self.get(slot).map_or(NIL, |s| s.news.next_slot())
    }
}

impl<K> Links<TIMER> for Slots<Slot<K>> {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.get_mut(slot).map(|s| &mut s.timer)
    }
    fn next(&self, slot: u32) -> u32 {
        self.get(slot).map_or(NIL, |s| s.timer.next_slot())
    }
}

impl<K> Timers for Slots<Slot<K>> {
    fn timer(&mut self, slot: u32) -> Option<Timer<'_>> {
        self.get_mut(slot).map(Slot::timer)
    }
    fn deadline(&self, slot: u32) -> u64 {
        self.get(slot).map_or(NEVER, |s| s.deadline)
    }
}

/// Sockets of one kind in a slab.
///
/// `insert` moves at most eight index entries and no socket, however large the table grows;
/// memory of removed sockets is kept for new ones. `next_expired` looks at no more than 64
/// sockets: it may return `None` while some are due, and then `next_deadline` is not after `now`.
/// [`Instant::MAX`] as a deadline is no deadline.
pub struct SlabSet<K: Socket> {
    slots: Slots<Slot<K>>,
    len: usize,
    limit: usize,
    /// The first free slot; the others follow by `tag`.
    free: u32,
    index: Index,
    /// What `lookup` found last: a flow's packets come in trains.
    last: Cell<u32>,
    /// The key that was last looked for in vain: that of a new flow is, more than once, before it
    /// is entered.
    tagged: Cell<Option<(K::Key, u32)>>,
    /// Insertions, removals and renamings so far.
    version: u64,
    ready: List<RUN>,
    parked: List<RUN>,
    /// How often there was something to unpark.
    epoch: u32,
    news: List<NEWS>,
    wheel: Wheel,
    /// Octets that the sockets are charged for.
    memory: usize,
}

impl<K: Socket> Default for SlabSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Socket> fmt::Debug for SlabSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlabSet({})", self.len)
    }
}

impl<K: Socket> SlabSet<K> {
    /// Octets that a socket takes besides itself, without its index entry of 9 to 19 octets.
    pub const OVERHEAD: usize = size_of::<Slot<K>>() - size_of::<Option<K>>();

    /// An empty table; allocates nothing.
    pub fn new() -> Self {
        Self {
            slots: Slots::new(),
            len: 0,
            limit: NIL as usize,
            free: NIL,
            index: Index::default(),
            last: Cell::new(NIL),
            tagged: Cell::new(None),
            version: 0,
            ready: List::EMPTY,
            parked: List::EMPTY,
            epoch: 0,
            news: List::EMPTY,
            wheel: Wheel::new(),
            memory: 0,
        }
    }

    /// Takes in no more than `sockets` sockets from now on: `insert` says
    /// [`OpenError::Full`] then.
    pub fn set_limit(&mut self, sockets: usize) {
        self.limit = sockets.min(NIL as usize);
    }

    /// How often a slot was looked at so far; counted where debug assertions are on, for tests
    /// of what operations cost.
    #[doc(hidden)]
    pub fn touched(&self) -> Option<u64> {
        self.slots.touched()
    }

    fn live(&self, h: Handle<K>) -> Option<&Slot<K>> {
        let slot = self.slots.get(h.slot())?;
        (slot.generation == h.generation() && slot.socket.is_some()).then_some(slot)
    }

    fn live_mut(&mut self, h: Handle<K>) -> Option<&mut Slot<K>> {
        let slot = self.slots.get_mut(h.slot())?;
        (slot.generation == h.generation() && slot.socket.is_some()).then_some(slot)
    }

    fn handle(&self, slot: u32) -> Option<Handle<K>> {
        let generation = self.slots.get(slot)?.generation;
        Some(Handle::new(slot, generation))
    }

    /// The tag of `key`.
    fn tag(&self, key: &K::Key) -> u32 {
        if let Some((last, tag)) = self.tagged.get()
            && last == *key
        {
            return tag;
        }
        self.index.tag(key)
    }

    /// The socket that is found under `key`.
    fn find(&self, tag: u32, key: &K::Key) -> Option<Handle<K>> {
        let mut found = None;
        self.index.find(tag, |slot| {
            found = self.known_by(key, slot);
            found.is_some()
        })?;
        found
    }

    /// The socket in `slot`, if it is found under `key`.
    fn known_by(&self, key: &K::Key, slot: u32) -> Option<Handle<K>> {
        let s = self.slots.get(slot)?;
        let known = s.indexed && s.socket.as_ref()?.is_known_by(key);
        known.then(|| Handle::new(slot, s.generation))
    }

    /// Takes `slot` out of the index.
    fn unindex(&mut self, slot: u32) {
        let Some(s) = self.slots.get_mut(slot) else {
            return;
        };
        if core::mem::take(&mut s.indexed) {
            let tag = s.tag;
            self.index.remove(tag, slot);
        }
    }

    /// Finds the socket in `slot` under `tag`.
    fn enter(&mut self, slot: u32, tag: u32) {
        if let Some(s) = self.slots.get_mut(slot) {
            s.tag = tag;
            s.indexed = true;
            self.index.insert(tag, slot);
        }
    }

    /// Takes `slot` off the ready or parked list.
    fn stop(&mut self, slot: u32) {
        let epoch = self.epoch;
        let Some(s) = self.slots.get_mut(slot) else {
            return;
        };
        let list = match core::mem::replace(&mut s.state, Run::Idle) {
            Run::Idle => return,
            Run::Parked if s.epoch == epoch => &mut self.parked,
            Run::Ready | Run::Parked => &mut self.ready,
        };
        list.unlink(&mut self.slots, slot);
    }

    /// What `resume` has to change: the deadline, the ready list, the news.
    #[cold]
    fn change(&mut self, h: Handle<K>, at: Option<Instant>, what: (bool, bool, bool)) {
        let (time, wake, notify) = what;
        if time {
            self.arm(h, at);
        }
        if wake {
            self.wake(h);
        }
        if notify {
            self.notify(h);
        }
    }

    /// A slot for a new socket.
    fn vacancy(&mut self) -> Result<u32, OpenError> {
        if self.len >= self.limit {
            return Err(OpenError::Full);
        }
        if let Some(s) = self.slots.get(self.free) {
            return Ok(core::mem::replace(&mut self.free, s.tag));
        }
        if self.slots.len() == NIL {
            return Err(OpenError::Full);
        }
        self.slots.push(Slot::new()).ok_or(OpenError::Full)
    }
}

impl<K: Socket> SocketSet<K> for SlabSet<K> {
    fn start(&mut self, secret: &Secret) {
        self.index.set_key(secret.key(Purpose::Index));
        self.tagged.set(None);
    }

    fn insert(&mut self, socket: K) -> Result<Handle<K>, OpenError> {
        let tag = match socket.key() {
            Some(key) => {
                let tag = self.tag(&key);
                if self.find(tag, &key).is_some() {
                    return Err(OpenError::InUse);
                }
                Some(tag)
            }
            None => None,
        };
        let number = self.vacancy()?;
        self.version = self.version.wrapping_add(1);
        self.memory = self.memory.saturating_add(socket.charged() as usize);
        let slot = self.slots.get_mut(number).ok_or(OpenError::Full)?;
        slot.generation = slot.generation.saturating_add(1);
        slot.socket = Some(socket);
        let handle = Handle::new(number, slot.generation);
        self.len = self.len.saturating_add(1);
        if let Some(tag) = tag {
            self.enter(number, tag);
        }
        Ok(handle)
    }

    fn remove(&mut self, h: Handle<K>) -> Option<K> {
        self.live(h)?;
        self.version = self.version.wrapping_add(1);
        let number = h.slot();
        self.stop(number);
        self.news.unlink(&mut self.slots, number);
        self.wheel.forget(&mut self.slots, number);
        self.unindex(number);
        let slot = self.slots.get_mut(number)?;
        let socket = slot.socket.take();
        let charged = socket.as_ref().map_or(0, Socket::charged);
        self.memory = self.memory.saturating_sub(charged as usize);
        self.len = self.len.saturating_sub(1);
        if slot.generation < u32::MAX {
            slot.tag = core::mem::replace(&mut self.free, number);
        }
        socket
    }

    fn get(&self, h: Handle<K>) -> Option<&K> {
        self.live(h)?.socket.as_ref()
    }

    fn get_mut(&mut self, h: Handle<K>) -> Option<&mut K> {
        self.live_mut(h)?.socket.as_mut()
    }

    fn lookup(&self, key: &K::Key) -> Option<Handle<K>> {
        if let Some(h) = self.known_by(key, self.last.get()) {
            return Some(h);
        }
        let tag = self.tag(key);
        let found = self.find(tag, key);
        match found {
            Some(h) => self.last.set(h.slot()),
            None => self.tagged.set(Some((*key, tag))),
        }
        found
    }

    fn rekey(&mut self, h: Handle<K>) -> Result<(), OpenError> {
        let Some(slot) = self.live(h) else {
            return Ok(());
        };
        let key = slot.socket.as_ref().and_then(Socket::key);
        let tag = key.map(|key| self.tag(&key));
        self.unindex(h.slot());
        self.version = self.version.wrapping_add(1);
        if let (Some(key), Some(tag)) = (key, tag) {
            if self.find(tag, &key).is_some() {
                return Err(OpenError::InUse);
            }
            self.enter(h.slot(), tag);
        }
        Ok(())
    }

    fn version(&self) -> Option<u64> {
        Some(self.version)
    }

    fn len(&self) -> usize {
        self.len
    }

    fn wake(&mut self, h: Handle<K>) {
        let epoch = self.epoch;
        let Some(slot) = self.live_mut(h) else { return };
        match slot.state {
            Run::Ready => return,
            Run::Parked if slot.epoch != epoch => return,
            Run::Parked => self.parked.unlink(&mut self.slots, h.slot()),
            Run::Idle => {}
        }
        self.ready.push_back(&mut self.slots, h.slot());
        if let Some(slot) = self.slots.get_mut(h.slot()) {
            slot.state = Run::Ready;
        }
    }

    fn next_ready(&mut self) -> Option<Handle<K>> {
        let slot = self.ready.pop_front(&mut self.slots)?;
        self.slots.get_mut(slot)?.state = Run::Idle;
        self.handle(slot)
    }

    fn any_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    fn park(&mut self, h: Handle<K>) {
        let epoch = self.epoch;
        let Some(slot) = self.live_mut(h) else { return };
        match slot.state {
            Run::Parked if slot.epoch == epoch => return,
            Run::Ready | Run::Parked => self.ready.unlink(&mut self.slots, h.slot()),
            Run::Idle => {}
        }
        self.parked.push_back(&mut self.slots, h.slot());
        if let Some(slot) = self.slots.get_mut(h.slot()) {
            slot.state = Run::Parked;
            slot.epoch = epoch;
        }
    }

    fn unpark(&mut self) {
        if !self.parked.is_empty() {
            self.ready.append(&mut self.slots, &mut self.parked);
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    fn arm(&mut self, h: Handle<K>, at: Option<Instant>) {
        let at = at.map_or(NEVER, Instant::micros);
        let Some(slot) = self.live_mut(h) else { return };
        if !slot.timer().postpone(at) {
            self.wheel.arm(&mut self.slots, h.slot(), at);
        }
    }

    fn next_expired(&mut self, now: Instant) -> Option<Handle<K>> {
        let slot = self.wheel.next_expired(&mut self.slots, now.micros())?;
        self.handle(slot)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let next = self.wheel.next_deadline();
        (next != NEVER).then(|| Instant::from_micros(next))
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
        self.slots.len()
    }

    fn at(&self, slot: u32) -> Option<Handle<K>> {
        let entry = self.slots.get(slot)?;
        entry.socket.as_ref()?;
        Some(Handle::new(slot, entry.generation))
    }

    fn notify(&mut self, h: Handle<K>) {
        if self.live(h).is_some_and(|slot| !slot.news.is_linked()) {
            self.news.push_back(&mut self.slots, h.slot());
        }
    }

    #[inline]
    fn resume(&mut self, h: Handle<K>, at: Option<Instant>, wake: bool, notify: bool) {
        let until = at.map_or(NEVER, Instant::micros);
        let Some(slot) = self.live_mut(h) else { return };
        let timed = slot.timer().postpone(until) || slot.deadline == until;
        let woken = !wake || slot.state == Run::Ready;
        let noted = !notify || slot.news.is_linked();
        if !(timed && woken && noted) {
            self.change(h, at, (!timed, !woken, !noted));
        }
    }

    fn next_news(&mut self) -> Option<Handle<K>> {
        let slot = self.news.pop_front(&mut self.slots)?;
        self.handle(slot)
    }
}

// A stack is handed to the thread that runs it.
const _: () = {
    const fn is_send<T: Send>() {}
    #[expect(dead_code, reason = "compiled, never called")]
    const fn slab_is_send<K: Socket<Key: Send> + Send>() {
        is_send::<SlabSet<K>>();
        is_send::<Elastic>();
    }
};

// With an index entry of 9 to 19 octets and two empty buffers, 102 of the 512 octets that an
// idle connection may take.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Slot<[u64; 4]>>() - size_of::<Option<[u64; 4]>>() == 48);
    assert!(size_of::<Elastic>() == 16);
};

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
        let mut set = SlabSet::new();
        let a = set.insert(Keyless).unwrap();
        set.remove(a).unwrap();
        set.slots.get_mut(0).unwrap().generation = u32::MAX - 1;
        let last = set.insert(Keyless).unwrap();
        assert_eq!((last.slot(), last.generation()), (0, u32::MAX));
        set.remove(last).unwrap();
        let next = set.insert(Keyless).unwrap();
        assert_eq!((next.slot(), next.generation()), (1, 1));
        assert!(set.get(last).is_none());
        assert_eq!(set.len(), 1);
    }
}
