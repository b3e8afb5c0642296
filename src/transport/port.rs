//! Ephemeral ports, and other 16-bit names that must not be guessed (RFC 6056).
//!
//! Invariant: what is picked lies in the range and passed the caller's check for conflicts; a
//! search ends after one pass over the range. Called by protocols when a socket without a port
//! first needs one.

use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use crate::secret::{Purpose, Secret, write_addr, write_ip};

/// Counters of algorithm 4.
const COUNTERS: usize = 64;

/// Which of several stacks that have one address a stack is. They share nothing, so each picks
/// ephemeral ports and identifiers that leave its own remainder when divided by their number:
/// no two stacks pick the same, and from an answer alone it can be told whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    index: u16,
    of: u16,
}

impl Share {
    /// All names: the share of a stack that is alone.
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// The share of stack number `index`, counted from 0, of `of` stacks; `None` unless there is
    /// such a stack.
    #[must_use]
    pub const fn new(index: u16, of: u16) -> Option<Self> {
        if index < of {
            Some(Self { index, of })
        } else {
            None
        }
    }

    /// The stack's number, from 0.
    #[must_use]
    pub const fn index(self) -> u16 {
        self.index
    }

    /// How many stacks there are, at least 1.
    #[must_use]
    pub const fn of(self) -> u16 {
        self.of
    }

    /// The number of the stack that may pick `name`.
    #[must_use]
    pub const fn holder(self, name: u16) -> u16 {
        match name.checked_rem(self.of) {
            Some(index) => index,
            None => 0,
        }
    }

    /// May this stack pick `name`?
    #[must_use]
    pub const fn holds(self, name: u16) -> bool {
        self.holder(name) == self.index
    }
}

impl Default for Share {
    /// [`Share::ALL`].
    fn default() -> Self {
        Self::ALL
    }
}

/// Picks names from a range.
#[derive(Debug)]
pub struct Ports {
    secret: Option<Secret>,
    range: RangeInclusive<u16>,
    share: Share,
    counters: [u16; COUNTERS],
    draws: u64,
}

impl Default for Ports {
    /// [`Ports::EPHEMERAL`].
    fn default() -> Self {
        Self::new(Self::EPHEMERAL)
    }
}

impl Ports {
    /// From 32768 to 60999, as Linux does it.
    pub const EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;

    /// Names from `range`, which must not be empty.
    pub const fn new(range: RangeInclusive<u16>) -> Self {
        Self {
            secret: None,
            range,
            share: Share::ALL,
            counters: [0; COUNTERS],
            draws: 0,
        }
    }

    /// The same, but only names in `share`.
    #[must_use]
    pub const fn sharing(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// Draws what it needs of the stack's secret. Until then nothing is picked.
    pub fn start(&mut self, secret: &Secret) {
        self.secret = Some(secret.clone());
    }

    /// A port for a connection from `local` to `peer` that `free` admits (RFC 6056 §3.3.4,
    /// algorithm 4): successive connections to one peer get successive ports, so that none is
    /// used again soon, but nobody else can tell from where they start. `None` if all are in use.
    pub fn pick(
        &mut self,
        local: IpAddr,
        peer: SocketAddr,
        free: impl FnMut(u16) -> bool,
    ) -> Option<u16> {
        let secret = self.secret.as_ref()?;
        let mut h = secret.hasher(Purpose::Port);
        write_ip(&mut h, local);
        write_addr(&mut h, peer);
        let hash = h.finish();
        let counter = self.counters.get_mut((hash >> 32) as usize % COUNTERS)?;
        let start = (hash as u32).wrapping_add(u32::from(*counter));
        let (port, tried) = search(&self.range, self.share, start, free)?;
        *counter = counter.wrapping_add(tried);
        Some(port)
    }

    /// A name that `free` admits, each as likely as any other (RFC 6056 §3.3.1, algorithm 1):
    /// for datagrams, whose answers nothing but the port protects (RFC 5452 §9.2). `None` if
    /// all are in use.
    pub fn random(&mut self, free: impl FnMut(u16) -> bool) -> Option<u16> {
        let secret = self.secret.as_ref()?;
        self.draws = self.draws.wrapping_add(1);
        let start = secret.hash(Purpose::Port, &self.draws.to_le_bytes()) as u32;
        search(&self.range, self.share, start, free).map(|(port, _)| port)
    }
}

/// The first name at or cyclically after `start` that is in the share and free, and how many were
/// tried.
fn search(
    range: &RangeInclusive<u16>,
    share: Share,
    start: u32,
    mut free: impl FnMut(u16) -> bool,
) -> Option<(u16, u16)> {
    let (first, last) = (u32::from(*range.start()), u32::from(*range.end()));
    let size = last.checked_sub(first)?.saturating_add(1);
    let start = start % size;
    (0..size).find_map(|n| {
        let port = first.saturating_add(start.wrapping_add(n) % size) as u16;
        let found = share.holds(port) && free(port);
        found.then_some((port, (n as u16).wrapping_add(1)))
    })
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const LOCAL: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 1));

    fn ports(range: RangeInclusive<u16>) -> Ports {
        let mut ports = Ports::new(range);
        ports.start(&Secret::fixed());
        ports
    }

    #[test]
    fn one_peer_gets_successive_ports_and_another_a_different_start() {
        let mut p = ports(32_768..=60_999);
        let peer = SocketAddr::from(([10, 0, 0, 2], 80));
        let other = SocketAddr::from(([10, 0, 0, 3], 80));
        let a = p.pick(LOCAL, peer, |_| true).unwrap();
        let b = p.pick(LOCAL, peer, |_| true).unwrap();
        let c = p.pick(LOCAL, other, |_| true).unwrap();
        assert_eq!(b, a + 1);
        assert!(c.abs_diff(a) > 1);
    }

    #[test]
    fn all_are_found_and_none_twice() {
        let mut p = ports(65_530..=65_535);
        let mut used = [false; 6];
        for _ in 0..6 {
            let port = p.random(|n| !used[usize::from(n - 65_530)]).unwrap();
            used[usize::from(port - 65_530)] = true;
        }
        assert_eq!(used, [true; 6]);
        assert_eq!(p.random(|n| !used[usize::from(n - 65_530)]), None);
        assert_eq!(p.pick(LOCAL, (LOCAL, 1).into(), |_| false), None);
        assert_eq!(Ports::default().random(|_| true), None); // no secret yet
    }

    #[test]
    fn stacks_that_share_an_address_never_pick_the_same() {
        for index in 0..3 {
            let share = Share::new(index, 3).unwrap();
            let mut p = ports(1000..=1008).sharing(share);
            let mut used = Vec::new();
            while let Some(port) = p.random(|n| !used.contains(&n)) {
                assert!(share.holds(port) && share.holder(port) == index);
                used.push(port);
            }
            assert_eq!(used.len(), 3);
            let mut picked = Vec::new();
            for _ in 0..3 {
                let port = p.pick(LOCAL, (LOCAL, 1).into(), |_| true).unwrap();
                picked.push(port);
            }
            picked.sort_unstable();
            used.sort_unstable();
            assert_eq!(picked, used, "successive ports of one share");
        }
        assert_eq!(Share::new(3, 3), None);
        assert_eq!(Share::new(0, 0), None);
        assert!(Share::ALL.holds(7));
    }
}
