//! Options of a socket, set and read: part of what applications touch, beside
//! [`socket`](super::socket).
//!
//! Invariant: names are those of `std::net::TcpStream` and socket2, values those of Linux's
//! `setsockopt` in Rust's units; a setter never fails, and what it sets holds from the next
//! `poll` on. A listener's options are those of the connections it makes.

use core::time::Duration;

use super::congestion::Algorithm;
use super::ecn::Ecn;
use super::options::{Options, TcpKeepalive};
use super::socket::{Role, TcpSocket, Wants};

impl<R, T, C> TcpSocket<R, T, C> {
    /// What the application set.
    pub fn options(&self) -> Options {
        match &self.role {
            Role::Closed(options) | Role::Opening(options) => *options,
            Role::Listen(listener) => listener.options,
            Role::Connection(tcb) => tcb.options(),
        }
    }

    /// Changes its options; the next `poll` acts on them.
    pub(super) fn change(&mut self, f: impl FnOnce(&mut Options)) {
        match &mut self.role {
            Role::Closed(options) | Role::Opening(options) => f(options),
            Role::Listen(listener) => f(&mut listener.options),
            Role::Connection(tcb) => {
                let mut options = tcb.options();
                f(&mut options);
                tcb.choose(&options);
                self.wants.set(Wants::OPTIONS);
            }
        }
    }

    /// Sends short segments at once instead of waiting for the last one to be acknowledged
    /// (RFC 9293 §3.7.4, `TCP_NODELAY`). What is held back goes now.
    pub fn set_nodelay(&mut self, on: bool) {
        self.change(|o| o.nodelay = on);
    }

    /// See [`set_nodelay`](Self::set_nodelay).
    pub fn nodelay(&self) -> bool {
        self.options().nodelay
    }

    /// Holds short segments back until more is written (`TCP_CORK`), for an RTO at most. Off,
    /// what is held back goes now.
    pub fn set_cork(&mut self, on: bool) {
        self.change(|o| o.cork = on);
    }

    /// See [`set_cork`](Self::set_cork).
    pub fn cork(&self) -> bool {
        self.options().cork
    }

    /// Acknowledges every segment at once (`TCP_QUICKACK`). Unlike Linux's it stays set.
    pub fn set_quickack(&mut self, on: bool) {
        self.change(|o| o.quickack = on);
    }

    /// See [`set_quickack`](Self::set_quickack).
    pub fn quickack(&self) -> bool {
        self.options().quickack
    }

    /// Probes an idle peer (RFC 9293 §3.8.4, `SO_KEEPALIVE`), when the stack's configuration
    /// says or [`set_tcp_keepalive`](Self::set_tcp_keepalive) said.
    pub fn set_keepalive(&mut self, on: bool) {
        self.change(|o| o.keepalive = on);
    }

    /// See [`set_keepalive`](Self::set_keepalive).
    pub fn keepalive(&self) -> bool {
        self.options().keepalive
    }

    /// Probes an idle peer at these times.
    pub fn set_tcp_keepalive(&mut self, params: &TcpKeepalive) {
        self.change(|o| {
            o.keepalive = true;
            o.keepalive_time = params.time.or(o.keepalive_time);
            o.keepalive_interval = params.interval.or(o.keepalive_interval);
            o.keepalive_retries = params.retries.or(o.keepalive_retries);
        });
    }

    /// Idle time before the first probe (`TCP_KEEPIDLE`); `None` for the stack's.
    pub fn keepalive_time(&self) -> Option<Duration> {
        self.options().keepalive_time
    }

    /// Time between probes (`TCP_KEEPINTVL`); `None` for the stack's.
    pub fn keepalive_interval(&self) -> Option<Duration> {
        self.options().keepalive_interval
    }

    /// Unanswered probes that end the connection (`TCP_KEEPCNT`); `None` for the stack's number.
    pub fn keepalive_retries(&self) -> Option<u8> {
        self.options().keepalive_retries
    }

    /// Gives the connection up after this time without progress (RFC 5482,
    /// `TCP_USER_TIMEOUT`); `None` leaves it to the number of retransmissions.
    pub fn set_tcp_user_timeout(&mut self, timeout: Option<Duration>) {
        self.change(|o| o.user_timeout = timeout);
    }

    /// See [`set_tcp_user_timeout`](Self::set_tcp_user_timeout).
    pub fn tcp_user_timeout(&self) -> Option<Duration> {
        self.options().user_timeout
    }

    /// What giving the socket up does with octets that are not acknowledged yet (`SO_LINGER`):
    /// `None`, the default, sends them in the background; zero forgets them and resets the
    /// connection; any other time resets it if they are not acknowledged by then. Nothing ever
    /// blocks.
    pub fn set_linger(&mut self, linger: Option<Duration>) {
        self.change(|o| o.linger = linger);
    }

    /// See [`set_linger`](Self::set_linger).
    pub fn linger(&self) -> Option<Duration> {
        self.options().linger
    }

    /// How long a connection without application waits for the peer's FIN (`TCP_LINGER2`);
    /// `None` for the stack's time, zero to reset it instead of waiting.
    pub fn set_linger2(&mut self, timeout: Option<Duration>) {
        self.change(|o| o.fin_wait_2 = timeout);
    }

    /// See [`set_linger2`](Self::set_linger2).
    pub fn linger2(&self) -> Option<Duration> {
        self.options().fin_wait_2
    }

    /// Times a SYN is repeated before connecting fails (`TCP_SYNCNT`); `None` for the stack's
    /// number.
    pub fn set_syn_retries(&mut self, retries: Option<u8>) {
        self.change(|o| o.syn_retries = retries);
    }

    /// See [`set_syn_retries`](Self::set_syn_retries).
    pub fn syn_retries(&self) -> Option<u8> {
        self.options().syn_retries
    }

    /// Largest MSS advertised and sent, octets of options and text (`TCP_MAXSEG`). To be set
    /// before connecting or listening; `None` for what the path carries.
    pub fn set_mss(&mut self, mss: Option<u16>) {
        self.change(|o| o.mss = mss);
    }

    /// See [`set_mss`](Self::set_mss). What a connection uses is in its
    /// [`info`](Self::info).
    pub fn mss(&self) -> Option<u16> {
        self.options().mss
    }

    /// Widest window to offer, octets (`TCP_WINDOW_CLAMP`); what was offered is not taken back.
    pub fn set_window_clamp(&mut self, octets: Option<u32>) {
        self.change(|o| o.window_clamp = octets);
    }

    /// See [`set_window_clamp`](Self::set_window_clamp).
    pub fn window_clamp(&self) -> Option<u32> {
        self.options().window_clamp
    }

    /// Takes no more to be sent while so many octets wait that were never sent
    /// (`TCP_NOTSENT_LOWAT`). A write that is taken may overshoot by less than a train of
    /// segments: 64 KiB, or half the peer's window.
    pub fn set_notsent_lowat(&mut self, octets: Option<u32>) {
        self.change(|o| o.notsent_lowat = octets);
    }

    /// See [`set_notsent_lowat`](Self::set_notsent_lowat).
    pub fn notsent_lowat(&self) -> Option<u32> {
        self.options().notsent_lowat
    }

    /// Octets per second that text is sent at, at most (`SO_MAX_PACING_RATE`).
    pub fn set_max_pacing_rate(&mut self, octets_per_second: Option<u64>) {
        self.change(|o| o.max_pacing_rate = octets_per_second);
    }

    /// See [`set_max_pacing_rate`](Self::set_max_pacing_rate).
    pub fn max_pacing_rate(&self) -> Option<u64> {
        self.options().max_pacing_rate
    }

    /// A listener's connections are to be accepted only when their first text came, or this
    /// time passed (`TCP_DEFER_ACCEPT`).
    pub fn set_defer_accept(&mut self, timeout: Option<Duration>) {
        self.change(|o| o.defer_accept = timeout);
    }

    /// See [`set_defer_accept`](Self::set_defer_accept).
    pub fn defer_accept(&self) -> Option<Duration> {
        self.options().defer_accept
    }

    /// Congestion control of a connection, or of a listener's connections; `None` for the one
    /// its type names (`TCP_CONGESTION`). A connection that is under way keeps its window.
    /// Without effect where the type is one algorithm: [`Any`](super::congestion::Any) is what
    /// can change.
    pub fn set_tcp_congestion(&mut self, algorithm: Option<Algorithm>) {
        self.change(|o| o.congestion = algorithm);
    }

    /// See [`set_tcp_congestion`](Self::set_tcp_congestion).
    pub fn tcp_congestion(&self) -> Option<Algorithm> {
        self.options().congestion
    }

    /// What it does about explicit congestion notification, as a connection to come or as a
    /// listener; `None` for [`Config::ecn`](super::Config::ecn), as Linux's sysctl `tcp_ecn` for
    /// all. A connection that is under way goes on as it began.
    pub fn set_tcp_ecn(&mut self, ecn: Option<Ecn>) {
        self.change(|o| o.ecn = ecn);
    }

    /// See [`set_tcp_ecn`](Self::set_tcp_ecn).
    pub fn tcp_ecn(&self) -> Option<Ecn> {
        self.options().ecn
    }

    /// Time to live of its packets, 1 to 255; `None` for the default of 64.
    pub fn set_ttl(&mut self, ttl: Option<u8>) {
        self.ttl = ttl.filter(|ttl| *ttl > 0);
    }

    /// See [`set_ttl`](Self::set_ttl).
    pub fn ttl(&self) -> Option<u8> {
        self.ttl
    }

    /// DSCP of its packets, in the upper six bits (RFC 2474); the lower two, ECN, are ours.
    pub fn set_tos(&mut self, tos: u8) {
        self.tos = tos & !3;
    }

    /// See [`set_tos`](Self::set_tos).
    pub fn tos(&self) -> u8 {
        self.tos
    }
}
