//! Ends of connections (RFC 9293 §3.6).

use super::*;
use crate::support::snapshot;
use netstrata::tcp::{Limits, Shutdown};

fn shut_down(script: &mut Script<Host>, h: Handle<Socket>) {
    script.app("shut down", |host| {
        host.socket(h)
            .with(|s| s.shutdown(Shutdown::Write))
            .unwrap()
    });
}

fn close(script: &mut Script<Host>, h: Handle<Socket>) {
    script.app("close", |host| host.close(h).unwrap());
}

#[test]
fn we_close_first() {
    let (mut script, h) = accepted("<mss 1000>");
    script.told("write", |host| write(host, h, 100));
    shut_down(&mut script, h);
    script.told("state", |host| state(host, h));
    script.told("write", |host| write(host, h, 1));
    script.play("< . ack 102 win 1000");
    script.told("state", |host| state(host, h));
    script.note("half closed: the peer goes on");
    script.play("< P. 1:51 ack 102 win 1000");
    script.told("read", |host| read(host, h, 1));
    script.play("< F. 51:51 ack 102 win 1000");
    script.told("read", |host| read(host, h, 51));
    script.told("state", |host| state(host, h));
    assert_eq!(script.host.transports().0.waiting(), 1);
    // RFC 9293 §3.6.1 (MUST-13): twice a segment's lifetime of 30 s.
    script.wait(59_999);
    assert_eq!(script.host.transports().0.waiting(), 1);
    script.wait(1);
    assert_eq!(script.host.transports().0.waiting(), 0);
    snapshot!("tcp__we_close_first", script.transcript());
}

#[test]
fn the_peer_closes_first() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play("< PF. 1:11 ack 1 win 1000");
    script.told("state", |host| state(host, h));
    script.told("read", |host| read(host, h, 1));
    script.told("read", |host| read(host, h, 11));
    script.note("half closed: we go on");
    script.told("write", |host| write(host, h, 100));
    script.play("< . 12:12 ack 101 win 1000");
    shut_down(&mut script, h);
    script.told("state", |host| state(host, h));
    script.play("< . 12:12 ack 102 win 1000");
    script.told("state", |host| state(host, h));
    assert_eq!(script.host.transports().0.waiting(), 0);
    snapshot!("tcp__peer_closes_first", script.transcript());
}

#[test]
fn both_close_at_once() {
    let (mut script, h) = accepted("<mss 1000>");
    shut_down(&mut script, h);
    script.play("< F. 1:1 ack 1 win 1000");
    script.told("state", |host| state(host, h));
    script.play("< . 2:2 ack 2 win 1000");
    script.told("state", |host| state(host, h));
    snapshot!("tcp__simultaneous_close", script.transcript());
}

#[test]
fn a_socket_given_up_lives_until_its_fin_is_acknowledged() {
    let (mut script, h) = accepted("<mss 1000>");
    script.told("write", |host| write(host, h, 100));
    close(&mut script, h);
    assert_eq!(script.host.sockets::<Socket, _>().len(), 1);
    script.play("< F. 1:1 ack 102 win 1000");
    script.told("state", |host| state(host, h));
    assert_eq!(script.host.sockets::<Socket, _>().len(), 0);
    assert_eq!(script.host.transports().0.waiting(), 1);
    assert_eq!(script.host.next_news::<Socket, _>(), None);
    snapshot!("tcp__given_up", script.transcript());
}

#[test]
fn closing_with_unread_text_resets() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play("< P. 1:11 ack 1 win 1000");
    close(&mut script, h);
    script.told("state", |host| state(host, h));
    snapshot!("tcp__close_unread", script.transcript());
}

#[test]
fn text_after_closing_resets() {
    let (mut script, h) = accepted("<mss 1000>");
    close(&mut script, h);
    script.play("< . 1:1 ack 2 win 1000");
    script.play("< P. 1:11 ack 2 win 1000");
    script.told("state", |host| state(host, h));
    snapshot!("tcp__text_after_close", script.transcript());
}

#[test]
fn too_many_given_up_are_reset() {
    let limits = Limits {
        orphans: 2,
        ..Limits::default()
    };
    let mut script = host_with(Tcp::new().with_limits(limits));
    let listener = TcpSocket::listener((EAST, PORT).into(), 9);
    let listener = script.host.open(listener).unwrap();
    for port in 5001..5005 {
        script.peer(&format!("port {port} S 0:0 win 1000"));
        script.peer(&format!("port {port} . ack 1 win 1000"));
    }
    script.forget();
    while let Some(h) = script.host.socket(listener).accept() {
        script.app("close", |host| host.close(h).unwrap());
    }
    script.play("< port 5001 F. 1:1 ack 2 win 1000\n< port 5005 S 0:0 win 1000\n< port 5005 . ack 1 win 1000");
    let h = script.host.socket(listener).accept().unwrap();
    script.app("close", |host| host.close(h).unwrap());
    snapshot!("tcp__too_many_given_up", script.transcript());
}

#[test]
fn nobody_waits_for_ever_in_fin_wait_2() {
    let (mut script, h) = accepted("<mss 1000>");
    close(&mut script, h);
    script.play("< . 1:1 ack 2 win 1000\n+61000ms");
    script.told("state", |host| state(host, h));
    snapshot!("tcp__fin_wait_2_ends", script.transcript());
}

#[test]
fn abort() {
    let (mut script, h) = accepted("<mss 1000>");
    script.told("write", |host| write(host, h, 100));
    script.app("abort", |host| host.socket(h).with(|s| s.abort()).unwrap());
    script.told("state", |host| state(host, h));
    script.told("read", |host| read(host, h, 1));
    script.play("< . 1:1 ack 101 win 1000");
    snapshot!("tcp__abort", script.transcript());
}

#[test]
fn reset_by_the_peer() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play("< P. 1:11 ack 1 win 1000\n< R 11:11 win 0");
    script.told("state", |host| state(host, h));
    script.note("what came before is read before the failure");
    for at in [1, 11, 11] {
        script.told("read", |host| read(host, h, at));
    }
    script.told("write", |host| write(host, h, 1));
    snapshot!("tcp__reset_by_peer", script.transcript());
}

#[test]
fn fin_is_repeated() {
    let (mut script, h) = accepted("<mss 1000>");
    close(&mut script, h);
    script.play("+2000ms\n< F. 1:1 ack 2 win 1000");
    script.told("state", |host| state(host, h));
    snapshot!("tcp__fin_repeated", script.transcript());
}

/// A host with one connection in TIME-WAIT.
fn waiting(options: &str) -> Script<Host> {
    let (mut script, h) = accepted(options);
    let stamp = match options.contains("TS") {
        true => "<TS 102 ecr last>",
        false => "",
    };
    let listener = TcpSocket::listener((EAST, PORT).into(), 4);
    script.host.open(listener).unwrap();
    script.host.close(h).unwrap();
    script.wait(1);
    script.peer(&format!("F. 1:1 ack 2 win 1000 {stamp}"));
    assert_eq!(script.host.transports().0.waiting(), 1);
    script.wait(1000);
    script.forget();
    script
}

#[test]
fn time_wait_answers_old_segments() {
    let mut script = waiting("<mss 1000,TS 100 ecr 0>");
    script.play(
        "
        # the FIN again
        < F. 1:1 ack 2 win 1000 <TS 102 ecr last>
        +200ms
        # a reset does not end the wait (RFC 1337)
        < R 2:2 win 0
        < R. 2:2 ack 2 win 0 <TS 103 ecr last>
        +200ms
        # old text
        < P. 1:11 ack 2 win 1000 <TS 104 ecr last>
        +200ms
        # an old SYN (RFC 6191)
        < S 1:1 win 1000 <mss 1000,TS 90 ecr 0>
        ",
    );
    assert_eq!(script.host.transports().0.waiting(), 1);
    snapshot!("tcp__time_wait", script.transcript());
}

#[test]
fn time_wait_is_reopened_by_a_later_syn() {
    let mut script = waiting("<mss 1000,TS 100 ecr 0>");
    script.play(
        "
        < S 0:0 win 1000 <mss 1000,TS 1200 ecr 0>
        < . ack 1 win 1000 <TS 1201 ecr last>
        ",
    );
    assert_eq!(script.host.transports().0.waiting(), 0);
    assert_eq!(script.host.sockets::<Socket, _>().len(), 2);
    snapshot!("tcp__time_wait_reopened", script.transcript());
}
