//! Listeners that want connections only with their first text (`TCP_DEFER_ACCEPT`).
//!
//! Invariant: until then the handshake stays unfinished, in the table of those and under its
//! bounds. A peer that acknowledged is not sent the SYN-ACK again before the listener's patience
//! ends; the acknowledgment of that one makes the connection, with text or without.

use core::time::Duration;

use super::Tcp;
use super::listen::MOST_REPEATS;
use super::options::Options;
use super::table::Id;

impl<C> Tcp<C> {
    /// An acknowledgment without text came for handshake `id`: is the connection not to be made
    /// yet?
    pub(super) fn defers(&mut self, options: &Options, id: Id) -> bool {
        let until = self.deferred_until(options);
        let embryo = self.syns.get_mut(id);
        let waiting = embryo.filter(|embryo| embryo.repeats() < until);
        waiting.map(|embryo| embryo.defer()).is_some()
    }

    /// Repetitions of the SYN-ACK, by their timer, that a connection of these options waits for
    /// its first text; 0 if it does not.
    pub(super) fn deferred_until(&self, options: &Options) -> u8 {
        let Some(patience) = options.defer_accept.filter(|time| !time.is_zero()) else {
            return 0;
        };
        let most = self.config.synack_retries.min(MOST_REPEATS);
        let mut wait = Duration::ZERO;
        let mut step = self.config.rto_initial;
        for n in 1..most {
            wait = wait.saturating_add(step);
            if wait >= patience {
                return n;
            }
            step = step.saturating_mul(2);
        }
        most
    }
}
