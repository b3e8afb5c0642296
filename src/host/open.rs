//! Opening the device that somebody named, and wrapping it as they asked.

use core::fmt;
use core::net::IpAddr;
use std::boxed::Box;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use phy::{Cable, Device, DynDevice, Fault, Loopback, Medium, Pcap, RawSocket, Tap, Tun};
use rand_core::{CryptoRng, Rng};

use crate::host::meter::{Activity, Meter};
use crate::host::phy_name::Phy;
use crate::host::run::Runner;
use crate::host::settings::{CABLE_FAR, Settings};
use crate::iface::{Either, Ethernet, Ip};
use crate::net::Ipv4;
use crate::wire::Mac;

/// A device chosen at run time.
pub type AnyDevice = Box<dyn DynDevice + Send>;

/// A link over a device chosen at run time: Ethernet, or bare IP.
pub type AnyLink = Either<Ethernet<AnyDevice>, Ip<AnyDevice>>;

/// A device that was opened, and what belongs to it.
pub struct Opened {
    /// The device, with the wrappers that the settings ask for.
    pub device: AnyDevice,
    /// What its frames begin with.
    pub medium: Medium,
    /// The link address to use on it.
    pub mac: Mac,
    /// The addresses and routes of the settings.
    pub net: Ipv4,
    /// The other end, if the device is a cable.
    pub far: Option<AnyDevice>,
    /// What runs a host on it.
    pub runner: Runner,
}

/// Why a host could not be set up; prints as one line: what failed, why, and the ways out.
#[derive(Debug)]
#[non_exhaustive]
pub enum SetupError {
    /// The device could not be opened.
    Device(phy::OpenError),
    /// The file for the capture could not be written.
    Capture(std::path::PathBuf, io::Error),
    /// The device needs an address, and has no default.
    NoAddress(Phy),
    /// This address cannot be a host's.
    BadAddress(crate::Cidr),
    /// The gateway is on none of our networks.
    BadGateway(core::net::Ipv4Addr),
    /// The operating system refused something every host needs.
    Os(io::Error),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Capture(path, error) => write!(
                f,
                "cannot write capture {}: {error}; give another file, or leave --capture out",
                path.display()
            ),
            Self::NoAddress(phy) => write!(
                f,
                "no address for {phy}: give one of its network, such as --addr 192.168.1.2/24; \
                 or use --phy cable, which has its own"
            ),
            Self::BadAddress(cidr) => write!(
                f,
                "bad address {cidr}: not one that an IPv4 host can have; give one such as \
                 --addr 192.168.1.2/24, or use --phy cable, which has its own"
            ),
            Self::BadGateway(ip) => write!(
                f,
                "bad gateway {ip}: on none of our networks; give --addr on the same network, \
                 or leave --gateway out"
            ),
            Self::Os(error) => write!(f, "cannot set up: {error}"),
        }
    }
}

impl core::error::Error for SetupError {}

impl From<phy::OpenError> for SetupError {
    fn from(error: phy::OpenError) -> Self {
        Self::Device(error)
    }
}

impl From<io::Error> for SetupError {
    fn from(error: io::Error) -> Self {
        Self::Os(error)
    }
}

/// A cryptographic source of random numbers: the operating system's. Panics if it has none,
/// as nothing secure can be done then.
pub fn os_rng() -> impl CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

impl Settings {
    /// Opens the device and sets up what belongs to it.
    ///
    /// # Errors
    /// [`SetupError`], to be shown to whoever chose the settings.
    pub fn open(&self) -> Result<Opened, SetupError> {
        let net = self.network()?;
        let activity = Activity::default();
        let (medium, device, fd, far) = self.device(&activity)?;
        let runner = Runner::new(activity, fd)?;
        let device = match &self.capture {
            None => device,
            Some(path) => {
                let file =
                    File::create(path).map_err(|error| SetupError::Capture(path.clone(), error))?;
                let pcap = Pcap::new(device, file, medium, runner.epoch())
                    .map_err(|error| SetupError::Capture(path.clone(), error))?;
                Box::new(pcap) as AnyDevice
            }
        };
        let mac = self.mac.unwrap_or_else(random_mac);
        Ok(Opened {
            device,
            medium,
            mac,
            net,
            far,
            runner,
        })
    }

    /// The device under its wrappers, its descriptor, and a cable's other end.
    #[allow(clippy::type_complexity)] // used once, just above
    fn device(
        &self,
        activity: &Activity,
    ) -> Result<(Medium, AnyDevice, Option<OwnedFd>, Option<AnyDevice>), SetupError> {
        let frame = |front: usize| self.mtu.map(|mtu| mtu + front);
        let eth = crate::wire::Ethernet::LEN;
        Ok(match &self.phy {
            Phy::Cable => {
                let (near, far) = Cable::new(frame(eth).unwrap_or(1500 + eth));
                let far = Box::new(Meter::new(far, activity, None));
                (
                    Medium::Ethernet,
                    self.wrap(near, activity, None),
                    None,
                    Some(far as AnyDevice),
                )
            }
            Phy::Loopback => {
                let loopback = Loopback::new(self.mtu.unwrap_or(65_535));
                (Medium::Ip, self.wrap(loopback, activity, None), None, None)
            }
            Phy::Tap(name) => {
                let tap = Tap::open(name)?;
                let fd = Some(tap.as_fd().try_clone_to_owned()?);
                (
                    Medium::Ethernet,
                    self.wrap(tap, activity, frame(eth)),
                    fd,
                    None,
                )
            }
            Phy::Tun(name) => {
                let tun = Tun::open(name)?;
                let fd = Some(tun.as_fd().try_clone_to_owned()?);
                (Medium::Ip, self.wrap(tun, activity, frame(0)), fd, None)
            }
            Phy::Raw(name) => {
                let raw = RawSocket::open(name)?;
                let fd = Some(raw.as_fd().try_clone_to_owned()?);
                (
                    Medium::Ethernet,
                    self.wrap(raw, activity, frame(eth)),
                    fd,
                    None,
                )
            }
        })
    }

    fn wrap<D>(&self, device: D, activity: &Activity, max_frame: Option<usize>) -> AnyDevice
    where
        D: Device + Send + 'static,
    {
        let device = Meter::new(device, activity, max_frame);
        match self.fault {
            None => Box::new(device),
            Some(config) => Box::new(Fault::new(device, config)),
        }
    }

    fn network(&self) -> Result<Ipv4, SetupError> {
        let addrs = self.addresses();
        if addrs.is_empty() {
            return Err(SetupError::NoAddress(self.phy.clone()));
        }
        let mut net = Ipv4::default();
        for cidr in &addrs {
            let IpAddr::V4(ip) = cidr.ip() else {
                return Err(SetupError::BadAddress(*cidr));
            };
            let host = !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast();
            let ends = [cidr.network(), cidr.broadcast()].contains(&Some(ip));
            if !host || ends {
                return Err(SetupError::BadAddress(*cidr));
            }
            net = net.with(0, ip, cidr.prefix());
        }
        if self.phy == Phy::Loopback {
            net = net.loopback(0);
        }
        if let Some(gateway) = self.gateway {
            if !addrs.iter().any(|cidr| cidr.contains(gateway.into())) {
                return Err(SetupError::BadGateway(gateway));
            }
            net = net.gateway(0, gateway);
        }
        Ok(net)
    }
}

impl Opened {
    /// The device with a link layer on it.
    pub fn link(device: AnyDevice, medium: Medium, mac: Mac) -> AnyLink {
        match medium {
            Medium::Ethernet => Either::A(Ethernet::new(device, mac)),
            Medium::Ip => Either::B(Ip::new(device)),
        }
    }

    /// The networks of the host at the other end of a cable.
    pub fn far_net() -> Ipv4 {
        match CABLE_FAR.ip() {
            IpAddr::V4(ip) => Ipv4::default().with(0, ip, CABLE_FAR.prefix()),
            IpAddr::V6(_) => Ipv4::default(),
        }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("medium", &self.medium)
            .field("mac", &self.mac)
            .finish()
    }
}

/// A random link address that no vendor gave out (IEEE 802: locally administered, unicast).
fn random_mac() -> Mac {
    let [a, b, c, d, e, f, ..] = os_rng().next_u64().to_le_bytes();
    Mac([(a & 0xfc) | 0x02, b, c, d, e, f])
}
