//! `strata plot`: pictures of a connection, from a trace of ours or from a capture.

mod canvas;
mod capture;
mod draw;
mod events;
mod model;
mod thin;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::errors::{CliError, note};
use crate::global::Global;
use crate::pcap::Reader;
use crate::units;
use capture::List;
use draw::Panel;
use model::{Entry, Flow};

/// Draws a connection: what was sent when, the windows, and the round trips.
///
/// FILE is what `--trace` of tcpclient and tcpserver wrote, or a capture (pcapng or pcap). A
/// trace also has what only the sender knows: congestion window, threshold, timeout.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: strata tcpclient --size 20M --loss 1% --delay 10ms --trace t.trace\n         \
    strata plot t.trace --out t.svg"
)]
pub struct Args {
    /// A trace or a capture
    #[arg(value_name = "FILE")]
    input: PathBuf,

    /// Where to: a file NAME.svg, a directory for one file a panel, or - for standard output;
    /// FILE with .svg at its end, in this directory, if not given
    #[arg(short, long, value_name = "FILE.svg|DIR")]
    out: Option<PathBuf>,

    /// Which connection, by its number in --list; the one with the most octets if not given
    #[arg(long, value_name = "N", value_parser = units::count)]
    flow: Option<u64>,

    /// The other direction of it: the one with fewer octets
    #[arg(long)]
    reverse: bool,

    /// Show the connections instead of drawing one
    #[arg(short, long, conflicts_with_all = ["flow", "reverse", "out", "from", "to"])]
    list: bool,

    /// Only what happened this long after the connection's first event, and later
    #[arg(long, value_name = "TIME", value_parser = units::seconds)]
    from: Option<Duration>,

    /// Only what happened before
    #[arg(long, value_name = "TIME", value_parser = units::seconds)]
    to: Option<Duration>,
}

/// What a file holds.
enum Found {
    Trace(Vec<events::Connection>),
    Capture(Vec<(capture::Key, Entry)>),
}

/// Draws, or lists.
///
/// # Errors
/// When the file cannot be read, or there is nothing in it to draw.
pub fn run(global: &Global, args: Args) -> Result<ExitCode, CliError> {
    let (found, damage) = read(&args.input)?;
    let entries: Vec<Entry> = match &found {
        Found::Trace(connections) => connections.iter().map(|c| c.entry()).collect(),
        Found::Capture(listed) => listed.iter().map(|(_, entry)| entry.clone()).collect(),
    };
    if entries.is_empty() {
        return Err(damage.unwrap_or_else(|| {
            CliError::failed(args.input.display(), "no TCP connection is in it")
                .hint("a capture of a transfer, or `tcpclient --trace FILE`")
        }));
    }
    let done = if args.list {
        list(global, &entries)
    } else {
        choose(&args, &entries).and_then(|n| {
            let flow = flow(&args, found, n)?;
            draw(global, &args, flow, (n, entries.len()))
        })
    };
    // What there is is drawn; that it is not all is said, and is a failure.
    match (damage, done) {
        (Some(damage), _) => Err(damage),
        (None, done) => done.map(|()| ExitCode::SUCCESS),
    }
}

/// What is in the file, as far as it can be read, and what is wrong with the rest.
fn read(path: &Path) -> Result<(Found, Option<CliError>), CliError> {
    let name = path.display();
    let hint = "a file of `tcpclient --trace`, or a capture of `dump -w` or `tcpdump -w`";
    let fail = |e: io::Error| CliError::setup(name.to_string(), e).hint(hint);
    let file = File::open(path).map_err(fail)?;
    let kind = file.metadata().map_err(fail)?;
    if !kind.is_file() {
        let why = match kind.is_dir() {
            true => "is a directory",
            false => "is no plain file, and is read twice",
        };
        return Err(CliError::setup(name, why).hint(hint));
    }
    let mut input = BufReader::with_capacity(1 << 16, file);
    if input.fill_buf().map_err(fail)?.first() == Some(&b'{') {
        let (connections, read) = events::read(input);
        let damage = read.err().map(|bad| match bad {
            events::Bad::NoTrace | events::Bad::Version(_) => CliError::setup(name, bad).hint(hint),
            bad => CliError::failed(name, bad).hint("a trace that ended in order"),
        });
        return Ok((Found::Trace(connections), damage));
    }
    let mut reader = Reader::open(path)?;
    let mut all = List::default();
    let damage = drain(&mut reader, |frame| all.frame(frame)).err();
    if all.more > 0 {
        note!(
            "strata plot: {name}: {} more connections are left out",
            all.more
        );
    }
    Ok((Found::Capture(all.entries()), damage))
}

/// Reads to the end.
fn drain(
    reader: &mut Reader,
    mut sink: impl FnMut(&crate::frame::Frame<'_>),
) -> Result<(), CliError> {
    while reader.next(&mut sink)? {}
    Ok(())
}

/// The place of the connection to draw.
fn choose(args: &Args, entries: &[Entry]) -> Result<usize, CliError> {
    let octets = |entry: &Entry| entry.there.max(entry.back);
    let most = || {
        let mut most = 0;
        for (n, entry) in entries.iter().enumerate() {
            if entries
                .get(most)
                .is_some_and(|best| octets(entry) > octets(best))
            {
                most = n;
            }
        }
        most
    };
    let n = match args.flow {
        None => most(),
        Some(n) if n <= entries.len() as u64 => n as usize - 1,
        Some(n) => {
            let why = match entries.len() {
                1 => "there is one connection".into(),
                all => format!("there are {all} connections"),
            };
            return Err(CliError::setup(format_args!("--flow {n}"), why)
                .hint("`strata plot --list FILE` for their numbers"));
        }
    };
    if entries.get(n).is_some_and(|entry| octets(entry) == 0) {
        return Err(CliError::failed(
            args.input.display(),
            "no octet went through that connection",
        )
        .hint("`strata plot --list FILE` for others"));
    }
    Ok(n)
}

/// The direction to draw of it.
fn flow(args: &Args, found: Found, n: usize) -> Result<Flow, CliError> {
    let gone = || CliError::failed(args.input.display(), "changed while it was read");
    let (more, fewer) = match found {
        Found::Trace(connections) => {
            let connection = connections.into_iter().nth(n).ok_or_else(gone)?;
            let (out, back) = (connection.out, connection.back);
            if back.octets() > out.octets() {
                (back, out)
            } else {
                (out, back)
            }
        }
        Found::Capture(listed) => {
            let (key, _) = listed.into_iter().nth(n).ok_or_else(gone)?;
            let mut connection = capture::Connection::new(key);
            let mut reader = Reader::open(&args.input)?;
            // That it is damaged was noticed when it was read first.
            let _ = drain(&mut reader, |frame| connection.frame(frame));
            connection.flows()
        }
    };
    let flow = if args.reverse { fewer } else { more };
    if flow.octets() == 0 {
        return Err(
            CliError::failed(args.input.display(), "no octet went that way")
                .hint("without --reverse"),
        );
    }
    Ok(flow)
}

fn draw(
    global: &Global,
    args: &Args,
    mut flow: Flow,
    (n, of): (usize, usize),
) -> Result<(), CliError> {
    let totals = draw::totals(&flow);
    let begin = args.from.map_or(0.0, |from| from.as_secs_f64());
    let end = args.to.map_or(flow.seconds, |to| to.as_secs_f64());
    let end = end.min(flow.seconds);
    if begin >= end && (args.from.is_some() || args.to.is_some()) {
        let why = format!("the connection lasted {}", canvas::seconds(flow.seconds));
        return Err(CliError::setup("--from and --to", why).hint("times within it"));
    }
    if args.from.is_some() || args.to.is_some() {
        flow.clip(begin, end);
    }
    // A little room, so that the first and the last do not lie on the axes.
    let room = (end - begin) * 0.01;
    let range = (begin - if begin > 0.0 { 0.0 } else { room }, end + room);
    let panels = Panel::ALL.into_iter().filter(|panel| panel.has(&flow));
    let panels: Vec<Panel> = panels.collect();
    let picture = |panels: &[Panel]| {
        draw::picture(&flow, &totals, panels, range).map_err(|e| CliError::failed("drawing", e))
    };
    let out = args.out.clone().unwrap_or_else(|| {
        let name = args.input.file_name().unwrap_or("picture".as_ref());
        Path::new(name).with_extension("svg")
    });
    let mut written = Vec::new();
    if out.as_os_str() == "-" {
        io::stdout().write_all(picture(&panels)?.as_bytes())?;
        return Ok(());
    }
    if out
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("svg"))
        && !out.is_dir()
    {
        save(&out, &picture(&panels)?)?;
        written.push(out);
    } else {
        let fail = |e| CliError::setup(out.display(), e).hint("--out with a directory or NAME.svg");
        fs::create_dir_all(&out).map_err(fail)?;
        for panel in panels {
            let path = out.join(format!("{}.svg", panel.name()));
            save(&path, &picture(&[panel])?)?;
            written.push(path);
        }
    }
    let files: Vec<_> = written.iter().map(|p| p.display().to_string()).collect();
    let mut stdout = io::stdout();
    if global.json {
        let line = serde_json::json!({
            "event": "plotted", "files": files, "flow": n + 1, "flows": of, "from": flow.from,
            "to": flow.to, "octets": flow.octets(), "segments": flow.segments,
            "repeated": flow.repeated, "seconds": flow.seconds,
        });
        writeln!(stdout, "{line}")?;
        return Ok(());
    }
    writeln!(stdout, "{} -> {}: {totals}", flow.from, flow.to)?;
    writeln!(stdout, "drawn to {}", files.join(", "))?;
    if of > 1 && args.flow.is_none() {
        writeln!(
            stdout,
            "connection {} of {of}; --list shows the others",
            n + 1
        )?;
    }
    Ok(())
}

fn save(path: &Path, svg: &str) -> Result<(), CliError> {
    fs::write(path, svg).map_err(|e| {
        CliError::setup(path.display(), e).hint("--out with a file that can be written")
    })
}

/// A line for each connection.
fn list(global: &Global, entries: &[Entry]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    if !global.json {
        let (from, to) = ("FROM", "TO");
        writeln!(
            out,
            "FLOW  {from:<22} {to:<22}      OCTETS        BACK  PACKETS  SECONDS"
        )?;
    }
    for (n, entry) in entries.iter().enumerate() {
        let (
            n,
            Entry {
                client,
                server,
                there,
                back,
                packets,
                seconds,
            },
        ) = (n + 1, entry);
        if global.json {
            let line = serde_json::json!({
                "event": "flow", "flow": n, "from": client, "to": server, "octets": there,
                "back": back, "packets": packets, "seconds": seconds,
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(
                out,
                "{n:>4}  {client:<22} {server:<22} {there:>11} {back:>11} {packets:>8} {seconds:>8.3}"
            )?;
        }
    }
    Ok(out.flush()?)
}
