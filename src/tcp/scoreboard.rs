//! What a peer's reports do to send records (RFC 2018, RFC 6675 §4).
//!
//! Invariant: reports change whole segments only, cut at most a bounded number of records, leave
//! a quarter of the room to what we send, and cost O(log n) where they repeat what is known.
//! Called by `sack`.

use super::flight::{At, Flight, Heard};
use super::records::{AMBIGUOUS, Record, SACKED};
use super::seq::SeqNum;

impl Flight {
    /// The peer reported `lo..hi`, which lie in flight.
    pub(super) fn report(&mut self, at: &At, lo: SeqNum, hi: SeqNum, fack: SeqNum, to: &mut Heard) {
        let mut n = self.records.find(lo);
        // The first that was reported as a whole.
        let mut first_whole = None;
        // Each turn leaves one record behind, or ends.
        while let Some(&record) = self.records.get(n) {
            let start = self.records.start_of(n);
            if start.ge(hi) {
                break;
            }
            if record.is(SACKED) {
                n = n.wrapping_add(1);
                continue;
            }
            // Whole segments only: what begins or ends inside one is no report of it.
            let mss = u32::from(record.mss.max(1));
            let before = lo.saturating_since(start);
            let from = start + before.div_ceil(mss).saturating_mul(mss);
            let to_end = if record.end.le(hi) {
                record.end
            } else {
                let inside = hi.since(start);
                start + (inside - inside % mss)
            };
            if from.ge(to_end) {
                n = n.wrapping_add(1);
                continue;
            }
            let whole = from == start && to_end == record.end;
            let marked = if whole {
                first_whole = first_whole.or(Some(n));
                self.report_whole(n)
            } else {
                self.report_part(n, from, to_end)
            };
            let Some((n_after, segments)) = marked else {
                // No room to remember it: it counts as not reported (RFC 2018 §8 allows the
                // peer as much).
                n = n.wrapping_add(1);
                continue;
            };
            let octets = to_end.since(from);
            self.arrived(at, &record, (from, to_end), segments, to);
            self.count(SACKED, octets, segments, true);
            to.reported = to.reported.saturating_add(octets);
            if !record.is(AMBIGUOUS) {
                let sent_at = record.stamp.sent_at();
                let oldest = to.sacked_at.map_or(sent_at, |(oldest, _)| oldest);
                to.sacked_at = Some((oldest, sent_at));
                self.arrived_once((from, to_end), fack, to);
            }
            self.fack = self.fack.max(to_end);
            n = n_after;
        }
        if let Some(first) = first_whole {
            // All at once, or a peer that fills every other hole would make us move all records
            // for each of them.
            let (from, to) = (first.saturating_sub(1), n.saturating_add(1));
            self.records.join(from, to, SACKED);
        }
    }

    /// Marks the `n`th record as reported; gives the number of the next, and its segments.
    fn report_whole(&mut self, n: usize) -> Option<(usize, u16)> {
        let record = self.records.get_mut(n)?;
        record.flags = SACKED | record.flags & AMBIGUOUS;
        Some((n.wrapping_add(1), record.segments))
    }

    /// Marks `from..to`, a part of the `n`th record but not all of it, as reported, together with
    /// a reported neighbour; gives the number of the record behind, and its segments. Tallies are
    /// the caller's.
    fn report_part(&mut self, n: usize, from: SeqNum, to: SeqNum) -> Option<(usize, u16)> {
        let record = *self.records.get(n)?;
        let (start, next) = (self.records.start_of(n), n.wrapping_add(1));
        let (first, last) = (from == start, to == record.end);
        let reported = |n: usize| self.records.get(n).is_some_and(|r| r.is(SACKED));
        let left = first && n > 0 && reported(n.wrapping_sub(1));
        let right = last && reported(next);
        let octets = record.end.since(start);
        let ahead = record.segments_in(from.since(start), octets);
        let upto = record.segments_in(to.since(start), octets);
        let part = Record {
            end: to,
            segments: upto.saturating_sub(ahead).max(1),
            flags: SACKED | record.flags & AMBIGUOUS,
            ..record
        };
        let segments = part.segments;
        let grow = |other: &mut Record, more: u16| {
            other.segments = other.segments.saturating_add(more);
        };
        if left {
            let previous = self.records.get_mut(n.wrapping_sub(1))?;
            previous.end = to;
            grow(previous, segments);
            let rest = self.records.get_mut(n)?;
            rest.segments = rest.segments.saturating_sub(segments).max(1);
            return Some((n, segments));
        }
        if right {
            grow(self.records.get_mut(next)?, segments);
            let rest = self.records.get_mut(n)?;
            rest.end = from;
            rest.segments = ahead.max(1);
            return Some((next.wrapping_add(1), segments));
        }
        // A peer's reports leave room for what we send.
        let room = self.limit() / 4 * 3;
        let new = usize::from(!first).wrapping_add(usize::from(!last));
        if self.records.len().wrapping_add(new) > room {
            return None;
        }
        let rest = Record {
            segments: record.segments.saturating_sub(upto).max(1),
            ..record
        };
        let mut at = n;
        if !first {
            let ahead = Record {
                end: from,
                segments: ahead.max(1),
                ..record
            };
            self.records.insert(at, ahead, room);
            at = at.wrapping_add(1);
        }
        if last {
            *self.records.get_mut(at)? = part;
        } else {
            self.records.insert(at, part, room);
            *self.records.get_mut(at.wrapping_add(1))? = rest;
        }
        Some((at.wrapping_add(1), segments))
    }

    /// Octets of `lo..hi` in flight that were not reported.
    pub(super) fn unreported(&self, lo: SeqNum, hi: SeqNum) -> u32 {
        let (mut octets, mut n) = (0_u32, self.records.find(lo));
        while let Some(record) = self.records.get(n) {
            let start = self.records.start_of(n);
            if start.ge(hi) {
                break;
            }
            if !record.is(SACKED) {
                let part = record.end.min(hi).saturating_since(start.max(lo));
                octets = octets.saturating_add(part);
            }
            n = n.wrapping_add(1);
        }
        octets
    }

    /// The peer threw away what it reported (RFC 2018 §8): believe nothing of it.
    pub(super) fn forget_reports(&mut self) {
        for n in 0..self.records.len() {
            self.mark(n, 0, SACKED);
        }
    }

    /// The first record: was it reported?
    pub(super) fn is_reneged(&self) -> bool {
        self.records.get(0).is_some_and(|first| first.is(SACKED))
    }
}
