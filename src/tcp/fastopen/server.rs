//! Fast Open of connections that peers begin (RFC 7413 §4.1.2, §4.2.2).
//!
//! Invariant: a connection exists before its handshake ends only if its SYN brought a cookie of
//! ours and its listener's Fast Open queue has room; everything else is an ordinary handshake.
//! Called by the shell of TCP for SYNs to listeners.

use super::FastOpenKey;
use crate::context::Cx;
use crate::iface::PacketTx;
use crate::net::Answer;
use crate::secret::Secret;
use crate::socket::{Rx, SocketSet, Stores};
use crate::tcp::accept::Listener;
use crate::tcp::congestion::Congestion;
use crate::tcp::demux::{Ends, reply};
use crate::tcp::error::TcpError;
use crate::tcp::passive::listener_of;
use crate::tcp::segment::{Effects, Plan, Room, Segment};
use crate::tcp::socket::{Role, SocketOf, Wants};
use crate::tcp::tcb::{Handshake, State, Tcb};
use crate::tcp::{Config, Handle, Set, Tcp};
use crate::wire::{FastOpen, OptionBytes, TcpOptions};

/// The keys of a server: cookies are made with the first, and taken from either, so that a key
/// can be changed without a pause (RFC 7413 §4.1.2).
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::tcp) struct Keys {
    own: Option<FastOpenKey>,
    old: Option<FastOpenKey>,
}

impl Keys {
    /// Unless keys were set, one from the stack's secret.
    pub fn start(&mut self, secret: &Secret) {
        if self.own.is_none() {
            self.own = Some(FastOpenKey::of(secret));
        }
    }
}

/// What Fast Open makes of a SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tcp) enum Taken {
    /// Nothing: an ordinary handshake.
    No,
    /// An ordinary handshake whose SYN-ACK brings a cookie.
    Cookie(FastOpen),
    /// A connection, at once; perhaps with a newer cookie.
    Now(Option<FastOpen>),
}

impl<C: Congestion> Tcp<C> {
    /// With these keys of Fast Open cookies, in place of one drawn at start: servers that
    /// share an address share keys. Cookies of `old` are taken, and replaced.
    pub fn set_fastopen_keys(&mut self, key: FastOpenKey, old: Option<FastOpenKey>) {
        self.keys = Keys {
            own: Some(key),
            old,
        };
    }

    /// What a SYN gets from Fast Open.
    pub(in crate::tcp) fn judge_early(
        &self,
        cx: &mut Cx,
        ends: &Ends,
        segment: &Segment<'_>,
        listener: &mut Listener,
    ) -> Taken {
        let most = listener.options.fastopen;
        let Some(own) = self.keys.own.filter(|_| self.config.fastopen_server) else {
            return Taken::No;
        };
        let asked = segment.options.fast_open;
        if most == 0 || asked.is_none() && segment.payload.is_empty() {
            return Taken::No;
        }
        let cookieless = self.config.fastopen_server_no_cookie;
        if asked.is_none() && !cookieless {
            return Taken::No;
        }
        if !listener.fast.has_room(cx.now, most) {
            let full = &mut cx.stats.tcp_fastopen_overflows;
            *full = full.wrapping_add(1);
            return Taken::No;
        }
        if cookieless {
            return Taken::Now(None);
        }
        let Some(asked) = asked else { return Taken::No };
        let (client, server) = (ends.peer.ip(), ends.local.ip());
        let fresh = own.cookie(client, server);
        let fresh = match asked.is_experimental() {
            true => fresh.in_experimental_option(),
            false => fresh,
        };
        let is = |key: FastOpenKey| key.cookie(client, server).cookie() == asked.cookie();
        if asked.cookie().is_empty() {
            cx.stats.tcp_fastopen_requests = cx.stats.tcp_fastopen_requests.wrapping_add(1);
            Taken::Cookie(fresh)
        } else if is(own) {
            Taken::Now(None)
        } else if self.keys.old.is_some_and(is) {
            Taken::Now(Some(fresh))
        } else {
            cx.stats.tcp_fastopen_refused = cx.stats.tcp_fastopen_refused.wrapping_add(1);
            Taken::Cookie(fresh)
        }
    }

    /// Makes the connection of a SYN with a good cookie and sends its SYN-ACK. The answer comes
    /// back if there is no memory for it.
    pub(in crate::tcp) fn take_early<'a, S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'a, T>,
        ends: Ends,
        segment: &Segment<'_>,
        (h, handshake, cookie): (Handle<S, C>, Handshake, Option<FastOpen>),
    ) -> Option<Answer<'a, T>>
    where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        let now = cx.now;
        let make = |cfg: &Config, handshake: &Handshake, rx: &mut Rx<S>| {
            Tcb::accepted_early(cfg, now, handshake, segment.payload, rx)
        };
        let Some(child) = self.child::<S>(set, cx, &ends, (h, handshake), make) else {
            return Some(answer);
        };
        if let Some(listener) = set.get_mut(h).and_then(listener_of) {
            let longest = self.config.rto_initial.saturating_mul(1 << 7);
            listener.fast.enter(now, longest);
        }
        cx.stats.tcp_fastopen_accepted = cx.stats.tcp_fastopen_accepted.wrapping_add(1);
        let socket = set.get_mut(child)?;
        socket.wants.set(Wants::PENDING);
        let Role::Connection(tcb) = &mut socket.role else {
            return None;
        };
        let mut effects = Effects {
            news: true,
            ..Effects::default()
        };
        let room = Room { mss: 0, gso: 0 };
        if let Some(mut plan) = tcb.next_segment(&self.config, now, &socket.rx, &socket.tx, room) {
            if let Some(cookie) = cookie {
                plan.options = with_cookie(&plan, cookie);
            }
            match reply(cx, answer, &ends, (socket.ttl, socket.tos), &plan) {
                Ok(()) => tcb.on_sent(&self.config, now, &plan),
                Err(_) => effects.ready = true,
            }
        }
        self.settle::<S>(set, cx, child, effects);
        None
    }

    /// Tells the listener of a connection that is not pending any more.
    pub(in crate::tcp) fn settle_early<S>(&mut self, set: &mut Set<S, C>, cx: &Cx, h: Handle<S, C>)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(socket) = set.get_mut(h) else { return };
        let Role::Connection(tcb) = &socket.role else {
            return;
        };
        if tcb.state == State::SynReceived {
            return;
        }
        let reset = tcb.error == Some(TcpError::Reset) && tcb.early.is_pending();
        socket.wants.clear(Wants::PENDING);
        let at = socket.at;
        let local = at.ip.map(|ip| core::net::SocketAddr::new(ip, at.port));
        let parent = local.and_then(|local| self.listener::<S>(set, local));
        if let Some(listener) = parent.and_then(|h| set.get_mut(h)).and_then(listener_of) {
            listener.fast.leave(cx.now, reset);
        }
    }
}

/// The options of a SYN-ACK, with a cookie.
pub(in crate::tcp) fn with_cookie(plan: &Plan, cookie: FastOpen) -> OptionBytes {
    let mut options = TcpOptions::parse(plan.options.as_slice());
    options.fast_open = Some(cookie);
    options.emit()
}
