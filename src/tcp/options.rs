//! What an application may set for one socket, named as `setsockopt` of Linux names it.
//!
//! Invariant: a value that is `None` leaves the number to the stack's [`Config`]; nothing here
//! is checked, every use clamps what it needs to. A listener's options are those of the
//! connections it makes.

use core::time::Duration;

use super::config::Config;
use super::congestion::Algorithm;
use super::ecn::Ecn;
use super::seldom::Seldom;

/// Options of one socket; set by the setters of [`TcpSocket`](super::TcpSocket).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// Send short segments at once instead of waiting for an acknowledgment: Nagle off
    /// (`TCP_NODELAY`, RFC 9293 §3.7.4).
    pub nodelay: bool,
    /// Hold short segments back until more is written, or an RTO passes (`TCP_CORK`).
    pub cork: bool,
    /// Acknowledge every segment at once (`TCP_QUICKACK`).
    pub quickack: bool,
    /// Probe an idle peer (`SO_KEEPALIVE`, RFC 9293 §3.8.4); off by default.
    pub keepalive: bool,
    /// Idle time before the first probe (`TCP_KEEPIDLE`); `None` for
    /// [`Config::keepalive_time`].
    pub keepalive_time: Option<Duration>,
    /// Time between probes (`TCP_KEEPINTVL`); `None` for [`Config::keepalive_interval`].
    pub keepalive_interval: Option<Duration>,
    /// Unanswered probes that end the connection (`TCP_KEEPCNT`); `None` for
    /// [`Config::keepalive_retries`].
    pub keepalive_retries: Option<u8>,
    /// How long octets may stay unacknowledged, or the window zero, before the connection is
    /// given up (`TCP_USER_TIMEOUT`, RFC 5482), to the millisecond; `None` leaves it to
    /// [`Config::retries`].
    pub user_timeout: Option<Duration>,
    /// What closing does with octets that are not acknowledged yet (`SO_LINGER`): `None` goes
    /// on in the background until the retries end, zero resets at once, else a reset follows
    /// after this time.
    pub linger: Option<Duration>,
    /// Time in FIN-WAIT-2 after the application has let go (`TCP_LINGER2`); zero resets at
    /// once; `None` for [`Config::fin_wait_2`].
    pub fin_wait_2: Option<Duration>,
    /// Times a SYN is repeated (`TCP_SYNCNT`); `None` for [`Config::syn_retries`].
    pub syn_retries: Option<u8>,
    /// Largest MSS that is advertised and sent, octets of options and text (`TCP_MAXSEG`); `None`
    /// for what the path carries.
    pub mss: Option<u16>,
    /// Widest window that is offered, octets (`TCP_WINDOW_CLAMP`); `None` for what the receive
    /// buffer allows.
    pub window_clamp: Option<u32>,
    /// The receive buffer keeps the capacity it has, which the application chose
    /// (`SO_RCVBUF`); by default it grows by itself.
    pub receive_fixed: bool,
    /// The send buffer keeps the capacity it has (`SO_SNDBUF`); by default it grows by itself.
    pub send_fixed: bool,
    /// Octets written and not sent yet above which no more is taken (`TCP_NOTSENT_LOWAT`);
    /// `None` for [`Config::notsent_lowat`].
    pub notsent_lowat: Option<u32>,
    /// Octets per second that text is sent at, at most (`SO_MAX_PACING_RATE`); `None` for no
    /// such bound.
    pub max_pacing_rate: Option<u64>,
    /// How long a listener waits for the first text of a connection before it is to be accepted
    /// without (`TCP_DEFER_ACCEPT`); `None` does not wait.
    pub defer_accept: Option<Duration>,
    /// Of a listener: connections that may exist before their handshake ends (`TCP_FASTOPEN`,
    /// RFC 7413 §5.1); 0 for no Fast Open.
    pub fastopen: u16,
    /// The first text goes with the SYN if the server gave us a cookie, else a cookie is asked
    /// for (`TCP_FASTOPEN_CONNECT`).
    pub fastopen_connect: bool,
    /// The same without a cookie (`TCP_FASTOPEN_NO_COOKIE`).
    pub fastopen_no_cookie: bool,
    /// Congestion control, where the type leaves a choice
    /// ([`Any`](super::congestion::Any)); `None` for the type's own (`TCP_CONGESTION`).
    pub congestion: Option<Algorithm>,
    /// What it does about ECN; `None` for [`Config::ecn`]. Counts when a connection begins.
    pub ecn: Option<Ecn>,
}

impl Options {
    /// For a socket whose buffers the application gave.
    pub(super) const fn on_buffers_of(mut self, own: &Self) -> Self {
        self.receive_fixed = own.receive_fixed;
        self.send_fixed = own.send_fixed;
        self
    }
}

/// When an idle peer is probed, as socket2's value of this name: what is not set stays as it is.
///
/// ```
/// use core::time::Duration;
/// use netstrata::tcp::TcpKeepalive;
/// let probes = TcpKeepalive::new().with_time(Duration::from_secs(60)).with_retries(4);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpKeepalive {
    pub(super) time: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) retries: Option<u8>,
}

impl TcpKeepalive {
    /// Nothing set yet.
    pub const fn new() -> Self {
        Self {
            time: None,
            interval: None,
            retries: None,
        }
    }

    /// Idle time before the first probe, at least a millisecond.
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        Self {
            time: Some(time),
            ..self
        }
    }

    /// Time between probes, at least a millisecond.
    #[must_use]
    pub const fn with_interval(self, interval: Duration) -> Self {
        Self {
            interval: Some(interval),
            ..self
        }
    }

    /// Unanswered probes that end the connection, at least one.
    #[must_use]
    pub const fn with_retries(self, retries: u8) -> Self {
        Self {
            retries: Some(retries),
            ..self
        }
    }
}

/// Times of keep-alive probes that hold for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Probes {
    pub time: Duration,
    pub interval: Duration,
    pub retries: u8,
}

/// [`Options`] as a control block keeps them: what segments are sent by in place, the others
/// only where there are any.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    pub nodelay: bool,
    pub cork: bool,
    pub quickack: bool,
    pub congestion: Option<Algorithm>,
    pub receive_fixed: bool,
    pub send_fixed: bool,
    rest: Seldom<Options>,
}

impl Chosen {
    pub fn new(options: &Options) -> Self {
        let mut chosen = Self {
            nodelay: options.nodelay,
            cork: options.cork,
            quickack: options.quickack,
            congestion: options.congestion,
            receive_fixed: options.receive_fixed,
            send_fixed: options.send_fixed,
            rest: Seldom::default(),
        };
        if *options != chosen.options() {
            *chosen.rest.make() = *options;
        }
        chosen
    }

    pub fn options(&self) -> Options {
        Options {
            nodelay: self.nodelay,
            cork: self.cork,
            quickack: self.quickack,
            congestion: self.congestion,
            receive_fixed: self.receive_fixed,
            send_fixed: self.send_fixed,
            ..self.rest.get().copied().unwrap_or_default()
        }
    }

    /// What it does about ECN, if the application said.
    pub fn ecn(&self) -> Option<Ecn> {
        self.rest.get()?.ecn
    }

    #[inline]
    pub fn user_timeout(&self) -> Option<Duration> {
        self.rest.get()?.user_timeout
    }

    /// When idle peers are probed, if the application wants it.
    pub fn probes(&self, cfg: &Config) -> Option<Probes> {
        let rest = self.rest.get().filter(|rest| rest.keepalive)?;
        let least = Duration::from_millis(1);
        Some(Probes {
            time: rest.keepalive_time.unwrap_or(cfg.keepalive_time).max(least),
            interval: rest
                .keepalive_interval
                .unwrap_or(cfg.keepalive_interval)
                .max(least),
            retries: rest
                .keepalive_retries
                .unwrap_or(cfg.keepalive_retries)
                .max(1),
        })
    }

    pub fn linger(&self) -> Option<Duration> {
        self.rest.get()?.linger
    }

    pub fn mss(&self) -> Option<u16> {
        self.rest.get()?.mss
    }

    /// Octets of the widest window that the application wants.
    #[inline]
    pub fn window_clamp(&self) -> u32 {
        let clamp = self.rest.get().and_then(|rest| rest.window_clamp);
        clamp.unwrap_or(u32::MAX)
    }

    pub fn max_pacing_rate(&self) -> Option<u64> {
        self.rest.get()?.max_pacing_rate
    }

    #[inline]
    pub fn notsent_lowat(&self) -> Option<u32> {
        self.rest.get()?.notsent_lowat.filter(|octets| *octets > 0)
    }

    pub fn fin_wait_2(&self, cfg: &Config) -> Duration {
        let own = self.rest.get().and_then(|rest| rest.fin_wait_2);
        own.unwrap_or(cfg.fin_wait_2)
    }

    pub fn syn_retries(&self, cfg: &Config) -> u8 {
        let own = self.rest.get().and_then(|rest| rest.syn_retries);
        own.unwrap_or(cfg.syn_retries)
    }

    /// Stops what serves an application that is there.
    pub fn let_go(&mut self) {
        self.cork = false;
        if let Some(rest) = self.rest.get_mut() {
            rest.keepalive = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is set comes back, and only what is rarely set takes memory.
    #[test]
    fn chosen_options_come_back() {
        let plain = Options {
            nodelay: true,
            cork: true,
            quickack: true,
            congestion: Some(Algorithm::Bbr),
            ..Options::default()
        };
        let chosen = Chosen::new(&plain);
        assert_eq!(chosen.options(), plain);
        assert!(chosen.rest.get().is_none());
        let more = Options {
            keepalive: true,
            keepalive_interval: Some(Duration::ZERO),
            syn_retries: Some(2),
            ..plain
        };
        let mut chosen = Chosen::new(&more);
        assert_eq!(chosen.options(), more);
        let cfg = Config::default();
        let probes = chosen.probes(&cfg).expect("wanted");
        assert_eq!(probes.time, Duration::from_secs(7200));
        assert_eq!(probes.interval, Duration::from_millis(1));
        assert_eq!(chosen.syn_retries(&cfg), 2);
        assert_eq!(chosen.fin_wait_2(&cfg), cfg.fin_wait_2);
        chosen.let_go();
        assert_eq!(chosen.probes(&cfg), None);
        assert!(!chosen.options().cork);
    }
}
