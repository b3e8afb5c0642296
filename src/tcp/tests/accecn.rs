//! Accurate ECN feedback (RFC 9768 §3.1, §3.2), rule by rule.
//!
//! The three flags make a number: `e` 4, `W` 2, `E` 1.

extern crate std;

use proptest::prelude::*;
use std::format;
use std::string::String;

use super::harness::Harness;
use super::snapshot;
use crate::tcp::accecn::safe_delta;
use crate::tcp::ecn::Agreed;
use crate::tcp::{Config, Ecn};

/// Without timestamps, which makes lines shorter.
pub(super) fn cfg() -> Config {
    Config {
        timestamps: false,
        ecn: Ecn::Accurate,
        ..Config::default()
    }
}

/// Connected, the SYN-ACK came unmarked and said so of our SYN.
pub(super) fn connected() -> Harness {
    let mut h = Harness::connect(cfg());
    h.play(
        "+100ms
        < SW. 0:0 ack 1 win 65535 <mss 1000,nop,nop,sackOK,accecn0 1 0 1>",
    );
    h
}

/// Accepted, before the last segment of the handshake.
pub(super) fn accepted() -> Harness {
    Harness::accepted_with(cfg(), 1000, Agreed::accurate(0))
}

pub(super) fn flags(ace: u8) -> String {
    let letter = |bit: u8, letter| if ace & bit != 0 { letter } else { "" };
    format!(".{}{}{}", letter(1, "E"), letter(2, "W"), letter(4, "e"))
}

/// RFC 9768 §3.1.1, §3.2.2.1, §3.2.3.2.1: all three flags on the SYN, how the SYN-ACK came on
/// its pure acknowledgment, even if text waits; then counters, with the option on the first text.
#[test]
fn offered_and_taken() {
    let mut h = Harness::connect(cfg());
    let text = h.play(
        "write 1500
        nodelay
        +100ms
        < SW. 0:0 ack 1 win 65535 <mss 1000,nop,nop,sackOK,accecn0 1 0 1>
        +100ms
        < .Ee 1:1 ack 1501 win 65535 <accecn0 1501>
        < P.Ee 1:501 ack 1501 win 65535 ect0
        write 100",
    );
    snapshot!("accecn_offered", text);
}

/// RFC 9768 table 3: how the SYN-ACK came is told by its acknowledgment; a mark is counted, too.
#[test]
fn syn_ack_is_told_how_it_came() {
    for (field, ack, first) in [
        ("", ".W", ".Ee"),
        ("ect1", ".EW", ".Ee"),
        ("ect0", ".e", ".Ee"),
        ("ce", ".We", ".We"),
    ] {
        let mut h = Harness::connect(cfg());
        let text = h.play(&format!(
            "+100ms
            < SW. 0:0 ack 1 win 65535 {field} <mss 1000>
            write 10"
        ));
        assert!(text.contains(&format!(" > {ack} 1:1 ack 1 ")), "{text}");
        let text_flags = format!(" > P{first} 1:11 ack 1 ");
        assert!(text.contains(&text_flags), "{text}");
    }
}

/// RFC 9768 table 2, blocks two and four, and §3.1.3: what the other SYN-ACKs lead to.
#[test]
fn other_answers() {
    // Flags of the SYN-ACK; ECT on text; acknowledgment of a mark.
    for (answer, ect, echo) in [
        ("SE.", true, ".E"),   // RFC 3168
        ("S.", false, "."),    // no ECN
        ("SEWe.", false, "."), // reflected
        ("SEe.", true, ".We"), // reserved: as if our SYN had come as it went; r.cep is 6
    ] {
        let mut h = Harness::connect(cfg());
        let text = h.play(&format!(
            "+100ms
            < {answer} 0:0 ack 1 win 65535 <mss 1000>
            write 1000
            < . 1:1001 ack 1 win 65535 ce"
        ));
        assert_eq!(text.contains("1001 ack 1 win 65535 ect0"), ect, "{text}");
        assert!(
            text.contains(&format!(" > {echo} 1001:1001 ack 1001 ")),
            "{text}"
        );
    }
}

/// RFC 9768 §3.2.2.3: our SYN was not capable; who says it came otherwise tells that something
/// on the way writes the field. We feed back, and mark nothing. A mark on it counts (§3.2.2.2).
#[test]
fn mangled_syn() {
    for (answer, window) in [("SEW.", 10_000), ("Se.", 10_000), ("SWe.", 5_000)] {
        let mut h = Harness::connect(cfg());
        let text = h.play(&format!(
            "+100ms
            < {answer} 0:0 ack 1 win 65535 <mss 1000>
            info
            write 1000
            < .Ee 1:1001 ack 1 win 65535 ce"
        ));
        assert!(!text.contains(" ect0\n"), "{text}");
        assert!(text.contains(&format!("cwnd {window} ")), "{text}");
        assert!(text.contains(" > .We 1001:1001 ack 1001 "), "{text}");
    }
}

/// RFC 9768 §3.1.4.1: the first repetition of the SYN is as it was, the next goes without. What
/// the answer then agrees to holds, and we may mark (§3.1.5).
#[test]
fn repeated_syn() {
    let mut h = Harness::connect(cfg());
    let text = h.play(
        "+7s
        < SW. 0:0 ack 1 win 65535 <mss 1000>
        write 1000",
    );
    snapshot!("accecn_repeated_syn", text);
}

/// RFC 9768 §3.1.2, simultaneous open: the SYN is answered as a listener would, and counters
/// begin when the SYN-ACKs have crossed.
#[test]
fn simultaneous_open() {
    let mut h = Harness::connect(cfg());
    let text = h.play(
        "+10ms
        < SEWe 0:0 win 65535 ect0 <mss 1000>
        < SW. 0:0 ack 1 win 65535 <mss 1000>
        write 1000
        < .We 1:1 ack 1001 win 65535
        info",
    );
    snapshot!("accecn_simultaneous", text);
    // The other side knows RFC 3168 only.
    let mut h = Harness::connect(cfg());
    let text = h.play(
        "+10ms
        < SEW 0:0 win 65535 <mss 1000>
        < SE. 0:0 ack 1 win 65535 <mss 1000>
        write 1000",
    );
    assert!(text.contains(" > S.E 0:0"), "{text}");
    assert!(text.contains(" > P. 1:1001 ack 1 win 65535 ect0"), "{text}");
}

/// RFC 9768 table 4: what the last acknowledgment of the handshake tells a listener's side.
#[test]
fn last_acknowledgment_of_the_handshake() {
    // ACE; may text be marked; marks counted; does a later mark count?
    for (ace, ect, marked, heard) in [
        (0, false, 0, false),
        (1, true, 0, true),
        (2, true, 0, true),
        (3, false, 0, true),
        (4, false, 0, true),
        (5, true, 0, true),
        (6, false, 1, true),
        (7, true, 0, true),
    ] {
        let mut h = accepted();
        let text = h.play(&format!("< {} 1:1 ack 1 win 1000\nwrite 1000", flags(ace)));
        assert_eq!(text.contains(" ect0"), ect, "{text}");
        let told = |h: &Harness| h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx).delivered_ce;
        assert_eq!(told(&h), marked, "{ace}");
        let next = flags(5 + marked as u8 + 1);
        h.play(&format!("+100ms\n< {next} 1:1 ack 1001 win 1000"));
        assert_eq!(told(&h), marked + u32::from(heard), "{ace}: {next}");
    }
}

/// RFC 9768 §3.2.2.1: on a segment with text it is a counter already; §3.2.2.4: which does not
/// begin with zero unless somebody zeroes it.
#[test]
fn first_counter() {
    for (ace, ect, marked) in [(5, true, 0), (6, true, 1), (0, false, 0)] {
        let mut h = accepted();
        let first = flags(ace);
        let text = h.play(&format!("< P{first} 1:101 ack 1 win 1000\nwrite 1000"));
        assert_eq!(text.contains(" ect0"), ect, "{text}");
        let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
        // No text of ours was out; what was marked has no octets.
        assert_eq!(info.delivered_ce, marked, "{text}");
    }
    let mut h = connected();
    let text = h.play(
        "< . 1:101 ack 1 win 65535
        write 1000
        +10ms
        < .Ee 101:101 ack 1001 win 65535
        info",
    );
    assert!(!text.contains(" ect0\n"), "{text}");
    assert!(text.contains("cwnd 10000"), "{text}");
}

/// RFC 9768 §3.2.2, §3.2.2.5.1: every packet that comes marked is counted, whatever it is; the
/// first of a run with text is acknowledged at once, and so are every two with text to
/// acknowledge, and every three without.
#[test]
fn marks_are_counted() {
    let mut h = accepted();
    let text = h.play(
        "< .W 1:1 ack 1 win 1000
        # past the first ones, which are acknowledged at once
        < .Ee 1:20001 ack 1 win 1000 ect0
        +1s
        < .Ee 20001:20101 ack 1 win 1000 ect0
        +1s
        < .Ee 20101:20201 ack 1 win 1000 ect0
        # changed
        < .Ee 20201:20301 ack 1 win 1000 ce
        < .Ee 20301:20401 ack 1 win 1000 ce
        # the second since
        < .Ee 20401:20501 ack 1 win 1000 ce
        # without text
        +1s
        < .Ee 20501:20501 ack 1 win 1001 ce
        < .Ee 20501:20501 ack 1 win 1002 ce
        < .Ee 20501:20501 ack 1 win 1003 ce",
    );
    snapshot!("accecn_marks", text);
}

/// RFC 9768 §3.2: what is not acceptable is not counted.
#[test]
fn marks_outside_the_window_are_not_counted() {
    let mut h = accepted();
    let text = h.play(
        "< .W 1:1 ack 1 win 1000
        < .Ee 1:101 ack 1 win 1000 ect0
        < .Ee 1:101 ack 1 win 1000 ce
        < .Ee 900001:900101 ack 1 win 1000 ce
        < .Ee 101:101 ack 5000 win 1000 ce
        < .Ee 101:201 ack 1 win 1000 ect0",
    );
    assert!(!text.contains("> .We"), "{text}");
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!(info.received_ce, 0);
}

/// RFC 9768 §3.2.3, §3.2.3.3: options carry what ever moved, in the order that needs least, on
/// segments that acknowledge what moved it.
#[test]
fn options_carry_what_moved() {
    let mut h = accepted();
    let text = h.play(
        "< .W 1:1 ack 1 win 1000
        quickack
        < .Ee 1:101 ack 1 win 1000 ect0
        < .Ee 101:201 ack 1 win 1000
        < .Ee 201:301 ack 1 win 1000 ce
        < .Ee 301:401 ack 1 win 1000 ect1
        < .Ee 401:501 ack 1 win 1000",
    );
    snapshot!("accecn_options", text);
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!(
        (
            info.received_e1_bytes,
            info.received_e0_bytes,
            info.received_ce_bytes
        ),
        (100, 100, 100)
    );
    let mut h = accepted();
    let text = h.play(
        "< .W 1:1 ack 1 win 1000
        quickack
        < .Ee 1:101 ack 1 win 1000 ect1
        < .Ee 101:201 ack 1 win 1000 ce",
    );
    assert!(text.contains("<accecn1 e1b 101,nop,nop,nop>"), "{text}");
    assert!(text.contains("<accecn1 e1b 101 ceb 100>"), "{text}");
}

/// RFC 9768 §3.2.3.3: two SACK blocks go before the option; what moved goes, or nothing.
#[test]
fn options_leave_room_for_two_blocks() {
    let mut h = Harness::accepted_with(
        Config {
            timestamps: true,
            ..cfg()
        },
        1000,
        Agreed::accurate(0),
    );
    let text = h.play(
        "< .W 1:1 ack 1 win 1000 <TS 1001 ecr 0>
        < .Ee 1001:1101 ack 1 win 1000 ect0 <TS 1002 ecr 0>
        < .Ee 2001:2101 ack 1 win 1000 ect0 <TS 1003 ecr 0>
        < .Ee 3001:3101 ack 1 win 1000 ect0 <TS 1004 ecr 0>
        < .Ee 4001:4101 ack 1 win 1000 ect1 <TS 1005 ecr 0>",
    );
    snapshot!("accecn_options_sack", text);
}

/// RFC 9768 §3.2.3.2.2: the first text that goes unanswered goes again without the option, and
/// where options are switched off there are none.
#[test]
fn lost_options() {
    let mut h = connected();
    let text = h.play("write 1000\n+1s");
    assert!(
        text.contains(" > .Ee 1:989 ack 1 win 65535 ect0 <accecn0 "),
        "{text}"
    );
    assert_eq!(
        text.matches(" > P.Ee 1:1001 ack 1 win 65535\n").count(),
        2,
        "{text}"
    );
    let mut h = Harness::connect(Config {
        accurate_ecn_options: false,
        ..cfg()
    });
    let text = h.play(
        "+100ms\n< SW. 0:0 ack 1 win 65535 <mss 1000>\nwrite 1000\n< .Ee 1:101 ack 1 win 1000 ect0",
    );
    assert!(!text.contains("accecn"), "{text}");
}

/// RFC 9768 §3.2.2.2, §3.1.5: the counter's steps reduce the window once for each window of
/// text; CWR is part of the counter and confirms nothing.
#[test]
fn counted_marks_reduce_the_window() {
    let mut h = connected();
    let text = h.play(
        "write 30000
        +100ms
        < .Ee 1:1 ack 2001 win 65535 <accecn0 2001>
        info
        < .We 1:1 ack 3001 win 65535 <accecn0 2001 1000>
        info
        < .EWe 1:1 ack 5001 win 65535 <accecn0 3001 2000>
        < . 1:1 ack 6001 win 65535 <accecn0 3001 3000>
        info
        +100ms
        < .E 1:1 ack 13001 win 65535 <accecn0 9001 4000>
        info",
    );
    snapshot!("accecn_reduce", text);
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!(info.delivered_ce, 4);
}

/// RFC 9768 §3.2.2.5.2, appendix A.2.1: without options, an acknowledgment of ten segments with
/// a step of two may hide eight more; with options it is known not to.
#[test]
fn hidden_rounds_of_the_counter() {
    let run = |options: bool| {
        let mut h = connected();
        let option = |text: &str| {
            if options {
                format!(" <accecn0 {text}>")
            } else {
                String::new()
            }
        };
        let (first, second) = (option("1001"), option("9001 2000"));
        h.play(&format!(
            "write 30000
            +100ms
            < .Ee 1:1 ack 1001 win 65535{first}
            < .EWe 1:1 ack 11001 win 65535{second}"
        ));
        h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx).delivered_ce
    };
    assert_eq!((run(false), run(true)), (10, 2));
}

/// RFC 9768 appendix A.1: an acknowledgment that another has overtaken counts nothing, told by
/// its number or its timestamp.
#[test]
fn overtaken_acknowledgments() {
    let mut h = Harness::connect(Config {
        timestamps: true,
        ..cfg()
    });
    h.play(
        "+100ms
        < SW. 0:0 ack 1 win 65535 <mss 1000,sackOK,TS 700 ecr 0>
        write 10000
        +100ms
        < .We 1:1 ack 3001 win 65535 <TS 803 ecr 100>
        < .Ee 1:1 ack 2001 win 65535 <TS 802 ecr 100>
        < .Ee 1:1 ack 3001 win 65535 <TS 802 ecr 100>
        < .EWe 1:1 ack 3001 win 65535 <TS 804 ecr 100>",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!(info.delivered_ce, 2);
}

/// RFC 9768 §3.2.3.2.4: an option that begins with zero is not believed, and the counter is
/// taken with care again.
#[test]
fn zeroed_options() {
    let mut h = Harness::connect(cfg());
    h.play(
        "+100ms
        < SW. 0:0 ack 1 win 65535 <mss 1000,accecn0 0 0 0>
        write 30000
        +100ms
        < .Ee 1:1 ack 1001 win 65535 <accecn0 1001>
        < .EWe 1:1 ack 11001 win 65535 <accecn0 9001 2000>",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!(info.delivered_ce, 10);
}

/// RFC 9768 §3.2.3.2.5: octets that came marked, and no packet: something is broken, and no more
/// text is marked.
#[test]
fn octets_without_packets() {
    let mut h = connected();
    let text = h.play(
        "write 30000
        +100ms
        < .Ee 1:1 ack 1001 win 65535 <accecn0 1001>
        < .Ee 1:1 ack 2001 win 65535 <accecn0 1001 1000>
        # from here",
    );
    let (_, after) = text.split_once("accecn0 1001 1000").unwrap();
    assert!(after.contains(" > ") && !after.contains("ect0"), "{text}");
}

/// RFC 9768 §3.2.2.1: the SYN-ACK once more is told how it came this time; a mark counts once.
#[test]
fn repeated_syn_ack() {
    let mut h = connected();
    let text = h.play(
        "+1s
        < SW. 0:0 ack 1 win 65535 ce <mss 1000>
        +1s
        < SW. 0:0 ack 1 win 65535 ce <mss 1000>
        write 10",
    );
    snapshot!("accecn_repeated_syn_ack", text);
}

/// The undisturbed way is taken although flags are set: it acknowledges nothing by itself.
#[test]
fn trains_carry_the_counter() {
    let mut h = connected();
    let text = h.play(
        "gso 60000
        write 5000
        < .Ee 1:101 ack 1 win 65535 ce
        < .Ee 101:201 ack 5001 win 65535 ect0
        write 5000",
    );
    snapshot!("accecn_train", text);
}

#[test]
fn examples_of_the_appendix() {
    // Nine segments, two marks: no round can hide.
    assert_eq!(safe_delta(7, 5, 9, None, 1460, 2), 2);
    assert_eq!(safe_delta(7, 5, 10, None, 1460, 2), 10);
    // Where acknowledgments always cover that many the counter is believed.
    assert_eq!(safe_delta(7, 5, 10, None, 1460, 9), 2);
    // RFC 9768 appendix A.2.2.
    assert_eq!(safe_delta(5, 5, 8, Some(1460), 1460, 2), 8);
    assert_eq!(safe_delta(7, 5, 10, Some(1460), 1460, 2), 2);
    assert_eq!(safe_delta(4, 5, 15, Some(10200), 1460, 2), 7);
    // More marks than segments: those of others without text.
    assert_eq!(safe_delta(7, 5, 1, None, 1460, 2), 2);
}

proptest! {
    /// Decoding never counts backwards, agrees with the three bits, never claims more marks than
    /// segments unless the bits themselves do, and misses none while acknowledgments arrive.
    #[test]
    fn decoding_never_counts_backwards(
        start in any::<u32>(),
        steps in prop::collection::vec((0u32..40, 0u32..40, any::<bool>()), 1..100),
    ) {
        let (mut cep, mut seen, mut since) = (start, start, 0);
        for (segments, marks, arrives) in steps {
            let marks = marks.min(segments);
            cep = cep.wrapping_add(marks);
            since += segments;
            if !arrives {
                continue;
            }
            let delta = safe_delta(cep & 7, seen, since, None, 1000, 1);
            let truly = cep.wrapping_sub(seen);
            prop_assert_eq!(seen.wrapping_add(delta) & 7, cep & 7);
            prop_assert!(delta >= truly, "{} of {}", delta, truly);
            prop_assert!(delta <= since.max(7));
            // An overestimate is made up for by none: from the truth again.
            seen = cep;
            since = 0;
        }
    }
}
