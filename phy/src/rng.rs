//! A small generator for faults and tests: SplitMix64 (Steele, Lea and Flood, 2014). The same
//! seed gives the same numbers for ever. Anyone who sees a few of them knows all the rest:
//! not for secrets, sequence numbers or ports.

#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

/// The golden ratio times 2^64, made odd: the step of the sequence.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, 0 if `n` is. The bias is below `n` in 2^64.
    pub(crate) const fn below(&mut self, n: u64) -> u64 {
        ((self.next() as u128 * n as u128) >> 64) as u64
    }

    /// True for `ppm` in a million; draws nothing where the answer is settled.
    pub(crate) const fn chance(&mut self, ppm: u32) -> bool {
        match ppm {
            0 => false,
            1_000_000.. => true,
            _ => self.below(1_000_000) < ppm as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_algorithm() {
        // The published test vector for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let first = [(); 3].map(|()| rng.next());
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn chances_come_out_as_asked() {
        let mut rng = Rng::new(1);
        let hits = (0..100_000).filter(|_| rng.chance(20_000)).count();
        assert!((1_800..2_200).contains(&hits), "{hits} of 100,000 at 2%");
        let before = rng.clone().next();
        assert!(!rng.chance(0) && rng.chance(1_000_000) && rng.chance(u32::MAX));
        assert_eq!(rng.next(), before, "settled chances draw nothing");
        assert_eq!(rng.below(0), 0);
        assert!((0..1000).all(|_| rng.below(7) < 7));
    }
}
