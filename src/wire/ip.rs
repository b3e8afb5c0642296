//! What transports need of an IP header, whichever version it was.
//!
//! Invariant: `src` and `dst` are of one family. The network layer makes these values; transports
//! read them on the way up and fill them on the way down.

use core::net::IpAddr;

use super::Sum;

/// The version-independent view of an IP header.
///
/// ```
/// use netstrata::wire::{IpHeader, Tcp, protocol};
/// let ip = IpHeader::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::TCP);
/// assert_eq!(ip.reversed().dst, ip.src);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpHeader {
    /// Who sent it.
    pub src: IpAddr,
    /// Whom it is for.
    pub dst: IpAddr,
    /// [`protocol`](super::protocol) of the payload.
    pub proto: u8,
    /// Time to live, or hop limit: 0 to 255 hops.
    pub ttl: u8,
    /// DSCP (upper six bits) and ECN (lower two): type of service, or traffic class.
    pub tos: u8,
}

impl IpHeader {
    /// TTL of packets nobody said otherwise about (RFC 1700; RFC 1122 §3.2.1.7).
    pub const DEFAULT_TTL: u8 = 64;

    /// A header with the default TTL and best effort service.
    pub const fn new(src: IpAddr, dst: IpAddr, proto: u8) -> Self {
        Self {
            src,
            dst,
            proto,
            ttl: Self::DEFAULT_TTL,
            tos: 0,
        }
    }

    /// The pseudo-header sum that starts a transport checksum over `len` octets of transport
    /// header and payload.
    #[inline]
    pub fn pseudo(&self, len: usize) -> Sum {
        Sum::pseudo(self.src, self.dst, self.proto, len)
    }

    /// The same header the other way, for an answer: addresses swapped, TTL and service afresh.
    #[must_use]
    pub const fn reversed(&self) -> Self {
        Self::new(self.dst, self.src, self.proto)
    }

    /// ECN codepoint (RFC 3168 §5): 0 not capable, 1 ECT(1), 2 ECT(0), 3 congestion experienced.
    pub const fn ecn(&self) -> u8 {
        self.tos & 3
    }
}
