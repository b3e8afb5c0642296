//! Two hosts in virtual time: it jumps to whatever happens next.
//!
//! The hosts may be any stacks over any interfaces; their devices come from [`wires`], which
//! counts frames so that the pair knows when nothing moves any more.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netstrata::Next;
use netstrata::phy::{Abort, Capabilities, Device, FrameSink, Instant, RxToken, TxMeta, TxToken};

use super::Host;

/// A device that counts the frames sent through it.
#[derive(Debug)]
pub struct Counted<D> {
    device: D,
    sent: Arc<AtomicU64>,
}

struct CountedTx<T> {
    token: T,
    sent: Arc<AtomicU64>,
}

impl<T: TxToken> TxToken for CountedTx<T> {
    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.token.send_gather(head, payload, meta, fill)
    }
}

struct CountedSink<'a, K>(&'a mut K, &'a Arc<AtomicU64>);

impl<K: FrameSink> FrameSink for CountedSink<'_, K> {
    fn frame(&mut self, rx: impl RxToken, answer: Option<impl TxToken>) {
        let sent = self.1.clone();
        self.0
            .frame(rx, answer.map(|token| CountedTx { token, sent }));
    }
}

impl<D: Device> Device for Counted<D> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let taken = self
            .device
            .receive(now, budget, &mut CountedSink(sink, &self.sent));
        self.sent.fetch_add(taken as u64, Ordering::Relaxed);
        taken
    }
    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        let sent = self.sent.clone();
        let token = self.device.transmit(now)?;
        Some(CountedTx { token, sent })
    }
    fn flush(&mut self, now: Instant) {
        self.device.flush(now);
    }
    fn deadline(&self) -> Option<Instant> {
        self.device.deadline()
    }
}

/// Two devices, counted together. Pass each to one host and the counter to [`Pair::new`].
pub fn wires<A, B>(a: A, b: B) -> (Counted<A>, Counted<B>, Arc<AtomicU64>) {
    let moved = Arc::new(AtomicU64::new(0));
    let counted = (
        Counted {
            device: a,
            sent: moved.clone(),
        },
        Counted {
            device: b,
            sent: moved.clone(),
        },
    );
    (counted.0, counted.1, moved)
}

/// Two hosts and the time.
#[derive(Debug)]
pub struct Pair<A, B> {
    /// One host.
    pub a: A,
    /// The other.
    pub b: B,
    /// The time.
    pub now: Instant,
    moved: Arc<AtomicU64>,
}

/// Why [`Pair::run`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The application said so.
    Done,
    /// The time was up.
    Late,
    /// Nothing would ever have happened again.
    Stalled,
}

impl<A: Host, B: Host> Pair<A, B> {
    /// Two hosts on the devices of [`wires`], one second after the epoch.
    pub fn new(a: A, b: B, moved: Arc<AtomicU64>) -> Self {
        Self {
            a,
            b,
            now: Instant::from_secs(1),
            moved,
        }
    }

    /// Runs both hosts until `app`, which is called before each turn, says that it is done, or
    /// for `limit` of virtual time.
    ///
    /// # Panics
    /// If a host asks for turns without end at one and the same time.
    pub fn run(
        &mut self,
        limit: Duration,
        mut app: impl FnMut(&mut A, &mut B, Instant) -> bool,
    ) -> End {
        let end = self.now + limit;
        let (mut quiet, mut spins) = (0, 0u64);
        loop {
            let done = app(&mut self.a, &mut self.b, self.now);
            let before = self.moved.load(Ordering::Relaxed);
            let waits = [self.a.turn(self.now), self.b.turn(self.now)];
            if done {
                return End::Done;
            }
            let moved = before != self.moved.load(Ordering::Relaxed) || waits.contains(&Next::Now);
            quiet = if moved { 0 } else { quiet + 1 };
            spins += 1;
            assert!(
                spins < 1_000_000,
                "endless turns at {}: {waits:?}",
                self.now
            );
            // The application may act on what the last turn changed without a frame.
            if quiet < 2 {
                continue;
            }
            let next = waits.iter().filter_map(|wait| match wait {
                Next::Wait { until, .. } => *until,
                Next::Now => None,
            });
            match next.min() {
                None => return End::Stalled,
                Some(next) if next > end => {
                    self.now = end;
                    return End::Late;
                }
                Some(next) if next > self.now => {
                    self.now = next;
                    (quiet, spins) = (0, 0);
                }
                // Due now: the next turn deals with it.
                Some(_) => {}
            }
        }
    }

    /// Lets `span` of virtual time pass.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        self.run(span, |_, _, _| false);
        self.now = end;
    }
}
