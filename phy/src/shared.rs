//! A value two ends of a cable own together: `Arc<Mutex>` under `std`, so that the ends may
//! live on two threads, else `Rc<RefCell>`. Invariant: no caller's code runs while the
//! value is borrowed, so the borrow cannot fail and the lock cannot deadlock.

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
pub(crate) struct Shared<T>(inner::Counted<inner::Cell<T>>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(inner::Counted::new(inner::Cell::new(value)))
    }

    /// Runs `f` on the value; `f` must not call code of the crate's user.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        inner::borrow(&self.0, f)
    }

    /// Whether every other owner is gone.
    pub(crate) fn alone(&self) -> bool {
        inner::Counted::strong_count(&self.0) == 1
    }

    pub(crate) fn share(&self) -> Self {
        Self(inner::Counted::clone(&self.0))
    }
}
