//! The cubic function (RFC 9438 §4.2) in octets and milliseconds.
//!
//! Invariant: pure functions of integers that saturate; nothing here keeps state.

/// Milliseconds from the inflection point beyond which the curve is held flat: 524 s, by when
/// any window grew by over a gigabyte with segments of 48 octets or more.
const FARTHEST: u64 = 1 << 19;

/// Largest integer whose cube is not above `n`, by Newton's method.
pub fn cube_root(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    // At or above the root, so that the sequence falls until it is reached.
    let bits = u64::BITS.saturating_sub(n.leading_zeros());
    let mut root = 1_u64 << bits.div_ceil(3);
    loop {
        let square = root.saturating_mul(root).max(1);
        let next = (n / square).saturating_add(root.saturating_mul(2)) / 3;
        if next >= root {
            return root;
        }
        root = next;
    }
}

/// Milliseconds the curve takes over `octets` next to its inflection point: K of RFC 9438
/// §4.2, the cube root of `octets / (C * mss)` seconds with C = 0.4.
pub fn span(octets: u32, mss: u16) -> u32 {
    // (10 / 4) * 1000^3: seconds cubed to milliseconds cubed.
    let cubed = u64::from(octets).saturating_mul(2_500_000_000) / u64::from(mss.max(1));
    cube_root(cubed).min(FARTHEST) as u32
}

/// Octets the curve lies off its plateau `ms` milliseconds from the inflection point:
/// C * mss * t^3 (RFC 9438 figure 1).
pub fn rise(ms: u64, mss: u16) -> u64 {
    let ms = ms.min(FARTHEST);
    // 0.4 / 1000^3 in two steps: ms^2 * mss stays under 2^54, the product under 2^62.
    let partial = ms.saturating_mul(ms).saturating_mul(u64::from(mss)) / 2_500;
    partial.saturating_mul(ms) / 1_000_000
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn roots_of_small_and_large_numbers() {
        let roots = [0, 1, 2, 7, 8, 26, 27, 64, 999, 1000, u64::MAX].map(cube_root);
        assert_eq!(roots, [0, 1, 1, 1, 2, 2, 3, 4, 9, 10, 2_642_245]);
    }

    #[test]
    fn the_curve_of_rfc_9438() {
        // From 100 segments to 70: K = cbrt(30 / 0.4) = 4.217 s.
        assert_eq!(span(30 * 1000, 1000), 4217);
        // One second from there: 0.4 segments; ten: 400.
        assert_eq!([1_000, 10_000].map(|ms| rise(ms, 1000)), [400, 400_000]);
        assert!(rise(u64::MAX, u16::MAX) > 1 << 30);
    }

    proptest! {
        #[test]
        fn root_is_the_floor(n in any::<u64>()) {
            let root = u128::from(cube_root(n));
            prop_assert!(root.pow(3) <= u128::from(n) && (root + 1).pow(3) > u128::from(n));
        }

        /// Against RFC 9438's formula in floating point.
        #[test]
        fn rise_and_span_agree_with_the_formula(
            octets in 0_u32..1 << 30, ms in 0_u64..400_000, mss in 48_u16..9000,
        ) {
            let seconds = f64::from(octets) / f64::from(mss) / 0.4;
            let k = seconds.cbrt() * 1000.0;
            prop_assert!((f64::from(span(octets, mss)) - k).abs() <= 1.001);
            let w = 0.4 * (ms as f64 / 1000.0).powi(3) * f64::from(mss);
            prop_assert!((rise(ms, mss) as f64 - w).abs() <= 2.0 + w * 1e-9);
        }
    }
}
