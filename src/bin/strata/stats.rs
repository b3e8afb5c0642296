//! `--stats`: a connection's numbers when it ends, and with `--interval` now and then before, in
//! the words of `ss -ti`.

use std::net::SocketAddr;
use std::time::Duration;

use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::tcp::{Config, TcpInfo};
use serde_json::Value;

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
        "received_ce": info.received_ce, "delivery_rate": info.delivery_rate,
        "pacing_rate": info.pacing_rate, "tcp_info": whole(info),
    })
    .to_string()
}

/// All that `tcp_info` has, by Linux's names and in its units: microseconds, but milliseconds for
/// what was last seen; octets a second; null for what is unknown.
fn whole(info: &TcpInfo) -> Value {
    let us = |time: Duration| Value::from(time.as_micros() as u64);
    let ms = |time: Duration| Value::from(time.as_millis() as u64);
    let or_null = |value: Option<Value>| value.unwrap_or(Value::Null);
    let fields: [(&str, Value); 68] = [
        ("state", info.state.to_string().into()),
        ("ca_state", format!("{:?}", info.ca_state).into()),
        ("retransmits", info.retransmits.into()),
        ("probes", info.probes.into()),
        ("backoff", info.backoff.into()),
        ("options", info.options.into()),
        ("snd_wscale", info.snd_wscale.into()),
        ("rcv_wscale", info.rcv_wscale.into()),
        (
            "delivery_rate_app_limited",
            info.delivery_rate_app_limited.into(),
        ),
        (
            "fastopen_client_fail",
            format!("{:?}", info.fastopen_client_fail).into(),
        ),
        ("rto", us(info.rto)),
        ("ato", us(info.ato)),
        ("snd_mss", info.snd_mss.into()),
        ("rcv_mss", info.rcv_mss.into()),
        ("unacked", info.unacked.into()),
        ("sacked", info.sacked.into()),
        ("lost", info.lost.into()),
        ("retrans", info.retrans.into()),
        ("fackets", info.fackets.into()),
        ("last_data_sent", ms(info.last_data_sent)),
        ("last_ack_sent", ms(info.last_ack_sent)),
        ("last_data_recv", or_null(info.last_data_recv.map(ms))),
        ("last_ack_recv", ms(info.last_ack_recv)),
        ("pmtu", info.pmtu.into()),
        ("rcv_ssthresh", info.rcv_ssthresh.into()),
        ("rtt", or_null(info.rtt.map(us))),
        ("rttvar", us(info.rttvar)),
        ("snd_ssthresh", info.snd_ssthresh.into()),
        ("snd_cwnd", info.snd_cwnd.into()),
        ("advmss", info.advmss.into()),
        ("reordering", info.reordering.into()),
        ("rcv_rtt", or_null(info.rcv_rtt.map(us))),
        ("rcv_space", info.rcv_space.into()),
        ("total_retrans", info.total_retrans.into()),
        ("pacing_rate", info.pacing_rate.into()),
        ("max_pacing_rate", info.max_pacing_rate.into()),
        ("bytes_acked", info.bytes_acked.into()),
        ("bytes_received", info.bytes_received.into()),
        ("segs_out", info.segs_out.into()),
        ("segs_in", info.segs_in.into()),
        ("notsent_bytes", info.notsent_bytes.into()),
        ("min_rtt", or_null(info.min_rtt.map(us))),
        ("data_segs_in", info.data_segs_in.into()),
        ("data_segs_out", info.data_segs_out.into()),
        ("delivery_rate", info.delivery_rate.into()),
        ("busy_time", us(info.busy_time)),
        ("rwnd_limited", us(info.rwnd_limited)),
        ("sndbuf_limited", us(info.sndbuf_limited)),
        ("delivered", info.delivered.into()),
        ("delivered_ce", info.delivered_ce.into()),
        ("bytes_sent", info.bytes_sent.into()),
        ("bytes_retrans", info.bytes_retrans.into()),
        ("dsack_dups", info.dsack_dups.into()),
        ("reord_seen", info.reord_seen.into()),
        ("rcv_ooopack", info.rcv_ooopack.into()),
        ("snd_wnd", info.snd_wnd.into()),
        ("rcv_wnd", info.rcv_wnd.into()),
        ("rehash", info.rehash.into()),
        ("total_rto", info.total_rto.into()),
        ("total_rto_recoveries", info.total_rto_recoveries.into()),
        ("total_rto_time", ms(info.total_rto_time)),
        ("received_ce", info.received_ce.into()),
        ("delivered_e1_bytes", info.delivered_e1_bytes.into()),
        ("delivered_e0_bytes", info.delivered_e0_bytes.into()),
        ("delivered_ce_bytes", info.delivered_ce_bytes.into()),
        ("received_e1_bytes", info.received_e1_bytes.into()),
        ("received_e0_bytes", info.received_e0_bytes.into()),
        ("received_ce_bytes", info.received_ce_bytes.into()),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
