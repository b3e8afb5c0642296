//! Ethernet II: framing, and address resolution by ARP.
//!
//! Invariant: a packet that goes up came in a frame for us, for all or for a group; one that
//! goes down has a link address, waits for one, or is refused, and none of that holds up a
//! packet for another neighbour. Answers go back to the frame's source without a lookup. Works
//! over any [`Device`] whose frames begin with an Ethernet header, wrappers included. Padding
//! short frames to Ethernet's minimum is the device's business, and so is the frame check
//! sequence.

use core::net::{IpAddr, Ipv4Addr};

use phy::{Capabilities, Device, FrameSink, Instant, RxToken, TxToken};

use super::arp::{Judgement, judge};
use super::cache::{Cache, Heard, Lookup, Step, Word};
use super::claim::{Claims, Conflict};
use super::framing::{EthTx, WaitTx, group, send_arp};
use super::multi::{Either, earlier};
use super::neighbor::{NEIGHBORS, Neighbor, NeighborError};
use super::{Cast, Hop, Interface, Link, Offload, Packet, PacketSink, PacketTx, Wait};
use crate::error::{Drop, TxError};
use crate::secret::Secret;
use crate::wire::{Arp, Ethernet as Header, Mac, ethertype};

/// A device whose frames are Ethernet frames, as an interface with one link. `N` is how many
/// neighbours it remembers.
///
/// ```
/// use netstrata::iface::{Ethernet, Interface};
/// use netstrata::phy::Cable;
/// use netstrata::wire::Mac;
///
/// let (near, far) = Cable::new(1514);
/// let mac = Mac([2, 0, 0, 0, 0, 1]);
/// let ethernet = Ethernet::new(near, mac);
/// assert_eq!(ethernet.mtu(0), 1500);
/// // A router may want to remember more.
/// let router = Ethernet::<_, 8192>::with_capacity(far, mac);
/// ```
#[derive(Debug)]
pub struct Ethernet<D, const N: usize = NEIGHBORS> {
    device: D,
    mac: Mac,
    cache: Cache<N>,
    claims: Claims,
    /// Packets dropped for want of a place in the cache that no sink has been told of yet.
    refused: u32,
}

impl<D: Device> Ethernet<D> {
    /// Ethernet over `device`, where we are called `mac`, remembering up to [`NEIGHBORS`].
    pub fn new(device: D, mac: Mac) -> Self {
        Self::with_capacity(device, mac)
    }
}

impl<D: Device, const N: usize> Ethernet<D, N> {
    /// Ethernet over `device`, where we are called `mac`, remembering up to `N` neighbours.
    pub fn with_capacity(device: D, mac: Mac) -> Self {
        Self {
            device,
            mac,
            cache: Cache::new(),
            claims: Claims::new(),
            refused: 0,
        }
    }
}

impl<D, const N: usize> Ethernet<D, N> {
    /// The device.
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// The device, to be changed.
    pub const fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Our link address.
    pub const fn mac(&self) -> Mac {
        self.mac
    }

    /// Changes our link address, and announces it for every IP address announced before.
    pub fn set_mac(&mut self, mac: Mac) {
        self.mac = mac;
        self.claims.renew();
    }

    /// Every neighbour known or asked for, in no particular order.
    pub fn neighbors(&self) -> impl Iterator<Item = Neighbor> {
        self.cache.iter()
    }

    /// Says where `ip` is, once and for all: no message changes it, and it is never evicted.
    ///
    /// # Errors
    /// [`NeighborError::NotUnicast`] for a group or zero link address,
    /// [`NeighborError::Full`] if nothing may be evicted for it.
    pub fn add_static(&mut self, ip: IpAddr, mac: Mac) -> Result<(), NeighborError> {
        self.cache.set(ip, mac)
    }

    /// Forgets a neighbour, however it came to be known. True if it was.
    pub fn remove_neighbor(&mut self, ip: IpAddr) -> bool {
        self.cache.remove(ip)
    }

    /// Forgets all neighbours except those [added by hand](Self::add_static).
    pub fn flush_neighbors(&mut self) {
        self.cache.flush();
    }

    /// How often somebody else claimed one of our addresses.
    pub const fn conflicts(&self) -> u64 {
        self.claims.conflicts
    }

    /// The last such claim (RFC 5227 §2.4), once.
    pub fn take_conflict(&mut self) -> Option<Conflict> {
        self.claims.last.take()
    }
}

impl<D: Device, const N: usize> Ethernet<D, N> {
    /// Does what is due: requests, packets that waited, announcements.
    fn work(&mut self, now: Instant, sink: &mut impl PacketSink) {
        self.cache.tick(now);
        for _ in 0..core::mem::take(&mut self.refused) {
            sink.dropped(Drop::NeighborFull);
        }
        for _ in 0..core::mem::take(&mut self.cache.displaced) {
            sink.dropped(Drop::NeighborQueue);
        }
        for id in self.cache.steps() {
            self.step(id, now, sink);
        }
        let Self {
            device,
            mac,
            claims,
            ..
        } = self;
        claims.run(
            now,
            |ip| sink.owns(0, ip.into()),
            |ip| match device.transmit(now) {
                // A frame that the device withdraws is as good as lost on the way.
                Some(token) => {
                    let _ = send_arp(token, *mac, Mac::BROADCAST, Arp::announcement(*mac, ip));
                    true
                }
                None => false,
            },
        );
    }

    fn step(&mut self, id: usize, now: Instant, sink: &mut impl PacketSink) {
        let Self {
            device, mac, cache, ..
        } = self;
        match cache.step(id) {
            Step::Idle => {}
            Step::Ask { to, from, ip } => match device.transmit(now) {
                Some(token) => {
                    let to = to.unwrap_or(Mac::BROADCAST);
                    let _ = send_arp(token, *mac, to, Arp::request((*mac, from), ip));
                    cache.asked(id);
                }
                None => cache.postpone(id),
            },
            Step::Release(dst) => {
                let caps = device.capabilities();
                while let Some((packet, meta)) = cache.hold.front(id) {
                    let Some(token) = device.transmit(now) else {
                        return cache.postpone(id);
                    };
                    // Only IPv4 addresses are asked for, so only IPv4 packets wait.
                    let tx = EthTx {
                        token: Ok(token),
                        caps,
                        header: Header {
                            dst,
                            src: *mac,
                            kind: ethertype::IPV4,
                        },
                    };
                    let _ = tx.send_gather(0, [packet, &[]], meta, |_| Ok(()));
                    cache.hold.pop(id);
                }
                cache.finish(id);
            }
            Step::GiveBack => {
                while let Some((packet, _)) = cache.hold.front(id) {
                    sink.dropped(Drop::NeighborFailed);
                    sink.unreachable(0, packet);
                    cache.hold.pop(id);
                }
                cache.finish(id);
            }
        }
    }
}

impl<D: Device, const N: usize> Interface for Ethernet<D, N> {
    fn start(&mut self, secret: &Secret) {
        self.cache.rekey(secret);
    }

    fn mtu(&self, _link: Link) -> usize {
        super::mtu(&self.device.capabilities(), Header::LEN)
    }

    fn offload(&self, _link: Link) -> Offload {
        Offload::of(&self.device.capabilities(), Header::LEN)
    }

    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl PacketSink) -> usize {
        self.work(now, sink);
        let caps = self.device.capabilities();
        let Self {
            device,
            mac,
            cache,
            claims,
            ..
        } = self;
        let mut up = Up {
            now,
            us: *mac,
            caps,
            cache,
            claims,
            sink: &mut *sink,
        };
        let taken = device.receive(now, budget, &mut up);
        // What the frames set free goes out in the same turn.
        self.work(now, sink);
        taken
    }

    fn transmit(&mut self, now: Instant, hop: Hop, wait: Wait) -> Result<impl PacketTx, TxError> {
        let Self {
            device,
            mac: src,
            cache,
            refused,
            ..
        } = self;
        let (src, caps) = (*src, device.capabilities());
        cache.tick(now);
        let dst = match hop.cast {
            Cast::Broadcast => Mac::BROADCAST,
            Cast::Multicast => group(hop.to),
            Cast::Unicast => match cache.lookup(hop.to, hop.from) {
                Lookup::Known(mac) => mac,
                Lookup::Unreachable => return Err(TxError::Unreachable),
                Lookup::Full => {
                    return Err(match wait {
                        Wait::Park => TxError::Resolving,
                        Wait::Queue => {
                            *refused = refused.saturating_add(1);
                            TxError::Dropped
                        }
                    });
                }
                Lookup::Unfinished { id, first } => {
                    if let (true, IpAddr::V4(ip), IpAddr::V4(from)) = (first, hop.to, hop.from) {
                        match device.transmit(now) {
                            Some(token) => {
                                let ask = Arp::request((src, from), ip);
                                let _ = send_arp(token, src, Mac::BROADCAST, ask);
                                cache.asked(id);
                            }
                            None => cache.not_asked(),
                        }
                    }
                    return match wait {
                        Wait::Park => Err(TxError::Resolving),
                        Wait::Queue => Ok(Either::B(WaitTx {
                            id,
                            caps,
                            hold: &mut cache.hold,
                            displaced: &mut cache.displaced,
                        })),
                    };
                }
            },
        };
        let kind = match hop.to {
            IpAddr::V4(_) => ethertype::IPV4,
            IpAddr::V6(_) => ethertype::IPV6,
        };
        let token = device.transmit(now).ok_or(TxError::Full)?;
        Ok(Either::A(EthTx {
            token: Ok(token),
            caps,
            header: Header { dst, src, kind },
        }))
    }

    fn flush(&mut self, now: Instant) {
        self.device.flush(now);
    }

    fn take_resolved(&mut self) -> bool {
        core::mem::take(&mut self.cache.resolved)
    }

    fn deadline(&self) -> Option<Instant> {
        let due = self.cache.due.min(self.claims.due);
        earlier((due != Instant::MAX).then_some(due), self.device.deadline())
    }

    fn announce(&mut self, _link: Link, ip: IpAddr) {
        if let IpAddr::V4(ip) = ip {
            self.claims.announce(ip);
        }
    }
}

/// The way up from the device.
struct Up<'a, K, const N: usize> {
    now: Instant,
    us: Mac,
    caps: Capabilities,
    cache: &'a mut Cache<N>,
    claims: &'a mut Claims,
    sink: &'a mut K,
}

impl<K: PacketSink, const N: usize> FrameSink for Up<'_, K, N> {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        let meta = rx.meta();
        let Some((h, body)) = rx.frame().split_first_chunk_mut() else {
            return self.sink.dropped(Drop::Truncated);
        };
        let header = Header::parse(h);
        let cast = match header.dst {
            // Frames of our own that the device hears are nobody's.
            _ if header.src == self.us => return self.sink.dropped(Drop::OtherHost),
            dst if dst == self.us => Cast::Unicast,
            dst if dst.is_broadcast() => Cast::Broadcast,
            dst if dst.is_multicast() => Cast::Multicast,
            _ => return self.sink.dropped(Drop::OtherHost),
        };
        match header.kind {
            ethertype::IPV4 | ethertype::IPV6 => {
                let packet = Packet {
                    octets: body,
                    meta,
                    link: 0,
                    cast,
                };
                // No station is called by a group address: there is nobody to answer.
                let token = match header.src.is_unicast() {
                    true => answer.ok_or(TxError::Full),
                    false => Err(TxError::NoRoute),
                };
                let answer = EthTx {
                    token,
                    caps: self.caps,
                    header: Header {
                        dst: header.src,
                        src: self.us,
                        kind: header.kind,
                    },
                };
                self.sink.packet(packet, answer);
            }
            ethertype::ARP => self.arp(body, cast == Cast::Unicast, answer),
            // 802.3 lengths, too (RFC 1122 §2.3.3).
            _ => self.sink.dropped(Drop::UnknownProtocol),
        }
    }
}

impl<K: PacketSink, const N: usize> Up<'_, K, N> {
    fn arp(&mut self, body: &[u8], direct: bool, answer: Option<impl TxToken>) {
        let Some(h) = body.first_chunk() else {
            return self.sink.dropped(Drop::Truncated);
        };
        let Ok(arp) = Arp::parse(h) else {
            return self.sink.dropped(Drop::Malformed);
        };
        let (mac, ip) = arp.sender;
        let owns = |ip: Ipv4Addr| self.sink.owns(0, ip.into());
        match judge(&arp, self.us, direct, owns) {
            Judgement::Ignore(reason) => self.sink.dropped(reason),
            Judgement::Conflict => {
                self.sink.dropped(Drop::BadArp);
                self.claims.conflict(self.now, ip, mac);
            }
            Judgement::Answer => self.answer(arp, answer),
            Judgement::Told(word) => {
                match self.cache.hear(ip, mac, word) {
                    Heard::Known => {}
                    Heard::Contradicts => self.sink.dropped(Drop::BadArp),
                    Heard::Unasked if arp.op == Arp::REPLY => self.sink.dropped(Drop::BadArp),
                    Heard::Unasked => self.sink.dropped(Drop::OtherHost),
                    Heard::Full => self.sink.dropped(Drop::NeighborFull),
                }
                if let Word::Request(_) = word {
                    self.answer(arp, answer);
                }
            }
        }
    }

    /// Answers a request for one of our addresses, to its sender alone.
    fn answer(&mut self, request: Arp, token: Option<impl TxToken>) {
        let Some(token) = token else {
            return self.sink.dropped(Drop::TxFull);
        };
        let _ = send_arp(token, self.us, request.sender.0, request.reply(self.us));
    }
}
