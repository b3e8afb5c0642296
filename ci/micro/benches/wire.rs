//! What it costs to read and to write each header.

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, criterion_group, criterion_main};
use netstrata::wire::{
    Arp, Ethernet, Icmpv4, IpHeader, Ipv4, Mac, Tcp, TcpFlags, TcpOptions, Udp, Vlan, ethertype,
    protocol,
};

const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const NEAR: Mac = Mac([2, 0, 0, 0, 0, 1]);
const FAR: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// Two of padding and timestamps, as on every segment of an established connection.
const STAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];

fn link(c: &mut Criterion) {
    let header = Ethernet {
        dst: FAR,
        src: NEAR,
        kind: ethertype::IPV4,
    };
    let mut octets = [0; Ethernet::LEN];
    header.emit(&mut octets);
    c.bench_function("ethernet/parse", |b| {
        b.iter(|| Ethernet::parse(black_box(&octets)));
    });
    c.bench_function("ethernet/emit", |b| {
        b.iter(|| black_box(header).emit(black_box(&mut octets)));
    });
    let tag = Vlan::parse(&[0x60, 7, 8, 0]);
    let mut octets = [0; Vlan::LEN];
    tag.emit(&mut octets);
    c.bench_function("vlan/parse", |b| b.iter(|| Vlan::parse(black_box(&octets))));
    c.bench_function("vlan/emit", |b| {
        b.iter(|| black_box(tag).emit(black_box(&mut octets)));
    });
    let asked = Arp::request((NEAR, HERE), THERE);
    let mut octets = [0; Arp::LEN];
    asked.emit(&mut octets);
    c.bench_function("arp/parse", |b| b.iter(|| Arp::parse(black_box(&octets))));
    c.bench_function("arp/emit", |b| {
        b.iter(|| black_box(asked).emit(black_box(&mut octets)));
    });
}

fn network(c: &mut Criterion) {
    let header = Ipv4::new(HERE, THERE, protocol::TCP);
    let mut head = [0; Ipv4::LEN];
    c.bench_function("ipv4/emit", |b| {
        b.iter(|| black_box(header).emit(20, black_box(&mut head)));
    });
    let mut packet = [0; Ipv4::LEN + 20];
    packet[..Ipv4::LEN].copy_from_slice(&head);
    c.bench_function("ipv4/parse", |b| {
        b.iter(|| Ipv4::parse(black_box(&packet)));
    });
    let ping = Icmpv4::EchoRequest { ident: 1, seq: 2 };
    let mut message = [0; 64];
    c.bench_function("icmpv4/emit echo of 56 octets", |b| {
        b.iter(|| black_box(ping).emit(black_box(&mut message)));
    });
    c.bench_function("icmpv4/parse echo of 56 octets", |b| {
        b.iter(|| Icmpv4::parse(black_box(&message)));
    });
}

fn transport(c: &mut Criterion) {
    let ip = IpHeader::new(HERE.into(), THERE.into(), protocol::TCP);
    let header = Tcp {
        src: 40_000,
        dst: 80,
        seq: 1,
        ack: 2,
        flags: TcpFlags::ACK,
        window: 65_535,
        urgent: 0,
    };
    let mut segment = [0; Tcp::LEN + STAMPS.len()];
    c.bench_function("tcp/emit with timestamps", |b| {
        b.iter(|| black_box(header).emit(&ip, &STAMPS, black_box(&mut segment)));
    });
    c.bench_function("tcp/parse", |b| {
        b.iter(|| Tcp::parse(black_box(&segment)));
    });
    c.bench_function("tcp/verify", |b| {
        b.iter(|| Tcp::verify(&ip, black_box(&segment)));
    });
    c.bench_function("tcp/options", |b| {
        b.iter(|| TcpOptions::parse(black_box(&STAMPS)));
    });
    let ip = IpHeader::new(HERE.into(), THERE.into(), protocol::UDP);
    let header = Udp { src: 9, dst: 53 };
    let mut datagram = [0; Udp::LEN + 64];
    c.bench_function("udp/emit with 64 octets", |b| {
        b.iter(|| black_box(header).emit(&ip, black_box(&mut datagram)));
    });
    c.bench_function("udp/parse", |b| {
        b.iter(|| Udp::parse(black_box(&datagram)));
    });
    c.bench_function("udp/verify with 64 octets", |b| {
        b.iter(|| Udp::verify(&ip, black_box(&datagram)));
    });
}

criterion_group!(all, link, network, transport);
criterion_main!(all);
