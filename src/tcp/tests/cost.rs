//! What one acknowledgment may cost, counted in records looked at: a peer chooses what it
//! reports, and thereby the shape of the scoreboard (CVE-2019-11477 and its kin, RFC 8985 §9).

extern crate std;

use core::sync::atomic::Ordering;
use std::format;
use std::string::String;

use super::harness::Harness;
use crate::tcp::*;

/// A connection with `segments` segments of 100 octets in flight, and a window that let them out.
fn crowded(segments: u32) -> Harness {
    let cfg = Config {
        timestamps: false,
        send_records: 4096,
        tail_probes: false,
        ..Config::default()
    };
    let mut h = Harness::accepted(cfg, 100);
    h.tx.written += 300 * u64::from(segments);
    let mut acked = 1;
    // Slow start, until enough is out at once; every segment leaves in a record of its own.
    while h.tcb.in_flight() < 100 * segments {
        acked += 100;
        h.play(&format!("< . 1:1 ack {acked} win 65535\n+1ms"));
        assert!(acked < 1 << 20);
    }
    h
}

/// Steps that `script` takes.
fn steps(h: &mut Harness, script: &str) -> u64 {
    let taken = |h: &Harness| u64::from(h.tcb.flight.records.steps.load(Ordering::Relaxed));
    let before = taken(h);
    h.play(script);
    taken(h) - before
}

/// Every other segment is reported, three in an acknowledgment; then all at once.
#[test]
fn acknowledgments_cost_no_more_than_a_few_walks() {
    let mut h = crowded(3000);
    let una = h.tcb.snd_una.since(super::harness::ISS);
    let end = h.tcb.snd_nxt.since(super::harness::ISS);
    let mut most = 0;
    let mut at = una + 100;
    while at + 500 < end {
        let mut blocks = String::new();
        for n in 0..3 {
            let lo = at + 200 * n;
            blocks += &format!(" {lo}:{}", lo + 100);
        }
        let script = format!("<< . 1:1 ack {una} win 65535 <sack{blocks}>");
        most = most.max(steps(&mut h, &script));
        at += 600;
    }
    let there = h.tcb.flight.records.len() as u64;
    // Without an allocator there are sixteen at most, and what no place is left for is joined.
    let crowd = if cfg!(feature = "alloc") {
        2000..=4096
    } else {
        8..=16
    };
    assert!(crowd.contains(&there), "{there} records");
    // Some walks of all records, and moves for what is cut.
    assert!(most <= 8 * there, "{most} steps for one of {there} records");
    let all = format!("<< . 1:1 ack {una} win 65535 <sack {}:{end}>", una + 100);
    let all = steps(&mut h, &all);
    assert!(all <= 16 * there, "{all} steps for all of {there} records");
    assert!(h.tcb.flight.records.len() < 10);
}

/// Reports of single octets, of all but an octet of each segment, backwards: no more records
/// than are allowed, and no more steps.
#[test]
fn odd_reports_cost_as_little() {
    let mut h = crowded(2000);
    let una = h.tcb.snd_una.since(super::harness::ISS);
    let end = h.tcb.snd_nxt.since(super::harness::ISS);
    let mut most = 0;
    for n in 0..3000_u32 {
        let at = una + 1 + (n.wrapping_mul(7919) % (end - una - 200));
        let to = at + [1, 99, 100, 101, 199][n as usize % 5];
        let script = format!("<< . 1:1 ack {una} win 65535 <sack {at}:{to} {at}:{end} {to}:{at}>");
        let script = if n % 7 == 0 {
            script
        } else {
            format!("<< . 1:1 ack {una} win 65535 <sack {at}:{to}>")
        };
        most = most.max(steps(&mut h, &script));
    }
    assert!(h.tcb.flight.records.len() <= 4096);
    assert!(most <= 16 * 4096, "{most} steps");
}

/// RFC 5681 §3.2, RFC 6937 §3: on an acknowledgment no more leaves than it says arrived, and a
/// segment more; on one that says nothing new, nothing does.
#[test]
fn one_acknowledgment_buys_one_retransmission() {
    let mut h = crowded(100);
    let una = h.tcb.snd_una.since(super::harness::ISS);
    let end = h.tcb.snd_nxt.since(super::harness::ISS);
    let mut lo = una + 5000;
    let mut sent = h.tcb.counts.segs_out;
    for n in 0..40 {
        h.play(&format!(
            "< . 1:1 ack {una} win 65535 <sack {}:{}>",
            una + 5000,
            lo + 100
        ));
        let now = h.tcb.counts.segs_out;
        assert!(
            now - sent <= 2,
            "{} segments for acknowledgment {n}",
            now - sent
        );
        // The same again says nothing.
        h.play(&format!(
            "< . 1:1 ack {una} win 65535 <sack {}:{}>",
            una + 5000,
            lo + 100
        ));
        assert_eq!(h.tcb.counts.segs_out, now, "sent for nothing");
        sent = now;
        lo = (lo + 100).min(end - 100);
    }
    assert!(h.tcb.retransmits() > 10);
}

/// RFC 2883, RFC 3708 §3: duplicates that never were undo a reduction at most as often as
/// something was sent again for each octet of it.
#[test]
fn lies_about_duplicates_run_out() {
    let mut h = crowded(100);
    let una = h.tcb.snd_una.since(super::harness::ISS);
    let duplicates = |h: &mut Harness, n: u32| {
        for at in 0..n {
            let lo = una - 1000 + 100 * (at % 10);
            h.play(&format!(
                "< . 1:1 ack {una} win 65535 <sack {lo}:{}>",
                lo + 100
            ));
        }
    };
    // More duplicates than segments were ever repeated.
    duplicates(&mut h, 50);
    let before = h.tcb.cc.window();
    h.play(&format!(
        "< . 1:1 ack {una} win 65535 <sack {}:{}>",
        una + 400,
        una + 2000
    ));
    assert_eq!(h.tcb.ca_state(), CaState::Recovery);
    duplicates(&mut h, 50);
    h.play(&format!(
        "< . 1:1 ack {una} win 65535 <sack {una}:{} {}:{}>",
        una + 400,
        una + 400,
        una + 2000
    ));
    assert_eq!(h.tcb.ca_state(), CaState::Recovery, "undone by lies");
    assert!(h.tcb.cc.threshold().is_some_and(|t| t < before));
    assert!(h.tcb.flight.rack.duplicates < 1000);
}
