//! The rows of the Linux-like profile about ECN.

extern crate std;

use core::time::Duration;
use std::vec::Vec;

use super::harness::{Harness, IRS, ISS, Rx, Tx};
use crate::tcp::congestion::Cubic;
use crate::tcp::ecn::Agreed;
use crate::tcp::recovery::CaState;
use crate::tcp::*;
use crate::wire::{TcpFlags, TcpOptions};
use phy::Instant;

fn cfg(ecn: Ecn) -> Config {
    Config {
        timestamps: false,
        ecn,
        ..Config::default()
    }
}

/// ECN is answered when asked and offered when configured.
#[test]
fn profile_ecn_is_answered_and_not_offered() {
    assert_eq!(Config::default().ecn, Ecn::Answer);
    let text = Harness::connect(Config::default()).play("+1ms");
    assert!(text.contains(" > S 0:0"), "{text}");
}

/// ECN: SYN `SEW`, SYN-ACK `SE`, ECT(0) on data, not on pure ACKs.
#[test]
fn profile_ecn_flags_and_marks() {
    let mut h = Harness::connect(cfg(Ecn::Offer));
    let text = h.play(
        "+100ms
        < SE. 0:0 ack 1 win 65535 <mss 1000>
        write 1000
        < P. 1:501 ack 1001 win 65535 ect0",
    );
    assert!(text.contains(" > SEW 0:0 win 65535 <"), "{text}");
    assert!(text.contains(" > . 1:1 ack 1 win 65535\n"), "{text}");
    assert!(
        text.contains(" > P. 1:1001 ack 1 win 65535 ect0\n"),
        "{text}"
    );
    assert!(text.contains(" > . 1001:1001 ack 501 win "), "{text}");
    assert_eq!(text.matches("ect0").count(), 2, "{text}");
}

/// ECE: ssthresh 7 from 10, PRR in CWR: seven segments leave for the ten that are acknowledged,
/// never two for one, and the state ends when the first of them is.
#[test]
fn profile_ece_reduces_to_seven_of_ten_by_prr() {
    let cfg = cfg(Ecn::Answer);
    let handshake = Handshake {
        iss: ISS,
        irs: IRS,
        adv_mss: 1460,
        peer: Peer {
            mss: 1000,
            window_scale: Some(7),
            sack: true,
            timestamp: None,
        },
        our_scale: 7,
        ts_offset: 0,
        snd_wnd: 1 << 20,
        rcv_wnd: 65535,
        rtt: Some(Duration::from_millis(100)),
        ecn: Agreed::classic(),
    };
    let mut now = Instant::ZERO;
    let mut tcb: Tcb<Cubic> = Tcb::accepted(&cfg, now, &handshake);
    let (mut rx, mut tx) = (Rx::new(cfg.receive_buffer), Tx::default());
    tx.written = 100_000;
    let room = Room { mss: 1460, gso: 0 };
    let send = |tcb: &mut Tcb<Cubic>, rx: &Rx, tx: &Tx, now| {
        let mut sent = Vec::new();
        while let Some(plan) = tcb.next_segment(&cfg, now, rx, tx, room) {
            tcb.on_sent(&cfg, now, &plan);
            sent.push(plan.flags.contains(TcpFlags::CWR));
        }
        sent
    };
    assert_eq!(send(&mut tcb, &rx, &tx, now).len(), 10);
    now += Duration::from_millis(100);
    let mut sent = Vec::new();
    for n in 1..=11 {
        let ece = if n <= 10 {
            TcpFlags::ECE
        } else {
            TcpFlags::NONE
        };
        let segment = Segment {
            seq: IRS + 1,
            ack: ISS + 1 + n * 1000,
            flags: TcpFlags::ACK | ece,
            window: 8000,
            urgent: 0,
            options: TcpOptions::NONE,
            payload: &[],
            ecn: 0,
        };
        let _ = tcb.receive(&cfg, now, &segment, &mut rx, &mut tx);
        let state = if n <= 10 { CaState::Cwr } else { CaState::Open };
        assert_eq!(tcb.ca_state(), state, "acknowledgment {n}");
        sent.push(send(&mut tcb, &rx, &tx, now));
    }
    let info = tcb.info(&cfg, now, &rx, &tx);
    assert_eq!((info.snd_ssthresh, info.snd_cwnd), (7, 7));
    let last = sent.pop();
    assert!(sent.iter().all(|burst| burst.len() <= 1), "{sent:?}");
    assert_eq!(sent.iter().flatten().count(), 7, "{sent:?}");
    let confirmed = sent.iter().flatten().filter(|cwr| **cwr).count();
    assert_eq!(confirmed, 1, "{sent:?}");
    assert_eq!(sent.iter().flatten().next(), Some(&true), "{sent:?}");
    assert_eq!(last.map(|burst| burst.len()), Some(1));
}

/// The same in a connection: once for a window, confirmed by CWR with the next new text.
#[test]
fn profile_ece_is_confirmed_once() {
    let mut h = Harness::accepted_with(cfg(Ecn::Answer), 1000, Agreed::classic());
    let text = h.play(
        "write 20000
        +100ms
        < E. 1:1 ack 1001 win 1000
        < E. 1:1 ack 2001 win 1000
        < E. 1:1 ack 6001 win 1000
        < E. 1:1 ack 9001 win 1000",
    );
    assert_eq!(text.matches("> .W").count(), 1, "{text}");
}
