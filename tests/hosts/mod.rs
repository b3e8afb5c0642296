//! One host and the bare wire in front of it, in virtual time; packets made by hand.
#![allow(dead_code, reason = "no test file uses all of it")]

use core::convert::Infallible;
use core::net::Ipv4Addr;

use netstrata::Stack;
use netstrata::iface::{Interface, Ip};
use netstrata::net::{Ipv4, Network};
use netstrata::phy::cable::End;
use netstrata::phy::{Cable, Device, Instant, RxMeta, TxMeta, TxToken};
use netstrata::socket::SlabSockets;
use netstrata::transport::Transports;
use netstrata::wire::{self, Dump, Icmpv4, IpHeader, protocol};

/// The host under test.
pub const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Its neighbour.
pub const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// All on their link.
pub const ALL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 255);

/// Random numbers that are the same in every run.
pub struct Seed(pub u64);

impl Seed {
    /// The next 64 bits (splitmix64).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl rand_core::TryRng for Seed {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for octet in dst {
            *octet = self.next() as u8;
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Seed {}

/// A host on a link of bare IP packets.
pub type Host<T> = Stack<Ip<End>, Ipv4, T, SlabSockets>;

/// The far end of a host's cable, and the time.
pub struct Wire {
    pub end: End,
    pub now: Instant,
}

/// A host at [`A`] with `transports`, on a link of MTU 1500, and its wire.
pub fn host<T: Transports<SlabSockets, Tables: Default>>(transports: T) -> (Host<T>, Wire) {
    host_at(Ipv4::default().with(0, A, 24), transports)
}

/// As [`host`] with other addresses.
pub fn host_at<T: Transports<SlabSockets, Tables: Default>>(
    net: Ipv4,
    transports: T,
) -> (Host<T>, Wire) {
    let (near, far) = Cable::new(1500);
    let stack = Stack::new(Ip::new(near), net, transports, SlabSockets, &mut Seed(1));
    let now = Instant::from_secs(1);
    (stack, Wire { end: far, now })
}

/// A host on the end of a cable.
pub fn host_on<T: Transports<SlabSockets, Tables: Default> + Default>(
    end: End,
    net: Ipv4,
) -> Host<T> {
    Stack::new(Ip::new(end), net, T::default(), SlabSockets, &mut Seed(1))
}

/// Puts a frame on the wire.
pub fn put(end: &mut End, now: Instant, frame: &[u8]) {
    let token = end.transmit(now).expect("room on the wire");
    token
        .send(frame.len(), TxMeta::NONE, |room| {
            room.copy_from_slice(frame);
            Ok(())
        })
        .expect("a frame that fits");
}

impl Wire {
    /// Puts a frame on the wire.
    pub fn put(&mut self, frame: &[u8]) {
        put(&mut self.end, self.now, frame);
    }

    /// Takes what the host has sent.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let mut frames = vec![];
        self.end
            .receive(self.now, usize::MAX, &mut |frame: &mut [u8], _: RxMeta| {
                frames.push(frame.to_vec());
            });
        frames
    }

    /// Puts a packet on the wire, and takes what the host says to it.
    pub fn ask<I: Interface, N: Network, T: Transports<S>, S>(
        &mut self,
        host: &mut Stack<I, N, T, S>,
        frame: &[u8],
    ) -> Vec<Vec<u8>> {
        self.put(frame);
        host.poll(self.now);
        self.take()
    }
}

/// A packet of `proto` with `payload`; the header may be changed by `change`.
pub fn ip_with(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    proto: u8,
    payload: &[u8],
    change: impl FnOnce(&mut wire::Ipv4),
) -> Vec<u8> {
    let mut header = wire::Ipv4 {
        dont_fragment: false,
        ..wire::Ipv4::new(src, dst, proto)
    };
    change(&mut header);
    let mut packet = vec![0; 20];
    header
        .emit(payload.len(), packet.first_chunk_mut().unwrap())
        .unwrap();
    packet.extend_from_slice(payload);
    packet
}

/// A packet of `proto` with `payload`.
pub fn ip(src: Ipv4Addr, dst: Ipv4Addr, proto: u8, payload: &[u8]) -> Vec<u8> {
    ip_with(src, dst, proto, payload, |_| {})
}

/// The UDP datagram in an IP packet.
pub fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), data: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; 8];
    datagram.extend_from_slice(data);
    let ends = IpHeader::new(from.0.into(), to.0.into(), protocol::UDP);
    wire::Udp {
        src: from.1,
        dst: to.1,
    }
    .emit(&ends, &mut datagram)
    .unwrap();
    ip(from.0, to.0, protocol::UDP, &datagram)
}

/// An ICMP message in an IP packet.
pub fn icmp(src: Ipv4Addr, dst: Ipv4Addr, message: Icmpv4, data: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; message.header_len()];
    octets.extend_from_slice(data);
    message.emit(&mut octets).unwrap();
    ip(src, dst, protocol::ICMP, &octets)
}

/// An echo request from [`B`].
pub fn echo(dst: Ipv4Addr, data: &[u8]) -> Vec<u8> {
    icmp(B, dst, Icmpv4::EchoRequest { ident: 77, seq: 3 }, data)
}

/// `packet` cut into fragments of at most `mtu` octets.
pub fn cut(packet: &[u8], mtu: usize) -> Vec<Vec<u8>> {
    let (header, _, payload) = wire::Ipv4::parse(packet).unwrap();
    let each = (mtu - 20) & !7;
    let count = payload.len().div_ceil(each);
    let pieces = payload.chunks(each).enumerate();
    pieces
        .map(|(n, piece)| {
            ip_with(header.src, header.dst, header.protocol, piece, |h| {
                h.ident = 4711;
                h.more_fragments = n + 1 < count;
                h.fragment_offset = (n * each) as u16;
            })
        })
        .collect()
}

/// Packets as text.
pub fn dump(packets: &[Vec<u8>]) -> String {
    let texts: Vec<_> = packets.iter().map(|p| Dump::ip(p).to_string()).collect();
    texts.join("\n")
}

/// Ethernet frames as text.
pub fn dump_frames(frames: &[Vec<u8>]) -> String {
    let texts: Vec<_> = frames
        .iter()
        .map(|f| Dump::ethernet(f).to_string())
        .collect();
    texts.join("\n")
}

/// Reasons packets were dropped for, with their counts.
pub fn drops<I: Interface, N: Network, T: Transports<S>, S>(
    host: &Stack<I, N, T, S>,
) -> Vec<(netstrata::error::Drop, u64)> {
    host.stats().drops.iter().collect()
}
