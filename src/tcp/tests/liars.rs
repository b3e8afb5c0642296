//! Peers that lie to gain something, or to make us lose it: each lie with a bound on what it
//! achieves.

extern crate std;

use core::time::Duration;
use std::format;
use std::string::String;

use super::accecn::{connected, flags};
use super::beginnings::{accepted, plain};
use super::harness::Harness;
use crate::tcp::{Config, Congestion, TcpInfo};

fn info(h: &Harness) -> TcpInfo {
    h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx)
}

/// Segments of text in a transcript, ours.
fn sent(text: &str) -> usize {
    let ours = text.lines().filter(|line| line.contains(" > "));
    ours.filter(|line| !line.contains(" 1:1 ack")).count()
}

/// RFC 9768 §5.3, §3.2.2.5: a peer whose counter jumps about. No acknowledgment counts more marks
/// than it covers segments, or its three bits can say; the window does not fall below two
/// segments, and text goes on.
#[test]
fn a_counter_that_jumps() {
    let mut h = connected();
    h.play("write 100000");
    let (mut end, mut counted) = (1, 0);
    for n in 0..60_u32 {
        let ace = flags((n.wrapping_mul(2_654_435_761) >> 29) as u8);
        let covers = h.tcb.in_flight().min(2000);
        end += covers;
        h.play(&format!("+10ms\n< {ace} 1:1 ack {end} win 65535"));
        let told = info(&h);
        assert!(
            told.delivered_ce - counted <= covers.div_ceil(1000).max(7),
            "{n}"
        );
        counted = told.delivered_ce;
        let window = h.tcb.cc.window();
        assert!(window >= 2000, "{window}");
        // The same again says nothing.
        h.play(&format!("< {ace} 1:1 ack {end} win 65535"));
        assert_eq!(info(&h).delivered_ce, counted);
    }
    assert!(end > 60_000, "{end}");
    assert_eq!(info(&h).total_retrans, 0);
}

/// RFC 7323 §4.1, RFC 6298 §2.4, §2.5: echoes of timestamps that were never sent. From the future,
/// they are no samples; from long ago, the timeout is never more than the longest there is, and
/// honest echoes bring it back; too new, it is never less than the least.
#[test]
fn forged_echoes() {
    let run = |echo: &dyn Fn(u32) -> u32| {
        let mut h = Harness::accepted(Config::default(), 1012);
        let mut now = 0;
        for n in 0..20_u32 {
            now += 100;
            let (end, echo) = (n * 1000 + 1001, echo(now));
            h.play(&format!(
                "write 1000\n+100ms\n< . 1:1 ack {end} win 512 <TS {} ecr {echo}>",
                1001 + n
            ));
        }
        h
    };
    let honest = run(&|now| now - 100);
    let (rtt, rto) = (info(&honest).rtt, info(&honest).rto);
    let ms = |n| Duration::from_millis(n);
    assert!(
        rtt.is_some_and(|rtt| rtt >= ms(99) && rtt <= ms(101)),
        "{rtt:?}"
    );
    for ahead in [1, 1000, 0x7fff_ffff] {
        let told = info(&run(&|now| now + ahead));
        assert!(
            told.rtt.is_some_and(|rtt| rtt <= ms(150)),
            "{ahead}: {told}"
        );
        assert!((ms(200)..=ms(500)).contains(&told.rto), "{ahead}: {told}");
    }
    // Nothing took no time.
    let told = info(&run(&|now| now));
    assert!(told.rto >= ms(200), "{told}");
    for ago in [10_000, 10_000_000, 0x7000_0000] {
        let mut h = run(&|now: u32| now.wrapping_sub(ago));
        let told = info(&h);
        assert!(told.rto <= h.cfg.rto_max, "{ago}: {told}");
        // The path is what it was.
        let mut now = 2000;
        for n in 20..140_u32 {
            let end = n * 1000 + 1001;
            h.play(&format!(
                "write 1000\n+100ms\n< . 1:1 ack {end} win 512 <TS {} ecr {now}>",
                1001 + n
            ));
            now += 100;
        }
        let told = info(&h);
        assert!(told.rto < ms(500) + rto, "{ago}: {told}");
        assert!(
            told.min_rtt.is_some_and(|least| least >= ms(99)),
            "{ago}: {told}"
        );
    }
}

/// RFC 2018 §8: a peer that reports all but the first segment and then knows nothing of it. What it
/// reported was kept, and goes again after a timeout, once.
#[test]
fn reports_taken_back() {
    let mut h = accepted();
    h.play("write 10000\n+100ms\n< . 1:1 ack 1 win 512 <sack 1001:10001>");
    h.forget();
    // The first one came, and the others are unheard of.
    let text = h.play("+10ms\n< . 1:1 ack 1001 win 512\n+5s");
    assert!(text.contains(" > . 1001:2001 "), "{text}");
    assert!(sent(&text) <= 6, "{text}");
    let mut end = 1001;
    while end < 10_001 {
        end = (end + 2000).min(10_001);
        h.play(&format!("+100ms\n< . 1:1 ack {end} win 512"));
    }
    let told = info(&h);
    assert_eq!((told.unacked, told.bytes_acked), (0, 10_000));
    assert!(told.total_retrans <= 16, "{told}");
}

/// RFC 5681 §3.1, RFC 3465 §2.1: acknowledgments in many pieces. However a window's worth is cut up,
/// it grows by what it acknowledges.
#[test]
fn acknowledgments_in_pieces() {
    let grown = |pieces: u32| {
        let mut h = accepted();
        h.play("write 100000\n+100ms");
        for n in 1..=pieces {
            h.play(&format!(
                "< . 1:1 ack {} win 1024",
                1 + n * (10_000 / pieces)
            ));
        }
        h.tcb.cc.window()
    };
    assert_eq!([1, 10, 1000].map(grown), [20_000; 3]);
}

/// Savage et al., "TCP congestion control with a misbehaving receiver": text acknowledged before it
/// can have come. What was sent is believed, for we cannot know, and the window grows with it, as
/// for a short path; what was not sent gets a challenge and changes nothing (RFC 5961 §5.2).
#[test]
fn acknowledgments_ahead_of_text() {
    let mut h = accepted();
    h.play("write 500000");
    let (mut end, mut window) = (1, h.tcb.cc.window());
    for _ in 0..20 {
        // All that is out, and never more in flight than the window says.
        let out = h.tcb.in_flight();
        assert!(out <= window, "{out} of {window}");
        h.play(&format!("< . 1:1 ack {} win 1024", end + out + 1));
        assert_eq!((h.tcb.in_flight(), h.tcb.cc.window()), (out, window));
        end += out;
        h.play(&format!("< . 1:1 ack {end} win 1024"));
        assert!(h.tcb.cc.window() <= 2 * window);
        window = h.tcb.cc.window();
    }
    // The peer's window ends it.
    assert!(h.tcb.in_flight() <= 1024 << 7);
    let told = info(&h);
    assert!(told.segs_out < 600 && told.total_retrans == 0, "{told}");
}

/// RFC 9293 §3.8.6, §3.8.6.2.1: a window that shrinks over what is in flight, and one that opens by
/// single octets. Nothing goes beyond the edge, and no segments of single octets.
#[test]
fn windows_that_shrink_and_trickle() {
    let mut h = accepted();
    h.play("write 60000\n+100ms");
    h.forget();
    // Half of what is out is no longer wanted.
    let text = h.play("< . 1:1 ack 1001 win 31");
    assert_eq!(sent(&text), 0, "{text}");
    let text = h.play("+250ms");
    assert!(sent(&text) <= 2, "{text}");
    // What fits is acknowledged; then a trickle.
    h.play("< . 1:1 ack 10001 win 0");
    h.forget();
    let mut script = String::new();
    for n in 0..60 {
        script += &format!("+1ms\n< . 1:1 ack 10001 win {}\n", n % 2);
    }
    let text = h.play(&script);
    assert!(sent(&text) <= 1, "{text}");
    for line in text.lines().filter(|line| line.contains(" > ")) {
        assert!(!line.contains("10001:10002"), "{line}");
    }
}

/// RFC 9293 §3.8.5, RFC 6093 §4: urgent pointers past the end of all that comes, again and again.
/// They are hints and no more: nothing is kept for them, and what comes is read in line.
#[test]
fn urgent_pointers_past_the_end() {
    let mut h = Harness::accepted(plain(), 1000);
    let before = info(&h).rcv_wnd;
    let mut script = String::new();
    for n in 0..200_u32 {
        let at = n * 10 + 1;
        script += &format!("< U. {at}:{} ack 1 win 512 urg {}\n", at + 10, 65_535 - n);
    }
    let text = h.play(&script);
    assert_eq!(h.tcb.urgent_left(h.rx.readable()), 1990 + 65_336);
    let text = text + &h.play("read\nurgent\n< . 2001:2011 ack 1 win 512\nread");
    assert!(text.contains("2000 octets"), "{text}");
    let told = info(&h);
    assert_eq!(told.bytes_received, 2010);
    assert!(told.rcv_wnd >= before - 2010);
    // One far away is none, once what came has passed all of them.
    assert!(h.tcb.occupies() == 0);
}
