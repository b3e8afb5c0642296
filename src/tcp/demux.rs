//! The way up: whose segment is it, and what follows from it for the socket table.
//!
//! Invariant: a packet costs one probe of the socket table when its connection exists, and two
//! of the small tables and two for listeners otherwise; at most one answer is sent. Called by
//! [`Tcp`] for packets that IP found to be ours.

use core::net::SocketAddr;
use phy::RxCsum;

use super::accept::Link;
use super::congestion::Congestion;
use super::fastopen::Early;
use super::memory::Level;
use super::run::Fit;
use super::segment::{Effects, Gone, Plan, Segment, reset_for};
use super::seq::SeqNum;
use super::socket::{Role, SocketOf, Wants};
use super::tcb::State;
use super::{Handle, Set, Tcp};
use crate::context::Cx;
use crate::error::{Drop, TxError};
use crate::iface::PacketTx;
use crate::net::{Answer, ErrorKind, IcmpError, Ingress};
use crate::socket::{SendBuf, Socket, SocketSet, Stores};
use crate::transport::Endpoint;
use crate::wire::{Tcp as Header, TcpOptions};

/// A segment's two ends as this host sees them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub local: SocketAddr,
    pub peer: SocketAddr,
}

impl Ends {
    pub fn flow(&self) -> Endpoint {
        Endpoint::flow(self.local, self.peer)
    }
}

/// Reads and checks a packet: its header, options and text; `None` if it was dropped.
#[inline(always)]
fn read<'p>(cx: &mut Cx, packet: &'p Ingress<'_>) -> Option<(Header, &'p [u8], &'p [u8])> {
    // A connection has one peer: what came to many is nobody's (RFC 9293 §3.9.2.3).
    if !packet.unicast {
        cx.drop(Drop::BadSegment);
        return None;
    }
    let octets: &[u8] = packet.payload;
    let Ok(parts) = Header::parse(octets) else {
        cx.drop(Drop::Malformed);
        return None;
    };
    if packet.meta.csum != RxCsum::Valid && Header::verify(&packet.ip, octets).is_err() {
        cx.drop(Drop::BadChecksum);
        return None;
    }
    cx.stats.tcp_received = cx.stats.tcp_received.wrapping_add(1);
    Some(parts)
}

/// Sends a plan without text through the frame that asked for it.
pub(super) fn reply<T: PacketTx>(
    cx: &mut Cx,
    mut answer: Answer<'_, T>,
    ends: &Ends,
    (ttl, tos): (Option<u8>, u8),
    plan: &Plan,
) -> Result<(), TxError> {
    let ip = answer.ip_mut();
    ip.ttl = ttl.unwrap_or(ip.ttl);
    ip.tos = tos | plan.ecn & 3;
    answer.set_dont_fragment(true);
    let header = header_of(ends, plan);
    let options = plan.options.as_slice();
    answer.send(Header::LEN + options.len(), |ip, segment| {
        // The length is the one that was asked for: it fits.
        let _ = header.emit(ip, options, segment);
    })?;
    cx.stats.tcp_sent = cx.stats.tcp_sent.wrapping_add(1);
    if plan.flags.rst() {
        cx.stats.tcp_resets_sent = cx.stats.tcp_resets_sent.wrapping_add(1);
    }
    Ok(())
}

/// The header a plan asks for.
pub(super) fn header_of(ends: &Ends, plan: &Plan) -> Header {
    Header {
        src: ends.local.port(),
        dst: ends.peer.port(),
        seq: plan.seq.0,
        ack: plan.ack.0,
        flags: plan.flags,
        window: plan.window,
        urgent: plan.urgent,
    }
}

/// Answers a segment for which there is no connection (RFC 9293 §3.10.7.1).
pub(super) fn refuse<T: PacketTx>(
    cx: &mut Cx,
    answer: Answer<'_, T>,
    ends: &Ends,
    segment: &Segment<'_>,
    reason: Drop,
) {
    cx.drop(reason);
    if let Some(plan) = reset_for(segment) {
        // What cannot be sent now is asked for again by the peer's next segment.
        let _ = reply(cx, answer, ends, (None, 0), &plan);
    }
}

/// Octets of an IP header without options or extensions.
pub(super) fn ip_header(peer: &SocketAddr) -> u16 {
    if peer.is_ipv4() { 20 } else { 40 }
}

impl<C: Congestion> Tcp<C> {
    /// A packet came.
    pub(super) fn up<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        packet: &Ingress<'_>,
        answer: Answer<'_, T>,
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        self.close_run::<S>(set, cx);
        let Some((header, options, text)) = read(cx, packet) else {
            return;
        };
        let segment = Segment {
            seq: SeqNum(header.seq),
            ack: SeqNum(header.ack),
            flags: header.flags,
            window: header.window,
            urgent: header.urgent,
            options: TcpOptions::parse(options),
            payload: text,
            ecn: packet.ip.ecn(),
        };
        let recent = self.recent.handle();
        let fit = recent.map_or(Fit::Other, |h| {
            self.next_of_run::<S>(set, cx, h, packet, &header, &segment)
        });
        let ends = Ends {
            local: SocketAddr::new(packet.ip.dst, header.dst),
            peer: SocketAddr::new(packet.ip.src, header.src),
        };
        match (fit, recent) {
            (Fit::Taken, _) if self.is_run_full() => {
                self.acknowledge_run::<S, T>(set, cx, answer, &ends);
            }
            (Fit::Taken, _) => {}
            (Fit::Own, Some(h)) => self.connection::<S, T>(set, cx, answer, h, &ends, &segment),
            _ => self.other::<S, T>(set, cx, answer, ends, &segment),
        }
    }

    /// A segment that is no next one of the last connection.
    #[inline(never)]
    fn other<S, T>(
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
        let Some(h) = self.find::<S>(set, &flow) else {
            return self.passive::<S, T>(set, cx, answer, ends, segment);
        };
        self.connection::<S, T>(set, cx, answer, h, &ends, segment);
    }

    /// The connection of a flow.
    fn find<S>(&mut self, set: &Set<S, C>, flow: &Endpoint) -> Option<Handle<S, C>>
    where
        S: Stores<SocketOf<S, C>>,
    {
        let same = |h: &Handle<S, C>| set.get(*h).is_some_and(|s| s.is_known_by(flow));
        if let Some(h) = self.recent.handle().filter(same) {
            return Some(h);
        }
        let h = set.lookup(flow)?;
        self.recent = Link::to(h);
        Some(h)
    }

    /// A segment of an existing connection.
    pub(super) fn connection<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        h: Handle<S, C>,
        ends: &Ends,
        segment: &Segment<'_>,
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        let level = self.level_for::<S>(set, h);
        if level == Level::Full {
            self.reclaim_some::<S>(set, cx);
        }
        let Some(socket) = set.get_mut(h) else { return };
        let Role::Connection(tcb) = &mut socket.role else {
            return;
        };
        if socket.wants.any(Wants::SHED) {
            return cx.drop(Drop::Memory);
        }
        tcb.set_level(level);
        let now = cx.now;
        let opening = tcb.state == State::SynSent;
        let mut effects = tcb.receive(&self.config, now, segment, &mut socket.rx, &mut socket.tx);
        if let Some(plan) = effects.answer.take() {
            match reply(cx, answer, ends, (socket.ttl, socket.tos), &plan) {
                Ok(()) => tcb.on_sent(&self.config, now, &plan),
                Err(_) => effects.ready = true,
            }
        }
        if opening && let Some(lost) = tcb.ecn_offer_lost() {
            let hash = self.key.hash(&Endpoint::bound(Some(ends.peer.ip()), 0));
            self.ecn_peers.learn(hash, ends.peer.ip(), now, lost);
        }
        if tcb.early.any(Early::WANTED | Early::TRIED) {
            self.heard_early::<S>(set, cx, h, segment, &effects);
        }
        self.settle::<S>(set, cx, h, effects);
    }

    /// Does for the tables what a change of a connection asks for. An answer still in
    /// `effects` is lost.
    pub(super) fn settle<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        h: Handle<S, C>,
        effects: Effects,
    ) where
        S: Stores<SocketOf<S, C>>,
    {
        if let Some(reason) = effects.dropped {
            cx.drop(reason);
        }
        let Some(socket) = set.get(h) else { return };
        let Role::Connection(tcb) = &socket.role else {
            return;
        };
        let (wants, deadline) = (socket.wants, tcb.deadline());
        if effects.gone == Gone::No && !wants.any(Wants::PENDING) {
            let grown = socket.occupies() != socket.charged;
            let news = effects.news && !wants.any(Wants::QUEUED | Wants::RELEASE);
            set.resume(h, deadline, effects.ready, news);
            if grown {
                self.count::<S>(set, cx, h);
            }
            return;
        }
        if wants.any(Wants::PENDING) {
            self.settle_early::<S>(set, cx, h);
        }
        match effects.gone {
            Gone::No => {
                set.arm(h, deadline);
                if effects.ready {
                    set.wake(h);
                }
            }
            gone => {
                if let Gone::TimeWait(left) = gone {
                    let hash = set.get(h).map_or(0, |socket| self.key.hash(&socket.at));
                    let evicted = self.waits.insert(hash, cx.now, self.config.time_wait, left);
                    if evicted {
                        cx.drop(Drop::Memory);
                    }
                }
                if wants.any(Wants::RELEASE) {
                    if wants.any(Wants::ORPHAN) {
                        self.orphans = self.orphans.saturating_sub(1);
                    }
                    set.remove(h);
                    return;
                }
                set.arm(h, None);
                if let Some(socket) = set.get_mut(h) {
                    // Nobody will send it any more.
                    socket.tx.release(socket.tx.queued());
                    socket.tx.trim();
                    if wants.any(Wants::SHRINK) {
                        socket.shrink_on();
                    }
                }
                // It has no key any more, so none can be in use.
                let _ = set.rekey(h);
            }
        }
        if effects.news && !wants.any(Wants::QUEUED | Wants::RELEASE) {
            set.notify(h);
        }
        self.account::<S>(set, cx, h);
    }

    /// A connection's deadline came.
    pub(super) fn expired<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx, h: Handle<S, C>)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(socket) = set.get_mut(h) else { return };
        let Role::Connection(tcb) = &mut socket.role else {
            return;
        };
        let retries = tcb.retries;
        let effects = tcb.on_timer(&self.config, cx.now, &mut socket.rx, &mut socket.tx);
        if tcb.early.any(Early::TRIED) {
            let (after, gone) = (tcb.retries, effects.gone == Gone::Closed);
            self.silent_early(cx, retries, after, gone);
        }
        if effects.abort {
            socket.wants.set(Wants::ABORT);
        }
        self.settle::<S>(set, cx, h, effects);
    }

    /// An ICMP error quotes a segment; was it ours, and is it to be believed?
    pub(super) fn error<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        error: &IcmpError<'_>,
    ) -> bool
    where
        S: Stores<SocketOf<S, C>>,
    {
        if error.quoted.proto != crate::wire::protocol::TCP {
            return false;
        }
        let Some(&[s0, s1, d0, d1, q0, q1, q2, q3]) = error.payload.first_chunk() else {
            return false;
        };
        let ends = Ends {
            local: SocketAddr::new(error.quoted.src, u16::from_be_bytes([s0, s1])),
            peer: SocketAddr::new(error.quoted.dst, u16::from_be_bytes([d0, d1])),
        };
        let seq = SeqNum(u32::from_be_bytes([q0, q1, q2, q3]));
        let flow = ends.flow();
        let Some(h) = self.find::<S>(set, &flow) else {
            // For a handshake all errors are soft: its timer deals with it.
            let embryo = self.syns.find(self.key.hash(&flow), &flow);
            return embryo
                .and_then(|id| self.syns.get(id))
                .is_some_and(|embryo| embryo.iss == seq.0);
        };
        let Some(socket) = set.get_mut(h) else {
            return false;
        };
        let Role::Connection(tcb) = &mut socket.role else {
            return false;
        };
        let kind = match error.kind {
            // The core knows nothing of what lies below it.
            ErrorKind::PacketTooBig(mtu) => {
                ErrorKind::PacketTooBig(mtu.saturating_sub(ip_header(&ends.peer)))
            }
            kind => kind,
        };
        let (valid, effects) = tcb.icmp_error(&self.config, cx.now, kind, seq, error.local);
        if valid {
            self.settle::<S>(set, cx, h, effects);
        }
        valid
    }
}
