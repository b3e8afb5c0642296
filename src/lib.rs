//! A user-space TCP/IP stack of typed layers that compose at compile time.
#![cfg_attr(not(feature = "std"), no_std)]
#[cfg(feature = "alloc")]
extern crate alloc;
pub use phy;
