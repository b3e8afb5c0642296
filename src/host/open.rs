//! Opening the device that somebody named, and wrapping it as they asked.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use std::boxed::Box;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use phy::{
    Cable, Device, DynDevice, Fault, Loopback, Medium, Pcap, RawOptions, RawSocket, Tap,
    TapOptions, Tun,
};
use rand_core::{CryptoRng, Rng};

use crate::addr::Cidr;
use crate::host::meter::{Activity, Delayed, Meter};
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
    BadAddress(Cidr),
    /// The gateway is no other host on one of our networks.
    BadGateway(Ipv4Addr),
    /// This device cannot be shared by several stacks.
    NoQueues(Phy),
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
                "bad address {cidr}: not one that an IPv4 host can have, or given twice; give one \
                 such as --addr 192.168.1.2/24, or use --phy cable, which has its own"
            ),
            Self::BadGateway(ip) => write!(
                f,
                "bad gateway {ip}: no other host on our networks; give --addr on the same network, \
                 or leave --gateway out"
            ),
            Self::NoQueues(phy) => write!(
                f,
                "{phy} cannot be shared by several stacks: leave the number of queues at one, or \
                 use --phy tap:NAME, tun:NAME or raw:IFACE"
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
        let device = self.captured(device, self.capture.as_deref(), medium, &runner)?;
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

    /// The device, recorded in the file `path` if one is given.
    pub(super) fn captured(
        &self,
        device: AnyDevice,
        path: Option<&Path>,
        medium: Medium,
        runner: &Runner,
    ) -> Result<AnyDevice, SetupError> {
        let Some(path) = path else {
            return Ok(device);
        };
        let failed = |error| SetupError::Capture(path.to_path_buf(), error);
        let file = File::create(path).map_err(failed)?;
        let pcap = Pcap::new(device, file, medium, runner.epoch()).map_err(failed)?;
        Ok(Box::new(pcap))
    }

    /// The device under its wrappers, its descriptor, and a cable's other end.
    pub(super) fn device(
        &self,
        activity: &Activity,
    ) -> Result<(Medium, AnyDevice, Option<OwnedFd>, Option<AnyDevice>), SetupError> {
        let frame = |front: usize| self.mtu.map(|mtu| mtu + front);
        let offload = self.offload && self.fault.is_none();
        let options = TapOptions::new();
        let eth = crate::wire::Ethernet::LEN;
        Ok(match &self.phy {
            Phy::Cable => {
                let len = frame(eth).unwrap_or(1500 + eth);
                let (near, far) = match offload {
                    true => Cable::with_offload(len),
                    false => Cable::new(len),
                };
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
                let open = |on| Tap::with_options(name, options.with_offload(on));
                let tap = at_best(offload, open)?;
                let fd = Some(tap.as_fd().try_clone_to_owned()?);
                (
                    Medium::Ethernet,
                    self.wrap(tap, activity, frame(eth)),
                    fd,
                    None,
                )
            }
            Phy::Tun(name) => {
                let open = |on| Tun::with_options(name, options.with_offload(on));
                let tun = at_best(offload, open)?;
                let fd = Some(tun.as_fd().try_clone_to_owned()?);
                (Medium::Ip, self.wrap(tun, activity, frame(0)), fd, None)
            }
            Phy::Raw(name) => {
                let open = |on| RawSocket::with_options(name, RawOptions::new().with_offload(on));
                let raw = at_best(offload, open)?;
                let fd = Some(raw.as_fd().try_clone_to_owned()?);
                (
                    Medium::Ethernet,
                    self.wrap(raw, activity, frame(eth)),
                    fd,
                    None,
                )
            }
            #[cfg(feature = "xdp")]
            Phy::Xdp(name) => {
                let xdp = phy::XdpSocket::with_options(name, xdp_options(name))?;
                let fd = Some(xdp.as_fd().try_clone_to_owned()?);
                let device = self.wrap(xdp, activity, frame(eth));
                (Medium::Ethernet, device, fd, None)
            }
        })
    }

    pub(super) fn wrap<D>(
        &self,
        device: D,
        activity: &Activity,
        max_frame: Option<usize>,
    ) -> AnyDevice
    where
        D: Device + Send + 'static,
    {
        let device = Meter::new(device, activity, max_frame);
        match self.fault {
            None => Box::new(device),
            Some(config) => Box::new(Delayed::new(Fault::new(device, config), activity)),
        }
    }

    pub(super) fn network(&self) -> Result<Ipv4, SetupError> {
        let addrs = self.addresses();
        if addrs.is_empty() {
            return Err(SetupError::NoAddress(self.phy.clone()));
        }
        let mut net = Ipv4::default();
        for cidr in &addrs {
            let bad = || SetupError::BadAddress(*cidr);
            let IpAddr::V4(ip) = cidr.ip() else {
                return Err(bad());
            };
            if is_end(cidr, ip) {
                return Err(bad());
            }
            net.add_address(0, ip, cidr.prefix()).map_err(|_| bad())?;
        }
        if self.phy == Phy::Loopback {
            net = net.loopback(0);
        }
        if let Some(gateway) = self.gateway {
            let bad = || SetupError::BadGateway(gateway);
            let on = |cidr: &Cidr| cidr.contains(gateway.into()) && !is_end(cidr, gateway);
            let ours = addrs.iter().any(|cidr| cidr.ip() == gateway);
            if ours || !addrs.iter().any(on) {
                return Err(bad());
            }
            let all = Cidr::new(Ipv4Addr::UNSPECIFIED.into(), 0).map_err(|_| bad())?;
            net.add_route(all, gateway, 0).map_err(|_| bad())?;
        }
        Ok(net)
    }
}

/// Opens a device, without offloads where it refuses them.
pub(super) fn at_best<D, E>(offload: bool, open: impl Fn(bool) -> Result<D, E>) -> Result<D, E> {
    match open(offload) {
        Err(_) if offload => open(false),
        opened => opened,
    }
}

/// The addresses of a network that are no host's: all zeros, and broadcast.
fn is_end(cidr: &Cidr, ip: Ipv4Addr) -> bool {
    [cidr.network(), cidr.broadcast()].contains(&Some(ip))
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

/// How to take over the interface `name`.
#[cfg(feature = "xdp")]
pub(super) fn xdp_options(name: &str) -> phy::XdpOptions {
    let trusting = phy::XdpSocket::faces_a_host(name);
    phy::XdpOptions::new().with_trusting(trusting)
}

/// A random link address that no vendor gave out (IEEE 802: locally administered, unicast).
pub(super) fn random_mac() -> Mac {
    let [a, b, c, d, e, f, ..] = os_rng().next_u64().to_le_bytes();
    Mac([(a & 0xfc) | 0x02, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn settings(addrs: &[&str], gateway: Option<[u8; 4]>) -> Settings {
        Settings {
            addrs: addrs.iter().map(|text| text.parse().unwrap()).collect(),
            gateway: gateway.map(Ipv4Addr::from),
            ..Settings::default()
        }
    }

    #[test]
    fn addresses_that_cannot_be_are_errors_and_no_panics() {
        let bad: [&[&str]; 8] = [
            &["0.0.0.0/0"],
            &["0.1.2.3/8"],
            &["224.0.0.1/24"],
            &["240.0.0.1/24"],
            &["255.255.255.255/32"],
            &["10.0.0.255/24"],
            &["10.0.0.1/24", "10.0.0.1/24"],
            &["10.0.0.1/24", "10.0.0.1/16"],
        ];
        for addrs in bad {
            let result = settings(addrs, None).network();
            assert!(
                matches!(result, Err(SetupError::BadAddress(_))),
                "{addrs:?}"
            );
        }
        let two = settings(&["10.0.0.1/24", "10.0.1.1/24"], None);
        assert_eq!(two.network().unwrap().addresses().count(), 2);
    }

    #[test]
    fn a_device_is_opened_as_it_can_be() {
        // A kernel with everything, one without offloads, and one without the device.
        let open = |most: u8| move |on: bool| if u8::from(on) < most { Ok(on) } else { Err(on) };
        assert_eq!(at_best(true, open(2)), Ok(true));
        assert_eq!(at_best(true, open(1)), Ok(false));
        assert_eq!(at_best(true, open(0)), Err(false));
        assert_eq!(at_best(false, open(2)), Ok(false));
    }

    #[test]
    fn gateways_are_other_hosts_on_our_networks() {
        for bad in [[10, 0, 1, 9], [10, 0, 0, 1], [10, 0, 0, 0], [10, 0, 0, 255]] {
            let result = settings(&["10.0.0.1/24"], Some(bad)).network();
            assert!(matches!(result, Err(SetupError::BadGateway(_))), "{bad:?}");
        }
        let everywhere = settings(&["10.0.0.1/0"], Some([240, 0, 0, 1])).network();
        assert!(matches!(everywhere, Err(SetupError::BadGateway(_))));
        let good = settings(&["10.0.0.1/24"], Some([10, 0, 0, 254])).network();
        let routes: Vec<_> = good.unwrap().routes().collect();
        assert_eq!(
            routes.last().unwrap().via,
            Some(Ipv4Addr::new(10, 0, 0, 254))
        );
    }
}
