//! What can be told about a connection, in the names of Linux's `struct tcp_info`.
//!
//! Invariant: reading changes nothing. Windows and what is in flight are in segments of
//! `snd_mss` octets, as Linux counts them, and in octets in fields that say so. What Linux
//! counts and this stack has no use for is zero, and says so.

use core::time::Duration;

use super::config::Config;
use super::congestion::{Congestion, PathModel};
use super::fastopen::EarlyFailure;
use super::recovery::CaState;
use super::rtt::Repeated;
use super::segment::timestamp;
use super::tcb::{State, Tcb};
use crate::socket::{RecvBuf, SendBuf};
use phy::Instant;

/// A snapshot of one connection's numbers, as `TCP_INFO` gives them; printed in the words of
/// `ss -ti`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Name of the congestion control.
    pub congestion: &'static str,
    /// Connection state.
    pub state: State,
    /// Phase of congestion avoidance and loss recovery.
    pub ca_state: CaState,
    /// Expirations of the retransmission timer since the last progress.
    pub retransmits: u8,
    /// Unanswered probes, of a zero window or of idleness.
    pub probes: u8,
    /// How often the timeout, or the time between probes, was doubled.
    pub backoff: u8,
    /// What was agreed on: a sum of the `OPT_` constants.
    pub options: u8,
    /// Shift of the peer's windows, 0 to 14.
    pub snd_wscale: u8,
    /// Shift of ours, 0 to 14.
    pub rcv_wscale: u8,
    /// Was the application what limited the last delivery rate?
    pub delivery_rate_app_limited: bool,
    /// Why text of ours was not taken with the SYN (RFC 7413).
    pub fastopen_client_fail: EarlyFailure,
    /// Retransmission timeout now, with its back-off.
    pub rto: Duration,
    /// Delay of the next delayed acknowledgment; zero before any text came.
    pub ato: Duration,
    /// Octets of text in a full segment that we send.
    pub snd_mss: u16,
    /// Octets of the largest packet that the path is known to carry, with all headers; the
    /// control block, which knows nothing of IP, leaves that header out. 0 before anything was
    /// sent.
    pub pmtu: u32,
    /// Octets of text in a full segment of the peer, as seen.
    pub rcv_mss: u16,
    /// Octets of text in a full segment by the MSS we advertised, options of every segment left
    /// out.
    pub advmss: u16,
    /// Segments sent and not acknowledged cumulatively.
    pub unacked: u32,
    /// Segments the peer reported out of order.
    pub sacked: u32,
    /// Segments held to be lost.
    pub lost: u32,
    /// Segments retransmitted and not known to have arrived.
    pub retrans: u32,
    /// Always zero, as in Linux since forward acknowledgment was given up.
    pub fackets: u32,
    /// Time since text was last sent; since the connection was made if none was.
    pub last_data_sent: Duration,
    /// Always zero, as in Linux.
    pub last_ack_sent: Duration,
    /// Time since text last came; `None` if none did.
    pub last_data_recv: Option<Duration>,
    /// Time since a segment last came.
    pub last_ack_recv: Duration,
    /// Widest window that would be offered now, octets.
    pub rcv_ssthresh: u32,
    /// Smoothed round-trip time, `None` before the first sample.
    pub rtt: Option<Duration>,
    /// Mean deviation of the round-trip time.
    pub rttvar: Duration,
    /// Slow start threshold, segments; 0x7fffffff where there is none.
    pub snd_ssthresh: u32,
    /// Congestion window, segments.
    pub snd_cwnd: u32,
    /// Duplicate acknowledgments that mean a loss.
    pub reordering: u32,
    /// The receiver's estimate of the round-trip time; `None` while little comes.
    pub rcv_rtt: Option<Duration>,
    /// Octets that the application read in a round trip, by which the receive buffer grows.
    pub rcv_space: u32,
    /// Segments retransmitted over the connection's life.
    pub total_retrans: u32,
    /// Octets per second that text is sent at, or would be if it were paced; `None` before the
    /// first sample of the round-trip time.
    pub pacing_rate: Option<u64>,
    /// Bound of it that the application set.
    pub max_pacing_rate: Option<u64>,
    /// Octets of text the peer acknowledged.
    pub bytes_acked: u64,
    /// Octets of text received in order.
    pub bytes_received: u64,
    /// Segments sent; a train counts as its segments.
    pub segs_out: u32,
    /// Segments received; one that the device coalesced counts once.
    pub segs_in: u32,
    /// Octets written and not sent yet.
    pub notsent_bytes: u32,
    /// Least round-trip time seen, `None` before the first sample.
    pub min_rtt: Option<Duration>,
    /// Segments received with text.
    pub data_segs_in: u32,
    /// Segments sent with text.
    pub data_segs_out: u32,
    /// Octets per second that the peer was last seen to receive. It is forgotten where nothing was
    /// in flight for [`Config::trim_after`], unless the path lost or reordered segments.
    pub delivery_rate: Option<u64>,
    /// Time with text queued or in flight.
    pub busy_time: Duration,
    /// Of it, time that the peer's window let no more out.
    pub rwnd_limited: Duration,
    /// Of it, time that all was in flight and the send buffer took no more.
    pub sndbuf_limited: Duration,
    /// Octets of text sent, repeated ones included.
    pub bytes_sent: u64,
    /// Octets of text sent again.
    pub bytes_retrans: u64,
    /// Segments known to have arrived.
    pub delivered: u32,
    /// Segments that the peer said came twice (RFC 2883).
    pub dsack_dups: u32,
    /// How often segments were seen to overtake others.
    pub reord_seen: u32,
    /// Segments received out of order.
    pub rcv_ooopack: u32,
    /// Is the feedback of ECN accurate (RFC 9768)?
    pub accurate_ecn: bool,
    /// Segments of ours that arrived with a congestion mark, as far as the peer told: exactly
    /// with accurate feedback, else all that its echoes acknowledge.
    pub delivered_ce: u32,
    /// Packets received with a congestion mark, where the feedback is accurate.
    pub received_ce: u32,
    /// Octets of text of ours that arrived as ECT(1), as far as the peer told (RFC 9768 §3.2.3).
    pub delivered_e1_bytes: u32,
    /// As ECT(0).
    pub delivered_e0_bytes: u32,
    /// With a congestion mark.
    pub delivered_ce_bytes: u32,
    /// Octets of text received as ECT(1), where the feedback is accurate.
    pub received_e1_bytes: u32,
    /// As ECT(0).
    pub received_e0_bytes: u32,
    /// With a congestion mark.
    pub received_ce_bytes: u32,
    /// The peer's window, octets.
    pub snd_wnd: u32,
    /// The window we offered and that is still open, octets.
    pub rcv_wnd: u32,
    /// Always zero: nothing here is hashed onto paths.
    pub rehash: u32,
    /// Expirations of the retransmission timer over the connection's life.
    pub total_rto: u16,
    /// Runs of expirations that an acknowledgment ended.
    pub total_rto_recoveries: u16,
    /// Time those took.
    pub total_rto_time: Duration,

    /// What congestion control takes the path for, where it has a model of it (`TCP_CC_INFO`).
    pub path_model: Option<PathModel>,
    /// Congestion window, octets.
    pub cwnd_octets: u32,
    /// Slow start threshold, octets, where there is one.
    pub ssthresh_octets: Option<u32>,
    /// Octets (with SYN and FIN) sent and neither acknowledged nor held to be lost.
    pub in_flight_octets: u32,
    /// Octets (with SYN and FIN) sent and not acknowledged cumulatively.
    pub unacked_octets: u32,
    /// Octets the peer reported out of order.
    pub sacked_octets: u32,
}

impl TcpInfo {
    /// Of [`TcpInfo::options`]: timestamps are used (RFC 7323 §3).
    pub const OPT_TIMESTAMPS: u8 = 1;
    /// Selective acknowledgments are used (RFC 2018).
    pub const OPT_SACK: u8 = 2;
    /// Windows are scaled (RFC 7323 §2).
    pub const OPT_WSCALE: u8 = 4;
    /// Explicit congestion notification is used (RFC 3168).
    pub const OPT_ECN: u8 = 8;
    /// A segment came that could have been marked (RFC 3168 §5).
    pub const OPT_ECN_SEEN: u8 = 16;
    /// Text in our SYN was acknowledged, or text in the peer's taken (RFC 7413).
    pub const OPT_SYN_DATA: u8 = 32;

    /// Is one of the options, an `OPT_` constant, in use?
    pub const fn has(&self, option: u8) -> bool {
        self.options & option != 0
    }
}

impl<C: Congestion> Tcb<C> {
    /// The connection's numbers at `now`. The others are what every call gets.
    pub fn info(
        &self,
        cfg: &Config,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
    ) -> TcpInfo {
        let mss = u32::from(self.mss.max(1));
        let room = u32::try_from(rx.capacity()).unwrap_or(u32::MAX);
        let segments = |octets: u32| octets.div_ceil(mss);
        let (flight, pipe) = (self.in_flight(), self.pipe());
        let out = &*self.flight;
        let control = u32::from(self.fin_sent) + u32::from(!self.state.is_synchronized());
        let rare = self.rare.get().cloned().unwrap_or_default();
        let text_out = u64::from(flight.saturating_sub(control));
        let threshold = self.cc.threshold().filter(|octets| *octets < UNLIMITED);
        let now_ms = now.millis() as u32;
        let millis = |ms: u32| Duration::from_millis(ms.into());
        let age = |ms: u32| millis(now_ms.wrapping_sub(ms));
        let times = self.times(now);
        let marked = self.ecn.accurate.get().map(|counts| counts.octets());
        let (
            [received_e1_bytes, received_e0_bytes, received_ce_bytes],
            [delivered_e1_bytes, delivered_e0_bytes, delivered_ce_bytes],
        ) = marked.unwrap_or_default();
        let flags = [
            (self.timestamps, TcpInfo::OPT_TIMESTAMPS),
            (self.sack, TcpInfo::OPT_SACK),
            (self.scaling, TcpInfo::OPT_WSCALE),
            (self.early.succeeded(), TcpInfo::OPT_SYN_DATA),
            (self.ecn.is_agreed(), TcpInfo::OPT_ECN),
            (self.ecn.is_seen(), TcpInfo::OPT_ECN_SEEN),
        ];
        TcpInfo {
            congestion: self.cc.name(),
            state: self.state,
            ca_state: self.ca_state(),
            retransmits: self.retries,
            probes: self.probes,
            backoff: self.retries.max(self.persist_shift),
            options: flags.iter().filter(|f| f.0).fold(0, |sum, f| sum | f.1),
            snd_wscale: self.snd_scale,
            rcv_wscale: self.rcv_scale,
            delivery_rate_app_limited: out.rate_app_limited,
            fastopen_client_fail: self.early_failure(),
            rto: self.rtt.rto(cfg),
            ato: Duration::from_millis(self.ack.delay_ms.into()),
            snd_mss: self.mss,
            pmtu: match self.reach {
                0 => 0,
                reach => u32::from(reach).saturating_add(crate::wire::Tcp::LEN as u32),
            },
            rcv_mss: self.ack.rcv_mss,
            advmss: self.adv_mss.saturating_sub(self.stamp_len()),
            unacked: segments(flight),
            sacked: out.sacked.segments.max(segments(out.dup_octets)),
            lost: out.lost.segments,
            retrans: out.repeated.segments,
            fackets: 0,
            last_data_sent: age(self.sent_at),
            last_ack_sent: Duration::ZERO,
            last_data_recv: (self.ack.delay_ms > 0).then(|| age(self.ack.text_at)),
            last_ack_recv: now.saturating_since(self.heard_at),
            rcv_ssthresh: self.rcv_ssthresh.min(room),
            rtt: self.rtt.smoothed(),
            rttvar: self.rtt.deviation(),
            snd_ssthresh: threshold.map_or(UNLIMITED, |octets| octets / mss),
            snd_cwnd: self.window() / mss,
            reordering: out.rack.degree(cfg),
            rcv_rtt: self.rcv_rtt(),
            rcv_space: self.rcv_space(),
            total_retrans: self.retransmits(),
            pacing_rate: self.pacing_rate(cfg),
            max_pacing_rate: self.options.max_pacing_rate(),
            bytes_acked: self.counts.acked,
            bytes_received: self.counts.received,
            segs_out: self.counts.segs_out,
            segs_in: self.counts.segs_in,
            notsent_bytes: u32::try_from(self.unsent_text(tx)).unwrap_or(u32::MAX),
            min_rtt: self.rtt.least(),
            data_segs_in: self.counts.data_segs_in,
            data_segs_out: self.counts.data_segs_out,
            delivery_rate: (out.rate > 0).then_some(out.rate),
            busy_time: millis(times.busy),
            rwnd_limited: millis(times.window),
            sndbuf_limited: millis(times.buffer),
            bytes_sent: self
                .counts
                .acked
                .wrapping_add(text_out)
                .wrapping_add(rare.bytes_retrans),
            bytes_retrans: rare.bytes_retrans,
            rcv_ooopack: rare.rcv_ooopack,
            dsack_dups: out.rack.duplicates,
            reord_seen: out.rack.seen,
            delivered: self.counts.delivered,
            accurate_ecn: self.ecn.is_accurate(),
            delivered_ce: rare.delivered_ce,
            received_ce: self.ecn.accurate.get().map_or(0, |a| a.received_ce()),
            delivered_e1_bytes,
            delivered_e0_bytes,
            delivered_ce_bytes,
            received_e1_bytes,
            received_e0_bytes,
            received_ce_bytes,
            snd_wnd: self.snd_wnd,
            rcv_wnd: self.rcv_wnd(),
            rehash: 0,
            total_rto: rare.total_rto,
            total_rto_recoveries: rare.total_rto_recoveries,
            total_rto_time: millis(rare.total_rto_time),
            path_model: self.cc.path_model(),
            cwnd_octets: self.window(),
            ssthresh_octets: threshold,
            in_flight_octets: pipe,
            unacked_octets: flight,
            sacked_octets: out.sacked.octets,
        }
    }

    /// Octets of text written and never sent.
    pub(super) fn unsent_text(&self, tx: &impl SendBuf) -> usize {
        let unsent = self.unsent(tx);
        unsent.saturating_sub(usize::from(self.fin_queued && !self.fin_sent))
    }

    /// Segments were sent again, with timestamp `ts`: they count, and what their
    /// acknowledgment answers is in doubt.
    pub(super) fn retransmitted(&mut self, now: Instant, ts: u32, segments: u32) {
        let end = self.snd_nxt;
        let rare = self.rare.make();
        rare.repeated = Repeated::new(now, end, ts);
        rare.retransmits = rare.retransmits.wrapping_add(segments);
    }

    /// Segments retransmitted.
    pub(super) fn retransmits(&self) -> u32 {
        self.rare.get().map_or(0, |rare| rare.retransmits)
    }

    /// Counts octets of text that were sent again.
    pub(super) fn count_repeated(&mut self, octets: usize) {
        let rare = self.rare.make();
        rare.bytes_retrans = rare.bytes_retrans.saturating_add(octets as u64);
    }

    /// Counts a segment that came out of order.
    pub(super) fn count_out_of_order(&mut self) {
        let rare = self.rare.make();
        rare.rcv_ooopack = rare.rcv_ooopack.saturating_add(1);
    }

    /// Counts an expiration of the retransmission timer.
    pub(super) fn count_rto(&mut self, now: Instant) {
        let first = self.retries == 0;
        let rare = self.rare.make();
        rare.total_rto = rare.total_rto.saturating_add(1);
        if first {
            rare.rto_since = timestamp(now, 0);
        }
    }

    /// An acknowledgment ended a run of expirations.
    pub(super) fn count_rto_end(&mut self, now: Instant) {
        let rare = self.rare.make();
        rare.total_rto_recoveries = rare.total_rto_recoveries.saturating_add(1);
        let took = timestamp(now, 0).wrapping_sub(rare.rto_since);
        rare.total_rto_time = rare.total_rto_time.saturating_add(took);
    }
}

/// What a slow start threshold is where there is none.
const UNLIMITED: u32 = 0x7fff_ffff;
