//! Segments of an existing connection (RFC 9293 §3.10.7.4).

use super::config::Config;
use super::congestion::Congestion;
use super::segment::{Effects, Segment};
use super::tcb::Tcb;
use crate::socket::{RecvBuf, SendBuf};
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// A segment of this connection arrived. `rx` and `tx` are the connection's own buffers.
    pub fn receive(
        &mut self,
        cfg: &Config,
        now: Instant,
        segment: &Segment<'_>,
        rx: &mut impl RecvBuf,
        tx: &mut impl SendBuf,
    ) -> Effects {
        let _ = (cfg, now, segment, rx, tx);
        Effects::default()
    }
}
