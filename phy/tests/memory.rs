//! Devices in memory: order, bounds, recycling, metadata, and boxes of them.
#![cfg(feature = "alloc")]

use std::time::Duration;

use phy::{
    Abort, Cable, Csum, Device, DynDevice, End, Fault, FaultConfig, FrameSink, Gso, Instant,
    LinkState, Loopback, RxCsum, RxMeta, RxToken, TxMeta, TxToken,
};

const NOW: Instant = Instant::ZERO;

fn send(device: &mut impl Device, octets: &[u8]) -> bool {
    let Some(token) = device.transmit(NOW) else {
        return false;
    };
    let write = |frame: &mut [u8]| {
        frame.copy_from_slice(octets);
        Ok(())
    };
    token.send(octets.len(), TxMeta::NONE, write).is_ok()
}

fn take(device: &mut impl Device, budget: usize) -> Vec<(Vec<u8>, RxMeta)> {
    let mut got = Vec::new();
    let n = device.receive(NOW, budget, &mut |frame: &mut [u8], meta: RxMeta| {
        got.push((frame.to_vec(), meta));
    });
    assert_eq!(n, got.len());
    got
}

fn octets(device: &mut impl Device, budget: usize) -> Vec<Vec<u8>> {
    take(device, budget).into_iter().map(|(f, _)| f).collect()
}

/// Answers each frame with its octets reversed, as far as there is room.
struct Reverse {
    refused: usize,
}

impl FrameSink for Reverse {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        let Some(answer) = answer else {
            self.refused += 1;
            return;
        };
        let frame = rx.frame();
        frame.reverse();
        answer
            .send_gather(0, [frame, &[]], TxMeta::NONE, |_| Ok(()))
            .unwrap();
    }
}

#[test]
fn frames_arrive_in_order_and_within_the_budget() {
    let (mut a, mut b) = Cable::new(64);
    for n in 0..5 {
        assert!(send(&mut a, &[n]));
    }
    assert_eq!(a.in_flight().len(), 5);
    assert_eq!(octets(&mut b, 2), [[0], [1]]);
    assert_eq!(b.arriving(), [[2], [3], [4]]);
    assert_eq!(octets(&mut b, 64), [[2], [3], [4]]);
    assert_eq!(octets(&mut b, 64).len(), 0);
    assert_eq!(octets(&mut a, 64).len(), 0, "nothing comes back by itself");
}

#[test]
fn a_full_cable_has_no_room_and_answers_none() {
    let (mut a, mut b) = Cable::with_queue(64, 2);
    assert!(send(&mut a, b"ab") && send(&mut a, b"cd"));
    assert!(a.transmit(NOW).is_none());
    assert!(send(&mut b, b"xy"));
    let mut sink = Reverse { refused: 0 };
    assert_eq!(b.receive(NOW, 64, &mut sink), 2);
    assert_eq!(sink.refused, 1);
    assert_eq!(octets(&mut a, 64), [b"xy", b"ba"]);
    assert!(a.transmit(NOW).is_some());
}

#[test]
fn a_withdrawn_or_oversize_frame_is_not_sent() {
    let (mut a, b) = Cable::new(4);
    let token = a.transmit(NOW).unwrap();
    assert_eq!(token.send(4, TxMeta::NONE, |_| Err(Abort)), Err(Abort));
    assert!(!send(&mut a, b"12345"));
    assert!(send(&mut a, b"1234"));
    assert_eq!(b.arriving(), [b"1234"]);
}

#[test]
fn the_link_goes_down_with_the_other_end() {
    let (mut a, b) = Cable::with_queue(64, 2);
    assert_eq!(a.capabilities().link, LinkState::Up);
    drop(b);
    assert_eq!(a.capabilities().link, LinkState::Down);
    for _ in 0..10 {
        assert!(send(&mut a, b"lost"), "a dead cable swallows frames");
    }
    assert!(a.in_flight().len() <= 2);
}

fn super_segment() -> TxMeta {
    TxMeta {
        csum: Some(Csum {
            start: 34,
            offset: 16,
        }),
        gso: Some(Gso {
            mss: 1460,
            header: 54,
        }),
        stamp: None,
    }
}

fn send_super(device: &mut impl Device, len: usize) -> Result<(), Abort> {
    let payload = vec![7; len];
    let token = device.transmit(NOW).unwrap();
    token.send_gather(54, [&payload, &[]], super_segment(), |head| {
        head.fill(1);
        Ok(())
    })
}

#[test]
fn only_a_cable_with_offload_carries_super_segments() {
    let (mut a, _b) = Cable::new(1514);
    assert_eq!(send_super(&mut a, 60_000), Err(Abort));
    assert_eq!(send_super(&mut a, 1000), Ok(()));

    let (mut a, mut b) = Cable::with_offload(1514);
    assert_eq!(send_super(&mut a, 60_000), Ok(()));
    assert!(
        !send(&mut a, &[0; 1515]),
        "a plain frame keeps to max_frame"
    );
    let got = take(&mut b, 64);
    assert_eq!(got[0].0.len(), 60_054);
    assert_eq!((got[0].1.csum, got[0].1.gro), (RxCsum::Valid, Some(1460)));
}

#[test]
fn a_plain_cable_vouches_for_nothing() {
    let (mut a, mut b) = Cable::new(1514);
    send_super(&mut a, 1000).unwrap();
    assert_eq!(take(&mut b, 1)[0].1, RxMeta::new());
}

#[cfg(feature = "std")]
#[test]
fn ends_may_live_on_two_threads() {
    let (mut a, mut b) = Cable::new(64);
    let far = std::thread::spawn(move || {
        for n in 0..100_u8 {
            assert!(send(&mut a, &[n]));
        }
    });
    let mut got = Vec::new();
    while got.len() < 100 {
        got.extend(octets(&mut b, 64));
        std::thread::yield_now();
    }
    far.join().unwrap();
    assert!(got.iter().flatten().copied().eq(0..100));
}

/// Runs a thousand bursts and counts the buffers their frames arrive in.
fn buffers_used(mut burst: impl FnMut(&mut dyn FnMut(&mut [u8], RxMeta))) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        burst(&mut |frame: &mut [u8], _| {
            seen.insert(frame.as_ptr());
        });
    }
    seen.len()
}

#[test]
fn buffers_go_round() {
    let (mut a, mut b) = Cable::new(64);
    let used = buffers_used(|see| {
        (0..5).for_each(|_| assert!(send(&mut a, &[0; 60])));
        assert_eq!(
            b.receive(NOW, 64, &mut |f: &mut [u8], m: RxMeta| see(f, m)),
            5
        );
    });
    assert!(used <= 10, "{used} buffers for bursts of 5 on a cable");

    let mut lo = Loopback::plain(64);
    let used = buffers_used(|see| {
        (0..5).for_each(|_| assert!(send(&mut lo, &[0; 60])));
        assert_eq!(
            lo.receive(NOW, 64, &mut |f: &mut [u8], m: RxMeta| see(f, m)),
            5
        );
    });
    assert!(used <= 5, "{used} buffers for bursts of 5 on a loopback");

    let delay = FaultConfig::new().with_delay(Duration::from_millis(1));
    let (a, mut b) = Cable::new(64);
    let mut a = Fault::with_directions(a, FaultConfig::new(), delay);
    let used = buffers_used(|see| {
        (0..5).for_each(|_| assert!(send(&mut b, &[0; 60])));
        a.receive(NOW, 64, &mut |_: &mut [u8], _: RxMeta| {});
        let due = a.deadline().unwrap();
        let see = &mut |f: &mut [u8], m: RxMeta| see(f, m);
        assert_eq!(a.receive(due, 64, see), 5);
    });
    assert!(used <= 10, "{used} buffers for bursts of 5 through a fault");
}

#[test]
fn a_loopback_delivers_answers_later() {
    let mut lo = Loopback::plain(64);
    assert!(send(&mut lo, b"ab"));
    assert_eq!(lo.deadline(), Some(NOW));
    let mut sink = Reverse { refused: 0 };
    assert_eq!(lo.receive(NOW, 64, &mut sink), 1);
    assert_eq!(lo.in_flight(), [b"ba"]);
    assert_eq!(octets(&mut lo, 64), [b"ba"]);
    assert_eq!(lo.deadline(), None);
}

#[test]
fn a_loopback_is_bounded_and_needs_no_checksums() {
    let mut lo = Loopback::with_queue(1514, 2);
    send_super(&mut lo, 60_000).unwrap();
    assert!(send(&mut lo, b"b"));
    assert!(lo.transmit(NOW).is_none());
    let got = take(&mut lo, 64);
    assert_eq!((got[0].1.csum, got[0].1.gro), (RxCsum::Valid, Some(1460)));
    assert_eq!(got[1].1, RxMeta::new());
}

#[test]
fn a_box_behaves_as_what_is_in_it() {
    let (a, b): (End, End) = Cable::with_queue(1514, 2);
    let mut a: Box<dyn DynDevice> = Box::new(a);
    // A box in a box, to see that erasure nests.
    let mut b: Box<dyn DynDevice> = Box::new(Box::new(b) as Box<dyn DynDevice>);
    assert_eq!(a.capabilities().burst, 2);
    assert!(send(&mut a, b"abc") && send(&mut a, b"def"));
    assert!(a.transmit(NOW).is_none());
    let mut sink = Reverse { refused: 0 };
    assert_eq!(b.receive(NOW, 64, &mut sink), 2);
    assert_eq!(octets(&mut a, 64), [b"cba", b"fed"]);
    assert_eq!(send_super(&mut b, 60_000), Err(Abort));

    let mut lo: Box<dyn DynDevice> = Box::new(Loopback::new(1514));
    send_super(&mut lo, 60_000).unwrap();
    assert_eq!(lo.deadline(), Some(NOW), "pointers forward deadlines");
    let got = take(&mut lo, 1);
    assert_eq!((got[0].1.csum, got[0].1.gro), (RxCsum::Valid, Some(1460)));
    assert_eq!(got[0].0[..54], [1; 54]);
}

#[cfg(feature = "std")]
#[test]
fn boxed_devices_can_be_send() {
    let lo: Box<dyn DynDevice + Send> = Box::new(Loopback::new(64));
    let seen = std::thread::spawn(move || {
        let mut lo = lo;
        assert!(send(&mut lo, b"hi"));
        octets(&mut lo, 1)
    });
    assert_eq!(seen.join().unwrap(), [b"hi"]);
}

#[cfg(all(feature = "std", target_os = "linux"))]
#[test]
fn a_bell_tells_of_frames_at_an_end() {
    let (mut a, mut b) = Cable::new(64);
    let waiter = phy::Waiter::new().unwrap();
    assert!(send(&mut a, b"before"));
    b.set_bell(waiter.bell());
    assert!(waiter.wait(&[], None).unwrap().rung);
    assert_eq!(octets(&mut b, 64).len(), 1);
    let far = std::thread::spawn(move || {
        assert!(send(&mut a, b"after"));
        a
    });
    assert!(waiter.wait(&[], None).unwrap().rung);
    assert_eq!(octets(&mut b, 64), [b"after"]);
    drop(far.join().unwrap());
}
