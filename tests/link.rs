//! The link layer: Ethernet framing, address resolution, several links, filters.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netstrata::error::{Drop, TxError};
use netstrata::iface::{Cast, Hop, Interface, Neighbor, NeighborState, PacketTx, Wait, neighbor};
use netstrata::phy::{Cable, Device, RxMeta, TxMeta, TxToken};
use netstrata::wire::{Arp, Dump, Mac, ethertype};
use proptest::prelude::*;

#[path = "link/host.rs"]
mod host;
#[path = "link/layers.rs"]
mod layers;

use host::{Host, OTHER, OUR_IP, PEER, PEER_IP, US, arp_frame, copy, ethernet, packet};

const SECOND: Duration = Duration::from_secs(1);

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

#[test]
fn a_datagram_waits_for_the_reply() {
    let mut h = Host::new();
    h.send(PEER_IP, 1, Wait::Queue).unwrap();
    h.now += Duration::from_millis(1);
    h.reply(PEER, PEER_IP);
    h.send(PEER_IP, 2, Wait::Queue).unwrap();
    h.show();
    insta::assert_snapshot!("a_datagram_waits_for_the_reply", h.log());
}

#[test]
fn octets_of_request_reply_and_packet() {
    let mut h = Host::new();
    let mut log = String::new();
    let mut frames = |h: &Host| {
        for frame in h.eth.device().in_flight() {
            log += &format!("{}\n", Dump::ethernet(&frame));
        }
    };
    h.transmit(PEER_IP, 1, Wait::Queue).unwrap();
    frames(&h);
    h.drain_silently();
    h.put(&arp_frame(
        US,
        Arp::request((US, OUR_IP), PEER_IP).reply(PEER),
    ));
    h.put(&arp_frame(
        Mac::BROADCAST,
        Arp::request((OTHER, ip(3)), OUR_IP),
    ));
    h.turn();
    frames(&h);
    insta::assert_snapshot!("octets_of_request_reply_and_packet", log);
}

#[test]
fn who_asks_for_us_is_answered_and_known() {
    let mut h = Host::new();
    h.arp(Mac::BROADCAST, Arp::request((PEER, PEER_IP), OUR_IP));
    h.send(PEER_IP, 1, Wait::Park).unwrap();
    h.show();
    insta::assert_snapshot!("who_asks_for_us_is_answered_and_known", h.log());
}

#[test]
fn nothing_else_is_learned() {
    let mut h = Host::new();
    h.reply(PEER, PEER_IP); // nobody asked
    h.arp(Mac::BROADCAST, Arp::announcement(PEER, PEER_IP));
    h.arp(Mac::BROADCAST, Arp::request((PEER, PEER_IP), ip(3)));
    h.arp(Mac::BROADCAST, Arp::probe(PEER, OUR_IP)); // answered, and no more
    assert_eq!(h.eth.neighbors().count(), 0);
    insta::assert_snapshot!("nothing_else_is_learned", h.log());
}

#[test]
fn a_connection_parks_until_the_reply() {
    let mut h = Host::new();
    assert_eq!(h.send(PEER_IP, 1, Wait::Park), Err(TxError::Resolving));
    assert_eq!(h.send(PEER_IP, 1, Wait::Park), Err(TxError::Resolving));
    assert!(!h.eth.take_resolved());
    h.reply(PEER, PEER_IP);
    assert!(h.eth.take_resolved() && !h.eth.take_resolved());
    h.send(PEER_IP, 1, Wait::Park).unwrap();
    // One request for two attempts, and the packet.
    insta::assert_snapshot!("a_connection_parks_until_the_reply", h.log());
}

#[test]
fn packets_wait_in_order() {
    let mut h = Host::new();
    for id in 1..=3 {
        h.send(PEER_IP, id, Wait::Queue).unwrap();
    }
    h.send(ip(3), 4, Wait::Queue).unwrap();
    h.reply(PEER, PEER_IP);
    insta::assert_snapshot!("packets_wait_in_order", h.log());
    assert_eq!(h.up.drops, []);
}

#[test]
fn the_fragments_of_a_datagram_wait_and_the_oldest_packets_go() {
    for (len, fit) in [(1500, 46), (576, 120), (28, 128)] {
        let mut h = Host::new();
        for n in 0..fit + 2 {
            let hop = Hop {
                link: 0,
                to: PEER_IP.into(),
                from: OUR_IP.into(),
                cast: Cast::Unicast,
            };
            let write = |packet: &mut [u8]| {
                packet.fill(n as u8);
                Ok(())
            };
            let tx = h.eth.transmit(h.now, hop, Wait::Queue).unwrap();
            tx.send(len, TxMeta::NONE, write).unwrap();
        }
        h.drain_silently();
        h.put(&arp_frame(
            US,
            Arp::request((US, OUR_IP), PEER_IP).reply(PEER),
        ));
        h.turn();
        let mut sent = Vec::new();
        let mut note = |frame: &mut [u8], _: RxMeta| sent.push(frame[14]);
        h.far.receive(h.now, usize::MAX, &mut note);
        let newest: Vec<u8> = (2..fit as u8 + 2).collect();
        assert_eq!(sent, newest, "{len}");
        assert_eq!(h.up.drops, [Drop::NeighborQueue; 2], "{len}");
    }
}

#[test]
fn silence_gives_packets_back() {
    let mut h = Host::new();
    h.send(PEER_IP, 1, Wait::Queue).unwrap();
    h.send(PEER_IP, 2, Wait::Queue).unwrap();
    h.wait(SECOND * 3);
    assert!(h.eth.take_resolved());
    // Held down for a second, then asked again.
    let refused = h.send(PEER_IP, 3, Wait::Queue);
    assert_eq!(refused, Err(TxError::Unreachable));
    h.show();
    h.wait(SECOND);
    h.send(PEER_IP, 4, Wait::Queue).unwrap();
    // A late answer is as good as any.
    h.reply(PEER, PEER_IP);
    insta::assert_snapshot!("silence_gives_packets_back", h.log());
}

#[test]
fn a_stale_entry_is_used_while_it_is_probed() {
    let mut h = Host::new();
    h.send(PEER_IP, 1, Wait::Queue).unwrap();
    h.reply(PEER, PEER_IP);
    h.wait(SECOND * 30);
    h.show();
    h.send(PEER_IP, 2, Wait::Park).unwrap();
    h.poll(); // the probe
    h.send(PEER_IP, 3, Wait::Park).unwrap();
    h.reply(PEER, PEER_IP);
    h.show();
    // The next time nobody answers, and everybody is asked.
    h.wait(SECOND * 30);
    h.send(PEER_IP, 4, Wait::Park).unwrap();
    h.wait(SECOND * 3);
    assert_eq!(h.send(PEER_IP, 5, Wait::Park), Err(TxError::Resolving));
    insta::assert_snapshot!("a_stale_entry_is_used_while_it_is_probed", h.log());
}

#[test]
fn a_live_entry_is_probed_before_it_moves() {
    let mut h = Host::new();
    h.send(PEER_IP, 1, Wait::Queue).unwrap();
    h.reply(PEER, PEER_IP);
    // Spoofed: the neighbour is still there and says so.
    h.arp(Mac::BROADCAST, Arp::announcement(OTHER, PEER_IP));
    h.send(PEER_IP, 2, Wait::Park).unwrap();
    h.reply(PEER, PEER_IP);
    h.show();
    // Moved: the old one is silent.
    h.arp(Mac::BROADCAST, Arp::announcement(OTHER, PEER_IP));
    h.wait(SECOND * 3);
    h.show();
    h.send(PEER_IP, 3, Wait::Park).unwrap();
    insta::assert_snapshot!("a_live_entry_is_probed_before_it_moves", h.log());
}

#[test]
fn an_idle_stale_entry_moves_at_once() {
    let mut h = Host::new();
    h.send(PEER_IP, 1, Wait::Queue).unwrap();
    h.reply(PEER, PEER_IP);
    h.wait(SECOND * 30);
    h.log();
    h.arp(Mac::BROADCAST, Arp::announcement(OTHER, PEER_IP));
    h.show();
    insta::assert_snapshot!(h.log(), @"
    30.000000s
    <  eth   02:00:00:00:00:03 > ff:ff:ff:ff:ff:ff type 0x0806
    <  arp   request sender 02:00:00:00:00:03 10.0.0.2 target 00:00:00:00:00:00 10.0.0.2 (announcement)
    30.000000s 10.0.0.2 is at 02:00:00:00:00:03 Reachable
    ");
}

#[test]
fn an_address_is_announced_twice() {
    let mut h = Host::new();
    h.eth.announce(0, OUR_IP.into());
    h.wait(SECOND * 10);
    assert_eq!(h.eth.deadline(), None);
    // Not ours any more: not a word.
    h.eth.announce(0, ip(9).into());
    h.wait(SECOND * 10);
    // A new link address is news.
    h.eth.set_mac(OTHER);
    h.poll();
    insta::assert_snapshot!("an_address_is_announced_twice", h.log());
}

#[test]
fn an_address_is_defended_every_ten_seconds() {
    let mut h = Host::new();
    for wait in [0, 4, 6, 0] {
        h.wait(SECOND * wait);
        h.arp(Mac::BROADCAST, Arp::announcement(OTHER, OUR_IP));
    }
    assert_eq!(h.eth.conflicts(), 4);
    let last = h.eth.take_conflict().unwrap();
    assert_eq!((last.ip, last.mac, last.at), (OUR_IP, OTHER, h.now));
    assert_eq!(h.eth.take_conflict(), None);
    assert_eq!(h.eth.neighbors().count(), 0);
    insta::assert_snapshot!("an_address_is_defended_every_ten_seconds", h.log());
}

#[test]
fn groups_and_broadcast_need_no_lookup() {
    let mut h = Host::new();
    let to = |h: &mut Host, to: &str, cast| {
        let to: IpAddr = to.parse().unwrap();
        h.send_cast(to, 0, Wait::Park, cast).unwrap();
    };
    to(&mut h, "255.255.255.255", Cast::Broadcast);
    to(&mut h, "10.0.0.255", Cast::Broadcast);
    to(&mut h, "224.0.0.251", Cast::Multicast);
    to(&mut h, "239.255.1.2", Cast::Multicast);
    to(&mut h, "ff02::1:ff00:102", Cast::Multicast);
    insta::assert_snapshot!("groups_and_broadcast_need_no_lookup", h.log());
}

#[test]
fn frames_are_taken_by_destination_and_type() {
    let ip = packet(PEER_IP, OUR_IP, 1);
    let mut h = Host::new();
    let group = Mac([1, 0, 0x5e, 0, 0, 251]);
    h.frame(&ethernet(US, PEER, ethertype::IPV4, &ip));
    h.frame(&ethernet(Mac::BROADCAST, PEER, ethertype::IPV4, &ip));
    h.frame(&ethernet(group, PEER, ethertype::IPV4, &ip));
    h.frame(&ethernet(OTHER, PEER, ethertype::IPV4, &ip));
    h.frame(&ethernet(US, US, ethertype::IPV4, &ip)); // our own echo
    h.frame(&ethernet(US, PEER, 22, &ip)); // 802.3
    h.frame(&ethernet(US, PEER, ethertype::VLAN, &ip));
    h.frame(&ethernet(US, PEER, ethertype::ARP, &[0; 28]));
    h.frame(&ethernet(US, PEER, ethertype::ARP, &[0, 1, 8, 0, 6, 4]));
    h.frame(&[2, 0, 0, 0, 0, 1]);
    insta::assert_snapshot!("frames_are_taken_by_destination_and_type", h.log());
    use Drop::*;
    assert_eq!(
        h.up.drops,
        [
            OtherHost,
            OtherHost,
            UnknownProtocol,
            UnknownProtocol,
            Malformed,
            Truncated,
            Truncated,
        ]
    );
}

#[test]
fn answers_retrace_the_path() {
    let mut h = Host::new();
    h.up.answer = Some(packet(OUR_IP, PEER_IP, 9));
    let asked = packet(PEER_IP, OUR_IP, 1);
    h.frame(&ethernet(US, PEER, ethertype::IPV4, &asked));
    // A group cannot be answered, and an answer must fit.
    h.frame(&ethernet(
        US,
        Mac([1, 0, 0x5e, 0, 0, 1]),
        ethertype::IPV4,
        &asked,
    ));
    h.up.answer = Some(vec![0; 1501]);
    h.frame(&ethernet(US, PEER, ethertype::IPV4, &asked));
    assert_eq!(h.eth.neighbors().count(), 0);
    insta::assert_snapshot!("answers_retrace_the_path", h.log());
}

#[test]
fn entries_set_by_hand_stay() {
    let mut h = Host::new();
    h.send(PEER_IP, 1, Wait::Queue).unwrap();
    h.eth.add_static(PEER_IP.into(), PEER).unwrap();
    h.poll(); // what waited goes
    h.arp(Mac::BROADCAST, Arp::announcement(OTHER, PEER_IP));
    h.wait(SECOND * 100);
    h.send(PEER_IP, 2, Wait::Park).unwrap();
    h.eth.flush_neighbors();
    h.show();
    let v6: IpAddr = "fe80::2".parse().unwrap();
    let refused = h.send_cast(v6, 3, Wait::Queue, Cast::Unicast);
    assert_eq!(refused, Err(TxError::Unreachable));
    h.eth.add_static(v6, OTHER).unwrap();
    h.send_cast(v6, 4, Wait::Queue, Cast::Unicast).unwrap();
    assert!(h.eth.add_static(v6, Mac::BROADCAST).is_err());
    assert!(h.eth.remove_neighbor(v6) && !h.eth.remove_neighbor(v6));
    insta::assert_snapshot!("entries_set_by_hand_stay", h.log());
}

#[test]
fn a_full_device_delays_what_waits() {
    let mut h = Host::<64>::over(Cable::with_queue(1514, 2));
    let fill = |h: &mut Host<64>| {
        while let Some(token) = h.eth.device_mut().transmit(h.now) {
            token.send(60, TxMeta::NONE, copy(&[0; 60])).unwrap();
        }
    };
    // The far end is slow to take what we send: requests, announcements and packets that
    // waited try again, and an answer is lost.
    fill(&mut h);
    h.eth.announce(0, OUR_IP.into());
    for id in 1..=3 {
        h.transmit(PEER_IP, id, Wait::Queue).unwrap();
    }
    h.turn();
    h.drain_silently();
    h.wait(Duration::from_millis(10));
    fill(&mut h);
    h.put(&arp_frame(
        US,
        Arp::request((US, OUR_IP), PEER_IP).reply(PEER),
    ));
    h.put(&arp_frame(
        Mac::BROADCAST,
        Arp::request((OTHER, ip(3)), OUR_IP),
    ));
    h.turn();
    assert_eq!(h.transmit(PEER_IP, 4, Wait::Park), Err(TxError::Full));
    h.drain_silently();
    h.wait(Duration::from_millis(30));
    insta::assert_snapshot!("a_full_device_delays_what_waits", h.log());
}

#[test]
fn dead_addresses_do_not_lock_a_live_one_out() {
    let mut h = Host::new();
    for n in 0..1000u32 {
        let dead = Ipv4Addr::from_bits(0x0a01_0000 + n);
        let _ = h.send(dead, 0, Wait::Queue);
    }
    h.poll();
    let unfinished = h.eth.neighbors().count();
    assert_eq!(unfinished, neighbor::MAX_UNFINISHED);
    let refused = h.up.drops.iter().filter(|d| **d == Drop::NeighborFull);
    assert_eq!(refused.count(), 1000 - unfinished);
    // The quota is full: a connection is parked, and told within a tenth of a second to try
    // again, although nobody answered.
    h.eth.take_resolved();
    assert_eq!(h.send(PEER_IP, 1, Wait::Park), Err(TxError::Resolving));
    h.wait(Duration::from_millis(100));
    assert!(h.eth.take_resolved());
    h.log();
    assert_eq!(h.send(PEER_IP, 1, Wait::Park), Err(TxError::Resolving));
    h.reply(PEER, PEER_IP);
    h.send(PEER_IP, 1, Wait::Park).unwrap();
    insta::assert_snapshot!("dead_addresses_do_not_lock_a_live_one_out", h.log());
}

#[test]
fn a_flood_of_requests_evicts_nobody_we_talk_to() {
    let mut h = Host::<64>::over(Cable::new(1514));
    h.send(PEER_IP, 1, Wait::Queue).unwrap();
    h.reply(PEER, PEER_IP);
    for n in 0..20_000u32 {
        let spoofed = Ipv4Addr::from_bits(0x0a02_0000 + n);
        h.put(&arp_frame(
            Mac::BROADCAST,
            Arp::request((OTHER, spoofed), OUR_IP),
        ));
        h.turn();
        h.drain_silently();
        if n % 1000 == 0 {
            h.now += SECOND;
            h.send(PEER_IP, 2, Wait::Park).unwrap();
        }
    }
    h.log();
    let live = h.eth.neighbors().filter(|n| n.used.is_some());
    assert_eq!(
        live.map(|n| n.ip).collect::<Vec<_>>(),
        [IpAddr::from(PEER_IP)]
    );
    assert!(h.eth.neighbors().count() <= 64);
    // And somebody new can still be met.
    h.send(ip(3), 3, Wait::Queue).unwrap();
    h.reply(OTHER, ip(3));
    let known = |n: &Neighbor| n.state == NeighborState::Reachable;
    assert!(h.eth.neighbors().any(|n| n.ip == ip(3) && known(&n)));
}

proptest! {
    /// Whatever comes in, nothing panics, the table stays small, and ARP still works.
    #[test]
    fn garbage_does_no_harm(frames in prop::collection::vec(garbage(), 0..60)) {
        let mut h = Host::<16>::over(Cable::new(1514));
        h.up.answer = Some(packet(OUR_IP, PEER_IP, 9));
        for (frame, wait) in frames {
            let _ = h.send(PEER_IP, 1, Wait::Queue);
            h.frame(&frame);
            h.wait(Duration::from_millis(wait));
            prop_assert!(h.eth.neighbors().count() <= 16);
            prop_assert!(h.eth.neighbors().all(|n| n.mac.is_none_or(Mac::is_unicast)));
            prop_assert!(h.eth.neighbors().all(|n| n.ip != OUR_IP));
        }
        h.log();
        h.arp(Mac::BROADCAST, Arp::request((OTHER, ip(77)), OUR_IP));
        prop_assert!(h.log().contains("reply"));
    }
}

/// A frame that is mostly right, and a time in milliseconds.
fn garbage() -> impl Strategy<Value = (Vec<u8>, u64)> {
    let mac = prop_oneof![
        Just(US),
        Just(PEER),
        Just(Mac::BROADCAST),
        any::<[u8; 6]>().prop_map(Mac)
    ];
    let ip = prop_oneof![
        Just(OUR_IP),
        Just(PEER_IP),
        any::<u32>().prop_map(Ipv4Addr::from_bits)
    ];
    let arp = (
        mac.clone(),
        0u16..4,
        mac.clone(),
        ip.clone(),
        mac.clone(),
        ip,
    )
        .prop_map(|(dst, op, from, sender, to, target)| {
            let (sender, target) = ((from, sender), (to, target));
            arp_frame(dst, Arp { op, sender, target })
        });
    let kind = prop_oneof![Just(ethertype::IPV4), Just(ethertype::ARP), any::<u16>()];
    let body = prop::collection::vec(any::<u8>(), 0..64);
    let other = (mac.clone(), mac, kind, body)
        .prop_map(|(dst, src, kind, body)| ethernet(dst, src, kind, &body));
    let noise = prop::collection::vec(any::<u8>(), 0..40);
    (prop_oneof![4 => arp, 2 => other, 1 => noise], 0u64..3000)
}
