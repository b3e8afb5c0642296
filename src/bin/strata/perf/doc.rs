//! The JSON of `-J`, of iperf3's shape.
//!
//! Invariant: what a program that reads iperf3's JSON looks for has the same name, place, unit
//! and kind here.

use serde_json::{Map, Value, json};

use super::format::{bits, share};
use super::report::Summary;
use super::results::StreamResult;
use super::tally::{Figures, Link, sum};
use super::test::{Interval, Test};

/// The document so far.
#[derive(Debug, Default)]
pub struct Doc {
    start: Map<String, Value>,
    intervals: Vec<Value>,
    end: Map<String, Value>,
    more: Map<String, Value>,
    /// On one line.
    pub compact: bool,
}

impl Doc {
    /// An empty one; on one line if `compact`.
    pub fn new(compact: bool) -> Self {
        Self {
            compact,
            ..Self::default()
        }
    }

    /// Adds to `start`.
    pub fn start(&mut self, name: &str, value: impl Into<Value>) {
        self.start.insert(name.into(), value.into());
    }

    /// Adds at the top, `error` for example.
    pub fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.more.insert(name.into(), value.into());
    }

    /// The streams and what was asked for.
    pub fn begin(&mut self, test: &Test) {
        let connected: Vec<_> = test
            .streams
            .iter()
            .enumerate()
            .map(|(n, stream)| {
                json!({
                    "socket": n + 1,
                    "local_host": stream.local.ip().to_string(),
                    "local_port": stream.local.port(),
                    "remote_host": stream.remote.ip().to_string(),
                    "remote_port": stream.remote.port(),
                })
            })
            .collect();
        let p = &test.params;
        self.start("connected", connected);
        self.start("target_bitrate", p.rate);
        self.start("sock_bufsize", p.window);
        self.start(
            "test_start",
            json!({
                "protocol": p.protocol(), "num_streams": p.parallel, "blksize": p.len,
                "omit": p.omit, "duration": p.time, "bytes": p.bytes, "blocks": p.blocks,
                "reverse": u8::from(p.reverse), "bidir": u8::from(p.bidir), "tos": p.tos,
                "target_bitrate": p.rate,
            }),
        );
    }

    /// What moved between two reports.
    pub fn interval(&mut self, test: &Test, interval: &Interval) {
        let udp = test.params.udp;
        let time = (interval.from, interval.to, interval.to - interval.from);
        let streams: Vec<_> = interval
            .streams
            .iter()
            .zip(&test.streams)
            .enumerate()
            .map(|(n, ((figures, link), stream))| {
                let mut o = moved(udp, time, figures, stream.sends);
                o.insert("socket".into(), json!(n + 1));
                o.insert("omitted".into(), json!(interval.omitted));
                if !udp && stream.sends {
                    o.extend(connection(link));
                }
                Value::Object(o)
            })
            .collect();
        let mut o = Map::from_iter([("streams".into(), Value::Array(streams))]);
        for (name, sends) in names(test, "sum") {
            let these = interval.streams.iter().zip(&test.streams);
            let these = these.filter(|(_, stream)| stream.sends == sends);
            let all = sum(these.map(|((figures, _), _)| figures));
            let mut sum = moved(udp, time, &all, sends);
            sum.insert("omitted".into(), json!(interval.omitted));
            o.insert(name, Value::Object(sum));
        }
        self.intervals.push(Value::Object(o));
    }

    /// What it came to.
    pub fn end(&mut self, test: &Test, summary: &Summary) {
        let udp = test.params.udp;
        let none = StreamResult::default();
        let streams: Vec<_> = summary
            .streams
            .iter()
            .zip(&test.streams)
            .map(|(both, stream)| {
                let (sent, received) = (both.sent.unwrap_or(none), both.received.unwrap_or(none));
                let label = |mut o: Map<String, Value>| {
                    o.insert("socket".into(), json!(both.index + 1));
                    Value::Object(o)
                };
                if udp {
                    // What was sent, with what became of it on the way.
                    let shown = both.sent.unwrap_or(received);
                    let mut figures = both.received.map_or(sent.figures, |r| r.figures);
                    figures.octets = shown.figures.octets;
                    figures.packets = shown.figures.packets.max(figures.packets);
                    let time = (0.0, shown.seconds, shown.seconds);
                    let mut o = moved(true, time, &figures, stream.sends);
                    o.extend(on_the_way(&figures));
                    o.insert("out_of_order".into(), json!(figures.out_of_order));
                    return json!({ "udp": label(o) });
                }
                let mut from = side(udp, &sent, true, stream.sends);
                if stream.sends {
                    let seen = &stream.extremes;
                    from.insert("max_snd_cwnd".into(), json!(seen.cwnd));
                    from.insert("max_snd_wnd".into(), json!(seen.wnd));
                    from.insert("max_rtt".into(), json!(seen.max_rtt));
                    from.insert("min_rtt".into(), json!(seen.min_rtt));
                    from.insert("mean_rtt".into(), json!(seen.mean_rtt()));
                }
                let to = side(udp, &received, false, stream.sends);
                json!({ "sender": label(from), "receiver": label(to) })
            })
            .collect();
        self.end.insert("streams".into(), Value::Array(streams));
        for (part, sender) in [("sum_sent", true), ("sum_received", false)] {
            for (name, sends) in names(test, part) {
                let (sent, received) = summary.sum(sends);
                let result = if sender { sent } else { received }.unwrap_or(none);
                self.end
                    .insert(name, Value::Object(side(udp, &result, sender, sends)));
            }
        }
        if udp {
            for (name, sends) in names(test, "sum") {
                let (sent, received) = summary.sum(sends);
                let both = received.or(sent).unwrap_or(none);
                let mut o = side(true, &both, false, sends);
                if let Some(sent) = sent {
                    o.insert("bytes".into(), json!(sent.figures.octets));
                    let rate = bits(sent.figures.octets, sent.seconds);
                    o.insert("bits_per_second".into(), json!(rate));
                    o.insert("packets".into(), json!(sent.figures.packets));
                }
                self.end.insert(name, Value::Object(o));
            }
        }
        self.ends(test, summary);
    }

    /// The two ends.
    fn ends(&mut self, test: &Test, summary: &Summary) {
        let host = summary.local.cpu;
        let remote = summary.remote.as_ref().map(|r| r.cpu).unwrap_or_default();
        self.end.insert(
            "cpu_utilization_percent".into(),
            json!({
                "host_total": host.total(), "host_user": host.user, "host_system": host.system,
                "remote_total": remote.total(), "remote_user": remote.user,
                "remote_system": remote.system,
            }),
        );
        let ours = summary.local.congestion.clone();
        let theirs = summary.remote.as_ref().and_then(|r| r.congestion.clone());
        let sends = test.streams.first().is_some_and(|stream| stream.sends);
        let names = match sends {
            true => [("sender", ours), ("receiver", theirs)],
            false => [("sender", theirs), ("receiver", ours)],
        };
        for (side, name) in names {
            if let Some(name) = name {
                self.end
                    .insert(format!("{side}_tcp_congestion"), json!(name));
            }
        }
    }

    /// The whole of it, and an empty one for the next test.
    pub fn take(&mut self) -> String {
        let doc = core::mem::replace(self, Self::new(self.compact));
        let mut whole = Map::new();
        whole.insert("start".into(), Value::Object(doc.start));
        whole.insert("intervals".into(), Value::Array(doc.intervals));
        whole.insert("end".into(), Value::Object(doc.end));
        whole.extend(doc.more);
        let whole = Value::Object(whole);
        if self.compact {
            whole.to_string()
        } else {
            format!("{whole:#}")
        }
    }
}

/// The sums there are, by name, and whether they are of what we send.
fn names(test: &Test, name: &str) -> Vec<(String, bool)> {
    let first = test.streams.first().is_none_or(|stream| stream.sends);
    let mut names = vec![(name.into(), first)];
    if test.params.bidir {
        names.push((format!("{name}_bidir_reverse"), !first));
    }
    names
}

/// One side's view of a stream, or of all of a direction.
fn side(udp: bool, result: &StreamResult, sender: bool, sends: bool) -> Map<String, Value> {
    let mut figures = result.figures;
    if sender {
        (figures.lost, figures.jitter) = (0, 0.0);
    }
    let time = (0.0, result.seconds, result.seconds);
    let mut o = moved(udp, time, &figures, sends);
    if udp {
        o.extend(on_the_way(&figures));
    }
    if !sender {
        o.shift_remove("retransmits");
    } else if !udp {
        o.insert("retransmits".into(), json!(figures.retransmits));
    }
    o
}

fn moved(
    udp: bool,
    (start, end, seconds): (f64, f64, f64),
    figures: &Figures,
    sends: bool,
) -> Map<String, Value> {
    let mut o = Map::new();
    let mut put = |name: &str, value: Value| {
        o.insert(name.into(), value);
    };
    put("start", json!(start));
    put("end", json!(end));
    put("seconds", json!(seconds));
    put("bytes", json!(figures.octets));
    put("bits_per_second", json!(bits(figures.octets, seconds)));
    put("sender", json!(sends));
    match (udp, sends) {
        (false, true) => put("retransmits", json!(figures.retransmits)),
        (false, false) => {}
        (true, _) => put("packets", json!(figures.packets)),
    }
    if udp && !sends {
        o.extend(on_the_way(figures));
    }
    o
}

fn on_the_way(figures: &Figures) -> [(String, Value); 3] {
    let missing = figures.missing();
    [
        ("jitter_ms".into(), json!(figures.jitter * 1e3)),
        ("lost_packets".into(), json!(missing)),
        (
            "lost_percent".into(),
            json!(share(missing, figures.packets)),
        ),
    ]
}

fn connection(link: &Link) -> [(String, Value); 5] {
    [
        ("snd_cwnd".into(), json!(link.cwnd)),
        ("snd_wnd".into(), json!(link.wnd)),
        ("rtt".into(), json!(link.rtt)),
        ("rttvar".into(), json!(link.rttvar)),
        ("pmtu".into(), json!(link.pmtu)),
    ]
}
