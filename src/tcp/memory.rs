//! The memory of all connections together, and what is done when there is little (RFC 6429 §4,
//! CVE-2008-4609, CVE-2018-5390).
//!
//! Each socket's octets, what its buffers occupy and what it keeps of ranges, are counted anew
//! whenever the protocol has dealt with it; the table adds them up. Three numbers rule, as
//! Linux's `tcp_mem`:
//!
//! | from | until | what follows |
//! | --- | --- | --- |
//! | `pressure` | below `low` | buffers and windows grow no more, windows shrink to a few segments as they are used, octets out of order are kept where there is memory for them already; a hand goes round the table and takes what is idle, the farthest octets out of order first |
//! | `high` | below `high` | nothing out of order is kept, in order only what a reader waits for; no connection begins; the hand resets connections that are orphaned, whose peers keep their windows closed, or that are idle, while they hold memory |
//!
//! Invariant: counting and the hand look at a bounded number of sockets for each packet and each
//! turn, however many there are. What was offered as a window is taken below `high`. Called by
//! the shell; the core is told the [`Level`].

use core::net::SocketAddr;
use core::time::Duration;

use super::accept::{self, Listener};
use super::config::Config;
use super::congestion::Congestion;
use super::error::TcpError;
use super::socket::{Role, SocketOf, Wants};
use super::tcb::{State, Tcb};
use super::{Handle, Set, Tcp};
use crate::context::Cx;
use crate::socket::{RecvBuf, SendBuf, SocketSet, Stores};
use phy::Instant;

/// Sockets that the hand passes in a turn while memory is short.
const TURN: u32 = 64;
/// Sockets that it passes for a packet when there is none left.
const PACKET: u32 = 8;
/// Segments that the window shrinks to under pressure.
const FEW: u32 = 4;

/// Bounds of the memory of all connections of a stack together, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Below this pressure ends.
    pub low: usize,
    /// From this on there is pressure.
    pub pressure: usize,
    /// The ceiling. It may be exceeded by what the application writes between two polls, by
    /// `Config::receive_buffer_min` for each connection whose application waits to read, and by the
    /// one growth of a buffer that reaches it: by no more than that buffer held, or a batch brings.
    pub high: usize,
    /// What connections that wait to be accepted at one listener may hold; above it no more
    /// handshakes end there.
    pub listener: usize,
    /// Connections that hold memory and were silent for so long are reset first when the
    /// ceiling is reached.
    pub patience: Duration,
}

impl Default for MemoryLimits {
    /// As Linux on a machine with 8 GiB: 384, 512 and 768 MiB; 64 MiB for a listener, and a
    /// second.
    fn default() -> Self {
        Self {
            low: 384 << 20,
            pressure: 512 << 20,
            high: 768 << 20,
            listener: 64 << 20,
            patience: Duration::from_secs(1),
        }
    }
}

/// How much memory the stack's connections have left, as far as one of them is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Enough: buffers and windows grow.
    #[default]
    Free,
    /// Enough, but nobody has accepted this connection yet: nothing of it grows.
    Waiting,
    /// Little: nothing grows.
    Pressure,
    /// None: what need not be kept is dropped.
    Full,
}

/// The stack's account.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub octets: usize,
    pub level: Level,
    /// The slot that the hand passed last.
    hand: u32,
}

impl Account {
    /// Takes note of the octets that all sockets hold; true if pressure began.
    fn weigh(&mut self, octets: usize, limits: &MemoryLimits) -> bool {
        let before = self.level;
        self.octets = octets;
        self.level = if octets >= limits.high {
            Level::Full
        } else if octets >= limits.pressure || before > Level::Free && octets >= limits.low {
            Level::Pressure
        } else {
            Level::Free
        };
        before == Level::Free && self.level > Level::Free
    }
}

impl<C: Congestion> Tcp<C> {
    /// Counts what socket `h` holds, if that has changed.
    #[inline]
    pub(super) fn account<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx, h: Handle<S, C>)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let changed = |socket: &SocketOf<S, C>| socket.occupies() != socket.charged;
        if set.get(h).is_some_and(changed) {
            self.count::<S>(set, cx, h);
        }
    }

    #[cold]
    pub(super) fn count<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx, h: Handle<S, C>)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let (before, after) = set.account(h);
        if let Some(listener) = self.waits_at::<S>(set, h)
            && let Some(Role::Listen(listener)) = set.get_mut(listener).map(|s| &mut s.role)
        {
            let others = listener.memory.saturating_sub(before as usize);
            listener.memory = others.saturating_add(after as usize);
        }
        self.weigh::<S>(set, cx);
        if after > before && self.account.level == Level::Full {
            // Who makes it worse goes first, if for nothing.
            let (cfg, now) = (&self.config, cx.now);
            let idle = |socket: &SocketOf<S, C>| match &socket.role {
                Role::Connection(tcb) => tcb.holds_for_nothing(cfg, now, None, socket.tx.queued()),
                _ => false,
            };
            if set.get(h).is_some_and(idle) {
                self.shed::<S>(set, cx, h);
                self.account::<S>(set, cx, h);
            }
        }
    }

    /// Follows the table's sum.
    pub(super) fn weigh<S>(&mut self, set: &Set<S, C>, cx: &mut Cx)
    where
        S: Stores<SocketOf<S, C>>,
    {
        if self.account.weigh(set.memory(), &self.limits.memory) {
            cx.stats.tcp_pressure = cx.stats.tcp_pressure.wrapping_add(1);
        }
    }

    /// The listener at which a connection waits to be accepted.
    fn waits_at<S>(&self, set: &Set<S, C>, h: Handle<S, C>) -> Option<Handle<S, C>>
    where
        S: Stores<SocketOf<S, C>>,
    {
        let socket = set.get(h).filter(|s| s.wants.any(Wants::QUEUED))?;
        let local = SocketAddr::new(socket.at.ip?, socket.at.port);
        self.listener::<S>(set, local)
    }

    /// What connection `h` is to be told of the memory that is left.
    #[inline]
    pub(super) fn level_for<S>(&self, set: &Set<S, C>, h: Handle<S, C>) -> Level
    where
        S: Stores<SocketOf<S, C>>,
    {
        let level = self.account.level;
        if !set.get(h).is_some_and(|s| s.wants.any(Wants::QUEUED)) {
            return level;
        }
        let over = self
            .waits_at::<S>(set, h)
            .is_some_and(|listener| accept::memory(set, listener) >= self.limits.memory.listener);
        level.max(if over { Level::Full } else { Level::Waiting })
    }

    /// Lets the hand pass some sockets, if memory is short; once a turn.
    pub(super) fn reclaim<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx)
    where
        S: Stores<SocketOf<S, C>>,
    {
        // Sockets may have been taken out of the table since.
        self.weigh::<S>(set, cx);
        if self.account.level >= Level::Pressure {
            self.sweep::<S>(set, cx, TURN);
        }
    }

    /// The same for a packet.
    pub(super) fn reclaim_some<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx)
    where
        S: Stores<SocketOf<S, C>>,
    {
        self.sweep::<S>(set, cx, PACKET);
    }

    fn sweep<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx, steps: u32)
    where
        S: Stores<SocketOf<S, C>>,
    {
        for _ in 0..steps.min(set.slots()) {
            let level = self.account.level;
            if level < Level::Pressure {
                break;
            }
            let next = self.account.hand.wrapping_add(1);
            self.account.hand = if next < set.slots() { next } else { 0 };
            let Some(h) = set.at(self.account.hand) else {
                continue;
            };
            let Some(socket) = set.get_mut(h).filter(|socket| socket.charged > 0) else {
                continue;
            };
            let Role::Connection(tcb) = &mut socket.role else {
                continue;
            };
            tcb.set_level(level);
            let (rx, tx) = (&mut socket.rx, &mut socket.tx);
            let pruned = tcb.give_back(&self.config, rx, tx);
            cx.stats.tcp_pruned = cx.stats.tcp_pruned.wrapping_add(u64::from(pruned));
            let patience = self.limits.memory.patience;
            if level == Level::Full
                && socket.occupies() > 0
                && let Role::Connection(tcb) = &socket.role
                && tcb.holds_for_nothing(&self.config, cx.now, Some(patience), socket.tx.queued())
            {
                self.shed::<S>(set, cx, h);
            }
            self.account::<S>(set, cx, h);
        }
    }

    /// Resets a connection for its memory: what it wanted to send goes at once, the reset with
    /// its next turn. What came is left to its application.
    fn shed<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx, h: Handle<S, C>)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(socket) = set.get_mut(h) else { return };
        if socket.wants.any(Wants::SHED) || socket.has_ended() {
            return;
        }
        socket.wants.set(Wants::SHED | Wants::ABORT);
        socket.tx.release(socket.tx.queued());
        socket.tx.trim();
        cx.stats.tcp_shed = cx.stats.tcp_shed.wrapping_add(1);
        set.wake(h);
    }
}

impl<C> Tcp<C> {
    /// Is there memory for another connection of this listener?
    pub(super) fn has_memory(&self, listener: &Listener) -> bool {
        self.account.level < Level::Full && listener.memory < self.limits.memory.listener
    }

    /// Octets of memory that connections hold, as last counted.
    pub fn memory(&self) -> usize {
        self.account.octets
    }

    /// How much is left of what they may hold.
    pub fn memory_level(&self) -> Level {
        self.account.level
    }
}

impl<C: Congestion> Tcb<C> {
    /// Octets it keeps beside its buffers.
    #[inline]
    pub(super) fn occupies(&self) -> usize {
        let ends = self.rare.get().map_or(0, |rare| rare.records.memory());
        self.reassembly.gaps.memory() + self.flight.memory() + ends
    }

    /// The shell tells how much memory there is.
    #[inline]
    pub(super) fn set_level(&mut self, level: Level) {
        if self.level != level {
            self.level = level;
            if level >= Level::Pressure {
                let few = u32::from(self.adv_mss).saturating_mul(FEW);
                self.rcv_ssthresh = self.rcv_ssthresh.min(few);
            }
        }
    }

    /// The part of text at `offset` past RCV.NXT that memory is spent on, below
    /// [`Level::Full`] all that is in order.
    pub(super) fn affordable<'t>(
        &self,
        cfg: &Config,
        rx: &impl RecvBuf,
        offset: usize,
        text: &'t [u8],
    ) -> &'t [u8] {
        let unread = rx.capacity().saturating_sub(rx.window());
        let there = rx.memory().saturating_sub(unread.saturating_add(offset));
        let most = match (self.level, offset) {
            (Level::Free | Level::Waiting, _) | (Level::Pressure, 0) => return text,
            (Level::Pressure, _) => there,
            // A reader that waits is to have something to read.
            (Level::Full, 0) if unread == 0 => there.max(cfg.receive_buffer_min),
            (Level::Full, 0) => there,
            (Level::Full, _) => 0,
        };
        text.get(..most.min(text.len())).unwrap_or(&[])
    }

    /// Forgets octets that came out of order, those farther than `keep` past RCV.NXT; their
    /// sender keeps them until they are acknowledged (RFC 2018 §8). Returns how many.
    pub(super) fn prune(&mut self, rx: &mut impl RecvBuf, keep: u32) -> u32 {
        let pruned = self.reassembly.gaps.cut(keep);
        if pruned > 0 {
            rx.forget_after(self.reassembly.gaps.end() as usize);
        }
        pruned
    }

    /// Gives back what it can do without: half of what is out of order, or all of it where no
    /// memory is left; memory without octets in it; room for more to send. Returns the octets
    /// pruned.
    fn give_back(&mut self, cfg: &Config, rx: &mut impl RecvBuf, tx: &mut impl SendBuf) -> u32 {
        let mut pruned = 0;
        if !self.reassembly.gaps.is_empty() {
            let end = self.reassembly.gaps.end();
            let keep = if self.level == Level::Full {
                0
            } else {
                end / 2
            };
            pruned = self.prune(rx, keep);
        }
        self.reassembly.gaps.trim();
        self.flight.trim();
        rx.trim();
        tx.trim();
        if !self.options.send_fixed {
            let most = tx.queued().max(cfg.send_buffer_min);
            if tx.capacity() > most {
                tx.set_capacity(most);
            }
        }
        pruned
    }

    /// Does it hold memory for nothing? Nobody waits for an orphan; a peer that keeps its window
    /// closed, or was silent for `patience`, makes us hold octets that do not move
    /// (RFC 6429 §4). Without patience a window that was closed a moment ago counts, and silence
    /// does not.
    fn holds_for_nothing(
        &self,
        cfg: &Config,
        now: Instant,
        patience: Option<Duration>,
        queued: usize,
    ) -> bool {
        if matches!(self.state, State::Closed | State::TimeWait) {
            return false;
        }
        let closed = queued > 0 && self.snd_wnd < u32::from(self.mss);
        let stalled = now.saturating_since(self.stalled_at) >= cfg.rto_min;
        let silence = now.saturating_since(self.heard_at);
        let silent = patience.is_some_and(|patience| silence >= patience);
        self.orphan || closed && (stalled || patience.is_none()) || silent
    }
}

/// What the application of a connection that was reset for its memory is told.
pub(super) const SHED: TcpError = TcpError::NoMemory;
