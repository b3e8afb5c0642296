//! Interfaces over interfaces: two links as one, filters, links without addresses.

use std::net::IpAddr;
use std::time::Duration;

use netstrata::error::{Drop, TxError};
use netstrata::iface::{
    Cast, Either, Ethernet, Filter, Filtered, Hop, Interface, Ip, Link, Packet, PacketSink,
    PacketTx, Verdict, Wait,
};
use netstrata::phy::{
    Abort, Cable, Capabilities, Csum, Device, End, FrameSink, Gso, GsoLimits, Instant, Loopback,
    RxMeta, TxMeta, TxToken,
};
use netstrata::wire::Arp;

use super::host::{OTHER, OUR_IP, PEER, PEER_IP, US, arp_frame, copy, packet};

const NOW: Instant = Instant::ZERO;

/// Notes what comes up, and may answer every packet.
#[derive(Default)]
struct Up {
    packets: Vec<(Link, u8)>,
    drops: Vec<Drop>,
    given_back: Vec<Link>,
    answer: Option<u8>,
}

impl PacketSink for Up {
    fn packet(&mut self, packet: Packet<'_>, answer: impl PacketTx) {
        self.packets.push((packet.link, packet.octets[0]));
        if let Some(octet) = self.answer {
            let _ = answer.send(1, TxMeta::NONE, copy(&[octet]));
        }
    }
    /// 10.0.0.1 on the first link, 10.0.1.1 on the second.
    fn owns(&self, link: Link, ip: IpAddr) -> bool {
        ip == IpAddr::from([10, 0, link, 1])
    }
    fn dropped(&mut self, reason: Drop) {
        self.drops.push(reason);
    }
    fn unreachable(&mut self, link: Link, _: &mut [u8]) {
        self.given_back.push(link);
    }
}

fn hop(link: Link, to: [u8; 4]) -> Hop {
    Hop {
        link,
        to: to.into(),
        from: [10, 0, link, 1].into(),
        cast: Cast::Unicast,
    }
}

fn put(end: &mut End, octets: &[u8]) {
    let token = end.transmit(NOW).unwrap();
    let sent = token.send(octets.len(), TxMeta::NONE, copy(octets));
    sent.unwrap();
}

fn send(iface: &mut impl Interface, hop: Hop, octets: &[u8]) -> Result<(), TxError> {
    let tx = iface.transmit(NOW, hop, Wait::Queue)?;
    tx.send(octets.len(), TxMeta::NONE, copy(octets))
}

#[test]
fn packets_keep_their_link() {
    let (near_a, mut far_a) = Cable::new(1500);
    let (near_b, mut far_b) = Cable::new(1000);
    let mut both = (Ip::new(near_a), Ip::new(near_b));
    assert_eq!((both.mtu(0), both.mtu(1)), (1500, 1000));
    put(&mut far_a, b"a");
    put(&mut far_b, b"b");
    let mut up = Up::default();
    assert_eq!(both.receive(NOW, 64, &mut up), 2);
    assert_eq!(up.packets, [(0, b'a'), (1, b'b')]);
    send(&mut both, hop(1, [10, 0, 1, 2]), b"second").unwrap();
    send(&mut both, hop(0, [10, 0, 0, 2]), b"first").unwrap();
    assert_eq!(both.0.device().in_flight(), [b"first"]);
    assert_eq!(both.1.device().in_flight(), [b"second"]);
}

#[test]
fn a_flood_on_one_link_leaves_half_to_the_other() {
    for (a, b, expected) in [
        (100, 100, [5, 5]),
        (100, 2, [8, 2]),
        (2, 100, [2, 8]),
        (1, 1, [1, 1]),
    ] {
        let (near_a, mut far_a) = Cable::new(1500);
        let (near_b, mut far_b) = Cable::new(1500);
        let mut both = (Ip::new(near_a), Ip::new(near_b));
        (0..a).for_each(|_| put(&mut far_a, b"a"));
        (0..b).for_each(|_| put(&mut far_b, b"b"));
        let mut up = Up::default();
        both.receive(NOW, 10, &mut up);
        let of = |link| up.packets.iter().filter(|(l, _)| *l == link).count();
        assert_eq!([of(0), of(1)], expected);
    }
}

#[test]
fn a_budget_of_one_serves_both_links_in_time() {
    let (near_a, mut far_a) = Cable::new(1500);
    let (near_b, mut far_b) = Cable::new(1500);
    let mut both = (Ip::new(near_a), Ip::new(near_b));
    let mut up = Up::default();
    for ms in 0..4 {
        put(&mut far_a, b"a");
        put(&mut far_b, b"b");
        both.receive(Instant::from_millis(ms), 1, &mut up);
    }
    assert_eq!(up.packets.iter().filter(|(link, _)| *link == 0).count(), 2);
}

#[test]
fn address_resolution_knows_its_link() {
    let (near_a, _far_a) = Cable::new(1514);
    let (near_b, mut far_b) = Cable::new(1514);
    let mut both = (Ethernet::new(near_a, US), Ethernet::new(near_b, US));
    let mut up = Up::default();
    // Addresses of one link are not answered for on the other.
    for ip in [[10, 0, 0, 1], [10, 0, 1, 1]] {
        let ask = Arp::request((PEER, [10, 0, 1, 2].into()), ip.into());
        put(&mut far_b, &arp_frame(netstrata::wire::Mac::BROADCAST, ask));
    }
    both.receive(NOW, 64, &mut up);
    assert_eq!(both.1.device().in_flight().len(), 1);
    // Announcements go out on their link alone.
    both.announce(1, [10, 0, 1, 1].into());
    assert_eq!(both.deadline(), Some(NOW));
    both.receive(NOW, 64, &mut up);
    assert_eq!(both.0.device().in_flight().len(), 0);
    assert_eq!(both.1.device().in_flight().len(), 2);
    assert_eq!(both.deadline(), Some(Instant::from_secs(2)));
    // A lookup that fails is told of, and its packet comes back by its link.
    send(&mut both, hop(1, [10, 0, 1, 9]), b"lost").unwrap();
    for s in 1..=3 {
        both.receive(Instant::from_secs(s), 64, &mut up);
    }
    assert_eq!(up.given_back, [1]);
    assert!(both.take_resolved() && !both.take_resolved());
}

#[test]
fn an_interface_is_chosen_at_run_time() {
    for (ethernet, mtu) in [(true, 1486), (false, 1500)] {
        let (near, mut far) = Cable::new(1500);
        let mut iface = match ethernet {
            true => Either::A(Ethernet::new(near, US)),
            false => Either::B(Ip::new(near)),
        };
        assert_eq!(iface.mtu(0), mtu);
        send(&mut iface, hop(0, [10, 0, 0, 2]), b"x").unwrap();
        iface.flush(NOW);
        let mut lengths = vec![];
        far.receive(NOW, 64, &mut |f: &mut [u8], _: RxMeta| {
            lengths.push(f.len())
        });
        assert_eq!(lengths, [if ethernet { 42 } else { 1 }]);
        put(&mut far, b"");
        let mut up = Up::default();
        iface.receive(NOW, 64, &mut up);
        assert_eq!(up.drops, [Drop::Truncated]);
        assert_eq!(iface.deadline().is_some(), ethernet);
        iface.announce(0, OUR_IP.into());
        assert!(!iface.take_resolved());
        assert!(iface.offload(0).gso.is_none());
    }
}

#[test]
fn a_loopback_brings_packets_back_with_their_offload() {
    let mut lo = Ip::new(Loopback::new(65_550));
    assert_eq!(lo.mtu(0), 65_535);
    assert_eq!(lo.offload(0).gso.map(|gso| gso.max_size), Some(65_535));
    send(&mut lo, hop(0, [10, 0, 0, 1]), &packet(OUR_IP, OUR_IP, 1)).unwrap();
    assert_eq!(lo.deadline(), Some(NOW));
    let mut up = Up::default();
    lo.receive(NOW, 64, &mut up);
    assert_eq!(up.packets, [(0, 0x45)]);
    let too_long = lo
        .transmit(NOW, hop(0, [10, 0, 0, 1]), Wait::Park)
        .ok()
        .unwrap();
    let sent = too_long.send(65_536, TxMeta::NONE, |_| Ok(()));
    assert_eq!(sent, Err(TxError::TooBig(65_535)));
}

/// Drops packets that begin with 0xbb, and makes 0xdd of every 0xcc.
struct Marker<const PAYLOAD: bool> {
    egress: Vec<usize>,
}

impl<const PAYLOAD: bool> Filter for Marker<PAYLOAD> {
    const PAYLOAD: bool = PAYLOAD;
    fn ingress(&mut self, _: Instant, packet: &mut [u8]) -> Verdict {
        match packet {
            [0xbb, ..] => Verdict::Drop,
            [first @ 0xcc, ..] => {
                *first = 0xdd;
                Verdict::Pass
            }
            _ => Verdict::Pass,
        }
    }
    fn egress(&mut self, now: Instant, packet: &mut [u8]) -> Verdict {
        self.egress.push(packet.len());
        self.ingress(now, packet)
    }
}

#[test]
fn a_filter_judges_both_ways_and_answers() {
    let (near, mut far) = Cable::new(1500);
    let marker = Marker::<true> { egress: vec![] };
    let mut iface = Filtered::new(Ip::new(near), marker);
    let mut up = Up {
        answer: Some(0xbb),
        ..Up::default()
    };
    for first in [0xaa, 0xbb, 0xcc] {
        put(&mut far, &[first; 20]);
    }
    iface.receive(NOW, 64, &mut up);
    assert_eq!(up.packets, [(0, 0xaa), (0, 0xdd)]);
    // One packet, and both answers.
    assert_eq!(up.drops, [Drop::Filtered; 3]);
    assert_eq!(
        send(&mut iface, hop(0, [10, 0, 0, 2]), &[0xbb; 9]),
        Err(TxError::Dropped)
    );
    send(&mut iface, hop(0, [10, 0, 0, 2]), &[0xcc; 2]).unwrap();
    assert_eq!(iface.inner.device().in_flight(), [[0xdd, 0xcc]]);
    iface.receive(NOW, 64, &mut up);
    assert_eq!(
        up.drops.len(),
        4,
        "what was dropped on the way down is counted"
    );
}

#[test]
fn a_filter_is_transparent_to_address_resolution() {
    let (near, mut far) = Cable::new(1514);
    let marker = Marker::<true> { egress: vec![] };
    let mut iface = Filtered::new(Ethernet::new(near, US), marker);
    let mut up = Up::default();
    send(&mut iface, hop(0, PEER_IP.octets()), &[0xaa; 20]).unwrap();
    assert_eq!(iface.deadline(), Some(Instant::from_secs(1)));
    let reply = Arp::request((US, OUR_IP), PEER_IP).reply(PEER);
    put(&mut far, &arp_frame(US, reply));
    iface.receive(NOW, 64, &mut up);
    assert!(iface.take_resolved());
    assert_eq!(iface.inner.device().in_flight().len(), 2);
    iface.announce(0, OUR_IP.into());
    assert_eq!(iface.deadline(), Some(NOW));
    assert_eq!((iface.mtu(0), up.drops.len()), (1500, 0));
}

/// A device that gathers, and notes how a frame came: octets written, octets left where they
/// were, metadata.
struct Gatherer {
    sent: Option<(usize, [usize; 2], TxMeta)>,
}

impl Device for Gatherer {
    fn capabilities(&self) -> Capabilities {
        let limits = GsoLimits {
            max_size: 60_000,
            max_segments: 64,
        };
        Capabilities::new(1514)
            .with_tx_csum(true)
            .with_gso(Some(limits))
    }
    fn receive(&mut self, _: Instant, _: usize, _: &mut impl FrameSink) -> usize {
        0
    }
    fn transmit(&mut self, _: Instant) -> Option<impl TxToken> {
        Some(self)
    }
}

impl TxToken for &mut Gatherer {
    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        fill(&mut vec![0; head])?;
        self.sent = Some((head, payload.map(<[u8]>::len), meta));
        Ok(())
    }
}

#[test]
fn payload_stays_where_it_is_and_offsets_move() {
    let csum = Some(Csum {
        start: 20,
        offset: 16,
    });
    let gso = Some(Gso {
        mss: 1460,
        header: 40,
    });
    let meta = TxMeta {
        csum,
        gso,
        ..TxMeta::NONE
    };
    let gathered = |sees_payload: bool| {
        let device = Gatherer { sent: None };
        let mut ethernet = Ethernet::new(device, US);
        ethernet.add_static(PEER_IP.into(), OTHER).unwrap();
        let gso = ethernet.offload(0).gso.unwrap();
        assert_eq!(gso.max_size, 60_000 - 14);
        let hop = hop(0, PEER_IP.octets());
        let payload: [&[u8]; 2] = [&[1; 30_000], &[2; 20_000]];
        if sees_payload {
            let mut iface = Filtered::new(ethernet, Marker::<true> { egress: vec![] });
            let tx = iface.transmit(NOW, hop, Wait::Park).ok().unwrap();
            tx.send_gather(40, payload, meta, copy(&[0; 40])).unwrap();
            (iface.inner.device_mut().sent.take(), iface.filter.egress)
        } else {
            let mut iface = Filtered::new(ethernet, Marker::<false> { egress: vec![] });
            let tx = iface.transmit(NOW, hop, Wait::Park).ok().unwrap();
            tx.send_gather(40, payload, meta, copy(&[0; 40])).unwrap();
            (iface.inner.device_mut().sent.take(), iface.filter.egress)
        }
    };
    let moved = meta.shifted(14);
    assert_eq!(
        gathered(false),
        (Some((54, [30_000, 20_000], moved)), vec![40])
    );
    assert_eq!(
        gathered(true),
        (Some((50_054, [0, 0], moved)), vec![50_040])
    );
}

#[test]
fn what_exceeds_the_device_is_refused() {
    let mut ethernet = Ethernet::new(Gatherer { sent: None }, US);
    ethernet.add_static(PEER_IP.into(), OTHER).unwrap();
    let mut try_len = |len: usize, meta: TxMeta, to: [u8; 4]| {
        let tx = ethernet.transmit(NOW, hop(0, to), Wait::Queue)?;
        assert_eq!(tx.mtu(), 1500);
        tx.send(len, meta, |_| Ok(()))
    };
    let gso = TxMeta {
        gso: Some(Gso {
            mss: 1000,
            header: 40,
        }),
        ..TxMeta::NONE
    };
    let known = PEER_IP.octets();
    assert_eq!(try_len(1500, TxMeta::NONE, known), Ok(()));
    assert_eq!(
        try_len(1501, TxMeta::NONE, known),
        Err(TxError::TooBig(1500))
    );
    assert_eq!(try_len(59_986, gso, known), Ok(()));
    assert_eq!(try_len(59_987, gso, known), Err(TxError::TooBig(59_986)));
    // What is to be cut does not wait for neighbours: its pieces do, once their sender cut it.
    let silent = [10, 0, 0, 3];
    assert_eq!(try_len(1500, gso, silent), Err(TxError::TooBig(1040)));
    assert_eq!(try_len(1500, TxMeta::NONE, silent), Ok(()));
    assert_eq!(
        try_len(1501, TxMeta::NONE, silent),
        Err(TxError::TooBig(1500))
    );
    assert!(ethernet.deadline() <= Some(NOW + Duration::from_secs(1)));
}
