//! One direction of a bad link: frames go in, and come out lost, doubled, damaged, late or
//! out of order. Pure: what comes out and when depends on the seed, the frames and the
//! instants only. Invariant: at most `queue` frames are held.
//!
//! The order of events for a frame is: lost? doubled? then for each copy marked? damaged? the
//! queue full? serialised at the link's rate, delayed, held back behind later ones?

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use crate::frame::Frame;
use crate::mark::mark;
use crate::rng::Rng;
use crate::{Instant, RxCsum, RxMeta};

/// What a [`Fault`](crate::Fault) does in one direction. Chances are in parts per million,
/// 1,000,000 being always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FaultConfig {
    /// Frames that vanish, in parts per million.
    pub loss: u32,
    /// Frames that arrive twice, in parts per million.
    pub duplicate: u32,
    /// Frames held back until one to three later ones have passed, or
    /// [`FaultConfig::HOLD`] if none come, in parts per million.
    pub reorder: u32,
    /// Frames with one bit flipped, in parts per million.
    pub corrupt: u32,
    /// ECN-capable IPv4 packets that a congested router marks (RFC 3168 §5), in parts per
    /// million.
    pub mark: u32,
    /// Time every frame takes.
    pub delay: Duration,
    /// Each frame takes up to this much more or less, never overtaking another.
    pub jitter: Duration,
    /// Bits per second the link carries; 0 is without limit.
    pub rate: u64,
    /// Frames held at most; those beyond are lost (tail drop).
    pub queue: usize,
    /// Where the random numbers start. Two directions with one seed differ.
    pub seed: u64,
}

impl FaultConfig {
    /// How long a frame is held back when no later one comes.
    pub const HOLD: Duration = Duration::from_millis(10);

    /// No faults; up to 1000 frames held.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            loss: 0,
            duplicate: 0,
            reorder: 0,
            corrupt: 0,
            mark: 0,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: 0,
            queue: 1000,
            seed: 0,
        }
    }

    /// Sets [`FaultConfig::loss`].
    #[must_use]
    pub const fn with_loss(mut self, ppm: u32) -> Self {
        self.loss = ppm;
        self
    }

    /// Sets [`FaultConfig::duplicate`].
    #[must_use]
    pub const fn with_duplicate(mut self, ppm: u32) -> Self {
        self.duplicate = ppm;
        self
    }

    /// Sets [`FaultConfig::reorder`].
    #[must_use]
    pub const fn with_reorder(mut self, ppm: u32) -> Self {
        self.reorder = ppm;
        self
    }

    /// Sets [`FaultConfig::corrupt`].
    #[must_use]
    pub const fn with_corrupt(mut self, ppm: u32) -> Self {
        self.corrupt = ppm;
        self
    }

    /// Sets [`FaultConfig::mark`].
    #[must_use]
    pub const fn with_mark(mut self, ppm: u32) -> Self {
        self.mark = ppm;
        self
    }

    /// Sets [`FaultConfig::delay`].
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets [`FaultConfig::jitter`].
    #[must_use]
    pub const fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets [`FaultConfig::rate`].
    #[must_use]
    pub const fn with_rate(mut self, bits_per_second: u64) -> Self {
        self.rate = bits_per_second;
        self
    }

    /// Sets [`FaultConfig::queue`]; 0 counts as 1.
    #[must_use]
    pub const fn with_queue(mut self, frames: usize) -> Self {
        self.queue = if frames == 0 { 1 } else { frames };
        self
    }

    /// Sets [`FaultConfig::seed`].
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether frames pass untouched and at once.
    #[must_use]
    pub const fn is_clear(&self) -> bool {
        self.loss == 0
            && self.duplicate == 0
            && self.reorder == 0
            && self.corrupt == 0
            && self.mark == 0
            && self.delay.is_zero()
            && self.jitter.is_zero()
            && self.rate == 0
    }
}

impl Default for FaultConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What was done to frames in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FaultStats {
    /// Frames let through, copies included; frames that passed while the configuration was
    /// clear are not counted.
    pub passed: u64,
    /// Frames lost on purpose.
    pub lost: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Frames held back behind later ones.
    pub reordered: u64,
    /// Frames, copies included, with a bit flipped.
    pub corrupted: u64,
    /// Frames, copies included, marked as having met congestion.
    pub marked: u64,
    /// Frames lost because the queue was full.
    pub overflowed: u64,
}

/// A frame on its way.
#[derive(Debug)]
struct Held {
    frame: Frame,
    stamp: Option<u32>,
    due: Instant,
    /// How many later frames shall pass first.
    behind: u64,
}

impl Held {
    /// When a frame that is held back goes even if nothing came after it.
    fn until(&self) -> Instant {
        if self.behind == 0 {
            self.due
        } else {
            self.due + FaultConfig::HOLD
        }
    }
}

#[derive(Debug)]
pub(crate) struct Impair {
    config: FaultConfig,
    rng: Rng,
    pub(crate) stats: FaultStats,
    /// When the link has serialised all frames so far, in nanoseconds since the epoch.
    line_free: u64,
    /// When the last frame arrives, so that jitter does not reorder.
    last_due: Instant,
    /// In the order of `due`.
    queue: VecDeque<Held>,
    /// Frames whose time came and which wait for others to pass.
    back: VecDeque<Held>,
    free: Vec<Vec<u8>>,
}

impl Impair {
    /// `way` tells two directions with the same seed apart.
    pub(crate) fn new(config: FaultConfig, way: u64) -> Self {
        Self {
            config,
            rng: Rng::new(config.seed ^ way),
            stats: FaultStats::default(),
            line_free: 0,
            last_due: Instant::ZERO,
            queue: VecDeque::new(),
            back: VecDeque::new(),
            free: Vec::new(),
        }
    }

    /// Whether frames need not come through here: no faults and none held.
    pub(crate) fn is_clear(&self) -> bool {
        self.config.is_clear() && self.queue.is_empty() && self.back.is_empty()
    }

    /// Changes what happens to frames from now on; random numbers start anew.
    pub(crate) fn reconfigure(&mut self, config: FaultConfig, way: u64) {
        self.config = config;
        self.rng = Rng::new(config.seed ^ way);
    }

    /// An empty buffer for a frame.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, octets: Vec<u8>) {
        if self.free.len() < self.config.queue {
            self.free.push(octets);
        }
    }

    /// A frame enters the link.
    pub(crate) fn admit(&mut self, now: Instant, frame: Frame, stamp: Option<u32>) {
        if self.rng.chance(self.config.loss) {
            self.stats.lost += 1;
            self.recycle(frame.octets);
            return;
        }
        if self.rng.chance(self.config.duplicate) {
            self.stats.duplicated += 1;
            let mut octets = self.buffer();
            octets.clear();
            octets.extend_from_slice(&frame.octets);
            let copy = Frame {
                octets,
                meta: frame.meta,
            };
            self.push(now, copy, stamp);
        }
        self.push(now, frame, stamp);
    }

    fn push(&mut self, now: Instant, mut frame: Frame, stamp: Option<u32>) {
        if self.rng.chance(self.config.mark) && mark(&mut frame.octets) {
            self.stats.marked += 1;
        }
        if self.rng.chance(self.config.corrupt) {
            self.flip(&mut frame);
        }
        if self.held() >= self.config.queue {
            self.stats.overflowed += 1;
            self.recycle(frame.octets);
            return;
        }
        let due = self.arrival(now, frame.octets.len());
        let behind = if self.rng.chance(self.config.reorder) {
            1 + self.rng.below(3)
        } else {
            0
        };
        self.queue.push_back(Held {
            frame,
            stamp,
            due,
            behind,
        });
    }

    /// Flips one bit. Nobody vouches for the frame afterwards.
    fn flip(&mut self, frame: &mut Frame) {
        let at = self.rng.below(frame.octets.len() as u64);
        let bit = self.rng.below(8);
        if let Some(octet) = frame.octets.get_mut(at as usize) {
            *octet ^= 1 << bit;
            self.stats.corrupted += 1;
        }
        frame.meta = RxMeta {
            csum: RxCsum::Unknown,
            ..frame.meta
        };
    }

    /// When a frame of `len` octets that enters now comes out.
    fn arrival(&mut self, now: Instant, len: usize) -> Instant {
        let nanobits = (len as u64).saturating_mul(8 * 1_000_000_000);
        let leaves = match nanobits.checked_div(self.config.rate) {
            None => now,
            Some(takes) => {
                let starts = self.line_free.max(now.micros().saturating_mul(1000));
                self.line_free = starts.saturating_add(takes);
                Instant::from_micros(self.line_free.div_ceil(1000))
            }
        };
        let mut due = leaves + self.config.delay;
        if !self.config.jitter.is_zero() {
            let jitter = u64::try_from(self.config.jitter.as_micros()).unwrap_or(u64::MAX);
            let span = jitter.saturating_mul(2).saturating_add(1);
            let shift = Duration::from_micros(self.rng.below(span));
            due = (due + shift - self.config.jitter).max(leaves);
        }
        self.last_due = self.last_due.max(due);
        self.last_due
    }

    /// Frames on the way.
    pub(crate) fn held(&self) -> usize {
        self.queue.len() + self.back.len()
    }

    /// When the next frame may come out.
    pub(crate) fn next(&self) -> Option<Instant> {
        let front = self.queue.front().map(|held| held.due);
        let back = self.back.iter().map(Held::until).min();
        [front, back].into_iter().flatten().min()
    }

    /// The next frame that comes out by `now`. Each turn of the loop takes a frame from the
    /// queue.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Frame, Option<u32>)> {
        loop {
            let front = self.queue.front().map(|held| held.due);
            let back = self
                .back
                .iter()
                .enumerate()
                .map(|(at, held)| (held.until(), at))
                .min();
            // Of two that are due at once, the one held back has waited longer.
            let held = match (back, front) {
                (Some((until, at)), front)
                    if until <= now && front.is_none_or(|due| until <= due || due > now) =>
                {
                    self.back.remove(at)?
                }
                (_, Some(due)) if due <= now => {
                    let held = self.queue.pop_front()?;
                    if held.behind > 0 {
                        self.stats.reordered += 1;
                        self.back.push_back(held);
                        continue;
                    }
                    for waiting in &mut self.back {
                        waiting.behind = waiting.behind.saturating_sub(1);
                    }
                    held
                }
                _ => return None,
            };
            self.stats.passed += 1;
            return Some((held.frame, held.stamp));
        }
    }
}
