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
    assert_eq!(script.transcript(), "");
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
    assert_eq!(
        script.transcript().lines().count(),
        1,
        "{}",
        script.transcript()
    );
    assert_eq!(script.host.transports().0.handshakes(), 0);
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
