use super::*;
use crate::frame::{Frame, Link, Stamp};
use proptest::prelude::*;

/// 10.0.0.1:40000 > 10.0.0.2:80 over TCP, from 02::1 to 02::2, in VLAN 5 if `tagged`.
fn tcp(tagged: bool) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if tagged {
        frame.extend([0x81, 0x00, 0x00, 0x05]);
    }
    frame.extend([
        0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ]);
    frame.extend([
        0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0,
    ]);
    frame
}

fn matches(filter: &str, octets: &[u8]) -> bool {
    let frame = Frame {
        time: Stamp(0),
        link: Link::Ethernet,
        octets,
        len: octets.len(),
        trusted: false,
    };
    let filter = Filter::parse(filter, &Services::load()).unwrap_or_else(|e| panic!("{e}"));
    filter.matches(&View::of(&frame))
}

#[test]
fn every_primitive_tells_yes_from_no() {
    let packet = tcp(false);
    for yes in [
        "",
        "ip",
        "tcp",
        "proto 6",
        "ip proto tcp",
        "ether proto 0x0800",
        "host 10.0.0.1",
        "10.0.0.2",
        "src 10.0.0.1",
        "dst host 10.0.0.2",
        "net 10",
        "net 10.0.0.0/30",
        "dst net 10.0.0.0 mask 255.255.255.0",
        "port 80",
        "tcp port http",
        "src port 40000",
        "portrange 81-79",
        "tcp dst portrange 1-1023",
        "ether host 02:00:00:00:00:01",
        "ether dst 02:00:00:00:00:02",
        "less 54",
        "greater 54",
        "src or dst port 80",
    ] {
        assert!(matches(yes, &packet), "{yes}");
    }
    for no in [
        "ip6",
        "arp",
        "udp",
        "icmp",
        "src 10.0.0.2",
        "arp host 10.0.0.1",
        "net 10.0.0.4/30",
        "src port 80",
        "src and dst port 80",
        "udp port 80",
        "ether src 02:00:00:00:00:02",
        "vlan",
        "less 53",
        "greater 55",
        "broadcast",
        "ip multicast",
    ] {
        assert!(!matches(no, &packet), "{no}");
    }
}

#[test]
fn tags_are_looked_through() {
    let packet = tcp(true);
    assert!(matches("tcp port 80 and vlan 5", &packet));
    assert!(matches("vlan", &packet) && !matches("vlan 6", &packet));
}

#[test]
fn and_and_or_bind_alike_from_the_left() {
    let packet = tcp(false);
    assert!(!matches("tcp or udp and arp", &packet));
    assert!(matches("tcp or (udp and arp)", &packet));
    assert!(matches("! udp && not arp", &packet));
    assert!(matches("not (udp || arp)", &packet));
}

#[test]
fn a_value_alone_takes_the_qualifiers_before_it() {
    let packet = tcp(false);
    assert!(matches("dst port 443 or 80", &packet));
    assert!(!matches("src port 443 or 80", &packet));
    assert!(matches("host 10.0.0.9 or 10.0.0.2", &packet));
}

#[test]
fn refusals_say_where_and_why() {
    let refusals: Vec<String> = [
        "tpc",
        "tcp port",
        "port and 80",
        "host example.com",
        "net 10.0.0.1/8",
        "tcp host 10.0.0.1",
        "ip host ::1",
        "(tcp",
        "tcp)",
        "tcp udp",
        "vlan 4096",
        "tcp[13] & 2 != 0",
        "ether",
        "icmp src 10.0.0.1",
        "less many",
        "é xx and",
    ]
    .iter()
    .map(|text| {
        let error = Filter::parse(text, &Services::load()).unwrap_err();
        format!("{text:<20} {error}")
    })
    .collect();
    insta::with_settings!({ snapshot_path => "../../../tests/snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("cli__filter_refusals", refusals.join("\n"));
    });
}

#[test]
fn nesting_is_bounded_and_length_is_not() {
    let services = Services::none();
    let deep = "(".repeat(100_000);
    assert!(
        Filter::parse(&deep, &services)
            .unwrap_err()
            .what
            .contains("nesting")
    );
    assert!(Filter::parse(&"not ".repeat(100_000), &services).is_err());
    let long = vec!["tcp"; 100_000].join(" or ");
    assert!(Filter::parse(&long, &services).is_ok());
}

/// Words of the language, so that random expressions get past the first token.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "tcp",
        "ip",
        "ip6",
        "arp",
        "ether",
        "udp",
        "icmp",
        "src",
        "dst",
        "or",
        "and",
        "not",
        "(",
        ")",
        "!",
        "&&",
        "host",
        "net",
        "port",
        "portrange",
        "proto",
        "vlan",
        "less",
        "greater",
        "mask",
        "10.0.0.1",
        "10",
        "::1",
        "80",
        "1-2",
        "02:00:00:00:00:01",
        "255.0.0.0",
        "10.0.0.0/8",
        "é",
        "broadcast",
        "multicast",
        "65536",
        "/",
        "-",
        "0x0800",
        "\\tcp",
    ]);
    prop::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn the_parser_never_panics(text in ".{0,60}") {
        let _ = Filter::parse(&text, &Services::none());
    }

    #[test]
    fn nor_do_filters(text in words(), octets in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(filter) = Filter::parse(&text, &Services::none()) {
            let frame = Frame { time: Stamp(0), link: Link::Ethernet, octets: &octets, len: 100, trusted: false };
            filter.matches(&View::of(&frame));
        }
    }
}
