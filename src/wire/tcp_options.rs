//! TCP options (RFC 9293 §3.2) as an iterator.
//!
//! Invariant: every step consumes at least one octet; after an error or the end of the list
//! nothing more comes, and what was read before stands.

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::tcp_accecn::AccEcn;
use super::{WireError, options};

pub(super) mod kind {
    pub use crate::wire::options::NOP;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
    pub const USER_TIMEOUT: u8 = 28;
    pub const FAST_OPEN: u8 = 34;
    /// AccECN, counter of ECT(0) first (RFC 9768 §3.2.3, order 0).
    pub const ACCECN0: u8 = 172;
    /// AccECN, counter of ECT(1) first (order 1).
    pub const ACCECN1: u8 = 174;
    pub const EXPERIMENT: u8 = 254;
    /// Experiment identifier of Fast Open (RFC 7413 §4.1.1 and IANA's registry).
    pub const FAST_OPEN_EXID: [u8; 2] = [0xf9, 0x89];
}

/// One option as it stands in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TcpOption<'a> {
    /// Padding (kind 1).
    Nop,
    /// Largest segment the sender can receive, in octets (kind 2). Any value; judge it yourself.
    Mss(u16),
    /// Shift of the sender's window, in bits (kind 3, RFC 7323 §2), as sent.
    WindowScale(u8),
    /// SACK may be sent (kind 4, RFC 2018 §2).
    SackPermitted,
    /// Received blocks (kind 5, RFC 2018 §3).
    Sack(SackBlocks),
    /// Timestamp value and echo reply (kind 8, RFC 7323 §3).
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// Our clock, echoed; means something with ACK only.
        echo: u32,
    },
    /// User timeout (kind 28, RFC 5482 §3).
    UserTimeout {
        /// Unit is minutes instead of seconds.
        minutes: bool,
        /// How many, 0 to 32767.
        amount: u16,
    },
    /// Fast Open cookie, or a request for one (kind 34, or 254 with its experiment identifier).
    FastOpen(FastOpen),
    /// Octets received with each ECN codepoint (kinds 172 and 174, RFC 9768 §3.2.3).
    AccEcn(AccEcn),
    /// Any other kind, or one of the above with a length it cannot have.
    Unknown {
        /// The kind octet.
        kind: u8,
        /// What follows the length octet.
        data: &'a [u8],
    },
}

/// Walks the options of a segment.
///
/// ```
/// use netstrata::wire::{TcpOption, TcpOptionIter, WireError};
/// let mut options = TcpOptionIter::new(&[2, 4, 5, 0xb4, 1, 99, 3, 7, 8, 0]);
/// assert_eq!(options.next(), Some(Ok(TcpOption::Mss(1460))));
/// assert_eq!(options.next(), Some(Ok(TcpOption::Nop)));
/// assert_eq!(options.next(), Some(Ok(TcpOption::Unknown { kind: 99, data: &[7] })));
/// assert_eq!(options.next(), Some(Err(WireError::BadOption)));
/// assert_eq!(options.next(), None);
/// ```
#[derive(Debug, Clone)]
pub struct TcpOptionIter<'a> {
    rest: &'a [u8],
}

impl<'a> TcpOptionIter<'a> {
    /// Starts at the first option; `options` is what [`Tcp::parse`](super::Tcp::parse) gave.
    pub const fn new(options: &'a [u8]) -> Self {
        Self { rest: options }
    }
}

impl<'a> Iterator for TcpOptionIter<'a> {
    type Item = Result<TcpOption<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let option = options::step(&mut self.rest)?;
        Some(option.map(|(kind, data)| read(kind, data)))
    }
}

impl core::iter::FusedIterator for TcpOptionIter<'_> {}

fn read(kind: u8, data: &[u8]) -> TcpOption<'_> {
    let known = match (kind, data) {
        (kind::NOP, []) => Some(TcpOption::Nop),
        (kind::MSS, [a, b]) => Some(TcpOption::Mss(u16::from_be_bytes([*a, *b]))),
        (kind::WINDOW_SCALE, [shift]) => Some(TcpOption::WindowScale(*shift)),
        (kind::SACK_PERMITTED, []) => Some(TcpOption::SackPermitted),
        (kind::SACK, _) => SackBlocks::read(data).map(TcpOption::Sack),
        (kind::TIMESTAMPS, [a, b, c, d, e, f, g, h]) => Some(TcpOption::Timestamps {
            value: u32::from_be_bytes([*a, *b, *c, *d]),
            echo: u32::from_be_bytes([*e, *f, *g, *h]),
        }),
        (kind::USER_TIMEOUT, [a, b]) => Some(TcpOption::UserTimeout {
            minutes: a & 0x80 != 0,
            amount: u16::from_be_bytes([a & 0x7f, *b]),
        }),
        (kind::ACCECN0, _) => Some(TcpOption::AccEcn(AccEcn::read(false, data))),
        (kind::ACCECN1, _) => Some(TcpOption::AccEcn(AccEcn::read(true, data))),
        (kind::FAST_OPEN, _) => FastOpen::new(data).map(TcpOption::FastOpen),
        (kind::EXPERIMENT, [a, b, cookie @ ..]) if [*a, *b] == kind::FAST_OPEN_EXID => {
            FastOpen::new(cookie).map(|cookie| TcpOption::FastOpen(cookie.in_experimental_option()))
        }
        _ => None,
    };
    known.unwrap_or(TcpOption::Unknown { kind, data })
}

/// Up to four blocks of a SACK option: first sequence number, and the one after the last.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(u32, u32); 4],
    len: u8,
}

impl SackBlocks {
    /// No block.
    pub const NONE: Self = Self {
        blocks: [(0, 0); 4],
        len: 0,
    };

    /// Appends a block; `false` when there are four already.
    pub fn push(&mut self, left: u32, right: u32) -> bool {
        match self.blocks.get_mut(usize::from(self.len)) {
            Some(room) => {
                *room = (left, right);
                self.len = self.len.saturating_add(1);
                true
            }
            None => false,
        }
    }

    /// The blocks in order of the option; the first is the latest (RFC 2018 §4).
    pub fn as_slice(&self) -> &[(u32, u32)] {
        self.blocks.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// How many, 0 to 4.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The blocks, in order of the option.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.as_slice().iter().copied()
    }

    fn read(data: &[u8]) -> Option<Self> {
        let (edges, rest) = data.as_chunks::<8>();
        let mut blocks = Self::NONE;
        let all = edges
            .iter()
            .all(|edge| blocks.push(Be::read_u32(&edge[0..4]), Be::read_u32(&edge[4..8])));
        (all && rest.is_empty() && !blocks.is_empty()).then_some(blocks)
    }
}

/// The blocks alone, as a list.
impl core::fmt::Debug for SackBlocks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// A Fast Open cookie (RFC 7413 §4.1.1); an empty one asks for a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastOpen {
    cookie: [u8; 16],
    len: u8,
    experimental: bool,
}

impl FastOpen {
    /// Asks for a cookie.
    pub const REQUEST: Self = Self {
        cookie: [0; 16],
        len: 0,
        experimental: false,
    };

    /// A cookie of 4 to 16 octets, even in number, or the request when empty; `None` otherwise.
    pub fn new(cookie: &[u8]) -> Option<Self> {
        let len = cookie.len();
        let allowed = len == 0 || (4..=16).contains(&len) && len.is_multiple_of(2);
        let mut value = Self::REQUEST;
        value.cookie.get_mut(..len)?.copy_from_slice(cookie);
        value.len = u8::try_from(len).ok()?;
        allowed.then_some(value)
    }

    /// The same in the option used before kind 34 was assigned (254 with identifier 0xf989).
    #[must_use]
    pub const fn in_experimental_option(mut self) -> Self {
        self.experimental = true;
        self
    }

    /// Whether it came, or goes, in the experimental option.
    pub const fn is_experimental(&self) -> bool {
        self.experimental
    }

    /// The cookie; empty for a request.
    pub fn cookie(&self) -> &[u8] {
        self.cookie.get(..usize::from(self.len)).unwrap_or(&[])
    }
}
