//! How slow start ends: by loss, by HyStart, by HyStart++.

use super::link::{MSS, Path, Sim};
use super::snapshot;
use crate::tcp::congestion::*;
use core::time::Duration;
use phy::Instant;

/// 10 Mbit/s, 100 ms: 100 packets.
fn path(buffer: u64) -> Path {
    Path::new(10, 100, buffer)
}

fn threshold(cc: &impl Congestion) -> u32 {
    cc.threshold().unwrap_or(0) / u32::from(MSS)
}

#[test]
fn standard_slow_start_overflows_the_queue() {
    let mut sim = Sim::<Cubic<Standard>>::new(path(100));
    sim.run(1500, 100);
    assert!(sim.dropped(0) > 100, "{}", sim.table(4));
}

/// The train of acknowledgments is longer than half a round trip when the window is a good half
/// of what the path holds: that shows in the next round.
#[test]
fn hystart_leaves_before_the_queue_overflows() {
    let mut sim = Sim::<Cubic>::new(path(100));
    sim.run(1500, 100);
    snapshot!("hystart", sim.table(4));
    assert_eq!(sim.dropped(0), 0);
    assert!((100..=200).contains(&threshold(&sim.cc)));
}

/// Its numbers are the stack's: from how large a window on, after how many samples, and how much
/// later acknowledgments must come. By default the ninth sample of a round ends slow start, if none of
/// the round was less than an eighth late; rounds begin at 16 segments, so that
/// the next one does at 26, and ends at 35.
#[test]
fn hystart_judges_by_its_numbers() {
    let ended_at = |hystart: HyStartConfig, late_ms: u64| {
        let mut cc = Cubic::<HyStart>::new(Instant::ZERO, 1000);
        for round in 1..=5_u64 {
            let before = cc.window();
            let late = if round > 1 { late_ms } else { 0 };
            for i in 0..u64::from(before) / 1000 {
                cc.on_ack(&Ack {
                    // So far apart that they are no train.
                    now: Instant::from_millis(round * 1000 + i * 5),
                    acked: 1000,
                    delivered: 1000,
                    in_flight: before,
                    pipe: before,
                    rtt: Some(Duration::from_millis(100 + late)),
                    hystart,
                    ..Ack::default()
                });
                if cc.threshold() == Some(cc.window()) {
                    return Some((round, cc.window() / 1000));
                }
            }
        }
        None
    };
    let usual = HyStartConfig::default();
    let with = |change: fn(&mut HyStartConfig)| {
        let mut config = usual;
        change(&mut config);
        config
    };
    assert_eq!(ended_at(usual, 12), None);
    assert_eq!(ended_at(usual, 13), Some((2, 35)));
    assert_eq!(ended_at(with(|c| c.samples = 3), 13), Some((2, 30)));
    assert_eq!(ended_at(with(|c| c.divisor = 16), 7), Some((2, 35)));
    assert_eq!(ended_at(with(|c| c.rise_min = 20_000), 16), None);
    assert_eq!(ended_at(with(|c| c.rise_max = 5_000), 6), Some((2, 35)));
    let late = ended_at(with(|c| c.low_window = 60), 13);
    assert!(late.is_some_and(|(_, window)| window >= 60), "{late:?}");
    assert_eq!(ended_at(with(|c| c.divisor = 0), 15), None);
}

/// HyStart++ slows down when the round-trip time rises, and leaves five rounds later: it needs a
/// deeper queue, and still spares most of the losses.
#[test]
fn hystart_plus_slows_down_before_it_leaves() {
    let mut sim = Sim::<Cubic<HyStartPlus>>::new(path(500));
    sim.run(3000, 100);
    snapshot!("hystart_plus", sim.table(8));
    let mut other = Sim::<Cubic<Standard>>::new(path(500));
    other.run(3000, 100);
    assert!(sim.dropped(0) < other.dropped(0) / 4, "{}", other.table(8));
}

/// A rise that goes away was no queue: conservative slow start ends, and slow start goes on.
#[test]
fn hystart_plus_resumes_after_a_moments_delay() {
    let mut cc = Cubic::<HyStartPlus>::new(Instant::ZERO, 1000);
    let mut round = |rtt_ms: u64, from_ms: u64| {
        let before = cc.window();
        for i in 0..u64::from(before) / 1000 {
            cc.on_ack(&Ack {
                now: Instant::from_millis(from_ms + i / 10),
                acked: 1000,
                delivered: 1000,
                in_flight: before,
                pipe: before,
                rtt: Some(Duration::from_millis(rtt_ms)),
                ..Ack::default()
            });
        }
        (cc.window() - before) * 100 / before
    };
    let growth = [
        round(100, 100),
        round(100, 200),
        round(130, 300),
        round(130, 430),
        round(100, 560),
        round(100, 660),
        round(140, 760),
    ];
    // Doubling; eight samples, then a quarter; a quarter; and doubling again.
    assert_eq!(growth, [100, 100, 41, 24, 98, 99, 28]);
    for i in 0..4 {
        assert!((24..=25).contains(&round(140, 900 + i * 140)));
    }
    assert!(round(140, 1460) <= 6);
}

/// Paced, the segments of a round are spread by the sender, and a train of acknowledgments as
/// long as half a round trip says nothing: slow start fills the path, and leaves by delay.
#[test]
fn hystart_allows_for_pacing() {
    let mut sim = Sim::<Cubic>::new(path(300));
    sim.pace = Some(200);
    sim.run(3000, 100);
    assert_eq!(sim.dropped(0), 0, "{}", sim.table(4));
    assert!(threshold(&sim.cc) > 150, "{}", sim.table(4));
}

/// Below 16 segments nothing is judged, though the queue builds up.
#[test]
fn hystart_ignores_small_windows() {
    let mut sim = Sim::<Cubic>::new(Path::new(1, 20, 60));
    sim.run(1000, 100);
    assert!((16..=32).contains(&threshold(&sim.cc)), "{}", sim.table(1));
}
