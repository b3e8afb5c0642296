//! Fast Open as hosts do it (RFC 7413): cookies given, taken and remembered; queues; what
//! happens where it does not work. The exchange of one connection, text by text, is in the
//! core's scripts.

use super::*;
use crate::support::snapshot;
use netstrata::phy::Instant;
use netstrata::tcp::{Config, FastOpenKey, Limits, TcpError};

const KEY: FastOpenKey = FastOpenKey::new([0xa1a1_a1a1, 0xb2b2_b2b2, 0xc3c3_c3c3, 0xd4d4_d4d4]);
const OTHER: FastOpenKey = FastOpenKey::new([1, 2, 3, 4]);

/// Without timestamps, which makes lines shorter.
fn plain() -> Config {
    Config {
        timestamps: false,
        fastopen_server: true,
        ..Config::default()
    }
}

fn hex(key: FastOpenKey) -> String {
    let cookie = key.cookie(WEST, EAST);
    cookie.cookie().iter().map(|o| format!("{o:02x}")).collect()
}

/// A host that listens with a Fast Open queue of this length.
fn serving(config: Config, queue: u16) -> (Script<Host>, Handle<Socket>) {
    let mut tcp = Tcp::new().with_config(config);
    tcp.set_fastopen_keys(KEY, None);
    let mut script = host_with(tcp);
    let mut listener = TcpSocket::listener((EAST, PORT).into(), 8);
    listener.set_fastopen(queue);
    let h = script.host.open(listener).unwrap();
    script.wait(0);
    (script, h)
}

/// A SYN of this port with so much text and this cookie.
fn syn(port: u16, len: u32, cookie: &str) -> String {
    format!("< port {port} S 0:{len} win 65535 <mss 1460,nop,nop,sackOK,FO {cookie},nop,nop>\n")
}

/// RFC 7413 §4.1.2: who asks for a cookie gets one in the SYN-ACK, in the kind of option it asked
/// in; its text waits for the handshake. A repeated SYN-ACK has none.
#[test]
fn a_cookie_is_given() {
    let (mut script, _) = serving(plain(), 4);
    script.play(
        "< S 0:10 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 7,FO,nop,nop>
        +1000ms
        < port 5001 S 0:0 win 65535 <mss 1460,FOEXP>",
    );
    snapshot!("tcp__fastopen_given", script.transcript());
    assert_eq!(script.host.stats().tcp_fastopen_requests, 2);
}

/// RFC 7413 §4.2.2: with a cookie of ours the text is the application's, and its answer leaves,
/// before the handshake ends.
#[test]
fn a_cookie_is_taken() {
    let (mut script, listener) = serving(plain(), 4);
    script.play(&syn(5000, 10, &hex(KEY)));
    let h = script.host.socket(listener).accept().expect("at once");
    script.told("state", |host| state(host, h));
    script.told("read", |host| read(host, h, 1));
    script.told("write", |host| write(host, h, 20));
    script.play(
        "+20ms
        < . 11:11 ack 21 win 65535",
    );
    script.told("state", |host| state(host, h));
    snapshot!("tcp__fastopen_accepted", script.transcript());
    assert_eq!(script.host.stats().tcp_fastopen_accepted, 1);
}

/// A SYN with a cookie and no text is for connections that the server speaks first on.
#[test]
fn a_cookie_without_text_is_taken() {
    let (mut script, listener) = serving(plain(), 4);
    script.play(&syn(5000, 0, &hex(KEY)));
    let h = script.host.socket(listener).accept().expect("at once");
    script.told("write", |host| write(host, h, 20));
    snapshot!("tcp__fastopen_no_text", script.transcript());
}

/// RFC 7413 §4.1.2: with another cookie the SYN alone is acknowledged, and a good one given.
#[test]
fn a_wrong_cookie_is_replaced() {
    let (mut script, listener) = serving(plain(), 4);
    script.play(&syn(5000, 10, "0011223344556677"));
    script.play(&syn(5001, 10, "00112233"));
    assert!(script.host.socket(listener).accept().is_none());
    script.play("< P. 1:11 ack 1 win 65535");
    let h = script.host.socket(listener).accept().expect("now");
    script.told("read", |host| read(host, h, 1));
    snapshot!("tcp__fastopen_wrong", script.transcript());
    assert_eq!(script.host.stats().tcp_fastopen_refused, 2);
}

/// RFC 7413 §4.1.2, expiring cookies: those of the last key are taken, and replaced.
#[test]
fn keys_may_change() {
    let (mut script, listener) = serving(plain(), 4);
    let tcp = &mut script.host.transports().0;
    tcp.set_fastopen_keys(OTHER, Some(KEY));
    script.play(&syn(5000, 10, &hex(KEY)));
    assert!(script.host.socket(listener).accept().is_some());
    script.play(&syn(5001, 10, &hex(OTHER)));
    assert!(script.host.socket(listener).accept().is_some());
    snapshot!("tcp__fastopen_keys", script.transcript());
}

/// Off unless both the stack and the listener say so; a cookie then means nothing.
#[test]
fn off_until_switched_on() {
    let stack_off = Config {
        fastopen_server: false,
        ..plain()
    };
    for (config, queue) in [(plain(), 0), (stack_off, 4)] {
        let (mut script, listener) = serving(config, queue);
        script.play(&syn(5000, 10, &hex(KEY)));
        assert!(script.host.socket(listener).accept().is_none());
        snapshot!("tcp__fastopen_off", script.transcript());
    }
}

/// RFC 7413 §4.2.2 and §5.1: above the queue's length the handshake is ordinary, and so it is
/// until one of those pending has proved itself.
#[test]
fn the_queue_is_bounded() {
    let (mut script, listener) = serving(plain(), 2);
    let accepted = |script: &mut Script<Host>| {
        let mut n = 0;
        while script.host.socket(listener).accept().is_some() {
            n += 1;
        }
        n
    };
    for port in 5000..5003 {
        script.play(&syn(port, 5, &hex(KEY)));
    }
    assert_eq!(accepted(&mut script), 2);
    assert_eq!(script.host.stats().tcp_fastopen_overflows, 1);
    script.play("< . 6:6 ack 1 win 65535");
    script.play(&syn(5003, 5, &hex(KEY)));
    assert_eq!(accepted(&mut script), 1);
    snapshot!("tcp__fastopen_queue", script.transcript());
}

/// RFC 7413 §5.1: a reset tells of a spoofed SYN; its place is kept for a minute.
#[test]
fn resets_keep_their_place() {
    let (mut script, listener) = serving(plain(), 1);
    script.play(&syn(5000, 5, &hex(KEY)));
    let h = script.host.socket(listener).accept().unwrap();
    script.play("< R 6:6 win 0");
    let error = script.host.socket(h).with(|s| s.take_error()).unwrap();
    assert_eq!(error, Some(TcpError::Reset));
    script.play(&syn(5001, 5, &hex(KEY)));
    assert!(script.host.socket(listener).accept().is_none());
    script.wait(120_000);
    script.play(&syn(5002, 5, &hex(KEY)));
    assert!(script.host.socket(listener).accept().is_some());
}

/// Places come back when nobody answers, and when the application lets go.
#[test]
fn silence_gives_places_back() {
    let (mut script, listener) = serving(plain(), 1);
    for (round, abort) in [(0, true), (1, false), (2, false)] {
        script.play(&syn(5000 + round, 5, &hex(KEY)));
        let h = script.host.socket(listener).accept().expect("a place");
        if abort {
            script.app("abort", |host| host.socket(h).with(|s| s.abort()).unwrap());
        } else {
            script.wait(70_000);
        }
        script.host.close(h).unwrap();
        script.wait(0);
    }
    assert_eq!(script.host.sockets::<Socket, _>().len(), 1);
}

/// A host under a flood of SYNs has no room for connections that did not prove themselves.
#[test]
fn syn_cookies_go_first() {
    let (mut script, listener) = serving(plain(), 4);
    script.host.transports().0 = {
        let limits = Limits {
            cookies: netstrata::tcp::Cookies::Always,
            ..Limits::default()
        };
        let mut tcp = Tcp::new().with_config(plain()).with_limits(limits);
        tcp.set_fastopen_keys(KEY, None);
        tcp
    };
    script.play(&syn(5000, 10, &hex(KEY)));
    assert!(script.host.socket(listener).accept().is_none());
}

/// In networks of one owner text may need no cookie.
#[test]
fn without_cookies_if_wanted() {
    let config = Config {
        fastopen_server_no_cookie: true,
        ..plain()
    };
    let (mut script, listener) = serving(config, 4);
    script.play("< S 0:10 win 65535 <mss 1460>");
    assert!(script.host.socket(listener).accept().is_some());
    snapshot!("tcp__fastopen_no_cookie", script.transcript());
}

/// A socket that connects from our port to the peer's with Fast Open, and has written so much.
fn connect(script: &mut Script<Host>, octets: usize) -> Handle<Socket> {
    script.app("connect", |host| {
        let mut socket = TcpSocket::closed();
        socket.set_fastopen_connect(true);
        socket.bind((EAST, PORT).into()).unwrap();
        socket.connect((WEST, 5000).into()).unwrap();
        let h = host.open(socket).unwrap();
        if octets > 0 {
            write(host, h, octets);
        }
        h
    })
}

/// Answers a SYN with these options, and resets the connection.
fn round(script: &mut Script<Host>, octets: usize, answer: &str) {
    connect(script, octets);
    script.play(answer);
    script.play("< R 1:1 win 0");
}

const COOKIE: &str = "FO 0123456789abcdef,nop,nop";

/// RFC 7413 §4.1.3: the first SYN asks for a cookie, the next one has it and text, as much as the
/// MSS learned then leaves.
#[test]
fn profile_a_cookie_is_learned() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(
        &mut script,
        2000,
        &format!("< S. 0:0 ack 1 win 65535 <mss 1400,{COOKIE}>"),
    );
    assert_eq!(script.host.transports().0.fastopen_servers(), 1);
    round(&mut script, 2000, "< S. 0:0 ack 1361 win 65535 <mss 1460>");
    // And the MSS is learned anew.
    round(&mut script, 2000, "< S. 0:0 ack 1421 win 65535 <mss 1460>");
    snapshot!("tcp__fastopen_learned", script.transcript());
    assert_eq!(script.host.stats().tcp_fastopen_taken, 2);
}

/// With a cookie the SYN waits for the first text (`TCP_FASTOPEN_CONNECT`), or for the end.
#[test]
fn the_syn_waits_for_text() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(
        &mut script,
        0,
        &format!("< S. 0:0 ack 1 win 65535 <mss 1460,{COOKIE}>"),
    );
    while script.host.next_news::<Socket, _>().is_some() {}
    let h = connect(&mut script, 0);
    script.told("state", |host| state(host, h));
    assert_eq!(script.host.next_news(), Some(h), "it may write");
    script.wait(5000);
    assert_eq!(script.host.next_news::<Socket, _>(), None, "once");
    script.told("write", |host| write(host, h, 100));
    script.play("< S. 0:0 ack 101 win 65535 <mss 1460>");
    script.play("< R 1:1 win 0");
    let h = connect(&mut script, 0);
    script.app("shutdown", |host| {
        host.socket(h)
            .with(|s| s.shutdown(netstrata::tcp::Shutdown::Write))
            .unwrap()
    });
    snapshot!("tcp__fastopen_waits", script.transcript());
}

/// After a round without a cookie the experimental option asks (profile: 254, magic F989), and
/// after another the standard one again.
#[test]
fn profile_the_experimental_option_is_tried() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(&mut script, 10, "< S. 0:0 ack 1 win 65535 <mss 1460>");
    round(&mut script, 10, "< S. 0:0 ack 1 win 65535 <mss 1460>");
    round(&mut script, 10, "< S. 0:0 ack 1 win 65535 <mss 1460>");
    let mut other = host_with(Tcp::new().with_config(plain()));
    round(&mut other, 10, "< S. 0:0 ack 1 win 65535 <mss 1460>");
    round(
        &mut other,
        10,
        "< S. 0:0 ack 1 win 65535 <mss 1460,FOEXP 01234567>",
    );
    round(&mut other, 10, "< S. 0:0 ack 11 win 65535 <mss 1460>");
    let text = script.transcript().to_string() + "\n" + other.transcript();
    snapshot!("tcp__fastopen_experimental", text);
}

/// RFC 7413 §4.1.3.1: a path that twice loses SYNs with text gets ordinary ones for a while.
#[test]
fn losses_are_remembered() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(
        &mut script,
        10,
        &format!("< S. 0:0 ack 1 win 65535 <mss 1460,{COOKIE}>"),
    );
    for _ in 0..2 {
        let h = connect(&mut script, 10);
        script.play("+1000ms\n < S. 0:0 ack 1 win 65535 <mss 1460>");
        script.play("< R 1:1 win 0");
        script.host.close(h).unwrap();
    }
    script.forget();
    round(&mut script, 10, "< S. 0:0 ack 1 win 65535 <mss 1460>");
    script.wait(240_000);
    round(&mut script, 10, "< S. 0:0 ack 11 win 65535 <mss 1460>");
    snapshot!("tcp__fastopen_losses", script.transcript());
    assert_eq!(script.host.stats().tcp_fastopen_failed, 2);
}

/// RFC 7413 §4.2.1, and the profile: a SYN with cookie and text that is lost goes again after a
/// second with neither; the text follows the handshake.
#[test]
fn profile_a_lost_syn_goes_again_without() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(
        &mut script,
        10,
        &format!("< S. 0:0 ack 1 win 65535 <mss 1460,{COOKIE}>"),
    );
    connect(&mut script, 10);
    script.play(
        "+3000ms
        < S. 0:0 ack 1 win 65535 <mss 1460>",
    );
    snapshot!("tcp__fastopen_lost", script.transcript());
}

/// A connection that goes silent after Fast Open, for three timeouts, stops it for all servers
/// for an hour.
#[test]
fn a_black_hole_is_noticed() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(
        &mut script,
        10,
        &format!("< S. 0:0 ack 1 win 65535 <mss 1460,{COOKIE}>"),
    );
    connect(&mut script, 2000);
    script.play("< S. 0:0 ack 1421 win 65535 <mss 1460>");
    script.wait(10_000);
    assert_eq!(script.host.stats().tcp_fastopen_black_holes, 1);
    script.play("< R 1:1 win 0");
    script.forget();
    round(&mut script, 10, "< S. 0:0 ack 1 win 65535 <mss 1460>");
    script.wait(3_600_000);
    round(&mut script, 10, "< S. 0:0 ack 11 win 65535 <mss 1460>");
    snapshot!("tcp__fastopen_black_hole", script.transcript());
}

/// A reset from beyond text that never came says the same.
#[test]
fn a_reset_out_of_order_is_noticed() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(
        &mut script,
        10,
        &format!("< S. 0:0 ack 1 win 65535 <mss 1460,{COOKIE}>"),
    );
    connect(&mut script, 10);
    script.play("< S. 0:0 ack 11 win 65535 <mss 1460>");
    script.play("< R 1001:1001 win 0");
    assert_eq!(script.host.stats().tcp_fastopen_black_holes, 1);
}

/// A SYN whose text makes it too large for the path goes again at once without it.
#[test]
fn a_syn_too_large_goes_again() {
    let mut script = host_with(Tcp::new().with_config(plain()));
    round(
        &mut script,
        10,
        &format!("< S. 0:0 ack 1 win 65535 <mss 1460,{COOKIE}>"),
    );
    connect(&mut script, 3000);
    let about = script.sent.last().unwrap().clone();
    for _ in 0..2 {
        script.note("fragmentation needed, MTU 1000");
        script.inject(&icmp::error(3, 4, 1000, &about));
    }
    script.play("< S. 0:0 ack 1 win 65535 <mss 1460>");
    snapshot!("tcp__fastopen_too_large", script.transcript());
}

/// A client that was not told to does nothing of it, whatever SYN-ACKs say.
#[test]
fn an_unasked_cookie_is_ignored() {
    let (mut script, _) = connecting();
    script.play(&format!("< S. 0:0 ack 1 win 65535 <mss 1460,{COOKIE}>"));
    assert_eq!(script.host.transports().0.fastopen_servers(), 0);
    let config = Config {
        fastopen_client: false,
        ..plain()
    };
    let mut script = host_with(Tcp::new().with_config(config));
    connect(&mut script, 10);
    assert!(!script.transcript().contains("FO"));
}

/// Two of our hosts: the second connection's text is there after half a round trip.
#[test]
fn two_hosts() {
    let (east, west) = Cable::new(1500);
    let stack = |end, n: u8| {
        let ip = Ipv4::default().with(0, [192, 0, 2, n].into(), 24);
        let tcp = Tcp::new().with_config(plain());
        let host: Host = Stack::new(Ip::new(end), ip, (tcp,), SlabSockets, &mut Seed(n.into()));
        host
    };
    let (mut server, mut client) = (stack(east, 1), stack(west, 2));
    let mut socket = Socket::listener((EAST, PORT).into(), 4);
    socket.set_fastopen(4);
    let listener = server.open(socket).unwrap();
    let now = Instant::from_secs(5);
    for early in [false, true] {
        let mut socket = Socket::closed();
        socket.set_fastopen_connect(true);
        socket.connect((EAST, PORT).into()).unwrap();
        socket.send(b"hello").unwrap();
        let h = client.open(socket).unwrap();
        client.poll(now);
        server.poll(now);
        let accepted = server.socket(listener).accept();
        assert_eq!(accepted.is_some(), early);
        for _ in 0..5 {
            client.poll(now);
            server.poll(now);
        }
        let accepted = accepted
            .or_else(|| server.socket(listener).accept())
            .unwrap();
        let mut text = [0; 16];
        let n = server.socket(accepted).with(|s| s.recv(&mut text)).unwrap();
        assert_eq!((n, &text[..5]), (Ok(5), &b"hello"[..]));
        let state = client.socket(h).look(|s| s.state()).unwrap();
        assert_eq!(state.to_string(), "ESTABLISHED");
    }
    assert_eq!(server.stats().tcp_fastopen_accepted, 1);
    assert_eq!(client.stats().tcp_fastopen_taken, 1);
}
