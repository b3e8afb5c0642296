//! Congestion marks through the whole host (RFC 3168, RFC 9768): listeners and their SYN-ACKs,
//! cookies, the IP header, and a link that marks.

use super::*;
use crate::support::snapshot;
use netstrata::tcp::{Config, Cookies, Ecn, Limits, TcpInfo};

/// A host that listens and does this about ECN.
fn listens(ecn: Ecn, limits: Limits) -> (Script<Host>, Handle<Socket>) {
    let mut script = host_with(Tcp::new().with_limits(limits));
    let mut listener = TcpSocket::listener((EAST, PORT).into(), 4);
    listener.set_tcp_ecn(Some(ecn));
    let h = script.app("listen", |host| host.open(listener).unwrap());
    (script, h)
}

/// Accepts, writes, and gives the connection's options.
fn accept(script: &mut Script<Host>, listener: Handle<Socket>) -> TcpInfo {
    let h = script.host.socket(listener).accept().expect("a connection");
    script.told("write", |host| write(host, h, 2000));
    let config = Config::default();
    let now = script.now;
    let info = script.host.socket(h).look(|s| s.info(&config, now));
    info.unwrap().expect("a connection")
}

/// RFC 3168 §6.1.1, §6.1.1.1: an ECN-setup SYN gets an ECN-setup SYN-ACK, whose repetition does
/// without; text is marked unless it did. The mark does not touch the socket's DSCP.
#[test]
fn a_listener_answers() {
    let (mut script, listener) = listens(Ecn::Answer, Limits::default());
    script.play(
        "< port 5001 SEW 0:0 win 65535 <mss 1460>
        < port 5001 . 1:1 ack 1 win 65535",
    );
    let h = script.host.socket(listener).accept().unwrap();
    script.host.socket(h).with(|s| s.set_tos(0xb8)).unwrap();
    script.told("write", |host| write(host, h, 100));
    script.play(
        "< port 5001 P. 1:11 ack 101 win 65535 ce
        # the SYN-ACK is lost
        < port 5002 SEW 0:0 win 65535 <mss 1460>
        +1000ms
        < port 5002 . 1:1 ack 1 win 65535",
    );
    assert!(accept(&mut script, listener).has(TcpInfo::OPT_ECN));
    script.play(
        "# repeated without: so is what it is answered with
        < port 5003 SEW 0:0 win 65535 <mss 1460>
        < port 5003 S 0:0 win 65535 <mss 1460>
        < port 5003 . 1:1 ack 1 win 65535",
    );
    assert!(!accept(&mut script, listener).has(TcpInfo::OPT_ECN));
    snapshot!("tcp__ecn_listener", script.transcript());
}

/// A listener that wants none, and SYNs that are broken or ask for nothing.
#[test]
fn a_listener_refuses() {
    for (ecn, syn) in [
        (Ecn::Off, "SEW 0:0 win 65535"),
        (Ecn::Answer, "S 0:0 win 65535"),
        (Ecn::Answer, "SE 0:0 win 65535"),
        (Ecn::Answer, "SEW 0:0 win 65535 ect0"),
    ] {
        let (mut script, listener) = listens(ecn, Limits::default());
        script.play(&format!("< {syn} <mss 1460>\n< . 1:1 ack 1 win 65535"));
        assert!(!accept(&mut script, listener).has(TcpInfo::OPT_ECN));
        let text = script.transcript();
        assert!(
            text.contains("> S. 0:0") && !text.contains("[tos"),
            "{text}"
        );
    }
}

/// Cookies keep ECN where the timestamp can carry it, as Linux's do; without, it is not agreed
/// on. Accurate ECN is known by what ends the handshake (RFC 9768 §5.1).
#[test]
fn cookies_keep_it() {
    let always = Limits {
        cookies: Cookies::Always,
        ..Limits::default()
    };
    let (mut script, listener) = listens(Ecn::Accurate, always);
    script.play(
        "< port 5001 SEW 0:0 win 65535 <mss 1460,sackOK,TS 100 ecr 0>
        < port 5001 . 1:1 ack 1 win 512 <TS 200 ecr last>",
    );
    let info = accept(&mut script, listener);
    assert!(info.has(TcpInfo::OPT_ECN) && !info.accurate_ecn);
    script.play(
        "< port 5002 SEW 0:0 win 65535 <mss 1460>
        < port 5002 . 1:1 ack 1 win 512",
    );
    assert!(!accept(&mut script, listener).has(TcpInfo::OPT_ECN));
    for (port, last) in [(5003, ".W"), (5004, ".EWe")] {
        script.play(&format!(
            "< port {port} SEWe 0:0 win 65535 <mss 1460>
            < port {port} {last} 1:1 ack 1 win 512"
        ));
        assert!(accept(&mut script, listener).accurate_ecn);
    }
    script.play(
        "< port 5005 S 0:0 win 65535 <mss 1460,sackOK,TS 100 ecr 0>
        < port 5005 . 1:1 ack 1 win 512 <TS 200 ecr last>",
    );
    assert!(!accept(&mut script, listener).has(TcpInfo::OPT_ECN));
    snapshot!("tcp__ecn_cookies", script.transcript());
}

/// RFC 9768 §3.1.1, §3.2.3.2.1, §3.2.3.2.2: the SYN-ACK tells how the SYN came and tries the
/// option; its repetitions do without it, then without ECN, after which nothing is marked but
/// marks are counted still (§3.1.5).
#[test]
fn an_accurate_listener_answers() {
    let (mut script, listener) = listens(Ecn::Accurate, Limits::default());
    for (port, field) in [(5001, ""), (5002, "ect1"), (5003, "ect0"), (5004, "ce")] {
        script.peer(&format!(
            "port {port} SEWe 0:0 win 65535 {field} <mss 1460>"
        ));
    }
    script.play(
        "< port 5001 .W 1:1 ack 1 win 65535
        # the SYN-ACK is lost, twice
        < port 5005 SEWe 0:0 win 65535 <mss 1460,sackOK,TS 100 ecr 0,nop,wscale 7>
        +3000ms
        < port 5005 . 1:1 ack 1 win 65535 <TS 200 ecr last>",
    );
    assert!(accept(&mut script, listener).accurate_ecn);
    assert!(accept(&mut script, listener).accurate_ecn);
    script.play("< port 5005 P. 1:11 ack 1 win 65535 ce <TS 200 ecr last>");
    snapshot!("tcp__ecn_accurate_listener", script.transcript());
}

/// RFC 9768 §3.1.5: SYNs of one connection may take accurate ECN back, and then tell how the
/// last one came; they may not ask for the other kind.
#[test]
fn syns_that_change_their_mind() {
    let (mut script, listener) = listens(Ecn::Accurate, Limits::default());
    script.play(
        "< port 5001 SEWe 0:0 win 65535 <mss 1460>
        < port 5001 S 0:0 win 65535 ce <mss 1460>
        < port 5001 .W 1:1 ack 1 win 65535",
    );
    assert!(accept(&mut script, listener).accurate_ecn);
    script.play(
        "< port 5002 SEWe 0:0 win 65535 <mss 1460>
        < port 5002 SEW 0:0 win 65535 <mss 1460>
        < port 5003 SEW 0:0 win 65535 <mss 1460>
        < port 5003 SEWe 0:0 win 65535 <mss 1460>",
    );
    assert_eq!(script.host.transports().0.handshakes(), 0);
    snapshot!("tcp__ecn_syns_change", script.transcript());
}

/// RFC 3168 §6.1.1: an offer of accurate ECN is one of ECN to who knows no other kind, and stays
/// it when the SYN comes once more because its answer was lost.
#[test]
fn an_accurate_offer_comes_twice() {
    let (mut script, listener) = listens(Ecn::Answer, Limits::default());
    script.play(
        "< port 5001 SEWe 0:0 win 65535 <mss 1460>
        < port 5001 SEWe 0:0 win 65535 <mss 1460>
        < port 5001 . 1:1 ack 1 win 65535",
    );
    assert!(accept(&mut script, listener).has(TcpInfo::OPT_ECN));
    let text = script.transcript();
    assert_eq!(text.matches("S.E 0:0").count(), 2, "{text}");
}

/// RFC 9768 §3.1.4.1: a path that swallows SYNs which offer ECN is known after two connections;
/// the next ones begin without, and after a while it is tried again.
#[test]
fn a_peer_that_loses_offers_is_spared_them() {
    let config = Config {
        ecn: Ecn::Accurate,
        ..Config::default()
    };
    let mut script = host_with(Tcp::new().with_config(config));
    let connect = |script: &mut Script<Host>, answers: bool| {
        script.forget();
        let h = script.app("connect", |host| {
            let mut socket = TcpSocket::closed();
            socket.bind((EAST, PORT).into()).unwrap();
            socket.connect((WEST, 5000).into()).unwrap();
            host.open(socket).unwrap()
        });
        let offered = script.transcript().contains("SEWe 0:0");
        if !answers && offered {
            // It answers the third one, which does without.
            script.wait(4000);
            let repeated = script.transcript().contains("> S 0:0");
            assert!(repeated, "{}", script.transcript());
        }
        script.play(if answers && offered {
            "< SW. 0:0 ack 1 win 1000 <mss 1000>\n< R. 1:1 ack 1 win 0"
        } else {
            "< S. 0:0 ack 1 win 1000 <mss 1000>\n< R. 1:1 ack 1 win 0"
        });
        script.host.close(h).unwrap();
        script.play("+10ms");
        offered
    };
    assert!(connect(&mut script, false) && connect(&mut script, false));
    assert!(!connect(&mut script, false) && !connect(&mut script, true));
    assert_eq!(script.host.transports().0.ecn_peers(), 1);
    script.wait(600_000);
    assert!(connect(&mut script, true) && connect(&mut script, true));
    assert_eq!(script.host.transports().0.ecn_peers(), 0);
}

/// RFC 9768 §3.2.2: acknowledgments in TIME-WAIT carry the counter as it was at the end, four
/// marks here.
#[test]
fn time_wait_carries_the_counter() {
    let (mut script, listener) = listens(Ecn::Accurate, Limits::default());
    script.play(
        "< SEWe 0:0 win 65535 <mss 1000>
        < .W 1:1 ack 1 win 65535
        < P.Ee 1:11 ack 1 win 65535 ce
        < P.Ee 11:21 ack 1 win 65535 ce
        < P.Ee 21:31 ack 1 win 65535 ce
        < P.Ee 31:41 ack 1 win 65535 ce",
    );
    let h = script.host.socket(listener).accept().expect("a connection");
    script.told("read", |host| read(host, h, 1));
    script.told("close", |host| host.close(h).is_ok());
    script.play(
        "< .Ee 41:41 ack 2 win 65535
        < F.Ee 41:41 ack 2 win 65535
        +200ms
        # again
        < F.Ee 41:41 ack 2 win 65535",
    );
    assert_eq!(script.host.transports().0.waiting(), 1);
    snapshot!("tcp__ecn_time_wait", script.transcript());
}
