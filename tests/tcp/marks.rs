//! Transfers over links that mark instead of losing (RFC 3168 §5): nothing is lost, so nothing
//! is sent twice, and the windows come down all the same.

use core::time::Duration;

use crate::support::EAST;
use crate::support::bulk::{Side, lan_with};
use crate::support::pair::{End, Pair, wires};
use netstrata::phy::{Cable, Fault, FaultConfig};
use netstrata::tcp::{Config, Ecn, Tcp, TcpInfo, TcpSocket};

/// Moves 3 MB from the client over a link of 40 ms that marks 4 %: the client's and the server's
/// numbers shortly before the end, and what the client sent twice.
fn transfer(client: Ecn, server: Ecn) -> (TcpInfo, TcpInfo, u64) {
    let fault = FaultConfig::new()
        .with_delay(Duration::from_millis(10))
        .with_mark(20_000)
        .with_seed(7);
    let ends = Cable::new(1514);
    let (a, b, moved) = wires(Fault::new(ends.0, fault), Fault::new(ends.1, fault));
    let tcp = |ecn| {
        Tcp::new().with_config(Config {
            ecn,
            ..Config::default()
        })
    };
    let (a, b) = (lan_with(a, 1, tcp(server)), lan_with(b, 2, tcp(client)));
    let mut pair = Pair::new(a, b, moved);
    let listener = TcpSocket::listener((EAST, 80).into(), 4);
    let listener = pair.a.open(listener).unwrap();
    let socket = TcpSocket::connecting((EAST, 80).into());
    let mut sends = Side::new(pair.b.open(socket).unwrap(), 3_000_000);
    let mut takes: Option<Side> = None;
    let (mut told, mut heard) = (None, None);
    let config = Config::default();
    let end = pair.run(Duration::from_secs(600), |a, b, now| {
        if takes.is_none() {
            takes = a.socket(listener).accept().map(|h| Side::new(h, 0));
        }
        let look = b.socket(sends.h).look(|s| s.info(&config, now));
        told = look.ok().flatten().or(told);
        if let Some(side) = &takes {
            let look = a.socket(side.h).look(|s| s.info(&config, now));
            heard = look.ok().flatten().or(heard);
        }
        takes.as_mut().is_some_and(|side| side.act(a)) & sends.act(b)
    });
    assert_eq!(end, End::Done);
    assert_eq!(takes.map(|side| side.got), Some(3_000_000));
    let again = pair.b.stats().tcp_retransmitted;
    (told.expect("a client"), heard.expect("a server"), again)
}

#[test]
fn marks_bring_windows_down_and_cost_nothing() {
    let (plain, ..) = transfer(Ecn::Answer, Ecn::Answer);
    assert!(!plain.has(TcpInfo::OPT_ECN) && plain.ssthresh_octets.is_none());
    for (client, server) in [
        (Ecn::Offer, Ecn::Answer),
        (Ecn::Accurate, Ecn::Answer),
        (Ecn::Offer, Ecn::Accurate),
    ] {
        let (info, _, again) = transfer(client, server);
        assert!(info.has(TcpInfo::OPT_ECN) && !info.accurate_ecn);
        assert!(info.delivered_ce > 10, "{info}");
        assert!(info.ssthresh_octets.is_some(), "{info}");
        assert_eq!((info.total_retrans, again), (0, 0), "{info}");
    }
}

/// RFC 9768: the sender knows of every mark, and of no more than there were.
#[test]
fn marks_are_counted_exactly() {
    let (info, peer, again) = transfer(Ecn::Accurate, Ecn::Accurate);
    assert!(info.accurate_ecn && info.ssthresh_octets.is_some());
    assert_eq!((info.total_retrans, again), (0, 0), "{info}");
    // 4 % of 2055 segments.
    assert!((60..110).contains(&peer.received_ce), "{peer}");
    let late = peer.received_ce - info.delivered_ce;
    assert!(late <= 2, "{late} marks are not known of");
}
