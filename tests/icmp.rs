//! Echo, errors sent and received, and how often they are sent.

mod hosts;

use core::net::Ipv4Addr;
use core::time::Duration;

use hosts::{A, ALL, B, Host, Seed, Wire, cut, drops, dump, echo, host, icmp, ip, ip_with, udp};
use netstrata::error::Drop;
use netstrata::icmp::{Event, Icmp, PingSocket};
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::net::limit::{IcmpLimit, Rate};
use netstrata::phy::{Cable, Device, Instant, RxMeta};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::transport::{SendError, Why};
use netstrata::udp::Udp;
use netstrata::wire::{self, Icmpv4, Redirect, TimeExceeded, Unreachable};
use netstrata::{Next, Stack};

type Ping = PingSocket<Box<[u8]>>;

fn boxed(len: usize) -> Box<[u8]> {
    vec![0; len].into()
}

fn ping(host: &mut Host<(Icmp, Udp)>, ident: u16) -> Handle<Ping> {
    let socket = PingSocket::new(ident, boxed(4096), boxed(4096));
    host.open(socket).unwrap()
}

fn hosted() -> (Host<(Icmp, Udp)>, Wire) {
    host((Icmp::default(), Udp::default()))
}

/// What a ping socket heard: who says it, about whom, number, TTL, and what.
fn heard(host: &mut Host<(Icmp, Udp)>, h: Handle<Ping>) -> Vec<String> {
    let mut all = vec![];
    host.socket(h)
        .with(|s| {
            while let Some(text) = s.recv(|r| {
                let (from, about, seq, ttl, when) = (r.from, r.about, r.seq, r.ttl, r.when);
                format!(
                    "{from} about {about} seq {seq} ttl {ttl} at {when}: {:?}",
                    r.event
                )
            }) {
                all.push(text);
            }
        })
        .unwrap();
    all
}

#[test]
fn an_echo_request_is_answered_in_the_same_poll() {
    let (mut host, mut wire) = hosted();
    let request = echo(A, b"an odd number of data octets.");
    let reply = wire.ask(&mut host, &request);
    insta::assert_snapshot!("echo", dump(&[vec![request], reply].concat()));
    assert_eq!(host.stats().icmp_echoes, 1);
    assert_eq!((host.stats().tx_packets, host.stats().tx_octets), (1, 57));
    assert_eq!(drops(&host), []);
}

#[test]
fn closing_sends_what_is_queued_first() {
    let (mut host, mut wire) = hosted();
    for ident in [7, 0] {
        let h = ping(&mut host, ident);
        for seq in 1..=2 {
            host.socket(h)
                .with(|s| s.send_to(B.into(), seq, b"bye", None))
                .unwrap()
                .unwrap();
        }
        host.close(h).unwrap();
        host.poll(wire.now);
        assert_eq!(wire.take().len(), 2);
        assert!(host.socket(h).with(|_| ()).is_err());
    }
    // With nothing queued it goes at once, and its identifier is free.
    let h = ping(&mut host, 7);
    host.close(h).unwrap();
    assert!(host.socket(h).with(|_| ()).is_err());
}

#[test]
fn the_reply_has_the_service_of_the_request_and_no_congestion() {
    let (mut host, mut wire) = hosted();
    let request = echo(A, b"x");
    let (mut header, _, message) = wire::Ipv4::parse(&request).unwrap();
    (header.dscp, header.ecn, header.ttl) = (46, 3, 9);
    let request = ip_with(B, A, 1, message, |h| *h = header);
    let reply = wire.ask(&mut host, &request);
    let (ip, _, _) = wire::Ipv4::parse(&reply[0]).unwrap();
    assert_eq!((ip.dscp, ip.ecn, ip.ttl), (46, 0, 64));
}

#[test]
fn broadcasts_are_answered_only_on_request() {
    let (mut host, mut wire) = hosted();
    for dst in [ALL, [255; 4].into(), [224, 0, 0, 1].into()] {
        assert!(wire.ask(&mut host, &echo(dst, b"all")).is_empty());
    }
    assert_eq!(drops(&host), [(Drop::Filtered, 3)]);

    let (mut host, mut wire) = hosts::host((Icmp::default().answering_broadcast(true),));
    let reply = wire.ask(&mut host, &echo(ALL, b"all"));
    let (ip, ..) = wire::Ipv4::parse(&reply[0]).unwrap();
    assert_eq!((ip.src, ip.dst), (A, B));

    let (mut host, mut wire) = hosts::host((Icmp::default().answering(false),));
    assert!(wire.ask(&mut host, &echo(A, b"us")).is_empty());
}

#[test]
fn bad_messages_are_dropped_for_their_reason() {
    let (mut host, mut wire) = hosted();
    let mut bad = echo(A, b"data");
    bad[24] ^= 1;
    assert!(wire.ask(&mut host, &bad).is_empty());
    assert!(wire.ask(&mut host, &ip(B, A, 1, &[8, 0, 0])).is_empty());
    let mask = Icmpv4::MaskRequest {
        ident: 1,
        seq: 1,
        mask: 0,
    };
    assert!(wire.ask(&mut host, &icmp(B, A, mask, b"")).is_empty());
    let reply = Icmpv4::EchoReply { ident: 9, seq: 1 };
    assert!(wire.ask(&mut host, &icmp(B, A, reply, b"")).is_empty());
    let expected = [
        (Drop::Truncated, 1),
        (Drop::BadChecksum, 1),
        (Drop::UnknownProtocol, 1),
        (Drop::NoSocket, 1),
    ];
    assert_eq!(drops(&host), expected);
}

#[test]
fn answers_that_find_no_room_are_counted() {
    let (near, far) = Cable::with_queue(1500, 2);
    let mut host = Stack::new(
        Ip::new(near),
        Ipv4::default().with(0, A, 24),
        (Icmp::default(), Udp::default()),
        SlabSockets,
        &mut Seed(1),
    );
    let now = Instant::from_secs(1);
    let mut wire = Wire { end: far, now };
    for _ in 0..2 {
        wire.put(&echo(A, b"x"));
        wire.put(&udp((B, 1), (A, 9), b"?"));
        host.poll(now);
    }
    assert_eq!(wire.take().len(), 2);
    assert_eq!(host.stats().drops.get(Drop::TxFull), 2);
}

#[test]
fn a_large_request_in_fragments_comes_back_in_fragments() {
    let (mut host, mut wire) = hosted();
    let data: Vec<u8> = (0..5000u32).map(|n| (n * 7) as u8).collect();
    let request = echo(A, &data);
    for piece in cut(&request, 1500) {
        wire.put(&piece);
    }
    host.poll(wire.now);
    let reply = wire.take();
    let mut whole = vec![];
    let mut shape = vec![];
    for piece in &reply {
        let (ip, _, octets) = wire::Ipv4::parse(piece).unwrap();
        assert_eq!(usize::from(ip.fragment_offset), whole.len());
        shape.push((ip.fragment_offset, octets.len(), ip.more_fragments));
        whole.extend_from_slice(octets);
    }
    assert_eq!(
        shape,
        [
            (0, 1480, true),
            (1480, 1480, true),
            (2960, 1480, true),
            (4440, 568, false)
        ]
    );
    let expected = Icmpv4::EchoReply { ident: 77, seq: 3 };
    assert_eq!(Icmpv4::parse(&whole), Ok((expected, &data[..])));
    let idents: Vec<_> = reply.iter().map(|p| p[4..6].to_vec()).collect();
    assert!(idents.windows(2).all(|w| w[0] == w[1]));
    assert_eq!(host.stats().icmp_echoes, 1);
}

#[test]
fn large_replies_that_cannot_leave_are_bounded() {
    let (mut host, mut wire) = hosted();
    let request = echo(A, &[1; 3000]);
    for round in 0..20 {
        for mut piece in cut(&request, 1500) {
            piece[4..6].copy_from_slice(&[0, round]);
            let sum = wire::checksum(&[&piece[..10], &[0, 0], &piece[12..20]].concat());
            piece[10..12].copy_from_slice(&sum.to_be_bytes());
            wire.put(&piece);
        }
    }
    host.poll(wire.now);
    assert_eq!(host.stats().icmp_echoes, 8);
    assert_eq!(drops(&host), [(Drop::Memory, 12)]);
}

#[test]
fn closed_ports_and_unknown_protocols_are_told() {
    let (mut host, mut wire) = hosted();
    let mut seen = vec![udp((B, 5000), (A, 7), b"hello?")];
    let said = wire.ask(&mut host, &seen[0]);
    seen.extend(said);
    let unknown = ip(B, A, 132, b"stream control");
    let said = wire.ask(&mut host, &unknown);
    seen.push(unknown);
    seen.extend(said);
    insta::assert_snapshot!("unreachable", dump(&seen));
    assert_eq!(host.stats().icmp_errors_sent, 2);
    assert_eq!(
        drops(&host),
        [(Drop::UnknownProtocol, 1), (Drop::NoSocket, 1)]
    );
}

#[test]
fn errors_quote_what_576_octets_hold() {
    let (mut host, mut wire) = hosted();
    let packet = udp((B, 5000), (A, 7), &[5; 1200]);
    let said = wire.ask(&mut host, &packet);
    assert_eq!(said[0].len(), 576);
    assert_eq!(said[0][28..], packet[..548]);
}

/// RFC 1122 §3.2.2, RFC 1812 §4.3.2.7.
#[test]
fn nothing_is_said_about_errors_groups_and_strangers() {
    let to = |dst: [u8; 4]| udp((B, 5000), (dst.into(), 7), b"?");
    let error = icmp(
        B,
        A,
        Icmpv4::Unreachable(Unreachable::Port),
        &udp((A, 9), (B, 9), b"")[..28],
    );
    let unheard = icmp(
        B,
        A,
        Icmpv4::Other {
            kind: 40,
            code: 0,
            rest: [0; 4],
        },
        b"",
    );
    let cases = [
        to([10, 0, 0, 255]),
        to([255, 255, 255, 255]),
        to([224, 0, 0, 1]),
        error,
        unheard,
        udp(([0, 0, 0, 0].into(), 5000), (A, 7), b"?"),
        udp(([224, 0, 0, 1].into(), 5000), (A, 7), b"?"),
        udp(([127, 0, 0, 1].into(), 5000), (A, 7), b"?"),
        udp((ALL, 5000), (A, 7), b"?"),
        udp((A, 5000), (A, 7), b"?"),
        // A fragment, first or later, is no packet yet.
        cut(&udp((B, 5000), (A, 7), &[0; 64]), 56)[1].clone(),
        // Not ours: hosts do not forward, and do not say so.
        to([10, 0, 0, 3]),
    ];
    for (n, packet) in cases.iter().enumerate() {
        // Without `Icmp` in the tuple an unknown ICMP message is an unknown protocol.
        let (mut host, mut wire) = host((Udp::default(),));
        assert!(wire.ask(&mut host, packet).is_empty(), "case {n}");
        assert_eq!(host.stats().icmp_errors_sent, 0);
    }
}

#[test]
fn errors_are_rationed_by_destination_and_in_all() {
    let (mut host, mut wire) = hosted();
    let mut said = 0;
    for _ in 0..500 {
        said += wire.ask(&mut host, &udp((B, 5000), (A, 7), b"?")).len();
    }
    // Each costs up to a quarter more than its share, so that nobody can count on it.
    assert!((5..=6).contains(&said), "{said}");
    let other = udp(([10, 0, 0, 3].into(), 5000), (A, 7), b"?");
    assert_eq!(wire.ask(&mut host, &other).len(), 1);
    wire.now += Duration::from_millis(260);
    for _ in 0..500 {
        said += wire.ask(&mut host, &udp((B, 5000), (A, 7), b"?")).len();
    }
    assert!((7..=8).contains(&said), "{said}");
    let limited = host.stats().drops.get(Drop::RateLimited);
    assert_eq!(limited, 1000 - said as u64);

    // Many destinations share fifty at once.
    let (mut host, mut wire) = hosted();
    let mut said = 0;
    for n in 0..1000u32 {
        let src = (0x0b00_0000 + n).into();
        said += wire.ask(&mut host, &udp((src, 5000), (A, 7), b"?")).len();
    }
    // No route back is needed for answers, which retrace the path.
    assert!((40..=50).contains(&said), "{said}");
    let quick = Rate {
        per_second: 1_000_000,
        burst: 1000,
    };
    host.icmp_limit().set_rates(quick, IcmpLimit::RATE_EACH);
    wire.now += Duration::from_secs(1);
    let said = (0..200u32).map(|n| {
        let src = (0x0c00_0000 + n).into();
        wire.ask(&mut host, &udp((src, 5000), (A, 7), b"?")).len()
    });
    assert!(said.sum::<usize>() > 150);
}

#[test]
fn two_hosts_ping_each_other() {
    let (mut host, mut wire) = hosted();
    let h = ping(&mut host, 0);
    host.socket(h)
        .with(|s| s.send_to(B.into(), 1, b"where are you", Some(7)))
        .unwrap()
        .unwrap();
    host.poll(wire.now);
    let request = wire.take();
    let (ip, _, message) = wire::Ipv4::parse(&request[0]).unwrap();
    assert_eq!((ip.src, ip.dst, ip.ttl), (A, B, 7));
    let (asked, data) = Icmpv4::parse(message).unwrap();
    let Icmpv4::EchoRequest { ident, seq: 1 } = asked else {
        panic!("{asked:?}")
    };
    assert_eq!(host.socket(h).look(|s| s.ident()).unwrap(), Some(ident));

    wire.now += Duration::from_millis(20);
    let reply = icmp(B, A, Icmpv4::EchoReply { ident, seq: 1 }, data);
    assert!(wire.ask(&mut host, &reply).is_empty());
    assert_eq!(host.next_news::<Ping, _>(), Some(h));
    assert_eq!(
        heard(&mut host, h),
        [
            "10.0.0.2 about 10.0.0.1 seq 1 ttl 64 at 1.020000s: Reply([119, 104, 101, 114, 101, 32, 97, 114, 101, 32, 121, 111, 117])"
        ]
    );
    assert_eq!(host.next_news::<Ping, _>(), None);
}

#[test]
fn identifiers_are_not_shared() {
    let (mut host, mut wire) = hosted();
    let first = ping(&mut host, 5);
    let twin = PingSocket::new(5, boxed(64), boxed(64));
    assert!(host.open(twin).is_err());
    let second = ping(&mut host, 0);
    host.socket(second)
        .with(|s| s.send_to(B.into(), 1, b"", None))
        .unwrap()
        .unwrap();
    host.poll(wire.now);
    let chosen = host.socket(second).look(|s| s.ident()).unwrap();
    assert!(chosen.is_some_and(|ident| ident != 5));
    let reply = Icmpv4::EchoReply { ident: 5, seq: 9 };
    wire.ask(&mut host, &icmp(B, A, reply, b""));
    assert_eq!(heard(&mut host, first).len(), 1);
    assert_eq!(heard(&mut host, second).len(), 0);
}

/// The request a router would quote.
fn quoted(dont_fragment: bool) -> Vec<u8> {
    let request = icmp(A, B, Icmpv4::EchoRequest { ident: 5, seq: 2 }, b"data");
    let (_, _, message) = wire::Ipv4::parse(&request).unwrap();
    ip_with(A, B, 1, message, |h| h.dont_fragment = dont_fragment)
}

#[test]
fn errors_reach_the_socket_that_sent_what_they_quote() {
    let router = [10, 0, 0, 254].into();
    let big = Unreachable::FragmentationNeeded { mtu: 1400 };
    let vague = Unreachable::FragmentationNeeded { mtu: 0 };
    let errors = [
        (Icmpv4::Unreachable(Unreachable::HostUnknown), false),
        (Icmpv4::Unreachable(Unreachable::AdminProhibited), false),
        (Icmpv4::TimeExceeded(TimeExceeded::Transit), false),
        (
            Icmpv4::ParameterProblem {
                code: 0,
                pointer: 8,
            },
            false,
        ),
        (Icmpv4::Unreachable(big), true),
        (Icmpv4::Unreachable(vague), true),
    ];
    let (mut host, mut wire) = hosted();
    let h = ping(&mut host, 5);
    for (message, dont_fragment) in errors {
        let error = icmp(router, A, message, &quoted(dont_fragment));
        assert!(wire.ask(&mut host, &error).is_empty());
    }
    insta::assert_snapshot!("errors_heard", heard(&mut host, h).join("\n"));
    assert_eq!(host.stats().icmp_errors_received, 6);
    assert_eq!(drops(&host), []);
}

#[test]
fn errors_about_what_we_did_not_send_are_not_believed() {
    let port = Icmpv4::Unreachable(Unreachable::Port);
    let big = Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu: 600 });
    let redirect = Icmpv4::Redirect {
        code: Redirect::Host,
        gateway: B,
    };
    let ours = quoted(false);
    let (_, _, message) = wire::Ipv4::parse(&ours).unwrap();
    let stranger = ip([10, 0, 0, 9].into(), B, 1, message);
    let later = ip_with(A, B, 1, message, |h| h.fragment_offset = 8);
    let unknown = icmp(A, B, Icmpv4::EchoRequest { ident: 6, seq: 2 }, b"");
    let cases = [
        icmp(B, A, port, &stranger),
        icmp(B, A, port, &later),
        icmp(B, A, port, &unknown),
        icmp(B, A, port, &udp((A, 9), (B, 9), b"")),
        icmp(B, A, port, &ours[..27]),
        icmp(B, A, port, &ours[..19]),
        icmp(B, ALL, port, &ours),
        icmp(B, A, big, &ours),
        icmp(B, A, redirect, &ours),
        icmp(B, A, Icmpv4::SourceQuench, &ours),
    ];
    let (mut host, mut wire) = hosted();
    let h = ping(&mut host, 5);
    for packet in &cases {
        assert!(wire.ask(&mut host, packet).is_empty());
    }
    let mut garbled = icmp(B, A, port, &ours);
    garbled[30] ^= 1;
    wire.ask(&mut host, &garbled);
    assert!(heard(&mut host, h).is_empty());
    assert_eq!(host.stats().icmp_errors_received, 0);
    let expected = [
        (Drop::Truncated, 1),
        (Drop::BadChecksum, 1),
        (Drop::BadIcmp, 9),
    ];
    assert_eq!(drops(&host), expected);
}

#[test]
fn what_cannot_leave_is_told_with_its_reason() {
    let (mut host, wire) = hosted();
    let h = ping(&mut host, 5);
    host.socket(h)
        .with(|s| {
            s.send_to([8, 8, 8, 8].into(), 1, b"", None).unwrap();
            s.send_to(ALL.into(), 2, b"", None).unwrap();
            s.set_dont_fragment(true);
            s.send_to(B.into(), 3, &[0; 1473], None).unwrap();
            let all = [255; 4].into();
            assert_eq!(s.send_to(all, 4, b"", None), Err(SendError::Broadcast));
        })
        .unwrap();
    host.poll(wire.now);
    let mut events = vec![];
    host.socket(h)
        .with(|s| {
            while let Some(event) = s.recv(|r| match r.event {
                Event::NotSent(why) => (r.seq, why, r.from),
                other => panic!("{other:?}"),
            }) {
                events.push(event);
            }
        })
        .unwrap();
    // Options are the socket's: what was queued before leaves, or not, as they are now. Our own
    // address says so where a way would have led from it.
    assert_eq!(
        events,
        [
            (1, Why::NoRoute, Ipv4Addr::UNSPECIFIED.into()),
            (2, Why::Broadcast, A.into()),
            (3, Why::TooBig(1500), A.into())
        ]
    );
    assert_eq!(
        host.poll(wire.now),
        Next::Wait {
            until: None,
            room: false
        }
    );
}

#[test]
fn a_full_link_does_not_swallow_the_news_of_room() {
    let (near, mut far) = Cable::with_queue(1500, 1);
    let net = Ipv4::default().with(0, A, 24);
    let protocols = (Icmp::default(),);
    let mut host = Stack::new(Ip::new(near), net, protocols, SlabSockets, &mut Seed(1));
    // Room for two requests of 20 octets.
    let h = host
        .open(PingSocket::new(1, boxed(4096), boxed(2 * (19 + 20))))
        .unwrap();
    let send = |host: &mut Stack<_, _, (Icmp,), SlabSockets>, seq| {
        let sent = host
            .socket(h)
            .with(|s: &mut Ping| s.send_to(B.into(), seq, &[7; 20], None));
        sent.unwrap()
    };
    assert_eq!(send(&mut host, 1), Ok(()));
    assert_eq!(send(&mut host, 2), Ok(()));
    let now = Instant::from_secs(1);
    host.poll(now); // the first fills the link
    assert_eq!(send(&mut host, 3), Ok(()));
    assert_eq!(send(&mut host, 4), Err(SendError::Full));
    host.poll(now); // the link is full still
    assert_eq!(host.next_news::<Ping, _>(), None);
    far.receive(now, 1, &mut |_: &mut [u8], _: RxMeta| {});
    host.poll(now);
    assert_eq!(host.next_news(), Some(h), "there is room for the fourth");
}
