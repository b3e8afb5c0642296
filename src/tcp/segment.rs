//! What passes between the shell and the core: segments in, plans and effects out.
//!
//! Invariant: these are plain values. A [`Segment`] has a verified checksum; a [`Plan`] changes
//! nothing until [`Tcb::on_sent`](super::Tcb::on_sent) is told that it left.

use super::seq::SeqNum;
use crate::wire::{OptionBytes, TcpFlags, TcpOptions};

/// A received segment, checksum verified.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'p> {
    /// Sequence number of the first octet, or of the SYN.
    pub seq: SeqNum,
    /// Acknowledgment number; means something with ACK only.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as sent, before scaling.
    pub window: u16,
    /// Urgent pointer; read but never trusted.
    pub urgent: u16,
    /// Options.
    pub options: TcpOptions,
    /// Text. May be longer than any MSS, when the device coalesced segments.
    pub payload: &'p [u8],
    /// ECN field of the IP header, 0 to 3 (RFC 3168 §5).
    pub ecn: u8,
}

impl Segment<'_> {
    /// Without its text, which is elsewhere.
    pub(super) fn without_text(&self) -> Segment<'static> {
        Segment {
            payload: &[],
            ..*self
        }
    }

    /// Sequence numbers it takes: its octets, SYN and FIN (RFC 9293 §3.4).
    #[inline]
    pub fn len(&self) -> u32 {
        (self.payload.len() as u32)
            .wrapping_add(u32::from(self.flags.syn()))
            .wrapping_add(u32::from(self.flags.fin()))
    }

    /// Takes it no sequence number, as a pure ACK?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A segment to send, or with `len > mss` a train of them.
///
/// A train is sent as one super-segment where the device cuts it, else as segments of `mss`
/// octets each and the rest: every one carries `options`, `ack` and `window`; FIN and PSH
/// belong to the last one only. What could not be sent is taken off with [`Plan::cut`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Sequence number of the first octet.
    pub seq: SeqNum,
    /// Acknowledgment number, 0 without ACK.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window as to be sent, scaled already.
    pub window: u16,
    /// Urgent pointer: octets from `seq` to the end of the urgent ones; counts with URG.
    pub urgent: u16,
    /// Options, padded.
    pub options: OptionBytes,
    /// Where in the send buffer the text begins, octets past the oldest.
    pub offset: usize,
    /// Octets of text, 0 to 65535 minus headers.
    pub len: usize,
    /// Octets of text of one segment of a train, not 0.
    pub mss: u16,
    /// ECN field of the packets' IP headers, 0 to 3 (RFC 3168 §5).
    pub ecn: u8,
}

impl Plan {
    /// The leading part of a train, `len` octets of it: what was sent before the device was
    /// full. PSH and FIN stay with the part that was not.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        if len < self.len {
            self.len = len;
            self.flags = self.flags.without(TcpFlags::FIN.union(TcpFlags::PSH));
        }
        self
    }

    /// Sequence numbers it takes: its octets, SYN and FIN.
    #[inline]
    pub fn seq_len(&self) -> u32 {
        (self.len as u32)
            .wrapping_add(u32::from(self.flags.syn()))
            .wrapping_add(u32::from(self.flags.fin()))
    }

    /// A segment without text.
    pub(crate) const fn bare(seq: SeqNum, ack: SeqNum, flags: TcpFlags, window: u16) -> Self {
        Self {
            seq,
            ack,
            flags,
            window,
            urgent: 0,
            options: OptionBytes::EMPTY,
            offset: 0,
            len: 0,
            mss: 1,
            ecn: 0,
        }
    }
}

/// What a segment may hold on the connection's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Octets of TCP options and text that fit in one packet: path MTU less IP and TCP headers.
    pub mss: usize,
    /// Octets of text of the longest train wanted at once, 0 or less than `mss`: one segment.
    pub gso: usize,
}

/// What the shell has to do after the core changed a connection.
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Effects {
    /// To be sent at once, through the frame that was received. If it was sent, tell
    /// [`Tcb::on_sent`](super::Tcb::on_sent); if it could not be, put the socket on the ready list
    /// (what must not be lost is then sent from there).
    pub answer: Option<Plan>,
    /// [`Tcb::next_segment`](super::Tcb::next_segment) has something: to the ready list.
    pub ready: bool,
    /// The application should look: text came, room was made, or the state changed.
    pub news: bool,
    /// The connection is to be aborted: call [`Tcb::abort`](super::Tcb::abort) and send what it
    /// gives.
    pub abort: bool,
    /// Whether the connection ended.
    pub gone: Gone,
    /// The segment was dropped for this reason; to be counted.
    pub dropped: Option<crate::error::Drop>,
}

/// Whether, and how, a connection ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gone {
    /// It lives.
    #[default]
    No,
    /// To the TIME-WAIT table; the control block says `TimeWait` and sends nothing any more.
    TimeWait(TimeWait),
    /// No packet belongs to it any more.
    Closed,
}

/// What is left of a connection in TIME-WAIT: enough to acknowledge a repeated FIN
/// (RFC 9293 §3.10.7.8) and to judge a new SYN (RFC 6191).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWait {
    /// SND.NXT.
    pub snd_nxt: SeqNum,
    /// RCV.NXT: past the peer's FIN.
    pub rcv_nxt: SeqNum,
    /// Window field of its ACKs, scaled.
    pub window: u16,
    /// TS.Recent, where timestamps are spoken.
    pub ts_recent: Option<u32>,
    /// Offset of our timestamp clock.
    pub ts_offset: u32,
    /// ECN flags of its ACKs: the counter of RFC 9768 §3.2.2, where that is spoken.
    pub ecn: TcpFlags,
}

/// The RST for a segment that belongs to no connection; `None` for a RST
/// (RFC 9293 §3.10.7.1).
pub fn reset_for(segment: &Segment<'_>) -> Option<Plan> {
    if segment.flags.rst() {
        return None;
    }
    Some(if segment.flags.ack() {
        Plan::bare(segment.ack, SeqNum(0), TcpFlags::RST, 0)
    } else {
        let ack = segment.seq + segment.len();
        Plan::bare(SeqNum(0), ack, TcpFlags::RST | TcpFlags::ACK, 0)
    })
}

/// Our timestamp clock: ticks of one millisecond from an offset of the connection's own
/// (RFC 7323 §5.4).
#[inline]
pub fn timestamp(now: phy::Instant, offset: u32) -> u32 {
    (now.millis() as u32).wrapping_add(offset)
}
