//! Who talks to whom: a table of flows, bounded, the longest silent evicted first.
//!
//! Invariant: at most as many flows as the table was made for, each of constant size; a packet
//! of a known flow allocates nothing. States are what an onlooker can tell from flags, not what
//! the two ends know.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use netstrata::wire::{TcpFlags, protocol};

use crate::frame::Stamp;
use crate::view::Ip;

/// One end of a flow: address and port, 0 where there are no ports. Echo messages have their
/// identifier instead.
pub type End = (IpAddr, u16);

/// A flow, whichever way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    proto: u8,
    low: End,
    high: End,
}

/// Packets and octets in one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames.
    pub packets: u64,
    /// Octets on the wire, link headers included.
    pub bytes: u64,
}

/// What is known of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// IP protocol.
    pub proto: u8,
    /// Who spoke first.
    pub client: End,
    /// To whom.
    pub server: End,
    /// From the client.
    pub to_server: Traffic,
    /// From the server.
    pub to_client: Traffic,
    /// When the first packet came.
    pub first: Stamp,
    /// When the last packet came.
    pub last: Stamp,
    /// How far it has come.
    pub state: State,
}

/// How far a flow has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// One side has spoken.
    New,
    /// Both sides have, or TCP's handshake is over, or was never seen.
    Established,
    /// TCP: a SYN was seen.
    SynSent,
    /// TCP: and its answer.
    SynReceived,
    /// TCP: one side has no more to send.
    Closing,
    /// TCP: neither has.
    Closed,
    /// TCP: somebody broke it off.
    Reset,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::New => "new",
            Self::Established => "established",
            Self::SynSent => "syn_sent",
            Self::SynReceived => "syn_recv",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Reset => "reset",
        })
    }
}

/// What a packet meant for its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing of note.
    None,
    /// It began one.
    Begun,
    /// It began a TCP handshake.
    Opened,
    /// It ended a TCP handshake whose SYN was seen.
    Completed,
    /// It refused a TCP handshake whose SYN was seen.
    Refused,
}

/// Why a flow left the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was heard for long.
    Timeout,
    /// The table was full.
    Evicted,
    /// The ports were used anew.
    Reused,
    /// The table went.
    Shutdown,
}

impl Reason {
    /// The word for it in flow records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Evicted => "forced",
            Self::Reused => "reused",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The table.
pub struct Table {
    flows: LruCache<Key, Flow>,
    idle: u64,
    /// Flows ever seen.
    pub seen: u64,
}

impl Table {
    /// A table of `limit` flows, which end when silent for `idle`.
    pub fn new(limit: NonZeroUsize, idle: Duration) -> Self {
        Self {
            flows: LruCache::new(limit),
            idle: u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX),
            seen: 0,
        }
    }

    /// Takes a packet of `len` octets on the wire; flows it drives out are handed to `ended`.
    pub fn packet(
        &mut self,
        time: Stamp,
        len: usize,
        ip: &Ip<'_>,
        mut ended: impl FnMut(&Flow, Reason),
    ) -> Change {
        let flags = flags(ip);
        let (src, dst) = ends(ip);
        let key = Key {
            proto: ip.proto,
            low: src.min(dst),
            high: src.max(dst),
        };
        let traffic = Traffic {
            packets: 1,
            bytes: len as u64,
        };
        if let Some(flow) = self.flows.get_mut(&key) {
            let over = time.since(flow.last) > self.idle;
            let anew = opens(flags) && matches!(flow.state, State::Closed | State::Reset);
            if !over && !anew {
                return flow.more(time, src, traffic, flags);
            }
            ended(
                flow,
                if over {
                    Reason::Timeout
                } else {
                    Reason::Reused
                },
            );
        }
        self.seen += 1;
        let flow = Flow {
            proto: ip.proto,
            client: src,
            server: dst,
            to_server: traffic,
            to_client: Traffic::default(),
            first: time,
            last: time,
            state: first_state(flags),
        };
        let replaced = self.flows.push(key, flow);
        // What is pushed out under its own key was handed over above.
        if let Some((_, flow)) = replaced.filter(|(other, _)| *other != key) {
            ended(&flow, Reason::Evicted);
        }
        match flow.state {
            State::SynSent => Change::Opened,
            _ => Change::Begun,
        }
    }

    /// Hands flows that have been silent for long to `ended`, and forgets them.
    pub fn expire(&mut self, now: Stamp, mut ended: impl FnMut(&Flow, Reason)) {
        // Each turn takes a flow out; the first that is not old ends it.
        while let Some((_, flow)) = self.flows.peek_lru() {
            if now.since(flow.last) <= self.idle {
                return;
            }
            if let Some((_, flow)) = self.flows.pop_lru() {
                ended(&flow, Reason::Timeout);
            }
        }
    }

    /// The flows in the table, the last heard of first.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter().map(|(_, flow)| flow)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.flows.len()
    }
}

impl Flow {
    fn more(&mut self, time: Stamp, src: End, by: Traffic, flags: Option<TcpFlags>) -> Change {
        let from_client = src == self.client;
        let side = match from_client {
            true => &mut self.to_server,
            false => &mut self.to_client,
        };
        side.packets = side.packets.saturating_add(by.packets);
        side.bytes = side.bytes.saturating_add(by.bytes);
        self.last = self.last.max(time);
        let Some(flags) = flags else {
            if !from_client {
                self.state = State::Established;
            }
            return Change::None;
        };
        let half_open = matches!(self.state, State::SynSent | State::SynReceived);
        let (state, change) = match self.state {
            _ if flags.rst() && half_open => (State::Reset, Change::Refused),
            _ if flags.rst() => (State::Reset, Change::None),
            State::SynSent if flags.syn() && !from_client => (State::SynReceived, Change::None),
            // Nobody but the client can know what the server's SYN says.
            State::SynReceived if flags.ack() && !flags.syn() && from_client => {
                (State::Established, Change::Completed)
            }
            State::New | State::Established if flags.fin() => (State::Closing, Change::None),
            State::New if !from_client => (State::Established, Change::None),
            // The first FIN was the other side's, or this is a repetition: both look alike to
            // an onlooker, who takes the kinder reading.
            State::Closing if flags.fin() => (State::Closed, Change::None),
            same => (same, Change::None),
        };
        self.state = state;
        change
    }

    /// Between first and last packet.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.last.since(self.first))
    }
}

/// The flags of a TCP segment whose header is there.
pub fn flags(ip: &Ip<'_>) -> Option<TcpFlags> {
    match (ip.proto, ip.payload) {
        (protocol::TCP, [_, _, _, _, _, _, _, _, _, _, _, _, high, low, ..]) if ip.is_first() => {
            Some(TcpFlags::from_bits(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

/// Whether this is the first segment of a handshake.
fn opens(flags: Option<TcpFlags>) -> bool {
    flags.is_some_and(|flags| flags.syn() && !flags.intersects(TcpFlags::ACK | TcpFlags::RST))
}

fn first_state(flags: Option<TcpFlags>) -> State {
    match flags {
        _ if opens(flags) => State::SynSent,
        Some(flags) if flags.rst() => State::Reset,
        // The beginning was not seen.
        Some(flags) if flags.ack() && !flags.syn() => State::Established,
        _ => State::New,
    }
}

/// Source and destination.
fn ends(ip: &Ip<'_>) -> (End, End) {
    let (src, dst) = match (ip.ports(), ip.proto, ip.payload) {
        (Some(ports), ..) => ports,
        // Echo and its reply, of either version: the identifier tells one ping from another.
        (None, protocol::ICMP, [0 | 8, _, _, _, a, b, ..])
        | (None, protocol::ICMPV6, [128 | 129, _, _, _, a, b, ..])
            if ip.is_first() =>
        {
            let ident = u16::from_be_bytes([*a, *b]);
            (ident, ident)
        }
        _ => (0, 0),
    };
    ((ip.src, src), (ip.dst, dst))
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
