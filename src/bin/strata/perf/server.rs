//! The end that is asked for tests: one at a time, for whoever comes.
//!
//! Invariant: who has not shown a cookie gets 37 octets of ours and ten seconds; how many of
//! them there are, how many tests begin in a second, and what each may ask for is bounded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use netstrata::host::Datagrams;
use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::tcp::RecvError;

use super::channel::Channel;
use super::end::{End, Step};
use super::report::Report;
use super::stream::Stack;
use super::visit::{House, Outcome, Visit};
use super::wire::{Cookie, Inbox, State};
use crate::errors::{CliError, note};
use crate::trace::Connection;

/// How long a newcomer may take for its cookie.
const PATIENCE: Duration = Duration::from_secs(10);
/// Newcomers at once: all streams of the largest test, and as many who want one.
const GUESTS: usize = 512;
/// Tests that may begin at once, and then one each [`BREATH`].
const TESTS: u32 = 64;
/// See [`TESTS`].
const BREATH: Duration = Duration::from_millis(50);

/// Somebody who connected and has not shown a cookie.
struct Guest {
    handle: Handle<Connection>,
    number: u64,
    inbox: Inbox,
    until: Instant,
}

/// See the head of this file.
pub struct Server {
    house: House,
    report: Report,
    listener: Handle<Connection>,
    /// Those who came first are first.
    guests: Vec<Guest>,
    arrivals: u64,
    visit: Option<Visit>,
    bucket: Bucket,
    tests: u64,
    one_off: bool,
    /// What the listener was told last.
    mss: Option<u16>,
    /// Not a word of what goes wrong, as at the other end of a demonstration.
    quiet: bool,
    interrupted: bool,
    failed: bool,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// When the port is taken, or nothing can be printed.
    pub fn new(
        host: &mut Stack,
        house: House,
        report: Report,
        one_off: bool,
        quiet: bool,
    ) -> Result<Self, CliError> {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), house.port);
        let listener = host
            .open(Connection::listener(any, GUESTS))
            .map_err(|e| CliError::setup(format_args!("port {}", house.port), e))?;
        let mut server = Self {
            house,
            report,
            listener,
            guests: Vec::new(),
            arrivals: 0,
            visit: None,
            bucket: Bucket::default(),
            tests: 1,
            one_off,
            mss: None,
            quiet,
            interrupted: false,
            failed: false,
        };
        server.banner()?;
        Ok(server)
    }

    fn banner(&mut self) -> Result<(), CliError> {
        let rule = "-----------------------------------------------------------";
        let (port, n) = (self.house.port, self.tests);
        self.report.line(rule)?;
        self.report
            .line(&format!("Server listening on {port} (test #{n})"))?;
        Ok(self.report.line(rule)?)
    }

    fn accept(&mut self, host: &mut Stack, now: Instant) {
        while let Some(handle) = host.socket(self.listener).accept() {
            if self.guests.len() >= GUESTS {
                let _ = host.socket(handle).with(|socket| socket.abort());
                let _ = host.close(handle);
                continue;
            }
            self.arrivals += 1;
            self.guests.push(Guest {
                handle,
                number: self.arrivals,
                inbox: Inbox::new(Cookie::LEN),
                until: now + PATIENCE,
            });
            self.listen(host, handle, now);
        }
    }

    /// A guest said something; false if it is none.
    fn listen(&mut self, host: &mut Stack, h: Handle<Connection>, now: Instant) -> bool {
        let Some(at) = self.guests.iter().position(|guest| guest.handle == h) else {
            return false;
        };
        let Some(guest) = self.guests.get_mut(at) else {
            return false;
        };
        let over = host.socket(h).with(|socket| {
            loop {
                let mut full = false;
                let inbox = &mut guest.inbox;
                match socket.read_with(|piece| {
                    let taken = inbox.fill(piece);
                    full = taken < piece.len();
                    taken
                }) {
                    Ok(n) if n > 0 && !full => {}
                    // What is behind the cookie is whoever's it will be.
                    Ok(_) if full => return false,
                    Ok(_) => return true,
                    Err(RecvError::Empty) => return false,
                    Err(_) => return true,
                }
            }
        });
        match guest.inbox.cookie() {
            Ok(Some(cookie)) => {
                let guest = self.guests.remove(at);
                self.welcome(host, &guest, cookie, now);
            }
            Ok(None) if over == Ok(false) => {}
            _ => {
                self.guests.remove(at);
                let _ = host.close(h);
            }
        }
        true
    }

    /// Somebody showed a cookie: a stream of the test there is, or a new test.
    fn welcome(&mut self, host: &mut Stack, guest: &Guest, cookie: Cookie, now: Instant) {
        let h = guest.handle;
        if let Some(visit) = &mut self.visit
            && visit.cookie == cookie
            && visit.shown(h, guest.number)
        {
            return;
        }
        let peer = host
            .socket(h)
            .look(|socket| socket.peer_addr())
            .ok()
            .flatten();
        let (Some(peer), None) = (peer, &self.visit) else {
            return deny(host, h);
        };
        if self.interrupted || !self.bucket.take(now) {
            return deny(host, h);
        }
        let _ = host.socket(h).with(|socket| socket.set_nodelay(true));
        self.visit = Some(Visit::new(self.house, h, cookie, peer, now));
        self.report.copy = None;
    }

    fn step(&mut self, host: &mut Stack, now: Instant) -> Result<Step, CliError> {
        while let Some(guest) = self.guests.first().filter(|guest| guest.until <= now) {
            let h = guest.handle;
            let _ = host.socket(h).with(|socket| socket.abort());
            let _ = host.close(h);
            self.guests.remove(0);
        }
        if let Some(mut visit) = self.visit.take() {
            if self.interrupted {
                visit.interrupt(host, now, &mut self.report)?;
                visit.leave(host);
            } else {
                let turned = visit.turn(host, now, &mut self.report)?;
                // It is agreed on before a connection is there to be asked.
                let mss = visit.mss().filter(|_| turned.is_none());
                if core::mem::replace(&mut self.mss, mss) != mss {
                    let _ = host
                        .socket(self.listener)
                        .with(|socket| socket.set_mss(mss));
                }
                match turned {
                    None => self.visit = Some(visit),
                    Some(outcome) => {
                        let peer = visit.peer;
                        visit.leave(host);
                        if self.farewell(peer, outcome)? {
                            return Ok(self.done(host));
                        }
                    }
                }
            }
        }
        if self.interrupted {
            return Ok(self.done(host));
        }
        let guests = self.guests.first().map(|guest| guest.until);
        let visit = self.visit.as_ref().and_then(Visit::deadline);
        Ok(Step::Wait([guests, visit].into_iter().flatten().min()))
    }

    /// A test is over; true if it was the last.
    fn farewell(&mut self, peer: SocketAddr, outcome: Outcome) -> Result<bool, CliError> {
        self.report.copy = None;
        self.failed = matches!(outcome, Outcome::Failed(_));
        if let Outcome::Failed(why) = &outcome {
            if let Some(doc) = &mut self.report.doc {
                doc.add("error", why.as_str());
            }
            if !self.quiet {
                note!("strata perf: {peer}: {why}");
            }
        }
        if let Some(doc) = &mut self.report.doc {
            let text = doc.take();
            self.report.print(&text)?;
        }
        self.tests += 1;
        if !self.one_off {
            self.banner()?;
        }
        Ok(self.one_off)
    }

    fn done(&mut self, host: &mut Stack) -> Step {
        for guest in self.guests.drain(..) {
            let _ = host.close(guest.handle);
        }
        let _ = host.close(self.listener);
        Step::Done(ExitCode::from(u8::from(self.one_off && self.failed)))
    }
}

impl End for Server {
    fn connection(&mut self, host: &mut Stack, h: Handle<Connection>, now: Instant) -> bool {
        if h == self.listener {
            self.accept(host, now);
            return true;
        }
        let visit = self.visit.as_mut();
        visit.is_some_and(|visit| visit.connection(host, h, now)) || self.listen(host, h, now)
    }

    fn datagrams(&mut self, host: &mut Stack, h: Handle<Datagrams>, now: Instant) -> bool {
        let visit = self.visit.as_mut();
        visit.is_some_and(|visit| visit.datagrams(host, h, now))
    }

    fn turn(&mut self, host: &mut Stack, now: Instant) -> Result<Step, CliError> {
        self.step(host, now)
    }

    fn interrupt(&mut self) {
        self.interrupted = true;
    }
}

/// There is a test already.
fn deny(host: &mut Stack, h: Handle<Connection>) {
    let mut channel = Channel::new(h, 0);
    channel.state(State::AccessDenied);
    channel.close(host);
}

/// So many at once, and then one after another.
#[derive(Debug)]
struct Bucket {
    left: u32,
    since: Instant,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            left: TESTS,
            since: Instant::ZERO,
        }
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let breaths = now.saturating_since(self.since).as_micros() / BREATH.as_micros();
        let breaths = u32::try_from(breaths).unwrap_or(u32::MAX);
        if breaths > 0 {
            self.left = self.left.saturating_add(breaths).min(TESTS);
            self.since = now;
        }
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_begin_without_end() {
        let mut bucket = Bucket::default();
        let begun = (0..1000).filter(|_| bucket.take(Instant::ZERO)).count();
        assert_eq!(begun, 64);
        let begun = (0..1000)
            .filter(|ms| bucket.take(Instant::from_millis(*ms)))
            .count();
        assert_eq!(begun, 19);
        let much_later = Instant::from_secs(1 << 40);
        assert!((0..64).all(|_| bucket.take(much_later)) && !bucket.take(much_later));
    }
}
