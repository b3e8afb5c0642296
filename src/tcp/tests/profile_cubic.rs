//! The rows of the Linux-like profile about CUBIC on a path that is slower than its window: one of
//! 166 kbit/s, which delivers two packets of 1040 octets every 100 ms.

extern crate std;

use super::harness::Harness;
use crate::tcp::{Algorithm, Config, Congestion};
use std::vec::Vec;

fn accepted() -> Harness {
    let cfg = Config {
        timestamps: false,
        tail_probes: false,
        ..Config::default()
    };
    let mut h = Harness::accepted(cfg, 1000);
    let options = crate::tcp::Options {
        congestion: Some(Algorithm::Cubic),
        ..h.tcb.options()
    };
    h.tcb.set_options(&h.cfg, h.now, options);
    h
}

/// Every 100 ms two more segments are acknowledged, up to `to` segments; the windows that leaves.
fn slow_path(h: &mut Harness, from: u32, to: u32) -> Vec<u32> {
    let mut windows = Vec::new();
    for n in (from..to).step_by(2) {
        h.play(&std::format!("+100ms\n< . 1:1 ack {}001 win 1024", n + 2));
        windows.push(h.tcb.cc.window() / 1000);
    }
    windows
}

/// "HyStart: exit at cwnd 48 at 166 kbit/s"; "cubic, Reno-friendly: at most +1 per 2 ACKed packets".
///
/// Every round trip is 100 ms longer than the one before, from the first on. The first round that
/// counts begins with the window of 16; it has eight samples, and so many must the next one have,
/// the ninth of which ends slow start.
#[test]
fn profile_hystart_on_a_slow_path() {
    let mut h = accepted();
    h.play("write 400000");
    let windows = slow_path(&mut h, 0, 40);
    let slow_start = (12..=48).step_by(2).chain([48]);
    assert!(slow_start.eq(windows.iter().copied()), "{windows:?}");
    // First on the plateau, then on the curve.
    let windows = slow_path(&mut h, 40, 120);
    let at = |acked: usize| windows[(acked - 42) / 2];
    assert_eq!([60, 80, 100, 120].map(at), [49, 50, 52, 57]);
    let windows = slow_path(&mut h, 120, 360);
    let steps = windows.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(
        steps.max() == Some(1) && windows.last() >= Some(&176),
        "{windows:?}"
    );
}

/// "Cubic: idle time does not count as growth": four seconds in which nothing was sent change
/// nothing of where the curve goes on.
#[test]
fn profile_idle_time_is_no_growth() {
    let mut busy = accepted();
    busy.play("write 400000");
    slow_path(&mut busy, 0, 40);
    let wanted = slow_path(&mut busy, 40, 120);
    for idle in ["", "+4s", "+100s"] {
        let mut h = accepted();
        h.play("write 40000");
        assert_eq!(slow_path(&mut h, 0, 40).last(), Some(&48));
        h.play(&std::format!("{idle}\nwrite 160000"));
        assert_eq!(slow_path(&mut h, 40, 120), wanted, "{idle}");
    }
}
