//! Interfaces of the Linux kernel that are deleted or go down under a running command.
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

use lab::{Kind, Lab, OURS};

#[test]
fn a_server_ends_with_an_error_when_its_interface_is_deleted() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let server = lab.server("");
        // With one end of a veth pair the other goes too.
        lab.kernel.ip("link delete port0");
        let (status, said) = server.finish();
        assert_eq!(status.code(), Some(1), "{kind:?}: {said}");
        assert!(said.contains("the interface is gone"), "{kind:?}: {said}");
    }
}

#[test]
fn a_watcher_ends_with_an_error_when_its_interface_is_deleted() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let mut watcher = lab.strata("dump");
        watcher.wait_for("listening");
        lab.kernel.ip("link delete port0");
        let (status, said) = watcher.finish();
        assert_eq!(status.code(), Some(1), "{kind:?}: {said}");
        assert!(said.contains("the interface is gone"), "{kind:?}: {said}");
    }
}

#[test]
fn a_server_lives_through_a_link_that_is_down_for_a_while() {
    need!("ping");
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let _server = lab.server("");
        let ping = || {
            let args = ["-c", "1", "-W", "10", OURS];
            lab.kernel.output("ping", args)
        };
        assert!(ping().0.success(), "{kind:?}");
        lab.kernel.ip("link set port0 down");
        lab.kernel.ip("link set port0 up");
        let (status, said) = ping();
        assert!(status.success(), "{kind:?}: {said}");
    }
}
