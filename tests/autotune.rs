//! Buffers that grow with the path, between two hosts in virtual time: long fat paths are
//! filled with the settings that everybody has, short ones take no more than they need.
#![cfg(feature = "alloc")]

mod support;

use core::time::Duration;

use netstrata::phy::{Cable, Device, Fault, FaultConfig, Instant, cable};
use netstrata::socket::Handle;
use netstrata::tcp::{Config, Tcp, TcpSocket};
use support::EAST;
use support::bulk::{Lan, Side, Socket, lan_with};
use support::pair::{Counted, End, Pair, wires};

const MIB: usize = 1 << 20;

/// A path that loses nothing: `rate` bits a second, `rtt` there and back.
fn path(rate: u64, rtt: Duration) -> FaultConfig {
    FaultConfig::new()
        .with_rate(rate)
        .with_delay(rtt / 2)
        .with_queue(100_000)
}

/// What became of a transfer from the client to the server.
struct Outcome {
    /// Octets a second, in the second half of the transfer.
    rate: u64,
    /// What the client's send buffer and the server's receive buffer held at most at the end.
    buffers: (usize, usize),
    /// The widest window offered.
    window: u32,
    /// Most memory of connections, of the client and of the server.
    memory: (usize, usize),
}

fn window<D: Device>(host: &mut Lan<D>, h: Handle<Socket>, now: Instant) -> u32 {
    let info = host.socket(h).look(|s| s.info(&Config::default(), now));
    info.ok().flatten().map_or(0, |info| info.rcv_wnd)
}

/// Moves `total` octets over a path; `tune` may set options of the server's listener.
fn transfer(
    fault: FaultConfig,
    config: Config,
    total: u64,
    tune: impl FnOnce(&mut Socket),
) -> Outcome {
    let (a, b) = Cable::with_queue(1514, 100_000);
    let (a, b, moved): (Counted<cable::End>, Counted<Fault<cable::End>>, _) =
        wires(a, Fault::new(b, fault));
    let tcp = || Tcp::new().with_config(config.clone());
    let mut pair = Pair::new(lan_with(a, 1, tcp()), lan_with(b, 2, tcp()), moved);
    let mut listener = TcpSocket::listener((EAST, 80).into(), 4);
    tune(&mut listener);
    let listener = pair.a.open(listener).unwrap();
    let client = TcpSocket::connecting((EAST, 80).into());
    let client = pair.b.open(client).unwrap();
    let mut client = Side::new(client, total);
    let mut server: Option<Side> = None;
    let (mut half, mut end) = (None, Instant::ZERO);
    let mut outcome = Outcome {
        rate: 0,
        buffers: (0, 0),
        window: 0,
        memory: (0, 0),
    };
    let ended = pair.run(Duration::from_secs(300), |a, b, now| {
        if server.is_none() {
            server = a.socket(listener).accept().map(|h| Side::new(h, 0));
        }
        let done = server.as_mut().is_some_and(|side| side.act(a)) & client.act(b);
        if let Some(side) = &server {
            if side.got >= total / 2 && half.is_none() {
                half = Some((now, side.got));
            }
            if side.got < total {
                let capacity = |s: &Socket| (s.send_buffer_size(), s.recv_buffer_size());
                let ours = b.socket(client.h).look(capacity).unwrap();
                let theirs = a.socket(side.h).look(capacity).unwrap();
                outcome.buffers = (ours.0, theirs.1);
                outcome.window = outcome.window.max(window(a, side.h, now));
                end = now;
            }
        }
        let memory = (b.transports().0.memory(), a.transports().0.memory());
        outcome.memory.0 = outcome.memory.0.max(memory.0);
        outcome.memory.1 = outcome.memory.1.max(memory.1);
        done
    });
    assert_eq!(ended, End::Done);
    let (from, got) = half.expect("half of it");
    let took = (end - from).as_micros() as u64;
    outcome.rate = (total - got) * 1_000_000 / took.max(1);
    println!(
        "{} kbit/s, buffers {:?}, window {}, memory {:?}",
        outcome.rate * 8 / 1000,
        outcome.buffers,
        outcome.window,
        outcome.memory
    );
    outcome
}

/// Octets of text a second that `rate` bits a second carry: 1448 of every 1514 octets.
const fn goodput(rate: u64) -> u64 {
    rate / 8 * 1448 / 1514
}

/// 100 Mbit/s and 100 ms: 1.25 MB in flight, twice what either buffer holds at first.
#[test]
fn a_hundred_megabits_and_a_hundred_milliseconds() {
    let fault = path(100_000_000, Duration::from_millis(100));
    let outcome = transfer(fault, Config::default(), 20_000_000, |_| {});
    assert!(outcome.rate >= goodput(100_000_000) * 9 / 10);
}

/// The same without timestamps: the receiver learns the round trip from its windows.
#[test]
fn without_timestamps() {
    let fault = path(100_000_000, Duration::from_millis(100));
    let config = Config {
        timestamps: false,
        ..Config::default()
    };
    let outcome = transfer(fault, config, 20_000_000, |_| {});
    assert!(outcome.rate >= goodput(100_000_000) * 9 / 10);
}

/// A gigabit and 20 ms: 2.5 MB.
#[test]
fn a_gigabit_and_twenty_milliseconds() {
    let fault = path(1_000_000_000, Duration::from_millis(20));
    let outcome = transfer(fault, Config::default(), 30_000_000, |_| {});
    assert!(outcome.rate >= goodput(1_000_000_000) * 9 / 10);
}

/// A gigabit and 100 ms need 12.5 MB, for which `tcp_wmem` is too small, on Linux as here; the
/// receive buffer is not.
#[test]
fn a_gigabit_and_a_hundred_milliseconds() {
    let fault = path(1_000_000_000, Duration::from_millis(100));
    let config = Config {
        send_buffer_max: 32 * MIB,
        ..Config::default()
    };
    let outcome = transfer(fault, config, 90_000_000, |_| {});
    assert!(outcome.rate >= goodput(1_000_000_000) * 9 / 10);
}

/// A fast reader on a short path, whose queue takes whatever is sent: the receive buffer stays
/// what it was, and the send buffer at twice what that lets into the queue.
#[test]
fn a_short_path_stays_small() {
    for rate in [100_000_000, 1_000_000_000] {
        let fault = path(rate, Duration::from_micros(200));
        let outcome = transfer(fault, Config::default(), 8_000_000, |_| {});
        assert!(outcome.rate >= goodput(rate) * 9 / 10);
        assert_eq!(outcome.buffers.1, 540_000);
        assert!(outcome.window <= 540_000 && outcome.memory.1 <= 100_000);
        assert!(outcome.memory.0 <= 1_200_000);
    }
}

/// A receive buffer that the application chose stays as it is, and holds the path to a buffer
/// a round trip; so does a window clamp.
#[test]
fn a_chosen_buffer_stays() {
    let fault = path(100_000_000, Duration::from_millis(100));
    let outcome = transfer(fault, Config::default(), 4_000_000, |s| {
        s.set_recv_buffer_size(100_000);
    });
    assert_eq!(outcome.buffers.1, 200_000);
    assert!(outcome.rate <= 2_200_000, "{}", outcome.rate);
    let outcome = transfer(fault, Config::default(), 4_000_000, |s| {
        s.set_window_clamp(Some(100_000));
    });
    assert!(outcome.window <= 100_352 && outcome.rate <= 1_100_000);
    // And a path with autotuning switched off.
    let config = Config {
        receive_autotuning: false,
        ..Config::default()
    };
    let outcome = transfer(fault, config, 10_000_000, |_| {});
    assert_eq!(outcome.buffers.1, 540_000);
    assert!(outcome.rate <= 6_000_000);
}
