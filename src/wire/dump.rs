//! Packets as text: a line per header, then the octets.
//!
//! Invariant: any octets print; what is wrong with them is said, and nothing panics. For
//! snapshots and traces: the octets are the truth, the lines make a difference readable.

use core::fmt;

use super::Ethernet;

/// Octets to print, and the layer they begin at.
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Start::Ethernet, Some((e, _))) = (self.start, Ethernet::split(self.octets)) {
            writeln!(f, "eth   {} > {} type {:#06x}", e.src, e.dst, e.kind)?;
        }
        for (at, row) in self.octets.chunks(16).enumerate() {
            write!(f, "{:04x} ", at * 16)?;
            for octet in row {
                write!(f, " {octet:02x}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
