//! The rows of the Linux-like profile about ECN.

use super::harness::Harness;
use crate::tcp::ecn::Agreed;
use crate::tcp::{Config, Ecn};

fn cfg(ecn: Ecn) -> Config {
    Config {
        timestamps: false,
        ecn,
        ..Config::default()
    }
}

/// ECN is answered when asked and offered when configured.
#[test]
fn profile_ecn_is_answered_and_not_offered() {
    assert_eq!(Config::default().ecn, Ecn::Answer);
    let text = Harness::connect(Config::default()).play("+1ms");
    assert!(text.contains(" > S 0:0"), "{text}");
}

/// ECN: SYN `SEW`, SYN-ACK `SE`, ECT(0) on data, not on pure ACKs.
#[test]
fn profile_ecn_flags_and_marks() {
    let mut h = Harness::connect(cfg(Ecn::Offer));
    let text = h.play(
        "+100ms
        < SE. 0:0 ack 1 win 65535 <mss 1000>
        write 1000
        < P. 1:501 ack 1001 win 65535 ect0",
    );
    assert!(text.contains(" > SEW 0:0 win 65535 <"), "{text}");
    assert!(text.contains(" > . 1:1 ack 1 win 65535\n"), "{text}");
    assert!(
        text.contains(" > P. 1:1001 ack 1 win 65535 ect0\n"),
        "{text}"
    );
    assert!(text.contains(" > . 1001:1001 ack 501 win "), "{text}");
    assert_eq!(text.matches("ect0").count(), 2, "{text}");
}

/// ECE: ssthresh 7 from 10.
#[test]
fn profile_ece_reduces_to_seven_of_ten() {
    use crate::tcp::congestion::{Congestion, Cubic, Loss};
    let now = phy::Instant::ZERO;
    let mut cubic: Cubic = Congestion::new(now, 1000);
    assert_eq!(cubic.window(), 10_000);
    cubic.on_loss(now, Loss::Ecn, 10_000);
    assert_eq!(cubic.threshold(), Some(7000));
}

/// The same in a connection: once for a window, confirmed by CWR with the next new text.
#[test]
fn profile_ece_is_confirmed_once() {
    let mut h = Harness::accepted_with(cfg(Ecn::Answer), 1000, Agreed::classic());
    let text = h.play(
        "write 20000
        +100ms
        < E. 1:1 ack 1001 win 1000
        < E. 1:1 ack 2001 win 1000
        < E. 1:1 ack 6001 win 1000
        < E. 1:1 ack 9001 win 1000",
    );
    assert_eq!(text.matches("> .W").count(), 1, "{text}");
}
