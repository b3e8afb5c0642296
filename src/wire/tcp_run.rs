//! The header of a run of segments, which the next one has again but for its sequence number.
//!
//! Invariant: a segment that is [`TcpRun::next`] differs from the one before it in text, checksum
//! and PSH only, and follows right behind it; that it belongs to the same two hosts is for the
//! caller to know. Its text is what is behind the header, none of it missing. Called by
//! [`tcp`](crate::tcp).

use super::{IpHeader, Sum, Tcp, TcpFlags};

/// Octets of a header with timestamps, as nearly all segments of a connection have it.
const LEN: usize = 32;
/// Octets of the longest segment.
const LONGEST: usize = 0xffff;

/// Flags, data offset and window as one word, without PSH, which the last segment of a write has.
const SAME: u32 = !((TcpFlags::PSH.bits() as u32) << 16);

/// The header of a segment with timestamps and no other option.
#[derive(Debug, Clone, Copy)]
pub struct TcpRun {
    /// Ports.
    ports: [u8; 4],
    /// Sequence number of the next segment.
    seq: u32,
    /// Acknowledgment number, then data offset, flags and window.
    ack: [u8; 4],
    line: u32,
    /// Urgent pointer and options.
    rest: [u8; 14],
    /// Sum of all that is alike, and of the pseudo header without its length.
    sum: Sum,
}

/// A segment that continues a run.
#[derive(Debug, Clone, Copy)]
pub struct Continued<'p> {
    text: &'p [u8],
    /// Sum of the header and the pseudo header.
    sum: Sum,
}

impl TcpRun {
    /// What comes behind `segment`, which holds `text` octets of text. `None` if its header is
    /// not one of 32 octets.
    pub fn after(ip: &IpHeader, segment: &[u8], text: usize) -> Option<Self> {
        let head: &[u8; LEN] = segment.first_chunk()?;
        if segment.len() != LEN.saturating_add(text) {
            return None;
        }
        let (ports, rest) = head.split_first_chunk::<4>()?;
        let (seq, rest) = rest.split_first_chunk::<4>()?;
        let (ack, rest) = rest.split_first_chunk::<4>()?;
        let (line, rest) = rest.split_first_chunk::<4>()?;
        let (_, rest) = rest.split_first_chunk::<2>()?;
        let line = u32::from_be_bytes(*line) & SAME;
        let same = ip.pseudo(0).add_bytes(ports).add_bytes(ack);
        Some(Self {
            ports: *ports,
            seq: u32::from_be_bytes(*seq).wrapping_add(text as u32),
            ack: *ack,
            line,
            rest: *rest.first_chunk()?,
            sum: same.add_u32(line).add_bytes(rest),
        })
    }

    /// Is `segment` the next one? It is not verified yet.
    #[inline(always)]
    pub fn next<'p>(&self, segment: &'p [u8]) -> Option<Continued<'p>> {
        let (head, text) = segment.split_first_chunk::<LEN>()?;
        let [
            p0,
            p1,
            p2,
            p3,
            s0,
            s1,
            s2,
            s3,
            a0,
            a1,
            a2,
            a3,
            l0,
            l1,
            l2,
            l3,
            c0,
            c1,
            rest @ ..,
        ] = *head;
        let (seq, line) = (
            u32::from_be_bytes([s0, s1, s2, s3]),
            u32::from_be_bytes([l0, l1, l2, l3]),
        );
        let same = [p0, p1, p2, p3] == self.ports
            && seq == self.seq
            && [a0, a1, a2, a3] == self.ack
            && line & SAME == self.line
            && rest.first_chunk::<8>() == self.rest.first_chunk()
            // The same as all of it, in two words that overlap.
            && rest.last_chunk::<8>() == self.rest.last_chunk()
            && segment.len() <= LONGEST;
        same.then(|| Continued {
            text,
            sum: self
                .sum
                .add_u32(seq)
                .add_u32(line & !SAME)
                .add_u16(u16::from_be_bytes([c0, c1]))
                .add_u32(segment.len() as u32),
        })
    }

    /// `octets` of text came, right behind those before.
    #[inline]
    pub fn advance(&mut self, octets: usize) {
        self.seq = self.seq.wrapping_add(octets as u32);
    }
}

impl<'p> Continued<'p> {
    /// Its text.
    #[inline]
    pub const fn text(&self) -> &'p [u8] {
        self.text
    }

    /// Is its checksum right, the sum of its text being `text`?
    #[inline(always)]
    pub fn verify(&self, text: Sum) -> bool {
        self.sum.add_sum(text).finish() == 0
    }
}

/// Octets of header of a segment that begins or continues a run.
const _: () = assert!(LEN == Tcp::LEN + 12);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::wire::{TcpOptions, protocol};

    fn segment(header: &Tcp, stamps: (u32, u32), text: &[u8]) -> std::vec::Vec<u8> {
        let options = TcpOptions {
            timestamps: Some(stamps),
            ..TcpOptions::NONE
        };
        let options = options.emit();
        let mut octets = std::vec![0; LEN];
        octets.extend_from_slice(text);
        header.emit(&ip(), options.as_slice(), &mut octets).unwrap();
        octets
    }

    fn ip() -> IpHeader {
        IpHeader::new(
            [192, 0, 2, 1].into(),
            [198, 51, 100, 7].into(),
            protocol::TCP,
        )
    }

    const FIRST: Tcp = Tcp {
        src: 40_000,
        dst: 80,
        seq: u32::MAX - 50,
        ack: 77,
        flags: TcpFlags::ACK,
        window: 0xfffe,
        urgent: 0,
    };

    /// Of all that may differ only PSH and the checksum may, and a wrong checksum is found.
    #[test]
    fn only_the_next_segment_continues_a_run() {
        let text: [u8; 100] = core::array::from_fn(|i| i as u8 ^ 0x5a);
        let first = segment(&FIRST, (5, 6), &text);
        let run = TcpRun::after(&ip(), &first, 100).unwrap();
        assert!(run.next(&first).is_none());
        for flags in [TcpFlags::ACK, TcpFlags::ACK | TcpFlags::PSH] {
            for len in [0, 1, 99, 100] {
                let header = Tcp {
                    seq: 49,
                    flags,
                    ..FIRST
                };
                let good = segment(&header, (5, 6), &text[..len]);
                let next = run.next(&good).unwrap();
                assert_eq!(next.text(), &text[..len]);
                assert!(next.verify(Sum::of(&text[..len])));
                for at in 0..good.len() {
                    for bit in 0..8 {
                        let mut bad = good.clone();
                        bad[at] ^= 1 << bit;
                        let next = run.next(&bad);
                        let free = matches!((at, bit), (13, 3) | (16 | 17 | 32.., _));
                        assert_eq!(next.is_some(), free, "octet {at}, bit {bit}");
                        let right = next.is_some_and(|n| n.verify(Sum::of(n.text())));
                        assert!(!right, "octet {at}, bit {bit}");
                    }
                }
            }
        }
        assert!(run.next(&first[..31]).is_none());
        let mut later = run;
        later.advance(3);
        let header = Tcp { seq: 52, ..FIRST };
        assert!(run.next(&segment(&header, (5, 6), &text)).is_none());
        assert!(later.next(&segment(&header, (5, 6), &text)).is_some());
    }

    /// Headers of other lengths begin no run.
    #[test]
    fn a_run_begins_with_timestamps() {
        let plain = [0; 20 + 100];
        assert!(TcpRun::after(&ip(), &plain, 100).is_none());
        assert!(TcpRun::after(&ip(), &plain, 88).is_some());
        assert!(TcpRun::after(&ip(), &plain[..31], 0).is_none());
    }
}
