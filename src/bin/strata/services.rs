//! Names of well-known ports and IP protocols.
//!
//! Invariant: looked up in `/etc/services`, or in a small table where there is none; never over
//! the network, so that looking does not make traffic of its own.

use std::collections::HashMap;

use netstrata::wire::protocol;

/// A system without `/etc/services` gets these: name, port, over TCP, over UDP.
const BUILT_IN: [(&str, u16, bool, bool); 24] = [
    ("echo", 7, true, true),
    ("discard", 9, true, true),
    ("daytime", 13, true, true),
    ("ftp-data", 20, true, false),
    ("ftp", 21, true, false),
    ("ssh", 22, true, false),
    ("telnet", 23, true, false),
    ("smtp", 25, true, false),
    ("time", 37, true, true),
    ("domain", 53, true, true),
    ("bootps", 67, false, true),
    ("bootpc", 68, false, true),
    ("tftp", 69, false, true),
    ("http", 80, true, false),
    ("pop3", 110, true, false),
    ("ntp", 123, false, true),
    ("imap2", 143, true, false),
    ("snmp", 161, true, true),
    ("https", 443, true, true),
    ("syslog", 514, false, true),
    ("imaps", 993, true, false),
    ("mdns", 5353, false, true),
    ("http-alt", 8080, true, true),
    ("iperf3", 5201, true, true),
];

/// Ports by number and by name.
#[derive(Debug, Default)]
pub struct Services {
    names: HashMap<(u8, u16), String>,
    ports: HashMap<String, u16>,
}

impl Services {
    /// No names: every port is a number.
    pub fn none() -> Self {
        Self::default()
    }

    /// What this system knows.
    pub fn load() -> Self {
        let text = std::fs::read_to_string("/etc/services").unwrap_or_default();
        let mut services = Self::parse(&text);
        if services.names.is_empty() {
            for (name, port, tcp, udp) in BUILT_IN {
                for (proto, spoken) in [(protocol::TCP, tcp), (protocol::UDP, udp)] {
                    if spoken {
                        services.add(proto, port, name, []);
                    }
                }
            }
        }
        services
    }

    /// Reads lines of the form `http 80/tcp www # comment`.
    fn parse(text: &str) -> Self {
        let mut services = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let (Some(name), Some(at)) = (words.next(), words.next()) else {
                continue;
            };
            let proto = match at.split_once('/') {
                Some((_, "tcp")) => protocol::TCP,
                Some((_, "udp")) => protocol::UDP,
                _ => continue,
            };
            let port = at.split('/').next().and_then(|port| port.parse().ok());
            if let Some(port) = port {
                services.add(proto, port, name, words);
            }
        }
        services
    }

    /// The first name of a port stays its name; any name leads to the port.
    fn add<'a>(
        &mut self,
        proto: u8,
        port: u16,
        name: &'a str,
        more: impl IntoIterator<Item = &'a str>,
    ) {
        self.names
            .entry((proto, port))
            .or_insert_with(|| name.into());
        for name in std::iter::once(name).chain(more) {
            self.ports.entry(name.into()).or_insert(port);
        }
    }

    /// The name of a port of TCP or UDP.
    pub fn name(&self, proto: u8, port: u16) -> Option<&str> {
        self.names.get(&(proto, port)).map(String::as_str)
    }

    /// The port of a name.
    pub fn port(&self, name: &str) -> Option<u16> {
        self.ports.get(name).copied()
    }
}

/// The short name of an IP protocol, as `/etc/protocols` has it.
pub fn protocol_name(proto: u8) -> Option<&'static str> {
    Some(match proto {
        0 => "ip",
        protocol::ICMP => "icmp",
        protocol::IGMP => "igmp",
        4 => "ipencap",
        protocol::TCP => "tcp",
        8 => "egp",
        protocol::UDP => "udp",
        33 => "dccp",
        41 => "ipv6",
        43 => "ipv6-route",
        44 => "ipv6-frag",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        protocol::ICMPV6 => "ipv6-icmp",
        59 => "ipv6-nonxt",
        60 => "ipv6-opts",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        132 => "sctp",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_usual_file() {
        let s = Services::parse("# comment\nhttp 80/tcp www # web\nntp\t123/udp\nodd\nx y/tcp\n");
        assert_eq!(s.name(protocol::TCP, 80), Some("http"));
        assert_eq!(s.name(protocol::UDP, 80), None);
        assert_eq!(
            (s.port("www"), s.port("ntp"), s.port("x")),
            (Some(80), Some(123), None)
        );
    }

    #[test]
    fn every_system_knows_ssh() {
        assert_eq!(Services::load().port("ssh"), Some(22));
        assert_eq!(Services::none().name(protocol::TCP, 22), None);
    }
}
