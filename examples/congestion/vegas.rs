//! A congestion control that backs off when round trips grow, before anything is lost
//! (after L. Brakmo and L. Peterson, "TCP Vegas", 1995).

use std::time::Duration;

use netstrata::phy::Instant;
use netstrata::tcp::congestion::{Ack, Congestion, Loss};

/// Segments of ours that may wait in the path's queues: this many are too few, and too many.
const FEW: u32 = 2;
const MANY: u32 = 4;

/// The state for one connection: octets, and two times.
#[derive(Debug, Clone)]
pub struct Vegas {
    window: u32,
    mss: u32,
    /// The window still doubles, every other round trip.
    starting: bool,
    /// Octets to be acknowledged until the round trip is over.
    left: u32,
    /// The least round-trip time of all, and of this round trip.
    least: Duration,
    now: Duration,
}

impl Vegas {
    /// A round trip is over: how many segments waited somewhere in it?
    fn round(&mut self) {
        let (least, now) = (self.least.as_micros(), self.now.as_micros().max(1));
        let waiting = u128::from(self.window) * now.saturating_sub(least) / now;
        let waiting = waiting as u32 / self.mss;
        self.starting &= waiting < FEW;
        if self.starting {
            self.window = self.window.saturating_mul(2);
        } else if waiting < FEW {
            self.window = self.window.saturating_add(self.mss);
        } else if waiting > MANY {
            self.window = (self.window - self.mss).max(2 * self.mss);
        }
        self.now = Duration::MAX;
    }
}

impl Congestion for Vegas {
    fn new(_: Instant, mss: u16) -> Self {
        let mss = u32::from(mss);
        Self {
            window: 10 * mss,
            mss,
            starting: true,
            left: 10 * mss,
            least: Duration::MAX,
            now: Duration::MAX,
        }
    }

    fn name(&self) -> &'static str {
        "vegas"
    }

    fn window(&self) -> u32 {
        self.window
    }

    fn on_ack(&mut self, ack: &Ack) {
        if let Some(rtt) = ack.rtt {
            self.least = self.least.min(rtt);
            self.now = self.now.min(rtt);
        }
        self.left = self.left.saturating_sub(ack.acked);
        if self.left == 0 && self.now < Duration::MAX {
            self.left = self.window;
            if !ack.app_limited {
                self.round();
            }
        }
    }

    fn on_loss(&mut self, _: Instant, loss: Loss, _: u32) {
        self.starting = false;
        self.window = match loss {
            Loss::Detected | Loss::Ecn => self.window / 4 * 3,
            Loss::Timeout | Loss::Repeated => 0,
        };
        self.window = self.window.max(2 * self.mss);
    }

    fn on_mtu(&mut self, mss: u16) {
        self.mss = u32::from(mss.max(1));
        self.window = self.window.max(2 * self.mss);
    }
}
