//! What a sender's time goes into: busy, held up by the peer's window, or by its own buffer.
//!
//! Invariant: at any time at most one of them runs; a connection with nothing queued or in
//! flight is idle, and nothing runs. Times are in milliseconds. For [`TcpInfo`](super::TcpInfo)
//! only.

use super::tcb::Tcb;
use phy::Instant;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Chrono {
    /// Nothing is queued or in flight.
    #[default]
    Idle,
    /// Text is queued or in flight.
    Busy,
    /// So it is, and the peer's window does not take more.
    Window,
    /// All of it is in flight, and the application has more than the buffer takes.
    Buffer,
}

/// The stopwatch.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopwatch {
    /// When what runs began, milliseconds modulo 2^32.
    since: u32,
    /// Milliseconds of [`Chrono::Busy`].
    busy: u32,
    /// What runs.
    runs: Chrono,
    /// The application's last write was cut short.
    pub no_space: bool,
}

/// Milliseconds that a sender was busy in all, held up by a window, and by its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub busy: u32,
    pub window: u32,
    pub buffer: u32,
}

impl<C> Tcb<C> {
    /// From now on it is `what`.
    #[inline]
    pub(super) fn spend(&mut self, now: Instant, what: Chrono) {
        if self.watch.runs != what {
            self.turn_to(now, what);
        }
    }

    fn turn_to(&mut self, now: Instant, what: Chrono) {
        let now = now.millis() as u32;
        let took = now.wrapping_sub(self.watch.since);
        match self.watch.runs {
            Chrono::Idle => {}
            _ if took == 0 => {}
            Chrono::Busy => self.watch.busy = self.watch.busy.saturating_add(took),
            Chrono::Window => {
                let rare = self.rare.make();
                rare.window_limited = rare.window_limited.saturating_add(took);
            }
            Chrono::Buffer => {
                let rare = self.rare.make();
                rare.buffer_limited = rare.buffer_limited.saturating_add(took);
            }
        }
        (self.watch.since, self.watch.runs) = (now, what);
    }

    /// The times so far, that which runs included.
    pub(super) fn times(&self, now: Instant) -> Times {
        let runs = self.watch.runs;
        let running = (now.millis() as u32).wrapping_sub(self.watch.since);
        let with = |what: Chrono, before: u32| {
            before.saturating_add(if runs == what { running } else { 0 })
        };
        let rare = self.rare.get();
        let window = with(Chrono::Window, rare.map_or(0, |rare| rare.window_limited));
        let buffer = with(Chrono::Buffer, rare.map_or(0, |rare| rare.buffer_limited));
        let busy = with(Chrono::Busy, self.watch.busy);
        Times {
            busy: busy.saturating_add(window).saturating_add(buffer),
            window,
            buffer,
        }
    }
}
