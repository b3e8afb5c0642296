//! What two SYNs agree on about ECN (RFC 3168 §6.1.1, RFC 9768 §3.1): pure functions of flags.
//!
//! Invariant: nothing is agreed on that one side did not ask for, and both sides' SYNs lead
//! both to the same. Called by `ecn` for connections we begin, and by the shell for others.

use core::fmt;

use super::{BITS, CE, ECT_0, ECT_1, Ecn, NOT_ECT, SETUP, bits_of};
use crate::wire::TcpFlags;

/// What a handshake agreed on about ECN, in one octet.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreed(u8);

impl Agreed {
    /// No ECN.
    pub const NONE: Self = Self(0);
    const CLASSIC: u8 = 1;
    const ACCURATE: u8 = 2;
    const NO_ECT: u8 = 4;
    /// ECN field of the peer's SYN, to be fed back.
    const SYN: u32 = 4;

    /// By RFC 3168.
    pub const fn classic() -> Self {
        Self(Self::CLASSIC)
    }

    /// By RFC 9768; `syn` is the ECN field that the peer's SYN came with, 0 to 3.
    pub const fn accurate(syn: u8) -> Self {
        Self(Self::ACCURATE | (syn & 3) << Self::SYN)
    }

    /// The same, but we must not mark our packets as capable: a SYN or SYN-ACK without ECN was
    /// seen (RFC 3168 §6.1.1, RFC 9768 §3.1.5).
    #[must_use]
    pub const fn without_ect(self) -> Self {
        match self.0 {
            0 => self,
            bits => Self(bits | Self::NO_ECT),
        }
    }

    /// RFC 3168 it is.
    pub const fn is_classic(self) -> bool {
        self.0 & Self::CLASSIC != 0
    }

    /// RFC 9768 it is.
    pub const fn is_accurate(self) -> bool {
        self.0 & Self::ACCURATE != 0
    }

    /// May new text be marked as capable?
    pub const fn may_mark(self) -> bool {
        self.0 != 0 && self.0 & Self::NO_ECT == 0
    }

    /// ECN field of the peer's SYN.
    pub(in crate::tcp) const fn syn(self) -> u8 {
        self.0 >> Self::SYN & 3
    }

    /// How a SYN with these flags and this ECN field is answered (RFC 3168 §6.1.1, RFC 9768
    /// §3.1.2 and §3.1.3).
    pub(in crate::tcp) fn of_syn(wish: Ecn, flags: TcpFlags, ecn: u8) -> Self {
        let bits = bits_of(flags);
        if wish == Ecn::Off || bits == TcpFlags::NONE {
            Self::NONE
        } else if wish == Ecn::Accurate && bits != SETUP {
            // Also what nobody sends yet (RFC 9768 §3.1.3).
            Self::accurate(ecn)
        } else if bits.contains(SETUP) && ecn == NOT_ECT {
            // No SYN is capable (RFC 3168 §6.1.1): on another something on the way is broken.
            Self::classic()
        } else {
            Self::NONE
        }
    }

    /// What the SYN-ACK of a peer says to a SYN of ours with the flags `offered` (RFC 3168
    /// §6.1.1, RFC 9768 table 2); for RFC 9768 with the ECN field our SYN is said to have come
    /// with.
    pub(in crate::tcp) fn of_syn_ack(offered: TcpFlags, flags: TcpFlags) -> (Self, u8) {
        let [ae, cwr, ece] =
            [TcpFlags::AE, TcpFlags::CWR, TcpFlags::ECE].map(|f| flags.contains(f));
        let accurate = bits_of(offered) == BITS;
        if !offered.contains(SETUP) {
            return (Self::NONE, NOT_ECT);
        }
        match (ae, cwr, ece) {
            (false, true, false) if accurate => (Self::accurate(0), NOT_ECT),
            (false, true, true) if accurate => (Self::accurate(0), ECT_1),
            (true, false, false) if accurate => (Self::accurate(0), ECT_0),
            (true, true, false) if accurate => (Self::accurate(0), CE),
            // Reserved: as if our SYN had come as it went (RFC 9768 §3.1.3).
            (true, false, true) if accurate => (Self::accurate(0), NOT_ECT),
            // Set without CWR: one that reflects our flags is broken (RFC 3168 §6.1.1.1).
            (_, false, true) => (Self::classic(), NOT_ECT),
            _ => (Self::NONE, NOT_ECT),
        }
    }

    /// Flags of the SYN-ACK that says so (RFC 3168 §6.1.1, RFC 9768 table 2).
    pub(in crate::tcp) const fn syn_ack_flags(self) -> TcpFlags {
        if self.is_classic() {
            TcpFlags::ECE
        } else if self.is_accurate() {
            encoded(self.syn())
        } else {
            TcpFlags::NONE
        }
    }

    /// The SYN once more, perhaps with other flags, and what now holds. `None` if both cannot
    /// come from one connection, which is to be reset (RFC 9768 §3.1.5): only who wishes for
    /// accurate feedback tells the two kinds of offer apart.
    pub(in crate::tcp) fn again(self, wish: Ecn, flags: TcpFlags, ecn: u8) -> Option<Self> {
        let bits = bits_of(flags);
        Some(match bits {
            _ if self == Self::NONE => self,
            TcpFlags::NONE if self.is_classic() => Self::NONE,
            TcpFlags::NONE => Self::accurate(ecn).without_ect(),
            SETUP if self.is_accurate() => return None,
            _ if self.is_accurate() => Self(Self::accurate(ecn).0 | self.0 & Self::NO_ECT),
            BITS if wish == Ecn::Accurate => return None,
            _ => self,
        })
    }
}

/// In words.
impl fmt::Debug for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.is_classic(), self.is_accurate()) {
            (true, _) => "classic",
            (_, true) => "accurate",
            _ => "none",
        })?;
        let silent = self.0 & Self::NO_ECT != 0;
        f.write_str(if silent { ", nothing marked" } else { "" })
    }
}

/// The handshake's encoding of an ECN field in the three flags (RFC 9768 tables 2 and 3).
pub(in crate::tcp) const fn encoded(ecn: u8) -> TcpFlags {
    match ecn & 3 {
        NOT_ECT => TcpFlags::CWR,
        ECT_1 => SETUP,
        ECT_0 => TcpFlags::AE,
        _ => TcpFlags::AE.union(TcpFlags::CWR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3168 §6.1.1 and RFC 9768 §3.1.2, §3.1.3: which SYN gets which SYN-ACK.
    #[test]
    fn syns_are_answered_by_their_flags() {
        let answer = |wish, bits: u16, ecn| {
            let flags = TcpFlags::SYN | TcpFlags::from_bits(bits << 6);
            let agreed = Agreed::of_syn(wish, flags, ecn);
            agreed.syn_ack_flags().bits() >> 6
        };
        for bits in 0..8 {
            assert_eq!(answer(Ecn::Off, bits, 0), 0);
            let classic = u16::from(bits & 0b011 == 0b011);
            assert_eq!(answer(Ecn::Answer, bits, 0), classic, "{bits:03b}");
            assert_eq!(answer(Ecn::Offer, bits, 0), classic);
            assert_eq!(answer(Ecn::Answer, bits, CE), 0, "a capable SYN is broken");
            for (ecn, encoded) in [
                (NOT_ECT, 0b010),
                (ECT_1, 0b011),
                (ECT_0, 0b100),
                (CE, 0b110),
            ] {
                let wanted = match bits {
                    0b000 => 0,
                    0b011 => u16::from(ecn == NOT_ECT),
                    _ => encoded,
                };
                assert_eq!(answer(Ecn::Accurate, bits, ecn), wanted, "{bits:03b} {ecn}");
            }
        }
    }

    /// RFC 3168 §6.1.1 and RFC 9768 table 2: what the eight SYN-ACKs mean.
    #[test]
    fn syn_acks_mean_what_the_table_says() {
        let read = |wish: Ecn, bits: u16| {
            let flags = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::from_bits(bits << 6);
            Agreed::of_syn_ack(wish.syn_flags(), flags)
        };
        let none = (Agreed::NONE, 0);
        let classic = (Agreed::classic(), 0);
        let accurate = |ecn| (Agreed::accurate(0), ecn);
        let offer = (0..8).map(|bits| read(Ecn::Offer, bits));
        assert!(offer.eq([none, classic, none, none, none, classic, none, none]));
        let wanted = [
            none,
            classic,
            accurate(NOT_ECT),
            accurate(ECT_1),
            accurate(ECT_0),
            accurate(NOT_ECT),
            accurate(CE),
            none,
        ];
        assert!((0..8).map(|bits| read(Ecn::Accurate, bits)).eq(wanted));
        assert!((0..8).all(|bits| read(Ecn::Answer, bits) == none));
    }

    /// RFC 9768 §3.1.5: SYNs of both kinds reset; the latest SYN's field is fed back.
    #[test]
    fn a_repeated_syn_may_take_back_and_not_change_its_mind() {
        let [plain, setup, accurate] = [TcpFlags::NONE, SETUP, BITS];
        let one = Agreed::accurate(NOT_ECT);
        assert_eq!(one.again(Ecn::Accurate, setup, 0), None);
        assert_eq!(
            one.again(Ecn::Accurate, accurate, CE),
            Some(Agreed::accurate(CE))
        );
        let silent = one.again(Ecn::Accurate, plain, ECT_0).unwrap();
        assert!(silent.is_accurate() && !silent.may_mark() && silent.syn() == ECT_0);
        assert!(!silent.again(Ecn::Accurate, accurate, 0).unwrap().may_mark());
        let classic = Agreed::classic();
        assert_eq!(classic.again(Ecn::Accurate, accurate, 0), None);
        assert_eq!(classic.again(Ecn::Accurate, setup, 0), Some(classic));
        // To us, both were offers of RFC 3168.
        assert_eq!(classic.again(Ecn::Answer, accurate, 0), Some(classic));
        assert_eq!(classic.again(Ecn::Accurate, plain, 0), Some(Agreed::NONE));
        assert_eq!(
            Agreed::NONE.again(Ecn::Accurate, accurate, 0),
            Some(Agreed::NONE)
        );
    }
}
