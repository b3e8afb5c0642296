//! A packet socket on an interface of the host (`packet(7)`): sees every frame the interface
//! receives and sends frames as if it were the host. Frames that the host's own offloads
//! left unfinished arrive whole, with metadata that says so; tags its offloads cut out are
//! put back; frames this host sends are not taken for received ones. Frames of up to the MTU
//! come through memory shared with the kernel, where it has such rings. Invariant: the socket
//! never blocks and never panics, and closing it, even by a crash, undoes all it did to the
//! interface.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::vec::Vec;

use nix::errno::Errno;

use crate::fanout;
use crate::name::Name;
use crate::open::{DeviceKind, OpenError, OpenFailure};
use crate::packet::{Port, Tx};
use crate::packet_ring::PacketRing;
use crate::slot::Rx;
use crate::sys::{self, BATCH, HEADROOM, Slot};
use crate::vnet;
use crate::{Capabilities, Device, FrameSink, Instant, IoStats, RxCsum, RxMeta, TxToken};

/// How to open a [`RawSocket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawOptions {
    /// Receive frames for any link address, not only the interface's own.
    pub promiscuous: bool,
    /// Offer the stack to leave checksums and segmentation to the host. What the host left
    /// unfinished is received whole either way.
    pub offload: bool,
    /// Receive what this host sends through the interface too, as tools that watch do. Never
    /// for a stack: it would take its host's frames, and its own, for received ones. Nothing
    /// changes on the loopback interface, where every frame sent is received.
    pub outgoing: bool,
    /// Octets of kernel memory for frames that we have not read yet, headers and waste included;
    /// used only while they wait. What finds no room is lost ([`IoStats::overruns`]), and many
    /// peers that send at once fill it before we get a turn. At most
    /// [`RawOptions::MAX_RECEIVE_BUFFER`]; without `CAP_NET_ADMIN` the kernel grants no more than
    /// `net.core.rmem_max`.
    pub receive_buffer: usize,
    /// Receive frames of up to the MTU through memory that is shared with the kernel, 16 MiB of
    /// it, instead of one system call for every 32. Larger ones, which hosts on the same machine
    /// leave unfinished, still cost a call. Without effect where the kernel refuses.
    pub ring: bool,
}

impl RawOptions {
    /// The most that may be asked for: 512 MiB.
    pub const MAX_RECEIVE_BUFFER: usize = 512 << 20;

    /// Promiscuous, without offloads, without what this host sends, through a ring and with 64 MiB
    /// for what waits beside it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            promiscuous: true,
            offload: false,
            outgoing: false,
            receive_buffer: 64 << 20,
            ring: true,
        }
    }

    /// Sets [`RawOptions::promiscuous`].
    #[must_use]
    pub const fn with_promiscuous(mut self, on: bool) -> Self {
        self.promiscuous = on;
        self
    }

    /// Sets [`RawOptions::offload`].
    #[must_use]
    pub const fn with_offload(mut self, on: bool) -> Self {
        self.offload = on;
        self
    }

    /// Sets [`RawOptions::outgoing`].
    #[must_use]
    pub const fn with_outgoing(mut self, on: bool) -> Self {
        self.outgoing = on;
        self
    }

    /// Sets [`RawOptions::receive_buffer`].
    #[must_use]
    pub const fn with_receive_buffer(mut self, octets: usize) -> Self {
        self.receive_buffer = octets;
        self
    }

    /// Sets [`RawOptions::ring`].
    #[must_use]
    pub const fn with_ring(mut self, on: bool) -> Self {
        self.ring = on;
        self
    }
}

impl Default for RawOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A packet socket on an Ethernet interface of the host.
///
/// ```no_run
/// let raw = phy::RawSocket::open("eth0")?;
/// println!("beside the host on {}, MTU {}", raw.name(), raw.mtu());
/// # Ok::<(), phy::OpenError>(())
/// ```
pub struct RawSocket {
    port: Port,
    slots: Vec<Slot>,
}

impl RawSocket {
    /// Opens a promiscuous packet socket on the interface `name`.
    ///
    /// # Errors
    /// [`OpenError`] says what failed and how to go on.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        Self::with_options(name, RawOptions::new())
    }

    /// As [`RawSocket::open`], with options.
    ///
    /// # Errors
    /// [`OpenError`] says what failed and how to go on.
    pub fn with_options(name: &str, options: RawOptions) -> Result<Self, OpenError> {
        Self::one(name, options, false)
    }

    /// Opens `count` sockets on the interface `name` (1 to 256), one for each worker, among which
    /// the kernel divides what arrives: all frames of a flow come to one of them, by a hash of
    /// addresses and ports that is the same both ways. Datagrams that arrive in pieces come
    /// whole, as frames that may be larger than the interface's. A full socket loses frames,
    /// however empty the others are.
    ///
    /// The receive buffer and the ring of the options are each socket's.
    ///
    /// # Errors
    /// [`OpenError`] says what failed and how to go on. Kernels from before 6.13 divide only while
    /// the interface is up.
    pub fn queues(name: &str, options: RawOptions, count: usize) -> Result<Vec<Self>, OpenError> {
        let several = count > 1;
        let open = |_| Self::one(name, options, several);
        let sockets = (0..count).map(open).collect::<Result<Vec<_>, _>>()?;
        if several {
            let fds = || sockets.iter().map(AsFd::as_fd);
            let joined = fanout::join(fds(), options.outgoing);
            let done = joined.and_then(|()| fds().try_for_each(|fd| sys::set_deaf(fd, false)));
            done.map_err(|errno| failed(name, errno))?;
        }
        Ok(sockets)
    }

    fn one(name: &str, options: RawOptions, deaf: bool) -> Result<Self, OpenError> {
        let bad = || OpenError::new(DeviceKind::Raw, name, OpenFailure::BadName);
        let wanted = Name::new(name).ok_or_else(bad)?;
        let port = Port::open(wanted, options, deaf).map_err(|errno| failed(name, errno))?;
        Ok(Self {
            port,
            slots: (0..BATCH).map(|_| Slot::new()).collect(),
        })
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.port.name.as_str()
    }

    /// The interface's MTU in octets, looked at about once a second.
    #[must_use]
    pub const fn mtu(&self) -> usize {
        self.port.mtu
    }

    /// The interface's own link address; the host answers to it too.
    #[must_use]
    pub const fn link_address(&self) -> [u8; 6] {
        self.port.address
    }

    /// Frames lost between this process and the interface in either direction, since
    /// opening; those the kernel had no room to keep for us included.
    pub fn lost(&mut self) -> u64 {
        self.io_stats().lost
    }

    /// System calls and frames so far; `overruns` is asked of the kernel.
    pub fn io_stats(&mut self) -> IoStats {
        self.port.count_overruns();
        self.port.health.io
    }

    /// The first error since the last call, if any. Errors cost frames and never stop the
    /// device; full kernel queues are no errors.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.port.health.take_error()
    }
}

fn failed(name: &str, errno: Errno) -> OpenError {
    let failure = match errno {
        Errno::EPERM | Errno::EACCES => OpenFailure::NoPermission,
        Errno::ENODEV | Errno::ENXIO => OpenFailure::NoSuchDevice,
        Errno::EPROTOTYPE => OpenFailure::WrongKind,
        Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP => {
            OpenFailure::NotSupported
        }
        other => OpenFailure::Os(other as i32),
    };
    OpenError::new(DeviceKind::Raw, name, failure)
}

/// The frame in a slot, its tag put back; `None` if it is ours or incomplete.
fn unwrap(slot: &mut Slot, with_vnet: bool) -> Option<Rx<'_>> {
    if slot.truncated {
        return None;
    }
    let end = HEADROOM.checked_add(slot.len)?;
    let vnet = with_vnet.then_some(&slot.vnet);
    let octets = slot.octets.get_mut(..end)?;
    dress(octets, slot.status, slot.vlan, vnet)
}

/// The frame behind [`HEADROOM`] octets, its tag put back.
fn dress<'a>(
    octets: &'a mut [u8],
    status: u32,
    vlan: Option<(u16, u16)>,
    vnet: Option<&[u8; vnet::LEN]>,
) -> Option<Rx<'a>> {
    let len = octets.len().checked_sub(HEADROOM)?;
    let mut meta = match vnet {
        Some(header) => vnet::to_rx(header, len),
        None => RxMeta::new(),
    };
    if status & (libc::TP_STATUS_CSUMNOTREADY | libc::TP_STATUS_CSUM_VALID) != 0 {
        meta = meta.with_csum(RxCsum::Valid);
    }
    let start = match vlan {
        None => HEADROOM,
        Some((tpid, tci)) => {
            // Both link addresses move forward, the tag goes between them and the type.
            let front = octets.first_chunk_mut::<16>()?;
            front.copy_within(4..16, 0);
            let (_, tag) = front.split_last_chunk_mut::<4>()?;
            let ([t0, t1], [c0, c1]) = (tpid.to_be_bytes(), tci.to_be_bytes());
            *tag = [t0, t1, c0, c1];
            0
        }
    };
    let frame = octets.get_mut(start..)?;
    Some(Rx { frame, meta })
}

/// The oldest frame that was too large for the ring. An error of the socket's that waits to be told,
/// as when the interface went down, comes before it: unless it was asked for again it would stay
/// behind, and be taken for the next.
fn fetch<'a>(port: &mut Port, slots: &'a mut [Slot]) -> Option<&'a mut Slot> {
    let slot = slots.get_mut(..1)?;
    for _ in 0..2 {
        let got = sys::receive_batch(port.fd.as_fd(), port.with_vnet, slot);
        port.health.read(0);
        match got {
            Ok(1) => return slot.first_mut(),
            Ok(_) | Err(Errno::EAGAIN) => return None,
            Err(Errno::EINTR) => {}
            Err(errno) => port.health.broke(errno),
        }
    }
    None
}

/// Hands up what is in the ring, and reads what was too large for it.
fn drain(
    ring: &mut PacketRing,
    port: &mut Port,
    slots: &mut [Slot],
    budget: usize,
    sink: &mut impl FrameSink,
) -> usize {
    let (mut taken, outgoing) = (0, port.outgoing);
    while taken < budget
        && let Some(head) = ring.next()
    {
        taken += 1;
        let wanted = outgoing || !head.outgoing;
        let vnet = port.with_vnet;
        let rx = if head.copied {
            fetch(port, slots).and_then(|slot| unwrap(slot, vnet))
        } else {
            let (status, vlan) = (head.status, head.vlan);
            let header = vnet.then_some(&head.vnet);
            let octets = ring.octets(&head);
            octets.and_then(|octets| dress(octets, status, vlan, header))
        };
        match rx {
            Some(rx) if wanted => {
                let answer = port.ready().then_some(Tx(&mut *port));
                sink.frame(rx, answer);
            }
            Some(_) => {}
            None => port.health.lose(1),
        }
        ring.give();
    }
    port.health.took(taken);
    if taken > 0 {
        port.health.went();
    }
    taken
}

impl Device for RawSocket {
    fn capabilities(&self) -> Capabilities {
        self.port.caps.with_link(self.port.health.link)
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let port = &mut self.port;
        port.look_again(now);
        if let Some(mut ring) = port.ring.take() {
            let taken = drain(&mut ring, port, &mut self.slots, budget, sink);
            if ring.asks(taken) {
                // Nobody else takes the error, and until then the descriptor is ready.
                if let Some(errno) = sys::take_error(port.fd.as_fd()) {
                    port.health.broke(errno);
                    port.look_again(now);
                }
            }
            port.ring = Some(ring);
            return taken;
        }
        let mut taken = 0;
        // Ends when the budget is spent or the socket is empty; each turn takes a frame.
        while taken < budget {
            let room = (budget - taken).min(BATCH);
            let slots = self.slots.get_mut(..room).unwrap_or_default();
            let got = match sys::receive_batch(port.fd.as_fd(), port.with_vnet, slots) {
                Ok(got) => {
                    port.health.read(got);
                    got
                }
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => {
                    port.health.read(0);
                    break;
                }
                Err(errno) => {
                    port.health.read(0);
                    port.health.broke(errno);
                    port.look_again(now);
                    break;
                }
            };
            let outgoing = port.outgoing;
            let wanted = |slot: &&mut Slot| outgoing || !slot.outgoing;
            for slot in slots.iter_mut().take(got).filter(wanted) {
                match unwrap(slot, port.with_vnet) {
                    Some(rx) => {
                        let answer = port.ready().then_some(Tx(port));
                        sink.frame(rx, answer);
                    }
                    None => port.health.lose(1),
                }
            }
            taken += got;
            if got < room {
                break;
            }
        }
        taken
    }

    fn transmit(&mut self, _now: Instant) -> Option<impl TxToken> {
        self.port.ready().then_some(Tx(&mut self.port))
    }

    fn flush(&mut self, now: Instant) {
        self.port.flush(now);
    }

    fn deadline(&self) -> Option<Instant> {
        let watch = self.port.health.watch();
        [self.port.retry, watch].into_iter().flatten().min()
    }
}

/// Readable when a frame waits: for [`Waiter`](crate::Waiter).
impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.fd.as_fd()
    }
}

impl AsRawFd for RawSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.port.fd.as_raw_fd()
    }
}

impl core::fmt::Debug for RawSocket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RawSocket")
            .field("name", &self.port.name)
            .field("capabilities", &self.capabilities())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::MAX_FRAME;

    fn slot(frame: &[u8]) -> Slot {
        let mut slot = Slot::new();
        slot.octets[HEADROOM..HEADROOM + frame.len()].copy_from_slice(frame);
        slot.len = frame.len();
        slot
    }

    const FRAME: [u8; 16] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x08, 0x00, 0x45, 0x99];

    #[test]
    fn a_tag_the_kernel_cut_out_is_put_back() {
        let mut slot = slot(&FRAME);
        slot.vlan = Some((0x8100, 0x2005));
        let rx = unwrap(&mut slot, false).unwrap();
        let expected = [
            1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x81, 0x00, 0x20, 0x05, 0x08, 0x00, 0x45, 0x99,
        ];
        assert_eq!(rx.frame, expected);
    }

    #[test]
    fn unfinished_checksums_need_no_verification() {
        let mut slot = slot(&FRAME);
        assert_eq!(unwrap(&mut slot, true).unwrap().meta, RxMeta::new());
        slot.status = libc::TP_STATUS_CSUMNOTREADY;
        let rx = unwrap(&mut slot, false).unwrap();
        assert_eq!((rx.meta.csum, &*rx.frame), (RxCsum::Valid, &FRAME[..]));
    }

    #[test]
    fn what_does_not_fit_is_not_delivered() {
        let mut slot = slot(&FRAME);
        slot.truncated = true;
        assert!(unwrap(&mut slot, true).is_none());
        slot.truncated = false;
        slot.len = MAX_FRAME + 1;
        assert!(unwrap(&mut slot, true).is_none());
    }
}
