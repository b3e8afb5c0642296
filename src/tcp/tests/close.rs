//! Every pair of closing states, and the ends nobody asked for (RFC 9293 §3.6).

use super::beginnings::accepted;
use super::snapshot;

/// ESTABLISHED, FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT; text still comes after our FIN.
#[test]
fn active_close() {
    let text = accepted().play(
        "write 1500
        shutdown
        +100ms
        < . 1:1 ack 1502 win 512
        +1s
        < P. 1:101 ack 1502 win 512
        read
        +200ms
        < F. 101:101 ack 1502 win 512",
    );
    snapshot!("close_active", text);
}

/// ESTABLISHED, CLOSE-WAIT, LAST-ACK, CLOSED; we still send after the peer's FIN.
#[test]
fn passive_close() {
    let text = accepted().play(
        "< FP. 1:101 ack 1 win 512
        read
        write 100
        +100ms
        < . 102:102 ack 101 win 512
        shutdown
        +100ms
        < . 102:102 ack 102 win 512",
    );
    snapshot!("close_passive", text);
}

/// FIN-WAIT-1, CLOSING, TIME-WAIT.
#[test]
fn simultaneous_close() {
    let text = accepted().play(
        "shutdown
        < F. 1:1 ack 1 win 512
        < . 2:2 ack 2 win 512",
    );
    snapshot!("close_simultaneous", text);
}

/// FIN-WAIT-1 to TIME-WAIT by one segment that has both.
#[test]
fn fin_with_ack_of_fin() {
    let text = accepted().play(
        "write 10
        shutdown
        < F. 1:1 ack 12 win 512",
    );
    snapshot!("close_fin_with_ack", text);
}

/// An out-of-order FIN waits for the text before it; the state does not change before.
#[test]
fn fin_out_of_order() {
    let text = accepted().play(
        "< F. 1001:2001 ack 1 win 512
        < F. 1501:2001 ack 1 win 512
        < . 1:1001 ack 1 win 512
        read
        # again
        < F. 2001:2001 ack 1 win 512",
    );
    snapshot!("close_fin_out_of_order", text);
}

/// Nothing lies behind a FIN: text there is not taken, and a FIN before text that is here is
/// none.
#[test]
fn text_behind_fin() {
    let text = accepted().play(
        "< F. 1001:2001 ack 1 win 512
        < . 1501:2501 ack 1 win 512
        < . 1:1001 ack 1 win 512
        < . 2002:2102 ack 1 win 512
        read",
    );
    let text = text
        + &accepted().play(
            "< . 2001:3001 ack 1 win 512
            < F. 1001:1501 ack 1 win 512
            < . 1:2001 ack 1 win 512
            read",
        );
    snapshot!("close_text_behind_fin", text);
}

/// The FIN that is next ends the text, whatever somebody else made wait behind it, adjoining or
/// not: else its sender would repeat it in vain.
#[test]
fn forged_text_behind_fin() {
    let text = accepted().play(
        "< . 2001:3001 ack 1 win 512
        < . 1001:1501 ack 1 win 512
        < F. 1:1001 ack 1 win 512
        read
        shutdown
        < . 1002:1002 ack 2 win 512",
    );
    let text = text
        + &accepted().play(
            "< . 1:501 ack 1 win 512
            < . 1001:2001 ack 1 win 512
            # again, with what is here
            < F. 1:1001 ack 1 win 512
            read",
        );
    snapshot!("close_forged_text_behind_fin", text);
}

/// A FIN that the window has no room for is held with the text, and probed for.
#[test]
fn fin_and_zero_window() {
    let text = accepted().play(
        "write 1000
        < . 1:1 ack 1 win 0
        write 1000
        shutdown
        < . 1:1 ack 1001 win 0
        +400ms
        < . 1:1 ack 1001 win 8
        < . 1:1 ack 2002 win 8",
    );
    let text = text
        + &accepted().play(
            "< . 1:1 ack 1 win 8
            # just as much as the window takes
            write 1024
            shutdown
            +100ms
            < . 1:1 ack 1025 win 8",
        );
    snapshot!("close_zero_window", text);
}

/// Closing with text unread tells the peer so (RFC 2525 §2.17).
#[test]
fn close_with_unread_text() {
    let text = accepted().play(
        "< P. 1:101 ack 1 win 512
        close",
    );
    snapshot!("close_unread", text);
}

/// Nobody reads any more: text is answered with a reset, but a FIN is taken.
#[test]
fn text_for_an_orphan() {
    let text = accepted().play(
        "close
        < P. 1:101 ack 2 win 512",
    );
    let text = text
        + &accepted().play(
            "close
            < F. 1:1 ack 2 win 512",
        );
    snapshot!("close_orphan", text);
}

/// FIN-WAIT-2 lasts 60 s without an application, for ever with one.
#[test]
fn fin_wait_2() {
    let text = accepted().play(
        "shutdown
        < . 1:1 ack 2 win 512
        +200s
        close
        +59s
        +1s",
    );
    snapshot!("close_fin_wait_2", text);
}

/// An orphan gives up after fewer repetitions.
#[test]
fn orphan_gives_up() {
    let text = accepted().play(
        "write 10
        close
        +10m",
    );
    snapshot!("close_orphan_gives_up", text);
}

/// RFC 9293 §3.10.5, state by state: no reset where the peer's FIN and ours have crossed.
#[test]
fn abort() {
    let states = [
        "abort",
        "write 10
        shutdown
        abort",
        "shutdown
        < . 1:1 ack 2 win 512
        abort",
        "< F. 1:1 ack 1 win 512
        abort",
        "< F. 1:1 ack 1 win 512
        shutdown
        abort",
        "shutdown
        < F. 1:1 ack 1 win 512
        abort",
    ];
    let text: std::string::String = states.map(|script| accepted().play(script)).concat();
    snapshot!("abort", text);
}

/// A reset in each state: an error unless the connection was over on both sides.
#[test]
fn reset() {
    let states = [
        "write 10
        < R 1:1 win 0",
        "shutdown
        < R 1:1 win 0",
        "< F. 1:1 ack 1 win 512
        < R. 2:2 ack 1 win 0",
        "< F. 1:1 ack 1 win 512
        shutdown
        < R 2:2 win 0",
    ];
    let text: std::string::String = states.map(|script| accepted().play(script)).concat();
    snapshot!("reset", text);
}

/// The user timeout ends what nobody acknowledges: FIN of a connection with RTT 100 ms.
#[test]
fn user_timeout() {
    let text = accepted().play(
        "usertimeout 3s
        shutdown
        +5s",
    );
    snapshot!("close_user_timeout", text);
}
