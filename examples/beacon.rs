//! Seam 4, a protocol of one's own above IP, with its own sockets and timers: every host tells
//! all on the link that it is there, and hears who else is.
//!
//! ```text
//! $ cargo run --example beacon
//! heard {192.168.69.2}
//! heard {192.168.69.2}
//! heard {}
//! ```
//!
//! As root: `cargo run --example beacon -- --phy tap:tap0 --addr 192.168.1.2/24`

mod support;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netstrata::host::{FAR_MAC, Opened, os_rng};
use netstrata::iface::{Ethernet, Interface, PacketTx};
use netstrata::net::{Answer, Dest, Ingress, Ipv4, Output};
use netstrata::socket::{SlabSockets, Socket, SocketSet, Stores};
use netstrata::{Stack, context::Cx, error, phy::Instant, transport::Transport, wire::protocol};
use support::Trouble;

const EVERY: Duration = Duration::from_millis(100);
const TEXT: &[u8] = b"I am here";

/// A socket of the protocol.
#[derive(Default)]
struct Beacon {
    /// Whether it was sent since the deadline.
    sent: bool,
    /// Who was heard, until the application takes it.
    heard: BTreeSet<IpAddr>,
}

impl Socket for Beacon {
    /// What packets are matched by. Ports would stand here; one beacon hears them all.
    type Key = ();
    fn key(&self) -> Option<()> {
        Some(())
    }
}

/// The protocol: what happens to its sockets when packets come, time passes, room is there.
struct Beacons;

impl<S: Stores<Beacon>> Transport<S> for Beacons {
    type Set = S::Set;
    fn claims(&self, packet: &Ingress<'_>) -> bool {
        packet.ip.proto == protocol::EXPERIMENT
    }

    fn ingress<T: PacketTx>(&mut self, set: &mut S::Set, cx: &mut Cx, got: Ingress, _: Answer<T>) {
        match set.lookup(&()).and_then(|h| set.get_mut(h)) {
            Some(beacon) if got.payload == TEXT => drop(beacon.heard.insert(got.ip.src)),
            _ => cx.drop(error::Drop::Malformed), // and counted
        }
    }

    fn timers(&mut self, set: &mut S::Set, cx: &mut Cx) {
        while let Some(h) = set.next_expired(cx.now) {
            if let Some(beacon) = set.get_mut(h) {
                beacon.sent = false;
            }
            set.wake(h); // there is something to send
            set.notify(h); // and something to look at
        }
    }

    fn egress(&mut self, set: &mut S::Set, cx: &mut Cx, out: &mut impl Output, _: usize) -> usize {
        let mut packets = 0;
        while let Some(h) = set.next_ready() {
            match set.get_mut(h) {
                Some(beacon) if !beacon.sent => beacon.sent = true,
                _ => continue,
            }
            set.arm(h, Some(cx.now + EVERY));
            let all = Dest::new(Ipv4Addr::BROADCAST.into(), protocol::EXPERIMENT);
            // One that is lost does not matter: the next one follows.
            let _ = out.send(all, TEXT.len(), |_ip, octets| octets.copy_from_slice(TEXT));
            packets += 1;
        }
        packets
    }

    fn deadline(&self, set: &S::Set) -> Option<Instant> {
        set.next_deadline()
    }
}

type Host<I> = Stack<I, Ipv4, (Beacons,), SlabSockets>;

fn host<I: Interface>(link: I, net: Ipv4) -> Result<Host<I>, Trouble> {
    let mut host = Stack::new(link, net, (Beacons,), SlabSockets, &mut os_rng());
    host.open(Beacon::default())?;
    Ok(host)
}

fn main() -> Result<(), Trouble> {
    let place = support::open()?;
    let (mut near, mut runner) = (host(place.link, place.net)?, place.runner);
    let mut left = place.far.as_ref().map_or(usize::MAX, |_| 3);
    let far = |end| host(Ethernet::new(end, FAR_MAC), Opened::far_net());
    let mut far = place.far.map(far).transpose()?;
    while left > 0 {
        runner.turn(&mut [&mut near, &mut far], None)?;
        while let Some(h) = near.next_news::<Beacon, _>() {
            let heard = near
                .socket(h)
                .with(|beacon| std::mem::take(&mut beacon.heard))?;
            println!("heard {heard:?}");
            left -= 1;
            far.take_if(|_| left == 2); // pulls the plug
        }
    }
    Ok(())
}
