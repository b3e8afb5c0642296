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

use super::{Expr, Join, Prefix, Primitive, Proto, Side, word};
use crate::services::Services;

#[path = "filter_value.rs"]
mod value;

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
}
