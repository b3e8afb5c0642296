//! Fragments that overlap, or reach beyond the end of any datagram.
//!
//! Invariant: bounded datagrams and bounded parts of each; a datagram that is whole, or older
//! than reassembly lasts (RFC 1122 §3.3.2), is forgotten. No payload is kept, only its hash.

use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;

use super::report::{Report, Who};
use super::rules::Rule;
use crate::frame::Stamp;
use crate::view::{Fragment, Ip};

const DATAGRAMS: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// Parts remembered of one datagram; 65535 octets need no more than 47 of 1400.
const PARTS: usize = 64;

/// Reassembly gives up after this many nanoseconds.
const PATIENCE: u64 = 30_000_000_000;

/// What the fragments of one datagram share.
type Key = (IpAddr, IpAddr, u8, u32);

/// Watches fragments.
pub struct FragmentWatch {
    datagrams: LruCache<Key, Datagram>,
}

struct Datagram {
    since: Stamp,
    parts: Vec<Part>,
    /// Octets there are when all is there.
    total: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Part {
    from: u32,
    to: u32,
    hash: u64,
}

impl FragmentWatch {
    /// Knows no datagram.
    pub fn new() -> Self {
        Self {
            datagrams: LruCache::new(DATAGRAMS),
        }
    }

    /// Takes a fragment.
    pub fn packet(&mut self, time: Stamp, ip: &Ip<'_>, fragment: Fragment, report: &mut Report) {
        let who = Who::of(time, ip);
        let from = u32::from(fragment.offset);
        let to = from.saturating_add(u32::try_from(ip.announced).unwrap_or(u32::MAX));
        if to > 65_535 {
            let detail = format_args!("datagram {} would reach octet {to}", fragment.ident);
            report.alert(Rule::OversizeFragment, &who, detail);
        }
        if to == from {
            return;
        }
        let key = (ip.src, ip.dst, ip.first, fragment.ident);
        let fresh = || Datagram {
            since: time,
            parts: Vec::new(),
            total: None,
        };
        let datagram = self.datagrams.get_or_insert_mut(key, fresh);
        if time.since(datagram.since) > PATIENCE {
            *datagram = fresh();
        }
        let part = Part {
            from,
            to,
            hash: hash(ip.payload),
        };
        let parts = &datagram.parts;
        // The same part twice is a duplicate, which networks make by themselves.
        if parts.contains(&part) {
            return;
        }
        if let Some(other) = parts
            .iter()
            .find(|other| other.from < to && from < other.to)
        {
            let detail = format_args!(
                "datagram {}: octets {from} to {to} overlap {} to {}",
                fragment.ident, other.from, other.to
            );
            report.alert(Rule::OverlappingFragments, &who, detail);
        }
        if datagram.parts.len() < PARTS {
            datagram.parts.push(part);
        }
        if !fragment.more {
            datagram.total = Some(to);
        }
        let held: u32 = datagram.parts.iter().map(|part| part.to - part.from).sum();
        if datagram.total.is_some_and(|total| held >= total) {
            self.datagrams.pop(&key);
        }
    }
}

fn hash(octets: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(octets);
    hasher.finish()
}
