//! Both socket tables against one plain model, and all stream buffers against another: whatever
//! is done to them, in whatever order, what they answer is what the model answers.

use std::cell::Cell;
use std::collections::VecDeque;

use netstrata::phy::Instant;
use netstrata::socket::fixed::Slot;
#[cfg(feature = "alloc")]
use netstrata::socket::{Elastic, SlabSet, SlabSockets, Stores};
use netstrata::socket::{
    FixedSet, FixedSockets, Handle, ReadBuf, RecvBuf, Ring, SendBuf, Socket, SocketSet, Storage,
    WriteBuf,
};
use proptest::prelude::*;

/// A socket that is nothing but its key.
#[derive(Debug, PartialEq)]
struct Dot {
    id: u64,
    key: Cell<Option<u8>>,
}

impl Socket for Dot {
    type Key = u8;
    fn key(&self) -> Option<u8> {
        self.key.get()
    }
}

/// `n` cases, and no file for those that failed: they are printed.
fn cases(n: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(n)
    }
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Insert(Option<u8>),
    Remove(usize),
    Rekey(usize, Option<u8>),
    Lookup(u8),
    Wake(usize),
    NextReady,
    Park(usize),
    Unpark,
    Arm(usize, Option<u64>),
    Expire(u64),
    Notify(usize),
    NextNews,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    use Op::*;
    let key = || prop_oneof![Just(None), (0u8..12).prop_map(Some)];
    let nth = || 0usize..24;
    let op = prop_oneof![
        4 => key().prop_map(Insert),
        2 => nth().prop_map(Remove),
        2 => (nth(), key()).prop_map(|(n, k)| Rekey(n, k)),
        2 => (0u8..12).prop_map(Lookup),
        4 => nth().prop_map(Wake),
        3 => Just(NextReady),
        2 => nth().prop_map(Park),
        1 => Just(Unpark),
        4 => (nth(), proptest::option::of(prop_oneof![0u64..100, 0u64..10_000_000_000])).prop_map(|(n, at)| Arm(n, at)),
        2 => prop_oneof![0u64..100, 0u64..1_000_000_000].prop_map(Expire),
        2 => nth().prop_map(Notify),
        2 => Just(NextNews),
    ];
    proptest::collection::vec(op, 0..300)
}

#[derive(Debug)]
struct Known {
    handle: Handle<Dot>,
    key: Option<u8>,
    deadline: Option<u64>,
}

/// What a table is to do, said as plainly as possible.
#[derive(Debug, Default)]
struct Model {
    live: Vec<Known>,
    ready: VecDeque<Handle<Dot>>,
    parked: VecDeque<Handle<Dot>>,
    news: VecDeque<Handle<Dot>>,
}

impl Model {
    fn by_key(&self, key: u8) -> Option<Handle<Dot>> {
        self.live
            .iter()
            .find(|k| k.key == Some(key))
            .map(|k| k.handle)
    }
}

fn agrees<T: SocketSet<Dot>>(mut set: T, room: usize, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut ever: Vec<Handle<Dot>> = Vec::new();
    let mut now = 0;
    let mut id = 0;
    for op in ops {
        // Handles may be stale: the table must notice.
        let pick = |n: usize| (!ever.is_empty()).then(|| ever[ever.len() - 1 - n % ever.len()]);
        let find = |model: &Model, h| model.live.iter().position(|k| k.handle == h);
        match op {
            Op::Insert(key) => {
                id += 1;
                let taken = key.is_some_and(|k| model.by_key(k).is_some());
                let got = set.insert(Dot {
                    id,
                    key: Cell::new(key),
                });
                if taken || model.live.len() == room {
                    prop_assert!(got.is_err());
                    continue;
                }
                let handle = got.unwrap();
                prop_assert!(!ever.contains(&handle), "{:?} was given out before", handle);
                prop_assert_eq!(set.get(handle).map(|d| d.id), Some(id));
                ever.push(handle);
                model.live.push(Known {
                    handle,
                    key,
                    deadline: None,
                });
            }
            Op::Remove(n) => {
                let Some(h) = pick(n) else { continue };
                let at = find(&model, h);
                prop_assert_eq!(set.remove(h).is_some(), at.is_some());
                if let Some(at) = at {
                    model.live.remove(at);
                    for list in [&mut model.ready, &mut model.parked, &mut model.news] {
                        list.retain(|l| *l != h);
                    }
                }
            }
            Op::Rekey(n, key) => {
                let Some(h) = pick(n) else { continue };
                let at = find(&model, h);
                if let Some(dot) = set.get_mut(h) {
                    dot.key.set(key);
                }
                let got = set.rekey(h);
                let Some(at) = at else {
                    prop_assert!(got.is_ok());
                    continue;
                };
                model.live[at].key = None;
                let taken = key.is_some_and(|k| model.by_key(k).is_some());
                prop_assert_eq!(got.is_err(), taken);
                if !taken {
                    model.live[at].key = key;
                }
            }
            Op::Lookup(key) => prop_assert_eq!(set.lookup(&key), model.by_key(key)),
            Op::Wake(n) => {
                let Some(h) = pick(n) else { continue };
                set.wake(h);
                if find(&model, h).is_some() {
                    model.parked.retain(|l| *l != h);
                    if !model.ready.contains(&h) {
                        model.ready.push_back(h);
                    }
                }
            }
            Op::NextReady => prop_assert_eq!(set.next_ready(), model.ready.pop_front()),
            Op::Park(n) => {
                let Some(h) = pick(n) else { continue };
                set.park(h);
                if find(&model, h).is_some() {
                    model.ready.retain(|l| *l != h);
                    if !model.parked.contains(&h) {
                        model.parked.push_back(h);
                    }
                }
            }
            Op::Unpark => {
                set.unpark();
                let parked = std::mem::take(&mut model.parked);
                model.ready.extend(parked);
            }
            Op::Arm(n, at) => {
                let Some(h) = pick(n) else { continue };
                let at = at.map(|at| now + at);
                set.arm(h, at.map(Instant::from_micros));
                if let Some(i) = find(&model, h) {
                    model.live[i].deadline = at;
                }
            }
            Op::Expire(step) => {
                now += step;
                let at = Instant::from_micros(now);
                loop {
                    let Some(h) = set.next_expired(at) else {
                        match set.next_deadline() {
                            Some(next) if next <= at => continue,
                            _ => break,
                        }
                    };
                    let at = find(&model, h).unwrap();
                    let known = &mut model.live[at];
                    prop_assert!(known.deadline.take().is_some_and(|d| d <= now));
                }
                prop_assert!(
                    model
                        .live
                        .iter()
                        .all(|k| k.deadline.is_none_or(|d| d > now))
                );
            }
            Op::Notify(n) => {
                let Some(h) = pick(n) else { continue };
                set.notify(h);
                if find(&model, h).is_some() && !model.news.contains(&h) {
                    model.news.push_back(h);
                }
            }
            Op::NextNews => prop_assert_eq!(set.next_news(), model.news.pop_front()),
        }
        prop_assert_eq!(set.len(), model.live.len());
        prop_assert_eq!(set.any_ready(), !model.ready.is_empty());
        let soonest = model
            .live
            .iter()
            .filter_map(|k| k.deadline)
            .min()
            .map(Instant::from_micros);
        prop_assert_eq!(set.next_deadline().is_some(), soonest.is_some());
        prop_assert!(set.next_deadline() <= soonest);
    }
    for h in ever {
        let known = model.live.iter().any(|k| k.handle == h);
        prop_assert_eq!(set.get(h).is_some(), known);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn fixed_set_is_the_model(room in 0usize..16, ops in ops()) {
        let mut slots: Vec<Slot<Dot>> = (0..room).map(|_| Slot::EMPTY).collect();
        agrees(FixedSet::new(&mut slots[..]), room, ops)?;
    }

}

#[cfg(feature = "alloc")]
proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn slab_set_is_the_model(ops in ops()) {
        agrees(SlabSet::new(), usize::MAX, ops)?;
    }

    #[test]
    fn limited_slab_set_is_the_model(room in 0usize..16, ops in ops()) {
        let mut set = SlabSet::new();
        set.set_limit(room);
        agrees(set, room, ops)?;
    }
}

/// A stream buffer under test: one object seen from both of its sides.
trait Stream: RecvBuf + ReadBuf + SendBuf + WriteBuf {}
impl<T: RecvBuf + ReadBuf + SendBuf + WriteBuf> Stream for T {}

#[derive(Debug, Clone, Copy)]
enum Move {
    Append(usize),
    InPlace(usize, usize),
    Limit(usize),
    Consume(usize),
    Release(usize),
    Peek(usize, usize),
    Trim,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    use Move::*;
    let n = || prop_oneof![0usize..10, 0usize..9000];
    let op = prop_oneof![
        4 => n().prop_map(Append),
        3 => (n(), n()).prop_map(|(max, used)| InPlace(max, used)),
        1 => n().prop_map(Limit),
        3 => n().prop_map(Consume),
        3 => n().prop_map(Release),
        2 => (n(), n()).prop_map(|(at, len)| Peek(at, len)),
        1 => Just(Trim),
    ];
    proptest::collection::vec(op, 0..80)
}

fn joined(pieces: [&[u8]; 2]) -> Vec<u8> {
    pieces.concat()
}

/// The send side: octets in, octets out, in order.
fn sends<B: Stream>(
    mut buf: B,
    fixed: Option<usize>,
    moves: Vec<Move>,
) -> Result<(), TestCaseError> {
    let mut model: VecDeque<u8> = VecDeque::new();
    let mut limit = SendBuf::capacity(&buf);
    let mut count = 0u32;
    let mut octets = |n: usize| -> Vec<u8> {
        (0..n)
            .map(|_| {
                count = count.wrapping_mul(1_664_525).wrapping_add(1);
                (count >> 24) as u8
            })
            .collect()
    };
    for m in moves {
        let room = limit.saturating_sub(model.len());
        match m {
            Move::Append(n) => {
                let data = octets(n);
                let took = WriteBuf::write(&mut buf, &data);
                prop_assert_eq!(took, n.min(room));
                model.extend(&data[..took]);
            }
            Move::InPlace(max, used) => {
                let data = octets(used);
                let mut given = 0;
                let took = buf.write_with(max, |to| {
                    given = to.len();
                    let n = used.min(to.len());
                    to[..n].copy_from_slice(&data[..n]);
                    n
                });
                prop_assert!(given <= max.min(room));
                prop_assert_eq!(given > 0, max.min(room) > 0);
                prop_assert_eq!(took, used.min(given));
                model.extend(&data[..took]);
            }
            Move::Limit(n) => {
                limit = n.min(fixed.unwrap_or(usize::MAX));
                prop_assert_eq!(SendBuf::set_capacity(&mut buf, n), limit);
            }
            Move::Consume(n) => {
                buf.consume(n);
                model.drain(..n.min(model.len()));
            }
            Move::Release(n) => {
                buf.release(n);
                model.drain(..n.min(model.len()));
            }
            Move::Peek(at, len) => {
                let want: Vec<u8> = model.iter().skip(at).take(len).copied().collect();
                prop_assert_eq!(joined(SendBuf::peek(&buf, at, len)), want);
            }
            Move::Trim => SendBuf::trim(&mut buf),
        }
        prop_assert_eq!(buf.queued(), model.len());
        prop_assert_eq!(buf.readable(), model.len());
        prop_assert_eq!(buf.writable(), limit.saturating_sub(model.len()));
        prop_assert_eq!(RecvBuf::window(&buf), buf.writable());
        prop_assert_eq!(SendBuf::capacity(&buf), limit);
        prop_assert_eq!(joined(ReadBuf::peek(&buf)), Vec::from(model.clone()));
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Arrival {
    /// `len` octets at `offset` past the last committed one.
    Segment(usize, usize),
    /// Commits what is there in one piece, or less.
    Commit(usize),
    Consume(usize),
    Trim,
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    use Arrival::*;
    let n = || prop_oneof![0usize..50, 0usize..6000];
    let op = prop_oneof![
        4 => (n(), n()).prop_map(|(at, len)| Segment(at, len)),
        2 => n().prop_map(|len| Segment(0, len)),
        3 => n().prop_map(Commit),
        2 => n().prop_map(Consume),
        1 => Just(Trim),
    ];
    proptest::collection::vec(op, 0..80)
}

/// The receive side: the octet at stream position `p` is always `octet(p)`, as from a peer.
fn receives<B: Stream>(mut buf: B, arrivals: Vec<Arrival>) -> Result<(), TestCaseError> {
    let octet = |p: usize| (p.wrapping_mul(0x9e37_79b9) >> 13) as u8;
    let limit = RecvBuf::capacity(&buf);
    // Stream positions: read by the application, committed, and which ones past it are there.
    let (mut read, mut committed) = (0, 0);
    let mut there: Vec<bool> = Vec::new();
    for a in arrivals {
        match a {
            Arrival::Segment(offset, len) => {
                let data: Vec<u8> = (0..len).map(|i| octet(committed + offset + i)).collect();
                let window = limit - (committed - read);
                let took = RecvBuf::write(&mut buf, offset, &data);
                prop_assert_eq!(took, len.min(window.saturating_sub(offset)));
                there.resize(there.len().max(offset + took), false);
                if took > 0 {
                    there[offset..offset + took].fill(true);
                }
            }
            Arrival::Commit(n) => {
                let n = there.iter().take_while(|t| **t).take(n).count();
                buf.commit(n);
                there.drain(..n);
                committed += n;
            }
            Arrival::Consume(n) => {
                buf.consume(n);
                read += n.min(committed - read);
            }
            Arrival::Trim => RecvBuf::trim(&mut buf),
        }
        prop_assert_eq!(RecvBuf::window(&buf), limit - (committed - read));
        let want: Vec<u8> = (read..committed).map(octet).collect();
        prop_assert_eq!(joined(ReadBuf::peek(&buf)), want);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn ring_sends(size in prop_oneof![0usize..20, 0usize..5000], moves in moves()) {
        let mut octets = vec![0xee; size];
        sends(Ring::new(&mut octets[..]), Some(size), moves)?;
    }

    #[test]
    fn ring_receives(size in prop_oneof![0usize..20, 0usize..5000], arrivals in arrivals()) {
        let mut octets = vec![0xee; size];
        receives(Ring::new(&mut octets[..]), arrivals)?;
    }

}

#[cfg(feature = "alloc")]
proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn elastic_sends(size in prop_oneof![0usize..20, 0usize..20_000], moves in moves()) {
        sends(Elastic::new(size), None, moves)?;
    }

    #[test]
    fn elastic_receives(size in prop_oneof![0usize..20, 0usize..20_000], arrivals in arrivals()) {
        receives(Elastic::new(size), arrivals)?;
    }
}

#[test]
fn only_the_application_has_fixed_buffers() {
    assert!(FixedSockets::stream(1 << 20, 1 << 20).is_none());
}

#[cfg(feature = "alloc")]
#[test]
fn slab_buffers_take_memory_when_used() {
    let (rx, tx) = SlabSockets::stream(1 << 20, 1 << 19).unwrap();
    assert_eq!((RecvBuf::window(&rx), tx.writable()), (1 << 20, 1 << 19));
    assert_eq!((rx.allocated(), tx.allocated()), (0, 0));
}

#[cfg(feature = "alloc")]
#[test]
fn a_slot_used_again_has_a_new_handle() {
    let mut set: <SlabSockets as Stores<Dot>>::Set = SlabSet::default();
    let dot = || Dot {
        id: 0,
        key: Cell::new(None),
    };
    let a = set.insert(dot()).unwrap();
    assert!(set.remove(a).is_some());
    let b = set.insert(dot()).unwrap();
    assert_eq!(a.slot(), b.slot());
    assert_ne!(a, b);
    assert!(set.get(a).is_none() && set.remove(a).is_none());
}

// Tables and buffers move to the thread that runs the stack.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<FixedSet<'static, Dot>>();
    #[cfg(feature = "alloc")]
    is_send::<(SlabSet<Dot>, Elastic)>();
    is_send::<Ring<&'static mut [u8]>>();
};
