//! ICMP for IPv4 (RFC 792, RFC 950, RFC 1122 §3.2.2, RFC 1191, RFC 1812 §5.2.7).
//!
//! Invariant: a message is parsed only when its checksum, which covers all of it, is right (or
//! was waived), and it is as long as its kind demands. Whether an error is *believed* is for
//! the layer whose packet it quotes (RFC 5927).

use byteorder::{ByteOrder, NetworkEndian as Be};
use core::net::Ipv4Addr;

use super::{WireError, checksum};

/// An ICMP message without its data: the echoed octets, or the packet an error quotes.
///
/// ```
/// use netstrata::wire::Icmpv4;
/// let ping = Icmpv4::EchoRequest { ident: 1, seq: 2 };
/// let mut message = *b"........data";
/// ping.emit(&mut message).unwrap();
/// assert_eq!(Icmpv4::parse(&message), Ok((ping, &b"data"[..])));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Icmpv4 {
    /// Type 0. The data is that of the request.
    EchoReply {
        /// Identifier of the asking program.
        ident: u16,
        /// Number of the request.
        seq: u16,
    },
    /// Type 3. The data is the packet that did not arrive.
    Unreachable(Unreachable),
    /// Type 4, obsolete and to be ignored (RFC 6633).
    SourceQuench,
    /// Type 5. The data is the packet that should take another way.
    Redirect {
        /// What the advice is about.
        code: Redirect,
        /// The better gateway.
        gateway: Ipv4Addr,
    },
    /// Type 8. The data comes back.
    EchoRequest {
        /// Identifier of the asking program.
        ident: u16,
        /// Number of the request.
        seq: u16,
    },
    /// Type 11. The data is the packet that was given up.
    TimeExceeded(TimeExceeded),
    /// Type 12. The data is the packet that was not understood.
    ParameterProblem {
        /// 0 the octet at `pointer`, 1 a required option is missing, 2 bad length.
        code: u8,
        /// Octet of the packet at fault.
        pointer: u8,
    },
    /// Type 13. Times are milliseconds since midnight UTC.
    TimestampRequest {
        /// Identifier of the asking program.
        ident: u16,
        /// Number of the request.
        seq: u16,
        /// When it was sent; the two other times are zero.
        times: [u32; 3],
    },
    /// Type 14.
    TimestampReply {
        /// Identifier of the asking program.
        ident: u16,
        /// Number of the request.
        seq: u16,
        /// When the request was sent, when it came, when this was sent.
        times: [u32; 3],
    },
    /// Type 17 (RFC 950, obsolete).
    MaskRequest {
        /// Identifier of the asking program.
        ident: u16,
        /// Number of the request.
        seq: u16,
        /// Zero.
        mask: u32,
    },
    /// Type 18 (RFC 950, obsolete).
    MaskReply {
        /// Identifier of the asking program.
        ident: u16,
        /// Number of the request.
        seq: u16,
        /// The netmask.
        mask: u32,
    },
    /// Any other type, or a code of the above that nobody defined. To be dropped in silence
    /// (RFC 1122 §3.2.2).
    Other {
        /// Type octet.
        kind: u8,
        /// Code octet.
        code: u8,
        /// The four octets after the checksum.
        rest: [u8; 4],
    },
}

/// Codes of destination unreachable (RFC 792, RFC 1122 §3.2.2.1, RFC 1812 §5.2.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreachable {
    /// Code 0.
    Net,
    /// Code 1.
    Host,
    /// Code 2: nobody there speaks the IP protocol.
    Protocol,
    /// Code 3: nobody is at the port.
    Port,
    /// Code 4: too big, and not to be fragmented.
    FragmentationNeeded {
        /// What the next link takes, in octets of IP packet; 0 from routers before RFC 1191.
        mtu: u16,
    },
    /// Code 5.
    SourceRouteFailed,
    /// Code 6.
    NetUnknown,
    /// Code 7.
    HostUnknown,
    /// Code 8, obsolete.
    SourceIsolated,
    /// Code 9.
    NetProhibited,
    /// Code 10.
    HostProhibited,
    /// Code 11.
    NetForService,
    /// Code 12.
    HostForService,
    /// Code 13: a filter forbids it.
    AdminProhibited,
    /// Code 14.
    PrecedenceViolation,
    /// Code 15.
    PrecedenceCutoff,
}

/// Codes of redirect (RFC 792). Hosts use them all as "for the host" (RFC 1122 §3.2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Redirect {
    /// Code 0.
    Net,
    /// Code 1.
    Host,
    /// Code 2.
    NetForService,
    /// Code 3.
    HostForService,
}

/// Codes of time exceeded (RFC 792).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeExceeded {
    /// Code 0: the TTL reached zero.
    Transit,
    /// Code 1: fragments were missing for too long.
    Reassembly,
}

impl Unreachable {
    /// The code octet.
    pub const fn code(self) -> u8 {
        match self {
            Self::Net => 0,
            Self::Host => 1,
            Self::Protocol => 2,
            Self::Port => 3,
            Self::FragmentationNeeded { .. } => 4,
            Self::SourceRouteFailed => 5,
            Self::NetUnknown => 6,
            Self::HostUnknown => 7,
            Self::SourceIsolated => 8,
            Self::NetProhibited => 9,
            Self::HostProhibited => 10,
            Self::NetForService => 11,
            Self::HostForService => 12,
            Self::AdminProhibited => 13,
            Self::PrecedenceViolation => 14,
            Self::PrecedenceCutoff => 15,
        }
    }

    /// From the code octet and the MTU field; `None` for codes nobody defined.
    pub const fn from_code(code: u8, mtu: u16) -> Option<Self> {
        Some(match code {
            0 => Self::Net,
            1 => Self::Host,
            2 => Self::Protocol,
            3 => Self::Port,
            4 => Self::FragmentationNeeded { mtu },
            5 => Self::SourceRouteFailed,
            6 => Self::NetUnknown,
            7 => Self::HostUnknown,
            8 => Self::SourceIsolated,
            9 => Self::NetProhibited,
            10 => Self::HostProhibited,
            11 => Self::NetForService,
            12 => Self::HostForService,
            13 => Self::AdminProhibited,
            14 => Self::PrecedenceViolation,
            15 => Self::PrecedenceCutoff,
            _ => return None,
        })
    }
}

impl Icmpv4 {
    /// Octets of the header all messages share.
    pub const LEN: usize = 8;

    /// Reads a message. The data is what follows the fields of the message's kind.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when it is shorter than its kind demands;
    /// [`WireError::BadChecksum`].
    pub fn parse(message: &[u8]) -> Result<(Self, &[u8]), WireError> {
        if message.len() < Self::LEN {
            return Err(WireError::Truncated);
        }
        if checksum(message) != 0 {
            return Err(WireError::BadChecksum);
        }
        Self::parse_unverified(message)
    }

    /// As [`parse`](Self::parse) without verifying the checksum, for messages the device has
    /// verified and for those cut short.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when it is shorter than its kind demands.
    pub fn parse_unverified(message: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let (h, data) = message
            .split_first_chunk::<8>()
            .ok_or(WireError::Truncated)?;
        let [kind, code, _, _, rest @ ..] = *h;
        let (ident, seq) = (Be::read_u16(&h[4..6]), Be::read_u16(&h[6..8]));
        let times = || -> Result<([u32; 3], &[u8]), WireError> {
            let (t, data) = data.split_first_chunk::<12>().ok_or(WireError::Truncated)?;
            let times = [&t[0..4], &t[4..8], &t[8..12]].map(Be::read_u32);
            Ok((times, data))
        };
        let mask = || -> Result<(u32, &[u8]), WireError> {
            let (m, data) = data.split_first_chunk::<4>().ok_or(WireError::Truncated)?;
            Ok((u32::from_be_bytes(*m), data))
        };
        let other = Self::Other { kind, code, rest };
        let message = match (kind, code) {
            (0, 0) => Self::EchoReply { ident, seq },
            (3, _) => Unreachable::from_code(code, seq).map_or(other, Self::Unreachable),
            (4, 0) => Self::SourceQuench,
            (5, 0..=3) => Self::Redirect {
                code: match code {
                    0 => Redirect::Net,
                    1 => Redirect::Host,
                    2 => Redirect::NetForService,
                    _ => Redirect::HostForService,
                },
                gateway: Ipv4Addr::from(rest),
            },
            (8, 0) => Self::EchoRequest { ident, seq },
            (11, 0) => Self::TimeExceeded(TimeExceeded::Transit),
            (11, 1) => Self::TimeExceeded(TimeExceeded::Reassembly),
            (12, 0..=2) => Self::ParameterProblem {
                code,
                pointer: rest[0],
            },
            (13 | 14, 0) => {
                let (times, data) = times()?;
                let message = match kind {
                    13 => Self::TimestampRequest { ident, seq, times },
                    _ => Self::TimestampReply { ident, seq, times },
                };
                return Ok((message, data));
            }
            (17 | 18, 0) => {
                let (mask, data) = mask()?;
                let message = match kind {
                    17 => Self::MaskRequest { ident, seq, mask },
                    _ => Self::MaskReply { ident, seq, mask },
                };
                return Ok((message, data));
            }
            _ => other,
        };
        Ok((message, data))
    }

    /// Octets before the data: 8, or 20 for timestamps, or 12 for masks.
    pub const fn header_len(&self) -> usize {
        match self {
            Self::TimestampRequest { .. } | Self::TimestampReply { .. } => 20,
            Self::MaskRequest { .. } | Self::MaskReply { .. } => 12,
            _ => Self::LEN,
        }
    }

    /// The type octet.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::EchoReply { .. } => 0,
            Self::Unreachable(_) => 3,
            Self::SourceQuench => 4,
            Self::Redirect { .. } => 5,
            Self::EchoRequest { .. } => 8,
            Self::TimeExceeded(_) => 11,
            Self::ParameterProblem { .. } => 12,
            Self::TimestampRequest { .. } => 13,
            Self::TimestampReply { .. } => 14,
            Self::MaskRequest { .. } => 17,
            Self::MaskReply { .. } => 18,
            Self::Other { kind, .. } => *kind,
        }
    }

    /// The code octet.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Unreachable(unreachable) => unreachable.code(),
            Self::Redirect { code, .. } => match code {
                Redirect::Net => 0,
                Redirect::Host => 1,
                Redirect::NetForService => 2,
                Redirect::HostForService => 3,
            },
            Self::TimeExceeded(TimeExceeded::Reassembly) => 1,
            Self::ParameterProblem { code, .. } | Self::Other { code, .. } => *code,
            _ => 0,
        }
    }

    /// Whether this is an error about another packet, about which no error may be sent (RFC 1122
    /// §3.2.2). Unknown types count as errors, as the careful reading.
    pub const fn is_error(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::SourceQuench
            | Self::Redirect { .. }
            | Self::TimeExceeded(_)
            | Self::ParameterProblem { .. } => true,
            Self::Other { kind, .. } => !matches!(kind, 0 | 8 | 9 | 10 | 13..=18),
            _ => false,
        }
    }

    /// Writes the message in front of data that is already in place, checksum included:
    /// `message` is [`header_len`](Self::header_len) octets and all of the data.
    ///
    /// # Errors
    /// [`WireError::BadLength`] when `message` is shorter than the header.
    pub fn emit(&self, message: &mut [u8]) -> Result<(), WireError> {
        self.write(message).ok_or(WireError::BadLength)?;
        let sum = checksum(message);
        let h: &mut [u8; 8] = message.first_chunk_mut().ok_or(WireError::BadLength)?;
        Be::write_u16(&mut h[2..4], sum);
        Ok(())
    }

    /// All but the checksum, which is zero.
    fn write(&self, message: &mut [u8]) -> Option<()> {
        let (h, after) = message.split_first_chunk_mut::<8>()?;
        *h = [self.kind(), self.code(), 0, 0, 0, 0, 0, 0];
        match *self {
            Self::EchoReply { ident, seq }
            | Self::EchoRequest { ident, seq }
            | Self::TimestampRequest { ident, seq, .. }
            | Self::TimestampReply { ident, seq, .. }
            | Self::MaskRequest { ident, seq, .. }
            | Self::MaskReply { ident, seq, .. } => {
                Be::write_u16(&mut h[4..6], ident);
                Be::write_u16(&mut h[6..8], seq);
            }
            Self::Unreachable(Unreachable::FragmentationNeeded { mtu }) => {
                Be::write_u16(&mut h[6..8], mtu);
            }
            Self::Redirect { gateway, .. } => h[4..8].copy_from_slice(&gateway.octets()),
            Self::ParameterProblem { pointer, .. } => h[4] = pointer,
            Self::Other { rest, .. } => h[4..8].copy_from_slice(&rest),
            Self::Unreachable(_) | Self::SourceQuench | Self::TimeExceeded(_) => {}
        }
        match *self {
            Self::TimestampRequest { times, .. } | Self::TimestampReply { times, .. } => {
                let t = after.first_chunk_mut::<12>()?;
                let [a, b, c] = times;
                Be::write_u32(&mut t[0..4], a);
                Be::write_u32(&mut t[4..8], b);
                Be::write_u32(&mut t[8..12], c);
            }
            Self::MaskRequest { mask, .. } | Self::MaskReply { mask, .. } => {
                *after.first_chunk_mut()? = mask.to_be_bytes();
            }
            _ => {}
        }
        Some(())
    }

    /// Turns an echo request into its reply in place, with an RFC 1624 update of the checksum:
    /// no octet of the data is touched. `false`, and no change, when it is not a request.
    pub fn set_echo_reply(message: &mut [u8]) -> bool {
        match message.first_chunk_mut::<8>() {
            Some(h) if h[0..2] == [8, 0] => {
                let sum = checksum::update(Be::read_u16(&h[2..4]), 0x0800, 0x0000);
                h[0] = 0;
                Be::write_u16(&mut h[2..4], sum);
                // RFC 1624 §3 leaves out the message of nothing but zeros, whose checksum is
                // the other zero.
                if sum == 0
                    && message.iter().all(|octet| *octet == 0)
                    && let Some(field) = message.get_mut(2..4)
                {
                    field.fill(0xff);
                }
                true
            }
            _ => false,
        }
    }
}
