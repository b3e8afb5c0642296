//! What congestion control that keeps a [`Gauge`](super::congestion::Gauge) is measured for:
//! pacing (draft-ietf-ccwg-bbr-06 §5.6.2), delivery rates (§4.1), losses (§5.5.10.2).
//!
//! Invariant: without a gauge nothing here does more than ask for it; text waits for the pacer
//! only, acknowledgments and probes never do.

use super::congestion::pacer::quantum;
use super::congestion::{Congestion, Lost};
use super::segment::Room;
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::socket::SendBuf;
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// The rate that text is sent at, octets per second, where it is paced.
    pub(super) fn pace(&self) -> Option<u64> {
        self.cc.gauge().and_then(|_| self.cc.pacing_rate())
    }

    /// May text leave now? Where it is paced, trains are cut to what takes about a millisecond.
    #[inline]
    pub(super) fn keeps_pace(&mut self, now: Instant, room: &mut Room, tx: &impl SendBuf) -> bool {
        let Some(rate) = self.pace() else { return true };
        let (mss, waits) = (self.mss, self.has_work(tx));
        room.gso = room.gso.min(quantum(rate, mss) as usize);
        let Some(gauge) = self.cc.gauge_mut() else {
            return true;
        };
        let ready = gauge.pacer.ready(now);
        gauge.waiting = waits && !ready;
        ready
    }

    /// `seq..end` is being sent, for the first time if it ends beyond SND.NXT.
    #[inline]
    pub(super) fn gauge_sent(&mut self, now: Instant, seq: SeqNum, end: SeqNum) {
        let Some(rate) = self.pace() else { return };
        let (pipe, first) = (self.pipe(), self.in_flight() == 0);
        let new = end.gt(self.snd_nxt);
        if let Some(gauge) = self.cc.gauge_mut() {
            gauge.pacer.on_sent(now, end.since(seq), rate);
            if new {
                gauge.sent(now, (seq, end), (pipe, first));
            } else {
                gauge.repeated(now, (seq, end), pipe);
            }
        }
    }

    /// The application has nothing to send: if windows and pace would allow it, rates measured
    /// until what is in flight arrived are the application's.
    #[inline]
    pub(super) fn gauge_starved(&mut self) {
        let (pipe, window) = (self.pipe(), self.cc.window());
        if pipe < window
            && let Some(gauge) = self.cc.gauge_mut()
        {
            gauge.starved(pipe);
        }
    }

    /// Octets that were not reported before are acknowledged up to `ack`; SND.UNA did not move
    /// yet.
    #[inline]
    pub(super) fn gauge_acknowledged(&mut self, now: Instant, ack: SeqNum) {
        let una = self.snd_una;
        let known = self.scoreboard.ranges.octets_in(una, ack);
        let last = ack - 1;
        let told = self.scoreboard.ranges.octets_in(last, ack) > 0;
        if let Some(gauge) = self.cc.gauge_mut() {
            let octets = ack.since(una).saturating_sub(known);
            gauge.delivered(now, una, octets);
            if !told {
                gauge.delivered(now, last, 0);
            }
            gauge.advance(ack);
        }
    }

    /// The peer newly reported `octets`, those before `to` the farthest of them.
    pub(super) fn gauge_reported(&mut self, now: Instant, to: SeqNum, octets: u32) {
        if let Some(gauge) = self.cc.gauge_mut() {
            gauge.delivered(now, to - 1, octets);
        }
    }

    /// What was not reported of `from..to` is held to be lost.
    pub(super) fn tell_lost(&mut self, now: Instant, from: SeqNum, to: SeqNum) {
        let mut at = from;
        while let Some((lo, hi)) = self.scoreboard.ranges.gap(at, to) {
            let octets = hi.since(lo);
            let tx_in_flight = self.in_flight();
            let lost = match self.cc.gauge_mut() {
                Some(gauge) => gauge.lost(now, lo, octets),
                None => Lost {
                    now,
                    octets,
                    tx_in_flight,
                    since_sent: octets,
                    app_limited: false,
                },
            };
            self.cc.on_lost(&lost);
            at = hi;
        }
    }
}
