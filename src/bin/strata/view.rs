//! One look at a frame: the addresses, protocols and ports that filters, flows and rules go by.
//!
//! Invariant: any octets give a view; what is malformed or was not caught is absent from it,
//! and nothing is allocated. Tags are looked through, at most [`MAX_TAGS`] of them.

use std::net::{IpAddr, Ipv6Addr};

use netstrata::wire::{Arp, Ethernet, Ipv4, Vlan, ethertype, protocol};

use crate::frame::{Frame, Link};

/// Tags looked through at most.
pub const MAX_TAGS: usize = 2;

/// Extension headers walked at most (RFC 8504 §5.3 lets a host stop).
const MAX_EXTENSIONS: usize = 8;

/// IPv6 extension headers (RFC 8200 §4).
pub mod extension {
    /// Options every router reads.
    pub const HOP_BY_HOP: u8 = 0;
    /// Where to go on the way.
    pub const ROUTING: u8 = 43;
    /// Part of a packet.
    pub const FRAGMENT: u8 = 44;
    /// Options for the destination.
    pub const DESTINATION: u8 = 60;
    /// Nothing follows.
    pub const NONE: u8 = 59;
}

/// The 16-bit word at an octet of a header, if it is there.
pub fn word(octets: &[u8], at: usize) -> Option<u16> {
    let word = octets.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

/// What is known of a frame.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The Ethernet header, where the link has one.
    pub link: Option<Ethernet>,
    /// VLAN numbers, outermost first.
    pub tags: [Option<u16>; MAX_TAGS],
    /// Type of what is behind link header and tags; `None` for IEEE 802.3 and unknown links.
    pub kind: Option<u16>,
    /// What is behind them.
    pub net: Net<'a>,
    /// Octets on the wire, link header included.
    pub len: usize,
}

/// What a frame carries.
#[derive(Debug, Clone, Copy)]
pub enum Net<'a> {
    /// An address resolution message.
    Arp(Arp),
    /// An IP packet.
    Ip(Ip<'a>),
    /// An IPv4 or IPv6 header that contradicts itself or was cut short.
    Malformed,
    /// Anything else.
    Other,
}

/// An IP packet of either version.
#[derive(Debug, Clone, Copy)]
pub struct Ip<'a> {
    /// Who sent it.
    pub src: IpAddr,
    /// Whom it is for.
    pub dst: IpAddr,
    /// Protocol of `payload`: that behind the extension headers.
    pub proto: u8,
    /// Next header in the fixed header; the same as `proto` over IPv4.
    pub first: u8,
    /// The fixed IPv4 header, `None` for IPv6.
    pub v4: Option<Ipv4>,
    /// The whole header with options or extensions.
    pub header: &'a [u8],
    /// What was caught of the payload.
    pub payload: &'a [u8],
    /// Octets of payload there should be.
    pub announced: usize,
    /// Which part of a datagram this is; `None` when it is whole.
    pub fragment: Option<Fragment>,
}

/// Which part of a datagram a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Common to the fragments of one datagram.
    pub ident: u32,
    /// Octets before this part, 0 to 65528.
    pub offset: u16,
    /// It is not the last.
    pub more: bool,
}

impl<'a> View<'a> {
    /// Looks at a frame.
    pub fn of(frame: &Frame<'a>) -> Self {
        let mut view = Self {
            link: None,
            tags: [None; MAX_TAGS],
            kind: None,
            net: Net::Other,
            len: frame.len,
        };
        let rest = match frame.link {
            Link::Ethernet => match Ethernet::split(frame.octets) {
                Some((link, rest)) => {
                    view.link = Some(link);
                    view.untag(link.kind, rest)
                }
                None => return view,
            },
            Link::Ip => {
                view.kind = match frame.octets.first().map(|b| b >> 4) {
                    Some(4) => Some(ethertype::IPV4),
                    Some(6) => Some(ethertype::IPV6),
                    _ => None,
                };
                frame.octets
            }
            Link::Other(_) => return view,
        };
        view.net = match view.kind {
            Some(ethertype::ARP) => match rest.first_chunk().map(Arp::parse) {
                Some(Ok(arp)) => Net::Arp(arp),
                _ => Net::Other,
            },
            Some(ethertype::IPV4) => Ip::v4(rest).map_or(Net::Malformed, Net::Ip),
            Some(ethertype::IPV6) => Ip::v6(rest).map_or(Net::Malformed, Net::Ip),
            _ => Net::Other,
        };
        view
    }

    /// Takes tags off and sets `kind`; what follows them is returned.
    fn untag(&mut self, outer: u16, octets: &'a [u8]) -> &'a [u8] {
        let (mut kind, mut rest) = (outer, octets);
        for tag in &mut self.tags {
            if !matches!(kind, ethertype::VLAN | ethertype::QINQ) {
                break;
            }
            let Some((h, after)) = rest.split_first_chunk() else {
                return &[];
            };
            let vlan = Vlan::parse(h);
            *tag = Some(vlan.vid);
            (kind, rest) = (vlan.kind, after);
        }
        // Below 0x0600 it is the length of an IEEE 802.3 frame.
        self.kind = (kind >= 0x0600).then_some(kind);
        rest
    }

    /// The IP packet in it.
    pub const fn ip(&self) -> Option<&Ip<'a>> {
        match &self.net {
            Net::Ip(ip) => Some(ip),
            _ => None,
        }
    }
}

impl<'a> Ip<'a> {
    /// An IPv4 packet, of which only the front need be there. The checksum is not verified.
    fn v4(packet: &'a [u8]) -> Option<Self> {
        let front = Ipv4::parse_front(packet).ok()?;
        let ip = front.ip;
        Some(Self {
            src: ip.src.into(),
            dst: ip.dst.into(),
            proto: ip.protocol,
            first: ip.protocol,
            v4: Some(ip),
            header: packet.get(..Ipv4::LEN + front.options.len())?,
            payload: front.payload,
            announced: front.payload_len,
            fragment: ip.is_fragment().then_some(Fragment {
                ident: ip.ident.into(),
                offset: ip.fragment_offset,
                more: ip.more_fragments,
            }),
        })
    }

    /// An IPv6 packet (RFC 8200 §3), of which only the front need be there.
    fn v6(packet: &'a [u8]) -> Option<Self> {
        let h: &[u8; 40] = packet.first_chunk()?;
        let [first, _, _, _, l0, l1, next, _, addresses @ ..] = h;
        if first >> 4 != 6 {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (src, dst) = addresses.split_first_chunk::<16>()?;
        let dst: &[u8; 16] = dst.try_into().ok()?;
        let clipped = packet.get(..packet.len().min(40 + length))?;
        let mut ip = Self {
            src: Ipv6Addr::from(*src).into(),
            dst: Ipv6Addr::from(*dst).into(),
            proto: *next,
            first: *next,
            v4: None,
            header: clipped.get(..40)?,
            payload: clipped.get(40..)?,
            announced: length,
            fragment: None,
        };
        ip.walk(clipped);
        Some(ip)
    }

    /// Steps over extension headers that are there whole.
    fn walk(&mut self, packet: &'a [u8]) {
        for _ in 0..MAX_EXTENSIONS {
            let (len, fragment) = match (self.proto, self.payload) {
                (
                    extension::HOP_BY_HOP | extension::ROUTING | extension::DESTINATION,
                    [_, len, ..],
                ) => ((usize::from(*len) + 1) * 8, None),
                (extension::FRAGMENT, [_, _, o0, o1, i0, i1, i2, i3, ..]) => {
                    let word = u16::from_be_bytes([*o0, *o1]);
                    let fragment = Fragment {
                        ident: u32::from_be_bytes([*i0, *i1, *i2, *i3]),
                        offset: word & !7,
                        more: word & 1 != 0,
                    };
                    (8, Some(fragment))
                }
                _ => return,
            };
            let (Some(next), Some(rest)) = (self.payload.first(), self.payload.get(len..)) else {
                return;
            };
            self.proto = *next;
            self.payload = rest;
            self.announced = self.announced.saturating_sub(len);
            let header = packet.len().saturating_sub(rest.len());
            self.header = packet.get(..header).unwrap_or(self.header);
            // An atomic fragment is the whole datagram (RFC 6946).
            self.fragment = fragment
                .filter(|f| f.more || f.offset != 0)
                .or(self.fragment);
            if self.fragment.is_some_and(|f| f.offset != 0) {
                return;
            }
        }
    }

    /// Source and destination port, of TCP, UDP and SCTP; later fragments have none.
    pub fn ports(&self) -> Option<(u16, u16)> {
        const SCTP: u8 = 132;
        match (self.proto, self.payload) {
            (protocol::TCP | protocol::UDP | SCTP, [a, b, c, d, ..]) if self.is_first() => {
                let port = |high, low| u16::from_be_bytes([high, low]);
                Some((port(*a, *b), port(*c, *d)))
            }
            _ => None,
        }
    }

    /// Whether the payload begins with the header of the transport.
    pub fn is_first(&self) -> bool {
        self.fragment.is_none_or(|f| f.offset == 0)
    }

    /// Whether all of the payload was caught.
    pub const fn is_complete(&self) -> bool {
        self.payload.len() == self.announced
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Stamp;
    use proptest::prelude::*;

    fn view<'a>(link: Link, octets: &'a [u8]) -> View<'a> {
        View::of(&Frame {
            time: Stamp(0),
            link,
            octets,
            len: octets.len(),
            trusted: false,
        })
    }

    #[test]
    fn looks_through_tags() {
        let mut frame = vec![0; 12];
        frame.extend([
            0x81, 0, 0, 5, 0x81, 0, 0x20, 6, 8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17,
        ]);
        frame.extend([0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 7, 0, 9, 0, 8, 0, 0]);
        let v = view(Link::Ethernet, &frame);
        assert_eq!(v.tags, [Some(5), Some(6)]);
        assert_eq!(v.ip().unwrap().ports(), Some((7, 9)));
    }

    #[test]
    fn walks_extension_headers_of_ipv6() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 24, 0, 64];
        packet.extend([0; 32]);
        packet.extend([
            44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 9, 0, 53, 0, 54, 0, 8, 1, 2,
        ]);
        let v = view(Link::Ip, &packet);
        let ip = v.ip().unwrap();
        assert_eq!((ip.first, ip.proto, ip.ports()), (0, 17, Some((53, 54))));
        assert_eq!(
            ip.fragment,
            Some(Fragment {
                ident: 9,
                offset: 0,
                more: true
            })
        );
        assert_eq!((ip.header.len(), ip.announced), (56, 8));
    }

    proptest! {
        #[test]
        fn any_octets_give_a_view(octets in prop::collection::vec(any::<u8>(), 0..200), ip: bool) {
            let v = view(if ip { Link::Ip } else { Link::Ethernet }, &octets);
            if let Some(ip) = v.ip() {
                prop_assert!(ip.payload.len() <= octets.len());
                ip.ports();
            }
        }
    }
}
