//~ error[E0277]: `phy::End` does not carry IP packets
//~ note: wrap a device in a link layer

//! A whole stack on a device without a link layer.

use netstrata::Stack;
use netstrata::net::Ipv4;
use netstrata::socket::SlabSockets;
use netstrata::udp::Udp;

pub fn host(rng: &mut impl rand_core::CryptoRng) {
    let device = phy::Cable::new(1514).0;
    let _ = Stack::new(device, Ipv4::default(), (Udp::default(),), SlabSockets, rng);
}

fn main() {}
