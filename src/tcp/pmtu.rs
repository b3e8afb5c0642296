//! The size of segments that the path carries: what routers report (RFC 1191, judged by
//! RFC 5927 §7.2), what silence tells of routers that do not (black holes), and probing with
//! text of the connection (RFC 4821).
//!
//! Invariant: sizes are octets of TCP options and text, as an MSS is; a connection that never
//! had reason to doubt its path keeps nothing. No report makes segments larger; probes that are
//! lost cost no congestion window. Called by the core.

use super::config::Config;
use super::congestion::Congestion;
use super::event::Event;
use super::recovery::CaState;
use super::segment::{Plan, Room};
use super::seq::SeqNum;
use super::tcb::{State, Tcb};
use crate::socket::{RecvBuf, SendBuf};
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
    /// The largest size did not arrive: what lies between is tried.
    halving: bool,
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
    /// Is a search going on, or was one?
    pub(super) fn searches(&self) -> bool {
        self.high > 0
    }

    /// Is the octet before `end` one of a probe that is out?
    pub(super) fn is_probe(&self, end: SeqNum) -> bool {
        self.probe > 0 && end.gt(self.span.0) && end.le(self.span.1)
    }

    /// Size and first octet of the probe that is out.
    #[cfg(test)]
    pub(super) fn out(&self) -> Option<(u16, SeqNum)> {
        (self.probe > 0).then_some((self.probe, self.span.0))
    }

    /// The probe did not arrive.
    fn failed(&mut self) {
        let probe = core::mem::take(&mut self.probe);
        // Unless a router said what arrives: that is tried next.
        self.halving = self.high >= probe;
        self.high = self.high.min(probe.saturating_sub(1)).max(self.low);
    }

    /// The size to try next, if the search is not over: first the largest there can be, which is
    /// most likely (RFC 8899 §5.3.2), then what halves the rest.
    fn next(&self, threshold: u16) -> Option<u16> {
        let left = self.high.saturating_sub(self.low);
        if left < threshold.max(1) {
            return None;
        }
        let half = self.low.saturating_add(left.div_ceil(2));
        Some(if self.halving { half } else { self.high })
    }
}

impl<C: Congestion> Tcb<C> {
    /// The largest size that this connection may use of what its link carries.
    #[inline]
    pub(super) fn path_limit(&mut self, now: Instant) -> u16 {
        let una = self.snd_una;
        match self.rare.get_mut() {
            None => u16::MAX,
            Some(rare) => {
                rare.records.forget(una);
                let path = &mut rare.path;
                if path.probe > 0 && una.ge(path.span.1) {
                    // The probe arrived.
                    path.low = core::mem::take(&mut path.probe);
                }
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

    pub(super) fn stamp_len(&self) -> u16 {
        if self.timestamps { 12 } else { 0 }
    }

    /// A connection is open: the search begins, if it is to without reason.
    pub(super) fn open_path(&mut self, cfg: &Config, now: Instant) {
        if cfg.mtu_probing == MtuProbing::Always {
            self.search(cfg, now);
            self.shrink_to(cfg, now, self.size());
        }
    }

    /// Begins to search between the base size and the present one.
    fn search(&mut self, cfg: &Config, now: Instant) {
        let high = self.peer_mss.min(self.adv_mss).max(self.size());
        let low = cfg.mtu_base.max(cfg.mtu_floor).min(high);
        let path = &mut self.rare.make().path;
        (path.low, path.high, path.since) = (low, high, now);
        (path.probe, path.halving) = (0, false);
    }

    /// Full segments hold no more than `size` octets, nor more than is known to arrive.
    fn shrink_to(&mut self, cfg: &Config, now: Instant, size: u16) {
        let low = self.path().filter(|path| path.searches());
        let size = size.min(low.map_or(u16::MAX, |path| path.low));
        let size = size.max(cfg.mss_floor.min(28));
        let mss = size.saturating_sub(self.stamp_len()).max(1);
        if mss < self.mss {
            self.mss = mss;
            self.cc.on_mtu(mss);
            self.tell(now, Event::PathMtu { mss });
        }
    }

    /// The retransmission timer expires for the `before + 1`st time in a row. Full segments that
    /// never arrive, however often they are sent, are too large for somebody who does not say
    /// so (RFC 4821 §7.7); and a router that did say so is believed, now that nothing was heard
    /// since (RFC 5927 §7.2).
    pub(super) fn doubt_path(&mut self, cfg: &Config, now: Instant, before: u8) {
        let una = self.snd_una;
        if let Some(path) = self.rare.get_mut().map(|rare| &mut rare.path) {
            if path.probe > 0 && path.span.0 == una {
                path.failed();
            }
            // Lost with all the others, it tells nothing.
            path.probe = 0;
            let size = core::mem::take(&mut path.pending);
            if size > 0 && path.about.ge(una) {
                // For so long; then paths are tried again (RFC 1191 §6.3).
                (path.cap, path.cap_until) = (size, now + cfg.mtu_interval);
                return self.shrink_to(cfg, now, size);
            }
        }
        if cfg.mtu_probing == MtuProbing::Off || before < cfg.mtu_timeouts {
            return;
        }
        // Small segments are lost for other reasons.
        let searched = self.path().is_some_and(Pmtu::searches);
        let low = self.path().map_or(0, |path| path.low);
        let down = |from: u16| (from / 2).min(cfg.mtu_base).max(cfg.mtu_floor).max(48);
        let base = cfg.mtu_base.max(cfg.mtu_floor);
        let mut next = if searched { down(low) } else { base };
        let vanishes = self.in_flight().min(u32::from(self.size()));
        if !searched && vanishes <= u32::from(base) {
            // What vanishes is no larger than what is expected to arrive everywhere.
            next = down(base);
        }
        if u32::from(next) >= vanishes {
            return;
        }
        if !searched {
            self.search(cfg, now);
        }
        let path = &mut self.rare.make().path;
        path.low = path.low.min(next);
        self.shrink_to(cfg, now, next);
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

    /// A segment of text that is larger than those known to arrive, if it is time for one: when
    /// it can be followed by enough others that its loss would show, and the window is wide
    /// enough that it does not matter (RFC 4821 §7.4). It is unsent text like any other, and
    /// counts against the congestion window.
    #[cold]
    pub(super) fn mtu_probe(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
        room: Room,
    ) -> Option<Plan> {
        let reach = u16::try_from(room.mss).unwrap_or(u16::MAX);
        let reach = reach.min(self.peer_mss);
        let (adv_mss, size) = (self.adv_mss, self.size());
        let path = &mut self.rare.get_mut()?.path;
        path.high = path.high.min(reach).max(path.low);
        let Some(wanted) = path.next(cfg.mtu_threshold) else {
            if now >= path.since + cfg.mtu_interval {
                // Paths change: once more from what arrives up to what may.
                (path.low, path.high) = (size, reach.min(adv_mss).max(size));
                (path.since, path.halving) = (now, false);
            }
            return None;
        };
        let calm = self.flight.state == CaState::Open && self.flight.sacked.octets == 0;
        // Options that come and go would be mistaken for the path's doing.
        let steady = self.reassembly.gaps.is_empty() && !self.timeout_due && !self.ecn.confirms();
        if path.probe > 0 || !calm || !steady || self.fin_sent {
            return None;
        }
        let options = self.segment_options(now).emit();
        let len = u32::from(wanted).saturating_sub(options.len() as u32);
        let mss = u32::from(self.mss);
        let behind = u32::from(cfg.dup_threshold).saturating_add(1);
        let needed = len.saturating_add(behind.saturating_mul(mss));
        let unsent = u32::try_from(self.unsent_text(tx)).unwrap_or(u32::MAX);
        let usable = self.snd_wnd.saturating_sub(self.in_flight());
        let wide = u32::from(cfg.mtu_window).saturating_mul(mss);
        let whole = self.record_left(self.snd_nxt).is_none();
        let fits = unsent >= needed && usable >= needed && self.window() >= wide && whole;
        if !fits || self.allowance() < len.saturating_add(mss) {
            return None;
        }
        let flags = self.text_flags(tx, self.snd_nxt, len, false);
        let plan = self.text_plan(rx, self.snd_nxt, len, flags, len, options)?;
        Some(Plan {
            ecn: self.ecn.mark(),
            ..plan
        })
    }

    /// `plan`, larger than a full segment, was sent.
    #[cold]
    pub(super) fn mtu_probe_sent(&mut self, plan: &Plan, end: SeqNum) {
        let size = plan.mss.saturating_add(plan.options.len() as u16);
        let path = &mut self.rare.make().path;
        (path.probe, path.span) = (size, (plan.seq, end));
    }

    /// Octets were found to be lost while all was well. If they are a probe's, and it alone, that
    /// is no sign of congestion (RFC 4821 §7.6.2): they go again in segments that arrive, and
    /// true is returned. A probe that was lost with others tells nothing.
    pub(super) fn probe_vanished(&mut self, now: Instant) -> bool {
        let Some(path) = self.rare.get_mut().map(|rare| &mut rare.path) else {
            return false;
        };
        if path.probe == 0 {
            return false;
        }
        let (from, to) = path.span;
        let calm = matches!(self.flight.state, CaState::Open | CaState::Disorder);
        let alone = from == self.snd_una && self.flight.lost.octets <= to.since(from);
        if !calm || !alone {
            path.probe = 0;
            return false;
        }
        path.failed();
        let nxt = self.snd_nxt;
        self.flight.lose_to(now, to, nxt);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8899 §5.3: the search ends, wherever the limit lies, with a size that arrives and is
    /// less than the threshold from the largest that does.
    #[test]
    fn a_search_ends_close_below_the_limit() {
        for limit in 1024..=1460_u16 {
            let mut path = Pmtu {
                low: 1024,
                high: 1460,
                ..Pmtu::default()
            };
            let mut tries = 0;
            while let Some(size) = path.next(8) {
                assert!(size > path.low && size <= path.high);
                tries += 1;
                path.probe = size;
                if size <= limit {
                    path.low = core::mem::take(&mut path.probe);
                } else {
                    path.failed();
                }
            }
            assert!(path.low <= limit && limit - path.low < 8, "{limit}");
            assert!(tries <= 8, "{limit}: {tries}");
        }
    }
}
