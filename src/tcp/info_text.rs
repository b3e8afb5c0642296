//! A connection's numbers as one line, in the words and the order of `ss -ti`.
//!
//! Invariant: times are in milliseconds, windows in segments, rates in bits per second; what is
//! zero or unknown is left out where `ss` leaves it out. What `ss` has no word for comes last.

use core::fmt;
use core::time::Duration;

use super::info::TcpInfo;

/// Milliseconds with up to three decimals.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0.as_millis(), self.0.subsec_micros() % 1000);
        // No zeros at the end, as `%g` writes none.
        match part {
            0 => write!(f, "{whole}"),
            _ if part % 100 == 0 => write!(f, "{whole}.{}", part / 100),
            _ if part % 10 == 0 => write!(f, "{whole}.{:02}", part / 10),
            _ => write!(f, "{whole}.{part:03}"),
        }
    }
}

/// A number in hundredths.
struct Gain(u16);

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}"),
        }
    }
}

/// ` name:value` unless the value is zero.
fn count(f: &mut fmt::Formatter<'_>, name: &str, value: u64) -> fmt::Result {
    if value == 0 {
        return Ok(());
    }
    write!(f, " {name}:{value}")
}

/// ` name valuebps` for octets a second.
fn rate(f: &mut fmt::Formatter<'_>, name: &str, value: Option<u64>) -> fmt::Result {
    match value {
        Some(octets) => write!(f, " {name} {}bps", octets.saturating_mul(8)),
        None => Ok(()),
    }
}

impl TcpInfo {
    fn agreed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (option, name) in [
            (Self::OPT_TIMESTAMPS, "ts "),
            (Self::OPT_SACK, "sack "),
            (Self::OPT_ECN, "ecn "),
            (Self::OPT_ECN_SEEN, "ecnseen "),
            (Self::OPT_SYN_DATA, "fastopen "),
        ] {
            if self.has(option) {
                f.write_str(name)?;
            }
        }
        if self.accurate_ecn {
            f.write_str("accecn ")?;
        }
        f.write_str(self.congestion)?;
        if self.has(Self::OPT_WSCALE) {
            write!(f, " wscale:{},{}", self.snd_wscale, self.rcv_wscale)?;
        }
        Ok(())
    }

    fn path(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " rto:{}", Millis(self.rto))?;
        count(f, "backoff", self.backoff.into())?;
        if let Some(rtt) = self.rtt {
            write!(f, " rtt:{}/{}", Millis(rtt), Millis(self.rttvar))?;
        }
        count(f, "ato", self.ato.as_millis() as u64)?;
        write!(
            f,
            " mss:{} pmtu:{} rcvmss:{} advmss:{} cwnd:{}",
            self.snd_mss, self.pmtu, self.rcv_mss, self.advmss, self.snd_cwnd
        )?;
        if self.ssthresh_octets.is_some() {
            write!(f, " ssthresh:{}", self.snd_ssthresh)?;
        }
        Ok(())
    }

    fn totals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in [
            ("bytes_sent", self.bytes_sent),
            ("bytes_retrans", self.bytes_retrans),
            ("bytes_acked", self.bytes_acked),
            ("bytes_received", self.bytes_received),
            ("segs_out", self.segs_out.into()),
            ("segs_in", self.segs_in.into()),
            ("data_segs_out", self.data_segs_out.into()),
            ("data_segs_in", self.data_segs_in.into()),
        ] {
            count(f, name, value)?;
        }
        Ok(())
    }

    fn rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = self.rtt.and_then(|rtt| {
            let us = u64::try_from(rtt.as_micros()).ok()?;
            u64::from(self.cwnd_octets)
                .saturating_mul(1_000_000)
                .checked_div(us)
        });
        if let Some(model) = self.path_model.filter(|model| model.bandwidth > 0) {
            write!(
                f,
                " {}:(bw:{}bps,mrtt:{},pacing_gain:{},cwnd_gain:{})",
                self.congestion,
                model.bandwidth.saturating_mul(8),
                Millis(model.min_rtt),
                Gain(model.pacing_gain),
                Gain(model.cwnd_gain)
            )?;
        }
        rate(f, "send", window)?;
        count(f, "lastsnd", self.last_data_sent.as_millis() as u64)?;
        let received = self.last_data_recv.unwrap_or_default();
        count(f, "lastrcv", received.as_millis() as u64)?;
        count(f, "lastack", self.last_ack_recv.as_millis() as u64)?;
        rate(f, "pacing_rate", self.pacing_rate)?;
        if let (Some(_), Some(most)) = (self.pacing_rate, self.max_pacing_rate) {
            write!(f, "/{}bps", most.saturating_mul(8))?;
        }
        rate(f, "delivery_rate", self.delivery_rate.filter(|r| *r > 0))?;
        count(f, "delivered", self.delivered.into())?;
        count(f, "delivered_ce", self.delivered_ce.into())?;
        if self.delivery_rate_app_limited {
            f.write_str(" app_limited")?;
        }
        if !self.busy_time.is_zero() {
            write!(f, " busy:{}ms", self.busy_time.as_millis())?;
        }
        for (name, time) in [
            ("rwnd_limited", self.rwnd_limited),
            ("sndbuf_limited", self.sndbuf_limited),
        ] {
            if !time.is_zero() {
                let busy = self.busy_time.as_millis().max(1);
                let tenths = time.as_millis().saturating_mul(1000) / busy;
                let (percent, tenth) = (tenths / 10, tenths % 10);
                write!(f, " {name}:{}ms({percent}.{tenth}%)", time.as_millis())?;
            }
        }
        Ok(())
    }

    fn flight(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        count(f, "unacked", self.unacked.into())?;
        if self.retrans > 0 || self.total_retrans > 0 {
            write!(f, " retrans:{}/{}", self.retrans, self.total_retrans)?;
        }
        count(f, "lost", self.lost.into())?;
        count(f, "sacked", self.sacked.into())?;
        count(f, "dsack_dups", self.dsack_dups.into())?;
        if self.reordering != 3 {
            count(f, "reordering", self.reordering.into())?;
        }
        count(f, "reord_seen", self.reord_seen.into())?;
        if let Some(rtt) = self.rcv_rtt {
            write!(f, " rcv_rtt:{}", Millis(rtt))?;
        }
        count(f, "rcv_space", self.rcv_space.into())?;
        count(f, "rcv_ssthresh", self.rcv_ssthresh.into())?;
        count(f, "notsent", self.notsent_bytes.into())?;
        if let Some(rtt) = self.min_rtt {
            write!(f, " minrtt:{}", Millis(rtt))?;
        }
        count(f, "rcv_ooopack", self.rcv_ooopack.into())?;
        count(f, "snd_wnd", self.snd_wnd.into())?;
        count(f, "rcv_wnd", self.rcv_wnd.into())?;
        count(f, "received_ce", self.received_ce.into())
    }
}

impl fmt::Display for TcpInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.agreed(f)?;
        self.path(f)?;
        self.totals(f)?;
        self.rates(f)?;
        self.flight(f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn times_are_written_as_ss_writes_them() {
        let text = |us| Millis(Duration::from_micros(us)).to_string();
        assert_eq!(text(40_000), "40");
        assert_eq!(text(37_500), "37.5");
        assert_eq!(text(230), "0.23");
        assert_eq!(text(20_308), "20.308");
        assert_eq!(text(7), "0.007");
        assert_eq!(text(1_010), "1.01");
    }

    #[test]
    fn gains_too() {
        let text = |hundredths| Gain(hundredths).to_string();
        assert_eq!(text(277), "2.77");
        assert_eq!(text(90), "0.9");
        assert_eq!(text(100), "1");
        assert_eq!(text(225), "2.25");
        assert_eq!(text(105), "1.05");
    }
}
