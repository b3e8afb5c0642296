//! ICMP errors: sent about packets we cannot take, and received about packets we sent.

use core::net::IpAddr;

use crate::context::Cx;
use crate::iface::PacketTx;
use crate::net::{Answer, Ingress};
use crate::wire::IpHeader;

/// What an ICMP error says, whatever the IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The network cannot be reached.
    NetUnreachable,
    /// The host cannot be reached.
    HostUnreachable,
    /// The host has no such protocol.
    ProtocolUnreachable,
    /// The host has nobody on that port.
    PortUnreachable,
    /// The packet exceeded this many octets on its path and may not be fragmented; 0 when the
    /// reporter did not say (RFC 1191 §3).
    PacketTooBig(u16),
    /// A source route failed.
    SourceRouteFailed,
    /// Somebody forbids it (RFC 1812 §5.2.7.1).
    Prohibited,
    /// The time to live ran out on the way.
    TtlExceeded,
    /// Fragments were missing at the destination.
    ReassemblyExceeded,
    /// The octet at this offset of the packet was refused.
    ParameterProblem(u8),
}

/// An ICMP error about a packet this host sent, or the same news from our own link layer.
#[derive(Debug)]
pub struct IcmpError<'p> {
    /// What happened.
    pub kind: ErrorKind,
    /// Who says so; our own address when `local`.
    pub from: IpAddr,
    /// Our link layer found out itself: the next hop did not answer.
    pub local: bool,
    /// Header of the packet in question: its source is ours.
    pub quoted: IpHeader,
    /// The leading octets of what followed that header, at least eight for a remote report.
    pub payload: &'p [u8],
}

/// Is it an ICMP error message, about a packet we are said to have sent?
pub fn is_error(packet: &Ingress<'_>) -> bool {
    let _ = packet;
    false
}

impl<'p> IcmpError<'p> {
    /// Reads a received error message; one that does not add up is counted and `None`.
    pub fn parse(cx: &mut Cx, packet: &'p Ingress<'_>) -> Option<Self> {
        let _ = (cx, packet);
        None
    }

    /// The error for a packet of ours that our own link layer gave back.
    pub fn local(packet: &'p [u8]) -> Option<Self> {
        let _ = packet;
        None
    }
}

/// Answers `packet` with an ICMP error, if one may be sent (RFC 1122 §3.2.2) and the rate
/// limit allows.
pub fn send_error<T: PacketTx>(
    cx: &mut Cx,
    packet: &Ingress<'_>,
    answer: Answer<T>,
    kind: ErrorKind,
) {
    let _ = (cx, packet, answer, kind);
}
