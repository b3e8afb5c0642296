//! The kernel at both ends: two network namespaces joined by a veth pair, plain sockets, and
//! iperf3 where that is installed.

use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use nix::sched::{CloneFlags, unshare};
use nix::unistd::gettid;

use crate::content::Text;
use crate::kernel;

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 2);

type Serving = JoinHandle<io::Result<u64>>;

/// Is `tool` there to be run?
pub fn has(tool: &str) -> bool {
    let asked = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Gives this thread's end its address; without `offload` it segments and sums by itself.
fn own(name: &str, ip: Ipv4Addr, offload: bool) -> io::Result<()> {
    kernel::run(&format!("ip address add {ip}/24 dev {name}"))?;
    kernel::run(&format!("ip link set {name} up"))?;
    match offload {
        true => Ok(()),
        false => kernel::run(&format!("ethtool -K {name} tx off tso off gso off gro off")),
    }
}

fn gone<E>(_: E) -> io::Error {
    io::Error::other("the other end gave up")
}

/// The life of the far end: a thread in a namespace of its own.
fn far_end(
    offload: bool,
    serve: fn() -> io::Result<Serving>,
    tell: &Sender<i32>,
    go: &Receiver<()>,
) -> io::Result<u64> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    tell.send(gettid().as_raw()).map_err(gone)?;
    go.recv().map_err(gone)?;
    own("far", FAR, offload)?;
    let serving = serve()?;
    tell.send(0).map_err(gone)?;
    let counted = serving.join().map_err(|_| io::Error::other("a thread"))?;
    tell.send(0).map_err(gone)?;
    // The namespace lives until the devices are gone.
    let _ = go.recv();
    counted
}

/// Runs `serve` at the far end and `work` at this one; also what the far end counted.
fn joined<R>(
    offload: bool,
    serve: fn() -> io::Result<Serving>,
    work: impl FnOnce() -> io::Result<R>,
) -> io::Result<(R, u64)> {
    let (tell, hear) = channel();
    let (go, wait) = channel();
    let far = std::thread::spawn(move || far_end(offload, serve, &tell, &wait));
    let thread = hear.recv().map_err(gone)?;
    kernel::run(&format!(
        "ip link add near type veth peer name far netns {thread}"
    ))?;
    own("near", NEAR, offload)?;
    go.send(()).map_err(gone)?;
    let result = hear.recv().map_err(gone).and_then(|_| work());
    if result.is_ok() {
        let _ = hear.recv();
    }
    kernel::run("ip link delete near")?;
    // If the work failed, the thread is left to wait for what will not come.
    let result = result?;
    drop(go);
    let counted = far.join().map_err(|_| io::Error::other("a thread"))??;
    Ok((result, counted))
}

/// Sends `total` octets from one end to the other; seconds until they were read.
pub fn bulk(offload: bool, total: u64, text: Text) -> io::Result<f64> {
    let serve = match text {
        Text::Plain => || kernel::sink_at(FAR, Text::Plain),
        Text::Checked => || kernel::sink_at(FAR, Text::Checked),
    };
    let (took, got) = joined(offload, serve, || {
        let start = Clock::now();
        kernel::send(FAR, total, text)?;
        Ok(start.elapsed().as_secs_f64())
    })?;
    match got == total {
        true => Ok(took),
        false => Err(io::Error::other(format!("{got} octets instead of {total}"))),
    }
}

/// The same by iperf3, at both ends.
pub fn iperf3(offload: bool, total: u64) -> io::Result<f64> {
    let serve = || {
        let mut server = Command::new("iperf3")
            .args(["-s", "-1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(std::thread::spawn(move || {
            server.wait()?;
            Ok(0)
        }))
    };
    let (rate, _) = joined(offload, serve, || {
        let (to, octets) = (FAR.to_string(), total.to_string());
        let mut text = String::new();
        for _ in 0..100 {
            let asked = Command::new("iperf3")
                .args(["-c", &to, "-n", &octets, "-C", "cubic", "-J"])
                .output()?;
            text = String::from_utf8_lossy(&asked.stdout).into_owned();
            if let Some(rate) = received(&text) {
                return Ok(rate);
            }
            // The server was not there yet.
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other(text))
    })?;
    Ok(total as f64 * 8.0 / rate)
}

/// Bits a second that the receiver counted, in what iperf3 says.
fn received(text: &str) -> Option<f64> {
    let (_, sum) = text.split_once("\"sum_received\"")?;
    let (_, rate) = sum.split_once("\"bits_per_second\":")?;
    rate.split([',', '\n', '}']).next()?.trim().parse().ok()
}

/// Microseconds of one-octet round trips with an echo at the far end.
pub fn round_trips(count: usize) -> io::Result<Vec<f64>> {
    let (times, _) = joined(
        true,
        || kernel::echo_at(FAR),
        || {
            let mut stream = kernel::connected(FAR)?;
            stream.set_nodelay(true)?;
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let start = Clock::now();
                stream.write_all(b"?")?;
                stream.read_exact(&mut [0; 1])?;
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
            Ok(times)
        },
    )?;
    Ok(times)
}

#[cfg(test)]
#[test]
fn reads_what_iperf3_says() {
    let text = "\"sum_sent\": {\"bits_per_second\":\t1.0},\n\
                \"sum_received\":\t{\n\"bytes\":\t5,\n\"bits_per_second\":\t2.5e9,\n}";
    assert_eq!(received(text), Some(2.5e9));
    assert_eq!(received("no"), None);
}
