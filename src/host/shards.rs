//! Several stacks with one address, each on a queue of its own and a thread of its own.
//!
//! Invariant: the stacks share no state. What the kernel hands to the wrong queue is passed on in
//! letter boxes; which names each may pick is settled beforehand ([`Share`]).

use std::os::fd::{AsFd, OwnedFd};
use std::vec::Vec;

use phy::{Bell, Device, Medium, Tap, TapOptions, Tun};

use crate::host::meter::Activity;
use crate::host::open::{Opened, SetupError, at_best, random_mac};
use crate::host::phy_name::Phy;
use crate::host::run::Runner;
use crate::host::settings::Settings;
use crate::host::shard::{Post, join};
use crate::icmp::Icmp;
use crate::tcp::Tcp;
use crate::transport::Share;
use crate::udp::Udp;
use crate::wire::Ethernet;

/// One of several stacks' places on an interface.
#[derive(Debug)]
pub struct Shard {
    /// Its device, addresses, and what runs it; link and IP addresses are those of all.
    pub at: Opened,
    /// The names it may pick.
    pub share: Share,
    /// What came to its queue and belonged to others.
    pub post: Post,
}

impl Shard {
    /// The usual protocols, with the ports and identifiers of this stack.
    pub fn protocols<C>(&self) -> (Icmp, Udp, Tcp<C>) {
        let share = self.share;
        let (icmp, udp) = (Icmp::default(), Udp::default());
        (
            icmp.sharing(share),
            udp.sharing(share),
            Tcp::default().sharing(share),
        )
    }
}

impl Settings {
    /// Opens `count` queues of the device, for as many stacks, and sets up what belongs to them.
    ///
    /// A stack serves what arrives on its queue: every stack opens the same listeners and bound
    /// sockets, and the connections that the kernel steers to it are its own. Those that a stack
    /// begins come back to it. ARP is heard by all and answered by one.
    ///
    /// On a cable each stack has a cable of its own, with the same addresses, and a far end that
    /// its thread may run.
    ///
    /// # Errors
    /// [`SetupError`], to be shown to whoever chose the settings; `NoQueues` for more than one
    /// stack on loopback or a packet socket.
    pub fn open_shards(&self, count: usize) -> Result<Vec<Shard>, SetupError> {
        let offload = self.offload && self.fault.is_none();
        let options = |on| TapOptions::new().with_offload(on);
        match &self.phy {
            _ if count < 2 => self.alone(),
            Phy::Tap(name) => {
                let taps = at_best(offload, |on| Tap::queues(name, options(on), count))?;
                self.queues(taps, Medium::Ethernet)
            }
            Phy::Tun(name) => {
                let tuns = at_best(offload, |on| Tun::queues(name, options(on), count))?;
                self.queues(tuns, Medium::Ip)
            }
            Phy::Cable => self.cables(count),
            Phy::Loopback | Phy::Raw(_) => Err(SetupError::NoQueues(self.phy.clone())),
        }
    }

    fn alone(&self) -> Result<Vec<Shard>, SetupError> {
        Ok(Vec::from([Shard {
            at: self.open()?,
            share: Share::ALL,
            post: Post::default(),
        }]))
    }

    /// Stacks on the queues of one interface.
    fn queues<D>(&self, devices: Vec<D>, medium: Medium) -> Result<Vec<Shard>, SetupError>
    where
        D: Device + AsFd + Send + 'static,
    {
        let mut runners = Vec::new();
        let mut ringed: Vec<(D, Bell)> = Vec::new();
        for device in devices {
            let fd: OwnedFd = device.as_fd().try_clone_to_owned()?;
            let activity = Activity::default();
            let runner = Runner::new(activity.clone(), Some(fd))?;
            ringed.push((device, runner.bell()));
            runners.push((runner, activity));
        }
        let mac = self.mac.unwrap_or_else(random_mac);
        let front = match medium {
            Medium::Ethernet => Ethernet::LEN,
            Medium::Ip => 0,
        };
        let max_frame = self.mtu.map(|mtu| mtu + front);
        let joined = join(ringed, medium).into_iter().zip(runners);
        joined
            .map(|((device, share, post), (runner, activity))| {
                let at = Opened {
                    device: self.wrap(device, &activity, max_frame),
                    medium,
                    mac,
                    net: self.network()?,
                    far: None,
                    runner,
                };
                self.recorded(Shard { at, share, post })
            })
            .collect()
    }

    /// Stacks on cables of their own.
    fn cables(&self, count: usize) -> Result<Vec<Shard>, SetupError> {
        let of = u16::try_from(count).unwrap_or(u16::MAX);
        let mac = self.mac.unwrap_or_else(random_mac);
        let shares = (0..of).filter_map(|index| Share::new(index, of));
        shares
            .map(|share| {
                let activity = Activity::default();
                let (medium, device, fd, far) = self.device(&activity)?;
                let at = Opened {
                    device,
                    medium,
                    mac,
                    net: self.network()?,
                    far,
                    runner: Runner::new(activity, fd)?,
                };
                let post = Post::default();
                self.recorded(Shard { at, share, post })
            })
            .collect()
    }

    /// With a capture if one is asked for, one file for each queue: FILE, FILE.1, FILE.2.
    fn recorded(&self, shard: Shard) -> Result<Shard, SetupError> {
        let Shard { at, share, post } = shard;
        let path = self.capture.as_ref().map(|path| match share.index() {
            0 => path.clone(),
            n => {
                let mut name = path.clone().into_os_string();
                name.push(std::format!(".{n}"));
                name.into()
            }
        });
        let device = self.captured(at.device, path.as_deref(), at.medium, &at.runner)?;
        let at = Opened { device, ..at };
        Ok(Shard { at, share, post })
    }
}

/// Runs `work` on each of `jobs`, each on a thread of its own, and returns what they made of it,
/// in order. Returns when all have ended.
///
/// # Panics
/// If one of them does.
///
/// ```
/// let squares = netstrata::host::on_threads(vec![2, 3], |n| n * n);
/// assert_eq!(squares, [4, 9]);
/// ```
pub fn on_threads<T: Send, R: Send>(jobs: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = jobs
            .into_iter()
            .map(|job| scope.spawn(move || work(job)))
            .collect();
        threads
            .into_iter()
            .map(|thread| match thread.join() {
                Ok(made) => made,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}
