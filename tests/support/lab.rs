//! Our host and the kernel's at the two ends of a device: what the tests against the kernel
//! run in.

use std::path::PathBuf;

use super::netns::{Namespace, Process};

/// The kernel's address.
pub const KERNEL: &str = "10.77.0.1";
/// Ours.
pub const OURS: &str = "10.77.0.2";
/// An address of the link that is nobody's.
pub const NOBODY: &str = "10.77.0.9";
/// The port of all servers: every lab has ports of its own.
pub const PORT: u16 = 8888;

/// The command.
const STRATA: &str = env!("CARGO_BIN_EXE_strata");

/// How our host reaches the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Frames through a tap.
    Tap,
    /// IP packets through a tun.
    Tun,
    /// A packet socket on one end of a veth pair, with the kernel at the other.
    Raw,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tap, Self::Tun, Self::Raw];
}

/// See the head of this file.
pub struct Lab {
    /// Where the kernel's host is.
    pub kernel: Namespace,
    /// Where our host is, if not with the kernel's.
    apart: Option<Namespace>,
    phy: &'static str,
}

impl Lab {
    /// Two hosts that can reach each other.
    pub fn new(kind: Kind) -> Self {
        let kernel = Namespace::new();
        let cidr = format!("{KERNEL}/24");
        let (apart, phy) = match kind {
            Kind::Tap | Kind::Tun => {
                let (mode, phy) = match kind {
                    Kind::Tap => ("tap", "tap:port0"),
                    _ => ("tun", "tun:port0"),
                };
                kernel.ip(&format!("tuntap add dev port0 mode {mode}"));
                kernel.up("port0", &cidr);
                (None, phy)
            }
            Kind::Raw => {
                let apart = Namespace::new();
                kernel.veth("port0", &cidr, &apart, "port1", "");
                (Some(apart), "raw:port1")
            }
        };
        Self { kernel, apart, phy }
    }

    /// Starts the command on our end, with arguments separated by blanks.
    pub fn strata(&self, args: &str) -> Process {
        self.place().spawn(STRATA, self.args(args))
    }

    /// As [`strata`](Self::strata), standard output into a file.
    pub fn strata_into(&self, out: std::fs::File, args: &str) -> Process {
        self.place().spawn_into(out, STRATA, self.args(args))
    }

    /// A server that listens already; `args` beyond those every server here has.
    pub fn server(&self, args: &str) -> Process {
        let mut server = self.strata(&format!("tcpserver --port {PORT} {args}"));
        server.wait_for("Listening");
        server
    }

    /// Starts an example on our end, standard output into a file, if it was built.
    pub fn example_into(&self, out: std::fs::File, name: &str, args: &str) -> Option<Process> {
        let test = std::env::current_exe().ok()?;
        let path = test.parent()?.parent()?.join("examples").join(name);
        let path = path
            .is_file()
            .then(|| path.to_string_lossy().into_owned())?;
        Some(self.place().spawn_into(out, &path, self.args(args)))
    }

    fn place(&self) -> &Namespace {
        self.apart.as_ref().unwrap_or(&self.kernel)
    }

    fn args(&self, args: &str) -> Vec<String> {
        let ours = format!("--phy {} --addr {OURS}/24", self.phy);
        let words = args.split_whitespace().chain(ours.split(' '));
        words.map(String::from).collect()
    }
}

/// A file or folder of the test's own; removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A name for a file nobody else has.
    pub fn new(name: &str) -> Self {
        let id = std::process::id();
        let tmp =
            std::env::var_os("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, Into::into);
        Self(tmp.join(format!("strata-{id}-{name}")))
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0).or_else(|_| std::fs::remove_dir_all(&self.0));
    }
}
