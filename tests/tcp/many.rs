//! Two hosts, many connections.

use core::time::Duration;

use super::*;
use crate::support::pair::{End, Pair, wires};
use netstrata::iface::Ethernet;
use netstrata::phy::Device;
use netstrata::tcp::{RecvError, Shutdown};
use netstrata::wire::Mac;

/// A host on an Ethernet.
type Lan<D> = Stack<Ethernet<D>, Ipv4, (Tcp,), SlabSockets>;

fn lan<D: Device>(device: D, n: u8) -> Lan<D> {
    let iface = Ethernet::new(device, Mac([2, 0, 0, 0, 0, n]));
    let ip = Ipv4::default().with(0, [192, 0, 2, n].into(), 24);
    Stack::new(iface, ip, (Tcp::new(),), SlabSockets, &mut Seed(n.into()))
}

/// One connection of a client: it sends its number of octets and wants them back.
struct Client {
    h: Handle<Socket>,
    len: u64,
    sent: u64,
    back: u64,
    over: bool,
}

fn serve<D: Device>(host: &mut Lan<D>, listener: Handle<Socket>) {
    while let Some(h) = host.next_news::<Socket, _>() {
        if h == listener {
            while host.socket(listener).accept().is_some() {}
            continue;
        }
        let over = host.socket(h).with(|s| {
            loop {
                let room = s.writable();
                let [text, _] = s.peek();
                let n = text.len().min(room);
                if n == 0 {
                    break s.is_at_end();
                }
                let text = text[..n].to_vec();
                assert_eq!(s.send(&text), Ok(n));
                s.consume(n);
            }
        });
        if over == Ok(true) {
            host.close(h).unwrap();
        }
    }
}

fn act<D: Device>(host: &mut Lan<D>, clients: &mut [Client]) -> bool {
    for client in clients.iter_mut().filter(|client| !client.over) {
        host.socket(client.h)
            .with(|s| {
                while client.sent < client.len && s.writable() > 0 {
                    let end = client.len.min(client.sent + 1000);
                    let text: Vec<u8> = (client.sent..end).map(pattern).collect();
                    client.sent += s.send(&text).unwrap() as u64;
                    if client.sent == client.len {
                        s.shutdown(Shutdown::Write);
                    }
                }
                let mut text = [0; 4096];
                loop {
                    match s.recv(&mut text) {
                        Ok(0) => break client.over = true,
                        Ok(n) => {
                            for octet in &text[..n] {
                                assert_eq!(*octet, pattern(client.back));
                                client.back += 1;
                            }
                        }
                        Err(RecvError::Empty) => break,
                        Err(error) => panic!("{error} after {}", client.back),
                    }
                }
            })
            .unwrap();
        if client.over {
            assert_eq!(client.back, client.len);
            host.close(client.h).unwrap();
        }
    }
    clients.iter().all(|client| client.over)
}

#[test]
fn two_hundred_clients_at_once() {
    let (a, b) = Cable::new(1514);
    let (a, b, moved) = wires(a, b);
    let mut pair = Pair::new(lan(a, 1), lan(b, 2), moved);
    let listener = TcpSocket::listener((EAST, PORT).into(), 256);
    let listener = pair.a.open(listener).unwrap();
    let mut clients: Vec<Client> = (0..200)
        .map(|n| Client {
            h: pair
                .b
                .open(TcpSocket::connecting((EAST, PORT).into()))
                .unwrap(),
            len: 100 + n * 101,
            sent: 0,
            back: 0,
            over: false,
        })
        .collect();
    let end = pair.run(Duration::from_secs(60), |a, b, _| {
        serve(a, listener);
        act(b, &mut clients)
    });
    assert_eq!(end, End::Done);
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.a.sockets::<Socket, _>().len(), 1);
    assert_eq!(pair.b.sockets::<Socket, _>().len(), 0);
    let waiting = pair.a.transports().0.waiting() + pair.b.transports().0.waiting();
    assert_eq!(waiting, 200);
    pair.pass(Duration::from_secs(120));
    let waiting = pair.a.transports().0.waiting() + pair.b.transports().0.waiting();
    assert_eq!(waiting, 0);
    assert_eq!(
        pair.a.stats().tcp_resets_sent + pair.b.stats().tcp_resets_sent,
        0
    );
}

#[test]
fn a_host_that_does_not_answer_is_told_soon() {
    let (a, b) = Cable::new(1514);
    let (a, b, moved) = wires(a, b);
    let mut pair = Pair::new(lan(a, 1), lan(b, 2), moved);
    let h: Handle<Socket> = pair
        .a
        .open(TcpSocket::connecting("192.0.2.77:80".parse().unwrap()))
        .unwrap();
    let mut error = None;
    let end = pair.run(Duration::from_secs(20), |a, _, _| {
        error = error.or(a.socket(h).with(|s| s.take_error()).unwrap());
        error.is_some()
    });
    assert_eq!(end, End::Done);
    assert_eq!(error, Some(netstrata::tcp::TcpError::HostUnreachable));
}

#[test]
fn ephemeral_ports_towards_one_peer_differ() {
    // Ports chosen for one peer differ, and none is given out twice.
    let mut script = host();
    let mut ports: Vec<u16> = (0..100)
        .map(|_| {
            let h: Handle<Socket> = script
                .host
                .open(TcpSocket::connecting((WEST, 5000).into()))
                .unwrap();
            script.wait(1);
            script
                .host
                .socket(h)
                .look(|s| s.local_addr())
                .unwrap()
                .unwrap()
                .port()
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 100);
    assert!(ports[0] >= 32768);
}
