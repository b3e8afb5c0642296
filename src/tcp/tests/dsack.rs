//! Duplicates reported by the receiver (RFC 2883), and what the sender makes of them.

use super::beginnings::accepted;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

/// RFC 2883 §4: the first block, once; §4.1.1 below the acknowledgment, §4.1.2 with a block of
/// what is missing, §4.2 inside a higher block, which follows; §4.3 for a part of a segment.
#[test]
fn reported_once_and_first() {
    let mut h = accepted();
    let text = h.play(
        "< . 1:1001 ack 1 win 512
        # below
        < . 1:1001 ack 1 win 512
        < . 3001:4001 ack 1 win 512
        # below, with something missing
        < . 501:1001 ack 1 win 512
        # inside a higher block
        < . 3001:4001 ack 1 win 512
        # a part of a segment inside it
        < . 3501:4501 ack 1 win 512
        # once only
        < . 5501:6001 ack 1 win 512
        # across the left edge
        < . 501:1501 ack 1 win 512",
    );
    snapshot!("dsack_reports", text);
}

/// The same can be switched off.
#[test]
fn not_reported_where_switched_off() {
    let config = Config {
        timestamps: false,
        dsack: false,
        ..Config::default()
    };
    let mut h = Harness::accepted(config, 1000);
    let text = h.play("< . 1:1001 ack 1 win 512\n< . 1:1001 ack 1 win 512");
    assert!(!text.contains("sack 1:1001"), "{text}");
}

/// RFC 2883 §5, RFC 3708 §3: what the network made two of is no answer to a retransmission, and
/// teaches nothing about reordering.
#[test]
fn duplicates_of_the_network_mean_nothing() {
    let mut h = accepted();
    h.play(
        "write 3000
        +100ms
        < . 1:1 ack 1001 win 512 <sack 1:1001>
        < . 1:1 ack 2001 win 512 <sack 1001:2001>
        < . 1:1 ack 3001 win 512",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!((info.dsack_dups, info.reord_seen, info.lost), (2, 0, 0));
    assert_eq!(info.snd_cwnd, 10);
    // Nor do losses wait longer: a quarter of the round trip.
    let text = h.play("write 4000\n+100ms\n< . 1:1 ack 3001 win 512 <sack 4001:5001>\n+25ms");
    snapshot!("dsack_of_the_network", text);
}

/// Duplicates beyond what was sent, or far below, are no reports at all.
#[test]
fn nonsense_is_not_counted() {
    let mut h = accepted();
    h.play(
        "write 3000
        +100ms
        < . 1:1 ack 3001 win 512 <sack 5001:6001>
        < . 1:1 ack 3001 win 512 <sack 2001:2001>",
    );
    let far = h.play("< . 1:1 ack 3001 win 512 <sack 4000000000:4000001000>");
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!((info.dsack_dups, info.sacked), (0, 0), "{far}");
}
