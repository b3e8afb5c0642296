//! What a congested router does to a packet that is ECN-capable instead of losing it
//! (RFC 3168 §5). Pure. Invariant: a frame that is no whole IPv4 header, or whose checksum is
//! wrong, is left alone; the checksum of one that is changed stays right (RFC 1624).

/// Octets of an Ethernet header, and where its type is.
const ETHERNET: usize = 14;
const TYPE: usize = 12;
const VLAN: usize = 4;

/// Sets the ECN field of a packet that says it is capable to "congestion experienced". Finds
/// the packet behind an Ethernet header with 802.1Q tags or none, or at the front of the frame.
/// True if it did.
pub(crate) fn mark(frame: &mut [u8]) -> bool {
    let at = match frame.get(TYPE..ETHERNET) {
        Some([0x08, 0x00]) => ETHERNET,
        Some([0x81, 0x00]) => match frame.get(TYPE + VLAN..ETHERNET + VLAN) {
            Some([0x08, 0x00]) => ETHERNET + VLAN,
            _ => 0,
        },
        _ => 0,
    };
    // Octets of an IP packet may look like the type of a frame.
    [at, 0]
        .into_iter()
        .any(|at| frame.get_mut(at..).is_some_and(mark_packet))
}

fn mark_packet(packet: &mut [u8]) -> bool {
    let len = match packet.first() {
        Some(first) if first >> 4 == 4 => usize::from(first & 15) * 4,
        _ => return false,
    };
    let Some(header) = packet.get_mut(..len).filter(|header| header.len() >= 20) else {
        return false;
    };
    let intact = header
        .chunks_exact(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum::<u32>()
        % 0xffff
        == 0;
    let capable = matches!(header[1] & 3, 1 | 2);
    if !intact || !capable {
        return false;
    }
    let added = u32::from(3 - (header[1] & 3));
    header[1] |= 3;
    // HC' = ~(~HC + m' - m), of which the difference is `added`.
    let sum = u32::from(!u16::from_be_bytes([header[10], header[11]])) + added;
    let folded = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const PACKET: [u8; 20] = [
        0x45, 0x02, 0, 20, 0, 0, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
    ];

    fn sum(header: &[u8]) -> u16 {
        let words = header.chunks_exact(2);
        let sum: u32 = words
            .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
            .sum();
        (sum % 0xffff) as u16
    }

    fn packet(ecn: u8, ident: u16) -> [u8; 20] {
        let mut packet = PACKET;
        packet[1] = 0xb8 | ecn;
        packet[4..6].copy_from_slice(&ident.to_be_bytes());
        let checksum = !sum(&packet);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet
    }

    #[test]
    fn capable_packets_are_marked_and_no_others() {
        for ident in 0..=u16::MAX {
            for ecn in 0..4 {
                let mut packet = packet(ecn, ident);
                let capable = ecn == 1 || ecn == 2;
                assert_eq!(mark(&mut packet), capable);
                assert_eq!(packet[1], 0xb8 | if capable { 3 } else { ecn });
                assert_eq!(sum(&packet), 0, "{ident}");
            }
        }
    }

    #[test]
    fn packets_are_found_in_frames() {
        let plain: &[u8] = &[&[2; 12][..], &[8, 0]].concat();
        let tagged: &[u8] = &[&[2; 12][..], &[0x81, 0, 0, 7, 8, 0]].concat();
        for front in [plain, tagged] {
            let mut frame = [front, &packet(2, 9)].concat();
            assert!(mark(&mut frame));
            assert_eq!(frame[front.len()..], {
                let mut marked = packet(2, 9);
                assert!(mark(&mut marked));
                marked
            });
        }
    }

    #[test]
    fn what_is_no_packet_is_left_alone() {
        let whole = packet(2, 9);
        let mut broken = whole;
        broken[8] = 63;
        let arp = [&[2; 12][..], &[8, 6], &whole].concat();
        let six = [&[2; 12][..], &[0x86, 0xdd], &whole].concat();
        let frames: [Vec<u8>; 6] = [
            Vec::new(),
            whole[..19].to_vec(),
            broken.to_vec(),
            arp,
            six,
            [&[2; 12][..], &[8, 0]].concat(),
        ];
        for mut frame in frames {
            let before = frame.clone();
            assert!(!mark(&mut frame), "{before:x?}");
            assert_eq!(frame, before);
        }
    }
}
