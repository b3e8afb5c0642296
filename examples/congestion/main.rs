//! A congestion control of one's own, beside CUBIC on the same path, and a picture of both.
//!
//! `Vegas` is a type that implements `Congestion`; nothing of the crate was touched for it. An
//! observer writes down what happens to the connection, which carries 10 MB. The path takes
//! 20 Mbit/s with round trips of 20 ms, and has room for 100 ms more in its queue. Time is
//! virtual: seconds of it take a moment.
//!
//! ```text
//! $ cargo run --example congestion
//! cubic: 4.2 s, round trips of 92 ms, 10 segments lost
//! vegas: 4.2 s, round trips of 28 ms, 0 segments lost
//! drawn to congestion.svg
//! ```

mod picture;
mod vegas;

use std::time::Duration;

use netstrata::host::{Pattern, os_rng, pump};
use netstrata::iface::Ip;
use netstrata::net::Ipv4;
use netstrata::phy::{Cable, Device, Fault, FaultConfig, Instant};
use netstrata::socket::SlabSockets;
use netstrata::tcp::congestion::{Congestion, Cubic, Observed};
use netstrata::tcp::{Event, Observer, SocketOf, Tcp};
use netstrata::{Stack, transport::Transports};
use vegas::Vegas;

type Trouble = Box<dyn std::error::Error>;
type Socket<C> = SocketOf<SlabSockets, Observed<C, Log>>;

const SIZE: u64 = 10_000_000;

/// What happened to a connection.
#[derive(Debug, Clone, Default)]
struct Log {
    /// When, and the congestion window in octets.
    windows: Vec<(f64, f64)>,
    /// When, and a round-trip time in seconds.
    round_trips: Vec<(f64, f64)>,
    lost: u32,
}

impl Observer for Log {
    fn on_event(&mut self, now: Instant, event: &Event) {
        let now = now.micros() as f64 / 1e6;
        match event {
            Event::Cwnd { cwnd, .. } => self.windows.push((now, f64::from(*cwnd))),
            Event::Rtt { sample } => self.round_trips.push((now, sample.as_secs_f64())),
            Event::Lost { octets } => self.lost += octets.div_ceil(1448),
            _ => {}
        }
    }
}

/// A host at 10.0.0.`n`.
fn host<D: Device, T>(device: D, n: u8, tcp: T) -> Stack<Ip<D>, Ipv4, (T,), SlabSockets>
where
    (T,): Transports<SlabSockets, Tables: Default>,
{
    let net = Ipv4::default().with(0, [10, 0, 0, n].into(), 24);
    Stack::new(Ip::new(device), net, (tcp,), SlabSockets, &mut os_rng())
}

/// Sends `SIZE` octets under congestion control `C`: how long it took, and the log.
fn send<C: Congestion>() -> Result<(f64, Log), Trouble> {
    let delay = FaultConfig::new().with_delay(Duration::from_millis(10));
    let queue = delay.with_rate(20_000_000).with_queue(170);
    let (near, far) = Cable::new(1500);
    let near = Fault::with_directions(near, queue, delay);
    let mut a = host(near, 1, Tcp::<Observed<C, Log>>::default());
    let mut b = host(far, 2, Tcp::new());
    let server = "10.0.0.2:9".parse()?;
    let listener = b.open(SocketOf::<SlabSockets>::listener(server, 1))?;
    let client = a.open(Socket::<C>::connecting(server))?;

    let (mut pattern, mut left, mut got, mut accepted) = (Pattern::new(), SIZE, 0, None);
    let mut now = Instant::ZERO;
    while got < SIZE && now < Instant::from_secs(60) {
        now += Duration::from_micros(100);
        a.poll(now);
        b.poll(now);
        left -= a
            .socket(client)
            .with(|s| pump::generate(s, &mut pattern, left))?;
        accepted = accepted.or_else(|| b.socket(listener).accept());
        if let Some(h) = accepted {
            got += b.socket(h).with(|s| pump::discard(s, |_| ()))??.received;
        }
    }
    let log = |socket: &Socket<C>| Some(socket.control()?.observer().clone());
    let log = a.socket(client).look(log)?.filter(|_| got == SIZE);
    Ok((now.micros() as f64 / 1e6, log.ok_or("it takes too long")?))
}

fn main() -> Result<(), Trouble> {
    let name = std::env::args().nth(1);
    let file = name.as_deref().unwrap_or("congestion.svg");
    let mut all = Vec::new();
    for (name, run) in [
        ("cubic", send::<Cubic> as fn() -> _),
        ("vegas", send::<Vegas>),
    ] {
        let (seconds, log): (f64, Log) = run()?;
        let (rtts, lost) = (&log.round_trips, log.lost);
        let sum: f64 = rtts.iter().map(|(_, rtt)| rtt).sum();
        let mean = sum * 1000.0 / rtts.len().max(1) as f64;
        println!("{name}: {seconds:.1} s, round trips of {mean:.0} ms, {lost} segments lost");
        all.push((name, log));
    }
    picture::draw(file, &all)?;
    println!("drawn to {file}");
    Ok(())
}
