//! Tuples of one to six protocols, and finding the table of a socket kind in them.

use crate::context::{Cx, sooner};
use crate::error::Drop;
use crate::iface::PacketTx;
use crate::net::unreach::send_error;
use crate::net::{Answer, ErrorKind, IcmpError, Ingress, Output};
use crate::socket::{Socket, SocketSet};
use crate::transport::Transport;
use phy::{Instant, RxMeta};

/// The protocols of a stack: a tuple of [`Transport`]s. Packets go to the first that claims
/// them; what nobody claims is answered "protocol unreachable".
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of transport protocols over `{S}` storage",
    label = "expected a tuple of transports",
    note = "write a tuple even for one protocol: `(Udp,)`; up to six fit"
)]
#[expect(missing_docs, reason = "each method is `Transport`'s, for all of them")]
pub trait Transports<S> {
    /// One table for each protocol.
    type Tables;
    fn start(&mut self, t: &mut Self::Tables, cx: &mut Cx);
    fn ingress<T: PacketTx>(
        &mut self,
        t: &mut Self::Tables,
        cx: &mut Cx,
        packet: Ingress<'_>,
        answer: Answer<'_, T>,
    );
    fn runs(proto: u8) -> bool;
    fn again(
        &mut self,
        t: &mut Self::Tables,
        cx: &mut Cx,
        proto: u8,
        payload: &[u8],
        meta: &RxMeta,
    ) -> bool;
    fn icmp_error(&mut self, t: &mut Self::Tables, cx: &mut Cx, error: &IcmpError<'_>) -> bool;
    fn timers(&mut self, t: &mut Self::Tables, cx: &mut Cx);
    fn egress(
        &mut self,
        t: &mut Self::Tables,
        cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize;
    fn unpark(&mut self, t: &mut Self::Tables);
    fn ready(&self, t: &Self::Tables) -> bool;
    fn deadline(&self, t: &Self::Tables) -> Option<Instant>;
}

/// The tables `Self` has one for sockets of kind `K`, at position `At`, which is inferred.
#[diagnostic::on_unimplemented(
    message = "this stack has no layer for sockets of this kind",
    label = "no table of this stack keeps `{K}`",
    note = "add the protocol to the stack's transports, e.g. `(Icmp, Udp, Tcp<Cubic>)`"
)]
pub trait Holds<K: Socket, At> {
    /// The table's type.
    type Set: SocketSet<K>;
    /// The table.
    fn set(&mut self) -> &mut Self::Set;
}

/// Position of a table in the tuple; always inferred.
#[derive(Debug)]
pub struct At<const N: usize>;

macro_rules! tuples {
    ($($count:literal ($($P:ident $n:tt),+);)+) => {$(
        impl<S, $($P: Transport<S>),+> Transports<S> for ($($P,)+) {
            type Tables = ($($P::Set,)+);
            fn start(&mut self, t: &mut Self::Tables, cx: &mut Cx) {
                $(self.$n.start(&mut t.$n, cx);)+
            }
            fn ingress<T: PacketTx>(
                &mut self, t: &mut Self::Tables, cx: &mut Cx, packet: Ingress<'_>, answer: Answer<'_, T>,
            ) {
                $(if self.$n.claims(&packet) {
                    return self.$n.ingress(&mut t.$n, cx, packet, answer);
                })+
                cx.drop(Drop::UnknownProtocol);
                send_error(cx, &packet, answer, ErrorKind::ProtocolUnreachable);
            }
            // Whoever stands before the protocol's own could claim any packet of it, unless it says
            // which it claims.
            #[inline]
            fn runs(proto: u8) -> bool {
                $(match $P::PROTOCOL {
                    Some(own) if own == proto => return $P::AGAIN,
                    Some(_) => {}
                    None => return false,
                })+
                false
            }
            #[inline]
            fn again(
                &mut self, t: &mut Self::Tables, cx: &mut Cx, proto: u8, payload: &[u8], meta: &RxMeta,
            ) -> bool {
                $(match $P::PROTOCOL {
                    Some(own) if own == proto => {
                        return $P::AGAIN && self.$n.again(&mut t.$n, cx, payload, meta);
                    }
                    Some(_) => {}
                    None => return false,
                })+
                false
            }
            fn icmp_error(&mut self, t: &mut Self::Tables, cx: &mut Cx, error: &IcmpError<'_>) -> bool {
                false $(|| self.$n.icmp_error(&mut t.$n, cx, error))+
            }
            fn timers(&mut self, t: &mut Self::Tables, cx: &mut Cx) {
                $(self.$n.timers(&mut t.$n, cx);)+
            }
            #[inline(always)]
            fn egress(&mut self, t: &mut Self::Tables, cx: &mut Cx, out: &mut impl Output, budget: usize) -> usize {
                // Another protocol goes first each turn, so that a busy one starves nobody.
                let mut left = budget;
                let count: usize = $count;
                for turn in 0..count {
                    match (cx.turn.wrapping_add(turn)) % count {
                        $($n => left = left.saturating_sub(self.$n.egress(&mut t.$n, cx, out, left)),)+
                        _ => {}
                    }
                }
                budget - left
            }
            fn unpark(&mut self, t: &mut Self::Tables) {
                $(self.$n.unpark(&mut t.$n);)+
            }
            fn ready(&self, t: &Self::Tables) -> bool {
                false $(|| self.$n.ready(&t.$n))+
            }
            fn deadline(&self, t: &Self::Tables) -> Option<Instant> {
                let mut soonest = None;
                $(soonest = sooner(soonest, self.$n.deadline(&t.$n));)+
                soonest
            }
        }
    )+};
}

tuples! {
    1 (A 0);
    2 (A 0, B 1);
    3 (A 0, B 1, C 2);
    4 (A 0, B 1, C 2, D 3);
    5 (A 0, B 1, C 2, D 3, E 4);
    6 (A 0, B 1, C 2, D 3, E 4, F 5);
}

macro_rules! holds {
    ($(($($X:ident),*) $T:ident $n:tt ($($Y:ident),*);)+) => {$(
        impl<K: Socket, $($X,)* $T: SocketSet<K>, $($Y,)*> Holds<K, At<$n>> for ($($X,)* $T, $($Y,)*) {
            type Set = $T;
            fn set(&mut self) -> &mut $T {
                &mut self.$n
            }
        }
    )+};
}

holds! {
    () T 0 ();
    () T 0 (A); (A) T 1 ();
    () T 0 (A, B); (A) T 1 (B); (A, B) T 2 ();
    () T 0 (A, B, C); (A) T 1 (B, C); (A, B) T 2 (C); (A, B, C) T 3 ();
    () T 0 (A, B, C, D); (A) T 1 (B, C, D); (A, B) T 2 (C, D); (A, B, C) T 3 (D); (A, B, C, D) T 4 ();
    () T 0 (A, B, C, D, E); (A) T 1 (B, C, D, E); (A, B) T 2 (C, D, E); (A, B, C) T 3 (D, E);
    (A, B, C, D) T 4 (E); (A, B, C, D, E) T 5 ();
}
