//! What waits to be sent with more: Nagle's algorithm, the cork, `MSG_MORE` (RFC 9293 §3.7.4,
//! RFC 1122 §4.2.3.4).

use super::beginnings::accepted;
use super::snapshot;

/// RFC 9293 §3.7.4 (SHLD-7) as Minshall has it: a segment that is not full waits only for
/// another such, not for full ones.
#[test]
fn one_short_segment_at_a_time() {
    let text = accepted().play(
        "write 1000
        write 100
        write 100
        write 1900
        write 50
        +100ms
        < . 1:1 ack 1101 win 512
        < . 1:1 ack 3101 win 512",
    );
    snapshot!("nagle_minshall", text);
}

/// RFC 9293 §3.7.4 (MUST-17): it can be switched off.
#[test]
fn switched_off() {
    let text = accepted().play(
        "nodelay
        write 10
        write 20
        write 30",
    );
    snapshot!("nagle_off", text);
}

/// A cork holds what is not full whatever is in flight; full segments go.
#[test]
fn corked() {
    let text = accepted().play(
        "cork
        write 2300
        write 300
        +50ms
        < . 1:1 ack 2001 win 512
        write 400
        +50ms
        < . 1:1 ack 3001 win 512
        write 7
        uncork",
    );
    snapshot!("nagle_cork", text);
}

/// `MSG_MORE` holds as a cork does, until something is written without it, or an acknowledgment
/// comes.
#[test]
fn more_to_come() {
    let text = accepted().play(
        "write 100 more
        write 200 more
        write 300
        write 10 more
        # an acknowledgment lets it go
        +100ms
        < . 1:1 ack 601 win 512",
    );
    snapshot!("nagle_more", text);
}
