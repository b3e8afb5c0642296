//! Who waits for a socket: at most one task to read and one to write. No allocation.
//!
//! Invariant: a waker is woken once for each time it was registered, and then forgotten; the
//! task registers it again if it still has to wait. Used by sockets with an asynchronous
//! interface; the protocols wake, the application's side registers.

use core::task::{Context, Waker};

/// The read and the write waker of a socket.
#[derive(Debug, Default, Clone)]
pub struct Wakers {
    read: Option<Waker>,
    write: Option<Waker>,
}

impl Wakers {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self {
            read: None,
            write: None,
        }
    }

    /// The task of `cx` waits for something to read. A task that waited before is woken, and so
    /// finds out that it lost its place.
    pub fn wait_read(&mut self, cx: &Context<'_>) {
        register(&mut self.read, cx.waker());
    }

    /// The task of `cx` waits for room to write. As [`Wakers::wait_read`].
    pub fn wait_write(&mut self, cx: &Context<'_>) {
        register(&mut self.write, cx.waker());
    }

    /// There is something to read, or never will be.
    pub fn wake_read(&mut self) {
        if let Some(waker) = self.read.take() {
            waker.wake();
        }
    }

    /// There is room to write, or never will be.
    pub fn wake_write(&mut self) {
        if let Some(waker) = self.write.take() {
            waker.wake();
        }
    }

    /// The state of the socket changed: both may want to know.
    pub fn wake_all(&mut self) {
        self.wake_read();
        self.wake_write();
    }
}

fn register(place: &mut Option<Waker>, waker: &Waker) {
    match place {
        Some(waiting) if waiting.will_wake(waker) => {}
        _ => {
            if let Some(waiting) = place.replace(waker.clone()) {
                waiting.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicU32);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_waker_is_woken_once() {
        let counts = [(); 2].map(|()| Arc::new(Count::default()));
        let wakers = counts.clone().map(Waker::from);
        let seen = || counts.each_ref().map(|c| c.0.load(Ordering::Relaxed));
        let mut w = Wakers::new();
        w.wake_all();
        w.wait_read(&Context::from_waker(&wakers[0]));
        w.wait_read(&Context::from_waker(&wakers[0]));
        w.wait_write(&Context::from_waker(&wakers[1]));
        assert_eq!(seen(), [0, 0]);
        w.wake_read();
        w.wake_read();
        assert_eq!(seen(), [1, 0]);
        // Another task takes the place; the first one hears of it.
        w.wait_write(&Context::from_waker(&wakers[0]));
        assert_eq!(seen(), [1, 1]);
        w.wake_all();
        assert_eq!(seen(), [2, 1]);
    }
}
