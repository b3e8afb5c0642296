//! A peer that lies about everything it may lie about, close to the numbers that count: what it
//! reports, echoes, marks and offers. No panic, no tally that differs from its records, nothing
//! unbounded, and once it is honest again all text arrives.

extern crate std;

use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::harness::{Harness, octet};
use crate::socket::SendBuf;
use crate::tcp::ecn::Agreed;
use crate::tcp::records::{LOST, REPEATED, SACKED};
use crate::tcp::*;
use crate::wire::{AccEcn, SackBlocks, TcpFlags, TcpOptions};
use core::time::Duration;

/// An acknowledgment: where it and its reports lie is told in thousandths of what is in flight.
#[derive(Debug, Clone)]
struct Lie {
    ack: u32,
    sack: Vec<(u32, u32)>,
    /// Reports begin and end at segments.
    whole: bool,
    /// The first report is of something that came twice, so far before the acknowledgment.
    twice: Option<(u32, u32)>,
    /// Milliseconds by which the echo is old; very old, or from the future if beyond.
    echo: i32,
    window: u16,
    flags: u16,
    /// Text of the peer: how much, how far from RCV.NXT, and the urgent pointer.
    text: (u16, i32, Option<u16>),
    counts: Option<(bool, [u32; 3])>,
    user_timeout: Option<u32>,
    ecn: u8,
}

#[derive(Debug, Clone)]
enum Event {
    Lie(Lie),
    Pass(u64),
    Write(u16, u8),
    Read(u16),
    Rate(Option<u64>),
    Lowat(Option<u32>),
    Cork(bool),
    Nodelay(bool),
    Clamp(Option<u32>),
    TooBig(u16, u32),
    Room(u16, u32),
}

fn lie() -> impl Strategy<Value = Lie> {
    let place = prop_oneof![2 => Just(0_u32), 2 => Just(1000_u32), 6 => 0..=1000_u32];
    let ack = prop_oneof![5 => Just(0_u32), 2 => Just(1000_u32), 3 => 0..=1000_u32];
    let sack = prop::collection::vec((place.clone(), place), 0..4);
    let twice = prop_oneof![4 => Just(None), 1 => (0..9000_u32, 0..9000_u32).prop_map(Some)];
    let echo = prop_oneof![6 => 0..200_i32, 1 => -5..5_i32, 1 => any::<i32>()];
    let window = prop_oneof![6 => Just(512_u16), 1 => Just(0), 1 => Just(1), 1 => any::<u16>()];
    let flags = prop_oneof![4 => Just(0_u16), 1 => any::<u16>().prop_map(|n| n & 0x1c0)];
    let text = prop_oneof![
        4 => Just((0_u16, 0_i32, None)),
        2 => (0..1500_u16, -1500..9000_i32, any::<Option<u16>>()),
    ];
    let counts = prop_oneof![3 => Just(None), 1 => any::<Option<(bool, [u32; 3])>>()];
    let timeout = prop_oneof![9 => Just(None), 1 => any::<Option<u32>>()];
    let first = (ack, sack, any::<bool>(), twice, echo, window);
    (first, (flags, text, counts, timeout, 0..4_u8)).prop_map(
        |((ack, sack, whole, twice, echo, window), (flags, text, counts, user_timeout, ecn))| Lie {
            ack,
            sack,
            whole,
            twice,
            echo,
            window,
            flags,
            text,
            counts,
            user_timeout,
            ecn,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let rate = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        any::<u64>(),
        1..1_000_000_u64
    ];
    let time = prop_oneof![
        6 => 0..150_000_u64,
        2 => 150_000..3_000_000_u64,
        1 => 0..200_000_000_u64,
        1 => (0..38_u32).prop_map(|n| 1 << n),
    ];
    prop_oneof![
        24 => lie().prop_map(Event::Lie),
        8 => time.prop_map(Event::Pass),
        6 => (any::<u16>(), 0..8_u8).prop_map(|(n, flags)| Event::Write(n, flags)),
        3 => any::<u16>().prop_map(Event::Read),
        1 => prop::option::of(rate).prop_map(Event::Rate),
        1 => prop::option::of(0..100_000_u32).prop_map(Event::Lowat),
        1 => any::<bool>().prop_map(Event::Cork),
        1 => any::<bool>().prop_map(Event::Nodelay),
        1 => prop::option::of(0..100_000_u32).prop_map(Event::Clamp),
        1 => (0..1600_u16, 0..1000_u32).prop_map(|(size, at)| Event::TooBig(size, at)),
        1 => (64..1600_u16, 0..70_000_u32).prop_map(|(mss, gso)| Event::Room(mss, gso)),
    ]
}

fn segment_of(h: &Harness, lie: &Lie, text: &mut Vec<u8>) -> Segment<'static> {
    let tcb = &h.tcb;
    let (una, flight) = (tcb.snd_una, tcb.in_flight());
    let mss = u32::from(tcb.mss.max(1));
    let at = |thousandths: u32| {
        let octets = (u64::from(flight) * u64::from(thousandths) / 1000) as u32;
        let whole = lie.whole && thousandths < 1000;
        una + if whole { octets - octets % mss } else { octets }
    };
    let ack = at(lie.ack);
    let mut sack = SackBlocks::NONE;
    if let Some((before, len)) = lie.twice {
        let lo = ack - before;
        sack.push(lo.0, (lo + len).0);
    }
    for (from, to) in &lie.sack {
        sack.push(at(*from).0, at(*to).0);
    }
    let (len, from, urgent) = lie.text;
    let seq = SeqNum(tcb.rcv_nxt.0.wrapping_add(from as u32));
    let stored = h.rx.taken + h.rx.readable() as u64;
    let first = tcb.rcv_nxt - stored as u32 - u32::from(tcb.peer_closed());
    let place = seq.since(first);
    text.extend((0..u32::from(len)).map(|n| octet(u64::from(place.wrapping_add(n)))));
    let mut flags = TcpFlags::from_bits(0x10 | lie.flags);
    if urgent.is_some() {
        flags |= TcpFlags::URG;
    }
    let ours = timestamp(h.now, tcb.ts_offset);
    let options = TcpOptions {
        timestamps: tcb
            .timestamps
            .then(|| (tcb.ts_recent, ours.wrapping_sub(lie.echo as u32))),
        sack,
        user_timeout: lie.user_timeout,
        accurate_ecn: lie
            .counts
            .map(|(first, counts)| AccEcn::new(first, &counts)),
        ..TcpOptions::NONE
    };
    Segment {
        seq,
        ack,
        flags,
        window: lie.window,
        urgent: urgent.unwrap_or(0),
        options,
        payload: &[],
        ecn: lie.ecn,
    }
}

/// What must hold after every event.
fn check(h: &Harness) {
    let tcb = &h.tcb;
    let flight = &*tcb.flight;
    let records = &flight.records;
    assert!(records.len() <= usize::from(h.cfg.send_records.max(16)));
    if tcb.in_flight() > 0 && tcb.state().is_synchronized() {
        assert_eq!(records.start(), tcb.snd_una, "records begin elsewhere");
        assert_eq!(records.start_of(records.len()), tcb.snd_nxt, "records end");
    }
    let sum = |flag: u8| -> (u32, u32) {
        (0..records.len())
            .filter_map(|n| Some((n, records.get(n)?)))
            .filter(|(_, record)| record.is(flag))
            .fold((0, 0), |(octets, segments), (n, record)| {
                let len = record.end.since(records.start_of(n));
                (octets + len, segments + u32::from(record.segments))
            })
    };
    for (flag, tally, name) in [
        (SACKED, flight.sacked, "reported"),
        (LOST, flight.lost, "lost"),
        (REPEATED, flight.repeated, "repeated"),
    ] {
        let (octets, segments) = sum(flag);
        assert_eq!(tally.octets, octets, "octets {name}");
        // A segment that is cut counts as two from then on, but only in the records.
        assert!(tally.segments <= segments, "{tally:?} {segments} {name}");
    }
    assert!(flight.sacked.octets <= tcb.in_flight());
    assert!(tcb.pipe() <= 2 * tcb.in_flight());
    assert!(tcb.cc.window() >= u32::from(tcb.mss.max(1)), "no window");
    assert!(tcb.in_flight() as usize <= h.tx.queued() + 1);
    let info = tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert!(!info.to_string().is_empty());
    assert!(info.rto >= h.cfg.rto_min && info.rto <= h.cfg.rto_max);
}

fn run(h: &mut Harness, events: &[Event]) {
    for event in events {
        let mut options = h.tcb.options();
        match event {
            Event::Lie(lie) => {
                let mut text = Vec::new();
                let segment = segment_of(h, lie, &mut text);
                h.receive(&Segment {
                    payload: &text,
                    ..segment
                });
            }
            Event::Pass(us) => h.pass(Duration::from_micros(*us)),
            Event::Write(n, flags) => {
                if h.tcb.can_send() && h.tx.queued() < 1 << 16 {
                    h.tx.written += u64::from(*n);
                    let flags = SendFlags {
                        more: flags & 1 != 0,
                        eor: flags & 2 != 0,
                        urgent: *flags == 7,
                    };
                    h.tcb.wrote(flags, true, h.tx.queued());
                }
            }
            Event::Read(n) => {
                h.rx.read(usize::from(*n));
                h.tcb.on_read(&h.cfg, h.now, &mut h.rx);
            }
            Event::Rate(rate) => options.max_pacing_rate = *rate,
            Event::Lowat(lowat) => options.notsent_lowat = *lowat,
            Event::Cork(on) => options.cork = *on,
            Event::Nodelay(on) => options.nodelay = *on,
            Event::Clamp(octets) => options.window_clamp = *octets,
            Event::TooBig(size, at) => {
                let kind = crate::net::ErrorKind::PacketTooBig(*size);
                let quoted = h.tcb.snd_una + h.tcb.in_flight() / 1000 * at;
                let _ = h.tcb.icmp_error(&h.cfg, h.now, kind, quoted, false);
            }
            Event::Room(mss, gso) => {
                h.room.mss = usize::from(*mss);
                h.room.gso = *gso as usize;
            }
        }
        let _ = h.tcb.set_options(&h.cfg, h.now, options);
        h.send();
        if h.tcb.state() == State::Closed {
            return;
        }
        check(h);
    }
}

/// The peer is honest from now on: everything arrives.
fn finish(h: &mut Harness) {
    let mut options = h.tcb.options();
    options.max_pacing_rate = None;
    options.cork = false;
    let _ = h.tcb.set_options(&h.cfg, h.now, options);
    h.room = Room { mss: 1460, gso: 0 };
    // What the sender pacing at an octet a second has to wait for, it waits for.
    h.pass(Duration::from_secs(200_000));
    h.send();
    for _ in 0..4000 {
        if h.tcb.state() == State::Closed || h.tx.queued() == 0 {
            return;
        }
        let honest = Lie {
            ack: 1000,
            sack: Vec::new(),
            whole: false,
            twice: None,
            echo: 1,
            window: 65_535,
            flags: 0,
            text: (0, 0, None),
            counts: None,
            user_timeout: None,
            ecn: 0,
        };
        let segment = segment_of(h, &honest, &mut Vec::new());
        h.receive(&segment);
        h.send();
        check(h);
        h.pass(Duration::from_secs(1));
        h.send();
    }
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    panic!(
        "{} octets never left: {info} {:?} deadline {:?} at {:?}",
        h.tx.queued(),
        h.tcb.ca_state(),
        h.tcb.deadline(),
        h.now
    );
}

fn config(bits: u16) -> Config {
    let is = |n: u32| bits >> n & 1 != 0;
    Config {
        timestamps: !is(0),
        sack: !is(1),
        dsack: !is(2),
        send_records: if is(3) { 8 } else { 4096 },
        mtu_probing: [MtuProbing::Off, MtuProbing::Always][usize::from(is(4))],
        pacing: is(5),
        user_timeout_option: is(6),
        receive_buffer: if is(7) { 3000 } else { 540_000 },
        mtu_delay: is(8),
        slow_start_after_idle: is(9),
        frto: !is(10),
        tail_probes: !is(11),
        ..Config::default()
    }
}

fn agreed(kind: u8) -> Agreed {
    let flags = match kind {
        0 => return Agreed::NONE,
        1 => TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR,
        _ => TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR | TcpFlags::AE,
    };
    Agreed::of_syn(Ecn::Accurate, flags, 0)
}

/// `PROPTEST_CASES` says how many, for those who have an hour.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, max_shrink_iters: 150, ..ProptestConfig::default() })]

    /// RFC 9293 §3.8.6, RFC 5681 §3.1, RFC 8985 §9: whatever a peer says.
    #[test]
    fn lies_break_nothing_for_good(
        events in prop::collection::vec(event(), 1..120),
        bits in any::<u16>(),
        usual in any::<bool>(),
        ecn in 0..3_u8,
        mss in prop_oneof![Just(1460_u16), Just(1000), Just(0), Just(1), Just(48), Just(65_535)],
    ) {
        let cfg = if usual { Config::default() } else { config(bits) };
        let mut h = Harness::accepted_with(cfg, mss, agreed(ecn));
        h.tx.written += 100_000;
        h.send();
        run(&mut h, &events);
        if h.tcb.state() != State::Closed {
            finish(&mut h);
        }
    }
}

fn ack(thousandths: u32, sack: &[(u32, u32)]) -> Event {
    Event::Lie(Lie {
        ack: thousandths,
        sack: sack.to_vec(),
        whole: false,
        twice: None,
        echo: 0,
        window: 512,
        flags: 0,
        text: (0, 0, None),
        counts: None,
        user_timeout: None,
        ecn: 0,
    })
}

/// Room for the record of a retransmission is made by joining others, which moves it. (A
/// regression: the wrong record was cut.)
#[test]
fn retransmissions_find_their_record_when_there_is_no_room() {
    let cfg = Config {
        send_records: 8,
        ..Config::default()
    };
    let mut h = Harness::accepted(cfg, 1460);
    h.tx.written += 100_000;
    h.send();
    let lies = [
        ack(0, &[]),
        ack(0, &[]),
        ack(1000, &[]),
        ack(0, &[(350, 400)]),
        ack(0, &[(650, 1000)]),
    ];
    run(&mut h, &lies);
    finish(&mut h);
}
