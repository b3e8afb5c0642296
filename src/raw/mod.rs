//! Packets of whole IP protocols: for protocols that a program speaks itself.
//!
//! Invariant: it claims the protocols it was made for and no others; whatever stands before it
//! in the tuple of transports comes first.

pub mod socket;

pub use socket::RawSocket;
/// The same by another name, beside the other protocols' `Socket`s.
pub use socket::RawSocket as Socket;

use phy::{Instant, TxMeta};

use crate::context::Cx;
use crate::error::{Drop, TxError};
use crate::iface::{Cast, PacketTx};
use crate::net::unreach::send_error;
use crate::net::{Answer, ErrorKind, IcmpError, Ingress, Output};
use crate::socket::{Bytes, Handle, SocketSet, Stores};
use crate::transport::Transport;
use crate::transport::datagram::{Failure, Sent, Why, send_for_ready};

/// Raw IP as a protocol of a stack.
///
/// ```
/// use netstrata::raw::Raw;
/// let ospf_and_gre = Raw::default().with(89).with(47);
/// # let _ = ospf_and_gre;
/// ```
#[derive(Debug, Default, Clone)]
pub struct Raw {
    /// A bit for each protocol number.
    claimed: [u64; 4],
}

impl Raw {
    /// Claims packets of IP protocol `proto` too.
    #[must_use]
    pub const fn with(mut self, proto: u8) -> Self {
        self.claimed[(proto >> 6) as usize] |= 1 << (proto & 63);
        self
    }

    fn claims_protocol(&self, proto: u8) -> bool {
        let word = self.claimed.get(usize::from(proto >> 6));
        word.is_some_and(|word| word >> (proto & 63) & 1 != 0)
    }
}

impl<S: Stores<RawSocket<Bytes<S>>>> Transport<S> for Raw {
    type Set = S::Set;

    fn start(&mut self, set: &mut S::Set, cx: &mut Cx) {
        set.start(&cx.secret);
    }

    fn claims(&self, packet: &Ingress<'_>) -> bool {
        self.claims_protocol(packet.ip.proto)
    }

    fn ingress<T: PacketTx>(
        &mut self,
        set: &mut S::Set,
        cx: &mut Cx,
        packet: Ingress<'_>,
        answer: Answer<'_, T>,
    ) {
        let Some(h) = set.lookup(&packet.ip.proto) else {
            cx.drop(Drop::NoSocket);
            send_error(cx, &packet, answer, ErrorKind::ProtocolUnreachable);
            return;
        };
        let socket = set.get_mut(h);
        if socket.is_some_and(|socket| socket.deliver(&packet)) {
            set.notify(h);
        } else {
            cx.drop(Drop::SocketFull);
        }
    }

    fn icmp_error(&mut self, set: &mut S::Set, _cx: &mut Cx, error: &IcmpError<'_>) -> bool {
        let Some(h) = set.lookup(&error.quoted.proto) else {
            return false;
        };
        let why = match error.kind {
            ErrorKind::PacketTooBig(_) if !error.dont_fragment => return false,
            ErrorKind::PacketTooBig(mtu) => Why::TooBig(mtu),
            kind => Why::Icmp(kind),
        };
        if let Some(socket) = set.get_mut(h) {
            let peer = (error.quoted.dst, 0).into();
            socket.fail(Failure { why, peer });
        }
        set.notify(h);
        true
    }

    fn egress(
        &mut self,
        set: &mut S::Set,
        _cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize {
        send_for_ready(set, budget, |set, h| serve(set, h, out))
    }

    fn unpark(&mut self, set: &mut S::Set) {
        set.unpark();
    }

    fn ready(&self, set: &S::Set) -> bool {
        set.any_ready()
    }

    fn deadline(&self, set: &S::Set) -> Option<Instant> {
        set.next_deadline()
    }
}

/// Sends the oldest packet of one socket; `None` if it has none.
fn serve<B, Set>(set: &mut Set, h: Handle<RawSocket<B>>, out: &mut impl Output) -> Option<Sent>
where
    B: core::ops::DerefMut<Target = [u8]>,
    Set: SocketSet<RawSocket<B>>,
{
    let socket = set.get_mut(h)?;
    let Some((to, data)) = socket.front() else {
        if socket.is_released() {
            set.remove(h);
        }
        return None;
    };
    let sent = match out.room(to.dst, to.src) {
        Ok(room) if room.cast == Cast::Broadcast && !socket.broadcast() => {
            Sent::Lost(Some(Why::Broadcast))
        }
        Ok(_) => out
            .send_gather(to, 0, [data, &[]], TxMeta::NONE, |_, _| {})
            .into(),
        Err(error) => Err::<(), TxError>(error).into(),
    };
    let socket = set.get_mut(h)?;
    if let Sent::Full | Sent::Park = sent {
        return Some(sent);
    }
    if let Sent::Lost(Some(why)) = sent {
        let peer = (to.dst, 0).into();
        socket.fail(Failure { why, peer });
    }
    if socket.pop() || matches!(sent, Sent::Lost(Some(_))) {
        set.notify(h);
    }
    Some(sent)
}
