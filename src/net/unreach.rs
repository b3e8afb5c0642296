//! ICMP errors: sent about packets we cannot take, and received about packets we sent.
//!
//! Invariants: no error is sent about an error, about what was not sent to us alone, about any
//! but a first fragment, or to an address that cannot be one host's (RFC 1122 §3.2.2); a
//! received error is handed on only if it quotes a packet from the address it came to, and
//! the transport whose packet that was decides whether it is believed (RFC 5927). Called by
//! the stack and by transports.

use core::net::IpAddr;

use super::martian::is_host;
use super::pmtu::plateau_below;
use crate::context::Cx;
use crate::error::Drop;
use crate::iface::{PacketTx, Wait};
use crate::net::{Answer, Dest, Ingress, Output};
use crate::wire::{Icmpv4, IpHeader, Ipv4, Quoted, TimeExceeded, Unreachable, protocol};

/// What an ICMP error says, whatever the IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The packet may not be fragmented, and this many octets are what the path carries, as the
    /// reporter says, or a guess from the packet's size if it does not (RFC 1191 §7.1).
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

impl ErrorKind {
    /// A few words, for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NetUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ProtocolUnreachable => "protocol unreachable",
            Self::PortUnreachable => "port unreachable",
            Self::PacketTooBig(_) => "packet too big",
            Self::SourceRouteFailed => "source route failed",
            Self::Prohibited => "communication prohibited",
            Self::TtlExceeded => "time to live exceeded",
            Self::ReassemblyExceeded => "reassembly time exceeded",
            Self::ParameterProblem(_) => "parameter problem",
        }
    }

    /// The message that says it.
    const fn message(self) -> Icmpv4 {
        match self {
            Self::NetUnreachable => Icmpv4::Unreachable(Unreachable::Net),
            Self::HostUnreachable => Icmpv4::Unreachable(Unreachable::Host),
            Self::ProtocolUnreachable => Icmpv4::Unreachable(Unreachable::Protocol),
            Self::PortUnreachable => Icmpv4::Unreachable(Unreachable::Port),
            Self::PacketTooBig(mtu) => {
                Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu })
            }
            Self::SourceRouteFailed => Icmpv4::Unreachable(Unreachable::SourceRouteFailed),
            Self::Prohibited => Icmpv4::Unreachable(Unreachable::AdminProhibited),
            Self::TtlExceeded => Icmpv4::TimeExceeded(TimeExceeded::Transit),
            Self::ReassemblyExceeded => Icmpv4::TimeExceeded(TimeExceeded::Reassembly),
            Self::ParameterProblem(pointer) => Icmpv4::ParameterProblem { code: 0, pointer },
        }
    }

    /// What a message says of a packet of `len` octets; `None` for advice we do not take:
    /// source quench (RFC 6633) and redirects (RFC 1122 §3.2.2.2 has hosts follow them, but they
    /// let neighbours take traffic over).
    fn of(message: Icmpv4, len: u16) -> Option<Self> {
        Some(match message {
            Icmpv4::Unreachable(code) => match code {
                Unreachable::Net | Unreachable::NetUnknown | Unreachable::NetForService => {
                    Self::NetUnreachable
                }
                Unreachable::Protocol => Self::ProtocolUnreachable,
                Unreachable::Port => Self::PortUnreachable,
                Unreachable::FragmentationNeeded { mtu: 0 } => {
                    Self::PacketTooBig(plateau_below(len))
                }
                Unreachable::FragmentationNeeded { mtu } => Self::PacketTooBig(mtu),
                Unreachable::SourceRouteFailed => Self::SourceRouteFailed,
                Unreachable::NetProhibited
                | Unreachable::HostProhibited
                | Unreachable::AdminProhibited
                | Unreachable::PrecedenceViolation
                | Unreachable::PrecedenceCutoff => Self::Prohibited,
                _ => Self::HostUnreachable,
            },
            Icmpv4::TimeExceeded(TimeExceeded::Transit) => Self::TtlExceeded,
            Icmpv4::TimeExceeded(TimeExceeded::Reassembly) => Self::ReassemblyExceeded,
            Icmpv4::ParameterProblem { pointer, .. } => Self::ParameterProblem(pointer),
            _ => return None,
        })
    }
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
    /// The packet had forbidden fragmentation, without which it cannot have been too big.
    pub dont_fragment: bool,
    /// The leading octets of what followed that header, at least eight for a remote report.
    pub payload: &'p [u8],
}

/// Octets of the transport header that a report must quote (RFC 792).
const QUOTED_AT_LEAST: usize = 8;

/// Is it an ICMP error message, about a packet we are said to have sent?
pub fn is_error(packet: &Ingress<'_>) -> bool {
    packet.ip.proto == protocol::ICMP
        && packet.ip.dst.is_ipv4()
        && matches!(&*packet.payload, [3 | 4 | 5 | 11 | 12, ..])
}

impl<'p> IcmpError<'p> {
    /// Reads a received error message; one that does not add up is counted and `None`.
    pub fn parse(cx: &mut Cx, packet: &'p Ingress<'_>) -> Option<Self> {
        match Self::read(packet) {
            Ok(error) => Some(error),
            Err(reason) => {
                cx.drop(reason);
                None
            }
        }
    }

    fn read(packet: &'p Ingress<'_>) -> Result<Self, Drop> {
        // Whoever reports to a group or to all cannot speak of one packet of ours.
        if !packet.unicast {
            return Err(Drop::BadIcmp);
        }
        // Devices do not verify ICMP, so what `meta` says is not asked.
        let (message, data) = Icmpv4::parse(packet.payload)?;
        let quoted = Quoted::parse(data)?;
        let len = quoted.payload_len.saturating_add(Ipv4::LEN);
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let kind = ErrorKind::of(message, len).ok_or(Drop::BadIcmp)?;
        // The packet at hand came to an address of ours: only packets from there are ours.
        let ours = IpAddr::V4(quoted.ip.src) == packet.ip.dst;
        let front = quoted.ip.fragment_offset == 0;
        if !ours || !front || quoted.transport.len() < QUOTED_AT_LEAST {
            return Err(Drop::BadIcmp);
        }
        Ok(Self {
            kind,
            from: packet.ip.src,
            local: false,
            quoted: quoted.header(),
            dont_fragment: quoted.ip.dont_fragment,
            payload: quoted.transport,
        })
    }

    /// The error for a packet of ours that our own link layer gave back.
    pub fn local(packet: &'p [u8]) -> Option<Self> {
        let quoted = Quoted::parse(packet).ok()?;
        (quoted.ip.fragment_offset == 0).then(|| Self {
            kind: ErrorKind::HostUnreachable,
            from: quoted.ip.src.into(),
            local: true,
            quoted: quoted.header(),
            dont_fragment: quoted.ip.dont_fragment,
            payload: quoted.transport,
        })
    }
}

/// Largest ICMP error, IP header included, in octets (RFC 1812 §4.3.2.3).
const MAX_ERROR: usize = 576;

/// May an error be sent about `packet` (RFC 1122 §3.2.2)? Its addresses have passed the martian
/// table; fragments are whole again when they come here.
fn may_be_told(packet: &Ingress<'_>) -> bool {
    let about_an_error =
        packet.ip.proto == protocol::ICMP && !matches!(&*packet.payload, [0 | 8 | 13..=18, ..]);
    packet.unicast && !about_an_error && may_be_written_to(packet.ip.src)
}

/// One host, as far as the address tells. Loopback is one: martian checks keep it on its link.
fn may_be_written_to(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(ip) if is_host(ip) || ip.is_loopback())
}

/// Answers `packet` with an ICMP error, if one may be sent (RFC 1122 §3.2.2) and the rate
/// limit allows. It quotes as much as 576 octets hold (RFC 1812 §4.3.2.3) and comes from the
/// address the packet was sent to.
pub fn send_error<T: PacketTx>(
    cx: &mut Cx,
    packet: &Ingress<'_>,
    mut answer: Answer<'_, T>,
    kind: ErrorKind,
) {
    if !may_be_told(packet) {
        return;
    }
    if !cx.icmp_limit.allow(cx.now, packet.ip.src) {
        cx.drop(Drop::RateLimited);
        return;
    }
    answer.ip_mut().proto = protocol::ICMP;
    let limit = answer.room().min(MAX_ERROR - Ipv4::LEN);
    let room = limit.saturating_sub(Icmpv4::LEN + packet.header.len());
    let payload = packet.payload.get(..room).unwrap_or(packet.payload);
    let len = Icmpv4::LEN + packet.header.len() + payload.len();
    if len > limit {
        return;
    }
    let sent = answer.send(len, |_, message| {
        write_error(kind, [packet.header, payload], message)
    });
    if sent.is_ok() {
        cx.stats.icmp_errors_sent = cx.stats.icmp_errors_sent.wrapping_add(1);
    } else {
        cx.drop(Drop::TxFull);
    }
}

/// Writes an error that quotes `quote` into `message`, which is as long as both.
fn write_error(kind: ErrorKind, quote: [&[u8]; 2], message: &mut [u8]) {
    let data = message.get_mut(Icmpv4::LEN..).unwrap_or(&mut []);
    let [header, payload] = quote;
    for (to, from) in data.iter_mut().zip(header.iter().chain(payload)) {
        *to = *from;
    }
    // Fails only for messages shorter than eight octets.
    let _ = kind.message().emit(message);
}

/// The front of a packet that an error is to be sent about later.
#[derive(Debug, Clone, Copy)]
pub struct Quote {
    ip: IpHeader,
    octets: [u8; Self::ROOM],
    len: usize,
}

impl Quote {
    /// Header with options, and the eight octets that RFC 792 asks for.
    const ROOM: usize = 60 + 8;

    /// Quotes a received packet; `None` if `header` is none.
    pub fn of(header: &[u8], payload: &[u8]) -> Option<Self> {
        let ip = Ipv4::parse_front(header).ok()?.ip;
        let mut octets = [0; Self::ROOM];
        let payload = payload.get(..8).unwrap_or(payload);
        let mut len = 0;
        for (to, from) in octets.iter_mut().zip(header.iter().chain(payload)) {
            *to = *from;
            len += 1;
        }
        Some(Self {
            ip: ip.header(),
            octets,
            len,
        })
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or(&[])
    }
}

/// Tells the sender of a datagram that its fragments did not all come (RFC 792 time exceeded,
/// RFC 1122 §3.3.2).
pub(crate) fn send_reassembly_exceeded(cx: &mut Cx, quote: &Quote, out: &mut impl Output) {
    if !may_be_written_to(quote.ip.src) {
        return;
    }
    if !cx.icmp_limit.allow(cx.now, quote.ip.src) {
        cx.drop(Drop::RateLimited);
        return;
    }
    let to = Dest {
        src: Some(quote.ip.dst),
        wait: Wait::Queue,
        ..Dest::new(quote.ip.src, protocol::ICMP)
    };
    let octets = quote.octets();
    let sent = out.send(to, Icmpv4::LEN + octets.len(), |_, message| {
        write_error(ErrorKind::ReassemblyExceeded, [octets, &[]], message);
    });
    if sent.is_ok() {
        cx.stats.icmp_errors_sent = cx.stats.icmp_errors_sent.wrapping_add(1);
    }
}
