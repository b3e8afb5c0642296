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

fn block(n: u64) -> [u8; 8] {
    let mut z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).to_le_bytes()
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
    pub fn fill(&mut self, mut out: &mut [u8]) {
        while !out.is_empty() {
            let (octets, skip) = self.here();
            let n = out.len().min(8 - skip);
            let (now, later) = out.split_at_mut(n);
            now.copy_from_slice(&octets[skip..skip + n]);
            self.at += n as u64;
            out = later;
        }
    }

    /// Are these the next octets of the stream? Moves on only if they are.
    pub fn matches(&mut self, mut data: &[u8]) -> bool {
        let before = self.at;
        while !data.is_empty() {
            let (octets, skip) = self.here();
            let n = data.len().min(8 - skip);
            let (now, later) = data.split_at(n);
            if octets[skip..skip + n] != *now {
                self.at = before;
                return false;
            }
            self.at += n as u64;
            data = later;
        }
        true
    }

    /// The block the stream stands in, and how far into it.
    fn here(&self) -> ([u8; 8], usize) {
        (block(self.at / 8), (self.at % 8) as usize)
    }
}
