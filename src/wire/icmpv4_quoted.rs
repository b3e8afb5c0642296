//! The packet an ICMP error quotes (RFC 792, RFC 1812 §4.3.2.3).
//!
//! Invariant: nothing quoted is trusted: it may be cut short, rewritten on the way, or invented.
//! The transport it names decides whether it is about something it sent (RFC 5927 §4).

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::{IpHeader, Ipv4, WireError, protocol};

/// What an ICMP error says of the packet it is about: the front of that packet.
///
/// ```
/// use netstrata::wire::{Ipv4, Quoted, protocol};
/// let mut lost = [0; 28];
/// let ip = Ipv4::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::UDP);
/// // It had 100 octets of payload; the error quotes eight: ports 7 and 9, and so on.
/// ip.emit(100, lost.first_chunk_mut().unwrap()).unwrap();
/// lost[20..24].copy_from_slice(&[0, 7, 0, 9]);
/// let quoted = Quoted::parse(&lost).unwrap();
/// assert_eq!((quoted.ip, quoted.payload_len, quoted.ports()), (ip, 100, Some((7, 9))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// Its header. We sent it, so `src` should be ours.
    pub ip: Ipv4,
    /// Octets of transport header and data the packet had, as its header said.
    pub payload_len: usize,
    /// Those of them that are quoted: eight as a rule (RFC 792), more from modern routers.
    pub transport: &'a [u8],
}

impl<'a> Quoted<'a> {
    /// Reads the data of an ICMP error. The header checksum is not verified, since routers
    /// change what they quote; that the packet is cut short is normal.
    ///
    /// # Errors
    /// As [`Ipv4::parse_front`].
    pub fn parse(data: &'a [u8]) -> Result<Self, WireError> {
        let front = Ipv4::parse_front(data)?;
        Ok(Self {
            ip: front.ip,
            payload_len: front.payload_len,
            transport: front.payload,
        })
    }

    /// The version-independent view of the quoted header.
    pub const fn header(&self) -> IpHeader {
        self.ip.header()
    }

    /// Source and destination port, when the quoted protocol is TCP or UDP, the quote begins at
    /// the transport header, and they are there.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let has_ports = matches!(self.ip.protocol, protocol::TCP | protocol::UDP);
        let h: &[u8; 4] = self.transport.first_chunk()?;
        (has_ports && self.ip.fragment_offset == 0)
            .then(|| (Be::read_u16(&h[0..2]), Be::read_u16(&h[2..4])))
    }

    /// Sequence number of the quoted TCP segment, to be held against what is in flight (RFC 5927
    /// §4.1).
    pub fn tcp_seq(&self) -> Option<u32> {
        let h: &[u8; 8] = self.transport.first_chunk()?;
        (self.ip.protocol == protocol::TCP && self.ip.fragment_offset == 0)
            .then(|| Be::read_u32(&h[4..8]))
    }
}
