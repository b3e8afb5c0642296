//! Listeners: backlog, cookies, queues (RFC 9293 §3.10.7.2, RFC 4987).

use super::*;
use crate::support::snapshot;
use netstrata::error::Drop;
use netstrata::tcp::{Config, Cookies, Limits};

fn flood(script: &mut Script<Host>, ports: core::ops::Range<u16>) {
    for port in ports {
        script.peer(&format!("port {port} S 0:0 win 65535 <mss 1460>"));
    }
}

#[test]
fn cookies_when_the_backlog_is_full() {
    let (mut script, listener) = listening(2);
    script.play(
        "
        < port 5001 S 0:0 win 65535 <mss 1460>
        < port 5002 S 0:0 win 65535 <mss 1460>
        # beyond the backlog: cookies, which keep what the timestamp can carry
        < port 5003 S 0:0 win 65535 <mss 1400,sackOK,TS 100 ecr 0,nop,wscale 7>
        < port 5004 S 0:0 win 65535 <mss 1380>
        +100ms
        # a wrong one
        < port 5003 . 1:1 ack 2 win 512
        # the right ones
        < port 5003 . 1:1 ack 1 win 512 <TS 200 ecr last>
        < port 5004 P. 1:11 ack 1 win 512
        ",
    );
    assert_eq!(script.host.transports().0.handshakes(), 2);
    assert_eq!(script.host.stats().tcp_cookies_sent, 2);
    assert_eq!(script.host.stats().tcp_cookies_accepted, 2);
    for _ in 0..2 {
        let h = script.host.socket(listener).accept().unwrap();
        script.note("accepted");
        script.told("write", |host| write(host, h, 1500));
    }
    snapshot!("tcp__cookies", script.transcript());
}

#[test]
fn a_cookie_does_not_keep() {
    let limits = Limits {
        cookies: Cookies::Always,
        ..Limits::default()
    };
    let mut script = host_with(Tcp::new().with_limits(limits));
    let listener = TcpSocket::listener((EAST, PORT).into(), 2);
    script.host.open(listener).unwrap();
    script.play(
        "
        < S 0:0 win 65535 <mss 1460>
        +130000ms
        < . ack 1 win 512
        ",
    );
    assert_eq!(script.host.stats().tcp_cookies_accepted, 0);
    assert_eq!(script.host.sockets::<Socket, _>().len(), 1);
    snapshot!("tcp__cookie_stale", script.transcript());
}

/// Nothing is kept of a cookie that came back, so that it makes a second connection for a peer
/// that never heard of the end of its first (RFC 4987 §3.6), but none beside a connection that
/// is in TIME-WAIT (RFC 9293 §3.10.7.4).
#[test]
fn a_cookie_comes_back_twice() {
    let limits = Limits {
        cookies: Cookies::Always,
        ..Limits::default()
    };
    let mut script = host_with(Tcp::new().with_limits(limits));
    let listener = TcpSocket::listener((EAST, PORT).into(), 2);
    let listener = script.host.open(listener).unwrap();
    let made = |script: &Script<Host>| script.host.stats().tcp_cookies_accepted;
    script.play("< S 0:0 win 65535 <mss 1460>");
    script.play("< P. 1:11 ack 1 win 65535");
    let first = script.host.socket(listener).accept().unwrap();
    script.play("< P. 1:11 ack 1 win 65535");
    assert_eq!(made(&script), 1);
    script.told("read", |host| read(host, first, 1));
    script.app("abort", |host| {
        host.socket(first).with(|s| s.abort()).unwrap();
    });
    script.play("< P. 1:11 ack 1 win 65535");
    assert_eq!(made(&script), 2);
    let second = script.host.socket(listener).accept().unwrap();
    script.told("read", |host| read(host, second, 1));
    script.app("close", |host| host.close(second).unwrap());
    script.play("< F. 11:11 ack 2 win 65535");
    assert_eq!(script.host.transports().0.waiting(), 1);
    script.play("< P. 1:11 ack 1 win 65535");
    assert_eq!(made(&script), 2);
    assert!(script.host.socket(listener).accept().is_none());
    snapshot!("tcp__cookie_twice", script.transcript());
}

/// A cookie has no room for options; without a timestamp that carries them they are not agreed
/// on (RFC 4987 §3.6), or the two sides would count windows in different units.
#[test]
fn a_cookie_agrees_to_nothing_it_cannot_carry() {
    let limits = Limits {
        cookies: Cookies::Always,
        ..Limits::default()
    };
    let mut script = host_with(Tcp::new().with_limits(limits));
    let listener = TcpSocket::listener((EAST, PORT).into(), 2);
    script.host.open(listener).unwrap();
    script.play(
        "
        < S 0:0 win 65535 <mss 1400,nop,nop,sackOK,nop,wscale 7>
        < P. 1:11 ack 1 win 512
        ",
    );
    snapshot!("tcp__cookie_bare", script.transcript());
}

#[test]
fn without_cookies_syns_are_dropped() {
    let limits = Limits {
        cookies: Cookies::Never,
        ..Limits::default()
    };
    let mut script = host_with(Tcp::new().with_limits(limits));
    let listener = TcpSocket::listener((EAST, PORT).into(), 2);
    script.host.open(listener).unwrap();
    flood(&mut script, 5001..5010);
    assert_eq!(script.host.stats().drops.get(Drop::Backlog), 7);
    assert_eq!(script.host.transports().0.handshakes(), 2);
}

/// Whoever could never hear more than immediate answers gets none either, and holds nothing.
#[test]
fn a_syn_from_where_no_route_leads_is_dropped() {
    let ip = Ipv4::default().with(0, [192, 0, 2, 1].into(), 32);
    let mut script = host_of(ip, Tcp::new());
    let listener = TcpSocket::listener((EAST, PORT).into(), 2);
    script.host.open(listener).unwrap();
    script.play("< S 0:0 win 65535 <mss 1460>");
    assert!(!script.transcript().contains(" > "));
    assert_eq!(script.host.stats().drops.get(Drop::NoWayBack), 1);
    assert_eq!(script.host.transports().0.handshakes(), 0);
    let net = "192.0.2.0/24".parse().unwrap();
    script.host.net.add_route(net, None, 0).unwrap();
    script.play("< S 0:0 win 65535 <mss 1460>");
    assert_eq!(script.host.transports().0.handshakes(), 1);
}

#[test]
fn a_full_queue_ignores_the_last_ack() {
    let (mut script, listener) = listening(2);
    script.play(
        "
        < port 5001 S 0:0 win 65535 <mss 1460>
        < port 5001 . ack 1 win 65535
        < port 5002 S 0:0 win 65535 <mss 1460>
        < port 5003 S 0:0 win 65535 <mss 1460>
        < port 5002 . ack 1 win 65535
        # two wait to be accepted: this must wait, too
        < port 5003 P. 1:11 ack 1 win 65535
        # and no SYN is taken
        < port 5004 S 0:0 win 65535 <mss 1460>
        +1000ms
        ",
    );
    assert_eq!(script.host.socket(listener).look(|s| s.pending()), Ok(2));
    script.app("accept", |host| {
        assert!(host.socket(listener).accept().is_some());
        assert!(host.socket(listener).accept().is_some());
        assert!(host.socket(listener).accept().is_none());
    });
    script.play("< port 5003 P. 1:11 ack 1 win 65535");
    let third = script.host.socket(listener).accept().unwrap();
    script.told("read", |host| read(host, third, 1));
    snapshot!("tcp__accept_queue_full", script.transcript());
}

#[test]
fn closing_a_listener_resets_what_nobody_accepted() {
    let (mut script, listener) = listening(4);
    for port in 5001..5004 {
        script.peer(&format!("port {port} S 0:0 win 65535 <mss 1460>"));
        script.peer(&format!("port {port} . ack 1 win 65535"));
    }
    let kept = script.host.socket(listener).accept().unwrap();
    script.app("close the listener", |host| host.close(listener).unwrap());
    assert_eq!(script.host.sockets::<Socket, _>().len(), 1);
    script.told("the accepted one", |host| state(host, kept));
    script.play("< port 5009 S 0:0 win 65535 <mss 1460>");
    snapshot!("tcp__listener_closed", script.transcript());
}

#[test]
fn a_handshake_ends_with_its_listener() {
    let (mut script, listener) = listening(4);
    script.play("< S 0:0 win 65535 <mss 1460>");
    script.app("close the listener", |host| host.close(listener).unwrap());
    script.play("< . ack 1 win 65535\n+5000ms");
    assert_eq!(script.host.transports().0.handshakes(), 0);
    snapshot!("tcp__listener_gone", script.transcript());
}

#[test]
fn the_address_bound_comes_before_any_address() {
    let mut script = host();
    let any: Socket = TcpSocket::listener(([0, 0, 0, 0], PORT).into(), 4);
    let any = script.host.open(any).unwrap();
    let one = script
        .host
        .open(TcpSocket::listener((EAST, PORT).into(), 4))
        .unwrap();
    script.play("< S 0:0 win 1000\n< . ack 1 win 1000");
    assert_eq!(script.host.socket(any).look(|s| s.pending()), Ok(0));
    assert_eq!(script.host.socket(one).look(|s| s.pending()), Ok(1));
    script.app("close", |host| host.close(one).unwrap());
    script.play("< port 5001 S 0:0 win 1000\n< port 5001 . ack 1 win 1000");
    assert_eq!(script.host.socket(any).look(|s| s.pending()), Ok(1));
}

#[test]
fn two_listeners_of_one_address() {
    let mut script = host();
    let first: Socket = TcpSocket::listener((EAST, PORT).into(), 4);
    script.host.open(first).unwrap();
    let second: Socket = TcpSocket::listener((EAST, PORT).into(), 4);
    assert!(script.host.open(second).is_err());
    // Made to listen after it was opened: told when it is tried.
    let late = script.host.open(Socket::closed()).unwrap();
    script.app("bind and listen", |host| {
        host.socket(late)
            .with(|s| s.bind((EAST, PORT).into()).and_then(|()| s.listen(4)))
            .unwrap()
            .unwrap();
    });
    let error = script.host.socket(late).with(|s| s.take_error()).unwrap();
    assert_eq!(error, Some(netstrata::tcp::TcpError::AddrInUse));
    assert_eq!(state(&mut script.host, late), "CLOSED");
    script.app("bind and listen elsewhere", |host| {
        host.socket(late)
            .with(|s| s.bind((EAST, PORT + 1).into()).and_then(|()| s.listen(4)))
            .unwrap()
            .unwrap();
    });
    assert_eq!(state(&mut script.host, late), "LISTEN");
    // Each answers for its port, the refused attempt has disturbed nothing.
    script.play(
        "
        < S 0:0 win 1000 <mss 1000>
        < . 1:1 ack 1 win 1000
        ",
    );
    snapshot!("tcp__two_listeners", script.transcript());
}

#[test]
fn no_number_of_retries_keeps_a_handshake_for_ever() {
    let config = Config {
        synack_retries: u8::MAX,
        ..Config::default()
    };
    let mut script = host_with(Tcp::new().with_config(config));
    let listener = TcpSocket::listener((EAST, PORT).into(), 2);
    script.host.open(listener).unwrap();
    script.peer("S 0:0 win 65535 <mss 1460>");
    assert_eq!(script.host.transports().0.handshakes(), 1);
    for _ in 0..60 {
        script.wait(60_000);
    }
    assert_eq!(script.host.transports().0.handshakes(), 0);
}
