//! Fast Open in the core (RFC 7413 §4.2): SYNs with text, and connections whose handshake has
//! not ended. Cookies, queues and fallbacks are the shell's: `tests/tcp/fastopen.rs`.

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::{Config, EarlyFailure, SynOffer, TcpInfo};
use crate::wire::FastOpen;

/// With a cookie, for a server of this MSS.
fn cookie(mss: u16) -> SynOffer {
    SynOffer {
        option: FastOpen::new(&[0x30, 0x21, 0xb9, 0xd8, 0x89, 0x01, 0x7e, 0xeb]),
        mss,
    }
}

const REQUEST: SynOffer = SynOffer {
    option: Some(FastOpen::REQUEST),
    mss: 1460,
};

/// RFC 7413 §4.2.1: as much as fits beside 40 octets of options goes with the SYN: 1420 for a
/// cached MSS of 1460. The option is last, with timestamps and without; a request has no text.
#[test]
fn profile_fast_open_syn() {
    let h = Harness::connect_early(plain(), 3000, cookie(1460)).play("");
    let text = h + &Harness::connect_early(Config::default(), 3000, cookie(1460)).play("");
    let text = text + &Harness::connect_early(plain(), 3000, cookie(1000)).play("");
    let text = text + &Harness::connect_early(plain(), 100, cookie(1460)).play("");
    let text = text + &Harness::connect_early(Config::default(), 3000, REQUEST).play("");
    let experiment = SynOffer {
        option: Some(FastOpen::REQUEST.in_experimental_option()),
        ..REQUEST
    };
    let text = text + &Harness::connect_early(plain(), 3000, experiment).play("");
    let cookieless = SynOffer {
        option: None,
        ..REQUEST
    };
    let text = text + &Harness::connect_early(plain(), 10, cookieless).play("");
    snapshot!("fastopen_syn", text);
}

/// RFC 7413 §4.2.1 step 3: the SYN-ACK acknowledges SYN and text.
#[test]
fn text_is_taken() {
    let mut h = Harness::connect_early(Config::default(), 2000, cookie(1460));
    let text = h.play(
        "+100ms
        < S. 0:0 ack 1421 win 65535 <mss 1460,sackOK,TS 700 ecr 0,nop,wscale 7>
        +100ms
        < . 1:1 ack 2001 win 512 <TS 800 ecr 100>
        info",
    );
    assert_eq!(h.tcb.early_failure(), EarlyFailure::None);
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert!(info.has(TcpInfo::OPT_SYN_DATA) && info.bytes_acked == 2000);
    snapshot!("fastopen_taken", text);
}

/// RFC 7413 §4.2.1: what the SYN-ACK does not acknowledge is sent again at once, in segments
/// for the MSS that it brought.
#[test]
fn text_is_not_taken() {
    let mut h = Harness::connect_early(plain(), 1300, cookie(1460));
    let text = h.play(
        "+100ms
        < S. 0:0 ack 1 win 65535 <mss 1000>
        info
        +100ms
        < . 1:1 ack 1301 win 512",
    );
    assert_eq!(h.tcb.early_failure(), EarlyFailure::NotAcknowledged);
    let mut h = Harness::connect_early(plain(), 1300, cookie(1460));
    let text = text
        + &h.play(
            "+100ms
            # some of it
            < S. 0:0 ack 501 win 65535 <mss 1460>",
        );
    let mut h = Harness::connect_early(plain(), 1300, cookie(1460));
    let text = text
        + &h.play(
            "# numbers the SYN never had
            < S. 0:0 ack 1302 win 65535 <mss 1460>
            < S. 0:0 ack 0 win 65535 <mss 1460>",
        );
    snapshot!("fastopen_not_taken", text);
}

/// RFC 7413 §4.2.1, and the profile: a SYN that was lost is repeated after 1 s without text and
/// cookie; its text follows the handshake.
#[test]
fn profile_fast_open_retry() {
    let mut h = Harness::connect_early(Config::default(), 100, cookie(1460));
    let text = h.play(
        "+3s
        < S. 0:0 ack 1 win 65535 <mss 1460,sackOK,TS 700 ecr 3000,nop,wscale 7>
        +100ms
        < . 1:1 ack 101 win 512 <TS 800 ecr 3000>",
    );
    assert_eq!(h.tcb.early_failure(), EarlyFailure::Repeated);
    let mut h = Harness::connect_early(plain(), 100, cookie(1460));
    let text = text
        + &h.play(
            "+1s
            # the answer to the first SYN, late
            < S. 0:0 ack 101 win 65535 <mss 1460>",
        );
    assert_eq!(h.tcb.early_failure(), EarlyFailure::None);
    snapshot!("fastopen_retry", text);
}

/// A SYN-ACK may bring text; FIN and text wait behind the SYN's.
#[test]
fn text_both_ways() {
    let mut h = Harness::connect_early(plain(), 10, cookie(1460));
    let text = h.play(
        "shutdown
        < S. 0:20 ack 11 win 65535 <mss 1460>
        read
        < F. 21:21 ack 12 win 65535",
    );
    snapshot!("fastopen_both_ways", text);
}

/// SYNs cross (RFC 9293 §3.5): text of neither is taken, and ours follows.
#[test]
fn syns_cross() {
    let mut h = Harness::connect_early(plain(), 10, cookie(1460));
    let text = h.play(
        "< S 0:0 win 60000 <mss 1000>
        < S. 0:0 ack 1 win 60000 <mss 1000>",
    );
    snapshot!("fastopen_cross", text);
}

/// A reset refuses the connection, text and all.
#[test]
fn refused() {
    let mut h = Harness::connect_early(plain(), 10, cookie(1460));
    let text = h.play("< R. 0:0 ack 11 win 0");
    snapshot!("fastopen_refused", text);
}

/// RFC 7413 §4.2.2: the SYN-ACK acknowledges the text; it can be read, answered, and the answer
/// sent, before the handshake ends, within the initial window.
#[test]
fn served_before_the_handshake() {
    let mut h = Harness::accepted_early(Config::default(), 1000, 500);
    let text = h.play(
        "read
        write 20000
        info
        +80ms
        < . 501:501 ack 1 win 512 <TS 1080 ecr 0>
        info
        +1ms
        < . 501:501 ack 9881 win 512 <TS 1081 ecr 0>",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert!(info.has(TcpInfo::OPT_SYN_DATA) && info.bytes_received == 500);
    snapshot!("fastopen_served", text);
}

/// Of a connection whose handshake has not ended the SYN-ACK alone is repeated, five times.
#[test]
fn only_the_syn_ack_is_repeated() {
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    let text = h.play(
        "write 1500
        +70s",
    );
    snapshot!("fastopen_syn_ack_retries", text);
}

/// Once it is acknowledged, what was lost beside it is found by its own timer.
#[test]
fn text_beside_a_lost_syn_ack() {
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    let text = h.play(
        "write 1500
        +1100ms
        < . 6:6 ack 1 win 512
        info
        +3100ms",
    );
    snapshot!("fastopen_syn_ack_lost", text);
}

/// The SYN once more, with its text or without: so is the SYN-ACK, twice a second at most.
#[test]
fn the_syn_again() {
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    let text = h.play(
        "< S 0:5 win 65535 <mss 1000>
        < S 0:0 win 65535 <mss 1000>
        +500ms
        < S 0:0 win 65535 <mss 1000>
        # another SYN, and one that acknowledges (RFC 5961 §4)
        < S 3:3 win 65535 <mss 1000>
        < S. 0:0 ack 1 win 65535 <mss 1000>",
    );
    snapshot!("fastopen_syn_again", text);
}

/// Resets count at RCV.NXT only (RFC 5961 §3); acknowledgments of nothing are reset
/// (RFC 9293 §3.10.7.4).
#[test]
fn strangers_before_the_handshake() {
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    let text = h.play(
        "< R 1:1 win 0
        < R 7:7 win 0
        < . 6:6 ack 0 win 512
        < . 6:6 ack 2 win 512
        icmp host 0
        < R 6:6 win 0",
    );
    snapshot!("fastopen_strangers", text);
}

/// Our FIN may go before the handshake ends; the acknowledgment that ends it may be for all.
#[test]
fn answered_and_closed_before_the_handshake() {
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    let text = h.play(
        "read
        write 10
        close
        +50ms
        < . 6:6 ack 12 win 512
        < F. 6:6 ack 12 win 512",
    );
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    let text = text
        + &h.play(
            "read
            close
            < . 6:6 ack 1 win 512
            < F. 6:6 ack 2 win 512",
        );
    // Unread text makes it a reset (RFC 2525 §2.17).
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    let text = text + &h.play("close");
    snapshot!("fastopen_closed", text);
}

/// The window is what the SYN said, not scaled, until the handshake ends; a closed one is probed.
#[test]
fn window_before_the_handshake() {
    let mut h = Harness::accepted_early(plain(), 1000, 5);
    (h.tcb.snd_wnd, h.tcb.max_wnd) = (1000, 1000);
    let text = h.play(
        "write 1500
        +100ms
        < . 6:6 ack 1001 win 0
        +500ms",
    );
    snapshot!("fastopen_window", text);
}

/// More text than the buffer holds: the SYN-ACK acknowledges what was taken.
#[test]
fn text_beyond_the_buffer() {
    let config = Config {
        receive_buffer: 300,
        ..plain()
    };
    let mut h = Harness::accepted_early(config, 1000, 500);
    let text = h.play(
        "< . 301:301 ack 1 win 512
        read
        < P. 301:501 ack 1 win 512",
    );
    snapshot!("fastopen_beyond_buffer", text);
}
