//! Echo and ICMP errors between us and the Linux kernel over tap, tun and a packet socket.
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

// Where a ping is to end by an error it is told to wait for longer than anything may take here:
// it must end at the error, not after the wait.

use std::io::ErrorKind;
use std::net::UdpSocket;

use lab::{KERNEL, Kind, Lab, NOBODY, OURS};

#[test]
fn the_kernel_pings_us() {
    need!("ping");
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let _server = lab.server("");
        for (args, data) in [
            ("-c 3 -i 0.2", 56),
            ("-c 1 -s 0", 0),
            ("-c 2 -i 0.2 -M do -s 1472", 1472),
            ("-c 2 -i 0.2 -s 20000", 20_000),
        ] {
            let args = format!("-W 10 {args} {OURS}");
            let (status, said) = lab.kernel.output("ping", args.split(' '));
            assert!(status.success(), "{kind:?}: ping {args}: {said}");
            assert!(
                said.contains(&format!("{} bytes from {OURS}", data + 8)),
                "{said}"
            );
            assert!(said.contains(" 0% packet loss"), "{kind:?}: {said}");
        }
    }
}

#[test]
fn we_ping_the_kernel() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        // Three fragments are what waits for a link address; more would lose the first datagram.
        for (args, data) in [
            ("-c 3 -i 0.05", 56),
            ("-c 1 -s 0", 0),
            ("-c 2 -i 0.05 -s 4000", 4000),
        ] {
            let (status, said) = lab.strata(&format!("ping {args} {KERNEL}")).finish();
            assert_eq!(status.code(), Some(0), "{kind:?}: ping {args}: {said}");
            assert!(
                said.contains(&format!(
                    "{} bytes from {KERNEL}: icmp_seq=1 ttl=64",
                    data + 8
                )),
                "{said}"
            );
            assert!(said.contains(" 0% packet loss"), "{kind:?}: {said}");
        }
    }
}

#[test]
fn a_neighbour_that_is_not_there_is_unreachable() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let (status, said) = lab.strata(&format!("ping -c 1 -W 100 {NOBODY}")).finish();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("Destination Host Unreachable"), "{said}");
    assert!(said.contains("100% packet loss"), "{said}");
}

#[test]
fn what_a_router_says_is_reported() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        lab.kernel
            .run(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("ours"));
        lab.kernel.ip("route add 203.0.113.0/24 dev port0");
        lab.kernel.ip("route add unreachable 192.0.2.0/24");
        lab.kernel.ip("route add prohibit 198.51.100.0/24");
        for (to, what) in [
            ("192.0.2.1", "Destination Host Unreachable"),
            ("198.51.100.1", "Packet filtered"),
        ] {
            let args = format!("ping -c 1 -W 100 --gateway {KERNEL} {to}");
            let (status, said) = lab.strata(&args).finish();
            assert_eq!(status.code(), Some(1), "{kind:?}: {said}");
            assert!(
                said.contains(&format!("From {KERNEL} icmp_seq=1 {what}")),
                "{kind:?}: {said}"
            );
        }
        let args = format!("ping -c 1 -t 1 -W 100 --gateway {KERNEL} 203.0.113.1");
        let (status, said) = lab.strata(&args).finish();
        assert_eq!(status.code(), Some(1), "{kind:?}: {said}");
        assert!(
            said.contains(&format!("From {KERNEL} icmp_seq=1 Time to live exceeded")),
            "{kind:?}: {said}"
        );
    }
}

#[test]
fn a_closed_port_is_told_to_the_kernel() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let _server = lab.server("");
        let refused = lab.kernel.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
            socket
                .set_read_timeout(Some(netns::HANG))
                .expect("a timeout");
            socket.connect((OURS, 9)).expect("a route");
            socket.send(b"anybody?").expect("it is sent");
            socket.recv(&mut [0; 8]).expect_err("nobody answers").kind()
        });
        assert_eq!(refused, ErrorKind::ConnectionRefused, "{kind:?}");
    }
}

#[test]
fn what_cannot_be_set_up_exits_with_2() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let _holder = lab.server("");
    // Its device is taken.
    let (status, said) = lab.strata(&format!("ping -c 1 {KERNEL}")).finish();
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(
        said.contains("port0") && !said.contains("panicked"),
        "{said}"
    );
}
