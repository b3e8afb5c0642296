//! Values of every header, drawn at random.

use core::net::Ipv4Addr;
use netstrata::wire::*;
use proptest::collection::vec;
use proptest::prelude::*;

pub fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

pub fn addr() -> impl Strategy<Value = Ipv4Addr> {
    any::<[u8; 4]>().prop_map(Ipv4Addr::from)
}

pub fn ipv4() -> impl Strategy<Value = Ipv4> {
    let fields = (addr(), addr(), 0..64u8, 0..4u8, any::<u16>());
    let more = (any::<[bool; 2]>(), 0..8192u16, any::<u8>(), any::<u8>());
    (fields, more).prop_map(
        |((src, dst, dscp, ecn, ident), (flags, offset, ttl, protocol))| Ipv4 {
            src,
            dst,
            dscp,
            ecn,
            ident,
            dont_fragment: flags[0],
            more_fragments: flags[1],
            fragment_offset: offset * 8,
            ttl,
            protocol,
        },
    )
}

/// Options octets of whole words, of any content.
pub fn options() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<[u8; 4]>(), 0..=10).prop_map(|words| words.concat())
}

pub fn payload() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

pub fn tcp() -> impl Strategy<Value = Tcp> {
    any::<(u16, u16, u32, u32, u16, u16, u16)>().prop_map(
        |(src, dst, seq, ack, flags, window, urgent)| Tcp {
            src,
            dst,
            seq,
            ack,
            flags: TcpFlags::from_bits(flags),
            window,
            urgent,
        },
    )
}

pub fn tcp_options() -> impl Strategy<Value = TcpOptions> {
    let first = (
        any::<Option<u16>>(),
        proptest::option::of(0..=14u8),
        any::<bool>(),
        any::<Option<(u32, u32)>>(),
    );
    let cookie = proptest::option::of((0..=8usize, any::<[u8; 16]>(), any::<bool>()));
    let timeout = proptest::option::of(prop_oneof![
        0..32768u32,
        (547..32768u32).prop_map(|m| m * 60)
    ]);
    let counts = proptest::option::of((any::<bool>(), vec(0..1u32 << 24, 0..=3)));
    let rest = (timeout, cookie, counts);
    (first, vec(any::<(u32, u32)>(), 0..=4), rest).prop_map(
        |((mss, window_scale, sack_permitted, timestamps), blocks, rest)| {
            let (user_timeout, cookie, counts) = rest;
            let accurate_ecn = counts.map(|(order, counts)| AccEcn::new(order, &counts));
            let mut sack = SackBlocks::NONE;
            for (left, right) in blocks {
                sack.push(left, right);
            }
            let fast_open = cookie.and_then(|(pairs, octets, experimental)| {
                let cookie = FastOpen::new(&octets[..pairs * 2])?;
                Some(if experimental {
                    cookie.in_experimental_option()
                } else {
                    cookie
                })
            });
            TcpOptions {
                mss,
                window_scale,
                sack_permitted,
                timestamps,
                sack,
                user_timeout,
                fast_open,
                accurate_ecn,
                malformed: false,
            }
        },
    )
}

pub fn icmp() -> impl Strategy<Value = Icmpv4> {
    let echo = any::<(u16, u16)>();
    prop_oneof![
        echo.prop_map(|(ident, seq)| Icmpv4::EchoRequest { ident, seq }),
        echo.prop_map(|(ident, seq)| Icmpv4::EchoReply { ident, seq }),
        (0..16u8, any::<u16>()).prop_map(|(code, mtu)| Icmpv4::Unreachable(
            Unreachable::from_code(code, mtu).unwrap()
        )),
        Just(Icmpv4::SourceQuench),
        (0..4usize, addr()).prop_map(|(code, gateway)| Icmpv4::Redirect {
            code: [
                Redirect::Net,
                Redirect::Host,
                Redirect::NetForService,
                Redirect::HostForService
            ][code],
            gateway,
        }),
        Just(Icmpv4::TimeExceeded(TimeExceeded::Transit)),
        Just(Icmpv4::TimeExceeded(TimeExceeded::Reassembly)),
        (0..3u8, any::<u8>())
            .prop_map(|(code, pointer)| Icmpv4::ParameterProblem { code, pointer }),
        (echo, any::<[u32; 3]>(), any::<bool>()).prop_map(|((ident, seq), times, reply)| {
            if reply {
                Icmpv4::TimestampReply { ident, seq, times }
            } else {
                Icmpv4::TimestampRequest { ident, seq, times }
            }
        }),
        (echo, any::<u32>(), any::<bool>()).prop_map(|((ident, seq), mask, reply)| {
            if reply {
                Icmpv4::MaskReply { ident, seq, mask }
            } else {
                Icmpv4::MaskRequest { ident, seq, mask }
            }
        }),
        (19..=255u8, any::<u8>(), any::<[u8; 4]>()).prop_map(|(kind, code, rest)| Icmpv4::Other {
            kind,
            code,
            rest
        }),
    ]
}

/// A packet of these parts.
pub fn emit_packet(ip: &Ipv4, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xee; 60 + payload.len()];
    let len = ip
        .emit_with_options(options, payload.len(), &mut packet)
        .unwrap();
    packet[len..len + payload.len()].copy_from_slice(payload);
    packet.truncate(len + payload.len());
    packet
}
