//! Seam 2, a filter: a firewall in front of a server, which sees every IP packet first.
//!
//! ```text
//! $ cargo run --example firewall
//! dropped: TCP to another port
//! 192.168.69.1:80 says 9 octets
//! 192.168.69.1:23 says 0 octets
//! 3 packets passed, 1 dropped
//! ```
//!
//! On a device of the kernel's it stands until Ctrl-C, as root:
//! `cargo run --example firewall -- --phy tap:tap0 --addr 192.168.1.2/24`

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use netstrata::Stack;
use netstrata::error::Drop;
use netstrata::host::{Connection, Far, os_rng};
use netstrata::icmp::Icmp;
use netstrata::iface::{Filter, Filtered, Verdict};
use netstrata::phy::Instant;
use netstrata::socket::SlabSockets;
use netstrata::tcp::Tcp;
use netstrata::wire::{self, Ipv4, protocol};
use support::Trouble;

/// Lets in pings, and TCP to one port.
struct Firewall {
    port: u16,
}

impl Filter for Firewall {
    /// Headers suffice: what is sent may stay where it lies until the device takes it.
    const PAYLOAD: bool = false;

    fn ingress(&mut self, _now: Instant, packet: &mut [u8]) -> Verdict {
        match self.judge(packet) {
            Ok(()) => Verdict::Pass,
            Err(reason) => {
                println!("dropped: {reason}");
                Verdict::Drop
            }
        }
    }
}

impl Firewall {
    /// May it come in? It can be anything: nobody has looked at the packet before.
    fn judge(&self, packet: &[u8]) -> Result<(), &'static str> {
        let (ip, _, payload) = Ipv4::parse(packet).map_err(|_| "no IPv4 header")?;
        if ip.more_fragments || ip.fragment_offset > 0 {
            return Err("fragment, which hides its port");
        }
        match ip.protocol {
            protocol::ICMP => Ok(()),
            protocol::TCP => match wire::Tcp::parse(payload) {
                Ok((tcp, ..)) if tcp.dst == self.port => Ok(()),
                Ok(_) => Err("TCP to another port"),
                Err(_) => Err("bad TCP header"),
            },
            _ => Err("another protocol"),
        }
    }
}

fn main() -> Result<(), Trouble> {
    let place = support::open()?;
    let (mut far, mut runner) = (place.far.map(Far::new), place.runner);
    let doors = [80, 23].map(|port| SocketAddr::new(place.address, port));

    // The server listens on both ports: it is the firewall that tells them apart.
    let link = Filtered::new(place.link, Firewall { port: 80 });
    let protocols = (Icmp::default(), Tcp::default());
    let mut host = Stack::new(link, place.net, protocols, SlabSockets, &mut os_rng());
    for door in doors {
        host.open(Connection::listener(door, 16))?;
    }

    // On a cable the second host knocks at both, and has half a second.
    let (mut guests, mut end) = (Vec::new(), None);
    if let Some(far) = &mut far {
        end = Some(runner.now() + Duration::from_millis(500));
        for door in doors {
            guests.push((door, far.host().open(Connection::connecting(door))?));
        }
    }
    while end.is_none_or(|end| runner.now() < end) {
        runner.turn(&mut [&mut host, &mut far], end)?;
        while let Some(listener) = host.next_news::<Connection, _>() {
            while let Some(guest) = host.socket(listener).accept() {
                // A guest who has left already hears nothing.
                let _ = host.socket(guest).with(|s| s.send(b"Welcome!\n"))?;
                host.close(guest)?;
            }
        }
    }
    if let Some(far) = &mut far {
        for (door, guest) in guests {
            let heard = far.host().socket(guest).look(Connection::readable)?;
            println!("{door} says {heard} octets");
        }
    }
    let stats = host.stats();
    let dropped = stats.drops.get(Drop::Filtered);
    println!("{} packets passed, {dropped} dropped", stats.rx_packets);
    Ok(())
}
