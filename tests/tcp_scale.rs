//! What connections cost that do nothing: no time in `poll`, and little memory.
#![cfg(feature = "alloc")]

#[path = "support/alloc.rs"]
mod alloc;
mod support;

use core::time::Duration;

use netstrata::Next;
use netstrata::phy::{Cable, Instant, cable};
use netstrata::socket::{Handle, SocketSet};
use netstrata::tcp::{Limits, Tcp, TcpError, TcpSocket};
use support::EAST;
use support::bulk::{Lan, Side, Socket, lan_with};
use support::pair::{Counted, End, Pair, wires};

type Host = Lan<Counted<cable::End>>;
type Hosts = Pair<Host, Host>;

/// Connections to one port: fewer than there are ephemeral ports.
const PER_PORT: usize = 10_000;

/// Two hosts; the second connected `n` times to the first, which accepted all.
fn connected(n: usize) -> (Hosts, Vec<Handle<Socket>>) {
    let (a, b) = Cable::with_queue(1514, 4096);
    let (a, b, moved) = wires(a, b);
    let tcp = || {
        Tcp::new().with_limits(Limits {
            handshakes: 1 << 20,
            ..Limits::default()
        })
    };
    let mut pair = Pair::new(lan_with(a, 1, tcp()), lan_with(b, 2, tcp()), moved);
    let mut accepted = Vec::new();
    for first in (0..n).step_by(PER_PORT) {
        let port = (1000 + first / PER_PORT) as u16;
        let listener = TcpSocket::listener((EAST, port).into(), 4096);
        let listener = pair.a.open(listener).unwrap();
        let wanted = accepted.len() + PER_PORT.min(n - first);
        let mut opened = accepted.len();
        let end = pair.run(Duration::from_secs(600), |a, b, _| {
            while let Some(h) = a.socket(listener).accept() {
                accepted.push(h);
            }
            // A thousand handshakes at once.
            while opened < wanted && opened < accepted.len() + 1000 {
                b.open(TcpSocket::connecting((EAST, port).into())).unwrap();
                opened += 1;
            }
            accepted.len() == wanted
        });
        assert_eq!(end, End::Done);
    }
    while pair.a.next_news::<Socket, _>().is_some() {}
    while pair.b.next_news::<Socket, _>().is_some() {}
    // Buffers used in handshakes are given back.
    pair.pass(Duration::from_secs(5));
    (pair, accepted)
}

/// Slots looked at so far; counted in debug builds.
fn looks(host: &mut Host) -> u64 {
    host.sockets::<Socket, _>().touched().unwrap_or(0)
}

/// Slots looked at for moving a megabyte over a connection of its own.
fn looks_for_a_megabyte(pair: &mut Hosts) -> u64 {
    let listener = TcpSocket::listener((EAST, 80).into(), 1);
    let listener = pair.a.open(listener).unwrap();
    let client = TcpSocket::connecting((EAST, 80).into());
    let mut client = Side::new(pair.b.open(client).unwrap(), 1_000_000);
    let mut server: Option<Side> = None;
    let before = looks(&mut pair.a) + looks(&mut pair.b);
    let end = pair.run(Duration::from_secs(60), |a, b, _| {
        if server.is_none() {
            server = a.socket(listener).accept().map(|h| Side::new(h, 1000));
        }
        server.as_mut().is_some_and(|side| side.act(a)) & client.act(b)
    });
    assert_eq!(end, End::Done);
    looks(&mut pair.a) + looks(&mut pair.b) - before
}

#[test]
fn idle_connections_cost_nothing() {
    let mut costs = [10, 50_000].map(|n| {
        let (mut pair, _) = connected(n);
        assert_eq!(
            pair.a.sockets::<Socket, _>().len(),
            n + n.div_ceil(PER_PORT)
        );
        let before = looks(&mut pair.a);
        for ms in 0..1000 {
            let next = pair.a.poll(pair.now + Duration::from_millis(ms));
            assert!(matches!(next, Next::Wait { room: false, .. }));
        }
        let idle = looks(&mut pair.a) - before;
        assert_eq!(idle, 0, "looks at slots of {n} idle connections");
        pair.now += Duration::from_secs(1);
        looks_for_a_megabyte(&mut pair)
    });
    println!("looks at slots for a megabyte, beside 10 and beside 50000: {costs:?}");
    costs.sort_unstable();
    // Equal but for chance in the hash index.
    assert!(costs[1] <= costs[0] + costs[0] / 20 + 100, "{costs:?}");
}

#[test]
fn an_idle_connection_takes_little_memory() {
    const N: usize = 5000;
    let (sizes, counts) = alloc::count(|| connected(N));
    let each = counts.octets / (2 * N as i64);
    println!("{each} octets of heap for an idle connection");
    assert!(each <= 700, "{each} octets for each connection");
    drop(sizes);
}

#[test]
fn a_bulk_transfer_allocates_nothing() {
    let (mut pair, _) = connected(2);
    let listener = TcpSocket::listener((EAST, 80).into(), 1);
    let listener = pair.a.open(listener).unwrap();
    let client = TcpSocket::connecting((EAST, 80).into());
    let mut client = Side::new(pair.b.open(client).unwrap(), 64_000_000);
    let mut server: Option<Side> = None;
    let mut go = |pair: &mut Hosts, octets: u64| {
        let packets = pair.b.stats().tx_packets;
        pair.run(Duration::from_secs(60), |a, b, _| {
            if server.is_none() {
                server = a
                    .socket(listener)
                    .accept()
                    .map(|h| Side::new(h, 64_000_000));
            }
            let Some(server) = &mut server else {
                return false;
            };
            server.act(a);
            client.act(b);
            server.got >= octets && client.got >= octets
        });
        pair.b.stats().tx_packets - packets
    };
    go(&mut pair, 8_000_000);
    let (packets, counts) = alloc::count(|| go(&mut pair, 16_000_000));
    assert!(packets > 5000, "{packets} packets");
    assert_eq!(counts.allocations, 0, "in {packets} packets each way");
}

#[test]
fn ephemeral_ports_run_out_with_an_error() {
    let (a, b) = Cable::with_queue(1514, 1 << 15);
    let (a, _b, _) = wires(a, b);
    let mut host = lan_with(a, 2, Tcp::new());
    let mut open = || {
        let socket: Socket = TcpSocket::connecting((EAST, 80).into());
        let h = host.open(socket).unwrap();
        host.poll(Instant::from_secs(1));
        host.socket(h).with(|s| s.take_error()).unwrap()
    };
    for n in 32_768..=60_999 {
        assert_eq!(open(), None, "connection {n}");
    }
    assert_eq!(open(), Some(TcpError::AddrInUse));
}
