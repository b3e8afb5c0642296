//! Layers that the crate does not know: a device on a device, a filter, a protocol of its own
//! with its own kind of socket and timers.

use core::net::IpAddr;
use core::time::Duration;

use netstrata::context::Cx;
use netstrata::error::TxError;
use netstrata::iface::{Filter, PacketTx, Verdict};
use netstrata::net::{Answer, Dest, Ingress, Output};
use netstrata::phy::{
    Abort, Capabilities, Device, FrameSink, Instant, RxMeta, RxToken, TxMeta, TxToken,
};
use netstrata::socket::{Socket, SocketSet, Stores};
use netstrata::transport::Transport;
use netstrata::wire::{ethertype, protocol};

/// IEEE 802.1Q: one VLAN of a trunk, as a device of its own.
pub struct Vlan<D> {
    pub trunk: D,
    pub id: u16,
}

impl<D: Device> Device for Vlan<D> {
    fn capabilities(&self) -> Capabilities {
        let caps = self.trunk.capabilities();
        caps.with_max_frame(caps.max_frame - 4)
    }
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let id = self.id;
        self.trunk.receive(now, budget, &mut Untag { id, sink })
    }
    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        let id = self.id;
        self.trunk.transmit(now).map(|inner| Tagged { inner, id })
    }
    fn flush(&mut self, now: Instant) {
        self.trunk.flush(now);
    }
    fn deadline(&self) -> Option<Instant> {
        self.trunk.deadline()
    }
}

struct Untag<'a, K> {
    id: u16,
    sink: &'a mut K,
}

impl<K: FrameSink> FrameSink for Untag<'_, K> {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        let id = self.id;
        let ours = matches!(rx.frame(), [_, _, _, _, _, _, _, _, _, _, _, _, 0x81, 0x00, hi, lo, ..]
            if u16::from_be_bytes([*hi & 0x0f, *lo]) == id);
        if ours {
            let answer = answer.map(|inner| Tagged { inner, id });
            self.sink.frame(Tagged { inner: rx, id }, answer);
        }
    }
}

struct Tagged<T> {
    inner: T,
    id: u16,
}

impl<T: RxToken> RxToken for Tagged<T> {
    fn frame(&mut self) -> &mut [u8] {
        let frame = self.inner.frame();
        if frame[12..14] == ethertype::VLAN.to_be_bytes() {
            frame.copy_within(0..12, 4);
        }
        &mut frame[4..]
    }
    fn meta(&self) -> RxMeta {
        self.inner.meta()
    }
}

impl<T: TxToken> TxToken for Tagged<T> {
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
        let Self { inner, id } = self;
        inner.send_gather(head + 4, payload, meta.shifted(4), |frame| {
            fill(&mut frame[4..])?;
            frame.copy_within(4..16, 0);
            frame[12..14].copy_from_slice(&ethertype::VLAN.to_be_bytes());
            frame[14..16].copy_from_slice(&id.to_be_bytes());
            Ok(())
        })
    }
}

/// Drops what is for the discard port.
#[derive(Default)]
pub struct Firewall {
    pub seen: usize,
    pub dropped: usize,
}

impl Filter for Firewall {
    fn ingress(&mut self, _now: Instant, packet: &mut [u8]) -> Verdict {
        self.seen += 1;
        if packet.get(9) == Some(&protocol::UDP) && packet.get(22..24) == Some(&[0, 9]) {
            self.dropped += 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    }
}

/// Says one octet, its topic, every so often, to whoever listens to it.
pub struct Beacon {
    pub topic: u8,
    pub to: IpAddr,
    pub every: Duration,
    pub due: bool,
    pub heard: u32,
}

impl Socket for Beacon {
    type Key = u8;
    fn key(&self) -> Option<u8> {
        Some(self.topic)
    }
}

/// The protocol of beacons.
pub struct Beacons;

impl<S: Stores<Beacon>> Transport<S> for Beacons {
    type Set = S::Set;

    fn start(&mut self, set: &mut S::Set, cx: &mut Cx) {
        set.start(&cx.secret);
    }
    fn claims(&self, packet: &Ingress<'_>) -> bool {
        packet.ip.proto == protocol::EXPERIMENT
    }
    fn ingress<T: PacketTx>(
        &mut self,
        set: &mut S::Set,
        cx: &mut Cx,
        packet: Ingress<'_>,
        _answer: Answer<'_, T>,
    ) {
        let [topic] = packet.payload else { return };
        let Some(h) = set.lookup(topic) else { return };
        let Some(beacon) = set.get_mut(h) else { return };
        beacon.heard += 1;
        let next = cx.now + beacon.every;
        set.arm(h, Some(next));
        set.notify(h);
    }
    fn timers(&mut self, set: &mut S::Set, cx: &mut Cx) {
        while let Some(h) = set.next_expired(cx.now) {
            if let Some(beacon) = set.get_mut(h) {
                beacon.due = true;
            }
            set.wake(h);
        }
    }
    fn egress(
        &mut self,
        set: &mut S::Set,
        _cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize {
        let mut sent = 0;
        while let Some(h) = (sent < budget).then(|| set.next_ready()).flatten() {
            let Some(beacon) = set.get_mut(h).filter(|beacon| beacon.due) else {
                continue;
            };
            let (topic, to) = (beacon.topic, Dest::new(beacon.to, protocol::EXPERIMENT));
            match out.send(to, 1, |_, room| room.copy_from_slice(&[topic])) {
                Err(TxError::Resolving) => set.park(h),
                _ => {
                    beacon.due = false;
                    sent += 1;
                }
            }
        }
        sent
    }
    fn unpark(&mut self, set: &mut S::Set) {
        set.unpark();
    }
    fn ready(&self, set: &S::Set) -> bool {
        set.any_ready()
    }
    fn deadline(&self, set: &S::Set) -> Option<Instant> {
        set.next_deadline()
    }
}
