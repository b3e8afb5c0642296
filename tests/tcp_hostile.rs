//! Hostile segments by the hundred thousand: nothing panics, nothing grows without bound, and
//! an honest connection beside them is served.
#![cfg(feature = "alloc")]

mod support;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::HashMap;

use netstrata::Stack;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, cable};
use netstrata::socket::{Handle, SlabSockets, SocketSet};
use netstrata::tcp::{Limits, SocketOf, Tcp, TcpSocket};
use netstrata::wire::{Tcp as Header, TcpFlags};
use support::script::{Script, packet_between};
use support::{EAST, Seed, pattern};

type Host = Stack<Ip<cable::End>, Ipv4, (Tcp,), SlabSockets>;
type Socket = SocketOf<SlabSockets>;

const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn host() -> (Script<Host>, Handle<Socket>) {
    let (end, wire) = Cable::new(1500);
    let ip = Ipv4::default().with(0, US, 24);
    let limits = Limits {
        handshakes: 100,
        time_wait: 50,
        ..Limits::default()
    };
    let tcp = Tcp::new().with_limits(limits);
    let host = Stack::new(Ip::new(end), ip, (tcp,), SlabSockets, &mut Seed(1));
    let mut script = Script::new(host, wire, 80);
    let listener = TcpSocket::listener((EAST, 80).into(), 20);
    let listener = script.host.open(listener).unwrap();
    (script, listener)
}

/// What the host last said to each peer: its sequence and acknowledgment numbers.
type Said = HashMap<(u8, u16), (u32, u32)>;

/// A segment of which any part may be nonsense, from one of a few peers.
fn nonsense(dice: &mut Seed, said: &Said) -> Vec<u8> {
    let (peer, port) = (2 + dice.below(3) as u8, 5000 + dice.below(20) as u16);
    let (theirs, ours) = said.get(&(peer, port)).copied().unwrap_or((0, 7));
    let near = |dice: &mut Seed, number: u32| match dice.below(12) {
        0 => dice.draw() as u32,
        1 => number.wrapping_add(dice.draw() as u32 % 4000),
        2 => number.wrapping_sub(dice.draw() as u32 % 4000),
        3 => number.wrapping_add(65_535),
        _ => number,
    };
    let tcp = Header {
        src: port,
        dst: if dice.below(50) == 0 { 81 } else { 80 },
        seq: near(dice, ours),
        ack: {
            let on = u32::from(dice.below(3) > 0);
            near(dice, theirs.wrapping_add(on))
        },
        flags: TcpFlags::from_bits(match dice.below(5) {
            0 => dice.draw() as u16,
            1 | 2 => 0x10,
            _ => [0x02, 0x12, 0x11, 0x04, 0x18, 0x18][dice.below(6)],
        }),
        window: [0, 1, 1000, 65_535][dice.below(4)],
        urgent: dice.draw() as u16,
    };
    let options: Vec<u8> = match dice.below(4) {
        0 => vec![
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 14,
        ],
        1 => vec![],
        2 => vec![
            1,
            1,
            8,
            10,
            0,
            0,
            dice.draw() as u8,
            1,
            0,
            0,
            0,
            dice.draw() as u8,
        ],
        _ => (0..4 * dice.below(11)).map(|_| dice.draw() as u8).collect(),
    };
    let text = vec![dice.draw() as u8; [0, 0, 1, 100, 1300][dice.below(5)]];
    let peer = Ipv4Addr::new(192, 0, 2, peer);
    let mut packet = packet_between(peer, US, &tcp, &options, &text);
    if dice.below(10) == 0 {
        let at = dice.below(packet.len());
        packet[at] ^= 1 << dice.below(8);
    }
    packet
}

#[test]
fn a_storm_of_nonsense() {
    for seed in 1..=4 {
        println!("seed {seed}");
        let mut dice = Seed(seed);
        let (mut script, listener) = host();
        let mut accepted = Vec::new();
        let mut total = 0;
        let mut said = Said::new();
        for n in 0..15_000 {
            let packet = nonsense(&mut dice, &said);
            script.inject(&packet);
            for sent in script.sent.drain(..) {
                let number = |at: usize| u32::from_be_bytes(sent[at..at + 4].try_into().unwrap());
                let port = u16::from_be_bytes([sent[22], sent[23]]);
                said.insert((sent[19], port), (number(24), number(28)));
            }
            script.forget();
            if n % 16 == 0 {
                script.wait(dice.below(400) as u64);
            }
            if n % 8 == 0 {
                while let Some(h) = script.host.socket(listener).accept() {
                    accepted.push(h);
                    total += 1;
                }
            }
            if accepted.len() > 10 {
                let h = accepted.remove(dice.below(10));
                let mut text = [0; 2000];
                let _ = script
                    .host
                    .socket(h)
                    .with(|s| (s.recv(&mut text), s.send(&text)));
                if dice.below(2) == 0 {
                    script.host.close(h).unwrap();
                } else {
                    accepted.push(h);
                }
            }
        }
        let tcp = &script.host.transports().0;
        assert!(tcp.handshakes() <= 100 && tcp.waiting() <= 50);
        let sockets = script.host.sockets::<Socket, _>().len();
        assert!(sockets < 200, "{sockets} sockets");
        // Else the storm only ever reached the listener.
        assert!(total > 50, "{total} connections");

        // An honest peer is served as if nothing had been.
        script.forget();
        script.play("< port 9000 S 0:0 win 65535 <mss 1460>\n< port 9000 . ack 1 win 65535");
        script.play("< port 9000 P. 1:101 ack 1 win 65535");
        let h = loop {
            let h = script.host.socket(listener).accept();
            let h = h.unwrap_or_else(|| panic!("not accepted:\n{}", script.transcript()));
            let peer = script.host.socket(h).look(|s| s.peer_addr()).unwrap();
            if peer.is_some_and(|peer| peer.port() == 9000) {
                break h;
            }
        };
        let mut text = [0; 200];
        let read = script.host.socket(h).with(|s| s.recv(&mut text)).unwrap();
        assert_eq!(read, Ok(100));
        assert!((1..=100).all(|n| text[n - 1] == pattern(n as u64)));
    }
}

#[test]
fn a_flood_of_syns_leaves_room_for_an_honest_one() {
    let (mut script, listener) = host();
    let mut dice = Seed(5);
    for n in 0..20_000u32 {
        let tcp = Header {
            src: dice.draw() as u16 | 1,
            dst: 80,
            seq: n,
            ack: 0,
            flags: TcpFlags::SYN,
            window: 1000,
            urgent: 0,
        };
        let peer = Ipv4Addr::from_bits(0x0a00_0000 | dice.draw() as u32 & 0xff_ffff);
        let host = u32::from(peer) & 0xff;
        let near = Ipv4Addr::new(192, 0, 2, 3 + (host % 250) as u8);
        script.inject(&packet_between(near, US, &tcp, &[2, 4, 5, 0xb4], &[]));
        script.sent.clear();
        script.forget();
    }
    assert_eq!(script.host.transports().0.handshakes(), 20);
    assert!(script.host.stats().tcp_cookies_sent > 19_000);
    script.play("< S 0:0 win 65535 <mss 1460>\n< . ack 1 win 65535");
    assert!(script.host.socket(listener).accept().is_some());
    assert_eq!(script.host.sockets::<Socket, _>().len(), 2);
    script.wait(Duration::from_secs(70).as_millis() as u64);
    assert_eq!(script.host.transports().0.handshakes(), 0);
}
