//! Packets as text: a line per header, then the octets.
//!
//! Invariant: any octets print; what is wrong with them is said, and nothing panics. For
//! snapshots and traces: the octets are the truth, the lines make a difference readable.
//! This file has the link layer and the octets; the layers above are in the files beside it.

use core::fmt::{self, Formatter};

use super::{Arp, Ethernet, Vlan, dump_ipv4, ethertype};

/// Octets to print, and the layer they begin at.
///
/// ```
/// use netstrata::wire::{Dump, Ipv4};
/// let mut packet = [0; 20];
/// Ipv4::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 253).emit(0, &mut packet).unwrap();
/// packet[8] -= 1;
/// assert_eq!(
///     Dump::ip(&packet).to_string(),
///     "ipv4  10.0.0.1 > 10.0.0.2 proto 253 ttl 63 tos 0x00 id 0 DF header 20 total 20\n\
///      \x20     bad checksum 0x25eb (expected 0x26eb)\n\
///      0000  45 00 00 14 00 00 40 00 3f fd 25 eb 0a 00 00 01  E.....@.?.%.....\n\
///      0010  0a 00 00 02                                      ....\n"
/// );
/// ```
#[derive(Clone, Copy)]
pub struct Dump<'a> {
    octets: &'a [u8],
    start: Start,
}

#[derive(Clone, Copy)]
enum Start {
    Ethernet,
    Ip,
}

impl<'a> Dump<'a> {
    /// A frame that begins with an Ethernet header.
    pub const fn ethernet(frame: &'a [u8]) -> Self {
        Self {
            octets: frame,
            start: Start::Ethernet,
        }
    }

    /// A packet that begins with an IP header.
    pub const fn ip(packet: &'a [u8]) -> Self {
        Self {
            octets: packet,
            start: Start::Ip,
        }
    }
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.start {
            Start::Ethernet => ethernet(f, self.octets)?,
            Start::Ip => ip(f, self.octets)?,
        }
        hex(f, self.octets)
    }
}

/// As [`Display`](fmt::Display), so that a failed comparison shows packets and not lists.
impl fmt::Debug for Dump<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\n")?;
        fmt::Display::fmt(self, f)
    }
}

fn ethernet(f: &mut Formatter<'_>, frame: &[u8]) -> fmt::Result {
    let Some((e, mut rest)) = Ethernet::split(frame) else {
        return short(f, "eth", Ethernet::LEN, frame.len());
    };
    write!(f, "eth   {} > {} ", e.src, e.dst)?;
    if e.is_802_3() {
        writeln!(f, "802.3 length {}", e.kind)?;
        return data(f, rest);
    }
    writeln!(f, "type {:#06x}", e.kind)?;
    let mut kind = e.kind;
    // Each tag takes four octets, so a frame of nothing but tags ends too.
    while let ethertype::VLAN | ethertype::QINQ = kind {
        let Some((h, after)) = rest.split_first_chunk() else {
            return short(f, "vlan", Vlan::LEN, rest.len());
        };
        let tag = Vlan::parse(h);
        let dei = if tag.dei { " dei" } else { "" };
        writeln!(
            f,
            "vlan  vid {} pcp {}{dei} type {:#06x}",
            tag.vid, tag.pcp, tag.kind
        )?;
        (kind, rest) = (tag.kind, after);
    }
    match kind {
        ethertype::ARP => arp(f, rest),
        ethertype::IPV4 => ip(f, rest),
        _ => data(f, rest),
    }
}

fn arp(f: &mut Formatter<'_>, octets: &[u8]) -> fmt::Result {
    let Some((h, rest)) = octets.split_first_chunk() else {
        return short(f, "arp", Arp::LEN, octets.len());
    };
    match Arp::parse(h) {
        Err(e) => writeln!(f, "arp   {e}: not IPv4 over Ethernet")?,
        Ok(arp) => {
            match arp.op {
                Arp::REQUEST => f.write_str("arp   request")?,
                Arp::REPLY => f.write_str("arp   reply")?,
                op => write!(f, "arp   op {op}")?,
            }
            let ((sm, si), (tm, ti)) = (arp.sender, arp.target);
            write!(f, " sender {sm} {si} target {tm} {ti}")?;
            f.write_str(match () {
                () if arp.is_probe() => " (probe)\n",
                () if arp.is_announcement() => " (announcement)\n",
                () => "\n",
            })?;
        }
    }
    padding(f, rest.len())
}

fn ip(f: &mut Formatter<'_>, packet: &[u8]) -> fmt::Result {
    match packet.first().map(|b| b >> 4) {
        None => writeln!(f, "ip    truncated: nothing there"),
        Some(4) => dump_ipv4::ipv4(f, packet),
        Some(6) => writeln!(f, "ipv6  {} octets, not decoded", packet.len()),
        Some(version) => writeln!(f, "ip    bad version {version}"),
    }
}

/// Says that a header is not all there.
pub(super) fn short(f: &mut Formatter<'_>, name: &str, need: usize, have: usize) -> fmt::Result {
    writeln!(f, "{name:<5} truncated: {have} octets of at least {need}")
}

/// Says how much a header carries.
pub(super) fn data(f: &mut Formatter<'_>, payload: &[u8]) -> fmt::Result {
    match payload.len() {
        0 => Ok(()),
        n => writeln!(f, "data  {n} octets"),
    }
}

/// Says how much is behind the end of a packet.
pub(super) fn padding(f: &mut Formatter<'_>, octets: usize) -> fmt::Result {
    match octets {
        0 => Ok(()),
        n => writeln!(f, "pad   {n} octets"),
    }
}

/// Says that a checksum does not match.
pub(super) fn bad_checksum(f: &mut Formatter<'_>, found: u16, expected: u16) -> fmt::Result {
    writeln!(
        f,
        "      bad checksum {found:#06x} (expected {expected:#06x})"
    )
}

fn hex(f: &mut Formatter<'_>, octets: &[u8]) -> fmt::Result {
    for (at, row) in octets.chunks(16).enumerate() {
        write!(f, "{:04x} ", at.wrapping_mul(16))?;
        for octet in row {
            write!(f, " {octet:02x}")?;
        }
        let missing = 16usize.saturating_sub(row.len()).saturating_mul(3);
        write!(f, "{:missing$}  ", "")?;
        for octet in row {
            let c = match octet {
                b' '..=b'~' => char::from(*octet),
                _ => '.',
            };
            write!(f, "{c}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}
