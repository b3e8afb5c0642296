//! What passes between the stacks, and whether it may: every segment sent is held against what
//! its sender sent before and what had reached it.
//!
//! Sequence numbers are counted from the sender's initial one, so that its SYN is octet 0. What
//! arrives damaged is as good as lost: only what a stack can have seen counts.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;

use netstrata::phy::{Gso, Instant};
use netstrata::wire::{Ipv4, Tcp, TcpOptions, protocol};

use super::seen::{Seen, parse};
use super::spans::Spans;
use crate::support::{Seed, pattern};

/// Frames kept for the report of a failure.
const KEPT: usize = 120;

/// Octet `n` of what one end of a connection sends; `ports` are its own and the peer's.
pub fn octet(ports: (u16, u16), n: u64) -> u8 {
    let server = ports.0.min(ports.1);
    let salt = u64::from(server) * 7919 + u64::from(ports.0 == server) * 0x5_1234;
    pattern(n.wrapping_add(salt))
}

/// What one side of a connection sent, and what of it arrived.
#[derive(Debug, Default)]
struct Way {
    /// Initial sequence numbers and SYNs it offered, and past what it sent with them; one of them
    /// was taken.
    syns: Vec<(u32, TcpOptions, u64)>,
    /// The one that was taken.
    isn: Option<u32>,
    syn: Option<TcpOptions>,
    /// Past the last octet sent.
    next: u64,
    fin: Option<u64>,
    /// What arrived of it.
    arrived: Spans,
    /// Highest octet of the other side that it acknowledged.
    ack: u64,
    /// Right edge it offered to the other side, as sent and as arrived.
    edge: u64,
    edge_heard: u64,
    /// The right edge that it offered before its SYN was acknowledged.
    edge_first: u64,
    /// What it acknowledged selectively, and what of that arrived.
    sacked: Spans,
    stamp: Option<u32>,
    stamp_heard: Option<u32>,
}

#[derive(Debug, Default)]
struct Flow {
    ways: [Way; 2],
    /// Not understood: a late duplicate of an old SYN, or the like.
    odd: bool,
    /// Memory may be short: what came out of order may be forgotten (RFC 2018 §8).
    tight: bool,
    /// Not all that was sent was seen.
    swallows: bool,
    /// Its timestamps may seem to go back.
    aged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Sent,
    Arrived,
    Damaged,
    TooBig,
    Forged,
}

/// The observer of both hosts.
#[derive(Debug, Default)]
pub struct Watch {
    flows: HashMap<(u16, u16), Flow>,
    log: VecDeque<(Instant, usize, Fate, Vec<u8>)>,
    /// Frames sent by each host.
    pub sent: [u64; 2],
    /// Frames that come to a host from nowhere.
    pub forged: [VecDeque<Vec<u8>>; 2],
    /// Frames of the other host that come by another way than the cable.
    pub late: [VecDeque<Vec<u8>>; 2],
    /// Octets of a packet that the path carries.
    pub path_mtu: usize,
    /// It does not say so when a packet is larger.
    pub black_hole: bool,
    /// The last segments of each host, for forged errors to quote.
    pub recent: [VecDeque<Vec<u8>>; 2],
    /// Some packets of each host from long ago.
    pub old: [VecDeque<(Instant, Vec<u8>)>; 2],
    /// One packet of so many comes in two pieces.
    pub cuts: usize,
    /// What the path draws.
    pub chance: Option<Seed>,
    /// Packets cut so far.
    pub pieces: u16,
    /// The last SYN that began a connection: its port, when, its sequence number.
    pub begun: Option<(u16, Instant, u32)>,
    /// A host had no address: some segments did not come as far as its device.
    pub swallows: bool,
    /// Memory may be short.
    pub tight: bool,
    /// Print everything.
    pub trace: bool,
}

impl Way {
    fn rel(&self, seq: u32) -> u64 {
        u64::from(seq.wrapping_sub(self.isn.unwrap_or(0)))
    }

    /// The SYN that `seq` follows most closely: text may come before a SYN is acknowledged.
    fn syn_before(&mut self, seq: u32) -> Option<&mut (u32, TcpOptions, u64)> {
        let beyond = |isn: u32| seq.wrapping_sub(isn);
        let nearest = self.syns.iter_mut().min_by_key(|(isn, ..)| beyond(*isn));
        nearest.filter(|(isn, ..)| beyond(*isn) < 0x10_0000)
    }
}

/// Shift of the windows of side `by`, if both said they scale.
fn shift(ways: &[Way; 2], by: usize) -> u8 {
    // What came with a SYN-ACK may count before it is acknowledged.
    let syn = |way: &Way| way.syn.or_else(|| Some(way.syns.last()?.1));
    let scale = |side: usize| syn(&ways[side])?.window_scale;
    match (scale(by), scale(1 - by)) {
        (Some(own), Some(_)) => own,
        _ => 0,
    }
}

impl Watch {
    fn note(&mut self, now: Instant, side: usize, fate: Fate, packet: &[u8]) {
        let copy = packet[..packet.len().min(100)].to_vec();
        if self.trace {
            let line = self.line(now, side, fate, &copy, packet.len());
            println!("{line}");
        }
        if self.log.len() == KEPT {
            self.log.pop_front();
        }
        self.log.push_back((now, side, fate, copy));
    }

    /// Host `side` sends `packet`. False: the path does not carry it.
    pub fn sends(
        &mut self,
        now: Instant,
        side: usize,
        packet: &[u8],
        gso: Option<Gso>,
        whole: bool,
    ) -> bool {
        self.sent[side] += 1;
        // What the device cuts is as large as its pieces.
        let piece = |gso: Gso| usize::from(gso.header) + usize::from(gso.mss);
        let fits = gso.map_or(packet.len(), piece) <= self.path_mtu;
        let fate = if fits { Fate::Sent } else { Fate::TooBig };
        self.note(now, side, fate, packet);
        let Some(seen) = parse(packet, whole) else {
            let ip = Ipv4::parse(packet).expect("stacks send packets that parse");
            assert_ne!(ip.0.protocol, protocol::TCP, "a segment with a bad header");
            return fits;
        };
        let recent = &mut self.recent[side];
        if recent.len() == 8 {
            recent.pop_front();
        }
        recent.push_back(packet.to_vec());
        self.keep(now, side, packet, whole);
        if seen.tcp.flags.syn() && !seen.tcp.flags.ack() {
            self.begun = Some((seen.tcp.src, now, seen.tcp.seq));
        }
        assert!(!seen.options.malformed, "malformed options");
        let key = if side == 0 {
            (seen.tcp.src, seen.tcp.dst)
        } else {
            (seen.tcp.dst, seen.tcp.src)
        };
        let flow = self.flows.entry(key).or_default();
        flow.tight = self.tight;
        flow.swallows = self.swallows;
        flow.sends(side, &seen, gso);
        fits
    }

    /// `packet` arrived at host `side`.
    pub fn arrives(&mut self, now: Instant, side: usize, packet: &[u8], check: bool) {
        let Some(seen) = parse(packet, check) else {
            self.note(now, side, Fate::Damaged, packet);
            return;
        };
        self.note(now, side, Fate::Arrived, packet);
        let key = if side == 0 {
            (seen.tcp.dst, seen.tcp.src)
        } else {
            (seen.tcp.src, seen.tcp.dst)
        };
        if let Some(flow) = self.flows.get_mut(&key) {
            flow.arrives(1 - side, &seen);
        }
    }

    /// Something forged comes to host `side`.
    pub fn forges(&mut self, now: Instant, side: usize, packet: &[u8]) {
        self.note(now, side, Fate::Forged, packet);
        if let Some(seen) = parse(packet, true) {
            let key = if side == 0 {
                (seen.tcp.dst, seen.tcp.src)
            } else {
                (seen.tcp.src, seen.tcp.dst)
            };
            // It may be reported as a duplicate (RFC 2883).
            if let Some(flow) = self.flows.get_mut(&key) {
                let way = &mut flow.ways[1 - side];
                let seq = way.rel(seen.tcp.seq);
                let past = seq + seen.text.len() as u64 + u64::from(seen.tcp.flags.fin());
                way.arrived.insert(seq, past);
            }
        }
    }

    /// So much time passed that timestamps begin anew (RFC 7323 §5.5).
    pub fn forget_stamps(&mut self) {
        for flow in self.flows.values_mut() {
            flow.aged = true;
        }
        // Nor does a path keep packets for so long.
        (self.old, self.recent) = Default::default();
    }

    /// Host `side` has had two connections with these ports, its own first, from one SYN.
    pub fn twice(&mut self, side: usize, (own, peer): (u16, u16)) {
        let key = if side == 0 { (own, peer) } else { (peer, own) };
        self.flows.entry(key).or_default().odd = true;
    }

    /// Of a connection that stands, by its ports at host 0 and 1: where the window ends that side
    /// `to` offered, in numbers of the wire, and in octets from the SYN on; and is all sent that it takes?
    pub fn edge(&self, key: (u16, u16), to: usize) -> Option<(u32, u64, bool)> {
        let flow = self.flows.get(&key).filter(|flow| !flow.odd)?;
        // The host may take a little more than its scale can say (RFC 7323 §2.4).
        let rounded = (1 << shift(&flow.ways, to)) - 1;
        let edge = flow.ways[to].edge.max(flow.ways[to].edge_first) + rounded;
        let isn = flow.ways[1 - to]
            .isn
            .filter(|_| flow.ways[to].isn.is_some())?;
        let full = rounded == 0 && flow.ways[1 - to].next >= edge;
        Some((isn.wrapping_add(edge as u32), edge, full))
    }

    /// The last frames, a line each.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (now, side, fate, packet) in &self.log {
            let len = Ipv4::parse_unverified(packet).map_or(packet.len(), |_| {
                usize::from(u16::from_be_bytes([packet[2], packet[3]]))
            });
            let _ = writeln!(text, "{}", self.line(*now, *side, *fate, packet, len));
        }
        text
    }

    fn line(&self, now: Instant, side: usize, fate: Fate, packet: &[u8], len: usize) -> String {
        let who = ["east", "west"][side];
        let what = match fate {
            Fate::Sent => "sends",
            Fate::Arrived => "gets",
            Fate::Damaged => "gets damaged",
            Fate::TooBig => "sends too big",
            Fate::Forged => "gets forged",
        };
        let at = now.micros();
        let mut line = format!("{:6}.{:06} {who} {what} ", at / 1_000_000, at % 1_000_000);
        let head = usize::from(packet[0] & 15) * 4;
        let Some((tcp, options)) = packet.get(head..).and_then(|segment| {
            let header: &[u8; 20] = segment.first_chunk()?;
            let end = (usize::from(header[12] >> 4) * 4).min(segment.len());
            let mut bare = *header;
            bare[12] = bare[12] & 15 | 5 << 4;
            let (tcp, ..) = Tcp::parse(&bare).ok()?;
            Some((tcp, segment.get(20..end).unwrap_or(&[])))
        }) else {
            let _ = write!(line, "{len} octets of protocol {}", packet[9]);
            return line;
        };
        if packet[9] != protocol::TCP {
            let _ = write!(line, "{len} octets of protocol {}", packet[9]);
            return line;
        }
        let from = if fate == Fate::Sent || fate == Fate::TooBig {
            side
        } else {
            1 - side
        };
        let key = if from == 0 {
            (tcp.src, tcp.dst)
        } else {
            (tcp.dst, tcp.src)
        };
        let none = Flow::default();
        let ways = &self.flows.get(&key).unwrap_or(&none).ways;
        let seq = tcp.seq.wrapping_sub(ways[from].isn.unwrap_or(0));
        let ack = tcp.ack.wrapping_sub(ways[1 - from].isn.unwrap_or(0));
        let text = len.saturating_sub(head + 20 + options.len());
        let window = usize::from(tcp.window)
            << if tcp.flags.syn() {
                0
            } else {
                shift(ways, from)
            };
        let _ = write!(
            line,
            "{} > {}: {} {seq}:{} ({text}) ack {ack} win {window}",
            tcp.src,
            tcp.dst,
            tcp.flags,
            u64::from(seq) + text as u64
        );
        let options = TcpOptions::parse(options);
        if let Some(mss) = options.mss {
            let _ = write!(line, " mss {mss}");
        }
        if let Some(shift) = options.window_scale {
            let _ = write!(line, " wscale {shift}");
        }
        if options.sack_permitted {
            line += " sackOK";
        }
        if let Some((value, echo)) = options.timestamps {
            let _ = write!(line, " ts {value} {echo}");
        }
        for (left, right) in options.sack.iter() {
            let isn = ways[1 - from].isn.unwrap_or(0);
            let _ = write!(
                line,
                " sack {}:{}",
                left.wrapping_sub(isn),
                right.wrapping_sub(isn)
            );
        }
        line
    }
}

impl Flow {
    fn syn(&mut self, by: usize, seen: &Seen<'_>) {
        let way = &mut self.ways[by];
        let known = way.syns.iter_mut().find(|(isn, ..)| *isn == seen.tcp.seq);
        if let Some((_, options, _)) = known {
            // Said again after the link's MTU changed, it may say more.
            let larger = |mss: Option<u16>| mss.max(seen.options.mss);
            options.mss = larger(options.mss);
            if let Some(taken) = &mut way.syn {
                taken.mss = larger(taken.mss);
            }
            return;
        }
        let begun = !self.ways[by].syns.is_empty();
        if begun && !seen.tcp.flags.ack() {
            // The same ports once more.
            *self = Self::default();
        } else if self.ways[by].isn.is_some() {
            self.odd = true;
            return;
        }
        self.ways[by].syns.push((seen.tcp.seq, seen.options, 1));
    }

    /// The first acknowledgment tells which SYN of the peer was taken.
    fn settle(&mut self, by: usize, seen: &Seen<'_>) {
        let peer = &mut self.ways[1 - by];
        if peer.isn.is_some() {
            return;
        }
        if let Some((isn, options, next)) = peer.syn_before(seen.tcp.ack.wrapping_sub(1)).copied() {
            peer.isn = Some(isn);
            peer.syn = Some(options);
            peer.next = peer.next.max(next);
            // The SYN of the other side, acknowledged, arrived.
            peer.arrived.insert(0, 1);
        }
    }

    fn sends(&mut self, by: usize, seen: &Seen<'_>, gso: Option<Gso>) {
        let Seen {
            tcp, options, text, ..
        } = seen;
        if tcp.flags.syn() {
            self.syn(by, seen);
        }
        if tcp.flags.rst() {
            // What follows, if anything, is another connection, by a cookie even of the same
            // numbers.
            self.odd |= self.ways.iter().all(|way| way.isn.is_some());
            return;
        }
        if tcp.flags.ack() {
            self.settle(by, seen);
        }
        if self.odd {
            return;
        }
        if !tcp.flags.syn() {
            assert!(tcp.flags.ack(), "without ACK");
            let alien =
                options.mss.is_some() || options.window_scale.is_some() || options.sack_permitted;
            assert!(!alien, "options of a SYN");
        }
        let scale = shift(&self.ways, by);
        let [a, b] = &mut self.ways;
        let (own, peer) = if by == 0 { (a, b) } else { (b, a) };
        let ports = (tcp.src, tcp.dst);
        let (Some(_), Some(_)) = (own.isn, peer.isn) else {
            // A SYN, text beside one, or an answer to what no connection of now sent.
            let (left, shift) = match peer.isn {
                Some(isn) => (tcp.ack.wrapping_sub(isn), scale),
                None => (1, 0),
            };
            let shift = if tcp.flags.syn() { 0 } else { shift };
            let edge = u64::from(left) + (u64::from(tcp.window) << shift);
            own.edge_first = own.edge_first.max(edge);
            let count = u64::from(tcp.flags.syn()) + text.len() as u64;
            if let Some((isn, _, next)) = own.syn_before(tcp.seq) {
                let past = u64::from(tcp.seq.wrapping_sub(*isn)) + count;
                *next = (*next).max(past + u64::from(tcp.flags.fin()));
            }
            return;
        };
        if !own.syns.iter().any(|(isn, ..)| Some(*isn) == own.isn) {
            return;
        }

        // Sequence space: RFC 9293 §3.4.
        let seq = own.rel(tcp.seq);
        let first = seq + u64::from(tcp.flags.syn());
        let end = first + text.len() as u64;
        let past = end + u64::from(tcp.flags.fin());
        if seq > 0xc000_0000 {
            // From before this connection: an answer of what went before it.
            self.odd = true;
            return;
        }
        for (n, octet_sent) in (first..).zip(*text) {
            let right = octet(ports, n - 1);
            assert_eq!(*octet_sent, right, "octet {n} is sent as what it is not");
        }
        assert!(
            seq <= own.next || self.swallows,
            "a hole: {seq} after {}",
            own.next
        );
        if let Some(fin) = own.fin {
            let text_end = if text.is_empty() { 0 } else { end };
            assert!(text_end <= fin, "text up to {end} after the FIN at {fin}");
            assert!(!tcp.flags.fin() || end == fin, "a FIN at {end} and {fin}");
        }
        if tcp.flags.fin() {
            assert!(past >= own.next, "a FIN at {end} before {}", own.next);
            own.fin = Some(end);
        }
        own.next = own.next.max(past);

        // The peer's window, as it can have been heard: §3.8.6.
        if !text.is_empty() && !tcp.flags.syn() {
            assert!(
                end <= peer.edge_heard.max(1),
                "text up to {end} beyond the window's edge {}",
                peer.edge_heard
            );
            // RFC 9293 §3.7.1, RFC 6691; the floor is ours.
            let mss = peer.syn.and_then(|syn| syn.mss).unwrap_or(536).max(48);
            let size = gso.map_or(text.len(), |gso| usize::from(gso.mss));
            assert!(
                size + seen.option_octets <= usize::from(mss) || size <= 12,
                "{size} octets and {} of options in an MSS of {mss}",
                seen.option_octets
            );
        }

        // Timestamps: RFC 7323 §3.
        let stamps = [&*own, &*peer].map(|way| way.syn.is_some_and(|s| s.timestamps.is_some()));
        let agreed = stamps == [true, true];
        if !tcp.flags.syn() {
            assert_eq!(options.timestamps.is_some(), agreed, "timestamps");
        }
        if let (Some((value, echo)), true) = (options.timestamps, agreed && !self.aged) {
            if let Some(before) = own.stamp {
                assert!(value.wrapping_sub(before) < 1 << 31, "TSval goes back");
            }
            own.stamp = Some(value);
            if let (Some(heard), false) = (peer.stamp_heard, tcp.flags.syn()) {
                assert!(heard.wrapping_sub(echo) < 1 << 31, "TSecr was never heard");
            }
        }

        if !tcp.flags.ack() {
            return;
        }
        // What it acknowledges: §3.10.7.4.
        let ack = peer.rel(tcp.ack);
        assert!(ack >= own.ack, "ACK goes back from {} to {ack}", own.ack);
        let reach = peer.arrived.reach(0);
        assert!(ack <= reach, "ACK {ack} of what came up to {reach} only");
        // A SYN and a FIN need no window.
        let most = own.edge.max(own.edge_first) + u64::from(peer.fin.is_some());
        assert!(ack <= most, "ACK {ack} beyond the window's edge {most}");
        own.ack = ack;
        if let Some((from, to)) = own.sacked.around(ack).filter(|_| !self.tight) {
            panic!("reneged: {from}:{to} was SACKed, and the ACK is {ack}");
        }
        own.sacked.forget(ack);
        let permitted = [&*own, &*peer].map(|way| way.syn.is_some_and(|s| s.sack_permitted));
        assert!(
            options.sack.is_empty() || permitted == [true, true],
            "SACK without leave"
        );
        for (left, right) in options.sack.iter() {
            let (left, right) = (peer.rel(left), peer.rel(right));
            assert!(left < right, "an empty SACK block at {left}");
            assert!(
                peer.arrived.holds(left, right),
                "SACK of {left}:{right}, which did not come"
            );
            let old = right > 1 << 31;
            assert!(old || right <= most, "SACK {right} beyond the edge {most}");
            // RFC 2883: a block below the ACK, or within another, tells of a duplicate.
            if left > ack {
                own.sacked.insert(left, right);
            }
        }

        // The window it offers: §3.8.6.2.1.
        let unit = scale;
        let scale = if tcp.flags.syn() { 0 } else { scale };
        if peer.fin.is_some_and(|fin| ack > fin) {
            // Nothing can follow a FIN.
            return;
        }
        let edge = ack + (u64::from(tcp.window) << scale);
        let rounded = (1_u64 << unit) - 1;
        assert!(
            edge + rounded >= own.edge,
            "the window's edge goes back from {} to {edge}",
            own.edge
        );
        own.edge = own.edge.max(edge);
    }

    /// A segment of `by` reached the other side.
    fn arrives(&mut self, by: usize, seen: &Seen<'_>) {
        let Seen {
            tcp, options, text, ..
        } = seen;
        if tcp.flags.rst() || self.odd {
            return;
        }
        let scale = shift(&self.ways, by);
        let [a, b] = &mut self.ways;
        let (own, peer) = if by == 0 { (a, b) } else { (b, a) };
        let isn = own.isn.or_else(|| Some(own.syn_before(tcp.seq)?.0));
        let seq = u64::from(tcp.seq.wrapping_sub(isn.unwrap_or(0)));
        let syn = u64::from(tcp.flags.syn());
        let past = seq + syn + text.len() as u64 + u64::from(tcp.flags.fin());
        if isn.is_some() {
            own.arrived.insert(seq, past);
        }
        if let Some((value, _)) = options.timestamps {
            let newer = |before: u32| value.wrapping_sub(before) < 1 << 31;
            if own.stamp_heard.is_none_or(newer) {
                own.stamp_heard = Some(value);
            }
        }
        if tcp.flags.ack() && peer.isn.is_some() {
            let scale = if tcp.flags.syn() { 0 } else { scale };
            let edge = peer.rel(tcp.ack) + (u64::from(tcp.window) << scale);
            own.edge_heard = own.edge_heard.max(edge);
        } else if tcp.flags.syn() {
            // Text before an acknowledgment (Fast Open, crossing SYNs).
            own.edge_heard = own.edge_heard.max(1 + u64::from(tcp.window));
        }
    }
}
