//! Windows, Nagle, delayed acknowledgments, probes: a connection without loss.

use super::beginnings::plain;
use super::harness::Harness;
extern crate std;

use super::snapshot;
use crate::tcp::Config;

/// A buffer of 4000 octets and no scaling, where silly windows show.
fn small() -> Config {
    Config {
        receive_buffer: 4000,
        window_scaling: false,
        ..plain()
    }
}

/// Ten segments at first, two for each acknowledged one after; PSH where the text ends.
#[test]
fn slow_start() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 20000
        info
        +100ms
        < . 1:1 ack 2001 win 512
        info
        < . 1:1 ack 10001 win 512
        info",
    );
    snapshot!("slow_start", text);
}

/// The same as trains for a device that cuts them: multiples of the MSS, and the rest at the
/// end of the text.
#[test]
fn trains() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "gso 65000
        write 20500
        +100ms
        < . 1:1 ack 10001 win 512
        gso 4500
        write 10000
        < . 1:1 ack 20501 win 512",
    );
    snapshot!("trains", text);
}

/// Nagle with Minshall's condition: one short segment in flight at a time.
#[test]
fn nagle() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 1500
        write 10
        write 10
        # a full segment is not held
        write 1000
        +100ms
        < . 1:1 ack 1501 win 512
        +100ms
        < . 1:1 ack 2521 win 512
        write 5
        write 5
        nodelay
        write 5",
    );
    snapshot!("nagle", text);
}

/// A cork holds short segments for an RTO at most.
#[test]
fn cork() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "cork
        write 1100
        +100ms
        < . 1:1 ack 1001 win 512
        +299ms
        +2ms
        < . 1:1 ack 1101 win 512
        write 10
        uncork",
    );
    snapshot!("cork", text);
}

/// The first sixteen segments at once, then every second, a lone one after 40 ms.
#[test]
fn delayed_acks() {
    let mut h = Harness::accepted(plain(), 1460);
    let mut script = std::string::String::new();
    for n in 0..18 {
        script += &std::format!("< P. {}:{} ack 1 win 512\n", 1 + n * 100, 101 + n * 100);
    }
    script += "+100ms
        # a lone segment, and two full ones
        < P. 1801:1901 ack 1 win 512
        +100ms
        < . 1901:3361 ack 1 win 512
        < . 3361:4821 ack 1 win 512
        < . 4821:6281 ack 1 win 512
        < . 6281:7741 ack 1 win 512
        +200ms
        # one acknowledgment for a batch
        << . 7741:9201 ack 1 win 512
        << . 9201:10661 ack 1 win 512
        < . 10661:12121 ack 1 win 512";
    let text = h.play(&script);
    snapshot!("delayed_acks", text);
}

/// Acknowledgments ride on answers; a receiver that answers waits for the answer.
#[test]
fn acks_ride_on_answers() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "<< P. 1:101 ack 1 win 512
        write 100
        +10ms
        < P. 101:201 ack 101 win 512
        write 100
        +10ms
        < P. 201:301 ack 201 win 512
        +39ms
        +1ms",
    );
    snapshot!("acks_ride", text);
}

/// Window zero: probes at SND.UNA - 1 after the RTO, doubling; the window opens; nothing is
/// lost. Opening by less than it takes is overridden by the timer (RFC 9293 §3.8.6.2.1).
#[test]
fn zero_window() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 2000
        +100ms
        < . 1:1 ack 2001 win 0
        write 3000
        +350ms
        < . 1:1 ack 2001 win 0
        +700ms
        < . 1:1 ack 2001 win 0
        # one unit of 128 octets
        < . 1:1 ack 2001 win 1
        +300ms
        < . 1:1 ack 2129 win 512",
    );
    snapshot!("zero_window", text);
}

/// Nobody answers the probes.
#[test]
fn zero_window_unanswered() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "< . 1:1 ack 1 win 0
        write 3000
        +20m",
    );
    snapshot!("zero_window_unanswered", text);
}

/// The user timeout bounds a window that stays closed although the peer lives.
#[test]
fn zero_window_user_timeout() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "usertimeout 2s
        < . 1:1 ack 1 win 0
        write 3000
        +300ms
        < . 1:1 ack 1 win 0
        +600ms
        < . 1:1 ack 1 win 0
        +2s",
    );
    snapshot!("zero_window_user_timeout", text);
}

/// The window we offer closes as the buffer fills, and opens by steps worth it only. What goes
/// beyond is not taken and not acknowledged.
#[test]
fn offered_window() {
    let mut h = Harness::accepted(small(), 1460);
    let text = h.play(
        "< . 1:1461 ack 1 win 512
        < . 1461:2921 ack 1 win 512
        # 1079 fit
        < . 2921:4381 ack 1 win 512
        < . 4001:4101 ack 1 win 512
        read 1000
        # 1460 are worth telling
        read 460
        < . 4001:5461 ack 1 win 512
        read
        # a probe of the peer
        < . 5460:5460 ack 1 win 512",
    );
    snapshot!("offered_window", text);
}

/// A peer's probe of one octet into our closed window: not taken, answered, its acknowledgment
/// counted.
#[test]
fn probed() {
    let mut h = Harness::accepted(small(), 1460);
    let text = h.play(
        "write 10
        < . 1:4001 ack 1 win 512
        < . 4001:4002 ack 11 win 512
        info",
    );
    snapshot!("probed", text);
}

/// With scaling, the field is the window in units, and a buffer's odd end is not offered.
#[test]
fn scaled_window() {
    let config = Config {
        receive_buffer: 100_000,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1460);
    let text = h.play(
        "< . 1:1461 ack 1 win 512
        < . 1461:1462 ack 1 win 512
        < . 1462:1463 ack 1 win 512
        < . 1463:60001 ack 1 win 512
        < . 60001:100001 ack 1 win 512
        read 300
        read 2000
        read",
    );
    snapshot!("scaled_window", text);
}

/// RFC 9293 §3.10.7.4, fifth: neither an old segment nor an old acknowledgment changes SND.WND:
/// not one that is not acceptable any more, nor one that is but was sent before the last that did
/// (SND.WL1), nor one that acknowledges less (SND.WL2).
#[test]
fn old_windows_do_not_count() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 1000
        < . 1:101 ack 1 win 10
        # a reordered segment of before, with a wider window
        < . 1:1 ack 1 win 512
        write 2000
        < . 101:101 ack 1001 win 100",
    );
    let mut h = Harness::accepted(plain(), 1000);
    let text = text
        + &h.play(
            "# 101 to 301 overtook what has a wider window
            < . 101:301 ack 1 win 10
            < . 1:51 ack 1 win 512
            write 3000
            +100ms
            # of acknowledgments from one place the later one counts
            < . 301:301 ack 989 win 11
            < . 301:301 ack 1 win 512",
        );
    snapshot!("old_windows", text);
}

/// Keep-alive: probes after 10 idle seconds, every 2, three in all.
#[test]
fn keep_alive() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "keepalive 10 2 3
        +5s
        < . 1:101 ack 1 win 512
        +11s
        < . 101:101 ack 1 win 512
        +20s",
    );
    snapshot!("keep_alive", text);
}

/// Urgent octets are octets in line; the pointer is not read (RFC 6093).
#[test]
fn urgent() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "< PU. 1:101 ack 1 win 512
        read",
    );
    snapshot!("urgent", text);
}

/// One long segment, as receive offload makes it, counts as what it was.
#[test]
fn coalesced() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "< . 1:29201 ack 1 win 512
        < . 60001:64001 ack 1 win 512
        < . 29201:60001 ack 1 win 512
        read",
    );
    snapshot!("coalesced", text);
}
