//! TCP segments as lines, with sequence numbers counted from the handshake.
//!
//! Invariant: the conversations remembered are bounded; the oldest are forgotten, and then
//! their numbers are absolute once more, as for any conversation seen from its middle.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use netstrata::wire::{IpHeader, Tcp, TcpFlags, TcpOption, TcpOptionIter};

use super::printer::{Packet, Printer, put};

/// Conversations whose first numbers are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

/// One end first, the other second, in an order both directions share.
type Ends = ((IpAddr, u16), (IpAddr, u16));

/// First sequence numbers by conversation: of the first end, of the second.
pub struct Conversations(LruCache<Ends, (u32, u32)>);

impl Default for Conversations {
    fn default() -> Self {
        // Grows as needed; the bound is kept by `origin`.
        Self(LruCache::unbounded())
    }
}

impl Conversations {
    /// What to count sequence and acknowledgment numbers of this segment from.
    fn origin(&mut self, packet: &Packet<'_>, tcp: &Tcp) -> (u32, u32) {
        if !tcp.flags.ack() {
            return (0, 0);
        }
        let (src, dst) = ((packet.src, tcp.src), (packet.dst, tcp.dst));
        let reversed = src > dst;
        let ends = if reversed { (dst, src) } else { (src, dst) };
        match self.0.get(&ends) {
            Some((first, second)) if !tcp.flags.syn() => match reversed {
                true => (*second, *first),
                false => (*first, *second),
            },
            _ => {
                let peer = tcp.ack.wrapping_sub(1);
                let origin = if reversed {
                    (peer, tcp.seq)
                } else {
                    (tcp.seq, peer)
                };
                if self.0.len() >= REMEMBERED.get() {
                    self.0.pop_lru();
                }
                self.0.put(ends, origin);
                (0, 0)
            }
        }
    }
}

/// Prints a segment.
pub fn print(p: &mut Printer, out: &mut String, packet: &Packet<'_>) {
    let Some([a, b, c, d]) = packet.data.first_chunk() else {
        put!(out, "{} > {}: [|tcp]", packet.src, packet.dst);
        return;
    };
    p.put_flow(
        out,
        packet,
        (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])),
    );
    let Some(h) = packet.data.first_chunk::<20>() else {
        out.push_str(" [|tcp]");
        return;
    };
    let header = usize::from(h[12] >> 4) * 4;
    let payload = packet.len.saturating_sub(header);
    if header < Tcp::LEN {
        let rest = packet.len.saturating_sub(header);
        put!(
            out,
            " tcp {rest} [bad hdr length {header} - too short, < {}]",
            Tcp::LEN
        );
        return;
    }
    let too_long = header > packet.len;
    if p.style.quiet {
        put!(out, "tcp {payload}");
        if too_long {
            put!(
                out,
                " [bad hdr length {header} - too long, > {}]",
                packet.len
            );
        }
        return;
    }
    // The fixed header with no options, so that a short catch does not hide it.
    let mut fixed = *h;
    fixed[12] = 0x50 | fixed[12] & 15;
    let Ok((tcp, ..)) = Tcp::parse(&fixed) else {
        return;
    };
    put!(out, "Flags [{}]", tcp.flags);
    let (seq0, ack0) = match p.style.absolute {
        true => (0, 0),
        false => p.conversations.origin(packet, &tcp),
    };
    if too_long {
        put!(
            out,
            " [bad hdr length {header} - too long, > {}]",
            packet.len
        );
        return;
    }
    if p.style.verbose > 0 && !packet.fragmented && packet.is_complete() {
        put_checksum(out, packet, h);
    }
    let spans = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
    if p.style.verbose > 1 || payload > 0 || tcp.flags.intersects(spans) {
        let seq = tcp.seq.wrapping_sub(seq0);
        put!(out, ", seq {seq}");
        if payload > 0 {
            put!(out, ":{}", seq.wrapping_add(payload as u32));
        }
    }
    if tcp.flags.ack() {
        put!(out, ", ack {}", tcp.ack.wrapping_sub(ack0));
    }
    put!(out, ", win {}", tcp.window);
    if tcp.flags.urg() {
        put!(out, ", urg {}", tcp.urgent);
    }
    if header > Tcp::LEN {
        let caught = packet.data.get(Tcp::LEN..header.min(packet.data.len()));
        let options = caught.unwrap_or_default();
        let cut = options.len() < header - Tcp::LEN;
        if !put_options(out, options, ack0, cut) {
            return;
        }
    }
    put!(out, ", length {payload}");
}

fn put_checksum(out: &mut String, packet: &Packet<'_>, h: &[u8; 20]) {
    let segment = packet.data.get(..packet.len).unwrap_or(packet.data);
    let ip = IpHeader::new(packet.src, packet.dst, packet.proto);
    let found = u16::from_be_bytes([h[16], h[17]]);
    put!(out, ", cksum 0x{found:04x}");
    match Tcp::verify(&ip, segment) {
        Ok(()) => out.push_str(" (correct)"),
        Err(_) => {
            // The sum over everything but the field: adding its complement takes it out.
            let sum = ip.pseudo(segment.len()).add_bytes(segment).add_u16(!found);
            put!(out, " (incorrect -> 0x{:04x})", sum.finish());
        }
    }
}

/// `ack0` is what the peer's numbers count from; `cut` that there were more. `false` when the
/// line ends here, because they are malformed or cut short.
fn put_options(out: &mut String, options: &[u8], ack0: u32, cut: bool) -> bool {
    out.push_str(", options [");
    let mut separator = "";
    let mut left = options;
    for option in TcpOptionIter::new(options) {
        out.push_str(separator);
        separator = ",";
        let len = match (&option, left.get(1)) {
            (Ok(TcpOption::Nop), _) => 1,
            (_, len) => len.copied().unwrap_or(0).into(),
        };
        left = left.get(len..).unwrap_or_default();
        match option {
            Ok(TcpOption::Nop) => out.push_str("nop"),
            Ok(TcpOption::Mss(mss)) => put!(out, "mss {mss}"),
            Ok(TcpOption::WindowScale(shift)) => put!(out, "wscale {shift}"),
            Ok(TcpOption::SackPermitted) => out.push_str("sackOK"),
            Ok(TcpOption::Sack(blocks)) => {
                put!(out, "sack {} ", blocks.len());
                for (left, right) in blocks.iter() {
                    put!(
                        out,
                        "{{{}:{}}}",
                        left.wrapping_sub(ack0),
                        right.wrapping_sub(ack0)
                    );
                }
            }
            Ok(TcpOption::Timestamps { value, echo }) => put!(out, "TS val {value} ecr {echo}"),
            Ok(TcpOption::UserTimeout { minutes, amount }) => {
                let (bit, unit) = if minutes { (0x8000, 60) } else { (0, 1) };
                put!(out, "uto 0x{:x} {}", amount | bit, u32::from(amount) * unit);
            }
            Ok(TcpOption::FastOpen(open)) => {
                out.push_str(if open.is_experimental() {
                    "exp-tfo"
                } else {
                    "tfo "
                });
                match open.cookie() {
                    [] => out.push_str(" cookiereq"),
                    cookie => {
                        out.push_str(" cookie ");
                        for octet in cookie {
                            put!(out, "{octet:02x}");
                        }
                    }
                }
            }
            Ok(TcpOption::AccEcn(counts)) => put!(out, "{counts}"),
            Ok(TcpOption::Unknown { kind, data }) => {
                match name(kind) {
                    Some(name) => out.push_str(name),
                    None => put!(out, "unknown-{kind}"),
                }
                if !data.is_empty() {
                    out.push_str(" 0x");
                }
                for octet in data {
                    put!(out, "{octet:02x}");
                }
            }
            Ok(_) => out.push_str("unknown"),
            Err(_) => {
                out.push_str(if cut { " [|tcp]" } else { "[bad opt]" });
                return false;
            }
        }
    }
    if cut {
        out.push_str(" [|tcp]");
        return false;
    }
    // The list ended before the header did.
    if left.first() == Some(&0) {
        put!(out, "{separator}eol");
    }
    out.push(']');
    true
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        2 => "mss",
        3 => "wscale",
        4 => "sackOK",
        5 => "sack",
        6 => "echo",
        7 => "echoreply",
        8 => "TS",
        11 => "cc",
        12 => "ccnew",
        13 => "ccecho",
        19 => "md5",
        20 => "scps",
        28 => "uto",
        29 => "tcp-ao",
        30 => "mptcp",
        34 => "tfo",
        254 => "exp",
        _ => return None,
    })
}
