//! TCP between us and the Linux kernel over tap, tun and a packet socket: every octet, both ways.
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

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use lab::{KERNEL, Kind, Lab, OURS, PORT, Scratch};
use netns::HANG;

/// Octets that are the same in every run; any slip of position shows (xorshift).
struct Noise(u64);

impl Noise {
    fn fill(&mut self, octets: &mut [u8]) {
        for eight in octets.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let drawn = self.0.to_le_bytes();
            eight.copy_from_slice(&drawn[..eight.len()]);
        }
    }

    fn octets(seed: u64, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        Self(seed).fill(&mut octets);
        octets
    }
}

/// Octets in one write of the bulk tests: a multiple of eight, so that pieces join.
const PIECE: usize = 64 << 10;

/// A connection of the kernel to our server.
fn connect() -> TcpStream {
    let to: SocketAddr = format!("{OURS}:{PORT}").parse().expect("an address");
    let stream = TcpStream::connect_timeout(&to, HANG).expect("our server");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    stream.set_write_timeout(Some(HANG)).expect("a timeout");
    stream
}

/// Sends `octets` to our echo server and reads to the end.
fn round(octets: &[u8]) -> Vec<u8> {
    let stream = connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(octets).expect("it is taken");
            stream.shutdown(Shutdown::Write).expect("half a close");
        });
        let mut back = Vec::new();
        (&stream).read_to_end(&mut back).expect("it comes back");
        back
    })
}

/// Sends so many octets to our echo server while they come back, and compares.
fn bulk(total: usize) {
    let stream = connect();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut noise, mut piece) = (Noise(9), vec![0; PIECE]);
            for _ in 0..total / PIECE {
                noise.fill(&mut piece);
                (&stream).write_all(&piece).expect("it is taken");
            }
            stream.shutdown(Shutdown::Write).expect("half a close");
        });
        let (mut noise, mut wanted, mut got) = (Noise(9), vec![0; PIECE], vec![0; PIECE]);
        for n in 0..total / PIECE {
            noise.fill(&mut wanted);
            (&stream).read_exact(&mut got).expect("it comes back");
            assert!(wanted == got, "piece {n} differs");
        }
        let more = (&stream).read(&mut got).expect("the end");
        assert_eq!(more, 0, "more comes back than went");
    });
}

#[test]
fn as_many_octets_come_back_as_went() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let _server = lab.server("");
        lab.kernel.run(|| {
            for seed in 1..=3 {
                let octets = Noise::octets(seed, 20_480);
                let back = round(&octets);
                assert_eq!(back.len(), 20_480, "{kind:?}, connection {seed}");
                assert!(back == octets, "{kind:?}, connection {seed}");
            }
            for len in [0, 1, 1459, 1460, 1461] {
                let octets = Noise::octets(7, len);
                assert!(round(&octets) == octets, "{kind:?}: {len} octets");
            }
        });
    }
}

#[test]
fn two_hundred_clients_at_once() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let mut server = lab.server("--count 200");
    lab.kernel.run(|| {
        thread::scope(|scope| {
            for seed in 1..=200 {
                scope.spawn(move || {
                    let octets = Noise::octets(seed, 30_000);
                    assert!(round(&octets) == octets, "client {seed}");
                });
            }
        });
    });
    server.close_stdin();
    let (status, said) = server.finish();
    assert!(status.success(), "{said}");
    assert!(said.contains("200"), "{said}");
}

#[test]
fn bulk_both_ways() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let _server = lab.server("");
        lab.kernel.run(|| bulk(64 << 20));
    }
}

#[test]
fn bulk_without_offloads() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let _server = lab.server("--offload off");
        lab.kernel.run(|| bulk(8 << 20));
    }
}

#[test]
fn bulk_over_a_bad_device() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let faults = "--loss 2% --reorder 2% --duplicate 1% --corrupt 0.5% --seed 1";
        let _server = lab.server(faults);
        lab.kernel.run(|| bulk(2 << 20));
    }
}

#[test]
fn netcat_and_socat_talk_to_us() {
    need!("nc", "socat", "sh");
    let lab = Lab::new(Kind::Tap);
    let _server = lab.server("");
    let octets: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    for client in [
        format!("nc -N {OURS} {PORT}"),
        format!("socat -t 30 - TCP4:{OURS}:{PORT}"),
    ] {
        let mut client = lab.kernel.spawn("sh", ["-c", &format!("exec {client}")]);
        client.feed(octets.as_bytes());
        let (status, said) = client.finish();
        assert!(status.success() && said == octets, "{said:.200}");
    }
}

/// A server of the kernel that echoes one connection, and its port.
fn kernel_echo(lab: &Lab) -> (u16, thread::JoinHandle<u64>) {
    let listener = lab
        .kernel
        .run(|| TcpListener::bind((KERNEL, 0)).expect("a port"));
    let port = listener.local_addr().expect("bound").port();
    let server = thread::spawn(move || {
        let (mut stream, peer) = listener.accept().expect("our client");
        assert_eq!(peer.ip().to_string(), OURS);
        let mut to = stream.try_clone().expect("a second handle");
        let echoed = std::io::copy(&mut stream, &mut to).expect("no reset");
        to.shutdown(Shutdown::Write).expect("half a close");
        echoed
    });
    (port, server)
}

#[test]
fn our_client_checks_what_the_kernel_echoes() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let (port, server) = kernel_echo(&lab);
        let args = format!("tcpclient {KERNEL} --port {port} --size 8M");
        let (status, said) = lab.strata(&args).finish();
        assert!(status.success(), "{kind:?}: {said}");
        assert_eq!(server.join().expect("no panic"), 8 << 20, "{kind:?}");
    }
}

#[test]
fn our_client_is_a_pipe() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let (port, server) = kernel_echo(&lab);
    let scratch = Scratch::new("pipe");
    let out = std::fs::File::create(scratch.path()).expect("a file");
    let octets = Noise::octets(5, 300_001);
    let args = format!("tcpclient {KERNEL} --port {port}");
    let mut client = lab.strata_into(out, &args);
    client.feed(&octets);
    let (status, said) = client.finish();
    assert!(status.success(), "{said}");
    assert_eq!(server.join().expect("no panic"), 300_001);
    let back = std::fs::read(scratch.path()).expect("the file");
    assert!(back == octets, "{} octets of other content", back.len());
}

#[test]
fn a_closed_port_of_the_kernel_refuses() {
    need!();
    for kind in Kind::ALL {
        let lab = Lab::new(kind);
        let args = format!("tcpclient {KERNEL} --port 9 --size 1k");
        let (status, said) = lab.strata(&args).finish();
        assert_eq!(status.code(), Some(1), "{kind:?}: {said}");
        assert!(said.contains("refused"), "{kind:?}: {said}");
    }
}

#[test]
fn ctrl_c_ends_connections_in_order() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let mut server = lab.server("-v");
    let mut stream = lab.kernel.run(connect);
    stream.write_all(b"still there?").expect("it is taken");
    let mut back = [0; 12];
    stream.read_exact(&mut back).expect("it comes back");
    server.interrupt();
    // A FIN and no reset; and ours is answered, so that nothing is left to wait for.
    assert_eq!(stream.read(&mut back).expect("no reset"), 0);
    drop(stream);
    server.close_stdin();
    let (status, said) = server.finish();
    assert!(status.success(), "{said}");
    assert!(
        said.contains("[ESTABLISHED]") && said.contains("12"),
        "{said}"
    );
}

#[test]
fn fetch_gets_what_a_server_of_the_kernel_has() {
    need!("python3");
    let lab = Lab::new(Kind::Tap);
    let scratch = Scratch::new("served");
    std::fs::create_dir(scratch.path()).expect("a folder");
    let octets = Noise::octets(6, 1_000_003);
    std::fs::write(scratch.path().join("data"), &octets).expect("a file");
    let folder = scratch.path().to_string_lossy().into_owned();
    let args = [
        "-u",
        "-m",
        "http.server",
        "--bind",
        KERNEL,
        "--directory",
        &folder,
        "8000",
    ];
    let mut server = lab.kernel.spawn("python3", args);
    server.wait_for("Serving HTTP");
    let body = Scratch::new("fetched");
    let out = std::fs::File::create(body.path()).expect("a file");
    let Some(client) = lab.example_into(out, "fetch", &format!("http://{KERNEL}:8000/data")) else {
        skip!("examples are not built: `cargo build --examples --features cli`");
    };
    let (status, said) = client.finish();
    assert!(status.success(), "{said}");
    server.wait_for("GET /data HTTP/1.");
    let got = std::fs::read(body.path()).expect("the file");
    assert!(got == octets, "{} octets of other content", got.len());
}

#[test]
fn standard_input_is_sent_while_it_is_open() {
    need!();
    const TOTAL: usize = 4_000_001;
    let lab = Lab::new(Kind::Tap);
    let listener = lab.kernel.run(|| {
        // A small window makes room for little at a time.
        std::fs::write("/proc/sys/net/ipv4/tcp_rmem", "4096 4096 4096").expect("procfs");
        TcpListener::bind((KERNEL, PORT)).expect("a free port")
    });
    let mut client = lab.strata(&format!("tcpclient {KERNEL} --port {PORT}"));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("our client");
            stream.set_read_timeout(Some(HANG / 6)).expect("a timeout");
            let mut got = vec![0; TOTAL];
            stream.read_exact(&mut got).expect("all of it");
            got
        });
        let octets = Noise::octets(3, TOTAL);
        client.say(&octets);
        assert!(reader.join().expect("no panic") == octets);
    });
}

/// A peer that closes its side first still gets all: the command waits until it was acknowledged,
/// not until it was written, however slow the link.
#[test]
fn all_arrives_where_the_peer_has_closed_its_side_before() {
    need!();
    const SIZE: usize = 200_000;
    const FLAGS: &str = "--source --size 200000 --rate 400kbit";
    let read = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(HANG)).expect("a timeout");
        stream.shutdown(Shutdown::Write).expect("half a close");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("a FIN at the end");
        assert_eq!(all.len(), SIZE);
    };
    let lab = Lab::new(Kind::Tap);
    let listener = lab
        .kernel
        .run(|| TcpListener::bind((KERNEL, PORT)).expect("a port"));
    let client = lab.strata(&format!("tcpclient {KERNEL} --port {PORT} {FLAGS}"));
    read(listener.accept().expect("our client").0);
    let (status, said) = client.finish();
    assert!(status.success(), "{said}");

    let server = lab.server(&format!("--count 1 {FLAGS}"));
    read(lab.kernel.run(connect));
    let (status, said) = server.finish();
    assert!(status.success(), "{said}");
}

/// A peer that closes its side and then wants no more is an error, not a wait for ever; and what
/// it did not acknowledge was not sent.
#[test]
fn what_a_peer_refuses_after_it_closed_its_side_is_an_error() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let listener = lab
        .kernel
        .run(|| TcpListener::bind((KERNEL, PORT)).expect("a port"));
    let client = lab.strata(&format!(
        "tcpclient {KERNEL} --port {PORT} --source --size 100M -v"
    ));
    let (mut stream, _) = listener.accept().expect("our client");
    stream.set_read_timeout(Some(HANG)).expect("a timeout");
    stream.shutdown(Shutdown::Write).expect("half a close");
    let mut some = vec![0; 100_000];
    stream.read_exact(&mut some).expect("some of it");
    drop(stream);
    let (status, said) = client.finish();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("broken pipe"), "{said}");
    assert!(!said.contains("LAST-ACK"), "{said}");
}

/// A connection nobody took sent nothing, and its first state has both ends.
#[test]
fn a_refused_connection_sent_nothing() {
    need!();
    let lab = Lab::new(Kind::Tap);
    let client = lab.strata(&format!("tcpclient {KERNEL} --port {PORT} --size 3 -v"));
    let (status, said) = client.finish();
    assert_eq!(status.code(), Some(1), "{said}");
    let first = said.lines().next().unwrap_or_default();
    assert!(first.starts_with(&format!("[SYN-SENT] {OURS}:")), "{said}");
    assert!(said.contains("connection refused"), "{said}");
    assert!(!said.contains("Sent"), "{said}");
}
