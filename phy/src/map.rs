//! Memory shared with the kernel: rings, and chunks that frames lie in. All unsafe code of it.
//!
//! Invariant: every function is safe to call with any arguments. Shared memory is only ever
//! looked at through atomics, or through slices of chunks that are ours by what the kernel last
//! said and that lie in the mapping as a whole; a mapping lives as long as anybody holds it. Only
//! the devices of this crate call these functions.

use core::mem::size_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64};
use std::boxed::Box;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;

use libc::c_int;
use nix::errno::Errno;

/// Memory shared with the kernel.
#[derive(Debug)]
pub(crate) struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the value and to no thread; shared access goes through atomics,
// exclusive access (`octets`) takes the value exclusively.
unsafe impl Send for Map {}

impl Map {
    /// Fresh memory, all zeros.
    pub(crate) fn anonymous(len: usize) -> Result<Self, Errno> {
        Self::new(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// A ring of a socket.
    pub(crate) fn ring(socket: BorrowedFd<'_>, len: usize, offset: i64) -> Result<Self, Errno> {
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
    pub(crate) fn u32(&self, at: usize) -> Option<&AtomicU32> {
        let start = self.inside(at, size_of::<AtomicU32>())?;
        // SAFETY: the four octets lie in the mapping, which is readable and writable for as long
        // as the reference lives, and are aligned, as just seen; the kernel changes them as a
        // whole.
        Some(unsafe { &*start.cast::<AtomicU32>() })
    }

    /// The 64-bit number at octet `at`.
    pub(crate) fn u64(&self, at: usize) -> Option<&AtomicU64> {
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
pub(crate) struct Chunks {
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
    pub(crate) fn pair(count: usize, size: usize) -> Result<([Self; 2], Registered), Errno> {
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

    /// `count` chunks of `size` octets each, a ring's, all of them the kernel's.
    pub(crate) fn slots(map: Map, count: usize, size: usize) -> Result<Self, Errno> {
        if count.checked_mul(size).is_none_or(|len| len > map.len) {
            return Err(Errno::EINVAL);
        }
        Ok(Self {
            map: Arc::new(Shared(map)),
            from: 0,
            size,
            ours: std::vec![false; count].into_boxed_slice(),
        })
    }

    /// The 32-bit number that chunk `index` begins with: in a ring, whose it is.
    pub(crate) fn word(&self, index: usize) -> Option<&AtomicU32> {
        let at = index.checked_mul(self.size)?.checked_add(self.from)?;
        self.map.0.u32(at)
    }

    /// How many chunks there are.
    pub(crate) fn count(&self) -> usize {
        self.ours.len()
    }

    /// The kernel's address of chunk `index`.
    pub(crate) fn address(&self, index: usize) -> u64 {
        (self.from + index * self.size) as u64
    }

    /// The chunk in which an address of the kernel's lies, and how far into it.
    pub(crate) fn find(&self, address: u64) -> Option<(usize, usize)> {
        let at = usize::try_from(address).ok()?.checked_sub(self.from)?;
        let (index, offset) = (at.checked_div(self.size)?, at.checked_rem(self.size)?);
        (index < self.ours.len()).then_some((index, offset))
    }

    /// The chunk is the kernel's from now on; false if it was so before.
    pub(crate) fn give(&mut self, index: usize) -> bool {
        let ours = self.ours.get_mut(index);
        ours.is_some_and(|ours| core::mem::replace(ours, false))
    }

    /// The kernel has given the chunk back; false if it was ours.
    pub(crate) fn take(&mut self, index: usize) -> bool {
        let ours = self.ours.get_mut(index);
        ours.is_some_and(|ours| !core::mem::replace(ours, true))
    }

    /// `len` octets from `offset` on of a chunk that is ours.
    pub(crate) fn octets(&mut self, index: usize, offset: usize, len: usize) -> Option<&mut [u8]> {
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
pub(crate) struct Registered {
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) size: u32,
}
