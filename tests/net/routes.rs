//! Where packets go.

use core::net::{IpAddr, Ipv4Addr};

use netstrata::Cidr;
use netstrata::iface::Hop;
use netstrata::net::{ConfigError, Ipv4, Network};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

/// Two links, a gateway on each side, and a route to a network behind the second.
fn net() -> Ipv4 {
    Ipv4::default()
        .with(0, v4("10.0.0.1"), 24)
        .with(0, v4("10.0.0.9"), 24)
        .with(1, v4("192.168.0.1"), 16)
        .gateway(0, v4("10.0.0.254"))
        .with_route(cidr("172.16.0.0/12"), v4("192.168.0.254"), 1)
        .with_route(cidr("198.51.100.0/24"), None, 1)
}

fn way(net: &Ipv4, dst: &str, src: Option<&str>) -> String {
    match net.route(ip(dst), src.map(ip)) {
        None => "none".into(),
        Some(Hop {
            link,
            to,
            from,
            cast,
        }) => format!("link {link} to {to} from {from} {cast:?}"),
    }
}

#[test]
fn packets_go_by_the_longest_prefix() {
    let net = net();
    let dsts = [
        "10.0.0.7",
        "8.8.8.8",
        "172.20.1.1",
        "192.168.77.1",
        "198.51.100.7",
        "10.0.0.255",
        "192.168.255.255",
        "255.255.255.255",
        "224.0.0.251",
        "10.0.0.1",
        "127.0.0.1",
        "0.0.0.0",
        "240.0.0.1",
    ];
    let lines = dsts.map(|dst| format!("{dst:15} {}", way(&net, dst, None)));
    snapshot!("routes", lines.join("\n"));
}

#[test]
fn a_given_source_decides_the_link() {
    let net = net();
    let from = |dst, src| way(&net, dst, Some(src));
    assert_eq!(
        from("8.8.8.8", "10.0.0.9"),
        "link 0 to 10.0.0.254 from 10.0.0.9 Unicast"
    );
    // The other link has no way there.
    assert_eq!(from("8.8.8.8", "192.168.0.1"), "none");
    assert_eq!(from("8.8.8.8", "10.0.0.77"), "none");
    assert_eq!(
        from("255.255.255.255", "192.168.0.1"),
        "link 1 to 255.255.255.255 from 192.168.0.1 Broadcast"
    );
    assert_eq!(
        from("255.255.255.255", "0.0.0.0"),
        "link 0 to 255.255.255.255 from 0.0.0.0 Broadcast"
    );
    assert!(net.route(ip("8.8.8.8"), Some(ip("::1"))).is_none());
    assert!(net.route(ip("2001:db8::1"), None).is_none());
}

#[test]
fn our_own_addresses_need_a_loopback_link() {
    let looped = net().with(2, Ipv4Addr::LOCALHOST, 8).loopback(2);
    assert_eq!(
        way(&looped, "10.0.0.1", None),
        "link 2 to 10.0.0.1 from 10.0.0.1 Unicast"
    );
    assert_eq!(
        way(&looped, "127.1.2.3", None),
        "link 2 to 127.1.2.3 from 127.1.2.3 Unicast"
    );
    assert_eq!(
        way(&looped, "10.0.0.1", Some("192.168.0.1")),
        "link 2 to 10.0.0.1 from 192.168.0.1 Unicast"
    );
    assert_eq!(
        way(&looped, "10.0.0.1", Some("127.0.0.9")),
        "link 2 to 10.0.0.1 from 127.0.0.9 Unicast"
    );
    // In nobody else's name, not even to ourselves.
    assert_eq!(way(&looped, "10.0.0.1", Some("8.8.8.8")), "none");
    assert_eq!(
        way(&looped, "8.8.8.8", None),
        "link 0 to 10.0.0.254 from 10.0.0.1 Unicast"
    );
}

#[test]
fn what_is_configured_can_be_listed() {
    let net = net();
    let addresses: Vec<_> = net
        .addresses()
        .map(|(l, c)| format!("{c} on {l}"))
        .collect();
    assert_eq!(
        addresses,
        [
            "10.0.0.1/24 on 0",
            "10.0.0.9/24 on 0",
            "192.168.0.1/16 on 1"
        ]
    );
    let routes: Vec<_> = net
        .routes()
        .map(|r| format!("{} via {:?} on {} from {:?}", r.to, r.via, r.link, r.from))
        .collect();
    snapshot!("route_list", routes.join("\n"));
}

#[test]
fn routes_follow_the_addresses() {
    let mut net = net();
    net.remove_address(0, v4("10.0.0.1"));
    assert_eq!(
        way(&net, "8.8.8.8", None),
        "link 0 to 10.0.0.254 from 10.0.0.9 Unicast"
    );
    net.remove_address(0, v4("10.0.0.9"));
    assert_eq!(way(&net, "8.8.8.8", None), "none");
    net.add_address(0, v4("10.0.0.5"), 24).unwrap();
    assert_eq!(
        way(&net, "8.8.8.8", None),
        "link 0 to 10.0.0.254 from 10.0.0.5 Unicast"
    );
    assert!(net.remove_route(cidr("0.0.0.0/0"), v4("10.0.0.254"), 0));
    assert_eq!(way(&net, "8.8.8.8", None), "none");
    assert_eq!(
        net.add_address(0, v4("10.0.0.5"), 24),
        Err(ConfigError::Exists)
    );
    assert_eq!(
        net.add_route(cidr("10.1.0.1/24"), None, 0),
        Err(ConfigError::BadPrefix)
    );
}

#[test]
#[should_panic(expected = "address 10.0.0.1/33 on link 0: bad prefix length")]
fn builders_say_what_is_wrong() {
    let _ = Ipv4::default().with(0, v4("10.0.0.1"), 33);
}
