//! A large send from a ring, through a filter, to a device that segments.

mod hosts;

use hosts::{A, B, Seed};
use netstrata::Stack;
use netstrata::context::Cx;
use netstrata::iface::{Ethernet, Filter, Filtered, PacketTx, Verdict};
use netstrata::net::{Answer, Dest, Ingress, Ipv4, Output};
use netstrata::phy::{
    Abort, Capabilities, Csum, Device, FrameSink, Gso, GsoLimits, Instant, TxMeta, TxToken,
};
use netstrata::socket::{NoSockets, Ring, SendBuf, SlabSockets, WriteBuf};
use netstrata::transport::Transport;
use netstrata::wire::{Mac, protocol};

/// Address and length of a piece of payload.
type Place = (usize, usize);

fn places(payload: [&[u8]; 2]) -> [Place; 2] {
    payload.map(|p| (p.as_ptr() as usize, p.len()))
}

/// Records what it was asked to gather and finish, without copying the payload.
#[derive(Default)]
struct Nic {
    sent: Vec<(Vec<u8>, [Place; 2], TxMeta)>,
}

struct NicTx<'a>(&'a mut Nic);

impl Device for Nic {
    fn capabilities(&self) -> Capabilities {
        let gso = GsoLimits {
            max_size: 65_549,
            max_segments: 64,
        };
        Capabilities::new(1514)
            .with_tx_csum(true)
            .with_gso(Some(gso))
    }
    fn receive(&mut self, _: Instant, _: usize, _: &mut impl FrameSink) -> usize {
        0
    }
    fn transmit(&mut self, _: Instant) -> Option<impl TxToken> {
        Some(NicTx(self))
    }
}

impl TxToken for NicTx<'_> {
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
        let mut front = vec![0; head];
        fill(&mut front)?;
        self.0.sent.push((front, places(payload), meta));
        Ok(())
    }
}

/// Reads headers only, so payloads may stay where they are.
#[derive(Default)]
struct Count(usize);

impl Filter for Count {
    const PAYLOAD: bool = false;
    fn egress(&mut self, _: Instant, packet: &mut [u8]) -> Verdict {
        assert_eq!(packet.len(), 40, "IPv4 and TCP headers");
        self.0 += 1;
        Verdict::Pass
    }
}

/// Sends one super-segment straight from a ring, once.
struct Bulk {
    ring: Ring<Box<[u8]>>,
    done: bool,
}

impl<S> Transport<S> for Bulk {
    type Set = NoSockets;

    fn claims(&self, _: &Ingress<'_>) -> bool {
        false
    }
    fn ingress<T: PacketTx>(
        &mut self,
        _: &mut NoSockets,
        _: &mut Cx,
        _: Ingress<'_>,
        _: Answer<'_, T>,
    ) {
    }
    fn egress(&mut self, _: &mut NoSockets, _: &mut Cx, out: &mut impl Output, _: usize) -> usize {
        if self.done {
            return 0;
        }
        let room = out.room(B.into(), None).unwrap();
        assert_eq!((room.payload, room.src), (1480, A.into()));
        let mss = room.payload as u16 - 20;
        let limit = room.offload.gso.unwrap().max_size as usize - 40;
        let payload = self.ring.peek(0, limit.min(self.ring.queued()));
        let meta = TxMeta {
            csum: Some(Csum {
                start: 0,
                offset: 16,
            }),
            gso: Some(Gso { mss, header: 20 }),
            stamp: None,
        };
        let to = Dest {
            dont_fragment: true,
            ..Dest::new(B.into(), protocol::TCP)
        };
        let sent = out.send_gather(to, 20, payload, meta, |_, head| head[12] = 5 << 4);
        self.done = sent.is_ok();
        usize::from(self.done)
    }
}

#[test]
fn a_super_segment_is_gathered_from_the_ring() {
    let mut ring = Ring::new(vec![7u8; 60_000].into_boxed_slice());
    assert_eq!(ring.write(&[7; 50_000]), 50_000);
    ring.release(30_000);
    assert_eq!(ring.write(&[7; 30_000]), 30_000); // 50,000 queued, wrapped
    let parts = places(ring.peek(0, 60_000));
    assert_eq!(parts.map(|p| p.1), [30_000, 20_000]);

    let mut link = Ethernet::<_>::new(Nic::default(), Mac([2, 0, 0, 0, 0, 1]));
    link.add_static(B.into(), Mac([2, 0, 0, 0, 0, 2])).unwrap();
    let iface = Filtered::new(link, Count::default());
    let net = Ipv4::default().with(0, A, 24);
    let bulk = Bulk { ring, done: false };
    let mut host: Stack<_, _, _, SlabSockets> =
        Stack::new(iface, net, (bulk,), SlabSockets, &mut Seed(8));
    host.poll(Instant::ZERO);

    assert_eq!(host.iface.filter.0, 1);
    let nic = host.iface.inner.device();
    let large: Vec<_> = nic.sent.iter().filter(|(_, p, _)| p[0].1 > 0).collect();
    let [(head, gathered, meta)] = large[..] else {
        panic!("one frame with payload")
    };
    assert_eq!(head.len(), 14 + 20 + 20);
    assert_eq!(*gathered, parts, "the payload was not copied");
    // The header speaks of all of it, and of no fragment.
    assert_eq!(head[16..18], 50_040u16.to_be_bytes());
    assert_eq!(head[20..22], [0x40, 0]);
    let csum = Csum {
        start: 34,
        offset: 16,
    };
    let gso = Gso {
        mss: 1460,
        header: 54,
    };
    assert_eq!((meta.csum, meta.gso), (Some(csum), Some(gso)));
    assert_eq!(
        (host.stats().tx_packets, host.stats().tx_octets),
        (1, 50_040)
    );
}

/// A datagram that must be cut is gathered piece by piece from where it is.
#[test]
fn fragments_are_gathered_too() {
    use netstrata::udp::{Udp, UdpSocket};
    let mut link = Ethernet::<_>::new(Nic::default(), Mac([2, 0, 0, 0, 0, 1]));
    link.add_static(B.into(), Mac([2, 0, 0, 0, 0, 2])).unwrap();
    let net = Ipv4::default().with(0, A, 24);
    let mut host = Stack::new(link, net, (Udp::default(),), SlabSockets, &mut Seed(8));
    let buffer = vec![0; 8192].into_boxed_slice();
    let within = buffer.as_ptr_range();
    let within = within.start as usize..within.end as usize;
    let socket = UdpSocket::new(1, vec![].into_boxed_slice(), buffer);
    let h = host.open(socket).unwrap();
    host.socket(h)
        .with(|s| s.send_to(&[1; 4000], (B, 2).into()))
        .unwrap()
        .unwrap();
    host.poll(Instant::ZERO);
    let sent = &host.iface.device().sent;
    let sent: Vec<_> = sent.iter().filter(|(h, ..)| h[12..14] == [8, 0]).collect();
    let sizes: Vec<_> = sent
        .iter()
        .map(|(h, p, _)| (h.len(), p[0].1 + p[1].1))
        .collect();
    assert_eq!(sizes, [(42, 1472), (34, 1480), (34, 1048)]);
    for (_, payload, meta) in sent {
        assert!(payload.iter().all(|p| p.1 == 0 || within.contains(&p.0)));
        assert_eq!(
            *meta,
            TxMeta::NONE,
            "no device finishes what it does not see whole"
        );
    }
}
