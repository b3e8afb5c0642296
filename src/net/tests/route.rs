use super::*;

fn bits(text: &str) -> u32 {
    text.parse::<Ipv4Addr>().unwrap().to_bits()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// `link` and next hop towards `dst`.
fn way<const N: usize>(r: &Routes<N>, dst: &str) -> Option<(Link, Ipv4Addr)> {
    let e = r.lookup(bits(dst), |_| true)?;
    Some((e.link, Ipv4Addr::from_bits(e.next(bits(dst)))))
}

#[test]
fn the_longest_prefix_wins() {
    let mut r = Routes::<8>::new();
    r.add(cidr("0.0.0.0/0"), Some([10, 0, 0, 254].into()), 0)
        .unwrap();
    r.add(cidr("10.0.0.0/8"), None, 1).unwrap();
    r.add(cidr("10.1.0.0/16"), None, 2).unwrap();
    r.add(cidr("10.1.2.3/32"), None, 3).unwrap();
    assert_eq!(way(&r, "8.8.8.8"), Some((0, [10, 0, 0, 254].into())));
    assert_eq!(way(&r, "10.2.0.1"), Some((1, [10, 2, 0, 1].into())));
    assert_eq!(way(&r, "10.1.0.1"), Some((2, [10, 1, 0, 1].into())));
    assert_eq!(way(&r, "10.1.2.3"), Some((3, [10, 1, 2, 3].into())));
    // A longer route that may not be used leaves the next best.
    let second = r.lookup(bits("10.1.2.3"), |e| e.link != 3);
    assert_eq!(second.map(|e| e.link), Some(2));
    assert!(r.remove(cidr("0.0.0.0/0"), Some([10, 0, 0, 254].into()), 0));
    assert_eq!(way(&r, "8.8.8.8"), None);
}

#[test]
fn what_is_no_route_is_refused() {
    let mut r = Routes::<8>::new();
    let add = |r: &mut Routes<8>, to: &str, via: Option<[u8; 4]>| {
        r.add(cidr(to), via.map(Ipv4Addr::from), 0)
    };
    assert_eq!(
        add(&mut r, "10.0.0.1/24", None),
        Err(ConfigError::BadPrefix)
    );
    assert_eq!(add(&mut r, "fe80::/64", None), Err(ConfigError::BadAddress));
    let group = Some([224, 0, 0, 1]);
    assert_eq!(
        add(&mut r, "10.0.0.0/24", group),
        Err(ConfigError::BadAddress)
    );
    assert_eq!(add(&mut r, "10.0.0.0/24", None), Ok(()));
    assert_eq!(add(&mut r, "10.0.0.0/24", None), Err(ConfigError::Exists));
    assert!(!r.remove(cidr("10.0.0.0/25"), None, 0));
}

#[test]
fn gateways_are_reached_from_the_address_next_to_them() {
    let (mut r, mut t) = (Routes::<8>::new(), Table::<8>::new());
    let gateway = Some([10, 0, 0, 254].into());
    r.add(cidr("0.0.0.0/0"), gateway, 0).unwrap();
    let from = |r: &Routes<8>| r.lookup(bits("8.8.8.8"), |_| true).unwrap().from();
    r.settle(&t);
    assert_eq!(from(&r), None);
    t.add(0, [192, 168, 0, 1].into(), 24).unwrap();
    r.settle(&t);
    assert_eq!(from(&r), Some(bits("192.168.0.1")));
    t.add(0, [10, 0, 0, 1].into(), 24).unwrap();
    r.settle(&t);
    assert_eq!(from(&r), Some(bits("10.0.0.1")));
    // A route is found again for removal whatever source it has been given.
    assert!(r.remove(cidr("0.0.0.0/0"), gateway, 0));
}

#[test]
fn broadcast_addresses_belong_to_the_most_specific_network() {
    let (mut r, mut t) = (Routes::<8>::new(), Table::<8>::new());
    for (link, ip, prefix) in [
        (0, [10, 0, 0, 1], 16),
        (1, [10, 0, 3, 1], 24),
        (2, [10, 0, 4, 254], 31),
    ] {
        t.add(link, ip.into(), prefix).unwrap();
    }
    for a in t.as_slice() {
        r.connect(a).unwrap();
    }
    let link = |ip: &str| link_of(&r, ip);
    assert_eq!(link("10.0.255.255"), Some(0));
    assert_eq!(link("10.0.3.255"), Some(1));
    assert_eq!(link("10.0.4.255"), None); // the other end of a /31
    assert_eq!(link("10.0.5.255"), None);
    assert_eq!(link("11.255.255.255"), None);
    let gone = t.remove(1, [10, 0, 3, 1].into()).unwrap();
    r.disconnect(&gone);
    assert_eq!(link_of(&r, "10.0.3.255"), None);
    assert_eq!(r.iter().count(), 2);
}

/// The link that `ip` is the broadcast address of, if any.
fn link_of(r: &Routes<8>, ip: &str) -> Option<Link> {
    (0..9).find(|link| r.broadcast(bits(ip), |e| e.link == *link))
}

/// A table like a router's: the search must agree with the obvious scan.
#[cfg(feature = "alloc")]
#[test]
fn agrees_with_a_scan_of_many_routes() {
    let mut state = 7u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 32) as u32
    };
    let mut r = Routes::<0>::new();
    let mut plain = alloc::vec::Vec::new();
    for n in 0..2000u32 {
        let prefix = (random() % 33) as u8;
        let net = random() & mask(prefix) & 0x0fff_ffff;
        let to = Cidr::new(Ipv4Addr::from_bits(net & mask(prefix)).into(), prefix).unwrap();
        if r.add(to, None, n as u8).is_ok() {
            plain.push((prefix, net & mask(prefix), n as u8));
        }
    }
    for _ in 0..2000 {
        let dst = random() & 0x0fff_ffff;
        let best = plain
            .iter()
            .filter(|(p, net, _)| dst & mask(*p) == *net)
            .max_by(|a, b| a.0.cmp(&b.0).then(core::cmp::Ordering::Greater))
            .map(|(p, net, _)| (*p, *net));
        let found = r.lookup(dst, |_| true).map(|e| (e.prefix, e.net));
        assert_eq!(found, best);
    }
}
