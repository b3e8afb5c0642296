//! Buffers that grow with the path: the receive buffer with what the application reads in a
//! round trip, the send buffer with the congestion window; and how far the window opens.
//!
//! A sender can have no more in flight than the window offered, so a window that is read out
//! once a round trip carries one window a round trip, and a sender that doubles its flight each
//! round trip (RFC 5681 §3.1) needs twice what was read in the last one. Growth is by need only:
//! nothing grows while the application does not read, or where half of the window lasts for a
//! round trip; and never after the application chose a size. Capacities are promises, memory is
//! what the buffers hold.
//!
//! Invariant: a capacity grows between `Config::receive_buffer` and `receive_buffer_max`, or
//! `send_buffer` and `send_buffer_max`; the receive side's is never reduced here, so that the
//! window's right edge need not move back. `rcv_ssthresh` is at most `Options::window_clamp`.
//! Called by the receive side, and when the application has read.

use core::time::Duration;

use super::config::Config;
use super::congestion::Congestion;
use super::memory::Level;
use super::seldom::Seldom;
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::socket::{RecvBuf, SendBuf};
use phy::Instant;

/// Segments of an initial window (RFC 6928 §2): no less is measured.
const INITIAL: u32 = 10;
/// Up to this, microseconds, a clock of milliseconds cannot tell round trips apart.
const COARSE: u32 = 2_000;
/// The most that `Config::low_rtt` may be: beyond, round trips are of no path within a room, and
/// what was read in one would be taken for a turn of ours.
const LOW_MOST: Duration = Duration::from_secs(1);
/// The most that `Config::receive_rtt_window` may be: times are kept modulo 2^32 microseconds,
/// which is 71 minutes.
const WINDOW_MOST: Duration = Duration::from_secs(3600);

/// What the growth of a receive buffer is judged by; absent until much was received, and again
/// after a pause.
#[derive(Debug, Clone, Default)]
pub(super) struct Measure {
    /// The receiver's round-trip time, microseconds; 0 before any sample.
    rtt: u32,
    /// The shortest one since `since`.
    next: u32,
    since: u32,
    /// Where the window ended when this was noted, and when that was.
    window_end: SeqNum,
    window_at: u32,
    /// The timestamp echoed last.
    echo: u32,
    /// Octets that the application read in a round trip, at most.
    space: u32,
    /// Where it was, and when (see `read_to`).
    read_to: SeqNum,
    read_at: u32,
}

/// Microseconds modulo 2^32, in which the times of a [`Measure`] are kept.
const fn clock(now: Instant) -> u32 {
    now.micros() as u32
}

impl Measure {
    /// A round trip took about so many microseconds, and `least` at least. The shortest one of
    /// the last `window` counts: what waits in queues on the way needs no room here, and would
    /// grow with it. Of what is too short to be told apart the send side knows better.
    fn sample(&mut self, now: Instant, about: u32, least: u32, window: u32) {
        let about = match (about, least) {
            (..=COARSE, 1..) => least,
            _ => about.max(least).max(1),
        };
        self.next = self.next.min(about);
        if self.rtt == 0 || about < self.rtt {
            self.rtt = about;
        }
        if clock(now).wrapping_sub(self.since) >= window {
            self.rtt = self.next;
            self.next = u32::MAX;
            self.since = clock(now);
        }
    }

    /// The time it took since a window's worth was last received, if that is over: no less than
    /// a round trip, where its sender waits for the window.
    fn window_passed(&mut self, now: Instant, rcv_nxt: SeqNum, wnd: u32) -> Option<u32> {
        if rcv_nxt.lt(self.window_end) {
            return None;
        }
        let took = clock(now).wrapping_sub(self.window_at).max(1);
        self.window_end = rcv_nxt + wnd;
        self.window_at = clock(now);
        Some(took)
    }
}

impl<C: Congestion> Tcb<C> {
    /// Least round trip that the send side saw, microseconds; 0 if none.
    fn least_rtt(&self) -> u32 {
        self.rtt.least_us()
    }

    /// Text of `len` octets came and is in the buffer; `echo` is its TSecr. Opens the window
    /// further, by twice as much as came, where full segments come and there is room; and
    /// measures round trips.
    #[inline]
    pub(super) fn tune_receive(
        &mut self,
        cfg: &Config,
        now: Instant,
        len: usize,
        echo: Option<u32>,
        rx: &impl RecvBuf,
    ) {
        let full = len >= usize::from(self.ack.rcv_mss);
        let free = u32::try_from(rx.window()).unwrap_or(u32::MAX);
        let room = free.min(self.options.window_clamp());
        if self.rcv_ssthresh < room && full && self.level == Level::Free {
            let step = u32::try_from(len).unwrap_or(u32::MAX).saturating_mul(2);
            self.rcv_ssthresh = self.rcv_ssthresh.saturating_add(step).min(room);
        }
        if self.tuning.get().is_some() {
            self.measure_receive(cfg, now, full, echo);
        } else if full && !self.options.receive_fixed && cfg.receive_autotuning {
            self.start_measuring(now, rx);
        }
    }

    /// A segment came while round trips are measured.
    fn measure_receive(&mut self, cfg: &Config, now: Instant, full: bool, echo: Option<u32>) {
        let window = cfg.receive_rtt_window.min(WINDOW_MOST).as_micros() as u32;
        let (wnd, least) = (self.rcv_wnd(), self.least_rtt());
        let (rcv_nxt, stamps) = (self.rcv_nxt, self.timestamps);
        let ours = super::timestamp(now, self.ts_offset);
        let Some(measure) = self.tuning.get_mut() else {
            return;
        };
        if let Some(took) = measure.window_passed(now, rcv_nxt, wnd) {
            // Timestamps tell a round trip better where they can, for a burst takes less.
            if !stamps || measure.rtt <= COARSE {
                measure.sample(now, took, least, window);
            }
        }
        if let Some(echo) = echo.filter(|echo| full && *echo != measure.echo) {
            let ticks = ours.wrapping_sub(echo);
            // A clock that runs ahead of ours is no echo of it.
            if ticks < 0x8000_0000 {
                measure.echo = echo;
                let about = ticks.clamp(1, 60_000).saturating_mul(1000);
                measure.sample(now, about, least, window);
            }
        }
    }

    /// Begins to measure, if more came than an initial window: less needs no growth.
    fn start_measuring(&mut self, now: Instant, rx: &impl RecvBuf) {
        let space = INITIAL.saturating_mul(u32::from(self.adv_mss));
        if self.counts.received <= u64::from(space) || !self.state.receives() {
            return;
        }
        let rtt = self.rtt.smoothed().unwrap_or_default().as_micros();
        *self.tuning.make() = Measure {
            rtt: u32::try_from(rtt).unwrap_or(u32::MAX),
            next: u32::MAX,
            since: clock(now),
            window_end: self.rcv_nxt + self.rcv_wnd(),
            window_at: clock(now),
            echo: 0,
            space,
            read_to: self.read_to(rx),
            read_at: clock(now),
        };
    }

    /// Octets of the stream that do not wait for the application, as a place in it: those it
    /// has read, and those that came out of order, which it cannot read yet. So a hole that is
    /// filled at last does not look like a fast path.
    fn read_to(&self, rx: &impl RecvBuf) -> SeqNum {
        let unread = rx.capacity().saturating_sub(rx.window());
        let held = self.reassembly.gaps.octets();
        self.rcv_nxt - u32::try_from(unread).unwrap_or(u32::MAX) + held
    }

    /// The application has read: once a round trip, the buffer grows to what the next ones may
    /// bring.
    pub(super) fn tune_read(&mut self, cfg: &Config, now: Instant, rx: &mut impl RecvBuf) {
        let capacity = rx.capacity();
        let few = u32::from(self.adv_mss).saturating_mul(4);
        let floor = u32::try_from(capacity).unwrap_or(u32::MAX).min(few);
        // Of a buffer that was smaller before.
        let most = self.options.window_clamp();
        self.rcv_ssthresh = self.rcv_ssthresh.max(floor).min(most);
        let may = !self.options.receive_fixed && cfg.receive_autotuning;
        let may = may && self.level == Level::Free;
        let over = |measure: &Measure| {
            let took = clock(now).wrapping_sub(measure.read_at);
            measure.rtt > 0 && took >= with_turns(measure.rtt, cfg.low_rtt, cfg.low_turn)
        };
        if !self.tuning.get().is_some_and(over) {
            return;
        }
        let (read_to, mss) = (self.read_to(rx), u32::from(self.adv_mss));
        let Some(measure) = self.tuning.get_mut() else {
            return;
        };
        let copied = read_to.saturating_since(measure.read_to);
        let took = clock(now).wrapping_sub(measure.read_at);
        let rtt = with_turns(measure.rtt, cfg.low_rtt, cfg.low_turn);
        let copied = in_one(copied, rtt, took, cfg.low_rtt);
        if copied > measure.space {
            let more = copied.saturating_sub(measure.space).min(measure.space);
            let slack = u64::from(cfg.receive_slack).saturating_mul(u64::from(mss));
            let base = u64::from(copied).saturating_mul(2).saturating_add(slack);
            // A sender that doubles will have doubled again when the peer learns of it.
            let growth = base.saturating_mul(u64::from(more)) / u64::from(measure.space.max(1));
            let wish = base.saturating_add(growth.saturating_mul(2));
            let wish = usize::try_from(wish).unwrap_or(usize::MAX);
            let wish = wish.min(cfg.receive_buffer_max);
            if may && wish > capacity {
                rx.set_capacity(wish);
            }
            measure.space = copied;
        }
        measure.read_to = read_to;
        measure.read_at = clock(now);
    }

    /// `acked` octets left the send buffer. Where it was nearly full, and all of it was in
    /// flight or may be, it holds the path back: it grows to twice the congestion window, so
    /// that the next window is there when this one is acknowledged.
    #[inline]
    pub(super) fn tune_send(&mut self, cfg: &Config, acked: u32, tx: &mut impl SendBuf) {
        let capacity = tx.capacity();
        let filled = tx.queued().saturating_add(acked as usize);
        let many = self
            .cc
            .window()
            .max(INITIAL.saturating_mul(self.mss.into()));
        let wish = many.saturating_mul(u32::from(cfg.send_windows));
        let least = self.rtt.least_us();
        let now = self.rtt.smoothed().unwrap_or_default().as_micros();
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let turns = with_turns(least.max(1), cfg.low_rtt, cfg.low_turn.saturating_mul(2));
        let wish = in_one(wish, turns, now, cfg.low_rtt) as usize;
        if filled < third_free(capacity) || wish <= capacity || capacity >= cfg.send_buffer_max {
            return;
        }
        if self.options.send_fixed || self.level != Level::Free {
            return;
        }
        let unsent = tx.queued().saturating_sub(self.in_flight() as usize);
        let congestion = self.cc.window().saturating_sub(self.pipe());
        let window = self.snd_wnd.saturating_sub(self.in_flight());
        if unsent <= congestion.min(window) as usize {
            tx.set_capacity(wish.min(cfg.send_buffer_max));
        }
    }

    /// Nothing moved for a while: the send buffer is to grow anew, and nothing is measured.
    pub(super) fn tune_idle(&mut self, cfg: &Config, tx: &mut impl SendBuf) {
        self.tuning = Seldom::default();
        if !self.options.send_fixed && tx.queued() == 0 && tx.capacity() > cfg.send_buffer {
            tx.set_capacity(cfg.send_buffer);
        }
    }

    /// The receiver's round-trip time, where it is measured.
    pub(super) fn rcv_rtt(&self) -> Option<Duration> {
        let rtt = self.tuning.get()?.rtt;
        (rtt > 0).then(|| Duration::from_micros(u64::from(rtt)))
    }

    /// Octets that the application read in a round trip, or what stands for them before.
    pub(super) fn rcv_space(&self) -> u32 {
        let initial = INITIAL.saturating_mul(u32::from(self.adv_mss));
        self.tuning.get().map_or(initial, |m| m.space)
    }
}

/// Of `octets` that took `took` microseconds those of one round trip of `rtt`: on a path whose
/// round trips are shorter than `low`, a turn of ours, or what waits in queues, makes more of them.
/// All of them where that is not so, or took longer, for then an application may read them so.
fn in_one(octets: u32, rtt: u32, took: u32, low: Duration) -> u32 {
    let low = low.min(LOW_MOST).as_micros() as u32;
    if took <= rtt || took >= low {
        return octets;
    }
    let scaled = u64::from(octets).saturating_mul(u64::from(rtt));
    let scaled = scaled.checked_div(u64::from(took)).unwrap_or(u64::MAX);
    u32::try_from(scaled).unwrap_or(u32::MAX).min(octets)
}

/// A round trip of `rtt` microseconds; on a path where it is shorter than `low` no less than
/// `turn`, which is what both ends take to look at what came.
fn with_turns(rtt: u32, low: Duration, turn: Duration) -> u32 {
    let low = low.min(LOW_MOST).as_micros() as u32;
    let turn = turn.min(LOW_MOST).as_micros() as u32;
    if rtt < low {
        rtt.max(turn.min(low))
    } else {
        rtt
    }
}

/// Octets that a buffer of `capacity` may hold with a third of it free, when a writer who found
/// it full is told of the room.
#[inline]
pub(super) const fn third_free(capacity: usize) -> usize {
    capacity - capacity / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a turn of ours or a queue gathers on a short path is no reason to grow.
    #[test]
    fn short_paths_count_what_a_round_trip_carries() {
        let low = Duration::from_millis(1);
        assert_eq!(in_one(4_000_000, 50, 600, low), 333_333);
        // Once a round trip, or more often.
        assert_eq!(in_one(4_000_000, 50, 50, low), 4_000_000);
        assert_eq!(in_one(4_000_000, 50, 0, low), 4_000_000);
        // A longer path, or an application that reads now and then.
        assert_eq!(in_one(4_000_000, 2_000, 2_600, low), 4_000_000);
        assert_eq!(in_one(4_000_000, 50, 1_000, low), 4_000_000);
        assert_eq!(in_one(4_000_000, 50, 600, Duration::ZERO), 4_000_000);
        assert_eq!(in_one(u32::MAX, 999, 999, low), u32::MAX);
        // No path of a second or more is short, whatever was configured.
        for most in [
            Duration::from_secs(1),
            Duration::from_secs(60),
            Duration::MAX,
        ] {
            assert_eq!(in_one(4_000_000, 50, 1_000_000, most), 4_000_000);
            assert_eq!(in_one(4_000_000, 50, 500_000, most), 400);
        }
    }

    /// Shorter than both ends take is no round trip of theirs; a long path is left alone.
    #[test]
    fn short_round_trips_last_a_turn() {
        let (low, turn) = (Duration::from_millis(1), Duration::from_micros(64));
        let of = |rtt| with_turns(rtt, low, turn);
        assert_eq!([1, 64, 65, 999, 1_000].map(of), [64, 64, 65, 999, 1_000]);
        assert_eq!(with_turns(1, Duration::ZERO, turn), 1);
        assert_eq!(with_turns(1, low, Duration::ZERO), 1);
        assert_eq!(with_turns(1, low, Duration::MAX), 1_000);
        // What is read a turn at a time grows to what comes in a turn of both.
        assert_eq!(in_one(1_000_000, of(1), 128, low), 500_000);
    }

    #[test]
    fn the_shortest_round_trip_of_late_counts() {
        let window = 10_000_000;
        let mut measure = Measure {
            next: u32::MAX,
            ..Measure::default()
        };
        let mut at = |ms: u64, about: u32, least: u32| {
            measure.sample(Instant::from_millis(ms), about, least, window);
            measure.rtt
        };
        // A queue on the way does not count, nor a pause of the peer.
        assert_eq!(
            [at(1, 40_000, 0), at(2, 30_000, 0), at(3, 90_000, 0)],
            [40_000, 30_000, 30_000]
        );
        // A longer path does, in the second window at the latest.
        assert_eq!(
            [at(9_999, 80_000, 0), at(10_000, 80_000, 0)],
            [30_000, 30_000]
        );
        assert_eq!(
            [at(15_000, 80_000, 0), at(20_000, 80_000, 0)],
            [30_000, 80_000]
        );
        // Below the clock's grain it is what the send side saw.
        assert_eq!([at(20_001, 1_000, 50), at(20_002, 1_000, 0)], [50, 50]);
        assert_eq!(at(20_003, 10, 40_000), 50);
    }
}
