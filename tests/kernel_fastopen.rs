//! TCP Fast Open between us and Linux, in both roles (RFC 7413). The kernel's counters tell
//! that text went with the SYN.
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

use lab::{KERNEL, Kind, Lab, OURS, PORT};

/// Connects twice and says each time what comes back.
const CLIENT: &str = "
import signal, socket, sys
signal.alarm(30)
for n in range(2):
    s = socket.socket()
    s.sendto(b'hello' * 20, socket.MSG_FASTOPEN, (sys.argv[1], int(sys.argv[2])))
    s.shutdown(socket.SHUT_WR)
    got = b''
    while piece := s.recv(1000):
        got += piece
    print('got', len(got), got == b'hello' * 20, flush=True)
    s.close()
";

/// Echoes connections one after the other.
const SERVER: &str = "
import socket, sys
l = socket.socket()
l.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
l.bind((sys.argv[1], int(sys.argv[2])))
l.listen(16)
print('Listening', flush=True)
while True:
    s, _ = l.accept()
    while piece := s.recv(65536):
        s.sendall(piece)
    s.close()
";

/// A counter of the kernel's, in its namespace.
fn counter(lab: &Lab, name: &str) -> u64 {
    let text = lab
        .kernel
        .run(|| std::fs::read_to_string("/proc/thread-self/net/netstat").expect("procfs"));
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("TcpExt:")).collect();
    let [names, values] = lines[..] else {
        panic!("{text}")
    };
    let mut pairs = names.split(' ').zip(values.split(' '));
    let (_, value) = pairs.find(|(n, _)| *n == name).expect("a counter");
    value.parse().expect("a number")
}

/// Two hosts, the kernel's with Fast Open in both roles; `None` if it has none.
fn lab() -> Option<Lab> {
    let lab = Lab::new(Kind::Tap);
    let set = lab
        .kernel
        .run(|| std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3"));
    set.ok().map(|()| lab)
}

#[test]
fn the_kernel_is_our_client() {
    need!("python3");
    let Some(lab) = lab() else {
        skip!("no Fast Open in this kernel");
    };
    let mut server = lab.server("--fastopen --stats --count 2");
    let port = PORT.to_string();
    let args = ["-c", CLIENT, OURS, &port];
    let (status, said) = lab.kernel.output("python3", args);
    assert!(status.success(), "{said}");
    assert_eq!(said.matches("got 100 True").count(), 2, "{said}");
    assert_eq!(
        counter(&lab, "TCPFastOpenActive"),
        1,
        "text went with one SYN"
    );
    server.close_stdin();
    let (status, said) = server.finish();
    assert!(status.success(), "{said}");
    assert_eq!(said.matches(" fastopen ").count(), 1, "{said}");
}

#[test]
fn the_kernel_is_our_server() {
    need!("python3");
    let Some(lab) = lab() else {
        skip!("no Fast Open in this kernel");
    };
    let port = PORT.to_string();
    let mut server = lab.kernel.spawn("python3", ["-c", SERVER, KERNEL, &port]);
    server.wait_for("Listening");
    let args = format!("tcpclient {KERNEL} --port {PORT} --size 100k --fastopen --stats");
    let (status, said) = lab.strata(&args).finish();
    assert!(status.success(), "{said}");
    assert!(said.contains(" fastopen "), "{said}");
    assert_eq!(counter(&lab, "TCPFastOpenCookieReqd"), 1);
    assert_eq!(
        counter(&lab, "TCPFastOpenPassive"),
        1,
        "text came with one SYN"
    );
}

/// A server without it: everything as ever, but the text waits for the handshake.
#[test]
fn a_server_without_it_is_talked_to_all_the_same() {
    need!("python3");
    let lab = Lab::new(Kind::Tap);
    let server = lab.server("--stats");
    let port = PORT.to_string();
    lab.kernel
        .run(|| std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3"))
        .expect("procfs");
    let (status, said) = lab.kernel.output("python3", ["-c", CLIENT, OURS, &port]);
    assert!(status.success(), "{said}");
    assert_eq!(said.matches("got 100 True").count(), 2, "{said}");
    assert_eq!(counter(&lab, "TCPFastOpenActive"), 0);
    server.interrupt();
    let (_, said) = server.finish();
    assert!(!said.contains(" fastopen "), "{said}");
}
