//! Stand-in until the wire layer lands: replace this file as a whole.
use core::net::IpAddr;
/// x
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Protocol number of what follows.
    pub proto: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// DSCP and ECN bits.
    pub tos: u8,
}
