//! The checksum loops for processors better than the baseline of the build.
//!
//! Invariant: the same code as in [`checksum`], compiled for AVX2 and called only where the
//! processor has it. aarch64 needs none of this: NEON is its baseline. This is the one file of
//! `wire` with `unsafe`, and only under the feature `std`, which can ask the processor. Called by
//! `checksum` alone.
#![allow(unsafe_code)]

use super::checksum;

/// From this many octets on, the question and the call pay for themselves.
pub(super) const WORTH: usize = 128;

/// Asked once a process: the answer is kept in an atomic, and reading it is a load and a test.
#[inline]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

/// As [`checksum::words`]; `None` without AVX2.
#[inline]
pub(super) fn words(data: &[u8]) -> Option<u64> {
    #[target_feature(enable = "avx2")]
    fn avx2(data: &[u8]) -> u64 {
        checksum::words(data)
    }
    if cfg!(counted) {
        return Some(plain(data));
    }
    // SAFETY: `avx2` is safe code; all it asks of its caller is a processor with AVX2, and
    // `has_avx2` has just found one.
    has_avx2().then(|| unsafe { avx2(data) })
}

/// As [`checksum::copy_words`]; `None`, and nothing copied, without AVX2.
#[inline]
pub(super) fn copy_words(dst: &mut [u8], src: &[u8]) -> Option<u64> {
    #[target_feature(enable = "avx2")]
    fn avx2(dst: &mut [u8], src: &[u8]) -> u64 {
        checksum::copy_words(dst, src)
    }
    if cfg!(counted) {
        return Some(plain_copy(dst, src));
    }
    // SAFETY: as in `words`.
    has_avx2().then(|| unsafe { avx2(dst, src) })
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
    checksum::copy_words(dst, src)
}
