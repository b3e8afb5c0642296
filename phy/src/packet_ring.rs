//! Received frames of a packet socket in memory shared with the kernel (`packet_mmap`, version 2
//! of its ring): a slot for each frame of up to the MTU, and no system call. A frame that is
//! larger than a slot, which is one that a host on this machine left to be cut, stays whole in the
//! socket's queue, and its slot says so: slots for 64 KB would hold a thirtieth as many frames.
//!
//! Invariant: a slot is looked at only between the kernel's word that it is filled and ours that
//! it is free again; what the slot says is checked against its size.

use core::sync::atomic::Ordering::{Acquire, Release};
use std::os::fd::BorrowedFd;

use libc::c_int;
use nix::errno::Errno;

use crate::map::{Chunks, Map};
use crate::sys::{self, HEADROOM};
use crate::vnet;

/// Octets of all slots.
const MEMORY: usize = 16 << 20;

/// Octets that the kernel is asked for in one piece.
const BLOCK: usize = 1 << 16;

/// Octets of a slot, at least and at most.
const SMALLEST: usize = 2048;
const LARGEST: usize = 16_384;

/// Octets before a frame in its slot, at most: the slot's header, an address, a virtio-net header
/// and what aligns them.
const BEFORE: usize = 128;

/// Where things are in a slot: `struct tpacket2_hdr`, then `struct sockaddr_ll`.
const HEADER: usize = 32;
const ADDRESS: usize = 20;
/// Into the address: `sll_pkttype`.
const PACKET_TYPE: usize = HEADER + 10;

/// So many turns without a frame, and the socket is asked whether something is wrong.
const EMPTY: u8 = 32;

/// The ring.
#[derive(Debug)]
pub(crate) struct PacketRing {
    slots: Chunks,
    next: usize,
    /// Turns without a frame since one, or since the socket was asked.
    empty: u8,
}

/// What a slot says about its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    index: usize,
    mac: usize,
    len: usize,
    /// `TP_STATUS_*` bits.
    pub(crate) status: u32,
    /// Tag protocol and tag the kernel cut out.
    pub(crate) vlan: Option<(u16, u16)>,
    /// The frame was sent from this interface, not received.
    pub(crate) outgoing: bool,
    /// It did not fit, and is in the socket's queue.
    pub(crate) copied: bool,
    /// The header before the frame, if negotiated.
    pub(crate) vnet: [u8; vnet::LEN],
}

impl PacketRing {
    /// A ring for a socket that is not bound yet, with slots for frames of `frame` octets.
    pub(crate) fn open(socket: BorrowedFd<'_>, frame: usize) -> Result<Self, Errno> {
        let size = frame.saturating_add(BEFORE).clamp(SMALLEST, LARGEST);
        let size = size.next_power_of_two();
        let count = MEMORY.checked_div(size).ok_or(Errno::EINVAL)?;
        let packet = |option, value: c_int| sys::set_int(socket, libc::SOL_PACKET, option, value);
        packet(
            libc::PACKET_VERSION,
            libc::tpacket_versions::TPACKET_V2 as c_int,
        )?;
        packet(libc::PACKET_COPY_THRESH, 1)?;
        sys::packet_ring(socket, count, size, BLOCK)?;
        // A ring that nobody can read would swallow what arrives.
        let map = Map::ring(socket, MEMORY, 0).inspect_err(|_| {
            let _ = sys::packet_ring(socket, 0, 0, BLOCK);
        })?;
        let slots = Chunks::slots(map, count, size)?;
        Ok(Self {
            slots,
            next: 0,
            empty: 0,
        })
    }

    /// The next slot if the kernel has filled it; to be [given](Self::give) back.
    pub(crate) fn next(&mut self) -> Option<Head> {
        let index = self.next;
        let status = self.slots.word(index)?.load(Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        self.slots.take(index);
        let head = self.slots.octets(index, 0, HEADER + ADDRESS)?;
        let half = |at: usize| {
            let two = head.get(at..).and_then(|octets| octets.first_chunk());
            two.map_or(0, |two| u16::from_ne_bytes(*two))
        };
        let len = head.get(8..).and_then(|octets| octets.first_chunk());
        let len = len.map_or(0, |four| u32::from_ne_bytes(*four) as usize);
        let (mac, tci, tpid) = (usize::from(half(12)), half(24), half(26));
        let outgoing = head.get(PACKET_TYPE) == Some(&libc::PACKET_OUTGOING);
        let tpid = match status & libc::TP_STATUS_VLAN_TPID_VALID {
            0 => libc::ETH_P_8021Q as u16,
            _ => tpid,
        };
        let tagged = status & libc::TP_STATUS_VLAN_VALID != 0;
        let mut head = Head {
            index,
            mac,
            len,
            status,
            vlan: tagged.then_some((tpid, tci)),
            outgoing,
            copied: status & libc::TP_STATUS_COPY != 0,
            vnet: [0; vnet::LEN],
        };
        // Right before the frame, and overwritten when a tag is put back.
        if let Some(at) = mac.checked_sub(vnet::LEN)
            && let Some(octets) = self.slots.octets(index, at, vnet::LEN)
        {
            head.vnet.copy_from_slice(octets);
        }
        Some(head)
    }

    /// The frame of a slot that was not copied, behind [`HEADROOM`] octets; `None` if the kernel
    /// cut it.
    pub(crate) fn octets(&mut self, head: &Head) -> Option<&mut [u8]> {
        let start = head.mac.checked_sub(HEADROOM)?;
        let whole = self.slots.octets(head.index, 0, HEADER)?;
        let stated = whole.get(4..).and_then(|octets| octets.first_chunk())?;
        if u32::from_ne_bytes(*stated) as usize != head.len {
            return None;
        }
        self.slots.octets(head.index, start, head.len + HEADROOM)
    }

    /// A turn ended that found `taken` frames: is it time to ask the socket for its error? A ring
    /// tells of frames only, and an error keeps the descriptor ready until it is taken.
    pub(crate) const fn asks(&mut self, taken: usize) -> bool {
        self.empty = if taken > 0 { 0 } else { self.empty + 1 };
        let ask = self.empty >= EMPTY;
        if ask {
            self.empty = 0;
        }
        ask
    }

    /// Gives the slot back to the kernel and goes on to the next.
    pub(crate) fn give(&mut self) {
        self.slots.give(self.next);
        if let Some(status) = self.slots.word(self.next) {
            status.store(libc::TP_STATUS_KERNEL, Release);
        }
        self.next = match self.next + 1 {
            next if next < self.slots.count() => next,
            _ => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 2048;

    /// A ring of two slots without a kernel.
    fn ring() -> PacketRing {
        let map = Map::anonymous(2 * SIZE).unwrap();
        let slots = Chunks::slots(map, 2, SIZE).unwrap();
        PacketRing {
            slots,
            next: 0,
            empty: 0,
        }
    }

    /// Does as the kernel: a frame of `len` octets of which `kept` are there.
    fn fill(ring: &mut PacketRing, index: usize, len: u32, kept: u32, status: u32) {
        ring.slots.take(index);
        let octets = ring.slots.octets(index, 0, SIZE).unwrap();
        octets[4..8].copy_from_slice(&len.to_ne_bytes());
        octets[8..12].copy_from_slice(&kept.to_ne_bytes());
        octets[12..14].copy_from_slice(&76_u16.to_ne_bytes());
        octets[24..26].copy_from_slice(&0x2005_u16.to_ne_bytes());
        octets[66..76].copy_from_slice(b"virtio-net");
        octets[76..80].copy_from_slice(b"mac!");
        ring.slots.give(index);
        ring.slots.word(index).unwrap().store(status, Release);
    }

    #[test]
    fn slots_are_taken_in_order_and_given_back() {
        let mut ring = ring();
        assert_eq!(ring.next(), None);
        for round in 0..5 {
            let index = round % 2;
            fill(&mut ring, index, 60, 60, libc::TP_STATUS_USER);
            let head = ring.next().unwrap();
            assert_eq!((&head.vnet, head.vlan), (b"virtio-net", None));
            assert!(!head.copied && !head.outgoing);
            let frame = ring.octets(&head).unwrap();
            assert_eq!((frame.len(), &frame[HEADROOM..][..4]), (64, &b"mac!"[..]));
            ring.give();
            assert_eq!(ring.next(), None, "the other is the kernel's");
            assert_eq!(ring.slots.word(index).unwrap().load(Acquire), 0);
        }
    }

    #[test]
    fn what_does_not_fit_is_elsewhere_or_lost() {
        let mut ring = ring();
        let copied = libc::TP_STATUS_USER | libc::TP_STATUS_COPY;
        fill(&mut ring, 0, 5000, 1972, copied);
        assert!(ring.next().unwrap().copied);
        ring.give();
        fill(&mut ring, 1, 5000, 1972, libc::TP_STATUS_USER);
        let head = ring.next().unwrap();
        assert_eq!((head.copied, ring.octets(&head)), (false, None));
        ring.give();
        // A length that no slot has.
        fill(&mut ring, 0, 9000, 9000, libc::TP_STATUS_USER);
        let head = ring.next().unwrap();
        assert_eq!(ring.octets(&head), None);
    }

    #[test]
    fn tags_are_told() {
        let mut ring = ring();
        let status = libc::TP_STATUS_USER | libc::TP_STATUS_VLAN_VALID;
        fill(&mut ring, 0, 60, 60, status);
        assert_eq!(ring.next().unwrap().vlan, Some((0x8100, 0x2005)));
    }
}
