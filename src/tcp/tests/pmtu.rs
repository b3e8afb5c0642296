//! The size of segments: reports of routers (RFC 1191, RFC 5927 §7.2), black holes and probing
//! (RFC 4821). That reports are learned for a destination, and forgotten, is in `tests/tcp/`.

extern crate std;

use super::beginnings::plain;
use super::harness::{Harness, ISS};
use super::snapshot;
use crate::socket::SendBuf;
use crate::tcp::{Config, MtuProbing, SeqNum};

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

/// RFC 4821 §7.3, RFC 8899 §5.3.2: from the base size up; first the largest there can be. A probe
/// that is acknowledged makes segments larger.
#[test]
fn a_probe_arrives() {
    let mut h = Harness::accepted(probing(MtuProbing::Always), 1460);
    let text = h.play(
        "write 20000
        +100ms
        < . 1:1 ack 10241 win 512
        +100ms
        < . 1:1 ack 11701 win 512
        write 10000",
    );
    assert_eq!(h.tcb.mss, 1460);
    snapshot!("pmtu_probe", text);
}

/// RFC 4821 §7.6.2: a probe that is lost goes again in smaller segments, and costs nothing of the
/// congestion window; the next one is halfway.
#[test]
fn a_probe_is_lost() {
    let mut h = Harness::accepted(probing(MtuProbing::Always), 1460);
    h.play(
        "write 40000
        +100ms
        < . 1:1 ack 10241 win 512",
    );
    let text = h.play(
        "# the probe is 10241:11701
        +100ms
        < . 1:1 ack 10241 win 512 <sack 11701:12725>
        < . 1:1 ack 10241 win 512 <sack 11701:13749>
        < . 1:1 ack 10241 win 512 <sack 11701:14773>
        +30ms
        info
        +70ms
        < . 1:1 ack 30133 win 512
        info",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert!(info.ssthresh_octets.is_none(), "no reduction");
    assert_eq!(h.tcb.mss, 1024);
    snapshot!("pmtu_probe_lost", text);
}

/// The same without SACK, by duplicates.
#[test]
fn a_probe_is_lost_without_sack() {
    let config = Config {
        sack: false,
        ..probing(MtuProbing::Always)
    };
    let mut h = Harness::accepted(config, 1460);
    h.play(
        "write 40000
        +100ms
        < . 1:1 ack 10241 win 512",
    );
    let text = h.play(
        "+100ms
        < . 1:1 ack 10241 win 512
        < . 1:1 ack 10241 win 512
        < . 1:1 ack 10241 win 512
        info",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert!(info.ssthresh_octets.is_none(), "no reduction");
    snapshot!("pmtu_probe_lost_no_sack", text);
}

/// A probe lost together with others tells nothing, and the loss is one like any other.
#[test]
fn a_probe_is_lost_among_others() {
    let mut h = Harness::accepted(probing(MtuProbing::Always), 1460);
    h.play(
        "write 40000
        +100ms
        < . 1:1 ack 10241 win 512
        +100ms
        < . 1:1 ack 10241 win 512 <sack 12725:16821>
        +30ms",
    );
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert!(info.ssthresh_octets.is_some(), "a reduction");
}

/// RFC 4821 §7.4: no probe without enough text behind it to tell its loss, nor from a window
/// that its loss would stall.
#[test]
fn no_probe_without_need_and_means() {
    let mut h = Harness::accepted(probing(MtuProbing::Always), 1460);
    let text = h.play("write 5500\n < . 1:1 ack 5501 win 512\n write 5500");
    assert!(!text.contains(":1461") && h.tcb.mss == 1024, "{text}");
    let mut h = Harness::accepted(probing(MtuProbing::Always), 1000);
    h.play("write 40000\n < . 1:1 ack 10001 win 512");
    assert_eq!(h.tcb.mss, 1000, "the peer takes no more anyway");
}

/// A router's report about a probe ends it: what it names arrives.
#[test]
fn a_probe_is_reported() {
    let mut h = Harness::accepted(probing(MtuProbing::Always), 1460);
    let text = h.play(
        "write 60000
        +100ms
        < . 1:1 ack 10241 win 512
        icmp big 10241 1300
        mss 1300
        +100ms
        < . 1:1 ack 10241 win 512 <sack 11701:16821>
        +30ms
        < . 1:1 ack 22965 win 512
        +100ms
        < . 1:1 ack 35253 win 512
        < . 1:1 ack 50613 win 512
        write 30000",
    );
    snapshot!("pmtu_probe_reported", text);
}

/// RFC 4821 §7.7: after a black hole the search goes up again from the base size; when it is
/// over, it begins anew after ten minutes.
#[test]
fn a_search_after_a_black_hole() {
    let mut h = Harness::accepted(probing(MtuProbing::BlackHole), 1460);
    h.play("write 5000\n +5s\n < . 1:1 ack 5001 win 512");
    assert_eq!(h.tcb.mss, 1024);
    // Whatever is larger than 1200 is lost from now on.
    let mut sizes = std::vec::Vec::new();
    let mut round = |h: &mut Harness, more: u64| {
        h.tx.written += more;
        h.send();
        let at = |seq: SeqNum| seq.since(ISS);
        let probe = h.tcb.rare.get().and_then(|rare| rare.path.out());
        if let Some((size, from)) = probe {
            sizes.push(size);
            let (from, after) = (at(from), at(from) + u32::from(size));
            let to = at(h.tcb.snd_nxt);
            if size > 1200 {
                h.play(&std::format!(
                    "+100ms\n < . 1:1 ack {from} win 2000 <sack {after}:{to}>\n +40ms"
                ));
            }
        }
        let all = at(h.tcb.snd_nxt);
        h.play(&std::format!("+100ms\n < . 1:1 ack {all} win 2000"));
    };
    for _ in 0..40 {
        round(&mut h, 60_000);
    }
    assert!((1193..=1200).contains(&h.tcb.mss), "{}", h.tcb.mss);
    while h.tx.queued() > 0 {
        round(&mut h, 0);
    }
    h.play("+600s");
    for _ in 0..2 {
        round(&mut h, 60_000);
    }
    assert_eq!(
        sizes[..],
        [1460, 1242, 1133, 1187, 1214, 1200, 1207, 1460, 1330]
    );
}
