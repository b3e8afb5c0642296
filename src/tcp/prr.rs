//! Proportional rate reduction (draft-ietf-tcpm-prr-rfc6937bis): how the window goes from what it
//! was to the threshold while losses are repaired, or a congestion mark is answered.
//!
//! Invariant: at the end about the threshold is in flight; on no acknowledgment is more sent
//! than it says was delivered, but for one segment while losses grow no more. Counts octets.
//! Called by `advance` and `send`; controllers that own recovery do without.

/// State of one reduction.
#[derive(Debug, Clone, Copy)]
pub struct Prr {
    /// Octets that arrived since (prr_delivered).
    delivered: u32,
    /// Octets sent since (prr_out).
    pub(super) out: u32,
    /// Octets in flight when it began (RecoverFS).
    flight: u32,
    /// The window meanwhile.
    pub(super) window: u32,
}

impl Prr {
    pub(super) const fn new() -> Self {
        Self {
            delivered: 0,
            out: 0,
            flight: 0,
            window: 0,
        }
    }

    /// A reduction begins, with `flight` octets in flight before anything was held to be lost.
    /// Until the first acknowledgment nothing may be sent beyond `pipe`.
    pub(super) fn begin(&mut self, flight: u32, pipe: u32) {
        *self = Self {
            flight,
            window: pipe,
            ..Self::new()
        };
    }

    /// Octets were sent.
    #[inline]
    pub(super) fn sent(&mut self, octets: u32) {
        self.out = self.out.saturating_add(octets);
    }

    /// `delivered` octets arrived, `pipe` are in flight now (§6.2). `safe` if the acknowledgment
    /// moved SND.UNA and told of no further loss.
    pub(super) fn on_ack(
        &mut self,
        delivered: u32,
        safe: bool,
        pipe: u32,
        threshold: u32,
        mss: u32,
    ) {
        if delivered == 0 && self.out > 0 {
            return;
        }
        self.delivered = self.delivered.saturating_add(delivered);
        let most = if pipe > threshold {
            let share = u64::from(self.delivered).saturating_mul(u64::from(threshold));
            let share = share.div_ceil(u64::from(self.flight.max(1)));
            u32::try_from(share)
                .unwrap_or(u32::MAX)
                .saturating_sub(self.out)
        } else {
            // The conservative bound; one segment beyond (the slow start bound) if it is safe.
            let bound = self.delivered.saturating_sub(self.out).max(delivered);
            let bound = bound.saturating_add(if safe { mss } else { 0 });
            bound.min(threshold.saturating_sub(pipe))
        };
        // The first retransmission leaves at once.
        let least = if self.out == 0 { mss } else { 0 };
        self.window = pipe.saturating_add(most.max(least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten segments, seven to remain: seven leave for the ten that arrive, in proportion.
    #[test]
    fn reduces_in_proportion() {
        let mut prr = Prr::new();
        prr.begin(10, 9);
        let (mut pipe, mut sent) = (9, 0);
        for _ in 0..9 {
            pipe -= 1;
            prr.on_ack(1, false, pipe, 7, 1);
            let out = prr.window - pipe;
            prr.sent(out);
            (pipe, sent) = (pipe + out, sent + out);
        }
        assert_eq!((pipe, sent), (7, 7));
    }

    /// Below the threshold: as much as was delivered, and one more when that is safe.
    #[test]
    fn grows_back_carefully() {
        let mut prr = Prr::new();
        prr.begin(10, 2);
        prr.on_ack(1, false, 2, 7, 1);
        assert_eq!(prr.window, 3);
        prr.sent(1);
        prr.on_ack(1, true, 2, 7, 1);
        assert_eq!(prr.window, 4);
        prr.sent(2);
        prr.on_ack(9, true, 2, 7, 1);
        assert_eq!(prr.window, 7);
        // Nothing new: no change, whatever there is room for.
        prr.on_ack(0, true, 5, 9, 1);
        assert_eq!(prr.window, 7);
    }
}
