//! Address resolution (RFC 826) for IPv4 over Ethernet.
//!
//! Invariant: a parsed value speaks of six-octet hardware addresses and IPv4; anything else
//! is refused. Whether the addresses make sense is for the neighbour table.

use byteorder::{ByteOrder, NetworkEndian as Be};
use core::net::Ipv4Addr;

use super::{Mac, WireError};

/// An ARP message.
///
/// ```
/// use netstrata::wire::{Arp, Mac};
/// let us = (Mac([2, 0, 0, 0, 0, 1]), [10, 0, 0, 1].into());
/// let asked = Arp::request(us, [10, 0, 0, 2].into());
/// let answer = asked.reply(Mac([2, 0, 0, 0, 0, 2]));
/// assert_eq!(answer.target, us);
/// let mut octets = [0; Arp::LEN];
/// answer.emit(&mut octets);
/// assert_eq!(Arp::parse(&octets), Ok(answer));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arp {
    /// [`Arp::REQUEST`] or [`Arp::REPLY`]; others are to be ignored.
    pub op: u16,
    /// Addresses of the station that speaks.
    pub sender: (Mac, Ipv4Addr),
    /// Addresses of the station that is asked for, or answered.
    pub target: (Mac, Ipv4Addr),
}

impl Arp {
    /// Octets of a message; frames may carry padding after it.
    pub const LEN: usize = 28;
    /// Who has this address?
    pub const REQUEST: u16 = 1;
    /// I have.
    pub const REPLY: u16 = 2;

    /// Hardware Ethernet (1), protocol IPv4, address lengths 6 and 4.
    const PREFIX: [u8; 6] = [0, 1, 8, 0, 6, 4];

    /// Reads a message.
    ///
    /// # Errors
    /// [`WireError::BadType`] unless it is about IPv4 over Ethernet.
    pub fn parse(h: &[u8; 28]) -> Result<Self, WireError> {
        let [p0, p1, p2, p3, p4, p5, o0, o1, rest @ ..] = *h;
        if [p0, p1, p2, p3, p4, p5] != Self::PREFIX {
            return Err(WireError::BadType);
        }
        let [s0, s1, s2, s3, s4, s5, a, b, c, d, rest @ ..] = rest;
        let [t0, t1, t2, t3, t4, t5, e, f, g, i] = rest;
        Ok(Self {
            op: u16::from_be_bytes([o0, o1]),
            sender: (Mac([s0, s1, s2, s3, s4, s5]), Ipv4Addr::from([a, b, c, d])),
            target: (Mac([t0, t1, t2, t3, t4, t5]), Ipv4Addr::from([e, f, g, i])),
        })
    }

    /// Writes the message.
    pub fn emit(&self, h: &mut [u8; 28]) {
        h[0..6].copy_from_slice(&Self::PREFIX);
        Be::write_u16(&mut h[6..8], self.op);
        h[8..14].copy_from_slice(&self.sender.0.0);
        h[14..18].copy_from_slice(&self.sender.1.octets());
        h[18..24].copy_from_slice(&self.target.0.0);
        h[24..28].copy_from_slice(&self.target.1.octets());
    }

    /// Asks who has `ip`.
    pub const fn request(us: (Mac, Ipv4Addr), ip: Ipv4Addr) -> Self {
        Self {
            op: Self::REQUEST,
            sender: us,
            target: (Mac::ZERO, ip),
        }
    }

    /// Answers this request in the name of its target address, which is at `mac`.
    pub const fn reply(&self, mac: Mac) -> Self {
        Self {
            op: Self::REPLY,
            sender: (mac, self.target.1),
            target: self.sender,
        }
    }

    /// Asks whether `ip` is free (RFC 5227 §2.1.1): the sender address is zero, so that nobody
    /// learns it.
    pub const fn probe(mac: Mac, ip: Ipv4Addr) -> Self {
        Self::request((mac, Ipv4Addr::UNSPECIFIED), ip)
    }

    /// Tells everybody that `ip` is at `mac` (RFC 5227 §2.3).
    pub const fn announcement(mac: Mac, ip: Ipv4Addr) -> Self {
        Self::request((mac, ip), ip)
    }

    /// Whether this is somebody's [`probe`](Self::probe).
    pub fn is_probe(&self) -> bool {
        self.op == Self::REQUEST && self.sender.1.is_unspecified()
    }

    /// Whether this is an [`announcement`](Self::announcement), also in the form of a reply.
    pub fn is_announcement(&self) -> bool {
        self.sender.1 == self.target.1 && !self.sender.1.is_unspecified()
    }
}
