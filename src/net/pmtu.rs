//! What is known of path MTUs (RFC 1191): a small table, forgotten in time.
//!
//! Invariant: a value is at least [`FLOOR`] and only shrinks until it expires. The table is of
//! fixed size; a destination whose set is full takes the place of the one learned first.

use core::net::Ipv4Addr;
use core::time::Duration;
use phy::Instant;

/// Least path MTU believed, in octets: what forged reports cannot push us below (RFC 5927 §7.2;
/// Linux has the same number).
pub(crate) const FLOOR: u16 = 552;

/// Values are forgotten after this, so that a better path is found (RFC 1191 §6.3).
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);

const SETS: usize = 16;
const WAYS: usize = 4;

#[derive(Debug, Clone, Copy)]
struct Known {
    dst: Ipv4Addr,
    mtu: u16,
    until: Instant,
}

/// Path MTUs by destination.
#[derive(Debug, Clone)]
pub(crate) struct PathMtus {
    sets: [[Option<Known>; WAYS]; SETS],
    /// Nothing was ever learned: the usual case, at no cost.
    empty: bool,
}

/// Octets of packets that common links carry (RFC 1191 §7.1), largest first.
const PLATEAUS: [u16; 9] = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296];

/// What to try when a packet of `len` octets was too big and the router did not say for what.
pub(crate) fn plateau_below(len: u16) -> u16 {
    let lower = PLATEAUS.iter().find(|p| **p < len);
    lower.copied().unwrap_or(68)
}

impl PathMtus {
    pub const fn new() -> Self {
        Self {
            sets: [[None; WAYS]; SETS],
            empty: true,
        }
    }

    fn set(dst: Ipv4Addr) -> usize {
        // Only validated reports get here, so no key is needed.
        (dst.to_bits().wrapping_mul(0x9e37_79b1) >> 28) as usize % SETS
    }

    /// Largest packet known to reach `dst`, in octets.
    pub fn get(&self, dst: Ipv4Addr, now: Instant) -> Option<u16> {
        if self.empty {
            return None;
        }
        let set = self.sets.get(Self::set(dst))?;
        let known = set.iter().flatten().find(|k| k.dst == dst)?;
        (known.until > now).then_some(known.mtu)
    }

    /// A packet of more than `mtu` octets does not reach `dst`.
    pub fn learn(&mut self, dst: Ipv4Addr, mtu: u16, now: Instant) {
        let mtu = mtu.max(FLOOR);
        let Some(set) = self.sets.get_mut(Self::set(dst)) else {
            return;
        };
        self.empty = false;
        let until = now + LIFETIME;
        let fresh = Known { dst, mtu, until };
        let known = set.iter_mut().flatten().find(|k| k.dst == dst);
        if let Some(known) = known {
            // Reports of more are stale or forged: paths are tried again when this expires.
            if known.until <= now || mtu <= known.mtu {
                *known = fresh;
            }
            return;
        }
        let place = set
            .iter_mut()
            .min_by_key(|k| k.map_or(Instant::ZERO, |k| k.until));
        if let Some(place) = place {
            *place = Some(fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    #[test]
    fn values_shrink_have_a_floor_and_expire() {
        let mut p = PathMtus::new();
        let t = Instant::from_secs(5);
        assert_eq!(p.get(DST, t), None);
        p.learn(DST, 1400, t);
        p.learn(DST, 1450, t);
        assert_eq!(p.get(DST, t), Some(1400));
        p.learn(DST, 68, t);
        assert_eq!(p.get(DST, t), Some(FLOOR));
        assert_eq!(p.get(DST, t + LIFETIME), None);
        p.learn(DST, 1450, t + LIFETIME);
        assert_eq!(p.get(DST, t + LIFETIME), Some(1450));
    }

    #[test]
    fn the_table_stays_small_and_keeps_the_newest() {
        let mut p = PathMtus::new();
        for n in 0..10_000u32 {
            let dst = Ipv4Addr::from_bits(0x0a00_0000 + n);
            let now = Instant::from_micros(n.into());
            p.learn(dst, 1000, now);
            assert_eq!(p.get(dst, now), Some(1000));
        }
    }

    #[test]
    fn silent_routers_are_answered_by_a_lower_plateau() {
        assert_eq!(plateau_below(1500), 1492);
        assert_eq!(plateau_below(1492), 1006);
        assert_eq!(plateau_below(65535), 32000);
        assert_eq!(plateau_below(100), 68);
    }
}
