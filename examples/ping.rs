//! ICMP echo on the bare stack: a host is put together, asked to send, and polled.
//!
//! ```text
//! $ cargo run --example ping
//! 14 octets from 192.168.69.2: seq=1 ttl=64 time=191µs
//! 14 octets from 192.168.69.2: seq=2 ttl=64 time=30µs
//! 14 octets from 192.168.69.2: seq=3 ttl=64 time=19µs
//! 14 octets from 192.168.69.2: seq=4 ttl=64 time=18µs
//! 4 sent, 4 answered
//! ```
//!
//! The same on a tap of the kernel's, as root:
//! `cargo run --example ping -- --phy tap:tap0 --addr 192.168.1.2/24 192.168.1.1`

mod support;

use std::process::ExitCode;
use std::time::Duration;

use netstrata::Stack;
use netstrata::host::{Far, os_rng};
use netstrata::icmp::{Event, Icmp, PingSocket, Received};
use netstrata::phy::Instant;
use netstrata::socket::SlabSockets;
use support::Trouble;

const COUNT: u16 = 4;

fn main() -> Result<ExitCode, Trouble> {
    let place = support::open()?;
    let to = place.peer(place.words.first())?;
    let (mut far, mut runner) = (place.far.map(Far::new), place.runner);

    // A host is its layers. This one has no UDP and no TCP, so none of theirs is compiled in.
    let protocols = (Icmp::default(),);
    let mut host = Stack::new(place.link, place.net, protocols, SlabSockets, &mut os_rng());
    let ping = host.open(PingSocket::new(0, support::buffer(), support::buffer()))?;

    let mut replies = 0;
    for seq in 1..=COUNT {
        let sent = runner.now();
        let patience = sent + Duration::from_secs(1);
        let mut request = host.socket(ping);
        request.with(|socket| socket.send_to(to, seq, b"are you there?", None))??;

        let mut answered = false;
        while !answered && runner.now() < patience {
            runner.turn(&mut [&mut host, &mut far], Some(patience))?;
            let mut socket = host.socket(ping);
            while let Some(reply) = socket.with(|s| s.recv(|got| report(got, sent)))? {
                replies += usize::from(reply);
                answered = true;
            }
        }
    }
    println!("{COUNT} sent, {replies} answered");
    Ok(ExitCode::from(u8::from(replies == 0)))
}

/// Tells what became of a request; true if it was answered.
fn report(got: Received<'_>, sent: Instant) -> bool {
    let (from, seq) = (got.from, got.seq);
    match got.event {
        Event::Reply(data) => {
            let (octets, time) = (data.len(), got.when.saturating_since(sent));
            println!(
                "{octets} octets from {from}: seq={seq} ttl={} time={time:?}",
                got.ttl
            );
        }
        Event::Error(kind) => println!("{from} says: seq={seq} {}", kind.as_str()),
        Event::NotSent(why) => println!("seq={seq} was not sent: {why:?}"),
    }
    matches!(got.event, Event::Reply(_))
}
