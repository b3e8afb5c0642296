//! A stream of octets that both ends can compute, so that a transfer verifies itself.

/// Octet `n` of the stream is a function of `n`: 64-bit blocks mixed by the SplitMix64
/// finaliser, little-endian. Not random enough for anything but telling octets apart.
///
/// ```
/// use netstrata::host::Pattern;
/// let (mut a, mut b) = ([0; 10], [0; 7]);
/// Pattern::new().fill(&mut a);
/// let mut other = Pattern::new();
/// other.fill(&mut b[..3]);
/// assert!(other.matches(&a[3..]));
/// assert!(!other.matches(b"else"));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Pattern {
    at: u64,
}

const fn block(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Pattern {
    /// The stream from its first octet.
    pub const fn new() -> Self {
        Self { at: 0 }
    }

    /// How many octets were written or matched so far.
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// Writes the next octets of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        let (front, rest) = out.split_at_mut(self.octets_before_block().min(out.len()));
        let (blocks, back) = rest.as_chunks_mut::<8>();
        self.fill_part(front);
        let first = self.at / 8;
        for (n, octets) in (first..).zip(&mut *blocks) {
            *octets = block(n).to_le_bytes();
        }
        self.at += 8 * blocks.len() as u64;
        self.fill_part(back);
    }

    /// Are these the next octets of the stream? Moves on only if they are.
    pub fn matches(&mut self, data: &[u8]) -> bool {
        let (front, rest) = data.split_at(self.octets_before_block().min(data.len()));
        let (blocks, back) = rest.as_chunks::<8>();
        let mut ahead = *self;
        let mut same = ahead.matches_part(front);
        let first = ahead.at / 8;
        for (n, octets) in (first..).zip(blocks) {
            same &= u64::from_le_bytes(*octets) == block(n);
        }
        ahead.at += 8 * blocks.len() as u64;
        same &= ahead.matches_part(back);
        if same {
            *self = ahead;
        }
        same
    }

    /// Octets until the next whole block.
    const fn octets_before_block(&self) -> usize {
        ((8 - self.at % 8) % 8) as usize
    }

    /// Less than a block, within one.
    fn fill_part(&mut self, out: &mut [u8]) {
        let octets = self.here();
        for (to, octet) in out.iter_mut().zip(octets) {
            *to = octet;
            self.at += 1;
        }
    }

    fn matches_part(&mut self, data: &[u8]) -> bool {
        let same = data.iter().copied().eq(self.here().take(data.len()));
        self.at += data.len() as u64;
        same
    }

    /// What is left of the block the stream stands in.
    fn here(&self) -> impl Iterator<Item = u8> + use<> {
        block(self.at / 8)
            .to_le_bytes()
            .into_iter()
            .skip((self.at % 8) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn any_pieces_are_the_same_stream() {
        let mut whole = vec![0; 100];
        Pattern::new().fill(&mut whole);
        for size in 1..20 {
            let (mut made, mut checked) = (Pattern::new(), Pattern::new());
            let mut pieces = Vec::new();
            for piece in whole.chunks(size) {
                let mut own = vec![0; piece.len()];
                made.fill(&mut own);
                pieces.extend(own);
                assert!(checked.matches(piece));
            }
            assert_eq!(pieces, whole);
            assert_eq!((made.position(), checked.position()), (100, 100));
        }
    }

    #[test]
    fn one_wrong_octet_is_seen_wherever_it_is() {
        let mut whole = vec![0; 30];
        Pattern::new().fill(&mut whole);
        for at in 0..30 {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            let mut pattern = Pattern::new();
            assert!(!pattern.matches(&bad));
            assert_eq!(pattern.position(), 0);
            assert!(pattern.matches(&whole));
        }
    }
}
