//! Segment scripts: a raw peer on a cable, and the whole exchange as text.
//!
//! The peer's lines are written as tcpdump prints them, with relative sequence numbers:
//!
//! ```text
//! S 0:0 win 65535 <mss 1460,sackOK,TS 1 ecr 0,nop,wscale 7>
//! . ack 1 win 512
//! P. 1:11 ack 1 win 512
//! ```
//!
//! `a:b` is the text, which is octets of [`pattern`](super::pattern) at `a`; acknowledgment
//! numbers count from the host's initial sequence number, timestamp echoes from its first
//! timestamp. `port 5001` at the front plays another peer. Everything the host sends goes
//! into the transcript, with the time since the start.

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::collections::HashMap;

use netstrata::Next;
use netstrata::phy::{Device, Instant, RxMeta, TxMeta, TxToken, cable};
use netstrata::wire::{
    FastOpen, IpHeader, Ipv4, SackBlocks, Tcp, TcpFlags, TcpOption, TcpOptionIter, TcpOptions,
    protocol,
};

use super::{EAST, Host, WEST, pattern};

/// What the transcript subtracts, for one peer port.
#[derive(Debug, Clone, Copy, Default)]
struct Base {
    host_isn: Option<u32>,
    host_ts: Option<u32>,
    last_ts: u32,
}

/// The peer's initial sequence number: close to the wrap, so that it is crossed.
pub const PEER_ISN: u32 = u32::MAX - 5;

/// A host and the other end of its cable, which carries bare IP packets.
pub struct Script<H> {
    /// The host.
    pub host: H,
    /// The time.
    pub now: Instant,
    wire: cable::End,
    start: Instant,
    /// The packets the host sent, oldest first.
    pub sent: Vec<Vec<u8>>,
    host_port: u16,
    flows: HashMap<u16, Base>,
    log: String,
}

impl<H: Host> Script<H> {
    /// Plays WEST against `host`, which is EAST and uses `host_port`.
    pub fn new(host: H, wire: cable::End, host_port: u16) -> Self {
        let now = Instant::from_secs(1000);
        let mut script = Self {
            host,
            now,
            wire,
            start: now,
            sent: Vec::new(),
            host_port,
            flows: HashMap::new(),
            log: String::new(),
        };
        script.settle();
        script
    }

    /// Plays lines of text: `< SEGMENT` is sent, `+200ms` waits, `# TEXT` is a note.
    pub fn play(&mut self, lines: &str) -> &mut Self {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_at(1) {
                ("<", segment) => {
                    self.peer(segment.trim());
                }
                ("+", wait) => {
                    let ms = wait.trim_end_matches("ms").parse().expect(line);
                    self.wait(ms);
                }
                ("#", note) => self.note(note.trim()),
                _ => panic!("script line {line:?}"),
            }
        }
        self
    }

    /// Sends one segment as the peer.
    pub fn peer(&mut self, line: &str) -> &mut Self {
        let packet = self.parse(line);
        self.log(format_args!("< {line}"));
        self.inject(&packet);
        self
    }

    /// Puts an IP packet on the wire.
    pub fn inject(&mut self, packet: &[u8]) {
        self.inject_all(&[packet.to_vec()]);
    }

    /// Puts IP packets on the wire, for the host to receive in one batch.
    pub fn inject_all(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            let token = self.wire.transmit(self.now).expect("room on the cable");
            token
                .send(packet.len(), TxMeta::NONE, |frame| {
                    frame.copy_from_slice(packet);
                    Ok(())
                })
                .expect("a packet that fits");
        }
        self.settle();
    }

    /// Lets the application act, under a note.
    pub fn app<R>(&mut self, note: &str, act: impl FnOnce(&mut H) -> R) -> R {
        self.note(note);
        let result = act(&mut self.host);
        self.settle();
        result
    }

    /// Lets the application act, and writes down what came of it.
    pub fn told<R: core::fmt::Debug>(&mut self, what: &str, act: impl FnOnce(&mut H) -> R) -> R {
        let result = act(&mut self.host);
        self.log(format_args!("# {what}: {result:?}"));
        self.settle();
        result
    }

    /// Writes a note.
    pub fn note(&mut self, note: &str) {
        self.log(format_args!("# {note}"));
    }

    /// Lets time pass.
    pub fn wait(&mut self, ms: u64) -> &mut Self {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let next = self.settle();
            match next {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
        }
        self.now = end;
        self.settle();
        self
    }

    /// Starts the transcript over; time counts from now.
    pub fn forget(&mut self) {
        self.log.clear();
        self.start = self.now;
    }

    /// The transcript so far.
    pub fn transcript(&self) -> &str {
        &self.log
    }

    /// Raw octets of a segment line, as an IP packet: for tests that spoil it.
    pub fn parse(&mut self, line: &str) -> Vec<u8> {
        let mut words = line.split_whitespace().peekable();
        let mut port = 5000;
        if words.next_if_eq(&"port").is_some() {
            port = words.next().and_then(|n| n.parse().ok()).expect(line);
        }
        let base = *self.flows.entry(port).or_default();
        let flags = flags(words.next().expect(line));
        let mut tcp = Tcp {
            src: port,
            dst: self.host_port,
            seq: PEER_ISN,
            ack: 0,
            flags,
            window: 65535,
            urgent: 0,
        };
        let mut text = 0..0u32;
        let mut options = TcpOptions::NONE;
        let mut raw = Vec::new();
        let mut ecn = 0;
        while let Some(word) = words.next() {
            let mut number = || {
                words
                    .next()
                    .and_then(|n| n.parse::<u32>().ok())
                    .expect(line)
            };
            match word {
                "ack" => tcp.ack = base.host_isn.unwrap_or(0).wrapping_add(number()),
                "win" => tcp.window = number() as u16,
                "urg" => tcp.urgent = number() as u16,
                "seq" => {
                    let seq = number();
                    text = seq..seq;
                }
                "ect1" => ecn = 1,
                "ect0" => ecn = 2,
                "ce" => ecn = 3,
                "raw" => raw = (0..number()).map(|_| 0).collect(),
                word if word.starts_with('<') => {
                    let mut list = String::from(&word[1..]);
                    while !list.ends_with('>') {
                        list.push(' ');
                        list.push_str(words.next().expect(line));
                    }
                    match list.trim_end_matches('>').strip_prefix("raw ") {
                        Some(octets) => {
                            raw = octets
                                .split(' ')
                                .map(|o| u8::from_str_radix(o, 16).expect(line))
                                .collect();
                        }
                        None => options = parse_options(list.trim_end_matches('>'), &base),
                    }
                }
                range => {
                    let (a, b) = range.split_once(':').expect(line);
                    text = a.parse().expect(line)..b.parse().expect(line);
                }
            }
        }
        if text.is_empty() && text.start == 0 && !flags.syn() {
            text = 1..1;
        }
        tcp.seq = PEER_ISN.wrapping_add(text.start);
        // The first octet of the stream has number 1, in a SYN too.
        let syn = u64::from(flags.syn());
        let octets: Vec<u8> = text.map(|n| pattern(u64::from(n) + syn)).collect();
        let options = match raw.is_empty() {
            true => options.emit().as_slice().to_vec(),
            false => raw,
        };
        let mut packet = packet(&tcp, &options, &octets);
        if ecn > 0 {
            let (ip, _, segment) = Ipv4::parse(&packet).expect(line);
            let len = segment.len();
            let (header, _) = packet.split_first_chunk_mut::<20>().expect(line);
            Ipv4 { ecn, ..ip }.emit(len, header).expect(line);
        }
        packet
    }

    /// Turns the host until nothing moves, and writes down what it sends. Returns when it
    /// wants its next turn.
    fn settle(&mut self) -> Option<Instant> {
        for _ in 0..10_000 {
            let next = self.host.turn(self.now);
            let mut sent = Vec::new();
            self.wire
                .receive(self.now, 1024, &mut |frame: &mut [u8], _: RxMeta| {
                    sent.push(frame.to_vec());
                });
            for packet in &sent {
                let line = self.print(packet);
                self.log(format_args!("> {line}"));
            }
            let quiet = sent.is_empty();
            self.sent.append(&mut sent);
            match next {
                Next::Now => {}
                Next::Wait { until, .. } => {
                    if quiet && until.is_none_or(|until| until > self.now) {
                        return until;
                    }
                }
            }
        }
        panic!("the host never rests:\n{}", self.log);
    }

    fn log(&mut self, line: core::fmt::Arguments<'_>) {
        let ms = (self.now - self.start).as_micros() as f64 / 1000.0;
        writeln!(self.log, "{ms:>9.1} {line}").expect("memory");
    }

    fn print(&mut self, packet: &[u8]) -> String {
        let Ok((ip, _, segment)) = Ipv4::parse(packet) else {
            return format!("{packet:02x?}");
        };
        let header = ip.header();
        if header.proto != protocol::TCP {
            let dump = netstrata::wire::Dump::ip(packet).to_string();
            return dump.lines().take(2).collect::<Vec<_>>().join(" | ");
        }
        let mut out = String::new();
        if let Err(error) = Tcp::verify(&header, segment) {
            write!(out, "[{error}] ").expect("memory");
        }
        let (tcp, options, text) = Tcp::parse(segment).expect("a segment");
        if tcp.dst != 5000 {
            write!(out, "port {} ", tcp.dst).expect("memory");
        }
        let base = self.flows.entry(tcp.dst).or_default();
        if tcp.flags.syn() {
            base.host_isn = Some(tcp.seq);
        }
        // A reset for nobody's segment carries a number of the peer's choosing.
        let isn = match tcp.flags.rst() && base.host_isn.is_none() {
            true => 0,
            false => base.host_isn.unwrap_or(0),
        };
        let seq = tcp.seq.wrapping_sub(isn);
        write!(
            out,
            "{} {seq}:{}",
            tcp.flags,
            seq as u64 + text.len() as u64
        )
        .expect("memory");
        if tcp.flags.ack() {
            write!(out, " ack {}", tcp.ack.wrapping_sub(PEER_ISN)).expect("memory");
        }
        write!(out, " win {}", tcp.window).expect("memory");
        if tcp.flags.urg() {
            write!(out, " urg {}", tcp.urgent).expect("memory");
        }
        let options: Vec<String> = TcpOptionIter::new(options)
            .map(|option| match option {
                Ok(TcpOption::Nop) => "nop".into(),
                Ok(TcpOption::Mss(mss)) => format!("mss {mss}"),
                Ok(TcpOption::WindowScale(shift)) => format!("wscale {shift}"),
                Ok(TcpOption::SackPermitted) => "sackOK".into(),
                Ok(TcpOption::Sack(blocks)) => {
                    let blocks: Vec<String> = blocks
                        .iter()
                        .map(|(a, b)| {
                            let [a, b] = [a, b].map(|n| n.wrapping_sub(PEER_ISN));
                            format!("{a}:{b}")
                        })
                        .collect();
                    format!("sack {}", blocks.join(" "))
                }
                Ok(TcpOption::Timestamps { value, echo }) => {
                    base.last_ts = value;
                    let first = *base.host_ts.get_or_insert(value);
                    format!("TS {} ecr {echo}", value.wrapping_sub(first) as i32)
                }
                Ok(TcpOption::FastOpen(cookie)) => fast_open_text(cookie),
                Ok(TcpOption::AccEcn(counts)) => counts.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        if !options.is_empty() {
            write!(out, " <{}>", options.join(",")).expect("memory");
        }
        if !ip.dont_fragment {
            out.push_str(" [fragmentable]");
        }
        if header.tos != 0 {
            write!(out, " [tos {:#x}]", header.tos).expect("memory");
        }
        if ip.ttl != 64 {
            write!(out, " [ttl {}]", ip.ttl).expect("memory");
        }
        out
    }
}

fn flags(letters: &str) -> TcpFlags {
    letters
        .chars()
        .map(|letter| match letter {
            'F' => TcpFlags::FIN,
            'S' => TcpFlags::SYN,
            'R' => TcpFlags::RST,
            'P' => TcpFlags::PSH,
            '.' => TcpFlags::ACK,
            'U' => TcpFlags::URG,
            'E' => TcpFlags::ECE,
            'W' => TcpFlags::CWR,
            'e' => TcpFlags::AE,
            '-' => TcpFlags::NONE,
            other => panic!("flag {other:?}"),
        })
        .fold(TcpFlags::NONE, |all, flag| all | flag)
}

/// `FO` asks for a cookie, `FO 0123` is one; `FOEXP` likewise in the experimental option.
fn fast_open_text(option: FastOpen) -> String {
    let name = if option.is_experimental() {
        "FOEXP"
    } else {
        "FO"
    };
    let octets = option.cookie().iter().map(|o| format!("{o:02x}"));
    match octets.collect::<String>() {
        none if none.is_empty() => name.into(),
        cookie => format!("{name} {cookie}"),
    }
}

fn parse_options(list: &str, base: &Base) -> TcpOptions {
    let mut options = TcpOptions::NONE;
    for option in list.split(',') {
        let words: Vec<&str> = option.split_whitespace().collect();
        let number = |n: &str| n.parse::<u32>().expect(option);
        match words[..] {
            ["nop"] => {}
            ["mss", n] => options.mss = Some(number(n) as u16),
            ["wscale", n] => options.window_scale = Some(number(n) as u8),
            ["sackOK"] => options.sack_permitted = true,
            [name @ ("FO" | "FOEXP"), ref cookie @ ..] => {
                let digits = cookie.first().copied().unwrap_or_default();
                let octets: Vec<u8> = (0..digits.len() / 2)
                    .map(|n| u8::from_str_radix(&digits[n * 2..][..2], 16).expect(option))
                    .collect();
                let cookie = FastOpen::new(&octets).expect(option);
                options.fast_open = Some(match name {
                    "FO" => cookie,
                    _ => cookie.in_experimental_option(),
                });
            }
            ["TS", value, "ecr", "last"] => {
                options.timestamps = Some((number(value), base.last_ts));
            }
            ["TS", value, "ecr", echo] => {
                let first = base.host_ts.unwrap_or(0);
                options.timestamps = Some((number(value), first.wrapping_add(number(echo))));
            }
            ["sack", ref blocks @ ..] => {
                let isn = base.host_isn.unwrap_or(0);
                for block in blocks {
                    let (a, b) = block.split_once(':').expect(option);
                    let [a, b] = [a, b].map(|n| isn.wrapping_add(number(n)));
                    let _: bool = SackBlocks::push(&mut options.sack, a, b);
                }
            }
            _ => panic!("option {option:?}"),
        }
    }
    options
}

/// A segment from WEST to EAST as an IP packet, checksums right.
pub fn packet(tcp: &Tcp, options: &[u8], text: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (WEST, EAST) else {
        unreachable!("both are IPv4")
    };
    packet_between(src, dst, tcp, options, text)
}

/// A segment between any two addresses as an IP packet, checksums right.
pub fn packet_between(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    tcp: &Tcp,
    options: &[u8],
    text: &[u8],
) -> Vec<u8> {
    let len = Tcp::LEN + options.len() + text.len();
    let mut packet = vec![0; 20 + len];
    let (head, segment) = packet.split_first_chunk_mut().expect("20 octets");
    let ip = Ipv4::new(src, dst, protocol::TCP);
    ip.emit(len, head).expect("a length that fits");
    let at = len - text.len();
    segment[at..].copy_from_slice(text);
    let header: IpHeader = ip.header();
    tcp.emit(&header, options, segment)
        .expect("options that fit");
    packet
}
