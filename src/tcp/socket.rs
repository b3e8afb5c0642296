//! What applications touch: a connection, or a listener.
//!
//! Invariant: a socket's methods only read and write its buffers and note wishes; segments are
//! sent by [`Tcp`](super::Tcp) in the next `poll`, which every use through
//! [`Bound::with`](crate::socket::Bound::with) causes. Nothing here blocks or looks at a clock.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::accept::{Link, Listener};
use super::config::Config;
use super::congestion::{Congestion, Cubic};
use super::demux::ip_header;
use super::error::TcpError;
use super::info::TcpInfo;
use super::options::Options;
use super::tcb::{State, Tcb};
use crate::socket::{ReadBuf, RecvBuf, Rx, SendBuf, Socket, Tx};
use crate::transport::Endpoint;

/// The TCP socket of storage `S` under congestion control `C`.
pub type SocketOf<S, C = Cubic> = TcpSocket<Rx<S>, Tx<S>, C>;

/// A connection or a listener, with receive buffer `R`, send buffer `T` and congestion
/// control `C`.
///
/// A socket that listens makes connections of its own: their buffers hold as much as the
/// listener's and their options are the listener's. Where the storage cannot make buffers, the
/// application [offers](crate::socket::Bound::offer) closed sockets in advance.
#[cfg_attr(
    feature = "alloc",
    doc = r#"
```
use netstrata::phy::{Cable, Instant, cable};
use netstrata::{Stack, iface::Ip, net::Ipv4, socket::SlabSockets, tcp::{Tcp, TcpSocket}};
# use core::convert::Infallible;
# struct Zeros;
# impl rand_core::TryRng for Zeros {
#     type Error = Infallible;
#     fn try_next_u32(&mut self) -> Result<u32, Infallible> { Ok(0) }
#     fn try_next_u64(&mut self) -> Result<u64, Infallible> { Ok(0) }
#     fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> { dst.fill(0); Ok(()) }
# }
# impl rand_core::TryCryptoRng for Zeros {}
# let mut rng = Zeros;
// Two hosts on a cable.
let mut host = |end: cable::End, n| {
    let ip = Ipv4::default().with(0, [10, 0, 0, n].into(), 24);
    Stack::new(Ip::new(end), ip, (Tcp::new(),), SlabSockets, &mut rng)
};
let (east, west) = Cable::new(1500);
let (mut server, mut client) = (host(east, 1), host(west, 2));

// One listens, the other connects and writes.
let listener = TcpSocket::listener("10.0.0.1:80".parse().unwrap(), 16);
let listener = server.open(listener).unwrap();
let mut socket = TcpSocket::connecting("10.0.0.1:80".parse().unwrap());
socket.send(b"hello").unwrap(); // sent once the connection stands
client.open(socket).unwrap();

let accepted = (0..9)
    .find_map(|ms| {
        client.poll(Instant::from_millis(ms));
        server.poll(Instant::from_millis(ms));
        server.socket(listener).accept()
    })
    .unwrap();
# client.poll(Instant::from_millis(9));
# server.poll(Instant::from_millis(9));
let mut text = [0; 16];
let read = server.socket(accepted).with(|s| s.recv(&mut text)).unwrap();
assert_eq!((read, &text[..5]), (Ok(5), &b"hello"[..]));
```
"#
)]
pub struct TcpSocket<R, T, C = Cubic> {
    pub(super) role: Role<C>,
    /// Local side, as bound or chosen, and the peer.
    pub(super) at: Endpoint,
    pub(super) wants: Wants,
    /// What kept it from opening.
    pub(super) error: Option<TcpError>,
    pub(super) ttl: Option<u8>,
    pub(super) tos: u8,
    /// Octets of memory it was last counted for.
    pub(super) charged: u32,
    /// The next in a listener's queue or among its spare sockets.
    pub(super) next: Link,
    pub(super) rx: R,
    pub(super) tx: T,
}

/// What a socket is.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all sockets are connections"
)]
pub(super) enum Role<C> {
    /// Nothing yet; the options are for what it will be.
    Closed(Options),
    /// To be a connection as soon as its source address and port are known.
    Opening(Options),
    /// A listener.
    Listen(Listener),
    /// A connection, or what is left to read of one.
    Connection(Tcb<C>),
}

/// What the application wants, until the next turn of the protocol does it; and what the
/// protocol must not forget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wants(u16);

impl Wants {
    /// Send no more.
    pub const SHUTDOWN: u16 = 1;
    /// The application gave the socket up.
    pub const RELEASE: u16 = 2;
    /// Reset the connection.
    pub const ABORT: u16 = 4;
    /// Something was read.
    pub const READ: u16 = 8;
    /// Options were changed.
    pub const OPTIONS: u16 = 16;
    /// The key changed since the table was told.
    pub const REKEY: u16 = 32;
    /// In a listener's queue: the application does not know it yet.
    pub const QUEUED: u16 = 64;
    /// Offered to a listener.
    pub const OFFERED: u16 = 128;
    /// Counted among the connections without an application.
    pub const ORPHAN: u16 = 256;
    /// Counted at its listener: it exists, but its handshake did not end.
    pub const PENDING: u16 = 1024;
    /// Its SYN waits for text, and the application was told that it may write.
    pub const DEFERRED: u16 = 2048;
    /// The application reads no more.
    pub const DEAF: u16 = 512;
    /// To be reset for its memory.
    pub const SHED: u16 = 4096;
    /// The receive buffer is still larger than the application wants it, for what was offered.
    pub const SHRINK: u16 = 8192;

    /// What the application asked of a connection, to be done in its next turn.
    pub const ASKED: u16 = Self::SHUTDOWN
        | Self::RELEASE
        | Self::ABORT
        | Self::READ
        | Self::OPTIONS
        | Self::REKEY
        | Self::SHRINK;

    pub fn set(&mut self, flags: u16) {
        self.0 |= flags;
    }
    pub fn clear(&mut self, flags: u16) {
        self.0 &= !flags;
    }
    pub fn any(self, flags: u16) -> bool {
        self.0 & flags != 0
    }
    /// Was any of `flags` set? None is afterwards.
    pub fn take(&mut self, flags: u16) -> bool {
        let was = self.any(flags);
        self.clear(flags);
        was
    }
}

/// Which way of a connection is shut down, as `std::net::Shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Nothing more is read.
    Read,
    /// Nothing more is sent.
    Write,
    /// Both.
    Both,
}

/// Why a socket cannot be bound, connected or made to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UseError {
    /// It is open already, or offered to a listener.
    Open,
    /// No such address or port can be connected to, or listened on.
    Unaddressable,
}

impl fmt::Display for UseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "socket is already open",
            Self::Unaddressable => "address or port cannot be used",
        })
    }
}

impl core::error::Error for UseError {}

impl<R, T, C> TcpSocket<R, T, C> {
    /// A closed socket on these buffers, which keep the capacities they have.
    pub fn new(rx: R, tx: T) -> Self {
        Self {
            role: Role::Closed(Options {
                receive_fixed: true,
                send_fixed: true,
                ..Options::default()
            }),
            at: Endpoint::bound(None, 0),
            wants: Wants::default(),
            error: None,
            ttl: None,
            tos: 0,
            charged: 0,
            next: Link::NONE,
            rx,
            tx,
        }
    }

    /// Uses `local` as its own side: the unspecified address stands for any of ours, port 0
    /// for one to be chosen. A bound socket holds its port from `listen` or `connect` on;
    /// connections in TIME-WAIT hold none from a listener, as with `SO_REUSEADDR`.
    ///
    /// # Errors
    /// [`UseError::Open`] if it is not closed.
    pub fn bind(&mut self, local: SocketAddr) -> Result<(), UseError> {
        self.must_be_closed()?;
        let ip = Some(local.ip()).filter(|ip| !ip.is_unspecified());
        self.at = Endpoint::bound(ip, local.port());
        Ok(())
    }

    /// Connects to `peer` in the next `poll`. What is written before the connection stands is
    /// sent when it does.
    ///
    /// # Errors
    /// [`UseError::Open`] if it is not closed, [`UseError::Unaddressable`] for port 0, the
    /// unspecified address, groups and broadcast.
    pub fn connect(&mut self, peer: SocketAddr) -> Result<(), UseError> {
        self.must_be_closed()?;
        let broadcast = matches!(peer.ip(), IpAddr::V4(ip) if ip.is_broadcast());
        let nowhere = peer.ip().is_unspecified() || peer.ip().is_multicast() || broadcast;
        if peer.port() == 0 || nowhere {
            return Err(UseError::Unaddressable);
        }
        self.at.peer = Some(peer);
        self.error = None;
        self.wants.clear(Wants::DEAF | Wants::SHUTDOWN);
        self.role = Role::Opening(self.options());
        Ok(())
    }

    /// Listens on the bound address with room for `backlog` connections that wait to be
    /// accepted, and as many unfinished handshakes; at least one, at most
    /// [`Limits::backlog`](super::Limits::backlog).
    ///
    /// # Errors
    /// [`UseError::Open`] if it is not closed, [`UseError::Unaddressable`] if it is not bound
    /// to a port. That another socket listens there already is found by the next `poll`, and
    /// told by [`take_error`](Self::take_error).
    pub fn listen(&mut self, backlog: usize) -> Result<(), UseError> {
        self.must_be_closed()?;
        if self.at.port == 0 {
            return Err(UseError::Unaddressable);
        }
        self.at.peer = None;
        self.error = None;
        self.role = Role::Listen(Listener::new(backlog, self.options()));
        self.wants.set(Wants::REKEY);
        Ok(())
    }

    fn must_be_closed(&self) -> Result<(), UseError> {
        let ended = match &self.role {
            Role::Closed(_) => true,
            Role::Connection(tcb) => matches!(tcb.state, State::Closed | State::TimeWait),
            Role::Opening(_) | Role::Listen(_) => false,
        };
        let held = Wants::RELEASE | Wants::OFFERED | Wants::QUEUED;
        if ended && !self.wants.any(held) {
            Ok(())
        } else {
            Err(UseError::Open)
        }
    }

    /// Ends one way of a connection, or both, as `shutdown(2)` does.
    ///
    /// [`Shutdown::Write`] sends no more: a FIN follows what is written already. The peer may
    /// still send, and it is read as before (RFC 9293 §3.6, a half-closed connection). Later
    /// writes fail with [`SendError::Closed`](super::SendError::Closed), a broken pipe.
    ///
    /// [`Shutdown::Read`] tells the peer nothing: reading gives the end once nothing is left to
    /// be read. What comes later is acknowledged all the same, and read if asked for.
    pub fn shutdown(&mut self, how: Shutdown) {
        if !matches!(self.role, Role::Opening(_) | Role::Connection(_)) {
            return;
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            self.wants.set(Wants::SHUTDOWN);
        }
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.wants.set(Wants::DEAF);
        }
    }

    /// Ends the connection at once and tells the peer by a reset. What is unsent or unread is
    /// lost (RFC 9293 §3.10.5).
    pub fn abort(&mut self) {
        match self.role {
            Role::Connection(_) => self.wants.set(Wants::ABORT),
            Role::Opening(options) => {
                self.role = Role::Closed(options);
                self.error = Some(TcpError::Aborted);
            }
            Role::Closed(_) | Role::Listen(_) => {}
        }
    }

    /// Its state. A connection that is to be opened in the next `poll` counts as SYN-SENT.
    pub fn state(&self) -> State {
        match &self.role {
            Role::Closed(_) => State::Closed,
            Role::Opening(_) => State::SynSent,
            Role::Listen(_) => State::Listen,
            Role::Connection(tcb) => tcb.state,
        }
    }

    /// Is it still to be known whether connecting succeeds? Then there is news of the socket,
    /// and either [`take_error`](Self::take_error) tells why it failed, or the connection stands.
    pub fn is_connecting(&self) -> bool {
        matches!(self.state(), State::SynSent | State::SynReceived)
    }

    /// Its own side; `None` before it is known. A listener on all addresses shows the
    /// unspecified one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        let any = match self.at.peer {
            Some(SocketAddr::V6(_)) => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
            _ => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
        };
        let known = self.at.port != 0;
        known.then(|| SocketAddr::new(self.at.ip.unwrap_or(any), self.at.port))
    }

    /// The peer, if there is or was one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.at.peer
    }

    /// Connections that wait to be accepted; 0 if it does not listen.
    pub fn pending(&self) -> usize {
        match &self.role {
            Role::Listen(listener) => listener.waiting(),
            _ => 0,
        }
    }

    /// Forgets everything but its buffers, which are emptied, if it is closed.
    pub(super) fn reset(&mut self) -> Result<(), UseError>
    where
        R: ReadBuf,
        T: SendBuf,
    {
        self.must_be_closed()?;
        self.rx.consume(self.rx.readable());
        self.tx.release(self.tx.queued());
        self.role = Role::Closed(self.options());
        self.at = Endpoint::bound(None, 0);
        self.wants = Wants::default();
        self.error = None;
        Ok(())
    }

    /// Is it of no use any more to anybody but a reader of its buffer?
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state(), State::Closed | State::TimeWait)
    }
}

impl<R, T, C: Congestion> TcpSocket<R, T, C> {
    /// Would text written now be sent, now or once the connection stands?
    pub fn can_send(&self) -> bool {
        let ending = Wants::SHUTDOWN | Wants::RELEASE | Wants::ABORT;
        !self.wants.any(ending)
            && match &self.role {
                Role::Opening(_) => true,
                Role::Connection(tcb) => tcb.can_send(),
                Role::Closed(_) | Role::Listen(_) => false,
            }
    }

    /// May text come that is not in the receive buffer yet, and is it wanted?
    pub fn can_recv(&self) -> bool {
        !self.wants.any(Wants::DEAF)
            && match &self.role {
                Role::Opening(_) => true,
                Role::Connection(tcb) => tcb.can_recv(),
                Role::Closed(_) | Role::Listen(_) => false,
            }
    }

    /// What ended or prevented the connection; told once.
    pub fn take_error(&mut self) -> Option<TcpError> {
        let own = self.error.take();
        match &mut self.role {
            Role::Connection(tcb) => own.or_else(|| tcb.take_error()),
            _ => own,
        }
    }
}

impl<R: RecvBuf, T: SendBuf, C: Congestion> TcpSocket<R, T, C> {
    /// The connection's numbers at `now`; `None` if it is none. `config` is the layer's
    /// ([`Tcp::config`](super::Tcp::config)).
    pub fn info(&self, config: &Config, now: phy::Instant) -> Option<TcpInfo> {
        match &self.role {
            Role::Connection(tcb) => {
                let mut info = tcb.info(config, now, &self.rx, &self.tx);
                if let (1.., Some(peer)) = (info.pmtu, &self.at.peer) {
                    info.pmtu = info.pmtu.saturating_add(ip_header(peer).into());
                }
                Some(info)
            }
            _ => None,
        }
    }
}

#[cfg(feature = "alloc")]
impl<C> TcpSocket<crate::socket::Elastic, crate::socket::Elastic, C> {
    /// A socket that listens on `local` with room for `backlog` connections, whose buffers
    /// grow by themselves. The unspecified address stands for all of ours; port 0 is not
    /// listened on.
    pub fn listener(local: SocketAddr, backlog: usize) -> Self {
        let mut socket = Self::closed();
        // A fresh socket is closed, and port 0 leaves it so.
        let _ = socket.bind(local).and_then(|()| socket.listen(backlog));
        socket
    }

    /// A socket that connects to `peer`, with buffers that grow by themselves. To a `peer` that
    /// cannot be connected to it stays closed.
    pub fn connecting(peer: SocketAddr) -> Self {
        let mut socket = Self::closed();
        if socket.connect(peer).is_err() {
            socket.error = Some(TcpError::HostUnreachable);
        }
        socket
    }

    /// A closed socket whose buffers begin with what the stack's
    /// [`Config`](super::Config::receive_buffer) says and grow with the path; memory is taken
    /// as octets come.
    pub fn closed() -> Self {
        use super::config::{RECEIVE_BUFFER, SEND_BUFFER};
        use crate::socket::Elastic;
        let mut socket = Self::new(Elastic::new(RECEIVE_BUFFER), Elastic::new(SEND_BUFFER));
        socket.role = Role::Closed(Options::default());
        socket
    }
}

impl<R: RecvBuf, T: SendBuf, C: Congestion> Socket for TcpSocket<R, T, C> {
    type Key = Endpoint;

    fn key(&self) -> Option<Endpoint> {
        match &self.role {
            Role::Closed(_) | Role::Opening(_) => None,
            Role::Listen(_) => Some(self.at),
            Role::Connection(_) => (!self.has_ended()).then_some(self.at),
        }
    }

    fn is_known_by(&self, key: &Endpoint) -> bool {
        self.at.port == key.port
            && self.at == *key
            && match &self.role {
                Role::Closed(_) | Role::Opening(_) => false,
                Role::Listen(_) => true,
                Role::Connection(tcb) => !matches!(tcb.state, State::Closed | State::TimeWait),
            }
    }

    fn wants_turn(&self) -> bool {
        match &self.role {
            Role::Connection(tcb) => self.wants.any(Wants::ASKED) || tcb.wants_to_send(&self.tx),
            Role::Closed(_) | Role::Opening(_) | Role::Listen(_) => true,
        }
    }

    fn charged(&self) -> u32 {
        self.charged
    }

    fn charge(&mut self) -> u32 {
        self.charged = self.occupies();
        self.charged
    }

    /// Unread octets make it a reset, else a FIN follows what is unsent; the socket lives on
    /// without its application until the peer has acknowledged.
    fn release(&mut self) -> bool {
        let over = match &self.role {
            Role::Closed(_) | Role::Opening(_) => true,
            Role::Listen(listener) => listener.is_empty(),
            Role::Connection(_) => self.has_ended(),
        };
        self.wants.set(Wants::RELEASE);
        over
    }
}

impl<R: RecvBuf, T: SendBuf, C: Congestion> TcpSocket<R, T, C> {
    /// Octets of memory it holds now, besides itself.
    #[inline]
    pub(super) fn occupies(&self) -> u32 {
        let own = match &self.role {
            Role::Connection(tcb) => tcb.occupies(),
            _ => 0,
        };
        let all = own
            .saturating_add(self.rx.memory())
            .saturating_add(self.tx.memory());
        u32::try_from(all).unwrap_or(u32::MAX)
    }
}

impl<R, T, C> fmt::Debug for TcpSocket<R, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state())?;
        if let Some(local) = self.local_addr() {
            write!(f, " {local}")?;
        }
        match self.peer_addr() {
            Some(peer) => write!(f, " -> {peer}"),
            None => Ok(()),
        }
    }
}
