//! What can be told about a connection.

use core::fmt;
use core::time::Duration;

use super::congestion::Congestion;
use super::tcb::{State, Tcb};

/// A snapshot of one connection's numbers, as `TCP_INFO` gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Connection state.
    pub state: State,
    /// Retransmission timeout now, with its back-off.
    pub rto: Duration,
    /// Smoothed round-trip time, `None` before the first sample.
    pub srtt: Option<Duration>,
    /// Mean deviation of the round-trip time.
    pub rttvar: Duration,
    /// Least round-trip time seen, `None` before the first sample.
    pub min_rtt: Option<Duration>,
    /// Name of the congestion control.
    pub congestion: &'static str,
    /// Congestion window, octets.
    pub cwnd: u32,
    /// Octets per second that the peer was last seen to receive, where the congestion control
    /// has that measured.
    pub delivery_rate: Option<u64>,
    /// Octets per second that text is sent at, where it is paced.
    pub pacing_rate: Option<u64>,
    /// Slow start threshold, octets, where the algorithm has one.
    pub ssthresh: Option<u32>,
    /// Octets (with SYN and FIN) sent and neither acknowledged nor held to be lost.
    pub in_flight: u32,
    /// Octets (with SYN and FIN) sent and not acknowledged cumulatively.
    pub unacked: u32,
    /// Octets the peer reported out of order.
    pub sacked: u32,
    /// Expirations of the retransmission timer, or unanswered probes, since the last progress.
    pub retries: u8,
    /// Octets retransmitted in the loss event under way and not known to have arrived.
    pub retransmitting: u32,
    /// Segments retransmitted over the connection's life.
    pub retransmits: u32,
    /// Octets of text in a full segment that we send.
    pub snd_mss: u16,
    /// Octets of text in the largest segment received, as far as acknowledging needs it.
    pub rcv_mss: u16,
    /// MSS we advertised.
    pub adv_mss: u16,
    /// The peer's window, octets.
    pub snd_wnd: u32,
    /// The window we offered and that is still open, octets.
    pub rcv_wnd: u32,
    /// Shift of the peer's window and of ours, where scaling was agreed on.
    pub window_scales: Option<(u8, u8)>,
    /// Are timestamps used?
    pub timestamps: bool,
    /// Is SACK used?
    pub sack: bool,
    /// Octets of text the peer acknowledged.
    pub bytes_acked: u64,
    /// Octets of text received in order.
    pub bytes_received: u64,
    /// Segments received.
    pub segs_in: u32,
    /// Segments sent; a train counts as its segments.
    pub segs_out: u32,
}

impl<C: Congestion> Tcb<C> {
    /// The connection's numbers now. `cfg` is what every call gets.
    pub fn info(&self, cfg: &super::Config) -> TcpInfo {
        TcpInfo {
            state: self.state,
            rto: self.rtt.rto(cfg),
            srtt: self.rtt.smoothed(),
            rttvar: self.rtt.deviation(),
            min_rtt: self.rtt.least(),
            congestion: self.cc.name(),
            cwnd: self.cc.window(),
            delivery_rate: self.cc.gauge().map(|gauge| gauge.delivery_rate()),
            pacing_rate: self.pace(),
            ssthresh: self.cc.threshold(),
            in_flight: self.pipe(),
            unacked: self.in_flight(),
            sacked: self.scoreboard.octets(),
            retries: self.retries.max(self.probes),
            retransmitting: self.repeated_octets(),
            retransmits: self.retransmits,
            snd_mss: self.mss,
            rcv_mss: self.ack.rcv_mss,
            adv_mss: self.adv_mss,
            snd_wnd: self.snd_wnd,
            rcv_wnd: self.rcv_wnd(),
            window_scales: self.scaling.then_some((self.snd_scale, self.rcv_scale)),
            timestamps: self.timestamps,
            sack: self.sack,
            bytes_acked: self.counts.acked,
            bytes_received: self.counts.received,
            segs_in: self.counts.segs_in,
            segs_out: self.counts.segs_out,
        }
    }
}

/// Milliseconds with three decimals.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.as_millis(), self.0.subsec_micros() % 1000);
        if part == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{part:03}")
    }
}

/// One line in the words of `ss -ti`: times in milliseconds, windows in segments, rates in bits
/// per second.
impl fmt::Display for TcpInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.congestion)?;
        if self.timestamps {
            f.write_str(" ts")?;
        }
        if self.sack {
            f.write_str(" sack")?;
        }
        if let Some((peer, ours)) = self.window_scales {
            write!(f, " wscale:{peer},{ours}")?;
        }
        write!(f, " rto:{}", Millis(self.rto))?;
        if let Some(rtt) = self.srtt {
            write!(f, " rtt:{}/{}", Millis(rtt), Millis(self.rttvar))?;
        }
        let mss = u32::from(self.snd_mss.max(1));
        write!(
            f,
            " mss:{} rcvmss:{} advmss:{} cwnd:{}",
            self.snd_mss,
            self.rcv_mss,
            self.adv_mss,
            self.cwnd / mss
        )?;
        if let Some(threshold) = self.ssthresh.filter(|octets| *octets < 0x7fff_ffff) {
            write!(f, " ssthresh:{}", threshold / mss)?;
        }
        write!(
            f,
            " bytes_acked:{} bytes_received:{} segs_out:{} segs_in:{}",
            self.bytes_acked, self.bytes_received, self.segs_out, self.segs_in
        )?;
        for (name, rate) in [
            ("pacing_rate", self.pacing_rate),
            ("delivery_rate", self.delivery_rate),
        ] {
            if let Some(rate) = rate {
                write!(f, " {name} {}bps", rate.saturating_mul(8))?;
            }
        }
        write!(f, " unacked:{}", self.unacked.div_ceil(mss))?;
        let again = self.retransmitting.div_ceil(mss);
        write!(f, " retrans:{again}/{}", self.retransmits)?;
        if self.sacked > 0 {
            write!(f, " sacked:{}", self.sacked.div_ceil(mss))?;
        }
        match self.min_rtt {
            Some(rtt) => write!(f, " minrtt:{}", Millis(rtt)),
            None => Ok(()),
        }
    }
}
