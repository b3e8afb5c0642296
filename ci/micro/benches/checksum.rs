//! The checksum by length, alone and together with the copy.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use netstrata::wire::{checksum, checksum::copy_and_sum};

const LENGTHS: [usize; 7] = [20, 40, 64, 128, 576, 1460, 65_535];

fn sums(c: &mut Criterion) {
    let octets = vec![0x5a; 65_535];
    let mut group = c.benchmark_group("checksum");
    for len in LENGTHS {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(len),
            &octets[..len],
            |b, octets| {
                b.iter(|| checksum(black_box(octets)));
            },
        );
    }
    group.finish();
    let mut group = c.benchmark_group("copy and checksum");
    let mut into = vec![0; 65_535];
    for len in LENGTHS {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(len),
            &octets[..len],
            |b, octets| {
                b.iter(|| copy_and_sum(black_box(&mut into), black_box(octets)));
            },
        );
    }
    group.finish();
}

criterion_group!(all, sums);
criterion_main!(all);
