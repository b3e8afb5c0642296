//! TCP Fast Open (RFC 7413): data in the SYN, for clients and servers that know each other.

mod key;

pub use key::FastOpenKey;
