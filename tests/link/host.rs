//! One Ethernet interface at one end of a cable, the test at the other, and a log of all that
//! happens: frames in (`<`) and out (`>`) by their header lines, what goes up, what is dropped.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netstrata::error::{Drop, TxError};
use netstrata::iface::{Cast, Ethernet, Hop, Interface, Link, Packet, PacketSink, PacketTx, Wait};
use netstrata::phy::{Abort, Cable, Device, Instant, RxMeta, TxMeta, TxToken, cable::End};
use netstrata::wire::{self, Arp, Dump, Ipv4, Mac, ethertype};

pub const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub const OTHER: Mac = Mac([2, 0, 0, 0, 0, 3]);
pub const OUR_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const PEER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// The interface, the far end of its cable, and the log.
pub struct Host<const N: usize = 1024> {
    pub now: Instant,
    pub eth: Ethernet<End, N>,
    pub far: End,
    pub up: Up,
}

/// What is above the interface.
#[derive(Default)]
pub struct Up {
    pub now: Instant,
    pub log: String,
    pub drops: Vec<Drop>,
    /// Octets sent back for every packet that comes up.
    pub answer: Option<Vec<u8>>,
}

impl PacketSink for Up {
    fn packet(&mut self, packet: Packet<'_>, answer: impl PacketTx) {
        let _ = writeln!(self.log, "{} up {:?}", self.now, packet.cast);
        self.log += &lines(&Dump::ip(packet.octets).to_string(), "   ");
        if let Some(octets) = &self.answer {
            let sent = answer.send(octets.len(), TxMeta::NONE, copy(octets));
            if let Err(error) = sent {
                let _ = writeln!(self.log, "{} answer: {error}", self.now);
            }
        }
    }
    fn owns(&self, _: Link, ip: IpAddr) -> bool {
        ip == OUR_IP
    }
    fn dropped(&mut self, reason: Drop) {
        let _ = writeln!(self.log, "{} drop: {reason}", self.now);
        self.drops.push(reason);
    }
    fn unreachable(&mut self, _: Link, packet: &mut [u8]) {
        let _ = writeln!(self.log, "{} given back", self.now);
        self.log += &lines(&Dump::ip(packet).to_string(), "   ");
    }
}

/// The header lines of a dump, without the octets.
fn lines(dump: &str, front: &str) -> String {
    let hex = |line: &&str| !line.starts_with("0");
    let headers = dump.lines().filter(hex);
    headers.map(|line| format!("{front}{line}\n")).collect()
}

impl Host {
    pub fn new() -> Self {
        Self::over(Cable::new(1514))
    }
}

impl<const N: usize> Host<N> {
    pub fn over((near, far): (End, End)) -> Self {
        Self {
            now: Instant::ZERO,
            eth: Ethernet::with_capacity(near, US),
            far,
            up: Up::default(),
        }
    }

    /// A frame comes in.
    pub fn frame(&mut self, frame: &[u8]) {
        let dump = lines(&Dump::ethernet(frame).to_string(), "<  ");
        let _ = write!(self.up.log, "{}\n{dump}", self.now);
        self.put(frame);
        self.poll();
    }

    /// A frame lies on the cable.
    pub fn put(&mut self, frame: &[u8]) {
        let token = self.far.transmit(self.now).expect("room on the cable");
        let copied = token.send(frame.len(), TxMeta::NONE, copy(frame));
        copied.expect("a frame that fits");
    }

    /// An ARP message comes in.
    pub fn arp(&mut self, dst: Mac, arp: Arp) {
        self.frame(&arp_frame(dst, arp));
    }

    /// The peer says, to us alone, where it is.
    pub fn reply(&mut self, mac: Mac, ip: Ipv4Addr) {
        self.arp(US, Arp::request((US, OUR_IP), ip).reply(mac));
    }

    /// One turn of the interface.
    pub fn turn(&mut self) {
        self.up.now = self.now;
        self.eth.receive(self.now, 64, &mut self.up);
        self.eth.flush(self.now);
    }

    /// One turn, and a look at what it sent.
    pub fn poll(&mut self) {
        self.turn();
        self.drain();
    }

    /// Takes the frames off the cable.
    pub fn drain_silently(&mut self) {
        let mut ignore = |_: &mut [u8], _: RxMeta| ();
        self.far.receive(self.now, usize::MAX, &mut ignore);
    }

    /// Logs the frames on the cable.
    pub fn drain(&mut self) {
        let (now, log) = (self.now, &mut self.up.log);
        let mut sent = |frame: &mut [u8], _: RxMeta| {
            let dump = lines(&Dump::ethernet(frame).to_string(), ">  ");
            let _ = write!(log, "{now}\n{dump}");
        };
        self.far.receive(self.now, usize::MAX, &mut sent);
    }

    /// Lets time pass, with a turn whenever one is due.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.eth.deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.poll();
            assert!(
                self.eth.deadline().is_none_or(|due| due > self.now),
                "a turn too little"
            );
        }
        self.now = until;
        self.poll();
    }

    /// Sends a packet with identification `id`, says what became of it, and looks at what was
    /// sent.
    pub fn send(&mut self, to: Ipv4Addr, id: u16, wait: Wait) -> Result<(), TxError> {
        self.send_cast(to.into(), id, wait, Cast::Unicast)
    }

    /// As [`Host::send`], to any address.
    pub fn send_cast(
        &mut self,
        to: IpAddr,
        id: u16,
        wait: Wait,
        cast: Cast,
    ) -> Result<(), TxError> {
        let sent = self.transmit_cast(to, id, wait, cast);
        self.drain();
        sent
    }

    /// As [`Host::send`], but leaves on the cable what was sent.
    pub fn transmit(&mut self, to: Ipv4Addr, id: u16, wait: Wait) -> Result<(), TxError> {
        self.transmit_cast(to.into(), id, wait, Cast::Unicast)
    }

    fn transmit_cast(
        &mut self,
        to: IpAddr,
        id: u16,
        wait: Wait,
        cast: Cast,
    ) -> Result<(), TxError> {
        let hop = Hop {
            link: 0,
            to,
            from: OUR_IP.into(),
            cast,
        };
        let packet = match to {
            IpAddr::V4(to) => packet(OUR_IP, to, id),
            IpAddr::V6(_) => vec![0x60; 40],
        };
        let sent = match self.eth.transmit(self.now, hop, wait) {
            Ok(tx) => tx.send(packet.len(), TxMeta::NONE, copy(&packet)),
            Err(error) => Err(error),
        };
        self.eth.flush(self.now);
        let _ = match sent {
            Ok(()) => writeln!(self.up.log, "{} send {id} to {to}", self.now),
            Err(error) => writeln!(self.up.log, "{} send {id} to {to}: {error}", self.now),
        };
        sent
    }

    /// Logs what the interface knows of its neighbours.
    pub fn show(&mut self) {
        let mut known: Vec<_> = self.eth.neighbors().collect();
        known.sort_by_key(|n| n.ip);
        for n in known {
            let mac = n.mac.map_or("?".into(), |mac| mac.to_string());
            let _ = writeln!(
                self.up.log,
                "{} {} is at {mac} {:?}",
                self.now, n.ip, n.state
            );
        }
    }

    /// The log so far.
    pub fn log(&mut self) -> String {
        std::mem::take(&mut self.up.log)
    }
}

/// An IP packet of an experimental protocol, with two octets.
pub fn packet(src: Ipv4Addr, dst: Ipv4Addr, id: u16) -> Vec<u8> {
    let mut octets = vec![0; Ipv4::LEN + 2];
    let mut ip = Ipv4::new(src, dst, wire::protocol::EXPERIMENT);
    ip.ident = id;
    let (head, body) = octets.split_first_chunk_mut().unwrap();
    ip.emit(body.len(), head).unwrap();
    body.copy_from_slice(b"hi");
    octets
}

pub fn ethernet(dst: Mac, src: Mac, kind: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; wire::Ethernet::LEN];
    let header = wire::Ethernet { dst, src, kind };
    header.emit(frame.first_chunk_mut().unwrap());
    frame.extend_from_slice(body);
    frame
}

pub fn arp_frame(dst: Mac, arp: Arp) -> Vec<u8> {
    let mut body = [0; Arp::LEN];
    arp.emit(&mut body);
    ethernet(dst, arp.sender.0, ethertype::ARP, &body)
}

/// Writes `octets` into a frame or packet of their length.
pub fn copy(octets: &[u8]) -> impl FnOnce(&mut [u8]) -> Result<(), Abort> {
    move |room| {
        room.copy_from_slice(octets);
        Ok(())
    }
}
