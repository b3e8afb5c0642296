//! The device of a host in the model: a bad cable with an observer, and things from nowhere.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netstrata::phy::{
    Abort, Capabilities, Device, Fault, FrameSink, Instant, RxCsum, RxMeta, RxToken, TxMeta,
    TxToken, cable,
};
use netstrata::wire::{Icmpv4, Ipv4, Unreachable, protocol};

use super::watch::Watch;

/// One end of the watched cable.
#[derive(Debug)]
pub struct Watched {
    pub fault: Fault<cable::End>,
    pub mtu: usize,
    pub side: usize,
    pub watch: Rc<RefCell<Watch>>,
    pub moved: Arc<AtomicU64>,
}

/// Who watches a frame that is sent.
#[derive(Clone)]
struct Eye {
    now: Instant,
    side: usize,
    watch: Rc<RefCell<Watch>>,
    moved: Arc<AtomicU64>,
}

impl Watched {
    fn eye(&self, now: Instant) -> Eye {
        Eye {
            now,
            side: self.side,
            watch: self.watch.clone(),
            moved: self.moved.clone(),
        }
    }
}

struct Sent<T>(T, Eye);

impl<T: TxToken> TxToken for Sent<T> {
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
        let Self(token, eye) = self;
        let mut frame = vec![0xa5; head];
        fill(&mut frame)?;
        let filled = frame.clone();
        frame.extend_from_slice(payload[0]);
        frame.extend_from_slice(payload[1]);
        let mut watch = eye.watch.borrow_mut();
        let whole = meta.csum.is_none();
        eye.moved.fetch_add(1, Ordering::Relaxed);
        if watch.sends(eye.now, eye.side, &frame, meta.gso, whole) {
            // The first piece goes the usual way, the other takes a short one.
            let pieces = whole.then(|| watch.cut(&frame)).flatten();
            if let Some([first, second]) = pieces {
                watch.arrives(eye.now, 1 - eye.side, &frame, true);
                watch.late[1 - eye.side].push_back(second);
                drop(watch);
                let plain = TxMeta::default();
                return token.send_gather(first.len(), [&[], &[]], plain, |to| {
                    to.copy_from_slice(&first);
                    Ok(())
                });
            }
            drop(watch);
            return token.send_gather(head, payload, meta, |to| {
                to.copy_from_slice(&filled);
                Ok(())
            });
        }
        if watch.black_hole {
            return Ok(());
        }
        let mtu = watch.path_mtu as u16;
        let kind = Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu });
        let error = error(kind, &frame);
        watch.forged[eye.side].push_back(error);
        Ok(())
    }
}

/// An ICMP error about `packet`, from a router.
pub fn error(kind: Icmpv4, packet: &[u8]) -> Vec<u8> {
    let (ip, ..) = Ipv4::parse_unverified(packet).expect("a packet");
    let mut message = vec![0; kind.header_len()];
    message.extend_from_slice(&packet[..packet.len().min(28)]);
    kind.emit(&mut message).expect("room for a header");
    let mut answer = vec![0; 20];
    Ipv4::new([192, 0, 2, 200].into(), ip.src, protocol::ICMP)
        .emit(message.len(), answer.first_chunk_mut().expect("20 octets"))
        .expect("a short packet");
    answer.extend_from_slice(&message);
    answer
}

struct Got<'a, K> {
    sink: &'a mut K,
    eye: Eye,
}

impl<K: FrameSink> FrameSink for Got<'_, K> {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        let eye = &self.eye;
        let check = rx.meta().csum == RxCsum::Unknown;
        eye.moved.fetch_add(1, Ordering::Relaxed);
        eye.watch
            .borrow_mut()
            .arrives(eye.now, eye.side, rx.frame(), check);
        let eye = eye.clone();
        self.sink.frame(rx, answer.map(|token| Sent(token, eye)));
    }
}

struct Forged(Vec<u8>);

impl RxToken for Forged {
    fn frame(&mut self) -> &mut [u8] {
        &mut self.0
    }
    fn meta(&self) -> RxMeta {
        RxMeta::default()
    }
}

impl Device for Watched {
    fn capabilities(&self) -> Capabilities {
        let caps = self.fault.capabilities();
        caps.with_max_frame(self.mtu.min(caps.max_frame))
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let eye = self.eye(now);
        let mut taken = 0;
        while taken < budget {
            let mut watch = self.watch.borrow_mut();
            let frame = if let Some(frame) = watch.late[self.side].pop_front() {
                watch.arrives(now, self.side, &frame, true);
                frame
            } else if let Some(frame) = watch.forged[self.side].pop_front() {
                watch.forges(now, self.side, &frame);
                frame
            } else {
                break;
            };
            drop(watch);
            let token = self.fault.transmit(now);
            let token = token.map(|token| Sent(token, eye.clone()));
            sink.frame(Forged(frame), token);
            taken += 1;
        }
        eye.moved.fetch_add(taken as u64, Ordering::Relaxed);
        let mut got = Got { sink, eye };
        taken + self.fault.receive(now, budget - taken, &mut got)
    }

    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        let eye = self.eye(now);
        self.fault.transmit(now).map(|token| Sent(token, eye))
    }

    fn flush(&mut self, now: Instant) {
        self.fault.flush(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.fault.deadline()
    }
}
