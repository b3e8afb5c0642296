//! IPv4 packets as lines.

use std::net::IpAddr;

use netstrata::wire::{Ipv4, Ipv4Option, Ipv4Options, Route, checksum, protocol};

use super::printer::{Packet, Printer, put};
use super::{icmp, igmp, tcp, udp};
use crate::services::protocol_name;

/// Prints a packet of `len` octets of which `data` was caught.
pub fn print(p: &mut Printer, out: &mut String, data: &[u8], len: usize) {
    if !p.style.link && data.first().is_some_and(|b| b >> 4 == 4) {
        out.push_str("IP ");
    }
    body(p, out, data, len);
}

/// As [`print`] without the name in front, for packets quoted in ICMP errors.
pub fn body(p: &mut Printer, out: &mut String, data: &[u8], len: usize) {
    let Some(h) = data.first_chunk::<20>() else {
        match data.first() {
            Some(b) if b >> 4 != 4 => put!(out, "IP{} (invalid)", b >> 4),
            _ => out.push_str(" [|ip]"),
        }
        return;
    };
    let (version, header) = (h[0] >> 4, usize::from(h[0] & 15) * 4);
    let total = usize::from(u16::from_be_bytes([h[2], h[3]]));
    if version != 4 {
        match version {
            6 => out.push_str("wrong link-layer encapsulation (invalid)"),
            _ => put!(out, "IP{version} (invalid)"),
        }
        return;
    }
    if header < Ipv4::LEN {
        put!(out, "bad-hlen {header}");
        return;
    }
    let mut announced = total;
    if len < total {
        put!(out, "truncated-ip - {} bytes missing! ", total - len);
        announced = len;
    } else if total == 0 {
        // Segmentation offload leaves it to the device to fill the length in.
        announced = len;
    }
    if announced < header {
        put!(out, "bad-len {announced}");
        return;
    }
    let data = data.get(..announced).unwrap_or(data);
    if p.style.verbose > 0 {
        details(out, h, data.get(..header).unwrap_or(data), total);
    }
    let word = u16::from_be_bytes([h[6], h[7]]);
    let (offset, more) = ((word & 0x1fff) * 8, word & 0x2000 != 0);
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        proto,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *h;
    let packet = Packet {
        src: IpAddr::from([s0, s1, s2, s3]),
        dst: IpAddr::from([d0, d1, d2, d3]),
        proto,
        data: data.get(header..).unwrap_or_default(),
        len: announced - header,
        fragmented: more,
        extended: false,
    };
    if offset != 0 {
        put!(out, "{} > {}:", packet.src, packet.dst);
        put_protocol(p, out, proto);
        return;
    }
    if !matches!(proto, protocol::TCP | protocol::UDP) {
        put!(out, "{} > {}: ", packet.src, packet.dst);
    }
    if data.len() < header {
        put!(
            out,
            " [remaining caplen({}) < header length({header})] [|ip]",
            data.len()
        );
        return;
    }
    payload(p, out, &packet);
}

/// What is behind an IP header of either version.
pub fn payload(p: &mut Printer, out: &mut String, packet: &Packet<'_>) {
    match (packet.proto, packet.src.is_ipv4()) {
        (protocol::TCP, _) => tcp::print(p, out, packet),
        (protocol::UDP, _) => udp::print(p, out, packet),
        (protocol::ICMP, true) => icmp::print(p, out, packet),
        (protocol::IGMP, true) => igmp::print(p, out, packet),
        _ => {
            put_protocol(p, out, packet.proto);
            put!(out, " {}", packet.len);
        }
    }
}

/// ` gre`, or ` ip-proto-47` where there are to be no names.
fn put_protocol(p: &Printer, out: &mut String, proto: u8) {
    let names = p.services.name(protocol::TCP, 22).is_some();
    match protocol_name(proto).filter(|_| names) {
        Some(name) => put!(out, " {name}"),
        None => put!(out, " ip-proto-{proto}"),
    }
}

/// The part in parentheses that `-v` adds.
fn details(out: &mut String, h: &[u8; 20], header: &[u8], total: usize) {
    let word = u16::from_be_bytes([h[6], h[7]]);
    let ecn = ["", ",ECT(1)", ",ECT(0)", ",CE"];
    put!(
        out,
        "(tos 0x{:x}{}",
        h[1],
        ecn.get(usize::from(h[1] & 3)).unwrap_or(&"")
    );
    if h[8] > 0 {
        put!(out, ", ttl {}", h[8]);
    }
    let id = u16::from_be_bytes([h[4], h[5]]);
    put!(out, ", id {id}, offset {}, flags [", (word & 0x1fff) * 8);
    let mut flags = [(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")]
        .into_iter()
        .filter(|(bit, _)| word & bit != 0)
        .map(|(_, name)| name);
    out.push_str(flags.next().unwrap_or("none"));
    for flag in flags {
        put!(out, ", {flag}");
    }
    let name = match h[9] {
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        protocol::ICMP => "ICMP",
        protocol::IGMP => "IGMP",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        89 => "OSPF",
        103 => "PIM",
        112 => "VRRP",
        132 => "SCTP",
        41 => "IPv6",
        4 => "IPIP",
        _ => "unknown",
    };
    put!(out, "], proto {name} ({}), length {total}", h[9]);
    let announced = usize::from(h[0] & 15) * 4;
    if announced > Ipv4::LEN {
        put_options(out, header.get(Ipv4::LEN..).unwrap_or_default());
    }
    if header.len() == announced && checksum(header) != 0 {
        let (found, right) = (u16::from_be_bytes([h[10], h[11]]), right(header));
        put!(out, ", bad cksum {found:x} (->{right:x})!");
    }
    out.push_str(")\n    ");
}

/// The checksum the header should have.
fn right(header: &[u8]) -> u16 {
    let mut copy = [0; 60];
    for (to, from) in copy.iter_mut().zip(header) {
        *to = *from;
    }
    copy[10..12].fill(0);
    checksum(&copy)
}

fn put_options(out: &mut String, options: &[u8]) {
    out.push_str(", options (");
    let mut separator = "";
    let mut left = options;
    for option in Ipv4Options::new(options) {
        out.push_str(separator);
        separator = ",";
        let len = match (&option, left.get(1)) {
            (Ok(Ipv4Option::Nop), _) => 1,
            (_, len) => len.copied().unwrap_or(0).into(),
        };
        left = left.get(len..).unwrap_or_default();
        match option {
            Ok(Ipv4Option::Nop) => out.push_str("NOP"),
            Ok(Ipv4Option::RecordRoute(route)) => put_route(out, "RR", route),
            Ok(Ipv4Option::LooseSourceRoute(route)) => put_route(out, "LSRR", route),
            Ok(Ipv4Option::StrictSourceRoute(route)) => put_route(out, "SSRR", route),
            Ok(Ipv4Option::Timestamp { .. }) => out.push_str("timestamp"),
            Ok(Ipv4Option::RouterAlert(0)) => out.push_str("RA"),
            Ok(Ipv4Option::RouterAlert(value)) => put!(out, "RA value {value}"),
            Ok(Ipv4Option::Other { kind, data }) => {
                put!(out, "unknown {kind} len {}", data.len() + 2);
            }
            Ok(_) => out.push_str("unknown"),
            Err(_) => out.push_str(" [truncated-option]"),
        }
    }
    // The list ended before the header did.
    if left.first() == Some(&0) {
        put!(out, "{separator}EOL");
    }
    out.push(')');
}

/// The comma stands before the address that the next router would overwrite.
fn put_route(out: &mut String, name: &str, route: Route<'_>) {
    out.push_str(name);
    let (addresses, _) = route.addresses.as_chunks::<4>();
    for (n, address) in addresses.iter().enumerate() {
        // The pointer counts octets of the whole option, from one.
        let next = usize::from(route.pointer) == 4 * n + 4;
        put!(
            out,
            "{} {}",
            if next { "," } else { "" },
            IpAddr::from(*address)
        );
    }
}
