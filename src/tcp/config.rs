//! The numbers of TCP: one plain value, given to every call.
//!
//! Invariant: nothing here is checked; every use clamps what it needs to, so that no value can
//! make the core panic or loop.

use core::time::Duration;

use super::congestion::Algorithm;

/// Numbers that all connections of a stack share. The default behaves as Linux does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Offer and accept timestamps (RFC 7323 §3).
    pub timestamps: bool,
    /// Offer and accept selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// Report duplicates in SACK blocks (RFC 2883).
    pub dsack: bool,
    /// Offer and accept window scaling (RFC 7323 §2).
    pub window_scaling: bool,
    /// Octets a receive buffer may ever grow to; the window scale is chosen for it.
    pub receive_buffer_max: usize,
    /// Octets a receive buffer holds at first.
    pub receive_buffer: usize,
    /// Octets a send buffer holds at first.
    pub send_buffer: usize,
    /// Octets a send buffer may ever grow to.
    pub send_buffer_max: usize,
    /// Drop segments that lack the timestamp that was agreed on (RFC 7323 §3.2, a SHOULD).
    pub require_timestamps: bool,
    /// A timestamp older than this no longer makes segments old (RFC 7323 §5.5).
    pub timestamp_lifetime: Duration,

    /// Smallest MSS taken from a peer, octets with options (RFC 9293 §3.7.1 sets none).
    pub mss_floor: u16,
    /// MSS of a peer that states none (RFC 9293 §3.7.1, 536 for IPv4).
    pub mss_default: u16,
    /// Least time in TIME-WAIT after which a `connect` of ours may use the addresses and ports
    /// again, where timestamps tell old segments apart (RFC 6191 §4, RFC 7323 appendix B);
    /// `None` waits to the end.
    pub time_wait_reuse: Option<Duration>,

    /// RTO before the first sample (RFC 6298 §2.1).
    pub rto_initial: Duration,
    /// RTO of a connection whose SYN was repeated and that has no sample (RFC 6298 §5.7).
    pub rto_fallback: Duration,
    /// Least that is added to the smoothed round trip to get the RTO.
    pub rto_min: Duration,
    /// Longest RTO (RFC 6298 §2.5 allows 60 s or more).
    pub rto_max: Duration,
    /// Times a SYN is repeated.
    pub syn_retries: u8,
    /// Times a SYN-ACK is repeated; a listener's at most seven times.
    pub synack_retries: u8,
    /// Times data or FIN are repeated, and zero-window probes left without answer (RFC 1122
    /// §4.2.3.5, R2).
    pub retries: u8,
    /// As `retries`, once the application has let go of the connection.
    pub orphan_retries: u8,
    /// Send tail loss probes (RFC 8985 §7), where the peer takes SACK.
    pub tail_probes: bool,
    /// Duplicate acknowledgments that mean a loss (RFC 5681 §3.2).
    pub dup_threshold: u8,

    /// Segments acknowledged at once at the start, and after a pause.
    pub quick_acks: u8,
    /// Shortest delay of an acknowledgment.
    pub ack_delay_min: Duration,
    /// Longest delay of an acknowledgment; RFC 1122 §4.2.3.2 allows 500 ms.
    pub ack_delay_max: Duration,

    /// Challenge ACKs of a connection within `challenge_period` (RFC 5961 §7).
    pub challenge_acks: u8,
    /// See `challenge_acks`.
    pub challenge_period: Duration,
    /// Least time between replies to segments without text outside the window.
    pub invalid_interval: Duration,
    /// Replies to segments with text outside the window, within `invalid_interval`.
    pub invalid_replies: u8,

    /// Time in FIN-WAIT-2 after the application has let go.
    pub fin_wait_2: Duration,
    /// Time in TIME-WAIT: 2 MSL (RFC 9293 §3.4.2).
    pub time_wait: Duration,
    /// Memory of idle buffers is given back after this.
    pub trim_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timestamps: true,
            sack: true,
            dsack: true,
            window_scaling: true,
            receive_buffer_max: 15_728_640,
            receive_buffer: 540_000,
            send_buffer: 262_144,
            send_buffer_max: 4_194_304,
            require_timestamps: true,
            timestamp_lifetime: Duration::from_secs(24 * 24 * 3600),
            mss_floor: 48,
            mss_default: 536,
            time_wait_reuse: Some(Duration::from_secs(1)),
            rto_initial: Duration::from_secs(1),
            rto_fallback: Duration::from_secs(3),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            syn_retries: 5,
            synack_retries: 5,
            retries: 15,
            orphan_retries: 8,
            tail_probes: true,
            dup_threshold: 3,
            quick_acks: 16,
            ack_delay_min: Duration::from_millis(40),
            ack_delay_max: Duration::from_millis(200),
            challenge_acks: 10,
            challenge_period: Duration::from_secs(5),
            invalid_interval: Duration::from_millis(500),
            invalid_replies: 64,
            fin_wait_2: Duration::from_secs(60),
            time_wait: Duration::from_secs(60),
            trim_after: Duration::from_secs(1),
        }
    }
}

/// What an application may set for one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Send short segments at once instead of waiting for an acknowledgment (Nagle off).
    pub no_delay: bool,
    /// Hold short segments back until more is written, for 200 ms at most.
    pub cork: bool,
    /// Acknowledge every segment at once.
    pub quick_ack: bool,
    /// Probe an idle peer (RFC 9293 §3.8.4); off by default.
    pub keep_alive: Option<KeepAlive>,
    /// How long octets may stay unacknowledged, or the window zero, before the connection is
    /// given up (RFC 5482); by default `Config::retries` decides.
    pub user_timeout: Option<Duration>,
    /// Congestion control, where the type leaves a choice
    /// ([`Any`](super::congestion::Any)); `None` for the type's own.
    pub congestion: Option<Algorithm>,
    /// Largest MSS to advertise and to use, octets of options and text (RFC 9293 §3.7.1);
    /// counts when the connection is opened. `None` for what the link carries.
    pub mss: Option<u16>,
}

/// When an idle peer is probed, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Idle seconds before the first probe.
    pub idle: u16,
    /// Seconds between probes.
    pub interval: u16,
    /// Unanswered probes that end the connection.
    pub count: u8,
}

impl Default for KeepAlive {
    /// Two hours, 75 seconds, nine probes (RFC 9293 §3.8.4 asks for at least two hours).
    fn default() -> Self {
        Self {
            idle: 7200,
            interval: 75,
            count: 9,
        }
    }
}

/// [`Options`] as a control block keeps them: 16 octets.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    /// Milliseconds, 0 for none.
    user_timeout: u32,
    /// Seconds, 0 for no probes at all.
    keep_idle: u16,
    keep_interval: u16,
    keep_count: u8,
    pub(super) no_delay: bool,
    pub(super) cork: bool,
    pub(super) quick_ack: bool,
    pub(super) congestion: Option<Algorithm>,
    /// Octets, 0 for no limit.
    mss: u16,
}

impl Chosen {
    pub(super) fn new(options: &Options) -> Self {
        let keep = options.keep_alive;
        let millis = |limit: Duration| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        Self {
            user_timeout: options.user_timeout.map_or(0, |limit| millis(limit).max(1)),
            keep_idle: keep.map_or(0, |keep| keep.idle.max(1)),
            keep_interval: keep.map_or(0, |keep| keep.interval.max(1)),
            keep_count: keep.map_or(0, |keep| keep.count),
            no_delay: options.no_delay,
            cork: options.cork,
            quick_ack: options.quick_ack,
            congestion: options.congestion,
            mss: options.mss.unwrap_or(0),
        }
    }

    /// Largest MSS the application wants.
    pub(super) fn mss(&self) -> Option<u16> {
        (self.mss > 0).then_some(self.mss)
    }

    pub(super) fn user_timeout(&self) -> Option<Duration> {
        let limit = Duration::from_millis(u64::from(self.user_timeout));
        (self.user_timeout > 0).then_some(limit)
    }

    pub(super) fn keep_alive(&self) -> Option<KeepAlive> {
        (self.keep_idle > 0).then_some(KeepAlive {
            idle: self.keep_idle,
            interval: self.keep_interval,
            count: self.keep_count,
        })
    }

    /// Stops what serves an application that is there.
    pub(super) fn let_go(&mut self) {
        self.keep_idle = 0;
        self.cork = false;
    }

    pub(super) fn options(&self) -> Options {
        Options {
            no_delay: self.no_delay,
            cork: self.cork,
            quick_ack: self.quick_ack,
            keep_alive: self.keep_alive(),
            user_timeout: self.user_timeout(),
            congestion: self.congestion,
            mss: self.mss(),
        }
    }
}
