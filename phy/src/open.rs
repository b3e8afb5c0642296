//! Why a device of the operating system cannot be opened, told so that whoever reads it can
//! go on: what failed, why, and two ways out, in one line.

use core::fmt;

use crate::name::Name;

/// What was to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// An Ethernet tap.
    Tap,
    /// A tunnel device that carries IP packets.
    Tun,
    /// A packet socket on an interface.
    Raw,
    /// An AF_XDP socket on a queue of an interface.
    Xdp,
}

/// Why it could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenFailure {
    /// The process lacks the privilege.
    NoPermission,
    /// No interface of that name, or no tun driver.
    NoSuchDevice,
    /// Another program holds the device.
    Busy,
    /// More queues were asked for than the interface has.
    OneQueue,
    /// An interface of that name exists and is something else.
    WrongKind,
    /// Not a name an interface can have.
    BadName,
    /// The kernel does not know the request.
    NotSupported,
    /// Anything else, by its error number.
    Os(i32),
}

/// A device of the operating system could not be opened.
///
/// Prints as one line: what failed, why, and the ways out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenError {
    pub(crate) kind: DeviceKind,
    pub(crate) name: Name,
    /// `name` is only the beginning.
    pub(crate) cut: bool,
    pub(crate) failure: OpenFailure,
}

impl OpenError {
    pub(crate) fn new(kind: DeviceKind, name: &str, failure: OpenFailure) -> Self {
        let kept = Name::lossy(name);
        Self {
            kind,
            name: kept,
            cut: kept.as_str() != name,
            failure,
        }
    }

    /// What was to be opened.
    #[must_use]
    pub const fn device(&self) -> DeviceKind {
        self.kind
    }

    /// Its name; the first 15 octets of one that is too long.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Why it could not be opened.
    #[must_use]
    pub const fn failure(&self) -> OpenFailure {
        self.failure
    }

    fn reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DeviceKind::{Raw, Tap, Tun, Xdp};
        use OpenFailure as F;
        f.write_str(match (self.failure, self.kind) {
            (F::NoPermission, Raw) => "no permission (needs CAP_NET_RAW)",
            (F::NoPermission, Tap | Tun) => "no permission (needs CAP_NET_ADMIN)",
            (F::NoPermission, Xdp) => {
                "no permission (needs CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF)"
            }
            (F::NoSuchDevice, Raw | Xdp) => "no such interface",
            (F::NoSuchDevice, Tap | Tun) => "/dev/net/tun is missing",
            (F::Busy, _) => "in use by another program",
            (F::OneQueue, Raw | Xdp) => "it has fewer queues",
            (F::OneQueue, Tap | Tun) => "it was made with one queue",
            (F::WrongKind, Raw | Xdp) => "not an Ethernet interface",
            (F::WrongKind, Tap | Tun) => "an interface of this name exists and is of another kind",
            (F::BadName, _) => {
                "not an interface name (1 to 15 octets, no `/`, `:`, `%` or white space)"
            }
            (F::NotSupported, _) => "not supported by this kernel",
            (F::Os(errno), _) => return write!(f, "{}", nix::errno::Errno::from_raw(errno).desc()),
        })
    }

    fn ways_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DeviceKind::{Raw, Tap, Tun, Xdp};
        use OpenFailure as F;
        let name = self.name();
        match (self.failure, self.kind) {
            (F::NoPermission, Raw) => f.write_str(
                "run as root or `sudo setcap cap_net_raw+ep PROGRAM`, or use `--phy cable`, \
                 which needs no privilege",
            ),
            (F::NoPermission, Tap | Tun) => write!(
                f,
                "run as root or `sudo setcap cap_net_admin+ep PROGRAM`, or have it made for \
                 you: `sudo ip tuntap add dev {name} mode {} user $USER`",
                self.kind
            ),
            (F::NoPermission, Xdp) => write!(
                f,
                "run as root or `sudo setcap cap_net_raw,cap_net_admin,cap_bpf+ep PROGRAM`, or \
                 use `--phy raw:{name}`, which needs only the first"
            ),
            (F::NoSuchDevice, Raw | Xdp) => f.write_str(
                "pick one that `ip link` lists, or use `--phy cable`, which needs no interface",
            ),
            (F::NoSuchDevice, Tap | Tun) => f.write_str(
                "load the driver: `sudo modprobe tun`, or use `--phy cable`, which needs no \
                 driver",
            ),
            (F::Busy, Xdp) => write!(
                f,
                "end the program that holds it (`ip -details link show {name}` has `xdp`), or use \
                 `--phy raw:{name}`, which shares"
            ),
            (F::Busy, _) => write!(
                f,
                "end the program that holds it (`ip -details link show {name}`), or pick \
                 another name"
            ),
            (F::OneQueue, Raw | Xdp) => write!(
                f,
                "give it more (`sudo ethtool -L {name} combined N`; a veth pair is made with \
                 `numrxqueues N numtxqueues N` at both ends), or ask for fewer"
            ),
            (F::OneQueue, Tap | Tun) => write!(
                f,
                "make it with several: `sudo ip link del {name} && sudo ip tuntap add dev \
                 {name} mode {} multi_queue user $USER`, or ask for one",
                self.kind
            ),
            (F::WrongKind, Raw | Xdp) => {
                f.write_str("pick another that `ip link` lists, or use `--phy cable`")
            }
            (F::WrongKind, Tap | Tun) => write!(
                f,
                "pick another name (`ip -details link show {name}` tells the kind), or share \
                 an Ethernet interface as it is: `--phy raw:{name}`"
            ),
            (F::BadName, Raw | Xdp) => {
                f.write_str("pick one that `ip link` lists, or use `--phy cable`")
            }
            (F::BadName, Tap | Tun) => {
                write!(
                    f,
                    "pick a name such as `{}0`, or use `--phy cable`",
                    self.kind
                )
            }
            (F::NotSupported | F::Os(_), Raw) => {
                f.write_str("use an Ethernet interface that is up, or use `--phy cable`")
            }
            (F::NotSupported | F::Os(_), Xdp) => write!(
                f,
                "see that the kernel has CONFIG_XDP_SOCKETS and that `ulimit -l` allows 16 MiB, or \
                 use `--phy raw:{name}`, which needs neither"
            ),
            (F::NotSupported | F::Os(_), Tap | Tun) => write!(
                f,
                "see whether `sudo ip tuntap add dev {name} mode {}` works, or use \
                 `--phy cable`",
                self.kind
            ),
        }
    }
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tap => "tap",
            Self::Tun => "tun",
            Self::Raw => "raw",
            Self::Xdp => "xdp",
        })
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name().escape_debug();
        let more = if self.cut { "..." } else { "" };
        write!(f, "cannot open {} `{name}{more}`: ", self.kind)?;
        self.reason(f)?;
        f.write_str("; ")?;
        self.ways_out(f)
    }
}

impl core::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::borrow::ToOwned;
    use std::format;
    use std::string::String;

    #[test]
    fn every_failure_says_what_why_and_how_to_go_on() {
        use DeviceKind::{Raw, Tap, Tun, Xdp};
        use OpenFailure as F;
        let mut lines = String::new();
        for kind in [Tap, Tun, Raw, Xdp] {
            for failure in [
                F::NoPermission,
                F::NoSuchDevice,
                F::Busy,
                F::OneQueue,
                F::WrongKind,
                F::BadName,
                F::NotSupported,
                F::Os(libc::ENOMEM),
            ] {
                if matches!((kind, failure), (Raw, F::OneQueue)) {
                    continue; // packet sockets do not fail so
                }
                let error = OpenError::new(kind, "lab0", failure);
                lines += &format!("{error}\n");
            }
        }
        insta::with_settings!({
            snapshot_path => "../tests/snapshots",
            prepend_module_to_snapshot => false,
        }, {
            insta::assert_snapshot!("phy__open_errors", lines);
        });
    }

    #[test]
    fn the_name_stays_on_its_line() {
        let first = |name: &str| {
            let error = OpenError::new(DeviceKind::Tap, name, OpenFailure::BadName);
            let line = format!("{error}");
            line.split(": ").next().unwrap_or_default().to_owned()
        };
        assert_eq!(first("a\nb"), "cannot open tap `a\\nb`");
        assert_eq!(
            first("averyveryverylong"),
            "cannot open tap `averyveryverylo...`"
        );
    }
}
