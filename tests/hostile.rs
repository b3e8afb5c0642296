//! Random, truncated and mutated frames at full rate: no panic, memory flat, the echo service
//! still answers.
//!
//! The bodies are those of the fuzz targets in `ci/fuzz`, on inputs that are the same in every
//! run; what libFuzzer finds is added here as a test of its own.
#![cfg(feature = "std")]

#[path = "support/alloc.rs"]
mod alloc;
#[path = "../ci/fuzz/src/parsers.rs"]
mod parsers;
#[path = "../ci/fuzz/src/stack.rs"]
mod stack;

use arbitrary::Unstructured;
use stack::Host;
use stack::peer::Peer;

/// Octets that are the same in every run (splitmix64).
fn noise(seed: &mut u64, len: usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity(len + 8);
    while octets.len() < len {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        octets.extend((z ^ (z >> 31)).to_le_bytes());
    }
    octets.truncate(len);
    octets
}

#[test]
fn readers_take_noise() {
    let mut seed = 1;
    for n in 0..20_000 {
        parsers::run(&noise(&mut seed, n % 200));
    }
}

#[test]
fn readers_take_nearly_valid_frames() {
    let (mut seed, peer) = (2, Peer::default());
    for _ in 0..20_000 {
        let octets = noise(&mut seed, 600);
        if let Ok(mut frame) = peer.frame(&mut Unstructured::new(&octets)) {
            parsers::run(&frame);
            frame.truncate(usize::from(octets[0]));
            parsers::run(&frame);
        }
    }
}

#[test]
fn hosts_outlive_what_is_done_to_them() {
    for mut seed in 0..150 {
        // Shown when it fails.
        println!("seed {seed}");
        let len = 500 + 40 * seed as usize;
        stack::run(&noise(&mut seed, len));
    }
}

/// `STRATA_LIVES` says how many, for those who have a minute; `STRATA_LIVES_FROM` where to begin.
#[test]
fn long_lives_of_hosts_of_all_shapes() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let from = number("STRATA_LIVES_FROM").unwrap_or(1 << 32);
    for mut seed in from..from + number("STRATA_LIVES").unwrap_or(60) {
        println!("seed {seed}");
        stack::run(&noise(&mut seed, 40_000));
    }
}

/// What `f` leaves in use, in octets.
fn kept(f: impl FnOnce()) -> i64 {
    alloc::count(f).1.octets
}

/// Frames, application and time, `steps` of them. Octets that are in use more than at first:
/// in the end, and at most.
fn flood(host: &mut Host, seed: &mut u64, steps: usize) -> (i64, i64) {
    let (mut now, mut most) = (0, 0);
    for _ in 0..steps {
        let octets = noise(seed, 400);
        now += kept(|| {
            let _ = host.step(&mut Unstructured::new(&octets));
        });
        most = most.max(now);
    }
    (now, most)
}

/// `STRATA_FLOOD` says how many steps the flood has, for those who have a minute.
#[test]
fn a_flood_leaves_nothing_behind() {
    let steps = std::env::var("STRATA_FLOOD").ok();
    let steps = steps.and_then(|n| n.parse().ok()).unwrap_or(200_000);
    let (mut host, mut seed) = (Host::new(), 3);
    flood(&mut host, &mut seed, 20_000);
    host.quiet();
    let (left, most) = flood(&mut host, &mut seed, steps);
    assert!(most < 24 << 20, "{most} octets in use at once");
    let left = left + kept(|| host.quiet());
    assert!(left < 64 << 10, "{left} octets were never given back");
    let did = (host.sent, host.accepted, host.echoed);
    assert!(did.0 > 50_000 && did.1 > 1000 && did.2 > 100_000, "{did:?}");
    host.assert_alive();
}
