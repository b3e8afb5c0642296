//! The Internet checksum: RFC 1071 sums in wide words, RFC 1624 updates.
//!
//! Invariant: a [`Sum`] stands for the ones' complement sum of the big-endian 16-bit words fed
//! to it, with the odd octet at the end of everything padded by zero. The order of additions
//! and the split into slices do not matter. Results equal the plain loop bit for bit, including
//! the choice between the two zeros: only all-zero input sums to zero.

use core::net::IpAddr;

/// An unfinished checksum.
///
/// ```
/// use netstrata::wire::Sum;
/// // A slice of odd length may be followed by another: the octets count as one stream.
/// let split = Sum::ZERO.add_bytes(&[1, 2, 3]).add_bytes(&[4, 5]);
/// assert_eq!(split.finish(), Sum::of(&[1, 2, 3, 4, 5]).finish());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    /// Big-endian value of the words so far, congruent modulo 0xffff; far from overflow.
    words: u64,
    /// Whether an odd number of octets went in, so that the next one is a low octet.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self {
        words: 0,
        odd: false,
    };

    /// The sum of some octets.
    #[inline]
    pub fn of(data: &[u8]) -> Self {
        Self::ZERO.add_bytes(data)
    }

    /// The pseudo header of TCP and UDP (RFC 9293 §3.1, RFC 768; RFC 8200 §8.1). `len` is the
    /// number of octets of transport header and payload.
    ///
    /// Both addresses are of one family; nothing breaks otherwise, but nothing is meant by it.
    #[inline]
    pub fn pseudo(src: IpAddr, dst: IpAddr, proto: u8, len: usize) -> Self {
        // 2^16 is 1 modulo 0xffff, so 32-bit words may be added whole.
        let words = |addr| match addr {
            IpAddr::V4(a) => u64::from(u32::from_be_bytes(a.octets())),
            IpAddr::V6(a) => {
                let bits = u128::from_be_bytes(a.octets());
                u64::from(bits as u32)
                    .wrapping_add(u64::from((bits >> 32) as u32))
                    .wrapping_add(u64::from((bits >> 64) as u32))
                    .wrapping_add(u64::from((bits >> 96) as u32))
            }
        };
        Self {
            words: words(src)
                .wrapping_add(words(dst))
                .wrapping_add(u64::from(proto))
                .wrapping_add(u64::from(len as u32)),
            odd: false,
        }
    }

    /// Appends octets.
    #[inline]
    #[must_use]
    pub fn add_bytes(self, data: &[u8]) -> Self {
        self.append(data_sum(data), data.len())
    }

    /// Appends `len` octets whose folded sum is known.
    #[inline]
    fn append(self, folded: u16, len: usize) -> Self {
        // Octets at odd offsets add to the other half of their word (RFC 1071 §2 (B)).
        let folded = if self.odd {
            folded.swap_bytes()
        } else {
            folded
        };
        Self {
            words: self.words.wrapping_add(u64::from(folded)),
            odd: self.odd ^ (len & 1 != 0),
        }
    }

    /// Adds one aligned 16-bit word, wherever it stands in the message.
    #[inline]
    #[must_use]
    pub const fn add_u16(self, word: u16) -> Self {
        Self {
            words: self.words.wrapping_add(word as u64),
            odd: self.odd,
        }
    }

    /// Adds one aligned 32-bit word, wherever it stands in the message.
    #[inline]
    #[must_use]
    pub const fn add_u32(self, word: u32) -> Self {
        Self {
            words: self.words.wrapping_add(word as u64),
            odd: self.odd,
        }
    }

    /// Appends what another sum has seen: the sum of a header, then that of its payload.
    #[inline]
    #[must_use]
    pub fn add_sum(self, next: Self) -> Self {
        self.append(next.fold(), usize::from(next.odd))
    }

    /// The sum, not complemented: 0xffff over a message with a right checksum in it, and the
    /// seed a device wants in the checksum field when it does the rest.
    #[inline]
    pub const fn fold(self) -> u16 {
        fold(self.words)
    }

    /// The checksum: the complement of the sum. Zero over a message with a right checksum in it.
    #[inline]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }
}

/// The checksum of some octets (RFC 1071).
///
/// ```
/// assert_eq!(netstrata::wire::checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0x220d);
/// ```
#[inline]
pub fn checksum(data: &[u8]) -> u16 {
    Sum::of(data).finish()
}

/// The checksum after one of the words under it changed from `from` to `to` (RFC 1624 §3,
/// equation 3).
///
/// ```
/// // The example of RFC 1624 §4: never -0 where the full sum gives +0.
/// assert_eq!(netstrata::wire::checksum::update(0xdd2f, 0x5555, 0x3285), 0x0000);
/// ```
#[inline]
pub const fn update(checksum: u16, from: u16, to: u16) -> u16 {
    !fold(!checksum as u64 + !from as u64 + to as u64)
}

/// As [`update`] for an aligned 32-bit word, such as an IPv4 address.
#[inline]
pub const fn update_u32(checksum: u16, from: u32, to: u32) -> u16 {
    !fold(!checksum as u64 + !from as u64 + to as u64)
}

/// Copies `src` to the front of `dst` and sums it on the way. Returns `None`, copying nothing,
/// when `dst` is shorter.
#[inline]
pub fn copy_and_sum(dst: &mut [u8], src: &[u8]) -> Option<Sum> {
    let dst = dst.get_mut(..src.len())?;
    dst.copy_from_slice(src);
    // The copy has just brought the octets into the first-level cache.
    Some(Sum::of(dst))
}

/// Ones' complement reduction to sixteen bits.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff).wrapping_add(sum >> 32);
    let sum = (sum & 0xffff)
        .wrapping_add((sum >> 16) & 0xffff)
        .wrapping_add(sum >> 32);
    let sum = (sum & 0xffff).wrapping_add(sum >> 16);
    (sum & 0xffff).wrapping_add(sum >> 16) as u16
}

/// The folded sum of the big-endian words of `data`.
#[inline]
fn data_sum(data: &[u8]) -> u16 {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if data.len() >= super::checksum_simd::WORTH {
        return u16::from_be(fold(super::checksum_simd::words(data)));
    }
    u16::from_be(fold(words(data)))
}

/// The sum of `data` in 32-bit words of the machine's byte order, not folded. The sum of
/// swapped words is the swapped sum (RFC 1071 §2 (B)), so one swap at the end is enough.
///
/// Inlined into each instruction set's version, where it becomes vector code.
#[inline(always)]
pub(super) fn words(data: &[u8]) -> u64 {
    let mut low = [0u64; 4];
    let mut high = [0u64; 4];
    let (blocks, rest) = data.as_chunks::<32>();
    for block in blocks {
        let (lanes, _) = block.as_chunks::<8>();
        for ((lane, low), high) in lanes.iter().zip(&mut low).zip(&mut high) {
            let word = u64::from_ne_bytes(*lane);
            // Halves apart, so that no carry is lost for the first 128 GiB.
            *low = low.wrapping_add(word & 0xffff_ffff);
            *high = high.wrapping_add(word >> 32);
        }
    }
    let mut sum = low
        .iter()
        .chain(&high)
        .fold(0u64, |a, b| a.wrapping_add(*b));
    let (lanes, rest) = rest.as_chunks::<4>();
    for lane in lanes {
        sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*lane)));
    }
    // What is left is zero to three octets, padded by zero to a word.
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    sum.wrapping_add(u64::from(u32::from_ne_bytes(last)))
}
