//! The AccECN options of TCP (RFC 9768 §3.2.3): how many octets arrived with each ECN codepoint.
//!
//! Invariant: one to three counters of 24 bits stand in one of two orders, or none; what is
//! written reads back as the same value. Reading never fails: octets that make up no whole
//! counter are padding.

/// An AccECN option of either kind.
///
/// ```
/// use netstrata::wire::{AccEcn, TcpOptions};
/// let counts = AccEcn::new(false, &[1, 1460]);
/// assert_eq!((counts.e0b(), counts.ceb(), counts.e1b()), (Some(1), Some(1460), None));
/// let octets = TcpOptions { accurate_ecn: Some(counts), ..TcpOptions::NONE }.emit();
/// assert_eq!(octets.as_slice(), [172, 8, 0, 0, 1, 0, 5, 0xb4]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccEcn {
    fields: [[u8; 3]; 3],
    len: u8,
    ect1_first: bool,
}

impl AccEcn {
    /// Without a counter: tests whether the path lets the option pass.
    pub const EMPTY: Self = Self {
        fields: [[0; 3]; 3],
        len: 0,
        ect1_first: false,
    };

    /// The low 24 bits of up to three counters of octets. In order 0 (`ect1_first` false, kind
    /// 172) those that came as ECT(0), CE, ECT(1); in order 1 (kind 174) ECT(1), CE, ECT(0).
    pub fn new(ect1_first: bool, counts: &[u32]) -> Self {
        let mut option = Self {
            ect1_first,
            ..Self::EMPTY
        };
        for (field, count) in option.fields.iter_mut().zip(counts) {
            let [_, low @ ..] = count.to_be_bytes();
            *field = low;
            option.len = option.len.saturating_add(1);
        }
        option
    }

    /// What follows kind and length: as many whole counters as there are, up to three.
    pub(super) fn read(ect1_first: bool, data: &[u8]) -> Self {
        let (whole, _) = data.as_chunks::<3>();
        let mut option = Self {
            ect1_first,
            ..Self::EMPTY
        };
        for (field, octets) in option.fields.iter_mut().zip(whole) {
            *field = *octets;
            option.len = option.len.saturating_add(1);
        }
        option
    }

    /// Its counters as octets, in their order.
    pub(super) fn fields(&self) -> &[[u8; 3]] {
        self.fields.get(..self.count()).unwrap_or(&[])
    }

    /// Counters in it, 0 to 3.
    pub const fn count(&self) -> usize {
        self.len as usize
    }

    /// Does the counter of ECT(1) come first (order 1, kind 174)?
    pub const fn is_ect1_first(&self) -> bool {
        self.ect1_first
    }

    /// Octets of the option with kind and length: 2, 5, 8 or 11.
    pub const fn octets(&self) -> usize {
        2 + 3 * self.count()
    }

    fn field(&self, at: usize) -> Option<u32> {
        let &[a, b, c] = self.fields().get(at)?;
        Some(u32::from_be_bytes([0, a, b, c]))
    }

    /// EE0B: octets that came as ECT(0), low 24 bits.
    pub fn e0b(&self) -> Option<u32> {
        self.field(if self.ect1_first { 2 } else { 0 })
    }

    /// ECEB: octets that came as CE, low 24 bits.
    pub fn ceb(&self) -> Option<u32> {
        self.field(1)
    }

    /// EE1B: octets that came as ECT(1), low 24 bits.
    pub fn e1b(&self) -> Option<u32> {
        self.field(if self.ect1_first { 0 } else { 2 })
    }
}

/// `accecn0 e0b 1 ceb 0`, in the order of the option.
impl core::fmt::Display for AccEcn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let names = if self.ect1_first {
            ["e1b", "ceb", "e0b"]
        } else {
            ["e0b", "ceb", "e1b"]
        };
        write!(f, "accecn{}", u8::from(self.ect1_first))?;
        for (at, name) in names.iter().enumerate() {
            if let Some(count) = self.field(at) {
                write!(f, " {name} {count}")?;
            }
        }
        Ok(())
    }
}
