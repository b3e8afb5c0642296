//! The rules: what is watched for, under which number, and how bad it is.

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    PortScan,
    SynFlood,
    ArpMoved,
    ArpUnasked,
    ArpContradiction,
    BadIpChecksum,
    BadTcpChecksum,
    BadUdpChecksum,
    BadIcmpChecksum,
    OverlappingFragments,
    OversizeFragment,
    Land,
    MartianSource,
    MartianDestination,
    Malformed,
    ImpossibleFlags,
}

/// What a rule says of itself.
pub struct Signature {
    /// Its name, as alerts give it.
    pub name: &'static str,
    /// The kind of trouble, in the classes of Snort and Suricata.
    pub category: &'static str,
    /// 1 high, 2 medium, 3 low.
    pub severity: u8,
    /// When it fires.
    pub when: &'static str,
}

impl Rule {
    /// All of them, by number.
    pub const ALL: [Self; 16] = [
        Self::PortScan,
        Self::SynFlood,
        Self::ArpMoved,
        Self::ArpUnasked,
        Self::ArpContradiction,
        Self::BadIpChecksum,
        Self::BadTcpChecksum,
        Self::BadUdpChecksum,
        Self::BadIcmpChecksum,
        Self::OverlappingFragments,
        Self::OversizeFragment,
        Self::Land,
        Self::MartianSource,
        Self::MartianDestination,
        Self::Malformed,
        Self::ImpossibleFlags,
    ];

    /// Its number, in the range left to local rules.
    pub const fn id(self) -> u32 {
        1_000_001 + self as u32
    }

    /// What it says of itself.
    pub const fn signature(self) -> Signature {
        const LEAK: &str = "Attempted Information Leak";
        const DENIAL: &str = "Attempted Denial of Service";
        const BAD: &str = "Potentially Bad Traffic";
        const DECODE: &str = "Generic Protocol Command Decode";
        let (name, category, severity, when) = match self {
            Self::PortScan => (
                "port scan",
                LEAK,
                2,
                "one source begins flows to many ports in a short time",
            ),
            Self::SynFlood => (
                "SYN flood",
                DENIAL,
                1,
                "many handshakes with one port are begun and not ended",
            ),
            Self::ArpMoved => (
                "ARP spoofing",
                BAD,
                1,
                "an address moves to another station",
            ),
            Self::ArpUnasked => (
                "ARP reply without request",
                BAD,
                3,
                "nobody had asked for it",
            ),
            Self::ArpContradiction => (
                "ARP sender contradicts link header",
                BAD,
                2,
                "the frame came from another station than the message says",
            ),
            Self::BadIpChecksum => ("bad IPv4 checksum", DECODE, 3, "the header's sum is wrong"),
            Self::BadTcpChecksum => ("bad TCP checksum", DECODE, 3, "the segment's sum is wrong"),
            Self::BadUdpChecksum => ("bad UDP checksum", DECODE, 3, "the datagram's sum is wrong"),
            Self::BadIcmpChecksum => ("bad ICMP checksum", DECODE, 3, "the message's sum is wrong"),
            Self::OverlappingFragments => (
                "overlapping fragments",
                BAD,
                1,
                "two parts of a datagram claim the same octets",
            ),
            Self::OversizeFragment => (
                "fragment beyond 65535 octets",
                DENIAL,
                1,
                "the datagram would be longer than any can be",
            ),
            Self::Land => (
                "land packet",
                DENIAL,
                1,
                "source and destination are the same",
            ),
            Self::MartianSource => (
                "martian source",
                BAD,
                2,
                "nobody can have that source address",
            ),
            Self::MartianDestination => (
                "martian destination",
                BAD,
                2,
                "that destination address does not belong on a wire",
            ),
            Self::Malformed => (
                "malformed packet",
                DECODE,
                3,
                "its headers contradict themselves",
            ),
            Self::ImpossibleFlags => (
                "impossible TCP flags",
                LEAK,
                2,
                "none, SYN with FIN or RST, or FIN without ACK",
            ),
        };
        Signature {
            name,
            category,
            severity,
            when,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_list() {
        for (n, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule.id(), 1_000_001 + n as u32);
        }
    }
}
