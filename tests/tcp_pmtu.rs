//! Paths that swallow large packets and say nothing, in virtual time: probing finds a size that
//! gets through (RFC 4821), and without it nothing moves.
#![cfg(feature = "alloc")]

mod support;

use core::time::Duration;

use netstrata::phy::{
    Abort, Cable, Capabilities, Device, Fault, FaultConfig, FrameSink, Instant, TxMeta, TxToken,
};
use netstrata::tcp::{Config, MtuProbing, Tcp, TcpSocket};
use support::EAST;
use support::bulk::{Side, lan_with};
use support::pair::{End, Pair, wires};

/// A device that loses frames of more than so many octets on their way out.
struct Narrow<D>(D, usize);

struct NarrowTx<T>(T, usize);

impl<T: TxToken> TxToken for NarrowTx<T> {
    fn send_gather<F>(
        self,
        head: usize,
        payload: [&[u8]; 2],
        meta: TxMeta,
        fill: F,
    ) -> Result<(), Abort>
    where
        F: FnOnce(&mut [u8]) -> Result<(), Abort>,
    {
        let len = head + payload[0].len() + payload[1].len();
        if len > self.1 {
            return Ok(());
        }
        self.0.send_gather(head, payload, meta, fill)
    }
}

impl<D: Device> Device for Narrow<D> {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn receive(&mut self, now: Instant, budget: usize, sink: &mut impl FrameSink) -> usize {
        self.0.receive(now, budget, sink)
    }
    fn transmit(&mut self, now: Instant) -> Option<impl TxToken> {
        let most = self.1;
        self.0.transmit(now).map(|token| NarrowTx(token, most))
    }
    fn flush(&mut self, now: Instant) {
        self.0.flush(now);
    }
    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }
}

/// Sends four megabytes over a path that carries IP packets of `mtu` octets; what the sender's
/// segments hold in the end, octets of options and text, and how long it took.
fn send(probing: MtuProbing, mtu: usize, limit: u64) -> Option<(u16, Duration)> {
    let (a, b) = Cable::new(1514);
    let fault = FaultConfig::new().with_delay(Duration::from_millis(10));
    let (a, b, moved) = wires(
        Narrow(Fault::new(a, fault), mtu + 14),
        Narrow(Fault::new(b, fault), mtu + 14),
    );
    let tcp = || {
        Tcp::new().with_config(Config {
            mtu_probing: probing,
            ..Config::default()
        })
    };
    let mut pair = Pair::new(lan_with(a, 1, tcp()), lan_with(b, 2, tcp()), moved);
    let listener = TcpSocket::listener((EAST, 80).into(), 4);
    let listener = pair.a.open(listener).unwrap();
    let client = TcpSocket::connecting((EAST, 80).into());
    let mut client = Side::new(pair.b.open(client).unwrap(), 4_000_000);
    let mut server: Option<Side> = None;
    let (mut size, begin) = (0, pair.now);
    let end = pair.run(Duration::from_secs(limit), |a, b, now| {
        let info = b.socket(client.h).look(|s| s.info(&Config::default(), now));
        if let Ok(Some(info)) = info {
            size = info.snd_mss + 12;
        }
        if server.is_none() {
            server = a.socket(listener).accept().map(|h| Side::new(h, 0));
        }
        server.as_mut().is_some_and(|side| side.act(a)) & client.act(b)
    });
    (end == End::Done).then(|| (size, pair.now - begin))
}

#[test]
fn nothing_moves_without_probing() {
    assert_eq!(send(MtuProbing::Off, 1300, 300), None);
}

#[test]
fn a_black_hole_is_found() {
    for mtu in [1300, 1100, 700] {
        let (size, took) = send(MtuProbing::BlackHole, mtu, 300).expect("it ends");
        let most = mtu as u16 - 40;
        assert!(size <= most, "{mtu}: {size}");
        assert!(size > most / 2, "{mtu}: {size}");
        assert!(took < Duration::from_secs(30), "{mtu}: {took:?}");
    }
}

#[test]
fn the_size_is_found_from_the_beginning() {
    let (size, took) = send(MtuProbing::Always, 1300, 300).expect("it ends");
    assert!((1252..=1260).contains(&size), "{size}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // A wide path is used whole.
    let (size, took) = send(MtuProbing::Always, 1500, 300).expect("it ends");
    assert_eq!(size, 1460);
    assert!(took < Duration::from_secs(2), "{took:?}");
}
