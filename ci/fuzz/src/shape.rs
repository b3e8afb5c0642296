//! What a host is like, and what its application asks of a connection: a number of the
//! configuration, the bounds and the options for each draw.
//!
//! Invariant: the same draws give the same host.

use super::Connection;
use arbitrary::{Result, Unstructured};
use core::time::Duration;
use netstrata::tcp::{
    Algorithm, Config, Ecn, Limits, MemoryLimits, MtuProbing, SendFlags, TcpKeepalive,
};

/// A configuration, by sixteen bits.
pub fn config(bits: u16) -> Config {
    let is = |n: u32| bits >> n & 1 != 0;
    let [probing, ecn] = [bits >> 10 & 3, bits >> 12 & 3].map(usize::from);
    Config {
        timestamps: !is(0),
        sack: !is(1),
        window_scaling: !is(2),
        dsack: !is(3),
        fastopen_server: is(4),
        fastopen_client: is(4),
        fastopen_server_no_cookie: is(4) && is(5),
        user_timeout_option: is(6),
        pacing: is(7),
        receive_buffer: if is(8) { 3000 } else { 131_072 },
        receive_buffer_min: if is(8) { 100 } else { 4096 },
        send_records: if is(9) { 8 } else { 4096 },
        mtu_probing: [
            MtuProbing::Off,
            MtuProbing::BlackHole,
            MtuProbing::Always,
            MtuProbing::Off,
        ][probing],
        mtu_delay: is(11),
        ecn: Ecn::ALL[ecn],
        slow_start_after_idle: is(14),
        time_wait_reuse: is(15).then_some(Duration::from_secs(1)),
        ..Config::default()
    }
}

/// Bounds: those of a host with little memory, or as they are.
pub fn limits(few: bool) -> Limits {
    let usual = Limits::default();
    if !few {
        return usual;
    }
    Limits {
        handshakes: 20,
        time_wait: 10,
        orphans: 5,
        memory: MemoryLimits {
            low: 20_000,
            pressure: 40_000,
            high: 80_000,
            listener: 30_000,
            patience: Duration::from_secs(1),
        },
        ..usual
    }
}

/// What every fuzzed connection has: a peer that is silent is given up.
pub fn bounded(s: &mut Connection) {
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    s.set_tcp_keepalive(&probes);
    s.set_tcp_user_timeout(Some(Duration::from_secs(120)));
    s.set_linger2(None);
}

/// An option of a connection changes.
pub fn set_option(s: &mut Connection, u: &mut Unstructured<'_>) -> Result<()> {
    let n = number(u)?;
    let small = u32::try_from(n).unwrap_or(u32::MAX);
    let time = Duration::from_millis(n);
    match u.int_in_range(0..=19)? {
        0 => s.set_tcp_congestion(Some(*u.choose(&Algorithm::ALL)?)),
        1 => s.set_nodelay(u.arbitrary()?),
        2 => s.set_quickack(u.arbitrary()?),
        3 => s.set_cork(u.arbitrary()?),
        4 => s.set_tcp_user_timeout(Some(time)),
        5 => s.set_recv_buffer_size(n.min(1 << 20) as usize),
        6 => s.set_send_buffer_size(n.min(1 << 20) as usize),
        7 => s.set_notsent_lowat(u.arbitrary::<bool>()?.then_some(small)),
        8 => s.set_max_pacing_rate(u.arbitrary::<bool>()?.then_some(n)),
        9 => s.set_linger(u.arbitrary::<bool>()?.then_some(time)),
        10 => s.set_linger2(Some(time.min(Duration::from_secs(60)))),
        11 => s.set_window_clamp(u.arbitrary::<bool>()?.then_some(small)),
        12 => s.set_mss(u.arbitrary()?),
        13 => {
            let probes = TcpKeepalive::new().with_time(time).with_interval(time);
            s.set_tcp_keepalive(&probes.with_retries(u.arbitrary()?));
        }
        14 => s.set_keepalive(u.arbitrary()?),
        15 => s.set_ttl(u.arbitrary()?),
        16 => s.set_tos(u.arbitrary()?),
        17 => {
            s.set_recv_capacity(n.min(1 << 20) as usize);
        }
        18 => {
            s.set_send_capacity(n.min(1 << 20) as usize);
        }
        _ => s.set_tcp_ecn(Some(*u.choose(&Ecn::ALL)?)),
    }
    Ok(())
}

/// How octets are written.
pub fn flags(u: &mut Unstructured<'_>) -> Result<SendFlags> {
    let bits: u8 = u.arbitrary()?;
    Ok(SendFlags {
        more: bits & 3 == 3,
        eor: bits & 0xc == 0xc,
        urgent: bits & 0x70 == 0x70,
    })
}

/// A number of any size, mostly one at an end.
pub fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=7)? {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => u.arbitrary()?,
        _ => u64::from(u.arbitrary::<u32>()?) >> u.int_in_range(0..=31)?,
    })
}
