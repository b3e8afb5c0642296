//! The way down: what transports see of the layers below them.

use core::net::IpAddr;
use phy::{Instant, TxMeta};

use crate::error::TxError;
use crate::iface::{Cast, Interface, Offload, PacketTx, Wait};
use crate::net::ident::Idents;
use crate::net::{Ingress, Network};
use crate::stats::Stats;
use crate::wire::IpHeader;

/// Time to live of what we send unless the sender says otherwise (RFC 1700).
pub const DEFAULT_TTL: u8 = 64;

/// Where a packet of a transport goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dest {
    /// Destination address.
    pub dst: IpAddr,
    /// Source address, or `None` for the one that suits the route.
    pub src: Option<IpAddr>,
    /// IP protocol number.
    pub proto: u8,
    /// Time to live, 1..=255; `None` for the default of 64 (RFC 1700).
    pub ttl: Option<u8>,
    /// DSCP and ECN bits (RFC 2474, RFC 3168).
    pub tos: u8,
    /// Refuse fragmentation, here and on the way.
    pub dont_fragment: bool,
    /// What happens while the next hop's link address is unknown.
    pub wait: Wait,
}

impl Dest {
    /// Towards `dst` with protocol `proto`; everything else as is usual for datagrams.
    pub const fn new(dst: IpAddr, proto: u8) -> Self {
        Self {
            dst,
            src: None,
            proto,
            ttl: None,
            tos: 0,
            dont_fragment: false,
            wait: Wait::Queue,
        }
    }
}

/// What one packet towards a destination may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The source address it would carry.
    pub src: IpAddr,
    /// Largest payload behind the IP header of one packet, in octets.
    pub payload: usize,
    /// What the link completes for us.
    pub offload: Offload,
    /// Is the destination one host, a group, or all hosts of a link?
    pub cast: Cast,
}

/// The way down, as transports see it during egress.
pub trait Output {
    /// Room of one packet to `dst`, sent from `src` if given: [`TxError::NoRoute`] if there is
    /// no way or `src` is not ours.
    fn room(&self, dst: IpAddr, src: Option<IpAddr>) -> Result<Room, TxError>;

    /// Sends `head` octets, written by `fill` behind the IP header, then `payload`. Offsets in
    /// `meta` count from the transport header. What exceeds the link is fragmented unless
    /// `to` forbids it; `head` must fit the first fragment.
    fn send_gather<F>(
        &mut self,
        to: Dest,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]);

    /// Sends one packet whose `len` octets behind the IP header `fill` writes in place.
    fn send<F>(&mut self, to: Dest, len: usize, fill: F) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        self.send_gather(to, len, [&[], &[]], TxMeta::default(), fill)
    }
}

/// One immediate answer to the sender of the packet at hand. It retraces the packet's path:
/// no route and no address lookup.
#[derive(Debug)]
pub struct Answer<T> {
    tx: T,
    ip: IpHeader,
    ident: u16,
}

impl<T: PacketTx> Answer<T> {
    /// An answer to `packet` by way of `tx`.
    pub(crate) fn to(packet: &Ingress<'_>, tx: T, idents: &mut Idents) -> Self {
        let ip = IpHeader {
            src: packet.ip.dst,
            dst: packet.ip.src,
            proto: packet.ip.proto,
            ttl: DEFAULT_TTL,
            tos: 0,
        };
        let ident = idents.next(ip.src, ip.dst, ip.proto);
        Self { tx, ip, ident }
    }
    /// The header the answer will carry.
    pub fn ip(&self) -> &IpHeader {
        &self.ip
    }
    /// The header the answer will carry, to be changed.
    pub fn ip_mut(&mut self) -> &mut IpHeader {
        &mut self.ip
    }
    /// Largest payload behind the IP header, in octets.
    pub fn room(&self) -> usize {
        self.tx.mtu().saturating_sub(header_len(&self.ip))
    }
    /// Sends `len` octets behind the IP header, written by `fill`: [`TxError::TooBig`] above
    /// [`room`](Self::room).
    pub fn send<F>(self, len: usize, fill: F) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        if len > self.room() {
            return Err(TxError::TooBig(self.tx.mtu() as u16));
        }
        let Self { tx, ip, ident } = self;
        emit(
            tx,
            &ip,
            Fragment::whole(ident),
            len,
            [&[], &[]],
            TxMeta::default(),
            fill,
        )
    }
}

/// Where a packet stands in its datagram, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub ident: u16,
    pub dont_fragment: bool,
    pub more: bool,
    /// In octets, a multiple of 8.
    pub offset: u16,
}

impl Fragment {
    /// A whole datagram that may be fragmented on its way.
    pub const fn whole(ident: u16) -> Self {
        Self {
            ident,
            dont_fragment: false,
            more: false,
            offset: 0,
        }
    }
}

/// Octets of an IP header without options.
pub(crate) fn header_len(ip: &IpHeader) -> usize {
    if ip.dst.is_ipv4() { 20 } else { 40 }
}

/// Writes IP header and payload into `tx`.
pub(crate) fn emit<F>(
    tx: impl PacketTx,
    ip: &IpHeader,
    fragment: Fragment,
    head: usize,
    payload: [&[u8]; 2],
    meta: TxMeta,
    fill: F,
) -> Result<(), TxError>
where
    F: FnOnce(&IpHeader, &mut [u8]),
{
    let _ = (tx, ip, fragment, head, payload, meta, fill);
    Err(TxError::Dropped)
}

/// [`Output`] over an interface and a network.
pub(crate) struct Down<'a, I, N> {
    iface: &'a mut I,
    net: &'a mut N,
    idents: &'a mut Idents,
    now: Instant,
    packets: u64,
    octets: u64,
}

impl<'a, I: Interface, N: Network> Down<'a, I, N> {
    pub fn new(iface: &'a mut I, net: &'a mut N, idents: &'a mut Idents, now: Instant) -> Self {
        Self {
            iface,
            net,
            idents,
            now,
            packets: 0,
            octets: 0,
        }
    }
    /// Adds what was sent to the counters.
    pub fn account(self, stats: &mut Stats) {
        stats.tx_packets = stats.tx_packets.wrapping_add(self.packets);
        stats.tx_octets = stats.tx_octets.wrapping_add(self.octets);
    }
}

impl<I: Interface, N: Network> Output for Down<'_, I, N> {
    fn room(&self, dst: IpAddr, src: Option<IpAddr>) -> Result<Room, TxError> {
        let hop = self.net.route(dst, src).ok_or(TxError::NoRoute)?;
        let mtu = self.iface.mtu(hop.link);
        let mtu = self
            .net
            .path_mtu(dst, self.now)
            .map_or(mtu, |path| path.min(mtu));
        let front = if dst.is_ipv4() { 20 } else { 40 };
        Ok(Room {
            src: src.unwrap_or(hop.from),
            payload: mtu.saturating_sub(front),
            offload: self.iface.offload(hop.link),
            cast: hop.cast,
        })
    }

    fn send_gather<F>(
        &mut self,
        to: Dest,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        let hop = self.net.route(to.dst, to.src).ok_or(TxError::NoRoute)?;
        let tx = self.iface.transmit(self.now, hop, to.wait)?;
        let ip = IpHeader {
            src: to.src.unwrap_or(hop.from),
            dst: to.dst,
            proto: to.proto,
            ttl: to.ttl.unwrap_or(DEFAULT_TTL),
            tos: to.tos,
        };
        let ident = self.idents.next(ip.src, ip.dst, ip.proto);
        let whole = Fragment {
            dont_fragment: to.dont_fragment,
            ..Fragment::whole(ident)
        };
        emit(tx, &ip, whole, head, payload, meta, fill)?;
        self.packets = self.packets.wrapping_add(1);
        self.octets = self
            .octets
            .wrapping_add((header_len(&ip) + head + payload[0].len() + payload[1].len()) as u64);
        Ok(())
    }
}
