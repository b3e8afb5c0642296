//! What the kernel makes of frames that hold several UDP datagrams (`VIRTIO_NET_HDR_GSO_UDP_L4`,
//! Virtual I/O Device 1.2 §5.1.6; Linux 6.2 and later). Invariant: where it is not known to take
//! them, none is offered; datagrams then leave one by one. Where it was thought to and refuses one,
//! its datagrams are sent one by one, and no other is offered.

use std::vec::Vec;

use nix::errno::Errno;

use crate::health::Health;
use crate::{Capabilities, GsoLimits, Medium, vnet};

/// Limits of such a frame: a packet's length field, and what a receiver of the same host takes
/// apart (`UDP_MAX_SEGMENTS` of all kernels that know these frames).
pub(crate) const LIMITS: GsoLimits = GsoLimits {
    max_size: 65_535,
    max_segments: 64,
};

/// Does the running kernel know such frames on packet sockets? It cannot be asked, so its version
/// decides.
pub(crate) fn known() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| since_6_2(&release))
}

fn since_6_2(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return false;
    };
    let version: (u32, u32) = (major, minor);
    version >= (6, 2)
}

/// Octets of a UDP header, and of an IPv4 header without options.
const UDP: usize = 8;
const IP: usize = 20;

/// Does what is to be done when the kernel answered `errno` to the frame `octets`, a virtio-net
/// header included: was that because it holds several datagrams, `write` gets them one by one, and
/// no such frame is offered in `caps` any more. False if it was not.
pub(crate) fn fall_back(
    errno: Errno,
    medium: Medium,
    octets: &[u8],
    caps: &mut Capabilities,
    health: &mut Health,
    mut write: impl FnMut(&[u8]) -> Result<usize, Errno>,
) -> bool {
    if !matches!(errno, Errno::EINVAL | Errno::EOPNOTSUPP) {
        return false;
    }
    let Some(datagrams) = Datagrams::of(medium, octets) else {
        return false;
    };
    *caps = caps.with_uso(None);
    for frame in datagrams {
        match write(&frame) {
            Ok(_) => {
                health.wrote(1);
                health.went();
            }
            Err(errno) => {
                health.wrote(0);
                health.failed(errno);
            }
        }
    }
    true
}

/// The datagrams of a super-frame over IPv4, each as a frame behind a virtio-net header.
struct Datagrams<'a> {
    header: [u8; vnet::LEN],
    /// Link, IP and UDP header.
    head: &'a [u8],
    /// Where the IP header begins in it.
    ip: usize,
    data: &'a [u8],
    each: usize,
    number: u16,
}

impl<'a> Datagrams<'a> {
    fn of(medium: Medium, octets: &'a [u8]) -> Option<Self> {
        let (header, frame) = octets.split_first_chunk::<{ vnet::LEN }>()?;
        let (each, udp) = vnet::datagrams(header)?;
        let packet = vnet::packet(medium, frame)?;
        let ip = frame.len().checked_sub(packet.len())?;
        let (head, data) = frame.split_at_checked(udp.checked_add(UDP)?)?;
        let v4 = packet.first()? >> 4 == 4 && ip.checked_add(IP)? <= udp;
        v4.then_some(Self {
            header: vnet::datagram(header),
            head,
            ip,
            data,
            each,
            number: 0,
        })
    }

    /// The head of the next datagram, whose data has `len` octets.
    fn head(&self, len: usize) -> Option<Vec<u8>> {
        let mut head = self.head.to_vec();
        let (packet, udp) = head.get_mut(self.ip..)?.split_last_chunk_mut::<UDP>()?;
        let datagram = UDP.checked_add(len)?;
        let whole = u16::try_from(packet.len().checked_add(datagram)?).ok()?;
        let datagram = u16::try_from(datagram).ok()?.to_be_bytes();
        let [
            _,
            _,
            l0,
            l1,
            i0,
            i1,
            _,
            _,
            _,
            protocol,
            c0,
            c1,
            addresses @ ..,
        ] = packet
        else {
            return None;
        };
        let ident = u16::from_be_bytes([*i0, *i1]).wrapping_add(self.number);
        ([*l0, *l1], [*i0, *i1], [*c0, *c1]) = (whole.to_be_bytes(), ident.to_be_bytes(), [0; 2]);
        // The device completes what begins with the pseudo header (RFC 768).
        let pseudo = sum(addresses.get(..8)?) + u32::from(*protocol) + sum(&datagram);
        let [_, _, _, _, rest @ ..] = udp;
        let ([d0, d1], [p0, p1]) = (datagram, fold(pseudo).to_be_bytes());
        *rest = [d0, d1, p0, p1];
        let own = (!fold(sum(packet))).to_be_bytes();
        packet.get_mut(10..12)?.copy_from_slice(&own);
        Some(head)
    }
}

impl Iterator for Datagrams<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let (now, rest) = match self.data.split_at_checked(self.each) {
            Some(split) => split,
            None if self.data.is_empty() => return None,
            None => (self.data, &[][..]),
        };
        let head = self.head(now.len())?;
        self.data = rest;
        self.number = self.number.wrapping_add(1);
        let mut frame = self.header.to_vec();
        frame.extend_from_slice(&head);
        frame.extend_from_slice(now);
        Some(frame)
    }
}

/// The sum of 16-bit words (RFC 1071) of at most a header's length.
fn sum(octets: &[u8]) -> u32 {
    let words = octets.chunks(2).map(|word| match word {
        [a, b] => u32::from(u16::from_be_bytes([*a, *b])),
        [a] => u32::from(u16::from_be_bytes([*a, 0])),
        _ => 0,
    });
    words.sum()
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Csum, Gso, TxMeta};

    #[test]
    fn versions_are_compared_as_numbers() {
        for old in ["5.15.0-generic", "6.1.99", "6.0", "4.19", "6", "", "x.y"] {
            assert!(!since_6_2(old), "{old}");
        }
        for new in ["6.2.0", "6.12.1-amd64", "6.18", "10.0.0", "7.0-rc1"] {
            assert!(since_6_2(new), "{new}");
        }
    }

    /// A super-datagram behind its header, of `len` octets in datagrams of 100, to port 9.
    fn super_datagram(medium: Medium, len: usize) -> Vec<u8> {
        let link: &[u8] = match medium {
            Medium::Ip => &[],
            // With a tag (IEEE 802.1Q).
            Medium::Ethernet => &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 0x08, 0],
        };
        let mut frame = link.to_vec();
        let mut ip = [
            0x45, 0, 0, 0, 0xff, 0xff, 0, 0, 64, 17, 0xde, 0xad, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        ip[2..4].copy_from_slice(&(28 + len as u16).to_be_bytes());
        frame.extend(ip);
        frame.extend([0x9c, 0x40, 0, 9]);
        frame.extend((8 + len as u16).to_be_bytes());
        frame.extend([0xbe, 0xef]);
        frame.extend((0..len).map(|n| n as u8));
        let start = (link.len() + 20) as u16;
        let csum = Some(Csum { start, offset: 6 });
        let gso = Some(Gso {
            mss: 100,
            header: start + 8,
        });
        let meta = TxMeta {
            csum,
            gso,
            ..TxMeta::NONE
        };
        let header = vnet::from_tx(meta, medium, &frame, frame.len()).unwrap();
        [&header[..], &frame].concat()
    }

    /// The internet checksum (RFC 1071) as the RFC has it.
    fn sum(octets: &[u8]) -> u16 {
        let words = octets
            .chunks(2)
            .map(|w| u32::from(u16::from_be_bytes([w[0], w.get(1).copied().unwrap_or(0)])));
        let mut sum: u32 = words.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// A device that refuses super-datagrams gets each datagram by itself, and is offered none
    /// any more.
    #[test]
    fn what_is_refused_goes_datagram_by_datagram() {
        for medium in [Medium::Ip, Medium::Ethernet] {
            let mut caps = Capabilities::new(1500).with_uso(Some(LIMITS));
            let mut health = Health::new(true);
            let octets = super_datagram(medium, 250);
            let mut taken = Vec::new();
            let device = |frame: &[u8]| {
                if vnet::datagrams(frame.first_chunk().unwrap()).is_some() {
                    return Err(Errno::EINVAL);
                }
                taken.push(frame.to_vec());
                Ok(frame.len())
            };
            let refused = Errno::EINVAL;
            assert!(fall_back(
                refused,
                medium,
                &octets,
                &mut caps,
                &mut health,
                device
            ));
            assert_eq!(caps.uso, None);
            assert_eq!((health.io.frames_out, health.lost()), (3, 0));
            assert!(health.take_error().is_none());
            let link = octets.len() - vnet::LEN - 28 - 250;
            let mut data = Vec::new();
            for (n, (piece, len)) in taken.iter().zip([100, 100, 50]).enumerate() {
                let (header, frame) = piece.split_first_chunk::<{ vnet::LEN }>().unwrap();
                assert_eq!(vnet::to_rx(header, frame.len()).gro, None);
                assert_eq!(frame[..link], octets[vnet::LEN..][..link]);
                let packet = &frame[link..];
                assert_eq!(packet.len(), 28 + len);
                assert_eq!(packet[2..4], (28 + len as u16).to_be_bytes());
                assert_eq!(
                    packet[4..6],
                    0xffff_u16.wrapping_add(n as u16).to_be_bytes()
                );
                assert_eq!(sum(&packet[..20]), 0xffff, "the header's checksum");
                assert_eq!(packet[24..26], (8 + len as u16).to_be_bytes());
                // What the device is to complete begins with the pseudo header (RFC 768).
                let mut pseudo = packet[12..20].to_vec();
                pseudo.extend([0, 17]);
                pseudo.extend_from_slice(&packet[24..26]);
                assert_eq!(packet[26..28], sum(&pseudo).to_be_bytes());
                data.extend_from_slice(&packet[28..]);
            }
            assert_eq!(taken.len(), 3);
            assert!(data == octets[octets.len() - 250..]);
        }
    }

    #[test]
    fn other_errors_and_other_frames_are_left_alone() {
        let mut health = Health::new(true);
        let mut caps = Capabilities::new(1500).with_uso(Some(LIMITS));
        let octets = super_datagram(Medium::Ip, 250);
        let mut plain = octets.clone();
        plain[..vnet::LEN].fill(0);
        for (errno, octets) in [
            (Errno::EAGAIN, &octets),
            (Errno::EINVAL, &plain),
            (Errno::EINVAL, &Vec::new()),
        ] {
            let never = |_: &[u8]| unreachable!("nothing is sent");
            let done = fall_back(errno, Medium::Ip, octets, &mut caps, &mut health, never);
            assert!(!done);
            assert!(caps.uso.is_some());
        }
        // Whatever is in it: no panic.
        for len in 0..octets.len() {
            let mut caps = caps;
            let some = octets.get(..len).unwrap();
            fall_back(
                Errno::EINVAL,
                Medium::Ip,
                some,
                &mut caps,
                &mut health,
                |f| Ok(f.len()),
            );
        }
    }
}
