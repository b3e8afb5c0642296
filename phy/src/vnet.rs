//! The virtio-net header before each frame of a tap or packet socket that negotiated it
//! (Virtual I/O Device 1.2 §5.1.6), to and from metadata. Pure functions on bytes; numbers
//! are in the byte order of the host, as the Linux kernel has them unless told otherwise.
//! Whatever the other side writes into a header, reading it cannot fail: what makes no sense
//! says nothing about the frame.

use crate::{Csum, Gso, Medium, RxCsum, RxMeta, TxMeta};

/// Length of the header in octets.
pub const LEN: usize = 10;

/// `flags`: the receiver completes the checksum at `csum_start + csum_offset`.
const NEEDS_CSUM: u8 = 1;
/// `flags`: the checksum was verified.
const DATA_VALID: u8 = 2;

/// `gso_type`: one frame, nothing to segment.
const GSO_NONE: u8 = 0;
/// `gso_type`: TCP over IPv4.
const GSO_TCPV4: u8 = 1;
/// `gso_type`: TCP over IPv6.
const GSO_TCPV6: u8 = 4;
/// `gso_type`: UDP datagrams of equal size.
const GSO_UDP_L4: u8 = 5;
/// Where in the transport header the checksum is, if it is that of UDP (RFC 768).
const UDP_CSUM: u16 = 6;
/// `gso_type`: beside a TCP type, segments may carry CWR (RFC 3168 §6.1.2).
const GSO_ECN: u8 = 0x80;

/// The fields of the header as they lie in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Fields {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
}

impl Fields {
    const fn parse(header: &[u8; LEN]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] = *header;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([h0, h1]),
            gso_size: u16::from_ne_bytes([g0, g1]),
            csum_start: u16::from_ne_bytes([s0, s1]),
            csum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    const fn emit(self) -> [u8; LEN] {
        let [h0, h1] = self.hdr_len.to_ne_bytes();
        let [g0, g1] = self.gso_size.to_ne_bytes();
        let [s0, s1] = self.csum_start.to_ne_bytes();
        let [o0, o1] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1]
    }
}

/// What `header` says about a received frame of `len` octets.
///
/// `NEEDS_CSUM` counts as valid: such a frame was made on this host and has not crossed a
/// wire. For a super-frame of UDP, [`RxMeta::gro`] is the size of each datagram's payload,
/// and the receiver must split it.
#[must_use]
pub fn to_rx(header: &[u8; LEN], len: usize) -> RxMeta {
    let fields = Fields::parse(header);
    let field_end = usize::from(fields.csum_start) + usize::from(fields.csum_offset) + 2;
    let unfinished = fields.flags & NEEDS_CSUM != 0 && field_end <= len;
    let verified = fields.flags & (NEEDS_CSUM | DATA_VALID) == DATA_VALID;
    let csum = if unfinished || verified {
        RxCsum::Valid
    } else {
        RxCsum::Unknown
    };
    let gro = match fields.gso_type & !GSO_ECN {
        GSO_TCPV4 | GSO_TCPV6 | GSO_UDP_L4 => Some(fields.gso_size),
        _ => None,
    };
    RxMeta::new().with_csum(csum).with_gro(gro)
}

/// The header for a frame of `len` octets that begins with `start` (at least the link and
/// IP headers) and asks for `meta`. `None` if the request cannot be expressed: offsets
/// outside the frame, or segmentation of what is not IP.
#[must_use]
pub fn from_tx(meta: TxMeta, medium: Medium, start: &[u8], len: usize) -> Option<[u8; LEN]> {
    let mut fields = Fields::default();
    if let Some(Csum { start, offset }) = meta.csum {
        if usize::from(start) + usize::from(offset) + 2 > len {
            return None;
        }
        fields.flags = NEEDS_CSUM;
        fields.csum_start = start;
        fields.csum_offset = offset;
    }
    // A frame that fits one segment goes as it is: the kernel refuses a needless request.
    if let Some(Gso { mss, header }) = meta.gso
        && len > usize::from(header) + usize::from(mss)
    {
        if mss == 0 || fields.flags == 0 {
            return None;
        }
        let version = packet(medium, start)?.first()? >> 4;
        fields.gso_type = match (version, fields.csum_offset) {
            (4 | 6, UDP_CSUM) => GSO_UDP_L4,
            (4, _) => GSO_TCPV4,
            (6, _) => GSO_TCPV6,
            _ => return None,
        };
        fields.hdr_len = header;
        fields.gso_size = mss;
    } else {
        fields.gso_type = GSO_NONE;
    }
    Some(fields.emit())
}

/// What the header of a super-frame of UDP says: octets of each datagram's data, and where in the
/// frame the UDP header is. `None` if it is of any other frame.
#[must_use]
pub fn datagrams(header: &[u8; LEN]) -> Option<(usize, usize)> {
    let fields = Fields::parse(header);
    let these = fields.gso_type == GSO_UDP_L4 && fields.flags & NEEDS_CSUM != 0;
    let each = usize::from(fields.gso_size);
    (these && each > 0).then_some((each, fields.csum_start.into()))
}

/// The header of one datagram of such a frame.
#[must_use]
pub fn datagram(header: &[u8; LEN]) -> [u8; LEN] {
    Fields {
        gso_type: GSO_NONE,
        hdr_len: 0,
        gso_size: 0,
        ..Fields::parse(header)
    }
    .emit()
}

/// The packet in a frame, behind at most two 802.1Q tags.
#[must_use]
pub fn packet(medium: Medium, frame: &[u8]) -> Option<&[u8]> {
    if medium == Medium::Ip {
        return Some(frame);
    }
    let (_, mut rest) = frame.split_at_checked(12)?;
    for _ in 0..2 {
        rest = match rest {
            [0x81, 0x00, _, _, inner @ ..] | [0x88, 0xa8, _, _, inner @ ..] => inner,
            _ => break,
        };
    }
    match rest {
        [0x08, 0x00, packet @ ..] | [0x86, 0xdd, packet @ ..] => Some(packet),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    const SEGMENT: TxMeta = TxMeta {
        csum: Some(Csum {
            start: 34,
            offset: 16,
        }),
        gso: Some(Gso {
            mss: 1460,
            header: 54,
        }),
        stamp: None,
    };

    fn ethernet(ethertype: &[u8], version: u8) -> std::vec::Vec<u8> {
        let mut frame = std::vec![0; 12];
        frame.extend_from_slice(ethertype);
        frame.push(version << 4);
        frame
    }

    fn gso_type(medium: Medium, start: &[u8]) -> Option<u8> {
        from_tx(SEGMENT, medium, start, 9000).map(|header| header[1])
    }

    #[test]
    fn the_packet_is_found_behind_tags() {
        use Medium::{Ethernet, Ip};
        assert_eq!(gso_type(Ip, &[0x45]), Some(GSO_TCPV4));
        assert_eq!(gso_type(Ip, &[0x60]), Some(GSO_TCPV6));
        assert_eq!(gso_type(Ip, &[0x00]), None);
        assert_eq!(gso_type(Ip, &[]), None);
        assert_eq!(gso_type(Ethernet, &ethernet(&[8, 0], 4)), Some(GSO_TCPV4));
        let tagged = [0x81, 0, 0, 5, 0x86, 0xdd];
        assert_eq!(gso_type(Ethernet, &ethernet(&tagged, 6)), Some(GSO_TCPV6));
        let twice = [0x88, 0xa8, 0, 1, 0x81, 0, 0, 5, 8, 0];
        assert_eq!(gso_type(Ethernet, &ethernet(&twice, 4)), Some(GSO_TCPV4));
        assert_eq!(gso_type(Ethernet, &ethernet(&[8, 6], 4)), None);
        assert_eq!(gso_type(Ethernet, &[0; 13]), None);
    }

    #[test]
    fn the_checksum_tells_datagrams_from_segments() {
        let mut datagrams = SEGMENT;
        datagrams.csum = Some(Csum {
            start: 34,
            offset: 6,
        });
        for (version, tcp) in [(0x45, GSO_TCPV4), (0x60, GSO_TCPV6)] {
            let header = from_tx(datagrams, Medium::Ip, &[version], 9000).unwrap();
            assert_eq!(header[1], GSO_UDP_L4);
            assert_eq!(to_rx(&header, 9000), RxMeta::handed_over(datagrams));
            assert_eq!(gso_type(Medium::Ip, &[version]), Some(tcp));
        }
    }

    #[test]
    fn what_fits_one_segment_is_not_segmented() {
        let start = [0x45];
        let at_most = from_tx(SEGMENT, Medium::Ip, &start, 54 + 1460);
        let one_more = from_tx(SEGMENT, Medium::Ip, &start, 54 + 1461);
        assert_eq!(at_most.map(|h| h[1]), Some(GSO_NONE));
        assert_eq!(one_more.map(|h| h[1]), Some(GSO_TCPV4));
    }

    #[test]
    fn senseless_requests_are_refused() {
        let short = from_tx(SEGMENT, Medium::Ip, &[0x45], 34 + 16 + 1);
        assert_eq!(short, None, "checksum field outside of the frame");
        let mut unsummed = SEGMENT;
        unsummed.csum = None;
        assert_eq!(from_tx(unsummed, Medium::Ip, &[0x45], 9000), None);
        let mut empty = SEGMENT;
        empty.gso = Some(Gso { mss: 0, header: 54 });
        assert_eq!(from_tx(empty, Medium::Ip, &[0x45], 9000), None);
        let far = TxMeta::NONE.shifted(9);
        assert_eq!(from_tx(far, Medium::Ip, &[], 0), Some([0; LEN]));
    }

    #[test]
    fn no_header_from_the_host_is_trusted_blindly() {
        // Every value of the two octets that select a meaning, with extreme numbers.
        for flags in 0..=u8::MAX {
            for gso_type in 0..=u8::MAX {
                let mut header = [0xff; LEN];
                header[0] = flags;
                header[1] = gso_type;
                let meta = to_rx(&header, 60);
                if flags & NEEDS_CSUM != 0 {
                    assert_eq!(meta.csum, RxCsum::Unknown, "field beyond the frame");
                }
                header[4..6].fill(0);
                assert_eq!(to_rx(&header, 60).gro, None, "segments of no octets");
            }
        }
    }

    #[test]
    fn what_we_send_is_what_a_receiver_of_the_header_learns() {
        let header = from_tx(SEGMENT, Medium::Ip, &[0x45], 9000).unwrap();
        assert_eq!(to_rx(&header, 9000), RxMeta::handed_over(SEGMENT));
        let plain = from_tx(TxMeta::NONE, Medium::Ip, &[0x45], 60).unwrap();
        assert_eq!(to_rx(&plain, 60), RxMeta::new());
        let mut ecn = header;
        ecn[1] |= GSO_ECN;
        assert_eq!(to_rx(&ecn, 9000).gro, Some(1460));
        let verified = [DATA_VALID, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(to_rx(&verified, 60).csum, RxCsum::Valid);
    }
}
