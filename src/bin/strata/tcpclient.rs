//! `strata tcpclient`: connections to a server, and octets through them that are checked.

mod report;

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use netstrata::host::{Pattern, Phy};
use netstrata::phy::{Instant, Watch};
use netstrata::socket::Handle;
use netstrata::socket::SocketSet;
use netstrata::tcp::State;

use crate::errors::{CliError, note};
use crate::global::Global;
use crate::profile::Profile;
use crate::session::{Session, passed};
use crate::trace::{self, Connection};
use crate::transfer::{Bad, Input, Output, Transfer, Trouble};
use crate::units;
use crate::{stats, stop};

/// How long connections may take to end in order after Ctrl-C, or after the last octet.
const GRACE: Duration = Duration::from_secs(3);

/// How often a log is told how far it got.
const NEWS: Duration = Duration::from_secs(10);

/// How often the numbers below the bar change.
const LOOK: Duration = Duration::from_millis(250);

/// Sends to a TCP server and takes what comes back.
///
/// The server is taken for one that echoes: what comes back from --size or --file is held
/// against what was sent. With neither, standard input is sent and standard output is written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: strata tcpclient --size 100M\n         \
    strata tcpclient --phy tap:tap0 --addr 192.168.1.2/24 192.168.1.1 --port 8888 --file data")]
pub struct Args {
    /// Whom to connect to: an IPv4 address; the other end if the device is a cable
    #[arg(value_name = "DESTINATION", value_parser = units::host)]
    destination: Option<Ipv4Addr>,

    /// The seed's name of DESTINATION
    #[arg(
        long,
        hide = true,
        value_name = "DESTINATION",
        value_parser = units::host,
        conflicts_with = "destination"
    )]
    dest: Option<Ipv4Addr>,

    /// Port to connect to; on a cable also 7 echo, 9 discard, 19 generate, 80 HTTP
    #[arg(short, long, value_name = "PORT", default_value_t = 8888, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Send so many octets of a pattern
    #[arg(long, value_name = "SIZE", value_parser = units::size, conflicts_with = "file")]
    size: Option<u64>,

    /// Send this file; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Write what comes back to this file instead of checking it; - is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with = "source")]
    output: Option<PathBuf>,

    /// Only send: the server throws away what comes
    #[arg(long)]
    source: bool,

    /// Only receive: the server sends by itself
    #[arg(long, conflicts_with_all = ["source", "file"])]
    sink: bool,

    /// So many connections at once, each with the whole of the octets
    #[arg(short = 'P', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    parallel: u16,

    /// Send short segments at once (no Nagle algorithm)
    #[arg(long)]
    nodelay: bool,

    /// Send the first text with the SYN: TCP Fast Open, after a connection that only asks the
    /// server for a cookie
    #[arg(long)]
    fastopen: bool,

    #[command(flatten)]
    profile: Profile,
}

struct One {
    handle: Handle<Connection>,
    transfer: Transfer,
    state: State,
    /// Its ends are known, and those who want to hear of states heard of the first.
    begun: bool,
    done: bool,
    /// Its numbers when it ended, if they are wanted.
    stats: Option<String>,
}

struct Client<'a> {
    args: &'a Args,
    json: bool,
    verbose: bool,
    to: SocketAddr,
    connections: Vec<One>,
    bar: ProgressBar,
    every: stats::Every,
    /// Octets that are to move, and when to say how far it got where there is no bar.
    news: (u64, stats::Every),
    begin: Instant,
    end: Instant,
    failed: usize,
}

/// Runs it.
///
/// # Errors
/// When the device or a file cannot be opened.
pub fn run(global: &Global, args: Args) -> Result<ExitCode, CliError> {
    let single = args.parallel == 1;
    let streams = args.size.is_none() && args.file.is_none() && !args.sink;
    if !single && (streams || args.output.is_some()) {
        return Err(
            CliError::setup("--parallel", "one stream cannot feed several connections")
                .hint("--size or --file, without --output"),
        );
    }
    if args.sink && global.device()?.unwrap_or_default() == Phy::Cable {
        let why = "the host at the other end of a cable only sends back what it gets";
        return Err(CliError::setup("--sink", why).hint("--phy, and a `tcpserver --source` there"));
    }
    let mut session = Session::open(global)?;
    args.profile.begin(&mut session, "tcpclient")?;
    let to = SocketAddr::new(
        IpAddr::V4(session.peer(args.destination.or(args.dest))?),
        args.port,
    );
    let mut client = Client {
        args: &args,
        json: global.json,
        verbose: global.verbosity() > 0,
        to,
        connections: Vec::new(),
        bar: ProgressBar::hidden(),
        every: stats::Every::new(args.profile.interval, session.now()),
        news: (0, stats::Every::new(None, session.now())),
        begin: session.now(),
        end: session.now(),
        failed: 0,
    };
    if args.fastopen {
        ask_for_cookie(&mut session, to)?;
    }
    client.connect(&mut session)?;
    let ended = client.run(&mut session);
    client.end = session.now();
    let ended = ended.and_then(|()| client.linger(&mut session));
    let code = client.summary(&session)?;
    let ended = ended.and_then(|()| session.see_off());
    let traced = trace::finish();
    ended.and(traced).map(|()| code)
}

/// Makes a connection that does nothing but ask for a Fast Open cookie. Without one, or without
/// a connection, what follows is as ever.
fn ask_for_cookie(session: &mut Session, to: SocketAddr) -> Result<(), CliError> {
    let mut socket = Connection::connecting(to);
    socket.set_fastopen_connect(true);
    let handle = session
        .host
        .open(socket)
        .map_err(|e| CliError::setup("socket", e))?;
    let until = session.now() + GRACE;
    let begun = |state| Ok(state) == Ok::<_, ()>(State::SynSent);
    while session.now() < until && !stop::asked() {
        let state = session.host.socket(handle).look(|s| s.state());
        if !state.is_ok_and(begun) {
            break;
        }
        session.turn(Some(until), &[])?;
    }
    let _ = session.host.close(handle);
    Ok(())
}

/// Of a connection that does not end in order: what the peer never acknowledged was not sent for
/// anybody.
fn count_what_arrived(session: &mut Session, one: &mut One) {
    let numbers = stats::numbers(session, one.handle);
    let arrived = numbers.map_or(0, |(.., info)| info.bytes_acked);
    one.transfer.sent = one.transfer.sent.min(arrived);
}

impl Client<'_> {
    fn connect(&mut self, session: &mut Session) -> Result<(), CliError> {
        let mut total = Some(0);
        for _ in 0..self.args.parallel {
            let (transfer, size) = self.transfer()?;
            total = total.zip(size).map(|(total, size)| total + size);
            let mut socket = Connection::connecting(self.to);
            socket.set_nodelay(self.args.nodelay);
            socket.set_fastopen_connect(self.args.fastopen);
            self.args.profile.apply(&mut socket);
            let handle = session
                .host
                .open(socket)
                .map_err(|e| CliError::setup("socket", e))?;
            self.connections.push(One {
                handle,
                transfer,
                state: State::SynSent,
                begun: false,
                done: false,
                stats: None,
            });
        }
        if let (Some(total), false, false) = (total, self.json, io::stderr().is_terminal()) {
            self.news = (total, stats::Every::new(Some(NEWS), session.now()));
        }
        // A bar is for people, and only where nothing else is written to their screen.
        let writes = self.output_to_stdout() && io::stdout().is_terminal();
        if let (Some(total), false, true) = (total, writes, io::stderr().is_terminal()) {
            self.bar = report::bar(total, self.args.profile.stats);
            if self.args.profile.stats && self.args.profile.interval.is_none() {
                self.every = stats::Every::new(Some(LOOK), session.now());
            }
        }
        Ok(())
    }

    /// What one connection sends and takes, and how many octets count for its progress.
    fn transfer(&self) -> Result<(Transfer, Option<u64>), CliError> {
        let args = self.args;
        let (input, size) = match (&args.file, args.size) {
            _ if args.sink => (Input::None, args.size),
            (Some(path), _) => Input::open(path)?,
            (None, Some(size)) => (Input::Pattern(Pattern::new(), size), Some(size)),
            (None, None) => (Input::stdin()?, None),
        };
        let output = match (&args.output, &args.file, args.size) {
            (Some(path), ..) => Output::create(path)?,
            _ if args.source => Output::Discard,
            (None, Some(path), _) if matches!(input, Input::File(_)) => Output::compare(path)?,
            (None, None, Some(_)) => Output::Verify(Pattern::new()),
            _ => Output::Stdout(io::stdout()),
        };
        let limit = args.size.filter(|_| args.sink);
        Ok((Transfer::new(input, output, limit), size))
    }

    fn output_to_stdout(&self) -> bool {
        self.connections
            .iter()
            .any(|one| matches!(one.transfer.output, Output::Stdout(_)))
    }

    /// Moves octets until all connections are done or somebody says stop.
    fn run(&mut self, session: &mut Session) -> Result<(), CliError> {
        let mut stopping: Option<Instant> = None;
        loop {
            let mut moved = false;
            self.begun(session);
            while let Some(h) = session.host.next_news::<Connection, _>() {
                if let Some(one) = self.connections.iter().position(|one| one.handle == h) {
                    moved |= self.serve(session, one)?;
                }
            }
            // Standard input tells nobody but those who look.
            if self
                .connections
                .first()
                .is_some_and(|one| one.transfer.input.watch().is_some())
            {
                moved |= self.serve(session, 0)?;
            }
            self.show(session.now());
            self.tell(session)?;
            if self.connections.iter().all(|one| one.done) {
                return Ok(());
            }
            if stop::asked() && stopping.is_none() {
                stopping = Some(session.now() + GRACE);
                for one in &mut self.connections {
                    let transfer = &mut one.transfer;
                    let _ = session
                        .host
                        .socket(one.handle)
                        .with(|socket| transfer.stop(socket));
                }
            }
            if stopping.is_some_and(|until| session.now() >= until) {
                for one in &mut self.connections {
                    one.done = true;
                    count_what_arrived(session, one);
                    if self.args.profile.stats {
                        one.stats = stats::line(session, one.handle, self.json);
                    }
                    let _ = session
                        .host
                        .socket(one.handle)
                        .with(|socket| socket.abort());
                }
                session.turn(Some(session.now()), &[])?;
                return Ok(());
            }
            let until = if moved { Some(session.now()) } else { stopping };
            let until = self.news.1.or(self.every.or(until));
            let stdin = self.connections.first().and_then(|one| {
                let one = (!one.transfer.fed).then_some(&one.transfer.input)?;
                one.watch()
            });
            let full = stdin.is_some() && self.is_full(session);
            match stdin.filter(|_| !full) {
                Some(stdin) => session.turn(until, &[Watch::readable(stdin)])?,
                None => session.turn(until, &[])?,
            }
        }
    }

    /// Would the first connection take no more of standard input now?
    fn is_full(&self, session: &mut Session) -> bool {
        let first = self.connections.first();
        first.is_none_or(|one| {
            session
                .host
                .socket(one.handle)
                .look(|socket| socket.writable() == 0)
                != Ok(false)
        })
    }

    /// Tells of connections whose SYN left: only then is our end known.
    fn begun(&mut self, session: &mut Session) {
        let to = self.to;
        let new = self.connections.iter_mut().filter(|one| !one.begun);
        for one in new.filter(|one| self.verbose && !one.done) {
            let look = |socket: &Connection| (socket.state(), socket.local_addr());
            let seen = session.host.socket(one.handle).look(look);
            if let Ok((State::SynSent, Some(local))) = seen {
                one.begun = true;
                note!("[{}] {local} -> {to}", State::SynSent);
            }
        }
    }

    fn serve(&mut self, session: &mut Session, one: usize) -> Result<bool, CliError> {
        let Some(one) = self.connections.get_mut(one).filter(|one| !one.done) else {
            return Ok(false);
        };
        let transfer = &mut one.transfer;
        let turned = session.host.socket(one.handle).with(|socket| {
            let result = transfer.turn(socket);
            (result, socket.state(), socket.local_addr())
        });
        let (result, state, local) = match turned {
            Ok(turned) => turned,
            Err(gone) => return Err(CliError::failed("socket", gone)),
        };
        if let (true, Some(local)) = (self.verbose, local) {
            let to = self.to;
            if !core::mem::replace(&mut one.begun, true) {
                note!("[{}] {local} -> {to}", State::SynSent);
            }
            if state != one.state {
                for state in passed(one.state, state, result.is_err()) {
                    note!("[{state}] {local} -> {to}");
                }
            }
        }
        one.state = state;
        let over = result.is_err() || one.transfer.over;
        if result.is_err() {
            count_what_arrived(session, one);
        }
        if self.args.profile.stats && over {
            one.stats = stats::line(session, one.handle, self.json);
        }
        let moved = match result {
            Ok(moved) => moved,
            Err(trouble) => {
                one.done = true;
                self.failed += 1;
                if let Trouble::Output(Bad::Io(_, e)) = &trouble
                    && e.kind() == io::ErrorKind::BrokenPipe
                {
                    return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
                }
                let _ = session
                    .host
                    .socket(one.handle)
                    .with(|socket| socket.abort());
                let _ = session.host.close(one.handle);
                let hint = self.hint(&trouble);
                note!("strata tcpclient: {}: {trouble}{hint}", self.to);
                return Ok(true);
            }
        };
        if one.transfer.over {
            one.done = true;
            let _ = session.host.close(one.handle);
        }
        Ok(moved)
    }

    /// Lets closed connections end in order.
    fn linger(&mut self, session: &mut Session) -> Result<(), CliError> {
        let until = session.now() + GRACE;
        while session.host.sockets::<Connection, _>().len() > 0 && session.now() < until {
            session.turn(Some(until), &[])?;
        }
        Ok(())
    }
}
