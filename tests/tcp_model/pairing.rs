//! Which end of a connection belongs to which: connections that listeners made, and who called.

use netstrata::socket::{Handle, ReadBuf, RecvBuf, Rx, SendBuf, Tx, WriteBuf};
use netstrata::tcp::State;

use super::draw::skewed;
use super::ends::{End, Sock};
use super::rings::Kind;
use super::world::World;

impl<K: Kind> World<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    /// A listener of host `side` made a connection.
    pub fn accepted(&mut self, side: usize, port: u16, h: Handle<Sock<K>>) {
        let look = |s: &Sock<K>| (s.state(), s.peer_addr(), s.local_addr());
        let (state, peer, local) = self.host(side).socket(h).look(look).expect("a socket");
        let from = peer.expect("a peer").port();
        assert_eq!(local.map(|at| at.port()), Some(port));
        self.spares.retain(|spare| *spare != (side, h));
        if from == super::steps::STRANGER {
            // A forged SYN whose text needs no cookie.
            self.host(side).close(h).expect("an open socket");
            return;
        }
        let budget = skewed(&mut self.rng, self.case.budget + 1) as u64;
        let mut end = End::new(h, side, (port, from), budget);
        end.most = self.most(side);
        end.state = state;
        // By Fast Open it may be accepted before the handshake is over.
        end.stood = state.is_synchronized();
        end.accepted = true;
        end.finishing = self.finishing;
        end.eager = self.finishing || self.rng.below(3) > 0;
        end.moved_at = self.pair.now;
        // A late segment of a connection that is over may pass for a cookie that comes back: then
        // nobody of those who are left is its peer.
        let free = |other: &End<K>| {
            other.peer.is_none() && other.side != side && other.ports == (from, port)
        };
        let stands = |other: &End<K>| free(other) && other.stood;
        // By Fast Open, text is accepted before its sender knows.
        let waits = |other: &End<K>| {
            let opens = other.state == State::SynSent && other.error.is_none();
            free(other) && opens && other.begun && self.case.fast_open
        };
        let client = self.ends.iter().rposition(stands);
        // The first of them: what connects from the same port after it finds that taken, unless
        // the first one's application let it go before anything came of it.
        let kept = |other: &End<K>| waits(other) && !other.released;
        // One that stood and has not heard of its end yet is none beside one that connects since.
        let client = client.max(self.ends.iter().position(kept));
        let client = client.or_else(|| self.ends.iter().position(waits));
        // Its first end is gone and nobody told it, or what it sent came late: what it sends first
        // carries the cookie still, or the text of its SYN, and makes another end for it. A cookie
        // that came back is remembered nowhere (RFC 4987 §3.6), nor is a SYN (RFC 7413 §6.1).
        let first_of = |other: &End<K>| other.peer.and_then(|n| self.ends.get(n));
        let again = |other: &End<K>| {
            let made_twice = first_of(other).is_some_and(|first| first.accepted);
            made_twice && other.side != side && other.ports == (from, port)
        };
        let client = client.or_else(|| {
            let replayed = self.baked(&end) || self.case.fast_open;
            self.ends.iter().rposition(|other| replayed && again(other))
        });
        // Unless nothing at all came of the first, what it sent may be on its way, in the sequence
        // numbers of the second.
        end.mixed = client.and_then(|n| self.ends.get(n)).is_some_and(|client| {
            first_of(client).is_some_and(|first| {
                let given_up = first.aborted || first.fragile;
                let silent = first.written == 0 || first.unheard == Some(true);
                !(given_up && silent && first.got == 0 && client.got == 0)
            })
        });
        // Its caller gave up before anybody accepted it.
        let gave_up = |n: usize| {
            self.ends
                .get(n)
                .is_some_and(|client| client.error.is_some())
        };
        end.mixed |= client.is_some_and(gave_up);
        end.peer = client;
        self.alone(&end);
        let before =
            |other: &&End<K>| other.accepted && other.side == side && other.ports == (port, from);
        if self.baked(&end) && self.ends.iter().any(|other| before(&other)) {
            // What came late brought the cookie back: two connections have the same numbers.
            self.watch.borrow_mut().twice(side, (port, from));
        }
        self.tell(|| format!("host {side} accepts from {from} on {port}"));
        let index = self.ends.len();
        if let Some(client) = client.and_then(|n| self.ends.get_mut(n)) {
            client.mixed |= end.mixed;
            client.formers.extend(client.peer.replace(index));
        }
        self.ends.push(end);
        let door = self
            .doors
            .iter()
            .find(|d| (d.side, d.port) == (side, port))
            .map(|d| d.h);
        if let Some(door) = door {
            self.offer(side, door);
        }
    }

    /// No other connection of the host has the addresses and ports of `end`, which is new.
    fn alone(&mut self, end: &End<K>) {
        for n in 0..self.ends.len() {
            let other = &self.ends[n];
            if other.released || (other.side, other.ports) != (end.side, end.ports) {
                continue;
            }
            let h = other.h;
            let state = self.host(end.side).socket(h).look(|s| s.state());
            let state = state.expect("an open socket");
            let gone = [State::Closed, State::TimeWait].contains(&state);
            assert!(gone, "two connections of {:?}: {state}", end.ports);
        }
    }

    /// Whoever may have sent what came to `end`.
    pub fn senders<'a>(&'a self, end: &'a End<K>) -> impl Iterator<Item = &'a End<K>> + Clone {
        let all = end.peer.iter().chain(&end.formers);
        all.filter_map(|n| self.ends.get(*n))
    }
}
