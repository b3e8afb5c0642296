//! Peers towards which SYNs that offer ECN do not get through: what failed is remembered, as
//! RFC 9768 §3.1.4.1 allows, so that not every connection begins with SYNs that are lost.
//!
//! Invariant: the table is bounded, and the peer not heard of longest gives way; what is
//! forgotten costs a repeated SYN and nothing else. One loss may be chance: two in a row pause
//! offers to that peer, for a time that doubles while it goes on. Called by the shell for
//! connections that we begin.

use core::net::IpAddr;
use phy::Instant;

use crate::tcp::config::Config;
use crate::tcp::table::{Entry, Table};

/// A peer whose answer came only to a SYN without an offer.
#[derive(Debug, Clone, Copy)]
struct Known {
    peer: IpAddr,
    /// How often in a row.
    losses: u8,
    lost_at: Instant,
}

impl Entry for Known {}

/// All of them.
#[derive(Debug)]
pub(in crate::tcp) struct Peers(Table<Known, 1>);

impl Peers {
    /// At most `limit` peers.
    pub fn new(limit: usize) -> Self {
        Self(Table::new(limit))
    }

    /// Is ECN to be offered to `peer`, whose address hashes to `hash`?
    pub fn admits(&self, hash: u64, peer: IpAddr, now: Instant, cfg: &Config) -> bool {
        let id = self.0.find(hash, |known| known.peer == peer);
        let Some(known) = id.and_then(|id| self.0.get(id)) else {
            return true;
        };
        let Some(again) = known.losses.checked_sub(2) else {
            return true;
        };
        let pause = cfg.ecn_pause.saturating_mul(1 << u32::from(again.min(6)));
        now >= known.lost_at + pause
    }

    /// A SYN-ACK of `peer` came, to a SYN that offered ECN or, if the offers were `lost`, to one
    /// that did not.
    pub fn learn(&mut self, hash: u64, peer: IpAddr, now: Instant, lost: bool) {
        let found = self.0.find(hash, |known| known.peer == peer);
        let known = found.and_then(|id| self.0.remove(id));
        if !lost {
            return;
        }
        if self.0.is_full()
            && let Some(oldest) = self.0.oldest(0)
        {
            self.0.remove(oldest);
        }
        let losses = known.map_or(0, |known| known.losses).saturating_add(1);
        let known = Known {
            peer,
            losses,
            lost_at: now,
        };
        self.0.insert(hash, known);
    }

    /// Peers known.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn pauses_double_and_the_oldest_is_forgotten() {
        let (mut peers, cfg) = (Peers::new(2), Config::default());
        assert_eq!(cfg.ecn_pause, Duration::from_secs(600));
        let at = Instant::from_secs;
        let peer = |n: u8| IpAddr::from([192, 0, 2, n]);
        let admits = |peers: &Peers, n: u8, secs| peers.admits(n.into(), peer(n), at(secs), &cfg);
        let lose = |peers: &mut Peers, n: u8, secs| {
            peers.learn(n.into(), peer(n), at(secs), true);
        };
        lose(&mut peers, 1, 0);
        assert!(admits(&peers, 1, 0), "one may be chance");
        lose(&mut peers, 1, 0);
        assert!(!admits(&peers, 1, 599) && admits(&peers, 1, 600) && admits(&peers, 2, 0));
        lose(&mut peers, 1, 600);
        assert!(!admits(&peers, 1, 1799) && admits(&peers, 1, 1800));
        peers.learn(1, peer(1), at(1800), false);
        assert!(peers.len() == 0 && admits(&peers, 1, 1800));
        for n in [1, 1, 2, 3] {
            lose(&mut peers, n, 2000);
        }
        assert!(peers.len() == 2 && admits(&peers, 1, 2000));
    }
}
