//~ error[E0308]: mismatched types
//~ note: expected struct `PingSocket<Box<[u8]>>`
//~ error[E0277]: this stack has no layer for sockets of this kind
//~ note: add the protocol to the stack's transports

//! A socket of a protocol that the stack does not speak. With one table only, the compiler
//! takes it for the one that was meant.

use netstrata::Stack;
use netstrata::icmp::Icmp;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::socket::SlabSockets;
use netstrata::tcp::Tcp;
use netstrata::udp::UdpSocket;

type Link = Ethernet<phy::End>;
type Datagrams = UdpSocket<Box<[u8]>>;

pub fn one(stack: &mut Stack<Link, Ipv4, (Icmp,), SlabSockets>, socket: Datagrams) {
    let _ = stack.open(socket);
}

pub fn two(stack: &mut Stack<Link, Ipv4, (Icmp, Tcp), SlabSockets>, socket: Datagrams) {
    let _ = stack.open(socket);
}

fn main() {}
