//! A queue of datagrams with what is known of each, in one borrowed or owned buffer.
//!
//! Invariant: every datagram lies in one piece, so that a reader gets one slice; a datagram
//! that does not fit before the end of the buffer starts over at its beginning. Nothing held
//! is ever moved, but what is joined. Used by the datagram sockets (UDP, ICMP, raw) for both
//! directions.

mod join;

use core::fmt;
use core::net::{IpAddr, SocketAddr, SocketAddrV6};
use core::ops::DerefMut;

/// What is known of a datagram besides its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Where it came from, or goes to. Protocols without ports leave the port 0. The flow
    /// label of an IPv6 peer is not kept, its scope is.
    pub peer: SocketAddr,
    /// Our address: its destination when received, its source when sent; unspecified leaves
    /// the choice to the network layer.
    pub local: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Type of service (RFC 2474 and RFC 3168), or traffic class.
    pub tos: u8,
    /// What else the protocol wants to remember, e.g. an ICMP sequence number.
    pub tag: u32,
}

impl Meta {
    /// Of a datagram from or to `peer`; all else unspecified or 0.
    pub const fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            local: match peer {
                SocketAddr::V4(_) => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
                SocketAddr::V6(_) => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
            },
            ttl: 0,
            tos: 0,
            tag: 0,
        }
    }
}

/// Why a datagram was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushError {
    /// There is no room now; there may be once datagrams are taken out.
    Full,
    /// It is longer than the whole buffer can hold, or than 65,535 octets.
    TooLong,
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "buffer is full",
            Self::TooLong => "datagram exceeds the buffer",
        })
    }
}

impl core::error::Error for PushError {}

/// Fixed part of a record: length 2, tag 4, port 2, TTL, TOS, families.
const FIXED: usize = 11;
const PEER_V6: u8 = 1;
const LOCAL_V6: u8 = 2;
/// What comes before the datagram between IPv4 addresses.
const HEAD_V4: usize = FIXED + 8;
/// Octets of it that do not tell one datagram from the next: length and tag.
const NUMBERS: usize = 6;

/// What is known of a datagram between IPv4 addresses beside its length and tag: datagrams of
/// equal labels go the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label([u8; HEAD_V4 - NUMBERS]);

impl Label {
    /// That of a datagram with `meta`; `None` unless both addresses are IPv4.
    #[inline]
    pub fn of(meta: &Meta) -> Option<Self> {
        let mut head = [0; HEAD_V4];
        let short = meta.peer.is_ipv4() && meta.local.is_ipv4();
        short.then(|| write_meta(&mut head, meta, 0)).flatten()?;
        Some(Self(*head.last_chunk()?))
    }
}

/// Octets that keeping `meta` takes.
const fn meta_len(peer_v6: bool, local_v6: bool) -> usize {
    FIXED + if peer_v6 { 20 } else { 4 } + if local_v6 { 16 } else { 4 }
}

/// Datagrams, oldest first.
///
/// Keeping one takes its length and 19 octets with IPv4 addresses, 47 with IPv6.
#[derive(Debug)]
pub struct Mailbox<B> {
    bytes: B,
    /// The oldest record starts here.
    head: usize,
    /// The newest record ends here.
    tail: usize,
    /// Where the records that start at `head` end, if the newest ones start over at 0.
    wrap: Option<usize>,
    count: usize,
}

impl<B: DerefMut<Target = [u8]>> Mailbox<B> {
    /// Octets of the buffer that a datagram between IPv4 addresses takes besides its own.
    pub const OVERHEAD_V4: usize = meta_len(false, false);
    /// Octets of the buffer that a datagram between IPv6 addresses takes besides its own.
    pub const OVERHEAD_V6: usize = meta_len(true, true);

    /// An empty mailbox in `bytes`; one without octets takes no datagram.
    pub const fn new(bytes: B) -> Self {
        Self {
            bytes,
            head: 0,
            tail: 0,
            wrap: None,
            count: 0,
        }
    }

    /// Octets of the buffer.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Number of datagrams.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Is there none?
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Octets of the longest datagram between IPv4 addresses that [`Mailbox::push`] would take
    /// now; `None` if it would take not even an empty one.
    pub fn free(&self) -> Option<usize> {
        let room = match self.wrap {
            Some(_) => self.head.saturating_sub(self.tail),
            None => self.head.max(self.bytes.len().saturating_sub(self.tail)),
        };
        Some(room.checked_sub(Self::OVERHEAD_V4)?.min(u16::MAX.into()))
    }

    /// Appends a datagram.
    ///
    /// # Errors
    /// [`PushError::Full`] if there is no room now, [`PushError::TooLong`] if there never is.
    #[inline]
    pub fn push(&mut self, meta: &Meta, data: &[u8]) -> Result<(), PushError> {
        self.push_with(meta, data.len(), |room| {
            room.copy_from_slice(data);
            data.len()
        })
        .map(|_| ())
    }

    /// Appends a datagram of at most `max` octets that `fill` writes in place; `fill` is given
    /// exactly `max` octets of unspecified content and returns how many it used. Returns that.
    ///
    /// # Errors
    /// As [`Mailbox::push`], before `fill` is called.
    #[inline]
    pub fn push_with(
        &mut self,
        meta: &Meta,
        max: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, PushError> {
        let head_len = meta_len(meta.peer.is_ipv6(), meta.local.is_ipv6());
        let len = head_len.saturating_add(max);
        if len > self.bytes.len() || max > u16::MAX.into() {
            return Err(PushError::TooLong);
        }
        let at = self.place(len).ok_or(PushError::Full)?;
        let room = self
            .bytes
            .get_mut(at..at.saturating_add(len))
            .ok_or(PushError::Full)?;
        let (head, data) = room.split_at_mut_checked(head_len).ok_or(PushError::Full)?;
        let used = fill(data).min(max);
        write_meta(head, meta, used as u16).ok_or(PushError::Full)?;
        if at < self.tail {
            self.wrap = Some(self.tail);
        }
        self.tail = at.saturating_add(head_len).saturating_add(used);
        self.count = self.count.saturating_add(1);
        Ok(used)
    }

    /// Appends a datagram of `len` octets with this label and the tag 0, which `fill` writes in
    /// place; given up where that says false. False if there is none more than before.
    #[inline]
    pub fn push_like(
        &mut self,
        label: &Label,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> bool,
    ) -> bool {
        let Ok(short) = u16::try_from(len) else {
            return false;
        };
        let whole = HEAD_V4 + usize::from(short);
        let Some(at) = self.place(whole) else {
            return false;
        };
        let end = at.saturating_add(whole);
        let room = self.bytes.get_mut(at..end);
        let Some((head, data)) = room.and_then(|room| room.split_first_chunk_mut::<HEAD_V4>())
        else {
            return false;
        };
        let Some((numbers, rest)) = head.split_first_chunk_mut::<NUMBERS>() else {
            return false;
        };
        let [l0, l1] = short.to_le_bytes();
        *numbers = [l0, l1, 0, 0, 0, 0];
        rest.copy_from_slice(&label.0);
        if !fill(data) {
            return false;
        }
        if at < self.tail {
            self.wrap = Some(self.tail);
        }
        self.tail = end;
        self.count = self.count.saturating_add(1);
        true
    }

    /// Where a record of `len` octets may be written.
    fn place(&self, len: usize) -> Option<usize> {
        if self.wrap.is_some() {
            return (self.head.checked_sub(self.tail)? >= len).then_some(self.tail);
        }
        if self.bytes.len().checked_sub(self.tail)? >= len {
            return Some(self.tail);
        }
        (self.head >= len).then_some(0)
    }

    /// The label of the oldest datagram, if both its addresses are IPv4.
    #[inline]
    pub fn label(&self) -> Option<Label> {
        Some(self.labelled()?.0)
    }

    /// The oldest datagram, if its label is `label`.
    #[inline]
    pub fn front_of(&self, label: &Label) -> Option<&[u8]> {
        let (own, data) = self.labelled()?;
        (own == *label).then_some(data)
    }

    /// Takes the oldest datagram out, if its label is `label` and `f` says so.
    #[inline]
    pub fn pop_of(&mut self, label: &Label, f: impl FnOnce(&[u8]) -> bool) -> bool {
        let len = match self.front_of(label) {
            Some(data) if f(data) => data.len(),
            _ => return false,
        };
        self.forget(HEAD_V4.saturating_add(len));
        true
    }

    #[inline]
    fn labelled(&self) -> Option<(Label, &[u8])> {
        if self.count == 0 {
            return None;
        }
        let record = self.bytes.get(self.head..)?;
        let (head, rest) = record.split_first_chunk::<HEAD_V4>()?;
        let (numbers, label) = head.split_first_chunk::<NUMBERS>()?;
        let [l0, l1, ..] = *numbers;
        let data = rest.get(..usize::from(u16::from_le_bytes([l0, l1])))?;
        let families = head.get(FIXED - 1)?;
        (*families == 0).then_some((Label(*label.first_chunk()?), data))
    }

    /// The oldest datagram.
    #[inline]
    pub fn front(&self) -> Option<(Meta, &[u8])> {
        if self.count == 0 {
            return None;
        }
        let (meta, len, rest) = read_meta(self.bytes.get(self.head..)?)?;
        Some((meta, rest.get(..len)?))
    }

    /// The oldest datagram, to be changed in place.
    pub fn front_mut(&mut self) -> Option<(Meta, &mut [u8])> {
        let (meta, len) = self.front().map(|(meta, data)| (meta, data.len()))?;
        let start = self
            .head
            .checked_add(meta_len(meta.peer.is_ipv6(), meta.local.is_ipv6()))?;
        let data = self.bytes.get_mut(start..start.checked_add(len)?)?;
        Some((meta, data))
    }

    /// Forgets the oldest datagram. True if there was one.
    #[inline]
    pub fn pop(&mut self) -> bool {
        if self.count == 0 {
            return false;
        }
        let record = self.bytes.get(self.head..);
        let Some(fixed) = record.and_then(|record| record.first_chunk::<FIXED>()) else {
            return false;
        };
        let [l0, l1, .., families] = *fixed;
        let head = meta_len(families & PEER_V6 != 0, families & LOCAL_V6 != 0);
        self.forget(head.saturating_add(u16::from_le_bytes([l0, l1]).into()));
        true
    }

    /// Forgets the oldest datagram, whose record has `len` octets.
    #[inline]
    fn forget(&mut self, len: usize) {
        self.head = self.head.saturating_add(len);
        self.count = self.count.saturating_sub(1);
        if self.count == 0 {
            self.clear();
        } else if self.wrap == Some(self.head) {
            self.head = 0;
            self.wrap = None;
        }
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        (self.head, self.tail, self.count) = (0, 0, 0);
        self.wrap = None;
    }

    /// Gives the buffer back.
    pub fn into_inner(self) -> B {
        self.bytes
    }
}

#[inline]
fn write_meta(head: &mut [u8], meta: &Meta, len: u16) -> Option<()> {
    if let (SocketAddr::V4(peer), IpAddr::V4(local)) = (meta.peer, meta.local) {
        let head = head.first_chunk_mut::<HEAD_V4>()?;
        let [l0, l1] = len.to_le_bytes();
        let [t0, t1, t2, t3] = meta.tag.to_le_bytes();
        let [p0, p1] = peer.port().to_le_bytes();
        let ([a, b, c, d], [e, f, g, h]) = (peer.ip().octets(), local.octets());
        *head = [
            l0, l1, t0, t1, t2, t3, p0, p1, meta.ttl, meta.tos, 0, a, b, c, d, e, f, g, h,
        ];
        return Some(());
    }
    write_long_meta(head, meta, len)
}

/// As [`write_meta`] for any addresses.
#[cold]
fn write_long_meta(head: &mut [u8], meta: &Meta, len: u16) -> Option<()> {
    let (fixed, rest) = head.split_first_chunk_mut::<FIXED>()?;
    let [l0, l1] = len.to_le_bytes();
    let [t0, t1, t2, t3] = meta.tag.to_le_bytes();
    let [p0, p1] = meta.peer.port().to_le_bytes();
    let mut families = 0;
    let rest = match meta.peer {
        SocketAddr::V4(a) => {
            let (to, rest) = rest.split_first_chunk_mut::<4>()?;
            *to = a.ip().octets();
            rest
        }
        SocketAddr::V6(a) => {
            families |= PEER_V6;
            let (to, rest) = rest.split_first_chunk_mut::<16>()?;
            *to = a.ip().octets();
            let (to, rest) = rest.split_first_chunk_mut::<4>()?;
            *to = a.scope_id().to_le_bytes();
            rest
        }
    };
    match meta.local {
        IpAddr::V4(a) => *rest.first_chunk_mut::<4>()? = a.octets(),
        IpAddr::V6(a) => {
            families |= LOCAL_V6;
            *rest.first_chunk_mut::<16>()? = a.octets();
        }
    }
    *fixed = [l0, l1, t0, t1, t2, t3, p0, p1, meta.ttl, meta.tos, families];
    Some(())
}

#[inline]
fn read_meta(record: &[u8]) -> Option<(Meta, usize, &[u8])> {
    if let Some((head, rest)) = record.split_first_chunk::<HEAD_V4>() {
        let [
            l0,
            l1,
            t0,
            t1,
            t2,
            t3,
            p0,
            p1,
            ttl,
            tos,
            families,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ] = *head;
        if families == 0 {
            let meta = Meta {
                peer: SocketAddr::from(([a, b, c, d], u16::from_le_bytes([p0, p1]))),
                local: IpAddr::from([e, f, g, h]),
                ttl,
                tos,
                tag: u32::from_le_bytes([t0, t1, t2, t3]),
            };
            return Some((meta, u16::from_le_bytes([l0, l1]).into(), rest));
        }
    }
    read_long_meta(record)
}

/// As [`read_meta`] for any addresses.
#[cold]
fn read_long_meta(record: &[u8]) -> Option<(Meta, usize, &[u8])> {
    let (fixed, rest) = record.split_first_chunk::<FIXED>()?;
    let [l0, l1, t0, t1, t2, t3, p0, p1, ttl, tos, families] = *fixed;
    let port = u16::from_le_bytes([p0, p1]);
    let (peer, rest) = if families & PEER_V6 == 0 {
        let (ip, rest) = rest.split_first_chunk::<4>()?;
        (SocketAddr::from((*ip, port)), rest)
    } else {
        let (ip, rest) = rest.split_first_chunk::<16>()?;
        let (scope, rest) = rest.split_first_chunk::<4>()?;
        let peer = SocketAddrV6::new((*ip).into(), port, 0, u32::from_le_bytes(*scope));
        (SocketAddr::V6(peer), rest)
    };
    let (local, rest) = if families & LOCAL_V6 == 0 {
        let (ip, rest) = rest.split_first_chunk::<4>()?;
        (IpAddr::from(*ip), rest)
    } else {
        let (ip, rest) = rest.split_first_chunk::<16>()?;
        (IpAddr::from(*ip), rest)
    };
    let meta = Meta {
        peer,
        local,
        ttl,
        tos,
        tag: u32::from_le_bytes([t0, t1, t2, t3]),
    };
    Some((meta, u16::from_le_bytes([l0, l1]).into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    fn meta(n: u32) -> Meta {
        let v6 = |s: u16| core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, s);
        let port = n as u16;
        Meta {
            peer: if n & 1 == 0 {
                SocketAddr::from(([192, 0, 2, n as u8], port))
            } else {
                SocketAddrV6::new(v6(port), port, 0, n).into()
            },
            local: if n & 2 == 0 {
                IpAddr::from([198, 51, 100, n as u8])
            } else {
                v6(port).into()
            },
            ttl: n as u8,
            tos: (n >> 8) as u8,
            tag: n,
        }
    }

    proptest! {
        #[test]
        fn holds_what_a_queue_holds(
            size in 0usize..300,
            ops in proptest::collection::vec((any::<bool>(), 0usize..120, 0usize..120, any::<u32>()), 0..200),
        ) {
            let mut bytes = std::vec![0xee; size];
            let mut mailbox = Mailbox::new(&mut bytes[..]);
            let mut model: VecDeque<(Meta, Vec<u8>)> = VecDeque::new();
            for (push, max, used, n) in ops {
                if push {
                    let used = used.min(max);
                    let data = std::vec![n as u8; used];
                    let fits = mailbox.free().is_some_and(|free| max <= free);
                    let pushed = mailbox.push_with(&meta(n), max, |room| {
                        assert_eq!(room.len(), max);
                        room[..used].copy_from_slice(&data);
                        used
                    });
                    let len = max + meta_len(n & 1 != 0, n & 2 != 0);
                    prop_assert_eq!(pushed == Err(PushError::TooLong), len > size);
                    if n & 3 == 0 {
                        prop_assert_eq!(pushed.is_ok(), fits);
                    }
                    if model.is_empty() {
                        prop_assert_eq!(pushed.is_ok(), len <= size);
                    }
                    if pushed.is_ok() {
                        model.push_back((meta(n), data));
                    }
                } else {
                    prop_assert_eq!(mailbox.pop(), model.pop_front().is_some());
                }
                prop_assert_eq!(mailbox.len(), model.len());
                let front = model.front().map(|(m, d)| (*m, &d[..]));
                prop_assert_eq!(mailbox.front(), front);
                let label = mailbox.label();
                prop_assert_eq!(label.is_some(), front.is_some_and(|(m, _)| m.tag & 3 == 0));
                if let Some(label) = label {
                    prop_assert_eq!(mailbox.front_of(&label), front.map(|(_, data)| data));
                }
            }
            while let Some((m, d)) = model.pop_front() {
                prop_assert_eq!(mailbox.front(), Some((m, &d[..])));
                mailbox.pop();
            }
            prop_assert!(mailbox.is_empty());
        }
    }

    #[test]
    fn labels_tell_ways_apart_and_not_datagrams() {
        let mut mailbox = Mailbox::new([0; 200].to_vec());
        let first = Meta::new(([192, 0, 2, 1], 7).into());
        let others = [
            Meta { tag: 5, ..first },
            Meta::new(([192, 0, 2, 1], 8).into()),
            Meta::new(([192, 0, 2, 2], 7).into()),
            Meta {
                local: [192, 0, 2, 3].into(),
                ..first
            },
            Meta { ttl: 1, ..first },
            Meta { tos: 1, ..first },
        ];
        mailbox.push(&first, b"a").unwrap();
        let label = mailbox.label().unwrap();
        for (n, other) in others.iter().enumerate() {
            mailbox.push(other, b"bc").unwrap();
            mailbox.pop();
            let same = (n == 0).then_some(&b"bc"[..]);
            assert_eq!(mailbox.front_of(&label), same, "{n}");
        }
    }

    #[test]
    fn exact_fit_and_overflow() {
        let mut mailbox = Mailbox::new([0; 2 * 19 + 3].to_vec());
        let m = Meta::new(([192, 0, 2, 1], 7).into());
        assert_eq!(mailbox.push(&m, b"ab"), Ok(()));
        assert_eq!(mailbox.free(), Some(1));
        assert_eq!(mailbox.push(&m, b"cd"), Err(PushError::Full));
        assert_eq!(mailbox.push(&m, b"c"), Ok(()));
        assert_eq!(mailbox.free(), None);
        assert_eq!(mailbox.push(&m, &[0; 23]), Err(PushError::TooLong));
        assert!(mailbox.pop());
        // The 21 octets at the beginning are free again: room for two.
        assert_eq!(mailbox.push(&m, b"ef"), Ok(()));
        assert_eq!(mailbox.front(), Some((m, &b"c"[..])));
        mailbox.front_mut().unwrap().1[0] = b'x';
        assert_eq!(mailbox.front().unwrap().1, b"x");
        assert!(mailbox.pop());
        assert_eq!(mailbox.front(), Some((m, &b"ef"[..])));
        assert!(mailbox.pop() && !mailbox.pop());
    }
}
