use super::*;
use alloc::vec;
use proptest::prelude::*;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

/// A fragment of datagram `ident`: offset, whether more follow, octets.
fn feed(r: &mut Reassembly, ident: u16, at: usize, more: bool, data: &[u8]) -> Result<bool, Drop> {
    feed_from(r, A, ident, at, more, data)
}

fn feed_from(
    r: &mut Reassembly,
    src: Ipv4Addr,
    ident: u16,
    at: usize,
    more: bool,
    data: &[u8],
) -> Result<bool, Drop> {
    let ip = Ipv4 {
        ident,
        dont_fragment: false,
        more_fragments: more,
        fragment_offset: at as u16,
        ..Ipv4::new(src, B, 17)
    };
    let mut header = [0; 20];
    ip.emit(data.len(), &mut header).unwrap();
    r.receive(Instant::ZERO, &ip, &header, data, true, &mut |_| {})
}

#[test]
fn fragments_in_any_order_make_the_datagram() {
    let orders: [[usize; 3]; 3] = [[0, 1, 2], [2, 1, 0], [1, 0, 2]];
    for order in orders {
        let mut r = Reassembly::new();
        let data: Vec<u8> = (0..20).collect();
        let mut done = vec![];
        for n in order {
            let (from, to) = (n * 8, (n * 8 + 8).min(20));
            done.push(feed(&mut r, 7, from, n < 2, &data[from..to]).unwrap());
        }
        assert_eq!(done, [false, false, true]);
        let (header, payload) = r.whole();
        let (ip, _, _) = Ipv4::parse(&[header, payload].concat())
            .map(|(i, _, p)| (i, 0, p.len()))
            .unwrap();
        assert!(!ip.is_fragment());
        assert_eq!(payload, data);
        assert_eq!(r.held(), 0);
    }
}

#[test]
fn overlap_kills_and_what_comes_later_is_dead_too() {
    let mut r = Reassembly::new();
    assert_eq!(feed(&mut r, 7, 0, true, &[1; 16]), Ok(false));
    assert_eq!(feed(&mut r, 7, 8, true, &[2; 16]), Err(Drop::BadFragment));
    assert_eq!(feed(&mut r, 7, 16, false, &[3; 4]), Err(Drop::BadFragment));
    assert_eq!(feed(&mut r, 7, 0, true, &[1; 16]), Err(Drop::BadFragment));
    // Another datagram of the same pair is not affected.
    assert_eq!(feed(&mut r, 8, 0, true, &[1; 16]), Ok(false));
    assert_eq!(feed(&mut r, 8, 16, false, &[1; 1]), Ok(true));
}

#[test]
fn repetitions_by_the_network_do_no_harm() {
    let mut r = Reassembly::new();
    assert_eq!(feed(&mut r, 7, 8, false, &[2; 3]), Ok(false));
    assert_eq!(feed(&mut r, 7, 8, false, &[2; 3]), Ok(false));
    assert_eq!(feed(&mut r, 7, 0, true, &[1; 8]), Ok(true));
    // The same place with other octets is no repetition.
    assert_eq!(feed(&mut r, 8, 8, false, &[2; 3]), Ok(false));
    assert_eq!(feed(&mut r, 8, 8, false, &[9; 3]), Err(Drop::BadFragment));
    // Neither is the same piece that is the last one now, and was not before.
    assert_eq!(feed(&mut r, 9, 8, true, &[2; 8]), Ok(false));
    assert_eq!(feed(&mut r, 9, 8, false, &[2; 8]), Err(Drop::BadFragment));
}

#[test]
fn two_ends_contradict_each_other() {
    for (at, more, len) in [(24, false, 1), (16, true, 8), (0, false, 8)] {
        let mut r = Reassembly::new();
        assert_eq!(feed(&mut r, 7, 8, false, &[2; 3]), Ok(false));
        assert_eq!(
            feed(&mut r, 7, at, more, &vec![2; len]),
            Err(Drop::BadFragment),
            "{at}"
        );
    }
    // The last one ends before what is there already.
    let mut r = Reassembly::new();
    assert_eq!(feed(&mut r, 7, 16, true, &[2; 8]), Ok(false));
    assert_eq!(feed(&mut r, 7, 8, false, &[2; 8]), Err(Drop::BadFragment));
}

#[test]
fn fragments_nobody_makes_are_refused_alone() {
    let mut r = Reassembly::new();
    assert_eq!(feed(&mut r, 7, 0, true, &[]), Err(Drop::BadFragment));
    assert_eq!(feed(&mut r, 7, 8, false, &[]), Err(Drop::BadFragment));
    assert_eq!(feed(&mut r, 7, 0, true, &[1; 9]), Err(Drop::BadFragment));
    assert_eq!(
        feed(&mut r, 7, 65_512, false, &[1; 8]),
        Err(Drop::BadFragment)
    );
    assert_eq!(r.held(), 0);
    // The greatest datagram there is: 65,515 octets behind the header.
    assert_eq!(feed(&mut r, 7, 65_512, false, &[1; 3]), Ok(false));
    assert_eq!(feed(&mut r, 7, 0, true, &vec![1; 65_512]), Ok(true));
    assert_eq!(r.whole().1.len(), 65_515);
}

#[test]
fn congestion_is_kept_and_contradictions_are_not() {
    let feed = |r: &mut Reassembly, ident, at: u16, ecn| {
        let ip = Ipv4 {
            ident,
            ecn,
            more_fragments: at == 0,
            fragment_offset: at,
            ..Ipv4::new(A, B, 17)
        };
        let mut header = [0; 20];
        ip.emit(8, &mut header).unwrap();
        r.receive(Instant::ZERO, &ip, &header, &[5; 8], true, &mut |_| {})
    };
    let mut r = Reassembly::new();
    assert_eq!(feed(&mut r, 1, 0, 2), Ok(false));
    assert_eq!(feed(&mut r, 1, 8, 3), Ok(true));
    assert_eq!(r.whole().0[1], 3);
    for (ident, ecn) in [(2, 1), (3, 2), (4, 3)] {
        assert_eq!(feed(&mut r, ident, 0, 0), Ok(false));
        assert_eq!(feed(&mut r, ident, 8, ecn), Err(Drop::BadFragment));
    }
    assert_eq!(feed(&mut r, 5, 0, 1), Ok(false));
    assert_eq!(feed(&mut r, 5, 8, 2), Ok(true));
    assert_eq!(r.whole().0[1], 1);
    assert_eq!(feed(&mut r, 6, 0, 3), Ok(false));
    assert_eq!(feed(&mut r, 6, 8, 1), Ok(true));
    assert_eq!(r.whole().0[1], 3);
}

#[test]
fn one_source_evicts_its_own_oldest_and_nobody_elses() {
    let mut r = Reassembly::new();
    let other = Ipv4Addr::new(10, 0, 0, 9);
    feed_from(&mut r, other, 1, 0, true, &[1; 8]).unwrap();
    for ident in 0..5000 {
        feed(&mut r, ident, 0, true, &[1; 800]).unwrap();
        assert!(r.held() <= (512 << 10) + 4096);
    }
    // The newest is there, the oldest is not, and the quiet source was spared.
    assert_eq!(feed(&mut r, 4999, 800, false, &[1; 8]), Ok(true));
    assert_eq!(feed(&mut r, 0, 800, false, &[1; 8]), Ok(false));
    assert_eq!(feed_from(&mut r, other, 1, 8, false, &[1; 8]), Ok(true));
}

#[test]
fn many_sources_stay_below_the_limit_for_all() {
    let mut r = Reassembly::new();
    let mut dropped = 0;
    for n in 0..20_000u32 {
        let ip = Ipv4 {
            more_fragments: true,
            ..Ipv4::new(Ipv4Addr::from_bits(n), B, 17)
        };
        let mut header = [0; 20];
        ip.emit(8, &mut header).unwrap();
        r.receive(Instant::ZERO, &ip, &header, &[1; 8], true, &mut |why| {
            assert_eq!(why, Drop::ReassemblyTimeout);
            dropped += 1;
        })
        .unwrap();
        assert!(r.held() <= 4 << 20);
    }
    assert_eq!(dropped + r.partial.len(), 20_000);
    assert_eq!(r.partial.len(), r.ages.len());
    r.expire(Instant::from_secs(31), |_| {});
    assert_eq!((r.held(), r.sources.len()), (0, 0));
    assert_eq!((r.ages.len(), r.turns.len()), (0, 0));
}

#[test]
fn only_first_fragments_are_reported() {
    let mut r = Reassembly::new();
    feed(&mut r, 1, 0, true, &[1; 8]).unwrap();
    feed(&mut r, 2, 8, true, &[1; 8]).unwrap();
    assert_eq!(r.deadline(), Some(Instant::from_secs(30)));
    r.expire(Instant::from_millis(29_999), |_| panic!("too early"));
    let mut given_up = 0;
    r.expire(Instant::from_secs(30), |_| given_up += 1);
    assert_eq!(given_up, 2);
    assert!(r.take_report().is_some());
    assert!(r.take_report().is_none());
    assert_eq!(r.deadline(), None);
}

proptest! {
    /// A plain model: octets painted into an array, dead on the first repaint.
    #[test]
    fn agrees_with_a_painted_array(
        pieces in prop::collection::vec((0usize..12, 1usize..4, any::<bool>(), 0u8..2), 1..24)
    ) {
        let mut r = Reassembly::new();
        let mut paint: Vec<Option<u8>> = vec![None; 256];
        let mut seen: Vec<(usize, Vec<u8>, bool)> = vec![];
        let (mut end, mut dead) = (None, false);
        for (at, len, more, fill) in pieces {
            let (from, octets) = (at * 8, vec![fill; len * 8]);
            let to = from + octets.len();
            let twin = seen.contains(&(from, octets.clone(), more));
            let got = feed(&mut r, 1, from, more, &octets);
            let painted = paint.iter().rposition(Option::is_some).map_or(0, |n| n + 1);
            let clash = paint[from..to].iter().any(Option::is_some)
                || end.is_some_and(|end| to > end || !more)
                || (!more && painted > to);
            if dead || (clash && !twin) {
                dead = true;
                prop_assert_eq!(got, Err(Drop::BadFragment));
                continue;
            }
            if twin {
                prop_assert_eq!(got, Ok(false));
                continue;
            }
            paint[from..to].fill(Some(fill));
            if !more {
                end = Some(to);
            }
            seen.push((from, octets, more));
            let whole = end.is_some_and(|end| paint[..end].iter().all(Option::is_some));
            prop_assert_eq!(got, Ok(whole));
            if whole {
                let painted: Vec<u8> = paint.iter().flatten().copied().collect();
                prop_assert_eq!(&*r.whole().1, &painted[..]);
                prop_assert_eq!(r.held(), 0);
                return Ok(());
            }
        }
    }
}
