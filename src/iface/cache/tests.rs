//! The cache against a model that keeps no lists and walks everything: a map from addresses to
//! states, as RFC 4861 §7.3 tells them.

extern crate std;

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const FROM: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Asking {
        sent: u8,
        next: Instant,
    },
    Live {
        mac: Mac,
        until: Instant,
    },
    Probing {
        mac: Mac,
        other: Option<Mac>,
        sent: u8,
        next: Instant,
    },
    Failed {
        until: Instant,
    },
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Lookup(u8),
    Hear(u8, u8, u8),
    Wait(u64),
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 100 + n)
}

fn mac(n: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, n])
}

/// A request sent: whom for, and to whom if not to all.
type Sent = (Ipv4Addr, Option<Mac>);

/// The model's turn at `now`. Returns what it would send.
fn turn(model: &mut BTreeMap<Ipv4Addr, Model>, now: Instant) -> Vec<Sent> {
    let mut sent_now = Vec::new();
    model.retain(|ip, state| {
        match state {
            Model::Asking { sent, next } if *next <= now && *sent < MAX_REQUESTS => {
                (*sent, *next) = (*sent + 1, now + RETRANS_TIME);
                sent_now.push((*ip, None));
            }
            Model::Asking { next, .. } if *next <= now => {
                let until = now + HOLD_DOWN;
                *state = Model::Failed { until };
            }
            Model::Probing {
                mac, sent, next, ..
            } if *next <= now && *sent < MAX_REQUESTS => {
                (*sent, *next) = (*sent + 1, now + RETRANS_TIME);
                sent_now.push((*ip, Some(*mac)));
            }
            Model::Probing {
                other: Some(mac),
                next,
                ..
            } if *next <= now => {
                let (mac, until) = (*mac, now + PROVISIONAL_TIME);
                *state = Model::Live { mac, until };
            }
            Model::Probing {
                other: None, next, ..
            } if *next <= now => return false,
            _ => {}
        }
        true
    });
    sent_now
}

/// When the model has something to do.
fn due(model: &BTreeMap<Ipv4Addr, Model>) -> Option<Instant> {
    let next = |state: &Model| match *state {
        Model::Asking { next, .. } | Model::Probing { next, .. } => Some(next),
        _ => None,
    };
    model.values().filter_map(next).min()
}

fn model_lookup(model: &mut BTreeMap<Ipv4Addr, Model>, ip: Ipv4Addr, now: Instant) -> Option<Mac> {
    match model.get(&ip).copied() {
        Some(Model::Live { mac, until }) => {
            if now >= until {
                let probing = Model::Probing {
                    mac,
                    other: None,
                    sent: 0,
                    next: now,
                };
                model.insert(ip, probing);
            }
            Some(mac)
        }
        Some(Model::Probing { mac, .. }) => Some(mac),
        Some(Model::Asking { .. }) => None,
        Some(Model::Failed { until }) if now < until => None,
        Some(Model::Failed { .. }) | None => {
            model.insert(ip, Model::Asking { sent: 0, next: now });
            None
        }
    }
}

fn model_hear(
    model: &mut BTreeMap<Ipv4Addr, Model>,
    ip: Ipv4Addr,
    heard: Mac,
    word: Word,
    now: Instant,
) {
    let promise = if word == Word::Reply {
        REACHABLE_TIME
    } else {
        PROVISIONAL_TIME
    };
    let live = Model::Live {
        mac: heard,
        until: now + promise,
    };
    let state = match (model.get(&ip).copied(), word) {
        (None, Word::Request(_)) => live,
        (None, _) => return,
        (Some(Model::Asking { .. } | Model::Failed { .. }), _) => live,
        (Some(Model::Live { mac, .. }), _) if mac == heard => return,
        (Some(Model::Live { mac, until }), _) if now < until => Model::Probing {
            mac,
            other: Some(heard),
            sent: 0,
            next: now,
        },
        (Some(Model::Live { .. }), _) => Model::Live {
            mac: heard,
            until: now + PROVISIONAL_TIME,
        },
        (Some(Model::Probing { mac, .. }), Word::Reply) if mac == heard => live,
        (
            Some(Model::Probing {
                mac,
                other,
                sent,
                next,
            }),
            _,
        ) => {
            let other = other.or((mac != heard).then_some(heard));
            Model::Probing {
                mac,
                other,
                sent,
                next,
            }
        }
    };
    model.insert(ip, state);
}

/// The cache's turn: what it sends.
fn work<const N: usize>(cache: &mut Cache<N>) -> Vec<Sent> {
    let mut sent = Vec::new();
    for id in cache.steps() {
        match cache.step(id) {
            Step::Idle => {}
            Step::Ask { to, from, ip } => {
                assert_eq!(from, FROM);
                sent.push((ip, to));
                cache.asked(id);
            }
            Step::Release(_) | Step::GiveBack => cache.finish(id),
        }
    }
    sent.sort();
    sent
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u8..4).prop_map(Op::Lookup),
        (0u8..4, 1u8..4, 0u8..3).prop_map(|(ip, mac, word)| Op::Hear(ip, mac, word)),
        prop_oneof![0u64..3000, Just(1000), Just(30_000)].prop_map(Op::Wait),
    ]
}

proptest! {
    #[test]
    fn the_cache_is_the_model(ops in prop::collection::vec(op(), 0..80)) {
        let mut cache = Cache::<64>::new();
        let mut model = BTreeMap::new();
        let mut now = Instant::ZERO;
        for op in ops {
            match op {
                Op::Lookup(n) => {
                    let expected = model_lookup(&mut model, ip(n), now);
                    let known = match cache.lookup(ip(n).into(), FROM.into()) {
                        Lookup::Known(mac) => Some(mac),
                        Lookup::Unfinished { first: true, .. } => {
                            cache.not_asked();
                            None
                        }
                        Lookup::Unfinished { .. } | Lookup::Unreachable => None,
                        Lookup::Full => panic!("four addresses do not fill a table"),
                    };
                    prop_assert_eq!(known, expected);
                }
                Op::Hear(n, m, word) => {
                    let word = [Word::Reply, Word::Request(FROM), Word::Overheard][usize::from(word)];
                    model_hear(&mut model, ip(n), mac(m), word, now);
                    cache.hear(ip(n), mac(m), word);
                }
                Op::Wait(ms) => {
                    let until = now + Duration::from_millis(ms);
                    while let Some(at) = due(&model).filter(|at| *at <= until) {
                        now = now.max(at);
                        prop_assert!(cache.due <= now, "due {:?} at {now:?}", cache.due);
                        cache.tick(now);
                        prop_assert_eq!(work(&mut cache), turn(&mut model, now));
                    }
                    now = until;
                    cache.tick(now);
                    prop_assert_eq!(work(&mut cache), []);
                }
            }
            prop_assert_eq!(cache.iter().count(), model.len());
            let unfinished = model.values().filter(|s| matches!(s, Model::Asking { .. })).count();
            prop_assert_eq!(cache.asks, unfinished);
        }
    }
}

#[test]
fn the_quota_gives_way_to_the_longest_silent() {
    let mut cache = Cache::<1024>::new();
    let dead = |n: usize| IpAddr::from([10, 1, (n >> 8) as u8, n as u8]);
    for n in 0..MAX_UNFINISHED {
        assert!(matches!(
            cache.lookup(dead(n), FROM.into()),
            Lookup::Unfinished { .. }
        ));
        cache.tick(cache.now + Duration::from_millis(1));
    }
    // The first is 64 ms old: too young to go.
    assert_eq!(cache.lookup(ip(0).into(), FROM.into()), Lookup::Full);
    assert_eq!(
        cache.lookup(dead(0), FROM.into()),
        Lookup::Unfinished {
            id: 0,
            first: false
        }
    );
    cache.tick(Instant::ZERO + UNFINISHED_TIME);
    assert_eq!(cache.steps(), 0..JOBS);
    assert!(
        core::mem::take(&mut cache.resolved),
        "whoever was refused may try again"
    );
    assert_eq!(
        cache.lookup(ip(0).into(), FROM.into()),
        Lookup::Unfinished { id: 0, first: true }
    );
    assert_eq!(cache.asks, MAX_UNFINISHED);
    assert!(cache.table.get(dead(0)).is_none());
}

#[test]
fn our_own_address_is_nobody_elses() {
    let mut cache = Cache::<64>::new();
    assert_eq!(cache.lookup(FROM.into(), FROM.into()), Lookup::Unreachable);
    assert_eq!(cache.iter().count(), 0);
}

#[test]
fn whoever_finds_the_table_full_of_busy_neighbours_is_told_to_try_again() {
    let mut cache = Cache::<4>::new();
    for n in 0..4 {
        cache.hear(ip(n), mac(1), Word::Request(FROM));
        assert!(matches!(
            cache.lookup(ip(n).into(), FROM.into()),
            Lookup::Known(_)
        ));
    }
    assert_eq!(cache.lookup(ip(9).into(), FROM.into()), Lookup::Full);
    assert_eq!(cache.asks, 0);
    // Nobody else is asked for, so only this ends the wait of who is parked.
    let again = cache.due;
    assert!(again <= cache.now + REACHABLE_TIME, "{again:?}");
    cache.tick(again);
    assert_eq!(work(&mut cache), []);
    assert!(core::mem::take(&mut cache.resolved));
    // In time one of them was not used for long, and goes.
    cache.tick(Instant::ZERO + REACHABLE_TIME);
    assert!(matches!(
        cache.lookup(ip(9).into(), FROM.into()),
        Lookup::Unfinished { .. }
    ));
}
