//! The server's secret of Fast Open, and the cookies it makes (RFC 7413 §4.1.2).
//!
//! Invariant: a cookie depends on the two addresses and the key only, so a server keeps nothing
//! for the clients it gave one to. It is eight octets: SipHash-2-4 of the client's address and
//! the server's, in network order, written little-endian, as Linux makes them, so that servers
//! behind one address may share a key with it. Called by the shell of TCP for listeners.

use core::fmt;
use core::hash::Hasher;
use core::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::secret::{Purpose, Secret};
use crate::wire::FastOpen;

/// A key for cookies; two servers with the same one take each other's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FastOpenKey([u64; 2]);

/// Shows nothing of the key.
impl fmt::Debug for FastOpenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FastOpenKey(..)")
    }
}

impl FastOpenKey {
    /// The key that `net.ipv4.tcp_fastopen_key` shows as these four numbers.
    ///
    /// ```
    /// use netstrata::tcp::FastOpenKey;
    /// let key = FastOpenKey::new([0xa1a1a1a1, 0xb2b2b2b2, 0xc3c3c3c3, 0xd4d4d4d4]);
    /// let cookie = key.cookie([192, 0, 2, 1].into(), [192, 168, 0, 1].into());
    /// assert_eq!(cookie.cookie(), [0x30, 0x21, 0xb9, 0xd8, 0x89, 0x01, 0x7e, 0xeb]);
    /// ```
    pub const fn new(words: [u32; 4]) -> Self {
        let [a, b, c, d] = words;
        Self([a as u64 | (b as u64) << 32, c as u64 | (d as u64) << 32])
    }

    /// A key of the stack's own.
    pub(crate) fn of(secret: &Secret) -> Self {
        Self(secret.key(Purpose::FastOpen))
    }

    /// The cookie of a client for a server, in the option of kind 34.
    pub fn cookie(&self, client: IpAddr, server: IpAddr) -> FastOpen {
        let Self([a, b]) = *self;
        let mut hasher = SipHasher24::new_with_keys(a, b);
        for ip in [client, server] {
            match ip {
                IpAddr::V4(ip) => hasher.write(&ip.octets()),
                IpAddr::V6(ip) => hasher.write(&ip.octets()),
            }
        }
        let octets = hasher.finish().to_le_bytes();
        FastOpen::new(&octets).unwrap_or(FastOpen::REQUEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cookie as Linux's tests have it, for the addresses those run between.
    fn hex(key: [u32; 4], client: &str, server: &str) -> u64 {
        let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
        let cookie = FastOpenKey::new(key).cookie(client, server);
        u64::from_be_bytes(cookie.cookie().try_into().unwrap())
    }

    /// The profile's vectors, which interoperate with Linux under the same key.
    #[test]
    fn profile_fast_open_cookie() {
        let key = [0xa1a1_a1a1, 0xb2b2_b2b2, 0xc3c3_c3c3, 0xd4d4_d4d4];
        let v4 = ("192.0.2.1", "192.168.0.1");
        let v6 = ("fd3d:fa7b:d17d::1", "fd3d:0a0b:17d6::1");
        assert_eq!(hex(key, v4.0, v4.1), 0x3021_b9d8_8901_7eeb);
        assert_eq!(hex(key, v6.0, v6.1), 0xc1d1_e974_2a47_a9bc);
        assert_eq!(hex([0; 4], v4.0, v4.1), 0xb7c1_2350_a90d_c8f5);
        assert_eq!(hex([0; 4], v6.0, v6.1), 0x82af_1a8f_9a20_5c34);
        assert_ne!(hex(key, v4.1, v4.0), hex(key, v4.0, v4.1));
    }
}
