//! Zero windows, and layers below that take nothing (RFC 9293 §3.8.6.1).

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::{Config, State};

fn accepted(cfg: Config) -> Harness {
    Harness::accepted(cfg, 1000)
}

/// RFC 9293 §3.8.6.1 (MUST-35 to MUST-37, SHLD-29, SHLD-30): probes go on as long as they are
/// answered, further and further apart, more of them than would end a silent connection.
#[test]
fn answered_probes_go_on() {
    let cfg = Config {
        retries: 2,
        ..plain()
    };
    let text = accepted(cfg).play(
        "< . 1:1 ack 1 win 0
        write 10
        +300ms
        < . 1:1 ack 1 win 0
        +600ms
        < . 1:1 ack 1 win 0
        +1200ms
        < . 1:1 ack 1 win 0
        +2400ms
        < . 1:1 ack 1 win 0
        +2s
        # it opens
        < . 1:1 ack 1 win 512",
    );
    snapshot!("persist_answered", text);
}

/// Probes without answer end the connection as retransmissions do (RFC 9293 §3.8.3).
#[test]
fn unanswered_probes_end() {
    let cfg = Config {
        retries: 3,
        ..plain()
    };
    let text = accepted(cfg).play(
        "< . 1:1 ack 1 win 0
        write 10
        +30s",
    );
    snapshot!("persist_unanswered", text);
}

/// RFC 9293 §3.8.3 (MUST-21): the user timeout counts for a closed window, answered or not.
#[test]
fn the_user_timeout_ends_it() {
    let text = accepted(plain()).play(
        "usertimeout 1s
        < . 1:1 ack 1 win 0
        write 10
        +300ms
        < . 1:1 ack 1 win 0
        +2s",
    );
    snapshot!("persist_user_timeout", text);
}

/// What a link refuses is retried, and given up after as many tries as probes.
#[test]
fn refused_for_ever() {
    let cfg = Config {
        retries: 3,
        ..plain()
    };
    let text = accepted(cfg).play(
        "refuse
        write 10
        +10s",
    );
    snapshot!("persist_refused_for_ever", text);
}

/// A retransmission that is refused is tried again without being backed off for.
#[test]
fn refused_retransmission() {
    let text = accepted(plain()).play(
        "write 3000
        +90ms
        refuse
        +1200ms
        admit
        +2s",
    );
    snapshot!("persist_refused_retransmission", text);
}

/// Nobody waits for what an orphan has: a peer that keeps its window closed and answers for ever
/// cannot keep it for ever, whether it never took the text or took its window back, as in Linux.
#[test]
fn answers_do_not_keep_an_orphan() {
    for beginning in [
        "< . 1:1 ack 1 win 0\nwrite 10\nclose",
        "write 10\n< . 1:1 ack 1 win 0\nclose",
        "< . 1:1 ack 1 win 0\nclose",
    ] {
        let mut h = accepted(plain());
        h.play(beginning);
        let minutes = (0..60).take_while(|_| {
            h.play("+30s\n< . 1:1 ack 1 win 0\n+30s\n< . 1:1 ack 1 win 0");
            h.tcb.state != State::Closed
        });
        let lasted = minutes.count();
        assert!((1..=20).contains(&lasted), "{lasted} minutes: {beginning}");
    }
}
