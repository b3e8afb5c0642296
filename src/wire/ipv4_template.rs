//! The header of packets that differ in length and identification only.
//!
//! Invariant: what [`Ipv4Template::emit`] writes is what [`Ipv4::emit`] writes for the same
//! header, length and identification; the checksum follows from one sum (RFC 1624 §2).

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::{Ipv4, Sum};

/// A header without its length, identification and checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ipv4Template {
    head: [u8; Ipv4::LEN],
    /// Sum of `head`.
    sum: Sum,
}

impl Ipv4Template {
    pub fn new(header: &Ipv4) -> Self {
        let mut head = [0; Ipv4::LEN];
        // A header without payload is no packet too long.
        let _ = header.emit(0, &mut head);
        head[2..6].fill(0);
        head[10..12].fill(0);
        Self {
            head,
            sum: Sum::of(&head),
        }
    }

    /// Changes DSCP and ECN bits (RFC 2474, RFC 3168).
    pub fn set_tos(&mut self, tos: u8) {
        self.head[1] = tos;
        self.sum = Sum::of(&self.head);
    }

    /// Writes the header of a packet with `payload_len` octets behind it, at most 65515.
    #[inline]
    pub fn emit(&self, payload_len: usize, ident: u16, h: &mut [u8; Ipv4::LEN]) {
        let total = (payload_len as u16).wrapping_add(Ipv4::LEN as u16);
        *h = self.head;
        Be::write_u16(&mut h[2..4], total);
        Be::write_u16(&mut h[4..6], ident);
        let sum = self.sum.add_u16(total).add_u16(ident);
        Be::write_u16(&mut h[10..12], sum.finish());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{IpHeader, protocol};

    #[test]
    fn templates_write_what_headers_write() {
        for tos in [0, 0xb8, 0xff] {
            let ip = IpHeader {
                tos,
                ttl: 3,
                ..IpHeader::new([10, 1, 2, 3].into(), [255; 4].into(), protocol::TCP)
            };
            let header = Ipv4 {
                dont_fragment: true,
                ident: 0xfedc,
                ..Ipv4::from_header(&ip).unwrap()
            };
            let mut template = Ipv4Template::new(&Ipv4 { dscp: 1, ..header });
            template.set_tos(tos);
            for len in [0, 1, 1480, 65_515] {
                let (mut whole, mut short) = ([0; 20], [0xee; 20]);
                header.emit(len, &mut whole).unwrap();
                template.emit(len, 0xfedc, &mut short);
                assert_eq!(whole, short);
            }
        }
    }
}
