//! Handshakes that peers begin: LISTEN and SYN-RECEIVED (RFC 9293 §3.10.7.2, §3.10.7.4), and
//! what comes for a connection in TIME-WAIT.
//!
//! Invariant: a SYN costs no memory beyond its entry in the SYN table, which is bounded, and a
//! cookie costs none (RFC 4987). A socket is made when the handshake ends, if the listener's
//! queue has room and buffers are to be had; until then the acknowledgment that ended it is
//! ignored and the SYN-ACK repeated. Called for segments of no existing connection.

use phy::Instant;

use super::accecn::first_option;
use super::accept::{self, Link, Listener};
use super::congestion::Congestion;
use super::demux::{Ends, refuse, reply};
use super::ecn::Agreed;
use super::fastopen::{Taken, with_cookie};
use super::limits::Cookies;
use super::listen::{Embryo, Parent};
use super::open::syn_ack_options;
use super::options::Options;
use super::segment::{Plan, Segment, TimeWait, timestamp};
use super::seq::SeqNum;
use super::socket::{Role, SocketOf, TcpSocket, Wants};
use super::table::Id;
use super::tcb::{Handshake, Peer};
use super::timewait::Verdict;
use super::{Handle, Set, Tcp, cookie, window};
use crate::context::Cx;
use crate::error::Drop;
use crate::iface::PacketTx;
use crate::net::Answer;
use crate::socket::{Socket, SocketSet, Stores};
use crate::transport::Endpoint;
use crate::wire::{Tcp as Header, TcpFlags, TcpOptions};

/// Octets of options and text of the largest segment that fits `room` octets behind an IP header.
pub(super) fn mss_of(room: usize) -> u16 {
    u16::try_from(room.saturating_sub(Header::LEN)).unwrap_or(u16::MAX)
}

/// The same, no more than the application wants (`TCP_MAXSEG`).
pub(super) fn limited(mss: u16, options: &Options) -> u16 {
    options.mss.map_or(mss, |most| mss.min(most.max(48)))
}

/// Our SYN-ACK.
pub(super) struct SynAck<'a> {
    pub iss: u32,
    pub irs: u32,
    pub offer: &'a Peer,
    pub adv_mss: u16,
    pub scale: u8,
    pub window: u16,
    /// Our timestamp, offset included.
    pub clock: u32,
    /// What it says about ECN.
    pub ecn: Agreed,
    /// It was not sent before: options that the path may not like are tried.
    pub first: bool,
}

impl SynAck<'_> {
    pub fn plan(&self) -> Plan {
        let flags = TcpFlags::SYN | TcpFlags::ACK | self.ecn.syn_ack_flags();
        let ack = SeqNum(self.irs) + 1;
        let mut options = syn_ack_options(self.offer, self.adv_mss, self.scale, self.clock);
        if self.ecn.is_accurate() && self.first {
            options.accurate_ecn = Some(first_option());
        }
        Plan {
            options: options.emit(),
            ..Plan::bare(SeqNum(self.iss), ack, flags, self.window)
        }
    }
}

/// Is it the listener that this handshake began with?
pub(super) fn is_parent<K>(h: crate::socket::Handle<K>, parent: Parent) -> bool {
    parent_of(h) == parent
}

fn parent_of<K>(h: crate::socket::Handle<K>) -> Parent {
    Parent {
        slot: h.slot(),
        generation: h.generation() as u8,
    }
}

pub(super) fn listener_of<R, T, C>(socket: &mut TcpSocket<R, T, C>) -> Option<&mut Listener> {
    match &mut socket.role {
        Role::Listen(listener) if !socket.wants.any(Wants::RELEASE) => Some(listener),
        _ => None,
    }
}

impl<C: Congestion> Tcp<C> {
    /// The socket that listens on `local`, by address and port or by port alone.
    pub(super) fn listener<S>(
        &self,
        set: &Set<S, C>,
        local: core::net::SocketAddr,
    ) -> Option<Handle<S, C>>
    where
        S: Stores<SocketOf<S, C>>,
    {
        let own = Endpoint::bound(Some(local.ip()), local.port());
        // Whatever is bound to just this is what a search would find.
        let last = self.listener.get().handle();
        if let Some(h) = last.filter(|h| set.get(*h).is_some_and(|s| s.is_known_by(&own))) {
            return Some(h);
        }
        if let Some(h) = set.lookup(&own) {
            self.listener.set(Link::to(h));
            return Some(h);
        }
        set.lookup(&Endpoint::bound(None, local.port()))
    }

    /// A segment of no existing connection.
    pub(super) fn passive<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        ends: Ends,
        segment: &Segment<'_>,
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        let flow = ends.flow();
        let hash = self.key.hash(&flow);
        if let Some(id) = self.syns.find(hash, &flow) {
            return self.embryo::<S, T>(set, cx, answer, ends, segment, id);
        }
        let mut beyond = None;
        match self
            .waits
            .receive(hash, cx.now, self.config.time_wait, segment)
        {
            None => {}
            Some(Verdict::Reopen(last)) => beyond = Some(last),
            Some(Verdict::Ignore) => return cx.drop(Drop::OutOfWindow),
            Some(Verdict::Acknowledge(left)) => {
                let plan = last_ack(cx.now, &left);
                let _ = reply(cx, answer, &ends, (None, 0), &plan);
                return;
            }
        }
        let Some(h) = self.listener::<S>(set, ends.local) else {
            return refuse(cx, answer, &ends, segment, Drop::NoSocket);
        };
        let Some(socket) = set.get_mut(h) else { return };
        if listener_of(socket).is_none() {
            return refuse(cx, answer, &ends, segment, Drop::NoSocket);
        }
        if socket.wants.any(Wants::REKEY) {
            // It has not had its first turn.
            let options = socket.options();
            socket.adopt(&self.config, &options);
        }
        // RFC 9293 §3.10.7.2: first RST, second ACK, third SYN.
        let flags = segment.flags;
        if flags.rst() {
            cx.drop(Drop::BadSegment);
        } else if flags.ack() {
            self.returning::<S, T>(set, cx, answer, ends, segment, h);
        } else if flags.syn() && !flags.fin() && ends.local != ends.peer {
            self.syn::<S, T>(set, cx, answer, ends, segment, (h, hash, beyond));
        } else {
            cx.drop(Drop::BadSegment);
        }
    }

    /// A SYN for a listener. Its text, if any, is for the peer to send again, but for what Fast
    /// Open takes.
    fn syn<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        ends: Ends,
        segment: &Segment<'_>,
        (h, hash, beyond): (Handle<S, C>, u64, Option<SeqNum>),
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        // Only this answer would ever reach its sender.
        if !answer.is_routed() {
            return cx.drop(Drop::NoWayBack);
        }
        let capacity = accept::capacity(set, h);
        let buffers = accept::has_spare(set, h) || S::stream(0, 0).is_some();
        let Some(socket) = set.get_mut(h) else { return };
        let (ttl, tos) = (socket.ttl, socket.tos);
        let adv_mss = limited(mss_of(answer.room()), &socket.options());
        let wish = socket.options().ecn.unwrap_or(self.config.ecn);
        let Some(listener) = listener_of(socket) else {
            return;
        };
        if !self.has_memory(listener) {
            return cx.drop(Drop::Memory);
        }
        if listener.is_full(self.limits.backlog) || !buffers {
            return cx.drop(Drop::Backlog);
        }
        let full = listener.is_busy(self.limits.backlog) || self.syns.is_full();
        let cookie = match self.limits.cookies {
            Cookies::Never if full => return cx.drop(Drop::Backlog),
            Cookies::Never => false,
            Cookies::WhenFull => full,
            Cookies::Always => true,
        };
        let mut offer = Peer::of_syn(&self.config, &segment.options);
        let mut ecn = Agreed::of_syn(wish, segment.flags, segment.ecn);
        if cookie && offer.timestamp.is_none() {
            // What the cookie cannot carry must not be agreed on (RFC 4987 §3.6).
            offer = cookie::offer(offer.mss, None);
            ecn = if ecn.is_classic() { Agreed::NONE } else { ecn };
        }
        let irs = segment.seq.0;
        let offset = cx.secret.timestamp_offset(ends.local, ends.peer);
        let mut clock = timestamp(cx.now, 0);
        // A host that needs cookies has no place for unproved connections.
        let taken = if cookie {
            Taken::No
        } else {
            self.judge_early(cx, &ends, segment, listener)
        };
        // Beyond all that the connection in TIME-WAIT could have sent in one window.
        let fresh = SeqNum(cx.secret.isn(cx.now, ends.local, ends.peer));
        let fresh = beyond.map_or(fresh, |last| fresh.max(last + 0x1_0001));
        let mut answer = answer;
        if let Taken::Now(option) = taken {
            let handshake = Handshake {
                iss: fresh,
                irs: segment.seq,
                adv_mss,
                peer: offer,
                our_scale: window::scale(&self.config),
                ts_offset: offset,
                snd_wnd: segment.window.into(),
                rcv_wnd: 0,
                rtt: None,
                ecn,
            };
            let to = (h, handshake, option);
            match self.take_early::<S, T>(set, cx, answer, ends, segment, to) {
                Some(unused) => answer = unused,
                None => return,
            }
        }
        let Some(listener) = set.get_mut(h).and_then(listener_of) else {
            return;
        };
        let iss = if cookie {
            self.cookies_until = cx.now + cookie::LIFETIME;
            cx.stats.tcp_cookies_sent = cx.stats.tcp_cookies_sent.wrapping_add(1);
            clock = cookie::stamp(clock, &offer, ecn.is_classic());
            cookie::make(&cx.secret, cx.now, ends.local, ends.peer, irs, offer.mss)
        } else {
            let timeout = self.config.rto_initial;
            let numbers = (fresh.0, irs);
            let flow = (ends.local, ends.peer);
            let mut embryo = Embryo::new(flow, parent_of(h), numbers, &offer);
            embryo.ecn = ecn;
            if !self.syns.insert(hash, cx.now, timeout, embryo) {
                return cx.drop(Drop::Backlog);
            }
            listener.handshakes = listener.handshakes.saturating_add(1);
            fresh.0
        };
        let mut plan = SynAck {
            iss,
            irs,
            offer: &offer,
            adv_mss,
            scale: window::scale(&self.config),
            window: window::of_syn(capacity),
            clock: clock.wrapping_add(offset),
            ecn,
            first: self.config.accurate_ecn_options,
        }
        .plan();
        if let Taken::Cookie(cookie) = taken {
            plan.options = with_cookie(&plan, cookie);
        }
        let _ = reply(cx, answer, &ends, (ttl, tos), &plan);
    }

    /// A segment for a connection in SYN-RECEIVED (RFC 9293 §3.10.7.4).
    fn embryo<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        ends: Ends,
        segment: &Segment<'_>,
        id: Id,
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        let Some(mut embryo) = self.syns.get(id).copied() else {
            return;
        };
        let flags = segment.flags;
        let expected = SeqNum(embryo.irs) + 1;
        // The SYN once more: so is its answer.
        if flags.syn() && !flags.ack() && !flags.rst() && segment.seq.0 == embryo.irs {
            let parent = self.listener::<S>(set, ends.local);
            let options = parent.and_then(|h| set.get(h)).map(TcpSocket::options);
            let options = options.unwrap_or_default();
            let wish = options.ecn.unwrap_or(self.config.ecn);
            let Some(ecn) = embryo.ecn.again(wish, flags, segment.ecn) else {
                // Two kinds of ECN from one peer, who cannot know which is agreed on (RFC 9768
                // §3.1.5).
                self.forget::<S>(set, id);
                return refuse(cx, answer, &ends, segment, Drop::BadSegment);
            };
            embryo.ecn = ecn;
            let may = self.syns.get_mut(id).is_some_and(|entry| {
                entry.ecn = ecn;
                entry.may_answer()
            });
            if may {
                let capacity = parent.map_or(0, |h| accept::capacity(set, h));
                let mss = limited(mss_of(answer.room()), &options);
                let plan = self.syn_ack(cx, &embryo, mss, capacity, embryo.repeats());
                let _ = reply(cx, answer, &ends, (None, 0), &plan);
            }
            return;
        }
        let old = match (embryo.offer().timestamp, segment.options.timestamps) {
            (Some(recent), Some((value, _))) => (value.wrapping_sub(recent) as i32) < 0,
            _ => false,
        };
        let outside = !segment.seq.in_window(expected, u32::from(u16::MAX));
        if old || outside {
            cx.drop(if old { Drop::Paws } else { Drop::OutOfWindow });
            if !flags.rst() {
                self.challenge::<S, T>(set, cx, answer, &ends, id);
            }
            return;
        }
        if flags.rst() {
            // RFC 5961 §3.2.
            if segment.seq == expected {
                self.forget::<S>(set, id);
            } else {
                self.challenge::<S, T>(set, cx, answer, &ends, id);
            }
            return;
        }
        if flags.syn() {
            // RFC 5961 §4.2.
            return self.challenge::<S, T>(set, cx, answer, &ends, id);
        }
        if !flags.ack() {
            return cx.drop(Drop::BadSegment);
        }
        if segment.ack != SeqNum(embryo.iss) + 1 {
            return refuse(cx, answer, &ends, segment, Drop::BadSegment);
        }
        let parent = self
            .listener::<S>(set, ends.local)
            .filter(|h| is_parent(*h, embryo.parent()));
        let Some(h) = parent else {
            self.syns.remove(id);
            return refuse(cx, answer, &ends, segment, Drop::NoSocket);
        };
        let options = set.get(h).map(TcpSocket::options).unwrap_or_default();
        if segment.payload.is_empty() && !flags.fin() && self.defers(&options, id) {
            return;
        }
        let rtt = self.syns.round_trip(id, cx.now, self.config.rto_initial);
        // The first text comes when its sender wants, not a round trip after the SYN-ACK.
        let rtt = rtt.filter(|_| !embryo.is_deferred());
        let offer = embryo.offer();
        let handshake = Handshake {
            iss: SeqNum(embryo.iss),
            irs: SeqNum(embryo.irs),
            adv_mss: mss_of(answer.room()),
            peer: offer,
            our_scale: window::scale(&self.config),
            ts_offset: cx.secret.timestamp_offset(ends.local, ends.peer),
            snd_wnd: scaled(segment.window, &offer),
            rcv_wnd: 0,
            rtt,
            ecn: self.still(&embryo, embryo.repeats(), embryo.ecn.without_ect()),
        };
        if self.complete::<S, T>(set, cx, answer, ends, segment, (h, handshake)) {
            self.forget::<S>(set, id);
        }
    }

    /// The end of a handshake of ours without a RST or a socket: its listener is told.
    pub(super) fn forget<S>(&mut self, set: &mut Set<S, C>, id: Id)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(embryo) = self.syns.remove(id) else {
            return;
        };
        let parent = self
            .listener::<S>(set, embryo.local())
            .filter(|h| is_parent(*h, embryo.parent()));
        if let Some(listener) = parent.and_then(|h| listener_of(set.get_mut(h)?)) {
            listener.handshakes = listener.handshakes.saturating_sub(1);
        }
    }

    /// What an unfinished handshake agreed on about ECN, or `fallen` once its SYN-ACK was
    /// repeated so often that it went without (RFC 3168 §6.1.1.1, RFC 9768 §3.2.3.2.2).
    fn still(&self, embryo: &Embryo, repeats: u8, fallen: Agreed) -> Agreed {
        let tries = if embryo.ecn.is_accurate() {
            self.config.accurate_ecn_syns
        } else {
            self.config.ecn_syns
        };
        if repeats < tries.max(1) {
            embryo.ecn
        } else {
            fallen
        }
    }

    /// The SYN-ACK of an unfinished handshake, after the timer repeated it so often, this time
    /// included.
    pub(super) fn syn_ack(
        &self,
        cx: &Cx,
        embryo: &Embryo,
        adv_mss: u16,
        capacity: usize,
        repeats: u8,
    ) -> Plan {
        let offset = cx.secret.timestamp_offset(embryo.local(), embryo.peer());
        SynAck {
            iss: embryo.iss,
            irs: embryo.irs,
            offer: &embryo.offer(),
            adv_mss,
            scale: window::scale(&self.config),
            window: window::of_syn(capacity),
            clock: timestamp(cx.now, offset),
            ecn: self.still(embryo, repeats, Agreed::NONE),
            first: false,
        }
        .plan()
    }

    /// Tells the peer of an unfinished handshake where we are, if it was not just told.
    fn challenge<S, T>(
        &mut self,
        set: &Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        ends: &Ends,
        id: Id,
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        let parent = self.listener::<S>(set, ends.local);
        let capacity = parent.map_or(0, |h| accept::capacity(set, h));
        let Some(embryo) = self.syns.get_mut(id) else {
            return;
        };
        // The window of the SYN-ACK, which alone is not scaled (RFC 7323 §2.2).
        let scaled = embryo
            .offer()
            .window_scale
            .map(|_| window::scale(&self.config));
        let window = window::of_syn(capacity) >> scaled.unwrap_or(0).min(15);
        if !embryo.may_answer() {
            return cx.drop(Drop::RateLimited);
        }
        let stamp = embryo.offer().timestamp.map(|recent| {
            let offset = cx.secret.timestamp_offset(ends.local, ends.peer);
            (timestamp(cx.now, offset), recent)
        });
        let (seq, ack) = (SeqNum(embryo.iss) + 1, SeqNum(embryo.irs) + 1);
        let plan = acknowledgment(seq, ack, window, stamp);
        if reply(cx, answer, ends, (None, 0), &plan).is_ok() {
            cx.stats.tcp_challenges = cx.stats.tcp_challenges.wrapping_add(1);
        }
    }

    /// An ACK for a listener: a cookie that comes back, or nobody's.
    fn returning<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        ends: Ends,
        segment: &Segment<'_>,
        h: Handle<S, C>,
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        let (iss, irs) = (segment.ack - 1, segment.seq - 1);
        let baked = cx.now <= self.cookies_until && !segment.flags.syn();
        let mss = if baked {
            cookie::check(&cx.secret, cx.now, ends.local, ends.peer, irs.0, iss.0)
        } else {
            None
        };
        let Some(mss) = mss else {
            return refuse(cx, answer, &ends, segment, Drop::NoSocket);
        };
        let ts_offset = cx.secret.timestamp_offset(ends.local, ends.peer);
        let stamps = segment
            .options
            .timestamps
            .filter(|_| self.config.timestamps)
            .map(|(value, echo)| (value, echo.wrapping_sub(ts_offset)));
        let offer = cookie::offer(mss, stamps);
        let options = set.get(h).map(TcpSocket::options).unwrap_or_default();
        let wish = options.ecn.unwrap_or(self.config.ecn);
        let echo = stamps.map(|(_, echo)| echo);
        let handshake = Handshake {
            iss,
            irs,
            adv_mss: mss_of(answer.room()),
            peer: offer,
            our_scale: window::scale(&self.config),
            ts_offset,
            snd_wnd: scaled(segment.window, &offer),
            rcv_wnd: 0,
            rtt: None,
            ecn: cookie::ecn(wish, echo, segment.flags),
        };
        if self.complete::<S, T>(set, cx, answer, ends, segment, (h, handshake)) {
            cx.stats.tcp_cookies_accepted = cx.stats.tcp_cookies_accepted.wrapping_add(1);
        }
    }
}

/// A window field in octets.
fn scaled(window: u16, offer: &Peer) -> u32 {
    u32::from(window) << offer.window_scale.unwrap_or(0).min(14)
}

/// A segment that says where we are and nothing else.
fn acknowledgment(seq: SeqNum, ack: SeqNum, window: u16, timestamps: Option<(u32, u32)>) -> Plan {
    let options = TcpOptions {
        timestamps,
        ..TcpOptions::NONE
    };
    Plan {
        options: options.emit(),
        ..Plan::bare(seq, ack, TcpFlags::ACK, window)
    }
}

/// The last ACK of a connection in TIME-WAIT, once more.
fn last_ack(now: Instant, left: &TimeWait) -> Plan {
    let stamp = left
        .ts_recent
        .map(|recent| (timestamp(now, left.ts_offset), recent));
    let plan = acknowledgment(left.snd_nxt, left.rcv_nxt, left.window, stamp);
    Plan {
        flags: plan.flags | left.ecn,
        ..plan
    }
}
