//! Selective acknowledgments (RFC 2018, RFC 2883): the blocks we report, and what those of the
//! peer say.
//!
//! Invariant: reassembly ranges lie after RCV.NXT, and what is taken of the peer's blocks lies
//! in SND.UNA..SND.NXT; both are bounded, and forgetting a range costs retransmissions and
//! nothing else.

use super::config::Config;
use super::congestion::Congestion;
use super::flight::{At, Heard};
use super::probe::Tail;
use super::segment::Segment;
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::socket::gaps::Gaps;
use crate::wire::SackBlocks;

/// First octet, and the one past the last.
pub type Range = (SeqNum, SeqNum);

/// What came out of order, and what to report of it.
#[derive(Debug, Default)]
pub struct Reassembly {
    /// Received ranges after RCV.NXT.
    pub(super) gaps: Gaps,
}

impl<C: Congestion> Tcb<C> {
    /// Takes the blocks of a segment. Blocks that are not wholly after the acknowledgment and
    /// before SND.NXT report duplicates, or nonsense.
    pub(super) fn take_sack(&mut self, at: &At, segment: &Segment<'_>, heard: &mut Heard) {
        let floor = segment.ack.max(self.snd_una);
        let mut blocks = segment.options.sack.as_slice();
        if let Some((lo, hi)) = duplicate(segment.ack, blocks)
            && hi.le(self.snd_nxt)
            && hi.gt(self.snd_una - self.max_wnd)
        {
            self.take_duplicate(lo, hi, heard);
            blocks = blocks.get(1..).unwrap_or(&[]);
        }
        let fack = self.flight.fack;
        for &(lo, hi) in blocks {
            let (lo, hi) = (SeqNum(lo), SeqNum(hi));
            if lo.gt(floor) && lo.lt(hi) && hi.le(self.snd_nxt) && lo.lt(self.snd_nxt) {
                self.flight.report(at, lo, hi, fack, heard);
            }
        }
    }

    /// The peer received `lo..hi` twice (RFC 2883 §4).
    fn take_duplicate(&mut self, lo: SeqNum, hi: SeqNum, heard: &mut Heard) {
        let segments = hi.since(lo).div_ceil(u32::from(self.mss.max(1)));
        // More than was ever repeated did not come of our repeating it (RFC 3708 §3).
        let repeated = self.retransmits();
        let flight = &mut *self.flight;
        let ours = flight.rack.duplicates.saturating_add(segments) <= repeated;
        let probe = flight.tail == Tail::Again && hi == flight.tail_end;
        heard.twice = Some((lo, hi));
        flight.rack.duplicate(segments, probe || !ours);
        if ours {
            flight.undo.twice((lo, hi));
        }
    }

    /// The blocks to report: a duplicate first (RFC 2883 §4), then the range that changed last
    /// and those before it (RFC 2018 §4).
    #[inline]
    pub(super) fn sack_blocks(&self) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        if let Some(rare) = self.rare.get() {
            let (lo, hi) = rare.duplicate;
            if lo != hi {
                blocks.push(lo.0, hi.0);
            }
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
            self.rare.make().duplicate = (lo, hi);
        }
    }

    /// What came twice was reported, or need not be.
    #[inline]
    pub(super) fn forget_duplicate(&mut self) {
        if let Some(rare) = self.rare.get_mut() {
            rare.duplicate = Range::default();
        }
    }
}

/// The duplicate that the first block reports, if it does: one before the acknowledgment, or
/// inside the second block (RFC 2883 §4.1, §4.2).
fn duplicate(ack: SeqNum, blocks: &[(u32, u32)]) -> Option<Range> {
    let &(lo, hi) = blocks.first()?;
    let (lo, hi) = (SeqNum(lo), SeqNum(hi));
    let inside = |&(from, to): &(u32, u32)| SeqNum(from).le(lo) && hi.le(SeqNum(to));
    let twice = lo.lt(hi) && (hi.le(ack) || blocks.get(1).is_some_and(inside));
    twice.then_some((lo, hi))
}
