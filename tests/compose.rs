//! Hosts put together: a server with growing storage and a small host with borrowed storage,
//! each with layers this crate does not know; two links; a device behind a pointer.

mod hosts;

#[path = "compose/layers.rs"]
mod layers;

use core::net::Ipv4Addr;
use core::ops::DerefMut;
use core::time::Duration;

use hosts::{A, B, Seed, dump_frames};
use layers::{Beacon, Beacons, Firewall, Vlan};
use netstrata::icmp::Icmp;
use netstrata::iface::{Ethernet, Filtered, Interface};
use netstrata::net::{Ipv4, Network};
use netstrata::phy::cable::{Cable, End};
use netstrata::phy::{Device, Instant};
use netstrata::socket::fixed::Slot;
use netstrata::socket::{FixedSet, FixedSockets, SlabSockets};
use netstrata::tcp::{Reno, Tcp};
use netstrata::transport::Transports;
use netstrata::udp::{Udp, UdpSocket};
use netstrata::wire::Mac;
use netstrata::{Next, Stack};

type Server = Stack<
    Filtered<Ethernet<Vlan<End>>, Firewall>,
    Ipv4,
    (Icmp, Udp, Tcp<Reno>, Beacons),
    SlabSockets,
>;
type Small<'a> = Stack<Ethernet<Vlan<End>>, Ipv4, (Icmp, Udp, Beacons), FixedSockets<'a>>;

const EAST: Mac = Mac([2, 0, 0, 0, 0, 1]);
const WEST: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn boxed() -> Box<[u8]> {
    vec![0; 512].into()
}

fn server(end: End) -> Server {
    let link = Ethernet::new(Vlan { trunk: end, id: 5 }, EAST);
    Stack::new(
        Filtered::new(link, Firewall::default()),
        Ipv4::default().with(0, A, 24),
        (Icmp::default(), Udp::default(), Tcp::default(), Beacons),
        SlabSockets,
        &mut Seed(1),
    )
}

#[test]
fn a_datagram_crosses_two_stacks_with_custom_layers() {
    let (east, west) = Cable::new(1518);
    let mut server = server(east);

    // The small host allocates nothing: slots and buffers are borrowed.
    let mut ping_slots = [const { Slot::EMPTY }; 1];
    let mut udp_slots = [const { Slot::EMPTY }; 2];
    let mut beacon_slots = [const { Slot::EMPTY }; 1];
    let (mut rx, mut tx) = ([0; 128], [0; 128]);
    let tables = (
        FixedSet::new(&mut ping_slots[..]),
        FixedSet::new(&mut udp_slots[..]),
        FixedSet::new(&mut beacon_slots[..]),
    );
    let mut small = Small::with_tables(
        Ethernet::new(Vlan { trunk: west, id: 5 }, WEST),
        Ipv4::default().with(0, B, 24),
        (Icmp::default(), Udp::default(), Beacons),
        tables,
        &mut Seed(2),
    );
    // Announcements first, so that they are not in the way below.
    let mut now = Instant::from_secs(1);
    for _ in 0..4 {
        server.poll(now);
        small.poll(now);
        now += Duration::from_secs(3);
    }

    let here = server.open(UdpSocket::new(7, boxed(), boxed())).unwrap();
    let socket = UdpSocket::new(9000, &mut rx[..], &mut tx[..]);
    let there = small.open(socket).unwrap();
    small
        .socket(there)
        .with(|s| s.send_to(b"hello", (A, 7).into()))
        .unwrap()
        .unwrap();

    // Nobody knows anybody yet: the datagram waits for ARP, which VLAN 5 carries.
    small.poll(now);
    let mut seen = small.iface.device().trunk.in_flight();
    server.poll(now); // answers ARP on the spot
    small.poll(now); // learns, sends
    seen.extend(small.iface.device().trunk.in_flight());
    insta::assert_snapshot!("vlan", dump_frames(&seen));
    server.poll(now);
    let got = server
        .socket(here)
        .with(|s| s.recv_with(|meta, data| (meta.peer, data.to_vec())))
        .unwrap();
    assert_eq!(got, Ok(((B, 9000).into(), b"hello".to_vec())));
    assert_eq!(server.iface.filter.seen, 1);

    // The firewall drops the discard port.
    small
        .socket(there)
        .with(|s| s.send_to(b"x", (A, 9).into()))
        .unwrap()
        .unwrap();
    small.poll(now);
    server.poll(now);
    assert_eq!(server.iface.filter.dropped, 1);
}

#[test]
fn a_protocol_of_ones_own_has_sockets_and_timers() {
    let (east, west) = Cable::new(1518);
    let (mut server, mut peer) = (server(east), server(west));
    peer.iface.inner.set_mac(WEST);
    peer.net.remove_address(0, A);
    peer.net.add_address(0, B, 24).unwrap();
    let beacon = |to: Ipv4Addr, due| Beacon {
        topic: 7,
        to: to.into(),
        every: Duration::from_millis(10),
        due,
        heard: 0,
    };
    let here = server.open(beacon(B, true)).unwrap();
    let there = peer.open(beacon(A, false)).unwrap();
    let mut now = Instant::from_secs(1);
    for _ in 0..100 {
        server.poll(now);
        peer.poll(now);
        server.poll(now);
        peer.poll(now);
        now += Duration::from_millis(1);
    }
    // Each hears the other one interval after it spoke: about five times in 0.1 s.
    let heard = [
        server.socket(here).look(|b| b.heard).unwrap(),
        peer.socket(there).look(|b| b.heard).unwrap(),
    ];
    assert!(heard.iter().all(|n| (4..=6).contains(n)), "{heard:?}");
    assert_eq!(server.next_news::<Beacon, _>(), Some(here));
}

/// User code that is generic over the stack needs the storage parameter and nothing else.
fn settle<S>(stack: &mut Stack<impl Interface, impl Network, impl Transports<S>, S>, now: Instant) {
    for _ in 0..100 {
        match stack.poll(now) {
            Next::Wait {
                until: Some(at), ..
            } if at <= now => {}
            Next::Now => {}
            Next::Wait { .. } => return,
        }
    }
    panic!("a stack that never comes to rest");
}

/// User code that is generic over sockets need not know the stack at all.
fn echo(socket: &mut UdpSocket<impl DerefMut<Target = [u8]>>) {
    let mut copy = [0; 64];
    if let Ok(got) = socket.recv_from(&mut copy) {
        socket.send_to(&copy[..got.len], got.peer).unwrap();
    }
}

#[test]
fn two_links_one_host_and_everything_inferred() {
    let ((l, peer_l), (r, peer_r)) = (Cable::new(1514), Cable::new(1514));
    let third = Mac([2, 0, 0, 0, 0, 3]);
    let links = (Ethernet::<_>::new(l, EAST), Ethernet::<_>::new(r, third));
    let far = Ipv4Addr::new(192, 168, 0, 1);
    let net = Ipv4::default().with(0, A, 24).with(1, far, 24);
    let transports = (Icmp::default(), Udp::default());
    let mut host = Stack::new(links, net, transports, SlabSockets, &mut Seed(3));
    let h = host.open(UdpSocket::new(7, boxed(), boxed())).unwrap();

    let beyond = Ipv4Addr::new(192, 168, 0, 2);
    let mut peers = [(peer_l, B, A), (peer_r, beyond, far)].map(|(end, ip, to)| {
        let link = Ethernet::<_>::new(end, WEST);
        let net = Ipv4::default().with(0, ip, 24);
        let mut peer = Stack::new(link, net, (Udp::default(),), SlabSockets, &mut Seed(4));
        let h = peer.open(UdpSocket::new(1000, boxed(), boxed())).unwrap();
        peer.socket(h)
            .with(|s| s.send_to(b"ping", (to, 7).into()))
            .unwrap()
            .unwrap();
        (peer, h)
    });
    for ms in 0..8 {
        let now = Instant::from_millis(ms);
        for (peer, _) in &mut peers {
            settle(peer, now);
        }
        settle(&mut host, now);
        host.socket(h).with(echo).unwrap();
    }
    for (mut peer, h) in peers {
        let got = peer
            .socket(h)
            .with(|s| s.recv_with(|meta, data| (meta.peer.port(), data.to_vec())))
            .unwrap();
        assert_eq!(got, Ok((7, b"ping".to_vec())));
    }
}

/// The escape hatch: the device type is erased, the rest of the composition is not.
#[test]
fn a_device_behind_a_pointer() {
    use netstrata::phy::DynDevice;
    let (a, b) = Cable::new(1518);
    let devices: [Box<dyn DynDevice>; 2] = [Box::new(a), Box::new(Vlan { trunk: b, id: 0 })];
    let sizes = devices.each_ref().map(|d| d.capabilities().max_frame);
    assert_eq!(sizes, [1518, 1514]);
    let [first, mut second] = devices;
    let link: Ethernet<Box<dyn DynDevice>> = Ethernet::new(first, EAST);
    let net = Ipv4::default().with(0, A, 24);
    let mut host = Stack::new(link, net, (Udp::default(),), SlabSockets, &mut Seed(5));
    let h = host.open(UdpSocket::new(7, boxed(), boxed())).unwrap();
    host.socket(h)
        .with(|s| s.send_to(b"?", (B, 1).into()))
        .unwrap()
        .unwrap();
    host.poll(Instant::ZERO);
    // What the far end sees is not tagged, so its VLAN lets nothing through.
    let mut frames = 0;
    let taken = second.receive(Instant::ZERO, 64, &mut |_: &mut [u8], _| frames += 1);
    assert!(taken > 0);
    assert_eq!(frames, 0);
}

/// What a host is made of can move to a thread of its own.
#[test]
fn stacks_are_send() {
    fn movable<T: Send>(_: &T) {}
    let (east, _west) = Cable::new(1518);
    movable(&server(east));
}
