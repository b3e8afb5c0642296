//! When slow start ends without a loss: HyStart (Ha and Rhee, "Taming the elephants", 2011, as
//! RFC 9406 §3 recalls it) with the numbers Linux uses.
//!
//! Invariant: called only in slow start, for every acknowledgment outside fast recovery.

use super::Ack;
use core::fmt::Debug;

/// Samples of a round that are enough.
const SAMPLES: u8 = 8;
/// Segments below which the window is too small to judge by.
const LEAST: u32 = 16;
/// Acknowledgments closer than this belong to one train, microseconds.
const TRAIN_GAP: u32 = 2_000;

/// What a rule for slow start is told beside the acknowledgment.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// A round trip begins with this acknowledgment.
    pub begins: bool,
    /// The window, octets.
    pub window: u32,
    /// A full segment, octets.
    pub mss: u16,
    /// The least round-trip time so far, microseconds; 0 before the first sample.
    pub min_rtt: u32,
}

/// A rule by which slow start ends, or is slowed.
pub trait SlowStart: Debug + Clone + Default {
    /// Segments of window below which it lets the window grow by what is acknowledged: a connection
    /// that does not even fill that much needs no rule.
    const LEAST: u32 = 0;
    /// Octets the window may grow by for `ack`; `None` ends slow start, with the window as the
    /// threshold.
    fn on_ack(&mut self, ack: &Ack, flow: Flow) -> Option<u32>;
    /// Slow start begins anew, after a timeout.
    fn restart(&mut self) {
        *self = Self::default();
    }
}

/// Slow start until the threshold or a loss (RFC 5681 §3.1).
#[derive(Debug, Clone, Default)]
pub struct Standard;

impl SlowStart for Standard {
    const LEAST: u32 = u32::MAX;

    fn on_ack(&mut self, ack: &Ack, _: Flow) -> Option<u32> {
        Some(ack.acked)
    }
}

/// Ends slow start when round-trip times rise by an eighth, or when the acknowledgments of one
/// round come back to back for half of the least round-trip time.
#[derive(Debug, Clone, Default)]
pub struct HyStart {
    /// When the round began and the train's last acknowledgment came: microseconds, wrapping.
    began: u32,
    last: u32,
    /// Least round-trip time of the round, microseconds.
    least: u32,
    samples: u8,
}

/// How much the round-trip time must rise: an eighth of it, 4 to 16 ms (RFC 9406 §4.3).
pub(super) fn rise(min_rtt: u32) -> u32 {
    (min_rtt / 8).clamp(4_000, 16_000)
}

/// A sample in microseconds, at least one.
pub(super) fn sample(ack: &Ack) -> Option<u32> {
    let us = ack.rtt?.as_micros();
    Some(u32::try_from(us).unwrap_or(u32::MAX).max(1))
}

impl HyStart {
    /// The acknowledgments of a round come in one train that is as long as the path: it is full.
    fn train(&mut self, now: u32, ack: &Ack, min_rtt: u32) -> bool {
        if now.wrapping_sub(self.last) > TRAIN_GAP {
            return false;
        }
        self.last = now;
        // Paced segments are spread over half a round trip by the sender itself.
        let long = if ack.paced { min_rtt } else { min_rtt / 2 };
        now.wrapping_sub(self.began) > long
    }

    /// Queues grow: the round's least time is above the connection's.
    fn delay(&mut self, rtt: u32, min_rtt: u32) -> bool {
        self.least = self.least.min(rtt);
        if self.samples < SAMPLES {
            self.samples = self.samples.saturating_add(1);
            return false;
        }
        self.least > min_rtt.saturating_add(rise(min_rtt))
    }
}

impl SlowStart for HyStart {
    const LEAST: u32 = LEAST;

    fn on_ack(&mut self, ack: &Ack, flow: Flow) -> Option<u32> {
        let now = ack.now.micros() as u32;
        if flow.begins {
            self.began = now;
            self.last = now;
            self.least = u32::MAX;
            self.samples = 0;
        }
        let large = flow.window >= LEAST.saturating_mul(u32::from(flow.mss));
        let Some(rtt) = sample(ack).filter(|_| large) else {
            return Some(ack.acked);
        };
        let ended = self.train(now, ack, flow.min_rtt) | self.delay(rtt, flow.min_rtt);
        (!ended).then_some(ack.acked)
    }
}
