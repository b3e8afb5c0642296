//! The host at the other end of an in-memory cable: it answers pings, and runs the small
//! services that hosts once had, so that there is somebody to talk to without any privilege.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::boxed::Box;
use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

use phy::Instant;

use crate::host::open::{AnyDevice, Opened, os_rng};
use crate::host::pattern::Pattern;
use crate::host::pump::{self, Broken, Moved};
use crate::host::run::Poll;
use crate::icmp::Icmp;
use crate::iface::{Ethernet, Interface};
use crate::net::Ipv4;
use crate::socket::{Handle, SlabSockets};
use crate::stack::{Next, Stack};
use crate::tcp::congestion::Any;
use crate::tcp::{self, Ecn, Tcp};
use crate::udp::{Udp, UdpSocket};
use crate::wire::Mac;

/// A host with the usual protocols on the interface `I`; each connection chooses its congestion
/// control, CUBIC if it does not, unless `C` is a type of one's own.
pub type Host<I, C = Any> = Stack<I, Ipv4, (Icmp, Udp, Tcp<C>), SlabSockets>;

/// A TCP connection or listener of such a host.
pub type Connection = tcp::SocketOf<SlabSockets, Any>;

/// A UDP socket of such a host.
pub type Datagrams = UdpSocket<Box<[u8]>>;

/// What a port is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Sends back what comes (RFC 862).
    Echo,
    /// Throws away what comes (RFC 863).
    Discard,
    /// Sends [`Pattern`] without end (in the spirit of RFC 864).
    Generate,
    /// Answers any request with one short page (RFC 9112).
    Http,
    /// Sends so many octets of [`Pattern`], then no more, and throws away what comes.
    Visit(u64),
}

/// The other host's services, by TCP port. Port 7 also echoes datagrams.
pub const SERVICES: [(u16, Service); 5] = [
    (7, Service::Echo),
    (9, Service::Discard),
    (19, Service::Generate),
    (80, Service::Http),
    (8888, Service::Echo),
];

/// The other host's link address.
pub const FAR_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x02]);

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 33\r\n\
    Connection: close\r\n\r\nHello from the end of the cable.\n";

/// Longest head of a request that is waited for, in octets.
const HEAD: usize = 4096;

/// The other host.
pub struct Far<I = Ethernet<AnyDevice>> {
    host: Host<I>,
    listeners: Vec<(Handle<Connection>, Service)>,
    open: HashMap<Handle<Connection>, Session>,
    datagrams: Option<Handle<Datagrams>>,
    scratch: Box<[u8]>,
}

struct Session {
    service: Service,
    pattern: Pattern,
    head: Vec<u8>,
}

impl Far {
    /// The other host on its end of a cable.
    pub fn new(device: AnyDevice) -> Self {
        Self::on(Ethernet::new(device, FAR_MAC))
    }
}

impl<I: Interface> Far<I> {
    /// The other host on an interface of your own making.
    pub fn on(iface: I) -> Self {
        let protocols = (Icmp::default(), Udp::default(), Tcp::default());
        let mut host = Stack::new(
            iface,
            Opened::far_net(),
            protocols,
            SlabSockets,
            &mut os_rng(),
        );
        let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        // What clients may ask for they get.
        host.transports().2.config_mut().fastopen_server = true;
        // Tables of a new host are empty: nothing is in use.
        let listeners = SERVICES
            .iter()
            .filter_map(|(port, service)| {
                let mut socket = Connection::listener(SocketAddr::new(any, *port), 128);
                socket.set_fastopen(128);
                socket.set_tcp_ecn(Some(Ecn::Accurate));
                Some((host.open(socket).ok()?, *service))
            })
            .collect();
        let buffer = || vec![0; 1 << 16].into_boxed_slice();
        let datagrams = host.open(UdpSocket::new(7, buffer(), buffer())).ok();
        let scratch = vec![0; 1 << 16].into_boxed_slice();
        Self {
            host,
            listeners,
            open: HashMap::new(),
            datagrams,
            scratch,
        }
    }

    /// Connects to `server`, sends so many octets of [`Pattern`] and reads until the server
    /// ends: a visit, for servers that are alone on a cable.
    pub fn visit(&mut self, server: SocketAddr, octets: u64) {
        if let Ok(h) = self.host.open(Connection::connecting(server)) {
            let service = Service::Visit(octets);
            self.open.insert(
                h,
                Session {
                    service,
                    pattern: Pattern::new(),
                    head: Vec::new(),
                },
            );
        }
    }

    /// Sends one datagram to `server`, from a port of its own, so that an answer finds somebody
    /// who does not answer in turn: port 7 would echo an echo for ever.
    pub fn greet(&mut self, server: SocketAddr, text: &[u8]) {
        let buffer = || vec![0; 2048].into_boxed_slice();
        let mut socket = UdpSocket::new(0, buffer(), buffer());
        if socket.send_to(text, server).is_ok() {
            // A full table is no visitor's business.
            let _ = self.host.open(socket);
        }
    }

    /// The stack.
    pub fn host(&mut self) -> &mut Host<I> {
        &mut self.host
    }

    /// Serves whoever has news; true if anything was done.
    fn serve(&mut self) -> bool {
        let mut busy = false;
        while let Some(h) = self.host.next_news::<Connection, _>() {
            busy = true;
            let listener = self.listeners.iter().find(|(listener, _)| *listener == h);
            let Some((listener, service)) = listener.copied() else {
                self.turn(h);
                continue;
            };
            while let Some(accepted) = self.host.socket(listener).accept() {
                let session = Session {
                    service,
                    pattern: Pattern::new(),
                    head: Vec::new(),
                };
                self.open.insert(accepted, session);
                self.turn(accepted);
            }
        }
        busy | self.echo_datagrams()
    }

    /// Serves one connection, and gives it up when it has ended.
    fn turn(&mut self, h: Handle<Connection>) {
        let Some(session) = self.open.get_mut(&h) else {
            return;
        };
        let scratch = &mut self.scratch;
        let moved = self
            .host
            .socket(h)
            .with(|socket| session.serve(socket, scratch));
        if !matches!(moved, Ok(Ok(Moved { ended: false, .. }))) {
            self.open.remove(&h);
            // Gone already is as good.
            let _ = self.host.close(h);
        }
    }

    fn echo_datagrams(&mut self) -> bool {
        let Some(h) = self.datagrams else {
            return false;
        };
        let mut busy = false;
        while self.host.next_news::<Datagrams, _>().is_some() {
            busy = true;
            let scratch = &mut self.scratch;
            // A reply that finds no room is lost, as datagrams are.
            let _ = self.host.socket(h).with(|socket| {
                while let Ok(got) = socket.recv_from(scratch) {
                    let _ = scratch
                        .get(..got.len)
                        .map(|data| socket.send_to(data, got.peer));
                }
            });
        }
        busy
    }
}

impl Session {
    fn serve(&mut self, socket: &mut Connection, scratch: &mut [u8]) -> Result<Moved, Broken> {
        match self.service {
            Service::Echo => pump::echo(socket, scratch),
            Service::Discard => pump::discard(socket, |_| ()),
            Service::Generate => {
                pump::generate(socket, &mut self.pattern, u64::MAX);
                pump::discard(socket, |_| ())
            }
            Service::Visit(octets) => {
                let left = octets - self.pattern.position();
                if left > 0 && pump::generate(socket, &mut self.pattern, left) == left {
                    socket.shutdown(tcp::Shutdown::Write);
                }
                pump::discard(socket, |_| ())
            }
            Service::Http => {
                let head = &mut self.head;
                let mut moved = pump::discard(socket, |text| head.extend_from_slice(text))?;
                let complete = head.windows(4).any(|end| end == b"\r\n\r\n");
                if complete || head.len() > HEAD {
                    let _ = socket.send(PAGE); // an empty send buffer has room for it
                    socket.shutdown(tcp::Shutdown::Write);
                    moved.ended = true;
                }
                Ok(moved)
            }
        }
    }
}

impl<I: Interface> Poll for Far<I> {
    fn poll(&mut self, now: Instant) -> Next {
        let next = self.host.poll(now);
        if self.serve() { Next::Now } else { next }
    }
}

impl<I> core::fmt::Debug for Far<I> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Far")
            .field("connections", &self.open.len())
            .finish_non_exhaustive()
    }
}
