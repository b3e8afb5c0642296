//! The end that asks for a test.
//!
//! Invariant: every wait has an end: the server's answers, a stream's beginning, the last
//! octets, and a test on which nothing moves.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use netstrata::host::Datagrams;
use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::tcp::{Config, State as Tcp, TcpError};

use super::channel::Channel;
use super::datagram::{HELLO, is_welcome};
use super::end::{End, Step};
use super::outfit::{self, outfit};
use super::params::{Params, Side};
use super::report::{Report, Summary};
use super::results::Results;
use super::stream::{Socket, Stack, Stream, datagrams};
use super::talk::{ClientTalk, Phase, Told};
use super::test::Test;
use super::wire::{Bad, Cookie, State};
use crate::errors::CliError;
use crate::trace::Connection;

/// Octets of one message of a server: results with all it printed.
const MOST: usize = 4 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the last datagrams may take to leave.
const DRAIN: Duration = Duration::from_secs(1);
/// After what time a datagram that opens a stream is sent again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is wanted of a client.
#[derive(Debug)]
pub struct Wish {
    /// Whom to test with.
    pub server: SocketAddr,
    /// Which test; a block of 0 octets is to be one segment.
    pub params: Params,
    /// How often to report.
    pub every: Option<Duration>,
    /// Write each block into the send buffer?
    pub fill: bool,
    /// How long nothing may move.
    pub stall: Duration,
    /// How long connecting may take.
    pub connect: Duration,
    /// Something to be repeated in the JSON.
    pub extra: Option<String>,
}

/// A stream that is being opened.
enum Opening {
    Tcp(Handle<Connection>),
    Udp(Handle<Datagrams>, Instant),
}

/// See the head of this file.
pub struct Client {
    wish: Wish,
    report: Report,
    cookie: Cookie,
    channel: Channel,
    talk: ClientTalk,
    test: Test,
    opening: Option<Opening>,
    connected: bool,
    /// When patience ends with what is waited for, if it is not the test itself.
    until: Option<Instant>,
    /// Enough was sent; when the last of it is to have arrived.
    draining: Option<Instant>,
    /// What had moved when last looked at, and when that was.
    progress: (u64, Instant),
    begun: bool,
    remote: Option<Results>,
    interrupted: bool,
    over: bool,
}

impl Client {
    /// Begins to connect.
    ///
    /// # Errors
    /// When there is no room for a connection.
    pub fn new(
        host: &mut Stack,
        now: Instant,
        wish: Wish,
        mut report: Report,
    ) -> Result<Self, CliError> {
        let cookie = Cookie::random();
        let mut socket = Connection::connecting(wish.server);
        socket.set_nodelay(true);
        let handle = host
            .open(socket)
            .map_err(|e| CliError::setup("socket", e))?;
        let mut channel = Channel::new(handle, MOST);
        channel.cookie(&cookie);
        let (peer, port) = (wish.server.ip(), wish.server.port());
        report.introduce();
        report.line(&format!("Connecting to host {peer}, port {port}"))?;
        if wish.params.reverse {
            report.line(&format!("Reverse mode, remote host {peer} is sending"))?;
        }
        if let Some(doc) = &mut report.doc {
            doc.start("cookie", cookie.to_string());
            doc.start(
                "connecting_to",
                serde_json::json!({"host": peer.to_string(), "port": port}),
            );
        }
        let test = Test::new(wish.params.clone(), Side::Client, wish.every, wish.fill);
        Ok(Self {
            until: Some(now + wish.connect),
            wish,
            report,
            cookie,
            channel,
            talk: ClientTalk::new(),
            test,
            opening: None,
            connected: false,
            draining: None,
            progress: (0, now),
            begun: false,
            remote: None,
            interrupted: false,
            over: false,
        })
    }

    fn error(&self, why: impl std::fmt::Display) -> CliError {
        CliError::failed(self.wish.server, why)
    }

    fn hear(&mut self, host: &mut Stack, now: Instant) -> Result<Option<Step>, CliError> {
        loop {
            let told = self
                .talk
                .hear(&mut self.channel.inbox)
                .map_err(|bad| match bad {
                    Bad::State(_) | Bad::Unexpected(_) if !self.talk.is_known() => self
                        .error(format_args!("no iperf3 server: {bad}"))
                        .hint("another --port"),
                    bad => self.error(bad).hint("an iperf3 from 3.1 on"),
                })?;
            let Some(told) = told else { return Ok(None) };
            self.until = Some(now + PATIENCE);
            match told {
                Told::TellParams => self.tell_params(host, now),
                Told::OpenStreams => self.open(host, now)?,
                Told::Start => {}
                Told::Run => {}
                Told::TellResults => {
                    let results = self.test.results(now);
                    let (udp, test) = (self.wish.params.udp, &self.test);
                    let json = results.to_json(udp, |id| test.sends(id));
                    self.channel.json(&json);
                }
                Told::Results(results) => self.remote = Some(*results),
                Told::Display => return self.display(host, now).map(Some),
                Told::Denied => {
                    return Err(self
                        .error("the server is busy with another test")
                        .hint("again later"));
                }
                Told::Failed(code) => {
                    let why = outfit::reason(code);
                    return Err(self.error(format_args!("the server refuses: {why}")));
                }
                Told::Terminated => return Err(self.error("the server was stopped")),
            }
        }
    }

    fn tell_params(&mut self, host: &mut Stack, now: Instant) {
        let params = &mut self.test.params;
        if params.len == 0 {
            // One datagram a packet, as far as the way of this connection shows.
            let mss = host.socket(self.channel.handle).look(|socket| {
                socket
                    .info(&Config::default(), now)
                    .map(|info| info.snd_mss)
            });
            params.len = mss
                .ok()
                .flatten()
                .filter(|mss| *mss >= 16)
                .unwrap_or(1448)
                .into();
            self.test.fit();
        }
        self.channel.json(&self.test.params.to_json());
    }

    /// Opens the next stream, if one is missing.
    fn open(&mut self, host: &mut Stack, now: Instant) -> Result<(), CliError> {
        if self.test.is_complete() {
            return Ok(());
        }
        let room = |e| CliError::setup("socket", e);
        let params = &self.test.params;
        let opening = if params.udp {
            let mut socket = datagrams(params.len as usize, params.streams());
            socket.set_tos(params.tos);
            // An address of somebody's and a fresh socket: neither can fail.
            let _ = socket.connect(self.wish.server);
            let _ = socket.send(&HELLO);
            Opening::Udp(host.open(socket).map_err(room)?, now + AGAIN)
        } else {
            let mut socket = Connection::connecting(self.wish.server);
            outfit(&mut socket, params);
            let _ = socket.send(self.cookie.octets());
            Opening::Tcp(host.open(socket).map_err(room)?)
        };
        self.opening = Some(opening);
        self.until = Some(now + PATIENCE);
        Ok(())
    }

    /// Has the stream that is being opened begun?
    fn opened(&mut self, host: &mut Stack, now: Instant) -> Result<(), CliError> {
        let server = self.wish.server;
        let (socket, local) = match &mut self.opening {
            None => return Ok(()),
            Some(Opening::Tcp(h)) => {
                let look = |s: &mut Connection| (s.state(), s.local_addr(), s.take_error());
                match host.socket(*h).with(look) {
                    Ok((Tcp::SynSent | Tcp::SynReceived, ..)) => return Ok(()),
                    Ok((_, Some(local), None)) => (Socket::Tcp(*h), local),
                    Ok((.., error)) => {
                        let why = error.unwrap_or(TcpError::Reset);
                        return Err(self.error(format_args!("a stream: {why}")));
                    }
                    Err(gone) => return Err(CliError::failed("socket", gone)),
                }
            }
            Some(Opening::Udp(h, again)) => {
                let once_more = *again <= now;
                let mut failure = None;
                let welcome = host.socket(*h).with(|socket| {
                    failure = socket.take_failure();
                    if once_more && failure.is_none() {
                        let _ = socket.send(&HELLO);
                    }
                    // Anything before the welcome is none of this test.
                    while !socket.recv_with(|_, answer| is_welcome(answer)).ok()? {}
                    Some((socket.local_ip()?, socket.local_port()?))
                });
                if once_more {
                    *again = now + AGAIN;
                }
                if let Some(failure) = failure {
                    return Err(self.error(format_args!("a stream: {failure}")));
                }
                match welcome {
                    Ok(Some((ip, port))) => (Socket::Udp(*h), SocketAddr::new(ip, port)),
                    _ => return Ok(()),
                }
            }
        };
        self.opening = None;
        let index = self.test.streams.len();
        let sends = self.test.params.sends(Side::Client, index);
        let id = Params::stream_id(index);
        self.test.add(Stream::new(id, sends, socket, local, server));
        self.open(host, now)
    }

    fn begin(&mut self, host: &mut Stack, now: Instant) -> Result<(), CliError> {
        self.report.begin(&self.test)?;
        if let Some(doc) = &mut self.report.doc {
            doc.begin(&self.test);
        }
        self.begun = true;
        self.until = None;
        self.progress = (0, now);
        self.test.begin(host, now);
        Ok(())
    }

    /// While the test runs.
    fn running(&mut self, host: &mut Stack, now: Instant) -> Result<(), CliError> {
        if let Some(interval) = self.test.tick(host, now) {
            self.report.interval(&self.test, &interval)?;
        }
        if let Some((id, why)) = self.test.failure() {
            return Err(self.error(format_args!("stream {id}: {why}")));
        }
        if self.progress.0 != self.test.moved {
            self.progress = (self.test.moved, now);
        }
        let stalled = now.saturating_since(self.progress.1) >= self.wish.stall;
        let until = match self.draining {
            Some(until) => until,
            None if self.test.is_over(now) => {
                self.test.stop();
                let patience = match (self.test.params.udp, self.test.params.volume()) {
                    (true, _) => DRAIN,
                    (false, Some(_)) => self.wish.stall,
                    // What is left of a test that time ended is no part of it.
                    (false, None) => Duration::ZERO,
                };
                *self.draining.insert(now + patience)
            }
            None if stalled => {
                let after = self.wish.stall.as_secs();
                return Err(self.error(format_args!("nothing moved for {after} s")));
            }
            None => return Ok(()),
        };
        if now < until && !self.test.is_drained(host) {
            return Ok(());
        }
        if let Some(interval) = self.test.finish(host, now) {
            self.report.interval(&self.test, &interval)?;
        }
        self.talk.phase = Phase::Ended;
        self.channel.state(State::TestEnd);
        self.until = Some(now + PATIENCE);
        Ok(())
    }

    /// Both ends' numbers are there.
    fn display(&mut self, host: &mut Stack, now: Instant) -> Result<Step, CliError> {
        let output = self.remote.as_mut().and_then(|remote| remote.output.take());
        let summary = Summary::new(&self.test, self.test.results(now), self.remote.take());
        self.report.summary(&self.test, &summary)?;
        if let Some(text) = output {
            if let Some(doc) = &mut self.report.doc {
                doc.add("server_output_text", text.as_str());
            }
            self.report.line("")?;
            self.report.line("Server output:")?;
            for line in text.lines() {
                self.report.line(line)?;
            }
        }
        self.channel.state(State::IperfDone);
        self.leave(host);
        self.report.line("")?;
        self.report.line("iperf Done.")?;
        self.put_doc(None)?;
        Ok(Step::Done(ExitCode::SUCCESS))
    }

    fn put_doc(&mut self, error: Option<&CliError>) -> Result<(), CliError> {
        let Some(doc) = &mut self.report.doc else {
            return Ok(());
        };
        if let Some(extra) = &self.wish.extra {
            doc.add("extra_data", extra.as_str());
        }
        if let Some(error) = error {
            doc.add("error", error.to_string());
        }
        let text = doc.take();
        Ok(self.report.print(&text)?)
    }

    fn leave(&mut self, host: &mut Stack) {
        match self.opening.take() {
            Some(Opening::Tcp(h)) => {
                let _ = host.close(h);
            }
            Some(Opening::Udp(h, _)) => {
                host.remove::<Datagrams, _>(h);
            }
            None => {}
        }
        self.channel.close(host);
        self.test.close(host);
        self.over = true;
    }

    fn step(&mut self, host: &mut Stack, now: Instant) -> Result<Step, CliError> {
        self.channel.pump(host);
        if let Some(step) = self.hear(host, now)? {
            return Ok(step);
        }
        self.opened(host, now)?;
        if self.interrupted {
            self.channel.state(State::ClientTerminate);
            return Err(self.error("interrupted"));
        }
        if let Some(ended) = self.channel.ended() {
            return Err(match ended {
                Some(TcpError::Refused) => self
                    .error(TcpError::Refused)
                    .hint("`iperf3 -s` or `strata perf -s` there, or another --port"),
                Some(error) => self.error(format_args!("control connection: {error}")),
                None => self.error("the server closed the control connection"),
            });
        }
        if self.talk.phase == Phase::Running {
            // The last stream's welcome may come after the word to run.
            if !self.begun && self.test.is_complete() {
                self.begin(host, now)?;
            }
            if self.begun {
                self.running(host, now)?;
            }
        }
        if self.until.is_some_and(|until| until <= now) {
            return Err(match self.connected {
                true => self.error("the server does not answer any more"),
                false => self
                    .error("no answer")
                    .hint("the address, and --addr and --gateway of ours"),
            });
        }
        // Said in this turn, it is to leave in the next poll.
        self.channel.pump(host);
        let again = match self.opening {
            Some(Opening::Udp(_, again)) => Some(again),
            _ => None,
        };
        let running = self.talk.phase == Phase::Running && self.begun;
        let test = self
            .test
            .deadline()
            .filter(|_| running && self.draining.is_none());
        let stall = running.then(|| self.progress.1 + self.wish.stall);
        let all = [
            self.until,
            again,
            test,
            stall,
            self.draining.filter(|_| running),
        ];
        Ok(Step::Wait(all.into_iter().flatten().min()))
    }
}

impl End for Client {
    fn connection(&mut self, host: &mut Stack, h: Handle<Connection>, now: Instant) -> bool {
        if h == self.channel.handle {
            self.connected = true;
            self.channel.stir();
            return true;
        }
        match self.opening {
            // Looked at in each turn.
            Some(Opening::Tcp(opening)) if opening == h => true,
            _ => self.test.news(host, Socket::Tcp(h), now),
        }
    }

    fn datagrams(&mut self, host: &mut Stack, h: Handle<Datagrams>, now: Instant) -> bool {
        match self.opening {
            Some(Opening::Udp(opening, _)) if opening == h => true,
            _ => self.test.news(host, Socket::Udp(h), now),
        }
    }

    fn turn(&mut self, host: &mut Stack, now: Instant) -> Result<Step, CliError> {
        if self.over {
            return Ok(Step::Wait(None));
        }
        let error = match self.step(host, now) {
            Ok(step) => return Ok(step),
            Err(error) => error,
        };
        if error.is_silent() {
            return Err(error);
        }
        if self.begun {
            // What there is so far.
            if let Some(interval) = self.test.finish(host, now) {
                self.report.interval(&self.test, &interval)?;
            }
            let summary = Summary::new(&self.test, self.test.results(now), None);
            self.report.summary(&self.test, &summary)?;
        }
        self.leave(host);
        self.put_doc(Some(&error))?;
        Err(error)
    }

    fn interrupt(&mut self) {
        self.interrupted = true;
    }
}
