//! A user-space TCP/IP stack of typed layers that compose at compile time.
//!
//! A host is one type, [`Stack`]: an [`iface::Interface`] (a link layer over a
//! [`phy::Device`]), a [`net::Network`], a tuple of [`transport::Transport`]s, and a
//! [`socket::Storage`]. `Stack::poll` takes the time as an argument and does what is due; nothing
//! in this crate sleeps, reads a clock or draws random numbers after construction.
//!
//! | module | what |
//! | --- | --- |
//! | [`phy`] | devices and wrappers, the crate `netstrata-phy` |
//! | [`wire`] | headers as values |
//! | [`iface`] | Ethernet with ARP, bare IP, filters, several links |
//! | [`net`] | IPv4: addresses, routes, fragments, ICMP errors |
//! | [`transport`] | the seam above IP, tuples of protocols |
//! | [`icmp`], [`udp`], [`tcp`], [`raw`] | protocols and their sockets |
//! | [`socket`] | tables and buffers |
//! | `host` | Linux: devices chosen at run time, waiting, a host at the other end of a cable |
//!
//! Features: `std` (default) for the devices of the operating system, `alloc` for sockets that
//! grow; without either the crate needs no allocator. `cli` builds the command `strata`.
#![no_std]
#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod addr;
pub mod context;
pub mod error;
#[cfg(all(feature = "std", target_os = "linux"))]
pub mod host;
pub mod icmp;
pub mod iface;
pub mod net;
pub mod raw;
pub mod secret;
pub mod socket;
pub mod stack;
pub mod stats;
pub mod tcp;
pub mod transport;
pub mod udp;
pub mod wire;

pub use addr::Cidr;
pub use phy;
pub use stack::{Next, Stack};

/// The Rust blocks of the README and of ARCHITECTURE.md compile and run.
#[cfg(all(doctest, feature = "std", target_os = "linux"))]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../ARCHITECTURE.md")]
    struct Architecture;
}
