//! Opening (RFC 9293 §3.5, §3.10.7.3): what SYNs offer and agree on, and SYN-SENT.
//!
//! Invariant: no option is used that both SYNs did not carry. The helpers for SYN-ACKs are for
//! listeners too.

use super::ack::Owed;
use super::config::Config;
use super::congestion::{Congestion, Loss};
use super::ecn;
use super::error::TcpError;
use super::rtt::Rtt;
use super::segment::{Effects, Plan, Segment, timestamp};
use super::seq::SeqNum;
use super::tcb::{Peer, State, Tcb};
use super::timers::Timer;
use super::{uto, window};
use crate::error::Drop;
use crate::socket::{RecvBuf, SendBuf};
use crate::wire::{TcpFlags, TcpOptions};
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

/// Options of our SYN. `scale` is [`window::scale`], `timestamp` our clock (see
/// [`timestamp`](super::timestamp())).
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
    /// A segment in SYN-SENT (RFC 9293 §3.10.7.3).
    pub(super) fn receive_syn_sent(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Effects {
        let flags = segment.flags;
        // First: the ACK bit. Only our SYN can be acknowledged, and what it said be echoed.
        let acked = self.acknowledges_syn(segment.ack);
        if flags.ack() && (!acked || self.echoes_another(now, segment)) {
            let reset = Plan::bare(segment.ack, SeqNum(0), TcpFlags::RST, 0);
            return Effects {
                dropped: Some(Drop::BadSegment),
                ..Effects::answer((!flags.rst()).then_some(reset))
            };
        }
        // Second: RST.
        if flags.rst() {
            if !flags.ack() {
                return Effects::drop(Drop::BadSegment);
            }
            self.error = Some(TcpError::Refused);
            self.finish(now);
            return Effects::closed();
        }
        // Fourth: SYN; without it the segment says nothing.
        if !flags.syn() {
            return Effects::drop(Drop::BadSegment);
        }
        // The offered window, whose width was kept until its place is known.
        let offered = self.rcv_wnd();
        self.rcv_nxt = segment.seq + 1;
        self.rcv_adv = self.rcv_nxt + offered;
        self.ack.last_sent = self.rcv_nxt;
        self.agree(cfg, now, &Peer::of_syn(cfg, &segment.options));
        // The window of a SYN is not scaled (RFC 7323 §2.2).
        self.snd_wnd = u32::from(segment.window);
        self.max_wnd = self.snd_wnd;
        self.snd_wl1 = segment.seq;
        self.snd_wl2 = segment.ack;
        self.heard_at = now;
        if let Some(seconds) = segment.options.user_timeout {
            self.heard_user_timeout(cfg, seconds);
        }
        if !flags.ack() {
            self.ecn_crossed(cfg, segment);
            // SYNs crossed (RFC 9293 §3.5, figure 8). Text in the SYN is not stored, so it is
            // not acknowledged and will come again.
            self.enter(now, State::SynReceived);
            self.syn_due = true;
            self.snd_wl2 = self.snd_una;
            return Effects {
                ready: true,
                news: true,
                ..Effects::default()
            };
        }
        let echo = segment.options.timestamps.filter(|_| self.timestamps);
        let marked = self.ecn_answered(cfg, segment);
        self.syn_acknowledged(cfg, now, segment, echo.map(|(_, echo)| echo), tx);
        if marked {
            self.accurate_syn_marked(now);
        }
        self.ack.owed = Owed::Now;
        let mut effects = Effects {
            ready: true,
            news: true,
            ..Effects::default()
        };
        if segment.len() > 1 {
            // Text or FIN came with the SYN: they are processed as in ESTABLISHED.
            let rest = Segment {
                seq: segment.seq + 1,
                // Its ECN flags and field were read as those of a SYN-ACK.
                flags: flags.without(TcpFlags::SYN | ecn::BITS) | ecn::bits_of(self.ecn.usual),
                ecn: ecn::NOT_ECT,
                // Its window counts already, and was not scaled.
                window: u16::try_from(self.snd_wnd >> self.snd_scale).unwrap_or(u16::MAX),
                ..*segment
            };
            let window = self.snd_wnd;
            let more = self.receive(cfg, now, &rest, rx, tx);
            self.counts.segs_in = self.counts.segs_in.wrapping_sub(1);
            let twice = u32::from(!segment.payload.is_empty());
            self.counts.data_segs_in = self.counts.data_segs_in.wrapping_sub(twice);
            self.snd_wnd = window;
            effects.answer = more.answer;
            effects.gone = more.gone;
        }
        effects
    }

    /// Does a SYN-ACK echo a timestamp that none of our SYNs carried? Then it answers another
    /// connection's (RFC 7323 §3.2: TSecr is what was last received). Some peers echo 0.
    fn echoes_another(&self, now: Instant, segment: &Segment<'_>) -> bool {
        let Some((_, echo)) = segment.options.timestamps.filter(|_| self.timestamps) else {
            return false;
        };
        let age = timestamp(now, self.ts_offset).wrapping_sub(echo);
        echo != 0 && u128::from(age) > now.saturating_since(self.heard_at).as_millis() + 1
    }

    /// Our SYN is acknowledged: ESTABLISHED, or what the application asked for since.
    pub(super) fn syn_acknowledged(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        echo: Option<u32>,
        tx: &mut impl SendBuf,
    ) {
        if self.early.is_pending() {
            return self.prove(cfg, now, echo);
        }
        let repeated = self.retries > 0;
        self.measure_syn(cfg, now, echo);
        if repeated && self.rtt.smoothed().is_none() {
            // RFC 6298 §5.7: nobody knows how long it takes, but more than the timer had.
            self.rtt = Rtt::pessimist();
        }
        self.retries = 0;
        self.settle_syn(segment.ack, tx);
        self.syn_due = false;
        self.establish(cfg, now);
        if repeated {
            // A SYN was lost: one segment to begin with (RFC 5681 §3.1).
            self.cc.on_loss(now, Loss::Repeated, 0);
        }
    }

    /// Takes over what the peer's SYN agreed to.
    pub(super) fn agree(&mut self, cfg: &Config, now: Instant, peer: &Peer) {
        let most = self.options.mss().unwrap_or(u16::MAX).max(48);
        self.peer_mss = peer.mss.min(most);
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
        // What we can receive is the best guess at what the path carries both ways.
        let whole = self.peer_mss.min(self.adv_mss).max(cfg.mss_floor.min(28));
        self.mss = whole.saturating_sub(if self.timestamps { 12 } else { 0 });
    }

    /// Enters ESTABLISHED.
    pub(super) fn establish(&mut self, cfg: &Config, now: Instant) {
        self.enter(now, State::Established);
        self.open_path(cfg, now);
        self.cc.restart(now, self.mss);
        self.select(cfg, now);
        self.cc.on_initial_window(cfg.initial_window);
        self.small_end = self.snd_una;
        self.flight_end = self.snd_una;
        self.stalled_at = now;
        self.heard_at = now;
        self.timers.clear(Timer::Retransmit);
        self.timers.set(Timer::Trim, now + cfg.trim_after);
        self.arm_keep_alive(cfg, now);
        self.tell_user_timeout(cfg);
        if self.fin_queued {
            self.enter_closing_state(now);
        }
    }

    /// The SYN, or the SYN-ACK of a simultaneous open, if one is due.
    pub(super) fn syn_plan(&self, cfg: &Config, now: Instant, rx: &impl RecvBuf) -> Option<Plan> {
        if !self.syn_due {
            return None;
        }
        let ticks = timestamp(now, self.ts_offset);
        let (flags, ack, mut options) = if self.state == State::SynSent {
            let options = syn_options(cfg, self.adv_mss, self.rcv_scale, ticks);
            (TcpFlags::SYN | self.ecn_syn_flags(cfg), SeqNum(0), options)
        } else {
            let peer = Peer {
                mss: self.peer_mss,
                window_scale: self.scaling.then_some(self.snd_scale),
                sack: self.sack,
                timestamp: self.timestamps.then_some(self.ts_recent),
            };
            let options = syn_ack_options(&peer, self.adv_mss, self.rcv_scale, ticks);
            let flags = TcpFlags::SYN | TcpFlags::ACK | self.ecn_syn_ack_flags(cfg);
            (flags, self.rcv_nxt, options)
        };
        options.user_timeout = uto::advertised(cfg, self.options.user_timeout());
        let early = self.early.is_pending();
        let free = if early { rx.window() } else { rx.capacity() };
        Some(Plan {
            options: options.emit(),
            ..Plan::bare(
                self.snd_una - u32::from(early),
                ack,
                flags,
                window::of_syn(free),
            )
        })
    }
}
