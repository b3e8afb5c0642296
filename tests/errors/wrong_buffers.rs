//~ error[E0308]: arguments to this function are incorrect
//~ note: expected `Box<[u8]>`, found `Vec<u8>`
//~ error[E0277]: this stack has no layer for sockets of this kind

//! Buffers of another kind than the stack's storage keeps.

use netstrata::Stack;
use netstrata::icmp::Icmp;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::socket::SlabSockets;
use netstrata::udp::{Udp, UdpSocket};

type Link = Ethernet<phy::End>;

pub fn one(stack: &mut Stack<Link, Ipv4, (Udp,), SlabSockets>, rx: Vec<u8>, tx: Vec<u8>) {
    let _ = stack.open(UdpSocket::new(7, rx, tx));
}

pub fn two(stack: &mut Stack<Link, Ipv4, (Icmp, Udp), SlabSockets>, rx: Vec<u8>, tx: Vec<u8>) {
    let _ = stack.open(UdpSocket::new(7, rx, tx));
}

fn main() {}
