//! Loss recovery: the states of a sender, and what an acknowledgment or a timeout makes of them
//! (RFC 5681 §3.2, RFC 6675 §5, RFC 8985, RFC 6298 §5.4 to §5.7).
//!
//! Invariant: outside [`CaState::Open`] and [`CaState::Disorder`] the window was reduced once
//! for the octets before `recover`, and recovery ends when these are acknowledged or the
//! reduction is undone. Called by `advance` and `timers`.

use core::time::Duration;

use super::config::Config;
use super::congestion::{Congestion, Loss};
use super::flight::Heard;
use super::probe::Tail;
use super::tcb::Tcb;
use super::timers::Timer;
use super::undo::Frto;
use phy::Instant;

/// Phases of congestion avoidance and loss recovery, as Linux names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CaState {
    /// Nothing is amiss.
    #[default]
    Open,
    /// Something arrived out of order, or twice; nothing is held to be lost.
    Disorder,
    /// The window shrinks because of a congestion mark (RFC 3168 §6.1.2); nothing is lost.
    Cwr,
    /// Fast recovery: losses are repaired, and the window shrinks to the threshold.
    Recovery,
    /// The retransmission timer expired; slow start.
    Loss,
}

impl CaState {
    /// Its name, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Disorder => "disorder",
            Self::Cwr => "cwr",
            Self::Recovery => "recovery",
            Self::Loss => "loss",
        }
    }
}

/// An acknowledgment, and what was so before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ack {
    /// Octets by which it moved SND.UNA.
    pub(super) advance: u32,
    /// The timestamp it echoes.
    pub(super) echo: Option<u32>,
    /// Octets in the network.
    pub(super) pipe: u32,
    /// Is there something new to send?
    pub(super) more: bool,
}

/// How long after it threw away what it reported a peer may still say that it did not.
const RENEGED: Duration = Duration::from_millis(10);

impl<C: Congestion> Tcb<C> {
    /// Octets in the network: RFC 6675 §4 SetPipe. Without SACK each duplicate acknowledgment
    /// stands for one segment that left, which is what RFC 5681 §3.2 does by inflating the
    /// window.
    #[inline]
    pub(super) fn pipe(&self) -> u32 {
        let flight = &*self.flight;
        let held = self.in_flight().saturating_sub(flight.left());
        held.saturating_add(flight.repeated.octets)
    }

    /// The window in force: the controller's, but while it shrinks step by step.
    #[inline]
    pub(super) fn window(&self) -> u32 {
        match self.flight.state {
            CaState::Cwr | CaState::Recovery if !self.cc.owns_recovery() => self.flight.prr.window,
            _ => self.cc.window(),
        }
    }

    /// FlightSize without what limited transmit sent beyond the window (RFC 5681 §3.2 step 2).
    pub(super) fn flight_size(&self) -> u32 {
        let mss = u32::from(self.mss);
        self.in_flight().min(self.cc.window().max(mss))
    }

    /// A congestion mark was echoed (RFC 3168 §6.1.2): the window shrinks once for what is in
    /// flight. Nothing happens while it does already.
    pub fn enter_cwr(&mut self, now: Instant) {
        if matches!(self.flight.state, CaState::Open | CaState::Disorder) {
            let (flight, pipe) = (self.flight_size(), self.pipe());
            self.cc.on_loss(now, Loss::Ecn, flight);
            self.ecn.reduced();
            let out = &mut *self.flight;
            out.prr.begin(pipe, pipe);
            out.undo = super::undo::Undo::new();
            out.recover = self.snd_nxt;
            out.state = CaState::Cwr;
        }
    }

    /// A loss was noticed by what the peer said (RFC 5681 §3.2 steps 2 and 3, RFC 6675 §5
    /// step 4), with `pipe` octets in the network before.
    pub(super) fn enter_recovery(&mut self, now: Instant, pipe: u32) {
        if self.probe_vanished(now) {
            return;
        }
        let flight = self.flight_size();
        let left = self.pipe();
        let out = &mut *self.flight;
        // A probe may go on to be the first retransmission of the event.
        out.undo.begin(self.snd_una, out.repeated.octets);
        if out.tail.is_out() {
            out.tail = Tail::No;
        }
        if out.state != CaState::Cwr {
            self.cc.on_loss(now, Loss::Detected, flight);
            self.ecn.reduced();
            out.prr.begin(pipe, left);
        }
        out.recover = self.snd_nxt;
        out.state = CaState::Recovery;
    }

    /// The retransmission timer expired for the `retries + 1`st time (RFC 6298 §5.4, RFC 5681
    /// §3.1): what was not reported is held to be lost, but for what left so late that it cannot
    /// have been answered yet, and sent again from the oldest on in slow start.
    pub(super) fn enter_timeout(&mut self, cfg: &Config, now: Instant, retries: u8) {
        let state = self.flight.state;
        let calm = matches!(state, CaState::Open | CaState::Disorder);
        // A second expiration for the same octets, or during fast recovery, reduces nothing
        // more.
        let over = self.snd_una.ge(self.flight.recover);
        let first = calm || over || state == CaState::Loss && retries == 0;
        let size = self.flight_size();
        if self.flight.is_reneged() {
            self.flight.forget_reports();
        }
        if calm && self.flight.sacked.segments >= u32::from(cfg.dup_threshold) {
            self.flight.rack.expect_less();
        }
        if first {
            let (una, repeated) = (self.snd_una, self.flight.repeated.octets);
            self.flight.undo.begin(una, repeated);
        }
        self.lose_all(cfg, now, true);
        let loss = if first { Loss::Timeout } else { Loss::Repeated };
        self.cc.on_loss(now, loss, size);
        self.ecn.reduced();
        // RFC 5682 §2.1: not in the middle of another recovery.
        let frto = cfg.frto && (calm || state == CaState::Cwr || retries > 0);
        self.flight.undo.frto = if frto { Frto::Head } else { Frto::Off };
    }

    /// Everything in flight is to be sent again, within the congestion window, because the path
    /// does not carry segments of that size (RFC 1191 §6.5).
    pub(super) fn resend_all(&mut self, cfg: &Config, now: Instant) {
        self.lose_all(cfg, now, false);
        self.flight.undo = super::undo::Undo::new();
    }

    /// What is out is lost; `timeout` if because of its age.
    fn lose_all(&mut self, cfg: &Config, now: Instant, timeout: bool) {
        for n in 0..self.flight.records.len() {
            let Some(&record) = self.flight.records.get(n) else {
                break;
            };
            let lost = n == 0 || !timeout || self.is_overdue(cfg, now, &record);
            if record.is_out() && lost {
                let lost = self.flight.lose(now, n);
                if timeout {
                    self.cc.on_lost(&lost);
                }
            }
        }
        let out = &mut *self.flight;
        out.state = CaState::Loss;
        out.recover = self.snd_nxt;
        out.tail = Tail::No;
        out.rack.timer = Instant::MAX;
        out.dup_acks = 0;
        out.dup_octets = 0;
    }

    /// Nothing is held to be lost; is anything amiss?
    pub(super) fn keep_open(&mut self) {
        let nxt = self.snd_nxt;
        let out = &mut *self.flight;
        let still = out.left() > 0 || out.repeated.octets > 0;
        if !still {
            out.undo.settle();
            out.rack.timer = Instant::MAX;
            out.state = CaState::Open;
        } else if out.state != CaState::Disorder {
            out.state = CaState::Disorder;
            out.recover = nxt;
        }
    }

    /// Recovery, or the answer to a mark, ends.
    pub(super) fn leave(&mut self, now: Instant) {
        let state = self.flight.state;
        let out = &mut *self.flight;
        if state == CaState::Recovery {
            out.rack.recovered();
        }
        out.undo.frto = Frto::Off;
        out.repaired = Some(out.recover);
        out.dup_acks = 0;
        out.dup_octets = 0;
        out.state = CaState::Open;
        if state != CaState::Cwr {
            self.cc.on_recovered(now);
        }
        self.keep_open();
    }

    /// Is everything acknowledged that was out when the state was entered? Without SACK
    /// something beyond it must be, or duplicates of our own retransmissions would look like
    /// another loss (RFC 6582 §4.1); and the answer to a mark ends when its first segment
    /// arrived, which tells the peer (RFC 3168 §6.1.2).
    fn is_over(&self) -> bool {
        let (una, recover) = (self.snd_una, self.flight.recover);
        let exact = self.sack && self.flight.state != CaState::Cwr;
        una.gt(recover) || una == recover && (exact || self.in_flight() == 0)
    }

    /// What an acknowledgment means. True if octets are newly held to be lost.
    pub(super) fn react(&mut self, cfg: &Config, now: Instant, ack: &Ack, heard: &Heard) -> bool {
        if let Some(oldest) = heard.reordered {
            self.note_reordering(cfg, oldest);
        }
        if self.flight.state == CaState::Loss && self.try_undo_timeout(now, ack, heard) {
            return false;
        }
        let begun = !matches!(self.flight.state, CaState::Open | CaState::Disorder);
        if begun && self.is_over() {
            self.try_undo_at_end(now, ack);
            self.leave(now);
        }
        match self.flight.state {
            CaState::Recovery => {
                if ack.advance > 0 && self.try_undo_partial(now, ack) || self.try_undo_twice(now) {
                    return false;
                }
                self.lose_more(cfg, now, ack)
            }
            CaState::Loss => {
                self.step_frto(ack, heard);
                let found = self.detect_lost(cfg, now);
                if found.again {
                    // A retransmission was lost: that is another loss (RFC 5681 §4.3).
                    self.enter_recovery(now, ack.pipe);
                }
                found.any
            }
            CaState::Open | CaState::Disorder | CaState::Cwr => {
                self.try_undo_twice(now);
                let lost = self.lose_more(cfg, now, ack);
                if self.flight.lost.octets > 0 {
                    self.enter_recovery(now, ack.pipe);
                } else if self.flight.state != CaState::Cwr {
                    self.keep_open();
                }
                lost
            }
        }
    }

    /// Finds what is lost, by time or by duplicates.
    fn lose_more(&mut self, cfg: &Config, now: Instant, ack: &Ack) -> bool {
        if self.sack {
            self.detect_lost(cfg, now).any
        } else {
            self.lose_by_count(cfg, now, ack)
        }
    }

    /// The window shrinks, where it does: `delivered` octets arrived; `safe` as of
    /// [`Prr::on_ack`](super::prr::Prr::on_ack).
    pub(super) fn reduce(&mut self, delivered: u32, safe: bool) {
        let shrinks = matches!(self.flight.state, CaState::Cwr | CaState::Recovery);
        if shrinks && !self.cc.owns_recovery() {
            let (pipe, window) = (self.pipe(), self.cc.window());
            let mss = u32::from(self.mss);
            self.flight.prr.on_ack(delivered, safe, pipe, window, mss);
        }
    }

    /// The peer acknowledged up to what it reported before, and no further: if it does not
    /// do so soon, it threw that away (RFC 2018 §8).
    pub(super) fn watch_reneging(&mut self, now: Instant) {
        if self.flight.is_reneged() {
            let half = self.rtt.smoothed().unwrap_or_default() / 2;
            let at = now + half.max(RENEGED);
            self.flight.tail = Tail::No;
            self.timers
                .set(Timer::Retransmit, self.within_user_timeout(at));
        }
    }

    /// The state.
    #[inline]
    pub fn ca_state(&self) -> CaState {
        self.flight.state
    }
}
