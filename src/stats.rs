//! Counters by layer: one plain value that can be copied out at any time.

use crate::error::Drop;

/// Packets dropped, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drops([u64; Drop::ALL.len()]);

impl Default for Drops {
    fn default() -> Self {
        Self([0; Drop::ALL.len()])
    }
}

impl Drops {
    /// How many packets were dropped for `reason`.
    pub fn get(&self, reason: Drop) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }
    /// Counts one more.
    pub fn count(&mut self, reason: Drop) {
        if let Some(n) = self.0.get_mut(reason as usize) {
            *n = n.wrapping_add(1);
        }
    }
    /// Dropped packets of all reasons.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }
    /// Reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Drop, u64)> + '_ {
        Drop::ALL
            .iter()
            .map(|r| (*r, self.get(*r)))
            .filter(|(_, n)| *n > 0)
    }
}

/// What a stack has done since it was made. Counters wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// IP packets received, before any check.
    pub rx_packets: u64,
    /// Octets of those packets.
    pub rx_octets: u64,
    /// IP packets handed to the link, fragments counted singly.
    pub tx_packets: u64,
    /// Octets of those packets.
    pub tx_octets: u64,
    /// ICMP echo requests answered.
    pub icmp_echoes: u64,
    /// ICMP errors sent.
    pub icmp_errors_sent: u64,
    /// ICMP errors received that matched a socket.
    pub icmp_errors_received: u64,
    /// UDP datagrams delivered to a socket.
    pub udp_received: u64,
    /// UDP datagrams sent.
    pub udp_sent: u64,
    /// TCP segments received with a good checksum.
    pub tcp_received: u64,
    /// TCP segments sent, retransmissions included.
    pub tcp_sent: u64,
    /// TCP segments sent again.
    pub tcp_retransmitted: u64,
    /// RST segments sent.
    pub tcp_resets_sent: u64,
    /// SYN cookies sent (RFC 4987 §3.6).
    pub tcp_cookies_sent: u64,
    /// SYN cookies that came back valid.
    pub tcp_cookies_accepted: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub tcp_challenges: u64,
    /// Connections of ours whose SYN's text was acknowledged by the SYN-ACK (RFC 7413).
    pub tcp_fastopen_taken: u64,
    /// Connections of ours whose SYN's text was not.
    pub tcp_fastopen_failed: u64,
    /// Signs that Fast Open is swallowed on the way; none is tried for a time after each.
    pub tcp_fastopen_black_holes: u64,
    /// SYNs that asked for a Fast Open cookie.
    pub tcp_fastopen_requests: u64,
    /// SYNs whose Fast Open cookie was good: connections before the end of their handshake.
    pub tcp_fastopen_accepted: u64,
    /// SYNs whose Fast Open cookie was not ours.
    pub tcp_fastopen_refused: u64,
    /// SYNs with Fast Open that found their listener's queue for it full.
    pub tcp_fastopen_overflows: u64,
    /// Times that the memory of TCP connections came under pressure.
    pub tcp_pressure: u64,
    /// Octets received out of order that were forgotten for lack of memory.
    pub tcp_pruned: u64,
    /// TCP connections reset for lack of memory.
    pub tcp_shed: u64,
    /// Dropped packets by reason.
    pub drops: Drops,
}
