//! Hosts in a process of an operating system: a device chosen at run time, the loop around
//! the stack, and a second host for the other end of a cable.
//!
//! Nothing here knows a protocol's rules; it is what `strata` and the examples share.

mod claims;
mod far;
mod meter;
mod open;
mod pattern;
mod phy_name;
pub mod pump;
mod run;
mod settings;
mod shard;
mod shards;
mod steer;

pub use far::{Connection, Datagrams, FAR_MAC, Far, Host, SERVICES, Service};
pub use open::{AnyDevice, AnyLink, Opened, SetupError, os_rng};
pub use pattern::Pattern;
pub use phy_name::{BadPhy, Phy};
pub use run::{Poll, Runner};
pub use settings::{BadSetting, CABLE_FAR, CABLE_NEAR, LOOPBACK, Settings};
pub use shard::Post;
pub use shards::{Shard, on_threads};
