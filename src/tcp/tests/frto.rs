//! Forward RTO recovery (RFC 5682).

use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

fn accepted(sack: bool) -> Harness {
    let config = Config {
        timestamps: false,
        tail_probes: false,
        sack,
        ..Config::default()
    };
    Harness::accepted(config, 1000)
}

/// RFC 5682 §2.1 step 1, 2 b and 3 b: the first segment again, then two new ones; what was sent
/// once arrives, so that the timeout was spurious, and window and threshold are as before.
#[test]
fn spurious() {
    let mut h = accepted(false);
    let text = h.play(
        "write 40000
        +310ms
        recovery
        # late
        < . 1:1 ack 1001 win 512
        recovery
        < . 1:1 ack 2001 win 512
        recovery",
    );
    snapshot!("frto_spurious", text);
}

/// RFC 5682 §2.1 step 3 a: a duplicate after the new segments: the loss was real, and the rest
/// is sent again in slow start.
#[test]
fn real() {
    let mut h = accepted(false);
    let text = h.play(
        "write 40000
        # 1 to 9001 are lost
        +310ms
        +100ms
        < . 1:1 ack 1001 win 512
        recovery
        +100ms
        < . 1:1 ack 1001 win 512
        recovery
        +100ms
        < . 1:1 ack 2001 win 512
        recovery
        # just what was out at the timeout ends nothing while more is (RFC 6582 §4.1)
        +100ms
        < . 1:1 ack 10001 win 512
        recovery
        < . 1:1 ack 12001 win 512
        recovery",
    );
    snapshot!("frto_real", text);
}

/// RFC 5682 §2.1 step 2 a: an acknowledgment that covers all that was out when the timer expired
/// tells nothing, for what it covers may have been here since long ago: the first segment alone
/// was lost, and the acknowledgments of the others. Nor does one that covers the segment that was
/// repeated together with others (step 2 b is taken, and step 3 decides).
#[test]
fn covered_together_with_the_repeated() {
    let mut h = accepted(false);
    let text = h.play(
        "write 40000
        +310ms
        +100ms
        < . 1:1 ack 10001 win 512
        recovery",
    );
    let mut h = accepted(false);
    let text = text
        + &h.play(
            "write 40000
            +310ms
            +100ms
            < . 1:1 ack 3001 win 512
            recovery
            +100ms
            < . 1:1 ack 3001 win 512
            recovery",
        );
    snapshot!("frto_covered", text);
}

/// RFC 5682 §3.1 step 3 b: with SACK a report of what was sent once before the timeout is enough.
#[test]
fn spurious_by_report() {
    let mut h = accepted(true);
    let text = h.play(
        "write 40000
        +310ms
        # 1 was lost, the others were late
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        recovery",
    );
    snapshot!("frto_report", text);
}

/// RFC 5682 §3.1 step 3 a: a report of what was sent after the timeout says that all was lost.
#[test]
fn real_by_report() {
    let mut h = accepted(true);
    let text = h.play(
        "write 40000
        +310ms
        +90ms
        < . 1:1 ack 1001 win 512
        recovery
        +100ms
        < . 1:1 ack 1001 win 512 <sack 10001:11001>
        recovery
        # what was out at the timeout is acknowledged, and more
        +100ms
        < . 1:1 ack 11001 win 512
        recovery",
    );
    snapshot!("frto_real_report", text);
}

/// RFC 5682 §2.1 step 2 b: with nothing new to send it is conventional recovery.
#[test]
fn nothing_new() {
    let mut h = accepted(true);
    let text = h.play(
        "write 5000
        +310ms
        +90ms
        < . 1:1 ack 1001 win 512
        recovery
        +100ms
        < . 1:1 ack 3001 win 512
        recovery",
    );
    snapshot!("frto_nothing_new", text);
}

/// RFC 5682 §2.1: not where the timer expired in fast recovery; and it can be left out.
#[test]
fn left_out() {
    let mut h = accepted(true);
    let text = h.play(
        "write 40000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:4001>
        +400ms
        +90ms
        < . 1:1 ack 4001 win 512
        recovery",
    );
    assert!(text.contains("-- loss"), "{text}");
    let mut h = accepted(true);
    h.cfg.frto = false;
    let without = h.play("write 40000\n+310ms\n+90ms\n< . 1:1 ack 1001 win 512\nrecovery");
    snapshot!("frto_left_out", text + &without);
}
