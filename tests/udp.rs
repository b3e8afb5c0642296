//! Datagrams between programs: whole conversations, and everything that may go wrong.

mod hosts;

#[path = "udp/datagrams.rs"]
mod datagrams;
#[path = "udp/gro.rs"]
mod gro;
#[path = "udp/runs.rs"]
mod runs;
#[path = "udp/segments.rs"]
mod segments;

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use hosts::{A, ALL, B, Host, Seed, Wire, drops, dump_frames, host, host_at, icmp, udp};
use netstrata::error::{Drop, OpenError};
use netstrata::iface::{Ethernet, Ip};
use netstrata::net::{ErrorKind, Ipv4};
use netstrata::phy::cable::End;
use netstrata::phy::{Cable, Instant};
use netstrata::socket::{FixedSet, FixedSockets, Handle, SlabSockets};
use netstrata::transport::{Failure, RecvError, SendError, Why};
use netstrata::udp::{Udp, UdpSocket};
use netstrata::wire::{self, Icmpv4, Mac, Unreachable};
use netstrata::{Next, Stack};

type Socket = UdpSocket<Box<[u8]>>;

const IDLE: Next = Next::Wait {
    until: None,
    room: false,
};

fn socket(port: u16) -> Socket {
    UdpSocket::new(port, vec![0; 8192].into(), vec![0; 70_000].into())
}

fn hosted() -> (Host<(Udp,)>, Wire) {
    host((Udp::default(),))
}

fn at(ip: Ipv4Addr, port: u16) -> SocketAddr {
    (ip, port).into()
}

/// Everything a socket received: from whom, to which address, what.
fn received(host: &mut Host<(Udp,)>, h: Handle<Socket>) -> Vec<(String, String)> {
    let mut all = vec![];
    host.socket(h)
        .with(|s| {
            while let Ok(got) = s.recv_with(|meta, data| {
                let ends = format!("{} > {}", meta.peer, meta.local);
                (ends, String::from_utf8_lossy(data).into_owned())
            }) {
                all.push(got);
            }
        })
        .unwrap();
    all
}

/// Ports and data of what the host sent.
fn sent(wire: &mut Wire) -> Vec<(String, Vec<u8>)> {
    let packets = wire.take();
    let parse = |packet: &Vec<u8>| {
        let (ip, _, datagram) = wire::Ipv4::parse(packet).unwrap();
        wire::Udp::verify(&ip.header(), datagram).unwrap();
        let (udp, data) = wire::Udp::parse(datagram).unwrap();
        let ends = format!("{}:{} > {}:{}", ip.src, udp.src, ip.dst, udp.dst);
        (ends, data.to_vec())
    };
    packets.iter().map(parse).collect()
}

#[test]
fn two_hosts_talk_over_ethernet() {
    let (east, west) = Cable::new(1514);
    let stack = |end, last, ip| {
        let link = Ethernet::<_>::new(end, Mac([2, 0, 0, 0, 0, last]));
        let net = Ipv4::default().with(0, ip, 24);
        Stack::new(
            link,
            net,
            (Udp::default(),),
            SlabSockets,
            &mut Seed(last.into()),
        )
    };
    let (mut client, mut server) = (stack(east, 1, A), stack(west, 2, B));
    let now = Instant::from_secs(1);
    // Announcements are not what this is about.
    for _ in 0..3 {
        client.poll(now);
        server.poll(now);
    }
    let here = client.open(socket(5000)).unwrap();
    let there = server.open(socket(7)).unwrap();
    client
        .socket(here)
        .with(|s| s.send_to(b"hello", at(B, 7)))
        .unwrap()
        .unwrap();

    let mut seen = vec![];
    for _ in 0..3 {
        client.poll(now);
        seen.extend(client.iface.device().in_flight());
        server.poll(now);
        server
            .socket(there)
            .with(|s| {
                let mut buffer = [0; 64];
                if let Ok(got) = s.recv_from(&mut buffer) {
                    s.send_to(&buffer[..got.len], got.peer).unwrap();
                }
            })
            .unwrap();
        server.poll(now);
        seen.extend(server.iface.device().in_flight());
    }
    insta::assert_snapshot!("conversation", dump_frames(&seen));
    client.poll(now);
    let mut buffer = [0; 64];
    let got = client
        .socket(here)
        .with(|s| s.recv_from(&mut buffer))
        .unwrap();
    let got = got.unwrap();
    assert_eq!((&buffer[..got.len], got.peer), (&b"hello"[..], at(B, 7)));
    assert_eq!((got.local, got.ttl), (IpAddr::V4(A), 64));
    assert_eq!(
        (server.stats().udp_received, server.stats().udp_sent),
        (1, 1)
    );
}

#[test]
fn the_socket_that_names_a_datagram_most_exactly_gets_it() {
    let other = Ipv4Addr::new(10, 0, 0, 8);
    let net = Ipv4::default().with(0, A, 24).with(0, other, 24);
    let (mut host, mut wire) = host_at(net, (Udp::default(),));
    let any = host.open(socket(7)).unwrap();
    let mut bound = socket(7);
    bound.bind(Some(A.into()), 7);
    let bound = host.open(bound).unwrap();
    let mut flow = socket(7);
    flow.bind(Some(A.into()), 7);
    flow.connect(at(B, 5000)).unwrap();
    let flow = host.open(flow).unwrap();
    host.poll(wire.now);
    for (from, to) in [
        ((B, 5000), A),
        ((B, 5001), A),
        ((B, 5000), other),
        ((B, 5001), ALL),
    ] {
        assert!(wire.ask(&mut host, &udp(from, (to, 7), b"x")).is_empty());
    }
    let ends = |all: Vec<(String, String)>| all.into_iter().map(|(e, _)| e).collect::<Vec<_>>();
    assert_eq!(
        ends(received(&mut host, flow)),
        ["10.0.0.2:5000 > 10.0.0.1"]
    );
    assert_eq!(
        ends(received(&mut host, bound)),
        ["10.0.0.2:5001 > 10.0.0.1"]
    );
    assert_eq!(
        ends(received(&mut host, any)),
        ["10.0.0.2:5000 > 10.0.0.8", "10.0.0.2:5001 > 10.0.0.255"]
    );
    // The same name twice is refused.
    assert!(matches!(host.open(socket(7)), Err(OpenError::InUse)));
}

#[test]
fn a_connected_socket_hears_its_peer_and_nobody_else() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(0)).unwrap();
    assert_eq!(host.socket(h).look(|s| s.local_port()).unwrap(), None);
    host.socket(h)
        .with(|s| {
            assert_eq!(s.send(b"x"), Err(SendError::NotConnected));
            s.connect(at(B, 53)).unwrap();
            s.send(b"query").unwrap();
        })
        .unwrap();
    host.poll(wire.now);
    let port = host.socket(h).look(|s| s.local_port()).unwrap().unwrap();
    assert_eq!(
        host.socket(h).look(|s| s.local_ip()).unwrap(),
        Some(A.into())
    );
    assert_eq!(
        sent(&mut wire),
        [(format!("10.0.0.1:{port} > 10.0.0.2:53"), b"query".to_vec())]
    );
    let forged = udp((B, 54), (A, port), b"forged");
    // To a stranger the port is closed.
    assert_eq!(wire.ask(&mut host, &forged).len(), 1);
    wire.ask(&mut host, &udp((B, 53), (A, port), b"answer"));
    assert_eq!(received(&mut host, h)[0].1, "answer");
    // Without a peer it hears everybody again.
    host.socket(h).with(|s| s.disconnect()).unwrap();
    host.poll(wire.now);
    assert!(wire.ask(&mut host, &forged).is_empty());
    assert_eq!(received(&mut host, h)[0].1, "forged");
}

#[test]
fn connecting_takes_effect_before_the_next_poll() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    wire.put(&udp((B, 1), (A, 7), b"stranger"));
    host.socket(h)
        .with(|s| s.connect(at(B, 53)))
        .unwrap()
        .unwrap();
    host.poll(wire.now);
    assert_eq!(received(&mut host, h), []);
    assert_eq!(drops(&host), [(Drop::NoSocket, 1)]);
}

#[test]
fn refusals_are_told_once() {
    let (mut host, mut wire) = hosted();
    let mut s = socket(5000);
    s.connect(at(B, 9)).unwrap();
    let h = host.open(s).unwrap();
    host.poll(wire.now);
    let refused = |port| {
        let quote = udp((A, 5000), (B, port), b"data");
        icmp(B, A, Icmpv4::Unreachable(Unreachable::Port), &quote)
    };
    let failure = Failure {
        why: Why::Icmp(ErrorKind::PortUnreachable),
        peer: at(B, 9),
    };
    wire.ask(&mut host, &refused(9));
    assert_eq!(host.next_news::<Socket, _>(), Some(h));
    host.socket(h)
        .with(|s| {
            assert_eq!(s.recv_from(&mut []), Err(RecvError::Failed(failure)));
            assert_eq!(s.recv_from(&mut []), Err(RecvError::Empty));
        })
        .unwrap();
    wire.ask(&mut host, &refused(9));
    host.socket(h)
        .with(|s| {
            assert_eq!(s.send(b"x"), Err(SendError::Failed(failure)));
            assert_eq!(s.send(b"x"), Ok(()));
        })
        .unwrap();
    // About another peer it cannot be.
    wire.ask(&mut host, &refused(10));
    assert_eq!(drops(&host), [(Drop::BadIcmp, 1)]);
    // Without a peer failures do not get in the way, but they are there to be taken.
    host.socket(h).with(|s| s.disconnect()).unwrap();
    host.poll(wire.now);
    wire.ask(&mut host, &refused(9));
    host.socket(h)
        .with(|s| {
            assert_eq!(s.recv_from(&mut []), Err(RecvError::Empty));
            assert_eq!(s.take_failure(), Some(failure));
            assert_eq!(s.take_failure(), None);
        })
        .unwrap();
}

#[test]
fn ephemeral_ports_are_distinct_and_scattered() {
    let (mut host, mut wire) = host((Udp::with_ports(40_000..=40_099),));
    let mut ports = vec![];
    for _ in 0..100 {
        let h = host.open(socket(0)).unwrap();
        host.socket(h)
            .with(|s| s.send_to(b"x", at(B, 53)))
            .unwrap()
            .unwrap();
        host.poll(wire.now);
        ports.push(host.socket(h).look(|s| s.local_port()).unwrap().unwrap());
    }
    let steps: Vec<_> = ports.windows(2).map(|w| w[1].abs_diff(w[0])).collect();
    assert!(steps.iter().filter(|step| **step <= 1).count() < 20);
    ports.sort_unstable();
    assert_eq!(ports, (40_000..=40_099).collect::<Vec<u16>>());
    wire.take();
    // None is left.
    let h = host.open(socket(0)).unwrap();
    let late = host.socket(h).with(|s| s.send_to(b"x", at(B, 53)));
    late.unwrap().unwrap();
    host.poll(wire.now);
    let failure = host.socket(h).with(|s| s.take_failure()).unwrap();
    assert!(failure.is_some_and(|f| f.why == Why::InUse));
    assert!(wire.take().is_empty());
    assert_eq!(host.poll(wire.now), IDLE);
}

#[test]
fn a_name_that_is_taken_is_refused_until_another_is_chosen() {
    let (mut host, mut wire) = hosted();
    host.open(socket(7)).unwrap();
    let h = host.open(socket(8)).unwrap();
    host.socket(h).with(|s| s.bind(None, 7)).unwrap();
    host.poll(wire.now);
    let failure = host.socket(h).with(|s| s.take_failure()).unwrap();
    assert_eq!(
        failure.map(|f| (f.why, f.peer.port())),
        Some((Why::InUse, 7))
    );
    host.socket(h)
        .with(|s| s.send_to(b"x", at(B, 9)))
        .unwrap()
        .unwrap();
    host.poll(wire.now);
    assert!(wire.take().is_empty());
    // Its old name is gone, too.
    assert_eq!(wire.ask(&mut host, &udp((B, 1), (A, 8), b"?")).len(), 1);
    host.socket(h).with(|s| s.bind(None, 9)).unwrap();
    host.poll(wire.now);
    assert!(wire.ask(&mut host, &udp((B, 1), (A, 9), b"?")).is_empty());
    assert_eq!(received(&mut host, h).len(), 1);
}

#[test]
fn broadcast_has_to_be_switched_on() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(68)).unwrap();
    let everybody = Ipv4Addr::BROADCAST;
    host.socket(h)
        .with(|s| {
            assert_eq!(
                s.send_to(b"x", at(everybody, 67)),
                Err(SendError::Broadcast)
            );
            s.send_to(b"x", at(ALL, 67)).unwrap();
        })
        .unwrap();
    host.poll(wire.now);
    let failure = host.socket(h).with(|s| s.take_failure()).unwrap();
    assert_eq!(failure.map(|f| f.why), Some(Why::Broadcast));
    host.socket(h)
        .with(|s| {
            s.set_broadcast(true);
            s.send_to(b"x", at(everybody, 67)).unwrap();
            s.send_to(b"y", at(ALL, 67)).unwrap();
            s.send_to(b"z", at([224, 0, 0, 251].into(), 5353)).unwrap();
        })
        .unwrap();
    host.poll(wire.now);
    let packets = wire.take();
    let ttls: Vec<_> = packets.iter().map(|p| (p[8], p[19])).collect();
    // RFC 1112 §6.1: groups stay on the link.
    assert_eq!(ttls, [(64, 255), (64, 255), (1, 251)]);
}

/// Requirement R16: head-of-line blocking is not for datagrams.
#[test]
fn a_silent_neighbour_holds_up_nobody_else() {
    let (east, west) = Cable::new(1514);
    let stack = |end, last, ip| {
        let link = Ethernet::<_>::new(end, Mac([2, 0, 0, 0, 0, last]));
        let net = Ipv4::default().with(0, ip, 24);
        Stack::new(
            link,
            net,
            (Udp::default(),),
            SlabSockets,
            &mut Seed(last.into()),
        )
    };
    let (mut a, mut b) = (stack(east, 1, A), stack(west, 2, B));
    let (here, there) = (a.open(socket(1)).unwrap(), b.open(socket(7)).unwrap());
    let silent = Ipv4Addr::new(10, 0, 0, 66);
    a.socket(here)
        .with(|s| {
            for _ in 0..20 {
                s.send_to(b"anybody?", at(silent, 7)).unwrap();
            }
            s.send_to(b"hello", at(B, 7)).unwrap();
        })
        .unwrap();
    let mut now = Instant::from_secs(1);
    for _ in 0..4 {
        a.poll(now);
        b.poll(now);
    }
    let got = b.socket(there).with(|s| s.recv_with(|_, d| d.to_vec()));
    assert_eq!(got.unwrap().unwrap(), b"hello");
    // In the end the application learns of the silence.
    let mut failure = None;
    for _ in 0..100 {
        now += Duration::from_millis(100);
        a.poll(now);
        b.poll(now);
        failure = failure.or(a.socket(here).with(|s| s.take_failure()).unwrap());
    }
    let expected = Failure {
        why: Why::Icmp(ErrorKind::HostUnreachable),
        peer: at(silent, 7),
    };
    assert_eq!(failure, Some(expected));
}

#[test]
fn closing_sends_what_is_queued_first() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    host.socket(h)
        .with(|s| s.send_to(b"bye", at(B, 9)))
        .unwrap()
        .unwrap();
    host.close(h).unwrap();
    host.poll(wire.now);
    assert_eq!(sent(&mut wire).len(), 1);
    assert!(host.socket(h).with(|_| ()).is_err());
    host.open(socket(7)).unwrap();
    // With nothing queued it goes at once.
    let h = host.open(socket(8)).unwrap();
    host.close(h).unwrap();
    assert!(host.socket(h).with(|_| ()).is_err());
}

/// The same conversation without an allocator in the stack: slots and buffers are borrowed.
#[test]
fn an_echo_in_borrowed_memory() {
    let (near, far) = Cable::new(1500);
    let mut slots = [const { netstrata::socket::fixed::Slot::EMPTY }; 2];
    let (mut rx, mut tx) = ([0; 256], [0; 256]);
    type Small<'a> = Stack<Ip<End>, Ipv4, (Udp,), FixedSockets<'a>>;
    let mut host = Small::with_tables(
        Ip::new(near),
        Ipv4::default().with(0, A, 24),
        (Udp::default(),),
        (FixedSet::new(&mut slots[..]),),
        &mut Seed(1),
    );
    let h = host
        .open(UdpSocket::new(7, &mut rx[..], &mut tx[..]))
        .unwrap();
    let mut wire = Wire {
        end: far,
        now: Instant::from_secs(1),
    };
    wire.put(&udp((B, 5000), (A, 7), b"borrowed"));
    host.poll(wire.now);
    host.socket(h).with(echo).unwrap().unwrap();
    host.poll(wire.now);
    assert_eq!(
        sent(&mut wire),
        [("10.0.0.1:7 > 10.0.0.2:5000".into(), b"borrowed".to_vec())]
    );
}

/// Code over sockets need not know what stack they are in.
fn echo<B>(socket: &mut UdpSocket<B>) -> Result<(), SendError>
where
    B: core::ops::DerefMut<Target = [u8]>,
{
    let mut copy = [0; 64];
    match socket.recv_from(&mut copy) {
        Ok(got) => socket.send_to(&copy[..got.len], got.peer),
        Err(_) => Ok(()),
    }
}

#[test]
fn addresses_are_checked_before_anything_is_queued() {
    let mut s = socket(7);
    assert_eq!(s.send_to(b"", at(B, 0)), Err(SendError::BadDestination));
    let nobody = at(Ipv4Addr::UNSPECIFIED, 7);
    assert_eq!(s.send_to(b"", nobody), Err(SendError::BadDestination));
    assert_eq!(s.connect(nobody), Err(SendError::BadDestination));
    assert_eq!(s.queued(), 0);
}

#[test]
fn a_busy_socket_leaves_the_others_their_turn() {
    let (mut host, mut wire) = hosted();
    let busy = host.open(socket(1)).unwrap();
    let calm = host.open(socket(2)).unwrap();
    host.socket(busy)
        .with(|s| (0..500).try_for_each(|_| s.send_to(b"busy", at(B, 9))))
        .unwrap()
        .unwrap();
    host.socket(calm)
        .with(|s| s.send_to(b"calm", at(B, 9)))
        .unwrap()
        .unwrap();
    assert_eq!(host.poll(wire.now), Next::Now);
    let packets = sent(&mut wire);
    assert_eq!(packets.len(), 64);
    assert!(packets.iter().any(|(_, data)| data == b"calm"));
}

#[test]
fn a_connected_socket_without_a_way_fails_once_and_not_at_every_look() {
    let (mut host, wire) = hosted();
    let mut s = socket(0);
    s.connect(at([192, 0, 2, 1].into(), 53)).unwrap();
    let h = host.open(s).unwrap();
    host.poll(wire.now);
    let mut failures = 0;
    // An application that looks whenever there is news.
    for _ in 0..5 {
        if host.next_news() == Some(h) {
            let failed = host.socket(h).with(|s| s.take_failure()).unwrap();
            failures += u32::from(failed.is_some());
        }
        assert_eq!(host.poll(wire.now), IDLE);
    }
    assert_eq!(failures, 1);
    // A datagram is another try, and so is a way.
    host.socket(h).with(|s| s.send(b"a")).unwrap().unwrap();
    host.poll(wire.now);
    assert_eq!(host.next_news(), Some(h));
    host.net.add_address(0, [192, 0, 2, 2].into(), 24).unwrap();
    host.socket(h).with(|s| s.take_failure()).unwrap();
    host.socket(h).with(|s| s.send(b"b")).unwrap().unwrap();
    host.poll(wire.now);
    let local = host
        .socket(h)
        .look(|s| (s.local_ip(), s.local_port().is_some()));
    assert_eq!(local.unwrap(), (Some([192, 0, 2, 2].into()), true));
}
