//! The growth of buffers, one control block at a time; `tests/autotune.rs` has whole paths.

extern crate std;

use super::harness::Harness;
use crate::socket::{RecvBuf, SendBuf};
use crate::tcp::Congestion;
use crate::tcp::{Config, Level, Segment, TcpInfo};
use crate::wire::{TcpFlags, TcpOptions};
use core::time::Duration;
use std::vec::Vec;

const MSS: usize = 1448;

/// A peer that sends as fast as windows let it: a round trip is `rounds` of `ms`.
struct Flow {
    h: Harness,
    sent: u32,
    /// Its timestamps: it echoes ours of a round trip ago.
    stamps: bool,
}

impl Flow {
    fn new(cfg: Config) -> Self {
        let stamps = cfg.timestamps;
        let h = Harness::accepted(cfg, 1460);
        Self { h, sent: 0, stamps }
    }

    fn info(&self) -> TcpInfo {
        self.h
            .tcb
            .info(&self.h.cfg, self.h.now, &self.h.rx, &self.h.tx)
    }

    /// A round trip of 100 ms in which `octets` come, at its end; they are read at once, or not.
    fn round(&mut self, octets: usize, read: bool) {
        self.h.pass(Duration::from_millis(100));
        let ours = crate::tcp::timestamp(self.h.now, super::harness::TS_OFFSET);
        let mut left = octets;
        while left > 0 {
            let len = left.min(MSS);
            let from = u64::from(self.sent);
            let text: Vec<u8> = (from..from + len as u64)
                .map(super::harness::octet)
                .collect();
            let stamp = (2000 + self.h.now.millis() as u32, ours.wrapping_sub(100));
            let segment = Segment {
                seq: super::harness::IRS + 1 + self.sent,
                ack: super::harness::ISS + 1,
                flags: TcpFlags::ACK,
                window: 512,
                urgent: 0,
                options: TcpOptions {
                    timestamps: self.stamps.then_some(stamp),
                    ..TcpOptions::NONE
                },
                payload: &text,
                ecn: 0,
            };
            self.h.receive(&segment);
            self.h.send();
            if read {
                self.h.rx.read(usize::MAX);
                self.h.tcb.on_read(&self.h.cfg, self.h.now, &mut self.h.rx);
                self.h.send();
            }
            self.sent += len as u32;
            left -= len;
        }
    }

    /// Doubles from ten segments on, as far as the window goes, for so many round trips.
    fn slow_start(&mut self, rounds: u32, read: bool) {
        for round in 0..rounds {
            let flight = (10 * MSS) << round;
            let window = self.info().rcv_wnd as usize;
            self.round(flight.min(window), read);
        }
    }
}

/// The receive buffer grows ahead of a sender that doubles, to the maximum and no further.
#[test]
fn grows_ahead_of_the_sender() {
    for timestamps in [true, false] {
        let mut flow = Flow::new(Config {
            timestamps,
            ..Config::default()
        });
        let mut flight = 10 * MSS;
        for _ in 0..7 {
            let window = flow.info().rcv_wnd as usize;
            assert!(window >= flight, "{window} of {flight}");
            flow.round(flight, true);
            flight *= 2;
        }
        let info = flow.info();
        assert!(flow.h.rx.capacity() > 2_000_000, "{info:?}");
        assert_eq!(
            info.rcv_rtt,
            Some(Duration::from_millis(100)),
            "{timestamps}"
        );
        // The last round is not over yet.
        assert_eq!(info.rcv_space as usize, flight / 4);
        flow.slow_start(14, true);
        assert_eq!(flow.h.rx.capacity(), flow.h.cfg.receive_buffer_max);
    }
}

/// Nothing grows while the application does not read, nor where a round trip brings little.
#[test]
fn grows_by_need_only() {
    let mut flow = Flow::new(Config::default());
    flow.slow_start(6, false);
    assert_eq!(flow.h.rx.capacity(), 540_000);
    let mut flow = Flow::new(Config::default());
    for _ in 0..50 {
        flow.round(50_000, true);
    }
    assert_eq!(flow.h.rx.capacity(), 540_000);
}

/// A buffer that the application chose, a stack without autotuning and one whose memory is
/// short do not grow.
#[test]
fn does_not_grow_where_it_must_not() {
    let mut flow = Flow::new(Config::default());
    flow.h.play("capacity 200000");
    flow.slow_start(8, true);
    assert_eq!(flow.h.rx.capacity(), 200_000);
    let mut flow = Flow::new(Config {
        receive_autotuning: false,
        ..Config::default()
    });
    flow.slow_start(8, true);
    assert_eq!(flow.h.rx.capacity(), 540_000);
    let mut flow = Flow::new(Config::default());
    flow.h.tcb.set_level(Level::Pressure);
    flow.slow_start(8, true);
    assert_eq!(flow.h.rx.capacity(), 540_000);
    assert_eq!(flow.info().rcv_ssthresh, 4 * 1460);
    // The clamp bounds the window, not the buffer.
    let mut flow = Flow::new(Config::default());
    flow.h.play("clamp 50000");
    flow.slow_start(8, true);
    assert_eq!(flow.info().rcv_ssthresh, 50_000);
}

/// A hole that is filled at last brings much at once, and is no fast path: the buffer does not
/// grow by it.
#[test]
fn a_filled_hole_is_no_fast_path() {
    let mut flow = Flow::new(Config::default());
    for _ in 0..4 {
        flow.round(30_000, true);
    }
    let capacity = flow.h.rx.capacity();
    // The first segment is missing for ten round trips.
    let hole = flow.sent;
    flow.sent += MSS as u32;
    for _ in 0..10 {
        flow.round(15_000, true);
    }
    let after = core::mem::replace(&mut flow.sent, hole);
    flow.round(MSS, true);
    flow.sent = after;
    flow.round(15_000, true);
    assert_eq!(flow.h.rx.taken, u64::from(flow.sent));
    assert_eq!(flow.h.rx.capacity(), capacity);
}

/// What a pause costs: measuring begins anew, the window stays as offered.
#[test]
fn a_pause_ends_measuring() {
    let mut flow = Flow::new(Config::default());
    flow.slow_start(8, true);
    let (capacity, window) = (flow.h.rx.capacity(), flow.info().rcv_wnd);
    assert!(flow.info().rcv_rtt.is_some());
    flow.h.pass(Duration::from_secs(3));
    let info = flow.info();
    assert_eq!((info.rcv_rtt, info.rcv_space), (None, 14_600));
    assert_eq!((flow.h.rx.capacity(), info.rcv_wnd), (capacity, window));
}

/// A send buffer for [`Tcb::tune_send`](crate::tcp::Tcb).
#[derive(Default)]
struct Tx {
    queued: usize,
    capacity: usize,
}

impl SendBuf for Tx {
    fn queued(&self) -> usize {
        self.queued
    }
    fn peek(&self, _: usize, _: usize) -> [&[u8]; 2] {
        [&[], &[]]
    }
    fn release(&mut self, n: usize) {
        self.queued -= n;
    }
    fn capacity(&self) -> usize {
        self.capacity
    }
    fn set_capacity(&mut self, octets: usize) -> usize {
        self.capacity = octets;
        octets
    }
}

/// The send buffer grows to twice the congestion window where it was nearly full and the
/// windows would let all of it go; it does not where they hold it back, where it was chosen,
/// or under pressure; and begins anew after a pause.
#[test]
fn the_send_buffer_follows_the_window() {
    let h = Harness::accepted(Config::default(), 1460);
    let (cfg, mut tcb) = (h.cfg, h.tcb);
    let cwnd = 14_480;
    assert_eq!(tcb.cc.window(), cwnd);
    let tx = |queued| Tx {
        queued,
        capacity: 20_000,
    };
    // Two thirds were full before 3000 octets went.
    let mut full = tx(12_000);
    tcb.tune_send(&cfg, 3000, &mut full);
    assert_eq!(full.capacity, 2 * cwnd as usize);
    let mut empty = tx(10_000);
    tcb.tune_send(&cfg, 3000, &mut empty);
    assert_eq!(empty.capacity, 20_000);
    // More waits than the windows take.
    let mut held = tx(15_000);
    tcb.tune_send(&cfg, 3000, &mut held);
    assert_eq!(held.capacity, 20_000);
    tcb.set_level(Level::Pressure);
    let mut full = tx(12_000);
    tcb.tune_send(&cfg, 3000, &mut full);
    assert_eq!(full.capacity, 20_000);
    tcb.set_level(Level::Free);
    tcb.options.send_fixed = true;
    tcb.tune_send(&cfg, 3000, &mut full);
    assert_eq!(full.capacity, 20_000);
    tcb.options.send_fixed = false;
    let mut grown = Tx {
        queued: 0,
        capacity: 1_000_000,
    };
    tcb.tune_idle(&cfg, &mut grown);
    assert_eq!(grown.capacity, cfg.send_buffer);
}
