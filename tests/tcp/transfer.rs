//! Text both ways: windows, acknowledgments, Nagle, probes (RFC 9293 §3.7, §3.8).

use core::time::Duration;

use super::*;
use crate::support::snapshot;
use netstrata::tcp::TcpKeepalive;

const ALL: &str = "<mss 1460,sackOK,TS 100 ecr 0,nop,wscale 7>";

#[test]
fn request_and_response() {
    let (mut script, h) = accepted(ALL);
    script.play("< P. 1:201 ack 1 win 512 <TS 102 ecr last>");
    script.told("read", |host| read(host, h, 1));
    script.told("write", |host| write(host, h, 5000));
    script.play(
        "
        +20ms
        < . 201:201 ack 5001 win 512 <TS 122 ecr last>
        ",
    );
    script.told("unacknowledged", |host| {
        host.socket(h).look(|s| s.unacknowledged()).unwrap()
    });
    snapshot!("tcp__request_and_response", script.transcript());
}

#[test]
fn acknowledgments_of_a_batch_are_one() {
    let (mut script, h) = accepted("<mss 1460>");
    let text = script.parse("P. 1:1001 ack 1 win 512");
    let more = script.parse("P. 1001:2001 ack 1 win 512");
    script.note("two segments in one batch");
    script.inject_all(&[text, more]);
    script.told("read", |host| read(host, h, 1));
    snapshot!("tcp__batch_acknowledged", script.transcript());
}

#[test]
fn out_of_order() {
    let (mut script, h) = accepted("<mss 1000,sackOK>");
    script.play(
        "
        < . 1001:2001 ack 1 win 1000
        < . 3001:4001 ack 1 win 1000
        < . 1001:2001 ack 1 win 1000
        < . 1:1001 ack 1 win 1000
        < F. 4001:4001 ack 1 win 1000
        < . 2001:3001 ack 1 win 1000
        ",
    );
    script.told("read", |host| read(host, h, 1));
    script.told("read", |host| read(host, h, 4001));
    snapshot!("tcp__out_of_order", script.transcript());
}

#[test]
fn zero_window_of_the_peer() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play("< . ack 1 win 0");
    script.told("write", |host| write(host, h, 500));
    script.play(
        "
        +1500ms
        # still closed: the probe is answered
        < . ack 1 win 0
        +3000ms
        # it opens
        < . ack 1 win 1000
        < . ack 501 win 1000
        +10000ms
        ",
    );
    snapshot!("tcp__zero_window_of_peer", script.transcript());
}

#[test]
fn zero_window_of_ours() {
    let (mut script, listener) = listening(4);
    script.app("receive buffers of 4000 octets", |host| {
        host.socket(listener)
            .with(|s| s.set_recv_capacity(4000))
            .unwrap()
    });
    script.play("< S 0:0 win 65535 <mss 1460>\n< . ack 1 win 1000");
    let h = script.host.socket(listener).accept().unwrap();
    script.play(
        "
        < . 1:1461 ack 1 win 1000
        < . 1461:2921 ack 1 win 1000
        < P. 2921:4001 ack 1 win 1000
        # a probe
        +300ms
        < . 4000:4000 ack 1 win 1000
        ",
    );
    let _ = script.told("read", |host| {
        let mut text = [0; 100];
        host.socket(h).with(|s| s.recv(&mut text)).unwrap()
    });
    script.told("read", |host| read(host, h, 101));
    script.play("< P. 4001:4011 ack 1 win 1000");
    script.told("read", |host| read(host, h, 4001));
    snapshot!("tcp__zero_window_of_ours", script.transcript());
}

#[test]
fn nagle_and_no_delay() {
    let (mut script, h) = accepted("<mss 1000>");
    for _ in 0..3 {
        script.told("write", |host| write(host, h, 10));
    }
    script.play("+50ms\n< . ack 11 win 1000\n+50ms\n< . ack 31 win 1000");
    script.app("no delay", |host| {
        host.socket(h).with(|s| s.set_nodelay(true)).unwrap()
    });
    for _ in 0..3 {
        script.told("write", |host| write(host, h, 10));
    }
    snapshot!("tcp__nagle", script.transcript());
}

#[test]
fn keep_alive() {
    let (mut script, h) = accepted("<mss 1000>");
    script.app("keep alive", |host| {
        let probes = TcpKeepalive::new()
            .with_time(Duration::from_secs(10))
            .with_interval(Duration::from_secs(2))
            .with_retries(3);
        host.socket(h)
            .with(|s| s.set_tcp_keepalive(&probes))
            .unwrap()
    });
    script.play(
        "
        +11000ms
        < . ack 1 win 1000
        +20000ms
        ",
    );
    script.told("read", |host| read(host, h, 1));
    script.told("state", |host| state(host, h));
    snapshot!("tcp__keep_alive", script.transcript());
}

#[test]
fn user_timeout() {
    let (mut script, h) = accepted("<mss 1000>");
    script.app("user timeout 3 s", |host| {
        host.socket(h)
            .with(|s| s.set_tcp_user_timeout(Some(Duration::from_secs(3))))
            .unwrap()
    });
    script.told("write", |host| write(host, h, 10));
    script.wait(10_000);
    script.told("read", |host| read(host, h, 1));
    script.told("state", |host| state(host, h));
    snapshot!("tcp__user_timeout", script.transcript());
}

#[test]
fn service_and_time_to_live() {
    let (mut script, h) = accepted("<mss 1000>");
    script.app("ttl 5, tos 0xb8", |host| {
        host.socket(h)
            .with(|s| {
                s.set_ttl(Some(5));
                s.set_tos(0xb8 | 3);
            })
            .unwrap()
    });
    script.told("write", |host| write(host, h, 10));
    script.play("< P. 1:2 ack 11 win 1000");
    snapshot!("tcp__ttl_and_tos", script.transcript());
}
