//! What is counted of a stream.
//!
//! Invariant: counters only grow; an interval, or the time before the test that does not count,
//! is the difference of two looks at them.

use std::time::Duration;

use netstrata::tcp::TcpInfo;

/// What moved on a stream, since its beginning or within a time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Octets of payload.
    pub octets: u64,
    /// Datagrams sent, or, at a receiver, the highest number one had.
    pub packets: u64,
    /// Datagrams missing so far; negative when late ones made up for an earlier time.
    pub lost: i64,
    /// Datagrams that came after one that was sent later.
    pub out_of_order: u64,
    /// Mean deviation of the time on the way (RFC 3550 §6.4.1), in seconds.
    pub jitter: f64,
    /// Segments sent again.
    pub retransmits: u64,
}

impl Figures {
    /// What came in addition since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            octets: self.octets.saturating_sub(before.octets),
            packets: self.packets.saturating_sub(before.packets),
            lost: self.lost.saturating_sub(before.lost),
            out_of_order: self.out_of_order.saturating_sub(before.out_of_order),
            jitter: self.jitter,
            retransmits: self.retransmits.saturating_sub(before.retransmits),
        }
    }

    /// Datagrams missing, none below zero.
    pub fn missing(&self) -> u64 {
        u64::try_from(self.lost).unwrap_or(0)
    }
}

/// Streams of one direction together; the jitter is their mean.
pub fn sum<'a>(all: impl IntoIterator<Item = &'a Figures>) -> Figures {
    let (mut sum, mut count) = (Figures::default(), 0u32);
    for one in all {
        count += 1;
        // Not all of them are ours: a peer may say any number.
        sum.octets = sum.octets.saturating_add(one.octets);
        sum.packets = sum.packets.saturating_add(one.packets);
        sum.lost = sum.lost.saturating_add(one.lost);
        sum.out_of_order = sum.out_of_order.saturating_add(one.out_of_order);
        sum.retransmits = sum.retransmits.saturating_add(one.retransmits);
        sum.jitter += (one.jitter - sum.jitter) / f64::from(count);
    }
    sum
}

/// What a sender's connection was like at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Congestion window, octets.
    pub cwnd: u32,
    /// The peer's window, octets.
    pub wnd: u32,
    /// Round trip and its deviation, µs.
    pub rtt: u64,
    /// See `rtt`.
    pub rttvar: u64,
    /// Largest IP packet of the connection, octets.
    pub pmtu: u32,
}

impl Link {
    /// As the connection tells it.
    pub fn of(info: &TcpInfo) -> Self {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // Headers of IPv4 and TCP, and timestamps.
        let heads = if info.has(TcpInfo::OPT_TIMESTAMPS) {
            52
        } else {
            40
        };
        Self {
            cwnd: info.cwnd_octets,
            wnd: info.snd_wnd,
            rtt: info.rtt.map_or(0, us),
            rttvar: us(info.rttvar),
            pmtu: u32::from(info.snd_mss) + heads,
        }
    }
}

/// The extremes of [`Link`] over a test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extremes {
    /// Largest congestion window, octets.
    pub cwnd: u32,
    /// Largest window of the peer, octets.
    pub wnd: u32,
    /// Longest, shortest and summed round trips, µs.
    pub max_rtt: u64,
    /// See `max_rtt`.
    pub min_rtt: u64,
    sum_rtt: u64,
    looks: u64,
}

impl Extremes {
    /// Takes one more look into account.
    pub fn see(&mut self, link: &Link) {
        self.cwnd = self.cwnd.max(link.cwnd);
        self.wnd = self.wnd.max(link.wnd);
        self.max_rtt = self.max_rtt.max(link.rtt);
        if self.looks == 0 || link.rtt < self.min_rtt {
            self.min_rtt = link.rtt;
        }
        self.sum_rtt = self.sum_rtt.saturating_add(link.rtt);
        self.looks += 1;
    }

    /// Mean of the round trips seen, µs.
    pub fn mean_rtt(&self) -> u64 {
        self.sum_rtt.checked_div(self.looks).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences() {
        let a = Figures {
            octets: 10,
            lost: 3,
            jitter: 0.5,
            packets: 4,
            ..Figures::default()
        };
        let b = Figures {
            octets: 30,
            lost: 1,
            jitter: 0.1,
            packets: 9,
            ..a
        };
        let both = sum([&a, &b]);
        assert_eq!((both.octets, both.packets, both.lost), (40, 13, 4));
        assert!((both.jitter - 0.3).abs() < 1e-9);
        let between = b.since(&a);
        assert_eq!((between.octets, between.packets, between.lost), (20, 5, -2));
        assert_eq!(between.missing(), 0);
    }

    #[test]
    fn a_peer_may_say_any_number() {
        let most = Figures {
            octets: i64::MAX as u64,
            packets: i64::MAX as u64,
            lost: i64::MAX,
            out_of_order: i64::MAX as u64,
            retransmits: i64::MAX as u64,
            ..Figures::default()
        };
        let all = sum([&most; 3]);
        assert_eq!((all.octets, all.lost), (u64::MAX, i64::MAX));
    }

    #[test]
    fn extremes_of_what_was_seen() {
        let mut extremes = Extremes::default();
        for (rtt, cwnd) in [(30, 5), (10, 9), (20, 7)] {
            extremes.see(&Link {
                rtt,
                cwnd,
                ..Link::default()
            });
        }
        assert_eq!(
            (extremes.min_rtt, extremes.max_rtt, extremes.mean_rtt()),
            (10, 30, 20)
        );
        assert_eq!(extremes.cwnd, 9);
    }
}
