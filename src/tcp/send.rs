//! What to send next (RFC 9293 §3.7.4, §3.8.6.2.1).

use super::config::Config;
use super::congestion::Congestion;
use super::segment::{Plan, Room};
use super::tcb::Tcb;
use crate::socket::{RecvBuf, SendBuf};
use phy::Instant;

impl<C: Congestion> Tcb<C> {
    /// The next segment or train to send, if there is any. Until `on_sent` is told of it the
    /// answer stays the same.
    pub fn next_segment(
        &mut self,
        cfg: &Config,
        now: Instant,
        rx: &impl RecvBuf,
        tx: &impl SendBuf,
        room: Room,
    ) -> Option<Plan> {
        let _ = (cfg, now, rx, tx, room);
        None
    }

    /// `plan`, or its leading part, was handed to the layer below.
    pub fn on_sent(&mut self, cfg: &Config, now: Instant, plan: &Plan) {
        let _ = (cfg, now, plan);
    }
}
