//! Transfers over bad cables in virtual time: every octet arrives, both ways, and nothing stalls.
#![cfg(feature = "alloc")]

mod support;

use core::time::Duration;

use netstrata::phy::{Cable, Fault, FaultConfig, Instant, cable};
use netstrata::socket::Handle;
use netstrata::tcp::TcpSocket;
use support::EAST;
use support::bulk::{Lan, Side, Socket, lan};
use support::pair::{Counted, End, Pair, wires};

type Bad = Lan<Counted<Fault<cable::End>>>;

/// What came of a transfer.
struct Outcome {
    pair: Pair<Bad, Bad>,
    took: Duration,
}

/// What can be told about a socket.
fn about(host: &mut Bad, h: Handle<Socket>, now: Instant) -> impl core::fmt::Debug {
    host.socket(h)
        .look(|s| (s.unacknowledged(), s.info(&Default::default(), now)))
}

/// Moves `there` octets from the client to the server and `back` the other way.
fn transfer(ends: (cable::End, cable::End), fault: FaultConfig, there: u64, back: u64) -> Outcome {
    let other = fault.with_seed(fault.seed ^ 0xffff);
    let (a, b, moved) = wires(Fault::new(ends.0, fault), Fault::new(ends.1, other));
    let mut pair = Pair::new(lan(a, 1), lan(b, 2), moved);
    let listener = TcpSocket::listener((EAST, 80).into(), 4);
    let listener = pair.a.open(listener).unwrap();
    let client = TcpSocket::connecting((EAST, 80).into());
    let mut client = Side::new(pair.b.open(client).unwrap(), there);
    let mut server: Option<Side> = None;
    // Where much is lost the timer backs off far, and what it measures then is long, too.
    let patience = Duration::from_secs(if fault.loss < percent(10) { 30 } else { 5000 });
    let start = pair.now;
    let mut last = (start, 0);
    let end = pair.run(Duration::from_secs(20_000), |a, b, now: Instant| {
        if server.is_none() {
            server = a.socket(listener).accept().map(|h| Side::new(h, back));
        }
        let over = server.as_mut().is_some_and(|side| side.act(a)) & client.act(b);
        let progress = client.got + server.as_ref().map_or(0, |side| side.got);
        if progress > last.1 {
            last = (now, progress);
        }
        let idle = now - last.0;
        if idle > patience {
            println!("{:#?}", about(b, client.h, now));
            println!("{:#?}", server.as_ref().map(|side| about(a, side.h, now)));
            panic!("nothing came for {idle:?}: {fault:?}");
        }
        over
    });
    if end != End::Done {
        println!("{:#?}", about(&mut pair.b, client.h, pair.now));
        println!(
            "{:#?}",
            server.map(|side| about(&mut pair.a, side.h, pair.now))
        );
        panic!("{end:?} at {:?}: {fault:?}", pair.now);
    }
    assert_eq!(client.got, back);
    assert_eq!(server.map(|side| side.got), Some(there));
    let took = pair.now - start;
    Outcome { pair, took }
}

/// Percent as parts per million.
const fn percent(n: u32) -> u32 {
    n * 10_000
}

fn each(seeds: u64, fault: FaultConfig, there: u64, back: u64) {
    for seed in 1..=seeds {
        let outcome = transfer(Cable::new(1514), fault.with_seed(seed), there, back);
        let Pair { a, b, .. } = outcome.pair;
        let retransmitted = a.stats().tcp_retransmitted + b.stats().tcp_retransmitted;
        println!(
            "seed {seed}: {there}+{back} octets in {:?}, {retransmitted} retransmitted",
            outcome.took
        );
        let resets = a.stats().tcp_resets_sent + b.stats().tcp_resets_sent;
        assert_eq!(resets, 0, "seed {seed}");
    }
}

const LAN: FaultConfig = FaultConfig::new().with_delay(Duration::from_micros(500));

#[test]
fn a_good_cable_loses_nothing() {
    // Nothing slows it, so windows grow until the transfer ends; the queue has room for that.
    let outcome = transfer(
        Cable::with_queue(1514, 10_000),
        LAN.with_queue(10_000),
        4_000_000,
        4_000_000,
    );
    let Pair { a, b, .. } = outcome.pair;
    let retransmitted = a.stats().tcp_retransmitted + b.stats().tcp_retransmitted;
    assert_eq!(retransmitted, 0);
    assert!(outcome.took < Duration::from_secs(2), "{:?}", outcome.took);
}

#[test]
fn loss() {
    each(5, LAN.with_loss(percent(2)), 2_000_000, 500_000);
}

#[test]
fn reordering() {
    each(5, LAN.with_reorder(percent(5)), 2_000_000, 500_000);
}

#[test]
fn duplicates() {
    each(3, LAN.with_duplicate(percent(10)), 2_000_000, 500_000);
}

#[test]
fn corruption() {
    each(3, LAN.with_corrupt(percent(2)), 1_000_000, 500_000);
}

#[test]
fn everything_at_once() {
    let fault = LAN
        .with_loss(percent(2))
        .with_reorder(percent(2))
        .with_duplicate(percent(1))
        .with_corrupt(percent(1) / 2)
        .with_delay(Duration::from_millis(10))
        .with_jitter(Duration::from_millis(2));
    each(5, fault, 1_000_000, 1_000_000);
}

#[test]
fn a_cable_that_loses_every_fifth_frame() {
    each(5, LAN.with_loss(percent(20)), 100_000, 20_000);
}

#[test]
fn a_narrow_link_with_a_short_queue() {
    let fault = LAN
        .with_rate(10_000_000)
        .with_delay(Duration::from_millis(20))
        .with_queue(40);
    let outcome = transfer(Cable::new(1514), fault, 5_000_000, 0);
    // Five megabytes take four seconds at this rate.
    assert!(outcome.took < Duration::from_secs(8), "{:?}", outcome.took);
}

#[test]
fn jumbo_and_tiny_frames() {
    let fault = LAN.with_loss(percent(2));
    for max_frame in [9014, 600, 150, 100] {
        let outcome = transfer(Cable::new(max_frame), fault.with_seed(3), 200_000, 50_000);
        println!("frames of {max_frame}: {:?}", outcome.took);
    }
}

#[test]
fn a_device_that_is_always_full() {
    for queue in [1, 3, 17] {
        let (a, b) = Cable::with_queue(1514, queue);
        let outcome = transfer((a, b), FaultConfig::new(), 1_000_000, 1_000_000);
        let Pair { a, b, .. } = outcome.pair;
        let retransmitted = a.stats().tcp_retransmitted + b.stats().tcp_retransmitted;
        println!("queue {queue}: {:?}, {retransmitted} again", outcome.took);
        // What finds no room waits and is not lost; an answer may be.
        assert!(outcome.took < Duration::from_secs(2), "{:?}", outcome.took);
        assert!(retransmitted < 20, "{retransmitted}");
    }
}

#[test]
fn super_segments_over_a_cable_with_offloads() {
    // No fault hides the offloads: checks that long segments are planned, sent and taken.
    let (a, b) = Cable::with_offload(1514);
    let (a, b, moved) = wires(a, b);
    let mut pair = Pair::new(lan(a, 1), lan(b, 2), moved);
    let listener = TcpSocket::listener((EAST, 80).into(), 4);
    let listener = pair.a.open(listener).unwrap();
    let client = TcpSocket::connecting((EAST, 80).into());
    let mut client = Side::new(pair.b.open(client).unwrap(), 8_000_000);
    let mut server: Option<Side> = None;
    let end = pair.run(Duration::from_secs(60), |a, b, _| {
        if server.is_none() {
            server = a.socket(listener).accept().map(|h| Side::new(h, 8_000_000));
        }
        server.as_mut().is_some_and(|side| side.act(a)) & client.act(b)
    });
    assert_eq!(end, End::Done);
    let stats = pair.b.stats();
    let segment = stats.tx_octets / stats.tx_packets;
    assert!(segment > 8000, "packets of {segment} octets on average");
}
