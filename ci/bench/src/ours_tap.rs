//! Work on netstrata behind a tap, with the kernel at the other end; one busy thread.

use std::io;
use std::time::Instant as Clock;

use netstrata::Stack;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::{Instant, Tap, TapOptions};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::congestion::Cubic;
use netstrata::tcp::{Shutdown, SocketOf, State, Tcp, TcpSocket};
use netstrata::wire::Mac;

use crate::content::{Check, Source, Text};
use crate::kernel::{self, HERE, MAC, PORT, STACK};
use crate::ours::Seed;
use crate::work::PIECE;

type Host = Stack<Ethernet<Tap>, Ipv4, (Tcp<Cubic>,), SlabSockets>;
type Flow = SocketOf<SlabSockets, Cubic>;

struct Behind {
    host: Host,
    start: Clock,
}

impl Behind {
    fn open(offload: bool) -> io::Result<Self> {
        let options = TapOptions::new().with_offload(offload);
        let tap = Tap::with_options("bench0", options).map_err(io::Error::other)?;
        kernel::address(tap.name())?;
        let net = Ipv4::default().with(0, STACK, 24);
        let iface = Ethernet::new(tap, Mac(MAC));
        let host = Stack::new(iface, net, (Tcp::default(),), SlabSockets, &mut Seed(7));
        let start = Clock::now();
        Ok(Self { host, start })
    }

    fn poll(&mut self) {
        let now = Instant::from_micros(1_000_000 + self.start.elapsed().as_micros() as u64);
        self.host.poll(now);
    }

    fn with<R>(&mut self, h: Handle<Flow>, f: impl FnOnce(&mut Flow) -> R) -> io::Result<R> {
        self.host.socket(h).with(f).map_err(io::Error::other)
    }

    fn connect(&mut self) -> io::Result<Handle<Flow>> {
        let mut socket: Flow = TcpSocket::connecting((HERE, PORT).into());
        socket.set_nodelay(true);
        let h = self.host.open(socket).map_err(io::Error::other)?;
        while !self.with(h, |s| s.state() == State::Established)? {
            self.poll();
        }
        Ok(h)
    }
}

/// Sends `total` octets to the kernel; seconds until it has read them all.
pub fn out(offload: bool, total: u64, text: Text) -> io::Result<f64> {
    let mut behind = Behind::open(offload)?;
    let sink = kernel::sink(text)?;
    let h = behind.connect()?;
    let mut source = Source::new(text, PIECE);
    let mut left = total;
    let start = Clock::now();
    while !sink.is_finished() {
        behind.with(h, |s| {
            while left > 0 {
                let most = left.min(PIECE as u64) as usize;
                match s.send(source.next(most)) {
                    Ok(n) if n > 0 => {
                        source.took(n);
                        left -= n as u64;
                    }
                    _ => return,
                }
            }
            s.shutdown(Shutdown::Write);
        })?;
        behind.poll();
    }
    let took = start.elapsed().as_secs_f64();
    kernel::joined(sink, total)?;
    Ok(took)
}

/// Receives `total` octets from the kernel; seconds from the first to the last.
pub fn into(offload: bool, total: u64, text: Text) -> io::Result<f64> {
    let mut behind = Behind::open(offload)?;
    let listener = TcpSocket::listener((STACK, PORT).into(), 4);
    let listener = behind.host.open(listener).map_err(io::Error::other)?;
    let source = kernel::source(total, text);
    let h = loop {
        behind.poll();
        if let Some(h) = behind.host.socket(listener).accept() {
            break h;
        }
    };
    let mut space = vec![0; PIECE];
    let mut check = Check::new(text, PIECE);
    let start = Clock::now();
    while check.got() < total {
        behind.poll();
        behind.with(h, |s| {
            while let Ok(n) = s.recv(&mut space) {
                if n == 0 {
                    break;
                }
                check.take(&space[..n]);
            }
        })?;
    }
    let took = start.elapsed().as_secs_f64();
    check.finish(total)?;
    behind.with(h, |s| s.shutdown(Shutdown::Write))?;
    while !source.is_finished() {
        behind.poll();
    }
    kernel::joined(source, total)?;
    Ok(took)
}

/// Microseconds of one-octet round trips with an echo of the kernel's: median and 99th of 100.
pub fn round_trips(count: usize) -> io::Result<Vec<f64>> {
    let mut behind = Behind::open(false)?;
    let echo = kernel::echo()?;
    let h = behind.connect()?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Clock::now();
        behind
            .with(h, |s| s.send(b"?"))?
            .map_err(io::Error::other)?;
        behind.poll();
        while behind.with(h, |s| s.recv(&mut [0; 8]).unwrap_or(0))? == 0 {
            behind.poll();
            std::thread::yield_now();
        }
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    behind.with(h, |s| s.shutdown(Shutdown::Write))?;
    while !echo.is_finished() {
        behind.poll();
    }
    Ok(times)
}
