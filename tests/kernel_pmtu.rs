//! Path MTU over a router of the kernel's: our host behind a tap, a server behind a link that
//! carries less, and a router between them that says so (RFC 1191), or one whose word is lost
//! (RFC 2923 §2.1), where probing must find the size that arrives (RFC 4821).
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

use std::net::{Shutdown, TcpListener};
use std::thread::{JoinHandle, spawn};

use lab::{KERNEL, Kind, Lab};
use netns::Namespace;

/// The server, and the router before it.
const SERVER: &str = "10.79.0.2";
const LAST: &str = "10.79.0.1";
/// The two ends of the narrow link.
const NEAR: &str = "10.78.0.1";
const FAR: &str = "10.78.0.2";
/// Octets each way.
const SIZE: usize = 1 << 20;
/// Octets of a packet that the link between the routers carries.
const NARROW: u32 = 1000;

/// Our host, two routers, and a server; what is not looked at lives as long as the path.
struct Path {
    /// Our host and the first router.
    lab: Lab,
    /// The other router and the server.
    _behind: [Namespace; 2],
    port: u16,
    echo: JoinHandle<()>,
}

/// A path whose second link of three is narrow, with an echo server at its end. Neither end can
/// know that from its own link.
fn path() -> Path {
    let lab = Lab::new(Kind::Tap);
    let (last, server) = (Namespace::new(), Namespace::new());
    let net = |host: &str| format!("{host}/24");
    lab.kernel
        .veth("narrow0", &net(NEAR), &last, "narrow1", &net(FAR));
    last.veth("wide0", &net(LAST), &server, "wide1", &net(SERVER));
    lab.kernel.ip(&format!("link set narrow0 mtu {NARROW}"));
    last.ip(&format!("link set narrow1 mtu {NARROW}"));
    lab.kernel.ip(&format!("route add 10.79.0.0/24 via {FAR}"));
    last.ip(&format!("route add default via {NEAR}"));
    server.ip(&format!("route add default via {LAST}"));
    for router in [&lab.kernel, &last] {
        let forward = "/proc/sys/net/ipv4/ip_forward";
        router.run(|| std::fs::write(forward, "1").expect("a router"));
    }
    let listener = server.run(|| TcpListener::bind((SERVER, 0)).expect("a port"));
    let port = listener.local_addr().expect("bound").port();
    let echo = spawn(move || {
        let (mut stream, _) = listener.accept().expect("our client");
        let mut to = stream.try_clone().expect("a second handle");
        std::io::copy(&mut stream, &mut to).expect("no reset");
        to.shutdown(Shutdown::Write).expect("half a close");
    });
    Path {
        lab,
        _behind: [last, server],
        port,
        echo,
    }
}

impl Path {
    /// Transfers, and gives what our command says of it.
    fn transfer(self, args: &str) -> String {
        let to = format!("tcpclient {SERVER} --gateway {KERNEL} --port {}", self.port);
        let args = format!("{to} --size {SIZE} --stats {args}");
        let (status, said) = self.lab.strata(&args).finish();
        assert!(status.success(), "{said}");
        self.echo.join().expect("no panic");
        said
    }
}

/// What `name` says in the line of numbers.
fn number(said: &str, name: &str) -> u64 {
    let line = said.lines().find(|line| line.contains(" bytes_acked:"));
    let mut words = line.expect("numbers").split(' ');
    let value = words.find_map(|word| word.strip_prefix(name));
    value.map_or(0, |n| n.trim().parse().expect("a number"))
}

/// The first router says what its second link carries: segments shrink at once, and what was too
/// large is sent again in pieces (RFC 1191 §6.5).
#[test]
fn a_router_reports() {
    need!();
    let said = path().transfer("");
    assert_eq!(number(&said, "pmtu:"), u64::from(NARROW), "{said}");
    // 52 octets of headers and timestamps.
    assert_eq!(number(&said, "mss:"), u64::from(NARROW) - 52, "{said}");
}

/// Its reports are lost on the way to us: after some timeouts segments shrink to the base size, and
/// probes find what passes, to within what is worth another probe (RFC 4821 §7.7).
#[test]
fn reports_are_lost() {
    need!("iptables");
    let path = path();
    let rule = "-A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP";
    let (status, said) = path.lab.kernel.output("iptables", rule.split(' '));
    if !status.success() {
        skip!("no such rules in this kernel: {said}");
    }
    let said = path.transfer("--mtu-probing blackhole");
    let found = number(&said, "pmtu:");
    assert!((800..=u64::from(NARROW)).contains(&found), "{said}");
}
