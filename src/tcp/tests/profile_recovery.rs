//! The rows of the Linux-like profile about loss recovery, timers and congestion control.

use super::harness::{Harness, ISS};
use super::snapshot;
use crate::tcp::Config;
use crate::tcp::congestion::Congestion;

/// CUBIC, as the profile has it, segments of 1000 octets, a round trip of 100 ms.
fn accepted() -> Harness {
    accepted_with(Config::default())
}

fn accepted_with(config: Config) -> Harness {
    let config = Config {
        timestamps: false,
        ..config
    };
    let mut h = Harness::accepted(config, 1000);
    h.play("congestion cubic");
    h
}

/// When segments beginning at `seq` left, milliseconds.
fn times(text: &str, seq: u32) -> std::vec::Vec<u32> {
    let wanted = std::format!(" {seq}:");
    let left = |line: &&str| line.contains(" > ") && line.contains(&wanted);
    let time = |line: &str| {
        let digits: std::string::String = line[..8].chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a time")
    };
    text.lines().filter(left).map(time).collect()
}

fn cwnd(h: &Harness) -> u32 {
    h.tcb.window() / 1000
}

fn ssthresh(h: &Harness) -> u32 {
    h.tcb.cc.threshold().unwrap_or(0) / 1000
}

/// Settings: SACK, D-SACK, RACK, TLP and F-RTO on, reordering threshold 3.
#[test]
fn profile_recovery_settings() {
    let c = Config::default();
    assert!(c.timestamps && c.sack && c.dsack && c.tail_probes && c.frto);
    let h = accepted();
    assert_eq!(h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx).reordering, 3);
}

/// "initial cwnd, ssthresh: 10 segments, 0x7fffffff".
#[test]
fn profile_initial_window() {
    let h = accepted();
    assert_eq!(
        (h.tcb.window(), h.tcb.cc.threshold()),
        (10_000, Some(0x7fff_ffff))
    );
    // The number is the configuration's.
    let mut h = accepted_with(Config {
        initial_window: 4,
        ..Config::default()
    });
    let text = h.play("write 20000\n+10ms");
    assert_eq!(text.matches(" > ").count(), 4, "{text}");
}

/// "initial RTO, SYN retry: 1 s, then doubling".
#[test]
fn profile_initial_rto() {
    let mut h = Harness::connect(Config::default());
    assert_eq!(times(&h.play("+16s"), 0), [0, 1000, 3000, 7000, 15_000]);
}

/// "RTO: srtt + max(4 rttvar, 200 ms): RTT 100 ms -> 300 ms, doubling".
#[test]
fn profile_rto() {
    let mut h = accepted_with(Config {
        tail_probes: false,
        ..Config::default()
    });
    assert_eq!(
        times(&h.play("write 1000\n+5s"), 1),
        [0, 300, 900, 2100, 4500]
    );
}

/// "TLP: 2 srtt (RTT 100: at 200 ms)"; 2 ms are for timers that are late.
#[test]
fn profile_tlp_of_several() {
    let mut h = accepted();
    let text = h.play("write 3000\n+300ms");
    let probes = times(&text, 2001);
    assert!((200..=202).contains(&probes[1]), "{probes:?}");
    snapshot!("profile_tlp_several", text);
}

/// "with a single packet out + 200 ms, never later than the RTO, which it replaces once (RTT
/// 100: both at 300 ms)".
#[test]
fn profile_tlp_of_one() {
    let mut h = accepted();
    // The probe, then the RTO from there, doubling.
    let text = h.play("write 1000\n+1300ms");
    assert_eq!(times(&text, 1), [0, 300, 600, 1200]);
    // Where the deviation makes the RTO longer: 400 ms and four times 200.
    let mut h = accepted();
    let slow = h.play("rtt 400ms\nwrite 1000\n+2300ms");
    assert_eq!(times(&slow, 1), [0, 1000, 2200]);
    snapshot!("profile_tlp_one", text + &slow);
}

/// "RTT 10: FIN repeated 20-25 ms after" what is in flight besides; alone after 210 ms.
#[test]
fn profile_tlp_of_fin() {
    let mut h = accepted();
    h.play("rtt 10ms");
    let text = h.play("write 2000\nclose\n+30ms");
    let fins = times(&text, 1001);
    assert_eq!(fins.len(), 2, "{text}");
    assert!((20..=25).contains(&(fins[1] - fins[0])), "{text}");
    let mut h = accepted();
    h.play("rtt 10ms");
    let alone = h.play("close\n+215ms");
    assert_eq!(times(&alone, 1), [0, 210]);
    snapshot!("profile_tlp_fin", text + &alone);
}

/// "FIN retries (RTT 100): +0.3-0.4 (TLP), +0.3-0.4, +0.6-0.8; then user timeout 3000 ms ends it".
#[test]
fn profile_fin_retries() {
    let mut h = accepted();
    let text = h.play("usertimeout 3s\nshutdown\n+4s");
    let fins = times(&text, 1);
    let apart: std::vec::Vec<_> = fins.windows(2).map(|w| w[1] - w[0]).collect();
    assert!((300..=400).contains(&apart[0]), "{text}");
    assert!((300..=400).contains(&apart[1]), "{text}");
    assert!((600..=800).contains(&apart[2]), "{text}");
    assert!(text.contains("3.000 -- CLOSED"), "{text}");
}

/// "RACK reorder window: min_rtt/4: RTT 100 ms -> retransmit 25-27 ms after the SACK; 0 once 3
/// segments are SACKed or in recovery".
#[test]
fn profile_rack_window() {
    let mut h = accepted();
    let text = h.play("write 10000\n+100ms\n< . 1:1 ack 1 win 512 <sack 1001:2001>\n+50ms");
    let first = times(&text, 1);
    assert!((125..=127).contains(&first[1]), "{text}");
    let mut h = accepted();
    let text = h.play("write 10000\n+100ms\n< . 1:1 ack 1 win 512 <sack 1001:4001>");
    assert_eq!(times(&text, 1), [0, 100]);
    let text = h.play("+100ms\n< . 1:1 ack 4001 win 512 <sack 5001:6001>");
    assert_eq!(times(&text, 4001), [0, 200]);
    let mut h = accepted();
    h.play("write 10000\n+100ms\n< . 1:1 ack 1 win 512 <sack 1001:2001>\n+25ms");
    h.play("< . 1:1 ack 1 win 512 <sack 3001:4001 1001:2001>");
    assert_eq!(h.tcb.flight.lost.segments, 2, "1 and 2001, at once");
}

/// "dupack threshold: 3; limited transmit 1 new segment on dupacks 1 and 2".
#[test]
fn profile_dupack_threshold() {
    let mut h = accepted_with(Config {
        sack: false,
        ..Config::default()
    });
    h.play("write 40000\n+100ms");
    let dup = "< . 1:1 ack 1 win 512\n";
    let text = h.play(dup);
    assert_eq!(
        (times(&text, 10_001), times(&text, 1).len()),
        ([100].into(), 1)
    );
    let text = h.play(dup);
    assert_eq!(
        (times(&text, 11_001), times(&text, 1).len()),
        ([100].into(), 1)
    );
    let text = h.play(dup);
    assert_eq!(
        (times(&text, 12_001), times(&text, 1).len()),
        ([].into(), 2)
    );
}

/// "cubic beta 0.7: 10 -> ssthresh 7".
#[test]
fn profile_cubic_beta() {
    let mut h = accepted();
    h.play("write 60000\n+100ms\n< . 1:1 ack 1 win 512 <sack 1001:4001>");
    assert_eq!(ssthresh(&h), 7);
}

/// "PRR sends 1 per ACK when pipe = ssthresh, CRB below, slow-start-like after".
#[test]
fn profile_prr() {
    let sent = |h: &mut Harness, script: &str| {
        let before = h.tcb.counts.segs_out;
        h.play(script);
        (h.tcb.counts.segs_out - before, h.tcb.pipe() / 1000)
    };
    let mut h = accepted();
    h.play("write 90000\n+100ms\n< . 1:1 ack 10001 win 512\n+100ms");
    assert_eq!((cwnd(&h), h.tcb.pipe()), (20, 20_000));
    let ack = |end: u32| std::format!("< . 1:1 ack 10001 win 512 <sack 11001:{end}001>\n");
    // Two by limited transmit, then the one that is lost: 20 were in flight, 14 may be.
    assert_eq!(sent(&mut h, &ack(12)), (1, 20));
    assert_eq!(sent(&mut h, &ack(13)), (1, 20));
    assert_eq!((sent(&mut h, &ack(14)), ssthresh(&h)), ((1, 19), 14));
    // Fewer leave than arrive until that is so, then one for each.
    let left: std::vec::Vec<_> = (15..31).map(|end| sent(&mut h, &ack(end))).collect();
    let reducing = left.iter().take_while(|(_, pipe)| *pipe > 14).count();
    let (some, rest) = left.split_at(reducing);
    assert!(some.iter().map(|(n, _)| n).sum::<u32>() < reducing as u32);
    assert!(
        rest.iter().all(|now| *now == (1, 14)) || rest[1..].iter().all(|now| *now == (1, 14)),
        "{left:?}"
    );
    // Below the threshold, after more was lost: what arrives, and one more once it goes on.
    let mut h = accepted();
    h.play("write 60000\n+100ms\n< . 1:1 ack 1 win 512 <sack 8001:10001>\n+25ms");
    assert!(h.tcb.pipe() < 7000);
    assert_eq!(
        sent(&mut h, "+75ms\n< . 1:1 ack 1 win 512 <sack 8001:11001>").0,
        1
    );
    assert_eq!(
        sent(&mut h, "+25ms\n< . 1:1 ack 1001 win 512 <sack 8001:12001>").0,
        3
    );
}

/// "after RTO: cwnd 1, slow start to ssthresh 7, then 1 per 20 ACKed packets (cubic)".
#[test]
fn profile_after_rto() {
    let mut h = accepted_with(Config {
        frto: false,
        tail_probes: false,
        ..Config::default()
    });
    h.play("write 100000\n+300ms");
    assert_eq!((cwnd(&h), ssthresh(&h)), (1, 7));
    let mut ack = 1;
    let mut windows = std::vec::Vec::new();
    for segments in [1, 2, 4] {
        ack += segments * 1000;
        h.play(&std::format!("+100ms\n< . 1:1 ack {ack} win 512"));
        windows.push(cwnd(&h));
    }
    assert_eq!(windows, [2, 4, 7]);
    // Congestion avoidance with an unknown maximum: a segment for twenty.
    let before = cwnd(&h);
    // One of the last four was beyond the threshold.
    for _ in 0..18 {
        ack += 1000;
        h.play(&std::format!("< . 1:1 ack {ack} win 512"));
    }
    assert_eq!(cwnd(&h), before);
    for _ in 0..2 {
        ack += 1000;
        h.play(&std::format!("< . 1:1 ack {ack} win 512"));
    }
    assert_eq!(cwnd(&h), before + 1);
}

/// "slow start: + acked packets (no ABC limit), only while cwnd < 2 x packets sent (5 sent: stays
/// 10; 6: 12; 9: 18; 10: 20)".
#[test]
fn profile_slow_start() {
    for (sent, window) in [(5, 10), (6, 12), (9, 18), (10, 20)] {
        let mut h = accepted();
        h.play(&std::format!("write {sent}000\n+100ms"));
        for n in 1..=sent {
            h.play(&std::format!("< . 1:1 ack {} win 512", n * 1000 + 1));
        }
        assert_eq!(cwnd(&h), window, "{sent} sent");
    }
}

/// "HyStart: from cwnd 16; 8 samples a round; exit when the round's RTT exceeds min_rtt by 1/8
/// (4-16 ms)".
#[test]
fn profile_hystart() {
    // A round that takes so much longer than the first ends slow start, at 16 segments and not
    // below.
    let exits = |first: u32, rtt: u32, later: u32| {
        let mut h = accepted();
        let mut ack = 1;
        h.play(&std::format!("rtt {rtt}ms\nwrite {first}000\n+{rtt}ms"));
        for _ in 0..first {
            ack += 1000;
            h.play(&std::format!("< . 1:1 ack {ack} win 1024"));
        }
        let window = cwnd(&h);
        h.play(&std::format!("write 200000\n+{}ms", rtt + later));
        let mut after = std::vec::Vec::new();
        for _ in 0..12 {
            ack += 1000;
            h.play(&std::format!("< . 1:1 ack {ack} win 1024\n+3ms"));
            after.push(cwnd(&h) - window);
        }
        (ssthresh(&h) < 1000, after)
    };
    // An eighth of 100 ms, but 4 ms at least and 16 at most.
    for (rtt, least) in [(10, 4), (100, 12), (400, 16)] {
        assert!(!exits(10, rtt, least).0, "{rtt} ms and {least}");
        assert!(exits(10, rtt, least + 1).0, "{rtt} ms and {least} more");
    }
    // From a window of 12 on the round begins with that of 16, the fourth acknowledgment: twelve
    // are too few for it.
    let (ended, after) = exits(6, 100, 13);
    assert!(!ended, "{after:?}");
    let (ended, after) = exits(10, 100, 13);
    assert!(ended);
    // The ninth sample of the round decides.
    assert_eq!(after[..8], [1, 2, 3, 4, 5, 6, 7, 8], "{after:?}");
    assert_eq!(after[8..], [8, 8, 8, 8], "{after:?}");
}

/// "cubic, Reno-friendly: at most +1 per 2 ACKed packets".
#[test]
fn profile_cubic_growth_is_bounded() {
    let mut h = accepted();
    h.play("write 2000000\n+100ms\n< . 1:1 ack 1 win 1024 <sack 1001:4001>\n+100ms");
    let mut grown = std::vec::Vec::new();
    for _ in 0..60 {
        let (before, flight) = (cwnd(&h), h.tcb.in_flight() / 1000);
        let all = h.tcb.snd_nxt.since(ISS);
        h.play(&std::format!("< . 1:1 ack {all} win 1024\n+100ms"));
        grown.push(cwnd(&h).saturating_sub(before) * 100 / flight.max(1));
    }
    let most = grown.iter().max();
    assert!(
        most.is_some_and(|most| (1..=50).contains(most)),
        "{grown:?}"
    );
}
