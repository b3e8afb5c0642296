//! How much an application may write before what waits to be sent is enough
//! (`TCP_NOTSENT_LOWAT`).
//!
//! Invariant: the bound holds for octets that windows keep from being sent; what they let out
//! at once does not count. As in Linux a write is cut at whole trains of segments.

use super::congestion::Congestion;
use super::tcb::Tcb;
use crate::socket::SendBuf;

/// Octets of the longest train.
const TRAIN: u32 = 65_535;

impl<C: Congestion> Tcb<C> {
    /// Octets that may be written now as far as the bound is concerned.
    #[inline]
    pub(super) fn admits(&self, tx: &impl SendBuf) -> usize {
        match self.options.notsent_lowat() {
            Some(lowat) => self.admits_below(lowat, tx),
            None => usize::MAX,
        }
    }

    /// Is so little left unsent that a waiting writer is to go on? That is half the bound.
    pub(super) fn takes_more(&self, tx: &impl SendBuf) -> bool {
        let unsent = self.unsent_text(tx);
        let lowat = self.options.notsent_lowat().map(|lowat| lowat as usize);
        lowat.is_none_or(|lowat| unsent.saturating_mul(2) < lowat)
    }

    fn admits_below(&self, lowat: u32, tx: &impl SendBuf) -> usize {
        let mss = u32::from(self.mss.max(1));
        let half = (self.max_wnd / 2).min(TRAIN);
        let train = (half - half % mss).max(mss);
        let most = lowat.div_ceil(train).saturating_mul(train);
        let congestion = self.cc.window().saturating_sub(self.pipe());
        let window = self.snd_wnd.saturating_sub(self.in_flight());
        let now = congestion.min(window);
        let now = if self.state.is_synchronized() {
            now - now % mss
        } else {
            0
        };
        let room = now.saturating_add(most) as usize;
        room.saturating_sub(self.unsent_text(tx))
    }
}
