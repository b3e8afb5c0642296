//! Two whole stacks against a model: random applications over a randomly bad path, in virtual
//! time. What is written is what is read, octet by octet; states follow each other as RFC 9293
//! allows; an observer between the hosts holds every segment against the windows, acknowledgments
//! and options that had passed; and every connection comes to an end.
//!
//! A run is a number. `STRATA_SEED=0x2a cargo test --test tcp_model replay -- --nocapture` runs
//! one again and prints all of it; `ci/model.sh MINUTES` runs new ones on all processors.
#![cfg(feature = "alloc")]

#[path = "tcp_model/mod.rs"]
mod model;
mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::case::Age;
use model::run::{Outcome, run};
use support::Seed;

/// Seeds that once failed, of applications that did less than they do now.
const FIRST: [u64; 14] = [
    // A cookie without timestamps agreed to window scaling.
    0xc761_aada_b423_daf5,
    // The window of a segment that filled a hole was not taken.
    0x47a2_da37_ef0e_2704,
    // A window clamp of less than a segment closed the window for ever.
    0xe8cb_9afa_c767_b109,
    // A challenge before the end of a handshake offered a window unscaled.
    0x8847_f7e0_36ad_d14e,
    // A black hole for segments below the base size was none to us.
    0xf989_5726_e748_9e23,
    // A peer that closed its window over our text was given up, though it answered.
    0x2323_c7b4_1083_2cfb,
    // The same where answers were lost now and then.
    0x2ac7_9ca0_b97c_2608,
    // Acknowledgments from beyond a window that was taken back were not heard.
    0x6f7a_fd42_a4f9_cfdf,
    // A tail loss probe that nothing was left for was sent as nothing, without end.
    0xce3e_60c0_1769_f6fd,
    // Timeouts were counted for what the pacer held back.
    0x9a64_0941_226c_b669,
    // Two sockets connect from one port at once: text in the SYN is the first one's.
    0xf29b_f47c_845e_5a3c,
    // The reset of an aborted connection was lost, and its cookie came back with text.
    0xf2b4_b4c0_923a_802e,
    // Of two sockets that connect from one port the first still waits for its text.
    0x7f62_f146_fea9_a643,
    // A connection gave up in silence, and its peer's FIN brought its cookie back.
    0x85c3_984b_de5b_2b7a,
];

/// Seeds that once failed, of hosts that less befell than now.
const KEPT: [u64; 19] = [
    // An end that took text from a SYN was aborted before its SYN-ACK arrived, with text of its own.
    0x99e5_9ca8_f011_6a17,
    // A SYN with accurate ECN was reset when it came twice, where only the classic kind is known.
    0x9a39_13d0_57b9_5669,
    // A window of one unit of its scale was larger than the buffer.
    0x1f4d_eed9_cbe3_e8a8,
    // A forged report became the reason of a connection that gave up.
    0xb00c_fd0a_fd22_183f,
    // The MTU of a link grew between a SYN-ACK and its repetition.
    0x2d74_9e53_230a_e0eb,
    // Text passed through a window of one octet for an hour.
    0xcea8_c2cf_f198_8898,
    // A port was let go of while connecting, and taken again by a SYN with text.
    0xc5bf_92eb_febc_021e,
    // What the network said explains the timeout of a connection that stood.
    0x9ae5_35e5_fd27_2985,
    // A cookie came back after its connection had sent text.
    0x85e8_2da0_b192_fe92,
    // Nobody read to an end that had come long before.
    0x16f9_ca9c_a863_8977,
    // Octets out of order were forgotten for want of memory, and came again.
    0xab88_1830_f414_3783,
    // A write took the rest of a train.
    0x1734_4249_f95c_1728,
    // What was said to one that was aborted brought its cookie back.
    0xaa04_7fd8_55bc_a8f2,
    // The same of one that gave up while nothing of it was heard.
    0xc442_e35f_a7ee_63fe,
    // A SYN with text came again when what it had made was over.
    0x2c27_4d08_66c2_1c6c,
    // A cookie came back for one that is read from, and heard the answer to another.
    0xc77f_ea4d_601d_ac3a,
    // Two texts of one connection were each the first of another.
    0xbd1b_7d62_1a34_83c9,
    // A buffer that was to shrink grew with a window of one unit of its scale.
    0xf3e5_d83b_15ed_d446,
    // The same while it was read.
    0xc0e8_97cf_27ec_2f92,
];

/// Seeds that once failed, of hosts that more befalls.
const LATEST: [u64; 15] = [
    // A copy of a packet that was lost opened the window.
    0x8f2f_82b6_a976_a0fa,
    // A listener was closed with what nobody had accepted.
    0x480e_6746_53b1_431e,
    // Timestamps of before a month are no measure.
    0x11b1_13f3_bfff_c762,
    // What was on its way for a month had the timestamp of before.
    0x27fd_615b_71cc_a548,
    // What was sent without an address never came as far as the device.
    0xcaa2_a8a3_d5b1_f732,
    // The window of a SYN-ACK lies behind the text of the SYN.
    0x39bd_43b1_0268_b8db,
    // Copies of before a month kept a timestamp alive.
    0x738b_59c9_2c25_ccb9,
    // A server spoke, and so offered its window, before its SYN-ACK was acknowledged.
    0xbd17_20f0_fdf1_8252,
    // Nobody accepted until the caller had given up, and a copy of what it said came.
    0xef02_1d7e_280f_996a,
    // A writer heard of an end, not of the want of memory that it came from.
    0x08f5_80d4_64be_4900,
    // A copy of a SYN was answered with the cookie of a connection that is over.
    0x83f6_f2a9_fc1d_b821,
    // What lay beyond the window as it was said lay before its edge as it was kept.
    0xabfd_5696_3525_4c63,
    // A SYN of hours before ended the wait of the connection after it.
    0xa4d6_a54d_f54a_923d,
    // Forged text came to lie behind the FIN that was next.
    0xbf09_6363_c2d9_180c,
    // The SYNs of a crowd filled a queue whenever one of two others came by.
    0x00d9_a514_48ec_66b1,
];

/// New seeds of an ordinary run of the tests.
const FRESH: u64 = 200;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    Some(number.unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

#[test]
fn replay() {
    let asked = number("STRATA_SEED");
    let of = |age, seeds: &[u64]| seeds.iter().map(move |seed| (*seed, age)).collect();
    let kept: [Vec<_>; 3] = [
        of(Age::First, &FIRST),
        of(Age::Rare, &KEPT),
        of(Age::Odd, &LATEST),
    ];
    let asked_for = |seed| vec![(seed, Age::Odd)];
    for (seed, age) in asked.map_or(kept.concat(), asked_for) {
        match run(seed, asked.is_some(), age) {
            Ok(outcome) => println!("seed {seed:#x}: {outcome:?}"),
            Err(why) => panic!("{why}"),
        }
    }
}

#[test]
fn fresh_seeds() {
    let minutes = number("STRATA_MINUTES");
    let threads = number("STRATA_THREADS").unwrap_or(1).max(1);
    let start = Instant::now();
    // A long run starts anywhere, an ordinary one always at the same place.
    let begin = match (number("STRATA_BEGIN"), minutes) {
        (Some(begin), _) => begin,
        (None, Some(_)) => {
            let time = std::time::UNIX_EPOCH
                .elapsed()
                .expect("a clock that is set");
            Seed(time.as_nanos() as u64).draw()
        }
        (None, None) => 0,
    };
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(0));
    let total = Mutex::new(Outcome::default());
    let first = Mutex::new(None);
    let over = |n: u64| match minutes {
        Some(minutes) => start.elapsed() > Duration::from_secs(60 * minutes),
        None => n >= FRESH,
    };
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if over(n) {
                return;
            }
            let seed = Seed(begin.wrapping_add(n)).draw();
            match run(seed, false, Age::Odd) {
                Ok(outcome) => {
                    let mut total = total.lock().unwrap();
                    total.octets += outcome.octets;
                    total.packets += outcome.packets;
                    total.time += outcome.time;
                    total.clean += outcome.clean;
                    total.ends += outcome.ends;
                }
                Err(why) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("{why}");
                    first.lock().unwrap().get_or_insert(seed);
                }
            }
            if minutes.is_some() && n.is_multiple_of(1000) {
                let total = total.lock().unwrap();
                eprintln!(
                    "{:6} s: {n} seeds, {} failed, {} MB in {} packets, {} virtual hours, \
                     {} of {} ends orderly",
                    start.elapsed().as_secs(),
                    failed.load(Ordering::Relaxed),
                    total.octets / 1_000_000,
                    total.packets,
                    total.time.as_secs() / 3600,
                    total.clean,
                    total.ends,
                );
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    println!("{:?} in {:?}", total.lock().unwrap(), start.elapsed());
    assert_eq!(
        *first.lock().unwrap(),
        None,
        "{} seeds failed",
        failed.load(Ordering::Relaxed)
    );
}
