//! The end of a connection (RFC 9293 §3.6, §3.10.4, §3.10.5), by either side or by the network.
//!
//! Invariant: in CLOSED and TIME-WAIT no timer runs and nothing is sent. Our FIN takes the
//! number after the last octet queued when it was sent, for good.

use core::time::Duration;

use super::ack::Owed;
use super::config::Config;
use super::congestion::Congestion;
use super::error::TcpError;
use super::event::Event;
use super::fastopen::Early;
use super::segment::{Effects, Gone, Plan, TimeWait};
use super::seq::SeqNum;
use super::tcb::{State, Tcb};
use super::timers::Timer;
use crate::net::ErrorKind;
use crate::socket::RecvBuf;
use crate::wire::TcpFlags;
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// The application sends no more: a FIN follows what is queued (RFC 9293 §3.10.4). It may
    /// still read. Put the socket on the ready list afterwards.
    pub fn shutdown(&mut self, cfg: &Config, now: Instant) {
        let _ = cfg;
        if self.fin_queued {
            return;
        }
        self.fin_queued = true;
        self.push_due = true;
        // SYN-SENT and SYN-RECEIVED: once the connection is open.
        self.enter_closing_state(now);
    }

    /// From a state in which text flows to the one in which our FIN is on its way.
    pub(super) fn enter_closing_state(&mut self, now: Instant) {
        let next = match self.state {
            State::Established => State::FinWait1,
            State::CloseWait => State::LastAck,
            other => other,
        };
        self.enter(now, next);
    }

    /// The application lets go of the connection, with `unread` octets in the receive buffer:
    /// like `shutdown` if there are none, else a reset, which tells the peer that they were not
    /// read (RFC 9293 §3.6.1, RFC 2525 §2.17). Nobody reads any more: text that comes later is
    /// answered with a reset. Before the connection is open nothing is sent. Put the socket on
    /// the ready list afterwards.
    pub fn close(&mut self, cfg: &Config, now: Instant, unread: usize) -> Effects {
        match self.state {
            State::Closed | State::Listen | State::SynSent => {
                self.finish(now);
                return Effects::closed();
            }
            State::TimeWait => return Effects::default(),
            _ => {}
        }
        let both = matches!(self.state, State::Closing | State::LastAck);
        if unread > 0 && !both || self.options.linger() == Some(Duration::ZERO) {
            return Effects {
                answer: self.abort(now),
                ..Effects::closed()
            };
        }
        self.orphan = true;
        self.timers.clear(Timer::Idle);
        self.options.let_go();
        self.shutdown(cfg, now);
        if self.state == State::FinWait2 {
            self.wait_for_fin(cfg, now);
        } else if let Some(linger) = self.options.linger() {
            self.timers.set(Timer::Idle, now + linger);
        }
        Effects {
            ready: true,
            ..Effects::default()
        }
    }

    /// Ends the connection at once: CLOSED, and the RST to send if the peer knows of the
    /// connection (RFC 9293 §3.10.5). Also what closing with linger 0 means.
    pub fn abort(&mut self, now: Instant) -> Option<Plan> {
        let known = matches!(
            self.state,
            State::SynReceived
                | State::Established
                | State::FinWait1
                | State::FinWait2
                | State::CloseWait
        );
        let reset = known.then(|| {
            let window = self.rcv_wnd() >> (self.rcv_scale & 15);
            let window = u16::try_from(window).unwrap_or(u16::MAX);
            let flags = TcpFlags::RST | TcpFlags::ACK;
            let mut options = self.segment_options(now);
            options.sack = Default::default();
            Plan {
                options: options.emit(),
                ..Plan::bare(self.snd_nxt, self.rcv_nxt, flags, window)
            }
        });
        if self.state != State::Closed {
            self.error.get_or_insert(TcpError::Aborted);
        }
        self.finish(now);
        reset
    }

    /// CLOSED: nothing is sent or waited for any more.
    pub(super) fn finish(&mut self, now: Instant) {
        if let Some(error) = self.error {
            self.tell(now, Event::Failed { error });
        }
        self.enter(now, State::Closed);
        self.quiet();
    }

    fn quiet(&mut self) {
        self.timers.clear_all();
        self.ack.owed = Owed::No;
        self.syn_due = false;
        self.probe_due = false;
        self.flight.end();
        self.reassembly.gaps.clear();
        self.reassembly.gaps.trim();
    }

    /// Where the peer's FIN is, once it was seen: here, unless that was noted.
    pub(super) fn fin_at(&self) -> SeqNum {
        let noted = self.rare.get().and_then(|rare| rare.fin_at);
        noted.unwrap_or(self.rcv_nxt)
    }

    /// May a FIN behind the text from `seq` to `end` be the peer's? Not before text that is here,
    /// but what waits behind one that is next was never the peer's: it is forgotten.
    pub(super) fn ends_all(&mut self, seq: SeqNum, end: SeqNum, rx: &mut impl RecvBuf) -> bool {
        if end.lt(self.rcv_nxt) || end.gt(self.rcv_adv) {
            return false;
        }
        let is_last = (self.rcv_nxt + self.reassembly.gaps.end()).le(end);
        if is_last || seq.gt(self.rcv_nxt) {
            return is_last;
        }
        self.reassembly.gaps.clear();
        rx.forget_after(0);
        true
    }

    /// The peer's FIN is next (RFC 9293 §3.10.7.4, eighth). `Some` if that ends the connection.
    pub(super) fn fin(&mut self, now: Instant, rx: &impl RecvBuf) -> Option<Effects> {
        self.fin_seen = false;
        if let Some(rare) = self.rare.get_mut() {
            rare.fin_at = None;
        }
        self.rcv_nxt += 1;
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt);
        self.reassembly.gaps.clear();
        self.forget_duplicate();
        self.ack.owed = Owed::Now;
        match self.state {
            State::Established => self.enter(now, State::CloseWait),
            // Our FIN is not acknowledged yet, else the state were FIN-WAIT-2 by now.
            State::FinWait1 => self.enter(now, State::Closing),
            State::FinWait2 => {
                let last = self.ack_plan(now, rx);
                return Some(self.enter_time_wait(now, Some(last)));
            }
            _ => {}
        }
        None
    }

    /// Is our FIN acknowledged?
    pub(super) fn fin_acknowledged(&self) -> bool {
        self.fin_sent && self.snd_una == self.snd_nxt
    }

    /// Our FIN is acknowledged, the peer's has not come.
    pub(super) fn enter_fin_wait_2(&mut self, cfg: &Config, now: Instant) {
        self.enter(now, State::FinWait2);
        if self.orphan {
            self.wait_for_fin(cfg, now);
        }
    }

    /// FIN-WAIT-2 without an application: for so long.
    fn wait_for_fin(&mut self, cfg: &Config, now: Instant) {
        self.timers
            .set(Timer::Idle, now + self.options.fin_wait_2(cfg));
    }

    /// The time of a connection without application is over. In FIN-WAIT-2 all was said, and the
    /// peer may keep its side open for ever: it is forgotten. Else, or if there was to be no
    /// such wait, the peer is told.
    pub(super) fn orphan_due(&mut self, cfg: &Config, now: Instant) -> Effects {
        if self.state == State::FinWait2 && !self.options.fin_wait_2(cfg).is_zero() {
            self.finish(now);
            return Effects::closed();
        }
        Effects {
            abort: true,
            ready: true,
            ..Effects::default()
        }
    }

    /// Both FINs are acknowledged, or the peer's is by `answer`.
    pub(super) fn enter_time_wait(&mut self, now: Instant, answer: Option<Plan>) -> Effects {
        let window = self.rcv_wnd() >> (self.rcv_scale & 15);
        self.enter(now, State::TimeWait);
        self.quiet();
        Effects {
            answer,
            news: true,
            gone: Gone::TimeWait(TimeWait {
                snd_nxt: self.snd_nxt,
                rcv_nxt: self.rcv_nxt,
                window: u16::try_from(window).unwrap_or(u16::MAX),
                ts_recent: self.timestamps.then_some(self.ts_recent),
                ts_offset: self.ts_offset,
                ecn: self.ecn.flags(),
            }),
            ..Effects::default()
        }
    }

    /// An ICMP error quoted a segment of this connection that began at `quoted`; `local` if our
    /// own link layer says so. False: it does not stand the test of RFC 5927 §4 and is to be
    /// ignored. For a packet too big, the path MTU is to be learned before, so that
    /// `next_segment` is given less room.
    pub fn icmp_error(
        &mut self,
        cfg: &Config,
        now: Instant,
        kind: ErrorKind,
        quoted: SeqNum,
        local: bool,
    ) -> (bool, Effects) {
        // RFC 5927 §4.1: only what is in flight can have caused an error. Probes and pure ACKs
        // of ours can as well, but then it tells nothing worth the risk.
        let mine = quoted.ge(self.snd_una) && quoted.lt(self.snd_nxt);
        let syn = self.early.is_pending() && quoted + 1 == self.snd_una;
        let mine = mine || syn || local && self.syn_due;
        if matches!(self.state, State::Closed | State::Listen | State::TimeWait) || !mine {
            return (false, Effects::default());
        }
        let error = match kind {
            ErrorKind::PacketTooBig(size) => {
                if !self.judge_report(cfg, size.into(), quoted) {
                    return (false, Effects::default());
                }
                // A SYN goes again at once, without what made it large (RFC 7413 §4.1.3).
                let text = self.early.any(Early::TEXT) && self.retransmits() == 0;
                self.syn_due |= self.state == State::SynSent && text;
                let effects = Effects {
                    ready: true,
                    ..Effects::default()
                };
                return (true, effects);
            }
            ErrorKind::PortUnreachable | ErrorKind::ProtocolUnreachable => TcpError::Refused,
            ErrorKind::NetUnreachable => TcpError::NetUnreachable,
            ErrorKind::HostUnreachable | ErrorKind::Prohibited | ErrorKind::SourceRouteFailed => {
                TcpError::HostUnreachable
            }
            // Soft in every state (RFC 1122 §4.2.3.9), and telling nothing about the host.
            _ => return (true, Effects::default()),
        };
        if self.state != State::SynSent {
            // Hard errors are soft once the peer has answered (RFC 5927 §5.2).
            self.soft_error = Some(error);
            return (true, Effects::default());
        }
        self.error = Some(error);
        self.finish(now);
        (true, Effects::closed())
    }
}
