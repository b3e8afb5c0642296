//! The size of segments: reports of routers (RFC 1191, RFC 5927 §7.2), black holes and probing
//! (RFC 4821). That reports are learned for a destination, and forgotten, is in `tests/tcp/`.

extern crate std;

use super::harness::Harness;
use super::snapshot;
use crate::tcp::{Config, MtuProbing};

/// Without timestamps, which makes lines shorter.
fn plain() -> Config {
    Config {
        timestamps: false,
        ..Config::default()
    }
}

fn probing(mtu_probing: MtuProbing) -> Config {
    Config {
        mtu_probing,
        ..plain()
    }
}

/// RFC 5927 §7.2: a report of what is no less than what we send is no news; one about what is
/// not in flight is a stranger's. A lower one counts at once.
#[test]
fn reports_are_judged() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "write 3000
        icmp big 0 1000
        icmp big 3001 1000
        icmp big 1 1460
        icmp big 1 9000
        mss 1200
        icmp big 1 1200",
    );
    snapshot!("pmtu_judged", text);
}

/// RFC 5927 §7.2, where it is configured: a report of less than what arrived already waits. It is
/// forgotten if more arrives, and believed at the next timeout else, for ten minutes, by this
/// connection alone.
#[test]
fn doubtful_reports_wait() {
    let config = Config {
        mtu_delay: true,
        ..plain()
    };
    let mut h = Harness::accepted(config.clone(), 1460);
    let text = h.play(
        "write 2920
        < . 1:1 ack 2921 win 512
        write 2920
        # forged
        icmp big 2921 1000
        +100ms
        < . 1:1 ack 5841 win 512
        write 2920
        +600ms
        < . 1:1 ack 8761 win 512",
    );
    assert_eq!(h.tcb.mss, 1460);
    let mut h = Harness::accepted(config.clone(), 1460);
    let text = text
        + &h.play(
            "write 2920
            < . 1:1 ack 2921 win 512
            write 2920
            # true
            icmp big 2921 1000
            +600ms
            < . 1:1 ack 3921 win 512
            < . 1:1 ack 5841 win 512
            write 1000
            < . 1:1 ack 6841 win 512
            +600s
            write 1460",
        );
    snapshot!("pmtu_doubtful", text);
    // What never arrived at that size is believed at once.
    let mut h = Harness::accepted(config, 1460);
    h.play("write 2920\n mss 1000\n icmp big 1 1000");
    assert_eq!(h.tcb.mss, 1000);
}

/// RFC 4821 §7.7: full segments that vanish are cut down, to the base size at the fourth
/// timeout and to half after each one more, down to the floor; small ones are not to blame.
#[test]
fn black_hole() {
    let mut h = Harness::accepted(probing(MtuProbing::BlackHole), 1460);
    let text = h.play(
        "write 5000
        +6s
        < . 1:1 ack 1025 win 512
        info",
    );
    assert_eq!(h.tcb.mss, 1024);
    let mut h = Harness::accepted(probing(MtuProbing::BlackHole), 1460);
    let deeper = h.play("write 5000\n +180s");
    assert_eq!(h.tcb.mss, 48, "{deeper}");
    snapshot!("pmtu_black_hole", text + &deeper);
    let mut h = Harness::accepted(probing(MtuProbing::BlackHole), 1460);
    h.play("write 500\n +60s");
    assert_eq!(h.tcb.mss, 1460, "too little to tell");
    let mut h = Harness::accepted(probing(MtuProbing::Off), 1460);
    h.play("write 5000\n +60s");
    assert_eq!(h.tcb.mss, 1460, "switched off");
}
