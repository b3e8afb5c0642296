//! A server with many established TCP connections, and the client at their other ends.

use core::net::Ipv4Addr;

use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Instant, cable::End};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::{Limits, SocketOf, Tcp, TcpSocket};
use netstrata::{Next, Stack};

pub type Host = Stack<Ip<End>, Ipv4, (Tcp,), SlabSockets>;
pub type Flow = SocketOf<SlabSockets>;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// Connections that are opened at a time.
const WAVE: usize = 64;
/// Where the server listens.
const PORTS: core::ops::Range<u16> = 80..88;
/// Connections to each port: there are 16,384 ephemeral ones.
const EACH: usize = 12_800;

/// Both hosts and the two ends of each connection.
pub struct Crowd {
    pub server: Host,
    pub client: Host,
    pub now: Instant,
    /// On as many ports as the client's ephemeral ports make necessary.
    listeners: Vec<Handle<Flow>>,
    /// Ends at the server, in the order in which they were accepted.
    pub served: Vec<Handle<Flow>>,
}

fn host(end: End, ip: Ipv4Addr, seed: u64) -> Host {
    let net = Ipv4::default().with(0, ip, 24);
    let tcp = Tcp::new().with_limits(Limits::default());
    Stack::new(
        Ip::new(end),
        net,
        (tcp,),
        SlabSockets,
        &mut super::hosts::Seed(seed),
    )
}

/// Is there more to do at this moment? Deadlines that come together are not all dealt with in
/// one poll.
fn goes_on(next: Next, now: Instant) -> bool {
    match next {
        Next::Now => true,
        Next::Wait { until, .. } => until.is_some_and(|at| at <= now),
    }
}

impl Crowd {
    pub fn new() -> Self {
        let (a, b) = Cable::new(1500);
        let mut server = host(a, SERVER, 1);
        let mut listen = |port| {
            let listener = TcpSocket::listener((SERVER, port).into(), 2 * WAVE);
            server.open(listener).unwrap()
        };
        let listeners = PORTS.map(&mut listen).collect();
        Self {
            server,
            client: host(b, CLIENT, 2),
            now: Instant::from_secs(1),
            listeners,
            served: Vec::new(),
        }
    }

    /// Polls both until nothing moves; `serve` polls the server.
    pub fn settle(&mut self, mut serve: impl FnMut(&mut Host, Instant) -> Next) {
        // What one sends, the other answers in the next round; a handshake takes three.
        for _ in 0..4 {
            while goes_on(self.client.poll(self.now), self.now) {}
            while goes_on(serve(&mut self.server, self.now), self.now) {}
        }
    }

    /// Establishes connections until there are `n`.
    pub fn grow(&mut self, n: usize, mut serve: impl FnMut(&mut Host, Instant) -> Next) {
        while self.served.len() < n {
            let wave = WAVE.min(n - self.served.len());
            let port = 80 + (self.served.len() / EACH) as u16;
            for _ in 0..wave {
                let socket = TcpSocket::connecting((SERVER, port).into());
                self.client.open(socket).unwrap();
            }
            self.settle(&mut serve);
            let before = self.served.len();
            for listener in &self.listeners {
                while let Some(h) = self.server.socket(*listener).accept() {
                    self.served.push(h);
                }
            }
            assert_eq!(self.served.len(), before + wave);
            // News is taken as an application would.
            while self.server.next_news::<Flow, _>().is_some() {}
            while self.client.next_news::<Flow, _>().is_some() {}
        }
    }
}
