//! The way up for runs of segments: most segments are the next one of the connection that the
//! last one was of, and change nothing but what the core predicts.
//!
//! Invariant: what is done here is what [`Tcp::connection`](super::Tcp) would do for such a
//! segment, with one probe of the socket table before and one after; whatever is unusual about
//! socket or segment is left to it, untouched. Called by [`demux`](super::demux).

use core::net::{IpAddr, SocketAddr};

use super::congestion::Congestion;
use super::fastopen::Early;
use super::memory::Level;
use super::segment::Segment;
use super::socket::{Role, SocketOf, TcpSocket, Wants};
use super::{Handle, Set, Tcp};
use crate::context::Cx;
use crate::socket::{SocketSet, Stores};
use crate::transport::Endpoint;
use crate::wire::IpHeader;

/// Wishes that make a socket unusual: where it waits to be accepted, its listener's memory
/// counts; the others change what a segment means.
const UNUSUAL: u16 =
    Wants::QUEUED | Wants::SHED | Wants::PENDING | Wants::RELEASE | Wants::ABORT | Wants::ORPHAN;

/// Is `at` the flow of a packet with this header, from and to these ports?
#[inline]
fn is_flow(at: &Endpoint, (ip, from, to): (&IpHeader, u16, u16)) -> bool {
    let Some(peer) = &at.peer else { return false };
    let ports = u32::from(at.port) << 16 | u32::from(peer.port());
    if ports != u32::from(to) << 16 | u32::from(from) {
        return false;
    }
    match (&at.ip, peer, &ip.dst, &ip.src) {
        (Some(IpAddr::V4(a)), SocketAddr::V4(b), IpAddr::V4(c), IpAddr::V4(d)) => {
            a.to_bits() == c.to_bits() && b.ip().to_bits() == d.to_bits()
        }
        (Some(a), b, c, d) => a == c && *b == SocketAddr::new(*d, from),
        _ => false,
    }
}

impl<C: Congestion> Tcp<C> {
    /// The segment may be the next one of `h`'s connection; false if it was not, or not
    /// dealt with.
    #[inline]
    pub(super) fn next_of_run<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        h: Handle<S, C>,
        flow: (&IpHeader, u16, u16),
        segment: &Segment<'_>,
    ) -> bool
    where
        S: Stores<SocketOf<S, C>>,
    {
        let level = self.account.level;
        let Some(socket) = set.get_mut(h) else {
            return false;
        };
        let TcpSocket { role, rx, tx, .. } = socket;
        let Role::Connection(tcb) = role else {
            return false;
        };
        if socket.wants.any(UNUSUAL)
            || level == Level::Full
            || tcb.early.any(Early::WANTED | Early::TRIED)
            || !is_flow(&socket.at, flow)
        {
            return false;
        }
        tcb.set_level(level);
        let Some(next) = tcb.receive_next(&self.config, cx.now, segment, rx, tx) else {
            return false;
        };
        let deadline = tcb.deadline();
        let grown = socket.occupies() != socket.charged;
        set.resume(h, deadline, next.ready, next.news);
        if grown {
            self.count::<S>(set, cx, h);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::protocol;

    /// The short comparison says what the whole one says.
    #[test]
    fn flows_are_compared_whole() {
        let hosts = ["10.0.0.1", "10.0.0.2", "::1", "::a00:1"];
        let ends: std::vec::Vec<SocketAddr> = hosts
            .iter()
            .flat_map(|host| [80, 81].map(|port| SocketAddr::new(host.parse().unwrap(), port)))
            .collect();
        let mut same = 0;
        for (local, peer) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
            let ip = IpHeader::new(peer.ip(), local.ip(), protocol::TCP);
            let arrived = (&ip, peer.port(), local.port());
            let flow = Endpoint::flow(local, peer);
            for (own, other) in ends.iter().flat_map(|a| ends.iter().map(move |b| (*a, *b))) {
                let at = Endpoint::flow(own, other);
                assert_eq!(is_flow(&at, arrived), at == flow);
                same += usize::from(is_flow(&at, arrived));
            }
            let bound = Endpoint::bound(Some(local.ip()), local.port());
            assert!(!is_flow(&bound, arrived));
        }
        assert_eq!(same, ends.len() * ends.len());
    }
}
