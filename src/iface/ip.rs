//! Links without link addresses: tun devices, loopback, serial lines.
//!
//! Invariant: what the device calls a frame is an IP packet, both ways, untouched. Every
//! packet counts as addressed to us alone, and no neighbour is ever looked up.

use phy::{Abort, Capabilities, Device, FrameSink, Instant, RxToken, TxMeta, TxToken};

use super::{Cast, Hop, Interface, Link, Offload, Packet, PacketSink, PacketTx, Wait};
use crate::error::{Drop, TxError};

/// A device whose frames are IP packets, as an interface with one link.
///
/// ```
/// use netstrata::iface::{Interface, Ip};
/// use netstrata::phy::Loopback;
/// let lo = Ip::new(Loopback::new(65_535));
/// assert_eq!(lo.mtu(0), 65_535);
/// ```
#[derive(Debug)]
pub struct Ip<D> {
    device: D,
    /// What the device could do when it was asked last: once a batch.
    caps: Capabilities,
}

impl<D: Device> Ip<D> {
    /// An interface over `device`, which carries bare IP packets.
    pub fn new(device: D) -> Self {
        let caps = device.capabilities();
        Self { device, caps }
    }
}

impl<D> Ip<D> {
    /// The device.
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// The device, to be changed.
    pub const fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Gives the device back.
    pub fn into_device(self) -> D {
        self.device
    }
}

impl<D: Device> Interface for Ip<D> {
    fn mtu(&self, _link: Link) -> usize {
        super::mtu(&self.device.capabilities(), 0)
    }

    fn offload(&self, _link: Link) -> Offload {
        Offload::of(&self.device.capabilities(), 0)
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl PacketSink) -> usize {
        self.caps = self.device.capabilities();
        let caps = &self.caps;
        self.device.receive(now, budget, &mut Up { caps, sink })
    }

    fn transmit(&mut self, now: Instant, _hop: Hop, _wait: Wait) -> Result<impl PacketTx, TxError> {
        let token = self.device.transmit(now).ok_or(TxError::Full)?;
        Ok(IpTx {
            token: Ok(token),
            caps: &self.caps,
        })
    }

    fn flush(&mut self, now: Instant) {
        self.device.flush(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.device.deadline()
    }
}

struct Up<'a, K> {
    caps: &'a Capabilities,
    sink: &'a mut K,
}

impl<K: PacketSink> FrameSink for Up<'_, K> {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        let meta = rx.meta();
        let octets = rx.frame();
        if octets.is_empty() {
            return self.sink.dropped(Drop::Truncated);
        }
        let packet = Packet {
            octets,
            meta,
            link: 0,
            cast: Cast::Unicast,
        };
        let answer = IpTx {
            token: answer.ok_or(TxError::Full),
            caps: self.caps,
        };
        self.sink.packet(packet, answer);
    }
}

struct IpTx<'a, T> {
    token: Result<T, TxError>,
    caps: &'a Capabilities,
}

impl<T: TxToken> PacketTx for IpTx<'_, T> {
    fn mtu(&self) -> usize {
        super::mtu(self.caps, 0)
    }

    fn offload(&self) -> Offload {
        Offload::of(self.caps, 0)
    }

    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        super::fits(self.caps, 0, head, payload, meta)?;
        self.token?.send_gather(head, payload, meta, fill)?;
        Ok(())
    }
}
