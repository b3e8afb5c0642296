//! Losses noticed without SACK: duplicate acknowledgments are counted (RFC 5681 §3.2), and
//! partial ones tell of the next hole (RFC 6582).
//!
//! Invariant: duplicates stand for at most what is in flight, less one segment; a peer may send
//! any number of them. Called by `advance` and `recovery`.

use super::config::Config;
use super::congestion::Congestion;
use super::flight::Heard;
use super::records::LOST;
use super::recovery::{Ack, CaState};
use super::tcb::Tcb;
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// Each duplicate says that one segment left the network; an acknowledgment that moves
    /// SND.UNA covers what duplicates told of before.
    pub(super) fn count_duplicates(&mut self, ack: &Ack, heard: &mut Heard) {
        let mss = u32::from(self.mss);
        let in_flight = self.in_flight();
        let out = &mut *self.flight;
        if ack.advance > 0 {
            let all = matches!(out.state, CaState::Open | CaState::Disorder);
            // The hole itself was no duplicate.
            let covered = if all {
                ack.advance
            } else {
                ack.advance.saturating_sub(mss)
            };
            let known = out.dup_octets.min(covered);
            heard.delivered.octets = heard.delivered.octets.saturating_sub(known);
            out.dup_octets = if all {
                0
            } else {
                out.dup_octets.saturating_sub(covered)
            };
            out.dup_acks = 0;
            return;
        }
        if !heard.duplicate || out.state == CaState::Loss {
            return;
        }
        out.dup_acks = out.dup_acks.saturating_add(1);
        let lost = out.lost.octets.max(mss);
        let most = in_flight.saturating_sub(lost);
        let octets = out.dup_octets.saturating_add(mss).min(most);
        let more = octets.saturating_sub(out.dup_octets);
        out.dup_octets = octets.max(out.dup_octets);
        heard.delivered.octets = heard.delivered.octets.saturating_add(more);
        heard.delivered.segments = heard.delivered.segments.saturating_add(u32::from(more > 0));
    }

    /// Duplicates that mean a loss: three, or fewer where so few segments are out, and none can
    /// follow, that three would never come (early retransmit, RFC 5827 §2).
    fn dup_threshold(&self, cfg: &Config, more: bool) -> u32 {
        let usual = self.flight.rack.degree(cfg);
        let segments = self.in_flight().div_ceil(u32::from(self.mss.max(1)));
        if more || segments > usual {
            usual
        } else {
            usual.min(segments.saturating_sub(1)).max(1)
        }
    }

    /// The third duplicate (RFC 5681 §3.2 step 2) means that the first segment is lost, and in
    /// recovery so does a partial acknowledgment (RFC 6582 §3.2 step 3).
    pub(super) fn lose_by_count(&mut self, cfg: &Config, now: Instant, ack: &Ack) -> bool {
        let lost = match self.flight.state {
            CaState::Recovery => ack.advance > 0 && self.snd_una.lt(self.flight.recover),
            CaState::Loss => false,
            _ if self.flight.repaired == Some(self.snd_una) => false,
            _ => u32::from(self.flight.dup_acks) >= self.dup_threshold(cfg, ack.more),
        };
        if !lost || self.in_flight() == 0 {
            return false;
        }
        let head = self.flight.head(u32::from(self.mss));
        let known = self.flight.records.get(head).is_none_or(|r| r.is(LOST));
        if !known {
            let lost = self.flight.lose(now, head);
            self.cc.on_lost(&lost);
        }
        !known
    }
}
