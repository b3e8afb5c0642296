//! A million connections between two hosts in one thread: opened, left alone, woken, closed.
//!
//! What counts is what one of them costs, and how long the longest poll of all takes: tables that
//! grow must not hold up those whose segments wait. The clock is the thread's own, so that what
//! else the machine does is not counted.

use core::time::Duration;

use netstrata::Next;
use netstrata::phy::Instant;
use netstrata::socket::Handle;
use netstrata::tcp::{Shutdown, TcpSocket};
use nix::time::{ClockId, clock_gettime};

use crate::heap;
use crate::ours::{CLIENT, Flow, Host, SERVER, pair};

/// Connections to each port of the server.
const EACH: usize = 10_000;
/// Connections opened, woken or closed before the hosts are polled.
const WAVE: usize = 64;

/// Microseconds of processor time of this thread.
fn clock() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a thread has a clock");
    time.tv_sec() as f64 * 1e6 + time.tv_nsec() as f64 / 1e3
}

/// The hosts, and the longest poll since last asked.
struct Crowd {
    server: Host,
    client: Host,
    now: Instant,
    longest: f64,
    /// Octets of heap in use before the first connection.
    heap: usize,
    /// Processor time of the polls, microseconds.
    busy: f64,
    served: Vec<Handle<Flow>>,
    opened: Vec<Handle<Flow>>,
}

impl Crowd {
    fn new(ports: u16) -> Self {
        let (server, client) = pair(1500);
        Self {
            server,
            client,
            now: Instant::from_secs(1),
            longest: 0.0,
            heap: 0,
            busy: 0.0,
            served: Vec::new(),
            opened: Vec::new(),
        }
        .listen(ports)
    }

    fn listen(mut self, ports: u16) -> Self {
        for port in 0..ports {
            let socket = TcpSocket::listener((SERVER, 1000 + port).into(), 2 * WAVE);
            self.served
                .push(self.server.open(socket).expect("a free port"));
        }
        self
    }

    /// Polls both until nothing moves and nothing is due.
    fn settle(&mut self) {
        for _ in 0..4 {
            for host in [&mut self.client, &mut self.server] {
                loop {
                    let start = clock();
                    let next = host.poll(self.now);
                    let took = clock() - start;
                    self.longest = self.longest.max(took);
                    self.busy += took;
                    match next {
                        Next::Now => {}
                        Next::Wait {
                            until: Some(at), ..
                        } if at <= self.now => {}
                        Next::Wait { .. } => break,
                    }
                }
            }
        }
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    fn news(&mut self) {
        while self.server.next_news::<Flow, _>().is_some() {}
        while self.client.next_news::<Flow, _>().is_some() {}
    }

    /// One stage is over: says what it took.
    fn say(&mut self, what: &str, n: usize) {
        let each = self.busy / n as f64;
        let memory = heap::used().saturating_sub(self.heap) as f64 / (2 * n) as f64;
        println!(
            "{what:8} {each:6.2} us each, longest poll {:7.1} us, {memory:4.0} octets of heap each",
            self.longest
        );
        (self.longest, self.busy) = (0.0, 0.0);
    }
}

/// Opens, leaves alone, wakes and closes `n` connections; prints what each stage took.
pub fn run(n: usize) {
    let ports = n.div_ceil(EACH) as u16;
    let mut crowd = Crowd::new(ports);
    let listeners = core::mem::take(&mut crowd.served);
    crowd.settle();
    (crowd.longest, crowd.busy) = (0.0, 0.0);
    crowd.served.reserve_exact(n);
    crowd.opened.reserve_exact(n);
    crowd.heap = heap::used();
    println!("{n} connections from {CLIENT} to {SERVER}, {WAVE} at a time");

    while crowd.opened.len() < n {
        let port = 1000 + (crowd.opened.len() / EACH) as u16;
        for _ in 0..WAVE.min(n - crowd.opened.len()) {
            let socket: Flow = TcpSocket::connecting((SERVER, port).into());
            crowd
                .opened
                .push(crowd.client.open(socket).expect("memory"));
        }
        crowd.settle();
        let listener = listeners[usize::from(port - 1000)];
        while let Some(h) = crowd.server.socket(listener).accept() {
            crowd.served.push(h);
        }
        crowd.news();
        crowd.now += Duration::from_micros(100);
    }
    assert_eq!(crowd.served.len(), n, "all were accepted");
    crowd.say("opened", n);

    for _ in 0..1000 {
        crowd.pass(Duration::from_millis(10));
    }
    crowd.say("idle", n);

    for first in (0..n).step_by(WAVE) {
        for at in first..(first + WAVE).min(n) {
            let sent = crowd.client.socket(crowd.opened[at]).with(|s| s.send(b"?"));
            assert_eq!(sent, Ok(Ok(1)));
        }
        crowd.settle();
        while let Some(h) = crowd.server.next_news::<Flow, _>() {
            let read = crowd.server.socket(h).with(|s| s.recv(&mut [0; 8]));
            assert_eq!(read, Ok(Ok(1)));
        }
        crowd.news();
        crowd.now += Duration::from_micros(100);
    }
    for _ in 0..1000 {
        crowd.pass(Duration::from_millis(10));
    }
    crowd.say("woken", n);

    for first in (0..n).step_by(WAVE) {
        let wave = first..(first + WAVE).min(n);
        for at in wave.clone() {
            let ended = crowd
                .client
                .socket(crowd.opened[at])
                .with(|s| s.shutdown(Shutdown::Write));
            assert_eq!(ended, Ok(()));
        }
        crowd.settle();
        for at in wave.clone() {
            let _ = crowd.server.close(crowd.served[at]);
        }
        crowd.settle();
        for at in wave {
            let _ = crowd.client.close(crowd.opened[at]);
        }
        crowd.news();
        crowd.now += Duration::from_micros(100);
    }
    for _ in 0..100 {
        crowd.pass(Duration::from_secs(1));
    }
    crowd.say("closed", n);
    let left = crowd.server.sockets::<Flow, _>();
    assert_eq!(netstrata::socket::SocketSet::len(left), listeners.len());
}
