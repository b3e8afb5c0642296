//! What a person chooses about a host: device, addresses, and how bad the link shall be.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::string::String;
use std::vec::Vec;

use phy::FaultConfig;

use crate::addr::Cidr;
use crate::host::phy_name::Phy;
use crate::wire::Mac;

/// A host's device and addresses.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The device.
    pub phy: Phy,
    /// Our addresses. On a cable `192.168.69.1/24` if none is given, on loopback `127.0.0.1/8`.
    pub addrs: Vec<Cidr>,
    /// Where packets to other networks go.
    pub gateway: Option<Ipv4Addr>,
    /// Our link address; a random, locally administered one if none is given.
    pub mac: Option<Mac>,
    /// Largest IP packet, in octets; the device's if none is given.
    pub mtu: Option<usize>,
    /// Record every frame here, as pcapng.
    pub capture: Option<PathBuf>,
    /// What the link does to frames, in both directions.
    pub fault: Option<FaultConfig>,
    /// Leave checksums and segmentation to the kernel, as far as it takes them, and to the other
    /// end of a cable; a kernel that takes none is used without. Not together with `fault`, as
    /// damage to what is unfinished would not be noticed: it is without effect then.
    pub offload: bool,
}

/// A word on the command line that is no setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSetting {
    flag: String,
    expected: &'static str,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}", self.flag, self.expected)
    }
}

impl core::error::Error for BadSetting {}

impl Settings {
    /// Takes `--phy`, `--addr`, `--gateway`, `--mac` and `--mtu` with their values out of a
    /// command line, and returns the other words in order: for small programs, such as the
    /// examples.
    ///
    /// # Errors
    /// Names the flag whose value is missing or not understood.
    ///
    /// ```
    /// use netstrata::host::{Phy, Settings};
    /// let words = ["--phy", "tap:tap0", "--addr", "192.168.1.2/24", "hello"].map(String::from);
    /// let (settings, rest) = Settings::from_words(words).unwrap();
    /// assert_eq!(settings.phy, Phy::Tap("tap0".into()));
    /// assert_eq!(rest, ["hello"]);
    /// ```
    pub fn from_words(
        words: impl IntoIterator<Item = String>,
    ) -> Result<(Self, Vec<String>), BadSetting> {
        let (mut settings, mut rest) = (Self::default(), Vec::new());
        let mut words = words.into_iter();
        while let Some(flag) = words.next() {
            let mut value = |expected| match words.next() {
                Some(value) => Ok((
                    value,
                    BadSetting {
                        flag: flag.clone(),
                        expected,
                    },
                )),
                None => Err(BadSetting {
                    flag: flag.clone(),
                    expected,
                }),
            };
            match flag.as_str() {
                "--phy" => {
                    let (v, bad) = value(Phy::FORMS)?;
                    settings.phy = v.parse().map_err(|_| bad)?;
                }
                "--addr" => {
                    let (v, bad) = value("ADDRESS/PREFIX, such as 192.168.1.2/24")?;
                    settings.addrs.push(v.parse().map_err(|_| bad)?);
                }
                "--gateway" => {
                    let (v, bad) = value("an IPv4 address")?;
                    settings.gateway = Some(v.parse().map_err(|_| bad)?);
                }
                "--mac" => {
                    let (v, bad) = value("a link address, such as 02:00:00:00:00:01")?;
                    settings.mac = Some(v.parse().map_err(|_| bad)?);
                }
                "--mtu" => {
                    let (v, bad) = value("a number of octets, 68 to 65535")?;
                    let mtu = v.parse().ok().filter(|mtu| (68..=65_535).contains(mtu));
                    settings.mtu = Some(mtu.ok_or(bad)?);
                }
                _ => rest.push(flag),
            }
        }
        Ok((settings, rest))
    }

    /// The addresses given, or the default ones of the device.
    pub(super) fn addresses(&self) -> Vec<Cidr> {
        match self.phy {
            _ if !self.addrs.is_empty() => self.addrs.clone(),
            Phy::Cable => Vec::from([CABLE_NEAR]),
            Phy::Loopback => Vec::from([LOOPBACK]),
            _ => Vec::new(),
        }
    }
}

/// Our address on a cable.
pub const CABLE_NEAR: Cidr = cidr([192, 168, 69, 1], 24);
/// The other host's address on a cable.
pub const CABLE_FAR: Cidr = cidr([192, 168, 69, 2], 24);
/// Our address on loopback.
pub const LOOPBACK: Cidr = cidr([127, 0, 0, 1], 8);

const fn cidr([a, b, c, d]: [u8; 4], prefix: u8) -> Cidr {
    match Cidr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix) {
        Ok(cidr) => cidr,
        Err(_) => panic!("constants are valid prefixes"),
    }
}
