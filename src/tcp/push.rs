//! Where the application's writes end: records (`MSG_EOR`), more to come (`MSG_MORE`), and the
//! push flag (RFC 9293 §3.9.1.2).
//!
//! Invariant: marks lie in SND.UNA..=the end of what is queued, in order. Of writes that end
//! without a record only the last is known, which is the end of what is queued: text of several
//! writes that waits leaves in segments as full as can be, and none of the ends inside them is
//! told.

use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::socket::SendBuf;

/// How a write is meant, as the flags of `send(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SendFlags {
    /// More is to follow at once: a segment that is not full waits for it, for an RTO at most or
    /// until the next acknowledgment (`MSG_MORE`).
    pub more: bool,
    /// The last octet ends a record: no segment has it and what follows (`MSG_EOR`). Counts if
    /// all octets are taken, and from the `poll` on in which the connection is begun.
    pub eor: bool,
    /// All octets queued so far are urgent (RFC 9293 §3.8.5); unlike `MSG_OOB` all of them stay
    /// in line. Counts from the `poll` on in which the connection is begun. New applications
    /// should not use it (RFC 6093 §5).
    pub urgent: bool,
}

/// Ends of records that are queued or in flight.
#[derive(Debug, Clone, Default)]
pub(super) struct Ends(Inner);

#[cfg(feature = "alloc")]
type Inner = alloc::collections::VecDeque<SeqNum>;
/// Without an allocator, so many; others are not marked.
#[cfg(not(feature = "alloc"))]
type Inner = [Option<SeqNum>; 4];

impl Ends {
    /// Another record ends before `end`; those that end at or before `una` are forgotten.
    fn push(&mut self, una: SeqNum, end: SeqNum) {
        #[cfg(feature = "alloc")]
        {
            self.forget(una);
            if self.0.back() != Some(&end) && self.0.try_reserve(1).is_ok() {
                self.0.push_back(end);
            }
        }
        #[cfg(not(feature = "alloc"))]
        {
            let free = |slot: &&mut Option<SeqNum>| slot.is_none_or(|old| old.le(una));
            if let Some(slot) = self.0.iter_mut().find(free) {
                *slot = Some(end);
            }
        }
    }

    /// Those that end at or before `una` are of no interest any more; nor may they stay until
    /// sequence numbers have come round to them.
    pub(super) fn forget(&mut self, una: SeqNum) {
        #[cfg(feature = "alloc")]
        {
            while self.0.front().is_some_and(|first| first.le(una)) {
                self.0.pop_front();
            }
            if self.0.is_empty() && self.0.capacity() > 0 {
                self.0 = Inner::new();
            }
        }
        #[cfg(not(feature = "alloc"))]
        for slot in &mut self.0 {
            slot.take_if(|end| end.le(una));
        }
    }

    /// Octets of memory they take besides themselves.
    pub(super) fn memory(&self) -> usize {
        #[cfg(feature = "alloc")]
        return self.0.capacity().saturating_mul(size_of::<SeqNum>());
        #[cfg(not(feature = "alloc"))]
        0
    }

    /// Where the record of the octet at `seq` ends, if that is known. In O(log n): a peer whose
    /// words are written back one by one would choose n.
    fn after(&self, seq: SeqNum) -> Option<SeqNum> {
        #[cfg(feature = "alloc")]
        {
            let n = self.0.partition_point(|end| end.le(seq));
            self.0.get(n).copied()
        }
        #[cfg(not(feature = "alloc"))]
        {
            let later = self.0.iter().copied().flatten().filter(|end| end.gt(seq));
            later.reduce(|a, b| a.min(b))
        }
    }
}

impl<C> Tcb<C> {
    /// Sequence number after the last octet queued, when there are `queued`.
    pub(super) fn queue_end(&self, queued: usize) -> SeqNum {
        // Before it is acknowledged, our SYN comes first.
        let syn = u32::from(!self.state.is_synchronized());
        self.snd_una + syn + queued as u32
    }

    /// The application wrote; `queued` octets are queued now, and all it had if `whole`.
    #[inline]
    pub(super) fn wrote(&mut self, flags: SendFlags, whole: bool, queued: usize) {
        // What the buffer cut short goes.
        self.more = flags.more && whole;
        self.watch.no_space = !whole;
        if flags.eor && whole {
            let (una, end) = (self.snd_una, self.queue_end(queued));
            self.rare.make().records.push(una, end);
        }
        if flags.urgent {
            self.queue_urgent(queued);
        }
    }

    /// Octets from `seq` to the end of its record, if that is known.
    #[inline]
    pub(super) fn record_left(&self, seq: SeqNum) -> Option<u32> {
        let end = self.rare.get()?.records.after(seq)?;
        Some(end.since(seq))
    }

    /// Does a segment of text from `seq` to `end` have PSH? Where the application's text ends,
    /// or a record; and, as receivers may wait for it, after each half of the peer's largest
    /// window (RFC 9293 §3.9.1.2).
    #[inline]
    pub(super) fn pushes(&self, tx: &impl SendBuf, seq: SeqNum, end: SeqNum) -> bool {
        let last = end.since(self.snd_una) as usize >= tx.queued();
        last && !self.more
            || self.push_due && end.gt(self.snd_nxt) && last
            || end.saturating_since(self.pushed) > self.max_wnd / 2
            || self.pushed.gt(seq) && self.pushed.le(end)
            || self.record_left(seq) == Some(end.since(seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_in_order_and_are_forgotten() {
        let mut ends = Ends::default();
        let at = |n: u32| SeqNum(u32::MAX - 5) + n;
        for n in [3, 8, 8, 20] {
            ends.push(at(0), at(n));
        }
        let after = |ends: &Ends, n| ends.after(at(n));
        assert_eq!(after(&ends, 0), Some(at(3)));
        assert_eq!(after(&ends, 3), Some(at(8)));
        assert_eq!(after(&ends, 19), Some(at(20)));
        assert_eq!(after(&ends, 20), None);
        // Nobody asks before SND.UNA; what ends there makes room.
        ends.push(at(8), at(30));
        assert_eq!(after(&ends, 8), Some(at(20)));
        assert_eq!(after(&ends, 20), Some(at(30)));
    }

    /// None waits for sequence numbers to come round, and none of the memory stays.
    #[cfg(feature = "alloc")]
    #[test]
    fn records_that_were_acknowledged_take_no_memory() {
        let mut ends = Ends::default();
        for n in 1..=1000 {
            ends.push(SeqNum(0), SeqNum(n));
        }
        assert!(ends.memory() >= 4000);
        ends.forget(SeqNum(999));
        assert_eq!(ends.after(SeqNum(5)), Some(SeqNum(1000)));
        ends.forget(SeqNum(1000));
        assert_eq!(ends.memory(), 0);
        assert_eq!(ends.after(SeqNum(1000) + 0x9000_0000), None);
    }
}
