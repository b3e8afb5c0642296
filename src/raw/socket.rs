//! Sockets that send and receive packets of one IP protocol.
//!
//! Invariant: a socket is found by its protocol number; it sees payloads behind the IP header,
//! reassembled, and whatever checksums they carry are its own business.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::DerefMut;

use crate::iface::Wait;
use crate::net::{Dest, Ingress};
use crate::socket;
use crate::socket::mailbox::{Mailbox, Meta};
use crate::transport::datagram::{Failure, SendError};
use crate::wire::IpHeader;

/// A socket of one IP protocol.
#[derive(Debug)]
pub struct RawSocket<B> {
    proto: u8,
    rx: Mailbox<B>,
    tx: Mailbox<B>,
    dont_fragment: bool,
    broadcast: bool,
    failure: Option<Failure>,
    full: bool,
    released: bool,
}

/// Octets behind an IPv4 header at most.
const MAX_DATA: usize = 65_535 - 20;

impl<B: DerefMut<Target = [u8]>> RawSocket<B> {
    /// A socket of IP protocol `proto`, which the stack's [`Raw`](super::Raw) must claim. `rx`
    /// keeps what comes, `tx` what is to be sent: 19 octets for each packet and its payload.
    pub const fn new(proto: u8, rx: B, tx: B) -> Self {
        Self {
            proto,
            rx: Mailbox::new(rx),
            tx: Mailbox::new(tx),
            dont_fragment: false,
            broadcast: false,
            failure: None,
            full: false,
            released: false,
        }
    }

    /// The protocol.
    pub fn protocol(&self) -> u8 {
        self.proto
    }

    /// Forbids fragmentation, here and on the way.
    pub fn set_dont_fragment(&mut self, on: bool) {
        self.dont_fragment = on;
    }

    /// Allows sending to broadcast addresses.
    pub fn set_broadcast(&mut self, on: bool) {
        self.broadcast = on;
    }

    /// Queues a packet with `payload` behind its IP header. Of `ip` it takes destination, source
    /// (unspecified for the one that suits the route), TTL (0 for the usual) and service; the
    /// protocol is the socket's.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::TooLong`] (above 65,515 octets or the whole buffer),
    /// [`SendError::BadDestination`], [`SendError::Broadcast`].
    pub fn send(&mut self, ip: &IpHeader, payload: &[u8]) -> Result<(), SendError> {
        if ip.dst.is_unspecified() || ip.dst.is_ipv6() {
            return Err(SendError::BadDestination);
        }
        if ip.dst == IpAddr::V4(Ipv4Addr::BROADCAST) && !self.broadcast {
            return Err(SendError::Broadcast);
        }
        if payload.len() > MAX_DATA {
            return Err(SendError::TooLong);
        }
        let meta = Meta {
            peer: SocketAddr::new(ip.dst, 0),
            local: ip.src,
            ttl: ip.ttl,
            tos: ip.tos,
            tag: 0,
        };
        let pushed = self.tx.push(&meta, payload).map_err(SendError::from);
        match pushed {
            Ok(()) => self.full = false,
            Err(SendError::Full) => self.full = true,
            Err(_) => {}
        }
        pushed
    }

    /// Queues a packet to `dst`, with the usual header.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_to(&mut self, payload: &[u8], dst: IpAddr) -> Result<(), SendError> {
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let ip = IpHeader {
            ttl: 0,
            ..IpHeader::new(any, dst, self.proto)
        };
        self.send(&ip, payload)
    }

    /// Hands header and payload of the oldest packet to `f`; `None` if there is none.
    pub fn recv<R>(&mut self, f: impl FnOnce(&IpHeader, &[u8]) -> R) -> Option<R> {
        let result = self.peek().map(|(ip, payload)| f(&ip, payload));
        if result.is_some() {
            self.rx.pop();
        }
        result
    }

    /// The oldest packet, which stays.
    pub fn peek(&self) -> Option<(IpHeader, &[u8])> {
        let (meta, payload) = self.rx.front()?;
        let ip = IpHeader {
            src: meta.peer.ip(),
            dst: meta.local,
            proto: self.proto,
            ttl: meta.ttl,
            tos: meta.tos,
        };
        Some((ip, payload))
    }

    /// What went wrong last, told once.
    pub fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    /// How many packets wait to be read.
    pub fn readable(&self) -> usize {
        self.rx.len()
    }

    pub(super) fn deliver(&mut self, packet: &Ingress<'_>) -> bool {
        let meta = Meta {
            peer: SocketAddr::new(packet.ip.src, 0),
            local: packet.ip.dst,
            ttl: packet.ip.ttl,
            tos: packet.ip.tos,
            tag: 0,
        };
        !self.released && self.rx.push(&meta, packet.payload).is_ok()
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    pub(super) fn broadcast(&self) -> bool {
        self.broadcast
    }

    pub(super) fn is_released(&self) -> bool {
        self.released
    }

    pub(super) fn front(&self) -> Option<(Dest, &[u8])> {
        let (meta, payload) = self.tx.front()?;
        let to = Dest {
            src: (!meta.local.is_unspecified()).then_some(meta.local),
            ttl: (meta.ttl != 0).then_some(meta.ttl),
            tos: meta.tos,
            dont_fragment: self.dont_fragment,
            wait: Wait::Queue,
            ..Dest::new(meta.peer.ip(), self.proto)
        };
        Some((to, payload))
    }

    /// Forgets the oldest packet to be sent; true if somebody waits for room.
    pub(super) fn pop(&mut self) -> bool {
        self.tx.pop();
        core::mem::take(&mut self.full)
    }
}

impl<B: DerefMut<Target = [u8]>> socket::Socket for RawSocket<B> {
    type Key = u8;

    fn key(&self) -> Option<u8> {
        (!self.released).then_some(self.proto)
    }

    /// What is queued is sent first.
    fn release(&mut self) -> bool {
        self.rx.clear();
        self.released = true;
        self.tx.is_empty()
    }
}
