//! A TCP and UDP echo server (RFC 862) on the bare stack: work follows news of sockets.
//!
//! ```text
//! $ cargo run --example echo
//! echo on 192.168.69.1:7
//! 5 octets from 192.168.69.2:52274
//! ESTABLISHED 192.168.69.1:7 -> 192.168.69.2:52826
//! CLOSE-WAIT 192.168.69.1:7 -> 192.168.69.2:52826
//! ```
//!
//! On a cable the second host visits, and the program ends when it has left. On a device of the
//! kernel's it serves whoever comes until Ctrl-C, as root:
//! `cargo run --example echo -- --phy tap:tap0 --addr 192.168.1.2/24`

mod support;

use std::net::SocketAddr;

use netstrata::Stack;
use netstrata::host::{AnyLink, Connection, Datagrams, Far, Host, os_rng, pump};
use netstrata::icmp::Icmp;
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::Tcp;
use netstrata::udp::Udp;
use support::Trouble;

fn main() -> Result<(), Trouble> {
    let place = support::open()?;
    let here = SocketAddr::new(place.address, 7);
    let (mut far, mut runner) = (place.far.map(Far::new), place.runner);
    let mut guests = usize::MAX;
    if let Some(far) = &mut far {
        guests = 2;
        far.greet(here, b"hello");
        far.visit(here, 1_000_000);
    }

    let protocols = (Icmp::default(), Udp::default(), Tcp::default());
    let mut host = Stack::new(place.link, place.net, protocols, SlabSockets, &mut os_rng());
    host.open(Datagrams::new(7, support::buffer(), support::buffer()))?;
    let listener = host.open(Connection::listener(here, 16))?;
    println!("echo on {here}");

    let mut scratch = support::buffer();
    while guests > 0 {
        // Sleeps until a frame comes or a timer is due.
        runner.turn(&mut [&mut host, &mut far], None)?;

        // Nobody asks every socket what it has: those that have something are named.
        while let Some(h) = host.next_news::<Datagrams, _>() {
            guests = guests.saturating_sub(answer(&mut host, h, &mut scratch)?);
        }
        while let Some(h) = host.next_news::<Connection, _>() {
            while let Some(guest) = host.socket(listener).accept() {
                host.socket(guest).look(|guest| println!("{guest:?}"))?;
            }
            if h != listener && serve(&mut host, h, &mut scratch)? {
                host.close(h)?;
                guests = guests.saturating_sub(1);
            }
        }
    }
    Ok(())
}

type Server = Host<AnyLink>;

/// Sends back every datagram that has come; returns how many.
fn answer(host: &mut Server, h: Handle<Datagrams>, scratch: &mut [u8]) -> Result<usize, Trouble> {
    let mut answered = 0;
    host.socket(h).with(|socket| {
        while let Ok(got) = socket.recv_from(scratch) {
            println!("{} octets from {}", got.len, got.peer);
            // Without room for it the answer is lost, as datagrams may be.
            let _ = socket.send_to(&scratch[..got.len], got.peer);
            answered += 1;
        }
    })?;
    Ok(answered)
}

/// Sends back what has come on a connection; true when that was all.
fn serve(host: &mut Server, h: Handle<Connection>, scratch: &mut [u8]) -> Result<bool, Trouble> {
    let mut socket = host.socket(h);
    match socket.with(|socket| pump::echo(socket, scratch))? {
        Ok(moved) if !moved.ended => return Ok(false),
        Ok(_) => {}
        Err(error) => println!("{error}"),
    }
    socket.look(|socket| println!("{socket:?}"))?;
    Ok(true)
}
