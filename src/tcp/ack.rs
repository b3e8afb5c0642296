//! Acknowledgments: what an incoming one moves (RFC 9293 §3.10.7.4, fifth), and when ours go
//! out (RFC 9293 §3.8.6.3, RFC 5681 §4.2).
//!
//! Invariant: SND.UNA moves forward only and never past SND.NXT; the send buffer is released by
//! exactly the octets of text acknowledged.

use core::time::Duration;

use super::config::Config;
use super::congestion::{Ack, Congestion};
use super::rack::Tail;
use super::recovery::Mode;
use super::rtt::micros;
use super::segment::{Effects, Plan, Segment, timestamp};
use super::seq::SeqNum;
use super::tcb::Tcb;
use super::timers::Timer;
use crate::error::Drop;
use crate::socket::{RecvBuf, SendBuf};
use crate::wire::{TcpFlags, TcpOptions};
use phy::Instant;

/// Whether an acknowledgment of ours is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owed {
    /// No.
    #[default]
    No,
    /// Yes, when the timer says so or with the next segment.
    Delayed,
    /// Yes, now.
    Now,
}

/// State of sending acknowledgments.
#[derive(Debug, Clone, Default)]
pub struct Acking {
    /// Is one owed?
    pub(super) owed: Owed,
    /// Segments still to be acknowledged at once.
    pub(super) quick: u8,
    /// Delay of the next delayed one, milliseconds; 0 before any text came.
    pub(super) delay_ms: u8,
    /// We answer what we receive: acknowledgments ride on the answers.
    pub(super) interactive: bool,
    /// Challenge ACKs sent since `challenge_at`.
    pub(super) challenges: u8,
    /// Replies to text outside the window since `invalid_at`.
    pub(super) replies: u8,
    /// Octets of text of a full segment of the peer, as seen.
    pub(super) rcv_mss: u16,
    /// Last.ACK.sent (RFC 7323 §4.3).
    pub(super) last_sent: SeqNum,
    /// When text last came, milliseconds modulo 2^32.
    pub(super) text_at: u32,
    /// When the period of `challenges` began, milliseconds modulo 2^32.
    pub(super) challenge_at: u32,
    /// When the interval of `replies` began, milliseconds modulo 2^32.
    pub(super) invalid_at: u32,
}

/// Milliseconds of a delay, at most 250.
#[inline]
fn ack_delay(delay: Duration) -> u32 {
    if delay.as_secs() > 0 {
        250
    } else {
        delay.subsec_millis().min(250)
    }
}

/// Counts one more event of at most `most` in `period`; false if that is too many.
fn admit(count: &mut u8, since: &mut u32, now: Instant, period: Duration, most: u8) -> bool {
    let now = now.millis() as u32;
    let age = u128::from(now.wrapping_sub(*since));
    if *count == 0 || age >= period.as_millis() {
        *count = 0;
        *since = now;
    }
    let admitted = *count < most.max(1);
    if admitted {
        *count = count.saturating_add(1);
    }
    admitted
}

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
        if segment.ack.ge(self.snd_una)
            && (self.snd_wl1.lt(segment.seq)
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

    /// Text of `len` octets came: decides when it is acknowledged.
    #[inline]
    pub(super) fn text_arrived(&mut self, cfg: &Config, now: Instant, len: usize) {
        let least = ack_delay(cfg.ack_delay_min);
        let most = ack_delay(cfg.ack_delay_max).max(least);
        let now_ms = now.millis() as u32;
        let gap = now_ms.wrapping_sub(self.ack.text_at);
        self.ack.text_at = now_ms;

        let overhead = if self.timestamps { 12 } else { 0 };
        let full = self.adv_mss.saturating_sub(overhead);
        let len = u16::try_from(len).unwrap_or(u16::MAX).min(full);
        self.ack.rcv_mss = self.ack.rcv_mss.max(len).max(full.min(536)).max(1);

        // The delay follows the time between segments, so that a lone one is acknowledged soon
        // and a slow stream every other segment.
        let delay = u32::from(self.ack.delay_ms);
        let delay = if delay == 0 {
            least
        } else if gap <= least / 2 {
            delay / 2 + least / 2
        } else if gap < delay {
            delay / 2 + gap
        } else {
            if u64::from(gap) > micros(self.rtt.base(cfg)) / 1000 {
                // A pause: the peer begins from a small window again and waits for us.
                self.ack.quick = cfg.quick_acks;
            }
            delay
        };
        self.ack.delay_ms = delay.clamp(least, most) as u8;

        let unacked = self.rcv_nxt.since(self.ack.last_sent);
        let quick = self.ack.quick > 0 && !self.ack.interactive;
        self.ack.quick = self.ack.quick.saturating_sub(1);
        if quick || self.options.quickack || unacked >= u32::from(self.ack.rcv_mss) * 2 {
            self.ack.owed = Owed::Now;
        } else if self.ack.owed == Owed::No {
            self.ack.owed = Owed::Delayed;
            let delay = Duration::from_millis(u64::from(self.ack.delay_ms));
            self.timers.set(Timer::Ack, now + delay);
        }
    }

    /// The delayed acknowledgment's time has come.
    pub(super) fn ack_due(&mut self, cfg: &Config) {
        if self.ack.owed == Owed::Delayed {
            self.ack.owed = Owed::Now;
            // Nothing came to ride on. Next time wait longer, unless we thought that we answer.
            if !self.ack.interactive {
                let most = ack_delay(cfg.ack_delay_max) as u8;
                self.ack.delay_ms = self.ack.delay_ms.saturating_mul(2).min(most);
            }
            self.ack.interactive = false;
        }
    }

    /// A segment without text that acknowledges what was received.
    pub(super) fn ack_plan(&self, now: Instant, rx: &impl RecvBuf) -> Plan {
        let window = self.window_field(rx);
        Plan {
            options: self.segment_options(now).emit(),
            ..Plan::bare(self.snd_nxt, self.rcv_nxt, TcpFlags::ACK, window)
        }
    }

    /// Options of a segment after the handshake: timestamps, and SACK blocks if there are any.
    #[inline]
    pub(super) fn segment_options(&self, now: Instant) -> TcpOptions {
        let mut options = TcpOptions::NONE;
        if self.timestamps {
            options.timestamps = Some((timestamp(now, self.ts_offset), self.ts_recent));
        }
        if self.sack {
            options.sack = self.sack_blocks();
        }
        options
    }

    /// A challenge ACK, if the connection's limit allows (RFC 5961 §3 to §5, §7).
    pub(super) fn challenge(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &impl RecvBuf,
        reason: Drop,
    ) -> Effects {
        let admitted = admit(
            &mut self.ack.challenges,
            &mut self.ack.challenge_at,
            now,
            cfg.challenge_period,
            cfg.challenge_acks,
        );
        Effects {
            dropped: Some(reason),
            ..Effects::answer(admitted.then(|| self.ack_plan(now, rx)))
        }
    }

    /// The ACK for a segment outside the window, or too old (RFC 9293 §3.10.7.4, first): one in
    /// an interval, more if it has text, whose sender may wait for that ACK.
    pub(super) fn unacceptable(
        &mut self,
        cfg: &Config,
        now: Instant,
        seq: SeqNum,
        end: SeqNum,
        rx: &impl RecvBuf,
        reason: Drop,
    ) -> Effects {
        let most = if end == seq { 1 } else { cfg.invalid_replies };
        if end != seq && end.le(self.rcv_nxt) && reason != Drop::Paws {
            self.note_duplicate(cfg, seq, end);
        }
        let admitted = admit(
            &mut self.ack.replies,
            &mut self.ack.invalid_at,
            now,
            cfg.invalid_interval,
            most,
        );
        Effects {
            dropped: Some(reason),
            ..Effects::answer(admitted.then(|| self.ack_plan(now, rx)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limiter_admits_so_many_a_period() {
        let period = Duration::from_secs(5);
        let (mut count, mut since) = (0, 0);
        let mut at = |ms: u64| {
            let now = Instant::from_millis(ms);
            admit(&mut count, &mut since, now, period, 2)
        };
        let admitted = [100, 200, 300, 5099, 5100, 5101, 5102].map(&mut at);
        assert_eq!(admitted, [true, true, false, false, true, true, false]);
    }
}
