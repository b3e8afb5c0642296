//! IP identification values: unpredictable, and not repeated soon for one pair of hosts
//! (RFC 6864 §4.3, RFC 7739 §5.3).

use core::hash::Hasher;
use core::net::IpAddr;

use crate::secret::{Purpose, Secret, write_ip};

const BUCKETS: usize = 64;

/// Counters of a keyed hash of source, destination and protocol.
#[derive(Debug)]
pub struct Idents {
    secret: Secret,
    counters: [u16; BUCKETS],
    /// The pair asked for last, and its hash: packets go in trains.
    last: Option<(Flow, u64)>,
}

type Flow = (IpAddr, IpAddr, u8);

impl Idents {
    /// Counters that start where the secret says.
    pub fn new(secret: &Secret) -> Self {
        Self {
            secret: secret.clone(),
            counters: [0; BUCKETS],
            last: None,
        }
    }

    /// The identification of the next fragmentable packet from `src` to `dst`.
    pub fn next(&mut self, src: IpAddr, dst: IpAddr, proto: u8) -> u16 {
        let hash = self.hash(src, dst, proto);
        self.next_of(hash)
    }

    /// What the counter from `src` to `dst` is found by.
    pub fn hash(&mut self, src: IpAddr, dst: IpAddr, proto: u8) -> u64 {
        let flow = (src, dst, proto);
        if let Some((last, hash)) = self.last
            && last == flow
        {
            return hash;
        }
        let mut h = self.secret.hasher(Purpose::Ident);
        write_ip(&mut h, src);
        write_ip(&mut h, dst);
        h.write_u8(proto);
        let hash = h.finish();
        self.last = Some((flow, hash));
        hash
    }

    /// As [`next`](Self::next) for a pair whose [`hash`](Self::hash) is known.
    #[inline]
    pub fn next_of(&mut self, hash: u64) -> u16 {
        let bucket = (hash >> 32) as usize % BUCKETS;
        let Some(counter) = self.counters.get_mut(bucket) else {
            return hash as u16;
        };
        *counter = counter.wrapping_add(1);
        counter.wrapping_add(hash as u16)
    }
}
