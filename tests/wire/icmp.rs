//! ICMP.

use super::*;

fn message(icmp: Icmpv4, data: &[u8]) -> Vec<u8> {
    let mut message = vec![0; icmp.header_len() + data.len()];
    message[icmp.header_len()..].copy_from_slice(data);
    icmp.emit(&mut message).unwrap();
    assert_eq!(Icmpv4::parse(&message), Ok((icmp, data)));
    message
}

fn show(icmp: Icmpv4, data: &[u8]) -> String {
    ip(&packet(protocol::ICMP, &message(icmp, data)))
}

#[test]
fn queries() {
    let (ident, seq) = (0x1234, 7);
    let times = [1000, 0, 0];
    let mask = 0;
    snapshot!(
        "wire__icmp_queries",
        all([
            (
                "echo request",
                show(Icmpv4::EchoRequest { ident, seq }, b"ping!")
            ),
            (
                "echo reply",
                show(Icmpv4::EchoReply { ident, seq }, b"ping!")
            ),
            (
                "timestamp request",
                show(Icmpv4::TimestampRequest { ident, seq, times }, b"")
            ),
            (
                "timestamp reply",
                show(
                    Icmpv4::TimestampReply {
                        ident,
                        seq,
                        times: [1000, 1001, 1002]
                    },
                    b""
                )
            ),
            (
                "mask request",
                show(Icmpv4::MaskRequest { ident, seq, mask }, b"")
            ),
            (
                "mask reply",
                show(
                    Icmpv4::MaskReply {
                        ident,
                        seq,
                        mask: 0xffff_ff00
                    },
                    b""
                )
            ),
        ])
    );
}

/// A UDP datagram of ours to a port where nobody is, cut after eight octets.
fn lost() -> Vec<u8> {
    let ip = Ipv4::new(B, A, protocol::UDP);
    let mut datagram = [0; 40];
    Udp { src: 5000, dst: 53 }
        .emit(&ip.header(), &mut datagram)
        .unwrap();
    packet_of(ip, &[], &datagram)[..28].to_vec()
}

#[test]
fn errors() {
    let lost = lost();
    let mut segment = [0; 20];
    let ip = Ipv4::new(B, A, protocol::TCP);
    let tcp = Tcp {
        src: 40000,
        dst: 80,
        seq: 0x0102_0304,
        ack: 0,
        flags: TcpFlags::SYN,
        window: 1,
        urgent: 0,
    };
    tcp.emit(&ip.header(), &[], &mut segment).unwrap();
    let lost_tcp = packet_of(ip, &[1, 1, 1, 1], &segment);
    let mtu = Unreachable::FragmentationNeeded { mtu: 1400 };
    let redirect = Icmpv4::Redirect {
        code: Redirect::Host,
        gateway: Ipv4Addr::new(192, 0, 2, 254),
    };
    let problem = Icmpv4::ParameterProblem {
        code: 0,
        pointer: 20,
    };
    let unreachable = Icmpv4::Unreachable;
    snapshot!(
        "wire__icmp_errors",
        all([
            (
                "port unreachable",
                show(unreachable(Unreachable::Port), &lost)
            ),
            ("fragmentation needed", show(unreachable(mtu), &lost_tcp)),
            ("source quench", show(Icmpv4::SourceQuench, &lost)),
            ("redirect", show(redirect, &lost)),
            (
                "time exceeded in transit",
                show(Icmpv4::TimeExceeded(TimeExceeded::Transit), &lost)
            ),
            (
                "time exceeded in reassembly",
                show(Icmpv4::TimeExceeded(TimeExceeded::Reassembly), &lost)
            ),
            ("parameter problem", show(problem, &lost)),
            (
                "a quote of nothing",
                show(unreachable(Unreachable::Net), &[])
            ),
            (
                "a quote of four octets of transport",
                show(unreachable(Unreachable::Host), &lost[..24])
            ),
            (
                "a type nobody knows",
                show(
                    Icmpv4::Other {
                        kind: 42,
                        code: 1,
                        rest: [1, 2, 3, 4]
                    },
                    b"?"
                )
            ),
        ])
    );
}

#[test]
fn every_code_of_unreachable() {
    for code in 0..16 {
        let mtu = if code == 4 { 576 } else { 0 };
        let why = Unreachable::from_code(code, mtu).unwrap();
        assert_eq!(why.code(), code);
        let message = message(Icmpv4::Unreachable(why), &lost());
        assert_eq!(message.get(..2), Some(&[3, code][..]));
    }
    assert_eq!(Unreachable::from_code(16, 0), None);
    let mut odd = [3, 16, 0, 0, 0, 0, 0, 0];
    let sum = checksum(&odd);
    odd[2..4].copy_from_slice(&sum.to_be_bytes());
    let (icmp, _) = Icmpv4::parse(&odd).unwrap();
    assert!(
        matches!(
            icmp,
            Icmpv4::Other {
                kind: 3,
                code: 16,
                ..
            }
        ) && icmp.is_error()
    );
}

#[test]
fn quotes() {
    let lost = lost();
    let quoted = Quoted::parse(&lost).unwrap();
    assert_eq!(quoted.ip, Ipv4::new(B, A, protocol::UDP));
    assert_eq!(quoted.ports(), Some((5000, 53)));
    assert_eq!(quoted.tcp_seq(), None);
    assert_eq!((quoted.payload_len, quoted.transport.len()), (40, 8));
    let cut = Quoted::parse(&lost[..23]).unwrap();
    assert_eq!((cut.ports(), cut.transport.len()), (None, 3));
    assert_eq!(Quoted::parse(&lost[..19]), Err(WireError::Truncated));
    let mut later = lost.clone();
    later[7] = 1;
    assert_eq!(Quoted::parse(&later).unwrap().ports(), None);
}

#[test]
fn malformed() {
    let echo = message(Icmpv4::EchoRequest { ident: 1, seq: 1 }, b"abc");
    let mut wrong = echo.clone();
    wrong[10] ^= 1;
    assert_eq!(Icmpv4::parse(&wrong), Err(WireError::BadChecksum));
    assert_eq!(Icmpv4::parse(&echo[..7]), Err(WireError::Truncated));
    let mut times = [13, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0];
    let sum = checksum(&times);
    times[2..4].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(Icmpv4::parse(&times), Err(WireError::Truncated));
    let room = Icmpv4::EchoRequest { ident: 1, seq: 1 }.emit(&mut [0; 7]);
    assert_eq!(room, Err(WireError::BadLength));
    snapshot!(
        "wire__icmp_malformed",
        all([
            ("wrong checksum", ip(&packet(protocol::ICMP, &wrong))),
            ("seven octets", ip(&packet(protocol::ICMP, &echo[..7]))),
            ("nothing", ip(&packet(protocol::ICMP, &[]))),
            ("timestamp cut short", ip(&packet(protocol::ICMP, &times))),
        ])
    );
}

#[test]
fn a_request_becomes_its_reply_in_place() {
    let mut echo = message(Icmpv4::EchoRequest { ident: 9, seq: 8 }, b"data");
    assert!(Icmpv4::set_echo_reply(&mut echo));
    assert_eq!(
        echo,
        message(Icmpv4::EchoReply { ident: 9, seq: 8 }, b"data")
    );
    assert!(
        !Icmpv4::set_echo_reply(&mut echo),
        "it is no request any more"
    );
    assert!(!Icmpv4::set_echo_reply(&mut [8, 0, 0]));
    // Nothing but zeros is left: the one message whose checksum an update alone gets wrong.
    let mut zeros = message(Icmpv4::EchoRequest { ident: 0, seq: 0 }, &[0; 3]);
    assert!(Icmpv4::set_echo_reply(&mut zeros));
    assert_eq!(
        zeros,
        message(Icmpv4::EchoReply { ident: 0, seq: 0 }, &[0; 3])
    );
}
