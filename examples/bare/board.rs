//! What a board gives a program: a network device, random numbers, and a way to fail. Here
//! there are two devices, the ends of one wire, which is a frame of memory each way.

use core::cell::RefCell;
use core::convert::Infallible;

use netstrata::phy::{Abort, Capabilities, Device, FrameSink, Instant};
use netstrata::phy::{RxToken, TxMeta, TxToken, assemble};

/// Octets of the largest frame.
const FRAME: usize = 600;

/// One way of the wire, with room for one frame; none is there while `len` is 0.
pub struct Lane {
    octets: [u8; FRAME],
    len: usize,
}

/// A wire with nothing on it.
pub fn wire() -> [RefCell<Lane>; 2] {
    let octets = [0; FRAME];
    [0; 2].map(|len| RefCell::new(Lane { octets, len }))
}

/// An end of the wire.
pub struct Port<'a> {
    rx: &'a RefCell<Lane>,
    tx: &'a RefCell<Lane>,
}

/// Its two ends.
pub fn ends([a, b]: &[RefCell<Lane>; 2]) -> [Port<'_>; 2] {
    [Port { rx: a, tx: b }, Port { rx: b, tx: a }]
}

impl Port<'_> {
    fn room(&self) -> Option<Tx<'_>> {
        (self.tx.borrow().len == 0).then_some(Tx(self.tx))
    }
}

impl Device for Port<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(FRAME)
    }
    fn receive(&mut self, _: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let mut lane = self.rx.borrow_mut();
        if budget == 0 || lane.len == 0 {
            return 0;
        }
        let len = core::mem::take(&mut lane.len);
        let frame = lane.octets.get_mut(..len).unwrap_or_default();
        sink.frame(Rx(frame), self.room());
        1
    }
    fn transmit(&mut self, _: Instant) -> Option<impl TxToken> {
        self.room()
    }
}

struct Rx<'a>(&'a mut [u8]);

impl RxToken for Rx<'_> {
    fn frame(&mut self) -> &mut [u8] {
        self.0
    }
}

struct Tx<'a>(&'a RefCell<Lane>);

type Sent = Result<(), Abort>;

impl TxToken for Tx<'_> {
    fn send_gather<F>(self, head: usize, data: [&[u8]; 2], _: TxMeta, fill: F) -> Sent
    where
        F: FnOnce(&mut [u8]) -> Sent,
    {
        let mut lane = self.0.borrow_mut();
        let len = head + data[0].len() + data[1].len();
        assemble(lane.octets.get_mut(..len).ok_or(Abort)?, data, fill)?;
        lane.len = len;
        Ok(())
    }
}

/// Random numbers that are none. A board has a source in hardware, and must use it.
pub struct Entropy(pub u64);

impl rand_core::TryRng for Entropy {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| n as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        Ok(self.0)
    }
    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        octets
            .iter_mut()
            .try_for_each(|o| self.try_next_u64().map(|n| *o = (n >> 56) as u8))
    }
}

impl rand_core::TryCryptoRng for Entropy {}

/// Something was refused, or did not come back. There is nobody to be told what.
pub struct Failed;

impl<E: core::error::Error> From<E> for Failed {
    fn from(_: E) -> Self {
        Self
    }
}
