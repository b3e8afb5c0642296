//! Work on netstrata: two stacks on a cable in one thread.

use core::convert::Infallible;
use core::net::Ipv4Addr;
use std::time::Instant as Clock;

use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Instant, cable::End};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::congestion::Cubic;
use netstrata::tcp::{Shutdown, SocketOf, Tcp, TcpSocket};
use netstrata::udp::{Udp, UdpSocket};
use netstrata::{Next, Stack};

use crate::work::{Access, BUFFER, PIECE, Traffic};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Ports the server listens on: a client has 16,384 ephemeral ones for each.
const PORTS: u16 = 16;

type Host = Stack<Ip<End>, Ipv4, (Tcp<Cubic>, Udp), SlabSockets>;
type Flow = SocketOf<SlabSockets, Cubic>;
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
}

fn host(end: End, ip: Ipv4Addr, seed: u64) -> Host {
    let net = Ipv4::default().with(0, ip, 24);
    let protocols = (Tcp::default(), Udp::default());
    Stack::new(Ip::new(end), net, protocols, SlabSockets, &mut Seed(seed))
}

/// A socket with as much buffer as the peers get, or with what the default profile gives.
fn buffered(mut socket: Flow, octets: Option<usize>) -> Flow {
    if let Some(octets) = octets {
        socket.set_recv_capacity(octets);
        socket.set_send_capacity(octets);
    }
    socket
}

impl Pair {
    pub fn new(mtu: usize) -> Self {
        Self::with(mtu, Some(BUFFER))
    }

    /// With buffers of `octets`, or the default profile's.
    pub fn with(mtu: usize, octets: Option<usize>) -> Self {
        let (a, b) = Cable::new(mtu);
        let (mut server, client) = (host(a, SERVER, 1), host(b, CLIENT, 2));
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
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(1_000_000 + self.start.elapsed().as_micros() as u64)
    }

    fn poll(&mut self) {
        let now = self.now();
        while self.client.poll(now) == Next::Now {}
        while self.server.poll(now) == Next::Now {}
    }

    /// Establishes connections until there are `n`.
    pub fn establish(&mut self, n: usize, octets: Option<usize>) {
        while self.flows.len() < n {
            let port = 80 + (self.flows.len() / 10_000) as u16;
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
    pub fn bulk(&mut self, total: usize, access: Access) -> f64 {
        self.establish(1, Some(BUFFER));
        let (theirs, mine) = self.flows[0];
        let text = vec![0x5a; PIECE];
        let mut into = vec![0; PIECE];
        let (mut sent, mut got) = (0, 0);
        let start = Clock::now();
        while got < total {
            let now = self.now();
            self.client
                .socket(mine)
                .with(|s| {
                    while sent < total {
                        let most = PIECE.min(total - sent);
                        let wrote = match access {
                            Access::Copy => s.send(&text[..most]),
                            Access::InPlace => s.write_with(most, |room| room.len()),
                        };
                        match wrote {
                            Ok(n) if n > 0 => sent += n,
                            _ => break,
                        }
                    }
                })
                .expect("a connection");
            self.client.poll(now);
            self.server.poll(now);
            self.server
                .socket(theirs)
                .with(|s| {
                    loop {
                        let read = match access {
                            Access::Copy => s.recv(&mut into),
                            Access::InPlace => s.read_with(|text| text.len()),
                        };
                        match read {
                            Ok(n) if n > 0 => got += n,
                            _ => break,
                        }
                    }
                })
                .expect("a connection");
            self.server.poll(now);
        }
        start.elapsed().as_secs_f64()
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
                    let done = self.client.socket(h).with(|s| client_step(s));
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
                    let done = self.server.socket(h).with(|s| server_step(s));
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
    pub fn datagrams(&mut self, count: usize, len: usize) -> f64 {
        let buffer = || vec![0; BUFFER].into_boxed_slice();
        let mut socket = Datagrams::new(9, buffer(), buffer());
        socket.bind(Some(SERVER.into()), 9);
        let theirs = self.server.open(socket).expect("a free port");
        let mine = self.client.open(Datagrams::new(8, buffer(), buffer()));
        let mine = mine.expect("a free port");
        let (text, mut into) = (vec![0x5a; len], vec![0; len]);
        let (mut sent, mut got) = (0, 0);
        let start = Clock::now();
        while got < count {
            let now = self.now();
            let wrote = self.client.socket(mine).with(|s| {
                let mut burst = 0;
                while sent < count
                    && burst < Traffic::BURST
                    && s.send_to(&text, (SERVER, 9).into()).is_ok()
                {
                    sent += 1;
                    burst += 1;
                }
            });
            wrote.expect("a socket");
            while self.client.poll(now) == Next::Now {}
            while self.server.poll(now) == Next::Now {}
            let read = self.server.socket(theirs).with(|s| {
                while s.recv_from(&mut into).is_ok() {
                    got += 1;
                }
            });
            read.expect("a socket");
        }
        let took = start.elapsed().as_secs_f64();
        let _ = self.server.close(theirs);
        let _ = self.client.close(mine);
        took
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
