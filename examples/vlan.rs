//! Seam 1, a device on a device: one VLAN of a trunk (IEEE 802.1Q) is a device for any stack.
//!
//! ```text
//! $ cargo run --example vlan
//! VLAN 5 reaches 192.168.69.2: true
//! VLAN 6 reaches 192.168.69.2: false
//! 192.168.69.2 dropped frames of other VLANs: 1
//! ```
//!
//! As root: `cargo run --example vlan -- --phy raw:eth0 --addr 10.0.5.2/24 10.0.5.1`

mod support;

use netstrata::host::{CABLE_FAR, FAR_MAC, Far, os_rng};
use netstrata::phy::{Abort, Capabilities, Device, FrameSink, Instant};
use netstrata::phy::{RxMeta, RxToken, TxMeta, TxToken};
use netstrata::{Stack, icmp::Icmp, iface::Ethernet, socket::SlabSockets};
use support::Trouble;

/// Between addresses and type of a frame: the type of a tag, priority, number of the VLAN.
type Tag = [u8; 4];

/// The VLAN of `trunk` whose frames have this tag.
struct Vlan<D> {
    trunk: D,
    tag: Tag,
    /// Frames of other VLANs, or of none, that came by.
    others: usize,
}

impl<D: Device> Device for Vlan<D> {
    fn capabilities(&self) -> Capabilities {
        let caps = self.trunk.capabilities();
        caps.with_max_frame(caps.max_frame.saturating_sub(4))
    }
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let mut up = Up(self.tag, &mut self.others, sink);
        self.trunk.receive(now, budget, &mut up)
    }
    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        Some(Tagged(self.trunk.transmit(now)?, self.tag))
    }
    fn flush(&mut self, now: Instant) {
        self.trunk.flush(now);
    }
    fn deadline(&self) -> Option<Instant> {
        self.trunk.deadline()
    }
}

/// The way up for frames with this tag; others are counted and dropped.
struct Up<'a, K>(Tag, &'a mut usize, &'a mut K);

impl<K: FrameSink> FrameSink for Up<'_, K> {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        match rx.frame().first_chunk_mut::<16>() {
            // Whatever its priority. The addresses move over the tag.
            Some(f) if [f[12], f[13], f[14] & 15, f[15]] == self.0 => f.copy_within(..12, 4),
            _ => return *self.1 += 1,
        }
        self.2
            .frame(Untagged(rx), answer.map(|tx| Tagged(tx, self.0)));
    }
}

struct Untagged<R>(R);

impl<R: RxToken> RxToken for Untagged<R> {
    fn frame(&mut self) -> &mut [u8] {
        self.0.frame().get_mut(4..).unwrap_or_default()
    }
    fn meta(&self) -> RxMeta {
        self.0.meta()
    }
}

struct Tagged<T>(T, Tag);

type Sent = Result<(), Abort>;

impl<T: TxToken> TxToken for Tagged<T> {
    fn send_gather<F>(self, head: usize, data: [&[u8]; 2], meta: TxMeta, fill: F) -> Sent
    where
        F: FnOnce(&mut [u8]) -> Sent,
    {
        let Self(tx, tag) = self;
        tx.send_gather(head + 4, data, meta.shifted(4), |frame| {
            fill(frame.get_mut(4..).ok_or(Abort)?)?;
            let front = frame.first_chunk_mut::<16>().ok_or(Abort)?;
            front.copy_within(4.., 0);
            front[12..].copy_from_slice(&tag);
            Ok(())
        })
    }
}

fn main() -> Result<(), Trouble> {
    let (mut at, words) = support::ethernet()?;
    let to = words.first().map_or(Ok(CABLE_FAR.ip()), |w| w.parse())?;
    let vlan = |trunk, number| {
        let (tag, others) = ([0x81, 0x00, 0, number], 0);
        Vlan { trunk, tag, others }
    };
    // The second host sits on VLAN 5 of the cable, and ours asks for it on two of them.
    let mut far = (at.far).map(|end| Far::on(Ethernet::new(vlan(end, 5), FAR_MAC)));
    let link = Ethernet::new(vlan(at.device, 5), at.mac);
    let mut host = Stack::new(link, at.net, (Icmp::default(),), SlabSockets, &mut os_rng());
    for number in [5, 6] {
        host.iface.device_mut().tag[3] = number;
        let answers = support::answers(&mut host, &mut far, &mut at.runner, to)?;
        println!("VLAN {number} reaches {to}: {answers}");
    }
    if let Some(far) = &mut far {
        let others = far.host().iface.device().others;
        println!("{to} dropped frames of other VLANs: {others}");
    }
    Ok(())
}
