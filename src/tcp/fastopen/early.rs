//! The core of Fast Open: SYNs with text, and connections before their handshake ends
//! (RFC 7413 §4.2).
//!
//! Invariant: octets of a SYN that its SYN-ACK does not acknowledge are as if they had never been
//! sent. Of a connection that is pending SND.UNA is past our SYN, although that is not
//! acknowledged: what is in flight is text, and of all that only the SYN-ACK is repeated.

use crate::error::Drop;
use crate::socket::{RecvBuf, SendBuf};
use crate::tcp::config::Config;
use crate::tcp::congestion::{Congestion, Loss};
use crate::tcp::rtt::Rtt;
use crate::tcp::segment::{Effects, Plan, Room, Segment, timestamp};
use crate::tcp::seq::SeqNum;
use crate::tcp::tcb::{Handshake, State, Tcb};
use crate::tcp::timers::Timer;
use crate::wire::{FastOpen, TcpOptions};
use phy::Instant;

/// What Fast Open has to do with a connection: for nearly all, nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Early(u8);

impl Early {
    /// The application wants it, and the SYN-ACK has not come.
    pub(in crate::tcp) const WANTED: u8 = 1;
    /// Our SYN carried the option.
    pub(in crate::tcp) const ASKED: u8 = 2;
    /// It was the experimental one.
    pub(in crate::tcp) const EXPERIMENT: u8 = 4;
    /// The same bit, of a SYN with text once it was answered: it had been repeated.
    pub(in crate::tcp) const REPEATED: u8 = 4;
    /// Our SYN carried text.
    pub(in crate::tcp) const TEXT: u8 = 8;
    /// Text of our SYN was acknowledged by the SYN-ACK.
    pub(in crate::tcp) const TAKEN: u8 = 16;
    /// A listener's connection whose SYN-ACK is not acknowledged yet.
    pub(in crate::tcp) const PENDING: u8 = 32;
    /// A listener's connection that existed before its handshake ended.
    pub(in crate::tcp) const SERVED: u8 = 64;
    /// The application wants to send text without a cookie.
    pub(in crate::tcp) const COOKIELESS: u8 = 128;
    /// We tried: our SYN was no ordinary one.
    pub(in crate::tcp) const TRIED: u8 = Self::ASKED | Self::TEXT;

    /// Is any of `bits` set?
    #[inline]
    pub(in crate::tcp) const fn any(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    pub(in crate::tcp) fn set(&mut self, bits: u8) {
        self.0 |= bits;
    }

    pub(in crate::tcp) fn clear(&mut self, bits: u8) {
        self.0 &= !bits;
    }

    /// Has the handshake of a listener's connection not ended?
    #[inline]
    pub(in crate::tcp) const fn is_pending(self) -> bool {
        self.any(Self::PENDING)
    }

    /// Was text of a SYN accepted, ours by the peer or the peer's by us
    /// (`TCPI_OPT_SYN_DATA`)?
    pub const fn succeeded(self) -> bool {
        self.any(Self::TAKEN | Self::SERVED)
    }
}

/// Why text of ours was not taken with the SYN (`tcpi_fastopen_client_fail`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum EarlyFailure {
    /// It was, or there was none, or the SYN-ACK has not come.
    #[default]
    None,
    /// There was no cookie for the server.
    NoCookie,
    /// The server acknowledged the SYN alone.
    NotAcknowledged,
    /// The SYN had to be repeated, without text.
    Repeated,
}

/// What the first SYN of a connection is to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SynOffer {
    /// The option: a cookie, or the request for one, with which no text goes; `None` to send
    /// text without either (RFC 7413 appendix A has no such thing; for networks of one owner).
    pub option: Option<FastOpen>,
    /// MSS of the server as last heard, octets, or what is believed of it.
    pub mss: u16,
}

impl<C: Congestion> Tcb<C> {
    /// What Fast Open did for the connection.
    pub const fn early(&self) -> Early {
        self.early
    }

    /// Why text of our SYN was not taken.
    pub fn early_failure(&self) -> EarlyFailure {
        let early = self.early;
        let open = self.state == State::SynSent;
        if open || early.any(Early::TAKEN) || !early.any(Early::TRIED) {
            EarlyFailure::None
        } else if !early.any(Early::TEXT) {
            EarlyFailure::NoCookie
        } else if early.any(Early::REPEATED) {
            EarlyFailure::Repeated
        } else {
            EarlyFailure::NotAcknowledged
        }
    }

    /// Does the SYN that `next_segment` gave want [`offer_early`](Self::offer_early)? The first
    /// one only: it is repeated without option and text (RFC 7413 §4.2.1).
    pub(in crate::tcp) fn wants_early(&self) -> bool {
        self.early.any(Early::WANTED)
            && self.state == State::SynSent
            && self.snd_nxt == self.snd_una
    }

    /// Puts the Fast Open option, and with a cookie the first of `queued` octets, into `plan`,
    /// the first SYN (RFC 7413 §4.2.1). So much text as fits besides `cfg.fastopen_reserve`
    /// octets of options.
    pub fn offer_early(
        &mut self,
        cfg: &Config,
        plan: Plan,
        offer: &SynOffer,
        queued: usize,
        room: Room,
    ) -> Plan {
        let mut options = TcpOptions::parse(plan.options.as_slice());
        options.fast_open = offer.option;
        let octets = options.emit();
        self.early.clear(Early::TRIED | Early::EXPERIMENT);
        // Other options may leave no room for it.
        if TcpOptions::parse(octets.as_slice()).fast_open != offer.option {
            return plan;
        }
        if let Some(option) = offer.option {
            self.early.set(Early::ASKED);
            if option.is_experimental() {
                self.early.set(Early::EXPERIMENT);
            }
        }
        let request = offer
            .option
            .is_some_and(|option| option.cookie().is_empty());
        let most = room
            .mss
            .min(usize::from(offer.mss).min(usize::from(self.limit())));
        let space = most.saturating_sub(usize::from(cfg.fastopen_reserve));
        let len = if request { 0 } else { queued.min(space) };
        if len > 0 {
            self.early.set(Early::TEXT);
        }
        Plan {
            options: octets,
            len,
            mss: u16::try_from(len).unwrap_or(u16::MAX).max(1),
            ..plan
        }
    }

    /// The MSS the application allows.
    fn limit(&self) -> u16 {
        self.options.mss().unwrap_or(u16::MAX).max(48)
    }

    /// Does `ack` acknowledge our SYN? It may acknowledge some of its text, too.
    pub(in crate::tcp) fn acknowledges_syn(&self, ack: SeqNum) -> bool {
        let first = if self.early.is_pending() {
            self.snd_una
        } else {
            self.snd_una + 1
        };
        ack.ge(first) && ack.le(self.snd_nxt)
    }

    /// Our SYN is acknowledged, up to `ack`: what text of it is not goes again at once, as the
    /// first of what is unsent (RFC 7413 §4.2.1).
    pub(in crate::tcp) fn settle_syn(&mut self, ack: SeqNum, tx: &mut impl SendBuf) {
        let text = ack.since(self.snd_una).saturating_sub(1);
        tx.release(text as usize);
        self.counts.acked = self.counts.acked.wrapping_add(u64::from(text));
        self.snd_una = ack;
        self.snd_nxt = ack;
        if text > 0 {
            self.early.set(Early::TAKEN);
        }
        if self.early.any(Early::TEXT) {
            self.early.clear(Early::REPEATED);
            let repeated = self.retransmits() > 0;
            self.early.set(if repeated { Early::REPEATED } else { 0 });
        }
    }

    /// A control block in SYN-RECEIVED for a SYN that brought a good cookie: `text` is taken and
    /// may be read, and what is written goes out, before the handshake ends (RFC 7413 §4.2.2).
    /// The SYN-ACK is the first thing that `next_segment` gives.
    pub fn accepted_early(
        cfg: &Config,
        now: Instant,
        handshake: &Handshake,
        text: &[u8],
        rx: &mut impl RecvBuf,
    ) -> Self {
        let mut tcb = Self::accepted(cfg, now, handshake);
        tcb.state = State::SynReceived;
        tcb.timers.clear_all();
        tcb.early.set(Early::PENDING | Early::SERVED);
        tcb.syn_due = true;
        let fitting = text.get(..text.len().min(tcb.rcv_wnd() as usize));
        let fitting = fitting.unwrap_or_default();
        let stored = rx.write(0, fitting).min(fitting.len());
        rx.commit(stored);
        tcb.rcv_nxt += stored as u32;
        tcb.counts.received = stored as u64;
        tcb.counts.segs_in = 1;
        tcb
    }

    /// May text flow: in the states for it, and early?
    #[inline]
    pub(in crate::tcp) fn text_flows(&self) -> bool {
        self.state.sends() || self.early.is_pending()
    }

    /// The handshake of a pending connection ended.
    pub(in crate::tcp) fn prove(&mut self, cfg: &Config, now: Instant, echo: Option<u32>) {
        let repeated = self.retries > 0;
        self.measure_syn(cfg, now, echo);
        if repeated && self.rtt.smoothed().is_none() {
            // RFC 6298 §5.7.
            self.rtt = Rtt::pessimist();
        }
        self.early.clear(Early::PENDING);
        self.retries = 0;
        self.syn_due = false;
        self.enter(now, State::Established);
        self.timers.clear(Timer::Retransmit);
        self.timers.set(Timer::Trim, now + cfg.trim_after);
        if repeated {
            // As for any other handshake (RFC 5681 §3.1).
            self.cc.on_loss(now, Loss::Repeated, self.in_flight());
        }
        self.arm_keep_alive(cfg, now);
        if self.in_flight() > 0 {
            self.arm_retransmit(cfg, now);
        }
        if self.fin_queued {
            self.enter_closing_state(now);
        }
    }

    /// Is a segment of a pending connection its SYN once more?
    pub(in crate::tcp) fn is_first_syn(&self, segment: &Segment<'_>) -> bool {
        let first = self.rcv_nxt - 1 - self.counts.received as u32;
        let flags = segment.flags;
        let syn = flags.syn() && !flags.ack() && !flags.rst() && !flags.fin();
        self.early.is_pending() && syn && segment.seq == first
    }

    /// It is; so is its answer, not too often.
    pub(in crate::tcp) fn syn_again(&mut self, cfg: &Config, now: Instant) -> Effects {
        let admitted = self.admit_reply(cfg, now);
        self.syn_due |= admitted;
        Effects {
            ready: admitted,
            dropped: (!admitted).then_some(Drop::RateLimited),
            ..Effects::default()
        }
    }

    /// `plan`, a SYN or SYN-ACK, was handed to the layer below.
    pub(in crate::tcp) fn syn_sent(&mut self, cfg: &Config, now: Instant, plan: &Plan) {
        let end = plan.seq + plan.seq_len();
        let pending = self.early.is_pending();
        let again = if pending {
            self.retries > 0 || self.timers.is_set(Timer::Retransmit)
        } else {
            end.le(self.snd_nxt)
        };
        self.syn_due = false;
        if again {
            let ticks = timestamp(now, self.ts_offset);
            self.retransmitted(now, ticks, 1);
        } else {
            // Also when the SYN left, for `measure_syn`.
            self.stalled_at = now;
            self.snd_nxt = self.snd_nxt.max(end);
        }
        if !self.timers.is_set(Timer::Retransmit) {
            self.arm_retransmit(cfg, now);
        }
    }
}
