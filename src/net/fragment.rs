//! IP packets on their way down: the header in front of a payload, and the cutting of what
//! exceeds the link (RFC 791 §3.2).
//!
//! Invariant: the fragments of a datagram carry each of its octets exactly once, each but the
//! last a multiple of eight octets, all with one identification. Called by
//! [`output`](super::output) and [`answer`](super::answer) only.

use phy::{Abort, Csum, TxMeta};

use crate::error::TxError;
use crate::iface::PacketTx;
use crate::wire::{IpHeader, Ipv4, Sum};

/// Octets of an IPv4 packet at most, header included.
pub(crate) const MAX_PACKET: usize = 65_535;

/// Where a packet stands in its datagram, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment {
    pub ident: u16,
    pub dont_fragment: bool,
    pub more: bool,
    /// In octets, a multiple of 8.
    pub offset: u16,
}

impl Fragment {
    /// A whole datagram that may be fragmented on its way.
    pub const fn whole(ident: u16) -> Self {
        Self {
            ident,
            dont_fragment: false,
            more: false,
            offset: 0,
        }
    }

    /// A whole datagram that must stay whole; its identification means nothing (RFC 6864 §4.1).
    pub const fn atomic() -> Self {
        Self {
            dont_fragment: true,
            ..Self::whole(0)
        }
    }
}

/// Octets of an IP header without options.
pub(crate) const fn header_len(ip: &IpHeader) -> usize {
    if ip.dst.is_ipv4() { 20 } else { 40 }
}

/// Octets behind the IP header; [`TxError::TooBig`] for more than IP can carry.
#[inline]
pub(crate) fn body_len(ip: &IpHeader, head: usize, payload: [&[u8]; 2]) -> Result<usize, TxError> {
    let [a, b] = payload;
    let body = head
        .checked_add(a.len())
        .and_then(|n| n.checked_add(b.len()));
    body.filter(|body| *body <= MAX_PACKET - header_len(ip))
        .ok_or(TxError::TooBig(MAX_PACKET as u16))
}

/// Writes IP header and payload into `tx`, which is known to take as much.
pub(crate) fn emit<F>(
    tx: impl PacketTx,
    ip: &IpHeader,
    fragment: Fragment,
    head: usize,
    payload: [&[u8]; 2],
    meta: TxMeta,
    fill: F,
) -> Result<(), TxError>
where
    F: FnOnce(&IpHeader, &mut [u8]),
{
    let body = body_len(ip, head, payload)?;
    let header = Ipv4 {
        ident: fragment.ident,
        dont_fragment: fragment.dont_fragment,
        more_fragments: fragment.more,
        fragment_offset: fragment.offset,
        ..Ipv4::from_header(ip).ok_or(TxError::NoRoute)?
    };
    let meta = meta.shifted(Ipv4::LEN as u16);
    tx.send_gather(Ipv4::LEN + head, payload, meta, |packet| {
        let (h, body_front) = packet.split_first_chunk_mut().ok_or(Abort)?;
        header.emit(body, h).map_err(|_| Abort)?;
        fill(ip, body_front);
        Ok(())
    })
}

/// The pieces a datagram is cut into: offset, length, and whether more follow.
#[derive(Debug, Clone)]
pub(crate) struct Cuts {
    body: usize,
    each: usize,
    at: usize,
}

impl Cuts {
    /// For `body` octets behind the header, `room` of which fit a packet. `None` where not even
    /// eight do.
    pub fn new(body: usize, room: usize) -> Option<Self> {
        let each = room & !7;
        (each > 0).then_some(Self { body, each, at: 0 })
    }
    /// Octets of every piece but the last.
    pub const fn each(&self) -> usize {
        self.each
    }
}

impl Iterator for Cuts {
    type Item = (usize, usize, bool);

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.body.checked_sub(self.at).filter(|left| *left > 0)?;
        let len = left.min(self.each);
        let piece = (self.at, len, len < left);
        self.at += len;
        Some(piece)
    }
}

/// The `len` octets at `from` of two slices that follow each other.
pub(crate) fn part(payload: [&[u8]; 2], from: usize, len: usize) -> [&[u8]; 2] {
    let [a, b] = payload;
    let cut = |s: &'_ [u8], from: usize, to: usize| -> (usize, usize) {
        let from = from.min(s.len());
        (from, to.clamp(from, s.len()))
    };
    let to = from.saturating_add(len);
    let (a0, a1) = cut(a, from, to);
    let (b0, b1) = cut(b, from.saturating_sub(a.len()), to.saturating_sub(a.len()));
    [a.get(a0..a1).unwrap_or(&[]), b.get(b0..b1).unwrap_or(&[])]
}

/// Completes a checksum that was left to a device which will not see the datagram whole. What
/// stands in the field is the sum of the pseudo-header. Zero is written as all ones, which is
/// right for UDP and the same number for everybody else (RFC 768, RFC 1071).
pub(crate) fn complete(csum: Csum, head: &mut [u8], payload: [&[u8]; 2]) {
    let start = usize::from(csum.start);
    let Some(covered) = head.get(start..) else {
        return;
    };
    let [a, b] = payload;
    let sum = Sum::of(covered).add_bytes(a).add_bytes(b).finish();
    let sum = if sum == 0 { 0xffff } else { sum };
    let at = start.saturating_add(usize::from(csum.offset));
    if let Some(field) = head.get_mut(at..).and_then(|h| h.first_chunk_mut()) {
        *field = sum.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_everything_once_in_units_of_eight() {
        for body in [1, 7, 8, 9, 1480, 1481, 65_515] {
            for room in [8, 15, 48, 1480] {
                let mut next = 0;
                let mut last = true;
                for (at, len, more) in Cuts::new(body, room).unwrap() {
                    assert_eq!(at, next);
                    assert!(len <= room && (!more || len % 8 == 0));
                    (next, last) = (at + len, more);
                }
                assert_eq!((next, last), (body, false));
            }
        }
        assert!(Cuts::new(100, 7).is_none());
    }

    #[test]
    fn parts_of_two_slices() {
        let payload: [&[u8]; 2] = [b"abc", b"defg"];
        for from in 0..9 {
            for len in 0..9 {
                let [a, b] = part(payload, from, len);
                let whole = b"abcdefg";
                let (from, to) = (from.min(7), (from + len).min(7));
                let (front, back) = whole.get(from..to).unwrap().split_at(a.len());
                assert_eq!((a, b), (front, back));
            }
        }
    }

    #[test]
    fn a_checksum_meant_for_a_device_is_completed() {
        let ip = IpHeader::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 17);
        let udp = crate::wire::Udp { src: 1, dst: 2 };
        let mut whole = *b"........odd size";
        udp.emit(&ip, whole.get_mut(..15).unwrap()).unwrap();
        let mut head = [0; 8];
        udp.emit_partial(&ip, 7, &mut head).unwrap();
        let csum = Csum {
            start: 0,
            offset: 6,
        };
        complete(csum, &mut head, [b"odd", b" siz"]);
        assert_eq!(Some(&head[..]), whole.get(..8));
        // Offsets beyond the head change nothing and do not panic.
        let far = Csum {
            start: 7,
            offset: 9,
        };
        complete(far, &mut head, [b"", b""]);
        assert_eq!(Some(&head[..]), whole.get(..8));
    }
}
