//! Heap in use, as the allocator of the C library counts it: with its own head of each piece.
#![allow(unsafe_code)]

/// Octets in use now.
pub fn used() -> usize {
    // SAFETY: takes nothing, and gives a plain value.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}
