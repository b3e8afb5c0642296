//! Prefixes over `core::net` addresses.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use core::str::FromStr;

/// An address with its prefix length, such as `192.0.2.1/24`. The host part is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    ip: IpAddr,
    prefix: u8,
}

/// A prefix length above 32 (IPv4) or 128 (IPv6), or text that is no `ADDRESS/PREFIX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadCidr;

impl fmt::Display for BadCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected ADDRESS/PREFIX, such as 192.168.69.1/24")
    }
}

impl core::error::Error for BadCidr {}

impl Cidr {
    /// An address on a network of `prefix` leading bits; at most 32 for IPv4, 128 for IPv6.
    pub const fn new(ip: IpAddr, prefix: u8) -> Result<Self, BadCidr> {
        let max = match ip {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix > max {
            return Err(BadCidr);
        }
        Ok(Self { ip, prefix })
    }
    /// The address.
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }
    /// Leading bits that all addresses of the network share.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
    /// Is `ip` on this network?
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
    /// The directed broadcast address of an IPv4 network; none for /31 and /32 (RFC 3021).
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V4(a) if self.prefix < 31 => {
                let host = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                Some(Ipv4Addr::from_bits(a.to_bits() | host))
            }
            _ => None,
        }
    }
    /// The all-zeros address of an IPv4 network; none for /31 and /32 (RFC 3021).
    pub fn network(&self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V4(a) if self.prefix < 31 => {
                let host = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
                Some(Ipv4Addr::from_bits(a.to_bits() & !host))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;
    fn from_str(s: &str) -> Result<Self, BadCidr> {
        let (ip, prefix) = s.split_once('/').ok_or(BadCidr)?;
        Self::new(
            ip.parse().map_err(|_| BadCidr)?,
            prefix.parse().map_err(|_| BadCidr)?,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_prefixes() {
        let c: Cidr = "10.1.2.3/24".parse().unwrap();
        assert!(c.contains("10.1.2.255".parse().unwrap()));
        assert!(!c.contains("10.1.3.0".parse().unwrap()));
        assert_eq!(c.broadcast(), Some(Ipv4Addr::new(10, 1, 2, 255)));
        assert_eq!(c.network(), Some(Ipv4Addr::new(10, 1, 2, 0)));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.1.1".parse().unwrap()));
        assert_eq!("10.0.0.0/31".parse::<Cidr>().unwrap().broadcast(), None);
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(BadCidr));
        assert_eq!("10.0.0.0".parse::<Cidr>(), Err(BadCidr));
    }
}
