//! The retransmission timer (RFC 6298) and congestion after it (RFC 5681 §3.1).

use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

fn plain() -> Config {
    Config {
        timestamps: false,
        sack: false,
        frto: false,
        ..Config::default()
    }
}

fn rto(h: &Harness) -> u128 {
    h.tcb.rtt.rto(&h.cfg).as_millis()
}

/// RFC 6298 §2.1 to §2.4: one second before the first sample; then from it, with the profile's
/// floor of 200 ms above the smoothed time.
#[test]
fn computed() {
    let mut h = Harness::connect(plain());
    assert_eq!(rto(&h), 1000);
    h.play("+500ms\n< S. 0:0 ack 1 win 65535 <mss 1000>");
    // SRTT <- R, RTTVAR <- R/2, RTO <- SRTT + 4 RTTVAR.
    assert_eq!(rto(&h), 1500);
    // RTTVAR <- 3/4 RTTVAR; the timeout follows a quarter of the way, a round trip later.
    h.play("write 1000\n+500ms\n< . 1:1 ack 1001 win 65535");
    assert_eq!(rto(&h), 1500);
    h.play("write 1000\n+500ms\n< . 1:1 ack 2001 win 65535");
    assert_eq!(rto(&h), 1390);
    // What is lost now takes so long.
    snapshot!("rto_computed", h.play("info\nwrite 1000\n+2s"));
}

/// RFC 6298 §5.1 to §5.3: set with the first segment, set anew with each acknowledgment of new
/// octets, cleared when all is acknowledged.
#[test]
fn managed() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 3000
        +200ms
        < . 1:1 ack 1001 win 512
        # 300 ms after the first segment left: not yet
        +110ms
        < . 1:1 ack 1001 win 512
        +300ms
        < . 1:1 ack 3001 win 512
        +10s",
    );
    snapshot!("rto_managed", text);
}

/// RFC 6298 §5.4 to §5.6: the earliest segment, doubling up to the ceiling.
#[test]
fn doubles_to_the_ceiling() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play("write 2000\n+12m");
    let times: std::vec::Vec<_> = text
        .lines()
        .filter(|line| line.contains("> . 1:1001"))
        .map(|line| line.split_whitespace().next().unwrap_or(""))
        .collect();
    let wanted = [
        "0.000", "0.300", "0.900", "2.100", "4.500", "9.300", "18.900", "38.100", "76.500",
        "153.300", "273.300", "393.300", "513.300", "633.300",
    ];
    assert_eq!(times, wanted);
    snapshot!("rto_doubles", text);
}

/// RFC 6298 §5.5, §5 last paragraph: what was backed off stays until something is measured or,
/// without timestamps, new octets are acknowledged.
#[test]
fn backoff_ends_with_progress() {
    let mut h = Harness::accepted(plain(), 1000);
    h.play("write 3000\n+1s");
    assert_eq!(rto(&h), 1200);
    h.play("+60ms\n< . 1:1 ack 1001 win 65535");
    assert_eq!(rto(&h), 300);
    snapshot!("rto_collapses", h.play("info\n+400ms"));
}

/// RFC 6298 §3: the acknowledgment of what was sent twice is no sample (Karn).
#[test]
fn no_sample_of_retransmissions() {
    let mut h = Harness::accepted(plain(), 1000);
    let before = h.tcb.rtt.smoothed();
    h.play("write 1000\n+1s\n+150ms\n< . 1:1 ack 1001 win 65535");
    assert_eq!(h.tcb.rtt.smoothed(), before);
    let text = h.play("info\nwrite 1000\n+180ms\n< . 1:1 ack 2001 win 65535\ninfo");
    assert_ne!(h.tcb.rtt.smoothed(), before);
    snapshot!("rto_karn", text);
}

/// RFC 7323 §4.1, RFC 6298 §4: each acknowledgment of octets sent once is a sample, in
/// microseconds.
#[test]
fn every_acknowledgment_is_a_sample() {
    let mut h = Harness::accepted(plain(), 1000);
    h.play("write 2000\n+80250us\n< . 1:1 ack 1001 win 65535");
    assert_eq!(h.tcb.rtt.least_us(), 80_250);
    h.play("+1750us\n< . 1:1 ack 2001 win 65535");
    // 7/8 (7/8 100 + 1/8 80.25) + 1/8 82.
    assert_eq!(h.tcb.rtt.smoothed_us(), 95_589);
    snapshot!("rto_samples", h.play("info"));
}

/// RFC 5681 §3.1 equation 4: half the flight, once for one segment's expirations; then one
/// segment, slow start to the threshold, congestion avoidance from there.
#[test]
fn congestion_after_it() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 60000
        +1s
        recovery
        < . 1:1 ack 1001 win 512
        +1ms
        < . 1:1 ack 3001 win 512
        recovery
        +1ms
        < . 1:1 ack 5001 win 512
        recovery
        +1ms
        < . 1:1 ack 10001 win 512
        recovery",
    );
    snapshot!("rto_congestion", text);
}

/// RFC 5681 §4.3: after a timeout, a retransmission that is lost as well is another loss: the
/// threshold is lowered again.
#[test]
fn a_lost_retransmission_is_another_loss() {
    let config = Config {
        sack: true,
        tail_probes: false,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1000);
    let text = h.play(
        "write 10000
        +300ms
        recovery
        +100ms
        < . 1:1 ack 1001 win 512
        +100ms
        # 1001 was lost twice
        < . 1:1 ack 1001 win 512 <sack 2001:3001>
        recovery",
    );
    snapshot!("rto_lost_again", text);
}

/// RFC 8985 §6.3: when the timer expires, the oldest segment is lost and what RACK would hold to
/// be; not what left so late that it cannot have been answered.
#[test]
fn what_left_late_is_not_lost() {
    let config = Config {
        sack: true,
        tail_probes: false,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1000);
    let text = h.play(
        "write 1000
        +100ms
        < . 1:1 ack 1001 win 512
        write 3000
        +250ms
        write 4000
        +50ms
        recovery
        +60ms
        < . 1:1 ack 1001 win 512 <sack 4001:8001>
        recovery",
    );
    snapshot!("rto_left_late", text);
}

/// RFC 5681 §3.1, RFC 6582 §4: duplicates of what a timeout sent again are no new loss.
#[test]
fn duplicates_after_it() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 6000
        +300ms
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        recovery",
    );
    assert_eq!(text.matches("> . 1:1001").count(), 2, "{text}");
    assert!(text.contains("loss cwnd 1000 ssthresh 3000"), "{text}");
    snapshot!("rto_duplicates", text);
}
