//! Work on netstrata over an interface of the kernel, one end of a veth pair or a tap, that sleeps
//! while nothing is to be done: seconds on the clock, and of its thread's processor time, which
//! other work on the machine disturbs less.

use std::io;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::Instant as Clock;

use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::phy::{
    Device, Instant, RawOptions, RawSocket, Tap, TapOptions, Waiter, Watch, XdpOptions, XdpSocket,
};
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::congestion::Cubic;
use netstrata::tcp::{Shutdown, SocketOf, State, Tcp, TcpSocket};
use netstrata::wire::Mac;
use netstrata::{Next, Stack};
use nix::time::{ClockId, clock_gettime};

use crate::content::{Check, Source, Text};
use crate::kernel::{self, HERE, MAC, PORT, STACK};
use crate::ours::Seed;
use crate::work::PIECE;

type Flow = SocketOf<SlabSockets, Cubic>;

/// How the stack reaches the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A packet socket with offload, with a ring or without.
    Raw { ring: bool },
    /// AF_XDP; the other end cuts segments by itself.
    Xdp,
    /// A packet socket at the same pair as for AF_XDP: without offload at either end.
    RawPlain { ring: bool },
    /// A tap without offload, with `IFF_NAPI` or without, and that in a thread or not.
    Tap { napi: bool, threaded: bool },
}

/// Seconds.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub clock: f64,
    pub processor: f64,
}

/// Sends (`out`) or receives `total` octets over `wire`.
pub fn bulk(wire: Wire, out: bool, total: u64, text: Text) -> io::Result<Took> {
    let went = match wire {
        Wire::Tap { napi, threaded } => {
            let options = TapOptions::new().with_napi(napi);
            let tap = Tap::with_options("wire0", options).map_err(io::Error::other)?;
            kernel::address("wire0")?;
            if threaded {
                in_a_thread()?;
            }
            return over(tap, out, total, text);
        }
        _ => pair(wire).and_then(|()| opened(wire, out, total, text)),
    };
    kernel::run("ip link del wire0")?;
    went
}

/// Has the kernel take what we send in a thread of its own. Our `/sys` is that of another
/// namespace: a program that mounts its own says it.
fn in_a_thread() -> io::Result<()> {
    let say = "mount -t sysfs sysfs /sys && echo 1 > /sys/class/net/wire0/threaded";
    let mut command = Command::new("unshare");
    let status = command.args(["--mount", "sh", "-c", say]).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(say)),
    }
}

/// A veth pair, the kernel's end with its address.
fn pair(wire: Wire) -> io::Result<()> {
    kernel::run("ip link add wire0 type veth peer name wire1")?;
    kernel::run("ip link set wire1 up")?;
    kernel::address("wire0")?;
    match wire {
        Wire::RawPlain { .. } => kernel::run("ethtool -K wire0 tso off gso off"),
        _ => Ok(()),
    }
}

fn opened(wire: Wire, out: bool, total: u64, text: Text) -> io::Result<Took> {
    let raw = |offload, ring| {
        let options = RawOptions::new().with_offload(offload).with_ring(ring);
        RawSocket::with_options("wire1", options).map_err(io::Error::other)
    };
    match wire {
        Wire::Raw { ring } => over(raw(true, ring)?, out, total, text),
        Wire::RawPlain { ring } => over(raw(false, ring)?, out, total, text),
        _ => {
            let options = XdpOptions::new().with_trusting(true);
            let xdp = XdpSocket::with_options("wire1", options).map_err(io::Error::other)?;
            over(xdp, out, total, text)
        }
    }
}

fn processor() -> io::Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

struct Behind<D> {
    host: Stack<Ethernet<D>, Ipv4, (Tcp<Cubic>,), SlabSockets>,
    start: Clock,
    waiter: Waiter,
}

impl<D: Device + AsFd> Behind<D> {
    fn new(device: D) -> io::Result<Self> {
        let net = Ipv4::default().with(0, STACK, 24);
        let iface = Ethernet::new(device, Mac(MAC));
        Ok(Self {
            host: Stack::new(iface, net, (Tcp::default(),), SlabSockets, &mut Seed(7)),
            start: Clock::now(),
            waiter: Waiter::new()?,
        })
    }

    fn now(&self) -> Instant {
        Instant::from_micros(1_000_000 + self.start.elapsed().as_micros() as u64)
    }

    /// One turn; sleeps before the next if nobody has anything to do, 10 ms at most.
    fn turn(&mut self) -> io::Result<()> {
        let Next::Wait { until, room } = self.host.poll(self.now()) else {
            return Ok(());
        };
        if self.host.next_news::<Flow, _>().is_some() {
            return Ok(());
        }
        let most = std::time::Duration::from_millis(10);
        let now = self.now();
        let sleep = until.map_or(most, |until| until.saturating_since(now).min(most));
        let watch = Watch::readable(self.host.iface.device()).and_writable(room);
        self.waiter.wait(&[watch], Some(sleep)).map(drop)
    }

    fn with<R>(&mut self, h: Handle<Flow>, f: impl FnOnce(&mut Flow) -> R) -> io::Result<R> {
        self.host.socket(h).with(f).map_err(io::Error::other)
    }
}

fn over<D: Device + AsFd>(device: D, out: bool, total: u64, text: Text) -> io::Result<Took> {
    let behind = Behind::new(device)?;
    match out {
        true => send(behind, total, text),
        false => receive(behind, total, text),
    }
}

fn send<D: Device + AsFd>(mut behind: Behind<D>, total: u64, text: Text) -> io::Result<Took> {
    let sink = kernel::sink(text)?;
    let socket: Flow = TcpSocket::connecting((HERE, PORT).into());
    let h = behind.host.open(socket).map_err(io::Error::other)?;
    while !behind.with(h, |s| s.state() == State::Established)? {
        behind.turn()?;
    }
    let mut source = Source::new(text, PIECE);
    let mut left = total;
    let (start, begin) = (Clock::now(), processor()?);
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
        behind.turn()?;
    }
    let took = Took {
        clock: start.elapsed().as_secs_f64(),
        processor: processor()? - begin,
    };
    kernel::joined(sink, total)?;
    Ok(took)
}

fn receive<D: Device + AsFd>(mut behind: Behind<D>, total: u64, text: Text) -> io::Result<Took> {
    let listener = TcpSocket::listener((STACK, PORT).into(), 4);
    let listener = behind.host.open(listener).map_err(io::Error::other)?;
    let source = kernel::source(total, text);
    let h = loop {
        behind.turn()?;
        if let Some(h) = behind.host.socket(listener).accept() {
            break h;
        }
    };
    let mut space = vec![0; PIECE];
    let mut check = Check::new(text, PIECE);
    let (start, begin) = (Clock::now(), processor()?);
    while check.got() < total {
        behind.with(h, |s| {
            while let Ok(n) = s.recv(&mut space) {
                if n == 0 {
                    break;
                }
                check.take(&space[..n]);
            }
        })?;
        behind.turn()?;
    }
    let took = Took {
        clock: start.elapsed().as_secs_f64(),
        processor: processor()? - begin,
    };
    check.finish(total)?;
    behind.with(h, |s| s.shutdown(Shutdown::Write))?;
    while !source.is_finished() {
        behind.turn()?;
    }
    kernel::joined(source, total)?;
    Ok(took)
}
