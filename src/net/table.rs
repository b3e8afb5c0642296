//! Our IPv4 addresses, by link, and the multicast groups we listen to.
//!
//! Invariant: addresses are sorted by address, then link, so that asking whether one is ours
//! is a binary search; all are unicast. Used by [`Ipv4`](super::Ipv4) only.

use core::net::Ipv4Addr;

use super::config::ConfigError;
use super::list::{Blank, List};
use super::martian::is_host;
use crate::iface::Link;

/// One of our addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub ip: u32,
    pub link: Link,
    pub prefix: u8,
    /// When it was added, counted; the lowest of a link is the link's preferred one.
    order: u32,
    /// Not announced yet.
    fresh: bool,
}

impl Address {
    /// Is `ip` on this address's network?
    pub const fn covers(&self, ip: u32) -> bool {
        (self.ip ^ ip).leading_zeros() >= self.prefix as u32
    }
}

impl Blank for Address {
    const BLANK: Self = Self {
        ip: 0,
        link: 0,
        prefix: 0,
        order: 0,
        fresh: false,
    };
}

/// Our addresses.
#[derive(Debug, Clone)]
pub(crate) struct Table<const N: usize> {
    list: List<Address, N>,
    added: u32,
    fresh: bool,
}

impl<const N: usize> Table<N> {
    pub const fn new() -> Self {
        Self {
            list: List::new(),
            added: 0,
            fresh: false,
        }
    }

    pub fn as_slice(&self) -> &[Address] {
        self.list.as_slice()
    }

    fn position(&self, link: Link, ip: u32) -> Result<usize, usize> {
        self.as_slice()
            .binary_search_by_key(&(ip, link), |a| (a.ip, a.link))
    }

    /// Adds an address.
    pub fn add(&mut self, link: Link, ip: Ipv4Addr, prefix: u8) -> Result<(), ConfigError> {
        if prefix > 32 {
            return Err(ConfigError::BadPrefix);
        }
        // Loopback addresses may be ours, on a loopback link.
        if !is_host(ip) && !ip.is_loopback() {
            return Err(ConfigError::BadAddress);
        }
        let at = match self.position(link, ip.to_bits()) {
            Ok(_) => return Err(ConfigError::Exists),
            Err(at) => at,
        };
        let address = Address {
            ip: ip.to_bits(),
            link,
            prefix,
            order: self.added,
            fresh: true,
        };
        self.list
            .insert(at, address)
            .map_err(|_| ConfigError::Full)?;
        self.added = self.added.wrapping_add(1);
        self.fresh = true;
        Ok(())
    }

    /// Removes an address; tells what it was.
    pub fn remove(&mut self, link: Link, ip: Ipv4Addr) -> Option<Address> {
        let at = self.position(link, ip.to_bits()).ok()?;
        self.list.remove(at)
    }

    /// Is `ip` ours on `link`?
    pub fn owns(&self, link: Link, ip: u32) -> bool {
        self.position(link, ip).is_ok()
    }

    /// The link that `ip` is ours on, if any: the lowest.
    pub fn link_of(&self, ip: u32) -> Option<Link> {
        let list = self.as_slice();
        let at = list.partition_point(|a| a.ip < ip);
        list.get(at).filter(|a| a.ip == ip).map(|a| a.link)
    }

    /// Our address to talk to `peer` on `link` with: on the longest network that has both,
    /// else the one added first.
    pub fn source(&self, link: Link, peer: u32) -> Option<u32> {
        self.as_slice()
            .iter()
            .filter(|a| a.link == link)
            .max_by_key(|a| {
                let near = a.covers(peer).then_some(a.prefix);
                (near, u32::MAX - a.order)
            })
            .map(|a| a.ip)
    }

    /// The address added first.
    pub fn first(&self) -> Option<&Address> {
        self.as_slice()
            .iter()
            .filter(|a| !Ipv4Addr::from_bits(a.ip).is_loopback())
            .min_by_key(|a| a.order)
    }

    /// Does `link` own an address of 127.0.0.0/8?
    pub fn loops(&self, link: Link) -> bool {
        let list = self.as_slice();
        let from = list.partition_point(|a| a.ip < 0x7f00_0000);
        let rest = list.get(from..).unwrap_or(&[]);
        rest.iter()
            .take_while(|a| a.ip >> 24 == 0x7f)
            .any(|a| a.link == link)
    }

    /// Calls `f` for each address added since the last call.
    pub fn take_fresh(&mut self, mut f: impl FnMut(Link, Ipv4Addr)) {
        if !core::mem::take(&mut self.fresh) {
            return;
        }
        for a in self.list.as_mut_slice() {
            if core::mem::take(&mut a.fresh) {
                f(a.link, Ipv4Addr::from_bits(a.ip));
            }
        }
    }
}

/// A group joined on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    ip: u32,
    link: Link,
}

impl Blank for Group {
    const BLANK: Self = Self { ip: 0, link: 0 };
}

/// The groups joined, sorted. 224.0.0.1 is always joined (RFC 1112 §7.1) and not listed.
#[derive(Debug, Clone)]
pub(crate) struct Groups(List<Group, 8>);

/// All hosts of a link.
const ALL_HOSTS: u32 = 0xe000_0001;

impl Groups {
    pub const fn new() -> Self {
        Self(List::new())
    }

    fn position(&self, link: Link, ip: u32) -> Result<usize, usize> {
        self.0
            .as_slice()
            .binary_search_by_key(&(ip, link), |g| (g.ip, g.link))
    }

    pub fn join(&mut self, link: Link, group: Ipv4Addr) -> Result<(), ConfigError> {
        if !group.is_multicast() {
            return Err(ConfigError::BadAddress);
        }
        let ip = group.to_bits();
        let Err(at) = self.position(link, ip) else {
            return Err(ConfigError::Exists);
        };
        self.0
            .insert(at, Group { ip, link })
            .map_err(|_| ConfigError::Full)
    }

    pub fn leave(&mut self, link: Link, group: Ipv4Addr) -> bool {
        self.position(link, group.to_bits())
            .is_ok_and(|at| self.0.remove(at).is_some())
    }

    pub fn joined(&self, link: Link, ip: u32) -> bool {
        ip == ALL_HOSTS || self.position(link, ip).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    #[test]
    fn sources_prefer_the_shared_network_then_the_first() {
        let mut t = Table::<4>::new();
        t.add(0, ip("192.168.1.1"), 24).unwrap();
        t.add(0, ip("10.0.0.1"), 8).unwrap();
        t.add(1, ip("10.9.0.1"), 16).unwrap();
        let source = |link, peer| t.source(link, ip(peer).to_bits()).map(Ipv4Addr::from_bits);
        assert_eq!(source(0, "10.9.0.7"), Some(ip("10.0.0.1")));
        assert_eq!(source(0, "8.8.8.8"), Some(ip("192.168.1.1")));
        assert_eq!(source(1, "8.8.8.8"), Some(ip("10.9.0.1")));
        assert_eq!(source(2, "8.8.8.8"), None);
        assert_eq!(t.first().map(|a| a.ip), Some(ip("192.168.1.1").to_bits()));
    }

    #[test]
    fn only_hosts_become_ours() {
        let mut t = Table::<4>::new();
        assert_eq!(t.add(0, ip("224.0.0.5"), 24), Err(ConfigError::BadAddress));
        assert_eq!(t.add(0, ip("0.0.0.0"), 24), Err(ConfigError::BadAddress));
        assert_eq!(t.add(0, ip("10.0.0.1"), 33), Err(ConfigError::BadPrefix));
        t.add(0, ip("10.0.0.1"), 24).unwrap();
        assert_eq!(t.add(0, ip("10.0.0.1"), 16), Err(ConfigError::Exists));
        t.add(1, ip("10.0.0.1"), 24).unwrap();
        assert!(t.owns(1, ip("10.0.0.1").to_bits()));
        assert_eq!(t.remove(0, ip("10.0.0.1")).map(|a| a.prefix), Some(24));
        assert_eq!(t.link_of(ip("10.0.0.1").to_bits()), Some(1));
        t.add(2, ip("127.0.0.1"), 8).unwrap();
        assert!(t.loops(2) && !t.loops(1));
    }

    #[test]
    fn new_addresses_are_told_once() {
        let mut t = Table::<4>::new();
        t.add(0, ip("10.0.0.1"), 24).unwrap();
        let mut seen = 0;
        t.take_fresh(|_, _| seen += 1);
        t.take_fresh(|_, _| seen += 1);
        assert_eq!(seen, 1);
    }

    #[test]
    fn groups_come_and_go() {
        let mut g = Groups::new();
        let mdns = ip("224.0.0.251");
        assert!(g.joined(3, ALL_HOSTS) && !g.joined(0, mdns.to_bits()));
        g.join(0, mdns).unwrap();
        assert_eq!(g.join(0, mdns), Err(ConfigError::Exists));
        assert_eq!(g.join(0, ip("10.0.0.1")), Err(ConfigError::BadAddress));
        assert!(g.joined(0, mdns.to_bits()) && !g.joined(1, mdns.to_bits()));
        assert!(g.leave(0, mdns) && !g.leave(0, mdns));
    }
}
