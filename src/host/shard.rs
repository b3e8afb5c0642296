//! A device of one of several stacks with one address: it hands frames that came to the wrong
//! queue to the stack they belong to, and hands up what others bring.
//!
//! Invariant: nothing is shared but the letter boxes (and, over AF_XDP, a table of words). Each has
//! one reader and room for [`ROOM`] frames; a frame that finds none is lost, as on a wire, and
//! counted. Nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::vec::Vec;

use phy::{
    Abort, Bell, Capabilities, Device, FrameSink, Instant, Medium, RxMeta, RxToken, TxMeta, TxToken,
};

use crate::host::claims::Claims;
use crate::host::steer::{Place, Steer};
use crate::transport::Share;

/// Frames that a letter box holds at most.
const ROOM: usize = 512;

/// A frame on its way from one stack to another.
#[derive(Debug)]
struct Letter {
    frame: Vec<u8>,
    meta: RxMeta,
    /// Others got it as well: it is to be heard and not to be answered.
    copy: bool,
}

/// The way to one stack's letter box.
#[derive(Debug, Clone)]
struct Address {
    letters: SyncSender<Letter>,
    bell: Bell,
    /// Something was put there, and the bell is to be rung.
    put: bool,
}

/// What a stack's device handed to those of others; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Post(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    passed: AtomicU64,
    lost: AtomicU64,
}

impl Post {
    /// Frames handed on; one that was for all counts once for each.
    pub fn passed(&self) -> u64 {
        self.0.passed.load(Relaxed)
    }

    /// Frames lost because a letter box was full.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }
}

/// A device that knows the devices of the other stacks.
#[derive(Debug)]
pub(super) struct Sharded<D> {
    inner: D,
    steer: Steer,
    mail: Receiver<Letter>,
    out: Outbox,
}

#[derive(Debug)]
struct Outbox {
    share: Share,
    /// Of all stacks by number, ours included.
    all: Vec<Address>,
    post: Post,
}

/// Devices of one interface become devices of stacks that share an address. Each comes with the
/// bell that ends the sleep of whoever polls it.
/// `claims` is for interfaces that may move a connection from one queue to another.
pub(super) fn join<D>(
    devices: Vec<(D, Bell)>,
    medium: Medium,
    claims: Option<&Claims>,
) -> Vec<(Sharded<D>, Share, Post)> {
    let of = u16::try_from(devices.len()).unwrap_or(u16::MAX);
    let (mut all, mut boxes) = (Vec::new(), Vec::new());
    for (device, bell) in devices {
        let (letters, mail) = sync_channel(ROOM);
        all.push(Address {
            letters,
            bell,
            put: false,
        });
        boxes.push((device, mail));
    }
    let shares = (0..of).filter_map(|index| Share::new(index, of));
    let joined = boxes.into_iter().zip(shares);
    joined
        .map(|((inner, mail), share)| {
            let post = Post::default();
            let device = Sharded {
                inner,
                steer: Steer::new(share, medium, claims.cloned()),
                mail,
                out: Outbox {
                    share,
                    all: all.clone(),
                    post: post.clone(),
                },
            };
            (device, share, post)
        })
        .collect()
}

impl Outbox {
    fn put(&mut self, to: u16, frame: &[u8], meta: RxMeta, copy: bool) {
        let letter = Letter {
            frame: frame.to_vec(),
            meta,
            copy,
        };
        let count = match self.all.get_mut(usize::from(to)) {
            Some(address) if address.letters.try_send(letter).is_ok() => {
                address.put = true;
                &self.post.0.passed
            }
            // Full, or its reader has gone.
            _ => &self.post.0.lost,
        };
        count.fetch_add(1, Relaxed);
    }

    fn put_all(&mut self, frame: &[u8], meta: RxMeta) {
        let us = self.share.index();
        for to in (0..self.share.of()).filter(|to| *to != us) {
            self.put(to, frame, meta, true);
        }
    }

    /// Wakes whoever got something: once for all of it.
    fn ring(&mut self) {
        for address in self.all.iter_mut().filter(|address| address.put) {
            address.put = false;
            address.bell.ring();
        }
    }
}

/// Sorts what comes from the queue.
struct Sorter<'a, K> {
    steer: &'a mut Steer,
    out: &'a mut Outbox,
    sink: &'a mut K,
}

impl<K: FrameSink> FrameSink for Sorter<'_, K> {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        match self.steer.place(rx.frame()) {
            Place::Here => {}
            Place::There(to) => {
                let meta = rx.meta();
                return self.out.put(to, rx.frame(), meta, false);
            }
            Place::All => {
                let meta = rx.meta();
                self.out.put_all(rx.frame(), meta);
            }
        }
        self.sink.frame(rx, answer);
    }
}

struct Rx<'a>(&'a mut Letter);

impl RxToken for Rx<'_> {
    fn frame(&mut self) -> &mut [u8] {
        &mut self.0.frame
    }
    fn meta(&self) -> RxMeta {
        self.0.meta
    }
}

/// Room that leads nowhere.
struct Nowhere;

impl TxToken for Nowhere {
    fn send_gather<F>(self, _: usize, _: [&[u8]; 2], _: TxMeta, _: F) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        Err(Abort)
    }
}

impl<D: Device> Sharded<D> {
    /// Hands up to `most` frames up that others brought; returns how many.
    fn read_mail(&mut self, now: Instant, most: usize, sink: &mut impl FrameSink) -> usize {
        let mut taken = 0;
        while taken < most
            && let Ok(mut letter) = self.mail.try_recv()
        {
            taken += 1;
            if letter.copy {
                sink.frame(Rx(&mut letter), Some(Nowhere));
            } else {
                sink.frame(Rx(&mut letter), self.inner.transmit(now));
            }
        }
        taken
    }
}

impl<D: Device> Device for Sharded<D> {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        // Half a turn for what others bring, however much that is: our own queue gets the rest, and
        // what that leaves is theirs again, so that nothing waits when a turn ends early.
        let mut taken = self.read_mail(now, budget.div_ceil(2), sink);
        let mut sorter = Sorter {
            steer: &mut self.steer,
            out: &mut self.out,
            sink,
        };
        taken += self.inner.receive(now, budget - taken, &mut sorter);
        taken += self.read_mail(now, budget.saturating_sub(taken), sink);
        self.out.ring();
        taken
    }

    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        self.inner.transmit(now)
    }

    fn flush(&mut self, now: Instant) {
        self.inner.flush(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phy::{Cable, Waiter};

    /// An IPv4 header to `port`, and the port.
    fn to(port: u16) -> Vec<u8> {
        let mut frame = std::vec![0; 24];
        frame[0] = 0x45;
        frame[9] = 6;
        frame[22..24].copy_from_slice(&port.to_be_bytes());
        frame
    }

    fn drain(device: &mut impl Device) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut sink = |frame: &mut [u8], _: RxMeta| frames.push(frame.to_vec());
        while device.receive(Instant::ZERO, 64, &mut sink) > 0 {}
        frames
    }

    #[test]
    fn a_frame_reaches_the_stack_it_is_for_and_wakes_it() {
        let (a, mut far) = Cable::new(1500);
        let (b, _) = Cable::new(1500);
        let waiters = [Waiter::new().unwrap(), Waiter::new().unwrap()];
        let [a_bell, b_bell] = [waiters[0].bell(), waiters[1].bell()];
        let mut joined = join(std::vec![(a, a_bell), (b, b_bell)], Medium::Ip, None);
        let (mut b, share, _) = joined.pop().unwrap();
        let (mut a, _, post) = joined.pop().unwrap();
        assert_eq!((share.index(), share.of()), (1, 2));
        let mut send = |port| {
            let frame = to(port);
            let fill = |room: &mut [u8]| {
                room.copy_from_slice(&frame);
                Ok(())
            };
            let token = far.transmit(Instant::ZERO).unwrap();
            token.send(frame.len(), TxMeta::NONE, fill).unwrap();
            far.flush(Instant::ZERO);
        };
        for port in [40_000, 40_001, 80] {
            send(port);
        }
        assert_eq!(drain(&mut a), [to(40_000), to(80)]);
        let at_once = Some(core::time::Duration::ZERO);
        assert!(waiters[1].wait(&[], at_once).unwrap().rung);
        assert_eq!(drain(&mut b), [to(40_001)]);
        assert_eq!((post.passed(), post.lost()), (1, 0));

        // Nobody waits for a reader that does not come.
        for _ in 0..ROOM + 3 {
            send(40_001);
            assert_eq!(drain(&mut a), [[0_u8; 0]; 0]);
        }
        assert_eq!((post.passed(), post.lost()), (1 + ROOM as u64, 3));
        assert_eq!(drain(&mut b).len(), ROOM);
    }

    /// However much mail there is, it takes half a turn while there is something in the queue.
    #[test]
    fn mail_does_not_keep_a_stack_from_its_own_queue() {
        let (a, mut to_a) = Cable::new(1500);
        let (b, mut to_b) = Cable::new(1500);
        let waiters = [Waiter::new().unwrap(), Waiter::new().unwrap()];
        let bells = waiters.iter().map(Waiter::bell);
        let joined = join([a, b].into_iter().zip(bells).collect(), Medium::Ip, None);
        let [(mut a, ..), (mut b, ..)] = <[_; 2]>::try_from(joined).ok().unwrap();
        let send = |far: &mut phy::cable::End, port: u16| {
            let frame = to(port);
            let fill = |room: &mut [u8]| {
                room.copy_from_slice(&frame);
                Ok(())
            };
            let token = far.transmit(Instant::ZERO).unwrap();
            token.send(frame.len(), TxMeta::NONE, fill).unwrap();
        };
        for _ in 0..20 {
            send(&mut to_a, 40_001);
        }
        assert_eq!(drain(&mut a), [[0_u8; 0]; 0]);
        for _ in 0..6 {
            send(&mut to_b, 80);
        }
        let mut turn = || {
            let mut own = 0;
            let mut sink = |frame: &mut [u8], _: RxMeta| own += usize::from(frame == to(80));
            let taken = b.receive(Instant::ZERO, 8, &mut sink);
            (taken, own)
        };
        assert_eq!(
            [turn(), turn(), turn(), turn(), turn()],
            [(8, 4), (8, 2), (8, 0), (2, 0), (0, 0)]
        );
    }
}
