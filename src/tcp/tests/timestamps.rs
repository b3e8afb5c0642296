//! Window scaling and timestamps (RFC 7323), rule by rule. PAWS against strangers is in
//! `attack.rs`, what SYNs agree on in `open.rs`, TIME-WAIT in `tests/tcp/`.

extern crate std;

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

/// RFC 7323 §2.2: the window of a SYN-ACK is not scaled, that of the segment after it is.
#[test]
fn syn_windows_are_not_scaled() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "write 3000
        < S. 0:0 ack 1 win 1500 <mss 1000,nop,wscale 7>
        < . 1:1 ack 1001 win 1500",
    );
    // Nor is that of the SYN-ACK where SYNs cross.
    let mut h = Harness::connect(plain());
    let text = text
        + &h.play(
            "write 3000
            < S 0:0 win 1200 <mss 1000,nop,wscale 7>
            < S. 0:0 ack 1 win 1500 <mss 1000,nop,wscale 7>
            < . 1:1 ack 1001 win 1500",
        );
    snapshot!("rfc7323_syn_window", text);
}

/// RFC 7323 §2.3: a shift above 14 is used as 14.
#[test]
fn a_shift_is_fourteen_at_most() {
    let mut h = Harness::connect(plain());
    let text = h.play(
        "< S. 0:0 ack 1 win 65535 <mss 1000,nop,wscale 15>
        # 3 << 14 octets
        < . 1:1 ack 1 win 3
        write 65000
        < . 1:1 ack 10001 win 3
        < . 1:1 ack 30001 win 1",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!((info.snd_wscale, info.snd_wnd), (14, 1 << 14));
    snapshot!("rfc7323_fourteen", text);
}

/// RFC 7323 §2.4: a peer may take its window back behind what was sent; that is repeated when
/// its time has come, and nothing new sent.
#[test]
fn a_window_may_shrink() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 5000
        < . 1:1 ack 1001 win 7
        write 1000
        +400ms
        < . 1:1 ack 2001 win 512",
    );
    snapshot!("rfc7323_shrink", text);
}

/// RFC 7323 §3.2: once agreed on, every segment has one; a RST should. Without one a segment is
/// dropped in silence, a RST is not.
#[test]
fn timestamps_on_every_segment() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "write 10
        < . 1:1 ack 11 win 512
        < P. 1:11 ack 11 win 512
        < P. 1:11 ack 11 win 512 <TS 1001 ecr 0>
        +50ms
        abort",
    );
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = text + &h.play("< R 1:1 win 0");
    snapshot!("rfc7323_every_segment", text);
}

/// RFC 7323 §4.1: an echo is a measurement only if it acknowledges something new.
#[test]
fn echoes_of_nothing_new_are_not_measured() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "write 10
        +100ms
        < . 1:1 ack 11 win 512 <TS 1100 ecr 0>
        info
        +5s
        # an old echo, with a new window and with text
        < . 1:1 ack 11 win 600 <TS 6100 ecr 0>
        < . 1:11 ack 11 win 600 <TS 6100 ecr 0>
        info
        # the same with something in flight, in order and behind a hole
        write 20
        +10ms
        < . 11:11 ack 11 win 700 <TS 6110 ecr 0>
        < . 11:21 ack 11 win 700 <TS 6110 ecr 0>
        < . 31:41 ack 11 win 700 <TS 6110 ecr 0>
        info
        +40ms
        < . 21:21 ack 31 win 700 <TS 6150 ecr 5100>
        info",
    );
    snapshot!("rfc7323_rttm", text);
}

/// RFC 7323 §4.3 (A): of segments acknowledged together the earliest is echoed.
#[test]
fn a_delayed_acknowledgment_echoes_the_first() {
    let mut h = Harness::accepted(Config::default(), 1000);
    h.tcb.ack.quick = 0;
    let text = h.play(
        "<< . 1:501 ack 1 win 512 <TS 1001 ecr 0>
        < . 501:1001 ack 1 win 512 <TS 1002 ecr 0>
        +50ms",
    );
    snapshot!("rfc7323_delayed", text);
}

/// RFC 7323 §4.3 (B), (C): behind a hole the last segment in order is echoed; what fills the hole
/// is echoed itself.
#[test]
fn a_hole_echoes_what_came_before_it() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "< . 1:101 ack 1 win 512 <TS 1001 ecr 0>
        < . 201:301 ack 1 win 512 <TS 1003 ecr 0>
        < . 301:401 ack 1 win 512 <TS 1004 ecr 0>
        < . 101:201 ack 1 win 512 <TS 1002 ecr 0>
        < . 401:501 ack 1 win 512 <TS 1005 ecr 0>",
    );
    snapshot!("rfc7323_hole", text);
}

/// RFC 7323 §5.3: R1 an old timestamp is acknowledged and dropped, though it would fit; R2 what
/// lies outside the window is, whatever its timestamp; R3 only what reaches back to the last
/// acknowledgment is remembered; R4, R5 the rest as ever. The same timestamp is not old.
#[test]
fn old_duplicates_are_out() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "< . 1:101 ack 1 win 512 <TS 2000 ecr 0>
        < . 101:201 ack 1 win 512 <TS 2000 ecr 0>
        # R1
        < . 201:301 ack 1 win 512 <TS 1999 ecr 0>
        +1s
        # R2
        < . 999999:1000000 ack 1 win 512 <TS 3000 ecr 0>
        # R3: behind a hole; then the one before it
        < . 301:401 ack 1 win 512 <TS 3001 ecr 0>
        < . 201:301 ack 1 win 512 <TS 2500 ecr 0>
        # sequence numbers decide between equals (R2), and wrapped clocks compare
        < . 401:501 ack 1 win 512 <TS 2147486147 ecr 0>",
    );
    snapshot!("rfc7323_paws", text);
}

/// RFC 7323 §5.2 and RFC 5961 §3: a RST is not judged by its timestamp, but by its number.
#[test]
fn resets_are_exempt_from_paws() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "< . 1:101 ack 1 win 512 <TS 2000 ecr 0>
        < R 102:102 win 0 <TS 1 ecr 0>
        < R 101:101 win 0 <TS 1 ecr 0>",
    );
    snapshot!("rfc7323_reset", text);
}

/// RFC 7323 §5.5: after 24 days without a segment TS.Recent means nothing.
#[test]
fn old_after_24_days() {
    let mut texts = std::string::String::new();
    for (minutes, taken) in [(24 * 24 * 60 - 1, 100), (24 * 24 * 60 + 1, 200)] {
        let mut h = Harness::accepted(Config::default(), 1000);
        h.play("< . 1:101 ack 1 win 512 <TS 2000 ecr 0>");
        h.play(&std::format!("+{minutes}m"));
        texts += &h.play("< . 101:201 ack 1 win 512 <TS 100 ecr 0>");
        assert_eq!(h.rx.readable(), taken, "{minutes}");
    }
    snapshot!("rfc7323_24_days", texts);
}

/// RFC 7323 §4.1, §4.3 (2): what came last comes again, for our acknowledgment was lost; its own
/// timestamp is echoed, or its sender would take all the time since for a round trip. One of
/// another place in the stream, or older, changes no echo.
#[test]
fn the_last_segment_again_is_echoed() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "< . 1:1001 ack 1 win 512 <TS 1001 ecr 0>
        < . 1001:2001 ack 1 win 512 <TS 1002 ecr 0>
        +5s
        # neither the last nor new
        < . 1:1001 ack 1 win 512 <TS 6000 ecr 0>
        < . 501:1501 ack 1 win 512 <TS 6001 ecr 0>
        < . 1001:2001 ack 1 win 512 <TS 6002 ecr 0>
        < . 2001:2001 ack 1 win 512 <TS 6003 ecr 0>
        < . 1001:2001 ack 1 win 512 <TS 6001 ecr 0>",
    );
    snapshot!("rfc7323_last_again", text);
}

/// RFC 5961 §5, RFC 7323 §5.3: of what came last and comes again the timestamp counts only if its
/// acknowledgment can be the peer's. Whoever forges one far ahead would have PAWS refuse all that
/// the peer sends for 24 days.
#[test]
fn a_forged_last_segment_does_not_change_the_echo() {
    for forged in [". 1:1001 ack 50000", ". 1:1001 ack 2147483649", "P 1:1001"] {
        let mut h = Harness::accepted(Config::default(), 1000);
        h.play("< . 1:1001 ack 1 win 512 <TS 1001 ecr 0>");
        h.play(&std::format!("< {forged} win 512 <TS 2000000000 ecr 0>"));
        h.play("< . 1001:2001 ack 1 win 512 <TS 1002 ecr 0>");
        assert_eq!(h.rx.readable(), 2000, "{forged}");
    }
}
