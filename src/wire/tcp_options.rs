//! TCP options (RFC 9293 §3.2): an iterator that reads any, a value with those we use, and the
//! writer of that value.
//!
//! Invariant: every step of the walk consumes at least one octet; after an error or the end of
//! the list nothing more comes, and what was read before stands. The writer produces at most 40
//! octets, a multiple of four, in the order Linux uses.

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::WireError;

mod kind {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
    pub const USER_TIMEOUT: u8 = 28;
    pub const FAST_OPEN: u8 = 34;
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

    fn step(&mut self) -> Option<Result<TcpOption<'a>, WireError>> {
        let (&kind, rest) = self.rest.split_first()?;
        match kind {
            kind::END => return None,
            kind::NOP => {
                self.rest = rest;
                return Some(Ok(TcpOption::Nop));
            }
            _ => {}
        }
        // The length counts kind and length octets as well.
        let len = rest.first().map(|len| usize::from(*len));
        let body = len.filter(|len| *len >= 2).and_then(|len| {
            let (option, after) = self.rest.split_at_checked(len)?;
            self.rest = after;
            option.get(2..)
        });
        Some(
            body.ok_or(WireError::BadOption)
                .map(|data| read(kind, data)),
        )
    }
}

impl<'a> Iterator for TcpOptionIter<'a> {
    type Item = Result<TcpOption<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.step();
        if !matches!(item, Some(Ok(_))) {
            self.rest = &[];
        }
        item
    }
}

impl core::iter::FusedIterator for TcpOptionIter<'_> {}

fn read(kind: u8, data: &[u8]) -> TcpOption<'_> {
    let known = match (kind, data) {
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
        (kind::FAST_OPEN, _) => FastOpen::new(data).map(TcpOption::FastOpen),
        (kind::EXPERIMENT, [a, b, cookie @ ..]) if [*a, *b] == kind::FAST_OPEN_EXID => {
            FastOpen::new(cookie).map(|cookie| TcpOption::FastOpen(cookie.in_experimental_option()))
        }
        _ => None,
    };
    known.unwrap_or(TcpOption::Unknown { kind, data })
}

/// Up to four blocks of a SACK option: first sequence number, and the one after the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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

/// The options of one segment that we use.
///
/// ```
/// use netstrata::wire::TcpOptions;
/// let syn = TcpOptions {
///     mss: Some(1460),
///     window_scale: Some(8),
///     sack_permitted: true,
///     timestamps: Some((1, 0)),
///     ..TcpOptions::NONE
/// };
/// let octets = syn.emit();
/// // mss, sackOK, timestamps, nop, window scale: as Linux writes them.
/// assert_eq!(octets.as_slice(), [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 8]);
/// assert_eq!(TcpOptions::parse(octets.as_slice()), syn);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Largest segment the sender can receive, in octets, as sent.
    pub mss: Option<u16>,
    /// Window shift, 0 to 14 bits; more is read as 14 (RFC 7323 §2.3).
    pub window_scale: Option<u8>,
    /// SACK may be sent.
    pub sack_permitted: bool,
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
    /// Blocks received out of order.
    pub sack: SackBlocks,
    /// User timeout in seconds, 0 to 1,966,020 (32767 minutes).
    pub user_timeout: Option<u32>,
    /// Fast Open cookie, or request.
    pub fast_open: Option<FastOpen>,
    /// The list broke off at an option of impossible length. What stood before it is here.
    pub malformed: bool,
}

impl TcpOptions {
    /// No option.
    pub const NONE: Self = Self {
        mss: None,
        window_scale: None,
        sack_permitted: false,
        timestamps: None,
        sack: SackBlocks::NONE,
        user_timeout: None,
        fast_open: None,
        malformed: false,
    };

    /// Reads the options of a segment. Unknown ones are skipped; of repeated ones the last
    /// counts; those that belong on a SYN only are for the caller to ignore elsewhere.
    pub fn parse(options: &[u8]) -> Self {
        if let Some(timestamps) = Self::timestamps_only(options) {
            return Self {
                timestamps: Some(timestamps),
                ..Self::NONE
            };
        }
        let mut all = Self::NONE;
        for option in TcpOptionIter::new(options) {
            match option {
                Ok(TcpOption::Mss(mss)) => all.mss = Some(mss),
                Ok(TcpOption::WindowScale(shift)) => all.window_scale = Some(shift.min(14)),
                Ok(TcpOption::SackPermitted) => all.sack_permitted = true,
                Ok(TcpOption::Sack(blocks)) => all.sack = blocks,
                Ok(TcpOption::Timestamps { value, echo }) => all.timestamps = Some((value, echo)),
                Ok(TcpOption::UserTimeout { minutes, amount }) => {
                    let unit = if minutes { 60 } else { 1 };
                    all.user_timeout = Some(u32::from(amount).saturating_mul(unit));
                }
                Ok(TcpOption::FastOpen(cookie)) => all.fast_open = Some(cookie),
                Ok(TcpOption::Nop | TcpOption::Unknown { .. }) => {}
                Err(_) => all.malformed = true,
            }
        }
        all
    }

    /// Timestamp value and echo when the options are exactly nop, nop, timestamps, which is what
    /// nearly every segment of a connection carries (RFC 7323 appendix A).
    #[inline]
    pub fn timestamps_only(options: &[u8]) -> Option<(u32, u32)> {
        let options: &[u8; 12] = options.try_into().ok()?;
        (options[0..4] == [kind::NOP, kind::NOP, kind::TIMESTAMPS, 10])
            .then(|| (Be::read_u32(&options[4..8]), Be::read_u32(&options[8..12])))
    }

    /// The options as octets, padded to a multiple of four, in Linux's order and alignment:
    /// mss; sackOK and timestamps, either after two nops when alone; nop and window scale;
    /// two nops and SACK blocks; user timeout; Fast Open. A SACK block that finds no room is
    /// left out, the last first, and so is any later option that finds none.
    pub fn emit(&self) -> OptionBytes {
        let mut out = OptionBytes::EMPTY;
        if let Some(mss) = self.mss {
            let [a, b] = mss.to_be_bytes();
            out.put(&[kind::MSS, 4, a, b]);
        }
        match self.timestamps {
            Some((value, echo)) => {
                out.put(if self.sack_permitted {
                    &[kind::SACK_PERMITTED, 2, kind::TIMESTAMPS, 10]
                } else {
                    &[kind::NOP, kind::NOP, kind::TIMESTAMPS, 10]
                });
                out.put(&value.to_be_bytes());
                out.put(&echo.to_be_bytes());
            }
            None if self.sack_permitted => {
                out.put(&[kind::NOP, kind::NOP, kind::SACK_PERMITTED, 2]);
            }
            None => {}
        }
        if let Some(shift) = self.window_scale {
            out.put(&[kind::NOP, kind::WINDOW_SCALE, 3, shift]);
        }
        out.put_sack(self.sack);
        if let Some(seconds) = self.user_timeout {
            // Whole seconds up to 32767, minutes above (RFC 5482 §3).
            let [a, b] = match u16::try_from(seconds) {
                Ok(amount) if amount < 0x8000 => amount,
                _ => (seconds / 60).min(0x7fff) as u16 | 0x8000,
            }
            .to_be_bytes();
            out.put(&[kind::USER_TIMEOUT, 4, a, b]);
        }
        if let Some(cookie) = self.fast_open {
            out.put_fast_open(cookie);
        }
        out
    }
}

/// Octets of options as [`TcpOptions::emit`] wrote them: 0 to 40, a multiple of four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionBytes {
    octets: [u8; 40],
    len: u8,
}

impl OptionBytes {
    /// No options.
    pub const EMPTY: Self = Self {
        octets: [0; 40],
        len: 0,
    };

    /// The octets.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// How many, 0 to 40.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets that still fit.
    fn room(&self) -> usize {
        self.octets.len().saturating_sub(self.len())
    }

    /// Appends octets, or nothing when they do not fit.
    fn put(&mut self, octets: &[u8]) -> bool {
        let end = self.len().saturating_add(octets.len());
        let Some(room) = self.octets.get_mut(usize::from(self.len)..end) else {
            return false;
        };
        room.copy_from_slice(octets);
        self.len = end as u8;
        true
    }

    fn put_sack(&mut self, blocks: SackBlocks) {
        let fitting = blocks.len().min(self.room().saturating_sub(4) / 8);
        if fitting == 0 {
            return;
        }
        self.put(&[kind::NOP, kind::NOP, kind::SACK, (2 + 8 * fitting) as u8]);
        for (left, right) in blocks.iter().take(fitting) {
            self.put(&left.to_be_bytes());
            self.put(&right.to_be_bytes());
        }
    }

    fn put_fast_open(&mut self, cookie: FastOpen) {
        let body = cookie.cookie();
        let head: &[u8] = if cookie.experimental {
            let [x, y] = kind::FAST_OPEN_EXID;
            &[kind::EXPERIMENT, 4 + body.len() as u8, x, y]
        } else {
            &[kind::FAST_OPEN, 2 + body.len() as u8]
        };
        let len = head.len() + body.len();
        if len.next_multiple_of(4) > self.room() {
            return;
        }
        self.put(head);
        self.put(body);
        // Linux pads the cookie behind it.
        while !self.len.is_multiple_of(4) {
            self.put(&[kind::NOP]);
        }
    }
}

impl Default for OptionBytes {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl AsRef<[u8]> for OptionBytes {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}
