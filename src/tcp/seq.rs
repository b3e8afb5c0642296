//! Sequence numbers (RFC 9293 §3.4).
//!
//! Invariant: every operation wraps at 2^32 and none can panic. There is no `Ord`: "before" and
//! "after" mean something only for numbers less than 2^31 apart, which all comparisons assume.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A sequence number: a position in a stream of octets, modulo 2^32.
///
/// ```
/// use netstrata::tcp::SeqNum;
/// let last = SeqNum(u32::MAX);
/// assert_eq!(last + 1, SeqNum(0));
/// assert!(last.lt(last + 1) && (last + 1).gt(last));
/// assert_eq!((last + 10).since(last), 10);
/// assert_eq!(last.distance(last + 10), -10);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Octets from `earlier` to `self`, 0 to 2^32 - 1.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Octets from `other` to `self`; negative when `self` comes before `other`.
    #[inline]
    #[must_use]
    pub const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// Octets from `earlier` to `self`, 0 when `self` comes before it.
    #[inline]
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> u32 {
        let d = self.distance(earlier);
        if d < 0 { 0 } else { d as u32 }
    }

    /// Before `other`.
    #[inline]
    #[must_use]
    pub const fn lt(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// At or before `other`.
    #[inline]
    #[must_use]
    pub const fn le(self, other: Self) -> bool {
        self.distance(other) <= 0
    }

    /// After `other`.
    #[inline]
    #[must_use]
    pub const fn gt(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// At or after `other`.
    #[inline]
    #[must_use]
    pub const fn ge(self, other: Self) -> bool {
        self.distance(other) >= 0
    }

    /// In `start..start + len`, whatever `len` is.
    #[inline]
    #[must_use]
    pub const fn in_window(self, start: Self, len: u32) -> bool {
        self.since(start) < len
    }

    /// The later of the two.
    #[inline]
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.lt(other) { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if self.gt(other) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;
    #[inline]
    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;
    #[inline]
    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

impl fmt::Display for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::SeqNum;

    #[test]
    fn order_holds_across_the_wrap() {
        let a = SeqNum(0xffff_fff0);
        let b = a + 0x20;
        assert!(a.lt(b) && a.le(b) && b.gt(a) && b.ge(a) && !b.lt(a));
        assert!(a.le(a) && a.ge(a) && !a.lt(a) && !a.gt(a));
        assert_eq!((a.max(b), a.min(b)), (b, a));
        assert_eq!((b - 0x20, b.since(a), a.distance(b)), (a, 0x20, -0x20));
        assert_eq!((a.saturating_since(b), b.saturating_since(a)), (0, 0x20));
    }

    #[test]
    fn window_is_half_open() {
        let start = SeqNum(u32::MAX - 1);
        assert!(start.in_window(start, 1) && (start + 2).in_window(start, 3));
        assert!(!(start + 3).in_window(start, 3) && !(start - 1).in_window(start, 3));
        assert!(!start.in_window(start, 0));
    }
}
