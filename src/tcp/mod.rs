//! TCP (RFC 9293).
//!
//! The core is plain functions on one value, the control block [`Tcb`]: split by concern over the
//! files of this module, generic over nothing but the congestion control and the buffers, with
//! time as an argument. A [`Segment`] goes in, [`Effects`] and [`Plan`]s come out; the shell
//! moves octets between them and the layers below.

pub mod ack;
pub mod close;
pub mod config;
pub mod congestion;
pub mod error;
pub mod info;
pub mod open;
pub mod ranges;
pub mod receive;
pub mod recovery;
pub mod rtt;
pub mod sack;
pub mod segment;
pub mod send;
pub mod seq;
pub mod tcb;
pub mod timers;
pub mod window;

pub use config::{Config, KeepAlive, Options};
pub use congestion::{Congestion, Reno};
pub use error::TcpError;
pub use info::TcpInfo;
pub use segment::{Effects, Gone, Plan, Room, Segment, TimeWait, reset_for, timestamp};
pub use seq::SeqNum;
pub use tcb::{Handshake, Peer, State, Tcb};
