//! The checksum loops for processors better than the baseline of the build.
//!
//! Invariant: the same sums as those of [`checksum`], found with AVX2 and only where the processor
//! has it. aarch64 needs none of this: NEON is its baseline. This is the one file of `wire` with
//! `unsafe`, and only under the feature `std`, which can ask the processor. Called by `checksum`
//! alone.
#![allow(unsafe_code)]

use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_loadu_si256, _mm256_setzero_si256, _mm256_slli_epi64,
    _mm256_srli_epi64, _mm256_storeu_si256, _mm256_sub_epi64,
};

use super::checksum;

/// From this many octets on, the question and the call pay for themselves.
pub(super) const WORTH: usize = 128;

/// Octets of a vector.
const VECTOR: usize = 32;
/// Octets of one round of the loops.
const BLOCK: usize = 2 * VECTOR;

/// Asked once a process: the answer is kept in an atomic, and reading it is a load and a test.
#[inline]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

/// As [`checksum::words`]; `None` without AVX2.
#[inline]
pub(super) fn words(data: &[u8]) -> Option<u64> {
    if cfg!(counted) {
        return Some(plain(data));
    }
    // SAFETY: `words_avx2` asks its caller for a processor with AVX2, and `has_avx2` has just
    // found one.
    has_avx2().then(|| unsafe { words_avx2(data) })
}

/// As [`words`], and copies to `dst`, which is as long as `src`. `None`, and nothing copied,
/// without AVX2.
#[inline]
pub(super) fn copy_words(dst: &mut [u8], src: &[u8]) -> Option<u64> {
    if cfg!(counted) {
        return Some(plain_copy(dst, src));
    }
    // SAFETY: as in `words`.
    has_avx2().then(|| unsafe { copy_words_avx2(dst, src) })
}

/// Sums of 64-bit words taken apart: all of a lane's words modulo 2^64, and their upper halves.
/// The lower halves follow from the two, which saves masking them out.
#[derive(Clone, Copy)]
struct Halves {
    all: __m256i,
    upper: __m256i,
}

impl Halves {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn zero() -> Self {
        Self {
            all: _mm256_setzero_si256(),
            upper: _mm256_setzero_si256(),
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn add(&mut self, words: __m256i) {
        self.all = _mm256_add_epi64(self.all, words);
        self.upper = _mm256_add_epi64(self.upper, _mm256_srli_epi64::<32>(words));
    }

    /// The sum of all 32-bit words that went in here and into `other`: no lane overflows before
    /// 64 GiB.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn finish(self, other: Self) -> u64 {
        let upper = _mm256_add_epi64(self.upper, other.upper);
        let all = _mm256_add_epi64(self.all, other.all);
        let lower = _mm256_sub_epi64(all, _mm256_slli_epi64::<32>(upper));
        let mut lanes = [0_u64; 4];
        // SAFETY: `lanes` is 32 octets, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), _mm256_add_epi64(lower, upper)) };
        lanes
            .iter()
            .fold(0, |sum: u64, lane| sum.wrapping_add(*lane))
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(block: &[u8; BLOCK]) -> [__m256i; 2] {
    let at: *const u8 = block.as_ptr();
    // SAFETY: the two vectors are the octets of `block`, and loads need no alignment.
    unsafe {
        [
            _mm256_loadu_si256(at.cast()),
            _mm256_loadu_si256(at.add(VECTOR).cast()),
        ]
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(room: &mut [u8; BLOCK], [first, second]: [__m256i; 2]) {
    let at: *mut u8 = room.as_mut_ptr();
    // SAFETY: the two vectors fill `room`, and stores need no alignment.
    unsafe {
        _mm256_storeu_si256(at.cast(), first);
        _mm256_storeu_si256(at.add(VECTOR).cast(), second);
    }
}

#[target_feature(enable = "avx2")]
fn words_avx2(data: &[u8]) -> u64 {
    let (blocks, rest) = data.as_chunks();
    let (mut even, mut odd) = (Halves::zero(), Halves::zero());
    for block in blocks {
        let [first, second] = load(block);
        even.add(first);
        odd.add(second);
    }
    even.finish(odd).wrapping_add(checksum::short_words(rest))
}

#[target_feature(enable = "avx2")]
fn copy_words_avx2(dst: &mut [u8], src: &[u8]) -> u64 {
    let (blocks, rest) = src.as_chunks();
    let (rooms, last) = dst.as_chunks_mut();
    let (mut even, mut odd) = (Halves::zero(), Halves::zero());
    for (block, room) in blocks.iter().zip(rooms) {
        let words = load(block);
        store(room, words);
        let [first, second] = words;
        even.add(first);
        odd.add(second);
    }
    if let Some(last) = last.get_mut(..rest.len()) {
        last.copy_from_slice(rest);
    }
    even.finish(odd).wrapping_add(checksum::short_words(rest))
}

/// What ci/instructions.sh builds instead (`--cfg counted`): the same on every processor, and a
/// function of its own, so that it can be told from what is counted.
#[inline(never)]
fn plain(data: &[u8]) -> u64 {
    checksum::words(data)
}

/// As [`plain`].
#[inline(never)]
fn plain_copy(dst: &mut [u8], src: &[u8]) -> u64 {
    dst.copy_from_slice(src);
    checksum::words(src)
}
