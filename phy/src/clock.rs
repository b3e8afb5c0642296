//! Where the caller of the stack takes its [`Instant`]s from. The stack itself never holds
//! a clock; loops and commands do.

use core::cell::Cell;
use core::time::Duration;

use crate::Instant;

/// Something that tells the time. Readings never go backwards.
pub trait Clock {
    /// The current instant.
    fn now(&self) -> Instant;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Instant {
        C::now(self)
    }
}

/// A clock that stands still until it is moved: for tests and simulations in virtual time.
///
/// ```
/// use core::time::Duration;
/// use phy::{Clock, Instant, ManualClock};
///
/// let clock = ManualClock::new();
/// clock.advance(Duration::from_millis(20));
/// assert_eq!(clock.now(), Instant::from_millis(20));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(Cell<Instant>);

impl ManualClock {
    /// A clock at [`Instant::ZERO`].
    #[must_use]
    pub const fn new() -> Self {
        Self::at(Instant::ZERO)
    }

    /// A clock at `now`.
    #[must_use]
    pub const fn at(now: Instant) -> Self {
        Self(Cell::new(now))
    }

    /// Moves the clock forward by `d`.
    pub fn advance(&self, d: Duration) {
        self.0.set(self.0.get() + d);
    }

    /// Moves the clock forward to `to`; does nothing if that has passed.
    pub fn advance_to(&self, to: Instant) {
        self.0.set(self.0.get().max(to));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.0.get()
    }
}

/// The operating system's monotonic clock; zero is when the value was made. Copies share
/// the epoch, so several threads can compare their readings.
#[cfg(feature = "std")]
#[derive(Debug, Clone, Copy)]
pub struct Monotonic {
    start: std::time::Instant,
    wall: Duration,
}

#[cfg(feature = "std")]
impl Monotonic {
    /// A clock that reads zero now.
    #[must_use]
    pub fn new() -> Self {
        let wall = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            start: std::time::Instant::now(),
            wall,
        }
    }

    /// The wall clock (since 1970-01-01 00:00 UTC) at [`Instant::ZERO`] of this clock: what
    /// a capture file adds to an [`Instant`] to get a date.
    #[must_use]
    pub fn unix_epoch_offset(&self) -> Duration {
        self.wall
    }
}

#[cfg(feature = "std")]
impl Default for Monotonic {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "std")]
impl Clock for Monotonic {
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_never_goes_back() {
        let clock = ManualClock::at(Instant::from_secs(5));
        clock.advance_to(Instant::from_secs(3));
        assert_eq!(clock.now(), Instant::from_secs(5));
        clock.advance_to(Instant::from_secs(8));
        assert_eq!(Clock::now(&&clock), Instant::from_secs(8));
    }

    #[cfg(feature = "std")]
    #[test]
    fn copies_of_the_monotonic_clock_share_their_epoch() {
        let clock = Monotonic::new();
        let copy = clock;
        let (a, b, c) = (clock.now(), copy.now(), clock.now());
        assert!(a <= b && b <= c);
        assert!(clock.unix_epoch_offset() > Duration::ZERO);
    }
}
