//! The way up for runs of segments: most segments are the next one of the connection that the
//! last one was of, and change nothing but what the core predicts.
//!
//! The first segment of a run goes to the core for prediction, and its text into the receive
//! buffer. Of those that follow at once, only what may differ is looked at: their text is copied
//! and verified in one pass, and counted. The core hears of the run as a whole when something else
//! comes, or when the batch of received packets has ended, as if the device had coalesced it.
//!
//! Invariants: what is done here is what [`Tcp::connection`](super::Tcp) would do for such
//! segments; whatever is unusual about socket or segment is left to it, untouched. While a run is
//! open nobody but this file looks at its connection: every way into [`Tcp`] closes it first, and
//! the last such call of a turn is `timers`. Octets are committed only after their checksum was
//! found right. Called by [`demux`](super::demux).

use core::net::{IpAddr, SocketAddr};

use super::congestion::Congestion;
use super::demux::{Ends, reply};
use super::fastopen::Early;
use super::memory::Level;
use super::receive::{Arrived, Foreseen, Next};
use super::segment::Segment;
use super::socket::{Role, SocketOf, TcpSocket, Wants};
use super::tcb::State;
use super::{Handle, Set, Tcp};
use crate::context::Cx;
use crate::error::Drop;
use crate::iface::PacketTx;
use crate::net::{Answer, Ingress};
use crate::socket::{RecvBuf, SocketSet, Stores};
use crate::transport::Endpoint;
use crate::wire::{IpHeader, Tcp as Header, TcpRun};
use phy::{RxCsum, RxMeta};

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

/// A run of segments whose text is in the receive buffer already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// The first one, without its text.
    first: Segment<'static>,
    foreseen: Foreseen,
    /// Its header, and which is expected next.
    header: TcpRun,
    arrived: Arrived,
    /// Octets of a full segment, the least that may follow.
    least: usize,
    /// Octets that the window offered takes, and one acknowledgment covers with one more segment.
    most: usize,
    /// One more segment is more than one acknowledgment covers.
    full: bool,
}

/// What a segment is to the connection that the last one was of.
pub(super) enum Fit {
    /// Its next one, and dealt with.
    Taken,
    /// One of its own, that nothing unusual waits for, not dealt with.
    Own,
    /// Perhaps another's.
    Other,
}

impl<C: Congestion> Tcp<C> {
    /// The segment may be the next one of `h`'s connection, and is dealt with then.
    #[inline]
    pub(super) fn next_of_run<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        h: Handle<S, C>,
        packet: &Ingress<'_>,
        header: &Header,
        segment: &Segment<'_>,
    ) -> Fit
    where
        S: Stores<SocketOf<S, C>>,
    {
        let level = self.account.level;
        let Some(socket) = set.get_mut(h) else {
            return Fit::Other;
        };
        let TcpSocket { role, rx, tx, .. } = socket;
        let Role::Connection(tcb) = role else {
            return Fit::Other;
        };
        if socket.wants.any(UNUSUAL)
            || level == Level::Full
            || tcb.early.any(Early::WANTED | Early::TRIED)
            || !is_flow(&socket.at, (&packet.ip, header.src, header.dst))
        {
            return Fit::Other;
        }
        tcb.set_level(level);
        let Some(foreseen) = tcb.foresees(segment) else {
            // One that is over has no key any more.
            return match tcb.state {
                State::Closed | State::TimeWait => Fit::Other,
                _ => Fit::Own,
            };
        };
        let text = segment.payload.len();
        if let Some(least) = tcb.may_run(text)
            && let Some(next) = TcpRun::after(&packet.ip, packet.payload, text)
        {
            let stored = rx.write(0, segment.payload).min(text);
            rx.commit(stored);
            self.run = Some(Run {
                first: segment.without_text(),
                foreseen,
                header: next,
                arrived: Arrived {
                    stored,
                    came: text,
                    longest: text,
                    segments: 1,
                },
                least,
                most: tcb
                    .unstretched(&self.config, text)
                    .min(tcb.rcv_wnd() as usize),
                full: tcb.stretches(&self.config, text.saturating_mul(2)),
            });
            if stored < text {
                self.close_run::<S>(set, cx);
            }
            return Fit::Taken;
        }
        if tcb.stretches(&self.config, text.saturating_mul(2)) {
            return Fit::Own;
        }
        let next = tcb.take_foreseen(&self.config, cx.now, segment, foreseen, rx, tx);
        self.resume::<S>(set, cx, h, next);
        Fit::Taken
    }

    /// A segment, on the same flow as the last one, may belong to the open run; false if it does
    /// not, and nothing happened.
    #[inline]
    pub(super) fn continues<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        segment: &[u8],
        meta: &RxMeta,
    ) -> bool
    where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(run) = &mut self.run else {
            return false;
        };
        let Some(next) = run.header.next(segment) else {
            return false;
        };
        let (text, arrived) = (next.text(), &mut run.arrived);
        // Bounded by the window, so it does not wrap.
        let came = arrived.came.wrapping_add(text.len());
        if text.len() < run.least || came > run.most {
            return false;
        }
        let socket = self.recent.handle().and_then(|h| set.get_mut(h));
        let Some(TcpSocket { rx, .. }) = socket else {
            return false;
        };
        let (stored, sum) = if meta.csum == RxCsum::Valid {
            (rx.write(0, text), None)
        } else {
            let (stored, sum) = rx.write_summed(text);
            (stored, Some(sum))
        };
        if stored != text.len() {
            rx.retract(stored);
            return false;
        }
        if sum.is_some_and(|sum| !next.verify(sum)) {
            rx.retract(stored);
            cx.drop(Drop::BadChecksum);
            return true;
        }
        rx.commit(stored);
        run.header.advance(text.len());
        arrived.came = came;
        arrived.longest = arrived.longest.max(text.len());
        arrived.segments = arrived.segments.wrapping_add(1);
        cx.stats.tcp_received = cx.stats.tcp_received.wrapping_add(1);
        true
    }

    /// Does the open run hold all that an acknowledgment may cover?
    #[inline]
    pub(super) fn is_run_full(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.full)
    }

    /// Ends the run, and acknowledges it at once where no text of ours does (RFC 5681 §4.2).
    #[inline(never)]
    pub(super) fn acknowledge_run<S, T>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        answer: Answer<'_, T>,
        ends: &Ends,
    ) where
        S: Stores<SocketOf<S, C>>,
        T: PacketTx,
    {
        self.close_run::<S>(set, cx);
        let socket = self
            .recent
            .handle()
            .and_then(|h| Some((h, set.get_mut(h)?)));
        let Some((h, socket)) = socket else { return };
        let Role::Connection(tcb) = &mut socket.role else {
            return;
        };
        let Some(plan) = tcb.ack_at_once(cx.now, &socket.rx, &socket.tx) else {
            return;
        };
        // Without room it goes when there is some, with all that came until then.
        if reply(cx, answer, ends, (socket.ttl, socket.tos), &plan).is_ok() {
            tcb.on_sent(&self.config, cx.now, &plan);
            let deadline = tcb.deadline();
            set.arm(h, deadline);
        }
    }

    /// Tells the core of the run, if there is one.
    #[inline]
    pub(super) fn close_run<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx)
    where
        S: Stores<SocketOf<S, C>>,
    {
        if self.run.is_some() {
            self.end_run::<S>(set, cx);
        }
    }

    #[inline(never)]
    fn end_run<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let (Some(run), Some(h)) = (self.run.take(), self.recent.handle()) else {
            return;
        };
        let Some(TcpSocket { role, rx, tx, .. }) = set.get_mut(h) else {
            return;
        };
        let Role::Connection(tcb) = role else { return };
        let mut arrived = run.arrived;
        if arrived.segments > 1 {
            // What was not stored whole ended the run.
            arrived.stored = arrived.came;
        }
        let arrived = Some(arrived);
        let (config, now) = (&self.config, cx.now);
        let next = tcb.take_arrived(config, now, &run.first, run.foreseen, arrived, rx, tx);
        self.resume::<S>(set, cx, h, next);
    }

    /// Does for the tables what `next` asks for.
    #[inline]
    fn resume<S>(&mut self, set: &mut Set<S, C>, cx: &mut Cx, h: Handle<S, C>, next: Next)
    where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(socket) = set.get(h) else { return };
        let Role::Connection(tcb) = &socket.role else {
            return;
        };
        let deadline = tcb.deadline();
        let grown = socket.occupies() != socket.charged;
        set.resume(h, deadline, next.ready, next.news);
        if grown {
            self.count::<S>(set, cx, h);
        }
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
