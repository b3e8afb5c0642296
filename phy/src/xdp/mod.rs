//! AF_XDP: one queue of an interface of the host, through memory shared with the kernel. Frames
//! are taken before the host sees them, and no system call is made to receive them.
//!
//! The interface's driver moves frames to our memory itself where it can, and the kernel copies
//! them where it cannot, as on a veth pair. There are no offloads: frames are as they are on the
//! wire. Invariant: the socket never blocks and never panics; a chunk of memory is reachable only
//! while it is ours; closing the socket, even by a crash, gives the interface back.

mod program;
mod ring;
mod setup;
#[allow(unsafe_code)]
mod sys;

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::vec::Vec;

use nix::errno::Errno;

use self::ring::{Descriptor, Ring};
use self::setup::Trouble;
use crate::frame::gathered_len;
use crate::health::Health;
use crate::map::Chunks;
use crate::name::Name;
use crate::open::{DeviceKind, OpenError, OpenFailure};
use crate::slot::Rx;
use crate::{
    Abort, Capabilities, Device, FrameSink, Instant, IoStats, RxCsum, RxMeta, TxMeta, TxToken,
    assemble,
};

/// Frames that one call has the kernel send at most.
const KICK: u32 = 32;

/// How soon sending is tried again when the kernel had no room.
const RETRY: Duration = Duration::from_millis(1);

/// How to open an [`XdpSocket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct XdpOptions {
    /// The interface's queue, from 0. Others are left to the host.
    pub queue: u32,
    /// Frames that memory is kept for, each way: a power of two, 64 to 65,536.
    pub frames: u32,
    /// Do not verify TCP and UDP checksums of received frames. For the end of a veth pair: what
    /// the other end's host sends has none, as it never leaves the machine, and AF_XDP does not
    /// say so (or switch them on there: `ethtool -K PEER tx off`).
    pub trusting: bool,
}

impl XdpOptions {
    /// The first queue, 2,048 frames each way, checksums verified.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            queue: 0,
            frames: 2048,
            trusting: false,
        }
    }

    /// Sets [`XdpOptions::queue`].
    #[must_use]
    pub const fn with_queue(mut self, queue: u32) -> Self {
        self.queue = queue;
        self
    }

    /// Sets [`XdpOptions::frames`].
    #[must_use]
    pub const fn with_frames(mut self, frames: u32) -> Self {
        self.frames = frames;
        self
    }

    /// Sets [`XdpOptions::trusting`].
    #[must_use]
    pub const fn with_trusting(mut self, on: bool) -> Self {
        self.trusting = on;
        self
    }
}

impl Default for XdpOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// How frames reach an [`XdpSocket`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XdpMode {
    /// The driver runs our program before it makes anything of a frame.
    Driver,
    /// The kernel runs it on packets that it has made already: works with every driver.
    Generic,
}

/// One queue of an Ethernet interface of the host, taken over: the host sees nothing of what
/// arrives there.
///
/// ```no_run
/// let xdp = phy::XdpSocket::open("veth1")?;
/// println!("in place of the host on {}, {:?}", xdp.name(), xdp.mode());
/// # Ok::<(), phy::OpenError>(())
/// ```
pub struct XdpSocket {
    receiver: Receiver,
    port: Port,
    mode: XdpMode,
    /// Goes with the last socket that it feeds.
    _feeder: Arc<Feeder>,
}

/// The program that hands frames to the sockets of their queues, and the table it finds them in.
/// Closing them gives the interface back.
struct Feeder {
    _link: OwnedFd,
    _sockets: sys::SocketMap,
}

/// Memory and rings of the way in.
struct Receiver {
    chunks: Chunks,
    /// Chunks for the kernel to fill.
    fill: Ring,
    /// Chunks it has filled.
    filled: Ring,
    trusting: bool,
}

/// Everything else, so that an answer can be sent while a frame is read.
struct Port {
    fd: OwnedFd,
    /// Asks about the interface in the namespace it was opened in, and has it receive all frames.
    control: OwnedFd,
    name: Name,
    ifindex: u32,
    address: [u8; 6],
    mtu: usize,
    caps: Capabilities,
    chunks: Chunks,
    free: Vec<usize>,
    /// Chunks for the kernel to send.
    send: Ring,
    /// Chunks it has sent.
    sent: Ring,
    /// Frames written since the last flush.
    written: bool,
    /// When the kernel, which had no room, is tried again.
    retry: Option<Instant>,
    overruns: u64,
    health: Health,
}

impl XdpSocket {
    /// Takes over the first queue of the interface `name`.
    ///
    /// # Errors
    /// [`OpenError`] says what failed and how to go on.
    pub fn open(name: &str) -> Result<Self, OpenError> {
        Self::with_options(name, XdpOptions::new())
    }

    /// Does the other end of the interface `name` belong to a host of this machine, as that of a
    /// veth pair? What such a host sends has no checksums yet: see [`XdpOptions::trusting`].
    ///
    /// The kernel is asked about the interface that has the name in the network namespace of the
    /// calling thread, where [`open`](Self::open) would find it. False where it does not answer,
    /// and for whatever may receive frames that have crossed a wire, such as what stands on top of
    /// another interface.
    pub fn faces_a_host(name: &str) -> bool {
        let driver = || {
            let control = crate::sys::control_socket().ok()?;
            sys::driver(control.as_fd(), &Name::new(name)?).ok()
        };
        let is =
            |driver: [u8; 32], name: &[u8]| driver.split(|octet| *octet == 0).next() == Some(name);
        driver().is_some_and(|driver| is(driver, b"veth") || is(driver, b"netkit"))
    }

    /// As [`XdpSocket::open`], with options.
    ///
    /// # Errors
    /// [`OpenError`] says what failed and how to go on.
    pub fn with_options(name: &str, options: XdpOptions) -> Result<Self, OpenError> {
        let mut sockets = Self::queues(name, options, 1)?;
        let none = OpenError::new(DeviceKind::Xdp, name, OpenFailure::Os(libc::EINVAL));
        sockets.pop().ok_or(none)
    }

    /// Takes over `count` queues of the interface `name`, from that of the options, one for each
    /// worker. Which queue a frame comes to is up to the interface: hardware goes by a hash of
    /// addresses and ports, a veth pair by the queue that the other end's kernel sent from, which
    /// may change while a connection lasts. What comes to other queues is the host's.
    ///
    /// # Errors
    /// [`OpenError`] says what failed and how to go on: [`OpenFailure::OneQueue`] for an
    /// interface that has fewer.
    pub fn queues(name: &str, options: XdpOptions, count: usize) -> Result<Vec<Self>, OpenError> {
        let fail = |failure| OpenError::new(DeviceKind::Xdp, name, failure);
        let wanted = Name::new(name).ok_or_else(|| fail(OpenFailure::BadName))?;
        setup::open(wanted, options, count).map_err(|trouble| {
            fail(match trouble {
                Trouble::TooFew => OpenFailure::OneQueue,
                Trouble::Os(errno) => match errno {
                    Errno::EPERM | Errno::EACCES => OpenFailure::NoPermission,
                    Errno::ENODEV | Errno::ENXIO => OpenFailure::NoSuchDevice,
                    Errno::EBUSY | Errno::EEXIST => OpenFailure::Busy,
                    Errno::EPROTOTYPE => OpenFailure::WrongKind,
                    Errno::EAFNOSUPPORT | Errno::EOPNOTSUPP | Errno::ENOSYS => {
                        OpenFailure::NotSupported
                    }
                    other => OpenFailure::Os(other as i32),
                },
            })
        })
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.port.name.as_str()
    }

    /// The interface's MTU in octets, looked at about once a second; frames may be smaller
    /// ([`Capabilities::max_frame`]).
    #[must_use]
    pub const fn mtu(&self) -> usize {
        self.port.mtu
    }

    /// The interface's own link address, which nobody else answers to now.
    #[must_use]
    pub const fn link_address(&self) -> [u8; 6] {
        self.port.address
    }

    /// Where frames are taken.
    #[must_use]
    pub const fn mode(&self) -> XdpMode {
        self.mode
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

impl Port {
    /// Sees every now and then whether the interface is up and what its MTU is.
    fn look_again(&mut self, now: Instant) {
        if !self.health.look_again(now) {
            return;
        }
        let control = self.control.as_fd();
        match crate::sys::if_name(control, self.ifindex.cast_signed()) {
            Ok(name) => self.name = name,
            Err(Errno::ENODEV | Errno::ENXIO) => return self.health.gone(),
            Err(_) => {}
        }
        if let Ok(up) = crate::sys::if_up(control, &self.name) {
            self.health.looked(up);
        }
        if let Ok(mtu) = crate::sys::if_mtu(control, &self.name) {
            self.mtu = mtu;
            self.caps = self.caps.with_max_frame(setup::max_frame(mtu));
        }
        self.count_overruns();
    }

    fn count_overruns(&mut self) {
        if let Ok(overruns) = sys::overruns(self.fd.as_fd()) {
            self.health.overrun(overruns.saturating_sub(self.overruns));
            self.overruns = overruns;
        }
    }

    /// Takes back the memory of frames that are gone.
    fn reap(&mut self) {
        while let Some(entry) = self.sent.pop() {
            if let Some((index, _)) = self.chunks.find(entry.address)
                && self.chunks.take(index)
            {
                self.free.push(index);
            }
        }
        self.sent.release();
    }

    fn ready(&mut self) -> bool {
        if self.free.is_empty() {
            self.push_out();
        }
        !self.free.is_empty()
    }

    /// Has the kernel send what was written.
    fn push_out(&mut self) {
        self.written = false;
        self.send.publish();
        let mut left = self.send.unread();
        // Each call takes some, or is the last.
        while left > 0 && self.send.needs_wakeup() {
            let kicked = sys::kick(self.fd.as_fd());
            let now = self.send.unread();
            self.health.wrote(left.saturating_sub(now) as usize);
            let some = now < left;
            left = now;
            match kicked {
                Ok(()) => self.health.went(),
                Err(Errno::EINTR) => continue,
                // There is more than one call takes, or no room in the kernel.
                Err(Errno::EAGAIN | Errno::EBUSY | Errno::ENOBUFS) => {}
                Err(errno) => {
                    self.health.broke(errno);
                    break;
                }
            }
            if !some {
                break;
            }
        }
        self.reap();
    }

    fn enqueue<F>(&mut self, head: usize, payload: [&[u8]; 2], fill: F) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        // An empty frame is never told to be sent, and its chunk would not come back.
        let len = gathered_len(head, payload)
            .filter(|len| *len > 0)
            .ok_or(Abort)?;
        let index = self.free.pop().ok_or(Abort)?;
        let octets = self.chunks.octets(index, 0, len).ok_or(Abort);
        if let Err(abort) = octets.and_then(|octets| assemble(octets, payload, fill)) {
            self.free.push(index);
            return Err(abort);
        }
        let entry = Descriptor {
            address: self.chunks.address(index),
            len: len as u32,
        };
        // The ring has an entry for each chunk.
        if self.send.push(entry) {
            self.chunks.give(index);
            self.written = true;
        } else {
            self.free.push(index);
            self.health.lose(1);
        }
        Ok(())
    }
}

struct Tx<'a>(&'a mut Port);

impl TxToken for Tx<'_> {
    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        _: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        self.0.enqueue(head, payload, fill)
    }
}

impl Device for XdpSocket {
    fn capabilities(&self) -> Capabilities {
        self.port.caps.with_link(self.port.health.link)
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        let Self { receiver, port, .. } = self;
        port.look_again(now);
        let csum = match receiver.trusting {
            true => RxCsum::Valid,
            false => RxCsum::Unknown,
        };
        let meta = RxMeta::new().with_csum(csum);
        let mut taken = 0;
        while taken < budget
            && let Some(entry) = receiver.filled.pop()
        {
            taken += 1;
            let chunks = &mut receiver.chunks;
            let Some((index, offset)) = chunks.find(entry.address) else {
                port.health.lose(1);
                continue;
            };
            chunks.take(index);
            match chunks.octets(index, offset, entry.len as usize) {
                Some(frame) => {
                    let answer = port.ready().then_some(Tx(&mut *port));
                    sink.frame(Rx { frame, meta }, answer);
                }
                None => port.health.lose(1),
            }
            receiver.hand(index);
        }
        port.health.took(taken);
        if taken > 0 {
            port.health.went();
            receiver.filled.release();
            receiver.fill.publish();
            if receiver.fill.needs_wakeup() {
                // A driver that has run out of chunks waits for a call.
                let _ = sys::wake(port.fd.as_fd());
            }
        }
        taken
    }

    fn transmit(&mut self, _now: Instant) -> Option<impl TxToken> {
        self.port.ready().then_some(Tx(&mut self.port))
    }

    fn flush(&mut self, now: Instant) {
        let port = &mut self.port;
        if port.written || port.retry.is_some() {
            port.push_out();
            let left = port.send.unread() > 0;
            port.retry = left.then(|| now + RETRY);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let watch = self.port.health.watch();
        [self.port.retry, watch].into_iter().flatten().min()
    }
}

impl Receiver {
    /// Gives a chunk to the kernel, to be filled.
    fn hand(&mut self, index: usize) {
        let entry = Descriptor {
            address: self.chunks.address(index),
            len: 0,
        };
        // The ring has an entry for each chunk.
        if self.fill.push(entry) {
            self.chunks.give(index);
        }
    }
}

/// Readable when a frame waits: for [`Waiter`](crate::Waiter).
impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.fd.as_fd()
    }
}

impl AsRawFd for XdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.port.fd.as_raw_fd()
    }
}

impl core::fmt::Debug for XdpSocket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("XdpSocket")
            .field("name", &self.port.name)
            .field("mode", &self.mode)
            .field("capabilities", &self.capabilities())
            .finish_non_exhaustive()
    }
}
