//! What to send next (RFC 9293 §3.7.4, §3.8.6.2.1; RFC 1122 §4.2.3.4).
//!
//! Invariant: nothing is sent beyond the peer's window, nor new octets beyond the congestion
//! window; finding the next segment changes no state that the peer can see, which
//! [`Tcb::on_sent`] does. Called by the shell.

use core::time::Duration;

use super::ack::Owed;
use super::chrono::Chrono;
use super::config::Config;
use super::congestion::Congestion;
use super::event::Event;
use super::probe::Tail;
use super::recovery::CaState;
use super::segment::{Plan, Room, timestamp};
use super::seq::SeqNum;
use super::tcb::{State, Tcb};
use super::timers::Timer;
use crate::socket::{RecvBuf, SendBuf};
use crate::wire::TcpFlags;
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// The next segment or train to send, if there is any; until `on_sent` is told of it the
    /// answer stays the same. `None` may have set a deadline (for what the window or a cork
    /// holds back): look at `deadline` afterwards.
    pub fn next_segment(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
        mut room: Room,
    ) -> Option<Plan> {
        if !self.urgent {
            return self.next_plain(cfg, now, rx, tx, room);
        }
        room.gso = 0;
        let plan = self.next_plain(cfg, now, rx, tx, room)?;
        Some(self.with_urgent(plan))
    }

    /// As `next_segment`, for text that is not urgent.
    #[inline]
    fn next_plain(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
        mut room: Room,
    ) -> Option<Plan> {
        match self.state {
            State::Closed | State::Listen | State::TimeWait => return None,
            State::SynSent | State::SynReceived if self.syn_due || !self.early.is_pending() => {
                return self.syn_plan(cfg, now, rx);
            }
            _ => {}
        }
        let sends = self.text_flows();
        if sends {
            self.fit(cfg, now, room);
        }
        if self.ecn.shakes() {
            return Some(self.ack_plan(now, rx));
        }
        if !self.has_work(tx) && !self.flight.waiting {
            // As ends every turn, and all of it where only an acknowledgment is due.
            if sends && !self.fin_sent {
                self.drained(now);
            }
            return (self.ack.owed == Owed::Now).then(|| self.ack_plan(now, rx));
        }
        if sends && self.keeps_pace(cfg, now, &mut room, tx) {
            if let Some(plan) = self.next_lost(now, rx, tx, room) {
                return Some(plan);
            }
            if self.rare.get().is_some_and(|rare| rare.path.searches())
                && let Some(plan) = self.mtu_probe(cfg, now, rx, tx, room)
            {
                return Some(plan);
            }
            if let Some(plan) = self.fresh(cfg, now, rx, tx, room) {
                return Some(plan);
            }
            if self.flight.tail == Tail::Due {
                let tail = self.tail(u32::from(self.mss));
                return self.repeated(now, rx, tx, Room { gso: 0, ..room }, tail);
            }
            if self.not_forward()
                && let Some(plan) = self.next_lost(now, rx, tx, room)
            {
                return Some(plan);
            }
        }
        if self.probe_due {
            // A segment the peer must answer, for it is not acceptable (RFC 9293 §3.8.6.1).
            let plan = self.ack_plan(now, rx);
            return Some(Plan {
                seq: self.snd_una - 1,
                ..plan
            });
        }
        (self.ack.owed == Owed::Now).then(|| self.ack_plan(now, rx))
    }

    /// Is it plain, after something was sent, that nothing else is to be? Then `next_segment` need
    /// not be asked, and what it would have noted is.
    #[inline]
    pub(super) fn rests(&mut self, now: Instant, tx: &impl SendBuf) -> bool {
        let over = matches!(
            self.state,
            State::Closed | State::Listen | State::TimeWait | State::SynSent | State::SynReceived
        );
        if over
            || self.ack.owed == Owed::Now
            || self.flight.waiting
            || self.has_work(tx)
            || self.ecn.shakes()
        {
            return false;
        }
        if self.text_flows() && !self.fin_sent {
            self.drained(now);
        }
        true
    }

    /// Would `next_segment` have something, as far as is known without asking it?
    pub(super) fn wants_to_send(&self, tx: &impl SendBuf) -> bool {
        self.ack.owed == Owed::Now || self.has_work(tx)
    }

    /// As `wants_to_send`, leaving acknowledgments aside.
    pub(super) fn has_work(&self, tx: &impl SendBuf) -> bool {
        self.syn_due
            || self.probe_due
            || self.flight.tail == Tail::Due
            || self.flight.state != CaState::Open
            || self.text_flows() && self.unsent(tx) > 0
    }

    /// Octets queued that were never sent, and one for a FIN of which that is true.
    #[inline]
    pub(super) fn unsent(&self, tx: &impl SendBuf) -> usize {
        if self.fin_sent {
            return 0;
        }
        let sent = self.in_flight() as usize;
        let queued = tx.queued().saturating_sub(sent);
        queued.saturating_add(usize::from(self.fin_queued))
    }

    /// Follows the path's segment size.
    fn fit(&mut self, cfg: &Config, now: Instant, room: Room) {
        let most = u16::try_from(room.mss).unwrap_or(u16::MAX);
        let most = most.min(self.path_limit(now));
        self.reach = most;
        // A link may carry less than the floor, which bounds what a peer may ask for; the
        // smallest that IPv4 allows carries 28 octets (RFC 791).
        let whole = self.peer_mss.min(most).max(cfg.mss_floor.min(28));
        let mss = whole.saturating_sub(if self.timestamps { 12 } else { 0 });
        if mss == self.mss {
            return;
        }
        let shrunk = mss < self.mss;
        self.mss = mss;
        self.cc.on_mtu(mss);
        if self.state.is_synchronized() {
            self.tell(now, Event::PathMtu { mss });
        }
        if shrunk && self.in_flight() > u32::from(mss) && self.state.is_synchronized() {
            // What is out may not fit the path (RFC 1191 §6.5: send again without waiting, and
            // take it for no sign of congestion).
            self.resend_all(cfg, now);
            self.arm_retransmit(cfg, now);
        }
    }

    /// Octets that the congestion window leaves.
    #[inline]
    pub(super) fn allowance(&self) -> u32 {
        let left = self.window().saturating_sub(self.pipe());
        if self.flight.tail == Tail::Due {
            // A probe goes beyond the window if need be (RFC 8985 §7.3).
            return left.max(u32::from(self.mss));
        }
        left
    }

    /// The first lost octets that were not sent again yet (RFC 6675 §4 NextSeg rule 1).
    #[inline]
    fn next_lost(
        &mut self,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
        room: Room,
    ) -> Option<Plan> {
        if self.is_forward() {
            return None;
        }
        let lost = self.flight_due()?;
        self.repeated(now, rx, tx, room, lost)
    }

    /// Lost octets `lost`, a segment of them or with room for it a train.
    fn repeated(
        &self,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
        room: Room,
        (from, to): (SeqNum, SeqNum),
    ) -> Option<Plan> {
        // Records stay apart.
        let to = self
            .record_left(from)
            .map_or(to, |left| to.min(from + left));
        let options = self.option_bytes(now);
        let mss = self.text_room(options.len());
        // The first of a loss event goes whatever the windows say: it is also what finds out
        // that a closed window has opened (RFC 9293 §3.8.6.1).
        let oldest = from == self.snd_una
            && match self.flight.state {
                CaState::Loss => self.flight.repeated.octets == 0,
                _ => self.flight.prr.out == 0,
            };
        let first = oldest || self.flight.tail == Tail::Due;
        let text_to = self.snd_nxt - u32::from(self.fin_sent);
        let whole = text_to.min(to).saturating_since(from);
        let fin = self.fin_sent && to == self.snd_nxt;
        let inside = (self.snd_una + self.snd_wnd).saturating_since(from);
        let text = if first { whole } else { whole.min(inside) };
        let allowed = self.allowance();
        let one = text.min(mss);
        if !first && (allowed < one.max(1) || inside == 0) {
            return None;
        }
        let most = u32::try_from(room.gso).unwrap_or(u32::MAX);
        let mut len = text.min(most.min(allowed).max(one));
        if len > mss && len < text {
            len -= len % mss;
        }
        let flags = self.text_flags(tx, from, len, fin && len == whole);
        self.text_plan(rx, from, len, flags, mss, options)
    }

    /// New octets, and the FIN behind them.
    #[inline]
    fn fresh(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
        room: Room,
    ) -> Option<Plan> {
        if self.fin_sent {
            return None;
        }
        let sent = self.in_flight();
        let queued = tx.queued().saturating_sub(sent as usize);
        let unsent = u32::try_from(queued).unwrap_or(u32::MAX);
        if unsent == 0 {
            self.drained(now);
            if !self.fin_queued {
                return None;
            }
        }
        if sent == 0 && cfg.slow_start_after_idle {
            self.restart_after_idle(cfg, now);
        }
        let usable = self.snd_wnd.saturating_sub(sent);
        let options = self.option_bytes(now);
        let mss = self.text_room(options.len());
        let allowed = self.allowance();
        let confirms = self.ecn.confirms();
        let most = if confirms { 0 } else { room.gso };
        let most = u32::try_from(most).unwrap_or(u32::MAX).max(mss);
        let mut len = unsent.min(usable).min(allowed).min(most);
        let record = self.record_left(self.snd_nxt);
        let record = record.filter(|left| *left <= len && *left < unsent);
        len = record.unwrap_or(len);
        let whole = len == unsent;
        let fin = self.fin_queued && whole && usable > len;
        // What ends a record with more behind it waits for nothing.
        let cut = !len.is_multiple_of(mss) && record.is_none();
        if cut && !self.may_send_short(len, mss, usable, whole, fin) {
            len -= len % mss;
        }
        if len == 0 && !(fin && unsent == 0) {
            let closed = usable < unsent.min(mss) && allowed > usable;
            let what = if closed { Chrono::Window } else { Chrono::Busy };
            self.spend(now, what);
            self.hold(cfg, now);
            return None;
        }
        let fin = fin && len == unsent;
        self.spend(now, Chrono::Busy);
        let mut flags = self.text_flags(tx, self.snd_nxt, len, fin);
        let ecn = if len > 0 { self.ecn.mark() } else { 0 };
        if confirms && len > 0 {
            flags |= TcpFlags::CWR;
        }
        let plan = self.text_plan(rx, self.snd_nxt, len, flags, mss, options)?;
        Some(Plan { ecn, ..plan })
    }

    /// All text was sent.
    fn drained(&mut self, now: Instant) {
        self.push_due = false;
        self.starved();
        if self.in_flight() > 0 {
            let starves = self.watch.no_space && !self.cwnd_limited;
            let what = if starves {
                Chrono::Buffer
            } else {
                Chrono::Busy
            };
            self.spend(now, what);
        }
    }

    /// May a train end in a segment that is not full? RFC 9293 §3.8.6.2.1 with Nagle's condition
    /// as Minshall has it: no other such segment is unacknowledged.
    fn may_send_short(&self, len: u32, mss: u32, usable: u32, whole: bool, fin: bool) -> bool {
        if !whole {
            // Cut by the congestion window or the device: wait for more. Cut by the peer's
            // window, of which nothing else fits: when the timer overrides (rule 4), or if that
            // window is never much wider (rule 3, Fs = 1/2).
            let wide = len >= self.max_wnd / 2 && self.none_short();
            return len == usable && len < mss && (self.push_due || wide);
        }
        if self.push_due || self.flight.tail == Tail::Due {
            return true;
        }
        fin || !(self.options.cork || self.more) && (self.options.nodelay || self.none_short())
    }

    /// Is no segment that was not full unacknowledged?
    fn none_short(&self) -> bool {
        self.small_end.le(self.snd_una) || self.small_end.gt(self.snd_nxt)
    }

    /// Octets of text that fit in a segment with so many octets of options.
    fn text_room(&self, options: usize) -> u32 {
        let usual = if self.timestamps { 12 } else { 0 };
        let extra = options.saturating_sub(usual) as u32;
        u32::from(self.mss).saturating_sub(extra).max(1)
    }

    /// Something waits for the window, or under a cork: with nothing in flight no
    /// acknowledgment will come, so a timer must (RFC 9293 §3.8.6.1).
    fn hold(&mut self, cfg: &Config, now: Instant) {
        if self.in_flight() == 0 && !self.timers.is_set(Timer::Persist) && !self.probe_due {
            self.stalled_at = now;
            self.arm_persist(cfg, now);
        }
    }

    /// Flags of a segment of `len` octets from `seq`.
    pub(super) fn text_flags(
        &self,
        tx: &impl SendBuf,
        seq: SeqNum,
        len: u32,
        fin: bool,
    ) -> TcpFlags {
        let mut flags = TcpFlags::ACK | self.ecn.flags();
        if len > 0 && self.pushes(tx, seq, seq + len) {
            flags |= TcpFlags::PSH;
        }
        if fin {
            flags |= TcpFlags::FIN;
        }
        flags
    }

    pub(super) fn text_plan(
        &self,
        rx: &impl RecvBuf,
        seq: SeqNum,
        len: u32,
        flags: TcpFlags,
        mss: u32,
        options: crate::wire::OptionBytes,
    ) -> Option<Plan> {
        Some(Plan {
            options,
            offset: seq.since(self.snd_una) as usize,
            len: len as usize,
            mss: u16::try_from(mss).unwrap_or(u16::MAX),
            ..Plan::bare(seq, self.rcv_nxt, flags, self.window_field(rx))
        })
    }

    /// `plan`, or its leading part (see [`Plan::cut`]), was handed to the layer below.
    pub fn on_sent(&mut self, cfg: &Config, now: Instant, plan: &Plan) {
        let segments = (plan.len as u32).div_ceil(u32::from(plan.mss.max(1)));
        let segments = segments.max(1);
        self.counts.segs_out = self.counts.segs_out.wrapping_add(segments);
        self.tell_sent(now, plan, segments);
        if plan.flags.rst() || self.state == State::Closed {
            return;
        }
        if plan.flags.ack() {
            self.acknowledged_peer(plan);
        }
        if plan.flags.syn() {
            self.ecn.syn_sent(plan.flags);
            return self.syn_sent(cfg, now, plan);
        }
        let len = plan.seq_len();
        if len == 0 {
            if plan.seq != self.snd_nxt {
                self.probe_due = false;
            }
            return;
        }
        if plan.len > 0 {
            self.counts.data_segs_out = self.counts.data_segs_out.wrapping_add(segments);
            self.sent_at = now.millis() as u32;
        }
        let end = plan.seq + len;
        let new = end.gt(self.snd_nxt);
        self.record(cfg, now, plan, end);
        if new {
            if plan.mss > self.mss {
                self.mtu_probe_sent(plan, end);
            }
            self.sent_new(now, plan, end);
        } else {
            let ts = timestamp(now, self.ts_offset);
            self.retransmitted(now, ts, segments);
            self.flight.undo.repeated(len, ts);
            self.count_repeated(plan.len);
        }
        if self.flight.state != CaState::Open {
            self.flight.prr.sent(len);
            self.flight.undo.went(new);
        }
        if self.flight.tail == Tail::Due {
            self.probe_sent(!new);
        }
        let head = !new && plan.seq == self.snd_una && self.flight.state == CaState::Recovery;
        if head || !self.timers.is_set(Timer::Retransmit) {
            // Afresh also for the segment that recovery waits for: it needs a round trip, too.
            self.arm_retransmit(cfg, now);
        } else if new && self.flight.tail == Tail::Armed {
            self.arm_probe(cfg, now);
        }
        self.note_flight(now, len);
        if cfg.slow_start_after_idle {
            self.validate_window(cfg, now);
        }
    }

    /// An acknowledgment left with `plan`.
    #[inline]
    fn acknowledged_peer(&mut self, plan: &Plan) {
        if self.ack.owed != Owed::No {
            self.ack.quick = self.ack.quick.saturating_sub(1);
        }
        self.ack.owed = Owed::No;
        self.ecn.sent(plan);
        self.timeout_due &= plan.flags.syn();
        self.timers.clear(Timer::Ack);
        self.ack.last_sent = plan.ack;
        self.forget_duplicate();
        let scale = if plan.flags.syn() { 0 } else { self.rcv_scale };
        let edge = plan.ack + (u32::from(plan.window) << (scale & 15));
        self.rcv_adv = self.rcv_adv.max(edge);
    }

    /// Octets up to `end` were sent for the first time.
    #[inline]
    fn sent_new(&mut self, now: Instant, plan: &Plan, end: SeqNum) {
        if self.in_flight() == 0 {
            self.stalled_at = now;
        }
        self.snd_nxt = end;
        self.fin_sent |= plan.flags.fin();
        if plan.flags.psh() {
            self.pushed = end;
        }
        self.timers.clear(Timer::Persist);
        if !(plan.len as u32).is_multiple_of(u32::from(plan.mss.max(1))) {
            self.small_end = end;
            self.push_due = false;
        }
        // An answer to what came a moment ago: acknowledgments can ride on such.
        if plan.len > 0 && self.ack.delay_ms > 0 {
            let since = (now.millis() as u32).wrapping_sub(self.ack.text_at);
            self.ack.interactive |= since < u32::from(self.ack.delay_ms);
        }
    }

    /// Notes how far the congestion window is used (RFC 7661 §4.3), for about a round trip.
    #[inline]
    fn note_flight(&mut self, now: Instant, len: u32) {
        let pipe = self.pipe();
        let limited = pipe.saturating_add(u32::from(self.mss)) > self.window();
        if self.snd_una.ge(self.flight_end)
            || limited
            || !self.cwnd_limited && pipe > self.max_flight
        {
            self.cwnd_limited = limited;
            self.max_flight = pipe;
            self.flight_end = self.snd_nxt;
        }
        self.cc.on_sent(now, len, pipe);
    }

    /// Starts the retransmission timer afresh, or that of a tail loss probe before it, no later
    /// than the user timeout ends.
    pub(super) fn arm_retransmit(&mut self, cfg: &Config, now: Instant) {
        if self.arm_probe(cfg, now) {
            return;
        }
        if self.flight.tail == Tail::Armed {
            self.flight.tail = Tail::No;
        }
        let at = self.rtt.rto_after(cfg, now);
        self.timers
            .set(Timer::Retransmit, self.within_user_timeout(at));
    }

    /// Starts the persist timer: first after the RTO, then doubling (RFC 9293 §3.8.6.1).
    pub(super) fn arm_persist(&mut self, cfg: &Config, now: Instant) {
        let wait = self.persist_wait(cfg).max(Duration::from_millis(1));
        self.timers
            .set(Timer::Persist, self.within_user_timeout(now + wait));
    }

    /// How long the persist timer waits next.
    pub(super) fn persist_wait(&self, cfg: &Config) -> Duration {
        let doubled = 1_u32 << self.persist_shift.min(16);
        self.rtt.base(cfg).saturating_mul(doubled).min(cfg.rto_max)
    }

    pub(super) fn within_user_timeout(&self, at: Instant) -> Instant {
        match self.patience() {
            Some(limit) => at.min(self.stalled_at + limit),
            None => at,
        }
    }
}
