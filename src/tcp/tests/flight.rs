//! Send records under everything a peer and a path can do to them: no octet is lost from sight,
//! tallies are sums, and memory is bounded.

extern crate std;

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::harness::Harness;
use crate::tcp::flight::{At, Heard, Tally};
use crate::tcp::lazy::Lazy;
use crate::tcp::records::{LOST, REPEATED, SACKED};
use crate::tcp::{Config, SeqNum};
use phy::Instant;

const MSS: u32 = 100;
/// Wraps soon.
const START: SeqNum = SeqNum(u32::MAX - 3000);

#[derive(Debug, Clone)]
enum Step {
    /// So many segments, the last perhaps short.
    Send(u8, bool),
    /// Everything up to here, in hundredths of what is in flight, on a segment's edge or not.
    Ack(u8, bool),
    /// From here so many octets.
    Report(u8, u16),
    /// The so-manieth record is lost.
    Lose(u8),
    /// What waits is sent again, so many segments.
    Again(u8),
    Unlose,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..12, any::<bool>()).prop_map(|(n, short)| Step::Send(n, short)),
        2 => (0u8..60, any::<bool>()).prop_map(|(n, edge)| Step::Ack(n, edge)),
        5 => (0u8..100, 1u16..900).prop_map(|(at, len)| Step::Report(at, len)),
        3 => (0u8..40).prop_map(Step::Lose),
        3 => (1u8..6).prop_map(Step::Again),
        1 => Just(Step::Unlose),
        1 => Just(Step::Forget),
    ]
}

struct World {
    flight: Lazy,
    una: SeqNum,
    nxt: SeqNum,
    us: u64,
    delivered: u64,
}

impl World {
    /// What must always be so.
    fn check(&self, limit: usize) {
        let (records, mut at) = (&self.flight.records, self.una);
        let mut sums = BTreeMap::<u8, Tally>::new();
        for n in 0..records.len() {
            let record = records.get(n).expect("counted");
            assert_eq!(records.start_of(n), at);
            assert!(record.end.gt(at), "an empty record");
            assert!(record.segments > 0);
            for flag in [SACKED, LOST, REPEATED] {
                if record.is(flag) {
                    let sum = sums.entry(flag).or_default();
                    sum.octets += record.end.since(at);
                    sum.segments += u32::from(record.segments);
                }
            }
            assert!(
                !(record.is(SACKED) && record.is(LOST | REPEATED)),
                "{record:?}"
            );
            at = record.end;
        }
        assert_eq!(at, self.nxt, "octets went out of sight");
        let sum = |flag| sums.get(&flag).copied().unwrap_or_default();
        let flight = &self.flight;
        let octets = [flight.sacked, flight.lost, flight.repeated].map(|tally| tally.octets);
        assert_eq!(
            octets,
            [SACKED, LOST, REPEATED].map(|flag| sum(flag).octets)
        );
        assert!(records.len() <= limit, "{} records", records.len());
        assert!(flight.left() <= self.nxt.since(self.una));
    }

    fn at(&self) -> At {
        At {
            now: Instant::from_micros(self.us),
            min_rtt: 0,
            echo_age: None,
        }
    }

    fn run(&mut self, step: &Step) {
        self.us += 1000;
        let now = Instant::from_micros(self.us);
        let out = self.nxt.since(self.una);
        let mut heard = Heard::default();
        match *step {
            Step::Send(n, short) => {
                self.flight.begin(64, 0);
                let len = u32::from(n) * MSS - if short { 30 } else { 0 };
                let end = self.nxt + len;
                self.flight
                    .sent(now, (self.nxt, end), (MSS as u16, n.into()), out);
                self.nxt = end;
            }
            Step::Ack(part, edge) => {
                let mut len = out * u32::from(part) / 100;
                if edge {
                    len -= len % MSS;
                }
                let at = self.at();
                self.flight.acknowledged(&at, self.una + len, &mut heard);
                self.una += len;
            }
            Step::Report(part, len) => {
                let lo = self.una + 1 + out * u32::from(part) / 100;
                let hi = (lo + u32::from(len)).min(self.nxt);
                let (at, fack) = (self.at(), self.flight.fack);
                if lo.lt(hi) {
                    self.flight.report(&at, lo, hi, fack, &mut heard);
                }
            }
            Step::Lose(n) => {
                let n = usize::from(n);
                if self
                    .flight
                    .records
                    .get(n)
                    .is_some_and(|record| record.is_out())
                {
                    self.flight.lose(now, n);
                }
            }
            Step::Again(segments) => {
                for _ in 0..segments {
                    let Some((from, to)) = self.flight.next_due() else {
                        break;
                    };
                    assert!(from.ge(self.una) && to.le(self.nxt) && from.lt(to));
                    assert_eq!(self.flight.unreported(from, to), to.since(from));
                    let end = to.min(from + MSS);
                    self.flight.sent_again(now, (from, end), out);
                    let next = self.flight.next_due();
                    assert!(next.is_none_or(|(next, _)| next.gt(from)), "the same again");
                }
            }
            Step::Unlose => self.flight.unlose(),
            Step::Forget => {
                self.delivered -= u64::from(self.flight.sacked.octets);
                self.flight.forget_reports();
            }
        }
        self.delivered += u64::from(heard.delivered.octets);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None,
        ..ProptestConfig::default() })]

    #[test]
    fn no_octet_goes_out_of_sight(steps in proptest::collection::vec(step(), 1..150)) {
        let mut world = World {
            flight: Lazy::default(),
            una: START,
            nxt: START,
            us: u64::from(u32::MAX) - 20_000,
            delivered: 0,
        };
        for step in &steps {
            world.run(step);
            world.check(64);
            // Each octet arrives once: those acknowledged, and those reported.
            let known = world.una.since(START) + world.flight.sacked.octets;
            prop_assert_eq!(world.delivered, u64::from(known));
        }
        // All of it acknowledged: nothing is left, and the memory goes.
        let all = Step::Ack(100, false);
        world.run(&all);
        world.check(0);
        world.flight.trim();
        #[cfg(feature = "alloc")]
        prop_assert_eq!(world.flight.memory(), 0);
    }
}

/// R14: a peer that reports every other segment of a large window, octet by octet and over and
/// over, takes a bounded number of records, and what it reports last is only not believed.
#[test]
fn hostile_reports_are_bounded() {
    let config = Config {
        timestamps: false,
        send_records: 128,
        ..Config::default()
    };
    let mut h = Harness::accepted(config, 1000);
    h.tcb.options.congestion = None;
    h.tx.written = 2_000_000;
    h.play("gso 60000\n< . 1:1 ack 1 win 32768");
    let mut ack = 1;
    // Slow start to some hundred segments.
    for _ in 0..6 {
        ack += h.tcb.in_flight();
        h.play(&std::format!("+100ms\n< . 1:1 ack {ack} win 32768"));
    }
    let out = h.tcb.in_flight() / 1000;
    assert!(out > 400, "{out}");
    let reports: Vec<_> = (0..out / 2)
        .map(|n| {
            let at = ack + 1000 + n * 2000;
            std::format!("<< . 1:1 ack {ack} win 32768 <sack {at}:{}>\n", at + 1000)
        })
        .collect();
    h.play(&reports.concat());
    let most = if cfg!(feature = "alloc") { 128 } else { 16 };
    assert!(h.tcb.flight.records.len() <= most);
    assert!(h.tcb.flight.sacked.segments > 0);
    // What is acknowledged goes, and all goes on.
    h.play("<< . 1:1 ack 1 win 32768");
    let all = h.tcb.snd_nxt.since(super::harness::ISS);
    h.play(&std::format!("+100ms\n< . 1:1 ack {all} win 32768\n+1s"));
    assert!(h.tcb.flight.sacked.octets == 0);
}
