//! `strata tcpserver`: takes any number of connections and echoes, swallows or sends.

mod report;
mod shared;

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use netstrata::host::pump::{self, Broken, Moved};
use netstrata::host::{CABLE_NEAR, Pattern, Phy, on_threads};
use netstrata::phy::Instant;
use netstrata::socket::{Handle, SocketSet};
use netstrata::tcp::{Shutdown, State, TcpError};

use self::shared::{Shared, Tally};
use crate::errors::{CliError, note};
use crate::global::Global;
use crate::profile::Profile;
use crate::session::{self, Queue, Session, passed};
use crate::trace::{self, Connection};
use crate::transfer::{Input, Output, Transfer};
use crate::units;
use crate::{stats, stop};

/// How long connections may take to end in order after Ctrl-C.
const GRACE: Duration = Duration::from_secs(3);

/// Serves TCP connections; sends back what comes unless told otherwise.
///
/// On a cable the host at the other end connects once, as a demonstration.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: strata tcpserver --phy tap:tap0 --addr 192.168.1.2/24 --port 8888\n         \
    strata tcpserver --phy raw:eth0 --addr 192.168.1.2/24 --queues 4    # on four cores\n         \
    and from the kernel's side: nc 192.168.1.2 8888"
)]
pub struct Args {
    /// Port to listen on
    #[arg(short, long, value_name = "PORT", default_value_t = 8888, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,

    /// Send back what comes: what happens if nothing else is said
    #[arg(long, conflicts_with_all = ["sink", "source"])]
    echo: bool,

    /// Throw away what comes, or write it to --file
    #[arg(long, conflicts_with = "source")]
    sink: bool,

    /// Send --file or --size octets of a pattern to whoever connects
    #[arg(long)]
    source: bool,

    /// With --sink, write the first connection here, the next ones to FILE.2, FILE.3 and so on;
    /// with --source, send this file; - is standard output or input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// With --source, send so many octets of a pattern
    #[arg(long, value_name = "SIZE", value_parser = units::size, conflicts_with = "file")]
    size: Option<u64>,

    /// End after so many connections
    #[arg(short, long, value_name = "N", value_parser = units::count)]
    count: Option<u64>,

    /// Serve on so many queues of the device, each with a stack and a thread of its own; with
    /// several, --capture and --trace write FILE, FILE.1, FILE.2 and so on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    queues: u16,

    /// Connections that may wait to be accepted, and handshakes that may be unfinished
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    backlog: u32,

    /// Take text in SYNs of clients that have a cookie of ours: TCP Fast Open
    #[arg(long)]
    fastopen: bool,

    #[command(flatten)]
    profile: Profile,
}

/// A connection and what is done with it.
struct One {
    work: Work,
    peer: SocketAddr,
    since: Instant,
    state: State,
    received: u64,
    sent: u64,
    /// All that came to be echoed went back, as far as writing goes.
    ended: bool,
}

enum Work {
    Echo,
    Transfer(Box<Transfer>),
}

struct Server<'a> {
    args: &'a Args,
    shared: &'a Shared,
    json: bool,
    verbose: bool,
    listener: Handle<Connection>,
    open: HashMap<Handle<Connection>, One>,
    /// Connections we are done with whose last states somebody wants to see.
    leaving: Vec<(Handle<Connection>, SocketAddr, State)>,
    scratch: Vec<u8>,
    tally: Tally,
    /// Standard input cannot be given to two.
    stdin: bool,
    every: stats::Every,
}

/// Runs it.
///
/// # Errors
/// When the device or a file cannot be opened.
pub fn run(global: &Global, mut args: Args) -> Result<ExitCode, CliError> {
    if args.file.is_some() && !args.sink && !args.source {
        return Err(CliError::setup("--file", "to be written or to be sent?")
            .hint("--sink or --source with it"));
    }
    if args.source && args.file.is_none() && args.size.is_none() {
        return Err(CliError::setup("--source", "nothing to send")
            .hint("--file FILE or --size SIZE with it"));
    }
    if let (true, Some(path)) = (args.source, &args.file) {
        Input::open(path)?; // tells at once that it cannot be read
    }
    let standard = args.file.as_deref().is_some_and(|f| f.as_os_str() == "-");
    if args.queues > 1 && standard {
        return Err(
            CliError::setup("--file -", "several stacks cannot share it")
                .hint("a file, or --queues 1"),
        );
    }
    let queues = session::queues(global, args.queues.into())?;
    let bells = queues.iter().map(|queue| queue.shard.at.runner.bell());
    let shared = Shared::new(bells.collect());
    if global.device()?.unwrap_or_default() == Phy::Cable {
        args.count = args.count.or(Some(args.queues.into()));
    }
    let serve = |queue| {
        let served = serve(queue, global, &args, &shared);
        if served.is_err() {
            shared.leave(true);
        }
        served
    };
    let begin = std::time::Instant::now();
    let served = match <[_; 1]>::try_from(queues) {
        Ok([only]) => Vec::from([serve(only)]),
        Err(queues) => on_threads(queues, serve),
    };
    let served = served.into_iter().collect::<Result<Vec<_>, _>>()?;
    report::summary(&args, global.json, &served, begin.elapsed())?;
    Ok(ExitCode::SUCCESS)
}

/// One stack, from its first frame to its end.
fn serve(queue: Queue, global: &Global, args: &Args, shared: &Shared) -> Result<Tally, CliError> {
    let (n, post) = (queue.shard.share.index(), queue.shard.post.clone());
    let mut session = Session::on(queue);
    args.profile.begin_nth(&mut session, "tcpserver", n)?;
    if session.phy == Phy::Cable {
        demonstrate(&mut session, args);
    }
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), args.port);
    let mut listener = Connection::listener(any, args.backlog as usize);
    args.profile.apply(&mut listener);
    if args.fastopen {
        let tcp = &mut session.host.transports().2;
        tcp.config_mut().fastopen_server = true;
        // A cookie that one of them gave out is shown to another.
        tcp.set_fastopen_keys(shared.key(), None);
        listener.set_fastopen(u16::try_from(args.backlog).unwrap_or(u16::MAX));
    }
    let listener = session
        .host
        .open(listener)
        .map_err(|e| CliError::setup(format_args!("port {}", args.port), e))?;
    let mut server = Server {
        args,
        shared,
        json: global.json,
        verbose: global.verbosity() > 0,
        listener,
        open: HashMap::new(),
        leaving: Vec::new(),
        scratch: vec![0; 1 << 18],
        tally: Tally::default(),
        stdin: false,
        every: stats::Every::new(args.profile.interval, session.now()),
    };
    // Frames that come before all stacks listen wait in their queues.
    if n == 0 {
        server.banner(&session)?;
    }
    let ended = server.run(&mut session);
    server.tally.passed = post.passed();
    let traced = trace::finish();
    ended.and(traced).map(|()| server.tally)
}

/// On a cable nobody connects by himself: the other host does, once.
fn demonstrate(session: &mut Session, args: &Args) {
    let us = SocketAddr::new(CABLE_NEAR.ip(), args.port);
    if let Some(far) = &mut session.far {
        far.visit(us, 1 << 20);
    }
}

impl Server<'_> {
    fn run(&mut self, session: &mut Session) -> Result<(), CliError> {
        let (mut stopping, mut left): (Option<Instant>, bool) = (None, false);
        loop {
            let mut moved = false;
            while let Some(h) = session.host.next_news::<Connection, _>() {
                moved = true;
                if h == self.listener {
                    self.accept(session)?;
                } else {
                    self.serve(session, h)?;
                }
            }
            if self.stdin {
                let waiting: Vec<_> = self.open.keys().copied().collect();
                for h in waiting {
                    self.serve(session, h)?;
                }
            }
            self.see_off(session)?;
            if self.every.due(session.now()) {
                self.tell(session)?;
            }
            let enough = self.shared.is_enough(self.args.count);
            let empty = session.host.sockets::<Connection, _>().is_empty();
            if (enough || stop::asked()) && stopping.is_none() {
                stopping = Some(session.now() + GRACE);
                let _ = session.host.close(self.listener);
                for (h, one) in &mut self.open {
                    let _ = session.host.socket(*h).with(|socket| match &mut one.work {
                        Work::Echo => socket.shutdown(Shutdown::Write),
                        Work::Transfer(transfer) => transfer.stop(socket),
                    });
                }
            }
            if let Some(until) = stopping {
                let late = session.now() >= until;
                if !left && (empty || late) {
                    left = true;
                    self.end(session)?;
                    session.see_off()?;
                    self.shared.leave(false);
                }
                if left && (late || self.shared.is_over()) {
                    return Ok(());
                }
            }
            let until = if moved { Some(session.now()) } else { stopping };
            session.turn(self.every.or(until), &[])?;
        }
    }

    /// Resets what did not end in order.
    fn end(&mut self, session: &mut Session) -> Result<(), CliError> {
        let rest: Vec<_> = self.open.keys().copied().collect();
        for h in rest {
            let _ = session.host.socket(h).with(|socket| socket.abort());
            self.finish(session, h, Some(TcpError::Aborted))?;
        }
        for (h, ..) in std::mem::take(&mut self.leaving) {
            if self.args.profile.stats
                && let Some(line) = stats::line(session, h, self.json)
            {
                writeln!(self.log(), "{line}")?;
            }
            let _ = session.host.socket(h).with(|socket| socket.abort());
            let _ = session.host.close(h);
        }
        session.turn(Some(session.now()), &[])
    }

    /// Tells the states of connections that end, and lets go of those that have.
    fn see_off(&mut self, session: &mut Session) -> Result<(), CliError> {
        let mut leaving = std::mem::take(&mut self.leaving);
        let mut written = Ok(());
        leaving.retain_mut(|(h, peer, state)| {
            let look = |socket: &mut Connection| (socket.state(), socket.take_error().is_some());
            let now = session.host.socket(*h).with(look);
            let (now, failed) = now.unwrap_or((State::Closed, false));
            if self.verbose && !self.json {
                for state in passed(*state, now, failed) {
                    written = writeln!(self.log(), "[{state}] {peer}");
                }
            }
            *state = now;
            let over = matches!(now, State::Closed | State::TimeWait);
            if over {
                if self.args.profile.stats
                    && let Some(line) = stats::line(session, *h, self.json)
                {
                    written = writeln!(self.log(), "{line}");
                }
                let _ = session.host.close(*h);
            }
            !over
        });
        self.leaving = leaving;
        Ok(written?)
    }

    fn accept(&mut self, session: &mut Session) -> Result<(), CliError> {
        while let Some(h) = session.host.socket(self.listener).accept() {
            let Ok(Some(peer)) = session.host.socket(h).look(|socket| socket.peer_addr()) else {
                let _ = session.host.close(h);
                continue;
            };
            self.tally.accepted += 1;
            let work = match self.work(self.shared.accept()) {
                Ok(work) => work,
                Err(e) => {
                    note!("{}", e.of("tcpserver"));
                    let _ = session.host.socket(h).with(|socket| socket.abort());
                    let _ = session.host.close(h);
                    continue;
                }
            };
            if self.verbose && !self.json {
                // Handshakes are over before a connection is anybody's.
                writeln!(self.log(), "[SYN-RECEIVED] {peer}\n[ESTABLISHED] {peer}")?;
            }
            let since = session.now();
            let state = State::Established;
            self.open.insert(
                h,
                One {
                    work,
                    peer,
                    since,
                    state,
                    received: 0,
                    sent: 0,
                    ended: false,
                },
            );
            self.serve(session, h)?;
        }
        Ok(())
    }

    /// What is to be done with the `n`th connection.
    fn work(&mut self, n: u64) -> Result<Work, CliError> {
        let transfer = match (self.args.sink, self.args.source, &self.args.file) {
            (false, false, _) => return Ok(Work::Echo),
            (true, _, None) => Transfer::new(Input::None, Output::Discard, None),
            (true, _, Some(path)) => {
                let path = match n {
                    1 => path.clone(),
                    _ => PathBuf::from(format!("{}.{n}", path.display())),
                };
                Transfer::new(Input::None, Output::create(&path)?, None)
            }
            (_, true, Some(path)) => {
                let input = Input::open(path)?.0;
                self.stdin |= matches!(input, Input::Stdin(_));
                Transfer::new(input, Output::Discard, None)
            }
            (_, true, None) => {
                let size = self.args.size.unwrap_or(0);
                Transfer::new(Input::Pattern(Pattern::new(), size), Output::Discard, None)
            }
        };
        Ok(Work::Transfer(Box::new(transfer)))
    }

    fn serve(&mut self, session: &mut Session, h: Handle<Connection>) -> Result<(), CliError> {
        let Some(one) = self.open.get_mut(&h) else {
            return Ok(());
        };
        let (scratch, work) = (&mut self.scratch, &mut one.work);
        let turned = session.host.socket(h).with(|socket| {
            let done = match work {
                Work::Echo => {
                    let turned = match one.ended {
                        // What went back may still be refused.
                        true => {
                            let moved = Moved::default();
                            let broken = socket.take_error().map(|error| Broken { moved, error });
                            broken.map_or(Ok(moved), Err)
                        }
                        false => pump::echo(socket, scratch),
                    };
                    let moved = turned.unwrap_or_else(|broken| broken.moved);
                    one.received += moved.received;
                    one.sent += moved.sent;
                    one.ended |= moved.ended;
                    let over = one.ended && socket.unacknowledged() == 0;
                    turned
                        .map(|_| over)
                        .map_err(|broken| (broken.to_string(), Some(broken.error)))
                }
                Work::Transfer(transfer) => {
                    let result = transfer.turn(socket);
                    (one.received, one.sent) = (transfer.received, transfer.sent);
                    result
                        .map(|_| transfer.over)
                        .map_err(|trouble| (trouble.to_string(), trouble.error()))
                }
            };
            (done, socket.state())
        });
        let (done, state) = turned.map_err(|gone| CliError::failed("socket", gone))?;
        let (peer, before) = (one.peer, core::mem::replace(&mut one.state, state));
        if self.verbose && !self.json && before != state {
            for state in passed(before, state, done.is_err()) {
                writeln!(self.log(), "[{state}] {peer}")?;
            }
        }
        match done {
            Ok(false) => Ok(()),
            Ok(true) => self.finish(session, h, None),
            Err((why, error)) => {
                note!("strata tcpserver: {peer}: {why}");
                let _ = session.host.socket(h).with(|socket| socket.abort());
                self.finish(session, h, error.or(Some(TcpError::Aborted)))
            }
        }
    }

    /// Takes leave of a connection.
    fn finish(
        &mut self,
        session: &mut Session,
        h: Handle<Connection>,
        error: Option<TcpError>,
    ) -> Result<(), CliError> {
        // What is on its way counts as well: the numbers of a connection come when it is over.
        let over = error.is_some().then(|| stats::line(session, h, self.json));
        let stats = over.flatten().filter(|_| self.args.profile.stats);
        let Some(one) = self.open.remove(&h) else {
            let _ = session.host.close(h);
            return Ok(());
        };
        match error {
            None if self.args.profile.stats || (self.verbose && !self.json) => {
                self.leaving.push((h, one.peer, one.state))
            }
            _ => {
                let _ = session.host.close(h);
            }
        }
        self.tally.failed += u64::from(error.is_some());
        self.tally.received += one.received;
        self.tally.sent += one.sent;
        self.shared.finish(self.args.count);
        let time = session.now().saturating_since(one.since);
        self.closed(&one, time, error, stats)
    }
}
