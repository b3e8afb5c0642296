//! The kernel at the other end: a network namespace of our own, and plain sockets in it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::Command;
use std::thread::JoinHandle;

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

/// Leaves the machine's network for an empty one; needs root.
pub fn leave() -> io::Result<()> {
    // SAFETY: a plain system call without pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    run("ip link set lo up")
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

fn run(line: &str) -> io::Result<()> {
    let mut words = line.split_whitespace();
    let status = Command::new(words.next().unwrap_or_default())
        .args(words)
        .status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{line}: {status}"))),
    }
}

/// Listens with CUBIC, which connections inherit.
fn listener() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((HERE, PORT))?;
    cubic(&listener)?;
    Ok(listener)
}

fn cubic(socket: &impl AsRawFd) -> io::Result<()> {
    let name = b"cubic";
    // SAFETY: the pointer and the length are those of a live array.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            name.as_ptr().cast(),
            name.len() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads what one connection brings; gives the number of octets.
pub fn sink() -> io::Result<JoinHandle<io::Result<u64>>> {
    let listener = listener()?;
    Ok(std::thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        let mut into = vec![0; PIECE];
        let mut got = 0;
        loop {
            match stream.read(&mut into)? {
                0 => return Ok(got),
                n => got += n as u64,
            }
        }
    }))
}

/// Connects to the stack, with CUBIC from the first segment on, and sends `total` octets.
pub fn source(total: u64) -> JoinHandle<io::Result<u64>> {
    std::thread::spawn(move || {
        let mut stream = connect()?;
        let piece = vec![0x5a; PIECE];
        let mut left = total;
        while left > 0 {
            let len = left.min(PIECE as u64) as usize;
            stream.write_all(&piece[..len])?;
            left -= len as u64;
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        // The stack closes when it has everything.
        let _ = stream.read(&mut [0; 1]);
        Ok(total)
    })
}

/// Sends back each octet at once until the connection ends.
pub fn echo() -> io::Result<JoinHandle<io::Result<u64>>> {
    let listener = listener()?;
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

fn connect() -> io::Result<TcpStream> {
    // SAFETY: a plain system call; the descriptor is checked and owned at once.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` is a socket that nobody else owns.
    let stream = unsafe { TcpStream::from_raw_fd(fd) };
    cubic(&stream)?;
    let SocketAddr::V4(to) = SocketAddr::from((STACK, PORT)) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(to.ip().octets()),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: the pointer and the length are those of a live value of the family's type.
    let result = unsafe {
        libc::connect(
            fd,
            (&raw const address).cast(),
            size_of_val(&address) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(stream),
        _ => Err(io::Error::last_os_error()),
    }
}
