//! Octets nobody sane would send: nothing panics, nothing reads past its end.

use super::strategies::*;
use core::net::Ipv4Addr;
use netstrata::wire::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Every reader there is, on octets of any kind.
fn read_everything(octets: &[u8]) {
    let ip = IpHeader::new([1, 2, 3, 4].into(), [5, 6, 7, 8].into(), 6);
    let _ = Ethernet::split(octets).map(|(e, _)| e.is_802_3());
    let _ = octets.first_chunk().map(Vlan::parse);
    let _ = octets.first_chunk().map(Arp::parse);
    for parsed in [Ipv4::parse(octets), Ipv4::parse_unverified(octets)] {
        let Ok((_, options, payload)) = parsed else {
            continue;
        };
        assert!(options.len() <= 40 && 20 + options.len() + payload.len() <= octets.len());
    }
    if let Ok(front) = Ipv4::parse_front(octets) {
        assert!(front.payload.len() <= front.payload_len);
    }
    let _ = Ipv4::parse_mut(&mut octets.to_vec()).map(|(ip, ..)| ip);
    assert!(Ipv4Options::new(octets).count() <= octets.len());
    let _ = Ipv4Options::new(octets).source_routed();
    let _ = Icmpv4::parse(octets);
    if let Ok((icmp, data)) = Icmpv4::parse_unverified(octets) {
        assert_eq!(icmp.header_len() + data.len(), octets.len());
        assert_eq!((icmp.kind(), icmp.code()), (octets[0], octets[1]));
    }
    let _ = Icmpv4::set_echo_reply(&mut octets.to_vec());
    let _ = Quoted::parse(octets).map(|quoted| (quoted.ports(), quoted.tcp_seq()));
    let _ = Udp::verify(&ip, octets);
    if let Ok((_, payload)) = Udp::parse(octets) {
        assert!(8 + payload.len() <= octets.len());
    }
    let _ = Tcp::verify(&ip, octets);
    if let Ok((tcp, options, payload)) = Tcp::parse(octets) {
        assert_eq!(20 + options.len() + payload.len(), octets.len());
        let _ = tcp.flags.to_string();
    }
    assert!(TcpOptionIter::new(octets).count() <= octets.len());
    let read = TcpOptions::parse(octets);
    let mut options = TcpOptionIter::new(octets);
    assert_eq!(read.malformed, options.any(|option| option.is_err()));
    assert_eq!(options.next(), None, "an error ends the walk");
    let _ = Ipv4::translate_src(&mut octets.to_vec(), Ipv4Addr::LOCALHOST);
    let _ = Ipv4::translate_dst(&mut octets.to_vec(), Ipv4Addr::LOCALHOST);
    for dump in [Dump::ethernet(octets), Dump::ip(octets)] {
        assert!(dump.to_string().len() <= 300 + 40 * octets.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_octets_make_anything_panic(octets in vec(any::<u8>(), 0..160)) {
        read_everything(&octets);
    }

    /// Octets that get further: real packets with octets changed, and then cut at every length.
    #[test]
    fn nor_do_mutated_packets(
        ip in ipv4(),
        protocol in prop_oneof![Just(1u8), Just(6), Just(17), any::<u8>()],
        whole: bool,
        options in options(),
        payload in vec(any::<u8>(), 0..70),
        tcp in tcp(),
        tcp_options in tcp_options(),
        icmp in icmp(),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut: proptest::sample::Index,
    ) {
        let mut ip = Ipv4 { protocol, ..ip };
        if whole {
            ip.more_fragments = false;
            ip.fragment_offset = 0;
        }
        let body = match protocol {
            1 => {
                let quoted = emit_packet(&ip, &[], &payload);
                let mut message = [&vec![0; icmp.header_len()], &quoted[..]].concat();
                icmp.emit(&mut message).unwrap();
                message
            }
            6 => {
                let options = tcp_options.emit();
                let mut segment = [&vec![0; 20 + options.len()], &payload[..]].concat();
                tcp.emit(&ip.header(), options.as_slice(), &mut segment).unwrap();
                segment
            }
            17 => {
                let mut datagram = [&[0; 8][..], &payload].concat();
                Udp { src: 1, dst: 2 }.emit(&ip.header(), &mut datagram).unwrap();
                datagram
            }
            _ => payload,
        };
        let mut packet = emit_packet(&ip, &options, &body);
        for (at, octet) in changes {
            *at.get_mut(&mut packet) = octet;
        }
        let mut frame = vec![0; 14];
        Ethernet { dst: Mac::BROADCAST, src: Mac::ZERO, kind: ethertype::IPV4 }
            .emit(frame.first_chunk_mut().unwrap());
        frame.extend(&packet);
        read_everything(&frame);
        read_everything(&packet);
        read_everything(&body);
        read_everything(&packet[..cut.index(packet.len())]);
    }
}

/// The same packet cut at each of its lengths: all of it parses, nothing less does.
#[test]
fn truncation_at_each_length() {
    let ip = Ipv4::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::TCP);
    let tcp = Tcp {
        src: 1,
        dst: 2,
        seq: 3,
        ack: 4,
        flags: TcpFlags::ACK,
        window: 5,
        urgent: 0,
    };
    let options = TcpOptions {
        timestamps: Some((1, 2)),
        ..TcpOptions::NONE
    }
    .emit();
    let mut segment = [&[0; 32][..], b"payload"].concat();
    tcp.emit(&ip.header(), options.as_slice(), &mut segment)
        .unwrap();
    let packet = emit_packet(&ip, &[148, 4, 0, 0], &segment);
    for len in 0..packet.len() {
        assert_eq!(Ipv4::parse(&packet[..len]), Err(WireError::Truncated));
        assert_eq!(Ipv4::parse_front(&packet[..len]).is_ok(), len >= 24);
        read_everything(&packet[..len]);
    }
    for len in 0..segment.len() {
        assert_eq!(Tcp::parse(&segment[..len]).is_ok(), len >= 32, "{len}");
        assert!(Tcp::verify(&ip.header(), &segment[..len]).is_err());
        read_everything(&segment[..len]);
    }
    let mut datagram = *b"........payload";
    let udp = Udp { src: 1, dst: 2 };
    udp.emit(&ip.header(), &mut datagram).unwrap();
    for len in 0..datagram.len() {
        assert_eq!(Udp::parse(&datagram[..len]), Err(WireError::Truncated));
        read_everything(&datagram[..len]);
    }
}
