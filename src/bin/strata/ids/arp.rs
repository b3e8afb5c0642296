//! Address resolution that lies: addresses that move, answers nobody asked for, senders that
//! are somebody else.
//!
//! Invariant: bounded memory of who was where and who asked whom; the oldest is forgotten.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;

use lru::LruCache;
use netstrata::wire::{Arp, Mac};

use super::report::{Report, Who};
use super::rules::Rule;
use crate::frame::Stamp;

const STATIONS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();
const QUESTIONS: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// How long an answer may take, in nanoseconds.
const PATIENCE: u64 = 10_000_000_000;

/// Watches address resolution.
pub struct ArpWatch {
    stations: LruCache<Ipv4Addr, Mac>,
    /// Who asked for whom, and when.
    questions: LruCache<(Ipv4Addr, Ipv4Addr), Stamp>,
}

impl ArpWatch {
    /// Knows nobody.
    pub fn new() -> Self {
        Self {
            stations: LruCache::new(STATIONS),
            questions: LruCache::new(QUESTIONS),
        }
    }

    /// Takes a message that came in a frame from `from`.
    pub fn message(&mut self, time: Stamp, from: Option<Mac>, arp: &Arp, report: &mut Report) {
        let (mac, ip) = arp.sender;
        let who = Who {
            time,
            src: (ip.into(), None),
            dst: (arp.target.1.into(), None),
            proto: None,
        };
        if let Some(from) = from.filter(|from| *from != mac) {
            let detail = format_args!("{ip} is said to be at {mac}, by {from}");
            report.alert(Rule::ArpContradiction, &who, detail);
        }
        match arp.op {
            Arp::REQUEST => {
                self.questions.put((ip, arp.target.1), time);
            }
            Arp::REPLY => {
                let asked = self.questions.get(&(arp.target.1, ip));
                if asked.is_none_or(|asked| time.since(*asked) > PATIENCE) {
                    let detail = format_args!("{ip} is-at {mac}, told {}", arp.target.1);
                    report.alert(Rule::ArpUnasked, &who, detail);
                }
            }
            _ => return,
        }
        // A probe asks without saying who is where (RFC 5227 §2.1.1).
        if ip.is_unspecified() {
            return;
        }
        match self.stations.get_mut(&ip) {
            Some(known) if *known == mac => {}
            Some(known) => {
                let detail = format_args!("{ip} was at {known} and is now at {mac}");
                report.alert(Rule::ArpMoved, &who, detail);
                *known = mac;
            }
            None => {
                self.stations.put(ip, mac);
            }
        }
    }
}
