//! The seam between IP and the protocols above it.
//!
//! A [`Transport`] owns the behaviour of one protocol; its sockets live in a table of the
//! stack's storage. Transports never call each other; the tuple they stand in ([`mod@tuple`])
//! decides who gets a packet.

pub mod datagram;
pub mod endpoint;
pub mod port;
pub mod tuple;

pub use datagram::{Failure, RecvError, SendError, Why};
pub use endpoint::Endpoint;
pub use port::{Ports, Share};
pub use tuple::{At, Holds, Transports};

use crate::context::Cx;
use crate::iface::PacketTx;
use crate::net::{Answer, IcmpError, Ingress, Output};
use phy::{Instant, RxMeta};

/// A protocol above IP whose sockets live in storage `S`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a transport protocol over `{S}` storage",
    note = "transports implement `Transport<S>` for every storage that `Stores` their sockets"
)]
pub trait Transport<S> {
    /// The protocol's socket table, or [`NoSockets`](crate::socket::NoSockets).
    type Set;

    /// The one IP protocol that it [claims](Self::claims), all packets of it and no others, if
    /// that is how it is.
    const PROTOCOL: Option<u8> = None;

    /// Whether it takes packets by [`again`](Self::again); needs a [`PROTOCOL`](Self::PROTOCOL).
    const AGAIN: bool = false;

    /// Called once, before anything else.
    fn start(&mut self, set: &mut Self::Set, cx: &mut Cx) {
        let _ = (set, cx);
    }

    /// Is the packet this protocol's? Asked in tuple order; the first to claim gets it.
    fn claims(&self, packet: &Ingress<'_>) -> bool;

    /// A packet arrived. Answer at most once and at once; anything else is left to `egress`.
    fn ingress<T: PacketTx>(
        &mut self,
        set: &mut Self::Set,
        cx: &mut Cx,
        packet: Ingress<'_>,
        answer: Answer<'_, T>,
    );

    /// A packet like the last one that `ingress` got arrived in the same batch: whole, for us
    /// alone, with the same addresses, TTL and service, and with the same first four octets
    /// behind the IP header. False, and nothing done, leaves it to `ingress`. Called only where
    /// [`AGAIN`](Self::AGAIN) is set.
    fn again(&mut self, set: &mut Self::Set, cx: &mut Cx, payload: &[u8], meta: &RxMeta) -> bool {
        let _ = (set, cx, payload, meta);
        false
    }

    /// An ICMP error came about a packet that may have been this protocol's. True if it was,
    /// and belongs to a socket, and stands the tests of RFC 5927.
    fn icmp_error(&mut self, set: &mut Self::Set, cx: &mut Cx, error: &IcmpError<'_>) -> bool {
        let _ = (set, cx, error);
        false
    }

    /// Runs what is due. Must only change state and wake sockets.
    fn timers(&mut self, set: &mut Self::Set, cx: &mut Cx) {
        let _ = (set, cx);
    }

    /// Sends for ready sockets until none is ready, the link is full or `budget` packets are
    /// sent; returns how many were.
    fn egress(
        &mut self,
        set: &mut Self::Set,
        cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize {
        let _ = (set, cx, out, budget);
        0
    }

    /// Link addresses were learned, or lookups failed: parked sockets may try again.
    fn unpark(&mut self, set: &mut Self::Set) {
        let _ = set;
    }

    /// Has some socket something to send?
    fn ready(&self, set: &Self::Set) -> bool {
        let _ = set;
        false
    }

    /// When `timers` has work.
    fn deadline(&self, set: &Self::Set) -> Option<Instant> {
        let _ = set;
        None
    }
}
