//! Arguments that are none, and numbers now and then: what people type at `strata`.
#![cfg(feature = "cli")]

mod cli_support;

use cli_support::{printed, strata};
use serde_json::Value;

/// One line, exit code 2, and a way out.
#[test]
fn usage_errors_are_one_line() {
    let mut said = String::new();
    for words in [
        "frob",
        "tcpserve",
        "plot",
        "tcpclient --siez 5",
        "tcpclient --size",
        "tcpclient --size 5q",
        "tcpclient --size 5 --file x",
        "tcpclient --interval 1s",
        "tcpclient --stats --interval 1ms",
        "tcpserver --sink --source",
        "tcpserver --phy loopback --queues 2",
        "tcpserver --sink --file - --queues 2",
        "--mtu 5 ping",
        "ping 1 2 3",
        "--addr here ping",
    ] {
        let args: Vec<&str> = words.split(' ').collect();
        let output = strata(&args);
        assert_eq!(output.status.code(), Some(2), "{words}");
        assert!(output.stdout.is_empty(), "{words}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(errors.lines().count(), 1, "{words}: {errors}");
        said.push_str(&errors);
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("cli__usage_errors", said);
    });
}

/// On cables there is a guest for each stack, and what they did is added up.
#[test]
fn stacks_on_several_queues_are_one_server() {
    let output = strata(&["tcpserver", "--queues", "3", "--json"]);
    let printed = printed(&output);
    let last = printed.lines().last().unwrap_or_default();
    let last: Value = serde_json::from_str(last).expect("a summary");
    assert_eq!(last["connections"], 3);
    assert_eq!(last["received"], 3 << 20);
    assert_eq!(last["sent"], 3 << 20);
    assert_eq!(last["queues"], serde_json::json!([1, 1, 1]));
}

/// Help is no error; without a word there is help, and a failure.
#[test]
fn help_is_whole() {
    for (args, code) in [
        (&["help", "plot"][..], 0),
        (&["--help"], 0),
        (&["-V"], 0),
        (&[], 2),
    ] {
        let output = strata(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        let all = [output.stdout, output.stderr].concat();
        assert!(
            String::from_utf8(all).unwrap().contains("strata"),
            "{args:?}"
        );
    }
}

/// Fields of Linux's `struct tcp_info`, without their prefix `tcpi_`.
const TCP_INFO: &str = "state ca_state retransmits probes backoff options snd_wscale rcv_wscale
    delivery_rate_app_limited fastopen_client_fail rto ato snd_mss rcv_mss unacked sacked lost
    retrans fackets last_data_sent last_ack_sent last_data_recv last_ack_recv pmtu rcv_ssthresh
    rtt rttvar snd_ssthresh snd_cwnd advmss reordering rcv_rtt rcv_space total_retrans
    pacing_rate max_pacing_rate bytes_acked bytes_received segs_out segs_in notsent_bytes min_rtt
    data_segs_in data_segs_out delivery_rate busy_time rwnd_limited sndbuf_limited delivered
    delivered_ce bytes_sent bytes_retrans dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd
    rehash total_rto total_rto_recoveries total_rto_time received_ce delivered_e1_bytes
    delivered_e0_bytes delivered_ce_bytes received_e1_bytes received_e0_bytes received_ce_bytes";

#[test]
fn numbers_now_and_then_and_at_the_end() {
    let words = "tcpclient --size 100k --delay 30ms --stats --interval 10ms --json";
    let args: Vec<&str> = words.split(' ').collect();
    let out = printed(&strata(&args));
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, numbers) = lines.split_last().unwrap();
    assert_eq!(last["event"], "summary");
    assert!(numbers.len() > 2, "{out}");
    assert!(
        numbers
            .iter()
            .all(|line| line["event"] == "stats" && line["congestion"] == "cubic")
    );
    let mut acked = numbers
        .iter()
        .map(|line| line["bytes_acked"].as_u64().unwrap());
    assert!(acked.clone().is_sorted());
    assert_eq!(acked.next_back(), Some(100 << 10));

    // All of `struct tcp_info` by its names, in the order of <linux/tcp.h>.
    let all = numbers.last().unwrap()["tcp_info"].as_object().unwrap();
    for name in TCP_INFO.split_whitespace() {
        assert!(all.contains_key(name), "{name}: {out}");
    }
    assert_eq!(all["bytes_acked"].as_u64(), Some(100 << 10));
    assert!(all["min_rtt"].as_u64() >= Some(60_000), "{out}");

    // As `ss -ti` has it.
    let out = printed(&strata(&[
        "tcpclient",
        "--size",
        "1k",
        "--stats",
        "--cc",
        "bbr",
    ]));
    let line = out.lines().next().unwrap();
    for word in [
        " -> 192.168.69.2:8888: ",
        " bbr ",
        " rto:",
        " rtt:",
        " mss:1448 ",
        " cwnd:",
        " bytes_acked:1024 ",
        " bbr:(bw:",
        ",pacing_gain:2.77,cwnd_gain:2) send ",
    ] {
        assert!(line.contains(word), "{word}: {line}");
    }
}

#[test]
fn shells_and_man_are_told() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = printed(&strata(&["completions", shell]));
        assert!(
            text.contains("tcpclient") && text.contains("trace"),
            "{shell}"
        );
    }
    let page = printed(&strata(&["man", "plot"]));
    assert!(page.contains(".TH strata-plot 1") && page.contains("strata\\-plot \\- Draws"));
    assert!(
        page.contains("\\-\\-loss"),
        "options that all commands have"
    );
    assert!(printed(&strata(&["man"])).contains(".TH strata 1"));
    let unknown = strata(&["man", "frob"]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(
        (unknown.status.code(), said.lines().count()),
        (Some(2), 1),
        "{said}"
    );
}

/// Whoever read standard error has gone: that is no reason to fail.
#[test]
fn nobody_reads_the_errors() {
    use std::process::{Command, Stdio};
    for words in [
        "tcpclient -v --size 1K",
        "tcpclient --source --size 1K --output -",
        "ping -c 1 10.9.9.9",
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(words.split(' '))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stderr.take());
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0..=2)), "{words}: {code:?}");
    }
}

/// Nobody sends by himself at the other end of a cable: nobody is to wait for that.
#[test]
fn a_cable_has_no_source() {
    let output = strata(&["tcpclient", "--sink", "--size", "1K"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("only sends back what it gets"), "{errors}");
}
