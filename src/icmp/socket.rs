//! Sockets that send echo requests and hear what becomes of them.
//!
//! Invariant: a socket is found by its identifier, which is never 0; what it receives is
//! stamped with the time of the poll that received it.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::DerefMut;
use phy::Instant;

use crate::iface::Wait;
use crate::net::{Dest, ErrorKind, IcmpError};
use crate::socket;
use crate::socket::mailbox::{Mailbox, Meta};
use crate::transport::datagram::{SendError, Why};
use crate::wire::{IpHeader, protocol};

/// A socket of echo requests, and of the replies and errors they cause.
///
/// ```
/// use netstrata::icmp::PingSocket;
/// let mut ping = PingSocket::new(0, vec![0; 4096], vec![0; 4096]);
/// ping.send_to([10, 0, 0, 2].into(), 1, b"hello", None).unwrap();
/// ```
#[derive(Debug)]
pub struct PingSocket<B> {
    ident: u16,
    rx: Mailbox<B>,
    tx: Mailbox<B>,
    source: Option<IpAddr>,
    tos: u8,
    dont_fragment: bool,
    broadcast: bool,
    full: bool,
    /// Given up: what is queued is still sent.
    released: bool,
}

/// What became of an echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// Who says so: the host asked, as a rule, or a router that reports an error; our own address
    /// for what our own host found out.
    pub from: IpAddr,
    /// Whom an error is about; with a reply our address that it came to.
    pub about: IpAddr,
    /// Number of the request.
    pub seq: u16,
    /// Time to live of the packet that told; 0 when none did.
    pub ttl: u8,
    /// When it was received: the time of that poll.
    pub when: Instant,
    /// What happened.
    pub event: Event<'a>,
}

/// What happened to an echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A reply with this data came.
    Reply(&'a [u8]),
    /// An ICMP error came, or the next hop did not answer our own host.
    Error(ErrorKind),
    /// Our own host could not send it.
    NotSent(Why),
}

/// A reply has its time before the data; anything else its time, a code and a number.
const STAMP: usize = 8;
const ERROR: usize = STAMP + 3;

impl<B: DerefMut<Target = [u8]>> PingSocket<B> {
    /// A socket with the identifier `ident`, which 0 leaves to the stack to choose when the first
    /// request is sent. `rx` keeps what comes (27 octets each and the data), `tx` what is to be
    /// sent (19 octets each and the data).
    pub const fn new(ident: u16, rx: B, tx: B) -> Self {
        Self {
            ident,
            rx: Mailbox::new(rx),
            tx: Mailbox::new(tx),
            source: None,
            tos: 0,
            dont_fragment: false,
            broadcast: false,
            full: false,
            released: false,
        }
    }

    /// The identifier, once it has one.
    pub fn ident(&self) -> Option<u16> {
        (self.ident != 0).then_some(self.ident)
    }

    /// Sends from this address of ours instead of the one that suits the route.
    pub fn set_source(&mut self, source: Option<IpAddr>) {
        self.source = source;
    }

    /// DSCP and ECN bits of requests.
    pub fn set_tos(&mut self, tos: u8) {
        self.tos = tos;
    }

    /// Forbids fragmentation of requests, here and on the way.
    pub fn set_dont_fragment(&mut self, on: bool) {
        self.dont_fragment = on;
    }

    /// Allows requests to broadcast addresses.
    pub fn set_broadcast(&mut self, on: bool) {
        self.broadcast = on;
    }

    /// Queues an echo request number `seq` with `data`; `ttl` of `None` is the usual 64. What
    /// exceeds the link is fragmented.
    ///
    /// # Errors
    /// [`SendError::Full`], [`SendError::TooLong`] (above 65,507 octets or the buffer),
    /// [`SendError::BadDestination`], [`SendError::Broadcast`].
    pub fn send_to(
        &mut self,
        dst: IpAddr,
        seq: u16,
        data: &[u8],
        ttl: Option<u8>,
    ) -> Result<(), SendError> {
        if dst.is_unspecified() || dst.is_ipv6() {
            return Err(SendError::BadDestination);
        }
        if dst == IpAddr::V4(Ipv4Addr::BROADCAST) && !self.broadcast {
            return Err(SendError::Broadcast);
        }
        if data.len() > MAX_DATA {
            return Err(SendError::TooLong);
        }
        let meta = Meta {
            ttl: ttl.unwrap_or(0),
            tag: seq.into(),
            ..Meta::new(SocketAddr::new(dst, 0))
        };
        let pushed = self.tx.push(&meta, data).map_err(SendError::from);
        match pushed {
            Ok(()) => self.full = false,
            Err(SendError::Full) => self.full = true,
            Err(_) => {}
        }
        pushed
    }

    /// Hands the oldest thing received to `f`; `None` if there is nothing.
    pub fn recv<R>(&mut self, f: impl FnOnce(Received<'_>) -> R) -> Option<R> {
        let result = self.peek().map(f);
        if result.is_some() {
            self.rx.pop();
        }
        result
    }

    /// The oldest thing received.
    pub fn peek(&self) -> Option<Received<'_>> {
        let (meta, record) = self.rx.front()?;
        let (stamp, rest) = record.split_first_chunk::<STAMP>()?;
        let event = match ((meta.tag >> 16) as u8, rest) {
            (0, data) => Event::Reply(data),
            (code, [hi, lo, why]) => decode(code, *why, u16::from_be_bytes([*hi, *lo]))?,
            _ => return None,
        };
        Some(Received {
            from: meta.peer.ip(),
            about: meta.local,
            seq: meta.tag as u16,
            ttl: meta.ttl,
            when: Instant::from_micros(u64::from_le_bytes(*stamp)),
            event,
        })
    }

    /// How many things were received and not yet taken.
    pub fn readable(&self) -> usize {
        self.rx.len()
    }

    /// How many requests are queued.
    pub fn queued(&self) -> usize {
        self.tx.len()
    }

    pub(super) fn broadcast(&self) -> bool {
        self.broadcast
    }

    pub(super) fn is_released(&self) -> bool {
        self.released
    }

    pub(super) fn name(&mut self, ident: u16) {
        self.ident = ident;
    }

    /// The oldest request to be sent.
    pub(super) fn front(&self) -> Option<(Dest, u16, &[u8])> {
        let (meta, data) = self.tx.front()?;
        let to = Dest {
            src: self.source,
            ttl: (meta.ttl != 0).then_some(meta.ttl),
            tos: self.tos,
            dont_fragment: self.dont_fragment,
            wait: Wait::Queue,
            ..Dest::new(meta.peer.ip(), protocol::ICMP)
        };
        Some((to, meta.tag as u16, data))
    }

    /// Forgets the oldest request; true if somebody waits for room.
    pub(super) fn pop(&mut self) -> bool {
        self.tx.pop();
        core::mem::take(&mut self.full)
    }

    /// A reply came; false if there is no room for it.
    pub(super) fn reply(&mut self, now: Instant, ip: &IpHeader, seq: u16, data: &[u8]) -> bool {
        let meta = Meta {
            local: ip.dst,
            ttl: ip.ttl,
            tos: ip.tos,
            tag: seq.into(),
            ..Meta::new(SocketAddr::new(ip.src, 0))
        };
        let len = STAMP.saturating_add(data.len());
        let pushed = self.rx.push_with(&meta, len, |room| {
            if let Some((stamp, to)) = room.split_first_chunk_mut() {
                *stamp = now.micros().to_le_bytes();
                to.copy_from_slice(data);
            }
            len
        });
        pushed.is_ok()
    }

    /// An ICMP error about request `seq` came; false if there is no room for it.
    pub(super) fn failed(&mut self, now: Instant, error: &IcmpError<'_>, seq: u16) -> bool {
        let event = Event::Error(error.kind);
        self.tell(now, error.from, error.quoted.dst, seq, event)
    }

    /// Request `seq` to `dst` could not be sent, from `us` if the way there is known.
    pub(super) fn lost(
        &mut self,
        now: Instant,
        (us, dst): (Option<IpAddr>, IpAddr),
        seq: u16,
        why: Why,
    ) {
        let from = us.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let event = match why {
            Why::Icmp(kind) => Event::Error(kind),
            why => Event::NotSent(why),
        };
        self.tell(now, from, dst, seq, event);
    }

    fn tell(
        &mut self,
        now: Instant,
        from: IpAddr,
        about: IpAddr,
        seq: u16,
        event: Event<'_>,
    ) -> bool {
        let (code, why, number) = encode(event);
        let meta = Meta {
            local: about,
            tag: u32::from(code) << 16 | u32::from(seq),
            ..Meta::new(SocketAddr::new(from, 0))
        };
        let [hi, lo] = number.to_be_bytes();
        let mut record = [0; ERROR];
        let octets = now.micros().to_le_bytes().into_iter().chain([hi, lo, why]);
        for (to, octet) in record.iter_mut().zip(octets) {
            *to = octet;
        }
        self.rx.push(&meta, &record).is_ok()
    }
}

/// Octets of data that one request carries at most.
const MAX_DATA: usize = 65_535 - 20 - 8;

/// Codes of events other than replies.
const BY_ICMP: u8 = 1;
const BY_US: u8 = 2;

fn encode(event: Event<'_>) -> (u8, u8, u16) {
    match event {
        Event::Reply(_) => (0, 0, 0),
        Event::Error(kind) => {
            let (why, number) = match kind {
                ErrorKind::NetUnreachable => (0, 0),
                ErrorKind::HostUnreachable => (1, 0),
                ErrorKind::ProtocolUnreachable => (2, 0),
                ErrorKind::PortUnreachable => (3, 0),
                ErrorKind::PacketTooBig(mtu) => (4, mtu),
                ErrorKind::SourceRouteFailed => (5, 0),
                ErrorKind::Prohibited => (6, 0),
                ErrorKind::TtlExceeded => (7, 0),
                ErrorKind::ReassemblyExceeded => (8, 0),
                ErrorKind::ParameterProblem(at) => (9, at.into()),
            };
            (BY_ICMP, why, number)
        }
        Event::NotSent(why) => match why {
            Why::NoRoute | Why::Icmp(_) => (BY_US, 0, 0),
            Why::TooBig(mtu) => (BY_US, 1, mtu),
            Why::Broadcast => (BY_US, 2, 0),
            Why::InUse => (BY_US, 3, 0),
        },
    }
}

fn decode(code: u8, why: u8, number: u16) -> Option<Event<'static>> {
    Some(match (code, why) {
        (BY_ICMP, 0) => Event::Error(ErrorKind::NetUnreachable),
        (BY_ICMP, 1) => Event::Error(ErrorKind::HostUnreachable),
        (BY_ICMP, 2) => Event::Error(ErrorKind::ProtocolUnreachable),
        (BY_ICMP, 3) => Event::Error(ErrorKind::PortUnreachable),
        (BY_ICMP, 4) => Event::Error(ErrorKind::PacketTooBig(number)),
        (BY_ICMP, 5) => Event::Error(ErrorKind::SourceRouteFailed),
        (BY_ICMP, 6) => Event::Error(ErrorKind::Prohibited),
        (BY_ICMP, 7) => Event::Error(ErrorKind::TtlExceeded),
        (BY_ICMP, 8) => Event::Error(ErrorKind::ReassemblyExceeded),
        (BY_ICMP, 9) => Event::Error(ErrorKind::ParameterProblem(number as u8)),
        (BY_US, 0) => Event::NotSent(Why::NoRoute),
        (BY_US, 1) => Event::NotSent(Why::TooBig(number)),
        (BY_US, 2) => Event::NotSent(Why::Broadcast),
        (BY_US, 3) => Event::NotSent(Why::InUse),
        _ => return None,
    })
}

impl<B: DerefMut<Target = [u8]>> socket::Socket for PingSocket<B> {
    type Key = u16;

    fn key(&self) -> Option<u16> {
        self.ident().filter(|_| !self.released)
    }

    /// What is queued is sent first.
    fn release(&mut self) -> bool {
        self.rx.clear();
        self.released = true;
        self.tx.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_the_mailbox() {
        let mut s = PingSocket::new(1, [0; 256].to_vec(), [0; 64].to_vec());
        let (us, them) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let when = Instant::from_micros(0x0102_0304_0506);
        let events = [
            Event::Error(ErrorKind::PacketTooBig(1400)),
            Event::Error(ErrorKind::ParameterProblem(20)),
            Event::Error(ErrorKind::TtlExceeded),
            Event::NotSent(Why::TooBig(1500)),
            Event::NotSent(Why::NoRoute),
        ];
        for event in events {
            assert!(s.tell(when, us, them, 77, event));
            s.recv(|r| {
                assert_eq!((r.event, r.seq, r.when), (event, 77, when));
                assert_eq!((r.from, r.about), (us, them));
            })
            .unwrap();
        }
        assert!(s.reply(when, &IpHeader::new(them, us, 1), 65_535, b"data"));
        let got = s.recv(|r| (r.seq, r.ttl, r.when, r.event == Event::Reply(b"data")));
        assert_eq!(got, Some((65_535, 64, when, true)));
        assert!(s.peek().is_none());
    }

    #[test]
    fn what_cannot_be_sent_is_refused_at_once() {
        let mut s = PingSocket::new(1, [0; 0].to_vec(), [0; 64].to_vec());
        let mut send = |dst: [u8; 4], len| s.send_to(dst.into(), 1, &[0; 65_508][..len], None);
        assert_eq!(send([0; 4], 1), Err(SendError::BadDestination));
        assert_eq!(send([255; 4], 1), Err(SendError::Broadcast));
        assert_eq!(send([10, 0, 0, 1], 65_508), Err(SendError::TooLong));
        assert_eq!(send([10, 0, 0, 1], 60), Err(SendError::TooLong));
        assert_eq!(send([10, 0, 0, 1], 40), Ok(()));
        assert_eq!(send([10, 0, 0, 1], 40), Err(SendError::Full));
    }
}
