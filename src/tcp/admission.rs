//! Handshakes of listeners that ended, and those that Fast Open does not wait for: sockets are
//! made.
//!
//! Invariant: a connection is made only if its listener's queue and its memory have room, and is
//! in that queue from then on. Called by `passive` and `fastopen`.

use super::accept::{self, Link};
use super::config::Config;
use super::congestion::Congestion;
use super::demux::Ends;
use super::passive::{limited, listener_of};
use super::segment::Segment;
use super::socket::{Role, SocketOf, TcpSocket};
use super::tcb::{Handshake, Tcb};
use super::{Handle, Set, Tcp, window};
use crate::context::Cx;
use crate::error::Drop;
use crate::iface::PacketTx;
use crate::net::Answer;
use crate::socket::{RecvBuf, Rx, SendBuf, SocketSet, Stores};

impl<C: Congestion> Tcp<C> {
    /// Makes a connection for listener `h` and queues it there; `None` if there is no room.
    pub(super) fn child<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        ends: &Ends,
        (h, mut handshake): (Handle<S, C>, Handshake),
        make: impl FnOnce(&Config, &Handshake, &mut Rx<S>) -> Tcb<C>,
    ) -> Option<Handle<S, C>>
    where
        S: Stores<SocketOf<S, C>>,
    {
        let parent = set.get_mut(h)?;
        let (mut options, ttl, tos) = (parent.options(), parent.ttl, parent.tos);
        handshake.adv_mss = limited(handshake.adv_mss, &options);
        handshake.peer.mss = limited(handshake.peer.mss, &options);
        let (rx, tx) = (parent.rx.capacity(), parent.tx.capacity());
        if listener_of(parent).is_some_and(|listener| !self.has_memory(listener)) {
            cx.drop(Drop::Memory);
            return None;
        }
        if listener_of(parent).is_none_or(|listener| listener.is_full(self.limits.backlog)) {
            cx.drop(Drop::Backlog);
            return None;
        }
        let child = match S::stream(rx, tx) {
            Some((rx, tx)) => set.insert(TcpSocket::new(rx, tx)).ok(),
            None => accept::take_spare(set, h),
        };
        let Some(socket) = child.and_then(|child| set.get_mut(child)) else {
            cx.drop(Drop::Memory);
            return None;
        };
        if S::stream(0, 0).is_none() {
            options = options.on_buffers_of(&socket.options());
        }
        handshake.rcv_wnd = window::of_syn(socket.rx.capacity()).into();
        let mut tcb = make(&self.config, &handshake, &mut socket.rx);
        tcb.tell_opened(cx.now, ends.local, ends.peer);
        let _ = tcb.set_options(&self.config, cx.now, options);
        socket.role = Role::Connection(tcb);
        socket.at = ends.flow();
        (socket.ttl, socket.tos) = (ttl, tos);
        let child = child?;
        // The flow was looked up before: no other socket has it.
        let _ = set.rekey(child);
        accept::enqueue(set, h, child);
        set.notify(h);
        Some(child)
    }

    /// A handshake ended: makes the connection, queues it at its listener and gives it the
    /// segment. False if there is no room, and then the segment is forgotten.
    pub(super) fn complete<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        ends: Ends,
        segment: &Segment<'_>,
        to: (Handle<S, C>, Handshake),
    ) -> bool
    where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        let now = cx.now;
        let make =
            |cfg: &Config, handshake: &Handshake, _: &mut _| Tcb::accepted(cfg, now, handshake);
        let Some(child) = self.child::<S>(set, cx, &ends, to, make) else {
            return false;
        };
        self.recent = Link::to(child);
        self.connection::<S, T>(set, cx, answer, child, &ends, segment);
        true
    }
}
