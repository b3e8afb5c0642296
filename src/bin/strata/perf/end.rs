//! The loop around a test: one end on a real device, both on a cable or loopback.
//!
//! Invariant: news goes to whom it belongs, datagrams before connections, so that what came
//! before the end of a test is counted before it ends.

use std::process::ExitCode;
use std::time::Duration;

use netstrata::host::Datagrams;
use netstrata::phy::Instant;
use netstrata::socket::{Handle, SocketSet as _};

use super::stream::Stack;
use crate::errors::CliError;
use crate::session::Session;
use crate::stop;
use crate::trace::Connection;

/// How long connections may take to end in order.
const GRACE: Duration = Duration::from_secs(2);

/// What a turn came to.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Nothing is to be done before news or this time.
    Wait(Option<Instant>),
    /// It is over.
    Done(ExitCode),
}

/// A client or a server.
pub trait End {
    /// There is news of a connection; false if it is somebody else's.
    fn connection(&mut self, host: &mut Stack, h: Handle<Connection>, now: Instant) -> bool;
    /// There is news of a datagram socket; false if it is somebody else's.
    fn datagrams(&mut self, host: &mut Stack, h: Handle<Datagrams>, now: Instant) -> bool;
    /// Does what is due.
    ///
    /// # Errors
    /// Why it is over before its end.
    fn turn(&mut self, host: &mut Stack, now: Instant) -> Result<Step, CliError>;
    /// Somebody pressed Ctrl-C: ends in order, by itself, in the next turn.
    fn interrupt(&mut self);
}

/// The ends on one host.
#[derive(Default)]
pub struct Place {
    /// At most two.
    pub ends: Vec<Box<dyn End>>,
}

impl Place {
    /// Hands out news; true if there was any.
    fn news(&mut self, host: &mut Stack, now: Instant) -> bool {
        let mut any = false;
        while let Some(h) = host.next_news::<Datagrams, _>() {
            any = true;
            let _ = self.ends.iter_mut().any(|end| end.datagrams(host, h, now));
        }
        while let Some(h) = host.next_news::<Connection, _>() {
            any = true;
            let _ = self.ends.iter_mut().any(|end| end.connection(host, h, now));
        }
        any
    }

    /// A turn of each end; the first one's is told.
    fn turn(&mut self, host: &mut Stack, now: Instant) -> Result<Step, CliError> {
        let mut first = None;
        let mut until = None;
        for end in &mut self.ends {
            let step = end.turn(host, now)?;
            if let Step::Wait(Some(at)) = step {
                until = earlier(until, at);
            }
            first.get_or_insert(step);
        }
        Ok(match first {
            Some(Step::Done(code)) => Step::Done(code),
            _ => Step::Wait(until),
        })
    }
}

fn earlier(until: Option<Instant>, at: Instant) -> Option<Instant> {
    Some(until.map_or(at, |until| until.min(at)))
}

/// Runs all ends until the first of those near is done.
///
/// # Errors
/// Why it ended early.
pub fn run(
    session: &mut Session,
    mut far: Option<Stack>,
    near_ends: &mut Place,
    far_ends: &mut Place,
) -> Result<ExitCode, CliError> {
    let mut stopped = false;
    let result = loop {
        let now = session.now();
        if stop::asked() && !stopped {
            stopped = true;
            for end in near_ends.ends.iter_mut().take(1) {
                end.interrupt();
            }
        }
        let mut any = near_ends.news(&mut session.host, now);
        let mut until = None;
        if let Some(host) = &mut far {
            any |= far_ends.news(host, now);
            match far_ends.turn(host, now) {
                Ok(Step::Wait(Some(at))) => until = Some(at),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        }
        match near_ends.turn(&mut session.host, now) {
            Ok(Step::Done(code)) => break Ok(code),
            Ok(Step::Wait(at)) => until = at.map_or(until, |at| earlier(until, at)),
            Err(error) => break Err(error),
        }
        let until = if any { Some(now) } else { until };
        if let Err(error) = session.turn_with(&mut far, until, &[]) {
            break Err(error);
        }
    };
    // What was said last is to arrive; with both ends here nobody minds.
    if far.is_none() && near_ends.ends.len() == 1 {
        let until = session.now() + GRACE;
        while !session.host.sockets::<Connection, _>().is_empty() && session.now() < until {
            session.turn(Some(until), &[])?;
        }
    }
    result
}
