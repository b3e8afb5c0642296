//! The end of a connection (RFC 9293 §3.6, §3.10.4, §3.10.5), and the clock that may bring it.

use super::config::Config;
use super::congestion::Congestion;
use super::error::TcpError;
use super::segment::{Effects, Plan};
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::net::ErrorKind;
use crate::socket::{RecvBuf, SendBuf};
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// The application sends no more: a FIN follows what is queued (RFC 9293 §3.10.4). It may
    /// still read. Put the socket on the ready list afterwards.
    pub fn shutdown(&mut self, cfg: &Config, now: Instant) {
        let _ = (cfg, now);
    }

    /// The application lets go of the connection, with `unread` octets in the receive buffer:
    /// like `shutdown` if there are none, else a reset (RFC 9293 §3.6, RFC 2525 §2.17). Nobody
    /// reads any more: text that comes later is answered with a reset.
    pub fn close(&mut self, cfg: &Config, now: Instant, unread: usize) -> Effects {
        let _ = (cfg, now, unread);
        Effects::default()
    }

    /// Ends the connection at once: CLOSED, and the RST to send if the peer knows of the
    /// connection (RFC 9293 §3.10.5). Also for linger 0.
    pub fn abort(&mut self, now: Instant) -> Option<Plan> {
        let _ = now;
        None
    }

    /// Runs what is due; only changes state.
    pub fn on_timer(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Effects {
        let _ = (cfg, now, rx, tx);
        Effects::default()
    }

    /// The application read: should the peer be told of the wider window? Then the socket
    /// belongs on the ready list.
    pub fn on_read(&mut self, cfg: &Config, now: Instant, rx: &impl RecvBuf) -> bool {
        let _ = (cfg, now, rx);
        false
    }

    /// An ICMP error quoted a segment of this connection that began at `quoted`; `local` if our
    /// own link layer says so. False: it stands not the test of RFC 5927 §4 and is to be
    /// ignored.
    pub fn icmp_error(
        &mut self,
        cfg: &Config,
        now: Instant,
        kind: ErrorKind,
        quoted: SeqNum,
        local: bool,
    ) -> (bool, Effects) {
        let _ = (cfg, now, kind, quoted, local);
        (false, Effects::default())
    }

    pub(super) fn fail(&mut self, error: TcpError) {
        self.error = Some(error);
    }
}
