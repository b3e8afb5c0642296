//! What the packets of one flow have in common: the second one of a batch need not be judged
//! again as the first was.
//!
//! Invariant: what [`Alike::cut`] takes differs from a packet that the network layer took in, for
//! us alone and by the same link, in nothing but lengths, identification, the "don't fragment"
//! bit, checksums, and what follows the ports; its header adds up. Addresses, routes and sockets
//! must not have changed in between, so it is forgotten with the batch. Made and used by
//! [`Stack::poll`](crate::Stack::poll) alone.

use super::Ingress;
use crate::iface::{Cast, Link, Packet};
use crate::wire::{Ipv4, Sum};

/// All bits of flags and fragment offset but "don't fragment" (RFC 791 §3.1): zero in a packet
/// that is whole.
const FRAGMENT: u16 = 0xbfff;

/// The front of an IPv4 packet without options, but for what tells one of a flow from the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alike {
    /// Version, header length, type of service.
    kind: u16,
    /// Time to live and protocol.
    life: u16,
    /// Source and destination address.
    ends: [u8; 8],
    /// Source and destination port.
    ports: [u8; 4],
    link: Link,
    /// Sum of these fields of the IP header.
    sum: Sum,
}

impl Alike {
    /// What further packets like `packet` share with it; `None` if that is too little to tell.
    #[inline]
    pub fn of(packet: &Ingress<'_>) -> Option<Self> {
        let h = <&[u8; Ipv4::LEN]>::try_from(packet.header).ok()?;
        let ports = *packet.payload.first_chunk::<4>()?;
        let [kind, tos, .., ttl, proto, _, _, a, b, c, d, e, f, g, i] = *h;
        let ends = [a, b, c, d, e, f, g, i];
        let (kind, life) = ([kind, tos], [ttl, proto]);
        let sum = Sum::of(&kind)
            .add_sum(Sum::of(&life))
            .add_sum(Sum::of(&ends));
        packet.unicast.then_some(Self {
            kind: u16::from_ne_bytes(kind),
            life: u16::from_ne_bytes(life),
            ends,
            ports,
            link: packet.link,
            sum,
        })
    }

    /// What follows the IP header of `packet`, clipped to its length, if it is such a packet.
    #[inline(always)]
    pub fn cut<'p>(&self, packet: &'p Packet<'_>) -> Option<&'p [u8]> {
        let octets = &*packet.octets;
        let (h, ports) = octets.first_chunk::<24>()?.split_first_chunk::<20>()?;
        let [
            v,
            tos,
            l0,
            l1,
            i0,
            i1,
            f0,
            f1,
            ttl,
            proto,
            c0,
            c1,
            ends @ ..,
        ] = *h;
        let same = u16::from_ne_bytes([v, tos]) == self.kind
            && u16::from_ne_bytes([ttl, proto]) == self.life
            && ends == self.ends
            && *ports == self.ports
            && packet.link == self.link
            && packet.cast == Cast::Unicast;
        let (len, flags) = (u16::from_be_bytes([l0, l1]), u16::from_be_bytes([f0, f1]));
        if !same || flags & FRAGMENT != 0 {
            return None;
        }
        let rest = self.sum.add_u16(len).add_u16(flags);
        let sum = rest.add_u16(u16::from_be_bytes([i0, i1]));
        if sum.add_u16(u16::from_be_bytes([c0, c1])).finish() != 0 {
            return None;
        }
        octets.get(Ipv4::LEN..len.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{IpHeader, protocol};
    use phy::RxMeta;
    use std::vec::Vec;

    fn packet(change: impl FnOnce(&mut Ipv4)) -> Vec<u8> {
        let mut ip = Ipv4 {
            ident: 77,
            ..Ipv4::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::UDP)
        };
        change(&mut ip);
        let mut octets = [0, 9, 0, 7, 0, 12, 0, 0, 1, 2, 3, 4, 0xee].to_vec();
        let mut front = [0; 20];
        ip.emit(12, &mut front).unwrap();
        octets.splice(0..0, front);
        octets
    }

    fn alike(octets: &mut [u8]) -> Option<Alike> {
        let (ip, header, payload) = Ipv4::parse_mut(octets).unwrap();
        Alike::of(&Ingress {
            ip: IpHeader::new(ip.src.into(), ip.dst.into(), ip.protocol),
            header,
            payload,
            meta: RxMeta::new(),
            link: 3,
            unicast: true,
            answerable: true,
        })
    }

    fn cut(alike: &Alike, octets: &mut [u8], link: Link, cast: Cast) -> Option<Vec<u8>> {
        let meta = RxMeta::new();
        let packet = Packet {
            octets,
            meta,
            link,
            cast,
        };
        alike.cut(&packet).map(Vec::from)
    }

    #[test]
    fn what_varies_within_a_flow_is_let_vary() {
        let alike = alike(&mut packet(|_| ())).unwrap();
        for ident in [0, 1, 77, 0xffff] {
            for dont_fragment in [false, true] {
                let mut octets = packet(|ip| (ip.ident, ip.dont_fragment) = (ident, dont_fragment));
                let all = octets[20..32].to_vec();
                assert_eq!(cut(&alike, &mut octets, 3, Cast::Unicast), Some(all));
            }
        }
    }

    #[test]
    fn everything_else_is_another_flow() {
        let alike = alike(&mut packet(|_| ())).unwrap();
        let others: [fn(&mut Ipv4); 8] = [
            |ip| ip.src = [10, 0, 0, 3].into(),
            |ip| ip.dst = [10, 0, 1, 2].into(),
            |ip| ip.ttl = 63,
            |ip| ip.protocol = protocol::TCP,
            |ip| ip.ecn = 3,
            |ip| ip.dscp = 46,
            |ip| ip.more_fragments = true,
            |ip| ip.fragment_offset = 8,
        ];
        for other in others {
            assert_eq!(cut(&alike, &mut packet(other), 3, Cast::Unicast), None);
        }
        let same = || packet(|_| ());
        assert_eq!(cut(&alike, &mut same(), 2, Cast::Unicast), None);
        assert_eq!(cut(&alike, &mut same(), 3, Cast::Broadcast), None);
        for at in [0, 2, 6, 10, 21, 23] {
            let mut octets = same();
            octets[at] ^= 0x80;
            assert_eq!(cut(&alike, &mut octets, 3, Cast::Unicast), None, "{at}");
        }
        // Fewer octets than the header says, down to none.
        for len in 0..32 {
            let mut octets = same();
            assert_eq!(cut(&alike, &mut octets[..len], 3, Cast::Unicast), None);
        }
    }

    #[test]
    fn headers_with_options_and_packets_for_others_too_are_not_remembered() {
        let mut plain = packet(|_| ());
        let (header, payload) = plain.split_at_mut(20);
        let mut ingress = Ingress {
            ip: IpHeader::new([10; 4].into(), [11; 4].into(), protocol::UDP),
            header,
            payload,
            meta: RxMeta::new(),
            link: 0,
            unicast: false,
            answerable: false,
        };
        assert!(Alike::of(&ingress).is_none());
        ingress.unicast = true;
        assert!(Alike::of(&ingress).is_some());
        ingress.header = &[0x46; 24];
        assert!(Alike::of(&ingress).is_none());
    }
}
