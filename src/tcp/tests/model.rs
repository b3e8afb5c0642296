//! What the two-stack model (`tests/tcp_model.rs`) found, each as the shortest script that shows it.

use super::harness::Harness;
extern crate std;

use super::snapshot;
use crate::tcp::{Config, MtuProbing};

/// Text that fills a hole has a lower sequence number than what last told a window; where it
/// acknowledges more than that did, its window counts (RFC 9293 §3.8.6: nothing is sent beyond
/// the right edge that was offered).
#[test]
fn window_of_a_filled_hole() {
    let config = Config {
        timestamps: false,
        window_scaling: false,
        ..Config::default()
    };
    let mut h = Harness::accepted(config, 1000);
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
