//! TCP (RFC 9293): a thin shell around a pure core.
//!
//! **The core** is plain functions on one value, the control block [`Tcb`]: split by concern over
//! the files of this module, generic over nothing but the congestion control and the buffers,
//! with time as an argument. A [`Segment`] goes in, [`Effects`] and [`Plan`]s come out.
//!
//! **The shell** is [`Tcp`], the only part that knows packets, sockets and layers. On the way up
//! it parses, verifies, finds the connection and hands the segment to the core; at most one
//! answer goes back at once, everything else is the ready list's. On the way down it takes
//! ready sockets in turn, asks the core for plans and sends them straight from the send
//! buffers, so that acknowledgments are coalesced over a batch of received frames.
//!
//! | file | of | concern |
//! | --- | --- | --- |
//! | `socket`, `setters`, `stream`, `accept` | shell | what applications touch: connections and listeners |
//! | `demux`, `run` | shell | the way up: whose segment is it, and what follows |
//! | `passive`, `admission` | shell | handshakes that peers begin, and what they become |
//! | `active` | shell | connections we begin: source address, port, first sequence number |
//! | `egress`, `train` | shell | the way down: turns, plans to packets |
//! | `fastopen` | both | text in SYNs (RFC 7413) |
//! | `listen`, `cookie`, `timewait`, `table` | shell | connections that are no sockets |
//! | `ecn`, `accecn` | core | explicit congestion notification (RFC 3168, 9768) |
//! | the others | core | RFC 9293, 5681, 5961, 6298, 7323, 2018 |
//!
//! Invariants: a connection exists as a socket from the end of its handshake (or from its
//! `connect`) until it has ended **and** the application has let go, and earlier only for the
//! few peers that a Fast Open cookie vouches for; a listener's other unfinished handshakes and
//! connections in TIME-WAIT are entries in bounded tables. A segment is looked up by its 4-tuple,
//! then by `(address, port)`, then by port: one probe for a connection, three at most. Nothing
//! iterates over sockets.

mod accecn;
mod accept;
pub mod ack;
pub mod acks;
mod active;
mod admission;
pub mod autotune;
mod buffers;
mod chrono;
pub mod close;
pub mod config;
pub mod congestion;
mod cookie;
mod defer;
mod demux;
pub mod ecn;
mod egress;
pub mod error;
pub mod event;
pub mod fastopen;
pub mod flight;
mod idle;
pub mod info;
mod info_text;
#[cfg(feature = "std")]
mod io;
mod lazy;
pub mod limits;
mod listen;
mod measure;
pub mod memory;
mod newreno;
mod notsent;
pub mod open;
pub mod options;
mod pace;
mod passive;
pub mod pmtu;
mod probe;
mod prr;
pub mod push;
mod rack;
mod rare;
pub mod receive;
mod records;
pub mod recovery;
pub mod refused;
pub mod rtt;
mod run;
pub mod sack;
mod scoreboard;
pub mod segment;
mod seldom;
pub mod send;
pub mod seq;
mod setters;
pub mod socket;
pub mod stream;
mod table;
pub mod tcb;
pub mod timers;
mod timewait;
mod train;
mod undo;
mod urgent;
mod uto;
pub mod window;

pub use accept::OfferError;
pub use config::Config;
pub use congestion::{Algorithm, Congestion, Cubic, Reno};
pub use ecn::Ecn;
pub use error::TcpError;
pub use event::{Event, Observer};
pub use fastopen::{Early, EarlyFailure, FastOpenKey, SynOffer};
pub use info::TcpInfo;
pub use limits::{Cookies, Limits};
pub use memory::{Level, MemoryLimits};
pub use options::{Options, TcpKeepalive};
pub use pmtu::MtuProbing;
pub use push::SendFlags;
pub use recovery::CaState;
pub use segment::{Effects, Gone, Plan, Room, Segment, TimeWait, reset_for, timestamp};
pub use seq::SeqNum;
pub use socket::{Shutdown, SocketOf, TcpSocket, UseError};
pub use stream::{RecvError, SendError};
pub use tcb::{Handshake, Peer, State, Tcb};

use core::cell::Cell;
use core::marker::PhantomData;
use phy::{Instant, RxMeta};

use crate::context::{Cx, sooner};
use crate::iface::PacketTx;
use crate::net::{Answer, IcmpError, Ingress, Output};
use crate::socket::{SocketSet, Stores};
use crate::transport::Transport;
use crate::transport::port::{Ports, Share};
use crate::wire::protocol;
use accept::Link;
use fastopen::{Keys, Memory};
use listen::SynTable;
use table::FlowKey;
use timewait::TimeWaitTable;

/// The socket table of storage `S`.
type Set<S, C> = <S as Stores<SocketOf<S, C>>>::Set;
/// Names a socket of storage `S`.
type Handle<S, C> = crate::socket::Handle<SocketOf<S, C>>;

/// Deadlines of sockets, and ends of TIME-WAIT, dealt with in one turn at most; the others stay
/// due.
const EXPIRED: usize = 256;

/// TCP as a layer of a stack, with congestion control `C`.
///
/// ```
/// use netstrata::tcp::{Config, Tcp};
/// let tcp = Tcp::new(); // as Linux: CUBIC
/// let patient = Tcp::new().with_config(Config { syn_retries: 9, ..Config::default() });
/// # let _ = (tcp, patient);
/// ```
#[derive(Debug)]
pub struct Tcp<C = Cubic> {
    config: Config,
    limits: Limits,
    syns: SynTable,
    waits: TimeWaitTable,
    key: FlowKey,
    /// Until when a cookie may come back; none was sent at `Instant::ZERO`.
    cookies_until: Instant,
    /// Connections without an application.
    orphans: usize,
    ports: Ports,
    /// What Fast Open knows of servers.
    memory: Memory,
    /// What Fast Open cookies are made with.
    keys: Keys,
    /// Peers that ECN is not offered to.
    ecn_peers: ecn::Peers,
    /// Memory of all connections.
    account: memory::Account,
    /// The connection of the last segment: most segments come in runs.
    recent: Link,
    /// The listener, on an address of ours, of the last segment for one.
    listener: Cell<Link>,
    /// Segments of it that the core has not heard of yet.
    run: Option<run::Run>,
    control: PhantomData<fn() -> C>,
}

impl Tcp {
    /// TCP with CUBIC and the default configuration.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<C> Default for Tcp<C> {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            config: Config::default(),
            limits,
            syns: SynTable::new(limits.handshakes),
            waits: TimeWaitTable::new(limits.time_wait),
            key: FlowKey::default(),
            cookies_until: Instant::ZERO,
            orphans: 0,
            ports: Ports::default(),
            memory: Memory::new(limits.fastopen_servers),
            keys: Keys::default(),
            ecn_peers: ecn::Peers::new(limits.ecn_peers),
            account: memory::Account::default(),
            recent: Link::NONE,
            listener: Cell::new(Link::NONE),
            run: None,
            control: PhantomData,
        }
    }
}

impl<C> Tcp<C> {
    /// With other numbers.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// With other bounds. Only before first use: handshakes under way would be forgotten.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self.syns = SynTable::new(limits.handshakes);
        self.waits = TimeWaitTable::new(limits.time_wait);
        self.memory = Memory::new(limits.fastopen_servers);
        self.ecn_peers = ecn::Peers::new(limits.ecn_peers);
        self
    }

    /// As TCP of one of several stacks with one address: its ephemeral ports are those of `share`.
    /// For Fast Open such stacks want one [key](Self::set_fastopen_keys).
    #[must_use]
    pub fn sharing(mut self, share: Share) -> Self {
        self.ports = self.ports.sharing(share);
        self
    }

    /// The numbers.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The numbers, to be changed; what is under way goes on with the new ones. The time in
    /// TIME-WAIT and the initial retransmission timeout should stay as they are.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Unfinished handshakes of all listeners.
    pub fn handshakes(&self) -> usize {
        self.syns.len()
    }

    /// Peers that lost SYNs which offered ECN, as far as remembered.
    pub fn ecn_peers(&self) -> usize {
        self.ecn_peers.len()
    }

    /// Connections in TIME-WAIT.
    pub fn waiting(&self) -> usize {
        self.waits.len()
    }
}

impl<C: Congestion, S: Stores<SocketOf<S, C>>> Transport<S> for Tcp<C> {
    type Set = Set<S, C>;

    const PROTOCOL: Option<u8> = Some(protocol::TCP);
    const AGAIN: bool = true;

    fn start(&mut self, set: &mut Self::Set, cx: &mut Cx) {
        self.key = FlowKey::new(&cx.secret);
        self.ports.start(&cx.secret);
        self.keys.start(&cx.secret);
        set.start(&cx.secret);
    }

    fn claims(&self, packet: &Ingress<'_>) -> bool {
        packet.ip.proto == protocol::TCP
    }

    fn ingress<T: PacketTx>(
        &mut self,
        set: &mut Self::Set,
        cx: &mut Cx,
        packet: Ingress<'_>,
        answer: Answer<'_, T>,
    ) {
        self.up::<S, T>(set, cx, &packet, answer);
    }

    #[inline]
    fn again(&mut self, set: &mut Self::Set, cx: &mut Cx, payload: &[u8], meta: &RxMeta) -> bool {
        self.continues::<S>(set, cx, payload, meta)
    }

    fn icmp_error(&mut self, set: &mut Self::Set, cx: &mut Cx, error: &IcmpError<'_>) -> bool {
        self.close_run::<S>(set, cx);
        self.error::<S>(set, cx, error)
    }

    fn timers(&mut self, set: &mut Self::Set, cx: &mut Cx) {
        self.close_run::<S>(set, cx);
        self.waits.expire(cx.now, EXPIRED);
        self.reclaim::<S>(set, cx);
        for _ in 0..EXPIRED {
            let Some(h) = set.next_expired(cx.now) else {
                return;
            };
            self.expired::<S>(set, cx, h);
        }
    }

    fn egress(
        &mut self,
        set: &mut Self::Set,
        cx: &mut Cx,
        out: &mut impl Output,
        budget: usize,
    ) -> usize {
        self.close_run::<S>(set, cx);
        self.down::<S>(set, cx, out, budget)
    }

    fn unpark(&mut self, set: &mut Self::Set) {
        set.unpark();
    }

    fn ready(&self, set: &Self::Set) -> bool {
        set.any_ready()
    }

    fn deadline(&self, set: &Self::Set) -> Option<Instant> {
        let tables = sooner(self.syns.deadline(), self.waits.deadline());
        sooner(tables, set.next_deadline())
    }
}

#[cfg(test)]
mod tests;
