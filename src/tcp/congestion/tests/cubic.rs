//! CUBIC against RFC 9438: each rule alone, the curve, and runs over a link.

use super::link::{Path, Sim};
use super::snapshot;
use crate::tcp::Config;
use crate::tcp::congestion::*;
use core::time::Duration;
use phy::Instant;

/// A sender whose window is always full, acknowledged segment by segment at the end of each
/// round trip.
struct Bulk<C> {
    cc: C,
    ms: u64,
    rtt_ms: u64,
}

impl<C: Congestion> Bulk<C> {
    fn new(rtt_ms: u64) -> Self {
        Self {
            cc: C::new(Instant::ZERO, 1000),
            ms: 1000,
            rtt_ms,
        }
    }

    fn segments(&self) -> u32 {
        self.cc.window() / 1000
    }

    fn now(&self) -> Instant {
        Instant::from_millis(self.ms)
    }

    fn ack(&mut self, segments: u32, app_limited: bool) {
        let window = self.cc.window();
        for _ in 0..segments {
            self.cc.on_ack(&Ack {
                now: self.now(),
                acked: 1000,
                delivered: 1000,
                in_flight: window,
                pipe: window,
                rtt: Some(Duration::from_millis(self.rtt_ms)),
                app_limited,
                ..Ack::default()
            });
        }
    }

    fn round(&mut self) {
        self.ms += self.rtt_ms;
        self.ack(self.segments(), false);
    }

    fn lose(&mut self, loss: Loss) {
        self.cc.on_loss(self.now(), loss, self.cc.window());
    }

    /// Grows to `segments` in slow start, then loses one.
    fn lose_at(&mut self, segments: u32) {
        while self.segments() < segments {
            self.ack(1, false);
        }
        self.lose(Loss::Detected);
    }
}

#[test]
fn slow_start_grows_only_a_used_window() {
    let after = |sent: u32| {
        let mut cubic = Cubic::<HyStart>::new(Instant::ZERO, 1000);
        for _ in 0..sent {
            cubic.on_ack(&Ack {
                acked: 1000,
                in_flight: sent * 1000,
                pipe: sent * 1000,
                app_limited: sent < 10,
                ..Ack::default()
            });
        }
        cubic.window() / 1000
    };
    assert_eq!([5, 6, 9, 10].map(after), [10, 12, 18, 20]);
}

/// RFC 9438 §4.6: 10 segments become 7, by a loss or a mark; never fewer than 2.
#[test]
fn losses_and_marks_leave_seven_tenths() {
    for loss in [Loss::Detected, Loss::Ecn] {
        let mut bulk = Bulk::<Cubic>::new(100);
        bulk.lose(loss);
        assert_eq!((bulk.cc.window(), bulk.cc.threshold()), (7000, Some(7000)));
        for _ in 0..9 {
            bulk.lose(loss);
        }
        assert_eq!((bulk.cc.window(), bulk.cc.threshold()), (2000, Some(2000)));
    }
}

/// The part that a loss leaves, and what follows from it, are numbers of the stack's: of 20 segments
/// 10 are left by one half, and the plateau of a flow that did not get as far as before is at three
/// quarters of where it got. No number leaves nothing, or all.
#[test]
fn what_losses_leave_is_configured() {
    let config = |cubic_beta| Config {
        cubic_beta,
        ..Config::default()
    };
    let mut bulk = Bulk::<Cubic>::new(100);
    bulk.cc.on_config(&config(50));
    bulk.cc.on_initial_window(20);
    bulk.lose(Loss::Detected);
    assert_eq!((bulk.segments(), bulk.cc.threshold()), (10, Some(10_000)));
    bulk.lose(Loss::Detected);
    assert_eq!((bulk.segments(), bulk.cc.threshold()), (5, Some(5000)));
    for (beta, left) in [(70, 70), (0, 2), (1, 2), (99, 99), (100, 99), (255, 99)] {
        let mut bulk = Bulk::<Cubic>::new(100);
        bulk.cc.on_initial_window(100);
        bulk.cc.on_config(&config(beta));
        bulk.lose(Loss::Detected);
        assert_eq!(bulk.segments(), left, "{beta} %");
    }
}

/// RFC 9438 §4.8: after a timeout slow start to the threshold, then one segment for twenty.
#[test]
fn timeout_begins_anew_and_then_grows_by_a_twentieth() {
    let mut bulk = Bulk::<Cubic>::new(100);
    bulk.lose(Loss::Timeout);
    assert_eq!((bulk.segments(), bulk.cc.threshold()), (1, Some(7000)));
    bulk.lose(Loss::Repeated);
    assert_eq!((bulk.segments(), bulk.cc.threshold()), (1, Some(7000)));
    bulk.ack(6, false);
    assert_eq!(bulk.segments(), 7);
    bulk.ack(19, false);
    assert_eq!(bulk.segments(), 7);
    bulk.ack(1, false);
    assert_eq!(bulk.segments(), 8);
}

/// The window through time against `max(W_cubic, W_est)` in floating point.
#[test]
fn the_window_follows_rfc_9438() {
    for (rtt_ms, w_max) in [(10, 40), (30, 120), (100, 100), (100, 2000), (300, 500)] {
        let mut bulk = Bulk::<Cubic<Standard>>::new(rtt_ms);
        bulk.lose_at(w_max);
        let rtt = rtt_ms as f64 / 1000.0;
        let first = f64::from(bulk.segments());
        let k = ((f64::from(w_max) - first) / 0.4).cbrt();
        let (mut estimate, mut time) = (first, 0.0);
        let mut expected = first;
        for _ in 0..(20.0 / rtt) as u32 {
            // A round trip of the RFC's equations: all of a window acknowledged.
            let alpha = if estimate < f64::from(w_max) {
                9.0 / 17.0
            } else {
                1.0
            };
            estimate += alpha;
            time += rtt;
            let cubic = 0.4 * (time - k).powi(3) + f64::from(w_max);
            expected = cubic.max(estimate).max(expected).min(expected * 1.5);
            bulk.round();
            let off = (f64::from(bulk.segments()) - expected).abs();
            // Growth comes in segments, is computed every 31 ms, and closes gaps in a round.
            let lag = 1.0 + (0.031 / rtt).ceil();
            let allowed = (expected * 0.03).max(1.0 + lag);
            assert!(
                off <= allowed,
                "{rtt_ms} ms, {w_max}, {time}: {off} of {expected}"
            );
        }
        assert!(bulk.segments() > w_max);
    }
}

/// RFC 9438 §4.7: a flow that lost below its last maximum aims lower, to leave room.
#[test]
fn fast_convergence_lowers_the_plateau() {
    let mut bulk = Bulk::<Cubic>::new(100);
    bulk.lose_at(1000);
    bulk.lose(Loss::Detected);
    // From 700 to 490; the plateau is 0.85 * 700, not 700, and 6.4 s away.
    assert_eq!(bulk.segments(), 490);
    let rounds = (10.0 * ((595.0_f64 - 490.0) / 0.4).cbrt()) as u32;
    for _ in 0..rounds {
        bulk.round();
    }
    assert!(
        (593..=596).contains(&bulk.segments()),
        "{}",
        bulk.segments()
    );
    for _ in 0..20 {
        bulk.round();
    }
    assert!(
        (595..=605).contains(&bulk.segments()),
        "{}",
        bulk.segments()
    );
}

/// At most a segment for two acknowledged, however far the curve is ahead (RFC 9438 §4.4).
#[test]
fn growth_is_at_most_half_of_what_is_acknowledged() {
    let mut bulk = Bulk::<Cubic>::new(10);
    bulk.lose_at(100);
    bulk.round();
    // The curve is thousands of segments ahead.
    bulk.ms += 60_000;
    let before = bulk.segments();
    bulk.ack(100, false);
    assert!(bulk.segments() - before <= 51);
    assert!(bulk.segments() - before >= 45);
}

/// RFC 9438 §4.2, §5.8: neither idle time nor time in which the application leaves the window
/// unused moves the window along the curve.
#[test]
fn idle_time_is_no_growth() {
    let mut busy = Bulk::<Cubic>::new(100);
    busy.lose_at(100);
    let mut idle = Bulk {
        cc: busy.cc.clone(),
        ..busy
    };
    let mut limited = Bulk {
        cc: busy.cc.clone(),
        ..busy
    };
    for bulk in [&mut busy, &mut idle, &mut limited] {
        for _ in 0..10 {
            bulk.round();
        }
    }
    // All arrived; a minute of silence; then the next flight is sent.
    idle.cc.on_ack(&Ack {
        now: idle.now(),
        acked: 0,
        pipe: 0,
        ..Ack::default()
    });
    idle.ms += 60_000;
    let window = idle.cc.window();
    for i in 1..=window / 1000 {
        idle.cc.on_sent(idle.now(), 1000, i * 1000);
    }
    // A minute of a segment a round trip.
    let before = limited.segments();
    for _ in 0..600 {
        limited.ms += 100;
        limited.ack(1, true);
    }
    assert_eq!(limited.segments(), before);
    for _ in 0..10 {
        for bulk in [&mut busy, &mut idle, &mut limited] {
            bulk.round();
        }
        assert_eq!(busy.segments(), idle.segments());
        assert!(busy.segments().abs_diff(limited.segments()) <= 1);
    }
}

/// RFC 9438 §4.9: what was no loss leaves the window on the curve where it was, before the
/// plateau and beyond it.
#[test]
fn undo_goes_on_with_the_curve() {
    for rounds in [20, 80] {
        let mut calm = Bulk::<Cubic>::new(100);
        calm.lose_at(100);
        for _ in 0..rounds {
            calm.round();
        }
        let mut undone = Bulk {
            cc: calm.cc.clone(),
            ..calm
        };
        let before = (undone.cc.window(), undone.cc.threshold());
        undone.lose(if rounds == 20 {
            Loss::Detected
        } else {
            Loss::Timeout
        });
        assert!(undone.segments() < calm.segments());
        undone.cc.on_undo();
        assert_eq!((undone.cc.window(), undone.cc.threshold()), before);
        for _ in 0..20 {
            calm.round();
            undone.round();
            let (a, b) = (calm.segments(), undone.segments());
            assert!(a.abs_diff(b) <= 2 + a / 50, "{rounds}: {a} {b}");
        }
        // Once only.
        undone.lose(Loss::Detected);
        let reduced = undone.cc.window();
        undone.cc.on_undo();
        undone.cc.on_undo();
        assert!(undone.cc.window() > reduced);
        undone.lose(Loss::Timeout);
        undone.lose(Loss::Repeated);
        undone.cc.on_undo();
        undone.lose(Loss::Repeated);
        undone.cc.on_undo();
        assert_eq!(undone.segments(), 1);
    }
}

#[test]
fn smaller_segments_keep_the_count_of_segments() {
    let mut bulk = Bulk::<Cubic>::new(100);
    bulk.lose_at(100);
    bulk.cc.on_mtu(500);
    assert_eq!(
        (bulk.cc.window(), bulk.cc.threshold()),
        (35_000, Some(35_000))
    );
    bulk.cc.on_mtu(0);
    assert!(bulk.cc.window() >= 1);
}

/// RFC 9438 §4.3: where Reno would get more, CUBIC gets about as much. A loss whenever 60
/// segments are reached at 10 ms.
#[test]
fn reno_friendly_where_the_curve_is_slow() {
    fn mean<C: Congestion>() -> u32 {
        let mut bulk = Bulk::<C>::new(10);
        bulk.lose_at(60);
        let (mut sum, rounds) = (0, 4000);
        for _ in 0..rounds {
            bulk.round();
            sum += bulk.segments();
            if bulk.segments() >= 60 {
                bulk.lose(Loss::Detected);
            }
        }
        sum / rounds
    }
    let (reno, cubic) = (mean::<Reno>(), mean::<Cubic>());
    assert!((40..=50).contains(&reno), "{reno}");
    assert!((45..=55).contains(&cubic), "{cubic}");
}

/// Slow start, a first plateau, and the sawtooth of RFC 9438 figure 2 over a link of 20 Mbit/s.
#[test]
fn a_sawtooth_over_a_link() {
    let mut sim = Sim::<Cubic>::new(Path::new(20, 50, 60));
    sim.run(12_000, 100);
    snapshot!("cubic_sawtooth", sim.table(4));
    assert!(sim.utilization(1000) >= 97, "{}", sim.utilization(1000));
    assert_eq!(sim.timeouts, 0);
}

/// A short timeout of the link: everything is lost, and slow start fills it again.
#[test]
fn back_after_a_timeout() {
    let mut sim = Sim::<Cubic>::new(Path::new(20, 50, 60));
    sim.run(1000, 100);
    sim.path.loss = 1000;
    sim.run(300, 100);
    sim.path.loss = 0;
    sim.run(2600, 100);
    snapshot!("cubic_timeout", sim.table(4));
    assert!(sim.timeouts >= 1);
    assert!(sim.utilization(2900) >= 95);
}

/// The curve counts whole segments, so that a small window is not stuck below its plateau until
/// the curve has risen by one, long after the window of Reno would be there; no faster than half
/// of what is acknowledged (RFC 9438 §4.4).
#[test]
fn small_windows_come_back_soon() {
    let mut bulk = Bulk::<Cubic>::new(2);
    for _ in 0..4 {
        bulk.lose(Loss::Detected);
    }
    assert_eq!(bulk.cc.window(), 2401);
    bulk.round();
    assert_eq!(bulk.segments(), 2);
    bulk.round();
    bulk.round();
    assert_eq!(bulk.segments(), 3);
    // On the plateau there is no hurry.
    for _ in 0..4 {
        bulk.round();
    }
    assert_eq!(bulk.segments(), 3);
}

/// A connection pays for it whether it sends or not.
#[test]
fn state_is_small() {
    // Without an allocator the curve is part of it.
    let most = if cfg!(feature = "alloc") { 24 } else { 144 };
    assert!(size_of::<Cubic>() <= most, "{}", size_of::<Cubic>());
    // And so are the stamps.
    let most = if cfg!(feature = "alloc") { 320 } else { 448 };
    assert!(size_of::<Bbr>() <= most, "{}", size_of::<Bbr>());
}
