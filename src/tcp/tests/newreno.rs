//! Recovery without SACK: RFC 5681 §3.2, RFC 6582, and limited transmit (RFC 3042).

use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;
use crate::tcp::congestion::Congestion;

fn accepted() -> Harness {
    let config = Config {
        timestamps: false,
        sack: false,
        ..Config::default()
    };
    Harness::accepted(config, 1000)
}

/// `n` duplicates.
fn duplicates(n: usize) -> std::string::String {
    "< . 1:1 ack 1 win 512\n".repeat(n)
}

/// RFC 5681 §3.2 step 1, RFC 3042 §2: the first two duplicates send a new segment each, beyond
/// the congestion window and within the peer's; the window stays.
#[test]
fn limited_transmit() {
    let mut h = accepted();
    h.play("write 40000\n+100ms");
    assert_eq!(h.tcb.in_flight(), 10_000);
    h.play(&duplicates(1));
    assert_eq!((h.tcb.in_flight(), h.tcb.cc.window()), (11_000, 10_000));
    let text = h.play(&duplicates(1));
    assert_eq!((h.tcb.in_flight(), h.tcb.cc.window()), (12_000, 10_000));
    // With a window of the peer's that is full nothing goes.
    let mut h = accepted();
    h.play("< . 1:1 ack 1 win 79\nwrite 40000\n+100ms");
    let held = h.tcb.in_flight();
    let full = h.play("< . 1:1 ack 1 win 79\n< . 1:1 ack 1 win 79");
    assert_eq!((held, h.tcb.in_flight()), (10_000, 10_000));
    snapshot!(
        "newreno_limited",
        text + "# the peer's window is full\n" + &full
    );
}

/// RFC 5681 §2, §3.2: text, another window or something new make no duplicate.
#[test]
fn what_is_no_duplicate() {
    let mut h = accepted();
    h.play(
        "write 10000
        +100ms
        # text
        < . 1:101 ack 1 win 512
        < . 201:301 ack 1 win 512
        < . 201:301 ack 1 win 512
        < . 101:201 ack 1 win 512
        # another window
        < . 301:301 ack 1 win 511
        < . 301:301 ack 1 win 510
        # the end of the text
        < F. 301:301 ack 1 win 510
        recovery",
    );
    assert_eq!(h.tcb.flight.dup_acks, 0);
    h.play("# something new\n< . 302:302 ack 1001 win 510\nrecovery");
    assert_eq!(h.tcb.flight.dup_acks, 0);
    let text = h.play("# nothing of all that\n< . 302:302 ack 1001 win 510\nrecovery");
    assert_eq!(h.tcb.flight.dup_acks, 1);
    snapshot!("newreno_no_duplicate", text);
}

/// RFC 5681 §3.2 steps 2, 3 and 6: half the flight, without what limited transmit added; the
/// lost segment; at the end the threshold is the window.
#[test]
fn fast_retransmit() {
    let mut h = accepted();
    let script = std::format!(
        "write 40000\n+100ms\n{}recovery\n+100ms\n< . 1:1 ack 12001 win 512\n< . 1:1 ack 14001 win 512\nrecovery",
        duplicates(9)
    );
    snapshot!("newreno_fast", h.play(&script));
}

/// RFC 6582 §3.2 step 3: a partial acknowledgment sends the next hole at once, one for each.
#[test]
fn partial_acknowledgments() {
    let mut h = accepted();
    let script = std::format!(
        "write 10000\n+100ms\n# 1, 4001 and 7001 are lost\n{}recovery\n+100ms\n\
        < . 1:1 ack 4001 win 512\nrecovery\n+100ms\n< . 1:1 ack 7001 win 512\nrecovery\n+100ms\n\
        < . 1:1 ack 10001 win 512\nrecovery",
        duplicates(7)
    );
    snapshot!("newreno_partial", h.play(&script));
}

/// RFC 6582 §3.2 step 1, §4.1: an acknowledgment of exactly what was out ends nothing where more
/// is out: duplicates of our own retransmissions would look like a loss.
#[test]
fn bursts_of_duplicates_after_recovery() {
    let mut h = accepted();
    let script = std::format!("write 40000\n+100ms\n{}+100ms\n", duplicates(5));
    h.play(&script);
    let before = h.tcb.cc.window();
    let text = h.play(
        "< . 1:1 ack 12001 win 512
        < . 1:1 ack 12001 win 512
        < . 1:1 ack 12001 win 512
        < . 1:1 ack 12001 win 512",
    );
    assert!(h.tcb.cc.window() >= before, "{text}");
    assert_eq!(text.matches("> . 12001:13001").count(), 1, "{text}");
    snapshot!("newreno_bursts", text);
}

/// RFC 5827 §2: with two segments out, and none to follow, one duplicate is all there will be.
#[test]
fn early_retransmit() {
    let mut h = accepted();
    let text = h.play("write 2000\n+100ms\n< . 1:1 ack 1 win 512\nrecovery");
    insta::assert_snapshot!(text, @"
       0.000 write 2000
       0.000 > . 1:1001 ack 1 win 256
       0.000 > P. 1001:2001 ack 1 win 256
       0.100 < . 1:1 ack 1 win 512
       0.100 > . 1:1001 ack 1 win 256
       0.100 recovery
             -- recovery cwnd 1000 ssthresh 2000 pipe 1000: sacked 1 lost 1 retrans 1
    ");
}

/// Duplicates without end stand for what is in flight, less one, and no more.
#[test]
fn duplicates_without_end() {
    let mut h = accepted();
    h.play("write 60000\n+100ms");
    h.play(&duplicates(500));
    assert!(h.tcb.flight.dup_octets < h.tcb.in_flight());
    assert!(h.tcb.pipe() <= h.tcb.window());
}
