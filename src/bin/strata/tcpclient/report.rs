//! What the client says: progress while it runs, the numbers, and a sentence at the end.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use netstrata::phy::Instant;
use netstrata::tcp::TcpError;

use super::Client;
use crate::errors::{CliError, note};
use crate::session::{Rate, Session};
use crate::transfer::{Bad, Trouble};
use crate::units;
use crate::{stats, stop};

/// A bar of so many octets, with a line of numbers below if they are wanted.
pub(super) fn bar(total: u64, numbers: bool) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let below = if numbers { "\n{wide_msg}" } else { "" };
    let line = "{bar:40} {percent:>3}%  {bytes}/{total_bytes}  {binary_bytes_per_sec}  {left}";
    if let Ok(style) = ProgressStyle::with_template(&format!("{line}{below}")) {
        // Nothing is known before the first octet came.
        let left = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = match state.pos() {
                0 => out.write_str("connecting"),
                _ => write!(out, "{:#} left", HumanDuration(state.eta())),
            };
        };
        bar.set_style(style.with_key("left", left));
    }
    bar
}

impl Client<'_> {
    /// How far it got: the bar, or a line now and then where nobody would see one.
    pub(super) fn show(&mut self, now: Instant) {
        let (total, every) = &mut self.news;
        let (total, due) = (*total, every.due(now));
        if self.bar.is_hidden() && !due {
            return;
        }
        // What came back counts; where nothing comes back, what was sent.
        let at: u64 = match self.args.source {
            true => self.connections.iter().map(|one| one.transfer.sent).sum(),
            false => self
                .connections
                .iter()
                .map(|one| one.transfer.received)
                .sum(),
        };
        if due {
            let seconds = now.saturating_since(self.begin).as_secs();
            let (at, total) = (units::octets(at), units::octets(total));
            note!("strata tcpclient: {at} of {total} after {seconds} s");
        }
        self.bar.set_position(at);
    }

    /// The numbers of connections under way, when it is time for them: as lines if they were
    /// asked for now and then, else below the bar.
    pub(super) fn tell(&mut self, session: &mut Session) -> Result<(), CliError> {
        let below = self.args.profile.interval.is_none();
        if !self.every.due(session.now()) || below && self.bar.is_hidden() {
            return Ok(());
        }
        for one in self.connections.iter().filter(|one| !one.done) {
            if below {
                if let Some((.., info)) = stats::numbers(session, one.handle) {
                    self.bar.set_message(info.to_string());
                }
                break;
            }
            let Some(line) = stats::line(session, one.handle, self.json) else {
                continue;
            };
            let to_stderr = self.output_to_stdout();
            self.bar.suspend(|| match to_stderr {
                true => writeln!(io::stderr(), "{line}"),
                false => writeln!(io::stdout(), "{line}"),
            })?;
        }
        Ok(())
    }

    pub(super) fn hint(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Connection(TcpError::Refused) => {
                format!(
                    "; nobody listens on port {} there: start `tcpserver`, or pick another --port",
                    self.to.port()
                )
            }
            Trouble::Connection(TcpError::HostUnreachable | TcpError::TimedOut) => {
                "; check the address, and --addr and --gateway of ours".into()
            }
            Trouble::Output(Bad::Differs(_)) => {
                "; if that server does not echo, give --source, or --output FILE".into()
            }
            _ => String::new(),
        }
    }

    pub(super) fn summary(&self, _session: &Session) -> Result<ExitCode, CliError> {
        self.bar.finish_and_clear();
        let all = self.connections.iter().map(|one| &one.transfer);
        let (mut sent, mut received, mut verified) = (0, 0, true);
        for transfer in all {
            sent += transfer.sent;
            received += transfer.received;
            let whole = self.args.sink || transfer.sent == transfer.received;
            verified &= transfer.output.verifies() && transfer.fed && transfer.ended && whole;
        }
        let time = self.end.saturating_since(self.begin);
        let short = self.connections.iter().any(|one| {
            let transfer = &one.transfer;
            let wanted = transfer.limit.unwrap_or(transfer.sent);
            transfer.output.verifies() && transfer.ended && transfer.received < wanted
        });
        let broken = self.failed > 0 || short || stop::asked();
        if self.failed == self.connections.len() && sent + received == 0 && !self.json {
            return Ok(ExitCode::from(1)); // all was said
        }
        let line = if self.json {
            serde_json::json!({
                "event": "summary", "destination": self.to.to_string(),
                "connections": self.connections.len(), "failed": self.failed, "sent": sent,
                "received": received, "verified": verified && !broken,
                "seconds": time.as_micros() as f64 / 1e6,
                "bits_per_second": Rate::new(sent.max(received), time).bits(),
            })
            .to_string()
        } else {
            self.sentence(sent, received, verified && !broken, time)
        };
        let stats = self.connections.iter().filter_map(|one| one.stats.as_ref());
        for line in stats.chain([&line]) {
            if self.output_to_stdout() {
                note!("{line}");
            } else {
                writeln!(io::stdout(), "{line}")?;
            }
        }
        if short {
            note!(
                "strata tcpclient: {}: the server sent less than was expected",
                self.to
            );
        }
        Ok(if broken {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }

    /// `Sent 100.0 MiB and got them back, verified, in 0.80 s: 1.05 Gbit/s each way.`
    fn sentence(&self, sent: u64, received: u64, verified: bool, time: Duration) -> String {
        let n = self.connections.len();
        let over = if n == 1 {
            String::new()
        } else {
            format!(" over {n} connections")
        };
        let rate = Rate::new(sent.max(received), time);
        let seconds = format!("{}.{:02} s", time.as_secs(), time.subsec_millis() / 10);
        let size = units::octets;
        let what = match (verified, sent, received) {
            (true, 0, received) => format!("Received {}, verified,", size(received)),
            (true, sent, _) => format!("Sent {} and got the same back, verified,", size(sent)),
            (false, sent, received) => format!("Sent {}, received {}", size(sent), size(received)),
        };
        let each = if sent > 0 && received == sent {
            " each way"
        } else {
            ""
        };
        format!("{what}{over} in {seconds}: {rate}{each}.")
    }
}
