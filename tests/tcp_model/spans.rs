//! Sets of octets of a stream.

/// Ranges `from..to`, in order, apart from each other.
#[derive(Debug, Clone, Default)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Adds `from..to`.
    pub fn insert(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|span| span.1 < from);
        let past = self.0.partition_point(|span| span.0 <= to);
        let (mut from, mut to) = (from, to);
        if first < past {
            from = from.min(self.0[first].0);
            to = to.max(self.0[past - 1].1);
        }
        self.0.splice(first..past, [(from, to)]);
    }

    /// Is all of `from..to` in it?
    pub fn holds(&self, from: u64, to: u64) -> bool {
        let at = self.0.partition_point(|span| span.1 < to);
        self.0
            .get(at)
            .is_some_and(|span| span.0 <= from && to <= span.1)
    }

    /// End of the range that begins at or before `from`; `from` if none does.
    pub fn reach(&self, from: u64) -> u64 {
        let at = self.0.partition_point(|span| span.1 < from);
        match self.0.get(at) {
            Some(span) if span.0 <= from => span.1,
            _ => from,
        }
    }

    /// Forgets what is before `to`.
    pub fn forget(&mut self, to: u64) {
        self.0.retain(|span| span.1 > to);
    }

    /// The range that `at` lies in.
    pub fn around(&self, at: u64) -> Option<(u64, u64)> {
        self.0
            .iter()
            .copied()
            .find(|span| span.0 <= at && at < span.1)
    }
}
