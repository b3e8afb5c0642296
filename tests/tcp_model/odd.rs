//! What seldom befalls hosts: nobody accepts, many come at once, machines sleep, sequence numbers
//! begin anew, packets come in pieces or once more long after, an address goes and comes back.

use core::net::IpAddr;
use core::time::Duration;

use netstrata::phy::FaultConfig;
use netstrata::socket::{ReadBuf, RecvBuf, Rx, SendBuf, Tx, WriteBuf};

use super::draw::{pick, skewed};
use super::rings::Kind;
use super::seen::parse;
use super::world::World;
use crate::support::{EAST, WEST};

/// Initial sequence numbers go on by one in 4 microseconds (RFC 9293 §3.4.1).
const TICK: u64 = 4;

/// Packets live no longer than this.
const LIFETIME: Duration = Duration::from_secs(120);

impl<K: Kind> World<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    /// One of these things happens.
    pub fn odd(&mut self) {
        match self.rng.below(12) {
            0..3 => {
                self.accepting = !self.accepting;
                let what = if self.accepting { "accept" } else { "pause" };
                self.tell(|| format!("listeners {what}"));
            }
            3 => self.crowd(),
            4 => self.sleep(),
            5 => self.wrap(),
            6..8 => {
                let often = pick(&mut self.rng, &[0, 3, 30]);
                self.tell(|| format!("one packet of {often} is cut"));
                self.watch.borrow_mut().cuts = often;
            }
            8..10 => self.once_more(),
            10 => self.beyond(),
            _ => self.readdress(),
        }
    }

    /// Many connections begin at once.
    fn crowd(&mut self) {
        let (side, port) = (self.rng.below(2), self.a_port());
        let budget = core::mem::replace(&mut self.case.budget, 2000);
        for _ in 0..2 + self.rng.below(16) {
            if !self.listens(1 - side, port) {
                self.listen(1 - side, port);
            }
            self.connect(side, 0, port);
        }
        self.case.budget = budget;
    }

    /// Both machines sleep: seconds, or so long that timestamps say nothing any more (RFC 7323 §5.5).
    fn sleep(&mut self) {
        let days = self.rng.below(5) == 0;
        self.slept = true;
        let span = if days {
            // No path keeps a packet for so long.
            let dead = FaultConfig::new().with_loss(1_000_000);
            let faults = self.faults;
            self.set_faults([dead; 2]);
            self.pass(Duration::from_secs(200));
            self.set_faults(faults);
            self.watch.borrow_mut().forget_stamps();
            Duration::from_secs(86_400 * 30)
        } else {
            Duration::from_micros(skewed(&mut self.rng, 1_000_000_000) as u64)
        };
        self.tell(|| format!("all sleep {span:?}"));
        self.pair.now += span;
    }

    /// A connection whose sequence numbers pass through zero: nobody answers the first attempt, which
    /// tells when that will be.
    fn wrap(&mut self) {
        let side = self.rng.below(2);
        let nth = self.ends.len() as u16;
        let (own, port) = (20_000 + nth, 6000 + nth);
        self.watch.borrow_mut().begun = None;
        self.connect(side, own, port);
        self.pass(Duration::from_millis(1));
        let begun = self.watch.borrow().begun;
        let Some((at, isn)) = begun.filter(|(by, _, _)| *by == own).map(|b| (b.1, b.2)) else {
            return;
        };
        let least = u64::from(isn.wrapping_neg());
        let early = skewed(&mut self.rng, 2 * self.case.budget) as u64;
        let then = at + Duration::from_micros(least.saturating_sub(early) * TICK);
        let left = then.saturating_since(self.pair.now);
        self.pass(left);
        self.listen(1 - side, port);
        self.connect(side, own, port);
    }

    /// Copies of packets that were sent long ago arrive.
    fn once_more(&mut self) {
        let side = self.rng.below(2);
        for _ in 0..1 + self.rng.below(4) {
            let mut watch = self.watch.borrow_mut();
            let old = &watch.old[1 - side];
            let nth = self.rng.below(old.len().max(1));
            let Some((sent, copy)) = old.get(nth).cloned() else {
                return;
            };
            // No packet lives longer (RFC 9293 §3.4.2).
            if self.pair.now.saturating_since(sent) > LIFETIME {
                continue;
            }
            if let Some(seen) = parse(&copy, true).filter(|seen| seen.tcp.flags.syn()) {
                // It may begin another connection, by a cookie even in the same numbers.
                watch.twice(side, (seen.tcp.dst, seen.tcp.src));
            }
            watch.late[side].push_back(copy);
        }
    }

    /// Somebody sends more than the window takes, or acknowledges what was not sent.
    fn beyond(&mut self) {
        let (side, ack) = (self.rng.below(2), self.rng.below(3) == 0);
        for _ in 0..1 + self.rng.below(4) {
            let past = skewed(&mut self.rng, 4000) as u32;
            let mut watch = self.watch.borrow_mut();
            if let Some(forged) = watch.beyond(side, past, ack) {
                watch.forged[side].push_back(forged);
            }
        }
    }

    /// A host loses its address for a while.
    fn readdress(&mut self) {
        if !self.case.blackouts {
            return;
        }
        let side = self.rng.below(2);
        let IpAddr::V4(ip) = [EAST, WEST][side] else {
            return;
        };
        self.tell(|| format!("host {side} has no address"));
        self.noisy = true;
        // What is sent meanwhile is sent as far as TCP knows, as if it were lost.
        self.watch.borrow_mut().swallows = true;
        assert!(self.host(side).net.remove_address(0, ip));
        let span = skewed(&mut self.rng, 100_000_000) as u64;
        self.pass(Duration::from_micros(span));
        self.tell(|| format!("host {side} has its address"));
        let back = self.host(side).net.add_address(0, ip, 24);
        back.expect("the room that it had");
    }
}
