//! Nothing costs more because there are more sockets. Counted, not timed: every look at a slot
//! of the table, every key hashed, compared or asked for, for 10, 1,000 and 100,000 sockets.
#![cfg(feature = "alloc")]

mod crowd;
mod hosts;

use core::net::Ipv4Addr;
use std::cell::Cell;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use crowd::{Crowd, Flow};
use hosts::{A, B, Host, Wire, host_at, udp};
use netstrata::Next;
use netstrata::net::Ipv4;
use netstrata::phy::Instant;
use netstrata::socket::{Handle, SlabSet, SlabSockets, Socket, SocketSet};
use netstrata::transport::Transports;
use netstrata::udp::{Udp, UdpSocket};

thread_local! {
    static KEYS: Cell<u64> = const { Cell::new(0) };
}

fn count_key() {
    KEYS.set(KEYS.get() + 1);
}

/// A key that counts what is done with it.
#[derive(Debug, Clone, Copy, Eq)]
struct Key(u32);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        count_key();
        self.0 == other.0
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        count_key();
        self.0.hash(state);
    }
}

struct Probe(u32);

impl Socket for Probe {
    type Key = Key;
    fn key(&self) -> Option<Key> {
        count_key();
        Some(Key(self.0))
    }
}

/// Looks at slots (where the table counts them: with debug assertions) and at keys so far.
fn looks(set: &SlabSet<Probe>) -> u64 {
    set.touched().unwrap_or(0) + KEYS.get()
}

const SIZES: [u32; 3] = [10, 1_000, 100_000];
const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    set: SlabSet<Probe>,
    handles: Vec<Handle<Probe>>,
    now: Instant,
    /// Name, and looks at each size.
    table: Vec<(&'static str, Vec<u64>)>,
}

impl Bench {
    /// `n` idle connections: each with a deadline in two hours, none ready.
    fn fill(&mut self, n: u32) {
        self.set = SlabSet::new();
        self.handles.clear();
        assert_eq!(self.set.next_expired(self.now), None); // tells the time
        for key in 0..n {
            let h = self.set.insert(Probe(key)).unwrap();
            let spread = Duration::from_micros(u64::from(key) * 7);
            self.set.arm(h, Some(self.now + 2 * HOUR + spread));
            self.handles.push(h);
        }
    }

    fn measure<R>(&mut self, name: &'static str, f: impl FnOnce(&mut Self) -> R) -> R {
        let before = looks(&self.set);
        let result = f(self);
        let cost = looks(&self.set) - before;
        match self.table.iter_mut().find(|(known, _)| *known == name) {
            Some((_, costs)) => costs.push(cost),
            None => self.table.push((name, vec![cost])),
        }
        result
    }
}

#[test]
fn no_operation_depends_on_the_number_of_sockets() {
    let mut b = Bench {
        set: SlabSet::new(),
        handles: Vec::new(),
        now: Instant::from_secs(1_000_000),
        table: Vec::new(),
    };
    for n in SIZES {
        b.fill(n);
        let middle = b.handles[n as usize / 2];
        let other = b.handles[n as usize / 3];
        let key = n / 2;

        // What `poll` asks of a table in which nothing happens.
        b.measure("idle poll", |b| {
            assert_eq!(b.set.next_expired(b.now), None);
            assert!(b.set.next_deadline().is_some_and(|d| d > b.now));
            assert_eq!(b.set.next_ready(), None);
            assert!(!b.set.any_ready());
            assert_eq!(b.set.next_news(), None);
            b.set.unpark();
        });
        b.now += Duration::from_secs(1);
        b.measure("idle poll a second later", |b| {
            assert_eq!(b.set.next_expired(b.now), None);
            assert!(b.set.next_deadline().is_some_and(|d| d > b.now));
        });
        b.measure("lookup", |b| {
            assert_eq!(b.set.lookup(&Key(key)), Some(middle))
        });
        b.measure("lookup again", |b| {
            assert_eq!(b.set.lookup(&Key(key)), Some(middle));
        });
        b.measure("lookup in vain", |b| {
            assert_eq!(b.set.lookup(&Key(n)), None)
        });
        b.measure("wake", |b| b.set.wake(middle));
        b.measure("wake again", |b| b.set.wake(middle));
        b.measure("next_ready", |b| {
            assert_eq!(b.set.next_ready(), Some(middle))
        });
        b.measure("notify", |b| b.set.notify(middle));
        b.measure("next_news", |b| assert_eq!(b.set.next_news(), Some(middle)));

        // All others wait for a link address while one comes and goes.
        for h in &b.handles {
            b.set.park(*h);
        }
        b.measure("wake of a parked one", |b| b.set.wake(middle));
        b.measure("park", |b| b.set.park(middle));
        b.measure("unpark of all", |b| b.set.unpark());
        b.measure("wake after unpark", |b| b.set.wake(other));
        b.measure("next_ready of all", |b| {
            assert_eq!(b.set.next_ready(), Some(b.handles[0]));
        });

        let soon = Some(b.now + Duration::from_millis(200));
        b.measure("arm earlier", |b| b.set.arm(middle, soon));
        b.measure("arm later", |b| {
            b.set.arm(middle, Some(b.now + Duration::from_millis(300)));
        });
        b.measure("disarm", |b| b.set.arm(middle, None));
        b.set.arm(middle, soon);
        b.now += Duration::from_millis(200);
        b.measure("next_expired", |b| {
            assert_eq!(b.set.next_expired(b.now), Some(middle));
        });
        b.measure("no more expired", |b| {
            assert_eq!(b.set.next_expired(b.now), None)
        });
        b.measure("idle poll amid timers", |b| {
            assert_eq!(b.set.next_expired(b.now), None);
            assert!(b.set.next_deadline().is_some_and(|d| d > b.now));
        });

        b.measure("rekey", |b| {
            b.set.get_mut(middle).unwrap().0 = n + 1;
            assert!(b.set.rekey(middle).is_ok());
        });
        b.measure("remove", |b| assert!(b.set.remove(middle).is_some()));
        b.measure("insert", |b| assert!(b.set.insert(Probe(key)).is_ok()));
        b.measure("insert in vain", |b| {
            assert!(b.set.insert(Probe(0)).is_err())
        });
    }

    let mut report = String::new();
    for (name, costs) in &b.table {
        writeln!(report, "{name:26} {costs:?}").unwrap();
    }
    println!("looks at slots and keys, for {SIZES:?} sockets\n{report}");
    for (name, costs) in &b.table {
        let limit = match *name {
            "idle poll" | "idle poll amid timers" => 0,
            // The wheel asks eight slots for the next deadline.
            "idle poll a second later" | "no more expired" => 32,
            // Two tags of 100,000 may be the same.
            _ => 24,
        };
        let worst = *costs.iter().max().unwrap();
        assert!(worst <= limit, "{name} {costs:?}\n{report}");
    }
}

#[test]
fn no_single_insertion_or_call_is_long() {
    let n = 100_000;
    let mut set = SlabSet::new();
    let mut handles = Vec::new();
    let mut worst = 0;
    for key in 0..n {
        let before = looks(&set);
        handles.push(set.insert(Probe(key)).unwrap());
        worst = worst.max(looks(&set) - before);
    }
    assert!(worst <= 16, "an insertion looked at {worst}");

    // A crowd of deadlines in the same 18 minutes, as keep-alives of idle connections are: each
    // call on the way there is short, and in the end each expires, at its time.
    let start = Instant::from_secs(7);
    set.next_expired(start);
    for (i, h) in handles.iter().enumerate() {
        set.arm(*h, Some(start + 2 * HOUR + Duration::from_micros(i as u64)));
    }
    let mut now = start;
    let mut expired = 0;
    let (mut worst, mut calls) = (0, 0u64);
    while let Some(next) = set.next_deadline() {
        assert!(next <= start + 2 * HOUR + Duration::from_micros(expired));
        // Time goes on whether the work is done or not.
        now = now.max(next) + Duration::from_micros(50);
        for _ in 0..64 {
            let before = looks(&set);
            let found = set.next_expired(now);
            worst = worst.max(looks(&set) - before);
            calls += 1;
            if found.is_none() {
                break;
            }
            expired += 1;
        }
    }
    assert_eq!(expired, u64::from(n));
    assert!(worst <= 64 * 12, "a call looked at {worst}");
    assert!(calls < u64::from(n) * 2, "{calls} calls");
}

/// Our second address: two have more ports than 100,000.
const A2: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

/// Where socket `i` of many is bound.
fn place(i: u32) -> (Ipv4Addr, u16) {
    (if i & 1 == 0 { A } else { A2 }, 1000 + (i / 2) as u16)
}

fn two_addresses() -> Ipv4 {
    Ipv4::default().with(0, A, 24).with(0, A2, 24)
}

/// Polls until nothing is left to do at once.
fn settle<T: Transports<SlabSockets>>(host: &mut Host<T>, wire: &mut Wire) {
    while host.poll(wire.now) == Next::Now {
        wire.take();
    }
}

#[test]
fn datagrams_cost_the_same_beside_100_000_sockets() {
    let mut costs = Vec::new();
    for n in SIZES {
        let (mut host, mut wire) = host_at(two_addresses(), (Udp::default(),));
        let mut handles = Vec::new();
        for i in 0..n {
            let (ip, port) = place(i);
            let mut socket = UdpSocket::new(0, Box::default(), Box::default());
            if i == n / 2 {
                socket = UdpSocket::new(0, vec![0; 256].into(), vec![0; 256].into());
            }
            socket.bind(Some(ip.into()), port);
            handles.push(host.open(socket).unwrap());
        }
        settle(&mut host, &mut wire);
        let h = handles[n as usize / 2];
        let mut looks = {
            let mut before = None;
            move |host: &mut Host<(Udp,)>| {
                let now = host
                    .sockets::<UdpSocket<Box<[u8]>>, _>()
                    .touched()
                    .unwrap_or(0);
                now - before.replace(now).unwrap_or(now)
            }
        };
        looks(&mut host);

        host.poll(wire.now);
        let idle = looks(&mut host);

        let answers = wire.ask(&mut host, &udp((B, 7), place(n / 2), b"ping"));
        assert!(answers.is_empty());
        assert_eq!(host.next_news::<UdpSocket<_>, _>(), Some(h));
        let received = looks(&mut host);

        host.socket(h)
            .with(|s| s.send_to(b"pong", (B, 7).into()))
            .unwrap()
            .unwrap();
        host.poll(wire.now);
        assert_eq!(wire.take().len(), 1);
        let sent = looks(&mut host);

        let nobody = wire.ask(&mut host, &udp((B, 7), (A, 999), b"ping"));
        assert_eq!(nobody.len(), 1, "port unreachable");
        let refused = looks(&mut host);
        costs.push([idle, received, sent, refused]);
    }
    println!("looks at slots for an idle poll, in, out, refused: {costs:?}");
    assert!(
        costs.iter().all(|c| c[0] == 0 && *c == costs[0]),
        "{costs:?}"
    );
    assert!(costs[0].iter().all(|c| *c <= 32), "{costs:?}");
}

#[test]
fn segments_cost_the_same_beside_idle_connections() {
    let mut costs = Vec::new();
    let mut crowd = Crowd::new();
    for n in [10, 1_000, 100_000] {
        crowd.grow(n, Host::poll);
        // Past all delayed acknowledgments.
        crowd.now += Duration::from_secs(5);
        crowd.settle(Host::poll);
        let mut looks = {
            let mut before = None;
            move |host: &mut crowd::Host| {
                let now = host.sockets::<Flow, _>().touched().unwrap_or(0);
                now - before.replace(now).unwrap_or(now)
            }
        };
        looks(&mut crowd.server);
        for _ in 0..3 {
            crowd.server.poll(crowd.now);
        }
        let idle = looks(&mut crowd.server);
        let h = crowd.served[n / 2];
        let sent = crowd.server.socket(h).with(|s| s.send(&[1; 1000]));
        assert_eq!(sent, Ok(Ok(1000)));
        crowd.server.poll(crowd.now);
        let sent = looks(&mut crowd.server);
        crowd.now += Duration::from_secs(5);
        crowd.client.poll(crowd.now);
        crowd.server.poll(crowd.now);
        let acked = looks(&mut crowd.server);
        costs.push([idle, sent, acked]);
    }
    println!("looks at slots for idle polls, a segment, its acknowledgment: {costs:?}");
    assert!(costs.iter().all(|c| c[0] == 0), "{costs:?}");
    assert!(costs.iter().flatten().all(|c| *c <= 40), "{costs:?}");
}
