//! `strata ids`: each kind of trouble makes its alert, and ordinary traffic makes none.
#![cfg(feature = "cli")]

mod cli_support;

use cli_support::*;
use netstrata::wire::{Arp, Icmpv4, Ipv4, Mac, TcpFlags, ethertype, protocol};
use pcap_file::DataLink;
use serde_json::Value;

const S: TcpFlags = TcpFlags::SYN;
const A_: TcpFlags = TcpFlags::ACK;
const F: TcpFlags = TcpFlags::FIN;

/// Runs on a file of these frames.
fn ids(name: &str, frames: &[Vec<u8>], args: &[&str]) -> std::process::Output {
    let file = Scratch::new(name);
    write(&file.0, DataLink::ETHERNET, frames);
    strata(&[&["ids", "-r", file.path()], args].concat())
}

fn segment(back: bool, flags: TcpFlags, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let head = if back {
        from_b(protocol::TCP)
    } else {
        from_a(protocol::TCP)
    };
    let (a, b) = ports;
    let (src, dst) = if back { (b, a) } else { (a, b) };
    let segment = Segment {
        flags,
        payload,
        ..Segment::default()
    };
    ether(ethertype::IPV4, &segment.between(head, src, dst))
}

/// Resolution, a ping, a connection from beginning to end, a datagram and its answer.
fn ordinary() -> Vec<Vec<u8>> {
    let ask = Arp::request((A_MAC, A.into()), B.into());
    let ping = |head, message| ether(ethertype::IPV4, &icmp(head, message, b"data"));
    let ports = (40000, 8888);
    let dgram =
        |head, ports: (u16, u16)| ether(ethertype::IPV4, &udp(head, ports.0, ports.1, b"q"));
    vec![
        arp(ask),
        arp(ask.reply(B_MAC)),
        ping(
            from_a(protocol::ICMP),
            Icmpv4::EchoRequest { ident: 7, seq: 1 },
        ),
        ping(
            from_b(protocol::ICMP),
            Icmpv4::EchoReply { ident: 7, seq: 1 },
        ),
        segment(false, S, ports, b""),
        segment(true, S | A_, ports, b""),
        segment(false, A_, ports, b""),
        segment(false, A_, ports, b"hello"),
        segment(true, A_, ports, b"hello"),
        segment(false, A_ | F, ports, b""),
        segment(true, A_ | F, ports, b""),
        segment(false, A_, ports, b""),
        dgram(from_a(protocol::UDP), (40000, 53)),
        dgram(from_b(protocol::UDP), (53, 40000)),
    ]
}

/// One of every kind of trouble.
fn trouble() -> Vec<Vec<u8>> {
    let mut frames = ordinary();
    // A scan of thirty ports, all refused.
    for port in 1..=30 {
        frames.push(segment(false, S, (50000, port), b""));
        frames.push(segment(true, TcpFlags::RST | A_, (50000, port), b""));
    }
    // A flood: 150 handshakes with one port from many sources, none ended.
    for n in 0..150 {
        let head = Ipv4 {
            src: [10, 1, 0, n].into(),
            ..from_a(protocol::TCP)
        };
        let flood = Segment {
            flags: S,
            ..Segment::default()
        };
        frames.push(ether(
            ethertype::IPV4,
            &flood.between(head, 1024 + u16::from(n), 80),
        ));
    }
    // Somebody says to be B, unasked, in a frame from yet another station.
    let spoof = Arp {
        op: Arp::REPLY,
        sender: (Mac([2, 0, 0, 0, 0, 9]), B.into()),
        target: (A_MAC, A.into()),
    };
    frames.push(arp(spoof));
    let mut contradiction = arp(Arp {
        sender: (A_MAC, A.into()),
        ..spoof
    });
    contradiction[11] = 0x77;
    frames.push(contradiction);
    // One wrong octet in every kind of sum.
    for (packet, at) in [
        (udp(from_a(protocol::UDP), 40000, 9999, b"x"), 10),
        (udp(from_a(protocol::UDP), 40000, 9999, b"x"), 26),
        (
            Segment {
                payload: b"x",
                ..Segment::default()
            }
            .packet(),
            36,
        ),
        (
            icmp(
                from_a(protocol::ICMP),
                Icmpv4::EchoRequest { ident: 1, seq: 1 },
                b"x",
            ),
            22,
        ),
    ] {
        let mut packet = packet;
        packet[at] ^= 0x40;
        frames.push(ether(ethertype::IPV4, &packet));
    }
    // Fragments: two that overlap, a duplicate which is fine, one beyond the end.
    let part = |offset: u16, fill: u8, more_fragments| {
        let head = Ipv4 {
            ident: 9,
            dont_fragment: false,
            more_fragments,
            fragment_offset: offset,
            ..from_a(protocol::UDP)
        };
        ether(ethertype::IPV4, &ip(head, &[fill; 64]))
    };
    frames.extend([
        part(0, 1, true),
        part(0, 1, true),
        part(32, 2, true),
        part(65528, 3, false),
    ]);
    // To itself; from a loopback address; to a reserved one; SYN with FIN; nonsense.
    let to_itself = Ipv4 {
        dst: A.into(),
        ..from_a(protocol::TCP)
    };
    let syn = Segment {
        flags: S,
        ..Segment::default()
    };
    frames.push(ether(ethertype::IPV4, &syn.between(to_itself, 139, 139)));
    let martian = Ipv4 {
        src: [127, 0, 0, 1].into(),
        ..from_a(protocol::UDP)
    };
    frames.push(ether(ethertype::IPV4, &udp(martian, 1, 2, b"")));
    let nowhere = Ipv4 {
        dst: [250, 0, 0, 1].into(),
        ..from_a(protocol::UDP)
    };
    frames.push(ether(ethertype::IPV4, &udp(nowhere, 1, 2, b"")));
    frames.push(segment(false, S | F, (1, 2), b""));
    frames.push(ether(ethertype::IPV4, &[0x44; 40]));
    frames
}

#[test]
fn ordinary_traffic_makes_no_alert() {
    let output = ids("ordinary.pcapng", &ordinary(), &[]);
    insta::assert_snapshot!(printed(&output), @r"
    TCP    10.0.0.1:40000        -> 10.0.0.2:8888         closed            5/3       packets        275/167        octets     0.011 s
    ICMP   10.0.0.1              -> 10.0.0.2              established       1/1       packets         46/46         octets     0.002 s
    UDP    10.0.0.1:40000        -> 10.0.0.2:53           established       1/1       packets         43/43         octets     0.002 s
    ");
}

#[test]
fn every_kind_of_trouble_makes_its_alert() {
    let out = printed(&ids("trouble.pcapng", &trouble(), &[]));
    let alerts: Vec<&str> = out
        .lines()
        .filter(|line| line.contains("severity"))
        .collect();
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cli__ids_alerts", alerts.join("\n"));
    });
    for id in 1_000_001..=1_000_016 {
        assert!(out.contains(&format!("[{id}]")), "rule {id} did not fire");
    }
}

#[test]
fn json_lines_are_eve_records() {
    let out = printed(&ids("eve.pcapng", &trouble(), &["--json"]));
    let events: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    for event in &events {
        assert!(
            event["timestamp"].is_string() && event["proto"].is_string(),
            "{event}"
        );
        let kind = event["event_type"].as_str().unwrap();
        assert!(event[kind].is_object(), "{event}");
    }
    let first = |kind: &str| events.iter().find(|e| e["event_type"] == kind).unwrap();
    let pretty = |event| serde_json::to_string_pretty(event).unwrap();
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cli__ids_eve", pretty(first("alert")) + "\n" + &pretty(first("flow")));
    });
}

#[test]
fn repeated_alerts_are_counted_not_printed() {
    let mut bad = udp(from_a(protocol::UDP), 40000, 9999, b"x");
    bad[26] ^= 1;
    let frames = vec![ether(ethertype::IPV4, &bad); 1000];
    let output = ids("many.pcapng", &frames, &[]);
    let out = printed(&output);
    assert_eq!(
        out.lines()
            .filter(|line| line.contains("bad UDP checksum"))
            .count(),
        1
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("bad UDP checksum: 1 alerts, 999 suppressed"),
        "{errors}"
    );
    assert!(!printed(&ids("many.pcapng", &frames, &["--no-checksums"])).contains("bad UDP"));
}

#[test]
fn thresholds_are_options() {
    let has = |args: &[&str], what: &str| {
        printed(&ids("thresholds.pcapng", &trouble(), args)).contains(what)
    };
    assert!(!has(&["--scan-ports", "64"], "port scan"));
    assert!(!has(&["--scan-window", "10ms"], "port scan"));
    assert!(!has(&["--flood-syns", "151"], "SYN flood"));
    assert!(!has(&["not", "arp"], "ARP"));
}

#[test]
fn rules_are_listed() {
    let out = printed(&strata(&["ids", "--rules"]));
    assert_eq!(out.lines().count(), 16);
    assert!(out.starts_with("1000001  severity 2  port scan"), "{out}");
}
