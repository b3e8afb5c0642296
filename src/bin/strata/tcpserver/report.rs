//! What the server says: where it listens, what each connection carried, and a sentence at the end.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use netstrata::tcp::TcpError;

use super::{One, Server};
use crate::errors::CliError;
use crate::session::{Rate, Session};
use crate::{stats, units};

impl Server<'_> {
    pub(super) fn banner(&self, session: &Session) -> io::Result<()> {
        let addresses: Vec<_> = session
            .host
            .net
            .addresses()
            .map(|(_, cidr)| cidr.ip().to_string())
            .collect();
        let (phy, port) = (&session.phy, self.args.port);
        let mode = match (self.args.sink, self.args.source) {
            (true, _) => "sink",
            (_, true) => "source",
            _ => "echo",
        };
        let mut out = self.log();
        if self.json {
            let line = serde_json::json!({
                "event": "listening", "addresses": addresses, "port": port,
                "phy": phy.to_string(), "mode": mode,
            });
            return writeln!(out, "{line}");
        }
        writeln!(
            out,
            "Listening on {} port {port} ({phy}, {mode}).",
            addresses.join(", ")
        )?;
        if self.verbose {
            writeln!(out, "[LISTEN] port {port}")?;
        }
        out.flush()
    }

    /// Where lines for people go: not between the octets of a connection.
    pub(super) fn log(&self) -> Box<dyn Write> {
        let data = self.args.sink
            && self
                .args
                .file
                .as_deref()
                .is_some_and(|f| f.as_os_str() == "-");
        if data {
            Box::new(io::stderr())
        } else {
            Box::new(io::stdout())
        }
    }

    /// The numbers of connections under way.
    pub(super) fn tell(&self, session: &mut Session) -> Result<(), CliError> {
        let mut out = self.log();
        for h in self.open.keys() {
            if let Some(line) = stats::line(session, *h, self.json) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(out.flush()?)
    }

    /// A connection ended: what it carried, and its numbers if they are wanted.
    pub(super) fn closed(
        &self,
        one: &One,
        time: Duration,
        error: Option<TcpError>,
        stats: Option<String>,
    ) -> Result<(), CliError> {
        let mut out = self.log();
        if self.json {
            let line = serde_json::json!({
                "event": "closed", "peer": one.peer.to_string(), "received": one.received,
                "sent": one.sent, "seconds": time.as_micros() as f64 / 1e6,
                "error": error.map(|e| e.to_string()),
            });
            writeln!(out, "{line}")?;
        } else {
            let rate = Rate::new(one.received.max(one.sent), time);
            let (peer, received, sent) = (one.peer, one.received, one.sent);
            write!(
                out,
                "{peer}: received {received}, sent {sent} octets, {rate}"
            )?;
            match error {
                Some(error) => writeln!(out, " ({error})")?,
                None => writeln!(out)?,
            }
        }
        if let Some(stats) = stats {
            writeln!(out, "{stats}")?;
        }
        Ok(out.flush()?)
    }

    pub(super) fn summary(&self, session: &Session) -> Result<ExitCode, CliError> {
        let time = session.now().saturating_since(self.begin);
        let mut out = self.log();
        if self.json {
            let line = serde_json::json!({
                "event": "summary", "connections": self.accepted, "failed": self.failed,
                "received": self.received, "sent": self.sent,
                "seconds": time.as_micros() as f64 / 1e6,
            });
            writeln!(out, "{line}")?;
        } else {
            let size = units::octets;
            let plural = if self.accepted == 1 { "" } else { "s" };
            write!(out, "{} connection{plural}", self.accepted)?;
            if self.failed > 0 {
                write!(out, " ({} failed)", self.failed)?;
            }
            writeln!(
                out,
                ", received {}, sent {}.",
                size(self.received),
                size(self.sent)
            )?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
