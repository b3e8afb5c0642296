//! What a datagram is on the wire: its checksum, its size, its header, and room for it.

use core::net::Ipv4Addr;
use core::time::Duration;

use netstrata::Stack;
use netstrata::error::Drop;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Instant};
use netstrata::socket::mailbox::Meta;
use netstrata::socket::{Handle, SlabSockets};
use netstrata::transport::{RecvError, SendError, Why};
use netstrata::udp::{Udp, UdpSocket};
use netstrata::wire::{self, Icmpv4, Unreachable};

use crate::hosts::{A, B, Host, Seed, Wire, drops, dump, host_at, icmp, ip, ip_with, udp};
use crate::{Socket, at, hosted, received, socket};
#[test]
fn what_the_buffer_does_not_hold_is_reported() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    wire.ask(&mut host, &udp((B, 5000), (A, 7), b"0123456789"));
    let mut buffer = [0; 4];
    host.socket(h)
        .with(|s| {
            assert_eq!(
                s.peek().map(|(m, d)| (m.peer, d.len())),
                Some((at(B, 5000), 10))
            );
            let got = s.recv_from(&mut buffer).unwrap();
            assert_eq!((got.len, got.sent, got.truncated()), (4, 10, true));
            assert_eq!(s.recv_from(&mut buffer), Err(RecvError::Empty));
        })
        .unwrap();
    assert_eq!(&buffer, b"0123");
}

#[test]
fn checksums_are_verified_unless_there_are_none() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    let good = udp((B, 5000), (A, 7), b"data");
    let mut bad = good.clone();
    bad[26] ^= 1;
    let mut none = good.clone();
    none[26..28].fill(0);
    let mut short = good.clone();
    short[24..26].copy_from_slice(&[0, 7]);
    let mut long = good.clone();
    long[24..26].copy_from_slice(&[0, 13]);
    // Octets behind the datagram's own length are not data.
    let mut padded = ip(B, A, 17, &[&good[20..], b"padding"].concat());
    padded[26..28].fill(0);
    for packet in [&good, &bad, &none, &short, &long, &padded] {
        assert!(wire.ask(&mut host, packet).is_empty());
    }
    let data: Vec<_> = received(&mut host, h).into_iter().map(|(_, d)| d).collect();
    assert_eq!(data, ["data", "data", "data"]);
    let expected = [
        (Drop::Truncated, 1),
        (Drop::Malformed, 1),
        (Drop::BadChecksum, 1),
    ];
    assert_eq!(drops(&host), expected);
}

#[test]
fn checksums_left_to_the_device_are_neither_computed_nor_verified() {
    let (east, west) = Cable::with_offload(1500);
    let stack = |end, ip, seed| {
        let net = Ipv4::default().with(0, ip, 24);
        Stack::new(
            Ip::new(end),
            net,
            (Udp::default(),),
            SlabSockets,
            &mut Seed(seed),
        )
    };
    let (mut a, mut b) = (stack(east, A, 1), stack(west, B, 2));
    let (here, there) = (a.open(socket(1)).unwrap(), b.open(socket(7)).unwrap());
    let data: Vec<u8> = (0..4000u32).map(|n| n as u8).collect();
    a.socket(here)
        .with(|s| {
            s.send_to(b"short", at(B, 7)).unwrap();
            s.send_to(&data, at(B, 7)).unwrap();
        })
        .unwrap();
    a.poll(Instant::ZERO);
    let packets = a.iface.device().in_flight();
    let (ip, _, datagram) = wire::Ipv4::parse(&packets[0]).unwrap();
    let seed = ip.header().pseudo(datagram.len()).fold();
    assert_eq!(
        datagram[6..8],
        seed.to_be_bytes(),
        "the device has the rest to do"
    );
    // What is cut has its checksum from us, since no device sees it whole.
    assert_eq!(packets.len(), 4);
    b.poll(Instant::ZERO);
    b.socket(there)
        .with(|s| {
            assert_eq!(s.recv_with(|_, d| d.len()), Ok(5));
            assert_eq!(s.recv_with(|_, d| d == data), Ok(true));
        })
        .unwrap();
    assert_eq!(b.stats().drops.total(), 0);
}

#[test]
fn large_datagrams_are_cut_and_too_large_ones_refused() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    host.socket(h)
        .with(|s| {
            let big = vec![b'.'; 3000];
            s.send_to(&big, at(B, 9)).unwrap();
            let huge = vec![0; 65_508];
            assert_eq!(s.send_to(&huge, at(B, 9)), Err(SendError::TooLong));
        })
        .unwrap();
    host.poll(wire.now);
    let packets = wire.take();
    let heads: Vec<_> = packets
        .iter()
        .map(|p| dump(core::slice::from_ref(p)))
        .collect();
    let heads: Vec<_> = heads.iter().flat_map(|d| d.lines().take(2)).collect();
    insta::with_settings!({
        prepend_module_to_snapshot => false,
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
    }, { insta::assert_snapshot!("udp__fragments", heads.join("\n")) });
    host.socket(h)
        .with(|s| s.send_to(&vec![1; 65_507], at(B, 9)))
        .unwrap()
        .unwrap();
    host.poll(wire.now);
    let packets = wire.take();
    let octets: usize = packets.iter().map(|p| p.len() - 20).sum();
    assert_eq!((packets.len(), octets), (45, 65_515));
}

#[test]
fn full_buffers_are_counted_and_room_is_news() {
    let (mut host, mut wire) = hosted();
    let small = UdpSocket::new(7, vec![0; 60].into(), vec![0; 60].into());
    let h: Handle<Socket> = host.open(small).unwrap();
    let packet = udp((B, 5000), (A, 7), &[0; 20]);
    wire.ask(&mut host, &packet);
    wire.ask(&mut host, &packet);
    assert_eq!(drops(&host), [(Drop::SocketFull, 1)]);
    assert_eq!(host.next_news::<Socket, _>(), Some(h));
    host.socket(h)
        .with(|s| {
            assert_eq!(s.writable(), Some(41));
            s.send_to(&[0; 20], at(B, 1)).unwrap();
            assert_eq!(s.send_to(&[0; 20], at(B, 1)), Err(SendError::Full));
            assert_eq!(s.send_to(&[0; 42], at(B, 1)), Err(SendError::TooLong));
        })
        .unwrap();
    assert_eq!(host.next_news::<Socket, _>(), None);
    host.poll(wire.now);
    assert_eq!(host.next_news::<Socket, _>(), Some(h));
    // Nobody was refused this time, so nobody waits for room.
    host.socket(h)
        .with(|s| s.send_to(&[0; 20], at(B, 1)))
        .unwrap()
        .unwrap();
    host.poll(wire.now);
    assert_eq!(host.next_news::<Socket, _>(), None);
}

#[test]
fn ttl_service_and_source_are_per_socket_and_per_datagram() {
    let other = Ipv4Addr::new(10, 0, 0, 8);
    let net = Ipv4::default().with(0, A, 24).with(0, other, 24);
    let (mut host, mut wire) = host_at(net, (Udp::default(),));
    let h = host.open(socket(7)).unwrap();
    host.socket(h)
        .with(|s| {
            s.set_ttl(Some(3));
            s.set_tos(0xb8);
            s.set_dont_fragment(true);
            s.send_to(b"", at(B, 9)).unwrap();
            let meta = Meta {
                local: other.into(),
                ttl: 9,
                tos: 4,
                ..Meta::new(at(B, 9))
            };
            s.send_meta(b"", &meta).unwrap();
            let not_ours = Meta {
                local: B.into(),
                ..Meta::new(at(B, 9))
            };
            s.send_meta(b"", &not_ours).unwrap();
        })
        .unwrap();
    host.poll(wire.now);
    let seen: Vec<_> = wire
        .take()
        .iter()
        .map(|p| wire::Ipv4::parse(p).unwrap().0)
        .map(|ip| (ip.src, ip.ttl, ip.header().tos, ip.dont_fragment, ip.ident))
        .collect();
    assert_eq!(seen, [(A, 3, 0xb8, true, 0), (other, 9, 4, true, 0)]);
    let failure = host.socket(h).with(|s| s.take_failure()).unwrap();
    assert_eq!(failure.map(|f| f.why), Some(Why::NoRoute));
}

/// RFC 1191, with the floor and the suspicion of RFC 5927.
#[test]
fn path_mtus_are_learned_from_what_forbade_fragmentation() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    let router = Ipv4Addr::new(10, 0, 0, 254);
    let report = |dont_fragment, mtu| {
        let datagram = udp((A, 7), (B, 9), &[0; 1400]);
        let (_, _, payload) = wire::Ipv4::parse(&datagram).unwrap();
        let quote = ip_with(A, B, 17, payload, |h| h.dont_fragment = dont_fragment);
        let message = Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu });
        icmp(router, A, message, &quote[..28])
    };
    let sizes = |host: &mut Host<(Udp,)>, wire: &mut Wire| {
        host.socket(h)
            .with(|s| s.send_to(&[0; 1400], at(B, 9)))
            .unwrap()
            .unwrap();
        host.poll(wire.now);
        wire.take().iter().map(Vec::len).collect::<Vec<_>>()
    };
    wire.ask(&mut host, &report(false, 1000));
    assert_eq!(sizes(&mut host, &mut wire), [1428]);
    assert_eq!(drops(&host), [(Drop::BadIcmp, 1)]);
    wire.ask(&mut host, &report(true, 1000));
    assert_eq!(sizes(&mut host, &mut wire), [996, 452]);
    wire.ask(&mut host, &report(true, 68));
    assert_eq!(sizes(&mut host, &mut wire), [548, 548, 372]);
    host.socket(h)
        .with(|s| {
            s.take_failure();
            s.set_dont_fragment(true);
        })
        .unwrap();
    assert_eq!(sizes(&mut host, &mut wire), [0; 0]);
    let failure = host.socket(h).with(|s| s.take_failure()).unwrap();
    assert_eq!(failure.map(|f| f.why), Some(Why::TooBig(552)));
    wire.now += Duration::from_secs(600);
    assert_eq!(sizes(&mut host, &mut wire), [1428]);
}

/// What was found for a flow's last packet is found again only while nothing has changed.
#[test]
fn a_flow_goes_to_whoever_names_it_best_by_now() {
    let (mut host, mut wire) = hosted();
    let packet = udp((B, 5000), (A, 7), b"x");
    let any = host.open(socket(7)).unwrap();
    let count = |host: &mut Host<(Udp,)>, h| host.socket(h).look(|s: &Socket| s.readable());
    wire.ask(&mut host, &packet);
    wire.ask(&mut host, &packet);
    assert_eq!(count(&mut host, any), Ok(2));

    let mut exact = socket(7);
    exact.bind(Some(A.into()), 7);
    let exact = host.open(exact).unwrap();
    wire.ask(&mut host, &packet);
    assert_eq!(
        (count(&mut host, any), count(&mut host, exact)),
        (Ok(2), Ok(1))
    );

    // From now on it has another name, although nothing was polled yet.
    host.socket(exact).with(|s| s.bind(None, 8)).unwrap();
    wire.ask(&mut host, &packet);
    assert_eq!(count(&mut host, exact), Ok(1));
    wire.ask(&mut host, &packet);
    assert_eq!(count(&mut host, any).map(|n| n > 2), Ok(true));

    let before = count(&mut host, any).unwrap();
    host.remove(any).unwrap();
    wire.ask(&mut host, &packet);
    assert_eq!(
        drops(&host).last().map(|(why, _)| *why),
        Some(Drop::NoSocket)
    );
    let again = host.open(socket(7)).unwrap();
    wire.ask(&mut host, &packet);
    assert_eq!(count(&mut host, again), Ok(1));
    assert!(before > 2);
}

/// Datagrams of one turn go each its own way, in their order.
#[test]
fn a_train_ends_where_the_way_changes() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    let other = Ipv4Addr::new(10, 0, 0, 9);
    let metas = [
        Meta::new(at(B, 1)),
        Meta::new(at(B, 1)),
        Meta::new(at(B, 2)),
        Meta::new(at(other, 2)),
        Meta {
            ttl: 3,
            ..Meta::new(at(other, 2))
        },
        Meta {
            tos: 8,
            ..Meta::new(at(other, 2))
        },
        Meta {
            local: A.into(),
            ..Meta::new(at(other, 2))
        },
        Meta::new(at(B, 1)),
    ];
    host.socket(h)
        .with(|s| {
            for (n, meta) in metas.iter().enumerate() {
                s.send_meta(&[n as u8], meta).unwrap();
            }
        })
        .unwrap();
    host.poll(wire.now);
    let seen: Vec<_> = wire
        .take()
        .iter()
        .map(|packet| {
            let (ip, _, datagram) = wire::Ipv4::parse(packet).unwrap();
            wire::Udp::verify(&ip.header(), datagram).unwrap();
            let (udp, data) = wire::Udp::parse(datagram).unwrap();
            (at(ip.dst, udp.dst), ip.ttl, ip.header().tos, data.to_vec())
        })
        .collect();
    let expected: Vec<_> = metas
        .iter()
        .enumerate()
        .map(|(n, m)| {
            let ttl = if m.ttl == 0 { 64 } else { m.ttl };
            (m.peer, ttl, m.tos, vec![n as u8])
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn many_datagrams_at_once() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    let data: Vec<Vec<u8>> = (0..40).map(|n| vec![n; 3]).collect();
    let all = || data.iter().map(|d| &d[..]);
    let sent = host.socket(h).with(|s| s.send_many(at(B, 9), all()));
    assert_eq!(sent, Ok(Ok(40)));
    host.poll(wire.now);
    let seen: Vec<_> = super::sent(&mut wire).into_iter().map(|(_, d)| d).collect();
    assert_eq!(seen, data);

    for d in &data[..5] {
        wire.ask(&mut host, &udp((B, 9), (A, 7), d));
    }
    let mut got = vec![];
    let mut take = |s: &mut Socket, max| s.recv_many(max, |_, d| got.push(d.to_vec()));
    host.socket(h)
        .with(|s| {
            assert_eq!(take(s, 2), Ok(2));
            assert_eq!(take(s, 9), Ok(3));
            assert_eq!(take(s, 9), Err(RecvError::Empty));
            assert_eq!(take(s, 0), Ok(0));
            assert_eq!(s.send_many(at(B, 0), all()), Err(SendError::BadDestination));
        })
        .unwrap();
    assert_eq!(got, data[..5]);
}
