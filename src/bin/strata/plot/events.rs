//! Flows from a file of `--trace`; what its lines mean stands in [`crate::trace`].
//!
//! Invariant: any file gives flows or an error with the number of the line; an unknown kind of
//! event, or an unknown field, is passed over.

use std::io::BufRead;

use serde_json::Value;

use super::model::{Entry, Flow, Mark, Span};

/// Why a trace, or the rest of it, cannot be read.
#[derive(Debug)]
pub enum Bad {
    /// It is no trace.
    NoTrace,
    /// A trace of a later version of this command.
    Version(u64),
    /// This line is no event.
    Line(usize),
    /// It cannot be read.
    Io(std::io::Error),
}

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoTrace => f.write_str("no trace of strata"),
            Self::Version(n) => write!(f, "a trace of version {n}, and version 1 is known here"),
            Self::Line(n) => write!(f, "line {n} is no event: the trace is cut short or damaged"),
            Self::Io(e) => e.fmt(f),
        }
    }
}

/// Seconds beyond which a time is none: they are told from the next at microseconds below it.
const LATEST: f64 = 1e9;

/// Both directions of a connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// From us to the peer, with what only the sender knows.
    pub out: Flow,
    /// From the peer to us.
    pub back: Flow,
    /// It was opened by the peer.
    passive: bool,
    begin: f64,
    packets: u64,
    /// Octets of ours in flight.
    flight: f64,
    /// Since when losses are repaired.
    repairing: Option<f64>,
    /// Place after the last octet of the peer.
    heard: u64,
}

/// Reads all of it; what was read before an error counts.
pub fn read(input: impl BufRead) -> (Vec<Connection>, Result<(), Bad>) {
    let mut connections = Vec::new();
    let read = lines(input, &mut connections);
    for connection in &mut connections {
        connection.end();
    }
    (connections, read)
}

fn lines(mut input: impl BufRead, connections: &mut Vec<Connection>) -> Result<(), Bad> {
    let mut line = Vec::new();
    let mut control = None;
    let mut ended = false;
    // Each turn reads a line, of which a file has so many.
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line).map_err(Bad::Io)? == 0 {
            return match number {
                1 => Err(Bad::NoTrace),
                _ if ended => Ok(()),
                _ => Err(Bad::Line(number)),
            };
        }
        let event: Value = match serde_json::from_slice(&line) {
            Ok(event) => event,
            Err(_) if number == 1 => return Err(Bad::NoTrace),
            Err(_) => return Err(Bad::Line(number)),
        };
        if number == 1 {
            match (event["trace"].as_str(), event["version"].as_u64()) {
                (Some("strata"), Some(1)) => {}
                (Some("strata"), Some(version)) => return Err(Bad::Version(version)),
                _ => return Err(Bad::NoTrace),
            }
            control = event["congestion"].as_str().map(str::to_owned);
            continue;
        }
        let t = event["t"].as_f64().filter(|t| t.abs() < LATEST);
        let (Some(t), Some(kind)) = (t, event["e"].as_str()) else {
            return Err(Bad::Line(number));
        };
        if kind == "end" {
            ended = true;
            continue;
        }
        let Some(n) = event["c"].as_u64().filter(|n| *n > 0) else {
            return Err(Bad::Line(number));
        };
        // They are numbered in the order they were opened.
        if kind == "opened" && n == connections.len() as u64 + 1 {
            connections.push(Connection::opened(t, &event, control.as_deref()));
        }
        let at = usize::try_from(n - 1).unwrap_or(usize::MAX);
        connections
            .get_mut(at)
            .ok_or(Bad::Line(number))?
            .event(t, kind, &event);
    }
    Ok(())
}

impl Connection {
    fn opened(t: f64, event: &Value, control: Option<&str>) -> Self {
        let end = |name: &str| event[name].as_str().unwrap_or("?").to_owned();
        let (local, peer) = (end("local"), end("peer"));
        let mut new = Self {
            begin: t,
            passive: event["state"] != "SYN-SENT",
            ..Self::default()
        };
        (new.out.from, new.out.to) = (local.clone(), peer.clone());
        (new.back.from, new.back.to) = (peer, local);
        new.out.control = control.map(str::to_owned);
        new.out.place = "seen by the sender";
        new.back.place = "seen by the receiver";
        new
    }

    /// For a list of them.
    pub fn entry(&self) -> Entry {
        let (there, back) = (self.out.octets(), self.back.octets());
        let (client, server) = (self.out.from.clone(), self.out.to.clone());
        let (client, server, there, back) = if self.passive {
            (server, client, back, there)
        } else {
            (client, server, there, back)
        };
        Entry {
            client,
            server,
            there,
            back,
            packets: self.packets,
            seconds: self.out.seconds,
        }
    }

    fn event(&mut self, t: f64, kind: &str, event: &Value) {
        let t = (t - self.begin).max(self.out.seconds);
        self.out.seconds = t;
        self.back.seconds = t;
        let number = |name: &str| event[name].as_u64();
        let (out, back) = (&mut self.out, &mut self.back);
        match kind {
            "sent" => {
                self.packets += 1;
                let (seq, len) = (number("seq").unwrap_or(0), number("len").unwrap_or(0));
                let n = number("n").unwrap_or(1);
                if len > 0 {
                    let again = event["again"] == true;
                    let spans = if again { &mut out.again } else { &mut out.sent };
                    spans.push(Span {
                        t,
                        from: seq,
                        to: seq.saturating_add(len),
                    });
                    out.segments += n;
                    out.repeated += if again { n } else { 0 };
                    self.flight += len as f64;
                    out.flight.push((t, self.flight));
                }
                answered(back, t, event);
            }
            "received" => {
                self.packets += 1;
                let (seq, len) = (number("seq").unwrap_or(0), number("len").unwrap_or(0));
                if len > 0 {
                    let to = seq.saturating_add(len);
                    let again = seq < self.heard;
                    let spans = if again {
                        &mut back.again
                    } else {
                        &mut back.sent
                    };
                    spans.push(Span { t, from: seq, to });
                    self.heard = self.heard.max(to);
                    back.segments += 1;
                    back.repeated += u64::from(again);
                }
                answered(out, t, event);
            }
            "sack" => {
                if let (Some(from), Some(to)) = (number("from"), number("to")) {
                    out.sacked.push(Span { t, from, to });
                }
            }
            "rtt" => out.rtt.extend(event["rtt"].as_f64().map(|rtt| (t, rtt))),
            "cwnd" => {
                let value = |name: &str| event[name].as_f64();
                out.cwnd.extend(value("cwnd").map(|v| (t, v)));
                out.ssthresh.extend(value("ssthresh").map(|v| (t, v)));
                out.srtt.extend(value("srtt").map(|v| (t, v)));
                out.rto.extend(value("rto").map(|v| (t, v)));
                if let Some(flight) = value("flight") {
                    self.flight = flight;
                    out.flight.push((t, flight));
                }
            }
            "ca_state" => {
                let repairs = matches!(event["to"].as_str(), Some("recovery" | "loss" | "cwr"));
                match (self.repairing, repairs) {
                    (None, true) => self.repairing = Some(t),
                    (Some(since), false) => {
                        self.repairing = None;
                        out.recovery.push((since, t));
                    }
                    _ => {}
                }
            }
            "rto" => out.marks.push((t, Mark::Timeout)),
            "tlp" => out.marks.push((t, Mark::Probe)),
            "undo" => out.marks.push((t, Mark::Undo)),
            "loss" if event["kind"] == "ecn" => out.marks.push((t, Mark::Ecn)),
            _ => {}
        }
    }

    fn end(&mut self) {
        if let Some(since) = self.repairing.take() {
            self.out.recovery.push((since, self.out.seconds));
        }
    }
}

/// What the other side said of this direction: its acknowledgment and window.
fn answered(flow: &mut Flow, t: f64, event: &Value) {
    let flags = event["flags"].as_str().unwrap_or_default();
    let (Some(ack), Some(window)) = (event["ack"].as_u64(), event["wnd"].as_u64()) else {
        return;
    };
    if flags.contains('.') {
        flow.acked.push((t, ack as f64));
        flow.edge.push((t, ack.saturating_add(window) as f64));
    }
}
