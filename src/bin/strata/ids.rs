//! `strata ids`: who talks to whom, and who should not.

mod arp;
mod engine;
mod fragment;
mod packet;
mod report;
mod rules;
mod scan;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::errors::{CliError, note};
use crate::filter::Filter;
use crate::flow::Table;
use crate::frame::Stamp;
use crate::global::{self, Global};
use crate::pcap::Writer;
use crate::services::Services;
use crate::source::{Source, Step};
use crate::{stop, units};
use engine::{Engine, Parts};
use report::{Report, Row};
use rules::Rule;
use scan::Thresholds;

/// Flows shown at the end, the largest first.
const SHOWN: usize = 20;

/// Output is handed on when this much has gathered, in octets.
const CHUNK: usize = 32 << 10;

/// Watches for scans, floods, spoofing and bad packets.
///
/// Live with -i or --phy, in a file with -r; between two hosts in memory if neither is given.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Alerts go to standard output, one line each (--json: EVE records); the summary goes to\n\
        standard error. Exit code 0 whether or not there were alerts.\n\n\
        Example: strata ids -r capture.pcapng --json | jq 'select(.event_type == \"alert\")'"
)]
pub struct Args {
    /// Interface to listen on, the same as --phy raw:IF
    #[arg(short = 'i', value_name = "IF", conflicts_with_all = ["phy", "iface"])]
    interface: Option<String>,

    /// Read packets from a capture file (pcapng or pcap); - is standard input
    #[arg(short = 'r', value_name = "FILE", conflicts_with_all = ["interface", "phy", "iface"])]
    read: Option<PathBuf>,

    /// Show the rules, their numbers and when they fire, and end
    #[arg(long)]
    rules: bool,

    /// Report every flow when it ends, not only the largest at the end
    #[arg(long)]
    flows: bool,

    /// Flows remembered at once; the longest silent make room
    #[arg(long, value_name = "N", default_value = "65536")]
    max_flows: NonZeroUsize,

    /// Silence after which a flow has ended
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = units::seconds)]
    idle: Duration,

    /// Different ports by one source that make a scan
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(2..=256))]
    scan_ports: u16,

    /// ... within this time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::seconds)]
    scan_window: Duration,

    /// Half-open handshakes with one port that make a SYN flood
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..))]
    flood_syns: u32,

    /// ... within this time
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::seconds)]
    flood_window: Duration,

    /// Time between two alerts of one rule about one source
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::seconds)]
    interval: Duration,

    /// Do not verify checksums (captures made where devices complete them later)
    #[arg(long)]
    no_checksums: bool,

    /// Which packets to look at, as in `strata dump`
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

/// Watches until the file ends or somebody says stop.
pub fn run(global: &Global, args: Args) -> Result<ExitCode, CliError> {
    if args.rules {
        return show_rules();
    }
    let text = args.filter.join(" ");
    let filter = Filter::parse(&text, &Services::load()).map_err(|e| {
        CliError::setup(format_args!("filter {text:?}"), e)
            .hint("`strata dump --help` for the words, or quote the filter")
    })?;
    let device = match &args.interface {
        Some(name) => Some(global::raw(name)?),
        None => global.device()?,
    };
    let mut source = Source::open(global, args.read.as_deref(), device)?;
    let mut engine = Engine::new(Parts {
        flows: Table::new(args.max_flows, args.idle),
        report: Report::new(global.json, nanos(args.interval)),
        filter,
        thresholds: Thresholds {
            ports: args.scan_ports.into(),
            scan: nanos(args.scan_window),
            half_open: args.flood_syns,
            flood: nanos(args.flood_window),
        },
        verify: !args.no_checksums,
        tell_flows: args.flows,
    });
    stop::listen(source.bell());
    let mut writer = match &global.capture {
        Some(path) => Some(Writer::create(path)?),
        None => None,
    };
    let ended = drive(&mut engine, &mut source, writer.as_mut());
    let mut stdout = io::stdout().lock();
    if args.flows || global.json {
        engine.finish();
    } else {
        largest(&mut engine);
    }
    stdout.write_all(engine.report.out.as_bytes())?;
    stdout.flush()?;
    summary(&engine);
    ended.map(|()| ExitCode::SUCCESS)
}

fn drive(
    engine: &mut Engine,
    source: &mut Source,
    mut writer: Option<&mut Writer>,
) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let mut written = Ok(());
    let live = source.is_live();
    // Each turn reads from the source, which ends or is stopped.
    while !stop::asked() {
        let step = source.step(|frame| {
            engine.frame(frame);
            if let (Some(writer), Ok(())) = (&mut writer, &written) {
                written = writer.write(frame);
            }
        });
        std::mem::replace(&mut written, Ok(()))?;
        if live || engine.report.out.len() >= CHUNK {
            stdout.write_all(engine.report.out.as_bytes())?;
            engine.report.out.clear();
        }
        match step? {
            Step::End => break,
            Step::Idle => {
                stdout.flush()?;
                engine.sweep(Stamp::now());
            }
            Step::More => {}
        }
    }
    writer.map_or(Ok(()), Writer::flush)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The flows still in the table that moved most.
fn largest(engine: &mut Engine) {
    let mut flows: Vec<_> = engine.flows.iter().copied().collect();
    let size = |flow: &crate::flow::Flow| flow.to_server.bytes.saturating_add(flow.to_client.bytes);
    flows.sort_by_key(|flow| std::cmp::Reverse((size(flow), flow.last)));
    for flow in flows.iter().take(SHOWN) {
        engine.report.line(format_args!("{}", Row(flow)));
    }
    if let Some(more) = flows.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        engine
            .report
            .line(format_args!("... and {more} more flows"));
    }
}

/// On standard error, so that it is not taken for an event.
fn summary(engine: &Engine) {
    let (printed, suppressed) = engine
        .report
        .counts
        .iter()
        .fold((0u64, 0u64), |(a, b), (p, s)| (a + p, b + s));
    note!(
        "{} packets, {} flows ({} in the table), {printed} alerts, {suppressed} suppressed",
        engine.frames,
        engine.flows.seen,
        engine.flows.len()
    );
    for rule in Rule::ALL {
        match engine.report.counts.get(rule as usize) {
            Some((0, 0)) | None => {}
            Some((printed, suppressed)) => {
                let name = rule.signature().name;
                note!("  {name}: {printed} alerts, {suppressed} suppressed");
            }
        }
    }
}

fn show_rules() -> Result<ExitCode, CliError> {
    let mut stdout = io::stdout().lock();
    for rule in Rule::ALL {
        let s = rule.signature();
        writeln!(
            stdout,
            "{}  severity {}  {:<35} {} ({})",
            rule.id(),
            s.severity,
            s.name,
            s.when,
            s.category
        )?;
    }
    Ok(ExitCode::SUCCESS)
}
