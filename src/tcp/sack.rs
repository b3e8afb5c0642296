//! Selective acknowledgments (RFC 2018, RFC 2883): the blocks we report, and the scoreboard of
//! those the peer reports (RFC 6675 §4).
//!
//! Invariant: reassembly ranges lie after RCV.NXT, scoreboard ranges in SND.UNA..SND.NXT; both
//! are bounded, and forgetting a range costs retransmissions and nothing else.

use super::config::Config;
use super::congestion::Congestion;
use super::ranges::{Range, Ranges};
use super::segment::Segment;
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::socket::gaps::Gaps;
use crate::wire::SackBlocks;
use phy::Instant;

/// What came out of order, and what to report of it.
#[derive(Debug, Default)]
pub struct Reassembly {
    /// Received ranges after RCV.NXT.
    pub(super) gaps: Gaps,
    /// Text that came twice, to be reported once (RFC 2883 §4); empty if none did.
    pub(super) duplicate: Range,
}

/// What the peer reported out of order: ranges after SND.UNA.
#[derive(Debug, Clone, Default)]
pub struct Scoreboard {
    pub(super) ranges: Ranges,
}

impl Scoreboard {
    /// Octets reported.
    #[inline]
    pub(super) fn octets(&self) -> u32 {
        self.ranges.octets()
    }

    /// SND.UNA moved to `una`.
    pub(super) fn advance(&mut self, una: SeqNum) {
        self.ranges.remove_before(una);
        if self.ranges.as_slice().first().is_some_and(|r| r.0 == una) {
            // The peer has not what it reported, or it had acknowledged it as well: it threw
            // away text it had no room for (RFC 2018 §8). Believe nothing of it.
            self.ranges.clear();
        }
    }
}

impl<C: Congestion> Tcb<C> {
    /// Takes the blocks of a segment; returns how many octets they newly report. Blocks that are
    /// not wholly after the acknowledgment and before SND.NXT report duplicates, or nonsense.
    pub(super) fn take_sack(&mut self, now: Instant, segment: &Segment<'_>) -> u32 {
        let floor = segment.ack.max(self.snd_una);
        let before = self.scoreboard.octets();
        let mut farthest = floor;
        for (lo, hi) in segment.options.sack.iter() {
            let (lo, hi) = (SeqNum(lo), SeqNum(hi));
            if lo.gt(floor) && lo.lt(hi) && hi.le(self.snd_nxt) && lo.lt(self.snd_nxt) {
                let known = self.scoreboard.octets();
                self.scoreboard.ranges.insert(lo, hi, Ranges::CAPACITY);
                if self.scoreboard.octets() > known {
                    farthest = farthest.max(hi);
                }
            }
        }
        let newly = self.scoreboard.octets().saturating_sub(before);
        if newly > 0 {
            self.gauge_reported(now, farthest, newly);
        }
        newly
    }

    /// The blocks to report: a duplicate first (RFC 2883 §4), then the range that changed last
    /// and those before it (RFC 2018 §4).
    #[inline]
    pub(super) fn sack_blocks(&self) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        let (lo, hi) = self.reassembly.duplicate;
        if lo != hi {
            blocks.push(lo.0, hi.0);
        }
        if self.reassembly.gaps.is_empty() {
            return blocks;
        }
        for range in self.reassembly.gaps.iter() {
            let (lo, hi) = (self.rcv_nxt + range.start, self.rcv_nxt + range.end);
            if !blocks.push(lo.0, hi.0) {
                break;
            }
        }
        blocks
    }

    /// `len` octets of text at `offset` past RCV.NXT were stored out of order.
    pub(super) fn out_of_order(&mut self, cfg: &Config, offset: u32, len: u32) {
        let range = offset..offset.saturating_add(len);
        if let Some(twice) = self.reassembly.gaps.insert(range).duplicate {
            let (lo, hi) = (self.rcv_nxt + twice.start, self.rcv_nxt + twice.end);
            self.note_duplicate(cfg, lo, hi);
        }
    }

    /// Text `lo..hi` came that was here already.
    pub(super) fn note_duplicate(&mut self, cfg: &Config, lo: SeqNum, hi: SeqNum) {
        if cfg.dsack && self.sack && lo.lt(hi) {
            self.reassembly.duplicate = (lo, hi);
        }
    }
}
