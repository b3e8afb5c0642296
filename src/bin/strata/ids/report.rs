//! Alerts and flow records as lines, and how many of them.
//!
//! Invariant: one alert per rule and source in each interval, and a bounded number a second in
//! all; the rest is counted. What is suppressed costs a lookup and formats nothing.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;

use lru::LruCache;
use netstrata::wire::protocol;
use serde_json::{Map, Value, json};

use super::rules::Rule;
use crate::clock::iso;
use crate::flow::{Flow, Reason};
use crate::frame::Stamp;
use crate::view::Ip;

/// Pairs of rule and source remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Alerts printed a second at most, whoever sends.
const PER_SECOND: u32 = 100;

/// Whom an alert is about.
#[derive(Debug, Clone, Copy)]
pub struct Who {
    pub time: Stamp,
    pub src: (IpAddr, Option<u16>),
    pub dst: (IpAddr, Option<u16>),
    /// IP protocol, or `None` for ARP.
    pub proto: Option<u8>,
}

impl Who {
    /// The ends of a packet.
    pub fn of(time: Stamp, ip: &Ip<'_>) -> Self {
        let ports = ip.ports();
        Self {
            time,
            src: (ip.src, ports.map(|p| p.0)),
            dst: (ip.dst, ports.map(|p| p.1)),
            proto: Some(ip.proto),
        }
    }
}

/// Writes alerts and flows, as text or as JSON.
pub struct Report {
    json: bool,
    interval: u64,
    sent: LruCache<(Rule, IpAddr), Sent>,
    second: u64,
    in_second: u32,
    /// Alerts by rule: printed, suppressed.
    pub counts: [(u64, u64); Rule::ALL.len()],
    /// Lines not yet handed on.
    pub out: String,
}

/// When an alert was last printed, and what has not been since.
struct Sent {
    time: Stamp,
    suppressed: u64,
}

impl Report {
    /// A report with one alert per rule and source in `interval` nanoseconds.
    pub fn new(json: bool, interval: u64) -> Self {
        Self {
            json,
            interval,
            sent: LruCache::new(REMEMBERED),
            second: 0,
            in_second: 0,
            counts: Default::default(),
            out: String::new(),
        }
    }

    /// Reports that `rule` was broken by whoever sent this, unless it was lately.
    pub fn alert(&mut self, rule: Rule, who: &Who, detail: fmt::Arguments<'_>) {
        self.alert_by(rule, who.src.0, who, detail);
    }

    /// As [`Report::alert`], with the address to limit by: whom a flood is against, when its
    /// sources are many.
    pub fn alert_by(&mut self, rule: Rule, by: IpAddr, who: &Who, detail: fmt::Arguments<'_>) {
        let counts = self.counts.get_mut(rule as usize);
        let key = (rule, by);
        let before = self.sent.get_mut(&key);
        let lately = before
            .as_ref()
            .is_some_and(|sent| who.time.since(sent.time) < self.interval);
        let second = who.time.0 / 1_000_000_000;
        if second != self.second {
            (self.second, self.in_second) = (second, 0);
        }
        if lately || self.in_second >= PER_SECOND {
            if let Some(sent) = before {
                sent.suppressed += 1;
            }
            if let Some((_, suppressed)) = counts {
                *suppressed += 1;
            }
            return;
        }
        if let Some((printed, _)) = counts {
            *printed += 1;
        }
        self.in_second += 1;
        let suppressed = before.map_or(0, |sent| sent.suppressed);
        let sent = Sent {
            time: who.time,
            suppressed: 0,
        };
        self.sent.put(key, sent);
        match self.json {
            true => self.json_alert(rule, who, detail, suppressed),
            false => self.line_alert(rule, who, detail, suppressed),
        }
    }

    fn line_alert(&mut self, rule: Rule, who: &Who, detail: fmt::Arguments<'_>, suppressed: u64) {
        let signature = rule.signature();
        let more = fmt::from_fn(|f| match suppressed {
            0 => Ok(()),
            n => write!(f, " ({n} more since the last)"),
        });
        self.line(format_args!(
            "{} [{}] {}, severity {} {{{}}} {} -> {}: {detail}{more}",
            iso(who.time),
            rule.id(),
            signature.name,
            signature.severity,
            name(who.proto),
            Printed(who.src),
            Printed(who.dst),
        ));
    }

    fn json_alert(&mut self, rule: Rule, who: &Who, detail: fmt::Arguments<'_>, suppressed: u64) {
        let signature = rule.signature();
        let alert = json!({
            "action": "allowed",
            "gid": 1,
            "signature_id": rule.id(),
            "rev": 1,
            "signature": signature.name,
            "category": signature.category,
            "severity": signature.severity,
            "detail": detail.to_string(),
            "suppressed": suppressed,
        });
        let event = event((iso(who.time), "alert", alert), who.src, who.dst, who.proto);
        self.line(format_args!("{event}"));
    }

    /// Reports a flow.
    pub fn flow(&mut self, flow: &Flow, reason: Reason) {
        if !self.json {
            self.line(format_args!(
                "{} flow {}, {}",
                iso(flow.last),
                Row(flow),
                reason.word()
            ));
            return;
        }
        let has_ports = matches!(flow.proto, protocol::TCP | protocol::UDP);
        let port = |port| has_ports.then_some(port);
        let what = json!({
            "pkts_toserver": flow.to_server.packets,
            "pkts_toclient": flow.to_client.packets,
            "bytes_toserver": flow.to_server.bytes,
            "bytes_toclient": flow.to_client.bytes,
            "start": iso(flow.first),
            "end": iso(flow.last),
            "age": flow.duration().as_secs(),
            "state": flow.state.to_string(),
            "reason": reason.word(),
        });
        let [client, server] = [flow.client, flow.server].map(|(ip, n)| (ip, port(n)));
        let event = event(
            (iso(flow.last), "flow", what),
            client,
            server,
            Some(flow.proto),
        );
        self.line(format_args!("{event}"));
    }

    /// Appends a line.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        use fmt::Write as _;
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{line}");
    }
}

/// An event as Suricata's EVE has them, its fields in that order: when, of what kind, and what
/// there is to say of that kind; who to whom, and by which protocol.
fn event(
    (time, kind, what): (String, &str, Value),
    src: (IpAddr, Option<u16>),
    dst: (IpAddr, Option<u16>),
    proto: Option<u8>,
) -> Value {
    let mut event = Map::new();
    let mut put = |key: &str, value: Value| event.insert(key.into(), value);
    put("timestamp", time.into());
    put("event_type", kind.into());
    for (end, (ip, port)) in [("src", src), ("dest", dst)] {
        put(&format!("{end}_ip"), ip.to_string().into());
        if let Some(port) = port {
            put(&format!("{end}_port"), port.into());
        }
    }
    put("proto", name(proto).to_string().into());
    put(kind, what);
    Value::Object(event)
}

/// A flow in columns: protocol, ends, state, packets and octets each way, duration.
pub struct Row<'a>(pub &'a Flow);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flow = self.0;
        let has_ports = matches!(flow.proto, protocol::TCP | protocol::UDP);
        let end = |end: (IpAddr, u16)| Printed((end.0, has_ports.then_some(end.1))).to_string();
        write!(
            f,
            "{:<6} {:<21} -> {:<21} {:<11} {:>7}/{:<7} packets {:>10}/{:<10} octets {:>9.3} s",
            name(Some(flow.proto)).to_string(),
            end(flow.client),
            end(flow.server),
            flow.state,
            flow.to_server.packets,
            flow.to_client.packets,
            flow.to_server.bytes,
            flow.to_client.bytes,
            flow.duration().as_secs_f64(),
        )
    }
}

/// An address with its port, if it has one.
struct Printed((IpAddr, Option<u16>));

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            (IpAddr::V6(ip), Some(port)) => write!(f, "[{ip}]:{port}"),
            (ip, Some(port)) => write!(f, "{ip}:{port}"),
            (ip, None) => write!(f, "{ip}"),
        }
    }
}

/// The protocol as EVE records spell it.
fn name(proto: Option<u8>) -> impl fmt::Display {
    fmt::from_fn(move |f| match proto {
        None => f.write_str("ARP"),
        Some(protocol::TCP) => f.write_str("TCP"),
        Some(protocol::UDP) => f.write_str("UDP"),
        Some(protocol::ICMP) => f.write_str("ICMP"),
        Some(protocol::ICMPV6) => f.write_str("IPv6-ICMP"),
        Some(protocol::IGMP) => f.write_str("IGMP"),
        Some(n) => write!(f, "{n:03}"),
    })
}
