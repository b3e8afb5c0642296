//! How most scripts begin.

use super::harness::Harness;
use crate::tcp::Config;

/// Without timestamps, which makes lines shorter.
pub fn plain() -> Config {
    Config {
        timestamps: false,
        ..Config::default()
    }
}

/// With SACK and segments of at most 1000 octets, before the last segment of the handshake.
pub fn accepted() -> Harness {
    Harness::accepted(plain(), 1000)
}
