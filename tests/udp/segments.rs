//! Many datagrams with one call, and as one packet where the device cuts it apart.

use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::cable::End;
use netstrata::phy::{Cable, Device, RxMeta};
use netstrata::socket::SlabSockets;
use netstrata::socket::mailbox::Meta;
use netstrata::transport::{RecvError, SendError};
use netstrata::udp::Udp;
use netstrata::wire::Mac;
use netstrata::{Next, Stack};

use crate::hosts::{A, B, Host, Seed, dump, host_on};
use crate::{Socket, at, hosted, received, sent, socket};
use netstrata::phy::Instant;

const NOW: Instant = Instant::from_secs(1);

/// Two hosts on a cable.
fn pair((east, west): (End, End)) -> [Host<(Udp,)>; 2] {
    [(east, A), (west, B)].map(|(end, ip)| host_on(end, Ipv4::default().with(0, ip, 24)))
}

/// Everything that is under way gets there.
fn settle([a, b]: &mut [Host<(Udp,)>; 2]) {
    for _ in 0..100 {
        while a.poll(NOW) == Next::Now {}
        while b.poll(NOW) == Next::Now {}
    }
}

fn octets(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// A socket with room for what these tests send.
fn roomy(port: u16) -> Socket {
    Socket::new(port, vec![0; 300_000].into(), vec![0; 300_000].into())
}

fn to_b() -> Meta {
    Meta::new(at(B, 9))
}

#[test]
fn a_call_becomes_datagrams_with_headers_and_checksums_of_their_own() {
    let (mut host, mut wire) = hosted();
    let h = host.open(socket(7)).unwrap();
    let queue = |s: &mut Socket| {
        assert_eq!(s.send_segments(b"sixteen octets..", 6, &to_b()), Ok(3));
        assert_eq!(s.queued(), 3);
    };
    host.socket(h).with(queue).unwrap();
    host.poll(wire.now);
    assert_eq!(host.stats().udp_sent, 3);
    insta::assert_snapshot!("segments", dump(&wire.take()));
}

#[test]
fn devices_that_cut_get_one_packet() {
    for segment in [1, 6, 500, 1472] {
        let mut hosts = pair(Cable::with_offload(1500));
        let [here, there] = &mut hosts;
        let (h, g) = (here.open(roomy(7)).unwrap(), there.open(roomy(9)).unwrap());
        let data = octets(segment * 40 + 1);
        let queue = |s: &mut Socket| s.send_segments(&data, segment, &to_b());
        assert_eq!(
            here.socket(h).with(queue),
            Ok(Ok(data.len().div_ceil(segment)))
        );
        here.poll(NOW);
        let frames = here.iface.device().in_flight();
        assert_eq!(frames.len(), 1, "{segment}");
        assert_eq!(frames[0].len(), 28 + data.len());
        assert_eq!(frames[0][24..26], (8 + data.len() as u16).to_be_bytes());
        settle(&mut hosts);
        let [here, there] = &mut hosts;
        let count = data.len().div_ceil(segment);
        assert_eq!(here.stats().udp_sent, count as u64);
        assert_eq!(there.stats().udp_received, count as u64);
        // One by one, or together, or as many as there is room for.
        let take = |s: &mut Socket| {
            assert_eq!(s.readable(), count);
            let mut one = [0; 2000];
            let got = s.recv_from(&mut one).unwrap();
            assert_eq!((got.len, &one[..got.len]), (segment, &data[..segment]));
            assert_eq!(s.peek().unwrap().1, &data[segment..2 * segment]);
            let mut room = vec![0; 3 * segment + segment / 2];
            let got = s.recv_segments(&mut room).unwrap();
            assert_eq!((got.stride, got.peer), (segment, at(A, 7)));
            assert_eq!(room[..got.len], data[segment..][..got.len]);
            assert_eq!(got.len, 3 * segment);
            let mut room = vec![0; 65_535];
            let rest = s.recv_segments(&mut room).unwrap();
            assert_eq!((rest.stride, rest.truncated), (segment, false));
            let datagrams: Vec<_> = rest.datagrams(&room).collect();
            assert_eq!(datagrams.concat(), data[4 * segment..]);
            assert_eq!(datagrams.len(), count - 4);
            assert_eq!(s.recv_segments(&mut room), Err(RecvError::Empty));
        };
        there.socket(g).with(take).unwrap();
    }
}

#[test]
fn more_than_a_device_takes_at_once_goes_in_several() {
    let mut hosts = pair(Cable::with_offload(1500));
    let h = hosts[0].open(roomy(7)).unwrap();
    let g = hosts[1].open(roomy(9)).unwrap();
    let data = octets(65_507);
    let queue = |s: &mut Socket| s.send_segments(&data, 100, &to_b());
    assert_eq!(hosts[0].socket(h).with(queue), Ok(Ok(656)));
    hosts[0].poll(NOW);
    // 64 datagrams in each, as the device says.
    let lens: Vec<_> = hosts[0]
        .iface
        .device()
        .in_flight()
        .iter()
        .map(Vec::len)
        .collect();
    assert_eq!(lens[..10], [6428; 10]);
    assert_eq!(lens.len(), 11);
    settle(&mut hosts);
    let mut all = vec![];
    let take = |s: &mut Socket| while s.recv_many(99, |_, one| all.push(one.to_vec())).is_ok() {};
    hosts[1].socket(g).with(take).unwrap();
    assert!(all[..655].iter().all(|one| one.len() == 100));
    assert_eq!(all.concat(), data);
}

#[test]
fn datagrams_that_exceed_the_path_are_fragmented_each_for_itself() {
    for cable in [Cable::new(1500), Cable::with_offload(1500)] {
        let mut hosts = pair(cable);
        let h = hosts[0].open(roomy(7)).unwrap();
        let g = hosts[1].open(roomy(9)).unwrap();
        let data = octets(5000);
        let queue = |s: &mut Socket| s.send_segments(&data, 2000, &to_b());
        assert_eq!(hosts[0].socket(h).with(queue), Ok(Ok(3)));
        hosts[0].poll(NOW);
        assert_eq!(hosts[0].iface.device().in_flight().len(), 5);
        settle(&mut hosts);
        let mut lens = vec![];
        let take = |s: &mut Socket| s.recv_many(9, |_, one| lens.push(one.len()));
        assert_eq!(hosts[1].socket(g).with(take), Ok(Ok(3)));
        assert_eq!(lens, [2000, 2000, 1000]);
    }
}

#[test]
fn what_the_link_does_not_take_follows_later_and_once() {
    let mut hosts = pair(Cable::with_queue(1500, 3));
    let h = hosts[0].open(roomy(7)).unwrap();
    let g = hosts[1].open(roomy(9)).unwrap();
    let data = octets(80);
    let queue = |s: &mut Socket| {
        s.send_segments(&data[..70], 10, &to_b()).unwrap();
        s.send_to(&data[70..], at(B, 9)).unwrap();
    };
    hosts[0].socket(h).with(queue).unwrap();
    let mut left = vec![];
    for _ in 0..4 {
        hosts[0].poll(NOW);
        left.push(hosts[0].socket(h).look(|s| s.queued()).unwrap());
        hosts[1].poll(NOW);
    }
    assert_eq!(left, [5, 2, 0, 0]);
    let mut all = vec![];
    let take = |s: &mut Socket| s.recv_many(99, |_, one| all.push(one.to_vec()));
    assert_eq!(hosts[1].socket(g).with(take), Ok(Ok(8)));
    assert_eq!(all.concat(), data);
}

#[test]
fn what_waits_for_a_link_address_waits_in_single_datagrams() {
    let (east, mut west) = Cable::with_offload(1514);
    let link = Ethernet::<_>::new(east, Mac([2, 0, 0, 0, 0, 1]));
    let net = Ipv4::default().with(0, A, 24);
    let mut host = Stack::new(link, net, (Udp::default(),), SlabSockets, &mut Seed(1));
    let h = host.open(roomy(7)).unwrap();
    let data = octets(1200);
    let queue = |s: &mut Socket| s.send_segments(&data, 500, &to_b());
    assert_eq!(host.socket(h).with(queue), Ok(Ok(3)));
    host.poll(NOW);
    let mut asked = vec![];
    west.receive(NOW, 9, &mut |frame: &mut [u8], _: RxMeta| {
        // Announcements ask for nobody but ourselves (RFC 5227 §2.3).
        if frame[12..14] == [8, 6] && frame[38..42] == B.octets() {
            asked.push(frame.to_vec());
        }
    });
    assert_eq!(asked.len(), 1);
    let mut reply = asked.remove(0);
    reply[20..22].copy_from_slice(&[0, 2]);
    reply[32..42].copy_from_slice(&[2, 0, 0, 0, 0, 1, A.octets()[0], 0, 0, 1]);
    reply[22..32].copy_from_slice(&[2, 0, 0, 0, 0, 2, B.octets()[0], 0, 0, 2]);
    reply[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    crate::hosts::put(&mut west, NOW, &reply);
    host.poll(NOW);
    let mut lens = vec![];
    west.receive(NOW, 9, &mut |frame: &mut [u8], meta: RxMeta| {
        lens.push((frame.len() - 42, meta.gro));
    });
    assert_eq!(lens, [(500, None), (500, None), (200, None)]);
}

#[test]
fn many_calls_or_one_are_the_same_datagrams() {
    for seed in 0..60 {
        let mut seed = Seed(seed);
        let mut datagrams = vec![];
        while datagrams.len() < 60 {
            let n = seed.next();
            let len = [0, 1, 7, 8, 100, 700][n as usize % 6];
            let count = 1 + (n >> 8) % 9;
            for _ in 0..count {
                datagrams.push((0..len).map(|_| seed.next() as u8).collect::<Vec<_>>());
            }
        }
        for offload in [false, true] {
            let cable = match offload {
                true => Cable::with_offload(1500),
                false => Cable::new(1500),
            };
            let mut hosts = pair(cable);
            let h = hosts[0].open(roomy(7)).unwrap();
            let g = hosts[1].open(roomy(9)).unwrap();
            let all = datagrams.iter().map(|d| &d[..]);
            let queue = |s: &mut Socket| s.send_many(at(B, 9), all);
            assert_eq!(hosts[0].socket(h).with(queue), Ok(Ok(datagrams.len())));
            settle(&mut hosts);
            let together = seed.next() & 1 != 0;
            let (mut got, mut room) = (vec![], vec![0; 3000]);
            let take = |s: &mut Socket| {
                assert_eq!(s.readable(), datagrams.len());
                while !together && s.recv_many(5, |_, one| got.push(one.to_vec())).is_ok() {}
                while let Ok(some) = s.recv_segments(&mut room) {
                    got.extend(some.datagrams(&room).map(<[u8]>::to_vec));
                }
            };
            hosts[1].socket(g).with(take).unwrap();
            assert!(got == datagrams, "{} {offload}", seed.0);
        }
    }
}

#[test]
fn refusals_leave_nothing_behind() {
    let (mut host, mut wire) = hosted();
    let h = host
        .open(Socket::new(7, vec![0; 100].into(), vec![0; 100].into()))
        .unwrap();
    let queue = |s: &mut Socket| {
        assert_eq!(
            s.send_segments(&[0; 65_508], 9, &to_b()),
            Err(SendError::TooLong)
        );
        assert_eq!(
            s.send_segments(&[0; 99], 9, &to_b()),
            Err(SendError::TooLong)
        );
        let nobody = Meta::new(at(B, 0));
        assert_eq!(
            s.send_segments(b"x", 1, &nobody),
            Err(SendError::BadDestination)
        );
        assert_eq!(s.send_segments(b"whole", 0, &to_b()), Ok(1));
        assert_eq!(s.send_segments(b"", 9, &to_b()), Ok(1));
        assert_eq!(s.send_segments(&[0; 70], 9, &to_b()), Err(SendError::Full));
    };
    host.socket(h).with(queue).unwrap();
    host.poll(wire.now);
    let data: Vec<_> = sent(&mut wire).into_iter().map(|(_, data)| data).collect();
    assert_eq!(data, [b"whole".to_vec(), vec![]]);
    // There was no room for one, and now there is.
    assert_eq!(host.next_news(), Some(h));
    assert_eq!(received(&mut host, h), []);
}

#[test]
fn a_buffer_too_small_for_the_first_gets_its_front() {
    let mut hosts = pair(Cable::new(1500));
    let h = hosts[0].open(roomy(7)).unwrap();
    let g = hosts[1].open(roomy(9)).unwrap();
    let queue = |s: &mut Socket| s.send_many(at(B, 9), [&b"first"[..], b"other"]);
    hosts[0].socket(h).with(queue).unwrap().unwrap();
    settle(&mut hosts);
    let take = |s: &mut Socket| {
        let mut room = [0; 3];
        let got = s.recv_segments(&mut room).unwrap();
        assert_eq!((got.len, got.stride, got.truncated), (3, 3, true));
        assert_eq!(&room, b"fir");
        let mut room = [0; 9];
        let got = s.recv_segments(&mut room).unwrap();
        assert_eq!(
            (got.len, got.truncated, &room[..5]),
            (5, false, &b"other"[..])
        );
    };
    hosts[1].socket(g).with(take).unwrap();
}

/// What a host on such a cable has its device send for these datagrams, and what the host at the
/// other end receives.
fn sent_over(cable: (End, End), queue: &[(u16, usize)]) -> (usize, Vec<(u16, Vec<u8>)>) {
    let mut hosts = pair(cable);
    let h = hosts[0].open(roomy(7)).unwrap();
    let there = [9, 10].map(|port| hosts[1].open(roomy(port)).unwrap());
    let send = |s: &mut Socket| {
        for (n, (port, len)) in queue.iter().enumerate() {
            let data: Vec<u8> = octets(*len).iter().map(|o| o ^ n as u8).collect();
            s.send_to(&data, at(B, *port)).unwrap();
        }
    };
    hosts[0].socket(h).with(send).unwrap();
    let mut frames = 0;
    for _ in 0..20 {
        hosts[0].poll(NOW);
        frames += hosts[0].iface.device().in_flight().len();
        while hosts[1].poll(NOW) == Next::Now {}
    }
    assert_eq!(hosts[0].stats().udp_sent, queue.len() as u64);
    let mut all = vec![];
    for (h, port) in there.into_iter().zip([9, 10]) {
        let take = |s: &mut Socket| {
            while s
                .recv_with(|_, data| all.push((port, data.to_vec())))
                .is_ok()
            {}
        };
        hosts[1].socket(h).with(take).unwrap();
    }
    (frames, all)
}

/// Datagrams that are queued one by one leave together where the device cuts, and nobody at the
/// other end can tell.
#[test]
fn single_datagrams_leave_together_where_the_device_cuts() {
    let mut mixed: Vec<(u16, usize)> = vec![(9, 300); 70];
    mixed.extend([
        (9, 10),
        (9, 300),
        (10, 300),
        (10, 300),
        (9, 0),
        (9, 0),
        (9, 1472),
    ]);
    mixed.extend([(10, 1472); 50]);
    mixed.extend([(9, 5000), (9, 5000), (9, 7), (9, 7), (9, 8)]);
    let (one_by_one, plain) = sent_over(Cable::new(1500), &mixed);
    let (together, cut) = sent_over(Cable::with_offload(1500), &mixed);
    assert_eq!(plain.len(), mixed.len());
    assert_eq!(cut, plain);
    // Each of the two largest is four pieces either way.
    assert_eq!(one_by_one, mixed.len() + 2 * 3);
    // 64, and 6 with the short one; 1; 2; 1, 1, 1; 44 and 6; 8 pieces, and what follows those
    // without a look at the device.
    assert_eq!(together, 2 + 1 + 1 + 3 + 2 + 8 + 3);
}
