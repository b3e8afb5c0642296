//! Segments as an observer takes them out of packets.

use netstrata::wire::{Ipv4, Tcp, TcpOptions, protocol};

/// A segment as the observer sees it.
pub struct Seen<'a> {
    pub tcp: Tcp,
    pub options: TcpOptions,
    /// Octets of all options.
    pub option_octets: usize,
    pub text: &'a [u8],
}

/// The segment in `packet`, if there is one; with a checksum that fits, if that is asked.
pub fn parse(packet: &[u8], check: bool) -> Option<Seen<'_>> {
    let (ip, _, segment) = Ipv4::parse(packet).ok()?;
    if ip.protocol != protocol::TCP {
        return None;
    }
    if check && Tcp::verify(&ip.header(), segment).is_err() {
        return None;
    }
    let (tcp, options, text) = Tcp::parse(segment).ok()?;
    Some(Seen {
        tcp,
        options: TcpOptions::parse(options),
        option_octets: options.len(),
        text,
    })
}
