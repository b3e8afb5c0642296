//! The stack without std and without an allocator: two hosts whose sockets live in borrowed
//! memory, on a device made by hand (`board.rs`). One pings, sends a datagram and a stream; the
//! other echoes. The exit code is 0 if all three came back.
//!
//! ```text
//! $ cargo build --profile bare --no-default-features --example bare
//! $ target/bare/examples/bare && echo all came back
//! all came back
//! ```
//!
//! `ci/bare.sh` does that, and looks for an allocator in the program. With std, where it is a
//! program like any other: `cargo run --example bare`.
#![cfg_attr(not(feature = "std"), no_std, no_main)]

mod board;
#[cfg(not(feature = "std"))]
mod start;

use core::net::SocketAddr;

use board::{Entropy, Failed, Port};
use netstrata::icmp::{Event, Icmp, PingSocket, Received};
use netstrata::socket::{FixedSet, FixedSockets, Ring, fixed::Slot};
use netstrata::tcp::{SocketOf, Tcp};
use netstrata::udp::{Udp, UdpSocket};
use netstrata::{Stack, iface::Ethernet, net::Ipv4, phy::Instant, wire::Mac};

const TEXT: &[u8] = b"Is anybody there?";

type Connection<'a> = SocketOf<FixedSockets<'a>>;
type Host<'a> = Stack<Ethernet<Port<'a>>, Ipv4, (Icmp, Udp, Tcp), FixedSockets<'a>>;

/// Room for the sockets of one host.
#[derive(Default)]
struct Slots<'a> {
    ping: [Slot<PingSocket<&'a mut [u8]>>; 1],
    udp: [Slot<UdpSocket<&'a mut [u8]>>; 1],
    tcp: [Slot<Connection<'a>>; 2],
}

/// Host 10.0.0.`n` on a port of the board.
fn host<'a>(n: u8, port: Port<'a>, slots: &'a mut Slots<'a>) -> Host<'a> {
    let link = Ethernet::new(port, Mac([0x02, 0, 0, 0, 0, n]));
    let net = Ipv4::default().with(0, [10, 0, 0, n].into(), 24);
    let protocols = (Icmp::default(), Udp::default(), Tcp::default());
    let tables = (
        FixedSet::new(&mut slots.ping[..]),
        FixedSet::new(&mut slots.udp[..]),
        FixedSet::new(&mut slots.tcp[..]),
    );
    Host::with_tables(link, net, protocols, tables, &mut Entropy(n.into()))
}

fn run() -> Result<(), Failed> {
    let wire = board::wire();
    let mut slots = <[Slots<'_>; 2]>::default();
    let mut memory = [[[0; 512]; 2]; 6];

    let [near, far] = board::ends(&wire);
    let [near_slots, far_slots] = &mut slots;
    let mut client = host(1, near, near_slots);
    let mut server = host(2, far, far_slots);
    let mut pairs = (memory.iter_mut()).map(|[rx, tx]| (&mut rx[..], &mut tx[..]));
    let mut pair = || pairs.next().unwrap_or_default();
    let stream = |(rx, tx)| Connection::new(Ring::new(rx), Ring::new(tx));
    let datagrams = |port, (rx, tx)| UdpSocket::new(port, rx, tx);

    // The server: a mailbox, a listener, and a socket for the connection it will accept.
    let door = SocketAddr::from(([10, 0, 0, 2], 7));
    let mailbox = server.open(datagrams(7, pair()))?;
    let mut socket = stream(pair());
    socket.bind(door)?;
    socket.listen(1)?;
    let listener = server.open(socket)?;
    let guest = server.open(stream(pair()))?;
    server.socket(listener).offer(guest)?;

    // The client: a ping, a connection, and a datagram when the ping is back.
    let (rx, tx) = pair();
    let ping = client.open(PingSocket::new(0, rx, tx))?;
    let mut request = client.socket(ping);
    request.with(|s| s.send_to(door.ip(), 1, TEXT, None))??;
    let mut socket = stream(pair());
    socket.connect(door)?;
    socket.send(TEXT)?;
    let connection = client.open(socket)?;
    let datagram = client.open(datagrams(0, pair()))?;

    let (mut text, mut back) = ([0; 64], [false; 3]);
    for now in (0..100).map(Instant::from_millis) {
        client.poll(now);
        server.poll(now);
        server.socket(mailbox).with(|s| {
            let got = s.recv_from(&mut text).ok()?;
            s.send_to(&text[..got.len], got.peer).ok()
        })?;
        server.socket(guest).with(|s| {
            let len = s.recv(&mut text).ok()?;
            s.send(&text[..len]).ok()
        })?;

        let is_pong = |got: Received<'_>| got.event == Event::Reply(TEXT);
        if client.socket(ping).with(|s| s.recv(is_pong))? == Some(true) {
            back[0] = true;
            client.socket(datagram).with(|s| s.send_to(TEXT, door))??;
        }
        let is_echo = |s: &mut UdpSocket<_>| s.recv_with(|_, text| text == TEXT);
        back[1] |= client.socket(datagram).with(is_echo)? == Ok(true);
        back[2] |= client.socket(connection).look(|s| s.peek()[0] == TEXT)?;
    }
    (back == [true; 3]).then_some(()).ok_or(Failed)
}

#[cfg(feature = "std")]
fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(u8::from(run().is_err()))
}
