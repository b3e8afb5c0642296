//! What sockets of port-based protocols are found by.

use core::net::{IpAddr, SocketAddr};

/// Local address and port, and the peer once there is one: the key of UDP and TCP sockets.
///
/// A packet is looked up by its whole 4-tuple, then by local address and port, then by port
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Local address; `None` takes any of ours.
    pub ip: Option<IpAddr>,
    /// Local port, not 0.
    pub port: u16,
    /// The one peer of a connected socket.
    pub peer: Option<SocketAddr>,
}

impl Endpoint {
    /// The key of a flow.
    pub const fn flow(local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            ip: Some(local.ip()),
            port: local.port(),
            peer: Some(peer),
        }
    }
    /// The key of a socket bound to `port` on `ip`, or on all addresses.
    pub const fn bound(ip: Option<IpAddr>, port: u16) -> Self {
        Self {
            ip,
            port,
            peer: None,
        }
    }
}
