//! One client's test at the server.
//!
//! Invariant: a client cannot hold the server longer than its test and a bounded patience; what
//! it says out of turn ends the test, and never the server.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use netstrata::host::Datagrams;
use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::transport::datagram::RecvError;
use netstrata::udp::UdpSocket;

use super::channel::Channel;
use super::datagram::welcome;
use super::outfit::{BAD_MESSAGE, IDLE, outfit};
use super::params::{Params, Side, limits};
use super::report::{Report, Summary};
use super::results::Results;
use super::stream::{Socket, Stack, Stream, datagrams};
use super::talk::{Asked, Phase, ServerTalk, Trouble};
use super::test::Test;
use super::wire::{Cookie, State};
use crate::errors::CliError;
use crate::trace::Connection;

/// Octets of one message of a client: the results of 256 streams.
const MOST: usize = 256 << 10;
/// How long a client may take for its next word, or its next stream.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last datagrams may take to leave, and the last octets of a number that was agreed
/// on to arrive: the word that they were sent overtakes them.
const DRAIN: Duration = Duration::from_millis(1000);

/// How a visit ended.
#[derive(Debug)]
pub enum Outcome {
    /// As it should.
    Done,
    /// Otherwise; the line for it.
    Failed(String),
}

/// What the server is told for all visits.
#[derive(Debug, Clone, Copy)]
pub struct House {
    /// How often to report.
    pub every: Option<Duration>,
    /// Write each block into the send buffer?
    pub fill: bool,
    /// How long nothing may move.
    pub stall: Duration,
    /// Where datagrams come to.
    pub port: u16,
}

/// See the head of this file.
pub struct Visit {
    /// Which test.
    pub cookie: Cookie,
    /// Whose.
    pub peer: SocketAddr,
    house: House,
    channel: Channel,
    talk: ServerTalk,
    test: Option<Test>,
    /// Connections that showed the cookie, with the number they came under.
    shown: Vec<(u64, Handle<Connection>)>,
    /// Where datagrams that open streams come to.
    door: Option<Handle<Datagrams>>,
    /// When patience ends.
    until: Instant,
    /// When the last datagrams are to have left.
    draining: Option<Instant>,
    progress: (u64, Instant),
    remote: Option<Results>,
    printed: bool,
}

impl Visit {
    /// Of the control connection `h`, whose cookie was read.
    pub fn new(
        house: House,
        h: Handle<Connection>,
        cookie: Cookie,
        peer: SocketAddr,
        now: Instant,
    ) -> Self {
        let mut channel = Channel::new(h, limits::JSON);
        channel.state(State::ParamExchange);
        Self {
            cookie,
            peer,
            house,
            channel,
            talk: ServerTalk::new(),
            test: None,
            shown: Vec::new(),
            door: None,
            until: now + PATIENCE,
            draining: None,
            progress: (0, now),
            remote: None,
            printed: false,
        }
    }

    /// A connection showed the cookie; false if no stream is missing. `n` is the number it came
    /// under: streams are in the order in which they came.
    pub fn shown(&mut self, h: Handle<Connection>, n: u64) -> bool {
        let wanted = match &self.test {
            Some(test) if self.talk.phase == Phase::Streams && !test.params.udp => {
                test.params.streams()
            }
            _ => 0,
        };
        if self.shown.len() < wanted {
            self.shown.push((n, h));
            return true;
        }
        false
    }

    /// There is news of a connection; false if it is none of this visit's.
    pub fn connection(&mut self, host: &mut Stack, h: Handle<Connection>, now: Instant) -> bool {
        if h == self.channel.handle {
            self.channel.stir();
            return true;
        }
        self.shown.iter().any(|(_, shown)| *shown == h)
            || self
                .test
                .as_mut()
                .is_some_and(|test| test.news(host, Socket::Tcp(h), now))
    }

    /// There is news of a datagram socket; false if it is none of this visit's.
    pub fn datagrams(&mut self, host: &mut Stack, h: Handle<Datagrams>, now: Instant) -> bool {
        if self.door == Some(h) {
            self.knocks(host, now);
            return true;
        }
        self.test
            .as_mut()
            .is_some_and(|test| test.news(host, Socket::Udp(h), now))
    }

    /// Opens a stream for each datagram of the client's that asks for one.
    fn knocks(&mut self, host: &mut Stack, now: Instant) {
        let (Some(door), Some(test)) = (self.door, &mut self.test) else {
            return;
        };
        loop {
            let knock = host.socket(door).with(|socket| {
                socket.recv_with(|meta, data| (meta.local, meta.peer, welcome(data)))
            });
            let (local, peer, answer) = match knock {
                Ok(Ok((local, peer, Some(answer)))) => (local, peer, answer),
                // Whatever else comes here is nobody's.
                Ok(Ok(_) | Err(RecvError::Failed(_))) => continue,
                _ => return,
            };
            if test.is_complete() || peer.ip() != self.peer.ip() {
                continue;
            }
            let mut socket = datagrams(test.params.len as usize, test.params.streams());
            socket.bind(Some(local), self.house.port);
            socket.set_tos(test.params.tos);
            if socket.connect(peer).is_err() || socket.send(&answer).is_err() {
                continue;
            }
            // One that is there already was opened by the same words, said twice.
            let Ok(h) = host.open(socket) else { continue };
            let local = SocketAddr::new(local, self.house.port);
            add(test, Socket::Udp(h), local, peer);
            self.until = now + PATIENCE;
        }
    }

    /// Does what is due.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub fn turn(
        &mut self,
        host: &mut Stack,
        now: Instant,
        report: &mut Report,
    ) -> Result<Option<Outcome>, CliError> {
        self.channel.pump(host);
        loop {
            match self.talk.hear(&mut self.channel.inbox) {
                Ok(None) => break,
                Ok(Some(asked)) => {
                    self.until = now + PATIENCE;
                    if let Some(outcome) = self.asked(host, now, report, asked)? {
                        return Ok(Some(outcome));
                    }
                }
                Err(trouble) => {
                    let code = match &trouble {
                        Trouble::Refused(refused) => refused.code,
                        Trouble::Bad(_) => BAD_MESSAGE,
                    };
                    return Ok(Some(self.give_up(code, trouble)));
                }
            }
            // It changes where messages of the next kind begin.
            self.channel.pump(host);
        }
        if let Some(ended) = self.channel.ended() {
            let over = self.talk.phase >= Phase::Told;
            return Ok(Some(match ended {
                _ if over => Outcome::Done,
                None => Outcome::Failed("the client closed the control connection".into()),
                Some(error) => Outcome::Failed(format!("control connection: {error}")),
            }));
        }
        self.assemble(host, now, report)?;
        let outcome = self.running(host, now, report)?;
        self.channel.pump(host);
        if outcome.is_some() {
            return Ok(outcome);
        }
        Ok((self.until <= now).then(|| match self.talk.phase {
            Phase::Told => Outcome::Done,
            _ => self.give_up(IDLE, "the client says nothing any more"),
        }))
    }

    fn asked(
        &mut self,
        host: &mut Stack,
        now: Instant,
        report: &mut Report,
        asked: Asked,
    ) -> Result<Option<Outcome>, CliError> {
        match asked {
            Asked::Test(params) => return self.prepare(host, *params, report),
            Asked::End => {
                if let Some(test) = &mut self.test {
                    test.stop();
                    self.draining = Some(now + DRAIN);
                }
            }
            Asked::Results(results) => {
                self.remote = Some(*results);
                self.tell(report, now);
            }
            Asked::Bye => return Ok(Some(Outcome::Done)),
            Asked::Terminated => {
                self.sum_up(host, now, report)?;
                return Ok(Some(Outcome::Failed("the client was stopped".into())));
            }
        }
        Ok(None)
    }

    fn prepare(
        &mut self,
        host: &mut Stack,
        params: Params,
        report: &mut Report,
    ) -> Result<Option<Outcome>, CliError> {
        self.channel.inbox.set_most(MOST);
        report.copy = params.server_output.then(String::new);
        report.introduce();
        let (ip, port) = (self.peer.ip(), self.peer.port());
        report.line(&format!("Accepted connection from {ip}, port {port}"))?;
        if let Some(doc) = &mut report.doc {
            let accepted = serde_json::json!({"host": ip.to_string(), "port": port});
            doc.start("accepted_connection", accepted);
            doc.start("cookie", self.cookie.to_string());
        }
        if params.udp {
            let buffer = || vec![0; 64 << 10].into_boxed_slice();
            match host.open(UdpSocket::new(self.house.port, buffer(), buffer())) {
                Ok(door) => self.door = Some(door),
                Err(e) => return Ok(Some(self.give_up(102, format_args!("datagrams: {e}")))),
            }
        }
        self.test = Some(Test::new(
            params,
            Side::Server,
            self.house.every,
            self.house.fill,
        ));
        self.channel.state(State::CreateStreams);
        Ok(None)
    }

    /// Begins when all streams are there.
    fn assemble(
        &mut self,
        host: &mut Stack,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), CliError> {
        let Some(test) = self
            .test
            .as_mut()
            .filter(|_| self.talk.phase == Phase::Streams)
        else {
            return Ok(());
        };
        if !test.params.udp && self.shown.len() >= test.params.streams() {
            self.shown.sort_unstable_by_key(|(n, _)| *n);
            for (_, h) in self.shown.drain(..) {
                let ends = host.socket(h).with(|socket| {
                    outfit(socket, &test.params);
                    (socket.local_addr(), socket.peer_addr())
                });
                // One that has ended already counts: it will say so.
                let (local, peer) = ends.unwrap_or_default();
                let local = local.unwrap_or(self.peer);
                add(test, Socket::Tcp(h), local, peer.unwrap_or(self.peer));
            }
        }
        if !test.is_complete() {
            return Ok(());
        }
        self.channel.state(State::TestStart);
        self.channel.state(State::TestRunning);
        self.talk.phase = Phase::Running;
        report.begin(test)?;
        if let Some(doc) = &mut report.doc {
            doc.begin(test);
        }
        test.begin(host, now);
        self.progress = (0, now);
        Ok(())
    }

    /// While the test runs, and when it ends.
    fn running(
        &mut self,
        host: &mut Stack,
        now: Instant,
        report: &mut Report,
    ) -> Result<Option<Outcome>, CliError> {
        let Some(test) = &mut self.test else {
            return Ok(None);
        };
        match self.talk.phase {
            Phase::Running => {
                if let Some(interval) = test.tick(host, now) {
                    report.interval(test, &interval)?;
                }
                if self.progress.0 != test.moved {
                    self.progress = (test.moved, now);
                }
                let whole = match test.params.volume() {
                    None if test.params.time > 0 => test.params.time.saturating_add(60),
                    _ => limits::TIME as u32,
                };
                // It is the client that ends a test, if it is still there.
                let longest = Duration::from_secs(u64::from(whole) + u64::from(test.params.omit));
                let failure = test
                    .failure()
                    .map(|(id, why)| format!("stream {id}: {why}"));
                self.until = (self.progress.1 + self.house.stall).min(test.started() + longest);
                let stalled = self.until <= now;
                if stalled || failure.is_some() {
                    self.sum_up(host, now, report)?;
                    let why = failure.unwrap_or_else(|| "the client let the test go on".into());
                    return Ok(Some(self.give_up(IDLE, why)));
                }
            }
            Phase::Ended => {
                let late = self.draining.is_none_or(|until| until <= now);
                let waits = test.params.udp && !test.is_drained(host) || test.lacks();
                if late || !waits {
                    self.draining = None;
                    self.sum_up(host, now, report)?;
                    self.channel.state(State::ExchangeResults);
                    self.talk.phase = Phase::Results;
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// Closes the books and prints what we know.
    fn sum_up(
        &mut self,
        host: &mut Stack,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), CliError> {
        let begun = self.talk.phase >= Phase::Running;
        let Some(test) = self.test.as_mut().filter(|_| begun && !self.printed) else {
            return Ok(());
        };
        self.printed = true;
        if let Some(interval) = test.finish(host, now) {
            report.interval(test, &interval)?;
        }
        let mut summary = Summary::new(test, test.results(now), None);
        summary.retransmits[1] = false;
        Ok(report.summary(test, &summary)?)
    }

    /// Tells our numbers.
    fn tell(&mut self, report: &mut Report, now: Instant) {
        let Some(test) = &self.test else { return };
        let mut results = test.results(now);
        results.output = report.copy.take();
        let json = results.to_json(test.params.udp, |id| test.sends(id));
        self.channel.json(&json);
        self.channel.state(State::DisplayResults);
    }

    /// Tells the client that it will not be.
    fn give_up(&mut self, code: u32, why: impl fmt::Display) -> Outcome {
        self.channel.error(code);
        self.talk.phase = Phase::Over;
        Outcome::Failed(why.to_string())
    }

    /// The largest segment that streams of this test are to have.
    pub fn mss(&self) -> Option<u16> {
        let mss = self.test.as_ref().map_or(0, |test| test.params.mss);
        (mss > 0).then_some(mss)
    }

    /// The server was told to stop.
    ///
    /// # Errors
    /// When nothing can be printed.
    pub fn interrupt(
        &mut self,
        host: &mut Stack,
        now: Instant,
        report: &mut Report,
    ) -> Result<(), CliError> {
        self.channel.state(State::ServerTerminate);
        self.sum_up(host, now, report)
    }

    /// When something is due next.
    pub fn deadline(&self) -> Option<Instant> {
        let test = self.test.as_ref().and_then(Test::deadline);
        let running = self.talk.phase == Phase::Running;
        let all = [Some(self.until), test.filter(|_| running), self.draining];
        all.into_iter().flatten().min()
    }

    /// Takes leave of everything.
    pub fn leave(mut self, host: &mut Stack) {
        self.channel.close(host);
        for (_, h) in self.shown.drain(..) {
            let _ = host.close(h);
        }
        if let Some(door) = self.door {
            host.remove::<Datagrams, _>(door);
        }
        if let Some(mut test) = self.test {
            test.close(host);
        }
    }
}

/// One more stream.
fn add(test: &mut Test, socket: Socket, local: SocketAddr, peer: SocketAddr) {
    let index = test.streams.len();
    let sends = test.params.sends(Side::Server, index);
    test.add(Stream::new(
        Params::stream_id(index),
        sends,
        socket,
        local,
        peer,
    ));
}
