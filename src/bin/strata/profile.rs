//! What `tcpclient` and `tcpserver` let people choose and see of TCP itself.

use std::path::PathBuf;
use std::time::Duration;

use netstrata::tcp::{Algorithm, Ecn, MtuProbing};

use crate::errors::CliError;
use crate::session::Session;
use crate::trace::{self, Connection};
use crate::units;

/// How connections behave, and what is told of them.
#[derive(Debug, clap::Args)]
pub struct Profile {
    /// Congestion control of what is sent
    #[arg(long, value_name = "cubic|reno|bbr", default_value_t)]
    cc: Algorithm,

    /// Explicit congestion notification
    #[arg(long, value_name = "off|answer|offer|accurate", default_value_t)]
    ecn: Ecn,

    /// Find the size of segments that the path carries by trying, where routers do not tell: never,
    /// once segments vanish, or from the beginning
    #[arg(long, value_name = "off|blackhole|always", value_parser = units::probing, default_value = "off")]
    mtu_probing: MtuProbing,

    /// Print each connection's numbers when it ends, as `ss -ti` does
    #[arg(long)]
    pub stats: bool,

    /// With --stats, print them every so often as well, such as 1s; 10ms at least
    #[arg(long, value_name = "TIME", requires = "stats", value_parser = units::pause)]
    pub interval: Option<Duration>,

    /// Write what happens to each connection to this file, as JSON lines for `strata plot`
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

impl Profile {
    /// Before the first connection of `command`: the stack's part of it, and the trace.
    ///
    /// # Errors
    /// When the trace cannot be written.
    pub fn begin(&self, session: &mut Session, command: &str) -> Result<(), CliError> {
        self.begin_nth(session, command, 0)
    }

    /// As [`begin`](Self::begin), of stack number `n` from 0: its trace is FILE, FILE.1, FILE.2.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_nth(&self, session: &mut Session, command: &str, n: u16) -> Result<(), CliError> {
        if let Some(path) = &self.trace {
            let path = match n {
                0 => path.clone(),
                n => PathBuf::from(format!("{}.{n}", path.display())),
            };
            trace::begin(&path, command, self.cc, session.epoch())?;
        }
        session.host.transports().2.config_mut().mtu_probing = self.mtu_probing;
        Ok(())
    }

    /// A socket's part of it.
    pub fn apply(&self, socket: &mut Connection) {
        socket.set_tcp_congestion(Some(self.cc));
        socket.set_tcp_ecn(Some(self.ecn));
    }
}
