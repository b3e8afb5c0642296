//! The user timeout option (RFC 5482).

extern crate std;

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::Config;
use core::time::Duration;

/// With the option, without timestamps, which makes lines shorter.
fn telling() -> Config {
    Config {
        timestamps: false,
        user_timeout_option: true,
        ..Config::default()
    }
}

fn patience(h: &Harness) -> Option<u64> {
    h.tcb.patience().map(|limit| limit.as_secs())
}

/// RFC 5482 §3.2: told by the SYN, and once more by the first segment after the handshake; then
/// no more.
#[test]
fn told_twice() {
    let mut h = Harness::connect(telling());
    let text = h.play(
        "< S. 0:0 ack 1 win 65535 <mss 1000,UTO 600>
        write 10
        < . 1:1 ack 11 win 65535
        write 10",
    );
    assert_eq!(patience(&h), Some(600));
    // A listener's SYN-ACK may be made without memory, so it tells afterwards.
    let mut h = Harness::accepted(telling(), 1000);
    let text = text + &h.play("write 2000");
    snapshot!("uto_told", text);
}

/// RFC 5482 §3.1: min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT)); zero means nothing.
#[test]
fn adopted_within_limits() {
    for (theirs, adopted) in [
        (0, None),
        (1, Some(300)),
        (299, Some(300)),
        (301, Some(301)),
        (100_000, Some(3600)),
    ] {
        let mut h = Harness::accepted(telling(), 1000);
        h.play(&std::format!("< . 1:1 ack 1 win 512 <UTO {theirs}>"));
        assert_eq!(patience(&h), adopted, "{theirs}");
    }
    let config = Config {
        user_timeout: Duration::from_secs(10),
        ..telling()
    };
    let mut h = Harness::accepted(config, 1000);
    h.play("< . 1:11 ack 1 win 512 <UTO 20>");
    assert_eq!(patience(&h), Some(100));
}

/// Switched off, the default, nothing is told or adopted.
#[test]
fn off_by_default() {
    let config = plain();
    let mut h = Harness::connect(config);
    let text = h.play(
        "< S. 0:0 ack 1 win 65535 <mss 1000,UTO 600>
        < . 1:1 ack 1 win 65535 <UTO 600>
        write 10",
    );
    assert_eq!(patience(&h), None);
    assert_eq!(text.matches("UTO").count(), 2, "the peer's alone");
}

/// RFC 5482 §3.1, CHANGEABLE: what the application set is told, and not changed by the peer; a
/// change of it is told with the next segment.
#[test]
fn the_application_decides() {
    let mut h = Harness::accepted(telling(), 1000);
    let text = h.play(
        "usertimeout 60s
        < . 1:11 ack 1 win 512 <UTO 600>
        write 10
        usertimeout 40000s
        write 10
        < . 11:11 ack 11 win 512",
    );
    assert_eq!(patience(&h), Some(40_000));
    snapshot!("uto_application", text);
}

/// The adopted timeout ends the connection, sooner or later than the retries would; keep-alive
/// probes wait for longer than it (RFC 5482 §4.2).
#[test]
fn it_counts() {
    let mut h = Harness::accepted(telling(), 1000);
    let text = h.play(
        "keepalive 50 10 3
        < . 1:11 ack 1 win 512 <UTO 200>
        +301s
        < . 11:11 ack 1 win 512
        write 10
        +299s
        # five minutes, ours, are longer than the peer's
        +2s",
    );
    snapshot!("uto_counts", text);
}
