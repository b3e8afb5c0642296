//! A test as it runs, the same at both ends: its streams and its time.
//!
//! Invariant: a stream costs something when there is news of it, when its rate allows more, and
//! when a report is due, and nothing else; no turn looks at all of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use netstrata::phy::Instant;
use rand_core::Rng as _;

use super::cpu::Mark;
use super::pace::Pace;
use super::params::{Params, Side};
use super::results::{Results, StreamResult};
use super::stream::{Socket, Source, Stack, Stream};
use super::tally::{Figures, Link};

/// What moved between two reports.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Seconds since the beginning.
    pub from: f64,
    /// See `from`.
    pub to: f64,
    /// Before the time that counts?
    pub omitted: bool,
    /// In the order of the streams.
    pub streams: Vec<(Figures, Link)>,
}

/// See the head of this file.
pub struct Test {
    /// What was asked for.
    pub params: Params,
    /// Which end this is.
    pub side: Side,
    /// In the order the client opened them.
    pub streams: Vec<Stream>,
    /// Octets that moved, either way, whether they count or not: grows while the test lives.
    pub moved: u64,
    /// Octets that moved before it counted.
    uncounted: u64,
    /// The first stream that failed.
    failed: Option<usize>,
    source: Source,
    index: HashMap<Socket, usize>,
    /// When streams that keep a rate may send more.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Octets this end may still send.
    left: u64,
    sending: bool,
    /// Since when it counts.
    began: Instant,
    ended: Option<Instant>,
    /// Until when it does not count yet.
    omitting: Option<Instant>,
    every: Option<Duration>,
    /// When the last report was, and when the next one is due.
    reported: Instant,
    next_report: Option<Instant>,
    reports: u32,
    mark: Mark,
}

impl Test {
    /// A test without streams yet, reported `every` so often; `fill` as [`Source`] has it.
    pub fn new(params: Params, side: Side, every: Option<Duration>, fill: bool) -> Self {
        let source = Source {
            block: block(&params),
            fill,
            wide: params.wide_counters,
        };
        Self {
            params,
            side,
            streams: Vec::new(),
            moved: 0,
            uncounted: 0,
            failed: None,
            source,
            index: HashMap::new(),
            due: BinaryHeap::new(),
            left: u64::MAX,
            sending: false,
            began: Instant::ZERO,
            ended: None,
            omitting: None,
            every,
            reported: Instant::ZERO,
            next_report: None,
            reports: 0,
            mark: Mark::now(),
        }
    }

    /// The length of a block was changed.
    pub fn fit(&mut self) {
        self.source.block = block(&self.params);
    }

    /// Since when it counts.
    pub fn started(&self) -> Instant {
        self.began
    }

    /// Do we send on the stream of that number?
    pub fn sends(&self, id: u32) -> bool {
        self.streams
            .iter()
            .any(|stream| stream.id == id && stream.sends)
    }

    /// Takes a stream in.
    pub fn add(&mut self, stream: Stream) {
        self.index.insert(stream.socket, self.streams.len());
        self.streams.push(stream);
    }

    /// Are all streams there?
    pub fn is_complete(&self) -> bool {
        self.streams.len() >= self.params.streams()
    }

    /// Its time begins, and whoever sends may send.
    pub fn begin(&mut self, host: &mut Stack, now: Instant) {
        self.restart(now);
        self.uncounted = 0;
        if self.params.omit > 0 {
            self.omitting = Some(now + Duration::from_secs(self.params.omit.into()));
        } else {
            self.left = self.volume();
        }
        self.sending = true;
        let burst = u64::from(self.params.len) * u64::from(self.params.burst.max(1));
        for n in 0..self.streams.len() {
            if let Some(stream) = self.streams.get_mut(n) {
                stream.pace = Pace::new(self.params.rate, burst, now);
            }
            self.send(host, n, now);
            // What came while it was being opened makes no news again.
            self.receive(host, n, now);
        }
    }

    fn restart(&mut self, now: Instant) {
        (self.began, self.reported, self.mark) = (now, now, Mark::now());
        self.next_report = self.every.map(|every| now + every);
        self.uncounted = self.moved;
    }

    /// Octets this end sends before it stops by itself. A server stops only where nothing can
    /// be lost and both ends count from the same octet on: else its client waits for the rest.
    fn volume(&self) -> u64 {
        let exact = self.side == Side::Client || !self.params.udp && self.params.omit == 0;
        self.params.volume().filter(|_| exact).unwrap_or(u64::MAX)
    }

    /// There is news of a socket; false if it is none of this test.
    pub fn news(&mut self, host: &mut Stack, socket: Socket, now: Instant) -> bool {
        let Some(&n) = self.index.get(&socket) else {
            return false;
        };
        self.send(host, n, now);
        self.receive(host, n, now);
        true
    }

    fn send(&mut self, host: &mut Stack, n: usize, now: Instant) {
        let Some(stream) = self.streams.get_mut(n).filter(|s| s.sends && self.sending) else {
            return;
        };
        let sent = stream.send(host, now, &self.source, self.left);
        self.left = self.left.saturating_sub(sent);
        self.moved += sent;
        if stream.failed.is_some() {
            self.failed = self.failed.or(Some(n));
        }
        if let Some(pace) = stream.pace.as_mut().filter(|_| !stream.waits)
            && self.left > 0
            && pace.allowed(now) == 0
        {
            stream.waits = true;
            let due = pace.due().max(now + Pace::QUANTUM);
            self.due.push(Reverse((due, n)));
        }
    }

    fn receive(&mut self, host: &mut Stack, n: usize, now: Instant) {
        let open = self.ended.is_none();
        if let Some(stream) = self
            .streams
            .get_mut(n)
            .filter(|stream| !stream.sends && open)
        {
            self.moved += stream.receive(host, now, self.source.wide);
            if stream.failed.is_some() {
                self.failed = self.failed.or(Some(n));
            }
        }
    }

    /// Does what is due; returns a report if one is.
    pub fn tick(&mut self, host: &mut Stack, now: Instant) -> Option<Interval> {
        while let Some(Reverse((at, n))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            if let Some(stream) = self.streams.get_mut(n) {
                stream.waits = false;
            }
            self.send(host, n, now);
        }
        let counts = self.omitting.is_some_and(|until| until <= now);
        let due = self.next_report.is_some_and(|at| at <= now);
        let report = (due || counts).then(|| self.report(host, now));
        if counts {
            self.omitting = None;
            self.restart(now);
            self.left = self.volume();
            for stream in &mut self.streams {
                stream.restart();
            }
            for n in 0..self.streams.len() {
                self.send(host, n, now);
            }
        }
        report
    }

    fn report(&mut self, host: &mut Stack, now: Instant) -> Interval {
        let from = seconds(self.reported.saturating_since(self.began));
        self.reported = now;
        // Reports stay on their beat when one is late, unless one was missed.
        let next = self
            .next_report
            .zip(self.every)
            .map(|(at, every)| at + every);
        self.next_report = match (next, self.every) {
            (Some(at), Some(every)) if at <= now => Some(now + every),
            (next, _) => next,
        };
        self.reports += 1;
        let streams = self.streams.iter_mut().map(|stream| {
            stream.look(host, now);
            let moved = stream.figures.since(&stream.reported);
            stream.reported = stream.figures;
            (moved, stream.link)
        });
        Interval {
            from,
            streams: streams.collect(),
            to: seconds(now.saturating_since(self.began)),
            omitted: self.omitting.is_some(),
        }
    }

    /// When something is due next.
    pub fn deadline(&self) -> Option<Instant> {
        let sends = self.due.peek().map(|Reverse((at, _))| *at);
        [sends, self.next_report, self.omitting, self.end()]
            .into_iter()
            .flatten()
            .min()
    }

    /// When its time is over, if it has one and that has begun.
    fn end(&self) -> Option<Instant> {
        let counts = self.omitting.is_none() && self.params.time > 0;
        let timed = counts && self.params.volume().is_none();
        timed.then(|| self.began + Duration::from_secs(self.params.time.into()))
    }

    /// Is its time over, or has enough moved?
    pub fn is_over(&self, now: Instant) -> bool {
        if self.omitting.is_some() {
            return false;
        }
        if self.end().is_some_and(|end| end <= now) {
            return true;
        }
        let Some(volume) = self.params.volume() else {
            return false;
        };
        if self.left == 0 {
            return true;
        }
        // Where the other end sends, what came decides.
        self.params.reverse && self.moved - self.uncounted >= volume
    }

    /// Nobody sends any more here.
    pub fn stop(&mut self) {
        self.sending = false;
    }

    /// Has all that was sent left, and, with TCP, arrived?
    pub fn is_drained(&self, host: &mut Stack) -> bool {
        let mut senders = self.streams.iter().filter(|stream| stream.sends);
        senders.all(|stream| stream.is_drained(host))
    }

    /// Is some of what the other end sent, and says it did, still on its way?
    pub fn lacks(&self) -> bool {
        let expected = self
            .params
            .volume()
            .filter(|_| !self.params.udp && self.params.omit == 0);
        let receivers = self.streams.iter().filter(|stream| !stream.sends);
        let mut came = receivers.map(|stream| stream.figures.octets).peekable();
        came.peek().is_some() && expected.is_some_and(|volume| came.sum::<u64>() < volume)
    }

    /// Takes the last of what came, and closes the books; returns the last report, if anything
    /// is in it.
    pub fn finish(&mut self, host: &mut Stack, now: Instant) -> Option<Interval> {
        self.sending = false;
        for n in 0..self.streams.len() {
            self.receive(host, n, now);
        }
        if self.ended.replace(now).is_some() {
            return None;
        }
        let rest = self
            .streams
            .iter()
            .any(|s| s.figures.octets != s.reported.octets);
        let report = (rest || self.reports == 0).then(|| self.report(host, now));
        self.next_report = None;
        for stream in &mut self.streams {
            stream.look(host, now);
        }
        report
    }

    /// Seconds that count, so far or in all.
    pub fn seconds(&self, now: Instant) -> f64 {
        seconds(self.ended.unwrap_or(now).saturating_since(self.began))
    }

    /// Our numbers.
    pub fn results(&self, now: Instant) -> Results {
        let congestion = self.streams.iter().find_map(|stream| stream.congestion);
        let spent = self.ended.unwrap_or(now).saturating_since(self.began);
        let streams = self.streams.iter().map(|stream| StreamResult {
            id: stream.id,
            figures: stream.counted(),
            omitted: Some((stream.omitted.packets, stream.omitted.lost)),
            seconds: self.seconds(now),
        });
        Results {
            cpu: self.mark.used(spent),
            has_retransmits: !self.params.udp && self.streams.iter().any(|s| s.sends),
            congestion: congestion.map(String::from),
            streams: streams.collect(),
            output: None,
        }
    }

    /// The first stream that failed, and why.
    pub fn failure(&self) -> Option<(u32, &str)> {
        let stream = self.streams.get(self.failed?)?;
        Some((stream.id, stream.failed.as_deref()?))
    }

    /// Takes leave of all streams.
    pub fn close(&mut self, host: &mut Stack) {
        for stream in self.streams.drain(..) {
            stream.close(host);
        }
        self.index.clear();
        self.due.clear();
    }
}

/// What is sent. Not for secrecy: so that nothing on the way can shorten it.
fn block(params: &Params) -> Box<[u8]> {
    let mut block = vec![0; params.len as usize].into_boxed_slice();
    netstrata::host::os_rng().fill_bytes(&mut block);
    block
}

fn seconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e6
}
