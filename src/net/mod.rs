//! The Internet layer: parses once, decides what is ours, routes, frames.
//!
//! A [`Network`] holds this host's addresses and routes and is the only place where IP
//! headers are read or written. Transports above it see an [`Ingress`] and, on the way down,
//! an [`Output`].

pub(crate) mod alike;
pub mod answer;
mod config;
mod fragment;
pub mod ident;
pub mod ipv4;
pub mod limit;
mod list;
mod martian;
pub mod output;
#[cfg(feature = "alloc")]
mod partial;
mod pmtu;
#[cfg(feature = "alloc")]
mod reassembly;
mod route;
mod table;
pub mod unreach;

pub use answer::Answer;
pub use config::ConfigError;
pub use ipv4::Ipv4;
pub use output::{Dest, Output, Path, Room};
#[cfg(feature = "alloc")]
pub use reassembly::ReassemblyLimits;
pub use route::Route;
pub use unreach::{ErrorKind, IcmpError, Quote};

use crate::context::Cx;
use crate::iface::{Hop, Link, Packet};
use crate::wire::IpHeader;
use core::net::IpAddr;
use phy::{Instant, RxMeta};

/// One or both IP versions: this host's addresses and routes, and the header work.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an Internet layer",
    label = "expected a `Network`",
    note = "use `Ipv4::default().with(link, address, prefix)`"
)]
pub trait Network {
    /// Whether a packet that differs from one received in the same batch in nothing but lengths,
    /// identification, checksums and what follows the ports is received like it, so that
    /// [`receive`](Self::receive) need not be asked.
    const ALIKE: bool = false;

    /// Does it speak IP of this version (4 or 6)?
    fn speaks(&self, version: u8) -> bool;

    /// Checks, parses and, where fragmented, reassembles a packet for this host. `None`: it
    /// was dropped and counted, or kept until its other fragments come. Every octet of the
    /// result lies within the length its IP header states.
    fn receive<'p>(&'p mut self, cx: &mut Cx, packet: Packet<'p>) -> Option<Ingress<'p>>;

    /// Is `ip` one of this host's unicast addresses on `link`?
    fn owns(&self, link: Link, ip: IpAddr) -> bool;

    /// Next hop towards `dst`, from `src` if that is given and ours, else from the address
    /// that suits the route.
    fn route(&self, dst: IpAddr, src: Option<IpAddr>) -> Option<Hop>;

    /// Another number whenever [`route`](Self::route) may answer otherwise than before; 0 where
    /// nobody counts that.
    fn version(&self) -> u32 {
        0
    }

    /// Largest IP packet known to reach `dst`, if less than its link carries (RFC 1191).
    fn path_mtu(&self, dst: IpAddr, now: Instant) -> Option<usize> {
        let _ = (dst, now);
        None
    }

    /// A validated ICMP error says that `mtu` octets is all that reaches `dst`.
    fn learn_path_mtu(&mut self, dst: IpAddr, mtu: usize, now: Instant) {
        let _ = (dst, mtu, now);
    }

    /// Runs due work: gives up old reassemblies.
    fn timers(&mut self, cx: &mut Cx) {
        let _ = cx;
    }

    /// When `timers` has work.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// A datagram given up by `timers` although its first fragment had come: its sender is to be
    /// told (RFC 1122 §3.3.2).
    fn take_expired(&mut self) -> Option<Quote> {
        None
    }

    /// Calls `f` for every address that is ours and must be announced on its link since the
    /// last call.
    fn take_new_addresses(&mut self, f: impl FnMut(Link, IpAddr)) {
        let _ = f;
    }
}

impl From<crate::wire::WireError> for crate::error::Drop {
    fn from(error: crate::wire::WireError) -> Self {
        use crate::wire::WireError;
        match error {
            WireError::Truncated => Self::Truncated,
            WireError::BadChecksum => Self::BadChecksum,
            WireError::BadVersion => Self::UnknownProtocol,
            _ => Self::Malformed,
        }
    }
}

/// A packet as transports see it.
#[derive(Debug)]
pub struct Ingress<'p> {
    /// The header's fields.
    pub ip: IpHeader,
    /// The header's octets, options included; after reassembly those of the first fragment, with
    /// the length of the whole.
    pub header: &'p [u8],
    /// What follows the header, clipped to the IP length.
    pub payload: &'p mut [u8],
    /// What the device learned about it.
    pub meta: RxMeta,
    /// The link it came by.
    pub link: Link,
    /// The destination is one of our unicast addresses (else broadcast or a group).
    pub unicast: bool,
    /// It was sent to one of our unicast addresses, and a route leads back to its sender: what is
    /// kept for him can be sent, and not only an immediate answer.
    pub answerable: bool,
}
