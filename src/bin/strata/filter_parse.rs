//! The grammar of filter expressions, a subset of `pcap-filter(7)`.
//!
//! ```text
//! expr      = factor { ("and" | "&&" | "or" | "||") factor }     both bind alike, left to right
//! factor    = ("not" | "!") factor | "(" expr ")" | primitive
//! primitive = [proto] [side] [type] value | proto | "vlan" [number] | ("less" | "greater") number
//!           | ["ether" | "ip" | "ip6"] ("broadcast" | "multicast")
//! proto     = ether ip ip6 arp tcp udp icmp icmp6 igmp sctp
//! side      = src dst "src or dst" "src and dst"
//! type      = host net port portrange proto
//! ```
//!
//! A value alone takes the qualifiers of the primitive before it: `port 80 or 443`. Invariant:
//! any text is parsed or refused with a place and a reason; nesting is bounded, so neither
//! parsing nor matching can exhaust the stack.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use netstrata::Cidr;
use netstrata::wire::ethertype;

use super::{Expr, Join, Prefix, Primitive, Proto, Side, word};
use crate::services::{Services, protocol_name};

/// Parentheses and negations inside each other at most.
const MAX_DEPTH: usize = 64;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Characters before the place, and one.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

/// Compiles an expression; `None` when there is none.
pub(super) fn parse(text: &str, services: &Services) -> Result<Option<Expr>, FilterError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text),
        at: 0,
        last: None,
        services,
    };
    if parser.tokens.is_empty() {
        return Ok(None);
    }
    let expr = parser.expr(0)?;
    match parser.peek() {
        None => Ok(Some(expr)),
        Some(")") => Err(parser.error("this parenthesis was not opened")),
        Some(found) => Err(parser.error(format!("expected \"and\" or \"or\" before {found:?}"))),
    }
}

/// A word or sign, and the octet it begins at.
#[derive(Clone, Copy)]
struct Token<'t> {
    text: &'t str,
    at: usize,
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    // Each turn takes at least one character off.
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let sign = ["&&", "||", "(", ")", "!"];
        let len = match sign.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => sign.len(),
            None => {
                let ends = |c: char| c.is_whitespace() || "()!&|".contains(c);
                let first = rest.chars().next().map_or(1, char::len_utf8);
                if rest.starts_with(char::is_whitespace) {
                    at += first;
                    continue;
                }
                rest.find(ends).unwrap_or(rest.len()).max(first)
            }
        };
        let word = rest.get(..len).unwrap_or(rest);
        tokens.push(Token { text: word, at });
        at += len;
    }
    tokens
}

/// What stands before a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Qualifiers {
    proto: Option<Limit>,
    side: Side,
    kind: Kind,
}

/// The protocol a value is limited to; `Ether` means the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Ether,
    Net(Proto),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    at: usize,
    /// Qualifiers of the last primitive that had a value.
    last: Option<Qualifiers>,
    services: &'t Services,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.at).map(|token| token.text)
    }

    /// Steps over the next token if it is one of `words`.
    fn take(&mut self, words: &[&str]) -> Option<&'t str> {
        let found = self.peek().filter(|found| words.contains(found))?;
        self.at += 1;
        Some(found)
    }

    /// An error at the next token, or behind the last.
    fn error(&self, what: impl Into<String>) -> FilterError {
        let at = self
            .tokens
            .get(self.at)
            .map_or(self.text.len(), |token| token.at);
        let before = self.text.get(..at).unwrap_or(self.text);
        FilterError {
            column: before.chars().count() + 1,
            what: what.into(),
        }
    }

    /// "..., found X".
    fn expected(&self, what: impl fmt::Display) -> FilterError {
        match self.peek() {
            Some(found) => self.error(format!("expected {what}, found {found:?}")),
            None => self.error(format!("expected {what}, but the filter ends here")),
        }
    }

    fn expr(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let first = self.factor(depth)?;
        let mut rest = Vec::new();
        while let Some(join) = self.take(&["and", "&&", "or", "||"]) {
            let join = match join {
                "and" | "&&" => Join::And,
                _ => Join::Or,
            };
            rest.push((join, self.factor(depth)?));
        }
        match rest.is_empty() {
            true => Ok(first),
            false => Ok(Expr::Chain(Box::new(first), rest)),
        }
    }

    fn factor(&mut self, depth: usize) -> Result<Expr, FilterError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("more than {MAX_DEPTH} levels of nesting")));
        }
        if self.take(&["not", "!"]).is_some() {
            return Ok(Expr::Not(Box::new(self.factor(depth + 1)?)));
        }
        if self.take(&["("]).is_some() {
            let inner = self.expr(depth + 1)?;
            return match self.take(&[")"]) {
                Some(_) => Ok(inner),
                None => Err(self.expected("\")\"")),
            };
        }
        self.primitive().map(Expr::Is)
    }

    fn primitive(&mut self) -> Result<Primitive, FilterError> {
        let start = self.at;
        match self.take(&["vlan", "less", "greater", "broadcast", "multicast"]) {
            Some("vlan") => return self.vlan(),
            Some("less") => return self.number("a length in octets").map(Primitive::Less),
            Some("greater") => return self.number("a length in octets").map(Primitive::Greater),
            Some("broadcast") => return Ok(Primitive::Broadcast),
            Some(_) => return Ok(Primitive::Multicast),
            None => {}
        }
        let proto = self.take(&[
            "ether", "link", "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "igmp", "sctp",
        ]);
        let limit = match proto {
            Some("ether" | "link") => Some(Limit::Ether),
            Some("ip") => Some(Limit::Net(Proto::Ip)),
            Some("ip6") => Some(Limit::Net(Proto::Ip6)),
            Some("arp") => Some(Limit::Net(Proto::Arp)),
            Some("tcp") => Some(Limit::Net(Proto::Tcp)),
            Some("udp") => Some(Limit::Net(Proto::Udp)),
            _ => None,
        };
        if let Some(cast) = self.take(&["broadcast", "multicast"]) {
            return match (limit, cast) {
                (Some(Limit::Ether), "broadcast") => Ok(Primitive::Broadcast),
                (Some(Limit::Ether), _) => Ok(Primitive::Multicast),
                (Some(Limit::Net(p @ (Proto::Ip | Proto::Ip6))), "multicast") => {
                    Ok(Primitive::IpMulticast(p))
                }
                _ => {
                    self.at -= 1;
                    Err(self.error(format!(
                        "{cast:?} goes with ether{}",
                        if cast == "multicast" {
                            ", ip or ip6"
                        } else {
                            ""
                        }
                    )))
                }
            };
        }
        let side = self.side();
        let kind = self
            .take(&["host", "net", "port", "portrange", "proto"])
            .map(|kind| match kind {
                "net" => Kind::Net,
                "port" => Kind::Port,
                "portrange" => Kind::PortRange,
                "proto" => Kind::Proto,
                _ => Kind::Host,
            });
        let qualifiers = match (proto, side, kind) {
            (Some(name), None, None) => {
                return word(name)
                    .ok_or_else(|| self.expected("host, src, dst or proto after \"ether\""));
            }
            (None, None, None) => match self.last {
                Some(last) => last,
                None => Qualifiers {
                    proto: None,
                    side: Side::Either,
                    kind: Kind::Host,
                },
            },
            (Some(name), ..) if limit.is_none() => {
                return Err(self.error(format!("{name:?} stands alone: write \"{name} and ...\"")));
            }
            _ => Qualifiers {
                proto: limit,
                side: side.unwrap_or_default(),
                kind: kind.unwrap_or(Kind::Host),
            },
        };
        let bare = self.at == start;
        let primitive = self.value(qualifiers, bare)?;
        self.last = Some(qualifiers);
        Ok(primitive)
    }

    fn side(&mut self) -> Option<Side> {
        let first = self.take(&["src", "dst"])?;
        let other = if first == "src" { "dst" } else { "src" };
        let join = self.peek();
        if self
            .tokens
            .get(self.at + 1)
            .is_some_and(|token| token.text == other)
        {
            let both = match join {
                Some("or" | "||") => Some(Side::Either),
                Some("and" | "&&") => Some(Side::Both),
                _ => None,
            };
            if both.is_some() {
                self.at += 2;
                return both;
            }
        }
        Some(if first == "src" { Side::Src } else { Side::Dst })
    }

    fn vlan(&mut self) -> Result<Primitive, FilterError> {
        match self
            .peek()
            .filter(|v| v.starts_with(|c: char| c.is_ascii_digit()))
        {
            None => Ok(Primitive::Vlan(None)),
            Some(vid) => match vid.parse().ok().filter(|vid| *vid < 4096) {
                Some(vid) => {
                    self.at += 1;
                    Ok(Primitive::Vlan(Some(vid)))
                }
                None => Err(self.expected("a VLAN number from 0 to 4095")),
            },
        }
    }

    fn number(&mut self, what: &str) -> Result<usize, FilterError> {
        match self.peek().and_then(|n| n.parse().ok()) {
            Some(n) => {
                self.at += 1;
                Ok(n)
            }
            None => Err(self.expected(what)),
        }
    }

    /// The value after `q`; `bare` when nothing stood before it.
    fn value(&mut self, q: Qualifiers, bare: bool) -> Result<Primitive, FilterError> {
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
        "icmp6" => Some(netstrata::wire::protocol::ICMPV6),
        name => name
            .parse()
            .ok()
            .or_else(|| (1..=u8::MAX).find(|n| protocol_name(*n) == Some(name))),
    }
}
