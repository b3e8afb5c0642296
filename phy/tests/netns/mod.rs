//! Fresh network namespaces for one test each. A namespace belongs to a thread made for it
//! and goes away with it, together with every interface in it.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, unshare};

/// Why the kernel cannot be asked here, if it cannot.
fn obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root".into());
    }
    if !fs::exists("/dev/net/tun").unwrap_or(false) {
        return Some("no /dev/net/tun".into());
    }
    if Command::new("ip").arg("-V").output().is_err() {
        return Some("no `ip` command".into());
    }
    let probe = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET));
    match probe.join().unwrap() {
        Ok(()) => None,
        Err(errno) => Some(format!("no network namespaces: {errno}")),
    }
}

/// Runs `test` on a thread in a fresh namespace, or says on standard error why it cannot.
pub fn within(name: &str, test: impl FnOnce() + Send + 'static) {
    if let Some(why) = obstacle() {
        // Not `eprintln!`, which the test harness would swallow; one write, so that lines of
        // tests running at once stay whole.
        let line = format!("{name}: skipped: {why}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    thread::spawn(move || {
        enter();
        test();
    })
    .join()
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Moves this thread, which must end with the test, into a fresh namespace.
pub fn enter() {
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    // No router solicitations between the frames of the tests.
    let _ = fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    let _ = fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

/// Runs `ip` with `args`, separated by blanks, in this thread's namespace.
pub fn ip(args: &str) -> String {
    let out = Command::new("ip").args(args.split(' ')).output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ip {args}: {error}");
    String::from_utf8(out.stdout).unwrap()
}
