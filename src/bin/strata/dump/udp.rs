//! UDP datagrams as lines.

use netstrata::wire::{IpHeader, Udp};

use super::printer::{Packet, Printer, put};

/// Prints a datagram.
pub fn print(p: &Printer, out: &mut String, packet: &Packet<'_>) {
    let Some([a, b, c, d]) = packet.data.first_chunk() else {
        put!(out, "{} > {}:  [|udp]", packet.src, packet.dst);
        return;
    };
    p.put_flow(
        out,
        packet,
        (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])),
    );
    if packet.len < Udp::LEN {
        put!(out, "truncated-udp {}", packet.len);
        return;
    }
    let Some([_, _, _, _, l0, l1, sum @ ..]) = packet.data.first_chunk::<8>() else {
        out.push_str(" [|udp]");
        return;
    };
    let length = match u16::from_be_bytes([*l0, *l1]) {
        // A super-segment's length does not fit.
        0 if packet.len > 65_535 => packet.len,
        length => length.into(),
    };
    let Some(payload) = length.checked_sub(Udp::LEN) else {
        put!(out, "truncated-udplength {length}");
        return;
    };
    let there = packet.len.saturating_sub(Udp::LEN);
    // Over IPv4 only -vv asks, over IPv6 -v does: so tcpdump has it.
    let asked = p.style.verbose > u8::from(packet.src.is_ipv4());
    if asked && !packet.fragmented {
        put_checksum(out, packet, length, u16::from_be_bytes(*sum));
    }
    match payload > there && !packet.fragmented {
        true => put!(out, "UDP, bad length {payload} > {there}"),
        false => put!(out, "UDP, length {payload}"),
    }
}

fn put_checksum(out: &mut String, packet: &Packet<'_>, length: usize, found: u16) {
    if found == 0 {
        out.push_str("[no cksum] ");
        return;
    }
    let Some(datagram) = packet.data.get(..length.min(packet.len)) else {
        return;
    };
    let ip = IpHeader::new(packet.src, packet.dst, packet.proto);
    let sum = ip.pseudo(datagram.len()).add_bytes(datagram);
    match sum.finish() {
        0 => out.push_str("[udp sum ok] "),
        _ => {
            let right = sum.add_u16(!found).finish();
            put!(out, "[bad udp cksum 0x{found:04x} -> 0x{right:04x}!] ");
        }
    }
}
