//! The index of flows and the wheel of timers, by how much is in them: neither may care.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use netstrata::phy::Instant;
use netstrata::socket::{Handle, SlabSet, Socket, SocketSet};

/// How many sockets there are.
const CROWDS: [u64; 3] = [100, 10_000, 1_000_000];

/// A socket that is nothing but its key.
struct Flow(u64);

impl Socket for Flow {
    type Key = u64;
    fn key(&self) -> Option<u64> {
        Some(self.0)
    }
}

/// A key that is not next to that of `n - 1`.
fn key(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn crowd(n: u64) -> (SlabSet<Flow>, Vec<Handle<Flow>>) {
    let mut set = SlabSet::new();
    let insert = |n| set.insert(Flow(key(n))).expect("memory");
    let handles = (0..n).map(insert).collect();
    (set, handles)
}

fn index(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    for n in CROWDS {
        let (mut set, _) = crowd(n);
        let mut at = 0;
        group.bench_function(BenchmarkId::new("lookup", n), |b| {
            b.iter(|| {
                at = (at + 7919) % n;
                set.lookup(black_box(&key(at)))
            });
        });
        group.bench_function(BenchmarkId::new("lookup of a stranger", n), |b| {
            b.iter(|| {
                at += 1;
                set.lookup(black_box(&!key(at)))
            });
        });
        group.bench_function(BenchmarkId::new("insert and remove", n), |b| {
            b.iter(|| {
                at += 1;
                let h = set.insert(Flow(!key(at))).expect("memory");
                set.remove(h).is_some()
            });
        });
    }
    group.finish();
}

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("wheel");
    for n in CROWDS {
        let (mut set, handles) = crowd(n);
        let mut now = Instant::from_micros(1_000_000);
        // As retransmission timers lie: some 200 ms ahead, each a little later than the last.
        for (n, h) in handles.iter().enumerate() {
            let later = Duration::from_micros(200_000 + n as u64 % 50_000);
            set.arm(*h, Some(now + later));
        }
        let mut at = 0;
        group.bench_function(BenchmarkId::new("arm", n), |b| {
            b.iter(|| {
                at = (at + 1) % handles.len();
                let later = Duration::from_micros(200_000 + at as u64 % 50_000);
                set.arm(handles[at], Some(now + later));
            });
        });
        group.bench_function(BenchmarkId::new("arm and expire", n), |b| {
            b.iter(|| {
                now += Duration::from_micros(10);
                while let Some(h) = set.next_expired(now) {
                    set.arm(h, Some(now + Duration::from_millis(250)));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(all, index, wheel);
criterion_main!(all);
