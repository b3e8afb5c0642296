//! The lines of [`Dump`](super::Dump) for IPv4 and ICMP.
//!
//! Invariant: as of `dump`. Called by it alone.

use byteorder::{ByteOrder, NetworkEndian as Be};
use core::fmt::{self, Formatter, Write as _};
use core::net::Ipv4Addr;

use super::dump::{bad_checksum, data, padding, short};
use super::dump_transport::{tcp, udp};
use super::ipv4_options::Route;
use super::{Icmpv4, Ipv4, Ipv4Front, Ipv4Option, Ipv4Options, Quoted, Sum, WireError, protocol};

/// A packet whose version nibble is 4.
pub(super) fn ipv4(f: &mut Formatter<'_>, packet: &[u8]) -> fmt::Result {
    let Ipv4Front {
        ip,
        options,
        payload,
        payload_len: announced,
    } = match Ipv4::parse_front(packet) {
        Ok(front) => front,
        Err(WireError::BadLength) => {
            let ihl = packet.first().map_or(0, |b| usize::from(b & 15) * 4);
            let total = packet.get(2..4).map_or(0, Be::read_u16);
            return writeln!(f, "ipv4  bad length: header {ihl} total {total}");
        }
        Err(_) => {
            let ihl = packet.first().map_or(0, |b| usize::from(b & 15) * 4);
            return short(f, "ipv4", ihl.max(Ipv4::LEN), packet.len());
        }
    };
    let header_len = Ipv4::LEN.saturating_add(options.len());
    line(f, &ip)?;
    let total = header_len.saturating_add(announced);
    writeln!(f, " header {header_len} total {total}")?;
    let header = packet.get(..header_len).unwrap_or(packet);
    checksum_at(f, Sum::ZERO, header, 10)?;
    if !options.is_empty() {
        ipv4_options(f, options)?;
    }
    if payload.len() < announced {
        let there = payload.len();
        writeln!(
            f,
            "      truncated: {there} octets of {announced} after the header"
        )?;
    }
    let whole = payload.len() == announced && !ip.is_fragment();
    match ip.protocol {
        _ if ip.fragment_offset != 0 => data(f, payload),
        protocol::ICMP => icmp(f, payload, whole),
        protocol::UDP => udp(f, &ip.header(), payload, whole),
        protocol::TCP => tcp(f, &ip.header(), payload, whole),
        _ => data(f, payload),
    }?;
    let end = header_len.saturating_add(payload.len());
    padding(f, packet.len().saturating_sub(end))
}

/// What a header says, without its lengths and the line's end.
fn line(f: &mut Formatter<'_>, ip: &Ipv4) -> fmt::Result {
    write!(
        f,
        "ipv4  {} > {} proto {} ttl {} tos {:#04x} id {}",
        ip.src,
        ip.dst,
        ip.protocol,
        ip.ttl,
        ip.header().tos,
        ip.ident
    )?;
    if ip.dont_fragment {
        f.write_str(" DF")?;
    }
    if ip.is_fragment() {
        let more = if ip.more_fragments { "+" } else { "" };
        write!(f, " fragment at {}{more}", ip.fragment_offset)?;
    }
    Ok(())
}

/// Compares the checksum field at `at` with what it should be over all of `octets`.
pub(super) fn checksum_at(
    f: &mut Formatter<'_>,
    seed: Sum,
    octets: &[u8],
    at: usize,
) -> fmt::Result {
    let Some((before, [a, b, after @ ..])) = octets.split_at_checked(at) else {
        return Ok(());
    };
    let found = u16::from_be_bytes([*a, *b]);
    if seed.add_bytes(octets).finish() == 0 {
        return Ok(());
    }
    let expected = seed.add_bytes(before).add_bytes(after).finish();
    bad_checksum(f, found, expected)
}

fn ipv4_options(f: &mut Formatter<'_>, options: &[u8]) -> fmt::Result {
    f.write_str("      <")?;
    for (n, option) in Ipv4Options::new(options).enumerate() {
        if n > 0 {
            f.write_str(", ")?;
        }
        match option {
            Ok(Ipv4Option::Nop) => f.write_str("nop")?,
            Ok(Ipv4Option::RecordRoute(r)) => route(f, "record", r)?,
            Ok(Ipv4Option::LooseSourceRoute(r)) => route(f, "loose source", r)?,
            Ok(Ipv4Option::StrictSourceRoute(r)) => route(f, "strict source", r)?,
            Ok(Ipv4Option::Timestamp {
                pointer,
                overflow,
                flag,
                data,
            }) => {
                write!(f, "times at {pointer} overflow {overflow} flag {flag}")?;
                octets(f, data)?;
            }
            Ok(Ipv4Option::RouterAlert(value)) => write!(f, "router alert {value}")?,
            Ok(Ipv4Option::Other { kind, data }) => {
                write!(f, "kind {kind}")?;
                octets(f, data)?;
            }
            Err(e) => write!(f, "{e}")?,
        }
    }
    f.write_str(">\n")
}

fn route(f: &mut Formatter<'_>, name: &str, route: Route<'_>) -> fmt::Result {
    write!(f, "{name} route at {}", route.pointer)?;
    let (addresses, _) = route.addresses.as_chunks::<4>();
    for address in addresses {
        write!(f, " {}", Ipv4Addr::from(*address))?;
    }
    Ok(())
}

/// Octets of an option, after a colon.
pub(super) fn octets(f: &mut Formatter<'_>, octets: &[u8]) -> fmt::Result {
    if !octets.is_empty() {
        f.write_char(':')?;
    }
    for octet in octets {
        write!(f, " {octet:02x}")?;
    }
    Ok(())
}

fn icmp(f: &mut Formatter<'_>, message: &[u8], whole: bool) -> fmt::Result {
    let Ok((icmp, rest)) = Icmpv4::parse_unverified(message) else {
        let need = match message.first() {
            Some(13 | 14) => 20,
            Some(17 | 18) => 12,
            _ => Icmpv4::LEN,
        };
        return short(f, "icmp", need, message.len());
    };
    match icmp {
        Icmpv4::EchoReply { ident, seq } => {
            writeln!(f, "icmp  echo reply id {ident} seq {seq}")?;
        }
        Icmpv4::EchoRequest { ident, seq } => {
            writeln!(f, "icmp  echo request id {ident} seq {seq}")?;
        }
        Icmpv4::TimestampRequest { ident, seq, times } => {
            writeln!(f, "icmp  timestamp request id {ident} seq {seq} {times:?}")?;
        }
        Icmpv4::TimestampReply { ident, seq, times } => {
            writeln!(f, "icmp  timestamp reply id {ident} seq {seq} {times:?}")?;
        }
        Icmpv4::MaskRequest { ident, seq, mask } => {
            writeln!(f, "icmp  mask request id {ident} seq {seq} {mask:#010x}")?;
        }
        Icmpv4::MaskReply { ident, seq, mask } => {
            writeln!(f, "icmp  mask reply id {ident} seq {seq} {mask:#010x}")?;
        }
        Icmpv4::Redirect { code, gateway } => {
            writeln!(f, "icmp  redirect {code:?} to {gateway}")?;
        }
        Icmpv4::ParameterProblem { code, pointer } => {
            writeln!(f, "icmp  parameter problem code {code} at {pointer}")?;
        }
        Icmpv4::Unreachable(why) => writeln!(f, "icmp  unreachable {why:?}")?,
        Icmpv4::TimeExceeded(why) => writeln!(f, "icmp  time exceeded {why:?}")?,
        Icmpv4::SourceQuench => writeln!(f, "icmp  source quench")?,
        Icmpv4::Other { kind, code, .. } => writeln!(f, "icmp  type {kind} code {code}")?,
    }
    if whole {
        checksum_at(f, Sum::ZERO, message, 2)?;
    }
    match icmp {
        Icmpv4::Other { .. } => data(f, rest),
        _ if icmp.is_error() => quote(f, rest),
        _ => data(f, rest),
    }
}

/// The packet an error is about: one line, whatever it quotes in turn.
fn quote(f: &mut Formatter<'_>, rest: &[u8]) -> fmt::Result {
    let quoted = match Quoted::parse(rest) {
        Ok(quoted) => quoted,
        Err(e) => return writeln!(f, "quote {e}: {} octets", rest.len()),
    };
    f.write_str("quote ")?;
    line(f, &quoted.ip)?;
    if let Some((src, dst)) = quoted.ports() {
        write!(f, " ports {src} > {dst}")?;
    }
    if let Some(seq) = quoted.tcp_seq() {
        write!(f, " seq {seq}")?;
    }
    let there = quoted.transport.len();
    writeln!(f, ", {there} octets of {}", quoted.payload_len)
}
