//! The Linux-like profile, row by row: what handshakes say, and how connections are refused and
//! end. Fast Open's rows are in `fastopen.rs`, those that need a host in `tests/tcp/`.

extern crate std;

use super::beginnings::plain;
use super::harness::Harness;
use super::snapshot;
use crate::tcp::open::{syn_ack_options, syn_options};
use crate::tcp::{Config, Peer, window};
use crate::wire::{TcpOption, TcpOptionIter, TcpOptions};
use std::string::String;
use std::vec::Vec;

/// Kinds of options in order.
fn kinds(options: &TcpOptions) -> String {
    let octets = options.emit();
    let names: Vec<&str> = TcpOptionIter::new(octets.as_slice())
        .map(|option| match option.unwrap() {
            TcpOption::Nop => "nop",
            TcpOption::Mss(_) => "mss",
            TcpOption::WindowScale(_) => "wscale",
            TcpOption::SackPermitted => "sackOK",
            TcpOption::Timestamps { .. } => "TS",
            other => panic!("{other:?}"),
        })
        .collect();
    names.join(",")
}

/// "TCP Fast Open off until switched on, SYN cookies when the SYN queue is full, SYN and SYN-ACK
/// retries 5". A client's Fast Open is switched on by its socket, a server's by the stack and the
/// listener's queue.
#[test]
fn profile_settings_of_handshakes() {
    use crate::tcp::{Cookies, Limits, Options};
    let (cfg, options) = (Config::default(), Options::default());
    assert!(!cfg.fastopen_server && !options.fastopen_connect && options.fastopen == 0);
    assert!(!cfg.fastopen_client_no_cookie && !cfg.fastopen_server_no_cookie);
    assert_eq!(Limits::default().cookies, Cookies::WhenFull);
    assert_eq!((cfg.syn_retries, cfg.synack_retries), (5, 5));
}

/// Initial window of 10 segments (RFC 6928), no threshold.
#[test]
fn profile_initial_window() {
    let mut h = Harness::connect(plain());
    h.play("< S. 0:0 ack 1 win 65535 <mss 1460>");
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!((info.snd_cwnd, info.snd_ssthresh), (10, 0x7fff_ffff));
    assert_eq!((info.cwnd_octets, info.ssthresh_octets), (14_600, None));
    let h = Harness::accepted(plain(), 1000);
    let info = h.tcb.info(&h.cfg, h.now, &h.rx, &h.tx);
    assert_eq!((info.snd_cwnd, info.cwnd_octets), (10, 10_000));
}

/// "Advertised MSS: 1460 at MTU 1500 (v4) and 1520 (v6)": 20 octets of our header behind one of
/// IP, which is 20 octets longer in version 6. There is no such network layer yet; the sizes are
/// computed for both.
#[test]
fn profile_mss_of_both_versions() {
    use crate::tcp::demux::ip_header;
    use crate::tcp::passive::mss_of;
    for (peer, mtu) in [("192.0.2.1:80", 1500), ("[2001:db8::1]:80", 1520)] {
        let peer = peer.parse().expect("an address");
        assert_eq!(mss_of(mtu - usize::from(ip_header(&peer))), 1460, "{peer}");
    }
}

/// The shift is 8, for 15 MiB of receive buffer at most.
#[test]
fn profile_window_scale() {
    let cfg = Config::default();
    assert_eq!(cfg.receive_buffer_max, 15_728_640);
    assert_eq!(window::scale(&cfg), 8);
    assert_eq!(
        syn_options(&cfg, 1460, window::scale(&cfg), 0).window_scale,
        Some(8)
    );
}

/// Windows of SYN and SYN-ACK are 65535, whatever the buffers hold.
#[test]
fn profile_syn_windows() {
    let text = Harness::connect(plain()).play("< S 0:0 win 65535 <mss 1460>");
    insta::assert_snapshot!(text, @"
       0.000 -- SYN-SENT
       0.000 > S 0:0 win 65535 <mss 1460,nop,nop,sackOK,nop,wscale 8>
       0.000 < S 0:0 win 65535 <mss 1460>
       0.000 -- SYN-RECEIVED
       0.000 > S. 0:0 ack 1 win 65535 <mss 1460>
    ");
}

/// Options of SYNs, in this order, with timestamps and without.
#[test]
fn profile_syn_options() {
    let kinds_of = |cfg: &Config| kinds(&syn_options(cfg, 1460, 8, 7));
    assert_eq!(kinds_of(&Config::default()), "mss,sackOK,TS,nop,wscale");
    assert_eq!(kinds_of(&plain()), "mss,nop,nop,sackOK,nop,wscale");
    let bare = Config {
        sack: false,
        ..Config::default()
    };
    assert_eq!(kinds_of(&bare), "mss,nop,nop,TS,nop,wscale");
}

/// A SYN-ACK has only what the SYN offered, in the same order.
#[test]
fn profile_syn_ack_options() {
    let offer = |sack, timestamp, window_scale| {
        let peer = Peer {
            mss: 1460,
            window_scale,
            sack,
            timestamp,
        };
        kinds(&syn_ack_options(&peer, 1460, 8, 7))
    };
    let (stamp, scale) = (Some(1), Some(7));
    assert_eq!(offer(false, None, None), "mss");
    assert_eq!(offer(true, None, None), "mss,nop,nop,sackOK");
    assert_eq!(offer(false, stamp, None), "mss,nop,nop,TS");
    assert_eq!(offer(true, stamp, None), "mss,sackOK,TS");
    assert_eq!(offer(false, None, scale), "mss,nop,wscale");
    assert_eq!(offer(true, None, scale), "mss,nop,nop,sackOK,nop,wscale");
    assert_eq!(offer(false, stamp, scale), "mss,nop,nop,TS,nop,wscale");
    assert_eq!(offer(true, stamp, scale), "mss,sackOK,TS,nop,wscale");
}

/// Data and acknowledgments carry `nop,nop,TS`, and `nop,nop,sack` behind it.
#[test]
fn profile_data_options() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "write 10
        < . 101:201 ack 11 win 512 <TS 1001 ecr 0>",
    );
    let mut h = Harness::accepted(plain(), 1000);
    let text = text
        + &h.play(
            "write 10
            < . 101:201 ack 11 win 512",
        );
    snapshot!("profile_data_options", text);
}

/// The timestamp clock ticks once a millisecond, also for FIN and RST: 100 becomes 1200 after
/// 1.1 s.
#[test]
fn profile_timestamp_tick() {
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = h.play(
        "+100ms
        write 10
        < . 1:1 ack 11 win 512 <TS 1100 ecr 100>
        +1100ms
        shutdown",
    );
    let mut h = Harness::accepted(Config::default(), 1000);
    let text = text
        + &h.play(
            "+100ms
            write 10
            < . 1:1 ack 11 win 512 <TS 1100 ecr 100>
            +1100ms
            abort",
        );
    snapshot!("profile_timestamp_tick", text);
}

/// A SYN is repeated after 1 s, then after twice as long, five times; so is the SYN-ACK of SYNs
/// that crossed.
#[test]
fn profile_syn_retry() {
    let text = Harness::connect(plain()).play("+70s");
    let mut h = Harness::connect(plain());
    let text = text + &h.play("< S 0:0 win 65535 <mss 1460>\n+70s");
    snapshot!("profile_syn_retry", text);
}

/// Closing: with unread data `R.`; in SYN-SENT nothing, and a later SYN-ACK gets `R` from where
/// it acknowledges; segments for no socket get `R` from there, or `R.` if they acknowledge nothing.
#[test]
fn profile_close() {
    let mut h = Harness::accepted(plain(), 1000);
    let text = h.play(
        "< . 1:101 ack 1 win 512
        close",
    );
    let mut h = Harness::connect(plain());
    let text = text
        + &h.play(
            "close
            < S. 0:0 ack 1 win 65535 <mss 1460>
            < P. 1:11 ack 700 win 512
            < S 50:50 win 512
            < FP 60:70 win 512
            < R 60:60 win 0",
        );
    snapshot!("profile_close", text);
}

/// ICMP: what quotes a number that is not in flight is ignored; a packet too big makes segments
/// smaller, and what is out goes again at once; a host unreachable in SYN-RECEIVED is soft.
#[test]
fn profile_icmp() {
    let mut h = Harness::accepted(plain(), 1460);
    let text = h.play(
        "write 3000
        icmp host 3001
        icmp host 0
        +10ms
        mss 1000
        icmp big 1",
    );
    let mut h = Harness::connect(plain());
    let text = text
        + &h.play(
            "< S 0:0 win 65535 <mss 1460>
            icmp host 0
            < S. 0:0 ack 1 win 65535 <mss 1460>",
        );
    snapshot!("profile_icmp", text);
}
