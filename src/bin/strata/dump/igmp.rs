//! IGMP messages as lines: what hosts send when they join and leave groups.

use std::net::Ipv4Addr;

use super::printer::{Packet, Printer, put};

/// Prints a message.
pub fn print(p: &Printer, out: &mut String, packet: &Packet<'_>) {
    if p.style.quiet {
        out.push_str("igmp");
        return;
    }
    let Some([kind, _, _, _, a, b, c, d]) = packet.data.first_chunk() else {
        out.push_str(" [|igmp]");
        return;
    };
    let group = Ipv4Addr::new(*a, *b, *c, *d);
    match kind {
        0x11 => {
            let version = if packet.len >= 12 { 3 } else { 2 };
            put!(out, "igmp query v{version}");
            if !group.is_unspecified() {
                put!(out, " [gaddr {group}]");
            }
        }
        0x12 => put!(out, "igmp v1 report {group}"),
        0x16 => put!(out, "igmp v2 report {group}"),
        0x17 => put!(out, "igmp leave {group}"),
        0x22 => put!(
            out,
            "igmp v3 report, {} group record(s)",
            u16::from_be_bytes([*c, *d])
        ),
        kind => put!(out, "igmp-0x{kind:x}"),
    }
}
