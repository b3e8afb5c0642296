//! One control block, a script, virtual time: the whole exchange comes out as text.
//!
//! A script has one event a line:
//!
//! ```text
//! < S. 0:0 ack 1 win 65535 <mss 1460>   a segment from the peer; lengths make up the second number
//! << . 1:1449 ack 1 win 100             the same, in one batch with the next: nothing is sent between
//! +200ms                                time passes, timers run when due
//! write 1000 | read 500 | read          the application writes, reads so much, reads all
//! write 1000 more|eor|urgent            it writes with a flag
//! urgent                                prints how much of what is to be read is urgent
//! refuse | admit                        the layers below drop what is sent, or take it again
//! rtt 10ms                              nothing was measured but this round-trip time
//! maxrate 100000 | lowat 4000 | linger 0s | linger2 0s   options
//! stats                                 prints what `ss -ti` would
//! shutdown | close | abort
//! congestion NAME                       `reno` unless this says otherwise
//! nodelay | cork | uncork | quickack | keepalive IDLE INTERVAL COUNT | usertimeout 3s
//! mss 1400 | gso 65000                  the path's segment size, the train wanted
//! icmp host|net|port|big SEQ [SIZE]     an ICMP error quoting that sequence number of ours
//! capacity 3000 | clamp 4000            size of the receive buffer as chosen, widest window
//! level free|waiting|pressure|full      how much memory the stack has left
//! prune 4000                            octets out of order farther than that are forgotten
//! buffers                               prints the state of windows and the receive buffer
//! info                                  prints congestion state
//! recovery                              prints the state of loss recovery
//! ```
//!
//! Sequence numbers of both sides count from 0 at their SYN (the true ones wrap early);
//! timestamps of ours count milliseconds. The octets of text follow from their position, and
//! every octet read is compared with that.

extern crate std;

use core::time::Duration;
use std::fmt::Write as _;
use std::string::String;
use std::vec::Vec;

pub use super::buffers::{Rx, Tx, octet};
use super::notation::{duration, options_text, parse};
use crate::net::ErrorKind;
use crate::socket::{RecvBuf, SendBuf};
use crate::tcp::congestion::Any;
use crate::tcp::ecn::Agreed;
use crate::tcp::*;
use crate::wire::TcpOptions;
use phy::Instant;

/// Our initial sequence number: wraps within the first text.
pub const ISS: SeqNum = SeqNum(u32::MAX - 700);
/// The peer's.
pub const IRS: SeqNum = SeqNum(0x7fff_ff00);
/// Offset of our timestamp clock.
pub const TS_OFFSET: u32 = 0xffff_ff00;

/// With NewReno, whose numbers are the RFCs'.
fn reno(mut tcb: Tcb<Any>) -> Tcb<Any> {
    let options = Options {
        congestion: Some(Algorithm::Reno),
        ..tcb.options()
    };
    tcb.set_options(&Config::default(), Instant::ZERO, options);
    tcb
}

/// A connection under test.
pub struct Harness {
    pub cfg: Config,
    pub now: Instant,
    pub tcb: Tcb<Any>,
    pub rx: Rx,
    pub tx: Tx,
    pub room: Room,
    log: String,
    state: State,
    refuses: bool,
}

impl Harness {
    /// In SYN-SENT.
    pub fn connect(cfg: Config) -> Self {
        let now = Instant::ZERO;
        let rx = Rx::new(cfg.receive_buffer);
        let tcb = reno(Tcb::connect(&cfg, now, ISS, TS_OFFSET, 1460, rx.capacity()));
        let room = Room { mss: 1460, gso: 0 };
        let (tx, log) = (Tx::default(), String::new());
        let mut harness = Self {
            cfg,
            now,
            tcb,
            rx,
            tx,
            room,
            log,
            state: State::SynSent,
            refuses: false,
        };
        harness.note_state(State::Closed);
        harness.send();
        harness
    }

    /// In SYN-SENT with Fast Open: `written` octets wait, and this is what the SYN may carry.
    pub fn connect_early(cfg: Config, written: u64, offer: SynOffer) -> Self {
        let mut quiet = Self::connect(cfg);
        let (cfg, now) = (quiet.cfg.clone(), quiet.now);
        quiet.tcb = reno(Tcb::connect(
            &cfg,
            now,
            ISS,
            TS_OFFSET,
            1460,
            quiet.rx.capacity(),
        ));
        quiet.log.clear();
        quiet.tx.written = written;
        quiet.tcb.early.set(Early::WANTED);
        let plan = quiet
            .tcb
            .next_segment(&cfg, now, &quiet.rx, &quiet.tx, quiet.room);
        let queued = quiet.tx.queued();
        let plan = plan.expect("a SYN");
        let plan = quiet
            .tcb
            .offer_early(&cfg, plan, &offer, queued, quiet.room);
        quiet.print(&plan);
        quiet.tcb.on_sent(&cfg, now, &plan);
        quiet
    }

    /// In SYN-RECEIVED by a SYN with Fast Open that brought `len` octets, its SYN-ACK sent.
    pub fn accepted_early(cfg: Config, mss: u16, len: u64) -> Self {
        let mut quiet = Self::accepted(cfg, mss);
        let (cfg, now) = (quiet.cfg.clone(), quiet.now);
        let options = TcpOptions {
            mss: Some(mss),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((1000, 0)),
            ..TcpOptions::NONE
        };
        let handshake = Handshake {
            iss: ISS,
            irs: IRS,
            adv_mss: 1460,
            peer: Peer::of_syn(&cfg, &options),
            our_scale: window::scale(&cfg),
            ts_offset: TS_OFFSET,
            snd_wnd: 65535,
            rcv_wnd: u32::from(window::of_syn(quiet.rx.capacity())),
            rtt: None,
            ecn: Agreed::NONE,
        };
        let text: Vec<u8> = (0..len).map(octet).collect();
        quiet.tcb = reno(Tcb::accepted_early(
            &cfg,
            now,
            &handshake,
            &text,
            &mut quiet.rx,
        ));
        quiet.state = State::SynReceived;
        quiet.send();
        quiet
    }

    /// In ESTABLISHED, accepted, with a round-trip time of 100 ms. Options of the peer's SYN:
    /// `mss`, and `wscale 7`, `sackOK`, `TS` where the configuration has them.
    pub fn accepted(cfg: Config, mss: u16) -> Self {
        Self::accepted_with(cfg, mss, Agreed::NONE)
    }

    /// The same with what the SYNs agreed on about ECN.
    pub fn accepted_with(cfg: Config, mss: u16, ecn: Agreed) -> Self {
        let now = Instant::ZERO;
        let rx = Rx::new(cfg.receive_buffer);
        let options = TcpOptions {
            mss: Some(mss),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some((1000, 0)),
            ..TcpOptions::NONE
        };
        let peer = Peer::of_syn(&cfg, &options);
        let handshake = Handshake {
            iss: ISS,
            irs: IRS,
            adv_mss: 1460,
            peer,
            our_scale: window::scale(&cfg),
            ts_offset: TS_OFFSET,
            snd_wnd: 65536,
            rcv_wnd: u32::from(window::of_syn(rx.capacity())),
            rtt: Some(Duration::from_millis(100)),
            ecn,
        };
        let tcb = reno(Tcb::accepted(&cfg, now, &handshake));
        let room = Room { mss: 1460, gso: 0 };
        let (tx, log) = (Tx::default(), String::new());
        Self {
            cfg,
            now,
            tcb,
            rx,
            tx,
            room,
            log,
            state: State::Established,
            refuses: false,
        }
    }

    /// Leaves what was played so far out of transcripts.
    pub fn forget(&mut self) {
        self.log.clear();
    }

    /// Plays a script and gives the whole transcript so far.
    pub fn play(&mut self, script: &str) -> String {
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            if let Some(comment) = line.strip_prefix('#') {
                let _ = writeln!(self.log, "#{comment}");
                continue;
            }
            if let Some(time) = line.strip_prefix('+') {
                self.pass(duration(time));
                continue;
            }
            self.line(line);
            self.event(line);
        }
        self.log.clone()
    }

    fn line(&mut self, text: &str) {
        let now = self.now.micros();
        let _ = writeln!(
            self.log,
            "{:4}.{:03} {text}",
            now / 1_000_000,
            now / 1_000 % 1_000
        );
    }

    fn event(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |n: usize| words.get(n).map(|w| w.parse::<u64>().expect("a number"));
        match words[0] {
            "<" | "<<" => {
                let (segment, text) = parse(&words[1..]);
                let segment = Segment {
                    payload: &text,
                    ..segment
                };
                self.receive(&segment);
                if words[0] == "<<" {
                    return;
                }
            }
            "write" => {
                self.tx.written += number(1).expect("how much");
                let flag = |name| words.get(2) == Some(&name);
                let flags = SendFlags {
                    more: flag("more"),
                    eor: flag("eor"),
                    urgent: flag("urgent"),
                };
                self.tcb.wrote(flags, true, self.tx.queued());
            }
            "urgent" => {
                let left = self.tcb.urgent_left(self.rx.readable());
                let _ = writeln!(self.log, "         -- {left} octets");
            }
            "refuse" => self.refuses = true,
            "admit" => self.refuses = false,
            "rtt" => self.tcb.rtt = rtt::Rtt::new(&self.cfg, self.now, Some(duration(words[1]))),
            "stats" => {
                let info = self.tcb.info(&self.cfg, self.now, &self.rx, &self.tx);
                let _ = writeln!(self.log, "         -- {info}");
            }
            "read" => {
                let n = self.rx.read(number(1).map_or(usize::MAX, |n| n as usize));
                let _ = writeln!(self.log, "         -- {n} octets");
                self.tcb.on_read(&self.cfg, self.now, &mut self.rx);
            }
            "shutdown" => self.tcb.shutdown(&self.cfg, self.now),
            "close" => {
                let effects = self.tcb.close(&self.cfg, self.now, self.rx.readable());
                self.effects(effects);
            }
            "abort" => {
                if let Some(plan) = self.tcb.abort(self.now) {
                    self.print(&plan);
                }
            }
            "mss" => self.room.mss = number(1).expect("octets") as usize,
            "gso" => self.room.gso = number(1).expect("octets") as usize,
            "icmp" => {
                let kind = match words[1] {
                    "host" => ErrorKind::HostUnreachable,
                    "net" => ErrorKind::NetUnreachable,
                    "port" => ErrorKind::PortUnreachable,
                    _ => ErrorKind::PacketTooBig(number(3).map_or(0, |size| size as u16 + 20)),
                };
                let quoted = ISS + number(2).expect("a sequence number") as u32;
                let (cfg, now) = (&self.cfg, self.now);
                let (valid, effects) = self.tcb.icmp_error(cfg, now, kind, quoted, false);
                if !valid {
                    let _ = writeln!(self.log, "         -- ignored");
                }
                self.effects(effects);
            }
            "recovery" => {
                let info = self.tcb.info(&self.cfg, self.now, &self.rx, &self.tx);
                let _ = writeln!(
                    self.log,
                    "         -- {} cwnd {} ssthresh {} pipe {}: sacked {} lost {} retrans {}",
                    info.ca_state.as_str(),
                    info.cwnd_octets,
                    info.ssthresh_octets.unwrap_or(0x7fff_ffff),
                    info.in_flight_octets,
                    info.sacked,
                    info.lost,
                    info.retrans,
                );
            }
            "info" => {
                let info = self.tcb.info(&self.cfg, self.now, &self.rx, &self.tx);
                let _ = writeln!(
                    self.log,
                    "         -- cwnd {} ssthresh {} in flight {} srtt {:?} rto {:?}",
                    info.cwnd_octets,
                    info.ssthresh_octets.unwrap_or(0x7fff_ffff),
                    info.in_flight_octets,
                    info.rtt.unwrap_or_default(),
                    info.rto,
                );
            }
            "capacity" => {
                self.rx.set_capacity(number(1).expect("octets") as usize);
                self.option(&words);
                self.tcb.on_read(&self.cfg, self.now, &mut self.rx);
            }
            "level" => self.tcb.set_level(match words[1] {
                "free" => Level::Free,
                "waiting" => Level::Waiting,
                "pressure" => Level::Pressure,
                _ => Level::Full,
            }),
            "prune" => {
                let keep = number(1).expect("octets") as u32;
                let pruned = self.tcb.prune(&mut self.rx, keep);
                let _ = writeln!(self.log, "         -- {pruned} octets pruned");
            }
            "buffers" => {
                let info = self.tcb.info(&self.cfg, self.now, &self.rx, &self.tx);
                let _ = writeln!(
                    self.log,
                    "         -- capacity {} ssthresh {} space {} rtt {:?} mss {}",
                    self.rx.capacity(),
                    info.rcv_ssthresh,
                    info.rcv_space,
                    info.rcv_rtt.unwrap_or_default(),
                    info.rcv_mss,
                );
            }
            _ => self.option(&words),
        }
        self.send();
    }

    fn option(&mut self, words: &[&str]) {
        let mut options = self.tcb.options();
        let number = |n: usize| words[n].parse::<u16>().expect("a number");
        match words[0] {
            "nodelay" => options.nodelay = true,
            "congestion" => options.congestion = words[1].parse().ok(),
            "cork" => options.cork = true,
            "uncork" => options.cork = false,
            "quickack" => options.quickack = true,
            "capacity" => options.receive_fixed = true,
            "clamp" => options.window_clamp = Some(number(1).into()),
            "lowat" => options.notsent_lowat = Some(number(1).into()),
            "maxrate" => options.max_pacing_rate = words[1].parse().ok(),
            "linger" => options.linger = Some(duration(words[1])),
            "linger2" => options.fin_wait_2 = Some(duration(words[1])),
            "usertimeout" => options.user_timeout = Some(duration(words[1])),
            "keepalive" => {
                options.keepalive = true;
                options.keepalive_time = Some(Duration::from_secs(number(1).into()));
                options.keepalive_interval = Some(Duration::from_secs(number(2).into()));
                options.keepalive_retries = Some(number(3) as u8);
            }
            other => panic!("unknown event {other}"),
        }
        self.tcb.set_options(&self.cfg, self.now, options);
    }

    /// A segment arrives; its answer, if any, is sent.
    pub fn receive(&mut self, segment: &Segment<'_>) {
        let (rx, tx) = (&mut self.rx, &mut self.tx);
        let effects = self.tcb.receive(&self.cfg, self.now, segment, rx, tx);
        self.effects(effects);
    }

    /// Time passes; timers run when they are due.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.tcb.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            let (rx, tx) = (&mut self.rx, &mut self.tx);
            let effects = self.tcb.on_timer(&self.cfg, self.now, rx, tx);
            let ready = effects.ready;
            self.effects(effects);
            let before = self.log.len();
            self.send();
            let sent = self.log.get(before..).unwrap_or("").contains(" > ");
            assert!(
                ready || !sent,
                "a timer did not say that there is something to send"
            );
        }
        self.now = end;
    }

    /// Prints what a call asks for, and does it.
    fn effects(&mut self, effects: Effects) {
        if let Some(plan) = effects.answer {
            self.print(&plan);
            self.tcb.on_sent(&self.cfg, self.now, &plan);
        }
        if effects.abort
            && let Some(plan) = self.tcb.abort(self.now)
        {
            self.print(&plan);
        }
        if let Some(reason) = effects.dropped {
            let _ = writeln!(self.log, "         -- dropped: {reason}");
        }
        self.note_state(self.state);
    }

    fn note_state(&mut self, before: State) {
        self.state = self.tcb.state();
        if self.state != before {
            let error = self.tcb.take_error();
            let why = error.map_or(String::new(), |error| std::format!(": {error}"));
            self.line(&std::format!("-- {}{why}", self.state));
        }
    }

    /// Sends all there is, as the egress phase does.
    pub fn send(&mut self) {
        self.note_state(self.state);
        for _ in 0..10_000 {
            let (cfg, now) = (&self.cfg, self.now);
            let Some(plan) = self
                .tcb
                .next_segment(cfg, now, &self.rx, &self.tx, self.room)
            else {
                return;
            };
            // Text comes from where the plan says.
            let _ = self.tx.text(plan.offset, plan.len);
            if self.refuses {
                self.line("-- refused");
                self.tcb.on_refused(&self.cfg, self.now, &plan);
                return;
            }
            self.print(&plan);
            self.tcb.on_sent(&self.cfg, self.now, &plan);
        }
        panic!("sends without end");
    }

    fn print(&mut self, plan: &Plan) {
        let mut text = String::new();
        let from = plan.seq.distance(ISS);
        let _ = write!(
            text,
            "> {} {from}:{}",
            plan.flags,
            from.wrapping_add(plan.len as i32)
        );
        if plan.len > usize::from(plan.mss) {
            let _ = write!(text, " (by {})", plan.mss);
        }
        if plan.flags.ack() {
            let _ = write!(text, " ack {}", plan.ack.since(IRS));
        }
        let _ = write!(text, " win {}", plan.window);
        if plan.flags.urg() {
            let _ = write!(text, " urg {}", plan.urgent);
        }
        text.push_str(["", " ect1", " ect0", " ce"][usize::from(plan.ecn)]);
        if !plan.options.is_empty() {
            let _ = write!(text, " <{}>", options_text(plan.options.as_slice()));
        }
        self.line(&text);
    }
}
