//! Why a connection ended or is in trouble, as the application is told.

use core::fmt;

/// What ended a connection, or kept it from opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TcpError {
    /// Nobody listens there: a RST or a port unreachable answered our SYN.
    Refused,
    /// The peer reset the connection.
    Reset,
    /// The peer, which had closed its side, reset the connection: it takes nothing any more.
    BrokenPipe,
    /// The peer did not answer: retransmissions, probes or the user timeout ran out.
    TimedOut,
    /// The host cannot be reached, or its reaching is forbidden.
    HostUnreachable,
    /// The network cannot be reached.
    NetUnreachable,
    /// This side aborted the connection.
    Aborted,
    /// The stack ran out of memory, and this connection was among those that could be spared
    /// ([`MemoryLimits`](super::MemoryLimits)).
    NoMemory,
    /// The local address and port are taken, or no ephemeral port is left towards the peer.
    AddrInUse,
}

impl fmt::Display for TcpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Reset => "connection reset by peer",
            Self::BrokenPipe => "broken pipe",
            Self::TimedOut => "connection timed out",
            Self::HostUnreachable => "no route to host",
            Self::NetUnreachable => "network is unreachable",
            Self::Aborted => "connection aborted",
            Self::NoMemory => "out of memory",
            Self::AddrInUse => "address already in use",
        })
    }
}

impl core::error::Error for TcpError {}
