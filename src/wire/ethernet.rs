//! Ethernet II (RFC 894).
//!
//! Invariant: fourteen octets are always a header; what follows is for `kind` to say.

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::Mac;

/// The header of an Ethernet frame. The frame check sequence is the device's business.
///
/// ```
/// use netstrata::wire::{Ethernet, Mac, ethertype};
/// let header = Ethernet { dst: Mac::BROADCAST, src: Mac([2, 0, 0, 0, 0, 1]), kind: ethertype::ARP };
/// let mut octets = [0; Ethernet::LEN];
/// header.emit(&mut octets);
/// assert_eq!(Ethernet::parse(&octets), header);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ethernet {
    /// Whom the frame is for.
    pub dst: Mac,
    /// Who sent it.
    pub src: Mac,
    /// [`ethertype`](super::ethertype) of the payload, or the length of an 802.3 frame.
    pub kind: u16,
}

impl Ethernet {
    /// Octets of the header.
    pub const LEN: usize = 14;

    /// Reads a header.
    pub fn parse(h: &[u8; 14]) -> Self {
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, k0, k1] = *h;
        Self {
            dst: Mac([d0, d1, d2, d3, d4, d5]),
            src: Mac([s0, s1, s2, s3, s4, s5]),
            kind: u16::from_be_bytes([k0, k1]),
        }
    }

    /// Cuts the header off a frame; `None` when the frame is shorter than that.
    pub fn split(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (h, rest) = frame.split_first_chunk()?;
        Some((Self::parse(h), rest))
    }

    /// Writes the header.
    pub fn emit(&self, h: &mut [u8; 14]) {
        h[0..6].copy_from_slice(&self.dst.0);
        h[6..12].copy_from_slice(&self.src.0);
        Be::write_u16(&mut h[12..14], self.kind);
    }

    /// Whether `kind` is the length of an IEEE 802.3 frame (LLC follows) instead of a type:
    /// types begin at 0x0600. RFC 1122 §2.3.3 lets a host ignore such frames.
    pub const fn is_802_3(&self) -> bool {
        self.kind < 0x0600
    }

    /// Replaces the destination of a frame in place.
    pub fn set_dst(h: &mut [u8; 14], dst: Mac) {
        h[0..6].copy_from_slice(&dst.0);
    }

    /// Replaces the source of a frame in place.
    pub fn set_src(h: &mut [u8; 14], src: Mac) {
        h[6..12].copy_from_slice(&src.0);
    }
}
