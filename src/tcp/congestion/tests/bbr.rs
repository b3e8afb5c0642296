//! BBR over a link: the cases of draft-ietf-ccwg-bbr-06, appendix A, and what its goals promise.

use super::link::{MSS, Path, Sim};
use super::snapshot;
use crate::tcp::congestion::*;
use phy::Instant;

fn sim(path: Path) -> Sim<Bbr> {
    let mut sim = Sim::<Bbr>::new(path);
    sim.describe = Bbr::state;
    sim
}

/// The bandwidth BBR takes the link for, in hundredths of what it is.
fn estimate(sim: &Sim<Bbr>) -> u64 {
    sim.cc.bandwidth() * 100 / sim.path.rate()
}

/// Milliseconds of the first row in `state` after `from_ms`.
fn first(sim: &Sim<Bbr>, state: &str, from_ms: u64) -> Option<u64> {
    let mut rows = sim.since(from_ms);
    rows.find(|row| row.note == state).map(|row| row.at_ms)
}

/// A.1, A.3, A.5, A.8, A.10: every state in its turn; no loss, a short queue, all of the
/// bandwidth.
#[test]
fn converges_on_the_bandwidth_with_a_short_queue() {
    let mut sim = sim(Path::new(10, 50, 200));
    sim.run(8000, 100);
    snapshot!("bbr", sim.table(2));
    assert!((98..=102).contains(&estimate(&sim)), "{}", estimate(&sim));
    assert_eq!(sim.dropped(0), 0);
    assert!(sim.mean_queue(800) < sim.path.bdp() / 6);
    assert!(sim.utilization(800) >= 96, "{}", sim.utilization(800));
}

/// From 1 Mbit/s to 1 Gbit/s, from a millisecond to a satellite's half second.
#[test]
fn converges_on_paths_of_all_sizes() {
    for (mbits, rtt_ms, buffer, seconds) in [
        (1, 500, 100, 15),
        (1, 20, 20, 6),
        (100, 1, 50, 6),
        (50, 300, 3000, 15),
        (1000, 2, 400, 3),
    ] {
        let mut sim = sim(Path::new(mbits, rtt_ms, buffer));
        sim.run(seconds * 1000, 100);
        let from = seconds * 1000 / 3;
        let found = estimate(&sim);
        let name = (mbits, rtt_ms, found, sim.utilization(from));
        assert!((95..=105).contains(&found), "{name:?}\n{}", sim.table(8));
        assert!(sim.utilization(from) >= 88, "{name:?}\n{}", sim.table(8));
    }
}

/// The bandwidth halves with a queue deep enough for no loss to tell: once two cycles have gone
/// by, the model has it and the queue that grew is gone.
#[test]
fn follows_the_bandwidth_down() {
    let mut sim = sim(Path::new(20, 50, 200));
    sim.run(4000, 200);
    sim.path.mbits = 10;
    sim.run(10_000, 200);
    snapshot!("bbr_half", sim.table(4));
    assert!((95..=105).contains(&estimate(&sim)), "{}", estimate(&sim));
    assert!(sim.mean_queue(13_000) < sim.path.bdp() / 4);
    assert!(sim.utilization(5000) >= 96);
}

/// The same with a queue that overflows: the bounds follow what is delivered, and within ten
/// round trips nothing is lost any more.
#[test]
fn follows_the_bandwidth_down_by_losses() {
    let mut sim = sim(Path::new(20, 50, 60));
    sim.run(2000, 100);
    sim.path.mbits = 10;
    sim.run(800, 100);
    snapshot!("bbr_half_lossy", sim.table(2));
    assert_eq!(sim.dropped(2500), 0, "{}", sim.table(2));
    assert!(sim.utilization(2000) >= 98, "{}", sim.table(2));
}

/// A.10: a path that got longer. The least round-trip time is not seen for 5 s; ProbeRTT looks
/// for it with half of the flight, and finds the new one.
#[test]
fn a_longer_path_is_found_by_probe_rtt() {
    let mut sim = sim(Path::new(10, 50, 200));
    sim.run(3000, 100);
    sim.path.rtt_ms = 80;
    sim.run(14_000, 100);
    let probe = first(&sim, "ProbeRTT", 3000);
    let probe = probe.unwrap_or_else(|| panic!("{}", sim.table(2)));
    assert!((7500..=8500).contains(&probe), "{}", sim.table(2));
    let least = sim.since(probe).take(3).map(|row| row.window).min();
    assert!(least < Some(sim.path.bdp() as u32), "{}", sim.table(2));
    // Some 200 ms and a round trip later it goes on.
    let after = first(&sim, "ProbeBW_CRUISE", probe).unwrap_or(0);
    assert!((300..=400).contains(&(after - probe)), "{}", sim.table(2));
    // From then on the window is that of the longer path.
    let window = u64::from(sim.cc.window() / u32::from(MSS));
    assert!(window >= 2 * sim.path.bdp(), "{}", sim.table(2));
    assert!(sim.utilization(13_000) >= 95);
}

/// A.15: ten times the bandwidth is found within a few probes.
#[test]
fn follows_the_bandwidth_up() {
    let mut sim = sim(Path::new(5, 50, 500));
    sim.run(4000, 100);
    sim.path.mbits = 50;
    sim.run(12_000, 100);
    assert!(estimate(&sim) >= 90, "{}", sim.table(8));
}

/// One packet of a hundred lost at random is no sign of a full pipe.
#[test]
fn random_loss_costs_little() {
    for loss in [1, 10] {
        let mut sim = sim(Path {
            loss,
            ..Path::new(100, 100, 1000)
        });
        sim.run(15_000, 100);
        if loss == 10 {
            snapshot!("bbr_loss", sim.table(32));
        }
        assert!(
            sim.utilization(2000) >= 96,
            "{} {}",
            sim.utilization(2000),
            sim.table(32)
        );
        // CUBIC is lost there.
        let mut other = Sim::<Cubic>::new(sim.path);
        other.run(15_000, 100);
        assert!(other.utilization(3000) < 60);
    }
}

/// A shallow queue: Startup ends by its losses, and probes do not overflow it for long.
#[test]
fn a_shallow_queue_bounds_the_flight() {
    let mut sim = sim(Path::new(50, 40, 20));
    sim.run(10_000, 100);
    snapshot!("bbr_shallow", sim.table(8));
    assert!(sim.utilization(2000) >= 94, "{}", sim.utilization(2000));
    let delivered: u64 = sim.since(2000).map(|r| r.delivered).sum();
    assert!(sim.dropped(2000) * 50 < delivered, "{}", sim.dropped(2000));
}

/// A.14: a path that holds less than a packet still has four in flight, at its rate.
#[test]
fn four_segments_are_the_least() {
    let mut sim = sim(Path::new(1, 1, 30));
    sim.run(8000, 100);
    assert!(sim.rows.iter().all(|row| row.window >= 4));
    assert!((95..=105).contains(&estimate(&sim)), "{}", sim.table(1));
    assert!(sim.utilization(1000) >= 95);
}

/// A.12, A.13: acknowledgments in bunches of 16 neither inflate the bandwidth nor stall it.
#[test]
fn bunched_acknowledgments_are_allowed_for() {
    let mut sim = sim(Path {
        stretch: 16,
        ..Path::new(20, 20, 200)
    });
    sim.run(8000, 100);
    assert!((90..=110).contains(&estimate(&sim)), "{}", sim.table(2));
    assert!(sim.utilization(1000) >= 85, "{}", sim.table(2));
}

/// A.7: an application that sends little leaves Startup undecided, however long.
#[test]
fn the_application_s_rate_is_not_the_path_s() {
    let mut sim = sim(Path::new(20, 40, 100));
    sim.budget = 0;
    for _ in 0..40 {
        sim.budget = 5;
        sim.run(100, 100);
    }
    assert_eq!(sim.cc.state(), "Startup");
    assert_eq!(sim.dropped(0), 0);
    sim.budget = u64::MAX;
    sim.run(4000, 100);
    assert!((95..=105).contains(&estimate(&sim)), "{}", sim.table(2));
}

/// A.11: silence is as good as ProbeRTT.
#[test]
fn idleness_spares_probe_rtt() {
    let mut sim = sim(Path::new(10, 50, 200));
    sim.run(3000, 100);
    sim.budget = 0;
    sim.run(4000, 100);
    assert_eq!(sim.in_flight(), 0);
    sim.budget = u64::MAX;
    sim.run(3000, 100);
    assert_eq!(first(&sim, "ProbeRTT", 0), None, "{}", sim.table(2));
    assert!(sim.utilization(7100) >= 90);
}

/// Everything is lost for a while: one segment, then back to the model within a second.
#[test]
fn back_after_a_timeout() {
    let mut sim = sim(Path::new(20, 50, 200));
    sim.run(2000, 100);
    sim.path.loss = 1000;
    sim.run(500, 100);
    sim.path.loss = 0;
    sim.run(2500, 100);
    assert!(sim.timeouts >= 1);
    assert!(sim.utilization(4000) >= 90, "{}", sim.table(4));
}

/// What recovery took is given back at its end, within the model (draft §5.6.4.4).
#[test]
fn recovery_gives_the_window_back() {
    let mut sim = sim(Path::new(10, 50, 200));
    sim.run(2000, 100);
    let window = sim.cc.window();
    let now = Instant::from_millis(2001);
    sim.cc.on_loss(now, Loss::Timeout, window);
    sim.cc.on_loss(now, Loss::Repeated, window);
    assert_eq!(sim.cc.window(), u32::from(MSS));
    sim.cc.on_recovered(now);
    assert_eq!(sim.cc.window(), window);
}

/// Losses that were none leave the state and bounds as they were (draft §5.5.11.2).
#[test]
fn undo_restores_startup() {
    let mut sim = sim(Path::new(50, 100, 1000));
    sim.run(400, 100);
    assert_eq!(sim.cc.state(), "Startup");
    let window = sim.cc.window();
    let mut cc = sim.cc.clone();
    let now = Instant::from_millis(401);
    cc.on_loss(now, Loss::Timeout, window);
    assert_eq!(cc.window(), u32::from(MSS));
    cc.on_undo();
    assert_eq!((cc.window(), cc.state()), (window, "Startup"));
    // A loss of which no more is known ends Startup, and its undo resumes it.
    cc.on_loss(now, Loss::Detected, window);
    assert_eq!(cc.state(), "Drain");
    cc.on_undo();
    assert_eq!((cc.window(), cc.state()), (window, "Startup"));
}

/// A sender without stamps: one sample a round trip of BBR's own.
#[test]
fn works_without_samples() {
    let mut sim = sim(Path::new(10, 50, 100));
    sim.stamps = false;
    sim.run(10_000, 100);
    assert!((90..=110).contains(&estimate(&sim)), "{}", sim.table(2));
    assert!(sim.utilization(1000) >= 85, "{}", sim.table(2));
    assert!(sim.mean_queue(1000) < 50, "{}", sim.table(2));
}
