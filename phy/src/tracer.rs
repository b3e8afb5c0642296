//! A wrapper that shows every frame in both directions to an observer. Frames are shown
//! where they lie: sending through a tracer copies nothing that sending without it would
//! not. Invariant: what the layers above and the device below see is unchanged.

use crate::{
    Abort, Capabilities, Device, FrameSink, Instant, RxCsum, RxMeta, RxToken, TxMeta, TxToken,
};

/// Which way a frame goes, as the stack sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the device to the stack.
    Received,
    /// From the stack to the device.
    Sent,
}

/// A frame as an observer sees it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Traced<'a> {
    /// When it passed: the `now` of the call that moved it.
    pub at: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// Its octets, in order; a gathered frame has more than one part that is not empty.
    pub parts: [&'a [u8]; 3],
    /// False if the device still has to complete the transport checksum, or vouched for it
    /// without completing it: the checksum in the octets may then be wrong.
    pub checksummed: bool,
}

impl<'a> Traced<'a> {
    /// Length of the frame in octets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether the frame has no octets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The frame in one piece: where it lies, or copied into `scratch` if it is gathered.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn contiguous<'s>(&self, scratch: &'s mut alloc::vec::Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        match self.parts {
            [whole, [], []] | [[], whole, []] | [[], [], whole] => whole,
            parts => {
                scratch.clear();
                for part in parts {
                    scratch.extend_from_slice(part);
                }
                scratch
            }
        }
    }
}

/// Somebody who looks at frames. Every closure over a [`Traced`] is one.
pub trait Observer {
    /// Looks at one frame. A frame being sent is shown when it is complete and before the
    /// device takes it, so the device may still refuse it.
    fn saw(&mut self, frame: Traced<'_>);
}

impl<F: FnMut(Traced<'_>)> Observer for F {
    fn saw(&mut self, frame: Traced<'_>) {
        self(frame)
    }
}

/// Shows every frame of `D` to `O`.
///
#[cfg_attr(feature = "alloc", doc = "```")]
#[cfg_attr(not(feature = "alloc"), doc = "```text")]
/// use phy::{Device, Instant, Loopback, Tracer, TxMeta, TxToken};
///
/// let mut seen = 0;
/// let mut lo = Tracer::new(Loopback::new(1514), |frame| seen += frame.len());
/// let token = lo.transmit(Instant::ZERO).unwrap();
/// token.send(60, TxMeta::NONE, |frame| Ok(frame.fill(0))).unwrap();
/// drop(lo);
/// assert_eq!(seen, 60);
/// ```
#[derive(Debug, Clone)]
pub struct Tracer<D, O> {
    device: D,
    observer: O,
}

impl<D, F: FnMut(Traced<'_>)> Tracer<D, F> {
    /// Calls `observer` for every frame.
    pub const fn new(device: D, observer: F) -> Self {
        Self::with_observer(device, observer)
    }
}

impl<D, O: Observer> Tracer<D, O> {
    /// Shows frames to something that is not a closure.
    pub const fn with_observer(device: D, observer: O) -> Self {
        Self { device, observer }
    }

    /// The device.
    pub const fn get_ref(&self) -> &D {
        &self.device
    }

    /// The device; frames moved through it directly are not traced.
    pub const fn get_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// The observer.
    pub const fn observer(&self) -> &O {
        &self.observer
    }

    /// The observer.
    pub const fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    /// Both parts.
    pub fn into_parts(self) -> (D, O) {
        (self.device, self.observer)
    }
}

impl<D: Device, O: Observer> Device for Tracer<D, O> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let mut between = Between {
            sink,
            observer: &mut self.observer,
            now,
        };
        self.device.receive(now, budget, &mut between)
    }

    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        let observer = &mut self.observer;
        let token = self.device.transmit(now)?;
        Some(Seen {
            token,
            observer,
            now,
        })
    }

    fn flush(&mut self, now: Instant) {
        self.device.flush(now)
    }

    fn deadline(&self) -> Option<Instant> {
        self.device.deadline()
    }
}

/// The sink a traced device sees.
struct Between<'a, K, O> {
    sink: &'a mut K,
    observer: &'a mut O,
    now: Instant,
}

impl<K: FrameSink, O: Observer> FrameSink for Between<'_, K, O> {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        let RxMeta { csum, .. } = rx.meta();
        self.observer.saw(Traced {
            at: self.now,
            direction: Direction::Received,
            parts: [rx.frame(), &[], &[]],
            checksummed: csum == RxCsum::Unknown,
        });
        let answer = answer.map(|token| Seen {
            token,
            observer: &mut *self.observer,
            now: self.now,
        });
        self.sink.frame(rx, answer)
    }
}

/// Room for a frame that will be shown.
struct Seen<'a, T, O> {
    token: T,
    observer: &'a mut O,
    now: Instant,
}

impl<T: TxToken, O: Observer> TxToken for Seen<'_, T, O> {
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
        let [a, b] = payload;
        self.token.send_gather(head, payload, meta, |front| {
            fill(front)?;
            self.observer.saw(Traced {
                at: self.now,
                direction: Direction::Sent,
                parts: [front, a, b],
                checksummed: meta.csum.is_none(),
            });
            Ok(())
        })
    }
}

#[cfg(all(feature = "std", unix))]
impl<D: std::os::fd::AsFd, O> std::os::fd::AsFd for Tracer<D, O> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.device.as_fd()
    }
}
