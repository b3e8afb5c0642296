//! Whole TCP conversations: a host against a scripted peer, each exchange one snapshot.

mod support;

use netstrata::Stack;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, cable};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::{SocketOf, Tcp, TcpSocket};
use support::script::Script;
use support::{EAST, Seed};

type Host = Stack<Ip<cable::End>, Ipv4, (Tcp,), SlabSockets>;
type Socket = SocketOf<SlabSockets>;

/// Our port in scripts.
const PORT: u16 = 80;

fn host_with(tcp: Tcp) -> Script<Host> {
    let (end, wire) = Cable::new(1500);
    let ip = Ipv4::default().with(0, [192, 0, 2, 1].into(), 24);
    let host = Stack::new(Ip::new(end), ip, (tcp,), SlabSockets, &mut Seed(1));
    Script::new(host, wire, PORT)
}

fn host() -> Script<Host> {
    host_with(Tcp::new())
}

fn listening(backlog: usize) -> (Script<Host>, Handle<Socket>) {
    let mut script = host();
    let listener = TcpSocket::listener((EAST, PORT).into(), backlog);
    let h = script.app("listen", |host| host.open(listener).unwrap());
    (script, h)
}

#[test]
fn refuses_what_has_no_socket() {
    let mut script = host();
    script.play(
        "
        # a SYN, with text
        < S 0:10 win 65535 <mss 1460>
        # an ACK
        < . 1:1 ack 77 win 100
        # a reset
        < R 1:1 win 0
        ",
    );
    insta::assert_snapshot!(script.transcript());
}

#[test]
fn syn_ack_backs_off_five_times() {
    let (mut script, _) = listening(4);
    script.play(
        "
        < S 0:0 win 65535 <mss 1460,sackOK,TS 100 ecr 0,nop,wscale 7>
        +80000ms
        ",
    );
    insta::assert_snapshot!(script.transcript());
}
