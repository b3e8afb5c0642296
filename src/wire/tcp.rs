//! The TCP header (RFC 9293 §3.1).
//!
//! Invariant: what `parse` hands on satisfies 20 <= data offset <= octets received. Sequence
//! numbers are plain `u32` here; their arithmetic belongs to `tcp::seq`. Checksums are verified
//! by [`Tcp::verify`], apart.

use byteorder::{ByteOrder, NetworkEndian as Be};
use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use super::checksum::copy_and_sum;
use super::{IpHeader, Sum, WireError};

/// A TCP header without its options.
///
/// ```
/// use netstrata::wire::{IpHeader, Tcp, TcpFlags, protocol};
/// let ip = IpHeader::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::TCP);
/// let tcp = Tcp { src: 40000, dst: 80, seq: 1, ack: 0, flags: TcpFlags::SYN, window: 65535, urgent: 0 };
/// let mut segment = [0; 24];
/// tcp.emit(&ip, &[2, 4, 5, 0xb4], &mut segment).unwrap();
/// assert_eq!(Tcp::verify(&ip, &segment), Ok(()));
/// assert_eq!(Tcp::parse(&segment), Ok((tcp, &[2, 4, 5, 0xb4][..], &[][..])));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tcp {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
    /// Sequence number of the first octet of the segment (of the SYN, if there is one).
    pub seq: u32,
    /// Next sequence number expected; means something with ACK only.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as sent: octets, before scaling (RFC 7323 §2).
    pub window: u16,
    /// Urgent pointer; means something with URG only.
    pub urgent: u16,
}

impl Tcp {
    /// Octets of a header without options.
    pub const LEN: usize = 20;
    /// Octets of options at most.
    pub const MAX_OPTIONS: usize = 40;
    /// Where in the header the checksum is, for devices that compute it.
    pub const CHECKSUM_OFFSET: usize = 16;
    /// Octets of a header with timestamps, as nearly all segments of a connection have it.
    pub(super) const USUAL: usize = 32;

    /// Reads a segment: header, options (see [`TcpOptions`]) and payload.
    ///
    /// # Errors
    /// [`WireError::Truncated`] with fewer than 20 octets or fewer than the data offset says;
    /// [`WireError::BadLength`] when it says fewer than 20.
    ///
    /// [`TcpOptions`]: super::TcpOptions
    #[inline]
    pub fn parse(segment: &[u8]) -> Result<(Self, &[u8], &[u8]), WireError> {
        let (h, rest) = segment
            .split_first_chunk::<20>()
            .ok_or(WireError::Truncated)?;
        let options = usize::from(h[12] >> 4)
            .checked_sub(5)
            .ok_or(WireError::BadLength)?
            * 4;
        let (options, payload) = rest.split_at_checked(options).ok_or(WireError::Truncated)?;
        Ok((Self::read(h), options, payload))
    }

    #[inline]
    fn read(h: &[u8; 20]) -> Self {
        Self {
            src: Be::read_u16(&h[0..2]),
            dst: Be::read_u16(&h[2..4]),
            seq: Be::read_u32(&h[4..8]),
            ack: Be::read_u32(&h[8..12]),
            flags: TcpFlags(Be::read_u16(&h[12..14]) & TcpFlags::MASK),
            window: Be::read_u16(&h[14..16]),
            urgent: Be::read_u16(&h[18..20]),
        }
    }

    /// Verifies the checksum of a whole segment.
    ///
    /// # Errors
    /// [`WireError::BadChecksum`].
    #[inline]
    pub fn verify(ip: &IpHeader, segment: &[u8]) -> Result<(), WireError> {
        // Acknowledgments are mostly nothing but such a header.
        let own = match <&[u8; Self::USUAL]>::try_from(segment) {
            Ok(usual) => Sum::of(usual),
            Err(_) => Sum::of(segment),
        };
        match ip.pseudo(segment.len()).add_sum(own).finish() {
            0 => Ok(()),
            _ => Err(WireError::BadChecksum),
        }
    }

    /// Writes header and options in front of a payload that is already in place: `segment` is
    /// 20 octets, the options, and all of the payload.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when options are not a multiple of four up to 40 octets, or
    /// `segment` is shorter than the header or longer than 65535 octets.
    #[inline]
    pub fn emit(&self, ip: &IpHeader, options: &[u8], segment: &mut [u8]) -> Result<(), WireError> {
        let (head, payload) = segment
            .split_at_mut_checked(Self::LEN + options.len())
            .ok_or(WireError::BadLength)?;
        self.emit_summed(ip, options, payload.len(), Sum::of(payload), head)
    }

    /// Writes header and options for a payload elsewhere, of `payload_len` octets and this sum.
    /// `head` is exactly 20 octets and the options.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    #[inline]
    pub fn emit_summed(
        &self,
        ip: &IpHeader,
        options: &[u8],
        payload_len: usize,
        payload: Sum,
        head: &mut [u8],
    ) -> Result<(), WireError> {
        let len = self.write(options, payload_len, head)?;
        let own = match <&[u8; Self::USUAL]>::try_from(&*head) {
            Ok(usual) => Sum::of(usual),
            Err(_) => Sum::of(head),
        };
        let sum = ip.pseudo(len).add_sum(own).add_sum(payload).finish();
        Self::put_checksum(head, sum)
    }

    /// As [`emit_summed`](Self::emit_summed), with the payload behind the header: it is copied from
    /// where it is, in two pieces, and summed on the way. `segment` is as long as all of it.
    pub(crate) fn emit_with(
        &self,
        ip: &IpHeader,
        options: &[u8],
        payload: [&[u8]; 2],
        segment: &mut [u8],
    ) -> Result<(), WireError> {
        let [first, second] = payload;
        let (head, room) = segment
            .split_at_mut_checked(Self::LEN + options.len())
            .ok_or(WireError::BadLength)?;
        let (mut sum, len) = (Sum::ZERO, room.len());
        if len > 0 {
            let (upper, lower) = room
                .split_at_mut_checked(first.len())
                .ok_or(WireError::BadLength)?;
            sum = copy_and_sum(upper, first).unwrap_or_default();
            if !second.is_empty() {
                sum = sum.add_sum(copy_and_sum(lower, second).unwrap_or_default());
            }
        }
        self.emit_summed(ip, options, len, sum, head)
    }

    /// Writes header and options and leaves the checksum to the device: its field holds the sum
    /// of the pseudo header, to which the device adds the segment. `head` is exactly 20 octets
    /// and the options; `payload_len` may be that of a super-segment up to 65535 octets in all.
    ///
    /// # Errors
    /// As [`emit`](Self::emit).
    #[inline]
    pub fn emit_partial(
        &self,
        ip: &IpHeader,
        options: &[u8],
        payload_len: usize,
        head: &mut [u8],
    ) -> Result<(), WireError> {
        let len = self.write(options, payload_len, head)?;
        Self::put_checksum(head, ip.pseudo(len).fold())
    }

    #[inline]
    fn put_checksum(head: &mut [u8], sum: u16) -> Result<(), WireError> {
        let h: &mut [u8; 20] = head.first_chunk_mut().ok_or(WireError::BadLength)?;
        Be::write_u16(&mut h[16..18], sum);
        Ok(())
    }

    /// Header with a checksum of zero, and options. Returns the length of the segment.
    #[inline]
    pub(super) fn write(
        &self,
        options: &[u8],
        payload_len: usize,
        head: &mut [u8],
    ) -> Result<usize, WireError> {
        let len = payload_len
            .checked_add(head.len())
            .filter(|len| *len <= 0xffff)
            .ok_or(WireError::BadLength)?;
        let (h, room) = head
            .split_first_chunk_mut::<20>()
            .ok_or(WireError::BadLength)?;
        let fits = options.len().is_multiple_of(4)
            && options.len() <= Self::MAX_OPTIONS
            && options.len() == room.len();
        if !fits {
            return Err(WireError::BadLength);
        }
        match (<&mut [u8; 12]>::try_from(&mut *room), options.first_chunk()) {
            (Ok(room), Some(stamps)) => *room = *stamps,
            _ => room.copy_from_slice(options),
        }
        let offset = (5 + options.len() / 4) as u16;
        Be::write_u16(&mut h[0..2], self.src);
        Be::write_u16(&mut h[2..4], self.dst);
        Be::write_u32(&mut h[4..8], self.seq);
        Be::write_u32(&mut h[8..12], self.ack);
        Be::write_u16(&mut h[12..14], offset << 12 | self.flags.0 & TcpFlags::MASK);
        Be::write_u16(&mut h[14..16], self.window);
        h[16..18].fill(0);
        Be::write_u16(&mut h[18..20], self.urgent);
        Ok(len)
    }
}

/// The control bits of a TCP header, with the ECN bits (RFC 3168, RFC 9768).
///
/// Printed in tcpdump's letters: `S.` is SYN and ACK, `none` is no bit at all.
///
/// ```
/// use netstrata::wire::TcpFlags;
/// let flags = TcpFlags::SYN | TcpFlags::ACK;
/// assert!(flags.contains(TcpFlags::SYN) && !flags.intersects(TcpFlags::FIN | TcpFlags::RST));
/// assert_eq!(flags.to_string(), "S.");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(u16);

impl TcpFlags {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// Sender has no more data.
    pub const FIN: Self = Self(0x001);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset the connection.
    pub const RST: Self = Self(0x004);
    /// Hand over to the application now.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgment field counts.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x020);
    /// Congestion was seen, or on a SYN: ECN is spoken.
    pub const ECE: Self = Self(0x040);
    /// The congestion window was reduced.
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN (RFC 9768), formerly the nonce sum.
    pub const AE: Self = Self(0x100);

    const MASK: u16 = 0x1ff;

    /// From the low nine bits of the 16-bit word that holds data offset and flags.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::MASK)
    }

    /// The nine bits, FIN lowest.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Bits of either; `|` in constants.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether SYN is set.
    pub const fn syn(self) -> bool {
        self.contains(Self::SYN)
    }
    /// Whether ACK is set.
    pub const fn ack(self) -> bool {
        self.contains(Self::ACK)
    }
    /// Whether FIN is set.
    pub const fn fin(self) -> bool {
        self.contains(Self::FIN)
    }
    /// Whether RST is set.
    pub const fn rst(self) -> bool {
        self.contains(Self::RST)
    }
    /// Whether PSH is set.
    pub const fn psh(self) -> bool {
        self.contains(Self::PSH)
    }
    /// Whether URG is set.
    pub const fn urg(self) -> bool {
        self.contains(Self::URG)
    }
}

impl BitOr for TcpFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for TcpFlags {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(TcpFlags, &str); 9] = [
            (TcpFlags::FIN, "F"),
            (TcpFlags::SYN, "S"),
            (TcpFlags::RST, "R"),
            (TcpFlags::PSH, "P"),
            (TcpFlags::ACK, "."),
            (TcpFlags::URG, "U"),
            (TcpFlags::ECE, "E"),
            (TcpFlags::CWR, "W"),
            (TcpFlags::AE, "e"),
        ];
        if *self == Self::NONE {
            return f.write_str("none");
        }
        for (flag, letter) in LETTERS {
            if self.contains(flag) {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// As [`Display`](fmt::Display), in brackets.
impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}
