//! Congestion control chosen while the program runs, for each connection.
//!
//! Invariant: as of the algorithm in use; changing it keeps the window.

use super::{Ack, Bbr, Congestion, Cubic, Loss, Lost, PathModel, Reno};
use crate::tcp::config::Config;
use core::fmt;
use core::str::FromStr;
use phy::Instant;

/// The algorithms that [`Any`] can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// RFC 5681.
    Reno,
    /// RFC 9438.
    #[default]
    Cubic,
    /// draft-ietf-ccwg-bbr.
    Bbr,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reno, Self::Cubic, Self::Bbr];

    /// Its name, as Linux's `TCP_CONGESTION` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reno => "reno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No algorithm has that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such congestion control: reno, cubic or bbr")
    }
}

impl core::error::Error for UnknownAlgorithm {}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        let found = Self::ALL.into_iter().find(|a| a.name() == name);
        found.ok_or(UnknownAlgorithm)
    }
}

/// Any of the algorithms; CUBIC unless [`Congestion::select`] says otherwise.
#[derive(Debug, Clone)]
// The largest decides: a box would need an allocator.
#[allow(clippy::large_enum_variant)]
pub enum Any {
    /// RFC 5681.
    Reno(Reno),
    /// RFC 9438.
    Cubic(Cubic),
    /// draft-ietf-ccwg-bbr.
    Bbr(Bbr),
}

/// The same call to whichever it is.
macro_rules! each {
    ($any:expr, $cc:ident => $call:expr) => {
        match $any {
            Any::Reno($cc) => $call,
            Any::Cubic($cc) => $call,
            Any::Bbr($cc) => $call,
        }
    };
}

impl Any {
    /// As [`Congestion::new`], with an algorithm.
    pub fn with(algorithm: Algorithm, now: Instant, mss: u16) -> Self {
        match algorithm {
            Algorithm::Reno => Self::Reno(Reno::new(now, mss)),
            Algorithm::Cubic => Self::Cubic(Cubic::new(now, mss)),
            Algorithm::Bbr => Self::Bbr(Bbr::new(now, mss)),
        }
    }

    /// Which it is.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Reno(_) => Algorithm::Reno,
            Self::Cubic(_) => Algorithm::Cubic,
            Self::Bbr(_) => Algorithm::Bbr,
        }
    }
}

impl Congestion for Any {
    fn new(now: Instant, mss: u16) -> Self {
        Self::with(Algorithm::default(), now, mss)
    }

    fn on_config(&mut self, config: &Config) {
        each!(self, cc => cc.on_config(config));
    }

    fn on_initial_window(&mut self, segments: u8) {
        each!(self, cc => cc.on_initial_window(segments));
    }

    #[inline]
    fn window(&self) -> u32 {
        each!(self, cc => cc.window())
    }

    fn threshold(&self) -> Option<u32> {
        each!(self, cc => cc.threshold())
    }

    fn pacing_rate(&self) -> Option<u64> {
        each!(self, cc => cc.pacing_rate())
    }

    fn owns_recovery(&self) -> bool {
        each!(self, cc => cc.owns_recovery())
    }

    fn name(&self) -> &'static str {
        self.algorithm().name()
    }

    fn path_model(&self) -> Option<PathModel> {
        each!(self, cc => cc.path_model())
    }

    /// Window and threshold stay; what else was learned of the path is forgotten.
    fn select(&mut self, now: Instant, algorithm: Algorithm) -> bool {
        if self.algorithm() != algorithm {
            let (window, threshold) = (self.window(), self.threshold());
            *self = Self::with(algorithm, now, each!(self, cc => cc.segment()));
            each!(self, cc => cc.resume(window, threshold));
        }
        true
    }

    #[inline]
    fn on_sent(&mut self, now: Instant, bytes: u32, in_flight: u32) {
        each!(self, cc => cc.on_sent(now, bytes, in_flight));
    }

    #[inline]
    fn on_ack(&mut self, ack: &Ack) {
        each!(self, cc => cc.on_ack(ack));
    }

    fn on_recovery(&mut self, ack: &Ack) {
        each!(self, cc => cc.on_recovery(ack));
    }

    fn on_loss(&mut self, now: Instant, loss: Loss, in_flight: u32) {
        each!(self, cc => cc.on_loss(now, loss, in_flight));
    }

    fn on_lost(&mut self, lost: &Lost) {
        each!(self, cc => cc.on_lost(lost));
    }

    fn on_recovered(&mut self, now: Instant) {
        each!(self, cc => cc.on_recovered(now));
    }

    fn on_undo(&mut self) {
        each!(self, cc => cc.on_undo());
    }

    fn on_unused(&mut self, window: u32) {
        each!(self, cc => cc.on_unused(window));
    }

    fn on_mtu(&mut self, mss: u16) {
        each!(self, cc => cc.on_mtu(mss));
    }
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_go_both_ways() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            let any = Any::with(algorithm, Instant::ZERO, 1000);
            assert_eq!((any.algorithm(), any.name()), (algorithm, algorithm.name()));
        }
        for algorithm in Algorithm::ALL {
            let mut any = Any::with(algorithm, Instant::ZERO, 1000);
            let before = any.pacing_rate();
            any.on_initial_window(3);
            assert_eq!(any.window(), 3000);
            assert!(before.is_none() || any.pacing_rate() < before);
        }
        assert_eq!("vegas".parse::<Algorithm>(), Err(UnknownAlgorithm));
    }

    #[test]
    fn another_algorithm_goes_on_with_the_window() {
        let mut any = Any::new(Instant::ZERO, 1000);
        any.on_loss(Instant::ZERO, Loss::Detected, 10_000);
        assert_eq!((any.window(), any.threshold()), (7000, Some(7000)));
        for algorithm in [Algorithm::Bbr, Algorithm::Reno, Algorithm::Reno] {
            assert!(any.select(Instant::ZERO, algorithm));
            assert_eq!(any.window(), 7000);
        }
        // A type that is one algorithm stays it.
        assert!(!Reno::new(Instant::ZERO, 1000).select(Instant::ZERO, Algorithm::Bbr));
    }
}
