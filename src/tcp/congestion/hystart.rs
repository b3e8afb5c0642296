//! When slow start ends without a loss: HyStart (Ha and Rhee, "Taming the elephants", 2011, as
//! RFC 9406 §3 recalls it) with the numbers Linux uses.
//!
//! Invariant: called only in slow start, for every acknowledgment outside fast recovery.

use super::Ack;
use core::fmt::Debug;

/// The numbers of [`HyStart`], and those of them that [`HyStartPlus`](super::HyStartPlus) has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HyStartConfig {
    /// Segments below which the window is too small to judge by.
    pub low_window: u8,
    /// Samples of a round that are enough (N_RTT_SAMPLE).
    pub samples: u8,
    /// By which part of the least round-trip time that of a round must rise
    /// (MIN_RTT_DIVISOR), 1 at least.
    pub divisor: u8,
    /// The least rise that counts (MIN_RTT_THRESH), microseconds.
    pub rise_min: u16,
    /// The rise that always counts (MAX_RTT_THRESH), microseconds.
    pub rise_max: u16,
    /// Acknowledgments closer than this belong to one train, microseconds.
    pub train_gap: u16,
}

impl HyStartConfig {
    /// As in Linux and RFC 9406 §4.3.
    pub const fn new() -> Self {
        Self {
            low_window: 16,
            samples: 8,
            divisor: 8,
            rise_min: 4_000,
            rise_max: 16_000,
            train_gap: 2_000,
        }
    }

    /// How much the round-trip time must rise, microseconds.
    pub(super) fn rise(&self, min_rtt: u32) -> u32 {
        let part = min_rtt / u32::from(self.divisor.max(1));
        part.max(self.rise_min.into()).min(self.rise_max.into())
    }
}

impl Default for HyStartConfig {
    fn default() -> Self {
        Self::new()
    }
}

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
    fn least(_: &Ack) -> u32 {
        0
    }
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
    fn least(_: &Ack) -> u32 {
        u32::MAX
    }

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

/// A sample in microseconds, at least one.
pub(super) fn sample(ack: &Ack) -> Option<u32> {
    let us = ack.rtt?.as_micros();
    Some(u32::try_from(us).unwrap_or(u32::MAX).max(1))
}

impl HyStart {
    /// The acknowledgments of a round come in one train that is as long as the path: it is full.
    fn train(&mut self, now: u32, ack: &Ack, min_rtt: u32) -> bool {
        if now.wrapping_sub(self.last) > u32::from(ack.hystart.train_gap) {
            return false;
        }
        self.last = now;
        // Paced segments are spread over half a round trip by the sender itself.
        let long = if ack.paced { min_rtt } else { min_rtt / 2 };
        now.wrapping_sub(self.began) > long
    }

    /// Queues grow: the round's least time is above the connection's.
    fn delay(&mut self, rtt: u32, min_rtt: u32, config: &HyStartConfig) -> bool {
        self.least = self.least.min(rtt);
        if self.samples < config.samples {
            self.samples = self.samples.saturating_add(1);
            return false;
        }
        self.least > min_rtt.saturating_add(config.rise(min_rtt))
    }
}

impl SlowStart for HyStart {
    fn least(ack: &Ack) -> u32 {
        ack.hystart.low_window.into()
    }

    fn on_ack(&mut self, ack: &Ack, flow: Flow) -> Option<u32> {
        let now = ack.now.micros() as u32;
        if flow.begins {
            self.began = now;
            self.last = now;
            self.least = u32::MAX;
            self.samples = 0;
        }
        let large = flow.window >= Self::least(ack).saturating_mul(u32::from(flow.mss));
        let Some(rtt) = sample(ack).filter(|_| large) else {
            return Some(ack.acked);
        };
        let ended =
            self.train(now, ack, flow.min_rtt) | self.delay(rtt, flow.min_rtt, &ack.hystart);
        (!ended).then_some(ack.acked)
    }
}
