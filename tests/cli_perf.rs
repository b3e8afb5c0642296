//! `strata perf` without a peer, and with one that is not what it says.
#![cfg(all(feature = "cli", target_os = "linux"))]

mod cli_support;
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
#[path = "support/perf.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod perf;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use cli_support::{printed, strata};
use lab::{KERNEL, Kind, Lab, OURS};
use netns::HANG;
use perf::{Json, Script};

/// Runs the command and reads its JSON.
fn json(args: &str) -> Json {
    let args: Vec<_> = args.split(' ').collect();
    Json::read(&printed(&strata(&args)))
}

#[test]
fn both_ends_in_one_process_count_the_same() {
    for (args, octets) in [
        ("perf -J -n 3M", 3 << 20),
        ("perf --json -n 2M -P 3 -R", 2 << 20),
        ("perf -J -k 10 -l 1000 -N -w 64K --cc reno", 10_000),
        ("perf -J -n 1M --phy loopback -Z", 1 << 20),
        ("perf -J -n 1M -i 0.1 -b 100M/4", 1 << 20),
        ("perf -J -n 300K --loss 1% --reorder 1% --seed 3", 300 << 10),
    ] {
        let doc = json(args);
        assert_eq!(doc.int("/end/sum_sent/bytes"), octets, "{args}");
        assert_eq!(doc.int("/end/sum_received/bytes"), octets, "{args}");
        assert_eq!(doc.intervals_sum("sum"), octets, "{args}");
        doc.fair();
    }
}

#[test]
fn what_is_omitted_does_not_count() {
    let doc = json("perf -J -n 1M -O 1 -i 0.5 -b 100M");
    // Where the other end begins to count is its own affair.
    assert_eq!(doc.int("/end/sum_sent/bytes"), 1 << 20);
    assert_eq!(doc.intervals_sum("sum"), 1 << 20);
    assert!(doc.len("/intervals") >= 3);
}

#[test]
fn both_ways_at_once() {
    let doc = json("perf -J --bidir -n 1M");
    for sum in ["sum_sent", "sum_received"] {
        assert_eq!(doc.int(&format!("/end/{sum}/bytes")), 1 << 20);
    }
    let back = doc.int("/end/sum_sent_bidir_reverse/bytes");
    assert!(back >= doc.int("/end/sum_received_bidir_reverse/bytes") && back > 0);
    assert_eq!(doc.text("/start/test_start/protocol"), "TCP");
    assert_eq!(doc.len("/end/streams"), 2);
}

#[test]
fn datagrams_are_counted_lost_or_found() {
    let doc = json("perf -J -u -k 500 -l 1000 -b 0 --udp-counters-64bit");
    assert_eq!(doc.int("/end/sum_sent/packets"), 500);
    assert_eq!(doc.int("/end/sum_received/bytes"), 500_000);
    assert_eq!(doc.int("/end/sum/lost_packets"), 0);
    assert_eq!(doc.text("/start/test_start/protocol"), "UDP");

    // The cable loses some both ways, for the dice of this seed; the control connection minds
    // as little as the counting.
    let doc = json("perf -J -u -k 1000 -l 500 -b 0 --loss 5% --seed 11");
    let (all, lost) = (
        "/end/sum_received/packets",
        "/end/sum_received/lost_packets",
    );
    let (all, lost) = (doc.int(all), doc.int(lost));
    assert!(lost > 0 && all <= 1000, "{lost} of {all}");
    assert_eq!(doc.int("/end/sum_received/bytes"), (all - lost) * 500);

    let doc = json("perf -J -u -b 2M -t 1 -R -P 2 -l 1000 -i 0");
    let (sent, came) = ("/end/sum_sent/packets", "/end/sum_received/packets");
    assert!(doc.int(came) >= 2 && doc.int(came) <= doc.int(sent));
}

#[test]
fn lines_are_iperf3s() {
    let said = printed(&strata(&["perf", "-n", "128K", "-i", "0", "-T", "t"]));
    let lines: Vec<_> = said.lines().collect();
    assert!(lines.iter().all(|line| line.starts_with("t:  ")), "{said}");
    for shape in [
        "t:  Connecting to host 192.168.69.2, port 5201",
        "t:  [  1] local 192.168.69.1 port ",
        "t:  [ ID] Interval           Transfer     Bitrate         Retr  Cwnd",
        "t:  [ ID] Interval           Transfer     Bitrate         Retr",
        "t:  iperf Done.",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(shape)),
            "{shape}: {said}"
        );
    }
    let of = |word: &str| {
        *lines
            .iter()
            .find(|line| line.ends_with(word))
            .expect("a line")
    };
    assert!(of("sender").contains("sec   128 KBytes  "), "{said}");
    assert!(of("receiver").contains("sec   128 KBytes  "), "{said}");
    let server = printed(&strata(&["perf", "-s", "-n", "128K"]));
    for shape in [
        "Server listening on 5201 (test #1)",
        "Accepted connection from 192.168.69.2, port ",
        "[ ID] Interval           Transfer     Bitrate\n",
    ] {
        assert!(server.contains(shape), "{shape}: {server}");
    }
    let both = printed(&strata(&["perf", "-n", "64K", "--get-server-output"]));
    assert!(
        both.contains("\nServer output:\nAccepted connection"),
        "{both}"
    );
}

#[test]
fn errors_are_one_line() {
    for (args, code, words) in [
        (
            "perf -c 192.168.69.9 --connect-timeout 300 -n 1",
            1,
            "no answer",
        ),
        (
            "perf -c 192.168.69.2 -p 5202 --phy cable -s",
            2,
            "cannot be used with",
        ),
        ("perf -u -l 70000", 2, "16 to 65507"),
        (
            "perf --phy tap:nothing-there --addr 10.0.0.1/24",
            2,
            "which end?",
        ),
        ("perf -b fast", 2, "bits per second"),
        ("perf -C vegas", 2, "no such congestion control"),
    ] {
        let out = strata(&args.split(' ').collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(code), "{args}: {said}");
        assert!(said.contains(words), "{args}: {said}");
    }
}

/// A server of ours that listens already.
fn server(lab: &Lab, args: &str) -> netns::Process {
    let mut server = lab.strata(&format!("perf -s {args}"));
    server.wait_for("Server listening on 5201");
    server
}

#[test]
fn a_server_survives_everybody() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let mut server = server(&lab, "");
    lab.kernel.run(|| {
        // No client at all.
        for octets in [
            &b"GET / HTTP/1.1\r\nHost: 10.77.0.2\r\n\r\n\r\n"[..],
            &[0xff; 200],
            b"\n",
        ] {
            let mut stream = perf::connect();
            stream.write_all(octets).expect("it is taken");
            stream.shutdown(Shutdown::Write).expect("half a close");
            assert_eq!(perf::to_end(&mut stream), b"");
        }
        // Clients that ask for what they will not get. A reset may come after the answer.
        let params = |text: &str| {
            let mut octets = (text.len() as u32).to_be_bytes().to_vec();
            octets.extend(text.bytes());
            octets
        };
        for (octets, code) in [
            (params(r#"{"tcp":true,"parallel":129}"#), 6),
            (params(r#"{"tcp":true,"len":99999999}"#), 7),
            (params(r#"{"tcp":true,"#), 110),
            (params("[[[[[["), 110),
            (vec![0x7f, 0xff, 0xff, 0xff], 110),
            (params(&"[".repeat(60_000)), 110),
        ] {
            let mut script = Script::begin();
            script.say(&octets);
            script.hear(&[0xfe, 0, 0, 0, code, 0, 0, 0, 0]);
        }
        // And one that is refused while another is being served.
        let mut first = Script::begin();
        let mut second = perf::connect();
        second
            .write_all(&[b"b".repeat(36), vec![0]].concat())
            .expect("it is taken");
        assert_eq!(perf::to_end(&mut second), [0xff]);
        // Strangers do not get in between the streams of a test.
        first.say(&params(
            r#"{"tcp":true,"parallel":1,"num":1000,"len":1000}"#,
        ));
        first.hear(&[10]);
        let mut stranger = perf::connect();
        stranger
            .write_all(&[b"c".repeat(36), vec![0]].concat())
            .expect("it is taken");
        assert_eq!(perf::to_end(&mut stranger), [0xff]);
        // After all that, a test.
        let mut data = perf::connect();
        data.write_all(Script::COOKIE).expect("it is taken");
        first.hear(&[1, 2]);
        data.write_all(&[7; 1000]).expect("it is taken");
        first.say(&[4]);
        first.hear(&[13]);
        first.say(&params(r#"{"streams":[{"id":1,"bytes":1000}]}"#));
        let told = first.json();
        assert_eq!(told.int("/streams/0/bytes"), 1000);
        first.hear(&[14]);
        first.say(&[16]);
        assert_eq!(perf::to_end(&mut data), b"");
        // Gone in the middle of one.
        let mut gone = Script::begin();
        gone.say(&params(r#"{"tcp":true,"parallel":100,"time":86400}"#));
        gone.hear(&[10]);
        drop(gone);
    });
    server.wait_for("closed the control connection");
    server.interrupt();
    server.close_stdin();
    let (status, said) = server.finish();
    assert!(status.success(), "{said}");
    assert!(
        said.contains("1000 Bytes") && !said.contains("panicked"),
        "{said}"
    );
}

#[test]
fn a_client_is_not_taken_in() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let listener = lab
        .kernel
        .run(|| TcpListener::bind((KERNEL, 5201)).expect("a free port"));
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "no iperf3 server"),
        (&[0xff], "busy"),
        (&[0xfe, 0, 0, 0, 6, 0, 0, 0, 0], "too many streams"),
        (&[11], "the server was stopped"),
        (&[9, 9], "out of turn"),
        (b"", "closed the control connection"),
    ] {
        let mut client = lab.strata(&format!("perf -c {KERNEL} -n 1K"));
        client.close_stdin();
        let (mut stream, peer) = listener.accept().expect("our client");
        assert_eq!(peer.ip().to_string(), OURS);
        let mut cookie = [0; 37];
        stream.read_exact(&mut cookie).expect("a cookie");
        stream.write_all(answer).expect("it is taken");
        stream.shutdown(Shutdown::Write).expect("half a close");
        let (status, said) = client.finish();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
    let mut client = lab.strata(&format!("perf -c {KERNEL} -n 1K -p 9"));
    client.close_stdin();
    let (status, said) = client.finish();
    assert!(
        status.code() == Some(1) && said.contains("refused"),
        "{said}"
    );
}

#[test]
fn a_client_that_is_stopped_says_so() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let listener = lab
        .kernel
        .run(|| TcpListener::bind((KERNEL, 5201)).expect("a free port"));
    let mut client = lab.strata(&format!("perf -c {KERNEL} -t 60 -b 1M"));
    let accept = || -> TcpStream {
        let (stream, _) = listener.accept().expect("our client");
        stream.set_read_timeout(Some(HANG)).expect("a timeout");
        stream
    };
    let mut control = accept();
    let mut cookie = [0; 37];
    control.read_exact(&mut cookie).expect("a cookie");
    control.write_all(&[9]).expect("it is taken");
    let mut len = [0; 4];
    control.read_exact(&mut len).expect("a length");
    let mut params = vec![0; u32::from_be_bytes(len) as usize];
    control.read_exact(&mut params).expect("parameters");
    let params = Json::read(std::str::from_utf8(&params).expect("text"));
    assert_eq!(
        (params.int("/bandwidth"), params.int("/time")),
        (1_000_000, 60)
    );
    control.write_all(&[10]).expect("it is taken");
    let mut data = accept();
    let mut shown = [0; 37];
    data.read_exact(&mut shown).expect("a cookie");
    assert_eq!(shown, cookie);
    control.write_all(&[1, 2]).expect("it is taken");
    let mut block = vec![0; 128 << 10];
    data.read_exact(&mut block).expect("a block");
    client.interrupt();
    let mut last = [0];
    control.read_exact(&mut last).expect("a last word");
    assert_eq!(last, [12]);
    client.close_stdin();
    let (status, said) = client.finish();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("interrupted") && said.contains("sender"),
        "{said}"
    );
}
