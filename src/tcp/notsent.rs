//! How much an application may write before what waits to be sent is enough
//! (`TCP_NOTSENT_LOWAT`), or the send buffer is full.
//!
//! Invariant: the bound holds for octets that windows keep from being sent; what they let out
//! at once does not count. As in Linux a write is cut at whole trains of segments: a buffer that
//! grows by itself, with room for some of a train, takes all of it.

use super::congestion::Congestion;
use super::memory::Level;
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
        let train = self.train();
        let most = lowat.div_ceil(train).saturating_mul(train);
        let room = self.let_out().saturating_add(most) as usize;
        room.saturating_sub(self.unsent_text(tx))
    }

    /// Octets of text that a train of segments has at most: all that is sent at once.
    fn train(&self) -> u32 {
        let mss = u32::from(self.mss.max(1));
        let half = (self.max_wnd / 2).min(TRAIN);
        (half - half % mss).max(mss)
    }

    /// Octets of text, in whole segments, that the windows let out now.
    fn let_out(&self) -> u32 {
        if !self.state.is_synchronized() {
            return 0;
        }
        let mss = u32::from(self.mss.max(1));
        let congestion = self.cc.window().saturating_sub(self.pipe());
        let window = self.snd_wnd.saturating_sub(self.in_flight());
        let now = congestion.min(window);
        now - now % mss
    }

    /// Octets beyond the capacity of the send buffer to the end of the train that it has room
    /// for a part of; none where the application chose the capacity, or memory is short.
    #[cold]
    pub(super) fn beyond(&self, tx: &impl SendBuf) -> usize {
        let (queued, capacity) = (tx.queued(), tx.capacity());
        let grows = !self.options.send_fixed && self.level < Level::Pressure;
        if !grows || queued >= capacity || !self.state.is_synchronized() {
            return 0;
        }
        let (train, unsent) = (self.train() as usize, self.unsent_text(tx));
        // What the windows let out goes first, and is whole.
        let first = queued.saturating_sub(unsent) + (self.let_out() as usize).max(unsent);
        let rest = capacity.saturating_sub(first) % train;
        if rest == 0 { 0 } else { train - rest }
    }
}
