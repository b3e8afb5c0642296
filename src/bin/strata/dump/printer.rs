//! Frames as lines: options, the time in front, and what the printers of each protocol share.
//!
//! Invariant: any octets print as one line (more under `-v` and `-x`), nothing panics, and the
//! buffer lines are written to is reused, so that a frame costs no allocation once it has grown.

use std::fmt;
use std::net::IpAddr;

use crate::clock::Clock;
use crate::dump::tcp::Conversations;
use crate::dump::{ether, hex, ip, ipv6};
use crate::frame::{Frame, Link};
use crate::services::Services;
pub(super) use crate::text::put;

/// How lines look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// `-e`: the link header too.
    pub link: bool,
    /// `-v`, `-vv`.
    pub verbose: u8,
    /// `-q`: less.
    pub quiet: bool,
    /// `-S`: sequence numbers as they are.
    pub absolute: bool,
    /// `-x`, `-X`, `-A`: the octets as well.
    pub octets: Option<hex::Form>,
    /// The same letter twice: the link header's octets too.
    pub octets_of_link: bool,
}

/// Prints frames.
pub struct Printer {
    pub(super) style: Style,
    pub(super) services: Services,
    pub(super) conversations: Conversations,
    clock: Clock,
}

impl Printer {
    /// A printer; `services` are the port names to use.
    pub fn new(style: Style, services: Services, clock: Clock) -> Self {
        Self {
            style,
            services,
            conversations: Conversations::default(),
            clock,
        }
    }

    /// Appends the line of a frame, and its end.
    pub fn print(&mut self, frame: &Frame<'_>, out: &mut String) {
        self.clock.put(frame.time, out);
        self.print_alone(frame, out);
    }

    /// As [`Printer::print`] without the time.
    pub(super) fn print_alone(&mut self, frame: &Frame<'_>, out: &mut String) {
        let mut printed = false;
        let header = match frame.link {
            Link::Ethernet => ether::print(self, out, frame, &mut printed),
            Link::Ip => {
                match frame.octets.first().map(|b| b >> 4) {
                    Some(6) => ipv6::print(self, out, frame.octets, frame.len),
                    Some(version) if version != 4 => put!(out, "unknown ip {version}"),
                    _ => ip::print(self, out, frame.octets, frame.len),
                }
                0
            }
            Link::Other(kind) => {
                put!(out, "link type {kind}, length {}", frame.len);
                0
            }
        };
        out.push('\n');
        if let Some(form) = self.style.octets
            && !printed
        {
            let from = if self.style.octets_of_link { 0 } else { header };
            hex::put(form, frame.octets.get(from..).unwrap_or_default(), out);
        }
    }

    /// `10.0.0.1.80`, the port by name where there is one.
    pub(super) fn put_endpoint(&self, out: &mut String, ip: IpAddr, proto: u8, port: u16) {
        match self.services.name(proto, port) {
            Some(name) => put!(out, "{ip}.{name}"),
            None => put!(out, "{ip}.{port}"),
        }
    }

    /// `10.0.0.1.4000 > 10.0.0.2.80: `.
    pub(super) fn put_flow(&self, out: &mut String, packet: &Packet<'_>, ports: (u16, u16)) {
        if packet.extended {
            let (src, dst) = (
                self.port(packet.proto, ports.0),
                self.port(packet.proto, ports.1),
            );
            put!(out, "{src} > {dst}: ");
            return;
        }
        self.put_endpoint(out, packet.src, packet.proto, ports.0);
        out.push_str(" > ");
        self.put_endpoint(out, packet.dst, packet.proto, ports.1);
        out.push_str(": ");
    }

    /// A port alone, by name where there is one.
    pub(super) fn port(&self, proto: u8, port: u16) -> impl fmt::Display {
        let name = self.services.name(proto, port);
        fmt::from_fn(move |f| match name {
            Some(name) => f.write_str(name),
            None => write!(f, "{port}"),
        })
    }
}

/// What an IP header hands to the printer of its payload.
#[derive(Clone, Copy)]
pub(super) struct Packet<'a> {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub proto: u8,
    /// What was caught of the payload.
    pub data: &'a [u8],
    /// Octets of payload there were.
    pub len: usize,
    /// It is the first of several fragments, so that lengths and checksums speak of more.
    pub fragmented: bool,
    /// It is behind extension headers, before which the addresses have been printed.
    pub extended: bool,
}

impl Packet<'_> {
    /// Whether all of the payload was caught.
    pub const fn is_complete(&self) -> bool {
        self.data.len() >= self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Form;
    use crate::frame::Stamp;
    use crate::random_frames::frames;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_frames_print(
            frames in prop::collection::vec(frames(), 1..20),
            verbose in 0..3u8,
            flags in any::<[bool; 5]>(),
            missing in 0..40usize,
        ) {
            let [link, quiet, absolute, names, bare] = flags;
            let style = Style {
                link,
                verbose,
                quiet,
                absolute,
                octets: absolute.then_some(hex::Form::Both),
                octets_of_link: quiet,
            };
            let services = if names { Services::load() } else { Services::none() };
            let mut printer = Printer::new(style, services, Clock::new(Form::Day));
            let mut out = String::new();
            for frame in &frames {
                let octets = if bare { frame.get(14..).unwrap_or(&[]) } else { frame };
                let before = out.len();
                printer.print(&Frame {
                    time: Stamp(0),
                    link: if bare { Link::Ip } else { Link::Ethernet },
                    octets,
                    len: octets.len() + missing,
                    trusted: false,
                }, &mut out);
                prop_assert!(out[before..].ends_with('\n') && out.len() > before + 16);
            }
        }
    }
}
