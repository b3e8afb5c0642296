//! Proportional rate reduction (RFC 6937, draft-ietf-tcpm-prr-rfc6937bis).

use super::beginnings::accepted;
use super::snapshot;

/// 6937bis §6.2: while more than the threshold is in flight, one segment leaves for two that
/// arrive (Reno's half); at the end the threshold is in flight.
#[test]
fn in_proportion() {
    let mut h = accepted();
    let mut script = std::string::String::from("write 60000\n+100ms\n< . 1:1 ack 10001 win 512\n");
    script += "recovery\n+100ms\n# 10001 is lost\n";
    for end in [12, 13, 14, 15, 16, 18, 20, 22, 24, 26, 28, 30] {
        script += &std::format!("< . 1:1 ack 10001 win 512 <sack 11001:{end}001>\n");
    }
    script += "recovery\n+100ms\n< . 1:1 ack 30001 win 512\nrecovery";
    snapshot!("prr_proportion", h.play(&script));
}

/// 6937bis §6.2: below the threshold the conservative bound holds while losses are found; the
/// slow start bound adds a segment once SND.UNA moves without another.
#[test]
fn reduction_bounds() {
    let mut h = accepted();
    let text = h.play(
        "write 60000
        +100ms
        # 1 to 6001 and 8001 are lost: four arrive
        < . 1:1 ack 1 win 512 <sack 7001:8001>
        < . 1:1 ack 1 win 512 <sack 9001:10001 7001:8001>
        +25ms
        recovery
        +75ms
        < . 1:1 ack 1 win 512 <sack 10001:11001 9001:10001 7001:8001>
        recovery
        +25ms
        # SND.UNA moves: one more
        < . 1:1 ack 1001 win 512 <sack 10001:11001 9001:10001 7001:8001>
        recovery
        < . 1:1 ack 2001 win 512 <sack 10001:11001 9001:10001 7001:8001>
        recovery",
    );
    snapshot!("prr_bounds", text);
}

/// 6937bis §6.2: the first retransmission leaves at once, however much is in flight.
#[test]
fn the_first_leaves_at_once() {
    let mut h = accepted();
    let text = h.play(
        "write 10000
        +100ms
        < . 1:1 ack 1 win 512 <sack 7001:10001>
        recovery
        +1ms
        # says nothing new: nothing leaves
        < . 1:1 ack 1 win 512 <sack 7001:10001>
        recovery",
    );
    snapshot!("prr_first", text);
}

/// R14: acknowledgments that report a few octets each release a few octets each, and no segment
/// before a whole one has arrived.
#[test]
fn divided_reports_release_no_more() {
    let mut h = accepted();
    h.play("write 60000\n+100ms\n< . 1:1 ack 1 win 512 <sack 1001:4001>");
    let before = h.tcb.counts.segs_out;
    let script: std::string::String = (1..100)
        .map(|n| std::format!("< . 1:1 ack {} win 512 <sack 1001:4001>\n", 1 + n))
        .collect();
    let text = h.play(&script);
    assert!(h.tcb.counts.segs_out - before <= 1);
    snapshot!("prr_divided", text);
}
