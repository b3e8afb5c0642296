//! Calls into the operating system that neither `std` nor `nix` offers as safe functions:
//! device requests, packet-socket addresses and batches. Unsafe code, as in `map` (memory shared
//! with the kernel) and `xdp/sys`, and nowhere else in the crate.
//!
//! Invariant: every function here is safe to call with any arguments. No pointer outlives
//! the call it is made for, and the kernel is never given a length beyond the memory behind
//! the pointer. Only the devices of this crate call these functions.

use core::mem::{size_of, zeroed};
use std::boxed::Box;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_uint, c_void, socklen_t};
use nix::errno::Errno;

use crate::name::Name;
use crate::vnet;

/// Frames moved by one system call at most.
pub(crate) const BATCH: usize = 32;

/// Octets kept free before a received frame, for a VLAN tag to be put back.
pub(crate) const HEADROOM: usize = 4;

/// The largest frame: 65,535 octets of IP behind an Ethernet header with one tag.
pub(crate) const MAX_FRAME: usize = 65_535 + 18;

mod request {
    // These pass the pointer or number on as it is; what lies behind the pointer is given
    // by the request and stated again by the type here.
    nix::ioctl_write_ptr_bad!(tun_set_iff, libc::TUNSETIFF, libc::ifreq);
    nix::ioctl_read_bad!(tun_get_features, libc::TUNGETFEATURES, libc::c_uint);
    nix::ioctl_write_ptr_bad!(tun_set_vnet_size, libc::TUNSETVNETHDRSZ, libc::c_int);
    nix::ioctl_write_int_bad!(tun_set_offload, libc::TUNSETOFFLOAD);
    nix::ioctl_read_bad!(if_mtu, libc::SIOCGIFMTU, libc::ifreq);
    nix::ioctl_read_bad!(if_flags, libc::SIOCGIFFLAGS, libc::ifreq);
    nix::ioctl_read_bad!(if_address, libc::SIOCGIFHWADDR, libc::ifreq);
    nix::ioctl_read_bad!(if_name, libc::SIOCGIFNAME, libc::ifreq);
}

pub(crate) fn request_for(name: &Name) -> libc::ifreq {
    // SAFETY: `ifreq` is a name and a union of integers, addresses and one pointer; all
    // zeros is a value of each.
    let mut ifreq: libc::ifreq = unsafe { zeroed() };
    for (to, from) in ifreq.ifr_name.iter_mut().zip(name.field()) {
        *to = *from as libc::c_char;
    }
    ifreq
}

/// Makes `tun` (an open `/dev/net/tun`) a queue of the interface `name`, creating it if
/// need be. Returns the name the kernel settled on.
pub(crate) fn tun_attach(tun: BorrowedFd<'_>, name: &Name, flags: c_int) -> Result<Name, Errno> {
    let mut ifreq = request_for(name);
    // The flags are a signed short whose top bit is `IFF_TUN_EXCL`.
    ifreq.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: the request reads and writes one `ifreq`, which lives until the call returns.
    unsafe { request::tun_set_iff(tun.as_raw_fd(), &raw const ifreq)? };
    Ok(Name::from_field(ifreq.ifr_name.map(|octet| octet as u8)))
}

/// The `IFF_*` flags this kernel's tun driver knows.
pub(crate) fn tun_features(tun: BorrowedFd<'_>) -> Result<c_uint, Errno> {
    let mut features = 0;
    // SAFETY: the request writes one unsigned int, which lives until the call returns.
    unsafe { request::tun_get_features(tun.as_raw_fd(), &raw mut features)? };
    Ok(features)
}

/// Sets the length of the header before each frame of an attached queue.
pub(crate) fn tun_set_vnet_size(tun: BorrowedFd<'_>, len: c_int) -> Result<(), Errno> {
    // SAFETY: the request reads one int, which lives until the call returns.
    unsafe { request::tun_set_vnet_size(tun.as_raw_fd(), &raw const len)? };
    Ok(())
}

/// Tells the kernel which unfinished frames (`TUN_F_*`) it may hand us.
pub(crate) fn tun_set_offload(tun: BorrowedFd<'_>, flags: c_uint) -> Result<(), Errno> {
    // SAFETY: the request takes a number by value and touches no memory of ours.
    unsafe { request::tun_set_offload(tun.as_raw_fd(), flags as c_int)? };
    Ok(())
}

/// The MTU of an interface in octets; `socket` is any socket of its network namespace.
pub(crate) fn if_mtu(socket: BorrowedFd<'_>, name: &Name) -> Result<usize, Errno> {
    let mut ifreq = request_for(name);
    // SAFETY: the request reads and writes one `ifreq`, which lives until the call returns,
    // and on success leaves an int in the union.
    let mtu = unsafe {
        request::if_mtu(socket.as_raw_fd(), &raw mut ifreq)?;
        ifreq.ifr_ifru.ifru_mtu
    };
    usize::try_from(mtu).map_err(|_| Errno::EINVAL)
}

/// Whether the interface is up (`IFF_UP`).
pub(crate) fn if_up(socket: BorrowedFd<'_>, name: &Name) -> Result<bool, Errno> {
    Ok(if_flags(socket, name)? & libc::IFF_UP != 0)
}

/// The interface's `IFF_*` flags.
pub(crate) fn if_flags(socket: BorrowedFd<'_>, name: &Name) -> Result<c_int, Errno> {
    let mut ifreq = request_for(name);
    // SAFETY: as in `if_mtu`, with a short in the union.
    let flags = unsafe {
        request::if_flags(socket.as_raw_fd(), &raw mut ifreq)?;
        ifreq.ifr_ifru.ifru_flags
    };
    Ok(c_int::from(flags))
}

/// The present name of the interface with this number: `ENODEV` if it was deleted.
pub(crate) fn if_name(socket: BorrowedFd<'_>, ifindex: c_int) -> Result<Name, Errno> {
    // SAFETY: as in `request_for`.
    let mut ifreq: libc::ifreq = unsafe { zeroed() };
    ifreq.ifr_ifru.ifru_ifindex = ifindex;
    // SAFETY: the request reads and writes one `ifreq`, which lives until the call returns.
    unsafe { request::if_name(socket.as_raw_fd(), &raw mut ifreq)? };
    Ok(Name::from_field(ifreq.ifr_name.map(|octet| octet as u8)))
}

/// Hardware type (`ARPHRD_*`) and the first six octets of an interface's link address.
pub(crate) fn if_address(socket: BorrowedFd<'_>, name: &Name) -> Result<(u16, [u8; 6]), Errno> {
    let mut ifreq = request_for(name);
    // SAFETY: as in `if_mtu`, with a socket address in the union.
    let address = unsafe {
        request::if_address(socket.as_raw_fd(), &raw mut ifreq)?;
        ifreq.ifr_ifru.ifru_hwaddr
    };
    let [a, b, c, d, e, f, ..] = address.sa_data.map(|octet| octet as u8);
    Ok((address.sa_family, [a, b, c, d, e, f]))
}

/// Takes ownership of what a system call returned.
fn owned(fd: c_int) -> Result<OwnedFd, Errno> {
    let fd = Errno::result(fd)?;
    // SAFETY: the system call that returned this descriptor just opened it, and nobody else
    // knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A datagram socket to address interface requests to.
pub(crate) fn control_socket() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })
}

/// A packet socket that receives nothing until it is bound.
pub(crate) fn packet_socket() -> Result<OwnedFd, Errno> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the call takes numbers only.
    owned(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })
}

/// Binds a packet socket to all protocols of one interface.
pub(crate) fn packet_bind(socket: BorrowedFd<'_>, ifindex: c_int) -> Result<(), Errno> {
    // SAFETY: `sockaddr_ll` is made of integers; all zeros is a value of it.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = ifindex;
    // SAFETY: the kernel reads as many octets as we say, which is the size of the address.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// Asks for all frames of an interface; the kernel takes it back when the socket closes,
/// however the process ends.
pub(crate) fn packet_promiscuous(socket: BorrowedFd<'_>, ifindex: c_int) -> Result<(), Errno> {
    let request = libc::packet_mreq {
        mr_ifindex: ifindex,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set(
        socket,
        libc::SOL_PACKET,
        libc::PACKET_ADD_MEMBERSHIP,
        &request,
    )
}

/// Received frames dropped for want of room since the last call.
pub(crate) fn packet_drops(socket: BorrowedFd<'_>) -> Result<c_uint, Errno> {
    let mut stats = libc::tpacket_stats {
        tp_packets: 0,
        tp_drops: 0,
    };
    let mut len = size_of::<libc::tpacket_stats>() as socklen_t;
    // SAFETY: the kernel writes at most `len` octets, the size of the value, and the length
    // it wrote to `len`; both live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut len,
        )
    };
    Errno::result(result).map(|_| stats.tp_drops)
}

/// The error that the socket has to tell, which it then tells no more.
pub(crate) fn take_error(socket: BorrowedFd<'_>) -> Option<Errno> {
    let error =
        nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::SocketError).ok()?;
    (error != 0).then(|| Errno::from_raw(error))
}

/// Asks for a ring of `count` slots of `size` octets each for received frames, in blocks of
/// `block` octets.
pub(crate) fn packet_ring(
    socket: BorrowedFd<'_>,
    count: usize,
    size: usize,
    block: usize,
) -> Result<(), Errno> {
    let number = |n: usize| c_uint::try_from(n).map_err(|_| Errno::EINVAL);
    let blocks = count
        .checked_mul(size)
        .and_then(|len| len.checked_div(block));
    let request = libc::tpacket_req {
        tp_block_size: number(block)?,
        tp_block_nr: number(blocks.ok_or(Errno::EINVAL)?)?,
        tp_frame_size: number(size)?,
        tp_frame_nr: number(count)?,
    };
    set(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
}

/// Sets a socket option that is an int.
pub(crate) fn set_int(
    socket: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: c_int,
) -> Result<(), Errno> {
    set(socket, level, option, &value)
}

/// A socket option that is an int.
pub(crate) fn get_int(socket: BorrowedFd<'_>, level: c_int, option: c_int) -> Result<c_int, Errno> {
    let (mut value, mut len) = (0, size_of::<c_int>() as socklen_t);
    // SAFETY: the kernel writes at most `len` octets, the size of the value, and the length it
    // wrote to `len`; both live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw mut value).cast::<c_void>(),
            &raw mut len,
        )
    };
    Errno::result(result).map(|_| value)
}

/// Has a socket receive nothing, until told otherwise.
pub(crate) fn set_deaf(socket: BorrowedFd<'_>, deaf: bool) -> Result<(), Errno> {
    if !deaf {
        return set_int(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0);
    }
    // A filter that keeps no octet of any packet: `ret 0`.
    let mut filter = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut filter,
    };
    // The kernel copies the one instruction that the program points to.
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn set<T: Copy>(
    socket: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &T,
) -> Result<(), Errno> {
    // SAFETY: the kernel reads as many octets as we say, which is the size of the value.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const *value).cast(),
            size_of::<T>() as socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// Room for one frame from a packet socket, and what the kernel said about it.
pub(crate) struct Slot {
    /// [`HEADROOM`] octets, then the frame.
    pub(crate) octets: Box<[u8]>,
    /// The header before the frame, if negotiated.
    pub(crate) vnet: [u8; vnet::LEN],
    /// Length of the frame.
    pub(crate) len: usize,
    /// The frame did not fit.
    pub(crate) truncated: bool,
    /// The frame was sent from this interface, not received.
    pub(crate) outgoing: bool,
    /// `TP_STATUS_*` bits.
    pub(crate) status: u32,
    /// Tag protocol and tag the kernel cut out.
    pub(crate) vlan: Option<(u16, u16)>,
}

impl Slot {
    pub(crate) fn new() -> Self {
        Self {
            octets: std::vec![0; HEADROOM + MAX_FRAME].into_boxed_slice(),
            vnet: [0; vnet::LEN],
            len: 0,
            truncated: false,
            outgoing: false,
            status: 0,
            vlan: None,
        }
    }
}

/// Receives up to [`BATCH`] frames into `slots` with one system call, never waiting.
/// Returns how many slots were filled, from the first.
pub(crate) fn receive_batch(
    socket: BorrowedFd<'_>,
    with_vnet: bool,
    slots: &mut [Slot],
) -> Result<usize, Errno> {
    // Room for one control message with `tpacket_auxdata`, aligned as `cmsghdr` must be.
    type Control = [u64; 8];
    let count = slots.len().min(BATCH);
    // SAFETY: headers, vectors and addresses are made of integers and raw pointers; all
    // zeros is a value of each.
    let (mut headers, mut vectors, mut addresses): (
        [libc::mmsghdr; BATCH],
        [[libc::iovec; 2]; BATCH],
        [libc::sockaddr_ll; BATCH],
    ) = unsafe { (zeroed(), zeroed(), zeroed()) };
    let mut controls: [Control; BATCH] = [[0; 8]; BATCH];
    for ((((slot, header), vector), address), control) in slots
        .iter_mut()
        .zip(&mut headers)
        .zip(&mut vectors)
        .zip(&mut addresses)
        .zip(&mut controls)
    {
        let frame = slot.octets.get_mut(HEADROOM..).unwrap_or_default();
        let vnet_len = if with_vnet { slot.vnet.len() } else { 0 };
        *vector = [
            iovec(slot.vnet.as_mut_ptr(), vnet_len),
            iovec(frame.as_mut_ptr(), frame.len()),
        ];
        header.msg_hdr.msg_iov = vector.as_mut_ptr();
        header.msg_hdr.msg_iovlen = vector.len() as _;
        header.msg_hdr.msg_name = (&raw mut *address).cast();
        header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_ll>() as socklen_t;
        header.msg_hdr.msg_control = (&raw mut *control).cast();
        header.msg_hdr.msg_controllen = size_of::<Control>() as _;
    }
    // SAFETY: the first `count` headers point to memory that is exclusively ours (the slots
    // are borrowed mutably, the rest are locals), lives until the call returns and is as
    // long as the header says.
    let received = Errno::result(unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as c_uint,
            libc::MSG_DONTWAIT as _,
            core::ptr::null_mut(),
        )
    })?;
    let received = usize::try_from(received).unwrap_or(0).min(count);
    for ((slot, header), address) in slots
        .iter_mut()
        .zip(&headers)
        .zip(&addresses)
        .take(received)
    {
        let before = if with_vnet { vnet::LEN } else { 0 };
        slot.len = (header.msg_len as usize).saturating_sub(before);
        slot.truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        slot.outgoing = address.sll_pkttype == libc::PACKET_OUTGOING;
        (slot.status, slot.vlan) = auxiliary(&header.msg_hdr);
    }
    Ok(received)
}

fn iovec(base: *mut u8, len: usize) -> libc::iovec {
    libc::iovec {
        iov_base: base.cast::<c_void>(),
        iov_len: len,
    }
}

/// Status bits and VLAN tag from the control messages of a header that `recvmmsg` filled.
fn auxiliary(header: &libc::msghdr) -> (u32, Option<(u16, u16)>) {
    // SAFETY: `msg_control` and `msg_controllen` of a filled header span the control
    // messages in our own buffer, which outlives `header`.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // One turn per control message; the kernel writes one or none.
    while !message.is_null() {
        // SAFETY: `CMSG_FIRSTHDR` and `CMSG_NXTHDR` return null or a header that lies in
        // the buffer as a whole; `Control` is aligned for it.
        let head = unsafe { *message };
        // SAFETY: the macro computes a number.
        let needed = unsafe { libc::CMSG_LEN(size_of::<libc::tpacket_auxdata>() as c_uint) };
        if head.cmsg_level == libc::SOL_PACKET
            && head.cmsg_type == libc::PACKET_AUXDATA
            && head.cmsg_len as usize >= needed as usize
        {
            // SAFETY: the message is long enough for the value, as just seen; it need not
            // be aligned and is made of integers.
            let aux = unsafe {
                libc::CMSG_DATA(message)
                    .cast::<libc::tpacket_auxdata>()
                    .read_unaligned()
            };
            let tpid = if aux.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0 {
                aux.tp_vlan_tpid
            } else {
                libc::ETH_P_8021Q as u16
            };
            let tagged = aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
            return (aux.tp_status, tagged.then_some((tpid, aux.tp_vlan_tci)));
        }
        // SAFETY: as for `CMSG_FIRSTHDR`; `message` came from this header.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    (0, None)
}

/// Sends up to [`BATCH`] of `frames` with one system call, never waiting. Returns how many
/// went; an error concerns the first.
pub(crate) fn send_batch<'a>(
    socket: BorrowedFd<'_>,
    frames: impl Iterator<Item = &'a [u8]>,
) -> Result<usize, Errno> {
    // SAFETY: as in `receive_batch`.
    let (mut headers, mut vectors): ([libc::mmsghdr; BATCH], [libc::iovec; BATCH]) =
        unsafe { (zeroed(), zeroed()) };
    let mut count = 0;
    for ((frame, header), vector) in frames.zip(&mut headers).zip(&mut vectors) {
        // Sending only reads; the type has one pointer for both directions.
        *vector = iovec(frame.as_ptr().cast_mut(), frame.len());
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` headers point to vectors that are locals, and those to
    // frames that outlive `'a` and are as long as the vector says; the kernel only reads.
    let sent = Errno::result(unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT as _,
        )
    })?;
    Ok(usize::try_from(sent).unwrap_or(0))
}

/// Writes one frame in parts to a tap or packet socket, trying again when a signal came in
/// between.
pub(crate) fn write_frame(fd: &impl AsFd, parts: &[IoSlice<'_>]) -> Result<usize, Errno> {
    loop {
        match nix::sys::uio::writev(fd, parts) {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// As [`write_frame`], of a frame in one piece.
pub(crate) fn write_whole(fd: &impl AsFd, frame: &[u8]) -> Result<usize, Errno> {
    loop {
        match nix::unistd::write(fd, frame) {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}

/// Reads one frame from a tap, trying again when a signal came in between.
pub(crate) fn read_frame(fd: &impl AsFd, into: &mut [u8]) -> Result<usize, Errno> {
    loop {
        match nix::unistd::read(fd, into) {
            Err(Errno::EINTR) => {}
            done => return done,
        }
    }
}
