//! What few applications do: lingering, no more reading, flags of writes.

use core::time::Duration;

use netstrata::socket::{ReadBuf, RecvBuf, Rx, SendBuf, Tx, WriteBuf};
use netstrata::tcp::{SendFlags, Shutdown};

use super::draw::{pick, skewed};
use super::rings::Kind;
use super::world::World;

impl<K: Kind> World<K>
where
    Rx<K>: RecvBuf + ReadBuf,
    Tx<K>: SendBuf + WriteBuf,
{
    /// One of these things happens.
    pub fn rare(&mut self) {
        match self.rng.below(8) {
            0 => {
                let time = self.a_time();
                self.with(&format!("lingers {time:?}"), |_, s| s.set_linger(time));
            }
            1 => {
                let time = self.a_time();
                self.with(&format!("lingers in FIN-WAIT-2 {time:?}"), |_, s| {
                    s.set_linger2(time);
                });
            }
            2 => self.with("reads no more", |end, s| {
                s.shutdown(Shutdown::Read);
                end.deaf = true;
            }),
            _ => {
                let bits = 1 + self.rng.below(7);
                let flags = SendFlags {
                    more: bits & 1 != 0,
                    eor: bits & 2 != 0,
                    urgent: bits & 4 != 0,
                };
                let most = skewed(&mut self.rng, 20_000);
                let times = 1 + self.rng.below(20);
                self.with(
                    &format!("writes {most} {times} times, {flags:?}"),
                    |end, s| {
                        for _ in 0..times {
                            if end.error.is_none() {
                                end.write_with(s, most, 0, flags);
                            }
                        }
                    },
                );
            }
        }
    }

    /// What peers make a host hold stays below its ceiling, but for one buffer that doubled, by a
    /// train at once perhaps, and a first piece and records of each; what its applications wrote
    /// is their own.
    pub fn check_memory(&mut self) {
        // Rings are there from the start.
        let sides = if K::OFFERS { 0..0 } else { 0..2 };
        let train = if self.case.offload { 1 << 17 } else { 0 };
        for side in sides {
            let ceiling = self.case.limits[side].memory.high;
            let own = self.ends.iter().filter(|end| end.side == side);
            let written: usize = own.map(|end| 2 * end.unacknowledged + 32_768).sum();
            let held = self.host(side).transports().0.memory();
            assert!(
                held <= 2 * ceiling + train + written,
                "host {side} holds {held} octets, {written} for its applications"
            );
        }
    }

    fn a_time(&mut self) -> Option<Duration> {
        let times = [None, Some(0), Some(1), Some(500), Some(100_000)];
        pick(&mut self.rng, &times).map(Duration::from_millis)
    }
}
