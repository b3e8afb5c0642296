//! The way to a destination: longest prefix first.
//!
//! Invariant: entries are sorted by prefix length, longest first, then by network, then by when
//! they were added; `lengths` has a bit for each prefix length in use. A lookup is one binary
//! search for each such length, at most 33. The networks of our addresses are entries like any
//! other. Used by [`Ipv4`](super::Ipv4) only.

use core::net::Ipv4Addr;

use super::config::ConfigError;
use super::list::{Blank, List};
use super::martian::is_host;
use super::table::{Address, Table};
use crate::addr::Cidr;
use crate::iface::Link;

/// A route, as it is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Destinations it is for; host bits are zero.
    pub to: Cidr,
    /// The gateway, or `None` where the destinations are neighbours themselves.
    pub via: Option<Ipv4Addr>,
    /// The link it leads over.
    pub link: Link,
    /// Our address packets are sent from; `None` while the link has none.
    pub from: Option<Ipv4Addr>,
}

/// A route as it is kept; zero stands for no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    net: u32,
    prefix: u8,
    pub link: Link,
    /// The network of an address of ours.
    connected: bool,
    via: u32,
    from: u32,
}

impl Blank for Entry {
    const BLANK: Self = Self {
        net: 0,
        prefix: 0,
        link: 0,
        connected: false,
        via: 0,
        from: 0,
    };
}

const fn mask(prefix: u8) -> u32 {
    match u32::MAX.checked_shr(prefix as u32) {
        Some(host) => !host,
        None => u32::MAX,
    }
}

impl Entry {
    fn connected(address: &Address) -> Self {
        Self {
            net: address.ip & mask(address.prefix),
            prefix: address.prefix,
            link: address.link,
            connected: true,
            via: 0,
            from: address.ip,
        }
    }
    /// The neighbour to hand a packet for `dst` to.
    pub const fn next(&self, dst: u32) -> u32 {
        if self.via == 0 { dst } else { self.via }
    }
    /// Our address on the way, if the link has one.
    pub const fn from(&self) -> Option<u32> {
        if self.from == 0 {
            None
        } else {
            Some(self.from)
        }
    }
    /// Is `ip` the broadcast address of this network, which one of our addresses is on? None
    /// is on /31 and /32 (RFC 3021).
    pub const fn is_broadcast(&self, ip: u32) -> bool {
        self.connected && self.prefix < 31 && ip == (self.net | !mask(self.prefix))
    }
    /// Position in the order of the table.
    const fn rank(&self) -> (u8, u32) {
        (32 - self.prefix, self.net)
    }
    /// The listed form.
    fn route(&self) -> Option<Route> {
        let to = Cidr::new(Ipv4Addr::from_bits(self.net).into(), self.prefix).ok()?;
        let some = |ip: u32| (ip != 0).then_some(Ipv4Addr::from_bits(ip));
        Some(Route {
            to,
            via: some(self.via),
            link: self.link,
            from: some(self.from),
        })
    }
}

/// All routes.
#[derive(Debug, Clone)]
pub(crate) struct Routes<const N: usize> {
    list: List<Entry, N>,
    /// Bit `n` is set when there is an entry of prefix length `n`.
    lengths: u64,
    /// Fewest host bits of a connected network that has a broadcast address.
    host_bits: u32,
}

impl<const N: usize> Routes<N> {
    pub const fn new() -> Self {
        Self {
            list: List::new(),
            lengths: 0,
            host_bits: 33,
        }
    }

    /// Every route, longest prefix first.
    pub fn iter(&self) -> impl Iterator<Item = Route> + '_ {
        self.list.as_slice().iter().filter_map(Entry::route)
    }

    fn insert(&mut self, entry: Entry) -> Result<(), ConfigError> {
        let at = self
            .list
            .as_slice()
            .partition_point(|e| e.rank() <= entry.rank());
        self.list.insert(at, entry).map_err(|_| ConfigError::Full)?;
        self.measure(&entry);
        Ok(())
    }

    fn measure(&mut self, e: &Entry) {
        self.lengths |= 1 << e.prefix;
        if e.connected && e.prefix < 31 {
            self.host_bits = self.host_bits.min(32 - u32::from(e.prefix));
        }
    }

    /// The entries of one network, oldest first, and where they begin.
    fn same(&self, rank: (u8, u32)) -> (usize, impl Iterator<Item = &Entry>) {
        let list = self.list.as_slice();
        let first = list.partition_point(|e| e.rank() < rank);
        let rest = list.get(first..).unwrap_or(&[]).iter();
        (first, rest.take_while(move |e| e.rank() == rank))
    }

    /// The network of a new address.
    pub fn connect(&mut self, address: &Address) -> Result<(), ConfigError> {
        self.insert(Entry::connected(address))
    }

    /// The network of an address that is gone.
    pub fn disconnect(&mut self, address: &Address) {
        let gone = Entry::connected(address);
        let at = {
            let (first, mut same) = self.same(gone.rank());
            same.position(|e| *e == gone).map(|at| first + at)
        };
        if let Some(at) = at {
            self.remove_at(at);
        }
    }

    /// Adds a route.
    pub fn add(&mut self, to: Cidr, via: Option<Ipv4Addr>, link: Link) -> Result<(), ConfigError> {
        let entry = Self::entry(to, via, link)?;
        if self.position(&entry).is_some() {
            return Err(ConfigError::Exists);
        }
        self.insert(entry)
    }

    /// Removes a route that was added; false if there is none such.
    pub fn remove(&mut self, to: Cidr, via: Option<Ipv4Addr>, link: Link) -> bool {
        Self::entry(to, via, link).is_ok_and(|gone| {
            self.position(&gone)
                .is_some_and(|at| self.remove_at(at).is_some())
        })
    }

    /// Where the route added as `entry` is, whatever its source address is by now.
    fn position(&self, entry: &Entry) -> Option<usize> {
        let (first, mut same) = self.same(entry.rank());
        let at = same.position(|e| Entry { from: 0, ..*e } == *entry)?;
        Some(first + at)
    }

    fn entry(to: Cidr, via: Option<Ipv4Addr>, link: Link) -> Result<Entry, ConfigError> {
        let core::net::IpAddr::V4(net) = to.ip() else {
            return Err(ConfigError::BadAddress);
        };
        if net.to_bits() & !mask(to.prefix()) != 0 {
            return Err(ConfigError::BadPrefix);
        }
        if via.is_some_and(|via| !is_host(via)) {
            return Err(ConfigError::BadAddress);
        }
        Ok(Entry {
            net: net.to_bits(),
            prefix: to.prefix(),
            link,
            connected: false,
            via: via.map_or(0, Ipv4Addr::to_bits),
            from: 0,
        })
    }

    fn remove_at(&mut self, at: usize) -> Option<Entry> {
        let gone = self.list.remove(at);
        (self.lengths, self.host_bits) = (0, 33);
        for at in 0..self.list.as_slice().len() {
            if let Some(e) = self.list.as_slice().get(at).copied() {
                self.measure(&e);
            }
        }
        gone
    }

    /// Chooses source addresses anew: our addresses or the routes have changed.
    pub fn settle<const A: usize>(&mut self, addresses: &Table<A>) {
        for e in self.list.as_mut_slice().iter_mut().filter(|e| !e.connected) {
            e.from = addresses.source(e.link, e.next(e.net)).unwrap_or(0);
        }
    }

    /// The best route to `dst` among those that `usable` admits.
    pub fn lookup(&self, dst: u32, mut usable: impl FnMut(&Entry) -> bool) -> Option<&Entry> {
        let mut lengths = self.lengths;
        while lengths != 0 {
            let prefix = lengths.ilog2() as u8;
            lengths ^= 1 << prefix;
            let (_, mut same) = self.same((32 - prefix, dst & mask(prefix)));
            let found = same.find(|e| usable(e));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Is `ip` the broadcast address of a network of ours that `on` admits? A longer prefix makes it
    /// a host again.
    pub fn broadcast(&self, ip: u32, mut on: impl FnMut(&Entry) -> bool) -> bool {
        // Spares nearly every address the lookup.
        if ip.trailing_ones() < self.host_bits {
            return false;
        }
        let Some(best) = self.lookup(ip, |_| true) else {
            return false;
        };
        // Several links, and routes that were added, may be of one network.
        let (_, mut same) = self.same(best.rank());
        same.any(|e| e.is_broadcast(ip) && on(e))
    }
}

#[cfg(test)]
#[path = "tests/route.rs"]
mod tests;
