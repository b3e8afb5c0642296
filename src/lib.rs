//! A user-space TCP/IP stack of typed layers that compose at compile time.
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
