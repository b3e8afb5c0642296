//! What asks for memory, and what must not: counted by the allocator itself, per thread.
#![cfg(feature = "alloc")]

#[path = "support/alloc.rs"]
mod alloc;
mod crowd;
mod hosts;

use alloc::count;
use crowd::{Crowd, Host};
use netstrata::phy::Instant;
use netstrata::socket::gaps::Gaps;
use netstrata::socket::mailbox::{Mailbox, Meta};
use netstrata::socket::{
    Elastic, Handle, ReadBuf, RecvBuf, SendBuf, SlabSet, SlabSockets, Socket, SocketSet, Storage,
    WriteBuf,
};

/// A connection as the tables see it: a key and two buffers.
struct Flow {
    key: u32,
    rx: Elastic,
    tx: Elastic,
}

impl Flow {
    fn new(key: u32) -> Self {
        let (rx, tx) = SlabSockets::stream(4 << 20, 4 << 20).unwrap();
        Self { key, rx, tx }
    }
}

impl Socket for Flow {
    type Key = u32;
    fn key(&self) -> Option<u32> {
        Some(self.key)
    }
}

#[test]
fn the_allocator_counts() {
    let (kept, counts) = count(|| vec![0u8; 1000]);
    assert_eq!((counts.allocations, counts.octets), (1, 1000));
    let ((), counts) = count(|| drop(kept));
    assert_eq!((counts.frees, counts.octets), (1, -1000));
    let (elsewhere, counts) = count(|| std::thread::spawn(|| vec![0u8; 1 << 20]));
    assert!(counts.octets < 1 << 20);
    elsewhere.join().unwrap();
}

#[test]
fn an_idle_socket_has_no_buffers() {
    const N: u32 = 10_000;
    let (set, counts) = count(|| {
        let mut set = SlabSet::new();
        for key in 0..N {
            set.insert(Flow::new(key)).unwrap();
        }
        set
    });
    // The socket, its slot, its index entry (16 octets at worst, and as much again while the
    // table grows), and what the last chunk of slots has to spare.
    let each = size_of::<Flow>() + SlabSet::<Flow>::OVERHEAD + 40;
    let spare = 512 * (size_of::<Flow>() + SlabSet::<Flow>::OVERHEAD + 8);
    let limit = each * N as usize + spare;
    assert!(
        counts.octets as usize <= limit,
        "{} octets for each socket",
        counts.octets as usize / N as usize
    );
    drop(set);
}

#[test]
fn sockets_come_and_go_without_the_allocator() {
    let mut set = SlabSet::new();
    let mut open: Vec<Handle<Flow>> = (0..1000)
        .map(|key| set.insert(Flow::new(key)).unwrap())
        .collect();
    let mut now = Instant::ZERO;
    let mut turn = |set: &mut SlabSet<Flow>, key: u32| {
        let h = set.insert(Flow::new(key)).unwrap();
        let old = std::mem::replace(&mut open[key as usize % 1000], h);
        set.arm(h, Some(now + std::time::Duration::from_millis(200)));
        set.wake(h);
        set.notify(h);
        assert!(set.remove(old).is_some());
        now += std::time::Duration::from_millis(1);
        while set.next_expired(now).is_some() {}
        assert_eq!(set.next_news(), Some(h));
        set.park(h);
        set.unpark();
        assert_eq!(set.next_ready(), Some(h));
        assert!(set.lookup(&key).is_some());
    };
    for key in 1000..4000 {
        turn(&mut set, key);
    }
    let ((), counts) = count(|| (4000..40_000).for_each(|key| turn(&mut set, key)));
    assert_eq!(counts.allocations, 0);
}

#[test]
fn a_warm_stream_passes_data_without_the_allocator() {
    let mut flow = Flow::new(1);
    let segment = [7; 1460];
    let window = |flow: &mut Flow| {
        for _ in 0..40 {
            assert_eq!(flow.tx.write_with(1460, |to| to.len()), 1460);
        }
        for _ in 0..40 {
            let [a, b] = SendBuf::peek(&flow.tx, 0, 1460);
            assert_eq!(a.len() + b.len(), 1460);
            flow.tx.release(1460);
            assert_eq!(RecvBuf::write(&mut flow.rx, 1460, &segment), 1460);
            assert_eq!(RecvBuf::write(&mut flow.rx, 0, &segment), 1460);
            flow.rx.commit(2920);
            flow.rx.consume(1460);
        }
        flow.rx.consume(40 * 1460);
    };
    window(&mut flow);
    let ((), counts) = count(|| (0..100).for_each(|_| window(&mut flow)));
    assert_eq!(counts.allocations, 0);
    // Idle again: nothing is left.
    let ((), counts) = count(|| {
        RecvBuf::trim(&mut flow.rx);
        SendBuf::trim(&mut flow.tx);
    });
    assert_eq!(counts.frees, 4);
    assert_eq!((flow.rx.allocated(), flow.tx.allocated()), (0, 0));
}

#[test]
fn growing_copies_less_than_it_holds() {
    let mut buf = Elastic::new(8 << 20);
    let (_, counts) = count(|| while WriteBuf::write(&mut buf, &[1; 1000]) > 0 {});
    // Thirteen doublings from 1 KiB to 8 MiB; each new ring replaces the old one. One more
    // allocation keeps what is known of it.
    assert_eq!((counts.allocations, counts.frees), (15, 13));
    assert_eq!(counts.octets - (8 << 20), 40);
}

#[test]
fn datagrams_and_gaps_need_nothing_once_warm() {
    let mut mailbox = Mailbox::new(vec![0; 16_384].into_boxed_slice());
    let meta = Meta::new(([192, 0, 2, 1], 7).into());
    let mut gaps = Gaps::new();
    let mut pass = || {
        for len in 0..1000 {
            mailbox.push(&meta, &[1; 1472][..len]).unwrap();
            mailbox.push(&meta, b"").unwrap();
            assert_eq!(mailbox.front().map(|(_, d)| d.len()), Some(len));
            assert!(mailbox.pop() && mailbox.pop());
        }
        for i in 1..=200 {
            gaps.insert(3 * i..3 * i + 1);
        }
        gaps.advance(1000);
        assert!(gaps.is_empty());
    };
    pass();
    let ((), counts) = count(&mut pass);
    assert_eq!(counts.allocations, 0);
    let ((), counts) = count(|| gaps.trim());
    assert_eq!(counts.frees, 2);
}

/// Octets of heap for an established idle connection, at most: its socket, its slot, its index
/// entry.
const MOST: i64 = 512;

#[test]
fn an_idle_connection_takes_little_memory() {
    let mut crowd = Crowd::new();
    let mut octets = 0;
    let mut grow = |crowd: &mut Crowd, n| {
        crowd.grow(n, |server, now| {
            let (next, counts) = count(|| server.poll(now));
            octets += counts.octets;
            next
        });
        // A few octets on each connection, then silence.
        for wave in crowd.served.clone().chunks(32) {
            crowd.now += core::time::Duration::from_millis(5);
            for h in wave {
                let mut socket = crowd.server.socket(*h);
                let (sent, counts) = count(|| socket.with(|s| s.send(b"hello")));
                assert_eq!(sent, Ok(Ok(5)));
                octets += counts.octets;
            }
            crowd.settle(|server, now| {
                let (next, counts) = count(|| server.poll(now));
                octets += counts.octets;
                next
            });
        }
        for _ in 0..400 {
            crowd.now += core::time::Duration::from_millis(50);
            crowd.settle(|server, now| {
                let (next, counts) = count(|| server.poll(now));
                octets += counts.octets;
                next
            });
        }
        octets
    };
    // Chunks of slots and the index grow in steps: both sizes are just before one.
    let few = grow(&mut crowd, 1_500);
    let many = grow(&mut crowd, 6_100);
    let each = (many - few) / (6_100 - 1_500);
    println!("{each} octets of heap for an idle connection");
    assert!(each <= MOST, "{each}");
}

/// Slots looked at so far.
#[cfg(debug_assertions)]
fn looks(server: &mut Host) -> u64 {
    let set = server.sockets::<crowd::Flow, _>();
    set.touched().unwrap_or(0)
}

/// Tables that grow move a few entries at a time, and deadlines that all come at once are dealt
/// with turn by turn: no poll costs more than what its batch does, however many connections
/// there are.
#[test]
#[cfg(debug_assertions)]
fn growth_never_stalls_a_poll() {
    let mut crowd = Crowd::new();
    let mut worst = (0, 0);
    let mut measured = |server: &mut Host, now| {
        let before = looks(server);
        let (next, counts) = count(|| server.poll(now));
        worst.0 = worst.0.max(looks(server) - before);
        worst.1 = worst.1.max(counts.moved);
        next
    };
    crowd.grow(2_000, &mut measured);
    let few = worst;
    let mut measured = |server: &mut Host, now| {
        let before = looks(server);
        let (next, counts) = count(|| server.poll(now));
        worst.0 = worst.0.max(looks(server) - before);
        worst.1 = worst.1.max(counts.moved);
        next
    };
    crowd.grow(30_000, &mut measured);
    println!("looks and octets moved in a poll: {few:?}, and up to 30000 {worst:?}");
    assert!(worst.0 <= few.0 + few.0 / 4, "{few:?} {worst:?}");
    // Headers of chunks: 24 octets for 512 connections.
    assert!(worst.1 <= few.1 + 30_000 / 512 * 48, "{few:?} {worst:?}");

    // All of them fall idle in one moment: their buffers are trimmed by and by.
    crowd.now += core::time::Duration::from_secs(100);
    let (mut turns, mut most) = (0, 0);
    loop {
        let before = looks(&mut crowd.server);
        let next = crowd.server.poll(crowd.now);
        most = most.max(looks(&mut crowd.server) - before);
        turns += 1;
        match next {
            netstrata::Next::Wait { until, .. } if until.is_none_or(|at| at > crowd.now) => break,
            _ => assert!(turns < 10_000),
        }
    }
    println!("{turns} turns for 30000 deadlines, {most} looks at most");
    assert!(turns > 10 && most <= 20 * 256, "{turns} {most}");
}

#[test]
fn segments_need_nothing_once_warm() {
    let mut crowd = Crowd::new();
    crowd.grow(100, Host::poll);
    let h = crowd.served[50];
    let exchange = |crowd: &mut Crowd| {
        let sent = crowd.server.socket(h).with(|s| s.send(&[7; 4000]));
        assert_eq!(sent, Ok(Ok(4000)));
        let mut total = count(|| crowd.server.poll(crowd.now)).1.allocations;
        crowd.now += core::time::Duration::from_millis(50);
        crowd.settle(|server, now| {
            let (next, counts) = count(|| server.poll(now));
            total += counts.allocations;
            next
        });
        total
    };
    // The cable's frames grow with what they carried once. Nobody reads: all of it must fit in
    // the peer's window, for what a closed one costs is counted on its own.
    for _ in 0..60 {
        exchange(&mut crowd);
    }
    let total: u64 = (0..30).map(|_| exchange(&mut crowd)).sum();
    assert_eq!(total, 0);
}
