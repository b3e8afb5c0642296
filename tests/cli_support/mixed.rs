//! One capture with a packet of every kind in it.

use super::*;
use netstrata::wire::{Redirect, TcpOptions, TimeExceeded, Unreachable};

/// Frames over Ethernet, each whole.
pub fn frames() -> Vec<Vec<u8>> {
    [
        arps(),
        icmps(),
        udps(),
        tcps(),
        fragments(),
        vlans(),
        ip6s(),
        others(),
    ]
    .concat()
}

fn arps() -> Vec<Vec<u8>> {
    let us = (A_MAC, A.into());
    let ask = Arp::request(us, B.into());
    let unicast = Arp {
        target: (B_MAC, B.into()),
        ..ask
    };
    let mut padded = arp(ask);
    padded.resize(60, 0);
    vec![
        arp(ask),
        padded,
        arp(ask.reply(B_MAC)),
        arp(unicast),
        arp(Arp::probe(A_MAC, A.into())),
        arp(Arp::announcement(A_MAC, A.into())),
        arp(Arp { op: 3, ..ask }),
        arp(Arp { op: 99, ..ask }),
    ]
}

fn icmps() -> Vec<Vec<u8>> {
    let quote_udp = udp(from_a(protocol::UDP), 40000, 33434, b"");
    let quote_tcp = Segment::default().packet();
    let quote_other = ip(from_a(protocol::EXPERIMENT), b"12345678");
    let mut all = vec![
        (Icmpv4::EchoRequest { ident: 7, seq: 1 }, &b"abcdefgh"[..]),
        (Icmpv4::EchoReply { ident: 7, seq: 1 }, b"abcdefgh"),
        (Icmpv4::EchoRequest { ident: 7, seq: 2 }, b""),
        (Icmpv4::SourceQuench, &quote_udp),
        (Icmpv4::TimeExceeded(TimeExceeded::Transit), &quote_udp),
        (Icmpv4::TimeExceeded(TimeExceeded::Reassembly), &quote_udp),
        (
            Icmpv4::ParameterProblem {
                code: 0,
                pointer: 20,
            },
            &quote_udp,
        ),
        (
            Icmpv4::ParameterProblem {
                code: 1,
                pointer: 20,
            },
            &quote_udp,
        ),
        (
            Icmpv4::TimestampRequest {
                ident: 7,
                seq: 3,
                times: [3_600_000, 0, 0],
            },
            b"",
        ),
        (
            Icmpv4::TimestampReply {
                ident: 7,
                seq: 3,
                times: [3_600_000, 61_001, 62_999],
            },
            b"",
        ),
        (
            Icmpv4::MaskRequest {
                ident: 1,
                seq: 1,
                mask: 0,
            },
            b"",
        ),
        (
            Icmpv4::MaskReply {
                ident: 1,
                seq: 1,
                mask: 0xffff_ff00,
            },
            b"",
        ),
        (Icmpv4::Unreachable(Unreachable::Port), &quote_udp),
        (Icmpv4::Unreachable(Unreachable::Port), &quote_tcp),
        (Icmpv4::Unreachable(Unreachable::Protocol), &quote_other),
        (
            Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu: 1400 }),
            &quote_tcp,
        ),
        (
            Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu: 0 }),
            &quote_tcp,
        ),
        (
            Icmpv4::Other {
                kind: 42,
                code: 0,
                rest: [0; 4],
            },
            b"",
        ),
        (
            Icmpv4::Other {
                kind: 10,
                code: 0,
                rest: [0; 4],
            },
            b"",
        ),
        (
            Icmpv4::Other {
                kind: 3,
                code: 77,
                rest: [0; 4],
            },
            &quote_udp,
        ),
    ];
    for code in (0..=15).filter(|code| !matches!(code, 2..=4)) {
        let why = Unreachable::from_code(code, 0).unwrap();
        all.push((Icmpv4::Unreachable(why), &quote_udp));
    }
    for code in [
        Redirect::Net,
        Redirect::Host,
        Redirect::NetForService,
        Redirect::HostForService,
    ] {
        let gateway = [10, 0, 0, 254].into();
        all.push((Icmpv4::Redirect { code, gateway }, &quote_udp));
    }
    let frames = all.into_iter();
    let frames = frames.map(|(m, data)| icmp(from_b(protocol::ICMP), m, data));
    let mut frames: Vec<_> = frames
        .map(|p| link(A_MAC, B_MAC, ethertype::IPV4, &p))
        .collect();
    // A wrong checksum.
    let mut wrong = frames[0].clone();
    wrong[36] ^= 0x55;
    frames.push(wrong);
    frames
}

fn udps() -> Vec<Vec<u8>> {
    let head = from_a(protocol::UDP);
    let mut all = vec![
        udp(head, 40000, 9999, b"hello"),
        udp(head, 40000, 9999, b""),
        udp(
            Ipv4 {
                ttl: 1,
                dscp: 46,
                ecn: 1,
                ident: 4711,
                dont_fragment: false,
                ..head
            },
            1,
            2,
            b"x",
        ),
        udp(
            Ipv4 {
                dst: [10, 0, 0, 255].into(),
                ..head
            },
            40000,
            40001,
            b"all",
        ),
        udp(
            Ipv4 {
                dst: [224, 0, 0, 9].into(),
                ttl: 1,
                ..head
            },
            40000,
            40001,
            &[0; 1400],
        ),
    ];
    // No checksum, a wrong one, a length beyond the packet, one below the header.
    for (at, octets) in [
        (26, [0, 0]),
        (26, [0xbe, 0xef]),
        (24, [0, 99]),
        (24, [0, 7]),
    ] {
        let mut packet = udp(head, 40000, 9999, b"hello");
        packet[at..at + 2].copy_from_slice(&octets);
        all.push(packet);
    }
    let mut frames: Vec<_> = all.iter().map(|p| ether(ethertype::IPV4, p)).collect();
    // Padding of the link is not part of the packet.
    let mut padded = frames[1].clone();
    padded.resize(60, 0);
    frames.push(padded);
    frames
}

fn tcps() -> Vec<Vec<u8>> {
    let syn = TcpOptions {
        mss: Some(1460),
        sack_permitted: true,
        timestamps: Some((1, 0)),
        window_scale: Some(8),
        ..TcpOptions::NONE
    };
    let (isn_a, isn_b) = (4_294_967_000, 100);
    let ts = |value, echo| TcpOptions {
        timestamps: Some((value, echo)),
        ..TcpOptions::NONE
    };
    let segment = |from_b: bool, seq: u32, ack: u32, flags, options: &[u8], payload: &[u8]| {
        let (own, peer) = if from_b {
            (isn_b, isn_a)
        } else {
            (isn_a, isn_b)
        };
        let (seq, ack) = (seq.wrapping_add(own), ack.wrapping_add(peer));
        Segment {
            from_b,
            seq,
            ack,
            flags,
            options,
            payload,
        }
        .frame()
    };
    let (s, a, p, f, r) = (
        TcpFlags::SYN,
        TcpFlags::ACK,
        TcpFlags::PSH,
        TcpFlags::FIN,
        TcpFlags::RST,
    );
    let mut sack = netstrata::wire::SackBlocks::NONE;
    sack.push(isn_a.wrapping_add(1449), isn_a.wrapping_add(2897));
    sack.push(isn_a.wrapping_add(4345), isn_a.wrapping_add(5793));
    let sack = TcpOptions { sack, ..ts(5, 4) };
    let data = [0x5a; 1448];
    let mut frames = vec![
        segment(
            false,
            0,
            0u32.wrapping_sub(isn_b),
            s,
            syn.emit().as_slice(),
            b"",
        ),
        segment(true, 0, 1, s | a, syn.emit().as_slice(), b""),
        segment(false, 1, 1, a, ts(2, 1).emit().as_slice(), b""),
        segment(false, 1, 1, a, ts(3, 1).emit().as_slice(), &data),
        segment(true, 1, 1, a, sack.emit().as_slice(), b""),
        segment(true, 1, 1449, a | p, ts(6, 3).emit().as_slice(), b"answer"),
        segment(
            false,
            1449,
            7,
            a | p | f,
            ts(7, 6).emit().as_slice(),
            b"end",
        ),
        segment(true, 7, 1453, f | a, &[], b""),
        segment(false, 1453, 8, a, &[], b""),
        segment(false, 1453, 0, r, &[], b""),
        segment(true, 8, 1453, r | a, &[], b""),
        segment(false, 1453, 8, a | p | TcpFlags::URG, &[], b"urgent"),
        segment(false, 0, 0, s | TcpFlags::ECE | TcpFlags::CWR, &[], b""),
        segment(false, 0, 0, TcpFlags::NONE, &[], b""),
        segment(false, 0, 0, f | p | TcpFlags::URG, &[], b""),
        segment(false, 9, 9, a | TcpFlags::ECE, &[], b""),
    ];
    let options: [&[u8]; 9] = [
        &[2, 4, 5, 0xb4],
        &[1, 1, 1, 0],
        &[3, 3, 7, 1],
        &[28, 4, 0x80, 5],
        &[99, 6, 1, 2, 3, 4, 1, 1],
        &[2, 4, 5, 0xb4, 34, 2, 1, 1],
        &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1],
        &[254, 4, 0xf9, 0x89],
        // A length of zero, at which every reader stops.
        &[8, 0, 1, 1],
    ];
    for options in options {
        frames.push(segment(false, 0, 0u32.wrapping_sub(isn_b), s, options, b""));
    }
    // A conversation whose beginning was not seen, both ways.
    let head = from_b(protocol::TCP);
    for (seq, payload) in [(5000, &b"one"[..]), (5003, b"two")] {
        let middle = Segment {
            seq,
            ack: 777,
            payload,
            ..Segment::default()
        };
        frames.push(link(
            A_MAC,
            B_MAC,
            ethertype::IPV4,
            &middle.between(head, 50000, 50001),
        ));
    }
    let mut wrong = frames[3].clone();
    wrong[50] ^= 0x80;
    frames.push(wrong);
    frames
}

fn fragments() -> Vec<Vec<u8>> {
    let whole = udp(from_a(protocol::UDP), 40000, 9999, &[7; 3000]);
    let datagram = &whole[20..];
    let part = |from: usize, to: usize| {
        let head = Ipv4 {
            ident: 99,
            dont_fragment: false,
            more_fragments: to < datagram.len(),
            fragment_offset: from as u16,
            ..from_a(protocol::UDP)
        };
        ether(ethertype::IPV4, &ip(head, &datagram[from..to]))
    };
    let icmp_part = Ipv4 {
        fragment_offset: 1480,
        dont_fragment: false,
        ..from_a(protocol::ICMP)
    };
    vec![
        part(0, 1480),
        part(1480, 2960),
        part(2960, datagram.len()),
        ether(ethertype::IPV4, &ip(icmp_part, &[0; 100])),
    ]
}

fn vlans() -> Vec<Vec<u8>> {
    let mut request = [0; Arp::LEN];
    Arp::request((A_MAC, A.into()), B.into()).emit(&mut request);
    let inner = [
        &[0x00, 0x06, 0x08, 0x00][..],
        &udp(from_a(protocol::UDP), 1, 2, b"q"),
    ]
    .concat();
    vec![
        tagged(
            5,
            0,
            ethertype::IPV4,
            &udp(from_a(protocol::UDP), 40000, 9999, b"tagged"),
        ),
        tagged(4095, 7, ethertype::IPV4, &Segment::default().packet()),
        tagged(5, 3, ethertype::ARP, &request),
        tagged(5, 0, ethertype::VLAN, &inner),
    ]
}

fn ip6s() -> Vec<Vec<u8>> {
    let datagram = [
        &40000u16.to_be_bytes()[..],
        &9999u16.to_be_bytes(),
        &[0, 13, 0, 0],
        b"hello",
    ]
    .concat();
    let mut segment = vec![0; 20];
    segment[..4].copy_from_slice(&[0x9c, 0x40, 0x22, 0xb8]);
    segment[12] = 0x50;
    segment[13] = 2;
    let echo = |kind| vec![kind, 0, 0, 0, 0, 9, 0, 1, b'p', b'i', b'n', b'g'];
    let ndp = |kind: u8| {
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0x80];
        message.extend([0; 13]);
        message.push(2);
        message
    };
    let icmp6 = |message: &[u8]| ip6(58, message, 58, Some(2));
    let first = [&[17, 0, 0, 1, 0, 0, 0, 42][..], &datagram, &[0; 3]].concat();
    let later = [&[17, 0, 0, 16, 0, 0, 0, 42][..], &[1; 20]].concat();
    let packets = [
        ip6(17, &datagram, 17, Some(6)),
        ip6(6, &segment, 6, Some(16)),
        icmp6(&echo(128)),
        icmp6(&echo(129)),
        icmp6(&ndp(135)),
        icmp6(&ndp(136)),
        ip6(44, &first, 17, None),
        ip6(44, &later, 17, None),
        ip6(59, &[], 59, None),
        ip6(253, b"12345", 253, None),
    ];
    packets.iter().map(|p| ether(ethertype::IPV6, p)).collect()
}

fn others() -> Vec<Vec<u8>> {
    let mut router_alert = vec![0; 24];
    let igmp = from_a(protocol::IGMP);
    let igmp = Ipv4 {
        dst: [224, 0, 0, 251].into(),
        ttl: 1,
        ..igmp
    };
    igmp.emit_with_options(&[148, 4, 0, 0], 8, &mut router_alert)
        .unwrap();
    router_alert.extend([0x16, 0, 0x09, 0x04, 224, 0, 0, 251]);
    let mut routed = vec![0; 40];
    let record = [7, 19, 8, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    from_a(protocol::EXPERIMENT)
        .emit_with_options(&record, 4, &mut routed)
        .unwrap();
    routed.extend([1, 2, 3, 4]);
    let mut bad_sum = udp(from_a(protocol::UDP), 40000, 9999, b"x");
    bad_sum[10] ^= 1;
    let mut bad_header = udp(from_a(protocol::UDP), 40000, 9999, b"x");
    bad_header[0] = 0x44;
    let mut bad_length = udp(from_a(protocol::UDP), 40000, 9999, b"x");
    bad_length[2..4].copy_from_slice(&[0, 10]);
    let mut too_long = udp(from_a(protocol::UDP), 40000, 9999, b"x");
    too_long[2..4].copy_from_slice(&[0, 99]);
    let mut bad_version = udp(from_a(protocol::UDP), 40000, 9999, b"x");
    bad_version[0] = 0x75;
    let mut short_offset = Segment::default().packet();
    short_offset[32] = 0x10;
    let mut long_offset = Segment::default().packet();
    long_offset[32] = 0xf0;
    let packets = [
        router_alert,
        routed,
        ip(from_a(200), &[0; 9]),
        ip(from_a(protocol::EXPERIMENT), b"twelve octet"),
        bad_sum,
        bad_header,
        bad_length,
        too_long,
        bad_version,
        short_offset,
        long_offset,
        ip(from_a(protocol::TCP), b"abc"),
        ip(from_a(protocol::TCP), b"abcdefgh"),
        ip(from_a(protocol::UDP), b"abc"),
        ip(from_a(protocol::UDP), b"abcdefg"),
        ip(from_a(protocol::ICMP), b"\x08\x00\x00\x00"),
        vec![0x45, 0, 0, 40, 0, 0],
        vec![],
    ];
    let mut frames: Vec<_> = packets.iter().map(|p| ether(ethertype::IPV4, p)).collect();
    frames.push(ether(ethertype::IPV6, &[0x60, 0, 0, 0]));
    frames.push(ether(ethertype::ARP, &[0, 1, 8, 0]));
    frames.push(ether(ethertype::VLAN, &[0, 5]));
    frames.push(ether(0x88b5, b"an experiment of somebody"));
    frames.push(vec![2, 0, 0, 0, 0]);
    frames
}
