//! A TCP echo server (RFC 862) on several cores: a stack on each queue of a device, each on a
//! thread of its own. They have one address and share nothing.
//!
//! ```text
//! $ cargo run --example shards
//! stack 0 of 2: 2 connections, 2000000 octets, 0 frames for others
//! stack 1 of 2: 2 connections, 2000000 octets, 0 frames for others
//! ```
//!
//! On a cable there is one for each stack, with two visitors at its end. On a tap, or over
//! packet sockets (`raw:IFACE`), the kernel spreads connections over the queues, and stacks serve
//! whoever comes until Ctrl-C, which resets who is there still and prints the counts; as root:
//! `cargo run --release --example shards -- --queues 2 --phy tap:tap0 --addr 192.168.1.2/24`

#[path = "support/stop.rs"]
mod stop;
mod support;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use netstrata::Stack;
use netstrata::host::{Connection, Far, Host, Opened, Settings, Shard, on_threads, os_rng, pump};
use netstrata::iface::Interface;
use netstrata::socket::{Handle, SlabSockets};
use support::Trouble;

const PORT: u16 = 7;

fn main() -> Result<(), Trouble> {
    let (settings, words) = Settings::from_words(std::env::args().skip(1))?;
    let queues = match words.as_slice() {
        [] => 2,
        [flag, count] if flag == "--queues" => count.parse()?,
        _ => return Err("expected --queues COUNT".into()),
    };
    let shards = settings.open_shards(queues)?;
    let bells = shards.iter().map(|shard| shard.at.runner.bell());
    stop::listen(bells.collect())?;
    for served in on_threads(shards, serve) {
        println!("{}", served?);
    }
    Ok(())
}

/// One stack, from its first frame to its last visitor.
fn serve(shard: Shard) -> Result<String, Trouble> {
    let (protocols, share) = (shard.protocols(), shard.share);
    let Shard { at, post, .. } = shard;
    let name = format!("stack {} of {}", share.index(), share.of());
    let link = Opened::link(at.device, at.medium, at.mac);
    let here = at.net.addresses().next().map(|(_, cidr)| cidr.ip());
    let here = here.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let mut far = at.far.map(Far::new);
    let mut guests = usize::MAX;
    if let Some(far) = &mut far {
        guests = 2;
        for _ in 0..guests {
            far.visit(SocketAddr::new(here, PORT), 1_000_000);
        }
    }

    let mut host = Stack::new(link, at.net, protocols, SlabSockets, &mut os_rng());
    // Every stack listens: whoever connects is served by the stack to which the kernel's hash of
    // addresses and ports leads.
    let listener = host.open(Connection::listener(SocketAddr::new(here, PORT), 128))?;
    let (mut runner, mut scratch) = (at.runner, support::buffer());
    let (mut connections, mut octets) = (0, 0);
    let mut open = HashSet::new();
    while guests > 0 && !stop::asked() {
        runner.turn(&mut [&mut host, &mut far], None)?;
        while let Some(h) = host.next_news::<Connection, _>() {
            while let Some(guest) = host.socket(listener).accept() {
                connections += 1;
                open.insert(guest);
                if guests == usize::MAX {
                    host.socket(guest)
                        .look(|guest| println!("{name}: {guest:?}"))?;
                }
            }
            if h != listener {
                let (moved, ended) = echo(&mut host, h, &mut scratch)?;
                octets += moved;
                if ended {
                    open.remove(&h);
                    host.close(h)?;
                    guests = guests.saturating_sub(1);
                }
            }
        }
    }
    for h in open {
        host.socket(h).with(|guest| guest.abort())?;
    }
    // What was said last leaves with this turn.
    let now = runner.now();
    runner.turn(&mut [&mut host, &mut far], Some(now))?;
    let passed = post.passed();
    Ok(format!(
        "{name}: {connections} connections, {octets} octets, {passed} frames for others"
    ))
}

/// Sends back what has come on a connection: how much, and whether that was all.
fn echo<I: Interface>(
    host: &mut Host<I>,
    h: Handle<Connection>,
    scratch: &mut [u8],
) -> Result<(u64, bool), Trouble> {
    match host.socket(h).with(|socket| pump::echo(socket, scratch))? {
        Ok(moved) => Ok((moved.received, moved.ended)),
        Err(broken) => {
            println!("{broken}");
            Ok((broken.moved.received, true))
        }
    }
}
