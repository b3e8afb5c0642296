//! TCP Fast Open (RFC 7413): text in the SYN, for clients and servers that know each other.
//!
//! | file | of | concern |
//! | --- | --- | --- |
//! | `key` | shell | cookies a server gives and takes |
//! | `memory` | shell | what a client knows of servers, and when it had better not try |
//! | `queue` | shell | how many unproved connections a listener keeps |
//! | `client`, `server` | shell | both roles |
//! | `early` | core | connections whose SYN carries text, on either side |
//!
//! Invariant: without a cookie of ours nothing is kept for a SYN beyond its entry in the SYN
//! table; with one, as many connections as the listener's Fast Open queue allows exist before
//! their handshakes end. Nothing of it happens unless the application asks for it.

mod client;
mod early;
mod key;
mod memory;
mod queue;
mod server;
mod setters;

pub(super) use client::decorate;
pub use early::{Early, EarlyFailure, SynOffer};
pub use key::FastOpenKey;
pub(super) use memory::Memory;
pub(super) use queue::Queue;
pub(super) use server::{Keys, Taken, with_cookie};
