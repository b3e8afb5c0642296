//! A bad link around any device: seeded loss, duplication, reordering, corruption, delay,
//! jitter and rate, in either direction. The same seed with the same frames at the same
//! instants gives the same faults. Invariant: frames held are bounded by
//! [`FaultConfig::queue`] in each direction, and none is held beyond [`Device::deadline`] if
//! the device is polled then.

use core::time::Duration;

use crate::frame::{Frame, Received, gather};
use crate::impair::{FaultConfig, FaultStats, Impair};
use crate::{Abort, Capabilities, Device, FrameSink, Instant, RxMeta, RxToken, TxMeta, TxToken};

/// How soon a device that took no frame is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// What tells the random numbers of the two directions apart.
const EGRESS: u64 = 0;
const INGRESS: u64 = 0x5555_5555_5555_5555;

/// A bad link around `D`.
///
/// Frames sent leave in [`Device::flush`], when they are due. A direction without faults
/// costs nothing; one with faults copies its frames, and hides offloads on the way out:
/// what a device completes or cuts cannot be damaged or lost piecewise before.
///
/// ```
/// use core::time::Duration;
/// use phy::{Cable, Device, Fault, FaultConfig, Instant, TxMeta, TxToken};
///
/// let (east, west) = Cable::new(1514);
/// let slow = FaultConfig::new().with_delay(Duration::from_millis(20));
/// let mut east = Fault::new(east, slow);
/// let start = Instant::ZERO;
/// let token = east.transmit(start).unwrap();
/// token.send(60, TxMeta::NONE, |frame| Ok(frame.fill(0))).unwrap();
/// east.flush(start);
/// assert!(west.arriving().is_empty());
/// let due = east.deadline().unwrap();
/// assert_eq!(due, Instant::from_millis(20));
/// east.flush(due);
/// assert_eq!(west.arriving().len(), 1);
/// ```
#[derive(Debug)]
pub struct Fault<D> {
    device: D,
    egress: Impair,
    ingress: Impair,
    /// The device was full; try again then.
    retry: Option<Instant>,
}

impl<D> Fault<D> {
    /// The same faults in both directions.
    pub fn new(device: D, config: FaultConfig) -> Self {
        Self::with_directions(device, config, config)
    }

    /// Faults of their own for frames sent (`egress`) and received (`ingress`).
    pub fn with_directions(device: D, egress: FaultConfig, ingress: FaultConfig) -> Self {
        Self {
            device,
            egress: Impair::new(egress, EGRESS),
            ingress: Impair::new(ingress, INGRESS),
            retry: None,
        }
    }

    /// Changes the faults from now on; frames already held keep their times.
    pub fn reconfigure(&mut self, egress: FaultConfig, ingress: FaultConfig) {
        self.egress.reconfigure(egress, EGRESS);
        self.ingress.reconfigure(ingress, INGRESS);
    }

    /// What was done to frames sent.
    pub const fn egress_stats(&self) -> FaultStats {
        self.egress.stats
    }

    /// What was done to frames received.
    pub const fn ingress_stats(&self) -> FaultStats {
        self.ingress.stats
    }

    /// Frames held at present, in both directions.
    pub fn held(&self) -> usize {
        self.egress.held() + self.ingress.held()
    }

    /// Frames held at present on their way out.
    pub fn leaving(&self) -> usize {
        self.egress.held()
    }

    /// The device.
    pub const fn get_ref(&self) -> &D {
        &self.device
    }

    /// The device; frames moved through it directly meet no faults.
    pub const fn get_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// The device; frames held are lost.
    pub fn into_inner(self) -> D {
        self.device
    }
}

impl<D: Device> Fault<D> {
    /// Hands frames that are due to the device until it is full.
    fn push_out(&mut self, now: Instant) {
        self.retry = None;
        // Each turn takes a frame or ends the loop.
        while self.egress.next().is_some_and(|due| due <= now) {
            let Some(token) = self.device.transmit(now) else {
                self.retry = Some(now + RETRY);
                return;
            };
            let Some((frame, stamp)) = self.egress.pop_due(now) else {
                return;
            };
            let meta = TxMeta {
                stamp,
                ..TxMeta::NONE
            };
            // Its size was checked when it was sent; a device that changed its mind loses it.
            let _ = token.send_gather(0, [&frame.octets, &[]], meta, |_| Ok(()));
            self.egress.recycle(frame.octets);
        }
    }

    /// Takes up to `budget` frames off the device into the bad link.
    fn take_in(&mut self, now: Instant, budget: usize) -> usize {
        let ingress = &mut self.ingress;
        self.device
            .receive(now, budget, &mut |received: &mut [u8], meta: RxMeta| {
                let mut octets = ingress.buffer();
                octets.clear();
                octets.extend_from_slice(received);
                ingress.admit(now, Frame { octets, meta }, None);
            })
    }
}

impl<D: Device> Device for Fault<D> {
    fn capabilities(&self) -> Capabilities {
        let caps = self.device.capabilities();
        if self.egress.is_clear() {
            caps
        } else {
            caps.with_tx_csum(false).with_gso(None).with_uso(None)
        }
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        if self.ingress.is_clear() {
            let mut sink = Rerouted {
                sink,
                limit: self.device.capabilities().max_frame,
                egress: &mut self.egress,
                now,
            };
            return self.device.receive(now, budget, &mut sink);
        }
        let taken = self.take_in(now, budget);
        let mut given = 0;
        while given < budget {
            let Some((mut frame, _)) = self.ingress.pop_due(now) else {
                break;
            };
            let answer = way(&mut self.device, &mut self.egress, now);
            sink.frame(Received(&mut frame), answer);
            self.ingress.recycle(frame.octets);
            given += 1;
        }
        taken.max(given)
    }

    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        self.push_out(now);
        way(&mut self.device, &mut self.egress, now)
    }

    fn flush(&mut self, now: Instant) {
        self.push_out(now);
        self.device.flush(now);
    }

    fn deadline(&self) -> Option<Instant> {
        let egress = self.egress.next().map(|due| match self.retry {
            Some(retry) => due.max(retry),
            None => due,
        });
        [self.device.deadline(), egress, self.ingress.next()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The way out: straight through the device, or into the bad link, which always has room.
enum Way<'a, T> {
    Through(T),
    Impaired {
        egress: &'a mut Impair,
        limit: usize,
        now: Instant,
    },
}

fn way<'a>(
    device: &'a mut impl Device,
    egress: &'a mut Impair,
    now: Instant,
) -> Option<Way<'a, impl TxToken + 'a>> {
    if egress.is_clear() {
        return device.transmit(now).map(Way::Through);
    }
    let limit = device.capabilities().max_frame;
    Some(Way::Impaired { egress, limit, now })
}

impl<T: TxToken> TxToken for Way<'_, T> {
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
        let (egress, limit, now) = match self {
            Self::Through(token) => return token.send_gather(head, payload, meta, fill),
            Self::Impaired { egress, limit, now } => (egress, limit, now),
        };
        let mut octets = egress.buffer();
        if let Err(abort) = gather(&mut octets, head, payload, limit, fill) {
            egress.recycle(octets);
            return Err(abort);
        }
        let frame = Frame {
            octets,
            meta: RxMeta::new(),
        };
        egress.admit(now, frame, meta.stamp);
        Ok(())
    }
}

/// Passes received frames on untouched and sends answers the bad way.
struct Rerouted<'a, K> {
    sink: &'a mut K,
    limit: usize,
    egress: &'a mut Impair,
    now: Instant,
}

impl<K: FrameSink> FrameSink for Rerouted<'_, K> {
    fn frame(&mut self, rx: impl RxToken, answer: Option<impl TxToken>) {
        let answer = if self.egress.is_clear() {
            answer.map(Way::Through)
        } else {
            Some(Way::Impaired {
                egress: &mut *self.egress,
                limit: self.limit,
                now: self.now,
            })
        };
        self.sink.frame(rx, answer)
    }
}

#[cfg(all(feature = "std", unix))]
impl<D: std::os::fd::AsFd> std::os::fd::AsFd for Fault<D> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.device.as_fd()
    }
}
