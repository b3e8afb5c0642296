//! The way up for runs of datagrams: most are of the flow that the last one was of.
//!
//! Invariant: what is done here is what [`Udp`](super::Udp) would do for such a datagram. The
//! socket has been told that there is news, nothing has been renamed or removed since, and what
//! is unusual, a wrong checksum or a full buffer included, is left to it, untouched.

use core::ops::DerefMut;
use phy::RxCsum;

use super::UdpSocket;
use crate::socket::mailbox::{Label, Meta};
use crate::socket::{Handle, SocketSet};
use crate::wire::{IpHeader, Sum, Udp as Header};

/// What the datagrams of one flow have in common.
#[derive(Debug)]
pub(super) struct Run {
    slot: u32,
    generation: u32,
    label: Label,
    /// Sum of addresses, protocol and ports.
    sum: Sum,
}

impl Run {
    /// Of datagrams like the one that `h` got; `None` without IPv4 addresses.
    #[inline]
    pub fn of<B>(h: Handle<UdpSocket<B>>, ip: &IpHeader, udp: Header, meta: &Meta) -> Option<Self> {
        Some(Self {
            slot: h.slot(),
            generation: h.generation(),
            label: Label::of(meta)?,
            sum: ip.pseudo(0).add_u16(udp.src).add_u16(udp.dst),
        })
    }

    /// Gives the flow's socket a further datagram; false if that is for others to do.
    #[inline]
    pub fn deliver<B, Set>(&self, set: &mut Set, datagram: &[u8], csum: RxCsum) -> bool
    where
        B: DerefMut<Target = [u8]>,
        Set: SocketSet<UdpSocket<B>>,
    {
        let Some((h, rest)) = datagram.split_first_chunk::<{ Header::LEN }>() else {
            return false;
        };
        let [.., l0, l1, c0, c1] = *h;
        let (len, field) = (u16::from_be_bytes([l0, l1]), u16::from_be_bytes([c0, c1]));
        let data = usize::from(len)
            .checked_sub(Header::LEN)
            .and_then(|len| rest.get(..len));
        let Some(data) = data else { return false };
        // The length counts twice: in the pseudo header and in the header itself (RFC 768).
        let sum = match csum {
            RxCsum::Unknown if field != 0 => {
                Some(self.sum.add_u16(len).add_u16(len).add_u16(field))
            }
            RxCsum::Unknown | RxCsum::Valid => None,
        };
        let h = Handle::new(self.slot, self.generation);
        set.get_mut(h)
            .is_some_and(|socket| socket.deliver_like(&self.label, data, sum))
    }
}
