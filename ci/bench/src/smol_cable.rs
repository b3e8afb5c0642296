//! A cable for smoltcp as good as ours: buffers are used again, nothing is allocated per frame.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Frames queued in one direction, as many as on our cable.
const QUEUE: usize = 1024;

#[derive(Default)]
struct Lane {
    queue: VecDeque<Vec<u8>>,
    free: Vec<Vec<u8>>,
}

/// One end.
pub struct End {
    rx: Rc<RefCell<Lane>>,
    tx: Rc<RefCell<Lane>>,
    mtu: usize,
}

/// Both ends of a cable for IP packets of up to `mtu` octets.
pub fn cable(mtu: usize) -> (End, End) {
    let (a, b) = <(Rc<RefCell<Lane>>, Rc<RefCell<Lane>>)>::default();
    let east = End {
        rx: a.clone(),
        tx: b.clone(),
        mtu,
    };
    (east, End { rx: b, tx: a, mtu })
}

pub struct Received {
    frame: Vec<u8>,
    lane: Rc<RefCell<Lane>>,
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let result = f(&self.frame);
        self.lane.borrow_mut().free.push(self.frame);
        result
    }
}

pub struct Sender<'a>(&'a RefCell<Lane>);

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.0.borrow_mut().free.pop().unwrap_or_default();
        frame.resize(len, 0);
        let result = f(&mut frame);
        self.0.borrow_mut().queue.push_back(frame);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sender<'_>)> {
        let frame = self.rx.borrow_mut().queue.pop_front()?;
        let lane = self.rx.clone();
        Some((Received { frame, lane }, Sender(&self.tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sender<'_>> {
        let room = self.tx.borrow().queue.len() < QUEUE;
        room.then_some(Sender(&self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = self.mtu;
        caps
    }
}
