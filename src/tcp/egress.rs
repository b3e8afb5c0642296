//! The way down: ready sockets in turn, plans into packets.
//!
//! Invariant: a socket's turn ends after one super-segment or [`QUANTUM`] segments, and it goes
//! to the tail of the ready list if it has more; a full link stops the phase and loses nothing.
//! Called by [`Tcp`] in egress; packets are made by [`train`](super::train).

use core::net::SocketAddr;

use super::accept;
use super::congestion::Congestion;
use super::demux::Ends;
use super::error::TcpError;
use super::fastopen::decorate;
use super::listen::MOST_REPEATS;
use super::memory::{Level, SHED};
use super::passive::{is_parent, limited, mss_of};
use super::segment::{Gone, Room};
use super::socket::{Role, SocketOf, TcpSocket, Wants};
use super::train::{Line, bare};
use super::{Handle, Set, Tcp};
use crate::context::Cx;
use crate::error::TxError;
use crate::iface::Wait;
use crate::net::{Dest, ErrorKind, Output};
use crate::socket::{RecvBuf, SendBuf, SocketSet, Stores};
use crate::wire::{Tcp as Header, protocol};

/// Segments a socket may send in one turn where the device does not cut: about half of what it
/// sends where one does.
const QUANTUM: usize = 32;

/// What came of a socket's turn.
#[derive(Debug, Default)]
struct Turn {
    /// Packets sent.
    sent: usize,
    /// The link takes no more.
    full: bool,
    /// What the socket holds is what it is charged for.
    weighed: bool,
}

impl<C: Congestion> Tcp<C> {
    /// Sends for ready sockets; returns how many packets were sent.
    pub(super) fn down<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize
    where
        S: Stores<SocketOf<S, C>>,
    {
        let mut sent = self.repeat::<S>(set, cx, out, budget);
        while sent < budget {
            let Some(h) = set.next_ready() else { break };
            let turn = self.turn::<S>(set, cx, out, h);
            if !turn.weighed {
                self.account::<S>(set, cx, h);
            }
            sent = sent.saturating_add(turn.sent);
            if turn.full {
                break;
            }
        }
        sent
    }

    /// Repeats SYN-ACKs that are due, and gives up handshakes that were repeated enough.
    fn repeat<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize
    where
        S: Stores<SocketOf<S, C>>,
    {
        let mut sent = 0;
        while sent < budget {
            let Some(id) = self.syns.due(cx.now) else {
                break;
            };
            let Some(embryo) = self.syns.get(id).copied() else {
                break;
            };
            let parent = self
                .listener::<S>(set, embryo.local())
                .filter(|h| is_parent(*h, embryo.parent()))
                .filter(|_| embryo.repeats() < self.config.synack_retries.min(MOST_REPEATS));
            let capacity = parent.map_or(0, |h| accept::capacity(set, h));
            let Some(parent) = parent.and_then(|h| set.get(h)) else {
                self.forget::<S>(set, id);
                continue;
            };
            let (ttl, tos) = (parent.ttl, parent.tos);
            let until = self.deferred_until(&parent.options());
            if embryo.is_deferred() && embryo.repeats().saturating_add(1) < until {
                self.syns.repeated(id, cx.now, self.config.rto_initial);
                continue;
            }
            let ends = Ends {
                local: embryo.local(),
                peer: embryo.peer(),
            };
            if let Ok(room) = out.room(ends.peer.ip(), Some(ends.local.ip())) {
                let mss = limited(mss_of(room.payload), &parent.options());
                let repeats = embryo.repeats().saturating_add(1);
                let plan = self.syn_ack(cx, &embryo, mss, capacity, repeats);
                let dest = Dest {
                    wait: Wait::Queue,
                    ..dest_of(&ends, ttl, tos)
                };
                // Lost or not, the next one comes later than this one did.
                if bare(out, dest, &ends, &plan).is_ok() {
                    sent = sent.saturating_add(1);
                    cx.stats.tcp_sent = cx.stats.tcp_sent.wrapping_add(1);
                    cx.stats.tcp_retransmitted = cx.stats.tcp_retransmitted.wrapping_add(1);
                }
            }
            self.syns.repeated(id, cx.now, self.config.rto_initial);
        }
        sent
    }

    /// One socket's turn.
    fn turn<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        out: &mut impl Output,
        h: Handle<S, C>,
    ) -> Turn
    where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(socket) = set.get_mut(h) else {
            return Turn::default();
        };
        let moved = socket.wants.take(Wants::REKEY);
        if moved {
            let options = socket.options();
            socket.adopt(&self.config, &options);
        }
        match &socket.role {
            Role::Closed(_) => return Turn::default(),
            Role::Listen(_) => {
                if moved && set.rekey(h).is_err() {
                    self.fail::<S>(set, h, TcpError::AddrInUse);
                } else {
                    close_listener::<S, C>(set, h);
                }
                return Turn::default();
            }
            Role::Opening(options) if self.waits_for_text::<S>(cx, socket, options) => {
                if !socket.wants.any(Wants::DEFERRED) {
                    socket.wants.set(Wants::DEFERRED);
                    set.notify(h);
                }
                return Turn::default();
            }
            Role::Opening(_) => {
                if let Err(error) = self.open::<S>(set, cx, out, h) {
                    self.fail::<S>(set, h, error);
                    return Turn::default();
                }
            }
            Role::Connection(_) => {}
        }
        self.wishes::<S>(set, cx, out, h);
        self.send::<S>(set, cx, out, h)
    }

    /// A socket could not be opened.
    fn fail<S>(&self, set: &mut Set<S, C>, h: Handle<S, C>, error: TcpError)
    where
        S: Stores<SocketOf<S, C>>,
    {
        if let Some(socket) = set.get_mut(h) {
            socket.role = Role::Closed(socket.options());
            socket.error = Some(error);
        }
        let _ = set.rekey(h);
        set.notify(h);
    }

    /// Does what the application asked of a connection since its last turn.
    fn wishes<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        out: &mut impl Output,
        h: Handle<S, C>,
    ) where
        S: Stores<SocketOf<S, C>>,
    {
        // Never more than there are sockets, whatever became of those that were counted.
        let orphans = self.orphans.min(set.len());
        let Some(socket) = set.get_mut(h) else { return };
        let Role::Connection(tcb) = &mut socket.role else {
            return;
        };
        let (config, now) = (&self.config, cx.now);
        if socket.wants.take(Wants::OPTIONS) {
            let _ = tcb.set_options(config, now, tcb.options());
        }
        tcb.set_level(self.account.level);
        if socket.wants.take(Wants::READ) {
            let _ = tcb.on_read(config, now, &mut socket.rx);
        }
        if socket.wants.take(Wants::SHUTDOWN) {
            tcb.shutdown(config, now);
        }
        let mut effects = super::Effects::default();
        if socket.wants.take(Wants::ABORT) {
            effects.answer = tcb.abort(now);
            if socket.wants.take(Wants::SHED) {
                tcb.error = Some(SHED);
            }
            effects.gone = Gone::Closed;
            effects.news = true;
        } else if socket.wants.any(Wants::RELEASE) && !tcb.orphan {
            let unread = socket.rx.capacity().saturating_sub(socket.rx.window());
            effects = tcb.close(config, now, unread);
            if effects.gone == Gone::No {
                let full = self.account.level == Level::Full && socket.tx.queued() > 0;
                if full || orphans >= self.limits.orphans {
                    effects.answer = tcb.abort(now);
                    effects.gone = Gone::Closed;
                } else {
                    socket.wants.set(Wants::ORPHAN);
                    self.orphans = orphans.saturating_add(1);
                }
            }
        } else {
            return;
        }
        if let Some(plan) = effects.answer.take()
            && let Some(ends) = ends_of(socket)
        {
            // A reset that is lost is sent again when the peer's next segment finds nobody.
            let dest = dest_of(&ends, socket.ttl, socket.tos);
            if bare(out, dest, &ends, &plan).is_ok() {
                cx.stats.tcp_sent = cx.stats.tcp_sent.wrapping_add(1);
                let rst = u64::from(plan.flags.rst());
                cx.stats.tcp_resets_sent = cx.stats.tcp_resets_sent.wrapping_add(rst);
            }
        }
        self.settle::<S>(set, cx, h, effects);
    }

    /// Sends what a connection has to send, a quantum of it.
    fn send<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        out: &mut impl Output,
        h: Handle<S, C>,
    ) -> Turn
    where
        S: Stores<SocketOf<S, C>>,
    {
        let mut turn = Turn::default();
        let Some(socket) = set.get_mut(h) else {
            return turn;
        };
        let Some(ends) = ends_of(socket) else {
            return turn;
        };
        let Role::Connection(tcb) = &mut socket.role else {
            return turn;
        };
        let (config, now) = (&self.config, cx.now);
        let dest = dest_of(&ends, socket.ttl, socket.tos);
        let (room, mut error) = match out.way(&dest) {
            Ok(room) => (room, None),
            Err(error) => (NOWHERE, Some(error)),
        };
        let line = error.is_none().then_some(Line {
            ends: &ends,
            offload: &room.offload,
        });
        let limits = limits_of(&room, &ends.peer);
        let mut more = false;
        let mut segments = 0;
        while let Some(plan) = tcb.next_segment(config, now, &socket.rx, &socket.tx, limits) {
            let early;
            let mut plan = &plan;
            if plan.flags.syn() && tcb.wants_early() {
                let known = (&self.memory, &self.key);
                let (server, tx) = (ends.peer.ip(), &socket.tx);
                early = decorate(known, config, now, (tcb, tx), server, *plan, limits);
                plan = &early;
            }
            let again = plan.seq.lt(tcb.snd_nxt) && plan.seq_len() > 0;
            let (mut gone, mut count) = (0, 0);
            if let Some(line) = &line {
                (gone, count, error) = line.send(out, plan, &socket.tx);
            }
            let all = error.is_none();
            segments += count;
            turn.sent += if room.offload.gso.is_some() {
                count.min(1)
            } else {
                count
            };
            cx.stats.tcp_sent = cx.stats.tcp_sent.wrapping_add(count as u64);
            if again {
                let n = count as u64;
                cx.stats.tcp_retransmitted = cx.stats.tcp_retransmitted.wrapping_add(n);
            }
            if plan.flags.rst() && all {
                cx.stats.tcp_resets_sent = cx.stats.tcp_resets_sent.wrapping_add(1);
            }
            if all {
                tcb.on_sent(config, now, plan);
            } else if gone > 0 {
                tcb.on_sent(config, now, &plan.cut(gone));
            }
            let Some(error) = error else {
                if segments >= QUANTUM {
                    more = true;
                    break;
                }
                if tcb.rests(now, &socket.tx) {
                    break;
                }
                continue;
            };
            match error {
                TxError::Full => (turn.full, more) = (true, true),
                TxError::Resolving => {
                    set_parked::<S, C>(set, h);
                    return turn;
                }
                // Its timer tries again.
                TxError::Dropped => {
                    if gone == 0 {
                        tcb.on_refused(config, now, plan);
                    }
                }
                TxError::TooBig(_) => {
                    if gone == 0 {
                        tcb.on_sent(config, now, plan);
                    }
                    more = true;
                }
                TxError::Unreachable | TxError::NoRoute => {
                    let kind = match error {
                        TxError::NoRoute => ErrorKind::NetUnreachable,
                        _ => ErrorKind::HostUnreachable,
                    };
                    if gone == 0 {
                        tcb.on_sent(config, now, plan);
                    }
                    let (_, effects) = tcb.icmp_error(config, now, kind, plan.seq, true);
                    self.settle::<S>(set, cx, h, effects);
                    return turn;
                }
            }
            break;
        }
        let deadline = tcb.deadline();
        turn.weighed = socket.occupies() == socket.charged;
        set.resume(h, deadline, more, false);
        turn
    }
}

/// Waits for a link address; its timers go on.
fn set_parked<S, C>(set: &mut Set<S, C>, h: Handle<S, C>)
where
    C: Congestion,
    S: Stores<SocketOf<S, C>>,
{
    let deadline = match set.get(h).map(|socket| &socket.role) {
        Some(Role::Connection(tcb)) => tcb.deadline(),
        _ => None,
    };
    set.arm(h, deadline);
    set.park(h);
}

/// Resets the connections that nobody will accept, and lets the listener go.
fn close_listener<S, C>(set: &mut Set<S, C>, h: Handle<S, C>)
where
    C: Congestion,
    S: Stores<SocketOf<S, C>>,
{
    if !set.get(h).is_some_and(|s| s.wants.any(Wants::RELEASE)) {
        return;
    }
    while let Some(child) = accept::dequeue(set, h) {
        let Some(socket) = set.get_mut(child) else {
            continue;
        };
        socket.wants.set(Wants::RELEASE | Wants::ABORT);
        if socket.has_ended() {
            set.remove(child);
        } else {
            set.wake(child);
        }
    }
    while accept::take_spare(set, h).is_some() {}
    set.remove(h);
}

/// What a link that does not exist takes: one segment at a time.
const NOWHERE: crate::net::Room = crate::net::Room {
    src: core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
    payload: 576 - 20,
    offload: crate::iface::Offload {
        tx_csum: false,
        gso: None,
        uso: None,
        copies: false,
    },
    cast: crate::iface::Cast::Unicast,
};

fn ends_of<R, T, C>(socket: &TcpSocket<R, T, C>) -> Option<Ends> {
    Some(Ends {
        local: SocketAddr::new(socket.at.ip?, socket.at.port),
        peer: socket.at.peer?,
    })
}

fn dest_of(ends: &Ends, ttl: Option<u8>, tos: u8) -> Dest {
    Dest {
        src: Some(ends.local.ip()),
        ttl,
        tos,
        dont_fragment: true,
        wait: Wait::Park,
        ..Dest::new(ends.peer.ip(), protocol::TCP)
    }
}

/// What the core may plan for this path.
fn limits_of(room: &crate::net::Room, peer: &SocketAddr) -> Room {
    let mss = room.payload.saturating_sub(Header::LEN);
    let gso = match room.offload.gso {
        Some(limits) => {
            let front = Header::LEN + Header::MAX_OPTIONS + if peer.is_ipv4() { 20 } else { 40 };
            let most = (limits.max_size as usize).min(65_535);
            let cuts = usize::from(limits.max_segments).saturating_mul(mss);
            most.saturating_sub(front).min(cuts)
        }
        None => mss.saturating_mul(QUANTUM),
    };
    Room { mss, gso }
}
