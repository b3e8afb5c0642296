//! Sockets, their handles, and the tables that keep them.
//!
//! A [`SocketSet`] offers storage, demultiplexing, readiness, deadlines and news for the
//! application behind one trait; protocols are written against it and never iterate.

#[cfg(feature = "alloc")]
pub mod elastic;
pub mod fixed;
pub mod gaps;
pub mod mailbox;
pub mod ring;
#[cfg(feature = "alloc")]
pub mod slab;
pub mod storage;
pub mod wakers;

#[cfg(feature = "alloc")]
pub(crate) mod index;
#[cfg(feature = "alloc")]
mod list;
#[cfg(feature = "alloc")]
pub(crate) mod slots;
#[cfg(feature = "alloc")]
mod wheel;

#[cfg(feature = "alloc")]
pub use elastic::Elastic;
pub use fixed::{FixedSet, FixedSockets};
pub use gaps::Gaps;
pub use mailbox::Mailbox;
pub use ring::Ring;
#[cfg(feature = "alloc")]
pub use slab::{SlabSet, SlabSockets};
pub use storage::{Bytes, ReadBuf, RecvBuf, Rx, SendBuf, Storage, Stores, Tx, WriteBuf};
pub use wakers::Wakers;

use core::fmt;
use core::hash::{Hash, Hasher};
use core::marker::PhantomData;
use phy::Instant;

use crate::error::{OpenError, Stale};
use crate::secret::Secret;

/// A kind of socket.
pub trait Socket {
    /// What received packets are matched by.
    type Key: Copy + Eq + Hash + fmt::Debug;

    /// The key it is found by now, `None` while it waits for no packet. After it changed, the
    /// table must be told by [`SocketSet::rekey`].
    fn key(&self) -> Option<Self::Key>;

    /// Is it found under `key` now?
    fn is_known_by(&self, key: &Self::Key) -> bool {
        self.key().as_ref() == Some(key)
    }

    /// Has its protocol something to do for it, now that its application used it? Without
    /// it a use costs no turn.
    fn wants_turn(&self) -> bool {
        true
    }

    /// The application gave it up. True if it can go at once; false if its protocol still has
    /// work with it (TCP's FIN) and will remove it itself.
    fn release(&mut self) -> bool {
        true
    }

    /// Octets of memory it was last counted for, besides itself.
    fn charged(&self) -> u32 {
        0
    }

    /// Counts its memory anew; returns what it is.
    fn charge(&mut self) -> u32 {
        0
    }
}

/// Names a socket of kind `K`; using it for another kind does not compile.
pub struct Handle<K> {
    slot: u32,
    generation: u32,
    kind: PhantomData<fn() -> K>,
}

impl<K> Handle<K> {
    /// For tables: the socket in `slot`, as long as the slot is in this `generation`.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self {
            slot,
            generation,
            kind: PhantomData,
        }
    }
    /// Number of the socket's slot.
    pub const fn slot(self) -> u32 {
        self.slot
    }
    /// How often the slot had been given out when this socket got it.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl<K> Clone for Handle<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Handle<K> {}
impl<K> PartialEq for Handle<K> {
    fn eq(&self, other: &Self) -> bool {
        (self.slot, self.generation) == (other.slot, other.generation)
    }
}
impl<K> Eq for Handle<K> {}
impl<K> Hash for Handle<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.slot, self.generation).hash(state);
    }
}
impl<K> fmt::Debug for Handle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.slot, self.generation)
    }
}

/// A table of sockets of one kind.
///
/// A socket may be at once on the ready list (it has something to send), waiting for a link
/// address (parked, which takes it off the ready list), armed with one deadline, and on the
/// news list (the application should look at it).
#[diagnostic::on_unimplemented(
    message = "this stack has no layer for sockets of this kind",
    label = "`{Self}` keeps no `{K}`",
    note = "add the protocol to the stack's transports, e.g. `(Icmp, Udp, Tcp<Cubic>)`"
)]
pub trait SocketSet<K: Socket> {
    /// Draws what the table needs of the stack's secret; called once, while it is empty.
    fn start(&mut self, secret: &Secret) {
        let _ = secret;
    }
    /// Takes a socket in: [`OpenError::InUse`] if another has its key.
    fn insert(&mut self, socket: K) -> Result<Handle<K>, OpenError>;
    /// Takes a socket out.
    fn remove(&mut self, h: Handle<K>) -> Option<K>;
    /// Looks at a socket.
    fn get(&self, h: Handle<K>) -> Option<&K>;
    /// Gives access to a socket.
    fn get_mut(&mut self, h: Handle<K>) -> Option<&mut K>;
    /// The socket with `key`.
    fn lookup(&self, key: &K::Key) -> Option<Handle<K>>;
    /// Finds the socket under its present key from now on: [`OpenError::InUse`] if another has
    /// it, and then the socket is found under none.
    fn rekey(&mut self, h: Handle<K>) -> Result<(), OpenError>;
    /// A number that is another after every `insert`, `remove` and `rekey`: as long as it stays,
    /// `lookup` finds the same sockets, but for those whose own key changed. `None` if it is not
    /// counted, and then nothing may be remembered of what was found.
    fn version(&self) -> Option<u64> {
        None
    }
    /// Number of sockets.
    fn len(&self) -> usize;
    /// Is there none?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has something to send. Idempotent; also ends parking.
    fn wake(&mut self, h: Handle<K>);
    /// Takes the socket off the ready list that was on it longest.
    fn next_ready(&mut self) -> Option<Handle<K>>;
    /// Is any socket ready?
    fn any_ready(&self) -> bool;
    /// Waits for a link address; `unpark` makes all such sockets ready.
    fn park(&mut self, h: Handle<K>);
    /// Makes all parked sockets ready.
    fn unpark(&mut self);

    /// Sets a socket's one deadline, the nearest of its own timers.
    fn arm(&mut self, h: Handle<K>, at: Option<Instant>);
    /// Takes a socket whose deadline has come, and disarms it. Never before its deadline.
    fn next_expired(&mut self, now: Instant) -> Option<Handle<K>>;
    /// No socket expires before this; `None` if none is armed. May be early, never late.
    fn next_deadline(&self) -> Option<Instant>;

    /// Octets of memory of all its sockets, as counted by [`account`](Self::account). A table
    /// without an account says 0.
    fn memory(&self) -> usize {
        0
    }
    /// Counts a socket's memory anew; returns what it was and what it is.
    fn account(&mut self, h: Handle<K>) -> (u32, u32) {
        let _ = h;
        (0, 0)
    }
    /// Number of slots that sockets may be in: more than that of any handle given out.
    fn slots(&self) -> u32 {
        0
    }
    /// The socket in `slot`, for those who go round the table.
    fn at(&self, slot: u32) -> Option<Handle<K>> {
        let _ = slot;
        None
    }

    /// There is news of this socket for the application. Idempotent.
    fn notify(&mut self, h: Handle<K>);
    /// `arm`, and `wake` and `notify` as asked for: what a packet for a socket comes to, which
    /// in a run of packets is mostly nothing new.
    fn resume(&mut self, h: Handle<K>, at: Option<Instant>, wake: bool, notify: bool) {
        self.arm(h, at);
        if wake {
            self.wake(h);
        }
        if notify {
            self.notify(h);
        }
    }
    /// Takes a socket of which there is news.
    fn next_news(&mut self) -> Option<Handle<K>>;
}

/// The table of a protocol without sockets.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoSockets;

/// A socket borrowed from its stack.
#[derive(Debug)]
pub struct Bound<'s, K: Socket, T: SocketSet<K>> {
    pub(crate) set: &'s mut T,
    pub(crate) handle: Handle<K>,
}

impl<K: Socket, T: SocketSet<K>> Bound<'_, K, T> {
    /// Runs `f` on the socket, and puts it on the ready list if that left anything to do: the
    /// next `poll` sends what `f` left to send.
    pub fn with<R>(&mut self, f: impl FnOnce(&mut K) -> R) -> Result<R, Stale> {
        let socket = self.set.get_mut(self.handle).ok_or(Stale)?;
        let result = f(socket);
        if socket.wants_turn() {
            self.set.wake(self.handle);
        }
        Ok(result)
    }
    /// Looks at the socket; causes nothing to be sent.
    pub fn look<R>(&self, f: impl FnOnce(&K) -> R) -> Result<R, Stale> {
        self.set.get(self.handle).map(f).ok_or(Stale)
    }
}
