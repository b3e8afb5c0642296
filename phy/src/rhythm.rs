//! When to stop asking a queue for more frames. A queue says that it is empty only by a read that
//! fails, and where frames come one at a time, as in question and answer, that is most reads: one
//! behind the answer, and one before the next question leaves.
//! Invariant: at most [`SKIPS`] batches in a row end unasked, and only after frames that came
//! alone, and no two in a row are empty unasked; a frame that waits then keeps the descriptor
//! readable, and is found by the next batch but one.

/// So many frames in a row that nothing followed make a rhythm.
const SURE: u8 = 4;

/// So many batches end by the rhythm alone before it is asked again.
const SKIPS: u8 = 8;

/// What the last batches were like.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    /// Batches of one frame in a row.
    alone: u8,
    /// Batches in a row that ended unasked.
    skipped: u8,
    /// The last batch did, and its answer is still to leave.
    resting: bool,
}

impl Rhythm {
    /// A batch begins: is it empty?
    pub const fn is_resting(&mut self) -> bool {
        core::mem::replace(&mut self.resting, false)
    }

    /// A frame was taken, the first of its batch: is that all?
    pub const fn is_over(&mut self) -> bool {
        let over = self.alone >= SURE && self.skipped < SKIPS;
        if over {
            self.skipped += 1;
            self.resting = true;
        }
        over
    }

    /// A frame was found behind `taken` others of its batch.
    pub const fn found(&mut self, taken: usize) {
        if taken > 0 {
            (self.alone, self.skipped) = (0, 0);
        }
    }

    /// Nothing was found behind `taken` frames.
    pub const fn ended(&mut self, taken: usize) {
        if taken == 1 {
            self.alone = self.alone.saturating_add(1);
        }
        // Nothing had waited when the last batch ended.
        self.skipped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads that `frames` waiting ones cost in one batch, and how many it takes.
    fn batch(rhythm: &mut Rhythm, frames: usize) -> (usize, usize) {
        let mut reads = 0;
        if rhythm.is_resting() {
            return (0, 0);
        }
        for taken in 0.. {
            if taken == 1 && rhythm.is_over() {
                return (reads, taken);
            }
            reads += 1;
            if taken == frames {
                rhythm.ended(taken);
                return (reads, taken);
            }
            rhythm.found(taken);
        }
        unreachable!("a batch ends")
    }

    #[test]
    fn single_frames_stop_costing_further_reads() {
        let mut rhythm = Rhythm::default();
        let reads: [usize; 8] = core::array::from_fn(|_| {
            let (reads, taken) = batch(&mut rhythm, 1);
            assert_eq!(taken, 1);
            // Once before the next question leaves, and once before whoever polls sleeps.
            reads + batch(&mut rhythm, 0).0 + batch(&mut rhythm, 0).0
        });
        assert_eq!(reads, [4, 4, 4, 4, 2, 2, 2, 2]);
    }

    #[test]
    fn a_stream_is_noticed_after_a_bounded_time() {
        let mut rhythm = Rhythm::default();
        for _ in 0..SURE {
            batch(&mut rhythm, 1);
        }
        let taken: [usize; 18] = core::array::from_fn(|_| batch(&mut rhythm, 64).1);
        assert_eq!(taken[..16], [1, 0].repeat(8));
        assert_eq!(taken[16..], [64, 64]);
    }

    #[test]
    fn without_an_empty_look_in_between_it_asks_now_and_then() {
        let mut rhythm = Rhythm::default();
        let (mut reads, mut taken) = (0, 0);
        while taken < 40 {
            let (more, one) = batch(&mut rhythm, 1);
            (reads, taken) = (reads + more, taken + one);
        }
        // Four to learn, then one of nine.
        assert_eq!(reads, 40 + 4 + 4);
    }
}
