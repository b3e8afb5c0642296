//! What people read: lines as iperf3 prints them.
//!
//! Invariant: a line is out when its function returns, so that a pipe sees an interval when it
//! ends; with JSON nothing is printed before the end.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};

use serde_json::json;

use super::doc::Doc;
use super::format::{self, Format};
use super::params::Params;
use super::results::{Results, StreamResult};
use super::tally::{Figures, Link, sum};
use super::test::{Interval, Test};

/// Octets of lines kept for a client that wants to see them.
const KEPT: usize = 1 << 20;

/// Where lines go.
#[derive(Debug, Default)]
pub enum Sink {
    /// Nowhere: the other end of a demonstration.
    #[default]
    Nowhere,
    /// Standard output.
    Stdout,
    /// `--logfile`.
    File(File),
}

/// How things are told.
#[derive(Debug, Default)]
pub struct Report {
    /// Where to.
    pub sink: Sink,
    /// Unit of rates.
    pub format: Format,
    /// In front of each line.
    pub title: Option<String>,
    /// Instead of lines.
    pub doc: Option<Doc>,
    /// A second copy of the lines of this test.
    pub copy: Option<String>,
    /// Lines printed of this test's intervals.
    pub lines: u32,
}

/// Both ends' numbers of one stream, as far as known.
#[derive(Debug, Clone, Copy)]
pub struct Both {
    /// Number of the stream in the order of opening.
    pub index: usize,
    /// Do we send on it?
    pub sends: bool,
    /// What the sender says.
    pub sent: Option<StreamResult>,
    /// What the receiver says.
    pub received: Option<StreamResult>,
}

/// A test when it is over.
#[derive(Debug)]
pub struct Summary {
    /// The streams in the order of opening.
    pub streams: Vec<Both>,
    /// Do senders know what they sent again: ours, theirs?
    pub retransmits: [bool; 2],
    /// Our numbers.
    pub local: Results,
    /// The other end's, if they came.
    pub remote: Option<Results>,
}

impl Summary {
    /// From both ends' results; a server shows its own only.
    pub fn new(test: &Test, local: Results, remote: Option<Results>) -> Self {
        let streams = test.streams.iter().enumerate().map(|(index, stream)| {
            let ours = Some(local.stream(stream.id));
            let theirs = remote.as_ref();
            let theirs = theirs.map(|remote| remote.remote_stream(stream.id, &stream.omitted));
            let (sent, received) = match stream.sends {
                true => (ours, theirs),
                false => (theirs, ours),
            };
            Both {
                index,
                sends: stream.sends,
                sent,
                received,
            }
        });
        let theirs = remote.as_ref().is_some_and(|remote| remote.has_retransmits);
        Self {
            streams: streams.collect(),
            retransmits: [local.has_retransmits, theirs],
            local,
            remote,
        }
    }

    /// All streams of a direction together, as sender and receiver saw them.
    pub fn sum(&self, sends: bool) -> (Option<StreamResult>, Option<StreamResult>) {
        let of = |pick: fn(&Both) -> Option<StreamResult>| {
            let all: Vec<_> = self.streams.iter().filter(|s| s.sends == sends).collect();
            let all: Vec<_> = all.into_iter().filter_map(pick).collect();
            let seconds = all.iter().map(|one| one.seconds).fold(0.0, f64::max);
            let figures = sum(all.iter().map(|one| &one.figures));
            (!all.is_empty()).then_some(StreamResult {
                figures,
                seconds,
                ..StreamResult::default()
            })
        };
        (of(|both| both.sent), of(|both| both.received))
    }

    /// Directions that there are: do we send, with the first stream's first.
    pub fn directions(&self) -> Vec<bool> {
        let mut found: Vec<bool> = Vec::new();
        for stream in &self.streams {
            if !found.contains(&stream.sends) {
                found.push(stream.sends);
            }
        }
        found
    }
}

/// `[  5][TX-C]`, or `[SUM]` without an index.
fn label(test: &Test, index: Option<usize>, sends: bool) -> String {
    use super::params::Side::{Client, Server};
    let name = match index {
        Some(index) => format!("[{:3}]", index + 1),
        None => "[SUM]".into(),
    };
    let role = match (test.params.bidir, sends, test.side) {
        (false, ..) => "",
        (_, true, Client) => "[TX-C]",
        (_, true, Server) => "[TX-S]",
        (_, false, Client) => "[RX-C]",
        (_, false, Server) => "[RX-S]",
    };
    name + role
}

fn head(params: &Params) -> &'static str {
    if params.bidir { "[ ID][Role]" } else { "[ ID]" }
}

fn lost(figures: &Figures) -> String {
    let (missing, all) = (figures.missing(), figures.packets);
    let share = format::percent(missing, all);
    format!(
        "{:5.3} ms  {missing}/{all} ({share}%)",
        figures.jitter * 1e3
    )
}

impl Report {
    /// Prints a line and, if one is wanted, keeps a copy.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        if let Some(copy) = self.copy.as_mut().filter(|copy| copy.len() < KEPT) {
            // A string takes everything.
            let _ = writeln!(copy, "{text}");
            if copy.len() >= KEPT {
                copy.push_str("(more than is kept)\n");
            }
        }
        if self.doc.is_some() {
            return Ok(());
        }
        self.print(text)
    }

    /// Prints a line although JSON is wanted, as that.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        let title = self.title.as_deref().map(|title| format!("{title}:  "));
        let line = format!("{}{text}\n", title.unwrap_or_default());
        match &mut self.sink {
            Sink::Nowhere => Ok(()),
            // In one write, and at once.
            Sink::File(file) => file.write_all(line.as_bytes()),
            Sink::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes())?;
                out.flush()
            }
        }
    }

    /// Who and when we are, for programs.
    pub fn introduce(&mut self) {
        let Some(doc) = &mut self.doc else { return };
        let now = jiff::Timestamp::now();
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        let version = env!("CARGO_PKG_VERSION");
        doc.start("version", format!("strata {version}"));
        doc.start("system_info", format!("netstrata {version} on {os} {arch}"));
        let time = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        doc.start(
            "timestamp",
            json!({"time": time, "timesecs": now.as_second()}),
        );
    }

    /// The streams, and what is above the intervals.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn begin(&mut self, test: &Test) -> io::Result<()> {
        self.lines = 0;
        for (index, stream) in test.streams.iter().enumerate() {
            let (local, remote) = (stream.local, stream.remote);
            self.line(&format!(
                "[{:3}] local {} port {} connected to {} port {}",
                index + 1,
                local.ip(),
                local.port(),
                remote.ip(),
                remote.port()
            ))?;
        }
        let sends = test.streams.iter().any(|s| s.sends);
        let receives = test.streams.iter().any(|s| !s.sends);
        let columns = match (test.params.udp, sends, receives) {
            (false, true, _) => "         Retr  Cwnd",
            (false, false, _) => "",
            (true, _, false) => "         Total Datagrams",
            (true, _, true) => "         Jitter    Lost/Total Datagrams",
        };
        let head = head(&test.params);
        self.line(&format!(
            "{head} Interval           Transfer     Bitrate{columns}"
        ))
    }

    /// What moved between two reports.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn interval(&mut self, test: &Test, interval: &Interval) -> io::Result<()> {
        if let Some(doc) = &mut self.doc {
            doc.interval(test, interval);
        }
        if test.params.parallel > 1 && self.lines > 0 {
            self.rule()?;
        }
        self.lines += 1;
        let omitted = if interval.omitted { "(omitted)" } else { "" };
        let (span, format) = ((interval.from, interval.to), self.format);
        let line = |index, sends, figures: &Figures, link| {
            let front = front(test, index, sends, span, figures, format);
            front + &tail(test, sends, figures, link) + omitted
        };
        let mut lines = Vec::new();
        for sends in [true, false] {
            let these = interval.streams.iter().zip(&test.streams).enumerate();
            let these: Vec<_> = these
                .filter(|(_, (_, stream))| stream.sends == sends)
                .collect();
            for (index, ((figures, link), _)) in &these {
                lines.push((!sends, line(Some(*index), sends, figures, Some(link))));
            }
            if these.len() > 1 {
                let figures = sum(these.iter().map(|(_, ((figures, _), _))| figures));
                lines.push((!sends, line(None, sends, &figures, None)));
            }
        }
        // In the order of opening: the client's own first.
        let first = test.streams.first().is_none_or(|stream| stream.sends);
        lines.sort_by_key(|(receives, _)| *receives == first);
        for (_, line) in lines {
            self.line(&line)?;
        }
        Ok(())
    }

    /// What it came to.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub fn summary(&mut self, test: &Test, summary: &Summary) -> io::Result<()> {
        if let Some(doc) = &mut self.doc {
            doc.end(test, summary);
        }
        self.rule()?;
        let again = summary.retransmits.contains(&true);
        let columns = match (test.params.udp, again) {
            (true, _) => "         Jitter    Lost/Total Datagrams",
            (false, true) => "         Retr",
            (false, false) => "",
        };
        let head = head(&test.params);
        self.line(&format!(
            "{head} Interval           Transfer     Bitrate{columns}"
        ))?;
        for sends in summary.directions() {
            let these: Vec<_> = summary
                .streams
                .iter()
                .filter(|s| s.sends == sends)
                .collect();
            let mut rows: Vec<_> = these
                .iter()
                .map(|both| (Some(both.index), both.sent, both.received))
                .collect();
            if rows.len() > 1 {
                let (sent, received) = summary.sum(sends);
                rows.push((None, sent, received));
            }
            let [ours, theirs] = summary.retransmits;
            let again = if sends { ours } else { theirs };
            for (index, sent, received) in rows {
                let sides = [(sent, true, "sender"), (received, false, "receiver")];
                for (result, sender, word) in sides {
                    let Some(result) = result else { continue };
                    let f = &result.figures;
                    let time = (0.0, result.seconds);
                    let front = front(test, index, sends, time, f, self.format);
                    let tail = match (test.params.udp, sender && again) {
                        (true, _) => format!("  {}  ", lost(&at_end(f, sender))),
                        (false, true) => format!("  {:3}             ", f.retransmits),
                        (false, false) => " ".repeat(18),
                    };
                    self.line(&(front + &tail + word))?;
                }
            }
        }
        Ok(())
    }

    fn rule(&mut self) -> io::Result<()> {
        self.line("- - - - - - - - - - - - - - - - - - - - - - - - -")
    }
}

/// A sender's figures know nothing of the way.
fn at_end(figures: &Figures, sender: bool) -> Figures {
    match sender {
        true => Figures {
            lost: 0,
            jitter: 0.0,
            ..*figures
        },
        false => *figures,
    }
}

/// `[  5]   0.00-1.00   sec  1.25 MBytes  10.5 Mbits/sec`.
fn front(
    test: &Test,
    index: Option<usize>,
    sends: bool,
    (from, to): (f64, f64),
    figures: &Figures,
    format: Format,
) -> String {
    let label = label(test, index, sends);
    let (octets, rate) = (
        format::octets(figures.octets),
        format::rate(figures.octets, to - from, format),
    );
    format!("{label} {from:6.2}-{to:<6.2} sec  {octets}  {rate}")
}

/// What follows the rate in an interval's line.
fn tail(test: &Test, sends: bool, figures: &Figures, link: Option<&Link>) -> String {
    match (test.params.udp, sends, link) {
        (false, true, Some(link)) => {
            let cwnd = format::octets(link.cwnd.into());
            format!("  {:3}   {cwnd}       ", figures.retransmits)
        }
        (false, true, None) => format!("  {:3}             ", figures.retransmits),
        (false, false, _) => " ".repeat(18),
        (true, true, _) => {
            let pad = if test.params.bidir { 12 } else { 2 };
            format!("{}{}  ", " ".repeat(pad), figures.packets)
        }
        (true, false, _) => format!("  {}  ", lost(figures)),
    }
}
