//! The TCP options we use, as one value, and their octets.
//!
//! Invariant: the writer produces at most 40 octets, a multiple of four, in the order and
//! alignment Linux uses; what it writes reads back as the same value. Reading never fails: a
//! broken list yields what stood before the break.

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::tcp_accecn::AccEcn;
use super::tcp_options::{FastOpen, SackBlocks, TcpOption, TcpOptionIter, kind};

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
    /// Octets received with each ECN codepoint (RFC 9768 §3.2.3).
    pub accurate_ecn: Option<AccEcn>,
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
        accurate_ecn: None,
        malformed: false,
    };

    /// Reads the options of a segment. Unknown ones are skipped; of repeated ones the last
    /// counts; those that belong on a SYN only are for the caller to ignore elsewhere.
    #[inline]
    pub fn parse(options: &[u8]) -> Self {
        if let Some(timestamps) = Self::timestamps_only(options) {
            return Self {
                timestamps: Some(timestamps),
                ..Self::NONE
            };
        }
        Self::parse_each(options)
    }

    #[inline(never)]
    fn parse_each(options: &[u8]) -> Self {
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
                Ok(TcpOption::AccEcn(counts)) => all.accurate_ecn = Some(counts),
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
    /// AccECN; two nops and SACK blocks; user timeout; Fast Open. A SACK block that finds no room is
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
        if let Some(counts) = self.accurate_ecn {
            out.put_accecn(counts);
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

    /// As [`TcpOptions::emit`] writes timestamp value and echo, and nothing else.
    #[inline]
    pub(crate) fn timestamps(value: u32, echo: u32) -> Self {
        let mut all = Self::EMPTY;
        if let Some(octets) = all.octets.first_chunk_mut::<12>() {
            octets[..4].copy_from_slice(&[kind::NOP, kind::NOP, kind::TIMESTAMPS, 10]);
            Be::write_u32(&mut octets[4..8], value);
            Be::write_u32(&mut octets[8..12], echo);
            all.len = 12;
        }
        all
    }

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

    fn put_accecn(&mut self, counts: AccEcn) {
        if counts.octets().next_multiple_of(4) > self.room() {
            return;
        }
        let kind = if counts.is_ect1_first() {
            kind::ACCECN1
        } else {
            kind::ACCECN0
        };
        self.put(&[kind, counts.octets() as u8]);
        for field in counts.fields() {
            self.put(field);
        }
        while !self.len.is_multiple_of(4) {
            self.put(&[kind::NOP]);
        }
    }

    fn put_fast_open(&mut self, cookie: FastOpen) {
        let body = cookie.cookie();
        let head: &[u8] = if cookie.is_experimental() {
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
