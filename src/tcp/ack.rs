//! What an incoming acknowledgment moves (RFC 9293 §3.10.7.4, fifth): SND.UNA, the window, the
//! round-trip time, and through `recovery` the congestion window.
//!
//! Invariant: SND.UNA moves forward only and never past SND.NXT; the send buffer is released by
//! exactly the octets of text acknowledged; congestion control hears of each octet that arrived
//! once. Called by `receive`. When ours go out is [`acks`](super::acks)'s.

use core::time::Duration;

use super::chrono::Chrono;
use super::config::Config;
use super::congestion::{self, Congestion};
use super::flight::{At, Heard};
use super::probe::Tail;
use super::recovery::{self, CaState};
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
        let (state, old_wnd) = (self.flight.state, self.snd_wnd);
        let (flight, pipe) = (self.in_flight(), self.pipe());
        let at = self.at(now, echo);
        let mut heard = Heard::default();
        if self.sack && !segment.options.sack.is_empty() {
            self.take_sack(&at, segment, &mut heard);
        }
        let advance = segment.ack.saturating_since(self.snd_una);
        if advance > 0 {
            self.move_una(&at, segment.ack, &mut heard, tx);
        }
        // What acknowledges more is not old, whatever its text is: with the old window on a new
        // left edge, the right one would lie where it never was offered.
        // RFC 9293 §3.10.7.4: SND.WL1 and SND.WL2 keep old segments from updating the window.
        if segment.ack.ge(self.snd_una)
            && (advance > 0
                || self.snd_wl1.lt(segment.seq)
                || self.snd_wl1 == segment.seq && self.snd_wl2.le(segment.ack))
        {
            self.take_window(segment);
        }
        let again = advance == 0 && segment.ack == self.snd_una;
        let bare = segment.is_empty() && self.snd_wnd == old_wnd;
        if flight == 0 && heard.twice.is_none() {
            if again && bare && segment.options.sack.is_empty() {
                // Nothing but a probe that came twice can have caused it.
                self.probe_answered(now, &heard, true);
            }
            return;
        }
        let same = again && self.in_flight() > 0;
        heard.duplicate = same && if self.sack { heard.reported > 0 } else { bare };
        let rtt = self.measure(cfg, now, echo, advance > 0, &heard);
        let ack = recovery::Ack {
            advance,
            echo,
            pipe,
            more: self.unsent(tx) > 0,
        };
        if !self.sack {
            self.count_duplicates(&ack, &mut heard);
        }
        if self.flight.tail == Tail::Due && advance > 0 {
            // It was to find out what is known now; it may be that nothing is left to probe with.
            self.flight.tail = Tail::No;
        }
        if self.flight.tail.is_out() {
            let nothing = bare && same && heard.reported == 0;
            self.probe_answered(now, &heard, nothing);
        }
        let sample = self.sample_rate(&heard);
        let lost = self.react(cfg, now, &ack, &heard);
        self.reduce(heard.delivered.octets, advance > 0 && !lost);

        let news = congestion::Ack {
            rtt,
            delivery_rate: sample,
            ..self.news(cfg, now, advance, heard.delivered.octets, flight)
        };
        self.inform(state, news);
        if advance > 0 {
            self.restart_timer(cfg, now);
        } else if heard.reported > 0 && rtt.is_some() && self.is_head_newer(now, &heard) {
            // What was measured is newer than the timer.
            self.arm_retransmit(cfg, now);
        }
        if advance > 0 || heard.reported > 0 {
            self.watch_reneging(now);
        }
    }

    /// The next acknowledgment of an undisturbed connection: SND.UNA moves to `ack`.
    #[inline]
    pub(super) fn advance(
        &mut self,
        cfg: &Config,
        now: Instant,
        ack: SeqNum,
        echo: Option<u32>,
        tx: &mut impl SendBuf,
    ) {
        let (flight, mut heard) = (self.in_flight(), Heard::default());
        let at = At {
            now,
            min_rtt: 0,
            echo_age: None,
        };
        let advance = ack.since(self.snd_una);
        self.move_una(&at, ack, &mut heard, tx);
        let rtt = self.measure(cfg, now, echo, true, &heard);
        let news = congestion::Ack {
            rtt,
            delivery_rate: self.sample_rate(&heard),
            ..self.news(cfg, now, advance, advance, flight)
        };
        if self.flight.state == CaState::Open {
            self.cc.on_ack(&news);
        } else {
            // It told of a congestion mark.
            self.reduce(advance, true);
            self.inform(CaState::Open, news);
        }
        self.restart_timer(cfg, now);
    }

    /// How an acknowledgment that came now is judged.
    pub(super) fn at(&self, now: Instant, echo: Option<u32>) -> At {
        let ts = timestamp(now, self.ts_offset);
        let age = echo.map(|echo| ts.wrapping_sub(echo));
        At {
            now,
            min_rtt: self.rtt.least_us(),
            // A clock that runs ahead of ours is no echo of it.
            echo_age: age.filter(|age| *age < 0x8000_0000),
        }
    }

    /// SND.UNA moves to `ack`.
    #[inline]
    fn move_una(&mut self, at: &At, ack: SeqNum, heard: &mut Heard, tx: &mut impl SendBuf) {
        let acked = ack.since(self.snd_una);
        // Our FIN is no octet of text.
        let fin = u32::from(self.fin_sent && ack == self.snd_nxt);
        let text = acked.saturating_sub(fin);
        tx.release(text as usize);
        self.counts.acked = self.counts.acked.wrapping_add(u64::from(text));
        self.flight.acknowledged(at, ack, heard);
        self.snd_una = ack;
        self.stalled_at = at.now;
        self.more = false;
        if ack == self.snd_nxt && tx.queued() == 0 {
            self.spend(at.now, Chrono::Idle);
        }
        self.soft_error = None;
        if self.retries > 0 {
            self.count_rto_end(at.now);
            self.retries = 0;
        }
    }

    /// RFC 6298 §5.2, §5.3.
    #[inline]
    fn restart_timer(&mut self, cfg: &Config, now: Instant) {
        if self.in_flight() == 0 {
            self.timers.clear(Timer::Retransmit);
        } else {
            self.arm_retransmit(cfg, now);
        }
    }

    /// Was the oldest in flight sent after what was just reported?
    fn is_head_newer(&self, now: Instant, heard: &Heard) -> bool {
        let now = now.micros() as u32;
        let (Some(head), Some((oldest, _))) = (self.flight.when_head_left(), heard.sacked_at)
        else {
            return false;
        };
        now.wrapping_sub(head) < now.wrapping_sub(oldest)
    }

    /// Round-trip times (RFC 6298 §3, RFC 7323 §4): of the oldest octets acknowledged for the
    /// timeout, of the newest for congestion control, which is returned. Octets sent more than
    /// once are measured by the timestamp echoed, which tells what was answered.
    #[inline]
    pub(super) fn measure(
        &mut self,
        cfg: &Config,
        now: Instant,
        echo: Option<u32>,
        acked: bool,
        heard: &Heard,
    ) -> Option<Duration> {
        let us = now.micros() as u32;
        let ts = timestamp(now, self.ts_offset);
        // A clock that runs ahead of ours is no echo of it.
        let age = |echo: u32| Some(ts.wrapping_sub(echo)).filter(|ms| *ms < 0x8000_0000);
        let least = self.rtt.least_us();
        let again = self.rare.get().map(|rare| rare.repeated);
        let again = again.unwrap_or_default();
        let known = |sent_at: &u32| !again.is_ambiguous(now, least, *sent_at);
        let times = if let Some((oldest, newest)) = heard.acked_at
            && !heard.ambiguous
            && known(&newest)
        {
            // The acknowledgment that the oldest caused may have been lost: what is echoed
            // caused this one.
            let most = echo
                .and_then(age)
                .map_or(u32::MAX, |ms| ms.saturating_mul(1000).saturating_add(999));
            Some((us.wrapping_sub(oldest).min(most), us.wrapping_sub(newest)))
        } else if let Some(newest) = heard.sacked_at.map(|(_, newest)| newest).filter(known) {
            // What is reported besides may have been for the second time.
            Some((us.wrapping_sub(newest), us.wrapping_sub(newest)))
        } else {
            let clear = |echo: &u32| acked && !again.is_ambiguous_echo(now, least, *echo);
            let ticks = echo.filter(clear).and_then(age);
            ticks.map(|ms| {
                let us = ms.max(1).saturating_mul(1000);
                (us, us)
            })
        };
        let too_soon = again.is_too_soon(now, least);
        if acked && let Some(rare) = self.rare.get_mut() {
            rare.repeated.passed(self.snd_una);
        }
        let Some((old, new)) = times else {
            // One that answers the first transmission shows that the timer was too short.
            if acked && !too_soon {
                self.rtt.progress();
            }
            return None;
        };
        let window = (self.snd_una, self.snd_nxt);
        self.rtt.sample(cfg, now, (old, new), window);
        Some(Duration::from_micros(u64::from(new)))
    }

    /// The round-trip time of our SYN, which no record tells of.
    pub(super) fn measure_syn(&mut self, cfg: &Config, now: Instant, echo: Option<u32>) {
        let left = self.stalled_at.micros() as u32;
        let heard = Heard {
            acked_at: Some((left, left)),
            ambiguous: self.retries > 0,
            ..Heard::default()
        };
        self.measure(cfg, now, echo, true, &heard);
    }

    /// The delivery rate that an acknowledgment shows.
    #[inline]
    fn sample_rate(&mut self, heard: &Heard) -> Option<congestion::RateSample> {
        let segments = heard.delivered.segments;
        self.counts.delivered = self.counts.delivered.wrapping_add(segments);
        let least = self.rtt.least().unwrap_or_default();
        let flight = &mut *self.flight;
        let sample = flight.delivery.sample(&heard.news, least)?;
        if sample.rate > 0 {
            flight.rate = sample.rate;
            flight.rate_app_limited = sample.app_limited;
        }
        let delivered = sample.prior_delivered.wrapping_add(sample.delivered);
        flight.rack.adapt(sample.prior_delivered, delivered);
        Some(sample)
    }

    /// What congestion control is told of an acknowledgment that moved SND.UNA by `acked`
    /// octets; `delivered` arrived, of `flight` in flight before.
    #[inline]
    fn news(
        &self,
        cfg: &Config,
        now: Instant,
        acked: u32,
        delivered: u32,
        flight: u32,
    ) -> congestion::Ack {
        congestion::Ack {
            now,
            acked,
            delivered,
            in_flight: self.max_flight.max(flight),
            pipe: self.pipe(),
            rtt: None,
            delivery_rate: None,
            app_limited: !self.cwnd_limited,
            paced: self.pace(cfg).is_some(),
            hystart: cfg.hystart,
        }
    }

    /// Tells congestion control. `before` is the state that the acknowledgment found.
    fn inform(&mut self, before: CaState, mut news: congestion::Ack) {
        if news.acked == 0 && news.delivered == 0 {
            return;
        }
        if before != CaState::Open && before != CaState::Disorder {
            // What was reported in recovery has been told of.
            news.acked = news.acked.min(news.delivered);
        }
        if before == CaState::Loss {
            // Slow start after a timeout uses what window there is.
            news.app_limited = false;
        }
        match self.flight.state {
            CaState::Cwr | CaState::Recovery => self.cc.on_recovery(&news),
            CaState::Loss if news.acked == 0 => self.cc.on_recovery(&news),
            _ => self.cc.on_ack(&news),
        }
    }

    /// Takes the window of a segment.
    #[inline(always)]
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
}
