//! smoltcp behind the same tap, on a device that leaves to the kernel what ours leaves: the
//! checksum, and cutting into segments. smoltcp knows no super-segments, so the device tells it
//! that the peer takes large ones, and asks the kernel to cut what is longer than the wire takes.

use std::cell::RefCell;
use std::io;
use std::time::Instant as Clock;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::content::{Check, Source, Text};
use crate::kernel::{self, HERE, MAC, PORT, STACK};
use crate::tap_fd::{LARGEST, TapFd, VNET, pseudo, vnet_of};
use crate::work::PIECE;

const MSS: u16 = 1460;
/// Buffers that let either side go as far ahead as it wants.
const BUFFER: usize = 4 << 20;

struct Smart {
    tap: RefCell<TapFd>,
    offload: bool,
    into: Vec<u8>,
    out: RefCell<Vec<u8>>,
}

struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

struct Sender<'a> {
    tap: &'a RefCell<TapFd>,
    out: &'a RefCell<Vec<u8>>,
    offload: bool,
}

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut out = self.out.borrow_mut();
        out.resize(VNET + len, 0);
        let result = f(&mut out[VNET..]);
        let frame = &out[VNET..];
        let mut header = [0; VNET];
        if self.offload && len >= 54 && frame[12..14] == [8, 0] && frame[23] == 6 {
            let head = 34 + u16::from(frame[46] >> 4) * 4;
            let text = len - usize::from(head);
            header = vnet_of((text > usize::from(MSS)).then_some((MSS, head)));
            let sum = pseudo(frame);
            out[VNET + 50..VNET + 52].copy_from_slice(&sum.to_be_bytes());
        }
        out[..VNET].copy_from_slice(&header);
        self.tap.borrow_mut().write(&out);
        result
    }
}

/// Lets the peer of a handshake take segments of nearly 64 KB.
fn enlarge(frame: &mut [u8]) {
    if frame.len() < 58 || frame[12..14] != [8, 0] || frame[23] != 6 || frame[47] & 2 == 0 {
        return;
    }
    if frame[54..56] == [2, 4] {
        let most = 44 * MSS;
        frame[56..58].copy_from_slice(&most.to_be_bytes());
    }
}

impl Device for Smart {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sender<'_>)> {
        let n = self.tap.borrow_mut().read(&mut self.into)?;
        let frame = self.into.get_mut(VNET..n)?;
        if self.offload {
            enlarge(frame);
        }
        let sender = Sender {
            tap: &self.tap,
            out: &self.out,
            offload: self.offload,
        };
        Some((Received(frame), sender))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sender<'_>> {
        Some(Sender {
            tap: &self.tap,
            out: &self.out,
            offload: self.offload,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ethernet;
        caps.max_transmission_unit = 1514;
        if self.offload {
            caps.max_transmission_unit = 14 + 65_535;
            caps.checksum.tcp = Checksum::None;
        }
        caps
    }
}

struct Behind {
    device: Smart,
    iface: Interface,
    sockets: SocketSet<'static>,
    h: SocketHandle,
    start: Clock,
}

impl Behind {
    fn open(offload: bool) -> io::Result<Self> {
        let tap = TapFd::open(offload)?;
        kernel::address(&tap.name)?;
        let mut device = Smart {
            tap: RefCell::new(tap),
            offload,
            into: vec![0; LARGEST],
            out: RefCell::default(),
        };
        let mac = HardwareAddress::Ethernet(EthernetAddress(MAC));
        let mut iface = Interface::new(Config::new(mac), &mut device, Instant::ZERO);
        let ip = IpCidr::new(IpAddress::from(STACK), 24);
        iface.update_ip_addrs(|all| all.push(ip).expect("room"));
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::new());
        let h = sockets.add(socket);
        let start = Clock::now();
        Ok(Self {
            device,
            iface,
            sockets,
            h,
            start,
        })
    }

    fn poll(&mut self) {
        let now = Instant::from_micros(1_000_000 + self.start.elapsed().as_micros() as i64);
        self.iface.poll(now, &mut self.device, &mut self.sockets);
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.h)
    }

    fn connect(&mut self) -> io::Result<()> {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.h);
        let to = (IpAddress::from(HERE), PORT);
        let done = socket.connect(self.iface.context(), to, kernel::fresh_port());
        done.map_err(|_| io::Error::other("connect"))?;
        while !self.socket().may_send() {
            self.poll();
        }
        Ok(())
    }
}

/// Sends `total` octets to the kernel; seconds until it has read them.
pub fn out(offload: bool, total: u64, text: Text) -> io::Result<f64> {
    let mut behind = Behind::open(offload)?;
    let sink = kernel::sink(text)?;
    behind.connect()?;
    let mut source = Source::new(text, PIECE);
    let mut left = total;
    let start = Clock::now();
    while !sink.is_finished() {
        let socket = behind.socket();
        while left > 0 && socket.can_send() {
            let most = left.min(PIECE as u64) as usize;
            let n = socket.send_slice(source.next(most)).unwrap_or(0);
            source.took(n);
            left -= n as u64;
        }
        if left == 0 {
            socket.close();
        }
        behind.poll();
    }
    let took = start.elapsed().as_secs_f64();
    kernel::joined(sink, total)?;
    Ok(took)
}

/// Receives `total` octets from the kernel; seconds from the first to the last.
pub fn into(offload: bool, total: u64, text: Text) -> io::Result<f64> {
    let mut behind = Behind::open(offload)?;
    let listening = behind.socket().listen(PORT);
    listening.map_err(|_| io::Error::other("listen"))?;
    let source = kernel::source(total, text);
    while !behind.socket().may_recv() {
        behind.poll();
    }
    let mut space = vec![0; PIECE];
    let mut check = Check::new(text, PIECE);
    let start = Clock::now();
    while check.got() < total {
        behind.poll();
        let socket = behind.socket();
        while socket.can_recv() {
            let n = socket.recv_slice(&mut space).unwrap_or(0);
            check.take(&space[..n]);
        }
    }
    let took = start.elapsed().as_secs_f64();
    check.finish(total)?;
    behind.socket().close();
    while !source.is_finished() {
        behind.poll();
    }
    kernel::joined(source, total)?;
    Ok(took)
}

/// Microseconds of one-octet round trips with an echo of the kernel's.
pub fn round_trips(count: usize) -> io::Result<Vec<f64>> {
    let mut behind = Behind::open(false)?;
    let echo = kernel::echo()?;
    behind.connect()?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Clock::now();
        let _ = behind.socket().send_slice(b"?");
        behind.poll();
        while !behind.socket().can_recv() {
            behind.poll();
            std::thread::yield_now();
        }
        let _ = behind.socket().recv_slice(&mut [0; 8]);
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    behind.socket().close();
    while !echo.is_finished() {
        behind.poll();
    }
    Ok(times)
}
