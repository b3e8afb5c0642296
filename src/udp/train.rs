//! The way down for trains of datagrams: most go where the one before them went.
//!
//! Invariant: the way is found once and the header summed once for all datagrams of one label;
//! each is taken off the queue when it has left, and not before. Called by [`Udp`](super::Udp),
//! within one turn of egress, in which no route changes.

use core::ops::DerefMut;
use phy::{Csum, Gso, TxMeta};

use super::UdpSocket;
use super::queue::{self, Front};
use crate::error::TxError;
use crate::net::{Dest, Output, Path, Room};
use crate::socket::mailbox::Label;
use crate::wire::checksum::copy_and_sum;
use crate::wire::{Ipv4, Sum, Udp as Header, protocol};

/// The way of datagrams to one destination, found once.
pub(super) struct Way {
    path: Path,
    pub room: Room,
}

impl Way {
    pub fn find(out: &mut impl Output, to: Dest) -> Result<Self, TxError> {
        let path = out.path(to)?;
        let room = out.room(to.dst, to.src)?;
        Ok(Self { path, room })
    }

    /// The pseudo header (RFC 768), but for the length.
    fn pseudo(&self) -> Sum {
        Sum::pseudo(self.room.src, self.path.to().dst, protocol::UDP, 0)
    }

    /// Octets that the device takes at once to cut datagrams of `each` out of, if it takes more
    /// than one.
    pub fn cuts(&self, each: usize) -> Option<usize> {
        let offload = &self.room.offload;
        let limits = offload
            .uso
            .filter(|_| offload.tx_csum && self.takes(each))?;
        let most = limits.max_size as usize;
        let room = most.checked_sub(Ipv4::LEN.saturating_add(Header::LEN))?;
        let count = room.checked_div(each)?.min(limits.max_segments.into());
        (count > 1).then_some(count.saturating_mul(each))
    }

    /// Do so many octets of data go in one piece?
    #[inline]
    fn takes(&self, len: usize) -> bool {
        Header::LEN.saturating_add(len) <= self.room.payload
    }
}

/// Datagrams that go one way under one header.
pub(super) struct Train {
    label: Label,
    way: Way,
    header: Header,
    /// Sum of addresses, protocol and ports.
    sum: Sum,
}

impl Train {
    /// Of the oldest datagram of `socket`, which goes by `way`; `None` if no further one can be
    /// told to go the same way.
    pub fn of<B>(socket: &UdpSocket<B>, way: Way, header: Header) -> Option<Self>
    where
        B: DerefMut<Target = [u8]>,
    {
        let label = socket.label()?;
        let sum = way.pseudo().add_u16(header.src).add_u16(header.dst);
        Some(Self {
            label,
            way,
            header,
            sum,
        })
    }

    /// Sends what goes the same way, oldest first, at most `most`; returns how many left. Ends
    /// before the first that goes another way, or in pieces, or not now.
    pub fn send<B>(self, socket: &mut UdpSocket<B>, out: &mut impl Output, most: usize) -> usize
    where
        B: DerefMut<Target = [u8]>,
    {
        let way = &self.way;
        let mut gone = 0;
        while gone < most
            && socket.send_front(&self.label, |data| {
                way.takes(data.len())
                    && if way.room.offload.tx_csum {
                        send(out, way, self.header, data).is_ok()
                    } else {
                        self.send_copied(out, data).is_ok()
                    }
            })
        {
            gone += 1;
        }
        gone
    }

    /// Sends one datagram that is not too long, copied and summed in one pass.
    #[inline(always)]
    fn send_copied(&self, out: &mut impl Output, data: &[u8]) -> Result<(), TxError> {
        let all = Header::LEN.saturating_add(data.len());
        let Self { way, header, .. } = self;
        out.send_on(&way.path, all, [&[], &[]], TxMeta::NONE, |_, datagram| {
            if let Some((head, room)) = datagram.split_first_chunk_mut()
                && let Some(sum) = copy_and_sum(room, data)
            {
                // What fits an IP packet fits the length field, which counts twice.
                let len = all as u16;
                let sum = self.sum.add_u16(len).add_u16(len).add_sum(sum);
                *head = header.octets(len, sum);
            }
        })
    }
}

/// What became of datagrams of one record.
pub(super) struct Went {
    /// How many left.
    pub gone: usize,
    /// As how many packets.
    pub packets: usize,
    /// What became of the first that did not.
    pub result: Result<(), TxError>,
}

/// Sends what is left of a record, as one packet where the device cuts it, at most `most` packets.
pub(super) fn send_run(
    out: &mut impl Output,
    way: &Way,
    header: Header,
    front: &Front<'_>,
    most: usize,
) -> Went {
    let mut went = Went {
        gone: 0,
        packets: 0,
        result: Ok(()),
    };
    let Front { mut data, each, .. } = *front;
    let mut cut = way.cuts(each);
    // Each turn but the one that stops the cutting sends a datagram.
    while went.packets < most {
        let len = data.len().min(cut.unwrap_or(each));
        let (now, rest) = data.split_at_checked(len).unwrap_or((data, &[]));
        let sent = match now.len() > each {
            true => send_super(out, way, header, now, each as u16),
            false => send(out, way, header, now),
        };
        match sent {
            Ok(()) => {
                went.packets = went.packets.saturating_add(1);
                went.gone = went.gone.saturating_add(queue::count(now.len(), each));
                data = rest;
            }
            // What waits for a link address must be short.
            Err(TxError::TooBig(_)) if now.len() > each => cut = None,
            Err(error) => {
                went.result = Err(error);
                break;
            }
        }
        if data.is_empty() {
            break;
        }
    }
    went
}

/// Sends several datagrams of `each` octets, the last one perhaps shorter, which the device is to
/// cut apart: each gets the header, its own length and its own checksum.
fn send_super(
    out: &mut impl Output,
    way: &Way,
    header: Header,
    data: &[u8],
    each: u16,
) -> Result<(), TxError> {
    let meta = TxMeta {
        csum: Some(CSUM),
        gso: Some(Gso {
            mss: each,
            header: Header::LEN as u16,
        }),
        ..TxMeta::NONE
    };
    let len = data.len();
    out.send_on(&way.path, Header::LEN, [data, &[]], meta, |ip, head| {
        if let Some(head) = head.first_chunk_mut() {
            let _ = header.emit_partial(ip, len, head);
        }
    })
}

/// The checksum of a datagram, which a device completes.
const CSUM: Csum = Csum {
    start: 0,
    offset: Header::CHECKSUM_OFFSET as u16,
};

/// Sends one datagram, copied or gathered from where it is.
#[inline(never)]
pub(super) fn send(
    out: &mut impl Output,
    way: &Way,
    header: Header,
    data: &[u8],
) -> Result<(), TxError> {
    let len = data.len();
    if !way.takes(len) {
        return send_fragments(out, way, header, data);
    }
    // Sockets refuse what is too long for the length field, the only error of emitting there is.
    if way.room.offload.tx_csum {
        // A device completes the checksum of what it sees whole.
        let meta = TxMeta {
            csum: Some(CSUM),
            ..TxMeta::NONE
        };
        return out.send_on(&way.path, Header::LEN, [data, &[]], meta, |ip, head| {
            if let Some(head) = head.first_chunk_mut() {
                let _ = header.emit_partial(ip, len, head);
            }
        });
    }
    // One pass over the data sums and copies it.
    let all = Header::LEN.saturating_add(len);
    out.send_on(&way.path, all, [&[], &[]], TxMeta::NONE, |ip, datagram| {
        if let Some((head, room)) = datagram.split_first_chunk_mut()
            && let Some(sum) = copy_and_sum(room, data)
        {
            let _ = header.emit_summed(ip, len, sum, head);
        }
    })
}

/// Sends what does not fit the way in one piece.
#[cold]
fn send_fragments(
    out: &mut impl Output,
    way: &Way,
    header: Header,
    data: &[u8],
) -> Result<(), TxError> {
    let payload = [data, &[]];
    out.send_on(&way.path, Header::LEN, payload, TxMeta::NONE, |ip, head| {
        if let Some(head) = head.first_chunk_mut() {
            let _ = header.emit_summed(ip, data.len(), Sum::of(data), head);
        }
    })
}
