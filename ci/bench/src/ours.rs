//! Work on netstrata: two stacks on a cable in one thread.

use core::convert::Infallible;
use core::net::Ipv4Addr;
use std::io;
use std::time::Instant as Clock;

use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Instant, cable::End};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::congestion::Cubic;
use netstrata::tcp::{Shutdown, SocketOf, Tcp, TcpSocket};
use netstrata::udp::{Udp, UdpSocket};
use netstrata::{Next, Stack};

use crate::content::{Check, Source, Text};
use crate::work::{Access, BUFFER, PIECE, Traffic};

pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Ports the server listens on: a client has 28,232 ephemeral ones for each.
const PORTS: u16 = 16;
/// Connections established to each.
const EACH: usize = 10_000;

pub type Host = Stack<Ip<End>, Ipv4, (Tcp<Cubic>, Udp), SlabSockets>;
pub type Flow = SocketOf<SlabSockets, Cubic>;
type Datagrams = UdpSocket<Box<[u8]>>;

pub struct Seed(pub u64);

impl rand_core::TryRng for Seed {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| n as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1);
        Ok(self.0 ^ self.0 >> 29)
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        dst.fill_with(|| self.try_next_u32().map_or(0, |n| (n >> 16) as u8));
        Ok(())
    }
}
impl rand_core::TryCryptoRng for Seed {}

/// Two hosts and their clock.
pub struct Pair {
    server: Host,
    client: Host,
    listeners: Vec<Handle<Flow>>,
    /// Both ends of each connection, server's first.
    flows: Vec<(Handle<Flow>, Handle<Flow>)>,
    start: Clock,
    /// Microseconds of virtual time, where runs are to repeat exactly.
    replay: Option<u64>,
}

/// A bulk transfer on its way.
struct Bulk {
    theirs: Handle<Flow>,
    mine: Handle<Flow>,
    access: Access,
    total: usize,
    sent: usize,
    source: Source,
    into: Vec<u8>,
    check: Check,
}

fn host(end: End, ip: Ipv4Addr, seed: u64) -> Host {
    let net = Ipv4::default().with(0, ip, 24);
    let protocols = (Tcp::default(), Udp::default());
    Stack::new(Ip::new(end), net, protocols, SlabSockets, &mut Seed(seed))
}

/// A server and a client on one cable.
pub fn pair(mtu: usize) -> (Host, Host) {
    let (a, b) = Cable::new(mtu);
    (host(a, SERVER, 1), host(b, CLIENT, 2))
}

/// A socket with as much buffer as the peers get, or with what the default profile gives.
fn buffered(mut socket: Flow, octets: Option<usize>) -> Flow {
    if let Some(octets) = octets {
        socket.set_recv_capacity(octets);
        socket.set_send_capacity(octets);
    }
    socket
}

// Never inlined: the counter of instructions knows either side by its name.
impl Bulk {
    #[inline(never)]
    fn sending_host(&mut self, host: &mut Host, now: Instant) {
        let sent = host.socket(self.mine).with(|s| {
            while self.sent < self.total {
                let most = PIECE.min(self.total - self.sent);
                let wrote = match self.access {
                    Access::Copy => s.send(self.source.next(most)).inspect(|n| {
                        self.source.took(*n);
                    }),
                    Access::InPlace => s.write_with(most, |room| self.source.fill(room)),
                };
                match wrote {
                    Ok(n) if n > 0 => self.sent += n,
                    _ => break,
                }
            }
        });
        sent.expect("a connection");
        host.poll(now);
    }

    #[inline(never)]
    fn receiving_host(&mut self, host: &mut Host, now: Instant) {
        host.poll(now);
        let received = host.socket(self.theirs).with(|s| {
            loop {
                let read = match self.access {
                    Access::Copy => s.recv(&mut self.into).inspect(|n| {
                        self.check.take(&self.into[..*n]);
                    }),
                    Access::InPlace => s.read_with(|text| {
                        self.check.take(text);
                        text.len()
                    }),
                };
                if !matches!(read, Ok(n) if n > 0) {
                    break;
                }
            }
        });
        received.expect("a connection");
        host.poll(now);
    }
}

impl Pair {
    pub fn new(mtu: usize) -> Self {
        Self::with(mtu, Some(BUFFER))
    }

    /// With buffers of `octets`, or the default profile's.
    pub fn with(mtu: usize, octets: Option<usize>) -> Self {
        let (mut server, client) = pair(mtu);
        let listeners = (0..PORTS).map(|n| {
            let socket = TcpSocket::listener((SERVER, 80 + n).into(), 2048);
            server.open(buffered(socket, octets)).expect("a free port")
        });
        let listeners = listeners.collect();
        Self {
            server,
            client,
            listeners,
            flows: Vec::new(),
            start: Clock::now(),
            replay: None,
        }
    }

    /// Where ten microseconds pass from one look at the clock to the next.
    pub fn replayed(mtu: usize) -> Self {
        let mut pair = Self::new(mtu);
        pair.replay = Some(0);
        pair
    }

    fn now(&mut self) -> Instant {
        let micros = match &mut self.replay {
            Some(micros) => {
                *micros += 10;
                *micros
            }
            None => self.start.elapsed().as_micros() as u64,
        };
        Instant::from_micros(1_000_000 + micros)
    }

    fn poll(&mut self) {
        let now = self.now();
        while self.client.poll(now) == Next::Now {}
        while self.server.poll(now) == Next::Now {}
    }

    /// Makes room to remember `n` connections.
    pub fn expect(&mut self, n: usize) {
        self.flows.reserve_exact(n);
    }

    /// Establishes connections until there are `n`.
    pub fn establish(&mut self, n: usize, octets: Option<usize>) {
        while self.flows.len() < n {
            let port = 80 + (self.flows.len() / EACH) as u16;
            let wave = (n - self.flows.len()).min(64);
            let opened: Vec<_> = (0..wave)
                .map(|_| {
                    let socket = buffered(TcpSocket::connecting((SERVER, port).into()), octets);
                    self.client.open(socket).expect("memory")
                })
                .collect();
            self.poll();
            self.poll();
            let listener = self.listeners[usize::from(port - 80)];
            for mine in opened {
                let theirs = self.server.socket(listener).accept().expect("a guest");
                self.flows.push((theirs, mine));
            }
            while self.server.next_news::<Flow, _>().is_some() {}
            while self.client.next_news::<Flow, _>().is_some() {}
        }
    }

    /// Sends `total` octets on one connection, client to server; seconds it took.
    pub fn bulk(&mut self, total: usize, access: Access, text: Text) -> io::Result<f64> {
        self.establish(1, Some(BUFFER));
        let (theirs, mine) = self.flows[0];
        let mut bulk = Bulk {
            theirs,
            mine,
            access,
            total,
            sent: 0,
            source: Source::new(text, PIECE),
            into: vec![0; PIECE],
            check: Check::new(text, BUFFER),
        };
        let start = Clock::now();
        while bulk.check.got() < total as u64 {
            let now = self.now();
            bulk.sending_host(&mut self.client, now);
            bulk.receiving_host(&mut self.server, now);
        }
        let took = start.elapsed().as_secs_f64();
        bulk.check.finish(total as u64)?;
        Ok(took)
    }

    /// Seconds of `polls` polls of the server while nothing happens.
    pub fn idle_polls(&mut self, polls: usize) -> f64 {
        let now = self.now();
        let start = Clock::now();
        for _ in 0..polls {
            std::hint::black_box(self.server.poll(now));
        }
        start.elapsed().as_secs_f64()
    }

    /// Opens, uses (an octet each way) and closes `rounds` times `at_once` connections; seconds.
    pub fn churn(&mut self, rounds: usize, at_once: usize) -> f64 {
        let start = Clock::now();
        for round in 0..rounds {
            let port = 80 + (round % usize::from(PORTS)) as u16;
            let peer = (SERVER, port).into();
            for _ in 0..at_once {
                let mut socket: Flow = buffered(TcpSocket::connecting(peer), Some(BUFFER));
                socket.send(b"?").expect("room"); // sent once the connection stands
                self.client.open(socket).expect("memory");
            }
            let (mut answered, mut ended) = (0, 0);
            let listener = self.listeners[usize::from(port - 80)];
            while answered < at_once || ended < at_once {
                let now = self.now();
                self.client.poll(now);
                while let Some(h) = self.client.next_news::<Flow, _>() {
                    let done = self.client.socket(h).with(client_step);
                    if done == Ok(true) {
                        ended += 1;
                        let _ = self.client.close(h);
                    }
                }
                self.client.poll(now);
                self.server.poll(now);
                while self.server.socket(listener).accept().is_some() {}
                while let Some(h) = self.server.next_news::<Flow, _>() {
                    if h == listener {
                        continue;
                    }
                    let done = self.server.socket(h).with(server_step);
                    if done == Ok(true) {
                        answered += 1;
                        let _ = self.server.close(h);
                    }
                }
                self.server.poll(now);
            }
        }
        start.elapsed().as_secs_f64()
    }

    /// Sends `count` datagrams of `len` octets; seconds it took.
    pub fn datagrams(&mut self, count: usize, len: usize, text: Text) -> io::Result<f64> {
        let buffer = || vec![0; BUFFER].into_boxed_slice();
        let mut socket = Datagrams::new(9, buffer(), buffer());
        socket.bind(Some(SERVER.into()), 9);
        let theirs = self.server.open(socket).expect("a free port");
        let mine = self.client.open(Datagrams::new(8, buffer(), buffer()));
        let mine = mine.expect("a free port");
        let (mut source, mut check) = (Source::new(text, len), Check::new(text, len));
        let mut into = vec![0; len];
        let mut sent = 0;
        let total = (count * len) as u64;
        let start = Clock::now();
        while check.got() < total {
            let now = self.now();
            let wrote = self.client.socket(mine).with(|s| {
                let mut burst = 0;
                while sent < count
                    && burst < Traffic::BURST
                    && s.send_to(source.next(len), (SERVER, 9).into()).is_ok()
                {
                    source.took(len);
                    sent += 1;
                    burst += 1;
                }
            });
            wrote.expect("a socket");
            while self.client.poll(now) == Next::Now {}
            while self.server.poll(now) == Next::Now {}
            let read = self.server.socket(theirs).with(|s| {
                while s.recv_from(&mut into).is_ok() {
                    check.take(&into);
                }
            });
            read.expect("a socket");
        }
        let took = start.elapsed().as_secs_f64();
        let _ = self.server.close(theirs);
        let _ = self.client.close(mine);
        check.finish(total)?;
        Ok(took)
    }
}

/// Closes when the answer has come; true when the end has come as well.
fn client_step(s: &mut Flow) -> bool {
    let mut into = [0; 8];
    while matches!(s.recv(&mut into), Ok(n) if n > 0) {
        s.shutdown(Shutdown::Write);
    }
    s.is_at_end()
}

/// Answers the octet, and closes when the client has.
fn server_step(s: &mut Flow) -> bool {
    let mut into = [0; 8];
    while matches!(s.recv(&mut into), Ok(n) if n > 0) {
        let _ = s.send(b"!");
    }
    s.is_at_end()
}
