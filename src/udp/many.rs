//! Many datagrams with one call: what `sendmmsg`, `recvmmsg`, `UDP_SEGMENT` and `UDP_GRO` are for
//! on Linux.
//!
//! Invariant: whoever sends or receives here sends and receives the same datagrams as one by one;
//! only the copies and calls are fewer. Where the device cuts super-datagrams itself, those of
//! equal size that follow each other leave as one, also when they were queued one by one.

use core::net::{IpAddr, SocketAddr};
use core::ops::DerefMut;

use super::UdpSocket;
use super::socket::MAX_DATA;
use crate::socket::mailbox::Meta;
use crate::transport::datagram::{RecvError, SendError};

/// Datagrams of one peer, received together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// Octets copied to the caller, of all of them.
    pub len: usize,
    /// Octets of each, the last one perhaps shorter; 0 if all are empty, which is then one.
    pub stride: usize,
    /// Who sent them.
    pub peer: SocketAddr,
    /// The address they were sent to: one of ours, a broadcast address or a group.
    pub local: IpAddr,
    /// Hops they had left.
    pub ttl: u8,
    /// Their DSCP and ECN bits.
    pub tos: u8,
    /// The first one alone exceeded the caller's buffer, and what is above `len` is lost.
    pub truncated: bool,
}

impl Segments {
    /// The datagrams one by one, `buffer` being what they were copied to.
    pub fn datagrams<'b>(&self, buffer: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let all = buffer.get(..self.len).unwrap_or(buffer);
        let one = all.is_empty().then_some(all);
        one.into_iter().chain(all.chunks(self.stride.max(1)))
    }
}

impl<B: DerefMut<Target = [u8]>> UdpSocket<B> {
    /// Queues datagrams to `peer`, as many as there is room for; returns how many. As
    /// [`send_to`](Self::send_to) for each, but that neighbours of equal size share the 19 octets
    /// that each datagram takes beside its own, and leave as one where the device cuts them apart
    /// again.
    ///
    /// # Errors
    /// As `send_to` when not even the first was taken.
    ///
    /// ```
    /// use netstrata::udp::UdpSocket;
    /// let mut socket = UdpSocket::new(7, vec![0; 64], vec![0; 64]);
    /// let peer = ([192, 0, 2, 1], 7).into();
    /// // Two of equal size take 25 octets together, one of another size 24.
    /// assert_eq!(socket.send_many(peer, [&b"one"[..], b"two", b"three"]), Ok(3));
    /// assert_eq!(socket.queued(), 3);
    /// ```
    pub fn send_many<'d>(
        &mut self,
        peer: SocketAddr,
        datagrams: impl IntoIterator<Item = &'d [u8]>,
    ) -> Result<usize, SendError> {
        let mut rest = datagrams.into_iter().fuse();
        let (mut next, mut taken) = (rest.next(), 0usize);
        while let Some(first) = next.take() {
            match self.send_equals(&Meta::new(peer), first, &mut rest) {
                Ok((count, other)) => {
                    taken = taken.saturating_add(count);
                    next = other;
                }
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// Queues `first` and those after it that have its size, and one that is shorter; returns how
    /// many, and the first that is none of them.
    fn send_equals<'d>(
        &mut self,
        meta: &Meta,
        first: &'d [u8],
        rest: &mut impl Iterator<Item = &'d [u8]>,
    ) -> Result<(usize, Option<&'d [u8]>), SendError> {
        let each = first.len();
        self.admits(meta.peer, each)?;
        let room = self
            .tx
            .free()
            .map_or(each, |free| free.clamp(each, MAX_DATA));
        let mut other = None;
        let fill = |room: &mut [u8]| {
            let (mut next, mut at) = (Some(first), 0usize);
            while let Some(data) = next.take() {
                let end = at.saturating_add(data.len());
                let fits = at == 0 || (1..=each).contains(&data.len());
                match room.get_mut(at..end).filter(|_| fits) {
                    Some(room) => room.copy_from_slice(data),
                    None => {
                        other = Some(data);
                        break;
                    }
                }
                at = end;
                // A shorter one is the last; after an empty one nothing could be told apart.
                if data.len() < each || each == 0 {
                    break;
                }
                next = rest.next();
            }
            at
        };
        let pushed = self.tx.push_run(meta, each, room, fill);
        let count = self.pushed(pushed)?;
        Ok((count, other.or_else(|| rest.next())))
    }

    /// Queues `data` as datagrams of `segment` octets each, the last one perhaps shorter, with
    /// their own source address, TTL and service as in [`send_meta`](Self::send_meta): all of them
    /// or none. As `UDP_SEGMENT` on Linux; returns how many datagrams it is.
    ///
    /// What exceeds the link or path with its headers is fragmented, each datagram for itself.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to); [`SendError::TooLong`] for more than [`MAX_DATA`] octets in
    /// all too. A `segment` of 0 is one datagram.
    ///
    /// ```
    /// use netstrata::socket::mailbox::Meta;
    /// use netstrata::udp::UdpSocket;
    /// let mut socket = UdpSocket::new(7, vec![0; 64], vec![0; 4096]);
    /// let peer = Meta::new(([192, 0, 2, 1], 7).into());
    /// assert_eq!(socket.send_segments(&[0; 3000], 1200, &peer), Ok(3));
    /// assert_eq!(socket.queued(), 3);
    /// ```
    pub fn send_segments(
        &mut self,
        data: &[u8],
        segment: usize,
        meta: &Meta,
    ) -> Result<usize, SendError> {
        self.send_segments_with(data.len(), segment, meta, |room| {
            room.copy_from_slice(data);
            data.len()
        })
    }

    /// As [`send_segments`](Self::send_segments), of at most `max` octets that `fill` writes in
    /// place, all datagrams one behind the other; it returns how many octets it wrote.
    ///
    /// # Errors
    /// As there, before `fill` is called.
    pub fn send_segments_with(
        &mut self,
        max: usize,
        segment: usize,
        meta: &Meta,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<usize, SendError> {
        self.admits(meta.peer, max)?;
        let each = if segment == 0 { max } else { segment };
        let pushed = self.tx.push_run(meta, each, max, fill);
        self.pushed(pushed)
    }

    /// Hands up to `max` datagrams to `f`, oldest first and in place; returns how many.
    ///
    /// # Errors
    /// As [`recv_from`](Self::recv_from) when there is none.
    ///
    /// ```
    /// use netstrata::transport::RecvError;
    /// use netstrata::udp::UdpSocket;
    /// let mut socket = UdpSocket::new(7, vec![0; 64], vec![0; 64]);
    /// let got = socket.recv_many(16, |from, data| println!("{}: {data:?}", from.peer));
    /// assert_eq!(got, Err(RecvError::Empty));
    /// ```
    pub fn recv_many(
        &mut self,
        max: usize,
        mut f: impl FnMut(&Meta, &[u8]),
    ) -> Result<usize, RecvError> {
        let mut taken = 0;
        while taken < max {
            match self.recv_with(&mut f) {
                Ok(()) => taken += 1,
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// Copies the oldest datagram to `to`, and behind it those that follow from the same peer to
    /// the same address, with the same TTL and service and of the same size, as far as they fit;
    /// a shorter one is the last. As `UDP_GRO` on Linux, whatever the device put together.
    ///
    /// # Errors
    /// As [`recv_from`](Self::recv_from).
    ///
    /// ```
    /// # use netstrata::transport::RecvError;
    /// # use netstrata::udp::UdpSocket;
    /// # let mut socket = UdpSocket::new(7, vec![0; 64], vec![0; 64]);
    /// let mut buffer = [0; 65_535];
    /// match socket.recv_segments(&mut buffer) {
    ///     Ok(got) => got.datagrams(&buffer).for_each(|data| println!("{}: {data:?}", got.peer)),
    ///     Err(error) => assert_eq!(error, RecvError::Empty),
    /// }
    /// ```
    pub fn recv_segments(&mut self, to: &mut [u8]) -> Result<Segments, RecvError> {
        let Some((meta, first)) = self.rx.front() else {
            return Err(self.nothing());
        };
        let mut got = Segments {
            len: 0,
            stride: first.len(),
            peer: meta.peer,
            local: meta.local,
            ttl: meta.ttl,
            tos: meta.tos,
            truncated: first.len() > to.len(),
        };
        if got.truncated {
            copy(to, first.get(..to.len()).unwrap_or_default());
            (got.len, got.stride) = (to.len(), to.len());
            self.rx.pop();
            return Ok(got);
        }
        let same = |other: &Meta| Meta { tag: 0, ..*other } == Meta { tag: 0, ..meta };
        // Each turn takes a record, or ends.
        while let Some(front) = self.rx.front_run().filter(|front| same(&front.meta)) {
            let room = to.get_mut(got.len..).unwrap_or_default();
            let more = got.len > 0;
            if front.each > got.stride || more && front.each == 0 {
                break;
            }
            // All of the record, or as many whole ones as there is room for.
            let most = room.len().checked_div(front.each).unwrap_or(1);
            let (len, count) = match front.data.len() <= room.len() {
                true => (front.data.len(), front.count()),
                false if most > 0 => (most.saturating_mul(front.each), most),
                false => break,
            };
            // Only the last one may be shorter than the first.
            let (len, count) = match front.each < got.stride {
                true => (front.each, 1),
                false => (len, count),
            };
            copy(room, front.data.get(..len).unwrap_or_default());
            got.len = got.len.saturating_add(len);
            self.rx.pop_some(count);
            if len == 0 || got.len.checked_rem(got.stride) != Some(0) {
                break;
            }
        }
        Ok(got)
    }

    /// Takes received datagrams of `each` octets, the last one perhaps shorter; returns how many
    /// it took, and how many it had no room for.
    pub(super) fn deliver_all(&mut self, meta: &Meta, each: usize, data: &[u8]) -> (usize, usize) {
        let write = |room: &mut [u8]| {
            room.copy_from_slice(data);
            data.len()
        };
        if let Ok(count) = self.rx.push_run(meta, each, data.len(), write) {
            return (count, 0);
        }
        // Those that do not fit together may do so one by one.
        let (mut taken, mut refused) = (0, 0);
        for one in data.chunks(each.max(1)) {
            match self.deliver(meta, one) {
                true => taken += 1,
                false => refused += 1,
            }
        }
        (taken, refused)
    }
}

/// Copies `from` to the front of `to`, which is no shorter.
fn copy(to: &mut [u8], from: &[u8]) {
    if let Some(to) = to.get_mut(..from.len()) {
        to.copy_from_slice(from);
    }
}
