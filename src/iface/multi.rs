//! Two interfaces as one, and one of two interfaces.
//!
//! Invariant: `(A, B)` numbers `A`'s link 0 and then `B`'s links from 1 on, so that a stack sees
//! every link once; `A` should have one link only, and longer lists nest to the right:
//! `(A, (B, C))`. A link number beyond the last goes to `B`, which decides.

use core::net::IpAddr;
use phy::{Abort, Instant, TxMeta};

use super::{Hop, Interface, Link, Offload, Packet, PacketSink, PacketTx, Wait};
use crate::error::{Drop, TxError};
use crate::secret::Secret;

/// `Err(n)`: link `n` of the second; `Ok`: the first's.
const fn split(link: Link) -> Result<Link, Link> {
    match link.checked_sub(1) {
        None => Ok(0),
        Some(second) => Err(second),
    }
}

impl<A: Interface, B: Interface> Interface for (A, B) {
    fn start(&mut self, secret: &Secret) {
        self.0.start(secret);
        self.1.start(secret);
    }

    fn mtu(&self, link: Link) -> usize {
        match split(link) {
            Ok(first) => self.0.mtu(first),
            Err(second) => self.1.mtu(second),
        }
    }

    fn offload(&self, link: Link) -> Offload {
        match split(link) {
            Ok(first) => self.0.offload(first),
            Err(second) => self.1.offload(second),
        }
    }

    /// Each may use half of the budget, and then what the other left of its half: a flood on
    /// one does not keep the other waiting. An odd frame goes to whom the clock favours.
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl PacketSink) -> usize {
        let odd = budget & now.millis() as usize & 1;
        let share = (budget / 2).saturating_add(odd);
        let a = self.0.receive(now, share, sink);
        let left = budget.saturating_sub(a);
        let b = self.1.receive(now, left, &mut Shifted(sink));
        let left = left.saturating_sub(b);
        let more = if a >= share && left > 0 {
            self.0.receive(now, left, sink)
        } else {
            0
        };
        a.saturating_add(b).saturating_add(more)
    }

    fn transmit(&mut self, now: Instant, hop: Hop, wait: Wait) -> Result<impl PacketTx, TxError> {
        Ok(match split(hop.link) {
            Ok(link) => Either::A(self.0.transmit(now, Hop { link, ..hop }, wait)?),
            Err(link) => Either::B(self.1.transmit(now, Hop { link, ..hop }, wait)?),
        })
    }

    fn flush(&mut self, now: Instant) {
        self.0.flush(now);
        self.1.flush(now);
    }

    fn take_resolved(&mut self) -> bool {
        // Both must be asked: the answer is given once.
        let a = self.0.take_resolved();
        let b = self.1.take_resolved();
        a || b
    }

    fn deadline(&self) -> Option<Instant> {
        earlier(self.0.deadline(), self.1.deadline())
    }

    fn announce(&mut self, link: Link, ip: IpAddr) {
        match split(link) {
            Ok(first) => self.0.announce(first, ip),
            Err(second) => self.1.announce(second, ip),
        }
    }
}

/// The earlier of two deadlines, either of which may not exist.
pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}

/// The sink as the second interface sees it.
struct Shifted<'a, K>(&'a mut K);

impl<K: PacketSink> PacketSink for Shifted<'_, K> {
    fn packet(&mut self, packet: Packet<'_>, answer: impl PacketTx) {
        let link = packet.link.saturating_add(1);
        self.0.packet(Packet { link, ..packet }, answer);
    }

    fn owns(&self, link: Link, ip: IpAddr) -> bool {
        self.0.owns(link.saturating_add(1), ip)
    }

    fn dropped(&mut self, reason: Drop) {
        self.0.dropped(reason);
    }

    fn unreachable(&mut self, link: Link, packet: &mut [u8]) {
        self.0.unreachable(link.saturating_add(1), packet);
    }
}

/// One of two: an interface chosen at run time, or the transmit room of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The first.
    A(A),
    /// The second.
    B(B),
}

/// The same expression for whichever it is.
macro_rules! each {
    ($either:expr, $x:ident => $e:expr) => {
        match $either {
            Either::A($x) => $e,
            Either::B($x) => $e,
        }
    };
}

impl<A: Interface, B: Interface> Interface for Either<A, B> {
    fn start(&mut self, secret: &Secret) {
        each!(self, x => x.start(secret))
    }

    fn mtu(&self, link: Link) -> usize {
        each!(self, x => x.mtu(link))
    }

    fn offload(&self, link: Link) -> Offload {
        each!(self, x => x.offload(link))
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl PacketSink) -> usize {
        each!(self, x => x.receive(now, budget, sink))
    }

    fn transmit(&mut self, now: Instant, hop: Hop, wait: Wait) -> Result<impl PacketTx, TxError> {
        Ok(match self {
            Self::A(a) => Either::A(a.transmit(now, hop, wait)?),
            Self::B(b) => Either::B(b.transmit(now, hop, wait)?),
        })
    }

    fn flush(&mut self, now: Instant) {
        each!(self, x => x.flush(now))
    }

    fn take_resolved(&mut self) -> bool {
        each!(self, x => x.take_resolved())
    }

    fn deadline(&self) -> Option<Instant> {
        each!(self, x => x.deadline())
    }

    fn announce(&mut self, link: Link, ip: IpAddr) {
        each!(self, x => x.announce(link, ip))
    }
}

impl<A: PacketTx, B: PacketTx> PacketTx for Either<A, B> {
    fn mtu(&self) -> usize {
        each!(self, x => x.mtu())
    }

    fn offload(&self) -> Offload {
        each!(self, x => x.offload())
    }

    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        each!(self, x => x.send_gather(head, payload, meta, fill))
    }
}
