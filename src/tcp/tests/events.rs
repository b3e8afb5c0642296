//! What a watcher of one connection is told, in order.

extern crate std;

use core::time::Duration;
use std::fmt::Write as _;
use std::string::String;
use std::vec::Vec;

use super::beginnings::plain;
use super::harness::{IRS, ISS, Rx, TS_OFFSET, Tx};
use super::snapshot;
use crate::socket::RecvBuf;
use crate::tcp::congestion::Observed;
use crate::tcp::*;
use crate::wire::{SackBlocks, TcpFlags, TcpOptions};
use phy::Instant;

/// Keeps everything.
#[derive(Debug, Clone, Default)]
struct Log(Vec<(Instant, Event)>);

impl Observer for Log {
    fn on_event(&mut self, now: Instant, event: &Event) {
        self.0.push((now, *event));
    }
}

type Watched = Tcb<Observed<Reno, Log>>;

/// A connection without timestamps, watched.
struct Script {
    cfg: Config,
    now: Instant,
    tcb: Watched,
    rx: Rx,
    tx: Tx,
    /// What the path carries: octets of options and text.
    mss: usize,
}

impl Script {
    fn new(open: impl FnOnce(&Config, &Rx) -> Watched) -> Self {
        let cfg = plain();
        let rx = Rx::new(cfg.receive_buffer);
        let mut tcb = open(&cfg, &rx);
        let [local, peer] =
            ["10.0.0.1:1025", "10.0.0.2:80"].map(|end| end.parse().expect("an end"));
        tcb.tell_opened(Instant::ZERO, local, peer);
        let (now, tx) = (Instant::ZERO, Tx::default());
        let mut script = Self {
            cfg,
            now,
            tcb,
            rx,
            tx,
            mss: 1000,
        };
        script.send();
        script
    }

    fn send(&mut self) {
        let (cfg, now) = (&self.cfg, self.now);
        let room = Room {
            mss: self.mss,
            gso: 0,
        };
        while let Some(plan) = self.tcb.next_segment(cfg, now, &self.rx, &self.tx, room) {
            self.tcb.on_sent(cfg, now, &plan);
        }
    }

    fn write(&mut self, octets: u64) {
        self.tx.written += octets;
        self.send();
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(due) = self.tcb.deadline().filter(|due| *due <= end) {
            self.now = due;
            let (rx, tx) = (&mut self.rx, &mut self.tx);
            let effects = self.tcb.on_timer(&self.cfg, due, rx, tx);
            assert_eq!(effects.gone, Gone::No);
            self.send();
        }
        self.now = end;
    }

    /// A segment of the peer: numbers count from the SYNs.
    fn peer(&mut self, flags: TcpFlags, seq: u32, ack: u32, sack: &[(u32, u32)]) {
        self.peer_with(flags, seq, ack, sack, 60_000);
    }

    /// The same with a window.
    fn peer_with(&mut self, flags: TcpFlags, seq: u32, ack: u32, sack: &[(u32, u32)], window: u16) {
        let mut blocks = SackBlocks::NONE;
        for (from, to) in sack {
            assert!(blocks.push((ISS + *from).0, (ISS + *to).0));
        }
        let mut options = TcpOptions {
            sack: blocks,
            ..TcpOptions::NONE
        };
        if flags.syn() {
            options.mss = Some(1000);
            options.sack_permitted = true;
        }
        let segment = Segment {
            seq: IRS + seq,
            ack: ISS + ack,
            flags,
            window,
            urgent: 0,
            options,
            payload: &[],
            ecn: 0,
        };
        let (rx, tx) = (&mut self.rx, &mut self.tx);
        let effects = self.tcb.receive(&self.cfg, self.now, &segment, rx, tx);
        if let Some(plan) = effects.answer {
            self.tcb.on_sent(&self.cfg, self.now, &plan);
        }
        self.send();
    }

    /// What was told, a line each, without the punctuation of `Debug`.
    fn told(&self) -> String {
        let mut text = String::new();
        for (now, event) in &self.tcb.cc.observer().0 {
            let event = std::format!("{event:?}").replace([',', '{', '}'], "");
            let words: Vec<&str> = event.split_whitespace().collect();
            let _ = writeln!(text, "{:8} {}", now.micros(), words.join(" "));
        }
        text
    }
}

/// Opened by us, one segment lost and repaired by SACK, the last one by a probe, then silence
/// until the timer, and an orderly end (RFC 9293 §3.5, RFC 6675 §5, RFC 8985 §7.3, RFC 6298 §5.4,
/// RFC 9293 §3.6). Places count from the first octet; SYN takes none, FIN one.
#[test]
fn lossy_transfer() {
    let mut s = Script::new(|cfg, rx| {
        Tcb::connect(cfg, Instant::ZERO, ISS, TS_OFFSET, 1460, rx.capacity())
    });
    s.pass(100);
    s.peer(TcpFlags::SYN | TcpFlags::ACK, 0, 1, &[]);
    s.write(5000);
    s.pass(100);
    // The second of five was lost.
    s.peer(TcpFlags::ACK, 1, 1001, &[]);
    s.peer(TcpFlags::ACK, 1, 1001, &[(2001, 3001)]);
    s.peer(TcpFlags::ACK, 1, 1001, &[(2001, 4001)]);
    s.peer(TcpFlags::ACK, 1, 1001, &[(2001, 5001)]);
    s.pass(100);
    s.peer(TcpFlags::ACK, 1, 5001, &[]);
    // Two more, of which nothing is heard.
    s.write(2000);
    s.pass(1000);
    s.peer(TcpFlags::ACK, 1, 7001, &[]);
    s.tcb.shutdown(&s.cfg, s.now);
    s.send();
    s.pass(100);
    s.peer(TcpFlags::ACK, 1, 7002, &[]);
    s.peer(TcpFlags::FIN | TcpFlags::ACK, 1, 7002, &[]);
    snapshot!("events_lossy_transfer", s.told());
}

/// A segment was late, not lost: its retransmission is reported as a duplicate, and what was
/// reduced is taken back (RFC 3708 §3.2, RFC 4015 §3).
#[test]
fn needless_reduction() {
    let mut s = Script::new(|cfg, rx| {
        Tcb::connect(cfg, Instant::ZERO, ISS, TS_OFFSET, 1460, rx.capacity())
    });
    s.pass(100);
    s.peer(TcpFlags::SYN | TcpFlags::ACK, 0, 1, &[]);
    s.write(6000);
    s.pass(100);
    for end in [2001, 3001, 4001] {
        s.peer(TcpFlags::ACK, 1, 1, &[(1001, end)]);
    }
    s.pass(50);
    s.peer(TcpFlags::ACK, 1, 4001, &[]);
    s.pass(50);
    s.peer(TcpFlags::ACK, 1, 4001, &[(1, 1001)]);
    snapshot!("events_needless_reduction", s.told());
}

/// Opened by the peer; what ends a connection with an error is told before its state changes
/// (RFC 9293 §3.10.7.4, second).
#[test]
fn reset_by_the_peer() {
    let mut s = Script::new(|cfg, rx| {
        let options = TcpOptions {
            mss: Some(1000),
            ..TcpOptions::NONE
        };
        let handshake = Handshake {
            iss: ISS,
            irs: IRS,
            adv_mss: 1460,
            peer: Peer::of_syn(cfg, &options),
            our_scale: 0,
            ts_offset: TS_OFFSET,
            snd_wnd: 60_000,
            rcv_wnd: u32::from(window::of_syn(rx.capacity())),
            rtt: None,
            ecn: ecn::Agreed::NONE,
        };
        Tcb::accepted(cfg, Instant::ZERO, &handshake)
    });
    s.peer(TcpFlags::RST, 1, 0, &[]);
    insta::assert_snapshot!(s.told(), @r"
           0 Opened local: 10.0.0.1:1025 peer: 10.0.0.2:80 state: Established
           0 Failed error: Reset
           0 State from: Established to: Closed
    ");
}

/// An observer that wants nothing hears nothing, though it is there.
#[test]
fn nobody_watches() {
    #[derive(Debug, Clone, Default)]
    struct Deaf(u32);
    impl Observer for Deaf {
        fn watches(&self) -> bool {
            false
        }
        fn on_event(&mut self, _: Instant, _: &Event) {
            self.0 += 1;
        }
    }
    let (cfg, rx) = (Config::default(), Rx::new(1000));
    let now = Instant::ZERO;
    let mut tcb = Tcb::<Observed<Reno, Deaf>>::connect(&cfg, now, ISS, 0, 1460, rx.capacity());
    let room = Room { mss: 1460, gso: 0 };
    let plan = tcb.next_segment(&cfg, now, &rx, &Tx::default(), room);
    tcb.on_sent(&cfg, now, &plan.unwrap());
    assert!(tcb.abort(now).is_none());
    assert_eq!((tcb.state(), tcb.cc.observer().0), (State::Closed, 0));
}

/// A window that closes, is probed, and opens (RFC 9293 §3.8.6.1); a peer that is idle and is probed
/// (§3.8.4); text after an idle time, with a window that came down for it (RFC 5681 §4.1); a path
/// that carries less from some time on (RFC 1191).
#[test]
fn quiet_times_and_narrow_paths() {
    let mut s = Script::new(|cfg, rx| {
        Tcb::connect(cfg, Instant::ZERO, ISS, TS_OFFSET, 1460, rx.capacity())
    });
    s.cfg.slow_start_after_idle = true;
    s.pass(100);
    s.peer(TcpFlags::SYN | TcpFlags::ACK, 0, 1, &[]);
    let options = Options {
        keepalive: true,
        keepalive_time: Some(Duration::from_secs(10)),
        keepalive_interval: Some(Duration::from_secs(1)),
        ..s.tcb.options()
    };
    s.tcb.set_options(&s.cfg, s.now, options);
    s.tcb.cc.observer_mut().0.clear();
    s.write(10_000);
    s.pass(100);
    s.peer(TcpFlags::ACK, 1, 10_001, &[]);
    s.write(5_000);
    s.pass(100);
    s.peer_with(TcpFlags::ACK, 1, 15_001, &[], 0);
    s.write(500);
    s.pass(1000);
    s.peer_with(TcpFlags::ACK, 1, 15_001, &[], 60_000);
    s.pass(100);
    s.peer(TcpFlags::ACK, 1, 15_501, &[]);
    s.pass(11_500);
    s.peer(TcpFlags::ACK, 1, 15_501, &[]);
    s.write(500);
    s.mss = 700;
    s.write(2_000);
    let told = s.told();
    let rare = [
        "ZeroWindow",
        "Persist",
        "KeepAlive",
        "IdleRestart",
        "PathMtu",
    ];
    let all: Vec<&str> = told
        .lines()
        .map(str::trim)
        .filter(|line| rare.iter().any(|name| line.contains(name)))
        .collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    300000 ZeroWindow closed: true
    600000 Persist probes: 1
    600000 IdleRestart idle: 400
    1200000 Persist probes: 2
    1300000 ZeroWindow closed: false
    11400000 KeepAlive probes: 1
    12400000 KeepAlive probes: 2
    12900000 PathMtu mss: 700
    ");
}
