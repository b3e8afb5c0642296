//! Two cores back to back over a pipe that loses, repeats, reorders and delays: whatever it
//! does, exactly the octets written are read, and both sides close.

extern crate std;

use core::time::Duration;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::harness::{Rx, Tx};
use crate::socket::{RecvBuf, SendBuf};
use crate::tcp::congestion::Any;
use crate::tcp::*;
use crate::wire::{OptionBytes, TcpFlags, TcpOptions};
use phy::Instant;

/// What the pipe does to segments, in thousandths, and how long it takes.
#[derive(Debug, Clone)]
struct Pipe {
    loss: u32,
    twice: u32,
    reorder: u32,
    delay_ms: u64,
    /// Of packets that are ECN-capable.
    mark: u32,
    /// Deliver trains whole, as receive offload does.
    merge: bool,
    /// Swallow segments above [`NARROW`] octets; both sides search for what passes.
    narrow: bool,
}

/// Octets of options and text of the largest segment that a narrow pipe carries.
const NARROW: usize = 1100;

/// How one side behaves.
#[derive(Debug, Clone)]
struct Side {
    write: u64,
    buffer: usize,
    mss: usize,
    gso: usize,
    timestamps: bool,
    sack: bool,
    scaling: bool,
    no_delay: bool,
    /// The first text goes with the SYN (RFC 7413).
    early: bool,
    congestion: Algorithm,
    ecn: Ecn,
    iss: u32,
    /// Reads at most so many octets at a time, every few milliseconds.
    read: usize,
}

struct Packet {
    at: Instant,
    to: usize,
    seq: SeqNum,
    ack: SeqNum,
    flags: TcpFlags,
    window: u16,
    options: OptionBytes,
    text: Vec<u8>,
    ecn: u8,
}

struct End {
    side: Side,
    cfg: Config,
    tcb: Tcb<Any>,
    rx: Rx,
    tx: Tx,
    gone: bool,
    shut: bool,
    /// RCV.NXT + RCV.WND as the peer sees it.
    edge: Option<SeqNum>,
}

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let x = self.0 ^ self.0 >> 33;
        x.wrapping_mul(0xff51afd7ed558ccd) >> 20
    }
    fn chance(&mut self, thousandths: u32) -> bool {
        self.next() % 1000 < u64::from(thousandths)
    }
}

struct World {
    now: Instant,
    ends: [End; 2],
    wire: Vec<Packet>,
    pipe: Pipe,
    rng: Rng,
    packets: usize,
}

impl End {
    fn new(side: &Side, now: Instant, narrow: bool) -> Self {
        let cfg = Config {
            timestamps: side.timestamps,
            sack: side.sack,
            window_scaling: side.scaling,
            ecn: side.ecn,
            mtu_probing: if narrow {
                MtuProbing::Always
            } else {
                MtuProbing::Off
            },
            ..Config::default()
        };
        let rx = Rx::new(side.buffer);
        let (iss, mss) = (SeqNum(side.iss), side.mss as u16);
        let mut tcb = Tcb::connect(&cfg, now, iss, side.iss ^ 0x5555, mss, rx.capacity());
        let options = Options {
            nodelay: side.no_delay,
            congestion: Some(side.congestion),
            ..Options::default()
        };
        tcb.set_options(&cfg, now, options);
        if side.early && side.write > 0 {
            tcb.early.set(Early::WANTED);
        }
        let (side, tx) = (
            side.clone(),
            Tx {
                written: side.write,
                released: 0,
            },
        );
        Self {
            side,
            cfg,
            tcb,
            rx,
            tx,
            gone: false,
            shut: false,
            edge: None,
        }
    }
}

impl World {
    fn launch(&mut self, from: usize, plan: &Plan) {
        let end = &mut self.ends[from];
        // Invariants of what is sent: SND.UNA <= SEQ (probes one before), nothing beyond the
        // text; what is acknowledged is stored; the right edge does not move back by a unit of
        // the scale or more.
        if plan.flags.without(TcpFlags::PSH | TcpFlags::FIN) == TcpFlags::ACK {
            let scale = end.tcb.rcv_scale;
            let edge = plan.ack + (u32::from(plan.window) << scale);
            let last = end.edge.unwrap_or(edge);
            assert!(
                (edge + ((1 << scale) - 1)).ge(last),
                "the window shrank: {last} {edge}"
            );
            end.edge = Some(last.max(edge));
        }
        // Only new text is ECN-capable (RFC 3168 §6.1.4 to §6.1.6).
        let capable = plan.len > 0 && plan.seq == end.tcb.snd_nxt;
        assert!(plan.ecn == 0 || capable, "{plan:?}");
        let text = end.tx.text(plan.offset, plan.len);
        let step = if self.pipe.merge {
            plan.len.max(1)
        } else {
            usize::from(plan.mss.max(1))
        };
        let mut pieces: Vec<&[u8]> = text.chunks(step).collect();
        if pieces.is_empty() {
            pieces.push(&[]);
        }
        let mut offset = 0;
        for (n, piece) in pieces.iter().enumerate() {
            let last = TcpFlags::FIN | TcpFlags::PSH;
            let flags = if n + 1 == pieces.len() {
                plan.flags
            } else {
                plan.flags.without(last)
            };
            let copies = 1 + usize::from(self.rng.chance(self.pipe.twice));
            for _ in 0..copies {
                let large = piece.len() + plan.options.len() > NARROW;
                if self.rng.chance(self.pipe.loss) || self.pipe.narrow && large {
                    continue;
                }
                let mut delay = self.pipe.delay_ms * 1000;
                if self.rng.chance(self.pipe.reorder) {
                    delay += self.rng.next() % 30_000;
                }
                let marked = plan.ecn != 0 && self.rng.chance(self.pipe.mark);
                self.wire.push(Packet {
                    ecn: if marked { 3 } else { plan.ecn },
                    at: self.now + Duration::from_micros(delay),
                    to: 1 - from,
                    seq: plan.seq + offset,
                    ack: plan.ack,
                    flags,
                    window: plan.window,
                    options: plan.options,
                    text: piece.to_vec(),
                });
            }
            offset += piece.len() as u32;
            self.packets += 1;
        }
    }

    fn effects(&mut self, who: usize, effects: Effects) {
        if let Some(plan) = effects.answer {
            self.launch(who, &plan);
            let end = &mut self.ends[who];
            end.tcb.on_sent(&end.cfg, self.now, &plan);
        }
        self.ends[who].gone |= effects.gone != Gone::No;
    }

    fn deliver(&mut self, packet: Packet) {
        let segment = Segment {
            seq: packet.seq,
            ack: packet.ack,
            flags: packet.flags,
            window: packet.window,
            urgent: 0,
            options: TcpOptions::parse(packet.options.as_slice()),
            payload: &packet.text,
            ecn: packet.ecn,
        };
        let end = &mut self.ends[packet.to];
        if end.tcb.state() == State::TimeWait && segment.flags.fin() {
            // The table's work: acknowledge a repeated FIN.
            let nxt = (end.tcb.snd_nxt, end.tcb.rcv_nxt);
            let mut plan = Plan::bare(nxt.0, nxt.1, TcpFlags::ACK, 0xffff);
            plan.options = end.tcb.segment_options(self.now).emit();
            self.launch(packet.to, &plan);
            return;
        }
        if end.tcb.state() == State::TimeWait || end.tcb.state() == State::Closed {
            return;
        }
        let before = end.tcb.snd_una;
        let effects = end
            .tcb
            .receive(&end.cfg, self.now, &segment, &mut end.rx, &mut end.tx);
        assert!(end.tcb.snd_una.ge(before) && end.tcb.snd_una.le(end.tcb.snd_nxt));
        self.effects(packet.to, effects);
    }

    fn egress(&mut self, who: usize) {
        for _ in 0..10_000 {
            let peer_iss = SeqNum(self.ends[1 - who].side.iss);
            let end = &mut self.ends[who];
            if end.rx.taken + end.rx.readable() as u64 > 0 {
                // What was acknowledged is what was stored.
                let stored = (end.rx.taken + end.rx.readable() as u64) as u32;
                let fin = u32::from(end.tcb.peer_closed() || end.gone);
                let tcb = &end.tcb;
                assert_eq!(tcb.rcv_nxt, peer_iss + 1 + stored + fin, "{tcb:?}");
            }
            let room = Room {
                mss: end.side.mss,
                gso: end.side.gso,
            };
            let Some(mut plan) = end
                .tcb
                .next_segment(&end.cfg, self.now, &end.rx, &end.tx, room)
            else {
                return;
            };
            if plan.flags.syn() && end.tcb.wants_early() {
                let offer = SynOffer {
                    option: None,
                    mss: 1460,
                };
                let queued = end.tx.queued();
                plan = end.tcb.offer_early(&end.cfg, plan, &offer, queued, room);
            }
            self.launch(who, &plan);
            let end = &mut self.ends[who];
            end.tcb.on_sent(&end.cfg, self.now, &plan);
        }
        panic!("sends without end");
    }

    /// Runs to the end; true if both sides got all and closed.
    fn run(&mut self) -> bool {
        let total = [self.ends[1].side.write, self.ends[0].side.write];
        let mut read_at = self.now;
        for _ in 0..200_000 {
            for who in 0..2 {
                self.egress(who);
            }
            if self.ends.iter().all(|end| end.gone) {
                return true;
            }
            let wire = self.wire.iter().map(|p| p.at).min();
            let timers = self.ends.iter().filter_map(|end| end.tcb.deadline()).min();
            let mut ends = self.ends.iter().zip(total);
            let unread = ends
                .any(|(end, total)| end.rx.readable() > 0 || !end.shut && end.rx.taken == total);
            let read = unread.then_some(read_at);
            let Some(next) = [wire, timers, read].into_iter().flatten().min() else {
                return false;
            };
            self.now = self.now.max(next);
            while let Some(n) = self.wire.iter().position(|p| p.at <= self.now) {
                let packet = self.wire.remove(n);
                self.deliver(packet);
            }
            for who in 0..2 {
                let end = &mut self.ends[who];
                if end.tcb.deadline().is_some_and(|at| at <= self.now) {
                    let effects = end
                        .tcb
                        .on_timer(&end.cfg, self.now, &mut end.rx, &mut end.tx);
                    self.effects(who, effects);
                }
            }
            if read_at <= self.now {
                read_at = self.now + Duration::from_millis(3);
                for (end, total) in self.ends.iter_mut().zip(total) {
                    end.rx.read(end.side.read);
                    end.tcb.on_read(&end.cfg, self.now, &mut end.rx);
                    if !end.shut && end.rx.taken == total {
                        end.shut = true;
                        end.tcb.shutdown(&end.cfg, self.now);
                    }
                }
            }
        }
        false
    }
}

fn side() -> impl Strategy<Value = Side> {
    let sizes = (
        0u64..60_000,
        prop_oneof![Just(500usize), Just(3000), Just(20_000), Just(200_000)],
    );
    let paths = (
        prop_oneof![Just(100usize), Just(536), Just(1460), Just(9000)],
        0usize..40_000,
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let control = (
        prop::sample::select(&Algorithm::ALL),
        prop::sample::select(&Ecn::ALL),
    );
    let rest = (control, any::<u32>(), any::<bool>());
    (sizes, paths, flags, rest, 200usize..30_000).prop_map(
        |((write, buffer), (mss, gso), flags, ((congestion, ecn), iss, early), read)| Side {
            write,
            buffer,
            mss,
            gso,
            timestamps: flags.0,
            sack: flags.1,
            scaling: flags.2,
            no_delay: flags.3,
            early,
            congestion,
            ecn,
            iss,
            read,
        },
    )
}

fn pipe() -> impl Strategy<Value = Pipe> {
    let rates = (0u32..150, 0u32..100, 0u32..200, 0u32..300);
    // Whole trains fit no narrow pipe.
    let kind = prop::sample::select(vec![(true, false), (false, false), (false, true)]);
    (rates, 0u64..60, kind).prop_map(
        |((loss, twice, reorder, mark), delay_ms, (merge, narrow))| Pipe {
            loss,
            twice,
            reorder,
            delay_ms,
            mark,
            merge,
            narrow,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200,
        failure_persistence: None, max_shrink_iters: 300, ..ProptestConfig::default() })]

    /// Both sides open at once, send, half close, and end; exactly what was written is read.
    #[test]
    fn delivers_exactly_the_octets(a in side(), b in side(), pipe in pipe(), seed in any::<u64>()) {
        let now = Instant::from_secs(1);
        let ends = [&a, &b].map(|side| End::new(side, now, pipe.narrow));
        let mut world = World { now, ends, wire: Vec::new(), pipe, rng: Rng(seed), packets: 0 };
        let done = world.run();
        let report = std::format!("{:?} {:?} {:?}", world.now, world.ends[0].tcb, world.ends[1].tcb);
        for (end, total) in world.ends.iter_mut().zip([b.write, a.write]) {
            end.rx.read(usize::MAX);
            prop_assert_eq!(end.tcb.take_error(), None, "{}", report);
            prop_assert_eq!(end.rx.taken, total, "{}", report);
        }
        prop_assert!(done, "not closed: {}", report);
    }
}
