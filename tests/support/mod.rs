//! What integration tests share. Every test file takes what it needs.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "no test file uses all of it"
)]

pub mod bulk;
pub mod pair;
pub mod script;

use core::convert::Infallible;
use core::net::{IpAddr, Ipv4Addr};

use netstrata::iface::Interface;
use netstrata::net::Network;
use netstrata::phy::Instant;
use netstrata::transport::Transports;
use netstrata::{Next, Stack};
use rand_core::{TryCryptoRng, TryRng};

/// The first host of a test.
pub const EAST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// The second host of a test, or the peer that a script plays.
pub const WEST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

/// Random numbers that are the same in every run (splitmix64).
#[derive(Debug, Clone)]
pub struct Seed(pub u64);

impl Seed {
    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit as u64) as usize
    }
}

impl TryRng for Seed {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.draw() as u32)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.draw())
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Seed {}

/// Anything with a loop body: a stack, or a stack with an application in it.
pub trait Host {
    /// One turn.
    fn turn(&mut self, now: Instant) -> Next;
}

impl<I: Interface, N: Network, T: Transports<S>, S> Host for Stack<I, N, T, S> {
    fn turn(&mut self, now: Instant) -> Next {
        self.poll(now)
    }
}

/// Octet `n` of the stream that tests send: any slip of position shows.
pub fn pattern(n: u64) -> u8 {
    (n ^ (n >> 8).wrapping_mul(167) ^ (n >> 16).wrapping_mul(59)) as u8
}

/// Compares text with a snapshot file of its own, `area__case.snap` whatever module asks.
macro_rules! snapshot {
    ($name:literal, $value:expr $(,)?) => {
        insta::with_settings!({
            prepend_module_to_snapshot => false,
            omit_expression => true,
            snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"),
        }, {
            insta::assert_snapshot!($name, $value);
        })
    };
}
pub(crate) use snapshot;
