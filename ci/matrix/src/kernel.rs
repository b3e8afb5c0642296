//! Applications on the kernel's sockets.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netstrata::host::Pattern;
use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, setsockopt, sockopt,
};

use crate::lab::Kernel;

/// Where everybody listens.
pub const PORT: u16 = 5201;
/// How long a call waits before it looks at the time.
const TICK: Duration = Duration::from_millis(500);
/// How long who waits for what another thread does sleeps.
const NAP: Duration = Duration::from_millis(25);

/// What is shared by both ends of a transfer.
#[derive(Debug)]
pub struct Transfer {
    pub octets: u64,
    pub until: Instant,
    /// Octets that arrived and were right.
    pub got: AtomicU64,
    /// Microseconds from the start to the last of them.
    pub took: AtomicU64,
    pub start: Instant,
    pub buffer: Option<usize>,
}

impl Transfer {
    pub fn new(octets: u64, limit: Duration, buffer: Option<usize>) -> Self {
        let start = Instant::now();
        Self {
            octets,
            until: start + limit,
            got: AtomicU64::new(0),
            took: AtomicU64::new(0),
            start,
            buffer,
        }
    }

    /// More arrived.
    pub fn arrived(&self, octets: u64) {
        self.got.store(octets, Ordering::Relaxed);
        let took = self.start.elapsed().as_micros() as u64;
        self.took.store(took, Ordering::Relaxed);
    }

    /// Did all arrive?
    pub fn is_whole(&self) -> bool {
        self.got.load(Ordering::Relaxed) == self.octets
    }

    pub fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(TICK))
}

/// A socket under CUBIC with buffers of this size, both chosen before anything is agreed on.
fn socket(buffer: Option<usize>) -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::Inet, SockType::Stream);
    let fd = socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&fd, sockopt::TcpCongestion, &OsString::from("cubic"))?;
    if let Some(octets) = buffer {
        setsockopt(&fd, sockopt::SndBuf, &octets)?;
        setsockopt(&fd, sockopt::RcvBuf, &octets)?;
    }
    Ok(fd)
}

/// A socket that listens.
pub fn listen(kernel: &Kernel, buffer: Option<usize>) -> io::Result<TcpListener> {
    let at = SockaddrIn::from(SocketAddrV4::new(kernel.ip, PORT));
    let listener = kernel.place.run(|| -> io::Result<_> {
        let fd = socket(buffer)?;
        socket::bind(fd.as_raw_fd(), &at)?;
        socket::listen(&fd, Backlog::new(1)?)?;
        Ok(TcpListener::from(fd))
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes one connection and reads all of it.
pub fn receive(listener: &TcpListener, transfer: &Transfer) -> io::Result<()> {
    let mut stream = loop {
        match listener.accept() {
            Ok((stream, _)) => break stream,
            Err(e) if e.kind() == ErrorKind::WouldBlock && !transfer.is_late() => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(e) => return Err(e),
        }
    };
    stream.set_nonblocking(false)?;
    prepare(&stream)?;
    let (mut pattern, mut buffer) = (Pattern::new(), vec![0; 256 << 10]);
    while !transfer.is_late() && !transfer.is_whole() {
        let n = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if again(&e) => continue,
            Err(e) => return Err(e),
        };
        if !pattern.matches(&buffer[..n]) {
            return Err(io::Error::new(ErrorKind::InvalidData, "other octets came"));
        }
        transfer.arrived(pattern.position());
    }
    Ok(())
}

fn again(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Connects to `peer` and writes all.
pub fn send(kernel: &Kernel, peer: Ipv4Addr, transfer: &Transfer) -> io::Result<()> {
    let to = SockaddrIn::from(SocketAddrV4::new(peer, PORT));
    let mut stream = kernel.place.run(|| -> io::Result<_> {
        let fd = socket(transfer.buffer)?;
        socket::connect(fd.as_raw_fd(), &to)?;
        Ok(TcpStream::from(fd))
    })?;
    prepare(&stream)?;
    let (mut pattern, mut buffer) = (Pattern::new(), vec![0; 256 << 10]);
    let mut left = transfer.octets;
    while left > 0 && !transfer.is_late() {
        let n = (buffer.len() as u64).min(left) as usize;
        pattern.fill(&mut buffer[..n]);
        let mut rest = &buffer[..n];
        while !rest.is_empty() && !transfer.is_late() {
            match stream.write(rest) {
                Ok(wrote) => rest = &rest[wrote..],
                Err(e) if again(&e) => {}
                Err(e) => return Err(e),
            }
        }
        left -= (n - rest.len()) as u64;
    }
    // Until the peer has it all.
    while !transfer.is_whole() && !transfer.is_late() {
        std::thread::sleep(NAP);
    }
    Ok(())
}
