//! What a picture of a connection is drawn from, wherever it came from.
//!
//! Invariant: one direction of one connection; times are seconds since its first event and do
//! not go back within a series, places are octets of that direction's stream from 0.

/// Octets of a stream at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// When.
    pub t: f64,
    /// Place of the first.
    pub from: u64,
    /// Place after the last.
    pub to: u64,
}

/// A value from a time on.
pub type Point = (f64, f64);

/// Something worth a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The retransmission timer expired.
    Timeout,
    /// A tail loss probe.
    Probe,
    /// A reduction was taken back.
    Undo,
    /// A congestion mark was echoed.
    Ecn,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Timeout, Self::Probe, Self::Undo, Self::Ecn];

    /// What the legend calls them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Probe => "probe",
            Self::Undo => "undo",
            Self::Ecn => "ECN",
        }
    }
}

/// One direction of a connection.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// The sender of the octets.
    pub from: String,
    /// Their receiver.
    pub to: String,
    /// Congestion control of the sender, where known.
    pub control: Option<String>,
    /// Where it was seen: "seen by the sender", say.
    pub place: &'static str,
    /// Seconds from the first event to the last.
    pub seconds: f64,
    /// Segments with octets, trains counted as their segments.
    pub segments: u64,
    /// Segments among them that repeat octets.
    pub repeated: u64,
    /// Octets sent for the first time.
    pub sent: Vec<Span>,
    /// Octets sent again.
    pub again: Vec<Span>,
    /// Octets reported out of order.
    pub sacked: Vec<Span>,
    /// Octets acknowledged.
    pub acked: Vec<Point>,
    /// Where the receiver's window ends; empty where it is not known.
    pub edge: Vec<Point>,
    /// Congestion window, octets.
    pub cwnd: Vec<Point>,
    /// Slow start threshold, octets.
    pub ssthresh: Vec<Point>,
    /// Octets in flight.
    pub flight: Vec<Point>,
    /// Round-trip times, seconds.
    pub rtt: Vec<Point>,
    /// Smoothed, seconds.
    pub srtt: Vec<Point>,
    /// Retransmission timeout, seconds.
    pub rto: Vec<Point>,
    /// From when to when the sender repaired losses.
    pub recovery: Vec<(f64, f64)>,
    /// Marks.
    pub marks: Vec<(f64, Mark)>,
}

impl Flow {
    /// Octets of the stream that were seen.
    pub fn octets(&self) -> u64 {
        let last = self.sent.iter().chain(&self.again).map(|span| span.to);
        last.max().unwrap_or(0)
    }

    /// Least round-trip time, seconds.
    pub fn min_rtt(&self) -> Option<f64> {
        self.rtt.iter().map(|(_, rtt)| *rtt).min_by(f64::total_cmp)
    }

    /// What happened from `begin` to `end`, seconds; values go on from before.
    pub fn clip(&mut self, begin: f64, end: f64) {
        let inside = |t: f64| t >= begin && t <= end;
        for spans in [&mut self.sent, &mut self.again, &mut self.sacked] {
            spans.retain(|span| inside(span.t));
        }
        for points in [
            &mut self.acked,
            &mut self.edge,
            &mut self.cwnd,
            &mut self.ssthresh,
            &mut self.flight,
            &mut self.srtt,
            &mut self.rto,
        ] {
            let before = points.iter().rfind(|(t, _)| *t < begin).copied();
            points.retain(|(t, _)| inside(*t));
            if let Some((_, value)) = before {
                points.insert(0, (begin, value));
            }
        }
        self.rtt.retain(|(t, _)| inside(*t));
        self.marks.retain(|(t, _)| inside(*t));
        self.recovery
            .retain(|(from, to)| *to >= begin && *from <= end);
        for (from, to) in &mut self.recovery {
            (*from, *to) = (from.max(begin), to.min(end));
        }
    }
}

/// A flow in a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// One end, which opened the connection where that was seen.
    pub client: String,
    /// The other.
    pub server: String,
    /// Octets from the one to the other.
    pub there: u64,
    /// And back.
    pub back: u64,
    /// Segments, or trains of them, both ways.
    pub packets: u64,
    /// Seconds from the first to the last.
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_keeps_the_value_from_before() {
        let span = |t| Span { t, from: 0, to: 1 };
        let mut flow = Flow {
            sent: vec![span(0.5), span(1.5), span(2.5)],
            cwnd: vec![(0.0, 10.0), (0.9, 20.0), (1.5, 30.0), (3.0, 40.0)],
            recovery: vec![(0.1, 0.2), (0.5, 1.5)],
            ..Flow::default()
        };
        flow.clip(1.0, 2.0);
        assert_eq!(flow.sent, [span(1.5)]);
        assert_eq!(flow.cwnd, [(1.0, 20.0), (1.5, 30.0)]);
        assert_eq!(flow.recovery, [(1.0, 1.5)]);
    }
}
