//! Random numbers by name: a case's numbers stay what they are when another kind is added.

use crate::support::Seed;

/// Draws of one seed.
#[derive(Debug, Clone, Copy)]
pub struct Draws(pub u64);

impl Draws {
    /// The numbers of `name`.
    pub fn of(self, name: &str) -> Seed {
        let mix = |sum: u64, octet: u8| (sum ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3);
        Seed(
            name.bytes()
                .fold(self.0 ^ 0xcbf2_9ce4_8422_2325, mix)
                .rotate_left(17)
                ^ self.0,
        )
    }

    /// One of `all`.
    pub fn pick<T: Copy>(self, name: &str, all: &[T]) -> T {
        pick(&mut self.of(name), all)
    }

    /// True in `percent` of the cases.
    pub fn chance(self, name: &str, percent: usize) -> bool {
        self.of(name).below(100) < percent
    }
}

/// One of `all`.
pub fn pick<T: Copy>(seed: &mut Seed, all: &[T]) -> T {
    all[seed.below(all.len())]
}

/// A number below `limit`, small ones as likely as large ones.
pub fn skewed(seed: &mut Seed, limit: usize) -> usize {
    let bits = usize::BITS - limit.max(1).leading_zeros();
    let most = 1_usize << seed.below(bits as usize + 1).min(62);
    seed.below(most.min(limit).max(1))
}
