//! ICMP for hosts (RFC 792, RFC 1122 §3.2.2): echo is answered at once, and programs that ask
//! have sockets.
//!
//! Invariant: an answer is caused by one request and is no longer than it; what waits for
//! egress because it must be fragmented is bounded in number. ICMP *errors* do not come this
//! way: the stack validates them and asks every protocol whose packet it was.

#[cfg(feature = "alloc")]
mod large;
pub mod socket;

/// The same by another name, beside the other protocols' `Socket`s.
pub use socket::PingSocket as Socket;
pub use socket::{Event, PingSocket, Received};

use phy::{Instant, TxMeta};

use crate::context::Cx;
use crate::error::{Drop, TxError};
use crate::iface::{Cast, PacketTx};
use crate::net::{Answer, Dest, ErrorKind, IcmpError, Ingress, Output};
use crate::socket::{Bytes, Handle, SocketSet, Stores};
use crate::transport::Transport;
use crate::transport::datagram::{Sent, Why, send_for_ready};
use crate::transport::port::{Ports, Share};
use crate::wire::{Icmpv4, Sum, protocol};

/// ICMP as a protocol of a stack.
///
/// ```
/// use netstrata::icmp::Icmp;
/// let quiet = Icmp::default().answering(false);
/// # let _ = quiet;
/// ```
#[derive(Debug)]
pub struct Icmp {
    answers: bool,
    answers_broadcast: bool,
    idents: Ports,
    #[cfg(feature = "alloc")]
    large: large::Replies,
}

impl Default for Icmp {
    /// Answers echo requests sent to us alone.
    fn default() -> Self {
        Self {
            answers: true,
            answers_broadcast: false,
            idents: Ports::new(1..=u16::MAX),
            #[cfg(feature = "alloc")]
            large: large::Replies::default(),
        }
    }
}

impl Icmp {
    /// Whether echo requests to us alone are answered (RFC 1122 §3.2.2.6 wants it).
    #[must_use]
    pub const fn answering(mut self, on: bool) -> Self {
        self.answers = on;
        self
    }

    /// Whether echo requests to broadcast addresses and groups are answered as well, where
    /// there is an allocator. Off, because a forged request makes everybody answer its victim.
    #[must_use]
    pub const fn answering_broadcast(mut self, on: bool) -> Self {
        self.answers_broadcast = on;
        self
    }

    /// ICMP as one of several stacks with one address: its echo identifiers are those of `share`.
    #[must_use]
    pub fn sharing(mut self, share: Share) -> Self {
        self.idents = self.idents.sharing(share);
        self
    }

    /// Answers an echo request: one copy, and an RFC 1624 update for the checksum.
    fn answer<T: PacketTx>(&mut self, cx: &mut Cx, packet: &Ingress<'_>, mut to: Answer<'_, T>) {
        let wanted = if packet.unicast {
            self.answers
        } else {
            self.answers_broadcast
        };
        if !wanted {
            cx.drop(Drop::Filtered);
            return;
        }
        let request = &*packet.payload;
        // What exceeds the link has to be cut, and what came to many has no address of ours to
        // be answered from: both need the way down.
        if !packet.unicast || request.len() > to.room() {
            self.answer_later(cx, packet);
            return;
        }
        // RFC 1349 §5.1: the same service as the request; congestion is not its business.
        to.ip_mut().tos = packet.ip.tos & !3;
        let sent = to.send(request.len(), |_, reply| {
            reply.copy_from_slice(request);
            Icmpv4::set_echo_reply(reply);
        });
        match sent {
            Ok(()) => cx.stats.icmp_echoes = cx.stats.icmp_echoes.wrapping_add(1),
            Err(_) => cx.drop(Drop::TxFull),
        }
    }

    #[cfg(feature = "alloc")]
    fn answer_later(&mut self, cx: &mut Cx, packet: &Ingress<'_>) {
        if !self.large.push(packet) {
            cx.drop(Drop::Memory);
        }
    }

    #[cfg(feature = "alloc")]
    fn send_large(&mut self, cx: &mut Cx, out: &mut impl Output, budget: usize) -> usize {
        self.large.send(cx, out, budget)
    }

    #[cfg(not(feature = "alloc"))]
    fn send_large(&mut self, _cx: &mut Cx, _out: &mut impl Output, _budget: usize) -> usize {
        0
    }

    #[cfg(not(feature = "alloc"))]
    fn answer_later(&mut self, cx: &mut Cx, _packet: &Ingress<'_>) {
        cx.drop(Drop::Memory);
    }
}

impl<S: Stores<PingSocket<Bytes<S>>>> Transport<S> for Icmp {
    type Set = S::Set;

    // Over IPv4, of which alone packets are alike.
    const PROTOCOL: Option<u8> = Some(protocol::ICMP);

    fn start(&mut self, set: &mut S::Set, cx: &mut Cx) {
        set.start(&cx.secret);
        self.idents.start(&cx.secret);
    }

    fn claims(&self, packet: &Ingress<'_>) -> bool {
        packet.ip.proto == protocol::ICMP && packet.ip.dst.is_ipv4()
    }

    fn ingress<T: PacketTx>(
        &mut self,
        set: &mut S::Set,
        cx: &mut Cx,
        packet: Ingress<'_>,
        answer: Answer<'_, T>,
    ) {
        match Icmpv4::parse(packet.payload) {
            Ok((Icmpv4::EchoRequest { .. }, _)) => self.answer(cx, &packet, answer),
            Ok((Icmpv4::EchoReply { ident, seq }, data)) => {
                let Some(h) = set.lookup(&ident).filter(|_| packet.unicast) else {
                    cx.drop(Drop::NoSocket);
                    return;
                };
                let taken = set
                    .get_mut(h)
                    .is_some_and(|socket| socket.reply(cx.now, &packet.ip, seq, data));
                if taken {
                    set.notify(h);
                } else {
                    cx.drop(Drop::SocketFull);
                }
            }
            // Timestamps and masks need not be answered (RFC 1122 §3.2.2.8, §3.2.2.9), and what
            // is unknown is dropped in silence (§3.2.2).
            Ok(_) => cx.drop(Drop::UnknownProtocol),
            Err(error) => cx.drop(error.into()),
        }
    }

    fn icmp_error(&mut self, set: &mut S::Set, cx: &mut Cx, error: &IcmpError<'_>) -> bool {
        // The transport part may be cut short, so its checksum cannot be asked.
        let request = match Icmpv4::parse_unverified(error.payload) {
            Ok((Icmpv4::EchoRequest { ident, seq }, _)) if error.quoted.proto == protocol::ICMP => {
                Some((ident, seq))
            }
            _ => None,
        };
        let Some((h, seq)) = request.and_then(|(ident, seq)| Some((set.lookup(&ident)?, seq)))
        else {
            return false;
        };
        let Some(socket) = set.get_mut(h) else {
            return false;
        };
        // Only what forbids fragmentation can have been too big.
        if matches!(error.kind, ErrorKind::PacketTooBig(_)) && !error.dont_fragment {
            return false;
        }
        if socket.failed(cx.now, error, seq) {
            set.notify(h);
        } else {
            cx.drop(Drop::SocketFull);
        }
        true
    }

    fn egress(
        &mut self,
        set: &mut S::Set,
        cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize {
        let large = self.send_large(cx, out, budget);
        let left = budget.saturating_sub(large);
        let sent = send_for_ready(set, left, |set, h| self.serve(set, h, cx, out));
        large.saturating_add(sent)
    }

    fn unpark(&mut self, set: &mut S::Set) {
        set.unpark();
    }

    fn ready(&self, set: &S::Set) -> bool {
        #[cfg(feature = "alloc")]
        if !self.large.is_empty() {
            return true;
        }
        set.any_ready()
    }

    fn deadline(&self, set: &S::Set) -> Option<Instant> {
        set.next_deadline()
    }
}

impl Icmp {
    /// Sends the oldest request of one socket; `None` if it has none.
    fn serve<B, Set>(
        &mut self,
        set: &mut Set,
        h: Handle<PingSocket<B>>,
        cx: &mut Cx,
        out: &mut impl Output,
    ) -> Option<Sent>
    where
        B: core::ops::DerefMut<Target = [u8]>,
        Set: SocketSet<PingSocket<B>>,
    {
        if set.get(h)?.ident().is_none() {
            let free = self.idents.random(|ident| set.lookup(&ident).is_none());
            if let Some(ident) = free {
                set.get_mut(h)?.name(ident);
                // Cannot fail: nobody has it.
                let _ = set.rekey(h);
            }
        }
        let socket = set.get_mut(h)?;
        let Some((to, seq, data)) = socket.front() else {
            if socket.is_released() {
                set.remove(h);
            }
            return None;
        };
        let ident = socket.ident().unwrap_or(0);
        let room = out.room(to.dst, to.src);
        let us = room.map_or(to.src, |room| Some(room.src));
        let sent = match room {
            Ok(room) if room.cast == Cast::Broadcast && !socket.broadcast() => {
                Sent::Lost(Some(Why::Broadcast))
            }
            Ok(_) if ident == 0 => Sent::Lost(Some(Why::InUse)),
            Ok(_) => send_echo(out, to, (ident, seq), data).into(),
            Err(error) => Err::<(), TxError>(error).into(),
        };
        match sent {
            Sent::Full | Sent::Park => return Some(sent),
            Sent::Gone => {}
            Sent::Lost(why) => {
                if let Some(why) = why {
                    socket.lost(cx.now, (us, to.dst), seq, why);
                    set.notify(h);
                }
            }
        }
        let socket = set.get_mut(h)?;
        if socket.pop() {
            set.notify(h);
        }
        Some(sent)
    }
}

/// Sends an echo request whose data is gathered from where it is.
fn send_echo(
    out: &mut impl Output,
    to: Dest,
    (ident, seq): (u16, u16),
    data: &[u8],
) -> Result<(), TxError> {
    let sum = Sum::of(data);
    out.send_gather(to, Icmpv4::LEN, [data, &[]], TxMeta::NONE, |_, head| {
        // Fails only for less than eight octets.
        let _ = Icmpv4::EchoRequest { ident, seq }.emit(head);
        if let Some(field) = head.get_mut(2..4).and_then(|f| f.first_chunk_mut::<2>()) {
            let head = !u16::from_be_bytes(*field);
            let whole = Sum::ZERO.add_u16(head).add_sum(sum).finish();
            *field = whole.to_be_bytes();
        }
    })
}
