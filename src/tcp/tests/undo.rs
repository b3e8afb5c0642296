//! Needless reductions undone (RFC 3522, RFC 3708, RFC 4015).

use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;
use crate::tcp::congestion::Congestion;

fn plain() -> Config {
    Config {
        timestamps: false,
        tail_probes: false,
        ..Config::default()
    }
}

/// RFC 3708 §2: every octet sent again was received twice, so nothing was lost: window and
/// threshold are what they were, though recovery is over.
#[test]
fn fast_recovery_by_duplicates() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 10000
        +100ms
        # 1 and 2001 are late
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        < . 1:1 ack 1 win 512 <sack 3001:8001 1001:2001>
        recovery
        +10ms
        < . 1:1 ack 10001 win 512
        recovery
        +90ms
        < . 1:1 ack 10001 win 512 <sack 1:1001>
        recovery
        < . 1:1 ack 10001 win 512 <sack 2001:3001>
        recovery",
    );
    snapshot!("undo_duplicates", text);
}

/// RFC 3708 §3: with only some of it received twice the loss stands.
#[test]
fn some_duplicates_are_not_enough() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 10000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        < . 1:1 ack 1 win 512 <sack 3001:8001 1001:2001>
        +100ms
        < . 1:1 ack 10001 win 512 <sack 1:1001>
        recovery",
    );
    assert!(
        text.ends_with("ssthresh 5000 pipe 0: sacked 0 lost 0 retrans 0\n"),
        "{text}"
    );
    snapshot!("undo_not_by_some", text);
}

/// RFC 3522 §3.2: the acknowledgment echoes a timestamp from before the retransmission.
#[test]
fn fast_recovery_by_timestamps() {
    let config = Config {
        timestamps: true,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1012);
    let text = h.play(
        "write 10000
        +100ms
        < . 1:1 ack 1 win 512 <TS 1100 ecr 0,sack 1001:4001>
        recovery
        +10ms
        # the first transmission of 1 arrives
        < . 1:1 ack 4001 win 512 <TS 1110 ecr 0>
        recovery
        +90ms
        < . 1:1 ack 10001 win 512 <TS 1200 ecr 0>
        recovery",
    );
    snapshot!("undo_timestamps", text);
}

/// The same after a timeout (RFC 4015 §3): at once, with nothing sent again but the first.
#[test]
fn timeout_by_timestamps() {
    let config = Config {
        timestamps: true,
        frto: false,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1012);
    let text = h.play(
        "write 20000
        +310ms
        recovery
        < . 1:1 ack 1001 win 512 <TS 1310 ecr 0>
        recovery",
    );
    snapshot!("undo_timeout", text);
}

/// RFC 3522 §3.2: an echo of the retransmission's timestamp undoes nothing.
#[test]
fn real_losses_stand() {
    let config = Config {
        timestamps: true,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1012);
    let text = h.play(
        "write 10000
        +100ms
        < . 1:1 ack 1 win 512 <TS 1100 ecr 0,sack 1001:10001>
        +100ms
        < . 1:1 ack 10001 win 512 <TS 1200 ecr 100>
        recovery",
    );
    assert!(text.contains("ssthresh 5000 pipe 0"), "{text}");
    snapshot!("undo_not_of_losses", text);
}

/// RFC 3708 §2 after a timeout whose segments all come twice.
#[test]
fn timeout_by_duplicates() {
    let config = Config {
        frto: false,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1000);
    let text = h.play(
        "write 3000
        +310ms
        < . 1:1 ack 3001 win 512 <sack 1:1001>
        recovery",
    );
    assert!(
        text.contains("open cwnd 13000 ssthresh 2147483647"),
        "{text}"
    );
    snapshot!("undo_timeout_duplicates", text);
}

/// Each of the controllers restores what it took.
#[test]
fn every_controller_undoes() {
    for name in ["reno", "cubic", "bbr"] {
        let mut h = Harness::accepted(plain(), 1000);
        h.play(&std::format!("congestion {name}\nwrite 40000"));
        let before = (h.tcb.window(), h.tcb.cc.threshold());
        let text = h.play("+310ms\nrecovery\n< . 1:1 ack 1 win 512 <sack 1001:2001>");
        assert!(text.contains("loss cwnd 1000"), "{text}");
        assert!(h.tcb.window() >= before.0, "{name}");
        assert_eq!(h.tcb.cc.threshold(), before.1, "{name}");
    }
}
