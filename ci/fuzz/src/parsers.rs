//! Every reader of `wire` on octets of any kind, and each value it reads written and read
//! again. Shared by the fuzz target `parsers` and by `tests/hostile.rs`.
//!
//! Invariant checked: nothing panics; nothing is read past its end; what is written reads back
//! as the same value, with checksums right.

use core::net::{IpAddr, Ipv4Addr};
use netstrata::wire::checksum::{self, copy_and_sum};
use netstrata::wire::*;

/// Reads `octets` as whatever they might be, each header also from where it would stand in a
/// frame.
pub fn run(octets: &[u8]) {
    link(octets);
    ip(octets);
    transports(octets);
    options(octets);
    sums(octets);
    for dump in [Dump::ethernet(octets), Dump::ip(octets)] {
        // A line per header, and 16 octets a line of hex: in proportion to the packet.
        assert!(dump.to_string().len() <= 400 + 40 * octets.len());
    }
}

fn link(octets: &[u8]) {
    if let Some((eth, payload)) = Ethernet::split(octets) {
        let mut h = [0; Ethernet::LEN];
        eth.emit(&mut h);
        assert_eq!([&h[..], payload].concat(), octets);
        Ethernet::set_dst(&mut h, eth.src);
        Ethernet::set_src(&mut h, eth.dst);
        let swapped = Ethernet::parse(&h);
        assert_eq!((swapped.src, swapped.dst), (eth.dst, eth.src));
        let _ = (eth.is_802_3(), eth.src.is_unicast());
        ip(payload);
    }
    if let Some(h) = octets.first_chunk() {
        let mut again = [0; Vlan::LEN];
        Vlan::parse(h).emit(&mut again);
        assert_eq!(again, *h);
    }
    if let Some(h) = octets.first_chunk()
        && let Ok(arp) = Arp::parse(h)
    {
        let mut again = [0; Arp::LEN];
        arp.emit(&mut again);
        assert_eq!(again, *h);
        let _ = (arp.is_probe(), arp.is_announcement(), arp.reply(Mac::ZERO));
    }
}

fn ip(octets: &[u8]) {
    if let Ok(front) = Ipv4::parse_front(octets) {
        assert!(front.payload.len() <= front.payload_len);
        assert!(front.options.len() <= Ipv4::MAX_OPTIONS);
    }
    if let Ok(quoted) = Quoted::parse(octets) {
        let _ = (quoted.header(), quoted.ports(), quoted.tcp_seq());
    }
    if Ipv4::parse(octets).is_ok() {
        assert_eq!(Ipv4::parse(octets), Ipv4::parse_unverified(octets));
        let copy = &mut octets.to_vec()[..];
        let (_, h, payload) = Ipv4::parse_mut(copy).expect("it parses");
        assert!(h.len() + payload.len() <= octets.len());
    }
    let Ok((ip, ip_options, payload)) = Ipv4::parse_unverified(octets) else {
        return;
    };
    assert!(Ipv4::LEN + ip_options.len() + payload.len() <= octets.len());
    let mut again = vec![0; Ipv4::LEN + ip_options.len() + payload.len()];
    let head = ip.emit_with_options(ip_options, payload.len(), &mut again);
    assert_eq!(head, Ok(Ipv4::LEN + ip_options.len()));
    again[Ipv4::LEN + ip_options.len()..].copy_from_slice(payload);
    assert_eq!(Ipv4::parse(&again), Ok((ip, ip_options, payload)));
    options(ip_options);
    transports(payload);
    rewrite(&mut again);
}

/// Changes in place keep right what was right, and wrong what was wrong.
fn rewrite(packet: &mut [u8]) {
    let right = |packet: &[u8]| {
        let (ip, _, payload) = Ipv4::parse(packet).expect("setters keep the header right");
        let ip_header = ip.header();
        match ip.protocol {
            _ if ip.is_fragment() => None,
            protocol::TCP => Some(Tcp::verify(&ip_header, payload).is_ok()),
            protocol::UDP => Some(Udp::verify(&ip_header, payload).is_ok()),
            _ => None,
        }
    };
    let before = right(packet);
    let to = Ipv4Addr::new(198, 51, 100, 1);
    let src = Ipv4::translate_src(packet, to);
    assert_eq!(src, Ipv4::translate_dst(packet, to));
    assert_eq!(right(packet), before);
    if let Some(h) = packet.first_chunk_mut() {
        Ipv4::set_tos(h, 0x5a);
        Ipv4::set_ident(h, 0xfff0);
        let _ = Ipv4::decrement_ttl(h);
    }
    assert_eq!(right(packet), before);
}

fn transports(octets: &[u8]) {
    let v4 = |proto| IpHeader::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), proto);
    icmp(octets);
    if let Ok((udp, payload)) = Udp::parse(octets) {
        assert!(Udp::LEN + payload.len() <= octets.len());
        let ip = v4(protocol::UDP);
        let _ = Udp::verify(&ip, octets);
        let mut again = [&[0; Udp::LEN], payload].concat();
        assert_eq!(udp.emit(&ip, &mut again), Ok(()));
        assert_eq!(Udp::verify(&ip, &again), Ok(()));
        assert_eq!(Udp::parse(&again), Ok((udp, payload)));
        let h = again.first_chunk_mut().expect("a header");
        Udp::set_src(h, udp.dst);
        Udp::set_dst(h, udp.src);
        assert_eq!(Udp::verify(&ip, &again), Ok(()));
    }
    if let Ok((tcp, tcp_options, payload)) = Tcp::parse(octets) {
        assert_eq!(
            Tcp::LEN + tcp_options.len() + payload.len(),
            octets.len(),
            "nothing is between or behind"
        );
        let ip = v4(protocol::TCP);
        let _ = (Tcp::verify(&ip, octets), tcp.flags.to_string());
        let mut again = [&vec![0; Tcp::LEN + tcp_options.len()], payload].concat();
        assert_eq!(tcp.emit(&ip, tcp_options, &mut again), Ok(()));
        assert_eq!(Tcp::verify(&ip, &again), Ok(()));
        assert_eq!(Tcp::parse(&again), Ok((tcp, tcp_options, payload)));
        let h = again.first_chunk_mut().expect("a header");
        Tcp::set_seq(h, tcp.ack);
        Tcp::set_ack(h, tcp.seq);
        Tcp::set_window(h, !tcp.window);
        Tcp::set_src(h, tcp.dst);
        Tcp::readdress(h, ip.src, IpAddr::V4(Ipv4Addr::LOCALHOST));
        Tcp::readdress(h, IpAddr::V4(Ipv4Addr::LOCALHOST), ip.src);
        assert_eq!(Tcp::verify(&ip, &again), Ok(()));
        options(tcp_options);
    }
}

fn icmp(octets: &[u8]) {
    let _ = Icmpv4::parse(octets);
    let Ok((icmp, data)) = Icmpv4::parse_unverified(octets) else {
        return;
    };
    assert_eq!(icmp.header_len() + data.len(), octets.len());
    let mut again = [&vec![0; icmp.header_len()], data].concat();
    assert_eq!(icmp.emit(&mut again), Ok(()));
    assert_eq!(Icmpv4::parse(&again), Ok((icmp, data)));
    if icmp.is_error() {
        let _ = Quoted::parse(data).map(|quoted| (quoted.ports(), quoted.tcp_seq()));
    }
    if Icmpv4::set_echo_reply(&mut again) {
        let reply = Icmpv4::parse(&again).map(|(reply, _)| reply.kind());
        assert_eq!(reply, Ok(0));
    }
}

fn options(octets: &[u8]) {
    assert!(Ipv4Options::new(octets).count() <= octets.len());
    let _ = Ipv4Options::new(octets).source_routed();
    let mut walk = TcpOptionIter::new(octets);
    let broken = walk.by_ref().any(|option| option.is_err());
    let read = TcpOptions::parse(octets);
    assert_eq!(read.malformed, broken);
    assert!(!broken || walk.next().is_none(), "an error ends the walk");
    // The first writing may leave out what finds no room; from then on nothing changes.
    let written = read.emit();
    assert!(written.len() <= Tcp::MAX_OPTIONS && written.len().is_multiple_of(4));
    let settled = TcpOptions::parse(written.as_slice());
    assert!(!settled.malformed);
    assert_eq!(settled.emit(), written);
}

/// RFC 1071 as it reads: the oracle of all faster sums.
fn plain(octets: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in octets.chunks(2) {
        sum += u64::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn sums(octets: &[u8]) {
    let sum = plain(octets);
    assert_eq!(Sum::of(octets).fold(), sum);
    // The first octet says where to cut: any offset, odd ones too.
    let cut = octets
        .first()
        .map_or(0, |at| usize::from(*at) % octets.len());
    let (a, b) = octets.split_at(cut);
    assert_eq!(Sum::of(a).add_bytes(b), Sum::of(octets));
    assert_eq!(Sum::of(a).add_sum(Sum::of(b)), Sum::of(octets));
    let mut copy = vec![0; octets.len()];
    assert_eq!(copy_and_sum(&mut copy, octets), Some(Sum::of(octets)));
    assert_eq!(copy, octets);
    if let [a, b, c, d, ..] = copy[..] {
        let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        copy[..2].copy_from_slice(&to.to_be_bytes());
        let updated = checksum::update(!sum, from, to);
        // All octets zero sum to the other zero: RFC 1624 §3 speaks of headers, which are not.
        if copy.iter().any(|octet| *octet != 0) {
            assert_eq!(updated, !plain(&copy));
        }
    }
}
