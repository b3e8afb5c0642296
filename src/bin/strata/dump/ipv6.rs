//! IPv6 packets as lines: addresses, extension headers, lengths, and the commonest ICMPv6.

use std::net::{IpAddr, Ipv6Addr};

use netstrata::wire::{Sum, protocol};

use super::ip;
use super::printer::{Packet, Printer, put};
use crate::view::{extension, word};

/// Extension headers printed at most.
const MAX_EXTENSIONS: usize = 8;

/// Prints a packet of `len` octets of which `data` was caught.
pub fn print(p: &mut Printer, out: &mut String, data: &[u8], len: usize) {
    let Some(h) = data.first_chunk::<40>() else {
        out.push_str(" [|ip6]");
        return;
    };
    if !p.style.link {
        out.push_str("IP6 ");
    }
    let [b0, b1, b2, b3, l0, l1, next, hops, addresses @ ..] = h;
    if b0 >> 4 != 6 {
        put!(out, "version error: {} != 6 (invalid)", b0 >> 4);
        return;
    }
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    let mut announced = length;
    if len < length + 40 {
        put!(out, "truncated-ip6 - {} bytes missing!", length + 40 - len);
        announced = len.saturating_sub(40);
    } else if length == 0 {
        // A jumbogram, or segmentation offload.
        announced = len.saturating_sub(40);
    }
    if p.style.verbose > 0 {
        out.push('(');
        let flow = u32::from_be_bytes([*b0, *b1, *b2, *b3]);
        let (class, label) = (flow >> 20 & 0xff, flow & 0xf_ffff);
        if class != 0 {
            put!(out, "class 0x{class:02x}, ");
        }
        if label != 0 {
            put!(out, "flowlabel 0x{label:05x}, ");
        }
        put!(
            out,
            "hlim {hops}, next-header {} ({next}) payload length: {length}) ",
            name(*next)
        );
    }
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    for (to, from) in src.iter_mut().chain(&mut dst).zip(addresses) {
        *to = *from;
    }
    let mut packet = Packet {
        src: IpAddr::from(Ipv6Addr::from(src)),
        dst: IpAddr::from(Ipv6Addr::from(dst)),
        proto: *next,
        data: data
            .get(40..data.len().min(40 + announced))
            .unwrap_or_default(),
        len: announced,
        fragmented: false,
        extended: false,
    };
    if !matches!(packet.proto, protocol::TCP | protocol::UDP) {
        put!(out, "{} > {}: ", packet.src, packet.dst);
    }
    for _ in 0..MAX_EXTENSIONS {
        match step(out, &mut packet, p.style.verbose) {
            Some(true) => {}
            Some(false) => break,
            None => return,
        }
    }
    match packet.proto {
        protocol::ICMPV6 => icmp(p, out, &packet),
        extension::NONE => out.push_str("no next header"),
        _ => ip::payload(p, out, &packet),
    }
}

/// Prints one extension header and steps over it. `Some(false)` when there is none, `None` when
/// nothing may follow.
fn step(out: &mut String, packet: &mut Packet<'_>, verbose: u8) -> Option<bool> {
    let name = match packet.proto {
        extension::HOP_BY_HOP => "HBH",
        extension::ROUTING => "srcrt",
        extension::DESTINATION => "DSTOPT",
        extension::FRAGMENT => "frag",
        _ => return Some(false),
    };
    let Some([next, len, o0, o1, i0, i1, i2, i3]) = packet.data.first_chunk() else {
        out.push_str(if name == "frag" {
            " [|frag6]"
        } else {
            " [|ip6]"
        });
        return None;
    };
    let mut len = (usize::from(*len) + 1) * 8;
    let mut offset = 0;
    if packet.proto == extension::FRAGMENT {
        len = 8;
        let word = u16::from_be_bytes([*o0, *o1]);
        (offset, packet.fragmented) = (word & !7, word & 1 != 0);
        let rest = packet.len.saturating_sub(8);
        out.push_str("frag (");
        if verbose > 0 {
            put!(out, "0x{:08x}:", u32::from_be_bytes([*i0, *i1, *i2, *i3]));
        }
        put!(out, "{offset}|{rest})");
    } else {
        out.push_str(name);
    }
    packet.proto = *next;
    packet.extended = true;
    packet.data = packet.data.get(len..).unwrap_or_default();
    packet.len = packet.len.saturating_sub(len);
    if offset != 0 {
        return None;
    }
    out.push(' ');
    Some(true)
}

fn name(next: u8) -> &'static str {
    match next {
        protocol::TCP => "TCP",
        protocol::UDP => "UDP",
        protocol::ICMPV6 => "ICMPv6",
        extension::HOP_BY_HOP => "Options",
        extension::ROUTING => "Routing",
        extension::FRAGMENT => "Fragment",
        extension::DESTINATION => "DSTOPT",
        50 => "ESP",
        51 => "AH",
        132 => "SCTP",
        _ => "unknown",
    }
}

/// ICMPv6 (RFC 4443, RFC 4861, RFC 3810), by name and length.
fn icmp(p: &Printer, out: &mut String, packet: &Packet<'_>) {
    let Some([kind, code, _, _, a, b, c, d]) = packet.data.first_chunk() else {
        out.push_str(" [|icmp6]");
        return;
    };
    if p.style.verbose > 0 && packet.is_complete() && !packet.fragmented {
        let sum = Sum::pseudo(packet.src, packet.dst, protocol::ICMPV6, packet.len);
        out.push_str(match sum.add_bytes(packet.data).finish() {
            0 => "[icmp6 sum ok] ",
            _ => "[bad icmp6 cksum!] ",
        });
    }
    out.push_str("ICMP6, ");
    let target = || {
        let octets: Option<&[u8; 16]> = packet.data.get(8..24).and_then(|t| t.try_into().ok());
        octets.map_or(Ipv6Addr::UNSPECIFIED, |octets| Ipv6Addr::from(*octets))
    };
    // Behind the ICMPv6 header, the quoted IPv6 header has its destination at octet 24.
    let quoted = || {
        let octets: Option<&[u8; 16]> = packet.data.get(32..48).and_then(|t| t.try_into().ok());
        octets.map_or(Ipv6Addr::UNSPECIFIED, |octets| Ipv6Addr::from(*octets))
    };
    let (high, low) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    match (kind, code) {
        (1, 0) => put!(
            out,
            "destination unreachable, unreachable route {}",
            quoted()
        ),
        (1, 1) => {
            put!(
                out,
                "destination unreachable, unreachable prohibited {}",
                quoted()
            );
        }
        (1, 3) => put!(
            out,
            "destination unreachable, unreachable address {}",
            quoted()
        ),
        (1, 4) => {
            let (next, port) = (packet.data.get(14), word(packet.data, 50).unwrap_or(0));
            let proto = match next {
                Some(&protocol::TCP) => "tcp",
                Some(&protocol::UDP) => "udp",
                _ => "nh",
            };
            let port = p.port(next.copied().unwrap_or(0), port);
            put!(
                out,
                "destination unreachable, unreachable port, {} {proto} port {port}",
                quoted()
            );
        }
        (1, code) => put!(
            out,
            "destination unreachable, unknown unreach code ({code})"
        ),
        (2, _) => put!(
            out,
            "packet too big, mtu {}",
            u32::from(high) << 16 | u32::from(low)
        ),
        (3, 0) => put!(out, "time exceeded in-transit for {}", quoted()),
        (3, _) => out.push_str("ip reassembly time exceeded"),
        (4, _) => out.push_str("parameter problem"),
        (128, _) => put!(out, "echo request, id {high}, seq {low}"),
        (129, _) => put!(out, "echo reply, id {high}, seq {low}"),
        (130, _) => out.push_str("multicast listener query v2"),
        (131, _) => out.push_str("multicast listener report"),
        (132, _) => out.push_str("multicast listener done"),
        (133, _) => out.push_str("router solicitation"),
        (134, _) => out.push_str("router advertisement"),
        (135 | 136, _) if packet.data.len() < 24 => {
            let what = if *kind == 135 {
                "solicitation"
            } else {
                "advertisement"
            };
            put!(out, "neighbor {what} [|icmp6]");
            return;
        }
        (135, _) => put!(out, "neighbor solicitation, who has {}", target()),
        (136, _) => put!(out, "neighbor advertisement, tgt is {}", target()),
        (137, _) => out.push_str("redirect"),
        (143, _) => put!(out, "multicast listener report v2, {low} group record(s)"),
        (kind, _) => put!(out, "type-#{kind}"),
    }
    put!(out, ", length {}", packet.len);
}
