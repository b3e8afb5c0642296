//! UDP (RFC 768, RFC 1122 §4.1).
//!
//! Invariant: a datagram goes to one socket, the one that names it most exactly: by both ends,
//! then by our address and port, then by our port. One destination that does not answer never
//! holds up another: datagrams wait for link addresses below, at the neighbour's expense.

mod many;
mod queue;
mod run;
pub mod socket;
mod train;

pub use many::Segments;
pub use socket::UdpSocket;
/// The same by another name, beside the other protocols' `Socket`s.
pub use socket::UdpSocket as Socket;

use core::net::{IpAddr, SocketAddr};
use core::ops::{DerefMut, RangeInclusive};
use phy::{Instant, RxCsum, RxMeta};

use crate::context::Cx;
use crate::error::{Drop, TxError};
use crate::iface::{Cast, PacketTx};
use crate::net::unreach::send_error;
use crate::net::{Answer, ErrorKind, IcmpError, Ingress, Output};
use crate::socket::mailbox::Meta;
use crate::socket::{Bytes, Handle, SocketSet, Stores};
use crate::transport::datagram::{Failure, Sent, Why};
use crate::transport::port::{Ports, Share};
use crate::transport::{Endpoint, Transport};
use crate::wire::{Udp as Header, protocol};
use run::Run;
use train::{Train, Way, send_run};

/// Packets that one socket sends before the next that is ready gets its turn.
const QUANTUM: usize = 16;

/// UDP as a protocol of a stack.
#[derive(Debug, Default)]
pub struct Udp {
    ports: Ports,
    /// Whose the last packet received was.
    last: Found,
    /// What is known of the next datagram if it is of the same flow as the last one.
    run: Option<Run>,
}

/// What was found last, and in which state of the table.
#[derive(Debug)]
struct Found {
    flow: Option<Flow>,
    slot: u32,
    generation: u32,
    version: Option<u64>,
}

impl Found {
    const NOTHING: Self = Self {
        flow: None,
        slot: 0,
        generation: 0,
        version: None,
    };
}

impl Default for Found {
    fn default() -> Self {
        Self::NOTHING
    }
}

/// Two ends with IPv4 addresses, in two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flow {
    ips: u64,
    ports: u32,
}

impl Flow {
    #[inline]
    fn of(local: SocketAddr, peer: SocketAddr) -> Option<Self> {
        let (SocketAddr::V4(local), SocketAddr::V4(peer)) = (local, peer) else {
            return None;
        };
        Some(Self {
            ips: u64::from(local.ip().to_bits()) << 32 | u64::from(peer.ip().to_bits()),
            ports: u32::from(local.port()) << 16 | u32::from(peer.port()),
        })
    }
}

/// Why a socket's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It has nothing more to send.
    Idle,
    /// Others are to be served first.
    More,
    /// It waits for a link address.
    Park,
    /// The link takes no more.
    Full,
}

impl Udp {
    /// UDP whose ephemeral ports come from `range` instead of 32768 to 60999.
    pub const fn with_ports(range: RangeInclusive<u16>) -> Self {
        Self {
            ports: Ports::new(range),
            last: Found::NOTHING,
            run: None,
        }
    }

    /// UDP as one of several stacks with one address: its ephemeral ports are those of `share`.
    #[must_use]
    pub fn sharing(mut self, share: Share) -> Self {
        self.ports = self.ports.sharing(share);
        self
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

    const PROTOCOL: Option<u8> = Some(protocol::UDP);
    const AGAIN: bool = true;

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
        self.run = None;
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
        // A socket that was connected since its key was last told takes its peer's only.
        let Some((h, socket)) = self
            .find_for(set, local, peer)
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
        let each = packet.meta.gro.map_or(usize::MAX, usize::from).max(1);
        let (taken, refused) = if data.len() > each {
            socket.deliver_all(&meta, each, data)
        } else {
            let taken = socket.deliver(&meta, data);
            (usize::from(taken), usize::from(!taken))
        };
        cx.stats.udp_received = cx.stats.udp_received.wrapping_add(taken as u64);
        for _ in 0..refused {
            cx.drop(Drop::SocketFull);
        }
        if taken > 0 {
            set.notify(h);
            self.run = Run::of(h, &packet.ip, udp, &meta);
        }
    }

    #[inline]
    fn again(&mut self, set: &mut S::Set, cx: &mut Cx, payload: &[u8], meta: &RxMeta) -> bool {
        let Some(run) = &self.run else { return false };
        // Of what a device put together each datagram is taken by itself.
        let taken = meta.gro.is_none() && run.deliver(set, payload, meta.csum);
        if taken {
            cx.stats.udp_received = cx.stats.udp_received.wrapping_add(1);
        }
        taken
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
        let mut left = budget;
        while left > 0 {
            let Some(h) = set.next_ready() else { break };
            // Who is alone need not take turns.
            let most = if set.any_ready() { QUANTUM } else { left };
            let (sent, end) = self.serve(set, h, cx, out, left.min(most));
            left = left.saturating_sub(sent);
            match end {
                End::Idle => {}
                End::More => set.wake(h),
                End::Park => set.park(h),
                End::Full => {
                    set.wake(h);
                    break;
                }
            }
        }
        budget.saturating_sub(left)
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
    /// As [`find`], for a packet that was received. Flows come in trains: what was found last is
    /// not looked up again while the table is what it was.
    #[inline]
    fn find_for<B, Set>(
        &mut self,
        set: &Set,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Option<Handle<UdpSocket<B>>>
    where
        B: DerefMut<Target = [u8]>,
        Set: SocketSet<UdpSocket<B>>,
    {
        let flow = Flow::of(local, peer);
        let version = set.version();
        if version.is_some() && version == self.last.version && flow == self.last.flow {
            let h = Handle::new(self.last.slot, self.last.generation);
            if flow.is_some() && set.get(h).is_some_and(UdpSocket::is_settled) {
                return Some(h);
            }
        }
        let h = find(set, local, peer)?;
        self.last = Found {
            flow,
            slot: h.slot(),
            generation: h.generation(),
            version,
        };
        Some(h)
    }

    /// Does what one socket is ready for: names it, and sends its oldest datagrams, at most `most`.
    /// Returns how many were sent or lost, and why no more.
    fn serve<B, Set>(
        &mut self,
        set: &mut Set,
        h: Handle<UdpSocket<B>>,
        cx: &mut Cx,
        out: &mut impl Output,
        most: usize,
    ) -> (usize, End)
    where
        B: DerefMut<Target = [u8]>,
        Set: SocketSet<UdpSocket<B>>,
    {
        self.name(set, h, out);
        let Some(socket) = set.get_mut(h) else {
            return (0, End::Idle);
        };
        // One without a name is asked again after each datagram whether it can get one.
        let most = if socket.is_nameless() { 1 } else { most };
        let (mut sent, mut news) = (0, false);
        let end = loop {
            if sent >= most {
                break End::More;
            }
            let Some((to, front)) = socket.front() else {
                break End::Idle;
            };
            let (peer, mut train) = (front.meta.peer, None);
            let way = match Way::find(out, to) {
                Ok(way) if way.room.cast == Cast::Broadcast && !socket.broadcast() => {
                    Err(Sent::Lost(Some(Why::Broadcast)))
                }
                Ok(_) if socket.is_nameless() => Err(Sent::Lost(Some(Why::InUse))),
                Ok(way) => Ok(way),
                Err(error) => Err(Err::<(), TxError>(error).into()),
            };
            // What went, in datagrams and in packets, and what became of the next one.
            let (gone, packets, result) = match way {
                Ok(way) => {
                    let header = socket.header(peer);
                    let left = most.saturating_sub(sent);
                    let went = match way.cuts(front.each) {
                        // What was queued one by one leaves as one, where the device cuts it.
                        Some(together) => {
                            socket.join(together);
                            let Some((_, front)) = socket.front() else {
                                break End::Idle;
                            };
                            send_run(out, &way, header, &front, left)
                        }
                        None => {
                            let went = send_run(out, &way, header, &front, left);
                            train = Train::of(socket, way, header);
                            went
                        }
                    };
                    (went.gone, went.packets, went.result.into())
                }
                Err(result) => (0, 0, result),
            };
            cx.stats.udp_sent = cx.stats.udp_sent.wrapping_add(gone as u64);
            sent = sent.saturating_add(packets);
            if gone > 0 {
                socket.pop(gone);
                news |= socket.takes_more();
            }
            match result {
                Sent::Full => break End::Full,
                Sent::Park => break End::Park,
                Sent::Gone => {}
                Sent::Lost(why) => {
                    if let Some(why) = why {
                        socket.fail(Failure { why, peer });
                        news = true;
                    }
                    socket.pop(1);
                    news |= socket.takes_more();
                    sent = sent.saturating_add(1);
                }
            }
            // What goes wrong with a later one shows when it comes first.
            let gone = train.map_or(0, |train| {
                train.send(socket, out, most.saturating_sub(sent))
            });
            cx.stats.udp_sent = cx.stats.udp_sent.wrapping_add(gone as u64);
            sent = sent.saturating_add(gone);
            news |= gone > 0 && socket.takes_more();
        };
        let gone = end == End::Idle && socket.is_released();
        if news {
            set.notify(h);
        }
        if gone {
            set.remove(h);
        }
        (sent, end)
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
