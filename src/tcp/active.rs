//! Connections that we begin (RFC 9293 §3.10.1): where from, and with which first number.
//!
//! Invariant: the source address is the route's or the one that was bound; the port is the
//! bound one or an ephemeral one that no connection to the same peer uses, none in TIME-WAIT
//! either unless timestamps protect the new one from the old (RFC 6191). Called in the first turn
//! of a socket after its `connect`.

use core::net::{IpAddr, SocketAddr};
use phy::Instant;

use super::accept::Link;
use super::congestion::Congestion;
use super::error::TcpError;
use super::passive::{limited, mss_of};
use super::seq::SeqNum;
use super::socket::{Role, SocketOf};
use super::tcb::Tcb;
use super::{Handle, Set, Tcp};
use crate::context::Cx;
use crate::iface::Cast;
use crate::net::Output;
use crate::socket::{RecvBuf, SocketSet, Stores};
use crate::transport::Endpoint;

impl<C: Congestion> Tcp<C> {
    /// Makes a socket that wants to connect a connection in SYN-SENT.
    ///
    /// # Errors
    /// What the application is told when it cannot be.
    pub(super) fn open<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        out: &impl Output,
        h: Handle<S, C>,
    ) -> Result<(), TcpError>
    where
        S: Stores<SocketOf<S, C>>,
    {
        let socket = set.get(h).ok_or(TcpError::Aborted)?;
        let peer = socket.at.peer.ok_or(TcpError::Aborted)?;
        let (bound, options) = (socket.at, socket.options());
        if let Some(socket) = set.get_mut(h) {
            socket.adopt(&self.config, &options);
        }
        let room = out
            .room(peer.ip(), bound.ip)
            .map_err(|_| TcpError::NetUnreachable)?;
        if room.cast != Cast::Unicast {
            return Err(TcpError::NetUnreachable);
        }
        let local = self.source::<S>(set, cx.now, room.src, bound.port, peer)?;
        let iss = SeqNum(cx.secret.isn(cx.now, local, peer));
        // Beyond all that the last connection between the two could have sent in one window.
        let last = self
            .waits
            .reuse(self.key.hash(&Endpoint::flow(local, peer)));
        let iss = last.map_or(iss, |last| iss.max(last + 0x1_0001));
        let offset = cx.secret.timestamp_offset(local, peer);
        let socket = set.get_mut(h).ok_or(TcpError::Aborted)?;
        let mss = limited(mss_of(room.payload), &options);
        let capacity = socket.rx.capacity();
        let mut tcb = Tcb::connect(&self.config, cx.now, iss, offset, mss, capacity);
        tcb.tell_opened(cx.now, local, peer);
        let _ = tcb.set_options(&self.config, cx.now, options);
        if self.ecn_peers.len() > 0 {
            let hash = self.key.hash(&Endpoint::bound(Some(peer.ip()), 0));
            if !self.ecn_peers.admits(hash, peer.ip(), cx.now, &self.config) {
                tcb.ecn_hold_back();
            }
        }
        self.want_early(&mut tcb, &options);
        socket.role = Role::Connection(tcb);
        socket.at = Endpoint::flow(local, peer);
        self.recent = Link::to(h);
        set.rekey(h).map_err(|_| TcpError::AddrInUse)
    }

    /// The local side: the bound port, or one that is free towards `peer`.
    fn source<S>(
        &mut self,
        set: &Set<S, C>,
        now: Instant,
        ip: IpAddr,
        port: u16,
        peer: SocketAddr,
    ) -> Result<SocketAddr, TcpError>
    where
        S: Stores<SocketOf<S, C>>,
    {
        let (waits, key) = (&self.waits, &self.key);
        let (span, least) = (self.config.time_wait, self.config.time_wait_reuse);
        let free = |port| {
            let local = SocketAddr::new(ip, port);
            let flow = Endpoint::flow(local, peer);
            set.lookup(&flow).is_none() && waits.admits(key.hash(&flow), now, span, least)
        };
        let port = match port {
            // With itself a socket is connected only if it is bound to be.
            0 => self.ports.pick(ip, peer, |port| {
                SocketAddr::new(ip, port) != peer && free(port)
            }),
            bound => Some(bound).filter(|port| free(*port)),
        };
        port.map(|port| SocketAddr::new(ip, port))
            .ok_or(TcpError::AddrInUse)
    }
}
