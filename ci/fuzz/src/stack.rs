//! A whole host on a cable with a hostile peer at the other end. Shared by the fuzz target
//! `stack` and by `tests/hostile.rs`.
//!
//! Invariant checked: nothing panics; at any one time the host comes to rest; every frame it
//! sends is well formed and bears its own addresses; after a quiet time nothing is left of
//! what the peer did, and echo over ICMP and TCP is answered.

#![allow(dead_code, reason = "the fuzz target and the test each use a part")]

pub mod peer;
mod shape;

use arbitrary::{Result, Unstructured};
use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use netstrata::icmp::{Icmp, PingSocket};
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::socket::{Handle, SlabSockets, SocketSet};
use netstrata::tcp::congestion::Any;
use netstrata::tcp::{Config, Limits, RecvError, Shutdown, SocketOf, Tcp, TcpSocket};
use netstrata::udp::{Udp, UdpSocket};
use netstrata::wire::{self, Arp, Icmpv4, TcpFlags, ethertype, protocol};
use netstrata::{Next, Stack};
use peer::{ECHO, HOST, HOST_MAC, PEER, Peer};
use phy::{Cable, Device, End, Instant, RxMeta, TxMeta, TxToken};

type Connection = SocketOf<SlabSockets, Any>;
type Datagrams = UdpSocket<Box<[u8]>>;
type Pings = PingSocket<Box<[u8]>>;
type Layers = (Icmp, Udp, Tcp<Any>);

/// A secret that is the same in every run.
struct Dice(u64);

impl rand_core::TryRng for Dice {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| n as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        octets.fill_with(|| self.try_next_u64().map_or(0, |n| (n >> 56) as u8));
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Dice {}

/// The host under test, the application on it, and its peer.
pub struct Host {
    pub stack: Stack<Ethernet<End>, Ipv4, Layers, SlabSockets>,
    pub now: Instant,
    wire: End,
    peer: Peer,
    listener: Handle<Connection>,
    datagrams: Handle<Datagrams>,
    pings: Handle<Pings>,
    /// Connections that the echo service accepted.
    served: Vec<Handle<Connection>>,
    /// Connections that the application opened.
    clients: Vec<Handle<Connection>>,
    /// Frames sent by the host so far.
    pub sent: u64,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Octets echoed over TCP so far.
    pub echoed: u64,
}

impl Host {
    /// Connections at once.
    pub const LIMIT: usize = 64;
    /// Connections that the application opens at once.
    const CLIENTS: usize = 6;
    /// Turns after which a host that still has something to do at once has run wild.
    const TURNS: usize = 400;

    pub fn new() -> Self {
        Self::with(Config::default(), Limits::default())
    }

    /// One whose shape is drawn.
    pub fn shaped(u: &mut Unstructured<'_>) -> Result<Self> {
        let config = if u.arbitrary()? {
            shape::config(u.arbitrary()?)
        } else {
            Config::default()
        };
        Ok(Self::with(config, shape::limits(u.ratio(1, 4)?)))
    }

    fn with(config: Config, limits: Limits) -> Self {
        let (near, far) = Cable::new(1514);
        let mut stack = Stack::new(
            Ethernet::new(near, HOST_MAC),
            Ipv4::default().with(0, HOST, 24).gateway(0, PEER),
            (
                Icmp::default(),
                Udp::default(),
                Tcp::default().with_config(config).with_limits(limits),
            ),
            SlabSockets,
            &mut Dice(1),
        );
        stack
            .sockets::<Connection, _>()
            .set_limit(Self::LIMIT + 1 + Self::CLIENTS);
        let local = SocketAddr::new(HOST.into(), ECHO);
        let mut listener = TcpSocket::listener(local, 16);
        // Connections have their options from it: peers that fall silent are given up.
        shape::bounded(&mut listener);
        listener.set_fastopen(4);
        let buffer = || vec![0; 4096].into_boxed_slice();
        let pings = PingSocket::new(77, buffer(), buffer());
        Self {
            listener: stack.open(listener).expect("room"),
            datagrams: stack
                .open(UdpSocket::new(ECHO, buffer(), buffer()))
                .expect("room"),
            pings: stack.open(pings).expect("room"),
            stack,
            now: Instant::from_secs(1),
            wire: far,
            peer: Peer::default(),
            served: Vec::new(),
            clients: Vec::new(),
            sent: 0,
            accepted: 0,
            echoed: 0,
        }
    }

    /// A frame from the peer, or a use of the application, or time that passes.
    pub fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15)? {
            0 => {
                let us = 1 << u.int_in_range(0..=38)?;
                self.now += Duration::from_micros(us);
            }
            1 | 2 => self.use_sockets(u)?,
            _ => {
                let frame = self.peer.frame(u)?;
                self.deliver(&frame);
                // Sometimes several come at once.
                if u.ratio(1, 4)? {
                    return Ok(());
                }
            }
        }
        self.settle(|_| {});
        Ok(())
    }

    /// Puts a frame of the peer on the cable.
    pub fn deliver(&mut self, frame: &[u8]) {
        if let Some(token) = self.wire.transmit(self.now) {
            let fill = |to: &mut [u8]| {
                to.copy_from_slice(frame);
                Ok(())
            };
            // What the cable does not carry does not arrive.
            let _ = token.send(frame.len(), TxMeta::NONE, fill);
        }
    }

    /// Polls until the host rests, shows its frames to `see` and to the peer.
    pub fn settle(&mut self, mut see: impl FnMut(&[u8])) -> Option<Instant> {
        for _ in 0..Self::TURNS {
            let next = self.stack.poll(self.now);
            let busy = self.serve();
            let (mut answers, mut frames) = (Vec::new(), 0);
            let peer = &mut self.peer;
            let mut sink = |frame: &mut [u8], _: RxMeta| {
                check(frame);
                see(frame);
                answers.extend(peer.hear(frame));
                frames += 1;
            };
            self.wire.receive(self.now, usize::MAX, &mut sink);
            self.sent += frames;
            for answer in &answers {
                self.deliver(answer);
            }
            match next {
                Next::Wait { until, .. } if frames == 0 && !busy => return until,
                _ => {}
            }
        }
        panic!("the host does not come to rest");
    }

    /// The echo services. True if there was something to do.
    fn serve(&mut self) -> bool {
        let mut busy = false;
        while let Some(h) = self.stack.next_news::<Connection, _>() {
            busy = true;
            if h == self.listener {
                while let Some(accepted) = self.stack.socket(h).accept() {
                    self.served.push(accepted);
                    self.accepted += 1;
                }
            }
        }
        if busy {
            let (stack, echoed) = (&mut self.stack, &mut self.echoed);
            self.served.retain(|h| {
                let goes_on = stack.socket(*h).with(|s| echo(s, echoed)).unwrap_or(false);
                if !goes_on {
                    // However patient it was made: nobody can tell it otherwise from now on.
                    let _ = stack.socket(*h).with(shape::bounded);
                    let _ = stack.close(*h);
                }
                goes_on
            });
        }
        let mut octets = [0; 1500];
        while self.stack.next_news::<Datagrams, _>().is_some() {
            busy = true;
            let _ = self.stack.socket(self.datagrams).with(|s| {
                while let Ok(got) = s.recv_from(&mut octets) {
                    let _ = s.send_to(&octets[..got.len], got.peer);
                }
            });
        }
        while self.stack.next_news::<Pings, _>().is_some() {
            busy = true;
            let _ = self
                .stack
                .socket(self.pings)
                .with(|s| while s.recv(|_| ()).is_some() {});
        }
        busy
    }

    /// The application does something.
    fn use_sockets(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let to = |u: &mut Unstructured<'_>| -> Result<SocketAddr> {
            let ip = match u.int_in_range(0..=7)? {
                0 => u.arbitrary::<[u8; 4]>()?.into(),
                1 => [10, 0, 0, u.arbitrary()?].into(),
                _ => PEER,
            };
            Ok(SocketAddr::new(ip.into(), u.int_in_range(1000..=1015)?))
        };
        match u.int_in_range(0..=15)? {
            0 | 1 if self.clients.len() < Self::CLIENTS => {
                let mut client = TcpSocket::connecting(to(u)?);
                client.set_fastopen_connect(u.arbitrary()?);
                client.set_fastopen_no_cookie(u.ratio(1, 8)?);
                self.clients.extend(self.stack.open(client));
            }
            2 => {
                let (len, to) = (u.int_in_range(0..=3000)?, to(u)?);
                let _ = self
                    .stack
                    .socket(self.datagrams)
                    .with(|s| s.send_to(&vec![1; len], to));
            }
            3 => {
                let (seq, len, to) = (u.arbitrary()?, u.int_in_range(0..=3000)?, to(u)?.ip());
                let _ = self
                    .stack
                    .socket(self.pings)
                    .with(|s| s.send_to(to, seq, &vec![2; len], None));
            }
            12..=15 => self.use_served(u)?,
            what => self.use_client(u, what)?,
        }
        Ok(())
    }

    fn use_client(&mut self, u: &mut Unstructured<'_>, what: u8) -> Result<()> {
        let Some(last) = self.clients.len().checked_sub(1) else {
            return Ok(());
        };
        let at = u.int_in_range(0..=last)?;
        let len: usize = u.int_in_range(0..=20_000)?;
        let mut bound = self.stack.socket(self.clients[at]);
        let live = match what {
            10 | 11 => bound.with(|s| shape::set_option(s, u).is_ok()),
            4 | 5 => {
                let flags = shape::flags(u)?;
                bound.with(|s| s.send_with(&vec![3; len], flags).is_ok())
            }
            6 => bound.with(|s| s.recv(&mut vec![0; len]).is_ok()),
            7 => bound.with(|s| s.shutdown(Shutdown::Write)).map(|()| true),
            8 => bound.with(|s| s.abort()).map(|()| true),
            _ => Ok(true),
        };
        // Its handle is the application's until it closes it, whatever the peer does.
        assert!(live.is_ok(), "a socket went away unasked");
        if matches!(what, 8 | 9) {
            let h = self.clients.swap_remove(at);
            let _ = self.stack.socket(h).with(shape::bounded);
            assert_eq!(self.stack.close(h), Ok(()));
        }
        Ok(())
    }

    /// The application does something to a connection that it accepted.
    fn use_served(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(last) = self.served.len().checked_sub(1) else {
            return Ok(());
        };
        let mut bound = self.stack.socket(self.served[u.int_in_range(0..=last)?]);
        // More than the peer asked for.
        let len: usize = u.int_in_range(0..=100_000)?;
        let flags = shape::flags(u)?;
        let _ = match u.int_in_range(0..=7)? {
            0..=3 => bound.with(|s| s.send_with(&vec![4; len], flags).is_ok()),
            4 => bound.with(|s| s.shutdown(Shutdown::Write)).map(|()| true),
            _ => bound.with(|s| shape::set_option(s, u).is_ok()),
        };
        Ok(())
    }

    /// Lets some hours pass in which nobody does anything, timer by timer.
    pub fn quiet(&mut self) {
        for h in std::mem::take(&mut self.clients) {
            let _ = self.stack.socket(h).with(shape::bounded);
            assert_eq!(self.stack.close(h), Ok(()));
        }
        for h in &self.served {
            let _ = self.stack.socket(*h).with(shape::bounded);
        }
        let end = self.now + Duration::from_secs(4 * 3600);
        let mut turns = 0;
        while let Some(until) = self.settle(|_| {})
            && until < end
        {
            self.now = until.max(self.now + Duration::from_micros(1));
            turns += 1;
            assert!(turns < 100_000, "timers without end");
        }
        self.now = end;
        self.settle(|_| {});
        let left = self.stack.sockets::<Connection, _>().len();
        assert_eq!(left, 1, "more than the listener is left");
        assert_eq!(self.stack.net.reassembling(), 0);
    }

    /// Echo over ICMP and over TCP, by hand.
    pub fn assert_alive(&mut self) {
        let ask = Icmpv4::EchoRequest { ident: 1, seq: 1 };
        let message = peer::icmp_message(&ask, b"are you there?");
        let ip = wire::Ipv4::new(PEER, HOST, protocol::ICMP);
        let reply = self.exchange(&ip, &message, |ip, body| {
            ip.protocol == protocol::ICMP
                && Icmpv4::parse(body)
                    == Ok((Icmpv4::EchoReply { ident: 1, seq: 1 }, b"are you there?"))
        });
        assert!(reply, "no ICMP echo");

        let ip = wire::Ipv4::new(PEER, HOST, protocol::TCP);
        let mut say = |seq: u32, flags: TcpFlags, text: &[u8], wanted: &[u8]| {
            let ack = self.peer.flow(ECHO, 2000).map_or(0, |flow| flow.ack);
            let tcp = wire::Tcp {
                src: 2000,
                dst: ECHO,
                seq,
                ack,
                flags,
                window: 8000,
                urgent: 0,
            };
            let segment = peer::tcp_segment(&ip.header(), &tcp, &[], text);
            self.exchange(&ip, &segment, |ip, body| {
                ip.protocol == protocol::TCP
                    && matches!(wire::Tcp::parse(body), Ok((tcp, _, text))
                        if tcp.dst == 2000 && !tcp.flags.rst() && text == wanted)
            })
        };
        let (ack, push) = (TcpFlags::ACK, TcpFlags::PSH | TcpFlags::ACK);
        assert!(say(9000, TcpFlags::SYN, b"", b""), "no SYN-ACK");
        say(9001, ack, b"", b"");
        assert!(say(9001, push, b"and now?", b"and now?"), "no TCP echo");
        say(9009, TcpFlags::RST, b"", b"");
    }

    /// Sends a packet of the peer; was one of the frames that came back `wanted`?
    fn exchange(
        &mut self,
        ip: &wire::Ipv4,
        payload: &[u8],
        wanted: impl Fn(&wire::Ipv4, &[u8]) -> bool,
    ) -> bool {
        let mut found = false;
        self.deliver(&peer::ip_frame(ip, &[], payload));
        self.settle(|frame| {
            if let Some((_, packet)) = wire::Ethernet::split(frame)
                && let Ok((ip, _, body)) = wire::Ipv4::parse(packet)
            {
                found |= wanted(&ip, body);
            }
        });
        found
    }
}

/// Sends back what has come, as far as there is room. False when the connection is done.
fn echo(s: &mut Connection, echoed: &mut u64) -> bool {
    let mut octets = [0; 512];
    loop {
        let room = s.writable().min(octets.len());
        if room == 0 && s.can_send() {
            return true;
        }
        match s.recv(&mut octets[..room]) {
            Ok(0) => return false,
            Ok(n) => {
                assert_eq!(s.send(&octets[..n]), Ok(n), "there was room");
                *echoed += n as u64;
            }
            Err(RecvError::Empty) => return true,
            Err(_) => return false,
        }
    }
}

/// Panics unless a frame is one that a decent host sends.
fn check(frame: &[u8]) {
    let dump = wire::Dump::ethernet(frame);
    assert!(frame.len() <= 1514, "too long: {dump:?}");
    let (eth, packet) = wire::Ethernet::split(frame).expect("an Ethernet header");
    assert_eq!(eth.src, HOST_MAC, "{dump:?}");
    if eth.kind == ethertype::ARP {
        let h = packet.first_chunk().expect("an ARP message");
        let arp = Arp::parse(h).expect("for IPv4");
        assert_eq!(arp.sender.0, HOST_MAC, "{dump:?}");
        return;
    }
    let (ip, _, body) = wire::Ipv4::parse(packet).unwrap_or_else(|e| panic!("{e}: {dump:?}"));
    assert_eq!((eth.kind, ip.src), (ethertype::IPV4, HOST), "{dump:?}");
    assert!(!eth.dst.is_broadcast() && ip.ttl > 0, "{dump:?}");
    if ip.is_fragment() {
        return;
    }
    let right = match ip.protocol {
        protocol::ICMP => Icmpv4::parse(body).is_ok(),
        protocol::UDP => wire::Udp::verify(&ip.header(), body).is_ok(),
        protocol::TCP => {
            wire::Tcp::verify(&ip.header(), body).is_ok() && wire::Tcp::parse(body).is_ok()
        }
        _ => false,
    };
    assert!(right, "{dump:?}");
}

/// A life of the host: what `octets` say happens, then a quiet time, then the question.
pub fn run(octets: &[u8]) {
    let mut u = Unstructured::new(octets);
    let Ok(mut host) = Host::shaped(&mut u) else {
        return;
    };
    while !u.is_empty() && host.step(&mut u).is_ok() {}
    host.quiet();
    host.assert_alive();
}
