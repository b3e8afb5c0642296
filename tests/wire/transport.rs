//! UDP and TCP.

use super::*;

fn header(protocol: u8) -> IpHeader {
    IpHeader::new(A.into(), B.into(), protocol)
}

mod udp {
    use super::*;

    const UDP: Udp = Udp { src: 5000, dst: 53 };

    fn datagram(payload: &[u8]) -> Vec<u8> {
        let mut datagram = [&[0; 8], payload].concat();
        UDP.emit(&header(protocol::UDP), &mut datagram).unwrap();
        datagram
    }

    fn show(datagram: &[u8]) -> String {
        ip(&packet(protocol::UDP, datagram))
    }

    #[test]
    fn datagrams() {
        let mut unsummed = datagram(b"trust me");
        UDP.emit_without_checksum(8, unsummed.first_chunk_mut().unwrap())
            .unwrap();
        let mut partial = datagram(b"later");
        UDP.emit_partial(
            &header(protocol::UDP),
            5,
            partial.first_chunk_mut().unwrap(),
        )
        .unwrap();
        // These two octets bring the sum to zero, which is sent as all ones.
        let mut zero = datagram(&[0, 0]);
        let missing = [zero[6], zero[7]];
        zero = datagram(&missing);
        assert_eq!(zero.get(6..8), Some(&[0xff, 0xff][..]));
        for datagram in [&unsummed, &zero] {
            assert_eq!(Udp::verify(&header(protocol::UDP), datagram), Ok(()));
        }
        snapshot!(
            "wire__udp",
            all([
                ("with payload", show(&datagram(b"question"))),
                ("empty", show(&datagram(b""))),
                ("of odd length", show(&datagram(b"odd"))),
                ("without checksum", show(&unsummed)),
                ("checksum left to the device", show(&partial)),
                ("checksum that came out as zero", show(&zero)),
            ])
        );
    }

    #[test]
    fn malformed() {
        let good = datagram(b"question");
        let with = |at: usize, octet: u8| {
            let mut datagram = good.clone();
            datagram[at] = octet;
            datagram
        };
        let padded = [&good[..], b"padding"].concat();
        let cases = [
            (
                "seven octets",
                good[..7].to_vec(),
                Err(WireError::Truncated),
            ),
            ("length of zero", with(5, 0), Err(WireError::BadLength)),
            ("length of seven", with(5, 7), Err(WireError::BadLength)),
            (
                "length beyond the packet",
                with(5, 17),
                Err(WireError::Truncated),
            ),
            ("wrong checksum", with(9, 0), Err(WireError::BadChecksum)),
            ("octets behind its end", padded, Ok(8)),
        ];
        for (name, datagram, expected) in &cases {
            let read = Udp::verify(&header(protocol::UDP), datagram)
                .and_then(|()| Udp::parse(datagram))
                .map(|(_, payload)| payload.len());
            assert_eq!(read, *expected, "{name}");
        }
        snapshot!(
            "wire__udp_malformed",
            all(cases
                .iter()
                .map(|(name, datagram, _)| (*name, show(datagram))))
        );
    }

    #[test]
    fn no_checksum_is_for_ipv4_only() {
        let v6 = core::net::Ipv6Addr::LOCALHOST.into();
        let over_v6 = IpHeader::new(v6, v6, protocol::UDP);
        let mut datagram = [0; 8];
        UDP.emit_without_checksum(0, &mut datagram).unwrap();
        assert_eq!(
            Udp::verify(&over_v6, &datagram),
            Err(WireError::BadChecksum)
        );
        UDP.emit(&over_v6, &mut datagram).unwrap();
        assert_eq!(Udp::verify(&over_v6, &datagram), Ok(()));
    }

    #[test]
    fn what_cannot_be_written() {
        let ip = header(protocol::UDP);
        assert_eq!(UDP.emit(&ip, &mut [0; 7]), Err(WireError::BadLength));
        let mut long = vec![0; 65536];
        assert_eq!(UDP.emit(&ip, &mut long), Err(WireError::BadLength));
        assert_eq!(UDP.emit(&ip, &mut long[1..]), Ok(()));
        assert_eq!(Udp::verify(&ip, &long[1..]), Ok(()));
    }
}

mod tcp {
    use super::*;

    const SYN: Tcp = Tcp {
        src: 40000,
        dst: 80,
        seq: 0x0102_0304,
        ack: 0,
        flags: TcpFlags::SYN,
        window: 65535,
        urgent: 0,
    };
    const ACK: Tcp = Tcp {
        ack: 0x0506_0708,
        flags: TcpFlags::ACK,
        window: 512,
        ..SYN
    };

    fn segment(tcp: Tcp, options: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut segment = [&[0; 20], options, payload].concat();
        tcp.emit(&header(protocol::TCP), options, &mut segment)
            .unwrap();
        assert_eq!(Tcp::verify(&header(protocol::TCP), &segment), Ok(()));
        assert_eq!(Tcp::parse(&segment), Ok((tcp, options, payload)));
        segment
    }

    fn show(segment: &[u8]) -> String {
        ip(&packet(protocol::TCP, segment))
    }

    #[test]
    fn segments() {
        let every = (0..9).fold(TcpFlags::NONE, |all, n| all | TcpFlags::from_bits(1 << n));
        let data = Tcp {
            flags: TcpFlags::PSH | TcpFlags::ACK,
            ..ACK
        };
        let fin = Tcp {
            flags: TcpFlags::FIN | TcpFlags::ACK,
            ..ACK
        };
        let reset = Tcp {
            flags: TcpFlags::RST,
            window: 0,
            ..SYN
        };
        let all_fields = Tcp {
            src: 0xffff,
            dst: 0xfffe,
            seq: 0xfffd_fffc,
            ack: 0xfffb_fffa,
            flags: every,
            window: 0xfff9,
            urgent: 0xfff8,
        };
        let none = Tcp {
            flags: TcpFlags::NONE,
            ..SYN
        };
        let mut partial = segment(data, &[], b"super");
        data.emit_partial(&header(protocol::TCP), &[], 5, &mut partial[..20])
            .unwrap();
        snapshot!(
            "wire__tcp",
            all([
                ("bare syn", show(&segment(SYN, &[], b""))),
                ("data", show(&segment(data, &[], b"octets!"))),
                ("fin", show(&segment(fin, &[], b""))),
                ("reset", show(&segment(reset, &[], b""))),
                ("every bit", show(&segment(all_fields, &[], b""))),
                ("no flag", show(&segment(none, &[], b""))),
                ("checksum left to the device", show(&partial)),
            ])
        );
    }

    /// Through the writer, with its octets read back.
    fn written(tcp: Tcp, options: TcpOptions) -> String {
        let octets = options.emit();
        assert!(octets.len() <= 40 && octets.len().is_multiple_of(4));
        assert_eq!(TcpOptions::parse(octets.as_slice()), options);
        show(&segment(tcp, octets.as_slice(), b""))
    }

    fn blocks(n: u32) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        for n in 0..n {
            assert!(blocks.push(1000 * n, 1000 * n + 500));
        }
        blocks
    }

    #[test]
    fn options_as_linux_writes_them() {
        let syn = TcpOptions {
            mss: Some(1460),
            window_scale: Some(8),
            sack_permitted: true,
            timestamps: Some((100, 0)),
            ..TcpOptions::NONE
        };
        let plain = TcpOptions {
            timestamps: None,
            ..syn
        };
        let syn_ack = TcpOptions {
            window_scale: None,
            ..plain
        };
        let answer = Tcp {
            flags: TcpFlags::SYN | TcpFlags::ACK,
            ..ACK
        };
        let no_sack = TcpOptions {
            sack_permitted: false,
            ..syn
        };
        let times = TcpOptions {
            timestamps: Some((1200, 100)),
            ..TcpOptions::NONE
        };
        let sack = |n, of: TcpOptions| TcpOptions {
            sack: blocks(n),
            ..of
        };
        let cookie = FastOpen::new(&[0x30, 0x21, 0xb9, 0xd8, 0x89, 0x01, 0x7e, 0xeb]).unwrap();
        let odd = FastOpen::new(&[1, 2, 3, 4, 5, 6]).unwrap();
        let fast = |cookie, of: TcpOptions| TcpOptions {
            fast_open: Some(cookie),
            ..of
        };
        let timeout = |seconds| TcpOptions {
            user_timeout: Some(seconds),
            ..TcpOptions::NONE
        };
        snapshot!(
            "wire__tcp_options",
            all([
                ("syn with timestamps", written(SYN, syn)),
                ("syn without timestamps", written(SYN, plain)),
                ("syn-ack with sackOK alone", written(answer, syn_ack)),
                ("syn with timestamps, without sackOK", written(SYN, no_sack)),
                ("timestamps", written(ACK, times)),
                ("timestamps and one block", written(ACK, sack(1, times))),
                ("timestamps and three blocks", written(ACK, sack(3, times))),
                ("four blocks", written(ACK, sack(4, TcpOptions::NONE))),
                (
                    "fast open request",
                    written(SYN, fast(FastOpen::REQUEST, syn))
                ),
                ("fast open cookie", written(SYN, fast(cookie, syn))),
                ("fast open cookie of six", written(SYN, fast(odd, plain))),
                (
                    "fast open cookie, experimental",
                    written(SYN, fast(cookie.in_experimental_option(), syn))
                ),
                ("user timeout in seconds", written(SYN, timeout(32767))),
                ("user timeout in minutes", written(SYN, timeout(32760 * 60))),
            ])
        );
    }

    #[test]
    fn what_finds_no_room_is_left_out() {
        let crowded = TcpOptions {
            timestamps: Some((1, 2)),
            sack: blocks(4),
            user_timeout: Some(5),
            fast_open: FastOpen::new(&[0; 16]),
            ..TcpOptions::NONE
        };
        let octets = crowded.emit();
        assert_eq!(octets.len(), 40);
        let read = TcpOptions::parse(octets.as_slice());
        assert_eq!(read.timestamps, Some((1, 2)));
        assert_eq!(read.sack.as_slice(), blocks(3).as_slice());
        assert_eq!((read.user_timeout, read.fast_open), (None, None));
        assert!(!blocks(4).clone().push(1, 2), "four is the most");
        for len in [1, 2, 3, 5, 17, 18] {
            assert_eq!(FastOpen::new(&[0; 18][..len]), None, "{len} octets");
        }
    }

    /// RFC 9768 §3.2.3: both orders, all lengths, beside timestamps and SACK blocks.
    #[test]
    fn accurate_ecn() {
        let counts = [0x0102_0304, 5, 0xff_ffff];
        let times = TcpOptions {
            timestamps: Some((1200, 100)),
            ..TcpOptions::NONE
        };
        let with = |order, n, of: TcpOptions| {
            let of = TcpOptions {
                accurate_ecn: Some(AccEcn::new(order, &counts[..n])),
                ..of
            };
            let ace = Tcp {
                flags: TcpFlags::ACK | TcpFlags::AE | TcpFlags::ECE,
                ..ACK
            };
            written(ace, of)
        };
        let sack = |n| TcpOptions {
            sack: blocks(n),
            ..times
        };
        let foreign = |options: &[u8]| {
            let segment = segment(ACK, options, b"");
            let read = TcpOptions::parse(options).accurate_ecn;
            format!("{}{read:?}\n", show(&segment))
        };
        snapshot!(
            "wire__tcp_accecn",
            all([
                ("order 0, one counter", with(false, 1, TcpOptions::NONE)),
                ("order 0, two", with(false, 2, times)),
                ("order 0, three", with(false, 3, times)),
                ("order 1, one", with(true, 1, TcpOptions::NONE)),
                ("order 1, three", with(true, 3, times)),
                ("none", with(false, 0, times)),
                ("two and two blocks", with(false, 2, sack(2))),
                ("three and a block", with(true, 3, sack(1))),
                (
                    "lengths of others",
                    foreign(&[172, 4, 1, 2, 174, 6, 0, 0, 7, 9, 1, 1])
                ),
            ])
        );
        let long = TcpOptions::parse(&[172, 15, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0]);
        assert_eq!(long.accurate_ecn, Some(AccEcn::new(false, &[1, 2, 3])));
        let read = AccEcn::new(true, &counts);
        assert_eq!(
            (read.e1b(), read.ceb(), read.e0b()),
            (Some(0x02_0304), Some(5), Some(0xff_ffff))
        );
    }

    #[test]
    fn options_as_others_write_them() {
        let show = |options: &[u8]| {
            let segment = segment(ACK, options, b"");
            format!("{}{:?}\n", show(&segment), TcpOptions::parse(options))
        };
        snapshot!(
            "wire__tcp_options_foreign",
            all([
                (
                    "unknown kinds are skipped",
                    show(&[99, 4, 1, 2, 2, 4, 5, 0xb4, 253, 2, 1, 1])
                ),
                ("end before the end", show(&[4, 2, 0, 3, 3, 7, 0, 0])),
                ("unaligned", show(&[3, 3, 7, 2, 4, 5, 0xb4, 0])),
                ("window scale above 14", show(&[3, 3, 15, 0])),
                ("mss of another length", show(&[2, 3, 5, 0])),
                ("the last of two counts", show(&[2, 4, 0, 1, 2, 4, 0, 2])),
                ("experiment of another", show(&[254, 4, 0xab, 0xcd])),
                (
                    "fast open cookie of three",
                    show(&[34, 5, 1, 2, 3, 0, 0, 0])
                ),
            ])
        );
    }

    #[test]
    fn malformed_options() {
        let show = |options: &[u8]| {
            let read = TcpOptions::parse(options);
            assert!(read.malformed);
            let before = TcpOptions {
                malformed: false,
                mss: Some(1460),
                ..TcpOptions::NONE
            };
            assert_eq!(
                TcpOptions {
                    malformed: false,
                    ..read
                },
                before
            );
            show(&segment(ACK, options, b""))
        };
        snapshot!(
            "wire__tcp_options_malformed",
            all([
                ("length 0", show(&[2, 4, 5, 0xb4, 8, 0, 1, 1])),
                ("length 1", show(&[2, 4, 5, 0xb4, 99, 1, 4, 2])),
                ("length beyond the end", show(&[2, 4, 5, 0xb4, 8, 10, 0, 0])),
                ("no length", show(&[2, 4, 5, 0xb4, 1, 1, 1, 5])),
            ])
        );
        // A SACK option of odd size is not believed, and not an end to the others either.
        let read = TcpOptions::parse(&[5, 9, 0, 0, 0, 1, 0, 0, 0, 2, 4, 5]);
        assert!(read.sack.is_empty());
    }

    #[test]
    fn malformed() {
        let good = segment(ACK, &[1, 1, 1, 1], b"data");
        let with = |at: usize, octet: u8| {
            let mut segment = good.clone();
            segment[at] = octet;
            segment
        };
        let cases = [
            (
                "nineteen octets",
                good[..19].to_vec(),
                Err(WireError::Truncated),
            ),
            ("header of 16", with(12, 0x40), Err(WireError::BadLength)),
            (
                "header of nothing",
                with(12, 0x00),
                Err(WireError::BadLength),
            ),
            (
                "header beyond the segment",
                with(12, 0xf0),
                Err(WireError::Truncated),
            ),
        ];
        for (name, segment, expected) in &cases {
            assert_eq!(Tcp::parse(segment).map(|_| ()), *expected, "{name}");
        }
        let wrong = with(24, b'D');
        let verified = Tcp::verify(&header(protocol::TCP), &wrong);
        assert_eq!(verified, Err(WireError::BadChecksum));
        snapshot!(
            "wire__tcp_malformed",
            all(cases
                .iter()
                .map(|(name, segment, _)| (*name, show(segment)))
                .chain([("wrong checksum", show(&wrong))]))
        );
    }

    #[test]
    fn what_cannot_be_written() {
        let ip = header(protocol::TCP);
        let mut room = [0; 80];
        for (options, len) in [(3, 23), (44, 64), (8, 27), (0, 19)] {
            let options = &[1; 44][..options];
            let emitted = SYN.emit(&ip, options, &mut room[..len]);
            assert_eq!(emitted, Err(WireError::BadLength), "{len}");
        }
        let head = &mut room[..20];
        let long = SYN.emit_summed(&ip, &[], 65516, Sum::ZERO, head);
        assert_eq!(long, Err(WireError::BadLength));
        assert_eq!(SYN.emit_partial(&ip, &[], 65515, head), Ok(()));
        // Room for options that are not there would be sent as whatever stood in it.
        let wide = SYN.emit_summed(&ip, &[], 0, Sum::ZERO, &mut room[..24]);
        assert_eq!(wide, Err(WireError::BadLength));
    }
}
