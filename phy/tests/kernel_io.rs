//! How many system calls frames cost, and what becomes of those that find no room, by the
//! devices' own counters.
#![cfg(all(feature = "std", target_os = "linux"))]

mod netns;

use std::net::UdpSocket;

use netns::{ip, within};
use phy::{
    Device, Instant, IoStats, RawOptions, RawSocket, RxMeta, Tap, TapOptions, TxMeta, TxToken,
};

const NOW: Instant = Instant::ZERO;

/// A frame of a protocol that nobody speaks.
fn frame() -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 0x98, 0x88, 0xb5]);
    frame.resize(60, 0xee);
    frame
}

fn send(device: &mut impl Device, count: usize) {
    let frame = frame();
    for _ in 0..count {
        let fill = |to: &mut [u8]| {
            to.copy_from_slice(&frame);
            Ok(())
        };
        let token = device.transmit(NOW).expect("room");
        token.send(frame.len(), TxMeta::NONE, fill).unwrap();
    }
    device.flush(NOW);
}

fn receive(device: &mut impl Device, budget: usize) -> usize {
    device.receive(NOW, budget, &mut |_: &mut [u8], _: RxMeta| {})
}

/// Two packet sockets at the ends of a cable; frames are at the other end when they are sent.
fn ends(options: RawOptions) -> (RawSocket, RawSocket) {
    ip("link add veth0 type veth peer name veth1");
    ip("link set veth0 up");
    ip("link set veth1 up");
    let up = |name: &str| {
        let line = format!("-oneline link show {name}");
        assert!((0..1000).any(|_| ip(&line).contains("state UP")), "{name}");
    };
    up("veth0");
    up("veth1");
    let open = |name, options| RawSocket::with_options(name, options).unwrap();
    (open("veth0", RawOptions::new()), open("veth1", options))
}

/// Calls and frames, `(reads, frames_in, writes, frames_out)`.
fn counts(io: IoStats) -> (u64, u64, u64, u64) {
    (io.reads, io.frames_in, io.writes, io.frames_out)
}

#[test]
fn a_packet_socket_moves_32_frames_a_call() {
    within("raw calls", || {
        let (mut a, mut b) = ends(RawOptions::new().with_ring(false));
        receive(&mut b, 1000); // whatever came when the cable was plugged in
        let before = b.io_stats();
        send(&mut a, 100);
        assert_eq!(counts(a.io_stats()), (0, 0, 4, 100));
        // Two turns of a stack: 64 frames in two calls, 36 in two, the second of which says that
        // there are no more.
        assert_eq!(receive(&mut b, 64), 64);
        assert_eq!(receive(&mut b, 64), 36);
        let io = b.io_stats();
        let reads = io.reads - before.reads;
        assert_eq!((reads, io.frames_in - before.frames_in), (4, 100));
        assert_eq!((io.lost, io.overruns), (0, 0));
    });
}

#[test]
fn a_ring_costs_no_call_to_receive() {
    within("ring calls", || {
        let (mut a, mut b) = ends(RawOptions::new());
        receive(&mut b, 1000);
        // Many times around the ring.
        for round in 1..=300 {
            send(&mut a, 100);
            assert_eq!(receive(&mut b, 64), 64, "round {round}");
            let watch = [phy::Watch::readable(&b)];
            let waiter = phy::Waiter::new().unwrap();
            assert!(waiter.wait(&watch, None).unwrap().ready);
            assert_eq!(receive(&mut b, 64), 36, "round {round}");
        }
        let io = b.io_stats();
        assert!(io.frames_in >= 30_000);
        assert_eq!((io.reads, io.lost, io.overruns), (0, 0, 0));
    });
}

/// An interface that goes down leaves an error, which the ring does not tell of.
#[test]
fn a_ring_of_an_interface_that_is_down_lets_its_owner_sleep() {
    within("ring down", || {
        let (_a, mut b) = ends(RawOptions::new());
        receive(&mut b, 1000);
        ip("link set veth1 down");
        let waiter = phy::Waiter::new().unwrap();
        let mut ready = || {
            receive(&mut b, 1000);
            let watch = [phy::Watch::readable(&b)];
            let at_once = Some(std::time::Duration::ZERO);
            waiter.wait(&watch, at_once).unwrap().ready
        };
        assert!(ready(), "the error waits");
        assert!((0..100).any(|_| !ready()), "it was never taken");
        assert!(b.take_error().is_some());
    });
}

#[test]
fn what_a_packet_socket_has_no_room_for_is_counted() {
    within("raw overruns", || {
        let small = RawOptions::new().with_receive_buffer(4096).with_ring(false);
        for (options, count) in [(small, 100), (RawOptions::new(), 9000)] {
            let (mut a, mut b) = ends(options);
            receive(&mut b, 1000);
            let before = b.io_stats();
            for _ in 0..count / 100 {
                send(&mut a, 100);
            }
            let came = receive(&mut b, 10_000) as u64;
            let lost = b.io_stats().overruns - before.overruns;
            assert!(came > 0 && lost > 0, "{came} came, {lost} lost");
            assert_eq!(came + lost, count);
            assert_eq!(b.lost(), b.io_stats().lost);
            drop((a, b));
            ip("link del veth0");
        }
    });
}

#[test]
fn a_tap_costs_a_call_a_frame_and_one_to_see_that_there_are_no_more() {
    within("tap calls", || {
        for napi in [false, true] {
            let options = TapOptions::new().with_offload(true).with_napi(napi);
            let mut tap = Tap::with_options("tap0", options).unwrap();
            ip("addr add 10.9.0.1/24 dev tap0");
            ip("link set tap0 up");
            ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:99 dev tap0");
            receive(&mut tap, 1000);
            let before = tap.io_stats();
            let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
            for _ in 0..70 {
                socket.send_to(b"x", "10.9.0.2:9").unwrap();
            }
            assert_eq!(receive(&mut tap, 64), 64);
            assert_eq!(
                tap.io_stats().reads - before.reads,
                64,
                "a full turn asks no more"
            );
            assert_eq!(receive(&mut tap, 64), 6);
            send(&mut tap, 10);
            let io = tap.io_stats();
            assert_eq!(io.reads - before.reads, 71);
            assert_eq!(io.frames_in - before.frames_in, 70);
            assert_eq!((io.writes, io.frames_out, io.lost), (10, 10, 0));
        }
    });
}
