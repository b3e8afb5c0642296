//! What the stacks of one server have in common (`--queues`): how much they did together, and
//! when all of them are to end.
//!
//! Invariant: nobody waits for another's turn. The stacks end together, as the kernel would divide
//! anew what arrives when one is gone, and connections of the others would be reset.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use netstrata::host::os_rng;
use netstrata::phy::Bell;
use netstrata::tcp::FastOpenKey;
use rand_core::Rng as _;

/// See the head of this file.
pub struct Shared {
    key: FastOpenKey,
    bells: Vec<Bell>,
    accepted: AtomicU64,
    finished: AtomicU64,
    /// Stacks that are done, and wait for the others.
    done: AtomicUsize,
    /// One of them failed.
    broken: AtomicBool,
}

/// What a stack did, or all of them.
#[derive(Default, Clone, Copy)]
pub struct Tally {
    /// Connections that came.
    pub accepted: u64,
    /// Connections that did not end in order.
    pub failed: u64,
    /// Octets.
    pub received: u64,
    /// Octets.
    pub sent: u64,
    /// Frames that were for other stacks.
    pub passed: u64,
}

impl Shared {
    /// Of stacks that these bells wake.
    pub fn new(bells: Vec<Bell>) -> Self {
        let word = |_| os_rng().next_u32();
        Self {
            key: FastOpenKey::new([(); 4].map(word)),
            bells,
            accepted: AtomicU64::new(0),
            finished: AtomicU64::new(0),
            done: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// The key of Fast Open cookies.
    pub fn key(&self) -> FastOpenKey {
        self.key
    }

    /// How many stacks there are.
    pub fn stacks(&self) -> usize {
        self.bells.len()
    }

    /// The number of a connection that came, from 1, over all stacks.
    pub fn accept(&self) -> u64 {
        self.accepted.fetch_add(1, Relaxed) + 1
    }

    /// A connection ended; all look whether that is `enough`.
    pub fn finish(&self, enough: Option<u64>) {
        let finished = self.finished.fetch_add(1, Relaxed) + 1;
        if enough.is_some_and(|enough| finished >= enough) {
            self.ring();
        }
    }

    /// Is it time to end?
    pub fn is_enough(&self, enough: Option<u64>) -> bool {
        let finished = self.finished.load(Relaxed);
        self.broken.load(Relaxed) || enough.is_some_and(|enough| finished >= enough)
    }

    /// A stack has nothing left to do, or failed; to be called once by each.
    pub fn leave(&self, failed: bool) {
        if failed {
            self.broken.store(true, Relaxed);
        }
        self.done.fetch_add(1, Relaxed);
        self.ring();
    }

    /// Have all stacks left?
    pub fn is_over(&self) -> bool {
        self.done.load(Relaxed) >= self.stacks()
    }

    /// A stack that is alone need not be woken: it is awake.
    fn ring(&self) {
        if self.stacks() > 1 {
            self.bells.iter().for_each(Bell::ring);
        }
    }
}

impl Tally {
    /// All of them together.
    pub fn sum(all: &[Self]) -> Self {
        all.iter().fold(Self::default(), |sum, one| Self {
            accepted: sum.accepted + one.accepted,
            failed: sum.failed + one.failed,
            received: sum.received + one.received,
            sent: sum.sent + one.sent,
            passed: sum.passed + one.passed,
        })
    }
}
