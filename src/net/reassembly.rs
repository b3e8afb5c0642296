//! Datagrams that came in fragments (RFC 791 §3.2, RFC 815), put together within bounds.
//!
//! Invariants: every octet of a datagram is stored at most once and comes from one fragment;
//! a fragment that overlaps another, or contradicts it about the datagram's end, kills the
//! datagram with all that still comes of it (RFC 5722, RFC 1858, also for IPv4). A fragment
//! repeated octet by octet is the network's doing and is passed over. Octets held, with a flat
//! charge for each datagram, stay below a limit for all and one for each source; to keep below
//! it the oldest goes, never the newest, so that a flood cannot shut others out for longer than
//! it lasts (CVE-2018-5391). Work for each fragment is logarithmic in the datagrams held, beside a
//! move within the list of its own datagram's fragments, which are 1,365 at most.
//! Used by [`Ipv4`](super::Ipv4) only.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;
use phy::Instant;

use super::partial::{MAX_CHARGE, Partial, Place};
use super::unreach::Quote;
use crate::error::Drop;
use crate::wire::Ipv4;

/// Bounds of reassembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReassemblyLimits {
    /// Octets held for all sources; at least 128 KiB.
    pub total: usize,
    /// Octets held for one source; at least 128 KiB.
    pub per_source: usize,
    /// How long a datagram's first fragment to come waits for the others (RFC 1122 §3.3.2 has
    /// 60 s; RFC 8900 and practice shorter times).
    pub timeout: Duration,
}

impl Default for ReassemblyLimits {
    /// 4 MiB, 512 KiB and 30 s.
    fn default() -> Self {
        Self {
            total: 4 << 20,
            per_source: 512 << 10,
            timeout: Duration::from_secs(30),
        }
    }
}

/// What fragments of one datagram have in common: source, destination, protocol,
/// identification.
type Key = (Ipv4Addr, Ipv4Addr, u8, u16);

/// Reports of expired datagrams that may wait to be sent.
const REPORTS: usize = 8;

/// Datagrams under reassembly.
#[derive(Debug, Clone)]
pub(crate) struct Reassembly {
    limits: ReassemblyLimits,
    partial: BTreeMap<Key, Partial>,
    /// Keys by the number of their arrival: oldest first.
    ages: BTreeMap<u64, Key>,
    /// The same by source, and oldest first of each.
    turns: BTreeMap<(Ipv4Addr, u64), Key>,
    arrivals: u64,
    /// Octets held: for all, and for each source that has any.
    held: usize,
    sources: BTreeMap<Ipv4Addr, usize>,
    /// The datagram completed last: its header and payload, lent to the transports.
    whole: (Vec<u8>, Vec<u8>),
    reports: VecDeque<Quote>,
}

impl Reassembly {
    pub fn new() -> Self {
        Self {
            limits: ReassemblyLimits::default(),
            partial: BTreeMap::new(),
            ages: BTreeMap::new(),
            turns: BTreeMap::new(),
            arrivals: 0,
            held: 0,
            sources: BTreeMap::new(),
            whole: (Vec::new(), Vec::new()),
            reports: VecDeque::new(),
        }
    }

    pub fn set_limits(&mut self, limits: ReassemblyLimits) {
        // A datagram with all its charges must fit, so that eviction always ends.
        self.limits = ReassemblyLimits {
            total: limits.total.max(MAX_CHARGE),
            per_source: limits.per_source.max(MAX_CHARGE),
            ..limits
        };
    }

    /// Octets held, flat charges included.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes a fragment in. `Ok(true)` when it completes its datagram, which
    /// [`whole`](Self::whole) then lends.
    pub fn receive(
        &mut self,
        now: Instant,
        ip: &Ipv4,
        header: &[u8],
        payload: &[u8],
        unicast: bool,
        drop: &mut impl FnMut(Drop),
    ) -> Result<bool, Drop> {
        let place = Place::of(ip, header.len(), payload.len()).ok_or(Drop::BadFragment)?;
        let key = (ip.src, ip.dst, ip.protocol, ip.ident);
        if !self.partial.contains_key(&key) {
            self.arrivals = self.arrivals.wrapping_add(1);
            let partial = Partial::new(self.arrivals, now + self.limits.timeout, unicast);
            self.ages.insert(self.arrivals, key);
            self.turns.insert((key.0, self.arrivals), key);
            self.charge(key.0, partial.charge());
            self.partial.insert(key, partial);
        }
        let Some(partial) = self.partial.get_mut(&key) else {
            return Err(Drop::ReassemblyFull);
        };
        let before = partial.charge();
        let taken = partial.take(place, ip, header, payload);
        let after = partial.charge();
        self.release(key.0, before);
        self.charge(key.0, after);
        let complete = taken?;
        if complete {
            let mut partial = self.remove(&key).ok_or(Drop::BadFragment)?;
            if partial.ecn_contradicts() || partial.is_too_long() {
                return Err(Drop::BadFragment);
            }
            partial.put_together(&mut self.whole);
        } else {
            self.make_room(&key, drop);
        }
        Ok(complete)
    }

    /// The datagram completed last: header octets, which tell its whole length, and payload.
    pub fn whole(&mut self) -> (&[u8], &mut [u8]) {
        (&self.whole.0, &mut self.whole.1)
    }

    fn charge(&mut self, src: Ipv4Addr, octets: usize) {
        self.held = self.held.saturating_add(octets);
        let held = self.sources.entry(src).or_insert(0);
        *held = held.saturating_add(octets);
    }

    fn release(&mut self, src: Ipv4Addr, octets: usize) {
        self.held = self.held.saturating_sub(octets);
        if let Some(held) = self.sources.get_mut(&src) {
            *held = held.saturating_sub(octets);
            if *held == 0 {
                self.sources.remove(&src);
            }
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partial.remove(key)?;
        self.ages.remove(&partial.arrival);
        self.turns.remove(&(key.0, partial.arrival));
        self.release(key.0, partial.charge());
        Some(partial)
    }

    /// Evicts the oldest until the limits hold again, sparing the datagram just added to.
    fn make_room(&mut self, spare: &Key, drop: &mut impl FnMut(Drop)) {
        let src = spare.0;
        while self.sources.get(&src).copied().unwrap_or(0) > self.limits.per_source {
            let turns = self.turns.range((src, 0)..=(src, u64::MAX));
            let oldest = turns.map(|(_, key)| *key).find(|key| key != spare);
            let Some(oldest) = oldest else { break };
            self.evict(&oldest, drop);
        }
        while self.held > self.limits.total {
            let oldest = self.ages.values().find(|key| *key != spare).copied();
            let Some(oldest) = oldest else { break };
            self.evict(&oldest, drop);
        }
    }

    fn evict(&mut self, key: &Key, drop: &mut impl FnMut(Drop)) {
        if self.remove(key).is_some_and(|partial| !partial.is_dead()) {
            drop(Drop::ReassemblyTimeout);
        }
    }

    /// Gives up what is overdue.
    pub fn expire(&mut self, now: Instant, mut drop: impl FnMut(Drop)) {
        while let Some(key) = self.ages.first_entry().map(|oldest| *oldest.get()) {
            if self.partial.get(&key).is_some_and(|p| p.until > now) {
                return;
            }
            let Some(partial) = self.remove(&key) else {
                self.ages.pop_first();
                continue;
            };
            if partial.is_dead() {
                continue;
            }
            drop(Drop::ReassemblyTimeout);
            if let Some(quote) = partial.quote().filter(|_| self.reports.len() < REPORTS) {
                self.reports.push_back(quote);
            }
        }
    }

    /// When the next one is overdue.
    pub fn deadline(&self) -> Option<Instant> {
        let (_, oldest) = self.ages.first_key_value()?;
        self.partial.get(oldest).map(|partial| partial.until)
    }

    /// A datagram that was given up although its first fragment had come.
    pub fn take_report(&mut self) -> Option<Quote> {
        self.reports.pop_front()
    }
}

#[cfg(test)]
#[path = "tests/reassembly.rs"]
mod tests;
