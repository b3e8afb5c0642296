//! ICMP messages as lines.

use std::fmt;
use std::net::IpAddr;

use netstrata::wire::{
    Icmpv4, Ipv4, Ipv4Front, Redirect, TimeExceeded, Unreachable, checksum, protocol,
};

use super::ip;
use super::printer::{Packet, Printer, put};
use crate::view::word;

/// Prints a message.
pub fn print(p: &mut Printer, out: &mut String, packet: &Packet<'_>) {
    let message = packet.data.get(..packet.len).unwrap_or(packet.data);
    let Ok((icmp, data)) = Icmpv4::parse_unverified(message) else {
        out.push_str(" [|icmp]");
        return;
    };
    let quote = Quote::of(data);
    let needs_port = icmp == Icmpv4::Unreachable(Unreachable::Port);
    let quotes = matches!(icmp.kind(), 3 | 5 | 11);
    if quotes && (quote.dst.is_none() || needs_port && quote.port.is_none()) {
        out.push_str(" [|icmp]");
        return;
    }
    out.push_str("ICMP ");
    match icmp {
        Icmpv4::EchoRequest { ident, seq } => put!(out, "echo request, id {ident}, seq {seq}"),
        Icmpv4::EchoReply { ident, seq } => put!(out, "echo reply, id {ident}, seq {seq}"),
        Icmpv4::Unreachable(why) => unreachable(p, out, why, &quote),
        Icmpv4::SourceQuench => out.push_str("source quench"),
        Icmpv4::Redirect { code, gateway } => {
            let (tos, what) = match code {
                Redirect::Net => ("", "net"),
                Redirect::Host => ("", "host"),
                Redirect::NetForService => ("-tos", "net"),
                Redirect::HostForService => ("-tos", "host"),
            };
            let dst = quote.dst();
            put!(out, "redirect{tos} {dst} to {what} {gateway}");
        }
        Icmpv4::TimeExceeded(TimeExceeded::Transit) => out.push_str("time exceeded in-transit"),
        Icmpv4::TimeExceeded(TimeExceeded::Reassembly) => {
            out.push_str("ip reassembly time exceeded");
        }
        Icmpv4::ParameterProblem { code: 0, pointer } => {
            put!(out, "parameter problem - octet {pointer}");
        }
        Icmpv4::ParameterProblem { code, .. } => put!(out, "parameter problem - code {code}"),
        Icmpv4::TimestampRequest { ident, seq, .. } => {
            put!(out, "time stamp query id {ident} seq {seq}");
        }
        Icmpv4::TimestampReply {
            ident,
            seq,
            times: [org, recv, xmit],
        } => {
            put!(out, "time stamp reply id {ident} seq {seq}: ");
            put!(
                out,
                "org {}, recv {}, xmit {}",
                time(org),
                time(recv),
                time(xmit)
            );
        }
        Icmpv4::MaskRequest { .. } => out.push_str("address mask request"),
        Icmpv4::MaskReply { mask, .. } => put!(out, "address mask is 0x{mask:08x}"),
        Icmpv4::Other { kind, code, .. } => other(out, kind, code, &quote),
        _ => out.push_str("message"),
    }
    put!(out, ", length {}", packet.len);
    if p.style.verbose == 0 {
        return;
    }
    if packet.is_complete() && !packet.fragmented && checksum(message) != 0 {
        let found = word(message, 2).unwrap_or(0);
        put!(
            out,
            " (wrong icmp cksum {found:x} (->{:x})!)",
            right(message, found)
        );
    }
    if matches!(icmp.kind(), 3 | 4 | 5 | 11 | 12) {
        out.push_str(if p.style.link { "\n\t" } else { "\n\tIP " });
        let announced = word(data, 2).unwrap_or(0);
        // What is quoted is short by design: nothing is missing from it.
        ip::body(p, out, data, data.len().max(announced.into()));
    }
}

/// The checksum the message should have: with the field's own word taken out again.
fn right(message: &[u8], found: u16) -> u16 {
    netstrata::wire::Sum::of(message).add_u16(!found).finish()
}

fn unreachable(p: &Printer, out: &mut String, why: Unreachable, quote: &Quote) {
    let dst = quote.dst();
    match why {
        Unreachable::Net => put!(out, "net {dst} unreachable"),
        Unreachable::Host => put!(out, "host {dst} unreachable"),
        Unreachable::Protocol => put!(out, "{dst} protocol {} unreachable", quote.proto),
        Unreachable::Port => match (quote.proto, quote.port.unwrap_or(0)) {
            (protocol::TCP, port) => {
                put!(
                    out,
                    "{dst} tcp port {} unreachable",
                    p.port(protocol::TCP, port)
                );
            }
            (protocol::UDP, port) => {
                put!(
                    out,
                    "{dst} udp port {} unreachable",
                    p.port(protocol::UDP, port)
                );
            }
            (proto, port) => put!(out, "{dst} protocol {proto} port {port} unreachable"),
        },
        Unreachable::FragmentationNeeded { mtu: 0 } => {
            put!(out, "{dst} unreachable - need to frag");
        }
        Unreachable::FragmentationNeeded { mtu } => {
            put!(out, "{dst} unreachable - need to frag (mtu {mtu})");
        }
        Unreachable::SourceRouteFailed => put!(out, "{dst} unreachable - source route failed"),
        Unreachable::NetUnknown => put!(out, "net {dst} unreachable - unknown"),
        Unreachable::HostUnknown => put!(out, "host {dst} unreachable - unknown"),
        Unreachable::SourceIsolated => put!(out, "{dst} unreachable - source host isolated"),
        Unreachable::NetProhibited => put!(out, "net {dst} unreachable - admin prohibited"),
        Unreachable::HostProhibited => put!(out, "host {dst} unreachable - admin prohibited"),
        Unreachable::NetForService => put!(out, "net {dst} unreachable - tos prohibited"),
        Unreachable::HostForService => put!(out, "host {dst} unreachable - tos prohibited"),
        Unreachable::AdminProhibited => {
            put!(out, "host {dst} unreachable - admin prohibited filter");
        }
        Unreachable::PrecedenceViolation => {
            put!(out, "host {dst} unreachable - host precedence violation");
        }
        Unreachable::PrecedenceCutoff => put!(out, "host {dst} unreachable - precedence cutoff"),
        _ => put!(out, "{dst} unreachable - #{}", why.code()),
    }
}

/// Types without a value of their own, and codes nobody defined.
fn other(out: &mut String, kind: u8, code: u8, quote: &Quote) {
    match kind {
        3 => put!(out, "{} unreachable - #{code}", quote.dst()),
        5 => put!(out, "redirect-#{code} {} to net", quote.dst()),
        9 => out.push_str("router advertisement"),
        10 => out.push_str("router solicitation"),
        11 => put!(out, "time exceeded-#{code}"),
        12 => put!(out, "parameter problem - code {code}"),
        0 | 4 | 8 | 13..=18 => put!(out, "type-#{kind} code {code}"),
        _ => put!(out, "type-#{kind}"),
    }
}

/// The front of the packet an error is about.
struct Quote {
    dst: Option<IpAddr>,
    proto: u8,
    port: Option<u16>,
}

impl Quote {
    fn of(data: &[u8]) -> Self {
        match Ipv4::parse_front(data) {
            Ok(Ipv4Front { ip, payload, .. }) => Self {
                dst: Some(ip.dst.into()),
                proto: ip.protocol,
                port: word(payload, 2),
            },
            Err(_) => Self {
                dst: None,
                proto: 0,
                port: None,
            },
        }
    }

    fn dst(&self) -> impl fmt::Display + use<> {
        let dst = self.dst;
        fmt::from_fn(move |f| match dst {
            Some(dst) => write!(f, "{dst}"),
            None => f.write_str("?"),
        })
    }
}

/// Milliseconds since midnight (RFC 792); the top bit says they are something else.
fn time(ms: u32) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let (s, ms) = (ms / 1000, ms % 1000);
        write!(
            f,
            "{:02}:{:02}:{:02}.{ms:03}",
            s / 3600,
            s / 60 % 60,
            s % 60
        )
    })
}
