//! Making one record of datagrams that were queued one by one, where they lie.
//!
//! Invariant: octets move only within the records that are joined, towards the end of the last of
//! them, and the room of the heads between them becomes free.

use core::ops::DerefMut;

use super::{HEAD_V4, Label, Mailbox, NUMBERS};

/// Where the length and the tag of a record are.
const TAG: core::ops::Range<usize> = 2..NUMBERS;

impl<B: DerefMut<Target = [u8]>> Mailbox<B> {
    /// Makes one record of the oldest datagrams that have the oldest one's label and length and
    /// the tag 0, and of a shorter one behind them that is not empty, of `most` octets together;
    /// its tag is the length of each but the last. Returns how many there are in it, 1 if nothing
    /// was joined.
    pub fn join(&mut self, most: usize) -> usize {
        let Some((label, each)) = self.single(self.head) else {
            return 1;
        };
        let record = HEAD_V4.saturating_add(each);
        let (mut end, mut total, mut count) = (self.head.saturating_add(record), each, 1usize);
        // Each turn takes a record, or ends.
        while count < self.count && self.wrap != Some(end) && each > 0 {
            let Some((_, len)) = self.single(end).filter(|(other, _)| *other == label) else {
                break;
            };
            let more = total.saturating_add(len);
            if !(1..=each).contains(&len) || more > most.min(u16::MAX.into()) {
                break;
            }
            (end, total, count) = (
                end.saturating_add(HEAD_V4).saturating_add(len),
                more,
                count.saturating_add(1),
            );
            if len < each {
                break;
            }
        }
        let before = count.saturating_sub(1);
        if before == 0 || self.gather(end, record, before, (each, total)).is_none() {
            return 1;
        }
        self.count = self.count.saturating_sub(before);
        count
    }

    /// Label and length of the record at `at`, if both its addresses are IPv4 and its tag is 0.
    fn single(&self, at: usize) -> Option<(Label, usize)> {
        let head = self.bytes.get(at..)?.first_chunk::<HEAD_V4>()?;
        let (numbers, label) = head.split_first_chunk::<NUMBERS>()?;
        let [l0, l1, tag @ ..] = *numbers;
        let families = head.get(super::FIXED - 1)?;
        (*families == 0 && tag == [0; 4]).then_some(())?;
        let len = u16::from_le_bytes([l0, l1]).into();
        Some((Label(*label.first_chunk()?), len))
    }

    /// Moves the `before` records of `record` octets each at the head, and the head of the first,
    /// up to the last one's data, which ends at `end`.
    fn gather(
        &mut self,
        end: usize,
        record: usize,
        before: usize,
        (each, total): (usize, usize),
    ) -> Option<()> {
        let span = self.bytes.get_mut(self.head..end)?;
        let mut head = *span.first_chunk::<HEAD_V4>()?;
        // All of it lies in the span: nothing is moved unless everything can be.
        (record.checked_mul(before)? <= span.len()).then_some(())?;
        let gap = HEAD_V4.checked_mul(before)?;
        for n in (0..before).rev() {
            let from = n.saturating_mul(record).saturating_add(HEAD_V4);
            let by = HEAD_V4.saturating_mul(before.saturating_sub(n));
            let window = span.get_mut(from..from.saturating_add(each).saturating_add(by))?;
            window.copy_within(..each, by);
        }
        let (tag, len) = (u32::try_from(each).ok()?, u16::try_from(total).ok()?);
        head.get_mut(TAG)?.copy_from_slice(&tag.to_le_bytes());
        head.first_chunk_mut::<2>()?
            .copy_from_slice(&len.to_le_bytes());
        *span.get_mut(gap..)?.first_chunk_mut()? = head;
        self.head = self.head.saturating_add(gap);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Meta;
    use super::*;
    use std::vec::Vec;

    fn to(port: u16) -> Meta {
        Meta::new(([192, 0, 2, 1], port).into())
    }

    fn filled(capacity: usize, datagrams: &[(u16, &[u8])]) -> Mailbox<Vec<u8>> {
        let mut mail = Mailbox::new(std::vec![0; capacity]);
        for (port, data) in datagrams {
            mail.push(&to(*port), data).unwrap();
        }
        mail
    }

    fn drain(mail: &mut Mailbox<Vec<u8>>) -> Vec<(u16, u32, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some((meta, data)) = mail.front() {
            all.push((meta.peer.port(), meta.tag, data.to_vec()));
            mail.pop();
        }
        all
    }

    #[test]
    fn equals_and_a_shorter_one_become_a_record() {
        let queued: [(u16, &[u8]); 6] = [
            (9, b"one"),
            (9, b"two"),
            (9, b"six"),
            (9, b"x"),
            (9, b"ten"),
            (8, b"ten"),
        ];
        let mut mail = filled(400, &queued);
        assert_eq!(mail.join(9), 3, "as much as was asked for");
        let all = drain(&mut mail);
        assert_eq!(all[0], (9, 3, b"onetwosix".to_vec()));
        assert_eq!(all[1..].len(), 3);

        let mut mail = filled(400, &queued);
        assert_eq!(mail.join(usize::MAX), 4, "the shorter one is the last");
        assert_eq!(mail.join(usize::MAX), 1, "it is joined already");
        let all = drain(&mut mail);
        let rest = |port| (port, 0, b"ten".to_vec());
        assert_eq!(all, [(9, 3, b"onetwosixx".to_vec()), rest(9), rest(8)]);
    }

    #[test]
    fn what_differs_stays_apart() {
        for queued in [
            [(9, &b"ab"[..]), (8, b"cd")],
            [(9, b"ab"), (9, b"abc")],
            [(9, b"ab"), (9, b"")],
            [(9, b""), (9, b"")],
        ] {
            let mut mail = filled(400, &queued);
            assert_eq!(mail.join(usize::MAX), 1, "{queued:?}");
            let all = drain(&mut mail);
            let expected = queued.map(|(port, data)| (port, 0, data.to_vec()));
            assert_eq!(all, expected);
        }
        assert_eq!(filled(400, &[]).join(usize::MAX), 1);
        assert_eq!(filled(400, &[(9, b"ab")]).join(usize::MAX), 1);
    }

    /// Room for three: the fourth starts over at the beginning, and the room of joined heads
    /// can be used again.
    #[test]
    fn records_around_the_end_are_not_joined() {
        let mut mail = filled(66, &[(9, b"aaa"), (9, b"bbb"), (9, b"ccc")]);
        mail.pop();
        mail.push(&to(9), b"ddd").unwrap();
        assert_eq!(mail.join(usize::MAX), 2);
        mail.push(&to(9), b"").unwrap();
        let lens: Vec<_> = drain(&mut mail).into_iter().map(|(.., d)| d).collect();
        assert_eq!(lens, [&b"bbbccc"[..], b"ddd", b""]);
    }
}
