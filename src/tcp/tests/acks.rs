//! When acknowledgments go out (RFC 9293 §3.8.6.3, RFC 5681 §4.2, RFC 1122 §4.2.3.2).

extern crate std;

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;
use std::string::String;

/// A connection past the acknowledgments it sends at once, with 40 ms between segments.
fn settled() -> Harness {
    let mut h = Harness::accepted(plain(), 1460);
    let mut script = String::new();
    for n in 0..16 {
        script += &std::format!("< . {}:{} ack 1 win 512\n", 1 + n * 1460, 1461 + n * 1460);
    }
    h.play(&script);
    h.play("read");
    h.forget();
    h
}

/// RFC 5681 §4.2: the second full segment at once; so is anything beyond one, whole or not.
#[test]
fn every_second_segment() {
    let mut h = settled();
    let text = h.play(
        "< . 23361:24821 ack 1 win 512
        < . 24821:26281 ack 1 win 512
        < . 26281:27741 ack 1 win 512
        < P. 27741:27742 ack 1 win 512
        < . 27742:29202 ack 1 win 512
        +39ms
        +1ms",
    );
    snapshot!("acks_every_second", text);
}

/// RFC 5681 §4.2: at once what is out of order, what fills a hole wholly or in part, and what
/// came twice; RFC 9293 §3.10.7.4, eighth: a FIN.
#[test]
fn at_once() {
    let mut h = settled();
    let text = h.play(
        "< . 24821:25000 ack 1 win 512
        < . 26000:26100 ack 1 win 512
        # the first hole in part, and wholly
        < . 23361:23461 ack 1 win 512
        < . 23461:24821 ack 1 win 512
        < . 25000:26000 ack 1 win 512
        # half of it was here
        < . 26050:26150 ack 1 win 512
        < F. 26150:26150 ack 1 win 512",
    );
    snapshot!("acks_at_once", text);
}

/// The delay follows the time between segments, 40 ms at least and 200 ms at most, and doubles
/// when nothing came to ride on; but is no longer than a round trip (RFC 1122 §4.2.3.2 allows
/// half a second).
#[test]
fn the_delay_adapts() {
    let mut h = settled();
    let text = h.play(
        "# 100 ms round trip
        < P. 23361:23371 ack 1 win 512
        +60ms
        < P. 23371:23381 ack 1 win 512
        +99ms
        < P. 23381:23391 ack 1 win 512
        +99ms
        < P. 23391:23401 ack 1 win 512
        +99ms
        +50ms
        rtt 10ms
        < P. 23401:23411 ack 1 win 512
        +99ms",
    );
    snapshot!("acks_delay", text);
}

/// After a pause longer than the RTO the peer begins with a small window again, and is answered
/// at once; an interactive connection is not, for its answers carry the acknowledgments.
#[test]
fn after_a_pause() {
    let mut h = settled();
    let text = h.play(
        "+5s
        < P. 23361:23371 ack 1 win 512
        +5s
        < P. 23371:23381 ack 1 win 512
        # we answer, so it is interactive from now on
        write 10
        +10ms
        < P. 23381:23391 ack 11 win 512
        +10ms
        write 10
        +10ms
        < P. 23391:23401 ack 21 win 512
        # nothing to ride on
        +40ms
        < P. 23401:23411 ack 21 win 512",
    );
    snapshot!("acks_pause", text);
}

/// `TCP_QUICKACK`: what waits goes at once, and so do all that follow.
#[test]
fn quick_when_asked() {
    let mut h = settled();
    let text = h.play(
        "< P. 23361:23371 ack 1 win 512
        quickack
        < P. 23371:23381 ack 1 win 512
        < P. 23381:23391 ack 1 win 512",
    );
    snapshot!("acks_quickack", text);
}

/// What a full segment holds is learned upwards at once, downwards where two in a row are as
/// small (a sender with more to send makes no others), and not from the ends of texts.
#[test]
fn full_segments_are_learned() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "< P. 1:11 ack 1 win 512
        buffers
        < . 11:1411 ack 1 win 512
        buffers
        # the ends of two texts
        < P. 1411:1711 ack 1 win 512
        < P. 1711:2011 ack 1 win 512
        buffers
        # a narrower path
        < . 2011:2511 ack 1 win 512
        buffers
        < . 2511:3011 ack 1 win 512
        buffers
        # what an offload put together is no longer segment
        < . 3011:13011 ack 1 win 512
        buffers",
    );
    snapshot!("acks_full_segments", text);
}

/// Acknowledgments at once are no more than the peer needs to fill half of the window.
#[test]
fn few_at_once_for_a_small_window() {
    let mut h = Harness::accepted(
        Config {
            receive_buffer: 6000,
            ..plain()
        },
        1460,
    );
    let text = h.play(
        "< P. 1:601 ack 1 win 512
        < P. 601:701 ack 1 win 512
        < P. 701:801 ack 1 win 512
        < P. 801:901 ack 1 win 512
        < P. 901:1001 ack 1 win 512
        < P. 1001:1101 ack 1 win 512
        +40ms",
    );
    snapshot!("acks_small_window", text);
}

/// RFC 5681 §4.2: each of the first segments, and of those after a pause, is acknowledged by
/// itself, also where several come at once, for an acknowledgment may get lost; so is what fills
/// a hole. That of the very first goes with the next one's where both come at once. Later the
/// second of two is enough.
#[test]
fn each_of_a_batch() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "<< . 1:1461 ack 1 win 512
        << . 1461:2921 ack 1 win 512
        << . 2921:4381 ack 1 win 512
        < . 4381:5841 ack 1 win 512",
    );
    snapshot!("acks_batch_first", text);
    let mut h = settled();
    let text = h.play(
        "<< . 23361:24821 ack 1 win 512
        < . 24821:26281 ack 1 win 512
        # a hole, and what fills it
        < . 27741:29201 ack 1 win 512
        << . 26281:27741 ack 1 win 512
        < . 29201:30661 ack 1 win 512
        +5s
        << . 30661:32121 ack 1 win 512
        << . 32121:33581 ack 1 win 512
        < . 33581:35041 ack 1 win 512",
    );
    snapshot!("acks_batch_later", text);
}

/// A text that its sender pushed, or that is no full segment, may be all that it sends before it
/// is acknowledged: it is, when the application has read all (RFC 9293 §3.9.1, PSH; RFC 1122
/// §4.2.3.2 sets the delay's upper bound only). Not where we answer, and what is not read waits.
#[test]
fn pushed_text_when_read() {
    let mut h = settled();
    let text = h.play(
        "< P. 23361:24821 ack 1 win 512
        +1ms
        read
        # a full segment that is not pushed
        < . 24821:26281 ack 1 win 512
        read
        +40ms
        # an end, not read
        < . 26281:26381 ack 1 win 512
        +80ms
        < . 26381:26391 ack 1 win 512
        read
        # an answer of ours carries it
        < P. 26391:26401 ack 1 win 512
        write 10
        +1ms
        < P. 26401:26411 ack 11 win 512
        read
        +200ms",
    );
    snapshot!("acks_pushed", text);
}
