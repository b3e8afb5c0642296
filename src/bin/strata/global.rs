//! Options every command takes: which device, which addresses, which faults, which output.
//!
//! Invariant: values are checked one by one as they are parsed; what depends on two of them is
//! checked by the methods below, and what needs the system by whoever opens the device.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use netstrata::Cidr;
use netstrata::host::{BadPhy, Phy};
use netstrata::wire::Mac;

use crate::errors::CliError;
use crate::units::{self, Percent};

/// Options every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Device and addresses")]
pub struct Global {
    /// Which device.
    #[arg(long, global = true, value_name = "DEVICE", help = format!("Device: {}", Phy::FORMS))]
    pub phy: Option<Phy>,

    /// Interface of this host to share frames with; -i IF for short, the same as --phy raw:IF
    #[arg(long, global = true, value_name = "IF", conflicts_with = "phy")]
    pub iface: Option<String>,

    /// An address of ours with its prefix, such as 192.168.0.10/24; may be repeated
    #[arg(long, global = true, value_name = "CIDR")]
    pub addr: Vec<Cidr>,

    /// Router to the rest of the world
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = units::host)]
    pub gateway: Option<Ipv4Addr>,

    /// Link address of ours; drawn by lot if not given
    #[arg(long, global = true, value_name = "MAC", value_parser = own_mac)]
    pub mac: Option<Mac>,

    /// Largest IP packet in octets, 576 to 65535
    #[arg(long, global = true, value_name = "OCTETS", value_parser = clap::value_parser!(u16).range(576..))]
    pub mtu: Option<u16>,

    /// Leave checksums and segmentation to the kernel, as far as it takes them: on by itself with
    /// tap, tun and raw, but not with --capture or faults
    #[arg(long, global = true, value_name = "on|off", hide_possible_values = true, value_parser = clap::builder::BoolishValueParser::new())]
    pub offload: Option<bool>,

    /// Write every frame of our device to this file
    #[arg(long, global = true, value_name = "FILE.pcapng")]
    pub capture: Option<PathBuf>,

    /// What the device does to frames on purpose.
    #[command(flatten)]
    pub faults: Faults,

    /// One JSON object a line instead of text
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,

    /// Say more; twice for yet more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,

    /// The seed's name of --verbose.
    #[arg(long, global = true, hide = true)]
    pub debug: bool,
}

/// What a device does to frames on purpose, in both directions.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Faults on purpose")]
pub struct Faults {
    /// Share of frames lost, such as 5%
    #[arg(long, global = true, value_name = "SHARE")]
    pub loss: Option<Percent>,

    /// Time each frame is held back, such as 20ms
    #[arg(long, global = true, value_name = "TIME", value_parser = units::delay)]
    pub delay: Option<Duration>,

    /// Share of frames overtaken by the next
    #[arg(long, global = true, value_name = "SHARE")]
    pub reorder: Option<Percent>,

    /// Share of frames that arrive twice
    #[arg(long, global = true, value_name = "SHARE")]
    pub duplicate: Option<Percent>,

    /// Share of frames with an octet changed
    #[arg(long, global = true, value_name = "SHARE")]
    pub corrupt: Option<Percent>,

    /// Share of ECN-capable packets marked as having met congestion
    #[arg(long, global = true, value_name = "SHARE")]
    pub mark: Option<Percent>,

    /// Bits per second that pass, such as 10mbit
    #[arg(long, global = true, value_name = "RATE", value_parser = units::rate)]
    pub rate: Option<u64>,

    /// Number that the dice start from; the same number, the same faults
    #[arg(long, global = true, value_name = "N")]
    pub seed: Option<u64>,
}

impl Faults {
    /// Whether any fault was asked for.
    pub fn any(&self) -> bool {
        let shares = [
            self.loss,
            self.reorder,
            self.duplicate,
            self.corrupt,
            self.mark,
        ];
        let shares = shares.iter().flatten().any(|share| share.ppm() > 0);
        shares || self.delay.is_some_and(|d| !d.is_zero()) || self.rate.is_some()
    }
}

impl Global {
    /// The device asked for, by either spelling; `None` when nothing was said.
    ///
    /// # Errors
    /// When `--iface` is no name of an interface.
    pub fn device(&self) -> Result<Option<Phy>, CliError> {
        match (&self.phy, &self.iface) {
            (Some(phy), _) => Ok(Some(phy.clone())),
            (None, Some(name)) => raw(name).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// How much to say: 0 as usual, 1 `-v` or the seed's `-debug`, 2 `-vv`.
    pub fn verbosity(&self) -> u8 {
        self.verbose.max(self.debug.into())
    }
}

/// The raw device of an interface, which may have been given as `raw:NAME` by habit.
///
/// # Errors
/// When it is no name of an interface.
pub fn raw(name: &str) -> Result<Phy, CliError> {
    let name = name.strip_prefix("raw:").unwrap_or(name);
    format!("raw:{name}").parse().map_err(|why: BadPhy| {
        CliError::setup(format_args!("interface {name:?}"), why).hint("`ip link` for the names")
    })
}

/// A link address one station can have.
fn own_mac(s: &str) -> Result<Mac, String> {
    let mac: Mac = s
        .parse()
        .map_err(|e: netstrata::wire::MacParseError| e.to_string())?;
    match mac.is_unicast() {
        true => Ok(mac),
        false => Err("a group address or zero, which no station can have".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name() {
        for name in ["cable", "loopback", "tap:tap0", "tun:t", "raw:eth0.5"] {
            assert_eq!(name.parse::<Phy>().unwrap().to_string(), name);
        }
        for bad in [
            "",
            "tap",
            "tap:",
            "cable:x",
            "raw:sixteen-letters-",
            "raw:a b",
            "pci:0",
        ] {
            assert!(bad.parse::<Phy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_stations_have_addresses() {
        assert!(own_mac("02:00:00:00:00:01").is_ok());
        for bad in [
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "2",
        ] {
            assert!(own_mac(bad).is_err(), "{bad}");
        }
    }
}
