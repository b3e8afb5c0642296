//! What sockets of port-based protocols are found by.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, SocketAddr};

/// Local address and port, and the peer once there is one: the key of UDP and TCP sockets.
///
/// A packet is looked up by its whole 4-tuple, then by local address and port, then by port
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// An IPv4 flow is two words, hashed for every packet that is received; the derived form is
/// nine. Flow labels and scopes do not count.
impl Hash for Endpoint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let peer = self.peer.map(|p| p.ip());
        let peer_port = self.peer.map_or(0, |p| p.port());
        let kinds = family(self.ip) << 2 | family(peer);
        state.write_u64(kinds << 32 | u64::from(self.port) << 16 | u64::from(peer_port));
        match (self.ip, peer) {
            (Some(IpAddr::V6(_)), _) | (_, Some(IpAddr::V6(_))) => {
                for half in [halves(self.ip), halves(peer)].as_flattened() {
                    state.write_u64(*half);
                }
            }
            (ip, peer) => state.write_u64(halves(ip)[1] << 32 | halves(peer)[1]),
        }
    }
}

const fn family(ip: Option<IpAddr>) -> u64 {
    match ip {
        None => 0,
        Some(IpAddr::V4(_)) => 1,
        Some(IpAddr::V6(_)) => 2,
    }
}

const fn halves(ip: Option<IpAddr>) -> [u64; 2] {
    match ip {
        None => [0, 0],
        Some(IpAddr::V4(a)) => [0, a.to_bits() as u64],
        Some(IpAddr::V6(a)) => [(a.to_bits() >> 64) as u64, a.to_bits() as u64],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    #[test]
    fn keys_that_differ_hash_differently() {
        let ips: [IpAddr; 4] = [
            "0.0.0.0".parse().unwrap(),
            "192.0.2.1".parse().unwrap(),
            "::".parse().unwrap(),
            "::c000:201".parse().unwrap(),
        ];
        let ports = [1, 443];
        let mut keys = HashSet::new();
        for port in ports {
            keys.insert(Endpoint::bound(None, port));
            for ip in ips {
                keys.insert(Endpoint::bound(Some(ip), port));
                for peer in ips {
                    for peer_port in ports {
                        keys.insert(Endpoint::flow((ip, port).into(), (peer, peer_port).into()));
                    }
                }
            }
        }
        assert_eq!(keys.len(), 2 * (1 + 4 + 4 * 4 * 2));
        let hasher = keys.hasher();
        let hashes: HashSet<u64> = keys.iter().map(|k| hasher.hash_one(k)).collect();
        assert_eq!(hashes.len(), keys.len());
    }
}
