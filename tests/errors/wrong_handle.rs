//~ error[E0308]: mismatched types
//~ note: expected `Handle<TcpSocket<Elastic, Elastic>>`, found `Handle<UdpSocket<Box<[u8]>>>`

//! The handle of one kind of socket used for another.

use netstrata::Stack;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::socket::{Handle, SlabSockets};
use netstrata::tcp::{SocketOf, Tcp};
use netstrata::udp::{Udp, UdpSocket};

type Host = Stack<Ethernet<phy::End>, Ipv4, (Udp, Tcp), SlabSockets>;

pub fn use_it(stack: &mut Host, datagrams: Handle<UdpSocket<Box<[u8]>>>) {
    let _ = stack.socket::<SocketOf<SlabSockets>, _>(datagrams);
}

fn main() {}
