//! Wrappers around devices, and wrappers around those.
#![cfg(feature = "alloc")]

use std::cell::RefCell;
use std::fmt::Write;
use std::time::Duration;

use phy::{
    Abort, Cable, Csum, Device, Direction, DynDevice, End, Fault, FaultConfig, FrameSink, Gso,
    Instant, Loopback, RxCsum, RxMeta, RxToken, Traced, Tracer, TxMeta, TxToken,
};

const NOW: Instant = Instant::ZERO;

const SUPER: TxMeta = TxMeta {
    csum: Some(Csum {
        start: 34,
        offset: 16,
    }),
    gso: Some(Gso {
        mss: 1460,
        header: 54,
    }),
    stamp: None,
};

fn ms(n: u64) -> Instant {
    Instant::from_millis(n)
}

fn send_at(device: &mut impl Device, now: Instant, octets: &[u8]) -> Result<(), Abort> {
    let (head, payload) = octets.split_at(octets.len() / 2);
    let token = device.transmit(now).ok_or(Abort)?;
    token.send_gather(head.len(), [payload, &[]], TxMeta::NONE, |to| {
        to.copy_from_slice(head);
        Ok(())
    })
}

fn take_at(device: &mut impl Device, now: Instant) -> Vec<(Vec<u8>, RxMeta)> {
    let mut got = Vec::new();
    device.receive(now, 64, &mut |frame: &mut [u8], meta: RxMeta| {
        got.push((frame.to_vec(), meta));
    });
    device.flush(now);
    got
}

/// Frames that come out of `device`, polled at its deadlines from `from` on, with the
/// millisecond of each.
fn run(device: &mut impl Device, from: Instant) -> Vec<(u64, u8)> {
    let mut got = Vec::new();
    let mut now = from;
    loop {
        for (frame, _) in take_at(device, now) {
            got.push((now.millis(), frame[0]));
        }
        match device.deadline() {
            Some(due) => now = now.max(due),
            None => return got,
        }
    }
}

/// Echoes every frame.
struct Echo;

impl FrameSink for Echo {
    fn frame(&mut self, mut rx: impl RxToken, answer: Option<impl TxToken>) {
        let frame = rx.frame();
        let answer = answer.expect("room for an answer");
        answer
            .send_gather(0, [frame, &[]], TxMeta::NONE, |_| Ok(()))
            .unwrap();
    }
}

#[test]
fn a_tracer_sees_both_directions_and_answers() {
    let log = RefCell::new(String::new());
    let (mut far, near) = Cable::new(64);
    let mut near = Tracer::new(near, |frame: Traced<'_>| {
        let mut scratch = Vec::new();
        let text = String::from_utf8_lossy(frame.contiguous(&mut scratch)).into_owned();
        let way = match frame.direction {
            Direction::Received => '<',
            Direction::Sent => '>',
        };
        writeln!(log.borrow_mut(), "{} {way} {text}", frame.at).unwrap();
    });
    send_at(&mut far, NOW, b"ping").unwrap();
    assert_eq!(near.receive(ms(1), 64, &mut Echo), 1);
    send_at(&mut near, ms(2), b"hello").unwrap();
    let aborted = near.transmit(ms(3)).unwrap();
    let _ = aborted.send(4, TxMeta::NONE, |_| Err(Abort));
    insta::assert_snapshot!(log.borrow().trim_end(), @r"
    0.001000s < ping
    0.001000s > ping
    0.002000s > hello
    ");
    assert_eq!(take_at(&mut far, NOW).len(), 2);
}

#[test]
fn a_tracer_leaves_gathering_and_metadata_alone() {
    let payload = vec![5; 40_000];
    let seen = RefCell::new(Vec::new());
    let mut lo = Tracer::new(Loopback::new(1514), |frame: Traced<'_>| {
        let whole = frame.parts[1].as_ptr() == payload.as_ptr();
        seen.borrow_mut()
            .push((whole, frame.checksummed, frame.len()));
    });
    let token = lo.transmit(NOW).unwrap();
    token
        .send_gather(54, [&payload, &[]], SUPER, |head| {
            head.fill(0);
            Ok(())
        })
        .unwrap();
    let got = take_at(&mut lo, NOW);
    assert_eq!((got[0].1.csum, got[0].1.gro), (RxCsum::Valid, Some(1460)));
    // Sent: the payload is shown where it lies. Received: the frame is in one piece.
    let expected = [(true, false, 40_054), (false, false, 40_054)];
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn a_clear_fault_is_not_there() {
    let mut lo = Fault::new(Loopback::new(1514), FaultConfig::new());
    assert!(lo.capabilities().gso.is_some());
    let token = lo.transmit(NOW).unwrap();
    token.send(40_000, SUPER, |_| Ok(())).unwrap();
    assert_eq!(lo.deadline(), Some(NOW), "the loopback's own");
    let got = take_at(&mut lo, NOW);
    assert_eq!((got[0].1.csum, got[0].1.gro), (RxCsum::Valid, Some(1460)));
    assert_eq!(lo.egress_stats(), phy::FaultStats::default());
}

#[test]
fn faults_hide_offloads_on_the_way_out() {
    let config = FaultConfig::new().with_loss(1);
    let mut lo = Fault::new(Loopback::new(1514), config);
    let caps = lo.capabilities();
    assert!(!caps.tx_csum && caps.gso.is_none());
    assert_eq!(send_at(&mut lo, NOW, &[0; 1515]), Err(Abort));
    assert_eq!(send_at(&mut lo, NOW, &[0; 1514]), Ok(()));
}

#[test]
fn delay_and_rate_set_the_time_of_arrival() {
    let (near, mut far) = Cable::new(1514);
    // 1000 octets take 8 ms, then 20 ms.
    let config = FaultConfig::new()
        .with_rate(1_000_000)
        .with_delay(Duration::from_millis(20));
    let mut near = Fault::with_directions(near, FaultConfig::new(), config);
    for n in 0..3 {
        send_at(&mut far, NOW, &[n; 1000]).unwrap();
    }
    assert_eq!(run(&mut near, NOW), [(28, 0), (36, 1), (44, 2)]);
    // After a pause the line is free again.
    send_at(&mut far, NOW, &[3; 1000]).unwrap();
    assert_eq!(run(&mut near, ms(100)), [(128, 3)]);
}

#[test]
fn jitter_alone_does_not_reorder() {
    let (near, mut far) = Cable::new(64);
    let config = FaultConfig::new()
        .with_delay(Duration::from_millis(20))
        .with_jitter(Duration::from_millis(15))
        .with_seed(3);
    let mut near = Fault::with_directions(near, FaultConfig::new(), config);
    let mut got = Vec::new();
    for n in 0..50 {
        let next = ms(10 * u64::from(n));
        while let Some(due) = near.deadline().filter(|due| *due < next) {
            let came = take_at(&mut near, due);
            got.extend(came.iter().map(|(f, _)| (due.millis(), f[0])));
        }
        send_at(&mut far, NOW, &[n]).unwrap();
        let came = take_at(&mut near, next);
        got.extend(came.iter().map(|(f, _)| (next.millis(), f[0])));
    }
    got.extend(run(&mut near, ms(490)));
    assert!(got.iter().map(|(_, n)| *n).eq(0..50), "{got:?}");
    let late: Vec<u64> = got.iter().map(|(at, n)| at - 10 * u64::from(*n)).collect();
    assert!(late.iter().all(|d| (5..=35).contains(d)), "{late:?}");
    assert!(late.iter().any(|d| *d < 20) && late.iter().any(|d| *d > 20));
}

#[test]
fn a_full_queue_drops_at_its_tail() {
    let (near, far) = Cable::new(1514);
    let config = FaultConfig::new().with_rate(8_000).with_queue(2);
    let mut near = Fault::new(near, config);
    for n in 0..5 {
        send_at(&mut near, NOW, &[n; 100]).unwrap();
    }
    assert_eq!((near.held(), near.egress_stats().overflowed), (2, 3));
    near.flush(ms(1000));
    let arrived: Vec<u8> = far.arriving().iter().map(|f| f[0]).collect();
    assert_eq!(arrived, [0, 1]);
}

#[test]
fn a_device_that_is_full_is_tried_again() {
    let (near, mut far) = Cable::with_queue(64, 1);
    let delay = FaultConfig::new().with_delay(Duration::from_millis(1));
    let mut near = Fault::with_directions(near, delay, FaultConfig::new());
    send_at(&mut near, NOW, b"a").unwrap();
    send_at(&mut near, NOW, b"b").unwrap();
    near.flush(ms(1));
    assert_eq!((far.arriving().len(), near.held()), (1, 1));
    assert_eq!(near.deadline(), Some(ms(2)), "not at once, that would spin");
    assert_eq!(take_at(&mut far, ms(2)).len(), 1);
    near.flush(ms(2));
    assert_eq!((far.arriving().len(), near.held()), (1, 0));
}

#[test]
fn a_frame_held_back_passes_after_later_ones_or_alone_after_a_while() {
    let (near, far) = Cable::new(64);
    let always = FaultConfig::new().with_reorder(1_000_000);
    let mut near = Fault::new(near, always);
    send_at(&mut near, NOW, &[0]).unwrap();
    near.reconfigure(FaultConfig::new().with_loss(1), FaultConfig::new());
    let seen = |far: &End| far.arriving().iter().map(|f| f[0]).collect::<Vec<_>>();
    for n in 1..=3 {
        assert!(!seen(&far).contains(&0) || n > 1);
        send_at(&mut near, NOW, &[n]).unwrap();
        near.flush(NOW);
    }
    let order = seen(&far);
    assert!(
        order[0] == 1 && order.contains(&0) && order.len() == 4,
        "{order:?}"
    );

    near.reconfigure(always, FaultConfig::new());
    send_at(&mut near, ms(5), &[9]).unwrap();
    near.flush(ms(5));
    let due = near.deadline().unwrap();
    assert_eq!(due, ms(5) + FaultConfig::HOLD);
    near.flush(due);
    assert_eq!(seen(&far).last(), Some(&9));
    assert_eq!(near.egress_stats().reordered, 2);
}

#[test]
fn corruption_flips_one_bit_and_voids_the_checksum() {
    let (near, mut far) = Cable::with_offload(1514);
    let config = FaultConfig::new().with_corrupt(1_000_000).with_seed(5);
    let mut near = Fault::with_directions(near, FaultConfig::new(), config);
    let token = far.transmit(NOW).unwrap();
    token
        .send(60, TxMeta { gso: None, ..SUPER }, |to| {
            to.fill(0);
            Ok(())
        })
        .unwrap();
    let got = take_at(&mut near, NOW);
    let bits: u32 = got[0].0.iter().map(|octet| octet.count_ones()).sum();
    assert_eq!((bits, got[0].1.csum), (1, RxCsum::Unknown));
    assert_eq!(near.ingress_stats().corrupted, 1);
}

/// Sends forty frames through every fault and writes down what comes out when.
fn bad_day(seed: u64) -> String {
    let config = FaultConfig::new()
        .with_loss(100_000)
        .with_duplicate(100_000)
        .with_reorder(100_000)
        .with_corrupt(100_000)
        .with_delay(Duration::from_millis(5))
        .with_jitter(Duration::from_millis(2))
        .with_rate(1_000_000)
        .with_seed(seed);
    let (near, mut far) = Cable::new(1514);
    let mut near = Fault::with_directions(near, FaultConfig::new(), config);
    let mut log = String::new();
    for n in 0..40 {
        send_at(&mut far, NOW, &[n; 125]).unwrap();
    }
    let mut now = NOW;
    loop {
        for (frame, _) in take_at(&mut near, now) {
            let damaged = frame.iter().any(|octet| *octet != frame[0]);
            let mark = if damaged { " damaged" } else { "" };
            // One of these two has no flipped bit, as the third octet tells.
            let n = if frame[0] == frame[2] {
                frame[0]
            } else {
                frame[1]
            };
            writeln!(log, "{now} {n}{mark}").unwrap();
        }
        match near.deadline() {
            Some(due) => now = now.max(due),
            None => break,
        }
    }
    writeln!(log, "{:?}", near.ingress_stats()).unwrap();
    log
}

#[test]
fn the_same_seed_makes_the_same_day() {
    let day = bad_day(42);
    assert_eq!(day, bad_day(42));
    assert_ne!(day, bad_day(43));
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("phy__fault_seed_42", day);
    });
}

#[test]
fn two_directions_with_one_seed_differ() {
    let lost = |frames: Vec<(u64, u8)>| frames.iter().map(|(_, n)| *n).collect::<Vec<_>>();
    let config = FaultConfig::new().with_loss(500_000).with_seed(1);
    let (near, mut far) = Cable::new(64);
    let mut near = Fault::new(near, config);
    for n in 0..40 {
        send_at(&mut near, NOW, &[n]).unwrap();
        send_at(&mut far, NOW, &[n]).unwrap();
    }
    assert_ne!(lost(run(&mut near, NOW)), lost(run(&mut far, NOW)));
}

#[test]
fn wrappers_nest_and_fit_into_boxes() {
    let config = FaultConfig::new().with_delay(Duration::from_millis(3));
    let (near, far) = Cable::new(64);
    let seen = RefCell::new(0);
    let bad: Fault<End> = Fault::new(near, config);
    let boxed: Box<dyn DynDevice> = Box::new(bad);
    let mut near = Tracer::new(boxed, |_| *seen.borrow_mut() += 1);
    let mut far = Tracer::new(Fault::new(far, FaultConfig::new()), |_| {});

    send_at(&mut near, NOW, b"over").unwrap();
    near.flush(NOW);
    assert_eq!(near.deadline(), Some(ms(3)), "through box and tracer");
    assert_eq!(take_at(&mut far, NOW).len(), 0);
    near.flush(ms(3));
    assert_eq!(far.receive(ms(3), 64, &mut Echo), 1);
    far.flush(ms(3));
    assert_eq!(run(&mut near, ms(3)), [(6, b'o')]);
    assert_eq!(*seen.borrow(), 2);
}

#[test]
fn answers_meet_faults_too() {
    let delay = FaultConfig::new().with_delay(Duration::from_millis(3));
    for ingress in [FaultConfig::new(), delay] {
        let (near, mut far) = Cable::new(64);
        let mut near = Fault::with_directions(near, delay, ingress);
        send_at(&mut far, NOW, b"ping").unwrap();
        near.receive(NOW, 64, &mut Echo);
        let arrives = near.deadline().unwrap();
        near.receive(arrives, 64, &mut Echo);
        near.flush(arrives);
        let back = ms(3) + ingress.delay;
        near.flush(back);
        assert_eq!(take_at(&mut far, back).len(), 1, "{ingress:?}");
    }
}
