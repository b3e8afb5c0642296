//! Several stacks with one address on the queues of one interface, and the Linux kernel as the
//! other host.
#![cfg(all(feature = "std", target_os = "linux"))]

#[path = "support/netns.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "each test file takes what it needs"
)]
mod netns;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use netns::{HANG, Namespace};
use netstrata::Stack;
use netstrata::host::{
    AnyLink, Connection, Datagrams, Host, Opened, Pattern, Phy, Runner, Settings, Shard,
    on_threads, os_rng, pump,
};
use netstrata::phy::Bell;
use netstrata::socket::{Handle, SlabSockets, SocketSet};

const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const OURS: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
const PORT: u16 = 7;

/// A namespace with one interface to the stacks, and what they need. Packet sockets and AF_XDP sit
/// at the other end of a veth pair.
fn place(phy: Phy, count: usize) -> (Namespace, Vec<Shard>) {
    let kernel = Namespace::new();
    if !matches!(phy, Phy::Tap(_) | Phy::Tun(_)) {
        let queues = format!("numrxqueues {count} numtxqueues {count}");
        kernel.ip(&format!(
            "link add port0 {queues} type veth peer name wire0 {queues}"
        ));
        kernel.up("wire0", "");
        kernel.up("port0", "");
        let up = |_| kernel.ip("-oneline link show port0").contains("state UP");
        assert!((0..1000).any(up), "port0 does not come up");
    }
    let settings = Settings {
        phy,
        addrs: vec![format!("{OURS}/24").parse().unwrap()],
        offload: true,
        ..Settings::default()
    };
    let shards = kernel.run(|| settings.open_shards(count)).unwrap();
    kernel.up("port0", &format!("{KERNEL}/24"));
    (kernel, shards)
}

fn host(shard: Shard) -> (Host<AnyLink>, Runner) {
    let protocols = shard.protocols();
    let at = shard.at;
    let link = Opened::link(at.device, at.medium, at.mac);
    let host = Stack::new(link, at.net, protocols, SlabSockets, &mut os_rng());
    (host, at.runner)
}

/// What the main thread ends the stacks with.
struct End {
    now: AtomicBool,
    bells: Vec<Bell>,
}

impl End {
    fn of(shards: &[Shard]) -> Self {
        let bells = shards.iter().map(|shard| shard.at.runner.bell()).collect();
        let now = AtomicBool::new(false);
        Self { now, bells }
    }
}

/// Also when an assertion fails, so that the stacks do not go on for ever.
impl Drop for Ender<'_> {
    fn drop(&mut self) {
        self.0.now.store(true, Relaxed);
        self.0.bells.iter().for_each(Bell::ring);
    }
}

struct Ender<'a>(&'a End);

/// Echoes on TCP and UDP until told to end; returns how many connections and datagrams came.
fn echo(shard: Shard, end: &End) -> (usize, usize) {
    let (mut host, mut runner) = host(shard);
    let here = SocketAddr::new(OURS.into(), PORT);
    let listener = host.open(Connection::listener(here, 64)).unwrap();
    let buffer = || vec![0; 1 << 16].into_boxed_slice();
    let datagrams = host.open(Datagrams::new(PORT, buffer(), buffer())).unwrap();
    let (mut scratch, mut accepted, mut came) = (buffer(), 0, 0);
    while !end.now.load(Relaxed) {
        runner.turn(&mut [&mut host], None).unwrap();
        while let Some(h) = host.next_news::<Connection, _>() {
            while host.socket(listener).accept().is_some() {
                accepted += 1;
            }
            if h != listener {
                let moved = host.socket(h).with(|s| pump::echo(s, &mut scratch));
                if moved.unwrap().unwrap().ended {
                    host.close(h).unwrap();
                }
            }
        }
        while host.next_news::<Datagrams, _>().is_some() {
            let turn = |s: &mut Datagrams| {
                while let Ok(got) = s.recv_from(&mut scratch) {
                    came += 1;
                    s.send_to(&scratch[..got.len], got.peer).unwrap();
                }
            };
            host.socket(datagrams).with(turn).unwrap();
        }
    }
    (accepted, came)
}

/// Sends a pattern to `to` and reads the same back.
fn visit(to: SocketAddr, octets: usize) {
    let mut text = vec![0; octets];
    Pattern::new().fill(&mut text);
    let mut stream = TcpStream::connect_timeout(&to, HANG).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&text).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == text, "{} octets of {octets}", back.len());
    });
}

/// `wired`, and AF_XDP if this build and this kernel have it.
fn all(wired: &[&'static str]) -> Vec<&'static str> {
    #[cfg(feature = "xdp")]
    {
        let there = Namespace::new();
        there.ip("link add port0 type veth peer name wire0");
        let opened = there.run(|| phy::XdpSocket::open("wire0"));
        let refused = opened.err().map(|error| error.failure());
        if refused != Some(phy::OpenFailure::NotSupported) {
            return [wired, &["xdp:wire0"]].concat();
        }
    }
    wired.to_vec()
}

#[test]
fn connections_are_served_by_the_stack_they_are_steered_to() {
    need!();
    for phy in all(&["tap:port0", "tun:port0", "raw:wire0"]) {
        let phy: Phy = phy.parse().unwrap();
        let (kernel, shards) = place(phy.clone(), 2);
        let end = End::of(&shards);
        let served = thread::scope(|scope| {
            let stacks = scope.spawn(|| on_threads(shards, |shard| echo(shard, &end)));
            let ender = Ender(&end);
            kernel.run(|| {
                thread::scope(|visits| {
                    for n in 0..24 {
                        visits.spawn(move || visit((OURS, PORT).into(), 100_000 + n));
                    }
                });
                // From many ports, so that both stacks are asked.
                for n in 0..24 {
                    let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
                    socket.set_read_timeout(Some(HANG)).unwrap();
                    // Longer than a packet: the pieces have no ports to be steered by.
                    let text = vec![n; if n % 2 == 0 { 5000 } else { 50 }];
                    socket.send_to(&text, (OURS, PORT)).unwrap();
                    let mut back = vec![0; 6000];
                    let (len, _) = socket.recv_from(&mut back).unwrap();
                    assert!(back[..len] == text);
                }
            });
            let ping = format!("-c 3 -i 0.05 -W 10 {OURS}");
            if netns::obstacle(&["ping"]).is_none() {
                let (status, said) = kernel.output("ping", ping.split(' '));
                assert!(status.success(), "{said}");
                assert!(!said.contains("DUP"), "one of them answers: {said}");
            }
            drop(ender);
            stacks.join().unwrap()
        });
        let (connections, datagrams): (Vec<_>, Vec<_>) = served.into_iter().unzip();
        assert_eq!(connections.iter().sum::<usize>(), 24, "{phy}");
        assert_eq!(datagrams.iter().sum::<usize>(), 24, "{phy}");
        // One in 2^23 that chance gives all of them to one.
        assert!(connections.iter().all(|n| *n > 0), "{phy}: {connections:?}");
        assert!(datagrams.iter().all(|n| *n > 0), "{phy}: {datagrams:?}");
    }
}

/// Opens `count` connections to the kernel and echoes what it sends, until it ends them and all
/// stacks are `done`: what comes to the queue of one may be for another.
fn connect(
    shard: Shard,
    to: SocketAddr,
    count: usize,
    failed: &AtomicUsize,
    (done, end): (&AtomicUsize, &End),
) -> u64 {
    let share = shard.share;
    let (mut host, mut runner) = host(shard);
    let mut open: Vec<Handle<Connection>> = (0..count)
        .map(|_| host.open(Connection::connecting(to)).unwrap())
        .collect();
    let mut scratch = vec![0; 1 << 16];
    let mut echoed = 0;
    while !open.is_empty() {
        runner.turn(&mut [&mut host], None).unwrap();
        while let Some(h) = host.next_news::<Connection, _>() {
            let turn = |socket: &mut Connection| {
                if let Some(local) = socket.local_addr() {
                    assert!(share.holds(local.port()), "{share:?}: {local}");
                }
                pump::echo(socket, &mut scratch)
            };
            let moved = host.socket(h).with(turn).unwrap();
            echoed += moved.map_or(0, |moved| moved.sent);
            if moved.is_err() {
                failed.fetch_add(1, Relaxed);
            }
            if moved.map_or(true, |moved| moved.ended) {
                host.close(h).unwrap();
                open.retain(|one| *one != h);
            }
        }
    }
    // What is still owed to the peers.
    while !host.sockets::<Connection, _>().is_empty() {
        runner.turn(&mut [&mut host], None).unwrap();
    }
    if done.fetch_add(1, Relaxed) + 1 == end.bells.len() {
        drop(Ender(end));
    }
    while !end.now.load(Relaxed) {
        runner.turn(&mut [&mut host], None).unwrap();
    }
    echoed
}

#[test]
fn connections_of_ours_come_back_to_the_stack_that_began_them() {
    need!();
    for phy in all(&["tap:port0", "raw:wire0"]) {
        begin_and_come_back(phy.parse().unwrap());
    }
}

fn begin_and_come_back(phy: Phy) {
    const EACH: usize = 12;
    let (kernel, shards) = place(phy, 3);
    let to = SocketAddr::new(KERNEL.into(), 9000);
    let listener = kernel.run(|| TcpListener::bind(to)).unwrap();
    let (failed, done, end) = (AtomicUsize::new(0), AtomicUsize::new(0), End::of(&shards));
    let posts: Vec<_> = shards.iter().map(|shard| shard.post.clone()).collect();
    let echoed = thread::scope(|scope| {
        let stacks =
            scope.spawn(|| on_threads(shards, |s| connect(s, to, EACH, &failed, (&done, &end))));
        for n in 0..3 * EACH {
            let (mut stream, from) = listener.accept().unwrap();
            assert_eq!(from.ip(), OURS);
            scope.spawn(move || {
                stream.set_read_timeout(Some(HANG)).unwrap();
                let text = vec![n as u8; 50_000];
                stream.write_all(&text).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut back = Vec::new();
                stream.read_to_end(&mut back).unwrap();
                assert!(back == text);
            });
        }
        stacks.join().unwrap()
    });
    assert_eq!(failed.load(Relaxed), 0);
    assert_eq!(echoed, [50_000 * EACH as u64; 3]);
    // Neighbours are asked for by each, and all hear each answer.
    assert!(posts.iter().map(netstrata::host::Post::passed).sum::<u64>() > 0);
    assert_eq!(
        posts.iter().map(netstrata::host::Post::lost).sum::<u64>(),
        0
    );
}
