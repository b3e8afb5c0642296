//! The same work on one stack and on two, each on a thread of its own.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant as Clock;

use netstrata::Stack;
use netstrata::host::{Connection, Opened, Phy, Settings, Shard, on_threads, pump};
use netstrata::socket::SlabSockets;
use netstrata::wire::Mac;

use crate::content::Text;
use crate::kernel::{self, MAC, PORT, STACK};
use crate::ours::{Pair, Seed};
use crate::work::Access;

/// Octets that cross cables, shared out.
pub const IN_MEMORY: usize = 1 << 30;
/// Connections opened, used and closed on cables, shared out.
pub const CHURN: usize = 40_000;
/// Octets from the kernel, shared out over [`CLIENTS`].
pub const FROM_KERNEL: u64 = 2 << 30;
/// Connections of the kernel at once.
pub const CLIENTS: u64 = 8;

/// Sends [`IN_MEMORY`] octets over `stacks` cables, a pair of hosts and a thread for each; seconds.
pub fn bulk(stacks: usize) -> io::Result<f64> {
    together(stacks, |mut pair| {
        pair.bulk(IN_MEMORY / stacks, Access::Copy, Text::Plain)
    })
}

/// Opens, uses and closes [`CHURN`] connections on `stacks` cables, 1,000 at once on each; seconds.
pub fn churn(stacks: usize) -> io::Result<f64> {
    together(stacks, |mut pair| {
        Ok(pair.churn(CHURN / 1000 / stacks, 1000))
    })
}

/// Seconds until all have done their `work`, from when all are ready.
fn together(stacks: usize, work: impl Fn(Pair) -> io::Result<f64> + Sync) -> io::Result<f64> {
    let mut pairs: Vec<_> = (0..stacks).map(|_| Pair::new(1500)).collect();
    for pair in &mut pairs {
        pair.establish(1, Some(crate::work::BUFFER));
    }
    let start = Clock::now();
    let done = on_threads(pairs, work);
    let took = start.elapsed().as_secs_f64();
    done.into_iter().try_for_each(|result| result.map(drop))?;
    Ok(took)
}

/// Receives [`FROM_KERNEL`] octets of [`CLIENTS`] connections on `stacks` queues of one tap;
/// seconds.
pub fn from_kernel(stacks: usize) -> io::Result<f64> {
    let settings = Settings {
        phy: Phy::Tap("cores0".into()),
        addrs: vec![
            format!("{STACK}/24")
                .parse()
                .map_err(|_| io::ErrorKind::InvalidInput)?,
        ],
        mac: Some(Mac(MAC)),
        offload: true,
        ..Settings::default()
    };
    let shards = settings.open_shards(stacks).map_err(io::Error::other)?;
    kernel::address("cores0")?;
    let bells: Vec<_> = shards.iter().map(|shard| shard.at.runner.bell()).collect();
    let (got, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let start = Clock::now();
    std::thread::scope(|scope| {
        let stacks = scope.spawn(|| on_threads(shards, |shard| swallow(shard, &got, &over)));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| kernel::source(FROM_KERNEL / CLIENTS, Text::Plain))
            .collect();
        let sent = clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(drop)?.map(drop).map_err(drop));
        over.store(true, Relaxed);
        bells.iter().for_each(phy::Bell::ring);
        let ended = stacks.join().is_ok();
        match (sent, ended, got.load(Relaxed)) {
            (Ok(()), true, FROM_KERNEL) => Ok(start.elapsed().as_secs_f64()),
            _ => Err(io::Error::other("not all arrived")),
        }
    })
}

/// One stack: takes connections and throws away what they bring.
fn swallow(shard: Shard, got: &AtomicU64, over: &AtomicBool) {
    let protocols = shard.protocols::<netstrata::tcp::congestion::Any>();
    let (at, seed) = (shard.at, u64::from(shard.share.index()) + 11);
    let link = Opened::link(at.device, at.medium, at.mac);
    let mut host = Stack::new(link, at.net, protocols, SlabSockets, &mut Seed(seed));
    let mut runner = at.runner;
    let Ok(listener) = host.open(Connection::listener((STACK, PORT).into(), 128)) else {
        return;
    };
    while !over.load(Relaxed) && runner.turn(&mut [&mut host], None).is_ok() {
        while let Some(h) = host.next_news::<Connection, _>() {
            while host.socket(listener).accept().is_some() {}
            if h == listener {
                continue;
            }
            let moved = host.socket(h).with(|s| pump::discard(s, |_| ()));
            if let Ok(Ok(moved)) = moved {
                got.fetch_add(moved.received, Relaxed);
                if moved.ended {
                    let _ = host.close(h);
                }
            }
        }
    }
}
