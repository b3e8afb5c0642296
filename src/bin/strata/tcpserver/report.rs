//! What the server says: where it listens, what each connection carried, and a sentence at the end.

use std::io::{self, Write};
use std::time::Duration;

use netstrata::tcp::TcpError;

use super::shared::Tally;
use super::{Args, One, Server};
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
        let stacks = self.shared.stacks();
        if self.json {
            let mut line = serde_json::json!({
                "event": "listening", "addresses": addresses, "port": port,
                "phy": phy.to_string(), "mode": mode,
            });
            if stacks > 1 {
                line["queues"] = stacks.into();
            }
            return writeln!(out, "{line}");
        }
        let queues = match stacks {
            1 => String::new(),
            n => format!("{n} queues, "),
        };
        writeln!(
            out,
            "Listening on {} port {port} ({phy}, {queues}{mode}).",
            addresses.join(", ")
        )?;
        if self.verbose {
            writeln!(out, "[LISTEN] port {port}")?;
        }
        out.flush()
    }

    /// See [`log`].
    pub(super) fn log(&self) -> Box<dyn Write> {
        log(self.args)
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
}

/// The sentence at the end: what came in `time`, on all stacks together.
pub(super) fn summary(args: &Args, json: bool, all: &[Tally], time: Duration) -> io::Result<()> {
    let sum = Tally::sum(all);
    let mut out = log(args);
    let several = all.len() > 1;
    if json {
        let mut line = serde_json::json!({
            "event": "summary", "connections": sum.accepted, "failed": sum.failed,
            "received": sum.received, "sent": sum.sent,
            "seconds": time.as_micros() as f64 / 1e6,
        });
        if several {
            let each: Vec<_> = all.iter().map(|one| one.accepted).collect();
            line["queues"] = each.into();
            line["passed"] = sum.passed.into();
        }
        writeln!(out, "{line}")?;
        return out.flush();
    }
    let size = units::octets;
    let plural = if sum.accepted == 1 { "" } else { "s" };
    write!(out, "{} connection{plural}", sum.accepted)?;
    if several {
        let each: Vec<_> = all.iter().map(|one| one.accepted.to_string()).collect();
        write!(out, " ({} by queue)", each.join(", "))?;
    }
    if sum.failed > 0 {
        write!(out, " ({} failed)", sum.failed)?;
    }
    let (received, sent) = (size(sum.received), size(sum.sent));
    writeln!(out, ", received {received}, sent {sent}.")?;
    out.flush()
}

/// Where lines for people go: not between the octets of a connection.
fn log(args: &Args) -> Box<dyn Write> {
    let file = args.file.as_deref().filter(|_| args.sink);
    if file.is_some_and(|f| f.as_os_str() == "-") {
        Box::new(io::stderr().lock())
    } else {
        // Held until the line is whole: several stacks may have something to say.
        Box::new(io::stdout().lock())
    }
}
