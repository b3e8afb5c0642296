//! IEEE 802.1Q tags.
//!
//! Invariant: a tag is the four octets behind a type field of [`ethertype::VLAN`] (or
//! [`ethertype::QINQ`]): tag control information, then the type of what follows.
//!
//! [`ethertype::VLAN`]: super::ethertype::VLAN
//! [`ethertype::QINQ`]: super::ethertype::QINQ

use byteorder::{ByteOrder, NetworkEndian as Be};

/// A tag: the four octets after the outer type field.
///
/// ```
/// use netstrata::wire::{Vlan, ethertype};
/// let tag = Vlan { pcp: 3, dei: false, vid: 42, kind: ethertype::IPV4 };
/// let mut octets = [0; Vlan::LEN];
/// tag.emit(&mut octets);
/// assert_eq!(octets, [0x60, 42, 0x08, 0x00]);
/// assert_eq!(Vlan::parse(&octets), tag);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vlan {
    /// Priority, 0 to 7.
    pub pcp: u8,
    /// Whether the frame may be dropped first.
    pub dei: bool,
    /// VLAN number, 0 to 4095. 0 tags priority only; 4095 is reserved.
    pub vid: u16,
    /// Type of what follows.
    pub kind: u16,
}

impl Vlan {
    /// Octets of a tag.
    pub const LEN: usize = 4;

    /// Reads a tag.
    pub fn parse(h: &[u8; 4]) -> Self {
        let tci = Be::read_u16(&h[0..2]);
        Self {
            pcp: (tci >> 13) as u8,
            dei: tci & 0x1000 != 0,
            vid: tci & 0x0fff,
            kind: Be::read_u16(&h[2..4]),
        }
    }

    /// Writes the tag. Bits of `pcp` and `vid` beyond their range are not written.
    pub fn emit(&self, h: &mut [u8; 4]) {
        let tci = u16::from(self.pcp & 7) << 13 | u16::from(self.dei) << 12 | self.vid & 0x0fff;
        Be::write_u16(&mut h[0..2], tci);
        Be::write_u16(&mut h[2..4], self.kind);
    }
}
