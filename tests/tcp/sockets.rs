//! What applications see of a connection: errors, shut down ways, linger, options.

use super::*;
use crate::support::snapshot;
use core::time::Duration;
use netstrata::tcp::{RecvError, SendError, SendFlags, Shutdown, TcpError, TcpKeepalive};

fn with<R>(script: &mut Script<Host>, h: Handle<Socket>, f: impl FnOnce(&mut Socket) -> R) -> R {
    script.app("socket", |host| host.socket(h).with(f).unwrap())
}

fn recv(script: &mut Script<Host>, h: Handle<Socket>) -> Result<usize, RecvError> {
    with(script, h, |s| s.recv(&mut [0; 4096]))
}

fn send(script: &mut Script<Host>, h: Handle<Socket>) -> Result<usize, SendError> {
    with(script, h, |s| s.send(&[7; 100]))
}

/// An end of a connection, and what it is told as: to whoever reads first, and to whoever
/// writes first.
struct End {
    what: &'static str,
    script: &'static str,
    wait: u64,
    error: TcpError,
}

const ENDS: [End; 4] = [
    End {
        what: "reset",
        script: "< R. 1:1 ack 1 win 0",
        wait: 0,
        error: TcpError::Reset,
    },
    End {
        what: "reset after its FIN",
        script: "< F. 1:1 ack 1 win 1000\n< R. 2:2 ack 1 win 0",
        wait: 0,
        error: TcpError::BrokenPipe,
    },
    End {
        what: "silent",
        script: "",
        wait: 4000,
        error: TcpError::TimedOut,
    },
    End {
        what: "reset, with text before",
        script: "< P. 1:11 ack 1 win 1000\n< R. 11:11 ack 1 win 0",
        wait: 0,
        error: TcpError::Reset,
    },
];

/// Errors are told once, after what came before them, to whatever call is first; afterwards
/// reading gives the end and writing a broken pipe.
#[test]
fn errors_are_told_once_and_in_order() {
    let mut texts = String::new();
    for end in &ENDS {
        for reads in [true, false] {
            let (mut script, h) = accepted("<mss 1000>");
            with(&mut script, h, |s| {
                s.set_tcp_user_timeout(Some(Duration::from_secs(3)));
            });
            if end.wait > 0 {
                assert_eq!(send(&mut script, h), Ok(100));
            }
            script.play(end.script);
            script.wait(end.wait);
            let failed = end.error;
            if end.script.contains("1:11") && reads {
                assert_eq!(recv(&mut script, h), Ok(10), "{}", end.what);
            }
            if reads {
                let told = recv(&mut script, h);
                assert_eq!(told, Err(RecvError::Failed(failed)), "{}", end.what);
            } else {
                let told = send(&mut script, h);
                assert_eq!(told, Err(SendError::Failed(failed)), "{}", end.what);
                if end.script.contains("1:11") {
                    assert_eq!(recv(&mut script, h), Ok(10), "{}", end.what);
                }
            }
            for _ in 0..2 {
                assert_eq!(recv(&mut script, h), Ok(0), "{}", end.what);
                let told = send(&mut script, h);
                assert_eq!(told, Err(SendError::Closed), "{}", end.what);
                let error = with(&mut script, h, |s| s.take_error());
                assert_eq!(error, None, "{}", end.what);
            }
            texts += &format!("# {}: {failed}\n{}", end.what, script.transcript());
        }
    }
    snapshot!("tcp__errors_told", texts);
}

/// Connecting without waiting: under way, then it stands, or there is an error, once.
#[test]
fn connecting_is_under_way_then_decided() {
    for (answer, wait, error) in [
        ("< S. 0:0 ack 1 win 1000", 0, None),
        ("< R. 0:0 ack 1 win 0", 0, Some(TcpError::Refused)),
        ("", 10_000, Some(TcpError::TimedOut)),
    ] {
        let (mut script, h) = connecting();
        let socket = script.host.socket(h);
        let look = socket.look(|s| (s.is_connecting(), s.can_send(), s.readable()));
        assert_eq!(look, Ok((true, true, 0)));
        with(&mut script, h, |s| s.set_syn_retries(Some(2)));
        assert_eq!(recv(&mut script, h), Err(RecvError::Empty));
        assert_eq!(script.host.next_news::<Socket, _>(), None);
        script.play(answer);
        script.wait(wait);
        assert_eq!(script.host.next_news::<Socket, _>(), Some(h));
        let told = with(&mut script, h, |s| (s.is_connecting(), s.take_error()));
        assert_eq!(told, (false, error), "{answer}");
        if error.is_some() {
            assert_eq!(with(&mut script, h, |s| s.take_error()), None);
            assert_eq!(send(&mut script, h), Err(SendError::Closed));
            assert_eq!(recv(&mut script, h), Ok(0));
            // And again, from the start.
            let peer = (WEST, 5000).into();
            assert_eq!(with(&mut script, h, |s| s.connect(peer)), Ok(()));
            let state = script.host.socket(h).look(|s| s.state());
            assert_eq!(state.map(|s| s.as_str()), Ok("SYN-SENT"));
        } else {
            assert_eq!(send(&mut script, h), Ok(100));
        }
    }
}

/// RFC 9293 §3.10.4: closed in SYN-SENT nothing is sent; a SYN-ACK that comes later finds
/// nobody.
#[test]
fn profile_closed_while_connecting() {
    let (mut script, h) = connecting();
    script.app("close", |host| host.close(h).unwrap());
    script.play("+100ms\n< S. 0:0 ack 1 win 1000");
    snapshot!("tcp__profile_close_connecting", script.transcript());
}

/// Unread octets make closing a reset (RFC 2525 §2.17), which acknowledges what came.
#[test]
fn profile_closed_with_unread_data() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play("< P. 1:101 ack 1 win 1000");
    script.app("close", |host| host.close(h).unwrap());
    snapshot!("tcp__profile_close_unread", script.transcript());
}

/// `shutdown(SHUT_RD)`: reading gives the end; what comes later is acknowledged, and can be read
/// all the same.
#[test]
fn profile_shut_rd() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play("< P. 1:11 ack 1 win 1000");
    script.app("shut down reading", |host| {
        host.socket(h).with(|s| s.shutdown(Shutdown::Read)).unwrap()
    });
    script.told("read", |host| read(host, h, 1));
    script.told("read", |host| read(host, h, 11));
    script.play("< P. 11:31 ack 1 win 1000");
    script.told("read", |host| read(host, h, 11));
    script.told("read", |host| read(host, h, 31));
    script.told("write", |host| write(host, h, 10));
    snapshot!("tcp__profile_shut_rd", script.transcript());
}

/// A write after `shutdown(SHUT_WR)` is a broken pipe; text still comes.
#[test]
fn profile_write_after_shut_wr() {
    let (mut script, h) = accepted("<mss 1000>");
    script.app("shut down writing", |host| {
        host.socket(h)
            .with(|s| s.shutdown(Shutdown::Write))
            .unwrap()
    });
    let told = send(&mut script, h);
    assert_eq!(told, Err(SendError::Closed));
    let kind = std::io::Error::from(SendError::Closed).kind();
    assert_eq!(kind, std::io::ErrorKind::BrokenPipe);
    script.play("< . 1:1 ack 2 win 1000\n< P. 1:11 ack 2 win 1000");
    assert_eq!(recv(&mut script, h), Ok(10));
    snapshot!("tcp__profile_shut_wr", script.transcript());
}

/// After a FIN `SIOCINQ` counts octets of text only, and `TCP_INQ` is 1 when none is left, so
/// that the end is read, too.
#[test]
fn profile_inq_after_fin() {
    let (mut script, h) = accepted("<mss 1000>");
    let inq = |script: &mut Script<Host>| {
        let look = script.host.socket(h).look(|s| (s.readable(), s.inq()));
        look.unwrap()
    };
    assert_eq!(inq(&mut script), (0, 0));
    script.play("< PF. 1:11 ack 1 win 1000");
    assert_eq!(inq(&mut script), (10, 10));
    assert_eq!(recv(&mut script, h), Ok(10));
    assert_eq!(inq(&mut script), (0, 1));
    assert_eq!(recv(&mut script, h), Ok(0));
}

/// `SO_LINGER` of nothing resets, whatever is queued or was read; of some time, the connection
/// may end in order by then, and is reset if it does not.
#[test]
fn linger() {
    let (mut script, h) = accepted("<mss 1000>");
    script.note("none: reset");
    with(&mut script, h, |s| s.set_linger(Some(Duration::ZERO)));
    script.told("write", |host| write(host, h, 100));
    script.app("close", |host| host.close(h).unwrap());
    script.told("state", |host| state(host, h));
    let none = script.transcript().to_owned();

    let (mut script, h) = accepted("<mss 1000>");
    script.note("two seconds, and the peer is silent");
    with(&mut script, h, |s| {
        s.set_linger(Some(Duration::from_secs(2)))
    });
    script.told("write", |host| write(host, h, 100));
    script.app("close", |host| host.close(h).unwrap());
    script.wait(5000);
    script.told("state", |host| state(host, h));
    let silent = script.transcript().to_owned();

    let (mut script, h) = accepted("<mss 1000>");
    script.note("two seconds, and all is acknowledged");
    with(&mut script, h, |s| {
        s.set_linger(Some(Duration::from_secs(2)))
    });
    script.told("write", |host| write(host, h, 100));
    script.app("close", |host| host.close(h).unwrap());
    script.play("< . ack 102 win 1000\n+5000ms");
    script.told("state", |host| state(host, h));
    script.play("+60000ms");
    script.told("state", |host| state(host, h));
    snapshot!(
        "tcp__linger",
        [none, silent, script.transcript().to_owned()].join("\n")
    );
}

/// `TCP_LINGER2`: how long a connection without application waits for the peer's FIN.
#[test]
fn linger2() {
    let ends = |time: Option<Duration>, wait| {
        let (mut script, h) = accepted("<mss 1000>");
        with(&mut script, h, |s| s.set_linger2(time));
        script.app("close", |host| host.close(h).unwrap());
        script.play("< . ack 2 win 1000");
        script.wait(wait);
        script.told("state", |host| state(host, h));
        script.transcript().to_owned()
    };
    let runs = [
        ends(Some(Duration::from_secs(5)), 4999),
        ends(Some(Duration::from_secs(5)), 5001),
        ends(Some(Duration::ZERO), 1),
        ends(None, 59_999),
    ];
    snapshot!("tcp__linger2", runs.join("\n"));
}

/// Options come back as they were set, before and after connecting; a listener's connections
/// have its options.
#[test]
fn options_come_back() {
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_millis(1500))
        .with_retries(2);
    let set = |s: &mut Socket| {
        assert!(!s.nodelay() && !s.keepalive() && s.linger().is_none());
        s.set_nodelay(true);
        s.set_cork(true);
        s.set_quickack(true);
        s.set_keepalive(true);
        s.set_tcp_keepalive(&probes);
        s.set_linger(Some(Duration::from_secs(1)));
        s.set_tcp_user_timeout(Some(Duration::from_millis(4321)));
        s.set_notsent_lowat(Some(4000));
        s.set_max_pacing_rate(Some(1_000_000));
        s.set_syn_retries(Some(3));
        s.set_linger2(Some(Duration::from_secs(2)));
        s.set_window_clamp(Some(30_000));
        s.set_defer_accept(None);
        s.set_ttl(Some(9));
        s.set_tos(0x2c);
    };
    let check = |s: &Socket| {
        assert!(s.nodelay() && s.cork() && s.quickack() && s.keepalive());
        let options = s.options();
        let times = (options.keepalive_time, options.keepalive_retries);
        assert_eq!(times, (Some(Duration::from_millis(1500)), Some(2)));
        assert_eq!(options.keepalive_interval, None);
        assert_eq!(s.linger(), Some(Duration::from_secs(1)));
        assert_eq!(s.tcp_user_timeout(), Some(Duration::from_millis(4321)));
        assert_eq!(s.notsent_lowat(), Some(4000));
        assert_eq!(s.max_pacing_rate(), Some(1_000_000));
        assert_eq!(s.syn_retries(), Some(3));
        assert_eq!(s.linger2(), Some(Duration::from_secs(2)));
        assert_eq!(s.window_clamp(), Some(30_000));
        assert_eq!((s.ttl(), s.tos()), (Some(9), 0x2c));
    };
    let (mut script, h) = accepted("<mss 1000>");
    with(&mut script, h, set);
    script.host.socket(h).look(check).unwrap();
    let (mut script, h) = connecting();
    with(&mut script, h, set);
    script.play("< S. 0:0 ack 1 win 1000");
    script.host.socket(h).look(check).unwrap();
    let (mut script, listener) = listening(1);
    with(&mut script, listener, set);
    script.play("< S 0:0 win 1000\n< . ack 1 win 1000");
    let h = script.host.socket(listener).accept().expect("accepted");
    script.host.socket(h).look(check).unwrap();
}

/// `TCP_DEFER_ACCEPT`: a connection is to be accepted when its first text comes, or the time,
/// in repetitions of the SYN-ACK, is over; the last of those asks the peer once more.
#[test]
fn deferred_accept() {
    let run = |events: &str| {
        let (mut script, listener) = listening(1);
        let patience = Some(Duration::from_secs(3));
        with(&mut script, listener, |s| s.set_defer_accept(patience));
        script.play("< S 0:0 win 1000\n+10ms\n< . ack 1 win 1000");
        for event in events.lines() {
            script.told("waiting", |host| {
                host.socket(listener).look(|s| s.pending()).unwrap()
            });
            script.play(event);
        }
        script.told("waiting", |host| {
            host.socket(listener).look(|s| s.pending()).unwrap()
        });
        script.transcript().to_owned()
    };
    let texts = [
        run("+2000ms\n< P. 1:11 ack 1 win 1000"),
        run("+3000ms\n< . 1:1 ack 1 win 1000"),
        run("< F. 1:1 ack 1 win 1000"),
    ];
    snapshot!("tcp__deferred_accept", texts.join("\n"));
}

/// Keep-alive times are to the millisecond, and a dead peer is told of in case it lives.
#[test]
fn keepalive_in_milliseconds() {
    let (mut script, h) = accepted("<mss 1000>");
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_millis(1500))
        .with_interval(Duration::from_millis(250))
        .with_retries(2);
    with(&mut script, h, |s| s.set_tcp_keepalive(&probes));
    script.wait(4000);
    let told = recv(&mut script, h);
    assert_eq!(told, Err(RecvError::Failed(TcpError::TimedOut)));
    snapshot!("tcp__keepalive_ms", script.transcript());
}

/// RFC 9293 §3.8.5 (MUST-32, MUST-33): there is news of urgent octets as soon as the pointer
/// comes, before they do, also where nothing else is news; how many are left can be asked.
#[test]
fn urgent_text_is_told_of() {
    let (mut script, h) = accepted("<mss 1000>");
    let told = |script: &mut Script<Host>, line: &str| {
        while script.host.next_news::<Socket, _>().is_some() {}
        script.play(line);
        let news = script.host.next_news() == Some(h);
        let left = script.host.socket(h).look(|s| s.urgent()).unwrap();
        script.note(&format!("news: {news}, urgent: {left} octets"));
    };
    // Twenty octets that have not come; the same again is no news; and twenty more.
    told(&mut script, "< U. 1:1 ack 1 win 1000 urg 20");
    told(&mut script, "< U. 1:1 ack 1 win 1000 urg 20");
    told(&mut script, "< U. 1:1 ack 1 win 1000 urg 40");
    told(&mut script, "< PU. 1:31 ack 1 win 1000 urg 40");
    script.told("read", |host| read(host, h, 1));
    told(&mut script, "< P. 31:51 ack 1 win 1000");
    script.told("read", |host| read(host, h, 31));
    told(&mut script, "< . 51:51 ack 1 win 1001");
    let flags = SendFlags {
        urgent: true,
        ..SendFlags::default()
    };
    let sent = with(&mut script, h, |s| s.send_with(&[1; 10], flags));
    assert_eq!(sent, Ok(10));
    snapshot!("tcp__urgent_news", script.transcript());
}

/// "TCP_NOTSENT_LOWAT unlimited: 58000 with wmem 50000": what the windows let out, ten segments,
/// and three trains of half the peer's window, the last of which the buffer has room for in part.
/// A buffer whose size was chosen takes that and no more.
#[test]
fn profile_notsent_lowat_unlimited() {
    let config = netstrata::tcp::Config {
        send_buffer: 50_000,
        ..Default::default()
    };
    for (fixed, taken) in [(None, 58_000), (Some(50_000), 50_000)] {
        let mut script = host_with(Tcp::new().with_config(config.clone()));
        let h = script.app("listen", |host| {
            host.open(TcpSocket::listener((EAST, PORT).into(), 1))
                .unwrap()
        });
        script.play("< S 0:0 win 32792 <mss 1000,sackOK,wscale 7>\n< . 1:1 ack 1 win 257");
        let h = script.host.socket(h).accept().expect("a connection");
        let told = with(&mut script, h, |s| {
            if let Some(octets) = fixed {
                s.set_send_capacity(octets);
            }
            (s.send(&[7; 59_000]), s.send(&[7; 1]), s.send_buffer_size())
        });
        assert_eq!(told, (Ok(taken), Err(SendError::Full), 50_000));
        // All of it is sent, and there is news when a third of the buffer is free.
        while script.host.next_news::<Socket, _>().is_some() {}
        script.play("< . 1:1 ack 10001 win 257");
        assert_eq!(script.host.next_news::<Socket, _>(), None);
        script.play("< . 1:1 ack 26001 win 257");
        assert_eq!(script.host.next_news::<Socket, _>(), Some(h));
        script.play("< . 1:1 ack 42001 win 257");
        script.play(&format!("< . 1:1 ack {} win 257", taken + 1));
        let left = script.host.socket(h).look(|s| s.unacknowledged());
        assert_eq!(left, Ok(0));
    }
}
