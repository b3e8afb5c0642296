//! A value two ends of a cable own together: `Arc<Mutex>` under `std`, so that the ends may
//! live on two threads, else `Rc<RefCell>`. Invariant: no caller's code runs while the
//! value is borrowed, so the borrow cannot fail and the lock cannot deadlock. Beside it is a flag
//! that either may read without the lock.

use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "std")]
mod inner {
    pub(super) type Counted<T> = std::sync::Arc<T>;
    pub(super) type Cell<T> = std::sync::Mutex<T>;

    pub(super) fn borrow<T, R>(cell: &Cell<T>, f: impl FnOnce(&mut T) -> R) -> R {
        // A panic elsewhere leaves a queue of frames that is still in order.
        f(&mut cell
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

#[cfg(not(feature = "std"))]
mod inner {
    pub(super) type Counted<T> = alloc::rc::Rc<T>;
    pub(super) type Cell<T> = core::cell::RefCell<T>;

    pub(super) fn borrow<T, R>(cell: &Cell<T>, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut cell.borrow_mut())
    }
}

#[derive(Debug)]
struct Both<T> {
    flag: AtomicBool,
    cell: inner::Cell<T>,
}

#[derive(Debug)]
pub(crate) struct Shared<T>(inner::Counted<Both<T>>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(inner::Counted::new(Both {
            flag: AtomicBool::new(false),
            cell: inner::Cell::new(value),
        }))
    }

    /// Runs `f` on the value; `f` must not call code of the crate's user.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        inner::borrow(&self.0.cell, f)
    }

    /// Sets the flag; what was done to the value before is seen by whoever sees the flag and
    /// borrows the value then.
    pub(crate) fn flag(&self, on: bool) {
        self.0.flag.store(on, Ordering::Release);
    }

    /// The flag as it was set last.
    #[inline]
    pub(crate) fn is_flagged(&self) -> bool {
        self.0.flag.load(Ordering::Acquire)
    }

    /// Whether every other owner is gone.
    pub(crate) fn alone(&self) -> bool {
        inner::Counted::strong_count(&self.0) == 1
    }

    pub(crate) fn share(&self) -> Self {
        Self(inner::Counted::clone(&self.0))
    }
}
