//! The loop around a stack that lives in a process: poll, and sleep until there is more to do.

use core::time::Duration;
use std::io;
use std::os::fd::OwnedFd;
use std::vec::Vec;

use phy::{Bell, Clock, Instant, Monotonic, Waiter, Watch};

use crate::host::meter::Activity;
use crate::iface::Interface;
use crate::net::Network;
use crate::stack::{Next, Stack};
use crate::transport::Transports;

/// Runs hosts on one device: keeps the time and sleeps.
#[derive(Debug)]
pub struct Runner {
    clock: Monotonic,
    waiter: Waiter,
    fd: Option<OwnedFd>,
    activity: Activity,
    /// Activity at the last poll.
    seen: u64,
    /// When the nearest timer of the hosts is due, as far as known.
    fires: Option<Instant>,
}

/// A host that can be polled, whatever its layers are.
pub trait Poll {
    /// One bounded turn at time `now`, see [`Stack::poll`].
    fn poll(&mut self, now: Instant) -> Next;
}

impl<I: Interface, N: Network, T: Transports<S>, S> Poll for Stack<I, N, T, S> {
    fn poll(&mut self, now: Instant) -> Next {
        Stack::poll(self, now)
    }
}

/// Nobody, as at the far end of a device that is no cable, has nothing to do.
impl<P: Poll> Poll for Option<P> {
    fn poll(&mut self, now: Instant) -> Next {
        match self {
            Some(host) => host.poll(now),
            None => Next::Wait {
                until: None,
                room: false,
            },
        }
    }
}

impl Runner {
    pub(super) fn new(activity: Activity, fd: Option<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            clock: Monotonic::new(),
            waiter: Waiter::new()?,
            fd,
            activity,
            seen: 0,
            fires: None,
        })
    }

    /// Microseconds since the runner was made: the time to poll with.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The wall-clock time of [`Instant::ZERO`], as time since 1970.
    pub fn epoch(&self) -> Duration {
        self.clock.unix_epoch_offset()
    }

    /// Ends a sleep from another thread or a signal handler.
    pub fn bell(&self) -> Bell {
        self.waiter.bell()
    }

    /// Polls every host once, and then, if nothing happened, sleeps until there is something to
    /// do: a frame, a timer of a host, `until`, or the bell. Returns at once while there is
    /// work.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotConnected`] when the interface under the device was deleted; what
    /// sleeping failed with.
    pub fn turn(&mut self, hosts: &mut [&mut dyn Poll], until: Option<Instant>) -> io::Result<()> {
        self.turn_watching(hosts, until, &[])
    }

    /// Polls every host until all that was sent has left a bad link between them and the device
    /// ([`Settings::fault`](crate::host::Settings::fault)), for `most` at most: what it delays is
    /// lost when the process ends. Returns at once where nothing is.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub fn see_off(&mut self, hosts: &mut [&mut dyn Poll], most: Duration) -> io::Result<()> {
        let until = self.now() + most;
        while self.activity.leaving() > 0 && self.now() < until {
            self.turn(hosts, Some(until))?;
        }
        Ok(())
    }

    /// As [`turn`](Self::turn), and ends a sleep too when one of `watches` is ready.
    ///
    /// # Errors
    /// As `turn`, and more than [`Waiter::MAX_WATCHES`] descriptors.
    pub fn turn_watching(
        &mut self,
        hosts: &mut [&mut dyn Poll],
        until: Option<Instant>,
        watches: &[Watch<'_>],
    ) -> io::Result<()> {
        let now = self.now();
        let (mut busy, mut fires, mut room) = (false, None, false);
        for host in hosts {
            match host.poll(now) {
                Next::Now => busy = true,
                Next::Wait {
                    until,
                    room: wanted,
                } => {
                    room |= wanted;
                    fires = earlier(fires, until);
                }
            }
        }
        if self.activity.is_gone() {
            let why = "the interface is gone";
            return Err(io::Error::new(io::ErrorKind::NotConnected, why));
        }
        // There may be news for the application, and nobody wakes it a second time: only a round
        // in which nothing happened ends the work.
        let activity = self.activity.count();
        let moved = core::mem::replace(&mut self.seen, activity) != activity;
        let fired = core::mem::replace(&mut self.fires, fires).is_some_and(|at| at <= now);
        if busy || moved || fired {
            return Ok(());
        }
        let own = self
            .fd
            .as_ref()
            .map(|fd| Watch::readable(fd).and_writable(room));
        let both: Vec<Watch<'_>>;
        let all = match (&own, watches) {
            (None, watches) => watches,
            (Some(own), []) => core::slice::from_ref(own),
            (Some(own), watches) => {
                both = core::iter::once(own).chain(watches).copied().collect();
                &both
            }
        };
        let due = earlier(fires, until);
        self.waiter.until(all, &self.clock, due)?;
        Ok(())
    }
}

/// The earlier of two times, of those that there are.
fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{CABLE_FAR, Opened, Settings, os_rng};
    use crate::icmp::{Icmp, PingSocket};
    use crate::socket::SlabSockets;
    use phy::{Device, FaultConfig, RxMeta};
    use std::boxed::Box;

    /// What is delayed when the last turn ends leaves before the process may, and nobody waits
    /// for longer than was asked for.
    #[test]
    fn delayed_frames_are_seen_off() {
        let sent = |delay, most| {
            let settings = Settings {
                fault: Some(FaultConfig::new().with_delay(delay)),
                ..Settings::default()
            };
            let opened = settings.open().unwrap();
            let (mut runner, mut far) = (opened.runner, opened.far.unwrap());
            let link = Opened::link(opened.device, opened.medium, opened.mac);
            let icmp = (Icmp::default(),);
            let mut host = Stack::new(link, opened.net, icmp, SlabSockets, &mut os_rng());
            let buffer = || std::vec![0; 256].into_boxed_slice();
            let ping: PingSocket<Box<[u8]>> = PingSocket::new(0, buffer(), buffer());
            let ping = host.open(ping).unwrap();
            let to = CABLE_FAR.ip();
            let _ = host
                .socket(ping)
                .with(|ping| ping.send_to(to, 1, b"x", None));
            let now = runner.now();
            host.poll(now);
            let mut frames = 0;
            let mut came = |now| far.receive(now, 8, &mut |_: &mut [u8], _: RxMeta| frames += 1);
            came(now);
            runner.see_off(&mut [&mut host], most).unwrap();
            came(runner.now());
            frames > 0
        };
        let (soon, late) = (Duration::from_millis(5), Duration::from_secs(3600));
        assert!(sent(soon, late));
        assert!(!sent(late, soon) && !sent(late, Duration::ZERO));
    }
}
