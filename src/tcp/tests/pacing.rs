//! Text that leaves at a rate under a congestion control that has none.

use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

fn accepted(pacing: bool) -> Harness {
    let cfg = Config {
        timestamps: false,
        pacing,
        ..Config::default()
    };
    Harness::accepted(cfg, 1000)
}

/// Where the stack is configured so: after the first ten segments, a window in half a round trip
/// of slow start.
#[test]
fn profile_pacing_ratio() {
    let text = accepted(true).play(
        "write 30000
        +100ms
        < . 1:1 ack 10001 win 512
        +50ms
        stats",
    );
    snapshot!("profile_pacing", text);
}

/// After slow start a fifth more than a window in a round trip: of five segments in 100 ms, a
/// segment each 16.7 ms (60,000 octets a second).
#[test]
fn profile_pacing_ratio_after_slow_start() {
    let text = accepted(true).play(
        "write 40000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:10001>
        +100ms
        < . 1:1 ack 10001 win 512
        +150ms
        recovery
        stats",
    );
    snapshot!("profile_pacing_after", text);
}

/// `SO_MAX_PACING_RATE`: no more than the application allows, here a segment each 10 ms.
#[test]
fn max_pacing_rate() {
    let text = accepted(false).play(
        "maxrate 100000
        write 20000
        +100ms
        < . 1:1 ack 10001 win 512
        +100ms",
    );
    snapshot!("pacing_max", text);
}
