//! Whatever comes: no panic, bounded memory, and the host still answers.

use core::time::Duration;

use netstrata::icmp::{Icmp, PingSocket};
use netstrata::net::Ipv4;
use netstrata::raw::{Raw, RawSocket};
use netstrata::udp::{Udp, UdpSocket};
use proptest::prelude::*;

use crate::hosts::{A, B, Host, Seed, Wire, cut, echo, host_at, icmp, ip, udp};

type All = (Icmp, Udp, Raw);

fn boxed(len: usize) -> Box<[u8]> {
    vec![0; len].into()
}

fn victim() -> (Host<All>, Wire) {
    let transports = (Icmp::default(), Udp::default(), Raw::default().with(253));
    let (mut host, wire) = host_at(Ipv4::default().with(0, A, 24), transports);
    host.open(UdpSocket::new(7, boxed(4096), boxed(4096)))
        .unwrap();
    host.open(PingSocket::new(5, boxed(4096), boxed(4096)))
        .unwrap();
    host.open(RawSocket::new(253, boxed(4096), boxed(4096)))
        .unwrap();
    (host, wire)
}

/// Packets near enough to good ones to get deep.
fn seeds() -> Vec<Vec<u8>> {
    use netstrata::wire::{Icmpv4, Unreachable};
    let request = icmp(A, B, Icmpv4::EchoRequest { ident: 5, seq: 1 }, b"data");
    let mut seeds = vec![
        echo(A, b"hello"),
        udp((B, 5000), (A, 7), b"hello"),
        udp((B, 5000), (A, 8), b"hello"),
        ip(B, A, 253, b"raw"),
        icmp(B, A, Icmpv4::Unreachable(Unreachable::Host), &request),
        icmp(
            B,
            A,
            Icmpv4::Unreachable(Unreachable::Port),
            &udp((A, 7), (B, 9), b"data"),
        ),
        icmp(B, A, Icmpv4::EchoReply { ident: 5, seq: 1 }, b"data"),
    ];
    seeds.extend(cut(&udp((B, 5000), (A, 7), &[3; 400]), 148));
    seeds
}

#[test]
fn mutated_packets_do_no_harm() {
    let (mut host, mut wire) = victim();
    let seeds = seeds();
    let mut seed = Seed(42);
    let mut random = move |n: usize| seed.next() as usize % n;
    for _ in 0..30_000 {
        let mut packet = seeds[random(seeds.len())].clone();
        for _ in 0..random(4) {
            let at = random(packet.len());
            packet[at] = random(256) as u8;
        }
        if random(8) == 0 {
            packet.truncate(random(packet.len()));
        }
        if random(2) == 0 && packet.len() >= 20 {
            // A right checksum lets the rest of the damage in.
            packet[10..12].fill(0);
            let len = (usize::from(packet[0] & 15) * 4).clamp(20, packet.len());
            let sum = netstrata::wire::checksum(&packet[..len]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        wire.now += Duration::from_micros(random(3000) as u64);
        wire.ask(&mut host, &packet);
        assert!(host.net.reassembling() <= 1 << 20);
    }
    wire.now += Duration::from_secs(60);
    host.poll(wire.now);
    assert_eq!(host.net.reassembling(), 0);
    wire.take();
    assert_eq!(wire.ask(&mut host, &echo(A, b"still there?")).len(), 1);
}

proptest! {
    #[test]
    fn random_octets_do_no_harm(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..50)) {
        let (mut host, mut wire) = victim();
        for mut packet in packets {
            wire.ask(&mut host, &packet);
            if let Some(first) = packet.first_mut() {
                *first = 0x45;
                wire.ask(&mut host, &packet);
            }
        }
        prop_assert_eq!(wire.ask(&mut host, &echo(A, b"?")).len(), 1);
    }
}
