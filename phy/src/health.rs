//! What a device of the operating system remembers about errors: the first unreported one,
//! how many frames it cost, and whether frames can leave at present. Nothing here stops
//! traffic: a frame is delivered or lost.

use core::time::Duration;
use std::io;

use nix::errno::Errno;

use crate::{Instant, IoStats, LinkState};

/// How often an interface that is down is looked at.
const LOOK_DOWN: Duration = Duration::from_millis(100);

/// How often an interface that is up is looked at, for a new MTU.
const LOOK_UP: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Health {
    error: Option<Errno>,
    /// All but `lost` counted where it happens.
    pub(crate) io: IoStats,
    pub(crate) link: LinkState,
    /// The last frame found no room in the kernel.
    pub(crate) full: bool,
    look_at: Instant,
}

impl Health {
    pub(crate) const fn new(up: bool) -> Self {
        Self {
            error: None,
            io: IoStats::NONE,
            link: if up { LinkState::Up } else { LinkState::Down },
            full: false,
            look_at: Instant::ZERO,
        }
    }

    /// A frame went through.
    pub(crate) const fn went(&mut self) {
        self.link = LinkState::Up;
    }

    /// The interface was deleted.
    pub(crate) const fn gone(&mut self) {
        self.link = LinkState::Gone;
    }

    /// Frames were lost for a reason that is no error number.
    pub(crate) const fn lose(&mut self, frames: u64) {
        self.io.lost = self.io.lost.saturating_add(frames);
    }

    /// The kernel had no room for frames that were for us.
    pub(crate) const fn overrun(&mut self, frames: u64) {
        self.io.overruns = self.io.overruns.saturating_add(frames);
        self.lose(frames);
    }

    /// A call that was to receive brought so many frames.
    pub(crate) const fn read(&mut self, frames: usize) {
        self.io.reads = self.io.reads.wrapping_add(1);
        self.io.frames_in = self.io.frames_in.wrapping_add(frames as u64);
    }

    /// So many frames lay in memory that is shared with the kernel.
    pub(crate) const fn took(&mut self, frames: usize) {
        self.io.frames_in = self.io.frames_in.wrapping_add(frames as u64);
    }

    /// A call that was to send took so many frames.
    pub(crate) const fn wrote(&mut self, frames: usize) {
        self.io.writes = self.io.writes.wrapping_add(1);
        self.io.frames_out = self.io.frames_out.wrapping_add(frames as u64);
    }

    /// A frame was lost. Being out of buffers is what networks are like, so it is counted
    /// and not reported.
    pub(crate) fn failed(&mut self, errno: Errno) {
        self.lose(1);
        match errno {
            Errno::EAGAIN => self.full = true,
            Errno::ENOBUFS | Errno::ENOMEM => {}
            _ => self.broke(errno),
        }
    }

    /// A call failed that concerns no single frame.
    pub(crate) fn broke(&mut self, errno: Errno) {
        match errno {
            // What a tun driver says of a queue whose interface was deleted.
            Errno::EBADFD => self.gone(),
            Errno::EIO | Errno::ENETDOWN | Errno::ENODEV | Errno::ENXIO
                if self.link == LinkState::Up =>
            {
                self.link = LinkState::Down;
                self.look_at = Instant::ZERO;
            }
            _ => {}
        }
        if self.error.is_none() {
            self.error = Some(errno);
        }
    }

    /// Whether it is time to ask the kernel about the interface.
    pub(crate) fn look_again(&mut self, now: Instant) -> bool {
        let every = match self.link {
            LinkState::Up => LOOK_UP,
            LinkState::Down => LOOK_DOWN,
            LinkState::Gone => return false,
        };
        let due = now >= self.look_at;
        if due {
            self.look_at = now + every;
        }
        due
    }

    /// What the kernel said.
    pub(crate) const fn looked(&mut self, up: bool) {
        self.link = if up { LinkState::Up } else { LinkState::Down };
    }

    /// When to look again at an interface that is down, as no frame of it will remind us.
    pub(crate) fn watch(&self) -> Option<Instant> {
        (self.link == LinkState::Down).then_some(self.look_at)
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.io.lost
    }

    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take().map(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_kept_until_taken() {
        let mut health = Health::new(true);
        health.failed(Errno::EMSGSIZE);
        health.failed(Errno::EINVAL);
        let first = health.take_error().and_then(|e| e.raw_os_error());
        assert_eq!((first, health.lost()), (Some(libc::EMSGSIZE), 2));
        assert!(health.take_error().is_none());
    }

    #[test]
    fn full_queues_cost_frames_and_are_no_errors() {
        let mut health = Health::new(true);
        health.failed(Errno::ENOBUFS);
        assert!(!health.full);
        health.failed(Errno::EAGAIN);
        assert!(health.full && health.take_error().is_none());
        assert_eq!((health.lost(), health.link), (2, LinkState::Up));
    }

    #[test]
    fn errors_of_a_link_that_is_down_do_not_make_us_look_more_often() {
        let mut health = Health::new(true);
        health.failed(Errno::ENETDOWN);
        assert!(health.look_again(Instant::from_millis(5)));
        health.looked(false);
        health.failed(Errno::ENETDOWN);
        assert_eq!(health.watch(), Some(Instant::from_millis(105)));
        assert!(!health.look_again(Instant::from_millis(104)));
    }

    #[test]
    fn an_interface_that_is_gone_is_not_looked_for() {
        let mut health = Health::new(true);
        health.failed(Errno::EBADFD);
        assert_eq!((health.link, health.watch()), (LinkState::Gone, None));
        assert!(!health.look_again(Instant::from_secs(9)));
    }

    #[test]
    fn a_link_that_is_down_is_looked_at_more_often() {
        let mut health = Health::new(true);
        assert!(health.look_again(Instant::ZERO));
        assert!(!health.look_again(Instant::from_millis(999)));
        health.failed(Errno::EIO);
        assert_eq!(health.link, LinkState::Down);
        assert!(health.look_again(Instant::from_millis(999)));
        assert!(!health.look_again(Instant::from_millis(1_098)));
        assert!(health.look_again(Instant::from_millis(1_099)));
        health.looked(true);
        assert_eq!(health.link, LinkState::Up);
    }
}
