//! What differs where there is no allocator: tables have a size, fragments no place.

use super::*;
use crate::context::Cx;
use crate::secret::Secret;
use phy::RxMeta;

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

#[test]
fn fragments_are_dropped_and_counted() {
    let mut cx = Cx::new(Secret::fixed());
    let mut net = Ipv4::default().with(0, A, 24);
    let mut packet = [0; 28];
    let header = Header {
        more_fragments: true,
        ..Header::new(Ipv4Addr::new(10, 0, 0, 2), A, 17)
    };
    header.emit(8, packet.first_chunk_mut().unwrap()).unwrap();
    let packet = Packet {
        octets: &mut packet,
        meta: RxMeta::new(),
        link: 0,
        cast: Cast::Unicast,
    };
    assert!(net.receive(&mut cx, packet).is_none());
    assert_eq!(cx.stats.drops.get(Drop::ReassemblyFull), 1);
}

#[test]
fn tables_say_when_they_are_full_and_stay_as_they_were() {
    let mut net = Ipv4::<2, 3>::sized();
    net.add_address(0, A, 24).unwrap();
    let all = Cidr::new(Ipv4Addr::UNSPECIFIED.into(), 0).unwrap();
    net.add_route(all, Ipv4Addr::new(10, 0, 0, 254), 0).unwrap();
    let other = Cidr::new(Ipv4Addr::new(10, 9, 0, 0).into(), 16).unwrap();
    net.add_route(other, None, 0).unwrap();
    assert_eq!(net.add_route(all, None, 1), Err(ConfigError::Full));
    // The address finds a place, its network does not: neither is added.
    let second = Ipv4Addr::new(10, 1, 0, 1);
    assert_eq!(net.add_address(0, second, 24), Err(ConfigError::Full));
    assert!(!net.owns(0, second.into()));
    assert!(net.remove_route(other, None, 0));
    net.add_address(0, second, 24).unwrap();
    assert_eq!(net.addresses().count(), 2);
    let third = Ipv4Addr::new(10, 2, 0, 1);
    assert_eq!(net.add_address(0, third, 24), Err(ConfigError::Full));
    for n in 0..8 {
        net.join(0, Ipv4Addr::new(239, 0, 0, n)).unwrap();
    }
    let ninth = Ipv4Addr::new(239, 0, 0, 8);
    assert_eq!(net.join(0, ninth), Err(ConfigError::Full));
}
