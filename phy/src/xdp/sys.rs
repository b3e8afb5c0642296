//! What AF_XDP needs of the kernel beyond safe functions: memory shared with it, the calls that
//! set a socket up, and `bpf(2)`. All unsafe code of AF_XDP is here.
//!
//! Invariant: every function is safe to call with any arguments. Shared memory is only ever
//! looked at through atomics, or through slices of chunks that the caller says are its own and
//! that lie in the mapping as a whole; a mapping lives as long as anybody holds it.

use core::mem::{size_of, zeroed};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64};
use std::boxed::Box;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use libc::{c_int, c_void, socklen_t};
use nix::errno::Errno;

/// Memory shared with the kernel.
#[derive(Debug)]
pub(super) struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the value and to no thread; shared access goes through atomics,
// exclusive access (`octets`) takes the value exclusively.
unsafe impl Send for Map {}

impl Map {
    /// Fresh memory, all zeros.
    pub(super) fn anonymous(len: usize) -> Result<Self, Errno> {
        Self::new(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// A ring of a socket.
    pub(super) fn ring(socket: BorrowedFd<'_>, len: usize, offset: i64) -> Result<Self, Errno> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Self::new(len, flags, socket.as_raw_fd(), offset)
    }

    fn new(len: usize, flags: c_int, fd: c_int, offset: i64) -> Result<Self, Errno> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses a place where nothing else is.
        let start =
            unsafe { libc::mmap(core::ptr::null_mut(), len, protection, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let start = NonNull::new(start.cast()).ok_or(Errno::ENOMEM)?;
        Ok(Self { start, len })
    }

    /// The 32-bit number at octet `at`.
    pub(super) fn u32(&self, at: usize) -> Option<&AtomicU32> {
        let start = self.inside(at, size_of::<AtomicU32>())?;
        // SAFETY: the four octets lie in the mapping, which is readable and writable for as long
        // as the reference lives, and are aligned, as just seen; the kernel changes them as a
        // whole.
        Some(unsafe { &*start.cast::<AtomicU32>() })
    }

    /// The 64-bit number at octet `at`.
    pub(super) fn u64(&self, at: usize) -> Option<&AtomicU64> {
        let start = self.inside(at, size_of::<AtomicU64>())?;
        // SAFETY: as in `u32`, with eight octets.
        Some(unsafe { &*start.cast::<AtomicU64>() })
    }

    /// Where `len` octets at `at` begin, if they are inside and aligned to their length.
    fn inside(&self, at: usize, len: usize) -> Option<*const u8> {
        let inside = at.checked_add(len)? <= self.len && at.is_multiple_of(len);
        // SAFETY: `at` is within the mapping.
        inside.then(|| unsafe { self.start.as_ptr().add(at).cast_const() })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made; whoever refers to it borrows `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Chunks of memory that user space and kernel hand to each other. A chunk is the kernel's from
/// [`Chunks::give`] to [`Chunks::take`], and out of reach meanwhile.
#[derive(Debug)]
pub(super) struct Chunks {
    map: Arc<Shared>,
    /// Octets before the first chunk of this part of the memory.
    from: usize,
    size: usize,
    ours: Box<[bool]>,
}

/// One mapping with several parts.
#[derive(Debug)]
struct Shared(Map);

// SAFETY: each part of the mapping is reached by one `Chunks` only, through exclusive access.
unsafe impl Sync for Shared {}

impl Chunks {
    /// Two parts of one mapping, with `count` chunks of `size` octets each, all of them ours; and
    /// where the kernel finds the mapping.
    pub(super) fn pair(count: usize, size: usize) -> Result<([Self; 2], Registered), Errno> {
        let part = count.checked_mul(size).ok_or(Errno::EINVAL)?;
        let len = part.checked_mul(2).ok_or(Errno::EINVAL)?;
        let map = Arc::new(Shared(Map::anonymous(len)?));
        let registered = Registered {
            start: map.0.start.as_ptr() as u64,
            len: len as u64,
            size: size as u32,
        };
        let parts = [0, part].map(|from| Self {
            map: map.clone(),
            from,
            size,
            ours: std::vec![true; count].into_boxed_slice(),
        });
        Ok((parts, registered))
    }

    /// How many chunks there are.
    pub(super) fn count(&self) -> usize {
        self.ours.len()
    }

    /// The kernel's address of chunk `index`.
    pub(super) fn address(&self, index: usize) -> u64 {
        (self.from + index * self.size) as u64
    }

    /// The chunk in which an address of the kernel's lies, and how far into it.
    pub(super) fn find(&self, address: u64) -> Option<(usize, usize)> {
        let at = usize::try_from(address).ok()?.checked_sub(self.from)?;
        let (index, offset) = (at.checked_div(self.size)?, at.checked_rem(self.size)?);
        (index < self.ours.len()).then_some((index, offset))
    }

    /// The chunk is the kernel's from now on; false if it was so before.
    pub(super) fn give(&mut self, index: usize) -> bool {
        let ours = self.ours.get_mut(index);
        ours.is_some_and(|ours| core::mem::replace(ours, false))
    }

    /// The kernel has given the chunk back; false if it was ours.
    pub(super) fn take(&mut self, index: usize) -> bool {
        let ours = self.ours.get_mut(index);
        ours.is_some_and(|ours| !core::mem::replace(ours, true))
    }

    /// `len` octets from `offset` on of a chunk that is ours.
    pub(super) fn octets(&mut self, index: usize, offset: usize, len: usize) -> Option<&mut [u8]> {
        let inside = offset.checked_add(len)? <= self.size;
        if !inside || !*self.ours.get(index)? {
            return None;
        }
        let at = self.from + index * self.size + offset;
        // SAFETY: the octets lie in a chunk of this part, which nobody else has (`pair` made parts
        // that do not overlap) and which the kernel leaves alone until it is given the chunk;
        // `self` is borrowed exclusively as long as the slice lives and keeps the mapping.
        Some(unsafe { core::slice::from_raw_parts_mut(self.map.0.start.as_ptr().add(at), len) })
    }
}

/// Memory for frames, as the kernel is told of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registered {
    start: u64,
    len: u64,
    size: u32,
}

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
    Ok(stats.rx_dropped + stats.rx_ring_full + stats.rx_fill_ring_empty_descs)
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

/// Calls `bpf(2)`. Addresses in the request must be those of memory that outlives the call and is
/// as long as the kernel reads.
fn bpf(command: c_int, request: &Request) -> Result<c_int, Errno> {
    // SAFETY: the kernel reads as many octets as we say, the size of the request, and what the
    // addresses in it point to, which the callers below answer for.
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

/// A map from the numbers of queues, below `entries`, to AF_XDP sockets.
pub(super) fn socket_map(entries: u32) -> Result<OwnedFd, Errno> {
    let mut request = Request::default();
    // Type, octets of a key, octets of a value, entries.
    [request[0], request[1]] = [two(XSK_MAP, 4), two(4, entries)];
    owned(bpf(MAP_CREATE, &request)?)
}

/// Puts a socket into such a map.
pub(super) fn put(map: BorrowedFd<'_>, queue: u32, socket: BorrowedFd<'_>) -> Result<(), Errno> {
    let value = descriptor(socket);
    let mut request = Request::default();
    request[0] = two(descriptor(map), 0);
    request[1] = (&raw const queue) as u64;
    request[2] = (&raw const value) as u64;
    // Key and value are four octets each, as the map was made, and live until the call returns.
    bpf(MAP_UPDATE, &request).map(drop)
}

/// Loads an XDP program, one 64-bit word an instruction.
pub(super) fn load(program: &[u64]) -> Result<OwnedFd, Errno> {
    let mut request = Request::default();
    request[0] = two(XDP_PROGRAM, program.len() as u32);
    request[1] = program.as_ptr() as u64;
    request[2] = c"Dual MIT/GPL".as_ptr() as u64;
    // The program is as long as it says and the licence ends in a zero; both outlive the call.
    owned(bpf(PROGRAM_LOAD, &request)?)
}

/// Has the interface run the program on every frame it receives, until the result is closed;
/// `mode` is one of `XDP_FLAGS_*`.
pub(super) fn attach(program: BorrowedFd<'_>, ifindex: u32, mode: u32) -> Result<OwnedFd, Errno> {
    let mut request = Request::default();
    [request[0], request[1]] = [two(descriptor(program), ifindex), two(XDP_ATTACH, mode)];
    owned(bpf(LINK_CREATE, &request)?)
}
