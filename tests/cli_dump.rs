//! `strata dump`: against tcpdump on the same file, and on its own.
#![cfg(feature = "cli")]

mod cli_support;

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use cli_support::*;
use pcap_file::DataLink;

/// What tcpdump prints of a file; `None`, with the reason printed, where there is no tcpdump.
fn tcpdump(args: &[&str]) -> Option<String> {
    match Command::new("tcpdump").args(args).env("TZ", "UTC").output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "tcpdump {args:?}: {errors}");
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Err(e) => {
            println!("skipped: tcpdump does not run here ({e})");
            None
        }
    }
}

/// Takes away where we differ from tcpdump on purpose.
fn normalised(line: &str) -> String {
    // tcpdump 4.99 reads the unit of a user timeout from the wrong end (RFC 5482 §3).
    if let Some((front, back)) = line.split_once("uto 0x8005 ") {
        let back = back.trim_start_matches(|c: char| c.is_ascii_digit());
        return format!("{front}uto 0x8005{back}");
    }
    // It prints a length below zero where a TCP header is longer than its packet.
    let line = line.replace("tcp 4294967256 [bad hdr", "tcp 0 [bad hdr");
    // Under -v it has the length of ICMPv6 in the middle, or not at all.
    if let Some((front, back)) = line.split_once("sum ok] ICMP6, ") {
        let name: Vec<&str> = back.split(", ").take(1).collect();
        return format!("{front}{}", name.join(""));
    }
    // Of options cut short it prints the name, or half of the value.
    if let (Some((front, _)), true) = (line.split_once("options ["), line.contains("[|tcp]")) {
        return front.to_string();
    }
    // Before a tag that was cut short it stops in the middle of the link header.
    if let Some((front, _)) = line.split_once("[|vlan]") {
        let addresses: Vec<&str> = front.split(", ").take(1).collect();
        return format!("{} [|vlan]", addresses.join("").trim_end());
    }
    line
}

/// Compares all lines, and says which differ.
fn compare(style: &str, file: &str) {
    let Some(theirs) = tcpdump(&[style, "-r", file]) else {
        return;
    };
    let ours = printed(&strata(&["dump", style, "-r", file]));
    let mut differing = String::new();
    let (mut left, mut right) = (theirs.lines(), ours.lines());
    loop {
        match (left.next(), right.next()) {
            (None, None) => break,
            (theirs, ours) if theirs.map(normalised) == ours.map(normalised) => {}
            (theirs, ours) => {
                differing.push_str(&format!("tcpdump {theirs:?}\nstrata  {ours:?}\n"))
            }
        }
    }
    assert!(differing.is_empty(), "with {style}:\n{differing}");
    assert!(
        ours.lines().count() >= 100,
        "only {} lines",
        ours.lines().count()
    );
}

#[test]
fn agrees_with_tcpdump_line_by_line() {
    let file = Scratch::new("mixed.pcapng");
    write(&file.0, DataLink::ETHERNET, &mixed::frames());
    for style in [
        "-n", "-ne", "-nv", "-nvv", "-nvve", "-nS", "-nq", "-nqe", "-nxx", "-nXX", "-nt", "-ntt",
        "-nttt", "-ntttt", "-nttttt",
    ] {
        compare(style, file.path());
    }
}

#[test]
fn agrees_where_packets_were_cut_short() {
    for snap in [34, 54, 66, 90] {
        let file = Scratch::new(&format!("cut-{snap}.pcapng"));
        let cut = |frame: Vec<u8>| (frame.len(), frame[..frame.len().min(snap)].to_vec());
        let frames: Vec<_> = mixed::frames().into_iter().map(cut).collect();
        write_cut(&file.0, DataLink::ETHERNET, &frames);
        compare("-n", file.path());
    }
}

#[test]
fn agrees_without_link_headers() {
    let file = Scratch::new("ip.pcapng");
    let frames = mixed::frames().into_iter();
    let packets: Vec<_> = frames
        .filter(|f| f.len() > 34 && (f[12..14] == [8, 0] || f[12..14] == [0x86, 0xdd]))
        .map(|f| f[14..].to_vec())
        .collect();
    write(&file.0, DataLink::RAW, &packets);
    compare("-nv", file.path());
}

#[test]
fn reads_classic_files_and_writes_what_tcpdump_reads() {
    let (ng, classic, again) = (
        Scratch::new("a.pcapng"),
        Scratch::new("b.pcap"),
        Scratch::new("c.pcapng"),
    );
    write(&ng.0, DataLink::ETHERNET, &mixed::frames());
    let expected = printed(&strata(&["dump", "-n", "-r", ng.path()]));
    printed(&strata(&["dump", "-r", ng.path(), "-w", again.path()]));
    assert_eq!(
        printed(&strata(&["dump", "-n", "-r", again.path()])),
        expected
    );
    if tcpdump(&["-r", again.path(), "-w", classic.path()]).is_some() {
        assert_eq!(
            printed(&strata(&["dump", "-n", "-r", classic.path()])),
            expected
        );
    }
}

#[test]
fn filters_choose_what_tcpdump_chooses() {
    let file = Scratch::new("filtered.pcapng");
    // Tags are looked through here and not there; a packet cut short is "no" here to every
    // question, and there to the whole filter; extension headers of IPv6 are only walked here.
    let whole = |frame: &Vec<u8>| {
        if frame.len() < 54 {
            return false;
        }
        let fragment6 = frame[12..14] == [0x86, 0xdd] && frame[20] == 44;
        frame[12..14] != [0x81, 0x00] && !fragment6
    };
    let frames: Vec<_> = mixed::frames().into_iter().filter(whole).collect();
    write(&file.0, DataLink::ETHERNET, &frames);
    let mut chosen = 0;
    for filter in [
        "ip",
        "ip6",
        "arp",
        "icmp",
        "tcp",
        "udp",
        "igmp",
        "icmp6",
        "vlan",
        "host 10.0.0.1",
        "src host 10.0.0.2",
        "dst 10.0.0.1",
        "src and dst host 10.0.0.1",
        "host fe80::1",
        "ip6 host fe80::2",
        "arp host 10.0.0.2",
        "ip host 10.0.0.2",
        "net 10.0.0.0/24",
        "src net 224.0.0.0/4",
        "dst net 224",
        "net 10.0.0.0 mask 255.255.255.254",
        "net fe80::/16",
        "port 9999",
        "src port 40000",
        "dst port 40000",
        "tcp port 8888",
        "udp port 8888",
        "portrange 1-2",
        "tcp src portrange 50000-50001",
        "port discard",
        "ip proto 253",
        "ip proto \\udp",
        "ip6 proto 17",
        "proto 6",
        "ether proto 0x88b5",
        "ether proto \\arp",
        "ether host 02:00:00:00:00:02",
        "ether src 02:00:00:00:00:02",
        "ether dst 02:00:00:00:00:01",
        "broadcast",
        "multicast",
        "ether broadcast",
        "ip multicast",
        "less 60",
        "greater 1000",
        "not tcp",
        "!udp && !tcp",
        "tcp or udp and src host 10.0.0.2",
        "tcp or (udp and src host 10.0.0.2)",
        "not (icmp or arp)",
        "port 9999 or 8888",
        "host 10.0.0.9 or 10.0.0.2 and not tcp",
        "src or dst port 9999",
        "udp and port 9999 and greater 100",
        "not host 10.0.0.1 and ip",
    ] {
        let Some(theirs) = tcpdump(&["-ntt", "-r", file.path(), filter]) else {
            return;
        };
        let ours = printed(&strata(&["dump", "-ntt", "-r", file.path(), filter]));
        let times = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| line.starts_with("17"));
            lines
                .map(|line| line.split(' ').next().unwrap_or("").to_string())
                .collect()
        };
        assert_eq!(times(&ours), times(&theirs), "{filter}");
        chosen += times(&ours).len();
    }
    assert!(chosen > 500, "the filters chose {chosen} packets in all");
}

#[test]
fn ends_after_enough_and_filters_before_counting() {
    let file = Scratch::new("count.pcapng");
    write(&file.0, DataLink::ETHERNET, &mixed::frames());
    let out = printed(&strata(&[
        "dump",
        "-nt",
        "-c",
        "2",
        "-r",
        file.path(),
        "tcp",
        "port",
        "8888",
        "and",
        "greater",
        "1000",
    ]));
    insta::assert_snapshot!(out, @r"
    IP 10.0.0.1.40000 > 10.0.0.2.8888: Flags [.], seq 4294967001:1153, ack 101, win 65535, options [nop,nop,TS val 3 ecr 1], length 1448
    IP 10.0.0.1.40000 > 10.0.0.2.8888: Flags [.], seq 0:1448, ack 1, win 65535, options [nop,nop,TS val 3 ecr 1], length 1448
    ");
}

#[test]
fn a_demonstration_runs_where_there_is_nothing_to_watch() {
    let out = printed(&strata(&["dump", "-nt"]));
    // Ports, numbers and clocks are drawn by lot; who says what to whom is not.
    for said in [
        "ARP, Reply 192.168.69.2 is-at 02:00:00:00:00:02, length 28",
        "IP 192.168.69.1 > 192.168.69.2: ICMP echo request, ",
        "IP 192.168.69.2 > 192.168.69.1: ICMP echo reply, ",
        "IP 192.168.69.2 > 192.168.69.1: ICMP 192.168.69.2 udp port 9999 unreachable, length 48",
        "192.168.69.2.80: Flags [S], seq ",
        "192.168.69.2.80: Flags [P.], seq 1:19, ack 1, ",
        "Flags [R.], seq 0, ",
    ] {
        assert!(out.contains(said), "{said} is not in:\n{out}");
    }
    let out = printed(&strata(&["ids", "--json"]));
    assert!(
        out.lines().count() >= 5 && !out.contains("\"alert\""),
        "{out}"
    );
}

#[test]
fn one_json_object_a_line() {
    let file = Scratch::new("json.pcapng");
    write(&file.0, DataLink::ETHERNET, &mixed::frames());
    let out = printed(&strata(&["dump", "--json", "-n", "-r", file.path()]));
    for line in out.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(
            object["timestamp"].is_string() && object["length"].is_u64(),
            "{line}"
        );
    }
    let tagged = out
        .lines()
        .find(|line| line.contains("\"vlan\""))
        .expect("a tagged frame");
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cli__dump_json", tagged);
    });
}

#[test]
fn bad_files_and_arguments_are_one_line_and_code_two() {
    let junk = Scratch::new("junk.pcapng");
    fs::write(&junk.0, [0x0a, 0x0d, 0x0d, 0x0a, 1, 2, 3]).unwrap();
    let cases: [&[&str]; 5] = [
        &["dump", "-r", "/nonexistent/file"],
        &["dump", "-r", junk.path()],
        &["dump", "-r", "/dev/null"],
        &["dump", "-i", "no-such-iface"],
        &["dump", "-r", junk.path(), "port", "and"],
    ];
    for args in cases {
        let output = strata(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(
            errors.starts_with("strata dump: ") && errors.lines().count() == 1,
            "{errors}"
        );
    }
}

#[test]
fn ends_quietly_when_nobody_reads_on() {
    let file = Scratch::new("closed.pcapng");
    let frames = vec![mixed::frames(); 10].concat();
    write(&file.0, DataLink::ETHERNET, &frames);
    let mut child = Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["dump", "-nXX", "-r", file.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One octet of a few hundred thousand, and the pipe is closed.
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.contains("panic"),
        "{errors}"
    );
}

#[test]
fn a_damaged_file_is_shown_as_far_as_it_goes() {
    let file = Scratch::new("damaged.pcapng");
    write(&file.0, DataLink::ETHERNET, &mixed::frames());
    let whole = fs::read(&file.0).unwrap();
    fs::write(&file.0, &whole[..whole.len() / 2]).unwrap();
    let output = strata(&["dump", "-n", "-r", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.len() > 1000);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("ends in the middle of a packet"),
        "{errors}"
    );
    // Any octet changed anywhere: an error or other packets, never a panic.
    for at in (0..whole.len().min(2000)).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        fs::write(&file.0, &changed).unwrap();
        let output = strata(&["dump", "-nvvXX", "-c", "30", "-r", file.path()]);
        assert!(
            matches!(output.status.code(), Some(0..=2)),
            "octet {at}: {output:?}"
        );
    }
}
