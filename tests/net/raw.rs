//! Protocols that a program speaks itself.

use netstrata::error::Drop;
use netstrata::net::ErrorKind;
use netstrata::raw::{Raw, RawSocket};
use netstrata::socket::Handle;
use netstrata::transport::{SendError, Why};
use netstrata::wire::{self, Icmpv4, IpHeader, Unreachable};

use crate::hosts::{A, ALL, B, cut, drops, host, icmp, ip, ip_with};

type Socket = RawSocket<Box<[u8]>>;

fn socket(proto: u8) -> Socket {
    RawSocket::new(proto, vec![0; 8192].into(), vec![0; 8192].into())
}

#[test]
fn packets_of_a_claimed_protocol_reach_its_socket() {
    let (mut host, mut wire) = host((Raw::default().with(89).with(253),));
    let h = host.open(socket(89)).unwrap();
    assert!(host.open(socket(89)).is_err());
    let packet = ip_with(B, A, 89, b"hello", |h| (h.ttl, h.dscp) = (1, 48));
    assert!(wire.ask(&mut host, &packet).is_empty());
    assert_eq!(host.next_news::<Socket, _>(), Some(h));
    let got = host
        .socket(h)
        .with(|s| s.recv(|ip, data| (*ip, data.to_vec())));
    let (header, data) = got.unwrap().unwrap();
    assert_eq!((header.src, header.dst), (B.into(), A.into()));
    assert_eq!(
        (header.ttl, header.tos, &data[..]),
        (1, 0xc0, &b"hello"[..])
    );
    // Whole again, if it came in pieces.
    for piece in cut(&ip(B, A, 89, &[7; 2000]), 1500) {
        wire.ask(&mut host, &piece);
    }
    let len = host.socket(h).with(|s| s.recv(|_, data| data.len()));
    assert_eq!(len.unwrap(), Some(2000));
    // Claimed, but nobody is there; and not claimed at all.
    assert_eq!(wire.ask(&mut host, &ip(B, A, 253, b"")).len(), 1);
    assert_eq!(wire.ask(&mut host, &ip(B, A, 47, b"")).len(), 1);
    let expected = [(Drop::UnknownProtocol, 1), (Drop::NoSocket, 1)];
    assert_eq!(drops(&host), expected);
}

#[test]
fn packets_leave_with_the_header_asked_for() {
    let (mut host, mut wire) = host((Raw::default().with(89),));
    let h: Handle<Socket> = host.open(socket(89)).unwrap();
    host.socket(h)
        .with(|s| {
            s.send_to(b"usual", B.into()).unwrap();
            let special = IpHeader {
                ttl: 1,
                tos: 0xc0,
                ..IpHeader::new(A.into(), [224, 0, 0, 5].into(), 89)
            };
            s.send(&special, b"special").unwrap();
            s.send_to(&[1; 3000], B.into()).unwrap();
            s.send_to(b"x", ALL.into()).unwrap();
            let all = [255; 4].into();
            assert_eq!(s.send_to(b"x", all), Err(SendError::Broadcast));
            let none = [0; 4].into();
            assert_eq!(s.send_to(b"x", none), Err(SendError::BadDestination));
        })
        .unwrap();
    host.poll(wire.now);
    let seen: Vec<_> = wire
        .take()
        .iter()
        .map(|p| {
            let (ip, _, payload) = wire::Ipv4::parse(p).unwrap();
            (
                ip.dst.to_string(),
                ip.ttl,
                ip.dscp,
                ip.fragment_offset,
                payload.len(),
            )
        })
        .collect();
    let expected = [
        ("10.0.0.2".into(), 64, 0, 0, 5),
        ("224.0.0.5".into(), 1, 48, 0, 7),
        ("10.0.0.2".into(), 64, 0, 0, 1480),
        ("10.0.0.2".into(), 64, 0, 1480, 1480),
        ("10.0.0.2".into(), 64, 0, 2960, 40),
    ];
    assert_eq!(seen, expected);
    let failure = host.socket(h).with(|s| s.take_failure()).unwrap();
    assert_eq!(failure.map(|f| f.why), Some(Why::Broadcast));
}

#[test]
fn errors_and_full_buffers_are_told() {
    let (mut host, mut wire) = host((Raw::default().with(89),));
    let small: Socket = RawSocket::new(89, vec![0; 40].into(), vec![0; 40].into());
    let h = host.open(small).unwrap();
    wire.ask(&mut host, &ip(B, A, 89, &[0; 20]));
    wire.ask(&mut host, &ip(B, A, 89, &[0; 20]));
    assert_eq!(drops(&host), [(Drop::SocketFull, 1)]);
    let quote = ip(A, B, 89, b"somewhat");
    let error = icmp(B, A, Icmpv4::Unreachable(Unreachable::Protocol), &quote);
    wire.ask(&mut host, &error);
    let failure = host.socket(h).with(|s| s.take_failure()).unwrap();
    let why = Why::Icmp(ErrorKind::ProtocolUnreachable);
    assert_eq!(failure.map(|f| f.why), Some(why));
    // What is queued leaves before the socket does.
    host.socket(h)
        .with(|s| s.send_to(b"bye", B.into()))
        .unwrap()
        .unwrap();
    host.close(h).unwrap();
    host.poll(wire.now);
    assert_eq!(wire.take().len(), 1);
    assert!(host.socket(h).with(|_| ()).is_err());
}
