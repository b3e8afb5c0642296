//! The size of segments that the path carries: what routers report (RFC 1191, judged by
//! RFC 5927 §7.2), what silence tells of routers that do not (black holes), and probing with
//! text of the connection (RFC 4821).
//!
//! Invariant: sizes are octets of TCP options and text, as an MSS is; a connection that never
//! had reason to doubt its path keeps nothing. No report makes segments larger; probes that are
//! lost cost no congestion window. Called by the core.

use super::config::Config;
use super::congestion::Congestion;
use super::seq::SeqNum;
use super::tcb::{State, Tcb};
use phy::Instant;

/// When larger segments than those known to arrive are tried (Linux's `tcp_mtu_probing`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MtuProbing {
    /// Never: reports of routers are all there is.
    #[default]
    Off,
    /// Once segments of the usual size vanished: from [`Config::mtu_base`] up.
    BlackHole,
    /// From the beginning of every connection.
    Always,
}

/// What a connection knows of its path, once it has to.
#[derive(Debug, Clone, Default)]
pub(super) struct Pmtu {
    /// Sizes up to `low` arrive; those above `high` do not. Zero where nothing is searched for.
    low: u16,
    high: u16,
    /// Size of the probe that is out; 0 for none.
    probe: u16,
    /// Its octets.
    span: (SeqNum, SeqNum),
    /// When the search began, or began again.
    since: Instant,
    /// What a router reported that is believed after a timeout; 0 for none.
    pending: u16,
    /// First octet of the segment it was about.
    about: SeqNum,
    /// What a router reported, for this connection alone; 0 for none.
    cap: u16,
    /// Until when.
    cap_until: Instant,
}

impl Pmtu {
    /// Is a search going on?
    fn searches(&self) -> bool {
        self.high > 0
    }
}

impl<C: Congestion> Tcb<C> {
    /// The largest size that this connection may use of what its link carries.
    #[inline]
    pub(super) fn path_limit(&mut self, now: Instant) -> u16 {
        match self.rare.get_mut() {
            None => u16::MAX,
            Some(rare) => {
                let path = &mut rare.path;
                if path.cap > 0 && now >= path.cap_until {
                    path.cap = 0;
                }
                let searched = if path.high > 0 { path.low } else { u16::MAX };
                let capped = if path.cap > 0 { path.cap } else { u16::MAX };
                searched.min(capped)
            }
        }
    }

    fn path(&self) -> Option<&Pmtu> {
        self.rare.get().map(|rare| &rare.path)
    }

    /// Size of full segments now.
    fn size(&self) -> u16 {
        self.mss.saturating_add(self.stamp_len())
    }

    fn stamp_len(&self) -> u16 {
        if self.timestamps { 12 } else { 0 }
    }

    /// A connection is open: the search begins, if it is to without reason.
    pub(super) fn open_path(&mut self, cfg: &Config, now: Instant) {
        if cfg.mtu_probing == MtuProbing::Always {
            self.search(cfg, now);
            self.shrink_to(cfg, self.size());
        }
    }

    /// Begins to search between the base size and the present one.
    fn search(&mut self, cfg: &Config, now: Instant) {
        let high = self.peer_mss.min(self.adv_mss).max(self.size());
        let low = cfg.mtu_base.max(cfg.mtu_floor).min(high);
        let path = &mut self.rare.make().path;
        (path.low, path.high, path.since) = (low, high, now);
    }

    /// Full segments hold no more than `size` octets, nor more than is known to arrive.
    fn shrink_to(&mut self, cfg: &Config, size: u16) {
        let low = self.path().filter(|path| path.searches());
        let size = size.min(low.map_or(u16::MAX, |path| path.low));
        let size = size.max(cfg.mss_floor.min(28));
        let mss = size.saturating_sub(self.stamp_len()).max(1);
        if mss < self.mss {
            self.mss = mss;
            self.cc.on_mtu(mss);
        }
    }

    /// The retransmission timer expires for the `before + 1`st time in a row. Full segments that
    /// never arrive, however often they are sent, are too large for somebody who does not say
    /// so (RFC 4821 §7.7); and a router that did say so is believed, now that nothing was heard
    /// since (RFC 5927 §7.2).
    pub(super) fn doubt_path(&mut self, cfg: &Config, now: Instant, before: u8) {
        let una = self.snd_una;
        if let Some(path) = self.rare.get_mut().map(|rare| &mut rare.path) {
            // Lost with all the others, it tells nothing.
            path.probe = 0;
            let size = core::mem::take(&mut path.pending);
            if size > 0 && path.about.ge(una) {
                // For so long; then paths are tried again (RFC 1191 §6.3).
                (path.cap, path.cap_until) = (size, now + cfg.mtu_interval);
                return self.shrink_to(cfg, size);
            }
        }
        if cfg.mtu_probing == MtuProbing::Off || before < cfg.mtu_timeouts {
            return;
        }
        // Small segments are lost for other reasons.
        let searched = self.path().is_some_and(Pmtu::searches);
        let low = self.path().map_or(0, |path| path.low);
        let next = if searched {
            (low / 2).min(cfg.mtu_base).max(cfg.mtu_floor).max(48)
        } else {
            cfg.mtu_base.max(cfg.mtu_floor)
        };
        if next >= self.size() || self.in_flight() <= u32::from(next) {
            return;
        }
        if !searched {
            self.search(cfg, now);
        }
        let path = &mut self.rare.make().path;
        path.low = path.low.min(next);
        self.shrink_to(cfg, next);
    }

    /// A router reported that a segment of ours, which began at `quoted`, was too large for a
    /// link that carries `size` octets behind an IP header; 0 if that is not known. May the
    /// path's MTU be learned from it? What it says of larger segments than we send is no news
    /// (RFC 5927 §7.2); of smaller ones than have arrived already it may be false, so that it
    /// is believed only if nothing more arrives, where [`Config::mtu_delay`] asks for that.
    pub(super) fn judge_report(&mut self, cfg: &Config, size: usize, quoted: SeqNum) -> bool {
        let header = crate::wire::Tcp::LEN;
        let size = u16::try_from(size.saturating_sub(header)).unwrap_or(u16::MAX);
        if size == 0 || self.state == State::SynSent {
            return true;
        }
        if let Some(path) = self.rare.get_mut().map(|rare| &mut rare.path)
            && path.probe > 0
            && quoted == path.span.0
            && (path.low..path.probe).contains(&size)
        {
            // As the probe was to find out.
            path.high = size;
            return true;
        }
        if size >= self.size() {
            return false;
        }
        // Segments of this size have arrived if more than one of them was acknowledged.
        let proven = self.counts.acked > u64::from(self.mss);
        if cfg.mtu_delay && proven {
            let path = &mut self.rare.make().path;
            (path.pending, path.about) = (size, quoted);
            return false;
        }
        true
    }
}
