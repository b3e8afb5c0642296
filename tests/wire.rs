//! Every header and every option as octets, printed by `Dump`, malformed ones included.
//!
//! Each snapshot was read against the RFC that the code names. Addresses are those of RFC 5737.

use core::net::Ipv4Addr;
use netstrata::wire::*;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// A file of its own, named by area and case whatever module the test is in.
macro_rules! snapshot {
    ($name:literal, $value:expr $(,)?) => {
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            omit_expression => true,
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
        }, {
            insta::assert_snapshot!($name, $value);
        });
    };
}

/// Several dumps in one snapshot, each under its name.
fn all<'a>(cases: impl IntoIterator<Item = (&'a str, String)>) -> String {
    cases
        .into_iter()
        .map(|(name, text)| format!("--- {name}\n{text}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; Ethernet::LEN + payload.len()];
    let (h, rest) = frame.split_first_chunk_mut().unwrap();
    Ethernet {
        dst: PEER,
        src: US,
        kind,
    }
    .emit(h);
    rest.copy_from_slice(payload);
    frame
}

fn packet_of(ip: Ipv4, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 60 + payload.len()];
    let header = ip
        .emit_with_options(options, payload.len(), &mut packet)
        .unwrap();
    packet[header..header + payload.len()].copy_from_slice(payload);
    packet.truncate(header + payload.len());
    packet
}

fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
    packet_of(Ipv4::new(A, B, protocol), &[], payload)
}

fn ip(packet: &[u8]) -> String {
    Dump::ip(packet).to_string()
}

fn ethernet(frame: &[u8]) -> String {
    Dump::ethernet(frame).to_string()
}

mod link {
    use super::*;

    #[test]
    fn ethernet_frames() {
        snapshot!(
            "wire__ethernet",
            all([
                ("a type nobody knows", ethernet(&frame(0x88b5, b"hello"))),
                ("802.3 by length", ethernet(&frame(3, b"\xaa\xaa\x03"))),
                ("one octet missing", ethernet(&frame(0x0800, b"")[..13])),
                ("nothing", ethernet(&[])),
                (
                    "IPv6, of a later day",
                    ethernet(&frame(ethertype::IPV6, &[0x60; 4]))
                ),
                (
                    "IPv4 that is not",
                    ethernet(&frame(ethertype::IPV4, &[0x50; 4]))
                ),
                (
                    "IPv4 that is nothing",
                    ethernet(&frame(ethertype::IPV4, &[]))
                ),
            ])
        );
    }

    #[test]
    fn vlan_tags() {
        let tag = |pcp, dei, vid, kind| {
            let mut octets = [0; Vlan::LEN];
            let tag = Vlan {
                pcp,
                dei,
                vid,
                kind,
            };
            tag.emit(&mut octets);
            assert_eq!(Vlan::parse(&octets), tag);
            octets
        };
        let inner = packet(protocol::EXPERIMENT, b"in");
        let one = [&tag(5, false, 42, ethertype::IPV4)[..], &inner].concat();
        let two = [&tag(0, true, 4094, ethertype::VLAN)[..], &one].concat();
        snapshot!(
            "wire__vlan",
            all([
                ("one tag", ethernet(&frame(ethertype::VLAN, &one))),
                ("two tags", ethernet(&frame(ethertype::QINQ, &two))),
                (
                    "cut in the tag",
                    ethernet(&frame(ethertype::VLAN, &one[..3]))
                ),
            ])
        );
    }

    #[test]
    fn arp_messages() {
        let show = |arp: Arp| {
            let mut octets = [0; Arp::LEN];
            arp.emit(&mut octets);
            assert_eq!(Arp::parse(&octets), Ok(arp));
            let mut frame = frame(ethertype::ARP, &octets);
            if arp.op == Arp::REQUEST {
                Ethernet::set_dst(frame.first_chunk_mut().unwrap(), Mac::BROADCAST);
            }
            ethernet(&frame)
        };
        let request = Arp::request((US, A), B);
        let mut octets = [0; Arp::LEN];
        request.emit(&mut octets);
        let mut token_ring = octets;
        token_ring[1] = 6;
        assert_eq!(Arp::parse(&token_ring), Err(WireError::BadType));
        let padded = [&octets[..], &[0; 18]].concat();
        snapshot!(
            "wire__arp",
            all([
                ("request", show(request)),
                ("reply", show(request.reply(PEER))),
                ("probe", show(Arp::probe(US, A))),
                ("announcement", show(Arp::announcement(US, A))),
                ("another operation", show(Arp { op: 8, ..request })),
                ("padded", ethernet(&frame(ethertype::ARP, &padded))),
                (
                    "other hardware",
                    ethernet(&frame(ethertype::ARP, &token_ring))
                ),
                ("cut short", ethernet(&frame(ethertype::ARP, &octets[..27]))),
            ])
        );
    }

    #[test]
    fn link_addresses() {
        assert!(Mac::BROADCAST.is_broadcast() && Mac::BROADCAST.is_multicast());
        assert!(!Mac::BROADCAST.is_unicast() && !Mac::ZERO.is_unicast() && US.is_unicast());
        assert!(US.is_local() && !Mac([0, 0, 0x5e, 0, 0, 1]).is_local());
        let group = Mac::from_ipv4_multicast(Ipv4Addr::new(239, 129, 2, 3));
        assert_eq!(group.to_string(), "01:00:5e:01:02:03");
        assert!(group.is_multicast() && !group.is_broadcast());
        assert_eq!("02-00-00-00-00-01".parse(), Ok(US));
        for bad in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "2:0:0:0:0:1",
            "02:00:00:00:00:+1",
            "02:00:00:00:00:0g",
            "02:00:00-00:00:01",
            "ü2:00:00:00:00:01",
        ] {
            assert_eq!(bad.parse::<Mac>(), Err(MacParseError), "{bad}");
        }
    }
}

mod ipv4 {
    use super::*;

    #[test]
    fn headers() {
        let base = Ipv4::new(A, B, protocol::EXPERIMENT);
        let full = Ipv4 {
            dscp: 46,
            ecn: 1,
            ident: 0xbeef,
            dont_fragment: false,
            ttl: 1,
            ..base
        };
        let first = Ipv4 {
            more_fragments: true,
            protocol: protocol::UDP,
            ..full
        };
        let last = Ipv4 {
            more_fragments: false,
            fragment_offset: 65528,
            ..first
        };
        let mut udp = *b"\x13\x88\x00\x07\x04\x08\xab\xcdfirst...";
        udp[5] = 8;
        snapshot!(
            "wire__ipv4",
            all([
                ("as hosts send it", ip(&packet_of(base, &[], b"octets"))),
                ("all fields", ip(&packet_of(full, &[], b""))),
                ("first fragment", ip(&packet_of(first, &[], &udp))),
                ("last fragment", ip(&packet_of(last, &[], b"last"))),
            ])
        );
    }

    #[test]
    fn options() {
        let show = |options: &[u8]| {
            let packet = packet_of(Ipv4::new(A, B, protocol::EXPERIMENT), options, b"x");
            let (_, read, payload) = Ipv4::parse(&packet).unwrap();
            assert_eq!(read.get(..options.len()), Some(options));
            assert_eq!(payload, b"x");
            ip(&packet)
        };
        let route = |kind| [kind, 11, 8, 192, 0, 2, 7, 0, 0, 0, 0, 0];
        snapshot!(
            "wire__ipv4_options",
            all([
                ("record route", show(&route(7))),
                ("loose source route", show(&route(131))),
                ("strict source route", show(&route(137))),
                (
                    "timestamps",
                    show(&[68, 12, 9, 0x10, 0, 0, 0, 5, 0, 0, 0, 0])
                ),
                (
                    "times of routers",
                    show(&[68, 12, 13, 0xf1, 192, 0, 2, 7, 0, 0, 0, 5])
                ),
                ("router alert", show(&[148, 4, 0, 0])),
                ("stream, obsolete", show(&[136, 4, 0, 9])),
                ("no-operations", show(&[1, 1, 1, 0])),
                ("end before the end", show(&[1, 0, 7, 3, 4])),
                ("one octet, padded", show(&[1])),
                ("forty octets", show(&[1; 40])),
            ])
        );
    }

    #[test]
    fn malformed_options() {
        let show = |options: &[u8]| {
            ip(&packet_of(
                Ipv4::new(A, B, protocol::EXPERIMENT),
                options,
                b"",
            ))
        };
        snapshot!(
            "wire__ipv4_options_malformed",
            all([
                ("length 0", show(&[1, 148, 0, 1])),
                ("length 1", show(&[148, 1, 0, 0])),
                ("length beyond the end", show(&[1, 7, 7, 4])),
                ("no length", show(&[1, 1, 1, 7])),
                ("route without pointer", show(&[131, 2, 0, 0])),
                ("route with pointer 3", show(&[7, 7, 3, 192, 0, 2, 7])),
                ("route of five octets", show(&[7, 8, 4, 192, 0, 2, 7, 9])),
                ("router alert of five", show(&[148, 5, 0, 0, 0])),
                ("timestamp without flags", show(&[68, 3, 5, 0])),
            ])
        );
    }

    #[test]
    fn source_routes_are_found() {
        let found = |options: &[u8]| Ipv4Options::new(options).source_routed();
        assert_eq!(found(&[]), Ok(false));
        assert_eq!(found(&[148, 4, 0, 0]), Ok(false));
        assert_eq!(found(&[1, 131, 7, 4, 1, 2, 3, 4]), Ok(true));
        assert_eq!(found(&[137, 3, 4, 0]), Ok(true));
        assert_eq!(found(&[131, 2]), Ok(true), "even one that goes nowhere");
        assert_eq!(
            found(&[0, 131, 3, 4]),
            Ok(false),
            "behind the end of the list"
        );
        assert_eq!(found(&[1, 131]), Err(WireError::BadOption));
        assert_eq!(found(&[7, 0, 131, 3]), Err(WireError::BadOption));
    }

    #[test]
    fn malformed() {
        let good = packet(protocol::EXPERIMENT, b"octets");
        let with = |at: usize, octet: u8| {
            let mut packet = good.clone();
            packet[at] = octet;
            packet
        };
        let mut padded = good.clone();
        padded.extend([0; 20]);
        let cases = [
            (
                "nineteen octets",
                good[..19].to_vec(),
                Err(WireError::Truncated),
            ),
            ("version 5", with(0, 0x55), Err(WireError::BadVersion)),
            ("header of 16", with(0, 0x44), Err(WireError::BadLength)),
            (
                "header beyond the packet",
                with(0, 0x4f),
                Err(WireError::BadLength),
            ),
            (
                "total below the header",
                with(3, 19),
                Err(WireError::BadLength),
            ),
            ("total of zero", with(3, 0), Err(WireError::BadLength)),
            (
                "total beyond the packet",
                with(3, 27),
                Err(WireError::Truncated),
            ),
            ("wrong checksum", with(8, 63), Err(WireError::BadChecksum)),
            ("link padding", padded, Ok(6)),
        ];
        for (name, packet, expected) in &cases {
            let payload = Ipv4::parse(packet).map(|(_, _, payload)| payload.len());
            assert_eq!(payload, *expected, "{name}");
            let mut copy = packet.clone();
            let payload = Ipv4::parse_mut(&mut copy).map(|(_, _, payload)| payload.len());
            assert_eq!(payload, *expected, "{name}, in place");
        }
        snapshot!(
            "wire__ipv4_malformed",
            all(cases.iter().map(|(name, packet, _)| (*name, ip(packet))))
        );
    }

    #[test]
    fn what_cannot_be_written() {
        let ip = Ipv4::new(A, B, protocol::UDP);
        let mut room = [0; 70];
        assert_eq!(ip.emit(65516, &mut [0; 20]), Err(WireError::BadLength));
        assert_eq!(ip.emit(usize::MAX, &mut [0; 20]), Err(WireError::BadLength));
        assert_eq!(ip.emit(65515, &mut [0; 20]), Ok(()));
        let long = ip.emit_with_options(&[1; 41], 0, &mut room);
        assert_eq!(long, Err(WireError::BadLength));
        let narrow = ip.emit_with_options(&[1; 5], 0, &mut room[..27]);
        assert_eq!(narrow, Err(WireError::BadLength));
        assert_eq!(ip.emit_with_options(&[1; 5], 0, &mut room[..28]), Ok(28));
    }
}

#[path = "wire/icmp.rs"]
mod icmp;
#[path = "wire/transport.rs"]
mod transport;
