//! The seam between frames and IP packets.
//!
//! An [`Interface`] moves whole IP packets over one or more links. Link layers implement it
//! over a [`phy::Device`]; filters, tunnels and bonds implement it over another interface.
//! It knows link addresses and nothing of IP configuration: it asks its sink whether an
//! address is ours. Called by [`Stack::poll`](crate::Stack::poll) only.

mod arp;
mod cache;
mod claim;
pub mod ethernet;
pub mod filter;
mod framing;
mod hold;
pub mod ip;
pub mod multi;
pub mod neighbor;
mod table;

pub use claim::Conflict;
pub use ethernet::Ethernet;
pub use filter::{Filter, Filtered, Verdict};
pub use ip::Ip;
pub use multi::Either;
pub use neighbor::{Neighbor, NeighborError, NeighborState};

use core::net::IpAddr;
use phy::{Abort, Capabilities, GsoLimits, Instant, RxMeta, TxMeta};

use crate::error::{Drop, TxError};
use crate::secret::Secret;

/// Moves IP packets to and from one or more links.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not carry IP packets",
    label = "expected an `Interface`",
    note = "wrap a device in a link layer: `Ethernet::new(device, mac)` or `Ip::new(device)`"
)]
pub trait Interface {
    /// Called once, before anything else: here are keys for tables whose collisions no peer
    /// may choose.
    fn start(&mut self, secret: &Secret) {
        let _ = secret;
    }

    /// Largest IP packet `link` carries, in octets.
    fn mtu(&self, link: Link) -> usize;

    /// What `link` completes for us.
    fn offload(&self, link: Link) -> Offload;

    /// Runs due work of its own (address resolution), then hands up to `budget` received
    /// packets to `sink`. Returns how many frames it took, useful or not.
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl PacketSink) -> usize;

    /// Room for one packet towards `hop`. While the hop's link address is unknown, `wait`
    /// says what happens.
    fn transmit(&mut self, now: Instant, hop: Hop, wait: Wait) -> Result<impl PacketTx, TxError>;

    /// Pushes out what `transmit` queued: one doorbell per batch.
    fn flush(&mut self, now: Instant);

    /// True once after lookups ended, well or badly, that parked sockets may wait for.
    fn take_resolved(&mut self) -> bool {
        false
    }

    /// When `receive` must be called even if no frame arrives.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Our address on `link` is `ip` from now on: announce it where that is the custom
    /// (RFC 5227 §2.3). Called when an address is added.
    fn announce(&mut self, link: Link, ip: IpAddr) {
        let _ = (link, ip);
    }
}

/// What a link completes for us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offload {
    /// Transport checksums on transmit.
    pub tx_csum: bool,
    /// Segmentation of long TCP segments. Sizes are those of the IP packet.
    pub gso: Option<GsoLimits>,
    /// Cutting of frames that hold several UDP datagrams. Sizes are those of the IP packet.
    pub uso: Option<GsoLimits>,
    /// It copies payload handed over apart ([`Capabilities::copies`]).
    pub copies: bool,
}

impl Offload {
    /// What a device with `caps` completes for packets that it carries behind `header` octets
    /// of link header.
    pub(crate) fn of(caps: &Capabilities, header: usize) -> Self {
        // No IP packet is longer than its 16-bit length field can say.
        let packet = |max: u32| max.saturating_sub(header as u32).min(u32::from(u16::MAX));
        let packets = |limits: GsoLimits| GsoLimits {
            max_size: packet(limits.max_size),
            ..limits
        };
        Self {
            tx_csum: caps.tx_csum,
            gso: caps.gso.map(packets),
            uso: caps.uso.map(packets),
            copies: caps.copies,
        }
    }
}

/// Which of an interface's links; 0 when there is one.
pub type Link = u8;

/// Where a packet goes next, and what we are called there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    /// The link to use.
    pub link: Link,
    /// The neighbour: the destination itself, or a gateway.
    pub to: IpAddr,
    /// Our address on that link; address resolution asks with it.
    pub from: IpAddr,
    /// Does the packet go to the neighbour alone, to a group, or to all on the link? Only a
    /// unicast hop needs its link address looked up.
    pub cast: Cast,
}

/// What becomes of a packet whose next hop's link address is not known yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// `transmit` answers [`TxError::Resolving`] and starts the lookup: for connections, whose
    /// packets all go one way.
    #[default]
    Park,
    /// The unfinished neighbour entry keeps the packet, with others up to the pieces of the longest
    /// datagram (without an allocator one) and the oldest dropped first: for datagrams, so that
    /// one silent neighbour holds up no other.
    Queue,
}

/// How a frame was addressed on its link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cast {
    /// To us alone, or on a link without addresses.
    #[default]
    Unicast,
    /// To a group.
    Multicast,
    /// To all.
    Broadcast,
}

/// A received IP packet on its way up.
#[derive(Debug)]
pub struct Packet<'p> {
    /// The packet from the first octet of its IP header; may carry link padding at the end.
    pub octets: &'p mut [u8],
    /// What the device learned about it.
    pub meta: RxMeta,
    /// The link it came by.
    pub link: Link,
    /// How the link addressed it.
    pub cast: Cast,
}

/// Where an interface puts received packets, and whom it asks about addresses.
pub trait PacketSink {
    /// A packet arrived; `answer` is room for one packet back to its link-level sender.
    fn packet(&mut self, packet: Packet<'_>, answer: impl PacketTx);

    /// Is `ip` one of this host's addresses on `link`? Asked by address resolution.
    fn owns(&self, link: Link, ip: IpAddr) -> bool;

    /// A frame went no further, for `reason`.
    fn dropped(&mut self, reason: Drop);

    /// A packet that waited for a link address is given back: its next hop did not answer.
    fn unreachable(&mut self, link: Link, packet: &mut [u8]) {
        let _ = (link, packet);
    }
}

/// Room for one IP packet; its next hop is settled.
pub trait PacketTx: Sized {
    /// Largest IP packet it takes, in octets.
    fn mtu(&self) -> usize;

    /// What the link completes for us.
    fn offload(&self) -> Offload;

    /// Sends `head` octets written by `fill`, followed by `payload`, gathered if the device
    /// can. Offsets in `meta` count from the front of the packet.
    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), TxError>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>;

    /// Sends a packet of `len` octets that `fill` writes in place.
    fn send<F>(self, len: usize, meta: TxMeta, fill: F) -> Result<(), TxError>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        self.send_gather(len, [&[], &[]], meta, fill)
    }
}

/// Largest IP packet a device with `caps` carries behind `header` octets of link header.
fn mtu(caps: &Capabilities, header: usize) -> usize {
    caps.max_frame.saturating_sub(header).min(u16::MAX.into())
}

/// Is a packet of `head` octets and `payload` within what a device with `caps` carries behind
/// `header` octets of link header? [`TxError::TooBig`] if not.
fn fits(
    caps: &Capabilities,
    header: usize,
    head: usize,
    payload: [&[u8]; 2],
    meta: TxMeta,
) -> Result<(), TxError> {
    let limit = caps
        .frame_limit(meta.gso.is_some())
        .saturating_sub(header)
        .min(u16::MAX.into());
    let [a, b] = payload;
    if head.saturating_add(a.len()).saturating_add(b.len()) > limit {
        return Err(TxError::TooBig(limit as u16));
    }
    Ok(())
}
