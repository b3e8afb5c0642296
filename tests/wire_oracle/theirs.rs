//! Our values as etherparse's, and back.

use super::other;
use netstrata::wire::*;

/// Our value of etherparse's header.
pub fn ours(h: &other::Ipv4Header) -> Ipv4 {
    Ipv4 {
        src: h.source.into(),
        dst: h.destination.into(),
        dscp: h.dscp.value(),
        ecn: h.ecn.value(),
        ident: h.identification,
        dont_fragment: h.dont_fragment,
        more_fragments: h.more_fragments,
        fragment_offset: h.fragment_offset.byte_offset(),
        ttl: h.time_to_live,
        protocol: h.protocol.0,
    }
}

pub fn theirs(ip: &Ipv4, options: &[u8], payload: usize) -> other::Ipv4Header {
    let mut h = other::Ipv4Header::new(
        payload as u16,
        ip.ttl,
        other::IpNumber(ip.protocol),
        ip.src.octets(),
        ip.dst.octets(),
    )
    .unwrap();
    h.dscp = ip.dscp.try_into().unwrap();
    h.ecn = ip.ecn.try_into().unwrap();
    h.identification = ip.ident;
    h.dont_fragment = ip.dont_fragment;
    h.more_fragments = ip.more_fragments;
    h.fragment_offset = (ip.fragment_offset / 8).try_into().unwrap();
    h.options = options.try_into().unwrap();
    h.set_payload_len(payload).unwrap();
    h.header_checksum = h.calc_header_checksum();
    h
}

pub fn their_tcp(tcp: &Tcp, options: &[u8]) -> other::TcpHeader {
    let has = |flag| tcp.flags.contains(flag);
    let mut h = other::TcpHeader::new(tcp.src, tcp.dst, tcp.seq, tcp.window);
    h.acknowledgment_number = tcp.ack;
    h.fin = has(TcpFlags::FIN);
    h.syn = has(TcpFlags::SYN);
    h.rst = has(TcpFlags::RST);
    h.psh = has(TcpFlags::PSH);
    h.ack = has(TcpFlags::ACK);
    h.urg = has(TcpFlags::URG);
    h.ece = has(TcpFlags::ECE);
    h.cwr = has(TcpFlags::CWR);
    h.ns = has(TcpFlags::AE);
    h.urgent_pointer = tcp.urgent;
    h.set_options_raw(options).unwrap();
    h
}

pub fn their_icmp(icmp: Icmpv4) -> other::Icmpv4Type {
    use other::Icmpv4Type as T;
    use other::icmpv4 as i;
    let echo = |ident, seq| other::IcmpEchoHeader { id: ident, seq };
    let stamp = |ident, seq, [a, b, c]: [u32; 3]| i::TimestampMessage {
        id: ident,
        seq,
        originate_timestamp: a,
        receive_timestamp: b,
        transmit_timestamp: c,
    };
    let unknown = |type_u8, bytes5to8| T::Unknown {
        type_u8,
        code_u8: icmp.code(),
        bytes5to8,
    };
    match icmp {
        Icmpv4::EchoReply { ident, seq } => T::EchoReply(echo(ident, seq)),
        Icmpv4::EchoRequest { ident, seq } => T::EchoRequest(echo(ident, seq)),
        Icmpv4::Unreachable(why) => {
            let mtu = match why {
                Unreachable::FragmentationNeeded { mtu } => mtu,
                _ => 0,
            };
            let why = i::DestUnreachableHeader::from_values(why.code(), mtu).unwrap();
            T::DestinationUnreachable(why)
        }
        Icmpv4::SourceQuench => unknown(4, [0; 4]),
        Icmpv4::Redirect { gateway, .. } => T::Redirect(i::RedirectHeader {
            code: i::RedirectCode::from_u8(icmp.code()).unwrap(),
            gateway_internet_address: gateway.octets(),
        }),
        Icmpv4::TimeExceeded(_) => {
            T::TimeExceeded(i::TimeExceededCode::from_u8(icmp.code()).unwrap())
        }
        Icmpv4::ParameterProblem { code, pointer } => match code {
            0 => T::ParameterProblem(i::ParameterProblemHeader::PointerIndicatesError(pointer)),
            // The pointer means something with code 0 only, and etherparse drops it.
            _ => unknown(12, [pointer, 0, 0, 0]),
        },
        Icmpv4::TimestampRequest { ident, seq, times } => {
            T::TimestampRequest(stamp(ident, seq, times))
        }
        Icmpv4::TimestampReply { ident, seq, times } => T::TimestampReply(stamp(ident, seq, times)),
        Icmpv4::MaskRequest { ident, seq, .. } | Icmpv4::MaskReply { ident, seq, .. } => {
            let ([a, b], [c, d]) = (ident.to_be_bytes(), seq.to_be_bytes());
            unknown(icmp.kind(), [a, b, c, d])
        }
        Icmpv4::Other { kind, rest, .. } => unknown(kind, rest),
        _ => unreachable!("a kind this test does not know"),
    }
}
