//! A demonstration for tools that watch, where there is nothing to watch: two hosts of our own
//! on a cable in memory talk for a moment, and every frame at our end is seen.
//!
//! Invariant: it ends by itself, soon, also on a cable that loses everything.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netstrata::host::{AnyDevice, Datagrams, Phy};
use netstrata::icmp::PingSocket;
use netstrata::phy::{Direction, Instant, Traced, Tracer};
use netstrata::socket::{Handle, SocketSet};
use netstrata::udp::UdpSocket;

use crate::errors::CliError;
use crate::frame::{Frame, Link, Stamp};
use crate::global::Global;
use crate::session::Session;
use crate::source::Step;
use crate::trace::Connection;

/// How long one act may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a step may take.
const TURN: Duration = Duration::from_millis(100);

type Pings = PingSocket<Box<[u8]>>;

/// What is done, in this order.
const ACTS: [Act; 7] = [
    Act::Ping(1),
    Act::Ping(2),
    Act::Ping(3),
    Act::Datagram(7),
    Act::Datagram(9999),
    Act::Fetch(80),
    Act::Fetch(81),
];

#[derive(Debug, Clone, Copy)]
enum Act {
    /// An echo request with this number.
    Ping(u16),
    /// A datagram to this port; 7 sends it back, the other is closed.
    Datagram(u16),
    /// A connection to this port; 80 serves a page, the other is closed.
    Fetch(u16),
}

/// A frame that passed.
struct Seen {
    time: Stamp,
    octets: Vec<u8>,
    trusted: bool,
}

/// Two hosts that talk.
pub struct Demo {
    session: Session,
    link: Link,
    peer: IpAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    pings: Handle<Pings>,
    datagrams: Handle<Datagrams>,
    fetch: Option<Handle<Connection>>,
    /// Which act, and since when; `None` before it has begun.
    act: usize,
    since: Option<Instant>,
}

impl Demo {
    /// Sets the scene on the cable or loopback that `global` asks for.
    ///
    /// # Errors
    /// When a host cannot be set up.
    pub fn open(global: &Global) -> Result<Self, CliError> {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let wall = Arc::clone(&seen);
        let loopback = global.device()? == Some(Phy::Loopback);
        let trace = move |device: AnyDevice| -> AnyDevice {
            Box::new(Tracer::new(device, move |frame: Traced<'_>| {
                // On a loopback, what is sent is received as well: once is enough.
                if loopback && frame.direction == Direction::Sent {
                    return;
                }
                let mut seen = wall.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push(Seen {
                    time: Stamp::now(),
                    octets: frame.parts.concat(),
                    trusted: !frame.checksummed,
                });
            }))
        };
        // What is captured is captured by the tool.
        let global = Global {
            capture: None,
            ..global.clone()
        };
        let mut session = Session::open_with(&global, trace)?;
        let peer = session.peer(None)?;
        let link = if loopback { Link::Ip } else { Link::Ethernet };
        let buffer = || vec![0; 4096].into_boxed_slice();
        let socket = |e| CliError::setup("socket", e);
        let pings = session
            .host
            .open(Pings::new(0, buffer(), buffer()))
            .map_err(socket)?;
        let datagrams = UdpSocket::new(0, buffer(), buffer());
        let datagrams = session.host.open(datagrams).map_err(socket)?;
        Ok(Self {
            session,
            link,
            peer: peer.into(),
            seen,
            pings,
            datagrams,
            fetch: None,
            act: 0,
            since: None,
        })
    }

    /// Goes on for a moment, and shows what passed.
    ///
    /// # Errors
    /// When sleeping fails.
    pub fn step(&mut self, sink: &mut impl FnMut(&Frame<'_>)) -> Result<Step, CliError> {
        let now = self.session.now();
        let over = match (ACTS.get(self.act), self.since) {
            (None, _) => true,
            (Some(act), None) => {
                self.since = Some(now);
                self.begin(*act);
                false
            }
            (Some(act), Some(since)) => {
                if self.goes_on(*act) || now.saturating_since(since) > PATIENCE {
                    self.act += 1;
                    self.since = None;
                }
                false
            }
        };
        // What was begun goes out before anything is waited for.
        let until = if self.since == Some(now) || over {
            now
        } else {
            now + TURN
        };
        self.session.turn(Some(until), &[])?;
        let frames = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *seen)
        };
        for seen in &frames {
            sink(&Frame {
                time: seen.time,
                link: self.link,
                octets: &seen.octets,
                len: seen.octets.len(),
                trusted: seen.trusted,
            });
        }
        Ok(if over { Step::End } else { Step::More })
    }

    /// What cannot be sent is not seen: nothing more is to be done about it.
    fn begin(&mut self, act: Act) {
        let (host, peer) = (&mut self.session.host, self.peer);
        match act {
            Act::Ping(seq) => {
                let sent = |socket: &mut Pings| socket.send_to(peer, seq, &[0x2a; 56], None);
                let _ = host.socket(self.pings).with(sent);
            }
            Act::Datagram(port) => {
                let to = SocketAddr::new(peer, port);
                let sent = |socket: &mut Datagrams| socket.send_to(b"hello, world", to);
                let _ = host.socket(self.datagrams).with(sent);
            }
            Act::Fetch(port) => {
                let connection = Connection::connecting(SocketAddr::new(peer, port));
                self.fetch = host.open(connection).ok();
                if let Some(fetch) = self.fetch {
                    let request = b"GET / HTTP/1.0\r\n\r\n";
                    let _ = host.socket(fetch).with(|socket| socket.send(request));
                }
            }
        }
    }

    /// Takes what came; true when the act is over.
    fn goes_on(&mut self, act: Act) -> bool {
        let host = &mut self.session.host;
        match act {
            Act::Ping(_) => {
                let got = host.socket(self.pings).with(|socket| socket.recv(|_| ()));
                matches!(got, Ok(Some(())))
            }
            Act::Datagram(_) => {
                let got = host.socket(self.datagrams).with(|socket| {
                    socket.recv_from(&mut [0; 64]).is_ok() || socket.take_failure().is_some()
                });
                got != Ok(false)
            }
            Act::Fetch(_) => {
                let Some(fetch) = self.fetch else {
                    // Closed on our side: the rest is between the two hosts.
                    return host.sockets::<Connection, _>().len() == 0;
                };
                let ended = host.socket(fetch).with(|socket| {
                    let mut page = [0; 512];
                    // Ends with what has come so far.
                    loop {
                        match socket.recv(&mut page) {
                            Ok(n) if n > 0 => {}
                            Ok(_) => break true,
                            Err(netstrata::tcp::RecvError::Failed(_)) => break true,
                            Err(_) => break false,
                        }
                    }
                });
                if ended != Ok(false) {
                    let _ = host.close(fetch);
                    self.fetch = None;
                }
                false
            }
        }
    }
}
