//! Sleeping until there is something to do: a device is readable, somebody rang, or time is
//! up. The one place of the crate that blocks, and only its caller's thread.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use crate::{Clock, Instant};

/// Wakes a [`Waiter`] from another thread, or from a signal handler: ringing is one system
/// call that takes no lock and allocates nothing. Clones ring the same waiter.
#[derive(Debug, Clone)]
pub struct Bell(Arc<EventFd>);

impl Bell {
    /// Wakes the waiter now, or from its next sleep if it is awake. Ringing twice is as
    /// ringing once.
    pub fn ring(&self) {
        // Full only after 2^64 - 2 rings, and then it has been rung.
        let _ = self.0.write(1);
    }

    fn silence(&self) -> bool {
        self.0.read().is_ok()
    }
}

/// Why a [`Waiter`] woke. Several may hold; none does when only time is up or a signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Woken {
    /// One of the descriptors is ready, or will be so until its error is read.
    pub ready: bool,
    /// The bell was rung since the last sleep.
    pub rung: bool,
}

/// A descriptor to watch while sleeping.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    fd: BorrowedFd<'a>,
    writable: bool,
}

impl<'a> Watch<'a> {
    /// Wakes when `device` has something to read.
    pub fn readable(device: &'a impl AsFd) -> Self {
        Self {
            fd: device.as_fd(),
            writable: false,
        }
    }

    /// Wakes also when `on` and `device` has room for writing.
    #[must_use]
    pub const fn and_writable(mut self, on: bool) -> Self {
        self.writable = on;
        self
    }
}

/// Sleeps for one thread.
///
/// A device behind a `Box<dyn DynDevice>` has no descriptor to show; keep a second one, made
/// with `device.as_fd().try_clone_to_owned()` before boxing.
///
/// ```
/// use std::time::Duration;
/// use phy::Waiter;
///
/// let waiter = Waiter::new()?;
/// let bell = waiter.bell();
/// std::thread::spawn(move || bell.ring());
/// assert!(waiter.wait(&[], None)?.rung);
/// assert!(!waiter.wait(&[], Some(Duration::ZERO))?.rung);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Waiter(Bell);

impl Waiter {
    /// Descriptors one waiter watches at most.
    pub const MAX_WATCHES: usize = 15;

    /// A waiter with a bell of its own.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = EventFd::from_value_and_flags(0, flags)?;
        Ok(Self(Bell(Arc::new(event))))
    }

    /// A bell that wakes this waiter.
    #[must_use]
    pub fn bell(&self) -> Bell {
        self.0.clone()
    }

    /// Sleeps until a descriptor is ready, the bell rings, a signal is handled or `timeout`
    /// has passed; `None` is forever. Timeouts count in nanoseconds.
    ///
    /// # Errors
    /// `InvalidInput` for more than [`Waiter::MAX_WATCHES`] descriptors.
    pub fn wait(&self, watches: &[Watch<'_>], timeout: Option<Duration>) -> io::Result<Woken> {
        let bell = self.0.0.as_fd();
        // Only as many entries as there are descriptors are handed to the kernel.
        let mut fds: [PollFd<'_>; Self::MAX_WATCHES + 1] =
            core::array::from_fn(|_| PollFd::new(bell, PollFlags::empty()));
        let Some(used) = fds.get_mut(..=watches.len()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let sources = core::iter::once((bell, PollFlags::POLLIN))
            .chain(watches.iter().map(|watch| (watch.fd, watch.flags())));
        for (entry, (fd, flags)) in used.iter_mut().zip(sources) {
            *entry = PollFd::new(fd, flags);
        }
        match ppoll(used, timeout.map(TimeSpec::from_duration), None) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Woken::default()),
            Err(errno) => return Err(errno.into()),
        }
        let mut fired = used.iter().map(|fd| fd.any() == Some(true));
        let rung = fired.next() == Some(true) && self.0.silence();
        let ready = fired.any(|fired| fired);
        Ok(Woken { ready, rung })
    }

    /// As [`Waiter::wait`], until `deadline` by `clock`; `None` is forever. Returns at once
    /// if it has passed, having looked at the descriptors and the bell.
    ///
    /// # Errors
    /// As [`Waiter::wait`].
    pub fn until(
        &self,
        watches: &[Watch<'_>],
        clock: &impl Clock,
        deadline: Option<Instant>,
    ) -> io::Result<Woken> {
        let timeout = deadline.map(|deadline| deadline.saturating_since(clock.now()));
        self.wait(watches, timeout)
    }
}

impl Watch<'_> {
    const fn flags(&self) -> PollFlags {
        if self.writable {
            PollFlags::POLLIN.union(PollFlags::POLLOUT)
        } else {
            PollFlags::POLLIN
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use std::os::unix::net::UnixDatagram;

    const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

    #[test]
    fn a_bell_rings_once_and_ahead_of_sleep() {
        let waiter = Waiter::new().unwrap();
        let bell = waiter.bell();
        bell.ring();
        bell.clone().ring();
        let rung = Woken {
            ready: false,
            rung: true,
        };
        assert_eq!(waiter.wait(&[], None).unwrap(), rung);
        assert_eq!(waiter.wait(&[], AT_ONCE).unwrap(), Woken::default());
    }

    #[test]
    fn a_readable_descriptor_wakes() {
        let waiter = Waiter::new().unwrap();
        let (a, b) = UnixDatagram::pair().unwrap();
        let idle = waiter.wait(&[Watch::readable(&b)], AT_ONCE).unwrap();
        assert!(!idle.ready);
        let room = Watch::readable(&b).and_writable(true);
        assert!(waiter.wait(&[room], None).unwrap().ready);
        a.send(b"x").unwrap();
        let woken = waiter.wait(&[Watch::readable(&a), Watch::readable(&b)], None);
        assert!(woken.unwrap().ready);
    }

    #[test]
    fn a_deadline_that_has_passed_does_not_sleep() {
        let waiter = Waiter::new().unwrap();
        let clock = ManualClock::at(Instant::from_secs(9));
        let woken = waiter.until(&[], &clock, Some(Instant::from_secs(8)));
        assert_eq!(woken.unwrap(), Woken::default());
    }

    #[test]
    fn too_many_descriptors_are_an_error() {
        let waiter = Waiter::new().unwrap();
        let (a, _b) = UnixDatagram::pair().unwrap();
        let most = [Watch::readable(&a); Waiter::MAX_WATCHES];
        assert!(waiter.wait(&most, AT_ONCE).is_ok());
        let many = [Watch::readable(&a); Waiter::MAX_WATCHES + 1];
        let error = waiter.wait(&many, AT_ONCE).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
