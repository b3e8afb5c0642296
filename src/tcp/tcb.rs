//! The control block of one connection (RFC 9293 §3.3.1), and its making.
//!
//! Invariant: SND.UNA <= SND.NXT; RCV.NXT <= the right edge ever offered, which never moves back.
//! Fields are changed by the functions of this module's siblings only; the shell calls the
//! public methods and holds nothing of a connection's state itself.

use core::fmt;
use core::time::Duration;

use super::ack::{Acking, Owed};
use super::autotune::Measure;
use super::chrono::Stopwatch;
use super::config::Config;
use super::congestion::Congestion;
use super::ecn::{Agreed, EcnState};
use super::error::TcpError;
use super::fastopen::Early;
use super::lazy::Lazy;
use super::memory::Level;
use super::options::{Chosen, Options};
use super::rare::Rare;
use super::rtt::Rtt;
use super::sack::Reassembly;
use super::seldom::Seldom;
use super::seq::SeqNum;
use super::timers::{Timer, Timers};
use super::window;
use phy::Instant;

/// The states of a connection (RFC 9293 §3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// No connection.
    #[default]
    Closed,
    /// A listener; never a control block's state.
    Listen,
    /// Our SYN is out.
    SynSent,
    /// SYNs crossed; ours is not acknowledged yet.
    SynReceived,
    /// Data flows.
    Established,
    /// Our FIN is queued or out.
    FinWait1,
    /// Our FIN is acknowledged.
    FinWait2,
    /// The peer's FIN came.
    CloseWait,
    /// FINs crossed; ours is not acknowledged yet.
    Closing,
    /// The peer's FIN came, ours is queued or out.
    LastAck,
    /// Both FINs are acknowledged; old segments die out.
    TimeWait,
}

impl State {
    /// The RFC's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }

    /// Have both sides agreed on their sequence numbers?
    pub const fn is_synchronized(self) -> bool {
        !matches!(
            self,
            Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived
        )
    }

    /// May the peer still send text?
    pub const fn receives(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// May queued text or a FIN of ours still go out?
    pub const fn sends(self) -> bool {
        matches!(
            self,
            Self::Established | Self::FinWait1 | Self::CloseWait | Self::Closing | Self::LastAck
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a peer's SYN said, as far as it counts (made by [`Peer::of_syn`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Largest segment it takes, octets of options and text.
    pub mss: u16,
    /// Shift of its windows; `None` where it does not scale, and then we must not either.
    pub window_scale: Option<u8>,
    /// It takes SACK.
    pub sack: bool,
    /// Its timestamp, where it speaks timestamps: TS.Recent.
    pub timestamp: Option<u32>,
}

/// A handshake that a listener completed (RFC 9293 §3.10.7.4, fifth, SYN-RECEIVED).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// Our initial sequence number.
    pub iss: SeqNum,
    /// The peer's.
    pub irs: SeqNum,
    /// MSS of our SYN-ACK.
    pub adv_mss: u16,
    /// What was agreed on: an option is here only if our SYN-ACK had it too.
    pub peer: Peer,
    /// Shift of our windows, as in our SYN-ACK; used if `peer.window_scale` is there.
    pub our_scale: u8,
    /// Offset of our timestamp clock.
    pub ts_offset: u32,
    /// The peer's window, octets, scaled.
    pub snd_wnd: u32,
    /// The window of our SYN-ACK, octets.
    pub rcv_wnd: u32,
    /// Time from SYN-ACK to its acknowledgment, unless the SYN-ACK was repeated.
    pub rtt: Option<Duration>,
    /// What was agreed on about ECN.
    pub ecn: Agreed,
}

/// The control block; `C` is its congestion control.
#[derive(Debug)]
pub struct Tcb<C> {
    pub(super) state: State,
    /// Timestamps are agreed on.
    pub(super) timestamps: bool,
    /// SACK is agreed on.
    pub(super) sack: bool,
    /// Shift of the peer's windows.
    pub(super) snd_scale: u8,
    /// Shift of ours.
    pub(super) rcv_scale: u8,
    /// Scaling is agreed on.
    pub(super) scaling: bool,
    /// A SYN or SYN-ACK is to be sent.
    pub(super) syn_due: bool,
    /// A probe of octet SND.UNA - 1 is to be sent.
    pub(super) probe_due: bool,
    /// What Nagle, the cork or the silly window holds back is to be sent.
    pub(super) push_due: bool,
    /// The application said that more is to come.
    pub(super) more: bool,
    /// Urgent octets of ours are not acknowledged yet.
    pub(super) urgent: bool,
    /// The application sends no more.
    pub(super) fin_queued: bool,
    /// Our FIN is out: it is the octet before SND.NXT.
    pub(super) fin_sent: bool,
    /// The application has let go.
    pub(super) orphan: bool,
    /// The peer's FIN came, but not all text before it.
    pub(super) fin_seen: bool,
    /// Probes, of idleness or of a zero window, since the peer was last heard.
    pub(super) probes: u8,
    /// Expirations of the retransmission timer since octets were last acknowledged.
    pub(super) retries: u8,
    /// How often the time between probes of a zero window was doubled.
    pub(super) persist_shift: u8,
    pub(super) error: Option<TcpError>,
    /// A soft error that explains a later timeout (RFC 1122 §4.2.3.9).
    pub(super) soft_error: Option<TcpError>,

    // Send side.
    pub(super) snd_una: SeqNum,
    pub(super) snd_nxt: SeqNum,
    pub(super) snd_wnd: u32,
    pub(super) snd_wl1: SeqNum,
    pub(super) snd_wl2: SeqNum,
    /// Largest window the peer ever offered.
    pub(super) max_wnd: u32,
    /// End of the last segment that was not full (Nagle).
    pub(super) small_end: SeqNum,
    /// Most octets in flight up to `flight_end`.
    pub(super) max_flight: u32,
    pub(super) flight_end: SeqNum,
    /// Octets of options and text the peer takes.
    pub(super) peer_mss: u16,
    /// Octets of text in a full segment now.
    pub(super) mss: u16,
    /// Octets of options and text that the path carries, as far as known; 0 before anything was
    /// sent.
    pub(super) reach: u16,
    /// The congestion window held something back since `flight_end`.
    pub(super) cwnd_limited: bool,

    // Receive side.
    pub(super) rcv_nxt: SeqNum,
    /// Right edge of the window: past the last octet ever offered.
    pub(super) rcv_adv: SeqNum,
    pub(super) ts_recent: u32,
    /// When TS.Recent was taken, seconds.
    pub(super) ts_recent_at: u32,
    pub(super) ts_offset: u32,
    pub(super) adv_mss: u16,

    // Buffers.
    /// Octets of the widest window to offer now.
    pub(super) rcv_ssthresh: u32,
    /// How much memory the stack has left, as the shell last said.
    pub(super) level: Level,
    /// What the growth of the receive buffer is judged by; absent while little comes.
    pub(super) tuning: Seldom<Measure>,
    // Congestion marks.
    pub(super) ecn: EcnState,

    pub(super) ack: Acking,
    pub(super) rtt: Rtt,
    /// What is in flight, and the state of loss recovery.
    pub(super) flight: Lazy,
    pub(super) cc: C,
    pub(super) timers: Timers,
    pub(super) options: Chosen,
    /// When a segment was last received.
    pub(super) heard_at: Instant,
    /// Since when octets wait without progress: for the user timeout.
    pub(super) stalled_at: Instant,
    pub(super) reassembly: Reassembly,
    pub(super) counts: Counts,
    /// When text was last sent, milliseconds modulo 2^32.
    pub(super) sent_at: u32,
    /// End of the last segment with PSH.
    pub(super) pushed: SeqNum,
    pub(super) watch: Stopwatch,
    /// What few connections count.
    pub(super) rare: Seldom<Rare>,
    /// Fast Open (RFC 7413).
    pub(super) early: Early,
    /// The next segment tells our user timeout.
    pub(super) timeout_due: bool,
}

/// Counters for [`TcpInfo`](super::TcpInfo). Packed, for every connection has them: four octets
/// at the end would go unused.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, packed(4))]
pub(super) struct Counts {
    pub acked: u64,
    pub received: u64,
    pub segs_in: u32,
    pub segs_out: u32,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
    /// Segments known to have arrived.
    pub delivered: u32,
}

impl<C: Congestion> Tcb<C> {
    /// A control block in SYN-SENT; the SYN is the first thing `next_segment` gives
    /// (RFC 9293 §3.10.1). `iss` by RFC 6528, `ts_offset` by RFC 7323 §5.4, `adv_mss` what the
    /// path back carries, `rx_capacity` the receive buffer's.
    pub fn connect(
        cfg: &Config,
        now: Instant,
        iss: SeqNum,
        ts_offset: u32,
        adv_mss: u16,
        rx_capacity: usize,
    ) -> Self {
        let mss = cfg.mss_default.max(cfg.mss_floor).min(adv_mss);
        let mut tcb = Self::blank(now, mss);
        tcb.state = State::SynSent;
        tcb.syn_due = true;
        tcb.snd_una = iss;
        tcb.snd_nxt = iss;
        tcb.pushed = iss;
        tcb.adv_mss = adv_mss;
        tcb.ts_offset = ts_offset;
        tcb.timestamps = cfg.timestamps;
        tcb.sack = cfg.sack;
        tcb.scaling = cfg.window_scaling;
        tcb.rcv_scale = window::scale(cfg);
        // Before RCV.NXT is known this only holds the width of the window.
        tcb.rcv_ssthresh = u32::from(window::of_syn(rx_capacity));
        tcb.rcv_adv = tcb.rcv_nxt + tcb.rcv_ssthresh;
        tcb
    }

    /// A control block in ESTABLISHED, for a handshake that a listener completed. The segment
    /// that completed it is to be given to `receive` afterwards.
    pub fn accepted(cfg: &Config, now: Instant, handshake: &Handshake) -> Self {
        let peer = &handshake.peer;
        let mut tcb = Self::blank(now, peer.mss);
        tcb.snd_una = handshake.iss + 1;
        tcb.snd_nxt = tcb.snd_una;
        tcb.pushed = tcb.snd_una;
        tcb.adv_mss = handshake.adv_mss;
        tcb.ts_offset = handshake.ts_offset;
        tcb.rcv_nxt = handshake.irs + 1;
        tcb.rcv_adv = tcb.rcv_nxt + handshake.rcv_wnd;
        tcb.rcv_ssthresh = handshake.rcv_wnd;
        tcb.rcv_scale = handshake.our_scale.min(14);
        tcb.ack.last_sent = tcb.rcv_nxt;
        tcb.rtt = Rtt::new(cfg, now, handshake.rtt);
        tcb.agree(cfg, now, peer);
        tcb.snd_wnd = handshake.snd_wnd;
        tcb.max_wnd = handshake.snd_wnd;
        // Any segment of the peer from now on may update the window.
        tcb.snd_wl1 = handshake.irs;
        tcb.snd_wl2 = handshake.iss;
        tcb.ecn.agree(cfg, handshake.ecn);
        tcb.establish(cfg, now);
        tcb
    }

    /// Sets what an application may, and the timer it needs. True if something may be sent now
    /// that was held back.
    pub fn set_options(&mut self, cfg: &Config, now: Instant, options: Options) -> bool {
        let mut options = options;
        if cfg.notsent_lowat < u32::MAX {
            options.notsent_lowat = options.notsent_lowat.or(Some(cfg.notsent_lowat));
        }
        let before = self.options.user_timeout();
        let push = self.choose(&options);
        if self.options.user_timeout() != before && self.state.is_synchronized() {
            self.tell_user_timeout(cfg);
        }
        if !self.orphan {
            self.timers.clear(Timer::Idle);
            self.arm_keep_alive(cfg, now);
        }
        self.select(cfg, now);
        push
    }

    /// Goes on with the congestion control that the application chose.
    pub(super) fn select(&mut self, cfg: &Config, now: Instant) {
        if let Some(algorithm) = self.options.congestion {
            self.cc.select(now, algorithm);
        }
        self.cc.on_config(cfg);
    }

    /// The nearest deadline: call `on_timer` then.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.nearest();
        let flight = &*self.flight;
        let mut other = flight.rack.timer;
        if flight.waiting && self.text_flows() {
            other = other.min(flight.pacer.deadline());
        }
        if other == Instant::MAX {
            return timer;
        }
        Some(timer.map_or(other, |at| at.min(other)))
    }

    fn blank(now: Instant, mss: u16) -> Self {
        let zero = SeqNum::default();
        Self {
            state: State::Closed,
            timestamps: false,
            sack: false,
            snd_scale: 0,
            rcv_scale: 0,
            scaling: false,
            syn_due: false,
            probe_due: false,
            push_due: false,
            more: false,
            urgent: false,
            fin_queued: false,
            fin_sent: false,
            orphan: false,
            fin_seen: false,
            probes: 0,
            retries: 0,
            persist_shift: 0,
            error: None,
            soft_error: None,
            snd_una: zero,
            snd_nxt: zero,
            snd_wnd: 0,
            snd_wl1: zero,
            snd_wl2: zero,
            max_wnd: 0,
            small_end: zero,
            max_flight: 0,
            flight_end: zero,
            peer_mss: mss,
            mss,
            reach: 0,
            cwnd_limited: false,
            rcv_nxt: zero,
            rcv_adv: zero,
            ts_recent: 0,
            ts_recent_at: 0,
            ts_offset: 0,
            adv_mss: mss,
            rcv_ssthresh: 0,
            level: Level::default(),
            tuning: Seldom::default(),
            ecn: EcnState::default(),
            ack: Acking::default(),
            rtt: Rtt::default(),
            flight: Lazy::default(),
            cc: C::new(now, mss),
            timers: Timers::default(),
            options: Chosen::default(),
            heard_at: now,
            stalled_at: now,
            reassembly: Reassembly::default(),
            counts: Counts::default(),
            early: Early::default(),
            timeout_due: false,
            sent_at: now.millis() as u32,
            pushed: zero,
            watch: Stopwatch::default(),
            rare: Seldom::default(),
        }
    }
}

impl<C> Tcb<C> {
    /// The state.
    #[inline]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Would text written now be sent, now or once the connection is open?
    pub const fn can_send(&self) -> bool {
        !self.fin_queued
            && matches!(
                self.state,
                State::SynSent | State::SynReceived | State::Established | State::CloseWait
            )
    }

    /// May more text come? After this turned false, what the receive buffer holds is the end.
    pub const fn can_recv(&self) -> bool {
        matches!(
            self.state,
            State::SynSent
                | State::SynReceived
                | State::Established
                | State::FinWait1
                | State::FinWait2
        )
    }

    /// Has the peer's FIN come, with all before it?
    pub const fn peer_closed(&self) -> bool {
        matches!(
            self.state,
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        )
    }

    /// Octets (with SYN and FIN) sent and not acknowledged.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.snd_nxt.since(self.snd_una)
    }

    /// What ended the connection; told once.
    pub fn take_error(&mut self) -> Option<TcpError> {
        self.error.take()
    }

    /// What the application set.
    pub fn options(&self) -> Options {
        self.options.options()
    }

    /// Sets what an application may, where no time is known: `set_options` is to follow.
    pub(super) fn choose(&mut self, options: &Options) -> bool {
        let old = &self.options;
        let push = options.nodelay && (!old.nodelay || self.more) || !options.cork && old.cork;
        self.options = Chosen::new(options);
        self.rcv_ssthresh = self.rcv_ssthresh.min(self.options.window_clamp());
        if options.quickack && self.ack.owed.waits() {
            self.ack.owed = Owed::Now;
        }
        self.push_due |= push;
        self.more &= !push;
        push
    }

    /// Starts watching for an idle peer, if the application wants it.
    pub(super) fn arm_keep_alive(&mut self, cfg: &Config, now: Instant) {
        if let Some(probes) = self.options.probes(cfg)
            && self.state.is_synchronized()
            && self.state != State::TimeWait
            && !self.timers.is_set(Timer::Idle)
        {
            let idle = self.idle_before_probes(probes.time);
            self.timers.set(Timer::Idle, now + idle);
        }
    }
}
