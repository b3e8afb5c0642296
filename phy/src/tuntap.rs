//! One queue of a tun or tap interface: what [`Tap`](crate::Tap) and [`Tun`](crate::Tun)
//! share. A frame is one `read` or one `writev`, with a virtio-net header before it if that
//! was negotiated. Invariant: the queue never blocks and never panics; a call that fails
//! costs a frame and is remembered in [`Health`].

use std::boxed::Box;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use std::vec::Vec;

use libc::{c_int, c_uint};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;

use crate::frame::gathered_len;
use crate::health::Health;
use crate::name::Name;
use crate::open::{DeviceKind, OpenError, OpenFailure};
use crate::rhythm::Rhythm;
use crate::slot::Rx;
use crate::sys::{self, MAX_FRAME};
use crate::tap::TapOptions;
use crate::uso;
use crate::vnet;
use crate::{
    Abort, Capabilities, Device, FrameSink, GsoLimits, Instant, IoStats, Medium, RxMeta, TxMeta,
    TxToken,
};

/// Room for the largest head of one `send_gather`, reserved at the start.
const HEAD: usize = 2048;

/// Payloads up to so many octets are copied behind their headers: describing the pieces to the
/// kernel costs more.
const COPIED: usize = 256;

/// How many frames one `receive` is expected to find.
const BURST: usize = 64;

/// Octets after which one `receive` ends: a few super-segments. They stay in the processor's
/// second-level cache until whoever they are for has read them, and are acknowledged together.
const ENOUGH: usize = 128 << 10;

#[derive(Debug)]
pub(crate) struct Queue {
    port: Port,
    buffer: Box<[u8]>,
    rhythm: Rhythm,
}

/// Everything but the receive buffer, so that an answer can be sent while a frame is read.
#[derive(Debug)]
struct Port {
    fd: OwnedFd,
    /// Asks about the interface in the namespace it was opened in.
    control: OwnedFd,
    name: Name,
    medium: Medium,
    /// Each frame has a virtio-net header before it.
    with_vnet: bool,
    caps: Capabilities,
    mtu: usize,
    head: Vec<u8>,
    health: Health,
}

impl Queue {
    pub(crate) fn open(medium: Medium, name: &str, options: TapOptions) -> Result<Self, OpenError> {
        let kind = match medium {
            Medium::Ethernet => DeviceKind::Tap,
            Medium::Ip => DeviceKind::Tun,
        };
        let fail = |failure| OpenError::new(kind, name, failure);
        let wanted = Name::new(name).ok_or_else(|| fail(OpenFailure::BadName))?;
        let port = Port::open(medium, wanted, options).map_err(fail)?;
        Ok(Self {
            port,
            buffer: std::vec![0; vnet::LEN + MAX_FRAME].into_boxed_slice(),
            rhythm: Rhythm::default(),
        })
    }

    /// `count` queues of one interface.
    pub(crate) fn open_all(
        medium: Medium,
        name: &str,
        options: TapOptions,
        count: usize,
    ) -> Result<Vec<Self>, OpenError> {
        let options = options.with_multi_queue(count > 1 || options.multi_queue);
        let mut queues = Vec::new();
        for n in 0..count {
            let queue = Self::open(medium, name, options).map_err(|error| match error.failure {
                // We hold the first ourselves: there is no room for a second.
                OpenFailure::Busy if n > 0 => OpenError {
                    failure: OpenFailure::OneQueue,
                    ..error
                },
                _ => error,
            });
            queues.push(queue?);
        }
        Ok(queues)
    }

    pub(crate) fn name(&self) -> &str {
        self.port.name.as_str()
    }

    pub(crate) const fn mtu(&self) -> usize {
        self.port.mtu
    }

    pub(crate) const fn lost(&self) -> u64 {
        self.port.health.lost()
    }

    pub(crate) const fn io_stats(&self) -> IoStats {
        self.port.health.io
    }

    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.port.health.take_error()
    }
}

impl Port {
    fn open(medium: Medium, name: Name, options: TapOptions) -> Result<Self, OpenFailure> {
        let access = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = open("/dev/net/tun", access, Mode::empty()).map_err(|errno| match errno {
            Errno::EACCES | Errno::EPERM => OpenFailure::NoPermission,
            Errno::ENOENT | Errno::ENXIO | Errno::ENODEV => OpenFailure::NoSuchDevice,
            other => OpenFailure::Os(other as i32),
        })?;
        let os = |errno: Errno| OpenFailure::Os(errno as i32);
        let control = sys::control_socket().map_err(os)?;
        let features = sys::tun_features(fd.as_fd()).unwrap_or(0);
        let with_vnet = options.offload && features & libc::IFF_VNET_HDR as c_uint != 0;
        let mut flags = libc::IFF_NO_PI
            | match medium {
                Medium::Ethernet => libc::IFF_TAP,
                Medium::Ip => libc::IFF_TUN,
            };
        if with_vnet {
            flags |= libc::IFF_VNET_HDR;
        }
        if options.napi {
            // Kernels from before 4.15 do without.
            flags |= libc::IFF_NAPI & features as c_int;
        }
        let name = attach(&fd, &control, &name, flags, options.multi_queue)?;
        await_queue(&control, &name);
        let offload = if with_vnet {
            sys::tun_set_vnet_size(fd.as_fd(), vnet::LEN as c_int).map_err(os)?;
            negotiate(&fd)
        } else {
            // Whoever held a persistent interface before us may have left offloads on, and
            // we could not tell what is unfinished.
            let _ = sys::tun_set_offload(fd.as_fd(), 0);
            0
        };
        let mtu = sys::if_mtu(control.as_fd(), &name).map_err(os)?;
        let up = sys::if_up(control.as_fd(), &name).map_err(os)?;
        let caps = Capabilities::new(max_frame(medium, mtu))
            .with_burst(BURST)
            // Whoever sums a segment copies it in the same pass, and one piece is written faster
            // than several.
            .with_copies(!with_vnet)
            .with_tx_csum(with_vnet)
            .with_rx_csum(offload & libc::TUN_F_CSUM != 0)
            .with_gso(with_vnet.then_some(GsoLimits {
                max_size: 65_535,
                max_segments: u16::MAX,
            }))
            // A kernel that may hand such frames to us takes them from us too.
            .with_uso((offload & USO == USO).then_some(uso::LIMITS));
        Ok(Self {
            fd,
            control,
            name,
            medium,
            with_vnet,
            caps,
            mtu,
            head: Vec::with_capacity(HEAD),
            health: Health::new(up),
        })
    }

    /// Sees every now and then whether the interface is up and what its MTU is.
    fn look_again(&mut self, now: Instant) {
        if !self.health.look_again(now) {
            return;
        }
        if let Ok(up) = sys::if_up(self.control.as_fd(), &self.name) {
            self.health.looked(up);
        }
        if let Ok(mtu) = sys::if_mtu(self.control.as_fd(), &self.name) {
            self.mtu = mtu;
            self.caps = self.caps.with_max_frame(max_frame(self.medium, mtu));
        }
    }

    fn ready(&mut self) -> bool {
        if self.health.full {
            let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
            self.health.full = poll(&mut fds, PollTimeout::ZERO) != Ok(1);
        }
        !self.health.full
    }
}

/// Attaches to `name`. A persistent interface says itself whether it has several queues;
/// asking for the wrong number is `EINVAL`, so the other is tried.
fn attach(
    fd: &OwnedFd,
    control: &OwnedFd,
    name: &Name,
    flags: c_int,
    multi_queue: bool,
) -> Result<Name, OpenFailure> {
    let queues = |many| if many { libc::IFF_MULTI_QUEUE } else { 0 };
    let exists = || sys::if_up(control.as_fd(), name).is_ok();
    let first = sys::tun_attach(fd.as_fd(), name, flags | queues(multi_queue));
    let attached = match first {
        Err(Errno::EINVAL) if exists() => {
            sys::tun_attach(fd.as_fd(), name, flags | queues(!multi_queue))
        }
        other => other,
    };
    attached.map_err(|errno| match errno {
        Errno::EPERM | Errno::EACCES => OpenFailure::NoPermission,
        Errno::EBUSY => OpenFailure::Busy,
        Errno::EINVAL if exists() => OpenFailure::WrongKind,
        Errno::EINVAL | Errno::EOPNOTSUPP => OpenFailure::NotSupported,
        other => OpenFailure::Os(other as i32),
    })
}

/// Waits, a quarter of a second at most, until the kernel has started the queue of an interface
/// that is up. It does so a moment after we attached, which is when the carrier comes, and whatever
/// it would send us before is lost. The calls that follow take the lock under which it does so.
fn await_queue(control: &OwnedFd, name: &Name) {
    for _ in 0..500 {
        match sys::if_flags(control.as_fd(), name) {
            Ok(flags) if flags & (libc::IFF_UP | libc::IFF_RUNNING) == libc::IFF_UP => {
                std::thread::sleep(Duration::from_micros(500));
            }
            _ => return,
        }
    }
}

/// Settles on the most the kernel may leave unfinished in what it hands us.
fn negotiate(fd: &OwnedFd) -> c_uint {
    use libc::{TUN_F_CSUM, TUN_F_TSO_ECN, TUN_F_TSO4, TUN_F_TSO6};
    let tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    let ecn = tso | TUN_F_TSO_ECN;
    [ecn | USO, tso | USO, ecn, tso, TUN_F_CSUM, 0]
        .into_iter()
        .find(|flags| sys::tun_set_offload(fd.as_fd(), *flags).is_ok())
        .unwrap_or(0)
}

/// Datagrams over both versions of IP, which the kernel allows together only.
const USO: c_uint = libc::TUN_F_USO4 | libc::TUN_F_USO6;

const fn max_frame(medium: Medium, mtu: usize) -> usize {
    match medium {
        Medium::Ethernet => mtu.saturating_add(14),
        Medium::Ip => mtu,
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.fd.as_fd()
    }
}

struct Tx<'a>(&'a mut Port);

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
        let port = self.0;
        let len = gathered_len(head, payload).ok_or(Abort)?;
        if len > MAX_FRAME {
            return Err(Abort);
        }
        let before = if port.with_vnet { vnet::LEN } else { 0 };
        let (copied, [a, b]) = match payload {
            [a, b] if a.len() + b.len() <= COPIED => (a.len() + b.len(), payload),
            _ => (0, [&[][..], &[]]),
        };
        let whole = before + head + copied;
        if port.head.len() < whole {
            port.head.resize(whole, 0);
        }
        let room = port.head.get_mut(..whole).ok_or(Abort)?;
        let (header, rest) = room.split_at_mut_checked(before).ok_or(Abort)?;
        // What is written to the kernel in one piece is assembled here.
        let (front, tail) = rest.split_at_mut_checked(head).ok_or(Abort)?;
        fill(front)?;
        let vnet = vnet::from_tx(meta, port.medium, front, len).ok_or(Abort)?;
        header.copy_from_slice(vnet.get(..before).ok_or(Abort)?);
        let written = if copied == gathered_len(0, payload).ok_or(Abort)? {
            let (first, second) = tail.split_at_mut_checked(a.len()).ok_or(Abort)?;
            first.copy_from_slice(a);
            second.copy_from_slice(b);
            sys::write_whole(&port.fd, room)
        } else {
            let [a, b] = payload;
            sys::write_frame(&port.fd, &[room, a, b].map(IoSlice::new))
        };
        match written {
            Ok(_) => {
                port.health.wrote(1);
                port.health.went();
            }
            Err(errno) => {
                port.health.wrote(0);
                let Port {
                    fd, caps, health, ..
                } = port;
                let [a, b] = match copied {
                    0 => payload,
                    // They are in the room already.
                    _ => [&[][..], &[]],
                };
                // Rare enough to be put together for.
                let whole = || [&*room, a, b].concat();
                let again = |frame: &[u8]| sys::write_whole(fd, frame);
                let refused = meta.gso.is_some()
                    && uso::fall_back(errno, port.medium, &whole(), caps, health, again);
                if !refused {
                    health.failed(errno);
                }
            }
        }
        Ok(())
    }
}

impl Device for Queue {
    fn capabilities(&self) -> Capabilities {
        self.port.caps.with_link(self.port.health.link)
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        self.port.look_again(now);
        if self.rhythm.is_resting() {
            return 0;
        }
        let mut octets_taken = 0_usize;
        for taken in 0..budget {
            if octets_taken >= ENOUGH {
                return taken;
            }
            if taken == 1 && self.rhythm.is_over() {
                return 1;
            }
            let len = match sys::read_frame(&self.port.fd, &mut self.buffer) {
                Ok(len) => {
                    self.port.health.read(1);
                    self.rhythm.found(taken);
                    octets_taken = octets_taken.saturating_add(len);
                    len
                }
                Err(Errno::EAGAIN) => {
                    self.port.health.read(0);
                    self.rhythm.ended(taken);
                    return taken;
                }
                Err(errno) => {
                    self.port.health.read(0);
                    self.port.health.broke(errno);
                    return taken;
                }
            };
            let Some(octets) = self.buffer.get_mut(..len) else {
                return taken;
            };
            let Some(rx) = unwrap(octets, self.port.with_vnet) else {
                self.port.health.lose(1);
                continue;
            };
            self.port.health.went();
            let answer = self.port.ready().then_some(Tx(&mut self.port));
            sink.frame(rx, answer);
        }
        budget
    }

    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        self.port.look_again(now);
        self.port.ready().then_some(Tx(&mut self.port))
    }
}

/// The frame and what the header before it says, if there is one.
fn unwrap(octets: &mut [u8], with_vnet: bool) -> Option<Rx<'_>> {
    if !with_vnet {
        return Some(Rx {
            frame: octets,
            meta: RxMeta::new(),
        });
    }
    let (header, frame) = octets.split_first_chunk_mut::<{ vnet::LEN }>()?;
    let meta = vnet::to_rx(header, frame.len());
    Some(Rx { frame, meta })
}
