//! What SYNs say and who may use a pair of addresses and ports again: MSS limits, TIME-WAIT
//! (RFC 6191), connections of a socket with itself (RFC 9293 §3.5).

use super::*;
use crate::support::snapshot;
use netstrata::Next;
use netstrata::phy::{Instant, Loopback};
use netstrata::tcp::Config;

/// A socket from our port to the peer's, opened with this limit of its MSS.
fn connect_with(script: &mut Script<Host>, mss: Option<u16>) -> Handle<Socket> {
    script.app("connect", |host| {
        let mut socket = TcpSocket::closed();
        socket.set_mss(mss);
        socket.bind((EAST, PORT).into()).unwrap();
        socket.connect((WEST, 5000).into()).unwrap();
        host.open(socket).unwrap()
    })
}

/// `TCP_MAXSEG` of 1100: advertised, and sent no more than; a peer's smaller one counts.
#[test]
fn profile_maxseg_of_a_client() {
    let mut script = host();
    let h = connect_with(&mut script, Some(1100));
    script.play("< S. 0:0 ack 1 win 65535 <mss 1460>");
    script.told("write", |host| write(host, h, 2500));
    let mut other = host();
    let h = connect_with(&mut other, Some(1100));
    other.play("< S. 0:0 ack 1 win 65535 <mss 1000>");
    other.told("write", |host| write(host, h, 2500));
    let text = script.transcript().to_string() + "\n" + other.transcript();
    snapshot!("tcp__maxseg_client", text);
}

/// The same of a listener, for the connections it makes; also when the SYN-ACK is repeated.
#[test]
fn profile_maxseg_of_a_listener() {
    let mut script = host();
    let listener = script.app("listen", |host| {
        let mut socket = TcpSocket::listener((EAST, PORT).into(), 4);
        socket.set_mss(Some(1100));
        host.open(socket).unwrap()
    });
    script.play(
        "< S 0:0 win 65535 <mss 1460>
        < S 0:0 win 65535 <mss 1460>
        +1000ms
        < . 1:1 ack 1 win 65535",
    );
    let h = script.host.socket(listener).accept().unwrap();
    script.told("write", |host| write(host, h, 2500));
    snapshot!("tcp__maxseg_listener", script.transcript());
}

/// A connection that we opened and closed first, in TIME-WAIT for a moment.
fn closed_by_us(options: &str, echo: &str) -> Script<Host> {
    let (mut script, h) = connecting();
    script.play(&format!("< S. 0:0 ack 1 win 65535 <mss 1460{options}>"));
    script.app("close", |host| host.close(h).unwrap());
    script.play(&format!("< F. 1:1 ack 2 win 65535 {echo}"));
    assert_eq!(script.host.transports().0.waiting(), 1);
    script
}

/// `connect` between addresses and ports in TIME-WAIT: refused within a second, then granted
/// where timestamps protect it (RFC 6191 §4), with a number beyond the last one.
#[test]
fn time_wait_is_used_again_by_connect() {
    let mut script = closed_by_us(",sackOK,TS 100 ecr 0", "<TS 101 ecr 0>");
    script.wait(999);
    let h = connect_with(&mut script, None);
    let _ = script.told("too early", |host| host.socket(h).with(|s| s.take_error()));
    script.wait(1);
    let h = connect_with(&mut script, None);
    script.told("state", |host| state(host, h));
    assert_eq!(script.host.transports().0.waiting(), 0);
    snapshot!("tcp__time_wait_used_again", script.transcript());
}

/// Without timestamps, or when it is switched off, never.
#[test]
fn time_wait_is_kept_without_timestamps() {
    let mut script = closed_by_us("", "");
    script.wait(59_000);
    let h = connect_with(&mut script, None);
    let error = script.host.socket(h).with(|s| s.take_error()).unwrap();
    assert_eq!(error, Some(netstrata::tcp::TcpError::AddrInUse));

    let mut script = closed_by_us(",TS 100 ecr 0", "<TS 101 ecr 0>");
    script.host.transports().0.config_mut().time_wait_reuse = None;
    script.wait(59_000);
    let h = connect_with(&mut script, None);
    let error = script.host.socket(h).with(|s| s.take_error()).unwrap();
    assert_eq!(error, Some(netstrata::tcp::TcpError::AddrInUse));
}

/// A SYN-ACK that echoes what none of our SYNs said is another connection's (RFC 7323 §3.2).
#[test]
fn a_syn_ack_of_another_time_is_refused() {
    let (mut script, h) = connecting();
    script.wait(500);
    script.play(
        "< S. 0:0 ack 1 win 65535 <mss 1460,TS 100 ecr 4000000000>
        < S. 0:0 ack 1 win 65535 <mss 1460,TS 100 ecr 900>
        < S. 0:0 ack 1 win 65535 <mss 1460,TS 100 ecr 0>",
    );
    script.told("state", |host| state(host, h));
    snapshot!("tcp__syn_ack_echo", script.transcript());
}

/// A socket bound to the port it connects to talks to itself (RFC 9293 §3.5, figure 8).
#[test]
fn a_socket_may_connect_to_itself() {
    let ip = Ipv4::default()
        .with(0, [192, 0, 2, 1].into(), 24)
        .loopback(0);
    let link = Ip::new(Loopback::new(1500));
    let mut host: Stack<_, _, _, SlabSockets> = Stack::new(
        link,
        ip,
        (Tcp::<netstrata::tcp::Cubic>::default(),),
        SlabSockets,
        &mut Seed(1),
    );
    let mut socket = Socket::closed();
    socket.bind((EAST, PORT).into()).unwrap();
    socket.connect((EAST, PORT).into()).unwrap();
    let h = host.open(socket).unwrap();
    let turn = |host: &mut Stack<_, _, _, _>| {
        for _ in 0..20 {
            let _: Next = host.poll(Instant::from_secs(1));
        }
    };
    turn(&mut host);
    let state = host.socket(h).look(|s| s.state()).unwrap();
    assert_eq!(state.to_string(), "ESTABLISHED");
    host.socket(h).with(|s| s.send(b"myself")).unwrap().unwrap();
    turn(&mut host);
    let mut text = [0; 16];
    let n = host.socket(h).with(|s| s.recv(&mut text)).unwrap().unwrap();
    assert_eq!(&text[..n], b"myself");
}

/// Options that the profile does not have are not offered.
#[test]
fn a_bare_syn() {
    let config = Config {
        timestamps: false,
        sack: false,
        window_scaling: false,
        ..Config::default()
    };
    let mut script = host_with(Tcp::new().with_config(config));
    connect_with(&mut script, None);
    snapshot!("tcp__bare_syn", script.transcript());
}

/// At an MTU of 1500 the MSS is 1460; a SYN of ours and a SYN-ACK say so with a window of 65535.
#[test]
fn profile_mss_at_mtu_1500() {
    let (mut script, _) = connecting();
    let (mut other, _) = listening(4);
    other.play(
        "< S 0:0 win 65535 <mss 1460,sackOK,TS 1 ecr 0,nop,wscale 7>
        < port 5001 S 0:0 win 65535 <mss 1460,nop,nop,sackOK>",
    );
    let text = script.transcript().to_string() + "\n" + other.transcript();
    snapshot!("tcp__profile_mss", text);
    script.play("< S. 0:0 ack 1 win 65535 <mss 1460>");
}

/// Segments for no socket: `R` from where they acknowledge, or `R.` for what they hold.
#[test]
fn profile_no_socket() {
    let mut script = host();
    script.play(
        "< . 1:1 ack 700 win 512
        < S 0:0 win 512
        < F. 9:10 ack 5 win 512
        < FP 9:20 win 512
        < R 9:9 win 0",
    );
    snapshot!("tcp__profile_no_socket", script.transcript());
}
