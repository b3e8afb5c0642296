//! What the two-stack model (`tests/tcp_model.rs`) found, each as the shortest script that shows it.

use core::time::Duration;

use super::beginnings::{accepted, plain};
use super::harness::Harness;
extern crate std;

use super::snapshot;
use crate::tcp::{Config, MtuProbing};

/// Without scaling, which makes windows what is said.
fn unscaled() -> Harness {
    let config = Config {
        window_scaling: false,
        ..plain()
    };
    Harness::accepted(config, 1000)
}

/// Text that fills a hole has a lower sequence number than what last told a window; where it
/// acknowledges more than that did, its window counts (RFC 9293 §3.8.6: nothing is sent beyond
/// the right edge that was offered).
#[test]
fn window_of_a_filled_hole() {
    let mut h = unscaled();
    let text = h.play(
        "write 9000
        # out of order, with a window of 9000 from 1
        < . 501:601 ack 1 win 9000
        # what was missing: 6000 are acknowledged, the edge stays
        < . 1:501 ack 6001 win 3000
        write 9000",
    );
    snapshot!("window_of_a_filled_hole", text);
}

/// A path may carry less than the base size, too (RFC 4821 §7.7): what vanishes again and again
/// is cut down even if it is smaller than that.
#[test]
fn black_hole_below_the_base_size() {
    let config = Config {
        timestamps: false,
        mtu_probing: MtuProbing::BlackHole,
        ..Config::default()
    };
    let mut h = Harness::accepted(config, 1460);
    let text = h.play(
        "write 900
        +10s
        # segments of 512 arrive
        < . 1:1 ack 513 win 512
        < . 1:1 ack 901 win 512",
    );
    snapshot!("black_hole_below_base", text);
}

/// A receive buffer of less than one unit of the window's scale (RFC 7323 §2.3) opens again when it
/// was read; the octets beyond it are sent again.
#[test]
fn buffer_of_less_than_a_unit() {
    let config = Config {
        timestamps: false,
        receive_buffer: 100,
        ..Config::default()
    };
    let mut h = Harness::accepted(config, 1000);
    let text = h.play(
        "< . 1:101 ack 1 win 512
        read
        # more than there is room for
        < . 101:257 ack 1 win 512
        read
        < . 201:257 ack 1 win 512",
    );
    snapshot!("buffer_of_less_than_a_unit", text);
}

/// A window that was taken back, with text in flight, stays closed for as long as the peer answers
/// (RFC 9293 §3.8.6, SHLD-17), though it answers an RTO of the longest kind ago; and what was
/// repeated meanwhile does not count when it opens.
#[test]
fn window_closed_over_text_for_long() {
    let config = Config {
        timestamps: false,
        rto_max: Duration::from_secs(2),
        retries: 3,
        ..Config::default()
    };
    let mut h = Harness::accepted(config, 1000);
    h.play("write 500\n< . 1:1 ack 1 win 0");
    for _ in 0..20 {
        h.play("+2s\n< . 1:1 ack 1 win 0");
    }
    let text = h.play(
        "< . 1:1 ack 1 win 512
        +2s
        < . 1:1 ack 501 win 512",
    );
    assert!(!text.contains("CLOSED"), "{text}");
    assert!(text.contains("> P. 1:501"), "{text}");
}

/// Where a peer took back the window that our text lies in, what we acknowledge has the sequence
/// number of its right edge: beyond it, the peer would not look at it (RFC 9293 §3.10.7.4).
#[test]
fn acknowledgments_before_the_edge() {
    let mut h = unscaled();
    let text = h.play(
        "write 5000
        # it keeps 1000, and takes the window of the rest back
        < . 1:1 ack 1001 win 0
        < . 1:101 ack 1001 win 0
        # as much as to the edge
        < . 101:201 ack 1001 win 500
        # all that was sent
        < . 201:301 ack 1001 win 4000",
    );
    snapshot!("acknowledgments_before_the_edge", text);
}

/// A tail loss probe that pacing held back until all was acknowledged is none any more (RFC 8985
/// §7.2): nothing is left to probe with, and nothing is sent for ever.
#[test]
fn probe_held_back_until_all_is_acknowledged() {
    let mut h = accepted();
    let text = h.play(
        "maxrate 1000
        write 11000
        +100ms
        < . 1:1 ack 10001 win 512
        +1s
        # the probe is due at 1.3, and waits
        +400ms
        < . 1:1 ack 11001 win 512
        +2s",
    );
    snapshot!("probe_held_back", text);
}

/// What an expiry of the retransmission timer is about goes at once (RFC 6298 §5.4), whatever the
/// rate text is to leave at: or repetitions would be counted that never left.
#[test]
fn timeout_does_not_wait_for_the_pacer() {
    let config = Config {
        timestamps: false,
        tail_probes: false,
        ..Config::default()
    };
    let mut h = Harness::accepted(config, 1000);
    let text = h.play(
        "maxrate 500
        write 10000
        +2s",
    );
    snapshot!("timeout_and_pacer", text);
}
