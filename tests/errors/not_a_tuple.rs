//~ error[E0277]: `netstrata::udp::Udp` is not a set of transport protocols
//~ note: write a tuple even for one protocol: `(Udp,)`

//! One protocol where a tuple of protocols belongs.

use netstrata::Stack;
use netstrata::iface::Ethernet;
use netstrata::net::Ipv4;
use netstrata::socket::SlabSockets;
use netstrata::udp::Udp;
use netstrata::wire::Mac;

pub fn host(rng: &mut impl rand_core::CryptoRng) {
    let link = Ethernet::new(phy::Cable::new(1514).0, Mac([2, 0, 0, 0, 0, 1]));
    let _ = Stack::new(link, Ipv4::default(), Udp::default(), SlabSockets, rng);
}

fn main() {}
