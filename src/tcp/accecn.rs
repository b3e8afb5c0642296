//! Accurate ECN feedback (RFC 9768): every acknowledgment counts the marks that arrived, in
//! three bits of the header (ACE) and, where there is room, in octets (the AccECN option).
//!
//! Invariant: the counters of marks only grow; an acknowledgment that others have overtaken
//! changes none of them. They exist only while RFC 9768 is agreed on. Called by `ecn` and the
//! core.

use phy::Instant;

use super::ack::Owed;
use super::congestion::{Congestion, Loss};
use super::ecn::{BITS, CE, ECT_0, ECT_1, EcnState, NOT_ECT, encoded};
use super::segment::{Effects, Plan, Segment};
use super::tcb::Tcb;
use crate::wire::{AccEcn, TcpFlags, TcpOption, TcpOptionIter, TcpOptions};

/// Both sides' counters of packets begin here (RFC 9768 §3.2.1).
const FIRST_CEP: u32 = 5;
/// Both sides' counters of octets: as ECT(0), CE and ECT(1).
const FIRST_OCTETS: [u32; 3] = [1, 0, 1];
/// Places of those counters, and bits of masks over them.
const E0B: usize = 0;
const CEB: usize = 1;
const E1B: usize = 2;
/// A counter in an option has so many bits.
const FIELD: u32 = 0x00ff_ffff;
/// Marks since the last acknowledgment that cause another one at once, with and without text to
/// acknowledge (RFC 9768 §3.2.2.5.1).
const MARKS: u8 = 2;
const MARKS_BARE: u8 = 3;
/// Segments that acknowledgments cover on average, above which they are taken to be thinned out
/// rather than lost: then the three bits are believed (RFC 9768 appendix A.2.1).
const THINNED: u32 = 4;

/// What RFC 9768 §3.2 counts for one connection.
#[derive(Debug, Clone)]
pub struct Accurate {
    /// r.cep: packets that came marked.
    cep: u32,
    /// r.e0b, r.ceb, r.e1b: octets that came as ECT(0), CE and ECT(1).
    octets: [u32; 3],
    /// `octets` when they were last sent.
    told: [u32; 3],
    /// s.cep: packets of ours that arrived marked, as far as was told.
    s_cep: u32,
    /// s.e0b, s.ceb, s.e1b.
    s_octets: [u32; 3],
    /// s.cep when s.ceb was last told.
    cep_with_octets: u32,
    /// Timestamp of the last acknowledgment that was read.
    stamp: u32,
    /// Mean of segments an acknowledgment covers, in 1/64.
    covered: u16,
    /// ECN field of the peer's SYN, or of its SYN-ACK.
    pub(super) syn: u8,
    /// ECN field of the last packet.
    before: u8,
    /// Marks since our last acknowledgment.
    marks: u8,
    /// Options to be sent whether counters moved or not.
    wanted: u8,
    /// Counters that ever moved, bit n for `octets[n]`.
    moved: u8,
    bits: u8,
}

/// Our pure acknowledgment of the SYN-ACK is still to be sent (RFC 9768 §3.2.2.1).
const SHAKE: u8 = 1;
/// The next segment is what ends the handshake (RFC 9768 table 4).
const FIRST: u8 = 2;
/// The first counter of the peer was seen to be not zero.
const CHECKED: u8 = 4;
/// What the peer counts is not believed.
const DEAF: u8 = 8;
/// Its options come through.
const OPTIONS: u8 = 0x10;
/// Its options are not believed.
const MANGLED: u8 = 0x20;
/// A timestamp of the peer is in `stamp`.
const STAMPED: u8 = 0x40;
/// No options are to be sent.
const MUTE: u8 = 0x80;

impl EcnState {
    /// Is a pure acknowledgment due before anything else (RFC 9768 §3.2.2.1)?
    pub(super) fn shakes(&self) -> bool {
        self.is_accurate() && self.accurate.get().is_some_and(|counts| counts.is(SHAKE))
    }

    /// ECN flags of a segment without text and, if `bare`, without SACK blocks.
    pub(super) fn ack_flags(&self, bare: bool) -> TcpFlags {
        match self.accurate.get() {
            Some(counts) if bare && counts.is(SHAKE) => encoded(counts.syn),
            _ => self.flags(),
        }
    }
}

/// As a handshake leaves it for the side that answered.
impl Default for Accurate {
    fn default() -> Self {
        Self {
            cep: FIRST_CEP,
            octets: FIRST_OCTETS,
            told: FIRST_OCTETS,
            s_cep: FIRST_CEP,
            s_octets: FIRST_OCTETS,
            cep_with_octets: FIRST_CEP,
            stamp: 0,
            covered: 0,
            syn: NOT_ECT,
            before: NOT_ECT,
            marks: 0,
            wanted: 1,
            moved: 0,
            bits: FIRST,
        }
    }
}

impl Accurate {
    const fn is(&self, bits: u8) -> bool {
        self.bits & bits != 0
    }

    /// Says what `bits` were, and clears them.
    fn take(&mut self, bits: u8) -> bool {
        let was = self.is(bits);
        self.bits &= !bits;
        was
    }

    /// Packets that came marked.
    pub(super) const fn received_ce(&self) -> u32 {
        self.cep.wrapping_sub(FIRST_CEP)
    }

    /// Octets of text received, and octets of ours that arrived as far as the peer told in
    /// options: as ECT(1), ECT(0) and CE.
    pub(super) fn octets(&self) -> ([u32; 3], [u32; 3]) {
        let since = |counts: &[u32; 3]| {
            let [e0b, ceb, e1b] = counts;
            let [first_e0b, first_ceb, first_e1b] = FIRST_OCTETS;
            [
                e1b.wrapping_sub(first_e1b),
                e0b.wrapping_sub(first_e0b),
                ceb.wrapping_sub(first_ceb),
            ]
        };
        (since(&self.octets), since(&self.s_octets))
    }

    /// ACE as flags: the low three bits of r.cep (RFC 9768 §3.2.2).
    pub(super) const fn flags(&self) -> TcpFlags {
        as_flags(self.cep)
    }

    /// A segment with ACK and without SYN was sent.
    pub(super) fn sent(&mut self, plan: &Plan) {
        self.marks = 0;
        if plan.len == 0 {
            self.bits &= !SHAKE;
        }
        let has = |option| matches!(option, Ok(TcpOption::AccEcn(_)));
        if TcpOptionIter::new(plan.options.as_slice()).any(has) {
            self.told = self.octets;
            self.wanted = self.wanted.saturating_sub(1);
        }
    }

    /// Takes in the marks of a packet of so many segments; true if it is to be acknowledged at
    /// once (RFC 9768 §3.2.2.5.1).
    fn arrived(&mut self, ecn: u8, text: u32, segments: u32, unacked: bool) -> bool {
        let changed = ecn == CE && self.before != CE && text > 0;
        self.before = ecn;
        let at = match ecn {
            ECT_0 => Some(E0B),
            CE => Some(CEB),
            ECT_1 => Some(E1B),
            _ => None,
        };
        if let Some((at, count)) = at.and_then(|at| Some((at, self.octets.get_mut(at)?)))
            && text > 0
        {
            *count = count.wrapping_add(text);
            self.moved |= 1 << at;
        }
        if ecn != CE {
            return false;
        }
        self.cep = self.cep.wrapping_add(segments);
        let more = u8::try_from(segments).unwrap_or(u8::MAX);
        self.marks = self.marks.saturating_add(more);
        changed || self.marks >= if unacked { MARKS } else { MARKS_BARE }
    }

    /// No options are sent.
    pub(super) fn mute(&mut self) {
        self.bits |= MUTE;
    }

    /// The option for the next segment that leaves `room` octets for it; `None` if none is due
    /// or it does not fit (RFC 9768 §3.2.3.3).
    fn option(&self, room: usize) -> Option<AccEcn> {
        let fresh = self.octets != self.told;
        if self.is(MUTE) || self.wanted == 0 && !fresh {
            return None;
        }
        // ECT(1) first where it alone came, or where what is new fits in no other way.
        let ect1_first = self.moved & 1 << E1B != 0 && self.moved & 1 << E0B == 0;
        self.ordered(ect1_first, room)
            .or_else(|| self.ordered(!ect1_first, room))
    }

    /// The option in this order: all that ever moved if there is room, and nothing less than
    /// what did since it was last told.
    fn ordered(&self, ect1_first: bool, room: usize) -> Option<AccEcn> {
        let order = if ect1_first {
            [E1B, CEB, E0B]
        } else {
            [E0B, CEB, E1B]
        };
        let reach = |has: &dyn Fn(usize) -> bool| {
            let last = order.iter().rposition(|at| has(*at));
            last.map_or(0, |at| at + 1)
        };
        let needed = reach(&|at| self.octets.get(at) != self.told.get(at));
        let usual = if self.moved == 0 {
            order.len() // nothing came yet: the path is tried with all of it
        } else {
            reach(&|at| self.moved & 1 << at != 0)
        };
        let count = (needed..=usual)
            .rev()
            .find(|n| (2 + 3 * n).next_multiple_of(4) <= room)?;
        let values = order.map(|at| self.octets.get(at).copied().unwrap_or(0));
        Some(AccEcn::new(ect1_first, values.get(..count)?))
    }

    /// The peer's option: octets newly told to have arrived marked, or `None` if that is not
    /// told (RFC 9768 §3.2.3.1, §3.2.3.2.4).
    fn read(&mut self, option: AccEcn) -> Option<u32> {
        let first = if option.is_ect1_first() {
            option.e1b()
        } else {
            option.e0b()
        };
        if !self.is(OPTIONS) && first == Some(0) {
            self.bits |= MANGLED;
        }
        if self.is(MANGLED) {
            return None;
        }
        self.bits |= OPTIONS;
        let marked = option.ceb().map(|_| ());
        let told = [option.e0b(), option.ceb(), option.e1b()];
        let mut news = [0; 3];
        for ((count, told), new) in self.s_octets.iter_mut().zip(told).zip(&mut news) {
            if let Some(told) = told {
                *new = told.wrapping_sub(*count) & FIELD;
                *count = count.wrapping_add(*new);
            }
        }
        // A counter that is left out has not moved.
        let [_, ceb, _] = news;
        Some(marked.map_or(0, |()| ceb))
    }

    /// Moves s.cep by what ACE says; returns by how much, when the acknowledgment covers so many
    /// octets and, if told, so many marked ones (RFC 9768 §3.2.2.5.2).
    fn count(&mut self, ace: u32, octets: u32, marked: Option<u32>, mss: u32) -> u32 {
        let segments = octets.div_ceil(mss.max(1));
        let delta = safe_delta(
            ace,
            self.s_cep,
            segments,
            marked,
            mss,
            u32::from(self.covered) / 64,
        );
        if octets > 0 {
            let covered = segments.min(1000) as u16 * 64;
            let old = if self.covered == 0 {
                covered
            } else {
                self.covered
            };
            self.covered = (u32::from(old) * 63 / 64 + u32::from(covered) / 64).min(64_000) as u16;
        }
        self.s_cep = self.s_cep.wrapping_add(delta);
        delta
    }
}

/// By how much the peer's counter of marked packets moved (RFC 9768 appendix A.2): at least by
/// what its low three bits `ace` say, by eight more if those may have gone round unseen.
/// `segments` are newly acknowledged, `marked` octets newly told to have come marked; `usual`
/// segments is what acknowledgments cover on average.
pub(super) fn safe_delta(
    ace: u32,
    cep: u32,
    segments: u32,
    marked: Option<u32>,
    mss: u32,
    usual: u32,
) -> u32 {
    let least = ace.wrapping_sub(cep) & 7;
    let Some(more) = segments.checked_sub(least) else {
        // More marks than segments: others, without text, were marked too.
        return least;
    };
    let safer = segments - more % 8;
    if safer == least {
        return least;
    }
    match marked {
        // Marked segments of less than half the size are unlikely, and of more impossible.
        Some(octets) => {
            let possible = u64::from(octets) <= u64::from(mss) * u64::from(least);
            let small = u64::from(octets) * 2 < u64::from(mss) * u64::from(safer);
            if possible && small { least } else { safer }
        }
        None if usual > THINNED => least,
        None => safer,
    }
}

/// The low three bits of a counter as flags: AE, CWR, ECE.
const fn as_flags(count: u32) -> TcpFlags {
    TcpFlags::from_bits((count as u16 & 7) << 6)
}

/// ACE of a segment.
const fn ace_of(flags: TcpFlags) -> u32 {
    (flags.bits() >> 6 & 7) as u32
}

/// Option of a SYN-ACK, which tests whether the path lets it pass (RFC 9768 §3.2.3.2.1).
pub(super) fn first_option() -> AccEcn {
    AccEcn::new(false, &FIRST_OCTETS)
}

impl<C: Congestion> Tcb<C> {
    /// The SYN-ACK agreed to it; our SYN is said to have come with the ECN field `syn`.
    pub(super) fn accurate_answered(&mut self, segment: &Segment<'_>, syn: u8) {
        let usual = TcpFlags::ACK | as_flags(FIRST_CEP);
        let Some(counts) = self.ecn.accurate.get_mut() else {
            return;
        };
        counts.syn = segment.ecn;
        counts.before = segment.ecn;
        counts.bits = counts.bits & MUTE | SHAKE;
        // With the acknowledgment, which may be lost, and with the first text.
        counts.wanted = 2;
        if segment.ecn == CE {
            counts.cep = counts.cep.wrapping_add(1);
        }
        if let Some(option) = segment.options.accurate_ecn {
            let _ = counts.read(option);
        }
        self.ecn.usual = usual;
        self.ecn.odd = 0b1000;
        self.accurate_untouched(syn);
    }

    /// Our SYN or SYN-ACK, which was not capable, is said to have come with this ECN field:
    /// something on the way writes what it must not (RFC 9768 §3.2.2.3).
    fn accurate_untouched(&mut self, told: u8) {
        if told != NOT_ECT {
            self.ecn.bits |= EcnState::NO_ECT;
        }
    }

    /// The SYN-ACK of a peer whose SYN crossed ours: from now on flags are counters.
    pub(super) fn accurate_crossed(&mut self) {
        if let Some(counts) = self.ecn.accurate.get_mut() {
            counts.bits &= !FIRST;
            self.ecn.usual = TcpFlags::ACK | as_flags(FIRST_CEP);
            self.ecn.odd = 0b1000;
        }
    }

    /// The connection stands, and its congestion control with it: a mark on our SYN counts.
    pub(super) fn accurate_syn_marked(&mut self, now: Instant) {
        let window = self.cc.window();
        self.cc.on_loss(now, Loss::Ecn, window);
    }

    /// Marks of an acceptable segment (RFC 9768 §3.2).
    pub(super) fn accurate_arrived(&mut self, segment: &Segment<'_>) {
        if segment.flags.syn() && !segment.flags.ack() {
            return;
        }
        let text = segment.payload.len() as u32;
        // Of segments that were coalesced all are marked, or none.
        let whole = u32::from(self.adv_mss);
        let full = if text > whole {
            u32::from(self.ack.rcv_mss.clamp(1, self.adv_mss.max(1)))
        } else {
            whole.max(1)
        };
        let unacked = self.rcv_nxt != self.ack.last_sent || text > 0;
        let Some(counts) = self.ecn.accurate.get_mut() else {
            return;
        };
        let segments = text.div_ceil(full).max(1);
        if counts.arrived(segment.ecn, text, segments, unacked) {
            self.ack.owed = Owed::Now;
        }
        if segment.ecn != NOT_ECT {
            self.ecn.bits |= EcnState::SEEN;
        }
    }

    /// What an acceptable acknowledgment counts (RFC 9768 §3.2.2.2).
    pub(super) fn accurate_echoed(&mut self, now: Instant, segment: &Segment<'_>) {
        let mut kept = core::mem::take(&mut self.ecn.accurate);
        if let Some(counts) = kept.get_mut() {
            self.read_counts(now, segment, counts);
        }
        self.ecn.accurate = kept;
    }

    fn read_counts(&mut self, now: Instant, segment: &Segment<'_>, counts: &mut Accurate) {
        let stamp = segment.options.timestamps.filter(|_| self.timestamps);
        let advance = segment.ack.saturating_since(self.snd_una);
        let reported = self.newly_reported(segment);
        let in_order = !segment.payload.is_empty() && self.reassembly.gaps.is_empty();
        let mss = u32::from(self.mss.max(1));
        let ace = ace_of(segment.flags);
        let sacks = !segment.options.sack.is_empty();
        let bare = segment.is_empty() && !sacks;
        let first = counts.take(FIRST);
        if first {
            self.ecn.odd = 0b1000;
            self.ecn.usual = TcpFlags::ACK | as_flags(FIRST_CEP);
            if let Some(option) = segment.options.accurate_ecn {
                let _ = counts.read(option);
            }
        }
        if first && bare {
            counts.bits |= CHECKED;
            // RFC 9768 table 4.
            let told = match ace {
                0 => {
                    counts.bits |= DEAF;
                    self.ecn.bits |= EcnState::NO_ECT;
                    return;
                }
                0b011 => ECT_1,
                0b100 => ECT_0,
                0b110 => CE,
                _ => NOT_ECT,
            };
            if told == CE {
                counts.s_cep = counts.s_cep.wrapping_add(1);
                self.ecn.usual = TcpFlags::ACK | as_flags(FIRST_CEP + 1);
                self.count_marked(1);
                self.accurate_syn_marked(now);
            }
            return self.accurate_untouched(told);
        }
        if !counts.is(CHECKED) {
            counts.bits |= CHECKED;
            if ace == 0 {
                // RFC 9768 §3.2.2.4: no counter begins with it.
                counts.bits |= DEAF;
                self.ecn.bits |= EcnState::NO_ECT;
            }
        }
        if counts.is(DEAF) {
            return;
        }
        // RFC 9768 appendix A.1: overtaken by others, it says nothing.
        let newer = match stamp {
            Some((value, _)) => {
                let since = value.wrapping_sub(counts.stamp);
                let known = counts.is(STAMPED);
                if known && since > 0x7fff_ffff || segment.ack.lt(self.snd_una) {
                    return;
                }
                counts.stamp = value;
                counts.bits |= STAMPED;
                !known || since > 0
            }
            None => false,
        };
        if segment.ack.lt(self.snd_una) || !newer && !in_order && advance == 0 && reported == 0 {
            return;
        }
        let known = counts.is(OPTIONS);
        let marked = match segment.options.accurate_ecn {
            Some(option) => counts.read(option),
            None => None,
        };
        // What came with the first option says nothing of this acknowledgment alone.
        let judged = marked.filter(|_| known);
        let octets = advance.saturating_add(reported);
        let delta = counts.count(ace, octets, judged, mss);
        let mangled = marked.is_some_and(|n| n > 0)
            && counts.s_cep == counts.cep_with_octets
            && octets < mss.saturating_mul(8);
        if marked.is_some() {
            counts.cep_with_octets = counts.s_cep;
        }
        self.ecn.usual = TcpFlags::ACK | as_flags(ace);
        if mangled {
            // RFC 9768 §3.2.3.2.5: octets without packets.
            self.ecn.bits |= EcnState::NO_ECT;
        }
        if delta > 0 {
            self.count_marked(delta);
            self.ecn_congested(now, segment.ack);
        }
    }

    /// Octets that the SACK blocks of a segment report for the first time.
    fn newly_reported(&self, segment: &Segment<'_>) -> u32 {
        let floor = segment.ack.max(self.snd_una);
        let new = |(lo, hi): (u32, u32)| {
            let (lo, hi) = (super::SeqNum(lo), super::SeqNum(hi));
            if lo.gt(floor) && lo.lt(hi) && hi.le(self.snd_nxt) {
                self.flight.unreported(lo, hi)
            } else {
                0
            }
        };
        let blocks = segment.options.sack.iter().map(new);
        blocks.fold(0, u32::saturating_add)
    }

    /// The next segment in order of an undisturbed connection, which says nothing unusual.
    #[inline]
    pub(super) fn accurate_predicted(&mut self, now: Instant, segment: &Segment<'_>) {
        self.accurate_arrived(segment);
        self.accurate_echoed(now, segment);
    }

    /// The option of a segment with these others, if one is due and finds room beside two SACK
    /// blocks (RFC 9768 §3.2.3.3).
    pub(super) fn accurate_option(&self, options: &TcpOptions) -> Option<AccEcn> {
        // The first text that went unanswered goes again without (RFC 9768 §3.2.3.2.2).
        if !self.ecn.is_accurate() || self.counts.acked == 0 && self.retries > 0 {
            return None;
        }
        let stamps = if options.timestamps.is_some() { 12 } else { 0 };
        let sack = match options.sack.len().min(2) {
            0 => 0,
            blocks => 4 + 8 * blocks,
        };
        self.ecn.accurate.get()?.option(40 - stamps - sack)
    }

    /// The challenge for a SYN-ACK that came once more: it is told again how it came (RFC 9768
    /// §3.2.2.1).
    pub(super) fn ecn_challenge(&mut self, segment: &Segment<'_>, challenge: Effects) -> Effects {
        let again = segment.flags.ack() && segment.seq + 1 == self.rcv_nxt;
        let (Some(counts), true) = (self.ecn.accurate.get_mut(), again) else {
            return challenge;
        };
        if segment.ecn == CE && counts.syn != CE && counts.cep == FIRST_CEP {
            counts.cep = counts.cep.wrapping_add(1);
        }
        counts.syn = segment.ecn;
        let told = |plan: Plan| Plan {
            flags: plan.flags.without(BITS) | encoded(segment.ecn),
            ..plan
        };
        Effects {
            answer: challenge.answer.map(told),
            ..challenge
        }
    }
}
