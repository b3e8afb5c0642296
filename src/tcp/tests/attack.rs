//! What strangers send (RFC 5961, RFC 7323 §5): nothing of it ends a connection, moves its
//! numbers or makes it a reflector. And any segments at all, in any state.

extern crate std;

use proptest::prelude::*;
use std::vec::Vec;

use super::beginnings::plain;
use super::harness::{Harness, IRS, ISS, octet};
use super::snapshot;
use crate::socket::{RecvBuf, SendBuf};
use crate::tcp::*;
use crate::wire::{SackBlocks, TcpFlags, TcpOptions};
use core::time::Duration;

/// RFC 5961 §3: a RST counts at RCV.NXT only.
#[test]
fn blind_reset() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 100
        < R 2:2 win 0
        < R 65536:65536 win 0
        < R 65537:65537 win 0
        < R 0:0 win 0
        < R -100000:-100000 win 0
        # our peer, who knows nothing of us, resets by the challenge's number
        < R 1:1 win 0",
    );
    snapshot!("attack_reset", text);
}

/// RFC 5961 §4: a SYN is challenged, whatever its number.
#[test]
fn blind_syn() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "< S 1:1 win 1000
        < S 500:500 win 1000
        < S -5:-5 win 1000
        < S. 0:0 ack 1 win 1000",
    );
    snapshot!("attack_syn", text);
}

/// RFC 5961 §5: acknowledgments outside SND.UNA - MAX.SND.WND ..= SND.NXT, and what comes with
/// them.
#[test]
fn blind_data() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 1000
        < . 1:1 ack 1001 win 512
        < . 1:11 ack 1002 win 512
        < . 1:11 ack -64536 win 512
        < . 1:11 ack -64535 win 512
        # no acknowledgment at all
        < - 11:21 win 512
        < P 11:21 win 512
        read",
    );
    snapshot!("attack_data", text);
}

/// RFC 5961 §3 and §4 in every state that has a connection: a RST in the window but not at its
/// edge, and any SYN, are challenged; a RST at the edge counts.
#[test]
fn every_state_challenges() {
    let states = [
        ("shutdown", "FIN-WAIT-1"),
        ("shutdown\n < . 1:1 ack 2 win 512", "FIN-WAIT-2"),
        ("< F. 1:1 ack 1 win 512", "CLOSE-WAIT"),
        ("shutdown\n < F. 1:1 ack 1 win 512", "CLOSING"),
        ("< F. 1:1 ack 1 win 512\n shutdown", "LAST-ACK"),
    ];
    let mut texts = std::string::String::new();
    for (way, name) in states {
        let mut h = Harness::accepted(plain(), 1000);
        h.play(way);
        assert_eq!(h.tcb.state().as_str(), name);
        let edge = h.tcb.rcv_nxt.since(IRS);
        let challenge = std::format!(" ack {edge} win ");
        let before = h.play("").len();
        let inside = edge + 1;
        let told = h.play(&std::format!(
            "< R {inside}:{inside} win 0\n < S {edge}:{edge} win 9\n < S 0:0 win 9"
        ));
        assert_eq!(told[before..].matches(&challenge).count(), 3, "{told}");
        assert_eq!(h.tcb.state().as_str(), name);
        texts += &h.play(&std::format!("< R {edge}:{edge} win 0"));
        assert_eq!(h.tcb.state(), State::Closed, "{name}");
    }
    snapshot!("attack_every_state", texts);
}

/// RFC 5961 §7: ten challenges in five seconds, for this connection alone.
#[test]
fn challenges_are_limited() {
    let mut h = Harness::accepted(plain(), 1000);
    let script = "< R 100:100 win 0\n".repeat(12) + "+5s\n< R 100:100 win 0";
    snapshot!("attack_challenges", h.play(&script));
}

/// Segments outside the window: one reply in half a second if they have no text.
#[test]
fn replies_are_limited() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "< . 0:0 ack 1 win 512
        < . 0:0 ack 1 win 512
        # text that came twice is answered each time
        < . -9:1 ack 1 win 512
        < . 99999:100009 ack 1 win 512
        +499ms
        < . 0:0 ack 1 win 512
        +1ms
        < . 0:0 ack 1 win 512",
    );
    snapshot!("attack_replies", text);
}

/// PAWS (RFC 7323 §5): an old timestamp is out, a RST is exempt; after 24 days it may begin
/// anew. TS.Recent comes from acceptable segments only.
#[test]
fn old_timestamps() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "< . 1:101 ack 1 win 512 <TS 1000 ecr 0>
        < . 101:201 ack 1 win 512 <TS 999 ecr 0>
        # no timestamp
        < . 101:201 ack 1 win 512
        # outside the window: its timestamp is not taken
        < . -99:1 ack 1 win 512 <TS 5000 ecr 0>
        < . 101:201 ack 9999 win 512 <TS 5000 ecr 0>
        < . 101:201 ack 1 win 512 <TS 1001 ecr 0>
        +36000m
        < . 201:301 ack 1 win 512 <TS 7 ecr 0>
        < R 301:301 win 0 <TS 1 ecr 0>",
    );
    snapshot!("attack_timestamps", text);
}

/// SACK blocks that cannot be: backwards, beyond what was sent, before what is acknowledged.
#[test]
fn impossible_sack() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "write 10000
        < . 1:1 ack 1 win 512 <sack 5001:4001 9001:20001 1:2001>
        < . 1:1 ack 2001 win 512 <sack 1:1001 1001:2001 2001:3001>
        < . 1:1 ack 2001 win 512 <sack 4294900000:4294960000>
        info",
    );
    snapshot!("attack_sack", text);
}

/// ICMP errors (RFC 5927): about nothing in flight, ignored; hard ones are soft.
#[test]
fn blind_icmp() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "icmp port 1
        write 1000
        icmp port 0
        icmp port 1001
        icmp port 500
        < . 1:1 ack 1001 win 512",
    );
    snapshot!("attack_icmp", text);
}

/// A peer that acknowledges by single octets grows the window by octets (RFC 3465); one that
/// sends duplicates without end gets a segment for each at most, and one retransmission in all.
#[test]
fn divided_and_repeated_acks() {
    let config = Config {
        sack: false,
        ..plain()
    };
    let mut h = Harness::accepted(config, 1000);
    let mut script = std::string::String::from("write 100000\n");
    for n in 0..10 {
        script += &std::format!("< . 1:1 ack {} win 512\n", 2 + n);
    }
    script += "info\n";
    script += &"< . 1:1 ack 11 win 512\n".repeat(12);
    script += "info";
    snapshot!("attack_acks", h.play(&script));
}

/// One event of a hostile script.
#[derive(Debug, Clone)]
enum Event {
    Segment(Box),
    Pass(u32),
    Write(u16),
    Read(u16),
    Shutdown,
    Close,
    Icmp(u8, i32),
    Mss(u16),
}

/// A segment near the connection's numbers, or anywhere.
#[derive(Debug, Clone)]
struct Box {
    seq: i32,
    ack: i32,
    flags: u16,
    window: u16,
    len: u16,
    timestamps: Option<(i32, i32)>,
    sack: Vec<(i32, i32)>,
    syn_options: bool,
}

fn near() -> impl Strategy<Value = i32> {
    prop_oneof![4 => -2i32..3, 4 => -3000i32..70_000, 1 => any::<i32>()]
}

fn event() -> impl Strategy<Value = Event> {
    let flags = prop_oneof![6 => Just(0x10u16), 2 => Just(0x11u16), 1 => 0u16..0x200];
    let numbers = (near(), near(), flags, any::<u16>(), 0u16..4000);
    let stamps = prop_oneof![Just(None), (-5i32..5, -5i32..5).prop_map(Some)];
    let blocks = prop::collection::vec((near(), near()), 0..4);
    let segment = (numbers, stamps, blocks, any::<bool>()).prop_map(
        |((seq, ack, flags, window, len), timestamps, sack, syn_options)| {
            Event::Segment(Box {
                seq,
                ack,
                flags,
                window,
                len: if len < 2000 { 0 } else { len },
                timestamps,
                sack,
                syn_options,
            })
        },
    );
    prop_oneof![
        12 => segment,
        2 => (0u32..2_000_000).prop_map(Event::Pass),
        1 => (0u32..u32::MAX).prop_map(Event::Pass),
        3 => any::<u16>().prop_map(Event::Write),
        2 => any::<u16>().prop_map(Event::Read),
        1 => Just(Event::Shutdown),
        1 => Just(Event::Close),
        1 => (0u8..4, -2i32..2000).prop_map(|(kind, seq)| Event::Icmp(kind, seq)),
        1 => any::<u16>().prop_map(Event::Mss),
    ]
}

/// Sequence number of the first octet of the peer's text, from what was stored of it.
fn origin(h: &Harness) -> SeqNum {
    let stored = h.rx.taken + h.rx.readable() as u64;
    h.tcb.rcv_nxt - stored as u32 - u32::from(h.tcb.peer_closed())
}

/// What must hold after every event.
fn check(h: &Harness, before: (SeqNum, SeqNum, SeqNum, SeqNum)) {
    let tcb = &h.tcb;
    assert!(tcb.snd_una.le(tcb.snd_nxt), "SND.UNA passed SND.NXT");
    if tcb.state().is_synchronized() {
        assert!(tcb.snd_una.ge(before.0), "SND.UNA moved back");
        assert!(tcb.rcv_nxt.ge(before.1), "RCV.NXT moved back");
        assert!(tcb.rcv_adv.ge(before.2), "the right edge moved back");
        assert!(tcb.rcv_nxt.le(tcb.rcv_adv), "more was taken than offered");
        assert_eq!(origin(h), before.3, "what is not stored is acknowledged");
        assert!(h.rx.readable() <= h.rx.capacity());
        assert!(tcb.in_flight() as usize <= h.tx.queued() + 1);
    }
    let info = tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    let most = info.unacked_octets.saturating_mul(2);
    assert!(info.cwnd_octets > 0 && info.in_flight_octets <= most);
    if matches!(tcb.state(), State::Closed | State::TimeWait) {
        assert_eq!(tcb.deadline(), None, "a dead connection waits");
    }
}

fn run(h: &mut Harness, events: &[Event]) {
    for event in events {
        let before = (h.tcb.snd_una, h.tcb.rcv_nxt, h.tcb.rcv_adv, origin(h));
        let synchronized = h.tcb.state().is_synchronized();
        match event {
            Event::Segment(s) => {
                let synced = h.tcb.state() != State::SynSent;
                let (rcv, snd) = (if synced { h.tcb.rcv_nxt } else { IRS }, h.tcb.snd_una);
                let seq = SeqNum(rcv.0.wrapping_add(s.seq as u32));
                // Octets are what they must be for their place, or reading would complain.
                let flags = TcpFlags::from_bits(s.flags);
                let first = match (synced, flags.syn()) {
                    (true, syn) => seq.since(before.3).wrapping_add(u32::from(syn)),
                    (false, _) => 0,
                };
                let text: Vec<u8> = (0..u32::from(s.len))
                    .map(|n| octet(u64::from(first.wrapping_add(n))))
                    .collect();
                let mut sack = SackBlocks::NONE;
                for (lo, hi) in &s.sack {
                    let edge = |n: &i32| snd.0.wrapping_add(*n as u32);
                    sack.push(edge(lo), edge(hi));
                }
                let recent = h.tcb.ts_recent;
                let ours = timestamp(h.now, h.tcb.ts_offset);
                let options = TcpOptions {
                    timestamps: s.timestamps.map(|(value, echo)| {
                        (
                            recent.wrapping_add(value as u32),
                            ours.wrapping_add(echo as u32),
                        )
                    }),
                    sack,
                    mss: s.syn_options.then_some(s.window),
                    window_scale: s.syn_options.then_some(s.len as u8),
                    sack_permitted: s.syn_options,
                    ..TcpOptions::NONE
                };
                let segment = Segment {
                    seq,
                    ack: SeqNum(snd.0.wrapping_add(s.ack as u32)),
                    flags,
                    window: s.window,
                    urgent: s.window,
                    options,
                    payload: &text,
                    ecn: 0,
                };
                h.receive(&segment);
            }
            Event::Pass(us) => h.pass(Duration::from_micros(u64::from(*us))),
            Event::Write(n) if h.tcb.can_send() => h.tx.written += u64::from(*n),
            Event::Write(_) => {}
            Event::Read(n) => {
                h.rx.read(usize::from(*n));
                h.tcb.on_read(&h.cfg, h.now, &mut h.rx);
            }
            Event::Shutdown => h.tcb.shutdown(&h.cfg, h.now),
            Event::Close => {
                let _ = h.tcb.close(&h.cfg, h.now, 0);
            }
            Event::Icmp(kind, seq) => {
                let kind = match kind {
                    0 => crate::net::ErrorKind::HostUnreachable,
                    1 => crate::net::ErrorKind::PortUnreachable,
                    2 => crate::net::ErrorKind::PacketTooBig(*seq as u16 % 2000),
                    _ => crate::net::ErrorKind::TtlExceeded,
                };
                let quoted = SeqNum(h.tcb.snd_una.0.wrapping_add(*seq as u32));
                let _ = h.tcb.icmp_error(&h.cfg, h.now, kind, quoted, false);
            }
            Event::Mss(mss) => h.room.mss = usize::from(*mss),
        }
        h.send();
        if synchronized {
            check(h, before);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever state: no panic (arithmetic is checked in tests), no number
    /// moves where it must not, and only what was stored is acknowledged.
    #[test]
    fn anything_may_come(
        events in prop::collection::vec(event(), 1..60),
        role in 0u8..4,
        timestamps in any::<bool>(),
        sack in any::<bool>(),
        probed in any::<bool>(),
        buffer in prop_oneof![Just(1usize), Just(3000), Just(540_000)],
    ) {
        let config = Config {
            timestamps,
            sack,
            receive_buffer: buffer,
            mtu_probing: if probed { MtuProbing::Always } else { MtuProbing::BlackHole },
            mtu_delay: probed,
            user_timeout_option: probed,
            ..Config::default()
        };
        let offer = SynOffer { option: Some(crate::wire::FastOpen::REQUEST), mss: 1460 };
        let offer = SynOffer { option: offer.option.filter(|_| !probed), ..offer };
        let mut h = match role {
            0 => Harness::connect(config),
            1 => Harness::accepted(config, 1000),
            2 => Harness::connect_early(config, 1000, offer),
            _ => Harness::accepted_early(config, 1000, 500),
        };
        run(&mut h, &events);
    }
}

#[test]
fn numbers_of_the_harness_wrap() {
    assert!(ISS.0 > u32::MAX - 1000 && IRS.distance(IRS + 1) == -1);
}
