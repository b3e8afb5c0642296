//! One immediate answer to the packet at hand.
//!
//! Invariant: an answer retraces its packet's path and never waits: no route, no address
//! lookup, no fragmentation. It is sent at most once, within the call that received the packet;
//! anything more is a matter of state and egress.

use phy::TxMeta;

use crate::error::TxError;
use crate::iface::{Offload, PacketTx};
use crate::net::Ingress;
use crate::net::fragment::{Fragment, body_len, emit, header_len};
use crate::net::ident::Idents;
use crate::net::output::Path;
use crate::stats::Stats;
use crate::wire::IpHeader;

/// What all packets share that this host originates: identification values, and the count.
#[derive(Debug)]
pub(crate) struct Origin {
    pub idents: Idents,
    packets: u64,
    octets: u64,
    /// Datagrams given up half sent.
    lost: u64,
    /// The path found last: connections to one host differ in their ports only.
    pub path: Option<Path>,
}

impl Origin {
    pub fn new(idents: Idents) -> Self {
        Self {
            idents,
            packets: 0,
            octets: 0,
            lost: 0,
            path: None,
        }
    }
    /// Counts a packet with `body` octets behind its header.
    pub fn sent(&mut self, ip: &IpHeader, body: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add((header_len(ip) + body) as u64);
    }
    /// Counts a packet of `octets`, its header included.
    #[inline]
    pub fn count(&mut self, octets: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u64);
    }
    /// Counts a datagram of which only some fragments left.
    pub fn lost(&mut self) {
        self.lost = self.lost.wrapping_add(1);
    }
    /// Moves the counts to where they are seen.
    pub fn account(&mut self, stats: &mut Stats) {
        stats.tx_packets = stats.tx_packets.wrapping_add(self.packets);
        stats.tx_octets = stats.tx_octets.wrapping_add(self.octets);
        for _ in 0..self.lost {
            stats.drops.count(crate::error::Drop::TxFull);
        }
        (self.packets, self.octets, self.lost) = (0, 0, 0);
    }
}

/// One immediate answer to the sender of the packet at hand. It retraces the packet's path:
/// no route and no address lookup.
#[derive(Debug)]
pub struct Answer<'o, T> {
    tx: T,
    ip: IpHeader,
    dont_fragment: bool,
    routed: bool,
    origin: &'o mut Origin,
}

impl<'o, T: PacketTx> Answer<'o, T> {
    /// An answer to `packet` by way of `tx`: from its destination to its source, of its
    /// protocol, with the usual TTL and service.
    pub(crate) fn to(packet: &Ingress<'_>, tx: T, origin: &'o mut Origin) -> Self {
        Self {
            tx,
            ip: packet.ip.reversed(),
            dont_fragment: false,
            routed: packet.answerable,
            origin,
        }
    }
    /// Does a route lead where the answer goes, so that more can follow it later?
    pub fn is_routed(&self) -> bool {
        self.routed
    }
    /// The header the answer will carry.
    pub fn ip(&self) -> &IpHeader {
        &self.ip
    }
    /// The header the answer will carry, to be changed.
    pub fn ip_mut(&mut self) -> &mut IpHeader {
        &mut self.ip
    }
    /// Routers must not fragment the answer; they may unless this is set.
    pub fn set_dont_fragment(&mut self, on: bool) {
        self.dont_fragment = on;
    }
    /// Largest payload behind the IP header, in octets.
    pub fn room(&self) -> usize {
        self.tx.mtu().saturating_sub(header_len(&self.ip))
    }
    /// What the link completes for us.
    pub fn offload(&self) -> Offload {
        self.tx.offload()
    }
    /// Sends `len` octets behind the IP header, written by `fill`.
    ///
    /// # Errors
    /// [`TxError::TooBig`] above [`room`](Self::room), [`TxError::Full`] when the frame came
    /// without room for an answer, and what the link says.
    pub fn send<F>(self, len: usize, fill: F) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        self.send_gather(len, [&[], &[]], TxMeta::NONE, fill)
    }
    /// Sends `head` octets behind the IP header, written by `fill`, then `payload`. Offsets in
    /// `meta` count from the transport header.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        let body = body_len(&self.ip, head, payload)?;
        if body > self.room() {
            let mtu = u16::try_from(self.tx.mtu()).unwrap_or(u16::MAX);
            return Err(TxError::TooBig(mtu));
        }
        let Self { tx, ip, origin, .. } = self;
        let fragment = if self.dont_fragment {
            Fragment::atomic()
        } else {
            Fragment::whole(origin.idents.next(ip.src, ip.dst, ip.proto))
        };
        emit(tx, &ip, fragment, head, payload, meta, fill)?;
        origin.sent(&ip, body);
        Ok(())
    }
}
