//! Rows of the Linux-like profile that applications see: what waits, what is probed, what is
//! pushed, how much may be written.

extern crate std;

use super::beginnings::accepted;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::{Config, Congestion};

/// "First at RTO (300 ms at RTT 100), then x2; probe = 0 bytes at SND.UNA-1; cwnd unchanged".
#[test]
fn profile_persist_timer() {
    let text = accepted().play(
        "info
        < . 1:1 ack 1 win 0
        write 5000
        +5s
        info
        < . 1:1 ack 1 win 512",
    );
    snapshot!("profile_persist", text);
}

/// "MSG_MORE/TCP_CORK flushed by the probe timer at RTO: 210-215 ms at RTT 10".
#[test]
fn profile_corked_data() {
    let text = accepted().play(
        "rtt 10ms
        write 500 more
        +250ms
        < . 1:1 ack 501 win 512
        cork
        write 1300
        +10ms
        < . 1:1 ack 1501 win 512
        +250ms",
    );
    snapshot!("profile_cork", text);
}

/// "TCP_NODELAY, uncork: push what is held at once".
#[test]
fn profile_nodelay_and_uncork_push() {
    let text = accepted().play(
        "write 10
        write 20
        +10ms
        nodelay
        +90ms
        < . 1:1 ack 31 win 512
        cork
        write 30
        +10ms
        uncork
        write 40 more
        +10ms
        nodelay",
    );
    snapshot!("profile_nodelay", text);
}

/// "PSH: last segment of each write; none when a write is cut by cwnd mid-way".
#[test]
fn profile_psh() {
    let text = accepted().play(
        "write 3000
        +100ms
        < . 1:1 ack 3001 win 512
        write 14000
        +100ms
        < . 1:1 ack 13001 win 512",
    );
    snapshot!("profile_psh", text);
}

/// "TCP_NOTSENT_LOWAT 4000: write of 59000 takes 26000; 32000: 42000, then 48000": what the
/// windows let out at once, ten segments and later sixteen, and whole trains of half the
/// peer's window until as much waits as the bound says.
#[test]
fn profile_notsent_lowat() {
    for (lowat, first, then) in [("4000", 26_000, 32_000), ("32000", 42_000, 48_000)] {
        let mut h = accepted();
        // A window of 32,896 octets: trains of 16.
        h.tcb.max_wnd = 0;
        h.play("< . 1:1 ack 1 win 257");
        h.play(&std::format!("lowat {lowat}"));
        assert!(h.tcb.takes_more(&h.tx));
        let taken = h.tcb.admits(&h.tx).min(59_000);
        assert_eq!(taken, first);
        h.play(&std::format!("write {taken}"));
        assert!(h.tcb.in_flight() == 10_000 && !h.tcb.takes_more(&h.tx));
        // All is acknowledged but what the window of 20 lets out; it grew to 26.
        h.play("< . 1:1 ack 10001 win 257");
        h.play("< . 1:1 ack 26001 win 257");
        h.play("< . 1:1 ack 42001 win 257");
        let out = h.tcb.in_flight();
        assert_eq!((out, h.tcb.unsent_text(&h.tx)), (0, 0));
        assert!(h.tcb.takes_more(&h.tx));
        h.tcb.snd_wnd = 16_999;
        assert_eq!(h.tcb.admits(&h.tx), then);
    }
    // Unlimited, only the buffer bounds what is taken (`tests/tcp/sockets.rs`).
    let h = accepted();
    assert_eq!(h.tcb.admits(&h.tx), usize::MAX);
}

/// "Idle restart (when enabled): cwnd back towards 10, by halving per RTO"; off, it stays.
#[test]
fn profile_idle_restart() {
    let script = "write 10000
        < . 1:1 ack 10001 win 1024
        write 20000
        < . 1:1 ack 30001 win 1024
        write 40000
        < . 1:1 ack 70001 win 1024
        # 80 segments; not yet idle for an RTO
        info
        +250ms
        write 1000
        info
        < . 1:1 ack 71001 win 1024
        # two RTOs
        +650ms
        write 1000
        info
        < . 1:1 ack 72001 win 1024
        # very many
        +100s
        write 1000
        info";
    let mut texts = std::vec::Vec::new();
    for slow_start_after_idle in [true, false] {
        let cfg = Config {
            timestamps: false,
            slow_start_after_idle,
            ..Config::default()
        };
        let text = Harness::accepted(cfg, 1000).play(script);
        let told = text.lines().filter(|line| line.contains("cwnd"));
        texts.extend(told.map(std::string::ToString::to_string));
        texts.push(std::string::String::new());
    }
    snapshot!("profile_idle_restart", texts.join("\n"));
}

/// RFC 7661 §4.4, as Linux: a window of which little is used comes down half way for each RTO.
#[test]
fn window_validation() {
    let cfg = Config {
        timestamps: false,
        slow_start_after_idle: true,
        ..Config::default()
    };
    let mut h = Harness::accepted(cfg, 1000);
    h.play(
        "write 10000
        < . 1:1 ack 10001 win 1024
        write 20000
        < . 1:1 ack 30001 win 1024
        write 40000
        < . 1:1 ack 70001 win 1024",
    );
    let mut windows = std::vec::Vec::new();
    for n in 0..10 {
        h.play("write 1000\n+200ms");
        h.play(&std::format!("< . 1:1 ack {} win 1024", 71_001 + n * 1000));
        windows.push(h.tcb.cc.window() / 1000);
    }
    // With acknowledgments after 200 ms, RTOs come to pass 400 ms.
    assert_eq!(windows, [80, 80, 80, 80, 45, 45, 45, 27, 27, 27]);
}

/// "FIN retries (RTT 100): +0.3-0.4 (TLP), +0.3-0.4, +0.6-0.8; then user timeout 3000 ms ends
/// it".
#[test]
fn profile_fin_retries() {
    let text = accepted().play(
        "usertimeout 3s
        close
        +5s",
    );
    snapshot!("profile_fin_retries", text);
}

/// "Device refuses frames: retry every 500 ms, counts as a probe without backoff".
#[test]
fn profile_device_refuses_frames() {
    let mut h = accepted();
    let text = h.play(
        "refuse
        write 100
        +300ms
        +500ms
        +400ms
        stats
        admit
        +100ms
        < . 1:1 ack 101 win 512
        # a probe, too
        < . 1:1 ack 101 win 0
        refuse
        write 100
        +1400ms
        admit
        +1s",
    );
    snapshot!("profile_refused", text);
}
