//! Neighbours as the outside sees them, and the numbers of address resolution.
//!
//! Invariant: plain values, changed by nobody. The behaviour is in the neighbour cache.

use core::net::IpAddr;
use core::time::Duration;
use phy::Instant;

use crate::wire::Mac;

/// Entries of a cache unless its interface says otherwise: as Linux has at most by default, or
/// few where there is no allocator.
pub const NEIGHBORS: usize = if cfg!(feature = "alloc") { 1024 } else { 64 };

/// How long a confirmed entry counts as reachable (RFC 4861 §10, REACHABLE_TIME).
pub const REACHABLE_TIME: Duration = Duration::from_secs(30);
/// How long an entry counts as reachable that its owner told us of without being asked, before
/// its next use starts a probe (RFC 4861 §10, DELAY_FIRST_PROBE_TIME).
pub const PROVISIONAL_TIME: Duration = Duration::from_secs(5);
/// Time between requests for one address (RFC 4861 §10, RETRANS_TIMER; the rate RFC 1122
/// §2.3.2.1 recommends).
pub const RETRANS_TIME: Duration = Duration::from_secs(1);
/// Requests for one address, broadcast or unicast, before we give up (RFC 4861 §10,
/// MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT).
pub const MAX_REQUESTS: u8 = 3;
/// How long an address that did not answer counts as unreachable without being asked for again.
pub const HOLD_DOWN: Duration = Duration::from_secs(1);
/// Addresses being asked for at the same time (RFC 6583 §7.1).
pub const MAX_UNFINISHED: usize = if cfg!(feature = "alloc") { 64 } else { 8 };
/// An unfinished entry keeps its place this long; then it may have to make room for a newer one.
pub const UNFINISHED_TIME: Duration = Duration::from_millis(100);

/// State of a neighbour entry (RFC 4861 §7.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NeighborState {
    /// Being asked for; no link address yet.
    Incomplete,
    /// Confirmed within [`REACHABLE_TIME`].
    Reachable,
    /// Not confirmed of late; its next use starts a probe.
    Stale,
    /// In use while unicast probes ask whether it is still there.
    Probe,
    /// It did not answer. Asked for again after [`HOLD_DOWN`].
    Failed,
    /// Set by hand; never changes by itself.
    Static,
}

/// A neighbour, to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbor {
    /// Its address.
    pub ip: IpAddr,
    /// Its link address, as far as known.
    pub mac: Option<Mac>,
    /// What we know of it.
    pub state: NeighborState,
    /// When it was last sent to, `None` if never.
    pub used: Option<Instant>,
}

/// Why an entry could not be set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighborError {
    /// No entry may be evicted for it.
    Full,
    /// The link address is a group, broadcast or zero.
    NotUnicast,
}

impl core::fmt::Display for NeighborError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full => "neighbour table is full",
            Self::NotUnicast => "not the link address of one station",
        })
    }
}

impl core::error::Error for NeighborError {}
