//! UDP sockets.
//!
//! Invariant: a socket is in its table under the key its fields make, except between a change
//! of them and the next poll; until then `takes` decides what is its. Whatever went wrong is told
//! once.

use core::net::{IpAddr, SocketAddr};
use core::ops::DerefMut;

use super::queue::{Front, Queue};
use crate::iface::Wait;
use crate::net::Dest;
use crate::socket;
use crate::socket::mailbox::{Label, Meta, PushError};
use crate::transport::Endpoint;
use crate::transport::datagram::{Failure, RecvError, SendError, Why};
use crate::wire::checksum::copy_and_sum;
use crate::wire::{Sum, Udp as Header, protocol};

/// Octets that one datagram carries at most over IPv4.
pub const MAX_DATA: usize = 65_535 - 20 - 8;

/// A UDP socket with buffers `B`, which are lent or owned.
///
/// ```
/// use netstrata::udp::UdpSocket;
/// let mut socket = UdpSocket::new(7, vec![0; 4096], vec![0; 4096]);
/// socket.send_to(b"hello", ([192, 0, 2, 1], 7).into()).unwrap();
/// ```
#[derive(Debug)]
pub struct UdpSocket<B> {
    ip: Option<IpAddr>,
    port: u16,
    peer: Option<SocketAddr>,
    /// Our side's address while connected, once the route told it.
    source: Option<IpAddr>,
    pub(super) rx: Queue<B>,
    pub(super) tx: Queue<B>,
    ttl: Option<u8>,
    tos: u8,
    dont_fragment: bool,
    broadcast: bool,
    failure: Option<Failure>,
    /// Its key may not be what the table knows.
    renamed: bool,
    /// Another socket has its name, until it gets another.
    refused: bool,
    /// Somebody was refused for want of room.
    full: bool,
    released: bool,
}

/// A datagram that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Octets copied to the caller.
    pub len: usize,
    /// Octets the datagram had. What is above `len` is lost.
    pub sent: usize,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address it was sent to: one of ours, a broadcast address or a group.
    pub local: IpAddr,
    /// Hops it had left.
    pub ttl: u8,
    /// Its DSCP and ECN bits.
    pub tos: u8,
}

impl Received {
    /// Did the datagram exceed the caller's buffer?
    pub const fn truncated(&self) -> bool {
        self.len < self.sent
    }
}

/// What a socket needs before it can be found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub ip: Option<IpAddr>,
    pub port: u16,
    /// Whose route tells our address.
    pub towards: Option<IpAddr>,
}

impl<B: DerefMut<Target = [u8]>> UdpSocket<B> {
    /// A socket on `port` of all our addresses; 0 leaves the port to the stack, which picks one
    /// nobody can guess (RFC 6056) when the first datagram is sent. `rx` keeps what comes, `tx`
    /// what is to be sent: 19 octets for each datagram and its data.
    pub const fn new(port: u16, rx: B, tx: B) -> Self {
        Self {
            ip: None,
            port,
            peer: None,
            source: None,
            rx: Queue::new(rx),
            tx: Queue::new(tx),
            ttl: None,
            tos: 0,
            dont_fragment: false,
            broadcast: false,
            failure: None,
            renamed: false,
            refused: false,
            full: false,
            released: false,
        }
    }

    /// Binds to `port` of one address of ours, or of all with `None`. Takes effect when the
    /// socket is opened, or at the next poll; [`Why::InUse`] is then the failure if another socket
    /// has both.
    pub fn bind(&mut self, ip: Option<IpAddr>, port: u16) {
        (self.ip, self.port) = (ip.filter(|ip| !ip.is_unspecified()), port);
        self.rename();
    }

    /// Sends to `peer` and hears of `peer` only, from now on. What others sent before stays.
    ///
    /// # Errors
    /// [`SendError::BadDestination`] if port or address are zero.
    pub fn connect(&mut self, peer: SocketAddr) -> Result<(), SendError> {
        check(peer)?;
        self.peer = Some(peer);
        self.rename();
        Ok(())
    }

    /// Hears of everybody again.
    pub fn disconnect(&mut self) {
        self.peer = None;
        self.rename();
    }

    fn rename(&mut self) {
        (self.source, self.renamed, self.refused) = (None, true, false);
    }

    /// The address it is bound to, or sends from while connected; `None` for all of ours.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.ip.or(self.source)
    }

    /// The port, once it has one.
    pub fn local_port(&self) -> Option<u16> {
        (self.port != 0).then_some(self.port)
    }

    /// The one peer, if connected.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Hops that datagrams may take; `None` for the usual 64, or 1 to groups.
    pub fn set_ttl(&mut self, ttl: Option<u8>) {
        self.ttl = ttl.filter(|ttl| *ttl != 0);
    }

    /// DSCP and ECN bits of datagrams.
    pub fn set_tos(&mut self, tos: u8) {
        self.tos = tos;
    }

    /// Forbids fragmentation, here and on the way: what is too big then fails with
    /// [`Why::TooBig`].
    pub fn set_dont_fragment(&mut self, on: bool) {
        self.dont_fragment = on;
    }

    /// Allows sending to broadcast addresses.
    pub fn set_broadcast(&mut self, on: bool) {
        self.broadcast = on;
    }

    /// Queues a datagram to `peer`. It leaves at the next poll; what exceeds the link or path is
    /// fragmented. Those to one peer that follow each other with equal sizes leave as one frame
    /// where the device cuts it apart: on the wire they are the same, in the same order.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::TooLong`] (above [`MAX_DATA`] or the whole buffer),
    /// [`SendError::BadDestination`], [`SendError::Broadcast`].
    #[inline]
    pub fn send_to(&mut self, data: &[u8], peer: SocketAddr) -> Result<(), SendError> {
        self.send_meta(data, &Meta::new(peer))
    }

    /// Queues a datagram to the peer it is connected to.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to), and [`SendError::NotConnected`], and
    /// [`SendError::Failed`] for what became of an earlier one.
    pub fn send(&mut self, data: &[u8]) -> Result<(), SendError> {
        let peer = self.peer.ok_or(SendError::NotConnected)?;
        if let Some(failure) = self.failure.take() {
            return Err(SendError::Failed(failure));
        }
        self.send_to(data, peer)
    }

    /// Queues a datagram with its own source address (`local`, unspecified for the usual), TTL and
    /// service (0 for those of the socket).
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to). That `local` is not ours shows later, as
    /// [`Why::NoRoute`].
    pub fn send_meta(&mut self, data: &[u8], meta: &Meta) -> Result<(), SendError> {
        self.send_with(data.len(), meta, |room| {
            room.copy_from_slice(data);
            data.len()
        })
    }

    /// Queues a datagram of at most `max` octets that `fill` writes in place; it returns how many
    /// it wrote. As [`send_meta`](Self::send_meta) otherwise.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to), before `fill` is called.
    #[inline]
    pub fn send_with(
        &mut self,
        max: usize,
        meta: &Meta,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<(), SendError> {
        self.admits(meta.peer, max)?;
        let pushed = self.tx.push_with(meta, max, fill);
        self.pushed(pushed)
    }

    /// May `len` octets be sent to `peer`?
    #[inline]
    pub(super) fn admits(&self, peer: SocketAddr, len: usize) -> Result<(), SendError> {
        check(peer)?;
        let everybody = IpAddr::V4(core::net::Ipv4Addr::BROADCAST);
        if peer.ip() == everybody && !self.broadcast {
            return Err(SendError::Broadcast);
        }
        if len > MAX_DATA {
            return Err(SendError::TooLong);
        }
        Ok(())
    }

    /// Remembers whether somebody waits for room.
    #[inline]
    pub(super) fn pushed<T>(&mut self, pushed: Result<T, PushError>) -> Result<T, SendError> {
        match pushed {
            Ok(_) => self.full = false,
            Err(PushError::Full) => self.full = true,
            Err(PushError::TooLong) => {}
        }
        pushed.map_err(SendError::from)
    }

    /// Copies the oldest datagram to `to`; what does not fit is lost, as
    /// [`Received::truncated`] tells.
    ///
    /// # Errors
    /// [`RecvError::Empty`]; on a connected socket [`RecvError::Failed`] for what became of one
    /// that was sent.
    #[inline]
    pub fn recv_from(&mut self, to: &mut [u8]) -> Result<Received, RecvError> {
        self.recv_with(|meta, data| {
            let len = data.len().min(to.len());
            if let (Some(to), Some(from)) = (to.get_mut(..len), data.get(..len)) {
                to.copy_from_slice(from);
            }
            Received {
                len,
                sent: data.len(),
                peer: meta.peer,
                local: meta.local,
                ttl: meta.ttl,
                tos: meta.tos,
            }
        })
    }

    /// Hands the oldest datagram to `f`, in place.
    ///
    /// # Errors
    /// As [`recv_from`](Self::recv_from).
    #[inline]
    pub fn recv_with<R>(&mut self, f: impl FnOnce(&Meta, &[u8]) -> R) -> Result<R, RecvError> {
        let Some(result) = self.rx.front().map(|(meta, data)| f(&meta, data)) else {
            return Err(self.nothing());
        };
        self.rx.pop();
        Ok(result)
    }

    /// Why there is nothing to be received.
    pub(super) fn nothing(&mut self) -> RecvError {
        let connected = self.peer.is_some();
        match self.failure.take_if(|_| connected) {
            Some(failure) => RecvError::Failed(failure),
            None => RecvError::Empty,
        }
    }

    /// The oldest datagram, which stays.
    pub fn peek(&self) -> Option<(Meta, &[u8])> {
        self.rx.front()
    }

    /// What went wrong last, told once.
    pub fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// How many datagrams wait to be read.
    pub fn readable(&self) -> usize {
        self.rx.len()
    }

    /// How many datagrams wait to be sent.
    pub fn queued(&self) -> usize {
        self.tx.len()
    }

    /// Octets of the longest datagram that could be queued now; `None` for not even an empty one.
    pub fn writable(&self) -> Option<usize> {
        self.tx.free().map(|free| free.min(MAX_DATA))
    }

    /// Is it found by the key it has, which no change has overtaken?
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        !self.renamed
    }

    /// Does it take what `peer` sends?
    #[inline]
    pub(super) fn takes(&self, peer: SocketAddr) -> bool {
        !self.released && self.peer.is_none_or(|only| only == peer)
    }

    /// Takes a received datagram; false if there is no room.
    #[inline]
    pub(super) fn deliver(&mut self, meta: &Meta, data: &[u8]) -> bool {
        let write = |room: &mut [u8]| {
            room.copy_from_slice(data);
            data.len()
        };
        self.rx.push_with(meta, data.len(), write).is_ok()
    }

    /// Takes a further datagram from the same peer to the same address, if the sum of its data
    /// completes `sum`; false, and nothing done, if it does not or there is no room.
    #[inline]
    pub(super) fn deliver_like(&mut self, label: &Label, data: &[u8], sum: Option<Sum>) -> bool {
        self.rx.push_like(label, data.len(), |room| match sum {
            Some(sum) => {
                copy_and_sum(room, data).is_some_and(|data| sum.add_sum(data).finish() == 0)
            }
            None => {
                room.copy_from_slice(data);
                true
            }
        })
    }

    /// Something went wrong.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    /// The route to the peer, or to the first destination, does not exist.
    pub(super) fn no_way(&mut self, why: Why) {
        let peer = self.peer.or_else(|| self.tx.front().map(|(m, _)| m.peer));
        if let Some(peer) = peer {
            self.failure = Some(Failure { why, peer });
        }
        // Not asked again before something changes; what is queued fails by itself.
        self.renamed = false;
    }

    /// The local side is taken, or there is no port left.
    pub(super) fn refuse(&mut self) {
        let unspecified = IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
        let local = SocketAddr::new(self.local_ip().unwrap_or(unspecified), self.port);
        self.failure = Some(Failure {
            why: Why::InUse,
            peer: local,
        });
        // Without a port it tries again with the next datagram.
        (self.refused, self.renamed) = (self.port != 0, false);
    }

    /// Has it no name to send under?
    pub(super) fn is_nameless(&self) -> bool {
        self.refused || self.port == 0
    }

    /// What is missing for the table to know it by its present key.
    pub(super) fn lacks(&mut self) -> Option<Need> {
        if self.released || self.refused {
            return None;
        }
        let next = self.tx.front().map(|(meta, _)| meta.peer.ip());
        // A connected one tries once without a datagram, or it would fail at every look.
        let connects = self.peer.is_some() && self.renamed;
        let needs_port = self.port == 0 && (next.is_some() || connects);
        if !needs_port && (!self.renamed || self.port == 0) {
            return None;
        }
        Some(Need {
            ip: self.ip,
            port: self.port,
            towards: match (self.peer, self.port) {
                (Some(peer), _) => Some(peer.ip()),
                (None, 0) => next,
                (None, _) => None,
            },
        })
    }

    /// It has this port from now on, and, if connected, this address.
    pub(super) fn name(&mut self, port: u16, source: Option<IpAddr>) {
        self.port = port;
        self.source = source.filter(|_| self.peer.is_some());
        self.renamed = false;
    }

    /// The header of what is sent to `peer`.
    #[inline]
    pub(super) fn header(&self, peer: SocketAddr) -> Header {
        Header {
            src: self.port,
            dst: peer.port(),
        }
    }

    pub(super) fn broadcast(&self) -> bool {
        self.broadcast
    }

    pub(super) fn is_released(&self) -> bool {
        self.released
    }

    /// What is sent to where the oldest datagram is sent to has this label.
    #[inline]
    pub(super) fn label(&self) -> Option<Label> {
        self.tx.label()
    }

    /// Takes out the oldest datagram to be sent, if its label is `label` and `send` sends it.
    #[inline]
    pub(super) fn send_front(&mut self, label: &Label, send: impl FnOnce(&[u8]) -> bool) -> bool {
        self.tx.pop_of(label, send)
    }

    /// The oldest datagrams to be sent, those of one record.
    pub(super) fn front(&self) -> Option<(Dest, Front<'_>)> {
        let front = self.tx.front_run()?;
        let meta = &front.meta;
        let own = (!meta.local.is_unspecified()).then_some(meta.local);
        let to = Dest {
            src: own.or(self.ip).or(self.source),
            ttl: match meta.ttl {
                0 => self.ttl,
                ttl => Some(ttl),
            },
            tos: match meta.tos {
                0 => self.tos,
                tos => tos,
            },
            dont_fragment: self.dont_fragment,
            wait: Wait::Queue,
            ..Dest::new(meta.peer.ip(), protocol::UDP)
        };
        Some((to, front))
    }

    /// Makes one record of what is oldest and goes the same way in equal sizes, of `most` octets.
    pub(super) fn join(&mut self, most: usize) {
        self.tx.join(most);
    }

    /// Forgets the oldest `n` datagrams to be sent, of one record.
    pub(super) fn pop(&mut self, n: usize) {
        self.tx.pop_some(n);
    }

    /// True if somebody waits for room, of which there is now more.
    pub(super) fn takes_more(&mut self) -> bool {
        core::mem::take(&mut self.full)
    }
}

/// May one send to `peer`?
fn check(peer: SocketAddr) -> Result<(), SendError> {
    if peer.port() == 0 || peer.ip().is_unspecified() || peer.is_ipv6() {
        return Err(SendError::BadDestination);
    }
    Ok(())
}

impl<B: DerefMut<Target = [u8]>> socket::Socket for UdpSocket<B> {
    type Key = Endpoint;

    fn key(&self) -> Option<Endpoint> {
        if self.is_nameless() || self.released {
            return None;
        }
        Some(match (self.peer, self.ip.or(self.source)) {
            (Some(peer), Some(ip)) => Endpoint::flow(SocketAddr::new(ip, self.port), peer),
            (_, ip) => Endpoint::bound(ip, self.port),
        })
    }

    /// What is queued is sent first.
    fn release(&mut self) -> bool {
        self.rx.clear();
        self.released = true;
        self.tx.is_empty()
    }
}
