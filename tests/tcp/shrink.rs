//! Receive buffers made smaller than the window that was offered (RFC 9293 §3.8.6.2.2: the right
//! edge does not move back, and what lies before it is taken).

use super::*;
use crate::support::snapshot;

/// What a receive buffer holds, may hold, and is said to hold.
fn buffer(script: &mut Script<Host>, h: Handle<Socket>) {
    let sizes = |s: &mut Socket| {
        (
            s.readable(),
            s.set_recv_capacity(1000),
            s.recv_buffer_size(),
        )
    };
    script.told("read, capacity, size", |host| {
        host.socket(h).with(sizes).unwrap()
    });
}

/// The peer uses the window that it was offered before; all of it is taken. The buffer shrinks
/// as it is read, and the window opens anew when less than the new size waits.
#[test]
fn what_was_offered_is_taken() {
    let (mut script, h) = accepted("<mss 1000>");
    script.told("shrink to 1000", |host| {
        host.socket(h).with(|s| s.set_recv_capacity(1000)).unwrap()
    });
    for n in 0..66 {
        let from = 1 + n * 1000;
        let to = (from + 1000).min(65_536);
        script.peer(&format!(". {from}:{to} ack 1 win 65535"));
    }
    let long = script.transcript();
    assert!(long.contains("ack 65536 win 0"), "{long}");
    script.forget();
    buffer(&mut script, h);
    script.play("# nothing fits\n< . 65536:66536 ack 1 win 65535");
    for (n, octets) in [(1, 65_000), (65_001, 300), (65_301, 1000)] {
        let mut room = vec![0; octets];
        let read = script.told("read", |host| {
            host.socket(h).with(|s| s.recv(&mut room)).unwrap()
        });
        let read = read.expect("text");
        let right = room[..read].iter().zip(n..).all(|(o, n)| *o == pattern(n));
        assert!(right, "octets from {n}");
        buffer(&mut script, h);
    }
    script.play("< . 65536:66536 ack 1 win 65535\n< . 66536:66636 ack 1 win 65535");
    snapshot!("tcp__shrink_taken", script.transcript());
}

/// Grown again before it has shrunk: as if it had never been small.
#[test]
fn growing_again_ends_shrinking() {
    let (mut script, h) = accepted("<mss 1000>");
    let set = |octets| {
        move |host: &mut Host| {
            let set = |s: &mut Socket| (s.set_recv_capacity(octets), s.recv_buffer_size());
            host.socket(h).with(set).unwrap()
        }
    };
    assert_eq!(script.app("shrink", set(5000)), (65_535, 5000));
    assert_eq!(script.app("grow", set(70_000)), (70_000, 70_000));
    script.play("< P. 1:1001 ack 1 win 65535");
    assert_eq!(
        script.app("read", |host| read(host, h, 1)),
        "1000 octets, right"
    );
    let size = script.host.socket(h).look(|s| s.recv_buffer_size());
    assert_eq!(size, Ok(70_000));
    // Where nothing was offered it is small at once, and never nothing.
    let mut closed = Socket::closed();
    assert_eq!(
        (closed.set_recv_capacity(10), closed.set_recv_capacity(0)),
        (10, 1)
    );
}

/// A SYN that comes in the turn in which its listener is opened is offered the window of the
/// stack's configuration.
#[test]
fn the_first_syn_of_a_listener_is_offered_its_buffer() {
    let config = netstrata::tcp::Config {
        receive_buffer: 5000,
        ..Default::default()
    };
    let mut script = host_with(Tcp::new().with_config(config));
    let listener = TcpSocket::listener((EAST, PORT).into(), 4);
    let _ = script.host.open(listener).unwrap();
    script.play("< S 0:0 win 65535 <mss 1460>");
    let text = script.transcript();
    assert!(text.contains("S. 0:0 ack 1 win 5000"), "{text}");
}

/// The connection ends before the window was used: nothing more can come, and the buffer is as small
/// as was asked for. So is that of the next connection of the same socket.
#[test]
fn the_end_of_a_connection_ends_shrinking() {
    let (mut script, h) = accepted("<mss 1000>");
    script.play("< P. 1:501 ack 1 win 65535");
    script.app("shrink", |host| {
        host.socket(h).with(|s| s.set_recv_capacity(1000)).unwrap()
    });
    script.play("< R. 501:501 ack 1 win 0");
    assert_eq!(
        script.app("read", |host| read(host, h, 1)),
        "500 octets, right"
    );
    script.app("connect", |host| {
        let again = |s: &mut Socket| {
            let _ = s.take_error();
            s.connect((WEST, 5009).into())
        };
        host.socket(h).with(again).unwrap().unwrap();
    });
    let text = script.transcript();
    assert!(text.contains("S 0:0 win 1000 "), "{text}");
    let size = script.host.socket(h).look(|s| s.recv_buffer_size());
    assert_eq!(size, Ok(1000));
}

/// A window is never less than one unit of its scale (RFC 7323 §2.2), which may be wider than the
/// buffer. What that promises too much the buffer does not grow for, however often it shrinks.
#[test]
fn a_unit_of_the_scale_is_no_promise() {
    let config = netstrata::tcp::Config {
        receive_buffer: 4096,
        receive_buffer_max: 1 << 30,
        ..Default::default()
    };
    let mut script = host_with(Tcp::new().with_config(config));
    let socket = TcpSocket::listener((EAST, PORT).into(), 4);
    let listener = script.host.open(socket).unwrap();
    script.play(
        "
        < S 0:0 win 65535 <mss 1000,nop,wscale 0>
        < . ack 1 win 65535
        ",
    );
    let h = script.host.socket(listener).accept().unwrap();
    let set = |octets| {
        move |host: &mut Host| {
            let set = |s: &mut Socket| s.set_recv_capacity(octets);
            host.socket(h).with(set).unwrap()
        }
    };
    assert_eq!(script.app("shrink", set(4096)), 4096);
    for n in 0..20 {
        let from = 1 + n * 1000;
        script.peer(&format!(". {from}:{} ack 1 win 65535", from + 1000));
        assert_eq!(script.app("shrink", set(5)), 4096, "after {n} segments");
        let held = script.host.socket(h).look(|s| s.readable()).unwrap();
        assert!(held <= 4096, "{held} octets held");
    }
}
