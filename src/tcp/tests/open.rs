//! Handshakes of the active side, and what they agree on (RFC 9293 §3.5, §3.10.7.3).

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

#[test]
fn active_open() {
    let mut h = Harness::connect(Config::default());
    let text = h.play(
        "+100ms
        < S. 0:0 ack 1 win 65535 <mss 1460,sackOK,TS 700 ecr 0,nop,wscale 7>
        write 1000
        +100ms
        < . 1:1 ack 1001 win 512 <TS 800 ecr 100>
        info",
    );
    snapshot!("open_active", text);
}

/// Options that the SYN-ACK does not repeat are not used: no scaling either way, no SACK, no
/// timestamps, and an MSS of 536.
#[test]
fn nothing_agreed() {
    let mut h = Harness::connect(Config::default());
    let text = h.play(
        "+10ms
        < S. 0:0 ack 1 win 2000
        write 3000
        +10ms
        < . 1001:1101 ack 1073 win 2000 <sack 2000:2536>
        +10ms
        < . 1:1001 ack 2001 win 2000
        # a timestamp nobody agreed on is not read, nor answered
        < . 1101:1201 ack 2001 win 2000 <TS 5 ecr 5>
        < . 1101:1201 ack 2001 win 2000 <TS 4 ecr 5>",
    );
    snapshot!("open_nothing_agreed", text);
}

/// SYN options without timestamps; a tiny MSS is raised to the floor of 48.
#[test]
fn tiny_mss() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "+10ms
        < S. 0:0 ack 1 win 100 <mss 1,nop,nop,sackOK,nop,wscale 14>
        write 100
        nodelay",
    );
    snapshot!("open_tiny_mss", text);
}

#[test]
fn syn_is_repeated_five_times() {
    let mut h = Harness::connect(plain());
    let text = h.play("+70s");
    snapshot!("open_syn_retries", text);
}

/// After a repeated SYN, without a sample: RTO 3 s and one segment (RFC 6298 §5.7, RFC 5681
/// §3.1).
#[test]
fn repeated_syn_begins_carefully() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "+1500ms
        < S. 0:0 ack 1 win 65535 <mss 1460>
        write 10000
        info
        +3s
        < . 1:1 ack 1461 win 65535
        info",
    );
    snapshot!("open_repeated_syn", text);
}

#[test]
fn refused() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "# not for our SYN
        < R. 0:0 ack 7 win 0
        < R 0:0 win 0
        < R. 0:0 ack 1 win 0
        # no connection any more
        < . 0:0 ack 9 win 0
        < S 0:0 win 0
        < R 0:0 win 0",
    );
    snapshot!("open_refused", text);
}

/// RFC 9293 §3.5.1: a half-open connection of the peer is reset, and the SYN repeated.
#[test]
fn old_connection_of_the_peer() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "< . 100:100 ack 300 win 1000
        < S. 0:0 ack 0 win 1000
        < . 0:0 ack 1 win 1000
        +1s
        < S. 0:0 ack 1 win 1000 <mss 1460>",
    );
    snapshot!("open_old_connection", text);
}

/// RFC 9293 §3.5, figure 8.
#[test]
fn simultaneous_open() {
    let mut h = Harness::connect(Config::default());
    let text = h.play(
        "write 100
        < S 0:0 win 60000 <mss 1000,sackOK,TS 9 ecr 0,nop,wscale 2>
        # a repeated SYN is challenged, the SYN-ACK repeated by timer
        < S 0:0 win 60000 <mss 1000,sackOK,TS 9 ecr 0,nop,wscale 2>
        +1s
        # not our SYN
        < . 1:1 ack 7 win 60000 <TS 9 ecr 0>
        < S. 0:0 ack 1 win 60000 <mss 1000,sackOK,TS 10 ecr 0,nop,wscale 2>
        < . 1:1 ack 101 win 15000 <TS 11 ecr 5>",
    );
    snapshot!("open_simultaneous", text);
}

#[test]
fn simultaneous_open_refused() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "< S 0:0 win 60000 <mss 1000>
        < R 1:1 win 0",
    );
    snapshot!("open_simultaneous_refused", text);
}

/// Text and FIN on a SYN-ACK are processed; what our application queued before goes out with
/// the acknowledgment.
#[test]
fn text_on_the_syn_ack() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "write 10
        < SF. 0:0 ack 1 win 65535 <mss 1460>
        read",
    );
    snapshot!("open_syn_ack_with_fin", text);
}

/// A FIN asked for before the connection is open goes out once it is.
#[test]
fn shutdown_before_open() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "write 10
        shutdown
        < S. 0:0 ack 1 win 65535 <mss 1460>
        < . 1:1 ack 12 win 65535",
    );
    snapshot!("open_shutdown_before", text);
}

/// Closing in SYN-SENT sends nothing; a late SYN-ACK is reset.
#[test]
fn close_before_open() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "close
        +5s
        < S. 0:0 ack 1 win 65535 <mss 1460>",
    );
    snapshot!("open_close_before", text);
}

/// ICMP errors about our SYN end the attempt; about anything else they are ignored
/// (RFC 5927 §4.1).
#[test]
fn unreachable() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "icmp host 1
        icmp host 0",
    );
    let mut h = Harness::connect(plain());
    let text = text + &h.play("icmp port 0");
    let mut h = Harness::connect(plain());
    // Once the peer has answered they only explain a timeout (RFC 1122 §4.2.3.9).
    let text = text
        + &h.play(
            "< S. 0:0 ack 1 win 65535 <mss 1460>
            write 10
            icmp net 1
            usertimeout 2s
            +3s",
        );
    snapshot!("open_unreachable", text);
}
