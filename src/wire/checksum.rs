//! The Internet checksum: RFC 1071 sums in wide words, RFC 1624 updates.
//!
//! Invariant: a [`Sum`] stands for the ones' complement sum of the big-endian 16-bit words fed
//! to it, with the odd octet at the end of everything padded by zero. The order of additions
//! and the split into slices do not matter. Results equal the plain loop bit for bit, including
//! the choice between the two zeros: only all-zero input sums to zero.

use core::net::IpAddr;

#[cfg(all(feature = "std", target_arch = "x86_64"))]
use super::checksum_simd;

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
    /// Value of the words so far in the machine's byte order, congruent modulo 0xffff; far from
    /// overflow. The sum of swapped words is the swapped sum (RFC 1071 §2 (B)), so one swap at the
    /// end is enough.
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
            IpAddr::V4(a) => u64::from(u32::from_ne_bytes(a.octets())),
            IpAddr::V6(a) => {
                let bits = u128::from_ne_bytes(a.octets());
                u64::from(bits as u32)
                    .wrapping_add(u64::from((bits >> 32) as u32))
                    .wrapping_add(u64::from((bits >> 64) as u32))
                    .wrapping_add(u64::from((bits >> 96) as u32))
            }
        };
        Self {
            words: words(src)
                .wrapping_add(words(dst))
                .wrapping_add(u64::from(u32::from(proto).to_be()))
                .wrapping_add(u64::from((len as u32).to_be())),
            odd: false,
        }
    }

    /// Appends octets.
    #[inline]
    #[must_use]
    pub fn add_bytes(self, data: &[u8]) -> Self {
        self.append(data_sum(data), data.len())
    }

    /// Appends `len` octets whose sum is known, in the machine's byte order.
    #[inline]
    fn append(self, words: u64, len: usize) -> Self {
        // Octets at odd offsets add to the other half of their word (RFC 1071 §2 (B)).
        let words = if self.odd {
            u64::from(fold(words).swap_bytes())
        } else {
            halve(words)
        };
        Self {
            words: self.words.wrapping_add(words),
            odd: self.odd ^ (len & 1 != 0),
        }
    }

    /// Adds one aligned 16-bit word, wherever it stands in the message.
    #[inline]
    #[must_use]
    pub const fn add_u16(self, word: u16) -> Self {
        Self {
            words: self.words.wrapping_add(word.to_be() as u64),
            odd: self.odd,
        }
    }

    /// Adds one aligned 32-bit word, wherever it stands in the message.
    #[inline]
    #[must_use]
    pub const fn add_u32(self, word: u32) -> Self {
        Self {
            words: self.words.wrapping_add(word.to_be() as u64),
            odd: self.odd,
        }
    }

    /// Appends what another sum has seen: the sum of a header, then that of its payload.
    #[inline]
    #[must_use]
    pub fn add_sum(self, next: Self) -> Self {
        self.append(next.words, usize::from(next.odd))
    }

    /// The sum, not complemented: 0xffff over a message with a right checksum in it, and the
    /// seed a device wants in the checksum field when it does the rest.
    #[inline]
    pub const fn fold(self) -> u16 {
        u16::from_be(fold(self.words))
    }

    /// The checksum: the complement of the sum. Zero over a message with a right checksum in it.
    #[inline]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }
}

/// Two sums are equal when they fold to the same and the same octets may follow.
impl PartialEq for Sum {
    fn eq(&self, other: &Self) -> bool {
        self.fold() == other.fold() && self.odd == other.odd
    }
}

impl Eq for Sum {}

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
///
/// ```
/// use netstrata::wire::{checksum::copy_and_sum, Sum};
/// let mut frame = [0; 8];
/// assert_eq!(copy_and_sum(&mut frame, b"octets"), Some(Sum::of(b"octets")));
/// assert_eq!(&frame, b"octets\0\0");
/// assert_eq!(copy_and_sum(&mut frame, b"many octets"), None);
/// ```
#[inline]
pub fn copy_and_sum(dst: &mut [u8], src: &[u8]) -> Option<Sum> {
    let dst = dst.get_mut(..src.len())?;
    let words = if src.len() < SHORT {
        short_copy(dst, src)
    } else {
        long_copy(dst, src)
    };
    Some(Sum::ZERO.append(words, src.len()))
}

/// As [`copy_and_sum`], where the octets are mostly many, as those of full segments are.
#[inline(always)]
pub(crate) fn copy_and_sum_many(dst: &mut [u8], src: &[u8]) -> Option<Sum> {
    if src.len() < SHORT {
        return copy_and_sum(dst, src);
    }
    let dst = dst.get_mut(..src.len())?;
    Some(Sum::ZERO.append(long_copy(dst, src), src.len()))
}

/// Copies, and sums the words in the machine's byte order. `dst` is as long as `src`.
#[inline(never)]
fn long_copy(dst: &mut [u8], src: &[u8]) -> u64 {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if let Some(words) = checksum_simd::copy_words(dst, src) {
        return words;
    }
    dst.copy_from_slice(src);
    // The copy has just brought the octets into the first-level cache.
    data_sum(dst)
}

/// Ones' complement reduction to sixteen bits.
#[inline]
const fn fold(sum: u64) -> u16 {
    // The upper half of a value plus itself with its halves swapped is the sum of the halves, the
    // carry added in; it is zero only where both are.
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// Ones' complement reduction to little more than 32 bits.
#[inline]
const fn halve(sum: u64) -> u64 {
    (sum & 0xffff_ffff).wrapping_add(sum >> 32)
}

/// The sum of the words of `data` in the machine's byte order, not folded.
#[inline]
fn data_sum(data: &[u8]) -> u64 {
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if data.len() >= checksum_simd::WORTH
        && let Some(words) = checksum_simd::words(data)
    {
        return words;
    }
    if data.len() < SHORT {
        return short_words(data);
    }
    words(data)
}

/// Below this many octets lanes cost more than they save.
const SHORT: usize = 128;

/// As [`words`], one 64-bit word at a time: two instructions each, and for an array, whose length
/// is known when this is compiled, nothing else.
#[inline(always)]
pub(super) fn short_words(data: &[u8]) -> u64 {
    let add = |sum: u128, word: &[u8; 8]| sum.wrapping_add(u128::from(u64::from_ne_bytes(*word)));
    let (blocks, rest) = data.as_chunks::<32>();
    let mut sum = 0;
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        sum = words.iter().fold(sum, add);
    }
    let (words, rest) = rest.as_chunks::<8>();
    let sum = words.iter().fold(sum, add);
    let (halves, rest) = rest.as_chunks::<4>();
    let half = halves
        .iter()
        .map(|half| u64::from(u32::from_ne_bytes(*half)));
    let last = match *rest {
        [a] => u32::from_ne_bytes([a, 0, 0, 0]),
        [a, b] => u32::from_ne_bytes([a, b, 0, 0]),
        [a, b, c] => u32::from_ne_bytes([a, b, c, 0]),
        _ => 0,
    };
    // 2^32 and 2^64 are 1 modulo 0xffff.
    u64::from(sum as u32)
        .wrapping_add(u64::from((sum >> 32) as u32))
        .wrapping_add((sum >> 64) as u64)
        .wrapping_add(half.sum())
        .wrapping_add(u64::from(last))
}

/// As [`short_words`], and copies: `dst` is as long as `src`. For so few octets a call of a
/// routine that copies would cost as much as the copying, so nothing here is left to one.
#[inline(always)]
fn short_copy(dst: &mut [u8], src: &[u8]) -> u64 {
    let add = |sum: u128, word: &[u8; 8]| sum.wrapping_add(u128::from(u64::from_ne_bytes(*word)));
    let (blocks, mut from) = src.as_chunks::<32>();
    let (rooms, mut to) = dst.as_chunks_mut::<32>();
    let mut sum = 0;
    for (room, block) in rooms.iter_mut().zip(blocks) {
        *room = *block;
        let (words, _) = block.as_chunks::<8>();
        sum = words.iter().fold(sum, add);
    }
    // 2^32 and 2^64 are 1 modulo 0xffff.
    let narrow = |sum: u128| {
        u64::from(sum as u32)
            .wrapping_add(u64::from((sum >> 32) as u32))
            .wrapping_add((sum >> 64) as u64)
    };
    if from.is_empty() {
        return narrow(sum);
    }
    if let Some(a) = move_chunk::<16>(&mut to, &mut from) {
        let (words, _) = a.as_chunks::<8>();
        sum = words.iter().fold(sum, add);
    }
    if let Some(a) = move_chunk::<8>(&mut to, &mut from) {
        sum = add(sum, &a);
    }
    let few = move_chunk::<4>(&mut to, &mut from).map_or(0, u32::from_ne_bytes);
    let last = match (from, to) {
        (&[a], [x]) => {
            *x = a;
            [a, 0, 0, 0]
        }
        (&[a, b], [x, y]) => {
            (*x, *y) = (a, b);
            [a, b, 0, 0]
        }
        (&[a, b, c], [x, y, z]) => {
            (*x, *y, *z) = (a, b, c);
            [a, b, c, 0]
        }
        _ => [0; 4],
    };
    narrow(sum)
        .wrapping_add(u64::from(few))
        .wrapping_add(u64::from(u32::from_ne_bytes(last)))
}

/// Copies the first `N` octets, if there are as many, and goes on behind them.
#[inline(always)]
fn move_chunk<const N: usize>(to: &mut &mut [u8], from: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = from.split_first_chunk::<N>()?;
    to.split_off_mut(..N)?.copy_from_slice(chunk);
    *from = rest;
    Some(*chunk)
}

/// One lane for each 32-bit word of a block. Sixty-four bits wide, so that no carry is lost for
/// the first 128 GiB.
type Lanes = [u64; 8];

/// The sum of `data` in 32-bit words of the machine's byte order, not folded.
#[inline(always)]
pub(super) fn words(data: &[u8]) -> u64 {
    let mut lanes: Lanes = [0; 8];
    let (blocks, rest) = data.as_chunks();
    for block in blocks {
        add_block(&mut lanes, block);
    }
    finish(lanes, rest)
}

#[inline(always)]
fn add_block(lanes: &mut Lanes, block: &[u8; 32]) {
    let (words, _) = block.as_chunks::<4>();
    for (lane, word) in lanes.iter_mut().zip(words) {
        *lane = lane.wrapping_add(u64::from(u32::from_ne_bytes(*word)));
    }
}

/// Adds the lanes, and the up to 31 octets behind the last block.
#[inline(always)]
fn finish(lanes: Lanes, rest: &[u8]) -> u64 {
    let mut sum = lanes.iter().fold(0u64, |a, b| a.wrapping_add(*b));
    let (words, rest) = rest.as_chunks::<4>();
    for word in words {
        sum = sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)));
    }
    // What is left is zero to three octets, padded by zero to a word.
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    sum.wrapping_add(u64::from(u32::from_ne_bytes(last)))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// RFC 1071 §4.1, as plain as it gets.
    fn plain(data: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in data.chunks(2) {
            sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// Octets without a pattern that swapping could hide.
    fn noise(len: usize, mut seed: u64) -> Vec<u8> {
        (0..len)
            .map(|_| {
                seed = seed
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (seed >> 56) as u8
            })
            .collect()
    }

    #[test]
    fn equals_the_plain_loop_at_every_length_and_alignment() {
        let data = noise(2048 + 8, 1);
        let mut copy = [0; 2048];
        for len in 0..=2048 {
            for at in 0..8 {
                let data = &data[at..at + len];
                let expected = plain(data);
                assert_eq!(Sum::of(data).fold(), expected, "{len} octets at {at}");
                // The versions without vectors, which shorter data and other machines use.
                assert_eq!(u16::from_be(fold(words(data))), expected);
                assert_eq!(u16::from_be(fold(short_words(data))), expected);
                assert_eq!(u16::from_be(fold(data_sum(data))), expected);
                let sum = copy_and_sum(&mut copy, data);
                assert_eq!(sum.map(Sum::fold), Some(expected));
                assert_eq!(&copy[..len], data);
            }
        }
    }

    #[test]
    fn no_carry_is_lost_in_long_data() {
        for len in [65534, 65535, 65536, 262_147] {
            for octet in [0, 1, 0xfe, 0xff] {
                let data = std::vec![octet; len];
                assert_eq!(Sum::of(&data).fold(), plain(&data), "{len} of {octet}");
            }
            let data = noise(len, len as u64);
            assert_eq!(Sum::of(&data).fold(), plain(&data), "{len}");
        }
    }

    #[test]
    fn slices_may_be_split_anywhere() {
        let data = noise(301, 7);
        for first in 0..=data.len() {
            let (a, b) = data.split_at(first);
            let (b, c) = b.split_at(b.len() / 3);
            let parts = Sum::of(a).add_bytes(b).add_bytes(c);
            assert_eq!(parts.fold(), plain(&data), "split at {first}");
            let sums = Sum::of(a).add_sum(Sum::of(b).add_sum(Sum::of(c)));
            assert_eq!(sums.fold(), plain(&data), "sums split at {first}");
            let words = Sum::of(a).add_u16(0x1234).add_bytes(b).add_u32(0xffff_0001);
            assert_eq!(
                words.add_bytes(c).fold(),
                plain(&[&data[..], &[0, 0x12, 0x34, 0xff, 0xff, 0, 1]].concat()),
                "with words, split at {first}"
            );
        }
    }

    #[test]
    fn updates_equal_new_sums() {
        let mut data = noise(64, 3);
        let mut sum = checksum(&data);
        for (round, word) in [0x0000u16, 0xffff, 0x0001, 0xfffe, 0x5555, 0x0000]
            .into_iter()
            .cycle()
            .take(200)
            .enumerate()
        {
            let at = round * 6 % 60;
            let from = u16::from_be_bytes([data[at], data[at + 1]]);
            data[at..at + 2].copy_from_slice(&word.to_be_bytes());
            sum = update(sum, from, word);
            assert_eq!(sum, checksum(&data));
            let (from, to) = ([data[60], data[61], data[62], data[63]], [!word as u8; 4]);
            data[60..].copy_from_slice(&to);
            sum = update_u32(sum, u32::from_be_bytes(from), u32::from_be_bytes(to));
            assert_eq!(sum, checksum(&data));
        }
    }
}
