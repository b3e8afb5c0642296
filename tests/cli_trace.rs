//! `strata tcpclient --trace` and `strata tcpserver --trace`: what happens to connections, as
//! JSON lines.
#![cfg(feature = "cli")]

mod cli_support;

use std::collections::BTreeMap;
use std::fs;

use cli_support::{Scratch, printed, strata};
use serde_json::Value;

/// The lines of a trace; each an object.
fn lines(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let parse =
        |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    text.lines().map(parse).collect()
}

/// How many events of each kind.
fn kinds(lines: &[Value]) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    for kind in lines.iter().filter_map(|line| line["e"].as_str()) {
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[test]
fn a_lossy_transfer() {
    let file = Scratch::new("lossy.trace");
    let words = "tcpclient --port 9 --source --size 500k --loss 3% --delay 2ms --seed 5 --trace";
    let mut args: Vec<&str> = words.split(' ').collect();
    args.push(file.path());
    let out = printed(&strata(&args));
    assert!(out.starts_with("Sent 500.0 KiB"), "{out}");

    let lines = lines(file.path());
    let head = &lines[0];
    assert_eq!(
        (&head["trace"], &head["version"]),
        (&"strata".into(), &1.into())
    );
    assert_eq!(
        (&head["command"], &head["congestion"]),
        (&"tcpclient".into(), &"cubic".into())
    );
    let (opened, last) = (&lines[1], lines.last().unwrap());
    assert_eq!((&opened["e"], &opened["c"]), (&"opened".into(), &1.into()));
    assert_eq!(opened["peer"], "192.168.69.2:9");
    assert_eq!(last["e"], "end");

    // Time does not go back, and every octet was sent once as new.
    let events = &lines[1..];
    let times: Vec<f64> = events
        .iter()
        .map(|line| line["t"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted());
    let sent = events.iter().filter(|line| line["e"] == "sent");
    let (again, new): (Vec<_>, Vec<_>) = sent.partition(|line| line["again"] == true);
    let octets = |line: &&Value| line["len"].as_u64().unwrap();
    assert_eq!(new.iter().map(octets).sum::<u64>(), 500 << 10);
    assert!(!again.is_empty());
    let kinds = kinds(events);
    for kind in [
        "state", "received", "sack", "rtt", "ca_state", "lost", "loss", "cwnd",
    ] {
        assert!(kinds.get(kind).is_some_and(|n| *n > 0), "{kind}: {kinds:?}");
    }
    let acked = events.iter().filter(|line| line["e"] == "received");
    let acked = acked.filter_map(|line| line["ack"].as_u64()).max();
    assert_eq!(acked, Some((500 << 10) + 1), "all of it, and the FIN");
}

#[test]
fn a_server_numbers_its_connections() {
    let file = Scratch::new("server.trace");
    let out = printed(&strata(&[
        "tcpserver",
        "--cc",
        "bbr",
        "--trace",
        file.path(),
    ]));
    assert!(out.contains("1 connection"), "{out}");
    let lines = lines(file.path());
    assert_eq!(lines[0]["congestion"], "bbr");
    assert_eq!(lines[1]["state"], "ESTABLISHED");
    assert!(lines[1..lines.len() - 1].iter().all(|line| line["c"] == 1));
    assert!(
        lines
            .iter()
            .any(|line| line["e"] == "cwnd" && line["pacing"].as_u64() > Some(0))
    );
}

#[test]
fn a_full_disk_is_told_and_the_transfer_goes_on() {
    let output = strata(&["tcpclient", "--size", "1M", "--trace", "/dev/full"]);
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("verified"), "{out}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(
        errors.contains("/dev/full") && errors.contains("not whole"),
        "{errors}"
    );
}

#[test]
fn a_file_that_cannot_be_made() {
    let output = strata(&["tcpclient", "--size", "1", "--trace", "/nowhere/at/all"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("/nowhere/at/all: No such file"), "{errors}");
}
