//! Handshakes that no kernel makes, put on the wire of a running server octet by octet.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "support/lab.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod lab;
#[path = "support/netns.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "each test file takes what it needs"
)]
mod netns;
#[path = "../ci/fuzz/src/peer.rs"]
#[allow(dead_code, reason = "it can do more than is asked of it here")]
mod peer;

use std::net::Ipv4Addr;

use lab::{Kind, Lab, OURS, PORT};
use netns::HANG;
use netstrata::wire::{Arp, Ethernet, Ipv4, Tcp, TcpFlags, TcpOptions, ethertype, protocol};
use peer::{HOST_MAC, Peer, ip_frame, tcp_segment};
use phy::{Device, Instant, RawSocket, RxMeta, TxMeta, TxToken, Waiter, Watch};

/// A station of the link that the kernel knows nothing of.
const STATION: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 77);
const NOW: Instant = Instant::ZERO;

/// The station: a packet socket on the kernel's end of the tap.
struct Station {
    socket: RawSocket,
    waiter: Waiter,
    peer: Peer,
    port: u16,
    seq: u32,
}

impl Station {
    fn put(&mut self, frame: &[u8]) {
        let token = self.socket.transmit(NOW).expect("room");
        let fill = |to: &mut [u8]| {
            to.copy_from_slice(frame);
            Ok(())
        };
        token.send(frame.len(), TxMeta::NONE, fill).expect("sent");
        self.socket.flush(NOW);
    }

    /// Sends a segment with these options, as they are.
    fn send(&mut self, flags: TcpFlags, options: &[u8], text: &[u8]) {
        let flow = self.peer.flow(PORT, self.port);
        let tcp = Tcp {
            src: self.port,
            dst: PORT,
            seq: self.seq,
            ack: flow.map_or(0, |flow| flow.ack),
            flags,
            window: 4000,
            urgent: 0,
        };
        let ours: Ipv4Addr = OURS.parse().expect("an address");
        let ip = Ipv4::new(STATION, ours, protocol::TCP);
        let segment = tcp_segment(&ip.header(), &tcp, options, text);
        self.put(&ip_frame(&ip, &[], &segment));
        let counts = u32::from(flags.syn()) + u32::from(flags.fin()) + text.len() as u32;
        self.seq = self.seq.wrapping_add(counts);
    }

    /// The next segment that is `wanted`, its options and text; lookups are answered meanwhile.
    fn hear(&mut self, wanted: impl Fn(&Tcp, &[u8]) -> bool) -> (Tcp, TcpOptions) {
        loop {
            let watch = [Watch::readable(&self.socket)];
            let woken = self.waiter.wait(&watch, Some(HANG)).expect("no error");
            assert!(woken.ready, "no answer");
            let (mut answers, mut found) = (Vec::new(), None);
            let (peer, port) = (&mut self.peer, self.port);
            let mut sink = |frame: &mut [u8], _: RxMeta| {
                if concerns(frame) {
                    answers.extend(peer.hear(frame));
                }
                if let Some((tcp, options, text)) = segment(frame)
                    && tcp.dst == port
                    && wanted(&tcp, text)
                {
                    found = found.or(Some((tcp, options)));
                }
            };
            self.socket.receive(NOW, 64, &mut sink);
            for answer in answers {
                self.put(&answer);
            }
            if let Some(found) = found {
                return found;
            }
        }
    }
}

/// Is it for the station?
fn concerns(frame: &[u8]) -> bool {
    let Some((eth, rest)) = Ethernet::split(frame) else {
        return false;
    };
    match (eth.kind, rest.first_chunk().map(Arp::parse)) {
        (ethertype::ARP, Some(Ok(arp))) => arp.target.1 == STATION,
        (ethertype::IPV4, _) => segment(frame).is_some(),
        _ => false,
    }
}

fn segment(frame: &[u8]) -> Option<(Tcp, TcpOptions, &[u8])> {
    let (_, packet) = Ethernet::split(frame)?;
    let (ip, _, segment) = Ipv4::parse(packet).ok()?;
    let (tcp, options, text) = Tcp::parse(segment).ok()?;
    let ours = ip.dst == STATION && ip.protocol == protocol::TCP;
    ours.then(|| (tcp, TcpOptions::parse(options), text))
}

#[test]
fn a_syn_may_have_any_options_or_none() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let _server = lab.server(&format!("--mac {HOST_MAC}"));
    let socket = lab.kernel.run(|| RawSocket::open("port0").expect("root"));
    let mut station = Station {
        socket,
        waiter: Waiter::new().expect("a descriptor"),
        peer: Peer::default(),
        port: 40_000,
        seq: 0xffff_fff0,
    };
    let cases: [(&str, &[u8]); 8] = [
        ("none", &[]),
        ("an MSS alone", &[2, 4, 5, 180]),
        ("an unknown kind", &[99, 4, 1, 2]),
        (
            "an unknown kind that fills all",
            &[[200, 40].as_slice(), &[7; 38]].concat(),
        ),
        ("one that is cut off", &[2, 4, 5, 180, 99, 9, 1, 2]),
        ("a length of zero", &[99, 0, 0, 0]),
        ("an MSS of zero", &[2, 4, 0, 0]),
        ("padding and no end", &[1; 40]),
    ];
    for (what, options) in cases {
        station.port += 1;
        station.send(TcpFlags::SYN, options, b"");
        let (tcp, theirs) = station.hear(|tcp, _| tcp.flags.syn());
        assert_eq!(tcp.flags, TcpFlags::SYN | TcpFlags::ACK, "{what}");
        assert_eq!(tcp.ack, station.seq, "{what}");
        // What was not offered must not be answered (RFC 7323 §2.2 and §3.2, RFC 2018 §2).
        let answered = (
            theirs.window_scale,
            theirs.sack_permitted,
            theirs.timestamps,
        );
        assert_eq!(answered, (None, false, None), "{what}");
        assert!(theirs.mss.is_some(), "{what}");
        station.send(TcpFlags::ACK | TcpFlags::PSH, &[], b"hello");
        station.hear(|tcp, text| text == b"hello" && tcp.flags.ack());
        station.send(TcpFlags::FIN | TcpFlags::ACK, &[], b"");
        station.hear(|tcp, _| tcp.flags.fin());
        station.send(TcpFlags::ACK, &[], b"");
    }
}
