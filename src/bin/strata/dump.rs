//! `strata dump`: packets as lines, in the manner of tcpdump.

mod ether;
mod hex;
mod icmp;
mod igmp;
mod ip;
mod ipv6;
mod json;
mod printer;
mod tcp;
mod udp;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::clock::{Clock, Form};
use crate::errors::{CliError, note};
use crate::filter::Filter;
use crate::frame::Frame;
use crate::global::{self, Global};
use crate::pcap::Writer;
use crate::services::Services;
use crate::source::{Source, Step};
use crate::stop;
use crate::view::View;
use printer::{Printer, Style};

/// Output is handed on when this much has gathered, in octets.
const CHUNK: usize = 32 << 10;

/// Shows packets, one line each.
///
/// Live with -i or --phy, from a file with -r; of two hosts in memory if neither is given.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Filters: host A, net A/N, port P, portrange P-P, ether host M, proto words (ip ip6 arp icmp tcp udp\n\
        vlan ...), src/dst in front, less N, greater N; and, or, not, parentheses.\n\n\
        Example: strata dump -i eth0 -nn -e 'tcp port 80 and not host 10.0.0.1'"
)]
pub struct Args {
    /// Interface to listen on, the same as --phy raw:IF
    #[arg(short = 'i', value_name = "IF", conflicts_with_all = ["phy", "iface"])]
    interface: Option<String>,

    /// Read packets from a capture file (pcapng or pcap); - is standard input
    #[arg(short = 'r', value_name = "FILE", conflicts_with_all = ["interface", "phy", "iface"])]
    read: Option<PathBuf>,

    /// Write packets to a pcapng file instead of showing them; - is standard output
    #[arg(short = 'w', value_name = "FILE")]
    write: Option<PathBuf>,

    /// End after this many packets
    #[arg(short = 'c', value_name = "N")]
    count: Option<u64>,

    /// Numbers for ports and protocols, not names; addresses always are numbers
    #[arg(short = 'n', action = clap::ArgAction::Count)]
    numeric: u8,

    /// The link header too
    #[arg(short = 'e')]
    link: bool,

    /// Less of each packet
    #[arg(short = 'q')]
    quiet: bool,

    /// Sequence numbers as sent, not counted from the handshake
    #[arg(short = 'S')]
    absolute: bool,

    /// The octets in hexadecimal; twice: those of the link header too
    #[arg(short = 'x', action = clap::ArgAction::Count)]
    hex: u8,

    /// The octets in hexadecimal and as characters; twice: those of the link header too
    #[arg(short = 'X', action = clap::ArgAction::Count)]
    hex_and_ascii: u8,

    /// The octets as characters; twice: those of the link header too
    #[arg(short = 'A', action = clap::ArgAction::Count)]
    ascii: u8,

    /// Time: -t none, -tt since 1970, -ttt since the last line, -tttt with date, -ttttt since the first
    #[arg(short = 't', action = clap::ArgAction::Count)]
    time: u8,

    /// Catch only this many octets of each packet; 0 is all
    #[arg(short = 's', value_name = "OCTETS", default_value_t = 0)]
    snap: usize,

    /// Hand on every line at once, also into a pipe
    #[arg(short = 'l')]
    line_buffered: bool,

    /// Which packets
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

/// Shows packets until the file ends, enough were seen, or somebody says stop.
pub fn run(global: &Global, args: Args) -> Result<ExitCode, CliError> {
    let services = Services::load();
    let text = args.filter.join(" ");
    let filter = Filter::parse(&text, &services).map_err(|e| {
        CliError::setup(format_args!("filter {text:?}"), e)
            .hint("`strata dump --help` for the words, or quote the filter")
    })?;
    let device = match &args.interface {
        Some(name) => Some(global::raw(name)?),
        None => global.device()?,
    };
    let mut source = Source::open(global, args.read.as_deref(), device)?;
    let writer = match args.write.as_deref().or(global.capture.as_deref()) {
        Some(path) => Some(Writer::create(path)?),
        None => None,
    };
    let services = if args.numeric > 0 {
        Services::none()
    } else {
        services
    };
    let mut dump = Dump {
        printer: Printer::new(
            style(global, &args),
            services,
            Clock::new(Form::from_count(args.time)),
        ),
        filter,
        writer,
        quiet: args.write.is_some(),
        json: global.json,
        snap: if args.snap == 0 {
            usize::MAX
        } else {
            args.snap
        },
        left: args.count.unwrap_or(u64::MAX),
        shown: 0,
        out: String::new(),
        failed: None,
    };
    stop::listen(source.bell());
    announce(&source, &args);
    let at_once = args.line_buffered || source.is_live() || io::stdout().is_terminal();
    let ended = dump.drive(&mut source, at_once);
    if let Source::Live(live) = &mut source {
        note!(
            "{} packets captured\n{} packets received by filter\n{} packets dropped",
            dump.shown,
            live.seen(),
            live.lost()
        );
    }
    ended.map(|()| ExitCode::SUCCESS)
}

fn style(global: &Global, args: &Args) -> Style {
    let octets = [
        (args.hex, hex::Form::Hex),
        (args.hex_and_ascii, hex::Form::Both),
        (args.ascii, hex::Form::Ascii),
    ];
    let octets = octets.into_iter().rfind(|(count, _)| *count > 0);
    Style {
        link: args.link,
        verbose: global.verbosity(),
        quiet: args.quiet,
        absolute: args.absolute,
        octets: octets.map(|(_, form)| form),
        octets_of_link: octets.is_some_and(|(count, _)| count > 1),
    }
}

/// On standard error, so that it is not taken for a packet.
fn announce(source: &Source, args: &Args) {
    match source {
        Source::File(reader) => note!("reading from {}", reader.name()),
        Source::Demo(_) => {
            note!("two hosts in memory talk for a moment; -i IF or -r FILE for others")
        }
        Source::Live(_) if args.write.is_some() => note!("listening, Ctrl-C ends"),
        Source::Live(_) => note!("listening, Ctrl-C ends; -v for more of each packet"),
    }
}

/// What happens to frames.
struct Dump {
    printer: Printer,
    filter: Filter,
    writer: Option<Writer>,
    quiet: bool,
    json: bool,
    snap: usize,
    /// Frames still to be shown.
    left: u64,
    shown: u64,
    out: String,
    /// What went wrong within a step.
    failed: Option<CliError>,
}

impl Dump {
    fn drive(&mut self, source: &mut Source, at_once: bool) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        // Each turn reads from the source, which ends or is stopped.
        while self.left > 0 && !stop::asked() {
            let step = source.step(|frame| self.frame(frame));
            if at_once || self.out.len() >= CHUNK || step.is_err() {
                stdout.write_all(self.out.as_bytes())?;
                self.out.clear();
                if at_once {
                    stdout.flush()?;
                }
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            match step? {
                Step::End => break,
                Step::Idle => self.flush_file()?,
                Step::More => {}
            }
        }
        stdout.write_all(self.out.as_bytes())?;
        stdout.flush()?;
        self.flush_file()
    }

    fn flush_file(&mut self) -> Result<(), CliError> {
        self.writer.as_mut().map_or(Ok(()), Writer::flush)
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        if self.left == 0 || self.failed.is_some() {
            return;
        }
        let view = View::of(frame);
        if !self.filter.matches(&view) {
            return;
        }
        self.left -= 1;
        self.shown += 1;
        let frame = &Frame {
            octets: frame.octets.get(..self.snap).unwrap_or(frame.octets),
            ..*frame
        };
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.write(frame)
        {
            self.failed = Some(error);
        }
        match (self.quiet, self.json) {
            (true, _) => {}
            (false, false) => self.printer.print(frame, &mut self.out),
            (false, true) => json::print(&mut self.printer, frame, &view, &mut self.out),
        }
    }
}
