//! The lines of [`Dump`](super::Dump) for UDP and TCP.
//!
//! Invariant: as of `dump`. Called by the network layers' dumps alone. `whole` says that all of
//! the datagram is there, so that lengths and checksums mean something.

use byteorder::{ByteOrder, NetworkEndian as Be};
use core::fmt::{self, Formatter};

use super::dump::{data, padding, short};
use super::dump_ipv4::{checksum_at, octets};
use super::{IpHeader, Tcp, TcpOption, TcpOptionIter, Udp};

pub(super) fn udp(
    f: &mut Formatter<'_>,
    ip: &IpHeader,
    datagram: &[u8],
    whole: bool,
) -> fmt::Result {
    let Some((h, rest)) = datagram.split_first_chunk::<8>() else {
        return short(f, "udp", Udp::LEN, datagram.len());
    };
    let (src, dst) = (Be::read_u16(&h[0..2]), Be::read_u16(&h[2..4]));
    let (len, sum) = (usize::from(Be::read_u16(&h[4..6])), Be::read_u16(&h[6..8]));
    write!(f, "udp   {src} > {dst} len {len}")?;
    if sum == 0 {
        f.write_str(" no checksum")?;
    }
    writeln!(f)?;
    let Some(exact) = datagram.get(..len).filter(|_| len >= Udp::LEN) else {
        // The front of a longer datagram is normal when not all of it is meant to be here.
        if whole || len < Udp::LEN {
            writeln!(f, "      bad length: {len} of {} octets", datagram.len())?;
        }
        return data(f, rest);
    };
    if whole && sum != 0 {
        transport_checksum(f, ip, exact, Udp::CHECKSUM_OFFSET)?;
    }
    data(f, exact.get(Udp::LEN..).unwrap_or(&[]))?;
    padding(f, datagram.len().saturating_sub(len))
}

pub(super) fn tcp(
    f: &mut Formatter<'_>,
    ip: &IpHeader,
    segment: &[u8],
    whole: bool,
) -> fmt::Result {
    let Some((h, _)) = segment.split_first_chunk::<20>() else {
        return short(f, "tcp", Tcp::LEN, segment.len());
    };
    let offset = usize::from(h[12] >> 4) * 4;
    let Ok((tcp, options, payload)) = Tcp::parse(segment) else {
        let there = segment.len();
        return writeln!(f, "tcp   bad length: header {offset} of {there} octets");
    };
    write!(f, "tcp   {} > {} [{}]", tcp.src, tcp.dst, tcp.flags)?;
    write!(f, " seq {} ack {} win {}", tcp.seq, tcp.ack, tcp.window)?;
    if tcp.urgent != 0 {
        write!(f, " urg {}", tcp.urgent)?;
    }
    writeln!(f, " header {offset}")?;
    if whole {
        transport_checksum(f, ip, segment, Tcp::CHECKSUM_OFFSET)?;
    }
    if !options.is_empty() {
        tcp_options(f, options)?;
    }
    data(f, payload)
}

/// A checksum that does not match may be no mistake: the seed for a device that finishes it.
fn transport_checksum(
    f: &mut Formatter<'_>,
    ip: &IpHeader,
    message: &[u8],
    at: usize,
) -> fmt::Result {
    let seed = ip.pseudo(message.len());
    let field = message.get(at..).and_then(|m| m.first_chunk::<2>());
    let partial = field.is_some_and(|sum| u16::from_be_bytes(*sum) == seed.fold());
    if partial && seed.add_bytes(message).finish() != 0 {
        return writeln!(f, "      checksum left to the device");
    }
    checksum_at(f, seed, message, at)
}

fn tcp_options(f: &mut Formatter<'_>, options: &[u8]) -> fmt::Result {
    f.write_str("      <")?;
    for (n, option) in TcpOptionIter::new(options).enumerate() {
        if n > 0 {
            f.write_str(", ")?;
        }
        match option {
            Ok(option) => tcp_option(f, option)?,
            Err(e) => write!(f, "{e}")?,
        }
    }
    f.write_str(">\n")
}

fn tcp_option(f: &mut Formatter<'_>, option: TcpOption<'_>) -> fmt::Result {
    match option {
        TcpOption::Nop => f.write_str("nop"),
        TcpOption::Mss(mss) => write!(f, "mss {mss}"),
        TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
        TcpOption::SackPermitted => f.write_str("sackOK"),
        TcpOption::Sack(blocks) => {
            f.write_str("sack")?;
            for (left, right) in blocks.iter() {
                write!(f, " {left}:{right}")?;
            }
            Ok(())
        }
        TcpOption::Timestamps { value, echo } => write!(f, "TS val {value} ecr {echo}"),
        TcpOption::UserTimeout { minutes, amount } => {
            write!(f, "uto {amount}{}", if minutes { "min" } else { "s" })
        }
        TcpOption::FastOpen(cookie) => {
            f.write_str(if cookie.is_experimental() {
                "exp-tfo"
            } else {
                "tfo"
            })?;
            match cookie.cookie() {
                [] => f.write_str(" request"),
                cookie => octets(f, cookie),
            }
        }
        TcpOption::AccEcn(counts) => write!(f, "{counts}"),
        TcpOption::Unknown { kind, data } => {
            write!(f, "kind {kind}")?;
            octets(f, data)
        }
    }
}
