//! Why an address, route or group was not taken in.

use core::fmt;

/// A change of addresses, routes or groups was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigError {
    /// The table is full; without an allocator its size is a parameter of the type.
    Full,
    /// A prefix length above 32, or an address that has bits beyond it where a network is meant.
    BadPrefix,
    /// Not an address of the kind needed: a host, a group, or IPv4 at all.
    BadAddress,
    /// It is there already.
    Exists,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "table is full",
            Self::BadPrefix => "bad prefix length",
            Self::BadAddress => "address of the wrong kind",
            Self::Exists => "already configured",
        })
    }
}

impl core::error::Error for ConfigError {}
