//! Datagrams in pieces.

use core::time::Duration;

use netstrata::error::Drop;
use netstrata::iface::Ip;
use netstrata::net::{Ipv4, ReassemblyLimits};
use netstrata::phy::{Cable, Instant};
use netstrata::socket::SlabSockets;
use netstrata::udp::{Udp, UdpSocket};
use netstrata::{Next, Stack};
use proptest::prelude::*;

use crate::hosted;
use crate::hosts::{A, ALL, B, Seed, Wire, cut, drops, dump, echo, host, host_at, ip_with, udp};

#[test]
fn the_sender_learns_of_a_datagram_given_up() {
    let (mut host, mut wire) = hosted();
    let pieces = cut(&udp((B, 5000), (A, 7), &[1; 2000]), 1500);
    assert!(wire.ask(&mut host, &pieces[0]).is_empty());
    let start = wire.now;
    let due = start + Duration::from_secs(30);
    let wait = Next::Wait {
        until: Some(due),
        room: false,
    };
    assert_eq!(host.poll(start), wait);
    wire.now = due;
    host.poll(wire.now);
    let said = wire.take();
    snapshot!("reassembly_exceeded", dump(&said));
    assert_eq!(drops(&host), [(Drop::ReassemblyTimeout, 1)]);
    // Without the first fragment nothing is said (RFC 1122 §3.3.2).
    assert!(wire.ask(&mut host, &pieces[1]).is_empty());
    wire.now += Duration::from_secs(30);
    host.poll(wire.now);
    assert!(wire.take().is_empty());
    // Neither about what was sent to many.
    let to_all = cut(&udp((B, 5000), (ALL, 7), &[1; 2000]), 1500);
    wire.ask(&mut host, &to_all[0]);
    wire.now += Duration::from_secs(30);
    host.poll(wire.now);
    assert!(wire.take().is_empty());
    assert_eq!(host.stats().drops.get(Drop::ReassemblyTimeout), 3);
}

/// A first piece with options makes the whole longer than the others could tell.
#[test]
fn a_datagram_longer_than_ip_can_say_is_refused() {
    let (mut host, mut wire) = hosted();
    let socket = UdpSocket::new(7, vec![0; 70_000].into(), vec![0; 64].into());
    let h = host.open::<UdpSocket<Box<[u8]>>, _>(socket).unwrap();
    for (ident, len) in [(1, 65_475), (2, 65_476), (3, 65_515)] {
        let mut datagram = vec![0; len];
        let [l0, l1] = (len as u16).to_be_bytes();
        datagram[..8].copy_from_slice(&[0, 5, 0, 7, l0, l1, 0, 0]);
        for (n, piece) in datagram.chunks(1440).enumerate() {
            let ip = netstrata::wire::Ipv4 {
                ident,
                dont_fragment: false,
                more_fragments: (n + 1) * 1440 < len,
                fragment_offset: (n * 1440) as u16,
                ..netstrata::wire::Ipv4::new(B, A, 17)
            };
            let options: &[u8] = if n == 0 { &[1; 40] } else { &[] };
            let mut packet = vec![0; 20 + options.len() + piece.len()];
            let front = ip
                .emit_with_options(options, piece.len(), &mut packet)
                .unwrap();
            packet[front..].copy_from_slice(piece);
            wire.ask(&mut host, &packet);
        }
        let readable = host.socket(h).look(|s| s.readable()).unwrap();
        assert_eq!(readable, 1, "{len}: only the first fits");
    }
    assert_eq!(host.stats().drops.get(Drop::BadFragment), 2);
}

#[test]
fn overlaps_and_absurd_fragments_are_counted() {
    let (mut host, mut wire) = hosted();
    let piece = |at, more, len: usize| {
        ip_with(B, A, 17, &vec![7; len], |h| {
            h.ident = 9;
            h.fragment_offset = at;
            h.more_fragments = more;
        })
    };
    wire.ask(&mut host, &piece(0, true, 16));
    wire.ask(&mut host, &piece(8, true, 16));
    wire.ask(&mut host, &piece(24, false, 8));
    wire.ask(&mut host, &piece(65_528, false, 1400));
    wire.ask(&mut host, &piece(0, true, 15));
    wire.ask(&mut host, &piece(8, false, 0));
    assert_eq!(drops(&host), [(Drop::BadFragment, 5)]);
}

#[test]
fn memory_for_fragments_is_bounded_and_the_newest_stays() {
    let limits = ReassemblyLimits {
        total: 256 << 10,
        per_source: 128 << 10,
        ..ReassemblyLimits::default()
    };
    let net = Ipv4::default().with(0, A, 24).with_reassembly(limits);
    let (mut host, mut wire) = host_at(net, (Udp::default(),));
    for n in 0..3000u32 {
        let src = (0x0b00_0000 + n % 7).into();
        let packet = ip_with(src, A, 17, &[0; 1400], |h| {
            h.ident = n as u16;
            h.more_fragments = true;
        });
        wire.ask(&mut host, &packet);
        assert!(host.net.reassembling() <= 256 << 10);
    }
    assert!(host.stats().drops.get(Drop::ReassemblyTimeout) > 2500);
    // In the midst of the flood an honest datagram gets through.
    let h = host
        .open(UdpSocket::<Box<[u8]>>::new(
            7,
            vec![0; 4096].into(),
            vec![0; 64].into(),
        ))
        .unwrap();
    for piece in cut(&udp((B, 5000), (A, 7), &[1; 2000]), 1500) {
        wire.ask(&mut host, &piece);
    }
    assert_eq!(host.socket(h).look(|s| s.readable()).unwrap(), 1);
}

/// RFC 6946 in spirit: a whole datagram waits for nobody and disturbs nobody.
#[test]
fn atomic_packets_pass_by_what_is_under_reassembly() {
    let (mut host, mut wire) = host((netstrata::icmp::Icmp::default(),));
    let pieces = cut(&echo(A, &[2; 100]), 60);
    wire.ask(&mut host, &pieces[0]);
    let whole = ip_with(B, A, 1, &echo(A, b"x")[20..], |h| h.ident = 4711);
    assert_eq!(wire.ask(&mut host, &whole).len(), 1);
    let mut said = vec![];
    for piece in &pieces[1..] {
        said.extend(wire.ask(&mut host, piece));
    }
    assert_eq!(said.len(), 1);
    assert_eq!(said[0][28..], [2; 100]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent over a narrow link arrives, in whatever order its pieces come.
    #[test]
    fn what_is_cut_is_put_together(len in 0usize..9000, mtu in 68usize..=1500, seed in any::<u64>()) {
        let (near, far) = Cable::with_queue(mtu, 4096);
        let stack = |end, ip| {
            let net = Ipv4::default().with(0, ip, 24);
            Stack::new(Ip::new(end), net, (Udp::default(),), SlabSockets, &mut Seed(seed))
        };
        let (mut a, mut b) = (stack(near, A), host((Udp::default(),)));
        let mut seed = Seed(seed);
        let mut random = |n: usize| seed.next() as usize % n.max(1);
        let data: Vec<u8> = (0..len).map(|_| random(256) as u8).collect();
        let socket = |port| UdpSocket::<Box<[u8]>>::new(port, vec![0; 70_000].into(), vec![0; 70_000].into());
        let here = a.open(socket(1)).unwrap();
        a.socket(here).with(|s| s.send_to(&data, (B, 7).into())).unwrap().unwrap();
        a.poll(Instant::ZERO);
        drop(a);
        let mut wire = Wire { end: far, now: Instant::ZERO };
        let mut pieces = wire.take();
        prop_assert!(pieces.iter().all(|p| p.len() <= mtu));
        for n in (1..pieces.len()).rev() {
            pieces.swap(n, random(n + 1));
        }
        // The far host is at B's address for this one.
        let (host, wire) = &mut b;
        host.net.remove_address(0, A);
        host.net.add_address(0, B, 24).unwrap();
        let there = host.open(socket(7)).unwrap();
        for piece in &pieces {
            wire.ask(host, piece);
        }
        let got = host.socket(there).with(|s| s.recv_with(|_, d| d.to_vec())).unwrap();
        prop_assert_eq!(got, Ok(data));
        prop_assert_eq!(host.net.reassembling(), 0);
        prop_assert_eq!(host.stats().drops.total(), 0);
    }
}
