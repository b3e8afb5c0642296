//! A bare tap for the peers: one descriptor, frames with a virtio-net header before them.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// Octets of the virtio-net header.
pub const VNET: usize = 12;
/// Largest frame with its header.
pub const LARGEST: usize = VNET + 14 + 65_535;

const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const TUNSETOFFLOAD: libc::c_ulong = 0x4004_54d0;
const TUNSETVNETHDRSZ: libc::c_ulong = 0x4004_54d8;
/// Checksums and TCP over IPv4 may be left to whoever reads.
const OFFLOADS: libc::c_ulong = 1 | 2;

pub struct TapFd {
    file: File,
    pub name: String,
}

impl TapFd {
    /// A new interface; with `offload` the kernel leaves segmentation and checksums to us and
    /// takes both from us.
    pub fn open(offload: bool) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")?;
        // SAFETY: all zeroes is a value of this type.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(b"fake%d") {
            *to = *from as libc::c_char;
        }
        let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
        request.ifr_ifru.ifru_flags = flags as libc::c_short;
        let fd = file.as_raw_fd();
        let size = VNET as libc::c_int;
        // SAFETY: each call gets what it expects: a request, an integer's address, a number.
        let results = unsafe {
            [
                libc::ioctl(fd, TUNSETIFF, &raw mut request),
                libc::ioctl(fd, TUNSETVNETHDRSZ, &raw const size),
                libc::ioctl(fd, TUNSETOFFLOAD, if offload { OFFLOADS } else { 0 }),
            ]
        };
        if results.contains(&-1) {
            return Err(io::Error::last_os_error());
        }
        let name = request.ifr_name.iter().take_while(|c| **c != 0);
        let name = name.map(|c| char::from(*c as u8)).collect();
        Ok(Self { file, name })
    }

    /// Reads one frame with its header; `None` if there is none.
    pub fn read(&mut self, into: &mut [u8]) -> Option<usize> {
        self.file.read(into).ok()
    }

    /// Writes one frame with its header.
    pub fn write(&mut self, frame: &[u8]) {
        // A full queue loses the frame, as a wire would.
        let _ = self.file.write(frame);
    }

    /// Writes one frame in two pieces.
    pub fn write_two(&mut self, head: &[u8], text: &[u8]) {
        let pieces = [io::IoSlice::new(head), io::IoSlice::new(text)];
        let _ = self.file.write_vectored(&pieces);
    }
}

/// The virtio-net header of a TCP segment over IPv4 without options that the kernel shall
/// complete, and cut into pieces of `mss` octets behind `head` octets of headers if that is given.
pub fn vnet_of(cut: Option<(u16, u16)>) -> [u8; VNET] {
    let mut header = [0; VNET];
    header[0] = 1; // a checksum is missing
    if let Some((mss, head)) = cut {
        header[1] = 1; // TCP over IPv4
        header[2..4].copy_from_slice(&head.to_ne_bytes());
        header[4..6].copy_from_slice(&mss.to_ne_bytes());
    }
    header[6..8].copy_from_slice(&34_u16.to_ne_bytes());
    header[8..10].copy_from_slice(&16_u16.to_ne_bytes());
    header
}

/// Sum of `octets` as 16-bit words, not folded.
pub fn words(octets: &[u8]) -> u32 {
    let words = octets.chunks(2);
    words.fold(0, |sum, word| {
        let low = word.get(1).copied().unwrap_or(0);
        sum + u32::from(u16::from_be_bytes([word[0], low]))
    })
}

/// Folds a sum.
pub fn fold(sum: u32) -> u16 {
    let sum = (sum >> 16) + (sum & 0xffff);
    ((sum >> 16) + (sum & 0xffff)) as u16
}

/// Sum of the pseudo-header of the TCP segment in an Ethernet frame.
pub fn pseudo(frame: &[u8]) -> u16 {
    let len = frame.len() as u32 - 34;
    fold(words(&frame[26..34]) + 6 + (len >> 16) + (len & 0xffff))
}
