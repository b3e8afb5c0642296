//! Whose frame is it? One address, several stacks, and frames that reach them through whichever
//! queue the kernel chose.
//!
//! A tap's kernel keeps a TCP or UDP flow on the queue it was last sent from, and spreads unknown
//! ones, as it does all flows over packet sockets, by a hash that is the same both ways: connections
//! that peers begin need no more. Of those that we begin, the first answer is often there before the
//! kernel has noted where we sent from, and it forgets that after seconds of silence, or when there
//! are too many; but their port tells whose they are ([`Share`]). What has no ports (ARP, ICMP,
//! pieces of datagrams) comes anywhere, and is told by what is inside or given to all.
//!
//! Invariant: pure judgement but for a small table of datagrams that come in pieces; any octets
//! are accepted, and what is not understood stays where it came.

use phy::Medium;

use crate::host::claims::{Claims, Flow};
use crate::transport::{Ports, Share};
use crate::wire::{ethertype, protocol};

/// Datagrams in pieces that are remembered at once.
const PIECES: usize = 64;

/// Octets of an Ethernet header, and of an IPv4 header without options.
const LINK: usize = 14;
const IP: usize = 20;

/// Where a frame belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// To the stack on whose queue it came.
    Here,
    /// To this other stack.
    There(u16),
    /// To every stack: this one answers it, the others only hear it.
    All,
}

/// The judge of one stack's frames.
#[derive(Debug)]
pub(super) struct Steer {
    share: Share,
    medium: Medium,
    /// Who has which connection of peers, where the interface may change its mind.
    claims: Option<Claims>,
    /// Where the first pieces of datagrams went, by addresses and identification.
    pieces: [Option<(Datagram, Place)>; PIECES],
}

/// What the pieces of a datagram have in common (RFC 791 §3.2).
type Datagram = ([u8; 8], [u8; 2], u8);

impl Steer {
    pub(super) const fn new(share: Share, medium: Medium, claims: Option<Claims>) -> Self {
        Self {
            share,
            medium,
            claims,
            pieces: [None; PIECES],
        }
    }

    /// Where `frame` belongs.
    pub(super) fn place(&mut self, frame: &[u8]) -> Place {
        let packet = match self.medium {
            Medium::Ip => Some(frame),
            Medium::Ethernet => match u16_at(frame, 12) {
                Some(ethertype::ARP) => return Place::All,
                Some(ethertype::IPV4) => frame.get(LINK..),
                _ => None,
            },
        };
        let place = packet.and_then(|packet| self.packet(packet));
        match place.unwrap_or(Place::Here) {
            Place::There(index) if index == self.share.index() => Place::Here,
            place => place,
        }
    }

    fn packet(&mut self, packet: &[u8]) -> Option<Place> {
        let header = Header::of(packet)?;
        let piece = u16_at(packet, 6)?;
        let (offset, more) = (piece & 0x1fff, piece & 0x2000 != 0);
        if offset == 0 && !more {
            return self.whole(&header);
        }
        let datagram = (
            *packet.get(12..)?.first_chunk()?,
            *packet.get(4..)?.first_chunk()?,
            header.protocol,
        );
        let (.., [_, slot], _) = datagram;
        let slot = self.pieces.get_mut(usize::from(slot) % PIECES)?;
        if offset > 0 {
            // Pieces that overtake the first are lost with it, and sent again.
            return slot.filter(|(of, _)| *of == datagram).map(|(_, at)| at);
        }
        let place = self.whole(&header).unwrap_or(Place::Here);
        let [_, slot] = datagram.1;
        *self.pieces.get_mut(usize::from(slot) % PIECES)? = Some((datagram, place));
        Some(place)
    }

    /// Where a packet goes whose first octets are there.
    fn whole(&self, header: &Header<'_>) -> Option<Place> {
        match header.protocol {
            protocol::TCP => {
                let place = self.port(u16_at(header.payload, 2)?);
                place.or_else(|| self.claimed(header))
            }
            protocol::UDP => self.port(u16_at(header.payload, 2)?),
            protocol::ICMP => match header.payload.first()? {
                // Echo reply: the identifier is the asker's.
                0 => Some(Place::There(self.share.holder(u16_at(header.payload, 4)?))),
                // Errors quote the packet they are about, which one of us sent.
                3 | 4 | 5 | 11 | 12 => {
                    let quoted = Header::of(header.payload.get(8..)?);
                    Some(quoted.and_then(|q| self.quoted(&q)).unwrap_or(Place::All))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Who got the SYN of this connection of a peer's?
    fn claimed(&self, header: &Header<'_>) -> Option<Place> {
        const SYN: u8 = 2;
        const ACK: u8 = 16;
        let claims = self.claims.as_ref()?;
        let (addresses, ports) = (header.addresses, header.payload.first_chunk::<4>()?);
        let mut flow: Flow = [0; 12];
        let (front, back) = flow.split_at_mut(addresses.len());
        front.copy_from_slice(&addresses);
        back.copy_from_slice(ports);
        let begins = header.payload.get(13)? & (SYN | ACK) == SYN;
        let holder = claims.holder(&flow, begins, self.share.index());
        holder.map(Place::There)
    }

    /// Whose is a flow to our port `port`?
    fn port(&self, port: u16) -> Option<Place> {
        let ephemeral = Ports::EPHEMERAL.contains(&port);
        ephemeral.then(|| Place::There(self.share.holder(port)))
    }

    fn quoted(&self, quoted: &Header<'_>) -> Option<Place> {
        match quoted.protocol {
            protocol::TCP | protocol::UDP => self.port(u16_at(quoted.payload, 0)?),
            protocol::ICMP => Some(Place::There(self.share.holder(u16_at(quoted.payload, 4)?))),
            _ => None,
        }
    }
}

/// What matters of an IPv4 header, and what follows it.
struct Header<'a> {
    protocol: u8,
    /// Source and destination.
    addresses: [u8; 8],
    payload: &'a [u8],
}

impl<'a> Header<'a> {
    fn of(packet: &'a [u8]) -> Option<Self> {
        let first = *packet.first()?;
        let len = usize::from(first & 15) * 4;
        (first >> 4 == 4 && len >= IP).then_some(())?;
        Some(Self {
            protocol: *packet.get(9)?,
            addresses: *packet.get(12..)?.first_chunk()?,
            payload: packet.get(len..)?,
        })
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets
        .get(at..)?
        .first_chunk()
        .map(|two| u16::from_be_bytes(*two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn steer(medium: Medium) -> Steer {
        Steer::new(Share::new(1, 3).unwrap(), medium, None)
    }

    fn packet(protocol: u8, piece: u16, payload: &[u8]) -> Vec<u8> {
        let mut p = std::vec![
            0x45, 0, 0, 0, 0, 9, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2
        ];
        p[6..8].copy_from_slice(&piece.to_be_bytes());
        p.extend_from_slice(payload);
        p
    }

    fn ports(from: u16, to: u16) -> Vec<u8> {
        [from.to_be_bytes(), to.to_be_bytes(), [0, 0], [0, 0]].concat()
    }

    fn error(about: &[u8]) -> Vec<u8> {
        packet(1, 0, &[&[3, 3, 0, 0, 0, 0, 0, 0], about].concat())
    }

    #[test]
    fn a_flow_that_we_began_goes_to_the_stack_that_picked_its_port() {
        let mut s = steer(Medium::Ip);
        for protocol in [protocol::TCP, protocol::UDP] {
            for (port, place) in [
                (32_769, Place::There(0)), // 3 * 10,923
                (32_770, Place::Here),
                (32_771, Place::There(2)),
                (80, Place::Here), // a server's, on whichever queue the kernel chose
                (61_000, Place::Here),
            ] {
                assert_eq!(
                    s.place(&packet(protocol, 0, &ports(80, port))),
                    place,
                    "{port}"
                );
            }
        }
    }

    #[test]
    fn a_connection_of_a_peer_goes_where_its_syn_went() {
        let claims = Claims::new();
        let [mut first, mut second] = [1, 2].map(|index| {
            let share = Share::new(index, 3).unwrap();
            Steer::new(share, Medium::Ip, Some(claims.clone()))
        });
        let segment = |flags| {
            let header = [&ports(5000, 80)[..4], &[0; 9], &[flags], &[0; 6]].concat();
            packet(protocol::TCP, 0, &header)
        };
        let (syn, ack) = (segment(2), segment(16));
        assert_eq!(second.place(&ack), Place::Here, "of before our time");
        assert_eq!(first.place(&syn), Place::Here);
        assert_eq!(first.place(&ack), Place::Here);
        assert_eq!(second.place(&ack), Place::There(1));
        assert_eq!(second.place(&syn), Place::There(1));
        // A connection of ours is whose port it has, whatever a peer pretends.
        let mut ours = syn;
        ours[22..24].copy_from_slice(&32_769_u16.to_be_bytes());
        assert_eq!(first.place(&ours), Place::There(0));
    }

    #[test]
    fn arp_is_for_all() {
        let mut frame = std::vec![0; 60];
        frame[12..14].copy_from_slice(&[8, 6]);
        assert_eq!(steer(Medium::Ethernet).place(&frame), Place::All);
        frame[12..14].copy_from_slice(&[8, 0]);
        frame.splice(14.., packet(protocol::TCP, 0, &ports(80, 32_769)));
        assert_eq!(steer(Medium::Ethernet).place(&frame), Place::There(0));
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        assert_eq!(steer(Medium::Ethernet).place(&frame), Place::Here);
    }

    #[test]
    fn icmp_goes_to_whom_it_is_about() {
        let mut s = steer(Medium::Ip);
        let echo = |kind, ident: u16| {
            let [a, b] = ident.to_be_bytes();
            packet(protocol::ICMP, 0, &[kind, 0, 0, 0, a, b, 0, 1])
        };
        assert_eq!(s.place(&echo(8, 3)), Place::Here, "requests are anybody's");
        assert_eq!(s.place(&echo(0, 3)), Place::There(0));
        assert_eq!(s.place(&error(&echo(8, 5))), Place::There(2));
        let ours = |port| packet(protocol::UDP, 0, &ports(port, 53));
        assert_eq!(s.place(&error(&ours(32_771))), Place::There(2));
        assert_eq!(s.place(&error(&ours(32_770))), Place::Here);
        assert_eq!(s.place(&error(&ours(7))), Place::All, "any may serve it");
        assert_eq!(s.place(&error(&[0x45, 0])), Place::All);
    }

    #[test]
    fn pieces_follow_the_first() {
        let mut s = steer(Medium::Ip);
        let later = packet(protocol::UDP, 0x2001, &[0; 8]);
        assert_eq!(s.place(&later), Place::Here, "nobody knows whose");
        let first = packet(protocol::UDP, 0x2000, &ports(53, 32_771));
        assert_eq!(s.place(&first), Place::There(2));
        assert_eq!(s.place(&later), Place::There(2));
        assert_eq!(s.place(&packet(protocol::UDP, 2, &[0; 8])), Place::There(2));
        let mut other = later;
        other[4..6].copy_from_slice(&[1, 9]);
        assert_eq!(s.place(&other), Place::Here, "of another datagram");
    }

    #[test]
    fn what_is_cut_short_stays() {
        let whole = error(&packet(protocol::UDP, 0, &ports(32_771, 53)));
        for len in 0..20 {
            assert_eq!(steer(Medium::Ip).place(&whole[..len]), Place::Here);
        }
        for medium in [Medium::Ip, Medium::Ethernet] {
            for len in 0..whole.len() {
                let _ = steer(medium).place(&whole[..len]);
            }
        }
    }
}
