//! Changes in place, for middle boxes: routers, filters, address translators.
//!
//! Invariant: a checksum that was right stays right, and one that was wrong stays wrong, because
//! every change is an RFC 1624 update over the words it touches and never a new sum. Setters
//! take the fixed header as an array; the `translate_*` functions take a whole packet.

use byteorder::{ByteOrder, NetworkEndian as Be};
use core::net::{IpAddr, Ipv4Addr};

use super::checksum::{update, update_u32};
use super::udp::nonzero;
use super::{Ipv4, Sum, Tcp, Udp, WireError, protocol};

/// Setters on the fixed header. Each keeps the header checksum.
impl Ipv4 {
    /// Replaces the time to live.
    pub fn set_ttl(h: &mut [u8; 20], ttl: u8) {
        let from = Be::read_u16(&h[8..10]);
        h[8] = ttl;
        Self::header_changed(h, from, Be::read_u16(&h[8..10]));
    }

    /// Takes one hop from the time to live, as a router does before it sends a packet on. Returns
    /// what is left: at `Some(0)`, and at `None`, where nothing was left to take, the packet goes
    /// no further (RFC 1812 §5.3.1).
    pub fn decrement_ttl(h: &mut [u8; 20]) -> Option<u8> {
        let ttl = h[8].checked_sub(1)?;
        Self::set_ttl(h, ttl);
        Some(ttl)
    }

    /// Replaces type of service: DSCP in the upper six bits, ECN in the lower two.
    pub fn set_tos(h: &mut [u8; 20], tos: u8) {
        let from = Be::read_u16(&h[0..2]);
        h[1] = tos;
        Self::header_changed(h, from, Be::read_u16(&h[0..2]));
    }

    /// Replaces the identification.
    pub fn set_ident(h: &mut [u8; 20], ident: u16) {
        let from = Be::read_u16(&h[4..6]);
        Be::write_u16(&mut h[4..6], ident);
        Self::header_changed(h, from, ident);
    }

    /// Replaces the source. The checksums of TCP and UDP cover it too: see
    /// [`Tcp::readdress`], [`Udp::readdress`] and [`translate_src`](Self::translate_src).
    pub fn set_src(h: &mut [u8; 20], src: Ipv4Addr) {
        let from = Be::read_u32(&h[12..16]);
        Be::write_u32(&mut h[12..16], src.into());
        let sum = Be::read_u16(&h[10..12]);
        Be::write_u16(&mut h[10..12], update_u32(sum, from, src.into()));
    }

    /// Replaces the destination; as [`set_src`](Self::set_src) otherwise.
    pub fn set_dst(h: &mut [u8; 20], dst: Ipv4Addr) {
        let from = Be::read_u32(&h[16..20]);
        Be::write_u32(&mut h[16..20], dst.into());
        let sum = Be::read_u16(&h[10..12]);
        Be::write_u16(&mut h[10..12], update_u32(sum, from, dst.into()));
    }

    fn header_changed(h: &mut [u8; 20], from: u16, to: u16) {
        let sum = Be::read_u16(&h[10..12]);
        Be::write_u16(&mut h[10..12], update(sum, from, to));
    }

    /// Replaces the source of a packet, in the header and in the checksum of TCP or UDP.
    ///
    /// ```
    /// use netstrata::wire::{Ipv4, Udp, protocol};
    /// let mut packet = [0; 30];
    /// let ip = Ipv4::new([10, 0, 0, 1].into(), [192, 0, 2, 2].into(), protocol::UDP);
    /// let (head, datagram) = packet.split_first_chunk_mut().unwrap();
    /// ip.emit(10, head).unwrap();
    /// Udp { src: 5000, dst: 7 }.emit(&ip.header(), datagram).unwrap();
    ///
    /// Ipv4::translate_src(&mut packet, [198, 51, 100, 1].into()).unwrap();
    ///
    /// let (ip, _, datagram) = Ipv4::parse(&packet).unwrap();
    /// assert_eq!(ip.src.octets(), [198, 51, 100, 1]);
    /// assert_eq!(Udp::verify(&ip.header(), datagram), Ok(()));
    /// ```
    ///
    /// # Errors
    /// As [`parse_mut`](Self::parse_mut), and [`WireError::Truncated`] when the transport header
    /// should be there and is not; the packet is unchanged then. Later fragments have none.
    pub fn translate_src(packet: &mut [u8], src: Ipv4Addr) -> Result<(), WireError> {
        let (ip, header, payload) = Self::parse_mut(packet)?;
        let header = header.first_chunk_mut().ok_or(WireError::Truncated)?;
        ip.readdress_payload(payload, ip.src.into(), src.into())?;
        Self::set_src(header, src);
        Ok(())
    }

    /// Replaces the destination of a packet, as [`translate_src`](Self::translate_src).
    ///
    /// # Errors
    /// As `translate_src`.
    pub fn translate_dst(packet: &mut [u8], dst: Ipv4Addr) -> Result<(), WireError> {
        let (ip, header, payload) = Self::parse_mut(packet)?;
        let header = header.first_chunk_mut().ok_or(WireError::Truncated)?;
        ip.readdress_payload(payload, ip.dst.into(), dst.into())?;
        Self::set_dst(header, dst);
        Ok(())
    }

    fn readdress_payload(
        &self,
        payload: &mut [u8],
        from: IpAddr,
        to: IpAddr,
    ) -> Result<(), WireError> {
        if self.fragment_offset != 0 {
            return Ok(());
        }
        match self.protocol {
            protocol::TCP => {
                Tcp::readdress(
                    payload.first_chunk_mut().ok_or(WireError::Truncated)?,
                    from,
                    to,
                );
            }
            protocol::UDP => {
                Udp::readdress(
                    payload.first_chunk_mut().ok_or(WireError::Truncated)?,
                    from,
                    to,
                );
            }
            _ => {}
        }
        Ok(())
    }
}

/// The checksum under a pseudo header in which one address was replaced.
fn readdressed(checksum: u16, from: IpAddr, to: IpAddr) -> u16 {
    let address = |addr| match addr {
        IpAddr::V4(a) => Sum::of(&a.octets()).fold(),
        IpAddr::V6(a) => Sum::of(&a.octets()).fold(),
    };
    update(checksum, address(from), address(to))
}

/// Setters on the header. Each keeps the checksum, and a datagram without one stays without.
impl Udp {
    /// Replaces the source port.
    pub fn set_src(h: &mut [u8; 8], port: u16) {
        let from = Be::read_u16(&h[0..2]);
        Be::write_u16(&mut h[0..2], port);
        Self::resum(h, |sum| update(sum, from, port));
    }

    /// Replaces the destination port.
    pub fn set_dst(h: &mut [u8; 8], port: u16) {
        let from = Be::read_u16(&h[2..4]);
        Be::write_u16(&mut h[2..4], port);
        Self::resum(h, |sum| update(sum, from, port));
    }

    /// Follows a change of the source or destination address in the IP header.
    pub fn readdress(h: &mut [u8; 8], from: IpAddr, to: IpAddr) {
        Self::resum(h, |sum| readdressed(sum, from, to));
    }

    fn resum(h: &mut [u8; 8], change: impl FnOnce(u16) -> u16) {
        let sum = Be::read_u16(&h[6..8]);
        if sum != 0 {
            Be::write_u16(&mut h[6..8], nonzero(change(sum)));
        }
    }
}

/// Setters on the fixed header. Each keeps the checksum.
impl Tcp {
    /// Replaces the source port.
    pub fn set_src(h: &mut [u8; 20], port: u16) {
        let from = Be::read_u16(&h[0..2]);
        Be::write_u16(&mut h[0..2], port);
        Self::resum(h, |sum| update(sum, from, port));
    }

    /// Replaces the destination port.
    pub fn set_dst(h: &mut [u8; 20], port: u16) {
        let from = Be::read_u16(&h[2..4]);
        Be::write_u16(&mut h[2..4], port);
        Self::resum(h, |sum| update(sum, from, port));
    }

    /// Replaces the sequence number.
    pub fn set_seq(h: &mut [u8; 20], seq: u32) {
        let from = Be::read_u32(&h[4..8]);
        Be::write_u32(&mut h[4..8], seq);
        Self::resum(h, |sum| update_u32(sum, from, seq));
    }

    /// Replaces the acknowledgment number.
    pub fn set_ack(h: &mut [u8; 20], ack: u32) {
        let from = Be::read_u32(&h[8..12]);
        Be::write_u32(&mut h[8..12], ack);
        Self::resum(h, |sum| update_u32(sum, from, ack));
    }

    /// Replaces the window.
    pub fn set_window(h: &mut [u8; 20], window: u16) {
        let from = Be::read_u16(&h[14..16]);
        Be::write_u16(&mut h[14..16], window);
        Self::resum(h, |sum| update(sum, from, window));
    }

    /// Follows a change of the source or destination address in the IP header.
    pub fn readdress(h: &mut [u8; 20], from: IpAddr, to: IpAddr) {
        Self::resum(h, |sum| readdressed(sum, from, to));
    }

    fn resum(h: &mut [u8; 20], change: impl FnOnce(u16) -> u16) {
        let sum = Be::read_u16(&h[16..18]);
        Be::write_u16(&mut h[16..18], change(sum));
    }
}
