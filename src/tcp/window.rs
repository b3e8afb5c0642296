//! The window we offer (RFC 9293 §3.8.6.2.2, RFC 7323 §2).
//!
//! The window opens to `rcv_ssthresh`, which begins at what the SYN offered and grows as full
//! segments come ([`autotune`](super::autotune)), and to what the buffer has room for.
//!
//! Invariant: the right edge `rcv_adv` never moves back, and everything before it is accepted.
//! The window field may fall short of it by less than one unit of the scale where the buffer's
//! end is no multiple of it from RCV.NXT (RFC 7323 §2.4).

use super::config::Config;
use super::congestion::Congestion;
use super::tcb::Tcb;
use crate::socket::RecvBuf;

/// Largest window that fits the field unscaled.
const UNSCALED: u32 = 0xffff;
/// Largest window with scaling (RFC 7323 §2.3).
const LARGEST: u32 = 0xffff << 14;

/// The window scale to offer: the smallest with which the largest receive buffer can be
/// offered, 0 to 14.
pub fn scale(cfg: &Config) -> u8 {
    let most = cfg.receive_buffer_max;
    (0..14)
        .find(|shift| (0xffff_usize << shift) >= most)
        .unwrap_or(14)
}

/// The window of a SYN or SYN-ACK, which is never scaled (RFC 7323 §2.2), for a buffer of
/// `capacity` octets.
pub fn of_syn(capacity: usize) -> u16 {
    u16::try_from(capacity).unwrap_or(u16::MAX)
}

impl<C> Tcb<C> {
    /// Octets still open of the window offered last.
    #[inline]
    pub(super) fn rcv_wnd(&self) -> u32 {
        self.rcv_adv.saturating_since(self.rcv_nxt)
    }
}

impl<C: Congestion> Tcb<C> {
    /// The same as the peer knows it: less than a unit is none.
    #[inline]
    fn told(&self) -> u32 {
        let held = self.rcv_wnd();
        if held >> (self.rcv_scale & 15) == 0 {
            0
        } else {
            held
        }
    }

    /// Octets that the window may ever span now.
    #[inline]
    fn widest(&self, rx: &impl RecvBuf) -> u32 {
        let capacity = u32::try_from(rx.capacity()).unwrap_or(u32::MAX);
        capacity.min(self.rcv_ssthresh)
    }

    /// The least worth telling the peer about: a segment, or half of all there may be if that is
    /// less.
    #[inline]
    fn worth_offering(&self, rx: &impl RecvBuf) -> u32 {
        let half = self.widest(rx) / 2;
        half.min(u32::from(self.adv_mss)).max(1)
    }

    /// The window that could be offered now, a multiple of the scale's unit.
    #[inline]
    fn offerable(&self, rx: &impl RecvBuf) -> u32 {
        let most = if self.rcv_scale == 0 {
            UNSCALED
        } else {
            LARGEST
        };
        let free = u32::try_from(rx.window()).unwrap_or(most).min(most);
        let free = free.min(self.rcv_ssthresh);
        let scale = self.rcv_scale & 15;
        let window = free >> scale << scale;
        // A buffer of less than a unit would never open again: mostly free, it is offered as
        // one, and what is too much will come once more.
        if window == 0 && free > self.widest(rx) / 2 && self.widest(rx) < 1 << scale {
            return 1 << scale;
        }
        window
    }

    /// The window field of the next segment. Opens the window by steps worth it only, so that
    /// the peer has no reason to send small segments (RFC 9293 §3.8.6.2.2).
    #[inline]
    pub(super) fn window_field(&self, rx: &impl RecvBuf) -> u16 {
        let scale = self.rcv_scale & 15;
        let held = self.rcv_wnd();
        let free = rx.window();
        let open = self.offerable(rx);
        let step = open.saturating_sub(self.told());
        let window = if open > held && step >= self.worth_offering(rx) {
            open
        } else {
            // Hold the edge. Rounded up where the buffer has the room, so that it does not
            // seem to move back.
            let unit = 1_u32 << scale;
            let up = held.saturating_add(unit.wrapping_sub(1)) >> scale << scale;
            if usize::try_from(up).is_ok_and(|up| up <= free) {
                up
            } else {
                held
            }
        };
        u16::try_from(window >> scale).unwrap_or(u16::MAX)
    }

    /// Is the window so much wider than what was offered that the peer should be told? At least
    /// worth offering, and twice the old one, so that a reader of small pieces does not cause a
    /// segment for each (RFC 1122 §4.2.3.3).
    pub(super) fn update_due(&self, rx: &impl RecvBuf) -> bool {
        let held = self.told();
        let step = self.offerable(rx).saturating_sub(held);
        step >= self.worth_offering(rx) && step >= held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_fits_the_largest_buffer() {
        let with = |receive_buffer_max| {
            scale(&Config {
                receive_buffer_max,
                ..Config::default()
            })
        };
        assert_eq!(scale(&Config::default()), 8);
        assert_eq!([0, 65535, 65536, 131070, 131071].map(with), [0, 0, 1, 1, 2]);
        assert_eq!(with(usize::MAX), 14);
        assert_eq!([0, 1000, 540_000].map(of_syn), [0, 1000, 65535]);
    }
}
