//! The wire layer held against `etherparse`, both ways, and against itself.

use core::net::IpAddr;
use etherparse as other;
use netstrata::wire::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "wire_oracle/hostile.rs"]
mod hostile;
#[path = "wire_oracle/strategies.rs"]
mod strategies;
#[path = "wire_oracle/theirs.rs"]
mod theirs;

use strategies::*;
use theirs::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn ethernet_and_vlan(dst in mac(), src in mac(), kind: u16, pcp in 0..8u8, dei: bool, vid in 0..4096u16) {
        let ours = Ethernet { dst, src, kind };
        let theirs = other::Ethernet2Header {
            destination: dst.0,
            source: src.0,
            ether_type: other::EtherType(kind),
        };
        let mut octets = [0xee; 14];
        ours.emit(&mut octets);
        prop_assert_eq!(octets, theirs.to_bytes());
        prop_assert_eq!(Ethernet::parse(&octets), ours);

        let ours = Vlan { pcp, dei, vid, kind };
        let theirs = other::SingleVlanHeader {
            pcp: pcp.try_into().unwrap(),
            drop_eligible_indicator: dei,
            vlan_id: vid.try_into().unwrap(),
            ether_type: other::EtherType(kind),
        };
        let mut octets = [0xee; 4];
        ours.emit(&mut octets);
        prop_assert_eq!(octets, theirs.to_bytes());
        prop_assert_eq!(Vlan::parse(&octets), ours);
    }

    #[test]
    fn mac_as_text(mac in mac()) {
        prop_assert_eq!(mac.to_string().parse(), Ok(mac));
    }

    #[test]
    fn arp(op: u16, sender in (mac(), addr()), target in (mac(), addr())) {
        let ours = Arp { op, sender, target };
        let theirs = other::ArpEthIpv4Packet {
            operation: other::ArpOperation(op),
            sender_mac: sender.0.0,
            sender_ipv4: sender.1.octets(),
            target_mac: target.0.0,
            target_ipv4: target.1.octets(),
        };
        let mut octets = [0xee; 28];
        ours.emit(&mut octets);
        prop_assert_eq!(octets, theirs.to_bytes());
        prop_assert_eq!(Arp::parse(&theirs.to_bytes()), Ok(ours));
    }

    #[test]
    fn ipv4_header(ip in ipv4(), options in options(), payload in payload()) {
        let packet = emit_packet(&ip, &options, &payload);
        let (read, rest) = other::Ipv4Header::from_slice(&packet).unwrap();
        prop_assert_eq!(ours(&read), ip);
        prop_assert_eq!(&read.options[..], &options[..]);
        prop_assert_eq!(read.header_checksum, read.calc_header_checksum());
        prop_assert_eq!(usize::from(read.total_len), packet.len());
        prop_assert_eq!(rest, &payload[..]);

        let mut built = theirs(&ip, &options, payload.len()).to_bytes().to_vec();
        built.extend(&payload);
        prop_assert_eq!(&built, &packet);
        let parts = Ok((ip, &options[..], &payload[..]));
        prop_assert_eq!(Ipv4::parse(&built), parts);
        built.extend(b"padding");
        prop_assert_eq!(Ipv4::parse(&built), parts);
        prop_assert_eq!(Ipv4::parse_unverified(&built), parts);
        let (read, header, rest) = Ipv4::parse_mut(&mut built).unwrap();
        prop_assert_eq!((read, header.len(), &rest[..]), (ip, 20 + options.len(), &payload[..]));
        if options.is_empty() {
            let mut fixed = [0xee; 20];
            ip.emit(payload.len(), &mut fixed).unwrap();
            prop_assert_eq!(&fixed[..], &packet[..20]);
        }
    }

    #[test]
    fn udp(src in addr(), dst in addr(), ports: (u16, u16), payload in payload()) {
        let ip = IpHeader::new(src.into(), dst.into(), protocol::UDP);
        let udp = Udp { src: ports.0, dst: ports.1 };
        let their_ip = theirs(&Ipv4::from_header(&ip).unwrap(), &[], payload.len() + 8);
        let theirs = other::UdpHeader::with_ipv4_checksum(ports.0, ports.1, &their_ip, &payload).unwrap();
        let built = [&theirs.to_bytes()[..], &payload].concat();

        let mut datagram = [&[0xee; 8][..], &payload].concat();
        udp.emit(&ip, &mut datagram).unwrap();
        prop_assert_eq!(&datagram, &built);
        prop_assert_eq!(Udp::verify(&ip, &built), Ok(()));
        prop_assert_eq!(Udp::parse(&built), Ok((udp, &payload[..])));

        let mut head = [0xee; 8];
        let sum = Sum::of(&payload);
        udp.emit_summed(&ip, payload.len(), sum, &mut head).unwrap();
        prop_assert_eq!(head, theirs.to_bytes());

        // What a device does with a partial checksum.
        udp.emit_partial(&ip, payload.len(), &mut head).unwrap();
        let finished = checksum(&[&head[..], &payload].concat());
        prop_assert_eq!(if finished == 0 { 0xffff } else { finished }, theirs.checksum);

        let mut flipped = built;
        flipped[0] ^= 0x10;
        prop_assert!(Udp::verify(&ip, &flipped).is_err());
    }

    #[test]
    fn tcp_header(src in addr(), dst in addr(), tcp in tcp(), options in options(), payload in payload()) {
        let ip = IpHeader::new(src.into(), dst.into(), protocol::TCP);
        let mut theirs = their_tcp(&tcp, &options);
        theirs.checksum = theirs.calc_checksum_ipv4_raw(src.octets(), dst.octets(), &payload).unwrap();
        let built = [&theirs.to_bytes()[..], &payload].concat();

        let mut segment = vec![0xee; 20 + options.len()];
        segment.extend(&payload);
        tcp.emit(&ip, &options, &mut segment).unwrap();
        prop_assert_eq!(&segment, &built);
        let (read, rest) = other::TcpHeader::from_slice(&segment).unwrap();
        prop_assert_eq!(read, theirs);
        prop_assert_eq!(rest, &payload[..]);
        prop_assert_eq!(Tcp::verify(&ip, &built), Ok(()));
        prop_assert_eq!(Tcp::parse(&built), Ok((tcp, &options[..], &payload[..])));

        let head = &mut segment[..20 + options.len()];
        tcp.emit_summed(&ip, &options, payload.len(), Sum::of(&payload), head).unwrap();
        prop_assert_eq!(&segment, &built);

        let head = &mut segment[..20 + options.len()];
        tcp.emit_partial(&ip, &options, payload.len(), head).unwrap();
        let finished = checksum(&segment);
        prop_assert_eq!(&finished.to_be_bytes()[..], &built[16..18]);

        let at = built.len() - 1;
        segment.copy_from_slice(&built);
        segment[at] ^= 1;
        prop_assert_eq!(Tcp::verify(&ip, &segment), Err(WireError::BadChecksum));
    }

    #[test]
    fn tcp_option_lists(options in tcp_options()) {
        use other::TcpOptionElement as O;
        let octets = options.emit();
        prop_assert!(octets.len() <= 40 && octets.len() % 4 == 0);
        let read = TcpOptions::parse(octets.as_slice());
        prop_assert!(!read.malformed);
        // What found room came back; the handshake's own always finds it.
        prop_assert_eq!(read.mss, options.mss);
        prop_assert_eq!(read.window_scale, options.window_scale);
        prop_assert_eq!(read.sack_permitted, options.sack_permitted);
        prop_assert_eq!(read.timestamps, options.timestamps);
        prop_assert!(options.sack.as_slice().starts_with(read.sack.as_slice()));
        prop_assert!(read.user_timeout.is_none() || read.user_timeout == options.user_timeout);
        prop_assert!(read.accurate_ecn.is_none() || read.accurate_ecn == options.accurate_ecn);
        prop_assert!(read.fast_open.is_none() || read.fast_open == options.fast_open);

        // etherparse knows five kinds and stops at the others.
        let known = TcpOptions {
            user_timeout: None,
            fast_open: None,
            accurate_ecn: None,
            ..options
        };
        let octets = known.emit();
        let mut seen = TcpOptions::NONE;
        for option in other::TcpOptionsIterator::from_slice(octets.as_slice()) {
            match option.unwrap() {
                O::Noop => {}
                O::MaximumSegmentSize(mss) => seen.mss = Some(mss),
                O::WindowScale(shift) => seen.window_scale = Some(shift),
                O::SelectiveAcknowledgementPermitted => seen.sack_permitted = true,
                O::SelectiveAcknowledgement((left, right), more) => {
                    seen.sack.push(left, right);
                    for (left, right) in more.into_iter().flatten() {
                        seen.sack.push(left, right);
                    }
                }
                O::Timestamp(value, echo) => seen.timestamps = Some((value, echo)),
            }
        }
        prop_assert_eq!(seen, TcpOptions::parse(octets.as_slice()));
    }

    /// Where etherparse can read a list of options, we read the same.
    #[test]
    fn any_tcp_options(words in vec(prop_oneof![0..9u8, Just(10), any::<u8>()], 0..=40)) {
        use other::TcpOptionElement as O;
        let mut ours = TcpOptionIter::new(&words);
        for option in other::TcpOptionsIterator::from_slice(&words) {
            let Ok(theirs) = option else { break };
            let ours = ours.next().unwrap().unwrap();
            let same = match theirs {
                O::Noop => ours == TcpOption::Nop,
                O::MaximumSegmentSize(mss) => ours == TcpOption::Mss(mss),
                O::WindowScale(shift) => ours == TcpOption::WindowScale(shift),
                O::SelectiveAcknowledgementPermitted => ours == TcpOption::SackPermitted,
                O::SelectiveAcknowledgement(first, more) => {
                    let blocks = [Some(first)].into_iter().chain(more).flatten();
                    matches!(ours, TcpOption::Sack(sack) if sack.iter().eq(blocks))
                }
                O::Timestamp(value, echo) => ours == TcpOption::Timestamps { value, echo },
            };
            prop_assert!(same, "{:?} is not {:?}", ours, theirs);
        }
    }

    #[test]
    fn icmp_messages(icmp in icmp(), data in payload()) {
        let mut message = vec![0xee; icmp.header_len()];
        message.extend(&data);
        icmp.emit(&mut message).unwrap();
        prop_assert_eq!(Icmpv4::parse(&message), Ok((icmp, &data[..])));

        let data = &message[8..];
        let theirs = their_icmp(icmp);
        let mut built = match theirs.header_len() {
            8 => {
                let theirs = other::Icmpv4Header::with_checksum(theirs, data);
                [&theirs.to_bytes()[..], data].concat()
            }
            len => {
                let theirs = other::Icmpv4Header::with_checksum(theirs, &message[len..]);
                [&theirs.to_bytes()[..], &message[len..]].concat()
            }
        };
        prop_assert_eq!(&built, &message);
        // A reply is what a request becomes, whoever wrote it.
        if let Icmpv4::EchoRequest { ident, seq } = icmp {
            prop_assert!(Icmpv4::set_echo_reply(&mut built));
            let (reply, _) = Icmpv4::parse(&built).unwrap();
            prop_assert_eq!(reply, Icmpv4::EchoReply { ident, seq });
        }
        message[7] ^= 1;
        prop_assert_eq!(Icmpv4::parse(&message), Err(WireError::BadChecksum));
    }

    /// Each setter leaves the octets that writing the changed value anew would give.
    #[test]
    fn ipv4_setters(ip in ipv4(), new in ipv4(), options in options()) {
        let mut packet = emit_packet(&ip, &options, b"");
        let mut expect = ip;
        type Set<'a> = &'a dyn Fn(&mut [u8; 20], &mut Ipv4);
        let setters: [Set; 5] = [
            &|h, ip| { Ipv4::set_ttl(h, new.ttl); ip.ttl = new.ttl },
            &|h, ip| { Ipv4::set_tos(h, new.header().tos); ip.dscp = new.dscp; ip.ecn = new.ecn },
            &|h, ip| { Ipv4::set_ident(h, new.ident); ip.ident = new.ident },
            &|h, ip| { Ipv4::set_src(h, new.src); ip.src = new.src },
            &|h, ip| { Ipv4::set_dst(h, new.dst); ip.dst = new.dst },
        ];
        for set in setters {
            set(packet.first_chunk_mut().unwrap(), &mut expect);
            prop_assert_eq!(&packet, &emit_packet(&expect, &options, b""));
        }
        let left = Ipv4::decrement_ttl(packet.first_chunk_mut().unwrap());
        prop_assert_eq!(left, expect.ttl.checked_sub(1));
        expect.ttl = left.unwrap_or(0);
        prop_assert_eq!(&packet, &emit_packet(&expect, &options, b""));
    }

    #[test]
    fn transport_setters(addrs in [addr(), addr(), addr()], tcp in tcp(), new in tcp(), payload in payload()) {
        let [src, dst, to] = addrs;
        let ip = IpHeader::new(src.into(), dst.into(), protocol::TCP);
        let build = |ip: &IpHeader, tcp: &Tcp| {
            let mut segment = [&[0; 20][..], &payload].concat();
            tcp.emit(ip, &[], &mut segment).unwrap();
            segment
        };
        let mut segment = build(&ip, &tcp);
        let h: &mut [u8; 20] = segment.first_chunk_mut().unwrap();
        Tcp::set_src(h, new.src);
        Tcp::set_dst(h, new.dst);
        Tcp::set_seq(h, new.seq);
        Tcp::set_ack(h, new.ack);
        Tcp::set_window(h, new.window);
        Tcp::readdress(h, ip.src, to.into());
        let moved = IpHeader { src: to.into(), ..ip };
        let expect = Tcp { flags: tcp.flags, urgent: tcp.urgent, ..new };
        prop_assert_eq!(segment, build(&moved, &expect));

        let build = |ip: &IpHeader, udp: &Udp| {
            let mut datagram = [&[0; 8][..], &payload].concat();
            udp.emit(ip, &mut datagram).unwrap();
            datagram
        };
        let mut datagram = build(&ip, &Udp { src: tcp.src, dst: tcp.dst });
        let h: &mut [u8; 8] = datagram.first_chunk_mut().unwrap();
        Udp::set_src(h, new.src);
        Udp::set_dst(h, new.dst);
        Udp::readdress(h, ip.dst, to.into());
        let moved = IpHeader { dst: to.into(), ..ip };
        prop_assert_eq!(datagram, build(&moved, &Udp { src: new.src, dst: new.dst }));

        let mut unsummed = [0; 8];
        Udp { src: 1, dst: 2 }.emit_without_checksum(0, &mut unsummed).unwrap();
        Udp::set_src(&mut unsummed, new.src);
        Udp::readdress(&mut unsummed, ip.dst, to.into());
        prop_assert_eq!(&unsummed[6..], &[0, 0]);
    }

    #[test]
    fn translation(ip in ipv4(), to in (addr(), addr()), tcp in tcp(), payload in payload()) {
        for protocol in [protocol::TCP, protocol::UDP, protocol::ICMP] {
            let ip = Ipv4 { protocol, ..ip };
            let body = |ip: &Ipv4| {
                let mut body = [&[0; 20][..], &payload].concat();
                match protocol {
                    protocol::TCP => tcp.emit(&ip.header(), &[], &mut body).unwrap(),
                    protocol::UDP => Udp { src: 1, dst: 2 }.emit(&ip.header(), &mut body).unwrap(),
                    _ => {}
                }
                body
            };
            let moved = Ipv4 { src: to.0, dst: to.1, ..ip };
            let mut packet = emit_packet(&ip, &[], &body(&ip));
            Ipv4::translate_src(&mut packet, to.0).unwrap();
            Ipv4::translate_dst(&mut packet, to.1).unwrap();
            // Later fragments have no transport header to change.
            let expect = if ip.fragment_offset == 0 { body(&moved) } else { body(&ip) };
            prop_assert_eq!(packet, emit_packet(&moved, &[], &expect));
        }
    }

    #[test]
    fn sums(parts in vec(vec(any::<u8>(), 0..40), 0..6), a in addr(), b in addr(), len in 0..65536usize) {
        let whole = parts.concat();
        let split = parts.iter().fold(Sum::ZERO, |sum, part| sum.add_bytes(part));
        prop_assert_eq!(split, Sum::of(&whole));
        prop_assert_eq!(split.finish(), !split.fold());
        let (a, b) = (IpAddr::from(a), IpAddr::from(b));
        let mut pseudo = match (a, b) {
            (IpAddr::V4(a), IpAddr::V4(b)) => [a.octets(), b.octets()].concat(),
            _ => vec![],
        };
        pseudo.extend([0, 17]);
        pseudo.extend((len as u16).to_be_bytes());
        prop_assert_eq!(Sum::pseudo(a, b, 17, len), Sum::of(&pseudo));
        let v6 = |seed: IpAddr| match seed {
            IpAddr::V4(a) => core::net::Ipv6Addr::from([a.octets(); 4].concat().try_into().unwrap_or([0; 16])),
            IpAddr::V6(a) => a,
        };
        let (a, b) = (v6(a), v6(b));
        let mut pseudo = [a.octets(), b.octets()].concat();
        pseudo.extend((len as u32).to_be_bytes());
        pseudo.extend([0, 0, 0, 58]);
        prop_assert_eq!(Sum::pseudo(a.into(), b.into(), 58, len), Sum::of(&pseudo));
    }
}
