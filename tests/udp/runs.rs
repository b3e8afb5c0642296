//! Datagrams of one flow in one batch are received by a shorter way: it must lead to the same.

use netstrata::stats::Stats;
use netstrata::wire::{Sum, protocol};

use crate::hosts::{A, ALL, B, Seed, ip_with, udp};
use crate::{Socket, at, hosted};

/// What a socket with little room made of `frames`, a poll for every `batch` of them.
type Seen = (Vec<(String, Vec<u8>, u8, u8)>, Vec<usize>, Stats, usize);

fn receive(frames: &[Vec<u8>], batch: usize) -> Seen {
    let (mut host, mut wire) = hosted();
    let mut open = Socket::new(7, vec![0; 1000].into(), vec![0; 100].into());
    let any = host.open(open).unwrap();
    open = Socket::new(8, vec![0; 1000].into(), vec![0; 100].into());
    open.connect(at(B, 9)).unwrap();
    let only = host.open(open).unwrap();
    host.poll(wire.now);
    let (mut all, mut news) = (vec![], vec![]);
    for frames in frames.chunks(batch) {
        for frame in frames {
            wire.put(frame);
        }
        host.poll(wire.now);
        while let Some(h) = host.next_news::<Socket, _>() {
            news.push(usize::from(h == only));
        }
    }
    for h in [any, only] {
        let take = |socket: &mut Socket| {
            while let Ok(one) = socket.recv_with(|meta, data| {
                let ends = format!("{} > {}", meta.peer, meta.local);
                (ends, data.to_vec(), meta.ttl, meta.tos)
            }) {
                all.push(one);
            }
        };
        host.socket(h).with(take).unwrap();
    }
    news.sort_unstable();
    news.dedup();
    let answers = wire.take().len();
    (all, news, *host.stats(), answers)
}

/// Of five kinds of flow, most of them right, some not.
fn frame(seed: &mut Seed) -> Vec<u8> {
    let n = seed.next();
    let data: Vec<u8> = (0..n % 90).map(|octet| (octet ^ n) as u8).collect();
    let (from, to) = match n >> 8 & 15 {
        0 => ((B, 10), (A, 8)),
        1 => ((B, 9), (A, 99)),
        2 => ((B, 9), (ALL, 7)),
        3..8 => ((B, 9), (A, 8)),
        _ => ((B, 9), (A, 7)),
    };
    let mut frame = udp(from, to, &data);
    match n >> 16 & 31 {
        // No checksum, which is none that is wrong.
        0 => frame[26..28].fill(0),
        1 => frame[26] ^= 0x40,
        2 => frame[10] ^= 0x01,
        // Lengths that do not add up.
        3 => frame[25] = frame[25].wrapping_add(1),
        4 => frame[25] = frame[25].wrapping_sub(1),
        5 => frame[25] = 7,
        6 => frame.push(0xee),
        7 => {
            frame.pop();
        }
        8 => {
            frame = ip_with(from.0, to.0, protocol::UDP, &frame[20..], |ip| ip.ecn = 3);
        }
        9 => {
            frame = ip_with(from.0, to.0, protocol::UDP, &frame[20..], |ip| {
                (ip.ident, ip.dont_fragment) = (n as u16, true);
            });
        }
        10 => {
            frame = ip_with(from.0, to.0, protocol::UDP, &frame[20..], |ip| ip.ttl = 3);
        }
        // Fewer octets of UDP than of IP.
        11 => {
            let len = frame.len() as u16;
            frame.extend([1, 2, 3]);
            frame[2..4].copy_from_slice(&(len + 3).to_be_bytes());
            frame[10..12].fill(0);
            let sum = Sum::of(&frame[..20]).finish();
            frame[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        _ => {}
    }
    frame
}

#[test]
fn batches_are_received_as_single_datagrams_are() {
    let mut seen = Stats::default();
    for seed in 0..300 {
        let mut seed = Seed(seed);
        let frames: Vec<_> = (0..60).map(|_| frame(&mut seed)).collect();
        let alone = receive(&frames, 1);
        for batch in [2, 7, 60] {
            assert_eq!(receive(&frames, batch), alone, "seed {}", seed.0);
        }
        seen.udp_received += alone.2.udp_received;
        for (reason, n) in alone.2.drops.iter() {
            (0..n).for_each(|_| seen.drops.count(reason));
        }
    }
    // Were all kinds among them?
    use netstrata::error::Drop::*;
    for reason in [BadChecksum, Truncated, Malformed, NoSocket, SocketFull] {
        assert!(seen.drops.get(reason) > 100, "{reason:?}");
    }
    assert!(seen.udp_received > 5000);
}
