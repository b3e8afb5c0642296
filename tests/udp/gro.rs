//! Datagrams that a device put together on the way in.

use netstrata::Stack;
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{
    Abort, Capabilities, Device, FrameSink, Instant, RxCsum, RxMeta, RxToken, TxMeta, TxToken,
};
use netstrata::socket::SlabSockets;
use netstrata::udp::Udp;

use crate::hosts::{A, B, Seed, udp};
use crate::{at, socket};

/// A device that has received this, with that said about it, and sends nothing.
struct Once(Vec<u8>, RxMeta);

struct Rx<'a>(&'a mut [u8], RxMeta);

impl RxToken for Rx<'_> {
    fn frame(&mut self) -> &mut [u8] {
        self.0
    }
    fn meta(&self) -> RxMeta {
        self.1
    }
}

struct Nowhere;

impl TxToken for Nowhere {
    fn send_gather<F>(self, _: usize, _: [&[u8]; 2], _: TxMeta, _: F) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        Err(Abort)
    }
}

impl Device for Once {
    fn capabilities(&self) -> Capabilities {
        Capabilities::new(65_535)
    }
    fn receive(&mut self, _: Instant, _: usize, sink: &mut impl FrameSink) -> usize {
        if self.0.is_empty() {
            return 0;
        }
        sink.frame(Rx(&mut self.0, self.1), None::<Nowhere>);
        self.0.clear();
        1
    }
    fn transmit(&mut self, _: Instant) -> Option<impl TxToken> {
        None::<Nowhere>
    }
}

/// Lengths of the datagrams that a socket gets of one frame, with `gro` said about it.
fn lengths(data: &[u8], gro: Option<u16>) -> Vec<usize> {
    let frame = udp((B, 9), (A, 7), data);
    let meta = RxMeta::new().with_csum(RxCsum::Valid).with_gro(gro);
    let ip = Ipv4::default().with(0, A, 24);
    let link = Ip::new(Once(frame, meta));
    let mut host = Stack::new(link, ip, (Udp::default(),), SlabSockets, &mut Seed(1));
    let h = host.open(socket(7)).unwrap();
    host.poll(Instant::ZERO);
    let take = |socket: &mut crate::Socket| {
        let mut all = vec![];
        let mut place = 0;
        while let Ok(len) = socket.recv_with(|meta, one| {
            assert_eq!(meta.peer, at(B, 9));
            assert_eq!(one, &data[place..place + one.len()]);
            one.len()
        }) {
            place += len;
            all.push(len);
        }
        all
    };
    host.socket(h).with(take).unwrap()
}

#[test]
fn a_frame_of_several_datagrams_is_several() {
    let data: Vec<u8> = (0..1050u32).map(|n| n as u8).collect();
    assert_eq!(lengths(&data, Some(500)), [500, 500, 50]);
    assert_eq!(lengths(&data[..1000], Some(500)), [500, 500]);
    assert_eq!(lengths(&data[..500], Some(500)), [500]);
    assert_eq!(lengths(&data, Some(2000)), [1050]);
    assert_eq!(lengths(&data, None), [1050]);
    assert_eq!(lengths(&[], Some(500)), [0]);
    // More than there is room for: those that fit.
    let much: Vec<u8> = (0..9000u32).map(|n| n as u8).collect();
    assert_eq!(lengths(&much, Some(3000)), [3000, 3000]);
}
