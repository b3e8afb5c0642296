//! `strata` with several queues of a device, a stack and a thread for each, and the kernel's clients.
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
use std::net::{Shutdown, TcpStream};
use std::thread;

use lab::{KERNEL, Kind, Lab, OURS, PORT};
use netns::HANG;
use serde_json::Value;

const VISITS: usize = 24;
const OCTETS: usize = 100_000;

/// A lab whose device can have several queues.
fn lab(kind: Kind) -> Lab {
    let lab = Lab::new(kind);
    if kind == Kind::Tap {
        lab.kernel.ip("tuntap del dev port0 mode tap");
        lab.kernel.ip("tuntap add dev port0 mode tap multi_queue");
        lab.kernel.up("port0", &format!("{KERNEL}/24"));
    }
    lab
}

/// Sends text to our server and reads the same back.
fn visit(n: usize) {
    let to = (OURS.parse::<std::net::Ipv4Addr>().unwrap(), PORT).into();
    let mut stream = TcpStream::connect_timeout(&to, HANG).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    let text = vec![n as u8; OCTETS];
    let mut writer = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&text).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == text, "{} octets", back.len());
    });
}

#[test]
fn a_server_on_two_queues_adds_up_what_its_stacks_did() {
    need!();
    for kind in [Kind::Tap, Kind::Raw] {
        let lab = lab(kind);
        let args = format!("tcpserver --port {PORT} --queues 2 --json --count {VISITS}");
        let mut server = lab.strata(&args);
        server.wait_for("listening");
        lab.kernel.run(|| {
            thread::scope(|visits| {
                for n in 0..VISITS {
                    visits.spawn(move || visit(n));
                }
            });
        });
        server.close_stdin();
        let (status, said) = server.finish();
        assert!(status.success(), "{kind:?}: {said}");
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).expect("whole lines"))
            .collect();
        let [first, between @ .., last] = lines.as_slice() else {
            panic!("{said}");
        };
        assert_eq!(first["queues"], 2, "{kind:?}");
        assert_eq!(between.len(), VISITS, "{kind:?}: {said}");
        let all = (VISITS * OCTETS) as u64;
        assert_eq!(last["connections"], VISITS as u64, "{kind:?}");
        assert_eq!(
            (&last["received"], &last["sent"]),
            (&all.into(), &all.into())
        );
        let queues = last["queues"].as_array().expect("a number for each");
        let each: Vec<_> = queues.iter().filter_map(Value::as_u64).collect();
        assert_eq!(each.iter().sum::<u64>(), VISITS as u64);
        // One in 2^23 that chance gives all of them to one.
        assert!(
            each.len() == 2 && each.iter().all(|n| *n > 0),
            "{kind:?}: {each:?}"
        );
    }
}

#[test]
fn ctrl_c_ends_all_stacks() {
    need!();
    let lab = lab(Kind::Raw);
    let server = lab.server("--queues 3");
    lab.kernel.run(|| visit(1));
    server.interrupt();
    let (status, said) = server.finish();
    assert!(status.success(), "{said}");
    assert!(said.contains("1 connection ("), "{said}");
}

#[test]
fn a_tap_with_one_queue_says_how_to_make_several() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let (status, said) = lab.strata("tcpserver --queues 2").finish();
    assert_eq!(status.code(), Some(2));
    assert!(
        said.contains("made with one queue; make it with several"),
        "{said}"
    );
}
