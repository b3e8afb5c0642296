//! When acknowledgments of ours go out (RFC 9293 §3.8.6.3, RFC 5681 §4.2, RFC 1122 §4.2.3.2), as
//! Linux times them.
//!
//! Invariant: text that came is acknowledged with the next segment, at once, or when
//! [`Timer::Ack`] says so, `Config::ack_delay_max` after it came at the latest; at least every
//! second full segment is acknowledged at once, of those that arrive together all with one, but no
//! more than `Config::ack_stretch` octets. Replies to what is not acceptable are limited
//! for each connection. Called by the receive side; [`ack`](super::ack) is what a peer's
//! acknowledgments do.

use core::time::Duration;

use super::config::Config;
use super::congestion::Congestion;
use super::rtt::micros;
use super::segment::{Effects, Plan, timestamp};
use super::seq::SeqNum;
use super::tcb::Tcb;
use super::timers::Timer;
use crate::error::Drop;
use crate::socket::{RecvBuf, SendBuf};
use crate::wire::{OptionBytes, TcpFlags, TcpOptions};
use phy::Instant;

/// Whether an acknowledgment of ours is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owed {
    /// No.
    #[default]
    No,
    /// Yes, when the timer says so or with the next segment.
    Delayed,
    /// The same, or as soon as the application has read all there is: a peer that says it pushes,
    /// or sends no full segment, may have no more to send before it hears of this.
    Read,
    /// Yes, now.
    Now,
}

impl Owed {
    /// Does the timer run for it?
    #[inline]
    pub(super) const fn waits(self) -> bool {
        matches!(self, Self::Delayed | Self::Read)
    }
}

/// State of sending acknowledgments.
#[derive(Debug, Clone, Default)]
pub struct Acking {
    /// Is one owed?
    pub(super) owed: Owed,
    /// Acknowledgments still to be sent at once.
    pub(super) quick: u8,
    /// Delay of the next delayed one, milliseconds; 0 before any text came.
    pub(super) delay_ms: u8,
    /// We answer what we receive: acknowledgments ride on the answers.
    pub(super) interactive: bool,
    /// Octets of text of a full segment of the peer, as seen; 0 before any text came.
    pub(super) rcv_mss: u16,
    /// Octets of text of the last segment that was smaller: two alike lower `rcv_mss`.
    pub(super) smaller: u16,
    /// Last.ACK.sent (RFC 7323 §4.3).
    pub(super) last_sent: SeqNum,
    /// When text last came, milliseconds modulo 2^32.
    pub(super) text_at: u32,
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
    /// Text came and moved RCV.NXT, or did not: decides when it is acknowledged; `pushed` if its
    /// sender may wait for that.
    #[inline]
    pub(super) fn text_arrived(&mut self, cfg: &Config, now: Instant, pushed: bool) {
        let least = ack_delay(cfg.ack_delay_min);
        let most = ack_delay(cfg.ack_delay_max).max(least);
        let now_ms = now.millis() as u32;
        let gap = now_ms.wrapping_sub(self.ack.text_at);
        self.ack.text_at = now_ms;

        // The delay follows the time between segments, so that a lone one is acknowledged soon
        // and a slow stream every other segment.
        let delay = u32::from(self.ack.delay_ms);
        let delay = if delay == 0 {
            self.acknowledge_quickly(cfg);
            least
        } else if gap <= least / 2 {
            delay / 2 + least / 2
        } else if gap < delay {
            delay / 2 + gap
        } else {
            if u64::from(gap) > micros(self.rtt.base(cfg)) / 1000 {
                // A pause: the peer begins from a small window again and waits for us.
                self.acknowledge_quickly(cfg);
            }
            delay
        };
        self.ack.delay_ms = delay.clamp(least, most) as u8;

        let unacked = self.rcv_nxt.since(self.ack.last_sent);
        let quick = self.acknowledges_each();
        // More than a full segment: the second one (RFC 5681 §4.2), whole or not.
        if quick || self.options.quickack || unacked > u32::from(self.ack.rcv_mss) {
            self.ack.owed = Owed::Now;
        } else if self.ack.owed == Owed::No {
            self.ack.owed = if pushed { Owed::Read } else { Owed::Delayed };
            let wait = self.delay(least);
            self.timers.set(Timer::Ack, now + wait);
        }
    }

    /// Does every segment with text get an acknowledgment of its own, and at once? At the start
    /// and after a pause, when the peer's window is so small that it may wait for any of them.
    #[inline]
    pub(super) fn acknowledges_each(&self) -> bool {
        self.ack.quick > 0 && !self.ack.interactive
    }

    /// Would `text` more octets make what waits for an acknowledgment more than one covers?
    #[inline(always)]
    pub(super) fn stretches(&self, cfg: &Config, text: usize) -> bool {
        let waiting = self.rcv_nxt.since(self.ack.last_sent) as usize;
        waiting.saturating_add(text) > cfg.ack_stretch as usize
    }

    /// How many octets may come in segments no longer than `text` before one must be acknowledged
    /// at once.
    #[inline]
    pub(super) fn unstretched(&self, cfg: &Config, text: usize) -> usize {
        let waiting = self.rcv_nxt.since(self.ack.last_sent) as usize;
        (cfg.ack_stretch as usize).saturating_sub(waiting.saturating_add(text))
    }

    /// The acknowledgment that is owed now, unless text is about to go and has it.
    pub(super) fn ack_at_once(
        &self,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
    ) -> Option<Plan> {
        let owed = self.ack.owed == Owed::Now && !self.has_work(tx);
        owed.then(|| self.ack_plan(now, rx))
    }

    /// How long the next acknowledgment may wait: no longer than a round trip of a path whose
    /// round trips are longer than `least` milliseconds, for the peer's window may be as small
    /// as what it waits for.
    fn delay(&self, least: u32) -> Duration {
        let delay = Duration::from_millis(u64::from(self.ack.delay_ms));
        match self.rtt.smoothed() {
            Some(rtt) => delay.min(rtt.max(Duration::from_millis(u64::from(least)))),
            None => delay,
        }
    }

    /// What the peer's full segments hold, from the length of one: up at once, and down where
    /// two in a row are as small, of which a sender with more to send makes no others. A short
    /// one with PSH is the end of a text and tells nothing, unless no path is that narrow.
    ///
    /// True if its sender may have no more to send before it is acknowledged.
    #[inline(always)]
    pub(super) fn measure_segment(&mut self, cfg: &Config, len: usize, pushed: bool) -> bool {
        let overhead = if self.timestamps { 12 } else { 0 };
        let full = self.adv_mss.saturating_sub(overhead).max(1);
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        let ack = &mut self.ack;
        if ack.rcv_mss == 0 {
            let half = u16::try_from(self.rcv_adv.saturating_since(self.rcv_nxt) / 2);
            let guess = full.min(cfg.mss_default).min(half.unwrap_or(u16::MAX));
            ack.rcv_mss = guess.max(cfg.rcv_mss_min).min(full);
        }
        if len >= ack.rcv_mss {
            ack.rcv_mss = len.min(full);
            return pushed;
        }
        if len >= cfg.mss_default || !pushed && len >= cfg.rcv_mss_min {
            if ack.smaller == len {
                ack.rcv_mss = len;
            }
            ack.smaller = len;
        }
        true
    }

    /// The application has read: what was acknowledged when it has read all, is.
    pub(super) fn read_acknowledges(&mut self, rx: &impl RecvBuf) -> bool {
        let all = self.ack.owed == Owed::Read && rx.window() >= rx.capacity();
        let due = all && !self.ack.interactive;
        if due {
            self.ack.owed = Owed::Now;
        }
        due
    }

    /// The next acknowledgments go out at once, as many as the peer needs to fill half of the
    /// window, at least two: it has just begun, or begun again.
    pub(super) fn acknowledge_quickly(&mut self, cfg: &Config) {
        let full = u32::from(self.ack.rcv_mss.max(1)).saturating_mul(2);
        let half = u8::try_from(self.rcv_wnd() / full).unwrap_or(u8::MAX);
        let quick = half.max(2).min(cfg.quick_acks);
        self.ack.quick = self.ack.quick.max(quick);
    }

    /// The delayed acknowledgment's time has come.
    pub(super) fn ack_due(&mut self, cfg: &Config) {
        if self.ack.owed.waits() {
            self.ack.owed = Owed::Now;
            // Nothing came to ride on. Next time wait longer, unless we thought that we answer.
            self.ack.delay_ms = if self.ack.interactive {
                ack_delay(cfg.ack_delay_min) as u8
            } else {
                let most = ack_delay(cfg.ack_delay_max) as u8;
                self.ack.delay_ms.saturating_mul(2).min(most)
            };
            self.ack.interactive = false;
        }
    }

    /// A segment without text that acknowledges what was received.
    pub(super) fn ack_plan(&self, now: Instant, rx: &impl RecvBuf) -> Plan {
        let window = self.window_field(rx);
        let usual = self.usual_options(now);
        let (options, unsacked) = usual.map_or_else(
            || {
                let all = self.segment_options(now);
                (all.emit(), all.sack.is_empty())
            },
            |usual| (usual, true),
        );
        let flags = TcpFlags::ACK | self.ecn.ack_flags(unsacked);
        Plan {
            options,
            ..Plan::bare(self.ack_seq(), self.rcv_nxt, flags, window)
        }
    }

    /// Sequence number of an acknowledgment: SND.NXT, unless the peer took back the window it lies
    /// in. Then it would take what is beyond the right edge for old or forged, and its own text
    /// would never be acknowledged (RFC 9293 §3.10.7.4).
    #[inline]
    fn ack_seq(&self) -> SeqNum {
        let edge = self.snd_una + self.snd_wnd;
        let beyond = self.snd_nxt.saturating_since(edge);
        // A FIN needs no window; and less than a unit is not told.
        let beyond = beyond.saturating_sub(u32::from(self.fin_sent));
        if beyond >> (self.snd_scale & 15) > 0 {
            edge
        } else {
            self.snd_nxt
        }
    }

    /// The octets of [`segment_options`](Self::segment_options).
    #[inline]
    pub(super) fn option_bytes(&self, now: Instant) -> OptionBytes {
        self.usual_options(now)
            .unwrap_or_else(|| self.segment_options(now).emit())
    }

    /// The same where they are what nearly every segment carries: timestamps and nothing else.
    #[inline]
    fn usual_options(&self, now: Instant) -> Option<OptionBytes> {
        let usual = self.timestamps
            && !self.timeout_due
            && !self.ecn.is_accurate()
            && self.reassembly.gaps.is_empty()
            && self
                .rare
                .get()
                .is_none_or(|rare| rare.duplicate.0 == rare.duplicate.1);
        usual.then(|| OptionBytes::timestamps(timestamp(now, self.ts_offset), self.ts_recent))
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
        if self.timeout_due {
            options.user_timeout = self.told_timeout();
        }
        if self.ecn.is_accurate() {
            options.accurate_ecn = self.accurate_option(&options);
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
        let rare = self.rare.make();
        let admitted = admit(
            &mut rare.challenges,
            &mut rare.challenge_at,
            now,
            cfg.challenge_period,
            cfg.challenge_acks,
        );
        Effects {
            dropped: Some(reason),
            ..Effects::answer(admitted.then(|| self.ack_plan(now, rx)))
        }
    }

    /// May another reply to a segment without text outside the window be sent?
    pub(super) fn admit_reply(&mut self, cfg: &Config, now: Instant) -> bool {
        let (rare, period) = (self.rare.make(), cfg.invalid_interval);
        admit(&mut rare.replies, &mut rare.invalid_at, now, period, 1)
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
        let rare = self.rare.make();
        let admitted = admit(
            &mut rare.replies,
            &mut rare.invalid_at,
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
