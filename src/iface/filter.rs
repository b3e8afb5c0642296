//! A look at every packet that crosses an interface: firewalls, NAT, counters, captures.
//!
//! Invariant: no packet passes between the inner interface and the stack, in either
//! direction and answers included, that the filter has not judged. Link-layer frames (ARP) are
//! not packets and are not shown.

use core::net::IpAddr;
use phy::{Abort, Instant, TxMeta, assemble};

use super::{Hop, Interface, Link, Offload, Packet, PacketSink, PacketTx, Wait};
use crate::error::{Drop, TxError};
use crate::secret::Secret;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, as the filter left it.
    Pass,
    /// It goes no further and is counted as [`Drop::Filtered`].
    Drop,
}

/// Sees, rewrites or drops every IP packet. Most middle boxes need only this.
///
/// ```
/// use netstrata::iface::{Filter, Verdict};
/// use netstrata::phy::Instant;
///
/// /// Lets no packet in that carries UDP.
/// struct NoUdp;
/// impl Filter for NoUdp {
///     const PAYLOAD: bool = false;
///     fn ingress(&mut self, _: Instant, packet: &mut [u8]) -> Verdict {
///         if packet.get(9) == Some(&17) { Verdict::Drop } else { Verdict::Pass }
///     }
/// }
/// ```
pub trait Filter {
    /// Whether `egress` must see the payload. If not, it sees the headers in front of it only,
    /// and a device that gathers still takes the payload from where it lies.
    const PAYLOAD: bool = true;

    /// A packet on its way up, from the first octet of its IP header to the end of the frame.
    /// It is not checked yet: any octets are possible.
    fn ingress(&mut self, now: Instant, packet: &mut [u8]) -> Verdict {
        let _ = (now, packet);
        Verdict::Pass
    }

    /// A packet on its way down. Its transport checksum may be left to the device, and it may
    /// be a super-segment, where the interface offers that ([`Interface::offload`]).
    fn egress(&mut self, now: Instant, packet: &mut [u8]) -> Verdict {
        let _ = (now, packet);
        Verdict::Pass
    }
}

/// An interface with a [`Filter`] on it.
///
/// Packets given back as unreachable are those that left the filter: as it rewrote them.
#[derive(Debug)]
pub struct Filtered<I, F> {
    /// The interface below.
    pub inner: I,
    /// The filter.
    pub filter: F,
    /// Packets dropped on their way down that no sink has been told of yet.
    uncounted: u32,
}

impl<I: Interface, F: Filter> Filtered<I, F> {
    /// Puts `filter` on `inner`.
    pub const fn new(inner: I, filter: F) -> Self {
        Self {
            inner,
            filter,
            uncounted: 0,
        }
    }
}

impl<I: Interface, F: Filter> Interface for Filtered<I, F> {
    fn start(&mut self, secret: &Secret) {
        self.inner.start(secret);
    }

    fn mtu(&self, link: Link) -> usize {
        self.inner.mtu(link)
    }

    fn offload(&self, link: Link) -> Offload {
        self.inner.offload(link)
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl PacketSink) -> usize {
        // Answers are dropped in here, and packets in `transmit`: both are counted by the
        // next call at the latest, because only it has a sink.
        for _ in 0..core::mem::take(&mut self.uncounted) {
            sink.dropped(Drop::Filtered);
        }
        let mut up = Up {
            now,
            filter: &mut self.filter,
            uncounted: &mut self.uncounted,
            sink: &mut *sink,
        };
        let taken = self.inner.receive(now, budget, &mut up);
        for _ in 0..core::mem::take(&mut self.uncounted) {
            sink.dropped(Drop::Filtered);
        }
        taken
    }

    fn transmit(&mut self, now: Instant, hop: Hop, wait: Wait) -> Result<impl PacketTx, TxError> {
        Ok(FilterTx {
            now,
            filter: &mut self.filter,
            uncounted: &mut self.uncounted,
            inner: self.inner.transmit(now, hop, wait)?,
        })
    }

    fn flush(&mut self, now: Instant) {
        self.inner.flush(now);
    }

    fn take_resolved(&mut self) -> bool {
        self.inner.take_resolved()
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    fn announce(&mut self, link: Link, ip: IpAddr) {
        self.inner.announce(link, ip);
    }
}

struct Up<'a, F, K> {
    now: Instant,
    filter: &'a mut F,
    uncounted: &'a mut u32,
    sink: &'a mut K,
}

impl<F: Filter, K: PacketSink> PacketSink for Up<'_, F, K> {
    fn packet(&mut self, packet: Packet<'_>, answer: impl PacketTx) {
        if self.filter.ingress(self.now, packet.octets) == Verdict::Drop {
            return self.sink.dropped(Drop::Filtered);
        }
        let answer = FilterTx {
            now: self.now,
            filter: self.filter,
            uncounted: self.uncounted,
            inner: answer,
        };
        self.sink.packet(packet, answer);
    }

    fn owns(&self, link: Link, ip: IpAddr) -> bool {
        self.sink.owns(link, ip)
    }

    fn dropped(&mut self, reason: Drop) {
        self.sink.dropped(reason);
    }

    fn unreachable(&mut self, link: Link, packet: &mut [u8]) {
        self.sink.unreachable(link, packet);
    }
}

struct FilterTx<'a, F, T> {
    now: Instant,
    filter: &'a mut F,
    uncounted: &'a mut u32,
    inner: T,
}

impl<F: Filter, T: PacketTx> PacketTx for FilterTx<'_, F, T> {
    fn mtu(&self) -> usize {
        self.inner.mtu()
    }

    fn offload(&self) -> Offload {
        self.inner.offload()
    }

    fn send_gather<G>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: G,
    ) -> Result<(), TxError>
    where
        G: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        let Self {
            now,
            filter,
            uncounted,
            inner,
        } = self;
        let mut judge = |packet: &mut [u8]| match filter.egress(now, packet) {
            Verdict::Pass => Ok(()),
            Verdict::Drop => {
                *uncounted = uncounted.saturating_add(1);
                Err(Abort)
            }
        };
        if !F::PAYLOAD {
            return inner.send_gather(head, payload, meta, |packet| {
                fill(packet)?;
                judge(packet)
            });
        }
        let [a, b] = payload;
        let len = head.saturating_add(a.len()).saturating_add(b.len());
        inner.send(len, meta, |packet| {
            assemble(packet, payload, fill)?;
            judge(packet)
        })
    }
}
