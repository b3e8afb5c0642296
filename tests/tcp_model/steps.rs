//! What applications, the network and enemies do, one random thing at a time.

use core::time::Duration;

use netstrata::phy::FaultConfig;
use netstrata::socket::{ReadBuf, RecvBuf, Rx, SendBuf, Tx, WriteBuf};
use netstrata::tcp::{Algorithm, Shutdown, TcpKeepalive};
use netstrata::wire::{Icmpv4, IpHeader, Ipv4, Tcp, TcpFlags, TimeExceeded, Unreachable, protocol};

use super::device::error;
use super::draw::{pick, skewed};
use super::ends::Sock;
use super::rings::Kind;
use super::world::World;
use crate::support::{EAST, WEST};

/// Congestion controls a socket may ask for.
pub const CONTROLS: [Option<Algorithm>; 5] = [
    None,
    None,
    Some(Algorithm::Reno),
    Some(Algorithm::Cubic),
    Some(Algorithm::Bbr),
];

/// The port of somebody who is not there.
pub const STRANGER: u16 = 3;

/// Pauses, microseconds.
const PAUSES: [u64; 12] = [
    0,
    10,
    1000,
    1000,
    10_000,
    50_000,
    100_000,
    300_000,
    1_000_000,
    5_000_000,
    90_000_000,
    5_000_000_000,
];

impl<K: Kind> World<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    /// One thing happens.
    pub fn step(&mut self) {
        let flows = self.ends.iter().filter(|e| !e.accepted).count();
        let rare = self.case.rare && self.rng.below(100) < 15;
        let odd = self.case.odd && self.rng.below(100) < 8;
        match self.rng.below(100) {
            _ if rare => self.rare(),
            _ if odd => self.odd(),
            0..12 if flows < self.case.flows => self.begin(),
            0..12 => {}
            12..14 => self.door(),
            14..30 => self.write(),
            30..44 => self.read(),
            44..50 => self.turn_eager(),
            50..54 => self.half_close(),
            54..56 => self.give_up(),
            56..66 => self.options(),
            66..69 => self.buffers(),
            69..72 => self.path(),
            72..74 => self.sizes(),
            74..80 => self.noise(),
            _ => {}
        }
        let pause = pick(&mut self.rng, &PAUSES);
        let pause = Duration::from_micros(self.rng.below(pause as usize + 1) as u64);
        self.pass(pause);
    }

    /// An end that has its socket.
    fn an_end(&mut self) -> Option<usize> {
        let open: Vec<usize> = (0..self.ends.len())
            .filter(|n| !self.ends[*n].released)
            .collect();
        (!open.is_empty()).then(|| open[self.rng.below(open.len())])
    }

    /// Somebody connects to somebody who listens, mostly.
    pub fn begin(&mut self) {
        let (side, port) = (self.rng.below(2), self.a_port());
        match self.rng.below(20) {
            0 => {
                // SYNs that cross; both ports are free.
                let (left, right) = (700 + self.ends.len() as u16, 900 + self.ends.len() as u16);
                self.connect(side, left, right);
                let gap = skewed(&mut self.rng, 20_000) as u64;
                self.pass(Duration::from_micros(gap));
                self.connect(1 - side, right, left);
            }
            1 => self.connect(side, 0, port),
            _ => {
                if !self.listens(1 - side, port) {
                    self.listen(1 - side, port);
                }
                let own = pick(&mut self.rng, &[0, 0, 0, 5000, 5001]);
                // Accepted late, those from one port could not be told from each other.
                let own = if self.case.odd { 0 } else { own };
                self.connect(side, own, port);
            }
        }
    }

    fn door(&mut self) {
        let (side, port) = (self.rng.below(2), self.a_port());
        if self.rng.below(3) == 0 {
            let nth = self.rng.below(8);
            self.shut_door(nth);
        } else if !self.listens(side, port) {
            self.listen(side, port);
        }
    }

    /// Works on the socket of a random end.
    pub fn with(&mut self, what: &str, f: impl FnOnce(&mut super::ends::End<K>, &mut Sock<K>)) {
        let Some(n) = self.an_end() else { return };
        self.tell(|| format!("end {n} {what}"));
        let Self { pair, ends, .. } = self;
        let end = &mut ends[n];
        let host = super::world::side_of(pair, end.side);
        host.socket(end.h)
            .with(|s| {
                end.state = s.state();
                f(end, s);
            })
            .expect("an open socket");
    }

    fn write(&mut self) {
        let (most, how) = (skewed(&mut self.rng, 100_000), self.rng.below(2));
        let times = 1 + self.rng.below(3);
        self.with(&format!("writes {most} {times} times"), |end, s| {
            for _ in 0..times {
                if end.error.is_none() {
                    end.write(s, most, how);
                }
            }
        });
    }

    fn read(&mut self) {
        let (most, how) = (skewed(&mut self.rng, 100_000), self.rng.below(4));
        self.with(&format!("reads {most}"), |end, s| {
            if end.error.is_none() {
                end.read(s, most, how);
            }
        });
    }

    fn turn_eager(&mut self) {
        if let Some(n) = self.an_end() {
            let end = &mut self.ends[n];
            end.eager = !end.eager;
            end.due = true;
        }
    }

    fn half_close(&mut self) {
        self.with("shuts down", |end, s| {
            s.shutdown(Shutdown::Write);
            end.shut = true;
            end.budget = end.written;
        });
    }

    /// Whoever was aborted while its peer still connects was never heard of there.
    fn note_unheard(&mut self) {
        for n in 0..self.ends.len() {
            let peer = self.ends[n].peer.map(|peer| self.ends[peer].stood);
            let end = &mut self.ends[n];
            if end.aborted && end.unheard.is_none() {
                end.unheard = Some(peer == Some(false));
            }
        }
    }

    fn give_up(&mut self) {
        if self.rng.below(2) == 0 {
            self.with("aborts", |end, s| {
                s.abort();
                end.aborted = true;
            });
            self.note_unheard();
        } else if let Some(n) = self.an_end() {
            self.release(n);
        }
    }

    fn options(&mut self) {
        let on = self.rng.below(2) == 0;
        match self.rng.below(11) {
            0 => self.with("nodelay", |_, s| s.set_nodelay(on)),
            1 => self.with("cork", |_, s| s.set_cork(on)),
            2 => self.with("quickack", |_, s| s.set_quickack(on)),
            3 => {
                let seconds = pick(&mut self.rng, &[1, 10, 7200]);
                let time = Duration::from_secs(seconds);
                let probes = TcpKeepalive::new()
                    .with_time(time)
                    .with_interval(time)
                    .with_retries(1 + self.rng.below(9) as u8);
                self.with("keepalive", |end, s| {
                    end.fragile |= on;
                    s.set_tcp_keepalive(&probes);
                    s.set_keepalive(on);
                });
            }
            4 => {
                let millis = skewed(&mut self.rng, 1_000_000) as u64;
                self.with("user timeout", |end, s| {
                    end.fragile |= on;
                    s.set_tcp_user_timeout(on.then(|| Duration::from_millis(millis)));
                });
            }
            5 => {
                let cc = pick(&mut self.rng, &CONTROLS);
                self.with(&format!("chooses {cc:?}"), |_, s| s.set_tcp_congestion(cc));
            }
            6 => {
                let octets = skewed(&mut self.rng, 100_000) as u32;
                self.with("window clamp", |_, s| {
                    s.set_window_clamp(on.then_some(octets.max(1)));
                });
            }
            7 => {
                let octets = skewed(&mut self.rng, 1500) as u16;
                self.with("maxseg", |_, s| s.set_mss(on.then_some(octets.max(88))));
            }
            8 => {
                let octets = skewed(&mut self.rng, 100_000) as u32;
                self.with("notsent lowat", |end, s| {
                    end.bounded = true;
                    s.set_notsent_lowat(on.then_some(octets));
                });
            }
            9 => {
                let rate = skewed(&mut self.rng, 1 << 30) as u64;
                self.with("pacing rate", |_, s| {
                    s.set_max_pacing_rate(on.then_some(rate.max(10_000)));
                });
            }
            _ => {
                let (ttl, tos) = (self.rng.draw() as u8, self.rng.draw() as u8);
                self.with("ttl and tos", |_, s| {
                    s.set_ttl(Some(ttl.max(1)));
                    s.set_tos(tos);
                });
            }
        }
    }

    fn buffers(&mut self) {
        let octets = skewed(&mut self.rng, 1 << 20);
        if self.rng.below(2) == 0 {
            self.with(&format!("receives into {octets}"), |end, s| {
                end.most.0 = end.most.0.max(s.set_recv_capacity(octets));
            });
        } else {
            self.with(&format!("sends from {octets}"), |end, s| {
                end.most.1 = end.most.1.max(s.set_send_capacity(octets.max(1)));
            });
        }
    }

    /// The path changes.
    fn path(&mut self) {
        if self.case.blackouts && self.rng.below(2) == 0 {
            let dead = FaultConfig::new().with_loss(1_000_000);
            let both = self.rng.below(2) == 0;
            let one = self.rng.below(2);
            let mut faults = self.case.faults;
            for (side, fault) in faults.iter_mut().enumerate() {
                if both || side == one {
                    *fault = dead;
                }
            }
            self.tell(|| "the path goes dark".into());
            self.set_faults(faults);
            let pause = skewed(&mut self.rng, 100_000_000) as u64;
            self.pass(Duration::from_micros(pause));
            self.tell(|| "the path comes back".into());
        }
        let delay = skewed(&mut self.rng, 300_000) as u64;
        let mut faults = self.case.faults;
        for fault in &mut faults {
            fault.delay = Duration::from_micros(delay);
            fault.seed = self.rng.draw();
        }
        self.set_faults(faults);
    }

    /// The MTU of a link or of the path changes.
    fn sizes(&mut self) {
        let mtu = self.case.mtu;
        if self.case.narrow && self.rng.below(2) == 0 {
            let narrow = 560 + self.rng.below(mtu - 560 + 1);
            self.tell(|| format!("the path carries {narrow}"));
            self.watch.borrow_mut().path_mtu = narrow;
        } else {
            let least = mtu.min(300);
            let size = least + self.rng.below(mtu - least + 1);
            let side = self.rng.below(2);
            self.tell(|| format!("host {side} has MTU {size}"));
            self.host(side).iface.device_mut().mtu = size;
        }
    }

    /// Errors and segments from nowhere.
    fn noise(&mut self) {
        if !self.case.noise {
            return;
        }
        let side = self.rng.below(2);
        for _ in 0..1 + self.rng.below(5) {
            let forged = if self.rng.below(2) == 0 {
                self.an_error(side)
            } else {
                self.a_segment(side)
            };
            if let Some(forged) = forged {
                self.watch.borrow_mut().forged[side].push_back(forged);
            }
        }
    }

    fn an_error(&mut self, side: usize) -> Option<Vec<u8>> {
        let watch = self.watch.borrow();
        let recent = &watch.recent[side];
        let packet = recent.get(self.rng.below(recent.len().max(1)))?.clone();
        drop(watch);
        // RFC 1191 knows no less than 68; less than 552 is not believed.
        let mtu = self.rng.below(1600) as u16;
        let kind = match self.rng.below(8) {
            0 => Icmpv4::Unreachable(Unreachable::Net),
            1 => Icmpv4::Unreachable(Unreachable::Host),
            2 => Icmpv4::Unreachable(Unreachable::Protocol),
            3 => Icmpv4::Unreachable(Unreachable::Port),
            4 => Icmpv4::SourceQuench,
            5 => Icmpv4::TimeExceeded(TimeExceeded::Transit),
            _ => Icmpv4::Unreachable(Unreachable::FragmentationNeeded { mtu }),
        };
        self.noisy = true;
        let mut quoted = packet;
        if self.rng.below(2) == 0 {
            // About what was never sent.
            let at = 24 + self.rng.below(4);
            quoted[at] ^= self.rng.draw() as u8;
        }
        Some(error(kind, &quoted))
    }

    /// A segment by somebody who knows the ports, and nothing else.
    fn a_segment(&mut self, side: usize) -> Option<Vec<u8>> {
        let of: Vec<(u16, u16)> = self
            .ends
            .iter()
            .filter(|e| e.side == side && e.stood && e.peer.is_some_and(|p| self.ends[p].stood))
            .map(|e| e.ports)
            .collect();
        let known = of.get(self.rng.below(of.len().max(1))).copied();
        let (own, mut peer) = known.unwrap_or((80, STRANGER));
        let flags = [
            TcpFlags::RST,
            TcpFlags::ACK,
            TcpFlags::SYN,
            TcpFlags::FIN | TcpFlags::ACK,
            TcpFlags::RST | TcpFlags::ACK,
            TcpFlags::SYN | TcpFlags::ACK,
            TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST,
        ];
        let flags = pick(&mut self.rng, &flags);
        if flags.syn() {
            // One that begins a connection in somebody's name is another story.
            peer = STRANGER;
        }
        let header = Tcp {
            src: peer,
            dst: own,
            seq: self.rng.draw() as u32,
            ack: self.rng.draw() as u32,
            flags,
            window: self.rng.draw() as u16,
            urgent: self.rng.draw() as u16,
        };
        let options: Vec<u8> = (0..4 * self.rng.below(11))
            .map(|_| self.rng.draw() as u8)
            .collect();
        let text = self.rng.below(60);
        let mut segment = vec![0x5a; 20 + options.len() + text];
        let (src, dst) = if side == 0 {
            (WEST, EAST)
        } else {
            (EAST, WEST)
        };
        let ip = IpHeader::new(src, dst, protocol::TCP);
        header.emit(&ip, &options, &mut segment).expect("room");
        let mut packet = vec![0; 20];
        Ipv4::from_header(&ip)?
            .emit(segment.len(), packet.first_chunk_mut()?)
            .ok()?;
        packet.extend_from_slice(&segment);
        Some(packet)
    }
}
