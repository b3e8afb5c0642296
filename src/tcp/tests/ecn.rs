//! Explicit congestion notification (RFC 3168 §6.1), rule by rule.

extern crate std;

use super::harness::Harness;
use super::snapshot;
use crate::tcp::ecn::Agreed;
use crate::tcp::{Config, Ecn, TcpInfo};

/// Without timestamps, which makes lines shorter.
fn cfg(ecn: Ecn) -> Config {
    Config {
        timestamps: false,
        ecn,
        ..Config::default()
    }
}

/// Connected, with ECN agreed on.
fn offered() -> Harness {
    let mut h = Harness::connect(cfg(Ecn::Offer));
    h.play("+100ms\n< SE. 0:0 ack 1 win 65535 <mss 1000,nop,nop,sackOK>");
    h
}

/// Accepted, with ECN agreed on.
fn accepted() -> Harness {
    Harness::accepted_with(cfg(Ecn::Answer), 1000, Agreed::classic())
}

/// RFC 3168 §6.1.1: ECN-setup SYN and SYN-ACK, then ECT(0) on text; none on SYN and
/// acknowledgments (§6.1.4).
#[test]
fn offered_and_taken() {
    let mut h = Harness::connect(cfg(Ecn::Offer));
    let text = h.play(
        "+100ms
        < SE. 0:0 ack 1 win 65535 <mss 1000>
        write 1500
        nodelay
        +100ms
        < . 1:1 ack 1501 win 65535
        < P. 1:501 ack 1501 win 65535 ect0
        shutdown",
    );
    snapshot!("ecn_offered", text);
}

/// RFC 3168 §6.1.1: a SYN-ACK that is no ECN-setup SYN-ACK refuses, also one that reflects the
/// flags of our SYN (§6.1.1.1). Marks and echoes mean nothing then.
#[test]
fn refused_and_reflected() {
    let mut texts = std::string::String::new();
    for flags in ["S.", "SEW.", "SW."] {
        let mut h = Harness::connect(cfg(Ecn::Offer));
        let text = h.play(&std::format!(
            "+100ms
            < {flags} 0:0 ack 1 win 65535 <mss 1000>
            write 1000
            +100ms
            < E. 1:1001 ack 1001 win 65535 ce
            write 1000
            info"
        ));
        assert!(!text.contains("ect"), "{text}");
        assert!(!text.contains("> .E") && !text.contains("> P.E"), "{text}");
        assert!(text.contains("cwnd 10000"), "{text}");
        texts += &text;
    }
    snapshot!("ecn_refused", texts);
}

/// RFC 3168 §6.1.1.1: a SYN that is lost is repeated without ECN. What the peer then agrees to
/// lets us echo, but not mark (§6.1.1).
#[test]
fn repeated_syn_does_without() {
    let mut h = Harness::connect(cfg(Ecn::Offer));
    let text = h.play(
        "+1500ms
        < SE. 0:0 ack 1 win 65535 <mss 1000>
        write 1000
        < . 1:1001 ack 1001 win 65535 ce",
    );
    snapshot!("ecn_repeated_syn", text);
}

/// As often as is configured, a SYN is repeated as it is.
#[test]
fn repeated_syn_may_insist() {
    let mut h = Harness::connect(Config {
        ecn_syns: 3,
        ..cfg(Ecn::Offer)
    });
    let text = h.play(
        "+8s
        < SE. 0:0 ack 1 win 65535 <mss 1000>",
    );
    let syns = |flags: &str| text.matches(&std::format!(" > {flags} 0:0")).count();
    assert_eq!((syns("SEW"), syns("S")), (3, 1), "{text}");
}

/// Nothing is offered unless configured.
#[test]
fn answers_only() {
    let mut texts = std::string::String::new();
    for ecn in [Ecn::Off, Ecn::Answer] {
        let mut h = Harness::connect(cfg(ecn));
        let text = h.play("+100ms\n< SE. 0:0 ack 1 win 65535 <mss 1000>\nwrite 1000");
        assert!(text.contains("> S 0:0") && !text.contains("ect"), "{text}");
        texts += &text;
    }
    snapshot!("ecn_not_offered", texts);
}

/// RFC 3168 §6.1.1 where SYNs cross: each side answers the other's ECN-setup SYN.
#[test]
fn simultaneous_open() {
    let mut h = Harness::connect(cfg(Ecn::Offer));
    let text = h.play(
        "+10ms
        < SEW 0:0 win 65535 <mss 1000>
        < SE. 0:0 ack 1 win 65535 <mss 1000>
        write 1000",
    );
    snapshot!("ecn_simultaneous", text);
    // One side refuses.
    let mut h = Harness::connect(cfg(Ecn::Offer));
    let text = h.play(
        "+10ms
        < SEW 0:0 win 65535 <mss 1000>
        < S. 0:0 ack 1 win 65535 <mss 1000>
        write 1000",
    );
    assert!(
        text.contains("> S.E 0:0") && !text.contains("ect"),
        "{text}"
    );
    let mut h = Harness::connect(cfg(Ecn::Offer));
    let text = h.play("+10ms\n< S 0:0 win 65535 <mss 1000>\n< S. 0:0 ack 1 win 65535\nwrite 1000");
    assert!(text.contains("> S. 0:0") && !text.contains("ect"), "{text}");
}

/// RFC 3168 §6.1.2: an echo reduces the window once for each window of text, and CWR goes with
/// the next new text, once. The sender is not told of marks in what was sent before that.
#[test]
fn echo_reduces_once_a_window() {
    let mut h = offered();
    let text = h.play(
        "write 30000
        +100ms
        < E. 1:1 ack 2001 win 65535
        info
        +1ms
        < E. 1:1 ack 6001 win 65535
        info
        < E. 1:1 ack 10001 win 65535
        info
        +100ms
        # marked after the window was reduced: once more
        < E. 1:1 ack 13001 win 65535
        info",
    );
    snapshot!("ecn_echo", text);
}

/// RFC 3168 §6.1.2: what was lost reduces the window by itself; an echo in recovery does nothing
/// more. CWR is set after any reduction.
#[test]
fn echo_in_recovery() {
    let mut h = offered();
    let text = h.play(
        "write 30000
        +100ms
        < . 1:1 ack 1 win 65535 <sack 1001:4001>
        info
        < E. 1:1 ack 1 win 65535 <sack 1001:6001>
        info
        < E. 1:1 ack 6001 win 65535
        +100ms
        < . 1:1 ack 10001 win 65535",
    );
    snapshot!("ecn_echo_in_recovery", text);
}

/// RFC 3168 §6.1.2: nor is the window reduced again for what was lost of the window of text that
/// was marked, only for what was lost later.
#[test]
fn loss_while_the_window_shrinks() {
    let mut h = offered();
    let text = h.play(
        "write 60000
        +100ms
        < E. 1:1 ack 1001 win 65535
        info
        < E. 1:1 ack 1001 win 65535 <sack 2001:5001>
        info
        < E. 1:1 ack 1001 win 65535 <sack 2001:9001>
        +100ms
        # all that was out when the window shrank
        < . 1:1 ack 11001 win 65535
        info
        +100ms
        < . 1:1 ack 11001 win 65535 <sack 12001:15001>
        info",
    );
    snapshot!("ecn_loss", text);
}

/// RFC 3168 §6.1.5: nothing retransmitted is marked, by whichever timer.
#[test]
fn retransmissions_are_not_capable() {
    let mut h = accepted();
    let text = h.play(
        "write 3000
        +5s",
    );
    let again = text.matches("> . 1:1001").count();
    assert!(again > 2, "{text}");
    assert_eq!(text.matches("ect0").count(), 3, "{text}");
    snapshot!("ecn_retransmissions", text);
}

/// RFC 3168 §6.1.6: probes of a closed window are not marked.
#[test]
fn probes_are_not_capable() {
    let mut h = accepted();
    let text = h.play(
        "< . 1:1 ack 1 win 0
        write 1000
        +2s
        < . 1:1 ack 1 win 100",
    );
    snapshot!("ecn_probes", text);
}

/// RFC 3168 §6.1.3: after a mark every acknowledgment echoes until CWR comes; the first goes at
/// once, and so does the one after CWR.
#[test]
fn marks_are_echoed_until_confirmed() {
    let mut h = accepted();
    let text = h.play(
        "# past the first ones, which are acknowledged at once
        < . 1:20001 ack 1 win 1000 ect0
        +1s
        < . 20001:20501 ack 1 win 1000 ect0
        < . 20501:20601 ack 1 win 1000 ce
        +1s
        < . 20601:20701 ack 1 win 1000 ect0
        write 100
        +1s
        < . 20701:20801 ack 101 win 1000 ect0
        < W. 20801:20901 ack 101 win 1000 ect0
        write 100
        # CWR and another mark at once: the mark is newer
        < W. 20901:21001 ack 201 win 1000 ce
        +1s
        < W. 21001:21101 ack 201 win 1000 ect0",
    );
    snapshot!("ecn_marks", text);
}

/// RFC 3168 §6.1.3: marks out of order are echoed by the duplicate acknowledgments as well.
#[test]
fn marks_out_of_order() {
    let mut h = accepted();
    let text = h.play(
        "< . 2001:3001 ack 1 win 1000 ce
        < . 1:1001 ack 1 win 1000 ect0",
    );
    assert_eq!(text.matches("> .E").count(), 2, "{text}");
    snapshot!("ecn_out_of_order", text);
}

/// RFC 3168 §6.1.5: the field of text outside the window is not looked at; neither is that of
/// segments without text.
#[test]
fn marks_outside_the_window_are_ignored() {
    let mut h = accepted();
    let text = h.play(
        "< . 1:1001 ack 1 win 1000 ect0
        < . 1:1001 ack 1 win 1000 ce
        < . 900001:900101 ack 1 win 1000 ce
        < . 1001:1001 ack 1 win 1001 ce
        < . 1001:2001 ack 1 win 1000 ect0",
    );
    assert!(!text.contains("> .E"), "{text}");
    snapshot!("ecn_outside", text);
}

/// CWR is for one segment, also where a device cuts trains (it would be in all of them).
#[test]
fn cwr_is_on_no_train() {
    let mut h = offered();
    let text = h.play(
        "gso 60000
        write 30000
        +100ms
        < E. 1:1 ack 10001 win 65535",
    );
    snapshot!("ecn_cwr_train", text);
}

/// The connection's numbers.
#[test]
fn told() {
    let mut h = accepted();
    h.play(
        "< . 1:1001 ack 1 win 1000 ect0
        write 2000
        < E. 1001:1001 ack 2001 win 1000",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert!(info.has(TcpInfo::OPT_ECN) && info.has(TcpInfo::OPT_ECN_SEEN));
    assert!(!info.accurate_ecn);
    assert_eq!(info.delivered_ce, 2);
    let line = std::string::ToString::to_string(&info);
    assert!(line.starts_with("sack ecn ecnseen "), "{line}");
    assert!(line.contains(" delivered_ce:2"), "{line}");
}
