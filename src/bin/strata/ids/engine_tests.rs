use super::*;
use crate::flow::Table;
use crate::frame::Link;
use crate::random_frames::frames;
use crate::services::Services;
use proptest::prelude::*;
use std::num::NonZeroUsize;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

fn engine(json: bool, flows: usize) -> Engine {
    Engine::new(Parts {
        flows: Table::new(NonZeroUsize::new(flows).unwrap(), Duration::from_secs(60)),
        report: Report::new(json, 10 * SECOND),
        filter: Filter::parse("", &Services::none()).unwrap(),
        thresholds: Thresholds {
            ports: 5,
            scan: SECOND,
            half_open: 10,
            flood: SECOND,
        },
        verify: true,
        tell_flows: true,
    })
}

/// A SYN between addresses and ports, its sums left unfinished.
fn syn(src: [u8; 4], dst: [u8; 4], sport: u16, dport: u16) -> Vec<u8> {
    use netstrata::wire::{Ipv4, Tcp, TcpFlags, protocol};
    let head = Ipv4::new(src.into(), dst.into(), protocol::TCP);
    let mut packet = vec![0; 40];
    head.emit(20, packet.first_chunk_mut().unwrap()).unwrap();
    let tcp = Tcp {
        src: sport,
        dst: dport,
        seq: 1,
        ack: 0,
        flags: TcpFlags::SYN,
        window: 1,
        urgent: 0,
    };
    tcp.emit_partial(&head.header(), &[], 0, &mut packet[20..])
        .unwrap();
    packet
}

fn see(engine: &mut Engine, time: u64, octets: &[u8]) {
    engine.frame(&Frame {
        time: Stamp(time),
        link: Link::Ip,
        octets,
        len: octets.len(),
        trusted: false,
    });
}

#[test]
fn a_flood_of_sources_leaves_memory_and_output_bounded() {
    let mut engine = engine(false, 100);
    engine.tell_flows = false;
    for n in 0..50_000u32 {
        let [_, a, b, c] = n.to_be_bytes();
        let packet = syn([11, a, b, c], [10, 0, 0, 2], 4000, 80);
        see(&mut engine, u64::from(n) * 1000, &packet);
    }
    assert_eq!((engine.flows.len(), engine.flows.seen), (100, 50_000));
    // Fifty milliseconds of it: one alert about the victim, the rest counted.
    assert_eq!(engine.report.counts[Rule::SynFlood as usize], (1, 4_999));
    assert!(
        engine.report.out.lines().count() == 1,
        "{}",
        engine.report.out
    );
}

#[test]
fn slow_and_repeated_probes_are_no_scan() {
    let mut engine = engine(false, 100);
    for n in 0..100 {
        let port = 1000 + n as u16;
        see(
            &mut engine,
            n * SECOND,
            &syn([10, 0, 0, 1], [10, 0, 0, 2], 4000, port),
        );
        see(
            &mut engine,
            n * SECOND,
            &syn([10, 0, 0, 3], [10, 0, 0, 2], port, 80),
        );
    }
    assert_eq!(engine.report.counts[Rule::PortScan as usize], (0, 0));
    for port in 1..=5 {
        see(
            &mut engine,
            200 * SECOND,
            &syn([10, 0, 0, 1], [10, 0, 0, 2], 4000, port),
        );
    }
    assert_eq!(engine.report.counts[Rule::PortScan as usize], (1, 0));
}

#[test]
fn sums_left_to_the_device_are_not_bad() {
    let mut engine = engine(false, 100);
    let mut packet = syn([10, 0, 0, 1], [10, 0, 0, 2], 4000, 80);
    see(&mut engine, 0, &packet);
    assert_eq!(engine.report.counts[Rule::BadTcpChecksum as usize], (0, 0));
    packet[37] ^= 1;
    see(&mut engine, 0, &packet);
    assert_eq!(engine.report.counts[Rule::BadTcpChecksum as usize], (1, 0));
    engine.frame(&Frame {
        time: Stamp(0),
        link: Link::Ip,
        octets: &packet,
        len: packet.len(),
        trusted: true,
    });
    assert_eq!(engine.report.counts[Rule::BadTcpChecksum as usize], (1, 0));
}

proptest! {
    #[test]
    fn any_frames_are_survived(frames in prop::collection::vec(frames(), 0..40), json: bool) {
        let mut engine = engine(json, 7);
        for (n, octets) in frames.iter().enumerate() {
            engine.frame(&Frame {
                time: Stamp(n as u64 * SECOND / 3),
                link: Link::Ethernet,
                octets,
                len: octets.len() + n % 3,
                trusted: false,
            });
        }
        engine.finish();
        prop_assert!(engine.flows.len() <= 7);
        for line in engine.report.out.lines().filter(|_| json) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
        }
    }
}
