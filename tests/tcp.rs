//! Whole TCP conversations: a host against a scripted peer, each exchange one snapshot, and two
//! hosts against each other. Every snapshot was read against RFC 9293.
#![cfg(feature = "alloc")]

mod support;

#[path = "tcp/attack.rs"]
mod attack;
#[path = "tcp/close.rs"]
mod close;
#[path = "tcp/ecn.rs"]
mod ecn;
#[path = "tcp/fastopen.rs"]
mod fastopen;
#[path = "tcp/fixed.rs"]
mod fixed;
#[path = "tcp/handshake.rs"]
mod handshake;
#[path = "tcp/icmp.rs"]
mod icmp;
#[path = "tcp/listen.rs"]
mod listen;
#[path = "tcp/many.rs"]
mod many;
#[path = "tcp/marks.rs"]
mod marks;
#[path = "tcp/open.rs"]
mod open;
#[path = "tcp/runs.rs"]
mod runs;
#[path = "tcp/shrink.rs"]
mod shrink;
#[path = "tcp/sockets.rs"]
mod sockets;
#[path = "tcp/transfer.rs"]
mod transfer;

use netstrata::Stack;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, cable};
use netstrata::socket::{Handle, SlabSockets, SocketSet};
use netstrata::tcp::{SocketOf, Tcp, TcpSocket};
use support::script::Script;
use support::{EAST, Seed, WEST, pattern};

/// A host on a link without addresses.
type Host = Stack<Ip<cable::End>, Ipv4, (Tcp,), SlabSockets>;
/// Its sockets.
type Socket = SocketOf<SlabSockets>;

/// The host's port in scripts; the peer's is 5000.
const PORT: u16 = 80;

/// A host with these numbers, on a cable of MTU 1500 to the script.
fn host_with(tcp: Tcp) -> Script<Host> {
    host_of(Ipv4::default().with(0, [192, 0, 2, 1].into(), 24), tcp)
}

fn host_of(ip: Ipv4, tcp: Tcp) -> Script<Host> {
    let (end, wire) = Cable::new(1500);
    let host = Stack::new(Ip::new(end), ip, (tcp,), SlabSockets, &mut Seed(1));
    Script::new(host, wire, PORT)
}

fn host() -> Script<Host> {
    host_with(Tcp::new())
}

/// A host that listens.
fn listening(backlog: usize) -> (Script<Host>, Handle<Socket>) {
    let mut script = host();
    let listener = TcpSocket::listener((EAST, PORT).into(), backlog);
    let h = script.app("listen", |host| host.open(listener).unwrap());
    (script, h)
}

/// A host that has accepted a connection whose SYN had these options; nothing of that is in
/// the transcript.
fn accepted(options: &str) -> (Script<Host>, Handle<Socket>) {
    let (mut script, listener) = listening(4);
    script.peer(&format!("S 0:0 win 65535 {options}"));
    let stamp = match options.contains("TS") {
        true => "<TS 101 ecr last>",
        false => "",
    };
    script.peer(&format!(". ack 1 win 65535 {stamp}"));
    let h = script.host.socket(listener).accept().expect("a connection");
    script.host.close(listener).unwrap();
    script.forget();
    (script, h)
}

/// A host that connects from our port to the peer's.
fn connecting() -> (Script<Host>, Handle<Socket>) {
    let mut script = host();
    let h = script.app("connect", |host| {
        let mut socket = TcpSocket::closed();
        socket.bind((EAST, PORT).into()).unwrap();
        socket.connect((WEST, 5000).into()).unwrap();
        host.open(socket).unwrap()
    });
    (script, h)
}

/// What the application reads, and whether it is the stream's pattern from `at` on.
fn read(host: &mut Host, h: Handle<Socket>, at: u64) -> String {
    let mut text = vec![0; 1 << 20];
    match host.socket(h).with(|s| s.recv(&mut text)).unwrap() {
        Ok(n) => {
            let good = text[..n].iter().zip(at..).all(|(o, n)| *o == pattern(n));
            format!("{n} octets, {}", if good { "right" } else { "WRONG" })
        }
        Err(error) => error.to_string(),
    }
}

/// Writes `n` octets of the pattern.
fn write(host: &mut Host, h: Handle<Socket>, n: usize) -> String {
    let text: Vec<u8> = (1..=n as u64).map(pattern).collect();
    match host.socket(h).with(|s| s.send(&text)).unwrap() {
        Ok(n) => format!("{n} octets"),
        Err(error) => error.to_string(),
    }
}

/// The socket's state, or that it is gone.
fn state(host: &mut Host, h: Handle<Socket>) -> String {
    match host.socket(h).look(|s| s.state()) {
        Ok(state) => state.to_string(),
        Err(gone) => gone.to_string(),
    }
}
