//! Fast Open of connections that we begin (RFC 7413 §4.1.3, §4.2.1).
//!
//! Invariant: only SYNs of sockets that asked for it are changed, and of those the first only.
//! Called by the shell of TCP.

use core::net::IpAddr;
use phy::Instant;

use super::Early;
use super::early::SynOffer;
use super::memory::Lesson;
use crate::context::Cx;
use crate::socket::SocketSet;
use crate::socket::{SendBuf, Stores};
use crate::tcp::congestion::Congestion;
use crate::tcp::segment::{Effects, Gone, Plan, Room, Segment};
use crate::tcp::socket::{Role, SocketOf, Wants};
use crate::tcp::table::FlowKey;
use crate::tcp::tcb::{State, Tcb};
use crate::tcp::{Config, Handle, Memory, Options, Set, Tcp};
use crate::transport::Endpoint;

/// What the next SYN to `server` is to carry.
fn offer(
    (memory, key): (&Memory, &FlowKey),
    cfg: &Config,
    now: Instant,
    server: IpAddr,
    mss: u16,
    cookieless: bool,
) -> Option<SynOffer> {
    let hash = key.hash(&Endpoint::bound(Some(server), 0));
    let mut offer = memory.offer(hash, server, now, cfg, mss)?;
    if cookieless || cfg.fastopen_client_no_cookie {
        offer.option = None;
    }
    Some(offer)
}

impl<C: Congestion> Tcp<C> {
    /// Does a socket that is to connect wait for its first text, which can go with the SYN
    /// (`TCP_FASTOPEN_CONNECT`)?
    pub(in crate::tcp) fn waits_for_text<S>(
        &self,
        cx: &Cx,
        socket: &SocketOf<S, C>,
        options: &Options,
    ) -> bool
    where
        S: Stores<SocketOf<S, C>>,
    {
        let ends = Wants::SHUTDOWN | Wants::RELEASE | Wants::ABORT;
        let wants = options.fastopen_connect && self.config.fastopen_client;
        if !wants || socket.tx.queued() > 0 || socket.wants.any(ends) {
            return false;
        }
        let Some(server) = socket.at.peer else {
            return false;
        };
        let (known, cfg) = ((&self.memory, &self.key), &self.config);
        let cookieless = options.fastopen_no_cookie;
        offer(known, cfg, cx.now, server.ip(), 0, cookieless).is_some_and(|offer| {
            offer
                .option
                .is_none_or(|cookie| !cookie.cookie().is_empty())
        })
    }

    /// What a connection that is begun needs to know of Fast Open.
    pub(in crate::tcp) fn want_early(&self, tcb: &mut Tcb<C>, options: &Options) {
        if options.fastopen_connect && self.config.fastopen_client {
            tcb.early.set(Early::WANTED);
            if options.fastopen_no_cookie {
                tcb.early.set(Early::COOKIELESS);
            }
        }
    }

    /// A segment of a connection that we began with Fast Open arrived, and had these effects.
    pub(in crate::tcp) fn heard_early<S>(
        &mut self,
        set: &mut Set<S, C>,
        cx: &mut Cx,
        h: Handle<S, C>,
        segment: &Segment<'_>,
        effects: &Effects,
    ) where
        S: Stores<SocketOf<S, C>>,
    {
        let Some(socket) = set.get_mut(h) else { return };
        let Some(server) = socket.at.peer else { return };
        let Role::Connection(tcb) = &mut socket.role else {
            return;
        };
        if tcb.early.any(Early::WANTED) && tcb.state != State::SynSent {
            tcb.early.clear(Early::WANTED);
            if segment.flags.syn() {
                let lesson = lesson_of(tcb, &self.config, segment);
                let hash = self.key.hash(&Endpoint::bound(Some(server.ip()), 0));
                self.memory.learn(hash, server.ip(), cx.now, &lesson);
                let taken = tcb.early.any(Early::TAKEN);
                if taken {
                    cx.stats.tcp_fastopen_taken = cx.stats.tcp_fastopen_taken.wrapping_add(1);
                } else if tcb.early.any(Early::TEXT) {
                    cx.stats.tcp_fastopen_failed = cx.stats.tcp_fastopen_failed.wrapping_add(1);
                }
            }
        }
        if !tcb.early.any(Early::TRIED) {
            return;
        }
        // A reset or FIN from beyond what came, and nothing else ever came: somebody in between
        // dropped what lies before it.
        let silent = tcb.counts.received == 0 && effects.gone == Gone::No;
        let jumped = segment.flags.rst() || segment.flags.fin() && tcb.fin_seen;
        let hole = silent && jumped && tcb.state == State::Established;
        let well = effects.gone != Gone::No && tcb.error.is_none();
        if hole {
            self.suspect(cx);
        } else if well {
            self.memory.trust(cx.now);
        }
    }

    /// The retransmission timer of a connection that we began with Fast Open expired when it had
    /// done so `before` times in a row.
    pub(in crate::tcp) fn silent_early(&mut self, cx: &mut Cx, before: u8, after: u8, gone: bool) {
        // The third in a row, or the last, before that.
        let timed = after > before;
        if before == 2 && timed || before <= 2 && gone {
            self.suspect(cx);
        }
    }

    fn suspect(&mut self, cx: &mut Cx) {
        if self.memory.suspect(cx.now, &self.config) {
            let holes = &mut cx.stats.tcp_fastopen_black_holes;
            *holes = holes.wrapping_add(1);
        }
    }

    /// Servers whose Fast Open cookies, or refusals, are known.
    pub fn fastopen_servers(&self) -> usize {
        self.memory.len()
    }
}

/// The first SYN with what Fast Open adds to it.
pub(in crate::tcp) fn decorate<T: SendBuf, C: Congestion>(
    known: (&Memory, &FlowKey),
    cfg: &Config,
    now: Instant,
    (tcb, tx): (&mut Tcb<C>, &T),
    server: IpAddr,
    plan: Plan,
    room: Room,
) -> Plan {
    let cookieless = tcb.early.any(Early::COOKIELESS);
    match offer(known, cfg, now, server, tcb.adv_mss, cookieless) {
        Some(offer) => tcb.offer_early(cfg, plan, &offer, tx.queued(), room),
        None => plan,
    }
}

/// What a SYN-ACK teaches about the server that sent it.
fn lesson_of<C: Congestion>(tcb: &Tcb<C>, cfg: &Config, segment: &Segment<'_>) -> Lesson {
    let cookie = segment
        .options
        .fast_open
        .filter(|cookie| tcb.early.any(Early::ASKED) && !cookie.cookie().is_empty());
    let (text, taken) = (tcb.early.any(Early::TEXT), tcb.early.any(Early::TAKEN));
    let repeated = tcb.retransmits() > 0;
    let refused = tcb.early.any(Early::ASKED) && !text && !repeated && cookie.is_none();
    Lesson {
        mss: segment.options.mss.unwrap_or(cfg.mss_default),
        cookie,
        // Of two SYNs the ordinary one was answered.
        lost: text && repeated && !taken && cookie.is_none(),
        refused: refused.then(|| tcb.early.any(Early::EXPERIMENT)),
    }
}
