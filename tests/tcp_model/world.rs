//! Two hosts, their applications, and what befalls them.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Fault, FaultConfig, cable};
use netstrata::socket::{Handle, ReadBuf, RecvBuf, Rx, SendBuf, SocketSet, Tx, WriteBuf};
use netstrata::tcp::{State, Tcp, TcpError};
use netstrata::transport::At;
use netstrata::{Next, Stack};

use super::case::Case;
use super::device::Watched;
use super::draw::{pick, skewed};
use super::ends::{End, Host, Sock};
use super::rings::Kind;
use super::watch::Watch;
use crate::support::pair::{End as Ended, Pair};
use crate::support::{EAST, Seed, WEST};

const HOSTS: [IpAddr; 2] = [EAST, WEST];
/// Ports that may be listened on.
const PORTS: [u16; 3] = [80, 81, 82];
const SECOND: Duration = Duration::from_secs(1);

/// A socket that listens.
pub struct Door<K: Kind>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    pub h: Handle<Sock<K>>,
    pub side: usize,
    pub port: u16,
}

/// All of a run.
pub struct World<K: Kind>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    pub case: Case,
    pub pair: Pair<Host<K>, Host<K>>,
    pub watch: Rc<RefCell<Watch>>,
    pub rng: Seed,
    pub doors: Vec<Door<K>>,
    /// Sockets offered to listeners and not used yet.
    pub spares: Vec<(usize, Handle<Sock<K>>)>,
    pub ends: Vec<End<K>>,
    /// Faults now.
    pub faults: [FaultConfig; 2],
    /// Errors from the network were forged.
    pub noisy: bool,
    /// Accept connections as they come.
    pub accepting: bool,
    /// The clock jumped ahead.
    pub slept: bool,
    pub trace: bool,
    /// Ends accepted from now on have nothing to wait for.
    pub finishing: bool,
}

fn host<K: Kind>(case: &Case, side: usize, device: Watched) -> Host<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    let IpAddr::V4(ip) = HOSTS[side] else {
        unreachable!("addresses of version 4")
    };
    let net = Ipv4::default().with(0, ip, 24);
    let tcp = Tcp::default()
        .with_limits(case.limits[side])
        .with_config(case.configs[side].clone());
    let mut seed = case.draws.of(["secret east", "secret west"][side]);
    Stack::with_tables(Ip::new(device), net, (tcp,), (K::table(),), &mut seed)
}

fn cable(case: &Case) -> (cable::End, cable::End) {
    if case.offload {
        Cable::with_offload(case.mtu)
    } else {
        Cable::with_queue(case.mtu, case.queue)
    }
}

/// Host number `side` of two.
pub fn side_of<K: Kind>(pair: &mut Pair<Host<K>, Host<K>>, side: usize) -> &mut Host<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    if side == 0 { &mut pair.a } else { &mut pair.b }
}

impl<K: Kind> World<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    pub fn new(case: Case, watch: Rc<RefCell<Watch>>) -> Self {
        watch.borrow_mut().path_mtu = case.mtu;
        watch.borrow_mut().black_hole = case.black_hole;
        watch.borrow_mut().tight = case.tight();
        watch.borrow_mut().chance = case.odd.then(|| case.draws.of("chances of the path"));
        let trace = watch.borrow().trace;
        let (east, west) = cable(&case);
        let moved = Arc::new(AtomicU64::new(0));
        let device = |end, side: usize| Watched {
            fault: Fault::with_directions(end, case.faults[side], FaultConfig::new()),
            mtu: case.mtu,
            side,
            watch: watch.clone(),
            moved: moved.clone(),
        };
        let a = host(&case, 0, device(east, 0));
        let b = host(&case, 1, device(west, 1));
        Self {
            pair: Pair::new(a, b, moved.clone()),
            rng: case.draws.of("steps taken"),
            faults: case.faults,
            trace,
            finishing: false,
            case,
            watch,
            doors: Vec::new(),
            spares: Vec::new(),
            ends: Vec::new(),
            noisy: false,
            accepting: true,
            slept: false,
        }
    }

    pub fn tell(&self, text: impl FnOnce() -> String) {
        if self.trace {
            let at = self.pair.now.micros();
            println!("{:6}.{:06} -- {}", at / 1_000_000, at % 1_000_000, text());
        }
    }

    pub fn host(&mut self, side: usize) -> &mut Host<K> {
        side_of(&mut self.pair, side)
    }

    /// Octets that buffers of host `side` may ever hold.
    pub fn most(&self, side: usize) -> (usize, usize) {
        if !self.case.grows || K::OFFERS {
            return self.case.buffers[side];
        }
        let config = &self.case.configs[side];
        (
            // Before a listener ran it has what is usual.
            config.receive_buffer_max.max(540_000),
            // And the rest of a train.
            config.send_buffer_max.max(262_144) + 65_535,
        )
    }

    /// A closed socket for host `side`.
    fn socket(&mut self, side: usize) -> (Sock<K>, (usize, usize)) {
        let (rx, tx) = self.case.buffers[side];
        let growing = if self.case.grows { K::growing() } else { None };
        let mut socket = growing.unwrap_or_else(|| K::socket(rx, tx));
        let most = self.most(side);
        let cc = pick(&mut self.rng, &super::steps::CONTROLS);
        socket.set_tcp_congestion(cc);
        (socket, most)
    }

    /// Opens what listens.
    pub fn listen(&mut self, side: usize, port: u16) {
        let backlog = pick(&mut self.rng, &[128, 1, 3]);
        let mut socket = self.socket(side).0;
        let local = SocketAddr::new(HOSTS[side], port);
        socket.bind(local).expect("a closed socket");
        if self.case.fast_open {
            socket.set_fastopen(8);
        }
        socket.listen(backlog).expect("a bound socket");
        self.tell(|| format!("host {side} listens on {port} for {backlog}"));
        let Ok(h) = self.host(side).open(socket) else {
            return;
        };
        self.doors.push(Door { h, side, port });
        for _ in 0..4 {
            self.offer(side, h);
        }
    }

    pub fn offer(&mut self, side: usize, door: Handle<Sock<K>>) {
        if K::OFFERS {
            let socket = self.socket(side).0;
            let host = self.host(side);
            if let Ok(h) = host.open(socket) {
                host.socket(door).offer(h).expect("a closed socket");
                self.spares.push((side, h));
            }
        }
    }

    /// Is somebody listening?
    pub fn listens(&self, side: usize, port: u16) -> bool {
        self.doors.iter().any(|d| (d.side, d.port) == (side, port))
    }

    /// Closes a listener.
    pub fn shut_door(&mut self, nth: usize) {
        if self.doors.is_empty() {
            return;
        }
        let door = self.doors.swap_remove(nth % self.doors.len());
        self.tell(|| format!("host {} listens no more on {}", door.side, door.port));
        self.host(door.side).close(door.h).expect("a listener");
    }

    /// Connects from `side` to `port`, from port `own` if that is not 0.
    pub fn connect(&mut self, side: usize, own: u16, port: u16) {
        let (mut socket, most) = self.socket(side);
        if own != 0 {
            let local = SocketAddr::new(HOSTS[side], own);
            socket.bind(local).expect("a closed socket");
        }
        let peer = SocketAddr::new(HOSTS[1 - side], port);
        socket.set_fastopen_connect(self.case.fast_open && self.rng.below(2) == 0);
        socket.connect(peer).expect("an address of a host");
        self.tell(|| format!("host {side} connects from {own} to {port}"));
        let Ok(h) = self.host(side).open(socket) else {
            return;
        };
        let budget = skewed(&mut self.rng, self.case.budget + 1) as u64;
        let mut end = End::new(h, side, (own, port), budget);
        end.most = most;
        end.eager = self.rng.below(3) > 0;
        end.moved_at = self.pair.now;
        // Crossing connections have no listener.
        let other = self.ends.iter().rposition(|other| {
            own != 0 && other.side != side && other.ports == (port, own) && !other.accepted
        });
        end.peer = other;
        let index = self.ends.len();
        if let Some(other) = other {
            self.ends[other].peer = Some(index);
        }
        self.ends.push(end);
    }

    /// Lets `span` pass.
    pub fn pass(&mut self, span: Duration) -> Ended {
        let end = self.pair.now + span;
        let mut taken = Vec::new();
        let Self {
            pair,
            ends,
            doors,
            accepting,
            ..
        } = self;
        let ended = pair.run(span, |a, b, now| {
            for (side, host) in [&mut *a, &mut *b].into_iter().enumerate() {
                let mut news = HashSet::new();
                while let Some(h) = host.next_news::<Sock<K>, At<0>>() {
                    news.insert(h);
                }
                for door in doors.iter().filter(|d| d.side == side && *accepting) {
                    while let Some(h) = host.socket(door.h).accept() {
                        taken.push((door.side, door.port, h));
                    }
                }
                for end in ends.iter_mut().filter(|e| e.side == side) {
                    end.due |= news.contains(&end.h);
                    if end.eager {
                        let before = (end.got, end.written);
                        end.act(host);
                        if before != (end.got, end.written) {
                            end.moved_at = now;
                        }
                    }
                    end.observe(host, now);
                }
            }
            !taken.is_empty()
        });
        if self.pair.now < end && ended != Ended::Done {
            self.pair.now = end;
        }
        let more = !taken.is_empty();
        for (side, port, h) in taken {
            self.accepted(side, port, h);
        }
        for side in 0..2 {
            let now = self.pair.now;
            let host = side_of(&mut self.pair, side);
            for end in self.ends.iter_mut().filter(|e| e.side == side) {
                end.observe(host, now);
            }
        }
        self.check();
        self.check_memory();
        if more && self.pair.now < end {
            let left = end - self.pair.now;
            return self.pass(left);
        }
        ended
    }

    /// What must be true of both ends of every connection.
    fn check(&self) {
        for end in &self.ends {
            let Some(peer) = end.peer.map(|n| &self.ends[n]) else {
                self.check_error(end, None);
                continue;
            };
            let senders = self.senders(end);
            let written = senders.clone().map(|p| p.written).max().unwrap_or(0);
            assert!(
                end.got <= written,
                "{} octets read of {written} written",
                end.got
            );
            let mut closed = senders.filter(|p| p.shut || p.released).peekable();
            let theirs = [
                State::CloseWait,
                State::Closing,
                State::LastAck,
                State::TimeWait,
            ];
            assert!(
                closed.peek().is_some() || !theirs.contains(&end.state),
                "{} without a FIN",
                end.state
            );
            if end.ended {
                assert!(closed.peek().is_some(), "an end that nobody made");
                let (got, written) = (end.got, peer.written);
                let all = closed.any(|p| p.written == got);
                assert!(all, "the end came early: {got} of {written}");
            }
            self.check_error(end, Some(peer));
        }
    }

    /// Had the connection a reason to fail?
    fn check_error(&self, end: &End<K>, peer: Option<&End<K>>) {
        let Some(error) = end.error else { return };
        // A peer that failed may not have asked why yet.
        let failed = |p: &End<K>| p.error.is_some() || p.state == State::Closed;
        let by_peer = peer.is_none_or(|p| p.released || p.aborted || failed(p));
        let fragile = end.fragile || end.mixed || self.slept || peer.is_some_and(|p| p.fragile);
        let stood = end.stood;
        let right = end.aborted
            || match error {
                // A reset is a broken pipe once the peer's end was read (Linux).
                TcpError::Reset | TcpError::BrokenPipe => {
                    by_peer || fragile || self.baked(end) || self.case.tight()
                }
                // Of two that call each other the first may find nobody yet.
                TcpError::Refused => {
                    let crossing = peer.is_some_and(|p| !p.accepted && !end.accepted);
                    // What the network said explains a timeout (RFC 1122 §4.2.3.9).
                    let late = fragile || by_peer || self.case.may_fail(stood);
                    !stood && (by_peer || crossing || self.noisy) || self.noisy && late
                }
                TcpError::TimedOut => fragile || by_peer || self.case.may_fail(stood),
                TcpError::HostUnreachable | TcpError::NetUnreachable => self.noisy,
                TcpError::AddrInUse => end.ports.0 != 0,
                TcpError::NoMemory => self.case.tight(),
                _ => false,
            };
        assert!(
            right,
            "{error} of {:?} in {} (peer {:?})",
            end.ports,
            end.state,
            peer.map(|p| (p.state, p.error, p.released, p.aborted))
        );
    }

    /// May the handshake have been kept in a cookie, which text that overtakes it spoils?
    pub fn baked(&self, end: &End<K>) -> bool {
        let side = if end.accepted { end.side } else { 1 - end.side };
        let stats = if side == 0 {
            self.pair.a.stats()
        } else {
            self.pair.b.stats()
        };
        stats.tcp_cookies_sent > 0
    }

    /// The faults of both directions from now on.
    pub fn set_faults(&mut self, faults: [FaultConfig; 2]) {
        self.faults = faults;
        for (side, fault) in faults.into_iter().enumerate() {
            let device = self.host(side).iface.device_mut();
            device.fault.reconfigure(fault, FaultConfig::new());
        }
    }

    /// The path is as good as can be, only as long and narrow as before.
    pub fn heal(&mut self) {
        let better = |f: FaultConfig| {
            let rate = if f.rate > 0 { f.rate.max(1_000_000) } else { 0 };
            FaultConfig::new()
                .with_delay(f.delay)
                .with_rate(rate)
                .with_seed(f.seed)
        };
        self.set_faults(self.case.faults.map(better));
    }

    /// Ends everything orderly and sees that it ends.
    pub fn finish(&mut self) {
        self.tell(|| "all finish".into());
        self.accepting = true;
        self.finishing = true;
        if self.case.healed {
            self.heal();
        } else {
            self.set_faults(self.case.faults);
        }
        let now = self.pair.now;
        for end in &mut self.ends {
            end.moved_at = now;
        }
        let patience = self.case.patience();
        loop {
            for end in &mut self.ends {
                end.due |= !end.finishing || !end.eager;
                end.finishing = true;
                end.eager = true;
            }
            let ended = self.pass(SECOND * 10);
            let now = self.pair.now;
            let waiting = |end: &End<K>| {
                let peer = end.peer.map(|n| &self.ends[n]);
                // One that gave up in silence leaves the other waiting.
                let given_up = |p: &End<K>| {
                    let may = p.fragile || end.fragile || self.case.may_fail(true);
                    end.mixed
                        || p.error.is_some()
                        || p.released
                        || p.aborted
                        || p.state == State::Closed && may
                };
                !end.over() && !peer.is_none_or(given_up)
            };
            let mut left = self.ends.iter().filter(|end| waiting(end)).peekable();
            if left.peek().is_none() {
                break;
            }
            for end in left {
                let peer = &self.ends[end.peer.expect("a peer")];
                let still = now - end.moved_at.max(peer.moved_at);
                if ended == Ended::Stalled || still > patience {
                    let words = |e: &End<K>| {
                        format!(
                            "{:?} {} wrote {} of {} got {} shut {} ended {}",
                            e.ports, e.state, e.written, e.budget, e.got, e.shut, e.ended
                        )
                    };
                    panic!(
                        "stalled ({ended:?}) for {still:?}:\n{}\n{}",
                        words(end),
                        words(peer)
                    );
                }
            }
        }
    }

    /// Gives everything up, and sees that nothing is left.
    pub fn close_all(&mut self) {
        self.tell(|| "all close".into());
        for n in 0..self.ends.len() {
            self.release(n);
        }
        while !self.doors.is_empty() {
            self.shut_door(0);
        }
        self.pass(SECOND * 3600 * 3);
        for (side, h) in std::mem::take(&mut self.spares) {
            let closed = self.host(side).close(h);
            // One that a listener had taken goes with it.
            assert!(closed.is_ok() || self.case.odd, "a socket nobody took");
        }
        self.pass(SECOND);
        for side in 0..2 {
            let host = self.host(side);
            let open = host.sockets::<Sock<K>, At<0>>().len();
            assert_eq!(open, 0, "sockets left at host {side}");
            let tcp = &host.transports().0;
            assert_eq!((tcp.handshakes(), tcp.waiting()), (0, 0), "entries left");
        }
        let now = self.pair.now;
        for side in 0..2 {
            let next = self.host(side).poll(now);
            let idle = Next::Wait {
                until: None,
                room: false,
            };
            assert_eq!(next, idle, "something left to do at host {side}");
        }
    }

    /// The application of end `n` gives its socket up.
    pub fn release(&mut self, n: usize) {
        let end = &mut self.ends[n];
        if !std::mem::replace(&mut end.released, true) {
            let (side, h) = (end.side, end.h);
            self.tell(|| format!("end {n} closes"));
            self.host(side).close(h).expect("an open socket");
        }
    }

    /// When nobody has anything to say, hardly anything is said.
    pub fn hush(&mut self) {
        self.tell(|| "all hush".into());
        self.accepting = true;
        self.heal();
        for end in &mut self.ends {
            end.eager = true;
            end.due = true;
        }
        self.pass(SECOND * 2000);
        // What waits for a window of a few octets at a time is said for something, even if its
        // application has left.
        let waits = |end: &End<K>| {
            let peer = end.peer.and_then(|n| self.ends.get(n));
            peer.is_some_and(|peer| !peer.over() && peer.got < end.written)
        };
        let unheard = |end: &End<K>| !end.released && end.unacknowledged > 0;
        let busy = |end: &End<K>| end.error.is_none() && (unheard(end) || waits(end));
        if self.ends.iter().any(busy) {
            return;
        }
        let before = self.watch.borrow().sent;
        self.pass(SECOND * 3600);
        let after = self.watch.borrow().sent;
        for side in 0..2 {
            let sent = after[side] - before[side];
            let most = if self.ends.iter().any(|e| e.fragile) {
                // Keep-alive probes, one a second at most.
                2 * 3600 * self.ends.len() as u64 + 100
            } else {
                20 * self.ends.len() as u64 + 20
            };
            assert!(sent <= most, "host {side} sent {sent} packets for nothing");
        }
    }

    /// Ports that may be listened on.
    pub fn a_port(&mut self) -> u16 {
        pick(&mut self.rng, &PORTS)
    }
}
