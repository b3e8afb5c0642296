//! Opening connections (RFC 9293 §3.5).

use super::*;
use crate::support::snapshot;

#[test]
fn nobody_there() {
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
    snapshot!("tcp__nobody_there", script.transcript());
}

#[test]
fn passive_open_with_all_options() {
    let (mut script, listener) = listening(4);
    script.play(
        "
        < S 0:0 win 65535 <mss 1460,sackOK,TS 100 ecr 0,nop,wscale 7>
        +30ms
        < . ack 1 win 512 <TS 130 ecr last>
        ",
    );
    let h = script.host.socket(listener).accept().unwrap();
    script.told("state", |host| state(host, h));
    let (local, peer) = script
        .host
        .socket(h)
        .look(|s| (s.local_addr(), s.peer_addr()))
        .unwrap();
    assert_eq!(local, Some((EAST, PORT).into()));
    assert_eq!(peer, Some((WEST, 5000).into()));
    assert!(script.host.socket(listener).accept().is_none());
    snapshot!("tcp__passive_open", script.transcript());
}

#[test]
fn passive_open_without_options() {
    let (mut script, listener) = listening(4);
    script.play("< S 0:0 win 1000");
    script.play("< . ack 1 win 1000");
    let h = script.host.socket(listener).accept().unwrap();
    script.told("write", |host| write(host, h, 2000));
    snapshot!("tcp__passive_open_bare", script.transcript());
}

#[test]
fn passive_open_with_unknown_options() {
    let (mut script, listener) = listening(4);
    // Kind 253 of six octets, MSS 1400, kind 99 of two, then SACK permitted and the end.
    script.play("< S 0:0 win 1000 <raw fd 06 01 02 03 04 02 04 05 78 63 02 04 02 00 00>");
    script.play("< . ack 1 win 1000");
    assert!(script.host.socket(listener).accept().is_some());
    // The length of an option runs past the end: what stood before it counts.
    script.play("< port 5001 S 0:0 win 1000 <raw 02 04 05 78 03 09 01 01>");
    script.play("< port 5001 . ack 1 win 1000");
    assert!(script.host.socket(listener).accept().is_some());
    snapshot!("tcp__passive_open_unknown_options", script.transcript());
}

#[test]
fn text_on_the_last_ack_of_the_handshake() {
    let (mut script, listener) = listening(4);
    script.play(
        "
        < S 0:0 win 65535 <mss 1460>
        < PF. 1:101 ack 1 win 65535
        ",
    );
    let h = script.host.socket(listener).accept().unwrap();
    assert_eq!(script.host.next_news::<Socket, _>(), Some(listener));
    assert_eq!(script.host.next_news::<Socket, _>(), Some(h));
    script.told("read", |host| read(host, h, 1));
    script.told("read", |host| read(host, h, 101));
    script.told("state", |host| state(host, h));
    snapshot!("tcp__text_on_last_ack", script.transcript());
}

#[test]
fn syn_ack_backs_off_and_gives_up() {
    let (mut script, _) = listening(4);
    script.play("< S 0:0 win 65535 <mss 1460>\n+80000ms");
    assert_eq!(script.host.transports().0.handshakes(), 0);
    snapshot!("tcp__syn_ack_backs_off", script.transcript());
}

#[test]
fn syn_again_is_answered_again() {
    let (mut script, listener) = listening(4);
    script.play(
        "
        < S 0:0 win 65535 <mss 1460,TS 1 ecr 0>
        # the same a little later, and once more: one of them is enough
        +400ms
        < S 0:0 win 65535 <mss 1460,TS 401 ecr 0>
        < S 0:0 win 65535 <mss 1460,TS 401 ecr 0>
        < . ack 1 win 65535 <TS 402 ecr last>
        ",
    );
    assert!(script.host.socket(listener).accept().is_some());
    assert!(script.host.socket(listener).accept().is_none());
    snapshot!("tcp__syn_again", script.transcript());
}

#[test]
fn active_open() {
    let (mut script, h) = connecting();
    assert_eq!(script.host.next_news::<Socket, _>(), None);
    script.play(
        "
        +40ms
        < S. 0:0 ack 1 win 64000 <mss 1400,sackOK,TS 9 ecr 0,nop,wscale 6>
        ",
    );
    assert_eq!(script.host.next_news::<Socket, _>(), Some(h));
    script.told("state", |host| state(host, h));
    script.told("write", |host| write(host, h, 3000));
    snapshot!("tcp__active_open", script.transcript());
}

#[test]
fn what_is_written_early_follows_the_handshake() {
    let (mut script, h) = connecting();
    script.told("write", |host| write(host, h, 100));
    script.told("shut down", |host| {
        host.socket(h)
            .with(|s| s.shutdown(netstrata::tcp::Shutdown::Write))
            .unwrap()
    });
    script.play("< S. 0:0 ack 1 win 64000 <mss 1400>");
    snapshot!("tcp__written_early", script.transcript());
}

#[test]
fn connecting_backs_off_and_gives_up() {
    let (mut script, h) = connecting();
    script.wait(70_000);
    script.told("state", |host| state(host, h));
    script.told("read", |host| read(host, h, 1));
    snapshot!("tcp__connecting_backs_off", script.transcript());
}

#[test]
fn refused() {
    let (mut script, h) = connecting();
    script.play(
        "
        # a reset for something else
        < R. 0:0 ack 0 win 0
        < R 0:0 win 0
        # and for this
        < R. 0:0 ack 1 win 0
        ",
    );
    assert_eq!(script.host.next_news::<Socket, _>(), Some(h));
    script.told("state", |host| state(host, h));
    script.told("write", |host| write(host, h, 1));
    script.told("write", |host| write(host, h, 1));
    snapshot!("tcp__refused", script.transcript());
}

#[test]
fn simultaneous_open() {
    let (mut script, h) = connecting();
    script.play(
        "
        < S 0:0 win 64000 <mss 1400>
        < S. 0:0 ack 1 win 64000 <mss 1400>
        < P. 1:11 ack 1 win 64000
        ",
    );
    script.told("state", |host| state(host, h));
    script.told("read", |host| read(host, h, 1));
    snapshot!("tcp__simultaneous_open", script.transcript());
}

#[test]
fn an_old_connection_answers_a_syn() {
    let (mut script, h) = connecting();
    script.play(
        "
        # half-open: the peer still has a connection of these ports
        < . 5000:5000 ack 9999 win 1000
        +1000ms
        < S. 0:0 ack 1 win 64000 <mss 1400>
        ",
    );
    script.told("state", |host| state(host, h));
    snapshot!("tcp__half_open", script.transcript());
}

/// RFC 9293 §3.9.2.3 (MUST-46): nothing is sent to groups and broadcast; the application is told.
#[test]
fn an_address_of_nobody_cannot_be_connected_to() {
    let mut script = host();
    for peer in [
        "0.0.0.0:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "192.0.2.9:0",
    ] {
        let mut socket: Socket = TcpSocket::closed();
        assert!(socket.connect(peer.parse().unwrap()).is_err(), "{peer}");
    }
    // No route, and the broadcast address of our network: known when it is tried.
    for peer in ["198.51.100.1:80", "192.0.2.255:80"] {
        let socket = TcpSocket::connecting(peer.parse().unwrap());
        let h: Handle<Socket> = script.host.open(socket).unwrap();
        script.wait(1);
        let error = script.host.socket(h).with(|s| s.take_error()).unwrap();
        assert_eq!(error, Some(netstrata::tcp::TcpError::NetUnreachable));
        assert_eq!(script.host.next_news::<Socket, _>(), Some(h));
    }
    insta::assert_snapshot!(script.transcript(), @"");
}
