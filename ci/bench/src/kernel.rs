//! The kernel at the other end: a network namespace of our own, and plain sockets in it.
//!
//! Whoever sends uses CUBIC from the first segment on, and nothing is measured where the kernel
//! says otherwise.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::socket::sockopt::TcpCongestion;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn};
use nix::sys::socket::{connect, getsockopt, setsockopt, socket};
use nix::unistd::Pid;

use crate::content::{Check, Source, Text};

/// The kernel's address on the tap.
pub const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// The address of the stack behind the tap.
pub const STACK: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
/// The link address of the stack.
pub const MAC: [u8; 6] = [2, 0, 0, 0, 9, 2];
/// The link address of the kernel's side.
pub const HOST_MAC: [u8; 6] = [2, 0, 0, 0, 9, 1];
/// Where whoever serves listens.
pub const PORT: u16 = 5201;
/// Octets the kernel's application reads and writes at once.
const PIECE: usize = 1 << 20;

/// Leaves the machine's network for an empty one, with this thread and those it starts; needs
/// root.
pub fn leave() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    run("ip link set lo up")
}

/// Runs `work` with this thread, and those it starts, on one core.
pub fn on_one_core<R>(work: impl FnOnce() -> R) -> io::Result<R> {
    let me = Pid::from_raw(0);
    let all = sched_getaffinity(me)?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|n| all.is_set(*n) == Ok(true));
    one.set(first.unwrap_or(0))?;
    sched_setaffinity(me, &one)?;
    let result = work();
    sched_setaffinity(me, &all)?;
    Ok(result)
}

/// A port for the stack's end that no connection before had: the kernel may still remember those.
pub fn fresh_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(40_000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Gives the kernel's side of tap `name` its address.
pub fn address(name: &str) -> io::Result<()> {
    run(&format!("ip address add {HERE}/24 dev {name}"))?;
    let text = |mac: [u8; 6]| mac.map(|octet| format!("{octet:02x}")).join(":");
    run(&format!("ip link set {name} address {} up", text(HOST_MAC)))?;
    let mac = text(MAC);
    run(&format!(
        "ip neighbour replace {STACK} lladdr {mac} dev {name}"
    ))
}

pub fn run(line: &str) -> io::Result<()> {
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{line}: {status}"))),
    }
}

/// Listens with CUBIC, which connections inherit.
fn listener(at: Ipv4Addr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind((at, PORT))?;
    cubic(&listener)?;
    Ok(listener)
}

fn cubic(socket: &impl AsFd) -> io::Result<()> {
    setsockopt(socket, TcpCongestion, &OsString::from("cubic"))?;
    is_cubic(socket)
}

fn is_cubic(socket: &impl AsFd) -> io::Result<()> {
    let name = getsockopt(socket, TcpCongestion)?;
    match name.to_string_lossy().trim_end_matches('\0') {
        "cubic" => Ok(()),
        other => Err(io::Error::other(format!("the kernel sends with {other}"))),
    }
}

/// Reads what one connection to `at` brings; gives the number of octets.
pub fn sink_at(at: Ipv4Addr, text: Text) -> io::Result<JoinHandle<io::Result<u64>>> {
    let listener = listener(at)?;
    Ok(std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut into = vec![0; PIECE];
        let mut check = Check::new(text, PIECE);
        loop {
            match stream.read(&mut into)? {
                0 => break,
                n => check.take(&into[..n]),
            }
        }
        check.finish(check.got())?;
        Ok(check.got())
    }))
}

/// Reads what one connection of the stack's brings; gives the number of octets.
pub fn sink(text: Text) -> io::Result<JoinHandle<io::Result<u64>>> {
    sink_at(HERE, text)
}

/// Connects to the stack and sends `total` octets.
pub fn source(total: u64, text: Text) -> JoinHandle<io::Result<u64>> {
    std::thread::spawn(move || send(STACK, total, text))
}

/// Connects to `to`, sends `total` octets, and waits until they were read.
pub fn send(to: Ipv4Addr, total: u64, text: Text) -> io::Result<u64> {
    let mut stream = connected(to)?;
    let mut source = Source::new(text, PIECE);
    let mut left = total;
    while left > 0 {
        let n = stream.write(source.next(left.min(PIECE as u64) as usize))?;
        source.took(n);
        left -= n as u64;
    }
    is_cubic(&stream)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // Whoever reads closes when it has everything.
    let _ = stream.read(&mut [0; 1]);
    Ok(total)
}

/// Sends back each octet to `at` at once until the connection ends.
pub fn echo_at(at: Ipv4Addr) -> io::Result<JoinHandle<io::Result<u64>>> {
    let listener = listener(at)?;
    Ok(std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut into = [0; 64];
        loop {
            match stream.read(&mut into)? {
                0 => return Ok(0),
                n => stream.write_all(&into[..n])?,
            }
        }
    }))
}

/// An echo for the stack behind the tap.
pub fn echo() -> io::Result<JoinHandle<io::Result<u64>>> {
    echo_at(HERE)
}

/// A connection with CUBIC from the first segment on.
pub fn connected(to: Ipv4Addr) -> io::Result<TcpStream> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    cubic(&fd)?;
    connect(
        fd.as_raw_fd(),
        &SockaddrIn::from(SocketAddrV4::new(to, PORT)),
    )?;
    Ok(fd.into())
}

/// What a thread at the other end says, which should have moved `total` octets.
pub fn joined(thread: JoinHandle<io::Result<u64>>, total: u64) -> io::Result<()> {
    let moved = thread.join().map_err(|_| io::Error::other("a thread"))??;
    match moved == total {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "{moved} octets instead of {total}"
        ))),
    }
}
