//! Port scans by one source, and floods of half-open handshakes against one port.
//!
//! Invariant: bounded sources and targets, the longest silent forgotten first; each source
//! holds no more ports than the threshold. What a source costs is taken over from the one it
//! drives out, so that a flood of sources allocates nothing either.

use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use netstrata::wire::protocol;

use super::report::{Report, Who};
use super::rules::Rule;
use crate::flow::Change;
use crate::frame::Stamp;
use crate::view::Ip;

const SOURCES: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();
const TARGETS: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();

/// When scans and floods are called so.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// Different ports by one source, 2 to 256.
    pub ports: usize,
    /// Within this many nanoseconds.
    pub scan: u64,
    /// Handshakes begun and not ended.
    pub half_open: u32,
    /// Within this many nanoseconds.
    pub flood: u64,
}

/// Watches who begins flows.
pub struct ScanWatch {
    limits: Thresholds,
    sources: LruCache<IpAddr, Vec<(u16, Stamp)>>,
    targets: LruCache<(IpAddr, u16), Target>,
}

/// Half-open handshakes with one port, in this window and the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    since: Stamp,
    now: u32,
    before: u32,
}

impl ScanWatch {
    /// Knows nobody.
    pub fn new(limits: Thresholds) -> Self {
        Self {
            limits,
            sources: LruCache::new(SOURCES),
            targets: LruCache::new(TARGETS),
        }
    }

    /// Takes a packet that meant `change` for its flow.
    pub fn packet(&mut self, time: Stamp, ip: &Ip<'_>, change: Change, report: &mut Report) {
        let Some((src_port, port)) = ip.ports() else {
            return;
        };
        match change {
            Change::None => {}
            Change::Begun => {
                // A well-known port that speaks to an unknown one answers what we did not see.
                let answers = src_port < 1024 && port >= 1024;
                if !answers && (ip.proto == protocol::UDP || probes(ip)) {
                    self.probe(time, ip, port, report);
                }
            }
            Change::Opened => {
                self.probe(time, ip, port, report);
                self.half_open(time, ip, port, report);
            }
            // It is the client that ends a handshake, and as a rule the server that refuses one.
            Change::Completed => self.settle((ip.dst, port)),
            Change::Refused => {
                self.settle((ip.src, src_port));
                self.settle((ip.dst, port));
            }
        }
    }

    fn probe(&mut self, time: Stamp, ip: &Ip<'_>, port: u16, report: &mut Report) {
        let ports = match self.sources.get_mut(&ip.src) {
            Some(ports) => ports,
            None => {
                let mut ports = match self.sources.len() >= SOURCES.get() {
                    true => self
                        .sources
                        .pop_lru()
                        .map_or_else(Vec::new, |(_, ports)| ports),
                    false => Vec::new(),
                };
                ports.clear();
                self.sources.get_or_insert_mut(ip.src, || ports)
            }
        };
        let window = self.limits.scan;
        ports.retain(|(seen, at)| *seen != port && time.since(*at) <= window);
        ports.push((port, time));
        if ports.len() >= self.limits.ports {
            let took = ports.first().map_or(0, |(_, at)| time.since(*at)) / 1_000_000;
            let detail = format_args!("{} ports in {took} ms, the last {port}", ports.len());
            report.alert(Rule::PortScan, &Who::of(time, ip), detail);
            ports.clear();
        }
    }

    fn half_open(&mut self, time: Stamp, ip: &Ip<'_>, port: u16, report: &mut Report) {
        let fresh = || Target {
            since: time,
            ..Target::default()
        };
        let target = self.targets.get_or_insert_mut((ip.dst, port), fresh);
        let age = time.since(target.since);
        if age > self.limits.flood {
            // What is older than the window before does not count any more.
            let before = if age > self.limits.flood.saturating_mul(2) {
                0
            } else {
                target.now
            };
            *target = Target {
                since: time,
                now: 0,
                before,
            };
        }
        target.now = target.now.saturating_add(1);
        // The window that ends now reaches into the one before by what this one has left.
        let left = self.limits.flood.saturating_sub(time.since(target.since));
        let reach = u128::from(target.before) * u128::from(left);
        let reach = reach / u128::from(self.limits.flood.max(1));
        let half_open = target.now.saturating_add(reach as u32);
        if half_open >= self.limits.half_open {
            let detail = format_args!(
                "{half_open} handshakes begun and not ended within {} ms",
                self.limits.flood / 1_000_000
            );
            report.alert_by(Rule::SynFlood, ip.dst, &Who::of(time, ip), detail);
            (target.now, target.before) = (0, 0);
        }
    }

    fn settle(&mut self, target: (IpAddr, u16)) {
        if let Some(target) = self.targets.get_mut(&target) {
            match target.before {
                0 => target.now = target.now.saturating_sub(1),
                _ => target.before -= 1,
            }
        }
    }
}

/// Whether a segment that begins a flow without a SYN is a probe: no stack sends these first.
fn probes(ip: &Ip<'_>) -> bool {
    crate::flow::flags(ip).is_some_and(super::packet::impossible)
}
