//! The window we offer: how far it opens, that it is never taken back, and that what it says
//! reaches the peer (RFC 9293 §3.8.6, RFC 1122 §4.2.3.3, RFC 7323 §2).

extern crate std;

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;

fn buffer(receive_buffer: usize) -> Config {
    Config {
        receive_buffer,
        window_scaling: false,
        ..plain()
    }
}

/// The window begins with what the SYN-ACK offered, opens by twice what full segments bring,
/// and not by what short ones do.
#[test]
fn opens_with_full_segments() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "buffers
        < P. 1:101 ack 1 win 512
        < P. 101:201 ack 1 win 512
        read
        buffers
        < . 201:1661 ack 1 win 512
        < . 1661:3121 ack 1 win 512
        read
        buffers",
    );
    snapshot!("windows_opens", text);
}

/// RFC 9293 §3.8.6: the right edge is not moved back, even when the buffer, the window's clamp
/// or the memory shrinks; the window closes as it is used.
#[test]
fn is_not_taken_back() {
    let mut h = Harness::accepted(buffer(20_000), 1460);
    let text = h.play(
        "< . 1:1461 ack 1 win 512
        clamp 4000
        < . 1461:2921 ack 1 win 512
        read
        capacity 6000
        # as far as the buffer goes
        < . 2921:14001 ack 1 win 512
        read
        < . 8921:14921 ack 1 win 512
        read
        < . 14921:18921 ack 1 win 512
        read
        # from now on it is what the clamp says
        < . 18921:20001 ack 1 win 512
        read
        < . 20001:21461 ack 1 win 512
        read
        < . 21461:22921 ack 1 win 512",
    );
    snapshot!("windows_edge", text);
}

/// RFC 9293 §3.8.6.2.2: silly windows are not offered: a closed window opens by a segment or
/// half of the buffer, and a reader of small pieces causes no segment for each.
#[test]
fn opens_by_steps() {
    let mut h = Harness::accepted(buffer(2000), 1460);
    let text = h.play(
        "< . 1:1461 ack 1 win 512
        < . 1461:2001 ack 1 win 512
        +200ms
        read 400
        read 400
        # half of the buffer
        read 200
        read 500",
    );
    snapshot!("windows_steps", text);
}

/// RFC 9293 §3.8.6.1: an update that is lost is told again to whoever probes.
#[test]
fn reopening_is_never_lost() {
    let mut h = Harness::accepted(buffer(4000), 1460);
    let text = h.play(
        "< . 1:4001 ack 1 win 512
        # this update is lost
        read
        # a probe of no octets, as this stack and Linux send it, and one of an octet
        +300ms
        < . 4000:4000 ack 1 win 512
        < . 4001:4002 ack 1 win 512
        +40ms",
    );
    snapshot!("windows_reopening", text);
}

/// A connection whose application lent it no buffer begins when it gets one.
#[test]
fn a_buffer_that_comes_later() {
    let mut h = Harness::accepted(buffer(0), 1460);
    let text = h.play(
        "buffers
        < . 1:1461 ack 1 win 512
        capacity 50000
        buffers
        < . 1:1461 ack 1 win 512
        < . 1461:2921 ack 1 win 512",
    );
    snapshot!("windows_later", text);
}

/// A connection that nobody has accepted yet does not open its window further; under pressure
/// no window does, and it closes to a few segments.
#[test]
fn under_pressure() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "level waiting
        < . 1:1461 ack 1 win 512
        buffers
        level free
        < . 1461:2921 ack 1 win 512
        buffers
        level pressure
        < . 2921:4381 ack 1 win 512
        buffers
        < . 4381:68461 ack 1 win 512
        read
        < . 68461:69921 ack 1 win 512
        level free
        < . 69921:71381 ack 1 win 512
        buffers",
    );
    snapshot!("windows_pressure", text);
}

/// Under pressure what is out of order is kept where memory is there for it; what is in order
/// always. What is pruned is not reported any more (RFC 2018 §8).
#[test]
fn pruned_under_pressure() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "< . 1001:2001 ack 1 win 512
        < . 5001:6001 ack 1 win 512
        level pressure
        # there is memory up to 6001
        < . 3001:4001 ack 1 win 512
        < . 7001:8001 ack 1 win 512
        prune 3500
        < . 9001:9101 ack 1 win 512
        prune 0
        < . 1:1001 ack 1 win 512
        < . 1001:2001 ack 1 win 512
        read",
    );
    snapshot!("windows_pruned", text);
}

/// Without any memory left only what a reader waits for is taken; the rest is acknowledged
/// where it stands, and counted.
#[test]
fn without_memory() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "level full
        # nothing is unread
        < . 1:1461 ack 1 win 512
        < . 1461:2921 ack 1 win 512
        read
        < . 1461:2921 ack 1 win 512
        read
        # out of order
        < . 4381:5841 ack 1 win 512
        # a FIN takes no memory
        < F. 2921:2921 ack 1 win 512",
    );
    snapshot!("windows_full", text);
}
