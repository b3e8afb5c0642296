//! ICMP errors about our segments (RFC 1122 §4.2.3.9, RFC 5927, RFC 1191).

use super::*;
use crate::support::snapshot;
use netstrata::wire::{Ipv4, checksum, protocol};

/// An ICMP error from a router about a packet of the host's.
pub fn error(kind: u8, code: u8, mtu: u16, about: &[u8]) -> Vec<u8> {
    let quoted = &about[..28];
    let mut packet = vec![0; 20 + 8 + quoted.len()];
    let (head, icmp) = packet.split_first_chunk_mut().unwrap();
    let ip = Ipv4::new(
        [192, 0, 2, 254].into(),
        [192, 0, 2, 1].into(),
        protocol::ICMP,
    );
    ip.emit(icmp.len(), head).unwrap();
    icmp[..2].copy_from_slice(&[kind, code]);
    icmp[6..8].copy_from_slice(&mtu.to_be_bytes());
    icmp[8..].copy_from_slice(quoted);
    let sum = checksum(icmp);
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn inject(script: &mut Script<Host>, note: &str, kind: u8, code: u8, mtu: u16) {
    script.note(note);
    let about = script.sent.last().unwrap().clone();
    script.inject(&error(kind, code, mtu, &about));
}

#[test]
fn unreachable_while_connecting() {
    let (mut script, h) = connecting();
    inject(&mut script, "host unreachable", 3, 1, 0);
    script.told("state", |host| state(host, h));
    script.told("read", |host| read(host, h, 1));
    snapshot!("tcp__icmp_connecting", script.transcript());
}

#[test]
fn port_unreachable_while_connecting() {
    let (mut script, h) = connecting();
    let mut about = script.sent.last().unwrap().clone();
    script.note("port unreachable, about another sequence number");
    about[25] ^= 1;
    script.inject(&error(3, 3, 0, &about));
    script.told("state", |host| state(host, h));
    inject(&mut script, "port unreachable", 3, 3, 0);
    script.told("state", |host| state(host, h));
    script.told("read", |host| read(host, h, 1));
    snapshot!("tcp__icmp_refused", script.transcript());
}

#[test]
fn unreachable_while_established_is_soft() {
    let (mut script, h) = accepted("<mss 1000>");
    script.told("write", |host| write(host, h, 100));
    inject(&mut script, "host unreachable", 3, 1, 0);
    inject(&mut script, "port unreachable", 3, 3, 0);
    inject(&mut script, "protocol unreachable", 3, 2, 0);
    script.told("state", |host| state(host, h));
    script.play("< . 1:1 ack 101 win 1000");
    script.told("read", |host| read(host, h, 1));
    snapshot!("tcp__icmp_established", script.transcript());
}

#[test]
fn a_smaller_path_shrinks_segments_at_once() {
    let (mut script, h) = accepted("<mss 1460>");
    script.told("write", |host| write(host, h, 2920));
    script.play("< . ack 1461 win 65535");
    inject(&mut script, "fragmentation needed, MTU 1000", 3, 4, 1000);
    script.play("< . ack 2921 win 65535");
    script.told("write", |host| write(host, h, 1200));
    snapshot!("tcp__icmp_path_mtu", script.transcript());
}

#[test]
fn errors_about_what_is_not_in_flight_are_ignored() {
    let (mut script, h) = accepted("<mss 1460>");
    script.told("write", |host| write(host, h, 1000));
    script.play("< . ack 1001 win 65535");
    inject(
        &mut script,
        "fragmentation needed, about acknowledged text",
        3,
        4,
        600,
    );
    script.told("write", |host| write(host, h, 1460));
    assert_eq!(script.host.stats().icmp_errors_received, 0);
    snapshot!("tcp__icmp_stale", script.transcript());
}

#[test]
fn errors_do_not_end_handshakes() {
    let (mut script, listener) = listening(4);
    script.play("< S 0:0 win 65535 <mss 1460>");
    inject(&mut script, "host unreachable", 3, 1, 0);
    script.play("< . ack 1 win 65535");
    assert!(script.host.socket(listener).accept().is_some());
    assert_eq!(script.host.stats().icmp_errors_received, 1);
}

/// RFC 1191 §6.3: what was learned is forgotten after ten minutes, and full segments go again;
/// other connections to the same host know it from the beginning.
#[test]
fn a_path_is_tried_again() {
    let (mut script, h) = accepted("<mss 1460>");
    script.told("write", |host| write(host, h, 1460));
    inject(&mut script, "fragmentation needed, MTU 1000", 3, 4, 1000);
    script.play("< . ack 961 win 65535");
    script.play("< . ack 1461 win 65535");
    script.wait(599_000);
    script.told("write", |host| write(host, h, 1460));
    script.play("< . ack 2421 win 65535");
    script.play("< . ack 2921 win 65535");
    script.wait(1000);
    script.told("write", |host| write(host, h, 1460));
    snapshot!("tcp__icmp_path_raised", script.transcript());
}

/// RFC 5927 §7.2 and requirement R5: nobody makes packets smaller than 552 octets, and reports
/// that raise, or repeat what is known, are ignored.
#[test]
fn reports_have_a_floor_and_only_lower() {
    let (mut script, h) = accepted("<mss 1460>");
    script.told("write", |host| write(host, h, 1460));
    inject(&mut script, "MTU 1500", 3, 4, 1500);
    inject(&mut script, "MTU 68", 3, 4, 68);
    inject(&mut script, "MTU 9000", 3, 4, 9000);
    snapshot!("tcp__icmp_path_floor", script.transcript());
}

/// RFC 9293 §3.9.2.2 (MUST-55, MUST-56): source quench is ignored, and neither time exceeded nor
/// a parameter problem ends a connection, whatever its state.
#[test]
fn errors_that_say_nothing_of_the_host_change_nothing() {
    let kinds = [
        ("source quench", 4, 0),
        ("time exceeded", 11, 0),
        ("parameter problem", 12, 0),
        ("source route failed", 3, 5),
        ("network unreachable", 3, 0),
    ];
    let (mut script, h) = accepted("<mss 1000>");
    script.told("write", |host| write(host, h, 100));
    for (note, kind, code) in kinds {
        inject(&mut script, note, kind, code, 0);
    }
    script.told("state", |host| state(host, h));
    script.play("< . 1:1 ack 101 win 1000");
    let (mut other, h) = connecting();
    for (note, kind, code) in &kinds[..3] {
        inject(&mut other, note, *kind, *code, 0);
    }
    other.told("state", |host| state(host, h));
    let both = format!(
        "{}# while connecting\n{}",
        script.transcript(),
        other.transcript()
    );
    snapshot!("tcp__icmp_says_nothing", both);
}
