//! Saying which addresses are ours, and noticing who else says so (RFC 5227).
//!
//! Invariant: an address is announced twice when it becomes ours (§2.3) and once per conflict,
//! at most every [`DEFEND_INTERVAL`]; we never give an address up (§2.4 (c): a host whose
//! address was configured keeps it). Whoever manages addresses may ask for conflicts and
//! decide otherwise.

use core::net::Ipv4Addr;
use core::time::Duration;
use phy::Instant;

use crate::wire::Mac;

/// Announcements of a new address (RFC 5227 §1.1, ANNOUNCE_NUM).
const ANNOUNCE_NUM: u8 = 2;
/// Time between them (RFC 5227 §1.1, ANNOUNCE_INTERVAL).
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// Shortest time between two defences of one address (RFC 5227 §1.1, DEFEND_INTERVAL).
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// Addresses with announcements under way or a defence to remember. One more takes the place of
/// the one with least left to say; announcing is a courtesy, and addresses work without it.
const CLAIMS: usize = 16;

/// Somebody else uses one of our addresses (RFC 5227 §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// The address.
    pub ip: Ipv4Addr,
    /// Who claims it.
    pub mac: Mac,
    /// When it was heard.
    pub at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Claim {
    ip: Ipv4Addr,
    /// Announcements still to be sent.
    left: u8,
    next: Instant,
    defended: Option<Instant>,
}

impl Claim {
    /// Nothing is left to say, and a defence would be allowed.
    fn idle(&self, now: Instant) -> bool {
        let rested = |at| now.saturating_since(at) >= DEFEND_INTERVAL;
        self.left == 0 && self.defended.is_none_or(rested)
    }
}

/// What we say about our addresses, and what was said against it.
#[derive(Debug)]
pub(super) struct Claims {
    list: [Option<Claim>; CLAIMS],
    /// No later than the next announcement; `Instant::MAX` if there is none.
    pub(super) due: Instant,
    /// Conflicts heard so far.
    pub(super) conflicts: u64,
    /// The last one nobody asked for yet.
    pub(super) last: Option<Conflict>,
}

impl Claims {
    pub(super) const fn new() -> Self {
        Self {
            list: [None; CLAIMS],
            due: Instant::MAX,
            conflicts: 0,
            last: None,
        }
    }

    fn find(&mut self, ip: Ipv4Addr) -> Option<&mut Claim> {
        self.list.iter_mut().flatten().find(|claim| claim.ip == ip)
    }

    /// `ip` is ours from now on.
    pub(super) fn announce(&mut self, ip: Ipv4Addr) {
        self.due = Instant::ZERO;
        if let Some(claim) = self.find(ip) {
            (claim.left, claim.next) = (ANNOUNCE_NUM, Instant::ZERO);
            return;
        }
        let least = |slot: &&mut Option<Claim>| slot.map(|claim| (claim.left, claim.next));
        if let Some(slot) = self.list.iter_mut().min_by_key(least) {
            *slot = Some(Claim {
                ip,
                left: ANNOUNCE_NUM,
                next: Instant::ZERO,
                defended: None,
            });
        }
    }

    /// Announces all known addresses again: our link address changed.
    pub(super) fn renew(&mut self) {
        for claim in self.list.iter_mut().flatten() {
            (claim.left, claim.next) = (ANNOUNCE_NUM, Instant::ZERO);
            self.due = Instant::ZERO;
        }
    }

    /// `mac` claims `ip`, which is ours.
    pub(super) fn conflict(&mut self, now: Instant, ip: Ipv4Addr, mac: Mac) {
        self.conflicts = self.conflicts.saturating_add(1);
        self.last = Some(Conflict { ip, mac, at: now });
        if let Some(claim) = self.find(ip) {
            let rested = |at| now.saturating_since(at) >= DEFEND_INTERVAL;
            if claim.defended.is_none_or(rested) {
                claim.left = claim.left.max(1);
                (claim.next, claim.defended) = (now, Some(now));
                self.due = self.due.min(now);
            }
            return;
        }
        // Without a place to note when it was defended, it is not: no flood of conflicts
        // makes us send without limit.
        let free = |slot: &&mut Option<Claim>| slot.is_none_or(|claim| claim.idle(now));
        if let Some(slot) = self.list.iter_mut().find(free) {
            *slot = Some(Claim {
                ip,
                left: 1,
                next: now,
                defended: Some(now),
            });
            self.due = self.due.min(now);
        }
    }

    /// Sends what is due by way of `send`, which says whether there was room. `owns` says
    /// whether an address is still ours.
    pub(super) fn run(
        &mut self,
        now: Instant,
        owns: impl Fn(Ipv4Addr) -> bool,
        mut send: impl FnMut(Ipv4Addr) -> bool,
    ) {
        if now < self.due {
            return;
        }
        self.due = Instant::MAX;
        for slot in &mut self.list {
            let Some(claim) = slot.as_mut().filter(|claim| claim.left > 0) else {
                continue;
            };
            if !owns(claim.ip) {
                *slot = None;
                continue;
            }
            if claim.next <= now {
                if send(claim.ip) {
                    claim.left = claim.left.saturating_sub(1);
                    claim.next = now + ANNOUNCE_INTERVAL;
                } else {
                    claim.next = now + super::cache::POSTPONED;
                }
            }
            if claim.left > 0 {
                self.due = self.due.min(claim.next);
            }
        }
    }
}
