//! Names of devices, as people type them.

use core::fmt;
use core::str::FromStr;
use std::string::String;

/// Which device a host sits on: `cable`, `loopback`, `tap:NAME`, `tun:NAME` or `raw:IFACE`; with
/// the feature `xdp` also `xdp:IFACE`.
///
/// ```
/// use netstrata::host::Phy;
/// assert_eq!("tap:tap0".parse(), Ok(Phy::Tap("tap0".into())));
/// assert_eq!("cable".parse::<Phy>().unwrap().to_string(), "cable");
/// assert!("token-ring".parse::<Phy>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Phy {
    /// An in-memory cable to a second host in this process. Needs no privilege.
    #[default]
    Cable,
    /// An in-memory device that receives what it sends. Needs no privilege.
    Loopback,
    /// A tap: Ethernet frames to and from the kernel.
    Tap(String),
    /// A tun: IP packets to and from the kernel.
    Tun(String),
    /// A packet socket on an interface of the kernel (AF_PACKET).
    Raw(String),
    /// A queue of an interface of the kernel, taken over (AF_XDP).
    #[cfg(feature = "xdp")]
    Xdp(String),
}

impl Phy {
    /// How each device is written, for people.
    pub const FORMS: &str = if cfg!(feature = "xdp") {
        "cable, loopback, tap:NAME, tun:NAME, raw:IFACE or xdp:IFACE"
    } else {
        "cable, loopback, tap:NAME, tun:NAME or raw:IFACE"
    };
}

/// Text that names no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadPhy;

impl fmt::Display for BadPhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = Phy::FORMS;
        write!(f, "expected {forms}, with a name of 1 to 15 characters")
    }
}

impl core::error::Error for BadPhy {}

impl FromStr for Phy {
    type Err = BadPhy;
    fn from_str(s: &str) -> Result<Self, BadPhy> {
        let named = |name: &str| {
            // IFNAMSIZ is 16 with the zero at the end.
            let fits = (1..16).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
            if fits {
                Ok(String::from(name))
            } else {
                Err(BadPhy)
            }
        };
        match s.split_once(':') {
            None if s == "cable" => Ok(Self::Cable),
            None if s == "loopback" => Ok(Self::Loopback),
            Some(("tap", name)) => Ok(Self::Tap(named(name)?)),
            Some(("tun", name)) => Ok(Self::Tun(named(name)?)),
            Some(("raw", name)) => Ok(Self::Raw(named(name)?)),
            #[cfg(feature = "xdp")]
            Some(("xdp", name)) => Ok(Self::Xdp(named(name)?)),
            _ => Err(BadPhy),
        }
    }
}

impl fmt::Display for Phy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cable => f.write_str("cable"),
            Self::Loopback => f.write_str("loopback"),
            Self::Tap(name) => write!(f, "tap:{name}"),
            Self::Tun(name) => write!(f, "tun:{name}"),
            Self::Raw(name) => write!(f, "raw:{name}"),
            #[cfg(feature = "xdp")]
            Self::Xdp(name) => write!(f, "xdp:{name}"),
        }
    }
}
