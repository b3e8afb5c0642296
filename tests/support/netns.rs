//! Network namespaces for tests against the Linux kernel, and programs run in them.
//!
//! Invariant: what a test makes here goes away with it, also when it panics or is killed. A
//! namespace has no name in the file system: it lives as long as its descriptor, and with it
//! every interface in it. A program ends with its [`Process`].
//!
//! Where the kernel cannot be asked a test says `skipped: …` on standard error and passes: see
//! [`skip`].

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Nothing here takes this long unless it hangs.
pub const HANG: Duration = Duration::from_secs(60);

/// Ends the test, which passes, with a reason that is seen whatever the harness captures.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {{
        // One write, so that lines of tests that run at once stay whole.
        let thread = std::thread::current();
        let test = thread.name().unwrap_or(module_path!());
        let line = format!("skipped: {test}: {}\n", format!($($why)*));
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        return;
    }};
}

/// Ends the test with [`skip!`] unless namespaces and every program of `$tool` are to be had.
#[macro_export]
macro_rules! need {
    ($($tool:literal),*) => {
        let tools: &[&str] = &[$($tool),*];
        if let Some(why) = $crate::netns::obstacle(tools) {
            $crate::skip!("{why}");
        }
    };
}

/// Why the kernel cannot be asked here, if it cannot.
pub fn obstacle(tools: &[&str]) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root".into());
    }
    if !std::fs::exists("/dev/net/tun").unwrap_or(false) {
        return Some("no /dev/net/tun".into());
    }
    for tool in ["ip"].iter().chain(tools) {
        if !on_path(tool) {
            return Some(format!("no `{tool}` command"));
        }
    }
    Namespace::try_new()
        .err()
        .map(|e| format!("no network namespaces: {e}"))
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// A network namespace with its loopback up and no IPv6, so that nobody sends unasked.
pub struct Namespace(OwnedFd);

impl Namespace {
    /// A fresh one.
    pub fn new() -> Self {
        Self::try_new().expect("a network namespace")
    }

    fn try_new() -> nix::Result<Self> {
        let enter = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            // Absent where the kernel has no IPv6 at all.
            let _ = std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
            let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
            Ok(Self(
                File::open("/proc/thread-self/ns/net")
                    .expect("procfs")
                    .into(),
            ))
        };
        let new = thread::spawn(enter).join().expect("no panic")?;
        new.ip("link set lo up");
        Ok(new)
    }

    /// The same one again, for another thread.
    pub fn same(other: &Self) -> Self {
        Self(other.0.try_clone().expect("a descriptor"))
    }

    /// Runs `f` on a thread inside.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let inside = || {
                setns(&self.0, CloneFlags::CLONE_NEWNET).expect("our namespace");
                f()
            };
            match scope.spawn(inside).join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Runs `ip` with `args`, separated by blanks.
    pub fn ip(&self, args: &str) -> String {
        let (status, out) = self.output("ip", args.split(' '));
        assert!(status.success(), "ip {args}: {out}");
        out
    }

    /// Connects interface `a` here, with address `cidr_a`, to interface `b` in `other`.
    pub fn veth(&self, a: &str, cidr_a: &str, other: &Self, b: &str, cidr_b: &str) {
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.ip(&format!(
            "link add {a} type veth peer name {b} netns {path}"
        ));
        self.up(a, cidr_a);
        other.up(b, cidr_b);
    }

    /// Gives interface `name` an address, or none when `cidr` is empty, and starts it.
    pub fn up(&self, name: &str, cidr: &str) {
        if !cidr.is_empty() {
            self.ip(&format!("addr add {cidr} dev {name}"));
        }
        self.ip(&format!("link set {name} up"));
    }

    /// Runs a program to its end, without input; its status, and lines of both its outputs as
    /// they came.
    pub fn output<A: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> (ExitStatus, String) {
        let mut process = self.spawn(program, args);
        process.close_stdin();
        process.finish()
    }

    /// Starts a program.
    pub fn spawn<A: AsRef<OsStr>>(
        &self,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Process {
        let mut command = Command::new(program);
        command.args(args).stdout(Stdio::piped());
        self.start(command)
    }

    /// Starts a program whose standard output, which need not be lines, goes to a file.
    pub fn spawn_into<A: AsRef<OsStr>>(
        &self,
        file: File,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Process {
        let mut command = Command::new(program);
        command.args(args).stdout(file);
        self.start(command)
    }

    fn start(&self, mut command: Command) -> Process {
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let child = self.run(|| command.spawn());
        Process::new(child.unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }
}

/// A running program; killed when dropped.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Lines of its outputs that were taken.
    seen: String,
}

impl Process {
    fn new(mut child: Child) -> Self {
        let (give, lines) = channel();
        // What a program says where is its affair: both outputs are looked through.
        if let Some(out) = child.stdout.take() {
            forward(out, give.clone());
        }
        if let Some(said) = child.stderr.take() {
            forward(said, give);
        }
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
            seen: String::new(),
        }
    }

    /// Waits for a line that has `text` in it.
    pub fn wait_for(&mut self, text: &str) -> String {
        match self.take_until(|line| line.contains(text)) {
            Some(line) => line,
            None => panic!("it ended without {text:?}, but with:\n{}", self.seen),
        }
    }

    /// Sends its input, all of it, and then the end of it.
    pub fn feed(&mut self, octets: &[u8]) {
        let mut stdin = self.stdin.take().expect("still open");
        // A program that ends early says why by its exit code.
        let _ = stdin.write_all(octets);
    }

    /// Sends a part of its input, which goes on.
    pub fn say(&mut self, octets: &[u8]) {
        let stdin = self.stdin.as_mut().expect("still open");
        stdin.write_all(octets).expect("it is taken");
    }

    /// Ends its input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Asks it to stop as Ctrl-C does.
    pub fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).expect("a pid");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it is our child");
    }

    /// Waits for its end: status, and lines of both outputs as they came.
    pub fn finish(mut self) -> (ExitStatus, String) {
        self.take_until(|_| false);
        let status = self.child.wait().expect("our child");
        (status, std::mem::take(&mut self.seen))
    }

    /// Takes lines up to the first that is `wanted`, or to the end of the program.
    fn take_until(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let by = Instant::now() + HANG;
        loop {
            let left = by.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen += &format!("{line}\n");
                    if wanted(&line) {
                        return Some(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("it hangs after:\n{}", self.seen),
            }
        }
    }
}

fn forward(from: impl Read + Send + 'static, to: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let _ = to.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
