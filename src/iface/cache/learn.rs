//! What the cache makes of what others say.
//!
//! Invariant: nothing heard creates an entry except a request for our own address, and nothing
//! heard moves an entry that is reachable.

use core::net::Ipv4Addr;
use phy::Instant;

use super::{Cache, Entry, Goal, Job, State};
use crate::iface::neighbor::{PROVISIONAL_TIME, REACHABLE_TIME};
use crate::wire::Mac;

/// How we came to hear of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::iface) enum Word {
    /// In a reply to us alone.
    Reply,
    /// In a request for our address `0`.
    Request(Ipv4Addr),
    /// In passing.
    Overheard,
}

/// What became of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::iface) enum Heard {
    /// It is in the table, or was.
    Known,
    /// It contradicts a live entry.
    Contradicts,
    /// It is about nobody we deal with.
    Unasked,
    /// There was no room for it.
    Full,
}

impl<const N: usize> Cache<N> {
    /// Somebody says that `ip` is at `mac`.
    pub(in crate::iface) fn hear(&mut self, ip: Ipv4Addr, mac: Mac, word: Word) -> Heard {
        let now = self.now;
        let until = now
            + match word {
                Word::Reply => REACHABLE_TIME,
                Word::Request(_) | Word::Overheard => PROVISIONAL_TIME,
            };
        let Some(entry) = self.table.get_mut(ip.into()) else {
            return self.meet(ip, mac, word, until);
        };
        match entry.state {
            State::Static if entry.mac == mac => Heard::Known,
            State::Static => Heard::Contradicts,
            State::Asking(id) => {
                (entry.state, entry.mac, entry.until) = (State::Live, mac, until);
                self.release(id, mac);
                Heard::Known
            }
            State::Failed => {
                (entry.state, entry.mac, entry.until) = (State::Live, mac, until);
                self.resolved = true;
                Heard::Known
            }
            // Only an answer to a probe confirms; any station can repeat what we know.
            State::Live if entry.mac == mac => Heard::Known,
            State::Live if now < entry.until => {
                self.probe(ip.into(), Some(mac));
                Heard::Contradicts
            }
            State::Live => {
                (entry.mac, entry.until) = (mac, now + PROVISIONAL_TIME);
                Heard::Known
            }
            State::Probing(id) if entry.mac == mac => {
                if word == Word::Reply {
                    (entry.state, entry.until) = (State::Live, until);
                    self.end(id);
                }
                Heard::Known
            }
            State::Probing(id) => {
                if let Some(Some(Job {
                    goal: Goal::Probe { candidate },
                    ..
                })) = self.jobs.get_mut(id)
                {
                    candidate.get_or_insert(mac);
                }
                Heard::Contradicts
            }
        }
    }

    /// Somebody unknown speaks. Whoever asks for our address is about to send to it.
    fn meet(&mut self, ip: Ipv4Addr, mac: Mac, word: Word, until: Instant) -> Heard {
        let Word::Request(from) = word else {
            return Heard::Unasked;
        };
        let entry = Entry {
            state: State::Live,
            mac,
            from,
            until,
            touched: self.now,
            in_use: false,
        };
        match self.put(ip.into(), entry) {
            Ok(()) => Heard::Known,
            Err(_) => Heard::Full,
        }
    }

    /// Entry number `id` was asked for and is at `mac`.
    pub(super) fn release(&mut self, id: usize, mac: Mac) {
        self.resolved = true;
        if self.hold.front(id).is_none() {
            return self.end(id);
        }
        if let Some(Some(job)) = self.jobs.get_mut(id) {
            (job.goal, job.next) = (Goal::Release(mac), self.now);
            self.due = self.due.min(self.now);
        }
    }
}
