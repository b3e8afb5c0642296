//! The numbers every contestant works with.

/// Octets of a connection's buffers, each way: what is in flight stays in the second-level cache.
pub const BUFFER: usize = 256 << 10;
/// Octets an application reads or writes at once.
pub const PIECE: usize = 64 << 10;

/// How an application touches the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It copies in and out.
    Copy,
    /// It reads and writes in the connection's buffers.
    InPlace,
}

/// Datagram traffic.
pub struct Traffic;

impl Traffic {
    /// Datagrams sent before the receiver gets its turn.
    pub const BURST: usize = 64;
}
