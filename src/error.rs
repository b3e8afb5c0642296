//! What can go wrong, as small values a caller can act on. Received packets raise no error:
//! what is dropped is counted under a [`Drop`] reason (see [`Stats`](crate::stats::Stats)).

use core::fmt;
use phy::Abort;

/// Why a packet did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxError {
    /// The transmit side is full; try again after the next `poll`.
    Full,
    /// The next hop's link address is being looked up; the socket is to be parked.
    Resolving,
    /// The next hop did not answer address resolution (RFC 1122 §2.3.2.1).
    Unreachable,
    /// No route leads to the destination.
    NoRoute,
    /// The packet exceeds what the path carries, in octets of IP packet, and may not be fragmented.
    TooBig(u16),
    /// A layer below withdrew the packet.
    Dropped,
}

impl From<Abort> for TxError {
    fn from(_: Abort) -> Self {
        Self::Dropped
    }
}

impl fmt::Display for TxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("transmit side is full"),
            Self::Resolving => f.write_str("link address is being resolved"),
            Self::Unreachable => f.write_str("next hop does not answer"),
            Self::NoRoute => f.write_str("no route to destination"),
            Self::TooBig(mtu) => write!(f, "packet exceeds the path MTU of {mtu}"),
            Self::Dropped => f.write_str("dropped by a lower layer"),
        }
    }
}

impl core::error::Error for TxError {}

/// Why a socket could not be opened or bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenError {
    /// The socket table is full.
    Full,
    /// Another socket has this address and port.
    InUse,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "socket table is full",
            Self::InUse => "address already in use",
        })
    }
}

impl core::error::Error for OpenError {}

/// The handle's socket is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the socket is gone")
    }
}

impl core::error::Error for Stale {}

macro_rules! drops {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)+) => {
        /// Why a packet was dropped. Each reason has a counter in [`Stats`](crate::stats::Stats).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Drop { $($(#[$doc])* $name,)+ }

        impl Drop {
            /// Every reason, in counter order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// A few words, for people.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

drops! {
    /// Shorter than a header says or needs.
    Truncated => "truncated",
    /// A header that contradicts itself or its standard.
    Malformed => "malformed header",
    /// A checksum that does not add up.
    BadChecksum => "bad checksum",
    /// A link-layer destination that is not ours.
    OtherHost => "other host's frame",
    /// An EtherType or IP version that no layer of this stack speaks.
    UnknownProtocol => "unknown protocol",
    /// Source or destination that must not be on the wire (RFC 1122 §3.2.1.3, RFC 6890).
    Martian => "martian address",
    /// A unicast IP destination that is not ours; hosts do not forward.
    NotOurs => "not our address",
    /// Unicast IP inside a link broadcast or multicast (RFC 1122 §3.3.6).
    LinkBroadcast => "unicast in link broadcast",
    /// Source routes are refused (RFC 7126 §4.3).
    SourceRoute => "source route",
    /// Overlapping, oversized or too many fragments (RFC 5722, RFC 1858).
    BadFragment => "bad fragment",
    /// A datagram whose fragments did not all come in time, or were evicted.
    ReassemblyTimeout => "reassembly given up",
    /// No room for another datagram under reassembly.
    ReassemblyFull => "reassembly full",
    /// ARP that contradicts what is known, or that we did not ask for.
    BadArp => "unwanted ARP",
    /// The neighbour table or its quota of unfinished entries is full.
    NeighborFull => "neighbour table full",
    /// More packets waited for a link address than the entry holds; the oldest went.
    NeighborQueue => "neighbour queue full",
    /// The neighbour never answered.
    NeighborFailed => "neighbour did not answer",
    /// No socket takes it.
    NoSocket => "no socket",
    /// The socket's receive buffer is full.
    SocketFull => "socket buffer full",
    /// The transmit side was full.
    TxFull => "transmit side full",
    /// An ICMP message above the rate limit.
    RateLimited => "rate limited",
    /// An ICMP error whose quotation matches nothing we sent (RFC 5927 §4).
    BadIcmp => "ICMP error for nothing we sent",
    /// The SYN or accept queue of a listener is full.
    Backlog => "listen backlog full",
    /// A SYN from where no route leads back to.
    NoWayBack => "no route back to the sender",
    /// A TCP segment outside the window (RFC 9293 §3.10.7.4).
    OutOfWindow => "segment outside the window",
    /// A TCP segment whose timestamp is too old (RFC 7323 §5, PAWS).
    Paws => "old timestamp",
    /// A TCP segment that makes no sense in its connection's state.
    BadSegment => "unacceptable segment",
    /// A memory limit of the stack was reached.
    Memory => "memory limit",
    /// A filter dropped it.
    Filtered => "filtered",
}

impl fmt::Display for Drop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
