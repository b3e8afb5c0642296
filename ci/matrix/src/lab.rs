//! Network namespaces without names, which end with the process, and taps in them.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use phy::Tap;

/// What both sides of a path are called.
pub const NEAR: (Ipv4Addr, &str) = (Ipv4Addr::new(10, 213, 0, 1), "02:00:00:00:00:01");
/// The other side.
pub const FAR: (Ipv4Addr, &str) = (Ipv4Addr::new(10, 213, 0, 2), "02:00:00:00:00:02");
/// Counters that tell how losses were repaired.
const COUNTED: [&str; 24] = [
    "OutSegs",
    "RetransSegs",
    "DelayedACKs",
    "TCPPureAcks",
    "TCPSackRecovery",
    "TCPSACKReorder",
    "TCPTSReorder",
    "TCPFullUndo",
    "TCPPartialUndo",
    "TCPDSACKUndo",
    "TCPLossUndo",
    "TCPLostRetransmit",
    "TCPSackFailures",
    "TCPLossFailures",
    "TCPFastRetrans",
    "TCPSlowStartRetrans",
    "TCPTimeouts",
    "TCPLossProbes",
    "TCPLossProbeRecovery",
    "TCPSpuriousRTOs",
    "TCPDSACKRecv",
    "TCPDSACKOldSent",
    "TCPOFOQueue",
    "TCPSynRetrans",
];
/// The tap in every namespace.
const TAP: &str = "wire0";

/// A namespace.
#[derive(Debug)]
pub struct Namespace(OwnedFd);

/// A kernel behind a tap.
#[derive(Debug)]
pub struct Kernel {
    pub place: Namespace,
    pub ip: Ipv4Addr,
}

impl Namespace {
    /// A fresh one.
    pub fn new() -> io::Result<Self> {
        let enter = || -> io::Result<Self> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            for kind in ["all", "default"] {
                let file = format!("/proc/sys/net/ipv6/conf/{kind}/disable_ipv6");
                let _ = std::fs::write(file, "1");
            }
            Ok(Self(File::open("/proc/thread-self/ns/net")?.into()))
        };
        thread::spawn(enter).join().expect("no panic")
    }

    /// Runs `f` on a thread inside.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let inside = || {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("our namespace");
                f()
            };
            scope.spawn(inside).join().expect("no panic")
        })
    }

    fn ip(&self, args: &str) -> io::Result<()> {
        let run = || Command::new("ip").args(args.split(' ')).output();
        let output = self.run(run)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("ip {args}: {said}")))
    }
}

impl Kernel {
    /// A kernel called `own` that knows `other` on its link, and the tap to it. It
    /// forgets paths from one connection to the next.
    pub fn new(own: (Ipv4Addr, &str), other: (Ipv4Addr, &str)) -> io::Result<(Self, Tap)> {
        let place = Namespace::new()?;
        let tap = place.run(|| Tap::open(TAP)).map_err(io::Error::other)?;
        place.ip("link set lo up")?;
        place.ip(&format!("link set {TAP} address {}", own.1))?;
        place.ip(&format!("addr add {}/24 dev {TAP}", own.0))?;
        place.ip(&format!("link set {TAP} up"))?;
        place.ip(&format!(
            "neigh replace {} lladdr {} dev {TAP} nud permanent",
            other.0, other.1
        ))?;
        let forget = || std::fs::write("/proc/sys/net/ipv4/tcp_no_metrics_save", "1");
        place.run(forget)?;
        Ok((Self { place, ip: own.0 }, tap))
    }

    /// A number of the kernel.
    pub fn number(&self, name: &str) -> String {
        let read = || std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
        self.place.run(read).unwrap_or_default().trim().to_owned()
    }

    /// What its TCP counted of trouble, by the names of `/proc/net/netstat`.
    pub fn counters(&self) -> String {
        let read = || {
            let all = |file| std::fs::read_to_string(file).unwrap_or_default();
            all("/proc/thread-self/net/snmp") + &all("/proc/thread-self/net/netstat")
        };
        let text = self.place.run(read);
        let lines: Vec<&str> = text.lines().collect();
        let mut said = Vec::new();
        for pair in lines.chunks(2) {
            let [names, values] = pair else { continue };
            let both = names.split(' ').zip(values.split(' ')).skip(1);
            said.extend(
                both.filter(|(name, value)| COUNTED.contains(name) && *value != "0")
                    .map(|(name, value)| format!("{name} {value}")),
            );
        }
        said.join(" ")
    }
}
