//! What strangers may not do (RFC 5961, RFC 9293 §3.10.7).

use super::*;
use crate::support::snapshot;
use netstrata::error::Drop;
use netstrata::wire::{Tcp as Header, TcpFlags};

#[test]
fn resets_of_a_handshake() {
    let (mut script, _) = listening(4);
    script.play(
        "
        < S 0:0 win 65535 <mss 1460>
        # a guess: in the window, but not its left edge
        < R 100:100 win 0
        # another is not answered
        < R 200:200 win 0
        # out of the window
        < R 90000:90000 win 0
        # a wrong acknowledgment
        < . 1:1 ack 7777 win 100
        # the real one
        < R 1:1 win 0
        # RFC 5961 §4.2: another SYN in the window is challenged
        < port 5001 S 0:0 win 65535 <mss 1460>
        < port 5001 S 100:100 win 65535 <mss 1460>
        < port 5001 R 1:1 win 0
        ",
    );
    assert_eq!(script.host.transports().0.handshakes(), 0);
    snapshot!("tcp__handshake_reset", script.transcript());
}

#[test]
fn nonsense_for_a_listener() {
    let (mut script, _) = listening(4);
    script.play(
        "
        # no flags
        < - 0:0 win 100
        # SYN and FIN
        < SF 0:0 win 100
        # FIN alone
        < F 0:0 win 100
        # SYN and RST
        < SR 0:0 win 100
        # SYN and ACK
        < S. 0:0 ack 5 win 100
        # FIN and ACK
        < F. 1:1 ack 6 win 100
        ",
    );
    assert_eq!(script.host.transports().0.handshakes(), 0);
    snapshot!("tcp__listener_nonsense", script.transcript());
}

/// RFC 7323 §2.2: the window of a SYN-ACK is not scaled, that of a challenge before the handshake
/// ends is; said unscaled it would offer 16 MB for 64 KB, and take them back afterwards.
#[test]
fn a_challenge_of_a_handshake_has_a_scaled_window() {
    let (mut script, _) = listening(2);
    script.play(
        "
        < port 5001 S 0:0 win 65535 <mss 1460,nop,wscale 7>
        < port 5002 S 0:0 win 65535 <mss 1460>
        # not in the window
        < port 5001 . 100000:100000 ack 1 win 512
        < port 5002 . 100000:100000 ack 1 win 512
        ",
    );
    snapshot!("tcp__challenge_scaled", script.transcript());
}

#[test]
fn blind_resets_and_syns() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play(
        "
        # in the window: a challenge
        < R 100:100 win 0
        # out of it: nothing
        < R 2000000:2000000 win 0
        # a SYN in the window, and one out of it
        < S 100:100 win 100
        < S 2000000:2000000 win 100
        # an acknowledgment of what was never sent
        < . 1:1 ack 100000 win 100
        ",
    );
    script.told("state", |host| state(host, h));
    script.play("< R 1:1 win 0");
    script.told("state", |host| state(host, h));
    snapshot!("tcp__blind", script.transcript());
}

#[test]
fn damaged_segments_are_nobodys() {
    let (mut script, h) = accepted("<mss 1000>");
    let good = script.parse("P. 1:11 ack 1 win 1000");
    for at in 20..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        script.inject(&bad);
    }
    insta::assert_snapshot!(script.transcript(), @"");
    let drops = &script.host.stats().drops;
    let counted = drops.get(Drop::BadChecksum) + drops.get(Drop::Malformed);
    assert_eq!(counted, good.len() as u64 - 20);
    script.inject(&good);
    assert_eq!(read(&mut script.host, h, 1), "10 octets, right");
}

#[test]
fn what_came_to_all_is_nobodys() {
    let (mut script, _) = listening(4);
    let syn = Header {
        src: 5000,
        dst: PORT,
        seq: 1,
        ack: 0,
        flags: TcpFlags::SYN,
        window: 100,
        urgent: 0,
    };
    let west = [192, 0, 2, 2].into();
    for dst in [[192, 0, 2, 255], [255; 4], [224, 0, 0, 1]] {
        let packet = support::script::packet_between(west, dst.into(), &syn, &[], &[]);
        script.inject(&packet);
    }
    let closed = Header { dst: 81, ..syn };
    let packet = support::script::packet_between(west, [192, 0, 2, 255].into(), &closed, &[], &[]);
    script.inject(&packet);
    // To us alone it would be answered.
    let ours = support::script::packet_between(west, [192, 0, 2, 1].into(), &closed, &[], &[]);
    script.inject(&ours);
    assert_eq!(script.host.transports().0.handshakes(), 0);
    snapshot!("tcp__to_all", script.transcript());
}

#[test]
fn a_land_attack_is_ignored() {
    let (mut script, _) = listening(4);
    let syn = Header {
        src: PORT,
        dst: PORT,
        seq: 1,
        ack: 0,
        flags: TcpFlags::SYN,
        window: 100,
        urgent: 0,
    };
    let us = [192, 0, 2, 1].into();
    script.inject(&support::script::packet_between(us, us, &syn, &[], &[]));
    assert_eq!(script.transcript().lines().count(), 1);
    assert_eq!(script.host.transports().0.handshakes(), 0);
}

/// RFC 5961 §7, CVE-2016-5696: challenges are limited for each connection, so that nobody learns
/// from one whether another was challenged.
#[test]
fn challenges_of_one_connection_cost_no_other() {
    let (mut script, listener) = listening(4);
    for port in [5001, 5002] {
        script.peer(&format!("port {port} S 0:0 win 1000 <mss 1000>"));
        script.peer(&format!("port {port} . 1:1 ack 1 win 1000"));
        assert!(script.host.socket(listener).accept().is_some());
    }
    let mut challenged = |port, times: usize| {
        let before = script.sent.len();
        for _ in 0..times {
            script.peer(&format!("port {port} R 100:100 win 0"));
        }
        script.sent.len() - before
    };
    assert_eq!((challenged(5001, 50), challenged(5002, 50)), (10, 10));
}

/// RFC 7413 §5.1: a flood of SYNs with text and a good cookie, such as one client may have. So many
/// connections as the queue has places exist before their handshakes end, and hold no more than
/// their text; the others are entries of the SYN table, and then nothing. An honest client gets in.
#[test]
fn a_flood_of_text_in_syns() {
    use netstrata::tcp::{Config, Limits};
    let config = Config {
        fastopen_server: true,
        fastopen_server_no_cookie: true,
        ..Config::default()
    };
    let limits = Limits {
        handshakes: 64,
        ..Limits::default()
    };
    let tcp = Tcp::new().with_config(config).with_limits(limits);
    let mut script = host_with(tcp);
    let mut listener = TcpSocket::listener((EAST, PORT).into(), 128);
    listener.set_fastopen(5);
    let h = script.app("listen", |host| host.open(listener).unwrap());
    for port in 6000..6500 {
        script.peer(&format!("port {port} S 0:1000 win 1000 <mss 1000,sackOK>"));
    }
    let tcp = &script.host.transports().0;
    assert_eq!(tcp.handshakes(), 64);
    assert!(tcp.memory() <= 5 * 4096, "{} octets", tcp.memory());
    let sockets = script.host.sockets::<Socket, _>().len();
    assert_eq!(sockets, 1 + 5);
    // By a cookie of the SYN, as the table is full.
    script.play("< port 5001 S 0:0 win 1000 <mss 1000>\n< port 5001 . 1:1 ack 1 win 1000");
    let mut honest = 0;
    while let Some(accepted) = script.host.socket(h).accept() {
        let peer = script.host.socket(accepted).look(|s| s.peer_addr());
        honest += usize::from(peer == Ok(Some((WEST, 5001).into())));
    }
    assert_eq!(honest, 1);
    // All of it is over some time after.
    script.wait(200_000);
    assert_eq!(script.host.transports().0.handshakes(), 0);
}
