//! What a filter expression means.
//!
//! Invariant: a question about a field that is not there, or was not caught, is answered no.
//! Evaluation allocates nothing and its depth is bounded by the parser. Unlike pcap filters,
//! VLAN tags are looked through everywhere: `tcp` includes tagged TCP, `vlan 5 and tcp` only
//! that of VLAN 5.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use netstrata::wire::{Ethernet, Mac, ethertype, protocol};

use crate::services::Services;
use crate::view::{Net, View};

#[path = "filter_parse.rs"]
mod parse;

pub use parse::FilterError;

/// A compiled filter. The empty one matches everything.
#[derive(Debug, Default)]
pub struct Filter(Option<Expr>);

impl Filter {
    /// Compiles an expression such as `tcp port 80 and not host 10.0.0.1`.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, services: &Services) -> Result<Self, FilterError> {
        parse::parse(text, services).map(Self)
    }

    /// Whether a frame is wanted.
    pub fn matches(&self, view: &View<'_>) -> bool {
        self.0.as_ref().is_none_or(|expr| expr.matches(view))
    }
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
enum Expr {
    /// The first, then the others from left to right, `and` and `or` binding alike.
    Chain(Box<Expr>, Vec<(Join, Expr)>),
    Not(Box<Expr>),
    Is(Primitive),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    And,
    Or,
}

/// Which end of the conversation a primitive asks about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Side {
    #[default]
    Either,
    Src,
    Dst,
    Both,
}

/// Which protocol a primitive is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proto {
    Ip,
    Ip6,
    Arp,
    Tcp,
    Udp,
}

/// One question about a frame.
#[derive(Debug, Clone, PartialEq)]
enum Primitive {
    EtherType(u16),
    /// IP protocol, asked of one version or of both.
    Protocol(Option<Proto>, u8),
    Vlan(Option<u16>),
    EtherHost(Side, Mac),
    Broadcast,
    Multicast,
    /// IPv4 multicast or IPv6 multicast, by address.
    IpMulticast(Proto),
    Host(Option<Proto>, Side, IpAddr),
    /// Address with its mask, both in host order of the family's width.
    Net(Option<Proto>, Side, Prefix),
    Ports(Option<Proto>, Side, RangeInclusive<u16>),
    Less(usize),
    Greater(usize),
}

/// A network: its address and mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefix {
    V4 { net: u32, mask: u32 },
    V6 { net: u128, mask: u128 },
}

impl Prefix {
    fn contains(self, ip: IpAddr) -> bool {
        match (self, ip) {
            (Self::V4 { net, mask }, IpAddr::V4(ip)) => ip.to_bits() & mask == net,
            (Self::V6 { net, mask }, IpAddr::V6(ip)) => ip.to_bits() & mask == net,
            _ => false,
        }
    }
}

impl Side {
    fn ask<T>(self, src: T, dst: T, is: impl Fn(T) -> bool) -> bool {
        match self {
            Self::Either => is(src) || is(dst),
            Self::Src => is(src),
            Self::Dst => is(dst),
            Self::Both => is(src) && is(dst),
        }
    }
}

impl Expr {
    fn matches(&self, view: &View<'_>) -> bool {
        match self {
            Self::Chain(first, rest) => {
                let mut so_far = first.matches(view);
                for (join, expr) in rest {
                    so_far = match join {
                        Join::And => so_far && expr.matches(view),
                        Join::Or => so_far || expr.matches(view),
                    };
                }
                so_far
            }
            Self::Not(expr) => !expr.matches(view),
            Self::Is(primitive) => primitive.matches(view),
        }
    }
}

impl Primitive {
    fn matches(&self, view: &View<'_>) -> bool {
        match self {
            Self::EtherType(kind) => view.kind == Some(*kind),
            Self::Protocol(version, proto) => view.ip().is_some_and(|ip| {
                let version_fits = match version {
                    Some(Proto::Ip) => ip.v4.is_some(),
                    Some(Proto::Ip6) => ip.v4.is_none(),
                    _ => true,
                };
                version_fits && (ip.proto == *proto || ip.first == *proto)
            }),
            Self::Vlan(None) => view.tags.iter().any(Option::is_some),
            Self::Vlan(vid) => view.tags.contains(vid),
            Self::EtherHost(side, mac) => on_link(view, |e| side.ask(e.src, e.dst, |m| m == *mac)),
            Self::Broadcast => on_link(view, |e| e.dst.is_broadcast()),
            Self::Multicast => on_link(view, |e| e.dst.is_multicast()),
            Self::IpMulticast(version) => {
                addresses(view, Some(*version)).is_some_and(|(_, dst)| dst.is_multicast())
            }
            Self::Host(proto, side, host) => addresses(view, *proto)
                .is_some_and(|(src, dst)| side.ask(src, dst, |ip| ip == *host)),
            Self::Net(proto, side, net) => addresses(view, *proto)
                .is_some_and(|(src, dst)| side.ask(src, dst, |ip| net.contains(ip))),
            Self::Ports(proto, side, range) => view.ip().is_some_and(|ip| {
                let proto_fits = match proto {
                    Some(Proto::Tcp) => ip.proto == protocol::TCP,
                    Some(Proto::Udp) => ip.proto == protocol::UDP,
                    Some(Proto::Ip) => ip.v4.is_some(),
                    Some(Proto::Ip6) => ip.v4.is_none(),
                    Some(Proto::Arp) => false,
                    None => true,
                };
                let fits = |port| range.contains(&port);
                proto_fits
                    && ip
                        .ports()
                        .is_some_and(|(src, dst)| side.ask(src, dst, fits))
            }),
            Self::Less(len) => view.len <= *len,
            Self::Greater(len) => view.len >= *len,
        }
    }
}

fn on_link(view: &View<'_>, is: impl Fn(&Ethernet) -> bool) -> bool {
    view.link.as_ref().is_some_and(is)
}

/// Who speaks to whom, in IP or in ARP (for which it is sender and target).
fn addresses(view: &View<'_>, proto: Option<Proto>) -> Option<(IpAddr, IpAddr)> {
    let (speaks, pair) = match &view.net {
        Net::Arp(arp) => (Proto::Arp, (arp.sender.1.into(), arp.target.1.into())),
        Net::Ip(ip) => {
            let version = if ip.v4.is_some() {
                Proto::Ip
            } else {
                Proto::Ip6
            };
            (version, (ip.src, ip.dst))
        }
        Net::Malformed | Net::Other => return None,
    };
    proto.is_none_or(|wanted| wanted == speaks).then_some(pair)
}

/// The protocols that are primitives by themselves.
fn word(word: &str) -> Option<Primitive> {
    Some(match word {
        "ip" => Primitive::EtherType(ethertype::IPV4),
        "ip6" => Primitive::EtherType(ethertype::IPV6),
        "arp" => Primitive::EtherType(ethertype::ARP),
        "tcp" => Primitive::Protocol(None, protocol::TCP),
        "udp" => Primitive::Protocol(None, protocol::UDP),
        "icmp" => Primitive::Protocol(Some(Proto::Ip), protocol::ICMP),
        "icmp6" => Primitive::Protocol(Some(Proto::Ip6), protocol::ICMPV6),
        "igmp" => Primitive::Protocol(Some(Proto::Ip), protocol::IGMP),
        "sctp" => Primitive::Protocol(None, 132),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
