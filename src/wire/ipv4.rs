//! The IPv4 header (RFC 791).
//!
//! Invariant: what `parse` hands on satisfies version 4, 20 <= header length <= total length
//! <= octets received, and the header checksum unless it was waived; the payload is clipped to
//! the total length, so link padding ends here and nowhere else.

use byteorder::{ByteOrder, NetworkEndian as Be};
use core::net::Ipv4Addr;

use super::{IpHeader, Sum, WireError, checksum};

/// An IPv4 header without its options.
///
/// ```
/// use netstrata::wire::{Ipv4, protocol};
/// let ip = Ipv4 { ident: 7, ..Ipv4::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::TCP) };
/// let mut packet = [0; 20 + 3 + 9];
/// ip.emit(3, packet.first_chunk_mut().unwrap()).unwrap();
/// let (parsed, options, payload) = Ipv4::parse(&packet).unwrap();
/// // Nine octets of padding are not part of the packet.
/// assert_eq!((parsed, options.len(), payload.len()), (ip, 0, 3));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv4 {
    /// Who sent it.
    pub src: Ipv4Addr,
    /// Whom it is for.
    pub dst: Ipv4Addr,
    /// Differentiated services code point (RFC 2474), 0 to 63.
    pub dscp: u8,
    /// Congestion notification (RFC 3168 §5): 0 not capable, 1 ECT(1), 2 ECT(0), 3 CE.
    pub ecn: u8,
    /// Common to the fragments of one datagram (RFC 6864).
    pub ident: u16,
    /// Routers must not fragment it.
    pub dont_fragment: bool,
    /// It is a fragment, and not the last.
    pub more_fragments: bool,
    /// Where this fragment belongs, in octets: 0 to 65528, a multiple of eight.
    pub fragment_offset: u16,
    /// Hops left, 0 to 255.
    pub ttl: u8,
    /// [`protocol`](super::protocol) of the payload.
    pub protocol: u8,
}

/// The front of a packet, as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Front<'a> {
    /// The fixed header.
    pub ip: Ipv4,
    /// All of the options, 0 to 40 octets.
    pub options: &'a [u8],
    /// What is there of the payload.
    pub payload: &'a [u8],
    /// Octets of payload the header announced, `payload.len()` to 65515.
    pub payload_len: usize,
}

/// Lengths of a packet that hold: `header` is 20 to 60, `total` is `header` to 65535.
#[derive(Clone, Copy)]
struct Lengths {
    header: usize,
    total: usize,
}

impl Ipv4 {
    /// Octets of a header without options.
    pub const LEN: usize = 20;
    /// Octets of options at most.
    pub const MAX_OPTIONS: usize = 40;

    /// A header as hosts send it: TTL 64, best effort, not to be fragmented, identification 0
    /// (which is fine for such atomic datagrams, RFC 6864 §4.1).
    pub const fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8) -> Self {
        Self {
            src,
            dst,
            dscp: 0,
            ecn: 0,
            ident: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset: 0,
            ttl: IpHeader::DEFAULT_TTL,
            protocol,
        }
    }

    /// The IPv4 header for what a transport asked for; `None` when the addresses are not IPv4.
    pub const fn from_header(ip: &IpHeader) -> Option<Self> {
        use core::net::IpAddr::V4;
        match (ip.src, ip.dst) {
            (V4(src), V4(dst)) => Some(Self {
                dscp: ip.tos >> 2,
                ecn: ip.tos & 3,
                ttl: ip.ttl,
                ..Self::new(src, dst, ip.proto)
            }),
            _ => None,
        }
    }

    /// What transports see of this header.
    #[inline]
    pub const fn header(&self) -> IpHeader {
        use core::net::IpAddr::V4;
        IpHeader {
            src: V4(self.src),
            dst: V4(self.dst),
            proto: self.protocol,
            ttl: self.ttl,
            tos: self.dscp << 2 | self.ecn & 3,
        }
    }

    /// Whether this is part of a datagram instead of the whole of it.
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments || self.fragment_offset != 0
    }

    /// Reads a packet: header, options (0 to 40 octets, see [`Ipv4Options`]), and payload
    /// clipped to the total length. The header checksum is verified.
    ///
    /// # Errors
    /// [`WireError::BadVersion`]; [`WireError::BadLength`] when the header length is below 20 or
    /// the total length below it; [`WireError::Truncated`] when fewer octets are there than
    /// either announces; [`WireError::BadChecksum`].
    ///
    /// [`Ipv4Options`]: super::Ipv4Options
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<(Self, &[u8], &[u8]), WireError> {
        let (h, lengths) = Self::lengths(packet)?;
        let header = packet.get(..lengths.header).ok_or(WireError::Truncated)?;
        if checksum(header) != 0 {
            return Err(WireError::BadChecksum);
        }
        Self::cut(Self::read(h), packet, lengths)
    }

    /// As [`parse`](Self::parse) without verifying the header checksum.
    ///
    /// # Errors
    /// As `parse`, but never [`WireError::BadChecksum`].
    pub fn parse_unverified(packet: &[u8]) -> Result<(Self, &[u8], &[u8]), WireError> {
        let (h, lengths) = Self::lengths(packet)?;
        Self::cut(Self::read(h), packet, lengths)
    }

    /// As [`parse_unverified`](Self::parse_unverified) for a packet of which only the front is
    /// there, as quoted in ICMP errors or caught by a short capture: the payload is clipped to
    /// what is there.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when not even the header and its options are there, otherwise as
    /// `parse_unverified`.
    pub fn parse_front(packet: &[u8]) -> Result<Ipv4Front<'_>, WireError> {
        let (h, lengths) = Self::announced(packet)?;
        let clipped = Lengths {
            total: lengths.total.min(packet.len()),
            ..lengths
        };
        let (ip, options, payload) = Self::cut(Self::read(h), packet, clipped)?;
        Ok(Ipv4Front {
            ip,
            options,
            payload,
            payload_len: lengths.total.saturating_sub(lengths.header),
        })
    }

    /// Reads a packet that may be changed in place: header value, header octets with options
    /// (20 to 60), and payload clipped to the total length. The checksum is verified.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[inline(always)]
    pub fn parse_mut(packet: &mut [u8]) -> Result<(Self, &mut [u8], &mut [u8]), WireError> {
        let (h, lengths) = Self::lengths(packet)?;
        let ip = Self::read(h);
        let packet = packet.get_mut(..lengths.total);
        let (header, payload) = packet
            .and_then(|p| p.split_at_mut_checked(lengths.header))
            .ok_or(WireError::Truncated)?;
        // Nearly every header has no options, and a sum of fixed length is a few instructions.
        let sum = match header.first_chunk::<{ Self::LEN }>() {
            Some(fixed) if lengths.header == Self::LEN => checksum(fixed),
            _ => checksum(header),
        };
        if sum != 0 {
            return Err(WireError::BadChecksum);
        }
        Ok((ip, header, payload))
    }

    /// The fixed header and the lengths in it, which hold for each other.
    #[inline(always)]
    fn announced(packet: &[u8]) -> Result<(&[u8; 20], Lengths), WireError> {
        let h: &[u8; 20] = packet.first_chunk().ok_or(WireError::Truncated)?;
        if h[0] >> 4 != 4 {
            return Err(WireError::BadVersion);
        }
        let header = usize::from(h[0] & 15) * 4;
        let total = usize::from(Be::read_u16(&h[2..4]));
        if header < Self::LEN || total < header {
            return Err(WireError::BadLength);
        }
        Ok((h, Lengths { header, total }))
    }

    /// As `announced`, and they hold for the octets received too.
    #[inline(always)]
    fn lengths(packet: &[u8]) -> Result<(&[u8; 20], Lengths), WireError> {
        let (h, lengths) = Self::announced(packet)?;
        if lengths.total > packet.len() {
            return Err(WireError::Truncated);
        }
        Ok((h, lengths))
    }

    #[inline]
    fn cut(ip: Self, packet: &[u8], at: Lengths) -> Result<(Self, &[u8], &[u8]), WireError> {
        let options = packet.get(Self::LEN..at.header);
        let payload = packet.get(at.header..at.total);
        match (options, payload) {
            (Some(options), Some(payload)) => Ok((ip, options, payload)),
            _ => Err(WireError::Truncated),
        }
    }

    #[inline(always)]
    fn read(h: &[u8; 20]) -> Self {
        let flags = Be::read_u16(&h[6..8]);
        Self {
            src: Ipv4Addr::new(h[12], h[13], h[14], h[15]),
            dst: Ipv4Addr::new(h[16], h[17], h[18], h[19]),
            dscp: h[1] >> 2,
            ecn: h[1] & 3,
            ident: Be::read_u16(&h[4..6]),
            dont_fragment: flags & 0x4000 != 0,
            more_fragments: flags & 0x2000 != 0,
            fragment_offset: (flags & 0x1fff) << 3,
            ttl: h[8],
            protocol: h[9],
        }
    }

    /// Writes a header without options, checksum included, for `payload_len` octets of payload.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when the packet would exceed 65535 octets; nothing is written.
    #[inline]
    pub fn emit(&self, payload_len: usize, h: &mut [u8; 20]) -> Result<(), WireError> {
        // Summed as it is written: octets just written one by one are slow to read as words.
        let mut words = self.words(0, payload_len)?;
        let sum = words.iter().fold(Sum::ZERO, |sum, word| sum.add_u32(*word));
        words[2] |= u32::from(sum.finish());
        let (to, _) = h.as_chunks_mut::<4>();
        for (to, word) in to.iter_mut().zip(words) {
            *to = word.to_be_bytes();
        }
        Ok(())
    }

    /// The fixed header with a checksum of zero, as five words; `options` is a multiple of 4 up
    /// to 40.
    #[inline]
    fn words(&self, options: usize, payload: usize) -> Result<[u32; 5], WireError> {
        let header = Self::LEN + options;
        let total = payload
            .checked_add(header)
            .and_then(|n| u16::try_from(n).ok())
            .ok_or(WireError::BadLength)?;
        let flags = u16::from(self.dont_fragment) << 14
            | u16::from(self.more_fragments) << 13
            | self.fragment_offset >> 3;
        let version = 0x40 | (header / 4) as u8;
        let service = self.dscp << 2 | self.ecn & 3;
        Ok([
            u32::from(version) << 24 | u32::from(service) << 16 | u32::from(total),
            u32::from(self.ident) << 16 | u32::from(flags),
            u32::from(self.ttl) << 24 | u32::from(self.protocol) << 16,
            self.src.to_bits(),
            self.dst.to_bits(),
        ])
    }

    /// Writes a header with options, checksum included, into the front of `packet`. Options are
    /// padded by zero (end of list) to a multiple of four. Returns the octets written, 20 to 60.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when there are more than 40 octets of options, `packet` has no
    /// room, or it would exceed 65535 octets; the header is then not to be used.
    pub fn emit_with_options(
        &self,
        options: &[u8],
        payload_len: usize,
        packet: &mut [u8],
    ) -> Result<usize, WireError> {
        let padded = options.len().next_multiple_of(4);
        if padded > Self::MAX_OPTIONS {
            return Err(WireError::BadLength);
        }
        let (h, rest) = packet.split_first_chunk_mut().ok_or(WireError::BadLength)?;
        let rest = rest.get_mut(..padded).ok_or(WireError::BadLength)?;
        self.write(padded, payload_len, h)?;
        rest.fill(0);
        for (to, from) in rest.iter_mut().zip(options) {
            *to = *from;
        }
        let sum = Sum::of(h).add_bytes(rest).finish();
        Be::write_u16(&mut h[10..12], sum);
        Ok(Self::LEN + padded)
    }

    /// Writes the fixed header with a checksum of zero; `options` as for `words`.
    fn write(&self, options: usize, payload: usize, h: &mut [u8; 20]) -> Result<(), WireError> {
        let (to, _) = h.as_chunks_mut::<4>();
        for (to, word) in to.iter_mut().zip(self.words(options, payload)?) {
            *to = word.to_be_bytes();
        }
        Ok(())
    }
}
