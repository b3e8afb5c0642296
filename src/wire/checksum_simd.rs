//! The checksum loop for processors better than the baseline of the build.
//!
//! Invariant: the same code as [`words`](super::checksum::words), compiled for AVX2 and called
//! only where the processor has it. aarch64 needs none of this: NEON is its baseline. This is
//! the one place in `wire` with `unsafe`, and only under the feature `std`, which can ask the
//! processor.
#![allow(unsafe_code)]

use super::checksum;

/// From this many octets on the question and the call pay for themselves.
pub(super) const WORTH: usize = 128;

/// As [`checksum::words`], in the widest registers there are.
#[inline]
pub(super) fn words(data: &[u8]) -> u64 {
    // Asked once a process: the answer is kept in an atomic, and reading it is a load and a test.
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: `avx2` asks of its caller that the processor has AVX2, which the line above
        // has just established. It has no other contract: its body is safe code.
        unsafe { avx2(data) }
    } else {
        checksum::words(data)
    }
}

#[target_feature(enable = "avx2")]
fn avx2(data: &[u8]) -> u64 {
    checksum::words(data)
}
