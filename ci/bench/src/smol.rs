//! The same work on smoltcp.

use std::io;
use std::time::Instant as Clock;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::content::{Check, Source, Text};
use crate::smol_cable::{End, cable};
use crate::work::{Access, BUFFER, PIECE, Traffic};

const SERVER: IpAddress = IpAddress::v4(10, 0, 0, 1);
const CLIENT: IpAddress = IpAddress::v4(10, 0, 0, 2);

struct Host {
    device: End,
    iface: Interface,
    sockets: SocketSet<'static>,
}

impl Host {
    fn new(mut device: End, ip: IpAddress) -> Self {
        let config = Config::new(HardwareAddress::Ip);
        let mut iface = Interface::new(config, &mut device, Instant::ZERO);
        iface.update_ip_addrs(|all| all.push(IpCidr::new(ip, 24)).expect("room"));
        Self {
            device,
            iface,
            sockets: SocketSet::new(Vec::new()),
        }
    }

    fn poll(&mut self, now: Instant) {
        self.iface.poll(now, &mut self.device, &mut self.sockets);
    }

    fn tcp(&mut self, h: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(h)
    }

    fn add(&mut self, octets: usize) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; octets]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }
}

/// Two hosts and their clock.
pub struct Pair {
    server: Host,
    client: Host,
    flows: Vec<(SocketHandle, SocketHandle)>,
    port: u16,
    start: Clock,
}

impl Pair {
    pub fn new(mtu: usize) -> Self {
        let (a, b) = cable(mtu);
        Self {
            server: Host::new(a, SERVER),
            client: Host::new(b, CLIENT),
            flows: Vec::new(),
            port: 10_000,
            start: Clock::now(),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(1_000_000 + self.start.elapsed().as_micros() as i64)
    }

    fn next_port(&mut self) -> u16 {
        self.port = if self.port > 60_000 {
            10_000
        } else {
            self.port + 1
        };
        self.port
    }

    /// Makes the client's end connect to the server's.
    fn join(&mut self, theirs: SocketHandle, mine: SocketHandle, port: u16) {
        let local = self.next_port();
        self.server.tcp(theirs).listen(port).expect("a free port");
        let Host { iface, sockets, .. } = &mut self.client;
        let socket = sockets.get_mut::<tcp::Socket<'_>>(mine);
        let joined = socket.connect(iface.context(), (SERVER, port), local);
        joined.expect("a free port");
    }

    /// Makes room to remember `n` connections.
    pub fn expect(&mut self, n: usize) {
        self.flows.reserve_exact(n);
    }

    /// Establishes connections until there are `n`, with buffers of `octets`.
    pub fn establish(&mut self, n: usize, octets: usize) {
        while self.flows.len() < n {
            let theirs = self.server.add(octets);
            let mine = self.client.add(octets);
            self.join(theirs, mine, 80 + (self.flows.len() / 40_000) as u16);
            while !self.server.tcp(theirs).may_send() || !self.client.tcp(mine).may_send() {
                let now = self.now();
                self.client.poll(now);
                self.server.poll(now);
            }
            self.flows.push((theirs, mine));
        }
    }

    /// Sends `total` octets on the first connection, client to server; seconds it took.
    pub fn bulk(&mut self, total: usize, access: Access, text: Text) -> io::Result<f64> {
        self.establish(1, BUFFER);
        let (theirs, mine) = self.flows[0];
        let (mut source, mut check) = (Source::new(text, PIECE), Check::new(text, BUFFER));
        let mut into = vec![0; PIECE];
        let mut sent = 0;
        let start = Clock::now();
        while check.got() < total as u64 {
            let now = self.now();
            let s = self.client.tcp(mine);
            while sent < total && s.can_send() {
                let most = PIECE.min(total - sent);
                let wrote = match access {
                    Access::Copy => s.send_slice(source.next(most)).inspect(|n| source.took(*n)),
                    Access::InPlace => s.send(|room| {
                        let len = room.len().min(most);
                        let n = source.fill(&mut room[..len]);
                        (n, n)
                    }),
                };
                sent += wrote.expect("a connection");
            }
            self.client.poll(now);
            self.server.poll(now);
            let s = self.server.tcp(theirs);
            while s.can_recv() {
                let read = match access {
                    Access::Copy => {
                        let read = s.recv_slice(&mut into);
                        read.map(|n| check.take(&into[..n]))
                    }
                    Access::InPlace => s.recv(|text| (text.len(), check.take(text))),
                };
                read.expect("a connection");
            }
            self.server.poll(now);
        }
        let took = start.elapsed().as_secs_f64();
        check.finish(total as u64)?;
        Ok(took)
    }

    /// Opens, uses (an octet each way) and closes `rounds` times `at_once` connections; seconds.
    /// Sockets and buffers are used again.
    pub fn churn(&mut self, rounds: usize, at_once: usize) -> f64 {
        let flows: Vec<_> = (0..at_once)
            .map(|_| (self.server.add(1024), self.client.add(1024)))
            .collect();
        let mut into = [0; 8];
        let start = Clock::now();
        for _ in 0..rounds {
            for &(theirs, mine) in &flows {
                self.server.tcp(theirs).abort();
                self.client.tcp(mine).abort();
            }
            let now = self.now();
            self.client.poll(now);
            self.server.poll(now);
            for &(theirs, mine) in &flows {
                self.join(theirs, mine, 80);
            }
            // What each end has done: (asked, answered, client closed, server closed).
            let mut done = vec![(false, false, false, false); at_once];
            let mut left = at_once;
            while left > 0 {
                let now = self.now();
                self.client.poll(now);
                for (&(_, mine), state) in flows.iter().zip(&mut done) {
                    let s = self.client.tcp(mine);
                    if !state.0 && s.can_send() {
                        s.send_slice(b"?").expect("a connection");
                        state.0 = true;
                    }
                    if !state.2 && s.can_recv() {
                        s.recv_slice(&mut into).expect("a connection");
                        s.close();
                        state.2 = true;
                    }
                }
                self.client.poll(now);
                self.server.poll(now);
                for (&(theirs, _), state) in flows.iter().zip(&mut done) {
                    let s = self.server.tcp(theirs);
                    if !state.1 && s.can_recv() {
                        s.recv_slice(&mut into).expect("a connection");
                        s.send_slice(b"!").expect("a connection");
                        state.1 = true;
                    }
                    if !state.3 && state.1 && s.state() == tcp::State::CloseWait {
                        s.close();
                        state.3 = true;
                    }
                }
                self.server.poll(now);
                for (&(theirs, mine), state) in flows.iter().zip(&mut done) {
                    let closed = self.server.tcp(theirs).state() == tcp::State::Closed;
                    let waits = self.client.tcp(mine).state() == tcp::State::TimeWait;
                    if state.3 && state.0 && closed && waits {
                        state.0 = false;
                        left -= 1;
                    }
                }
            }
        }
        start.elapsed().as_secs_f64()
    }

    /// Sends `count` datagrams of `len` octets; seconds it took.
    pub fn datagrams(&mut self, count: usize, len: usize, text: Text) -> io::Result<f64> {
        let socket = |port| {
            let buffer = || {
                let meta = vec![udp::PacketMetadata::EMPTY; 4 * Traffic::BURST];
                udp::PacketBuffer::new(meta, vec![0; BUFFER])
            };
            let mut socket = udp::Socket::new(buffer(), buffer());
            socket.bind(port).expect("a free port");
            socket
        };
        let theirs = self.server.sockets.add(socket(9));
        let mine = self.client.sockets.add(socket(8));
        let (mut source, mut check) = (Source::new(text, len), Check::new(text, len));
        let mut into = vec![0; len];
        let mut sent = 0;
        let total = (count * len) as u64;
        let start = Clock::now();
        while check.got() < total {
            let now = self.now();
            let s = self.client.sockets.get_mut::<udp::Socket<'_>>(mine);
            let mut burst = 0;
            while sent < count && burst < Traffic::BURST {
                if s.send_slice(source.next(len), (SERVER, 9)).is_err() {
                    break;
                }
                source.took(len);
                sent += 1;
                burst += 1;
            }
            self.client.poll(now);
            self.server.poll(now);
            let s = self.server.sockets.get_mut::<udp::Socket<'_>>(theirs);
            while s.recv_slice(&mut into).is_ok() {
                check.take(&into);
            }
        }
        let took = start.elapsed().as_secs_f64();
        self.server.sockets.remove(theirs);
        self.client.sockets.remove(mine);
        check.finish(total)?;
        Ok(took)
    }
}
