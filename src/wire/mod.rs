//! Headers: octets in, values out, and back.
//!
//! Rules of this module, which every file below keeps:
//!
//! - A fixed header is cut off the front as `&[u8; N]` and read into a `Copy` value; `emit`
//!   writes the value back through `&mut [u8; N]`. No bounds check is left after the cut.
//! - **Lengths live in slices, not in values.** A value holds what the sender chose; header
//!   and payload lengths are checked once by `parse`, which hands on slices clipped to them,
//!   and computed by `emit` from the slices it is given. Sizes can therefore not disagree.
//! - Variable parts (IPv4 options, TCP options) are iterators over the rest. Each step consumes
//!   at least one octet, so a walk is bounded by the octets of the packet.
//! - Malformed input is a [`WireError`]; no input whatever makes this module panic.
//! - Middle boxes change fields in place through named setters, which keep checksums right by
//!   RFC 1624 updates instead of new sums.
//! - Checksums of transports are verified by functions of their own, so that a device which
//!   has already done the work (`RxCsum::Valid`) is believed without summing again.
//!
//! Anybody may call in here: layers of the stack, filters, tests, tools. Nothing in here knows
//! of sockets, interfaces or time.
//!
//! ```
//! use netstrata::wire::{IpHeader, Ipv4, Udp, protocol};
//!
//! // One datagram, written front to back in its final buffer.
//! let mut packet = [0; 20 + 8 + 2];
//! let ip = Ipv4::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), protocol::UDP);
//! let (head, datagram) = packet.split_first_chunk_mut().unwrap();
//! ip.emit(datagram.len(), head).unwrap();
//! datagram[8..].copy_from_slice(b"hi");
//! Udp { src: 5000, dst: 7 }.emit(&ip.header(), datagram).unwrap();
//!
//! // And read again.
//! let (ip, _options, datagram) = Ipv4::parse(&packet).unwrap();
//! let ip: IpHeader = ip.header();
//! Udp::verify(&ip, datagram).unwrap();
//! let (udp, payload) = Udp::parse(datagram).unwrap();
//! assert_eq!((udp.dst, payload), (7, &b"hi"[..]));
//! ```

mod arp;
pub mod checksum;
#[cfg(all(feature = "std", target_arch = "x86_64"))]
mod checksum_simd;
mod dump;
mod dump_ipv4;
mod dump_transport;
mod ethernet;
mod icmpv4;
mod icmpv4_quoted;
mod ip;
mod ipv4;
mod ipv4_options;
mod ipv4_template;
mod mac;
mod options;
mod rewrite;
mod tcp;
mod tcp_accecn;
mod tcp_option_set;
mod tcp_options;
mod tcp_run;
mod tcp_template;
mod udp;
mod vlan;

pub use arp::Arp;
pub use checksum::{Sum, checksum};
pub use dump::Dump;
pub use ethernet::Ethernet;
pub use icmpv4::{Icmpv4, Redirect, TimeExceeded, Unreachable};
pub use icmpv4_quoted::Quoted;
pub use ip::IpHeader;
pub use ipv4::{Ipv4, Ipv4Front};
pub use ipv4_options::{Ipv4Option, Ipv4Options, Route};
pub(crate) use ipv4_template::Ipv4Template;
pub use mac::{Mac, MacParseError};
pub use tcp::{Tcp, TcpFlags};
pub use tcp_accecn::AccEcn;
pub use tcp_option_set::{OptionBytes, TcpOptions};
pub use tcp_options::{FastOpen, SackBlocks, TcpOption, TcpOptionIter};
pub(crate) use tcp_run::TcpRun;
pub(crate) use tcp_template::TcpTemplate;
pub use udp::Udp;
pub use vlan::Vlan;

/// Values of the Ethernet type field that we know.
pub mod ethertype {
    /// Internet Protocol version 4 (RFC 894).
    pub const IPV4: u16 = 0x0800;
    /// Address resolution (RFC 826).
    pub const ARP: u16 = 0x0806;
    /// IEEE 802.1Q tag.
    pub const VLAN: u16 = 0x8100;
    /// IEEE 802.1ad service tag, the outer one of two.
    pub const QINQ: u16 = 0x88a8;
    /// Internet Protocol version 6 (RFC 2464).
    pub const IPV6: u16 = 0x86dd;
}

/// Values of the IPv4 protocol field (IPv6 next header) that we know.
pub mod protocol {
    /// Internet Control Message Protocol (RFC 792).
    pub const ICMP: u8 = 1;
    /// Internet Group Management Protocol (RFC 3376).
    pub const IGMP: u8 = 2;
    /// Transmission Control Protocol (RFC 9293).
    pub const TCP: u8 = 6;
    /// User Datagram Protocol (RFC 768).
    pub const UDP: u8 = 17;
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
    /// Free for experiments (RFC 3692); so is 254.
    pub const EXPERIMENT: u8 = 253;
}

/// Why octets are not the header they were taken for.
///
/// A receiver drops the packet and counts it under the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WireError {
    /// Fewer octets than the header, or than the length it announces.
    Truncated,
    /// A length field contradicts the format: below the minimum, above the maximum, or not a
    /// multiple of what it must be. From `emit`: the parts do not fit the format or the buffer.
    BadLength,
    /// The checksum does not match.
    BadChecksum,
    /// The version nibble is not that of this header.
    BadVersion,
    /// An option whose length is zero, one, beyond the end, or wrong for its kind.
    BadOption,
    /// A type field names something this header cannot carry, such as ARP for another hardware.
    BadType,
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Truncated => "truncated",
            Self::BadLength => "bad length",
            Self::BadChecksum => "bad checksum",
            Self::BadVersion => "bad version",
            Self::BadOption => "bad option",
            Self::BadType => "bad type",
        })
    }
}

impl core::error::Error for WireError {}
