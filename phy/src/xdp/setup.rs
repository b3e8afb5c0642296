//! Setting AF_XDP sockets up: memory, four rings, the queue of each, and the program that feeds
//! them. In the order in which nothing arrives before there is room for it.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::vec::Vec;

use nix::errno::Errno;

use super::ring::{Layout, Ring};
use super::sys;
use super::{Feeder, KICK, Port, Receiver, XdpMode, XdpOptions, XdpSocket, program};
use crate::Capabilities;
use crate::health::Health;
use crate::map::{Chunks, Map};
use crate::name::Name;

/// Octets of a chunk: a page.
const CHUNK: usize = 4096;

/// Octets that the kernel keeps free before a received frame (`XDP_PACKET_HEADROOM`).
const HEADROOM: usize = 256;

/// Octets of an Ethernet header.
const LINK_HEADER: usize = 14;

/// Queues that may have a socket: more than interfaces have.
const QUEUES: u32 = 256;

/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE`.
const GENERIC: u32 = 1 << 1;
const DRIVER: u32 = 1 << 2;

/// The largest frame on an interface of this MTU that a chunk holds.
pub(super) fn max_frame(mtu: usize) -> usize {
    mtu.saturating_add(LINK_HEADER).min(CHUNK - HEADROOM)
}

/// Why sockets could not be set up.
pub(super) enum Trouble {
    /// A call failed.
    Os(Errno),
    /// The interface has fewer queues.
    TooFew,
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Self::Os(errno)
    }
}

/// Sockets on `count` queues from the first of the options, and one program that feeds them.
pub(super) fn open(
    name: Name,
    options: XdpOptions,
    count: usize,
) -> Result<Vec<XdpSocket>, Trouble> {
    let ifindex = nix::net::if_::if_nametoindex(name.as_str())?;
    let sockets = sys::socket_map(QUEUES)?;
    let mut halves = Vec::new();
    for queue in (options.queue..QUEUES).take(count) {
        let (receiver, port) =
            half(name, ifindex, options.with_queue(queue)).map_err(|errno| match errno {
                // The first was fine.
                Errno::EINVAL if queue > options.queue => Trouble::TooFew,
                other => Trouble::Os(other),
            })?;
        sys::put(&sockets, queue, port.fd.as_fd())?;
        halves.push((receiver, port));
    }
    if halves.len() < count {
        return Err(Trouble::TooFew);
    }
    // Last, so that no frame is taken before there is room for it.
    let program = sys::load(&program::redirect(sockets.number()))?;
    let attach = |flag| sys::attach(program.as_fd(), ifindex, flag);
    let (link, mode) = match attach(DRIVER) {
        Ok(link) => (link, XdpMode::Driver),
        // It is held, or forbidden, either way.
        Err(errno @ (Errno::EPERM | Errno::EBUSY | Errno::EEXIST)) => return Err(errno.into()),
        Err(_) => (attach(GENERIC)?, XdpMode::Generic),
    };
    let feeder = Arc::new(Feeder {
        _link: link,
        _sockets: sockets,
    });
    let socket = |(receiver, port)| XdpSocket {
        receiver,
        port,
        mode,
        _feeder: Arc::clone(&feeder),
    };
    Ok(halves.into_iter().map(socket).collect())
}

/// Memory, rings and the socket of one queue.
fn half(name: Name, ifindex: u32, options: XdpOptions) -> Result<(Receiver, Port), Errno> {
    let frames = options.frames;
    if !frames.is_power_of_two() || !(64..=65_536).contains(&frames) {
        return Err(Errno::EINVAL);
    }
    let control = crate::sys::packet_socket()?;
    let (hardware, address) = crate::sys::if_address(control.as_fd(), &name)?;
    if hardware != libc::ARPHRD_ETHER {
        return Err(Errno::EPROTOTYPE);
    }
    crate::sys::packet_promiscuous(control.as_fd(), ifindex.cast_signed())?;
    let mtu = crate::sys::if_mtu(control.as_fd(), &name)?;
    let up = crate::sys::if_up(control.as_fd(), &name)?;

    let fd = sys::socket()?;
    let socket = fd.as_fd();
    let ([incoming, outgoing], memory) = Chunks::pair(frames as usize, CHUNK)?;
    sys::register(socket, memory)?;
    let rings = [
        libc::XDP_UMEM_FILL_RING,
        libc::XDP_UMEM_COMPLETION_RING,
        libc::XDP_RX_RING,
        libc::XDP_TX_RING,
    ];
    for ring in rings {
        sys::make_ring(socket, ring, frames)?;
    }
    let at = sys::offsets(socket)?;
    let ring = |offsets, page: i64, words| ring(socket, offsets, page, frames, words);
    let fill = ring(at.fr, libc::XDP_UMEM_PGOFF_FILL_RING as i64, 1)?;
    let sent = ring(at.cr, libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64, 1)?;
    let filled = ring(at.rx, libc::XDP_PGOFF_RX_RING, 2)?;
    let send = ring(at.tx, libc::XDP_PGOFF_TX_RING, 2)?;

    let free = (0..outgoing.count()).rev().collect();
    let mut receiver = Receiver {
        chunks: incoming,
        fill,
        filled,
        trusting: options.trusting,
    };
    for index in 0..receiver.chunks.count() {
        receiver.hand(index);
    }
    receiver.fill.publish();

    sys::bind(socket, ifindex, options.queue, libc::XDP_USE_NEED_WAKEUP)?;
    let port = Port {
        fd,
        control,
        name,
        ifindex,
        address,
        mtu,
        caps: Capabilities::new(max_frame(mtu))
            .with_burst(KICK as usize)
            .with_copies(true),
        chunks: outgoing,
        free,
        send,
        sent,
        written: false,
        retry: None,
        overruns: 0,
        health: Health::new(up),
    };
    Ok((receiver, port))
}

fn ring(
    socket: BorrowedFd<'_>,
    offsets: libc::xdp_ring_offset,
    page: i64,
    size: u32,
    words: usize,
) -> Result<Ring, Errno> {
    let octets = |n| usize::try_from(n).map_err(|_| Errno::EINVAL);
    let layout = Layout {
        producer: octets(offsets.producer)?,
        consumer: octets(offsets.consumer)?,
        flags: octets(offsets.flags)?,
        entries: octets(offsets.desc)?,
    };
    let map = Map::ring(socket, Ring::len(layout, size, words), page)?;
    Ok(Ring::new(map, layout, size, words))
}
