//! What a client knows of servers: cookies, segment sizes, and where Fast Open did not get
//! through (RFC 7413 §4.1.3).
//!
//! Invariant: the table is bounded, and the server not asked for longest gives way. What is not
//! known costs one ordinary handshake. A path that swallows SYNs with text, or connections
//! begun so, is not tried again at once: by server for a time that doubles, and by all after
//! signs of a black hole (RFC 7413 §7.1 has firewalls that drop them).

use core::net::IpAddr;
use core::time::Duration;
use phy::Instant;

use crate::tcp::config::Config;
use crate::tcp::fastopen::SynOffer;
use crate::tcp::table::{Entry, Table};
use crate::wire::FastOpen;

/// What is known of one server.
#[derive(Debug, Clone, Copy)]
struct Known {
    server: IpAddr,
    cookie: Option<FastOpen>,
    /// MSS of its last SYN-ACK, octets.
    mss: u16,
    /// SYNs with text in a row that were lost.
    losses: u8,
    /// Which option asks: 0 the standard one, 1 the experimental one next, 2 the standard one
    /// for good.
    attempt: u8,
    lost_at: Instant,
}

impl Entry for Known {}

/// What a SYN-ACK taught.
#[derive(Debug, Clone, Copy)]
pub(in crate::tcp) struct Lesson {
    pub mss: u16,
    pub cookie: Option<FastOpen>,
    /// The SYN with text, or its answer, was lost.
    pub lost: bool,
    /// We asked for a cookie in this option, experimental or not, and got none.
    pub refused: Option<bool>,
}

/// Servers known, and the state of black-hole detection.
#[derive(Debug)]
pub(in crate::tcp) struct Memory {
    servers: Table<Known, 1>,
    /// No Fast Open before this.
    paused_until: Instant,
    /// How often that was so in a row.
    pauses: u8,
}

impl Memory {
    /// Of at most `limit` servers.
    pub fn new(limit: usize) -> Self {
        Self {
            servers: Table::new(limit),
            paused_until: Instant::ZERO,
            pauses: 0,
        }
    }

    /// What the SYN to `server`, whose address hashes to `hash`, is to carry; `None` for
    /// nothing. `mss` is what is believed of a server that is not known.
    pub fn offer(
        &self,
        hash: u64,
        server: IpAddr,
        now: Instant,
        cfg: &Config,
        mss: u16,
    ) -> Option<SynOffer> {
        if now < self.paused_until {
            return None;
        }
        let id = self.servers.find(hash, |known| known.server == server);
        let Some(known) = id.and_then(|id| self.servers.get(id)) else {
            let option = Some(FastOpen::REQUEST);
            return Some(SynOffer { option, mss });
        };
        if known.losses > 1 {
            let pause = cfg
                .fastopen_pause
                .saturating_mul(1 << u32::from(known.losses.min(16)));
            if now < known.lost_at + pause {
                return None;
            }
        }
        let request = match known.attempt {
            1 => FastOpen::REQUEST.in_experimental_option(),
            _ => FastOpen::REQUEST,
        };
        let mss = if known.mss > 0 { known.mss } else { mss };
        let option = Some(known.cookie.unwrap_or(request));
        Some(SynOffer { option, mss })
    }

    /// Takes a lesson of `server`.
    pub fn learn(&mut self, hash: u64, server: IpAddr, now: Instant, lesson: &Lesson) {
        let found = self.servers.find(hash, |known| known.server == server);
        let mut known = found
            .and_then(|id| self.servers.remove(id))
            .unwrap_or(Known {
                server,
                cookie: None,
                mss: 0,
                losses: 0,
                attempt: 0,
                lost_at: Instant::ZERO,
            });
        known.mss = lesson.mss;
        if let Some(cookie) = lesson.cookie {
            known.cookie = Some(cookie);
        } else if let Some(experimental) = lesson.refused
            && known.cookie.is_none()
        {
            known.attempt = known.attempt.max(if experimental { 2 } else { 1 });
        }
        if lesson.lost {
            known.losses = known.losses.saturating_add(1);
            known.lost_at = now;
        } else {
            known.losses = 0;
        }
        if self.servers.is_full()
            && let Some(oldest) = self.servers.oldest(0)
        {
            self.servers.remove(oldest);
        }
        self.servers.insert(hash, known);
    }

    /// Servers known.
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// A connection begun with Fast Open went silent: none is, for a time that doubles with
    /// every such sign in a row up to 64-fold. True if that is news.
    pub fn suspect(&mut self, now: Instant, cfg: &Config) -> bool {
        let pause = cfg.fastopen_blackhole;
        if pause == Duration::ZERO || now < self.paused_until {
            return false;
        }
        let doubled = pause.saturating_mul(1 << u32::from(self.pauses.min(6)));
        self.paused_until = now + doubled;
        self.pauses = self.pauses.saturating_add(1);
        true
    }

    /// A connection begun with Fast Open ended well.
    pub fn trust(&mut self, now: Instant) {
        if now >= self.paused_until {
            self.pauses = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LESSON: Lesson = Lesson {
        mss: 1200,
        cookie: None,
        lost: false,
        refused: None,
    };

    fn server(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    fn cookie(octets: &[u8]) -> FastOpen {
        FastOpen::new(octets).unwrap()
    }

    fn ask(memory: &Memory, n: u8, secs: u64) -> Option<SynOffer> {
        memory.offer(n.into(), server(n), at(secs), &Config::default(), 536)
    }

    #[test]
    fn the_server_learned_of_first_gives_way() {
        let mut memory = Memory::new(2);
        for n in [1, 2, 1, 3] {
            let lesson = Lesson {
                cookie: Some(cookie(&[n; 8])),
                ..LESSON
            };
            memory.learn(n.into(), server(n), at(1), &lesson);
        }
        assert_eq!(memory.len(), 2);
        let option = |n| ask(&memory, n, 2).unwrap().option;
        assert_eq!(option(1), Some(cookie(&[1; 8])));
        assert_eq!(option(2), Some(FastOpen::REQUEST));
        assert_eq!(option(3), Some(cookie(&[3; 8])));
        assert_eq!(ask(&memory, 1, 2).unwrap().mss, 1200);
        assert_eq!(ask(&memory, 2, 2).unwrap().mss, 536);
    }

    /// After a round without a cookie the experimental option, after another the standard one.
    #[test]
    fn both_options_are_tried() {
        let mut memory = Memory::new(2);
        let option = |memory: &Memory| ask(memory, 1, 1).unwrap().option.unwrap();
        let refused = |experimental| Lesson {
            refused: Some(experimental),
            ..LESSON
        };
        memory.learn(1, server(1), at(1), &refused(false));
        assert_eq!(option(&memory), FastOpen::REQUEST.in_experimental_option());
        memory.learn(1, server(1), at(1), &refused(true));
        assert_eq!(option(&memory), FastOpen::REQUEST);
        memory.learn(1, server(1), at(1), &refused(false));
        assert_eq!(option(&memory), FastOpen::REQUEST);
    }

    /// RFC 7413 §4.1.3: a server whose path loses SYNs with text is left alone, ever longer.
    #[test]
    fn losses_pause_one_server() {
        let mut memory = Memory::new(2);
        let lost = Lesson {
            lost: true,
            ..LESSON
        };
        memory.learn(1, server(1), at(0), &lost);
        assert!(ask(&memory, 1, 0).is_some(), "one may be chance");
        memory.learn(1, server(1), at(0), &lost);
        assert!(ask(&memory, 1, 239).is_none() && ask(&memory, 1, 240).is_some());
        assert!(ask(&memory, 2, 0).is_some());
        memory.learn(1, server(1), at(240), &lost);
        assert!(ask(&memory, 1, 719).is_none() && ask(&memory, 1, 720).is_some());
        memory.learn(1, server(1), at(720), &LESSON);
        assert!(ask(&memory, 1, 720).is_some());
    }

    #[test]
    fn a_black_hole_pauses_all_and_longer_each_time() {
        let (mut memory, cfg) = (Memory::new(2), Config::default());
        assert!(memory.suspect(at(0), &cfg));
        assert!(!memory.suspect(at(1), &cfg), "it is known");
        assert!(ask(&memory, 1, 3599).is_none() && ask(&memory, 1, 3600).is_some());
        assert!(memory.suspect(at(3600), &cfg));
        assert!(ask(&memory, 1, 10_799).is_none() && ask(&memory, 1, 10_800).is_some());
        memory.trust(at(10_800));
        assert!(memory.suspect(at(10_800), &cfg));
        assert!(ask(&memory, 1, 14_400).is_some());
        let off = Config {
            fastopen_blackhole: Duration::ZERO,
            ..cfg
        };
        assert!(!memory.suspect(at(20_000), &off));
    }
}
