//! What one packet shows by itself: wrong sums, impossible addresses, impossible flags.
//!
//! Invariant: no state, no allocation.

use std::net::{IpAddr, Ipv4Addr};

use netstrata::wire::{IpHeader, Mac, Tcp, TcpFlags, Udp, WireError, checksum, protocol};

use super::report::{Report, Who};
use super::rules::Rule;
use crate::flow;
use crate::frame::Frame;
use crate::view::{Ip, View, word};

/// Looks at the addresses and flags of a packet.
pub fn addresses(frame: &Frame<'_>, view: &View<'_>, ip: &Ip<'_>, report: &mut Report) {
    let who = || Who::of(frame.time, ip);
    // The loopback interface has link headers of zeros, and everything is allowed there.
    let loopback = view
        .link
        .is_some_and(|link| link.src == Mac::ZERO && link.dst == Mac::ZERO);
    if !loopback {
        if ip.src == ip.dst && ip.ports().is_none_or(|(src, dst)| src == dst) {
            report.alert(
                Rule::Land,
                &who(),
                format_args!("from {} to itself", ip.src),
            );
        }
        if let Some(why) = bad_source(ip) {
            report.alert(
                Rule::MartianSource,
                &who(),
                format_args!("{} is {why}", ip.src),
            );
        }
        if let Some(why) = bad_destination(ip.dst) {
            report.alert(
                Rule::MartianDestination,
                &who(),
                format_args!("{} is {why}", ip.dst),
            );
        }
    }
    if let Some(flags) = flow::flags(ip).filter(|flags| impossible(*flags)) {
        report.alert(Rule::ImpossibleFlags, &who(), format_args!("[{flags}]"));
    }
}

/// No flags, SYN together with FIN or RST, or FIN without ACK: nobody's TCP sends these.
pub fn impossible(flags: TcpFlags) -> bool {
    let ends = TcpFlags::FIN | TcpFlags::RST;
    flags.without(TcpFlags::ECE | TcpFlags::CWR | TcpFlags::AE) == TcpFlags::NONE
        || flags.syn() && flags.intersects(ends)
        || flags.fin() && !flags.intersects(TcpFlags::ACK | TcpFlags::RST)
}

/// RFC 1122 §3.2.1.3, RFC 6890: what no source can be.
fn bad_source(ip: &Ip<'_>) -> Option<&'static str> {
    let to_many = ip.dst.is_multicast() || ip.dst == IpAddr::V4(Ipv4Addr::BROADCAST);
    Some(match ip.src {
        src if src.is_multicast() => "a group",
        src if src.is_loopback() => "a loopback address",
        // Hosts without an address ask for one, or tell a group of theirs.
        src if src.is_unspecified() && to_many => return None,
        IpAddr::V4(src) if src.octets()[0] == 0 => "of network zero",
        IpAddr::V4(src) if src.octets()[0] >= 240 => "a reserved address",
        src if src.is_unspecified() => "no address",
        _ => return None,
    })
}

/// What no destination on a wire can be.
fn bad_destination(dst: IpAddr) -> Option<&'static str> {
    Some(match dst {
        dst if dst.is_loopback() => "a loopback address",
        IpAddr::V4(dst) if dst.octets()[0] == 0 => "of network zero",
        IpAddr::V4(dst) if dst.octets()[0] >= 240 && dst != Ipv4Addr::BROADCAST => {
            "a reserved address"
        }
        dst if dst.is_unspecified() => "no address",
        _ => return None,
    })
}

/// Verifies the sums of a packet that is there as a whole.
pub fn checksums(frame: &Frame<'_>, ip: &Ip<'_>, report: &mut Report) {
    let who = || Who::of(frame.time, ip);
    if ip.v4.is_some() && checksum(ip.header) != 0 {
        let found = word(ip.header, 10).unwrap_or(0);
        report.alert(Rule::BadIpChecksum, &who(), format_args!("0x{found:04x}"));
    }
    if frame.trusted || ip.fragment.is_some() || !ip.is_complete() {
        return;
    }
    let head = IpHeader::new(ip.src, ip.dst, ip.proto);
    let (rule, at, verdict) = match ip.proto {
        protocol::TCP if ip.payload.len() >= Tcp::LEN => {
            (Rule::BadTcpChecksum, 16, Tcp::verify(&head, ip.payload))
        }
        protocol::UDP => (Rule::BadUdpChecksum, 6, Udp::verify(&head, ip.payload)),
        protocol::ICMP if ip.v4.is_some() && ip.payload.len() >= 8 => {
            let right = checksum(ip.payload) == 0;
            let verdict = right.then_some(()).ok_or(WireError::BadChecksum);
            (Rule::BadIcmpChecksum, 2, verdict)
        }
        protocol::ICMPV6 if ip.v4.is_none() && ip.payload.len() >= 4 => {
            let sum = head.pseudo(ip.payload.len()).add_bytes(ip.payload);
            let verdict = (sum.finish() == 0)
                .then_some(())
                .ok_or(WireError::BadChecksum);
            (Rule::BadIcmpChecksum, 2, verdict)
        }
        _ => return,
    };
    match verdict {
        Ok(()) => {}
        Err(WireError::BadChecksum) => {
            let found = word(ip.payload, at).unwrap_or(0);
            // A sum of the pseudo header only: the sender left the rest to its device, and was
            // caught before that did it.
            let unfinished =
                ip.proto != protocol::ICMP && found == head.pseudo(ip.payload.len()).fold();
            if !unfinished {
                report.alert(rule, &who(), format_args!("0x{found:04x}"));
            }
        }
        Err(e) => report.alert(Rule::Malformed, &who(), format_args!("{e}")),
    }
}
