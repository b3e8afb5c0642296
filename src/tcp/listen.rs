//! Handshakes that peers began and have not finished: the SYN table of all listeners.
//!
//! Invariant: no socket exists before its handshake ends (RFC 4987 §3.4), but for peers with a
//! Fast Open cookie ([`fastopen`](super::fastopen)). An unfinished one is an [`Embryo`] of 64
//! octets at most; their number is bounded for all listeners together here and for each by its
//! backlog in the shell, beyond which cookies ([`cookie`](super::cookie)) take over. Embryos that were answered equally often stand in one list, in order of time, so that
//! the next one due is found in constant time. Called by the shell of TCP only.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use phy::Instant;

use super::ecn::Agreed;
use super::table::{Entry, Id, Table};
use super::tcb::Peer;
use crate::transport::Endpoint;

/// A listener's slot and the low bits of its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub slot: u32,
    pub generation: u8,
}

/// A connection in SYN-RECEIVED (RFC 9293 §3.3.2) that came from a listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Embryo {
    local: IpAddr,
    peer: IpAddr,
    ports: (u16, u16),
    /// Our initial sequence number.
    pub iss: u32,
    /// The peer's initial sequence number.
    pub irs: u32,
    /// The peer's timestamp; means something with [`Embryo::STAMPED`] only.
    stamp: u32,
    /// When the SYN-ACK is sent again: low 32 bits of microseconds.
    due: u32,
    parent: u32,
    mss: u16,
    generation: u8,
    /// Low four bits: the peer's window shift, 15 for none. Above: flags.
    bits: u8,
    /// How often the SYN-ACK was repeated by the timer.
    repeats: u8,
    /// What its SYNs agreed on about ECN.
    pub ecn: Agreed,
}

const _: () = assert!(size_of::<Embryo>() <= 64);

/// SYN-ACKs are repeated this often at most; the profile's 5 are less (RFC 4987, requirements).
pub(super) const MOST_REPEATS: u8 = 7;
const LISTS: usize = MOST_REPEATS as usize + 1;

impl Embryo {
    const NO_SCALE: u8 = 0x0f;
    const SACK: u8 = 0x10;
    const STAMPED: u8 = 0x20;
    /// The peer acknowledged the SYN-ACK, and the listener waits for text.
    const DEFERRED: u8 = 0x40;
    /// One answer was given since the SYN-ACK went out by the timer.
    const ANSWERED: u8 = 0x80;

    /// A SYN from `peer` to `local`, numbered `irs`, to be answered with number `iss`.
    pub fn new(
        (local, peer): (SocketAddr, SocketAddr),
        parent: Parent,
        (iss, irs): (u32, u32),
        offer: &Peer,
    ) -> Self {
        let mut bits = offer
            .window_scale
            .map_or(Self::NO_SCALE, |shift| shift.min(14));
        for (flag, on) in [
            (Self::SACK, offer.sack),
            (Self::STAMPED, offer.timestamp.is_some()),
        ] {
            bits |= if on { flag } else { 0 };
        }
        Self {
            local: local.ip(),
            peer: peer.ip(),
            ports: (local.port(), peer.port()),
            iss,
            irs,
            stamp: offer.timestamp.unwrap_or(0),
            due: 0,
            parent: parent.slot,
            mss: offer.mss,
            generation: parent.generation,
            bits,
            repeats: 0,
            ecn: Agreed::NONE,
        }
    }

    /// Our side of the connection.
    pub fn local(&self) -> SocketAddr {
        SocketAddr::new(self.local, self.ports.0)
    }
    /// The peer's side.
    pub fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.peer, self.ports.1)
    }
    /// Both sides.
    pub fn flow(&self) -> Endpoint {
        Endpoint::flow(self.local(), self.peer())
    }
    /// The listener.
    pub fn parent(&self) -> Parent {
        Parent {
            slot: self.parent,
            generation: self.generation,
        }
    }
    /// How often the SYN-ACK was repeated by the timer.
    pub fn repeats(&self) -> u8 {
        self.repeats
    }
    /// Did the peer acknowledge the SYN-ACK?
    pub fn is_deferred(&self) -> bool {
        self.bits & Self::DEFERRED != 0
    }
    /// The peer acknowledged the SYN-ACK, but text is waited for.
    pub fn defer(&mut self) {
        self.bits |= Self::DEFERRED;
    }
    /// What the SYN offered.
    pub fn offer(&self) -> Peer {
        let scale = self.bits & Self::NO_SCALE;
        Peer {
            mss: self.mss,
            window_scale: (scale != Self::NO_SCALE).then_some(scale),
            sack: self.bits & Self::SACK != 0,
            timestamp: (self.bits & Self::STAMPED != 0).then_some(self.stamp),
        }
    }
    /// May a segment of this connection be answered now? Once between two SYN-ACKs of the
    /// timer (RFC 5961 §7: replies are limited for each connection).
    pub fn may_answer(&mut self) -> bool {
        let before = self.bits;
        self.bits |= Self::ANSWERED;
        before & Self::ANSWERED == 0
    }
}

impl Entry for Embryo {
    fn list(&self) -> usize {
        self.repeats.into()
    }
}

/// All unfinished handshakes.
#[derive(Debug)]
pub(super) struct SynTable {
    table: Table<Embryo, LISTS>,
    /// The last time anybody told us.
    clock: Instant,
}

impl SynTable {
    /// A table of at most `limit` handshakes.
    pub fn new(limit: usize) -> Self {
        Self {
            table: Table::new(limit),
            clock: Instant::ZERO,
        }
    }

    /// Number of unfinished handshakes.
    pub fn len(&self) -> usize {
        self.table.len()
    }
    /// No room for another?
    pub fn is_full(&self) -> bool {
        self.table.is_full()
    }

    /// The handshake of `flow`, whose hash is `hash`.
    pub fn find(&self, hash: u64, flow: &Endpoint) -> Option<Id> {
        self.table.find(hash, |embryo| embryo.flow() == *flow)
    }
    /// Looks at a handshake.
    pub fn get(&self, id: Id) -> Option<&Embryo> {
        self.table.get(id)
    }
    /// Gives access to a handshake.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut Embryo> {
        self.table.get_mut(id)
    }

    /// A SYN-ACK was sent for the first time: it is repeated after `timeout`. False if the
    /// table is full.
    pub fn insert(&mut self, hash: u64, now: Instant, timeout: Duration, embryo: Embryo) -> bool {
        self.clock = now;
        let due = ticks(now + timeout);
        self.table.insert(hash, Embryo { due, ..embryo }).is_some()
    }

    /// The handshake ended, one way or the other.
    pub fn remove(&mut self, id: Id) -> Option<Embryo> {
        self.table.remove(id)
    }

    /// Time since the SYN-ACK was sent, if it was sent once only: a round trip when its
    /// acknowledgment is here (RFC 6298 §3, Karn's rule). `timeout` as given to `insert`.
    pub fn round_trip(&self, id: Id, now: Instant, timeout: Duration) -> Option<Duration> {
        let embryo = self.get(id)?;
        let left = embryo.due.wrapping_sub(ticks(now)) as i32;
        let left = Duration::from_micros(left.max(0) as u64);
        (embryo.repeats == 0 && embryo.bits & Embryo::ANSWERED == 0)
            .then(|| timeout.saturating_sub(left))
    }

    /// A handshake whose SYN-ACK is due to be repeated.
    pub fn due(&mut self, now: Instant) -> Option<Id> {
        self.clock = now;
        let (id, due) = self.next()?;
        (due.wrapping_sub(ticks(now)) as i32 <= 0).then_some(id)
    }

    /// The SYN-ACK was repeated, and is again after `timeout`, doubled for every repetition
    /// (RFC 6298 §5.5), unless it was repeated as often as can be counted.
    pub fn repeated(&mut self, id: Id, now: Instant, timeout: Duration) {
        self.table.requeue(id, |embryo| {
            embryo.repeats = embryo.repeats.saturating_add(1).min(MOST_REPEATS);
            embryo.bits &= !Embryo::ANSWERED;
            let wait = timeout.saturating_mul(1 << u32::from(embryo.repeats));
            embryo.due = ticks(now + wait.min(Duration::from_secs(1000)));
        });
    }

    /// When the next SYN-ACK is due.
    pub fn deadline(&self) -> Option<Instant> {
        let (_, due) = self.next()?;
        let left = due.wrapping_sub(ticks(self.clock)) as i32;
        Some(self.clock + Duration::from_micros(left.max(0) as u64))
    }

    #[inline]
    fn next(&self) -> Option<(Id, u32)> {
        if self.table.len() == 0 {
            return None;
        }
        self.next_of_all()
    }

    #[inline(never)]
    fn next_of_all(&self) -> Option<(Id, u32)> {
        let clock = ticks(self.clock);
        (0..LISTS)
            .filter_map(|list| {
                let id = self.table.oldest(list)?;
                Some((id, self.table.get(id)?.due))
            })
            .min_by_key(|(_, due)| due.wrapping_sub(clock) as i32)
    }
}

/// Low bits of time. What is kept for less than half an hour compares rightly.
fn ticks(at: Instant) -> u32 {
    at.micros() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Instant {
        // Across the end of 32 bits of microseconds.
        Instant::from_micros(u64::from(u32::MAX) - 500_000 + ms * 1000)
    }

    fn embryo(port: u16) -> Embryo {
        let offer = Peer {
            mss: 1460,
            window_scale: Some(7),
            sack: true,
            timestamp: Some(99),
        };
        let flow = (
            ([10, 0, 0, 1], 80).into(),
            SocketAddr::new([10, 0, 0, 2].into(), port),
        );
        let parent = Parent {
            slot: 3,
            generation: 1,
        };
        Embryo::new(flow, parent, (1000, 2000), &offer)
    }

    #[test]
    fn remembers_what_the_syn_offered() {
        let e = embryo(5000);
        assert_eq!(e.offer().window_scale, Some(7));
        assert_eq!(e.offer().timestamp, Some(99));
        assert!(e.offer().sack);
        let bare = Peer {
            mss: 536,
            window_scale: None,
            sack: false,
            timestamp: None,
        };
        let e = Embryo::new((e.local(), e.peer()), e.parent(), (1, 2), &bare);
        assert_eq!(e.offer(), bare);
    }

    #[test]
    fn repeats_back_off_in_order_of_time() {
        let mut syns = SynTable::new(8);
        for port in 1..=3 {
            let now = at(u64::from(port) * 100);
            assert!(syns.insert(port.into(), now, SECOND, embryo(port)));
        }
        assert_eq!(syns.deadline(), Some(at(1100)));
        assert_eq!(syns.due(at(1099)), None);
        let mut order = [0; 9];
        let mut times = [0; 9];
        for (port, ms) in order.iter_mut().zip(&mut times) {
            let next = syns.deadline().unwrap();
            let id = syns.due(next).unwrap();
            *port = syns.get(id).unwrap().peer().port();
            *ms = (next - at(0)).as_millis();
            syns.repeated(id, next, SECOND);
        }
        assert_eq!(order, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
        let want = [1100, 1200, 1300, 3100, 3200, 3300, 7100, 7200, 7300];
        assert_eq!(times, want);
    }

    #[test]
    fn measures_only_what_was_sent_once() {
        let mut syns = SynTable::new(8);
        assert!(syns.insert(9, at(0), SECOND, embryo(1)));
        let id = syns.find(9, &embryo(1).flow()).unwrap();
        assert_eq!(
            syns.round_trip(id, at(30), SECOND),
            Some(Duration::from_millis(30))
        );
        assert!(syns.get_mut(id).unwrap().may_answer());
        assert!(!syns.get_mut(id).unwrap().may_answer());
        assert_eq!(syns.round_trip(id, at(30), SECOND), None);
        syns.repeated(id, at(1000), SECOND);
        assert!(syns.get_mut(id).unwrap().may_answer());
    }
}
