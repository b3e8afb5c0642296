//! The one secret of a stack, and what derives from it by SipHash: nothing that a peer could
//! use to forge or track may be guessed (RFC 6528, RFC 6056, RFC 7739, RFC 4987).

use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use phy::Instant;
use rand_core::CryptoRng;
use siphasher::sip::{SipHasher13, SipHasher24};

/// What a derived value is for; values for different purposes are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Initial sequence numbers (RFC 6528 §3).
    Isn = 1,
    /// Ephemeral ports (RFC 6056 §3.3.4).
    Port = 2,
    /// SYN cookies (RFC 4987 §3.6).
    Cookie = 3,
    /// Socket tables: a peer must not choose which buckets collide.
    Index = 4,
    /// IP identification (RFC 7739 §5).
    Ident = 5,
    /// Timestamp offsets (RFC 7323 §5.4).
    Timestamp = 6,
    /// Jitter of timers and rate limits.
    Jitter = 7,
    /// Keys of protocols this crate does not know.
    Custom = 8,
    /// Fast Open cookies (RFC 7413 §4.1.2).
    FastOpen = 9,
}

/// 128 bits drawn once from a cryptographic source.
#[derive(Clone)]
pub struct Secret([u64; 2]);

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// Draws a secret.
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        Self([rng.next_u64(), rng.next_u64()])
    }

    /// The same in every run.
    #[cfg(test)]
    pub(crate) const fn fixed() -> Self {
        Self([4, 4])
    }

    /// SipHash-2-4 of `data` for `purpose`.
    pub fn hash(&self, purpose: Purpose, data: &[u8]) -> u64 {
        let mut h = self.hasher(purpose);
        h.write(data);
        h.finish()
    }

    /// A hasher for `purpose`, to be fed field by field.
    pub fn hasher(&self, purpose: Purpose) -> SipHasher24 {
        let mut h = SipHasher24::new_with_keys(self.0[0], self.0[1]);
        h.write_u8(purpose as u8);
        h
    }

    /// An independent 128-bit key for `purpose`, e.g. for a faster hash of its own.
    pub fn key(&self, purpose: Purpose) -> [u64; 2] {
        [self.hash(purpose, b"first"), self.hash(purpose, b"second")]
    }

    /// Initial sequence number of a connection: a clock of 4 µs ticks plus a keyed hash of the
    /// 4-tuple (RFC 6528 §3).
    pub fn isn(&self, now: Instant, local: SocketAddr, remote: SocketAddr) -> u32 {
        let hash = self.of_flow(Purpose::Isn, local, remote);
        ((now.micros() / 4) as u32).wrapping_add(hash as u32)
    }

    /// Per-connection offset of the TCP timestamp clock (RFC 7323 §5.4).
    pub fn timestamp_offset(&self, local: SocketAddr, remote: SocketAddr) -> u32 {
        self.of_flow(Purpose::Timestamp, local, remote) as u32
    }

    /// The hash of a 4-tuple for `purpose`.
    fn of_flow(&self, purpose: Purpose, local: SocketAddr, remote: SocketAddr) -> u64 {
        let mut h = SipHasher24::new_with_keys(self.0[0], self.0[1]);
        if let (SocketAddr::V4(local), SocketAddr::V4(remote)) = (local, remote) {
            // The octets that the hasher is fed below, in one piece.
            let [a, b, c, d] = local.ip().to_bits().to_ne_bytes();
            let [e, f] = local.port().to_ne_bytes();
            let [g, i, j, k] = remote.ip().to_bits().to_ne_bytes();
            let [l, m] = remote.port().to_ne_bytes();
            h.write(&[purpose as u8, a, b, c, d, e, f, g, i, j, k, l, m]);
        } else {
            h.write_u8(purpose as u8);
            write_addr(&mut h, local);
            write_addr(&mut h, remote);
        }
        h.finish()
    }

    /// A value for `range` that looks random and depends on `what` only.
    pub fn jitter(&self, range: Duration, what: u64) -> Duration {
        let h = self.hash(Purpose::Jitter, &what.to_le_bytes());
        let us = (range.as_micros() as u64).max(1);
        Duration::from_micros(h % us)
    }
}

/// Feeds an address and port to a hasher without ambiguity between families.
pub fn write_addr(h: &mut impl Hasher, addr: SocketAddr) {
    write_ip(h, addr.ip());
    h.write_u16(addr.port());
}

/// Feeds an address to a hasher without ambiguity between families.
pub fn write_ip(h: &mut impl Hasher, ip: IpAddr) {
    match ip {
        IpAddr::V4(a) => h.write_u32(a.to_bits()),
        IpAddr::V6(a) => {
            h.write_u8(6);
            h.write_u128(a.to_bits());
        }
    }
}

/// The hash of socket tables: SipHash-1-3 under the key of [`Purpose::Index`].
pub type IndexHasher = SipHasher13;
