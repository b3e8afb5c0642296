//! A frame on its way from where it was caught to whoever looks at it.
//!
//! Invariant: `octets` is what was caught, the front of `len` octets that were on the wire;
//! `octets.len() <= len`.

/// When a frame was caught: nanoseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The wall clock now.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self(since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Nanoseconds since `earlier`, zero if that is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// What the first octet of a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// An Ethernet header.
    Ethernet,
    /// An IPv4 or IPv6 header.
    Ip,
    /// Something else, by its number among libpcap's link types.
    Other(u32),
}

/// A caught frame.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// When.
    pub time: Stamp,
    /// How it begins.
    pub link: Link,
    /// What was caught of it.
    pub octets: &'a [u8],
    /// Octets it had on the wire.
    pub len: usize,
    /// The checksum of the transport was verified by a device, or not yet computed because the
    /// frame never left this host: nothing is to be said about it.
    pub trusted: bool,
}
