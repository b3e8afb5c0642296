//! `strata plot`: pictures from traces and captures, and what it says of files that are neither.
#![cfg(feature = "cli")]

mod cli_support;

use std::fmt::Write as _;
use std::fs;
use std::process::Output;

use cli_support::*;
use netstrata::wire::{Arp, TcpFlags};
use pcap_file::DataLink;
use serde_json::Value;

/// Checks that tags are closed in the order they were opened, and gives the texts.
fn texts(svg: &str) -> Vec<String> {
    assert!(svg.starts_with("<svg "), "{}", svg.get(..60).unwrap_or(svg));
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    let mut rest = svg;
    while let Some((text, after)) = rest.split_once('<') {
        if open.last() == Some(&"text") && !text.trim().is_empty() {
            texts.push(text.trim().to_string());
        }
        let (tag, after) = after.split_once('>').expect("a tag that ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) => assert_eq!(open.pop(), Some(name.trim())),
            (None, true) => {}
            (None, false) => open.push(tag.split_whitespace().next().expect("a name")),
        }
        rest = after;
    }
    assert!(
        open.is_empty() && rest.trim().is_empty(),
        "{open:?} {rest:?}"
    );
    texts
}

/// The picture that `strata plot ARGS --out -` prints.
fn picture(args: &[&str]) -> String {
    let args = [&["plot"], args, &["--out", "-"]].concat();
    printed(&strata(&args))
}

/// It failed, with this code and one line, which is given.
fn refused(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.starts_with("strata plot: "), "{errors}");
    errors
}

const HEAD: &str =
    r#"{"trace":"strata","version":1,"command":"tcpclient","congestion":"reno","epoch":0.0}"#;

/// A trace of three connections: 10 segments of which one was sent again, with every kind of
/// event; 2 segments the other way; nothing.
fn trace() -> String {
    let mut text = format!("{HEAD}\n");
    for n in 1..4 {
        let _ = writeln!(
            text,
            r#"{{"t":{n}.0,"c":{n},"e":"opened","local":"10.0.0.1:{n}","peer":"10.0.0.2:80","state":"SYN-SENT"}}"#
        );
    }
    let mut event = |t: u32, c: u32, rest: &str| {
        let _ = writeln!(text, r#"{{"t":5.{t:03},"c":{c},"e":{rest}}}"#);
    };
    for n in 0..10 {
        let rest = format!(
            r#""sent","seq":{},"len":1000,"n":1,"flags":".","ack":0,"wnd":65535"#,
            n * 1000
        );
        event(10 * n, 1, &rest);
    }
    event(
        100,
        1,
        r#""received","seq":0,"len":0,"flags":".","ack":1000,"wnd":60000"#,
    );
    event(100, 1, r#""sack","from":2000,"to":10000"#);
    event(100, 1, r#""rtt","rtt":0.100"#);
    event(100, 1, r#""lost","octets":1000"#);
    event(100, 1, r#""loss","kind":"ecn","flight":1000"#);
    event(100, 1, r#""ca_state","from":"open","to":"recovery""#);
    event(
        100,
        1,
        r#""cwnd","cwnd":5000,"ssthresh":5000,"flight":0,"srtt":0.100,"rto":0.300,"pacing":null"#,
    );
    event(
        101,
        1,
        r#""sent","seq":1000,"len":1000,"n":1,"again":true,"flags":".","ack":0,"wnd":65535"#,
    );
    event(102, 1, r#""some_day","what":[1,2]"#);
    event(150, 1, r#""tlp""#);
    event(151, 1, r#""undo""#);
    event(160, 1, r#""rto","backoff":1"#);
    event(
        200,
        1,
        r#""received","seq":0,"len":0,"flags":".","ack":10000,"wnd":60000"#,
    );
    event(200, 1, r#""ca_state","from":"recovery","to":"open""#);
    event(
        300,
        2,
        r#""received","seq":1000,"len":1000,"flags":".","ack":0,"wnd":60000"#,
    );
    event(
        300,
        2,
        r#""received","seq":0,"len":1000,"flags":".","ack":0,"wnd":60000"#,
    );
    text.push_str("{\"t\":6.0,\"e\":\"end\"}\n");
    text
}

fn written(name: &str, octets: impl AsRef<[u8]>) -> Scratch {
    let file = Scratch::new(name);
    fs::write(&file.0, octets).unwrap();
    file
}

#[test]
fn a_trace() {
    let file = written("plain.trace", trace());
    let svg = picture(&[file.path()]);
    let texts = texts(&svg);
    for text in [
        "10.0.0.1:1 → 10.0.0.2:80 (reno)",
        "sent: 10",
        "sent again: 1",
        "SACK: 1",
        "acknowledged",
        "window edge",
        "congestion window",
        "slow start threshold",
        "in flight",
        "recovery: 1",
        "timeout: 1",
        "probe: 1",
        "undo: 1",
        "ECN: 1",
        "round trip: 1",
        "smoothed",
        "retransmission timeout",
        "stream (kB)",
        "octets (kB)",
        "time (ms)",
        "time (s)",
    ] {
        assert!(
            texts.iter().any(|t| t.starts_with(text)),
            "{text}: {texts:?}"
        );
    }
    let totals = texts.iter().find(|t| t.contains("11 segments")).unwrap();
    assert!(totals.starts_with("9.7 KiB in 4.20 s"), "{totals}");
    assert!(
        totals.contains("1 sent again (9.09 %); least round trip 100.0 ms"),
        "{totals}"
    );
    // In the panel and in the line of keys: three bars there.
    let bars = |color: &str| {
        svg.matches(&format!("<polyline fill=\"none\" stroke=\"{color}\""))
            .count()
    };
    assert_eq!(bars("#0072B2"), 10 + 3);
    assert_eq!(bars("#CC79A7"), 1 + 3);
    // Sent again; the timeout and its key.
    assert_eq!(bars("#D55E00"), 1 + 3 + 2);
}

#[test]
fn other_connections_and_directions() {
    let file = written("several.trace", trace());
    let list = printed(&strata(&["plot", "--list", file.path()]));
    insta::assert_snapshot!(list, @r"
    FLOW  FROM                   TO                          OCTETS        BACK  PACKETS  SECONDS
       1  10.0.0.1:1             10.0.0.2:80                  10000           0       13    4.200
       2  10.0.0.1:2             10.0.0.2:80                      0        2000        2    3.300
       3  10.0.0.1:3             10.0.0.2:80                      0           0        0    0.000
    ");
    let json = printed(&strata(&["plot", "--list", "--json", file.path()]));
    let flows: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((flows.len(), &flows[1]["back"]), (3, &2000.into()));

    // What came is drawn where more came than went; the late one counts as sent again.
    let texts = texts(&picture(&[file.path(), "--flow", "2"]));
    for text in ["10.0.0.2:80 → 10.0.0.1:2", "sent: 1", "sent again: 1"] {
        assert!(texts.iter().any(|t| t == text), "{text}: {texts:?}");
    }
    let plot = |args: &[&str]| strata(&[&["plot", file.path()], args].concat());
    let said = refused(&plot(&["--flow", "4"]), 2);
    assert!(
        said.contains("there are 3 connections; try `strata plot --list"),
        "{said}"
    );
    let said = refused(&plot(&["--flow", "3"]), 1);
    assert!(said.contains("no octet went through"), "{said}");
    let said = refused(&plot(&["--reverse"]), 1);
    assert!(said.contains("no octet went that way"), "{said}");
    let said = refused(&plot(&["--from", "10s"]), 2);
    assert!(said.contains("lasted 4.20 s"), "{said}");
}

#[test]
fn a_part_of_it() {
    let file = written("part.trace", trace());
    let texts = texts(&picture(&[
        file.path(),
        "--from",
        "4.025s",
        "--to",
        "4.08s",
    ]));
    assert!(texts.iter().any(|t| t == "sent: 6"), "{texts:?}");
    assert!(
        !texts.iter().any(|t| t.starts_with("sent again")),
        "{texts:?}"
    );
}

#[test]
fn a_transfer_from_both_sides() {
    let (events, capture) = (Scratch::new("both.trace"), Scratch::new("both.pcapng"));
    let words = "tcpclient --port 9 --source --size 300k --loss 3% --delay 2ms --seed 5 --trace";
    let mut args: Vec<&str> = words.split(' ').collect();
    args.extend([events.path(), "--capture", capture.path()]);
    printed(&strata(&args));
    let mut counts = Vec::new();
    for file in [&events, &capture] {
        let dir = Scratch::new(if counts.is_empty() { "t" } else { "c" });
        fs::create_dir(&dir.0).unwrap();
        let out = printed(&strata(&[
            "plot",
            "--json",
            file.path(),
            "--out",
            dir.path(),
        ]));
        let plotted: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            (&plotted["octets"], &plotted["flows"]),
            (&(300 << 10).into(), &1.into())
        );
        for panel in ["sequence", "window", "rtt"] {
            texts(&fs::read_to_string(dir.0.join(format!("{panel}.svg"))).unwrap());
        }
        fs::remove_dir_all(&dir.0).unwrap();
        counts.push((plotted["segments"].clone(), plotted["repeated"].clone()));
    }
    // An onlooker sees what the sender knows, where he looks before anything is lost.
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0].1.as_u64() > Some(0));
}

#[test]
fn a_capture_by_hand() {
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let segment = |from_b, seq, ack, flags, options: &[u8], payload: &[u8]| {
        Segment {
            from_b,
            seq,
            ack,
            flags,
            options,
            payload,
        }
        .frame()
    };
    let text = [7; 1000];
    let scale = |shift| [1, 3, 3, shift];
    // Numbers wrap in the second segment, of two; the first is lost and sent again.
    let begin = u32::MAX - 1500;
    let second = begin + 1001;
    let end = second.wrapping_add(1000);
    let sack = [
        &[1, 1, 5, 10][..],
        &second.to_be_bytes(),
        &end.to_be_bytes(),
    ]
    .concat();
    let frames = [
        segment(false, begin, 0, syn, &scale(7), &[]),
        segment(true, 99, begin + 1, syn | ack, &scale(2), &[]),
        segment(false, begin + 1, 100, ack, &[], &text),
        segment(false, second, 100, ack, &[], &text),
        segment(true, 100, begin + 1, ack, &sack, &[]),
        segment(false, begin + 1, 100, ack, &[], &text),
        segment(true, 100, end, ack, &[], &[]),
        nobodys(),
    ];
    let file = Scratch::new("hand.pcapng");
    write(&file.0, DataLink::ETHERNET, &frames);
    let list = printed(&strata(&["plot", "--json", "--list", file.path()]));
    let flow: Value = serde_json::from_str(&list).unwrap();
    let counts = ["octets", "back", "packets"].map(|name| flow[name].as_u64().unwrap());
    assert_eq!(counts, [3000, 0, 7]);
    let texts = texts(&picture(&[file.path()]));
    for text in [
        "10.0.0.1:40000 → 10.0.0.2:8888",
        "1.9 KiB in",
        "sent: 2",
        "sent again: 1",
        "SACK: 1",
        "window edge (above)",
        "in flight",
        "round trip: 1",
    ] {
        assert!(
            texts.iter().any(|t| t.starts_with(text)),
            "{text}: {texts:?}"
        );
    }
}

/// A frame without TCP.
fn nobodys() -> Vec<u8> {
    arp(Arp::probe(A_MAC, A.into()))
}

#[test]
fn no_picture_outgrows_its_pixels() {
    let mut text = format!("{HEAD}\n");
    let open = r#"{"t":0,"c":1,"e":"opened","local":"a","peer":"b","state":"SYN-SENT"}"#;
    text.push_str(open);
    for n in 0..60_000_u64 {
        let t = n as f64 / 1000.0 + 0.5;
        let (seq, ack) = (n * 15_000, n.saturating_sub(n % 50) * 15_000);
        let _ = write!(
            text,
            "\n{{\"t\":{t},\"c\":1,\"e\":\"sent\",\"seq\":{seq},\"len\":15000,\"n\":10,\"flags\":\".\",\"ack\":0,\"wnd\":0}}\
             \n{{\"t\":{t},\"c\":1,\"e\":\"received\",\"seq\":0,\"len\":0,\"flags\":\".\",\"ack\":{ack},\"wnd\":99999}}\
             \n{{\"t\":{t},\"c\":1,\"e\":\"rtt\",\"rtt\":{}}}\
             \n{{\"t\":{t},\"c\":1,\"e\":\"cwnd\",\"cwnd\":{},\"ssthresh\":null,\"flight\":{},\"srtt\":0.02,\"rto\":0.2,\"pacing\":null}}",
            (n * 7919 % 1000) as f64 / 1000.0,
            n * 104_729 % 1_000_000,
            n * 1_299_709 % 1_000_000,
        );
    }
    text.push_str("\n{\"t\":61,\"e\":\"end\"}\n");
    let file = written("long.trace", text);
    let svg = picture(&[file.path()]);
    let texts = texts(&svg);
    assert!(texts.iter().any(|t| t == "sent: 60000"), "{texts:?}");
    assert!(svg.len() < 3 << 20, "{} octets", svg.len());
}

/// A clock that was set back: a picture as long as the longest time, not one drawn off the paper.
#[test]
fn times_that_go_back() {
    let event = |t: &str, seq: u32| {
        format!(
            r#"{{"t":{t},"c":1,"e":"sent","seq":{seq},"len":1000,"flags":".","ack":0,"wnd":9}}"#
        )
    };
    let opened = r#"{"t":0,"c":1,"e":"opened","local":"a","peer":"b","state":"SYN-SENT"}"#;
    let (late, early) = (event("1e7", 0), event("1", 1000));
    let lines = [HEAD, opened, &late, &early, r#"{"t":2,"e":"end"}"#];
    let trace = written("back.trace", lines.map(|line| format!("{line}\n")).concat());

    let payload = &[7; 1000];
    let segment = |seq| {
        Segment {
            seq,
            payload,
            ..Segment::default()
        }
        .frame()
    };
    let mut capture = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        capture.extend(word.to_le_bytes());
    }
    for (seconds, frame) in [
        (0, segment(0)),
        (10_000_000, segment(1000)),
        (1, segment(2000)),
    ] {
        let len = frame.len() as u32;
        for word in [seconds, 0, len, len] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(frame);
    }
    let capture = written("back.pcap", capture);
    for file in [&trace, &capture] {
        let texts = texts(&picture(&[file.path()]));
        let totals = texts.iter().find(|t| t.contains(" segments; "));
        assert!(
            totals.is_some_and(|t| t.contains(" in 10000000 s: ")),
            "{totals:?}"
        );
    }
}

#[test]
fn damaged_traces() {
    let whole = trace();
    let lines = whole.lines().count();
    let half = |text: &str| text[..text.len() / 2].to_string();
    for (name, text, code, why) in [
        ("empty", String::new(), 2, "neither pcapng nor pcap"),
        ("head", format!("{HEAD}\n"), 1, "line 2 is no event"),
        (
            "cut",
            half(&whole),
            1,
            "is no event: the trace is cut short or damaged",
        ),
        (
            "noend",
            whole.replace("{\"t\":6.0,\"e\":\"end\"}\n", ""),
            1,
            "cut short",
        ),
        ("word", whole.replace("\"tlp\"}", "\"tlp"), 1, "is no event"),
        (
            "stranger",
            whole.replace("\"c\":2", "\"c\":77"),
            1,
            "line 3 is no event",
        ),
        ("other", "{\"a\":1}\n".into(), 2, "no trace of strata"),
        ("brace", "{".into(), 2, "no trace of strata"),
        (
            "newer",
            whole.replace("\"version\":1", "\"version\":2"),
            2,
            "version 2",
        ),
    ] {
        let file = written(&format!("{name}.trace"), text);
        let out = Scratch::new(&format!("{name}.svg"));
        let said = refused(&strata(&["plot", file.path(), "--out", out.path()]), code);
        assert!(said.contains(why), "{name}: {said}");
        // What there was is drawn all the same.
        let drawn = matches!(name, "cut" | "noend" | "word");
        assert_eq!(out.0.exists(), drawn, "{name}");
    }
    assert!(lines > 20);
}

#[test]
fn damaged_captures() {
    let file = Scratch::new("whole.pcapng");
    write(&file.0, DataLink::ETHERNET, &mixed::frames());
    let octets = fs::read(&file.0).unwrap();
    let said = refused(&strata(&["plot", "/nowhere/x.pcap"]), 2);
    assert!(said.contains("/nowhere/x.pcap: No such file"), "{said}");
    let said = refused(&strata(&["plot", env!("CARGO_TARGET_TMPDIR")]), 2);
    assert!(said.contains("is a directory"), "{said}");
    let said = refused(&strata(&["plot", "/dev/null"]), 2);
    assert!(said.contains("no plain file"), "{said}");
    let noise = written("noise", [0x55; 999]);
    let said = refused(&strata(&["plot", noise.path()]), 2);
    assert!(said.contains("neither pcapng nor pcap"), "{said}");
    let nothing = Scratch::new("arp.pcapng");
    write(&nothing.0, DataLink::ETHERNET, &[nobodys()]);
    let said = refused(&strata(&["plot", nothing.path()]), 1);
    assert!(said.contains("no TCP connection is in it"), "{said}");
    // Wherever it is cut, there is one line at most, and no panic.
    for at in (30..octets.len()).step_by(97) {
        let cut = written("cut.pcapng", &octets[..at]);
        let output = strata(&["plot", cut.path(), "--list"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.lines().count() <= 1, "at {at}: {errors}");
        assert!(
            matches!(output.status.code(), Some(0..=2)),
            "at {at}: {errors}"
        );
    }
}
