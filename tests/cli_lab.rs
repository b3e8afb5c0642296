//! `strata lab`: made, found, used and removed, whatever was there before.
#![cfg(feature = "cli")]

mod cli_support;

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use cli_support::*;

fn ip(args: &[&str]) -> bool {
    let status = Command::new("ip").args(args).output();
    status.is_ok_and(|output| output.status.success())
}

/// Whether namespaces can be made here; says why not.
fn allowed(name: &str) -> bool {
    let probe = format!("{name}-probe");
    if !ip(&["netns", "add", &probe]) {
        println!("skipped: `ip netns add` does not work here (root and iproute2 needed)");
        return false;
    }
    assert!(ip(&["netns", "delete", &probe]));
    true
}

/// A lab that goes with the test.
struct Lab(String);

impl Lab {
    fn new(test: &str) -> Self {
        Self(format!("t{}{test}", std::process::id()))
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        strata(&[&["lab", "--name", &self.0], args].concat())
    }

    fn exists(&self, host: &str) -> bool {
        Path::new("/run/netns")
            .join(format!("{}-{host}", self.0))
            .exists()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

#[test]
fn up_is_repeatable_and_down_takes_all_of_it() {
    let lab = Lab::new("a");
    if !allowed(&lab.0) {
        return;
    }
    assert_eq!(lab.run(&["status"]).status.code(), Some(1));
    let first = printed(&lab.run(&["up"]));
    assert_eq!(printed(&lab.run(&["up"])), first);
    assert_eq!(printed(&lab.run(&["status"])), first);
    // Columns are as wide as the name.
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let table: Vec<String> = first.replace(&lab.0, "NAME").lines().map(words).collect();
    insta::with_settings!({ prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cli__lab_up", table.join("\n"));
    });
    assert!(lab.exists("host1") && lab.exists("host2"));
    printed(&lab.run(&["down"]));
    assert!(!lab.exists("host1") && !lab.exists("host2"));
    let again = lab.run(&["down"]);
    assert!(again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("no lab"));
}

#[test]
fn down_ends_what_runs_in_it() {
    let lab = Lab::new("f");
    if !allowed(&lab.0) {
        return;
    }
    printed(&lab.run(&["up"]));
    let mut child = Command::new(env!("CARGO_BIN_EXE_strata"))
        .args(["lab", "--name", &lab.0, "exec", "host2"])
        .args(["sh", "-c", "echo there; exec sleep 600"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut there = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut there).unwrap();
    assert_eq!(there, "there\n");
    let down = lab.run(&["down"]);
    let said = String::from_utf8_lossy(&down.stderr);
    assert!(said.contains("ended the process that ran there"), "{said}");
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

#[test]
fn the_hosts_reach_each_other_and_exit_codes_pass() {
    let lab = Lab::new("b");
    if !allowed(&lab.0) {
        return;
    }
    printed(&lab.run(&["up"]));
    let out = printed(&lab.run(&["exec", "host1", "ip", "-br", "-4", "address"]));
    assert!(
        out.contains("192.168.0.2/24") && out.contains("192.168.1.1/24"),
        "{out}"
    );
    let routed = printed(&lab.run(&["exec", "host2", "ip", "route", "get", "192.168.0.2"]));
    assert!(routed.contains("dev host2-veth"), "{routed}");
    assert_eq!(
        lab.run(&["exec", "host2", "sh", "-c", "exit 7"])
            .status
            .code(),
        Some(7)
    );
    // `strata` inside is this program.
    let version = printed(&lab.run(&["exec", "host1", "strata", "--version"]));
    assert_eq!(version, printed(&strata(&["--version"])));
    if let Ok(ping) = Command::new("ping").arg("-V").output()
        && ping.status.success()
    {
        let out = lab.run(&["exec", "host1", "ping", "-c", "1", "-W", "2", "192.168.0.3"]);
        assert!(out.status.success(), "{out:?}");
    } else {
        println!("skipped: the ping between the hosts, for there is no ping here");
    }
}

#[test]
fn what_is_not_ours_stays() {
    let lab = Lab::new("c");
    if !allowed(&lab.0) {
        return;
    }
    let taken = format!("{}-host2", lab.0);
    assert!(ip(&["netns", "add", &taken]));
    let output = lab.run(&["up"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors.contains("exists, and is not ours") && errors.lines().count() == 1,
        "{errors}"
    );
    assert!(!lab.exists("host1"));
    printed(&lab.run(&["down"]));
    assert!(lab.exists("host2"));
    // Ours, removed by hand and made again by somebody else, is not ours any more.
    assert!(ip(&["netns", "delete", &taken]));
    printed(&lab.run(&["up"]));
    assert!(ip(&["netns", "delete", &taken]) && ip(&["netns", "add", &taken]));
    assert_eq!(lab.run(&["status"]).status.code(), Some(1));
    printed(&lab.run(&["down"]));
    assert!(lab.exists("host2") && !lab.exists("host1"));
    assert!(ip(&["netns", "delete", &taken]));
}

/// One datagram to host1, from a thread inside the namespace.
fn send_from(namespace: &str) {
    let file = std::fs::File::open(Path::new("/run/netns").join(namespace)).unwrap();
    let inside = std::thread::spawn(move || {
        nix::sched::setns(&file, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        // Refused, unresolved: whatever comes of it, it has asked who that is.
        let _ = socket.send_to(b"x", "192.168.0.2:9");
    });
    inside.join().unwrap();
}

#[test]
fn live_packets_are_shown_in_both_directions() {
    let lab = Lab::new("d");
    if !allowed(&lab.0) {
        return;
    }
    printed(&lab.run(&["up"]));
    // Ends by itself: after requests that host2 sends and replies that host1 sends; now and then
    // a request is repeated before it is answered.
    let exe = env!("CARGO_BIN_EXE_strata");
    let mut dump = Command::new(exe)
        .args(["lab", "--name", &lab.0, "exec", "host1", "strata", "dump"])
        .args(["-nt", "-c", "8", "-i", "host1-veth", "arp"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // No clock to go by: ask until the dump has seen it and ended.
    let asking = format!("{}-host2", lab.0);
    for _ in 0..200 {
        assert!(ip(&[
            "-n",
            &asking,
            "neighbour",
            "flush",
            "dev",
            "host2-veth"
        ]));
        send_from(&asking);
        if dump.try_wait().unwrap().is_some() {
            break;
        }
    }
    let _ = dump.kill();
    let out = dump.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&out.stdout);
    assert!(
        out.contains("Request who-has 192.168.0.2 tell 192.168.0.3"),
        "{out}"
    );
    assert!(out.contains("Reply 192.168.0.2 is-at"), "{out}");
}

#[test]
fn without_root_one_line_says_so() {
    // Root may become nobody; others are nobody already.
    let exe = env!("CARGO_BIN_EXE_strata");
    let script = format!(
        "cp {exe} /tmp/strata-$$ && chmod 755 /tmp/strata-$$ && setpriv --reuid 65534 --clear-groups /tmp/strata-$$ lab up; code=$?; rm -f /tmp/strata-$$; exit $code"
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !errors.contains("strata lab") {
        println!("skipped: cannot become nobody here: {errors}");
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.starts_with("strata lab: up: network namespaces need root; try "),
        "{errors}"
    );
}
