//! A host: layers put together, and the one loop body that runs them.

use core::marker::PhantomData;
use core::net::IpAddr;

use phy::Instant;
use rand_core::CryptoRng;

use crate::context::{Cx, sooner};
use crate::error::{Drop, OpenError, Stale};
use crate::iface::{Interface, Link, Packet, PacketSink, PacketTx};
use crate::net::alike::Alike;
use crate::net::answer::Origin;
use crate::net::ident::Idents;
use crate::net::limit::IcmpLimit;
use crate::net::output::Down;
use crate::net::{Answer, IcmpError, Network, unreach};
use crate::secret::Secret;
use crate::socket::{Bound, Handle, Socket, SocketSet};
use crate::stats::Stats;
use crate::transport::{Holds, Transports};

/// Layers put together: interface, IP versions, transports, socket storage.
///
/// A stack does nothing by itself: [`poll`](Self::poll) is one bounded turn, and [`Next`] says
/// when another is due. Sockets are used between polls, through their handles.
///
/// ```
/// use netstrata::iface::Ip;
/// use netstrata::net::Ipv4;
/// use netstrata::phy::{Cable, Instant};
/// use netstrata::socket::SlabSockets;
/// use netstrata::udp::{Udp, UdpSocket};
/// use netstrata::{Next, Stack};
/// # struct Rng(u64);
/// # impl rand_core::TryRng for Rng {
/// #     type Error = core::convert::Infallible;
/// #     fn try_next_u32(&mut self) -> Result<u32, Self::Error> { Ok(4) }
/// #     fn try_next_u64(&mut self) -> Result<u64, Self::Error> { Ok(self.0) }
/// #     fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> { dst.fill(4); Ok(()) }
/// # }
/// # impl rand_core::TryCryptoRng for Rng {}
/// # let mut rng = Rng(4); // an application takes its operating system's source
/// // Two hosts on one cable.
/// let (east, west) = Cable::new(1500);
/// let net = |last| Ipv4::default().with(0, [10, 0, 0, last].into(), 24);
/// let mut a = Stack::new(Ip::new(east), net(1), (Udp::default(),), SlabSockets, &mut rng);
/// let mut b = Stack::new(Ip::new(west), net(2), (Udp::default(),), SlabSockets, &mut rng);
///
/// let buffer = || vec![0; 4096].into_boxed_slice();
/// let here = a.open(UdpSocket::new(5000, buffer(), buffer()))?;
/// let there = b.open(UdpSocket::new(7, buffer(), buffer()))?;
/// a.socket(here).with(|s| s.send_to(b"hello", ([10, 0, 0, 2], 7).into()))??;
///
/// let now = Instant::ZERO; // an application reads a clock
/// assert_eq!(a.poll(now), Next::Wait { until: None, room: false });
/// b.poll(now);
/// assert_eq!(b.next_news(), Some(there));
/// let got = b.socket(there).with(|s| s.recv_with(|from, data| (from.peer, data.to_vec())))??;
/// assert_eq!(got, (([10, 0, 0, 1], 5000).into(), b"hello".to_vec()));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct Stack<I, N, T: Transports<S>, S> {
    /// The link side.
    pub iface: I,
    /// Addresses and routes.
    pub net: N,
    transports: T,
    tables: T::Tables,
    cx: Cx,
    origin: Origin,
    storage: PhantomData<fn() -> S>,
}

/// What to do before the next `poll`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Work is left: poll again.
    Now,
    /// Wait for a frame, for a socket to be used, until `until`, and, when `room` is set,
    /// for transmit room.
    Wait {
        /// When the nearest timer is due.
        until: Option<Instant>,
        /// Some socket has something to send that the link would not take.
        room: bool,
    },
}

impl<I: Interface, N: Network, T: Transports<S>, S> Stack<I, N, T, S> {
    /// Frames taken in, and packets sent, in one turn at most.
    pub const BATCH: usize = 64;

    /// A stack whose socket tables need no storage from the caller.
    pub fn new(iface: I, net: N, transports: T, storage: S, rng: &mut impl CryptoRng) -> Self
    where
        T::Tables: Default,
    {
        let _ = storage; // names the type, so that it is inferred
        Self::with_tables(iface, net, transports, T::Tables::default(), rng)
    }

    /// A stack on the caller's socket tables, one for each transport.
    pub fn with_tables(
        mut iface: I,
        net: N,
        mut transports: T,
        mut tables: T::Tables,
        rng: &mut impl CryptoRng,
    ) -> Self {
        let secret = Secret::new(rng);
        let origin = Origin::new(Idents::new(&secret));
        let mut cx = Cx::new(secret);
        iface.start(&cx.secret);
        transports.start(&mut tables, &mut cx);
        Self {
            iface,
            net,
            transports,
            tables,
            cx,
            origin,
            storage: PhantomData,
        }
    }

    /// Takes a socket in. [`OpenError::InUse`] if its address and port are taken.
    pub fn open<K: Socket, At>(&mut self, socket: K) -> Result<Handle<K>, OpenError>
    where
        T::Tables: Holds<K, At>,
    {
        let set = self.tables.set();
        let handle = set.insert(socket)?;
        set.wake(handle);
        Ok(handle)
    }

    /// A socket, to be used.
    pub fn socket<K: Socket, At>(
        &mut self,
        handle: Handle<K>,
    ) -> Bound<'_, K, <T::Tables as Holds<K, At>>::Set>
    where
        T::Tables: Holds<K, At>,
    {
        Bound {
            set: self.tables.set(),
            handle,
        }
    }

    /// Gives a socket up. Its protocol finishes what it owes the peer, and then removes it.
    pub fn close<K: Socket, At>(&mut self, handle: Handle<K>) -> Result<(), Stale>
    where
        T::Tables: Holds<K, At>,
    {
        let set = self.tables.set();
        if set.get_mut(handle).ok_or(Stale)?.release() {
            set.remove(handle);
        } else {
            set.wake(handle);
        }
        Ok(())
    }

    /// Takes a socket out at once, whatever its peer may still expect of it.
    pub fn remove<K: Socket, At>(&mut self, handle: Handle<K>) -> Option<K>
    where
        T::Tables: Holds<K, At>,
    {
        self.tables.set().remove(handle)
    }

    /// The next socket of kind `K` of which there is news: something to read, room to write,
    /// a connection to accept, an error. Costs the same however many sockets there are.
    pub fn next_news<K: Socket, At>(&mut self) -> Option<Handle<K>>
    where
        T::Tables: Holds<K, At>,
    {
        self.tables.set().next_news()
    }

    /// The table of sockets of kind `K`.
    pub fn sockets<K: Socket, At>(&mut self) -> &mut <T::Tables as Holds<K, At>>::Set
    where
        T::Tables: Holds<K, At>,
    {
        self.tables.set()
    }

    /// The protocols, for their settings.
    pub fn transports(&mut self) -> &mut T {
        &mut self.transports
    }

    /// What was done so far.
    pub fn stats(&self) -> &Stats {
        &self.cx.stats
    }

    /// How many ICMP errors may be sent, to be changed.
    pub fn icmp_limit(&mut self) -> &mut IcmpLimit {
        &mut self.cx.icmp_limit
    }

    /// The time of the last `poll`.
    pub fn now(&self) -> Instant {
        self.cx.now
    }

    /// One bounded turn: frames in, timers, frames out. Costs what is due, not what exists.
    /// `now` must not go backwards.
    pub fn poll(&mut self, now: Instant) -> Next {
        let Self {
            iface,
            net,
            transports,
            tables,
            cx,
            origin,
            ..
        } = self;
        cx.now = cx.now.max(now);
        cx.turn = cx.turn.wrapping_add(1);
        let now = cx.now;

        net.take_new_addresses(|link, ip| iface.announce(link, ip));
        let received = {
            let mut up = Up {
                net: &mut *net,
                transports: &mut *transports,
                tables: &mut *tables,
                cx: &mut *cx,
                origin: &mut *origin,
                alike: None,
                storage: PhantomData,
            };
            iface.receive(now, Self::BATCH, &mut up)
        };
        net.timers(cx);
        transports.timers(tables, cx);
        if iface.take_resolved() {
            transports.unpark(tables);
        }
        while let Some(quote) = net.take_expired() {
            let mut down = Down::new(&mut *iface, &mut *net, &mut *origin, now);
            unreach::send_reassembly_exceeded(cx, &quote, &mut down);
        }
        let mut down = Down::new(&mut *iface, &mut *net, &mut *origin, now);
        let sent = transports.egress(tables, cx, &mut down, Self::BATCH);
        origin.account(&mut cx.stats);
        iface.flush(now);

        if received >= Self::BATCH || sent >= Self::BATCH {
            return Next::Now;
        }
        let below = sooner(iface.deadline(), net.deadline());
        Next::Wait {
            until: sooner(transports.deadline(tables), below),
            room: transports.ready(tables),
        }
    }
}

/// The way up: from the interface through IP to the transports.
struct Up<'a, N, T: Transports<S>, S> {
    net: &'a mut N,
    transports: &'a mut T,
    tables: &'a mut T::Tables,
    cx: &'a mut Cx,
    origin: &'a mut Origin,
    /// What packets share that the last one's protocol takes by the run.
    alike: Option<(Alike, u8)>,
    storage: PhantomData<S>,
}

impl<N: Network, T: Transports<S>, S> PacketSink for Up<'_, N, T, S> {
    fn packet(&mut self, packet: Packet<'_>, answer: impl PacketTx) {
        let Self {
            net,
            transports,
            tables,
            cx,
            origin,
            alike,
            ..
        } = self;
        cx.stats.rx_packets = cx.stats.rx_packets.wrapping_add(1);
        cx.stats.rx_octets = cx.stats.rx_octets.wrapping_add(packet.octets.len() as u64);
        if let Some((alike, proto)) = alike
            && let Some(payload) = alike.cut(&packet)
            && transports.again(tables, cx, *proto, payload, &packet.meta)
        {
            return;
        }
        let Some(packet) = net.receive(cx, packet) else {
            return;
        };
        if unreach::is_error(&packet) {
            let Some(error) = IcmpError::parse(cx, &packet) else {
                return;
            };
            if transports.icmp_error(tables, cx, &error) {
                cx.stats.icmp_errors_received = cx.stats.icmp_errors_received.wrapping_add(1);
                if let unreach::ErrorKind::PacketTooBig(mtu) = error.kind {
                    let (dst, now) = (error.quoted.dst, cx.now);
                    net.learn_path_mtu(dst, mtu.into(), now);
                }
            } else {
                cx.drop(Drop::BadIcmp);
            }
            return;
        }
        let proto = packet.ip.proto;
        if N::ALIKE && T::runs(proto) {
            *alike = Alike::of(&packet).map(|alike| (alike, proto));
        }
        let answer = Answer::to(&packet, answer, origin);
        transports.ingress(tables, cx, packet, answer);
    }

    fn owns(&self, link: Link, ip: IpAddr) -> bool {
        self.net.owns(link, ip)
    }

    fn dropped(&mut self, reason: Drop) {
        self.cx.drop(reason);
    }

    fn unreachable(&mut self, _link: Link, packet: &mut [u8]) {
        if let Some(error) = IcmpError::local(packet) {
            self.transports.icmp_error(self.tables, self.cx, &error);
        }
    }
}
