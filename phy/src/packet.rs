//! The sending half of a [`RawSocket`](crate::RawSocket), and how it is opened. Small frames
//! are copied into a queue and leave in batches, large ones leave at once from where they
//! lie; either way in the order of sending. Invariant: the queue is bounded, and a frame the
//! kernel refuses does not hold up those behind it.

use core::time::Duration;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::vec::Vec;

use nix::errno::Errno;

use crate::frame::{Frame, Lane, gather, gathered_len};
use crate::health::Health;
use crate::name::Name;
use crate::packet_ring::PacketRing;
use crate::raw::RawOptions;
use crate::sys::{self, BATCH, MAX_FRAME};
use crate::uso;
use crate::vnet;
use crate::{Abort, Capabilities, GsoLimits, Instant, Medium, RxMeta, TxMeta, TxToken};

/// Frames queued between two calls of `flush`.
const QUEUE: usize = 256;

/// Frames larger than this are sent at once from where they lie, smaller ones are copied
/// into a batch: a system call costs about as much as copying this many octets.
const COPY_LIMIT: usize = 8192;

/// Octets of an Ethernet header.
const LINK_HEADER: usize = 14;

/// How soon a send is tried again when the kernel had no room.
const RETRY: Duration = Duration::from_millis(1);

/// Everything but the receive buffers.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) fd: OwnedFd,
    pub(crate) name: Name,
    /// The interface's number, which stays when its name changes.
    ifindex: i32,
    pub(crate) address: [u8; 6],
    pub(crate) mtu: usize,
    /// Each frame has a virtio-net header before it.
    pub(crate) with_vnet: bool,
    /// What the host sends is received too.
    pub(crate) outgoing: bool,
    pub(crate) caps: Capabilities,
    /// Where the kernel puts received frames that are small enough.
    pub(crate) ring: Option<PacketRing>,
    /// Frames to send, each behind its virtio-net header if negotiated.
    lane: Lane,
    head: Vec<u8>,
    /// When the kernel, which had no room, is tried again.
    pub(crate) retry: Option<Instant>,
    pub(crate) health: Health,
}

impl Port {
    /// A socket on the interface; one that is `deaf` receives nothing before
    /// [`sys::set_deaf`] ends that.
    pub(crate) fn open(name: Name, options: RawOptions, deaf: bool) -> Result<Self, Errno> {
        let fd = sys::packet_socket()?;
        let socket = fd.as_fd();
        let ifindex = nix::net::if_::if_nametoindex(name.as_str())?.cast_signed();
        let (hardware, address) = sys::if_address(socket, &name)?;
        if !matches!(hardware, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK) {
            return Err(Errno::EPROTOTYPE);
        }
        let packet = |option, value| sys::set_int(socket, libc::SOL_PACKET, option, value);
        // Old kernels do without: frames sent here are skipped by their type as well, and
        // without the header unfinished checksums show in the status bits.
        let outgoing = options.outgoing && hardware != libc::ARPHRD_LOOPBACK;
        let _ = packet(libc::PACKET_IGNORE_OUTGOING, (!outgoing).into());
        packet(libc::PACKET_AUXDATA, 1)?;
        let with_vnet = packet(libc::PACKET_VNET_HDR, 1).is_ok();
        let mtu = sys::if_mtu(socket, &name)?;
        let room = options.receive_buffer.min(RawOptions::MAX_RECEIVE_BUFFER);
        let room = i32::try_from(room).unwrap_or(i32::MAX);
        let socket_int = |option| sys::set_int(socket, libc::SOL_SOCKET, option, room);
        if socket_int(libc::SO_RCVBUFFORCE).is_err() {
            socket_int(libc::SO_RCVBUF)?;
        }
        // Old kernels, and machines without so much memory in one piece, do without.
        let ring = match options.ring {
            true => PacketRing::open(socket, mtu.saturating_add(LINK_HEADER)).ok(),
            false => None,
        };
        if options.promiscuous {
            sys::packet_promiscuous(socket, ifindex)?;
        }
        let up = sys::if_up(socket, &name)?;
        if deaf {
            sys::set_deaf(socket, true)?;
        }
        // Last, so that no frame arrives before all is set.
        sys::packet_bind(socket, ifindex)?;
        let offload = options.offload && with_vnet;
        let caps = Capabilities::new(mtu.saturating_add(LINK_HEADER))
            .with_burst(BATCH)
            .with_copies(true)
            .with_rx_csum(true)
            .with_tx_csum(offload)
            .with_gso(offload.then_some(GsoLimits {
                max_size: 65_535,
                max_segments: u16::MAX,
            }))
            .with_uso((offload && uso::known()).then_some(uso::LIMITS));
        Ok(Self {
            fd,
            name,
            ifindex,
            address,
            mtu,
            with_vnet,
            outgoing,
            caps,
            ring,
            lane: Lane::new(QUEUE),
            head: Vec::new(),
            retry: None,
            health: Health::new(up),
        })
    }

    /// Sees every now and then whether the interface is up and what its MTU is.
    pub(crate) fn look_again(&mut self, now: Instant) {
        if !self.health.look_again(now) {
            return;
        }
        match sys::if_name(self.fd.as_fd(), self.ifindex) {
            Ok(name) => self.name = name,
            Err(Errno::ENODEV | Errno::ENXIO) => return self.health.gone(),
            Err(_) => {}
        }
        if let Ok(up) = sys::if_up(self.fd.as_fd(), &self.name) {
            self.health.looked(up);
        }
        if let Ok(mtu) = sys::if_mtu(self.fd.as_fd(), &self.name) {
            self.mtu = mtu;
            self.caps = self.caps.with_max_frame(mtu.saturating_add(LINK_HEADER));
        }
        self.count_overruns();
    }

    /// Asks for what the kernel had no room to keep since it was last asked.
    pub(crate) fn count_overruns(&mut self) {
        if let Ok(drops) = sys::packet_drops(self.fd.as_fd()) {
            self.health.overrun(drops.into());
        }
    }

    /// Hands queued frames to the kernel until it has no more room.
    fn push_out(&mut self) {
        self.health.full = false;
        while !self.lane.queue.is_empty() {
            let frames = self.lane.queue.iter().map(|frame| frame.octets.as_slice());
            match sys::send_batch(self.fd.as_fd(), frames) {
                Ok(0) => {
                    self.health.wrote(0);
                    break;
                }
                Ok(sent) => {
                    self.health.wrote(sent);
                    self.health.went();
                    for _ in 0..sent {
                        self.drop_first();
                    }
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.health.wrote(0);
                    self.health.full = true;
                    break;
                }
                Err(errno) => {
                    self.health.wrote(0);
                    let first = self.lane.queue.pop_front();
                    let octets = first.map(|frame| frame.octets).unwrap_or_default();
                    // This frame is lost, or in pieces; the others may still go.
                    self.refused(errno, &octets);
                    self.lane.recycle(octets);
                }
            }
        }
    }

    /// Pushes out what is queued, and plans another try for what the kernel has no room for.
    pub(crate) fn flush(&mut self, now: Instant) {
        self.push_out();
        let left = !self.lane.queue.is_empty();
        self.retry = left.then(|| now + RETRY);
    }

    /// The kernel refused a frame, of which its header is part.
    fn refused(&mut self, errno: Errno, octets: &[u8]) {
        let Self {
            fd, caps, health, ..
        } = self;
        let again = |frame: &[u8]| sys::write_whole(fd, frame);
        let uso =
            self.with_vnet && uso::fall_back(errno, Medium::Ethernet, octets, caps, health, again);
        if !uso {
            health.failed(errno);
        }
    }

    fn drop_first(&mut self) {
        if let Some(frame) = self.lane.queue.pop_front() {
            self.lane.recycle(frame.octets);
        }
    }

    pub(crate) fn ready(&mut self) -> bool {
        if self.lane.room() == 0 {
            self.push_out();
        }
        self.lane.room() > 0
    }

    /// Copies a frame into the queue.
    fn enqueue<F>(
        &mut self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        let before = if self.with_vnet { vnet::LEN } else { 0 };
        let mut octets = self.lane.free.pop().unwrap_or_default();
        let limit = before + MAX_FRAME;
        let room = before.saturating_add(head);
        let written = gather(&mut octets, room, payload, limit, |front| {
            let (header, front) = front.split_at_mut_checked(before).ok_or(Abort)?;
            fill(front)?;
            let len = gathered_len(front.len(), payload).ok_or(Abort)?;
            let vnet = vnet::from_tx(meta, Medium::Ethernet, front, len).ok_or(Abort)?;
            if self.with_vnet {
                header.copy_from_slice(&vnet);
            }
            Ok(())
        });
        if let Err(abort) = written {
            self.lane.recycle(octets);
            return Err(abort);
        }
        self.lane.push(Frame {
            octets,
            meta: RxMeta::new(),
        });
        Ok(())
    }

    /// Sends a large frame from where it lies, behind all that is queued.
    fn send_now<F>(
        &mut self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        self.push_out();
        if !self.lane.queue.is_empty() {
            return self.enqueue(head, payload, meta, fill);
        }
        let len = gathered_len(head, payload).ok_or(Abort)?;
        if len > MAX_FRAME {
            return Err(Abort);
        }
        // The buffer goes out of `self` while it is borrowed by the frame's parts.
        let mut room = core::mem::take(&mut self.head);
        if room.len() < head {
            room.resize(head, 0);
        }
        let done = room.get_mut(..head).ok_or(Abort).and_then(|front| {
            fill(front)?;
            let vnet = vnet::from_tx(meta, Medium::Ethernet, front, len).ok_or(Abort)?;
            let vnet: &[u8] = if self.with_vnet { &vnet } else { &[] };
            let [a, b] = payload;
            let parts = [vnet, front, a, b].map(IoSlice::new);
            match sys::write_frame(&self.fd, &parts) {
                Ok(_) => {
                    self.health.wrote(1);
                    self.health.went();
                }
                Err(Errno::EAGAIN) => {
                    self.health.wrote(0);
                    self.health.full = true;
                    return self.enqueue(head, payload, meta, |to| {
                        to.copy_from_slice(front);
                        Ok(())
                    });
                }
                Err(errno) => {
                    self.health.wrote(0);
                    self.refused(errno, &[vnet, front, a, b].concat());
                }
            }
            Ok(())
        });
        self.head = room;
        done
    }
}

/// Room for one frame in the queue.
pub(crate) struct Tx<'a>(pub(crate) &'a mut Port);

impl TxToken for Tx<'_> {
    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        let [a, b] = payload;
        if a.len().saturating_add(b.len()) > COPY_LIMIT {
            self.0.send_now(head, payload, meta, fill)
        } else {
            self.0.enqueue(head, payload, meta, fill)
        }
    }
}
