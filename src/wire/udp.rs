//! The UDP header (RFC 768).
//!
//! Invariant: what `parse` hands on satisfies 8 <= length field <= octets received, and the
//! payload is clipped to it. Checksums are verified by [`Udp::verify`], apart.

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::{IpHeader, Sum, WireError};

/// A UDP header.
///
/// ```
/// use netstrata::wire::{IpHeader, Udp, protocol};
/// let ip = IpHeader::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::UDP);
/// let mut datagram = *b"........payload";
/// Udp { src: 5000, dst: 53 }.emit(&ip, &mut datagram).unwrap();
/// assert_eq!(Udp::verify(&ip, &datagram), Ok(()));
/// assert_eq!(Udp::parse(&datagram), Ok((Udp { src: 5000, dst: 53 }, &b"payload"[..])));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Udp {
    /// Source port; 0 when no answer is expected.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
}

impl Udp {
    /// Octets of the header.
    pub const LEN: usize = 8;
    /// Where in the header the checksum is, for devices that compute it.
    pub const CHECKSUM_OFFSET: usize = 6;

    /// Reads a datagram: header, and payload clipped to the length field.
    ///
    /// # Errors
    /// [`WireError::Truncated`] with fewer than eight octets or fewer than announced;
    /// [`WireError::BadLength`] when fewer than eight are announced (also zero: that would be an
    /// IPv6 jumbogram, which nobody sends).
    #[inline]
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let (h, datagram) = Self::clip(datagram)?;
        let udp = Self {
            src: Be::read_u16(&h[0..2]),
            dst: Be::read_u16(&h[2..4]),
        };
        let payload = datagram.get(Self::LEN..).ok_or(WireError::Truncated)?;
        Ok((udp, payload))
    }

    /// The header, and the datagram clipped to the length field.
    #[inline]
    fn clip(datagram: &[u8]) -> Result<(&[u8; 8], &[u8]), WireError> {
        let h: &[u8; 8] = datagram.first_chunk().ok_or(WireError::Truncated)?;
        let len = usize::from(Be::read_u16(&h[4..6]));
        if len < Self::LEN {
            return Err(WireError::BadLength);
        }
        let datagram = datagram.get(..len).ok_or(WireError::Truncated)?;
        Ok((h, datagram))
    }

    /// Verifies the checksum of a datagram. Zero means that the sender computed none, which is
    /// allowed over IPv4 (RFC 1122 §4.1.3.4) and refused over IPv6 (RFC 8200 §8.1).
    ///
    /// # Errors
    /// [`WireError::BadChecksum`]; as [`parse`](Self::parse) when the lengths are wrong.
    #[inline]
    pub fn verify(ip: &IpHeader, datagram: &[u8]) -> Result<(), WireError> {
        let (h, datagram) = Self::clip(datagram)?;
        let absent = h[6..8] == [0, 0];
        let right = if absent {
            ip.dst.is_ipv4()
        } else {
            ip.pseudo(datagram.len()).add_bytes(datagram).finish() == 0
        };
        right.then_some(()).ok_or(WireError::BadChecksum)
    }

    /// Writes the header in front of a payload that is already in place: `datagram` is the
    /// header's eight octets and all of the payload.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when `datagram` is shorter than 8 or longer than 65535 octets.
    #[inline]
    pub fn emit(&self, ip: &IpHeader, datagram: &mut [u8]) -> Result<(), WireError> {
        let (h, payload) = datagram
            .split_first_chunk_mut()
            .ok_or(WireError::BadLength)?;
        self.emit_summed(ip, payload.len(), Sum::of(payload), h)
    }

    /// Writes the header for a payload elsewhere, of `payload_len` octets and this sum.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when the datagram would exceed 65535 octets.
    #[inline]
    pub fn emit_summed(
        &self,
        ip: &IpHeader,
        payload_len: usize,
        payload: Sum,
        h: &mut [u8; 8],
    ) -> Result<(), WireError> {
        let len = self.write(payload_len, h)?;
        // What was just written octet by octet would be slow to read again as words.
        let front = ip.pseudo(len).add_u16(self.src).add_u16(self.dst);
        let sum = front.add_u16(len as u16).add_sum(payload).finish();
        Be::write_u16(&mut h[6..8], nonzero(sum));
        Ok(())
    }

    /// Writes the header and leaves the checksum to the device: its field holds the sum of the
    /// pseudo header, to which the device adds the datagram.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when the datagram would exceed 65535 octets.
    #[inline]
    pub fn emit_partial(
        &self,
        ip: &IpHeader,
        payload_len: usize,
        h: &mut [u8; 8],
    ) -> Result<(), WireError> {
        let len = self.write(payload_len, h)?;
        Be::write_u16(&mut h[6..8], ip.pseudo(len).fold());
        Ok(())
    }

    /// Writes ports and length, and a checksum of zero, which over IPv4 says that there is none.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when the datagram would exceed 65535 octets.
    #[inline]
    pub fn emit_without_checksum(
        &self,
        payload_len: usize,
        h: &mut [u8; 8],
    ) -> Result<(), WireError> {
        self.write(payload_len, h).map(|_| ())
    }

    /// The header of a datagram of `len` octets, header included, whose sum with the pseudo header
    /// is `sum`.
    #[inline]
    pub(crate) const fn octets(&self, len: u16, sum: Sum) -> [u8; 8] {
        let ([s0, s1], [d0, d1]) = (self.src.to_be_bytes(), self.dst.to_be_bytes());
        let ([l0, l1], [c0, c1]) = (len.to_be_bytes(), nonzero(sum.finish()).to_be_bytes());
        [s0, s1, d0, d1, l0, l1, c0, c1]
    }

    #[inline]
    fn write(&self, payload_len: usize, h: &mut [u8; 8]) -> Result<usize, WireError> {
        let len = payload_len
            .checked_add(Self::LEN)
            .and_then(|n| u16::try_from(n).ok())
            .ok_or(WireError::BadLength)?;
        Be::write_u16(&mut h[0..2], self.src);
        Be::write_u16(&mut h[2..4], self.dst);
        Be::write_u16(&mut h[4..6], len);
        h[6..8].fill(0);
        Ok(usize::from(len))
    }
}

/// A computed checksum of zero is sent as its other form, all ones (RFC 768).
#[inline]
pub(super) const fn nonzero(sum: u16) -> u16 {
    if sum == 0 { 0xffff } else { sum }
}
