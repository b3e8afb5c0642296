//! A host on the device that was asked for, and what runs it: common to the commands that
//! speak. Invariant: a turn ends by itself, and soon after a signal.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::Ipv4Addr;
use std::time::Duration;

use netstrata::host::{
    AnyDevice, AnyLink, CABLE_FAR, FAR_MAC, Far, Host, Opened, Phy, Poll, Runner, Settings,
    SetupError, Shard, os_rng,
};
use netstrata::icmp::Icmp;
use netstrata::net::Ipv4;
use netstrata::phy::{Device as _, FaultConfig, Instant, LinkState, Medium, Watch};
use netstrata::socket::SlabSockets;
use netstrata::tcp::{State, Tcp};
use netstrata::udp::Udp;
use netstrata::{Cidr, Stack};

use crate::errors::{CliError, note};
use crate::global::Global;
use crate::stop;
use crate::trace::Control;

/// How long the last frames may take to leave a bad link.
const LAST: Duration = Duration::from_secs(10);

/// A host, and the second one if it sits on a cable.
pub struct Session {
    /// The host.
    pub host: Host<AnyLink, Control>,
    /// The other one.
    pub far: Option<Far>,
    /// The device it sits on.
    pub phy: Phy,
    runner: Runner,
}

impl Session {
    /// Opens the device and puts a host on it.
    ///
    /// # Errors
    /// What kept it from it, for people.
    pub fn open(global: &Global) -> Result<Self, CliError> {
        Self::open_with(global, |device| device)
    }

    /// As [`Session::open`], with a wrapper around the device.
    ///
    /// # Errors
    /// What kept it from it, for people.
    pub fn open_with(
        global: &Global,
        wrap: impl FnOnce(AnyDevice) -> AnyDevice,
    ) -> Result<Self, CliError> {
        let (mut session, far) = Self::make(global, wrap)?;
        session.far = far.map(Far::new);
        Ok(session)
    }

    /// As [`Session::open`], but nobody lives at the other end of a cable yet: its device is
    /// returned.
    ///
    /// # Errors
    /// What kept it from it, for people.
    pub fn open_alone(global: &Global) -> Result<(Self, Option<AnyDevice>), CliError> {
        Self::make(global, |device| device)
    }

    fn make(
        global: &Global,
        wrap: impl FnOnce(AnyDevice) -> AnyDevice,
    ) -> Result<(Self, Option<AnyDevice>), CliError> {
        let settings = settings(global)?;
        let opened = settings.open().map_err(explain)?;
        let Opened {
            device,
            medium,
            mac,
            net,
            far,
            runner,
            ..
        } = opened;
        told_if_down(&settings.phy, device.capabilities().link);
        let host = host_on(Opened::link(wrap(device), medium, mac), net);
        stop::listen(runner.bell());
        let session = Self {
            host,
            far: None,
            phy: settings.phy,
            runner,
        };
        Ok((session, far))
    }

    /// As [`Session::open`], on one of several queues of a device. To be called by the thread that
    /// is to run it.
    pub fn on(queue: Queue) -> Self {
        let Queue { phy, shard } = queue;
        let protocols = shard.protocols();
        let at = shard.at;
        let link = Opened::link(at.device, at.medium, at.mac);
        Self {
            host: Stack::new(link, at.net, protocols, SlabSockets, &mut os_rng()),
            far: at.far.map(Far::new),
            phy,
            runner: at.runner,
        }
    }

    /// Time to poll with.
    pub fn now(&self) -> Instant {
        self.runner.now()
    }

    /// The time of [`Instant::ZERO`], since 1970.
    pub fn epoch(&self) -> Duration {
        self.runner.epoch()
    }

    /// One turn of all hosts; sleeps until there is something to do, `until` at most.
    ///
    /// # Errors
    /// When sleeping fails, or the device is gone.
    pub fn turn(&mut self, until: Option<Instant>, watches: &[Watch<'_>]) -> Result<(), CliError> {
        self.turn_with(&mut None::<Far>, until, watches)
    }

    /// As [`turn`](Self::turn), of one more host.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub fn turn_with(
        &mut self,
        more: &mut dyn Poll,
        until: Option<Instant>,
        watches: &[Watch<'_>],
    ) -> Result<(), CliError> {
        let hosts: &mut [&mut dyn Poll] = &mut [&mut self.host, &mut self.far, more];
        let done = self.runner.turn_watching(hosts, until, watches);
        done.map_err(|e| self.explain(e))
    }

    /// Lets what a bad link still delays leave, as the last segments of a connection; nothing
    /// may be sent by us after that. Whoever lives at the other end of a cable ends with us.
    ///
    /// # Errors
    /// As [`turn`](Self::turn).
    pub fn see_off(&mut self) -> Result<(), CliError> {
        if matches!(self.phy, Phy::Cable | Phy::Loopback) {
            return Ok(());
        }
        let done = self.runner.see_off(&mut [&mut self.host], LAST);
        done.map_err(|e| self.explain(e))
    }

    fn explain(&self, e: io::Error) -> CliError {
        match e.kind() {
            ErrorKind::NotConnected => gone(&self.phy),
            _ => CliError::failed("waiting for frames", e),
        }
    }

    /// Our first address.
    pub fn address(&self) -> Option<Cidr> {
        self.host.net.addresses().next().map(|(_, cidr)| cidr)
    }

    /// Whom to talk to if nobody was named: the other end of a cable, or ourselves.
    ///
    /// # Errors
    /// On other devices somebody must be named.
    pub fn peer(&self, given: Option<Ipv4Addr>) -> Result<Ipv4Addr, CliError> {
        let default = match self.phy {
            Phy::Cable => Some(CABLE_FAR.ip()),
            Phy::Loopback => self.address().map(|cidr| cidr.ip()),
            _ => None,
        };
        match (given, default) {
            (Some(ip), _) | (None, Some(std::net::IpAddr::V4(ip))) => Ok(ip),
            _ => Err(CliError::setup("destination", "none given").hint(
                "an IPv4 address at the end of the line, or `--phy cable`, which has a peer",
            )),
        }
    }
}

/// A queue of a device, for one of several sessions that have one address.
pub struct Queue {
    phy: Phy,
    /// Its place among them.
    pub shard: Shard,
}

/// Opens `count` queues of the device that was asked for.
///
/// # Errors
/// What kept it from it, for people: devices that have no queues say which have.
pub fn queues(global: &Global, count: usize) -> Result<Vec<Queue>, CliError> {
    let settings = settings(global)?;
    let shards = settings.open_shards(count).map_err(explain)?;
    let phy = settings.phy;
    if let Some(first) = shards.first() {
        told_if_down(&phy, first.at.device.capabilities().link);
    }
    let queues = shards.into_iter().map(|shard| {
        stop::listen(shard.at.runner.bell());
        let phy = phy.clone();
        Queue { phy, shard }
    });
    Ok(queues.collect())
}

/// A host with the usual protocols.
fn host_on(link: AnyLink, net: Ipv4) -> Host<AnyLink, Control> {
    let protocols = (Icmp::default(), Udp::default(), Tcp::default());
    Stack::new(link, net, protocols, SlabSockets, &mut os_rng())
}

/// A host of our making at the other end of a cable.
pub fn far_host(device: AnyDevice) -> Host<AnyLink, Control> {
    host_on(
        Opened::link(device, Medium::Ethernet, FAR_MAC),
        Opened::far_net(),
    )
}

fn settings(global: &Global) -> Result<Settings, CliError> {
    let faults = &global.faults;
    let ppm = |share: Option<crate::units::Percent>| share.map_or(0, |share| share.ppm());
    let fault = faults.any().then(|| {
        FaultConfig::default()
            .with_loss(ppm(faults.loss))
            .with_duplicate(ppm(faults.duplicate))
            .with_reorder(ppm(faults.reorder))
            .with_corrupt(ppm(faults.corrupt))
            .with_mark(ppm(faults.mark))
            .with_delay(faults.delay.unwrap_or(Duration::ZERO))
            .with_rate(faults.rate.unwrap_or(0))
            .with_seed(faults.seed.unwrap_or(1))
    });
    let phy = global.device()?.unwrap_or_default();
    if global.offload == Some(true) && faults.any() {
        return Err(
            CliError::setup("--offload on", "a bad link is made of whole frames")
                .hint("one without the other"),
        );
    }
    // Whoever looks at frames wants them as they are on a wire.
    let kernels = matches!(phy, Phy::Tap(_) | Phy::Tun(_) | Phy::Raw(_));
    let offload = kernels && global.capture.is_none() && !faults.any();
    Ok(Settings {
        phy,
        offload: global.offload.unwrap_or(offload),
        addrs: global.addr.clone(),
        gateway: global.gateway,
        mac: global.mac,
        mtu: global.mtu.map(Into::into),
        capture: global.capture.clone(),
        fault,
    })
}

fn explain(error: SetupError) -> CliError {
    match &error {
        SetupError::Device(error) => CliError::device(error),
        other => CliError::device(other),
    }
}

/// An interface that is down is no error, since it may come up; but somebody should know.
pub fn told_if_down(phy: &Phy, link: LinkState) {
    let name = match phy {
        Phy::Tap(name) | Phy::Tun(name) | Phy::Raw(name) => name,
        #[cfg(feature = "xdp")]
        Phy::Xdp(name) => name,
        Phy::Cable | Phy::Loopback => return,
    };
    if link == LinkState::Down {
        note!("strata: {phy} is down, and nothing passes; `sudo ip link set {name} up` mends it");
    }
}

/// The device was removed while somebody used it.
pub fn gone(phy: &Phy) -> CliError {
    CliError::failed(phy, "the interface is gone")
        .hint("once more when it is back, or `--phy cable`, which nobody can remove")
}

/// The states a connection went through between two looks at it, the last included: several
/// may pass in one turn. One that `failed` went straight to the last.
pub fn passed(before: State, now: State, failed: bool) -> &'static [State] {
    use State::{
        CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, SynSent, TimeWait,
    };
    const ACTIVE: &[State] = &[Established, FinWait1, FinWait2, TimeWait];
    const RESET: &[State] = &[Closed];
    const PASSIVE: &[State] = &[Established, CloseWait, LastAck, Closed];
    let path = match now {
        Closed if failed && before != Closed => return RESET,
        CloseWait | LastAck | Closed => PASSIVE,
        _ => ACTIVE,
    };
    let Some(end) = path.iter().position(|state| *state == now) else {
        return match now {
            SynSent => &[SynSent],
            Closing => &[Closing],
            _ => &[],
        };
    };
    let begin = match path.iter().position(|state| *state == before) {
        Some(at) => at + 1,
        None if now == Closed => end,
        None => 0,
    };
    path.get(begin..=end).unwrap_or_default()
}

/// A rate for people: `941 Mbit/s`.
pub struct Rate {
    octets: u64,
    time: Duration,
}

impl Rate {
    /// So many octets in that time.
    pub const fn new(octets: u64, time: Duration) -> Self {
        Self { octets, time }
    }

    /// Bits per second; 0 if no time passed.
    pub fn bits(&self) -> u64 {
        let bits = u128::from(self.octets) * 8_000_000;
        bits.checked_div(self.time.as_micros())
            .map_or(0, |rate| rate as u64)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.bits();
        let (unit, scale) = match bits {
            1_000_000_000.. => ("Gbit/s", 1_000_000_000),
            1_000_000.. => ("Mbit/s", 1_000_000),
            1_000.. => ("kbit/s", 1_000),
            _ => return write!(f, "{bits} bit/s"),
        };
        let hundredths = bits / (scale / 100);
        match hundredths {
            10_000.. => write!(f, "{} {unit}", hundredths / 100),
            1_000.. => write!(f, "{}.{} {unit}", hundredths / 100, hundredths % 100 / 10),
            _ => write!(f, "{}.{:02} {unit}", hundredths / 100, hundredths % 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        let second = Duration::from_secs(1);
        let rate = |octets| Rate::new(octets, second).to_string();
        assert_eq!(rate(0), "0 bit/s");
        assert_eq!(rate(125_000), "1.00 Mbit/s");
        assert_eq!(rate(117_625_000), "941 Mbit/s");
        assert_eq!(rate(1_562_500_000), "12.5 Gbit/s");
        assert_eq!(Rate::new(5, Duration::ZERO).bits(), 0);
    }
}
