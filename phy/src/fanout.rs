//! Several packet sockets of one interface among which the kernel divides what arrives
//! (`PACKET_FANOUT`, `packet(7)`): by a hash of addresses and ports that is the same both ways, so
//! that a flow's frames all come to one socket. Datagrams that arrive in pieces are put together
//! first, for only the first piece has ports.
//!
//! Frames never roll over to another socket when one is full, though the kernel offers that: the
//! stack behind the other knows nothing of the flow, and would reset what a lost frame only slows
//! down. Invariant: a socket hears nothing until all have joined, so that no two hand up the same
//! frame. Only [`RawSocket`](crate::RawSocket) calls this.

use std::os::fd::BorrowedFd;

use libc::c_int;
use nix::errno::Errno;

use crate::sys;

/// `PACKET_FANOUT`: a group's number in the lower half, how it divides in the upper.
const FANOUT: c_int = 18;

/// `PACKET_FANOUT_HASH`, `PACKET_FANOUT_FLAG_UNIQUEID` (Linux 4.12), `_IGNORE_OUTGOING` (5.13) and
/// `_DEFRAG`.
const HASH: c_int = 0;
const UNIQUE: c_int = 0x2000;
const IGNORE_OUTGOING: c_int = 0x4000;
const DEFRAG: c_int = 0x8000;

/// The kernel's limit to the sockets of a group.
const MOST: usize = 256;

/// Joins bound sockets of one interface to a group of their own. What the host itself sends is
/// left out if not `outgoing`, where the kernel can; whoever reads skips it in any case.
pub(crate) fn join<'a>(
    mut sockets: impl ExactSizeIterator<Item = BorrowedFd<'a>>,
    outgoing: bool,
) -> Result<(), Errno> {
    if sockets.len() > MOST {
        return Err(Errno::ENOSPC);
    }
    let Some(first) = sockets.next() else {
        return Ok(());
    };
    let ask = |socket, value| sys::set_int(socket, libc::SOL_PACKET, FANOUT, value);
    let begin = |flags: c_int| ask(first, (HASH | DEFRAG | UNIQUE | flags) << 16);
    let ignore = if outgoing { 0 } else { IGNORE_OUTGOING };
    begin(ignore).or_else(|_| begin(0))?;
    // The number that the kernel chose, with what it divides by.
    let group = sys::get_int(first, libc::SOL_PACKET, FANOUT)?;
    sockets.try_for_each(|socket| ask(socket, group))
}
