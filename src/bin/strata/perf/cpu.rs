//! How much of a processor we take.

use std::time::Duration;

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// Shares of one processor in percent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Use {
    /// In the program.
    pub user: f64,
    /// In the operating system for it.
    pub system: f64,
}

impl Use {
    /// Both.
    pub fn total(&self) -> f64 {
        self.user + self.system
    }
}

/// The processor time at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Mark(Option<Usage>);

impl Mark {
    /// Now.
    pub fn now() -> Self {
        Self(getrusage(UsageWho::RUSAGE_SELF).ok())
    }

    /// What was used since, `time` ago.
    pub fn used(&self, time: Duration) -> Use {
        let (Some(before), Self(Some(after))) = (&self.0, Self::now()) else {
            return Use::default();
        };
        let micros = time.as_micros() as f64;
        let share = |from: i64, to: i64| {
            if micros > 0.0 {
                100.0 * to.saturating_sub(from) as f64 / micros
            } else {
                0.0
            }
        };
        Use {
            user: share(
                before.user_time().num_microseconds(),
                after.user_time().num_microseconds(),
            ),
            system: share(
                before.system_time().num_microseconds(),
                after.system_time().num_microseconds(),
            ),
        }
    }
}
