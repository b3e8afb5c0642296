//! Flows from a capture file: what an onlooker can tell.
//!
//! Invariant: of connections that are only listed a count is kept, of the one that is drawn its
//! segments; sequence numbers are unwrapped to places in 64 bits, from the SYN where it was
//! seen, else from the first segment.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use netstrata::wire::{Tcp, TcpFlags, TcpOptions, protocol};

use super::model::{Entry, Flow, Span};
use crate::frame::{Frame, Stamp};
use crate::view::View;

/// Connections that a list holds at most.
const LISTED: usize = 100_000;

/// Segments whose acknowledgment is waited for at most.
const AWAITED: usize = 1 << 16;

/// A segment as it was seen.
struct Seen {
    time: Stamp,
    src: SocketAddr,
    dst: SocketAddr,
    tcp: Tcp,
    options: TcpOptions,
    /// Octets of text it had on the wire.
    len: u32,
}

fn seen(frame: &Frame<'_>) -> Option<Seen> {
    let view = View::of(frame);
    let ip = view.ip()?;
    if ip.proto != protocol::TCP || ip.fragment.is_some() {
        return None;
    }
    let (tcp, options, _) = Tcp::parse(ip.payload).ok()?;
    let end = |ip: IpAddr, port| SocketAddr::new(ip, port);
    let header = Tcp::LEN + options.len();
    Some(Seen {
        time: frame.time,
        src: end(ip.src, tcp.src),
        dst: end(ip.dst, tcp.dst),
        options: TcpOptions::parse(options),
        len: u32::try_from(ip.announced.saturating_sub(header)).unwrap_or(0),
        tcp,
    })
}

/// Which connection: its ends in order, and which of those with the same ends it is.
pub type Key = (SocketAddr, SocketAddr, u32);

/// All connections of a capture.
#[derive(Debug, Default)]
pub struct List {
    open: HashMap<(SocketAddr, SocketAddr), usize>,
    listed: Vec<Listed>,
    /// Connections beyond those that fit.
    pub more: u64,
}

#[derive(Debug)]
struct Listed {
    key: Key,
    client: SocketAddr,
    server: SocketAddr,
    octets: [u64; 2],
    packets: u64,
    first: Stamp,
    last: Stamp,
    /// Sequence number of the client's SYN: another one begins another connection.
    syn: Option<u32>,
}

impl List {
    /// Takes a frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let Some(seen) = seen(frame) else { return };
        let ends = (seen.src.min(seen.dst), seen.src.max(seen.dst));
        let opens = seen.tcp.flags.syn() && !seen.tcp.flags.ack();
        let known = self.open.get(&ends).copied();
        let other = |at: usize| {
            let known = self.listed.get(at);
            opens && known.is_some_and(|known| known.syn != Some(seen.tcp.seq))
        };
        let at = match known {
            Some(at) if !other(at) => at,
            _ if self.listed.len() >= LISTED => {
                self.more += u64::from(opens);
                return;
            }
            _ => {
                let nth = known
                    .and_then(|at| self.listed.get(at))
                    .map_or(0, |last| last.key.2 + 1);
                // Who answers with SYN-ACK is the server; else who speaks first is the client.
                let answers = seen.tcp.flags.contains(TcpFlags::SYN | TcpFlags::ACK);
                let (client, server) = match answers {
                    true => (seen.dst, seen.src),
                    false => (seen.src, seen.dst),
                };
                self.listed.push(Listed {
                    key: (ends.0, ends.1, nth),
                    client,
                    server,
                    octets: [0; 2],
                    packets: 0,
                    first: seen.time,
                    last: seen.time,
                    syn: opens.then_some(seen.tcp.seq),
                });
                self.open.insert(ends, self.listed.len() - 1);
                self.listed.len() - 1
            }
        };
        let Some(listed) = self.listed.get_mut(at) else {
            return;
        };
        listed.packets += 1;
        listed.last = listed.last.max(seen.time);
        let [there, back] = &mut listed.octets;
        let way = if seen.src == listed.client {
            there
        } else {
            back
        };
        *way += u64::from(seen.len);
    }

    /// The list, and how each is found again.
    pub fn entries(&self) -> Vec<(Key, Entry)> {
        let entry = |listed: &Listed| {
            let [there, back] = listed.octets;
            let entry = Entry {
                client: listed.client.to_string(),
                server: listed.server.to_string(),
                there,
                back,
                packets: listed.packets,
                seconds: listed.last.since(listed.first) as f64 / 1e9,
            };
            (listed.key, entry)
        };
        self.listed.iter().map(entry).collect()
    }
}

/// One connection of a capture, being read.
#[derive(Debug)]
pub struct Connection {
    key: Key,
    /// Connections with the same ends so far, this one included.
    nth: Option<u32>,
    syn: Option<u32>,
    begin: Option<Stamp>,
    low: Way,
    high: Way,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    flow: Flow,
    /// Number and place of the farthest octet seen.
    origin: Option<(u32, u64)>,
    /// What this side's SYN offers to shift its windows by; `None` where it was not seen.
    offer: Option<Option<u8>>,
    highest: u64,
    acked: u64,
    /// Octets reported by the latest acknowledgment.
    reported: u64,
    /// Segments sent once, by their end: when.
    awaited: BTreeMap<u64, f64>,
    /// Timestamps in the order they were first sent: when.
    stamps: VecDeque<(u32, f64)>,
}

impl Connection {
    /// To read the connection of this key.
    pub fn new(key: Key) -> Self {
        Self {
            key,
            nth: None,
            syn: None,
            begin: None,
            low: Way::default(),
            high: Way::default(),
        }
    }

    /// Takes a frame.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let Some(seen) = seen(frame) else { return };
        let ends = (seen.src.min(seen.dst), seen.src.max(seen.dst));
        if ends != (self.key.0, self.key.1) {
            return;
        }
        // As the list counted them.
        let opens = seen.tcp.flags.syn() && !seen.tcp.flags.ack();
        match &mut self.nth {
            None => {
                self.nth = Some(0);
                self.syn = opens.then_some(seen.tcp.seq);
            }
            Some(nth) if opens && self.syn != Some(seen.tcp.seq) => {
                *nth += 1;
                self.syn = Some(seen.tcp.seq);
            }
            Some(_) => {}
        }
        if self.nth != Some(self.key.2) {
            return;
        }
        let begin = *self.begin.get_or_insert(seen.time);
        // A clock that was set back stands still until it has caught up.
        let t = (seen.time.since(begin) as f64 / 1e9).max(self.low.flow.seconds);
        let (way, other) = if seen.src == ends.0 {
            (&mut self.low, &mut self.high)
        } else {
            (&mut self.high, &mut self.low)
        };
        way.flow.seconds = t;
        other.flow.seconds = t;
        way.speaks(t, &seen);
        // Both sides scale or none does (RFC 7323 §2.2).
        let scale = match (way.offer, other.offer) {
            (Some(Some(ours)), Some(Some(_))) => Some(ours.min(14)),
            (Some(_), Some(_)) => Some(0),
            _ => None,
        };
        other.is_answered(t, &seen, scale);
    }

    /// Both directions, the one with more octets first.
    pub fn flows(self) -> (Flow, Flow) {
        let (mut low, mut high) = (self.low.flow, self.high.flow);
        for (flow, from, to) in [
            (&mut low, self.key.0, self.key.1),
            (&mut high, self.key.1, self.key.0),
        ] {
            (flow.from, flow.to) = (from.to_string(), to.to_string());
            flow.place = "from a capture: in flight and round trips as seen where it was made";
        }
        if high.octets() > low.octets() {
            (high, low)
        } else {
            (low, high)
        }
    }
}

impl Way {
    /// The place of a sequence number, near the farthest one seen.
    fn place(&mut self, number: u32) -> u64 {
        let (at, place) = *self.origin.get_or_insert((number, 0));
        let distance = i64::from(number.wrapping_sub(at) as i32);
        let here = place.saturating_add_signed(distance);
        if distance > 0 {
            self.origin = Some((number, here));
        }
        here
    }

    fn speaks(&mut self, t: f64, seen: &Seen) {
        let tcp = &seen.tcp;
        if tcp.flags.syn() {
            self.origin = Some((tcp.seq.wrapping_add(1), 0));
            self.offer = Some(seen.options.window_scale);
        }
        if let Some((value, _)) = seen.options.timestamps
            && self.stamps.back().is_none_or(|(last, _)| *last != value)
        {
            self.stamps.push_back((value, t));
            if self.stamps.len() > AWAITED {
                self.stamps.pop_front();
            }
        }
        if seen.len == 0 || tcp.flags.rst() {
            return;
        }
        let from = self.place(tcp.seq.wrapping_add(u32::from(tcp.flags.syn())));
        let to = from.saturating_add(u64::from(seen.len));
        let span = Span { t, from, to };
        self.flow.segments += 1;
        if to > self.highest {
            self.flow.sent.push(span);
            self.awaited.insert(to, t);
            if self.awaited.len() > AWAITED {
                self.awaited.pop_first();
            }
            self.highest = to;
        } else {
            self.flow.again.push(span);
            self.flow.repeated += 1;
            // What it answers is ambiguous from now on (RFC 6298 §3).
            self.awaited.remove(&to);
        }
        self.note_flight(t);
    }

    /// The other side's segment says something of this direction.
    fn is_answered(&mut self, t: f64, seen: &Seen, scale: Option<u8>) {
        let tcp = &seen.tcp;
        if !tcp.flags.ack() || tcp.flags.rst() || self.origin.is_none() {
            return;
        }
        let ack = self.place(tcp.ack);
        self.flow.acked.push((t, ack as f64));
        // The window of a SYN is not scaled (RFC 7323 §2.2).
        let scale = if tcp.flags.syn() { Some(0) } else { scale };
        if let Some(scale) = scale {
            let window = u64::from(tcp.window) << scale;
            self.flow.edge.push((t, ack.saturating_add(window) as f64));
        }
        self.reported = 0;
        for (from, to) in seen.options.sack.iter() {
            let (from, to) = (self.place(from), self.place(to));
            if from < to {
                self.flow.sacked.push(Span { t, from, to });
                if from >= ack {
                    self.reported = self.reported.saturating_add(to - from);
                }
            }
        }
        if ack > self.acked {
            self.acked = ack;
            self.measure(t, ack, seen.options.timestamps.map(|(_, echo)| echo));
        }
        self.note_flight(t);
    }

    /// The time since the last segment that this acknowledges was sent, if it was sent once;
    /// else since the timestamp that is echoed was.
    fn measure(&mut self, t: f64, ack: u64, echo: Option<u32>) {
        let later = self.awaited.split_off(&(ack.saturating_add(1)));
        let acked = std::mem::replace(&mut self.awaited, later);
        let sent = acked.last_key_value().map(|(_, sent)| *sent);
        let echoed = || {
            let echo = echo?;
            let at = self.stamps.iter().find(|(value, _)| *value == echo)?;
            Some(at.1)
        };
        let sample = sent.or_else(echoed).map(|sent| t - sent);
        let Some(sample) = sample.filter(|sample| *sample >= 0.0) else {
            return;
        };
        let smooth = match self.flow.srtt.last() {
            Some((_, smooth)) => smooth + (sample - smooth) / 8.0,
            None => sample,
        };
        self.flow.rtt.push((t, sample));
        self.flow.srtt.push((t, smooth));
        if let Some(echo) = echo {
            // Older ones are not echoed any more.
            while self
                .stamps
                .front()
                .is_some_and(|(value, _)| (value.wrapping_sub(echo) as i32) < 0)
            {
                self.stamps.pop_front();
            }
        }
    }

    fn note_flight(&mut self, t: f64) {
        let out = self.highest.saturating_sub(self.acked);
        let flight = out.saturating_sub(self.reported);
        if self.highest > 0 {
            self.flow.flight.push((t, flight as f64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_unwrapped() {
        let mut way = Way::default();
        assert_eq!(way.place(u32::MAX - 9), 0);
        assert_eq!(way.place(90), 100);
        assert_eq!(way.place(u32::MAX), 9);
        for _ in 0..40 {
            let (at, place) = way.origin.unwrap();
            assert_eq!(way.place(at.wrapping_add(1 << 30)), place + (1 << 30));
        }
        assert!(way.origin.unwrap().1 > u64::from(u32::MAX));
    }
}
