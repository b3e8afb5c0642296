//! What is measured and kept as text is sent: records of what is in flight, delivery rates
//! (draft-ietf-ccwg-bbr-06 §4.1), and the pace (§5.6.2) where the congestion control has one.
//!
//! Invariant: text waits for the pacer only, acknowledgments and probes never do.

use super::config::Config;
use super::congestion::Congestion;
use super::congestion::pacer::quantum;
use super::segment::{Plan, Room};
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::socket::SendBuf;
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// May text leave now? Where it is paced, trains are cut to what takes about a millisecond.
    #[inline]
    pub(super) fn keeps_pace(
        &mut self,
        cfg: &Config,
        now: Instant,
        room: &mut Room,
        tx: &impl SendBuf,
    ) -> bool {
        let Some(rate) = self.pace(cfg) else {
            return true;
        };
        room.gso = room.gso.min(quantum(rate, self.mss) as usize);
        let ready = self.flight.pacer.ready(now);
        let waits = !ready && self.has_work(tx);
        if waits != self.flight.waiting {
            self.flight.waiting = waits;
        }
        ready
    }

    /// Notes that `plan`, up to `end`, is being sent, for the first time if that is beyond
    /// SND.NXT.
    #[inline]
    pub(super) fn record(&mut self, cfg: &Config, now: Instant, plan: &Plan, end: SeqNum) {
        let delivered = self.counts.acked as u32;
        self.flight.begin(cfg.send_records, delivered);
        let (pipe, octets) = (self.pipe(), end.since(plan.seq));
        if let Some(rate) = self.pace(cfg) {
            self.flight.pacer.on_sent(now, octets, rate);
        }
        if end.gt(self.snd_nxt) {
            let segments = (plan.len as u32).div_ceil(u32::from(plan.mss.max(1)));
            let segments = u16::try_from(segments.max(1)).unwrap_or(u16::MAX);
            self.flight
                .sent(now, (plan.seq, end), (plan.mss, segments), pipe);
        } else {
            self.flight.sent_again(now, (plan.seq, end), pipe);
        }
    }

    /// What waits to be sent again.
    #[inline]
    pub(super) fn flight_due(&mut self) -> Option<(SeqNum, SeqNum)> {
        if self.flight.lost.octets == 0 {
            return None;
        }
        self.flight.next_due()
    }

    /// The application has nothing to send: if windows and pace would allow it, rates measured
    /// until what is in flight arrived are the application's.
    #[inline]
    pub(super) fn starved(&mut self) {
        let (pipe, window) = (self.pipe(), self.window());
        if pipe < window && !self.flight.records.is_empty() {
            self.flight.delivery.mark_app_limited(pipe);
        }
    }
}
