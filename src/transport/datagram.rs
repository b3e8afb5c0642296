//! What sockets of datagrams have in common: how they are sent, and what may go wrong.

use core::fmt;
use core::net::SocketAddr;

use crate::error::TxError;
use crate::net::ErrorKind;
use crate::socket::mailbox::PushError;
use crate::socket::{Handle, Socket, SocketSet};

/// A datagram was not taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// No room in the send buffer now; there is news when there is.
    Full,
    /// More octets than a packet or the whole send buffer holds.
    TooLong,
    /// Address or port of the destination is zero, or of the wrong family.
    BadDestination,
    /// Broadcast was not switched on.
    Broadcast,
    /// No peer was named, and the socket is connected to none.
    NotConnected,
    /// Something went wrong earlier, about which this socket was not asked yet.
    Failed(Failure),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("send buffer is full"),
            Self::TooLong => f.write_str("message too long"),
            Self::BadDestination => f.write_str("not a destination"),
            Self::Broadcast => f.write_str("broadcast is not switched on"),
            Self::NotConnected => f.write_str("no destination"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl core::error::Error for SendError {}

impl From<PushError> for SendError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Full => Self::Full,
            PushError::TooLong => Self::TooLong,
        }
    }
}

/// Nothing was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// Nothing has come yet.
    Empty,
    /// Something went wrong with what was sent.
    Failed(Failure),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing received yet"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl core::error::Error for RecvError {}

/// What became of a datagram after it was taken for sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub why: Why,
    /// Whom the datagram was for, or the local side where `why` is about that.
    pub peer: SocketAddr,
}

/// Reasons of a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// An ICMP error came, or the next hop did not answer.
    Icmp(ErrorKind),
    /// No route leads there, or the address sent from is not ours.
    NoRoute,
    /// More than this many octets of packet do not get there unfragmented, which is asked for.
    TooBig(u16),
    /// The destination is a broadcast address, and broadcast was not switched on.
    Broadcast,
    /// Another socket has the local address and port, or no port is free.
    InUse,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Why::Icmp(kind) => write!(f, "{}: {}", self.peer, kind.as_str()),
            Why::NoRoute => write!(f, "{}: no route", self.peer),
            Why::TooBig(mtu) => write!(f, "{}: the path carries {mtu} octets", self.peer),
            Why::Broadcast => write!(f, "{}: broadcast is not switched on", self.peer),
            Why::InUse => write!(f, "{}: address already in use", self.peer),
        }
    }
}

impl core::error::Error for Failure {}

/// What to do after an attempt to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It left, or waits for its link address below.
    Gone,
    /// It is lost, for a reason the application may want to know.
    Lost(Option<Why>),
    /// The link takes no more: stop.
    Full,
    /// Try this socket again when link addresses are known.
    Park,
}

impl From<Result<(), TxError>> for Sent {
    fn from(result: Result<(), TxError>) -> Self {
        match result {
            Ok(()) => Self::Gone,
            Err(TxError::Full) => Self::Full,
            Err(TxError::Resolving) => Self::Park,
            Err(TxError::Unreachable) => Self::Lost(Some(Why::Icmp(ErrorKind::HostUnreachable))),
            Err(TxError::NoRoute) => Self::Lost(Some(Why::NoRoute)),
            Err(TxError::TooBig(mtu)) => Self::Lost(Some(Why::TooBig(mtu))),
            Err(TxError::Dropped) => Self::Lost(None),
        }
    }
}

/// Lets ready sockets send one packet each in turn by way of `serve`, which says `None` for one
/// with nothing to send, until none is ready, the link is full or `budget` packets are sent.
/// Returns how many were.
pub(crate) fn send_for_ready<K: Socket, Set: SocketSet<K>>(
    set: &mut Set,
    budget: usize,
    mut serve: impl FnMut(&mut Set, Handle<K>) -> Option<Sent>,
) -> usize {
    let mut sent = 0;
    while sent < budget {
        let Some(h) = set.next_ready() else { break };
        match serve(set, h) {
            None => {}
            Some(Sent::Gone | Sent::Lost(_)) => {
                sent += 1;
                set.wake(h);
            }
            Some(Sent::Park) => set.park(h),
            Some(Sent::Full) => {
                set.wake(h);
                break;
            }
        }
    }
    sent
}
