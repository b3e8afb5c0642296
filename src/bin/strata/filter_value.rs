//! The values of a filter: addresses, networks, ports, protocols.
//!
//! Invariant: a value that does not go with the words before it is refused at its own place.

use std::net::{IpAddr, Ipv4Addr};

use netstrata::Cidr;
use netstrata::wire::{ethertype, protocol};

use super::{FilterError, Kind, Limit, Parser, Prefix, Primitive, Proto, Qualifiers, Side};
use crate::services::protocol_name;

impl Parser<'_> {
    /// The value after `q`; `bare` when nothing stood before it.
    pub(super) fn value(&mut self, q: Qualifiers, bare: bool) -> Result<Primitive, FilterError> {
        let net = match q.proto {
            Some(Limit::Net(proto)) => Some(proto),
            _ => None,
        };
        let ether = q.proto == Some(Limit::Ether);
        let wrong = match (q.kind, q.proto) {
            (Kind::Host | Kind::Net, Some(Limit::Net(Proto::Tcp | Proto::Udp))) => {
                Some("tcp and udp have ports; hosts and networks go with ip, ip6 or arp")
            }
            (Kind::Port | Kind::PortRange, Some(Limit::Ether | Limit::Net(Proto::Arp))) => {
                Some("ports go with tcp and udp")
            }
            (Kind::Net, Some(Limit::Ether)) => Some("networks go with ip, ip6 or arp"),
            (Kind::Proto, Some(Limit::Net(Proto::Tcp | Proto::Udp | Proto::Arp))) => {
                Some("\"proto\" goes with ether, ip or ip6")
            }
            (Kind::Proto, _) if q.side != Side::Either => Some("a protocol has no src or dst"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(self.error(wrong));
        }
        let Some(text) = self.peek() else {
            return Err(self.expected(expectation(q, ether)));
        };
        let found = match q.kind {
            Kind::Host if ether => text
                .parse()
                .ok()
                .map(|mac| Primitive::EtherHost(q.side, mac)),
            Kind::Host => text.parse().ok().map(|ip| Primitive::Host(net, q.side, ip)),
            Kind::Net => return self.net(net, q.side, text),
            Kind::Port => self
                .port(text)
                .map(|p| Primitive::Ports(net, q.side, p..=p)),
            Kind::PortRange => text.split_once('-').and_then(|(from, to)| {
                let (from, to) = (self.port(from)?, self.port(to)?);
                Some(Primitive::Ports(net, q.side, from.min(to)..=from.max(to)))
            }),
            Kind::Proto if ether => ether_type(text).map(Primitive::EtherType),
            Kind::Proto => ip_protocol(text).map(|p| Primitive::Protocol(net, p)),
        };
        let fits = match (&found, net) {
            (Some(Primitive::Host(_, _, ip)), Some(Proto::Ip | Proto::Arp)) => ip.is_ipv4(),
            (Some(Primitive::Host(_, _, ip)), Some(Proto::Ip6)) => ip.is_ipv6(),
            _ => true,
        };
        match found {
            Some(primitive) if fits => {
                self.at += 1;
                Ok(primitive)
            }
            _ if bare && text.contains('[') => {
                Err(self.error("byte tests such as tcp[13] are not supported"))
            }
            _ if bare && text.starts_with(|c: char| c.is_alphabetic()) => {
                Err(self.error(format!("unknown word {text:?}")))
            }
            _ => Err(self.expected(expectation(q, ether))),
        }
    }

    fn port(&self, text: &str) -> Option<u16> {
        text.parse().ok().or_else(|| self.services.port(text))
    }

    /// `10.0.0.0/8`, `10.0.0.0 mask 255.0.0.0`, `10.1` (which is 10.1.0.0/16), or IPv6 with `/`.
    fn net(
        &mut self,
        proto: Option<Proto>,
        side: Side,
        text: &str,
    ) -> Result<Primitive, FilterError> {
        let mask = |prefix: u8, width: u32| match u32::from(prefix) {
            0 => 0,
            n => u128::MAX << (width - n.min(width)),
        };
        let net = match text.parse::<Cidr>() {
            Ok(cidr) => match cidr.ip() {
                IpAddr::V4(ip) => Some((ip.to_bits(), mask(cidr.prefix(), 32) as u32)),
                IpAddr::V6(ip) => {
                    let (net, mask) = (ip.to_bits(), mask(cidr.prefix(), 128));
                    return self.network(proto, side, Prefix::V6 { net, mask }, net & !mask != 0);
                }
            },
            Err(_) if text.contains('/') => None,
            Err(_) => short_net(text),
        };
        let Some((net, mut bits)) = net else {
            return Err(self.expected("a network such as 10.0.0.0/8"));
        };
        if self
            .tokens
            .get(self.at + 1)
            .is_some_and(|token| token.text == "mask")
        {
            self.at += 2;
            match self.peek().and_then(|mask| mask.parse::<Ipv4Addr>().ok()) {
                Some(mask) => bits = mask.to_bits(),
                None => return Err(self.expected("a netmask such as 255.255.0.0")),
            }
        }
        self.network(
            proto,
            side,
            Prefix::V4 { net, mask: bits },
            net & !bits != 0,
        )
    }

    fn network(
        &mut self,
        proto: Option<Proto>,
        side: Side,
        net: Prefix,
        beyond: bool,
    ) -> Result<Primitive, FilterError> {
        if beyond {
            return Err(self.error("the address has bits outside of its network"));
        }
        self.at += 1;
        Ok(Primitive::Net(proto, side, net))
    }
}

/// What would have been accepted.
fn expectation(q: Qualifiers, ether: bool) -> &'static str {
    match (q.kind, q.proto) {
        (Kind::Host, _) if ether => "a link address such as 02:00:00:00:00:01",
        (Kind::Host, Some(Limit::Net(Proto::Ip | Proto::Arp))) => "an IPv4 address",
        (Kind::Host, Some(Limit::Net(Proto::Ip6))) => "an IPv6 address",
        (Kind::Host, _) => "an address (names are not looked up)",
        (Kind::Net, _) => "a network such as 10.0.0.0/8",
        (Kind::Port, _) => "a port, by number or name",
        (Kind::PortRange, _) => "two ports joined by a hyphen, such as 1-1023",
        (Kind::Proto, _) => "a protocol, by number or name",
    }
}

/// One to four numbers, the rest of the address being the host's part.
fn short_net(text: &str) -> Option<(u32, u32)> {
    let parts: Vec<&str> = text.split('.').collect();
    let mut octets = [0; 4];
    for (octet, part) in octets.iter_mut().zip(&parts) {
        *octet = part.parse().ok()?;
    }
    let bits = match parts.len() {
        n @ 1..=4 => u32::MAX << (32 - 8 * n),
        _ => return None,
    };
    Some((u32::from_be_bytes(octets), bits))
}

fn ether_type(text: &str) -> Option<u16> {
    Some(match text.trim_start_matches('\\') {
        "ip" => ethertype::IPV4,
        "ip6" => ethertype::IPV6,
        "arp" => ethertype::ARP,
        number => match number.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        },
    })
}

fn ip_protocol(text: &str) -> Option<u8> {
    match text.trim_start_matches('\\') {
        "icmp6" => Some(protocol::ICMPV6),
        name => name
            .parse()
            .ok()
            .or_else(|| (1..=u8::MAX).find(|n| protocol_name(*n) == Some(name))),
    }
}
