//! `strata perf` and a stock `iperf3` at the two ends of a test, in both roles, and two of ours.
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
#[path = "support/perf.rs"]
#[allow(dead_code, reason = "each test file takes what it needs")]
mod perf;

use lab::{KERNEL, Kind, Lab, OURS};
use netns::{Namespace, Process};
use perf::Json;

/// What a program printed; it must have succeeded.
fn printed(mut process: Process, what: &str) -> String {
    process.close_stdin();
    let (status, said) = process.finish();
    assert!(status.success(), "{what}: {status}: {said}");
    said
}

/// A test asked for by us, served by the kernel's iperf3.
fn ours_asks(lab: &Lab, args: &str) -> Json {
    let mut server = lab.kernel.spawn("iperf3", ["-s", "-1", "--forceflush"]);
    server.wait_for("Server listening");
    let client = lab.strata(&format!("perf -J -c {KERNEL} {args}"));
    let doc = Json::read(&printed(client, args));
    printed(server, "iperf3 -s");
    doc
}

/// A test asked for by the kernel's iperf3, served by us: its numbers, and ours.
fn ours_serves(lab: &Lab, args: &str) -> (Json, Json) {
    // With JSON it says nothing before the end: a line on the other output says that it began.
    let server = lab.strata("perf -s -1 -J -v");
    let client = || {
        let args: Vec<_> = ["-J", "-c", OURS]
            .into_iter()
            .chain(args.split(' '))
            .collect();
        lab.kernel.output("iperf3", args)
    };
    let mut result = client();
    while result.1.contains("onnection refused") || result.1.contains("o route") {
        result = client();
    }
    let (status, said) = result;
    assert!(status.success(), "{args}: {said}");
    let ours = Json::read(&printed(server, "strata perf -s"));
    (Json::read(&said), ours)
}

const MIB: u64 = 1 << 20;

#[test]
fn a_stock_server_serves_us() {
    need!("iperf3");
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let doc = ours_asks(&lab, "-n 4M");
        assert_eq!(doc.int("/end/sum_sent/bytes"), 4 * MIB, "{kind:?}");
        assert_eq!(doc.intervals_sum("sum"), 4 * MIB);
        doc.fair();
    }
}

#[test]
fn every_direction_with_a_stock_server() {
    need!("iperf3");
    let lab = Lab::new(Kind::Tap);
    let doc = ours_asks(&lab, "-n 4M -P 4");
    assert_eq!(
        (doc.len("/end/streams"), doc.int("/end/sum_sent/bytes")),
        (4, 4 * MIB)
    );
    doc.fair();

    let doc = ours_asks(&lab, "-R -n 4M -P 4 -N -w 256K");
    assert_eq!(doc.int("/start/test_start/reverse"), 1);
    assert!(doc.int("/end/sum_received/bytes") >= 4 * MIB);
    doc.fair();

    let doc = ours_asks(&lab, "--bidir -t 1 -b 20M -P 2 -l 10K");
    for sum in ["sum_sent", "sum_received_bidir_reverse"] {
        assert!(doc.int(&format!("/end/{sum}/bytes")) >= 10_240, "{sum}");
    }

    let doc = ours_asks(
        &lab,
        "-R -t 1 -O 1 -i 0.5 -b 10M --get-server-output -C reno",
    );
    assert_eq!(doc.intervals_sum("sum"), doc.int("/end/sum_received/bytes"));
    assert!(doc.text("/server_output_text").contains("(omitted)"));
    assert_eq!(doc.text("/end/sender_tcp_congestion"), "reno");
}

#[test]
fn datagrams_with_a_stock_server() {
    need!("iperf3");
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let doc = ours_asks(&lab, "-u -k 200 -b 20M");
        // As long as goes into a packet beside the headers that TCP has.
        assert_eq!(doc.int("/start/test_start/blksize"), 1448, "{kind:?}");
        assert_eq!(doc.int("/end/sum_sent/packets"), 200);
        let (came, lost) = (
            "/end/sum_received/packets",
            "/end/sum_received/lost_packets",
        );
        assert!(doc.int(came) <= 200 && doc.int(lost) <= doc.int(came));
    }
    let lab = Lab::new(Kind::Tap);
    let doc = ours_asks(&lab, "-u -R -t 1 -b 5M -l 1000 -P 2 --udp-counters-64bit");
    let (packets, lost) = (
        "/end/sum_received/packets",
        "/end/sum_received/lost_packets",
    );
    let arrived = doc.int(packets) - doc.int(lost);
    assert_eq!(doc.int("/end/sum_received/bytes"), arrived * 1000);
    assert!(arrived > 0 && doc.int(packets) <= doc.int("/end/sum_sent/packets"));

    let doc = ours_asks(&lab, "-u --bidir -t 1 -O 1 -b 5M -l 1000");
    // What counts, without the second before it, by our intervals and in the sum.
    for (end, interval) in [
        ("sum_sent", "sum"),
        ("sum_received_bidir_reverse", "sum_bidir_reverse"),
    ] {
        let octets = doc.int(&format!("/end/{end}/bytes"));
        assert_eq!(doc.intervals_sum(interval), octets, "{end}");
        let packets = doc.int(&format!("/end/{end}/packets"));
        let lost = doc.int(&format!("/end/{end}/lost_packets"));
        assert_eq!(octets, (packets - lost) * 1000, "{end}");
    }
}

#[test]
fn we_serve_a_stock_client() {
    need!("iperf3");
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let (theirs, ours) = ours_serves(&lab, "-n 4M -P 4");
        let sent = theirs.int("/end/sum_sent/bytes");
        assert!(sent >= 4 * MIB, "{kind:?}");
        // What was agreed on is waited for, though not what was sent beyond it.
        let came = ours.int("/end/sum_received/bytes");
        assert!(
            (4 * MIB..=sent).contains(&came),
            "{kind:?}: {came} of {sent}"
        );
        assert_eq!(theirs.int("/end/sum_received/bytes"), came, "{kind:?}");
        assert_eq!(ours.intervals_sum("sum"), came);
        theirs.fair();
    }
}

#[test]
fn every_direction_with_a_stock_client() {
    need!("iperf3");
    let lab = Lab::new(Kind::Tap);
    let (theirs, ours) = ours_serves(&lab, "-R -n 4M -P 4");
    assert_eq!(theirs.int("/end/sum_received/bytes"), 4 * MIB);
    assert_eq!(ours.int("/end/sum_sent/bytes"), 4 * MIB);
    theirs.fair();

    let (theirs, ours) = ours_serves(&lab, "--bidir -t 1 -b 20M");
    let (sent, received) = ("/end/sum_sent/bytes", "/end/sum_received/bytes");
    assert!(theirs.int(sent) >= theirs.int(received) && theirs.int(received) > 0);
    assert_eq!(theirs.int(received), ours.int(received));
    let back = "_bidir_reverse/bytes";
    let (sent, received) = (
        format!("/end/sum_sent{back}"),
        format!("/end/sum_received{back}"),
    );
    assert!(theirs.int(&sent) >= theirs.int(&received) && theirs.int(&received) > 0);
    assert_eq!(theirs.int(&sent), ours.int(&sent));

    let (theirs, _) = ours_serves(&lab, "-R -t 1 -O 1 -b 10M --get-server-output");
    assert!(theirs.int("/end/sum_received/bytes") > 0);
    let said = theirs.text("/server_output_text");
    assert!(
        said.contains("Accepted connection from 10.77.0.1") && said.contains("sender"),
        "{said}"
    );
}

#[test]
fn datagrams_with_a_stock_client() {
    need!("iperf3");
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let (theirs, ours) = ours_serves(&lab, "-u -k 200 -b 20M -l 1000");
        assert_eq!(theirs.int("/end/sum/packets"), 200, "{kind:?}");
        let (packets, lost) = (
            "/end/sum_received/packets",
            "/end/sum_received/lost_packets",
        );
        let arrived = ours.int(packets) - ours.int(lost);
        assert_eq!(ours.int("/end/sum_received/bytes"), arrived * 1000);
        assert!(arrived > 0 && arrived <= 200);
    }
    let lab = Lab::new(Kind::Tap);
    for args in [
        "-u -R -t 1 -b 5M -P 2",
        "-u --bidir -t 1 -b 5M --udp-counters-64bit",
    ] {
        let (theirs, _) = ours_serves(&lab, args);
        assert!(theirs.int("/end/sum_received/packets") > 0, "{args}");
        assert!(theirs.int("/end/sum_sent/packets") > 0, "{args}");
    }
}

#[test]
fn two_of_ours_over_a_wire() {
    need!();
    let (east, west) = (Namespace::new(), Namespace::new());
    east.veth("port0", "", &west, "port1", "");
    let strata = |place: &Namespace, phy: &str, addr: &str, args: &str| {
        let line = format!("perf --phy raw:{phy} --addr {addr}/24 {args}");
        place.spawn(env!("CARGO_BIN_EXE_strata"), line.split(' '))
    };
    let mut server = strata(&east, "port0", "10.77.0.1", "-s");
    server.wait_for("Server listening");
    for (args, octets) in [
        ("-n 4M", 4 * MIB),
        ("-n 4M -P 128", 4 * MIB),
        ("-R -n 4M -P 2 -C bbr", 4 * MIB),
        ("-k 100 -l 10K", 1_024_000),
    ] {
        let client = strata(
            &west,
            "port1",
            "10.77.0.2",
            &format!("-J -c 10.77.0.1 {args}"),
        );
        let doc = Json::read(&printed(client, args));
        assert_eq!(doc.int("/end/sum_received/bytes"), octets, "{args}");
        assert_eq!(doc.int("/end/sum_sent/bytes"), octets, "{args}");
        doc.fair();
    }
    let client = strata(
        &west,
        "port1",
        "10.77.0.2",
        "-J -c 10.77.0.1 -u -k 100 -b 10M",
    );
    let doc = Json::read(&printed(client, "-u"));
    assert_eq!(doc.int("/end/sum_sent/packets"), 100);
    server.interrupt();
    assert!(printed(server, "-s").contains("test #6"));
}
