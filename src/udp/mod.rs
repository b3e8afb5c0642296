//! UDP (RFC 768, RFC 1122 §4.1).
//!
//! Invariant: a datagram goes to one socket, the one that names it most exactly: by both ends,
//! then by our address and port, then by our port. One destination that does not answer never
//! holds up another: datagrams wait for link addresses below, at the neighbour's expense.

pub mod socket;

pub use socket::UdpSocket;
/// The same by another name, beside the other protocols' `Socket`s.
pub use socket::UdpSocket as Socket;

use core::net::{IpAddr, SocketAddr};
use core::ops::{DerefMut, RangeInclusive};
use phy::{Csum, Instant, RxCsum, TxMeta};

use crate::context::Cx;
use crate::error::{Drop, TxError};
use crate::iface::{Cast, PacketTx};
use crate::net::unreach::send_error;
use crate::net::{Answer, Dest, ErrorKind, IcmpError, Ingress, Output};
use crate::socket::mailbox::Meta;
use crate::socket::{Bytes, Handle, SocketSet, Stores};
use crate::transport::datagram::{Failure, Sent, Why, send_for_ready};
use crate::transport::port::Ports;
use crate::transport::{Endpoint, Transport};
use crate::wire::{Sum, Udp as Header, protocol};

/// UDP as a protocol of a stack.
#[derive(Debug, Default)]
pub struct Udp {
    ports: Ports,
}

impl Udp {
    /// UDP whose ephemeral ports come from `range` instead of 32768 to 60999.
    pub const fn with_ports(range: RangeInclusive<u16>) -> Self {
        Self {
            ports: Ports::new(range),
        }
    }
}

/// The socket for what came to `local` from `peer`, or was sent the other way.
fn find<B, Set>(set: &Set, local: SocketAddr, peer: SocketAddr) -> Option<Handle<UdpSocket<B>>>
where
    B: DerefMut<Target = [u8]>,
    Set: SocketSet<UdpSocket<B>>,
{
    let bound = |ip| Endpoint::bound(ip, local.port());
    set.lookup(&Endpoint::flow(local, peer))
        .or_else(|| set.lookup(&bound(Some(local.ip()))))
        .or_else(|| set.lookup(&bound(None)))
}

impl<S: Stores<UdpSocket<Bytes<S>>>> Transport<S> for Udp {
    type Set = S::Set;

    fn start(&mut self, set: &mut S::Set, cx: &mut Cx) {
        set.start(&cx.secret);
        self.ports.start(&cx.secret);
    }

    fn claims(&self, packet: &Ingress<'_>) -> bool {
        packet.ip.proto == protocol::UDP
    }

    fn ingress<T: PacketTx>(
        &mut self,
        set: &mut S::Set,
        cx: &mut Cx,
        packet: Ingress<'_>,
        answer: Answer<'_, T>,
    ) {
        let verified = match packet.meta.csum {
            RxCsum::Valid => Ok(()),
            RxCsum::Unknown => Header::verify(&packet.ip, packet.payload),
        };
        let (udp, data) = match verified.and_then(|()| Header::parse(packet.payload)) {
            Ok(parsed) => parsed,
            Err(error) => return cx.drop(error.into()),
        };
        let local = SocketAddr::new(packet.ip.dst, udp.dst);
        let peer = SocketAddr::new(packet.ip.src, udp.src);
        let found = find(set, local, peer);
        // A socket that was connected since its key was last told takes its peer's only.
        let Some((h, socket)) = found
            .and_then(|h| Some((h, set.get_mut(h)?)))
            .filter(|(_, socket)| socket.takes(peer))
        else {
            cx.drop(Drop::NoSocket);
            send_error(cx, &packet, answer, ErrorKind::PortUnreachable);
            return;
        };
        let meta = Meta {
            peer,
            local: packet.ip.dst,
            ttl: packet.ip.ttl,
            tos: packet.ip.tos,
            tag: 0,
        };
        // A device may have put datagrams of equal size together, the last one perhaps shorter.
        let each = packet
            .meta
            .gro
            .filter(|each| *each > 0)
            .map_or(usize::MAX, usize::from);
        let (mut rest, mut news) = (data, false);
        loop {
            let (one, more) = rest.split_at_checked(each).unwrap_or((rest, &[]));
            if socket.deliver(&meta, one) {
                cx.stats.udp_received = cx.stats.udp_received.wrapping_add(1);
                news = true;
            } else {
                cx.drop(Drop::SocketFull);
            }
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        if news {
            set.notify(h);
        }
    }

    fn icmp_error(&mut self, set: &mut S::Set, _cx: &mut Cx, error: &IcmpError<'_>) -> bool {
        let Some([s0, s1, d0, d1, ..]) = error
            .payload
            .first_chunk::<8>()
            .filter(|_| error.quoted.proto == protocol::UDP)
        else {
            return false;
        };
        let local = SocketAddr::new(error.quoted.src, u16::from_be_bytes([*s0, *s1]));
        let peer = SocketAddr::new(error.quoted.dst, u16::from_be_bytes([*d0, *d1]));
        let Some((h, socket)) = find(set, local, peer).and_then(|h| Some((h, set.get_mut(h)?)))
        else {
            return false;
        };
        // Only what forbids fragmentation can have been too big; believing more would let
        // anybody make us fragment (RFC 8900 §3.7).
        let too_big = matches!(error.kind, ErrorKind::PacketTooBig(_));
        if !socket.takes(peer) || (too_big && !error.dont_fragment) {
            return false;
        }
        let why = match error.kind {
            ErrorKind::PacketTooBig(mtu) => Why::TooBig(mtu),
            kind => Why::Icmp(kind),
        };
        socket.fail(Failure { why, peer });
        set.notify(h);
        true
    }

    fn egress(
        &mut self,
        set: &mut S::Set,
        cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize {
        send_for_ready(set, budget, |set, h| self.serve(set, h, cx, out))
    }

    fn unpark(&mut self, set: &mut S::Set) {
        set.unpark();
    }

    fn ready(&self, set: &S::Set) -> bool {
        set.any_ready()
    }

    fn deadline(&self, set: &S::Set) -> Option<Instant> {
        set.next_deadline()
    }
}

impl Udp {
    /// Does what one socket is ready for: names it, and sends its oldest datagram. `None` if
    /// there is nothing to send.
    fn serve<B, Set>(
        &mut self,
        set: &mut Set,
        h: Handle<UdpSocket<B>>,
        cx: &mut Cx,
        out: &mut impl Output,
    ) -> Option<Sent>
    where
        B: DerefMut<Target = [u8]>,
        Set: SocketSet<UdpSocket<B>>,
    {
        self.name(set, h, out);
        let socket = set.get_mut(h)?;
        let Some((to, peer, data)) = socket.front() else {
            if socket.is_released() {
                set.remove(h);
            }
            return None;
        };
        let port = socket.port();
        let result = match out.room(to.dst, to.src) {
            Ok(room) if room.cast == Cast::Broadcast && !socket.broadcast() => {
                Sent::Lost(Some(Why::Broadcast))
            }
            Ok(_) if socket.is_nameless() => Sent::Lost(Some(Why::InUse)),
            Ok(room) => {
                let header = Header {
                    src: port,
                    dst: peer.port(),
                };
                // A device completes the checksum of what it sees whole.
                let whole = Header::LEN + data.len() <= room.payload;
                send(out, to, header, data, whole && room.offload.tx_csum).into()
            }
            Err(error) => Err::<(), TxError>(error).into(),
        };
        let socket = set.get_mut(h)?;
        match result {
            Sent::Full | Sent::Park => return Some(result),
            Sent::Gone => cx.stats.udp_sent = cx.stats.udp_sent.wrapping_add(1),
            Sent::Lost(why) => {
                if let Some(why) = why {
                    socket.fail(Failure { why, peer });
                }
            }
        }
        let room_made = socket.pop();
        if room_made || matches!(result, Sent::Lost(Some(_))) {
            set.notify(h);
        }
        Some(result)
    }

    /// Gives a socket what it lacks to be found by its present key: a port, and, when it is
    /// connected, our side's address.
    fn name<B, Set>(&mut self, set: &mut Set, h: Handle<UdpSocket<B>>, out: &impl Output)
    where
        B: DerefMut<Target = [u8]>,
        Set: SocketSet<UdpSocket<B>>,
    {
        let Some(need) = set.get_mut(h).and_then(|socket| socket.lacks()) else {
            return;
        };
        let source = match need.towards {
            Some(to) => match out.room(to, need.ip) {
                Ok(room) => Some(room.src),
                Err(error) => {
                    if let (Some(socket), Sent::Lost(Some(why))) =
                        (set.get_mut(h), Err::<(), TxError>(error).into())
                    {
                        socket.no_way(why);
                        set.notify(h);
                    }
                    return;
                }
            },
            None => need.ip,
        };
        let port = match need.port {
            0 => self.ports.random(|port| {
                let taken = |ip: Option<IpAddr>| set.lookup(&Endpoint::bound(ip, port)).is_some();
                !taken(None) && !source.is_some_and(|ip| taken(Some(ip)))
            }),
            port => Some(port),
        };
        let named = match (set.get_mut(h), port) {
            (Some(socket), Some(port)) => {
                socket.name(port, source);
                set.rekey(h).is_ok()
            }
            _ => false,
        };
        if !named && let Some(socket) = set.get_mut(h) {
            socket.refuse();
            set.notify(h);
        }
    }
}

/// Sends one datagram, gathered from where it is.
fn send(
    out: &mut impl Output,
    to: Dest,
    header: Header,
    data: &[u8],
    offload: bool,
) -> Result<(), TxError> {
    let meta = TxMeta {
        csum: offload.then_some(Csum {
            start: 0,
            offset: Header::CHECKSUM_OFFSET as u16,
        }),
        ..TxMeta::NONE
    };
    out.send_gather(to, Header::LEN, [data, &[]], meta, |ip, head| {
        let Some(head) = head.first_chunk_mut() else {
            return;
        };
        // Sockets refuse what is too long for the length field, the only error there is.
        let _ = if offload {
            header.emit_partial(ip, data.len(), head)
        } else {
            header.emit_summed(ip, data.len(), Sum::of(data), head)
        };
    })
}
