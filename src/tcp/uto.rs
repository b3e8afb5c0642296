//! The user timeout option (RFC 5482): each side tells how long it bears to wait, and both wait
//! for the longer of the two.
//!
//! Invariant: without [`Config::user_timeout_option`] nothing is sent or adopted; what the
//! application set (`TCP_USER_TIMEOUT`) is told but never changed by the peer. Options are not
//! retransmitted: one that is lost is lost (RFC 5482 §3.2).

use core::time::Duration;

use super::config::Config;
use super::tcb::Tcb;

/// Longest time the option can tell, seconds: 32767 minutes (RFC 5482 §3).
const MOST: u64 = 32_767 * 60;

/// Whole seconds of a timeout, at least one, as far as the option can tell.
fn seconds(limit: Duration) -> u32 {
    let up = u64::from(limit.subsec_nanos() > 0);
    limit.as_secs().saturating_add(up).clamp(1, MOST) as u32
}

/// What our SYN tells, in seconds, if it tells it.
pub(super) fn advertised(cfg: &Config, own: Option<Duration>) -> Option<u32> {
    let limit = own.unwrap_or(cfg.user_timeout);
    cfg.user_timeout_option.then(|| seconds(limit))
}

impl<C> Tcb<C> {
    /// How long octets may stay unacknowledged: as the application set, else as agreed on, else
    /// for as many retransmissions as there are.
    pub(super) fn patience(&self) -> Option<Duration> {
        let own = self.options.user_timeout();
        own.or_else(|| {
            let agreed = self.rare.get()?.agreed_timeout;
            (agreed > 0).then(|| Duration::from_secs(agreed.into()))
        })
    }

    /// The next segment tells our timeout: the first after the handshake, for what SYNs told may
    /// be lost behind SYN cookies, and the next one after every change (RFC 5482 §3.2).
    pub(super) fn tell_user_timeout(&mut self, cfg: &Config) {
        if let Some(seconds) = advertised(cfg, self.options.user_timeout()) {
            self.rare.make().told_timeout = seconds;
            self.timeout_due = true;
        }
    }

    /// What the next segment tells.
    #[cold]
    pub(super) fn told_timeout(&self) -> Option<u32> {
        self.rare.get().map(|rare| rare.told_timeout)
    }

    /// The peer told its timeout, in seconds (RFC 5482 §3.1).
    #[cold]
    pub(super) fn heard_user_timeout(&mut self, cfg: &Config, theirs: u32) {
        let changeable = self.options.user_timeout().is_none();
        if !cfg.user_timeout_option || !changeable || theirs == 0 {
            return;
        }
        let ours = seconds(cfg.user_timeout);
        let least = seconds(cfg.user_timeout_min);
        let most = seconds(cfg.user_timeout_max);
        self.rare.make().agreed_timeout = ours.max(theirs).max(least).min(most);
    }

    /// Idle time before the first keep-alive probe: beyond the user timeout that was agreed on
    /// (RFC 5482 §4.2).
    pub(super) fn idle_before_probes(&self, wanted: Duration) -> Duration {
        let agreed = self.rare.get().map_or(0, |rare| rare.agreed_timeout);
        if agreed == 0 || self.options.user_timeout().is_some() {
            return wanted;
        }
        wanted.max(Duration::from_secs(u64::from(agreed).saturating_add(1)))
    }
}
