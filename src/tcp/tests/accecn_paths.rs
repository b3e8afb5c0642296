//! Accurate ECN feedback over paths that do not do their share (RFC 9768 §3.2.2.5, §3.2.3.2):
//! everything is marked, acknowledgments are far apart, options vanish or come to nothing.

extern crate std;

use super::accecn::{accepted, connected, flags};
use super::harness::Harness;
use crate::tcp::{Congestion, TcpInfo};
use std::format;
use std::string::String;
use std::vec::Vec;

fn info(h: &Harness) -> TcpInfo {
    h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx)
}

/// Octets of ours that were acknowledged.
fn acked(h: &Harness) -> u64 {
    info(h).bytes_acked
}

/// Acknowledges `octets` more, the counter of marked packets at `marks`, with an option that tells
/// of so many marked octets.
fn ack(h: &mut Harness, octets: u64, marks: u32, option: Option<u32>) {
    let (ace, end) = (flags((5 + marks) as u8 & 7), acked(h) + octets + 1);
    let option = option.map_or(String::new(), |ceb| format!(" <accecn0 1 {ceb}>"));
    h.play(&format!("< {ace} 1:1 ack {end} win 65535{option}"));
}

/// RFC 9768 §3.2, §3.2.2.5.1: a path that marks every packet. The window comes down by half once
/// for each window of text, and no further than two segments; text flows on, nothing is sent
/// twice, and every mark counts.
#[test]
fn continuous_marks() {
    let mut h = connected();
    // The first segment makes room for an option.
    h.play("write 199988");
    let (mut marks, mut windows) = (0, Vec::new());
    while acked(&h) < 199_988 {
        // All that is in flight arrives, marked, and is acknowledged two by two.
        let mut flight = h.tcb.in_flight();
        h.play("+100ms");
        while flight > 0 {
            let some = flight.min(2000);
            flight -= some;
            marks += some.div_ceil(1000);
            let octets = acked(&h) as u32 + some;
            ack(&mut h, some.into(), marks, Some(octets));
        }
        windows.push(h.tcb.cc.window() / 1000);
    }
    assert!((4..=5).contains(&windows[0]), "{windows:?}");
    assert!(
        windows
            .iter()
            .skip(1)
            .all(|window| (2..=3).contains(window)),
        "{windows:?}"
    );
    // Two a round trip: it does not come to a stand.
    assert!(windows.len() <= 100, "{}", windows.len());
    let told = info(&h);
    assert_eq!(
        (told.delivered_ce, marks, told.total_retrans),
        (200, 200, 0)
    );
}

/// RFC 9768 §3.2.2.5.1: the same towards us. After the sixteen that are acknowledged one by one
/// anyway every other segment is, at once, and no mark goes uncounted when the three bits go round.
#[test]
fn continuous_marks_received() {
    let mut h = accepted();
    h.play("< .W 1:1 ack 1 win 1000\n< .Ee 1:20001 ack 1 win 1000 ect0\n+1s");
    h.forget();
    let mut text = String::new();
    for n in 0..40 {
        let from = 20_001 + n * 100;
        text = h.play(&format!("< .Ee {from}:{} ack 1 win 1000 ce", from + 100));
    }
    assert_eq!(info(&h).received_ce, 40);
    let acks = text.matches(" > ").count();
    assert_eq!(acks, 16 + (40 - 16) / 2, "{text}");
    // 5 and 40: 45 is 5 by the three bits.
    assert!(text.contains(" > .Ee 1:1 ack 24001 "), "{text}");
    assert!(text.contains(" ceb 4000"), "{text}");
}

/// RFC 9768 §3.2.2.5.2, appendix A.2: an acknowledgment of 24 segments whose three bits moved by
/// three: 3, 11 or 19 marks. By the octets of the option where there is one, with care where there
/// is none; never more than segments.
#[test]
fn rounds_of_the_counter_in_large_gaps() {
    let marked = |before: Option<u32>, option: Option<u32>| {
        let mut h = connected();
        h.play("write 99988");
        for _ in 0..2 {
            let mut flight = h.tcb.in_flight();
            h.play("+100ms");
            while flight > 0 {
                let some = flight.min(2000);
                flight -= some;
                ack(&mut h, some.into(), 0, before);
            }
        }
        assert!(h.tcb.in_flight() >= 24_000, "{}", h.tcb.in_flight());
        h.play("+100ms");
        ack(&mut h, 24_000, 3, option);
        info(&h).delivered_ce
    };
    assert_eq!(marked(Some(0), Some(3000)), 3);
    assert_eq!(marked(Some(0), Some(19_000)), 19);
    assert_eq!(marked(None, None), 19);
    // The option was lost on this one only.
    assert_eq!(marked(Some(0), None), 19);
}

/// RFC 9768 §3.2.3: options that came through before and then vanish; the three bits go on counting,
/// and text of ours is marked still.
#[test]
fn options_that_vanish() {
    let mut h = connected();
    let text = h.play("write 60000\n+100ms");
    assert!(text.contains(" ect0"), "{text}");
    ack(&mut h, 1988, 1, Some(1000));
    ack(&mut h, 2000, 2, Some(2000));
    for marks in 3..8 {
        ack(&mut h, 1000, marks, None);
    }
    assert_eq!(info(&h).delivered_ce, 7);
    h.forget();
    h.play("+200ms");
    ack(&mut h, 1000, 7, None);
    let text = h.play("# and on");
    assert!(text.contains(" ect0"), "{text}");
    assert_eq!(info(&h).delivered_ce, 7);
}

/// RFC 9768 §3.2.3.2.4, §5.3: counters of octets that fall back to nothing in the middle seem to
/// have gone round: no more marks are counted than segments were acknowledged.
#[test]
fn options_that_are_zeroed_later() {
    let mut h = connected();
    h.play("write 60000\n+100ms");
    ack(&mut h, 1988, 1, Some(1000));
    ack(&mut h, 2000, 1, Some(1000));
    assert_eq!(info(&h).delivered_ce, 1);
    ack(&mut h, 2000, 1, Some(0));
    ack(&mut h, 2000, 2, Some(0));
    let told = info(&h);
    assert!((2..=5).contains(&told.delivered_ce), "{told:?}");
}
