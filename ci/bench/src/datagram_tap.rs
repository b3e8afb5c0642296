//! Datagrams between a stack behind a tap and a socket of the kernel: many in one frame, or one in
//! each. Nobody waits for anybody, so what counts is what arrives.

use std::io;
use std::net::UdpSocket as Plain;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use netstrata::Stack;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::{Device, Instant, Tap, TapOptions};
use netstrata::socket::mailbox::Meta;
use netstrata::socket::{Handle, SlabSockets};
use netstrata::udp::{Udp, UdpSocket};
use netstrata::wire::{self, IpHeader, Mac, protocol};
use nix::sys::socket::{setsockopt, sockopt};

use crate::content::{Check, Source, Text};
use crate::kernel::{self, HERE, HOST_MAC, MAC, PORT, STACK};
use crate::ours::Seed;
use crate::tap_fd::{TapFd, VNET};

/// Octets of a datagram.
const EACH: usize = 1472;
/// Datagrams handed over together.
const TOGETHER: usize = 44;
/// Octets of what is handed over together.
const PIECE: usize = EACH * TOGETHER;
/// Octets the kernel may keep for its socket: what one run of compared contents sends.
const KEPT: usize = 64 << 20;
/// Nothing has come for so long: it is over.
const SILENCE: Duration = Duration::from_millis(200);

/// How datagrams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As many as fit, in one frame.
    Together,
    /// Each in a frame of its own, through a tap without offload.
    Single,
}

type Datagrams = UdpSocket<Box<[u8]>>;

struct Behind {
    host: Stack<Ethernet<Tap>, Ipv4, (Udp,), SlabSockets>,
    socket: Handle<Datagrams>,
    start: Clock,
}

impl Behind {
    fn open(how: How) -> io::Result<Self> {
        let options = TapOptions::new().with_offload(how == How::Together);
        let tap = Tap::with_options("bench0", options).map_err(io::Error::other)?;
        if how == How::Together && tap.capabilities().uso.is_none() {
            return Err(io::Error::other("a kernel without USO"));
        }
        kernel::address(tap.name())?;
        let net = Ipv4::default().with(0, STACK, 24);
        let iface = Ethernet::new(tap, Mac(MAC));
        let mut host = Stack::new(iface, net, (Udp::default(),), SlabSockets, &mut Seed(7));
        // Room for what one turn takes in.
        let (rx, tx) = (vec![0; 80 * PIECE], vec![0; 4 * PIECE]);
        let socket = host
            .open(Datagrams::new(PORT, rx.into(), tx.into()))
            .map_err(io::Error::other)?;
        let mut behind = Self {
            host,
            socket,
            start: Clock::now(),
        };
        // An empty one asks for the link address.
        behind.with(|s| s.send_to(&[], (HERE, PORT).into()))?.ok();
        while behind.start.elapsed() < Duration::from_millis(20) {
            behind.poll();
        }
        Ok(behind)
    }

    fn poll(&mut self) {
        let now = Instant::from_micros(1_000_000 + self.start.elapsed().as_micros() as u64);
        self.host.poll(now);
    }

    fn with<R>(&mut self, f: impl FnOnce(&mut Datagrams) -> R) -> io::Result<R> {
        self.host
            .socket(self.socket)
            .with(f)
            .map_err(io::Error::other)
    }
}

/// A socket of the kernel's that takes datagrams together where they come so.
fn plain() -> io::Result<Plain> {
    let socket = Plain::bind((HERE, PORT))?;
    setsockopt(&socket, sockopt::RcvBufForce, &KEPT)?;
    setsockopt(&socket, sockopt::UdpGroSegment, &true)?;
    socket.set_read_timeout(Some(SILENCE))?;
    Ok(socket)
}

/// What arrived: octets, and when the last one did.
type Arrived = io::Result<(u64, Clock)>;

/// Takes what comes until `total` octets have, or nothing comes any more.
fn sink(total: u64, text: Text) -> io::Result<JoinHandle<Arrived>> {
    let socket = plain()?;
    Ok(std::thread::spawn(move || {
        let mut room = vec![0; 65_536];
        let (mut got, mut last) = (0, Clock::now());
        let mut check = Check::new(text, PIECE);
        while got < total {
            match socket.recv(&mut room) {
                Ok(n) => {
                    (got, last) = (got + n as u64, Clock::now());
                    check.take(&room[..n]);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        if text == Text::Checked {
            check.finish(total)?;
        }
        Ok((got, last))
    }))
}

fn joined(sink: JoinHandle<Arrived>, start: Clock) -> io::Result<f64> {
    let (got, last) = sink.join().map_err(|_| io::Error::other("a thread"))??;
    Ok(got as f64 * 8.0 / last.duration_since(start).as_secs_f64() / 1e9)
}

/// Sends `total` octets to the kernel; Gbit/s of what arrived.
pub fn out(how: How, total: u64, text: Text) -> io::Result<f64> {
    let mut behind = Behind::open(how)?;
    let sink = sink(total / PIECE as u64 * PIECE as u64, text)?;
    let mut source = Source::new(text, PIECE);
    let (to, mut left) = (Meta::new((HERE, PORT).into()), total / PIECE as u64);
    let mut at = 0;
    let start = Clock::now();
    while left > 0 || behind.with(|s| s.queued())? > 0 {
        behind.with(|s| {
            while left > 0 {
                let piece = source.next(PIECE);
                let taken = match how {
                    How::Together => s.send_segments(piece, EACH, &to).is_ok(),
                    How::Single => {
                        let one = &piece[at..at + EACH];
                        let taken = s.send_to(one, to.peer).is_ok();
                        at += EACH * usize::from(taken);
                        taken
                    }
                };
                if !taken {
                    return;
                }
                if how == How::Together || at == PIECE {
                    (at, left) = (0, left - 1);
                    source.took(PIECE);
                }
            }
        })?;
        behind.poll();
    }
    joined(sink, start)
}

/// As [`out`] by somebody who does nothing but write a frame that is finished.
pub fn limit(total: u64) -> io::Result<f64> {
    let mut tap = TapFd::open(true)?;
    kernel::address(&tap.name)?;
    let sink = sink(total / PIECE as u64 * PIECE as u64, Text::Plain)?;
    let ip = IpHeader::new(STACK.into(), HERE.into(), protocol::UDP);
    let mut frame = vec![0; VNET + 42 + PIECE];
    let (vnet, rest) = frame.split_at_mut(VNET);
    vnet[0] = 1; // a checksum is missing
    vnet[1] = 5; // datagrams
    for (at, value) in [(2, 42_u16), (4, EACH as u16), (6, 34), (8, 6)] {
        vnet[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }
    rest[..6].copy_from_slice(&HOST_MAC);
    rest[6..12].copy_from_slice(&MAC);
    rest[12..14].copy_from_slice(&[8, 0]);
    let header = wire::Ipv4::from_header(&ip).ok_or(io::ErrorKind::InvalidInput)?;
    let (packet, datagram) = rest[14..].split_at_mut(20);
    let packet = packet.try_into().map_err(io::Error::other)?;
    header.emit(8 + PIECE, packet).map_err(io::Error::other)?;
    let udp = wire::Udp {
        src: PORT,
        dst: PORT,
    };
    let head = (&mut datagram[..8]).try_into().map_err(io::Error::other)?;
    udp.emit_partial(&ip, PIECE, head)
        .map_err(io::Error::other)?;
    let start = Clock::now();
    for _ in 0..total / PIECE as u64 {
        tap.write(&frame);
    }
    joined(sink, start)
}

/// Receives what the kernel sends in a second; Gbit/s.
pub fn into(how: How) -> io::Result<f64> {
    let mut behind = Behind::open(how)?;
    let socket = plain()?;
    let over = Arc::new(AtomicBool::new(false));
    let ends = Arc::clone(&over);
    if how == How::Together {
        setsockopt(&socket, sockopt::UdpGsoSegment, &(EACH as i32))?;
    }
    let source = std::thread::spawn(move || {
        let text = vec![0x5a; PIECE];
        let len = if how == How::Together { PIECE } else { EACH };
        while !ends.load(Ordering::Relaxed) {
            // A full queue loses it.
            let _ = socket.send_to(&text[..len], (STACK, PORT));
        }
    });
    let (mut got, mut room) = (0, vec![0; 65_536]);
    let start = Clock::now();
    while start.elapsed() < Duration::from_secs(1) {
        behind.poll();
        behind.with(|s| {
            while let Ok(some) = s.recv_segments(&mut room) {
                got += some.len;
            }
        })?;
    }
    let took = start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    source.join().map_err(|_| io::Error::other("a thread"))?;
    Ok(got as f64 * 8.0 / took / 1e9)
}
