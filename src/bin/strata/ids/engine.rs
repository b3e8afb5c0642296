//! Frames in, alerts and flows out.
//!
//! Invariant: any frames, however many, leave memory bounded by the limits of the watches; a
//! packet of a known flow that breaks no rule allocates nothing.

use super::arp::ArpWatch;
use super::fragment::FragmentWatch;
use super::packet;
use super::report::{Report, Who};
use super::rules::Rule;
use super::scan::{ScanWatch, Thresholds};
use crate::filter::Filter;
use crate::flow::{Reason, Table};
use crate::frame::{Frame, Stamp};
use crate::view::{Net, View};

/// How often silent flows are looked for, in nanoseconds.
const TICK: u64 = 1_000_000_000;

/// All that is watched.
pub struct Engine {
    pub flows: Table,
    pub report: Report,
    filter: Filter,
    arp: ArpWatch,
    scan: ScanWatch,
    fragments: FragmentWatch,
    verify: bool,
    tell_flows: bool,
    swept: Stamp,
    /// Frames looked at.
    pub frames: u64,
}

/// What an engine is made of.
pub struct Parts {
    pub flows: Table,
    pub report: Report,
    pub filter: Filter,
    pub thresholds: Thresholds,
    /// Verify checksums.
    pub verify: bool,
    /// Report each flow when it ends.
    pub tell_flows: bool,
}

impl Engine {
    /// Nothing seen yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            flows: parts.flows,
            report: parts.report,
            filter: parts.filter,
            arp: ArpWatch::new(),
            scan: ScanWatch::new(parts.thresholds),
            fragments: FragmentWatch::new(),
            verify: parts.verify,
            tell_flows: parts.tell_flows,
            swept: Stamp::default(),
            frames: 0,
        }
    }

    /// Takes a frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let view = View::of(frame);
        if !self.filter.matches(&view) {
            return;
        }
        self.frames += 1;
        if frame.time.since(self.swept) >= TICK {
            self.sweep(frame.time);
        }
        let report = &mut self.report;
        let ip = match &view.net {
            Net::Ip(ip) => ip,
            Net::Arp(arp) => {
                let from = view.link.map(|link| link.src);
                self.arp.message(frame.time, from, arp, report);
                return;
            }
            Net::Malformed => {
                self.malformed(frame);
                return;
            }
            Net::Other => return,
        };
        packet::addresses(frame, &view, ip, report);
        if self.verify {
            packet::checksums(frame, ip, report);
        }
        if let Some(fragment) = ip.fragment {
            self.fragments.packet(frame.time, ip, fragment, report);
        }
        let tell = self.tell_flows;
        let change = self
            .flows
            .packet(frame.time, frame.len, ip, |flow, reason| {
                if tell {
                    report.flow(flow, reason);
                }
            });
        self.scan.packet(frame.time, ip, change, report);
    }

    /// A header that contradicts itself; one that was cut short by the capture is no fault.
    fn malformed(&mut self, frame: &Frame<'_>) {
        if frame.octets.len() < frame.len {
            return;
        }
        let nobody = std::net::Ipv4Addr::UNSPECIFIED.into();
        let who = Who {
            time: frame.time,
            src: (nobody, None),
            dst: (nobody, None),
            proto: Some(0),
        };
        let detail = format_args!("IP header in a frame of {} octets", frame.len);
        self.report.alert(Rule::Malformed, &who, detail);
    }

    /// Lets flows end that have been silent for long.
    pub fn sweep(&mut self, now: Stamp) {
        self.swept = now;
        let (tell, report) = (self.tell_flows, &mut self.report);
        self.flows.expire(now, |flow, reason| {
            if tell {
                report.flow(flow, reason);
            }
        });
    }

    /// Reports what is still in the table.
    pub fn finish(&mut self) {
        for flow in self.flows.iter() {
            self.report.flow(flow, Reason::Shutdown);
        }
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
