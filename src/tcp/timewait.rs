//! Connections in TIME-WAIT (RFC 9293 §3.6.1): what is left of them is not a socket.
//!
//! Invariant: an entry lives 2 MSL after its last FIN, and all wait equally long, so the table
//! is a queue in order of expiry; when it is full the oldest goes (RFC 9293 §3.10.7.4 allows
//! it: what is lost is protection, not data). A flow is known by a 64-bit keyed hash: that two
//! flows share one is as likely as guessing a cookie twice over. Called by the shell of TCP.

use core::time::Duration;
use phy::Instant;

use super::segment::{Segment, TimeWait};
use super::seq::SeqNum;
use super::table::{Entry, Id, Table};
use crate::wire::TcpFlags;

/// What becomes of a segment for a connection in TIME-WAIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Ignore,
    /// It is acknowledged once more.
    Acknowledge(TimeWait),
    /// It opens the connection anew (RFC 6191); the entry is gone. Our next initial sequence
    /// number must be beyond this one (RFC 1122 §4.2.2.13).
    Reopen(SeqNum),
}

#[derive(Debug, Clone, Copy)]
struct Grave {
    expires: Instant,
    /// High half of the flow's hash; the table knows the low one.
    hash: u32,
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    /// The peer's last timestamp, if it is [`Grave::STAMPED`].
    ts_recent: u32,
    ts_offset: u32,
    window: u16,
    /// [`Grave::STAMPED`], and from bit [`Grave::ECN`] on the three ECN flags of its ACKs.
    bits: u8,
    /// When a segment was last answered, in units of 128 ms, wrapping.
    answered: u8,
}

// With the 12 octets of its place in the table, 44.
const _: () = assert!(size_of::<Grave>() <= 32);

impl Entry for Grave {}

impl Grave {
    const STAMPED: u8 = 1;
    const ECN: u32 = 1;

    const fn is_stamped(&self) -> bool {
        self.bits & Self::STAMPED != 0
    }

    fn remains(&self) -> TimeWait {
        TimeWait {
            snd_nxt: self.snd_nxt,
            rcv_nxt: self.rcv_nxt,
            window: self.window,
            ts_recent: self.is_stamped().then_some(self.ts_recent),
            ts_offset: self.ts_offset,
            ecn: TcpFlags::from_bits(u16::from(self.bits >> Self::ECN & 7) << 6),
        }
    }
}

/// All connections in TIME-WAIT.
#[derive(Debug)]
pub(super) struct TimeWaitTable {
    table: Table<Grave, 1>,
}

impl TimeWaitTable {
    /// A table of at most `limit` connections.
    pub fn new(limit: usize) -> Self {
        Self {
            table: Table::new(limit),
        }
    }

    /// Number of connections.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is the flow of this hash in TIME-WAIT?
    #[cfg(test)]
    pub fn contains(&self, hash: u64) -> bool {
        self.find(hash).is_some()
    }

    /// May a connection of ours use this flow: because it is not in TIME-WAIT, or has been for
    /// `least` of the `span` it waits, and timestamps tell what is left of the old one from the
    /// new one (RFC 6191 §4, RFC 7323 appendix B.2)?
    pub fn admits(&self, hash: u64, now: Instant, span: Duration, least: Option<Duration>) -> bool {
        let Some(grave) = self.find(hash).and_then(|id| self.table.get(id)) else {
            return true;
        };
        let waited = span.saturating_sub(grave.expires.saturating_since(now));
        grave.is_stamped() && least.is_some_and(|least| waited >= least)
    }

    /// Takes a flow out to use it again; the next initial sequence number must be beyond the one
    /// returned.
    pub fn reuse(&mut self, hash: u64) -> Option<SeqNum> {
        let id = self.find(hash)?;
        self.table.remove(id).map(|grave| grave.snd_nxt)
    }

    fn find(&self, hash: u64) -> Option<Id> {
        self.table
            .find(hash, |grave| grave.hash == (hash >> 32) as u32)
    }

    /// A connection was closed by both sides, by us first. It waits for `span`, which must be
    /// the same for all. True if another had to go before its time.
    pub fn insert(&mut self, hash: u64, now: Instant, span: Duration, remains: TimeWait) -> bool {
        if let Some(id) = self.find(hash) {
            self.table.remove(id);
        }
        let evicted = self.table.is_full();
        if evicted && let Some(id) = self.table.oldest(0) {
            self.table.remove(id);
        }
        let grave = Grave {
            expires: now + span,
            hash: (hash >> 32) as u32,
            snd_nxt: remains.snd_nxt,
            rcv_nxt: remains.rcv_nxt,
            ts_recent: remains.ts_recent.unwrap_or(0),
            ts_offset: remains.ts_offset,
            window: remains.window,
            bits: u8::from(remains.ts_recent.is_some())
                | ((remains.ecn.bits() >> 6 & 7) as u8) << Grave::ECN,
            answered: tick(now).wrapping_sub(1),
        };
        self.table.insert(hash, grave);
        evicted
    }

    /// A segment arrived; `None` if its flow is not in TIME-WAIT.
    pub fn receive(
        &mut self,
        hash: u64,
        now: Instant,
        span: Duration,
        segment: &Segment<'_>,
    ) -> Option<Verdict> {
        let id = self.find(hash)?;
        let TimeWait {
            snd_nxt,
            rcv_nxt,
            ts_recent,
            ..
        } = self.table.get(id)?.remains();
        // A reset does not end the wait (RFC 1337 §3).
        if segment.flags.rst() {
            return Some(Verdict::Ignore);
        }
        let stamp = segment.options.timestamps.map(|(value, _)| value);
        if segment.flags.syn() && !segment.flags.ack() {
            // RFC 6191 §2.
            let later = match (ts_recent, stamp) {
                (Some(last), Some(new)) if new == last => segment.seq.gt(rcv_nxt),
                (Some(last), Some(new)) => newer(new, last),
                (None, Some(_)) => true,
                (_, None) => segment.seq.gt(rcv_nxt),
            };
            if !later {
                return Some(Verdict::Ignore);
            }
            self.table.remove(id);
            return Some(Verdict::Reopen(snd_nxt));
        }
        if !segment.flags.ack() {
            return Some(Verdict::Ignore);
        }
        if segment.flags.fin() && segment.seq + segment.len() == rcv_nxt {
            // The peer's FIN again: our ACK was lost, the wait starts over.
            self.table.requeue(id, |grave| grave.expires = now + span);
        } else if segment.is_empty() && segment.seq == rcv_nxt {
            // An acknowledgment that asks for nothing. Answering it could go on for ever.
            return Some(Verdict::Ignore);
        }
        let grave = self.table.get_mut(id)?;
        if grave.answered == tick(now) {
            return Some(Verdict::Ignore);
        }
        grave.answered = tick(now);
        if let (Some(last), Some(new)) = (ts_recent, stamp)
            && newer(new, last)
            && segment.seq.le(rcv_nxt)
        {
            grave.ts_recent = new;
        }
        Some(Verdict::Acknowledge(grave.remains()))
    }

    /// Forgets what has waited long enough, `most` of it; what is left stays due.
    pub fn expire(&mut self, now: Instant, most: usize) {
        for _ in 0..most {
            let Some(id) = self.table.oldest(0) else {
                return;
            };
            if self.table.get(id).is_some_and(|grave| grave.expires > now) {
                return;
            }
            self.table.remove(id);
        }
    }

    /// When the next connection is to be forgotten.
    pub fn deadline(&self) -> Option<Instant> {
        let id = self.table.oldest(0)?;
        self.table.get(id).map(|grave| grave.expires)
    }
}

fn tick(now: Instant) -> u8 {
    (now.millis() >> 7) as u8
}

/// Is timestamp `a` later than `b` (RFC 7323 §5.2)?
fn newer(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TcpOptions;

    const SPAN: Duration = Duration::from_secs(60);
    const LEFT: TimeWait = TimeWait {
        snd_nxt: SeqNum(u32::MAX),
        rcv_nxt: SeqNum(5000),
        window: 512,
        ts_recent: Some(100),
        ts_offset: 7,
        ecn: TcpFlags::AE.union(TcpFlags::ECE),
    };

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn table(remains: TimeWait) -> TimeWaitTable {
        let mut table = TimeWaitTable::new(4);
        assert!(!table.insert(1, at(0), SPAN, remains));
        table
    }

    fn segment(flags: TcpFlags, seq: u32, stamp: Option<u32>) -> Segment<'static> {
        Segment {
            seq: SeqNum(seq),
            ack: SeqNum(0),
            flags,
            window: 0,
            urgent: 0,
            options: TcpOptions {
                timestamps: stamp.map(|value| (value, 0)),
                ..TcpOptions::NONE
            },
            payload: &[],
            ecn: 0,
        }
    }

    #[test]
    fn expires_in_order_and_evicts_the_oldest() {
        let mut table = TimeWaitTable::new(3);
        for hash in 1..=3u64 {
            let evicted = table.insert(hash << 32, at(hash * 1000), SPAN, LEFT);
            assert!(!evicted);
        }
        assert!(table.insert(4 << 32, at(4000), SPAN, LEFT));
        let has = |table: &TimeWaitTable| [1, 2, 3, 4].map(|hash| table.contains(hash << 32));
        assert_eq!(has(&table), [false, true, true, true]);
        assert_eq!(table.deadline(), Some(at(62_000)));
        table.expire(at(61_999), 9);
        assert_eq!(table.len(), 3);
        table.expire(at(63_000), 9);
        assert_eq!(has(&table), [false, false, false, true]);
    }

    #[test]
    fn a_repeated_fin_starts_the_wait_over() {
        let mut table = table(LEFT);
        let fin = segment(TcpFlags::FIN | TcpFlags::ACK, 4999, Some(100));
        let verdict = table.receive(1, at(30_000), SPAN, &fin);
        assert_eq!(verdict, Some(Verdict::Acknowledge(LEFT)));
        assert_eq!(table.deadline(), Some(at(90_000)));
        // The same again at once: the wait starts over, but one answer is enough.
        let verdict = table.receive(1, at(30_001), SPAN, &fin);
        assert_eq!(verdict, Some(Verdict::Ignore));
        assert_eq!(table.deadline(), Some(at(90_001)));
    }

    #[test]
    fn resets_and_idle_acknowledgments_change_nothing() {
        let mut table = table(LEFT);
        for flags in [TcpFlags::RST, TcpFlags::RST | TcpFlags::ACK, TcpFlags::ACK] {
            let verdict = table.receive(1, at(1), SPAN, &segment(flags, 5000, None));
            assert_eq!(verdict, Some(Verdict::Ignore));
        }
        assert_eq!(table.deadline(), Some(at(60_000)));
        let old = segment(TcpFlags::ACK, 4000, None);
        let verdict = table.receive(1, at(1), SPAN, &old);
        assert_eq!(verdict, Some(Verdict::Acknowledge(LEFT)));
        assert_eq!(table.receive(2, at(1), SPAN, &old), None);
    }

    /// RFC 6191 §4 and Linux's `tcp_tw_reuse`: after a second, with timestamps, once.
    #[test]
    fn our_own_connections_may_use_a_flow_again() {
        let second = Some(Duration::from_secs(1));
        let mut stamped = table(LEFT);
        let plain = table(TimeWait {
            ts_recent: None,
            ..LEFT
        });
        for (ms, least, stamped_may) in [
            (999, second, false),
            (1000, second, true),
            (59_999, second, true),
            (59_999, None, false),
        ] {
            assert_eq!(stamped.admits(1, at(ms), SPAN, least), stamped_may, "{ms}");
            assert!(!plain.admits(1, at(ms), SPAN, least), "{ms}");
        }
        assert!(plain.admits(2, at(1), SPAN, None));
        assert_eq!(stamped.reuse(1), Some(LEFT.snd_nxt));
        assert_eq!(stamped.reuse(1), None);
        assert!(stamped.admits(1, at(1), SPAN, None));
    }

    #[test]
    fn a_new_syn_reopens_by_the_rules_of_rfc_6191() {
        let plain = TimeWait {
            ts_recent: None,
            ..LEFT
        };
        for (remains, seq, stamp, reopens) in [
            (LEFT, 1, Some(101), true),
            (LEFT, 6000, Some(100), true),
            (LEFT, 5000, Some(100), false),
            (LEFT, 6000, Some(99), false),
            (LEFT, 5001, None, true),
            (LEFT, 4000, None, false),
            (plain, 1, Some(0), true),
            (plain, 5001, None, true),
            (plain, 5000, None, false),
        ] {
            let mut table = table(remains);
            let syn = segment(TcpFlags::SYN, seq, stamp);
            let verdict = table.receive(1, at(1), SPAN, &syn);
            let want = if reopens {
                Verdict::Reopen(SeqNum(u32::MAX))
            } else {
                Verdict::Ignore
            };
            assert_eq!(verdict, Some(want), "{seq} {stamp:?}");
            assert_eq!(table.contains(1), !reopens);
        }
    }
}
