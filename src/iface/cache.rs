//! The neighbour cache: which link address an IP address has, by the states of RFC 4861 §7.3
//! applied to ARP.
//!
//! Invariants:
//! - **Entries exist for addresses we asked for, or whose owner asked for ours** and so begins a
//!   session; nothing overheard makes one. Only unicast link addresses get in.
//! - **Constant work per packet**: one look into the [`Table`]. Unfinished business (asking,
//!   probing) lies in a short list under a quota, the only one that is ever walked.
//! - **A live entry is probed before it moves**: while it is reachable, another link address is
//!   only a candidate, taken when the old one answers no unicast probe.
//! - **Traffic does not stall**: a stale entry is used while it is probed.
//! - An entry in use is never evicted; else what was never used goes first, then what was
//!   longest unused.
//!
//! Sends nothing itself: [`Ethernet`](super::Ethernet) asks for the next [`Step`] and does it.

mod learn;
#[cfg(test)]
mod tests;

pub(super) use learn::{Heard, Word};

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use phy::Instant;

use super::hold::Hold;
use super::neighbor::*;
use super::table::{Slots, Table};
use crate::secret::Secret;
use crate::wire::Mac;

/// Entries being probed at the same time.
const MAX_PROBES: usize = if cfg!(feature = "alloc") { 32 } else { 4 };
/// When the device had no room for a frame of ours, we try again after this time.
pub(super) const POSTPONED: Duration = Duration::from_millis(10);

const JOBS: usize = MAX_UNFINISHED + MAX_PROBES;

/// What the cache knows about the way to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lookup {
    /// Send there.
    Known(Mac),
    /// Being asked for under this number; `first`: a request must be sent, followed by
    /// [`Cache::asked`] or, without room for it, [`Cache::not_asked`].
    Unfinished { id: usize, first: bool },
    /// It did not answer a moment ago.
    Unreachable,
    /// No room for another unfinished entry.
    Full,
}

/// Something to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    /// Send a request for `ip` in the name of `from`, to `to` or to all.
    Ask {
        to: Option<Mac>,
        from: Ipv4Addr,
        ip: Ipv4Addr,
    },
    /// Send what waits to this address.
    Release(Mac),
    /// Give back what waits.
    GiveBack,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    state: State,
    mac: Mac,
    /// Our address that its probes ask with.
    from: Ipv4Addr,
    /// End of what `state` promises: of being reachable, or of being failed.
    until: Instant,
    /// When it was learned or last sent to.
    touched: Instant,
    /// Has it ever been sent to?
    in_use: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asking(usize),
    Live,
    Probing(usize),
    Failed,
    Static,
}

#[derive(Debug, Clone, Copy)]
struct Job {
    ip: Ipv4Addr,
    from: Ipv4Addr,
    goal: Goal,
    /// Requests sent.
    tries: u8,
    begun: Instant,
    next: Instant,
}

#[derive(Debug, Clone, Copy)]
enum Goal {
    Ask,
    Probe { candidate: Option<Mac> },
    Release(Mac),
    GiveBack,
}

/// The neighbour cache of one link.
#[derive(Debug)]
pub(super) struct Cache<const N: usize> {
    table: Table<Entry, N>,
    /// Unfinished entries first, then probes.
    jobs: Slots<Option<Job>, JOBS>,
    asks: usize,
    probes: usize,
    /// Packets that wait, by number of their job.
    pub(super) hold: Hold<MAX_UNFINISHED>,
    /// No later than the next step; `Instant::MAX` if there is none.
    pub(super) due: Instant,
    /// Somebody was refused, and is told to try again then; without quota, all are until then.
    crowded: Option<Instant>,
    /// Lookups ended since the last question.
    pub(super) resolved: bool,
    /// Waiting packets that had to go and were not counted yet.
    pub(super) displaced: u32,
    now: Instant,
}

impl<const N: usize> Cache<N> {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(),
            jobs: Slots::new(|| None),
            asks: 0,
            probes: 0,
            hold: Hold::new(),
            due: Instant::MAX,
            crowded: None,
            resolved: false,
            displaced: 0,
            now: Instant::ZERO,
        }
    }

    pub(super) fn rekey(&mut self, secret: &Secret) {
        self.table.rekey(secret);
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The way to `to`, asked for in the name of `from` if it is not known. Never Known for an
    /// IPv6 address unless it was set by hand: ARP does not speak of those.
    pub(super) fn lookup(&mut self, to: IpAddr, from: IpAddr) -> Lookup {
        let now = self.now;
        if let Some(entry) = self.table.get_mut(to) {
            match entry.state {
                State::Asking(id) => return Lookup::Unfinished { id, first: false },
                State::Failed if now < entry.until => return Lookup::Unreachable,
                State::Failed => {}
                State::Live | State::Probing(_) | State::Static => {
                    (entry.touched, entry.in_use) = (now, true);
                    let mac = entry.mac;
                    if entry.state == State::Live && now >= entry.until {
                        if let IpAddr::V4(from) = from {
                            entry.from = from;
                        }
                        self.probe(to, None);
                    }
                    return Lookup::Known(mac);
                }
            }
        }
        match (to, from) {
            // Nobody answers for our own address.
            (IpAddr::V4(ip), IpAddr::V4(from)) if ip != from => self.ask(ip, from),
            _ => Lookup::Unreachable,
        }
    }

    /// Starts to ask for `ip`.
    fn ask(&mut self, ip: Ipv4Addr, from: Ipv4Addr) -> Lookup {
        let now = self.now;
        let Some(id) = self.free_ask() else {
            return Lookup::Full;
        };
        let entry = Entry {
            state: State::Asking(id),
            mac: Mac::ZERO,
            from,
            until: now,
            touched: now,
            in_use: true,
        };
        if self.put(ip.into(), entry).is_err() {
            // All its places are in use. As no lookup ends by itself, whoever waits is woken.
            self.refuse_until(now + UNFINISHED_TIME);
            return Lookup::Full;
        }
        self.asks = self.asks.saturating_add(1);
        self.start(id, ip, from, Goal::Ask);
        Lookup::Unfinished { id, first: true }
    }

    fn put(&mut self, ip: IpAddr, entry: Entry) -> Result<(), super::table::Full> {
        let now = self.now;
        // What goes has no job: entries that are being asked for or probed have no worth to
        // be weighed.
        self.table.insert(ip, entry, |e| worth(e, now)).map(|_| ())
    }

    fn start(&mut self, id: usize, ip: Ipv4Addr, from: Ipv4Addr, goal: Goal) {
        let now = self.now;
        if let Some(slot) = self.jobs.get_mut(id) {
            *slot = Some(Job {
                ip,
                from,
                goal,
                tries: 0,
                begun: now,
                next: now,
            });
        }
    }

    /// The number of a new unfinished entry. Where all are taken, the one that has been silent
    /// longest makes room, so that many dead addresses do not lock a live one out.
    fn free_ask(&mut self) -> Option<usize> {
        if self.asks < MAX_UNFINISHED {
            let mut asks = self.jobs.iter().take(MAX_UNFINISHED);
            return asks.position(Option::is_none);
        }
        let now = self.now;
        if self.crowded.is_some_and(|until| now < until) {
            return None;
        }
        let asks = self.jobs.iter().take(MAX_UNFINISHED).enumerate();
        let (job, id): (Option<Job>, Option<usize>) = asks
            .filter_map(|(id, job)| Some(((*job)?, id)))
            .filter(|(job, _)| matches!(job.goal, Goal::Ask))
            .min_by_key(|(job, _)| (core::cmp::Reverse(job.tries), job.begun))
            .unzip();
        // Where none is asking, all are being released, which a full device delays.
        let until = job.map_or(now + POSTPONED, |job| job.begun + UNFINISHED_TIME);
        let (Some(job), Some(id), true) = (job, id, until <= now) else {
            self.refuse_until(until);
            return None;
        };
        self.displaced = self.displaced.saturating_add(self.hold.clear(id));
        self.table.remove(job.ip.into());
        self.end(id);
        self.resolved = true;
        Some(id)
    }

    /// Whoever was refused is told to try again then.
    fn refuse_until(&mut self, until: Instant) {
        // The first refusal counts: others must not put its end off.
        let until = self.crowded.map_or(until, |first| first.min(until));
        self.crowded = Some(until);
        self.due = self.due.min(until);
    }

    /// Forgets job `id`.
    fn end(&mut self, id: usize) {
        if self.jobs.get_mut(id).and_then(Option::take).is_some() {
            if id < MAX_UNFINISHED {
                self.asks = self.asks.saturating_sub(1);
            } else {
                self.probes = self.probes.saturating_sub(1);
            }
        }
    }

    /// Starts to ask the live entry `ip` whether it is still there, if the quota of probes
    /// allows.
    fn probe(&mut self, ip: IpAddr, candidate: Option<Mac>) {
        if self.probes >= MAX_PROBES {
            return;
        }
        let mut jobs = self.jobs.iter().enumerate().skip(MAX_UNFINISHED);
        let Some(id) = jobs.find_map(|(id, job)| job.is_none().then_some(id)) else {
            return;
        };
        if let (IpAddr::V4(v4), Some(entry)) = (ip, self.table.get_mut(ip)) {
            entry.state = State::Probing(id);
            let from = entry.from;
            self.probes = self.probes.saturating_add(1);
            self.start(id, v4, from, Goal::Probe { candidate });
            self.due = self.due.min(self.now);
        }
    }

    /// Numbers that [`Cache::step`] takes, if anything is due.
    pub(super) fn steps(&mut self) -> core::ops::Range<usize> {
        let now = self.now;
        if now < self.due {
            return 0..0;
        }
        self.due = Instant::MAX;
        if let Some(until) = self.crowded {
            if now >= until {
                self.crowded = None;
                self.resolved = true;
            } else {
                self.due = until;
            }
        }
        0..JOBS
    }

    /// What is to be done about job `id` now.
    pub(super) fn step(&mut self, id: usize) -> Step {
        let Some(Some(job)) = self.jobs.get(id).copied() else {
            return Step::Idle;
        };
        if self.now < job.next {
            self.due = self.due.min(job.next);
            return Step::Idle;
        }
        let (ip, from) = (job.ip, job.from);
        match job.goal {
            Goal::Release(mac) => Step::Release(mac),
            Goal::GiveBack => Step::GiveBack,
            Goal::Ask if job.tries < MAX_REQUESTS => Step::Ask { to: None, from, ip },
            Goal::Ask => {
                self.fail(id, ip);
                Step::GiveBack
            }
            Goal::Probe { .. } if job.tries < MAX_REQUESTS => {
                let to = self.table.get(ip.into()).map(|entry| entry.mac);
                Step::Ask { to, from, ip }
            }
            Goal::Probe { candidate } => {
                self.end(id);
                self.moved(ip, candidate);
                Step::Idle
            }
        }
    }

    /// Nobody answered for `ip`.
    fn fail(&mut self, id: usize, ip: Ipv4Addr) {
        let now = self.now;
        if let Some(entry) = self.table.get_mut(ip.into()) {
            (entry.state, entry.until) = (State::Failed, now + HOLD_DOWN);
        }
        if let Some(Some(job)) = self.jobs.get_mut(id) {
            job.goal = Goal::GiveBack;
        }
        self.resolved = true;
    }

    /// The old link address of `ip` answered no probe: the candidate takes over. Without one
    /// the entry goes, and its next use asks everybody (RFC 4861 §7.3.3).
    fn moved(&mut self, ip: Ipv4Addr, candidate: Option<Mac>) {
        let Some(mac) = candidate else {
            self.table.remove(ip.into());
            return;
        };
        let now = self.now;
        if let Some(entry) = self.table.get_mut(ip.into()) {
            (entry.state, entry.mac, entry.until) = (State::Live, mac, now + PROVISIONAL_TIME);
        }
    }

    /// A request of job `id` was sent.
    pub(super) fn asked(&mut self, id: usize) {
        let next = self.now + RETRANS_TIME;
        if let Some(Some(job)) = self.jobs.get_mut(id) {
            (job.tries, job.next) = (job.tries.saturating_add(1), next);
            self.due = self.due.min(next);
        }
    }

    /// There was no room for the first request of a job: it is left to the next turn.
    pub(super) fn not_asked(&mut self) {
        self.due = self.due.min(self.now);
    }

    /// There was no room to do what job `id` needs.
    pub(super) fn postpone(&mut self, id: usize) {
        let next = self.now + POSTPONED;
        if let Some(Some(job)) = self.jobs.get_mut(id) {
            job.next = next;
            self.due = self.due.min(next);
        }
    }

    /// All that waited for job `id` was sent or given back.
    pub(super) fn finish(&mut self, id: usize) {
        self.end(id);
    }

    /// Sets an entry by hand.
    pub(super) fn set(&mut self, ip: IpAddr, mac: Mac) -> Result<(), NeighborError> {
        if !mac.is_unicast() {
            return Err(NeighborError::NotUnicast);
        }
        let before = self.table.get(ip).map(|entry| entry.state);
        let entry = Entry {
            state: State::Static,
            mac,
            from: Ipv4Addr::UNSPECIFIED,
            until: Instant::MAX,
            touched: self.now,
            in_use: false,
        };
        self.put(ip, entry).map_err(|_| NeighborError::Full)?;
        match before {
            Some(State::Asking(id)) => self.release(id, mac),
            Some(State::Probing(id)) => self.end(id),
            _ => self.resolved = true,
        }
        Ok(())
    }

    /// Takes an entry out, however it came in. True if there was one.
    pub(super) fn remove(&mut self, ip: IpAddr) -> bool {
        let Some(entry) = self.table.remove(ip) else {
            return false;
        };
        if let State::Asking(id) | State::Probing(id) = entry.state {
            self.displaced = self.displaced.saturating_add(self.hold.clear(id));
            self.end(id);
            self.resolved = true;
        }
        true
    }

    /// Forgets all that was learned. What was set by hand stays.
    pub(super) fn flush(&mut self) {
        self.table.retain(|entry| entry.state == State::Static);
        for id in 0..JOBS {
            self.displaced = self.displaced.saturating_add(self.hold.clear(id));
            self.end(id);
        }
        self.resolved = true;
    }

    /// Every entry.
    pub(super) fn iter(&self) -> impl Iterator<Item = Neighbor> {
        self.table.iter().map(|(ip, entry)| {
            let (state, known) = match entry.state {
                State::Asking(_) => (NeighborState::Incomplete, false),
                State::Failed => (NeighborState::Failed, false),
                State::Static => (NeighborState::Static, true),
                State::Probing(_) => (NeighborState::Probe, true),
                State::Live if self.now < entry.until => (NeighborState::Reachable, true),
                State::Live => (NeighborState::Stale, true),
            };
            Neighbor {
                ip,
                mac: known.then_some(entry.mac),
                state,
                used: entry.in_use.then_some(entry.touched),
            }
        })
    }
}

/// What an entry is worth when another needs its place: nothing if it failed, little if it was
/// never used, more the later it was used; `None` if it must stay.
fn worth(entry: &Entry, now: Instant) -> Option<(u8, Instant)> {
    match entry.state {
        State::Failed => Some((0, entry.until)),
        State::Live if !entry.in_use => Some((1, entry.touched)),
        State::Live if now.saturating_since(entry.touched) >= REACHABLE_TIME => {
            Some((2, entry.touched))
        }
        State::Live | State::Asking(_) | State::Probing(_) | State::Static => None,
    }
}
