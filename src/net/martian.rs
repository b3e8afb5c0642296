//! Which addresses may stand in a received packet (RFC 1122 §3.2.1.3, RFC 6890): one table,
//! asked before anything else looks at the packet.

use core::net::Ipv4Addr;

/// Classes of addresses, whatever our own are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// 0.0.0.0/8, "this network".
    Zero,
    /// 127.0.0.0/8.
    Loopback,
    /// 224.0.0.0/4.
    Multicast,
    /// 240.0.0.0/4 except the next.
    Reserved,
    /// 255.255.255.255.
    Broadcast,
    /// One host, as far as the address tells.
    Host,
}

impl Class {
    pub const fn of(ip: u32) -> Self {
        match (ip >> 24) as u8 {
            0 => Self::Zero,
            127 => Self::Loopback,
            224..=239 => Self::Multicast,
            240..=255 if ip == u32::MAX => Self::Broadcast,
            240..=255 => Self::Reserved,
            _ => Self::Host,
        }
    }
}

/// May `ip` be the address of a host on a real link?
pub(crate) const fn is_host(ip: Ipv4Addr) -> bool {
    matches!(Class::of(ip.to_bits()), Class::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_the_classes() {
        let class = |text: &str| Class::of(text.parse::<Ipv4Addr>().unwrap().to_bits());
        assert_eq!(class("0.255.255.255"), Class::Zero);
        assert_eq!(class("1.0.0.0"), Class::Host);
        assert_eq!(class("126.255.255.255"), Class::Host);
        assert_eq!(class("127.0.0.0"), Class::Loopback);
        assert_eq!(class("128.0.0.0"), Class::Host);
        assert_eq!(class("223.255.255.255"), Class::Host);
        assert_eq!(class("224.0.0.0"), Class::Multicast);
        assert_eq!(class("239.255.255.255"), Class::Multicast);
        assert_eq!(class("240.0.0.0"), Class::Reserved);
        assert_eq!(class("255.255.255.254"), Class::Reserved);
        assert_eq!(class("255.255.255.255"), Class::Broadcast);
    }
}
