//! ECN between us and Linux, in both roles, by RFC 3168 and by RFC 9768: our end of the link
//! marks what is capable, both sides' counters tell that the other one heard, every octet is
//! held against what was sent, and nothing is sent twice by us.
//!
//! Accurate feedback is tried where the kernel lets it be switched on. Linux 6.18 does not: it has
//! `tcp_ecn_option` (0 to 2) and `tcp_ecn_option_beacon` (0 to 3), but answers EINVAL to 3 and
//! above for `tcp_ecn`, and nothing else asks for it; those tests say so and are skipped.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "support/lab.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod lab;
#[path = "support/netns.rs"]
#[allow(
    dead_code,
    unused_macros,
    reason = "each test file takes what it needs"
)]
mod netns;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use lab::{KERNEL, Kind, Lab, OURS, PORT};
use netns::HANG;

/// Octets each way.
const SIZE: usize = 4 << 20;
/// What our end of the link does to them, in both directions.
const FAULT: &str = "--mark 2% --delay 2ms --seed 3";

/// A counter of the kernel's, in its namespace.
fn counter(lab: &Lab, name: &str) -> u64 {
    let text = lab
        .kernel
        .run(|| std::fs::read_to_string("/proc/thread-self/net/netstat").expect("procfs"));
    let lines: Vec<&str> = text.lines().collect();
    let found = lines.chunks(2).find_map(|pair| {
        let [names, values] = pair else { return None };
        let mut pairs = names.split(' ').zip(values.split(' '));
        pairs.find(|(n, _)| *n == name)?.1.parse().ok()
    });
    found.expect("a counter")
}

/// Two hosts, the kernel's with this value of `tcp_ecn`; `None` if it has no such value.
fn lab(tcp_ecn: &str) -> Option<Lab> {
    let lab = Lab::new(Kind::Tap);
    let set = lab
        .kernel
        .run(|| std::fs::write("/proc/sys/net/ipv4/tcp_ecn", tcp_ecn));
    set.ok().map(|()| lab)
}

/// Sends octets to our echo server and compares what comes back.
fn echo_through_us() {
    let to: SocketAddr = format!("{OURS}:{PORT}").parse().expect("an address");
    let stream = TcpStream::connect_timeout(&to, HANG).expect("our server");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    stream.set_write_timeout(Some(HANG)).expect("a timeout");
    let octets: Vec<u8> = (0..SIZE).map(|n| (n ^ n >> 7 ^ n >> 15) as u8).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&octets).expect("it is taken");
            stream.shutdown(Shutdown::Write).expect("half a close");
        });
        let mut back = Vec::new();
        (&stream).read_to_end(&mut back).expect("it comes back");
        assert!(back == octets, "{} octets", back.len());
    });
}

/// What `name:` says in a line of numbers, 0 if nothing.
fn number(line: &str, name: &str) -> u64 {
    let value = line.split(' ').find_map(|word| word.strip_prefix(name));
    value.map_or(0, |n| n.trim().parse().expect("a number"))
}

/// Our line of numbers, and the kernel's counters, after a transfer in which both sides sent.
fn judge(lab: &Lab, said: &str, words: &str) {
    let line = said
        .lines()
        .find(|line| line.contains(" bytes_acked:"))
        .unwrap_or_else(|| panic!("no numbers: {said}"));
    assert!(line.contains(words), "{line}");
    assert!(line.contains(" ssthresh:"), "{line}");
    assert!(number(line, "delivered_ce:") > 10, "{line}");
    assert!(!line.contains("retrans:"), "{line}");
    // Our text came marked to the kernel, and we told it of its own.
    assert!(counter(lab, "InCEPkts") > 5, "{line}");
    assert!(counter(lab, "InECT0Pkts") > 100, "{line}");
    assert!(counter(lab, "TCPDeliveredCE") > 5, "{line}");
}

/// The kernel connects with this value of `tcp_ecn`, our server does this; what our line of
/// numbers then says.
fn the_kernel_connects(tcp_ecn: &str, ours: &str, words: &str) {
    let Some(lab) = lab(tcp_ecn) else {
        skip!("no such ECN in this kernel");
    };
    let args = format!("--stats --count 1 --ecn {ours} {FAULT}");
    let mut server = lab.server(&args);
    lab.kernel.run(echo_through_us);
    server.close_stdin();
    let (status, said) = server.finish();
    assert!(status.success(), "{said}");
    judge(&lab, &said, words);
}

/// We connect, and the kernel echoes.
fn we_connect(tcp_ecn: &str, ours: &str, words: &str) {
    let Some(lab) = lab(tcp_ecn) else {
        skip!("no such ECN in this kernel");
    };
    let listener = lab
        .kernel
        .run(|| TcpListener::bind((KERNEL, 0)).expect("a port"));
    let port = listener.local_addr().expect("bound").port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("our client");
        let mut to = stream.try_clone().expect("a second handle");
        std::io::copy(&mut stream, &mut to).expect("no reset");
        to.shutdown(Shutdown::Write).expect("half a close");
    });
    let args =
        format!("tcpclient {KERNEL} --port {port} --size {SIZE} --stats --ecn {ours} {FAULT}");
    let (status, said) = lab.strata(&args).finish();
    assert!(status.success(), "{said}");
    server.join().expect("no panic");
    judge(&lab, &said, words);
}

#[test]
fn the_kernel_offers() {
    need!();
    the_kernel_connects("1", "answer", "sack ecn ecnseen");
}

#[test]
fn we_offer() {
    need!();
    we_connect("1", "offer", "sack ecn ecnseen");
}

#[test]
fn the_kernel_offers_accurate_feedback() {
    need!();
    the_kernel_connects("3", "accurate", "sack ecn ecnseen accecn");
}

#[test]
fn we_offer_accurate_feedback() {
    need!();
    we_connect("3", "accurate", "sack ecn ecnseen accecn");
}

/// One side knows RFC 3168 only.
#[test]
fn the_better_falls_back() {
    need!();
    the_kernel_connects("3", "answer", "sack ecn ecnseen cubic");
    we_connect("1", "accurate", "sack ecn ecnseen cubic");
}
