//! What every layer may know about the moment: time, secret, counters, limits.

use crate::error::Drop;
use crate::net::limit::IcmpLimit;
use crate::secret::Secret;
use crate::stats::Stats;
use phy::Instant;

/// The moment, as a stack hands it to its layers.
#[derive(Debug)]
pub struct Cx {
    /// The time given to this `poll`.
    pub now: Instant,
    /// Keys of everything a peer must not guess.
    pub secret: Secret,
    /// Counters of the whole stack.
    pub stats: Stats,
    /// Bounds the ICMP errors sent (RFC 1812 §4.3.2.8).
    pub icmp_limit: IcmpLimit,
    /// Turn number; egress starts with another protocol each turn.
    pub(crate) turn: usize,
}

/// The sooner of two deadlines, where there is any.
#[inline]
pub(crate) fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, None) => a,
        (None, b) => b,
    }
}

impl Cx {
    /// A context at time zero.
    pub fn new(secret: Secret) -> Self {
        Self {
            now: Instant::ZERO,
            icmp_limit: IcmpLimit::new(&secret),
            secret,
            stats: Stats::default(),
            turn: 0,
        }
    }
    /// Counts a dropped packet.
    #[cold]
    pub fn drop(&mut self, reason: Drop) {
        self.stats.drops.count(reason);
    }
}
