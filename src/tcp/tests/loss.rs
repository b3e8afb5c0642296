//! Losses: fast retransmit with and without SACK, timeouts, limited transmit, reneging.

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;
use crate::tcp::State;

/// Without SACK.
fn without() -> Config {
    Config {
        sack: false,
        ..plain()
    }
}

/// RFC 5681 §3.2, RFC 6582: the third duplicate; two new segments before it by limited transmit
/// (RFC 3042); more when the flight has shrunk to the halved window; a partial acknowledgment.
#[test]
fn new_reno() {
    let mut h = Harness::accepted(without(), 1000);
    let text = h.play(
        "write 40000
        +100ms
        # 1 and 5001 are lost
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        info
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        < . 1:1 ack 1 win 512
        info
        +100ms
        < . 1:1 ack 5001 win 512
        info
        < . 1:1 ack 5001 win 512
        +100ms
        < . 1:1 ack 12001 win 512
        info
        < . 1:1 ack 16001 win 512
        info",
    );
    snapshot!("new_reno", text);
}

/// RFC 6675: holes are filled each once, what was reported is never sent again.
#[test]
fn sack_recovery() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 40000
        +100ms
        # 1, 3001 and 4001 are lost
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        < . 1:1 ack 1 win 512 <sack 1001:3001>
        < . 1:1 ack 1 win 512 <sack 5001:6001 1001:3001>
        info
        < . 1:1 ack 1 win 512 <sack 5001:7001 1001:3001>
        < . 1:1 ack 1 win 512 <sack 5001:8001 1001:3001>
        < . 1:1 ack 1 win 512 <sack 5001:9001 1001:3001>
        < . 1:1 ack 1 win 512 <sack 5001:10001 1001:3001>
        info
        +100ms
        < . 1:1 ack 3001 win 512 <sack 5001:10001>
        < . 1:1 ack 4001 win 512 <sack 5001:10001>
        < . 1:1 ack 12001 win 512
        info",
    );
    snapshot!("sack_recovery", text);
}

/// One acknowledgment that reports much at once is loss enough (RFC 6675 §5 step 4.1).
#[test]
fn sack_reports_enough_at_once() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 10000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:10001>
        +100ms
        < . 1:1 ack 10001 win 512
        info",
    );
    snapshot!("sack_at_once", text);
}

/// RFC 6298 §5, RFC 5681 §3.1: doubling, one segment, slow start from the oldest.
#[test]
fn timeout() {
    let mut h = Harness::accepted(without(), 1000);
    let text = h.play(
        "write 5000
        +1s
        info
        < . 1:1 ack 1001 win 512
        info
        +10ms
        < . 1:1 ack 2001 win 512
        < . 1:1 ack 5001 win 512
        info
        write 1000
        +100ms
        < . 1:1 ack 6001 win 512
        info",
    );
    snapshot!("timeout", text);
}

/// RFC 6675 §5.1: after a timeout only what was not reported is sent again, also where the
/// acknowledgments that follow do not report it once more.
#[test]
fn timeout_with_sack() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 6000
        +100ms
        < . 1:1 ack 1 win 512 <sack 2001:3001>
        < . 1:1 ack 1 win 512 <sack 2001:4001>
        # the first is repeated, lost again, and its time comes 300 ms later
        +325ms
        recovery
        # what was reported is not repeated in this one, and holds
        < . 1:1 ack 1001 win 512
        < . 1:1 ack 4001 win 512
        < . 1:1 ack 5001 win 512
        < . 1:1 ack 6001 win 512
        info",
    );
    snapshot!("timeout_sack", text);
}

/// A peer that throws away what it reported (RFC 2018 §8) is sent it again.
#[test]
fn reneging() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 4000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:4001>
        < . 1:1 ack 1001 win 512
        +1s
        < . 1:1 ack 4001 win 512",
    );
    snapshot!("reneging", text);
}

/// With timestamps the acknowledgment of a retransmission is a sample (RFC 7323 §4.1). One that
/// echoes an older timestamp is one too if it comes too soon to answer the retransmission;
/// otherwise it may answer either.
#[test]
fn samples_after_retransmission() {
    let script = "
        write 2000
        +350ms
        info
        < . 1:1 ack 1001 win 512 <TS 1100 ecr 0>
        info
        +30ms
        < . 1:1 ack 2001 win 512 <TS 1200 ecr 350>
        info";
    let config = Config {
        sack: false,
        ..Config::default()
    };
    let accepted = || Harness::accepted(config.clone(), 1012);
    let text = accepted().play(script);
    let text = text + &accepted().play(&script.replace("+350ms", "+420ms"));
    snapshot!("samples_after_retransmission", text);
}

/// Fifteen retransmissions, then the end.
#[test]
fn given_up() {
    let mut h = Harness::accepted(without(), 1000);
    let text = h.play(
        "write 10
        +20m",
    );
    snapshot!("given_up", text);
}

/// A peer that takes its window back, against RFC 9293 §3.8.6: no new text goes beyond its edge
/// (SHLD-15); the first segment of what lies there is repeated by the timer (SHLD-16, MAY-7), for
/// as long as the peer answers, more often than retries end a connection (SHLD-17); and once it
/// may, the rest is, and what is new.
#[test]
fn window_taken_back() {
    let mut h = Harness::accepted(without(), 1000);
    h.play(
        "write 3000
        < . 1:1 ack 1001 win 0
        # new text waits
        write 2000
        +300ms
        < . 1:1 ack 1001 win 0
        +600ms
        < . 1:1 ack 1001 win 0
        # and so on, 20 times more",
    );
    let before = h.tcb.retransmits();
    let start = h.play("");
    h.forget();
    for _ in 0..20 {
        let text = h.play("+120s\n< . 1:1 ack 1001 win 0");
        assert!(!text.contains(" 2001:"), "{text}");
    }
    assert!(h.tcb.retransmits() - before >= 20 && h.cfg.retries == 15);
    assert_eq!(h.tcb.state(), State::Established);
    h.forget();
    let end = h.play(
        "# it opens
        < . 1:1 ack 1001 win 512
        +120s
        < . 1:1 ack 2001 win 512
        +100ms
        < . 1:1 ack 3001 win 512
        +100ms
        < . 1:1 ack 5001 win 512",
    );
    snapshot!("window_taken_back", start + &end);
}

/// RFC 9293 §3.8.6 (SHLD-15, SHLD-16), of several lost segments behind an edge that was taken
/// back: what lies in the window is repeated, up to the edge and no octet beyond. Our
/// acknowledgments do not claim a place beyond it, where the peer would take them for old
/// (§3.10.7.4).
#[test]
fn repeated_up_to_the_edge() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 6000
        +100ms
        # 20 units of 128 octets: to 2561
        < . 1:1 ack 1 win 20 <sack 3001:6001>
        < P. 1:101 ack 1 win 20 <sack 3001:6001>
        +100ms
        < . 101:101 ack 2561 win 0 <sack 3001:6001>
        +1s
        < . 101:101 ack 2561 win 512 <sack 3001:6001>
        +50ms
        < . 101:101 ack 6001 win 512",
    );
    snapshot!("edge_taken_back", text);
}

/// A lost FIN is repeated, with the text before it.
#[test]
fn lost_fin() {
    let mut h = Harness::accepted(without(), 1000);
    let text = h.play(
        "write 10
        shutdown
        +1s
        < . 1:1 ack 11 win 512
        +1s
        < . 1:1 ack 12 win 512",
    );
    snapshot!("lost_fin", text);
}

/// A path that carries less: sent again at once in smaller segments, no slower (RFC 1191 §6.5).
#[test]
fn path_mtu() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "write 4000
        icmp big 99
        icmp big 99999
        mss 1000
        icmp big 1
        info
        +100ms
        < . 1:1 ack 1001 win 512
        < . 1:1 ack 4001 win 512
        info",
    );
    snapshot!("path_mtu", text);
}

/// Tail loss probes (RFC 8985 §7): after two round trips the last segment, if nothing is new;
/// what it reports tells what was lost before it, without a timeout.
#[test]
fn tail_loss() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 3000
        # 1001 and 2001 are lost
        +100ms
        < . 1:1 ack 1001 win 512
        +200ms
        +2ms
        +100ms
        < . 1:1 ack 1001 win 512 <sack 2001:3001>
        info
        +100ms
        < . 1:1 ack 3001 win 512
        info",
    );
    snapshot!("tail_loss", text);
}

/// The probe's time comes in recovery: it is no timeout.
#[test]
fn recovery_before_the_probe() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 5000
        +201ms
        < . 1:1 ack 1 win 512 <sack 1001:5001>
        +50ms
        info
        < . 1:1 ack 5001 win 512
        info",
    );
    snapshot!("recovery_before_probe", text);
}

/// A retransmission that is lost as well is noticed by what was sent after it; a hole that a
/// partial acknowledgment uncovers is filled at once.
#[test]
fn lost_retransmission() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 30000
        # 1 and 9001 are lost
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:9001>
        # 1 again
        +100ms
        < . 1:1 ack 1 win 512 <sack 10001:12001 1001:9001>
        < . 1:1 ack 1 win 512 <sack 10001:13001 1001:9001>
        < . 1:1 ack 1 win 512 <sack 10001:14001 1001:9001>
        info
        +100ms
        < . 1:1 ack 9001 win 512 <sack 10001:14001>
        +100ms
        < . 1:1 ack 14001 win 512
        info",
    );
    snapshot!("lost_retransmission", text);
}

/// RFC 8985 §7.4.2: a probe that repairs a loss on its own is a loss all the same; one that came
/// twice is none: the acknowledgment was lost. A report of something else that came twice says
/// nothing of it; an acknowledgment that says nothing new does, for the probe caused it.
#[test]
fn tail_probe_answered() {
    let script = "
        write 3000
        +202ms
        +100ms
        < . 1:1 ack 3001 win 512
        write 1000
        +100ms
        < . 1:1 ack 4001 win 512
        info";
    let text = Harness::accepted(plain(), 1000).play(script);
    let twice = "ack 3001 win 512 <sack 2001:3001>";
    let script = script.replace("ack 3001 win 512", twice);
    let text = text + &Harness::accepted(plain(), 1000).play(&script);
    let other = script.replace("2001:3001>", "1:1001>");
    let text = text + "# another came twice\n" + &Harness::accepted(plain(), 1000).play(&other);
    // Without D-SACK, from a peer whose first acknowledgment came late.
    let bare = script.replace(twice, "ack 3001 win 512\n< . 1:1 ack 3001 win 512");
    let text = text + "# twice, not reported\n" + &Harness::accepted(plain(), 1000).play(&bare);
    snapshot!("tail_probe_answered", text);
}

/// New text is the better probe, also beyond the congestion window; a single segment waits for
/// the peer's delayed acknowledgment as well.
#[test]
fn tail_probe_of_new_text() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 12000
        +202ms
        +100ms
        < . 1:1 ack 11001 win 512
        info",
    );
    let text = text
        + &Harness::accepted(plain(), 1000).play(
            "< . 1:1 ack 1 win 512
            write 10
            +299ms
            +1ms
            +300ms",
        );
    snapshot!("tail_probe_new", text);
}

/// What came out of order is reported, the latest first, duplicates before all; it is read once
/// the gap is filled.
#[cfg(feature = "alloc")] // more ranges than fit without
#[test]
fn reports() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "< . 1001:2001 ack 1 win 512
        < . 3001:4001 ack 1 win 512
        < . 5001:6001 ack 1 win 512
        < . 7001:8001 ack 1 win 512
        < . 9001:10001 ack 1 win 512
        # joins two
        < . 2001:3001 ack 1 win 512
        # twice
        < . 5001:6001 ack 1 win 512
        < . 501:2501 ack 1 win 512
        # fills the first gap
        < . 1:501 ack 1 win 512
        # old
        < . 1:501 ack 1 win 512
        # old and new
        < . 3501:5001 ack 1 win 512
        read",
    );
    snapshot!("reports", text);
}

/// With timestamps there is room for three blocks.
#[test]
fn reports_with_timestamps() {
    let mut h = Harness::accepted(Config::default(), 1460);
    let text = h.play(
        "< . 1001:2001 ack 1 win 512 <TS 1001 ecr 0>
        < . 3001:4001 ack 1 win 512 <TS 1002 ecr 0>
        < . 5001:6001 ack 1 win 512 <TS 1003 ecr 0>
        < . 7001:8001 ack 1 win 512 <TS 1004 ecr 0>
        # text of ours leaves room for them too
        write 2000
        # TS.Recent was not taken from what came out of order
        < . 1:1001 ack 1 win 512 <TS 1005 ecr 0>",
    );
    snapshot!("reports_timestamps", text);
}
