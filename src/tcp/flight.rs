//! What is in flight, and all that is known of it: the scoreboard of RFC 6675 §4, with a send
//! record for each run of octets instead of a mark for each segment.
//!
//! Invariant: the tallies are the sums over the records, so that the octets in the network
//! ("pipe") are SND.NXT - SND.UNA less what was reported or lost, plus what was sent again. What
//! was reported is never lost. What reports change is in `scoreboard`. Called by
//! [`Tcb`](super::Tcb).

use super::congestion::delivery::News;
use super::congestion::{Delivery, Lost, Pacer, Stamp};
use super::probe::Tail;
use super::prr::Prr;
use super::rack::Rack;
use super::records::{AMBIGUOUS, LOST, REPEATED, Record, Records, SACKED};
use super::recovery::CaState;
use super::seq::SeqNum;
use super::undo::Undo;
use phy::Instant;

/// Octets, and the segments they are in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) octets: u32,
    pub(super) segments: u32,
}

impl Tally {
    const NONE: Self = Self {
        octets: 0,
        segments: 0,
    };

    fn add(&mut self, octets: u32, segments: u32) {
        self.octets = self.octets.saturating_add(octets);
        self.segments = self.segments.saturating_add(segments);
    }

    fn sub(&mut self, octets: u32, segments: u32) {
        self.octets = self.octets.saturating_sub(octets);
        self.segments = self.segments.saturating_sub(segments);
    }
}

/// When an acknowledgment came, and how what it says is judged.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct At {
    pub(super) now: Instant,
    /// Least round-trip time, microseconds; 0 if unknown.
    pub(super) min_rtt: u32,
    /// How long ago the timestamp it echoes was ours, milliseconds.
    pub(super) echo_age: Option<u32>,
}

/// What an acknowledgment said that was not known before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Heard {
    /// Octets and segments that arrived.
    pub(super) delivered: Tally,
    /// Of which are reported, not acknowledged, octets.
    pub(super) reported: u32,
    /// When the oldest and newest of those acknowledged that were sent once left: microseconds.
    pub(super) acked_at: Option<(u32, u32)>,
    /// The same of those reported.
    pub(super) sacked_at: Option<(u32, u32)>,
    /// Octets acknowledged had been sent more than once.
    pub(super) ambiguous: bool,
    /// Octets from before the loss event arrived that were sent once: no loss of everything.
    pub(super) original: bool,
    /// The oldest octet that arrived after younger ones, though it was sent once.
    pub(super) reordered: Option<SeqNum>,
    /// Octets that it says came twice.
    pub(super) twice: Option<(SeqNum, SeqNum)>,
    /// A duplicate acknowledgment (RFC 5681 §2, RFC 6675 §2).
    pub(super) duplicate: bool,
    /// Octets of the send rate's sample.
    pub(super) news: News,
}

/// Everything about octets in flight.
#[derive(Debug)]
pub struct Flight {
    pub(super) records: Records,
    /// Records there may be.
    pub(super) limit: u16,
    /// Changes since records were last joined to make room.
    since_coarse: u16,
    pub(super) sacked: Tally,
    pub(super) lost: Tally,
    pub(super) repeated: Tally,
    /// Octets that wait to be sent again.
    due: u32,
    /// None that wait lie before this.
    due_from: SeqNum,
    /// One past the highest octet acknowledged or reported.
    pub(super) fack: SeqNum,
    pub(super) delivery: Delivery,
    /// The last delivery rate measured, octets per second.
    pub(super) rate: u64,
    /// The application was what limited it.
    pub(super) rate_app_limited: bool,
    pub(super) pacer: Pacer,
    /// Text waits for the pacer.
    pub(super) waiting: bool,

    pub(super) state: CaState,
    pub(super) tail: Tail,
    /// Duplicate acknowledgments in a row; without SACK only.
    pub(super) dup_acks: u8,
    /// Octets those stand for.
    pub(super) dup_octets: u32,
    /// SND.NXT when the state was entered: it ends when this is acknowledged.
    pub(super) recover: SeqNum,
    /// Where the last recovery ended: duplicates of this are no loss, where nothing but their
    /// number tells of one (RFC 6582 §3.2 step 1).
    pub(super) repaired: Option<SeqNum>,
    /// SND.NXT at the tail loss probe (TLP.end_seq).
    pub(super) tail_end: SeqNum,
    pub(super) rack: Rack,
    pub(super) prr: Prr,
    pub(super) undo: Undo,
}

impl Flight {
    pub(super) const fn new() -> Self {
        Self {
            records: Records::new(),
            limit: 0,
            since_coarse: u16::MAX,
            sacked: Tally::NONE,
            lost: Tally::NONE,
            repeated: Tally::NONE,
            due: 0,
            due_from: SeqNum(0),
            fack: SeqNum(0),
            delivery: Delivery::new(0, false),
            rate: 0,
            rate_app_limited: false,
            pacer: Pacer::new(),
            waiting: false,
            state: CaState::Open,
            tail: Tail::No,
            dup_acks: 0,
            dup_octets: 0,
            recover: SeqNum(0),
            repaired: None,
            tail_end: SeqNum(0),
            rack: Rack::new(),
            prr: Prr::new(),
            undo: Undo::new(),
        }
    }

    /// What is told of it when all is over.
    pub(super) fn learned(&self) -> Self {
        Self {
            rate: self.rate,
            rate_app_limited: self.rate_app_limited,
            rack: self.rack.learned(),
            ..Self::new()
        }
    }

    pub(super) fn limit(&self) -> usize {
        usize::from(self.limit)
    }

    /// Octets that left the network, or are held to have.
    #[inline]
    pub(super) fn left(&self) -> u32 {
        let arrived = self.sacked.octets.max(self.dup_octets);
        arrived.saturating_add(self.lost.octets)
    }

    /// Nothing is amiss: the next acknowledgment is like the last one.
    #[inline]
    pub(super) fn is_calm(&self) -> bool {
        self.state == CaState::Open && !self.tail.is_out()
    }

    /// Adds or takes a record's octets to or from the tallies.
    #[inline]
    pub(super) fn count(&mut self, flags: u8, octets: u32, segments: u16, more: bool) {
        if flags & (SACKED | LOST | REPEATED) == 0 {
            return;
        }
        let change = if more { Tally::add } else { Tally::sub };
        let segments = u32::from(segments);
        if flags & SACKED != 0 {
            change(&mut self.sacked, octets, segments);
        }
        if flags & LOST != 0 {
            change(&mut self.lost, octets, segments);
        }
        if flags & REPEATED != 0 {
            change(&mut self.repeated, octets, segments);
        }
        if flags & (LOST | REPEATED | SACKED) == LOST {
            self.due = if more {
                self.due.saturating_add(octets)
            } else {
                self.due.saturating_sub(octets)
            };
        }
    }

    /// Octets and segments of the `n`th record.
    fn size(&self, n: usize) -> (u32, u16) {
        let record = self.records.get(n);
        record.map_or((0, 0), |record| {
            (record.end.since(self.records.start_of(n)), record.segments)
        })
    }

    /// Changes flags of the `n`th record, and the tallies with them.
    pub(super) fn mark(&mut self, n: usize, set: u8, clear: u8) {
        let (octets, segments) = self.size(n);
        let Some(record) = self.records.get_mut(n) else {
            return;
        };
        let old = record.flags;
        record.flags = (old | set) & !clear;
        let new = record.flags;
        self.count(old, octets, segments, false);
        self.count(new, octets, segments, true);
    }

    /// Room for one record more, by joining others if need be, which is done rarely enough to
    /// cost little whatever a peer reports.
    fn make_room(&mut self, limit: usize) {
        self.since_coarse = self.since_coarse.saturating_add(1);
        if self.records.len() >= limit && usize::from(self.since_coarse) > limit / 8 {
            self.since_coarse = 0;
            self.records.coarsen();
        }
    }

    /// Octets from `seq` to `end` were sent for the first time, with `pipe` others in flight.
    #[inline]
    pub(super) fn sent(
        &mut self,
        now: Instant,
        (seq, end): (SeqNum, SeqNum),
        (mss, segments): (u16, u16),
        pipe: u32,
    ) {
        let octets = end.since(seq);
        if self.records.is_empty() {
            self.records.reset(seq);
            self.fack = seq;
            self.due_from = seq;
        }
        let stamp = self.delivery.on_sent(now, octets, pipe);
        let last = self.records.len().wrapping_sub(1);
        let start = self.records.start_of(last);
        if let Some(record) = self.records.get_mut(last) {
            // Sent at the same moment, in whole segments of the same size: one train.
            let train = record.flags == 0
                && record.stamp.sent_at() == stamp.sent_at()
                && record.mss == mss
                && record.end.since(start) == u32::from(mss) * u32::from(record.segments);
            let joined = record.segments.checked_add(segments).filter(|_| train);
            if let Some(joined) = joined {
                record.end = end;
                record.segments = joined;
                record.stamp.join(octets);
                return;
            }
        }
        let record = Record {
            end,
            stamp,
            mss,
            segments,
            flags: 0,
        };
        if self.records.push(record, self.limit()) {
            self.since_coarse = self.since_coarse.saturating_add(1);
            return;
        }
        self.make_room(self.limit());
        if self.records.push(record, self.limit()) {
            return;
        }
        // Join the last, which is then in flight as a whole.
        let last = self.records.len().saturating_sub(1);
        self.mark(last, 0, SACKED | LOST | REPEATED);
        if let Some(record) = self.records.get_mut(last) {
            record.end = end;
            record.stamp = stamp;
            record.segments = record.segments.saturating_add(segments);
        }
    }

    /// Octets from `seq` to `end` were sent again.
    pub(super) fn sent_again(&mut self, now: Instant, (seq, end): (SeqNum, SeqNum), pipe: u32) {
        let stamp = self.delivery.on_sent(now, end.since(seq), pipe);
        // Where there is no room to cut, all of the record counts as sent again.
        self.cut(end);
        let mut n = self.cut(seq);
        while self.records.start_of(n).lt(end) && n < self.records.len() {
            if self.records.get(n).is_some_and(|record| !record.is(SACKED)) {
                self.mark(n, REPEATED | AMBIGUOUS, 0);
                if let Some(record) = self.records.get_mut(n) {
                    record.stamp = stamp;
                }
            }
            n = n.wrapping_add(1);
        }
    }

    /// The record that begins at `seq`, cut from one where need be and possible.
    fn cut(&mut self, seq: SeqNum) -> usize {
        let n = self.records.find(seq);
        let inside = self.records.start_of(n).lt(seq) && n < self.records.len();
        if inside {
            self.make_room(self.limit());
        }
        // Joining neighbours may have moved it.
        let n = self.records.find(seq);
        if inside && self.records.start_of(n).lt(seq) && self.records.split(n, seq, self.limit()) {
            return n.wrapping_add(1);
        }
        n
    }

    /// Octets of `record` from `seq` to `end` arrived, of which that was not known.
    #[inline]
    pub(super) fn arrived(
        &mut self,
        at: &At,
        record: &Record,
        (seq, end): (SeqNum, SeqNum),
        segments: u16,
        to: &mut Heard,
    ) {
        let octets = end.since(seq);
        self.count(record.flags, octets, segments, false);
        let stamp: &Stamp = &record.stamp;
        self.delivery
            .on_delivered(at.now, octets, stamp, &mut to.news);
        to.delivered.add(octets, u32::from(segments));
        self.rack.delivered(at, record, end);
    }

    /// What to remember of octets that arrived out of turn, or before a loss.
    pub(super) fn arrived_once(&self, (seq, end): (SeqNum, SeqNum), fack: SeqNum, to: &mut Heard) {
        if seq.lt(fack) && to.reordered.is_none_or(|oldest| seq.lt(oldest)) {
            to.reordered = Some(seq);
        }
        to.original |= end.le(self.recover);
    }

    /// Everything before `ack` is acknowledged.
    #[inline]
    pub(super) fn acknowledged(&mut self, at: &At, ack: SeqNum, to: &mut Heard) {
        let fack = self.fack;
        while let Some(&record) = self.records.get(0) {
            let seq = self.records.start();
            if seq.ge(ack) {
                break;
            }
            let whole = record.end.le(ack);
            let end = if whole { record.end } else { ack };
            let octets = end.since(seq);
            let segments = record.segments_in(octets, record.end.since(seq));
            if record.is(SACKED) {
                self.count(record.flags, octets, segments, false);
            } else {
                self.arrived(at, &record, (seq, end), segments, to);
                if record.is(AMBIGUOUS) {
                    to.ambiguous = true;
                } else {
                    let sent_at = record.stamp.sent_at();
                    let oldest = to.acked_at.map_or(sent_at, |(oldest, _)| oldest);
                    to.acked_at = Some((oldest, sent_at));
                    if self.state != CaState::Open {
                        self.arrived_once((seq, end), fack, to);
                    }
                }
            }
            if whole {
                self.records.pop();
                continue;
            }
            self.records.advance(ack);
            if let Some(first) = self.records.get_mut(0) {
                first.segments = first.segments.saturating_sub(segments).max(1);
            }
            break;
        }
        self.fack = self.fack.max(ack);
        self.due_from = self.due_from.max(ack);
    }

    /// Holds the `n`th record, which is out, to be lost.
    pub(super) fn lose(&mut self, now: Instant, n: usize) -> Lost {
        let (octets, _) = self.size(n);
        self.mark(n, LOST, REPEATED);
        self.due_from = self.due_from.min(self.records.start_of(n));
        let stamp = self.records.get(n).map_or(Stamp::NONE, |r| r.stamp);
        self.delivery.on_lost(now, octets, &stamp)
    }

    /// Everything before `to` is lost, and sent again though nothing is amiss otherwise; `nxt` is
    /// SND.NXT.
    pub(super) fn lose_to(&mut self, now: Instant, to: SeqNum, nxt: SeqNum) {
        let mut n = 0_usize;
        while let Some(record) = self.records.get(n).filter(|record| record.end.le(to)) {
            if record.is_out() {
                self.lose(now, n);
            }
            n = n.wrapping_add(1);
        }
        self.undo = Undo::new();
        self.state = CaState::Loss;
        self.recover = nxt;
        self.tail = Tail::No;
        self.rack.timer = Instant::MAX;
        self.dup_acks = 0;
        self.dup_octets = 0;
    }

    /// The number of a record of just the first segment, cut off where possible.
    pub(super) fn head(&mut self, mss: u32) -> usize {
        let end = self.records.start() + mss;
        if self.records.get(0).is_some_and(|first| first.end.gt(end)) {
            self.cut(end);
        }
        0
    }

    /// Nothing is lost after all.
    pub(super) fn unlose(&mut self) {
        self.records.clear(LOST);
        self.lost = Tally::NONE;
        self.due = 0;
    }

    /// The first octets that wait to be sent again, as far as they follow each other.
    #[inline]
    pub(super) fn next_due(&mut self) -> Option<(SeqNum, SeqNum)> {
        if self.due == 0 {
            return None;
        }
        let mut n = self.records.find(self.due_from);
        while self.records.get(n).is_some_and(|record| !record.is_due()) {
            n = n.wrapping_add(1);
        }
        let from = self.records.start_of(n);
        self.due_from = from;
        let mut to = self.records.get(n)?.end;
        n = n.wrapping_add(1);
        while let Some(record) = self.records.get(n).filter(|record| record.is_due()) {
            to = record.end;
            n = n.wrapping_add(1);
            if to.since(from) > 0xffff {
                break;
            }
        }
        Some((from, to))
    }

    /// When the oldest octets in flight were last sent, microseconds modulo 2^32.
    pub(super) fn when_head_left(&self) -> Option<u32> {
        self.records.get(0).map(|first| first.stamp.sent_at())
    }
}

impl Default for Flight {
    fn default() -> Self {
        Self::new()
    }
}
