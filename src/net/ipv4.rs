//! IPv4 for a host (RFC 791, RFC 1122 §3): addresses, routes, and what may come in.
//!
//! Invariants: a packet reaches transports only if its source may send, its destination is
//! ours on the link it came by (the strong model of RFC 1122 §3.3.4.2), and its header adds up;
//! nothing is forwarded. Addresses and routes may change at any time; what is under way is
//! judged by what holds when it comes.

use core::cell::Cell;
use core::net::{IpAddr, Ipv4Addr};
use phy::Instant;

use super::config::ConfigError;
use super::martian::Class;
use super::pmtu::PathMtus;
#[cfg(feature = "alloc")]
use super::reassembly::{Reassembly, ReassemblyLimits};
use super::route::{Entry, Route, Routes};
use super::table::{Groups, Table};
#[cfg(feature = "alloc")]
use super::unreach::Quote;
use super::{Ingress, Network};
use crate::addr::Cidr;
use crate::context::Cx;
use crate::error::Drop;
use crate::iface::{Cast, Hop, Link, Packet};
use crate::wire::{Ipv4 as Header, Ipv4Options};

/// This host's IPv4 addresses and routes, and the header work.
///
/// Without an allocator there is room for `A` addresses and `R` routes, one of which each
/// address takes for its network; with one, for any number. Without an allocator fragments are
/// dropped and counted.
///
/// ```
/// use netstrata::net::{Ipv4, Network};
/// let mut net = Ipv4::default()
///     .with(0, [192, 168, 69, 1].into(), 24)
///     .gateway(0, [192, 168, 69, 100].into());
/// let hop = net.route([1, 1, 1, 1].into(), None).unwrap();
/// assert_eq!(hop.to, core::net::IpAddr::from([192, 168, 69, 100]));
/// net.add_address(0, [192, 168, 69, 2].into(), 24).unwrap();
/// assert_eq!(net.addresses().count(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct Ipv4<const A: usize = 8, const R: usize = 24> {
    table: Table<A>,
    routes: Routes<R>,
    groups: Groups,
    paths: PathMtus,
    loopback: Option<Link>,
    /// The last packet judged good that was for us alone, from somebody we have a route to: most
    /// are like the one before.
    judged: Option<Judged>,
    /// The way found last: most packets go where the one before went.
    last: Last,
    /// Changes of addresses and routes, never 0.
    version: u32,
    #[cfg(feature = "alloc")]
    reassembly: Reassembly,
}

/// Source, destination and link of a packet that may come in and is for us alone. Forgotten
/// whenever addresses or routes change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Judged {
    src: u32,
    dst: u32,
    link: Link,
}

/// Destination and source asked for, both not 0, and the way from one to the other. Forgotten with
/// [`Judged`].
#[derive(Debug, Clone)]
struct Last {
    /// Both addresses; 0 for none.
    key: Cell<u64>,
    hop: Cell<Option<Hop>>,
}

impl Last {
    const fn new() -> Self {
        Self {
            key: Cell::new(0),
            hop: Cell::new(None),
        }
    }

    /// What `dst` and `src` are known by: 0 where they are not to be.
    #[inline]
    fn key(dst: IpAddr, src: Option<IpAddr>) -> u64 {
        match (dst, src) {
            (IpAddr::V4(dst), Some(IpAddr::V4(src))) if !src.is_unspecified() => {
                u64::from(dst.to_bits()) << 32 | u64::from(src.to_bits())
            }
            (IpAddr::V4(dst), None) => u64::from(dst.to_bits()) << 32,
            _ => 0,
        }
    }
}

impl Default for Ipv4 {
    fn default() -> Self {
        Self::sized()
    }
}

impl<const A: usize, const R: usize> Ipv4<A, R> {
    /// A host without addresses, with room as its type says: `Ipv4::<64, 80>::sized()`.
    pub fn sized() -> Self {
        Self {
            table: Table::new(),
            routes: Routes::new(),
            groups: Groups::new(),
            paths: PathMtus::new(),
            loopback: None,
            judged: None,
            last: Last::new(),
            version: 1,
            #[cfg(feature = "alloc")]
            reassembly: Reassembly::new(),
        }
    }

    /// Adds an address on a network of `prefix` leading bits.
    ///
    /// # Panics
    /// Where [`add_address`](Self::add_address) has an error.
    #[must_use]
    #[track_caller]
    pub fn with(mut self, link: Link, ip: Ipv4Addr, prefix: u8) -> Self {
        if let Err(error) = self.add_address(link, ip, prefix) {
            panic!("address {ip}/{prefix} on link {link}: {error}");
        }
        self
    }

    /// Sends what no other route takes to the neighbour `gateway` on `link`.
    ///
    /// # Panics
    /// Where [`add_route`](Self::add_route) has an error.
    #[must_use]
    #[track_caller]
    pub fn gateway(self, link: Link, gateway: Ipv4Addr) -> Self {
        match Cidr::new(Ipv4Addr::UNSPECIFIED.into(), 0) {
            Ok(all) => self.with_route(all, gateway, link),
            Err(_) => self,
        }
    }

    /// Sends what is for `to` to the neighbour `via` on `link`, or, with `None`, to the
    /// destinations themselves, which are then neighbours there.
    ///
    /// # Panics
    /// Where [`add_route`](Self::add_route) has an error.
    #[must_use]
    #[track_caller]
    pub fn with_route(mut self, to: Cidr, via: impl Into<Option<Ipv4Addr>>, link: Link) -> Self {
        if let Err(error) = self.add_route(to, via, link) {
            panic!("route to {to} on link {link}: {error}");
        }
        self
    }

    /// Makes `link` the one over which this host talks to itself, by any of its addresses and by
    /// those of 127.0.0.0/8. Without it packets to our own addresses have no route.
    #[must_use]
    pub fn loopback(mut self, link: Link) -> Self {
        self.loopback = Some(link);
        self.forget();
        self
    }

    /// Sets the bounds of reassembly.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn with_reassembly(mut self, limits: ReassemblyLimits) -> Self {
        self.reassembly.set_limits(limits);
        self
    }

    /// Octets held for datagrams under reassembly, with what they are charged beside them.
    #[cfg(feature = "alloc")]
    pub fn reassembling(&self) -> usize {
        self.reassembly.held()
    }

    /// Adds an address; it is announced at the next poll. An address of 127.0.0.0/8 makes
    /// that network acceptable on its link (RFC 1122 §3.2.1.3 (g)).
    ///
    /// # Errors
    /// [`ConfigError::BadPrefix`] above 32, [`ConfigError::BadAddress`] for what cannot be a
    /// host, [`ConfigError::Exists`], [`ConfigError::Full`].
    pub fn add_address(&mut self, link: Link, ip: Ipv4Addr, prefix: u8) -> Result<(), ConfigError> {
        self.forget();
        self.table.add(link, ip, prefix)?;
        let added = self
            .table
            .as_slice()
            .iter()
            .find(|a| a.link == link && a.ip == ip.to_bits());
        if let Some(Err(error)) = added.map(|added| self.routes.connect(added)) {
            self.table.remove(link, ip);
            return Err(error);
        }
        self.routes.settle(&self.table);
        Ok(())
    }

    /// Removes an address and its network; false if it was not there.
    pub fn remove_address(&mut self, link: Link, ip: Ipv4Addr) -> bool {
        self.forget();
        let Some(gone) = self.table.remove(link, ip) else {
            return false;
        };
        self.routes.disconnect(&gone);
        self.routes.settle(&self.table);
        true
    }

    /// Adds a route as [`with_route`](Self::with_route) does. Longer prefixes go first, and of
    /// the same prefix the one that was there first.
    ///
    /// # Errors
    /// [`ConfigError::BadAddress`] for a gateway that is no host or a network that is not IPv4,
    /// [`ConfigError::BadPrefix`] for host bits, [`ConfigError::Exists`], [`ConfigError::Full`].
    pub fn add_route(
        &mut self,
        to: Cidr,
        via: impl Into<Option<Ipv4Addr>>,
        link: Link,
    ) -> Result<(), ConfigError> {
        self.forget();
        self.routes.add(to, via.into(), link)?;
        self.routes.settle(&self.table);
        Ok(())
    }

    /// Removes a route that was added; false if it was not there.
    pub fn remove_route(&mut self, to: Cidr, via: impl Into<Option<Ipv4Addr>>, link: Link) -> bool {
        self.forget();
        self.routes.remove(to, via.into(), link)
    }

    /// Takes in packets to the group `group` that come by `link`.
    ///
    /// # Errors
    /// [`ConfigError::BadAddress`] for what is no group, [`ConfigError::Exists`],
    /// [`ConfigError::Full`] beyond eight groups without an allocator.
    pub fn join(&mut self, link: Link, group: Ipv4Addr) -> Result<(), ConfigError> {
        self.groups.join(link, group)
    }

    /// Leaves a group; false if it was not joined.
    pub fn leave(&mut self, link: Link, group: Ipv4Addr) -> bool {
        self.groups.leave(link, group)
    }

    /// Our addresses with their networks, lowest first.
    pub fn addresses(&self) -> impl Iterator<Item = (Link, Cidr)> + '_ {
        self.table.as_slice().iter().filter_map(|a| {
            let ip = Ipv4Addr::from_bits(a.ip).into();
            Some((a.link, Cidr::new(ip, a.prefix).ok()?))
        })
    }

    /// All routes, those to our own networks included, longest prefix first.
    pub fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        self.routes.iter()
    }

    /// Addresses or routes change: what was found by them holds no more.
    fn forget(&mut self) {
        self.judged = None;
        self.last.key.set(0);
        self.version = self.version.wrapping_add(1).max(1);
    }

    /// May `src` have sent a packet that came by `link` (RFC 1122 §3.2.1.3, RFC 6890)?
    fn may_send(&self, link: Link, src: u32) -> bool {
        let looped = self.loopback == Some(link);
        match Class::of(src) {
            Class::Loopback => looped || self.table.loops(link),
            // Our own address comes back only on our loopback link ("land").
            Class::Host => {
                (looped || self.table.link_of(src).is_none())
                    && !self.routes.broadcast(src, |_| true)
            }
            _ => false,
        }
    }

    /// Is a packet to `dst` that came by `link` for us: `Ok(true)` for us alone, `Ok(false)`
    /// for us among others?
    fn is_for_us(&self, link: Link, cast: Cast, dst: u32) -> Result<bool, Drop> {
        let looped = self.loopback == Some(link);
        if self.table.owns(link, dst) || looped && self.table.link_of(dst).is_some() {
            return match cast {
                Cast::Unicast => Ok(true),
                Cast::Multicast | Cast::Broadcast => Err(Drop::LinkBroadcast),
            };
        }
        match Class::of(dst) {
            Class::Broadcast => Ok(false),
            Class::Multicast if self.groups.joined(link, dst) => Ok(false),
            Class::Multicast => Err(Drop::NotOurs),
            Class::Loopback if looped || self.table.loops(link) => Ok(true),
            Class::Host if self.routes.broadcast(dst, |network| network.link == link) => Ok(false),
            Class::Host => Err(Drop::NotOurs),
            Class::Zero | Class::Loopback | Class::Reserved => Err(Drop::Martian),
        }
    }

    /// The way to `dst`, from `src` if that is given.
    fn way(&self, dst: u32, src: Option<u32>) -> Option<(Link, u32, u32, Cast)> {
        if let Some(link) = self.loopback
            && (self.table.link_of(dst).is_some() || Class::of(dst) == Class::Loopback)
        {
            let ours = |ip| self.table.link_of(ip).is_some() || Class::of(ip) == Class::Loopback;
            let from = src.unwrap_or(dst);
            return ours(from).then_some((link, dst, from, Cast::Unicast));
        }
        let usable = |e: &Entry| match src {
            Some(src) => self.table.owns(e.link, src),
            None => e.from().is_some(),
        };
        match Class::of(dst) {
            Class::Host if self.table.link_of(dst).is_some() => None,
            Class::Host => {
                let e = self.routes.lookup(dst, usable)?;
                let cast = match e.is_broadcast(dst) {
                    true => Cast::Broadcast,
                    false => Cast::Unicast,
                };
                Some((e.link, e.next(dst), src.or(e.from())?, cast))
            }
            Class::Broadcast | Class::Multicast => {
                let cast = match Class::of(dst) {
                    Class::Broadcast => Cast::Broadcast,
                    _ => Cast::Multicast,
                };
                // A host that asks for its address has none (RFC 2131 §4.1): link 0.
                if src == Some(0) {
                    return Some((0, dst, 0, cast));
                }
                if let Some(e) = self.routes.lookup(dst, usable) {
                    return Some((e.link, dst, src.or(e.from())?, cast));
                }
                let (link, from) = match src {
                    Some(src) => (self.table.link_of(src)?, src),
                    None => self.table.first().map(|a| (a.link, a.ip))?,
                };
                Some((link, dst, from, cast))
            }
            Class::Zero | Class::Loopback | Class::Reserved => None,
        }
    }

    /// The way to `dst`, whatever was found before.
    #[inline(never)]
    fn find(&self, dst: IpAddr, src: Option<IpAddr>) -> Option<Hop> {
        let bits = |ip| match ip {
            IpAddr::V4(ip) => Some(Ipv4Addr::to_bits(ip)),
            IpAddr::V6(_) => None,
        };
        let src = match src {
            Some(src) => Some(bits(src)?),
            None => None,
        };
        let (link, to, from, cast) = self.way(bits(dst)?, src)?;
        Some(Hop {
            link,
            to: Ipv4Addr::from_bits(to).into(),
            from: Ipv4Addr::from_bits(from).into(),
            cast,
        })
    }

    /// Checks a header that was read: is the packet for us alone, and does a route lead back to
    /// its sender?
    #[inline(always)]
    fn judge(
        &mut self,
        ip: &Header,
        header: &[u8],
        link: Link,
        cast: Cast,
    ) -> Result<(bool, bool), Drop> {
        let judged = Judged {
            src: ip.src.to_bits(),
            dst: ip.dst.to_bits(),
            link,
        };
        let plain = cast == Cast::Unicast && header.len() == Header::LEN;
        if plain && self.judged == Some(judged) {
            return Ok((true, true));
        }
        let (unicast, answerable) = self.judge_anew(ip, header, link, cast)?;
        if plain && unicast && answerable {
            self.judged = Some(judged);
        }
        Ok((unicast, answerable))
    }

    /// As [`judge`](Self::judge), whatever was judged before.
    #[inline(never)]
    fn judge_anew(
        &self,
        ip: &Header,
        header: &[u8],
        link: Link,
        cast: Cast,
    ) -> Result<(bool, bool), Drop> {
        if !self.may_send(link, ip.src.to_bits()) {
            return Err(Drop::Martian);
        }
        let unicast = self.is_for_us(link, cast, ip.dst.to_bits())?;
        match header.get(Header::LEN..) {
            None | Some([]) => {}
            Some(options) => {
                if Ipv4Options::new(options).source_routed()? {
                    return Err(Drop::SourceRoute);
                }
            }
        }
        let (src, dst) = (ip.src.to_bits(), ip.dst.to_bits());
        let answerable = unicast && self.way(src, Some(dst)).is_some();
        Ok((unicast, answerable))
    }

    /// Takes a fragment in; the datagram if it is the last one missing.
    #[cfg(feature = "alloc")]
    #[cold]
    fn reassemble<'p>(
        &'p mut self,
        cx: &mut Cx,
        fragment: &Ingress<'_>,
        ip: &Header,
    ) -> Option<Ingress<'p>> {
        let (header, payload) = (fragment.header, &*fragment.payload);
        let (now, unicast) = (cx.now, fragment.unicast);
        let taken = self
            .reassembly
            .receive(now, ip, header, payload, unicast, &mut |why| cx.drop(why));
        match taken {
            Ok(false) => return None,
            Ok(true) => {}
            Err(reason) => {
                cx.drop(reason);
                return None;
            }
        }
        let (header, payload) = self.reassembly.whole();
        let ip = Header::parse_front(header).ok()?.ip;
        Some(Ingress {
            ip: ip.header(),
            header,
            payload,
            // Whatever a device verified was not this datagram.
            meta: phy::RxMeta::new(),
            ..*fragment
        })
    }

    #[cfg(not(feature = "alloc"))]
    fn reassemble<'p>(
        &'p mut self,
        cx: &mut Cx,
        _fragment: &Ingress<'_>,
        _ip: &Header,
    ) -> Option<Ingress<'p>> {
        cx.drop(Drop::ReassemblyFull);
        None
    }
}

impl<const A: usize, const R: usize> Network for Ipv4<A, R> {
    const ALIKE: bool = true;

    fn speaks(&self, version: u8) -> bool {
        version == 4
    }

    #[inline(always)]
    fn receive<'p>(&'p mut self, cx: &mut Cx, packet: Packet<'p>) -> Option<Ingress<'p>> {
        let (link, meta, cast) = (packet.link, packet.meta, packet.cast);
        let (ip, header, payload) = match Header::parse_mut(packet.octets) {
            Ok(parsed) => parsed,
            Err(error) => {
                cx.drop(error.into());
                return None;
            }
        };
        let (unicast, answerable) = match self.judge(&ip, header, link, cast) {
            Ok(judgement) => judgement,
            Err(reason) => {
                cx.drop(reason);
                return None;
            }
        };
        let packet = Ingress {
            ip: ip.header(),
            header,
            payload,
            meta,
            link,
            unicast,
            answerable,
        };
        if ip.is_fragment() {
            return self.reassemble(cx, &packet, &ip);
        }
        Some(packet)
    }

    fn owns(&self, link: Link, ip: IpAddr) -> bool {
        matches!(ip, IpAddr::V4(ip) if self.table.owns(link, ip.to_bits()))
    }

    fn route(&self, dst: IpAddr, src: Option<IpAddr>) -> Option<Hop> {
        let key = Last::key(dst, src);
        if key != 0 && self.last.key.get() == key {
            return self.last.hop.get();
        }
        let hop = self.find(dst, src)?;
        self.last.key.set(key);
        self.last.hop.set(Some(hop));
        Some(hop)
    }

    fn version(&self) -> u32 {
        self.version
    }

    #[inline]
    fn path_mtu(&self, dst: IpAddr, now: Instant) -> Option<usize> {
        match dst {
            IpAddr::V4(dst) => self.paths.get(dst, now).map(usize::from),
            IpAddr::V6(_) => None,
        }
    }

    fn learn_path_mtu(&mut self, dst: IpAddr, mtu: usize, now: Instant) {
        if let IpAddr::V4(dst) = dst {
            let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
            self.paths.learn(dst, mtu, now);
        }
    }

    #[cfg(feature = "alloc")]
    fn timers(&mut self, cx: &mut Cx) {
        self.reassembly.expire(cx.now, |reason| cx.drop(reason));
    }

    #[cfg(feature = "alloc")]
    fn deadline(&self) -> Option<Instant> {
        self.reassembly.deadline()
    }

    #[cfg(feature = "alloc")]
    fn take_expired(&mut self) -> Option<Quote> {
        self.reassembly.take_report()
    }

    fn take_new_addresses(&mut self, mut f: impl FnMut(Link, IpAddr)) {
        self.table.take_fresh(|link, ip| f(link, ip.into()));
    }
}

#[cfg(all(test, not(feature = "alloc")))]
#[path = "tests/bounded.rs"]
mod tests;
