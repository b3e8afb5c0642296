//! Several stacks with one address, each on a queue of its own and a thread of its own.
//!
//! Invariant: the stacks share no state. What the kernel hands to the wrong queue is passed on in
//! letter boxes; which names each may pick is settled beforehand ([`Share`]).

use std::os::fd::{AsFd, OwnedFd};
use std::vec::Vec;

use phy::{Bell, Device, Medium, RawOptions, RawSocket, Tap, TapOptions, Tun};

use crate::host::claims::Claims;
use crate::host::meter::Activity;
#[cfg(feature = "xdp")]
use crate::host::open::xdp_options;
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
    /// Packet sockets of one interface divide what arrives as the queues of a tap do. AF_XDP takes
    /// the interface's first `count` queues; there a connection stays with the stack that got its
    /// first segment even if the interface has the next come to another queue. Stacks on either
    /// are to end together: when one closes its device, the kernel divides what arrives anew, or,
    /// of AF_XDP, takes what comes to that queue for its own.
    ///
    /// On a cable each stack has a cable of its own, with the same addresses, and a far end that
    /// its thread may run.
    ///
    /// # Errors
    /// [`SetupError`], to be shown to whoever chose the settings; `NoQueues` for more than one
    /// stack on loopback.
    pub fn open_shards(&self, count: usize) -> Result<Vec<Shard>, SetupError> {
        let offload = self.offload && self.fault.is_none();
        let options = |on| TapOptions::new().with_offload(on);
        match &self.phy {
            _ if count < 2 => self.alone(),
            Phy::Tap(name) => {
                let taps = at_best(offload, |on| Tap::queues(name, options(on), count))?;
                self.queues(taps, Medium::Ethernet, None)
            }
            Phy::Tun(name) => {
                let tuns = at_best(offload, |on| Tun::queues(name, options(on), count))?;
                self.queues(tuns, Medium::Ip, None)
            }
            Phy::Raw(name) => {
                let options = |on| RawOptions::new().with_offload(on);
                let raws = at_best(offload, |on| RawSocket::queues(name, options(on), count))?;
                self.queues(raws, Medium::Ethernet, None)
            }
            #[cfg(feature = "xdp")]
            Phy::Xdp(name) => {
                let xdps = phy::XdpSocket::queues(name, xdp_options(name), count)?;
                self.queues(xdps, Medium::Ethernet, Some(&Claims::new()))
            }
            Phy::Cable => self.cables(count),
            Phy::Loopback => Err(SetupError::NoQueues(self.phy.clone())),
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
    fn queues<D>(
        &self,
        devices: Vec<D>,
        medium: Medium,
        claims: Option<&Claims>,
    ) -> Result<Vec<Shard>, SetupError>
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
        let joined = join(ringed, medium, claims).into_iter().zip(runners);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stack;
    use crate::host::far::{Connection, Host};
    use crate::host::os_rng;
    use crate::iface::Ethernet;
    use crate::net::Ipv4;
    use crate::socket::SlabSockets;
    use crate::tcp::State;
    use crate::wire::Mac;
    use phy::{Cable, Capabilities, FrameSink, Instant, RxToken, TxToken, Waiter, cable::End};

    /// Hears two cables, and sends everything over the first: the worst a kernel could do.
    struct Funnel(End, End);

    struct Answers<'a, K>(&'a mut End, &'a mut K, Instant);

    impl<K: FrameSink> FrameSink for Answers<'_, K> {
        fn frame(&mut self, rx: impl RxToken, _: Option<impl TxToken>) {
            self.1.frame(rx, self.0.transmit(self.2));
        }
    }

    impl Device for Funnel {
        fn capabilities(&self) -> Capabilities {
            self.0.capabilities()
        }
        fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
            let mut answers = Answers(&mut self.0, sink, now);
            let taken = self.1.receive(now, budget, &mut answers);
            taken + self.0.receive(now, budget - taken, sink)
        }
        fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
            self.0.transmit(now)
        }
        fn flush(&mut self, now: Instant) {
            self.0.flush(now);
        }
    }

    #[test]
    fn neighbours_and_connections_are_found_whatever_queue_answers_take() {
        let ((a0, b0), (a1, b1)) = (Cable::new(1514), Cable::new(1514));
        let waiters = [Waiter::new().unwrap(), Waiter::new().unwrap()];
        let bells = waiters.iter().map(Waiter::bell);
        let joined = join(
            [a0, a1].into_iter().zip(bells).collect(),
            Medium::Ethernet,
            None,
        );
        let net = |last| Ipv4::default().with(0, [10, 0, 0, last].into(), 24);
        let rng = &mut os_rng();
        let protocols = || (Icmp::default(), Udp::default(), Tcp::default());
        let mut far: Host<_> = Stack::new(
            Ethernet::new(Funnel(b0, b1), Mac([2, 0, 0, 0, 0, 9])),
            net(9),
            protocols(),
            SlabSockets,
            rng,
        );
        let there = "10.0.0.9:80".parse().unwrap();
        far.open(Connection::listener(there, 8)).unwrap();
        let mut posts = Vec::new();
        let mut stacks: Vec<_> = joined
            .into_iter()
            .map(|(device, share, post)| {
                posts.push(post);
                let (icmp, udp, tcp) = protocols();
                let shared = (icmp, udp, tcp.sharing(share));
                let iface = Ethernet::new(device, Mac([2, 0, 0, 0, 0, 1]));
                let mut stack: Host<_> = Stack::new(iface, net(1), shared, SlabSockets, rng);
                let h = stack.open(Connection::connecting(there)).unwrap();
                (stack, h, share)
            })
            .collect();
        // Less than a second, after which somebody would ask again.
        for ms in 0..20 {
            let now = Instant::from_millis(ms);
            for (stack, ..) in &mut stacks {
                stack.poll(now);
            }
            far.poll(now);
        }
        for (stack, h, share) in &mut stacks {
            let look = |s: &mut Connection| (s.state(), s.local_addr().map(|at| at.port()));
            let (state, port) = stack.socket(*h).with(look).unwrap();
            assert_eq!(state, State::Established, "{share:?}");
            assert!(share.holds(port.unwrap()));
        }
        let counts: Vec<_> = posts.iter().map(|p| (p.passed() > 0, p.lost())).collect();
        assert_eq!(counts, [(true, 0), (false, 0)]);
    }
}
