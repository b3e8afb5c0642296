//! A sender with nothing but a controller, and a link: one queue that drops its tail, a rate and
//! a delay, in virtual time.
//!
//! Packets are numbered in the order of sending, retransmissions too, and acknowledged one by
//! one; one is held to be lost when the third after it arrived. Nothing is reordered.

use crate::tcp::congestion::delivery::News;
use crate::tcp::congestion::*;
use core::time::Duration;
use phy::Instant;
use std::collections::VecDeque;
use std::fmt::Write;
use std::string::String;
use std::vec::Vec;

/// Octets of every packet.
pub const MSS: u16 = 1250;
const SIZE: u32 = MSS as u32;

/// The path. 1 Mbit/s carries 100 packets a second.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    pub mbits: u64,
    pub rtt_ms: u64,
    /// Packets the queue holds.
    pub buffer: u64,
    /// Packets lost at random of 1000.
    pub loss: u64,
    /// Packets for one acknowledgment.
    pub stretch: usize,
}

impl Path {
    pub fn new(mbits: u64, rtt_ms: u64, buffer: u64) -> Self {
        Self {
            mbits,
            rtt_ms,
            buffer,
            loss: 0,
            stretch: 1,
        }
    }

    /// Nanoseconds a packet takes.
    fn slot(&self) -> u64 {
        u64::from(SIZE) * 8_000 / self.mbits
    }

    /// Packets the path holds without a queue.
    pub fn bdp(&self) -> u64 {
        self.mbits * 100 * self.rtt_ms / 1000
    }

    /// Octets a second.
    pub fn rate(&self) -> u64 {
        self.mbits * 125_000
    }
}

struct Packet {
    id: u64,
    sent: u64,
    stamp: Stamp,
    arrived: bool,
}

/// What a run saw in one interval.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub at_ms: u64,
    /// Packets.
    pub window: u32,
    pub threshold: Option<u32>,
    /// Packets waiting at the end, and at most.
    pub queue: u64,
    pub queue_max: u64,
    pub delivered: u64,
    /// Packets the queue had no room for, or that were lost at random.
    pub dropped: u64,
    pub note: &'static str,
}

pub struct Sim<C> {
    pub cc: C,
    pub path: Path,
    /// Packets the application has left to send.
    pub budget: u64,
    /// Give samples and losses, as a sender does that keeps stamps.
    pub stamps: bool,
    /// Pace where the algorithm does not: at so many hundredths of the window a round trip.
    pub pace: Option<u64>,
    /// Nanoseconds.
    now: u64,
    free_at: u64,
    last_event: u64,
    next: u64,
    flight: VecDeque<Packet>,
    /// When, and which packets.
    acks: VecDeque<(u64, Vec<u64>)>,
    pipe: u32,
    recover: Option<u64>,
    after_timeout: bool,
    max_flight: u32,
    flight_end: u64,
    limited: bool,
    delivery: Delivery,
    pacer: Pacer,
    min_rtt: u64,
    row: Row,
    pub rows: Vec<Row>,
    pub timeouts: u32,
    pub describe: fn(&C) -> &'static str,
}

impl<C: Congestion> Sim<C> {
    pub fn new(path: Path) -> Self {
        Self {
            cc: C::new(Instant::from_millis(1), MSS),
            path,
            budget: u64::MAX,
            stamps: true,
            pace: None,
            now: 1_000_000,
            free_at: 0,
            last_event: 0,
            next: 0,
            flight: VecDeque::new(),
            acks: VecDeque::new(),
            pipe: 0,
            recover: None,
            after_timeout: false,
            max_flight: 0,
            flight_end: 0,
            limited: false,
            delivery: Delivery::default(),
            pacer: Pacer::default(),
            min_rtt: u64::MAX,
            row: Row::default(),
            rows: Vec::new(),
            timeouts: 0,
            describe: |_| "",
        }
    }

    fn instant(&self) -> Instant {
        Instant::from_micros(self.now / 1000)
    }

    /// Packets waiting or being sent.
    pub fn queue(&self) -> u64 {
        self.free_at
            .saturating_sub(self.now)
            .div_ceil(self.path.slot())
    }

    pub fn in_flight(&self) -> u32 {
        self.pipe
    }

    fn rate(&self) -> Option<u64> {
        self.cc.pacing_rate().or_else(|| {
            let rtt = self.min_rtt.min(1_000_000_000);
            Some(u64::from(self.cc.window()) * 10_000_000 / rtt * self.pace?)
        })
    }

    /// Sends what may leave; when to look again for the pacer's sake.
    fn send(&mut self) -> Option<u64> {
        loop {
            let window = self.cc.window();
            if self.pipe + SIZE > window.max(SIZE) {
                return None;
            }
            if self.budget == 0 {
                self.delivery.mark_app_limited(self.pipe);
                return None;
            }
            let rate = self.rate();
            if rate.is_some() && !self.pacer.ready(self.instant()) {
                return Some(self.pacer.deadline().micros() * 1000);
            }
            if let Some(rate) = rate {
                self.pacer.on_sent(self.instant(), SIZE, rate);
            }
            self.transmit();
        }
    }

    fn transmit(&mut self) {
        let id = self.next;
        self.next += 1;
        self.budget = self.budget.saturating_sub(1);
        let stamp = self.delivery.on_sent(self.instant(), SIZE, self.pipe);
        self.pipe += SIZE;
        self.flight.push_back(Packet {
            id,
            sent: self.now,
            stamp,
            arrived: false,
        });
        // As the control block notes how far the window is used.
        let limited = self.pipe + SIZE > self.cc.window();
        let una = self.flight.front().map_or(self.next, |p| p.id);
        if una >= self.flight_end || limited || !self.limited && self.pipe > self.max_flight {
            self.limited = limited;
            self.max_flight = self.pipe;
            self.flight_end = self.next;
        }
        self.cc.on_sent(self.instant(), SIZE, self.pipe);

        let waiting = self.queue();
        let unlucky = (id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        if waiting > self.path.buffer || unlucky % 1000 < self.path.loss {
            self.row.dropped += 1;
            return;
        }
        self.row.queue_max = self.row.queue_max.max(waiting);
        self.free_at = self.free_at.max(self.now) + self.path.slot();
        let at = self.free_at + self.path.rtt_ms * 1_000_000;
        match self.acks.back_mut() {
            Some((when, ids)) if ids.len() < self.path.stretch => {
                ids.push(id);
                // The receiver waits for all of them, or 40 ms.
                *when = if ids.len() == self.path.stretch {
                    at.min(*when)
                } else {
                    *when
                };
            }
            _ if self.path.stretch > 1 => {
                self.acks.push_back((at + 40_000_000, Vec::from([id])));
            }
            _ => self.acks.push_back((at, Vec::from([id]))),
        }
    }

    /// Octets from the oldest packet out to the newest.
    fn span(&self) -> u32 {
        self.flight.len() as u32 * SIZE
    }

    fn arrive(&mut self, ids: &[u64]) {
        let now = self.instant();
        let flight = self.span();
        let mut news = News::default();
        let mut rtt = self.now;
        for &id in ids {
            let Some(first) = self.flight.front().map(|p| p.id) else {
                continue;
            };
            let Some(packet) = self.flight.get_mut((id - first) as usize) else {
                continue;
            };
            packet.arrived = true;
            rtt = rtt.min(self.now - packet.sent);
            let stamp = packet.stamp;
            self.delivery.on_delivered(now, SIZE, &stamp, &mut news);
            self.pipe -= SIZE;
            self.row.delivered += 1;
        }
        let last = ids.last().copied().unwrap_or(0);
        let mut acked = 0;
        let mut lost = Vec::new();
        while let Some(packet) = self.flight.front() {
            if packet.arrived {
                acked += SIZE;
            } else if packet.id + 3 <= last {
                lost.push(packet.stamp);
            } else {
                break;
            }
            self.flight.pop_front();
        }
        // Packets sent in a row and lost are one run.
        for stamp in lost.iter() {
            self.pipe -= SIZE;
            let lost = self.delivery.on_lost(now, SIZE, stamp);
            if self.stamps {
                self.cc.on_lost(&lost);
            }
        }
        if !lost.is_empty() && self.recover.is_none() {
            self.cc.on_loss(now, Loss::Detected, flight);
            self.recover = Some(self.next);
            self.after_timeout = false;
        }
        let una = self.flight.front().map_or(self.next, |p| p.id);
        if self.recover.is_some_and(|to| una >= to) {
            self.recover = None;
            self.after_timeout = false;
            self.cc.on_recovered(now);
        }
        self.min_rtt = self.min_rtt.min(rtt);
        let min_rtt = Duration::from_nanos(self.min_rtt.min(rtt));
        let sample = self.delivery.sample(&news, min_rtt);
        let ack = Ack {
            now,
            acked,
            delivered: ids.len() as u32 * SIZE,
            in_flight: self.max_flight.max(flight),
            pipe: self.pipe,
            rtt: Some(Duration::from_nanos(rtt)),
            delivery_rate: sample.filter(|_| self.stamps),
            app_limited: !(self.limited || self.after_timeout),
            paced: self.rate().is_some(),
            ..Ack::default()
        };
        if self.recover.is_some() && !self.after_timeout {
            self.cc.on_recovery(&ack);
        } else {
            self.cc.on_ack(&ack);
        }
    }

    fn time_out(&mut self) {
        let now = self.instant();
        let flight = self.span();
        self.timeouts += 1;
        self.flight.clear();
        self.pipe = 0;
        let loss = match self.recover {
            Some(_) => Loss::Repeated,
            None => Loss::Timeout,
        };
        self.cc.on_loss(now, loss, flight);
        self.recover = Some(self.next);
        self.after_timeout = true;
    }

    fn note(&mut self, every_ms: u64) {
        self.row.at_ms += every_ms;
        self.row.window = self.cc.window() / SIZE;
        self.row.threshold = self.cc.threshold().map(|t| t / SIZE);
        self.row.queue = self.queue();
        self.row.note = (self.describe)(&self.cc);
        self.rows.push(self.row.clone());
        self.row = Row {
            at_ms: self.row.at_ms,
            ..Row::default()
        };
    }

    /// Goes on for `ms`, with a row each `every_ms`.
    pub fn run(&mut self, ms: u64, every_ms: u64) {
        for _ in 0..ms / every_ms {
            let end = (self.row.at_ms + every_ms) * 1_000_000 + 1_000_000;
            loop {
                let paced = self.send();
                let ack = self.acks.front().map(|(at, _)| *at);
                // The receiver's timer, if nothing else comes.
                let timeout = (!self.flight.is_empty() && ack.is_none())
                    .then_some(self.last_event + (self.path.rtt_ms + 200) * 1_000_000);
                let at = [paced, ack, timeout].into_iter().flatten().min();
                let Some(at) = at.filter(|at| *at < end) else {
                    break;
                };
                self.now = self.now.max(at);
                if ack.is_some_and(|a| a <= self.now) {
                    let (_, ids) = self.acks.pop_front().unwrap_or_default();
                    self.last_event = self.now;
                    self.arrive(&ids);
                } else if timeout == Some(at) {
                    self.last_event = self.now;
                    self.time_out();
                }
            }
            self.now = end;
            self.note(every_ms);
        }
    }

    /// Rows from `from_ms` on.
    pub fn since(&self, from_ms: u64) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |r| r.at_ms > from_ms)
    }

    /// Share of the link's rate that arrived since `from_ms`, in hundredths.
    pub fn utilization(&self, from_ms: u64) -> u64 {
        let delivered: u64 = self.since(from_ms).map(|r| r.delivered).sum();
        let ms = self.row.at_ms - from_ms;
        delivered * 100 * 1000 / (self.path.mbits * 100 * ms)
    }

    pub fn dropped(&self, from_ms: u64) -> u64 {
        self.since(from_ms).map(|r| r.dropped).sum()
    }

    /// Mean of the queue in packets since `from_ms`.
    pub fn mean_queue(&self, from_ms: u64) -> u64 {
        let queues: Vec<u64> = self.since(from_ms).map(|r| r.queue).collect();
        queues.iter().sum::<u64>() / queues.len() as u64
    }

    /// The run as a table and a plot of the window, one `#` for each `scale` packets.
    pub fn table(&self, scale: u32) -> String {
        let mut text = String::new();
        let path = &self.path;
        let _ = writeln!(
            text,
            "{} Mbit/s, {} ms, queue of {}, path holds {} packets",
            path.mbits,
            path.rtt_ms,
            path.buffer,
            path.bdp()
        );
        let _ = writeln!(text, "   ms  cwnd ssthresh queue  use drop");
        for row in &self.rows {
            let threshold = match row.threshold {
                Some(t) if t < 0xffff => std::format!("{t}"),
                _ => String::from("-"),
            };
            let since = self.rows.first().map_or(100, |r| r.at_ms);
            let share = row.delivered * 100 * 1000 / (path.mbits * 100 * since);
            let bar = "#".repeat((row.window / scale) as usize);
            let line = std::format!(
                "{:5} {:5} {:>8} {:5} {:3}% {:4} {:14} {}",
                row.at_ms,
                row.window,
                threshold,
                row.queue,
                share,
                row.dropped,
                row.note,
                bar
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}
