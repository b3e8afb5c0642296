//! IPv4 options (RFC 791 §3.1) as an iterator.
//!
//! Invariant: every step consumes at least one octet; after an error or the end of the list
//! nothing more comes. The network layer reads options only to drop source routes and to see
//! router alerts; `Dump` reads them all.

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::{WireError, options};

/// One option. The end of the list is the end of the iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ipv4Option<'a> {
    /// Padding between options (kind 1).
    Nop,
    /// Addresses of the routers passed (kind 7).
    RecordRoute(Route<'a>),
    /// Routers to pass on the way (kind 131); packets with it are to be dropped (RFC 7126 §4.3).
    LooseSourceRoute(Route<'a>),
    /// All routers to pass (kind 137); packets with it are to be dropped (RFC 7126 §4.4).
    StrictSourceRoute(Route<'a>),
    /// Times at the routers passed (kind 68).
    Timestamp {
        /// Where the next entry goes, in octets from the option's start, counted from 1.
        pointer: u8,
        /// Routers that found no room, 0 to 15.
        overflow: u8,
        /// 0 timestamps only, 1 with addresses, 3 at the given addresses.
        flag: u8,
        /// Entries, written and free.
        data: &'a [u8],
    },
    /// Routers shall look into this packet (kind 148, RFC 2113). The value is 0 as a rule.
    RouterAlert(u16),
    /// Any other kind, or one of the above with a length that does not fit it.
    Other {
        /// The kind octet: copied flag, class, number.
        kind: u8,
        /// What follows the length octet.
        data: &'a [u8],
    },
}

/// The body of the three route options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// Where the next address is, in octets from the option's start, counted from 1; at least 4.
    pub pointer: u8,
    /// The addresses, four octets each.
    pub addresses: &'a [u8],
}

/// Walks the options of a header.
///
/// ```
/// use netstrata::wire::{Ipv4Option, Ipv4Options, WireError};
/// let mut options = Ipv4Options::new(&[1, 148, 4, 0, 0, 7, 1]);
/// assert_eq!(options.next(), Some(Ok(Ipv4Option::Nop)));
/// assert_eq!(options.next(), Some(Ok(Ipv4Option::RouterAlert(0))));
/// // Lengths of zero and one would stand still.
/// assert_eq!(options.next(), Some(Err(WireError::BadOption)));
/// assert_eq!(options.next(), None);
/// ```
#[derive(Debug, Clone)]
pub struct Ipv4Options<'a> {
    rest: &'a [u8],
}

impl<'a> Ipv4Options<'a> {
    /// Starts at the first option; `options` is what [`Ipv4::parse`](super::Ipv4::parse) gave.
    pub const fn new(options: &'a [u8]) -> Self {
        Self { rest: options }
    }

    /// Whether there is a source route among what is left, loose or strict. No look at the
    /// route itself: the kind is enough to drop the packet.
    ///
    /// # Errors
    /// [`WireError::BadOption`] when the options are malformed before one is found.
    pub fn source_routed(self) -> Result<bool, WireError> {
        for option in self {
            match option? {
                Ipv4Option::LooseSourceRoute(_)
                | Ipv4Option::StrictSourceRoute(_)
                | Ipv4Option::Other {
                    kind: kind::LSRR | kind::SSRR,
                    ..
                } => return Ok(true),
                _ => {}
            }
        }
        Ok(false)
    }
}

impl<'a> Iterator for Ipv4Options<'a> {
    type Item = Result<Ipv4Option<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        let option = options::step(&mut self.rest)?;
        Some(option.map(|(kind, data)| read(kind, data)))
    }
}

impl core::iter::FusedIterator for Ipv4Options<'_> {}

mod kind {
    pub const RR: u8 = 7;
    pub const TS: u8 = 68;
    pub const LSRR: u8 = 131;
    pub const SSRR: u8 = 137;
    pub const RA: u8 = 148;
}

fn read(kind: u8, data: &[u8]) -> Ipv4Option<'_> {
    let route = || {
        let (&pointer, addresses) = data.split_first()?;
        (pointer >= 4 && addresses.len() % 4 == 0).then_some(Route { pointer, addresses })
    };
    let known = match kind {
        options::NOP => Some(Ipv4Option::Nop),
        kind::RR => route().map(Ipv4Option::RecordRoute),
        kind::LSRR => route().map(Ipv4Option::LooseSourceRoute),
        kind::SSRR => route().map(Ipv4Option::StrictSourceRoute),
        kind::TS => data
            .split_first_chunk()
            .map(|([pointer, byte], data)| Ipv4Option::Timestamp {
                pointer: *pointer,
                overflow: byte >> 4,
                flag: byte & 15,
                data,
            }),
        kind::RA => <&[u8; 2]>::try_from(data)
            .ok()
            .map(|value| Ipv4Option::RouterAlert(Be::read_u16(value))),
        _ => None,
    };
    known.unwrap_or(Ipv4Option::Other { kind, data })
}
