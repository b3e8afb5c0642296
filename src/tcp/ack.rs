//! Acknowledgments: what an incoming one moves (RFC 9293 §3.10.7.4, fifth). When ours go out is
//! [`acks`](super::acks)'s.
//!
//! Invariant: SND.UNA moves forward only and never past SND.NXT; the send buffer is released by
//! exactly the octets of text acknowledged.

use core::time::Duration;

use super::chrono::Chrono;
use super::config::Config;
use super::congestion::{Ack, Congestion};
use super::rack::Tail;
use super::recovery::Mode;
use super::segment::{Segment, timestamp};
use super::seq::SeqNum;
use super::tcb::Tcb;
use super::timers::Timer;
use crate::socket::SendBuf;
use phy::Instant;

pub use super::acks::{Acking, Owed};

impl<C: Congestion> Tcb<C> {
    /// The acknowledgment, window and SACK blocks of an acceptable segment.
    pub(super) fn acknowledge(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        echo: Option<u32>,
        tx: &mut impl SendBuf,
    ) {
        let (old_wnd, mode) = (self.snd_wnd, self.loss.mode);
        let mut delivered = if self.sack && !segment.options.sack.is_empty() {
            self.take_sack(now, segment)
        } else {
            0
        };
        let reported = delivered > 0;
        let advance = segment.ack.saturating_since(self.snd_una);
        if advance > 0 {
            // Octets reported before do not leave the network a second time.
            let known = if self.sack {
                let ranges = &self.scoreboard.ranges;
                ranges.octets_in(self.snd_una, segment.ack)
            } else {
                self.loss.dup_octets
            };
            delivered = delivered.saturating_add(advance.saturating_sub(known));
            let told = if mode == Mode::Open {
                advance
            } else {
                delivered
            };
            self.advance(cfg, now, segment.ack, echo, told, tx);
        }
        // RFC 9293 §3.10.7.4: SND.WL1 and SND.WL2 keep old segments from updating the window.
        // What acknowledges more is not old, whatever its text is: with the old window on a new
        // left edge, the right one would lie where it never was offered.
        if segment.ack.ge(self.snd_una)
            && (advance > 0
                || self.snd_wl1.lt(segment.seq)
                || self.snd_wl1 == segment.seq && self.snd_wl2.le(segment.ack))
        {
            self.take_window(segment);
        }
        // A duplicate by RFC 5681 §2, or with SACK by RFC 6675 §2.
        let duplicate = if self.sack {
            reported
        } else {
            segment.is_empty() && self.snd_wnd == old_wnd
        };
        if matches!(self.loss.tail, Tail::New | Tail::Again) {
            let bare = segment.is_empty() && segment.options.sack.is_empty();
            self.probe_answered(now, segment, bare && advance == 0);
        }
        let threshold = self.dup_threshold(cfg, self.unsent(tx) > 0);
        if advance == 0 && duplicate && segment.ack == self.snd_una && self.in_flight() > 0 {
            delivered = self.on_duplicate(threshold, now, delivered);
        } else if reported || self.loss.mode != Mode::Open {
            self.on_report(threshold, now, delivered);
        }
        let told = match (mode, self.loss.mode) {
            // Nothing was said of these before the loss was noticed.
            (Mode::Open, Mode::Fast) => self.scoreboard.octets().max(self.loss.dup_octets),
            (Mode::Open, _) => 0,
            _ if advance > 0 => 0,
            _ => delivered,
        };
        if told > 0 {
            let news = self.news(now, 0, told, None);
            self.cc.on_recovery(&news);
        }
    }

    /// What congestion control is told of an acknowledgment.
    #[inline]
    fn news(&mut self, now: Instant, acked: u32, delivered: u32, rtt: Option<Duration>) -> Ack {
        let least = self.rtt.least();
        let sample = self.cc.gauge_mut().and_then(|gauge| gauge.sample(least));
        Ack {
            now,
            acked,
            delivered,
            in_flight: self.max_flight,
            pipe: self.pipe(),
            rtt,
            delivery_rate: sample,
            app_limited: !self.cwnd_limited,
            paced: self.pace().is_some(),
        }
    }

    /// Takes the window of a segment.
    #[inline]
    pub(super) fn take_window(&mut self, segment: &Segment<'_>) {
        // That of a SYN is not scaled (RFC 7323 §2.2).
        let scale = if segment.flags.syn() {
            0
        } else {
            self.snd_scale & 15
        };
        self.snd_wnd = u32::from(segment.window) << scale;
        self.snd_wl1 = segment.seq;
        self.snd_wl2 = segment.ack;
        self.max_wnd = self.max_wnd.max(self.snd_wnd);
        if self.snd_wnd > 0 && self.persist_shift > 0 {
            // It was closed and has opened; if it is too small still, `next_segment` sets the
            // timer afresh.
            self.persist_shift = 0;
            self.timers.clear(Timer::Persist);
        }
    }

    /// SND.UNA moves to `ack`; `delivered` octets arrived of which congestion control was not
    /// told.
    #[inline]
    pub(super) fn advance(
        &mut self,
        cfg: &Config,
        now: Instant,
        ack: SeqNum,
        echo: Option<u32>,
        delivered: u32,
        tx: &mut impl SendBuf,
    ) {
        let flight = self.in_flight();
        let acked = ack.since(self.snd_una);
        // Our FIN is no octet of text.
        let fin = u32::from(self.fin_sent && ack == self.snd_nxt);
        let text = acked.saturating_sub(fin);
        tx.release(text as usize);
        self.counts.acked = self.counts.acked.wrapping_add(u64::from(text));
        self.gauge_acknowledged(now, ack);
        self.snd_una = ack;
        self.stalled_at = now;
        self.more = false;
        if ack == self.snd_nxt && tx.queued() == 0 {
            self.spend(now, Chrono::Idle);
        }
        self.soft_error = None;

        let rtt = self.sample_rtt(now, ack, echo, flight);
        if self.retries > 0 {
            self.count_rto_end(now);
            self.retries = 0;
        }
        let mode = self.loss.mode;
        self.recovery_advance(acked);
        let mut news = self.news(now, acked, delivered, rtt);
        news.in_flight = news.in_flight.max(flight);
        if mode == Mode::Fast {
            self.cc.on_recovery(&news);
        } else {
            news.app_limited &= mode != Mode::Timeout;
            self.cc.on_ack(&news);
        }
        if mode != Mode::Open && self.loss.mode == Mode::Open {
            self.cc.on_recovered(now);
        }
        // RFC 6298 §5.2, §5.3.
        if ack == self.snd_nxt {
            self.timers.clear(Timer::Retransmit);
        } else {
            self.arm_retransmit(cfg, now);
        }
    }

    /// A round-trip time from the timed segment, else from the timestamp echoed, which tells
    /// what a retransmission's acknowledgment answers (RFC 7323 §4.1, RFC 6298 §4).
    #[inline]
    pub(super) fn sample_rtt(
        &mut self,
        now: Instant,
        ack: SeqNum,
        echo: Option<u32>,
        flight: u32,
    ) -> Option<Duration> {
        let ts = timestamp(now, self.ts_offset);
        let echo = echo.filter(|echo| !self.rtt.is_ambiguous(*echo, ts));
        let too_soon = self.rtt.answers_the_first(ts);
        let sample = self.rtt.acknowledged(now, ack).or_else(|| {
            let ticks = ts.wrapping_sub(echo?);
            // A clock that runs ahead of ours is no echo of it.
            (ticks < 0x8000_0000).then(|| Duration::from_millis(u64::from(ticks.max(1))))
        });
        if sample.is_none() && !too_soon {
            self.rtt.progress();
        }
        let sample = sample?;
        // About one sample for two segments of flight.
        let expected = flight / u32::from(self.mss.max(1)) / 2;
        self.rtt
            .sample(sample, expected.checked_ilog2().unwrap_or(0));
        Some(sample)
    }
}
