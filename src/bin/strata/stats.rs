//! `--stats`: a connection's numbers when it ends, and with `--interval` now and then before, in
//! the words of `ss -ti`.

use std::net::SocketAddr;
use std::time::Duration;

use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::tcp::{Config, TcpInfo};

use crate::session::Session;
use crate::trace::Connection;

/// When the numbers are due next.
#[derive(Debug, Clone, Copy)]
pub struct Every {
    time: Option<Duration>,
    next: Instant,
}

impl Every {
    /// Every so often from `now` on; `None`: never.
    pub fn new(time: Option<Duration>, now: Instant) -> Self {
        let next = now + time.unwrap_or_default();
        Self { time, next }
    }

    /// Are they due? Then not before that time has passed once more.
    pub fn due(&mut self, now: Instant) -> bool {
        let Some(time) = self.time.filter(|_| now >= self.next) else {
            return false;
        };
        // Turns that were missed are not made up for.
        self.next = (self.next + time).max(now);
        true
    }

    /// The earlier of `other` and when they are due.
    pub fn or(&self, other: Option<Instant>) -> Option<Instant> {
        let next = self.time.map(|_| self.next);
        next.into_iter().chain(other).min()
    }
}

/// The line about a connection, as JSON if so wanted; `None` if it never was one.
pub fn line(session: &mut Session, h: Handle<Connection>, json: bool) -> Option<String> {
    let (local, peer, info) = numbers(session, h)?;
    Some(if json {
        object(local, peer, &info)
    } else {
        format!("{local} -> {peer}: {info}")
    })
}

/// A connection's ends and numbers; `None` if it never was one.
pub fn numbers(
    session: &mut Session,
    h: Handle<Connection>,
) -> Option<(SocketAddr, SocketAddr, TcpInfo)> {
    let now = session.now();
    let look = |socket: &Connection| {
        let info = socket.info(&Config::default(), now)?;
        Some((socket.local_addr()?, socket.peer_addr()?, info))
    };
    session.host.socket(h).look(look).ok()?
}

fn object(local: SocketAddr, peer: SocketAddr, info: &TcpInfo) -> String {
    let us = |time: Duration| time.as_micros() as u64;
    serde_json::json!({
        "event": "stats", "local": local.to_string(), "peer": peer.to_string(),
        "congestion": info.congestion, "cwnd": info.cwnd_octets, "ssthresh": info.ssthresh_octets,
        "mss": info.snd_mss, "rto_us": us(info.rto), "rtt_us": info.rtt.map(us),
        "rttvar_us": us(info.rttvar), "min_rtt_us": info.min_rtt.map(us),
        "bytes_acked": info.bytes_acked, "bytes_received": info.bytes_received,
        "segs_out": info.segs_out, "segs_in": info.segs_in, "retransmits": info.total_retrans,
        "ecn": info.has(TcpInfo::OPT_ECN), "ecn_seen": info.has(TcpInfo::OPT_ECN_SEEN),
        "accurate_ecn": info.accurate_ecn, "delivered_ce": info.delivered_ce,
        "received_ce": info.received_ce, "delivery_rate": info.delivery_rate, "pacing_rate": info.pacing_rate,
    })
    .to_string()
}
