//! Urgent text (RFC 9293 §3.8.5, RFC 6093).
//!
//! Invariant: urgent octets are octets in line, read and written like all others; the pointer
//! is the octet after the last urgent one, is only compared with sequence numbers and never
//! used to find octets in a buffer. New applications should not use it (RFC 6093 §5).

use super::segment::Plan;
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::socket::RecvBuf;
use crate::wire::TcpFlags;

impl<C> Tcb<C> {
    /// All that is queued is urgent, when `queued` octets of text are (SND.UP, RFC 9293
    /// §3.10.2).
    pub(super) fn queue_urgent(&mut self, queued: usize) {
        let end = self.queue_end(queued);
        self.rare.make().snd_up = end;
        self.urgent = true;
    }

    /// `plan` with the urgent pointer, if urgent octets begin at or after it. Such segments are
    /// not put together in trains: a device that cuts them does not move the pointer.
    pub(super) fn with_urgent(&mut self, mut plan: Plan) -> Plan {
        let Some(up) = self.rare.get().map(|rare| rare.snd_up) else {
            return plan;
        };
        if up.le(self.snd_una) {
            self.urgent = false;
        } else if plan.seq.lt(up) && !plan.flags.syn() {
            plan.flags |= TcpFlags::URG;
            plan.urgent = u16::try_from(up.since(plan.seq)).unwrap_or(u16::MAX);
        }
        plan
    }

    /// An acceptable segment at `seq` had URG and this pointer (RFC 9293 §3.10.7.4, sixth): is
    /// that news to the application (MUST-32)?
    pub(super) fn take_urgent(&mut self, seq: SeqNum, pointer: u16) -> bool {
        let up = seq + u32::from(pointer);
        let known = self.rare.get().and_then(|rare| rare.rcv_up);
        let news =
            self.state.receives() && up.gt(self.rcv_nxt) && known.is_none_or(|known| up.gt(known));
        if news {
            self.rare.make().rcv_up = Some(up);
        }
        news
    }

    /// Octets from the next one to be read up to the end of the urgent ones, when `readable`
    /// are in the buffer; 0 if the peer calls none urgent (MUST-33).
    pub(super) fn urgent_left(&self, readable: usize) -> u32 {
        let Some(up) = self.rare.get().and_then(|rare| rare.rcv_up) else {
            return 0;
        };
        let closed = self.peer_closed();
        let text_end = self.rcv_nxt - u32::from(closed);
        let left = up.saturating_since(text_end - readable as u32);
        if closed {
            left.min(readable as u32)
        } else {
            left
        }
    }

    /// What was urgent has been read: forgotten, before sequence numbers come round to it.
    pub(super) fn forget_urgent(&mut self, rx: &impl RecvBuf) {
        let unread = rx.capacity().saturating_sub(rx.window());
        if self.rare.get().is_some_and(|rare| rare.rcv_up.is_some())
            && self.urgent_left(unread) == 0
            && let Some(rare) = self.rare.get_mut()
        {
            rare.rcv_up = None;
        }
    }
}
