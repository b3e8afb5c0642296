//! The header of a train of segments, written once.
//!
//! Invariant: what [`TcpTemplate::emit`] writes is what [`Tcp::emit_summed`] would write for the
//! same header with another sequence number and other flags: between the segments of a train
//! nothing else differs, and their checksums follow from one sum (RFC 1624 §2).

use byteorder::{ByteOrder, NetworkEndian as Be};

use super::checksum::copy_and_sum_many;
use super::{IpHeader, OptionBytes, Sum, Tcp, TcpFlags, WireError};

/// A header with options, without sequence number, flags and checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TcpTemplate {
    head: [u8; Tcp::LEN + Tcp::MAX_OPTIONS],
    len: usize,
    /// Sum of the pseudo header but for its length, and of `head`.
    sum: Sum,
}

impl TcpTemplate {
    /// For segments with this header but for `seq` and `flags`, and these options.
    pub fn new(ip: &IpHeader, header: &Tcp, options: &OptionBytes) -> Result<Self, WireError> {
        let mut all = [0; Tcp::LEN + Tcp::MAX_OPTIONS];
        let len = Tcp::LEN.saturating_add(options.len());
        let head = all.get_mut(..len).ok_or(WireError::BadLength)?;
        let plain = Tcp {
            seq: 0,
            flags: TcpFlags::NONE,
            ..*header
        };
        plain.write(options.as_slice(), 0, head)?;
        let sum = ip.pseudo(0).add_bytes(head);
        Ok(Self {
            head: all,
            len,
            sum,
        })
    }

    /// Octets of header and options, 20 to 60.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Writes the header of the segment with this sequence number, these flags and a payload
    /// elsewhere, of `payload_len` octets and this sum. `head` is [`len`](Self::len) octets; of
    /// another length nothing is written.
    #[inline]
    pub fn emit(
        &self,
        (seq, flags): (u32, TcpFlags),
        payload_len: usize,
        payload: Sum,
        head: &mut [u8],
    ) {
        if let Ok(usual) = <&mut [u8; Tcp::USUAL]>::try_from(&mut *head)
            && let Some(from) = self.head.first_chunk()
            && self.len == Tcp::USUAL
        {
            *usual = *from;
        } else if let Some(from) = self.head.get(..self.len).filter(|h| h.len() == head.len()) {
            head.copy_from_slice(from);
        }
        let Some(h) = head.first_chunk_mut::<{ Tcp::LEN }>() else {
            return;
        };
        let sum = self
            .sum
            .add_u32(seq)
            .add_u16(flags.bits())
            .add_u32((self.len as u32).wrapping_add(payload_len as u32))
            .add_sum(payload);
        Be::write_u32(&mut h[4..8], seq);
        let [high, low] = flags.bits().to_be_bytes();
        h[12] |= high;
        h[13] = low;
        Be::write_u16(&mut h[16..18], sum.finish());
    }

    /// As [`emit`](Self::emit), with the payload behind the header: it is copied from where it
    /// is, in two pieces, and summed on the way. `segment` is as long as header and payload.
    #[inline]
    pub fn emit_with(&self, line: (u32, TcpFlags), payload: [&[u8]; 2], segment: &mut [u8]) {
        let [first, second] = payload;
        let Some((head, room)) = segment.split_at_mut_checked(self.len) else {
            return;
        };
        let Some((upper, lower)) = room.split_at_mut_checked(first.len()) else {
            return;
        };
        let mut sum = copy_and_sum_many(upper, first).unwrap_or_default();
        if !second.is_empty() {
            sum = sum.add_sum(copy_and_sum_many(lower, second).unwrap_or_default());
        }
        self.emit(line, first.len().wrapping_add(second.len()), sum, head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{TcpOptions, protocol};

    /// Every segment of a train has the header that it would have alone.
    #[test]
    fn trains_have_the_headers_of_their_segments() {
        let v4 = IpHeader::new(
            [192, 0, 2, 1].into(),
            [198, 51, 100, 7].into(),
            protocol::TCP,
        );
        let v6 = IpHeader::new(
            [0xfe80, 0, 0, 0, 1, 2, 3, 4].into(),
            [9; 8].into(),
            protocol::TCP,
        );
        let stamps = TcpOptions {
            timestamps: Some((0xffff_ffff, 7)),
            ..TcpOptions::NONE
        };
        let syn = TcpOptions {
            mss: Some(1460),
            window_scale: Some(14),
            ..stamps
        };
        let text: [u8; 99] = core::array::from_fn(|i| i as u8 ^ 0xa5);
        for options in [TcpOptions::NONE, stamps, syn].map(|options| options.emit()) {
            for ip in [v4, v6] {
                let first = Tcp {
                    src: 65_535,
                    dst: 80,
                    seq: u32::MAX - 50,
                    ack: 77,
                    flags: TcpFlags::ACK | TcpFlags::AE,
                    window: 0xfffe,
                    urgent: 3,
                };
                let template = TcpTemplate::new(&ip, &first, &options).unwrap();
                for len in 0..text.len() {
                    let seq = first.seq.wrapping_add(len as u32);
                    let last = len == 98;
                    let more = if last { TcpFlags::PSH } else { TcpFlags::NONE };
                    let flags = first.flags | more;
                    let header = Tcp {
                        seq,
                        flags,
                        ..first
                    };
                    let sum = Sum::of(&text[..len]);
                    let mut alone = [0; 60];
                    let mut train = [0xee; 60];
                    let head = template.len();
                    header
                        .emit_summed(&ip, options.as_slice(), len, sum, &mut alone[..head])
                        .unwrap();
                    template.emit((seq, flags), len, sum, &mut train[..head]);
                    assert_eq!(alone[..head], train[..head]);
                    let mut whole = [0xee; 160];
                    let (a, b) = text[..len].split_at(len / 3);
                    template.emit_with((seq, flags), [a, b], &mut whole[..head + len]);
                    assert_eq!(whole[..head], train[..head]);
                    assert_eq!(whole[head..head + len], text[..len]);
                    assert_eq!(train[head..], [0xee; 60][head..]);
                }
            }
        }
    }
}
