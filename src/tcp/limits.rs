//! How much a stack's TCP keeps for peers that have not proved themselves, or have gone.

use super::memory::MemoryLimits;

/// Bounds of the tables that all listeners and all closed connections share.
///
/// Without an allocator either table holds 16 entries at most;
/// cookies, which need no memory, do the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Unfinished handshakes of all listeners together; one takes about 80 octets. Each
    /// listener's share is its backlog.
    pub handshakes: usize,
    /// Connections in TIME-WAIT; one takes about 56 octets. Above it the oldest goes early.
    pub time_wait: usize,
    /// Connections that go on without their application; above it a connection that is given
    /// up is reset instead of closed.
    pub orphans: usize,
    /// Largest backlog a listener gets, whatever it asks for.
    pub backlog: usize,
    /// Servers whose Fast Open cookies are known (RFC 7413 §4.1.3); one takes about 80 octets.
    pub fastopen_servers: usize,
    /// Peers known to lose SYNs that offer ECN (RFC 9768 §3.1.4.1); one takes about 64 octets.
    pub ecn_peers: usize,
    /// When handshakes are kept in no table at all.
    pub cookies: Cookies,
    /// Memory of all connections together.
    pub memory: MemoryLimits,
}

impl Default for Limits {
    /// As Linux on a machine with some memory.
    fn default() -> Self {
        Self {
            handshakes: 65_536,
            time_wait: 65_536,
            orphans: 65_536,
            backlog: 4096,
            fastopen_servers: 1024,
            ecn_peers: 1024,
            cookies: Cookies::WhenFull,
            memory: MemoryLimits::default(),
        }
    }
}

/// When SYNs are answered with a cookie instead of an entry (RFC 4987 §3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cookies {
    /// Never: SYNs above the backlog are dropped.
    Never,
    /// When a listener's backlog of unfinished handshakes, or the table, is full.
    #[default]
    WhenFull,
    /// Always, whatever the tables hold: for tests, and for hosts under attack all day.
    Always,
}
