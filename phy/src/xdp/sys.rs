//! System calls of AF_XDP, and `bpf(2)`, that no crate we use offers as safe functions.
//!
//! Invariant: every function is safe to call with any arguments. No pointer outlives the call it
//! is made for, but for the memory that is registered with a socket: the kernel holds on to its
//! pages itself.

use core::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_void, socklen_t};
use nix::errno::Errno;

use crate::map::Registered;
use crate::name::Name;

/// A socket of the AF_XDP family, without memory and rings.
pub(super) fn socket() -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })
}

fn owned(fd: c_int) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(fd)?;
    // SAFETY: the system call that returned this descriptor just opened it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Tells the kernel where frames are.
pub(super) fn register(socket: BorrowedFd<'_>, memory: Registered) -> Result<(), Errno> {
    // SAFETY: the structure is made of integers; all zeros is a value of it.
    let mut request: libc::xdp_umem_reg = unsafe { zeroed() };
    request.addr = memory.start;
    request.len = memory.len;
    request.chunk_size = memory.size;
    set(socket, libc::XDP_UMEM_REG, &request)
}

/// Makes a ring of `entries`, a power of two; `ring` is one of `XDP_*_RING`.
pub(super) fn make_ring(socket: BorrowedFd<'_>, ring: c_int, entries: u32) -> Result<(), Errno> {
    set(socket, ring, &entries)
}

fn set<T: Copy>(socket: BorrowedFd<'_>, option: c_int, value: &T) -> Result<(), Errno> {
    // SAFETY: the kernel reads as many octets as we say, which is the size of the value.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            option,
            (&raw const *value).cast(),
            size_of::<T>() as socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

fn get<T: Copy>(socket: BorrowedFd<'_>, option: c_int) -> Result<T, Errno> {
    // SAFETY: all types this is called for are made of integers.
    let mut value: T = unsafe { zeroed() };
    let mut len = size_of::<T>() as socklen_t;
    // SAFETY: the kernel writes at most `len` octets, the size of the value, and the length it
    // wrote to `len`; both live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            option,
            (&raw mut value).cast(),
            &raw mut len,
        )
    };
    Errno::result(result).map(|_| value)
}

/// Where the parts of the rings are in their mappings.
pub(super) fn offsets(socket: BorrowedFd<'_>) -> Result<libc::xdp_mmap_offsets, Errno> {
    get(socket, libc::XDP_MMAP_OFFSETS)
}

/// Frames that were for us and found no room.
pub(super) fn overruns(socket: BorrowedFd<'_>) -> Result<u64, Errno> {
    let stats: libc::xdp_statistics = get(socket, libc::XDP_STATISTICS)?;
    let full = stats
        .rx_ring_full
        .wrapping_add(stats.rx_fill_ring_empty_descs);
    Ok(stats.rx_dropped.wrapping_add(full))
}

/// Binds to one queue of an interface.
pub(super) fn bind(
    socket: BorrowedFd<'_>,
    ifindex: u32,
    queue: u32,
    flags: u16,
) -> Result<(), Errno> {
    // SAFETY: the structure is made of integers; all zeros is a value of it.
    let mut address: libc::sockaddr_xdp = unsafe { zeroed() };
    address.sxdp_family = libc::AF_XDP as u16;
    address.sxdp_flags = flags;
    address.sxdp_ifindex = ifindex;
    address.sxdp_queue_id = queue;
    // SAFETY: the kernel reads as many octets as we say, which is the size of the address.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_xdp>() as socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// Has the kernel look at the ring of frames to send.
pub(super) fn kick(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: there is no data: the pointers are null and their lengths zero.
    let result = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            core::ptr::null(),
            0,
            libc::MSG_DONTWAIT,
            core::ptr::null(),
            0,
        )
    };
    Errno::result(result).map(drop)
}

/// Has the driver look at the ring of chunks to fill.
pub(super) fn wake(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: there is no room for data: the pointers are null and the length zero.
    let result = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            core::ptr::null_mut(),
            0,
            libc::MSG_DONTWAIT,
            core::ptr::null_mut(),
            core::ptr::null_mut(),
        )
    };
    Errno::result(result).map(drop)
}

/// A request of `bpf(2)`: its fields as 64-bit words in order, zero where not given.
type Request = [u64; 16];

const MAP_CREATE: c_int = 0;
const MAP_UPDATE: c_int = 2;
const PROGRAM_LOAD: c_int = 5;
const LINK_CREATE: c_int = 28;

/// `BPF_MAP_TYPE_XSKMAP`, `BPF_PROG_TYPE_XDP` and the attach type `BPF_XDP`.
const XSK_MAP: u32 = 17;
const XDP_PROGRAM: u32 = 6;
const XDP_ATTACH: u32 = 37;

/// Two 32-bit fields that follow each other in a request.
const fn two(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

fn descriptor(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().cast_unsigned()
}

/// Calls `bpf(2)`.
///
/// # Safety
/// Addresses in the request must be those of memory that outlives the call and is as long as the
/// kernel reads, and none that it writes to.
unsafe fn bpf(command: c_int, request: &Request) -> Result<c_int, Errno> {
    // SAFETY: the kernel reads as many octets as we say, the size of the request, and what the
    // addresses in it point to, which the caller answers for.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            (&raw const *request).cast::<c_void>(),
            size_of::<Request>(),
        )
    };
    Errno::result(result).map(|fd| fd as c_int)
}

/// A map from numbers of queues to AF_XDP sockets: keys and values of four octets each.
#[derive(Debug)]
pub(super) struct SocketMap(OwnedFd);

impl SocketMap {
    /// What a program calls it by.
    pub(super) fn number(&self) -> c_int {
        self.0.as_raw_fd()
    }
}

/// A map for queues below `entries`.
pub(super) fn socket_map(entries: u32) -> Result<SocketMap, Errno> {
    let mut request = Request::default();
    // Type, octets of a key, octets of a value, entries.
    [request[0], request[1]] = [two(XSK_MAP, 4), two(4, entries)];
    // SAFETY: there are no addresses in the request.
    owned(unsafe { bpf(MAP_CREATE, &request) }?).map(SocketMap)
}

/// Puts a socket into such a map.
pub(super) fn put(map: &SocketMap, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let value = descriptor(socket);
    let mut request = Request::default();
    request[0] = two(descriptor(map.0.as_fd()), 0);
    request[1] = (&raw const queue) as u64;
    request[2] = (&raw const value) as u64;
    // SAFETY: key and value are four octets each, as the map was made, and live until the call
    // returns.
    unsafe { bpf(MAP_UPDATE, &request) }.map(drop)
}

/// Loads an XDP program, one 64-bit word an instruction.
pub(super) fn load(program: &[u64]) -> Result<OwnedFd, Errno> {
    let mut request = Request::default();
    let len = u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?;
    request[0] = two(XDP_PROGRAM, len);
    request[1] = program.as_ptr() as u64;
    request[2] = c"Dual MIT/GPL".as_ptr() as u64;
    // SAFETY: the program is as long as the request says and the licence ends in a zero; both
    // outlive the call.
    owned(unsafe { bpf(PROGRAM_LOAD, &request) }?)
}

/// Has the interface run the program on every frame it receives, until the result is closed;
/// `mode` is one of `XDP_FLAGS_*`.
pub(super) fn attach(program: BorrowedFd<'_>, ifindex: u32, mode: u32) -> Result<OwnedFd, Errno> {
    let mut request = Request::default();
    [request[0], request[1]] = [two(descriptor(program), ifindex), two(XDP_ATTACH, mode)];
    // SAFETY: there are no addresses in the request.
    owned(unsafe { bpf(LINK_CREATE, &request) }?)
}

/// `ETHTOOL_GDRVINFO`.
const DRIVER_INFO: u32 = 3;

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    /// Versions, the bus and numbers, of no interest here.
    rest: [u8; 160],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

/// What drives the interface `name` in the network namespace that `socket` was opened in: a name
/// of up to 32 octets.
pub(super) fn driver(socket: BorrowedFd<'_>, name: &Name) -> Result<[u8; 32], Errno> {
    let mut info = DriverInfo {
        command: DRIVER_INFO,
        driver: [0; 32],
        rest: [0; 160],
    };
    let mut ifreq = crate::sys::request_for(name);
    ifreq.ifr_ifru.ifru_data = (&raw mut info).cast();
    let socket = socket.as_raw_fd();
    // SAFETY: the request reads one `ifreq`, and reads and writes what its pointer leads to, which
    // by the command is a `struct ethtool_drvinfo`; both live until the call returns.
    Errno::result(unsafe { libc::ioctl(socket, libc::SIOCETHTOOL as _, &raw mut ifreq) })?;
    Ok(info.driver)
}
