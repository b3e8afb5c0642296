//! Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them,
//! the receiver echoes the marks, and the sender reduces its window as if a packet were lost.
//!
//! | file | concern |
//! | --- | --- |
//! | `ecn` | marks, echoes and their confirmation as RFC 3168 has them |
//! | `ecn::agreed` | what two SYNs agree on |
//! | `ecn::peers` | peers to which nothing is offered for a while |
//! | `accecn` | the same with counters (RFC 9768) |
//!
//! Invariant: ECT is set on new text only, of connections whose both sides agreed and never
//! took it back; never on SYNs, acknowledgments, probes and retransmissions (RFC 3168 §6.1.1,
//! §6.1.4 to §6.1.6). Called by the core, and for handshakes by the shell.

mod agreed;
mod peers;

pub use agreed::Agreed;
pub(super) use agreed::encoded;
pub(super) use peers::Peers;

use core::fmt;
use core::str::FromStr;
use phy::Instant;

use super::accecn::Accurate;
use super::ack::Owed;
use super::config::Config;
use super::congestion::Congestion;
use super::recovery::CaState;
use super::segment::{Plan, Segment};
use super::seldom::Seldom;
use super::seq::SeqNum;
use super::tcb::Tcb;
use crate::wire::TcpFlags;

/// ECN field of packets that are not ECN-capable (RFC 3168 §5).
pub const NOT_ECT: u8 = 0;
/// ECN-capable, the other codepoint; this stack does not send it (RFC 8311 §4.1).
pub const ECT_1: u8 = 1;
/// ECN-capable.
pub const ECT_0: u8 = 2;
/// Congestion was experienced.
pub const CE: u8 = 3;

/// The three bits of ECN.
pub(super) const BITS: TcpFlags = TcpFlags::AE.union(TcpFlags::CWR).union(TcpFlags::ECE);
/// An ECN-setup SYN (RFC 3168 §6.1.1).
const SETUP: TcpFlags = TcpFlags::CWR.union(TcpFlags::ECE);

/// Those of `flags` that are ECN's.
pub(super) const fn bits_of(flags: TcpFlags) -> TcpFlags {
    TcpFlags::from_bits(flags.bits() & BITS.bits())
}

/// What a connection does about ECN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ecn {
    /// Neither offered nor accepted.
    Off,
    /// Accepted when a peer offers it (RFC 3168).
    #[default]
    Answer,
    /// Offered and accepted (RFC 3168).
    Offer,
    /// With accurate feedback (RFC 9768) offered and accepted; with peers that know RFC 3168
    /// only, by that.
    Accurate,
}

impl Ecn {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Off, Self::Answer, Self::Offer, Self::Accurate];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Answer => "answer",
            Self::Offer => "offer",
            Self::Accurate => "accurate",
        }
    }

    /// Flags of a SYN that offers it; none if it does not.
    pub(super) const fn syn_flags(self) -> TcpFlags {
        match self {
            Self::Off | Self::Answer => TcpFlags::NONE,
            Self::Offer => SETUP,
            Self::Accurate => BITS,
        }
    }

    /// SYNs, or SYN-ACKs, that offer it before they go without: paths that lose them because of
    /// that exist (RFC 3168 §6.1.1.1, RFC 9768 §3.1.4).
    pub(super) fn tries(self, cfg: &Config) -> u8 {
        match self {
            Self::Accurate => cfg.accurate_ecn_syns,
            Self::Off | Self::Answer | Self::Offer => cfg.ecn_syns,
        }
    }
}

impl fmt::Display for Ecn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No such [`Ecn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownEcn;

impl fmt::Display for UnknownEcn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither off, answer, offer nor accurate")
    }
}

impl core::error::Error for UnknownEcn {}

impl FromStr for Ecn {
    type Err = UnknownEcn;

    fn from_str(name: &str) -> Result<Self, UnknownEcn> {
        let found = Self::ALL.into_iter().find(|ecn| ecn.name() == name);
        found.ok_or(UnknownEcn)
    }
}

/// ECN of one connection.
#[derive(Debug)]
pub struct EcnState {
    /// Flags of a segment that says nothing new: ACK, and the counter last seen.
    pub(super) usual: TcpFlags,
    /// Bit `n` is set if a packet with ECN field `n` says something.
    pub(super) odd: u8,
    pub(super) bits: u8,
    /// What RFC 9768 counts.
    pub(super) accurate: Seldom<Accurate>,
}

impl Default for EcnState {
    fn default() -> Self {
        Self {
            usual: TcpFlags::ACK,
            odd: 0,
            bits: 0,
            accurate: Seldom::default(),
        }
    }
}

impl EcnState {
    /// RFC 3168 is agreed on.
    const CLASSIC: u8 = 1;
    /// RFC 9768 is agreed on.
    pub(super) const ACCURATE: u8 = 2;
    /// No packet of ours is to be marked as capable.
    pub(super) const NO_ECT: u8 = 4;
    /// ECE goes out until CWR comes.
    const ECHO: u8 = 8;
    /// CWR goes out with the next new text.
    const CONFIRM: u8 = 0x10;
    /// A packet of the peer was capable.
    pub(super) const SEEN: u8 = 0x20;
    /// An ECN-setup SYN went out.
    const OFFERED: u8 = 0x40;
    /// A SYN without ECN went out.
    const PLAIN: u8 = 0x80;

    pub(super) const fn is(&self, bits: u8) -> bool {
        self.bits & bits != 0
    }

    /// Does a segment say nothing that was not known, in flags and ECN field? PSH is left aside.
    #[inline]
    pub(super) fn is_usual(&self, segment: &Segment<'_>) -> bool {
        let flags = segment.flags.without(TcpFlags::PSH).bits() ^ self.usual.bits();
        flags | u16::from(self.odd >> (segment.ecn & 3) & 1) == 0
    }

    /// A handshake ended with this.
    pub(super) fn agree(&mut self, cfg: &Config, agreed: Agreed) {
        self.bits &= Self::OFFERED | Self::PLAIN;
        self.odd = 0;
        self.accurate = Seldom::default();
        if agreed.is_classic() {
            self.bits |= Self::CLASSIC;
            // The first that is capable is news, and later only marks are.
            self.odd = 0b1110;
        } else if agreed.is_accurate() {
            self.bits |= Self::ACCURATE;
            self.odd = 0b1111;
            let counts = self.accurate.make();
            counts.syn = agreed.syn();
            if !cfg.accurate_ecn_options {
                counts.mute();
            }
        }
        if !agreed.may_mark() {
            self.bits |= Self::NO_ECT;
        }
    }

    /// ECN flags of a segment that acknowledges.
    #[inline]
    pub(super) fn flags(&self) -> TcpFlags {
        if self.bits & (Self::ECHO | Self::ACCURATE) == 0 {
            return TcpFlags::NONE;
        }
        match self.accurate.get() {
            Some(counts) => counts.flags(),
            None => TcpFlags::ECE,
        }
    }

    /// ECN field of a packet with new text.
    #[inline]
    pub(super) const fn mark(&self) -> u8 {
        let capable = self.is(Self::CLASSIC | Self::ACCURATE) && !self.is(Self::NO_ECT);
        if capable { ECT_0 } else { NOT_ECT }
    }

    /// Does CWR go with the next new text? It must be on one segment only.
    #[inline]
    pub(super) const fn confirms(&self) -> bool {
        self.is(Self::CONFIRM)
    }

    /// The congestion window was reduced, for whatever reason (RFC 3168 §6.1.2).
    pub(super) fn reduced(&mut self) {
        if self.is(Self::CLASSIC) {
            self.bits |= Self::CONFIRM;
        }
    }

    /// A SYN or SYN-ACK of ours was sent with these flags.
    pub(super) fn syn_sent(&mut self, flags: TcpFlags) {
        let plain = bits_of(flags) == TcpFlags::NONE;
        self.bits |= match (flags.ack(), plain) {
            (false, false) => Self::OFFERED,
            (false, true) => Self::PLAIN,
            (true, true) => Self::NO_ECT,
            (true, false) => 0,
        };
    }

    /// A segment that acknowledges was sent.
    #[inline]
    pub(super) fn sent(&mut self, plan: &Plan) {
        if self.is(Self::CONFIRM | Self::ACCURATE) {
            self.sent_one(plan);
        }
    }

    fn sent_one(&mut self, plan: &Plan) {
        if plan.flags.syn() {
            return;
        }
        if let Some(counts) = self.accurate.get_mut() {
            counts.sent(plan);
        } else if plan.flags.contains(TcpFlags::CWR) {
            self.bits &= !Self::CONFIRM;
        }
    }

    /// Does the peer mark its packets?
    pub const fn is_seen(&self) -> bool {
        self.is(Self::SEEN)
    }

    /// Is ECN agreed on, by either RFC?
    pub const fn is_agreed(&self) -> bool {
        self.is(Self::CLASSIC | Self::ACCURATE)
    }

    /// By RFC 9768?
    #[inline]
    pub const fn is_accurate(&self) -> bool {
        self.is(Self::ACCURATE)
    }
}

impl<C: Congestion> Tcb<C> {
    /// What this connection does about ECN.
    pub(super) fn ecn_wish(&self, cfg: &Config) -> Ecn {
        self.options.ecn().unwrap_or(cfg.ecn)
    }

    /// Our SYNs go without an offer from the first on, as if it had been lost already.
    pub(super) fn ecn_hold_back(&mut self) {
        self.ecn.bits |= EcnState::PLAIN;
    }

    /// Once the SYN-ACK came: were SYNs that offered ECN lost before it? `None` if none did.
    pub(super) fn ecn_offer_lost(&self) -> Option<bool> {
        let over = self.state.is_synchronized() && self.ecn.is(EcnState::OFFERED);
        over.then(|| self.ecn.is(EcnState::PLAIN) && !self.ecn.is_agreed())
    }

    /// ECN flags of our SYN now (RFC 3168 §6.1.1, §6.1.1.1).
    pub(super) fn ecn_syn_flags(&self, cfg: &Config) -> TcpFlags {
        let wish = self.ecn_wish(cfg);
        if self.retries < wish.tries(cfg).max(1) && !self.ecn.is(EcnState::PLAIN) {
            wish.syn_flags()
        } else {
            TcpFlags::NONE
        }
    }

    /// The SYN-ACK to our SYN came; true if it tells that our SYN was marked.
    pub(super) fn ecn_answered(&mut self, cfg: &Config, segment: &Segment<'_>) -> bool {
        let offered = if self.ecn.is(EcnState::OFFERED) {
            self.ecn_wish(cfg).syn_flags()
        } else {
            TcpFlags::NONE
        };
        let (agreed, syn) = Agreed::of_syn_ack(offered, segment.flags);
        // RFC 3168 §6.1.1: who sent a SYN without it marks nothing. With RFC 9768 the peer
        // cannot be mistaken about it (§3.1.5).
        let plain = self.ecn.is(EcnState::PLAIN) && agreed.is_classic();
        self.ecn
            .agree(cfg, if plain { agreed.without_ect() } else { agreed });
        if agreed.is_accurate() {
            self.accurate_answered(segment, syn);
        }
        syn == CE
    }

    /// The peer's SYN came while ours was on its way: it is answered as a listener would
    /// (RFC 9768 §3.1.2).
    pub(super) fn ecn_crossed(&mut self, cfg: &Config, segment: &Segment<'_>) {
        let agreed = Agreed::of_syn(self.ecn_wish(cfg), segment.flags, segment.ecn);
        let plain = self.ecn.is(EcnState::PLAIN);
        self.ecn
            .agree(cfg, if plain { agreed.without_ect() } else { agreed });
    }

    /// ECN flags of our SYN-ACK now, to a SYN that crossed ours or brought text.
    pub(super) fn ecn_syn_ack_flags(&self, cfg: &Config) -> TcpFlags {
        let (kind, flags) = match self.ecn.accurate.get() {
            Some(counts) => (Ecn::Accurate, encoded(counts.syn)),
            None if self.ecn.is(EcnState::CLASSIC) => (Ecn::Answer, TcpFlags::ECE),
            None => return TcpFlags::NONE,
        };
        if self.retries < kind.tries(cfg).max(1) {
            flags
        } else {
            TcpFlags::NONE
        }
    }

    /// The SYN-ACK of a peer whose SYN crossed ours.
    pub(super) fn ecn_crossed_answer(&mut self, cfg: &Config, segment: &Segment<'_>) {
        let plain = bits_of(segment.flags) == TcpFlags::NONE;
        if self.ecn.is(EcnState::CLASSIC) && plain {
            self.ecn.agree(cfg, Agreed::NONE);
        } else if plain {
            self.ecn.bits |= EcnState::NO_ECT;
        }
        self.accurate_crossed();
    }

    /// Marks of an acceptable segment that is no SYN (RFC 3168 §6.1.3, RFC 9768 §3.2).
    pub(super) fn ecn_arrived(&mut self, segment: &Segment<'_>) {
        if self.ecn.is_accurate() {
            return self.accurate_arrived(segment);
        }
        if !self.ecn.is(EcnState::CLASSIC) || segment.payload.is_empty() {
            return;
        }
        if segment.flags.contains(TcpFlags::CWR) {
            self.ecn.bits &= !EcnState::ECHO;
            // Its window may be down to this segment: it waits for us.
            self.ack.owed = Owed::Now;
        }
        match segment.ecn {
            CE => {
                if !self.ecn.is(EcnState::ECHO) {
                    self.ack.owed = Owed::Now;
                    self.ack.quick = self.ack.quick.max(2);
                }
                self.ecn.bits |= EcnState::ECHO | EcnState::SEEN;
                self.ecn.odd = 0b1000;
            }
            ECT_0 | ECT_1 => {
                self.ecn.bits |= EcnState::SEEN;
                self.ecn.odd = 0b1000;
            }
            _ => {}
        }
    }

    /// What an acceptable acknowledgment echoes, before it moves anything (RFC 3168 §6.1.2,
    /// RFC 9768 §3.2.2).
    pub(super) fn ecn_echoed(&mut self, now: Instant, segment: &Segment<'_>) {
        if !self.ecn.is_agreed() || segment.flags.syn() {
            return;
        }
        if self.ecn.is_accurate() {
            return self.accurate_echoed(now, segment);
        }
        if !segment.flags.contains(TcpFlags::ECE) || segment.ack.lt(self.snd_una) {
            return;
        }
        let acked = segment.ack.since(self.snd_una);
        let segments = acked.div_ceil(u32::from(self.mss.max(1)));
        self.count_marked(segments);
        self.ecn_congested(now, segment.ack);
    }

    /// So many segments of ours arrived marked.
    pub(super) fn count_marked(&mut self, segments: u32) {
        if segments > 0 {
            let rare = self.rare.make();
            rare.delivered_ce = rare.delivered_ce.wrapping_add(segments);
        }
    }

    /// Segments of ours arrived marked, as an acknowledgment of `ack` tells: the window is
    /// reduced, once for each window of text (RFC 3168 §6.1.2), and not at all while it is for a
    /// loss.
    pub(super) fn ecn_congested(&mut self, now: Instant, ack: SeqNum) {
        if self.in_flight() == 0 {
            return;
        }
        if self.flight.state == CaState::Cwr && ack.gt(self.flight.recover) {
            // What answers the last echo is over: this is another.
            self.leave(now);
        }
        self.enter_cwr(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for ecn in Ecn::ALL {
            assert_eq!(ecn.name().parse(), Ok(ecn));
        }
        assert_eq!("on".parse::<Ecn>(), Err(UnknownEcn));
    }
}
