//! Segments of an existing connection, checked in the order of RFC 9293 §3.10.7.4.
//!
//! Invariant: RCV.NXT moves over octets the receive buffer has stored, and over nothing else but
//! SYN and FIN; a segment that fails a check changes nothing beyond counters and limiters.
//! Called by the shell, with the connection's own buffers.

use super::ack::Owed;
use super::autotune::third_free;
use super::config::Config;
use super::congestion::Congestion;
use super::error::TcpError;
use super::memory::Level;
use super::segment::{Effects, Gone, Plan, Segment, reset_for};
use super::seq::SeqNum;
use super::tcb::{State, Tcb};
use super::timers::Timer;
use crate::error::Drop;
use crate::socket::{RecvBuf, SendBuf};
use crate::wire::TcpFlags;
use phy::Instant;

/// What header prediction found out about the next segment of an undisturbed connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Foreseen {
    /// Octets it acknowledges for the first time.
    advance: u32,
    /// Its timestamp and the echo of ours, where timestamps are spoken.
    stamp: Option<(u32, u32)>,
}

/// Text of a predicted segment, or of a run of them, that is in the receive buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived {
    /// Octets stored and committed.
    pub stored: usize,
    /// Octets that came, and were not all stored if these are more.
    pub came: usize,
    /// Octets of the longest segment.
    pub longest: usize,
    /// Segments they came in.
    pub segments: u32,
}

/// What follows from a segment that was the next one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    /// As [`Effects::ready`].
    pub ready: bool,
    /// As [`Effects::news`].
    pub news: bool,
}

impl Effects {
    pub(super) fn drop(reason: Drop) -> Self {
        Self {
            dropped: Some(reason),
            ..Self::default()
        }
    }

    pub(super) fn answer(plan: Option<Plan>) -> Self {
        Self {
            answer: plan,
            ..Self::default()
        }
    }

    pub(super) fn closed() -> Self {
        Self {
            news: true,
            gone: Gone::Closed,
            ..Self::default()
        }
    }
}

impl<C: Congestion> Tcb<C> {
    /// A segment of this connection arrived. `rx` and `tx` are the connection's own buffers.
    pub fn receive(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Effects {
        if let Some(next) = self.receive_next(cfg, now, segment, rx, tx) {
            return Effects {
                ready: next.ready,
                news: next.news,
                ..Effects::default()
            };
        }
        self.count_received(segment);
        let before = self.seen();
        let effects = self.received(cfg, now, segment, rx, tx);
        self.tell_since(cfg, now, before);
        effects
    }

    #[inline]
    fn count_received(&mut self, segment: &Segment<'_>) {
        self.counts.segs_in = self.counts.segs_in.wrapping_add(1);
        let text = u32::from(!segment.payload.is_empty());
        self.counts.data_segs_in = self.counts.data_segs_in.wrapping_add(text);
    }

    /// As `receive`, if it is the next segment of an undisturbed connection; else `None`, and
    /// nothing happened.
    pub(super) fn receive_next(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Option<Next> {
        if self.state != State::Established {
            return None;
        }
        if self.stretches(cfg, segment.payload.len().saturating_mul(2)) {
            return None; // to be acknowledged at once
        }
        let foreseen = self.foresees(segment)?;
        Some(self.take_foreseen(cfg, now, segment, foreseen, rx, tx))
    }

    /// Takes a segment that was foreseen.
    pub(super) fn take_foreseen(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        foreseen: Foreseen,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Next {
        let text = segment.payload;
        let arrived = (!text.is_empty()).then(|| {
            let stored = rx.write(0, text).min(text.len());
            rx.commit(stored);
            Arrived {
                stored,
                came: text.len(),
                longest: text.len(),
                segments: 1,
            }
        });
        let before = self.seen();
        let next = self.take_arrived(cfg, now, segment, foreseen, arrived, rx, tx);
        self.tell_since(cfg, now, before);
        next
    }

    /// May segments behind one with `text` octets be taken together with it, as one that is as
    /// long as all? Full ones may, on which nobody keeps an eye and whose marks nobody counts: it
    /// is what a device that coalesces would hand us. Returns the least that is full.
    pub(super) fn may_run(&self, text: usize) -> Option<usize> {
        let full = usize::from(self.ack.rcv_mss).max(1);
        (text >= full && !self.cc.watches() && !self.ecn.is_accurate()).then_some(full)
    }

    /// By state.
    #[inline]
    fn received(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Effects {
        match self.state {
            State::Closed | State::Listen => return Effects::answer(reset_for(segment)),
            // The TIME-WAIT table answers for it.
            State::TimeWait => return Effects::drop(Drop::BadSegment),
            State::SynSent => return self.receive_syn_sent(cfg, now, segment, rx, tx),
            _ => {}
        }
        self.checked(cfg, now, segment, rx, tx)
    }

    /// Header prediction: is it the next segment in order of an undisturbed connection, with text
    /// or with an acknowledgment or both? `None` leaves everything to the long way.
    #[inline]
    pub(super) fn foresees(&self, segment: &Segment<'_>) -> Option<Foreseen> {
        let plain = self.state == State::Established
            && self.ecn.is_usual(segment)
            && segment.seq == self.rcv_nxt
            && self.flight.is_calm()
            && self.reassembly.gaps.is_empty()
            && segment.options.sack.is_empty()
            && segment.options.user_timeout.is_none()
            && !self.fin_seen
            && self.level != Level::Full
            && !self.orphan
            && !self.acknowledges_each();
        let advance = segment.ack.since(self.snd_una);
        let len = segment.payload.len();
        if !plain
            || advance > self.in_flight()
            || (advance == 0 && len == 0)
            || len > self.rcv_wnd() as usize
        {
            return None;
        }
        let stamp = match (self.timestamps, segment.options.timestamps) {
            (true, Some((value, _))) if (value.wrapping_sub(self.ts_recent) as i32) < 0 => {
                return None;
            }
            (true, None) => return None,
            (true, stamp) => stamp,
            (false, _) => None,
        };
        Some(Foreseen { advance, stamp })
    }

    /// Takes a segment that was foreseen, or the first of a run whose others differ from it in
    /// sequence number and PSH only; their text is in `rx`.
    #[expect(
        clippy::too_many_arguments,
        reason = "what was foreseen, and what arrived"
    )]
    pub(super) fn take_arrived(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        Foreseen { advance, stamp }: Foreseen,
        arrived: Option<Arrived>,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Next {
        if let Some((value, _)) = stamp {
            self.take_timestamp(now, segment.seq, value);
        }
        let echo = stamp.map(|(_, echo)| echo);
        let (segments, texts) = arrived.map_or((1, 0), |text| (text.segments, text.segments));
        self.counts.segs_in = self.counts.segs_in.wrapping_add(segments);
        self.counts.data_segs_in = self.counts.data_segs_in.wrapping_add(texts);
        self.tell_received(now, segment);
        self.heard(cfg, now);
        if self.ecn.is_accurate() {
            self.accurate_predicted(now, segment);
        }
        let mut news = false;
        if advance > 0 {
            self.advance(cfg, now, segment.ack, echo, tx);
            self.tune_send(cfg, advance, tx);
            news = tx.queued() <= third_free(tx.capacity());
        }
        // It is the latest there is, so its window counts (RFC 9293 §3.10.7.4, fifth).
        self.take_window(segment);
        if let Some(text) = arrived {
            let pushed = self.measure_segment(cfg, text.longest, segment.flags.psh());
            news |= self.text_in_order(cfg, now, &text, pushed);
            self.tune_receive(cfg, now, text.came, echo, rx);
        }
        let ready = self.wants_to_send(tx);
        Next { ready, news }
    }

    /// The long way: RFC 9293 §3.10.7.4 step by step.
    fn checked(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Effects {
        let (mut seq, mut flags) = (segment.seq, segment.flags);
        if self.state == State::SynReceived && flags.syn() && flags.ack() && seq + 1 == self.rcv_nxt
        {
            // The SYN-ACK of a simultaneous open (RFC 9293 §3.5, figure 8): its SYN came before,
            // so the segment is trimmed to what follows it.
            seq += 1;
            flags = flags.without(TcpFlags::SYN);
            self.ecn_crossed_answer(cfg, segment);
        }
        let len = (segment.payload.len() as u32)
            .wrapping_add(u32::from(flags.syn()))
            .wrapping_add(u32::from(flags.fin()));
        let end = seq + len;

        let stamp = segment.options.timestamps.filter(|_| self.timestamps);
        if self.timestamps && stamp.is_none() && !flags.rst() && cfg.require_timestamps {
            // RFC 7323 §3.2: dropped in silence.
            return Effects::drop(Drop::BadSegment);
        }
        // PAWS goes first (RFC 7323 §5.3 R1); a RST is exempt (§5.2).
        if let Some((value, _)) = stamp
            && !flags.rst()
            && self.is_old(cfg, now, value)
        {
            return self.unacceptable(cfg, now, seq, end, rx, Drop::Paws);
        }

        if self.state == State::SynReceived && self.is_first_syn(segment) {
            return self.syn_again(cfg, now);
        }

        // First: the sequence number.
        if !self.acceptable(seq, len) {
            return if flags.rst() {
                Effects::drop(Drop::OutOfWindow)
            } else if flags.syn() {
                // RFC 5961 §4.2: whatever its sequence number.
                let challenge = self.challenge(cfg, now, rx, Drop::OutOfWindow);
                self.ecn_challenge(segment, challenge)
            } else {
                let again = len > 0 && end == self.rcv_nxt && flags.ack();
                if again
                    && self.believes(segment.ack)
                    && let Some((value, _)) = stamp
                {
                    // What came last comes again because our acknowledgment was lost. With an echo
                    // of this one, its sender measures a round trip and not all the time since. Who
                    // cannot tell what we sent is not believed: one timestamp far ahead, and PAWS
                    // would refuse all that the peer sends.
                    self.take_timestamp(now, seq, value);
                }
                self.unacceptable(cfg, now, seq, end, rx, Drop::OutOfWindow)
            };
        }

        // Second: RST (RFC 5961 §3.2).
        if flags.rst() {
            return if seq == self.rcv_nxt {
                self.reset(now)
            } else {
                self.challenge(cfg, now, rx, Drop::BadSegment)
            };
        }

        // Fourth: SYN (RFC 5961 §4.2).
        if flags.syn() {
            let challenge = self.challenge(cfg, now, rx, Drop::BadSegment);
            return self.ecn_challenge(segment, challenge);
        }

        // Fifth: ACK.
        if !flags.ack() {
            return Effects::drop(Drop::BadSegment);
        }
        if self.state == State::SynReceived {
            if !self.acknowledges_syn(segment.ack) {
                let reset = Plan::bare(segment.ack, SeqNum(0), TcpFlags::RST, 0);
                return Effects {
                    dropped: Some(Drop::BadSegment),
                    ..Effects::answer(Some(reset))
                };
            }
            self.syn_acknowledged(cfg, now, segment, stamp.map(|(_, echo)| echo), tx);
        } else if !self.believes(segment.ack) {
            // RFC 5961 §5.2. An acknowledgment of what was never sent also gets an ACK by
            // RFC 9293; both count against the same limit.
            return self.challenge(cfg, now, rx, Drop::BadSegment);
        }
        if let Some((value, _)) = stamp
            && !self.is_old(cfg, now, value)
        {
            // Also a smaller one, where TS.Recent is outdated (RFC 7323 §5.5).
            self.take_timestamp(now, seq, value);
        }
        self.tell_received(now, segment);
        self.heard(cfg, now);
        if let Some(seconds) = segment.options.user_timeout {
            self.heard_user_timeout(cfg, seconds);
        }
        self.ecn_arrived(segment);
        self.ecn_echoed(now, segment);
        let before = (self.state, tx.queued());
        let echo = stamp.map(|(_, echo)| echo);
        self.acknowledge(cfg, now, segment, echo, tx);
        let acked = before.1.saturating_sub(tx.queued()) as u32;
        self.tune_send(cfg, acked, tx);
        if self.fin_acknowledged() {
            match self.state {
                State::FinWait1 => self.enter_fin_wait_2(cfg, now),
                State::Closing => return self.enter_time_wait(now, None),
                State::LastAck => {
                    self.finish(now);
                    return Effects::closed();
                }
                _ => {}
            }
        }
        let mut effects = Effects::default();

        // Sixth: URG. Urgent octets are octets in line (RFC 6093 §6).
        let urgent = flags.urg() && self.take_urgent(seq, segment.urgent);

        // Seventh: text. Eighth: FIN.
        let text_end = seq + segment.payload.len() as u32;
        if self.orphan && self.state.receives() && text_end.gt(self.rcv_nxt) {
            // Nobody will read it (RFC 9293 §3.6.1, RFC 2525 §2.17).
            let reset = self.abort(now);
            return Effects {
                answer: reset,
                ..Effects::closed()
            };
        }
        if len > 0 && self.state.receives() {
            let nxt = self.rcv_nxt;
            let each = seq.gt(nxt) || !self.reassembly.gaps.is_empty();
            let text = segment.payload.len();
            let pushed = self.measure_segment(cfg, text, flags.psh());
            if !self.text(cfg, now, seq, segment.payload, (flags.fin(), pushed), rx) {
                effects.dropped = Some(Drop::Memory);
            }
            self.tune_receive(cfg, now, text, echo, rx);
            if self.fin_seen && self.fin_at() == self.rcv_nxt {
                if let Some(gone) = self.fin(now, rx) {
                    return gone;
                }
            } else if each
                || (self.acknowledges_each() || self.stretches(cfg, text)) && !self.has_work(tx)
            {
                // RFC 5681 §4.2: at once and each of them, so that the sender counts every one,
                // and hears of them where acknowledgments get lost as well.
                effects.answer = Some(self.ack_plan(now, rx));
            }
            effects.news = self.rcv_nxt != nxt;
        } else if len > 0 {
            self.ack.owed = Owed::Now;
        }
        // A writer who found the buffer full is told when a third is free.
        let room = acked > 0 && tx.queued() <= third_free(tx.capacity());
        effects.news |= urgent || room || self.state != before.0;
        effects.ready = match effects.answer {
            Some(_) => self.has_work(tx),
            None => self.wants_to_send(tx),
        };
        effects
    }

    /// Does some of the segment lie in the window (RFC 9293 §3.10.7.4, first)? At the right edge
    /// a segment without text is accepted too: a peer that filled the window acknowledges from
    /// there. Of one that begins at RCV.NXT the acknowledgment counts even if the window is zero.
    fn acceptable(&self, seq: SeqNum, len: u32) -> bool {
        if len == 0 {
            seq.ge(self.rcv_nxt) && seq.le(self.rcv_adv)
        } else {
            (seq + len).gt(self.rcv_nxt) && (seq.lt(self.rcv_adv) || seq == self.rcv_nxt)
        }
    }

    /// Is a timestamp older than TS.Recent, and that not outdated (RFC 7323 §5.3, §5.5)?
    fn is_old(&self, cfg: &Config, now: Instant, value: u32) -> bool {
        let age = (now.secs() as u32).wrapping_sub(self.ts_recent_at);
        (value.wrapping_sub(self.ts_recent) as i32) < 0
            && u64::from(age) <= cfg.timestamp_lifetime.as_secs()
    }

    /// May the peer acknowledge this, with what it was sent (RFC 5961 §5.2)?
    fn believes(&self, ack: SeqNum) -> bool {
        !ack.gt(self.snd_nxt) && !ack.lt(self.snd_una - self.max_wnd)
    }

    /// TS.Recent from a segment that reaches back to the last acknowledgment (RFC 7323 §4.3).
    #[inline]
    fn take_timestamp(&mut self, now: Instant, seq: SeqNum, value: u32) {
        if seq.le(self.ack.last_sent) {
            self.ts_recent = value;
            self.ts_recent_at = now.secs() as u32;
        }
    }

    /// The peer lives.
    #[inline]
    fn heard(&mut self, cfg: &Config, now: Instant) {
        self.heard_at = now;
        self.probes = 0;
        if !self.timers.is_set(Timer::Trim) {
            self.timers.set(Timer::Trim, now + cfg.trim_after);
        }
    }

    /// Text that began at RCV.NXT while nothing was out of order. True if some was stored.
    #[inline(always)]
    fn text_in_order(&mut self, cfg: &Config, now: Instant, text: &Arrived, pushed: bool) -> bool {
        self.rcv_nxt += text.stored as u32;
        self.counts.received = self.counts.received.wrapping_add(text.stored as u64);
        self.text_arrived(cfg, now, pushed);
        if text.stored < text.came {
            self.ack.owed = Owed::Now;
        }
        text.stored > 0
    }

    /// Stores text, in order or not, as far as window, buffer and memory take it, and notes a
    /// FIN behind it. False if memory did not.
    fn text(
        &mut self,
        cfg: &Config,
        now: Instant,
        seq: SeqNum,
        text: &[u8],
        (fin, pushed): (bool, bool),
        rx: &mut impl RecvBuf,
    ) -> bool {
        let text_end = seq + text.len() as u32;
        // Trim to the window on both sides.
        let old = self.rcv_nxt.saturating_since(seq) as usize;
        let from = seq.max(self.rcv_nxt);
        let room = self.rcv_adv.saturating_since(from) as usize;
        let fresh = text.get(old.min(text.len())..).unwrap_or(&[]);
        let fitting = fresh.get(..room.min(fresh.len())).unwrap_or(&[]);
        let mut fin_at = self.fin_seen.then(|| self.fin_at());
        if fin && !self.fin_seen && self.ends_all(seq, text_end, rx) {
            self.fin_seen = true;
            fin_at = Some(text_end);
        }
        if old > 0 {
            self.note_duplicate(cfg, seq, self.rcv_nxt.min(text_end));
            // The peer did not hear of it: its timer is ahead of our acknowledgments.
            self.acknowledge_quickly(cfg);
        }
        // Nothing lies behind a FIN.
        let fitting = if let Some(fin_at) = fin_at {
            let most = fin_at.saturating_since(from) as usize;
            fitting.get(..most.min(fitting.len())).unwrap_or(&[])
        } else {
            fitting
        };
        let offset = from.since(self.rcv_nxt) as usize;
        let wanted = fitting.len();
        let fitting = self.affordable(cfg, rx, offset, fitting);
        let filled_gap = !self.reassembly.gaps.is_empty();
        if !fitting.is_empty() {
            let stored = rx.write(offset, fitting).min(fitting.len()) as u32;
            if offset == 0 {
                let octets = self.reassembly.gaps.advance(stored);
                rx.commit(octets as usize);
                self.rcv_nxt += octets;
                self.counts.received = self.counts.received.wrapping_add(u64::from(octets));
            } else if stored > 0 {
                self.out_of_order(cfg, offset as u32, stored);
                self.count_out_of_order();
            }
            self.text_arrived(cfg, now, pushed);
        }
        if let Some(fin_at) = fin_at.filter(|at| *at != self.rcv_nxt) {
            self.rare.make().fin_at = Some(fin_at);
        }
        // At once: out of order, a gap filled, twice, beyond the window, or a FIN
        // (RFC 5681 §4.2, RFC 9293 §3.10.7.4).
        let all = !fitting.is_empty() && fitting.len() == fresh.len();
        if !all || filled_gap || fin || old > 0 || from.gt(self.rcv_nxt) {
            self.ack.owed = Owed::Now;
        }
        fitting.len() == wanted
    }

    /// A valid RST (RFC 9293 §3.10.7.4, second).
    fn reset(&mut self, now: Instant) -> Effects {
        match self.state {
            // The SYN of an active open was answered with a SYN, and then with this.
            State::SynReceived if !self.early.is_pending() => self.error = Some(TcpError::Refused),
            State::Closing | State::LastAck | State::TimeWait => {}
            State::CloseWait => self.error = Some(TcpError::BrokenPipe),
            _ => self.error = Some(TcpError::Reset),
        }
        self.finish(now);
        Effects::closed()
    }
}
