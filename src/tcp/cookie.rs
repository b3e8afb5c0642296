//! SYN cookies (RFC 4987 §3.6): a handshake that needs no memory on our side.
//!
//! Invariant: nothing is kept between SYN and ACK but the stack's secret. The cookie is the
//! initial sequence number of our SYN-ACK: three bits that name a maximum segment size and 29
//! bits of a keyed hash over addresses, ports, the peer's initial sequence number, that size
//! and a coarse clock. What else the SYN offered travels in the low bits of our timestamp and
//! comes back in its echo, as in Linux; without timestamps it is lost. Called by the shell of
//! TCP for listeners whose SYN queue is full.

use core::hash::Hasher;
use core::net::SocketAddr;
use core::time::Duration;
use phy::Instant;

use super::ecn::{Agreed, Ecn};
use super::tcb::Peer;
use crate::secret::{Purpose, Secret, write_addr};
use crate::wire::TcpFlags;

/// Segment sizes a cookie can name; the largest that does not exceed the peer's is taken.
const SIZES: [u16; 8] = [48, 536, 1220, 1360, 1412, 1440, 1460, 8960];

/// Seconds in which cookies are equal; this epoch's and the last one's are accepted.
const EPOCH: u64 = 64;

/// How long after a cookie was sent the last ACK for it may be accepted.
pub(super) const LIFETIME: Duration = Duration::from_secs(2 * EPOCH);

/// Bits of the timestamp that carry options.
const BITS: u32 = 0x3f;
const NO_SCALE: u32 = 0xf;
const SACK: u32 = 0x10;
const ECN: u32 = 0x20;

/// The sequence number of a SYN-ACK for a SYN numbered `irs` that offered `mss`.
pub(super) fn make(
    secret: &Secret,
    now: Instant,
    local: SocketAddr,
    peer: SocketAddr,
    irs: u32,
    mss: u16,
) -> u32 {
    let size = SIZES.iter().rposition(|size| *size <= mss).unwrap_or(0) as u32;
    size << 29 | mac(secret, local, peer, irs, size, now.secs() / EPOCH)
}

/// The segment size named by a cookie that came back for a SYN numbered `irs`; `None` if we
/// did not make it, or too long ago.
pub(super) fn check(
    secret: &Secret,
    now: Instant,
    local: SocketAddr,
    peer: SocketAddr,
    irs: u32,
    cookie: u32,
) -> Option<u16> {
    let (size, epoch) = (cookie >> 29, now.secs() / EPOCH);
    let ours = [Some(epoch), epoch.checked_sub(1)]
        .into_iter()
        .flatten()
        .any(|epoch| mac(secret, local, peer, irs, size, epoch) == cookie & (u32::MAX >> 3));
    ours.then(|| SIZES.get(size as usize).copied()).flatten()
}

fn mac(
    secret: &Secret,
    local: SocketAddr,
    peer: SocketAddr,
    irs: u32,
    size: u32,
    epoch: u64,
) -> u32 {
    let mut h = secret.hasher(Purpose::Cookie);
    write_addr(&mut h, local);
    write_addr(&mut h, peer);
    h.write_u32(irs);
    h.write_u32(size);
    h.write_u64(epoch);
    h.finish() as u32 >> 3
}

/// Our clock reading `clock`, in milliseconds and before the connection's offset is added,
/// changed by less than 128 into the past so that it carries what was offered, `ecn` by
/// RFC 3168 included.
pub(super) fn stamp(clock: u32, offer: &Peer, ecn: bool) -> u32 {
    let mut bits = offer
        .window_scale
        .map_or(NO_SCALE, |shift| u32::from(shift.min(14)));
    if offer.sack {
        bits |= SACK;
    }
    if ecn {
        bits |= ECN;
    }
    let stamp = clock & !BITS | bits;
    // Never a time that has not come yet: the peer could echo it before we say it.
    if bits > clock & BITS {
        stamp.wrapping_sub(BITS + 1)
    } else {
        stamp
    }
}

/// What was offered, from the echo of [`stamp`] without the connection's offset, the size
/// from [`check`] and the peer's present timestamp. Without timestamps no option survives.
pub(super) fn offer(mss: u16, timestamps: Option<(u32, u32)>) -> Peer {
    let Some((value, echo)) = timestamps else {
        return Peer {
            mss,
            window_scale: None,
            sack: false,
            timestamp: None,
        };
    };
    let scale = echo & NO_SCALE;
    Peer {
        mss,
        window_scale: (scale != NO_SCALE).then_some(scale as u8),
        sack: echo & SACK != 0,
        timestamp: Some(value),
    }
}

/// What a handshake agreed on about ECN, from the echo of [`stamp`] and the flags of the segment
/// that ended it, for a listener that does this about it.
///
/// RFC 9768 is found in the flags (§5.1): they tell how the SYN-ACK came, in a way that nobody
/// else uses. RFC 3168 needs the timestamp.
pub(super) fn ecn(wish: Ecn, echo: Option<u32>, flags: TcpFlags) -> Agreed {
    let classic = echo.is_some_and(|echo| echo & ECN != 0) && wish != Ecn::Off;
    let told = flags.intersects(TcpFlags::AE | TcpFlags::CWR);
    if classic {
        Agreed::classic()
    } else if wish == Ecn::Accurate && told {
        Agreed::accurate(0)
    } else {
        Agreed::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    #[test]
    fn comes_back_within_two_epochs_and_names_the_size() {
        let secret = Secret::fixed();
        let (local, peer) = (([10, 0, 0, 1], 80).into(), ([10, 0, 0, 2], 5000).into());
        for (mss, named) in [
            (0, 48),
            (100, 48),
            (536, 536),
            (1459, 1440),
            (1460, 1460),
            (65535, 8960),
        ] {
            let cookie = make(&secret, at(1000), local, peer, 77, mss);
            let check = |now, peer, irs, cookie| check(&secret, now, local, peer, irs, cookie);
            assert_eq!(check(at(1000), peer, 77, cookie), Some(named));
            assert_eq!(check(at(1060), peer, 77, cookie), Some(named));
            assert_eq!(check(at(1000 + 128), peer, 77, cookie), None);
            assert_eq!(check(at(1000), peer, 78, cookie), None);
            let other = ([10, 0, 0, 2], 5001).into();
            assert_eq!(check(at(1000), other, 77, cookie), None);
            assert_eq!(check(at(1000), peer, 77, cookie ^ 1 << 29), None);
            assert_eq!(check(at(1000), peer, 77, cookie ^ 1), None);
        }
    }

    #[test]
    fn cookies_work_at_the_epoch_of_time_itself() {
        let secret = Secret::fixed();
        let (local, peer) = (([10, 0, 0, 1], 80).into(), ([10, 0, 0, 2], 5000).into());
        let cookie = make(&secret, Instant::ZERO, local, peer, 0, 1460);
        let back = check(&secret, Instant::ZERO, local, peer, 0, cookie);
        assert_eq!(back, Some(1460));
    }

    #[test]
    fn options_travel_in_the_timestamp() {
        for window_scale in [None, Some(0), Some(7), Some(14)] {
            for sack in [false, true] {
                for clock in [0, 1, 63, 64, 1_000_000, u32::MAX] {
                    let sent = Peer {
                        mss: 1460,
                        window_scale,
                        sack,
                        timestamp: Some(9),
                    };
                    for ecn in [false, true] {
                        let stamp = stamp(clock, &sent, ecn);
                        assert!(clock.wrapping_sub(stamp) < 128, "{clock} {stamp}");
                        assert_eq!(offer(1460, Some((9, stamp))), sent);
                        let agreed = super::ecn(Ecn::Answer, Some(stamp), TcpFlags::ACK);
                        assert_eq!(agreed.is_classic(), ecn);
                    }
                }
            }
        }
        let bare = offer(536, None);
        assert_eq!((bare.window_scale, bare.sack), (None, false));
    }
}
