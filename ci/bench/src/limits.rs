//! What the machine can do at best.

use std::hint::black_box;
use std::time::Instant as Clock;

use crate::work::PIECE;

/// Copies `total` octets four times, as application, stack, stack and application would;
/// seconds it took.
pub fn four_passes(total: usize) -> f64 {
    let mut buffers = vec![vec![0x5a_u8; PIECE]; 5];
    let start = Clock::now();
    let mut left = total;
    while left > 0 {
        let len = left.min(PIECE);
        for i in 0..4 {
            let (from, to) = buffers.split_at_mut(i + 1);
            to[0][..len].copy_from_slice(black_box(&from[i][..len]));
        }
        left -= len;
    }
    black_box(&buffers);
    start.elapsed().as_secs_f64()
}
