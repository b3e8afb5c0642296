//! The rows of the Linux-like profile about buffers, windows and acknowledgments.

extern crate std;

#[cfg(feature = "alloc")]
use super::beginnings::accepted;
use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::socket::RecvBuf;
#[cfg(feature = "alloc")]
use crate::socket::SendBuf;
use crate::tcp::Config;
use std::string::String;

/// "receive buffer 4096/540000/15728640 (min/default/max, autotuned), send buffer
/// 4096/262144/4194304 (autotuned)".
#[test]
fn profile_settings_buffers() {
    let cfg = Config::default();
    let receive = [
        cfg.receive_buffer_min,
        cfg.receive_buffer,
        cfg.receive_buffer_max,
    ];
    assert_eq!(receive, [4096, 540_000, 15_728_640]);
    let send = [cfg.send_buffer_min, cfg.send_buffer, cfg.send_buffer_max];
    assert_eq!(send, [4096, 262_144, 4_194_304]);
    assert!(cfg.receive_autotuning);
    let h = Harness::accepted(cfg, 1460);
    assert_eq!(h.rx.capacity(), 540_000);
}

/// "ACKs: at once for the first segments (quick-ack, 16 segments); always for FIN,
/// out-of-order, at least 2 MSS; otherwise delayed 40 ms at least, 200 ms at most".
#[test]
fn profile_acks() {
    let cfg = plain();
    let mut h = Harness::accepted(cfg, 1460);
    let mut script = String::new();
    for n in 0..16 {
        let from = 1 + n * 1000;
        script += &std::format!("< P. {from}:{} ack 1 win 512\n", from + 1000);
    }
    let quick = h.play(&script);
    assert_eq!(quick.matches("> .").count(), 16);
    h.forget();
    let text = h.play(
        "# the 17th waits
        < P. 16001:17001 ack 1 win 512
        +40ms
        < . 17001:18461 ack 1 win 512
        < . 18461:19921 ack 1 win 512
        < . 21381:22841 ack 1 win 512
        < F. 22841:22841 ack 1 win 512
        < . 19921:21381 ack 1 win 512",
    );
    snapshot!("profile_acks", text);
    let cfg = &h.cfg;
    let millis = [cfg.ack_delay_min, cfg.ack_delay_max].map(|d| d.as_millis());
    assert_eq!((cfg.quick_acks, millis), (16, [40, 200]));
    // On a path that is long enough for it, a lone one waits for 40 ms, twice as long each time
    // nothing came to ride on, and never longer than 200 ms.
    let mut h = Harness::accepted(plain(), 1460);
    h.play(&script);
    h.forget();
    let lone = "< P. 16001:16101 ack 1 win 512\n+250ms\n< P. 16101:16201 ack 1 win 512\n+250ms\n\
        < P. 16201:16301 ack 1 win 512\n+250ms\n< P. 16301:16401 ack 1 win 512\n+250ms\n\
        < P. 16401:16501 ack 1 win 512\n+250ms";
    snapshot!(
        "profile_acks_delay",
        h.play(&std::format!("rtt 400ms\n{lone}"))
    );
}

/// "SO_SNDBUF doubled (21000 to 42000); blocked writers wake with a third free".
#[cfg(feature = "alloc")]
#[test]
fn profile_so_sndbuf() {
    use crate::socket::Elastic;
    use crate::tcp::autotune::third_free;
    use crate::tcp::{Reno, TcpSocket};
    let mut socket: TcpSocket<Elastic, Elastic, Reno> = TcpSocket::closed();
    assert_eq!(socket.send_buffer_size(), 262_144);
    socket.set_send_buffer_size(21_000);
    assert_eq!(socket.send_buffer_size(), 42_000);
    assert_eq!(SendBuf::capacity(&socket.tx), 42_000);
    assert!(socket.options().send_fixed && !socket.options().receive_fixed);
    assert_eq!(third_free(42_000), 28_000);
}

/// A writer who found the buffer full has news when a third of it is free, not before.
#[cfg(feature = "alloc")]
#[test]
fn profile_writers_wake_with_a_third_free() {
    use crate::socket::{Elastic, WriteBuf};
    use crate::tcp::{Options, Room};
    let mut h = accepted();
    let options = Options {
        send_fixed: true,
        ..Options::default()
    };
    h.tcb.set_options(&h.cfg, h.now, options);
    let mut tx = Elastic::new(9000);
    assert_eq!(WriteBuf::write(&mut tx, &[7; 9000]), 9000);
    let room = Room { mss: 1460, gso: 0 };
    while let Some(plan) = h.tcb.next_segment(&h.cfg, h.now, &h.rx, &tx, room) {
        h.tcb.on_sent(&h.cfg, h.now, &plan);
    }
    let mut news = |ack: u32| {
        let segment = crate::tcp::Segment {
            seq: super::harness::IRS + 1,
            ack: super::harness::ISS + ack,
            flags: crate::wire::TcpFlags::ACK,
            window: 512,
            urgent: 0,
            options: crate::wire::TcpOptions::NONE,
            payload: &[],
            ecn: 0,
        };
        let effects = h.tcb.receive(&h.cfg, h.now, &segment, &mut h.rx, &mut tx);
        (effects.news, SendBuf::queued(&tx))
    };
    assert_eq!(news(2001), (false, 7000));
    assert_eq!(news(3000), (false, 6001));
    assert_eq!(news(3001), (true, 6000));
    assert_eq!(news(9001), (true, 0));
}
