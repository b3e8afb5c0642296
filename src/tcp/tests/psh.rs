//! Where writes end: the push flag, records, and what waits for more (RFC 9293 §3.9.1.2).

use super::beginnings::accepted;
use super::snapshot;

/// RFC 9293 §3.9.1.2 (MUST-60, MUST-61): the last segment of what is buffered has PSH; what
/// several writes left waiting is sent in full segments, and one push covers them.
#[test]
fn pushes_end_writes() {
    let text = accepted().play(
        "write 2500
        write 300
        write 300
        +100ms
        < . 1:1 ack 2501 win 512",
    );
    snapshot!("psh_writes", text);
}

/// A retransmission has the push of what it repeats.
#[test]
fn retransmissions_push_too() {
    let text = accepted().play(
        "write 1500
        +100ms
        < . 1:1 ack 1001 win 512
        +1s",
    );
    snapshot!("psh_repeated", text);
}

/// RFC 9293 §3.9.1.2 (SHLD-27): a sender that pushes nothing for long pushes all the same: after
/// half of the peer's largest window, here 65,536 octets.
#[test]
fn pushes_come_at_least_each_half_window() {
    let text = accepted().play(
        "write 80000
        < . 1:1 ack 10001 win 512
        < . 1:1 ack 30001 win 512
        < . 1:1 ack 70001 win 512",
    );
    snapshot!("psh_forced", text);
}

/// `MSG_EOR`: no segment has octets of two records, and one with more behind it waits for
/// nothing.
#[test]
fn records_end_segments() {
    let text = accepted().play(
        "write 1200 eor
        write 300 eor
        write 2000 eor
        write 10
        +100ms
        < . 1:1 ack 3501 win 512",
    );
    snapshot!("psh_records", text);
}
