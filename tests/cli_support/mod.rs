//! What the tests of the command share: the command itself, capture files, and one capture with
//! a packet of every kind in it.

#![allow(dead_code)] // Each test uses its part.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use netstrata::wire::{
    Arp, Ethernet, Icmpv4, IpHeader, Ipv4, Mac, Sum, Tcp, TcpFlags, Udp, Vlan, ethertype, protocol,
};
use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};

pub mod mixed;

pub const A_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub const B_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub const A: [u8; 4] = [10, 0, 0, 1];
pub const B: [u8; 4] = [10, 0, 0, 2];

/// Runs the command.
pub fn strata(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(args)
        .env("TZ", "UTC")
        .output()
        .expect("the command runs")
}

/// What a run printed on standard output; it must have succeeded.
pub fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {errors}", output.status);
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// A file of this test that goes when the value goes.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        Self(dir.join(format!("{}-{name}", std::process::id())))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Frames and the length each had on the wire, one every 1.5 ms, as a pcapng file.
pub fn write(path: &Path, link: DataLink, frames: &[Vec<u8>]) {
    let frames: Vec<_> = frames
        .iter()
        .map(|frame| (frame.len(), frame.clone()))
        .collect();
    write_cut(path, link, &frames);
}

/// As [`write`], with the length on the wire beside what was caught.
pub fn write_cut(path: &Path, link: DataLink, frames: &[(usize, Vec<u8>)]) {
    let mut file = PcapNgWriter::new(File::create(path).expect("a file")).expect("a header");
    file.write_pcapng_block(InterfaceDescriptionBlock {
        linktype: link,
        snaplen: 0,
        options: vec![InterfaceDescriptionOption::IfTsResol(9)],
    })
    .expect("a block");
    for (n, (len, frame)) in frames.iter().enumerate() {
        file.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp: Duration::new(1_782_025_489, 210_514_000)
                + Duration::from_micros(1500) * n as u32,
            original_len: *len as u32,
            data: Cow::Borrowed(frame),
            options: Vec::new(),
        })
        .expect("a block");
    }
}

/// An Ethernet frame from A to B.
pub fn ether(kind: u16, payload: &[u8]) -> Vec<u8> {
    link(B_MAC, A_MAC, kind, payload)
}

pub fn link(dst: Mac, src: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; Ethernet::LEN];
    Ethernet { dst, src, kind }.emit(frame.first_chunk_mut().unwrap());
    frame.extend(payload);
    frame
}

pub fn tagged(vid: u16, pcp: u8, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut tag = [0; Vlan::LEN];
    Vlan {
        pcp,
        dei: false,
        vid,
        kind,
    }
    .emit(&mut tag);
    ether(ethertype::VLAN, &[&tag, payload].concat())
}

pub fn arp(arp: Arp) -> Vec<u8> {
    let mut h = [0; Arp::LEN];
    arp.emit(&mut h);
    let dst = if arp.op == Arp::REQUEST {
        Mac::BROADCAST
    } else {
        arp.target.0
    };
    link(dst, arp.sender.0, ethertype::ARP, &h)
}

/// An IPv4 packet with this header and payload.
pub fn ip(ip: Ipv4, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; Ipv4::LEN];
    ip.emit(payload.len(), packet.first_chunk_mut().unwrap())
        .unwrap();
    packet.extend(payload);
    packet
}

pub fn from_a(proto: u8) -> Ipv4 {
    Ipv4::new(A.into(), B.into(), proto)
}

pub fn from_b(proto: u8) -> Ipv4 {
    Ipv4::new(B.into(), A.into(), proto)
}

pub fn udp(head: Ipv4, src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0; Udp::LEN];
    datagram.extend(payload);
    Udp { src, dst }
        .emit(&head.header(), &mut datagram)
        .unwrap();
    ip(head, &datagram)
}

pub fn icmp(head: Ipv4, message: Icmpv4, data: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; message.header_len()];
    octets.extend(data);
    message.emit(&mut octets).unwrap();
    ip(head, &octets)
}

/// A segment; ports 40000 of A and 8888 of B.
pub struct Segment<'a> {
    pub from_b: bool,
    pub seq: u32,
    pub ack: u32,
    pub flags: TcpFlags,
    pub options: &'a [u8],
    pub payload: &'a [u8],
}

impl Default for Segment<'_> {
    fn default() -> Self {
        Self {
            from_b: false,
            seq: 0,
            ack: 0,
            flags: TcpFlags::ACK,
            options: &[],
            payload: &[],
        }
    }
}

impl Segment<'_> {
    pub fn packet(&self) -> Vec<u8> {
        let (head, src, dst) = match self.from_b {
            false => (from_a(protocol::TCP), 40000, 8888),
            true => (from_b(protocol::TCP), 8888, 40000),
        };
        self.between(head, src, dst)
    }

    pub fn between(&self, head: Ipv4, src: u16, dst: u16) -> Vec<u8> {
        let mut segment = vec![0; Tcp::LEN + self.options.len()];
        segment.extend(self.payload);
        let tcp = Tcp {
            src,
            dst,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: 65535,
            urgent: if self.flags.urg() { 5 } else { 0 },
        };
        tcp.emit(&head.header(), self.options, &mut segment)
            .unwrap();
        ip(head, &segment)
    }

    pub fn frame(&self) -> Vec<u8> {
        let packet = self.packet();
        match self.from_b {
            false => ether(ethertype::IPV4, &packet),
            true => link(A_MAC, B_MAC, ethertype::IPV4, &packet),
        }
    }
}

/// An IPv6 packet from fe80::1 to fe80::2 with a right transport checksum at `sum_at`.
pub fn ip6(next: u8, payload: &[u8], transport: u8, sum_at: Option<usize>) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    let (src, dst) = ([0xfe, 0x80, 1], [0xfe, 0x80, 2]);
    for [a, b, z] in [src, dst] {
        packet.extend([a, b]);
        packet.extend([0; 13]);
        packet.push(z);
    }
    packet.extend(payload);
    if let Some(at) = sum_at {
        let (src, dst) = (packet[8..24].to_vec(), packet[24..40].to_vec());
        let addr = |o: Vec<u8>| std::net::IpAddr::from(<[u8; 16]>::try_from(o).unwrap());
        let transport_at = if next == transport { 40 } else { 48 };
        let body = &packet[transport_at..];
        let head = IpHeader::new(addr(src), addr(dst), transport);
        let sum: Sum = head.pseudo(body.len()).add_bytes(body);
        let sum = sum.finish().to_be_bytes();
        packet[transport_at + at..transport_at + at + 2].copy_from_slice(&sum);
    }
    packet
}
