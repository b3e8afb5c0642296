//! The numbers of TCP: one plain value, given to every call.
//!
//! Invariant: nothing here is checked; every use clamps what it needs to, so that no value can
//! make the core panic or loop.

use core::time::Duration;

use super::congestion::HyStartConfig;
use super::ecn::Ecn;
use super::pmtu::MtuProbing;

/// `Config::receive_buffer`, and what sockets hold before they know the configuration.
pub(super) const RECEIVE_BUFFER: usize = 540_000;
/// `Config::send_buffer`, likewise.
pub(super) const SEND_BUFFER: usize = 262_144;

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
    // Buffers: what Linux calls tcp_rmem and tcp_wmem.
    /// Octets that a receive buffer may hold whatever the memory of the stack
    /// ([`MemoryLimits`](super::MemoryLimits)); 4096.
    pub receive_buffer_min: usize,
    /// Octets a receive buffer holds at first, unless the application chose
    /// (`SO_RCVBUF`); 540,000.
    pub receive_buffer: usize,
    /// Octets a receive buffer may grow to by itself; the window scale is chosen for it;
    /// 15,728,640.
    pub receive_buffer_max: usize,
    /// Octets that a send buffer may hold whatever the memory of the stack; 4096.
    pub send_buffer_min: usize,
    /// Octets a send buffer holds at first, unless the application chose (`SO_SNDBUF`); 262,144.
    pub send_buffer: usize,
    /// Octets a send buffer may grow to by itself; 4,194,304.
    pub send_buffer_max: usize,
    /// Receive buffers grow with what the application reads in a round trip
    /// (`tcp_moderate_rcvbuf`).
    pub receive_autotuning: bool,
    /// Full segments that a receive buffer grows by beyond twice that; 16.
    pub receive_slack: u8,
    /// The receiver's round-trip time is the shortest one within this; 10 s, and more than an
    /// hour is an hour.
    pub receive_rtt_window: Duration,
    /// On a path with a shorter round-trip time than this, which is within one machine or room,
    /// buffers grow to what a round trip carries and not to what happens to be read or waits in
    /// queues at once, so that they stay in the processor's cache; 1 ms, zero for no such paths,
    /// and more than a second is a second.
    pub low_rtt: Duration,
    /// On such a path a round trip is taken to last this long at least, and twice as long where
    /// what is sent waits for its acknowledgment: it is what the turns of both ends take, during
    /// which nobody should wait for room; 64 us, no more than `low_rtt` counts.
    pub low_turn: Duration,
    /// Congestion windows that a send buffer grows to; 2.
    pub send_windows: u8,
    /// Least octets of text that a full segment of a peer is held to have; 88.
    pub rcv_mss_min: u16,
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

    /// Find the size of segments that the path carries by trying (RFC 4821); Linux's
    /// `tcp_mtu_probing`, off by default.
    pub mtu_probing: MtuProbing,
    /// Size that is expected to arrive everywhere, octets of options and text: where a search
    /// begins (RFC 4821 §7.2; Linux's `tcp_base_mss`).
    pub mtu_base: u16,
    /// Least size that vanishing segments are cut down to, octets (`tcp_mtu_probe_floor`).
    pub mtu_floor: u16,
    /// A search ends when less than this is left to be found, octets (`tcp_probe_threshold`).
    pub mtu_threshold: u16,
    /// How long after it began a search begins again (`tcp_probe_interval`).
    pub mtu_interval: Duration,
    /// Expirations of the retransmission timer in a row, beyond the first, that make vanishing
    /// segments suspect (RFC 1122 §4.2.3.5, R1; `tcp_retries1`).
    pub mtu_timeouts: u8,
    /// Segments that the congestion window must hold before one may be a probe, whose loss
    /// would stall a smaller one.
    pub mtu_window: u16,
    /// Believe a router's report of less than what arrived already only if nothing more arrives
    /// (RFC 5927 §7.2); Linux believes it at once.
    pub mtu_delay: bool,
    /// Tell peers the user timeout and adopt theirs (RFC 5482).
    pub user_timeout_option: bool,
    /// With that option, the user timeout of sockets that set none, 1 s to 32767 min (ADV_UTO,
    /// RFC 5482 §3.1).
    pub user_timeout: Duration,
    /// With that option, the shortest user timeout that is adopted (L_LIMIT; RFC 1122 §4.2.3.5
    /// asks for 100 s).
    pub user_timeout_min: Duration,
    /// With that option, the longest user timeout that is adopted (U_LIMIT): what a peer may have
    /// us remember it for (RFC 5482 §6).
    pub user_timeout_max: Duration,
    /// Send text in SYNs to servers that gave us a cookie, for sockets that ask for it (RFC 7413;
    /// bit 1 of Linux's `tcp_fastopen`).
    pub fastopen_client: bool,
    /// Take text in SYNs with a cookie of ours, at listeners with a Fast Open queue (bit 2).
    pub fastopen_server: bool,
    /// Send text in SYNs without any cookie (bit 3): for networks of one owner.
    pub fastopen_client_no_cookie: bool,
    /// Take text in SYNs without any cookie (bit 10): an invitation to floods anywhere but in
    /// networks of one owner (RFC 7413 §5).
    pub fastopen_server_no_cookie: bool,
    /// Octets of a SYN's segment size that its text leaves free, for options of others on the
    /// way.
    pub fastopen_reserve: u16,
    /// How long a server is left alone after its SYNs with text were lost twice in a row, times
    /// two for each loss (RFC 7413 §4.1.3).
    pub fastopen_pause: Duration,
    /// How long no server gets text in a SYN after a connection begun so went silent, doubled
    /// for each in a row up to 64-fold; zero looks for no such black holes.
    pub fastopen_blackhole: Duration,

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
    /// As `retries`, once the application has let go of the connection; then answers without a
    /// window do not keep it much longer.
    pub orphan_retries: u8,
    /// Records of what is in flight that a connection keeps; beyond, neighbours are joined. Each
    /// takes 40 octets while it lasts. 4096, without an allocator at most 16.
    pub send_records: u16,
    /// Segments by which reordering may be seen to exceed `dup_threshold`: 300.
    pub reordering_max: u16,
    /// Time for which a least round-trip time is remembered: 5 minutes.
    pub min_rtt_window: Duration,
    /// Find out after a timeout whether it was needless (F-RTO, RFC 5682).
    pub frto: bool,
    /// What a tail loss probe waits beyond two round trips: 2 ms, for timers that are late.
    pub probe_slack: Duration,
    /// The same where one segment is out, which the peer may acknowledge with a delay: 200 ms
    /// (RFC 8985 §7.2, TLP.max_ack_delay).
    pub probe_ack_delay: Duration,
    /// Send tail loss probes (RFC 8985 §7), where the peer takes SACK.
    pub tail_probes: bool,
    /// Duplicate acknowledgments that mean a loss (RFC 5681 §3.2).
    pub dup_threshold: u8,

    /// Acknowledgments sent at once at the start, and after a pause, at most; 16.
    pub quick_acks: u8,
    /// Octets that one acknowledgment covers at most, of text that arrives together (RFC 5681 §4.2
    /// wants one for each second full segment, and lets those stretch that have cause): 131,070,
    /// twice what a device coalesces into one.
    pub ack_stretch: u32,
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

    // ECN.
    /// What connections do about ECN, unless their sockets say otherwise.
    pub ecn: Ecn,
    /// SYNs with ECN, and SYN-ACKs with it, before they are repeated without (RFC 3168
    /// §6.1.1.1), 1 or more.
    pub ecn_syns: u8,
    /// The same with accurate feedback (RFC 9768 §3.1.4), which asks for 2.
    pub accurate_ecn_syns: u8,
    /// No ECN is offered to a peer for this time after SYNs that offered it were lost twice in a
    /// row, and doubled each time after that, up to 64-fold (RFC 9768 §3.1.4.1); zero to always
    /// try; 10 min.
    pub ecn_pause: Duration,
    /// Send AccECN options (RFC 9768 §3.2.3) where accurate feedback is agreed on.
    pub accurate_ecn_options: bool,

    /// Time in FIN-WAIT-2 after the application has let go.
    pub fin_wait_2: Duration,
    /// Idle time before the first keep-alive probe; RFC 9293 §3.8.4 asks for two hours at
    /// least.
    pub keepalive_time: Duration,
    /// Time between keep-alive probes.
    pub keepalive_interval: Duration,
    /// Keep-alive probes without answer that end a connection.
    pub keepalive_retries: u8,
    /// Time after which a segment is tried again that the layers below refused.
    pub refused_retry: Duration,
    /// Segments of the initial congestion window, at least 1 (RFC 6928 §2).
    pub initial_window: u8,
    /// Percent of the window that a loss leaves CUBIC, 1 to 99 (RFC 9438 §4.6).
    pub cubic_beta: u8,
    /// When CUBIC's slow start ends.
    pub hystart: HyStartConfig,
    /// Go back towards the initial window after an idle time longer than the RTO, and when the
    /// window is not used for as long (RFC 5681 §4.1, RFC 7661).
    pub slow_start_after_idle: bool,
    /// Pace text under every congestion control, not only under those that have a rate of their
    /// own.
    pub pacing: bool,
    /// Segments with text that a connection sends first without pacing them, unless its
    /// congestion control has a rate of its own.
    pub unpaced_segments: u8,
    /// Rate at which text is paced in slow start, per cent of a window in a round trip.
    pub pacing_slow_start: u16,
    /// The same after slow start.
    pub pacing_avoidance: u16,
    /// Octets written and not sent yet above which a socket takes no more.
    pub notsent_lowat: u32,
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
            receive_buffer_min: 4096,
            receive_buffer: RECEIVE_BUFFER,
            receive_buffer_max: 15_728_640,
            send_buffer_min: 4096,
            send_buffer: SEND_BUFFER,
            send_buffer_max: 4_194_304,
            receive_autotuning: true,
            receive_slack: 16,
            receive_rtt_window: Duration::from_secs(10),
            low_rtt: Duration::from_millis(1),
            low_turn: Duration::from_micros(64),
            send_windows: 2,
            rcv_mss_min: 88,
            require_timestamps: true,
            timestamp_lifetime: Duration::from_secs(24 * 24 * 3600),
            mss_floor: 48,
            mss_default: 536,
            time_wait_reuse: Some(Duration::from_secs(1)),
            mtu_probing: MtuProbing::Off,
            mtu_base: 1024,
            mtu_floor: 48,
            mtu_threshold: 8,
            mtu_interval: Duration::from_secs(600),
            mtu_timeouts: 3,
            mtu_window: 11,
            mtu_delay: false,
            user_timeout_option: false,
            user_timeout: Duration::from_secs(300),
            user_timeout_min: Duration::from_secs(100),
            user_timeout_max: Duration::from_secs(3600),
            fastopen_client: true,
            fastopen_server: false,
            fastopen_client_no_cookie: false,
            fastopen_server_no_cookie: false,
            fastopen_reserve: 40,
            fastopen_pause: Duration::from_secs(60),
            fastopen_blackhole: Duration::from_secs(3600),
            rto_initial: Duration::from_secs(1),
            rto_fallback: Duration::from_secs(3),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            syn_retries: 5,
            synack_retries: 5,
            retries: 15,
            orphan_retries: 8,
            send_records: 4096,
            reordering_max: 300,
            min_rtt_window: Duration::from_secs(300),
            frto: true,
            probe_slack: Duration::from_millis(2),
            probe_ack_delay: Duration::from_millis(200),
            tail_probes: true,
            dup_threshold: 3,
            quick_acks: 16,
            ack_stretch: 2 * 65_535,
            ack_delay_min: Duration::from_millis(40),
            ack_delay_max: Duration::from_millis(200),
            challenge_acks: 10,
            challenge_period: Duration::from_secs(5),
            invalid_interval: Duration::from_millis(500),
            invalid_replies: 64,
            ecn: Ecn::Answer,
            ecn_syns: 1,
            accurate_ecn_syns: 2,
            ecn_pause: Duration::from_secs(600),
            accurate_ecn_options: true,
            fin_wait_2: Duration::from_secs(60),
            keepalive_time: Duration::from_secs(7200),
            keepalive_interval: Duration::from_secs(75),
            keepalive_retries: 9,
            refused_retry: Duration::from_millis(500),
            initial_window: 10,
            cubic_beta: 70,
            hystart: HyStartConfig::new(),
            slow_start_after_idle: false,
            pacing: false,
            unpaced_segments: 10,
            pacing_slow_start: 200,
            pacing_avoidance: 120,
            notsent_lowat: u32::MAX,
            time_wait: Duration::from_secs(60),
            trim_after: Duration::from_secs(1),
        }
    }
}
