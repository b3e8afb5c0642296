//! One datagram under reassembly.
//!
//! Invariant: `pieces` are sorted by offset and do not overlap; `have` is the sum of their
//! lengths; once `dead` it holds nothing and takes nothing.

use alloc::vec::Vec;
use phy::Instant;

use super::fragment::MAX_PACKET;
use super::unreach::Quote;
use crate::error::Drop;
use crate::wire::{Ipv4, checksum};

/// What a datagram is charged for its place in the tables, in octets.
const PLACE: usize = 2048;
/// What a fragment is charged beside its octets.
const PIECE: usize = 16;
/// Fragments of one datagram at most: as many as links of the least MTU, 68 octets, make.
const MAX_PIECES: usize = MAX_PACKET / 48;
/// Most that one datagram is charged.
pub(crate) const MAX_CHARGE: usize = 128 << 10;
const _: () = assert!(PLACE + MAX_PIECES * PIECE + MAX_PACKET <= MAX_CHARGE);

/// Where a fragment belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    from: usize,
    len: usize,
    last: bool,
}

impl Place {
    /// `None` for a fragment that no honest sender makes: empty, not a multiple of eight octets
    /// although more follow, or beyond the greatest datagram.
    pub fn of(ip: &Ipv4, header: usize, len: usize) -> Option<Self> {
        let (from, last) = (usize::from(ip.fragment_offset), !ip.more_fragments);
        let fits = from + len + header <= MAX_PACKET;
        let whole_units = last || len.is_multiple_of(8);
        (len > 0 && whole_units && fits).then_some(Self { from, len, last })
    }
    const fn to(self) -> usize {
        self.from + self.len
    }
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    from: usize,
    len: usize,
    /// Where its octets are in `octets`.
    at: usize,
}

/// A datagram of which some fragments came.
#[derive(Debug, Clone)]
pub(crate) struct Partial {
    /// Number of its arrival.
    pub arrival: u64,
    /// When it is given up.
    pub until: Instant,
    /// It was sent to us alone.
    unicast: bool,
    dead: bool,
    /// Header of the first fragment.
    header: Vec<u8>,
    /// Octets of all fragments, in order of arrival.
    octets: Vec<u8>,
    pieces: Vec<Piece>,
    have: usize,
    /// Where the datagram ends, once the last fragment came.
    end: Option<usize>,
    /// ECN fields seen: bit `n` for codepoint `n`.
    ecn: u8,
}

impl Partial {
    pub fn new(arrival: u64, until: Instant, unicast: bool) -> Self {
        Self {
            arrival,
            until,
            unicast,
            dead: false,
            header: Vec::new(),
            octets: Vec::new(),
            pieces: Vec::new(),
            have: 0,
            end: None,
            ecn: 0,
        }
    }

    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// Octets it is charged.
    pub fn charge(&self) -> usize {
        PLACE + self.pieces.len() * PIECE + self.octets.len()
    }

    /// Takes a fragment in; tells whether the datagram is complete.
    pub fn take(
        &mut self,
        place: Place,
        ip: &Ipv4,
        header: &[u8],
        payload: &[u8],
    ) -> Result<bool, Drop> {
        if self.dead {
            return Err(Drop::BadFragment);
        }
        let fits = self.fits(place, payload);
        if fits == Err(Drop::BadFragment) {
            self.dead = true;
            (self.octets, self.pieces, self.header) = (Vec::new(), Vec::new(), Vec::new());
        }
        let Some(at) = fits? else {
            return Ok(false);
        };
        let piece = Piece {
            from: place.from,
            len: place.len,
            at: self.octets.len(),
        };
        self.pieces.insert(at, piece);
        self.octets.extend_from_slice(payload);
        self.have += place.len;
        self.ecn |= 1 << ip.ecn;
        if place.last {
            self.end = Some(place.to());
        }
        if place.from == 0 {
            self.header = header.to_vec();
        }
        Ok(self.end == Some(self.have))
    }

    /// Where among the pieces it goes; `None` if it is there already.
    fn fits(&self, place: Place, payload: &[u8]) -> Result<Option<usize>, Drop> {
        let at = self.pieces.partition_point(|p| p.from < place.from);
        let before = at.checked_sub(1).and_then(|n| self.pieces.get(n));
        let after = self.pieces.get(at);
        if let Some(twin) = after.filter(|p| p.from == place.from && p.len == place.len) {
            let same = self.octets.get(twin.at..twin.at + twin.len) == Some(payload);
            let ends = self.end == Some(place.to());
            return match same && place.last == ends {
                true => Ok(None),
                false => Err(Drop::BadFragment),
            };
        }
        let overlaps = before.is_some_and(|p| p.from + p.len > place.from)
            || after.is_some_and(|p| p.from < place.to());
        let beyond = match self.end {
            // Only the last fragment reaches the end, and it has come.
            Some(end) => place.last || place.to() > end,
            None => place.last && after.is_some(),
        };
        if overlaps || beyond || self.pieces.len() >= MAX_PIECES {
            return Err(Drop::BadFragment);
        }
        Ok(Some(at))
    }

    /// The header of the whole and its payload, of a complete datagram.
    pub fn put_together(&mut self, whole: &mut (Vec<u8>, Vec<u8>)) {
        let (header, payload) = whole;
        let in_order = self.pieces.windows(2).all(|w| match w {
            [a, b] => a.at < b.at,
            _ => true,
        });
        if in_order {
            *payload = core::mem::take(&mut self.octets);
        } else {
            payload.clear();
            payload.reserve_exact(self.have);
            for p in &self.pieces {
                payload.extend_from_slice(self.octets.get(p.at..p.at + p.len).unwrap_or(&[]));
            }
        }
        *header = core::mem::take(&mut self.header);
        let total = (header.len() + payload.len()) as u16; // `is_too_long` was asked
        let ce = self.ecn & 0b1000 != 0;
        if let Some(h) = header.first_chunk_mut::<20>() {
            if ce {
                h[1] |= 3;
            }
            h[2..4].copy_from_slice(&total.to_be_bytes());
            h[6..8].fill(0);
            h[10..12].fill(0);
        }
        let sum = checksum(header);
        if let Some(field) = header.get_mut(10..12) {
            field.copy_from_slice(&sum.to_be_bytes());
        }
    }

    /// With the header of the first fragment, which may have been longer than those of the others,
    /// the whole is longer than an IP packet can be.
    pub fn is_too_long(&self) -> bool {
        self.header.len() + self.have > MAX_PACKET
    }

    /// Capability was denied by some and claimed by other fragments, or congestion seen by
    /// these: to be dropped (RFC 3168 §5.3).
    pub fn ecn_contradicts(&self) -> bool {
        self.ecn & 0b0001 != 0 && self.ecn != 0b0001
    }

    /// What to quote when it is given up: `None` without the first fragment, about which alone
    /// errors are sent (RFC 1122 §3.3.2).
    pub fn quote(&self) -> Option<Quote> {
        let first = self.pieces.first().filter(|p| p.from == 0)?;
        let octets = self.octets.get(first.at..first.at + first.len)?;
        Quote::of(&self.header, octets).filter(|_| self.unicast)
    }
}
