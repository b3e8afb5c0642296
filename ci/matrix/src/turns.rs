//! Who may run: so many shares of the processor are given out at a time.

use std::sync::{Condvar, Mutex};

/// Shares that are left.
#[derive(Debug)]
pub struct Turns {
    all: usize,
    left: Mutex<usize>,
    more: Condvar,
}

impl Turns {
    pub fn new(all: usize) -> Self {
        Self {
            all,
            left: Mutex::new(all),
            more: Condvar::new(),
        }
    }

    /// Shares there are.
    pub fn all(&self) -> usize {
        self.all
    }

    /// Runs `f` while it holds `share` of them.
    pub fn take<R>(&self, share: usize, f: impl FnOnce() -> R) -> R {
        let share = share.min(self.all);
        let left = self.left.lock().expect("no panic");
        let enough = |left: &mut usize| *left < share;
        let mut left = self.more.wait_while(left, enough).expect("no panic");
        *left -= share;
        drop(left);
        let result = f();
        *self.left.lock().expect("no panic") += share;
        self.more.notify_all();
        result
    }
}
