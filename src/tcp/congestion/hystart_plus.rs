//! HyStart++ (RFC 9406): slow start that first slows down, and leaves only if queues persist.
//!
//! Invariant: as of [`super::hystart`].

use super::Ack;
use super::hystart::{Flow, HyStartConfig, SlowStart, sample};

/// CSS_GROWTH_DIVISOR.
const DIVISOR: u32 = 4;
/// CSS_ROUNDS.
const ROUNDS: u8 = 5;
/// L where segments are not paced.
const LIMIT: u32 = 8;

/// Conservative slow start after a rise of the round-trip time (RFC 9406 §4.2).
#[derive(Debug, Clone)]
pub struct HyStartPlus {
    /// lastRoundMinRTT, currentRoundMinRTT, microseconds; `u32::MAX` is infinity.
    last: u32,
    current: u32,
    /// cssBaselineMinRtt, microseconds.
    baseline: u32,
    /// rttSampleCount.
    samples: u8,
    /// Rounds of conservative slow start that remain; 0 in standard slow start.
    conservative: u8,
    /// Only the initial slow start is meant (RFC 9406 §4.3).
    initial: bool,
}

impl Default for HyStartPlus {
    fn default() -> Self {
        Self {
            last: u32::MAX,
            current: u32::MAX,
            baseline: u32::MAX,
            samples: 0,
            conservative: 0,
            initial: true,
        }
    }
}

impl HyStartPlus {
    /// A round ended: false if that was the last of conservative slow start.
    fn turn(&mut self) -> bool {
        self.last = self.current;
        self.current = u32::MAX;
        self.samples = 0;
        if self.conservative == 1 {
            return false;
        }
        self.conservative = self.conservative.saturating_sub(1);
        true
    }

    fn judge(&mut self, rtt: u32, config: &HyStartConfig) {
        self.current = self.current.min(rtt);
        self.samples = self.samples.saturating_add(1);
        if self.samples < config.samples {
            return;
        }
        if self.conservative > 0 {
            if self.current < self.baseline {
                // The rise was no queue: slow start resumes.
                self.baseline = u32::MAX;
                self.conservative = 0;
            }
        } else if self.last != u32::MAX
            && self.current >= self.last.saturating_add(config.rise(self.last))
        {
            self.baseline = self.current;
            self.conservative = ROUNDS;
        }
    }
}

impl SlowStart for HyStartPlus {
    fn on_ack(&mut self, ack: &Ack, flow: Flow) -> Option<u32> {
        if !self.initial {
            return Some(ack.acked);
        }
        if flow.begins && !self.turn() {
            return None;
        }
        if let Some(rtt) = sample(ack) {
            self.judge(rtt, &ack.hystart);
        }
        let limit = LIMIT.saturating_mul(u32::from(flow.mss));
        let octets = if ack.paced {
            ack.acked
        } else {
            ack.acked.min(limit)
        };
        Some(if self.conservative > 0 {
            octets / DIVISOR
        } else {
            octets
        })
    }

    fn restart(&mut self) {
        self.initial = false;
    }
}
