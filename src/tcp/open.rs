//! Opening (RFC 9293 §3.5): what SYNs offer and agree on.

use super::config::Config;
use super::congestion::Congestion;
use super::tcb::{Peer, State, Tcb};
use super::timers::Timer;
use crate::wire::TcpOptions;
use phy::Instant;

impl Peer {
    /// What a SYN's options say, as far as `cfg` wants it: MSS with its default and floor, and
    /// only options that we would agree to.
    pub fn of_syn(cfg: &Config, options: &TcpOptions) -> Self {
        let mss = options.mss.unwrap_or(cfg.mss_default);
        Self {
            // RFC 9293 §3.7.1; the floor keeps a peer from making us send tiny segments.
            mss: mss.max(cfg.mss_floor).max(48),
            window_scale: options
                .window_scale
                .filter(|_| cfg.window_scaling)
                .map(|shift| shift.min(14)),
            sack: options.sack_permitted && cfg.sack,
            timestamp: options
                .timestamps
                .filter(|_| cfg.timestamps)
                .map(|(value, _)| value),
        }
    }
}

/// Options of our SYN. `timestamp` is our clock (see [`timestamp`](super::timestamp)).
pub fn syn_options(cfg: &Config, adv_mss: u16, scale: u8, timestamp: u32) -> TcpOptions {
    TcpOptions {
        mss: Some(adv_mss),
        window_scale: cfg.window_scaling.then_some(scale),
        sack_permitted: cfg.sack,
        timestamps: cfg.timestamps.then_some((timestamp, 0)),
        ..TcpOptions::NONE
    }
}

/// Options of our SYN-ACK: only what the peer's SYN had (RFC 7323 §2.2, §3.2; RFC 2018 §2).
pub fn syn_ack_options(peer: &Peer, adv_mss: u16, scale: u8, timestamp: u32) -> TcpOptions {
    TcpOptions {
        mss: Some(adv_mss),
        window_scale: peer.window_scale.map(|_| scale),
        sack_permitted: peer.sack,
        timestamps: peer.timestamp.map(|recent| (timestamp, recent)),
        ..TcpOptions::NONE
    }
}

impl<C: Congestion> Tcb<C> {
    /// Takes over what the peer's SYN agreed to.
    pub(super) fn agree(&mut self, cfg: &Config, now: Instant, peer: &Peer) {
        self.peer_mss = peer.mss;
        self.sack = peer.sack;
        self.timestamps = peer.timestamp.is_some();
        self.ts_recent = peer.timestamp.unwrap_or(0);
        self.ts_recent_at = now.secs() as u32;
        self.scaling = peer.window_scale.is_some();
        self.snd_scale = peer.window_scale.unwrap_or(0).min(14);
        if !self.scaling {
            // Either both sides scale or none does (RFC 7323 §2.2).
            self.rcv_scale = 0;
        }
        let _ = cfg;
    }

    /// Enters ESTABLISHED.
    pub(super) fn establish(&mut self, cfg: &Config, now: Instant) {
        let _ = cfg;
        self.state = State::Established;
        self.heard_at = now;
        self.timers.clear(Timer::Retransmit);
        self.arm_keep_alive(now);
    }

    /// Starts watching for an idle peer, if the application wants it.
    pub(super) fn arm_keep_alive(&mut self, now: Instant) {
        if let Some(keep) = self.options.keep_alive
            && self.state.is_synchronized()
            && !self.timers.is_set(Timer::KeepAlive)
        {
            let idle = core::time::Duration::from_secs(u64::from(keep.idle.max(1)));
            self.timers.set(Timer::KeepAlive, now + idle);
        }
    }
}
