//! Urgent text (RFC 9293 §3.8.5, RFC 6093).

use super::beginnings::accepted;
use super::harness::Harness;
use super::snapshot;

/// RFC 9293 §3.8.5 (MUST-30, MUST-31, MUST-62): the pointer is the octet after the last urgent
/// one, of which there may be any number; segments from before it have URG, so the first tells
/// of those to come.
#[test]
fn sent() {
    let text = accepted().play(
        "gso 65000
        write 500
        write 1800 urgent
        write 1200
        +100ms
        < . 1:1 ack 501 win 512
        < . 1:1 ack 2301 win 512
        write 5000",
    );
    snapshot!("urgent_sent", text);
}

/// RFC 9293 §3.8.5: more than the pointer can say is said to be as far as it can say. A probe
/// of a closed window tells, too.
#[test]
fn sent_far_ahead_and_behind_a_closed_window() {
    let text = accepted().play(
        "< . 1:1 ack 1 win 0
        write 70000 urgent
        +300ms
        < . 1:1 ack 1 win 16
        < . 1:1 ack 2001 win 512",
    );
    snapshot!("urgent_far", text);
}

/// RFC 9293 §3.8.5 (MUST-32, MUST-33): the application can learn how much is urgent, before it
/// came and until it is read, and when it becomes more. Octets are read in line (RFC 6093 §6).
#[test]
fn received() {
    let text = accepted().play(
        "< U. 1:101 ack 1 win 512 urg 300
        urgent
        < U. 101:201 ack 1 win 512 urg 50
        urgent
        < U. 201:301 ack 1 win 512 urg 200
        urgent
        read 250
        urgent
        < . 301:501 ack 1 win 512
        read
        urgent",
    );
    snapshot!("urgent_received", text);
}

/// A pointer to nowhere is no reason to look there: past the window, before the segment (as
/// CVE-2019-12255 has it: zero), on a FIN.
#[test]
fn pointers_are_not_trusted() {
    let text = accepted().play(
        "< U. 1:101 ack 1 win 512 urg 0
        urgent
        < U. 101:101 ack 1 win 512 urg 65535
        urgent
        read
        < UF. 101:111 ack 1 win 512 urg 1000
        read
        urgent
        < U. 112:112 ack 1 win 512 urg 9
        urgent",
    );
    snapshot!("urgent_hostile", text);
}

/// What was read is no longer urgent, nor will it be when sequence numbers come round to it.
#[test]
fn forgotten_when_read() {
    let mut h = accepted();
    let known = |h: &Harness| h.tcb.rare.get().and_then(|rare| rare.rcv_up);
    h.play("< U. 1:101 ack 1 win 512 urg 150");
    assert!(known(&h).is_some());
    h.play("read");
    assert!(known(&h).is_some(), "fifty octets are to come");
    h.play("< . 101:201 ack 1 win 512\n read");
    assert_eq!(known(&h), None);
}
