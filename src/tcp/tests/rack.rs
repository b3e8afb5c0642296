//! RACK (RFC 8985 §6): losses found by time.

use super::beginnings::accepted;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

/// RFC 8985 §6.2 step 5: what was sent before something that arrived is lost once the reordering
/// window, a quarter of the least round trip, has passed; §6.3: the timer sees to it.
#[test]
fn reordering_window() {
    let mut h = accepted();
    let text = h.play(
        "write 4000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        recovery
        +24ms
        recovery
        +1ms
        recovery
        +100ms
        < . 1:1 ack 4001 win 512
        recovery",
    );
    snapshot!("rack_window", text);
}

/// RFC 8985 §6.2 step 4: no window once three segments were reported, as if by DupThresh.
#[test]
fn three_reports_need_no_window() {
    let mut h = accepted();
    let text = h.play(
        "write 6000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        < . 1:1 ack 1 win 512 <sack 1001:3001>
        recovery
        < . 1:1 ack 1 win 512 <sack 1001:4001>
        recovery",
    );
    snapshot!("rack_three", text);
}

/// RFC 8985 §6.2 step 4, §3.3.2: in recovery there is no window, until reordering was seen.
#[test]
fn no_window_in_recovery() {
    let mut h = accepted();
    let text = h.play(
        "write 10000
        +100ms
        # 1 and 6001 are lost
        < . 1:1 ack 1 win 512 <sack 1001:4001>
        +1ms
        < . 1:1 ack 1 win 512 <sack 7001:8001 1001:4001>
        recovery",
    );
    // Where less than three segments are reported, only recovery says that there is no window.
    let mut h = accepted();
    let text = text
        + &h.play(
            "write 10000
            +100ms
            < . 1:1 ack 1 win 512 <sack 1001:2001>
            +25ms
            recovery
            < . 1:1 ack 1 win 512 <sack 3001:4001 1001:2001>
            recovery",
        );
    snapshot!("rack_in_recovery", text);
}

/// RFC 8985 §6.2 step 3 and 4: octets sent once that arrive behind others show reordering; from
/// then on every loss waits for the window, in recovery as well.
#[test]
fn reordering_is_learned() {
    let mut h = accepted();
    let text = h.play(
        "write 8000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:3001>
        +5ms
        # late, not lost
        < . 1:1 ack 3001 win 512
        < . 1:1 ack 8001 win 512
        recovery
        write 8000
        +100ms
        < . 1:1 ack 8001 win 512 <sack 9001:14001>
        recovery
        +25ms
        recovery",
    );
    assert_eq!(h.tcb.flight.rack.seen, 1);
    snapshot!("rack_reordered", text);
}

/// RFC 8985 §6.2 step 4: each round trip with a needless retransmission widens the window by a
/// quarter of the least round trip, up to the smoothed one.
#[test]
fn duplicates_widen_the_window() {
    let mut h = accepted();
    h.play(
        "write 4000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        +30ms
        # later than the window, but not lost
        < . 1:1 ack 4001 win 512
        +70ms
        < . 1:1 ack 4001 win 512 <sack 1:1001>",
    );
    let text = h.play(
        "write 4000
        +100ms
        < . 1:1 ack 4001 win 512 <sack 5001:6001>
        +49ms
        recovery
        +1ms
        recovery",
    );
    snapshot!("rack_widens", text);
}

/// RFC 8985 §6.2 step 4: the window is never more than the smoothed round trip, however often
/// retransmissions were needless (here six times: 7 quarters of 100 ms); and after sixteen
/// recoveries without such (RACK.reo_wnd_persist) it is a quarter again.
#[test]
fn the_widest_window_and_its_end() {
    let mut h = accepted();
    let mut una = 1;
    let late = |h: &mut Harness, wait: u32, una: u32, twice: bool| {
        let (next, last) = (una + 1000, una + 2000);
        h.forget();
        let text = h.play(&std::format!(
            "write 2000
            +100ms
            < . 1:1 ack {una} win 512 <sack {next}:{last}>
            +{wait}ms
            +1ms
            < . 1:1 ack {last} win 512"
        ));
        h.play("+100ms");
        if twice {
            h.play(&std::format!(
                "< . 1:1 ack {last} win 512 <sack {una}:{next}>"
            ));
        }
        text
    };
    for wait in [25, 50, 75, 100, 100, 100] {
        let _ = late(&mut h, wait, una, true);
        una += 2000;
    }
    let widest = late(&mut h, 100, una, false);
    let mut last = std::string::String::new();
    for _ in 0..15 {
        una += 2000;
        last = late(&mut h, 100, una, false);
    }
    let after = late(&mut h, 25, una + 2000, false);
    let text = widest + "# the sixteenth\n" + &last + "# and the one after it\n" + &after;
    snapshot!("rack_widest", text);
}

/// RFC 8985 §3.2, §6.2: a retransmission is lost like any other segment when later ones arrive.
#[test]
fn lost_retransmission_is_found_by_time() {
    let mut h = accepted();
    let text = h.play(
        "write 20000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:4001>
        +10ms
        < . 1:1 ack 1 win 512 <sack 1001:10001>
        recovery
        +90ms
        # what was sent before the retransmission says nothing about it
        recovery
        +10ms
        # what was sent after it does
        < . 1:1 ack 1 win 512 <sack 1001:11001>
        recovery
        +100ms
        < . 1:1 ack 15001 win 512
        recovery",
    );
    snapshot!("rack_retransmission", text);
}

/// RFC 8985 §6.2 step 2: an acknowledgment of a retransmission that comes sooner than the path
/// allows answers the first transmission, and says nothing of what was sent between.
#[test]
fn early_answers_do_not_count() {
    let mut h = accepted();
    let text = h.play(
        "write 10000
        +100ms
        < . 1:1 ack 1 win 512 <sack 1001:2001>
        +25ms
        +5ms
        # 1 was late: its retransmission left 5 ms ago
        < . 1:1 ack 2001 win 512
        recovery",
    );
    // With timestamps it is told by the echo, when it comes late enough for both.
    let mut h = Harness::accepted(Config::default(), 1012);
    let text = text
        + &h.play(
            "write 10000
            +100ms
            < . 1:1 ack 1 win 512 <TS 1100 ecr 0,sack 1001:2001>
            +25ms
            +110ms
            < . 1:1 ack 2001 win 512 <TS 1235 ecr 0>
            recovery
            # 3001 is lost; what left at the same time, behind 6001, is not, although 1 left later
            < . 1:1 ack 3001 win 512 <TS 1235 ecr 0,sack 4001:7001>
            recovery",
        );
    snapshot!("rack_early", text);
}

/// A train is one record; reports split it at segments, and the timer judges each part.
#[test]
fn trains_are_split_by_reports() {
    let mut h = accepted();
    h.play("gso 65000\nwrite 10000");
    assert_eq!(h.tcb.flight.records.len(), 1);
    let text = h.play(
        "+100ms
        < . 1:1 ack 1 win 512 <sack 2001:3001 4001:4501>
        recovery
        +25ms
        recovery",
    );
    // Two ends of the train, and the reported segment; half of one is none.
    assert_eq!(h.tcb.flight.sacked.octets, 1000);
    snapshot!("rack_trains", text);
}
