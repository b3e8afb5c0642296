//! The way down: what transports see of the layers below them.

use core::net::IpAddr;
use phy::{Abort, Instant, TxMeta};

use crate::error::TxError;
use crate::iface::{Cast, Hop, Interface, Offload, PacketTx, Wait};
use crate::net::Network;
use crate::net::answer::Origin;
use crate::net::fragment::{
    Cuts, Fragment, MAX_PACKET, body_len, complete, emit, header_len, part,
};
use crate::wire::{IpHeader, Ipv4, Ipv4Template};

/// Time to live of what we send unless the sender says otherwise (RFC 1700).
pub const DEFAULT_TTL: u8 = IpHeader::DEFAULT_TTL;

/// Where a packet of a transport goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dest {
    /// Destination address.
    pub dst: IpAddr,
    /// Source address, or `None` for the one that suits the route.
    pub src: Option<IpAddr>,
    /// IP protocol number.
    pub proto: u8,
    /// Time to live, 1..=255; `None` for the default: 64 (RFC 1700), or 1 to a group (RFC 1112
    /// §6.1).
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

/// Where a run of packets goes: found once, for as long as nothing is received.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    to: Dest,
    /// ECN bits of its packets besides those of `to`.
    ecn: u8,
    way: Option<Found>,
}

/// The way of a path.
#[derive(Debug, Clone, Copy)]
struct Found {
    hop: Hop,
    /// What [`Network::version`] was when the hop was found.
    version: u32,
    ip: IpHeader,
    /// Octets of the largest packet.
    mtu: usize,
    /// The header of its packets, but for length and identification.
    head: Ipv4Template,
    /// What the counter of identifications is found by; `None` for packets that may not be
    /// fragmented, whose identification means nothing (RFC 6864 §4.1).
    ident: Option<u64>,
}

impl Path {
    /// Where it leads.
    pub const fn to(&self) -> &Dest {
        &self.to
    }

    /// With these ECN bits besides those of its service.
    #[inline]
    fn mark(&mut self, ecn: u8) {
        if self.ecn != ecn {
            self.ecn = ecn;
            if let Some(found) = &mut self.way {
                found.head.set_tos(self.to.tos | ecn);
            }
        }
    }
}

/// The way down, as transports see it during egress.
pub trait Output {
    /// Room of one packet to `dst`, sent from `src` if given: [`TxError::NoRoute`] if there is
    /// no way or `src` is not ours.
    fn room(&self, dst: IpAddr, src: Option<IpAddr>) -> Result<Room, TxError>;

    /// Sends `head` octets, written by `fill` behind the IP header, then `payload`. Offsets in
    /// `meta` count from the transport header. What exceeds the link or the path is fragmented
    /// unless `to` forbids it; `head` must fit the first fragment. With `meta.gso` the device
    /// cuts, and nothing is measured here.
    ///
    /// The fragments of a datagram share its fate: with [`Wait::Queue`] and a next hop not yet
    /// resolved, they wait together; without an allocator only one fits, and the datagram is lost.
    ///
    /// No device sees a fragmented datagram whole: a checksum asked for in `meta` is then
    /// completed in software, so whoever may exceed [`Room::payload`] does better to compute it
    /// while copying than to use [`Room::offload`].
    ///
    /// # Errors
    /// [`TxError::NoRoute`]; [`TxError::TooBig`] for what may not be fragmented, for a `head` that
    /// fits no fragment, and for packets above 65,535 octets; [`TxError::Full`] and
    /// [`TxError::Resolving`], after which the same packet may be sent again; others when it is
    /// lost.
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

    /// The way of several packets to one destination, which [`send_on`](Self::send_on) takes.
    ///
    /// # Errors
    /// [`TxError::NoRoute`].
    fn path(&mut self, to: Dest) -> Result<Path, TxError> {
        Ok(Path {
            to,
            ecn: 0,
            way: None,
        })
    }

    /// Finds the way of several packets to one destination, which
    /// [`send_along`](Self::send_along) takes until anything else is sent or asked for, and returns
    /// the room of each.
    ///
    /// # Errors
    /// [`TxError::NoRoute`].
    fn way(&mut self, to: &Dest) -> Result<Room, TxError>;

    /// What [`send_along`](Self::send_along) sends from now on carries these ECN bits (RFC 3168 §5),
    /// 0 to 3, besides those of its service; none after `way`.
    fn mark(&mut self, ecn: u8);

    /// As [`send_gather`](Self::send_gather), on the way found last.
    ///
    /// # Errors
    /// As there.
    fn send_along<F>(
        &mut self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]);

    /// As [`send_gather`](Self::send_gather), on a path found before.
    ///
    /// # Errors
    /// As there.
    fn send_on<F>(
        &mut self,
        path: &Path,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        self.send_gather(path.to, head, payload, meta, fill)
    }

    /// Sends one packet whose `len` octets behind the IP header `fill` writes in place. It is
    /// never fragmented: [`TxError::TooBig`] if it would have to be.
    fn send<F>(&mut self, to: Dest, len: usize, fill: F) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        self.send_gather(to, len, [&[], &[]], TxMeta::default(), fill)
    }
}

/// [`Output`] over an interface and a network.
pub(crate) struct Down<'a, I, N> {
    iface: &'a mut I,
    net: &'a mut N,
    origin: &'a mut Origin,
    now: Instant,
}

impl<'a, I: Interface, N: Network> Down<'a, I, N> {
    pub fn new(iface: &'a mut I, net: &'a mut N, origin: &'a mut Origin, now: Instant) -> Self {
        Self {
            iface,
            net,
            origin,
            now,
        }
    }

    fn route(&self, dst: IpAddr, src: Option<IpAddr>) -> Result<Hop, TxError> {
        self.net.route(dst, src).ok_or(TxError::NoRoute)
    }

    /// Largest packet to `dst` by way of `hop`, in octets.
    #[inline]
    fn mtu(&self, hop: &Hop, dst: IpAddr) -> usize {
        let link = self.iface.mtu(hop.link);
        let path = self.net.path_mtu(dst, self.now);
        path.map_or(link, |path| path.min(link))
    }

    #[inline(always)]
    fn room_of(&self, hop: &Hop, mtu: usize, dst: IpAddr, src: Option<IpAddr>) -> Room {
        let front = if dst.is_ipv4() { 20 } else { 40 };
        Room {
            src: src.unwrap_or(hop.from),
            payload: mtu.min(MAX_PACKET).saturating_sub(front),
            offload: self.iface.offload(hop.link),
            cast: hop.cast,
        }
    }

    /// The path by way of `hop`, which carries packets of `mtu` octets: the one found last, if it is
    /// the same.
    #[inline]
    fn path_by(&mut self, to: Dest, hop: &Hop, mtu: usize) -> Path {
        if let Some(path) = &self.origin.path
            && path.to == to
            && let Some(found) = &path.way
            && path.ecn == 0
            && found.hop == *hop
            && found.mtu == mtu
        {
            return *path;
        }
        self.new_path(to, *hop, mtu)
    }

    #[inline(never)]
    fn new_path(&mut self, to: Dest, hop: Hop, mtu: usize) -> Path {
        let ip = header(&hop, &to);
        let idents = &mut self.origin.idents;
        let way = Ipv4::from_header(&ip).map(|header| Found {
            hop,
            version: self.net.version(),
            ip,
            mtu,
            head: Ipv4Template::new(&Ipv4 {
                dont_fragment: to.dont_fragment,
                ..header
            }),
            ident: (!to.dont_fragment).then(|| idents.hash(ip.src, ip.dst, ip.proto)),
        });
        let path = Path { to, ecn: 0, way };
        self.origin.path = Some(path);
        path
    }

    /// Sends what exceeds `mtu` in pieces. Once the first piece is out the others follow or the
    /// datagram is lost: the same one again would only be lost again.
    fn send_fragments<F>(
        &mut self,
        way: (Hop, Wait, usize),
        ip: &IpHeader,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        let (hop, wait, mtu) = way;
        let too_big = TxError::TooBig(u16::try_from(mtu).unwrap_or(u16::MAX));
        let body = body_len(ip, head, payload)?;
        let mut cuts = Cuts::new(body, mtu.saturating_sub(header_len(ip))).ok_or(too_big)?;
        if head > cuts.each() {
            return Err(too_big);
        }
        let ident = self.origin.idents.next(ip.src, ip.dst, ip.proto);
        let first = self.iface.transmit(self.now, hop, wait)?;
        let Some((_, len, more)) = cuts.next() else {
            return Ok(());
        };
        let whole = Fragment::whole(ident);
        let front = part(payload, 0, len.saturating_sub(head));
        let stamp = TxMeta {
            stamp: meta.stamp,
            ..TxMeta::NONE
        };
        let piece = Fragment { more, ..whole };
        emit(first, ip, piece, head, front, stamp, |ip, room| {
            fill(ip, room);
            if let Some(csum) = meta.csum {
                complete(csum, room, payload);
            }
        })?;
        self.origin.sent(ip, len);
        for (at, len, more) in cuts {
            let octets = part(payload, at.saturating_sub(head), len);
            let offset = at as u16; // below 65,536, since `body` is
            let piece = Fragment {
                more,
                offset,
                ..whole
            };
            let mut result = self.send_piece(hop, wait, ip, piece, octets);
            if result == Err(TxError::Full) {
                // A device may have more room than it has slots in its queue.
                self.iface.flush(self.now);
                result = self.send_piece(hop, wait, ip, piece, octets);
            }
            if let Err(error) = result {
                self.origin.lost();
                return Err(match error {
                    TxError::Full | TxError::Resolving => TxError::Dropped,
                    other => other,
                });
            }
            self.origin.sent(ip, len);
        }
        Ok(())
    }

    fn send_piece(
        &mut self,
        hop: Hop,
        wait: Wait,
        ip: &IpHeader,
        piece: Fragment,
        payload: [&[u8]; 2],
    ) -> Result<(), TxError> {
        let tx = self.iface.transmit(self.now, hop, wait)?;
        emit(tx, ip, piece, 0, payload, TxMeta::NONE, |_, _| {})
    }
}

impl<I: Interface, N: Network> Output for Down<'_, I, N> {
    fn room(&self, dst: IpAddr, src: Option<IpAddr>) -> Result<Room, TxError> {
        let hop = self.route(dst, src)?;
        Ok(self.room_of(&hop, self.mtu(&hop, dst), dst, src))
    }

    #[inline]
    fn way(&mut self, to: &Dest) -> Result<Room, TxError> {
        if let Some(path) = &self.origin.path
            && path.to == *to
            && let Some(found) = &path.way
            && found.version == self.net.version()
            && found.version != 0
            && found.mtu == self.mtu(&found.hop, to.dst)
        {
            let room = self.room_of(&found.hop, found.mtu, to.dst, to.src);
            self.mark(0);
            return Ok(room);
        }
        let hop = self.route(to.dst, to.src)?;
        let mtu = self.mtu(&hop, to.dst);
        let _ = self.new_path(*to, hop, mtu);
        Ok(self.room_of(&hop, mtu, to.dst, to.src))
    }

    #[inline]
    fn mark(&mut self, ecn: u8) {
        if let Some(path) = &mut self.origin.path {
            path.mark(ecn);
        }
    }

    #[inline]
    fn send_along<F>(
        &mut self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        let Origin { path, idents, .. } = &mut *self.origin;
        let Some(path) = path else {
            return Err(TxError::NoRoute);
        };
        if let Some(found) = &path.way {
            let body = body_len(&found.ip, head, payload)?;
            if meta.gso.is_some() || Ipv4::LEN + body <= found.mtu {
                let tx = self.iface.transmit(self.now, found.hop, path.to.wait)?;
                let ident = found.ident.map_or(0, |hash| idents.next_of(hash));
                let meta = meta.shifted(Ipv4::LEN as u16);
                tx.send_gather(Ipv4::LEN + head, payload, meta, |packet| {
                    let (h, rest) = packet.split_first_chunk_mut().ok_or(Abort)?;
                    found.head.emit(body, ident, h);
                    fill(&found.ip, rest);
                    Ok(())
                })?;
                self.origin.count(Ipv4::LEN + body);
                return Ok(());
            }
        }
        let to = Dest {
            tos: path.to.tos | path.ecn,
            ..path.to
        };
        self.send_otherwise(to, head, payload, meta, fill)
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
        let hop = self.route(to.dst, to.src)?;
        let ip = header(&hop, &to);
        let body = body_len(&ip, head, payload)?;
        let mtu = self.mtu(&hop, to.dst);
        // What the device cuts into segments itself is measured by the device.
        if meta.gso.is_none() && header_len(&ip) + body > mtu {
            if to.dont_fragment {
                return Err(TxError::TooBig(u16::try_from(mtu).unwrap_or(u16::MAX)));
            }
            let way = (hop, to.wait, mtu);
            return self.send_fragments(way, &ip, head, payload, meta, fill);
        }
        let tx = self.iface.transmit(self.now, hop, to.wait)?;
        let fragment = if to.dont_fragment {
            Fragment::atomic()
        } else {
            Fragment::whole(self.origin.idents.next(ip.src, ip.dst, ip.proto))
        };
        emit(tx, &ip, fragment, head, payload, meta, fill)?;
        self.origin.sent(&ip, body);
        Ok(())
    }

    fn path(&mut self, to: Dest) -> Result<Path, TxError> {
        let hop = self.route(to.dst, to.src)?;
        let mtu = self.mtu(&hop, to.dst);
        Ok(self.path_by(to, &hop, mtu))
    }

    #[inline]
    fn send_on<F>(
        &mut self,
        path: &Path,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&IpHeader, &mut [u8]),
    {
        if let Some(found) = &path.way {
            let body = body_len(&found.ip, head, payload)?;
            if meta.gso.is_some() || Ipv4::LEN + body <= found.mtu {
                let tx = self.iface.transmit(self.now, found.hop, path.to.wait)?;
                let ident = match found.ident {
                    Some(hash) => self.origin.idents.next_of(hash),
                    None => 0,
                };
                let meta = meta.shifted(Ipv4::LEN as u16);
                tx.send_gather(Ipv4::LEN + head, payload, meta, |packet| {
                    let (h, rest) = packet.split_first_chunk_mut().ok_or(Abort)?;
                    found.head.emit(body, ident, h);
                    fill(&found.ip, rest);
                    Ok(())
                })?;
                self.origin.sent(&found.ip, body);
                return Ok(());
            }
        }
        self.send_otherwise(path.to, head, payload, meta, fill)
    }
}

impl<I: Interface, N: Network> Down<'_, I, N> {
    /// What is too long for its path, or has none prepared: apart, so that `fill` stays where it
    /// is called most.
    #[cold]
    #[inline(never)]
    fn send_otherwise<F>(
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
        self.send_gather(to, head, payload, meta, fill)
    }
}

/// The header of packets for `to` by way of `hop`.
fn header(hop: &Hop, to: &Dest) -> IpHeader {
    let ttl = match hop.cast {
        // RFC 1112 §6.1: groups stay on the link unless the sender says otherwise.
        Cast::Multicast => 1,
        Cast::Unicast | Cast::Broadcast => DEFAULT_TTL,
    };
    IpHeader {
        src: to.src.unwrap_or(hop.from),
        dst: to.dst,
        proto: to.proto,
        ttl: to.ttl.unwrap_or(ttl),
        tos: to.tos,
    }
}
