//! What an IPv4 host takes in, where it sends things, and how it puts fragments together.

mod hosts;

/// A snapshot beside all others, whatever module asks.
macro_rules! snapshot {
    ($name:literal, $text:expr) => {
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
        }, { insta::assert_snapshot!(concat!("net__", $name), $text) })
    };
}

#[path = "net/fragments.rs"]
mod fragments;
#[path = "net/hostile.rs"]
mod hostile;
#[path = "net/raw.rs"]
mod raw;
#[path = "net/routes.rs"]
mod routes;

use core::net::Ipv4Addr;

use hosts::{A, B, Host, Wire, drops, echo, host, host_at, ip_with, udp};
use netstrata::Stack;
use netstrata::error::Drop;
use netstrata::icmp::Icmp;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Instant};
use netstrata::socket::SlabSockets;
use netstrata::udp::{Udp, UdpSocket};
use netstrata::wire::{self, Mac, ethertype, protocol};

fn hosted() -> (Host<(Icmp, Udp)>, Wire) {
    host((Icmp::default(), Udp::default()))
}

/// Why the host dropped `packet`, or what it said.
fn verdict(packet: &[u8]) -> String {
    let (mut host, mut wire) = hosted();
    let socket = UdpSocket::new(7, vec![0; 4096].into(), vec![0; 64].into());
    let h = host.open::<UdpSocket<Box<[u8]>>, _>(socket).unwrap();
    let said = wire.ask(&mut host, packet);
    let taken = host.socket(h).look(|s| s.readable()).unwrap();
    match (drops(&host).first(), said.len(), taken) {
        (Some((why, 1)), 0, 0) => format!("dropped: {why}"),
        (None, 1, 0) => "answered".into(),
        (None, 0, 1) => "delivered".into(),
        other => format!("{other:?}"),
    }
}

/// RFC 1122 §3.2.1.3, RFC 6890.
#[test]
fn martian_table() {
    let from = |src: [u8; 4]| verdict(&udp((src.into(), 5000), (A, 7), b"x"));
    let to = |dst: [u8; 4]| verdict(&udp((B, 5000), (dst.into(), 7), b"x"));
    let sources = [
        [10, 0, 0, 2],
        [8, 8, 8, 8],
        [0, 0, 0, 0],
        [0, 1, 2, 3],
        [127, 0, 0, 1],
        [10, 0, 0, 1],
        [10, 0, 0, 255],
        [224, 0, 0, 1],
        [239, 255, 255, 255],
        [240, 0, 0, 1],
        [255, 255, 255, 255],
    ];
    let destinations = [
        [10, 0, 0, 1],
        [10, 0, 0, 255],
        [255, 255, 255, 255],
        [224, 0, 0, 1],
        [224, 0, 0, 251],
        [10, 0, 0, 3],
        [10, 0, 1, 255],
        [0, 0, 0, 0],
        [127, 0, 0, 1],
        [240, 0, 0, 1],
    ];
    let show = |ip: [u8; 4]| Ipv4Addr::from(ip).to_string();
    let mut table: Vec<_> = sources
        .map(|ip| format!("from {:15} {}", show(ip), from(ip)))
        .into();
    table.extend(destinations.map(|ip| format!("to   {:15} {}", show(ip), to(ip))));
    snapshot!("martians", table.join("\n"));
}

#[test]
fn headers_that_do_not_add_up() {
    let good = udp((B, 5000), (A, 7), b"data");
    assert_eq!(verdict(&good), "delivered");
    let with = |change: fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        verdict(&packet)
    };
    assert_eq!(with(|p| p[10] ^= 1), "dropped: bad checksum");
    assert_eq!(with(|p| p[8] ^= 1), "dropped: bad checksum");
    assert_eq!(with(|p| p.truncate(19)), "dropped: truncated");
    assert_eq!(with(|p| p.truncate(31)), "dropped: truncated");
    assert_eq!(with(|p| p[0] = 0x65), "dropped: unknown protocol");
    assert_eq!(with(|p| p[0] = 0x44), "dropped: malformed header");
    assert_eq!(with(|p| p[2..4].fill(0)), "dropped: malformed header");
    // Padding of the link belongs to nobody.
    assert_eq!(with(|p| p.extend_from_slice(&[0xff; 14])), "delivered");
    // RFC 1122 §3.2.1.7: a host takes what arrives, whatever its TTL.
    let dying = ip_with(B, A, protocol::UDP, &good[20..], |h| h.ttl = 0);
    assert_eq!(verdict(&dying), "delivered");
}

#[test]
fn options_are_skipped_and_source_routes_refused() {
    let with = |options: &[u8]| {
        let inner = udp((B, 5000), (A, 7), b"data");
        let mut packet = vec![0; 60];
        let header = wire::Ipv4::new(B, A, protocol::UDP);
        let len = header.emit_with_options(options, 12, &mut packet).unwrap();
        packet.truncate(len);
        packet.extend_from_slice(&inner[20..]);
        verdict(&packet)
    };
    assert_eq!(with(&[1, 1, 1, 0]), "delivered");
    assert_eq!(with(&[148, 4, 0, 0]), "delivered");
    assert_eq!(with(&[7, 7, 4, 0, 0, 0, 0, 0]), "delivered");
    assert_eq!(with(&[131, 7, 4, 1, 2, 3, 4, 0]), "dropped: source route");
    assert_eq!(with(&[1, 137, 3, 4]), "dropped: source route");
    assert_eq!(with(&[7, 1, 0, 0]), "dropped: malformed header");
    assert_eq!(with(&[7, 0, 0, 0]), "dropped: malformed header");
    assert_eq!(with(&[7, 9, 0, 0]), "dropped: malformed header");
}

/// RFC 1122 §3.3.6: what the link sent to all is for all in IP too, or forged.
#[test]
fn unicast_in_a_link_broadcast_is_dropped() {
    let (near, far) = Cable::new(1514);
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let mut host = Stack::new(
        Ethernet::<_>::new(near, mac),
        Ipv4::default().with(0, A, 24),
        (Icmp::default(), Udp::default()),
        SlabSockets,
        &mut hosts::Seed(1),
    );
    let mut wire = Wire {
        end: far,
        now: Instant::from_secs(1),
    };
    let frame = |dst: Mac, dst_ip| {
        let mut frame = vec![0; 14];
        let header = wire::Ethernet {
            dst,
            src: Mac([2, 0, 0, 0, 0, 2]),
            kind: ethertype::IPV4,
        };
        header.emit(frame.first_chunk_mut().unwrap());
        frame.extend(echo(dst_ip, b"x"));
        frame
    };
    let answers = |frames: Vec<Vec<u8>>| frames.iter().filter(|f| f[12..14] == [8, 0]).count();
    assert_eq!(answers(wire.ask(&mut host, &frame(mac, A))), 1);
    assert_eq!(answers(wire.ask(&mut host, &frame(Mac::BROADCAST, A))), 0);
    let group = Mac([1, 0, 0x5e, 0, 0, 1]);
    assert_eq!(answers(wire.ask(&mut host, &frame(group, A))), 0);
    assert_eq!(host.stats().drops.get(Drop::LinkBroadcast), 2);
}

/// Two links on one network hear its broadcasts both, and no route of the user's hides them.
#[test]
fn broadcasts_are_heard_on_every_link_of_their_network() {
    use netstrata::iface::Ip;
    let (ends, wires): (Vec<_>, Vec<_>) = (0..2).map(|_| Cable::new(1500)).unzip();
    let [first, second] = <[_; 2]>::try_from(ends).unwrap().map(Ip::new);
    let second_at = Ipv4Addr::new(10, 0, 0, 9);
    let net = Ipv4::default()
        .with_route(
            "10.0.0.0/24".parse().unwrap(),
            Ipv4Addr::new(10, 0, 0, 77),
            0,
        )
        .with(0, A, 24)
        .with(1, second_at, 24);
    let rng = &mut hosts::Seed(1);
    let mut host = Stack::new((first, second), net, (Udp::default(),), SlabSockets, rng);
    let socket = UdpSocket::new(7, vec![0; 4096].into(), vec![0; 64].into());
    let h = host.open::<UdpSocket<Box<[u8]>>, _>(socket).unwrap();
    let now = Instant::from_secs(1);
    for end in wires {
        Wire { end, now }.ask(&mut host, &udp((B, 5000), (hosts::ALL, 7), b"x"));
    }
    assert_eq!(host.socket(h).look(|s| s.readable()).unwrap(), 2);
}

#[test]
fn groups_are_heard_where_they_were_joined() {
    let (mut host, mut wire) = hosted();
    let socket = UdpSocket::new(5353, vec![0; 4096].into(), vec![0; 64].into());
    let h = host.open::<UdpSocket<Box<[u8]>>, _>(socket).unwrap();
    let mdns = Ipv4Addr::new(224, 0, 0, 251);
    let packet = udp((B, 5353), (mdns, 5353), b"who");
    wire.ask(&mut host, &packet);
    host.net.join(0, mdns).unwrap();
    wire.ask(&mut host, &packet);
    assert!(host.net.leave(0, mdns));
    wire.ask(&mut host, &packet);
    let local = host.socket(h).look(|s| s.peek().map(|(m, _)| m.local));
    assert_eq!(local.unwrap(), Some(mdns.into()));
    assert_eq!(host.socket(h).look(|s| s.readable()).unwrap(), 1);
    assert_eq!(drops(&host), [(Drop::NotOurs, 2)]);
}

#[test]
fn addresses_come_and_go_while_it_runs() {
    let (mut host, mut wire) = host_at(Ipv4::default(), (Icmp::default(),));
    let there = |host: &mut Host<(Icmp,)>, wire: &mut Wire| wire.ask(host, &echo(A, b"?")).len();
    assert_eq!(there(&mut host, &mut wire), 0);
    host.net.add_address(0, A, 24).unwrap();
    assert_eq!(there(&mut host, &mut wire), 1);
    assert!(host.net.remove_address(0, A));
    assert_eq!(there(&mut host, &mut wire), 0);
    assert_eq!(host.net.routes().count(), 0);
    // What was judged good before is judged again when the sender's address becomes ours.
    host.net.add_address(0, A, 24).unwrap();
    assert_eq!(there(&mut host, &mut wire), 1);
    host.net.add_address(0, B, 24).unwrap();
    assert_eq!(there(&mut host, &mut wire), 0);
    assert!(host.net.remove_address(0, B));
    assert_eq!(there(&mut host, &mut wire), 1);
    assert!(host.net.remove_address(0, A));
    assert!(!host.net.remove_address(0, A));
}

/// The first packet of all is judged like any other.
#[test]
fn nothing_comes_from_nowhere_to_nowhere() {
    let nowhere = (Ipv4Addr::UNSPECIFIED, 7);
    assert_eq!(
        verdict(&udp(nowhere, nowhere, b"x")),
        "dropped: martian address"
    );
}

#[test]
fn a_host_talks_to_itself_over_its_loopback_link() {
    use netstrata::iface::Ip;
    use netstrata::phy::Loopback;
    let (near, _far) = Cable::new(1500);
    let links = (Ip::new(near), Ip::new(Loopback::new(65_535)));
    let localhost = Ipv4Addr::LOCALHOST;
    // All of 127.0.0.0/8 is there without being listed.
    let net = Ipv4::default().with(0, A, 24).loopback(1);
    let mut host = Stack::new(
        links,
        net,
        (Icmp::default(), Udp::default()),
        SlabSockets,
        &mut hosts::Seed(1),
    );
    let socket =
        |port| UdpSocket::<Box<[u8]>>::new(port, vec![0; 4096].into(), vec![0; 4096].into());
    let server = host.open(socket(7)).unwrap();
    let client = host.open(socket(0)).unwrap();
    for (n, to) in [A, localhost, Ipv4Addr::new(127, 9, 9, 9)]
        .into_iter()
        .enumerate()
    {
        host.socket(client)
            .with(|s| s.send_to(b"me", (to, 7).into()))
            .unwrap()
            .unwrap();
        host.poll(Instant::ZERO);
        host.poll(Instant::ZERO);
        let got = host
            .socket(server)
            .with(|s| s.recv_with(|meta, _| (meta.peer.ip(), meta.local)));
        assert_eq!(got.unwrap(), Ok((to.into(), to.into())), "{n}");
    }
    assert_eq!(drops(&host), []);
    // Without the link there is no way, and nothing of it may come from outside.
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(0)).unwrap();
    host.socket(h)
        .with(|s| s.send_to(b"me", (A, 7).into()))
        .unwrap()
        .unwrap();
    host.poll(wire.now);
    assert!(wire.take().is_empty());
    assert!(host.socket(h).with(|s| s.take_failure()).unwrap().is_some());
}
