//! Listeners: connections that wait to be accepted, and sockets offered for new ones.
//!
//! Invariant: both are lists through the sockets themselves ([`Link`] in each), so a listener
//! takes the same memory whatever waits. Handles in them may be stale; then the rest of the
//! list is gone with the socket that held it, which only
//! [`Stack::remove`](crate::Stack::remove) of a queued or offered socket can bring about.

use core::fmt;

use super::congestion::Congestion;
use super::fastopen::Queue;
use super::options::Options;
use super::socket::{Role, TcpSocket, Wants};
use crate::socket::{Bound, Handle, ReadBuf, RecvBuf, SendBuf, SocketSet};

/// A handle of any kind of socket, or none, in eight octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    slot: u32,
    generation: u32,
}

impl Link {
    /// No socket.
    pub const NONE: Self = Self {
        slot: u32::MAX,
        generation: u32::MAX,
    };

    /// To `h`.
    pub fn to<K>(h: Handle<K>) -> Self {
        Self {
            slot: h.slot(),
            generation: h.generation(),
        }
    }

    /// The handle.
    pub fn handle<K>(self) -> Option<Handle<K>> {
        (self != Self::NONE).then(|| Handle::new(self.slot, self.generation))
    }
}

/// What a socket that listens keeps.
#[derive(Debug)]
pub(super) struct Listener {
    /// Of the connections it makes.
    pub options: Options,
    /// Most connections that may wait, and most unfinished handshakes.
    backlog: usize,
    /// Unfinished handshakes.
    pub handshakes: usize,
    /// Connections before the end of theirs.
    pub fast: Queue,
    waiting: usize,
    /// Octets of memory of the connections that wait.
    pub memory: usize,
    first: Link,
    last: Link,
    /// Closed sockets with buffers, for connections to come.
    spare: Link,
}

impl Listener {
    pub fn new(backlog: usize, options: Options) -> Self {
        Self {
            options,
            backlog: backlog.max(1),
            handshakes: 0,
            fast: Queue::default(),
            waiting: 0,
            memory: 0,
            first: Link::NONE,
            last: Link::NONE,
            spare: Link::NONE,
        }
    }

    /// Connections that wait to be accepted.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// No room for another connection, when `most` is what any listener may have?
    pub fn is_full(&self, most: usize) -> bool {
        self.waiting >= self.backlog.min(most)
    }

    /// No room for another handshake, when `most` is what any listener may have?
    pub fn is_busy(&self, most: usize) -> bool {
        self.handshakes >= self.backlog.min(most)
    }

    /// Does no other socket hang on it?
    pub fn is_empty(&self) -> bool {
        self.first == Link::NONE && self.spare == Link::NONE
    }
}

/// Was listener `at` offered a socket that is still to be had?
pub(super) fn has_spare<R, T, C, S>(set: &S, at: Handle<Sock<R, T, C>>) -> bool
where
    R: RecvBuf,
    T: SendBuf,
    C: Congestion,
    S: SocketSet<Sock<R, T, C>>,
{
    match set.get(at).map(|socket| &socket.role) {
        Some(Role::Listen(listener)) => listener.spare != Link::NONE,
        _ => false,
    }
}

/// Octets of memory of the connections that wait at listener `at`.
pub(super) fn memory<R, T, C, S>(set: &S, at: Handle<Sock<R, T, C>>) -> usize
where
    R: RecvBuf,
    T: SendBuf,
    C: Congestion,
    S: SocketSet<Sock<R, T, C>>,
{
    match set.get(at).map(|socket| &socket.role) {
        Some(Role::Listen(listener)) => listener.memory,
        _ => 0,
    }
}

/// Octets that the receive buffer of the next connection of listener `at` will hold.
pub(super) fn capacity<R, T, C, S>(set: &S, at: Handle<Sock<R, T, C>>) -> usize
where
    R: RecvBuf,
    T: SendBuf,
    C: Congestion,
    S: SocketSet<Sock<R, T, C>>,
{
    let Some(socket) = set.get(at) else { return 0 };
    let spare = match &socket.role {
        Role::Listen(listener) => listener.spare.handle().and_then(|h| set.get(h)),
        _ => None,
    };
    spare.unwrap_or(socket).rx.capacity()
}

type Sock<R, T, C> = TcpSocket<R, T, C>;

fn listener<R, T, C>(socket: Option<&mut Sock<R, T, C>>) -> Option<&mut Listener> {
    match &mut socket?.role {
        Role::Listen(listener) => Some(listener),
        _ => None,
    }
}

/// Appends connection `h` to the queue of listener `at`.
pub(super) fn enqueue<R, T, C, S>(set: &mut S, at: Handle<Sock<R, T, C>>, h: Handle<Sock<R, T, C>>)
where
    R: RecvBuf,
    T: SendBuf,
    C: Congestion,
    S: SocketSet<Sock<R, T, C>>,
{
    if let Some(child) = set.get_mut(h) {
        child.wants.set(Wants::QUEUED);
        child.next = Link::NONE;
    }
    let Some(queue) = listener(set.get_mut(at)) else {
        return;
    };
    let last = core::mem::replace(&mut queue.last, Link::to(h));
    queue.waiting = queue.waiting.saturating_add(1);
    if queue.first == Link::NONE {
        queue.first = Link::to(h);
    } else if let Some(before) = last.handle().and_then(|last| set.get_mut(last)) {
        before.next = Link::to(h);
    }
}

/// Takes the connection that waits longest off the queue of listener `at`.
pub(super) fn dequeue<R, T, C, S>(
    set: &mut S,
    at: Handle<Sock<R, T, C>>,
) -> Option<Handle<Sock<R, T, C>>>
where
    R: RecvBuf,
    T: SendBuf,
    C: Congestion,
    S: SocketSet<Sock<R, T, C>>,
{
    let h = listener(set.get_mut(at))?.first.handle()?;
    let charged = set.get(h).map_or(0, |child| child.charged as usize);
    let next = set.get_mut(h).map(|child| {
        child.wants.clear(Wants::QUEUED);
        core::mem::replace(&mut child.next, Link::NONE)
    });
    let queue = listener(set.get_mut(at))?;
    queue.memory = queue.memory.saturating_sub(charged);
    queue.first = next.unwrap_or(Link::NONE);
    queue.waiting = queue.waiting.saturating_sub(1);
    if queue.first == Link::NONE {
        queue.last = Link::NONE;
        queue.waiting = 0;
    }
    next.map(|_| h)
}

/// Takes a socket off those offered to listener `at`.
pub(super) fn take_spare<R, T, C, S>(
    set: &mut S,
    at: Handle<Sock<R, T, C>>,
) -> Option<Handle<Sock<R, T, C>>>
where
    R: RecvBuf,
    T: SendBuf,
    C: Congestion,
    S: SocketSet<Sock<R, T, C>>,
{
    let h = listener(set.get_mut(at))?.spare.handle()?;
    let next = set.get_mut(h).map(|spare| {
        spare.wants.clear(Wants::OFFERED);
        core::mem::replace(&mut spare.next, Link::NONE)
    });
    listener(set.get_mut(at))?.spare = next.unwrap_or(Link::NONE);
    next.map(|_| h)
}

/// Why a socket was not taken for connections to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferError {
    /// It is open, or offered already.
    Open,
    /// One of the two sockets is gone.
    Stale,
    /// The other one does not listen.
    NotListening,
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "socket is open",
            Self::Stale => "the socket is gone",
            Self::NotListening => "socket does not listen",
        })
    }
}

impl core::error::Error for OfferError {}

impl<R, T, C, S> Bound<'_, TcpSocket<R, T, C>, S>
where
    R: RecvBuf + ReadBuf,
    T: SendBuf,
    C: Congestion,
    S: SocketSet<TcpSocket<R, T, C>>,
{
    /// The connection that waits longest to be accepted, from now on the caller's to use and
    /// to close. `None` if none waits or this socket does not listen. There is news of a
    /// listener whenever one more waits: accept until `None`.
    ///
    /// A connection may have been reset while it waited; its methods tell.
    pub fn accept(&mut self) -> Option<Handle<TcpSocket<R, T, C>>> {
        let h = dequeue(self.set, self.handle)?;
        let child = self.set.get(h)?;
        if child.rx.readable() > 0 || !child.can_recv() {
            self.set.notify(h);
        }
        Some(h)
    }

    /// Offers a closed socket with its buffers for a connection to come, where the storage
    /// makes none by itself. What its buffers held is forgotten. Until it is accepted it must
    /// not be removed.
    ///
    /// # Errors
    /// See [`OfferError`].
    pub fn offer(&mut self, spare: Handle<TcpSocket<R, T, C>>) -> Result<(), OfferError> {
        let listens = self.set.get_mut(self.handle).ok_or(OfferError::Stale)?;
        let queue = listener(Some(listens)).ok_or(OfferError::NotListening)?;
        let first = queue.spare;
        let socket = self.set.get_mut(spare).ok_or(OfferError::Stale)?;
        socket.reset().map_err(|_| OfferError::Open)?;
        socket.next = first;
        socket.wants.set(Wants::OFFERED);
        if let Some(queue) = listener(self.set.get_mut(self.handle)) {
            queue.spare = Link::to(spare);
        }
        Ok(())
    }
}
