//! The memory of all connections together, counted by the allocator: peers by the thousand that
//! make the host hold octets for nothing cannot pass the ceiling, and cost others nothing.
#![cfg(feature = "alloc")]

#[path = "support/alloc.rs"]
mod alloc;
mod support;

use core::net::Ipv4Addr;
use core::time::Duration;

use alloc::count;
use netstrata::Stack;
use netstrata::error::Drop;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Device, Instant, RxMeta, TxMeta, TxToken, cable};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::{
    Config, Level, Limits, MemoryLimits, RecvError, SocketOf, State, Tcp, TcpSocket,
};
use netstrata::wire::{Tcp as Header, TcpFlags};
use support::Seed;
use support::script::packet_between;

type Host = Stack<Ip<cable::End>, Ipv4, (Tcp,), SlabSockets>;
type Socket = SocketOf<SlabSockets>;

const US: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const MIB: usize = 1 << 20;
/// Small bounds, so that the test need not fill gigabytes to reach them.
const MEMORY: MemoryLimits = MemoryLimits {
    low: 12 * MIB,
    pressure: 16 * MIB,
    high: 24 * MIB,
    listener: 8 * MIB,
    patience: Duration::from_secs(1),
};
/// What one turn's writes of the application may add before they are counted.
const TURN: usize = 64 * 65_536;

/// A peer by number, with the sequence numbers of both sides.
#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    /// The host's next.
    ours: u32,
    /// The peer's next.
    theirs: u32,
}

/// The host, and a wire on which somebody plays all peers.
struct World {
    host: Host,
    wire: cable::End,
    now: Instant,
    listener: Handle<Socket>,
    peers: Vec<Peer>,
    /// What the application holds.
    open: Vec<Handle<Socket>>,
    /// It answers every request with so many octets.
    answer: Vec<u8>,
    /// Most memory that was counted.
    most: usize,
    resets: usize,
    /// Octets the application has read.
    read: usize,
    /// It accepts connections.
    accepts: bool,
    /// It serves the first connection only.
    deaf: bool,
}

/// Peers share 200 addresses.
fn address(peer: usize) -> (Ipv4Addr, u16) {
    let host = 2 + (peer % 200) as u8;
    (Ipv4Addr::new(10, 0, 1, host), 5000 + (peer / 200) as u16)
}

fn number(ip: &[u8], port: u16) -> usize {
    usize::from(port - 5000) * 200 + usize::from(ip[3] - 2)
}

impl World {
    fn new(answer: usize) -> Self {
        Self::with(answer, MEMORY)
    }

    fn with(answer: usize, memory: MemoryLimits) -> Self {
        let (end, wire) = Cable::new(1500);
        let net = Ipv4::default().with(0, US, 8);
        let limits = Limits {
            memory,
            ..Limits::default()
        };
        let tcp = Tcp::new().with_limits(limits);
        let mut host = Stack::new(Ip::new(end), net, (tcp,), SlabSockets, &mut Seed(1));
        let listener = TcpSocket::listener((US, 80).into(), 256);
        let listener = host.open(listener).unwrap();
        Self {
            host,
            wire,
            now: Instant::from_secs(1),
            listener,
            peers: Vec::new(),
            open: Vec::new(),
            answer: vec![b'a'; answer],
            most: 0,
            resets: 0,
            read: 0,
            accepts: true,
            deaf: false,
        }
    }

    fn tcp(&mut self) -> &Tcp {
        &self.host.transports().0
    }

    fn send(&mut self, peer: usize, flags: TcpFlags, window: u16, at: u32, text: &[u8]) {
        let (ip, port) = address(peer);
        let numbers = self.peers[peer];
        let tcp = Header {
            src: port,
            dst: 80,
            seq: numbers.theirs.wrapping_add(at),
            ack: if flags.ack() { numbers.ours } else { 0 },
            flags,
            window,
            urgent: 0,
        };
        let options: &[u8] = if flags.syn() {
            &[2, 4, 5, 0xb4, 1, 1, 4, 2]
        } else {
            &[]
        };
        let packet = packet_between(ip, US, &tcp, options, text);
        let token = self.wire.transmit(self.now).expect("room on the cable");
        token
            .send(packet.len(), TxMeta::NONE, |frame| {
                frame.copy_from_slice(&packet);
                Ok(())
            })
            .unwrap();
    }

    /// One turn: the application uses its connections, the host polls, peers hear.
    fn turn(&mut self) {
        while let Some(h) = self.host.next_news::<Socket, _>() {
            if h == self.listener || self.deaf && self.open.first() != Some(&h) {
                continue;
            }
            self.serve(h);
        }
        while self.accepts
            && let Some(h) = self.host.socket(self.listener).accept()
        {
            self.open.push(h);
        }
        self.host.poll(self.now);
        let (peers, resets) = (&mut self.peers, &mut self.resets);
        let mut hear = |octets: &mut [u8], _: RxMeta| {
            let (head, _, _) = Header::parse(&octets[20..]).unwrap();
            let known = &mut peers[number(&octets[16..20], head.dst)];
            if head.flags.syn() {
                known.ours = head.seq.wrapping_add(1);
                known.theirs = head.ack;
            }
            *resets += usize::from(head.flags.rst());
        };
        self.wire.receive(self.now, 10_000, &mut hear);
        self.most = self.most.max(self.tcp().memory());
    }

    /// Reads a request, answers it.
    fn serve(&mut self, h: Handle<Socket>) {
        let (answer, read) = (&self.answer, &mut self.read);
        let over = self.host.socket(h).with(|s| {
            let mut some = false;
            let over = loop {
                match s.read_with(|text| text.len()) {
                    Ok(0) => break true,
                    Ok(n) => {
                        some = true;
                        *read += n;
                    }
                    Err(RecvError::Empty) => break false,
                    Err(_) => break true,
                }
            };
            if some && !answer.is_empty() {
                let _ = s.send(answer);
            }
            over
        });
        if over == Ok(true) {
            let _ = self.host.close(h);
        }
    }

    /// Establishes `n` connections.
    fn connect(&mut self, n: usize) {
        for first in (0..n).step_by(64) {
            let all = first..n.min(first + 64);
            for peer in all.clone() {
                self.peers.push(Peer::default());
                self.send(peer, TcpFlags::SYN, 65_535, 0, &[]);
            }
            self.turn();
            for peer in all {
                self.send(peer, TcpFlags::ACK, 65_535, 0, &[]);
            }
            self.turn();
        }
        self.turn();
        assert_eq!(self.open.len(), n);
    }

    fn pass(&mut self, span: Duration, step: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += step;
            self.turn();
        }
    }
}

/// Ten thousand peers send octets far past a hole that they never fill, whole windows of them:
/// what is out of order goes, farthest first, the ceiling holds, no connection dies of it, and
/// the memory comes back.
#[test]
fn octets_out_of_order() {
    let (mut world, idle) = count(|| {
        let mut world = World::new(0);
        world.connect(10_000);
        world.pass(Duration::from_secs(3), Duration::from_millis(500));
        world
    });
    assert_eq!(world.tcp().memory(), 0);
    let mut peak = 0;
    let ((), storm) = count(|| {
        for round in 1..=12_u32 {
            for first in (0..10_000).step_by(64) {
                let (_, counts) = count(|| {
                    for peer in first..10_000.min(first + 64) {
                        let at = round * 1300;
                        world.send(peer, TcpFlags::ACK, 65_535, at, &[7; 1200]);
                    }
                    world.turn();
                });
                peak += counts.octets;
                world.now += Duration::from_millis(1);
                assert!(peak < (MEMORY.high + TURN) as i64, "{peak} octets of heap");
            }
        }
    });
    println!("idle {idle:?}, storm {storm:?}, most {} octets", world.most);
    // 10,000 times 16 KiB were asked for.
    assert!(
        world.most > MEMORY.low && world.most <= MEMORY.high,
        "{}",
        world.most
    );
    let stats = world.host.stats();
    assert!(
        stats.tcp_pressure > 0 && stats.tcp_pruned > 100_000,
        "{stats:?}"
    );
    assert!(stats.drops.get(Drop::Memory) > 10_000, "{stats:?}");
    assert_eq!((stats.tcp_shed, world.resets), (0, 0));
    let ((), end) = count(|| {
        // What was missing comes to some, and is read with what is left of the rest.
        for peer in 0..64 {
            world.send(peer, TcpFlags::ACK, 65_535, 0, &[7; 1300]);
        }
        world.turn();
        // The others end; then there is silence.
        for peer in 64..10_000 {
            world.send(peer, TcpFlags::RST, 0, 0, &[]);
            if peer % 64 == 63 {
                world.turn();
            }
        }
        world.pass(Duration::from_secs(3), Duration::from_millis(500));
    });
    let left = storm.octets + end.octets;
    println!("left {left} octets, read {}", world.read);
    let (memory, level) = (world.tcp().memory(), world.tcp().memory_level());
    assert_eq!((memory, level), (0, Level::Free));
    assert!(world.read >= 64 * 1300, "{}", world.read);
    assert!(left < MIB as i64, "{left} octets of heap");
}

/// Ten thousand peers ask for 60 kB each and keep their windows closed (RFC 6429 §3): the
/// ceiling holds to a turn's writes, those that hold memory for nothing are reset, a connection
/// that goes on is not, and new ones are let in again afterwards.
#[test]
fn windows_kept_closed() {
    const HONEST: usize = 9_999;
    let (mut world, _) = count(|| {
        let mut world = World::new(60_000);
        world.connect(10_000);
        world.pass(Duration::from_secs(3), Duration::from_millis(500));
        world
    });
    let ((), storm) = count(|| {
        for first in (0..HONEST).step_by(64) {
            for peer in first..HONEST.min(first + 64) {
                world.send(peer, TcpFlags::ACK.union(TcpFlags::PSH), 0, 0, b"GET /");
                world.peers[peer].theirs = world.peers[peer].theirs.wrapping_add(5);
            }
            world.turn();
            world.turn();
            world.now += Duration::from_millis(20);
        }
    });
    println!("storm {storm:?}, most {} octets", world.most);
    assert!(
        world.most >= MEMORY.high && world.most <= MEMORY.high + TURN,
        "{}",
        world.most
    );
    assert!(storm.octets < (MEMORY.high + TURN) as i64, "{storm:?}");
    let stats = world.host.stats();
    // 600 MB were asked for, 24 MiB are 400 answers.
    assert!(stats.tcp_shed > 5_000, "{stats:?}");
    assert_eq!(world.resets as u64, stats.tcp_resets_sent);

    // One that asked for nothing is still there.
    let h = world.open[HONEST];
    let state = world.host.socket(h).look(|s| s.state());
    assert_eq!(state, Ok(State::Established));

    // All fall silent: what they hold is shed, until there is no pressure any more.
    world.pass(Duration::from_secs(30), Duration::from_millis(100));
    let (memory, level) = (world.tcp().memory(), world.tcp().memory_level());
    assert!(
        memory < MEMORY.high && level < Level::Full,
        "{memory} {level:?}"
    );
    let before = world.open.len();
    let peer = world.peers.len();
    world.peers.push(Peer::default());
    world.send(peer, TcpFlags::SYN, 65_535, 0, &[]);
    world.turn();
    world.send(peer, TcpFlags::ACK, 65_535, 0, &[]);
    world.turn();
    world.turn();
    assert_eq!(world.open.len(), before + 1);
}

/// At the ceiling no connection begins, and SYNs are counted under the reason.
#[test]
fn no_connection_begins_at_the_ceiling() {
    let mut world = World::new(0);
    world.connect(2);
    // The application itself writes more than there is, to peers that are there.
    let text = vec![1; 13 * MIB];
    for h in world.open.clone() {
        let sent = world.host.socket(h).with(|s| {
            s.set_send_capacity(text.len());
            s.send(&text)
        });
        assert_eq!(sent, Ok(Ok(text.len())));
    }
    world.turn();
    assert_eq!(world.tcp().memory_level(), Level::Full);
    world.peers.push(Peer::default());
    let before = world.host.stats().drops.get(Drop::Memory);
    world.send(2, TcpFlags::SYN, 65_535, 0, &[]);
    world.turn();
    assert_eq!(world.peers[2].ours, 0, "answered");
    assert_eq!(world.host.stats().drops.get(Drop::Memory), before + 1);
    // Once there is memory again, it is let in.
    for h in world.open.clone() {
        world.host.socket(h).with(|s| s.abort()).unwrap();
    }
    world.turn();
    assert!(world.tcp().memory() < MIB);
    world.send(2, TcpFlags::SYN, 65_535, 0, &[]);
    world.turn();
    assert_ne!(world.peers[2].ours, 0, "not answered");
}

/// Connections that nobody accepts hold no more than their listener may: no window of theirs
/// opens, and above the bound no handshake ends.
#[test]
fn a_listener_that_nobody_serves() {
    let bound = MIB;
    let memory = MemoryLimits {
        listener: bound,
        ..MEMORY
    };
    let mut world = World::with(0, memory);
    world.accepts = false;
    let mut held = 0;
    for peer in 0..200 {
        world.peers.push(Peer::default());
        world.send(peer, TcpFlags::SYN, 65_535, 0, &[]);
        world.turn();
        if world.peers[peer].ours == 0 {
            continue;
        }
        held += 1;
        for at in 0..40 {
            world.send(peer, TcpFlags::ACK, 65_535, at * 1400, &[7; 1400]);
        }
        world.turn();
    }
    assert!(held < 30, "{held} connections");
    // What came of one batch is counted when it came.
    assert!(world.most <= bound + 65_536, "{}", world.most);
    // They are served at last, and others are let in.
    world.accepts = true;
    world.turn();
    world.turn();
    world.peers.push(Peer::default());
    world.send(200, TcpFlags::SYN, 65_535, 0, &[]);
    world.turn();
    assert_ne!(world.peers[200].ours, 0);
}

/// Two thousand peers fill the windows they were offered, in order, while the application reads
/// from one connection only: the ceiling holds at every turn, but for the least that
/// one reader is to have, that one goes on, new ones are refused while there is nothing to spare, and all is as before when it reads again.
#[test]
fn windows_filled_that_nobody_reads() {
    const PEERS: usize = 2_000;
    let memory = MemoryLimits {
        low: 4 * MIB,
        pressure: 6 * MIB,
        high: 8 * MIB,
        ..MEMORY
    };
    let mut world = World::with(0, memory);
    world.connect(PEERS);
    world.deaf = true;
    let (mut said, mut turns) = (0, 0);
    let ((), storm) = count(|| {
        for round in 0..46 {
            for first in (1..PEERS).step_by(64) {
                // One that behaves repeats what was not taken.
                world.send(0, TcpFlags::ACK, 65_535, world.read as u32, &[1; 1000]);
                for peer in first..PEERS.min(first + 64) {
                    world.send(peer, TcpFlags::ACK, 65_535, round * 1400, &[7; 1400]);
                }
                world.turn();
                world.turn();
                turns += 1;
                world.now += Duration::from_millis(1);
                said = world.read;
            }
        }
    });
    println!(
        "storm {storm:?}, most {} octets, {said} of {turns} thousand",
        world.most
    );
    let stats = world.host.stats();
    let least = Config::default().receive_buffer_min;
    // 129 MB were sent.
    assert!(
        world.most >= memory.high && world.most <= memory.high + least,
        "{}",
        world.most
    );
    assert!(storm.octets < (memory.high + TURN) as i64, "{storm:?}");
    assert!(stats.drops.get(Drop::Memory) > 10_000, "{stats:?}");
    assert_eq!(said, turns * 1000, "the one that is read from");
    // Nobody is reset for what the application does not read.
    assert_eq!((stats.tcp_shed, world.resets), (0, 0));

    assert_eq!(world.tcp().memory_level(), Level::Full);
    world.peers.push(Peer::default());
    world.send(PEERS, TcpFlags::SYN, 65_535, 0, &[]);
    world.turn();
    assert_eq!(world.peers[PEERS].ours, 0, "let in at the ceiling");

    // Half of them give up; the application reads what the others sent.
    world.deaf = false;
    for peer in 1..PEERS {
        match peer % 2 {
            0 => world.send(peer, TcpFlags::RST, 0, 0, &[]),
            _ => continue,
        }
        if peer % 64 == 0 {
            world.turn();
        }
    }
    for h in world.open.clone() {
        world.serve(h);
    }
    world.pass(Duration::from_secs(5), Duration::from_millis(20));
    let (memory, level) = (world.tcp().memory(), world.tcp().memory_level());
    assert_eq!((memory, level), (0, Level::Free));
    world.send(PEERS, TcpFlags::SYN, 65_535, 0, &[]);
    world.turn();
    assert_ne!(world.peers[PEERS].ours, 0, "let in again");
}
